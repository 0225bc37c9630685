// Cedar and TOML in words, by kind, for colours and nothing else: together they are the whole text.
import type { Token } from "./inert";

const CEDAR =
  /(?<comment>\/\/[^\n]*)|(?<text>"(?:[^"\\\n]|\\.)*(?:"|$))|(?<name>@\w+)|(?<number>\b\d+\b)|(?<word>\b(?:permit|forbid|when|unless|principal|action|resource|context|in|is|has|like|if|then|else|true|false)\b)/gm;
const TOML =
  /(?<comment>#[^\n]*)|(?<text>"""[\s\S]*?(?:"""|$)|"(?:[^"\\\n]|\\.)*(?:"|$)|'[^'\n]*(?:'|$))|(?<name>^[ \t]*\[\[?[^\]\n]*\]?\]?)|(?<number>\b\d[\d_.]*\b)|(?<word>\b(?:true|false)\b|^[ \t]*[\w-]+(?=[ \t]*=))/gm;
const KINDS = ["comment", "text", "name", "number", "word"] as const;

export function coloured(text: string, language: "cedar" | "toml"): Token[] {
  const out: Token[] = [];
  let at = 0;
  for (const match of text.matchAll(language === "cedar" ? CEDAR : TOML)) {
    if (match.index > at) out.push({ kind: "", text: text.slice(at, match.index) });
    const found = match.groups ?? {};
    out.push({ kind: KINDS.find((kind) => found[kind] !== undefined) ?? "", text: match[0] });
    at = match.index + match[0].length;
  }
  if (at < text.length) out.push({ kind: "", text: text.slice(at) });
  return out;
}
