// One's passkeys: what one approves with where a rule or a connection asks for it.
import { useEffect, useState } from "preact/hooks";
import { del, get, hasToken, Problem } from "./api";
import { Dialog } from "./dialog";
import { registerPasskey } from "./passkey";
import { Heading } from "./route";
import { may, useNow, useStore } from "./store";
import { Inert } from "./text";
import { moment, span } from "./time";
import type { Passkey } from "./types";

/** A sign-in that vouches for a first passkey, and back here. */
const ANEW = `/auth/login?anew=true&return_to=${encodeURIComponent("/passkeys?first")}`;

export function Passkeys() {
  const { me } = useStore();
  const [all, setAll] = useState(false);
  const [rows, setRows] = useState<Passkey[] | undefined>();
  const [error, setError] = useState("");
  const [name, setName] = useState("");
  const [adding, add] = useState(false);
  const [removing, remove] = useState<Passkey | null>(null);
  const [turn, setTurn] = useState(0);
  const now = useNow();
  // Whether that is so, the gateway decides.
  const vouched = new URLSearchParams(location.search).has("first");
  useEffect(() => {
    const told = (problem: unknown) => setError(problem instanceof Problem ? problem.message : String(problem));
    get<Passkey[]>(`/api/v1/passkeys${all ? "?all=true" : ""}`).then((rows) => (setRows(rows), setError("")), told);
  }, [all, turn]);
  const register = async () => {
    await registerPasskey(name);
    setName("");
    setTurn(turn + 1);
  };
  const end = async (row: Passkey) => {
    await del(`/api/v1/passkeys/${row.id}`);
    setTurn(turn + 1);
  };
  return (
    <main>
      <Heading title="Passkeys">Passkeys</Heading>
      <p>Where a rule or a connection asks for one, an approval takes a passkey that verifies who you are. It signs exactly
        what you see on the page, and the signature stays in the record. A lost one is removed by an administrator who is not you.</p>
      {may(me, "administrator") && (
        <label class="inline"><input type="checkbox" checked={all} onChange={(event) => setAll(event.currentTarget.checked)} /> everybody's</label>
      )}
      <p class="error" role="alert"><Inert text={error} /></p>
      {rows?.length === 0 && <p>There are none.</p>}
      <ul class="cards">
        {(rows ?? []).map((row) => (
          <li key={row.id}>
            <div class="row">
              <strong><Inert text={row.name} /></strong>
              {all && <span>of <Inert text={row.subject} /></span>}
              <span class="spread quiet">{row.used === null ? "never used" : `used ${span(now - row.used)} ago`}</span>
              {may(me, "administrator") && (row.subject !== me?.subject || row.issuer !== me.issuer) && <button type="button" class="danger" onClick={() => remove(row)} aria-label={`Remove ${row.id}`}>Remove…</button>}
            </div>
            <p class="quiet">{row.id}, registered <time dateTime={moment(row.made).utc}>{moment(row.made).local}</time></p>
          </li>
        ))}
      </ul>
      {rows?.length === 0 && !all && !hasToken() && !vouched && (
        <p>Your first one takes a sign-in for which your provider asks anew who you are: <a class="button primary" href={ANEW}>Sign in again, and register</a></p>
      )}
      {hasToken()
        ? <p>You are signed in with a token that was pasted. Sign in with your provider to register a passkey.</p>
        : (rows?.length !== 0 || all || vouched) && <p><button type="button" class="primary" onClick={() => add(true)}>Register a passkey…</button></p>}
      {adding && (
        <Dialog title="Register a passkey" act={register} confirm="Register it" close={() => add(false)}>
          <p>{rows?.length ? "A passkey that you have is asked first, and then the new one is made." : "Your first one is trusted because your provider has just asked who you are."}</p>
          <label>Name
            <input type="text" value={name} required maxLength={60} autoFocus autocomplete="off" onInput={(event) => setName(event.currentTarget.value)} />
          </label>
        </Dialog>
      )}
      {removing && (
        <Dialog title="Remove this passkey" act={() => end(removing)} confirm="Remove it" danger close={() => remove(null)}>
          <p><Inert text={removing.name} /> ({removing.id}) of <Inert text={removing.subject} />. It approves nothing any more, from now on.</p>
        </Dialog>
      )}
    </main>
  );
}
