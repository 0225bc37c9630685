//! The syncing thread: puts what was written on stable storage, wakes who waited for that,
//! and signs heads over it. On the life of a request: the receipt of everything that may change
//! something is given here.
//!
//! It is a thread of its own so that a read's record, which only has to be written, never waits
//! behind a sync: while one sync runs the next batches are written and gather for the next sync.

use crate::chain::{Chain, Hash};
use crate::head::{self, Head, Signer, Torn};
use crate::layout::now;
use crate::merkle::Tree;
use crate::queue::{Queue, Reply};
use crate::storage::Storage;
use portcullis_core::journal::JournalError;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the threads of one ledger share with its callers.
pub(crate) struct Shared {
    pub(crate) queue: Queue,
    behind: Mutex<Behind>,
    wake: Condvar,
    /// How long anything written stays unsynced, before the sync itself.
    sync_after: Duration,
    /// Held while a segment is synced; true once that has failed. The kernel reports a failed
    /// write-back once, so a second sync of the same file could claim a success that never was.
    sync_failed: Mutex<bool>,
    /// How many entries are on stable storage.
    safe: AtomicU64,
}

/// What is written and not synced.
struct Behind {
    written: Chain,
    /// The hashes of what is written and not in the tree.
    leaves: Vec<Hash>,
    waiters: Vec<(Reply, u64)>,
    dirty_since: Option<Instant>,
    syncer: Sleep,
    closing: bool,
    broken: Option<Arc<str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sleep {
    Awake,
    /// Until then.
    Timed(Instant),
    Parked,
}

impl Shared {
    pub(crate) fn new(queue: Queue, written: Chain, sync_after: Duration) -> Self {
        // What a ledger is opened with has been read from its files, and is synced before anything else.
        let safe = AtomicU64::new(written.size);
        let behind = Behind {
            written,
            leaves: Vec::new(),
            waiters: Vec::new(),
            dirty_since: None,
            syncer: Sleep::Awake,
            closing: false,
            broken: None,
        };
        let (behind, sync_failed) = (Mutex::new(behind), Mutex::new(false));
        Self { queue, behind, wake: Condvar::new(), sync_after, sync_failed, safe }
    }

    fn behind(&self) -> MutexGuard<'_, Behind> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many entries are written.
    pub(crate) fn written(&self) -> u64 {
        self.behind().written.size
    }

    /// How many entries are on stable storage.
    pub(crate) fn safe(&self) -> u64 {
        self.safe.load(Ordering::Acquire)
    }

    /// The writer has written up to `written`, `leaves` since it last said so; `waiters` want it synced.
    pub(crate) fn advance(
        &self,
        written: Chain,
        leaves: &mut Vec<Hash>,
        waiters: &mut Vec<(Reply, u64)>,
    ) {
        let mut behind = self.behind();
        if let Some(why) = &behind.broken {
            fail(waiters, why);
            return;
        }
        behind.written = written;
        behind.leaves.append(leaves);
        behind.waiters.append(waiters);
        behind.dirty_since.get_or_insert_with(Instant::now);
        let called = match behind.syncer {
            Sleep::Awake => false,
            Sleep::Timed(until) => {
                let due = behind.dirty_since.is_some_and(|since| since + self.sync_after < until);
                due || !behind.waiters.is_empty()
            }
            Sleep::Parked => true,
        };
        if called {
            behind.syncer = Sleep::Awake;
            drop(behind);
            self.wake.notify_one();
        }
    }

    /// Runs a sync of a segment, unless one has failed before.
    pub(crate) fn synced(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut failed = self.sync_failed.lock().unwrap_or_else(PoisonError::into_inner);
        if *failed {
            return Err(io::Error::other("an earlier sync failed"));
        }
        // Set first: a panic inside counts as a failure.
        *failed = true;
        sync()?;
        *failed = false;
        Ok(())
    }

    /// Broken for good: every waiting and every later append fails.
    pub(crate) fn break_down(&self, why: &str) {
        tracing::error!(why, "the journal is broken; nothing is forwarded until it is reopened");
        self.queue.break_down(why);
        let mut behind = self.behind();
        behind.broken.get_or_insert_with(|| why.into());
        fail(&mut behind.waiters, why);
        drop(behind);
        self.wake.notify_all();
    }

    /// The writer has ended: sync the rest, sign it, end.
    pub(crate) fn finish(&self) {
        self.behind().closing = true;
        self.wake.notify_all();
    }
}

/// Breaks the ledger where its thread panics, so that nobody waits for a reply for ever.
pub(crate) struct Watch(pub(crate) Arc<Shared>);

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.break_down("a thread of the journal panicked");
        }
    }
}

fn fail(waiters: &mut Vec<(Reply, u64)>, why: &str) {
    for (reply, _) in waiters.drain(..) {
        let _ = reply.send(Err(JournalError::Broken(why.to_owned())));
    }
}

/// The state of the syncing thread.
pub(crate) struct Syncer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) signer: Signer,
    /// The tree over what is synced.
    pub(crate) tree: Tree,
    /// By level, hashes that are not in the tree's files yet.
    pub(crate) grown: Vec<Vec<u8>>,
    /// What the newest head commits to; `None` before the first.
    pub(crate) head: Option<Chain>,
    pub(crate) head_at: Instant,
    pub(crate) head_every: Duration,
}

/// What the syncing thread does next.
struct Round {
    waiters: Vec<(Reply, u64)>,
    written: Chain,
    leaves: Vec<Hash>,
    dirty: bool,
    last: bool,
}

impl Syncer {
    /// Runs until the ledger is closed or broken.
    pub(crate) fn run(mut self) {
        let _watch = Watch(Arc::clone(&self.shared));
        while let Some(mut round) = self.next_round() {
            let last = round.last;
            if let Err(why) = self.do_round(&mut round) {
                // First, so that nobody who hears of it can still write.
                self.shared.break_down(&why);
                fail(&mut round.waiters, &why);
                return;
            }
            if last {
                return;
            }
        }
    }

    fn next_round(&self) -> Option<Round> {
        let mut behind = self.shared.behind();
        loop {
            if behind.broken.is_some() {
                return None;
            }
            let due = self.due(&behind);
            let now = Instant::now();
            if behind.closing || !behind.waiters.is_empty() || due.is_some_and(|d| d <= now) {
                behind.syncer = Sleep::Awake;
                return Some(Round {
                    waiters: std::mem::take(&mut behind.waiters),
                    written: behind.written,
                    leaves: std::mem::take(&mut behind.leaves),
                    dirty: behind.dirty_since.take().is_some(),
                    last: behind.closing,
                });
            }
            behind = if let Some(due) = due {
                behind.syncer = Sleep::Timed(due);
                let waited = self.shared.wake.wait_timeout(behind, due - now);
                waited.unwrap_or_else(PoisonError::into_inner).0
            } else {
                behind.syncer = Sleep::Parked;
                self.shared.wake.wait(behind).unwrap_or_else(PoisonError::into_inner)
            };
        }
    }

    fn due(&self, behind: &Behind) -> Option<Instant> {
        let sync = behind.dirty_since.map(|since| since + self.shared.sync_after);
        let head = (self.head != Some(behind.written)).then(|| self.head_at + self.head_every);
        sync.into_iter().chain(head).min()
    }

    fn do_round(&mut self, round: &mut Round) -> Result<(), String> {
        if round.dirty || !round.waiters.is_empty() {
            let storage = &self.storage;
            let synced = self.shared.synced(|| storage.sync());
            synced.map_err(|e| format!("syncing the journal failed: {e}"))?;
            self.shared.safe.fetch_max(round.written.size, Ordering::AcqRel);
        }
        for (reply, sequence) in round.waiters.drain(..) {
            let _ = reply.send(Ok(sequence));
        }
        self.grow(round.leaves.drain(..));
        let due = self.head_at.elapsed() >= self.head_every || round.last;
        if due && self.head != Some(round.written) {
            self.publish(round.written, Vec::new())?;
        }
        if round.last {
            self.storage.sync_tree().map_err(|e| format!("syncing the tree failed: {e}"))?;
        }
        Ok(())
    }

    fn grow(&mut self, leaves: impl Iterator<Item = Hash>) {
        for leaf in leaves {
            self.tree.push(leaf, |(level, hash)| {
                if self.grown.len() <= level {
                    self.grown.resize(level + 1, Vec::new());
                }
                if let Some(grown) = self.grown.get_mut(level) {
                    grown.extend_from_slice(&hash);
                }
            });
        }
    }

    /// Signs a first head over what was written before the threads run.
    pub(crate) fn publish_first(&mut self, chain: Chain, torn: Vec<Torn>) -> Result<(), String> {
        let leaves = std::mem::take(&mut self.shared.behind().leaves);
        self.grow(leaves.into_iter());
        self.publish(chain, torn)
    }

    /// Signs a head over what has been synced, and keeps it: after the tree it speaks of, first in
    /// the append-only file, then as the newest. A crash in between leaves the newest one record
    /// behind; what it takes from the tree's files is put back from the journal.
    fn publish(&mut self, chain: Chain, torn: Vec<Torn>) -> Result<(), String> {
        if self.tree.size() != chain.size {
            return Err("the tree does not hold what the journal does".to_owned());
        }
        for (level, hashes) in self.grown.iter_mut().enumerate().filter(|(_, h)| !h.is_empty()) {
            let grown = self.storage.grow(level, hashes);
            grown.map_err(|e| format!("writing the tree failed: {e}"))?;
            hashes.clear();
        }
        let root = Some(self.tree.root());
        let note = self.signer.sign(&Head { chain, root, at: now(), torn })?;
        let logged = self.storage.log_head(&head::record(&note));
        logged.map_err(|e| format!("logging a signed head failed: {e}"))?;
        let replaced = self.storage.replace_head(note.as_bytes());
        replaced.map_err(|e| format!("replacing the signed head failed: {e}"))?;
        self.head = Some(chain);
        self.head_at = Instant::now();
        Ok(())
    }
}
