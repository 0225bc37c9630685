// Sessions there are now.
import { useState } from "preact/hooks";
import { post } from "./api";
import { Dialog, Reason } from "./dialog";
import { isProduction } from "./facts";
import { useKeys } from "./keys";
import { Heading, Link, navigate } from "./route";
import { may, useNow, useStore } from "./store";
import { Inert } from "./text";
import { count, countdown, span } from "./time";
import type { Connection, Principal, Session } from "./types";

export function Environment({ connection }: { connection: Connection }) {
  const name = connection.environment;
  return <span class={isProduction(name) ? "badge production" : "badge"}><Inert text={name} /></span>;
}

/** Who acts, for whom, and by what. */
export function Chain({ principal }: { principal: Principal }) {
  return (
    <span class="chain">
      <strong><Inert text={principal.name} /></strong> <span class="quiet">{principal.kind}</span>
      {principal.acting_for && <> for <strong><Inert text={principal.acting_for} /></strong></>}
      {principal.subject !== principal.name && <> via <Inert text={principal.subject} /></>}
    </span>
  );
}

export function Live() {
  const { sessions, me } = useStore();
  const now = useNow();
  const [chosen, choose] = useState(0);
  const [killing, kill] = useState<Session | null>(null);
  const [pausing, pause] = useState<Session | null>(null);
  const all = sessions ?? [];
  const at = Math.min(chosen, Math.max(0, all.length - 1));
  const go = (index: number) => {
    const to = Math.max(0, Math.min(all.length - 1, index));
    choose(to);
    document.querySelectorAll<HTMLElement>(".sessions > li")[to]?.scrollIntoView({ block: "nearest" });
  };
  const chosenOne = all[at];
  useKeys({
    j: () => go(at + 1), k: () => go(at - 1), x: () => chosenOne && kill(chosenOne),
    w: () => chosenOne && navigate(`/live/${chosenOne.id}`), p: () => chosenOne && may(me, "administrator") && pause(chosenOne),
  });
  return (
    <main>
      <Heading title="Live">Live sessions</Heading>
      {sessions === undefined && <p class="quiet">Asking the gateway…</p>}
      {sessions?.length === 0 && <p>Nobody is connected{!may(me, "administrator") && " of those you may see"}.</p>}
      <ul class="cards sessions">
        {all.map((session, index) => (
          <li key={session.id} class={index === at ? "chosen" : undefined} onClick={() => choose(index)}>
            <div class="row">
              <Chain principal={session.principal} />
              <span class="spread"><Inert text={session.connection.name} /> <Environment connection={session.connection} /></span>
              <span class={`badge state-${session.state}`}>{session.killed ? "ending" : session.state.replaceAll("-", " ")}</span>
            </div>
            <Paused session={session} now={now} />
            {session.last
              ? <p class="last"><span class={`badge verdict-${session.last.verdict}`}>{session.last.verdict}</span>{" "}
                <code><Inert text={session.last.text} /></code> <span class="quiet">{span(now - session.last.at)} ago</span></p>
              : <p class="last quiet">no request yet</p>}
            <div class="row">
              <ul class="counters">
                <li><strong>{count(session.verdicts.permitted)}</strong> permitted</li>
                <li><strong>{count(session.verdicts.refused)}</strong> refused</li>
                <li><strong>{count(session.verdicts.held)}</strong> held</li>
                <li><strong>{count(session.verdicts.masked)}</strong> values masked</li>
              </ul>
              <span class="quiet spread">{session.id} · from <Inert text={session.peer} /> · {span(now - session.since)}</span>
              <Link to={`/live/${session.id}`} class="button">Watch<span class="visually-hidden"> session {session.id}</span></Link>
              {may(me, "administrator") && (
                <button type="button" onClick={() => pause(session)} aria-label={`${session.paused ? "Resume" : "Pause"} session ${session.id}`}>
                  {session.paused ? "Resume…" : "Pause…"}
                </button>
              )}
              <button type="button" class="danger" disabled={session.killed} onClick={() => kill(session)}
                aria-label={`End session ${session.id}`}>End…</button>
            </div>
          </li>
        ))}
      </ul>
      {pausing && <PauseOrResume session={pausing} close={() => pause(null)} />}
      {killing && <Kill session={killing} close={() => kill(null)} />}
    </main>
  );
}

/** Who has paused a session, and until when. */
export function Paused({ session, now }: { session: Session; now: number }) {
  const { paused } = session;
  if (!paused || paused.until <= now) return null;
  return (
    <p class="warning">paused by <Inert text={paused.by} /> for {countdown(paused.until - now)} more: <Inert text={paused.reason} /></p>
  );
}

export function PauseOrResume({ session, close }: { session: Session; close: () => void }) {
  const [reason, setReason] = useState("");
  const [minutes, setMinutes] = useState(15);
  const whose = <><Chain principal={session.principal} /> on <Inert text={session.connection.name} />, {session.id}.</>;
  // What was asked stays the question, whatever becomes of the session meanwhile.
  const [resumes] = useState(session.paused !== undefined);
  if (resumes) {
    const act = async () => void (await post(`/api/v1/sessions/${session.id}/resume`, {}));
    return (
      <Dialog title="Let this session go on" act={act} confirm="Resume" close={close}>
        <p>{whose} What waits there is judged and goes on.</p>
      </Dialog>
    );
  }
  const act = async () => void (await post(`/api/v1/sessions/${session.id}/pause`, { seconds: minutes * 60, reason }));
  return (
    <Dialog title="Pause this session" act={act} confirm="Pause it" close={close}>
      <p>{whose} Nothing more is sent for it until the pause ends; what the target does already goes on.</p>
      <Reason label="Why" hint="Its caller reads it, and so does the record." value={reason} set={setReason} />
      <label>Minutes<input type="number" min={1} max={60} required value={minutes} onInput={(event) => setMinutes(event.currentTarget.valueAsNumber)} /></label>
    </Dialog>
  );
}

export function Kill({ session, close }: { session: Session; close: () => void }) {
  const [reason, setReason] = useState("");
  const act = async () => void (await post(`/api/v1/sessions/${session.id}/kill`, { reason }));
  return (
    <Dialog title="End this session" act={act} confirm="End it" danger close={close}>
      <p><Chain principal={session.principal} /> on <Inert text={session.connection.name} />, {session.id}. What it does now is
        cancelled; what is not committed is undone by the target.</p>
      <Reason label="Why" hint="Its caller reads it, and so does the record." value={reason} set={setReason} />
    </Dialog>
  );
}
