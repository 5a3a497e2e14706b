// SPDX-License-Identifier: Apache-2.0
// The events as they arrive, newest first. However many come, the table is bounded and drawn once in a while.

import { ask } from "./api.js";
import { makeInteractions, readTags, summaryOf, tagsOf, wordsOf } from "./callback.js";
import { at, formatNumber, make, makeName, makeRow, makeState, makeTime, plural, repeat } from "./dom.js";
import { attempt, linkTo, showTrouble } from "./page.js";
import { Stream } from "./stream.js";

const MAX_ROWS = 300;   // older ones leave the table
const NEWEST = 100;     // events of before that it begins with
const DRAW_MS = 100;    // between one drawing and the next
const SPEAK_MS = 5000;  // a screen reader hears of new events so often at most
const LOOK_MS = 3000;   // what became of them is asked so often
const LOOK_BACK = 20;

const rows = new Map();  // those in the table, by position
let queue = [];          // what has arrived and is not drawn yet: events and notes, oldest first
let stream = null, filter = {};
let isPaused = false, drawing = 0, speaker = 0;
let nSeen = 0, nWaiting = 0, nUnspoken = 0;

// ---- what is shown of an event ----

// A table keeps what it shows, not whole callbacks.
function shorten({ position, received_at, source, interactions, tags, malformed, callback }) {
  return { position, received_at, source, interactions, tags, malformed, summary: malformed ?? summaryOf(callback) };
}

function makeEvent(event) {
  const row = makeRow(
    ["when", makeTime(event.received_at)],
    ["", make("a", { href: linkTo("events", event.position), className: "chips" }, ...makeInteractions(event)),
      make("div", { className: "summary" }, makeName(event.summary))],
    ["wide", makeName(event.source), make("div", { className: "quiet" }, makeName(tagsOf(event).join(" ")))],
    ["handlers"]);
  rows.set(event.position, { row, handlers: row.lastChild, states: new Map() });
  return row;
}

function makeNote(words) {
  const row = makeRow(["note", words]);
  row.firstChild.colSpan = 4;
  return row;
}

// ---- what became of it ----

function showHandlers({ handlers, states }) {
  handlers.replaceChildren(...[...states].map(([handler, state]) =>
    make("div", {}, makeState(state), " ", makeName(handler, "handler"))));
}

const worst = ["done", "claimed", "due", "retry", "damaged", "dead"];

// A handler may owe several interactions of an event: the one that matters most is told.
function showDeliveries(deliveries) {
  const touched = new Map();
  for (const { position, handler, state } of deliveries) {
    const found = rows.get(position);
    if (!found)
      continue;
    if (!touched.has(found))
      touched.set(found, new Map());
    const states = touched.get(found), other = states.get(handler);
    if (other === undefined || worst.indexOf(state) > worst.indexOf(other))
      states.set(handler, state);
  }
  for (const [found, states] of touched) {
    found.states = states;
    showHandlers(found);
  }
}

// What cannot be read is not pushed, so it is looked for.
async function lookForMalformed() {
  const { events: newest } = await ask("events", { kind: ["callback", "malformed"], limit: LOOK_BACK });
  for (const event of newest.reverse())
    if (event.malformed && !rows.has(event.position))
      add({ event: shorten(event) });
}

async function look() {
  const isFiltered = Object.keys(filter).length > 0;
  const { deliveries } = await ask("deliveries", { limit: 2 * MAX_ROWS });
  showDeliveries(deliveries);
  if (!isFiltered)
    await lookForMalformed();
}

function showOutcome({ event_position, handler, state }) {
  const found = rows.get(event_position);
  if (!found)
    return;
  found.states.set(handler, state);
  showHandlers(found);
}

// ---- the table ----

function showCount() {
  const shown = rows.size < nSeen ? `the newest ${formatNumber(rows.size)} of ${plural(nSeen, "event")} seen` : plural(nSeen, "event");
  at("events-count").textContent = nSeen ? shown : "";
  at("events-empty").hidden = at("events").childElementCount > 0;
  at("events-table").hidden = !at("events-empty").hidden;
  at("pause").textContent = !isPaused ? "Pause" : nWaiting ? `Go on (${formatNumber(nWaiting)} new)` : "Go on";
  at("pause").setAttribute("aria-pressed", isPaused);
}

function speak() {
  const newest = at("events").querySelector("a");
  if (newest)
    at("spoken").textContent = `${plural(nUnspoken, "new event")}: ${newest.textContent}`;
  nUnspoken = speaker = 0;
}

// Items, oldest first.
function insert(items) {
  const table = at("events");
  table.prepend(...items.slice(-MAX_ROWS).reverse().map(({ event, note }) => note ? makeNote(note) : makeEvent(event)));
  while (table.childElementCount > MAX_ROWS)
    table.lastElementChild.remove();
  for (const [position, { row }] of rows)
    if (!row.isConnected)
      rows.delete(position);
}

function draw() {
  drawing = 0;
  if (isPaused)
    return;
  insert(queue);
  nSeen += nWaiting;
  nUnspoken += nWaiting;
  nWaiting = 0;
  queue = [];
  if (nUnspoken)
    speaker ||= setTimeout(speak, SPEAK_MS);
  showCount();
}

function drawSoon() {
  drawing ||= setTimeout(() => requestAnimationFrame(draw), DRAW_MS);
}

// A page that nobody looks at is not drawn, so the queue is bounded, too.
function add(item) {
  queue.push(item);
  nWaiting += item.event ? 1 : 0;
  if (queue.length >= 2 * MAX_ROWS)
    queue.splice(0, queue.length - MAX_ROWS);
  if (isPaused)
    showCount();
  else
    drawSoon();
}

// ---- the stream ----

const acts = {
  event: message => add({ event: shorten(message) }),
  outcome: showOutcome,
  gap: ({ after, resumed_at }) => add({ note: `What was between ${after} and ${resumed_at} is lost for good.` }),
  subscribed({ recovered }) {
    if (!recovered)
      add({ note: "What came while this page was away is no longer in the journal, or not all of it." });
  },
};

function showState(name, words) {
  at("connection").className = name;
  at("connection").textContent = { connecting: "Connecting", live: "Live", waiting: "Reconnecting", ended: "Stopped" }[name];
  if (name === "live" || name === "ended" || name === "waiting")
    showTrouble(at("trouble"), name === "live" ? "" : words);
}

function readFilter() {
  const pairs = [
    ["interactions", wordsOf(at("filter-interactions").value)], ["event_ids", at("filter-event").value.trim()],
    ...readTags(at("filter-tags").value).map(([name, value]) => [`tags.${name}`, value]),
  ];
  return Object.fromEntries(pairs.filter(([, value]) => value.length));
}

function clear() {
  at("events").replaceChildren();
  rows.clear();
  queue = [];
  nSeen = nWaiting = 0;
  showCount();
}

export function stopEvents() {
  stream?.stop();
  stream = null;
}

// The newest ones of the journal, and where those begin that come after them.
async function findNewest() {
  const { journal } = await ask("status");
  const kind = Object.keys(filter).length ? "callback" : ["callback", "malformed"];
  const { events: newest } = await ask("events", { ...filter, kind, limit: NEWEST });
  return { newest, head: newest[0]?.position ?? journal.head };
}

export async function startEvents() {
  filter = readFilter();
  stopEvents();
  clear();
  const found = await attempt(findNewest);
  if (!found)
    return;
  insert(found.newest.map(event => ({ event: shorten(event) })).reverse());
  nSeen = found.newest.length;
  showCount();
  attempt(look);
  stream = new Stream(filter, found.head, { message: message => acts[message.type]?.(message), state: showState });
}

// ---- what people do ----

at("events-filter").onsubmit = event => {
  event.preventDefault();
  startEvents();
};
for (const field of at("events-filter").querySelectorAll("input"))
  field.addEventListener("search", () => field.value || startEvents());  // its cross

at("events-filter-box").open = matchMedia("(min-width: 48rem)").matches;
at("pause").onclick = () => {
  isPaused = !isPaused;
  showCount();
  draw();
};

export const events = { title: "Events", enter: () => repeat(() => attempt(look), LOOK_MS) };
