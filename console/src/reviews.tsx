// What waits for people, oldest first; and the patterns that were given.
import { useEffect, useState } from "preact/hooks";
import { getByItself, post } from "./api";
import { Dialog } from "./dialog";
import { gravity } from "./facts";
import { useKeys } from "./keys";
import { Environment } from "./live";
import { Heading, Link, navigate } from "./route";
import { useNow, useStore } from "./store";
import { Inert } from "./text";
import { count, countdown, span } from "./time";
import type { Pattern } from "./types";

export function Reviews() {
  const { reviews } = useStore();
  const now = useNow();
  const [chosen, choose] = useState<string | null>(null);
  const waiting = reviews ?? [];
  const at = Math.max(0, waiting.findIndex((review) => review.id === chosen));
  const go = (index: number) => {
    const review = waiting[Math.max(0, Math.min(waiting.length - 1, index))];
    if (!review) return;
    choose(review.id);
    // Its link has the focus then: Enter follows it, and whoever listens hears what is chosen.
    document.querySelector<HTMLElement>(`#${review.id} a`)?.focus();
  };
  useKeys({
    j: () => go(chosen === null ? 0 : at + 1), k: () => go(at - 1),
    Enter: () => waiting[at] && navigate(`/reviews/${waiting[at].id}`),
  });
  return (
    <main>
      <Heading title={waiting.length ? `(${waiting.length}) Reviews` : "Reviews"}>Reviews</Heading>
      {reviews === undefined && <p class="quiet">Asking the gateway…</p>}
      {reviews?.length === 0 && <p>Nothing waits for you.</p>}
      <ol class="cards queue">
        {waiting.map((review, index) => (
          <li key={review.id} id={review.id} class={index === at ? "chosen" : undefined} onFocusCapture={() => choose(review.id)}>
            <Link to={`/reviews/${review.id}`} class="whole">
              <span class="row">
                <strong class={`badge ${gravity(review.operation)}`}><Inert text={review.what} /></strong>
                {review.rows !== undefined && <span>~{count(review.rows)} rows</span>}
                <span><Inert text={review.connection.name} /> <Environment connection={review.connection} /></span>
                <span class="spread"><Inert text={review.who} /></span>
                <span class="clock" title="until it expires">{countdown(review.expires - now)}</span>
              </span>
              <code class="preview"><Inert text={review.text} /></code>
              <span class="quiet">
                asked {span(now - review.at)} ago · {review.status === "approved" ? "approved, about to run" : <>waits for <Inert text={review.waiting_for.join(", ")} /></>}
                {review.repeats > 0 && ` · sent again ${review.repeats} times`}
                {review.rehearsal === "open" && " · rehearsed, its transaction is open"} · {review.digest}
              </span>
            </Link>
          </li>
        ))}
      </ol>
      <Patterns />
    </main>
  );
}

/** Leave that is in force: what runs without anybody being asked. */
function Patterns() {
  const { turn } = useStore();
  const now = useNow();
  const [patterns, setPatterns] = useState<Pattern[]>([]);
  const [revoking, revoke] = useState<Pattern | null>(null);
  const load = () => getByItself<Pattern[]>("/api/v1/patterns").then(setPatterns, () => undefined);
  useEffect(() => void load(), [turn]);
  useEffect(() => {
    const timer = setInterval(load, 5000);
    return () => clearInterval(timer);
  }, []);
  const good = patterns.filter((pattern) => pattern.expires > now);
  if (good.length === 0) return null;
  return (
    <section aria-labelledby="patterns">
      <h2 id="patterns">Runs without being asked</h2>
      <ul class="cards">
        {good.map((pattern) => (
          <li key={pattern.id}>
            <div class="row">
              <span class="spread"><Inert text={pattern.name} /> on <Inert text={pattern.connection} />, in {pattern.session}</span>
              <span>{pattern.used} of {pattern.most} used</span>
              <span class="clock">{countdown(pattern.expires - now)}</span>
              <button type="button" class="danger" onClick={() => revoke(pattern)} aria-label={`Revoke ${pattern.id}`}>Revoke…</button>
            </div>
            <code class="preview"><Inert text={pattern.shown} /></code>
          </li>
        ))}
      </ul>
      {revoking && (
        <Dialog title="Revoke this pattern" confirm="Revoke it" danger close={() => revoke(null)}
          act={async () => void (await post(`/api/v1/patterns/${revoking.id}/revoke`), await load())}>
          <p>From now on people are asked again.</p>
        </Dialog>
      )}
    </section>
  );
}
