// SPDX-License-Identifier: Apache-2.0
// What is in force, what a reload would change, and the reload.

import { ask, order } from "./api.js";
import { at, make, makeName, makeTime, plural } from "./dom.js";
import { attempt, say, showTrouble } from "./page.js";

// ---- as YAML: what people wrote themselves ----

const PLAIN = /^[\w./*][\w ./*@%+-]*$/;

function toScalar(value) {
  if (typeof value === "string" && PLAIN.test(value) && !/^(true|false|null|[-+.\d]+)$/.test(value))
    return value;
  return JSON.stringify(value);
}

const isEmpty = value => Object.keys(value).length === 0;
const isNested = value => value !== null && typeof value === "object" && !isEmpty(value);

function* toLines(value, indent) {
  for (const [key, child] of Object.entries(value).filter(([, each]) => each !== null)) {
    const start = Array.isArray(value) ? `${indent}-` : `${indent}${key}:`;
    if (!isNested(child)) {
      yield `${start} ${toScalar(child)}`;
    } else if (Array.isArray(value)) {
      const [first, ...rest] = toLines(child, `${indent}  `);
      yield `${start} ${first.trimStart()}`;
      yield* rest;
    } else {
      yield start;
      yield* toLines(child, `${indent}  `);
    }
  }
}

// ---- the view ----

function showChanges({ changes, complaints }) {
  const isSame = !changes.length && !complaints.length;
  at("changes").replaceChildren(
    make("ul", { className: "complaints" }, ...complaints.map(({ text, is_warning }) =>
      make("li", { className: is_warning ? "" : "bad" }, makeName(text)))),
    make("ul", {}, ...changes.map(({ option, change }) => make("li", {}, makeName(option, "handler"), ` ${change}`))),
    isSame ? make("p", { className: "quiet" }, "Nothing: the files say what is in force.") : "");
}

// One that is refused says what would change, too, and why it does not.
async function tryReload(task) {
  try {
    return await task();
  } catch (error) {
    if (error.status !== 422)
      throw error;
    return error.answer;
  }
}

async function look() {
  const { configuration: { by, loaded_at } } = await ask("status");
  const { configuration } = await ask("configuration");
  at("configuration").textContent = [...toLines(configuration, "")].join("\n");
  at("in-force").replaceChildren("In force since ", makeTime(loaded_at), ", by ", makeName(by));
  showChanges(await tryReload(() => ask("reload")));
}

async function reload() {
  const answer = await attempt(() => tryReload(() => order("reload")));
  if (!answer)
    return;
  if (answer.ok)
    say(`Reloaded: ${plural(answer.changes.length, "change")}.`);
  await attempt(look);
  if (!answer.ok)
    showTrouble(at("trouble"), "The configuration is refused: the one that is in force stays.");
}

at("reload").onclick = reload;

export const configuration = {
  title: "Configuration",
  enter() {
    attempt(look);
    return () => {};
  },
};
