// SPDX-License-Identifier: Apache-2.0
// A subscriber in Node, for tests in Python: takes orders and tells what it sees, a line of JSON each. When there are no
// more orders it closes, and ends by itself if the client leaves nothing behind.
import { createInterface } from "node:readline";
import { Belfry } from "../../core/web/belfry.js";

const { url, tokenUrl } = JSON.parse(process.argv[2]);
const say = value => process.stdout.write(`${JSON.stringify(value)}\n`);
const getToken = tokenUrl && (async () => (await fetch(tokenUrl)).text());
const belfry = new Belfry(url, { getToken });
const subscriptions = {};
let nToRead = 0, wake = () => {};

for (const type of ["state", "disconnect", "gap", "error"])
  belfry.addEventListener(type, ({ state, code, reason, reconnect, after, resumedAt, error }) =>
    say({ notice: type, state, code: code ?? error?.code, reason: reason ?? error?.message, reconnect, after, resumedAt }));
belfry.addEventListener("error", event => event.preventDefault());

// Reads as many as it was told to.
async function readAll(name, subscription) {
  try {
    for await (const message of subscription) {
      say({ name, ...message });
      while (--nToRead < 0)
        await new Promise(resolve => { wake = resolve; });
    }
    say({ name, ended: true });
  } catch ({ code }) {
    say({ name, ended: code });
  }
}

const orders = {
  subscribe({ name, filter, reads = false, ...options }) {
    const subscription = reads ? belfry.subscribe(filter, options)
      : belfry.subscribe(filter, message => say({ name, ...message }), options);
    subscriptions[name] = subscription;
    subscription.addEventListener("subscribed", () => say({ name, subscribed: true }));
    if (reads)
      readAll(name, subscription);
  },
  unsubscribe: ({ name }) => subscriptions[name].unsubscribe(),
  read({ n }) {
    nToRead = n;
    wake();
  },
  position: ({ name }) => say({ name, at: subscriptions[name].position }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { order, ...what } = JSON.parse(line);
  orders[order](what);
}
belfry.close();
