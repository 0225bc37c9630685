//! Who can write the files, but has no key, adds nothing to the record: not to the journal behind
//! its newest head, not to a recording that was running, and not by links, pipes or strange files.

mod common;

use common::*;
use portcullis_core::journal::{Event, Status};
use portcullis_core::masked::Masked;
use portcullis_ledger::read::{self, entries, sessions, timeline};
use portcullis_ledger::verify::{Problem, VerifyOptions, is_open, verify};
use portcullis_ledger::{Ledger, LedgerSettings, RecordedEvent};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::{TempDir, tempdir};

/// What a crash leaves: a copy of a ledger that is open, with entries after its newest head, an
/// open session and its running recording.
async fn crashed() -> TempDir {
    let (dir, copy) = (tempdir().unwrap(), tempdir().unwrap());
    let head_every = Duration::from_secs(3600);
    let ledger = Ledger::open(dir.path(), LedgerSettings { head_every, ..settings() }).unwrap();
    durable(&ledger, opened(0, 1)).await;
    let recorder = ledger.recorder(session(1));
    for n in 0..3 {
        durable(&ledger, intent(1, 1, n, "SELECT 1")).await;
        recorder.record(&Masked::authored_assertion(message(n))).unwrap();
        durable(&ledger, outcome(2, 1, n, 1)).await;
    }
    // Events gather for 20 ms before they are written.
    while fs::read(tape(dir.path())).map_or(0, |b| b.iter().filter(|b| **b == b'\n').count()) < 4 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    duplicate(dir.path(), copy.path());
    copy
}

fn message(n: u64) -> RecordedEvent {
    let (severity, code) = ("notice".into(), "00000".into());
    let text = format!("said {n}");
    RecordedEvent::Message { at: at(1), request: Some(request(n)), severity, code, text }
}

fn tape(dir: &Path) -> PathBuf {
    dir.join(format!("recordings/{}.jsonl", session(1)))
}

fn duplicate(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            duplicate(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A line that continues the chain in every respect but the code: `{…,"mac":"…"}<TAB>hash`.
fn forged(dir: &Path, first: u64) -> String {
    use aws_lc_rs::digest::{SHA256, digest};
    let text = fs::read_to_string(segment(dir, first)).unwrap();
    let count = first + text.lines().count() as u64;
    let last = text.lines().last().map_or("0".repeat(64), |l| l.split('\t').nth(1).unwrap().into());
    let entry = serde_json::to_string(&outcome(9, 66, 66, 6)).unwrap();
    let (code, mut out) = ("0".repeat(32), String::new());
    for text in [
        format!("{{\"seq\":{count},\"prev\":\"{last}\",\"entry\":{entry}}}"),
        format!("{{\"seq\":{count},\"prev\":\"{last}\",\"entry\":{entry},\"mac\":\"{code}\"}}"),
    ] {
        let hash = digest(&SHA256, text.as_bytes());
        let hash: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        out = format!("{text}\t{hash}\n");
        if count.is_multiple_of(2) {
            return out;
        }
    }
    out
}

fn live() -> VerifyOptions {
    VerifyOptions { live: true, ..VerifyOptions::default() }
}

fn keyless(dir: &Path) {
    fs::remove_file(dir.join("keys/journal.ed25519")).unwrap();
}

#[tokio::test]
async fn what_is_not_signed_yet_is_counted_and_proven_only_with_the_key() {
    let dir = crashed().await;
    let report = verify(dir.path(), &live()).unwrap();
    assert_eq!((report.entries, report.unsigned_entries, report.unsigned_proven), (7, 7, true));
    assert_eq!((report.running_recordings, report.unproven_recordings.len()), (1, 0));
    assert!(report.to_string().contains("proven by the journal's key"), "{report}");
    let finding = check(dir.path()).unwrap_err();
    assert_eq!((finding.problem, finding.sequence), (Problem::Unsigned, Some(0)), "{finding}");
    keyless(dir.path());
    let report = verify(dir.path(), &live()).unwrap();
    let text = report.to_string();
    assert!(text.contains("7 entries after the newest signed head: unproven without"), "{text}");
    assert!(!text.contains("no gap, no edit\n"), "{text}");
    assert_eq!(report.unproven_recordings.len(), 1);
    let finding = check(dir.path()).unwrap_err();
    assert!(finding.detail.contains("unproven without the journal's key"), "{finding}");
}

#[tokio::test]
async fn entries_added_without_the_key_are_found_and_never_signed() {
    for (cleanly, rounds) in [(true, 1), (false, 1), (true, 2)] {
        let dir = crashed().await;
        if cleanly {
            drop(open(dir.path()));
        }
        let before = entries(dir.path()).unwrap().count() as u64;
        for _ in 0..rounds {
            let line = forged(dir.path(), 0);
            scribble(dir.path(), 0, line.as_bytes());
        }
        let finding = verify(dir.path(), &live()).unwrap_err();
        assert_eq!(
            (finding.problem, finding.sequence),
            (Problem::Forged, Some(before)),
            "{finding}"
        );
        assert!(check(dir.path()).is_err());

        let ledger = open(dir.path());
        let aside = ledger.recovery().torn.clone();
        assert_eq!(aside.len(), 1);
        let kept = fs::read_to_string(&aside[0]).unwrap();
        assert_eq!(kept.lines().count(), rounds, "every forged byte is kept: {kept}");
        drop(ledger);
        let report = check(dir.path()).unwrap();
        assert_eq!((report.torn.len(), report.unsigned_entries), (1, 0));
        let all: Vec<_> = entries(dir.path()).unwrap().map(Result::unwrap).collect();
        assert!(all.iter().all(|(_, e)| e.session != Some(session(66))), "a forged entry counts");
        let said = all.iter().find_map(|(n, e)| match &e.event {
            Event::Unproven { file, bytes, .. } => Some((*n, file.clone(), *bytes)),
            _ => None,
        });
        let (_, file, bytes) = said.expect("the record says so");
        assert_eq!(dir.path().join(file), aside[0]);
        assert_eq!(bytes, kept.len() as u64);
        assert_eq!(said_again(&open(dir.path())), 0, "and says so once");
        fs::write(&aside[0], "other").unwrap();
        assert_eq!(check(dir.path()).unwrap_err().problem, Problem::Edited);
    }
}

fn said_again(ledger: &Ledger) -> usize {
    ledger.recovery().torn.len()
}

#[tokio::test]
async fn an_edited_tail_is_set_aside_from_the_edit_on_and_what_is_before_it_stays() {
    let dir = crashed().await;
    let path = segment(dir.path(), 0);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"seq\":4", "\"seq\":44", 1)).unwrap();
    // A whole segment behind it goes as well.
    fs::write(segment(dir.path(), 7), forged(dir.path(), 0)).unwrap();
    let ledger = open(dir.path());
    assert_eq!((ledger.recovery().entries, ledger.recovery().torn.len()), (4, 2));
    drop(ledger);
    let read: Vec<_> = entries(dir.path()).unwrap().map(Result::unwrap).collect();
    assert_eq!(read[3].1, intent(1, 1, 1, "SELECT 1"));
    assert!(matches!(&read[6].1.event, Event::Outcome { status: Status::Abandoned, .. }));
    check(dir.path()).unwrap();
}

#[tokio::test]
async fn a_crashed_tail_is_signed_and_its_untouched_recording_is_sealed() {
    let dir = crashed().await;
    let ledger = open(dir.path());
    assert_eq!((ledger.recovery().entries, ledger.recovery().torn.len()), (7, 0));
    drop(ledger);
    let report = check(dir.path()).unwrap();
    assert_eq!((report.recordings, report.unproven_recordings.len()), (1, 0));
    assert_eq!(report.entries, 8);
}

#[tokio::test]
async fn a_running_recording_that_was_touched_is_closed_as_unproven() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 6] = [
        ("edited", |p| edit(p, |t| t.replacen("said 1", "said X", 1))),
        ("added to", |p| edit(p, |t| format!("{t}{}\n", t.lines().last().unwrap()))),
        ("a line removed", |p| {
            edit(p, |t| {
                t.lines().enumerate().filter(|l| l.0 != 2).map(|l| l.1.to_owned() + "\n").collect()
            })
        }),
        ("cut short", |p| edit(p, |t| t[..t.len() - 3].to_owned())),
        ("replaced by a link", |p| {
            fs::rename(p, p.with_extension("away")).unwrap();
            symlink(p.with_extension("away"), p).unwrap();
        }),
        ("replaced by a pipe", |p| {
            fs::remove_file(p).unwrap();
            fifo(p);
        }),
    ];
    for (what, harm) in harms {
        let dir = crashed().await;
        harm(&tape(dir.path()));
        if what != "cut short" {
            assert!(verify(dir.path(), &live()).is_err(), "{what}: not found while it ran");
        }
        drop(open(dir.path()));
        let last: Vec<_> =
            entries(dir.path()).unwrap().skip(7).map(|e| e.unwrap().1.event).collect();
        let [Event::Unproven { file, .. }, Event::SessionClosed { reason, recording: None }] =
            last.as_slice()
        else {
            panic!("{what}: {last:?}")
        };
        assert!(file.starts_with("recordings/") && reason.contains("unproven"), "{what}");
        if !what.starts_with("replaced") {
            let report = check(dir.path()).unwrap();
            assert_eq!((report.recordings, report.unproven_recordings.len()), (0, 1), "{what}");
        }
    }
}

fn edit(path: &Path, with: impl FnOnce(&str) -> String) {
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, with(&text)).unwrap();
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[tokio::test]
async fn links_and_pipes_are_neither_followed_nor_waited_for() {
    type Harm = fn(&Path);
    let link: Harm = |p| {
        let away = p.parent().unwrap().parent().unwrap().join("away");
        fs::rename(p, &away).unwrap();
        symlink(&away, p).unwrap();
    };
    let pipe: Harm = |p| {
        fs::remove_file(p).unwrap();
        fifo(p);
    };
    let files = ["journal/00000000000000000000.jsonl", "journal/head", "journal/heads"];
    for (file, harm) in files.into_iter().flat_map(|f| [(f, link), (f, pipe)]) {
        let dir = crashed().await;
        drop(open(dir.path()));
        harm(&dir.path().join(file));
        for options in [VerifyOptions::default(), live()] {
            let finding = verify(dir.path(), &options).unwrap_err();
            assert_eq!(finding.file, Path::new(file), "{finding}");
        }
        assert!(Ledger::open(dir.path(), settings()).is_err(), "{file}");
        if file.ends_with(".jsonl") {
            assert!(sessions(dir.path()).is_err());
            assert!(matches!(
                timeline(dir.path(), session(1), &[]),
                Err(read::ReadError::Io { .. })
            ));
        }
    }
    let dir = crashed().await;
    drop(open(dir.path()));
    link(&tape(dir.path()));
    assert!(matches!(timeline(dir.path(), session(1), &[]), Err(read::ReadError::Io { .. })));
    assert!(check(dir.path()).is_err());
    let dir = crashed().await;
    fs::rename(dir.path().join("recordings"), dir.path().join("away")).unwrap();
    symlink("away", dir.path().join("recordings")).unwrap();
    assert!(verify(dir.path(), &live()).is_err(), "nor is a directory");
}

#[tokio::test]
async fn a_recording_of_no_session_is_found_while_a_gateway_writes_too() {
    let dir = crashed().await;
    verify(dir.path(), &live()).unwrap();
    let stranger = dir.path().join(format!("recordings/{}.jsonl", session(77)));
    fs::copy(tape(dir.path()), stranger).unwrap();
    assert_eq!(verify(dir.path(), &live()).unwrap_err().problem, Problem::UnknownFile);
}

#[tokio::test]
async fn whether_a_gateway_writes_is_told_by_the_lock() {
    let dir = tempdir().unwrap();
    assert!(!is_open(dir.path()));
    let ledger = open(dir.path());
    assert!(is_open(dir.path()));
    drop(ledger);
    assert!(!is_open(dir.path()));
    open(dir.path());
}

#[tokio::test]
async fn a_finding_is_one_line_whatever_the_file_is_called() {
    let dir = crashed().await;
    drop(open(dir.path()));
    fs::write(dir.path().join("journal/x\ngood: 20 entries\u{1b}[2J"), "").unwrap();
    let said = check(dir.path()).unwrap_err().to_string();
    assert!(said.contains("x⟨U+000A⟩good: 20 entries⟨U+001B⟩[2J"), "{said}");
}
