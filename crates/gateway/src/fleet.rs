//! Several gateways on one store: where the store is, what this gateway tells the others, and what it
//! does when they tell something. Beside the life of a request.

use crate::config::Config;
use crate::labels::Labels;
use crate::live::{Killed, Owner};
use crate::moment::now;
use crate::services::{Services, private_directory, stopped};
use anyhow::Context as _;
use portcullis_core::id::{CredentialId, SessionId};
use portcullis_core::journal::{Entry, Event, Journal as _};
use portcullis_core::principal::By;
use portcullis_core::time::Timestamp;
use portcullis_store::{DefinitionError, DefinitionStore, PostgresSettings, Store};
use portcullis_targets::OwnSecret;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tracing::warn;

/// For so long what others were told of a session is not told again.
const KNOWN: Duration = Duration::from_secs(10);
/// How soon it is tried again to tell the store, or to hear of it, what could not be.
const AGAIN: Duration = Duration::from_secs(1);
/// How much this gateway has seen of a shared store, below `data_dir`.
const SEEN: &str = "store.seen";
/// The store in SQLite, below `data_dir`.
pub(crate) const FILE: &str = "portcullis.db";

/// Where reviews, labels, freezes, credentials, browser sessions and sealed secrets are kept: in a file
/// below `data_dir`, for one gateway, or in a PostgreSQL database that several gateways share.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StoreSettings {
    /// `postgres://USER@HOST:PORT/DATABASE`; without it SQLite below `data_dir`. The role owns the
    /// database. The server's certificate and name are verified (`?sslmode=verify-full`) unless it is on
    /// this machine, or the URL says `verify-ca`, `require` or `disable`. A Unix socket is named by
    /// `?host=/DIRECTORY`. No password stands in it.
    #[schemars(with = "Option<String>")]
    pub(crate) url: Option<Address>,
    /// Where the password is: `env:NAME` or `file:PATH`, the path relative to this file. Read when
    /// the gateway starts.
    pub(crate) password_from: Option<OwnSecret>,
    /// PEM file with the authorities that may vouch for the server, beside the public ones. Relative
    /// to this file.
    pub(crate) root_certificate: Option<PathBuf>,
}

/// A URL that somebody may have written a password into.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct Address(String);

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl StoreSettings {
    /// Makes relative paths ones below `base`.
    pub(crate) fn resolve(&mut self, base: &Path) {
        if let Some(secret) = &mut self.password_from {
            secret.resolve(base);
        }
        if let Some(path) = &mut self.root_certificate {
            *path = base.join(&*path);
        }
    }

    /// Why it makes no sense, if so.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.without_password(None) {
            Some(postgres) => postgres.check().map_err(|error| error.to_string()),
            None if self.password_from.is_some() || self.root_certificate.is_some() => Err(
                "store.password_from and store.root_certificate are for store.url, which is missing"
                    .to_owned(),
            ),
            None => Ok(()),
        }
    }

    /// What works, and is hardly meant.
    pub(crate) fn doubts(&self, data_dir: &Path) -> Vec<String> {
        let Some(postgres) = self.without_password(None) else { return Vec::new() };
        let mut doubts = Vec::new();
        if postgres.is_unverified().unwrap_or_default() {
            doubts.push(
                "store.url: nobody verifies that it is the server's certificate, so whoever is on the \
                 way to it can approve requests: write sslmode=verify-full"
                    .to_owned(),
            );
        }
        for variable in PostgresSettings::surroundings() {
            doubts.push(format!(
                "store.url: {variable} is set in the gateway's environment, and counts where the \
                 configuration does not say otherwise: take it out"
            ));
        }
        let file = data_dir.join(FILE);
        if file.exists() {
            doubts.push(format!(
                "{} is not used, because store.url names another store: what is frozen, labelled, \
                 sealed and revoked in it does not count",
                file.display()
            ));
        }
        doubts
    }

    fn without_password(&self, seen: Option<PathBuf>) -> Option<PostgresSettings> {
        let url = self.url.as_ref()?.0.clone();
        let root_certificate = self.root_certificate.clone();
        Some(PostgresSettings { url, password: None, root_certificate, seen })
    }

    /// The way to the PostgreSQL store, where it is one, for the gateway with that directory.
    pub(crate) async fn postgres(
        &self,
        data_dir: &Path,
    ) -> anyhow::Result<Option<PostgresSettings>> {
        let seen = Some(data_dir.join(SEEN));
        let Some(mut postgres) = self.without_password(seen) else { return Ok(None) };
        if let Some(secret) = self.password_from.clone() {
            let read = tokio::task::spawn_blocking(move || secret.read()).await;
            let bytes = read.context("store.password_from")?.context("store.password_from")?;
            let text =
                std::str::from_utf8(&bytes).context("store.password_from: it is not UTF-8")?;
            postgres.password = Some(text.to_owned());
        }
        Ok(Some(postgres))
    }
}

/// Opens the store that a configuration names, for a gateway.
pub(crate) async fn open(config: &Config) -> anyhow::Result<Store> {
    Ok(match config.store.postgres(&config.data_dir).await? {
        Some(postgres) => Store::connect(&postgres, now).await?,
        None => Store::open(&config.data_dir.join(FILE)).await?,
    })
}

/// The same for a command, beside gateways that may have it.
pub(crate) async fn open_beside(config: &Config) -> anyhow::Result<Store> {
    Ok(match config.store.postgres(&config.data_dir).await? {
        Some(postgres) => Store::connect_beside(&postgres, now).await?,
        None => {
            private_directory(&config.data_dir)?;
            Store::open_beside(&config.data_dir.join(FILE)).await?
        }
    })
}

/// Ends sessions whose credential was revoked at another gateway, until the gateway stops. At this one
/// whoever revokes it does.
pub(crate) async fn end_revoked(services: Arc<Services>, stopping: watch::Receiver<bool>) {
    let mut stop = std::pin::pin!(stopped(stopping));
    let mut changes = services.credentials.store.changes();
    let mut known = true;
    loop {
        tokio::select! {
            () = &mut stop => return,
            changed = changes.changed() => if changed.is_err() { return },
            // What the store could not say, it is asked again.
            () = tokio::time::sleep(AGAIN), if !known => {}
        }
        known = end_those_revoked(&services).await;
    }
}

/// False where the store did not say of each whether it was.
async fn end_those_revoked(services: &Services) -> bool {
    let live = services.sessions.list(|_| true);
    let opened = live.iter().filter_map(|session| session.credential()?.parse().ok());
    let opened: BTreeSet<CredentialId> = opened.collect();
    if opened.is_empty() {
        return true;
    }
    // What the store has not is the token of somebody else's.
    let Ok(revoked) = services.credentials.store.revoked(&opened).await else { return false };
    for (id, by) in revoked {
        let id = id.to_string();
        let opened_with =
            |_, owner: &Owner| owner.standing.principal.token_id.as_deref() == Some(id.as_str());
        end(services, opened_with, (&by, &By::no_principal(&*by)), "your credential was revoked");
    }
    true
}

/// Ends sessions, and records that: by whom, in words for their callers and for the record.
pub(crate) fn end(
    services: &Services,
    which: impl Fn(SessionId, &Owner) -> bool,
    (name, by): (&str, &By),
    reason: &str,
) {
    let killed = Killed { by: name.to_owned(), reason: reason.to_owned() };
    let ending = services.sessions.end(which, &killed, |session| {
        let event = Event::SessionKilled { by: by.clone(), reason: reason.to_owned() };
        let entry = Entry { at: now(), session: Some(session), request: None, event };
        // They end whether or not it can be recorded.
        let _ = services.ledger.note(entry);
    });
    // Nobody waits for them here.
    drop(ending);
}

/// Ends sessions that are changing definitions, where this gateway could not say for so long that it is
/// there that others may soon forget what they are at; until the gateway stops.
pub(crate) async fn end_overdue(services: Arc<Services>, stopping: watch::Receiver<bool>) {
    let Some(store) = DefinitionStore::of(services.store()) else { return };
    let mut stop = std::pin::pin!(stopped(stopping));
    loop {
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(AGAIN) => {}
        }
        let overdue: BTreeSet<SessionId> = store.overdue().into_iter().collect();
        if !overdue.is_empty() {
            let reason = "it changes definitions, and the gateway's store could not be reached for \
                          so long that other gateways may soon not know of it";
            let by = ("the gateway", &By::no_principal("portcullis"));
            end(&services, |session, _| overdue.contains(&session), by, reason);
        }
    }
}

/// What a session tells other gateways, and knows of itself for that.
#[derive(Default)]
pub(crate) struct Telling {
    /// The target was asked which server it is.
    pub(crate) located: bool,
    /// The request under way may change definitions for others.
    pub(crate) announces: bool,
    /// What others are told while that is so.
    pub(crate) changing: Option<Changing>,
}

/// How a session tells other gateways of definitions that it changes. They are told that it is over when
/// it is dropped, too.
pub(crate) struct Changing {
    labels: Arc<Labels>,
    session: SessionId,
    /// When it was told last.
    told: Option<(Instant, Timestamp)>,
    over: bool,
}

impl Changing {
    /// What a session of which nothing was told yet tells of; `None` where no other gateway can be
    /// there.
    pub(crate) fn of(labels: &Arc<Labels>, session: SessionId) -> Option<Self> {
        labels.others()?;
        Some(Self { labels: Arc::clone(labels), session, told: None, over: false })
    }

    /// Tells that it begins, or goes on. Others go by that for minutes, whatever becomes of this gateway,
    /// so what was told just now is not told again.
    ///
    /// # Errors
    /// It could not be told: then nothing must be changed.
    pub(crate) async fn tell(&mut self) -> Result<(), DefinitionError> {
        let (Some((store, place)), false) = (self.labels.others(), self.is_known()) else {
            return Ok(());
        };
        let at = (Instant::now(), now());
        store.begin(&place, self.session).await?;
        self.told = Some(at);
        Ok(())
    }

    /// True where it was told so lately that no other gateway can have forgotten it.
    pub(crate) fn is_known(&self) -> bool {
        // By both clocks: one of them may stand still while the machine sleeps.
        self.told.is_some_and(|(at, told)| at.elapsed() < KNOWN && now() < told.plus(KNOWN))
    }

    /// Tells that it is over; where that cannot be told now, in the background until it can.
    pub(crate) async fn end(mut self) {
        let Some((store, place)) = self.labels.others() else { return };
        self.over = store.end(&place, self.session).await.is_ok();
    }
}

impl Drop for Changing {
    fn drop(&mut self) {
        let (Some((store, place)), false) = (self.labels.others(), self.over) else { return };
        let (store, session) = (store.clone(), self.session);
        let again = async move {
            while store.end(&place, session).await.is_err() {
                warn!(%session, "others go on taking it to change definitions");
                tokio::time::sleep(AGAIN).await;
            }
        };
        // Without a runtime the gateway stops, and is forgotten.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(again);
        }
    }
}
