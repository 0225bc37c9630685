//! The default pack in front of a real server: what must be masked is masked on every way out, and
//! what must be refused has not happened.

use portcullis_testkit::arena::{Arena, Setup, Shared};
use portcullis_testkit::raw::{Message, RawClient};
use portcullis_testkit::script;
use std::sync::{Arc, LazyLock};

static ARENA: Shared = Shared::new();

fn arena() -> Arc<Arena> {
    ARENA.get(|| {
        let arena = Arena::start(&Setup::agent_safe()).unwrap();
        arena
        .server
        .sql(
            "shop",
            "CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM payments; SELECT 1'",
        )
        .unwrap();
        arena
    })
}

/// Every value of the sensitive columns, as the server has them.
static SECRETS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let sql =
        "SELECT unnest(ARRAY[email, card_number]) FROM customers UNION SELECT iban FROM payments";
    let secrets: Vec<String> = arena().truth(sql).unwrap().lines().map(str::to_owned).collect();
    assert!(secrets.len() > 200);
    secrets
});

fn client() -> RawClient {
    let token = arena().token("claude").unwrap();
    RawClient::log_in(arena().postgres, "claude", "shop", &token).unwrap()
}

fn text_of(messages: &[Message]) -> String {
    messages.iter().map(|m| String::from_utf8_lossy(&m.body).into_owned() + "\n").collect()
}

fn assert_masked(what: &str, messages: &[Message]) {
    let text = text_of(messages);
    for secret in SECRETS.iter() {
        assert!(!text.contains(secret.as_str()), "{what}: {secret} came through in\n{text}");
        let upper = secret.to_uppercase();
        assert!(!text.contains(&upper), "{what}: {upper} came through");
        let reversed: String = secret.chars().rev().collect();
        assert!(!text.contains(&reversed), "{what}: {reversed} came through");
        assert!(!text.contains(&secret.replace(' ', "")), "{what}: {secret} came through unspaced");
    }
    assert!(!text.contains("@example.com"), "{what}: an address came through in\n{text}");
}

fn error_of(messages: &[Message]) -> Option<String> {
    messages.iter().find(|m| m.tag == b'E').map(Message::shown)
}

#[test]
fn sensitive_columns_are_masked_on_every_way_out() {
    let _held = arena();
    let mut client = client();
    let answered = [
        "SELECT * FROM customers ORDER BY id LIMIT 5",
        "SELECT id, email AS city, card_number AS name FROM customers",
        "SELECT upper(email), reverse(email), replace(card_number, ' ', '') FROM customers",
        "SELECT email || '' FROM customers",
        "SELECT c FROM customers c",
        "SELECT (c).email FROM customers c",
        "SELECT c.*::text FROM customers c",
        "SELECT row_to_json(c) FROM customers c",
        "SELECT to_jsonb(c) -> 'email' FROM customers c",
        "SELECT json_agg(c) FROM customers c",
        "SELECT array_agg(email) FROM customers",
        "SELECT string_agg(email, ',') FROM customers",
        "SELECT max(email), min(card_number) FROM customers",
        "SELECT x FROM (SELECT email AS x FROM customers) s",
        "WITH w AS (SELECT email AS x FROM customers) SELECT x FROM w",
        "WITH RECURSIVE r(n, x) AS (SELECT id, email FROM customers WHERE id = 1 UNION ALL \
         SELECT n + 1, x FROM r WHERE n < 3) SELECT * FROM r",
        "SELECT name FROM customers UNION ALL SELECT email FROM customers",
        "SELECT (SELECT email FROM customers WHERE id = o.customer_id) FROM orders o LIMIT 20",
        "SELECT l.x FROM orders o, LATERAL (SELECT email AS x FROM customers c WHERE c.id = o.customer_id) l",
        "SELECT email, name FROM customer_contacts",
        "SELECT * FROM customer_contacts LIMIT 3",
        "TABLE customers",
        "SELECT CASE WHEN id > 0 THEN email ELSE '' END FROM customers",
        "SELECT coalesce(email, 'x') FROM customers",
        "SELECT format('%s', email) FROM customers",
        "SELECT left(email, 50), substr(email, 1, 99), email::varchar(200), email::bytea FROM customers",
        "SELECT md5(email), email FROM customers LIMIT 1",
        "SELECT first_value(email) OVER (ORDER BY id) FROM customers LIMIT 3",
        "SELECT unnest(ARRAY[email]) FROM customers",
        "SELECT ROW(id, email) FROM customers",
        "SELECT p.iban, c.email FROM payments p JOIN orders o ON o.id = p.order_id JOIN customers c ON c.id = o.customer_id LIMIT 9",
        "SELECT DISTINCT email FROM customers",
        "PREPARE p1 AS SELECT email FROM customers; EXECUTE p1",
        "BEGIN; DECLARE c1 CURSOR FOR SELECT upper(email) AS e FROM customers; FETCH ALL FROM c1; COMMIT",
        "COPY (SELECT email, id FROM customers) TO STDOUT",
        "COPY customers TO STDOUT",
        "COPY customers (email, card_number) TO STDOUT (FORMAT csv, HEADER)",
        "COPY (SELECT lower(email) FROM customers) TO STDOUT (FORMAT csv, DELIMITER ';', QUOTE '''')",
        "SELECT note FROM orders WHERE note IS NOT NULL",
    ];
    let mut rows = 0;
    for sql in answered {
        let messages = client.query(sql).unwrap();
        assert_masked(sql, &messages);
        assert_eq!(error_of(&messages), None, "{sql}");
        rows += messages.iter().filter(|m| m.tag == b'D' || m.tag == b'd').count();
    }
    assert!(rows > 5000, "the statements answered with {rows} rows: was anything read at all?");
    // These may be refused or answered, as long as nothing comes through.
    for sql in [
        "COPY customers TO STDOUT (FORMAT binary)",
        "SELECT email::int FROM customers",
        "SELECT ('x' || email)::date FROM customers",
        "SELECT query_to_xml('SELECT email FROM customers', true, true, '')",
        "SELECT table_to_xml('customers', true, true, '')",
        "SELECT most_common_vals FROM pg_stats WHERE tablename = 'customers'",
        "SELECT histogram_bounds::text FROM pg_stats WHERE tablename = 'customers' AND attname = 'email'",
        "SELECT stavalues1::text FROM pg_statistic",
        "EXPLAIN SELECT * FROM customers WHERE email > 'm'",
        "EXPLAIN (ANALYZE, VERBOSE) SELECT email FROM customers",
        "INSERT INTO customers SELECT id, name, email, card_number, city, created_at FROM customers RETURNING *",
        "SELECT convert_from(lo_get(1), 'UTF8')",
        "SELECT ts_headline(email, 'x') FROM customers",
        "SELECT to_tsvector(email) FROM customers",
        "SELECT xmlelement(name x, email) FROM customers",
        "SELECT xmlforest(email) FROM customers",
        "SELECT * FROM json_each((SELECT json_agg(c) -> 0 FROM customers c))",
        "SELECT * FROM jsonb_to_record((SELECT to_jsonb(c) FROM customers c LIMIT 1)) AS x(email text)",
        "SELECT * FROM pg_get_viewdef('customer_contacts'::regclass)",
        "VALUES ((SELECT email FROM customers LIMIT 1))",
        "SELECT set_config('application_name', email, false) FROM customers",
        "SELECT current_setting('application_name')",
        "SELECT query FROM pg_stat_activity",
    ] {
        let messages = client.query(sql).unwrap();
        assert_masked(sql, &messages);
    }
}

#[test]
fn masking_holds_in_binary_and_over_the_extended_protocol() {
    let _held = arena();
    let mut client = client();
    for bind in ["Bind", "BindBinary"] {
        let text = format!(
            "Parse \"s\" \"SELECT id, email, card_number, upper(email) FROM customers WHERE id < 9\"\n\
             {bind} \"\" \"s\"\nExecute \"\" 0\nSync\nuntil Z\n\
             {bind} \"p\" \"s\"\nExecute \"p\" 2\nFlush\nuntil s\nExecute \"p\" 2\nSync\nuntil Z\nClose S \"s\"\nSync\nuntil Z\n"
        );
        let transcript = script::run(&mut client, &text).unwrap();
        assert_eq!(transcript.lines().filter(|l| l.starts_with("D ")).count(), 12, "{transcript}");
        assert!(!transcript.contains("@example.com"), "{transcript}");
        assert!(
            !transcript.lines().any(|l| l.starts_with("T ")),
            "the gateway's own Describe was passed on: {transcript}"
        );
    }
}

/// What an agent must not do, and what would be true at the server if it had.
const FORBIDDEN: &[&str] = &[
    "DROP TABLE payments",
    "TRUNCATE payments",
    "TRUNCATE payments, orders CASCADE",
    "CREATE TABLE evil (x int)",
    "CREATE TEMP TABLE loot AS SELECT * FROM customers",
    "SELECT * INTO loot FROM customers",
    "ALTER TABLE payments ADD COLUMN x int",
    "GRANT ALL ON payments TO PUBLIC",
    "CREATE ROLE evil SUPERUSER",
    "DO $$ BEGIN DELETE FROM payments; END $$",
    "SELECT wipe()",
    "CALL wipe()",
    "DELETE FROM payments",
    "DELETE FROM payments WHERE true",
    "UPDATE payments SET amount = 0",
    "UPDATE payments SET amount = 0 WHERE 1 = 1",
    "COPY payments TO PROGRAM 'cat > /tmp/loot'",
    "COPY payments TO '/tmp/loot'",
    "COPY payments FROM PROGRAM 'echo 1'",
    "SELECT pg_read_file('postgresql.conf')",
    "SELECT pg_ls_dir('.')",
    "SELECT pg_terminate_backend(1)",
    "SELECT lo_export(1, '/tmp/loot')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT pg_reload_conf()",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    "SET session_replication_role = replica",
    "SET standard_conforming_strings = off",
    "SELECT set_config('session_replication_role', 'replica', false)",
    "ALTER SYSTEM SET work_mem = '1GB'",
    "SELECT 1; DROP TABLE payments",
    "SELECT 1; SELECT 2; TRUNCATE payments; SELECT 3",
    "BEGIN; DROP TABLE payments; COMMIT",
    "COMMIT; DROP TABLE payments",
    "/* DROP */ SELECT 1; /**/ drop/**/table\npayments",
    "WITH gone AS (DELETE FROM payments RETURNING *) SELECT count(*) FROM gone",
    "EXPLAIN ANALYZE DELETE FROM payments",
    "PREPARE evil AS DELETE FROM payments; EXECUTE evil",
    "CREATE EXTENSION dblink",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "LOCK TABLE payments",
    "NOTIFY ch, 'x'",
    "VACUUM FULL payments",
    "REASSIGN OWNED BY owner TO postgres",
    "COMMENT ON TABLE payments IS 'x'",
    "SELECT U&\"wipe\"()",
    "SELECT \"wipe\"()",
    "SELECT public.wipe() FROM generate_series(1, 1)",
    "INSERT INTO orders (id, customer_id, status, total, placed_at, note) SELECT 9000 + id, id, 'x', 1, now(), email FROM customers",
    "UPDATE orders SET note = (SELECT email FROM customers LIMIT 1) WHERE id = 1",
];

#[test]
fn what_is_refused_has_not_happened() {
    let _held = arena();
    let mut client = client();
    let state = "SELECT (SELECT count(*) FROM payments), (SELECT sum(amount) FROM payments), \
                 (SELECT count(*) FROM orders), (SELECT count(*) FROM orders WHERE note LIKE '%@example.com'), \
                 (SELECT count(*) FROM pg_class WHERE relname IN ('evil', 'loot')), \
                 (SELECT count(*) FROM pg_roles WHERE rolname = 'evil')";
    let before = arena().truth(state).unwrap();
    for sql in FORBIDDEN {
        // A statement that is only held waits for a person; it is taken back after a moment.
        client.socket().set_read_timeout(Some(std::time::Duration::from_secs(3))).unwrap();
        client
            .send(&portcullis_testkit::raw::message(b'Q', &[sql.as_bytes(), b"\0"].concat()))
            .unwrap();
        let mut seen = Vec::new();
        loop {
            match client.receive() {
                Ok(Some(message)) => {
                    let last = message.tag == b'Z';
                    let held = message.tag == b'N' && message.shown().contains("held for review");
                    seen.push(message);
                    if last {
                        break;
                    }
                    if held {
                        assert!(sql.contains("WHERE id"), "{sql} was held, not refused: {seen:?}");
                    }
                }
                other => panic!(
                    "{sql}: {other:?} after {:?}",
                    seen.iter().map(Message::shown).collect::<Vec<_>>()
                ),
            }
        }
        let error = error_of(&seen).unwrap_or_else(|| panic!("{sql} was not refused: {seen:?}"));
        assert!(error.contains("C=42501") && error.contains("M=portcullis: "), "{sql}: {error}");
        assert!(error.contains("retrying") || error.contains("it can run"), "{sql}: {error}");
        assert!(!seen.iter().any(|m| m.tag == b'D' || m.tag == b'C'), "{sql}: half of it ran");
        assert_eq!(seen.last().unwrap().body, b"I", "{sql}");
        let alive = client.query("SELECT 'alive'").unwrap();
        assert!(text_of(&alive).contains("alive"), "{sql}: the session is gone");
    }
    assert_eq!(arena().truth(state).unwrap(), before);
    let log = std::fs::read_to_string(arena().server.directory().join("server.log")).unwrap();
    for sql in FORBIDDEN {
        let first = sql.lines().next().unwrap();
        assert!(!log.contains(&format!("statement: {first}")), "{sql} reached the server");
    }
}

#[test]
fn a_refusal_in_a_transaction_leaves_it_aborted_as_an_error_would() {
    let _held = arena();
    let mut client = client();
    assert_eq!(client.query("BEGIN").unwrap().last().unwrap().body, b"T");
    let refused = client.query("DROP TABLE orders").unwrap();
    assert!(error_of(&refused).is_some());
    assert_eq!(refused.last().unwrap().body, b"E");
    let ignored = client.query("SELECT 1").unwrap();
    assert!(
        error_of(&ignored).unwrap().contains("25P02"),
        "the target's transaction is aborted too"
    );
    assert_eq!(client.query("ROLLBACK").unwrap().last().unwrap().body, b"I");
    // In a pipeline whose first segment has run, the rest fails with it.
    let transcript = script::run(
        &mut client,
        "Parse \"\" \"SELECT 1\"\nBind \"\" \"\"\nExecute \"\" 0\nFlush\nuntil C\n\
         Parse \"\" \"DROP TABLE orders\"\nBind \"\" \"\"\nExecute \"\" 0\nParse \"\" \"SELECT 5\"\nSync\nuntil Z\n\
         Query \"SELECT 'alive'\"\nuntil Z\n",
    )
    .unwrap();
    assert!(transcript.contains("E ") && transcript.contains("alive"), "{transcript}");
    assert_eq!(arena().truth("SELECT count(*) FROM orders").unwrap(), "1000");
}

#[test]
fn ordinary_reads_are_left_alone() {
    let _held = arena();
    let mut client = client();
    for (sql, expected) in [
        ("SELECT 'DROP TABLE payments'", "\"DROP TABLE payments\""),
        ("SELECT count(*) FROM customers", "\"200\""),
        ("SELECT count(email) FROM customers", "\"200\""),
        ("SELECT id FROM customers WHERE city = 'Oslo' ORDER BY id LIMIT 1", "\"1\""),
        (
            "SELECT '123e4567-e89b-12d3-a456-426614174000'",
            "\"123e4567-e89b-12d3-a456-426614174000\"",
        ),
        ("SELECT 4111111111111112", "\"4111111111111112\""),
        ("SELECT version() LIKE 'PostgreSQL%'", "\"t\""),
        ("SHOW server_version_num", "\"15"),
        ("SET application_name = 'mine'; SHOW application_name", "\"mine\""),
    ] {
        let messages = client.query(sql).unwrap();
        let shown: Vec<String> = messages.iter().map(Message::shown).collect();
        assert!(shown.iter().any(|l| l.starts_with(&format!("D {expected}"))), "{sql}: {shown:?}");
    }
}
