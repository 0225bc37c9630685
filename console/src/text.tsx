// The one way texts of others reach a page.
import type { ComponentChildren } from "preact";
import { pieces, tokens } from "./inert";
import type { Token } from "./inert";
import { coloured } from "./tokens";

function shown(text: string, lines: boolean): ComponentChildren {
  return pieces(text, lines).map((piece) => ("plain" in piece ? piece.plain : <Hidden name={piece.name} />));
}

function Hidden({ name }: { name: string }) {
  return <span class="hidden-character" title="a character that cannot be seen">{name}</span>;
}

/** A text of a caller, a target or an identity provider, within a line. */
export function Inert({ text }: { text: string | null | undefined }) {
  return <bdi class="inert">{shown(text ?? "", false)}</bdi>;
}

/** A text of a caller with its own lines. */
export function InertLines({ text, label }: { text: string; label: string }) {
  return <pre class="inert" dir="ltr" tabIndex={0} role="region" aria-label={label}>{shown(text, true)}</pre>;
}

function Coloured({ all, label }: { all: Token[]; label: string }) {
  return (
    <pre class="inert statement" dir="ltr" tabIndex={0} role="region" aria-label={label}>
      {all.map((token) =>
        token.kind ? <span class={`sql-${token.kind}`}>{shown(token.text, true)}</span> : shown(token.text, true))}
    </pre>
  );
}

/** A statement with its own lines, coloured. */
export function Statement({ text, label }: { text: string; label: string }) {
  return <Coloured all={tokens(text)} label={label} />;
}

/** A rule with its own lines, coloured. */
export function RuleText({ text, label }: { text: string; label: string }) {
  return <Coloured all={coloured(text, "cedar")} label={label} />;
}
