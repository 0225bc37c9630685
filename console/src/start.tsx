// The first page of somebody who is new: from here to a governed command in a terminal.
import { useEffect, useState } from "preact/hooks";
import { getByItself } from "./api";
import { useAsked } from "./asked";
import { useKeys } from "./keys";
import { Environment } from "./live";
import { nature, words } from "./reach";
import { Heading, Link } from "./route";
import { useStore } from "./store";
import { Inert } from "./text";
import type { Manifest, Me, Reachable, Recording } from "./types";

/** Somebody's sessions, those of agents that act for it among them: the newest, or none. */
async function newest(me: Me): Promise<Recording | undefined> {
  const rows = await getByItself<Recording[]>(`/api/v1/recordings?limit=1&person=${encodeURIComponent(me.subject)}`);
  return rows[0];
}

/** Whether somebody has never connected; `undefined` until it is known. Asked once, so that no page is taken away. */
export function useIsNew(me: Me | null | undefined): boolean | undefined {
  const [isNew, set] = useState<boolean | undefined>();
  useEffect(() => {
    if (me) newest(me).then((one) => set(one === undefined), () => set(false));
  }, [me?.subject]);
  return isNew;
}

function Copy({ text, label }: { text: string; label: string }) {
  const [said, say] = useState("");
  const copy = () => {
    const done = navigator.clipboard?.writeText(text) ?? Promise.reject();
    done.then(() => say("copied"), () => say("select it, and copy it by hand"));
  };
  return (
    <>
      <button type="button" class="copy" onClick={copy} aria-label={`Copy ${label}`}>Copy</button>
      <span class="quiet" role="status">{said}</span>
    </>
  );
}

export function Command({ text, label }: { text: string; label: string }) {
  return (
    <div class="command">
      <pre class="inert" dir="ltr" tabIndex={0} role="region" aria-label={label}><Inert text={text} /></pre>
      <Copy text={text} label={label} />
    </div>
  );
}

function Reach({ one }: { one: Reachable }) {
  const name = one.name;
  return (
    <>
      <div class="row">
        <h2 class="spread"><Inert text={name} /></h2>
        <Environment connection={{ name, environment: one.environment, protocol: one.protocol, database: one.database, role: one.roles[0] ?? "" }} />
        <span class="badge">{nature(one)}</span>
      </div>
      <ul class="words">
        {words(one.answers).map(({ requests, answer }) => <li><strong><Inert text={answer} /></strong>: <Inert text={requests} /></li>)}
        {one.named.map(({ object, answers }) => (
          <li><Inert text={object} />: {words(answers).map(({ requests, answer }, at) => <>{at > 0 && "; "}<Inert text={`${answer}: ${requests}`} /></>)}</li>
        ))}
        {one.masked.length > 0 && (
          <li>masked for you: {one.masked.map(({ column, how }, at) => <>{at > 0 && ", "}<code title={how}><Inert text={column} /></code></>)}</li>
        )}
        {one.detectors && <li>what looks like a secret or personal data is masked, wherever it stands</li>}
      </ul>
      {one.connect?.ask && (
        <>
          <p>It takes access that people give for a time. Ask for it, and wait until they have decided:</p>
          <Command text={one.connect.ask} label={`request for ${name}`} />
        </>
      )}
      {one.connect ? (
        <>
          <Command text={one.connect.psql} label={`psql command for ${name}`} />
          <details>
            <summary>Other clients</summary>
            <p>Driver, notebook or tool: the password is your token, in <code>PGPASSWORD</code> or where the client asks for it.</p>
            <Command text={one.connect.uri} label={`URI for ${name}`} />
            <Command text={one.connect.jdbc} label={`JDBC URL for ${name}`} />
            <dl class="fields">
              {([["Host", one.connect.host], ["Port", String(one.connect.port)], ["Database", one.connect.database],
                ["User", one.connect.user], ["SSL mode", one.connect.sslmode]] as const)
                .map(([key, value]) => <div><dt>{key}</dt><dd><Inert text={value} /></dd></div>)}
            </dl>
          </details>
        </>
      ) : <p class="quiet">No command is shown for it: see above.</p>}
    </>
  );
}

function Token({ gateway }: { gateway: Manifest["gateway"] }) {
  if (gateway.trouble) return <p class="warning">{gateway.trouble}</p>;
  const { terminal } = gateway;
  if (!terminal) {
    return (
      <p class="warning">Your identity provider gives tokens to browsers alone, and a terminal needs one: ask an
        administrator for a provider of OpenID Connect with a client for terminals.</p>
    );
  }
  const tls = gateway.sslmode === "require"
    ? "The connection is encrypted; the certificate is not checked, because the gateway is on this very machine."
    : "The connection is encrypted and the certificate checked: your client has to trust whoever issued it (sslrootcert).";
  return (
    <>
      {terminal.login && <><p>Once, in a terminal, sign in there as well:</p><Command text={terminal.login} label="sign-in command" /></>}
      {!terminal.token && <p>Put your token into <code>PORTCULLIS_TOKEN</code>, then paste one of these.</p>}
      <p class="quiet">Your password is a token that ends soon, and never one of the database. {tls}</p>
    </>
  );
}

function First({ me }: { me: Me }) {
  const { sessions } = useStore();
  const [first, set] = useState<Recording | undefined>();
  const shown = first?.id;
  useEffect(() => {
    if (shown) return;
    let over = false;
    const look = () => newest(me).then((one) => !over && one && set(one), () => undefined);
    void look();
    const timer = setInterval(look, 3000);
    return () => {
      over = true;
      clearInterval(timer);
    };
  }, [sessions, shown, me.subject]);
  return (
    <p class="first" role="status">
      {first
        ? <>You are connected: <Link to={`/sessions/${first.id}`}>your session on <Inert text={first.connection} /></Link> is recorded, each request with its verdict.</>
        : "Waiting for your first session: it shows here as soon as it begins."}
    </p>
  );
}

export function Start() {
  const { me } = useStore();
  const { found, error } = useAsked<Manifest>("/api/v1/manifest");
  const [chosen, choose] = useState(0);
  const all = found?.connections ?? [];
  const go = (to: number) => {
    const at = Math.max(0, Math.min(all.length - 1, to));
    choose(at);
    document.querySelectorAll<HTMLElement>(".reach > li")[at]?.scrollIntoView({ block: "nearest" });
  };
  useKeys({
    j: () => go(chosen + 1), k: () => go(chosen - 1),
    c: () => document.querySelector<HTMLElement>(".reach > li.chosen .copy")?.click(),
  });
  return (
    <main>
      <Heading title="Start">Start</Heading>
      <p class="error" role="alert"><Inert text={error} /></p>
      {found === undefined && !error && <p class="quiet">Asking the gateway…</p>}
      {found && (
        <>
          <p>Hello <strong><Inert text={found.you.name} /></strong>. Paste a command into a terminal: each request you send is
            looked at before the database sees it, then runs, waits for people, or is refused.</p>
          {all.length > 0 && <Token gateway={found.gateway} />}
          {me && all.length > 0 && <First me={me} />}
          {all.length === 0 && <p>No connection lets you in yet. Whoever runs the gateway has to admit one of your groups
            ({found.you.groups.length > 0 ? <Inert text={found.you.groups.join(", ")} /> : "you are in none"}).</p>}
          <ul class="cards reach">
            {all.map((one, at) => <li key={one.name} class={at === chosen ? "chosen" : undefined} onClick={() => choose(at)}><Reach one={one} /></li>)}
          </ul>
        </>
      )}
    </main>
  );
}
