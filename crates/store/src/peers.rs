//! The gateways that share a store: which of them are there, and how each hears of what another has
//! changed. With SQLite there is one.
//!
//! A gateway has an id from its start to its end. It says again and again that it is there. One that has
//! not for [`GONE`] is forgotten by another, and with it what was given to its sessions. Whoever could not
//! reach the store itself for a while does not forget others for that. One that was forgotten and is there
//! all the same finds that out by its next beat, and tells anew what its sessions are changing.

use crate::db::{Turn, query};
use crate::definitions;
use crate::labels::LabelPlace;
use crate::open::{Backend, Store};
use crate::rows::Unreadable;
use portcullis_core::id::SessionId;
use portcullis_core::time::Timestamp;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// A gateway that was not heard of for so long is gone.
pub(crate) const GONE: Duration = Duration::from_secs(15);

/// What gateways tell each other of. It says that something of that kind has changed, and no more:
/// whoever hears it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Reviews were decided, used, taken back, or have lapsed.
    Reviews,
    /// Something was frozen or thawed.
    Freezes,
    /// Credentials were revoked.
    Credentials,
    /// Grants were asked for, decided on, or have ended.
    Grants,
    /// Documents were changed.
    Documents,
}

impl Topic {
    pub(crate) const ALL: [Self; 5] =
        [Self::Reviews, Self::Freezes, Self::Credentials, Self::Grants, Self::Documents];

    /// The word used in the store and in notifications.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Reviews => "reviews",
            Self::Freezes => "freezes",
            Self::Credentials => "credentials",
            Self::Grants => "grants",
            Self::Documents => "documents",
        }
    }
}

/// Who follows what changes, in this process.
#[derive(Debug)]
pub(crate) struct Topics {
    counts: [watch::Sender<u64>; 5],
    marks: Mutex<Vec<(LabelPlace, SessionId)>>,
}

impl Topics {
    pub(crate) fn new() -> Self {
        let counts = std::array::from_fn(|_| watch::Sender::new(0));
        Self { counts, marks: Mutex::default() }
    }

    fn of(&self, topic: Topic) -> &watch::Sender<u64> {
        let [reviews, freezes, credentials, grants, documents] = &self.counts;
        match topic {
            Topic::Reviews => reviews,
            Topic::Freezes => freezes,
            Topic::Credentials => credentials,
            Topic::Grants => grants,
            Topic::Documents => documents,
        }
    }

    /// Something of that kind has changed.
    pub(crate) fn bump(&self, topic: Topic) {
        self.of(topic).send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Anything may have changed.
    pub(crate) fn bump_all(&self) {
        Topic::ALL.into_iter().for_each(|topic| self.bump(topic));
    }
}

impl Store {
    /// Follows what changes, at whichever gateway: within milliseconds, and within a second where
    /// notifications are lost. It is also told when the store is lost, and when it is back.
    #[must_use]
    pub fn changes(&self, topic: Topic) -> watch::Receiver<u64> {
        self.topics.of(topic).subscribe()
    }

    /// This gateway's id.
    pub(crate) fn gateway(&self) -> &str {
        &self.gateway
    }

    /// Says that this gateway comes.
    pub(crate) async fn come(&self, now: Timestamp) -> Result<(), Unreadable> {
        let come = query(
            "INSERT INTO gateway (id, name, started, seen) VALUES ($1, $2, $3, $4)
             ON CONFLICT (id) DO UPDATE SET seen = excluded.seen",
        )
        .bind(self.gateway())
        .bind(host())
        .bind(now.as_micros())
        .bind(now.as_micros());
        self.change_in(Turn::Heart, &[], come).await?;
        Ok(())
    }

    /// Says that this gateway is there still; false where others have forgotten it, or it has not come.
    pub(crate) async fn beat(&self, now: Timestamp) -> Result<bool, Unreadable> {
        let beat = query("UPDATE gateway SET seen = $2 WHERE id = $1")
            .bind(self.gateway())
            .bind(now.as_micros());
        Ok(self.change_in(Turn::Heart, &[], beat).await? == 1)
    }

    /// This gateway was forgotten: it comes again, and tells others what they do not know any more.
    pub(crate) async fn come_again(&self, now: Timestamp) -> Result<(), Unreadable> {
        self.come(now).await?;
        let marks = self.marks().clone();
        for (place, session) in marks {
            definitions::begin(self, &place, session).await?;
            // It may have ended while it was told.
            if !self.marks().iter().any(|(_, other)| *other == session) {
                let store = crate::definitions::DefinitionStore::of(self);
                if let Some(store) = store {
                    let _ = store.end(&place, session).await;
                }
            }
        }
        self.topics.bump_all();
        Ok(())
    }

    /// Forgets gateways that were not heard of since then, and what was given to their sessions.
    pub(crate) async fn forget(&self, since: Timestamp, now: Timestamp) -> Result<(), Unreadable> {
        let gone = query("DELETE FROM gateway WHERE seen < $1 AND id <> $2")
            .bind(since.as_micros())
            .bind(self.gateway());
        self.change_in(Turn::Heart, &[], gone).await?;
        self.end_of_the_gone(now).await
    }

    /// Ends what was given to sessions of gateways that are not there, where there is any.
    async fn end_of_the_gone(&self, now: Timestamp) -> Result<(), Unreadable> {
        let changing = query(
            "SELECT EXISTS (SELECT 1 FROM definition_change
             WHERE until < $1 OR until IS NULL AND gateway NOT IN (SELECT id FROM gateway))",
        );
        if changing.bind(now.as_micros()).scalar(self).await? {
            definitions::forget(self, None, now).await?;
        }
        let given = query(
            "SELECT EXISTS (SELECT 1 FROM pattern
                            WHERE ended IS NULL AND gateway NOT IN (SELECT id FROM gateway))
                 OR EXISTS (SELECT 1 FROM review_holder
                            WHERE gateway NOT IN (SELECT id FROM gateway))",
        );
        if given.scalar(self).await? {
            let mut tx = self.write(&[]).await?;
            query(
                "UPDATE pattern SET ended = $1, ending = 'session_ended'
                 WHERE ended IS NULL AND gateway NOT IN (SELECT id FROM gateway)",
            )
            .bind(now.as_micros())
            .execute(&mut tx)
            .await?;
            query("DELETE FROM review_holder WHERE gateway NOT IN (SELECT id FROM gateway)")
                .execute(&mut tx)
                .await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Says that this gateway goes.
    pub(crate) async fn leave(&self, now: Timestamp) -> Result<(), Unreadable> {
        let leave = query("DELETE FROM gateway WHERE id = $1").bind(self.gateway());
        self.change_in(Turn::Heart, &[], leave).await?;
        definitions::forget(self, Some(self.gateway()), now).await?;
        self.end_of_the_gone(now).await
    }

    /// What sessions here are changing, as it was told to others.
    pub(crate) fn marks(&self) -> MutexGuard<'_, Vec<(LabelPlace, SessionId)>> {
        // A push or a removal is whole, or has not begun.
        self.topics.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long this gateway could not say that it is there; zero where it is alone.
    #[must_use]
    pub fn unheard(&self) -> Duration {
        match &self.backend {
            Backend::Sqlite { .. } => Duration::ZERO,
            Backend::Postgres(server) => server.unheard(),
        }
    }
}

/// What people call this machine; empty where it does not say.
fn host() -> String {
    std::fs::read_to_string("/etc/hostname").unwrap_or_default().trim().to_owned()
}
