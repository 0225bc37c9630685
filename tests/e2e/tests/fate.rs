//! What callers, reviewers and the record are told of a transaction of the gateway's own, where its
//! COMMIT or the answer to it is lost, or the server does not commit it.

use portcullis_testkit::arena::{Arena, Setup};
use portcullis_testkit::between::{Between, Fault};
use portcullis_testkit::raw::{Message, RawClient, message};
use serde_json::Value;
use std::time::{Duration, Instant};

const RULES: &str = r#"
@id("few-changes") @max_changes("3")
permit (principal, action in [Action::"insert", Action::"update", Action::"delete"], resource is Relation);
@id("masked") @mask("by-label")
forbid (principal, action == Action::"reveal", resource) when { resource.sensitive };
@id("signed-off") @review("dba") @rehearse("5s") @reason("people look at it first")
forbid (principal, action == Action::"update", resource is Relation)
when { resource.name == "reviewed" } unless { context.approvals.contains("dba") };
"#;

const TABLES: &str = "
CREATE TABLE counted (id int PRIMARY KEY, n int);
INSERT INTO counted SELECT n, 0 FROM generate_series(1, 9) n;
CREATE TABLE reviewed AS SELECT n AS id, 0 AS n FROM generate_series(1, 9) n;
CREATE TABLE late (id int, parent int REFERENCES counted DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE copies (email text, CONSTRAINT once UNIQUE (email) DEFERRABLE INITIALLY DEFERRED);
INSERT INTO copies VALUES ('zzsentinel4711@example.net');
UPDATE customers SET email = 'zzsentinel4711@example.net' WHERE id = 7;";

struct Stage {
    arena: Arena,
    between: Between,
}

impl Stage {
    fn new(connection: &str) -> Self {
        let between = Between::start().unwrap();
        let mut setup = Setup::agent_safe();
        setup.policy = "[policy]\npacks = [\"allow-all\"]\nfiles = [\"fate.cedar\"]\n".to_owned();
        setup.connection = connection.to_owned();
        setup.between = Some(between.port);
        let arena = Arena::start_with(&setup, &[("fate.cedar", RULES)]).unwrap();
        between.connect_to(arena.server.port());
        arena.server.sql("shop", TABLES).unwrap();
        Self { arena, between }
    }

    fn masked() -> Self {
        Self::new(&Setup::agent_safe().connection)
    }

    fn client(&self) -> RawClient {
        self.arena.client("claude").unwrap()
    }

    fn truth(&self, sql: &str) -> String {
        self.arena.truth(sql).unwrap()
    }

    /// The last outcome that is on file once it is one of this status, and there are so many of it.
    fn outcome(&self, status: &str, count: usize) -> Value {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let files = std::fs::read_dir(self.arena.data().join("journal")).unwrap();
            let text: String =
                files.filter_map(|e| std::fs::read_to_string(e.unwrap().path()).ok()).collect();
            // Behind each entry stands its hash.
            let entries = text.lines().filter_map(|line| line.split('\t').next());
            let lines = entries.filter_map(|e| serde_json::from_str::<Value>(e).ok());
            let found: Vec<Value> = lines.filter_map(|line| outcome_in(&line)).collect();
            let alike = found.iter().filter(|found| found["status"] == status).count();
            let last = found.last().filter(|found| found["status"] == status && alike == count);
            if let Some(found) = last {
                return found.clone();
            }
            assert!(Instant::now() < deadline, "{alike} outcomes are {status}:\n{text}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn review(&self, arguments: &[&str]) -> String {
        let output = self.arena.portcullis(&[&["review", "--as", "bo"], arguments].concat());
        let output = output.unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        text.into_owned()
    }

    /// The rehearsal of a review, once it stands so.
    fn rehearsal(&self, review: &str, stage: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let text = self.review(&["show", review, "--json"]);
            let page: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
            if page["rehearsal"]["stage"] == stage {
                return page["rehearsal"].clone();
            }
            assert!(Instant::now() < deadline, "not {stage}: {page:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// An outcome, wherever in a line of the journal it stands.
fn outcome_in(line: &Value) -> Option<Value> {
    match line {
        Value::Object(fields) if line["event"] == "outcome" => Some(Value::Object(fields.clone())),
        Value::Object(fields) => fields.values().find_map(outcome_in),
        _ => None,
    }
}

/// Everything up to the end of the connection.
fn to_the_end(client: &mut RawClient) -> Vec<Message> {
    let mut all = Vec::new();
    while let Ok(Some(message)) = client.receive() {
        all.push(message);
    }
    all
}

fn error(messages: &[Message]) -> String {
    let found = messages.iter().find(|m| m.tag == b'E');
    found.map(Message::shown).unwrap_or_else(|| panic!("no error in {messages:?}"))
}

/// Nobody knows, and nobody is told otherwise, whichever it was.
fn told_that_nobody_knows(client: &mut RawClient) {
    let all = to_the_end(client);
    let told = error(&all);
    assert!(told.contains("C=08007") && told.contains("S=FATAL"), "{told}");
    assert!(told.contains("nobody knows") && told.contains("look at its rows"), "{told}");
    // Neither that it was done nor that the session goes on.
    assert!(!all.iter().any(|m| matches!(m.tag, b'C' | b'Z')), "{all:?}");
}

#[test]
fn a_commit_without_an_answer_is_told_as_it_is() {
    let stage = Stage::masked();
    let made = |n| format!("SELECT count(*) FROM counted WHERE n = {n}");
    for (n, fault, done) in [(1, Fault::LoseAnswer, "3"), (2, Fault::LoseCommit, "0")] {
        let mut client = stage.client();
        stage.between.let_happen(fault);
        client.ask(&format!("UPDATE counted SET n = {n} WHERE id < 4")).unwrap();
        told_that_nobody_knows(&mut client);
        assert!(stage.between.has_happened());
        assert_eq!(stage.truth(&made(n)), done, "{fault:?}");
        let outcome = stage.outcome("unknown", n);
        assert_eq!(outcome["tags"], serde_json::json!(["UPDATE 3"]), "{outcome}");
    }
    let list = stage.arena.portcullis(&["session", "list"]).unwrap();
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    let name = list.split_whitespace().find(|word| word.starts_with("ses_")).unwrap();
    let shown = stage.arena.portcullis(&["session", "show", name]).unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("unknown") && shown.contains("nobody knows whether"), "{shown}");

    // A table that was made all the same is masked, and nobody was told that it is not there.
    let mut client = stage.client();
    stage.between.let_happen(Fault::LoseAnswer);
    client.ask("CREATE TABLE brief AS SELECT id, email FROM customers").unwrap();
    told_that_nobody_knows(&mut client);
    assert!(stage.truth("SELECT email FROM brief WHERE id = 7").contains("zzsentinel"));
    let rows = stage.client().query("SELECT email FROM brief WHERE id = 7").unwrap();
    let rows: Vec<String> = rows.iter().map(Message::shown).collect();
    assert!(rows.iter().any(|r| r.starts_with('D')), "{rows:?}");
    assert!(!rows.concat().contains("zzsentinel"), "{rows:?}");
}

#[test]
fn what_the_server_does_not_commit_is_undone_and_told_with_its_error() {
    let stage = Stage::masked();
    let mut client = stage.client();
    let answer = client.query("INSERT INTO late VALUES (1, 4711)").unwrap();
    let told = error(&answer);
    assert!(told.contains("C=23503") && told.contains("S=ERROR"), "{told}");
    // Something is masked here, so what the error says of rows is not told.
    assert!(told.contains("withheld") && !told.contains("4711"), "{told}");
    assert_eq!(answer.iter().map(|m| char::from(m.tag)).collect::<String>(), "EZ");
    let outcome = stage.outcome("undone", 1);
    assert_eq!(outcome["error"], "23503");
    // A value of a column that is masked by nobody, and of one that is.
    let twice = client.query("INSERT INTO copies VALUES ('zzsentinel4711@example.net')").unwrap();
    let told = error(&twice);
    assert!(told.contains("C=23505") && !told.contains("already exists"), "{told}");
    assert_eq!(stage.truth("SELECT count(*) FROM copies"), "1");
    // The end of the extended protocol's pipeline, and the session goes on.
    let parse = [b"\0".as_slice(), b"INSERT INTO late VALUES (2, 4711)", b"\0\0\0"].concat();
    let unit =
        [message(b'P', &parse), message(b'B', &[0; 8]), message(b'E', &[0; 5]), message(b'S', b"")];
    client.send(&unit.concat()).unwrap();
    let told = error(&client.until(b'Z').unwrap());
    assert!(told.contains("C=23503"), "{told}");
    assert_eq!(client.query("SELECT 1").unwrap().iter().filter(|m| m.tag == b'D').count(), 1);
    assert_eq!(stage.truth("SELECT count(*) FROM late"), "0");

    stage.between.let_happen(Fault::RollBack);
    let answer = client.query("UPDATE counted SET n = 5 WHERE id < 3").unwrap();
    let told = error(&answer);
    assert!(told.contains("C=40000") && told.contains("nothing of the request stays"), "{told}");
    assert!(stage.between.has_happened());
    assert_eq!(stage.outcome("undone", 4)["error"], Value::Null);
    assert_eq!(stage.truth("SELECT count(*) FROM counted WHERE n = 5"), "0");
    let again = client.query("UPDATE counted SET n = 5 WHERE id < 3").unwrap();
    assert!(again.iter().any(|m| m.shown().starts_with("C UPDATE 2")), "{again:?}");
    stage.outcome("done", 2);
}

#[test]
fn where_nothing_is_masked_the_error_of_a_commit_is_the_servers_own() {
    let stage = Stage::new("detectors = []\n");
    let told = error(&stage.client().query("INSERT INTO late VALUES (1, 4711)").unwrap());
    let own = "insert or update on table \"late\" violates foreign key constraint";
    assert!(told.contains("C=23503") && told.contains(own), "{told}");
    assert!(told.contains("D=Key (parent)=(4711) is not present"), "{told}");
}

#[test]
fn reviewers_are_told_that_nobody_knows() {
    let mut stage = Stage::masked();
    let n = |n| format!("SELECT count(*) FROM reviewed WHERE n = {n}");
    for (value, fault, done) in [(1, Fault::LoseAnswer, "2"), (2, Fault::LoseCommit, "0")] {
        let mut client = stage.client();
        client.ask(&format!("UPDATE reviewed SET n = {value} WHERE id < 3")).unwrap();
        let review = client.held().unwrap().0;
        stage.rehearsal(&review, "open");
        stage.between.let_happen(fault);
        stage.review(&["approve", &review]);
        told_that_nobody_knows(&mut client);
        let unknown = stage.rehearsal(&review, "unknown");
        assert_eq!(unknown["seen"]["changed"], 2);
        let shown = stage.review(&["show", &review]);
        assert!(shown.contains("nobody knows which: it was approved in"), "{shown}");
        assert_eq!(stage.truth(&n(value)), done, "{fault:?}");
        stage.outcome("unknown", value);
    }
    // Rolled back by the server at the end, and then kept.
    for (fault, end, done) in [(Fault::RollBack, "undone", "0"), (Fault::None, "kept", "1")] {
        let mut client = stage.client();
        client.ask("UPDATE reviewed SET n = 3 WHERE id = 3").unwrap();
        let review = client.held().unwrap().0;
        stage.rehearsal(&review, "open");
        stage.between.let_happen(fault);
        stage.review(&["approve", &review]);
        client.until(b'Z').unwrap();
        stage.rehearsal(&review, end);
        assert_eq!(stage.truth(&n(3)), done);
    }
    // The gateway itself is killed between COMMIT and its answer.
    let mut client = stage.client();
    client.ask("UPDATE reviewed SET n = 4 WHERE id = 4").unwrap();
    let review = client.held().unwrap().0;
    stage.rehearsal(&review, "open");
    stage.between.let_happen(Fault::HoldAnswer);
    stage.review(&["approve", &review]);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !stage.between.has_happened() {
        assert!(Instant::now() < deadline, "no COMMIT was sent");
        std::thread::sleep(Duration::from_millis(20));
    }
    stage.arena.kill_gateway().unwrap();
    drop(client);
    assert_eq!(stage.truth(&n(4)), "1");
    stage.arena.start_gateway().unwrap();
    let unknown = stage.rehearsal(&review, "unknown");
    assert!(unknown["why"].as_str().unwrap().contains("before it had told"), "{unknown}");
    stage.outcome("abandoned", 1);
}
