// SPDX-License-Identifier: Apache-2.0
// The page as a whole: who looks, and at what. Each view runs only while it is looked at; the events go on behind it.

import { ask, forgetToken, hasToken, keepToken, session } from "./api.js";
import { configuration } from "./configuration.js";
import { dead } from "./dead.js";
import { at, makeState, repeat } from "./dom.js";
import { showEvent } from "./event.js";
import { events, startEvents, stopEvents } from "./events.js";
import { handlers } from "./handlers.js";
import { attempt, place, showTrouble } from "./page.js";
import "./send.js";
import { status } from "./status.js";
import { subscribers } from "./subscribers.js";

const WAIT_MS = 3000;
const CHECK_MS = 10000;
const views = { events, status, handlers, dead, subscribers, configuration };
let current = null;       // the name of the view that is looked at
let leave = () => {};     // ends what it does
let stopChecking = () => {};

// ---- where one is ----

function show(name) {
  leave();
  current = name;
  for (const each of Object.keys(views))
    at(`view-${each}`).hidden = each !== name;
  for (const link of document.querySelectorAll("nav a"))
    link.ariaCurrent = link.hash === `#${name}` ? "page" : null;
  document.querySelector("nav [aria-current]").scrollIntoView({ block: "nearest", inline: "center" });
  scrollTo(0, 0);
  document.title = `${views[name].title} · Belfry`;
  leave = views[name].enter();
}

function route() {
  const { view, position } = place();
  const name = views[view] ? view : "events";
  if (name !== current)
    show(name);
  showEvent(position);
}

// Whoever looks elsewhere sees that something is wrong.
async function checkHealth() {
  const { state } = await ask("status");
  at("health").replaceChildren(...state === "ok" ? [] : [makeState(state)]);
}

// ---- who looks ----

function stop() {
  stopChecking();
  leave();
  leave = () => {};
  current = null;
  stopEvents();
}

function start({ name, role }) {
  document.body.classList.toggle("viewer", role === "viewer");
  at("who").hidden = !hasToken();
  at("who-text").textContent = `${name} (${role})`;
  window.onhashchange = route;
  route();
  startEvents();
  stopChecking = repeat(() => attempt(checkHealth), CHECK_MS);
}

// A gateway that is not there yet is waited for; one that wants a token, for its token.
async function begin() {
  const answer = await attempt(() => ask("status"));
  if (answer) {
    at("entrance").close();
    start(answer.you);
  } else if (!at("entrance").open) {
    setTimeout(begin, WAIT_MS);
  } else if (!at("trouble").hidden) {
    showTrouble(at("entrance-trouble"), at("trouble").textContent);
  }
}

function askForToken({ detail: wasShown }) {
  stop();
  if (wasShown)
    showTrouble(at("entrance-trouble"), "The gateway does not accept this token.");
  forgetToken();
  at("connection").className = "";
  at("connection").textContent = "Waiting for a token";
  if (!at("entrance").open)
    at("entrance").showModal();
  at("token").select();
}

session.addEventListener("locked", askForToken);
at("entrance").addEventListener("cancel", event => event.preventDefault());
at("entrance-form").onsubmit = event => {
  event.preventDefault();
  keepToken(at("token").value.trim());
  at("token").value = "";
  showTrouble(at("entrance-trouble"), "");
  begin();
};
at("leave").onclick = () => {
  forgetToken();
  location.reload();
};
// A browser may keep a page that was left, and with it one of the few connections that it makes to one gateway.
window.onpagehide = stop;
window.onpageshow = ({ persisted }) => persisted && begin();
begin();
