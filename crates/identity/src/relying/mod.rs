//! Signing in: the gateway as a client of the providers people have (OpenID Connect Core 1.0 §3.1,
//! RFC 6749 §4.1 with RFC 7636, RFC 8628, RFC 9207, RFC 9700). Before the life of a request: what
//! comes out is a [`Principal`], the same as a bearer token gives.
//!
//! A sign-in is a value: [`RelyingParty::begin`] gives a [`Pending`], which
//! [`RelyingParty::finish`] takes, so that it is finished once or not at all. What is asked of an
//! answer, in this order:
//!
//! | what | against |
//! | --- | --- |
//! | `state` | the sign-in that was begun, which its browser holds a part of as well |
//! | time | ten minutes |
//! | `iss` | the provider that was asked; absent only where it does not say that it sends one |
//! | `error` | its code is all that is passed on |
//! | `code` | the token endpoint of the provider that was asked, with the PKCE verifier and the redirect URI of this sign-in |
//! | ID token | everything [`Verifier`] checks, with this client as the one audience; issuer of the provider that was asked |
//! | `nonce`, `azp`, `at_hash` | this sign-in, this client, the access token it came with |
//! | userinfo, where groups are there | the same `sub` |
//!
//! *Architecture invariant:* there is one way to check a signature here, the [`Verifier`]'s.

mod device;
mod error;
mod metadata;
mod tokens;

pub use device::{Device, Polled};
pub use error::SignInError;

use crate::oidc::{Provider, SettingsError, SignIn, Verifier};
use crate::random;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use metadata::{Discovery, Metadata};
use portcullis_core::principal::Principal;
use portcullis_core::time::Timestamp;
use reqwest::{ClientBuilder, Url};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokens::{Answered, Wanted, known_code};
use zeroize::Zeroizing;

/// How long a person may take.
pub const SIGN_IN_LIFE: Duration = Duration::from_secs(600);
/// Longest query of an answer, in bytes.
const MAX_ANSWER: usize = 8 * 1024;

/// Signs people in, at the providers that are configured for it. One per gateway.
pub struct RelyingParty {
    parties: Vec<Arc<Party>>,
}

/// The gateway as a client of one provider.
struct Party {
    provider: Provider,
    client: SignIn,
    discovery: Discovery,
}

/// What asks a provider to have its person sign in anew (OpenID Connect Core 1.0 §3.1.2.1).
const ANEW: [(&str, &str); 2] = [("prompt", "login"), ("max_age", "0")];

/// A sign-in that waits for its person. It is finished once: nothing gives it back.
pub struct Pending {
    provider: String,
    /// The issuer it was asked as: what has the name by now may be another.
    issuer: String,
    state: String,
    nonce: String,
    verifier: Zeroizing<String>,
    redirect: String,
    /// When it was begun, where its person has to sign in anew.
    anew_since: Option<Timestamp>,
    expires: Timestamp,
}

impl Pending {
    /// Whether its person has to sign in anew: then nothing else finishes it.
    #[must_use]
    pub const fn is_anew(&self) -> bool {
        self.anew_since.is_some()
    }

    /// The name under which the answer comes back.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }

    /// The provider that was asked.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Until when it can be finished.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }
}

/// Somebody a provider has just vouched for, and the tokens to ask it again.
pub struct SignedIn {
    /// The configured name of the provider.
    pub provider: String,
    /// Who.
    pub principal: Principal,
    /// For [`RelyingParty::refresh`] and [`RelyingParty::end_session`].
    pub tokens: Tokens,
}

/// The tokens of somebody who is signed in. They are for the gateway, never for a browser.
pub struct Tokens {
    id: Zeroizing<String>,
    refresh: Option<Zeroizing<String>>,
}

impl Tokens {
    /// Tokens that were kept.
    #[must_use]
    pub fn kept(id: String, refresh: Option<String>) -> Self {
        Self { id: Zeroizing::new(id), refresh: refresh.map(Zeroizing::new) }
    }

    /// The ID token.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The refresh token, where there is one.
    #[must_use]
    pub fn refresh(&self) -> Option<&str> {
        self.refresh.as_ref().map(|token| token.as_str())
    }
}

/// An authorization response (RFC 6749 §4.1.2), taken apart and not believed.
#[derive(Default)]
pub struct Answer {
    code: Option<Zeroizing<String>>,
    state: Option<String>,
    issuer: Option<String>,
    error: Option<String>,
}

impl Answer {
    /// Reads the query of a callback. Parameters that are not known are ignored; one that comes twice
    /// is an error (RFC 6749 §3.1).
    ///
    /// # Errors
    /// [`SignInError::Answer`].
    pub fn parse(query: &str) -> Result<Self, SignInError> {
        if query.len() > MAX_ANSWER {
            return Err(SignInError::Answer("it is too long"));
        }
        let url = Url::parse(&format!("http://localhost/?{query}"));
        let url = url.map_err(|_| SignInError::Answer("its query cannot be read"))?;
        let mut answer = Self::default();
        for (name, value) in url.query_pairs() {
            let value = value.into_owned();
            let before = match &*name {
                "code" => answer.code.replace(Zeroizing::new(value)).is_some(),
                "state" => answer.state.replace(value).is_some(),
                "iss" => answer.issuer.replace(value).is_some(),
                "error" => answer.error.replace(value).is_some(),
                _ => false,
            };
            if before {
                return Err(SignInError::Answer("it says something twice"));
            }
        }
        Ok(answer)
    }

    /// Which sign-in it says that it answers.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

impl Party {
    async fn metadata(&self, now: Timestamp) -> Result<Arc<Metadata>, SignInError> {
        self.discovery.metadata(now).await.map_err(|cause| self.unavailable(cause))
    }

    fn unavailable(&self, cause: String) -> SignInError {
        SignInError::Unavailable { provider: self.provider.name.clone(), cause }
    }

    fn not_offered(&self, what: &'static str) -> SignInError {
        SignInError::NotOffered { provider: self.provider.name.clone(), what }
    }

    /// RFC 9207 §2.4: checked before anything of the answer is used, errors included.
    fn check_issuer(&self, answer: &Answer, metadata: &Metadata) -> Result<(), SignInError> {
        match &answer.issuer {
            Some(issuer) if *issuer == self.provider.issuer => Ok(()),
            Some(_) => Err(SignInError::MixedUp),
            None if metadata.says_issuer => Err(SignInError::NoIssuer),
            None => Ok(()),
        }
    }
}

impl RelyingParty {
    /// The gateway as a client of those of these providers that have `sign_in`. Nothing is asked yet.
    ///
    /// # Errors
    /// [`SettingsError`] where a provider's settings do not hold together.
    pub fn new(
        providers: &[Provider],
        client: impl Fn() -> ClientBuilder,
    ) -> Result<Self, SettingsError> {
        Self::after(None, providers, client)
    }

    /// The same, in the place of another: what that knows of a provider stays known, where its settings
    /// are the same.
    ///
    /// # Errors
    /// As [`RelyingParty::new`].
    pub fn after(
        before: Option<&Self>,
        providers: &[Provider],
        client: impl Fn() -> ClientBuilder,
    ) -> Result<Self, SettingsError> {
        let mut parties: Vec<Arc<Party>> = Vec::new();
        for provider in providers {
            provider.validate()?;
            let Some(sign_in) = &provider.sign_in else { continue };
            let mut known = before.into_iter().flat_map(|before| &before.parties);
            if let Some(known) = known.find(|known| known.provider == *provider) {
                parties.push(Arc::clone(known));
                continue;
            }
            let discovery =
                Discovery::new(provider, client()).map_err(|problem| SettingsError {
                    whose: crate::oidc::WHOSE,
                    provider: provider.name.clone(),
                    key: "issuer",
                    problem,
                })?;
            let (provider, client) = (provider.clone(), sign_in.clone());
            parties.push(Arc::new(Party { provider, client, discovery }));
        }
        Ok(Self { parties })
    }

    /// The providers people can sign in with.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.parties.iter().map(|party| &party.provider)
    }

    fn party(&self, name: &str) -> Result<&Party, SignInError> {
        let mut parties = self.parties.iter().map(|party| &**party);
        parties.find(|party| party.provider.name == name).ok_or(SignInError::NoSuchProvider)
    }

    /// Begins a sign-in: where to send the person, and what to keep until the answer. `anew`: the provider
    /// has to ask who it is, whomever it knows already (`prompt=login`, `max_age=0`), and has to say that it
    /// did (`auth_time`; OpenID Connect Core 1.0 §3.1.2.1, §2).
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn begin(
        &self,
        provider: &str,
        redirect: &str,
        anew: bool,
        now: Timestamp,
    ) -> Result<(String, Pending), SignInError> {
        let party = self.party(provider)?;
        let metadata = party.metadata(now).await?;
        let lot = || random::token::<32>().map_err(|_| SignInError::Answer("no randomness"));
        let pending = Pending {
            provider: party.provider.name.clone(),
            issuer: party.provider.issuer.clone(),
            state: lot()?,
            nonce: lot()?,
            verifier: Zeroizing::new(lot()?),
            redirect: redirect.to_owned(),
            anew_since: anew.then_some(now),
            expires: now.plus(SIGN_IN_LIFE),
        };
        let mut url = metadata.authorization.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &party.client.client_id)
            .append_pair("redirect_uri", redirect)
            .append_pair("scope", &party.client.scope())
            .append_pair("state", &pending.state)
            .append_pair("nonce", &pending.nonce)
            .append_pair("code_challenge", &challenge(&pending.verifier))
            .append_pair("code_challenge_method", "S256")
            .extend_pairs(party.client.parameters.iter().filter(|(name, _)| {
                !(anew && ANEW.iter().any(|(asked, _)| *asked == name.as_str()))
            }))
            .extend_pairs(ANEW.iter().filter(|_| anew));
        Ok((url.into(), pending))
    }

    /// Finishes a sign-in by the answer to it.
    ///
    /// # Errors
    /// [`SignInError`] says which check failed. The sign-in is over in any case.
    pub async fn finish(
        &self,
        pending: Pending,
        answer: Answer,
        verifier: &Verifier,
        now: Timestamp,
    ) -> Result<SignedIn, SignInError> {
        let said = answer.state().unwrap_or_default();
        if !random::same_secret(said, &pending.state) {
            return Err(SignInError::State);
        }
        if pending.expires <= now {
            return Err(SignInError::TooLate);
        }
        let party = self.party(&pending.provider)?;
        // Its code is for the one that was asked.
        if party.provider.issuer != pending.issuer {
            return Err(SignInError::MixedUp);
        }
        let metadata = party.metadata(now).await?;
        party.check_issuer(&answer, &metadata)?;
        if let Some(error) = &answer.error {
            return Err(SignInError::Refused { error: known_code(error) });
        }
        let code = answer.code.ok_or(SignInError::Answer("it has no code"))?;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", pending.redirect.as_str()),
            ("code_verifier", pending.verifier.as_str()),
        ];
        match party.ask(&form, now).await? {
            Answered::Tokens(issued) => {
                let anew_since = pending.anew_since;
                let wanted = Wanted { nonce: Some(&pending.nonce), same: None, anew_since };
                party.signed_in(issued, wanted, (verifier, now)).await
            }
            Answered::Error(error) if error == "invalid_grant" => Err(SignInError::Code),
            Answered::Error(error) => Err(SignInError::Refused { error }),
        }
    }

    /// Asks the provider again about somebody who has signed in (OpenID Connect Core 1.0 §12): who it
    /// is now, with the groups of now. The tokens that come back take the place of the old ones.
    ///
    /// # Errors
    /// [`SignInError::NoToken`] where there is no refresh token, [`SignInError::Refused`] where the
    /// provider has ended it, [`SignInError::OtherPerson`].
    pub async fn refresh(
        &self,
        provider: &str,
        tokens: &Tokens,
        (issuer, subject): (&str, &str),
        verifier: &Verifier,
        now: Timestamp,
    ) -> Result<SignedIn, SignInError> {
        let party = self.party(provider)?;
        let refresh = tokens.refresh().ok_or(SignInError::NoToken("refresh token"))?;
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        match party.ask(&form, now).await? {
            Answered::Tokens(issued) => {
                let wanted =
                    Wanted { nonce: None, same: Some((issuer, subject)), anew_since: None };
                let mut signed_in = party.signed_in(issued, wanted, (verifier, now)).await?;
                // A provider that does not rotate refresh tokens gives none back.
                if signed_in.tokens.refresh.is_none() {
                    signed_in.tokens.refresh = tokens.refresh.clone();
                }
                Ok(signed_in)
            }
            Answered::Error(error) => Err(SignInError::Refused { error }),
        }
    }

    /// Where to send a browser that signs out, so that the provider ends its session too (OpenID
    /// Connect RP-Initiated Logout 1.0 §2). `None` where the provider has no such thing.
    pub async fn end_session(
        &self,
        provider: &str,
        tokens: Option<&Tokens>,
        back: &str,
        now: Timestamp,
    ) -> Option<String> {
        let party = self.party(provider).ok()?;
        let metadata = party.metadata(now).await.ok()?;
        let mut url = metadata.end_session.clone()?;
        url.query_pairs_mut()
            .append_pair("client_id", &party.client.client_id)
            .append_pair("post_logout_redirect_uri", back);
        // An ID token that is a bearer token as well has no place in a browser's address.
        let bearer = party.provider.takes_as_bearer(&party.client.client_id);
        if let Some(tokens) = tokens.filter(|_| !bearer) {
            url.query_pairs_mut().append_pair("id_token_hint", tokens.id());
        }
        Some(url.into())
    }

    /// Tells the provider that a refresh token is not needed any more (RFC 7009). Best effort.
    ///
    /// # Errors
    /// [`SignInError`]: the provider may still take it.
    pub async fn forget(
        &self,
        provider: &str,
        tokens: &Tokens,
        now: Timestamp,
    ) -> Result<(), SignInError> {
        let party = self.party(provider)?;
        let metadata = party.metadata(now).await?;
        let (Some(url), Some(token)) = (&metadata.revocation, tokens.refresh()) else {
            return Ok(());
        };
        let form = [("token", token), ("token_type_hint", "refresh_token")];
        let (status, _) = party.post(url, &form, &metadata).await?;
        if status.is_success() {
            return Ok(());
        }
        Err(party.unavailable(format!("the revocation endpoint answered {status}")))
    }
}

/// The challenge of a PKCE verifier (RFC 7636 §4.2, S256).
fn challenge(verifier: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    URL_SAFE_NO_PAD.encode(digest.as_ref())
}

impl fmt::Debug for RelyingParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.providers().map(|provider| &provider.name)).finish()
    }
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedIn({} at {}, …)", self.principal, self.provider)
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pending(at {}, …)", self.provider)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_that_of_the_specification() {
        // RFC 7636 appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn an_answer_says_everything_once() {
        let good = Answer::parse("code=a%20b&state=s&iss=http%3A%2F%2Fx&session_state=1").ok();
        assert_eq!(good.and_then(|a| a.state().map(str::to_owned)).as_deref(), Some("s"));
        for twice in ["code=a&code=a", "state=&state=x", "iss=a&x=1&iss=a", "error=a&error=b"] {
            assert!(matches!(Answer::parse(twice), Err(SignInError::Answer(_))), "{twice}");
        }
        assert!(Answer::parse(&"x".repeat(MAX_ANSWER + 1)).is_err());
    }
}
