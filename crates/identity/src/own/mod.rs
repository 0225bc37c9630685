//! The gateway's own credentials: short-lived, for one connection and one purpose, made from tokens
//! that somebody else has vouched for. Presented at the first station of a request's life, in place
//! of a token of an identity provider.
//!
//! A credential is a signed JWT, so that ordinary tools can look at it, and an entry in the store,
//! which decides: what the store does not have, or cannot read, opens nothing. This module makes the
//! JWT and checks it; who keeps the entry is the gateway.
//!
//! *Architecture invariant:* a credential is made from a [`Grant`], a grant from [`Vouched`], and only
//! [`Verifier::vouch`](crate::Verifier::vouch) makes that, which refuses credentials. So none ever
//! leads to another.

mod grant;
mod keys;

pub use grant::{ExchangeError, Grant};
pub use keys::{KeyRing, KeyRingError};

use crate::oidc::{
    IdentityError, KeySet, OWN_TYPE, Provider, SignatureAlgorithm, Unverified, Use, checked, text,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::id::CredentialId;
use portcullis_core::principal::{Actor, Principal};
use portcullis_core::time::Timestamp;
use serde_json::{Map, Value, json};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use zeroize::Zeroizing;

/// `iss` of credentials. No provider can have it: issuers of theirs are `http` or `https`.
pub const OWN_ISSUER: &str = "urn:portcullis:gateway";
/// What stands before a connection's name in `aud`.
const AUDIENCE: &str = "urn:portcullis:connection:";
/// The longest life of a credential, whatever is configured or asked for.
pub const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);

/// True for a text that calls itself a credential of the gateway's own: for choosing what checks it.
#[must_use]
pub fn is_credential(token: &str) -> bool {
    crate::oidc::is_own(token.trim())
}

/// What a credential is made for.
#[derive(Debug, Clone)]
pub struct Terms<'a> {
    /// Its id.
    pub id: CredentialId,
    /// The only connection it opens.
    pub connection: &'a str,
    /// What it is for, as claimed.
    pub purpose: &'a str,
    /// How long it is wanted for; it lives no longer than that, [`LONGEST`], or any token it is made
    /// from.
    pub lifetime: Duration,
}

/// A credential, ready to be handed out once it is recorded and stored.
pub struct Minted {
    /// The JWT.
    pub token: Zeroizing<String>,
    /// Who logs in with it.
    pub principal: Principal,
}

/// What a presented credential says, its signature and times checked. The store still decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// Its id.
    pub id: CredentialId,
    /// The connection it is for.
    pub connection: String,
    /// When it expires.
    pub expires: Timestamp,
}

/// Signs credentials and checks them.
#[derive(Debug)]
pub struct OwnIssuer(RwLock<Arc<KeyRing>>);

impl OwnIssuer {
    /// An issuer with these keys.
    #[must_use]
    pub fn new(keys: KeyRing) -> Self {
        Self(RwLock::new(Arc::new(keys)))
    }

    /// The keys it signs and checks with.
    #[must_use]
    pub fn keys(&self) -> Arc<KeyRing> {
        // Replaced as a whole.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Uses these keys from now on. They have to be kept before, or what they sign is lost.
    pub fn use_keys(&self, keys: KeyRing) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// Makes the credential that a grant allows.
    #[must_use]
    pub fn mint(&self, grant: Grant, terms: &Terms<'_>, now: Timestamp) -> Minted {
        let latest = now.plus(terms.lifetime.min(LONGEST)).min(grant.principal.expires);
        let seconds = |at: Timestamp| at.as_micros().div_euclid(1_000_000);
        let expires = Timestamp::from_micros(seconds(latest).saturating_mul(1_000_000));
        let Grant { principal, actors, person, .. } = grant;
        let own = Actor { subject: principal.subject.clone(), issuer: principal.issuer.clone() };
        let about = person.unwrap_or(own);
        let mut claims = json!({
            "iss": OWN_ISSUER,
            "sub": about.subject,
            // RFC 9493 §3.2.3: `sub` is somebody of another issuer.
            "sub_id": { "format": "iss_sub", "iss": about.issuer, "sub": about.subject },
            "aud": format!("{AUDIENCE}{}", terms.connection),
            "jti": terms.id.to_string(),
            "iat": seconds(now), "nbf": seconds(now), "exp": seconds(expires),
            "purpose": terms.purpose,
        });
        if let (Some(act), Some(claims)) = (chain(&actors), claims.as_object_mut()) {
            claims.insert("act".into(), act);
        }
        let keys = self.keys();
        let header = json!({ "alg": "EdDSA", "typ": OWN_TYPE, "kid": keys.id() });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = Zeroizing::new(format!("{}.{}", part(&header), part(&claims)));
        let signature = URL_SAFE_NO_PAD.encode(keys.sign(signed.as_bytes()));
        let token = Zeroizing::new(format!("{}.{signature}", *signed));
        let token_id = Some(terms.id.to_string());
        Minted { token, principal: Principal { token_id, expires, ..principal } }
    }

    /// Checks a credential as it was presented, at `now`: form, signature, times.
    ///
    /// # Errors
    /// [`IdentityError`] says which check failed.
    pub fn read(&self, token: &str, now: Timestamp) -> Result<Presented, IdentityError> {
        Self::check(token, &self.keys().key_set(now), now)
    }

    /// The same, by the key of another gateway that shares the store: its public half, base64url.
    /// Only one whose thumbprint is what the credential says will do.
    ///
    /// # Errors
    /// [`IdentityError`], also where there is no such key.
    pub fn read_by(
        token: &str,
        x: Option<&str>,
        now: Timestamp,
    ) -> Result<Presented, IdentityError> {
        let Some(x) = x else {
            return Err(IdentityError::UnknownKey { provider: OWN_ISSUER.into() });
        };
        Self::check(token, &json!({ "keys": [keys::jwk(x)] }), now)
    }

    /// Which key a credential says it was signed with.
    ///
    /// # Errors
    /// [`IdentityError`] where it is none.
    pub fn key_id(token: &str) -> Result<String, IdentityError> {
        Unverified::parse(token, Use::Own)?.key_id.ok_or(IdentityError::NoKeyId)
    }

    fn check(token: &str, keys: &Value, now: Timestamp) -> Result<Presented, IdentityError> {
        let token = Unverified::parse(token, Use::Own)?;
        if token.algorithm != SignatureAlgorithm::EdDSA {
            return Err(IdentityError::Algorithm);
        }
        let key_id = token.key_id.clone().ok_or(IdentityError::NoKeyId)?;
        let keys = KeySet::parse(keys.to_string().as_bytes())
            .map_err(|cause| IdentityError::Unavailable { provider: OWN_ISSUER.into(), cause })?;
        if !keys.knows(Some(&key_id)) {
            return Err(IdentityError::UnknownKey { provider: OWN_ISSUER.into() });
        }
        let verified = token.verify(&keys)?;
        let audience = text(verified.claims(), "aud")?.to_owned();
        let own = Provider {
            max_lifetime_seconds: LONGEST.as_secs(),
            ..Provider::new("portcullis", OWN_ISSUER, audience.clone())
        };
        let (claims, expires) = checked(&own, &verified, now)?;
        let invalid = |claim: &str| IdentityError::InvalidClaim(claim.to_owned());
        let connection = audience.strip_prefix(AUDIENCE).ok_or_else(|| invalid("aud"))?.to_owned();
        let id = text(claims, "jti")?.parse().map_err(|_| invalid("jti"))?;
        Ok(Presented { id, connection, expires })
    }
}

/// Who acts as `act` (RFC 8693 §4.1): the one at work outside, those before it inside.
fn chain(actors: &[Actor]) -> Option<Value> {
    actors.iter().rev().fold(None, |inner, actor| {
        let mut link = Map::new();
        link.insert("sub".into(), actor.subject.clone().into());
        link.insert("iss".into(), actor.issuer.clone().into());
        link.extend(inner.map(|inner| ("act".to_owned(), inner)));
        Some(Value::Object(link))
    })
}

impl std::fmt::Debug for Minted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Minted").field("principal", &self.principal).finish_non_exhaustive()
    }
}
