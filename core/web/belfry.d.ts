// SPDX-License-Identifier: Apache-2.0
// Types of belfry.js. What a message holds is in protocol.md.

/** All keys given must match; a list matches if one of its members does; a string stands for a list of one. */
export interface Filter {
  /** Types of interactions; a star may end one: "conferencing_*". */
  interactions?: string | string[];
  subtypes?: string | string[];
  sources?: string | string[];
  event_ids?: string | string[];
  tags?: Record<string, string | string[]>;
}

export interface Interaction {
  type: string;
  subtype?: string;
}

/** What the provider sent: `callback` is its body. */
export interface EventMessage {
  type: "event";
  position: string;
  received_at: string;
  source: string;
  interactions: Interaction[];
  tags: Record<string, string>;
  /** Of a callback that came with a trace context. */
  traceparent?: string;
  callback: any;
}

/** What a handler did about an event. */
export interface OutcomeMessage {
  type: "outcome";
  position: string;
  event_position: string;
  at: string;
  source: string;
  event_id: string;
  interaction: string;
  subtype?: string;
  tags: Record<string, string>;
  handler: string;
  state: "done" | "retry" | "dead";
  attempt: number;
  detail: string;
}

export type Message = EventMessage | OutcomeMessage;

export interface SubscribeOptions {
  /** Where to begin: a position that was seen, "earliest", or "latest" (the default). */
  after?: string | null;
  /** Begin with so many of the newest events that match: 1 to 100. */
  last?: number | null;
  /** Outcomes as well. */
  outcomes?: boolean;
}

export type SubscribeOptionsWithOutcomes = SubscribeOptions & { outcomes: true };

/** Something was lost for good between two positions: whoever shows more than the newest should load anew. */
export interface GapEvent extends Event {
  readonly after: string | null;
  readonly resumedAt: string;
  /** Whose; null: of all. */
  readonly subscription?: Subscription<any> | null;
}

/** Something needs somebody. Without preventDefault() it is in the console, too. */
export interface ErrorEvent extends Event {
  readonly error: BelfryError;
  /** Whose; null: everything has ended, or a token is missing. */
  readonly subscription?: Subscription<any> | null;
}

export interface SubscriptionEventMap {
  /** The gateway knows it: what comes from now on will be seen. */
  subscribed: Event;
  gap: GapEvent;
  error: ErrorEvent;
}

export class Subscription<M = Message> extends EventTarget implements AsyncIterable<M> {
  private constructor();
  /** How far it is; null before it has begun. Give it back as `after`. */
  readonly position: string | null;
  unsubscribe(): void;
  /** Only without a callback, and once. Leaving the loop unsubscribes. */
  [Symbol.asyncIterator](): AsyncGenerator<M, void, undefined>;
  addEventListener<K extends keyof SubscriptionEventMap>(
    type: K, listener: (event: SubscriptionEventMap[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(
    type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof SubscriptionEventMap>(
    type: K, listener: (event: SubscriptionEventMap[K]) => void, options?: boolean | EventListenerOptions): void;
  removeEventListener(
    type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions): void;
}

export type State = "idle" | "connecting" | "live" | "waiting" | "closed";

export interface StateEvent extends Event {
  readonly state: State;
}

/** A connection has ended, or could not be made. */
export interface DisconnectEvent extends Event {
  /** A close code, an HTTP status, or one of the protocol's words. */
  readonly code: number | string;
  readonly reason: string;
  readonly reconnect: boolean;
  readonly afterMs: number | null;
}

export interface BelfryEventMap {
  state: StateEvent;
  disconnect: DisconnectEvent;
  gap: GapEvent;
  error: ErrorEvent;
}

export interface BelfryOptions {
  /** A token of your own backend's; called before the first connection, and again before it expires. */
  getToken?: (() => string | null | undefined | Promise<string | null | undefined>) | null;
  /** Where pages of events are read, if that is not /events beside the subscribers' path. */
  eventsUrl?: string | URL;
}

export class Belfry extends EventTarget {
  /** The subscribers' address: "https://gateway.example.com/subscribe". */
  constructor(url: string | URL, options?: BelfryOptions);
  readonly state: State;
  readonly transport: "websocket" | "stream" | null;
  subscribe(filter: Filter, options: SubscribeOptionsWithOutcomes): Subscription<Message>;
  subscribe(filter: Filter, options?: SubscribeOptions): Subscription<EventMessage>;
  subscribe(filter: Filter, callback: (message: Message) => void, options: SubscribeOptionsWithOutcomes): Subscription<Message>;
  subscribe(filter: Filter, callback: (message: EventMessage) => void, options?: SubscribeOptions): Subscription<EventMessage>;
  /** Ends all subscriptions. Nothing of it is left: no connection, no timer, no listener. */
  close(): void;
  addEventListener<K extends keyof BelfryEventMap>(
    type: K, listener: (event: BelfryEventMap[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(
    type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof BelfryEventMap>(
    type: K, listener: (event: BelfryEventMap[K]) => void, options?: boolean | EventListenerOptions): void;
  removeEventListener(
    type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions): void;
}

/** Why a subscription, or everything, has ended. */
export class BelfryError extends Error {
  constructor(code: number | string, message: string, options?: { cause?: unknown });
  /** A close code, an HTTP status, or a word: "forbidden", "limit", "unauthorized", "token", "closed". */
  readonly code: number | string;
}

/** A filter with each list as a list. Throws a TypeError for what the gateway would refuse. */
export function readFilter(filter: unknown): Filter;

/** Whether a filter from readFilter() matches. */
export function matches(
  filter: Filter,
  event: { source: string; event_id?: string; interactions: Interaction[]; tags: Record<string, string> }): boolean;
