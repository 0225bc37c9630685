//! Evidence packs, and that whoever has the key cannot make one that leaves something out.
#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside the tests themselves")]

mod common;

use common::*;
use portcullis_ledger::evidence::{range, sign};
use portcullis_ledger::retention::{Rule, Rules, due};
use portcullis_ledger::verify::Problem;
use portcullis_ledger::{Ledger, proof};
use portcullis_verify::evidence::{Evidence, check};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::{TempDir, tempdir};

/// 20 entries: two sessions of four requests each.
async fn ledger() -> TempDir {
    let dir = tempdir().unwrap();
    for s in [1, 2] {
        a_session(&open(dir.path()), s, 4).await;
    }
    dir
}

type Files = BTreeMap<String, Vec<u8>>;

/// The files of a pack.
fn files(dir: &Path, first: u64, end: u64) -> (Files, u64, u64) {
    let (mut lines, mut met) = (Vec::new(), Vec::new());
    let part = range(dir, (first, end), &mut lines, &mut |sequence, _| {
        met.push(sequence);
        Ok(())
    });
    let part = part.unwrap();
    let controls = json!({ "clauses": [{ "clause": "all", "entries": met }] });
    let files = [
        ("entries.jsonl", lines),
        ("checkpoint", part.checkpoint.into_bytes()),
        ("range.proof", part.proof.into_bytes()),
        ("controls.json", controls.to_string().into_bytes()),
    ];
    let files = files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
    (files, part.first, part.end)
}

/// Writes and signs them, whatever they say.
fn pack(dir: &Path, (files, first, end): &(Files, u64, u64)) -> TempDir {
    let to = tempdir().unwrap();
    let listed = files.iter().map(|(name, bytes)| {
        let path = to.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        json!({ "name": name, "bytes": bytes.len(), "sha256": hash(bytes) })
    });
    let listed: Vec<_> = listed.collect();
    let manifest = json!({ "version": 1, "first": first, "end": end, "files": listed }).to_string();
    fs::write(to.path().join("manifest.json"), &manifest).unwrap();
    fs::write(to.path().join("manifest.note"), sign(dir, manifest.as_bytes()).unwrap()).unwrap();
    to
}

fn hash(bytes: &[u8]) -> String {
    use aws_lc_rs::digest::{SHA256, digest};
    digest(&SHA256, bytes).as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

fn key(dir: &Path) -> String {
    fs::read_to_string(dir.join("keys/journal.ed25519.pub")).unwrap()
}

fn good(dir: &Path, to: &Path) -> Evidence {
    check(to, &key(dir)).unwrap()
}

#[tokio::test]
async fn every_range_of_a_log_is_proven() {
    let dir = ledger().await;
    for first in 0..=20 {
        for end in first..=20 {
            let all = files(dir.path(), first, end);
            let found = good(dir.path(), pack(dir.path(), &all).path());
            assert_eq!((found.first, found.end, found.size), (first, end, 20));
        }
    }
}

#[tokio::test]
async fn what_is_left_out_or_changed_is_found_whoever_signs_it() {
    let dir = ledger().await;
    let dir = dir.path();
    let other = ledger().await;
    let without = |bytes: &[u8], at: usize| -> Vec<u8> {
        let lines: Vec<_> = bytes.split_inclusive(|b| *b == b'\n').collect();
        [&lines[..at], &lines[at + 1..]].concat().concat()
    };
    let told = |name: &str, harm: &dyn Fn(&mut (Files, u64, u64))| {
        let mut all = files(dir, 5, 15);
        harm(&mut all);
        let problem = check(pack(dir, &all).path(), &key(dir)).map_err(|finding| finding.problem);
        (name.to_owned(), problem.err())
    };
    let entries = |all: &mut (Files, u64, u64), harm: &dyn Fn(&[u8]) -> Vec<u8>| {
        let bytes = harm(&all.0["entries.jsonl"]);
        all.0.insert("entries.jsonl".into(), bytes);
    };
    let found = [
        told("nothing", &|_| {}),
        told("one in the middle", &|all| entries(all, &|bytes| without(bytes, 4))),
        told("the last", &|all| entries(all, &|bytes| without(bytes, 9))),
        told("the last, and the manifest says so", &|all| {
            entries(all, &|bytes| without(bytes, 9));
            all.2 = 14;
        }),
        told("a word", &|all| {
            entries(all, &|bytes| {
                let text = String::from_utf8(bytes.to_vec()).unwrap();
                let lines: Vec<_> = text.lines().map(str::to_owned).collect();
                let harmed =
                    lines.last().unwrap().split('\t').next().unwrap().replace("SELECT", "SELEKT");
                let last = format!("{harmed}\t{}", hash(harmed.as_bytes()));
                let mut lines: Vec<_> = lines[..9].to_vec();
                lines.push(last);
                (lines.join("\n") + "\n").into_bytes()
            });
        }),
        told("another place", &|all| (all.1, all.2) = (6, 16)),
        told("another path", &|all| {
            let text = String::from_utf8(all.0["range.proof"].clone()).unwrap();
            let last = text.lines().last().unwrap();
            let more = format!("{text}{last}\n");
            all.0.insert("range.proof".into(), more.into_bytes());
        }),
        told("another log", &|all| {
            let theirs = fs::read(other.path().join("journal/head")).unwrap();
            all.0.insert("checkpoint".into(), theirs);
        }),
        told("a recording", &|all| drop(all.0.insert("recordings/x.jsonl".into(), b"x".to_vec()))),
        told("a clause", &|all| {
            let rests = json!({ "clauses": [{ "entries": [3] }] }).to_string();
            all.0.insert("controls.json".into(), rests.into_bytes());
        }),
        told("a proof under another name", &|all| {
            let proof = proof::inclusion(dir, 2).unwrap();
            all.0.insert("context/3.tlog-proof".into(), proof.into_bytes());
        }),
    ];
    let wanted = [
        None,
        Some(Problem::Missing),
        Some(Problem::Truncated),
        Some(Problem::Unreadable),
        Some(Problem::Edited),
        Some(Problem::Missing),
        Some(Problem::Edited),
        Some(Problem::BadSignature),
        Some(Problem::Edited),
        Some(Problem::Missing),
        Some(Problem::Reordered),
    ];
    for ((name, problem), wanted) in found.into_iter().zip(wanted) {
        assert_eq!(problem, wanted, "{name}");
    }
}

#[tokio::test]
async fn what_was_signed_is_all_of_it() {
    let dir = ledger().await;
    let all = files(dir.path(), 0, 20);
    let harms: [(&str, &dyn Fn(&Path), Problem); 5] = [
        ("a file", &|to| fs::write(to.join("range.proof"), "x").unwrap(), Problem::Edited),
        ("another file", &|to| fs::write(to.join("more"), "x").unwrap(), Problem::UnknownFile),
        ("no file", &|to| fs::remove_file(to.join("checkpoint")).unwrap(), Problem::Missing),
        ("the manifest", &|to| fs::write(to.join("manifest.json"), "{}").unwrap(), Problem::Edited),
        (
            "its note",
            &|to| {
                let note = fs::read_to_string(to.join("checkpoint")).unwrap();
                fs::write(to.join("manifest.note"), note).unwrap();
            },
            Problem::Unreadable,
        ),
    ];
    for (what, harm, problem) in harms {
        let to = pack(dir.path(), &all);
        harm(to.path());
        assert_eq!(check(to.path(), &key(dir.path())).unwrap_err().problem, problem, "{what}");
    }
    let mut outside = all.clone();
    outside.0.insert("../x".into(), b"x".to_vec());
    let to = pack(dir.path(), &outside);
    let finding = check(to.path(), &key(dir.path())).unwrap_err();
    assert_eq!(finding.problem, Problem::Unreadable, "{finding}");
    fs::remove_file(to.path().join("../x")).unwrap();
    let other = ledger().await;
    let finding = check(pack(dir.path(), &all).path(), &key(other.path())).unwrap_err();
    assert_eq!(finding.problem, Problem::BadSignature);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_removed_is_proven_to_have_been_there() {
    let dir = ledger().await;
    let dir = dir.path();
    let ledger = Ledger::open(dir, settings()).unwrap();
    ledger.roll().unwrap();
    let day = Some(Duration::from_secs(86_400));
    let rule = Rule { name: "r".into(), reads: day, ..Rule::default() };
    let rules = Rules { rules: vec![rule], events: None };
    for entries in due(dir, &rules, &[], u64::MAX, at(2 * 86_400_000_000)).unwrap().entries {
        ledger.remove_contents(entries).await.unwrap();
    }
    drop(ledger);
    // A range that begins or ends amid what was removed has the whole of it.
    let all = files(dir, 3, 14);
    let found = good(dir, pack(dir, &all).path());
    assert_eq!((found.first, found.end, found.removed), (1, 19, 16));
}
