// Signing in: at one of the providers the gateway knows, or with a token, which is kept in memory alone.
import { useEffect, useState } from "preact/hooks";
import { get, hasToken, holdToken, post, Problem } from "./api";
import { Heading } from "./route";
import { update } from "./store";
import { Inert } from "./text";
import type { Me, ProviderChoice } from "./types";

/** Asks who is signed in. */
export async function whoAmI(): Promise<void> {
  try {
    update({ me: await get<Me>("/api/v1/me") });
  } catch (problem) {
    if (!(problem instanceof Problem) || problem.status !== 404 || !hasToken()) {
      update({ me: null });
      throw problem;
    }
    // A gateway that does not tell who one is: then the token is good if the rest of the API takes it.
    await get("/api/v1/sessions");
    update({ me: { name: "signed in with a token", issuer: "", kind: "", subject: "", groups: [] } });
  }
}

/** Signs out, here and at the gateway. */
export async function signOut(): Promise<void> {
  // Where that fails the session is still there, and whoever asked is told.
  const end = hasToken() ? null : await post<{ end_session?: string | null }>("/auth/logout");
  holdToken(null);
  update({ me: null, reviews: undefined, sessions: undefined, grants: undefined, freezes: undefined, connected: false });
  // Where the provider has a page for it, it is told there as well.
  if (end?.end_session && /^https?:/.test(end.end_session)) location.assign(end.end_session);
}

function returnTo(): string {
  return location.pathname === "/sign-in" ? "/reviews" : location.pathname + location.hash;
}

export function SignIn() {
  const [providers, setProviders] = useState<ProviderChoice[]>([]);
  const [token, setToken] = useState("");
  const [error, setError] = useState("");
  useEffect(() => {
    // Where there are none, or an older gateway does not say, a token is what is left.
    get<ProviderChoice[]>("/auth/providers").then(setProviders, () => setProviders([]));
  }, []);
  const submit = async (event: Event) => {
    event.preventDefault();
    setError("");
    holdToken(token);
    try {
      await whoAmI();
    } catch (problem) {
      holdToken(null);
      setError(problem instanceof Problem ? problem.message : String(problem));
    }
  };
  const login = (name: string) =>
    `/auth/login?provider=${encodeURIComponent(name)}&return_to=${encodeURIComponent(returnTo())}`;
  return (
    <main class="narrow">
      <Heading title="Sign in">Sign in to Portcullis</Heading>
      {providers.length > 0 && (
        <ul class="providers">
          {providers.map((provider) => (
            <li><a class="button primary" href={login(provider.name)}>Sign in with <Inert text={provider.name} /></a>
              {provider.issuer && <small><Inert text={provider.issuer} /></small>}</li>
          ))}
        </ul>
      )}
      <details open={providers.length === 0}>
        <summary>Use a token</summary>
        <form onSubmit={submit}>
          <label>
            Token of your identity provider
            <input type="password" value={token} onInput={(event) => setToken(event.currentTarget.value)} required
              autocomplete="off" spellcheck={false} aria-describedby="token-hint" />
          </label>
          <small id="token-hint">It is kept in this page's memory, and forgotten when you leave or reload it.</small>
          <p class="error" role="alert"><Inert text={error} /></p>
          <button type="submit" class="primary">Sign in</button>
        </form>
      </details>
    </main>
  );
}
