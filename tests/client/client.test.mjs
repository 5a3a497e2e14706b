// SPDX-License-Identifier: Apache-2.0
// What no real gateway can be made to do at the right moment: node --test client.test.mjs
import assert from "node:assert";
import { once } from "node:events";
import { createServer } from "node:http";
import nodeTest from "node:test";
import { Belfry } from "../../core/web/belfry.js";

delete globalThis.WebSocket;  // which newer ones have

// Takes connections and says what it is told to. `streams` and `pages` are the requests, each to be waited for in turn.
class FakeGateway {
  static async start(context, options) {
    const gateway = new FakeGateway();
    gateway.server = createServer((request, response) => {
      const url = new URL(request.url, "http://gateway");
      const kind = url.pathname === "/events" ? "pages" : "streams";
      const token = request.headers.authorization?.replace("Bearer ", "") ?? null;
      gateway[kind].put({ query: Object.fromEntries(url.searchParams), token, response });
    });
    gateway.server.listen(0, "127.0.0.1");
    await once(gateway.server, "listening");
    const belfry = new Belfry(`http://127.0.0.1:${gateway.server.address().port}/subscribe`, options);
    belfry.addEventListener("error", event => event.preventDefault());
    context.after(() => {
      belfry.close();
      gateway.server.closeAllConnections();
      gateway.server.close();
    });
    return [gateway, belfry];
  }

  streams = new Line();
  pages = new Line();

  // The next stream, as far as `subscribed`.
  async welcome({ position = "e-0", recovered = true, ...more } = {}) {
    const stream = await this.streams.take();
    stream.response.writeHead(200, { "Content-Type": "text/event-stream" });
    stream.say = message => stream.response.write(`event: ${message.type}\ndata: ${JSON.stringify(message)}\n\n`);
    stream.say({ type: "welcome", session: "s", position, ping: 25, ...more });
    for (const id of Object.keys(JSON.parse(stream.query.filters)))
      stream.say({ type: "subscribed", id, recovered, position });
    return stream;
  }
}

// Values that are taken in the order in which they were put.
class Line {
  #values = [];
  #takers = [];

  put(value) {
    const taker = this.#takers.shift();
    taker ? taker(value) : this.#values.push(value);
  }

  take() {
    return this.#values.length ? this.#values.shift() : new Promise(resolve => this.#takers.push(resolve));
  }
}

const event = n => ({ type: "event", position: `e-${n}`, received_at: "2026-04-27T15:00:00Z", source: "cronofy", tags: {},
  interactions: [{ type: "change" }], callback: { n } });

function answer({ response }, ...numbers) {
  response.end(JSON.stringify({ events: numbers.map(event), position: `e-${numbers.at(-1)}`, more: false, recovered: true }));
}

function refuse({ response }, status, error) {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify({ error, message: error }));
}

async function takeNumbers(messages, n) {
  const numbers = [];
  while (numbers.length < n)
    numbers.push((await messages.take()).callback.n);
  return numbers;
}

const test = (name, run) => nodeTest(name, { timeout: 20000 }, run);
const upTo = n => Array.from({ length: n }, (_, i) => i + 1);
const passed = (belfry, type) => new Promise(resolve => belfry.addEventListener(type, resolve, { once: true }));

test("what a page and the connection both bring comes once", async context => {
  const [gateway, belfry] = await FakeGateway.start(context), messages = new Line();
  belfry.subscribe({}, message => messages.put(message), { after: "earliest" });
  const stream = await gateway.welcome({ position: "e-1" });
  const page = await gateway.pages.take();
  assert.strictEqual(page.query.after, undefined);
  stream.say(event(2));
  stream.say(event(3));
  answer(page, 1, 2);
  assert.deepStrictEqual(await takeNumbers(messages, 3), [1, 2, 3]);
  for (const n of [2, 3, 4])
    stream.say(event(n));
  assert.deepStrictEqual(await takeNumbers(messages, 1), [4]);
});

test("what is ahead of the connection in a page comes once, too", async context => {
  const [gateway, belfry] = await FakeGateway.start(context), messages = new Line();
  belfry.subscribe({}, message => messages.put(message), { last: 2 });
  const stream = await gateway.welcome({ position: "e-9" });
  const page = await gateway.pages.take();
  assert.strictEqual(page.query.last, "2");
  answer(page, 9, 10);
  assert.deepStrictEqual(await takeNumbers(messages, 2), [9, 10]);
  stream.say(event(10));
  stream.say(event(11));
  assert.deepStrictEqual(await takeNumbers(messages, 1), [11]);
});

test("more than can be held is read from the journal", async context => {
  const [gateway, belfry] = await FakeGateway.start(context), messages = new Line(), passing = new Line();
  belfry.subscribe({}, message => messages.put(message), { after: "e-0" });
  belfry.subscribe({}, message => passing.put(message));
  const stream = await gateway.welcome();
  const page = await gateway.pages.take();
  const n = 1200;
  upTo(n).forEach(i => stream.say(event(i)));
  assert.deepStrictEqual(await takeNumbers(passing, n), upTo(n));
  answer(page, 1);
  const next = await gateway.pages.take();
  assert.strictEqual(next.query.after, "e-1");
  answer(next, ...upTo(n).slice(1));
  assert.deepStrictEqual(await takeNumbers(messages, n), upTo(n));
});

test("a page is asked for until it is there", async context => {
  const [gateway, belfry] = await FakeGateway.start(context), messages = new Line();
  belfry.subscribe({}, message => messages.put(message), { after: "e-0" });
  await gateway.welcome({ position: "e-1" });
  refuse(await gateway.pages.take(), 503, "unavailable");
  const page = await gateway.pages.take();
  page.response.write('{"events":[');
  page.response.destroy();
  answer(await gateway.pages.take(), 1);
  assert.deepStrictEqual(await takeNumbers(messages, 1), [1]);
});

test("the gateway's advice is obeyed", async context => {
  const [gateway, belfry] = await FakeGateway.start(context);
  belfry.subscribe({}, () => {});
  const stream = await gateway.welcome({ position: "e-7" });
  const told = passed(belfry, "disconnect");
  stream.say({ type: "disconnect", code: 1012, reason: "restart", reconnect: true, after_ms: 17 });
  assert.strictEqual((await told).afterMs, 17);
  const next = await gateway.welcome({ position: "e-7" });
  assert.strictEqual(next.query.after, "e-7");
  const stopped = passed(belfry, "error");
  next.say({ type: "disconnect", code: 4502, reason: "malformed message", reconnect: false });
  assert.strictEqual((await stopped).error.code, 4502);
  assert.strictEqual(belfry.state, "closed");
});

test("only what will not pass is the end", async context => {
  const [gateway, belfry] = await FakeGateway.start(context);
  belfry.subscribe({}, () => {});
  for (const status of [500, 502, 429])
    refuse(await gateway.streams.take(), status, "later");
  const stopped = passed(belfry, "error");
  refuse(await gateway.streams.take(), 403, "origin");
  assert.strictEqual((await stopped).error.code, "origin");
  assert.strictEqual(belfry.state, "closed");
});

test("a stream goes on with the next token before the last one expires", async context => {
  const tokens = ["one", "two"];
  const [gateway, belfry] = await FakeGateway.start(context, { getToken: () => tokens.shift() });
  belfry.subscribe({}, () => {});
  const first = await gateway.welcome({ position: "e-3", expires_in: 1 });
  const second = await gateway.welcome({ position: "e-3", expires_in: 3600 });
  assert.deepStrictEqual([first.token, second.token, second.query.after], ["one", "two", "e-3"]);
});

test("a token that was good and is not any more is replaced, once", async context => {
  let n = 0;
  const [gateway, belfry] = await FakeGateway.start(context, { getToken: async () => `token-${++n}` });
  belfry.subscribe({}, () => {});
  (await gateway.welcome({ expires_in: 3600 })).response.end();
  const again = await gateway.streams.take();
  refuse(again, 401, "unauthorized");
  const stopped = passed(belfry, "error"), next = await gateway.streams.take();
  refuse(next, 401, "unauthorized");
  assert.deepStrictEqual([again.token, next.token, (await stopped).error.code], ["token-1", "token-2", "unauthorized"]);
});

test("getToken may fail, in every way, and is asked again", async context => {
  const ways = [() => { throw new Error("at once"); }, () => Promise.reject(new Error("later")), () => "token"];
  const [gateway, belfry] = await FakeGateway.start(context, { getToken: () => ways.shift()() });
  const errors = [];
  belfry.addEventListener("error", ({ error }) => errors.push([error.code, error.cause.message]));
  belfry.subscribe({}, () => {});
  assert.strictEqual((await gateway.welcome()).token, "token");
  assert.deepStrictEqual(errors, [["token", "at once"], ["token", "later"]]);
});

test("another journal is a gap, and a purged one says so itself", async context => {
  const [gateway, belfry] = await FakeGateway.start(context), messages = new Line(), gaps = [];
  belfry.addEventListener("gap", ({ after, resumedAt }) => gaps.push([after, resumedAt]));
  belfry.subscribe({}, message => messages.put(message));
  (await gateway.welcome({ position: "d-8" })).response.end();
  const other = await gateway.welcome({ position: "e-2", recovered: false });
  assert.strictEqual(other.query.after, "d-8");
  other.say(event(3));
  assert.deepStrictEqual(await takeNumbers(messages, 1), [3]);
  other.response.end();
  const purged = await gateway.welcome({ position: "e-3", recovered: false });
  purged.say({ type: "gap", after: "e-3", resumed_at: "e-9" });
  purged.say(event(9));
  assert.deepStrictEqual(await takeNumbers(messages, 1), [9]);
  assert.deepStrictEqual(gaps, [["d-8", "e-2"], ["e-3", "e-9"]]);
});

for (const state of ["connecting", "live", "waiting"])
  test(`it may be closed by whoever hears that it is ${state}`, async context => {
    const [gateway, belfry] = await FakeGateway.start(context, { getToken: async () => "token" });
    const closed = new Promise(resolve => belfry.addEventListener("state", event => {
      if (event.state === state)
        belfry.close();
      if (event.state === "closed")
        resolve();
    }));
    belfry.subscribe({}, () => {}, { last: 1 });
    if (state !== "connecting")
      (await gateway.welcome()).response.end();
    await closed;
    await new Promise(resolve => setImmediate(resolve));  // an unhandled rejection would be a failure
    assert.throws(() => belfry.subscribe({}, () => {}), { code: "closed" });
  });

test("which of several is refused is found out, though a probe fails", async context => {
  const [gateway, belfry] = await FakeGateway.start(context);
  const ended = name => passed(subscriptions[name], "error");
  const subscriptions = Object.fromEntries(["mine", "yours"].map(name =>
    [name, belfry.subscribe({ tags: { name } }, () => {})]));
  refuse(await gateway.streams.take(), 403, "forbidden");
  answer(await gateway.pages.take(), 1);
  refuse(await gateway.pages.take(), 503, "unavailable");
  refuse(await gateway.streams.take(), 403, "forbidden");
  answer(await gateway.pages.take(), 1);
  const yours = ended("yours");
  refuse(await gateway.pages.take(), 403, "forbidden");
  assert.strictEqual((await yours).error.code, "forbidden");
  const { query } = await gateway.welcome();
  assert.deepStrictEqual(Object.values(JSON.parse(query.filters)), [{ tags: { name: ["mine"] } }]);
});
