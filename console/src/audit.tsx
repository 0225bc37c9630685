// The record as a whole: whether it is good, what that proves, and what people have changed.
import { useState } from "preact/hooks";
import { post, Problem } from "./api";
import { useAsked } from "./asked";
import { useKeys } from "./keys";
import { Heading } from "./route";
import { Command } from "./start";
import { useNow } from "./store";
import { Inert, InertLines } from "./text";
import { count, moment, span } from "./time";
import type { AuditChange, AuditRecord } from "./types";

export function Audit() {
  const now = useNow();
  const { found, error, again } = useAsked<AuditRecord>("/api/v1/audit", (found) => found?.running != null);
  const [wrong, setWrong] = useState("");
  const verify = async () => {
    try {
      await post("/api/v1/audit", {});
      setWrong("");
    } catch (problem) {
      setWrong(problem instanceof Problem ? problem.message : String(problem));
    }
    again();
  };
  useKeys({ v: () => void verify() });
  const last = found?.last;
  return (
    <main>
      <Heading title="Audit">Audit</Heading>
      <p class="row">
        <span class="spread">Every request, decision and change is an entry of the journal, chained and signed.</span>
        <button type="button" onClick={verify} disabled={found?.running != null}>Verify the record <kbd>v</kbd></button>
      </p>
      <p class="error" role="alert"><Inert text={error || wrong} /></p>
      {found?.broken && <p class="warning">Nothing can be recorded, so nothing runs: <Inert text={found.broken} /></p>}
      <p role="status">
        {found?.running != null
          ? <>Verifying, for {span(now - found.running)}…</>
          : last ? <>Verified {span(now - last.at)} ago, in {last.milliseconds} ms: <strong>{last.good ? "the record is whole." : "the record is NOT as it was written."}</strong></>
            : found && "It was not verified since the gateway was started."}
      </p>
      {last && (
        <section class="part" aria-labelledby="result">
          <h2 id="result">What was found</h2>
          {last.good && (
            <ul class="counters">
              <li><strong>{count(last.entries)}</strong> entries</li>
              <li><strong>{count(last.heads)}</strong> signed heads, the newest over {count(last.head_size)}</li>
              <li><strong>{count(last.passkeys)}</strong> passkey signatures</li>
            </ul>
          )}
          <InertLines text={last.said} label="What the verifier says" />
          <p>It proves that no entry under a signed head was changed, removed or put in since it was signed. It does not prove that
            this very gateway and its key are honest, nor that nothing was cut off after the newest head you have kept elsewhere.</p>
        </section>
      )}
      {found && (
        <section class="part" aria-labelledby="offline">
          <h2 id="offline">Without trusting the gateway</h2>
          <p>Keep this key and a signed head elsewhere, and verify a copy of the record there (docs/how-to/verify-the-record.md):</p>
          <Command text={found.key} label="verifier key" />
          <Command text="portcullis audit verify --key gateway.key --head kept.head" label="verify command" />
        </section>
      )}
      {last?.unread && <p class="warning">Nothing behind an entry that cannot be read is listed here: <Inert text={last.unread} /></p>}
      {last && <Changes title="What people have changed, as of then" label="Changes" all={last.changes} />}
      {last && <Changes title="What people were refused, as of then" label="Attempts" all={last.attempts} />}
      {last && <p class="quiet">What a document said before and after: <code>portcullis history ID</code>.</p>}
    </main>
  );
}

function Changes({ title, label, all }: { title: string; label: string; all: AuditChange[] }) {
  const id = label.toLowerCase();
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {all.length === 0 && <p>Nothing.</p>}
      <div class="scroll" tabIndex={0} role="region" aria-label={label}>
        <table>
          <thead><tr><th scope="col">when</th><th scope="col">who</th><th scope="col">what</th><th scope="col">why</th><th scope="col">entry</th></tr></thead>
          <tbody>{all.map((one) => (
            <tr key={one.entry}>
              <td><time dateTime={moment(one.at).utc} title={moment(one.at).utc}>{moment(one.at).local}</time></td>
              <td>{one.by === undefined ? "the gateway" : <><Inert text={one.by} />{one.by_issuer && <span class="quiet"> of <Inert text={one.by_issuer} /></span>}</>}</td>
              <td>{one.what} <Inert text={one.of} /></td>
              <td><Inert text={one.why ?? ""} /></td>
              <td>{one.entry}</td>
            </tr>
          ))}</tbody>
        </table>
      </div>
    </section>
  );
}
