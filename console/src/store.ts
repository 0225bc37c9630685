// What the gateway has told, for all pages to show.
import { useEffect, useState } from "preact/hooks";
import { events, Problem, skew } from "./api";
import type { Freeze, Grant, Me, Session, Waiting } from "./types";

export interface State {
  /** `undefined` until it is known. */
  me: Me | null | undefined;
  reviews: Waiting[] | undefined;
  sessions: Session[] | undefined;
  /** Requests for access that wait, and grants in force. */
  grants: Grant[] | undefined;
  /** `null` where the gateway itself does not know. */
  freezes: Freeze[] | null | undefined;
  /** Whether events come. */
  connected: boolean;
  /** How often it was told something, for whoever reads more of it then. */
  turn: number;
}

let state: State = { me: undefined, reviews: undefined, sessions: undefined, grants: undefined, freezes: undefined, connected: false, turn: 0 };
const watching = new Set<(state: State) => void>();
/** Told of reviews that were not there before. */
export const arrivals = new Set<(review: Waiting) => void>();
/** And of requests for access. */
export const requests = new Set<(grant: Grant) => void>();

/** True unless it is known that somebody may not. */
export function may(me: Me | null | undefined, right: "reviewer" | "administrator"): boolean {
  return me?.rights?.includes(right) ?? true;
}

export function update(change: Partial<State>): void {
  state = { ...state, ...change };
  for (const watch of watching) watch(state);
}

export function useStore(): State {
  const [seen, see] = useState(state);
  useEffect(() => {
    watching.add(see);
    see(state);
    return () => void watching.delete(see);
  }, []);
  return seen;
}

function tell(kind: string, data: unknown): void {
  if (kind === "reviews") {
    const reviews = data as Waiting[];
    const known = state.reviews;
    update({ reviews, turn: state.turn + 1, connected: true });
    if (known === undefined) return;
    const before = new Set(known.map((review) => review.id));
    for (const review of reviews) if (!before.has(review.id)) for (const arrival of arrivals) arrival(review);
  } else if (kind === "grants") {
    const grants = data as Grant[];
    const known = state.grants;
    update({ grants, connected: true });
    if (known === undefined) return;
    const before = new Set(known.map((grant) => grant.id));
    const fresh = grants.filter((grant) => grant.status === "pending" && !before.has(grant.id));
    for (const grant of fresh) for (const request of requests) request(grant);
  } else if (kind === "sessions") {
    update({ sessions: data as Session[], connected: true });
  } else if (kind === "freezes") {
    update({ freezes: data as Freeze[] | null, connected: true });
  }
}

/** Follows the gateway for as long as somebody is signed in; where it is lost, again and again. */
export function follow(signedOut: () => void): () => void {
  const stop = new AbortController();
  const run = async () => {
    for (let wait = 500; !stop.signal.aborted; wait = Math.min(wait * 2, 10_000)) {
      try {
        await events(stop.signal, (kind, data) => {
          wait = 500;
          tell(kind, data);
        });
      } catch (error) {
        if (error instanceof Problem && error.status === 401) return signedOut();
      }
      if (stop.signal.aborted) return;
      update({ connected: false });
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  };
  void run();
  return () => stop.abort();
}

/** Now by the gateway's clock, in microseconds, again every second. */
export function useNow(): number {
  const [now, set] = useState((Date.now() + skew) * 1000);
  useEffect(() => {
    const timer = setInterval(() => set((Date.now() + skew) * 1000), 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
