// What a review says, in words.
import { count, span } from "./time";
import type { Rehearsal, Review } from "./types";

/** How grave what a statement does is, by the verbs the gateway read; for colours. */
export function gravity(operation: string): "destroys" | "changes" | "reads" {
  const text = operation.toLowerCase();
  if (/\b(delete|truncate|drop)\b/.test(text)) return "destroys";
  const effects = text.split("·").slice(1).join("·");
  const reads = effects.split(",").every((effect) => /^\s*read\b/.test(effect));
  return effects !== "" && reads ? "reads" : "changes";
}

/** True for names of environments that nobody may mistake. */
export function isProduction(environment: string): boolean {
  return /prod|live/i.test(environment);
}

export function estimate(review: Review): string {
  const told = review.ask.estimate;
  if ("none" in told) return `no estimate: ${told.none.why}`;
  const { rows, of, table } = told.rows;
  const all = of === null ? "" : ` of ${count(of)}`;
  return `about ${rows === 1 ? "1 row" : `${count(rows)} rows`}${all} in ${table}, by the target's own estimate`;
}

/** How a rehearsal stands. */
export function rehearsed(rehearsal: Rehearsal, now: number): string {
  const why = rehearsal.why ?? "";
  switch (rehearsal.stage) {
    case "running": return "It is being run, in a transaction that is rolled back unless you approve it in time.";
    case "open": {
      const left = rehearsal.until === undefined ? "" : ` for ${span(rehearsal.until - now)} more`;
      return `It has run, and its transaction is open${left}: approved by then, it stays as it is.`;
    }
    case "kept": return `Committed: ${why}`;
    case "undone": return `It was run and rolled back: ${why}`;
    case "unknown": return `Committed or rolled back, nobody knows which: ${why}`;
    case "failed": return `It was tried, and nothing of it is left: ${why}`;
    default: return `It was not run: ${why}`;
  }
}

/** Whether what is approved can be taken back. */
export function undo(review: Review): string {
  if (gravity(review.ask.operation) === "reads") return "It changes nothing, by what the gateway reads in it.";
  const stage = review.rehearsal?.stage;
  const seen = review.rehearsal?.seen;
  if (stage === "open" || stage === "running") {
    return "Until you decide, yes: rejecting rolls it back. Once approved it is committed, and Portcullis cannot undo it.";
  }
  if (stage === "undone" && seen) {
    return `Not by Portcullis. Approved now, it runs anew and may change no more than ${count(seen.changed)} rows; what it changes stays.`;
  }
  return "Not by Portcullis: once approved it runs and stays, and nothing here keeps the rows as they were.";
}

/** What became of a review, where it is over. */
export function outcome(review: Review): string {
  const last = review.decisions.at(-1);
  switch (review.status) {
    case "pending": return `waits for ${review.waiting_for.join(" and ")}`;
    case "approved": return "approved; it has not run yet";
    case "used": return "approved, and it has run";
    case "rejected": return `rejected by ${last?.name ?? "somebody"}: ${last?.reason ?? ""}`;
    case "expired": return "nobody decided in time; it did not run";
    case "withdrawn": return `taken back${review.withdrawal ? ` (${review.withdrawal.replaceAll("_", " ")})` : ""}; it did not run`;
    default: return review.status;
  }
}
