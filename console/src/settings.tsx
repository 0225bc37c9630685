// The configuration that is gone by, without secrets.
import { useRef, useState } from "preact/hooks";
import { useAsked } from "./asked";
import { useKeys } from "./keys";
import { Heading } from "./route";
import { Inert } from "./text";
import type { Effective } from "./types";

export function Settings() {
  const { found, error } = useAsked<Effective>("/api/v1/settings");
  const [sought, seek] = useState("");
  const [defaults, withDefaults] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useKeys({ "/": () => field.current?.focus() });
  const shown = (found?.settings ?? []).filter(({ key, line }) => (defaults || line !== undefined) && key.includes(sought.trim()));
  return (
    <main>
      <Heading title="Settings">Settings</Heading>
      <p class="error" role="alert"><Inert text={error} /></p>
      {found && (
        <>
          <dl class="fields">
            <div><dt>Version</dt><dd>{found.version}, <Inert text={found.build} /></dd></div>
            <div><dt>File</dt><dd><Inert text={found.file} /></dd></div>
            <div><dt>Documents</dt><dd>revision {found.revision}</dd></div>
            <div><dt>Rules</dt><dd><Inert text={found.policy} /></dd></div>
          </dl>
          {found.changed && <p class="warning">The file says something else by now: the next start goes by that, and this gateway by what stands below.</p>}
          <div class="row">
            <label class="spread">Key <kbd>/</kbd><input ref={field} type="search" value={sought} onInput={(event) => seek(event.currentTarget.value)} /></label>
            <label class="inline"><input type="checkbox" checked={defaults} onChange={(event) => withDefaults(event.currentTarget.checked)} /> defaults too</label>
          </div>
          <p class="quiet">A secret is named by where it is, and never shown.</p>
          <div class="scroll" tabIndex={0} role="region" aria-label="Settings">
            <table>
              <thead><tr><th scope="col">key</th><th scope="col">value</th><th scope="col">from</th></tr></thead>
              <tbody>{shown.map(({ key, value, line }) => (
                <tr><td><code><Inert text={key} /></code></td><td><code><Inert text={value} /></code></td><td>{line ? `line ${line}` : "default"}</td></tr>
              ))}</tbody>
            </table>
          </div>
        </>
      )}
    </main>
  );
}
