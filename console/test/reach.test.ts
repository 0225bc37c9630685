import assert from "node:assert/strict";
import { test } from "node:test";
import { nature, words } from "../src/reach";
import type { Answer } from "../src/types";

const runs = (request: string): Answer => ({ request, answer: "runs", limits: [] });
const held = (request: string): Answer => ({ request, answer: "held", groups: ["dba", "leads"] });
const refused = (request: string): Answer => ({ request, answer: "refused" });

test("requests that are answered alike are told together", () => {
  assert.deepEqual(words([runs("SELECT"), held("INSERT"), held("UPDATE"), refused("DROP")]), [
    { answer: "runs", requests: "SELECT" },
    { answer: "waits until dba and leads approve it", requests: "INSERT, UPDATE" },
    { answer: "is refused", requests: "DROP" },
  ]);
  assert.deepEqual(words([{ request: "SELECT", answer: "runs", limits: ["7 rows"] }]), [{ answer: "runs, at most 7 rows", requests: "SELECT" }]);
});

test("what a connection is counts exceptions for single tables", () => {
  assert.equal(nature({ answers: [runs("SELECT"), refused("INSERT")], named: [] }), "read-only for you");
  assert.equal(nature({ answers: [runs("SELECT"), held("INSERT")], named: [] }), "changes wait for people");
  const named = [{ object: "public.scratch", answers: [runs("INSERT")] }];
  assert.equal(nature({ answers: [runs("SELECT"), refused("INSERT")], named }), "you may change data");
});
