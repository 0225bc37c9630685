//! Rehearsals: held requests that are run in a transaction before anybody decides, shown masked, and
//! committed or rolled back on the decision.

use portcullis_testkit::arena::{Arena, Setup, Shared};
use portcullis_testkit::raw::{Message, RawClient};
use serde_json::Value;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What nobody may be shown: a masked column of the rows that are changed.
const SENTINEL: &str = "zzsentinel4711@example.net";

const RULES: &str = r#"
@id("writes-need-review") @review("dba") @rehearse("TIME")
@reason("changes of data are signed off by a DBA")
forbid (
  principal,
  action in [Action::"insert", Action::"update", Action::"delete"],
  resource
) unless { context.approvals.contains("dba") };
"#;

const TABLES: &str = "
CREATE TABLE parents (id int PRIMARY KEY, note text);
CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents ON DELETE CASCADE);
INSERT INTO parents SELECT n, 'note ' || n FROM generate_series(1, 300) n;
INSERT INTO children SELECT n, 1 + n % 10 FROM generate_series(1, 30) n;
CREATE TABLE late (id int, parent int REFERENCES parents DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE watched (id int);
CREATE FUNCTION jot() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER notes AFTER INSERT ON watched FOR EACH ROW EXECUTE FUNCTION jot();
CREATE TABLE quiet (id int, n boolean DEFAULT (pg_notify('c', 'x')::text IS NULL));
CREATE SEQUENCE numbers;
CREATE TABLE parts (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (200);
INSERT INTO parts SELECT n, n FROM generate_series(90, 110) n;
CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree);
INSERT INTO tree VALUES (1, NULL), (2, NULL), (3, 2);
CREATE TABLE hidden AS SELECT 1 AS id;
CREATE TABLE big AS SELECT n AS id, 0 AS v FROM generate_series(1, 20000) n;
";

/// One caller rehearses one request at a time, so tests that share a gateway take turns.
static TURN: Mutex<()> = Mutex::new(());
static LONG: Shared = Shared::new();

fn start(time: &str) -> Arena {
    let mut setup = Setup::agent_safe();
    setup.policy =
        "[policy]\npacks = [\"allow-all\"]\nfiles = [\"rehearse.cedar\", \"mask.cedar\"]\n\
                    [review]\nexpires = \"5m\"\n"
            .to_owned();
    let rules = RULES.replace("TIME", time);
    let rules = format!(
        "{rules}\n@id(\"unread\") forbid (principal, action == Action::\"read\", resource is Relation) \
         when {{ resource.name == \"hidden\" }};"
    );
    let mask = "@id(\"masked\") @mask(\"by-label\")\nforbid (principal, action == Action::\"reveal\", \
                resource) when { resource.sensitive };";
    let files = [("rehearse.cedar", rules.as_str()), ("mask.cedar", mask)];
    let arena = Arena::start_with(&setup, &files).unwrap();
    arena.server.sql("shop", TABLES).unwrap();
    arena
        .server
        .sql("shop", &format!("UPDATE customers SET email = '{SENTINEL}' WHERE id = 7"))
        .unwrap();
    arena
}

fn long() -> Arc<Arena> {
    LONG.get(|| start("2m"))
}

fn turn() -> std::sync::MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What comes up to the end of the answer, but for notices of the hold.
fn rest(client: &mut RawClient) -> Vec<String> {
    let all = client.until(b'Z').unwrap();
    all.iter().filter(|m| m.tag != b'N').map(Message::shown).collect()
}

fn run(arena: &Arena, arguments: &[&str]) -> (bool, String) {
    let output = arena.portcullis(&[&["review", "--as", "bo"], arguments].concat()).unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text.into_owned())
}

fn page(arena: &Arena, review: &str) -> Value {
    let (_, text) = run(arena, &["show", review, "--json"]);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// The review, once its rehearsal stands so.
fn at(arena: &Arena, review: &str, stage: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let page = page(arena, review);
        if page["rehearsal"]["stage"] == stage {
            return page["rehearsal"].clone();
        }
        assert!(Instant::now() < deadline, "not {stage}: {page:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn approve(arena: &Arena, review: &str) {
    let (done, text) = run(arena, &["approve", review]);
    assert!(done, "{text}");
}

fn reject(arena: &Arena, review: &str) {
    let (done, text) = run(arena, &["reject", review, "--reason", "no"]);
    assert!(done, "{text}");
}

fn why(rehearsal: &Value) -> &str {
    rehearsal["why"].as_str().unwrap_or("")
}

/// How many sessions of the gateway's are inside a transaction at the target.
fn open_transactions(arena: &Arena) -> String {
    arena
        .truth(
            "SELECT count(*) FROM pg_stat_activity
             WHERE usename = 'owner' AND state LIKE 'idle in transaction%'",
        )
        .unwrap()
}

fn journal(arena: &Arena) -> String {
    let files = std::fs::read_dir(arena.data().join("journal")).unwrap();
    files.filter_map(|e| std::fs::read_to_string(e.unwrap().path()).ok()).collect()
}

#[test]
fn an_approval_keeps_what_people_saw_and_runs_nothing_twice() {
    let (_turn, arena) = (turn(), long());
    let mut agent = arena.client("claude").unwrap();
    agent.ask("DELETE FROM parents WHERE id IN (3, 5) RETURNING id").unwrap();
    let review = agent.held().unwrap().0;
    let open = at(&arena, &review, "open");
    assert_eq!(open["seen"]["tag"], "DELETE 2");
    assert_eq!(open["seen"]["changed"], 8, "two, and what cascades: {open:#}");
    let tables = open["seen"]["tables"].as_array().unwrap();
    assert_eq!(
        (&tables[0]["table"], &tables[0]["deleted"]),
        (&"public.children".into(), &6.into())
    );
    let before = &open["seen"]["before"]["rows"];
    assert_eq!(before["columns"], serde_json::json!(["id", "note"]));
    assert_eq!(before["rows"], serde_json::json!([["3", "note 3"], ["5", "note 5"]]));
    assert!(open["seen"]["after"]["none"]["why"].is_string(), "{open:#}");
    let count = "SELECT count(*) FROM parents WHERE id IN (3, 5)";
    assert_eq!(arena.truth(count).unwrap(), "2", "others see it before it is approved");
    let (_, shown) = run(&arena, &["show", &review]);
    assert!(shown.contains("\nrehearsed    its transaction is open until"), "{shown}");
    assert!(shown.contains("before       │ id = '3', note = 'note 3'"), "{shown}");
    approve(&arena, &review);
    let answer = rest(&mut agent);
    assert_eq!(answer[1..], ["D \"3\"", "D \"5\"", "C DELETE 2\\x00", "Z I"], "{answer:?}");
    assert_eq!(arena.truth(count).unwrap(), "0");
    assert_eq!(at(&arena, &review, "kept")["seen"]["tag"], "DELETE 2");
    assert_eq!(page(&arena, &review)["status"], "used");
    // In the record: a rehearsal, and then an intent.
    let journal = journal(&arena);
    let of = |event: &str| {
        let event = format!("\"event\":\"{event}\"");
        journal.lines().filter(|l| l.contains(&event) && l.contains(&review)).count()
    };
    assert_eq!((of("rehearsed"), of("intent")), (1, 1));
    // The session goes on.
    assert!(agent.query("SELECT 1").unwrap().iter().any(|m| m.tag == b'D'));
    assert_eq!(open_transactions(&arena), "0");
}

#[test]
fn a_rejection_leaves_nothing() {
    let (_turn, arena) = (turn(), long());
    let mut agent = arena.client("claude").unwrap();
    agent.ask("UPDATE parents SET note = 'changed' WHERE id BETWEEN 20 AND 29").unwrap();
    let review = agent.held().unwrap().0;
    let open = at(&arena, &review, "open");
    let rows = |what: &str| open["seen"][what]["rows"]["rows"].as_array().unwrap().clone();
    assert_eq!((rows("before").len(), rows("after").len()), (5, 5));
    for (before, after) in rows("before").iter().zip(rows("after")) {
        assert_eq!(before[0], after[0], "rows of the two stand in the same order");
        assert_eq!(after[1], "changed");
        assert_ne!(before[1], "changed");
    }
    assert_eq!(open["seen"]["before"]["rows"]["more"], true);
    assert_eq!(open_transactions(&arena), "1");
    reject(&arena, &review);
    let answer = rest(&mut agent);
    assert!(answer[0].contains("42501") && answer[0].contains("no"), "{answer:?}");
    let undone = at(&arena, &review, "undone");
    assert!(why(&undone).contains("rejected"), "{undone}");
    assert_eq!(arena.truth("SELECT count(*) FROM parents WHERE note = 'changed'").unwrap(), "0");
    assert_eq!(open_transactions(&arena), "0");
    assert!(agent.query("SELECT 1").unwrap().iter().any(|m| m.tag == b'D'));
}

#[test]
fn parameters_of_the_extended_protocol_are_rehearsed_and_kept() {
    let (_turn, arena) = (turn(), long());
    let mut agent = arena.client("claude").unwrap();
    let text = "UPDATE parents SET note = $1 WHERE id = $2";
    let prepare = format!("Parse \"u\" \"{text}\" 25 23\nSync\nuntil Z\n");
    portcullis_testkit::script::run(&mut agent, &prepare).unwrap();
    let script = "Bind \"\" \"u\" \"bound\" \"40\"\nExecute \"\" 0\nSync\n";
    portcullis_testkit::script::run(&mut agent, script).unwrap();
    let review = agent.held().unwrap().0;
    let open = at(&arena, &review, "open");
    assert_eq!(open["seen"]["after"]["rows"]["rows"], serde_json::json!([["40", "bound"]]));
    approve(&arena, &review);
    assert_eq!(rest(&mut agent), ["2", "C UPDATE 1\\x00", "Z I"]);
    assert_eq!(arena.truth("SELECT note FROM parents WHERE id = 40").unwrap(), "bound");

    // Without a name: rejected, it stands for nothing that the caller did not hear of.
    let script = format!(
        "Parse \"\" \"{text}\" 25 23\nBind \"\" \"\" \"unnamed\" \"41\"\nDescribe P \"\"\n\
         Execute \"\" 0\nSync\n"
    );
    portcullis_testkit::script::run(&mut agent, &script).unwrap();
    let review = agent.held().unwrap().0;
    at(&arena, &review, "open");
    reject(&arena, &review);
    assert!(rest(&mut agent)[0].contains("42501"));
    let again = "Bind \"\" \"\" \"unnamed\" \"41\"\nExecute \"\" 0\nSync\nuntil Z\n";
    let answer = portcullis_testkit::script::run(&mut agent, again).unwrap();
    assert!(answer.contains("26000"), "{answer}");
    // And approved.
    portcullis_testkit::script::run(&mut agent, &script).unwrap();
    let review = agent.held().unwrap().0;
    at(&arena, &review, "open");
    approve(&arena, &review);
    assert_eq!(rest(&mut agent), ["1", "2", "n", "C UPDATE 1\\x00", "Z I"]);
    assert_eq!(arena.truth("SELECT note FROM parents WHERE id = 41").unwrap(), "unnamed");

    // A name that is given in the same breath would outlive a rollback.
    let script = format!(
        "Parse \"v\" \"{text}\" 25 23\nBind \"\" \"v\" \"named\" \"42\"\nExecute \"\" 0\nSync\n"
    );
    portcullis_testkit::script::run(&mut agent, &script).unwrap();
    let review = agent.held().unwrap().0;
    let untried = at(&arena, &review, "untried");
    assert!(why(&untried).contains("prepares"), "{untried}");
    approve(&arena, &review);
    assert_eq!(rest(&mut agent), ["1", "2", "C UPDATE 1\\x00", "Z I"]);
}

/// Whether a request was rehearsed, and what came of it, makes no difference to what the caller's
/// unnamed statement is afterwards: that which the server would have left.
#[test]
fn the_unnamed_statement_is_what_the_server_would_leave() {
    let (_turn, arena) = (turn(), long());
    let mut agent = arena.client("claude").unwrap();
    let script =
        |agent: &mut RawClient, text: &str| portcullis_testkit::script::run(agent, text).unwrap();
    let run = "Bind \"\" \"\"\nExecute \"\" 0\nSync\n";
    // It was parsed before: it is there, however often it is rehearsed and rejected.
    let text = "UPDATE parents SET note = 'held' WHERE id = 50";
    script(&mut agent, &format!("Parse \"\" \"{text}\"\nSync\nuntil Z\n"));
    for _ in 0..2 {
        script(&mut agent, run);
        let review = agent.held().unwrap().0;
        at(&arena, &review, "open");
        reject(&arena, &review);
        assert!(rest(&mut agent)[0].contains("42501"));
    }
    script(&mut agent, run);
    let review = agent.held().unwrap().0;
    at(&arena, &review, "open");
    approve(&arena, &review);
    assert!(rest(&mut agent).iter().any(|m| m.starts_with("C UPDATE 1")));
    // Another, or a Query, is held in its place: rehearsed or not, nothing is there afterwards. It is
    // not the one before that runs.
    let parsed = |text: &str| format!("Parse \"\" \"{text}\"\n{run}");
    let untried = "INSERT INTO watched VALUES (1)";
    for (request, stage) in [(Ok(text), "open"), (Ok(untried), "untried"), (Err(text), "open")] {
        script(&mut agent, "Parse \"\" \"SELECT 4711\"\nSync\nuntil Z\n");
        match request {
            Ok(text) => drop(script(&mut agent, &parsed(text))),
            Err(text) => agent.ask(text).unwrap(),
        }
        let review = agent.held().unwrap().0;
        at(&arena, &review, stage);
        reject(&arena, &review);
        assert!(rest(&mut agent)[0].contains("42501"));
        let answer = script(&mut agent, &format!("{run}until Z\n"));
        assert!(answer.contains("26000") && !answer.contains("4711"), "{answer}");
        // And a new one is there at once.
        let answer = script(&mut agent, &format!("{}until Z\n", parsed("SELECT 4712")));
        assert!(answer.contains("4712"), "{answer}");
    }
}

#[test]
fn what_a_rollback_does_not_undo_is_not_rehearsed() {
    let (_turn, arena) = (turn(), long());
    let mut agent = arena.client("claude").unwrap();
    for (sql, expect) in [
        ("INSERT INTO watched VALUES (1)", "code of users"),
        ("INSERT INTO quiet (id) VALUES (1)", "more than change rows"),
        ("INSERT INTO parents VALUES (setval('numbers', 40)::int + 1000, 'x')", "sequence"),
        ("INSERT INTO parents SELECT 1001, pg_notify('c', 'x')::text", "more than change rows"),
        ("INSERT INTO parents VALUES (1002, set_config('a.b', 'c', false))", "more than change"),
        ("DELETE FROM parents WHERE id = 60; DELETE FROM parents WHERE id = 61", "one statement"),
        ("UPDATE customer_contacts SET name = 'x' WHERE id = 1", "no ordinary table"),
        ("INSERT INTO parents VALUES (1003, pg_sleep(0)::text)", "more than change rows"),
    ] {
        agent.ask(sql).unwrap();
        let review = agent.held().unwrap().0;
        let untried = at(&arena, &review, "untried");
        assert!(why(&untried).contains(expect), "{sql}: {untried}");
        let (_, shown) = run(&arena, &["show", &review]);
        assert!(shown.contains("\nrehearsed    not run: "), "{shown}");
        assert_eq!(open_transactions(&arena), "0", "{sql}");
        reject(&arena, &review);
        rest(&mut agent);
    }
    assert_eq!(arena.truth("SELECT is_called FROM numbers").unwrap(), "f");
    // Inside a transaction nothing waits, so nothing is rehearsed.
    agent.query("BEGIN").unwrap();
    let refused = agent.query("DELETE FROM parents WHERE id = 62").unwrap();
    assert!(refused.iter().any(|m| m.tag == b'E'));
    agent.query("ROLLBACK").unwrap();
    assert_eq!(open_transactions(&arena), "0");
}

#[test]
fn what_fails_is_told_by_its_code_and_stays_held() {
    let (_turn, arena) = (turn(), long());
    let mut agent = arena.client("claude").unwrap();
    for (sql, expect) in [
        ("INSERT INTO parents VALUES (1, 'there already')", "23505"),
        ("INSERT INTO children VALUES (2000, 99999)", "23503"),
        ("INSERT INTO late VALUES (1, 99999)", "at its end"),
        ("INSERT INTO parents VALUES (1 / (SELECT 0), 'x')", "22012"),
    ] {
        agent.ask(sql).unwrap();
        let review = agent.held().unwrap().0;
        let failed = at(&arena, &review, "failed");
        assert!(why(&failed).contains(expect), "{sql}: {failed}");
        assert_eq!(page(&arena, &review)["status"], "pending");
        assert_eq!(open_transactions(&arena), "0");
        reject(&arena, &review);
        assert!(rest(&mut agent)[0].contains("42501"));
    }
}

#[test]
fn locks_of_others_are_not_waited_for_long() {
    let (_turn, arena) = (turn(), long());
    let mut agent = arena.client("claude").unwrap();
    let mut other =
        RawClient::log_in(([127, 0, 0, 1], arena.server.port()).into(), "raw", "shop", "").unwrap();
    other.query("BEGIN").unwrap();
    other.query("UPDATE parents SET note = 'held' WHERE id = 70").unwrap();
    agent.ask("DELETE FROM parents WHERE id = 70").unwrap();
    let review = agent.held().unwrap().0;
    let failed = at(&arena, &review, "failed");
    assert!(why(&failed).contains("55P03"), "{failed}");
    other.query("ROLLBACK").unwrap();
    approve(&arena, &review);
    assert!(rest(&mut agent).iter().any(|l| l.starts_with("C DELETE 1")));
}

#[test]
fn rows_are_shown_as_the_caller_would_see_them() {
    let (_turn, arena) = (turn(), long());
    let mut agent = arena.client("claude").unwrap();
    agent.ask("UPDATE customers SET city = 'Turin' WHERE id = 7 RETURNING email").unwrap();
    let review = agent.held().unwrap().0;
    let open = at(&arena, &review, "open");
    for image in ["before", "after"] {
        let rows = &open["seen"][image]["rows"];
        assert_eq!(rows["columns"][2], "email", "{open:#}");
        let email = rows["rows"][0][2].as_str().unwrap();
        assert!(email.contains('*') && !email.contains("sentinel"), "{email}");
    }
    assert_eq!(open["seen"]["after"]["rows"]["rows"][0][4], "Turin");
    let (_, shown) = run(&arena, &["show", &review]);
    assert!(!shown.contains("sentinel4711"), "{shown}");
    approve(&arena, &review);
    let answer = rest(&mut agent);
    assert!(answer[1].starts_with("D \"") && !answer[1].contains("sentinel"), "{answer:?}");
    nowhere(&arena.data(), SENTINEL);
    nowhere(&arena.log_file(), SENTINEL);
}

/// No file holds the text.
fn nowhere(path: &Path, text: &str) {
    if path.is_dir() {
        let files = std::fs::read_dir(path).unwrap();
        return files.for_each(|file| nowhere(&file.unwrap().path(), text));
    }
    let bytes = std::fs::read(path).unwrap();
    let found = bytes.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(!found, "{} holds it", path.display());
}

#[test]
fn partitions_and_upserts_show_their_rows() {
    let (_turn, arena) = (turn(), long());
    let mut agent = arena.client("claude").unwrap();
    agent.ask("UPDATE parts SET v = 0 WHERE id BETWEEN 98 AND 101").unwrap();
    let review = agent.held().unwrap().0;
    let open = at(&arena, &review, "open");
    assert_eq!(open["seen"]["changed"], 4);
    let rows = open["seen"]["before"]["rows"]["rows"].clone();
    assert_eq!(
        rows,
        serde_json::json!([["98", "98"], ["99", "99"], ["100", "100"], ["101", "101"]])
    );
    approve(&arena, &review);
    assert!(rest(&mut agent)[0].starts_with("C UPDATE 4"));
    agent.ask("INSERT INTO parents VALUES (80, 'new'), (900, 'new') ON CONFLICT (id) DO UPDATE SET note = excluded.note").unwrap();
    let review = agent.held().unwrap().0;
    let open = at(&arena, &review, "open");
    assert_eq!(open["seen"]["before"]["rows"]["rows"], serde_json::json!([["80", "note 80"]]));
    let after = &open["seen"]["after"]["rows"]["rows"];
    assert_eq!(*after, serde_json::json!([["80", "new"], ["900", "new"]]));
    reject(&arena, &review);
    rest(&mut agent);
    // The statement came with PostgreSQL 15.
    if arena.server.version() < 15 {
        return;
    }
    agent
        .ask(
            "MERGE INTO parents p USING (VALUES (81, 'm'), (901, 'm')) s(id, note) ON p.id = s.id
         WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.note)",
        )
        .unwrap();
    let review = agent.held().unwrap().0;
    let open = at(&arena, &review, "open");
    assert_eq!(open["seen"]["changed"], 2);
    assert_eq!(open["seen"]["before"]["rows"]["rows"], serde_json::json!([["81", "note 81"]]));
    assert_eq!(open["seen"]["after"]["rows"]["rows"], serde_json::json!([["901", "m"]]));
    approve(&arena, &review);
    assert!(rest(&mut agent)[0].starts_with("C MERGE 2"));
}

#[test]
fn what_cannot_be_shown_for_certain_is_not() {
    let (_turn, arena) = (turn(), long());
    let mut agent = arena.client("claude").unwrap();
    // Locks on parents look like changes of them.
    agent.ask("UPDATE tree SET parent = 1 WHERE id = 3").unwrap();
    let review = agent.held().unwrap().0;
    let open = at(&arena, &review, "open");
    assert!(open["seen"]["before"]["none"]["why"].as_str().unwrap().contains("locked"), "{open:#}");
    assert_eq!(open["seen"]["after"]["rows"]["rows"], serde_json::json!([["3", "1"]]));
    reject(&arena, &review);
    rest(&mut agent);
    // Who may not read a table is not the one to show it by.
    agent.ask("DELETE FROM hidden").unwrap();
    let review = agent.held().unwrap().0;
    let open = at(&arena, &review, "open");
    assert_eq!(open["seen"]["changed"], 1);
    let why = open["seen"]["before"]["none"]["why"].as_str().unwrap_or_default();
    assert!(why.contains("policy does not let the caller"), "{open:#}");
    approve(&arena, &review);
    assert!(rest(&mut agent).iter().any(|l| l.starts_with("C DELETE 1")));
}

/// What the gateway itself asks meanwhile runs no code of the caller's, whatever its names mean.
#[test]
fn operators_of_the_callers_choice_are_not_run() {
    let (_turn, arena) = (turn(), long());
    let evil = r#"CREATE SCHEMA evil; CREATE SEQUENCE evil.calls;
        DO $do$ DECLARE t text; o text; BEGIN
          FOREACH t IN ARRAY ARRAY['text', 'name', 'oid', 'bigint', 'integer', '"char"'] LOOP
            EXECUTE format($f$CREATE FUNCTION evil.f(%1$s, %1$s) RETURNS boolean LANGUAGE plpgsql
              AS 'BEGIN PERFORM pg_catalog.nextval(''evil.calls''); RETURN true; END'$f$, t);
            FOREACH o IN ARRAY ARRAY['=', '<>', '<', '>', '<=', '>='] LOOP
              EXECUTE format($f$CREATE OPERATOR evil.%1$s (FUNCTION = evil.f, LEFTARG = %2$s,
                RIGHTARG = %2$s)$f$, o, t);
            END LOOP;
          END LOOP; END $do$"#;
    arena.server.sql("shop", evil).unwrap();
    let called = || arena.truth("SELECT is_called FROM evil.calls").unwrap();
    let mut agent = arena.client("claude").unwrap();
    let path = "SET search_path = evil, pg_catalog, public";
    agent.query(path).unwrap();
    let shown = agent.query("SHOW search_path").unwrap();
    assert!(shown.iter().any(|m| m.shown().contains("evil, pg_catalog, public")));
    agent.ask("INSERT INTO public.parents VALUES (950, 'x')").unwrap();
    let review = agent.held().unwrap().0;
    let open = at(&arena, &review, "open");
    let after = &open["seen"]["after"]["rows"]["rows"];
    assert_eq!(*after, serde_json::json!([["950", "x"]]), "{open:#}");
    approve(&arena, &review);
    assert!(rest(&mut agent).iter().any(|l| l.starts_with("C INSERT 0 1")));
    assert_eq!(called(), "f");
    // The trap works.
    arena.server.sql("shop", &format!("{path}; SELECT 1 = 1")).unwrap();
    assert_eq!(called(), "t");
    arena.server.sql("shop", "DROP SCHEMA evil CASCADE").unwrap();
}

#[test]
fn a_caller_who_goes_or_cancels_leaves_nothing() {
    let (_turn, arena) = (turn(), long());
    let mut agent = arena.client("claude").unwrap();
    agent.ask("DELETE FROM parents WHERE id = 100").unwrap();
    let review = agent.held().unwrap().0;
    at(&arena, &review, "open");
    drop(agent);
    let undone = at(&arena, &review, "undone");
    assert!(why(&undone).contains("went away"), "{undone}");
    assert_eq!(open_transactions(&arena), "0");
    assert_eq!(arena.truth("SELECT count(*) FROM parents WHERE id = 100").unwrap(), "1");

    let mut agent = arena.client("claude").unwrap();
    let (process, secret) = agent.cancel_key.clone().unwrap();
    agent.ask("DELETE FROM parents WHERE id = 101").unwrap();
    let review = agent.held().unwrap().0;
    at(&arena, &review, "open");
    let mut cancel = 80_877_102_u32.to_be_bytes().to_vec();
    cancel.extend_from_slice(&process.to_be_bytes());
    cancel.extend_from_slice(&secret);
    let length = (cancel.len() as u32 + 4).to_be_bytes();
    let mut other = RawClient::connect(arena.postgres).unwrap();
    other.send(&[&length[..], &cancel].concat()).unwrap();
    let answer = rest(&mut agent);
    assert!(answer[0].contains("57014"), "{answer:?}");
    assert!(why(&at(&arena, &review, "undone")).contains("cancelled"));
    assert_eq!(open_transactions(&arena), "0");
    assert_eq!(arena.truth("SELECT count(*) FROM parents WHERE id = 101").unwrap(), "1");
    assert!(agent.query("SELECT 1").unwrap().iter().any(|m| m.tag == b'D'));
}

#[test]
fn one_request_of_a_caller_is_rehearsed_at_a_time() {
    let (_turn, arena) = (turn(), long());
    let (mut one, mut two) = (arena.client("claude").unwrap(), arena.client("claude").unwrap());
    one.ask("DELETE FROM parents WHERE id = 110").unwrap();
    let first = one.held().unwrap().0;
    at(&arena, &first, "open");
    two.ask("DELETE FROM parents WHERE id = 111").unwrap();
    let second = two.held().unwrap().0;
    assert!(why(&at(&arena, &second, "untried")).contains("another request"));
    // The same request is one review, and one rehearsal.
    let mut three = arena.client("claude").unwrap();
    three.ask("DELETE FROM parents WHERE id = 110").unwrap();
    assert_eq!(three.held().unwrap().0, first);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(open_transactions(&arena), "1");
    approve(&arena, &first);
    let answers = [rest(&mut one), rest(&mut three)].concat();
    let ran = answers.iter().filter(|l| l.starts_with("C DELETE 1")).count();
    let refused = answers.iter().filter(|l| l.starts_with('E')).count();
    assert_eq!((ran, refused), (1, 1), "{answers:?}");
    reject(&arena, &second);
    rest(&mut two);
}

#[test]
fn definitions_are_looked_up_again_in_its_transaction() {
    let (_turn, arena) = (turn(), long());
    let mut agent = arena.client("claude").unwrap();
    agent.ask("DELETE FROM parents WHERE id = 120").unwrap();
    let review = agent.held().unwrap().0;
    at(&arena, &review, "open");
    // What it rests on is locked; what others define elsewhere is nothing to it.
    let alter = "SET lock_timeout = '200ms'; ALTER TABLE parents ADD COLUMN more int";
    assert!(arena.server.sql("shop", alter).is_err());
    arena.server.sql("shop", "ALTER TABLE watched ADD COLUMN more int").unwrap();
    approve(&arena, &review);
    assert!(rest(&mut agent).iter().any(|l| l.starts_with("C DELETE 1")));
}

#[test]
fn a_budget_that_is_over_frees_the_locks_and_what_runs_later_is_bound_to_what_was_seen() {
    let arena = start("2s");
    let mut agent = arena.client("claude").unwrap();
    agent.ask("DELETE FROM parents WHERE note LIKE 'note 13%'").unwrap();
    let review = agent.held().unwrap().0;
    let undone = at(&arena, &review, "undone");
    assert!(why(&undone).contains("nobody had decided"), "{undone}");
    assert_eq!(undone["seen"]["changed"], 11, "{undone:#}");
    assert_eq!(open_transactions(&arena), "0");
    assert_eq!(page(&arena, &review)["status"], "pending");
    // The locks are free: another session can write, one row more that the request would change.
    arena
        .server
        .sql(
            "shop",
            "SET lock_timeout = '1s'; UPDATE parents SET note = 'note 13 too' WHERE id = 200",
        )
        .unwrap();
    approve(&arena, &review);
    let answer = rest(&mut agent);
    assert!(answer[0].contains("53400") && answer[0].contains("rehearsed"), "{answer:?}");
    let count = "SELECT count(*) FROM parents WHERE note LIKE 'note 13%'";
    assert_eq!(arena.truth(count).unwrap(), "12");

    // Reviewed anew, and run after its time within what was seen.
    agent.ask("DELETE FROM parents WHERE note LIKE 'note 13%'").unwrap();
    let again = agent.held().unwrap().0;
    assert_ne!(again, review);
    assert_eq!(at(&arena, &again, "undone")["seen"]["changed"], 12);
    approve(&arena, &again);
    assert!(rest(&mut agent).iter().any(|l| l.starts_with("C DELETE 12")));
    assert_eq!(arena.truth(count).unwrap(), "0");
    killed_in_the_middle(arena);
}

fn killed_in_the_middle(mut arena: Arena) {
    let mut agent = arena.client("claude").unwrap();
    agent.ask("UPDATE big SET v = 1").unwrap();
    let review = agent.held().unwrap().0;
    at(&arena, &review, "open");
    arena.kill_gateway().unwrap();
    drop(agent);
    let deadline = Instant::now() + Duration::from_secs(10);
    while open_transactions(&arena) != "0" {
        assert!(Instant::now() < deadline, "the target keeps it");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(arena.truth("SELECT count(*) FROM big WHERE v = 1").unwrap(), "0");
    arena.start_gateway().unwrap();
    // Nothing but that it is over is known of it, and what was seen still bounds what runs.
    let undone = at(&arena, &review, "undone");
    assert!(why(&undone).contains("its session ended"), "{undone}");
    let mut agent = arena.client("claude").unwrap();
    agent.ask("UPDATE big SET v = 1").unwrap();
    assert_eq!(agent.held().unwrap().0, review);
    approve(&arena, &review);
    assert!(rest(&mut agent).iter().any(|l| l.starts_with("C UPDATE 20000")));
    let verified = arena.portcullis(&["audit", "verify"]).unwrap();
    let text = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(verified.status.success(), "{text}");
}
