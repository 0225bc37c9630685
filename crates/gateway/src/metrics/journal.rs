//! How the journal's storage does: its files, with a clock beside each sync.

use portcullis_core::id::SessionId;
use portcullis_ledger::keep::Form;
use portcullis_ledger::storage::{Files, RecordingFile, Storage};
use prometheus::Histogram;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How syncs went.
pub(super) struct Syncs {
    took: Histogram,
    since: Instant,
    /// When the last one ended well, in microseconds after `since`.
    last: AtomicU64,
}

impl Syncs {
    pub(super) fn new(took: Histogram) -> Self {
        Self { took, since: Instant::now(), last: AtomicU64::new(0) }
    }

    /// How long ago the last one ended well; since the start where there was none.
    pub(super) fn age(&self) -> Duration {
        let last = Duration::from_micros(self.last.load(Ordering::Relaxed));
        self.since.elapsed().saturating_sub(last)
    }

    fn timed(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let began = Instant::now();
        sync()?;
        self.took.observe(began.elapsed().as_secs_f64());
        let at = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.last.store(at, Ordering::Relaxed);
        Ok(())
    }
}

/// What stands beside the storage of a journal.
pub(crate) struct Timer(pub(super) Arc<Syncs>);

impl Timer {
    /// The files of a journal, timed.
    pub(crate) fn of(self, files: Files) -> Arc<dyn Storage> {
        Arc::new(Timed { files, syncs: self.0 })
    }
}

/// The files of a journal, timed.
struct Timed {
    files: Files,
    syncs: Arc<Syncs>,
}

impl Storage for Timed {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.files.write(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.syncs.timed(|| self.files.sync())
    }

    fn roll(&self, first: u64) -> io::Result<()> {
        self.syncs.timed(|| self.files.roll(first))
    }

    fn grow(&self, level: usize, hashes: &[u8]) -> io::Result<()> {
        self.files.grow(level, hashes)
    }

    fn sync_tree(&self) -> io::Result<()> {
        self.files.sync_tree()
    }

    fn log_head(&self, line: &[u8]) -> io::Result<()> {
        self.files.log_head(line)
    }

    fn replace_head(&self, note: &[u8]) -> io::Result<()> {
        self.files.replace_head(note)
    }

    fn record(&self, session: SessionId) -> io::Result<Box<dyn RecordingFile>> {
        self.files.record(session)
    }

    fn reread(&self, session: SessionId) -> io::Result<Box<dyn io::Read + Send>> {
        self.files.reread(session)
    }

    fn pack(&self, session: SessionId, form: Form) -> io::Result<Box<dyn RecordingFile>> {
        self.files.pack(session, form)
    }

    fn keep(&self, session: SessionId, form: Form) -> io::Result<()> {
        self.files.keep(session, form)
    }

    fn forget(&self, session: SessionId) -> io::Result<()> {
        self.files.forget(session)
    }

    fn discard(&self, session: SessionId) -> io::Result<()> {
        self.files.discard(session)
    }

    fn remake(&self, segment: u64) -> io::Result<Box<dyn RecordingFile>> {
        self.files.remake(segment)
    }

    fn swap(&self, segment: u64) -> io::Result<()> {
        self.files.swap(segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sync_that_ended_well_counts() {
        let took = Histogram::with_opts(prometheus::HistogramOpts::new("t", "t")).unwrap();
        let syncs = Syncs::new(took);
        std::thread::sleep(Duration::from_millis(30));
        let failed = syncs.timed(|| Err(io::Error::other("no space left on device")));
        assert!(failed.is_err() && syncs.age() >= Duration::from_millis(30));
        assert_eq!(syncs.took.get_sample_count(), 0);
        syncs.timed(|| Ok(())).unwrap();
        assert_eq!(syncs.took.get_sample_count(), 1);
        assert!(syncs.last.load(Ordering::Relaxed) >= 30_000, "{:?}", syncs.age());
    }
}
