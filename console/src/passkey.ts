// The ceremonies with a passkey (Web Authentication): what the gateway asks is put to the browser, and what the browser
// gives goes back as it is. Nothing is decided here.
import { post, Problem } from "./api";

/** What a passkey is asked to sign. */
interface Challenge {
  challenge: string;
  rp_id: string;
  allow: string[];
  seconds: number;
}

interface Creation {
  challenge: string;
  rp_id: string;
  user: string;
  name: string;
  algorithms: number[];
  exclude: string[];
  seconds: number;
  by: Challenge | null;
}

/** What one has signed. */
export interface Assertion {
  credential: string;
  client_data: string;
  authenticator_data: string;
  signature: string;
}

export function decoded(text: string): Uint8Array<ArrayBuffer> {
  const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

export function encoded(buffer: ArrayBuffer): string {
  const plain = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

const listed = (ids: string[]): PublicKeyCredentialDescriptor[] => ids.map((id) => ({ type: "public-key", id: decoded(id) }));

/** What went wrong, in words: browsers say little, so that no page learns what there is. */
function told(error: unknown): Problem {
  const name = error instanceof DOMException ? error.name : "";
  switch (name) {
    case "NotAllowedError":
      return new Problem(0, "the passkey was not used: it was cancelled, took too long, or cannot verify who uses it (a PIN, a fingerprint or a screen lock)");
    case "InvalidStateError":
      return new Problem(0, "this passkey is registered already");
    case "SecurityError":
      return new Problem(0, `passkeys cannot be used at ${location.host}: open the gateway by its own name (on this machine by http://localhost)`);
    default:
      return new Problem(0, `the passkey cannot be used: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function container(): CredentialsContainer {
  if (!("PublicKeyCredential" in window)) throw new Problem(0, "this browser has no passkeys here: open the gateway by https, or on this machine by http://localhost");
  return navigator.credentials;
}

async function sign(asked: Challenge): Promise<Assertion> {
  if (asked.allow.length === 0) throw new Problem(0, "this takes a passkey, and you have none: register one on the page Passkeys");
  const publicKey: PublicKeyCredentialRequestOptions = {
    challenge: decoded(asked.challenge), rpId: asked.rp_id, allowCredentials: listed(asked.allow),
    userVerification: "required", timeout: asked.seconds * 1000,
  };
  const all = container();
  let given: Credential | null;
  try {
    given = await all.get({ publicKey });
  } catch (error) {
    throw told(error);
  }
  if (!(given instanceof PublicKeyCredential) || !(given.response instanceof AuthenticatorAssertionResponse)) throw told(new Error("nothing was signed"));
  const { clientDataJSON, authenticatorData, signature } = given.response;
  return {
    credential: encoded(given.rawId), client_data: encoded(clientDataJSON),
    authenticator_data: encoded(authenticatorData), signature: encoded(signature),
  };
}

/** Has a passkey sign what there is to decide: `path` is that of a review or a grant, `what` is approved of it. */
export async function consent(path: string, what?: unknown): Promise<Assertion> {
  return sign(await post<Challenge>(`${path}/challenge`, what));
}

/** Makes a passkey and registers it, by one that is there already where there is one. */
export async function registerPasskey(name: string): Promise<void> {
  const asked = await post<Creation>("/api/v1/passkeys/challenge");
  const by = asked.by === null ? undefined : await sign(asked.by);
  const publicKey: PublicKeyCredentialCreationOptions = {
    challenge: decoded(asked.challenge),
    rp: { id: asked.rp_id, name: "Portcullis" },
    user: { id: decoded(asked.user), name: asked.name, displayName: asked.name },
    pubKeyCredParams: asked.algorithms.map((alg) => ({ type: "public-key", alg })),
    excludeCredentials: listed(asked.exclude),
    authenticatorSelection: { userVerification: "required", residentKey: "preferred" },
    attestation: "none",
    timeout: asked.seconds * 1000,
  };
  const all = container();
  let given: Credential | null;
  try {
    given = await all.create({ publicKey });
  } catch (error) {
    throw told(error);
  }
  if (!(given instanceof PublicKeyCredential) || !(given.response instanceof AuthenticatorAttestationResponse)) throw told(new Error("none was made"));
  const { clientDataJSON, attestationObject } = given.response;
  await post("/api/v1/passkeys", { name, made: { client_data: encoded(clientDataJSON), attestation: encoded(attestationObject) }, by });
}
