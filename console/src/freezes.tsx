// What agents are kept from: a banner on every page, and the way to change it.
import { useState } from "preact/hooks";
import { del, post } from "./api";
import { Dialog, Reason } from "./dialog";
import { may, useNow, useStore } from "./store";
import { Inert } from "./text";
import { moment, span } from "./time";
import type { Freeze } from "./types";

export function Freezes() {
  const { freezes, me, sessions, reviews } = useStore();
  const now = useNow();
  const [making, make] = useState(false);
  const [thawing, thaw] = useState<Freeze | null>(null);
  const mayAdminister = may(me, "administrator");
  const inForce = (freezes ?? []).filter((freeze) => freeze.until > now);
  const connections = [...new Set([...(sessions ?? []), ...(reviews ?? [])].map((one) => one.connection.name))];
  return (
    <section class="freezes" aria-label="Freezes">
      {freezes === null && <p class="banner">The gateway cannot read what is frozen: until it can, agents do nothing.</p>}
      {inForce.map((freeze) => (
        <p class="banner" key={freeze.id}>
          <strong>Frozen: </strong>
          agents are kept from {freeze.scope === "writes" ? "writing" : "everything"}{" "}
          {freeze.connection ? <>on <Inert text={freeze.connection} /></> : "everywhere"} for{" "}
          <time dateTime={moment(freeze.until).utc} title={moment(freeze.until).local}>{span(freeze.until - now)}</time> more,
          by <Inert text={freeze.by} />: <Inert text={freeze.reason} />
          {mayAdminister && <button type="button" onClick={() => thaw(freeze)} aria-label={`Thaw ${freeze.id}`}>Thaw…</button>}
        </p>
      ))}
      {mayAdminister && <button type="button" class="freeze" onClick={() => make(true)}>Freeze agents…</button>}
      {making && <Make connections={connections} close={() => make(false)} />}
      {thawing && (
        <Dialog title="Thaw" confirm="Thaw" close={() => thaw(null)}
          act={async () => void (await del(`/api/v1/freezes/${thawing.id}`))}>
          <p>Agents may {thawing.scope === "writes" ? "write" : "work"} again where policy lets them. It was frozen because:{" "}
            <Inert text={thawing.reason} /></p>
        </Dialog>
      )}
    </section>
  );
}

function Make({ connections, close }: { connections: string[]; close: () => void }) {
  const [scope, setScope] = useState("writes");
  const [connection, setConnection] = useState("");
  const [minutes, setMinutes] = useState(60);
  const [reason, setReason] = useState("");
  const act = async () => {
    const body = { scope, connection: connection || null, seconds: Math.round(minutes * 60), reason };
    await post("/api/v1/freezes", body);
  };
  return (
    <Dialog title="Freeze agents" act={act} confirm="Freeze" danger close={close}>
      <p>Whatever policy says and whoever has approved it. People who act for themselves are not kept from anything.</p>
      <Reason label="Why" hint="Agents read it." value={reason} set={setReason} />
      <fieldset>
        <legend>From</legend>
        <label class="inline"><input type="radio" name="scope" checked={scope === "writes"} onChange={() => setScope("writes")} /> writing</label>
        <label class="inline"><input type="radio" name="scope" checked={scope === "everything"} onChange={() => setScope("everything")} /> everything</label>
      </fieldset>
      <label>Connection <input type="text" list="connections" value={connection} placeholder="all of them" autocomplete="off"
        onInput={(event) => setConnection(event.currentTarget.value)} /></label>
      <datalist id="connections">{connections.map((name) => <option value={name} />)}</datalist>
      <label>Minutes <input type="number" min={1} max={43200} value={minutes} required
        onInput={(event) => setMinutes(event.currentTarget.valueAsNumber)} /></label>
    </Dialog>
  );
}
