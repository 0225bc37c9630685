//! Passkeys (Web Authentication Level 3): what a browser gives when one is registered, and when one is
//! asked to sign. No attestation is asked for, and none is believed: what a passkey is good for comes from
//! whose session registered it, and when.
//!
//! Only what a user-verifying authenticator signed on a page of the gateway's own origin is taken: the
//! checks are those of §7.1 and §7.2, each with a refusal of its own. Nothing here knows who somebody is,
//! or what for: the challenge says that ([`portcullis_core::passkey::Statement`]).

mod cbor;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cbor::{Item, Malformed, Reader};
use portcullis_core::digest::Digest;
use portcullis_core::id::PasskeyId;
use portcullis_core::passkey::{Asserted, Evidence, Statement};
use schemars::JsonSchema;
use serde::Deserialize;

/// The algorithms keys may be of, best first, by their numbers at IANA: ES256, EdDSA (Ed25519), RS256.
pub const ALGORITHMS: [i64; 3] = [-7, -8, -257];
/// The longest id of a credential, in bytes (§6.5.1).
const MAX_CREDENTIAL: usize = 1023;
/// The longest of anything a browser sends, in bytes.
const MAX_PART: usize = 16 * 1024;

/// Where the pages are on which people are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site<'a> {
    /// `https://portcullis.example`, as a browser writes it.
    pub origin: &'a str,
    /// `portcullis.example`.
    pub rp_id: &'a str,
}

/// Why something is no passkey, or was not signed as it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasskeyError {
    /// It cannot be read.
    #[error("the passkey's answer cannot be read: {0}")]
    Unreadable(&'static str),
    /// `type` is another (§7.1 step 7, §7.2 step 11).
    #[error("this is the answer of another ceremony with a passkey: start again")]
    Type,
    /// Another challenge.
    #[error(
        "the passkey signed something else than this decision: look at it again, and start again"
    )]
    Challenge,
    /// Another page's.
    #[error("the passkey was used on a page of another origin: use this gateway's own address")]
    Origin,
    /// In a frame of another page.
    #[error("the passkey was used inside a page of another site: open this gateway by itself")]
    CrossOrigin,
    /// Another relying party's.
    #[error("the passkey is for another name than this gateway's: use this gateway's own address")]
    RelyingParty,
    /// Nobody was there.
    #[error("nobody was present at the passkey: start again, and touch it when it asks")]
    NotPresent,
    /// Nobody was verified.
    #[error(
        "the passkey did not verify who uses it: set a PIN, a fingerprint or a screen lock for it, \
         and start again"
    )]
    NotVerified,
    /// Its algorithm is not one of [`ALGORITHMS`].
    #[error("the passkey's key is of a kind that is not taken: ES256, Ed25519 and RS256 are")]
    Algorithm,
    /// The signature is not by its key.
    #[error("the passkey's signature is not right")]
    Signature,
}

impl From<Malformed> for PasskeyError {
    fn from(_: Malformed) -> Self {
        Self::Unreadable("it is not what an authenticator writes")
    }
}

/// What a browser gives when a passkey is registered (§5.2.1), each part in base64url without padding.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// `clientDataJSON`.
    pub client_data: String,
    /// `attestationObject`.
    pub attestation: String,
}

/// What a browser gives when a passkey has signed (§5.2.2), each part in base64url without padding.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// The id of the credential.
    pub credential: String,
    /// `clientDataJSON`.
    pub client_data: String,
    /// `authenticatorData`.
    pub authenticator_data: String,
    /// `signature`.
    pub signature: String,
}

/// A passkey that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The id the authenticator knows it by.
    pub credential: Vec<u8>,
    /// Its public key, as a `COSE_Key`.
    pub public_key: Vec<u8>,
    /// The authenticator's counter.
    pub sign_count: u32,
}

/// A passkey that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known<'a> {
    /// Which.
    pub passkey: PasskeyId,
    /// Its public key, as a `COSE_Key`.
    pub public_key: &'a [u8],
}

/// Bytes that a browser sent, in the one spelling that base64url without padding has. `what` they are is
/// told where they cannot be read.
///
/// # Errors
/// [`PasskeyError::Unreadable`].
pub fn decoded(text: &str, what: &'static str) -> Result<Vec<u8>, PasskeyError> {
    if text.len() > MAX_PART {
        return Err(PasskeyError::Unreadable(what));
    }
    URL_SAFE_NO_PAD.decode(text).map_err(|_| PasskeyError::Unreadable(what))
}

/// Bytes as they are sent to browsers, and come back.
#[must_use]
pub fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// §5.8.1. What more there is may be there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
    #[serde(default)]
    top_origin: Option<String>,
}

fn client_data(bytes: &[u8]) -> Result<ClientData, PasskeyError> {
    serde_json::from_slice(bytes).map_err(|_| PasskeyError::Unreadable("client_data"))
}

/// The challenge an answer says it is for, to look that up by: believed once the answer is checked.
///
/// # Errors
/// [`PasskeyError::Unreadable`].
pub fn claimed_challenge(encoded_client_data: &str) -> Result<Digest, PasskeyError> {
    let said = client_data(&decoded(encoded_client_data, "client_data")?)?;
    let bytes = decoded(&said.challenge, "challenge")?;
    let bytes = bytes.try_into().map_err(|_| PasskeyError::Unreadable("challenge"))?;
    Ok(Digest::from_bytes(bytes))
}

fn check_client_data(
    bytes: &[u8],
    site: &Site<'_>,
    (kind, challenge): (&str, &Digest),
) -> Result<(), PasskeyError> {
    let said = client_data(bytes)?;
    if said.r#type != kind {
        return Err(PasskeyError::Type);
    }
    if said.challenge != encoded(challenge.as_bytes()) {
        return Err(PasskeyError::Challenge);
    }
    if said.cross_origin || said.top_origin.is_some() {
        return Err(PasskeyError::CrossOrigin);
    }
    if said.origin == site.origin { Ok(()) } else { Err(PasskeyError::Origin) }
}

/// §6.1, the fixed part.
struct AuthenticatorData<'a> {
    attested: bool,
    extended: bool,
    sign_count: u32,
    rest: &'a [u8],
}

mod flag {
    pub(super) const PRESENT: u8 = 1;
    pub(super) const VERIFIED: u8 = 1 << 2;
    pub(super) const BACKUP_ELIGIBLE: u8 = 1 << 3;
    pub(super) const BACKED_UP: u8 = 1 << 4;
    pub(super) const ATTESTED: u8 = 1 << 6;
    pub(super) const EXTENDED: u8 = 1 << 7;
}

fn authenticator_data<'a>(
    bytes: &'a [u8],
    rp_id: &str,
) -> Result<AuthenticatorData<'a>, PasskeyError> {
    let mut reader = Reader(bytes);
    if reader.take(32)? != digest(&SHA256, rp_id.as_bytes()).as_ref() {
        return Err(PasskeyError::RelyingParty);
    }
    let flags = reader.take(1)?.first().copied().unwrap_or_default();
    let has = |flag: u8| flags & flag != 0;
    if !has(flag::PRESENT) {
        return Err(PasskeyError::NotPresent);
    }
    if !has(flag::VERIFIED) {
        return Err(PasskeyError::NotVerified);
    }
    if has(flag::BACKED_UP) && !has(flag::BACKUP_ELIGIBLE) {
        return Err(PasskeyError::Unreadable(
            "authenticator_data (its flags contradict each other)",
        ));
    }
    let count = reader.take(4)?.iter().fold(0, |count, byte| count << 8 | u32::from(*byte));
    Ok(AuthenticatorData {
        attested: has(flag::ATTESTED),
        extended: has(flag::EXTENDED),
        sign_count: count,
        rest: reader.0,
    })
}

/// A public key as `COSE_Key` (RFC 9052 §7, RFC 9053 §7, RFC 8230 §4).
enum Key<'a> {
    Es256 { x: &'a [u8], y: &'a [u8] },
    Ed25519(&'a [u8]),
    Rs256 { n: &'a [u8], e: &'a [u8] },
}

impl<'a> Key<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, PasskeyError> {
        let mut parts: [Option<Item<'a>>; 7] = [None; 7];
        for _ in 0..reader.map()? {
            let (label, value) = (reader.item()?, reader.item()?);
            let Item::Int(label @ -3..=3) = label else { continue };
            let part = usize::try_from(label + 3).ok().and_then(|at| parts.get_mut(at));
            // Twice is not canonical.
            if part.is_none_or(|part| part.replace(value).is_some()) {
                return Err(Malformed.into());
            }
        }
        let [y, x, first, _, kind, _, algorithm] = parts;
        let bytes = |part: Option<Item<'a>>| match part {
            Some(Item::Bytes(bytes)) => Ok(bytes),
            _ => Err(PasskeyError::from(Malformed)),
        };
        let of_32 = |part| {
            bytes(part).and_then(|b| if b.len() == 32 { Ok(b) } else { Err(Malformed.into()) })
        };
        let int = |part| match part {
            Some(Item::Int(number)) => number,
            _ => 0,
        };
        match (int(algorithm), int(kind)) {
            (-7, 2) if int(first) == 1 => Ok(Self::Es256 { x: of_32(x)?, y: of_32(y)? }),
            (-8, 1) if int(first) == 6 => Ok(Self::Ed25519(of_32(x)?)),
            (-257, 3) => Ok(Self::Rs256 { n: bytes(first)?, e: bytes(x)? }),
            _ => Err(PasskeyError::Algorithm),
        }
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), PasskeyError> {
        let right = match self {
            Self::Es256 { x, y } => {
                let point = [&[4], *x, *y].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature)
            }
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
            Self::Rs256 { n, e } => {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
        };
        right.map_err(|_| PasskeyError::Signature)
    }
}

/// What extensions say is passed over; nothing may follow it.
fn check_rest(mut reader: Reader<'_>, extended: bool) -> Result<(), PasskeyError> {
    if extended {
        reader.item()?;
    }
    if reader.0.is_empty() { Ok(()) } else { Err(Malformed.into()) }
}

/// Reads a passkey that was made for this challenge.
///
/// # Errors
/// [`PasskeyError`]: it is not to be kept.
pub fn register(
    site: &Site<'_>,
    challenge: &Digest,
    registration: &Registration,
) -> Result<Made, PasskeyError> {
    let client = decoded(&registration.client_data, "client_data")?;
    check_client_data(&client, site, ("webauthn.create", challenge))?;
    let attestation = decoded(&registration.attestation, "attestation")?;
    let mut reader = Reader(&attestation);
    let mut found = None;
    for _ in 0..reader.map()? {
        if let (Item::Text("authData"), Item::Bytes(data)) = (reader.item()?, reader.item()?)
            && found.replace(data).is_some()
        {
            return Err(Malformed.into());
        }
    }
    check_rest(reader, false)?;
    let data = authenticator_data(found.ok_or(Malformed)?, site.rp_id)?;
    if !data.attested {
        return Err(PasskeyError::Unreadable("attestation (there is no key in it)"));
    }
    let mut reader = Reader(data.rest);
    let _aaguid = reader.take(16)?;
    let length = reader.take(2)?.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    if length == 0 || length > MAX_CREDENTIAL {
        return Err(PasskeyError::Unreadable(
            "attestation (the credential's id has no length that one has)",
        ));
    }
    let credential = reader.take(length)?.to_vec();
    let before = reader.0;
    Key::read(&mut reader)?;
    let key = before.get(..before.len() - reader.0.len()).ok_or(Malformed)?;
    let made = Made { credential, public_key: key.to_vec(), sign_count: data.sign_count };
    check_rest(reader, data.extended)?;
    Ok(made)
}

/// Checks that this passkey has signed this statement, its user verified, on a page of this site.
///
/// # Errors
/// [`PasskeyError`]: it has not.
pub fn verify(
    site: &Site<'_>,
    statement: &Statement<'_>,
    known: Known<'_>,
    assertion: &Assertion,
) -> Result<Asserted, PasskeyError> {
    let evidence = Evidence {
        passkey: known.passkey,
        issuer: statement.issuer.to_owned(),
        subject: statement.subject.to_owned(),
        credential: assertion.credential.clone(),
        public_key: encoded(known.public_key),
        origin: site.origin.to_owned(),
        rp_id: site.rp_id.to_owned(),
        matter: statement.matter,
        nonce: *statement.nonce,
        authenticator_data: assertion.authenticator_data.clone(),
        client_data: assertion.client_data.clone(),
        signature: assertion.signature.clone(),
    };
    let sign_count = verify_evidence(&evidence)?;
    Ok(Asserted::checked_by_identity_assertion(evidence, sign_count))
}

/// Checks evidence by itself, as an auditor does who has nothing else: that its key has signed what it
/// says was consented to. Gives the authenticator's counter. Whose key that was, and that the decision
/// beside it is the one that was consented to, is for whoever has both to compare.
///
/// # Errors
/// [`PasskeyError`]: it proves nothing.
pub fn verify_evidence(evidence: &Evidence) -> Result<u32, PasskeyError> {
    let site = Site { origin: &evidence.origin, rp_id: &evidence.rp_id };
    let client = decoded(&evidence.client_data, "client_data")?;
    check_client_data(&client, &site, ("webauthn.get", &evidence.statement().challenge()))?;
    let signed = decoded(&evidence.authenticator_data, "authenticator_data")?;
    let data = authenticator_data(&signed, site.rp_id)?;
    if data.attested {
        return Err(PasskeyError::Unreadable("authenticator_data (it is of a registration)"));
    }
    check_rest(Reader(data.rest), data.extended)?;
    let key = decoded(&evidence.public_key, "public_key")?;
    let mut reader = Reader(&key);
    let public = Key::read(&mut reader)?;
    check_rest(reader, false)?;
    let signature = decoded(&evidence.signature, "signature")?;
    let message = [&*signed, digest(&SHA256, &client).as_ref()].concat();
    public.verify(&message, &signature)?;
    Ok(data.sign_count)
}
