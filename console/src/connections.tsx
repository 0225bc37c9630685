// The connections there are: to administrators with where they lead and how that stands.
import { useState } from "preact/hooks";
import { useAsked } from "./asked";
import { Findings } from "./findings";
import { useKeys } from "./keys";
import { Environment } from "./live";
import { Heading, Link } from "./route";
import { may, useNow, useStore } from "./store";
import { Inert } from "./text";
import { span } from "./time";
import type { ConnectionShown, Inside } from "./types";

const some = (list: string[], none: string) => (list.length > 0 ? <Inert text={list.join(", ")} /> : none);

function Within({ inside, name }: { inside: Inside; name: string }) {
  const now = useNow();
  const facts = [
    ["Leads to", <><Inert text={`${inside.host}:${inside.port}`} /> as <Inert text={inside.roles.join(" or ")} /></>],
    ["Lets in", some(inside.groups, "nobody by its group")],
    ["Access", inside.access ? <>for a time, when {inside.access.quorum} of <Inert text={inside.access.group} /> approve</> : "to all it lets in"],
    ["Masks", inside.masks.length === 0 ? "no column" : <>{inside.masks.length} columns</>],
    ["Detectors", inside.detectors ? some(inside.detectors, "none") : "the usual ones"],
    ["Comes from", inside.document ? <>document <Inert text={inside.document} /></> : "the configuration file"],
    ["Rules for all", some(inside.policies, "none")],
    ["Rules that name it", some(inside.named_by, "none")],
  ] as const;
  return (
    <>
      <dl class="fields">{facts.map(([key, value]) => <div><dt>{key}</dt><dd>{value}</dd></div>)}</dl>
      {inside.masks.length > 0 && (
        <details>
          <summary>Masked columns</summary>
          <div class="scroll" tabIndex={0} role="region" aria-label={`Masked columns of ${name}`}>
            <table>
              <thead><tr><th scope="col">column</th><th scope="col">label</th><th scope="col">for whom it is hidden</th></tr></thead>
              <tbody>{inside.masks.map(({ column, label, how }) => (
                <tr><td><Inert text={column} /></td><td><Inert text={label ?? ""} /></td><td>{how}</td></tr>
              ))}</tbody>
            </table>
          </div>
        </details>
      )}
      <p class="quiet">{inside.checked ? `The target was asked ${span(now - inside.checked)} ago:` : <>Nobody has looked yet whether it answers: <Link to="/health">look at everything</Link>.</>}</p>
      <Findings all={inside.findings} />
    </>
  );
}

export function Connections() {
  const { me, sessions } = useStore();
  const { found, error } = useAsked<ConnectionShown[]>("/api/v1/connections", () => true, 5000);
  const [chosen, choose] = useState(0);
  const all = found ?? [];
  const go = (to: number) => {
    const at = Math.max(0, Math.min(all.length - 1, to));
    choose(at);
    document.querySelectorAll<HTMLElement>(".connections > li")[at]?.scrollIntoView({ block: "nearest" });
  };
  useKeys({ j: () => go(chosen + 1), k: () => go(chosen - 1) });
  const now = (one: ConnectionShown) => sessions?.filter(({ connection }) => connection.name === one.name).length ?? one.sessions;
  return (
    <main>
      <Heading title="Connections">Connections</Heading>
      <p>{may(me, "administrator") ? "All there are." : "Those that let you in."} How to connect stands on <Link to="/start">Start</Link>.</p>
      <p class="error" role="alert"><Inert text={error} /></p>
      {found?.length === 0 && <p>There are none for you.</p>}
      <ul class="cards connections">
        {all.map((one, at) => (
          <li key={one.name} class={at === chosen ? "chosen" : undefined} onClick={() => choose(at)}>
            <div class="row">
              <h2 class="spread"><Inert text={one.name} /></h2>
              <Environment connection={{ name: one.name, environment: one.environment, protocol: one.protocol, database: one.database, role: "" }} />
              <span class="quiet">{one.protocol}, database <Inert text={one.database} /></span>
              <span>{now(one)} {now(one) === 1 ? "session" : "sessions"} now</span>
            </div>
            {one.takes_grant && <p class="quiet">It takes access that people give for a time.</p>}
            {one.frozen === null && <p class="warning">Nobody knows what is frozen: agents do nothing here.</p>}
            {(one.frozen ?? []).map((freeze) => (
              <p class="warning">Agents are kept from {freeze.scope === "writes" ? "writing" : "everything"}: <Inert text={freeze.reason} /></p>
            ))}
            {one.inside && <Within inside={one.inside} name={one.name} />}
          </li>
        ))}
      </ul>
    </main>
  );
}
