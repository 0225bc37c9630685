//! People who sign in in a browser: what is kept between sending them to their provider and their
//! coming back, and their sessions after it. Beside the life of a request.
//!
//! What decides is the store, asked at every request. A session is good until it is ended, idle for too
//! long, or too old, and never longer than its provider's word for the person: when that runs out the
//! provider is asked again, with the refresh token, which is kept in memory alone. So a session that
//! cannot be refreshed (no such token, or the gateway was started anew) ends with the word.

mod saml;

pub(crate) use saml::{Arrived, SamlDesk, Way};

use crate::config::SignInSettings;
use crate::moment::random;
use crate::rate::{RateMeter, Rates};
use crate::vouching::Vouching;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::id::BrowserSessionId;
use portcullis_core::principal::Person;
use portcullis_core::time::Timestamp;
use portcullis_identity::relying::{Pending, SignInError, Tokens};
use portcullis_identity::saml::{SamlAddresses, SamlPending};
use portcullis_store::{BrowserSession, BrowserSessionStore, Page};
use reqwest::Url;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// Most sign-ins that wait for their person.
const MAX_BEGUN: usize = 20_000;
/// And from one neighbourhood ([`neighbourhood`](portcullis_frontends::neighbourhood)): strangers from a
/// few addresses do not keep everybody from signing in.
const MAX_BEGUN_THERE: usize = 500;
/// How exactly it is kept when a session was last used.
const SEEN: Duration = Duration::from_secs(60);

/// Where browsers find the gateway: the origin of `public_url`, or of the listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicUrl {
    /// `https://portcullis.example`, as a browser writes it in `Origin`.
    pub(crate) origin: String,
    /// `portcullis.example`, as a browser writes it in `Host`.
    pub(crate) authority: String,
    /// It is https: cookies are for nothing else then.
    pub(crate) secure: bool,
}

impl PublicUrl {
    /// The `public_url` of a configuration: an origin, `https` or `http` on loopback.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|e| format!("`{text}` is not a URL: {e}"))?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err(format!(
                "`{text}` must be scheme and host alone, such as https://portcullis.example"
            ));
        }
        let host = url.host_str().unwrap_or_default();
        let loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        if !(url.scheme() == "https" || url.scheme() == "http" && loopback) {
            return Err(format!("`{text}` must be https (http only on loopback)"));
        }
        Ok(Self {
            origin: url.origin().ascii_serialization(),
            authority: url.port().map_or(host.to_owned(), |port| format!("{host}:{port}")),
            secure: url.scheme() == "https",
        })
    }

    /// Whether browsers find it by a name, which passkeys are for, and not by an address.
    pub(crate) fn is_named(&self) -> bool {
        let host = self.authority.rsplit_once(':').map_or(&*self.authority, |(host, _)| host);
        !self.authority.starts_with('[') && host.parse::<std::net::Ipv4Addr>().is_err()
    }

    /// That of the listener itself, which speaks plain HTTP on loopback.
    pub(crate) fn of(address: SocketAddr) -> Self {
        let authority = address.to_string();
        Self { origin: format!("http://{authority}"), authority, secure: false }
    }

    /// The redirect URI, which providers compare as it is.
    pub(crate) fn callback(&self) -> String {
        format!("{}/auth/callback", self.origin)
    }

    /// What SAML providers have to know.
    pub(crate) fn saml(&self) -> SamlAddresses {
        SamlAddresses {
            acs: format!("{}/auth/saml/acs", self.origin),
            metadata: format!("{}/auth/saml/metadata", self.origin),
        }
    }
}

/// A random secret of 256 bits for a cookie. What is kept of it is its hash.
pub(crate) struct Secret([u8; 32]);

impl Secret {
    pub(crate) fn generate() -> Self {
        Self(random())
    }

    /// A secret as a cookie has it, in its one spelling.
    pub(crate) fn read(text: &str) -> Option<Self> {
        if text.len() != 43 {
            return None;
        }
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    pub(crate) fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, &self.0).as_ref());
        hash
    }
}

/// A sign-in that waits for its person, in one browser.
pub(crate) struct Begun {
    pub(crate) asked: Asked,
    pub(crate) return_to: String,
    /// What its browser's cookie hashes to.
    pub(crate) browser: [u8; 32],
    /// The neighbourhood of the address it was asked from.
    pub(crate) from: String,
}

/// What was asked of a provider.
pub(crate) enum Asked {
    /// By OpenID Connect.
    Oidc(Pending),
    /// By SAML.
    Saml(SamlPending),
}

impl Asked {
    fn state(&self) -> &str {
        match self {
            Self::Oidc(pending) => pending.state(),
            Self::Saml(pending) => pending.state(),
        }
    }

    const fn expires(&self) -> Timestamp {
        match self {
            Self::Oidc(pending) => pending.expires(),
            Self::Saml(pending) => pending.expires(),
        }
    }
}

/// Why a cookie is nobody's session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSignedIn {
    #[error("you are not signed in: this session is not known here")]
    Unknown,
    #[error("this session has ended: sign in again")]
    Ended,
    #[error("this session was not used for too long: sign in again")]
    Idle,
    #[error("your provider's word for you has run out: sign in again")]
    Lapsed,
    #[error("your provider has ended this session: sign in again")]
    ByProvider,
    #[error("the provider you signed in with was changed or removed since: sign in again")]
    ByNobody,
    #[error("{0}")]
    Unavailable(String),
}

/// The tokens of one session; held while its provider is asked, so that a refresh token is used once.
type Slot = Arc<tokio::sync::Mutex<Tokens>>;

/// Everything about signing in that one gateway has.
pub(crate) struct SignInDesk {
    pub(crate) saml: SamlDesk,
    pub(crate) store: BrowserSessionStore,
    pub(crate) settings: SignInSettings,
    configured: Option<PublicUrl>,
    listening: OnceLock<PublicUrl>,
    begun: Mutex<HashMap<String, Begun>>,
    tokens: Mutex<HashMap<BrowserSessionId, Slot>>,
    by_address: Rates,
    all: Arc<RateMeter>,
}

impl SignInDesk {
    pub(crate) fn new(
        saml: SamlDesk,
        store: BrowserSessionStore,
        settings: SignInSettings,
        configured: Option<PublicUrl>,
    ) -> Self {
        let by_address = Rates::default();
        Self {
            saml,
            store,
            settings,
            configured,
            listening: OnceLock::new(),
            begun: Mutex::default(),
            tokens: Mutex::default(),
            all: Rates::default().of("", ""),
            by_address,
        }
    }

    /// Where the listener is, for a gateway without `public_url`.
    pub(crate) fn listens_at(&self, address: SocketAddr) {
        // Once: a gateway has one listener for HTTP.
        let _ = self.listening.set(PublicUrl::of(address));
    }

    /// Where browsers find the gateway.
    pub(crate) fn public(&self) -> Option<&PublicUrl> {
        self.configured.as_ref().or_else(|| self.listening.get())
    }

    /// Counts a request of an address; false where there were too many within a minute.
    pub(crate) fn may_ask(&self, address: &str) -> bool {
        let now = Instant::now();
        let [_, own, _] = self.by_address.of("", address).count(now, 1);
        if own >= u64::from(self.settings.per_minute_and_address) {
            return false;
        }
        // Those of an address that is refused do not use up what all have.
        let [_, all, _] = self.all.count(now, 1);
        all < u64::from(self.settings.per_minute)
    }

    /// Keeps a sign-in until its person comes back; false where too many wait.
    pub(crate) fn begun(&self, begun: Begun, now: Timestamp) -> bool {
        let mut all = lock(&self.begun);
        if all.len() >= MAX_BEGUN {
            all.retain(|_, begun| begun.asked.expires() > now);
        }
        let waits = |one: &&Begun| one.from == begun.from && one.asked.expires() > now;
        let there = all.values().filter(waits).count();
        let room = all.len() < MAX_BEGUN && there < MAX_BEGUN_THERE;
        if room {
            all.insert(begun.asked.state().to_owned(), begun);
        }
        room
    }

    /// The sign-in by OpenID Connect of this state, which is over with that; where it goes, and its
    /// browser.
    pub(crate) fn take(&self, state: &str) -> Option<(Pending, String, [u8; 32])> {
        let Begun { asked, return_to, browser, .. } = lock(&self.begun).remove(state)?;
        match asked {
            Asked::Oidc(pending) => Some((pending, return_to, browser)),
            Asked::Saml(_) => None,
        }
    }

    /// The same of one by SAML.
    pub(crate) fn take_saml(&self, state: &str) -> Option<(SamlPending, String, [u8; 32])> {
        let Begun { asked, return_to, browser, .. } = lock(&self.begun).remove(state)?;
        match asked {
            Asked::Saml(pending) => Some((pending, return_to, browser)),
            Asked::Oidc(_) => None,
        }
    }

    /// Keeps the tokens of a session.
    pub(crate) fn keep_tokens(&self, id: BrowserSessionId, tokens: Tokens) {
        lock(&self.tokens).insert(id, Arc::new(tokio::sync::Mutex::new(tokens)));
    }

    /// Forgets the tokens of a session, and gives them.
    pub(crate) fn take_tokens(&self, id: BrowserSessionId) -> Option<Slot> {
        lock(&self.tokens).remove(&id)
    }

    /// The session a cookie stands for at `now`. `active`: somebody is there, and it is not idle.
    pub(crate) async fn session(
        &self,
        vouching: &Vouching,
        secret: &str,
        active: bool,
        now: Timestamp,
    ) -> Result<BrowserSession, NotSignedIn> {
        let secret = Secret::read(secret).ok_or(NotSignedIn::Unknown)?;
        let unavailable = |error: portcullis_store::BrowserSessionError| {
            NotSignedIn::Unavailable(error.to_string())
        };
        let found = self.store.by_secret(&secret.hash()).await.map_err(unavailable)?;
        let session = found.ok_or(NotSignedIn::Unknown)?;
        if session.ended.is_some() || session.until <= now {
            self.take_tokens(session.id);
            return Err(NotSignedIn::Ended);
        }
        if !vouching.vouches_as(&session.provider, &session.vouched_as) {
            self.take_tokens(session.id);
            return Err(NotSignedIn::ByNobody);
        }
        let idle = self.settings.idle.0;
        if now.since(session.seen) >= idle {
            self.take_tokens(session.id);
            return Err(NotSignedIn::Idle);
        }
        let session = match session.person.principal().expires > now {
            true => session,
            false => self.renewed(vouching, session, now).await?,
        };
        if active && now.since(session.seen) >= SEEN.min(idle / 4) {
            self.store.seen(session.id, now).await.map_err(unavailable)?;
        }
        with_groups(vouching, session)
    }

    /// A session that this person has now, by issuer and subject: where they are signed in, and so what they
    /// may do is known. Their provider is asked again where its word has run out, as it is for a cookie.
    pub(crate) async fn signed_in(
        &self,
        vouching: &Vouching,
        who: (&str, &str),
        now: Timestamp,
    ) -> Result<Option<BrowserSession>, NotSignedIn> {
        let found = self.store.list(Some(who), now, &Page::default()).await;
        let found = found.map_err(|error| NotSignedIn::Unavailable(error.to_string()))?;
        for session in found.rows {
            let idle = now.since(session.seen) >= self.settings.idle.0;
            let stands = vouching.vouches_as(&session.provider, &session.vouched_as);
            if idle || session.until <= now || !stands {
                continue;
            }
            let session = match session.person.principal().expires > now {
                true => Ok(session),
                false => self.renewed(vouching, session, now).await,
            };
            match session {
                Ok(session) => return with_groups(vouching, session).map(Some),
                Err(why) => info!(%why, "a session does not say what its person may do"),
            }
        }
        Ok(None)
    }

    /// The session of a cookie, as it is kept, to be ended: whether it is still good is not asked.
    pub(crate) async fn to_end(&self, secret: &str) -> Result<Option<BrowserSession>, NotSignedIn> {
        let Some(secret) = Secret::read(secret) else { return Ok(None) };
        let found = self.store.by_secret(&secret.hash()).await;
        found.map_err(|error| NotSignedIn::Unavailable(error.to_string()))
    }

    /// The session once its provider was asked again about its person.
    async fn renewed(
        &self,
        vouching: &Vouching,
        session: BrowserSession,
        now: Timestamp,
    ) -> Result<BrowserSession, NotSignedIn> {
        let slot = lock(&self.tokens).get(&session.id).cloned().ok_or(NotSignedIn::Lapsed)?;
        let mut tokens = slot.lock().await;
        let unavailable = |error: portcullis_store::BrowserSessionError| {
            NotSignedIn::Unavailable(error.to_string())
        };
        // Whoever held the tokens before may have done it.
        let found = self.store.find(session.id).await.map_err(unavailable)?;
        let session = found.filter(|s| s.ended.is_none()).ok_or(NotSignedIn::Ended)?;
        if session.person.principal().expires > now {
            return Ok(session);
        }
        if tokens.refresh().is_none() {
            return Err(NotSignedIn::Lapsed);
        }
        let who = session.person.principal();
        let who = (who.issuer.as_str(), who.subject.as_str());
        let (party, verifier) = (&vouching.party, vouching.verifier());
        let asked = party.refresh(&session.provider, &tokens, who, verifier, now).await;
        let signed_in = match asked {
            Ok(signed_in) => signed_in,
            Err(error) if error.is_temporary() => {
                warn!(%error, session = %session.id, "a provider cannot be asked again");
                return Err(NotSignedIn::Unavailable(error.public()));
            }
            Err(error) => return Err(self.given_up(&session, &error, now).await),
        };
        *tokens = signed_in.tokens;
        let Ok(person) = Person::new(signed_in.principal) else {
            return Err(self.given_up(&session, &SignInError::OtherPerson, now).await);
        };
        if !self.store.renew(session.id, &person).await.map_err(unavailable)? {
            return Err(NotSignedIn::Ended);
        }
        Ok(BrowserSession { person, ..session })
    }

    /// A provider does not stand by its word any more.
    async fn given_up(
        &self,
        session: &BrowserSession,
        why: &SignInError,
        now: Timestamp,
    ) -> NotSignedIn {
        info!(session = %session.id, %why, "a provider has ended a session");
        self.take_tokens(session.id);
        // Over in any case: its word has run out.
        let _ = self.store.end(session.id, &session.provider, now).await;
        NotSignedIn::ByProvider
    }

    /// Forgets what nobody comes back for.
    pub(crate) async fn look_after(&self, before: Timestamp, now: Timestamp) {
        lock(&self.begun).retain(|_, begun| begun.asked.expires() > now);
        self.saml.look_after(now).await;
        if let Err(error) = self.store.forget_ended(before).await {
            warn!(%error, "browser sessions that ended long ago are still there");
        }
        let ids: Vec<BrowserSessionId> = lock(&self.tokens).keys().copied().collect();
        for id in ids {
            let over = |s: BrowserSession| s.ended.is_some() || s.until <= now;
            if self.store.find(id).await.is_ok_and(|found| found.is_none_or(over)) {
                self.take_tokens(id);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Maps that are whole after every operation on them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// With the groups of now: what is kept is its provider's word alone.
fn with_groups(
    vouching: &Vouching,
    session: BrowserSession,
) -> Result<BrowserSession, NotSignedIn> {
    let person = Person::new(vouching.join(session.person.into()));
    let person = person.map_err(|_| NotSignedIn::Unknown)?;
    Ok(BrowserSession { person, ..session })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_an_origin() {
        let check = |text: &str, expect: Option<(&str, &str, bool)>| {
            let url = PublicUrl::parse(text).ok();
            let url = url.as_ref().map(|u| (u.origin.as_str(), u.authority.as_str(), u.secure));
            assert_eq!(url, expect, "{text}");
        };
        check("https://p.example", Some(("https://p.example", "p.example", true)));
        check("https://P.example:443/", Some(("https://p.example", "p.example", true)));
        check("https://p.example:8443", Some(("https://p.example:8443", "p.example:8443", true)));
        check("http://127.0.0.1:80", Some(("http://127.0.0.1", "127.0.0.1", false)));
        check("http://[::1]:81", Some(("http://[::1]:81", "[::1]:81", false)));
        check("http://p.example", None);
        check("https://p.example/x", None);
        check("https://p.example/?x", None);
        check("https://a@p.example", None);
        check("javascript:0", None);
        check("p.example", None);
        for (text, named) in [
            ("https://p.example:8443", true),
            ("http://localhost:81", true),
            ("https://10.0.0.1", false),
            ("http://127.0.0.1:80", false),
            ("http://[::1]:81", false),
            ("https://[::1]", false),
        ] {
            assert_eq!(PublicUrl::parse(text).unwrap().is_named(), named, "{text}");
        }
        let own = PublicUrl::of(SocketAddr::from(([127, 0, 0, 1], 6480)));
        assert_eq!(own, PublicUrl::parse("http://127.0.0.1:6480").unwrap());
        assert_eq!(own.callback(), "http://127.0.0.1:6480/auth/callback");
    }

    #[test]
    fn a_secret_has_one_spelling() {
        let secret = Secret::generate();
        let read = Secret::read(&secret.text()).unwrap();
        assert_eq!(read.hash(), secret.hash());
        let text = secret.text();
        for other in [&text[1..], &format!("{text}="), &format!("{text}A"), "", &"é".repeat(21)] {
            assert!(Secret::read(other).is_none(), "{other}");
        }
    }
}
