// SPDX-License-Identifier: Apache-2.0
// The handlers: whether they work, how fast, and what is owed to them.

import { ask } from "./api.js";
import { at, formatDuration, formatNumber, make, makeFacts, makeName, makeState, makeTime, repeat } from "./dom.js";
import { attempt } from "./page.js";

const LOOK_MS = 3000;

const before = new Map();  // what was counted at the last look, by handler: { at, ended }

// Attempts a minute, since the last look.
function rateOf({ name, done, retried, dead }) {
  const now = { at: performance.now(), ended: done + retried + dead };
  const last = before.get(name);
  before.set(name, now);
  if (!last || now.ended < last.ended)
    return "–";
  return `${formatNumber((now.ended - last.ended) * 60000 / (now.at - last.at))} a minute`;
}

function makeHandler(handler) {
  const { state, paused_until, mean_ms, p99_ms, interactions } = handler;
  const hasEnded = handler.done + handler.retried + handler.dead > 0;
  return make("li", { className: "panel" },
    make("div", { className: "first" }, make("h3", {}, makeName(handler.name)), makeState(state)),
    make("p", { className: "quiet" }, makeName(`${handler.plugin} ${handler.version}`), " for ", makeName(interactions.join(", "))),
    makeFacts([
      ["Owed", formatNumber(handler.owed)], ["In hand", formatNumber(handler.in_hand)], ["Rate", rateOf(handler)],
      ["Done", formatNumber(handler.done)], ["Retried", formatNumber(handler.retried)], ["Dead", formatNumber(handler.dead)],
      ["Crashed", formatNumber(handler.crashed)], ["Mean", hasEnded ? formatDuration(mean_ms) : "–"],
      ["p99", hasEnded ? formatDuration(p99_ms) : "–"],
      ["Processes", `${handler.processes} of ${handler.workers}`],
      ["Pauses until", paused_until && makeTime(paused_until)],
    ]));
}

async function look() {
  const { handlers } = await ask("handlers");
  at("handlers").replaceChildren(...handlers.map(makeHandler));
  at("handlers-empty").hidden = handlers.length > 0;
}

export const handlers = { title: "Handlers", enter: () => repeat(() => attempt(look), LOOK_MS) };
