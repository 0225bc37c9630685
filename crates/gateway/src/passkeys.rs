//! Passkeys at one gateway: what people are asked to sign, where, and what of it is taken. What they let
//! happen is decided in the store (`store/src/passkeys.rs`), what was signed in `identity::passkey`.

use crate::config::Span;
use crate::moment::{now, random};
use crate::services::{Services, stopped};
use crate::sign_in::PublicUrl;
use portcullis_core::digest::Digest;
use portcullis_core::id::{BrowserSessionId, PasskeyId};
use portcullis_core::journal::{Durability, Entry, Event, Journal as _};
use portcullis_core::passkey::{Asserted, Matter, Statement};
use portcullis_core::principal::{By, Principal};
use portcullis_identity::passkey::{
    Assertion, Known, PasskeyError, Site, claimed_challenge, encoded, verify,
};
use portcullis_store::{Challenged, PasskeyStore, RemovedPast, StepUpError};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tracing::warn;

/// How long an answer to a challenge is waited for.
pub(crate) const WAIT: Duration = Duration::from_secs(3 * 60);

/// The passkeys people approve with, where a rule (`@step_up`) or a connection (`step_up`) asks for one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PasskeySettings {
    /// How long after a sign-in for which the provider has asked anew who it is (`/auth/login?anew=true`,
    /// once) somebody who has no passkey may register the first, which nothing but that sign-in vouches for;
    /// `"5m"` by default. Every other takes an assertion by one that is there.
    pub(crate) first_within: Span,
}

impl Default for PasskeySettings {
    fn default() -> Self {
        Self { first_within: Span(Duration::from_secs(5 * 60)) }
    }
}

/// Why what a passkey has signed is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotTaken {
    #[error(transparent)]
    Passkey(#[from] PasskeyError),
    #[error(transparent)]
    StepUp(#[from] StepUpError),
}

/// Everything about passkeys that one gateway has.
pub(crate) struct PasskeyDesk {
    pub(crate) store: PasskeyStore,
    pub(crate) settings: PasskeySettings,
}

/// Where the pages are on which people are asked, as [`Site`] has it.
pub(crate) struct Pages {
    origin: String,
    rp_id: String,
}

impl Pages {
    /// Those of a gateway that browsers find there. Browsers know no passkeys for addresses without a
    /// name, so what listens on loopback has that of it.
    pub(crate) fn of(public: &PublicUrl) -> Self {
        let (host, port) = match public.authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, format!(":{port}")),
            _ => (public.authority.as_str(), String::new()),
        };
        if public.secure || host == "localhost" {
            return Self { origin: public.origin.clone(), rp_id: host.to_owned() };
        }
        Self { origin: format!("http://localhost{port}"), rp_id: "localhost".to_owned() }
    }

    pub(crate) fn site(&self) -> Site<'_> {
        Site { origin: &self.origin, rp_id: &self.rp_id }
    }
}

impl PasskeyDesk {
    /// Asks somebody to sign this.
    pub(crate) async fn ask(
        &self,
        who: &Principal,
        browser: Option<BrowserSessionId>,
        matter: Matter,
    ) -> Result<Digest, StepUpError> {
        let now = now();
        let nonce = Digest::from_bytes(random());
        let asked = Challenged { matter, nonce, browser, until: now.plus(WAIT) };
        self.store.challenge(who, &asked, now).await
    }

    /// What somebody has signed, once everything about it is checked that does not change: the store
    /// checks the rest when it is used.
    pub(crate) async fn asserted(
        &self,
        pages: &Pages,
        (who, browser): (&Principal, Option<BrowserSessionId>),
        assertion: &Assertion,
    ) -> Result<Asserted, NotTaken> {
        let challenge = claimed_challenge(&assertion.client_data)?;
        let asked = self.store.asked(challenge, who, browser, now()).await?;
        let credential =
            portcullis_identity::passkey::decoded(&assertion.credential, "credential")?;
        let known = self.store.of_credential(&credential, who).await?;
        let (issuer, subject) = (&*who.issuer, &*who.subject);
        let statement = Statement { matter: asked.matter, issuer, subject, nonce: &asked.nonce };
        let known = Known { passkey: known.id, public_key: &known.public_key };
        Ok(verify(&pages.site(), &statement, known, assertion)?)
    }

    /// The ids of somebody's passkeys, as browsers are told them.
    pub(crate) async fn credentials(&self, who: &Principal) -> Result<Vec<String>, StepUpError> {
        let all = self.store.of_person(who).await?;
        Ok(all.iter().map(|passkey| encoded(&passkey.credential)).collect())
    }
}

/// How often it is looked for passkeys that were removed past the gateways.
const LOOK: Duration = Duration::from_secs(30);

/// Puts into the record which passkeys were removed past the gateways (`portcullis passkeys remove`), until
/// the gateway stops. What is interrupted, or seen by two gateways, is recorded twice rather than never.
pub(crate) async fn record_removals(services: Arc<Services>, stopping: watch::Receiver<bool>) {
    let mut stop = std::pin::pin!(stopped(stopping));
    loop {
        if let Err(error) = record_removed(&services).await {
            warn!(%error, "removals of passkeys are not in the record yet");
        }
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn record_removed(services: &Services) -> anyhow::Result<()> {
    let store = &services.passkeys.store;
    for RemovedPast { id, issuer, subject, by, .. } in store.to_record().await? {
        let event =
            Event::PasskeyRemoved { passkey: id, of: subject, issuer, by: By::no_principal(by) };
        services.ledger.append(Entry::outside(now(), event), Durability::Durable).await?;
        store.recorded(id).await?;
    }
    Ok(())
}

/// A new passkey's id.
pub(crate) fn new_id() -> PasskeyId {
    PasskeyId::from_bits(u64::from_be_bytes(random()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_are_for_a_name() {
        for (url, origin, rp_id) in [
            ("https://p.example", "https://p.example", "p.example"),
            ("https://p.example:8443", "https://p.example:8443", "p.example"),
            ("http://localhost:6480", "http://localhost:6480", "localhost"),
            ("http://127.0.0.1:6480", "http://localhost:6480", "localhost"),
            ("http://[::1]:6480", "http://localhost:6480", "localhost"),
        ] {
            let pages = Pages::of(&PublicUrl::parse(url).unwrap());
            assert_eq!(pages.site(), Site { origin, rp_id }, "{url}");
        }
    }
}
