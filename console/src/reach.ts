// What a manifest says a connection does to whoever is on it, in words.
import type { Answer, Reachable } from "./types";

/** Requests of one kind of answer, and what is to be said of them. */
export interface Words {
  answer: string;
  requests: string;
}

const listed = (names: string[]) => names.join(", ");

/** One line for each way that requests go. */
export function words(answers: Answer[]): Words[] {
  const lines = new Map<string, string[]>();
  for (const answer of answers) {
    const what = (() => {
      switch (answer.answer) {
        case "runs": return answer.limits?.length ? `runs, at most ${listed(answer.limits)}` : "runs";
        case "held": return `waits until ${(answer.groups ?? []).join(" and ")} approve it`;
        case "refused": return "is refused";
        default: return answer.answer;
      }
    })();
    lines.set(what, [...(lines.get(what) ?? []), answer.request]);
  }
  return [...lines].map(([answer, requests]) => ({ answer, requests: listed(requests) }));
}

/** What a connection is to somebody, in a word or two. */
export function nature({ answers, named }: Pick<Reachable, "answers" | "named">): string {
  const all = [...answers, ...named.flatMap((one) => one.answers)];
  const changes = all.filter(({ request }) => request !== "SELECT");
  if (changes.every(({ answer }) => answer === "refused")) return "read-only for you";
  return changes.some(({ answer }) => answer === "runs") ? "you may change data" : "changes wait for people";
}
