// Texts of others, made harmless: whatever a screen might obey or hide is told apart, to be written out. The same
// characters as on the command line (crates/verify/src/visible.rs); a test compares the two lists.

/** A run of characters that show as they are, or one that does not. */
export type Piece = { plain: string } | { hidden: number; name: string };

/** First and last code points of what is not shown as it is. */
export const HIDDEN: readonly (readonly [number, number])[] = [
  [0x00, 0x1f], [0x7f, 0x9f], [0xad, 0xad], [0x034f, 0x034f], [0x061c, 0x061c], [0x115f, 0x1160], [0x17b4, 0x17b5],
  [0x180b, 0x180f], [0x200b, 0x200f], [0x2028, 0x202e], [0x2060, 0x206f], [0x27e8, 0x27e8], [0x2800, 0x2800],
  [0x3164, 0x3164], [0xe000, 0xf8ff], [0xfe00, 0xfe0f], [0xfeff, 0xfeff], [0xffa0, 0xffa0], [0xfff0, 0xfffb],
  [0xfffe, 0xffff], [0x1bca0, 0x1bca3], [0x1d173, 0x1d17a], [0xe0000, 0x10ffff],
];

/** Half of a pair without the other half is no character at all. */
const SURROGATES = [0xd800, 0xdfff] as const;

function isHidden(point: number): boolean {
  const within = ([first, last]: readonly [number, number]) => first <= point && point <= last;
  return HIDDEN.some(within) || within(SURROGATES);
}

/** What people call a character that cannot be seen. */
export function nameOf(point: number): string {
  return `U+${point.toString(16).toUpperCase().padStart(4, "0")}`;
}

const TAB = 0x09;

/** A text in pieces. Line feeds stay where it is shown in lines of its own, and tabs are arrows. */
export function pieces(text: string, lines: boolean): Piece[] {
  const out: Piece[] = [];
  let plain = "";
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    if (!isHidden(point) || (lines && point === 0x0a)) {
      plain += character;
      continue;
    }
    if (plain) out.push({ plain });
    plain = "";
    out.push({ hidden: point, name: lines && point === TAB ? "⇥" : nameOf(point) });
  }
  if (plain) out.push({ plain });
  return out;
}

/** A text for places that take no elements, such as a title or a notification. */
export function flat(text: string, most = 200): string {
  const all = pieces(text, false).map((piece) => ("plain" in piece ? piece.plain : `⟨${piece.name}⟩`)).join("");
  const points = [...all];
  return points.length > most ? `${points.slice(0, most).join("")}…` : all;
}

/** Bytes of a text as it is sent. */
export function bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** A statement in words, by kind, for colours and nothing else. */
export type Token = { kind: "word" | "text" | "number" | "comment" | "name" | ""; text: string };

const WORDS = new Set(
  ("ADD ALL ALTER ANALYZE AND ANY AS ASC BEGIN BETWEEN BY CASCADE CASE CAST CHECK COLUMN COMMIT CONSTRAINT COPY CREATE " +
    "CROSS DATABASE DEFAULT DELETE DESC DISTINCT DO DROP ELSE END EXCEPT EXECUTE EXISTS EXPLAIN FALSE FOR FOREIGN FROM " +
    "FULL FUNCTION GRANT GROUP HAVING IF ILIKE IN INDEX INNER INSERT INTERSECT INTO IS JOIN KEY LATERAL LEFT LIKE LIMIT " +
    "LOCK MATERIALIZED MERGE NATURAL NOT NULL OF OFFSET ON ONLY OR ORDER OUTER OVER PARTITION PREPARE PRIMARY REFERENCES " +
    "REINDEX RENAME RESTRICT RETURNING REVOKE RIGHT ROLE ROLLBACK SCHEMA SELECT SEQUENCE SET TABLE TEMP TEMPORARY THEN TO " +
    "TRIGGER TRUE TRUNCATE UNION UNIQUE UPDATE USING VACUUM VALUES VIEW WHEN WHERE WITH").split(" "),
);
const TOKEN =
  /(?<comment>--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|(?<text>[eE]'(?:[^'\\]|''|\\[\s\S])*(?:'|\\?$)|'(?:[^']|'')*(?:'|$)|\$(\w*)\$[\s\S]*?(?:\$\3\$|$))|(?<name>"(?:[^"]|"")*(?:"|$))|(?<number>\b\d[\d.]*\b)|(?<word>[A-Za-z_][\w$]*)/g;

/** Longest text that is coloured: beyond it colours only cost time. */
const MOST_COLOURED = 20_000;

/** A statement in tokens, which together are the whole of it. */
export function tokens(text: string): Token[] {
  if (text.length > MOST_COLOURED) return [{ kind: "", text }];
  const out: Token[] = [];
  let at = 0;
  for (const match of text.matchAll(TOKEN)) {
    if (match.index > at) out.push({ kind: "", text: text.slice(at, match.index) });
    const found = match.groups ?? {};
    const kind = (["comment", "text", "name", "number"] as const).find((k) => found[k] !== undefined);
    const isWord = found["word"] !== undefined && WORDS.has(match[0].toUpperCase());
    out.push({ kind: kind ?? (isWord ? "word" : ""), text: match[0] });
    at = match.index + match[0].length;
  }
  if (at < text.length) out.push({ kind: "", text: text.slice(at) });
  return out;
}
