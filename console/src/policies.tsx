// Policies, and their tests, as documents: written, checked as they are written, tried on what is recorded, applied.
import { useEffect, useRef, useState } from "preact/hooks";
import { get, post, Problem } from "./api";
import { Dialog } from "./dialog";
import { RulesInForce } from "./explain";
import { pieces } from "./inert";
import { Heading, Link } from "./route";
import { may, useStore } from "./store";
import { Inert, InertLines } from "./text";
import { moment } from "./time";
import { coloured } from "./tokens";

type Kind = "policy" | "test" | "connection" | "provider" | "saml" | "workload" | "group" | "hold";
type Made = "policy" | "test" | "provider" | "workload" | "group" | "hold";
interface Row { id: string; kind: Kind; name: string; revision: number; changed: number; changed_by: string }
interface Listed { revision: number; in_force: number; trouble: string | null; documents: Row[] }
interface Shown extends Row { text: string }
interface Tested { file: string; name: string; result: "passed" | "failed" | "not_run"; expected: string; came: string }
interface Plan { revision: number; changes: { action: string; before: string | null; after: string | null }[]; warnings: string[]; tests: Tested[] }
interface Past { revision: number; text: string | null; changed: number; changed_by: string }
/** What becomes of what is masked in an answer. */
const MASKS = { same: "", fewer: ", and less is masked", more: ", and more is masked", other: ", and other things are masked" } as const;
interface Example { session: string; entry: number; at: number; who: string; connection: string; statement: string; recorded: string; unmasked?: string[]; masked?: string[] }
interface Change { from: string; to: string; from_rule: string; to_rule: string; masks: keyof typeof MASKS; count: number; examples: Example[] }
interface Reason { why: string; count: number; session: string; entry: number }
interface Rejudged { sessions: number; requests: number; judged: number; changed: number; changes: Change[]; not_judged: Reason[]; cursor?: string }

/** How long nothing is written before it is checked. */
const PAUSE = 400;
const SPANS = [["1 hour", 3600], ["1 day", 86_400], ["7 days", 604_800], ["31 days", 2_678_400]] as const;
const NEW: Record<Made, string> = {
  policy: '@id("new-rule")\n@reason("why")\nforbid (principal is Agent, action == Action::"delete", resource is Relation);\n',
  test: 'connection = "shop"\n\n[principal]\nkind = "agent"\nname = "claude"\ngroups = ["agents"]\n\n[[case]]\nname = "nothing is dropped"\ndoes = "drop"\non = "public.orders"\nextent = "all"\nexpect = "refuse"\n',
  provider: 'issuer = "https://login.example"\naudiences = ["portcullis"]\nkind_claim = "kind"\n',
  workload: 'kind = "oidc"\nissuer = "https://ci.example"\naudiences = ["portcullis"]\ngroups = ["agents"]\npins = { sub = "whose" }\n',
  group: 'members = [{ issuer = "https://login.example", subject = "who" }]\nincludes = []\n',
  hold: 'reason = "case"\nprincipals = ["who"]\nsince = 2026-01-01T00:00:00Z\n',
};
const CALLED: Record<Made, string> = { policy: "policy", test: "tests", provider: "provider", workload: "trust rule", group: "group", hold: "legal hold" };
/** What requests may be tried by. */
const TRIED: Kind[] = ["policy", "test", "connection"];

const said = (error: unknown) => (error instanceof Problem ? error.message : String(error));

interface EditorProperties { kind: Kind; text: string; set: (text: string) => void; line: number | null }

/** A text that is written, with its colours behind it. */
function Editor({ kind, text, set, line }: EditorProperties) {
  const field = useRef<HTMLTextAreaElement>(null);
  const behind = useRef<HTMLPreElement>(null);
  const scroll = () => {
    if (!field.current || !behind.current) return;
    behind.current.scrollTop = field.current.scrollTop;
    behind.current.scrollLeft = field.current.scrollLeft;
  };
  const jump = () => {
    const element = field.current;
    if (!element || line === null) return;
    const start = text.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    element.focus();
    element.setSelectionRange(start, start + (text.split("\n")[line - 1]?.length ?? 0));
  };
  const hidden = pieces(text, true).flatMap((piece) => ("hidden" in piece && piece.hidden !== 9 ? [piece.name] : []));
  return (
    <>
      <label for="text">Text</label>
      <div class="editor">
        <pre aria-hidden="true" ref={behind}>
          {coloured(text, kind === "policy" ? "cedar" : "toml").map((token) => (token.kind ? <span class={`sql-${token.kind}`}>{token.text}</span> : token.text))}{"\n"}
        </pre>
        <textarea id="text" ref={field} value={text} rows={18} wrap="off" spellcheck={false} autocomplete="off" autocapitalize="off" dir="ltr"
          aria-describedby="found" onInput={(event) => set(event.currentTarget.value)} onScroll={scroll} />
      </div>
      {hidden.length > 0 && <p class="warning">There are characters in it that cannot be seen: {[...new Set(hidden)].join(", ")}</p>}
      {line !== null && <button type="button" onClick={jump}>To line {line}</button>}
    </>
  );
}

function Tests({ tests }: { tests: Tested[] }) {
  if (tests.length === 0) return <p class="quiet">There are no tests of policies yet: they are documents as well.</p>;
  return (
    <ul>{tests.map((test) => (
      <li><span class={`badge ${test.result === "passed" ? "reads" : test.result === "failed" ? "destroys" : "changes"}`}>{test.result.replace("_", " ")}</span>{" "}
        <Inert text={`${test.file}: ${test.name}`} />{test.result !== "passed" && <>: <Inert text={test.came} /></>}</li>
    ))}</ul>
  );
}

/** What is recorded, judged again by what is written. */
function Try({ document }: { document: { kind: Kind; name: string; text: string } }) {
  const [seconds, setSeconds] = useState(604_800);
  const [told, tell] = useState<Rejudged | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const stopped = useRef(false);
  useEffect(() => {
    tell(null);
    return () => void (stopped.current = true);
  }, [document.text]);
  const run = async () => {
    setBusy(true);
    setError("");
    stopped.current = false;
    const all: Rejudged = { sessions: 0, requests: 0, judged: 0, changed: 0, changes: [], not_judged: [] };
    try {
      let cursor: string | undefined;
      do {
        const part: Rejudged = await post("/api/v1/documents/rejudge", { documents: [document], seconds, cursor: cursor ?? null });
        for (const name of ["sessions", "requests", "judged", "changed"] as const) all[name] += part[name];
        for (const change of part.changes) {
          const same = all.changes.find((one) => (["from", "to", "from_rule", "to_rule", "masks"] as const).every((at) => one[at] === change[at]));
          if (same) same.count += change.count;
          else all.changes.push(change);
        }
        for (const reason of part.not_judged) {
          const same = all.not_judged.find((one) => one.why === reason.why);
          if (same) same.count += reason.count;
          else all.not_judged.push(reason);
        }
        cursor = part.cursor;
        if (!stopped.current) tell({ ...all });
      } while (cursor !== undefined && !stopped.current);
    } catch (problem) {
      setError(said(problem));
    }
    setBusy(false);
  };
  return (
    <section class="part" aria-labelledby="try">
      <h2 id="try">Tried on what was recorded</h2>
      <div class="row">
        <label class="inline">of the last <select value={seconds} onChange={(event) => setSeconds(Number(event.currentTarget.value))}>
          {SPANS.map(([name, value]) => <option value={value}>{name}</option>)}
        </select></label>
        <button type="button" onClick={run} disabled={busy}>{busy ? "Trying…" : "Try"}</button>
      </div>
      <p class="error" role="alert"><Inert text={error} /></p>
      <div role="status">
        {told && <p>{told.changed} of {told.judged} requests in {told.sessions} sessions would have another verdict, or other masks.</p>}
      </div>
      {told?.changes.map((change) => (
        <div>
          <p><strong>{change.from} → {change.to}</strong>: {change.count}, by <Inert text={change.to_rule} /> (now by <Inert text={change.from_rule} />){MASKS[change.masks]}</p>
          <ul>{change.examples.map((example) => (
            <li><Link to={`/sessions/${example.session}#${example.entry}`}>{moment(example.at).local}</Link> <Inert text={example.who} /> on <Inert text={example.connection} />: <code><Inert text={example.statement} /></code>
              {example.unmasked?.map((what) => <p class="warning">shown: <Inert text={what} /></p>)}
              {example.masked?.map((what) => <p>masked: <Inert text={what} /></p>)}</li>
          ))}</ul>
        </div>
      ))}
      {told?.not_judged.map((reason) => (
        <p class="quiet">{reason.count} not judged again: <Inert text={reason.why} /> (<Link to={`/sessions/${reason.session}#${reason.entry}`}>for example</Link>)</p>
      ))}
    </section>
  );
}

function Past({ id, revision }: { id: string; revision: number }) {
  const [all, set] = useState<Past[]>([]);
  useEffect(() => void get<Past[]>(`/api/v1/documents/${id}/history`).then(set, () => set([])), [id, revision]);
  if (all.length === 0) return null;
  return (
    <section class="part" aria-labelledby="history">
      <h2 id="history">History</h2>
      {all.map((past, at) => (
        <details>
          <summary>Documents {past.revision}: {past.text === null ? "removed" : "changed"} {moment(past.changed).local} by <Inert text={past.changed_by} /></summary>
          <InertLines label={`Before documents ${past.revision}`} text={all[at + 1]?.text ?? "(nothing)"} />
          <InertLines label={`After documents ${past.revision}`} text={past.text ?? "(nothing)"} />
        </details>
      ))}
    </section>
  );
}

interface Open { kind: Kind; name: string; text: string; is_new: boolean; revision: number }

export function Policies() {
  const { me } = useStore();
  const [listed, list] = useState<Listed | null>(null);
  const [open, set] = useState<Open | null>(null);
  const [plan, setPlan] = useState<Plan | null>(null);
  const [error, setError] = useState("");
  const [news, tell] = useState("");
  const [asking, ask] = useState(false);
  const administers = may(me, "administrator");
  const read = () => get<Listed>("/api/v1/documents").then(list, (problem) => setError(said(problem)));
  useEffect(() => void (administers && read()), [administers]);
  const choose = async (row: Row) => {
    try {
      const now = await get<Listed>("/api/v1/documents");
      const { kind, name, text } = await get<Shown>(`/api/v1/documents/${row.id}`);
      list(now);
      // What is applied rests on what was read.
      set({ kind, name, text, is_new: false, revision: now.revision });
    } catch (problem) {
      setError(said(problem));
    }
  };
  const document = open && { kind: open.kind, name: open.name, text: open.text };
  useEffect(() => {
    setPlan(null);
    setError("");
    if (!document?.name) return undefined;
    let current = true;
    const timer = setTimeout(() => {
      post<Plan>("/api/v1/documents/plan", { documents: [document] }).then(
        (found) => current && setPlan(found), (problem) => current && setError(said(problem)));
    }, PAUSE);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [open?.text, open?.name, open?.kind]);
  if (!administers) return <main><Heading title="Policies">Policies</Heading><p>Policies are for administrators.</p></main>;
  const apply = async () => {
    if (!document || !open) return;
    const made = await post<{ warnings: string[] }>("/api/v1/documents/apply", { documents: [document], revision: open.revision });
    const now = await get<Listed>("/api/v1/documents");
    list(now);
    const fresh = made.warnings.filter((warning) => !plan?.warnings.includes(warning));
    tell([`Documents ${now.revision} are in force.`, ...fresh].join(" "));
    setPlan(null);
    set({ ...open, is_new: false, revision: now.revision });
  };
  const start = (kind: Made) => set({ kind, name: "", text: NEW[kind], is_new: true, revision: listed?.revision ?? 0 });
  const line = /^(?:policies|tests|connections|providers|saml|workloads|groups|holds)\/[\w-]+\.\w+:(\d+)/.exec(error)?.[1];
  return (
    <main>
      <Heading title="Policies">Policies</Heading>
      <p class="quiet">Rules of the configuration file and its packs are always in force; documents stand beside them.</p>
      {listed?.trouble && <p class="warning"><Inert text={listed.trouble} /></p>}
      <div class="actions choices">
        {(Object.keys(CALLED) as Made[]).map((kind) => <button key={kind} type="button" onClick={() => start(kind)}>New {CALLED[kind]}</button>)}
      </div>
      {listed && listed.documents.length === 0 && <p>There are no documents yet.</p>}
      <ul class="cards" aria-label="Documents">
        {listed?.documents.map((row) => (
          <li key={row.id} class={open && !open.is_new && row.id === `${open.kind}.${open.name}` ? "chosen" : undefined}>
            <div class="row"><button type="button" onClick={() => choose(row)}><Inert text={`${row.kind}/${row.name}`} /></button>
              <span class="quiet">documents {row.revision}, {moment(row.changed).local} by <Inert text={row.changed_by} /></span></div>
          </li>
        ))}
      </ul>
      <p role="status"><strong><Inert text={news} /></strong></p>
      {open && (
        <section class="part" aria-labelledby="document">
          <h2 id="document">{open.is_new ? `A new ${open.kind}` : <Inert text={`${open.kind}/${open.name}`} />}</h2>
          {open.is_new && <label>Name<input value={open.name} onInput={(event) => set({ ...open, name: event.currentTarget.value })} maxLength={50} autocomplete="off" autocapitalize="off" /></label>}
          <Editor kind={open.kind} text={open.text} set={(text) => set({ ...open, text })} line={line === undefined ? null : Number(line)} />
          <div id="found" role="status">
            {error && <InertLines label="What is wrong" text={error} />}
            {plan && <p>{plan.changes.length === 0 ? "Nothing would change." : `It is good: it would ${plan.changes.map((change) => change.action).join(", ")} one document.`}</p>}
            {plan?.warnings.map((warning) => <p class="warning"><Inert text={warning} /></p>)}
          </div>
          {plan && <><h3>Tests</h3><Tests tests={plan.tests} /></>}
          <div class="actions">
            <button type="button" class="primary" disabled={!plan || plan.changes.length === 0} onClick={() => ask(true)}>Apply…</button>
          </div>
        </section>
      )}
      {document && document.name && TRIED.includes(document.kind) && <Try document={document} />}
      {listed && <RulesInForce revision={listed.in_force} />}
      {open && !open.is_new && <Past id={`${open.kind}.${open.name}`} revision={open.revision} />}
      {asking && document && (
        <Dialog title={`Apply ${document.kind}/${document.name}`} act={apply} confirm="Apply" close={() => ask(false)}>
          <p>From then on every session goes by it.</p>
          {plan?.changes[0]?.before && <InertLines label="Before" text={plan.changes[0].before} />}
          <InertLines label="After" text={document.text} />
        </Dialog>
      )}
    </main>
  );
}
