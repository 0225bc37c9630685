//! Recordings that only their recipients can open: while a session runs, once it is over, and after a crash.
#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside the tests themselves")]

mod common;

use common::*;
use portcullis_age::{Identity, Opener};
use portcullis_core::id::SessionId;
use portcullis_core::masked::Masked;
use portcullis_ledger::played::{Reached, RecordedEvents, Wholeness};
use portcullis_ledger::read::{Moment, timeline};
use portcullis_ledger::verify::Problem;
use portcullis_ledger::{AnswerSample, Ledger, LedgerSettings, SampleValue};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::tempdir;

/// In every answer.
const SAID: &str = "qzxwvk";

fn answer(n: u64) -> Masked<AnswerSample> {
    Masked::authored_assertion(AnswerSample {
        at: at(10),
        request: request(n),
        part: 0,
        columns: vec!["email".into()],
        sample: vec![vec![SampleValue::Text(format!("{SAID} {n}"))]],
        rows: 1,
        truncated: false,
    })
}

fn sealing(reader: &Identity) -> LedgerSettings {
    LedgerSettings { recipients: vec![reader.recipient()], ..settings() }
}

fn file(dir: &Path, of: SessionId, suffix: &str) -> PathBuf {
    dir.join(format!("recordings/{of}{suffix}"))
}

/// Nothing below a directory has what was answered.
fn nothing_tells(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            nothing_tells(&path);
        } else {
            let bytes = fs::read(&path).unwrap();
            let unpacked = zstd::decode_all(&*bytes).unwrap_or_default();
            for bytes in [bytes, unpacked] {
                assert!(!bytes.windows(SAID.len()).any(|part| part == SAID.as_bytes()), "{path:?}");
            }
        }
    }
}

fn read(dir: &Path, from: Reached, keys: &[Identity]) -> (usize, Reached, Wholeness) {
    let mut events = RecordedEvents::open(dir, session(1), from, keys).unwrap();
    let mut count = 0;
    while events.next().unwrap().is_some() {
        count += 1;
    }
    (count, events.reached(), events.ends())
}

/// Until what was recorded is in the file.
async fn written(dir: &Path, count: usize, keys: &[Identity]) -> Reached {
    for _ in 0..200 {
        let (found, reached, _) = read(dir, Reached::default(), keys);
        if found == count {
            return reached;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{count} events were not written");
}

#[tokio::test]
async fn only_its_recipients_open_a_recording_while_it_runs_and_once_it_is_kept() {
    let (dir, reader) = (tempdir().unwrap(), Identity::generate().unwrap());
    let ledger = Ledger::open(dir.path(), sealing(&reader)).unwrap();
    durable(&ledger, opened(0, 1)).await;
    let recorder = ledger.recorder(session(1));
    for n in 0..3 {
        recorder.append(&answer(n)).unwrap();
    }
    let keys = [reader];
    let reached = written(dir.path(), 3, &keys).await;
    nothing_tells(dir.path());
    assert_eq!(read(dir.path(), Reached::default(), &[]).2, Wholeness::Sealed);
    let stranger = [Identity::generate().unwrap()];
    assert_eq!(read(dir.path(), Reached::default(), &stranger).0, 0);

    for n in 3..5 {
        recorder.append(&answer(n)).unwrap();
    }
    let kept = recorder.finish().await.unwrap().unwrap();
    durable(&ledger, closed(9, 1, Some(kept.digest()))).await;
    kept.settle().await;
    drop(ledger);
    nothing_tells(dir.path());
    assert!(!file(dir.path(), session(1), ".jsonl").exists());
    // Whoever read the running file goes on in the one that is kept.
    let (rest, _, ends) = read(dir.path(), reached, &keys);
    assert_eq!((rest, ends), (2, Wholeness::Whole));
    assert_eq!(
        read(dir.path(), Reached::default(), &[]),
        (0, Reached::default(), Wholeness::Sealed)
    );
    let (items, ends) = timeline(dir.path(), session(1), &keys).unwrap();
    let answers = items.iter().filter(|item| matches!(item.moment, Moment::Recorded(_))).count();
    assert_eq!((answers, ends), (5, Wholeness::Whole));
    let report = check(dir.path()).unwrap();
    assert_eq!((report.recordings, report.unproven_recordings.len()), (1, 0));

    let sealed = fs::read(file(dir.path(), session(1), ".jsonl.zst.age")).unwrap();
    let mut packed = Vec::new();
    Opener::new(&*sealed, &keys).unwrap().read_to_end(&mut packed).unwrap();
    let text = String::from_utf8(zstd::decode_all(&*packed).unwrap()).unwrap();
    let first =
        format!("{{\"recording\":\"portcullis-recording/2\",\"session\":\"{}\"}}", session(1));
    assert_eq!(text.lines().next(), Some(&*first));
    assert_eq!(text.matches(SAID).count(), 5);
}

#[tokio::test]
async fn what_a_crash_leaves_is_as_closed_and_is_proven_without_being_read() {
    let (dir, reader) = (tempdir().unwrap(), Identity::generate().unwrap());
    let ledger = Ledger::open(dir.path(), sealing(&reader)).unwrap();
    durable(&ledger, opened(0, 1)).await;
    let recorder = ledger.recorder(session(1));
    recorder.append(&answer(1)).unwrap();
    recorder.append(&answer(2)).unwrap();
    drop((recorder, ledger));
    let before = fs::read(file(dir.path(), session(1), ".jsonl")).unwrap();
    drop(Ledger::open(dir.path(), sealing(&reader)).unwrap());
    nothing_tells(dir.path());
    assert_eq!(fs::read(file(dir.path(), session(1), ".jsonl")).unwrap(), before);
    let report = check(dir.path()).unwrap();
    assert_eq!((report.recordings, report.open_sessions), (1, 0));
    assert_eq!(read(dir.path(), Reached::default(), &[reader]).0, 2);
}

#[tokio::test]
async fn sealed_lines_that_were_moved_left_out_or_brought_along_are_not_shown() {
    let (dir, reader) = (tempdir().unwrap(), Identity::generate().unwrap());
    let ledger = Ledger::open(dir.path(), sealing(&reader)).unwrap();
    let recorders = [ledger.recorder(session(1)), ledger.recorder(session(2))];
    for recorder in &recorders {
        for n in 0..3 {
            recorder.append(&answer(n)).unwrap();
        }
    }
    drop((recorders, ledger));
    let keys = [reader];
    let path = file(dir.path(), session(1), ".jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let other = fs::read_to_string(file(dir.path(), session(2), ".jsonl")).unwrap();
    let (lines, others): (Vec<_>, Vec<_>) = (text.lines().collect(), other.lines().collect());
    let cases = [
        (vec![lines[0], lines[2], lines[1], lines[3]], 0, "moved"),
        (vec![lines[0], lines[2], lines[3]], 0, "left out"),
        (vec![lines[0], lines[1], others[2], lines[3]], 1, "of another session"),
        (others.clone(), 0, "another session's file"),
        (vec![lines[0], lines[1], "{\"event\":\"limit\",\"bytes\":1}"], 1, "not sealed"),
    ];
    for (lines, shown, what) in cases {
        fs::write(&path, format!("{}\n", lines.join("\n"))).unwrap();
        let (count, _, ends) = read(dir.path(), Reached::default(), &keys);
        assert_eq!((count, ends == Wholeness::Whole), (shown, false), "{what}");
    }
}

#[tokio::test]
async fn a_kept_recording_that_is_swapped_changed_or_cut_is_found() {
    let (dir, reader) = (tempdir().unwrap(), Identity::generate().unwrap());
    let ledger = Ledger::open(dir.path(), sealing(&reader)).unwrap();
    for n in 1..3 {
        durable(&ledger, opened(0, n)).await;
        let recorder = ledger.recorder(session(n));
        recorder.append(&answer(n)).unwrap();
        let kept = recorder.finish().await.unwrap().unwrap();
        durable(&ledger, closed(9, n, Some(kept.digest()))).await;
        kept.settle().await;
    }
    drop(ledger);
    let path = |n| file(dir.path(), session(n), ".jsonl.zst.age");
    let (one, two) = (fs::read(path(1)).unwrap(), fs::read(path(2)).unwrap());
    for (bytes, what) in [(&two[..], "swapped"), (&one[..one.len() - 1], "cut"), (b"", "emptied")] {
        fs::write(path(1), bytes).unwrap();
        let finding = check(dir.path()).unwrap_err();
        assert_eq!((finding.problem, finding.sequence), (Problem::Edited, Some(1)), "{what}");
        assert!(read(dir.path(), Reached::default(), &[]).0 == 0, "{what}");
    }
    // A plain file beside it could be shown in its place.
    fs::write(path(1), &one).unwrap();
    let beside = file(dir.path(), session(1), ".jsonl");
    fs::write(&beside, "{}\n").unwrap();
    assert_eq!(check(dir.path()).unwrap_err().problem, Problem::UnknownFile);
    drop(Ledger::open(dir.path(), settings()).unwrap());
    assert!(
        !beside.exists() && check(dir.path()).is_ok(),
        "an opening keeps what the journal names"
    );
    fs::remove_file(path(1)).unwrap();
    let finding = check(dir.path()).unwrap_err();
    assert_eq!((finding.problem, finding.sequence), (Problem::Missing, Some(1)), "{finding}");
    // A plain file in its place is no evidence either.
    fs::write(file(dir.path(), session(1), ".jsonl"), "{}\n").unwrap();
    assert_eq!(check(dir.path()).unwrap_err().problem, Problem::Edited);
}
