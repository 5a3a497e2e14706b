// SPDX-License-Identifier: Apache-2.0
// A callback of one's own, signed by the gateway, on the way of all others.

import { Refusal, order } from "./api.js";
import { at } from "./dom.js";
import { linkTo, showTrouble } from "./page.js";

const OWN = "own";

function readTags() {
  const pairs = at("send-tags").value.split(/[\s,]+/).filter(Boolean);
  return Object.fromEntries(pairs.map(pair => [pair.split("=")[0], pair.slice(pair.indexOf("=") + 1)]));
}

function makeOrder() {
  const source = at("send-source").value.trim();
  const what = at("send-sample").value === OWN ? { body: at("send-body").value } : { sample: at("send-sample").value };
  return { ...source && { source }, ...what, tags: readTags() };
}

async function send() {
  try {
    const { position } = await order("send", {}, makeOrder());
    at("send").close();
    location.hash = linkTo("events", position);
  } catch (error) {
    if (!(error instanceof Refusal))
      throw error;
    showTrouble(at("send-trouble"), error.words);
  }
}

const showOwn = () => {
  at("send-own").hidden = at("send-sample").value !== OWN;
};

function open() {
  showTrouble(at("send-trouble"), "");
  showOwn();
  at("send").showModal();
}

at("send-open").onclick = open;
at("send-sample").onchange = showOwn;
at("send-close").onclick = () => at("send").close();
at("send-form").onsubmit = event => {
  event.preventDefault();
  send();
};
