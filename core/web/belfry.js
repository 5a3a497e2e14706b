// SPDX-License-Identifier: Apache-2.0
// Belfry's client, for pages and for Node 18 and later. README.md shows how it is used, protocol.md what it speaks.
//
// All subscriptions share one connection, a WebSocket or an event stream, and its cursor: the position up to which
// everything has come. Whatever ends a connection, the next one goes on behind that. Each subscription has a cursor
// of its own, too, and takes nothing but what lies behind it: this makes "in order, each once", whoever repeats what.
//
// A subscription that wants more than the connection brings, or whose reader is too slow for it, is behind. It reads
// pages (GET /events) until it has caught up, and holds back what the connection brings meanwhile. So a slow reader is
// a cursor into the journal, as everywhere in Belfry: it costs memory for so many messages, and nothing is lost.

const FIRST_WAIT_MS = 1000, LONGEST_WAIT_MS = 30000;  // between two connections
const OPEN_MS = 15000;                 // a connection or a page that takes longer is taken for lost
const PROBE_MS = 5000;                 // so long whoever is asked for a sign of life may take
const BLOCKED_MS = 600000;             // so long nobody tries again whether a WebSocket gets through
const LONGEST_TIMER_MS = 2 ** 31 - 1;  // what setTimeout() can count
const MAX_WAITING = 1000;              // messages held back, or waiting for a reader
const PAGE_EVENTS = 100;

/** Why a subscription, or everything, has ended. `code`: a close code, an HTTP status, or one of the protocol's words. */
export class BelfryError extends Error {
  constructor(code, message, options) {
    super(message, options);
    this.name = "BelfryError";
    this.code = code;
  }
}

class Notice extends Event {
  constructor(type, details) {
    super(type, { cancelable: type === "error" });
    Object.assign(this, details);
  }
}

// False if somebody has taken it, by preventDefault().
function tell(target, type, details) {
  return target.dispatchEvent(new Notice(type, details));
}

function randomWait(nFailures) {
  return Math.random() * Math.min(FIRST_WAIT_MS * 2 ** nFailures, LONGEST_WAIT_MS);
}

// Until the time is over, or the signal ends it.
function wait(ms, signal) {
  return new Promise(resolve => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    if (signal.aborted)
      done();
  });
}

// ---- positions ----

// Behind the journal's name, a position is a number without zeros in front. Another journal is news.
function isAfter(position, cursor) {
  if (cursor === null)
    return true;
  const [journal, number] = position.split("-"), [itsJournal, itsNumber] = cursor.split("-");
  return journal !== itsJournal || number.length > itsNumber.length
    || (number.length === itsNumber.length && number > itsNumber);
}

// ---- filters: tests/vectors/filters.json has their rules in examples ----

const LISTS = ["interactions", "subtypes", "sources", "event_ids"];
const MAX_MEMBERS = 128;

const isObject = value => typeof value === "object" && value !== null && !Array.isArray(value);
const isMember = value => typeof value === "string" && value !== "" && !value.includes("\0");

function readMembers(key, value) {
  const members = [].concat(value);
  if (!members.length || members.length > MAX_MEMBERS || !members.every(isMember))
    throw new TypeError(`${key}: a string, or a list of 1 to ${MAX_MEMBERS} strings, none of them empty`);
  if (key === "interactions" && members.some(member => member.slice(0, -1).includes("*")))
    throw new TypeError(`${key}: a star may stand only at the end`);
  return members;
}

function readTags(tags) {
  if (!isObject(tags) || !Object.keys(tags).every(isMember))
    throw new TypeError("tags: an object of names, none of them empty, and values");
  return Object.fromEntries(Object.entries(tags).map(([name, value]) => [name, readMembers(`tags.${name}`, value)]));
}

/** A copy in which each list is a list. Throws a TypeError for what the gateway would refuse. */
export function readFilter(filter) {
  if (!isObject(filter))
    throw new TypeError("a filter is an object");
  return Object.fromEntries(Object.entries(filter).map(([key, value]) => {
    if (key === "tags")
      return [key, readTags(value)];
    if (!LISTS.includes(key))
      throw new TypeError(`a filter has no key ${JSON.stringify(key)}`);
    return [key, readMembers(key, value)];
  }));
}

const covers = (pattern, type) => pattern.endsWith("*") ? type.startsWith(pattern.slice(0, -1)) : type === pattern;

/** Whether what readFilter() gave matches { source, event_id, interactions, tags }. */
export function matches(filter, event) {
  const has = (list, value) => !list || list.includes(value);
  const isWanted = ({ type, subtype }) =>
    (filter.interactions ?? ["*"]).some(pattern => covers(pattern, type)) && has(filter.subtypes, subtype);
  return has(filter.sources, event.source) && has(filter.event_ids, event.event_id)
    && Object.entries(filter.tags ?? {}).every(([name, values]) => values.includes(event.tags[name]))
    && ((!filter.interactions && !filter.subtypes) || event.interactions.some(isWanted));
}

// What filters look at, of an event or an outcome.
function attributesOf(message) {
  const { source, tags } = message;
  if (message.type === "outcome")
    return { source, tags, event_id: message.event_id, interactions: [{ ...message, type: message.interaction }] };
  return { source, tags, event_id: message.callback.event?.event_id, interactions: message.interactions };
}

// ---- subscriptions ----

// Null: live. Otherwise what pages begin with.
function readStart({ after, last }) {
  after ??= "latest";
  if (last != null && after !== "latest")
    throw new TypeError("after and last exclude each other");
  if (last != null && !(Number.isInteger(last) && last >= 1 && last <= 100))
    throw new RangeError("last: a number from 1 to 100");
  if (!/^(earliest|latest|[a-z0-9]+-[0-9]+)$/.test(after))
    throw new TypeError('after: a position, "earliest" or "latest"');
  return last != null ? { last } : after !== "latest" ? { after } : null;
}

// What the connection has to know of a subscription. Its owner sees it as a Subscription.
class Feed {
  constructor(id, filter, callback, options, catchUp) {
    this.id = id;
    this.filter = readFilter(filter);
    this.hasOutcomes = Boolean(options.outcomes);
    this.start = readStart(options);
    this.callback = callback;
    this.catchUp = catchUp;   // begins to read pages
    this.isAccepted = false;  // the gateway has said `subscribed`
    // What is not behind it has been taken, or is not wanted; null: not known yet.
    this.cursor = this.start?.after?.includes("-") ? this.start.after : null;
    this.held = this.start ? [] : null;  // what the connection brings while pages are read; null: no pages are
    this.isMissing = false;   // more came than can be held: only pages have it
    this.queue = [];          // without a callback: what waits to be read
    this.given = null;        // the position that the reader has got to
    this.wake = () => {};     // of a reader that waits, or of whoever waits for the reader
    this.error = null;
    this.ending = new AbortController();
    this.subscription = null;
  }

  get isEnded() {
    return this.ending.signal.aborted;
  }

  get position() {
    return this.queue.length ? this.given : this.cursor;
  }

  // From the connection.
  offer(message, attributes) {
    if ((message.type === "outcome" && !this.hasOutcomes) || !matches(this.filter, attributes))
      return;
    if (!this.held && this.queue.length >= MAX_WAITING) {
      this.hold();
      this.catchUp();
    }
    if (!this.held)
      this.take(message);
    else if (this.held.length < MAX_WAITING)
      this.held.push(message);
    else
      this.isMissing = true;
  }

  take(message) {
    if (this.isEnded || !isAfter(message.position, this.cursor))
      return;
    this.cursor = message.position;
    if (this.callback) {
      this.call(message);
    } else {
      this.queue.push(message);
      this.wake();
    }
  }

  // Whatever it throws is its own: told as an error that nobody caught, while everything else goes on.
  call(message) {
    try {
      this.callback.call(undefined, message);
    } catch (error) {
      queueMicrotask(() => { throw error; });
    }
  }

  // Nothing that it wants lies before this position.
  pass(position) {
    if (!this.held && this.cursor !== null && isAfter(position, this.cursor))
      this.cursor = position;
  }

  // From now on the connection's messages are held, as a page is on its way.
  hold() {
    this.held = [];
    this.isMissing = false;
  }

  release() {
    const held = this.held;
    this.held = null;
    for (const message of held)
      this.offer(message, attributesOf(message));
  }

  sleep() {
    return new Promise(resolve => { this.wake = resolve; });
  }

  // Until a reader has read everything.
  async drain() {
    while (this.queue.length && !this.isEnded)
      await this.sleep();
  }

  end(error = null) {
    if (this.isEnded)
      return;
    this.error = error;
    this.ending.abort();
    this.wake();
  }
}

export class Subscription extends EventTarget {
  #feed;
  #unsubscribe;

  constructor(feed, unsubscribe) {
    super();
    this.#feed = feed;
    this.#unsubscribe = unsubscribe;
    feed.subscription = this;
  }

  get position() {
    return this.#feed.position;
  }

  unsubscribe() {
    this.#unsubscribe();
  }

  // One reader; what it does not read waits for it. Leaving the loop unsubscribes.
  async *[Symbol.asyncIterator]() {
    const feed = this.#feed;
    if (feed.callback)
      throw new TypeError("messages of this subscription go to its callback");
    try {
      for (;;) {
        while (!feed.queue.length && !feed.isEnded)
          await feed.sleep();
        if (!feed.queue.length)
          break;
        const message = feed.queue.shift();
        feed.given = message.position;
        if (!feed.queue.length)
          feed.wake();
        yield message;
      }
      if (feed.error)
        throw feed.error;
    } finally {
      this.unsubscribe();
    }
  }
}

// ---- connections ----
// Both kinds tell their owner received(message), and ended(end) with what a `disconnect` message would say; a WebSocket
// also opened(send). What they return closes them.

function openSocket(url, owner) {
  let socket;
  try {
    socket = new WebSocket(url.href.replace(/^http/, "ws"), "belfry.v1");
  } catch ({ message }) {  // a page over TLS, and a gateway without
    queueMicrotask(() => owner.ended({ code: 1006, reason: message }));
    return () => {};
  }
  socket.onopen = () => owner.opened(message => socket.send(JSON.stringify(message)));
  socket.onmessage = ({ data }) => owner.received(JSON.parse(data));
  socket.onclose = ({ code, reason }) => owner.ended({ code, reason: reason || "the connection broke" });
  return () => socket.close();
}

// Takes off what is complete; returns what is left of the text.
function takeEvents(text, owner) {
  let start = 0;
  for (let stop; (stop = text.indexOf("\n\n", start)) >= 0; start = stop + 2) {
    const lines = text.slice(start, stop).split("\n").filter(line => line.startsWith("data: "));
    if (lines.length)  // else a comment: something on the way keeps the connection alive
      owner.received(JSON.parse(lines.map(line => line.slice(6)).join("\n")));
  }
  return text.slice(start);
}

function get(url, token, accept, signal) {
  const headers = token ? { Accept: accept, Authorization: `Bearer ${token}` } : { Accept: accept };
  return fetch(url, { headers, signal, cache: "no-store" });
}

async function readRefusal(answer) {
  const { error = answer.status, message = `HTTP status ${answer.status}` } = await answer.json().catch(() => ({}));
  return { status: answer.status, code: error, reason: message };
}

async function readStream(url, token, signal, owner) {
  const answer = await get(url, token, "text/event-stream", signal);
  if (!answer.ok)
    return readRefusal(answer);
  const reader = answer.body.getReader(), decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done)
      return { code: 1006, reason: "the stream has ended" };
    text = takeEvents(text + decoder.decode(value, { stream: true }), owner);
  }
}

function openStream(url, token, owner) {
  const ending = new AbortController();
  readStream(url, token, ending.signal, owner)
    .catch(({ message }) => ({ code: 1006, reason: message }))
    .then(owner.ended);
  return () => ending.abort();
}

// A query in which "+" is a plus and a blank is %20.
function withQuery(url, parameters) {
  const pairs = Object.entries(parameters).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return new URL(`?${pairs.join("&")}`, url);
}

// ---- what an end means ----

const STOPS = new Set([1002, 1003, 1007, 1008, 1009]);  // close codes: our own mistakes
const PASSING = new Set([404, 408, 421, 425, 429]);     // statuses below 500 of something that is not ready yet

function mustStop({ status, code, reconnect }) {
  if (reconnect !== undefined)
    return !reconnect;
  return status ? status < 500 && !PASSING.has(status) : STOPS.has(code) || code >= 4500;
}

const isTokenRefused = ({ status, code }) => status === 401 || code === 4501;
const isWishRefused = ({ status, code }) => (status === 400 || status === 403) && code !== "origin";

// ---- the client ----

export class Belfry extends EventTarget {
  #url;
  #eventsUrl;
  #getToken;
  #feeds = new Map();
  #nFeeds = 0;              // ever: their ids
  #state = "idle";
  #link = null;             // the connection that counts; what another one says is not heard
  #position = null;         // where the next one goes on
  #nFailures = 0;           // in a row
  #nBlocked = 0;            // WebSockets in a row that ended without a word
  #blockedUntil = Infinity;
  #hasOpened = false;       // a WebSocket got through, once
  #token = null;
  #isTokenGood = false;     // the gateway has taken it, once
  #renewAt = Infinity;
  #asking = null;           // a promise of a token
  #mayHurry = true;         // nobody said how long to wait
  #isSyncing = false;
  #timers = {};
  #wakes = [[globalThis, "online"], [globalThis, "pageshow"], [globalThis.document, "visibilitychange"],
    [globalThis.document, "resume"]];

  constructor(url, { getToken = null, eventsUrl = "events" } = {}) {
    super();
    this.#url = new URL(url, globalThis.location?.href);
    this.#url.protocol = this.#url.protocol.replace(/^ws/, "http");
    this.#eventsUrl = new URL(eventsUrl, this.#url);
    this.#getToken = getToken;
    for (const [target, type] of this.#wakes)
      target?.addEventListener?.(type, this.#wake);
  }

  get state() {
    return this.#state;
  }

  get transport() {
    return this.#link?.isWelcome ? (this.#link.isSocket ? "websocket" : "stream") : null;
  }

  subscribe(filter, callback, options) {
    if (this.#state === "closed")
      throw new BelfryError("closed", "this client is closed");
    if (typeof callback !== "function")
      [callback, options] = [null, callback ?? options];
    const feed = new Feed(`s${++this.#nFeeds}`, filter, callback, options ?? {}, () => this.#catchUp(feed));
    this.#feeds.set(feed.id, feed);
    this.#sync();
    return new Subscription(feed, () => this.#end(feed));
  }

  close() {
    for (const feed of this.#feeds.values())
      feed.end();
    this.#finish();
  }

  // -- what is wanted, and what the connection knows of it --

  // Whatever one turn of the program changes is one change for the gateway.
  #sync() {
    if (this.#isSyncing)
      return;
    this.#isSyncing = true;
    queueMicrotask(() => {
      this.#isSyncing = false;
      if (this.#state !== "closed")
        this.#adapt();
    });
  }

  #adapt() {
    const link = this.#link;
    if (!this.#feeds.size) {
      this.#drop();
      this.#position = null;
      this.#setState("idle");
    } else if (!link && this.#state === "idle") {
      this.#connect();
    } else if (link?.isStarted) {
      const added = [...this.#feeds.values()].filter(feed => !link.feeds.has(feed.id));
      if (added.length && !link.isSocket)
        this.#connect();  // a stream asks once
      else if (added.length)
        this.#ask(link, added);
      for (const id of [...link.feeds].filter(id => !this.#feeds.has(id))) {
        link.feeds.delete(id);
        link.send?.({ type: "unsubscribe", id });
      }
    }
  }

  #makeWish(feeds) {
    return {
      filters: Object.fromEntries(feeds.map(feed => [feed.id, feed.filter])),
      outcomes: feeds.some(feed => feed.hasOutcomes),
    };
  }

  #ask(link, feeds, start) {
    const id = `ask-${++link.nAsked}`;
    for (const feed of feeds)
      link.feeds.add(feed.id);
    link.asked.set(id, feeds);
    link.send({ type: "subscribe", id, ...this.#makeWish(feeds), ...start });
  }

  #end(feed, error) {
    if (!this.#feeds.delete(feed.id))
      return;
    feed.end(error);
    this.#sync();
    if (error)
      this.#report(error, feed);
  }

  // -- connections --

  async #connect() {
    this.#drop();
    const link = this.#link = {
      isSocket: this.#prefersSocket(), close: null, send: null, after: this.#position,
      feeds: new Set(), asked: new Map(), nAsked: 0,  // ids that the gateway knows; what it was asked for, and how often
      isStarted: false, isWelcome: false, hasHeard: false, heardAt: Date.now(), silenceMs: OPEN_MS,
    };
    this.#setState("connecting");
    if (link !== this.#link)  // whoever was told has closed
      return;
    this.#watch();
    let token;
    try {
      token = await this.#takeToken();
    } catch (cause) {
      this.#onNoToken(link, cause);
      return;
    }
    if (link === this.#link)
      this.#open(link, token);
  }

  #open(link, token) {
    const owner = {
      opened: send => link === this.#link && this.#onOpened(link, send, token),
      received: message => link === this.#link && this.#onMessage(link, message),
      ended: end => link === this.#link && this.#onEnded(link, end),
    };
    if (link.isSocket) {
      link.close = openSocket(this.#url, owner);
      return;
    }
    const feeds = [...this.#feeds.values()], { filters, outcomes } = this.#makeWish(feeds);
    const start = link.after ? { after: link.after } : {};
    link.feeds = new Set(this.#feeds.keys());
    link.isStarted = true;
    const url = withQuery(this.#url, { filters: JSON.stringify(filters), outcomes, ...start });
    link.close = openStream(url, token, owner);
  }

  #onOpened(link, send, token) {
    link.send = send;
    link.isStarted = true;
    if (token)
      send({ type: "auth", token });
    this.#ask(link, [...this.#feeds.values()], link.after ? { after: link.after } : {});
  }

  // A WebSocket, unless something on the way lets none through: then the stream works, which is as good.
  #prefersSocket() {
    const isBlocked = this.#nBlocked >= (this.#hasOpened ? 3 : 1);
    return Boolean(globalThis.WebSocket) && (!isBlocked || Date.now() > this.#blockedUntil);
  }

  #noteBlocked(link, { status }) {
    if (link.hasHeard || status || !link.close)
      return;
    this.#nBlocked = link.isSocket ? this.#nBlocked + 1 : 0;
    this.#blockedUntil = Infinity;
  }

  #noteOpen(link) {
    if (link.isSocket) {
      this.#nBlocked = 0;
      this.#hasOpened = true;
    } else {
      this.#blockedUntil = Math.min(this.#blockedUntil, Date.now() + BLOCKED_MS);
    }
  }

  #drop() {
    for (const timer of Object.values(this.#timers))
      clearTimeout(timer);
    const link = this.#link;
    this.#link = this.#asking = null;
    link?.close?.();
  }

  #finish() {
    this.#feeds.clear();
    this.#drop();
    for (const [target, type] of this.#wakes)
      target?.removeEventListener?.(type, this.#wake);
    this.#setState("closed");
  }

  // -- its end --

  #onEnded(link, end) {
    this.#noteBlocked(link, end);
    if (isTokenRefused(end) && this.#isTokenGood)
      this.#comeBack({ ...end, after_ms: 0 });  // it was good once: with a new one
    else if (isWishRefused(end) && !link.isSocket)
      this.#sortOut([...link.feeds].map(id => this.#feeds.get(id)).filter(Boolean), end);
    else if (mustStop(end))
      this.#stop(isTokenRefused(end) ? { ...end, code: "unauthorized" } : end);
    else if (link.isSocket && !this.#prefersSocket())
      this.#comeBack({ ...end, after_ms: 0 });  // the stream is tried at once
    else
      this.#comeBack(end);
    if (isTokenRefused(end) || end.code === 4002)
      this.#token = null;
  }

  #comeBack({ code, reason, after_ms }) {
    const afterMs = after_ms ?? randomWait(this.#nFailures++);
    this.#drop();
    this.#mayHurry = after_ms === undefined;
    this.#timers.retry = setTimeout(() => this.#connect(), Math.min(afterMs, LONGEST_TIMER_MS));
    this.#setState("waiting");
    tell(this, "disconnect", { code, reason, reconnect: true, afterMs });
  }

  #stop({ code, reason }) {
    const error = new BelfryError(code, reason);
    const feeds = [...this.#feeds.values()];
    this.#finish();
    for (const feed of feeds) {
      feed.end(error);
      tell(feed.subscription, "error", { error });
    }
    tell(this, "disconnect", { code, reason, reconnect: false, afterMs: null });
    this.#report(error);
  }

  // As with errors that a page does not handle: one that nobody takes is in the console.
  #report(error, feed = null) {
    const isTaken = feed && (!feed.callback || !tell(feed.subscription, "error", { error }));
    if (tell(this, "error", { error, subscription: feed?.subscription ?? null }) && !isTaken)
      console.error(error);
  }

  // A wish for several was refused, and not said which: each is tried alone, and those that are refused end.
  async #sortOut(feeds, end) {
    this.#drop();
    const link = this.#link = {};
    const refused = new Map();
    this.#setState("connecting");
    try {
      const token = await this.#takeToken();
      for (const feed of feeds.length > 1 ? feeds : []) {
        const answer = await this.#getPage(feed, { after: "latest", limit: 1 }, token);
        const refusal = answer.ok ? null : await readRefusal(answer);
        if (refusal && !isWishRefused(refusal))
          throw new BelfryError(refusal.code, refusal.reason);
        if (refusal)
          refused.set(feed, refusal);
      }
    } catch ({ message }) {
      if (link === this.#link)
        this.#comeBack({ code: 1006, reason: message });
      return;
    }
    if (link === this.#link)
      this.#endRefused(feeds, refused, end);
  }

  #endRefused(feeds, refused, end) {
    if (!refused.size)  // it was the only one; or all together are too much: the newest go
      refused = new Map(feeds.filter(feed => feeds.length === 1 || !feed.isAccepted).map(feed => [feed, end]));
    if (!refused.size) {
      this.#stop(end);
      return;
    }
    for (const [feed, { code, reason }] of refused)
      this.#end(feed, new BelfryError(code, reason));
    if (this.#feeds.size)
      this.#connect();
  }

  // -- silence --

  // The gateway says something every `ping` seconds. If it does not, twice, it is gone, though TCP may not know for hours.
  // (Somebody may set the clock: then it looks like silence, which costs a connection and nothing else.)
  #watch() {
    const link = this.#link;
    const silentMs = Math.abs(Date.now() - link.heardAt);
    clearTimeout(this.#timers.watch);
    if (silentMs >= link.silenceMs)
      this.#onEnded(link, { code: 1006, reason: "the gateway has fallen silent" });
    else
      this.#timers.watch = setTimeout(() => this.#watch(), link.silenceMs - silentMs);
  }

  // The page is looked at again, or the network is back: whoever waits need not, and what is silent may be dead.
  #wake = () => {
    const link = this.#link;
    if (globalThis.document?.visibilityState === "hidden")
      return;
    if (this.#state === "waiting" && this.#mayHurry) {
      this.#nFailures = 0;
      this.#connect();
    } else if (link?.isWelcome) {
      this.#watch();
      if (link === this.#link && link.send)
        this.#probe(link);
    }
  };

  // A stream cannot be asked: it has its interval.
  #probe(link) {
    const sinceMs = Date.now();
    link.send({ type: "ping" });
    clearTimeout(this.#timers.probe);
    this.#timers.probe = setTimeout(() => {
      if (link.heardAt < sinceMs)
        this.#onEnded(link, { code: 1006, reason: "the gateway does not answer" });
    }, PROBE_MS);
  }

  // -- tokens --

  async #takeToken() {
    if (!this.#getToken || (this.#token && Date.now() < this.#renewAt))
      return this.#token;
    this.#asking ??= this.#askForToken().finally(() => { this.#asking = null; });
    return this.#asking;
  }

  async #askForToken() {
    const token = await this.#getToken.call(undefined);
    this.#isTokenGood = false;
    this.#renewAt = Infinity;
    return this.#token = token || null;
  }

  #onNoToken(link, cause) {
    if (link !== this.#link)
      return;
    this.#comeBack({ code: "token", reason: String(cause?.message ?? cause) });
    this.#report(new BelfryError("token", "getToken() failed", { cause }));
  }

  // Some time before it expires, and not all pages at the same moment.
  #planRenewal(link, expiresIn) {
    this.#isTokenGood = true;
    if (expiresIn === undefined || !this.#getToken)
      return;
    const ms = Math.max(expiresIn * 1000 * (0.75 + 0.15 * Math.random()), FIRST_WAIT_MS);
    this.#renewAt = Date.now() + ms;
    this.#timers.renew = setTimeout(() => this.#renew(link), Math.min(ms, LONGEST_TIMER_MS));
  }

  async #renew(link, nFailures = 0) {
    let token;
    try {
      token = await this.#takeToken();
    } catch (cause) {
      if (link === this.#link) {
        this.#timers.renew = setTimeout(() => this.#renew(link, nFailures + 1), randomWait(nFailures));
        this.#report(new BelfryError("token", "getToken() failed", { cause }));
      }
      return;
    }
    if (link !== this.#link)
      return;
    if (link.send && token)
      link.send({ type: "auth", token });
    else
      this.#connect();  // with the new one
  }

  // -- messages --

  #acts = {
    welcome: (link, message) => this.#onWelcome(link, message),
    authorized: (link, { expires_in }) => this.#planRenewal(link, expires_in),
    subscribed: (link, message) => this.#onSubscribed(link, message),
    event: (link, message) => this.#deliver(message),
    outcome: (link, message) => this.#deliver(message),
    position: (link, { position }) => this.#pass(position),
    gap: (link, { after, resumed_at }) => this.#tellGap(after, resumed_at),
    error: (link, message) => this.#onError(link, message),
    disconnect: (link, message) => this.#onEnded(link, message),
  };

  #onMessage(link, message) {
    link.heardAt = Date.now();
    link.hasHeard = true;
    this.#acts[message.type]?.(link, message);
  }

  #onWelcome(link, { position, expires_in, ping }) {
    link.isWelcome = true;
    link.silenceMs = 2 * ping * 1000;
    this.#noteOpen(link);
    this.#watch();
    this.#planRenewal(link, expires_in);
    this.#position ??= position;
    for (const id of link.feeds)
      this.#join(this.#feeds.get(id), position);
  }

  // What has been before is not for it, unless it asked for that.
  #join(feed, position) {
    if (feed && !feed.start)
      feed.cursor ??= position;
  }

  #onSubscribed(link, { id, recovered, position }) {
    const feed = this.#feeds.get(id);
    if (!recovered && !link.hasLost) {
      link.hasLost = true;
      this.#onLost(link, position);
    }
    this.#nFailures = 0;
    if (isAfter(position, this.#position))
      this.#position = position;
    this.#setState("live");
    if (!feed)
      return;
    this.#join(feed, position);
    if (!feed.isAccepted) {
      feed.isAccepted = true;
      tell(feed.subscription, "subscribed", {});
      if (feed.held)
        this.#catchUp(feed);
    }
  }

  // The journal is another one than it was. (Where it is the same and was purged, the gateway says `gap` next.)
  #onLost(link, position) {
    if (position === link.after)
      return;
    this.#position = position;
    for (const feed of this.#feeds.values())
      if (!feed.held)
        feed.cursor = position;
    this.#tellGap(link.after, position);
  }

  #deliver(message) {
    const attributes = attributesOf(message);
    if (isAfter(message.position, this.#position))
      this.#position = message.position;
    for (const feed of this.#feeds.values())
      if (feed.held || feed.cursor !== null)
        feed.offer(message, attributes);
  }

  #pass(position) {
    if (isAfter(position, this.#position))
      this.#position = position;
    for (const feed of this.#feeds.values())
      feed.pass(position);
  }

  #tellGap(after, resumedAt) {
    for (const feed of this.#feeds.values())
      tell(feed.subscription, "gap", { after, resumedAt });
    tell(this, "gap", { after, resumedAt, subscription: null });
  }

  #onError(link, { id, code, message }) {
    const feeds = link.asked.get(id), end = { code, reason: message };
    if (code === "unauthorized")
      this.#stop(end);
    else if (feeds || !link.isSocket)
      this.#sortOut((feeds ?? [...this.#feeds.values()]).filter(feed => !feed.isEnded), end);
    else if (this.#feeds.has(id))  // a new token grants less
      this.#end(this.#feeds.get(id), new BelfryError(code, message));
  }

  // -- pages --

  async #getPage(feed, range, token) {
    const ending = new AbortController(), end = () => ending.abort();
    const timer = setTimeout(end, OPEN_MS);
    const filters = JSON.stringify({ [feed.id]: feed.filter });
    feed.ending.signal.addEventListener("abort", end);
    try {
      const url = withQuery(this.#eventsUrl, { filters, outcomes: feed.hasOutcomes, ...range });
      const answer = await get(url, token, "application/json", ending.signal);
      return new Response(await answer.arrayBuffer(), answer);
    } finally {
      clearTimeout(timer);
      feed.ending.signal.removeEventListener("abort", end);
    }
  }

  // Tries until there is an answer; null: it has ended meanwhile.
  async #readPage(feed) {
    const { last } = feed.start ?? {};
    const start = feed.cursor !== null ? { after: feed.cursor } : last ? { last } : {};
    for (let nFailures = 0; !feed.isEnded; nFailures++) {
      try {
        const answer = await this.#getPage(feed, { ...start, limit: PAGE_EVENTS }, await this.#takeToken());
        if (answer.ok)
          return await answer.json();
        const refusal = await readRefusal(answer);
        if (refusal.status === 401)
          this.#token = null;
        else if (mustStop(refusal))
          this.#end(feed, new BelfryError(refusal.code, refusal.reason));
      } catch {
        // as good as no answer
      }
      if (!feed.isEnded)
        await wait(randomWait(nFailures), feed.ending.signal);
    }
    return null;
  }

  async #catchUp(feed) {
    for (let page = { more: true }; page.more || feed.isMissing;) {
      await feed.drain();
      feed.hold();
      page = await this.#readPage(feed);
      if (!page || feed.isEnded)
        return;
      this.#takePage(feed, page);
    }
    feed.release();
  }

  #takePage(feed, { events, position, gap, recovered }) {
    if (gap || !recovered)
      this.#tellGapOf(feed, gap ?? { after: feed.cursor, resumed_at: position });
    for (const message of events)
      feed.take(message);
    feed.cursor = position;
  }

  #tellGapOf({ subscription }, { after, resumed_at }) {
    tell(subscription, "gap", { after, resumedAt: resumed_at });
    tell(this, "gap", { after, resumedAt: resumed_at, subscription });
  }

  #setState(state) {
    if (state === this.#state)
      return;
    this.#state = state;
    tell(this, "state", { state });
  }
}
