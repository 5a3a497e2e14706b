// SPDX-License-Identifier: Apache-2.0
// The event stream, read by fetch, so that the token goes in a header. It comes back by itself, after the last position.

import { Refusal, request, toQuery } from "./api.js";

const FIRST_WAIT_MS = 1000, LONGEST_WAIT_MS = 30000;

// A block of the stream: its data is the lines of one message.
function readBlock(block, receive) {
  const data = block.split("\n").filter(line => line.startsWith("data: ")).map(line => line.slice(6)).join("\n");
  if (data)
    receive(JSON.parse(data));
}

async function readAll(answer, receive) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const blocks = (rest + piece.value).split("\n\n");
    rest = blocks.pop();
    blocks.forEach(block => readBlock(block, receive));
  }
}

export class Stream {
  #query;
  #position;
  #on;
  #controller = null;
  #timer = 0;
  #watch = 0;
  #silenceMs = 60000;  // the gateway says something more often than that, or it is gone
  #nFailures = 0;
  #afterMs;

  // on: { message(message), state(name, words) }; states: connecting, live, waiting, ended
  constructor(query, position, on) {
    this.#query = query;
    this.#position = position;
    this.#on = on;
    this.connect();
  }

  stop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#watch);
    const old = this.#controller;
    this.#controller = null;
    old?.abort();
  }

  async connect() {
    this.stop();
    const mine = this.#controller = new AbortController();
    this.#on.state("connecting", "Connecting");
    this.#listen();
    try {
      const headers = { Accept: "text/event-stream", ...this.#position && { "Last-Event-ID": this.#position } };
      const answer = await request(`watch${toQuery(this.#query)}`, { headers, signal: mine.signal });
      await readAll(answer, message => mine === this.#controller && this.#receive(message));
      this.#comeBack(mine, "The connection has ended.");
    } catch (error) {
      this.#fail(mine, error);
    }
  }

  #fail(mine, error) {
    if (mine !== this.#controller)
      return;
    if (error instanceof Refusal && error.status >= 400 && error.status < 500) {
      this.stop();
      this.#on.state("ended", error.words);
    } else {
      this.#comeBack(mine, error.words ?? "The connection has ended.");
    }
  }

  // The gateway's advice goes first. Otherwise longer and longer, each page at its own moment.
  #comeBack(mine, words) {
    if (mine !== this.#controller)
      return;
    const longest = Math.min(FIRST_WAIT_MS * 2 ** this.#nFailures++, LONGEST_WAIT_MS);
    const waitMs = this.#afterMs ?? longest / 2 + Math.random() * longest / 2;
    this.#afterMs = undefined;
    this.stop();
    this.#on.state("waiting", words);
    this.#timer = setTimeout(() => this.connect(), waitMs);
  }

  #listen() {
    const mine = this.#controller;
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#comeBack(mine, "The gateway has fallen silent."), this.#silenceMs);
  }

  #receive(message) {
    this.#listen();
    if (message.type === "welcome")
      this.#silenceMs = (2 * message.ping + 5) * 1000;
    if (message.type === "subscribed") {
      this.#nFailures = 0;
      this.#on.state("live", "Live");
    }
    if (message.type === "disconnect")
      this.#afterMs = message.after_ms;
    if (message.position && message.type !== "welcome")
      this.#position = message.position;
    try {
      this.#on.message(message);
    } catch (error) {
      reportError(error);  // the page's own fault, which is no reason to leave the gateway
    }
  }
}
