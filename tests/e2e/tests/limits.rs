//! Limits that rules set: how many rows come, how many change, how long it takes, how often.

use portcullis_testkit::arena::{Arena, Setup, Shared};
use portcullis_testkit::raw::{Message, RawClient, message};
use std::sync::Arc;
use std::time::{Duration, Instant};

static ARENA: Shared = Shared::new();

const RULES: &str = r#"
@id("few-rows") @max_rows("10")
permit (principal, action == Action::"read", resource is Relation) when { resource.name == "orders" };
@id("few-changes") @max_changes("3")
permit (principal, action in [Action::"insert", Action::"update", Action::"delete"], resource is Relation);
@id("quick") @timeout("700ms")
permit (principal, action == Action::"read", resource is Relation) when { resource.name == "payments" };
@id("now-and-then") @rate("5/minute")
permit (principal == Person::"ana", action == Action::"read", resource is Relation);
@id("not-much") @session_rows("25")
permit (principal == Person::"bo", action == Action::"read", resource is Relation);
@id("hardly-any") @session_changes("4")
permit (principal == Person::"bo", action == Action::"update", resource is Relation);
"#;

fn arena() -> Arc<Arena> {
    ARENA.get(|| {
        let mut setup = Setup::allow_all();
        setup.policy = "[policy]\npacks = [\"allow-all\"]\nfiles = [\"limits.cedar\"]\n".to_owned();
        let arena = Arena::start_with(&setup, &[("limits.cedar", RULES)]).unwrap();
        arena
            .server
            .sql(
                "shop",
                "CREATE TABLE parents (id int PRIMARY KEY, note text);
                 CREATE TABLE children (id int, parent int REFERENCES parents ON DELETE CASCADE);
                 CREATE TABLE late (id int, parent int REFERENCES parents DEFERRABLE INITIALLY DEFERRED);
                 INSERT INTO parents SELECT n, 'x' FROM generate_series(1, 100) n;
                 INSERT INTO children SELECT n, 1 + n % 2 FROM generate_series(1, 10) n;
                 CREATE TABLE noted (n int);
                 CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
                   'BEGIN INSERT INTO noted SELECT generate_series(1, 5); RETURN NEW; END';
                 CREATE TABLE watched (id int);
                 CREATE TRIGGER notes AFTER INSERT ON watched FOR EACH ROW EXECUTE FUNCTION note();
                 CREATE TABLE patient (id int);
                 CREATE CONSTRAINT TRIGGER notes AFTER INSERT ON patient DEFERRABLE INITIALLY DEFERRED
                   FOR EACH ROW EXECUTE FUNCTION note();
                 CREATE TABLE loose (id int PRIMARY KEY);
                 INSERT INTO loose SELECT generate_series(1, 100);
                 CREATE TABLE scratch (n int);
                 CREATE FUNCTION fill() RETURNS int LANGUAGE plpgsql AS
                   'BEGIN INSERT INTO scratch SELECT generate_series(1, 1000); RETURN 1; END';
                 CREATE FUNCTION empty() RETURNS int LANGUAGE plpgsql AS
                   'BEGIN TRUNCATE scratch; RETURN 1; END';",
            )
            .unwrap();
        arena
    })
}

fn client(name: &str) -> RawClient {
    let token = arena().token(name).unwrap();
    RawClient::log_in(arena().postgres, name, "shop", &token).unwrap()
}

fn rows(messages: &[Message]) -> usize {
    messages.iter().filter(|m| m.tag == b'D').count()
}

fn error(messages: &[Message]) -> Option<String> {
    messages.iter().find(|m| m.tag == b'E').map(Message::shown)
}

fn tags(messages: &[Message]) -> String {
    messages.iter().map(|m| char::from(m.tag)).collect()
}

fn status(messages: &[Message]) -> u8 {
    messages.last().filter(|m| m.tag == b'Z').unwrap().body[0]
}

fn extended(sql: &str) -> Vec<u8> {
    [
        message(b'P', &[b"\0", sql.as_bytes(), b"\0\0\0"].concat()),
        message(b'B', &[0; 8]),
        message(b'D', b"P\0"),
        message(b'E', &[0; 5]),
    ]
    .concat()
}

fn sync() -> Vec<u8> {
    message(b'S', b"")
}

#[test]
fn an_answer_stops_at_its_rows_and_says_so() {
    let _held = arena();
    let mut client = client("claude");
    for _ in 0..3 {
        let all = client.query("SELECT * FROM orders").unwrap();
        assert_eq!(rows(&all), 10);
        let told = error(&all).unwrap();
        assert!(told.contains("C=53400") && told.contains("few-rows"), "{told}");
        assert!(!tags(&all).contains('C') && status(&all) == b'I', "{}", tags(&all));
        // The session goes on as if nothing had been.
        let few = client.query("SELECT id FROM orders ORDER BY id LIMIT 10").unwrap();
        assert_eq!((rows(&few), error(&few)), (10, None));
    }
    client.send(&[extended("SELECT * FROM orders"), sync()].concat()).unwrap();
    let all = client.until(b'Z').unwrap();
    assert_eq!((rows(&all), status(&all)), (10, b'I'));
    assert!(error(&all).unwrap().contains("few-rows"));
    let copied = client.query("COPY orders TO STDOUT").unwrap();
    assert_eq!(copied.iter().filter(|m| m.tag == b'd').count(), 10);
    assert!(error(&copied).unwrap().contains("few-rows"));
    // Inside a transaction it is an error like any other.
    client.query("BEGIN").unwrap();
    assert_eq!(status(&client.query("SELECT * FROM orders").unwrap()), b'E');
    assert!(error(&client.query("SELECT 1").unwrap()).unwrap().contains("25P02"));
    assert_eq!(status(&client.query("ROLLBACK").unwrap()), b'I');
}

#[test]
fn a_pipeline_ends_where_an_answer_went_too_far() {
    let _held = arena();
    let mut client = client("claude");
    let all = [extended("SELECT * FROM orders"), extended("SELECT 1"), sync()].concat();
    client.send(&[all, extended("SELECT 2"), sync()].concat()).unwrap();
    let first = client.until(b'Z').unwrap();
    assert_eq!(rows(&first), 10, "{}", tags(&first));
    assert!(tags(&first).ends_with("EZ"), "{}", tags(&first));
    let second = client.until(b'Z').unwrap();
    assert_eq!((rows(&second), error(&second)), (1, None));
    // Up to Flush: nothing more is said until Sync.
    client.send(&[extended("SELECT * FROM orders"), message(b'H', b"")].concat()).unwrap();
    let answer = client.until(b'E').unwrap();
    assert_eq!(rows(&answer), 10);
    client.send(&[extended("SELECT 1"), sync()].concat()).unwrap();
    assert_eq!(tags(&client.until(b'Z').unwrap()), "Z");
    assert_eq!(rows(&client.query("SELECT 1").unwrap()), 1);
}

#[test]
fn changes_beyond_a_limit_are_undone() {
    let _held = arena();
    let mut client = client("claude");
    let count = || arena().truth("SELECT count(*) FROM parents WHERE note = 'y'").unwrap();
    let few = client.query("UPDATE parents SET note = 'z' WHERE id BETWEEN 90 AND 92").unwrap();
    assert_eq!((tags(&few).as_str(), status(&few)), ("CZ", b'I'));
    let many = client.query("UPDATE parents SET note = 'y' WHERE id BETWEEN 50 AND 53").unwrap();
    let told = error(&many).unwrap();
    assert!(told.contains("C=53400") && told.contains("few-changes"), "{told}");
    assert_eq!((tags(&many).as_str(), status(&many)), ("EZ", b'I'));
    assert_eq!(count().trim(), "0");
    let returning = "UPDATE parents SET note = 'y' WHERE id < 50 RETURNING id";
    client.send(&[extended(returning), sync()].concat()).unwrap();
    let many = client.until(b'Z').unwrap();
    assert!(error(&many).unwrap().contains("rolled back"));
    assert_eq!((count().trim(), status(&many)), ("0", b'I'));
    // Several in one pipeline count together.
    let one = |n: u32| extended(&format!("UPDATE parents SET note = 'y' WHERE id = {n}"));
    client.send(&[one(1), one(2), sync()].concat()).unwrap();
    assert_eq!(error(&client.until(b'Z').unwrap()), None);
    assert_eq!(count().trim(), "2");
    client.send(&[one(3), one(4), one(5), one(6), sync()].concat()).unwrap();
    assert!(error(&client.until(b'Z').unwrap()).is_some());
    assert_eq!(count().trim(), "2");
    client.query("UPDATE parents SET note = 'x' WHERE id < 3").unwrap();
}

#[test]
fn cascades_and_triggers_count() {
    let _held = arena();
    let mut client = client("claude");
    let cascade = client.query("DELETE FROM parents WHERE id = 1").unwrap();
    assert!(error(&cascade).unwrap().contains("few-changes"));
    assert_eq!(arena().truth("SELECT count(*) FROM children").unwrap().trim(), "10");
    let trigger = client.query("INSERT INTO watched VALUES (1)").unwrap();
    assert!(error(&trigger).unwrap().contains("few-changes"));
    assert_eq!(arena().truth("SELECT count(*) FROM noted").unwrap().trim(), "0");
}

/// Deletes twenty rows, of which no tag tells.
const HIDDEN: &str =
    "WITH d AS (DELETE FROM loose WHERE id <= 20 RETURNING 1) SELECT count(*) FROM d";

fn loose() -> String {
    arena().truth("SELECT count(*) FROM loose WHERE id <= 20").unwrap().trim().to_owned()
}

#[test]
fn in_a_pipeline_without_sync_only_what_tags_tell_of_is_changed() {
    let _held = arena();
    let mut client = client("claude");
    let flush = message(b'H', b"");
    for sql in [HIDDEN, "DELETE FROM parents WHERE id = 2", "INSERT INTO patient VALUES (1)"] {
        client.send(&[extended(sql), flush.clone()].concat()).unwrap();
        let told = error(&client.until(b'E').unwrap()).unwrap();
        assert!(told.contains("few-changes") && told.contains("send Sync"), "{told}");
        client.send(&sync()).unwrap();
        assert_eq!(tags(&client.until(b'Z').unwrap()), "Z");
    }
    assert_eq!((loose().as_str(), rows(&client.query("SELECT 1").unwrap())), ("20", 1));
    let one = "DELETE FROM loose WHERE id = 99";
    client.send(&[extended(one), flush.clone()].concat()).unwrap();
    client.until(b'C').unwrap();
    let many = "DELETE FROM loose WHERE id > 90";
    client.send(&[extended(many), flush].concat()).unwrap();
    assert!(error(&client.until(b'E').unwrap()).unwrap().contains("few-changes"));
    client.send(&sync()).unwrap();
    client.until(b'Z').unwrap();
    assert_eq!(arena().truth("SELECT count(*) FROM loose WHERE id > 90").unwrap().trim(), "10");
}

#[test]
fn rows_of_one_table_make_up_for_those_of_no_other() {
    let _held = arena();
    let mut client = client("claude");
    for end in ["DROP TABLE scratch", "SELECT empty()"] {
        client.query("BEGIN").unwrap();
        assert_eq!(error(&client.query("SELECT fill()").unwrap()), None);
        let told = error(&client.query(&format!("{HIDDEN}; {end}")).unwrap()).unwrap();
        assert!(told.contains("C=53400") && told.contains("few-changes"), "{told}");
        assert_eq!(status(&client.query("COMMIT").unwrap()), b'I');
        assert_eq!(loose(), "20");
    }
    // Nor those of before the gateway's own transaction.
    client.query("SELECT fill()").unwrap();
    let told = error(&client.query(&format!("{HIDDEN}; DROP TABLE scratch")).unwrap()).unwrap();
    assert!(told.contains("few-changes") && loose() == "20", "{told}");
    let told = error(&client.query(&format!("SET track_counts = off; {HIDDEN}")).unwrap()).unwrap();
    assert!(told.contains("nothing has run") && loose() == "20", "{told}");
}

#[test]
fn what_is_put_off_to_the_end_of_a_transaction_counts() {
    let _held = arena();
    let mut client = client("claude");
    let none = || {
        let both = "SELECT (SELECT count(*) FROM noted) + (SELECT count(*) FROM patient)";
        arena().truth(both).unwrap().trim() == "0"
    };
    let told = error(&client.query("INSERT INTO patient VALUES (1)").unwrap()).unwrap();
    assert!(told.contains("few-changes") && none(), "{told}");
    client.query("BEGIN").unwrap();
    assert_eq!(error(&client.query("INSERT INTO patient VALUES (1)").unwrap()), None);
    let told = client.query("COMMIT").unwrap();
    assert!(error(&told).unwrap().contains("few-changes"), "{told:?}");
    assert_eq!((status(&told), none()), (b'I', true));
    client.query("BEGIN").unwrap();
    assert_eq!(error(&client.query("INSERT INTO patient VALUES (1)").unwrap()), None);
    let told = client.query("SET CONSTRAINTS ALL IMMEDIATE").unwrap();
    assert!(error(&told).unwrap().contains("few-changes"));
    assert_eq!(status(&client.query("ROLLBACK").unwrap()), b'I');
    assert!(none());
    assert_eq!(error(&client.query("BEGIN").unwrap()), None);
    assert_eq!(status(&client.query("COMMIT").unwrap()), b'I');
}

#[test]
fn a_cursor_that_outlives_its_transaction_is_no_way_to_take_longer() {
    let _held = arena();
    let mut client = client("claude");
    client.query("BEGIN").unwrap();
    let cursor = "DECLARE c CURSOR WITH HOLD FOR SELECT pg_sleep(20) FROM payments";
    assert_eq!(error(&client.query(cursor).unwrap()), None);
    let started = Instant::now();
    let told = client.query("COMMIT").unwrap();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(error(&told).unwrap().contains("quick") && status(&told) == b'I', "{told:?}");
    assert_eq!(rows(&client.query("SELECT 1").unwrap()), 1);
}

#[test]
fn what_cannot_be_counted_or_undone_does_not_begin() {
    let _held = arena();
    let mut client = client("claude");
    for sql in [
        "BEGIN; UPDATE parents SET note = 'q' WHERE id = 80; COMMIT",
        "UPDATE parents SET note = 'q' WHERE id = 80; COMMIT",
    ] {
        let told = error(&client.query(sql).unwrap()).unwrap();
        assert!(told.contains("nothing has run"), "{told}");
    }
    let open = extended("UPDATE parents SET note = 'q' WHERE id = 80");
    client.send(&[extended("SELECT 1"), message(b'H', b"")].concat()).unwrap();
    client.until(b'C').unwrap();
    client.send(&[open, sync()].concat()).unwrap();
    assert!(error(&client.until(b'Z').unwrap()).unwrap().contains("send Sync"));
    assert_eq!(arena().truth("SELECT count(*) FROM parents WHERE note = 'q'").unwrap().trim(), "0");
    assert_eq!(rows(&client.query("SELECT 1").unwrap()), 1);
}

#[test]
fn in_the_callers_transaction_it_is_an_error_like_any_other() {
    let _held = arena();
    let mut client = client("claude");
    client.query("BEGIN").unwrap();
    let few = client.query("UPDATE parents SET note = 'w' WHERE id = 70").unwrap();
    assert_eq!((tags(&few).as_str(), status(&few)), ("CZ", b'T'));
    client.query("SAVEPOINT s").unwrap();
    let many = client.query("UPDATE parents SET note = 'w' WHERE id > 70").unwrap();
    assert_eq!((tags(&many).as_str(), status(&many)), ("EZ", b'E'));
    assert_eq!(status(&client.query("ROLLBACK TO s").unwrap()), b'T');
    assert_eq!(status(&client.query("COMMIT").unwrap()), b'I');
    assert_eq!(arena().truth("SELECT count(*) FROM parents WHERE note = 'w'").unwrap().trim(), "1");
}

#[test]
fn a_deferred_constraint_speaks_at_the_commit() {
    let _held = arena();
    let mut client = client("claude");
    let told = error(&client.query("INSERT INTO late VALUES (1, 4711)").unwrap()).unwrap();
    assert!(told.contains("C=23503") && told.contains("foreign key"), "{told}");
    let fine = client.query("INSERT INTO late VALUES (1, 60)").unwrap();
    assert_eq!((tags(&fine).as_str(), status(&fine)), ("CZ", b'I'));
    let wrong = client.query("INSERT INTO parents VALUES (60, 'twice')").unwrap();
    assert_eq!((tags(&wrong).as_str(), status(&wrong)), ("EZ", b'I'));
    assert!(error(&wrong).unwrap().contains("C=23505"));
}

/// The server's own words and code, before the gateway has taken much memory for it.
#[test]
fn a_list_of_results_is_as_long_as_the_server_makes_one() {
    let _held = arena();
    let mut client = client("claude");
    let list = |n: usize| format!("SELECT {}1", "1,".repeat(n - 1));
    assert_eq!(error(&client.query(&list(1664)).unwrap()), None);
    let said = arena().server.sql("shop", &list(1665)).unwrap_err().to_string();
    let told = error(&client.query(&list(1665)).unwrap()).unwrap();
    let words = "target lists can have at most 1664 entries";
    assert!(said.contains(words), "{said}");
    assert!(told.contains("C=54011") && told.contains(words), "{told}");
    let huge = format!("SELECT *{}", ",*".repeat(131_000));
    let told = error(&client.query(&huge).unwrap()).unwrap();
    assert!(told.contains("C=54000") && told.contains("in pieces"), "{told}");
    assert_eq!(rows(&client.query("SELECT 1").unwrap()), 1);
}

#[test]
fn copied_in_rows_count() {
    let _held = arena();
    let mut client = client("claude");
    client.send(&message(b'Q', b"COPY late FROM STDIN\0")).unwrap();
    client.until(b'G').unwrap();
    let row = message(b'd', b"7\t70\n");
    client.send(&[row.repeat(4), message(b'c', b"")].concat()).unwrap();
    assert!(error(&client.until(b'Z').unwrap()).unwrap().contains("few-changes"));
    assert_eq!(arena().truth("SELECT count(*) FROM late WHERE id = 7").unwrap().trim(), "0");
    client.send(&message(b'Q', b"COPY late FROM STDIN\0")).unwrap();
    client.until(b'G').unwrap();
    client.send(&[row.repeat(2), message(b'c', b"")].concat()).unwrap();
    assert_eq!(error(&client.until(b'Z').unwrap()), None);
    assert_eq!(arena().truth("SELECT count(*) FROM late WHERE id = 7").unwrap().trim(), "2");
}

/// Copies that fail, one way or the other, leave a session that goes on, and nothing behind.
#[test]
fn copies_that_fail_under_a_limit_leave_nothing() {
    let _held = arena();
    let mut client = client("claude");
    let none = || arena().truth("SELECT count(*) FROM late WHERE id = 9").unwrap().trim() == "0";
    let copy = message(b'Q', b"COPY late FROM STDIN\0");
    let row = message(b'd', b"9\t70\n");
    // The client gives up; a row is no row; a row breaks a rule of the table; a masked value.
    let fails = [
        message(b'f', b"enough\0"),
        [message(b'd', b"9\tx\n"), message(b'c', b"")].concat(),
        [message(b'd', b"9\t[masked]\n"), message(b'c', b"")].concat(),
        [message(b'd', b"9\t70\t7\n"), message(b'c', b"")].concat(),
    ];
    for fail in &fails {
        client.send(&copy).unwrap();
        client.until(b'G').unwrap();
        client.send(&[row.clone(), fail.clone()].concat()).unwrap();
        let answer = client.until(b'Z').unwrap();
        assert!(error(&answer).is_some() && status(&answer) == b'I', "{}", tags(&answer));
        assert!(none());
        assert_eq!(rows(&client.query("SELECT 1").unwrap()), 1);
    }
    // In a transaction of the caller's it fails, and is undone with it.
    for fail in &fails {
        client.query("BEGIN").unwrap();
        client.send(&copy).unwrap();
        client.until(b'G').unwrap();
        client.send(&[row.clone(), fail.clone()].concat()).unwrap();
        let answer = client.until(b'Z').unwrap();
        assert!(error(&answer).is_some() && status(&answer) == b'E', "{}", tags(&answer));
        assert_eq!(status(&client.query("ROLLBACK").unwrap()), b'I');
        assert!(none());
    }
    // Who hangs up in the middle has copied nothing.
    client.send(&copy).unwrap();
    client.until(b'G').unwrap();
    client.send(&row).unwrap();
    drop(client);
    std::thread::sleep(Duration::from_millis(300));
    assert!(none());
}

#[test]
fn what_takes_too_long_is_stopped() {
    let _held = arena();
    let mut client = client("claude");
    let started = Instant::now();
    let slow = client.query("SELECT pg_sleep(20) FROM payments").unwrap();
    assert!(started.elapsed() < Duration::from_secs(10));
    let told = error(&slow).unwrap();
    assert!(
        told.contains("C=57014") && told.contains("quick") && told.contains("700 ms"),
        "{told}"
    );
    for _ in 0..5 {
        let next = client.query("SELECT count(*) FROM payments").unwrap();
        assert_eq!((rows(&next), error(&next)), (1, None));
    }
}

#[test]
fn a_principal_asks_so_often_and_a_session_so_much() {
    let _held = arena();
    let mut ana = client("ana");
    // Statements count, in however few messages they come.
    let six = ["SELECT id FROM customers LIMIT 1"; 6].join(";");
    let told = ana.query(&six).unwrap();
    assert!(rows(&told) == 0 && error(&told).unwrap().contains("now-and-then"), "{told:?}");
    let mut asked = (0..8).map(|_| error(&ana.query("SELECT id FROM customers LIMIT 1").unwrap()));
    let answered: Vec<bool> = asked.by_ref().map(|error| error.is_none()).collect();
    assert_eq!(answered, [true, true, true, true, true, false, false, false]);
    // Another session of hers is no way round it.
    let told = error(&client("ana").query("SELECT id FROM customers LIMIT 1").unwrap()).unwrap();
    assert!(told.contains("now-and-then") && told.contains("later"), "{told}");
    let mut bo = client("bo");
    let read =
        |client: &mut RawClient, n| client.query(&format!("SELECT id FROM customers LIMIT {n}"));
    assert_eq!(rows(&read(&mut bo, 20).unwrap()), 20);
    let rest = read(&mut bo, 20).unwrap();
    assert_eq!(rows(&rest), 5);
    assert!(error(&rest).unwrap().contains("not-much"));
    assert!(error(&read(&mut bo, 1).unwrap()).unwrap().contains("not-much"));
    let set = |client: &mut RawClient, ids: &str| {
        client.query(&format!("UPDATE parents SET note = 'd' WHERE id IN ({ids})")).unwrap()
    };
    assert_eq!(error(&set(&mut bo, "20,21,22")), None);
    assert!(error(&set(&mut bo, "23,24")).unwrap().contains("hardly-any"));
    assert_eq!(error(&set(&mut bo, "23")), None);
    assert_eq!(arena().truth("SELECT count(*) FROM parents WHERE note = 'd'").unwrap().trim(), "4");
}
