// Recorded sessions: looking for them. What is looked for stands in the address, so that it can be linked to.
import { useEffect, useState } from "preact/hooks";
import { page, Problem } from "./api";
import { useKeys } from "./keys";
import { Chain } from "./live";
import { Heading, Link, navigate } from "./route";
import { Inert } from "./text";
import { count, moment, span } from "./time";
import type { Recording } from "./types";

const FIELDS = [
  ["text", "Text in a statement or bound value"], ["principal", "Principal"], ["connection", "Connection"], ["object", "Object"],
] as const;
const ROOM = 50;

type Wanted = Record<string, string>;

function wanted(): Wanted {
  const known = new Set(["text", "principal", "connection", "object", "verdict", "from", "to"]);
  return Object.fromEntries([...new URLSearchParams(location.search)].filter(([name]) => known.has(name)));
}

/** A point in time as a field has it, in the reader's own zone, in microseconds. */
function micros(local: string): string | null {
  const at = new Date(local).getTime();
  return Number.isNaN(at) ? null : String(at * 1000);
}

function query(wanted: Wanted): URLSearchParams {
  const all = new URLSearchParams({ limit: String(ROOM) });
  for (const [name, value] of Object.entries(wanted)) {
    const said = name === "from" || name === "to" ? micros(value) : value;
    if (said) all.set(name, said);
  }
  return all;
}

export function Recordings() {
  const [asked, ask] = useState<Wanted>(wanted);
  const [fields, setFields] = useState<Wanted>(asked);
  const [rows, setRows] = useState<Recording[] | undefined>();
  const [next, setNext] = useState<string | null>(null);
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(true);
  const [chosen, choose] = useState(0);
  const read = async (path: string, before: Recording[]) => {
    setBusy(true);
    try {
      const found = await page<Recording>(path);
      setRows([...before, ...found.rows]);
      setNext(found.next);
      setError("");
    } catch (problem) {
      setError(problem instanceof Problem ? problem.message : String(problem));
    }
    setBusy(false);
  };
  useEffect(() => void read(`/api/v1/recordings?${query(asked)}`, []), [asked]);
  const all = rows ?? [];
  const at = Math.min(chosen, Math.max(0, all.length - 1));
  const go = (index: number) => {
    const to = Math.max(0, Math.min(all.length - 1, index));
    choose(to);
    document.querySelectorAll<HTMLElement>(".recorded > li a.whole")[to]?.focus();
  };
  const path = (row: Recording) => `/sessions/${row.id}${row.found === undefined ? "" : `#${row.found}`}`;
  useKeys({
    "/": () => document.querySelector<HTMLElement>("#text")?.focus(),
    j: () => go(at + 1), k: () => go(at - 1),
    Enter: () => all[at] && navigate(path(all[at])),
  });
  const search = (event: Event) => {
    event.preventDefault();
    const set = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ""));
    const said = new URLSearchParams(set).toString();
    history.replaceState(null, "", said ? `/sessions?${said}` : "/sessions");
    choose(0);
    ask(set);
  };
  const field = (name: string) => ({
    id: name, name, value: fields[name] ?? "",
    onInput: (event: { currentTarget: { value: string } }) => setFields({ ...fields, [name]: event.currentTarget.value }),
  });
  return (
    <main>
      <Heading title="Sessions">Recorded sessions</Heading>
      <form class="search" role="search" onSubmit={search}>
        {FIELDS.map(([name, label]) => <label key={name}>{label}<input type="search" maxLength={256} autocomplete="off" {...field(name)} /></label>)}
        <label>
          Verdict
          <select {...field("verdict")}>
            <option value="">any</option>
            {["permitted", "refused", "held"].map((verdict) => <option value={verdict}>{verdict}</option>)}
          </select>
        </label>
        <label>From<input type="datetime-local" {...field("from")} /></label>
        <label>To<input type="datetime-local" {...field("to")} /></label>
        <div class="actions"><button type="submit" class="primary">Search</button></div>
      </form>
      <p class="quiet">Searching for a text or an object is recorded, and so is opening a session.</p>
      <p class="error" role="alert"><Inert text={error} /></p>
      <p role="status">{busy ? "Asking the gateway…" : all.length === 0 && next === null && !error ? "None that you may see is such." : ""}</p>
      <ul class="cards recorded">
        {all.map((row, index) => (
          <li key={row.id} class={index === at ? "chosen" : undefined} onFocusCapture={() => choose(index)}>
            <Link to={path(row)} class="whole">
              <span class="row">
                {row.principal ? <Chain principal={row.principal} /> : <Inert text={row.who || "an unknown caller"} />}
                <span class="spread">on <Inert text={row.connection} /></span>
                <time dateTime={moment(row.opened).utc} title={moment(row.opened).utc}>{moment(row.opened).local}</time>
                {row.live ? <span class="badge reads">live</span>
                  : row.closed !== undefined && row.principal && <span class="quiet">{span(row.closed - row.opened)}</span>}
              </span>
              <span class="counters">
                <span><strong>{count(row.permitted)}</strong> permitted</span> <span><strong>{count(row.refused)}</strong> refused</span>{" "}
                <span><strong>{count(row.held)}</strong> held</span> <span><strong>{count(row.rows)}</strong> rows</span>{" "}
                <span><strong>{count(row.masked)}</strong> values masked</span>
                {row.found !== undefined && <span>found in entry {row.found}</span>}
                {row.unsearched !== undefined && <span class="warning">not searched from entry {row.unsearched} on: it is too much, or cannot be read</span>}
              </span>
              {row.ended && <span class="quiet"><Inert text={row.ended} /></span>}
            </Link>
          </li>
        ))}
      </ul>
      {next !== null && <button type="button" disabled={busy} onClick={() => read(next, all)}>Look further</button>}
    </main>
  );
}
