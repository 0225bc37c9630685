//! What waits for the writer: entries and recorded events, bounded, in the order they came.
//! On the life of a request: where a request waits for its receipt.
//!
//! Bytes are copied into one growing arena that the writer swaps for an empty one, so an entry
//! costs no allocation here but its wake-up.

use crate::chain::MAX_ENTRY;
use crate::recording::RecordingState;
use crate::storage::RecordingFile;
use portcullis_core::digest::Digest;
use portcullis_core::id::SessionId;
use portcullis_core::journal::{Durability, JournalError};
use std::cell::RefCell;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long the writer waits for company before a lone note wakes it. Part of the 10 ms in which
/// a note becomes durable.
pub(crate) const LINGER: Duration = Duration::from_millis(1);
/// Arenas over this size are given back to the allocator after a burst.
const KEEP_ARENA: usize = 1024 * 1024;

/// Tells one waiting append how it ended.
pub(crate) type Reply = oneshot::Sender<Result<u64, JournalError>>;

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
    pub(crate) events: usize,
    pub(crate) event_bytes: usize,
}

/// One entry in the arena.
pub(crate) struct Waiting {
    pub(crate) bytes: Range<usize>,
    pub(crate) reply: Option<(Durability, Reply)>,
}

/// A finished recording: what its file hashes to, and the file, still to be synced.
pub(crate) type Sealed = Option<(Digest, Box<dyn RecordingFile>)>;

/// What is asked of a recording.
pub(crate) enum Recording {
    /// Append the bytes.
    Append(Range<usize>),
    /// End it and say what it hashes to.
    Finish(oneshot::Sender<Result<Sealed, String>>),
    /// Let go of the file.
    GiveUp,
}

pub(crate) struct RecordingJob {
    pub(crate) session: SessionId,
    pub(crate) state: Arc<RecordingState>,
    pub(crate) what: Recording,
}

/// Everything that waited when the writer last looked.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) arena: Vec<u8>,
    pub(crate) entries: Vec<Waiting>,
    pub(crate) events_arena: Vec<u8>,
    pub(crate) events: Vec<RecordingJob>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.events.is_empty()
    }

    fn reset(&mut self) {
        self.entries.clear();
        self.events.clear();
        for arena in [&mut self.arena, &mut self.events_arena] {
            arena.clear();
            arena.shrink_to(KEEP_ARENA);
        }
    }

    /// Answers everything in it with an error.
    pub(crate) fn fail(&mut self, why: &str) {
        for (_, reply) in self.entries.drain(..).filter_map(|w| w.reply) {
            let _ = reply.send(Err(JournalError::Broken(why.to_owned())));
        }
        for job in self.events.drain(..) {
            job.state.fail(why);
            if let Recording::Finish(reply) = job.what {
                let _ = reply.send(Err(why.to_owned()));
            }
        }
        self.reset();
    }
}

/// What the writer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// Working, or already called.
    Awake,
    /// Waiting for at most [`LINGER`]: a note need not call it.
    Lingering,
    /// Waiting until it is called.
    Parked,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Life {
    Open,
    Closing,
    Broken(Arc<str>),
}

struct State {
    batch: Batch,
    writer: Writer,
    life: Life,
}

/// The queue between sessions and the writer.
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    limits: Limits,
}

thread_local! {
    /// Where the calling task serialises: reused, so an entry allocates nothing.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Serialises `value` as JSON into this thread's scratch buffer and hands the bytes on.
pub(crate) fn with_json<T>(
    value: &impl serde::Serialize,
    then: impl FnOnce(&mut Vec<u8>) -> Result<T, JournalError>,
) -> Result<T, JournalError> {
    SCRATCH.with_borrow_mut(|buffer| {
        buffer.clear();
        serde_json::to_writer(&mut *buffer, value)
            .map_err(|e| JournalError::Broken(format!("an entry has no JSON form: {e}")))?;
        let result = then(buffer);
        if buffer.capacity() > KEEP_ARENA {
            *buffer = Vec::new();
        }
        result
    })
}

impl Queue {
    pub(crate) fn new(limits: Limits) -> Self {
        let state = State { batch: Batch::default(), writer: Writer::Awake, life: Life::Open };
        Self { state: Mutex::new(state), wake: Condvar::new(), limits }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues one entry. Without a reply it is a note, which need not hurry.
    pub(crate) fn push(
        &self,
        entry: &[u8],
        reply: Option<(Durability, Reply)>,
    ) -> Result<(), JournalError> {
        if entry.len() > MAX_ENTRY {
            return Err(JournalError::Full);
        }
        let mut state = self.lock();
        state.alive()?;
        let batch = &mut state.batch;
        if batch.entries.len() >= self.limits.entries
            || batch.arena.len() + entry.len() > self.limits.bytes
        {
            return Err(JournalError::Full);
        }
        let start = batch.arena.len();
        batch.arena.extend_from_slice(entry);
        let hurry = reply.is_some();
        batch.entries.push(Waiting { bytes: start..start + entry.len(), reply });
        self.call(state, hurry);
        Ok(())
    }

    /// Queues one recorded event.
    pub(crate) fn push_event(
        &self,
        session: SessionId,
        state: &Arc<RecordingState>,
        bytes: &[u8],
    ) -> Result<(), JournalError> {
        let mut queue = self.lock();
        queue.alive()?;
        let batch = &mut queue.batch;
        if batch.events.len() >= self.limits.events
            || batch.events_arena.len() + bytes.len() > self.limits.event_bytes
        {
            return Err(JournalError::Full);
        }
        let start = batch.events_arena.len();
        batch.events_arena.extend_from_slice(bytes);
        let what = Recording::Append(start..start + bytes.len());
        batch.events.push(RecordingJob { session, state: Arc::clone(state), what });
        self.call(queue, false);
        Ok(())
    }

    /// Queues the end of a recording. There is one per session, so no limit is needed.
    pub(crate) fn push_end(&self, job: RecordingJob) -> Result<(), JournalError> {
        let mut queue = self.lock();
        queue.alive()?;
        let hurry = matches!(job.what, Recording::Finish(_));
        queue.batch.events.push(job);
        self.call(queue, hurry);
        Ok(())
    }

    fn call(&self, mut state: MutexGuard<'_, State>, hurry: bool) {
        let needed = match state.writer {
            Writer::Awake => false,
            Writer::Lingering => hurry,
            Writer::Parked => true,
        };
        if needed {
            state.writer = Writer::Awake;
            drop(state);
            self.wake.notify_one();
        }
    }

    /// Swaps everything that waits for the empty `batch`; false once nothing will come any more.
    pub(crate) fn take(&self, batch: &mut Batch) -> bool {
        batch.reset();
        let mut lingered = false;
        let mut state = self.lock();
        loop {
            if matches!(state.life, Life::Broken(_)) {
                return false;
            }
            if !state.batch.is_empty() {
                state.writer = Writer::Awake;
                std::mem::swap(&mut state.batch, batch);
                return true;
            }
            if state.life == Life::Closing {
                return false;
            }
            if lingered {
                state.writer = Writer::Parked;
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else {
                state.writer = Writer::Lingering;
                let waited = self.wake.wait_timeout(state, LINGER);
                let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                state = guard;
                lingered = timeout.timed_out();
            }
        }
    }

    /// Takes nothing more; what waits is still written.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        if state.life == Life::Open {
            state.life = Life::Closing;
        }
        drop(state);
        self.wake.notify_all();
    }

    /// Broken for good: everything waiting, and everything later, fails.
    pub(crate) fn break_down(&self, why: &str) {
        let mut state = self.lock();
        if !matches!(state.life, Life::Broken(_)) {
            state.life = Life::Broken(why.into());
        }
        state.batch.fail(why);
        drop(state);
        self.wake.notify_all();
    }

    /// Why nothing is taken any more, if so.
    pub(crate) fn broken(&self) -> Option<Arc<str>> {
        match &self.lock().life {
            Life::Broken(why) => Some(Arc::clone(why)),
            Life::Open | Life::Closing => None,
        }
    }

    pub(crate) fn alive(&self) -> Result<(), JournalError> {
        self.lock().alive()
    }
}

impl State {
    fn alive(&self) -> Result<(), JournalError> {
        match &self.life {
            Life::Open => Ok(()),
            Life::Closing => Err(JournalError::Broken("the journal is closed".to_owned())),
            Life::Broken(why) => Err(JournalError::Broken(why.to_string())),
        }
    }
}
