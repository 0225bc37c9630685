//! Tests of policies, explanations, and what is recorded judged again by rules that somebody wants: nothing of
//! it reaches a target, and nobody is told what is not for them.

use portcullis_testkit::arena::{Arena, Setup, files_below};
use portcullis_testkit::raw::{Message, RawClient};
use portcullis_testkit::web::{Answer, http};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const CLOSED: &str = "@id(\"closed\") @reason(\"orders are closed\")\n\
    forbid (principal, action == Action::\"read\", resource is Relation)\n\
    when { resource.name == \"orders\" };\n";
const NOT_BO: &str = "@id(\"not-bo\") @reason(\"not for bo's agents\")\n\
    forbid (principal, action == Action::\"read\", resource is Relation)\n\
    when { principal is Agent && principal has acting_for && principal.acting_for == \"bo\" };\n";
const HIDDEN: &str = "@id(\"no-names\") @reason(\"names are nobody's business\") @mask(\"null\")\n\
    forbid (principal, action == Action::\"reveal\", resource)\n\
    when { resource.relation == \"customers\" && resource.name == \"name\" };\n";
const TESTS: &str = "connection = \"shop\"\n[principal]\nkind = \"agent\"\nname = \"claude\"\n\
    groups = [\"agents\"]\n\
    [[case]]\nname = \"orders are read\"\nstatement = \"SELECT count(*) FROM orders\"\nexpect = \"allow\"\n\
    [[case]]\nname = \"deletes wait\"\nstatement = \"DELETE FROM orders WHERE id = 1\"\nexpect = \"hold\"\n\
    [[case]]\nname = \"no drops\"\ndoes = \"drop\"\non = \"public.orders\"\nextent = \"all\"\nexpect = \"refuse\"\n\
    [[case]]\nname = \"mails are masked\"\ncolumn = \"public.customers.email\"\nexpect = \"mask\"\n";

fn arena(more: &str) -> Arena {
    let mut setup = Setup::agent_safe();
    setup.more = format!("[administration]\ngroups = [\"admins\"]\n{more}");
    Arena::start(&setup).unwrap()
}

fn call(arena: &Arena, who: &str, request: &str, body: &Value) -> Answer {
    let token = format!("Bearer {}", arena.token(who).unwrap());
    let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
    http(arena.http, request, &headers, &body.to_string()).unwrap()
}

fn ask(client: &mut RawClient, sql: &str) -> String {
    let heard = client.query(sql).unwrap();
    heard.iter().map(Message::shown).collect::<Vec<_>>().join("\n")
}

fn documents(arena: &Arena, all: &[(&str, &str)]) -> PathBuf {
    let directory = arena.directory().join("documents");
    for (file, text) in all {
        let file = directory.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    directory
}

/// The exit code, and what was said.
fn portcullis(arena: &Arena, words: &[&str]) -> (Option<i32>, String) {
    let output = arena.portcullis(words).unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).replace('\n', " "))
}

fn apply(arena: &Arena, more: &[&str]) -> (Option<i32>, String) {
    let directory = arena.directory().join("documents");
    let words = ["apply", "--as", "max", "-f", directory.to_str().unwrap()];
    portcullis(arena, &[&words, more].concat())
}

fn journal(arena: &Arena) -> String {
    let files = files_below(&arena.data().join("journal"));
    files
        .iter()
        .map(|file| String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned())
        .collect()
}

#[test]
fn a_test_that_fails_keeps_a_change_from_being_made() {
    let arena = arena("");
    let directory = documents(&arena, &[("tests/agents.toml", TESTS)]);
    // Nobody was on the connection yet: what its names stand for is not known, and that is told.
    let (code, text) = apply(&arena, &["--dry-run"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("2 passed, 2 not run") && text.contains("the catalog of"), "{text}");
    let mut agent = arena.client("claude").unwrap();
    assert!(!ask(&mut agent, "SELECT count(*) FROM orders").contains("42501"));
    let (code, text) = apply(&arena, &["--yes"]);
    assert!(code == Some(0) && text.contains("4 passed, 0 not run"), "{text}");
    // A rule that breaks what a test promises is not taken, by whichever way it comes.
    documents(&arena, &[("policies/closed.cedar", CLOSED)]);
    let (code, text) = apply(&arena, &["--yes"]);
    let told = "tests/agents.toml: `orders are read`: expected allow, came refuse by `closed`";
    assert!(code == Some(1) && text.contains(told), "{text}");
    let body = json!({ "text": CLOSED });
    let put = call(&arena, "max", "PUT /api/v1/documents/policy.closed", &body);
    assert!(put.status == 422 && put.body.contains("orders are read"), "{}", put.body);
    assert!(!ask(&mut agent, "SELECT count(*) FROM orders").contains("orders are closed"));
    // With the test it is.
    let changed = TESTS.replace(
        "FROM orders\"\nexpect = \"allow\"",
        "FROM orders\"\nexpect = \"refuse\"\nrule = \"closed\"",
    );
    documents(&arena, &[("tests/agents.toml", &changed)]);
    let (code, text) = apply(&arena, &["--yes"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(ask(&mut agent, "SELECT count(*) FROM orders").contains("orders are closed"));
    // Without a gateway, what needs no catalog.
    let path = directory.to_str().unwrap();
    let (code, text) = portcullis(&arena, &["policy", "test", "-f", path]);
    assert!(code == Some(0) && text.contains("2 passed, 0 failed, 2 not run"), "{text}");
    documents(&arena, &[("tests/agents.toml", &changed.replace("\"mask\"", "\"show\""))]);
    let (code, text) = portcullis(&arena, &["policy", "test", "-f", path]);
    assert!(code == Some(1) && text.contains("expected show, came mask by"), "{text}");
    // What is broken is told by its line, with nothing in it that turns a line around.
    let bidi = TESTS.replace("no drops", "\u{202e}no drops").replace("\"refuse\"", "\"allow\"");
    documents(&arena, &[("tests/agents.toml", &bidi)]);
    let (code, text) = apply(&arena, &["--yes"]);
    assert!(code == Some(1) && text.contains("no drops") && !text.contains('\u{202e}'), "{text}");
    documents(&arena, &[("tests/agents.toml", "connection = 1\n")]);
    let (_, text) = apply(&arena, &["--yes"]);
    assert!(text.contains("tests/agents.toml:1"), "{text}");
}

#[test]
fn an_explanation_names_every_rule_and_tells_nobody_of_others() {
    let arena = arena("");
    let mut agent = arena.client("claude").unwrap();
    assert!(ask(&mut agent, "DROP TABLE orders").contains("42501"));
    let drop = json!({ "connection": "shop", "statement": "DROP TABLE orders" });
    let own = call(&arena, "claude", "POST /api/v1/explain", &drop).json();
    assert_eq!(own["answer"]["verdict"], "refuse", "{own:#}");
    let rules = own["effects"][0]["rules"].as_array().unwrap();
    assert!(!rules.is_empty() && rules.iter().all(|rule| rule["file"].is_null()), "{own:#}");
    let held = json!({ "connection": "shop", "statement": "DELETE FROM orders WHERE id = 1" });
    let held = call(&arena, "claude", "POST /api/v1/explain", &held).json();
    assert_eq!(held["answer"]["verdict"], "hold", "{held:#}");
    assert!(held["change"][0].as_str().unwrap().contains("dba"), "{held:#}");
    // Nothing of it ran, or is waiting.
    assert_eq!(arena.truth("SELECT count(*) FROM orders WHERE id = 1").unwrap(), "1");
    assert!(!journal(&arena).contains("\"event\":\"held\""));
    // Of others, administrators alone are told, and where the rules stand.
    let mut other = drop.clone();
    other["principal"] = json!({ "kind": "agent", "name": "hal", "groups": ["agents"] });
    for who in ["claude", "ana", "bo"] {
        let answer = call(&arena, who, "POST /api/v1/explain", &other);
        assert_eq!(answer.status, 403, "{who}: {}", answer.body);
    }
    let told = call(&arena, "max", "POST /api/v1/explain", &other).json();
    assert!(told["effects"][0]["rules"][0]["line"].is_u64(), "{told:#}");
    // Who is not let in learns nothing of a connection, and not whether there is one.
    let mut gone = drop.clone();
    gone["connection"] = json!("nowhere");
    let (closed, gone) = (
        call(&arena, "lea", "POST /api/v1/explain", &drop),
        call(&arena, "lea", "POST /api/v1/explain", &gone),
    );
    assert_eq!((closed.status, &closed.body), (404, &gone.body));
    // A recorded request is explained to those who may see it, which is recorded.
    std::mem::drop(agent);
    let found = call(&arena, "claude", "GET /api/v1/recordings", &Value::Null).json();
    let session = found[0]["id"].as_str().unwrap().to_owned();
    let timeline = format!("GET /api/v1/recordings/{session}/timeline");
    let timeline = call(&arena, "claude", &timeline, &Value::Null).json();
    let number = timeline.as_array().unwrap().iter().find(|m| m["what"]["event"] == "refused");
    let wanted = json!({ "session": session, "entry": number.unwrap()["entry"] });
    for (who, status) in [("claude", 200), ("ana", 200), ("max", 200), ("hal", 404), ("bo", 404)] {
        let answer = call(&arena, who, "POST /api/v1/explain", &wanted);
        assert_eq!(answer.status, status, "{who}: {}", answer.body);
        if status == 200 {
            assert_eq!(answer.json()["recorded"], "refuse", "{}", answer.body);
        }
    }
    assert!(journal(&arena).contains("\"event\":\"watched\""));
    let words = ["explain", "--as", "claude", "--connection", "shop", "DROP TABLE orders"];
    let (code, text) = portcullis(&arena, &words);
    assert!(code == Some(0) && text.contains("answer   refuse by "), "{text}");
}

#[test]
fn what_is_recorded_is_judged_again_without_a_word_to_the_target() {
    let arena = arena("");
    let mut agent = arena.client("claude").unwrap();
    for _ in 0..3 {
        ask(&mut agent, "SELECT count(*) FROM orders");
    }
    ask(&mut agent, "SELECT count(*) FROM customers");
    ask(&mut agent, "DROP TABLE orders");
    arena.server.sql("shop", "CREATE TABLE gone (id int)").unwrap();
    std::thread::sleep(Duration::from_millis(1200));
    ask(&mut agent, "SELECT count(*) FROM gone");
    arena.server.sql("shop", "DROP TABLE gone").unwrap();
    std::thread::sleep(Duration::from_millis(1200));
    // A name that is not there has the catalog read again.
    ask(&mut agent, "SELECT count(*) FROM not_there");
    let closed = json!({ "kind": "policy", "name": "closed", "text": CLOSED });
    let wanted = json!({ "documents": [closed], "seconds": 3600 });
    let answer = call(&arena, "max", "POST /api/v1/documents/rejudge", &wanted);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let told = answer.json();
    assert_eq!((&told["sessions"], &told["requests"]), (&json!(1), &json!(7)), "{told:#}");
    assert_eq!(told["changed"], 3, "{told:#}");
    let change = &told["changes"][0];
    let what = ["from", "to", "to_rule"].map(|at| change[at].as_str().unwrap());
    assert_eq!(what, ["allow", "refuse", "closed"], "{told:#}");
    let example = &change["examples"][0];
    assert!(example["statement"].as_str().unwrap().contains("FROM orders"), "{told:#}");
    assert!(example["entry"].is_u64() && example["recorded"] == "allow", "{told:#}");
    // What means something else now is not guessed at.
    let why = told["not_judged"].to_string();
    assert!(why.contains("lead elsewhere or nowhere"), "{told:#}");
    assert!(journal(&arena).contains("documents tried on the last 3600 s"));
    // Nor is it guessed what a rule would have said that asks for what no record says.
    let inside = CLOSED.replace("== \"orders\"", "== \"orders\" && context.in_transaction");
    let inside = json!({ "kind": "policy", "name": "closed", "text": inside });
    let asked = json!({ "documents": [inside], "seconds": 3600 });
    let told = call(&arena, "max", "POST /api/v1/documents/rejudge", &asked).json();
    assert_eq!(told["changed"], 0, "{told:#}");
    let why = told["not_judged"].to_string();
    assert!(why.contains("inside a transaction"), "{told:#}");
    // It is not in force.
    assert!(!ask(&mut agent, "SELECT count(*) FROM orders").contains("orders are closed"));
    for who in ["claude", "ana", "bo"] {
        let answer = call(&arena, who, "POST /api/v1/documents/rejudge", &wanted);
        assert_eq!(answer.status, 403, "{who}: {}", answer.body);
    }
    for (field, value) in
        [("seconds", json!(0)), ("seconds", json!(99_999_999)), ("cursor", json!("x"))]
    {
        let mut wrong = wanted.clone();
        wrong[field] = value;
        let answer = call(&arena, "max", "POST /api/v1/documents/rejudge", &wrong);
        assert_eq!(answer.status, 422, "{}", answer.body);
    }
    documents(&arena, &[("policies/closed.cedar", CLOSED)]);
    let (code, text) = apply(&arena, &["--dry-run", "--against", "1h"]);
    assert!(code == Some(0) && text.contains("allow -> refuse: 4 (by closed"), "{text}");
}

#[test]
fn what_would_be_masked_or_shown_by_other_rules_is_told() {
    let arena = arena("");
    let mut agent = arena.client("claude").unwrap();
    ask(&mut agent, "SELECT id, name, email FROM customers ORDER BY id LIMIT 1");
    ask(&mut agent, "SELECT count(*) FROM orders");
    let wanted =
        json!({ "connection": "shop", "statement": "SELECT id, upper(email) FROM customers" });
    let told = call(&arena, "claude", "POST /api/v1/explain", &wanted).json();
    let masked = told["answer"]["masked"].to_string();
    assert!(masked.contains("column 2: public.customers.email ("), "{told:#}");
    assert!(!masked.contains("column 1"), "{told:#}");
    let rejudge = |wanted: Value| call(&arena, "max", "POST /api/v1/documents/rejudge", &wanted);
    let hidden = json!({ "kind": "policy", "name": "hidden", "text": HIDDEN });
    let answer = rejudge(json!({ "documents": [hidden], "seconds": 3600 }));
    let told = answer.json();
    assert_eq!(told["changed"], 1, "{told:#}");
    let change = &told["changes"][0];
    let what = ["from", "to", "masks"].map(|at| change[at].as_str().unwrap());
    assert_eq!(what, ["allow", "allow", "more"], "{told:#}");
    let example = &change["examples"][0];
    assert_eq!(example["masked"], json!(["column 2: public.customers.name (null)"]), "{told:#}");
    // And the other way: what is masked by it now would be shown.
    documents(&arena, &[("policies/hidden.cedar", HIDDEN)]);
    let (code, text) = apply(&arena, &["--yes"]);
    assert_eq!(code, Some(0), "{text}");
    let without = json!({ "documents": [], "prune": true, "seconds": 3600 });
    let told = rejudge(without).json();
    assert_eq!(told["changes"][0]["masks"], "fewer", "{told:#}");
    let shown = &told["changes"][0]["examples"][0]["unmasked"];
    assert_eq!(*shown, json!(["column 2: public.customers.name (null)"]), "{told:#}");
    fs::remove_file(arena.directory().join("documents/policies/hidden.cedar")).unwrap();
    fs::create_dir_all(arena.directory().join("documents/policies")).unwrap();
    let (_, text) = apply(&arena, &["--dry-run", "--against", "1h", "--prune"]);
    assert!(text.contains("less is masked") && text.contains("shown: column 2"), "{text}");
    // Every rule in force is listed, with its text.
    let rules = call(&arena, "max", "GET /api/v1/rules", &Value::Null).json();
    let files = rules["files"].as_array().unwrap();
    assert!(files.iter().any(|file| file["of_pack"] == true), "{rules:#}");
    let own = files.iter().find(|file| file["file"] == "policies/hidden.cedar").unwrap();
    assert!(own["rules"][0]["text"].as_str().unwrap().contains("@mask(\"null\")"), "{own:#}");
    let (code, text) = portcullis(&arena, &["rules", "--as", "max", "no-names"]);
    assert!(code == Some(0) && text.contains("policies/hidden.cedar:1"), "{text}");
}

#[test]
fn many_sessions_are_judged_in_parts_within_bounds() {
    let arena = arena("");
    for _ in 0..30 {
        let mut agent = arena.client("claude").unwrap();
        ask(&mut agent, "SELECT count(*) FROM orders; SELECT count(*) FROM customers");
    }
    let begun = Instant::now();
    documents(&arena, &[("policies/closed.cedar", CLOSED)]);
    let (code, text) = apply(&arena, &["--dry-run", "--against", "7d"]);
    assert!(code == Some(0) && text.contains("30 requests in 30 sessions"), "{text}");
    assert!(text.contains("allow -> refuse: 30"), "{text}");
    assert!(begun.elapsed() < Duration::from_secs(60), "it takes {:?}", begun.elapsed());
}

/// Sessions are judged again to their end, and what is said to one caller is not said to another for it.
#[test]
fn what_is_recorded_is_replayed_whole_and_each_caller_by_what_applies_to_it() {
    let arena = arena("");
    let mut agent = arena.client("claude").unwrap();
    for _ in 0..3_000 {
        ask(&mut agent, "SELECT count(*) FROM orders");
    }
    let mut other = arena.client("deckard").unwrap();
    ask(&mut other, "SELECT count(*) FROM orders");
    drop((agent, other));
    let replay = |more: &[&str]| {
        let directory = arena.directory().join("documents");
        let directory = directory.to_str().unwrap();
        let words = ["policy", "replay", directory, "--as", "max", "--since", "1h", "--exit-code"];
        portcullis(&arena, &[&words, more].concat())
    };
    documents(&arena, &[("policies/not-bo.cedar", NOT_BO)]);
    let (code, text) = replay(&[]);
    assert!(text.contains("3001 requests in 2 sessions, 3001 judged again, 1 would"), "{text}");
    assert!(text.contains("allow -> refuse: 1 (by not-bo") && text.contains("deckard"), "{text}");
    assert_eq!(code, Some(1), "something would change");
    documents(&arena, &[("policies/not-bo.cedar", CLOSED)]);
    let (_, text) = replay(&["--json"]);
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&told["changed"], &told["not_judged"]), (&json!(3001), &json!([])), "{told:#}");
    fs::remove_file(arena.directory().join("documents/policies/not-bo.cedar")).unwrap();
    let (code, text) = replay(&[]);
    assert!(code == Some(0) && text.contains("0 would have another verdict"), "{text}");
}
