// What the API answers. Times are microseconds since 1970.

export type Micros = number;

export interface Me {
  name: string;
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
