// SPDX-License-Identifier: Apache-2.0
// The booking page: what Cronofy and the gateway's handlers say of a meeting becomes the state of its card. All that is
// Belfry's is in listen(); the rest is a page like any other.

const REPAIR = "next-profile";  // the handler that tries another provider

const at = id => document.getElementById(id);
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const hours = new Intl.DateTimeFormat(undefined, { weekday: "long", hour: "numeric", minute: "2-digit" });
const month = new Intl.DateTimeFormat(undefined, { month: "short" });

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// ---- cards ----

const cards = new Map();  // by event id
const early = [];         // what was told before the backend had answered

function showMeeting({ event_id, title, start }) {
  const begins = new Date(start);
  const card = make("li", { className: "meeting" },
    make("p", { className: "day" }, make("b", {}, String(begins.getDate())), month.format(begins)),
    make("div", {}, make("h3", {}, title), make("p", { className: "when" }, hours.format(begins))),
    make("p", { className: "status" }, make("span", {}, "Creating the conference…")),
    make("details", {}, make("summary", {}, "What happened"), make("ol")));
  card.querySelector(".status").setAttribute("role", "status");
  cards.set(event_id, card);
  at("meetings").prepend(card);
  at("empty").hidden = true;
  early.splice(0).forEach(onMessage);
}

function setState(card, state, text, ...more) {
  card.className = `meeting ${state}`;
  card.querySelector(".status").replaceChildren(make("span", {}, text), ...more);
}

function note(card, iso, text) {
  const moment = make("time", { dateTime: iso }, clock.format(new Date(iso)));
  card.querySelector("ol").append(make("li", {}, moment, make("span", {}, text)));
}

function makeJoin(url) {
  const isSafe = URL.canParse(url) && new URL(url).protocol === "https:";
  return isSafe ? make("a", { href: url, target: "_blank", rel: "noopener" }, "Join") : "";
}

// ---- what is told of them ----

function onEvent(card, { received_at, interactions, callback: { event: { conferencing } } }) {
  for (const { type, subtype } of interactions) {
    note(card, received_at, subtype ? `${type}: ${subtype}` : type);
    if (type === "conferencing_assigned")
      setState(card, "ready", "Your video conference is ready.", makeJoin(conferencing.join_url));
    else if (type === "conferencing_failing")
      setState(card, "trying", "The conference could not be made yet…");
  }
}

function onOutcome(card, { at: iso, interaction, handler, state, detail }) {
  note(card, iso, `${handler}: ${detail || state}`);
  if (handler !== REPAIR || interaction !== "conferencing_failing" || !card.classList.contains("trying"))
    return;
  if (state === "dead")
    setState(card, "failed", "No provider could make the conference. We will call you.");
  else
    setState(card, "trying", "We are trying another provider…");
}

function onMessage(message) {
  const card = cards.get(message.event_id ?? message.callback.event.event_id);
  if (!card)
    early.push(message);
  else if (message.type === "event")
    onEvent(card, message);
  else
    onOutcome(card, message);
}

const words = { idle: "", connecting: "Connecting", live: "Live", waiting: "Reconnecting", closed: "Not connected" };

async function listen({ gateway, user }) {
  const { Belfry } = await import(`${gateway}/belfry.js`);
  const belfry = new Belfry(`${gateway}/subscribe`, { getToken: async () => (await fetch("token")).text() });

  belfry.addEventListener("state", ({ state }) => {
    at("connection").className = state;
    at("connection").textContent = words[state];
  });
  belfry.addEventListener("gap", () => location.reload());
  belfry.subscribe({ tags: { user } }, onMessage, { last: 100, outcomes: true });
}

// ---- booking ----

function offerTimes() {
  for (const [i, hour] of [9, 11, 14, 16].entries()) {
    const start = new Date();
    start.setDate(start.getDate() + 1 + Math.floor(i / 2));
    start.setHours(hour, 0, 0, 0);
    const radio = make("input", { type: "radio", name: "start", value: start.toISOString(), checked: i === 0 });
    at("times").append(make("label", {}, radio, hours.format(start).replace(/^(\S{3})\S*/, "$1")));
  }
}

at("booking").onsubmit = async event => {
  event.preventDefault();
  at("trouble").textContent = "";
  const body = JSON.stringify(Object.fromEntries(new FormData(event.target)));
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch("bookings", { method: "POST", headers, body }).catch(() => null);
  if (answer?.ok) {
    showMeeting(await answer.json());
    at("yours").scrollIntoView({ block: "nearest", behavior: "smooth" });
  } else {
    at("trouble").textContent = "That did not work. Please try again.";
  }
};

offerTimes();
const { bookings, ...settings } = await (await fetch("bookings")).json();
bookings.forEach(showMeeting);
await listen(settings);
