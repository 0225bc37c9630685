//! Verification of OpenID Connect ID tokens and OAuth access tokens in JWT form (RFC 7519, RFC
//! 8725, RFC 9068): bearer token in, principal or a reason out. First station on the life of a
//! request.
//!
//! The steps, each in a type only the one before it makes: take the token apart (`jws`), choose
//! the configured provider by exact issuer, hold the algorithm against configuration, get the
//! issuer's keys (`cache`), check the signature, and only then look at what it says (`claims`).

mod cache;
mod claims;
mod error;
mod json;
mod jws;
mod keys;
mod settings;
mod source;

pub use claims::ClaimPath;
pub use error::IdentityError;
pub use settings::{ActGroups, Pinned, Provider, SettingsError, SignatureAlgorithm};
pub use source::http_client;

use cache::KeyCache;
use jws::Unverified;
use portcullis_core::principal::Principal;
use portcullis_core::time::Timestamp;
use reqwest::ClientBuilder;
use source::Source;
use std::fmt;
use std::sync::Arc;

/// Turns bearer tokens into principals. One per gateway, shared by all listeners.
pub struct Verifier {
    realms: Vec<Realm>,
}

/// A provider and its keys.
struct Realm {
    provider: Provider,
    keys: Arc<KeyCache>,
}

impl Verifier {
    /// A verifier for these providers. Nothing is fetched yet. `client` gives the HTTP client
    /// fetches start from ([`http_client`], or one that knows more certificate authorities);
    /// redirects, timeouts and `https` are settled here and not open to it.
    ///
    /// # Errors
    /// [`SettingsError`] where a provider's settings do not hold together or two are alike.
    pub fn new(
        providers: Vec<Provider>,
        client: impl Fn() -> ClientBuilder,
    ) -> Result<Self, SettingsError> {
        let mut realms: Vec<Realm> = Vec::with_capacity(providers.len());
        for provider in providers {
            provider.validate()?;
            let wrong = |key: &'static str, problem: String| SettingsError {
                provider: provider.name.clone(),
                key,
                problem,
            };
            let mut others = realms.iter().map(|realm| &realm.provider);
            if others.any(|other| other.name == provider.name) {
                return Err(wrong("name", "is used twice".into()));
            }
            let mut others = realms.iter().map(|realm| &realm.provider);
            if others.any(|other| other.issuer == provider.issuer) {
                return Err(wrong("issuer", "is configured twice".into()));
            }
            let source = Source::new(&provider, client()).map_err(|e| wrong("issuer", e))?;
            let keys = Arc::new(KeyCache::new(provider.name.clone(), source));
            realms.push(Realm { provider, keys });
        }
        Ok(Self { realms })
    }

    /// The principal a bearer token stands for at `now`. Cancel-safe.
    ///
    /// # Errors
    /// [`IdentityError`] says which check failed; [`IdentityError::public`] is for the caller.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, IdentityError> {
        let token = Unverified::parse(token)?;
        let realm = self.realm_of(&token)?;
        if !realm.provider.algorithms.contains(&token.algorithm) {
            return Err(IdentityError::Algorithm);
        }
        let keys = realm.keys.keys_for(token.key_id.as_deref(), now).await?;
        let verified = token.verify(&keys)?;
        claims::principal(&realm.provider, &verified, now)
    }

    /// Fetches the keys of every provider that has none or old ones, and says which could not be
    /// reached: for start-up and for health checks.
    pub async fn warm(&self, now: Timestamp) -> Vec<(String, IdentityError)> {
        let mut failures = Vec::new();
        for realm in &self.realms {
            match realm.keys.keys_for(None, now).await {
                Ok(_) => {}
                Err(error) => failures.push((realm.provider.name.clone(), error)),
            }
        }
        failures
    }

    /// The providers, as configured.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.realms.iter().map(|realm| &realm.provider)
    }

    /// The one use of what an unverified token says: to choose what it is held against.
    fn realm_of(&self, token: &Unverified<'_>) -> Result<&Realm, IdentityError> {
        let missing = || IdentityError::MissingClaim("iss".into());
        let issuer = token.claimed_issuer().ok_or_else(missing)?;
        let mut realms = self.realms.iter();
        realms.find(|realm| realm.provider.issuer == issuer).ok_or(IdentityError::UnknownIssuer)
    }
}

/// The same checks against a key set in hand: for an issuer that checks what it has minted.
pub(crate) fn verify_with(
    provider: &Provider,
    key_set: &[u8],
    token: &str,
    now: Timestamp,
) -> Result<Principal, IdentityError> {
    let token = Unverified::parse(token)?;
    if !provider.algorithms.contains(&token.algorithm) {
        return Err(IdentityError::Algorithm);
    }
    let keys = keys::KeySet::parse(key_set)
        .map_err(|cause| IdentityError::Unavailable { provider: provider.name.clone(), cause })?;
    claims::principal(provider, &token.verify(&keys)?, now)
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.providers().map(|provider| &provider.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DevIssuer, DevPerson, DevProviderSettings};

    /// The issuer is looked at again once it can be believed, whichever way a key set came.
    #[test]
    fn a_good_signature_of_another_issuer_is_refused() {
        let people = vec![DevPerson { name: "alice".into(), ..DevPerson::default() }];
        let settings = DevProviderSettings { people, ..DevProviderSettings::default() };
        let mint = DevIssuer::new(settings, "http://127.0.0.1:1".into()).unwrap();
        let now = Timestamp::from_micros(1_790_000_000_000_000);
        let token = mint.mint("alice", now, None).unwrap();
        let keys = serde_json::to_vec(&mint.key_set()).unwrap();
        let mut provider = mint.as_provider("dev");
        assert!(verify_with(&provider, &keys, &token, now).is_ok());
        provider.issuer = "http://127.0.0.1:2".into();
        let said = verify_with(&provider, &keys, &token, now);
        assert_eq!(said, Err(IdentityError::UnknownIssuer));
    }
}
