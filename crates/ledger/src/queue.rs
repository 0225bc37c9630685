//! What waits to be written: entries and recorded events, bounded, in the order they came.
//! On the life of a request: where a request waits for its receipt.
//!
//! Bytes are copied into one growing arena that whoever writes swaps for an empty one, so an entry
//! costs no allocation here but its wake-up.
//!
//! Who asks for a receipt and finds nobody writing gets the turn to write, for itself and for all
//! who come meanwhile: a lone request changes no thread. What nobody waits for is left to the
//! keeper's thread, which lets it gather for a while.

use crate::chain::MAX_ENTRY;
use crate::recording::RecordingState;
use crate::storage::RecordingFile;
use portcullis_core::digest::Digest;
use portcullis_core::id::SessionId;
use portcullis_core::journal::{Durability, JournalError};
use std::cell::RefCell;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long a note may wait for company. Part of the 10 ms in which it becomes durable.
pub(crate) const LINGER: Duration = Duration::from_millis(2);
/// How long recorded events gather. They are synced when their recording ends.
const GATHER: Duration = Duration::from_millis(20);
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

/// The entries that waited when somebody last took them.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) arena: Vec<u8>,
    pub(crate) entries: Vec<Waiting>,
}

impl Batch {
    fn reset(&mut self) {
        self.entries.clear();
        self.arena.clear();
        self.arena.shrink_to(KEEP_ARENA);
    }

    /// Answers everything in it with an error.
    pub(crate) fn fail(&mut self, why: &str) {
        for (_, reply) in self.entries.drain(..).filter_map(|w| w.reply) {
            let _ = reply.send(Err(JournalError::Broken(why.to_owned())));
        }
        self.reset();
    }
}

/// The recorded events that waited when the keeper last took them.
#[derive(Default)]
pub(crate) struct Events {
    pub(crate) arena: Vec<u8>,
    pub(crate) jobs: Vec<RecordingJob>,
}

impl Events {
    fn reset(&mut self) {
        self.jobs.clear();
        self.arena.clear();
        self.arena.shrink_to(KEEP_ARENA);
    }

    /// Answers everything in it with an error.
    pub(crate) fn fail(&mut self, why: &str) {
        for job in self.jobs.drain(..) {
            job.state.fail(why);
            if let Recording::Finish(reply) = job.what {
                let _ = reply.send(Err(why.to_owned()));
            }
        }
        self.reset();
    }
}

/// What the keeper is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeper {
    /// Working, or already called.
    Awake,
    /// Waiting for a moment: what need not hurry need not call it.
    Lingering,
    /// Waiting until it is called.
    Parked,
}

/// What the keeper is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Work {
    /// The turn to write entries is the keeper's.
    pub(crate) turn: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Life {
    Open,
    Closing,
    Broken(Arc<str>),
}

struct State {
    batch: Batch,
    events: Events,
    /// Somebody has the turn to write entries.
    writing: bool,
    /// Something waits that must not linger.
    hurry: bool,
    /// Since when events gather.
    gathering: Option<Instant>,
    keeper: Keeper,
    life: Life,
}

/// The queue between sessions and who writes.
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
        let state = State {
            batch: Batch::default(),
            events: Events::default(),
            writing: false,
            hurry: false,
            gathering: None,
            keeper: Keeper::Awake,
            life: Life::Open,
        };
        Self { state: Mutex::new(state), wake: Condvar::new(), limits }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues one entry. Without a reply it is a note, which need not hurry. True where the caller
    /// has the turn to write: it must then take batches until there are none, or hand over.
    #[must_use = "a turn that is not used stops the journal"]
    pub(crate) fn push(
        &self,
        entry: &[u8],
        reply: Option<(Durability, Reply)>,
    ) -> Result<bool, JournalError> {
        // What does not fit into an empty queue never will.
        let most = MAX_ENTRY.min(self.limits.bytes);
        if entry.len() > most {
            return Err(JournalError::TooLarge(most));
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
        let waits = reply.is_some();
        batch.entries.push(Waiting { bytes: start..start + entry.len(), reply });
        if waits && !state.writing {
            state.writing = true;
            return Ok(true);
        }
        if !waits {
            self.call(state, false);
        }
        Ok(false)
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
        let events = &mut queue.events;
        if events.jobs.len() >= self.limits.events
            || events.arena.len() + bytes.len() > self.limits.event_bytes
        {
            return Err(JournalError::Full);
        }
        let start = events.arena.len();
        events.arena.extend_from_slice(bytes);
        let what = Recording::Append(start..start + bytes.len());
        events.jobs.push(RecordingJob { session, state: Arc::clone(state), what });
        queue.gathering.get_or_insert_with(Instant::now);
        self.call(queue, false);
        Ok(())
    }

    /// Queues the end of a recording. There is one per session, so no limit is needed.
    pub(crate) fn push_end(&self, job: RecordingJob) -> Result<(), JournalError> {
        let mut queue = self.lock();
        queue.alive()?;
        let hurry = matches!(job.what, Recording::Finish(_));
        queue.events.jobs.push(job);
        queue.gathering.get_or_insert_with(Instant::now);
        self.call(queue, hurry);
        Ok(())
    }

    fn call(&self, mut state: MutexGuard<'_, State>, hurry: bool) {
        state.hurry |= hurry;
        let needed = match state.keeper {
            Keeper::Awake => false,
            Keeper::Lingering => hurry,
            Keeper::Parked => true,
        };
        if needed {
            state.keeper = Keeper::Awake;
            drop(state);
            self.wake.notify_one();
        }
    }

    /// For who has the turn: swaps the entries that wait for the empty `batch`. False ends the
    /// turn: nothing waits, or nothing is written any more.
    pub(crate) fn take(&self, batch: &mut Batch) -> bool {
        batch.reset();
        let mut state = self.lock();
        if state.batch.entries.is_empty() || matches!(state.life, Life::Broken(_)) {
            self.end_turn(state);
            return false;
        }
        std::mem::swap(&mut state.batch, batch);
        true
    }

    /// For who has the turn: leaves what waits to the keeper.
    pub(crate) fn hand_over(&self) {
        let mut state = self.lock();
        state.hurry = true;
        state.keeper = Keeper::Awake;
        self.end_turn(state);
        self.wake.notify_all();
    }

    fn end_turn(&self, mut state: MutexGuard<'_, State>) {
        state.writing = false;
        let closing = state.life != Life::Open;
        drop(state);
        if closing {
            self.wake.notify_all();
        }
    }

    /// For the keeper: waits for something to do, and swaps the events that are due for the empty
    /// `events`. `None` once nothing will come any more.
    pub(crate) fn wait(&self, events: &mut Events) -> Option<Work> {
        events.reset();
        let mut lingered = false;
        let mut state = self.lock();
        loop {
            match state.life {
                Life::Broken(_) => return None,
                Life::Closing if state.done() => return None,
                Life::Closing | Life::Open => {}
            }
            if let Some(work) = state.due(lingered, events) {
                return Some(work);
            }
            if lingered && state.idle() {
                state.keeper = Keeper::Parked;
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                lingered = false;
                continue;
            }
            state.keeper = Keeper::Lingering;
            let waited = self.wake.wait_timeout(state, LINGER);
            let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = guard;
            lingered = timeout.timed_out();
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
        state.events.fail(why);
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
    /// Nothing waits that the keeper would have to look at again.
    fn idle(&self) -> bool {
        self.events.jobs.is_empty() && (self.writing || self.batch.entries.is_empty())
    }

    fn done(&self) -> bool {
        !self.writing && self.batch.entries.is_empty() && self.events.jobs.is_empty()
    }

    /// What the keeper is to do now, if anything.
    fn due(&mut self, lingered: bool, events: &mut Events) -> Option<Work> {
        let hurry = std::mem::take(&mut self.hurry) || self.life != Life::Open;
        let turn = !self.writing && !self.batch.entries.is_empty() && (lingered || hurry);
        let gathered = self.gathering.is_some_and(|since| hurry || since.elapsed() >= GATHER);
        if !turn && !gathered {
            return None;
        }
        if gathered {
            self.gathering = None;
            std::mem::swap(&mut self.events, events);
        }
        self.writing |= turn;
        self.keeper = Keeper::Awake;
        Some(Work { turn })
    }

    fn alive(&self) -> Result<(), JournalError> {
        match &self.life {
            Life::Open => Ok(()),
            Life::Closing => Err(JournalError::Broken("the journal is closed".to_owned())),
            Life::Broken(why) => Err(JournalError::Broken(why.to_string())),
        }
    }
}
