//! Signing in by SAML 2.0 (web browser SSO profile, SAML profiles §4.1): the gateway as a service provider
//! of the identity providers people have. Before the life of a request: what comes out is a
//! [`Principal`], the same as signing in by OpenID Connect gives.
//!
//! A sign-in is a value: [`SamlParties::begin`] gives a [`SamlPending`], which [`SamlParties::finish`]
//! takes, so that it is finished once or not at all. What comes of it is [`Asserted`], which says nothing
//! of anybody until somebody has kept that its assertion was used ([`Asserted::once`]).
//!
//! *Architecture invariant:* there is one XML reader, and whatever is believed was read by it from the
//! text that was hashed for a signature of the provider's configured keys (`signature.rs`). Keys, algorithms
//! and addresses come from configuration; an answer chooses none of them.

mod bounds;
mod encryption;
mod error;
mod metadata;
mod own;
mod response;
mod settings;
mod signature;
mod xml;

pub use error::SamlError;
pub use metadata::IdpMetadata;
pub use settings::{NameIdFormat, SamlProvider};

use crate::oidc::SettingsError;
use crate::random;
use crate::relying::SIGN_IN_LIFE;
use own::OwnKeys;
use portcullis_core::principal::Principal;
use portcullis_core::time::Timestamp;
use reqwest::Url;
use response::Expected;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Largest answer that is read, in bytes of XML. Real ones with many groups stay below 64 KiB.
const MAX_ANSWER: usize = 256 * 1024;
/// Longest text of an answer that is repeated in a message, in characters.
const MAX_SHOWN: usize = 120;

/// The gateway's names at a provider.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own<'a> {
    pub(crate) entity_id: &'a str,
    /// The address answers come to (`AssertionConsumerService`).
    pub(crate) acs: &'a str,
}

/// Where browsers find what SAML needs of the gateway.
#[derive(Debug, Clone)]
pub struct SamlAddresses {
    /// The address answers come to.
    pub acs: String,
    /// The address of the gateway's metadata, which is its entity ID where no other is set.
    pub metadata: String,
}

/// Signs people in, at the SAML providers there are. One per gateway.
pub struct SamlParties {
    parties: Vec<Arc<Party>>,
}

/// The gateway as a service of one provider.
struct Party {
    provider: SamlProvider,
    keys: OwnKeys,
    metadata: Mutex<Loaded>,
}

/// A metadata file as it was read last.
struct Loaded {
    stamp: Option<(SystemTime, u64)>,
    metadata: Arc<IdpMetadata>,
}

/// A sign-in that waits for its person. It is finished once: nothing gives it back.
pub struct SamlPending {
    provider: String,
    state: String,
    id: String,
    /// When it was begun, where its person has to sign in anew.
    anew_since: Option<Timestamp>,
    expires: Timestamp,
}

impl SamlPending {
    /// Whether its person has to sign in anew: then nothing else finishes it.
    #[must_use]
    pub const fn is_anew(&self) -> bool {
        self.anew_since.is_some()
    }

    /// The name under which the answer comes back (`RelayState`).
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }

    /// Until when it can be finished.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }
}

/// The form of an answer (SAML bindings §3.5.4), taken apart and not believed.
pub struct Posted {
    text: String,
    relay_state: Option<String>,
}

impl Posted {
    /// Reads a form. Fields that are not known are ignored; one that comes twice is an error.
    ///
    /// # Errors
    /// [`SamlError::Form`], [`SamlError::TooLarge`].
    pub fn parse(body: &str) -> Result<Self, SamlError> {
        let form = SamlError::Form;
        if body.len() > MAX_ANSWER * 2 {
            return Err(SamlError::TooLarge);
        }
        let url = Url::parse(&format!("http://localhost/?{body}"));
        let url = url.map_err(|_| form("it cannot be read"))?;
        let (mut response, mut relay_state) = (None, None);
        for (name, value) in url.query_pairs() {
            let place = match &*name {
                "SAMLResponse" => &mut response,
                "RelayState" => &mut relay_state,
                _ => continue,
            };
            if place.replace(value.into_owned()).is_some() {
                return Err(form("it says something twice"));
            }
        }
        let response = response.ok_or(form("it has no SAMLResponse"))?;
        let bytes = xml::from_base64(&response).ok_or(form("SAMLResponse is not base64"))?;
        if bytes.len() > MAX_ANSWER {
            return Err(SamlError::TooLarge);
        }
        let text =
            String::from_utf8(bytes).map_err(|_| SamlError::Xml("it is not UTF-8".into()))?;
        Ok(Self { text, relay_state })
    }

    /// Which sign-in it says that it answers; or where the provider wants its person to go.
    #[must_use]
    pub fn relay_state(&self) -> Option<&str> {
        self.relay_state.as_deref()
    }
}

/// Whom a provider vouches for in an assertion that may have been used before.
#[derive(Debug)]
#[must_use]
pub struct Asserted {
    provider: String,
    principal: Principal,
    id: String,
    until: Timestamp,
}

impl Asserted {
    /// The assertion, by its issuer and the ID it has there; and until when it could be brought again.
    #[must_use]
    pub fn assertion(&self) -> (&str, &str, Timestamp) {
        (&self.principal.issuer, &self.id, self.until)
    }

    /// The configured name of the provider, and who has signed in there, where this was the assertion's
    /// first use.
    ///
    /// # Errors
    /// [`SamlError::Replayed`].
    pub fn once(self, first: bool) -> Result<(String, Principal), SamlError> {
        if first { Ok((self.provider, self.principal)) } else { Err(SamlError::Replayed) }
    }
}

impl Party {
    fn new(provider: SamlProvider) -> Result<Self, SettingsError> {
        provider.validate()?;
        let keys = OwnKeys::read(&provider)?;
        let path = &provider.metadata_file;
        let stamp = stamp(path);
        let metadata = read(&provider).map_err(|why| provider.wrong("metadata_file", why))?;
        let metadata = Mutex::new(Loaded { stamp, metadata: Arc::new(metadata) });
        Ok(Self { provider, keys, metadata })
    }

    /// The provider's metadata as it is now. A file that cannot be used changes nothing.
    fn metadata(&self) -> Arc<IdpMetadata> {
        let mut loaded = self.metadata.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.provider.metadata_file);
        if stamp != loaded.stamp {
            match read(&self.provider) {
                Ok(metadata) => loaded.metadata = Arc::new(metadata),
                Err(why) => tracing::warn!(
                    provider = self.provider.name, %why,
                    "the provider's new metadata cannot be used; those of before are"
                ),
            }
            loaded.stamp = stamp;
        }
        loaded.metadata.clone()
    }

    fn own<'a>(&'a self, at: &'a SamlAddresses) -> Own<'a> {
        Own {
            entity_id: self.provider.own_entity_id.as_deref().unwrap_or(&at.metadata),
            acs: &at.acs,
        }
    }

    fn unusable(&self, cause: String) -> SamlError {
        SamlError::Metadata { provider: self.provider.name.clone(), cause }
    }
}

fn stamp(path: &std::path::Path) -> Option<(SystemTime, u64)> {
    let about = std::fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}

fn read(provider: &SamlProvider) -> Result<IdpMetadata, String> {
    let path = &provider.metadata_file;
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    IdpMetadata::parse(&text, Some(&provider.entity_id))
        .map_err(|why| format!("{}: {why}", path.display()))
}

impl SamlParties {
    /// The gateway as a service of these providers. Their metadata and the keys are read.
    ///
    /// # Errors
    /// [`SettingsError`] where a provider's settings do not hold together, or a file cannot be used.
    pub fn new(providers: &[SamlProvider]) -> Result<Self, SettingsError> {
        Self::after(None, providers)
    }

    /// The same, in the place of another: what that has read of a provider stays, where its settings are
    /// the same.
    ///
    /// # Errors
    /// As [`SamlParties::new`].
    pub fn after(before: Option<&Self>, providers: &[SamlProvider]) -> Result<Self, SettingsError> {
        let mut parties: Vec<Arc<Party>> = Vec::new();
        for provider in providers {
            if parties.iter().any(|party| party.provider.name == provider.name) {
                return Err(provider.wrong("name", "is used twice"));
            }
            if parties.iter().any(|party| party.provider.entity_id == provider.entity_id) {
                return Err(provider.wrong("entity_id", "is configured twice"));
            }
            let mut known = before.into_iter().flat_map(|before| &before.parties);
            let known = known.find(|known| known.provider == *provider).cloned();
            parties.push(match known {
                Some(known) => known,
                None => Arc::new(Party::new(provider.clone())?),
            });
        }
        Ok(Self { parties })
    }

    /// The providers, as configured.
    pub fn providers(&self) -> impl Iterator<Item = &SamlProvider> {
        self.parties.iter().map(|party| &party.provider)
    }

    fn party(&self, name: &str) -> Result<&Party, SamlError> {
        let mut parties = self.parties.iter().map(|party| &**party);
        parties.find(|party| party.provider.name == name).ok_or(SamlError::NoSuchProvider)
    }

    /// Begins a sign-in: where to send the person, and what to keep until the answer. `anew`: the provider
    /// has to ask who it is, whomever it knows already (`ForceAuthn`, SAML core §3.4.1), and its answer has
    /// to say that it did (`AuthnInstant`, §2.7.2).
    ///
    /// # Errors
    /// [`SamlError`].
    pub fn begin(
        &self,
        provider: &str,
        at: &SamlAddresses,
        anew: bool,
        now: Timestamp,
    ) -> Result<(String, SamlPending), SamlError> {
        let party = self.party(provider)?;
        let metadata = party.metadata();
        metadata.keys_at(now).map_err(|cause| party.unusable(cause))?;
        let lot = || random::token::<32>().map_err(|_| SamlError::Own("no randomness"));
        let pending = SamlPending {
            provider: party.provider.name.clone(),
            state: lot()?,
            // An NCName (XML Schema, ID) begins with no digit and no hyphen.
            id: format!("_{}", lot()?),
            anew_since: anew.then_some(now),
            expires: now.plus(SIGN_IN_LIFE),
        };
        let destination = metadata.sign_on.as_str();
        let own = party.own(at);
        let request =
            metadata::request(&party.provider, &own, (&pending.id, destination), anew, now);
        let mut url = metadata.sign_on.clone();
        url.query_pairs_mut()
            .append_pair("SAMLRequest", &metadata::deflated(&request)?)
            .append_pair("RelayState", &pending.state);
        party.keys.sign(&mut url)?;
        Ok((url.into(), pending))
    }

    /// Finishes a sign-in by the answer to it; without one (`pending`), takes an answer nobody has asked
    /// for, where its provider may begin.
    ///
    /// # Errors
    /// [`SamlError`] says which check failed. The sign-in is over in any case.
    pub fn finish(
        &self,
        pending: Option<SamlPending>,
        posted: &Posted,
        at: &SamlAddresses,
        now: Timestamp,
    ) -> Result<Asserted, SamlError> {
        let party = match &pending {
            Some(pending) if pending.expires <= now => return Err(SamlError::TooLate),
            Some(pending) => self.party(&pending.provider)?,
            // Nothing is read for anybody, where nobody may begin.
            None if !self.providers().any(|provider| provider.idp_initiated) => {
                return Err(SamlError::Unsolicited);
            }
            None => {
                let issuer = response::claimed_issuer(&posted.text)?;
                let issuer = issuer.ok_or(SamlError::Issuer)?;
                let mut parties = self.parties.iter().map(|party| &**party);
                let found = parties.find(|party| party.provider.entity_id == issuer);
                found.ok_or(SamlError::Issuer)?
            }
        };
        let metadata = party.metadata();
        let expected = Expected {
            provider: &party.provider,
            keys: metadata.keys_at(now).map_err(|cause| party.unusable(cause))?,
            decryption: party.keys.decryption(),
            own: party.own(at),
            request: pending.as_ref().map(|pending| pending.id.as_str()),
            anew_since: pending.as_ref().and_then(|pending| pending.anew_since),
            now,
        };
        let response::Believed { principal, id, until } = response::read(&posted.text, &expected)?;
        Ok(Asserted { provider: party.provider.name.clone(), principal, id, until })
    }

    /// The gateway's metadata at a provider, to be given to it.
    ///
    /// # Errors
    /// [`SamlError::NoSuchProvider`].
    pub fn metadata(&self, provider: &str, at: &SamlAddresses) -> Result<String, SamlError> {
        let party = self.party(provider)?;
        Ok(metadata::own(&party.provider, &party.own(at), party.keys.certificate()))
    }
}

/// A text of an answer, for a message: short, and nothing in it that cannot be seen.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(MAX_SHOWN).collect();
    if crate::text::has_invisible(&cut) { "(unprintable)".to_owned() } else { cut }
}

/// A time of SAML (core §1.3.3): `xs:dateTime` in UTC.
fn time(text: &str) -> Option<Timestamp> {
    if !text.ends_with('Z') || !text.contains('T') {
        return None;
    }
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_micros(at.as_microsecond()))
}

/// The SHA-256 of a certificate, as operators compare it.
fn fingerprint(der: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    let pairs: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

impl fmt::Debug for SamlParties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.providers().map(|provider| &provider.name)).finish()
    }
}

impl fmt::Debug for SamlPending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SamlPending(at {}, …)", self.provider)
    }
}
