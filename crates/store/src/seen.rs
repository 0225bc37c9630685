//! How much of a shared store a gateway has seen: by how often each part of it was changed. A store in
//! which less was changed than that has gone back: a standby that lacked the last of it was promoted, or
//! a backup was put in its place. What was decided, frozen, revoked and labelled since is not in it, so
//! nothing is taken from it until somebody has settled it.

use serde_json::{Map, Value};
use sqlx::postgres::PgRow;
use sqlx::{Error, Row as _};
use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fs, io};
use tracing::warn;

/// What is wrong with a store that has gone back, and what to do.
pub(crate) const WENT_BACK: &str = "it has gone back to what it was before (a standby that lacked the \
    last changes was promoted, or a backup was put in its place): stop all gateways, and run `portcullis \
    restore --settle`";
/// The row that says which store it is.
const ID: &str = "id";
/// By how much settling raises all counts: more than could be lost.
pub(crate) const SETTLED: i64 = 1 << 32;

/// How often each part was changed, and which store it is.
pub(crate) type Counts = HashMap<String, i64>;

/// What the rows of `revision` say.
pub(crate) fn counts(rows: &[PgRow]) -> Result<Counts, Error> {
    rows.iter().map(|row| Ok((row.try_get("topic")?, row.try_get("changes")?))).collect()
}

/// What was seen, in memory and, where there is a file, there.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    known: Mutex<Counts>,
    file: Option<PathBuf>,
    /// What the file says.
    written: Mutex<Counts>,
}

impl Seen {
    /// What was seen before by the gateway that has this file.
    pub(crate) fn read(file: Option<PathBuf>) -> Self {
        let known = file.as_deref().and_then(kept).unwrap_or_default();
        Self { known: Mutex::new(known), file, written: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Counts> {
        // Each count is right by itself.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often a part was changed, as far as was seen.
    pub(crate) fn of(&self, word: &str) -> Option<i64> {
        self.known().get(word).copied()
    }

    /// This gateway has changed it so often.
    pub(crate) fn raise(&self, counted: &[(&str, i64)]) {
        let mut known = self.known();
        for (word, count) in counted {
            let seen = known.entry((*word).to_owned()).or_insert(*count);
            *seen = (*seen).max(*count);
        }
    }

    /// What was seen so far: whatever is asked from now on has that.
    pub(crate) fn so_far(&self) -> Counts {
        self.known().clone()
    }

    /// That nothing of what was seen is missing; nothing is noted.
    pub(crate) fn look(&self, there: &Counts) -> Result<(), Error> {
        let seen = Self { known: Mutex::new(self.so_far()), ..Self::default() };
        seen.compare(&self.so_far(), there)
    }

    /// That nothing is missing of what was seen before it was asked what is there; which is seen from
    /// now on.
    pub(crate) fn compare(&self, before: &Counts, there: &Counts) -> Result<(), Error> {
        let another = before.get(ID).is_some_and(|id| there.get(ID) != Some(id));
        let missing = |(word, count)| there.get(word).is_none_or(|now| now < count);
        if another {
            warn!("the store is another one than before: what was in that one does not count");
            self.known().clear();
        } else if before.iter().any(missing) {
            return Err(Error::Io(io::Error::new(io::ErrorKind::Unsupported, WENT_BACK)));
        }
        let there: Vec<_> = there.iter().map(|(word, count)| (word.as_str(), *count)).collect();
        self.raise(&there);
        self.keep();
        Ok(())
    }

    /// Keeps what is known, where it is not kept yet. In memory it is known in any case.
    fn keep(&self) {
        let (Some(file), known) = (&self.file, self.so_far()) else { return };
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if *written == known {
            return;
        }
        match keep(file, &known) {
            Ok(()) => *written = known,
            Err(error) => {
                warn!(%error, file = %file.display(), "a restart will not know whether the store went back");
            }
        }
    }
}

/// What a file holds. One that cannot be read is as none: the counts of the store are taken as they are.
fn kept(file: &Path) -> Option<Counts> {
    let text = match fs::read_to_string(file) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return None,
        read => read.map_err(|e| e.to_string()),
    };
    let read = text.and_then(|text| serde_json::from_str(&text).map_err(|e| e.to_string()));
    read.inspect_err(|error| {
        warn!(error, file = %file.display(), "nobody knows whether the store went back");
    })
    .ok()
}

/// Writes it whole, or not at all.
fn keep(file: &Path, counts: &Counts) -> io::Result<()> {
    let counts: Map<String, Value> =
        counts.iter().map(|(word, count)| (word.clone(), (*count).into())).collect();
    let directory = file.parent().unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(directory)?;
    new.write_all(Value::Object(counts).to_string().as_bytes())?;
    new.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(id: i64, writes: i64, stops: i64) -> Counts {
        [("id", id), ("writes", writes), ("stops", stops)].map(|(w, c)| (w.to_owned(), c)).into()
    }

    #[test]
    fn what_was_seen_may_not_be_missing() {
        let directory = tempfile::tempdir().unwrap();
        let file = Some(directory.path().join("seen"));
        let seen = Seen::read(file.clone());
        let compare = |seen: &Seen, there: &Counts| seen.compare(&seen.so_far(), there);
        compare(&seen, &there(1, 5, 5)).unwrap();
        compare(&seen, &there(1, 6, 5)).unwrap();
        for less in [there(1, 5, 5), there(1, 7, 4)] {
            assert!(compare(&seen, &less).unwrap_err().to_string().contains("gone back"));
        }
        // After a restart as well.
        let seen = Seen::read(file.clone());
        assert!(compare(&seen, &there(1, 5, 9)).is_err());
        compare(&seen, &there(1, 5 + SETTLED, 5 + SETTLED)).unwrap();
        assert!(compare(&seen, &there(1, 6, 6)).is_err());
        // What this gateway has written itself it has seen; but not before it was asked.
        let before = seen.so_far();
        seen.raise(&[("stops", 6 + SETTLED)]);
        assert!(compare(&seen, &there(1, 5 + SETTLED, 5 + SETTLED)).is_err());
        seen.compare(&before, &there(1, 5 + SETTLED, 5 + SETTLED)).unwrap();
        assert_eq!(seen.of("stops"), Some(6 + SETTLED));
        // Another store has a history of its own.
        compare(&seen, &there(2, 0, 0)).unwrap();
        assert!(compare(&Seen::read(file), &there(1, 5, 5)).is_ok());
    }
}
