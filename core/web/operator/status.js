// SPDX-License-Identifier: Apache-2.0
// How the gateway is, and how it was over the last hours.

import { ask } from "./api.js";
import { at, formatBytes, formatDuration, formatNumber, make, makeState, repeat } from "./dom.js";
import { attempt } from "./page.js";
import { Plot } from "./plots.js";

const LOOK_MS = 5000;

const rates = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });
const perSecond = n => `${rates.format(n)}/s`;

// What is drawn: each line is a name, a colour, and where its numbers are in GET /history.
const plots = [
  { plot: new Plot("Callbacks", perSecond), isRate: true, lines: [
    ["stored", "good", ({ callbacks }) => callbacks.stored], ["duplicate", "blue", ({ callbacks }) => callbacks.duplicate],
    ["malformed", "wait", ({ callbacks }) => callbacks.malformed], ["refused", "bad", ({ callbacks }) => callbacks.refused]] },
  { plot: new Plot("Latency, until it is on disk", formatDuration), isRate: false, lines: [
    ["p50", "blue", history => history.durable_p50_ms], ["p99", "violet", history => history.durable_p99_ms]] },
  { plot: new Plot("Errors", perSecond), isRate: true, lines: [
    ["answers 5xx", "bad", history => history.answers_5xx], ["refused", "wait", ({ callbacks }) => callbacks.refused],
    ["dead letters", "violet", ({ deliveries }) => deliveries.dead]] },
  { plot: new Plot("Deliveries", perSecond), isRate: true, lines: [
    ["done", "good", ({ deliveries }) => deliveries.done], ["retry", "wait", ({ deliveries }) => deliveries.retry],
    ["dead", "bad", ({ deliveries }) => deliveries.dead]] },
  { plot: new Plot("Subscribers", formatNumber), isRate: false, lines: [["now", "brass", history => history.subscribers]] },
];

// ---- now ----

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
    ["furthest behind", formatNumber(subscribers.lag)],
  ].map(makeTile));
}

// ---- before ----

const POINTS = 180;

// The last point has not ended yet, so it is not drawn.
function pointsOf({ step, until }, values, isRate) {
  const end = Date.parse(until) - values.length * step * 1000;
  return values.slice(0, -1).map((y, i) => ({ x: end + (i + 1) * step * 1000, y: isRate ? y / step : y }));
}

function showHistory(history, span) {
  const max = Date.parse(history.until);
  for (const { plot, isRate, lines } of plots)
    plot.show(lines.map(([name, look, find]) => ({ name, look, points: pointsOf(history, find(history), isRate) })), max - span * 1000, max);
}

async function look() {
  const span = Number(at("range").querySelector(":checked").value);
  const step = Math.ceil(span / POINTS / 10) * 10;
  const [status, history] = await Promise.all([ask("status"), ask("history", { span, step }), import("./chart.js")]);
  showNow(status);
  showHistory(history, span);
}

function forget() {
  for (const { plot } of plots)
    plot.forget();
}

at("plots").replaceChildren(...plots.map(({ plot }) => plot.element));
at("range").onchange = () => attempt(look);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", forget);

export const status = { title: "Status", enter: () => repeat(() => attempt(look), LOOK_MS) };
