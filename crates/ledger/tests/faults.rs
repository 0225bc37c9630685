//! Every storage step fails twice: not persisted, and persisted but unheard. After each, nothing
//! more is taken; after reopening, whatever was acknowledged is there and the record verifies.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stand outside the tests themselves"
)]

mod common;

use common::*;
use portcullis_age::{Identity, Recipient};
use portcullis_core::id::SessionId;
use portcullis_core::journal::{Durability, Entry, Journal as _, JournalError};
use portcullis_core::masked::Masked;
use portcullis_ledger::keep::Form;
use portcullis_ledger::played::Wholeness;
use portcullis_ledger::storage::{Files, RecordingFile, Storage};
use portcullis_ledger::{Ledger, LedgerError, LedgerSettings, RecordError, RecordedEvent, read};
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::tempdir;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Write,
    Sync,
    Roll,
    Grow,
    SyncTree,
    LogHead,
    ReplaceHead,
    Record,
    RecordWrite,
    RecordSync,
    Reread,
    Pack,
    PackWrite,
    PackSync,
    Keep,
    Forget,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// Nothing of it is kept.
    Lost,
    /// Half of it is kept, as on a full disk.
    Half,
    /// All of it is kept, but an error is returned.
    Unheard,
}

/// What becomes of bytes that were written and not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The process ends: the kernel keeps them.
    Process,
    /// The power goes: they are gone.
    Power,
}

#[derive(Debug, Clone, Copy)]
struct Plan {
    step: Step,
    how: How,
    /// How many of these steps go well before.
    after: u32,
    end: End,
}

struct Faulty {
    files: Files,
    plan: Plan,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    steps: u32,
    fired: bool,
    unsynced: Vec<u8>,
    /// Of the tree, by level.
    grown: Vec<(usize, Vec<u8>)>,
}

fn no_space() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

impl State {
    /// Whether this step goes wrong, and how.
    fn fault(&mut self, plan: Plan, step: Step) -> Option<How> {
        if self.fired || step != plan.step {
            return None;
        }
        self.steps += 1;
        self.fired = self.steps > plan.after;
        self.fired.then_some(plan.how)
    }
}

impl Faulty {
    /// Runs a step with as much of its bytes as the plan lets through.
    fn step(
        &self,
        step: Step,
        bytes: &[u8],
        run: impl FnOnce(&mut State, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        match state.fault(self.plan, step) {
            None => run(&mut state, bytes),
            Some(How::Lost) => Err(no_space()),
            Some(How::Half) => run(&mut state, &bytes[..bytes.len() / 2]).and(Err(no_space())),
            Some(How::Unheard) => run(&mut state, bytes).and(Err(no_space())),
        }
    }

    fn settle(&self, state: &mut State) -> io::Result<()> {
        let bytes = std::mem::take(&mut state.unsynced);
        if bytes.is_empty() { Ok(()) } else { self.files.write(&bytes) }
    }
}

impl Storage for Faulty {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.step(Step::Write, bytes, |state, bytes| {
            if self.plan.end == End::Process {
                return self.files.write(bytes);
            }
            state.unsynced.extend_from_slice(bytes);
            Ok(())
        })
    }
    fn sync(&self) -> io::Result<()> {
        self.step(Step::Sync, &[], |state, _| self.settle(state))
    }
    fn roll(&self, first: u64) -> io::Result<()> {
        self.step(Step::Roll, &[], |state, _| {
            self.settle(state)?;
            self.files.roll(first)
        })
    }
    fn grow(&self, level: usize, hashes: &[u8]) -> io::Result<()> {
        self.step(Step::Grow, hashes, |state, hashes| {
            if self.plan.end == End::Process {
                return self.files.grow(level, hashes);
            }
            state.grown.push((level, hashes.to_vec()));
            Ok(())
        })
    }
    fn sync_tree(&self) -> io::Result<()> {
        self.step(Step::SyncTree, &[], |state, _| {
            let grown = std::mem::take(&mut state.grown);
            grown.iter().try_for_each(|(level, hashes)| self.files.grow(*level, hashes))?;
            self.files.sync_tree()
        })
    }
    fn log_head(&self, line: &[u8]) -> io::Result<()> {
        self.step(Step::LogHead, line, |_, line| self.files.log_head(line))
    }
    fn replace_head(&self, note: &[u8]) -> io::Result<()> {
        self.step(Step::ReplaceHead, note, |_, note| self.files.replace_head(note))
    }
    fn record(&self, session: SessionId) -> io::Result<Box<dyn RecordingFile>> {
        let mut file = None;
        self.step(Step::Record, &[], |_, _| {
            file = Some(self.files.record(session)?);
            Ok(())
        })?;
        let (plan, state) = (self.plan, Arc::clone(&self.state));
        let steps = (Step::RecordWrite, Step::RecordSync);
        Ok(Box::new(FaultyFile { file: file.unwrap(), plan, state, steps }))
    }
    fn reread(&self, session: SessionId) -> io::Result<Box<dyn io::Read + Send>> {
        self.step(Step::Reread, &[], |_, _| Ok(()))?;
        self.files.reread(session)
    }
    fn pack(&self, session: SessionId, form: Form) -> io::Result<Box<dyn RecordingFile>> {
        let mut file = None;
        self.step(Step::Pack, &[], |_, _| {
            file = Some(self.files.pack(session, form)?);
            Ok(())
        })?;
        let (plan, state) = (self.plan, Arc::clone(&self.state));
        let steps = (Step::PackWrite, Step::PackSync);
        Ok(Box::new(FaultyFile { file: file.unwrap(), plan, state, steps }))
    }
    fn keep(&self, session: SessionId, form: Form) -> io::Result<()> {
        self.step(Step::Keep, &[], |_, _| self.files.keep(session, form))
    }
    fn forget(&self, session: SessionId) -> io::Result<()> {
        self.step(Step::Forget, &[], |_, _| self.files.forget(session))
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

struct FaultyFile {
    file: Box<dyn RecordingFile>,
    plan: Plan,
    state: Arc<Mutex<State>>,
    /// Of writing and of syncing.
    steps: (Step, Step),
}

impl RecordingFile for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.state.lock().unwrap().fault(self.plan, self.steps.0) {
            None => self.file.write(bytes),
            Some(How::Lost) => Err(no_space()),
            Some(How::Half) => self.file.write(&bytes[..bytes.len() / 2]).and(Err(no_space())),
            Some(How::Unheard) => self.file.write(bytes).and(Err(no_space())),
        }
    }
    fn sync(&mut self) -> io::Result<()> {
        match self.state.lock().unwrap().fault(self.plan, self.steps.1) {
            None => self.file.sync(),
            Some(_) => Err(no_space()),
        }
    }
}

fn open_faulty(dir: &Path, plan: Plan) -> (Result<Ledger, LedgerError>, Arc<Mutex<State>>) {
    let state = Arc::new(Mutex::new(State::default()));
    let head_every = Duration::from_millis(1);
    let settings = LedgerSettings { segment_bytes: 1500, head_every, ..settings() };
    let shared = Arc::clone(&state);
    let ledger =
        Ledger::open_on(dir, settings, |files| Arc::new(Faulty { files, plan, state: shared }));
    (ledger, state)
}

/// Appends until it fails; gives what was acknowledged.
async fn load(ledger: &Ledger) -> (HashMap<u64, Entry>, Option<JournalError>) {
    let mut acknowledged = HashMap::new();
    for r in 0..40 {
        for entry in [opened(0, r), intent(1, r, r, "DELETE"), outcome(2, r, r, 1)] {
            let durability = if r % 2 == 0 { Durability::Durable } else { Durability::Written };
            match ledger.append(entry.clone(), durability).await {
                Ok(receipt) if durability == Durability::Durable => {
                    acknowledged.insert(receipt.sequence(), entry);
                }
                Ok(_) => {}
                Err(error) => return (acknowledged, Some(error)),
            }
        }
        // Heads are signed at most every millisecond: let some be due.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (acknowledged, None)
}

async fn run(plan: Plan) {
    let dir = tempdir().unwrap();
    let (ledger, state) = open_faulty(dir.path(), plan);
    let mut acknowledged = HashMap::new();
    if let Ok(ledger) = &ledger {
        let (heard, error) = load(ledger).await;
        acknowledged = heard;
        let closed = ledger.close();
        assert!(matches!(ledger.health(), Err(JournalError::Broken(_))), "{plan:?}: healthy");
        assert!(state.lock().unwrap().fired, "{plan:?}: nothing went wrong");
        assert!(closed.is_err(), "{plan:?}: closed as if all were well");
        assert!(error.is_none() || matches!(error, Some(JournalError::Broken(_))), "{plan:?}");
        let later = ledger.append(intent(1, 1, 1, "x"), Durability::Durable).await;
        assert!(matches!(later, Err(JournalError::Broken(_))), "{plan:?}: taken after a fault");
        assert!(ledger.note(outcome(1, 1, 1, 1)).is_err(), "{plan:?}: noted after a fault");
    }
    drop(ledger);

    let ledger = Ledger::open(dir.path(), settings()).unwrap_or_else(|e| panic!("{plan:?}: {e}"));
    let next = durable(&ledger, opened(9, 99)).await;
    drop(ledger);
    let report = check(dir.path()).unwrap_or_else(|e| panic!("{plan:?}: {e}"));
    assert_eq!(report.unclosed_intents, [], "{plan:?}");
    assert_eq!(report.entries, next + 1, "{plan:?}");
    let found: HashMap<_, _> = read::entries(dir.path()).unwrap().map(Result::unwrap).collect();
    for (sequence, entry) in acknowledged {
        assert_eq!(found.get(&sequence), Some(&entry), "{plan:?}: an acknowledged entry is gone");
    }
}

async fn matrix(step: Step, hows: &[How], afters: &[u32]) {
    for end in [End::Process, End::Power] {
        for &how in hows {
            for &after in afters {
                run(Plan { step, how, after, end }).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_loses_nothing_acknowledged() {
    matrix(Step::Write, &[How::Lost, How::Half, How::Unheard], &[0, 1, 2, 7, 20]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_loses_nothing_acknowledged() {
    matrix(Step::Sync, &[How::Lost, How::Unheard], &[0, 1, 2, 7, 20]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_roll_loses_nothing_acknowledged() {
    matrix(Step::Roll, &[How::Lost, How::Unheard], &[0, 1, 3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_head_loses_nothing_acknowledged() {
    matrix(Step::LogHead, &[How::Lost, How::Half, How::Unheard], &[0, 1, 2, 4]).await;
    matrix(Step::ReplaceHead, &[How::Lost, How::Unheard], &[0, 1, 2, 4]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_tree_loses_nothing_acknowledged() {
    matrix(Step::Grow, &[How::Lost, How::Half, How::Unheard], &[0, 1, 2, 4]).await;
    matrix(Step::SyncTree, &[How::Lost, How::Unheard], &[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_recording_ends_its_session_and_not_the_journal() {
    let steps = [(Step::Record, 0), (Step::RecordWrite, 0), (Step::RecordWrite, 1)];
    for (step, after) in steps {
        for how in [How::Lost, How::Half, How::Unheard] {
            let plan = Plan { step, how, after, end: End::Process };
            let dir = tempdir().unwrap();
            let (ledger, _) = open_faulty(dir.path(), plan);
            let ledger = ledger.unwrap();
            durable(&ledger, opened(0, 1)).await;
            let recorder = ledger.recorder(session(1));
            for n in 0..3 {
                let _ = recorder.record(&Masked::authored_assertion(message(n)));
                durable(&ledger, intent(1, 1, n, "SELECT 1")).await;
                durable(&ledger, outcome(2, 1, n, 0)).await;
                // Events gather for 20 ms before they are written.
                tokio::time::sleep(std::time::Duration::from_millis(60)).await;
            }
            let later = recorder.record(&Masked::authored_assertion(message(9)));
            assert!(matches!(later, Err(RecordError::Failed(_))), "{plan:?}");
            assert!(matches!(recorder.finish().await, Err(RecordError::Failed(_))), "{plan:?}");
            durable(&ledger, closed(3, 1, None)).await;
            drop(ledger);
            check(dir.path()).unwrap_or_else(|e| panic!("{plan:?}: {e}"));
        }
    }
}

/// Packing a recording, step by step: what goes wrong with it, or is cut off by a crash before or after the
/// journal knows, costs no answer, and leaves one file that counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_cannot_be_packed_is_kept_as_it_was_written() {
    let steps = [
        (Step::Reread, 0),
        (Step::Pack, 0),
        (Step::PackWrite, 0),
        (Step::PackSync, 0),
        (Step::Keep, 0),
        (Step::Forget, 0),
    ];
    let reader = Identity::generate().unwrap();
    for sealed in [false, true] {
        for (step, after) in steps {
            for how in [How::Lost, How::Half, How::Unheard] {
                for crash in [Crash::No, Crash::BeforeTheEntry, Crash::BeforeSettling] {
                    let plan = Plan { step, how, after, end: End::Process };
                    let to = sealed.then(|| reader.recipient());
                    packed(plan, crash, to.into_iter().collect(), &reader).await;
                }
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crash {
    No,
    BeforeTheEntry,
    BeforeSettling,
}

async fn packed(plan: Plan, crash: Crash, recipients: Vec<Recipient>, reader: &Identity) {
    let (dir, what) = (tempdir().unwrap(), format!("{plan:?} {crash:?} {}", recipients.len()));
    let state = Arc::new(Mutex::new(State::default()));
    let shared = Arc::clone(&state);
    let settings = LedgerSettings { recipients, ..settings() };
    let ledger = Ledger::open_on(dir.path(), settings.clone(), |files| {
        Arc::new(Faulty { files, plan, state: shared })
    });
    let ledger = ledger.unwrap();
    durable(&ledger, opened(0, 1)).await;
    let recorder = ledger.recorder(session(1));
    for n in 0..3 {
        recorder.record(&Masked::authored_assertion(message(n))).unwrap();
    }
    let kept = recorder.finish().await.unwrap().unwrap();
    assert_eq!(state.lock().unwrap().fired, plan.step != Step::Forget, "{what}");
    if crash != Crash::BeforeTheEntry {
        durable(&ledger, closed(3, 1, Some(kept.digest()))).await;
    }
    if crash == Crash::No {
        kept.settle().await;
    }
    drop(ledger);
    drop(Ledger::open(dir.path(), settings).unwrap_or_else(|e| panic!("{what}: {e}")));
    let report = check(dir.path()).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!((report.recordings, report.unproven_recordings.len()), (1, 0), "{what}");
    let files: Vec<_> = std::fs::read_dir(dir.path().join("recordings")).unwrap().collect();
    assert_eq!(files.len(), 1, "{what}: {files:?}");
    let keys = [reader.to_text().parse().unwrap()];
    let (items, ends) = read::timeline(dir.path(), session(1), &keys).unwrap();
    let answers = items.iter().filter(|i| matches!(i.moment, read::Moment::Recorded(_))).count();
    assert_eq!((answers, ends), (3, Wholeness::Whole), "{what}");
}

fn message(n: u64) -> RecordedEvent {
    let (severity, code) = ("notice".into(), "00000".into());
    RecordedEvent::Message {
        at: at(1),
        request: Some(request(n)),
        severity,
        code,
        text: "t".into(),
    }
}
