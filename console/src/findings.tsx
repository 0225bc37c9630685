// What a look at something has found.
import { Inert } from "./text";
import type { Finding } from "./types";

const WORDS: Record<string, string> = { ok: "ok", warning: "look at it", failure: "does not work" };

export function Findings({ all }: { all: Finding[] }) {
  return (
    <ul class="findings">
      {all.map((one) => (
        <li>
          <span class={`badge status-${one.status}`}>{WORDS[one.status] ?? one.status}</span>{" "}
          <Inert text={one.found} />
          {one.means && <><br /><span class="quiet">which means: <Inert text={one.means} /></span></>}
          {one.next && <><br />to do: <Inert text={one.next} /></>}
        </li>
      ))}
    </ul>
  );
}
