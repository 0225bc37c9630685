//! The record is a transparency log that others can check: Go's own implementation reads its tiles, and
//! `portcullis-verify`, which has nothing of the gateway, its files.

use portcullis_testkit::arena::{self, Arena, Setup};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn key(arena: &Arena) -> PathBuf {
    arena.data().join("keys/journal.ed25519.pub")
}

/// Checks a copy of the log, or a proof, with Go's implementation, and gives the lines it printed.
fn go(arena: &Arena, more: &[&str], what: &Path) -> Result<Vec<String>, String> {
    let tools = std::env::var_os("PORTCULLIS_TOOLS").expect("run by `./dev test`, which sets it");
    let mut command = Command::new(PathBuf::from(tools).join("tlog"));
    let key = fs::read_to_string(key(arena)).unwrap();
    let output = command.args(more).arg(key.trim()).arg(what).output();
    let output = output.expect("`./dev test` builds it");
    match output.status.success() {
        true => Ok(said(&output).lines().map(str::to_owned).collect()),
        false => Err(said(&output)),
    }
}

/// Entries that the newest head commits to.
fn signed(arena: &Arena) -> u64 {
    let head = fs::read_to_string(arena.data().join("journal/head")).unwrap();
    head.lines().nth(1).unwrap().parse().unwrap()
}

/// Runs so many statements, and waits for a head over all of them.
fn run(arena: &Arena, statements: usize) {
    let before = signed(arena);
    let mut client = arena.client("claude").unwrap();
    for n in 0..statements {
        client.query(&format!("SELECT {n}")).unwrap();
    }
    let until = Instant::now() + Duration::from_secs(20);
    while signed(arena) < before + 2 * statements as u64 {
        assert!(Instant::now() < until, "no head is signed over what ran");
        thread::sleep(Duration::from_millis(50));
    }
}

fn copied(arena: &Arena, to: &Path) -> Value {
    let to = to.to_str().unwrap();
    let output = arena.portcullis(&["--json", "audit", "tiles", "--to", to]).unwrap();
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The hashes that the journal's lines end in.
fn hashes(arena: &Arena, entries: usize) -> Vec<String> {
    let mut files: Vec<_> =
        fs::read_dir(arena.data().join("journal")).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "jsonl"));
    files.sort();
    let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    text.lines().take(entries).map(|l| l.rsplit_once('\t').unwrap().1.to_owned()).collect()
}

#[test]
fn another_implementation_follows_the_log() {
    let arena = Arena::start(&Setup::allow_all()).unwrap();
    let (copy, kept) = (arena.directory().join("copy"), arena.directory().join("kept"));
    run(&arena, 60);
    let first = copied(&arena, &copy);
    fs::copy(copy.join("checkpoint"), &kept).unwrap();
    let entries = first["entries"].as_u64().unwrap() as usize;
    assert_eq!(go(&arena, &[], &copy).unwrap(), hashes(&arena, entries));

    // While the gateway writes, and behind the first full tiles.
    run(&arena, 400);
    let second = copied(&arena, &copy);
    let entries = second["entries"].as_u64().unwrap() as usize;
    assert!(entries > 3 * 256, "{second}");
    let found = go(&arena, &["-old", kept.to_str().unwrap()], &copy).unwrap();
    assert_eq!(found[0], format!("grown from {}", first["entries"]));
    assert_eq!(found[1..], hashes(&arena, entries));
    assert!(copy.join("tile/1/000.p/3").is_file() || entries >= 4 * 256);

    // What does not lead to the signed root is refused there.
    let tile = copy.join("tile/0/000");
    let good = fs::read(&tile).unwrap();
    let mut bad = good.clone();
    bad[40] ^= 1;
    fs::write(&tile, bad).unwrap();
    let refused = go(&arena, &[], &copy).unwrap_err();
    assert!(refused.contains("invalid transparency proof"), "{refused}");
    fs::write(&tile, good).unwrap();
    let text = fs::read_to_string(copy.join("checkpoint")).unwrap();
    fs::write(copy.join("checkpoint"), text.replacen(&entries.to_string(), "7", 1)).unwrap();
    let refused = go(&arena, &[], &copy).unwrap_err();
    assert!(refused.contains("signature"), "{refused}");
}

fn verify(arguments: &[&str]) -> (Option<i32>, String) {
    let binary = arena::binary().with_file_name("portcullis-verify");
    let output = Command::new(binary).args(arguments).output().unwrap();
    (output.status.code(), said(&output))
}

#[test]
fn one_entry_is_proven_to_whoever_sees_no_other() {
    let arena = Arena::start(&Setup::allow_all()).unwrap();
    run(&arena, 200);
    let size = signed(&arena);
    let file = arena.directory().join("proof");
    let key = key(&arena).to_str().unwrap().to_owned();
    let check = |text: &str| {
        fs::write(&file, text).unwrap();
        verify(&["--json", "--proof", file.to_str().unwrap(), "--key", &key])
    };
    let segment = arena.data().join("journal/00000000000000000000.jsonl");
    let journal = fs::read_to_string(segment).unwrap();
    let lines: Vec<&str> = journal.lines().map(|l| l.split_once('\t').unwrap().0).collect();
    let mut proofs = Vec::new();
    for entry in [0, 1, 100, 255, 256, size - 1] {
        let output = arena.portcullis(&["audit", "prove", &entry.to_string()]).unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let proof = String::from_utf8(output.stdout).unwrap();
        let (code, text) = check(&proof);
        assert_eq!(code, Some(0), "{entry}: {text}");
        let proven: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(proven["index"], entry);
        assert_eq!(proven["entry"], lines[entry as usize]);
        assert_eq!(go(&arena, &["-proof"], &file).unwrap(), [lines[entry as usize]]);
        proofs.push(proof);
    }
    // Not of another entry, place, path or size, nor by another key.
    let (one, other) = (&proofs[2], &proofs[3]);
    let line = |proof: &str, at: usize| proof.lines().nth(at).unwrap().to_owned();
    let swap = |at: usize| one.replacen(&line(one, at), &line(other, at), 1);
    let forged = [swap(1), swap(2), swap(3), one.replacen(&line(one, 3), "", 1)];
    let sized = one.replacen(&format!("\n{size}\n"), &format!("\n{}\n", size - 1), 1);
    for bad in forged.iter().chain([&sized, &one.replacen("@v1", "@v2", 1), &String::new()]) {
        assert_eq!(check(bad).0, Some(1), "{bad}");
    }
    let stranger = Arena::start(&Setup::allow_all()).unwrap();
    fs::write(&file, one).unwrap();
    let key = stranger.data().join("keys/journal.ed25519.pub");
    let (code, text) = verify(&["--proof", file.to_str().unwrap(), "--key", key.to_str().unwrap()]);
    assert!(code == Some(1) && text.starts_with("bad signature"), "{text}");
    let none = arena.portcullis(&["audit", "prove", "1000000"]).unwrap();
    assert!(!none.status.success() && said(&none).contains("commits to"), "{}", said(&none));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn the_verifier_alone_checks_a_copy() {
    let mut arena = Arena::start(&Setup::allow_all()).unwrap();
    run(&arena, 30);
    let kept = arena.directory().join("kept");
    fs::copy(arena.data().join("journal/head"), &kept).unwrap();
    run(&arena, 30);
    let data = arena.data();
    let (code, text) = verify(&[data.to_str().unwrap()]);
    assert_eq!(code, Some(0), "while it is written: {text}");
    arena.stop_gateway();

    let away = arena.directory().join("away");
    for part in ["journal", "tree", "recordings"] {
        copy(&data.join(part), &away.join(part));
    }
    let (away_s, key, kept) = (
        away.to_str().unwrap().to_owned(),
        key(&arena).to_str().unwrap().to_owned(),
        kept.to_str().unwrap().to_owned(),
    );
    let good = ["--json", &away_s, "--key", &key, "--head", &kept];
    let (code, text) = verify(&good);
    assert_eq!(code, Some(0), "{text}");
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["key_from_ledger"], false);
    assert_eq!(report["expected_head_met"], true);
    assert_eq!(report["unsigned_entries"], 0);
    assert_eq!(report["root"].as_str().unwrap().len(), 64);

    // The private key is not in the copy, and nothing else of the gateway is needed.
    assert!(!away.join("keys").exists());
    let (code, text) = verify(&[&away_s]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("keys/journal.ed25519.pub"), "{text}");

    let segment = away.join("journal/00000000000000000000.jsonl");
    let text = fs::read_to_string(&segment).unwrap();
    fs::write(&segment, text.replacen("SELECT 11", "SELECT 12", 1)).unwrap();
    let (code, found) = verify(&good);
    assert_eq!(code, Some(1), "{found}");
    let found: Value = serde_json::from_str(&found).unwrap();
    let line = text.lines().position(|line| line.contains("SELECT 11")).unwrap();
    assert_eq!((&found["problem"], &found["sequence"]), (&"edited".into(), &line.into()));

    let (code, text) = verify(&["/nowhere"]);
    assert_eq!(code, Some(2), "{text}");
    let (code, text) = verify(&[&away_s, "--key", "/nowhere"]);
    assert_eq!(code, Some(2), "{text}");
}

fn time() -> String {
    let output = Command::new("date").args(["-u", "+%FT%T.%6NZ"]).output().unwrap();
    said(&output).trim().to_owned()
}

/// Somebody who has a pack of evidence and the key, and nothing else, sees that it is whole, what it says, and what it
/// rests on.
#[test]
fn a_pack_of_evidence_is_checked_by_a_stranger() {
    let setup = Setup {
        more: "[administration]\ngroups = [\"admins\"]\n[recording]\nsample_rows = 5\n".to_owned(),
        ..Setup::agent_safe()
    };
    let arena = Arena::start(&setup).unwrap();
    let mut long = arena.client("claude").unwrap();
    long.query("SELECT 'before' AS mark").unwrap();
    thread::sleep(Duration::from_millis(50));
    let from = time();
    long.query("SELECT 'within `it` | <b>' AS mark").unwrap();
    long.query("DROP TABLE customers").unwrap();
    arena.psql("hal", "SELECT id FROM customers ORDER BY id LIMIT 2").unwrap();
    run(&arena, 3);
    let to = time();
    long.query("SELECT 'after' AS mark").unwrap();
    thread::sleep(Duration::from_millis(1500));
    let pack = arena.directory().join("pack");
    let place = pack.to_str().unwrap();
    let mut arguments =
        vec!["--json", "evidence", "--from", &from, "--to", &to, "--recordings", "-o", place];
    arguments.extend(["--control", "pci-10.2", "--control", "eu-ai-act-12"]);
    let output = arena.portcullis(&arguments).unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        made["recordings"].as_u64() >= Some(1) && made["context"].as_u64() >= Some(2),
        "{made}"
    );
    // Nobody else's files, and nothing of before or after but what it rests on.
    let read = |name: &str| fs::read_to_string(pack.join(name)).unwrap();
    let entries = read("entries.jsonl");
    assert!(
        entries.contains("within") && !entries.contains("'before'") && !entries.contains("'after'")
    );
    let report = read("report.md");
    assert!(report.contains("claude") && report.contains("within 'it' | <b>"), "{report}");
    assert!(report.contains("| pci-10.2 | 10.2.1.4 |") && !report.contains("soc2"), "{report}");
    let rules: Value = serde_json::from_str(&read("rules.json")).unwrap();
    let governed =
        fs::read_to_string(arena.data().join("journal/00000000000000000000.jsonl")).unwrap();
    assert!(
        governed.contains(rules["version"].as_str().unwrap()),
        "the rules are not those in force"
    );
    assert!(!read("settings.json").contains("PRIVATE"));

    let alone = arena.directory().join("elsewhere");
    let copied = Command::new("cp").arg("-r").args([&pack, &alone]).status().unwrap();
    assert!(copied.success());
    let key = key(&arena);
    let arguments = ["--evidence", alone.to_str().unwrap(), "--key", key.to_str().unwrap()];
    let (code, text) = verify(&arguments);
    assert!(code == Some(0) && text.contains("all there are of the log between"), "{text}");
    let harmed = entries.replacen("within", "without", 1);
    fs::write(alone.join("entries.jsonl"), harmed).unwrap();
    let (code, text) = verify(&arguments);
    assert!(code == Some(1) && text.contains("edited") && text.contains("entries.jsonl"), "{text}");
    // Never over what is there.
    let again = arena.portcullis(&["evidence", "--from", &from, "--to", &to, "-o", place]).unwrap();
    assert!(said(&again).contains("does not exist yet"), "{}", said(&again));
}
