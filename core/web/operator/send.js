// SPDX-License-Identifier: Apache-2.0
// A callback of one's own, signed by the gateway, on the way of all others.

import { order } from "./api.js";
import { readTags } from "./callback.js";
import { at } from "./dom.js";
import { attempt, linkTo, showTrouble } from "./page.js";

const OWN = "own";

function makeOrder() {
  const source = at("send-source").value.trim();
  const what = at("send-sample").value === OWN ? { body: at("send-body").value } : { sample: at("send-sample").value };
  return { ...source && { source }, ...what, tags: Object.fromEntries(readTags(at("send-tags").value)) };
}

async function send() {
  const answer = await attempt(() => order("send", {}, makeOrder()), at("send-trouble"));
  if (!answer)
    return;
  at("send").close();
  location.hash = linkTo("events", answer.position);
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
