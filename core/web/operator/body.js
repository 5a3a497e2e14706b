// SPDX-License-Identifier: Apache-2.0
// A callback's body, indented and coloured. Nothing of it is changed but the blanks between its words: a number keeps its
// digits, and a text its escapes.

import { make, makeVisible } from "./dom.js";

const LONGEST = 200000;  // characters; beyond, it is shown as it came
const WORD = /("(?:[^"\\]|\\.)*")(\s*:)?|[[\]{},]|[^\s[\]{},:"]+/g;

function kindOf([word, text, colon]) {
  return colon ? "key" : text ? "text" : /^[-0-9tfn]/.test(word) ? "value" : "";
}

function* makeWords(body) {
  let depth = 0, follows = "";
  for (const match of body.matchAll(WORD)) {
    const [word, text, colon] = match;
    const opens = /^[[{]$/.test(word), closes = /^[\]}]$/.test(word);
    depth -= closes;
    if (closes && follows !== "opening" || !closes && ["opening", "comma"].includes(follows))
      yield `\n${"  ".repeat(Math.max(depth, 0))}`;
    depth += opens;
    yield colon ? [make("span", { className: "key" }, ...makeVisible(text)), ": "]
      : make("span", { className: kindOf(match) }, ...makeVisible(word));
    follows = opens ? "opening" : word === "," ? "comma" : "";
  }
}

// What is no JSON, and what is very long, as it came.
export function makePretty(body) {
  try {
    if (body.length > LONGEST)
      return makeVisible(body);
    JSON.parse(body);
  } catch {
    return makeVisible(body);
  }
  return [...makeWords(body)].flat();
}
