import assert from "node:assert/strict";
import { test } from "node:test";
import { count, countdown, moment, span } from "../src/time";

test("spans are rounded down", () => {
  const of = (seconds: number) => span(seconds * 1_000_000);
  assert.deepEqual([-5, 0, 59.9, 60, 599, 600, 3600, 7260, 48 * 3600].map(of),
    ["0 s", "0 s", "59 s", "1 min 0 s", "9 min 59 s", "10 min", "1 h 0 min", "2 h 1 min", "2 days"]);
  assert.deepEqual([581, 5.9, -1].map((s) => countdown(s * 1_000_000)), ["9:41", "0:05", "0:00"]);
  assert.equal(count(48210), "48\u202f210");
  assert.equal(moment(0).utc, "1970-01-01T00:00:00.000Z");
});
