// Why something is said to a request: by which rules, what of its answer is masked, and how that could change.
import { useEffect, useState } from "preact/hooks";
import { get, post, Problem } from "./api";
import { Heading, Link } from "./route";
import { may, useStore } from "./store";
import { Inert, RuleText, Statement } from "./text";
import type { Manifest } from "./types";

interface Rule { id: string; effect: "permit" | "forbid"; reason: string; hint: string | null; review: string | null; file?: string; line?: number }
interface Explained {
  who: string; connection: string; statements: string[]; operation: string | null;
  answer: { verdict: "allow" | "hold" | "refuse"; rules: string[]; what: string; reason: string; groups: string[]; masked?: string[]; detectors?: string[] };
  effects: { what: string; rules: Rule[]; failed: string | null }[];
  change: string[]; beside: string[]; catalog_seconds?: number; recorded: string | null;
}
interface InForce { policy: string; files: { file: string; of_pack: boolean; rules: (Rule & { line: number; text: string })[] }[] }

const said = (error: unknown) => (error instanceof Problem ? error.message : String(error));
const BADGES = { allow: "reads", hold: "changes", refuse: "destroys" } as const;

function Answer({ told }: { told: Explained }) {
  const { answer } = told;
  return (
    <section class="part" aria-labelledby="answer">
      <h2 id="answer"><span class={`badge ${BADGES[answer.verdict]}`}>{answer.verdict}</span> by <Inert text={answer.rules.join(", ") || "no rule"} /></h2>
      <p><Inert text={told.who} /> on <Inert text={told.connection} />{told.recorded && <>; when it was recorded: <strong>{told.recorded}</strong></>}</p>
      {told.statements.map((text, at) => <Statement label={`Statement ${at + 1}`} text={text} />)}
      {answer.reason && <p><Inert text={answer.reason} /></p>}
      {told.operation && <p class="last">It does: <Inert text={told.operation} /></p>}
      {answer.groups.length > 0 && <p>Asked: <Inert text={answer.groups.join(" and ")} /></p>}
      {answer.masked && <><h3>Masked in its answer</h3><ul>{answer.masked.map((line) => <li><Inert text={line} /></li>)}</ul></>}
      {answer.detectors && <p class="quiet">In any column, what looks like: {answer.detectors.join(", ")}</p>}
      {told.effects.length > 0 && <h3>Effects, and the rules that match them</h3>}
      <ul>
        {told.effects.map((effect) => (
          <li><Inert text={effect.what} />
            {effect.failed && <p class="warning"><Inert text={effect.failed} /></p>}
            <ul>{effect.rules.map((rule) => (
              <li><span class={`badge ${rule.effect === "forbid" ? "destroys" : "reads"}`}>{rule.effect}</span> <Inert text={rule.id} />
                {rule.file && <span class="quiet"> <Inert text={`${rule.file}:${rule.line}`} /></span>}
                {rule.reason && <>: <Inert text={rule.reason} /></>}{rule.review && <> (lifted by <Inert text={rule.review} />)</>}</li>
            ))}</ul>
          </li>
        ))}
      </ul>
      <h3>How it could be another answer</h3>
      <ul>{told.change.map((line) => <li><Inert text={line} /></li>)}</ul>
      <div class="quiet"><p>What this does not say:</p><ul>{told.beside.map((line) => <li>{line}</li>)}</ul></div>
    </section>
  );
}

/** Asks about a statement that nobody has sent. */
function Ask({ tell }: { tell: (wanted: object) => Promise<void> }) {
  const { me } = useStore();
  const [names, setNames] = useState<string[]>([]);
  const [connection, setConnection] = useState("");
  const [statement, setStatement] = useState("");
  const [other, setOther] = useState("");
  const [groups, setGroups] = useState("");
  const [within, setWithin] = useState(false);
  const administers = may(me, "administrator");
  useEffect(() => {
    const mine = administers
      ? get<{ name: string }[]>("/api/v1/connections").then((all) => all.map((one) => one.name))
      : get<Manifest>("/api/v1/manifest").then((all) => all.connections.map((one) => one.name));
    mine.then((all) => (setNames(all), setConnection((before) => before || (all[0] ?? ""))), () => undefined);
  }, [administers]);
  const submit = (event: Event) => {
    event.preventDefault();
    const named = /^(\w+):(.+)$/.exec(other.trim());
    const principal = named && { kind: named[1], name: named[2], groups: groups.split(",").map((one) => one.trim()).filter(Boolean) };
    void tell({ connection, statement, in_transaction: within, ...(principal ? { principal } : {}) });
  };
  return (
    <form class="part" onSubmit={submit}>
      <label>Connection<select value={connection} onChange={(event) => setConnection(event.currentTarget.value)} required>
        {names.map((name) => <option value={name}>{name}</option>)}
      </select></label>
      <label>Statement<textarea value={statement} rows={4} spellcheck={false} autocapitalize="off" dir="ltr" required
        onInput={(event) => setStatement(event.currentTarget.value)} /></label>
      {administers && (
        <>
          <label>Who asks (<code>agent:claude</code>, <code>person:ana</code>); you, where nobody is named
            <input value={other} pattern="\w+:.+" onInput={(event) => setOther(event.currentTarget.value)} autocomplete="off" autocapitalize="off" /></label>
          <label>Its groups, with commas between<input value={groups} onInput={(event) => setGroups(event.currentTarget.value)} autocomplete="off" autocapitalize="off" /></label>
        </>
      )}
      <label class="inline"><input type="checkbox" checked={within} onChange={(event) => setWithin(event.currentTarget.checked)} /> in a transaction that is open</label>
      <div class="actions"><button type="submit" class="primary">Explain</button></div>
    </form>
  );
}

/** A statement, or what was recorded (`?session=…&entry=…`). */
export function Explain() {
  const asked = new URLSearchParams(location.search);
  const [session, entry] = [asked.get("session"), Number(asked.get("entry"))];
  const [told, set] = useState<Explained | null>(null);
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const tell = async (wanted: object) => {
    setBusy(true);
    setError("");
    set(null);
    try {
      set(await post<Explained>("/api/v1/explain", wanted));
    } catch (problem) {
      setError(said(problem));
    }
    setBusy(false);
  };
  useEffect(() => {
    if (session) void tell({ session, entry });
  }, [session, entry]);
  return (
    <main>
      <Heading title="Explain">Why something is said to a request</Heading>
      <p class="quiet">By the rules in force now. Nothing is sent to a target for it.</p>
      {session ? <p><Link to={`/sessions/${session}#${entry}`}>Entry {entry} of session <Inert text={session} /></Link></p> : <Ask tell={tell} />}
      <p class="error" role="alert"><Inert text={error} /></p>
      <div role="status">{busy && <p class="quiet">Asking the gateway…</p>}</div>
      {told && <Answer told={told} />}
    </main>
  );
}

/** Every rule in force, of packs too. */
export function RulesInForce({ revision }: { revision: number }) {
  const [found, set] = useState<InForce | null>(null);
  const [error, setError] = useState("");
  useEffect(() => void get<InForce>("/api/v1/rules").then(set, (problem) => setError(said(problem))), [revision]);
  if (!found) return error ? <p class="error" role="alert"><Inert text={error} /></p> : null;
  return (
    <section class="part" aria-labelledby="rules">
      <h2 id="rules">Rules in force</h2>
      <p class="quiet">In the order in which they are asked. One that forbids counts, whatever permits. <Link to="/explain">Ask what they say to a statement</Link></p>
      {found.files.map((file) => (
        <details>
          <summary><Inert text={file.file} />{file.of_pack && <span class="quiet"> (comes with the gateway)</span>}: {file.rules.length} rules</summary>
          <ul class="rules">{file.rules.map((rule) => (
            <li>
              <details>
                <summary><span class={`badge ${rule.effect === "forbid" ? "destroys" : "reads"}`}>{rule.effect}</span> <Inert text={rule.id} />
                  {rule.reason && <span class="quiet">: <Inert text={rule.reason} /></span>}</summary>
                <RuleText text={rule.text} label={`Text of ${rule.id}`} />
              </details>
            </li>
          ))}</ul>
        </details>
      ))}
    </section>
  );
}
