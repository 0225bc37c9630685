//! Every way of tampering with a ledger is found, and the first bad entry is named.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests stand outside the tests themselves"
)]

mod common;

use common::*;
use portcullis_ledger::verify::{Finding, Problem, VerifyOptions, verify};
use portcullis_ledger::{Ledger, LedgerError, LedgerSettings};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::{TempDir, tempdir};

/// A ledger of 20 entries (two sessions of four requests) in two runs, with at least two heads
/// over entries, closed in good order.
async fn ledger() -> TempDir {
    let dir = tempdir().unwrap();
    for s in [1, 2] {
        a_session(&open(dir.path()), s, 4).await;
    }
    assert_eq!(check(dir.path()).unwrap().entries, 20);
    dir
}

fn read(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

fn write(path: &Path, lines: &[String]) {
    fs::write(path, lines.iter().map(|l| format!("{l}\n")).collect::<String>()).unwrap();
}

/// A line's text with a new hash.
fn rehash(text: &str) -> String {
    use aws_lc_rs::digest::{SHA256, digest};
    let hash = digest(&SHA256, text.as_bytes());
    let hash: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    format!("{text}\t{hash}")
}

/// Edits entry `at`, and mends its hash and, if asked, the chain after it up to `until`.
fn rewrite(lines: &mut [String], at: usize, until: usize) {
    let mut prev = None::<String>;
    for (i, line) in lines.iter_mut().enumerate().take(until).skip(at) {
        let mut text = line.split('\t').next().unwrap().to_owned();
        if i == at {
            text = text.replace("shop", "ship").replace("SELECT", "SELEKT");
        }
        if let Some(prev) = prev {
            let start = text.find("\"prev\":\"").unwrap() + 8;
            text.replace_range(start..start + 64, &prev);
        }
        *line = rehash(&text);
        prev = line.split('\t').nth(1).map(str::to_owned);
    }
}

async fn check_journal(
    harm: impl FnOnce(&mut Vec<String>),
    problem: Problem,
    sequence: u64,
    line: Option<u64>,
) -> Finding {
    let dir = ledger().await;
    let path = segment(dir.path(), 0);
    let mut lines = read(&path);
    harm(&mut lines);
    write(&path, &lines);
    let finding = check(dir.path()).expect_err("the tampering is not found");
    let found = (finding.problem, finding.sequence, finding.line);
    assert_eq!(found, (problem, Some(sequence), line), "{finding}");
    finding
}

#[tokio::test]
async fn an_edited_entry_is_named() {
    for at in [0, 7, 19] {
        let edit = |l: &mut Vec<String>| l[at] = l[at].replace("\"at\":", "\"at\": ");
        let finding = check_journal(edit, Problem::Edited, at as u64, Some(at as u64 + 1)).await;
        assert!(finding.to_string().contains("00000000000000000000.jsonl line"), "{finding}");
    }
}

#[tokio::test]
async fn an_entry_edited_together_with_its_hash_is_named() {
    for at in [0, 7, 17] {
        let edit = |l: &mut Vec<String>| rewrite(l, at, at + 1);
        check_journal(edit, Problem::Edited, at as u64, Some(at as u64 + 1)).await;
    }
}

#[tokio::test]
async fn an_entry_with_another_predecessor_is_named() {
    let edit = |l: &mut Vec<String>| {
        let text = l[7].split('\t').next().unwrap().to_owned();
        let start = text.find("\"prev\":\"").unwrap() + 8;
        let mut text = text;
        text.replace_range(start..start + 64, &"0".repeat(64));
        l[7] = rehash(&text);
    };
    check_journal(edit, Problem::Edited, 7, Some(8)).await;
}

#[tokio::test]
async fn history_rewritten_from_an_entry_on_contradicts_the_signed_heads() {
    // The first run ended after entry 9, the second after entry 19.
    let edit = |l: &mut Vec<String>| rewrite(l, 3, 20);
    // The leaves prove which entry was the first; without them it is one behind the last good head.
    check_journal(edit, Problem::Edited, 3, Some(2)).await;
    let edit = |l: &mut Vec<String>| rewrite(l, 15, 20);
    check_journal(edit, Problem::Edited, 15, Some(3)).await;
    for harm in [
        |path: &Path| fs::remove_file(path),
        |path: &Path| {
            let mut leaves = fs::read(path)?;
            leaves[0] ^= 1;
            fs::write(path, leaves)
        },
    ] as [fn(&Path) -> std::io::Result<()>; 2]
    {
        let dir = ledger().await;
        harm(&dir.path().join("tree/leaves")).unwrap();
        let mut lines = read(&segment(dir.path(), 0));
        rewrite(&mut lines, 15, 20);
        write(&segment(dir.path(), 0), &lines);
        let finding = check(dir.path()).unwrap_err();
        let found = (finding.problem, finding.sequence, finding.line);
        assert_eq!(found, (Problem::Edited, Some(10), Some(3)), "{finding}");
    }
}

/// What the first gateways signed: the chain alone. Signed by a gateway's own key, as they would have.
fn without_roots(dir: &Path, lines: &[usize]) {
    let heads = dir.join("journal/heads");
    let seed = fs::read_to_string(dir.join("keys/journal.ed25519")).unwrap();
    let mut all = read(&heads);
    for at in lines {
        let note: String = serde_json::from_str(&all[*at]).unwrap();
        let mut parts: Vec<String> = note.lines().map(str::to_owned).collect();
        let chain = parts.remove(3);
        parts[2] = base64(&unhex(chain.strip_prefix("chain ").unwrap()));
        let signed = parts.iter().take_while(|l| !l.is_empty()).map(|l| format!("{l}\n"));
        all[*at] = serde_json::Value::from(sign(&seed, &signed.collect::<String>())).to_string();
    }
    write(&heads, &all);
    let newest: String = serde_json::from_str(all.last().unwrap()).unwrap();
    fs::write(dir.join("journal/head"), newest).unwrap();
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The signed note of a text.
fn sign(key: &str, text: &str) -> String {
    use aws_lc_rs::signature::Ed25519KeyPair;
    use base64::Engine as _;
    let mut words = key.trim().splitn(5, '+').skip(2);
    let (origin, id, seed) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    let seed = base64::engine::general_purpose::STANDARD.decode(seed).unwrap();
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed[1..]).unwrap();
    let blob = [&unhex(id), pair.sign(text.as_bytes()).as_ref()].concat();
    format!("{text}\n\u{2014} {origin} {}\n", base64(&blob))
}

#[tokio::test]
async fn a_ledger_of_the_first_gateways_verifies_and_goes_on_as_a_tree() {
    let dir = ledger().await;
    without_roots(dir.path(), &[0, 1, 2]);
    fs::remove_dir_all(dir.path().join("tree")).unwrap();
    let report = check(dir.path()).unwrap();
    assert_eq!((report.entries, report.root), (20, None));
    drop(open(dir.path()));
    let report = check(dir.path()).unwrap();
    assert!(report.root.is_some(), "a head with a root is signed when it is opened");
    assert_eq!(fs::metadata(dir.path().join("tree/leaves")).unwrap().len(), 20 * 32);
    a_session(&open(dir.path()), 3, 4).await;
    assert_eq!(check(dir.path()).unwrap().entries, 30);
}

#[tokio::test]
async fn a_head_without_a_tree_behind_one_with_a_tree_is_refused() {
    let dir = ledger().await;
    without_roots(dir.path(), &[2]);
    let finding = check(dir.path()).unwrap_err();
    assert_eq!((finding.problem, finding.line), (Problem::Forked, Some(3)), "{finding}");
    assert!(matches!(Ledger::open(dir.path(), settings()), Err(LedgerError::Damaged { .. })));
}

#[tokio::test]
async fn another_tree_than_the_entries_make_is_named_and_mended_by_the_gateway() {
    let dir = ledger().await;
    let leaves = dir.path().join("tree/leaves");
    let good = fs::read(&leaves).unwrap();
    type Harm = fn(&mut Vec<u8>);
    let harms: [(Harm, Problem, u64); 4] = [
        (|l| l[7 * 32] ^= 1, Problem::Edited, 7),
        (|l| l.truncate(12 * 32 + 5), Problem::Truncated, 12),
        (|l| l.clear(), Problem::Truncated, 0),
        (|l| l.push(0), Problem::Edited, 20),
    ];
    for (harm, problem, entry) in harms {
        let mut bytes = good.clone();
        harm(&mut bytes);
        fs::write(&leaves, &bytes).unwrap();
        let finding = check(dir.path()).unwrap_err();
        assert_eq!((finding.problem, finding.sequence), (problem, Some(entry)), "{finding}");
        assert_eq!(finding.file, Path::new("tree/leaves"));
        drop(open(dir.path()));
        assert_eq!(fs::read(&leaves).unwrap(), good);
        check(dir.path()).unwrap();
    }
    fs::write(dir.path().join("tree/8"), "x").unwrap();
    assert_eq!(check(dir.path()).unwrap_err().problem, Problem::UnknownFile);
    fs::remove_file(dir.path().join("tree/8")).unwrap();
    fs::write(dir.path().join("tree/1"), "x").unwrap();
    assert_eq!(check(dir.path()).unwrap_err().problem, Problem::Edited);
    drop(open(dir.path()));
    check(dir.path()).unwrap();
    fs::remove_dir_all(dir.path().join("tree")).unwrap();
    check(dir.path()).expect("nothing rests on it");
}

#[tokio::test]
async fn a_tree_with_tiles_above_is_kept_and_mended() {
    let dir = tempdir().unwrap();
    a_session(&open(dir.path()), 1, 300).await;
    let tiles = dir.path().join("tree/1");
    let good = fs::read(&tiles).unwrap();
    assert_eq!(good.len(), 2 * 32, "602 entries fill two tiles");
    for bad in [&good[..32], &[&good[..40], &[9; 24]].concat(), b""] {
        fs::write(&tiles, bad).unwrap();
        let finding = check(dir.path()).unwrap_err();
        assert_eq!(finding.file, Path::new("tree/1"), "{finding}");
        assert_eq!(finding.sequence, Some(if bad.is_empty() { 255 } else { 511 }), "{finding}");
        drop(open(dir.path()));
        assert_eq!(fs::read(&tiles).unwrap(), good);
        check(dir.path()).unwrap();
    }
}

#[tokio::test]
async fn a_missing_entry_is_named() {
    for at in [0, 7, 18] {
        let harm = |l: &mut Vec<String>| drop(l.remove(at));
        check_journal(harm, Problem::Missing, at as u64, Some(at as u64 + 1)).await;
    }
    let several = |l: &mut Vec<String>| drop(l.drain(5..9));
    let finding = check_journal(several, Problem::Missing, 5, Some(6)).await;
    assert!(finding.detail.contains("entries 5 to 8"), "{finding}");
}

#[tokio::test]
async fn a_reordered_entry_is_named() {
    check_journal(|l| l.swap(7, 8), Problem::Reordered, 7, Some(8)).await;
    let far = |l: &mut Vec<String>| {
        let line = l.remove(3);
        l.push(line);
    };
    let finding = check_journal(far, Problem::Reordered, 3, Some(4)).await;
    assert!(finding.detail.contains("line 20"), "{finding}");
}

#[tokio::test]
async fn a_duplicated_entry_is_named() {
    check_journal(|l| l.insert(8, l[7].clone()), Problem::Duplicated, 7, Some(9)).await;
    check_journal(|l| l.push(l[2].clone()), Problem::Duplicated, 2, Some(21)).await;
}

#[tokio::test]
async fn an_unreadable_line_is_named() {
    check_journal(|l| l[4] = "garbage".into(), Problem::Unreadable, 4, Some(5)).await;
    check_journal(|l| l[4] = rehash("{\"seq\":4}"), Problem::Unreadable, 4, Some(5)).await;
    check_journal(|l| l[4] = String::new(), Problem::Unreadable, 4, Some(5)).await;
}

#[tokio::test]
async fn a_tail_cut_off_at_a_line_boundary_is_found_by_the_signed_heads() {
    for keep in [0, 5, 10, 19] {
        check_journal(|l| l.truncate(keep), Problem::Truncated, keep as u64, None).await;
    }
}

#[tokio::test]
async fn a_tail_cut_off_and_an_old_head_put_back_is_found_by_the_file_of_heads() {
    let dir = tempdir().unwrap();
    a_session(&open(dir.path()), 1, 4).await;
    let old = fs::read(dir.path().join("journal/head")).unwrap();
    a_session(&open(dir.path()), 2, 4).await;
    let path = segment(dir.path(), 0);
    let lines = read(&path);
    write(&path, &lines[..10]);
    fs::write(dir.path().join("journal/head"), old).unwrap();
    let finding = check(dir.path()).unwrap_err();
    assert_eq!((finding.problem, finding.sequence), (Problem::Truncated, Some(10)), "{finding}");
    assert!(finding.detail.contains("heads, line 3"), "{finding}");
}

#[tokio::test]
async fn a_ledger_rolled_back_as_a_whole_is_found_by_a_head_kept_elsewhere_and_only_so() {
    let dir = tempdir().unwrap();
    a_session(&open(dir.path()), 1, 4).await;
    let old = ["head", "heads"].map(|f| (f, fs::read(dir.path().join("journal").join(f)).unwrap()));
    a_session(&open(dir.path()), 2, 4).await;
    let kept = fs::read_to_string(dir.path().join("journal/head")).unwrap();
    let options = VerifyOptions { expected_head: Some(kept), ..VerifyOptions::default() };
    assert!(verify(dir.path(), &options).unwrap().expected_head_met);

    let path = segment(dir.path(), 0);
    let lines = read(&path);
    write(&path, &lines[..10]);
    for (file, bytes) in old {
        fs::write(dir.path().join("journal").join(file), bytes).unwrap();
    }
    assert_eq!(check(dir.path()).unwrap_err().file, Path::new("tree/leaves"), "it is longer");
    let leaves = fs::OpenOptions::new().write(true).open(dir.path().join("tree/leaves")).unwrap();
    leaves.set_len(10 * 32).unwrap();
    assert_eq!(check(dir.path()).unwrap().entries, 10, "consistent in itself");
    let finding = verify(dir.path(), &options).unwrap_err();
    assert_eq!((finding.problem, finding.sequence), (Problem::Truncated, Some(10)), "{finding}");

    // Another history of the same length, by the same key.
    a_session(&open(dir.path()), 3, 4).await;
    assert_eq!(check(dir.path()).unwrap().entries, 20);
    let finding = verify(dir.path(), &options).unwrap_err();
    assert_eq!(finding.problem, Problem::Forked, "{finding}");
}

#[tokio::test]
async fn an_old_head_alone_is_stale() {
    let dir = tempdir().unwrap();
    a_session(&open(dir.path()), 1, 1).await;
    let old = fs::read(dir.path().join("journal/head")).unwrap();
    for s in [2, 3] {
        a_session(&open(dir.path()), s, 1).await;
    }
    fs::write(dir.path().join("journal/head"), old).unwrap();
    assert_eq!(check(dir.path()).unwrap_err().problem, Problem::StaleHead);
}

#[tokio::test]
async fn heads_cut_off_are_found_by_the_newest_head() {
    let dir = ledger().await;
    let heads = dir.path().join("journal/heads");
    let lines = read(&heads);
    write(&heads, &lines[..lines.len() - 1]);
    let finding = check(dir.path()).unwrap_err();
    assert_eq!(finding.problem, Problem::Truncated, "{finding}");
    assert_eq!(finding.file, Path::new("journal/heads"));
}

#[tokio::test]
async fn two_histories_under_one_key_are_a_fork() {
    // One gateway's ledger, copied; both copies go on.
    let (one, two) = (tempdir().unwrap(), tempdir().unwrap());
    a_session(&open(one.path()), 1, 1).await;
    for part in ["journal", "keys", "recordings"] {
        fs::create_dir_all(two.path().join(part)).unwrap();
        for file in fs::read_dir(one.path().join(part)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), two.path().join(part).join(file.file_name())).unwrap();
        }
    }
    a_session(&open(one.path()), 2, 1).await;
    a_session(&open(two.path()), 3, 1).await;
    // Somebody joins the heads of both.
    let heads = one.path().join("journal/heads");
    let mut joined = read(&heads);
    joined.push(read(&two.path().join("journal/heads")).pop().unwrap());
    write(&heads, &joined);
    let finding = check(one.path()).unwrap_err();
    assert_eq!(finding.problem, Problem::Forked, "{finding}");
    assert_eq!(finding.line, Some(joined.len() as u64));
    // Or puts the other's newest head there.
    joined.pop();
    write(&heads, &joined);
    fs::copy(two.path().join("journal/head"), one.path().join("journal/head")).unwrap();
    assert_eq!(check(one.path()).unwrap_err().problem, Problem::Forked);
}

#[tokio::test]
async fn heads_that_another_key_signed_are_refused() {
    let dir = ledger().await;
    let other = tempdir().unwrap();
    let stranger = open(other.path()).verifier_key().to_owned();
    let options = VerifyOptions { public_key: Some(stranger), ..VerifyOptions::default() };
    assert_eq!(verify(dir.path(), &options).unwrap_err().problem, Problem::BadSignature);
    let own = open(dir.path()).verifier_key().to_owned();
    let options = VerifyOptions { public_key: Some(own), ..VerifyOptions::default() };
    assert!(!verify(dir.path(), &options).unwrap().key_from_ledger);

    let heads = dir.path().join("journal/heads");
    let mut lines = read(&heads);
    lines[1] = lines[1].replacen("\\n10\\n", "\\n11\\n", 1);
    write(&heads, &lines);
    let finding = check(dir.path()).unwrap_err();
    assert_eq!((finding.problem, finding.line), (Problem::BadSignature, Some(2)), "{finding}");
}

#[tokio::test]
async fn heads_out_of_order_repeated_or_unreadable_are_named() {
    type Harm = fn(&mut Vec<String>);
    let harms: [(Harm, Problem, u64); 3] = [
        (|l| l.swap(0, 1), Problem::Reordered, 2),
        (|l| l.insert(1, l[0].clone()), Problem::Duplicated, 2),
        (|l| l[1] = "{}".into(), Problem::Unreadable, 2),
    ];
    for (harm, problem, line) in harms {
        let dir = ledger().await;
        let heads = dir.path().join("journal/heads");
        let mut lines = read(&heads);
        harm(&mut lines);
        write(&heads, &lines);
        let finding = check(dir.path()).unwrap_err();
        assert_eq!((finding.problem, finding.line), (problem, Some(line)), "{finding}");
    }
}

#[tokio::test]
async fn missing_files_and_files_that_do_not_belong_are_named() {
    for file in ["journal/head", "journal/heads", "keys/journal.ed25519.pub"] {
        let dir = ledger().await;
        fs::remove_file(dir.path().join(file)).unwrap();
        let finding = check(dir.path()).unwrap_err();
        assert_eq!((finding.problem, finding.file.as_path()), (Problem::Missing, Path::new(file)));
    }
    let strangers =
        ["journal/notes.txt", "journal/torn-00000000000000000003", "recordings/x.jsonl"];
    for file in strangers {
        let dir = ledger().await;
        fs::write(dir.path().join(file), "x").unwrap();
        let finding = check(dir.path()).unwrap_err();
        assert_eq!(
            (finding.problem, finding.file.as_path()),
            (Problem::UnknownFile, Path::new(file))
        );
    }
}

#[tokio::test]
async fn a_missing_or_moved_segment_is_named() {
    let dir = tempdir().unwrap();
    let settings = LedgerSettings { segment_bytes: 2000, ..settings() };
    a_session(&Ledger::open(dir.path(), settings).unwrap(), 1, 10).await;
    let mut segments: Vec<_> =
        fs::read_dir(dir.path().join("journal")).unwrap().map(|f| f.unwrap().path()).collect();
    segments.retain(|p| p.extension().is_some_and(|e| e == "jsonl"));
    segments.sort();
    let first = |i: usize| segments[i].file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let (one, two, away): (u64, u64, _) = (first(1), first(2), dir.path().join("away"));
    fs::rename(&segments[1], &away).unwrap();
    let finding = check(dir.path()).unwrap_err();
    assert_eq!((finding.problem, finding.sequence), (Problem::Missing, Some(one)), "{finding}");
    assert!(finding.detail.contains(&format!("entries {one} to {}", two - 1)), "{finding}");
    fs::rename(&away, &segments[1]).unwrap();
    check(dir.path()).unwrap();

    let last = segments.len() - 1;
    let bytes = fs::read(&segments[1]).unwrap();
    fs::write(&segments[1], &bytes[..bytes.len() - 5]).unwrap();
    let finding = check(dir.path()).unwrap_err();
    let about = (finding.problem, finding.sequence);
    assert_eq!(about, (Problem::Truncated, Some(two - 1)), "{finding}");
    fs::write(&segments[1], &bytes).unwrap();
    fs::remove_file(&segments[last]).unwrap();
    let finding = check(dir.path()).unwrap_err();
    let about = (finding.problem, finding.sequence);
    assert_eq!(about, (Problem::Truncated, Some(first(last))), "{finding}");
}

#[tokio::test]
async fn an_unfinished_last_line_is_a_finding_unless_a_gateway_is_writing() {
    let dir = ledger().await;
    scribble(dir.path(), 0, b"{\"seq\":20,\"prev\":\"");
    let finding = check(dir.path()).unwrap_err();
    assert_eq!((finding.problem, finding.sequence), (Problem::Unfinished, Some(20)), "{finding}");
    let options = VerifyOptions { live: true, ..VerifyOptions::default() };
    assert_eq!(verify(dir.path(), &options).unwrap().entries, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_verifies_while_it_is_written() {
    let dir = tempdir().unwrap();
    let settings = LedgerSettings { head_every: Duration::from_millis(5), ..settings() };
    let ledger = Ledger::open(dir.path(), settings).unwrap();
    let writer = tokio::spawn({
        let ledger = ledger.clone();
        async move {
            for s in 0..20 {
                a_session(&ledger, s, 5).await;
            }
        }
    });
    let options = VerifyOptions { live: true, ..VerifyOptions::default() };
    let mut rounds = 0;
    while !writer.is_finished() || rounds == 0 {
        verify(dir.path(), &options).unwrap();
        rounds += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    writer.await.unwrap();
}
