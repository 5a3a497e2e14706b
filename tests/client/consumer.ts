// SPDX-License-Identifier: Apache-2.0
// What a developer writes, for tsc. A line below @ts-expect-error must be an error.
import { Belfry, BelfryError, EventMessage, Filter, Message, OutcomeMessage } from "@belfry/client";

const filter: Filter = { interactions: ["conferencing_*"], tags: { user: "42" } };
const belfry = new Belfry("https://gateway.example.com/subscribe", {
  getToken: async () => (await fetch("/token")).text(),
});
const show = (text: string) => document.body.append(text);

const events = belfry.subscribe(filter, message => show(message.callback.event.summary), { last: 1 });
belfry.subscribe(filter, (message: Message) => {
  if (message.type === "outcome")
    show(`${message.handler}: ${message.detail}`);
  else
    show(message.received_at);
}, { outcomes: true, after: "earliest" });

async function read(): Promise<string | null> {
  const subscription = belfry.subscribe({}, { after: events.position });
  for await (const message of subscription)
    show(message.interactions.map(({ type, subtype }) => `${type} ${subtype ?? ""}`).join());
  for await (const message of belfry.subscribe({}, { outcomes: true })) {
    const one: EventMessage | OutcomeMessage = message;
    show(one.position);
  }
  return subscription.position;
}

belfry.addEventListener("state", ({ state }) => show(state === "live" ? "live" : "…"));
belfry.addEventListener("gap", ({ after, resumedAt }) => show(`${after} ${resumedAt}`));
belfry.addEventListener("disconnect", ({ code, reconnect }) => show(`${code} ${reconnect}`));
belfry.addEventListener("error", event => {
  const error: BelfryError = event.error;
  event.preventDefault();
  show(`${error.code} ${error.message}`);
});
events.addEventListener("subscribed", () => read().finally(() => belfry.close()));
events.unsubscribe();
new Belfry(new URL("wss://gateway.example.com/subscribe"), { eventsUrl: "/elsewhere/events" });

// @ts-expect-error: a key that no filter has
belfry.subscribe({ interaction: "change" }, () => {});
// @ts-expect-error: tags are strings
belfry.subscribe({ tags: { user: 42 } }, () => {});
// @ts-expect-error: nobody asked for outcomes
belfry.subscribe({}, (message: OutcomeMessage) => show(message.detail));
// @ts-expect-error: an option that there is not
belfry.subscribe({}, () => {}, { from: "earliest" });
// @ts-expect-error: it is not said what a token is
new Belfry("https://gateway.example.com/subscribe", { getToken: () => 42 });
// @ts-expect-error: there is no such state
belfry.addEventListener("state", ({ state }) => state === "open");
