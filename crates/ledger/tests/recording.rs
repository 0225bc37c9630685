//! Recordings: bounded, masked by type, sealed by a digest in the journal; and what is read back.
#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside the tests themselves")]

mod common;

use common::*;
use portcullis_core::digest::Digest;
use portcullis_core::id::ReviewId;
use portcullis_core::journal::{Durability, Event, Journal as _};
use portcullis_core::masked::Masked;
use portcullis_core::principal::By;
use portcullis_core::review::Ticket;
use portcullis_core::verdict::Ground;
use portcullis_ledger::read::{Moment, ReadError, SessionState, sessions, timeline};
use portcullis_ledger::render::{RenderOptions, render_timeline};
use portcullis_ledger::verify::Problem;
use portcullis_ledger::{
    AnswerSample, Ledger, LedgerSettings, RecordError, RecordedEvent, SampleValue,
};
use std::fs;
use std::path::Path;
use tempfile::tempdir;

fn sample(micros: i64, r: u64, value: &str) -> Masked<AnswerSample> {
    Masked::authored_assertion(AnswerSample {
        at: at(micros),
        request: request(r),
        part: 0,
        columns: vec!["id".into(), "email".into()],
        sample: vec![vec![
            SampleValue::from_bytes(Some(b"\xff\x00")),
            SampleValue::from_bytes(Some(value.as_bytes())),
            SampleValue::from_bytes(None),
        ]],
        rows: 40,
        truncated: true,
    })
}

fn sha256(path: &Path) -> Digest {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &fs::read(path).unwrap());
    Digest::from_bytes(hash.as_ref().try_into().unwrap())
}

#[tokio::test]
async fn the_digest_of_a_recording_is_the_sha_256_of_its_file_and_is_verified() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    durable(&ledger, opened(0, 1)).await;
    let recorder = ledger.recorder(session(1));
    for n in 0..100 {
        recorder.append(&sample(n, 1, "a***@example.com")).unwrap();
    }
    let kept = recorder.finish().await.unwrap().unwrap();
    let path = dir.path().join(format!("recordings/{}.jsonl.zst", session(1)));
    let digest = kept.digest();
    assert_eq!(digest, sha256(&path));
    durable(&ledger, closed(3, 1, Some(digest))).await;
    kept.settle().await;
    drop(ledger);
    let report = check(dir.path()).unwrap();
    assert_eq!((report.recordings, report.unproven_recordings.len()), (1, 0));

    let files: Vec<_> = fs::read_dir(dir.path().join("recordings")).unwrap().collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let bytes = zstd::decode_all(&*fs::read(&path).unwrap()).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.lines().count(), 101, "the lines that were written, unchanged");
    fs::write(&path, zstd::encode_all(text.replacen("a***", "b***", 1).as_bytes(), 0).unwrap())
        .unwrap();
    let finding = check(dir.path()).unwrap_err();
    assert_eq!((finding.problem, finding.sequence), (Problem::Edited, Some(1)), "{finding}");
    fs::remove_file(&path).unwrap();
    assert_eq!(check(dir.path()).unwrap_err().problem, Problem::Missing);
}

#[tokio::test]
async fn a_session_that_recorded_nothing_has_no_file_and_no_digest() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    assert!(ledger.recorder(session(1)).finish().await.unwrap().is_none());
    assert_eq!(fs::read_dir(dir.path().join("recordings")).unwrap().count(), 0);
}

#[tokio::test]
async fn the_limit_of_a_session_is_recorded_and_then_an_error() {
    let dir = tempdir().unwrap();
    let settings = LedgerSettings { recording_bytes: 1800, ..settings() };
    let ledger = Ledger::open(dir.path(), settings).unwrap();
    let recorder = ledger.recorder(session(1));
    let mut taken = 0;
    while recorder.append(&sample(1, 1, "x")).is_ok() {
        taken += 1;
    }
    assert!((1..10).contains(&taken), "{taken}");
    assert_eq!(recorder.append(&sample(1, 1, "")), Err(RecordError::Limit(1800)));
    let kept = recorder.finish().await.unwrap().unwrap();
    let path = dir.path().join(format!("recordings/{}.jsonl.zst", session(1)));
    assert_eq!(kept.digest(), sha256(&path), "what was recorded is still sealed");
    let text = String::from_utf8(zstd::decode_all(&*fs::read(&path).unwrap()).unwrap()).unwrap();
    assert!(text.len() <= 1800);
    let last = text.lines().last().unwrap();
    let last: RecordedEvent = serde_json::from_str(last).unwrap();
    assert_eq!(last, RecordedEvent::Limit { bytes: 1800 });
    assert_eq!(text.lines().count(), taken + 2);
}

#[tokio::test]
async fn a_full_queue_ends_the_recording_without_a_silent_gap() {
    let dir = tempdir().unwrap();
    let settings = LedgerSettings { recording_queue_bytes: 300, ..settings() };
    let ledger = Ledger::open(dir.path(), settings).unwrap();
    let recorder = ledger.recorder(session(1));
    assert_eq!(recorder.append(&sample(1, 1, &"x".repeat(300))), Err(RecordError::Full));
    assert_eq!(recorder.append(&sample(2, 1, "x")), Err(RecordError::Full), "and stays ended");
}

#[tokio::test]
async fn a_recording_that_a_crash_left_open_is_sealed_on_recovery() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    durable(&ledger, opened(0, 1)).await;
    let recorder = ledger.recorder(session(1));
    recorder.append(&sample(1, 1, "x")).unwrap();
    drop((recorder, ledger));
    drop(open(dir.path()));
    let report = check(dir.path()).unwrap();
    assert_eq!((report.recordings, report.open_sessions), (1, 0));
}

#[test]
fn a_sample_value_reads_back_as_it_was_recorded() {
    for (value, json) in [
        (SampleValue::Null, "null"),
        (SampleValue::Text("{\"hex\":\"00\"}".into()), r#""{\"hex\":\"00\"}""#),
        (SampleValue::Bytes(vec![0, 255]), r#"{"hex":"00ff"}"#),
    ] {
        assert_eq!(serde_json::to_string(&value).unwrap(), json);
        assert_eq!(serde_json::from_str::<SampleValue>(json).unwrap(), value);
    }
    for bad in [r#"{"hex":"0"}"#, r#"{"hex":"0g"}"#, "1", r#"{"hex":"é"}"#] {
        assert!(serde_json::from_str::<SampleValue>(bad).is_err(), "{bad}");
    }
}

/// A session with a read, a refusal, a reviewed change and hostile text; another one beside it.
async fn eventful(dir: &Path) {
    let ledger = open(dir);
    let review = ReviewId::from_bits(5);
    let refused = Event::Refused {
        operation: "DROP · drop public.orders".into(),
        shown: shown("DROP TABLE orders -- \u{202e}\u{1b}[2J"),
        digest: digest(2),
        refusal: refusal(),
    };
    let held = Event::Held {
        ticket: Ticket {
            review,
            digest: digest(3),
            groups: ["dba".to_owned()].into(),
            expires: at(60_000_000),
        },
        operation: "DELETE · delete public.orders".into(),
        shown: shown("DELETE FROM orders\nWHERE id = 1"),
        ground: Ground {
            rule: "deletes-need-a-dba".into(),
            reason: "signed off by a DBA".into(),
            hint: None,
            what: "delete".into(),
        },
        again: None,
    };
    let decided = Event::Decided {
        review,
        digest: digest(3),
        by: By { subject: "grace".into(), issuer: Some("https://idp".into()) },
        groups: ["dba".to_owned()].into(),
        decision: "approved".into(),
        reason: Some("fine".into()),
        pattern: None,
        passkey: None,
        via: None,
    };
    let mut decision = entry(4_000_000, 1, None, decided);
    decision.session = None;
    let recorder = ledger.recorder(session(1));
    recorder.append(&sample(1_500_000, 1, "a***@example.com\u{200b}")).unwrap();
    let digest = recorder.finish().await.unwrap().map(|kept| kept.digest());
    for entry in [
        opened(0, 1),
        opened(1, 2),
        intent(1_000_000, 1, 1, "SELECT *\nFROM customers"),
        outcome(2_000_000, 1, 1, 40),
        entry(2_500_000, 1, Some(2), refused),
        entry(3_000_000, 1, Some(3), held),
        intent(3_100_000, 2, 1, "SELECT 'other session'"),
        decision,
        intent(4_100_000, 1, 3, "DELETE FROM orders\nWHERE id = 1"),
        outcome(4_200_000, 1, 3, 0),
        closed(5_000_000, 1, digest),
    ] {
        ledger.append(entry, Durability::Written).await.unwrap();
    }
}

#[tokio::test]
async fn sessions_are_listed_with_what_became_of_their_requests() {
    let dir = tempdir().unwrap();
    eventful(dir.path()).await;
    let ledger = open(dir.path());
    let event = Event::LoginRefused {
        principal: Some("mallory".into()),
        peer: "127.0.0.1:1".into(),
        connection: "shop".into(),
        refusal: refusal(),
    };
    durable(&ledger, entry(6_000_000, 3, None, event)).await;
    let listed = sessions(dir.path()).unwrap();
    let one = &listed[0];
    assert_eq!(one.who(), "Night agent for ada");
    assert_eq!((one.requests, one.refused, one.held, one.rows, one.masked), (3, 1, 1, 40, 2));
    assert_eq!(one.state, SessionState::Closed("done".into()));
    assert_eq!(one.closed, Some(at(5_000_000)));
    assert_eq!(listed[1].state, SessionState::Closed("gateway stopped".into()));
    assert_eq!(listed[2].who(), "mallory");
    assert!(matches!(&listed[2].state, SessionState::Refused(why) if why.contains("no-drop")));
}

#[tokio::test]
async fn a_timeline_joins_entries_decisions_and_recorded_answers_in_order() {
    let dir = tempdir().unwrap();
    eventful(dir.path()).await;
    let items = timeline(dir.path(), session(1), &[]).unwrap().0;
    let names: Vec<_> = items
        .iter()
        .map(|item| match &item.moment {
            Moment::Recorded(_) => "answer".to_owned(),
            Moment::Entry { event, .. } => {
                serde_json::to_value(event).unwrap()["event"].as_str().unwrap().to_owned()
            }
        })
        .collect();
    let expected = [
        "session_opened",
        "intent",
        "answer",
        "outcome",
        "refused",
        "held",
        "decided",
        "intent",
        "outcome",
        "session_closed",
    ];
    assert_eq!(names, expected);
    assert_eq!(items[2].offset.as_millis(), 1500);
    let unknown = timeline(dir.path(), session(77), &[]);
    assert!(matches!(unknown, Err(ReadError::NoSession(_))));
}

#[tokio::test]
async fn a_rendered_timeline_lets_no_text_reach_the_terminal_or_the_left_margin() {
    let dir = tempdir().unwrap();
    eventful(dir.path()).await;
    let items = timeline(dir.path(), session(1), &[]).unwrap().0;
    let render = |color, width| {
        let mut out = Vec::new();
        render_timeline(&items, &mut out, RenderOptions { color, width }).unwrap();
        String::from_utf8(out).unwrap()
    };
    let text = render(false, 60);
    for needle in [
        "⟨U+202E⟩⟨U+001B⟩[2J",
        "a***@example.com⟨U+200B⟩",
        "(1 of 40 rows recorded)",
        "refused",
        "approved by grace",
        "40 rows, 1 values masked, 1.500 ms, SELECT 40",
    ] {
        let joined = text.replace(&format!("\n{} │ ", " ".repeat(21)), "");
        assert!(joined.contains(needle), "{needle} is not in:\n{text}");
    }
    for line in text.lines() {
        assert!(line.chars().count() <= 60, "{line}");
        assert_eq!(line.chars().nth(22), Some('│'), "{line}");
        assert!(!line.chars().any(char::is_control), "{line}");
    }
    let allowed = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m"];
    let colored = render(true, 60);
    assert!(colored.contains("\u{1b}[31mrefused"));
    let plain = allowed.iter().fold(colored, |text, code| text.replace(code, ""));
    assert_eq!(plain, text);
}
