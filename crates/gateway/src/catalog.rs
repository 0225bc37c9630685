//! The catalog of each target, read through a session's own link and shared by all sessions of the
//! connection. It is read again when it is old, when a definition changed, or when a name in a
//! request is not in it.

use portcullis_sql::catalog::Catalog;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A catalog older than this is read again before the next request.
const MAX_AGE: Duration = Duration::from_secs(60);
/// While one session reads an old catalog again, the others go on with it for this long.
const READING: Duration = Duration::from_secs(5);
/// Names that are not found cause one reading in this time at most.
const MISS_INTERVAL: Duration = Duration::from_secs(1);

/// The newest catalog of one connection.
#[derive(Debug, Default)]
pub(crate) struct SharedCatalog {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    newest: Option<(Arc<Catalog>, Instant)>,
    /// Counts definitions changed through this gateway; a reading started before is stale.
    changes: u64,
    read_at: u64,
    /// Since when a session reads again what is merely old.
    reading: Option<Instant>,
}

impl SharedCatalog {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic elsewhere cannot leave these few fields half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The catalog, where it can be used as it is. `None` asks the caller to read it: where it is
    /// merely old, one caller at a time is asked.
    pub(crate) fn fresh(&self) -> Option<Arc<Catalog>> {
        let mut state = self.state();
        let (catalog, age) = state.newest.as_ref().map(|(c, read)| (c.clone(), read.elapsed()))?;
        if state.read_at != state.changes {
            return None;
        }
        let others = state.reading.is_some_and(|since| since.elapsed() < READING);
        if age < MAX_AGE || (others && age < MAX_AGE * 2) {
            return Some(catalog);
        }
        state.reading = Some(Instant::now());
        None
    }

    /// True where a name that was not found justifies another reading.
    pub(crate) fn may_have_missed(&self) -> bool {
        self.state().newest.as_ref().is_none_or(|(_, read)| read.elapsed() >= MISS_INTERVAL)
    }

    /// The count of changes a reading starts from.
    pub(crate) fn reading(&self) -> u64 {
        self.state().changes
    }

    /// Keeps what was read, as of the count of changes when the reading began, and gives what is to
    /// be used: the catalog there was where nothing has changed, so that what sessions derived from
    /// it stays good.
    pub(crate) fn store(&self, catalog: Catalog, started_at: u64) -> Arc<Catalog> {
        let mut state = self.state();
        let same = state.newest.take().map(|(old, _)| old);
        let same = same.filter(|old| old.version() == catalog.version());
        let catalog = same.unwrap_or_else(|| Arc::new(catalog));
        state.newest = Some((catalog.clone(), Instant::now()));
        state.read_at = started_at;
        state.reading = None;
        catalog
    }

    /// A definition may have changed: every session reads again before its next request.
    pub(crate) fn changed(&self) {
        let mut state = self.state();
        state.changes = state.changes.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aged(shared: &SharedCatalog, age: Duration) {
        let mut state = shared.state();
        let read = Instant::now().checked_sub(age).unwrap();
        state.newest = state.newest.take().map(|(catalog, _)| (catalog, read));
    }

    fn catalog(database: &str) -> Catalog {
        portcullis_sql::catalog::Catalog::empty(database)
    }

    #[test]
    fn an_unchanged_catalog_stays_the_same_one() {
        let shared = SharedCatalog::default();
        assert!(shared.fresh().is_none(), "nobody has read it yet");
        let first = shared.store(catalog("shop"), 0);
        let again = shared.store(catalog("shop"), 0);
        assert!(Arc::ptr_eq(&first, &again));
        let other = shared.store(catalog("other"), 0);
        assert!(!Arc::ptr_eq(&first, &other));
        assert!(Arc::ptr_eq(&other, &shared.fresh().unwrap()));
    }

    #[test]
    fn an_old_catalog_is_read_again_by_one_and_a_changed_one_by_all() {
        let shared = SharedCatalog::default();
        shared.store(catalog("shop"), 0);
        aged(&shared, MAX_AGE + Duration::from_secs(1));
        assert!(shared.fresh().is_none(), "the first is asked to read");
        assert!(shared.fresh().is_some(), "the others go on");
        aged(&shared, MAX_AGE * 2);
        assert!(shared.fresh().is_none(), "not for ever");
        shared.store(catalog("shop"), shared.reading());
        assert!(shared.fresh().is_some());
        let before = shared.reading();
        shared.changed();
        assert!(shared.fresh().is_none() && shared.fresh().is_none(), "a change concerns all");
        shared.store(catalog("shop"), before);
        assert!(shared.fresh().is_none(), "what was read before the change is stale");
    }
}
