// The page a decision is made on: twelve elements, in the order in which they matter. What the gateway has observed
// comes first; what the caller claims says so.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { get, post, Problem } from "./api";
import { Dialog, Reason } from "./dialog";
import { estimate, gravity, outcome, rehearsed, undo } from "./facts";
import { bytes } from "./inert";
import { useKeys } from "./keys";
import { consent } from "./passkey";
import { Chain, Environment } from "./live";
import { Heading, Link, navigate } from "./route";
import { may, useNow, useStore } from "./store";
import { Inert, InertLines, Statement } from "./text";
import { count, countdown, moment, span } from "./time";
import type { Review, ReviewContext, Sample } from "./types";

type Asking = "approve" | "pattern" | "reject" | "say" | null;

export function ReviewPage({ id }: { id: string }) {
  const { reviews, turn, me } = useStore();
  const now = useNow();
  const [review, setReview] = useState<Review | undefined>();
  const [context, setContext] = useState<ReviewContext | undefined>();
  const [error, setError] = useState("");
  const [asking, ask] = useState<Asking>(null);
  const [read, setRead] = useState(0);
  useEffect(() => {
    let current = true;
    const told = (problem: unknown) => current && setError(problem instanceof Problem ? problem.message : String(problem));
    get<Review>(`/api/v1/reviews/${encodeURIComponent(id)}`).then((review) => current && (setReview(review), setError("")), told);
    get<ReviewContext>(`/api/v1/reviews/${encodeURIComponent(id)}/context`).then((context) => current && setContext(context), () => undefined);
    return () => void (current = false);
  }, [id, turn, read]);
  const known = review?.id === id ? review : undefined;
  const pending = known?.status === "pending" && may(me, "reviewer");
  const answers = known?.status === "pending" && !pending && context?.messages.at(-1)?.asks === true;
  const beside = (by: number) => {
    const all = reviews ?? [];
    const at = all.findIndex((other) => other.id === id);
    const next = all[at < 0 ? 0 : at + by];
    if (next && next.id !== id) navigate(`/reviews/${next.id}`);
  };
  const askIf = (what: Asking, may: boolean) => () => void (may && ask(what));
  useKeys({
    Escape: () => navigate("/reviews"), j: () => beside(1), k: () => beside(-1),
    a: askIf("approve", pending), r: askIf("reject", pending), p: askIf("pattern", pending && known.ask.pattern !== undefined),
    q: askIf("say", pending || answers),
  });
  return (
    <main class="review">
      <nav aria-label="Reviews"><Link to="/reviews">← all reviews</Link></nav>
      <Heading title={known ? `${known.ask.ground.rule}: review` : "Review"}>Review {id}</Heading>
      <p class="error" role="alert"><Inert text={error} /></p>
      {known && <Elements review={known} context={context} now={now} />}
      {known && (
        <Part number={12} name="Decide">
          <Messages context={context} now={now} />
          {pending ? <Choices review={known} ask={ask} /> : <p class="outcome"><Inert text={outcome(known)} /></p>}
          {answers && <div class="actions"><button type="button" aria-keyshortcuts="q" onClick={() => ask("say")}>Answer… <kbd>q</kbd></button></div>}
        </Part>
      )}
      {known && asking && (
        <Ask review={known} asking={asking} close={() => ask(null)} done={() => setRead(read + 1)} mayEnd={may(me, "administrator")} />
      )}
    </main>
  );
}

function Part({ number, name, children, wide }: { number: number; name: string; children: ComponentChildren; wide?: boolean }) {
  return (
    <section class={wide ? "part wide" : "part"} aria-labelledby={`part-${number}`} data-part={number}>
      <h2 id={`part-${number}`}>{name}</h2>
      {children}
    </section>
  );
}

function Elements({ review, context, now }: { review: Review; context: ReviewContext | undefined; now: number }) {
  const { ask } = review;
  const { connection, principal } = ask.standing;
  const open = review.status === "pending" || review.status === "approved";
  return (
    <div class="elements">
      <Part number={1} name="What will run" wide><Request review={review} /></Part>
      <Part number={2} name="In one line" wide>
        <p class="oneline"><strong class={`badge ${gravity(ask.operation)}`}><Inert text={ask.operation} /></strong>{" "}
          <Inert text={estimate(review)} /></p>
      </Part>
      <Part number={3} name="Where">
        <p><strong><Inert text={connection.name} /></strong> <Environment connection={connection} /></p>
        <p>database <Inert text={connection.database} />, as role <Inert text={connection.role} /></p>
      </Part>
      <Part number={4} name="Who">
        <p><Chain principal={principal} /></p>
        <p class="quiet">known to <Inert text={principal.issuer} />, session {ask.session}</p>
      </Part>
      <Part number={5} name="Why it is held">
        <p><strong><Inert text={ask.ground.rule} /></strong>: <Inert text={ask.ground.reason} /></p>
        <p>for <Inert text={ask.ground.what} />; asks <Inert text={ask.groups.join(", ")} /></p>
        {ask.again && <p class="warning">Takes the place of <Link to={`/reviews/${ask.again.previous}`}>{ask.again.previous}</Link>: <Inert text={ask.again.because.join(", ")} /></p>}
      </Part>
      <Part number={6} name="What it does" wide><Effects review={review} now={now} /></Part>
      <Part number={7} name="Can it be undone"><p>{undo(review)}</p></Part>
      <Part number={8} name="Reason given">
        {context?.purpose
          ? <p><span class="badge claimed">claimed, not verified</span> <Inert text={context.purpose} /></p>
          : <p class="quiet">none was given</p>}
      </Part>
      <Part number={9} name="This session so far" wide><SoFar context={context} now={now} /></Part>
      <Part number={10} name="Others like it"><Similar context={context} now={now} /></Part>
      <Part number={11} name="Clock">
        <p>asked <time dateTime={moment(ask.at).utc} title={moment(ask.at).local}>{span(now - ask.at)} ago</time>
          {review.repeats > 0 && `, sent again ${review.repeats} times`}</p>
        {open && <p><strong class="clock">{countdown(review.expires - now)}</strong> left; then it is refused, and has not run</p>}
        {review.decisions.map((said) => (
          <p><Inert text={said.name} /> {said.approved ? "approved" : "rejected"} {span(now - said.at)} ago{said.reason && <>: <Inert text={said.reason} /></>}</p>
        ))}
      </Part>
    </div>
  );
}

function Request({ review }: { review: Review }) {
  const { shown, digest, basis } = review.ask;
  const size = shown.statements.reduce((sum, statement) => sum + bytes(statement), 0);
  return (
    <>
      {shown.statements.map((statement, index) => (
        <>
          <Statement text={statement} label={shown.statements.length > 1 ? `Statement ${index + 1}` : "Statement"} />
          {(shown.parameters[index] ?? []).length > 0 && (
            <dl class="parameters">
              {(shown.parameters[index] ?? []).map((value, n) => (
                <div><dt>${n + 1}</dt><dd>{value === null ? <em>NULL</em> : <Inert text={value} />}</dd></div>
              ))}
            </dl>
          )}
        </>
      ))}
      {shown.beyond?.map((what) => <p class="warning">Not shown, and covered by an approval: <Inert text={what} /></p>)}
      <p class="quiet">{count(size)} bytes, digest <code>{digest.slice(0, 12)}</code></p>
      <details>
        <summary>What it rests on</summary>
        <p>{basis.settings.map(([name, value]) => <><Inert text={name} /> = <Inert text={value} />; </>)}{basis.more_settings} more settings</p>
        {basis.definitions.length > 0 && <p>definitions of <Inert text={basis.definitions.join(", ")} />{basis.more_definitions > 0 && ` and ${basis.more_definitions} more`}</p>}
        <p class="quiet">Where any of it changes, the approval is void and people are asked again.</p>
      </details>
    </>
  );
}

function Effects({ review, now }: { review: Review; now: number }) {
  const { rehearsal } = review;
  if (!rehearsal) return <p class="quiet">It was not rehearsed: the rule that holds it does not ask for that.</p>;
  const { seen } = rehearsal;
  return (
    <>
      <p><Inert text={rehearsed(rehearsal, now)} /></p>
      {seen && (
        <>
          <p><strong><Inert text={seen.tag} /></strong>, {count(seen.changed)} rows changed in all</p>
          <ul>
            {seen.tables.map((table) => (
              <li><Inert text={table.table} />: {[[table.inserted, "in"], [table.updated, "changed"], [table.deleted, "gone"]]
                .filter(([rows]) => rows !== 0).map(([rows, what]) => `${rows} ${what}`).join(", ")}</li>
            ))}
          </ul>
          <Rows label="Before" sample={seen.before} />
          <Rows label="After" sample={seen.after} />
        </>
      )}
    </>
  );
}

function Rows({ label, sample }: { label: string; sample: Sample }) {
  if ("none" in sample) return <p><strong>{label}</strong>: no rows: <Inert text={sample.none.why} /></p>;
  const { columns, rows, more } = sample.rows;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={`Rows ${label.toLowerCase()}`}>
      <table>
        <caption>{label}{more && ", and more rows"}</caption>
        <thead><tr>{columns.map((column) => <th scope="col"><Inert text={column} /></th>)}</tr></thead>
        <tbody>{rows.map((row) => <tr>{row.map((value) => <td>{value === null ? <em>NULL</em> : <Inert text={value} />}</td>)}</tr>)}</tbody>
      </table>
    </div>
  );
}

function SoFar({ context, now }: { context: ReviewContext | undefined; now: number }) {
  const session = context?.session;
  if (!session) return <p class="quiet">{context ? "The session is over." : "…"}</p>;
  const { permitted, refused, held, masked } = session.verdicts;
  return (
    <>
      <p>{span(now - session.since)} old: {permitted} permitted, {refused} refused, {held} held, {count(masked)} values masked</p>
      <ol class="so-far">
        {session.recent.map((request) => (
          <li><span class={`badge verdict-${request.verdict}`}>{request.verdict}</span> <code><Inert text={request.text} /></code>{" "}
            <span class="quiet">{span(now - request.at)} ago</span></li>
        ))}
      </ol>
    </>
  );
}

function Similar({ context, now }: { context: ReviewContext | undefined; now: number }) {
  const similar = context?.similar;
  if (!similar) return <p class="quiet">…</p>;
  const { approved, rejected, undecided, last } = similar;
  if (approved + rejected + undecided === 0) return <p>none before, as far as you may see</p>;
  return (
    <>
      <p>approved {approved} times, rejected {rejected} times, not decided {undecided} times</p>
      {last && <p>last <Link to={`/reviews/${last.review}`}>{last.approved ? "approved" : "rejected"}</Link> by{" "}
        <Inert text={last.name} /> {span(now - last.at)} ago{last.reason && <>: <Inert text={last.reason} /></>}</p>}
    </>
  );
}

function Choices({ review, ask }: { review: Review; ask: (what: Asking) => void }) {
  return (
    <div class="actions choices">
      <button type="button" class="primary" aria-keyshortcuts="a" onClick={() => ask("approve")}>Approve once… <kbd>a</kbd></button>
      {review.ask.pattern && (
        <button type="button" aria-keyshortcuts="p" onClick={() => ask("pattern")}>Approve the pattern… <kbd>p</kbd></button>
      )}
      <button type="button" class="danger" aria-keyshortcuts="r" onClick={() => ask("reject")}>Reject… <kbd>r</kbd></button>
      <button type="button" aria-keyshortcuts="q" onClick={() => ask("say")}>Ask… <kbd>q</kbd></button>
    </div>
  );
}

/** What was asked about the request, and answered. */
function Messages({ context, now }: { context: ReviewContext | undefined; now: number }) {
  if (!context || context.messages.length === 0) return null;
  return (
    <ol class="messages">
      {context.messages.map((message) => (
        <li><Inert text={message.name} /> {message.asks ? "asked" : "answered"} {span(now - message.at)} ago: <Inert text={message.text} /></li>
      ))}
    </ol>
  );
}

interface AskProperties {
  review: Review;
  asking: Exclude<Asking, null>;
  close: () => void;
  done: () => void;
  mayEnd: boolean;
}

/** What is decided, once more, before it is. */
function Ask({ review, asking, close, done, mayEnd }: AskProperties) {
  const { ask } = review;
  const [reason, setReason] = useState("");
  const [alsoEnd, setAlsoEnd] = useState(false);
  const [minutes, setMinutes] = useState(15);
  const [uses, setUses] = useState(20);
  const decide = async (what: string, body: unknown) => {
    await post(`/api/v1/reviews/${review.id}/${what}`, body);
    done();
  };
  const path = `/api/v1/reviews/${review.id}`;
  const approve = async (of: object) => {
    const passkey = ask.step_up === undefined ? {} : { passkey: await consent(path, { ...of, seen: { rehearsal: review.rehearsal ?? null } }) };
    await decide("approve", { ...of, ...passkey });
  };
  const takes = ask.step_up !== undefined && <p>It takes your passkey, which signs this decision: your browser asks for it next.</p>;
  const summary = (
    <p><Inert text={ask.ground.what} /> on <strong><Inert text={ask.standing.connection.name} /></strong>{" "}
      <Environment connection={ask.standing.connection} /> for <Chain principal={ask.standing.principal} />, digest{" "}
      <code>{ask.digest.slice(0, 12)}</code></p>
  );
  if (asking === "approve") {
    return (
      <Dialog title="Approve once" act={() => approve({})} confirm={takes ? "Approve with a passkey" : "Approve"} close={close}>
        {summary}
        <p>These very bytes run, once.</p>
        {takes}
      </Dialog>
    );
  }
  if (asking === "reject") {
    const reject = async () => {
      await decide("reject", { reason });
      if (alsoEnd) await post(`/api/v1/sessions/${ask.session}/kill`, { reason });
    };
    return (
      <Dialog title="Reject" act={reject} confirm="Reject" danger close={close}>
        {summary}
        <Reason label="Why" hint="The caller reads it, word for word: say what to do instead." value={reason} set={setReason} />
        {mayEnd && <label class="inline"><input type="checkbox" checked={alsoEnd} onChange={(event) => setAlsoEnd(event.currentTarget.checked)} /> and end its session</label>}
      </Dialog>
    );
  }
  if (asking === "say") {
    return (
      <Dialog title="Ask or answer" act={() => decide("messages", { text: reason })} confirm="Send" close={close}>
        {summary}
        <Reason label="Text" hint="A client that waits is told what a reviewer asks, and may answer. It decides nothing, and is recorded." value={reason} set={setReason} />
      </Dialog>
    );
  }
  const pattern = { seconds: Math.round(minutes * 60), count: uses };
  return (
    <Dialog title="Approve the pattern" act={() => approve({ pattern })} confirm="Approve the pattern" danger close={close}>
      {summary}
      <InertLines text={ask.pattern?.shown ?? ""} label="Pattern" />
      <p class="warning">Each marked place may hold <strong>any</strong> value of its kind: any row may be chosen, and anything
        written there. Nobody is asked again, in session {ask.session} alone, until it is used up, expires or is revoked.</p>
      {takes}
      <label>Minutes <input type="number" min={1} max={480} value={minutes} required onInput={(event) => setMinutes(event.currentTarget.valueAsNumber)} /></label>
      <label>Uses, beside this one <input type="number" min={1} max={1000} value={uses} required onInput={(event) => setUses(event.currentTarget.valueAsNumber)} /></label>
    </Dialog>
  );
}
