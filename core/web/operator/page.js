// SPDX-License-Identifier: Apache-2.0
// What every view uses: where one is, what is told, what is asked before something is done.

import { Refusal } from "./api.js";
import { at } from "./dom.js";

// "#dead/POSITION": a view, and an event that is looked into.
export function place() {
  const [view, position] = location.hash.slice(1).split("/");
  return { view: view || "events", position };
}

export const linkTo = (view, position) => `#${view}/${position}`;

export function showTrouble(element, words) {
  element.hidden = !words;
  element.textContent = words;
}

let timer = 0;

export function say(words) {
  clearTimeout(timer);
  showTrouble(at("done"), words);
  timer = setTimeout(() => showTrouble(at("done"), ""), 10000);
}

// Runs a task. Why it failed stands above every view, or elsewhere, until one succeeds; a token that is wanted is asked
// for by itself.
export async function attempt(task, trouble = at("trouble")) {
  try {
    const result = await task();
    showTrouble(trouble, "");
    return result;
  } catch (error) {
    if (!(error instanceof Refusal))
      throw error;
    showTrouble(trouble, error.status === 401 ? "" : error.words);
    return undefined;
  }
}

// Whether the answer is yes.
export function askFirst(words, yes) {
  const dialog = at("question");
  at("question-text").textContent = words;
  at("question-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise(resolve => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
