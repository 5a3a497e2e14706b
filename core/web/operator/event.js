// SPDX-License-Identifier: Apache-2.0
// One event, looked into: what came, what it was taken for, what was done about it.

import { ask, order, request, toQuery } from "./api.js";
import { makePretty } from "./body.js";
import { makeInteractions, nameOf, tagsOf } from "./callback.js";
import { at, formatBytes, formatDuration, make, makeFacts, makeLink, makeName, makeState, makeTime, plural, repeat } from "./dom.js";
import { attempt, place, say } from "./page.js";

const LOOK_MS = 2000;

let position = null;  // of the event that is shown
let shown = "";       // what is drawn of its deliveries
let stop = null;

// ---- deliveries ----

function makeAttempt({ outcome, started_at, duration_ms, reason }) {
  return make("li", {}, makeState(outcome), " ", makeTime(started_at, "quiet"), " ",
    make("span", { className: "quiet" }, formatDuration(duration_ms)), reason ? make("div", {}, makeName(reason)) : "");
}

function makeReplay({ handler }) {
  return make("button", { type: "button", className: "act small", ariaLabel: `Replay for ${handler}`, onclick: () => replay(handler) },
    "Replay");
}

function makeDelivery(delivery) {
  const { handler, state, interaction, subtype, attempts, due_at, all = [] } = delivery;
  const isOver = state === "done" || state === "dead";
  return make("li", {},
    make("div", { className: "first" }, makeState(state), makeName(handler, "handler"),
      make("span", { className: "quiet" }, plural(attempts, "attempt")), isOver ? makeReplay(delivery) : ""),
    make("p", { className: "quiet" }, interaction ? makeName(nameOf({ type: interaction, subtype })) : "",
      due_at ? [", again at ", makeTime(due_at)] : ""),
    make("ol", { className: "attempts" }, ...all.map(makeAttempt)));
}

function showDeliveries(deliveries) {
  const text = JSON.stringify(deliveries);
  if (text === shown)
    return;
  shown = text;
  const items = deliveries.map(makeDelivery);
  at("event-deliveries").replaceChildren(...items.length ? items : [make("li", { className: "quiet" }, "No handler is meant.")]);
}

async function replay(handler) {
  const answer = await attempt(() => order("replay", { position, handler }));
  if (!answer)
    return;
  say(`${plural(answer.replayed, "delivery", "deliveries")} owed again.`);
  await attempt(look);
}

// ---- the callback ----

function makeBody(body) {
  const text = make("pre", { className: "panel", tabIndex: 0, ariaLabel: "Body" }, ...makePretty(body));
  const raw = make("input", { type: "checkbox", onchange: () =>
    text.replaceChildren(...raw.checked ? [body] : makePretty(body)) });
  return [
    make("div", { className: "above" }, make("h3", {}, "Body"),
      make("span", { className: "quiet" }, formatBytes(new TextEncoder().encode(body).length)),
      make("label", { className: "choice" }, raw, " as it came")),
    text,
  ];
}

function makeContent(event) {
  const { summary, conferencing } = event.callback?.event ?? {};
  const join = conferencing?.join_url;
  return [
    typeof summary === "string" ? make("p", { className: "summary" }, makeName(summary)) : "",
    typeof join === "string" ? make("p", {}, makeLink(join)) : "",
    makeFacts([
      ["Received", makeTime(event.received_at)], ["Source", makeName(event.source)],
      ["Signature", event.kind === "callback" || event.malformed ? "verified" : "none: the gateway’s own"],
      ["Cannot be read", event.malformed && makeName(event.malformed)], ["Event id", event.event_id && makeName(event.event_id)],
      ["Position", event.position], ["Tags", tagsOf(event).map(tag => makeName(tag, "tag"))],
    ]),
    make("h3", {}, "Deliveries"),
    make("ul", { id: "event-deliveries", className: "deliveries", role: "list" }),
    ...makeBody(event.raw),
  ];
}

// ---- coming and going ----

// The body's own bytes, which stand behind their number.
function cutBody(text, n) {
  const [mark] = text.match(/"bytes":\d+,"(callback|body)":/);
  const rest = new TextEncoder().encode(text.slice(text.indexOf(mark) + mark.length));
  return new TextDecoder().decode(rest.subarray(0, n));
}

async function find() {
  const text = await (await request(`events${toQuery({ position })}`)).text();
  const { events: [event] } = JSON.parse(text);
  return event && { ...event, raw: event.text ?? cutBody(text, event.bytes) };
}

async function show() {
  const mine = position, event = await find();
  if (mine !== position)
    return;
  at("event-title").replaceChildren(...event ? makeInteractions(event) : ["It is no longer in the journal"]);
  at("event-content").replaceChildren(...event ? makeContent(event) : []);
  if (event)
    stop = repeat(() => attempt(look), LOOK_MS);
}

async function look() {
  const mine = position, { deliveries } = await ask("deliveries", { position });
  if (mine === position)
    showDeliveries(deliveries);
}

function clear() {
  stop?.();
  stop = null;
  shown = "";
  at("event-title").textContent = "";
  at("event-content").replaceChildren();
}

export function showEvent(wanted) {
  if (wanted === position)
    return;
  clear();
  position = wanted ?? null;
  if (!position) {
    at("event").close();
    return;
  }
  if (!at("event").open)
    at("event").showModal();
  attempt(show);
}

at("event").addEventListener("close", () => {
  if (position)
    location.hash = place().view;
});
at("event").onclick = ({ target }) => {
  if (target === at("event"))  // beside it
    at("event").close();
};
