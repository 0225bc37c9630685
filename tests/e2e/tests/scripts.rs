//! Wire scripts, run three ways: the real server alone; through the gateway allowing all, with an
//! equal transcript; through the default pack, with the transcript that is committed beside the
//! script. And the first two again with one byte per write.
//!
//! `UPDATE=1` writes the transcripts of the default pack anew. There nobody decides, and a review
//! expires after a second. A script with the line `# differs` says something the gateway never
//! passes on, so its transcripts are only compared with each other.

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
    assert!(scripts.len() >= 40);
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

/// What versions of PostgreSQL say differently: what others say, and what is committed.
const WORDINGS: [(&str, &str); 3] = [
    ("(actual rows=1.00 loops=1)", "(actual rows=1 loops=1)"),
    ("\"DateStyle\"", "\"datestyle\""),
    (" bool:16:1 ", " ?column?:16:1 "),
];

/// What differs from run to run: ids and digests in refusals and notices, and the name the gateway
/// gives its sessions at the target, where a reset takes a client that chose none. And from version
/// to version: some words, in which order changed settings are told, and whether the role is.
fn steady(transcript: &str) -> String {
    let mut out = String::new();
    let mut settings: Vec<&str> = Vec::new();
    for line in transcript.lines() {
        if line.starts_with("S session_authorization\\x00") {
            continue;
        }
        if line.starts_with("S ") {
            let renamed = line.starts_with("S application_name\\x00portcullis:ses_");
            settings.push(if renamed { "S application_name\\x00\\x00" } else { line });
            continue;
        }
        settings.sort_unstable();
        settings.drain(..).for_each(|setting| out.extend([setting, "\n"]));
        let mut words = Vec::new();
        for word in line.split(' ') {
            let cut = ["dec_", "rev_"].iter().find_map(|id| word.find(id).map(|at| at + id.len()));
            words.push(match (cut, words.last().map(String::as_str)) {
                (Some(at), _) => format!("{}…", &word[..at]),
                (None, Some("digest")) => "…".to_owned(),
                (None, _) => word.to_owned(),
            });
        }
        let line = words.join(" ");
        out.push_str(&WORDINGS.iter().fold(line, |line, (new, old)| line.replace(new, old)));
        out.push('\n');
    }
    settings.sort_unstable();
    settings.drain(..).for_each(|setting| out.extend([setting, "\n"]));
    out
}

/// The script by every way, and what is wrong with what was seen.
fn problems(path: &Path, arenas: &Arenas) -> Vec<String> {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let text = fs::read_to_string(path).unwrap();
    let differs = text.lines().any(|line| line == "# differs");
    // Before PostgreSQL 14 settings are told while they change, not at the end.
    let told_at_the_end = arenas.open.server.version() >= 14;
    if differs && !told_at_the_end {
        return Vec::new();
    }
    let open = &arenas.open;
    let server = SocketAddr::from(([127, 0, 0, 1], open.server.port()));
    let direct = || RawClient::log_in(server, "raw", "shop", "").unwrap();
    let through = || RawClient::log_in(open.postgres, "claude", "shop", &arenas.token).unwrap();
    let mut problems = Vec::new();
    let expected = transcript(direct(), 0, &text);
    let own = transcript(through(), 0, &text);
    let other = if differs { committed(path, "open", &own) } else { String::new() };
    let through_expected = if differs { &other } else { &expected };
    assert!(expected.lines().count() > 1, "{name} says almost nothing");
    for (way, seen, expected) in [
        ("allowing all", &own, through_expected),
        ("allowing all, byte by byte", &transcript(through(), 1, &text), through_expected),
        ("direct, byte by byte", &transcript(direct(), 1, &text), &expected),
    ] {
        if steady(seen) != steady(expected) {
            problems.push(format!("== {name}, {way}\n{}", difference(expected, seen)));
        }
    }
    let safe = &arenas.safe;
    let client = RawClient::log_in(safe.postgres, "claude", "shop", &arenas.safe_token).unwrap();
    let seen = steady(&transcript(client, 0, &text));
    let expected = steady(&committed(path, "policy", &seen));
    if told_at_the_end && seen != expected {
        problems.push(format!("== {name}, default pack\n{}", difference(&expected, &seen)));
    }
    problems
}

/// The transcript beside the script; with `UPDATE` set, what is seen is written there first.
fn committed(script: &Path, extension: &str, seen: &str) -> String {
    let file = script.with_extension(extension);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, steady(seen)).unwrap();
    }
    fs::read_to_string(&file).unwrap_or_default()
}

/// The lines of both from the first that differs, each cut to a readable length.
fn difference(expected: &str, seen: &str) -> String {
    let same = expected.lines().zip(seen.lines()).take_while(|(e, s)| e == s).count();
    let show = |text: &str| -> String {
        text.lines().skip(same).map(|line| format!("   {line:.600}\n")).collect()
    };
    format!("   ({same} lines alike)\n-- expected\n{}-- seen\n{}", show(expected), show(seen))
}

struct Arenas {
    open: Arena,
    token: String,
    safe: Arena,
    safe_token: String,
}

#[test]
fn scripts_run_three_ways() {
    let open = Arena::start(&Setup::allow_all()).unwrap();
    let mut setup = Setup { role: "shop_app", ..Setup::agent_safe() };
    setup.policy.push_str("[review]\nexpires = \"1s\"\n");
    let safe = Arena::start(&setup).unwrap();
    let rows = "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM payments)";
    let before = safe.truth(rows).unwrap();
    let token = open.token("claude").unwrap();
    let safe_token = safe.token("claude").unwrap();
    let arenas = Arenas { open, token, safe, safe_token };
    let problems: Vec<String> = scripts().iter().flat_map(|s| problems(s, &arenas)).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(arenas.safe.truth(rows).unwrap(), before, "something ran that nobody approved");
}
