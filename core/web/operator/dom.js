// SPDX-License-Identifier: Apache-2.0
// Elements, made of text. Whatever a callback brings becomes text here, never markup.

export const at = id => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);  // strings become text
  return element;
}

// What somebody else has written, which does not turn the words around it.
export const makeName = (text, className = "") => make("bdi", { className }, text);

// The very text; but what would make a browser turn it around is fenced in, and can be seen.
export function makeVisible(text) {
  const parts = text.split(/([\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069])/);
  return parts.map((part, i) => i % 2 ? make("bdi", { className: "turn", title: codeOf(part) }, part) : part);
}

const codeOf = character => `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

// A link only to where a browser can go anyway, and as it would be written there: nothing hides in it.
export function makeLink(text) {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url && /^https?:$/.test(url.protocol))
    return make("a", { href: url.href, rel: "noopener noreferrer nofollow", target: "_blank" }, url.href);
  return makeName(text);
}

// Pairs of a name and what makes its value: a list of facts. What is undefined is left out.
export function makeFacts(pairs) {
  const known = pairs.filter(([, value]) => ![undefined, null, ""].includes(value) && value.length !== 0);
  return make("dl", { className: "facts" }, ...known.map(([name, value]) =>
    make("div", { className: Array.isArray(value) ? "long" : "" }, make("dt", {}, name), make("dd", {}, ...[value].flat()))));
}

// Cells, each [className, ...children]. On a phone a row is no table's row for the eye; so it says that it is one.
export function makeRow(...cells) {
  return make("tr", { role: "row" }, ...cells.map(([className, ...children]) => make("td", { role: "cell", className }, ...children)));
}

// ---- states ----

const looks = {
  ok: "good", done: "good", live: "good", working: "good",
  due: "wait", claimed: "wait", retry: "wait", behind: "wait", paused: "wait", draining: "wait",
  dead: "bad", damaged: "bad", failed: "bad", reject: "bad", malformed: "bad", failing: "bad", degraded: "bad",
};

export const makeState = (state, ...more) => make("span", { className: `state ${looks[state] ?? ""}` }, state, ...more);

// ---- times and numbers ----

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23",
});
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const numbers = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });

export function makeTime(iso, className = "") {
  const time = new Date(iso);
  const isToday = time.toDateString() === new Date().toDateString();
  return make("time", { dateTime: iso, title: iso, className }, ...isToday ? [] : [make("span", {}, day.format(time)), " "],
    clock.format(time));
}

export const formatNumber = n => numbers.format(n);

export function formatBytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const i = n < 1 ? 0 : Math.min(Math.floor(Math.log2(n) / 10), units.length - 1);
  return `${numbers.format(n / 1024 ** i)} ${units[i]}`;
}

export function formatDuration(ms) {
  if (ms < 1000)
    return `${ms < 10 ? numbers.format(ms) : Math.round(ms)} ms`;
  const steps = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const s = ms / 1000, i = steps.findIndex(([size]) => s >= size);
  if (i === 3)
    return `${numbers.format(s)} s`;
  const [[size, name], [smaller, nameOfSmaller]] = steps.slice(i);
  const rest = Math.floor(s % size / smaller);
  return `${Math.floor(s / size)} ${name}${rest ? ` ${rest} ${nameOfSmaller}` : ""}`;
}

export const plural = (n, one, many = `${one}s`) => `${formatNumber(n)} ${n === 1 ? one : many}`;

// ---- again and again ----

// Runs a task now, and anew `ms` after it has ended. Nothing is asked while nobody looks. What it returns ends it.
export function repeat(task, ms) {
  let timer = 0, isOver = false;
  async function turn() {
    if (!document.hidden)
      await task();
    if (!isOver)
      timer = setTimeout(turn, ms);
  }
  turn();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}
