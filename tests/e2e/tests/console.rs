//! The console in a browser: `tests/console/console.mjs` says what is tried there.

use portcullis_testkit::arena::{Arena, Setup};
use portcullis_testkit::browser;
use std::collections::HashMap;

const RULES: &str = r#"
@id("signed-off") @review("dba") @reason("a DBA signs it off")
forbid (principal, action == Action::"delete", resource is Relation)
unless { context.approvals.contains("dba") };
@id("rehearsed") @review("dba") @rehearse("30s") @reason("a DBA looks at what it does")
forbid (principal, action == Action::"update", resource is Relation)
when { resource.name == "reviewed" } unless { context.approvals.contains("dba") };
"#;

/// The same database, by a connection that takes a grant.
const VAULT: &str = r#"[connections.vault]
environment = "production"
groups = ["agents"]
access = { approvers = "dba", longest = "1h" }
detectors = []
[connections.vault.target]
host = "127.0.0.1"
port = {port}
database = "shop"
user = "owner"
password_file = "app.password"
"#;

const TABLES: &str = r#"
CREATE TABLE reviewed AS SELECT n AS id, 0 AS v FROM generate_series(1, 9) n;
ALTER TABLE reviewed ADD PRIMARY KEY (id);
CREATE TABLE signed AS SELECT n AS id FROM generate_series(1, 99) n;
CREATE TABLE "<img src=x onerror=alert(1)>" (note text);
DROP TABLE IF EXISTS payments, order_items CASCADE;
ANALYZE;"#;

fn arena() -> Arena {
    let mut setup = Setup::allow_all();
    setup.policy = "[policy]\npacks = [\"allow-all\"]\nfiles = [\"console.cedar\"]\n".to_owned();
    setup.more = format!("[administration]\ngroups = [\"dba\"]\n{VAULT}");
    let arena = Arena::start_with(&setup, &[("console.cedar", RULES)]).unwrap();
    arena.server.sql("shop", TABLES).unwrap();
    let made = arena.portcullis(&[
        "credential",
        "--as",
        "bo",
        "create",
        "--connection",
        "shop",
        "--purpose",
        "for the <console> test",
    ]);
    let made = made.unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    arena
}

#[test]
fn people_see_what_waits_and_decide_it_in_a_browser() {
    let arena = arena();
    let token = |name| arena.token(name).unwrap();
    let tokens = ["ana", "bo", "claude", "deckard"].map(|name| (name, token(name)));
    let tokens = serde_json::to_string(&HashMap::from(tokens)).unwrap();
    println!("{}", browser::run(&arena, "console.mjs", &[("TOKENS", tokens)]).unwrap());
}

/// What the pages for administrators show is had at a terminal too, and by nobody else.
#[test]
fn the_command_line_shows_what_the_pages_show() {
    let arena = arena();
    let run = |name: &str, arguments: &[&str]| {
        let arguments = [&["--json"], arguments, &["--as", name]].concat();
        let out = arena.portcullis(&arguments).unwrap();
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        (out.status.code(), said + &String::from_utf8_lossy(&out.stderr))
    };
    let json = |said: &str| -> serde_json::Value { serde_json::from_str(said).unwrap() };
    // The arena's role owns its tables: something is to be looked at.
    let (code, said) = run("bo", &["health"]);
    assert_eq!(code, Some(1), "{said}");
    let findings = json(&said)["last"]["findings"].clone();
    let of = |check: &str, about: &str| {
        let mut all = findings.as_array().unwrap().iter();
        all.any(|one| one["check"] == check && (about.is_empty() || one["about"] == about))
    };
    for check in ["config", "documents", "journal", "disk", "store", "notifications"] {
        assert!(of(check, ""), "{check}: {findings:#}");
    }
    assert!(of("targets", "shop") && of("targets", "vault"), "{findings:#}");
    // Who asks again at once waits: targets are dialed no more often.
    let ended = |said: &str| {
        let last = json(said)["last"].clone();
        (last["at"].as_i64().unwrap(), last["milliseconds"].as_i64().unwrap())
    };
    let (begun, milliseconds) = ended(&said);
    let (_, said) = run("bo", &["health"]);
    assert!(ended(&said).0 >= begun + (milliseconds + 4_900) * 1_000, "{said}");
    let (_, said) = run("bo", &["connections"]);
    let shop = json(&said)[0].clone();
    assert_eq!(shop["name"], "shop");
    assert!(!shop["inside"]["findings"].as_array().unwrap().is_empty(), "{shop:#}");
    // Each target was asked at a time of its own.
    let asked = |at: usize| json(&said)[at]["inside"]["checked"].as_i64().unwrap();
    assert!(asked(0) < asked(1), "{said}");
    let (_, said) = run("bo", &["identity"]);
    assert_eq!(json(&said)["administrators"][0], "dba");
    let reviewers = json(&said)["reviewers"].clone();
    let dba = reviewers.as_array().unwrap().iter().find(|one| one["group"] == "dba").unwrap();
    assert_eq!(dba["rules"], serde_json::json!(["rehearsed", "signed-off"]), "{dba:#}");
    assert_eq!(dba["connections"], serde_json::json!(["vault"]), "{dba:#}");
    let known = dba["known"].as_array().unwrap();
    assert!(known.iter().any(|who| who["subject"] == "bo"), "{dba:#}");
    // There is no provider but the one for development, all of whose people are known.
    assert_eq!(dba["others"], false, "{dba:#}");
    for command in ["health", "identity"] {
        for name in ["ana", "claude"] {
            let (code, said) = run(name, &[command]);
            assert_ne!(code, Some(0), "{command} as {name}: {said}");
        }
    }
    let shown = arena.portcullis(&["config", "show"]).unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("connections.vault.environment = \"production\""), "{shown}");
    assert!(shown.contains("default   limits.connections = 4096"), "{shown}");
}
