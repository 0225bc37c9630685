import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { bytes, flat, HIDDEN, pieces, tokens } from "../src/inert";

const shown = (text: string, lines = false) =>
  pieces(text, lines).map((piece) => ("plain" in piece ? piece.plain : `[${piece.name}]`)).join("");

test("what a screen would obey or hide is written out", () => {
  assert.equal(shown("plain é 漢 🙂"), "plain é 漢 🙂");
  assert.equal(shown("a\u202eb\u2066"), "a[U+202E]b[U+2066]");
  assert.equal(shown("x\u200b\u200d\ufeff"), "x[U+200B][U+200D][U+FEFF]");
  assert.equal(shown("\x1b[2J\x9b31m\x7f\r\n"), "[U+001B][2J[U+009B]31m[U+007F][U+000D][U+000A]");
  assert.equal(shown("\u{e0041}\u2028"), "[U+E0041][U+2028]");
  assert.equal(shown("\ud83d alone"), "[U+D83D] alone");
  assert.equal(shown("a\n\r\tb", true), "a\n[U+000D][⇥]b");
  assert.equal(shown("<img src=x onerror=alert(1)>"), "<img src=x onerror=alert(1)>");
});

test("the characters are those of the command line", () => {
  const rust = readFileSync("../crates/verify/src/visible.rs", "utf8");
  const list = /fn is_hidden[\s\S]*?\n\}/.exec(rust)?.[0] ?? "";
  const ranges = [...list.matchAll(/0x([0-9A-F]+)(?:\.\.=0x([0-9A-F]+))?/g)]
    .map(([, first, last]) => [parseInt(first ?? "", 16), parseInt(last ?? first ?? "", 16)]);
  assert.ok(ranges.length > 20);
  assert.deepEqual(HIDDEN, ranges);
});

test("a text for a notification is one line and short", () => {
  assert.equal(flat("a\nb\u202e"), "a⟨U+000A⟩b⟨U+202E⟩");
  assert.equal(flat("x".repeat(300), 10), `${"x".repeat(10)}…`);
  assert.equal(bytes("é漢"), 5);
});

test("tokens are the whole statement, whatever it is", () => {
  const kinds = (text: string) => tokens(text).filter((token) => token.kind).map((token) => `${token.kind}:${token.text}`);
  assert.deepEqual(kinds("DELETE FROM orders WHERE id = 5 AND s = 'it''s'"),
    ["word:DELETE", "word:FROM", "word:WHERE", "number:5", "word:AND", "text:'it''s'"]);
  // A comment that is none must not look like one.
  assert.deepEqual(kinds("SELECT E'\\'--', f()"), ["word:SELECT", "text:E'\\'--'"]);
  assert.deepEqual(kinds('select 1 -- drop\n, "from"'), ["word:select", "number:1", "comment:-- drop", 'name:"from"']);
  for (const text of ["", "'", "/* x", "$a$ 'x' $b$ $a$ y", '"', "$", "E'\\", "E'\\".repeat(5000), "a\u202e'b\n--", "x".repeat(30_000)]) {
    assert.equal(tokens(text).map((token) => token.text).join(""), text);
  }
});
