//! The catalog of each target, read through a session's own link and shared by all sessions of the
//! connection. It is read again when it is old, when a definition changed, or when a name in a
//! request is not in it.

use portcullis_sql::catalog::Catalog;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A catalog older than this is read again before the next request.
const MAX_AGE: Duration = Duration::from_secs(60);
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
}

impl SharedCatalog {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic elsewhere cannot leave these few fields half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The catalog, where it is young enough to be used as it is.
    pub(crate) fn fresh(&self) -> Option<Arc<Catalog>> {
        let state = self.state();
        let (catalog, read) = state.newest.as_ref()?;
        (read.elapsed() < MAX_AGE && state.read_at == state.changes).then(|| catalog.clone())
    }

    /// True where a name that was not found justifies another reading.
    pub(crate) fn may_have_missed(&self) -> bool {
        self.state().newest.as_ref().is_none_or(|(_, read)| read.elapsed() >= MISS_INTERVAL)
    }

    /// The count of changes a reading starts from.
    pub(crate) fn reading(&self) -> u64 {
        self.state().changes
    }

    /// Keeps what was read, unless a definition changed meanwhile.
    pub(crate) fn store(&self, catalog: Arc<Catalog>, started_at: u64) {
        let mut state = self.state();
        state.newest = Some((catalog, Instant::now()));
        state.read_at = started_at;
    }

    /// A definition may have changed: every session reads again before its next request.
    pub(crate) fn changed(&self) {
        let mut state = self.state();
        state.changes = state.changes.wrapping_add(1);
    }
}
