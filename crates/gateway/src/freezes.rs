//! What is frozen: in the store, and in memory for every decision. Before the judge, for all sessions.
//!
//! The store says what is frozen. It is read at the start, at every change, and again and again; when
//! it cannot be read, nobody knows, and agents do nothing until it can. Where other gateways freeze as
//! well, what was read is good for two seconds: whatever keeps it from being read again, nobody knows
//! after that. A decision looks at one number that all sessions share, at the clock, and at its session's
//! own copy of the list while that number stays the same.

use crate::moment::{now, random};
use portcullis_core::freeze::{Freeze, FreezeScope, Freezes, FreezesUnknown, InForce};
use portcullis_core::id::FreezeId;
use portcullis_core::journal::{Durability, Entry, Event, Journal as _, JournalError};
use portcullis_core::principal::{Administrator, By};
use portcullis_ledger::Ledger;
use portcullis_store::{FreezeError, FreezeRow, FreezeStore, Listed, Page};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tracing::{error, info};

/// How long anything may be frozen: 30 days.
const MOST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How often the store is read again.
const LOOK: Duration = Duration::from_secs(5);
/// The same where other gateways change it.
const LOOK_SHARED: Duration = Duration::from_millis(500);
/// For how long what was read is good there.
const GOOD: Duration = Duration::from_secs(2);
/// The number of what nobody knows.
const NOBODY_KNOWS: InForce = InForce { generation: u64::MAX, freezes: Err(FreezesUnknown) };

/// What an administrator wants to be frozen.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FreezeWanted")]
pub(crate) struct Wanted {
    /// From what agents are kept.
    pub(crate) scope: FreezeScope,
    /// On which connection; on all where there is none.
    #[serde(default)]
    pub(crate) connection: Option<String>,
    /// For how long: up to 30 days.
    #[schemars(range(min = 1, max = 2_592_000))]
    pub(crate) seconds: u64,
    /// Why, on one line of 1 to 1000 bytes: those it concerns read it.
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
    /// Held by whoever freezes or thaws; reading waits for nobody.
    turn: tokio::sync::Mutex<()>,
    /// How many readings have begun, so that nothing older takes the place of what is newer.
    readings: AtomicU64,
}

/// What all sessions look at.
struct Shared {
    generation: AtomicU64,
    state: Mutex<InForce>,
    /// The last reading that counts, held while it is put in force.
    last: Mutex<u64>,
    /// For how long it counts, where that is limited.
    good: Option<Duration>,
    /// When it began, in microseconds after `since`.
    read: AtomicU64,
    since: Instant,
}

impl Shared {
    fn new(good: Option<Duration>) -> Self {
        let nobody_knows = InForce { generation: 0, ..NOBODY_KNOWS };
        Self {
            generation: AtomicU64::new(0),
            state: Mutex::new(nobody_knows),
            last: Mutex::new(0),
            good,
            read: AtomicU64::new(0),
            since: Instant::now(),
        }
    }

    /// True where what is in force was read too long ago.
    fn is_old(&self) -> bool {
        self.good.is_some_and(|good| {
            let read = Duration::from_micros(self.read.load(Ordering::Acquire));
            self.since.elapsed().saturating_sub(read) > good
        })
    }

    /// What a reading that began then has found, unless a later one is in force already.
    fn found(
        &self,
        (number, began): (u64, Instant),
        freezes: Result<Arc<[Freeze]>, FreezesUnknown>,
    ) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last > number {
            return;
        }
        *last = number;
        let read = began.saturating_duration_since(self.since);
        self.set(freezes);
        self.read.store(u64::try_from(read.as_micros()).unwrap_or(u64::MAX), Ordering::Release);
    }

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
        if self.shared.is_old() {
            return NOBODY_KNOWS.generation;
        }
        self.shared.generation.load(Ordering::Acquire)
    }

    fn in_force(&self) -> InForce {
        if self.shared.is_old() {
            return NOBODY_KNOWS;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.generation != self.shared.generation.load(Ordering::Acquire) {
            *seen = self.shared.state().clone();
        }
        seen.clone()
    }
}

impl FreezeDesk {
    /// What is in force by the store. Where it cannot be read, agents do nothing until it can.
    pub(crate) async fn open(store: FreezeStore) -> Self {
        let shared = Arc::new(Shared::new(store.is_shared().then_some(GOOD)));
        let (turn, readings) = (tokio::sync::Mutex::default(), AtomicU64::new(0));
        let desk = Self { store, shared, turn, readings };
        // What could not be read stays unknown.
        let _ = desk.read().await;
        desk
    }

    /// What a session looks at.
    pub(crate) fn view(&self) -> Arc<dyn Freezes> {
        let seen = Mutex::new(self.shared.state().clone());
        Arc::new(View { shared: Arc::clone(&self.shared), seen })
    }

    /// Reads the store, and lets that be in force.
    async fn read(&self) -> Result<(), FreezeError> {
        let reading = (self.readings.fetch_add(1, Ordering::AcqRel) + 1, Instant::now());
        let read = self.store.list(false, now()).await;
        let freezes = read.as_ref().map(|rows| rows.iter().map(|row| row.freeze.clone()).collect());
        self.shared.found(reading, freezes.map_err(|_| FreezesUnknown));
        read.map(drop)
    }

    /// Reads the store again and again until the gateway stops.
    pub(crate) async fn keep_reading(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        let mut known = true;
        let mut changes = self.store.changes();
        let look = if self.store.is_shared() { LOOK_SHARED } else { LOOK };
        loop {
            tokio::select! {
                // An error means the sender is gone, which is a stop as well.
                _ = stopping.wait_for(|stop| *stop) => return,
                // Also where the store is lost, or back.
                Ok(()) = changes.changed() => {}
                () = tokio::time::sleep(look) => {}
            }
            let read = self.read().await;
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
        let who = By::from(by.principal());
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
        let who = By::from(by.principal());
        let event = Event::Thawed { freeze: id, by: who.clone(), why: None };
        ledger.append(Entry::outside(now(), event), Durability::Durable).await?;
        let at = now();
        if !self.store.thaw(id, by, at).await? {
            return Err(NotFrozen::NoneSuch);
        }
        self.read().await?;
        drop(turn);
        Ok(FreezeRow { thawed: Some(at), thawed_by: Some(who.subject), good: false, ..row })
    }

    /// A page of freezes, newest first; only those in force unless `all`.
    pub(crate) async fn page(
        &self,
        all: bool,
        page: &Page,
    ) -> Result<Listed<FreezeRow>, FreezeError> {
        self.store.page(all, now(), page).await
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
            email: None,
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
        assert!(desk.page(false, &Page::default()).await.unwrap().rows == [row.clone()]);
        desk.thaw(&by, row.freeze.id, &ledger).await.unwrap();
        assert_eq!(view.in_force().freezes, Ok(Arc::from([])));
        let again = desk.thaw(&by, row.freeze.id, &ledger).await;
        assert!(matches!(again, Err(NotFrozen::NoneSuch)), "{again:?}");
    }

    #[test]
    fn what_was_read_too_long_ago_is_unknown_and_what_is_older_gives_way() {
        let shared = Arc::new(Shared::new(Some(GOOD)));
        let seen = Mutex::new(shared.state().clone());
        let view = View { shared: Arc::clone(&shared), seen };
        let none: Result<Arc<[Freeze]>, _> = Ok(Arc::from([]));
        let began = Instant::now();
        shared.found((2, began), none.clone());
        let generation = view.generation();
        assert_eq!(view.in_force().freezes, none);
        // One that began before, and ended after.
        shared.found((1, began), Err(FreezesUnknown));
        assert_eq!((view.generation(), view.in_force().freezes), (generation, none.clone()));
        // Nothing has told of a change; the time is up all the same.
        std::thread::sleep(GOOD);
        assert_ne!(view.generation(), generation, "a decision looks again");
        assert_eq!(view.in_force().freezes, Err(FreezesUnknown));
        shared.found((3, Instant::now()), none.clone());
        assert_eq!((view.generation(), view.in_force().freezes), (generation, none));
        // A reading counts from when it was asked, not from when it was answered.
        shared.found((4, began), Ok(Arc::from([])));
        assert_eq!(view.in_force().freezes, Err(FreezesUnknown));
    }

    /// Whoever freezes waits for the record, and nobody waits for that.
    #[tokio::test]
    async fn reading_does_not_wait_for_whoever_freezes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store.db")).await.unwrap();
        let desk = FreezeDesk::open(FreezeStore::new(store.clone())).await;
        let desk = Arc::new(desk);
        let (stop, stopping) = watch::channel(false);
        let turn = desk.turn.lock().await;
        let reading = tokio::spawn(desk.clone().keep_reading(stopping));
        // It is told that something has changed.
        let before = desk.readings.load(Ordering::Acquire);
        let (at, by) = (now(), administrator());
        let freeze = Freeze {
            id: FreezeId::from_bits(7),
            scope: FreezeScope::Writes,
            connection: None,
            reason: "elsewhere".to_owned(),
            by: "bo".to_owned(),
            since: at,
            until: at.plus(Duration::from_secs(60)),
        };
        tokio::time::sleep(Duration::from_millis(50)).await;
        FreezeStore::new(store).keep(&freeze, &by).await.unwrap();
        let read = async {
            while desk.readings.load(Ordering::Acquire) == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(3), read).await.expect("it waits");
        drop(turn);
        stop.send(true).unwrap();
        reading.await.unwrap();
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
