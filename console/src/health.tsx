// How everything stands that the gateway needs.
import { useEffect, useState } from "preact/hooks";
import { post, Problem } from "./api";
import { useAsked } from "./asked";
import { Findings } from "./findings";
import { useKeys } from "./keys";
import { Heading } from "./route";
import { useNow, useStore } from "./store";
import { Inert } from "./text";
import { moment, span } from "./time";
import type { Finding, Health as Found } from "./types";

/** Findings by what was looked at, the worst first. */
export function grouped(findings: Finding[]): [string, Finding[]][] {
  const groups = new Map<string, Finding[]>();
  for (const finding of findings) groups.set(finding.check, [...(groups.get(finding.check) ?? []), finding]);
  const worst = (all: Finding[]) => Math.max(...all.map(({ status }) => ["ok", "warning", "failure"].indexOf(status)));
  return [...groups].sort(([, one], [, other]) => worst(other) - worst(one));
}

export function Health() {
  const { connected } = useStore();
  const now = useNow();
  const { found, error, again } = useAsked<Found>("/api/v1/health", (found) => found?.running != null);
  const [wrong, setWrong] = useState("");
  const look = async () => {
    try {
      await post("/api/v1/health", {});
      setWrong("");
    } catch (problem) {
      setWrong(problem instanceof Problem ? problem.message : String(problem));
    }
    again();
  };
  const never = found !== undefined && found.last === null && found.running === null;
  useEffect(() => {
    if (never) void look();
  }, [never]);
  useKeys({ v: () => void look() });
  const last = found?.last;
  return (
    <main>
      <Heading title="Health">Health</Heading>
      <p class="row">
        <span class="spread">What <code>portcullis doctor</code> looks at, looked at by the gateway itself{connected ? "" : ", which cannot be reached now"}.</span>
        <button type="button" onClick={look} disabled={found?.running != null}>Look again <kbd>v</kbd></button>
      </p>
      <p class="error" role="alert"><Inert text={error || wrong} /></p>
      <p role="status">
        {found?.running != null ? "Looking at everything…" : last && <>Looked at <time dateTime={moment(last.at).utc} title={moment(last.at).utc}>{span(now - last.at)} ago</time>,
          in {last.milliseconds} ms: {last.status === "ok" ? "all is well." : last.status === "warning" ? "it works, and something is to be looked at." : "something does not work."}</>}
      </p>
      <div class="sections">
        {grouped(last?.findings ?? []).map(([check, all]) => (
          <section class="part" key={check} aria-label={check}><h2>{check.replaceAll("_", " ")}</h2><Findings all={all} /></section>
        ))}
      </div>
    </main>
  );
}
