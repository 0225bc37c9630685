//! Access that people grant for a time: who asks, who decides, what it opens, and how it ends on the wire.

use portcullis_testkit::arena::{Arena, Setup};
use portcullis_testkit::raw::{Message, RawClient};
use portcullis_testkit::web::http;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What a session has at most between the end of its grant and its own: two seconds, and what a machine
/// that does a lot else takes on top.
const SOON: Duration = Duration::from_secs(8);
const PATIENCE: Duration = Duration::from_secs(20);

const RULES: &str = r#"
@id("incident") @reason("rows are deleted for an incident alone")
forbid (principal, action == Action::"delete", resource is Relation)
unless { context has grant && context.grant.reason like "INC-*" && context.grant.minutes < 5 };
"#;

fn setup(access: &str) -> Setup {
    let mut setup = Setup::allow_all();
    setup.policy = "[policy]\npacks = [\"allow-all\"]\nfiles = [\"grants.cedar\"]\n".to_owned();
    setup.connection += &format!("access = {{ approvers = \"dba\", {access} }}\n");
    setup.more = "[administration]\ngroups = [\"admins\"]\n".to_owned();
    setup
}

fn start(access: &str) -> Arena {
    let arena = Arena::start_with(&setup(access), &[("grants.cedar", RULES)]).unwrap();
    arena.server.sql("shop", "CREATE TABLE notes (id int, note text)").unwrap();
    arena
}

/// What the API answers this caller; `nobody` has no token.
fn api(arena: &Arena, who: &str, request: &str, body: &Value) -> (u16, Value) {
    let token = (who != "nobody").then(|| format!("Bearer {}", arena.token(who).unwrap()));
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(token.as_deref().map(|token| ("Authorization", token)));
    let (method, path) = request.split_once(' ').unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = http(arena.http, &format!("{method} /api/v1{path}"), &headers, &body).unwrap();
    (answer.status, answer.json())
}

fn asked(arena: &Arena, who: &str, seconds: u64, reason: &str) -> Value {
    let body = json!({ "connection": "shop", "seconds": seconds, "reason": reason });
    let (status, row) = api(arena, who, "POST /grants", &body);
    assert_eq!(status, 201, "{row}");
    row
}

fn id(row: &Value) -> String {
    row["id"].as_str().unwrap_or_else(|| panic!("{row}")).to_owned()
}

fn decide(arena: &Arena, who: &str, id: &str, what: &str) -> (u16, Value) {
    let body = if what == "reject" { json!({ "reason": "not now" }) } else { json!({}) };
    api(arena, who, &format!("POST /grants/{id}/{what}"), &body)
}

/// A grant that is in force, by one approval.
fn granted(arena: &Arena, who: &str, seconds: u64, reason: &str) -> Value {
    let id = id(&asked(arena, who, seconds, reason));
    let (status, row) = decide(arena, "bo", &id, "approve");
    assert_eq!((status, &row["status"]), (200, &json!("active")), "{row}");
    row
}

fn status(arena: &Arena, id: &str) -> String {
    let (code, row) = api(arena, "max", &format!("GET /grants/{id}"), &Value::Null);
    assert_eq!(code, 200, "{row}");
    row["status"].as_str().unwrap().to_owned()
}

/// What psql says of it, and whether it came in.
fn psql(arena: &Arena, who: &str, sql: &str) -> (bool, String) {
    let output = arena.psql(who, sql).unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

fn no_access(arena: &Arena, who: &str, told: &[&str]) {
    let (came_in, said) = psql(arena, who, "SELECT 1");
    assert!(!came_in && said.contains("FATAL") && said.contains("no access"), "{said}");
    for part in told {
        assert!(said.contains(part), "{part}: {said}");
    }
}

fn run(arena: &Arena, arguments: &[&str]) -> (i32, String) {
    let output = arena.portcullis(arguments).unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(told).unwrap())
}

/// The entries of the journal that say this of a grant.
fn journal(arena: &Arena, grant: &str) -> Vec<Value> {
    let about = |entry: &Value| {
        let event = entry["event"].as_str().unwrap_or_default();
        entry["grant"] == grant && event.starts_with("access_")
    };
    entries(arena).into_iter().filter(about).collect()
}

fn entries(arena: &Arena) -> Vec<Value> {
    let files = std::fs::read_dir(arena.data().join("journal")).unwrap();
    let text: String =
        files.filter_map(|e| std::fs::read_to_string(e.unwrap().path()).ok()).collect();
    let lines = text.lines().filter_map(|line| line.split('\t').next());
    let entries = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    entries.map(|line| line["entry"].clone()).collect()
}

fn events(entries: &[Value]) -> Vec<&str> {
    entries.iter().filter_map(|entry| entry["event"].as_str()).collect()
}

/// The start of a session that stands on a grant has it.
fn opened_on(arena: &Arena, grant: &str) -> bool {
    entries(arena).iter().any(|e| e["grant"] == grant && e["event"] == "session_opened")
}

/// What comes up to the end of the stream, or its reset.
fn to_the_end(client: &mut RawClient) -> Vec<Message> {
    let mut seen = Vec::new();
    while let Ok(Some(message)) = client.receive() {
        seen.push(message);
    }
    seen
}

/// That nothing of a grant's sessions is left at the server and in the list.
fn gone(arena: &Arena) {
    let query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'portcullis:%'";
    let deadline = Instant::now() + SOON;
    loop {
        let (_, sessions) = api(arena, "max", "GET /sessions", &Value::Null);
        if arena.truth(query).unwrap() == "0" && sessions.as_array().unwrap().is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{sessions:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// That its client is told, soon after `ended`, with these words.
fn is_over(arena: &Arena, client: &mut RawClient, ended: Instant, words: &[&str]) {
    let seen = to_the_end(client);
    let took = ended.elapsed();
    let last = seen.last().map(Message::shown).unwrap_or_default();
    for part in [&["C=28000"], words].concat() {
        assert!(last.contains(part), "{part}: {last}");
    }
    assert!(took < SOON, "its client waited {took:?}");
    println!("over for its client after {took:?}");
    gone(arena);
}

#[test]
fn access_is_asked_for_granted_by_a_quorum_and_ended() {
    let arena = start("quorum = 2, longest = \"1h\"");
    let hint = "portcullis request --connection shop --for 30m --reason";
    no_access(&arena, "claude", &["you have none for role owner", hint, "log in again once"]);
    no_access(&arena, "bo", &[hint]);
    let request = ["request", "--as", "claude", "--connection", "shop", "--for", "30m"];
    let request = [&request[..], &["--reason", "INC-7: orders <b>"]].concat();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| run(&arena, &request));
        let deadline = Instant::now() + PATIENCE;
        let row = loop {
            let (_, rows) = api(&arena, "bo", "GET /grants", &Value::Null);
            if let Some(row) = rows.as_array().unwrap().first() {
                break row.clone();
            }
            assert!(Instant::now() < deadline, "nobody asks");
            std::thread::sleep(Duration::from_millis(50));
        };
        let grant = id(&row);
        quorum(&arena, &grant, &row, &request);
        let (code, told) = waiting.join().unwrap();
        assert!(code == 0 && told.contains("active"), "{code}: {told}");
        assert!(told.contains("waits for 2 people of dba"), "{told}");
        assert!(told.contains("waits for one person of dba"), "{told}");
        in_force(&arena, &grant);
        ended_by_an_administrator(&arena, &grant);
    });
}

fn quorum(arena: &Arena, grant: &str, row: &Value, request: &[&str]) {
    assert_eq!(row["ask"]["reason"], "INC-7: orders <b>", "{row}");
    assert_eq!(row["ask"]["principal"]["acting_for"], "ana", "{row}");
    // The same again asks nobody twice; anything else is another request.
    let (code, again) = run(arena, &[request, &["--no-wait", "--json"]].concat());
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!((code, again["id"].as_str()), (0, Some(grant)), "{again}");
    let other = asked(arena, "claude", 1800, "INC-8");
    assert_ne!(id(&other), grant);
    let (code, told) = run(arena, &["grants", "end", "--as", "claude", &id(&other)]);
    assert!(code == 0 && told.contains("withdrawn"), "{code}: {told}");
    no_access(arena, "claude", &[grant, "waits for dba until", "not approved yet"]);
    // Neither an agent, whatever groups it is in, nor whom it acts for, nor another group.
    for (who, code, why) in [
        ("deckard", 403, "only a person decides"),
        ("claude", 403, "only a person decides"),
        ("ana", 403, "on your behalf"),
        ("lea", 404, "no such grant for you"),
        ("max", 403, "you are in none of them"),
    ] {
        let (status, answer) = decide(arena, who, grant, "approve");
        assert_eq!(status, code, "{who}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(why), "{who}: {answer}");
    }
    // An approver's own agent asks: somebody else decides.
    let own = id(&asked(arena, "deckard", 60, "INC-9"));
    assert_eq!(decide(arena, "bo", &own, "approve").0, 403);
    let (code, told) = run(arena, &["grants", "reject", "--as", "mia", &own, "--reason", "no <i>"]);
    assert!(code == 0 && told.contains("rejected"), "{code}: {told}");
    let (code, told) = run(arena, &["grants", "--as", "bo", "approve", grant]);
    assert!(code == 0 && told.contains("pending"), "{code}: {told}");
    assert_eq!(decide(arena, "bo", grant, "approve").0, 409, "nobody counts as two people");
    no_access(arena, "claude", &[grant]);
    std::thread::sleep(Duration::from_millis(1500));
    let (code, row) = decide(arena, "mia", grant, "approve");
    assert_eq!((code, &row["status"]), (200, &json!("active")), "{row}");
    // The clock starts with the last approval.
    let at = |name: &str| row[name].as_i64().unwrap();
    assert_eq!(at("until") - at("begun"), 1800 * 1_000_000, "{row}");
    let last = row["decisions"][1]["at"].as_i64().unwrap();
    assert_eq!(at("begun"), last, "{row}");
    assert!(last - row["ask"]["at"].as_i64().unwrap() >= 1_500_000, "{row}");
    assert_eq!(decide(arena, "mia", grant, "reject").0, 409, "it is decided");
}

fn in_force(arena: &Arena, grant: &str) {
    assert_eq!(psql(arena, "claude", "SELECT 41 + 1"), (true, "42\n".to_owned()));
    // Policy sees it.
    let deleted = psql(arena, "claude", "DELETE FROM notes");
    assert_eq!(deleted, (true, "DELETE 0\n".to_owned()));
    // It is nobody else's, not even of whom the agent acts for.
    no_access(arena, "ana", &[]);
    let (code, listed) = run(arena, &["grants", "--as", "ana"]);
    assert!(code == 0 && listed.contains(grant) && listed.contains("active"), "{listed}");
    let (_, listed) = run(arena, &["grants", "--as", "lea"]);
    assert!(!listed.contains(grant), "{listed}");
    let (code, shown) = run(arena, &["grants", "show", "--as", "bo", grant]);
    for part in ["approved by bo", "approved by mia", "claims", "│ INC-7: orders <b>", "left"] {
        assert!(code == 0 && shown.contains(part), "{part}: {shown}");
    }
}

fn ended_by_an_administrator(arena: &Arena, grant: &str) {
    let mut client = arena.client("claude").unwrap();
    client.query("BEGIN").unwrap();
    client.query("INSERT INTO notes VALUES (1, 'kept by nobody')").unwrap();
    client.ask("SELECT pg_sleep(600)").unwrap();
    running(arena);
    let (_, sessions) = api(arena, "max", "GET /sessions", &Value::Null);
    assert_eq!(sessions[0]["grant"], grant, "{sessions}");
    let ended = Instant::now();
    let (code, told) =
        run(arena, &["grants", "end", "--as", "max", grant, "--reason", "it runs amok"]);
    assert!(code == 0 && told.contains("ended"), "{code}: {told}");
    is_over(arena, &mut client, ended, &["max (administrator)", grant, "it runs amok"]);
    assert_eq!(arena.truth("SELECT count(*) FROM notes").unwrap(), "0", "it is rolled back");
    no_access(arena, "claude", &["portcullis request"]);
    assert_eq!(run(arena, &["grants", "end", "--as", "max", grant]).0, 1, "it has ended already");
    let entries = journal(arena, grant);
    let expect =
        ["access_requested", "access_decided", "access_decided", "access_begun", "access_ended"];
    assert_eq!(events(&entries), expect, "{entries:#?}");
    assert_eq!(entries[0]["ask"]["principal"]["acting_for"], "ana");
    let approved = entries[3]["approved_by"].as_array().unwrap().iter();
    let approved: Vec<_> = approved.map(|by| (&by["subject"], by["issuer"].is_string())).collect();
    assert_eq!(approved, [(&json!("bo"), true), (&json!("mia"), true)]);
    let last = &entries[4];
    assert_eq!((&last["ending"], &last["by"]["subject"]), (&json!("administrator"), &json!("max")));
    assert_eq!(last["was_in_force"], true);
    assert!(opened_on(arena, grant));
}

/// Until a statement runs at the server for a session of the gateway's.
fn running(arena: &Arena) {
    let sleeps = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    let deadline = Instant::now() + PATIENCE;
    while arena.truth(sleeps).unwrap() == "0" {
        assert!(Instant::now() < deadline, "nothing runs");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_grant_ends_by_itself_in_the_middle_of_a_statement() {
    let arena = start("quorum = 1");
    let row = granted(&arena, "claude", 8, "a while");
    let approved = Instant::now();
    let mut client = arena.client("claude").unwrap();
    let mut held = arena.client("claude").unwrap();
    client.query("BEGIN").unwrap();
    client.query("INSERT INTO notes VALUES (1, 'kept by nobody')").unwrap();
    client.ask("SELECT pg_sleep(600)").unwrap();
    // What policy lets nobody do but for an incident.
    let refused = held.query("DELETE FROM notes").unwrap();
    assert!(refused.iter().any(|m| m.shown().contains("incident")), "{refused:?}");
    running(&arena);
    let seen = to_the_end(&mut client);
    let took = approved.elapsed();
    let last = seen.last().map(Message::shown).unwrap_or_default();
    for part in ["C=28000", &id(&row), "it was given for 8s"] {
        assert!(last.contains(part), "{part}: {last}");
    }
    println!("a grant of 8 s: over for its client {took:?} after it was approved");
    assert!(took > Duration::from_secs(7) && took < Duration::from_secs(8) + SOON, "{took:?}");
    let seen = to_the_end(&mut held);
    assert!(seen.last().unwrap().shown().contains("C=28000"), "idle sessions end as well");
    gone(&arena);
    assert_eq!(arena.truth("SELECT count(*) FROM notes").unwrap(), "0", "it is rolled back");
    no_access(&arena, "claude", &["portcullis request"]);
    let deadline = Instant::now() + PATIENCE;
    while events(&journal(&arena, &id(&row))).last() != Some(&"access_ended") {
        assert!(Instant::now() < deadline, "{:#?}", journal(&arena, &id(&row)));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(journal(&arena, &id(&row)).last().unwrap()["ending"], "time");

    // What waits for nobody any more expires, and says so.
    let lapsed = id(&asked(&arena, "ana", 60, "later"));
    let (code, told) = run(&arena, &["grants", "end", "--as", "ana", &lapsed]);
    assert!(code == 0 && told.contains("withdrawn"), "{code}: {told}");
    assert_eq!(decide(&arena, "bo", &lapsed, "approve").0, 409);
}

/// Copying in, when its grant is ended by the person the agent acts for.
#[test]
fn owners_and_approvers_end_a_grant_too() {
    let arena = start("quorum = 1");
    for (who, words) in [("ana", "ana has ended"), ("mia", "mia has ended"), ("claude", "claude")] {
        let grant = id(&granted(&arena, "claude", 600, "a while"));
        let mut client = arena.client("claude").unwrap();
        client.ask("COPY notes FROM STDIN").unwrap();
        client.until(b'G').unwrap();
        client.send(&portcullis_testkit::raw::message(b'd', b"1\tone\n")).unwrap();
        let ended = Instant::now();
        let (code, row) = decide(&arena, who, &grant, "end");
        assert_eq!((code, &row["status"]), (200, &json!("ended")), "{who}: {row}");
        is_over(&arena, &mut client, ended, &[words, &grant]);
        assert_eq!(arena.truth("SELECT count(*) FROM notes").unwrap(), "0");
        let ending = if who == "mia" { "approver" } else { "owner" };
        assert_eq!(row["ending"], ending);
    }
}

#[test]
fn a_second_group_is_asked_when_the_first_does_not_answer() {
    let arena =
        start("quorum = 1, wait = \"30s\", escalate_to = \"leads\", escalate_after = \"3s\"");
    let grant = id(&asked(&arena, "claude", 600, "a while"));
    assert_eq!(decide(&arena, "lea", &grant, "approve").0, 404, "it is not for leads yet");
    let deadline = Instant::now() + PATIENCE;
    while decide(&arena, "lea", &grant, "approve").0 != 200 {
        assert!(Instant::now() < deadline, "it does not become theirs");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(psql(&arena, "claude", "SELECT 1").0);
    // And one that nobody decides on.
    let lapses = id(&asked(&arena, "ana", 600, "a while"));
    let deadline = Instant::now() + Duration::from_secs(60);
    while events(&journal(&arena, &lapses)).last() != Some(&"access_ended") {
        assert!(Instant::now() < deadline, "it does not expire");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(status(&arena, &lapses), "expired");
    assert!(events(&journal(&arena, &lapses)).contains(&"access_escalated"));
    assert_eq!(decide(&arena, "lea", &lapses, "approve").0, 409);
}

#[test]
fn grants_and_requests_survive_the_gateway() {
    let mut arena = start("quorum = 1");
    let active = granted(&arena, "claude", 600, "a while");
    let short = granted(&arena, "ana", 2, "a moment");
    let pending = id(&asked(&arena, "deckard", 600, "a while"));
    let other = id(&asked(&arena, "deckard", 601, "a while"));
    arena.kill_gateway().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    arena.start_gateway().unwrap();
    assert!(psql(&arena, "claude", "SELECT 1").0, "it is in force still");
    no_access(&arena, "ana", &[]);
    let (_, row) = api(&arena, "max", &format!("GET /grants/{}", id(&active)), &Value::Null);
    assert_eq!(row["until"], active["until"], "and no longer than it was");
    let deadline = Instant::now() + PATIENCE;
    while events(&journal(&arena, &id(&short))).last() != Some(&"access_ended") {
        assert!(Instant::now() < deadline, "what ended while it was down is not in the record");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(decide(&arena, "mia", &pending, "approve").0, 200);
    assert!(psql(&arena, "deckard", "SELECT 1").0);

    // What was asked under another configuration is asked again.
    arena.stop_gateway();
    let text = std::fs::read_to_string(arena.config()).unwrap();
    std::fs::write(arena.config(), text.replace("quorum = 1", "quorum = 2")).unwrap();
    arena.start_gateway().unwrap();
    let (code, answer) = decide(&arena, "mia", &other, "approve");
    assert!(code == 409 && answer.to_string().contains("ask again"), "{code}: {answer}");
    assert_eq!(status(&arena, &other), "withdrawn");
    // And what was granted under it is for what is not there any more.
    for (was, is) in [
        ("quorum = 2", "quorum = 2"),
        ("quorum = 2", "quorum = 1, longest = \"30s\""),
        ("quorum = 1, longest = \"30s\"", "quorum = 1, requesters = [\"leads\"]"),
        ("quorum = 1, requesters = [\"leads\"]", "quorum = 1"),
    ] {
        if was != is {
            reconfigure(&mut arena, was, is);
        }
        if is != "quorum = 1" {
            no_access(&arena, "claude", &[]);
        }
    }
    assert!(psql(&arena, "claude", "SELECT 1").0, "it is what it was again");
    reconfigure(&mut arena, "environment = \"", "environment = \"other-");
    no_access(&arena, "claude", &["is not any more what", &id(&active), "portcullis request"]);
    reconfigure(&mut arena, "environment = \"other-", "environment = \"");
    reconfigure(&mut arena, "host = \"127.0.0.1\"", "host = \"localhost\"");
    no_access(&arena, "claude", &["is not any more what", &id(&active), "portcullis request"]);
    reconfigure(&mut arena, "host = \"localhost\"", "host = \"127.0.0.1\"");

    recorded_later(&mut arena);

    // What cannot be read opens nothing, and stops what stands on it.
    let mut client = arena.client("claude").unwrap();
    assert!(client.query("SELECT 1").unwrap().iter().all(|m| m.tag != b'E'));
    spoil(&arena, "UPDATE access_grant SET id = 'x' || id WHERE status = 'active'");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = client.query("SELECT 1").unwrap();
        let told = answer.iter().find(|m| m.tag == b'E').map(Message::shown).unwrap_or_default();
        if told.contains("C=58000") && told.contains("whether the grant of this session stands") {
            break;
        }
        assert!(Instant::now() < deadline, "what cannot be read is taken for a grant: {told}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let refused = arena.client("claude").unwrap_err().to_string();
    assert!(refused.contains("C=58000") && refused.contains("who is granted"), "{refused}");
    spoil(&arena, "UPDATE access_grant SET id = substr(id, 2) WHERE status = 'active'");
    let deadline = Instant::now() + PATIENCE;
    while client.query("SELECT 1").unwrap().iter().any(|m| m.tag == b'E') {
        assert!(Instant::now() < deadline, "it goes on when it can be read again");
        std::thread::sleep(Duration::from_millis(100));
    }
    // Ended by another gateway on the same store.
    let ended = Instant::now();
    spoil(
        &arena,
        "UPDATE access_grant SET status = 'ended', ended = 1, ending = 'owner', ended_by = 'ana' \
         WHERE status = 'active'",
    );
    is_over(&arena, &mut client, ended, &["ana has ended", &id(&active)]);
}

fn reconfigure(arena: &mut Arena, was: &str, is: &str) {
    arena.stop_gateway();
    let text = std::fs::read_to_string(arena.config()).unwrap();
    assert!(text.contains(was), "{was}: {text}");
    std::fs::write(arena.config(), text.replacen(was, is, 1)).unwrap();
    arena.start_gateway().unwrap();
}

/// As a gateway leaves it that stopped between the store and the journal.
fn recorded_later(arena: &mut Arena) {
    let grant = id(&granted(arena, "ana", 600, "INC-10"));
    assert!(psql(arena, "ana", "SELECT 1").0);
    arena.kill_gateway().unwrap();
    spoil(arena, &format!("UPDATE access_grant SET recorded = 0 WHERE id = '{grant}'"));
    arena.start_gateway().unwrap();
    let begun = || events(&journal(arena, &grant)).iter().filter(|e| **e == "access_begun").count();
    let deadline = Instant::now() + PATIENCE;
    while begun() < 2 {
        assert!(Instant::now() < deadline, "what was not recorded is not recorded at the start");
        std::thread::sleep(Duration::from_millis(50));
    }
    let deadline = Instant::now() + PATIENCE;
    while !psql(arena, "ana", "SELECT 1").0 {
        assert!(Instant::now() < deadline, "what is recorded by now is not in force");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(decide(arena, "ana", &grant, "end").0, 200);
}

fn spoil(arena: &Arena, sql: &str) {
    let script = format!(
        "import sqlite3; c = sqlite3.connect({:?}); c.execute({sql:?}); c.commit()",
        arena.data().join("portcullis.db")
    );
    let done = std::process::Command::new("python3").args(["-c", &script]).status().unwrap();
    assert!(done.success());
}

/// An agent that acts for a person by token exchange asks as what it acts as.
#[test]
fn who_acts_by_exchange_is_granted_what_it_acts_as() {
    let mut setup = setup("quorum = 1");
    setup.connection = format!("lend_groups = [\"developers\"]\n{}", setup.connection);
    let arena = Arena::start_with(&setup, &[("grants.cedar", RULES)]).unwrap();
    let credential = |who: &str, person: &str| {
        let make = ["credential", "--as", who, "create", "--connection", "shop", "--purpose", "x"];
        let output = arena.portcullis(&[&make[..], &["--acting-for", person]].concat()).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let own = credential("hal", "ana");
    let log_in = |token: &str| RawClient::log_in(arena.postgres, "hal", "shop", token);
    let told = log_in(&own).unwrap_err().to_string();
    assert!(told.contains("--connection shop --credential-from env:PGPASSWORD"), "{told}");
    let ask = |who: &str, credential: &str| {
        let body = json!({ "connection": "shop", "seconds": 600, "reason": "x",
            "credential": credential });
        api(&arena, who, "POST /grants", &body)
    };
    // Only with one's own, and with nothing else that is no credential.
    assert_eq!(ask("claude", &own).0, 422);
    assert_eq!(ask("ana", &own).0, 422);
    assert_eq!(ask("hal", "a.b.c").0, 422);
    let token = arena.token("hal").unwrap();
    assert_eq!(ask("hal", &token).0, 422);
    let (code, row) = ask("hal", &own);
    assert_eq!((code, &row["ask"]["principal"]["acting_for"]), (201, &json!("ana")), "{row}");
    let grant = id(&row);
    let approve = |who: &str| decide(&arena, who, &grant, "approve").0;
    assert_eq!((approve("hal"), approve("ana"), approve("bo")), (404, 403, 200));
    // It is not of the software that acts for nobody, or for somebody else.
    let show = format!("GET /grants/{grant}");
    let end = format!("POST /grants/{grant}/end");
    let bos = credential("hal", "bo");
    assert_eq!(api(&arena, "hal", "GET /grants?all=true", &Value::Null).1, json!([]));
    for request in [&show, &end] {
        assert_eq!(api(&arena, "hal", request, &Value::Null).0, 404, "{request}");
        let (code, seen) = showing(&arena, "hal", request, &bos);
        assert_eq!(code, 404, "{request}: {seen}");
        let (code, seen) = showing(&arena, "claude", request, &own);
        assert_eq!(code, 422, "{request}: {seen}");
    }
    let (code, seen) = showing(&arena, "hal", &show, &own);
    assert_eq!((code, &seen["status"]), (200, &json!("active")), "{seen}");
    // For what it acts as, by any credential for that, and not for itself or for somebody else.
    drop((log_in(&own).unwrap(), log_in(&credential("hal", "ana")).unwrap()));
    assert!(log_in(&token).is_err(), "a grant to act for ana is used without her");
    assert!(log_in(&credential("hal", "bo")).is_err(), "or for bo");
    let file = arena.data().join("credential");
    std::fs::write(&file, &own).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, private).unwrap();
    let from = format!("file:{}", file.display());
    let request = ["request", "--as", "hal", "--connection", "shop", "--for", "10m", "--reason"];
    let more = ["y", "--no-wait", "--json", "--credential-from", &from];
    let (code, told) = run(&arena, &[&request[..], &more].concat());
    assert!(code == 0 && told.contains("\"acting_for\": \"ana\""), "{code}: {told}");
    let (code, told) = run(&arena, &[&request[..], &["y", "--credential-from", &own]].concat());
    assert!(code == 2 && told.contains("never the credential itself"), "{code}: {told}");
    let show_it = ["grants", "show", "--as", "hal", &grant, "--credential-from", &from];
    let (code, told) = run(&arena, &show_it);
    assert!(code == 0 && told.contains(&grant), "{code}: {told}");
    let end = ["grants", "end", "--as", "hal", &grant, "--credential-from", &from];
    let (code, told) = run(&arena, &end);
    assert!(code == 0 && told.contains("ended"), "{code}: {told}");
    let (_, row) = api(&arena, "max", &show, &Value::Null);
    assert_eq!((&row["ending"], &row["ended_by"]), (&json!("owner"), &json!("hal")), "{row}");
}

/// What the API answers a caller who shows a credential beside its token.
fn showing(arena: &Arena, who: &str, request: &str, credential: &str) -> (u16, Value) {
    let token = format!("Bearer {}", arena.token(who).unwrap());
    let headers = [("Authorization", &*token), ("Portcullis-Credential", credential)];
    let (method, path) = request.split_once(' ').unwrap();
    let answer = http(arena.http, &format!("{method} /api/v1{path}"), &headers, "").unwrap();
    (answer.status, answer.json())
}

/// Every route and every caller.
#[test]
fn everybody_sees_and_does_what_is_theirs() {
    let arena = start("quorum = 2, requesters = [\"agents\"], longest = \"1h\"");
    let grant = id(&asked(&arena, "claude", 600, "a while"));
    let null = Value::Null;
    let no = json!({ "reason": "not now" });
    let ask = |seconds: u64| json!({ "connection": "shop", "seconds": seconds, "reason": "x" });
    let of = |what: &str| format!("POST /grants/{grant}/{what}");
    let show = format!("GET /grants/{grant}");
    // nobody; claude, whose it is; ana, for whom that acts; deckard, an agent in the group that is asked;
    // lea, of another group; max, who administers; bo, who is asked.
    let names = ["nobody", "claude", "ana", "deckard", "lea", "max", "bo"];
    let table: [(String, &Value, [u16; 7]); 11] = [
        ("GET /grants".into(), &null, [401, 200, 200, 200, 200, 200, 200]),
        (show, &null, [401, 200, 200, 404, 404, 200, 200]),
        ("GET /grants/grt_0000000000000".into(), &null, [401, 404, 404, 404, 404, 404, 404]),
        ("GET /grants/nonsense".into(), &null, [401, 404, 404, 404, 404, 404, 404]),
        ("POST /grants".into(), &ask(60), [401, 201, 403, 201, 403, 403, 403]),
        ("POST /grants".into(), &ask(3601), [401, 422, 403, 422, 403, 403, 403]),
        (of("reject"), &json!({}), [401, 422, 422, 422, 422, 422, 422]),
        (of("approve"), &null, [401, 403, 403, 403, 404, 403, 200]),
        (of("approve"), &null, [401, 403, 403, 403, 404, 403, 409]),
        (of("reject"), &no, [401, 403, 403, 403, 404, 403, 200]),
        (of("end"), &null, [401, 409, 409, 404, 404, 409, 409]),
    ];
    for (request, body, expect) in &table {
        for (who, expect) in names.iter().zip(expect) {
            let (status, answer) = api(&arena, who, request, body);
            assert_eq!(status, *expect, "{who}: {request} {body}: {answer}");
        }
    }
    for (body, about) in [
        (json!({ "connection": "shop", "seconds": 0, "reason": "x" }), "1 second to 1h"),
        (json!({ "connection": "shop", "seconds": 60, "reason": " " }), "say why"),
        (json!({ "connection": "shop", "seconds": 60, "reason": "a\u{202e}b" }), "say why"),
        (json!({ "connection": "shop", "seconds": 60, "reason": "x".repeat(1001) }), "say why"),
        (json!({ "connection": "shop", "seconds": 60 }), "reason"),
        (json!({ "connection": "shop", "seconds": 60, "reason": "x", "role": "r" }), "no role `r`"),
        (json!({ "connection": "shop", "seconds": 60, "reason": "x", "for": "bo" }), "for"),
    ] {
        let (status, answer) = api(&arena, "claude", "POST /grants", &body);
        assert_eq!(status, 422, "{body}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(about), "{answer}");
    }
    assert_eq!(
        api(
            &arena,
            "claude",
            "POST /grants",
            &json!({ "connection": "no", "seconds": 60,
        "reason": "x" })
        )
        .0,
        404
    );
    no_access(&arena, "bo", &["only people and agents in agents may ask", "will not help"]);
    // No more of one principal's may wait, and nobody asks again and again.
    let mut answers: Vec<u16> = Vec::new();
    for n in 0..30 {
        let body = json!({ "connection": "shop", "seconds": 60, "reason": format!("r{n}") });
        answers.push(api(&arena, "deckard", "POST /grants", &body).0);
    }
    assert_eq!(answers.iter().filter(|status| **status == 201).count(), 9, "{answers:?}");
    assert!(answers[9..].iter().all(|status| *status == 429), "{answers:?}");
}
