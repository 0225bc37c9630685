// Calls of the gateway's API, and its events. Who calls is said by a cookie of a sign-in, or by a token that was
// pasted: kept in this variable, and nowhere else.
import { Lines } from "./stream";

let token: string | null = null;

/** Signs in with a token until the page is left. */
export function holdToken(text: string | null): void {
  token = text?.trim() || null;
}

/** True where a token was pasted. */
export function hasToken(): boolean {
  return token !== null;
}

/** How far this machine's clock is behind the gateway's, in milliseconds, to a second or so. */
export let skew = 0;

function look(response: Response): void {
  const date = Date.parse(response.headers.get("date") ?? "");
  const off = date + 500 - Date.now();
  if (!Number.isNaN(date)) skew = Math.abs(off) > 2000 ? off : 0;
}

/** An answer that is no success (RFC 9457). */
export class Problem extends Error {
  constructor(readonly status: number, detail: string) {
    super(detail);
  }
}

function headers(more: Record<string, string> = {}): HeadersInit {
  const all: Record<string, string> = { "X-Portcullis": "1", Accept: "application/json", ...more };
  if (token !== null) all["Authorization"] = `Bearer ${token}`;
  return all;
}

async function problem(response: Response): Promise<Problem> {
  let detail = `the gateway answered ${response.status}`;
  try {
    const body: unknown = await response.json();
    if (typeof body === "object" && body !== null && "detail" in body && typeof body.detail === "string") detail = body.detail;
  } catch {
    // It has no words of its own.
  }
  return new Problem(response.status, detail);
}

/** Sent with what a page asks by itself: nobody need be there, so it keeps no session from being idle. */
const BY_ITSELF = { "X-Portcullis-By-Itself": "1" };

/** The next page of a list (RFC 8288), where it goes on: of the same list, whatever the answer says. */
function nextPage(path: string, response: Response): string | null {
  const query = /^<[^?>]*\?([^>]*)>; rel="next"$/.exec(response.headers.get("link") ?? "")?.[1];
  return query === undefined ? null : `${path.split("?")[0]}?${query}`;
}

/** Calls a route; of a list, all pages. */
async function call(method: string, path: string, body?: unknown, more: Record<string, string> = {}): Promise<unknown> {
  const sent: RequestInit = { method, headers: headers(more), cache: "no-store", credentials: "same-origin" };
  if (body !== undefined) {
    sent.headers = headers({ "Content-Type": "application/json" });
    sent.body = JSON.stringify(body);
  }
  let response: Response;
  try {
    response = await fetch(path, sent);
  } catch {
    throw new Problem(0, "the gateway cannot be reached");
  }
  look(response);
  if (!response.ok) throw await problem(response);
  if (response.status === 204) return null;
  const said: unknown = await response.json();
  const next = nextPage(path, response);
  return next !== null && Array.isArray(said) ? [...said, ...((await call(method, next, undefined, more)) as unknown[])] : said;
}

/** One page of a list, where the next is, and what else the answer's head says. */
export async function page<T>(path: string): Promise<{ rows: T[]; next: string | null; recording: string; leftOut: boolean }> {
  const response = await fetch(path, { headers: headers(), cache: "no-store", credentials: "same-origin" }).catch(() => {
    throw new Problem(0, "the gateway cannot be reached");
  });
  look(response);
  if (!response.ok) throw await problem(response);
  const recording = response.headers.get("portcullis-recording") ?? "";
  return { rows: (await response.json()) as T[], next: nextPage(path, response), recording, leftOut: response.headers.has("portcullis-left-out") };
}

/** A file, as it is, and how it is named. */
export async function file(path: string): Promise<{ blob: Blob; name: string }> {
  const response = await fetch(path, { headers: headers({ Accept: "*/*" }), cache: "no-store", credentials: "same-origin" });
  if (!response.ok) throw await problem(response);
  const name = /filename="([\w.-]+)"/.exec(response.headers.get("content-disposition") ?? "")?.[1] ?? "recording";
  return { blob: await response.blob(), name };
}

export const get = async <T>(path: string): Promise<T> => (await call("GET", path)) as T;
export const getByItself = async <T>(path: string): Promise<T> => (await call("GET", path, undefined, BY_ITSELF)) as T;
export const post = async <T>(path: string, body?: unknown): Promise<T> => (await call("POST", path, body)) as T;
export const del = async <T>(path: string): Promise<T> => (await call("DELETE", path)) as T;

/** Follows the gateway's events until they end, which is an error or the signal. */
export async function events(signal: AbortSignal, told: (kind: string, data: unknown) => void, path = "/api/v1/events"): Promise<void> {
  const response = await fetch(path, {
    headers: headers({ Accept: "text/event-stream" }), cache: "no-store", credentials: "same-origin", signal,
  });
  look(response);
  if (!response.ok || !response.body) throw await problem(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const lines = new Lines(told);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    lines.add(value);
  }
}
