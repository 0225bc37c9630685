// What happened in a session, moment by moment: recorded, or as it happens. Each entry has its number as address (`#…`).
import { useEffect, useRef, useState } from "preact/hooks";
import { events, file, get, page, Problem } from "./api";
import { useKeys } from "./keys";
import { Chain, Environment, Kill, Paused, PauseOrResume } from "./live";
import { Heading, Link } from "./route";
import { may, useNow, useStore } from "./store";
import { Inert, Statement } from "./text";
import { count, moment, span } from "./time";
import type { By, Moment, Recording, SampleCell } from "./types";

/** Most moments of a session that is watched that stay on the page. */
const KEPT = 1_000;

/** Longest pause while a session is played, in milliseconds, and how fast it can be. */
const IDLE = 2_000;
const SPEEDS = [1, 10, 100];
/** What whoever looks through a session wants to come to: not what was just let through. */
const STANDS_OUT = ["refused", "held", "decided", "session_killed", "session_paused"];

function said(problem: unknown): string {
  return problem instanceof Problem ? problem.message : String(problem);
}

/** Words for what happened, and their colour. */
function verdict(what: Moment["what"]): [string, string] {
  switch (what.event) {
    case "intent": return ["permitted", "verdict-permitted"];
    case "refused": case "login_refused": return ["refused", "verdict-refused"];
    case "held": return ["held", "verdict-held"];
    case "session_killed": return ["ended from outside", "verdict-refused"];
    case "session_paused": return ["paused", "verdict-held"];
    case "session_resumed": return ["resumed", ""];
    case "decided": return [what.decision ?? "decided", what.decision === "approved" ? "verdict-permitted" : "verdict-refused"];
    default: return [what.event.replaceAll("_", " "), ""];
  }
}

const seconds = (micros: number) => `${(micros / 1_000_000).toFixed(3)} s`;

function Cell({ value }: { value: SampleCell }) {
  if (value === null) return <td class="quiet">NULL</td>;
  return <td><Inert text={typeof value === "string" ? value : `hex ${value.hex}`} /></td>;
}

function Answer({ what }: { what: Moment["what"] }) {
  const { columns = [], sample = [], rows = 0 } = what;
  if (sample.length === 0) return <p class="quiet">{count(rows)} rows; none of them is kept</p>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Masked sample">
      <table>
        <caption>{what.truncated ? `The first ${count(sample.length)} of ${count(rows)} rows, masked` : `${count(rows)} rows, masked`}</caption>
        <thead><tr>{columns.map((name) => <th scope="col"><Inert text={name} /></th>)}</tr></thead>
        <tbody>{sample.map((row) => <tr>{row.map((value) => <Cell value={value} />)}</tr>)}</tbody>
      </table>
    </div>
  );
}

function Values({ lists }: { lists: (string | null)[][] }) {
  const all = lists.flat();
  if (all.length === 0) return null;
  return (
    <dl class="parameters" aria-label="Bound values">
      {all.map((value, index) => <div><dt>${index + 1}</dt><dd>{value === null ? <span class="quiet">NULL</span> : <Inert text={value} />}</dd></div>)}
    </dl>
  );
}

/** Where something is said to a request. */
const DECIDED = ["intent", "refused", "held"];

function Outcome({ what }: { what: Moment["what"] }) {
  return (
    <p>
      <Inert text={what.status} />{what.error && <> with <Inert text={what.error} /></>}: {count(what.rows ?? 0)} rows,{" "}
      {count(what.masked ?? 0)} values masked, {seconds(what.micros ?? 0)} <Inert text={(what.tags ?? []).join(", ")} />
    </p>
  );
}

/** Who, as the record names them: with the issuer, where it was a principal. */
function whom(by: string | By) {
  if (typeof by === "string") return by;
  return by.issuer === undefined ? by.subject : `${by.subject} (${by.issuer})`;
}

/** What an entry says beside its statement. */
function Words({ what }: { what: Moment["what"] }) {
  const review = what.review ?? what.ticket?.review;
  return (
    <>
      {what.operation && <p class="last"><Inert text={what.operation} /></p>}
      {what.rules && <p class="quiet">by <Inert text={what.rules.join(", ")} /></p>}
      {what.ground && <p><Inert text={`${what.ground.rule}: ${what.ground.reason}`} /></p>}
      {what.refusal && <p><Inert text={`${what.refusal.rule}: ${what.refusal.why}`} /></p>}
      {review && <p>review <Link to={`/reviews/${review}`}>{review}</Link>{what.ticket && <> waits for <Inert text={what.ticket.groups.join(" and ")} /></>}</p>}
      {what.by && <p>by <Inert text={whom(what.by)} /></p>}
      {what.reason && <p><Inert text={what.reason} /></p>}
      {what.until !== undefined && <p class="quiet">until {moment(what.until).local}</p>}
      {what.text !== undefined && <p><Inert text={`${what.severity ?? ""} ${what.code ?? ""}: ${what.text}`} /></p>}
      {what.event === "limit" && <p>The recording has reached its limit of {count(what.bytes ?? 0)} bytes.</p>}
    </>
  );
}

export function Happened({ item, chosen, link }: { item: Moment; chosen: boolean; link?: string }) {
  const { what } = item;
  const [word, colour] = verdict(what);
  const label = item.entry === undefined ? "recorded" : `entry ${item.entry}`;
  return (
    <li id={item.entry === undefined ? undefined : `entry-${item.entry}`} class={chosen ? "chosen" : undefined} aria-current={chosen ? "true" : undefined}>
      <div class="row">
        <span class={`badge ${colour}`}>{word}</span>
        <span class="spread quiet">after {seconds(item.offset)}, <time dateTime={moment(item.at).utc} title={moment(item.at).utc}>{moment(item.at).local}</time></span>
        {link && item.entry !== undefined && DECIDED.includes(what.event) && what.shown && <Link to={`/explain?session=${link.split("/").pop()}&entry=${item.entry}`}>why?</Link>}
        {link && item.entry !== undefined ? <a href={`${link}#${item.entry}`}>{label}</a> : <span class="quiet">{label}</span>}
      </div>
      {(what.shown?.statements ?? []).map((text, index) => <Statement text={text} label={`Statement ${index + 1}, ${label}`} />)}
      {what.shown && <Values lists={what.shown.parameters} />}
      {(what.shown?.beyond?.length ?? 0) > 0 && <p><Inert text={what.shown?.beyond?.join(", ")} /></p>}
      {what.shown?.elided && <p class="quiet">More of it is not kept.</p>}
      {what.event === "answer" ? <Answer what={what} /> : what.event === "outcome" ? <Outcome what={what} /> : <Words what={what} />}
    </li>
  );
}

/** The entry that the address names. */
function addressed(): number | null {
  const number = /^#(\d{1,15})$/.exec(location.hash)?.[1];
  return number === undefined ? null : Number(number);
}

export function Timeline({ id }: { id: string }) {
  const [about, setAbout] = useState<Recording | undefined>();
  const [items, setItems] = useState<Moment[] | undefined>();
  const [next, setNext] = useState<string | null>(null);
  const [from, setFrom] = useState(addressed);
  const [chosen, choose] = useState<number | null>(from);
  const [ends, setEnds] = useState("");
  const [leftOut, leaveOut] = useState(false);
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(true);
  const [speed, play] = useState(0);
  const list = `/api/v1/recordings/${id}`;
  const read = async (path: string, before: Moment[]) => {
    setBusy(true);
    try {
      const found = await page<Moment>(path);
      setItems([...before, ...found.rows]);
      setNext(found.next);
      setEnds(found.recording);
      leaveOut((known) => found.leftOut || (before.length > 0 && known));
      setError("");
    } catch (problem) {
      setError(said(problem));
    }
    setBusy(false);
  };
  useEffect(() => void get<Recording>(list).then(setAbout, (problem: unknown) => setError(said(problem))), [id]);
  // A moment is read from its own entry on: what was before it is a step away.
  useEffect(() => void read(`${list}/timeline${from === null ? "" : `?from=${from}`}`, []), [id, from]);
  useEffect(() => {
    const moved = () => {
      const entry = addressed();
      choose(entry);
      if (entry !== null && !document.getElementById(`entry-${entry}`)) setFrom(entry);
    };
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  useEffect(() => {
    if (chosen !== null) document.getElementById(`entry-${chosen}`)?.scrollIntoView({ block: "center" });
  }, [chosen, items === undefined]);
  const numbered = (items ?? []).filter((item) => item.entry !== undefined);
  const at = numbered.findIndex((item) => item.entry === chosen);
  const go = (to: Moment | undefined) => {
    if (to?.entry === undefined) return;
    choose(to.entry);
    history.replaceState(null, "", `/sessions/${id}#${to.entry}`);
  };
  const step = (by: number) => go(numbered[Math.max(0, at + by)]);
  const jump = (by: 1 | -1) => {
    const others = by > 0 ? numbered.slice(at + 1) : numbered.slice(0, Math.max(at, 0)).reverse();
    go(others.find((item) => STANDS_OUT.includes(item.what.event)));
  };
  useKeys({ j: () => step(1), k: () => step(-1), n: () => jump(1), p: () => jump(-1) });
  // At the pace it happened, some times faster, and with no long pause: from moment to moment, and from page to page.
  useEffect(() => {
    if (speed === 0 || items === undefined || busy) return;
    const to = numbered[at + 1];
    if (to === undefined) {
      if (next !== null && error === "") void read(next, items);
      else play(0);
      return;
    }
    const pause = at < 0 ? 0 : (to.offset - (numbered[at]?.offset ?? 0)) / 1_000 / speed;
    const timer = setTimeout(() => go(to), Math.min(IDLE, Math.max(0, pause)));
    return () => clearTimeout(timer);
  }, [speed, chosen, items, busy, error]);
  const download = async () => {
    try {
      const link = document.createElement("a");
      const kept = await file(`${list}/file`);
      link.href = URL.createObjectURL(kept.blob);
      link.download = kept.name;
      link.click();
      URL.revokeObjectURL(link.href);
      setError("");
    } catch (problem) {
      setError(said(problem));
    }
  };
  return (
    <main>
      <Heading title={`Session ${id}`}>Session {id}</Heading>
      {about && <About about={about} />}
      <div class="actions choices">
        <button type="button" onClick={download}>Download the recording</button>
        <label class="inline">
          Play <select value={speed} onChange={(event) => play(Number(event.currentTarget.value))}>
            <option value={0}>stopped</option>
            {SPEEDS.map((times) => <option value={times}>{times === 1 ? "at its pace" : `${times} times faster`}</option>)}
          </select>
        </label>
        <button type="button" onClick={() => jump(1)}>Next that stands out</button>
        {about?.live && <Link to={`/live/${id}`} class="button">Watch it live</Link>}
        {from !== null && <button type="button" onClick={() => (setItems(undefined), setFrom(null))}>From the beginning</button>}
      </div>
      <p class="error" role="alert"><Inert text={error} /></p>
      {ends === "sealed" && <p role="status">The answers are sealed: whoever has the key of a recipient opens the file.</p>}
      {ends === "cut" && <p class="warning" role="status">The recording ends in the middle of a line: what stood behind it is not shown. <code>portcullis audit verify</code> says more.</p>}
      {leftOut && <p class="warning" role="status">More was answered to one of these requests than a page has: the recording that you can download has all that was kept.</p>}
      <ol class="cards moments">
        {(items ?? []).map((item, index) => <Happened key={item.entry ?? `r${index}`} item={item} chosen={item.entry !== undefined && item.entry === chosen} link={`/sessions/${id}`} />)}
      </ol>
      <p role="status" class="quiet">{busy ? "Asking the gateway…" : ""}</p>
      {next !== null && <button type="button" disabled={busy} onClick={() => read(next, items ?? [])}>More of it</button>}
    </main>
  );
}

function About({ about }: { about: Recording }) {
  return (
    <section class="part" aria-label="About this session">
      <div class="row">
        {about.principal ? <Chain principal={about.principal} /> : <Inert text={about.who || "an unknown caller"} />}
        <span>on <Inert text={about.connection} /> {about.facts && <Environment connection={about.facts} />}</span>
        <span class="quiet">from <Inert text={about.peer} /></span>
        <span class="quiet">{moment(about.opened).local}{about.closed !== undefined && `, ${span(about.closed - about.opened)}`}</span>
        {about.live && <span class="badge reads">live</span>}
      </div>
      {about.ended && <p class="quiet"><Inert text={about.ended} /></p>}
      {about.watched && about.watched.length > 0 && (
        <details>
          <summary>Who was shown something of it</summary>
          <ul>{about.watched.map((one) => <li>{moment(one.at).local}: <Inert text={one.who} />, <Inert text={one.how.replaceAll("_", " ")} /></li>)}</ul>
        </details>
      )}
    </section>
  );
}

/** A session as it happens. */
export function Watch({ id }: { id: string }) {
  const { sessions, me } = useStore();
  const now = useNow();
  const [items, setItems] = useState<Moment[]>([]);
  const [ended, end] = useState(false);
  const [error, setError] = useState("");
  const [asking, ask] = useState<"pause" | "kill" | null>(null);
  const bottom = useRef<HTMLDivElement>(null);
  const session = sessions?.find((one) => one.id === id);
  useEffect(() => {
    const stop = new AbortController();
    const told = (kind: string, data: unknown) => {
      if (kind === "ended") end(true);
      else if (kind === "item") setItems((before) => [...before, data as Moment].slice(-KEPT));
    };
    const over = (problem?: unknown) => {
      if (!stop.signal.aborted) setError(problem === undefined ? "" : said(problem));
    };
    events(stop.signal, told, `/api/v1/sessions/${id}/watch`).then(() => !stop.signal.aborted && end(true), over);
    return () => stop.abort();
  }, [id]);
  useEffect(() => bottom.current?.scrollIntoView({ block: "end" }), [items.length]);
  const administers = may(me, "administrator");
  useKeys({ p: () => session && administers && ask("pause"), x: () => session && ask("kill") });
  return (
    <main>
      <Heading title={`Watching ${id}`}>Watching {id}</Heading>
      {session && (
        <section class="part" aria-label="About this session">
          <div class="row">
            <Chain principal={session.principal} />
            <span class="spread">on <Inert text={session.connection.name} /> <Environment connection={session.connection} /></span>
            <span class={`badge state-${session.state}`}>{session.state.replaceAll("-", " ")}</span>
          </div>
          <Paused session={session} now={now} />
          <div class="actions choices">
            {administers && <button type="button" onClick={() => ask("pause")}>{session.paused ? "Resume…" : "Pause…"} <kbd>p</kbd></button>}
            <button type="button" class="danger" onClick={() => ask("kill")}>End… <kbd>x</kbd></button>
          </div>
        </section>
      )}
      <p class="quiet">That you watch is in the record. <Link to={`/sessions/${id}`}>All that is recorded of it</Link></p>
      <p class="error" role="alert"><Inert text={error} /></p>
      <ol class="cards moments" aria-label="What happens">
        {items.map((item, index) => <Happened key={item.entry ?? `r${index}-${item.at}`} item={item} chosen={false} />)}
      </ol>
      <p role="status">{ended ? "There is no more to watch." : items.length === 0 && !error ? "Nothing yet…" : ""}</p>
      <div ref={bottom} />
      {session && asking === "pause" && <PauseOrResume session={session} close={() => ask(null)} />}
      {session && asking === "kill" && <Kill session={session} close={() => ask(null)} />}
    </main>
  );
}
