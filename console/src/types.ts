// What the API answers. Times are microseconds since 1970.

export type Micros = number;

export interface Me {
  name: string;
  subject: string;
  issuer: string;
  kind: string;
  groups: string[];
  /** What it may do here; absent where the gateway does not say. The gateway decides, whatever is shown. */
  rights?: string[];
}

export interface ProviderChoice {
  name: string;
  issuer?: string;
}

export interface Connection {
  name: string;
  environment: string;
  protocol: string;
  database: string;
  role: string;
}

export interface Principal {
  kind: string;
  name: string;
  subject: string;
  issuer: string;
  acting_for?: string | null;
  token_id?: string | null;
  groups?: string[];
}

export interface LastRequest {
  at: Micros;
  verdict: string;
  text: string;
}

export interface Verdicts {
  permitted: number;
  refused: number;
  held: number;
  masked: number;
}

export interface Session {
  id: string;
  who: string;
  principal: Principal & { credential?: string; expires: Micros };
  connection: Connection;
  peer: string;
  since: Micros;
  state: string;
  killed: boolean;
  paused?: { by: string; reason: string; until: Micros };
  last?: LastRequest;
  verdicts: Verdicts;
}

/** A review in the queue. */
export interface Waiting {
  id: string;
  status: string;
  at: Micros;
  expires: Micros;
  digest: string;
  who: string;
  connection: Connection;
  operation: string;
  what: string;
  rule: string;
  text: string;
  waiting_for: string[];
  decisions: number;
  repeats: number;
  rows?: number;
  rehearsal?: string;
}

export interface Image {
  columns: string[];
  rows: (string | null)[][];
  more: boolean;
}

export type Sample = { rows: Image } | { none: { why: string } };

export interface Seen {
  tag: string;
  changed: number;
  tables: { table: string; inserted: number; updated: number; deleted: number }[];
  more_tables?: number;
  before: Sample;
  after: Sample;
}

export interface Rehearsal {
  stage: string;
  until?: Micros;
  why?: string;
  seen?: Seen;
}

export interface Reviewed {
  approved: boolean;
  name: string;
  issuer: string;
  subject: string;
  groups: string[];
  reason: string;
  at: Micros;
  pattern?: { seconds: number; count: number };
}

export interface Review {
  id: string;
  status: string;
  expires: Micros;
  ended: Micros | null;
  withdrawal: string | null;
  repeats: number;
  rehearsal?: Rehearsal;
  decisions: Reviewed[];
  waiting_for: string[];
  ask: {
    session: string;
    request: string;
    standing: { principal: Principal; connection: Connection };
    digest: string;
    shown: { statements: string[]; parameters: (string | null)[][]; beyond?: string[]; elided?: boolean };
    operation: string;
    groups: string[];
    ground: { rule: string; reason: string; hint: string | null; what: string };
    at: Micros;
    basis: { settings: [string, string][]; more_settings: number; definitions: string[]; more_definitions: number };
    estimate: { rows: { rows: number; of: number | null; table: string } } | { none: { why: string } };
    again?: { previous: string; times: number; because: string[] };
    pattern?: { digest: string; shown: string };
    /** What approving takes beside a token. */
    step_up?: string;
  };
}

export interface ReviewContext {
  session?: { since: Micros; state: string; verdicts: Verdicts; recent: LastRequest[] };
  purpose?: string;
  similar: {
    approved: number;
    rejected: number;
    undecided: number;
    last?: { review: string; approved: boolean; name: string; reason: string; at: Micros };
  };
  messages: ReviewMessage[];
}

/** What a reviewer asks before deciding, or the caller answers. */
export interface ReviewMessage {
  number: number;
  asks: boolean;
  name: string;
  text: string;
  at: Micros;
}

export interface Freeze {
  id: string;
  scope: string;
  connection?: string;
  reason: string;
  by: string;
  since: Micros;
  until: Micros;
}

export interface Grant {
  id: string;
  status: string;
  ask: {
    connection: string;
    environment: string;
    host: string;
    port: number;
    database: string;
    role: string;
    principal: Principal;
    seconds: number;
    reason: string;
    approvers: { step_up?: string };
    at: Micros;
    lapses: Micros;
  };
  repeats: number;
  begun: Micros | null;
  until: Micros | null;
  decisions: Reviewed[];
  waiting_for: string[];
  wanted: number;
}

export interface Pattern {
  id: string;
  review: string;
  session: string;
  name: string;
  connection: string;
  shown: string;
  used: number;
  most: number;
  expires: Micros;
  good: boolean;
}

export interface Passkey {
  id: string;
  name: string;
  issuer: string;
  subject: string;
  made: Micros;
  used: Micros | null;
}

export interface Credential {
  id: string;
  connection: string;
  purpose: string;
  principal: Principal;
  actors: { issuer: string; subject: string }[];
  person: { issuer: string; subject: string } | null;
  issued: Micros;
  expires: Micros;
  revoked: Micros | null;
  revoked_by: string | null;
}

export interface Recording {
  id: string;
  who: string;
  principal?: Principal;
  connection: string;
  facts?: Connection;
  peer: string;
  opened: Micros;
  closed?: Micros;
  ended?: string;
  live: boolean;
  permitted: number;
  refused: number;
  held: number;
  rows: number;
  masked: number;
  found?: number;
  /** From this entry on it was not searched. */
  unsearched?: number;
  watched?: { entry: number; at: Micros; who: string; how: string }[];
}

export type SampleCell = string | null | { hex: string };

/** A moment of a session: an entry of the journal, or something that was recorded. */
/** Who did something; entries from before issuers were written have a text in its place. */
export interface By { subject: string; issuer?: string }

export interface Moment {
  at: Micros;
  /** Microseconds since the session began. */
  offset: Micros;
  request?: string;
  /** The number of the entry, which is its address. */
  entry?: number;
  what: {
    event: string;
    shown?: { statements: string[]; parameters: (string | null)[][]; beyond?: string[]; elided?: boolean };
    operation?: string;
    rules?: string[];
    review?: string;
    ticket?: { review: string; groups: string[] };
    ground?: { rule: string; reason: string };
    refusal?: { rule: string; what: string; why: string };
    status?: string;
    rows?: number;
    masked?: number;
    micros?: number;
    tags?: string[];
    error?: string;
    by?: string | By | null;
    decision?: string;
    reason?: string | null;
    until?: Micros;
    columns?: string[];
    sample?: SampleCell[][];
    truncated?: boolean;
    text?: string;
    severity?: string;
    code?: string;
    bytes?: number;
    recording?: string | null;
    why?: string;
  };
}

/** What becomes of a kind of request. */
export interface Answer {
  request: string;
  answer: string;
  limits?: string[];
  groups?: string[];
  rule?: string;
  reason?: string;
}

export interface Reachable {
  name: string;
  protocol: string;
  environment: string;
  database: string;
  roles: string[];
  answers: Answer[];
  named: { object: string; answers: Answer[] }[];
  masked: { column: string; how: string; rule: string }[];
  detectors: boolean;
  connect: { host: string; port: number; database: string; user: string; sslmode: string; psql: string; uri: string; jdbc: string; ask: string | null } | null;
}

/** What somebody may reach, and how. */
export interface Manifest {
  you: { name: string; groups: string[] };
  gateway: { version: string; sslmode: string; trouble: string | null; terminal: { login: string | null; token: string | null } | null };
  connections: Reachable[];
}

export interface Finding {
  check: string;
  about?: string;
  at: Micros;
  status: "ok" | "warning" | "failure";
  found: string;
  means?: string;
  next?: string;
}

export interface Health {
  running: Micros | null;
  last: { at: Micros; milliseconds: number; status: Finding["status"]; findings: Finding[] } | null;
}

export interface Inside {
  host: string;
  port: number;
  roles: string[];
  groups: string[];
  access: { group: string; quorum: number } | null;
  masks: { column: string; label: string | null; how: string }[];
  detectors: string[] | null;
  document: string | null;
  policies: string[];
  named_by: string[];
  checked: Micros | null;
  findings: Finding[];
}

export interface ConnectionShown {
  name: string;
  protocol: string;
  environment: string;
  database: string;
  sessions: number;
  frozen: Freeze[] | null;
  takes_grant: boolean;
  inside?: Inside;
}

export interface Effective {
  version: string;
  build: string;
  revision: number;
  policy: string;
  changed: boolean;
  file: string;
  settings: { key: string; value: string; line?: number }[];
}

export interface AuditChange {
  entry: number;
  at: Micros;
  by?: string;
  by_issuer?: string;
  what: string;
  of: string;
  why?: string;
}

export interface AuditRecord {
  broken: string | null;
  key: string;
  running: Micros | null;
  last: {
    at: Micros;
    milliseconds: number;
    good: boolean;
    entries: number;
    heads: number;
    head_size: number;
    passkeys: number;
    said: string;
    changes: AuditChange[];
    attempts: AuditChange[];
    unread?: string;
  } | null;
}

export interface Identity {
  groups: { name: string; members: { issuer: string; subject: string }[]; includes: string[] }[];
  providers: {
    name: string; kind: string; issuer: string; signs_in: boolean; clients: string[]; audiences: string[]; findings: Finding[];
  }[];
  workloads: { name: string; platform: string; issuer: string; pins: Record<string, string>; groups: string[] }[];
  administrators: string[];
  auditors: string[];
  approvers: Record<string, string[]>;
  reviewers: {
    group: string; rules: string[]; connections: string[]; count: number; known: { issuer: string; subject: string }[]; others: boolean;
  }[];
  checked: Micros | null;
}

export interface BrowserSession {
  id: string;
  provider: string;
  person: Principal;
  peer: string;
  since: Micros;
  until: Micros;
  ended: Micros | null;
}
