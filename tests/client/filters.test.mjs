// SPDX-License-Identifier: Apache-2.0
// The client's filters are the gateway's: node --test filters.test.mjs
import assert from "node:assert";
import { readFileSync } from "node:fs";
import test from "node:test";
import { Belfry, matches, readFilter } from "../../core/web/belfry.js";

const vectors = JSON.parse(readFileSync(new URL("../vectors/filters.json", import.meta.url)));

test("matches", () => {
  assert.ok(vectors.matches.length > 50);
  for (const { name, filter, event, matches: expected } of vectors.matches)
    assert.strictEqual(matches(readFilter(filter), event), expected, name);
});

test("what is none is refused before it is sent", () => {
  assert.ok(vectors.malformed.length > 50);
  const belfry = new Belfry("http://127.0.0.1:1/subscribe");
  for (const { name, filter } of vectors.malformed) {
    assert.throws(() => readFilter(filter), TypeError, name);
    assert.throws(() => belfry.subscribe(filter, () => {}), TypeError, name);
  }
  for (const options of [{ last: 0 }, { last: 101 }, { last: 1.5 }, { last: "1" }])
    assert.throws(() => belfry.subscribe({}, options), RangeError, JSON.stringify(options));
  for (const options of [{ after: "yesterday" }, { after: "" }, { after: 7 }, { after: "earliest", last: 1 }])
    assert.throws(() => belfry.subscribe({}, options), TypeError, JSON.stringify(options));
  assert.strictEqual(belfry.state, "idle");
  belfry.close();
  assert.throws(() => belfry.subscribe({}, () => {}), { name: "BelfryError", code: "closed" });
});
