// SPDX-License-Identifier: Apache-2.0
// How an event is shown, and asked for, wherever it is.

import { make, makeName, makeState } from "./dom.js";

const kinds = { conferencing_assigned: "good", conferencing_failing: "bad" };

export const nameOf = ({ type, subtype }) => subtype ? `${type} · ${subtype}` : type;

const makeInteraction = one => make("span", { className: `chip ${kinds[one.type] ?? ""}` }, makeName(nameOf(one)));

export function makeInteractions({ malformed, interactions = [] }) {
  return malformed ? [makeState("malformed")] : interactions.map(makeInteraction);
}

export const tagsOf = ({ tags = {} }) => Object.entries(tags).map(([name, value]) => `${name}=${value}`);

// What people type: words with blanks or commas between them; and among them tags, each a name and a value.
export const wordsOf = text => text.split(/[\s,]+/).filter(Boolean);

export function readTags(text) {
  return wordsOf(text).map(tag => {
    const [name, ...value] = tag.split("=");
    return [name, value.join("=")];
  });
}

export function summaryOf(callback) {
  const summary = callback?.event?.summary;
  return typeof summary === "string" ? summary.slice(0, 200) : "";
}
