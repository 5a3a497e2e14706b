// SPDX-License-Identifier: Apache-2.0
// How the gateway is.

import { ask } from "./api.js";
import { at, formatBytes, formatDuration, formatNumber, make, makeState, repeat } from "./dom.js";
import { attempt } from "./page.js";

const LOOK_MS = 5000;

const makeTile = ([name, value]) => make("div", { className: "panel tile" }, make("b", {}, value), make("span", { className: "quiet" }, name));

function showNow({ version, uptime, journal, queue, connections, subscribers, state, problems }) {
  at("problems").replaceChildren(...problems.map(problem => make("li", {}, `${problem}.`)));
  at("problems").hidden = !problems.length;
  at("tiles").replaceChildren(...[
    [`up, version ${version}`, formatDuration(1000 * uptime)],
    ["state", makeState(state)],
    ["events kept", formatNumber(journal.events)],
    ["journal", formatBytes(journal.bytes)],
    ["waiting for the disk", formatNumber(queue.callbacks)],
    ["connections", formatNumber(connections.open)],
    ["subscribers", formatNumber(subscribers.live + subscribers.behind + subscribers.idle)],
    ["behind, the furthest", formatNumber(subscribers.lag)],
  ].map(makeTile));
}

async function look() {
  showNow(await ask("status"));
}

export const status = { title: "Status", enter: () => repeat(() => attempt(look), LOOK_MS) };
