//! Killed in the middle of writes, the record holds: nothing ran that is not in it. And an edited
//! record says so.

use portcullis_testkit::arena::{Arena, Setup};
use portcullis_testkit::raw::{RawClient, extended, message, query};
use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

static NEXT: AtomicU32 = AtomicU32::new(1);

/// Inserts ids until the connection breaks.
fn insert_until_broken(arena: &Arena, token: &str) {
    let Ok(mut client) = RawClient::log_in(arena.postgres, "claude", "shop", token) else { return };
    loop {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let Ok(answer) = client.query(&format!("INSERT INTO ledger_test VALUES ({id})")) else {
            return;
        };
        if answer.last().is_none_or(|m| m.tag != b'Z') {
            return;
        }
    }
}

fn journal_files(data: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(data.join("journal")).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "jsonl"));
    files.sort();
    files
}

fn entries(data: &Path) -> Vec<Value> {
    let mut entries = Vec::new();
    for file in journal_files(data) {
        for line in fs::read_to_string(file).unwrap().lines() {
            let json = line.split('\t').next().unwrap();
            entries.push(serde_json::from_str::<Value>(json).unwrap()["entry"].clone());
        }
    }
    entries
}

fn verified(arena: &Arena) -> (bool, String) {
    let output = arena.portcullis(&["audit", "verify"]).unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text.into_owned())
}

#[test]
fn killed_in_the_middle_of_writes() {
    let mut arena = Arena::start(&Setup::allow_all()).unwrap();
    arena.server.sql("shop", "CREATE TABLE ledger_test (id int PRIMARY KEY)").unwrap();
    for round in 0..3 {
        let token = arena.token("claude").unwrap();
        thread::scope(|scope| {
            let shared = &arena;
            let writers: Vec<_> =
                (0..6).map(|_| scope.spawn(|| insert_until_broken(shared, &token))).collect();
            thread::sleep(Duration::from_millis(700));
            let pid = shared.gateway_pid().unwrap();
            let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
            assert!(killed.unwrap().success());
            writers.into_iter().for_each(|w| w.join().unwrap());
        });
        arena.kill_gateway().unwrap();
        arena.start_gateway().unwrap();
        let (good, text) = verified(&arena);
        assert!(good, "round {round}: {text}");
    }
    arena.stop_gateway();
    let (good, text) = verified(&arena);
    assert!(good, "{text}");
    // Statements still running at the server when the gateway died have had their time.
    thread::sleep(Duration::from_millis(500));
    let there: HashSet<u32> = arena
        .truth("SELECT id FROM ledger_test")
        .unwrap()
        .lines()
        .map(|l| l.parse().unwrap())
        .collect();
    assert!(there.len() > 100, "only {} rows were written", there.len());
    let entries = entries(&arena.data());
    let of = |event: &str| entries.iter().filter(|e| e["event"] == event).collect::<Vec<_>>();
    let recorded: HashSet<u32> = of("intent")
        .iter()
        .filter_map(|e| {
            e["shown"]["statements"][0].as_str()?.split(['(', ')']).nth(1)?.parse().ok()
        })
        .collect();
    let missing: Vec<_> = there.difference(&recorded).collect();
    assert!(missing.is_empty(), "at the server, but not in the record: {missing:?}");
    let closed: HashSet<&str> =
        of("outcome").iter().filter_map(|e| e["request"].as_str()).collect();
    let open =
        of("intent").iter().filter(|e| !closed.contains(e["request"].as_str().unwrap())).count();
    assert_eq!(open, 0, "intents without an outcome after recovery");
    let abandoned = of("outcome").iter().filter(|e| e["status"] == "abandoned").count();
    assert!(abandoned > 0, "six writers were killed three times, and nothing was abandoned");
}

/// Of what was said in the storm.
static ANSWERED: AtomicU32 = AtomicU32::new(0);

/// Says things, each once, until the connection breaks: reads, changes, prepared ones, and in transactions.
fn talk_until_broken(arena: &Arena, token: &str, worker: u32) {
    let Ok(mut client) = RawClient::log_in(arena.postgres, "claude", "shop", token) else { return };
    loop {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let marked = format!("'storm-{id}-'");
        let said = match (worker + id) % 4 {
            0 => query(&format!("SELECT {marked}, * FROM generate_series(1, 20)")),
            1 => query(&format!("INSERT INTO ledger_test VALUES ({id}, {marked})")),
            2 => query(&format!("BEGIN; SELECT {marked}; COMMIT")),
            _ => {
                let sql = format!("SELECT {marked} WHERE $1 > 0");
                [extended(sql.as_bytes(), &[Some("1".to_owned())], false), message(b'S', b"")]
                    .concat()
            }
        };
        if client.send(&said).is_err() || client.until(b'Z').is_err() {
            return;
        }
        ANSWERED.fetch_add(1, Ordering::Relaxed);
    }
}

/// The numbers of what was said, in a text.
fn said_in(text: &str) -> HashSet<u32> {
    let parts = text.split("storm-").skip(1);
    parts.filter_map(|part| part.split_once('-')?.0.parse().ok()).collect()
}

/// Killed again and again in the middle of everything, by chance early or late: whatever the server says that it
/// heard is in the record, also what it had not done. The witness is the server's own log.
#[test]
fn in_a_storm_of_kills_nothing_is_heard_that_is_not_recorded() {
    let rounds = if std::env::var_os("PORTCULLIS_SLOW").is_some() { 15 } else { 5 };
    let mut setup = Setup::allow_all();
    let auditor = "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z";
    setup.more.push_str(&format!("[recording]\nrecipients = [\"{auditor}\"]\n"));
    let mut arena = Arena::start(&setup).unwrap();
    arena.server.sql("shop", "CREATE TABLE ledger_test (id int PRIMARY KEY, said text)").unwrap();
    arena.server.sql("shop", "ALTER SYSTEM SET log_statement = 'all'").unwrap();
    arena.server.sql("shop", "SELECT pg_reload_conf()").unwrap();
    for round in 0..rounds {
        let token = arena.token("claude").unwrap();
        let before = ANSWERED.load(Ordering::Relaxed);
        thread::scope(|scope| {
            let (shared, token) = (&arena, &token);
            let talking: Vec<_> = (0..8)
                .map(|worker| scope.spawn(move || talk_until_broken(shared, token, worker)))
                .collect();
            let deadline = Instant::now() + Duration::from_secs(30);
            while ANSWERED.load(Ordering::Relaxed) < before + 20 {
                assert!(Instant::now() < deadline, "nothing is answered");
                thread::sleep(Duration::from_millis(1));
            }
            // Up to 300 ms later, each time another.
            thread::sleep(Duration::from_millis((round * 379) % 300));
            let pid = shared.gateway_pid().unwrap();
            let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
            assert!(killed.unwrap().success());
            talking.into_iter().for_each(|one| one.join().unwrap());
        });
        arena.kill_gateway().unwrap();
        arena.start_gateway().unwrap();
    }
    arena.stop_gateway();
    let (good, text) = verified(&arena);
    assert!(good, "{text}");
    let log = fs::read_to_string(arena.server.directory().join("server.log")).unwrap();
    let heard = said_in(&log);
    assert!(heard.len() > 20 * usize::try_from(rounds).unwrap(), "only {} were heard", heard.len());
    let mut recorded = HashSet::new();
    let (mut intents, mut abandoned) = (0, 0);
    for entry in entries(&arena.data()) {
        match entry["event"].as_str() {
            Some("intent") => {
                recorded.extend(said_in(&entry["shown"].to_string()));
                intents += 1;
            }
            Some("outcome") => abandoned += u32::from(entry["status"] == "abandoned"),
            _ => {}
        }
    }
    let missing: Vec<_> = heard.difference(&recorded).collect();
    assert!(missing.is_empty(), "heard by the server, but not in the record: {missing:?}");
    assert!(abandoned > 0, "{intents} intents, {rounds} kills, and nothing was abandoned");
    println!("{rounds} kills: {} heard, {intents} intents, {abandoned} abandoned", heard.len());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn every_kind_of_tampering_is_named() {
    let mut arena = Arena::start(&Setup::agent_safe()).unwrap();
    let token = arena.token("claude").unwrap();
    let mut client = RawClient::log_in(arena.postgres, "claude", "shop", &token).unwrap();
    for n in 0..20 {
        client.query(&format!("SELECT {n}")).unwrap();
    }
    drop(client);
    thread::sleep(Duration::from_millis(1500));
    arena.stop_gateway();
    assert!(verified(&arena).0);
    type Edit = fn(&mut Vec<String>);
    let edits: [(&str, Edit); 6] = [
        ("an edited entry", |lines| lines[9] = lines[9].replacen("SELECT", "SELECt", 1)),
        ("a deleted entry", |lines| drop(lines.remove(7))),
        ("swapped entries", |lines| lines.swap(5, 6)),
        ("a doubled entry", |lines| {
            let line = lines[8].clone();
            lines.insert(8, line);
        }),
        ("a cut end", |lines| lines.truncate(lines.len() - 3)),
        ("a torn end", |lines| {
            let last = lines.last_mut().unwrap();
            last.truncate(last.len() / 2);
        }),
    ];
    for (what, edit) in edits {
        let data = arena.directory().join(what.replace(' ', "-"));
        copy(&arena.data(), &data);
        let file = journal_files(&data).remove(0);
        let text = fs::read_to_string(&file).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        edit(&mut lines);
        let torn = what == "a torn end";
        fs::write(&file, lines.join("\n") + if torn { "" } else { "\n" }).unwrap();
        let config = fs::read_to_string(arena.config()).unwrap();
        let other = arena.directory().join("tampered.toml");
        let path = format!("data_dir = {:?}", data.to_str().unwrap());
        fs::write(&other, config.replace("data_dir = \"data\"", &path)).unwrap();
        let output = std::process::Command::new(portcullis_testkit::arena::binary())
            .arg("--config")
            .arg(&other)
            .args(["audit", "verify"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{what}: {said}");
        assert!(said.contains("journal"), "{what}: {said}");
    }
}

/// A line that continues the journal's chain in every respect but the code that takes its key.
fn forged(data: &Path) -> String {
    let text = fs::read_to_string(journal_files(data).pop().unwrap()).unwrap();
    let (last, hash) = text.lines().last().unwrap().split_once('\t').unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    let next = last["seq"].as_u64().unwrap() + 1;
    let entry = "{\"at\":1,\"event\":\"decided\",\"forged\":true}";
    let code = "0".repeat(32);
    let line =
        format!("{{\"seq\":{next},\"prev\":\"{hash}\",\"entry\":{entry},\"mac\":\"{code}\"}}");
    let file = data.join("forged");
    fs::write(&file, &line).unwrap();
    let sum = std::process::Command::new("sha256sum").arg(&file).output().unwrap().stdout;
    fs::remove_file(file).unwrap();
    format!("{line}\t{}\n", String::from_utf8(sum).unwrap().split(' ').next().unwrap())
}

fn append(data: &Path, text: &str) {
    let file = journal_files(data).pop().unwrap();
    let journal = fs::read_to_string(&file).unwrap();
    fs::write(file, journal + text).unwrap();
}

#[test]
fn what_is_added_without_the_key_is_neither_good_nor_signed() {
    let mut arena = Arena::start(&Setup::agent_safe()).unwrap();
    let token = arena.token("claude").unwrap();
    let mut client = RawClient::log_in(arena.postgres, "claude", "shop", &token).unwrap();
    client.query("SELECT 1").unwrap();
    assert!(verified(&arena).0, "while it is written");
    drop(client);
    arena.stop_gateway();
    let (good, text) = verified(&arena);
    assert!(good && text.contains("no gap, no edit\n"), "{text}");

    let line = forged(&arena.data());
    append(&arena.data(), &line);
    let (good, text) = verified(&arena);
    assert!(!good && text.starts_with("forged: entry "), "{text}");
    append(&arena.data(), "{\"seq\":");
    assert!(!verified(&arena).0);
    arena.start_gateway().unwrap();
    let (good, text) = verified(&arena);
    assert!(good && text.contains("set aside, because nothing proved them: 1"), "{text}");
    let entries = entries(&arena.data());
    assert!(entries.iter().all(|e| e["forged"] != true), "a forged entry counts");
    let said = entries.iter().find(|e| e["event"] == "unproven").expect("the record says so");
    let kept = arena.data().join(said["file"].as_str().unwrap());
    assert_eq!(fs::read_to_string(kept).unwrap(), line + "{\"seq\":");
    arena.stop_gateway();

    append(&arena.data(), "{\"seq\":");
    let (good, text) = verified(&arena);
    assert!(
        !good && text.starts_with("unfinished"),
        "half a line behind a stopped journal: {text}"
    );
}
