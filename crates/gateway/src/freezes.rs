//! What is frozen: in the store, and in memory for every decision. Before the judge, for all sessions.
//!
//! The store says what is frozen. It is read at the start, at every change, and every few seconds; when
//! it cannot be read, nobody knows, and agents do nothing until it can. A decision looks at one number
//! that all sessions share, and at its session's own copy of the list while that number stays the same.

use crate::moment::{now, random};
use portcullis_core::freeze::{Freeze, FreezeScope, Freezes, FreezesUnknown, InForce};
use portcullis_core::id::FreezeId;
use portcullis_core::journal::{Durability, Entry, Event, Journal as _, JournalError};
use portcullis_core::principal::Administrator;
use portcullis_ledger::Ledger;
use portcullis_store::{FreezeError, FreezeRow, FreezeStore};
use serde::Deserialize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tracing::{error, info};

/// How long anything may be frozen: 30 days.
const MOST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How often the store is read again.
const LOOK: Duration = Duration::from_secs(5);

/// What an administrator wants to be frozen.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    pub(crate) scope: FreezeScope,
    #[serde(default)]
    pub(crate) connection: Option<String>,
    /// For how long.
    pub(crate) seconds: u64,
    pub(crate) reason: String,
}

/// Why nothing was frozen or thawed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotFrozen {
    #[error("a freeze has an end: 1 second to 30 days from now")]
    Time,
    #[error("there is no such freeze in force")]
    NoneSuch,
    #[error(transparent)]
    Store(#[from] FreezeError),
    #[error(transparent)]
    Unrecorded(#[from] JournalError),
}

/// The freezes of a gateway.
pub(crate) struct FreezeDesk {
    store: FreezeStore,
    shared: Arc<Shared>,
    /// Held while the store is read or written, so that nothing older takes the place of what is newer.
    turn: tokio::sync::Mutex<()>,
}

/// What all sessions look at.
struct Shared {
    generation: AtomicU64,
    state: Mutex<InForce>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, InForce> {
        // It is replaced as a whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This is in force from now on.
    fn set(&self, freezes: Result<Arc<[Freeze]>, FreezesUnknown>) {
        let mut state = self.state();
        if state.freezes == freezes {
            return;
        }
        let generation = state.generation.wrapping_add(1);
        *state = InForce { generation, freezes };
        self.generation.store(generation, Ordering::Release);
    }
}

/// What one session knows of it.
struct View {
    shared: Arc<Shared>,
    seen: Mutex<InForce>,
}

impl Freezes for View {
    fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    fn in_force(&self) -> InForce {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.generation != self.generation() {
            *seen = self.shared.state().clone();
        }
        seen.clone()
    }
}

impl FreezeDesk {
    /// What is in force by the store. Where it cannot be read, agents do nothing until it can.
    pub(crate) async fn open(store: FreezeStore) -> Self {
        let nobody_knows = InForce { generation: 0, freezes: Err(FreezesUnknown) };
        let shared = Shared { generation: AtomicU64::new(0), state: Mutex::new(nobody_knows) };
        let desk = Self { store, shared: Arc::new(shared), turn: tokio::sync::Mutex::default() };
        let turn = desk.turn.lock().await;
        // What could not be read stays unknown.
        let _ = desk.read().await;
        drop(turn);
        desk
    }

    /// What a session looks at.
    pub(crate) fn view(&self) -> Arc<dyn Freezes> {
        let seen = Mutex::new(self.shared.state().clone());
        Arc::new(View { shared: Arc::clone(&self.shared), seen })
    }

    /// Reads the store, and lets that be in force. In its turn.
    async fn read(&self) -> Result<(), FreezeError> {
        let read = self.store.list(false, now()).await;
        let freezes = read.as_ref().map(|rows| rows.iter().map(|row| row.freeze.clone()).collect());
        self.shared.set(freezes.map_err(|_| FreezesUnknown));
        read.map(drop)
    }

    /// Reads the store again and again until the gateway stops.
    pub(crate) async fn keep_reading(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        let mut known = true;
        loop {
            tokio::select! {
                // An error means the sender is gone, which is a stop as well.
                _ = stopping.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let turn = self.turn.lock().await;
            let read = self.read().await;
            drop(turn);
            match &read {
                Err(error) if known => error!(%error, "agents do nothing until it can be read"),
                Ok(()) if !known => info!("it can be read again what is frozen"),
                _ => {}
            }
            known = read.is_ok();
        }
    }

    /// Freezes, from the moment this returns. The record comes first.
    pub(crate) async fn freeze(
        &self,
        by: &Administrator,
        wanted: Wanted,
        ledger: &Ledger,
    ) -> Result<FreezeRow, NotFrozen> {
        let time = Duration::from_secs(wanted.seconds);
        if time.is_zero() || time > MOST {
            return Err(NotFrozen::Time);
        }
        let turn = self.turn.lock().await;
        let since = now();
        let freeze = Freeze {
            id: FreezeId::from_bits(u64::from_ne_bytes(random())),
            scope: wanted.scope,
            connection: wanted.connection,
            reason: wanted.reason,
            by: by.principal().name.clone(),
            since,
            until: since.plus(time),
        };
        let who = by.principal().subject.clone();
        let event = Event::Frozen { freeze: freeze.clone(), by: who.clone() };
        ledger.append(Entry::outside(since, event), Durability::Durable).await?;
        if let Err(error) = self.store.keep(&freeze, by).await {
            let why = Some(format!("it was never in force: {error}"));
            let event = Event::Thawed { freeze: freeze.id, by: who, why };
            // Whoever asked is told in any case.
            let _ = ledger.append(Entry::outside(now(), event), Durability::Durable).await;
            return Err(error.into());
        }
        // Where it cannot be read now, it is unknown what is frozen, and agents do nothing.
        self.read().await?;
        drop(turn);
        Ok(FreezeRow { freeze, thawed: None, thawed_by: None, good: true })
    }

    /// Thaws. The record comes first.
    pub(crate) async fn thaw(
        &self,
        by: &Administrator,
        id: FreezeId,
        ledger: &Ledger,
    ) -> Result<FreezeRow, NotFrozen> {
        let turn = self.turn.lock().await;
        let rows = self.store.list(false, now()).await?;
        let found = rows.into_iter().find(|row| row.freeze.id == id);
        let row = found.ok_or(NotFrozen::NoneSuch)?;
        let who = by.principal().subject.clone();
        let event = Event::Thawed { freeze: id, by: who.clone(), why: None };
        ledger.append(Entry::outside(now(), event), Durability::Durable).await?;
        let at = now();
        if !self.store.thaw(id, by, at).await? {
            return Err(NotFrozen::NoneSuch);
        }
        self.read().await?;
        drop(turn);
        Ok(FreezeRow { thawed: Some(at), thawed_by: Some(who), good: false, ..row })
    }

    /// Freezes, newest first; only those in force unless `all`.
    pub(crate) async fn list(&self, all: bool) -> Result<Vec<FreezeRow>, FreezeError> {
        self.store.list(all, now()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_core::principal::{Principal, PrincipalKind};
    use portcullis_core::time::Timestamp;
    use portcullis_ledger::LedgerSettings;
    use portcullis_store::Store;
    use std::collections::BTreeSet;

    fn administrator() -> Administrator {
        let groups = ["admins".to_owned()];
        let bo = Principal {
            kind: PrincipalKind::Person,
            subject: "bo".to_owned(),
            name: "bo".to_owned(),
            issuer: "https://issuer".to_owned(),
            acting_for: None,
            acting_for_issuer: None,
            groups: BTreeSet::from(groups.clone()),
            token_id: None,
            expires: Timestamp::from_micros(i64::MAX),
        };
        Administrator::new(bo, &groups).unwrap()
    }

    fn wanted(seconds: u64) -> Wanted {
        Wanted {
            scope: FreezeScope::Writes,
            connection: None,
            seconds,
            reason: "a bad deploy".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_freeze_is_in_force_when_it_is_made_and_until_it_is_thawed() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path(), LedgerSettings::default()).unwrap();
        let store = Store::open(&dir.path().join("store.db")).await.unwrap();
        let desk = FreezeDesk::open(FreezeStore::new(store)).await;
        let view = desk.view();
        let by = administrator();
        assert_eq!(view.in_force().freezes, Ok(Arc::from([])));
        for seconds in [0, 30 * 24 * 60 * 60 + 1, u64::MAX] {
            let refused = desk.freeze(&by, wanted(seconds), &ledger).await;
            assert!(matches!(refused, Err(NotFrozen::Time)), "{seconds}: {refused:?}");
        }
        let before = view.generation();
        let row = desk.freeze(&by, wanted(3600), &ledger).await.unwrap();
        assert_ne!(view.generation(), before);
        assert_eq!(view.in_force().freezes, Ok(Arc::from([row.freeze.clone()])));
        desk.read().await.unwrap();
        let same = view.generation();
        desk.read().await.unwrap();
        assert_eq!(view.generation(), same, "nothing has changed");
        assert!(desk.list(false).await.unwrap() == [row.clone()]);
        desk.thaw(&by, row.freeze.id, &ledger).await.unwrap();
        assert_eq!(view.in_force().freezes, Ok(Arc::from([])));
        let again = desk.thaw(&by, row.freeze.id, &ledger).await;
        assert!(matches!(again, Err(NotFrozen::NoneSuch)), "{again:?}");
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_unknown_and_never_none() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path(), LedgerSettings::default()).unwrap();
        let store = Store::open(&dir.path().join("store.db")).await.unwrap();
        let desk = FreezeDesk::open(FreezeStore::new(store.clone())).await;
        let view = desk.view();
        assert!(view.in_force().freezes.is_ok());
        store.close().await;
        let refused = desk.freeze(&administrator(), wanted(3600), &ledger).await;
        assert!(matches!(refused, Err(NotFrozen::Store(_))), "{refused:?}");
        assert!(desk.read().await.is_err());
        assert_eq!(view.in_force().freezes, Err(FreezesUnknown));
        // And so it is where it never could be read.
        let store = Store::open(&dir.path().join("other.db")).await.unwrap();
        let freezes = FreezeStore::new(store.clone());
        store.close().await;
        let desk = FreezeDesk::open(freezes).await;
        assert_eq!(desk.view().in_force().freezes, Err(FreezesUnknown));
    }
}
