// Who vouches for callers, who may do what, and who is signed in.
import { useState } from "preact/hooks";
import { del, Problem } from "./api";
import { useAsked } from "./asked";
import { Dialog } from "./dialog";
import { Findings } from "./findings";
import { Heading, Link } from "./route";
import { useNow } from "./store";
import { Inert } from "./text";
import { flat } from "./inert";
import { moment, span } from "./time";
import type { BrowserSession, Identity as Found } from "./types";

const some = (list: string[], none: string) => (list.length > 0 ? <Inert text={list.join(", ")} /> : none);

function known({ known, count, others }: Found["reviewers"][number]) {
  if (count === 0) return others ? "nobody who is known; providers may tell of people" : "nobody";
  const more = count > known.length ? ` and ${count - known.length} more` : "";
  const people = known.map(({ subject, issuer }, at) => <>{at > 0 && ", "}<span title={`known to ${flat(issuer)}`}><Inert text={subject} /></span></>);
  return <>{people}{more}{others ? ", and whom providers tell of" : ""}</>;
}

export function Identity() {
  const now = useNow();
  const { found, error } = useAsked<Found>("/api/v1/identity");
  return (
    <main>
      <Heading title="Identity">Identity</Heading>
      <p class="error" role="alert"><Inert text={error} /></p>
      {found && (
        <>
          <section aria-labelledby="providers">
            <h2 id="providers">Who vouches for callers</h2>
            <p class="quiet">{found.checked ? `Asked ${span(now - found.checked)} ago.` : <>Nobody has asked them since the start: <Link to="/health">look at everything</Link>.</>}</p>
            <ul class="cards">
              {found.providers.map((one) => (
                <li key={`${one.kind} ${one.name}`}>
                  <div class="row"><h3 class="spread"><Inert text={one.name} /></h3><span class="badge">{one.kind}</span></div>
                  <dl class="fields">
                    <div><dt>Issuer</dt><dd><Inert text={one.issuer} /></dd></div>
                    <div><dt>Clients</dt><dd>{some(one.clients, "none")}</dd></div>
                    <div><dt>Audiences</dt><dd>{some(one.audiences, "its own")}</dd></div>
                    <div><dt>In browsers</dt><dd>{one.signs_in ? "people sign in" : "nobody signs in"}</dd></div>
                  </dl>
                  <Findings all={one.findings} />
                </li>
              ))}
            </ul>
          </section>
          <section aria-labelledby="workloads">
            <h2 id="workloads">Workloads</h2>
            {found.workloads.length === 0 && <p>No token stands for a workload.</p>}
            <ul class="cards">
              {found.workloads.map((one) => (
                <li key={one.name}>
                  <div class="row"><h3 class="spread"><Inert text={one.name} /></h3><span class="badge"><Inert text={one.platform} /></span></div>
                  <dl class="fields">
                    <div><dt>Issuer</dt><dd><Inert text={one.issuer} /></dd></div>
                    {Object.entries(one.pins).map(([claim, value]) => <div><dt><Inert text={claim} /></dt><dd><Inert text={value} /></dd></div>)}
                    <div><dt>Groups</dt><dd>{some(one.groups, "none")}</dd></div>
                  </dl>
                </li>
              ))}
            </ul>
          </section>
          <section aria-labelledby="groups">
            <h2 id="groups">Groups</h2>
            <dl class="fields">
              <div><dt>Administer</dt><dd>{some(found.administrators, "nobody")}</dd></div>
              <div><dt>See every record</dt><dd>{some(found.auditors, "nobody beside them")}</dd></div>
            </dl>
            {found.groups.map((one) => (
              <dl class="fields" key={one.name}>
                <div><dt>Group</dt><dd><Inert text={one.name} /></dd></div>
                <div><dt>People</dt><dd>{some(one.members.map((member) => `${member.subject} at ${member.issuer}`), "none by name")}</dd></div>
                <div><dt>And those in</dt><dd>{some(one.includes, "no other group")}</dd></div>
              </dl>
            ))}
            <h3>Who approves</h3>
            {found.reviewers.length === 0 && <p>No rule holds requests, and no connection takes access that people give.</p>}
            <ul class="cards">
              {found.reviewers.map((one) => (
                <li key={one.group}>
                  <h4><Inert text={one.group} /></h4>
                  <dl class="fields">
                    {one.rules.length > 0 && <div><dt>Held requests</dt><dd>by <Inert text={one.rules.join(", ")} /></dd></div>}
                    {one.connections.length > 0 && <div><dt>Access</dt><dd>to <Inert text={one.connections.join(", ")} /></dd></div>}
                    <div><dt>In it</dt><dd>{known(one)}</dd></div>
                  </dl>
                  {one.count === 0 && !one.others && <p class="warning">What waits for this group expires: nobody is in it, and no provider could say that somebody is.</p>}
                </li>
              ))}
            </ul>
            <p class="quiet">Known are people of groups that are said here, of the development provider, and who is signed in in a browser. Providers may tell of more.</p>
          </section>
          <Browsers />
        </>
      )}
    </main>
  );
}

function Browsers() {
  const now = useNow();
  const { found, error, again } = useAsked<BrowserSession[]>("/api/v1/browser-sessions?all=true");
  const [ending, end] = useState<BrowserSession | null>(null);
  const stop = async (one: BrowserSession) => {
    await del(`/api/v1/browser-sessions/${one.id}`).catch((problem: unknown) => {
      // Somebody else may have been quicker.
      if (!(problem instanceof Problem && problem.status === 409)) throw problem;
    });
    again();
  };
  const running = (found ?? []).filter((one) => one.ended === null && one.until > now);
  return (
    <section aria-labelledby="browsers">
      <h2 id="browsers">Signed in in browsers</h2>
      <p class="error" role="alert"><Inert text={error} /></p>
      {found && running.length === 0 && <p>Nobody has signed in at a provider in a browser.</p>}
      <ul class="cards">
        {running.map((one) => (
          <li key={one.id}>
            <div class="row">
              <strong><Inert text={one.person.name} /></strong>
              <span class="spread quiet">by <Inert text={one.provider} />, since <time dateTime={moment(one.since).utc}>{moment(one.since).local}</time></span>
              <button type="button" class="danger" onClick={() => end(one)} aria-label={`Sign out ${one.id}`}>Sign out…</button>
            </div>
          </li>
        ))}
      </ul>
      <p class="quiet">Credentials of the gateway&apos;s own stand on <Link to="/credentials">Credentials</Link>.</p>
      {ending && (
        <Dialog title="Sign this browser out" act={() => stop(ending)} confirm="Sign it out" danger close={() => end(null)}>
          <p><Inert text={ending.person.name} />, {ending.id}. Database sessions are not ended by that.</p>
        </Dialog>
      )}
    </section>
  );
}
