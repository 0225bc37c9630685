//! What is removed by the rules of retention, what is kept against them, and that the record stays whole: for the
//! verifier, for a gateway that is started again, and whatever fails on the way.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests stand outside the tests themselves"
)]

mod common;

use common::*;
use portcullis_core::id::SessionId;
use portcullis_core::journal::{Durability, Entry, Event};
use portcullis_core::masked::Masked;
use portcullis_core::time::Timestamp;
use portcullis_ledger::keep::Form;
use portcullis_ledger::retention::{Due, Hold, Rule, Rules, due};
use portcullis_ledger::storage::{Files, RecordingFile, Storage};
use portcullis_ledger::tail::{Position, Tail};
use portcullis_ledger::verify::{Problem, Report};
use portcullis_ledger::{Ledger, LedgerError, LedgerSettings, RecordedEvent, proof, read, tiles};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::{TempDir, tempdir};

const DAY: i64 = 86_400_000_000;

const fn days(n: u64) -> Option<Duration> {
    Some(Duration::from_secs(n * 86_400))
}

fn rules(
    recordings: Option<Duration>,
    reads: Option<Duration>,
    requests: Option<Duration>,
    sessions: Option<Duration>,
) -> Rules {
    let (name, connections) = ("rest".to_owned(), BTreeSet::new());
    Rules {
        rules: vec![Rule { name, connections, recordings, reads, requests, sessions }],
        events: None,
    }
}

fn settings_in_small() -> LedgerSettings {
    // A segment for a few entries, and heads at once.
    let head_every = Duration::from_millis(1);
    LedgerSettings { segment_bytes: 6_000, head_every, ..settings() }
}

fn changing(micros: i64, s: u64, r: u64) -> Entry {
    let mut entry = intent(micros, s, r, "DELETE FROM orders");
    if let Event::Intent { durability, .. } = &mut entry.event {
        *durability = Durability::Durable;
    }
    entry
}

fn a_decision(micros: i64) -> Entry {
    let event = Event::Governed { documents: 1, policy: "p1".into() };
    Entry::outside(at(micros), event)
}

fn answer(r: u64) -> RecordedEvent {
    let (severity, code, text) = ("notice".into(), "00000".into(), "an answer".into());
    RecordedEvent::Message { at: at(1), request: Some(request(r)), severity, code, text }
}

/// One session a day, each of a read, a change, a recording and a decision outside: 7 entries.
async fn record(ledger: &Ledger, sessions: std::ops::Range<u64>) {
    for s in sessions {
        let day = DAY * i64::try_from(s).unwrap();
        durable(ledger, opened(day, s)).await;
        let recorder = ledger.recorder(session(s));
        for (n, entry) in
            [intent(day + 1, s, 1, "SELECT 1"), changing(day + 2, s, 2)].into_iter().enumerate()
        {
            durable(ledger, entry).await;
            recorder.record(&Masked::authored_assertion(answer(n as u64 + 1))).unwrap();
            durable(ledger, outcome(day + 3, s, n as u64 + 1, 7)).await;
        }
        let kept = recorder.finish().await.unwrap().unwrap();
        durable(ledger, closed(day + 4, s, Some(kept.digest()))).await;
        kept.settle().await;
        durable(ledger, a_decision(day + 5)).await;
    }
}

const SESSIONS: u64 = 20;
const ENTRIES: u64 = SESSIONS * 7;

/// A ledger of so many sessions under signed heads, all in segments that are not written to any more.
async fn ledger() -> (TempDir, Ledger) {
    let dir = tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), settings_in_small()).unwrap();
    record(&ledger, 0..SESSIONS).await;
    drop(ledger);
    let ledger = Ledger::open(dir.path(), settings_in_small()).unwrap();
    ledger.roll().unwrap();
    (dir, ledger)
}

fn day(n: u64) -> Timestamp {
    at(DAY * i64::try_from(n).unwrap() + 10)
}

/// Finds and removes what is due on that day.
async fn remove(dir: &Path, ledger: &Ledger, rules: &Rules, holds: &[Hold], on: u64) -> Due {
    let due = due(dir, rules, holds, u64::MAX, day(on)).unwrap();
    for recording in due.recordings.clone() {
        ledger.remove_recording(recording).await.unwrap();
    }
    for entries in due.entries.clone() {
        ledger.remove_contents(entries).await.unwrap();
    }
    due
}

fn entries_of(due: &Due) -> u64 {
    due.entries.iter().flat_map(|one| one.why.values()).sum()
}

fn recordings(dir: &Path) -> usize {
    fs::read_dir(dir.join("recordings")).unwrap().count()
}

/// Which entries can still be read, and that nobody misses the others.
fn numbers(dir: &Path) -> Vec<u64> {
    let read: Vec<_> = read::entries(dir).unwrap().map(|e| e.unwrap().0).collect();
    let (mut tail, mut followed) = (Tail::open(dir, Position::default()).unwrap(), Vec::new());
    while let Some(found) = tail.next().unwrap() {
        followed.push(found.sequence);
    }
    assert!(tail.passed_over().is_empty() && tail.pending().is_empty(), "something is missed");
    assert_eq!(read, followed);
    assert_eq!(tail.removed() + read.len() as u64, tail.position().sequence);
    read
}

fn good(dir: &Path) -> Report {
    check(dir).unwrap_or_else(|finding| panic!("{finding}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_goes_when_its_time_is_over_and_the_record_stays_whole() {
    let (dir, ledger) = ledger().await;
    let dir = dir.path();
    let before = good_while_open(dir);
    let (head, root) = (fs::read_to_string(dir.join("journal/head")).unwrap(), before.root);
    // On day 19: sessions 0 to 9 are 10 days old and more.
    let rules = rules(days(5), days(10), days(15), None);
    let due = remove(dir, &ledger, &rules, &[], 19).await;
    // 15 recordings; 10 reads of two entries; of those 5 the changes too.
    assert_eq!(
        (due.recordings.len(), entries_of(&due), due.open + due.waiting),
        (15, 10 * 2 + 5 * 2, 0)
    );
    assert_eq!(recordings(dir), 5);
    let left = numbers(dir);
    let gone: Vec<u64> = (0..ENTRIES).filter(|n| !left.contains(n)).collect();
    let wanted = (0..10u64).flat_map(|s| {
        let all = if s < 5 { 1..5 } else { 1..3 };
        all.map(move |n| s * 7 + n)
    });
    assert_eq!(gone, wanted.collect::<Vec<_>>());
    // A head from before still is the head of this journal.
    let options = portcullis_ledger::verify::VerifyOptions {
        expected_head: Some(head),
        live: true,
        ..Default::default()
    };
    portcullis_ledger::verify::verify(dir, &options).unwrap();
    // What is left can be proven, what is gone is said to be.
    for n in [0, 1, 5, 34, 36] {
        match proof::inclusion(dir, n) {
            Ok(_) => assert!(left.contains(&n), "{n}"),
            Err(error) => assert!(
                !left.contains(&n) && error.to_string().contains("retention"),
                "{n}: {error}"
            ),
        }
    }
    drop(ledger);
    let report = good(dir);
    assert_eq!((report.removed_entries, report.removed_recordings, report.recordings), (30, 15, 5));
    assert_eq!(report.unclosed_intents, []);

    // The gateway goes on, and nothing is due twice.
    let ledger = Ledger::open(dir, settings_in_small()).unwrap();
    assert_eq!((ledger.recovery().abandoned, ledger.recovery().closed_sessions), (0, 0));
    let due = remove(dir, &ledger, &rules, &[], 19).await;
    assert_eq!((due.recordings.len(), entries_of(&due)), (0, 0));
    // Later more is: what is gone stays in its place.
    let due = remove(dir, &ledger, &rules, &[], 21).await;
    assert_eq!((due.recordings.len(), entries_of(&due)), (2, 2 * 2 + 2 * 2));
    let copied = tiles::copy(dir, &dir.join("copy")).unwrap();
    assert!(copied.entries >= ENTRIES);
    record(&ledger, 30..31).await;
    drop(ledger);
    let report = good(dir);
    assert_eq!((report.removed_entries, report.removed_recordings), (38, 17));
    assert_ne!(report.root, root);
    assert!(
        fs::read_dir(dir.join("journal")).unwrap().all(|f| !f
            .unwrap()
            .file_name()
            .to_string_lossy()
            .ends_with(".new"))
    );
}

fn good_while_open(dir: &Path) -> Report {
    let options = portcullis_ledger::verify::VerifyOptions { live: true, ..Default::default() };
    portcullis_ledger::verify::verify(dir, &options).unwrap_or_else(|finding| panic!("{finding}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_sessions_and_events_go_and_what_says_so_stays() {
    let (dir, ledger) = ledger().await;
    let dir = dir.path();
    let mut rules = rules(None, None, None, days(3));
    rules.events = days(4);
    remove(dir, &ledger, &rules, &[], 30).await;
    // Everything but what says that it was removed; again, much later.
    ledger.roll().unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let due = remove(dir, &ledger, &rules, &[], 40_000).await;
    assert_eq!((due.recordings.len(), entries_of(&due)), (0, 0));
    drop(ledger);
    let report = good(dir);
    assert_eq!((report.removed_entries, report.removed_recordings), (ENTRIES, SESSIONS));
    assert_eq!((report.sessions, recordings(dir)), (0, 0));
    assert!(numbers(dir).iter().all(|n| *n >= ENTRIES));
    let mut words = read::entries(dir).unwrap().map(|e| e.unwrap().1.event);
    assert!(words.all(|event| matches!(
        event,
        Event::ContentsRemoved { .. } | Event::RecordingRemoved { .. }
    )));
    drop(Ledger::open(dir, settings_in_small()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_across_segments_goes_though_its_beginning_went_before() {
    let dir = tempdir().unwrap();
    let dir = dir.path();
    let ledger = Ledger::open(dir, settings_in_small()).unwrap();
    durable(&ledger, opened(0, 1)).await;
    ledger.roll().unwrap();
    durable(&ledger, intent(1, 1, 1, "SELECT 1")).await;
    durable(&ledger, outcome(2, 1, 1, 1)).await;
    let rules = rules(None, None, None, days(3));
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(entries_of(&remove(dir, &ledger, &rules, &[], 9).await), 0, "it is not over");
    durable(&ledger, closed(3, 1, None)).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    let due = remove(dir, &ledger, &rules, &[], 9).await;
    assert_eq!(
        (entries_of(&due), due.open),
        (1, 3),
        "its end is in the segment that is written to"
    );
    ledger.roll().unwrap();
    tokio::time::sleep(Duration::from_millis(30)).await;
    let due = remove(dir, &ledger, &rules, &[], 9).await;
    assert_eq!((entries_of(&due), due.open), (3, 0));
    drop(ledger);
    assert_eq!(good(dir).removed_entries, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_stays_and_is_counted() {
    let (dir, ledger) = ledger().await;
    let dir = dir.path();
    let mut all = rules(None, None, None, days(1));
    all.events = days(1);
    let hold = |name: &str| Hold { name: name.to_owned(), ..Hold::default() };
    let some: BTreeSet<_> = [session(3), session(4)].into();
    let is = |due: &Due, sessions: u64, events: u64, held: u64, what: &str| {
        assert_eq!(entries_of(due), sessions * 6 + events, "{what}");
        assert_eq!(due.recordings.len() as u64, sessions, "{what}");
        assert_eq!(due.held.values().sum::<u64>(), held, "{what}");
    };
    let look = |hold: Hold| due(dir, &all, &[hold], u64::MAX, day(40)).unwrap();
    is(&look(Hold { sessions: some, ..hold("two") }), 18, 20, 2, "two sessions");
    is(&look(hold("everything")), 0, 0, 40, "everything");
    is(
        &look(Hold { connections: ["shop".into()].into(), ..hold("shop") }),
        0,
        0,
        40,
        "its connection",
    );
    is(
        &look(Hold { connections: ["crm".into()].into(), ..hold("crm") }),
        20,
        0,
        20,
        "another connection",
    );
    is(
        &look(Hold { principals: ["ada".into()].into(), ..hold("ada") }),
        0,
        0,
        40,
        "for whom the agent acts",
    );
    is(
        &look(Hold { principals: ["Night agent".into()].into(), ..hold("agent") }),
        0,
        0,
        40,
        "by its name",
    );
    is(
        &look(Hold { principals: ["eve".into()].into(), ..hold("eve") }),
        20,
        0,
        20,
        "somebody else",
    );
    let march = Hold { since: Some(day(5)), until: Some(at(DAY * 7 + 2)), ..hold("some days") };
    // Sessions 6 and 7, which began before it ended; events of day 6.
    is(&look(march), 18, 19, 3, "some days");

    let one = Hold { sessions: [session(7)].into(), ..hold("case 7") };
    remove(dir, &ledger, &all, &[one], 40).await;
    drop(ledger);
    let (items, _) = read::timeline(dir, session(7), &[]).unwrap();
    assert_eq!(items.len(), 6 + 2, "all of it, with what was recorded");
    assert_eq!(good(dir).recordings, 1);
    assert!(matches!(read::timeline(dir, session(6), &[]), Err(read::ReadError::NoSession(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_that_somebody_still_has_to_read_or_that_no_head_covers() {
    let (dir, ledger) = ledger().await;
    let dir = dir.path();
    let all = rules(None, None, None, days(1));
    let found = due(dir, &all, &[], 50, day(40)).unwrap();
    assert!(found.entries.iter().all(|one| one.segment < 50) && found.waiting > 0);
    assert!(entries_of(&found) + found.waiting == SESSIONS * 6);
    drop(ledger);
    // Signed by another: no head counts.
    fs::write(dir.join("journal/head"), "not a head").unwrap();
    let found = due(dir, &all, &[], u64::MAX, day(40)).unwrap();
    assert_eq!((entries_of(&found), found.waiting), (0, SESSIONS * 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_behind_the_gateways_back_is_found() {
    let rules = rules(days(5), days(10), days(15), None);
    let harms: [(&str, fn(&Path, &Path)); 5] = [
        // The segment without contents, in a journal that says nothing of it.
        ("unannounced", |thin, whole| {
            fs::copy(thin.join(FIRST), whole.join(FIRST)).unwrap();
        }),
        ("another hash", |thin, _| {
            edit(thin, |line| {
                line.replacen("\"hashes\":\"", "\"hashes\":\"AAAA", 1).replacen("==\"}", "\"}", 1)
            })
        }),
        ("fewer", |thin, _| edit(thin, |_| String::new())),
        ("twice", |thin, _| edit(thin, |line| format!("{line}\n{line}"))),
        ("a recording", |thin, _| {
            let left = fs::read_dir(thin.join("recordings")).unwrap().next().unwrap().unwrap();
            fs::remove_file(left.path()).unwrap();
        }),
    ];
    for (what, harm) in harms {
        let (thin, ledger) = ledger().await;
        let whole = tempdir().unwrap();
        copy(thin.path(), whole.path());
        remove(thin.path(), &ledger, &rules, &[], 19).await;
        drop(ledger);
        harm(thin.path(), whole.path());
        let (harmed, wanted) = match what {
            "unannounced" => (whole.path(), (Problem::Missing, Some(1))),
            "another hash" => (thin.path(), (Problem::Edited, Some(1))),
            "fewer" => (thin.path(), (Problem::Missing, Some(1))),
            "twice" => (thin.path(), (Problem::Duplicated, Some(1))),
            _ => (thin.path(), (Problem::Missing, None)),
        };
        let opened = Ledger::open(harmed, settings_in_small());
        let damaged = matches!(opened, Err(LedgerError::Damaged { .. }));
        assert!(damaged || what == "a recording", "{what}: {opened:?}");
        drop(opened);
        let finding = check(harmed).expect_err(what);
        assert_eq!(finding.problem, wanted.0, "{what}: {finding}");
        assert!(wanted.1.is_none() || finding.sequence == wanted.1, "{what}: {finding}");
    }
}

const FIRST: &str = "journal/00000000000000000000.jsonl";

/// Edits the first line that stands for others.
fn edit(dir: &Path, harm: impl Fn(&str) -> String) {
    let text = fs::read_to_string(dir.join(FIRST)).unwrap();
    let line = text.lines().find(|line| line.contains("\"removed\":")).unwrap();
    let harmed = harm(line);
    let text = text.replacen(
        &format!("{line}\n"),
        &if harmed.is_empty() { harmed } else { format!("{harmed}\n") },
        1,
    );
    fs::write(dir.join(FIRST), text).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Discard,
    Remake,
    Write,
    Sync,
    Swap,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Lost,
    Half,
    Unheard,
}

/// Fails at the second of a kind of steps.
struct Faulty {
    files: Files,
    step: Step,
    how: How,
    met: Arc<Mutex<u32>>,
}

impl Faulty {
    fn fault(step: (Step, Step), how: How, met: &Mutex<u32>) -> Option<How> {
        if step.0 != step.1 {
            return None;
        }
        let mut met = met.lock().unwrap();
        *met += 1;
        (*met == 2).then_some(how)
    }

    fn run<T>(&self, step: Step, run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match Self::fault((step, self.step), self.how, &self.met) {
            None => run(),
            Some(How::Unheard) => run().and(Err(io::ErrorKind::StorageFull.into())),
            Some(_) => Err(io::ErrorKind::StorageFull.into()),
        }
    }
}

struct FaultyFile {
    file: Box<dyn RecordingFile>,
    step: Step,
    how: How,
    met: Arc<Mutex<u32>>,
}

impl RecordingFile for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let full = || Err(io::ErrorKind::StorageFull.into());
        match Faulty::fault((Step::Write, self.step), self.how, &self.met) {
            None => self.file.write(bytes),
            Some(How::Lost) => full(),
            Some(How::Half) => self.file.write(&bytes[..bytes.len() / 2]).and(full()),
            Some(How::Unheard) => self.file.write(bytes).and(full()),
        }
    }
    fn sync(&mut self) -> io::Result<()> {
        match Faulty::fault((Step::Sync, self.step), self.how, &self.met) {
            None => self.file.sync(),
            Some(_) => Err(io::ErrorKind::StorageFull.into()),
        }
    }
}

impl Storage for Faulty {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.files.write(bytes)
    }
    fn sync(&self) -> io::Result<()> {
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
        self.run(Step::Discard, || self.files.discard(session))
    }
    fn remake(&self, segment: u64) -> io::Result<Box<dyn RecordingFile>> {
        let file = self.run(Step::Remake, || self.files.remake(segment))?;
        let (step, how, met) = (self.step, self.how, Arc::clone(&self.met));
        Ok(Box::new(FaultyFile { file, step, how, met }))
    }
    fn swap(&self, segment: u64) -> io::Result<()> {
        self.run(Step::Swap, || self.files.swap(segment))
    }
}

/// Whatever fails while something is removed, not done or done and unheard: the record is whole, the gateway goes
/// on, and what is still due goes the next time.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_leaves_a_whole_record_and_the_rest_due() {
    let rules = rules(days(5), days(10), days(15), None);
    for step in [Step::Discard, Step::Remake, Step::Write, Step::Sync, Step::Swap] {
        for how in [How::Lost, How::Half, How::Unheard] {
            for crash in [false, true] {
                fails(&rules, step, how, crash).await;
            }
        }
    }
}

async fn fails(rules: &Rules, step: Step, how: How, crash: bool) {
    let what = format!("{step:?} {how:?} {crash}");
    let (held, ledger) = ledger().await;
    let dir = held.path();
    drop(ledger);
    let met = Arc::new(Mutex::new(0));
    let again = Arc::clone(&met);
    let ledger = Ledger::open_on(dir, settings_in_small(), |files| {
        Arc::new(Faulty { files, step, how, met: again })
    });
    let mut ledger = ledger.unwrap();
    let found = due(dir, rules, &[], u64::MAX, day(19)).unwrap();
    let mut failed = 0;
    for recording in found.recordings {
        failed += u32::from(ledger.remove_recording(recording).await.is_err());
    }
    for entries in found.entries {
        failed += u32::from(ledger.remove_contents(entries).await.is_err());
        good_while_open(dir);
    }
    assert_eq!(failed, 1, "{what}: nothing went wrong, or too much");
    ledger.health().unwrap();
    durable(&ledger, a_decision(DAY * 20)).await;
    if crash {
        // Everything is synced by now; what was written anew and not named is left.
        drop(ledger);
        good(dir);
        ledger = Ledger::open(dir, settings_in_small()).unwrap();
    }
    let rest = remove(dir, &ledger, rules, &[], 19).await;
    assert!(rest.recordings.len() + rest.entries.len() <= 1, "{what}: {rest:?}");
    assert_eq!(
        how != How::Unheard || matches!(step, Step::Write | Step::Sync | Step::Remake),
        !rest.recordings.is_empty() || !rest.entries.is_empty(),
        "{what}"
    );
    drop(ledger);
    let report = good(dir);
    assert_eq!((report.removed_entries, report.removed_recordings), (30, 15), "{what}");
    assert_eq!(report.unclosed_intents, [], "{what}");
    assert_eq!(
        fs::read_dir(dir.join("journal"))
            .unwrap()
            .filter(|f| f.as_ref().unwrap().file_name().to_string_lossy().ends_with(".new"))
            .count(),
        usize::from(false),
        "{what}"
    );
}
