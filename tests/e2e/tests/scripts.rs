//! Wire scripts, run three ways: the real server alone; through the gateway allowing all, with an
//! equal transcript; through the default pack, with the transcript that is committed beside the
//! script. And the first two again with one byte per write.

use portcullis_testkit::arena::{Arena, Setup};
use portcullis_testkit::raw::RawClient;
use portcullis_testkit::script;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

fn scripts() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/postgres");
    let mut scripts: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|e| e.unwrap().path()).collect();
    scripts.retain(|p| p.extension().is_some_and(|e| e == "wire"));
    scripts.sort();
    assert!(scripts.len() > 12);
    scripts
}

fn transcript(mut client: RawClient, piece: usize, text: &str) -> String {
    client.piece = piece;
    match script::run(&mut client, text) {
        Ok(transcript) => transcript,
        // A hold or a hang: the difference shows.
        Err(error) => format!("{error}\n"),
    }
}

/// What differs from run to run: ids in refusals and notices.
fn steady(transcript: &str) -> String {
    let mut out = String::new();
    for line in transcript.lines() {
        let mut words = Vec::new();
        for word in line.split(' ') {
            let word = match word.find("dec_").or_else(|| word.find("rev_")) {
                Some(at) => format!("{}…", &word[..at + 4]),
                None => word.to_owned(),
            };
            words.push(word);
        }
        out.push_str(&words.join(" "));
        out.push('\n');
    }
    out
}

/// The gateway refuses unreadable text itself, and knows no position in it.
fn positionless(transcript: &str) -> String {
    let line = |line: &str| match line.rsplit_once(" P=") {
        Some((rest, _)) if line.contains("C=42601") => rest.to_owned() + "\n",
        _ => line.to_owned() + "\n",
    };
    transcript.lines().map(line).collect()
}

#[test]
fn scripts_run_three_ways() {
    let open = Arena::start(&Setup::allow_all()).unwrap();
    let safe = Arena::start(&Setup { role: "shop_app", ..Setup::agent_safe() }).unwrap();
    let server = SocketAddr::from(([127, 0, 0, 1], open.server.port()));
    let token = open.token("claude").unwrap();
    let safe_token = safe.token("claude").unwrap();
    let mut problems = Vec::new();
    for path in scripts() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let direct = || RawClient::log_in(server, "raw", "shop", "").unwrap();
        let through = || RawClient::log_in(open.postgres, "claude", "shop", &token).unwrap();
        let expected = positionless(&transcript(direct(), 0, &text));
        assert!(expected.lines().count() > 3, "{name} says almost nothing");
        for (way, seen) in [
            ("allowing all", transcript(through(), 0, &text)),
            ("allowing all, byte by byte", transcript(through(), 1, &text)),
            ("direct, byte by byte", transcript(direct(), 1, &text)),
        ] {
            if positionless(&seen) != expected {
                problems.push(format!("== {name}, {way}\n-- expected\n{expected}-- seen\n{seen}"));
            }
        }
        if ["INSERT", "UPDATE", "FROM STDIN"].iter().any(|write| text.contains(write)) {
            // Under the default pack its writes wait for people: `review.rs` has those.
            continue;
        }
        let client = RawClient::log_in(safe.postgres, "claude", "shop", &safe_token).unwrap();
        let seen = steady(&transcript(client, 0, &text));
        let file = path.with_extension("policy");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&file, &seen).unwrap();
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        if seen != expected {
            problems
                .push(format!("== {name}, default pack\n-- expected\n{expected}-- seen\n{seen}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
