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
mod http;
mod json;
mod jws;
mod keys;
mod settings;
mod source;
mod spiffe;
mod trust;
mod vouched;

pub use claims::ClaimPath;
pub use error::IdentityError;
pub use http::http_client;
pub use settings::{
    ActGroups, GroupsFrom, Pinned, Provider, SettingsError, SignIn, SignatureAlgorithm,
};
pub use trust::{Pins, TrustRule, WorkloadKind, WorkloadPrincipal, check_rules};
pub use vouched::Vouched;

pub(crate) use claims::{MAX_GROUPS, checked, groups_of, sole, text};
pub(crate) use http::Http;
pub(crate) use json::object;
pub(crate) use jws::{OWN_TYPE, Unverified, Use, Verified, is_own};
pub(crate) use keys::{Key, KeySet};
pub(crate) use settings::{KindWord, WHOSE, is_loopback, issuer_url, keys_url};
pub(crate) use source::{discovered, discovery_url};
pub(crate) use vouched::{Borrows, MayAct};

use cache::KeyCache;
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

/// An issuer, its keys, and what its tokens are held against.
struct Realm {
    issuer: String,
    name: String,
    /// Where its key set is, where that is configured.
    jwks_uri: Option<String>,
    reading: Reading,
    keys: Arc<KeyCache>,
}

enum Reading {
    Provider(Box<Provider>),
    /// One or more, which no token can meet two of.
    Rules(Vec<TrustRule>),
}

impl Realm {
    fn new(
        provider: &Provider,
        reading: Reading,
        before: Option<&Verifier>,
        (client, whose): (ClientBuilder, &'static str),
    ) -> Result<Self, SettingsError> {
        let (name, issuer) = (provider.name.clone(), provider.issuer.clone());
        let jwks_uri = provider.jwks_uri.clone();
        let same = |known: &&Self| {
            (&known.name, &known.issuer, &known.jwks_uri) == (&name, &issuer, &jwks_uri)
        };
        if let Some(known) = before.and_then(|before| before.realms.iter().find(same)) {
            return Ok(Self { issuer, name, jwks_uri, reading, keys: Arc::clone(&known.keys) });
        }
        let source = Source::new(provider, client).map_err(|problem| SettingsError {
            whose,
            provider: name.clone(),
            key: "issuer",
            problem,
        })?;
        let keys = Arc::new(KeyCache::new(name.clone(), source));
        Ok(Self { issuer, name, jwks_uri, reading, keys })
    }

    fn takes(&self, algorithm: SignatureAlgorithm) -> bool {
        match &self.reading {
            Reading::Provider(provider) => provider.algorithms.contains(&algorithm),
            Reading::Rules(rules) => rules.iter().any(|rule| rule.algorithms.contains(&algorithm)),
        }
    }
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
        Self::with_rules(providers, Vec::new(), client)
    }

    /// The same, for workloads by trust rules as well.
    ///
    /// # Errors
    /// [`SettingsError`], also where a rule does not say whose tokens it accepts, or one token could
    /// be read in two ways.
    pub fn with_rules(
        providers: Vec<Provider>,
        rules: Vec<TrustRule>,
        client: impl Fn() -> ClientBuilder,
    ) -> Result<Self, SettingsError> {
        Self::after(None, providers, rules, client)
    }

    /// The same, in the place of another verifier: what that has fetched of an issuer stays known, where
    /// name, issuer and address of the keys are the same.
    ///
    /// # Errors
    /// As [`Verifier::with_rules`].
    pub fn after(
        before: Option<&Self>,
        providers: Vec<Provider>,
        rules: Vec<TrustRule>,
        client: impl Fn() -> ClientBuilder,
    ) -> Result<Self, SettingsError> {
        trust::check_rules(&providers, &rules).map_err(|(_, error)| error)?;
        let mut realms: Vec<Realm> = Vec::with_capacity(providers.len());
        for provider in providers {
            provider.validate()?;
            let wrong = |key: &'static str, problem: &str| SettingsError {
                whose: WHOSE,
                provider: provider.name.clone(),
                key,
                problem: problem.to_owned(),
            };
            if realms.iter().any(|other| other.name == provider.name) {
                return Err(wrong("name", "is used twice"));
            }
            if realms.iter().any(|other| other.issuer == provider.issuer) {
                return Err(wrong("issuer", "is configured twice"));
            }
            let reading = Reading::Provider(Box::new(provider.clone()));
            realms.push(Realm::new(&provider, reading, before, (client(), WHOSE))?);
        }
        for rule in rules {
            let mut known = realms.iter_mut().filter(|realm| realm.issuer == rule.issuer);
            match known.next().map(|realm| &mut realm.reading) {
                Some(Reading::Rules(rules)) => rules.push(rule),
                // That of a provider was refused above.
                Some(Reading::Provider(_)) => {}
                None => {
                    let provider = rule.provider();
                    let reading = Reading::Rules(vec![rule]);
                    let by = (client(), trust::WHOSE);
                    realms.push(Realm::new(&provider, reading, before, by)?);
                }
            }
        }
        Ok(Self { realms })
    }

    /// The principal a bearer token stands for at `now`. Cancel-safe.
    ///
    /// # Errors
    /// [`IdentityError`] says which check failed; [`IdentityError::public`] is for the caller.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, IdentityError> {
        self.vouch(token, now).await.map(Vouched::into_principal)
    }

    /// The same, with what an exchange of tokens needs to know. One of the gateway's own credentials
    /// is never vouched for.
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub async fn vouch(&self, token: &str, now: Timestamp) -> Result<Vouched, IdentityError> {
        let token = Unverified::parse(token, Use::Bearer)?;
        let realm = self.realm_of(&token)?;
        if !realm.takes(token.algorithm) {
            return Err(IdentityError::Algorithm);
        }
        let keys = realm.keys.keys_for(token.key_id.as_deref(), now).await?;
        let verified = token.verify(&keys)?;
        match &realm.reading {
            Reading::Provider(provider) => claims::of_provider(provider, &verified, now),
            Reading::Rules(rules) => claims::of_rules(rules, &verified, now),
        }
    }

    /// Who an ID token says has signed in at `asked`, whose audience is the client it has to be for;
    /// with its claims. Everything of it is checked but what only an ID token has.
    pub(crate) async fn identify(
        &self,
        token: &str,
        asked: &Provider,
        now: Timestamp,
    ) -> Result<(Vouched, Verified), IdentityError> {
        let token = Unverified::parse(token, Use::Id)?;
        let realm = self.realm_of(&token)?;
        if realm.issuer != asked.issuer || realm.name != asked.name {
            return Err(IdentityError::OtherIssuer);
        }
        if !realm.takes(token.algorithm) {
            return Err(IdentityError::Algorithm);
        }
        let keys = realm.keys.keys_for(token.key_id.as_deref(), now).await?;
        let verified = token.verify(&keys)?;
        Ok((claims::of_provider(asked, &verified, now)?, verified))
    }

    /// Fetches the keys of every issuer that has none or old ones, and says which could not be
    /// reached: for start-up and for health checks.
    pub async fn warm(&self, now: Timestamp) -> Vec<(String, IdentityError)> {
        self.warm_those(|_| true, now).await
    }

    /// The same of those of these issuers.
    pub async fn warm_those(
        &self,
        which: impl Fn(&str) -> bool,
        now: Timestamp,
    ) -> Vec<(String, IdentityError)> {
        let mut failures = Vec::new();
        for realm in self.realms.iter().filter(|realm| which(&realm.issuer)) {
            match realm.keys.keys_for(None, now).await {
                Ok(_) => {}
                Err(error) => failures.push((realm.name.clone(), error)),
            }
        }
        failures
    }

    /// The providers, as configured.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.realms.iter().filter_map(|realm| match &realm.reading {
            Reading::Provider(provider) => Some(&**provider),
            Reading::Rules(_) => None,
        })
    }

    /// The one use of what an unverified token says: to choose what it is held against.
    fn realm_of(&self, token: &Unverified<'_>) -> Result<&Realm, IdentityError> {
        let missing = || IdentityError::MissingClaim("iss".into());
        let issuer = token.claimed_issuer().ok_or_else(missing)?;
        let mut realms = self.realms.iter();
        realms.find(|realm| realm.issuer == issuer).ok_or(IdentityError::UnknownIssuer)
    }
}

/// The same checks against a key set in hand: for an issuer that checks what it has minted.
pub(crate) fn verify_with(
    provider: &Provider,
    key_set: &[u8],
    token: &str,
    now: Timestamp,
) -> Result<Principal, IdentityError> {
    let token = Unverified::parse(token, Use::Bearer)?;
    if !provider.algorithms.contains(&token.algorithm) {
        return Err(IdentityError::Algorithm);
    }
    let keys = KeySet::parse(key_set)
        .map_err(|cause| IdentityError::Unavailable { provider: provider.name.clone(), cause })?;
    claims::of_provider(provider, &token.verify(&keys)?, now).map(Vouched::into_principal)
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.realms.iter().map(|realm| &realm.name)).finish()
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
