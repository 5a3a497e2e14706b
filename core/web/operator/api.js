// SPDX-License-Identifier: Apache-2.0
// The gateway's JSON (core/net/admin.md), and who asks it. The token stays in this tab, and is gone with it.

const KEY = "belfry-token";

// Status 0: there was no answer.
export class Refusal extends Error {
  constructor(status, message, answer) {
    super(message);
    this.status = status;
    this.answer = answer;
  }

  get words() {
    return this.status === 0 ? "The gateway cannot be reached." : `The gateway refuses: ${this.message}.`;
  }
}

function lose(error) {
  throw error.name === "AbortError" ? error : new Refusal(0, error.message);
}

// "locked": the gateway wants a token; `detail` says whether it was shown one.
export const session = new EventTarget();

export const hasToken = () => sessionStorage.getItem(KEY) !== null;
export const keepToken = token => sessionStorage.setItem(KEY, token);
export const forgetToken = () => sessionStorage.removeItem(KEY);

// A list has commas between its members. What is empty is left out.
export function toQuery(pairs) {
  const known = Object.entries(pairs).map(([name, value]) => [name, [value].flat().map(encodeURIComponent).join(",")]);
  const text = known.filter(([, value]) => value).map(([name, value]) => `${encodeURIComponent(name)}=${value}`).join("&");
  return text && `?${text}`;
}

async function makeRefusal(answer) {
  const json = await answer.json().catch(() => ({}));
  return new Refusal(answer.status, json.message ?? `the gateway answers ${answer.status}`, json);
}

// The answer, if it is a good one.
export async function request(path, options = {}) {
  const token = sessionStorage.getItem(KEY), headers = { ...options.headers };
  if (token)
    headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit" }).catch(lose);
  if (answer.ok)
    return answer;
  if (answer.status === 401)
    session.dispatchEvent(new CustomEvent("locked", { detail: token !== null }));
  throw await makeRefusal(answer);
}

const readJson = answer => answer.json().catch(lose);

export const ask = async (path, query = {}) => readJson(await request(path + toQuery(query)));

export async function order(path, query = {}, body) {
  const options = body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  return readJson(await request(path + toQuery(query), { method: "POST", ...options }));
}
