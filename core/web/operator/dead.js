// SPDX-License-Identifier: Apache-2.0
// What handlers gave up. What is replayed from here stays on top of the table, so that one sees what becomes of it.

import { ask, order } from "./api.js";
import { nameOf } from "./callback.js";
import { at, formatDuration, formatNumber, make, makeName, makeRow, makeState, makeTime, plural, repeat } from "./dom.js";
import { askFirst, attempt, linkTo, say } from "./page.js";

const LOOK_MS = 2000;
const PAGE = 50;
const MOST = 500;

const replayed = new Map();  // deliveries, by keyOf()
let limit = PAGE;

const keyOf = ({ position, index, handler }) => `${position} ${index} ${handler}`;
const wantedHandler = () => at("dead-handler").value;

// ---- the table ----

function makeReplay(delivery, name) {
  return make("button", { type: "button", className: "act small", ariaLabel: `Replay ${name} for ${delivery.handler}`,
    onclick: () => replayOne(delivery) }, "Replay");
}

function makeDelivery(delivery) {
  const { position, handler, state, interaction, subtype, attempts, owed_since, last } = delivery;
  const name = interaction ? nameOf({ type: interaction, subtype }) : position;
  return makeRow(
    ["when", makeTime(owed_since)],
    ["", make("a", { href: linkTo("dead", position) }, makeName(name)),
      make("div", { className: "summary" }, makeName(handler, "handler"), last?.reason ? ": " : "", makeName(last?.reason ?? ""))],
    ["wide quiet", plural(attempts, "attempt"), last ? make("div", {}, `the last took ${formatDuration(last.duration_ms)}`) : ""],
    ["", makeState(state), " ", state === "dead" ? makeReplay(delivery, name) : ""]);
}

function draw(dead, hasMore) {
  const again = [...replayed.values()].filter(({ handler }) => !wantedHandler() || handler === wantedHandler());
  at("dead").replaceChildren(...[...again, ...dead].map(makeDelivery));
  at("dead-table").hidden = !again.length && !dead.length;
  at("dead-empty").hidden = !at("dead-table").hidden;
  at("dead-count").textContent = hasMore ? `the newest ${formatNumber(dead.length)}` : dead.length ? formatNumber(dead.length) : "";
  at("replay-all").disabled = !dead.length;
  at("dead-more").hidden = !hasMore || limit >= MOST;
}

// Under a button that is about to be pressed nothing moves: the table is drawn only when it is another.
let drawn = "";

async function refresh([key, { position, handler }]) {
  const { deliveries } = await ask("deliveries", { position, handler });
  const delivery = deliveries.find(each => keyOf(each) === key);
  if (delivery)
    replayed.set(key, delivery);
  else
    replayed.delete(key);
}

async function look() {
  const { deliveries, before } = await ask("deliveries", { handler: wantedHandler(), state: "dead", limit });
  await Promise.all([...replayed].filter(([, { state }]) => state !== "done").map(refresh));
  for (const delivery of deliveries)
    replayed.delete(keyOf(delivery));
  const text = JSON.stringify([deliveries, before, [...replayed]]);
  if (text !== drawn)
    draw(deliveries, before !== undefined);
  drawn = text;
}

async function showHandlers() {
  const { handlers } = await ask("handlers");
  const wanted = wantedHandler();
  at("dead-handler").replaceChildren(new Option("All", ""), ...handlers.map(({ name }) => new Option(name, name)));
  at("dead-handler").value = wanted;
}

// ---- replaying ----

async function replayOne(delivery) {
  const { position, handler } = delivery;
  if (!await attempt(() => order("replay", { position, handler })))
    return;
  replayed.set(keyOf(delivery), { ...delivery, state: "due" });
  while (replayed.size > PAGE)
    replayed.delete(replayed.keys().next().value);
  say(`${handler} is owed it again.`);
  await attempt(look);
}

async function replayAll() {
  const handler = wantedHandler();
  const what = handler ? `Replay all dead letters of ${handler}?` : "Replay all dead letters, of all handlers?";
  if (!await askFirst(`${what} Whatever they do is done again, for old ones, too.`, "Replay all"))
    return;
  const answer = await attempt(() => order("replay", { dead: true, handler }));
  if (answer)
    say(`${plural(answer.replayed, "delivery", "deliveries")} owed again.`);
  await attempt(look);
}

at("replay-all").onclick = replayAll;
at("dead-more").onclick = () => {
  limit += PAGE;
  attempt(look);
};
at("dead-handler").onchange = () => {
  limit = PAGE;
  attempt(look);
};

export const dead = {
  title: "Dead letters",
  enter() {
    attempt(showHandlers);
    return repeat(() => attempt(look), LOOK_MS);
  },
};
