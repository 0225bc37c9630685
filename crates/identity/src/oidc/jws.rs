//! A token taken apart, in two states: [`Unverified`], of which only the issuer may be looked at
//! (to choose which configured provider it is held against), and [`Verified`], which only a
//! signature check makes, from the very bytes it covered.

use super::error::IdentityError;
use super::json;
use super::keys::KeySet;
use super::settings::SignatureAlgorithm;
use crate::text::is_presentable;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// Longest token, in bytes. Real ones with many groups stay below 8 KiB.
pub(crate) const MAX_TOKEN: usize = 16 * 1024;

/// Header parameters that carry a key or point at one, change what is signed, or must be
/// understood (RFC 7515 §4.1, RFC 7516 §4.1, RFC 7797 §3): refused by name.
const FORBIDDEN: [&str; 9] = ["crit", "jku", "jwk", "x5u", "x5c", "b64", "enc", "zip", "cty"];

/// The `typ` of the gateway's own credentials (RFC 8725 §3.11), so that none is taken for a token of
/// another issuer, nor the other way round.
pub(crate) const OWN_TYPE: &str = "portcullis-credential+jwt";

/// True for a text that says of itself that it is one of the gateway's own credentials: good for
/// choosing what checks it, not to be believed.
pub(crate) fn is_own(token: &str) -> bool {
    let header = token.split('.').next().filter(|_| token.len() <= MAX_TOKEN);
    let header = header.and_then(|header| part(header, "").ok());
    header.is_some_and(|header| header.get("typ").and_then(Value::as_str) == Some(OWN_TYPE))
}

/// A token whose signature has not been checked. Its claims are out of reach.
pub(crate) struct Unverified<'a> {
    pub(crate) algorithm: SignatureAlgorithm,
    pub(crate) key_id: Option<String>,
    signed: &'a [u8],
    signature: Vec<u8>,
    claims: Map<String, Value>,
}

/// The claims of a token whose signature was checked.
#[derive(Debug)]
pub(crate) struct Verified {
    algorithm: SignatureAlgorithm,
    claims: Map<String, Value>,
}

/// What a token is for, by its `typ`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// An ID or access token of an issuer that is configured.
    Bearer,
    /// An ID token that came from the token endpoint. An access token is none.
    Id,
    /// A credential of the gateway's own.
    Own,
}

impl<'a> Unverified<'a> {
    /// Takes a token apart (RFC 7515 §5.2), refusing every second spelling: padding, stray bits,
    /// repeated names.
    pub(crate) fn parse(token: &'a str, wanted: Use) -> Result<Self, IdentityError> {
        use IdentityError::{Malformed, TooLarge};
        if token.len() > MAX_TOKEN {
            return Err(TooLarge { limit: MAX_TOKEN });
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Malformed("it has no dots"))?;
        let (header, payload) = match signed.split('.').count() {
            2 => signed.split_once('.').ok_or(Malformed("it has no payload"))?,
            4 => return Err(Malformed("it is encrypted")),
            _ => return Err(Malformed("it has not three parts")),
        };
        let header = part(header, "its header is not base64url JSON with unique names")?;
        let (algorithm, key_id) = read_header(&header, wanted)?;
        let claims = part(payload, "its claims are not base64url JSON with unique names")?;
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| Malformed("its signature is not base64url"))?;
        Ok(Self { algorithm, key_id, signed: signed.as_bytes(), signature, claims })
    }

    /// What it says of its issuer: good for choosing a provider, not to be believed.
    pub(crate) fn claimed_issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    /// Checks the signature against the issuer's keys.
    pub(crate) fn verify(self, keys: &KeySet) -> Result<Verified, IdentityError> {
        let mut candidates = keys.candidates(self.key_id.as_deref(), self.algorithm)?;
        if candidates.any(|key| key.verifies(self.algorithm, self.signed, &self.signature)) {
            Ok(Verified { algorithm: self.algorithm, claims: self.claims })
        } else {
            Err(IdentityError::BadSignature)
        }
    }
}

impl Verified {
    pub(crate) const fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The algorithm it was signed with.
    pub(crate) const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }
}

fn part(text: &str, problem: &'static str) -> Result<Map<String, Value>, IdentityError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| IdentityError::Malformed(problem))?;
    json::object(&bytes).map_err(|_| IdentityError::Malformed(problem))
}

fn read_header(
    header: &Map<String, Value>,
    wanted: Use,
) -> Result<(SignatureAlgorithm, Option<String>), IdentityError> {
    if let Some(field) = FORBIDDEN.into_iter().find(|field| header.contains_key(*field)) {
        return Err(IdentityError::Header(field));
    }
    let typ = header.get("typ");
    match (typ, wanted) {
        (Some(Value::String(typ)), Use::Own) if typ == OWN_TYPE => {}
        (Some(Value::String(typ)), Use::Bearer | Use::Id) if typ == OWN_TYPE => {
            return Err(IdentityError::OwnCredential);
        }
        (None, Use::Bearer | Use::Id) => {}
        (Some(Value::String(typ)), Use::Bearer) if is_token_type(typ) => {}
        (Some(Value::String(typ)), Use::Id) if is_token_type(typ) && !names(typ, "at+jwt") => {}
        _ => return Err(IdentityError::TokenType),
    }
    let algorithm = header
        .get("alg")
        .and_then(Value::as_str)
        .and_then(SignatureAlgorithm::from_name)
        .ok_or(IdentityError::Algorithm)?;
    let key_id = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) if is_presentable(kid) => Some(kid.clone()),
        Some(_) => return Err(IdentityError::Header("kid")),
    };
    Ok((algorithm, key_id))
}

/// ID tokens say `JWT` or nothing, access tokens `at+jwt` (RFC 9068 §4). Anything else (logout,
/// DPoP proof, security event) is a token of another kind (RFC 8725 §3.11). Media types compare
/// without case, and `application/` may be spelt out (RFC 7515 §4.1.9).
fn is_token_type(typ: &str) -> bool {
    names(typ, "JWT") || names(typ, "at+jwt")
}

/// True where a `typ` names this media type.
fn names(typ: &str, media: &str) -> bool {
    let bare = match typ.get(.."application/".len()) {
        Some(prefix) if prefix.eq_ignore_ascii_case("application/") => {
            typ.get(prefix.len()..).unwrap_or_default()
        }
        _ => typ,
    };
    bare.eq_ignore_ascii_case(media)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_types() {
        for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt", "Application/AT+JWT"] {
            assert!(is_token_type(typ), "{typ}");
        }
        for typ in ["", "logout+jwt", "dpop+jwt", "JWTx", "application/", "applicatioñ/jwt"] {
            assert!(!is_token_type(typ), "{typ}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[A-Za-z0-9_.=-]{0,200}|.{0,60}") {
            let _ = Unverified::parse(&text, Use::Bearer);
        }

        #[test]
        fn never_panics_on_json_parts(header in r#"\{("[a-z]{1,3}":("[A-Z0-9]{0,5}"|1|null),?){0,3}\}"#) {
            let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
            let _ = Unverified::parse(&format!("{}.{}.", encode(&header), encode(&header)), Use::Bearer);
        }
    }
}
