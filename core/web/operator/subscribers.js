// SPDX-License-Identifier: Apache-2.0
// Who listens now, to what, and how far behind.

import { ask } from "./api.js";
import { at, formatNumber, make, makeName, makeRow, makeState, makeTime, repeat } from "./dom.js";
import { attempt } from "./page.js";

const LOOK_MS = 3000;
const MOST = 200;

const listOf = value => [value].flat().join(", ");

// {"interactions": "change", "tags": {"user": ["42", "43"]}}: "interactions change · user=42, 43"
function describeFilter(filter) {
  const { tags = {}, ...lists } = filter;
  const parts = [
    ...Object.entries(lists).map(([name, value]) => `${name} ${listOf(value)}`),
    ...Object.entries(tags).map(([name, value]) => `${name}=${listOf(value)}`),
  ];
  return parts.join(" · ") || "everything";
}

function makeSubscriber({ subject, peer, transport, state, filters, since, lag, session }) {
  const way = transport === "websocket" ? "WebSocket" : "event stream";
  return makeRow(
    ["", makeName(subject || peer, "handler"), " ", makeState(state),
      make("div", { className: "quiet" }, makeName(subject ? `${peer} · ${way}` : way))],
    ["", ...filters.map(filter => make("div", {}, makeName(describeFilter(filter))))],
    ["wide when", makeTime(since), make("div", {}, session)],
    ["number", formatNumber(lag)]);
}

async function look() {
  const wish = { state: at("subscribers-state").value, transport: at("subscribers-transport").value, lag: at("subscribers-lag").value };
  const { subscribers, matching } = await ask("subscribers", { ...wish, limit: MOST });
  at("subscribers").replaceChildren(...subscribers.map(makeSubscriber));
  at("subscribers-empty").hidden = subscribers.length > 0;
  at("subscribers-table").hidden = !subscribers.length;
  at("subscribers-count").textContent = matching > subscribers.length ? `${formatNumber(subscribers.length)} of ${formatNumber(matching)}`
    : formatNumber(matching);
}

for (const id of ["subscribers-state", "subscribers-transport", "subscribers-lag"])
  at(id).onchange = () => attempt(look);

export const subscribers = { title: "Subscribers", enter: () => repeat(() => attempt(look), LOOK_MS) };
