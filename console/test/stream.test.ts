import assert from "node:assert/strict";
import { test } from "node:test";
import { Lines } from "../src/stream";

test("events are told whole, however they were cut", () => {
  const stream = ': here\n\nevent: reviews\ndata: [{"a":"x: y"}]\n\nevent: freezes\r\ndata: null\r\n\r\nevent: cut\ndata: 1\n';
  for (let size = 1; size <= stream.length; size++) {
    const told: unknown[] = [];
    const lines = new Lines((kind, data) => told.push([kind, data]));
    for (let at = 0; at < stream.length; at += size) lines.add(stream.slice(at, at + size));
    assert.deepEqual(told, [["reviews", [{ a: "x: y" }]], ["freezes", null]]);
  }
});
