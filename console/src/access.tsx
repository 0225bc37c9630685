// Access that people grant for a time: what is asked for, and what is in force.
import { useEffect, useState } from "preact/hooks";
import { post } from "./api";
import { Dialog, Reason } from "./dialog";
import { useKeys } from "./keys";
import { Chain, Environment } from "./live";
import { consent } from "./passkey";
import { Heading } from "./route";
import { may, useNow, useStore } from "./store";
import { Inert } from "./text";
import { countdown, moment, span } from "./time";
import type { Connection, Grant } from "./types";

type What = "approve" | "reject" | "end";

const length = (grant: Grant) => span(grant.ask.seconds * 1_000_000);

function place(grant: Grant): Connection {
  const { connection, environment, role, database } = grant.ask;
  return { name: connection, environment, role, protocol: "", database };
}

const named = () => window.location.hash.slice(1) || null;

export function Access() {
  const { grants, me } = useStore();
  const now = useNow();
  // A message links to what it tells of.
  const [linked, link] = useState(named);
  const [chosen, choose] = useState(linked);
  useEffect(() => {
    const follow = () => {
      link(named());
      choose(named());
    };
    window.addEventListener("hashchange", follow);
    return () => window.removeEventListener("hashchange", follow);
  }, []);
  const [asking, ask] = useState<{ grant: Grant; what: What } | null>(null);
  // What everybody has approved, and is not recorded yet, comes into force by itself.
  const waiting = (grants ?? []).filter((grant) => grant.status === "approved" || (grant.status === "pending" && grant.ask.lapses > now));
  const inForce = (grants ?? []).filter((grant) => grant.status === "active" && (grant.until ?? 0) > now);
  const all = [...waiting, ...inForce];
  const at = Math.max(0, all.findIndex((grant) => grant.id === chosen));
  const found = linked !== null && all.some((grant) => grant.id === linked);
  useEffect(() => {
    if (found && linked) document.getElementById(linked)?.querySelector<HTMLElement>("button")?.focus();
  }, [found, linked]);
  const go = (index: number) => {
    const grant = all[Math.max(0, Math.min(all.length - 1, index))];
    if (!grant) return;
    choose(grant.id);
    // Its first button has the focus then, so that whoever listens hears what is chosen.
    document.querySelector<HTMLElement>(`#${grant.id} button`)?.focus();
  };
  const start = (what: What) => () => {
    const grant = all[at];
    const fits = grant && (what === "end" || (grant.status === "pending" && may(me, "reviewer")));
    if (fits) ask({ grant, what });
  };
  useKeys({
    j: () => go(chosen === null ? 0 : at + 1), k: () => go(at - 1),
    a: start("approve"), r: start("reject"), x: start("end"),
  });
  const card = (grant: Grant, index: number) => (
    <li key={grant.id} id={grant.id} class={index === at ? "chosen" : undefined} onFocusCapture={() => choose(grant.id)}>
      <div class="row">
        <Chain principal={grant.ask.principal} />
        <span class="spread">on <Inert text={grant.ask.connection} /> <Environment connection={place(grant)} /> as <Inert text={grant.ask.role} /></span>
        {grant.status !== "active"
          ? <span>for <strong>{length(grant)}</strong></span>
          : <span>of {length(grant)}, <strong class="clock" title="until it ends by itself">{countdown((grant.until ?? now) - now)}</strong> left</span>}
      </div>
      <p class="last"><span class="badge claimed">claimed, not verified</span> <Inert text={grant.ask.reason} /></p>
      <p class="quiet">
        {grant.id} · known to <Inert text={grant.ask.principal.issuer} /> · leads to <Inert text={`${grant.ask.database} at ${grant.ask.host}:${grant.ask.port}`} /> · <Standing grant={grant} now={now} />
      </p>
      <div class="actions choices">
        {grant.status === "pending" && may(me, "reviewer") && (
          <>
            <button type="button" class="primary" onClick={() => ask({ grant, what: "approve" })} aria-label={`Approve ${grant.id}`}>Approve…</button>
            <button type="button" class="danger" onClick={() => ask({ grant, what: "reject" })} aria-label={`Reject ${grant.id}`}>Reject…</button>
          </>
        )}
        <button type="button" class={grant.status === "active" ? "danger" : undefined} onClick={() => ask({ grant, what: "end" })}
          aria-label={`${grant.status === "active" ? "End" : "Take back"} ${grant.id}`}>
          {grant.status === "active" ? "End…" : "Take back…"}
        </button>
      </div>
    </li>
  );
  return (
    <main>
      <Heading title={waiting.length ? `(${waiting.length}) Access` : "Access"}>Access</Heading>
      {grants === undefined && <p class="quiet">Asking the gateway…</p>}
      {grants && linked && !found && <p role="status">What the link leads to is over, or does not concern you.</p>}
      <section aria-labelledby="waiting">
        <h2 id="waiting">Asked for</h2>
        {grants && waiting.length === 0 && <p>Nobody asks you for access.</p>}
        <ol class="cards grants">{waiting.map((grant, index) => card(grant, index))}</ol>
      </section>
      <section aria-labelledby="in-force">
        <h2 id="in-force">In force</h2>
        {grants && inForce.length === 0 && <p>Nothing that concerns you is granted now.</p>}
        <ul class="cards grants">{inForce.map((grant, index) => card(grant, waiting.length + index))}</ul>
      </section>
      {asking && <Ask {...asking} close={() => ask(null)} />}
    </main>
  );
}

function Standing({ grant, now }: { grant: Grant; now: number }) {
  const approved = grant.decisions.filter((said) => said.approved).map((said) => said.name).join(", ");
  const by = approved && <> · approved by <Inert text={approved} /></>;
  if (grant.status === "active") {
    const until = moment(grant.until ?? 0);
    return <>until <time dateTime={until.utc} title={until.utc}>{until.local}</time>{by}</>;
  }
  if (grant.status === "approved") return <>in force as soon as that is recorded{by}</>;
  return (
    <>
      asked {span(now - grant.ask.at)} ago{grant.repeats > 0 && `, and again ${grant.repeats} times`}; waits for{" "}
      {grant.wanted === 1 ? "one person" : `${grant.wanted} people`} of <Inert text={grant.waiting_for.join(" or ")} />,{" "}
      {countdown(grant.ask.lapses - now)} more{by}
    </>
  );
}

function Ask({ grant, what, close }: { grant: Grant; what: What; close: () => void }) {
  const [reason, setReason] = useState("");
  const whose = (
    <p><Chain principal={grant.ask.principal} /> on <Inert text={grant.ask.connection} /> <Environment connection={place(grant)} /> as{" "}
      <Inert text={grant.ask.role} />, for <strong>{length(grant)}</strong></p>
  );
  const path = `/api/v1/grants/${grant.id}/${what}`;
  switch (what) {
    case "approve": {
      const takes = grant.ask.approvers.step_up !== undefined;
      const approve = async () => {
        await post(path, takes ? { passkey: await consent(`/api/v1/grants/${grant.id}`) } : {});
      };
      return (
        <Dialog title="Grant access" confirm={takes ? "Approve with a passkey" : "Approve"} act={approve} close={close}>
          {whose}
          <p>{grant.wanted === 1 ? "Its time begins now." : `It wants ${grant.wanted - 1} more, and its time begins with the last of them.`}{" "}
            What it does there is judged as always.</p>
          {takes && <p>It takes your passkey, which signs this decision: your browser asks for it next.</p>}
        </Dialog>
      );
    }
    case "reject":
      return (
        <Dialog title="Reject" confirm="Reject" danger act={async () => void (await post(path, { reason }))} close={close}>
          {whose}
          <Reason label="Why" hint="Whoever asks reads it." value={reason} set={setReason} />
        </Dialog>
      );
    case "end": {
      const active = grant.status === "active";
      return (
        <Dialog title={active ? "End this access" : "Take this request back"} confirm={active ? "End it" : "Take it back"} danger
          act={async () => void (await post(path, { reason }))} close={close}>
          {whose}
          {active && <p>Its sessions end at once: what they do is cancelled, and what is not committed is undone.</p>}
          <Reason label="Why" hint="Whoever has it reads it, and so does the record." value={reason} set={setReason} />
        </Dialog>
      );
    }
  }
}
