import assert from "node:assert/strict";
import { test } from "node:test";
import { gravity, isProduction, undo } from "../src/facts";
import type { Review } from "../src/types";

test("what destroys is told apart from what changes and what reads", () => {
  assert.equal(gravity("DELETE · delete shop.public.orders"), "destroys");
  assert.equal(gravity("WITH · read shop.public.a, delete shop.public.b"), "destroys");
  assert.equal(gravity("UPDATE · update shop.public.orders"), "changes");
  assert.equal(gravity("SELECT · read shop.public.orders"), "reads");
  assert.equal(gravity("SELECT · read shop.public.a, execute shop.public.f"), "changes");
  assert.equal(gravity(""), "changes");
});

test("production is unmistakable", () => {
  assert.deepEqual(["production", "PROD-eu", "test", "staging"].map(isProduction), [true, true, false, false]);
});

test("nobody is promised that something can be undone", () => {
  const review = (operation: string, rehearsal?: unknown) => ({ ask: { operation }, rehearsal }) as unknown as Review;
  assert.match(undo(review("DELETE · delete a.b.c")), /^Not by Portcullis/);
  assert.match(undo(review("DELETE · delete a.b.c", { stage: "open" })), /rolls it back/);
  assert.match(undo(review("DELETE · delete a.b.c", { stage: "undone", seen: { changed: 3 } })), /no more than 3 rows/);
});
