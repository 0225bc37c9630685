// The gateway's own credentials: one's own, and those of agents that act for one.
import { useEffect, useState } from "preact/hooks";
import { del, get, Problem } from "./api";
import { Dialog } from "./dialog";
import { Chain } from "./live";
import { Heading } from "./route";
import { useNow } from "./store";
import { Inert } from "./text";
import { moment, span } from "./time";
import type { Credential } from "./types";

export function Credentials() {
  const [all, setAll] = useState(false);
  const [rows, setRows] = useState<Credential[] | undefined>();
  const [error, setError] = useState("");
  const [revoking, revoke] = useState<Credential | null>(null);
  const [turn, setTurn] = useState(0);
  const now = useNow();
  useEffect(() => {
    const told = (problem: unknown) => setError(problem instanceof Problem ? problem.message : String(problem));
    get<Credential[]>(`/api/v1/credentials${all ? "?all=true" : ""}`).then((rows) => (setRows(rows), setError("")), told);
  }, [all, turn]);
  const end = async (row: Credential) => {
    await del(`/api/v1/credentials/${row.id}`);
    setTurn(turn + 1);
  };
  const state = (row: Credential) => {
    if (row.revoked !== null) return <>revoked by <Inert text={row.revoked_by} /></>;
    return row.expires <= now ? <>expired</> : <>good for {span(row.expires - now)}</>;
  };
  return (
    <main>
      <Heading title="Credentials">Credentials</Heading>
      <p>Each opens one connection until it expires or is revoked, for you or for an agent that acts for you. They are made
        with <code>portcullis credential create</code>.</p>
      <label class="inline"><input type="checkbox" checked={all} onChange={(event) => setAll(event.currentTarget.checked)} /> expired and revoked ones too</label>
      <p class="error" role="alert"><Inert text={error} /></p>
      {rows?.length === 0 && <p>There are none.</p>}
      <ul class="cards">
        {(rows ?? []).map((row) => (
          <li key={row.id}>
            <div class="row">
              <Chain principal={row.principal} />
              <span class="spread">on <Inert text={row.connection} /></span>
              <span class="quiet">{state(row)}</span>
              {row.revoked === null && row.expires > now && (
                <button type="button" class="danger" onClick={() => revoke(row)} aria-label={`Revoke ${row.id}`}>Revoke…</button>
              )}
            </div>
            <p class="last">claimed to be for: <Inert text={row.purpose} /></p>
            <p class="quiet">{row.id}, issued <time dateTime={moment(row.issued).utc}>{moment(row.issued).local}</time></p>
          </li>
        ))}
      </ul>
      {revoking && (
        <Dialog title="Revoke this credential" act={() => end(revoking)} confirm="Revoke it" danger close={() => revoke(null)}>
          <p>{revoking.id}, for <Inert text={revoking.purpose} />. Its sessions end at once.</p>
        </Dialog>
      )}
    </main>
  );
}
