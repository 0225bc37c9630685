//! The journal's contract: order, durability, limits, recovery.
#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside the tests themselves")]

mod common;

use common::*;
use portcullis_core::id::SessionId;
use portcullis_core::journal::{Durability, Entry, Event, Journal as _, JournalError, Status};
use portcullis_ledger::keep::Form;
use portcullis_ledger::storage::{Files, RecordingFile, Storage};
use portcullis_ledger::{Ledger, LedgerError, LedgerSettings, read};
use std::fs;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tempfile::tempdir;

/// Real files behind gates that a test can shut.
struct Gated {
    files: Files,
    writes: Gate,
    syncs: Gate,
}

#[derive(Default)]
struct Gate {
    shut: Mutex<bool>,
    moved: Condvar,
    passed: AtomicU64,
}

impl Gate {
    fn set(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.moved.notify_all();
    }

    fn pass(&self) {
        let shut = self.shut.lock().unwrap();
        drop(self.moved.wait_while(shut, |shut| *shut).unwrap());
        self.passed.fetch_add(1, Ordering::SeqCst);
    }
}

impl Storage for Gated {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.writes.pass();
        self.files.write(bytes)
    }
    fn sync(&self) -> io::Result<()> {
        self.syncs.pass();
        self.files.sync()
    }
    fn roll(&self, first: u64) -> io::Result<()> {
        self.files.roll(first)
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

fn gated(dir: &std::path::Path, settings: LedgerSettings) -> (Ledger, Arc<Gated>) {
    let mut kept = None;
    let ledger = Ledger::open_on(dir, settings, |files| {
        let gated = Arc::new(Gated { files, writes: Gate::default(), syncs: Gate::default() });
        kept = Some(Arc::clone(&gated));
        gated
    });
    (ledger.unwrap(), kept.unwrap())
}

fn appended(ledger: &Ledger, entry: Entry) -> impl Future<Output = u64> + use<> {
    let ledger = ledger.clone();
    async move { durable(&ledger, entry).await }
}

#[tokio::test]
async fn receipts_are_numbered_in_the_order_all_readers_see() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    for n in 0..5 {
        assert_eq!(durable(&ledger, intent(0, 1, n, "SELECT 1")).await, n);
    }
    drop(ledger);
    let read: Vec<_> = read::entries(dir.path()).unwrap().map(Result::unwrap).collect();
    assert!(read.iter().map(|(n, _)| *n).eq(0..5));
    assert_eq!(read[3].1, intent(0, 1, 3, "SELECT 1"), "an entry reads back as it was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_written_entry_does_not_wait_for_a_sync_and_a_durable_one_does() {
    let dir = tempdir().unwrap();
    let (ledger, gated) = gated(dir.path(), settings());
    gated.syncs.set(true);
    let written = ledger.append(intent(0, 1, 1, "SELECT 1"), Durability::Written).await;
    assert!(written.is_ok());
    let waiting = tokio::spawn(appended(&ledger, intent(0, 1, 2, "DELETE")));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished(), "a durable receipt before the sync has returned");
    gated.syncs.set(false);
    assert_eq!(waiting.await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_is_synced_without_anybody_asking() {
    let dir = tempdir().unwrap();
    let (ledger, gated) = gated(dir.path(), settings());
    tokio::time::sleep(Duration::from_millis(20)).await;
    let before = gated.syncs.passed.load(Ordering::SeqCst);
    ledger.note(outcome(0, 1, 1, 1)).unwrap();
    for _ in 0..200 {
        if gated.syncs.passed.load(Ordering::SeqCst) > before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the note was never synced");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_note_is_synced_as_soon_although_a_head_is_not_due() {
    let dir = tempdir().unwrap();
    let settings = LedgerSettings { head_every: Duration::from_secs(3600), ..settings() };
    let (ledger, gated) = gated(dir.path(), settings);
    for n in 0..3 {
        let before = gated.syncs.passed.load(Ordering::SeqCst);
        ledger.note(outcome(0, 1, n, 1)).unwrap();
        let synced = async {
            while gated.syncs.passed.load(Ordering::SeqCst) == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let synced = tokio::time::timeout(Duration::from_secs(20), synced).await;
        assert!(synced.is_ok(), "note {n} was never synced");
    }
}

#[tokio::test]
async fn who_is_ready_at_the_same_time_shares_a_write() {
    let dir = tempdir().unwrap();
    let (ledger, gated) = gated(dir.path(), settings());
    let before = gated.writes.passed.load(Ordering::SeqCst);
    let tasks: Vec<_> = (0..32).map(|n| tokio::spawn(read(&ledger, n))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let writes = gated.writes.passed.load(Ordering::SeqCst) - before;
    assert!(writes <= 4, "{writes} writes for what waited together");
}

fn read(ledger: &Ledger, n: u64) -> impl Future<Output = ()> + Send + use<> {
    let ledger = ledger.clone();
    async move {
        let _receipt = ledger.append(intent(0, 1, n, "x"), Durability::Written).await.unwrap();
    }
}

#[tokio::test]
async fn a_turn_that_is_dropped_with_its_task_is_taken_over() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    drop(ledger.append(intent(0, 1, 0, "x"), Durability::Written));
    let mut polled = Box::pin(ledger.append(intent(0, 1, 1, "x"), Durability::Written));
    let waker = std::task::Waker::noop();
    let _ = polled.as_mut().poll(&mut std::task::Context::from_waker(waker));
    drop(polled);
    let next = ledger.append(intent(0, 1, 2, "x"), Durability::Durable);
    let next = tokio::time::timeout(Duration::from_secs(20), next).await;
    next.expect("the journal stands still").unwrap();
    drop(ledger);
    assert_eq!(check(dir.path()).unwrap().entries, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_who_ask_at_once_are_answered() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                for n in 0..200 {
                    let class = if n % 7 == 0 { Durability::Durable } else { Durability::Written };
                    ledger.append(intent(0, task, n, "x"), class).await.unwrap();
                    ledger.note(outcome(0, task, n, 0)).unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        let ended = tokio::time::timeout(Duration::from_secs(60), task).await;
        ended.expect("an append was never answered").unwrap();
    }
    drop(ledger);
    assert_eq!(check(dir.path()).unwrap().entries, 16 * 200 * 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_waits_is_written_and_synced_together() {
    let dir = tempdir().unwrap();
    let (ledger, gated) = gated(dir.path(), settings());
    gated.writes.set(true);
    // The keeper takes a note and waits at the gate: the turn to write is taken.
    ledger.note(outcome(0, 1, 0, 0)).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    // An append is queued when it is made, not when it is first polled.
    let all: Vec<_> =
        (0..64).map(|n| ledger.append(intent(0, 1, n, "DELETE"), Durability::Durable)).collect();
    let (writes, syncs) = (&gated.writes.passed, &gated.syncs.passed);
    let (w, s) = (writes.load(Ordering::SeqCst), syncs.load(Ordering::SeqCst));
    gated.writes.set(false);
    for append in all {
        append.await.unwrap();
    }
    assert!(writes.load(Ordering::SeqCst) - w <= 2, "one write for what waited");
    assert!(syncs.load(Ordering::SeqCst) - s <= 3, "one sync for what waited");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_an_error_and_not_a_wait() {
    let dir = tempdir().unwrap();
    let settings = LedgerSettings { queue_entries: 4, queue_bytes: 4096, ..settings() };
    let (ledger, gated) = gated(dir.path(), settings);
    gated.writes.set(true);
    // The writer takes the first and waits at the gate; then four more may wait.
    ledger.note(outcome(0, 1, 0, 0)).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    for n in 0..4 {
        ledger.note(outcome(0, 1, n, 0)).unwrap();
    }
    assert_eq!(ledger.note(outcome(0, 1, 9, 0)), Err(JournalError::Full));
    let append = ledger.append(intent(0, 1, 9, "x"), Durability::Written).await;
    assert_eq!(append, Err(JournalError::Full));
    gated.writes.set(false);
    ledger.close().unwrap();
    assert_eq!(check(dir.path()).unwrap().entries, 5);
}

#[tokio::test]
async fn an_entry_over_the_limit_is_refused_and_harms_nothing() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let long = "x".repeat(16 * 1024 * 1024);
    let append = ledger.append(intent(0, 1, 1, &long), Durability::Durable).await;
    assert_eq!(append, Err(JournalError::TooLarge(16 * 1024 * 1024)));
    assert_eq!(durable(&ledger, intent(0, 1, 2, "SELECT 1")).await, 0);
}

#[tokio::test]
async fn a_closed_journal_takes_nothing_and_its_head_commits_to_everything() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    a_session(&ledger, 1, 3).await;
    ledger.close().unwrap();
    let append = ledger.append(intent(0, 1, 1, "x"), Durability::Durable).await;
    assert!(matches!(append, Err(JournalError::Broken(_))));
    let report = check(dir.path()).unwrap();
    assert_eq!((report.entries, report.head_size, report.sessions), (8, 8, 1));
    assert_eq!(report.unclosed_intents, []);
}

#[tokio::test]
async fn segments_are_rolled_and_read_as_one_journal() {
    let dir = tempdir().unwrap();
    let settings = LedgerSettings { segment_bytes: 2000, ..settings() };
    for round in 0..3 {
        let ledger = Ledger::open(dir.path(), settings.clone()).unwrap();
        a_session(&ledger, round, 10).await;
    }
    let segments = fs::read_dir(dir.path().join("journal")).unwrap().count() - 2;
    assert!(segments > 5, "{segments} segments");
    assert_eq!(check(dir.path()).unwrap().entries, 66);
    assert_eq!(read::entries(dir.path()).unwrap().count(), 66);
}

/// Editors, `sed -i` and log rotation put another file in the place of the one that is written to.
#[tokio::test]
async fn nothing_is_acknowledged_once_the_file_is_not_there_any_more() {
    type Harm = fn(&std::path::Path);
    let harms: [(&str, Harm); 4] = [
        ("removed", |file| fs::remove_file(file).unwrap()),
        ("moved", |file| fs::rename(file, file.with_extension("old")).unwrap()),
        ("replaced", |file| {
            fs::copy(file, file.with_extension("new")).unwrap();
            fs::rename(file.with_extension("new"), file).unwrap();
        }),
        ("removed with its directory", |file| {
            fs::remove_dir_all(file.parent().unwrap()).unwrap();
        }),
    ];
    for (how, harm) in harms {
        let dir = tempdir().unwrap();
        let ledger = open(dir.path());
        durable(&ledger, intent(0, 1, 1, "SELECT 1")).await;
        let segments = fs::read_dir(dir.path().join("journal")).unwrap().map(Result::unwrap);
        let segment = segments
            .map(|e| e.path())
            .find(|p| fs::read_to_string(p).is_ok_and(|text| text.contains("SELECT 1")));
        harm(&segment.unwrap());
        let next = ledger.append(intent(0, 1, 2, "DELETE"), Durability::Durable).await;
        assert!(matches!(next, Err(JournalError::Broken(_))), "{how}: {next:?}");
        let read = ledger.append(intent(0, 1, 3, "SELECT 2"), Durability::Written).await;
        assert!(matches!(read, Err(JournalError::Broken(_))), "{how}: {read:?}");
    }
}

#[test]
fn two_gateways_never_share_a_journal() {
    let dir = tempdir().unwrap();
    let first = open(dir.path());
    assert!(matches!(Ledger::open(dir.path(), settings()), Err(LedgerError::Locked { .. })));
    drop(first);
    open(dir.path());
}

#[tokio::test]
async fn only_the_owner_can_read_anything() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempdir().unwrap();
    drop(open(dir.path()));
    let mut files = 0;
    for part in ["journal", "keys"] {
        for file in fs::read_dir(dir.path().join(part)).unwrap() {
            let mode = file.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
            files += 1;
        }
    }
    assert_eq!(files, 5);
}

#[tokio::test]
async fn what_a_crash_left_open_is_closed_in_order_on_recovery() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    for s in [4, 2] {
        durable(&ledger, opened(0, s)).await;
    }
    for (s, r) in [(2, 9), (4, 9), (2, 7), (2, 8)] {
        durable(&ledger, intent(1, s, r, "DELETE")).await;
    }
    durable(&ledger, outcome(2, 2, 7, 1)).await;
    drop(ledger);
    let ledger = open(dir.path());
    let recovery = ledger.recovery().clone();
    assert_eq!((recovery.entries, recovery.abandoned, recovery.closed_sessions), (7, 3, 2));
    drop(ledger);
    let added: Vec<_> = read::entries(dir.path()).unwrap().skip(7).map(Result::unwrap).collect();
    let about: Vec<_> = added.iter().map(|(_, e)| (e.session.unwrap(), e.request)).collect();
    let expected = [(2, Some(9)), (4, Some(9)), (2, Some(8)), (4, None), (2, None)];
    assert_eq!(about, expected.map(|(s, r)| (session(s), r.map(request))));
    for (_, entry) in &added[..3] {
        assert!(matches!(&entry.event, Event::Outcome { status: Status::Abandoned, .. }));
    }
    assert!(matches!(&added[4].1.event,
        Event::SessionClosed { reason, .. } if reason == "gateway stopped"));
    assert_eq!(check(dir.path()).unwrap().unclosed_intents, []);
    assert_eq!(open(dir.path()).recovery().abandoned, 0, "closed once");
}

#[tokio::test]
async fn a_torn_last_line_is_cut_kept_and_named_by_a_signed_head() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    a_session(&ledger, 1, 1).await;
    drop(ledger);
    for (round, torn) in ["{\"seq\":4,\"pr", "{\"seq\":4,\"prev\":\"00"].iter().enumerate() {
        scribble(dir.path(), 0, torn.as_bytes());
        let ledger = open(dir.path());
        let kept = ledger.recovery().torn.clone();
        assert_eq!(kept.len(), 1);
        assert_eq!(fs::read_to_string(&kept[0]).unwrap(), **torn);
        drop(ledger);
        let report = check(dir.path()).unwrap();
        assert_eq!((report.entries, report.torn.len()), (4, round + 1));
    }
    fs::write(dir.path().join("journal/torn-00000000000000000004"), "other").unwrap();
    assert!(check(dir.path()).is_err(), "the cut bytes are evidence too");
}

#[tokio::test]
async fn a_torn_line_in_the_file_of_heads_is_cut_and_kept() {
    let dir = tempdir().unwrap();
    drop(open(dir.path()));
    let heads = dir.path().join("journal/heads");
    let mut bytes = fs::read(&heads).unwrap();
    bytes.extend_from_slice(b"\"test.exam");
    fs::write(&heads, bytes).unwrap();
    assert_eq!(open(dir.path()).recovery().torn.len(), 1);
    assert_eq!(check(dir.path()).unwrap().torn.len(), 1);
}

#[tokio::test]
async fn a_crash_between_logging_a_head_and_replacing_it_is_recovered() {
    let settings = LedgerSettings { head_every: Duration::from_secs(3600), ..settings() };
    let dir = tempdir().unwrap();
    let head = dir.path().join("journal/head");
    drop(Ledger::open(dir.path(), settings.clone()).unwrap());
    let old = fs::read(&head).unwrap();
    for round in 0..3 {
        let ledger = Ledger::open(dir.path(), settings.clone()).unwrap();
        a_session(&ledger, round, 1).await;
        drop(ledger);
        let new = fs::read(&head).unwrap();
        if round == 0 {
            fs::write(&head, &old).unwrap();
        }
        assert_ne!(old, new);
    }
    check(dir.path()).unwrap();
}

#[tokio::test]
async fn damage_is_not_repaired_but_refused_with_file_and_line() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    type Harm = fn(&mut Vec<String>);
    let harms: [(&str, Harm, u64); 6] = [
        ("edited", |l| l[3] = l[3].replace("SELECT", "SELEKT"), 4),
        ("deleted", |l| drop(l.remove(2)), 3),
        ("swapped", |l| l.swap(2, 3), 3),
        ("repeated", |l| l.insert(2, l[1].clone()), 3),
        ("garbage", |l| l[1] = "garbage".into(), 2),
        ("end cut off", |l| l.truncate(5), 0),
    ];
    for (what, harm, expected) in harms {
        let dir = tempdir().unwrap();
        let ledger = open(dir.path());
        a_session(&ledger, 1, 3).await;
        drop(ledger);
        let path = segment(dir.path(), 0);
        let mut journal = lines(&fs::read_to_string(&path).unwrap());
        harm(&mut journal);
        let harmed = journal.join("\n") + "\n";
        fs::write(&path, &harmed).unwrap();
        let Err(LedgerError::Damaged { file, line, detail }) = Ledger::open(dir.path(), settings())
        else {
            panic!("{what}: opened")
        };
        if expected > 0 {
            assert_eq!((file, line), (path.clone(), expected), "{what}: {detail}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), harmed, "{what}: nothing is touched");
    }
}

#[tokio::test]
async fn a_torn_line_before_the_signed_head_is_damage() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    a_session(&ledger, 1, 3).await;
    drop(ledger);
    let path = segment(dir.path(), 0);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 10]).unwrap();
    assert!(matches!(Ledger::open(dir.path(), settings()), Err(LedgerError::Damaged { .. })));
    assert_eq!(fs::read(&path).unwrap().len(), bytes.len() - 10, "nothing is cut");
}
