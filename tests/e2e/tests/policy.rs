//! The default pack in front of a real server: what must be masked is masked on every way out, and
//! what must be refused has not happened.

use portcullis_testkit::arena::{Arena, Setup, Shared};
use portcullis_testkit::raw::{Message, RawClient, message};
use portcullis_testkit::script;
use portcullis_testkit::traps::OPERATORS_AHEAD;
use std::sync::{Arc, LazyLock};

static ARENA: Shared = Shared::new();

fn arena() -> Arc<Arena> {
    ARENA.get(shop_with_traps)
}

fn shop_with_traps() -> Arena {
    let arena = Arena::start(&Setup::agent_safe()).unwrap();
    arena
        .server
        .sql(
            "shop",
            "CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM payments; SELECT 1';
             CREATE PROCEDURE wipe_all() LANGUAGE sql AS 'DELETE FROM payments';
             CREATE FUNCTION wipe(int) RETURNS int LANGUAGE sql AS 'DELETE FROM payments; SELECT 1';
             CREATE FUNCTION wipe(int, int) RETURNS int LANGUAGE sql AS 'DELETE FROM payments; SELECT 1';
             CREATE VIEW innocent AS SELECT wipe() AS x;
             CREATE VIEW more_innocent AS SELECT * FROM innocent;
             CREATE OPERATOR === (FUNCTION = wipe, LEFTARG = int, RIGHTARG = int);
             CREATE AGGREGATE sum_up (int) (SFUNC = wipe, STYPE = int, INITCOND = '0');
             CREATE TYPE boxed AS (n int);
             CREATE FUNCTION unbox(boxed) RETURNS int LANGUAGE sql AS 'DELETE FROM payments; SELECT 1';
             CREATE CAST (boxed AS int) WITH FUNCTION unbox(boxed) AS IMPLICIT;
             CREATE TABLE boxes AS SELECT ROW(1)::boxed AS b;
             CREATE DOMAIN careful AS int CHECK (wipe(VALUE) = 1);
             CREATE FUNCTION quiet(n int DEFAULT wipe()) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
             CREATE FUNCTION everyone() RETURNS SETOF customers STABLE LANGUAGE sql AS 'SELECT * FROM customers';
             CREATE FUNCTION somebody() RETURNS text STABLE LANGUAGE sql AS 'SELECT reverse(email) FROM customers WHERE id = 1';
             CREATE VIEW mirrored AS SELECT id, reverse(email) AS liame, reverse(card_number) AS drac FROM customers;
             CREATE MATERIALIZED VIEW kept AS SELECT id, reverse(email) AS liame FROM customers;
             CREATE SCHEMA alt; CREATE SCHEMA mir;
             CREATE VIEW alt.folk AS SELECT id, name AS x FROM customers;
             CREATE VIEW mir.folk AS SELECT id, reverse(email) AS x FROM customers;
             CREATE EXTENSION IF NOT EXISTS dblink;
             CREATE EXTENSION pg_trgm; CREATE EXTENSION pgcrypto;
             CREATE EXTENSION postgres_fdw;
             CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw;
             CREATE USER MAPPING FOR PUBLIC SERVER elsewhere OPTIONS (user 'x', password 'of-elsewhere');
             CREATE SEQUENCE numbers;
             ALTER TABLE payments ADD nabi text GENERATED ALWAYS AS (reverse(iban)) STORED;
             CREATE VIEW tells AS SELECT pg_notify('ch', note)::text AS t, id FROM orders;
             CREATE VIEW steers AS SELECT set_config('session_replication_role', 'replica', false) AS s, id FROM orders;
             CREATE VIEW cancels AS SELECT pg_cancel_backend(1) AS c, id FROM orders;
             CREATE VIEW reads_files AS SELECT pg_read_file('/etc/hostname') AS f, id FROM orders;
             CREATE VIEW by_query AS SELECT id, query_to_xml(format('SELECT reverse(email) AS x FROM customers WHERE id = %s', id), true, true, '')::text AS x FROM orders;
             CREATE VIEW by_words AS SELECT id, word FROM orders, ts_stat('SELECT to_tsvector(''simple'', reverse(iban)) FROM payments') s;
             CREATE VIEW others AS SELECT o.id, pg_stat_get_backend_activity(s) AS q FROM orders o, pg_stat_get_backend_idset() s;
             CREATE VIEW nabis AS SELECT id, nabi FROM payments",
        )
        .unwrap();
    arena
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
    let plain = |text: &str| text.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "");
    let bare = plain(&text);
    for secret in SECRETS.iter() {
        let secret_bare = plain(secret);
        assert!(!bare.contains(&secret_bare), "{what}: {secret} came through taken apart");
        let backwards: String = secret_bare.chars().rev().collect();
        assert!(!bare.contains(&backwards), "{what}: {secret} came through backwards");
        assert!(!text.contains(secret.as_str()), "{what}: {secret} came through in\n{text}");
        let upper = secret.to_uppercase();
        assert!(!text.contains(&upper), "{what}: {upper} came through");
        let reversed: String = secret.chars().rev().collect();
        assert!(!text.contains(&reversed), "{what}: {reversed} came through");
        assert!(!text.contains(&secret.replace(' ', "")), "{what}: {secret} came through unspaced");
        let hex: String = secret.bytes().map(|b| format!("{b:02x}")).collect();
        assert!(!text.contains(&hex), "{what}: {secret} came through as {hex}");
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
        "SELECT left(email, 50), substr(email, 1, 99), email::varchar(200) FROM customers",
        "SELECT md5(email), email FROM customers LIMIT 1",
        "SELECT first_value(email) OVER (ORDER BY id) FROM customers LIMIT 3",
        "SELECT ROW(id, email) FROM customers",
        "SELECT p.iban, c.email FROM payments p JOIN orders o ON o.id = p.order_id JOIN customers c ON c.id = o.customer_id LIMIT 9",
        "PREPARE p1 AS SELECT email FROM customers; EXECUTE p1",
        "BEGIN; DECLARE c1 CURSOR FOR SELECT upper(email) AS e FROM customers; FETCH ALL FROM c1; COMMIT",
        "COPY (SELECT email, id FROM customers) TO STDOUT",
        "COPY customers TO STDOUT",
        "COPY customers (email, card_number) TO STDOUT (FORMAT csv, HEADER)",
        "COPY (SELECT lower(email) FROM customers) TO STDOUT (FORMAT csv, DELIMITER ';', QUOTE '''')",
        "SELECT note FROM orders WHERE note IS NOT NULL",
        "SELECT v.x FROM customers c JOIN LATERAL (VALUES (reverse(c.email))) v(x) ON true",
        "SELECT lag(reverse(email)) OVER (ORDER BY id) FROM customers",
        "SELECT (SELECT reverse(c::text) FROM customers c WHERE id = 1)",
        "SELECT liame, drac FROM mirrored",
        "SELECT a, b FROM mirrored AS m(x, a, b)",
        "SELECT id, liame FROM customer_contacts JOIN mirrored USING (id)",
        "WITH w(x) AS MATERIALIZED (SELECT reverse(email) FROM customers) SELECT x FROM w",
        "COPY (SELECT reverse(email) FROM customers) TO STDOUT",
        "COPY (WITH w AS (SELECT liame FROM mirrored) SELECT * FROM w) TO STDOUT",
        "BEGIN; DECLARE c2 CURSOR FOR SELECT drac FROM mirrored; FETCH 5 FROM c2; MOVE 5 IN c2; FETCH ALL c2; COMMIT",
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
        "SELECT ('x' || email)::date FROM customers",
        "SELECT query_to_xml('SELECT email FROM customers', true, true, '')",
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
        "SELECT encode(email::bytea, 'hex')::date FROM customers",
        "SELECT reverse(card_number)::int FROM customers",
        "SELECT email::regclass FROM customers",
        "SELECT reverse(email)::regproc FROM customers",
        "SELECT xmlparse(document reverse(email)) FROM customers",
        "SELECT reverse(email)::json FROM customers",
        "SELECT to_date(reverse(email), 'YYYY') FROM customers",
        "SELECT 'x' ~ ('(' || reverse(email)) FROM customers",
        "SELECT reverse(email)::jsonpath FROM customers",
        "SELECT date_part(reverse(email), now()) FROM customers",
        "SELECT liame::int FROM mirrored",
        "SELECT reverse(email) FROM everyone()",
        "SELECT reverse((e).email) FROM everyone() e",
        "SELECT reverse(x::text) FROM everyone() x",
        "SELECT * FROM somebody()",
        "SELECT reverse(liame) FROM kept",
        "SELECT * FROM dblink('dbname=shop', 'SELECT reverse(email) FROM customers') AS t(x text)",
        "SELECT * FROM ts_stat('SELECT to_tsvector(reverse(email)) FROM customers')",
        "SELECT cursor_to_xml('c', 1, true, true, '')",
        "SELECT current_query(), reverse(email) FROM customers",
        "EXPLAIN (VERBOSE, ANALYZE) SELECT reverse(email) FROM customers WHERE email = 'cleo2@example.com'",
        "SELECT jsonb_path_query(to_jsonb(c), '$.email') FROM customers c",
        "SELECT x.* FROM customers c, json_to_record(row_to_json(c)) AS x(email text)",
        "SELECT json_populate_record(NULL::customers, row_to_json(c)) FROM customers c",
        "SELECT reverse(value::text) FROM customers c, jsonb_each(to_jsonb(c))",
        "SELECT reverse(get_byte(email::bytea, 1)::text) FROM customers",
        "SELECT a[1] FROM customers, regexp_matches(reverse(email), '(.*)') AS a",
        "SELECT reverse(x) FROM customers, unnest(ARRAY[email, card_number]) AS x",
        "SELECT r FROM customers, LATERAL reverse(email) AS r",
        "SELECT b FROM customers, LATERAL ROWS FROM (reverse(email), upper(email)) AS t(a, b)",
        "SELECT m FROM mirrored m",
        "SELECT row_to_json(m) FROM mirrored m",
        "SELECT jsonb_each_text(jsonb_build_object('x', reverse(email))) FROM customers",
        "SELECT current_setting('a.a' || string_agg(translate(email || card_number, '@. ', '___'), '_')) FROM customers",
        "SELECT ('a' || reverse(iban))::regclass FROM payments WHERE id = 1",
        "SELECT ('x' || replace(card_number, ' ', 'x'))::regrole FROM customers WHERE id = 1",
        "SELECT ('x' || replace(card_number, ' ', 'x'))::regnamespace FROM customers WHERE id = 1",
        "SELECT ('x' || replace(card_number, ' ', 'x'))::regconfig FROM customers WHERE id = 1",
        "SELECT ('x.y.' || replace(card_number, ' ', 'x'))::regclass FROM customers WHERE id = 1",
        "SELECT ('(' || reverse(email))::tsquery FROM customers WHERE id = 1",
        "SELECT to_tsquery('simple', '(' || reverse(email)) FROM customers WHERE id = 1",
        "SELECT has_database_privilege(replace(email, '@', '#'), 'connect') FROM customers WHERE id = 1",
        "SELECT has_table_privilege(replace(email, '@', '#'), 'orders', 'select') FROM customers WHERE id = 1",
        "SELECT pg_has_role(replace(email, '@', '#'), 'usage') FROM customers WHERE id = 1",
        "SELECT currval('a' || replace(card_number, ' ', 'x')) FROM customers WHERE id = 1",
        "SELECT pg_relation_size('a' || replace(card_number, ' ', 'x')) FROM customers WHERE id = 1",
        "SELECT pg_get_serial_sequence('a' || replace(card_number, ' ', 'x'), 'x') FROM customers WHERE id = 1",
        "SELECT row_security_active('a' || replace(card_number, ' ', 'x')) FROM customers WHERE id = 1",
        "DECLARE k CURSOR WITH HOLD FOR SELECT (email || 'x')::regclass FROM customers",
        "BEGIN; DECLARE k CURSOR WITH HOLD FOR SELECT (reverse(iban))::int FROM payments; COMMIT",
        "DECLARE k CURSOR WITH HOLD FOR SELECT reverse(card_number)::int FROM customers; SELECT 1",
        "SELECT nabi FROM payments LIMIT 3",
        "SELECT nabi AS x, iban FROM payments LIMIT 3",
        "SELECT * FROM nabis LIMIT 3",
        "SELECT upper(nabi) FROM nabis LIMIT 3",
        "SELECT x FROM by_query LIMIT 3",
        "SELECT word FROM by_words LIMIT 3",
        "SELECT q FROM others LIMIT 3",
        "SELECT * FROM by_query LIMIT 3",
        "SELECT * FROM others LIMIT 3",
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
    "ALTER TABLE payments ADD COLUMN x int",
    "CALL wipe()",
    "SELECT pg_terminate_backend(1)",
    "SELECT pg_reload_conf()",
    "SELECT 1; DROP TABLE payments",
    "SELECT 1; SELECT 2; TRUNCATE payments; SELECT 3",
    "BEGIN; DROP TABLE payments; COMMIT",
    "COMMIT; DROP TABLE payments",
    "NOTIFY ch, 'x'",
    "REASSIGN OWNED BY owner TO postgres",
    // Values of masked columns must not decide how many rows there are, or what comes later.
    "SELECT id, generate_series(1, ascii(email)) FROM customers",
    "SELECT id FROM orders TABLESAMPLE system ((SELECT ascii(email) / 3 FROM customers WHERE id = 1))",
    // A dot is a call too.
    "SELECT (1::int).pg_terminate_backend",
    "SELECT (0.1::float8).pg_sleep",
    // Views do what their bodies do.
    "SELECT id FROM tells",
    "SELECT * FROM steers",
    "SELECT * FROM cancels",
    "SELECT id FROM by_words",
    // Credentials and secrets of applications.
    "SELECT * FROM information_schema._pg_user_mappings",
    "SELECT quiet()",
    "SELECT pg_stat_file('PG_VERSION')",
    "SELECT pg_logical_emit_message(false, 'x', 'y')",
    "SELECT pg_switch_wal()",
    "SELECT pg_cancel_backend(1)",
    "SELECT pg_rotate_logfile()",
    "SELECT pg_notify('ch', 'x')",
    "SELECT pg_sleep(0)",
    "LOAD 'plpgsql'",
    "CHECKPOINT",
    "CLUSTER payments",
    "DISCARD ALL; DROP TABLE payments",
    "BEGIN; PREPARE TRANSACTION 'x'",
    "RESET SESSION AUTHORIZATION; SET SESSION AUTHORIZATION postgres",
    "ALTER ROLE owner PASSWORD 'x'",
    "IMPORT FOREIGN SCHEMA public FROM SERVER x INTO public",
    "INSERT INTO orders (id, customer_id, status, total, placed_at, note) SELECT 9000 + id, id, 'x', 1, now(), email FROM customers",
];

/// Questions whose answer is a fact about a masked value.
const QUESTIONS: &[&str] = &[
    "SELECT to_jsonb(c) -> 'email' FROM customers c",
    "SELECT DISTINCT email FROM customers",
    "SELECT a.email FROM customers a JOIN customers b USING (email)",
    "SELECT email FROM customers a NATURAL JOIN customers b",
    "SELECT DISTINCT ON (email) reverse(email) FROM customers ORDER BY email",
    "SELECT mode() WITHIN GROUP (ORDER BY reverse(email)) FROM customers",
    "SELECT reverse(email) FROM customers GROUP BY GROUPING SETS ((email), ())",
    "SELECT encode(email::bytea, 'hex') FROM customers",
    "SELECT reverse(x) FROM (SELECT name FROM customers UNION SELECT email FROM customers) AS s(x)",
    "SELECT reverse(email) FROM customers EXCEPT SELECT 'x'",
    "SELECT reverse(x[1]) FROM (SELECT array_agg(email ORDER BY id) AS x FROM customers) s",
    "SELECT id FROM customers WHERE email = 'cleo2@example.com'",
    "SELECT count(*) FROM customers WHERE email LIKE 'cleo2@%'",
    "SELECT id FROM customers ORDER BY email LIMIT 1",
    "SELECT 1 / (CASE WHEN email LIKE 'cleo2@%' THEN 0 ELSE 1 END) FROM customers",
    "SELECT nullif(email, 'cleo2@example.com')::text FROM customers",
    "SELECT o.id FROM orders o JOIN customers c ON c.email = o.note",
    "SELECT id FROM customer_contacts WHERE email ~ '^cleo2'",
    "SELECT id FROM mirrored WHERE liame LIKE 'moc%'",
    "DELETE FROM customers WHERE email = 'cleo2@example.com'",
    "PREPARE q AS SELECT id FROM customers WHERE email = $1; EXECUTE q('cleo2@example.com')",
    "BEGIN; DECLARE q CURSOR FOR SELECT id FROM customers WHERE email < 'd'; FETCH ALL FROM q; COMMIT",
    "COPY (SELECT id FROM customers WHERE email < 'd') TO STDOUT",
    "EXPLAIN SELECT * FROM customers WHERE email > 'm'",
];

#[test]
fn a_question_about_a_masked_value_is_not_answered() {
    let _held = arena();
    for sql in QUESTIONS {
        let mut client = client();
        let messages = client.query(sql).unwrap();
        let error = error_of(&messages).unwrap_or_else(|| panic!("{sql} was answered"));
        assert!(error.contains("masked-conditions"), "{sql}: {error}");
        assert!(!messages.iter().any(|m| m.tag == b'D' || m.tag == b'd'), "{sql}");
    }
}

#[test]
fn policy_may_let_masked_columns_decide() {
    let mut setup = Setup::agent_safe();
    setup.policy = "[policy]\npacks = [\"agent-safe\"]\nfiles = [\"own.cedar\"]\n".to_owned();
    let own = r#"
@id("matching") permit (principal, action == Action::"infer", resource)
when { resource.labels.contains("email") };
"#;
    let arena = Arena::start_with(&setup, &[("own.cedar", own)]).unwrap();
    let token = arena.token("claude").unwrap();
    let mut client = RawClient::log_in(arena.postgres, "claude", "shop", &token).unwrap();
    let ids = client.query("SELECT id, email FROM customers WHERE email = 'cleo2@example.com'");
    let ids = ids.unwrap();
    assert_eq!(error_of(&ids), None);
    assert_eq!(ids.iter().filter(|m| m.tag == b'D').count(), 1, "{ids:?}");
    assert!(!text_of(&ids).contains("cleo2@"), "{ids:?}");
    let cards = client.query("SELECT id FROM customers WHERE card_number LIKE '4%'").unwrap();
    assert!(error_of(&cards).unwrap().contains("masked-conditions"), "{cards:?}");
}

#[test]
fn what_is_refused_has_not_happened() {
    let _held = arena();
    let mut client = client();
    let state = "SELECT (SELECT count(*) FROM payments), (SELECT sum(amount) FROM payments), \
                 (SELECT count(*) FROM orders), (SELECT count(*) FROM orders WHERE note LIKE '%@example.com'), \
                 (SELECT count(*) FROM pg_class WHERE relname IN ('evil', 'loot')), \
                 (SELECT count(*) FROM pg_roles WHERE rolname = 'evil')";
    let before = arena().truth(state).unwrap();
    let mut problems = Vec::new();
    for sql in FORBIDDEN {
        // A statement that is only held waits for a person; it is taken back after a moment.
        client.socket().set_read_timeout(Some(std::time::Duration::from_secs(3))).unwrap();
        client.ask(sql).unwrap();
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
        let Some(error) = error_of(&seen) else {
            let shown: Vec<String> = seen.iter().map(Message::shown).collect();
            problems.push(format!("{sql} was not refused: {shown:?}"));
            continue;
        };
        if !error.contains("M=portcullis: ") {
            problems.push(format!("{sql} was refused by the server, not here: {error}"));
            continue;
        }
        assert!(error.contains("C=42501") && error.contains("M=portcullis: "), "{sql}: {error}");
        assert!(error.contains("retrying") || error.contains("it can run"), "{sql}: {error}");
        assert!(!seen.iter().any(|m| m.tag == b'D' || m.tag == b'C'), "{sql}: half of it ran");
        assert_eq!(seen.last().unwrap().body, b"I", "{sql}");
        let alive = client.query("SELECT 'alive'").unwrap();
        assert!(text_of(&alive).contains("alive"), "{sql}: the session is gone");
    }
    let after = arena().truth(state).unwrap();
    if after != before {
        problems.push(format!("the target went from {before} to {after}"));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
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
    let held = arena();
    let mut client = client();
    let version = format!("\"{}", held.server.version());
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
        ("SHOW server_version_num", version.as_str()),
        ("SELECT current_setting('server_version_num')", version.as_str()),
        ("SELECT EXTRACT(year FROM created_at AT TIME ZONE 'UTC') FROM customers", "\"2026\""),
        ("SELECT count(c.email), count(*) FROM customers c", "\"200\" \"200\""),
        ("SELECT email IS NULL, email IS NOT NULL FROM customers LIMIT 1", "\"f\" \"t\""),
        ("SELECT tableoid::regclass, ctid, id FROM orders WHERE id = 1", "\"orders\" \"(0,"),
        ("SELECT ctid, xmin::text > '' FROM customers WHERE id = 1", "\"(0,"),
        ("SELECT last_value, is_called FROM numbers", "\"1\" \"f\""),
        ("SELECT similarity('word', 'words') > 0.5", "\"t\""),
        ("SELECT length(gen_random_uuid()::text)", "\"36\""),
        ("SELECT encode(digest('x', 'md5'), 'hex')", "\"9dd4e461268c8034f5c8564e155c67a6\""),
        ("SELECT e FROM orders, unnest(ARRAY[id]) AS e WHERE id = 1", "\"1\""),
        ("SET application_name = 'mine'; SHOW application_name", "\"mine\""),
    ] {
        let messages = client.query(sql).unwrap();
        let shown: Vec<String> = messages.iter().map(Message::shown).collect();
        assert!(shown.iter().any(|l| l.starts_with(&format!("D {expected}"))), "{sql}: {shown:?}");
    }
}

/// What a name means is what it means at the server when the statement runs: after errors, rollbacks,
/// other paths and other statements of the same name. Each of these ends by reading mirrored e-mail
/// addresses under a name that had another meaning a moment before.
#[test]
fn a_name_that_changes_its_meaning_unmasks_nothing() {
    let _held = arena();
    const USE: &str = "Bind \"\" \"s\"\nExecute \"\" 0\nSync\nuntil Z\n";
    let mirror = "SELECT reverse(email) AS x FROM customers";
    let parse = |text: &str| format!("Parse \"s\" \"{text}\"\n");
    let sync = "Sync\nuntil Z\n";
    let failing = "Parse \"\" \"SELECT 1/0\"\nBind \"\" \"\"\nExecute \"\" 0\n";
    let query = |text: &str| format!("Query \"{text}\"\nuntil Z\n");
    let cases = [
        // Skipped after an error, so the old statement is still there.
        parse(mirror)
            + sync
            + failing
            + "Close S \"s\"\n"
            + &parse("SELECT name AS x FROM customers")
            + sync
            + USE,
        parse(mirror)
            + sync
            + &query("SELECT 1/0; DEALLOCATE s; PREPARE s AS SELECT name AS x FROM customers")
            + USE,
        parse(mirror)
            + sync
            + &query("SELECT 1/0; DEALLOCATE s; PREPARE s AS SELECT name AS x FROM customers")
            + &query("EXECUTE s"),
        parse(mirror) + sync + "Parse \"s\" \"SELECT name FROM customers\"\n" + sync + USE,
        query("PREPARE s AS SELECT name FROM customers")
            + &query(&format!("BEGIN; DEALLOCATE s; PREPARE s AS {mirror}; SELECT 1/0"))
            + &query("ROLLBACK")
            + USE,
        query("BEGIN") + &parse(mirror) + sync + &query("ROLLBACK") + USE,
        parse("SELECT name AS x FROM customers")
            + sync
            + &query("DEALLOCATE ALL")
            + &parse(mirror)
            + sync
            + USE,
        parse("SELECT name AS x FROM customers")
            + sync
            + &query("DISCARD ALL")
            + &query(&format!("PREPARE s AS {mirror}"))
            + USE
            + &query("EXECUTE s"),
        // Portals and cursors share their names.
        query("BEGIN")
            + &parse(mirror)
            + "Bind \"c\" \"s\"\n"
            + sync
            + &query("FETCH 3 FROM c")
            + &query("MOVE 1 IN c; FETCH ALL FROM c; COMMIT"),
        query(&format!("BEGIN; DECLARE c CURSOR FOR {mirror}"))
            + "Execute \"c\" 3\n"
            + sync
            + "Execute \"c\" 0\n"
            + sync
            + &query("COMMIT"),
        query(&format!("BEGIN; DECLARE c SCROLL CURSOR FOR {mirror}; SAVEPOINT a"))
            + &query("CLOSE c; DECLARE c CURSOR FOR SELECT name FROM customers; ROLLBACK TO a")
            + &query("FETCH ALL FROM c")
            + &query("ROLLBACK"),
        query(&format!("BEGIN; DECLARE c SCROLL CURSOR FOR {mirror}; SAVEPOINT a; SELECT 1/0"))
            + &query("ROLLBACK TO a; FETCH 5 FROM c; FETCH ABSOLUTE 2 FROM c; COMMIT"),
        query(&format!(
            "BEGIN; DECLARE c BINARY CURSOR WITH HOLD FOR {mirror}; COMMIT; SELECT 1; FETCH 4 FROM c"
        )) + &query("FETCH ALL FROM c; CLOSE c"),
        query("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT name FROM customers; COMMIT")
            + &query(&format!(
                "BEGIN; CLOSE c; DECLARE c CURSOR WITH HOLD FOR {mirror}; COMMIT; FETCH 4 FROM c"
            )),
        // Names under another path. Prepared statements are read again under the path in force.
        query("SET search_path = mir; SELECT x FROM folk"),
        query("SET search_path = alt")
            + &parse("SELECT x FROM folk")
            + sync
            + &query("SET search_path = mir")
            + USE
            + USE,
        query(
            "SET search_path = alt; PREPARE s AS SELECT x FROM folk; EXECUTE s; SET search_path = mir; EXECUTE s",
        ) + &query("EXECUTE s"),
        query("SET search_path = mir")
            + &query(
                "BEGIN; SET search_path = alt; SELECT x FROM folk; ROLLBACK; SELECT x FROM folk",
            )
            + &query("SELECT x FROM folk"),
        query("SET search_path = mir")
            + &query(
                "BEGIN; SET LOCAL search_path = alt; SELECT x FROM folk; COMMIT; SELECT x FROM folk",
            )
            + &query("TABLE folk"),
        query("SET search_path = mir")
            + &query("BEGIN; SET LOCAL search_path = alt")
            + &query("COMMIT")
            + &query("SELECT x FROM folk"),
        query("SET search_path = mir")
            + &query("SET search_path = alt; SELECT 1/0")
            + &query("SELECT x FROM folk"),
        query("SET search_path = mir")
            + &query(
                "BEGIN; SAVEPOINT a; SET search_path = alt; ROLLBACK TO a; SELECT x FROM folk; COMMIT",
            ),
        query("SET search_path = mir")
            + &query(
                "BEGIN; SAVEPOINT a; SET search_path = alt; RELEASE a; SELECT x FROM folk; ROLLBACK",
            )
            + &query("SELECT x FROM folk"),
        query("SET search_path = mir")
            + &query(
                "BEGIN; SET LOCAL search_path = alt; SET search_path = DEFAULT; ROLLBACK; SELECT x FROM folk",
            ),
        query("SET search_path = alt; SELECT set_config('search_path', 'mir', false)")
            + &query("SELECT x FROM folk"),
        query(
            "SET search_path = alt; SELECT set_config('search_path', 'mir', false); SELECT x FROM folk",
        ),
        query("SET search_path = alt")
            + &query("SELECT set_config('search_' || 'path', 'm' || 'ir', false)")
            + &query("SELECT x FROM folk"),
        query("SET search_path = alt")
            + "Parse \"\" \"SELECT set_config($1, $2, false)\" 25 25\nBind \"\" \"\" \"search_path\" \"mir\"\nExecute \"\" 0\n"
            + sync
            + &query("SELECT x FROM folk"),
        query("SET search_path = alt")
            + "Parse \"\" \"SET search_path = mir\"\nBind \"\" \"\"\nExecute \"\" 0\nParse \"\" \"SELECT x FROM folk\"\nBind \"\" \"\"\nExecute \"\" 0\n"
            + sync,
        query("SET search_path = alt")
            + &parse("SELECT x FROM folk")
            + "Parse \"\" \"SET search_path = mir\"\nBind \"\" \"\"\nExecute \"\" 0\nBind \"\" \"s\"\nExecute \"\" 0\n"
            + sync,
        query("SET search_path = alt")
            + "Parse \"p\" \"SET search_path = mir\"\n"
            + sync
            + "Bind \"\" \"p\"\nExecute \"\" 0\n"
            + sync
            + &query("SELECT x FROM folk"),
        query("SET search_path TO \\\"mir\\\", alt; SELECT x FROM folk"),
        query("SET SCHEMA 'mir'; SELECT x FROM folk"),
        query(
            "BEGIN; SET search_path = mir; DECLARE c CURSOR FOR SELECT x FROM folk; SET search_path = alt; FETCH ALL FROM c; COMMIT",
        ),
        query("SET search_path = alt; PREPARE s AS SELECT x FROM folk")
            + &query("SET search_path = mir; COPY (SELECT x FROM folk) TO STDOUT")
            + "Bind \"\" \"s\"\nDescribe P \"\"\nExecute \"\" 2\nExecute \"\" 0\n"
            + sync,
    ];
    let mut answered = 0;
    for case in cases {
        for piece in [0, 1] {
            let mut client = client();
            client.piece = piece;
            let transcript = script::run(&mut client, &case).unwrap();
            for secret in SECRETS.iter() {
                let reversed: String = secret.chars().rev().collect();
                let shown = [secret.as_str(), &reversed].iter().any(|s| transcript.contains(s));
                assert!(!shown, "{reversed} came through in\n{case}\n{transcript}");
            }
            assert!(!transcript.contains("nothing came"), "{case}\n{transcript}");
            let rows = transcript.lines().filter(|l| l.starts_with("D ") || l.starts_with("d "));
            let masked = rows.filter(|l| l.contains("[masked")).count();
            // Where the gateway cannot tell, it refuses.
            let refused = transcript.contains("M=portcullis: ");
            assert!(masked > 3 || refused, "nothing was masked in\n{case}\n{transcript}");
            answered += usize::from(masked > 3);
        }
    }
    assert!(answered > 50, "only {answered} were answered: refusing is no way to trace names");
}

/// Definitions change at the target, past the gateway: whoever asks next is judged by those of now,
/// however long it was silent and wherever it stands.
#[test]
fn definitions_changed_behind_the_gateway_unmask_nothing() {
    let mut setup = Setup::agent_safe();
    setup.connection.push_str("catalog_max_age_seconds = 1\n");
    let arena = Arena::start(&setup).unwrap();
    let define = |column: &str| {
        let sql =
            format!("CREATE OR REPLACE VIEW shifty AS SELECT id, {column} AS c FROM customers");
        arena.server.sql("shop", &sql).unwrap();
    };
    let secret = arena.truth("SELECT reverse(email) FROM customers WHERE id = 1").unwrap();
    let token = arena.token("claude").unwrap();
    let log_in = || RawClient::log_in(arena.postgres, "claude", "shop", &token).unwrap();
    let old = || std::thread::sleep(std::time::Duration::from_millis(1200));
    let use_it = "SELECT c FROM shifty WHERE id = 1";
    let check = |what: &str, seen: &[Message]| {
        assert!(!text_of(seen).contains(&secret), "{what}: {seen:?}");
    };

    // An idle session, and one in the middle of a request.
    define("name");
    let (mut idle, mut half) = (log_in(), log_in());
    idle.query(use_it).unwrap();
    let parse = message(b'P', &[b"\0", use_it.as_bytes(), b"\0\0\0"].concat());
    half.query(use_it).unwrap();
    half.send(&parse).unwrap();
    old();
    define("reverse(email)");
    check("idle", &idle.query(use_it).unwrap());
    half.send(&message(b'B', b"\0\0\0\0\0\0\0\0")).unwrap();
    half.send(&[message(b'E', b"\0\0\0\0\0"), message(b'S', b"")].concat()).unwrap();
    check("in the middle of a request", &half.until(b'Z').unwrap());

    // Inside a transaction, where it is read less often: reading it there locks what is read.
    define("name");
    old();
    let mut inside = log_in();
    inside.query("BEGIN").unwrap();
    assert!(error_of(&inside.query("SELECT count(*) FROM orders").unwrap()).is_none());
    std::thread::sleep(std::time::Duration::from_secs(21));
    define("reverse(email)");
    check("inside", &inside.query(use_it).unwrap());
    assert_eq!(inside.query("ROLLBACK").unwrap().last().unwrap().body, b"I");
    check("outside again", &inside.query(use_it).unwrap());

    // What such a transaction reads is not taken for what is true by anybody else.
    define("name");
    old();
    let (mut past, mut other) = (log_in(), log_in());
    past.query("BEGIN ISOLATION LEVEL REPEATABLE READ").unwrap();
    past.query("SELECT count(*) FROM orders").unwrap();
    define("reverse(email)");
    old();
    other.query("SELECT 1").unwrap();
    past.query("SELECT * FROM not_there_yet").unwrap();
    check("after a look into the past", &other.query(use_it).unwrap());
    past.query("ROLLBACK").unwrap();

    // A rule whose column has another name now covers nothing: nobody goes on.
    arena.server.sql("shop", "ALTER TABLE customers RENAME COLUMN email TO mail").unwrap();
    old();
    let seen = other.query("SELECT reverse(mail) FROM customers WHERE id = 1");
    check("renamed", &seen.unwrap_or_default());
    assert!(RawClient::log_in(arena.postgres, "claude", "shop", &token).is_err());
}

/// What the gateway asks of the target for itself finds the server's operators, whatever stands before
/// them in the caller's `search_path`.
#[test]
fn operators_ahead_of_the_servers_run_for_nobody_but_the_caller() {
    let mut setup = Setup::agent_safe();
    setup.connection.push_str("catalog_max_age_seconds = 1\n");
    let arena = Arena::start(&setup).unwrap();
    arena.server.sql("shop", OPERATORS_AHEAD).unwrap();
    let token = arena.token("claude").unwrap();
    let mut session = RawClient::log_in(arena.postgres, "claude", "shop", &token).unwrap();
    let fine = |messages: Vec<Message>| {
        assert!(error_of(&messages).is_none(), "{messages:?}");
        messages
    };
    fine(session.query("SET search_path = ahead, pg_catalog, public").unwrap());
    let secret = arena.truth("SELECT email FROM customers WHERE id = 1").unwrap();
    for open in ["SELECT 1", "BEGIN"] {
        fine(session.query(open).unwrap());
        arena
            .server
            .sql("shop", "CREATE OR REPLACE VIEW shifty AS SELECT email FROM customers")
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1200));
        let seen = fine(session.query("SELECT email FROM shifty LIMIT 1").unwrap());
        assert!(!text_of(&seen).contains(&secret), "{seen:?}");
    }
    fine(session.query("ROLLBACK").unwrap());
    // They are there: what the caller asks for itself runs them where it may.
    let sprung = session.query("SELECT 1 WHERE 'a'::text = 'b'::text").unwrap();
    assert!(error_of(&sprung).is_some(), "{sprung:?}");
}

/// What may define and change things, but run no code whose doings are not listed, does not run it by
/// defining and using it in one request; one after the other it is judged by what was defined.
#[test]
fn definitions_in_a_request_do_not_hide_what_runs_behind_them() {
    let mut setup = Setup::agent_safe();
    setup.policy = "[policy]\npacks = []\nfiles = [\"maker.cedar\"]\n".to_owned();
    let policy = "@id(\"all\")\npermit (principal, action, resource);\n\
                  @id(\"no-code\") @reason(\"it runs code that nobody has listed\")\n\
                  forbid (principal, action == Action::\"execute\", resource);\n";
    let arena = Arena::start_with(&setup, &[("maker.cedar", policy)]).unwrap();
    let known = "CREATE TABLE notes (id int, note text);
                 CREATE TABLE run (n int);
                 CREATE FUNCTION tame(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
                 CREATE FUNCTION is_odd(text) RETURNS bool LANGUAGE plpgsql
                     AS 'BEGIN INSERT INTO run VALUES (4); RETURN true; END';
                 CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql
                     AS 'BEGIN INSERT INTO run VALUES (1); RETURN NEW; END'";
    arena.server.sql("shop", known).unwrap();
    let mut client = arena.client("claude").unwrap();
    let replaced = "CREATE OR REPLACE FUNCTION tame(int) RETURNS int LANGUAGE plpgsql
                    AS 'BEGIN INSERT INTO run VALUES (2); RETURN $1; END'";
    let hung = "CREATE TRIGGER t BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION trap()";
    let ruled = "CREATE RULE r AS ON INSERT TO notes DO ALSO SELECT trap_of(3)";
    let default = "ALTER TABLE notes ALTER note SET DEFAULT tame(4)::text";
    let domain = "CREATE DOMAIN odd AS text CHECK (is_odd(VALUE))";
    let table = "CREATE TABLE born (id int, note text DEFAULT is_odd('x')::text)";
    let exact = "CREATE FUNCTION public.lower(varchar) RETURNS text LANGUAGE plpgsql IMMUTABLE
                 AS 'BEGIN INSERT INTO run VALUES (5); RETURN $1; END'";
    let view = "CREATE VIEW way AS SELECT * FROM notes";
    let insert = "INSERT INTO notes (id) VALUES (1)";
    let call = "SELECT tame(1)";
    for (define, using) in [
        (replaced, call),
        (hung, insert),
        (ruled, insert),
        (default, insert),
        (domain, "SELECT 'a'::odd"),
        (domain, "ALTER TABLE notes ADD COLUMN more odd DEFAULT 'a'"),
        (table, "INSERT INTO born (id) VALUES (1)"),
        (exact, "SELECT lower('x'::varchar)"),
        (view, "DELETE FROM way WHERE id = 1"),
        (replaced, "DECLARE c CURSOR WITH HOLD FOR SELECT tame(1)"),
    ] {
        let pipeline = in_pipeline(&[define, using]);
        let text = portcullis_testkit::raw::query(&format!("{define}; {using}"));
        for bytes in [text, pipeline] {
            client.send(&bytes).unwrap();
            let refused = error_of(&client.until(b'Z').unwrap()).expect(define);
            assert!(refused.contains("nobody has listed"), "{refused}");
            assert!(refused.contains("what the same request defines"), "{refused}");
        }
    }
    assert!(error_of(&client.query(call).unwrap()).is_none());
    // What is bound is planned, and what claims to be immutable runs then.
    let mut bound = message(b'P', format!("s\0{call}\0\0\0").as_bytes());
    bound.extend(in_pipeline(&[replaced]));
    bound.truncate(bound.len() - 5);
    bound.extend([message(b'B', b"\0s\0\0\0\0\0\0\0"), message(b'S', b"")].concat());
    client.send(&bound).unwrap();
    assert!(error_of(&client.until(b'Z').unwrap()).is_some_and(|e| e.contains("same request")));
    // What was made before definitions goes on with what there is by then.
    for [first, last] in [
        ["DECLARE c CURSOR FOR SELECT tame(id) FROM notes", "FETCH ALL FROM c"],
        ["DECLARE c CURSOR WITH HOLD FOR SELECT tame(id) FROM notes", "COMMIT"],
    ] {
        client.query("BEGIN").unwrap();
        for fine in [first, replaced] {
            assert_eq!(error_of(&client.query(fine).unwrap()), None, "{fine}");
        }
        let refused = error_of(&client.query(last).unwrap()).expect(last);
        assert!(refused.contains("what the same request defines"), "{last}: {refused}");
        client.query("ROLLBACK").unwrap();
    }
    client.query("BEGIN").unwrap();
    let mut early = message(b'P', format!("w\0{insert}\0\0\0").as_bytes());
    early.extend([message(b'B', b"p\0w\0\0\0\0\0\0\0"), message(b'S', b"")].concat());
    client.send(&early).unwrap();
    assert_eq!(error_of(&client.until(b'Z').unwrap()), None);
    assert_eq!(error_of(&client.query(hung).unwrap()), None);
    client.send(&[message(b'E', b"p\0\0\0\0\0"), message(b'S', b"")].concat()).unwrap();
    assert!(error_of(&client.until(b'Z').unwrap()).is_some_and(|e| e.contains("same request")));
    client.query("ROLLBACK").unwrap();
    // In a transaction it is looked up before what evaluates alone.
    client.query("BEGIN").unwrap();
    assert_eq!(error_of(&client.query(domain).unwrap()), None);
    let refused = error_of(&client.query("SELECT 'a'::odd").unwrap()).unwrap();
    assert!(refused.contains("rule no-code;"), "{refused}");
    client.query("ROLLBACK").unwrap();
    // Tables and what is in them are used where they are made, as migrations do.
    let migration =
        "CREATE TABLE made (id int PRIMARY KEY, note text); CREATE INDEX ON made (note);
                     ALTER TABLE made ADD COLUMN extra int; INSERT INTO made VALUES (1, 'a', 2);
                     SELECT count(*) FROM made; CREATE VIEW seen AS SELECT id FROM made";
    assert_eq!(error_of(&client.query(migration).unwrap()), None);
    // One after the other, what was defined is seen.
    for (define, using) in [(replaced, call), (hung, insert)] {
        assert_eq!(error_of(&client.query(define).unwrap()), None);
        let refused = error_of(&client.query(using).unwrap()).expect(define);
        assert!(refused.contains("nobody has listed"), "{refused}");
    }
    assert_eq!(arena.truth("SELECT count(*) FROM run").unwrap(), "0");
}

/// A function in SQL that the server lets change nothing does what its queries do, and shows what they
/// show; any other is code.
#[test]
fn functions_in_sql_are_what_they_read() {
    let mut setup = Setup::agent_safe();
    setup.connection.push_str("catalog_max_age_seconds = 1\n");
    let arena = Arena::start(&setup).unwrap();
    let functions = "
        CREATE FUNCTION mail_of(who int) RETURNS text LANGUAGE sql STABLE
            AS 'SELECT email FROM customers WHERE id = who';
        CREATE FUNCTION backwards(who int) RETURNS text LANGUAGE sql STABLE
            AS 'SELECT reverse(mail_of(who))';
        CREATE FUNCTION people() RETURNS SETOF customers LANGUAGE sql STABLE
            AS 'SELECT * FROM customers ORDER BY id LIMIT 5';
        CREATE FUNCTION mails() RETURNS SETOF text LANGUAGE sql STABLE
            AS 'SELECT email FROM customers ORDER BY id LIMIT 5';
        CREATE FUNCTION few() RETURNS SETOF orders LANGUAGE sql STABLE
            AS 'SELECT * FROM orders ORDER BY id LIMIT 2';
        CREATE FUNCTION small(int) RETURNS smallint LANGUAGE sql STABLE
            AS 'SELECT 32766 + length(email) FROM customers WHERE id = $1';
        CREATE FUNCTION odd(text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
        CREATE DOMAIN odds AS text CHECK (odd(VALUE));
        CREATE FUNCTION checks(odds) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''x''::text';
        CREATE FUNCTION checked() RETURNS odds LANGUAGE sql STABLE AS 'SELECT ''x''::text';
        CREATE FUNCTION status_of(int) RETURNS text LANGUAGE sql STABLE
            AS 'SELECT status FROM orders WHERE id = $1';
        CREATE FUNCTION initials(a text, b text DEFAULT 'x') RETURNS text LANGUAGE sql IMMUTABLE
            AS 'SELECT left(a, 1) || left(b, 1)';
        CREATE FUNCTION is_of(address text) RETURNS bool LANGUAGE sql STABLE
            AS 'SELECT EXISTS (SELECT FROM customers WHERE email = address)';
        CREATE FUNCTION row_mail(customers) RETURNS text LANGUAGE sql IMMUTABLE
            AS 'SELECT reverse($1.email)';
        CREATE FUNCTION changes() RETURNS int LANGUAGE sql
            AS 'UPDATE orders SET total = 0; SELECT 1';
        CREATE FUNCTION hidden_change() RETURNS int LANGUAGE sql STABLE
            AS 'SELECT changes()';
        CREATE FUNCTION owners(int) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
            AS 'SELECT status FROM orders WHERE id = $1'";
    arena.server.sql("shop", functions).unwrap();
    let mut client = arena.client("claude").unwrap();
    let secrets = arena.truth("SELECT string_agg(email, ' ') FROM customers WHERE id < 6").unwrap();
    let mut answer = |sql: &str| {
        let seen = client.query(sql).unwrap();
        let text = text_of(&seen);
        for secret in secrets.split(' ') {
            let reversed: String = secret.chars().rev().collect();
            assert!(!text.contains(secret) && !text.contains(&reversed), "{sql}: {text}");
        }
        (error_of(&seen), text)
    };
    for sql in ["SELECT status_of(1)", "SELECT initials('ada', 'love')", "SELECT initials('ada')"] {
        let direct = arena.truth(sql).unwrap();
        let (error, text) = answer(sql);
        assert!(error.is_none() && text.contains(&direct), "{sql}: {error:?} {text}");
    }
    let masked = ["SELECT mail_of(1)", "SELECT * FROM mails()", "SELECT m FROM mails() m"];
    let refused = [
        ("SELECT is_of('a@example.com')", "masked-conditions"),
        ("SELECT backwards(1)", "masked-conditions"),
        ("SELECT id FROM orders WHERE is_of(status)", "masked-conditions"),
        ("SELECT id FROM orders ORDER BY mail_of(id)", "masked-conditions"),
        ("SELECT row_mail(c) FROM customers c", "masked-stays-masked"),
        ("SELECT c.row_mail FROM customers c", "masked-stays-masked"),
        ("SELECT * FROM people()", "masked-conditions"),
        ("SELECT small(1)", "masked-conditions"),
        ("SELECT checks('x')", "no-opaque-code"),
        ("SELECT checked()", "no-opaque-code"),
        ("SELECT changes()", "no-opaque-code"),
        ("SELECT hidden_change()", "no-opaque-code"),
        ("SELECT owners(1)", "no-opaque-code"),
    ];
    for sql in masked {
        let (error, text) = answer(sql);
        assert!(error.is_none() && text.contains("[masked"), "{sql}: {error:?} {text}");
    }
    assert_eq!(answer("SELECT id, status FROM few()").0, None);
    for (sql, rule) in refused {
        let error = answer(sql).0.expect(sql);
        assert!(error.contains("C=42501") && error.contains(&format!("rule {rule};")), "{error}");
    }
    // A body that changes is another function.
    let changed = "CREATE OR REPLACE FUNCTION status_of(int) RETURNS text LANGUAGE sql STABLE
                   AS 'SELECT reverse(email) FROM customers WHERE id = $1'";
    arena.server.sql("shop", changed).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1200));
    let (error, text) = answer("SELECT status_of(1)");
    assert!(error.is_none() && text.contains("[masked"), "{error:?} {text}");
}

/// Parse, Bind and Execute of each text, then Sync.
fn in_pipeline(texts: &[&str]) -> Vec<u8> {
    let one = |text: &&str| portcullis_testkit::raw::extended(text.as_bytes(), &[], false);
    texts.iter().flat_map(one).chain(message(b'S', b"")).collect()
}

/// A definition of the caller's own counts at once for itself, and for others once it is committed.
#[test]
fn definitions_of_an_open_transaction_are_judged_by_where_they_are_seen() {
    let mut setup = Setup::agent_safe();
    let allow = "permit (principal, action, resource);";
    setup.connection.push_str("catalog_max_age_seconds = 3600\n");
    setup.policy = "[policy]\npacks = []\nfiles = [\"mine.cedar\"]\n".to_owned();
    let policy = format!(
        "@id(\"all\")\n{allow}\n@id(\"hidden\") @mask(\"by-label\")\n\
         forbid (principal, action == Action::\"reveal\", resource)\n\
         when {{ resource.sensitive }};\n"
    );
    let arena = Arena::start_with(&setup, &[("mine.cedar", &policy)]).unwrap();
    let views = "CREATE VIEW own AS SELECT id, name AS c FROM customers;
                 CREATE VIEW guilty AS SELECT id, reverse(email) AS c FROM customers";
    arena.server.sql("shop", views).unwrap();
    let secret = arena.truth("SELECT reverse(email) FROM customers WHERE id = 1").unwrap();
    let token = arena.token("claude").unwrap();
    let log_in = || RawClient::log_in(arena.postgres, "claude", "shop", &token).unwrap();
    let (mut mine, mut other) = (log_in(), log_in());
    let other_names = "ALTER VIEW own RENAME TO before; ALTER VIEW guilty RENAME TO own";
    let use_it = "SELECT c FROM own WHERE id = 1";
    let fine = |seen: Vec<Message>| {
        assert!(error_of(&seen).is_none(), "{seen:?}");
        assert!(!text_of(&seen).contains(&secret), "{seen:?}");
    };
    fine(mine.query(use_it).unwrap());
    fine(other.query(use_it).unwrap());
    fine(mine.query("BEGIN").unwrap());
    fine(mine.query(other_names).unwrap());
    // Somebody else looks at definitions, of which the change is not one yet.
    fine(other.query("SELECT 1").unwrap());
    fine(mine.query(use_it).unwrap());
    fine(mine.query("COMMIT").unwrap());
    fine(other.query(use_it).unwrap());
    // Under another name it would be masked no more.
    fine(mine.query("BEGIN").unwrap());
    let seen = mine.query("ALTER TABLE customers RENAME COLUMN email TO mail").unwrap();
    assert!(text_of(&seen).contains("masked-stays-masked"), "{seen:?}");
    fine(mine.query("ROLLBACK").unwrap());
    fine(other.query("SELECT id FROM customers WHERE id = 1").unwrap());
}

/// What tools may ask of the server's catalog shows no secret of it.
#[test]
fn the_servers_own_secrets_stay_with_it() {
    let arena = arena();
    let secret = "of-elsewhere";
    arena.server.sql("shop", "ALTER ROLE owner SET app.secret = 'told-to-nobody'").unwrap();
    let mut client = client();
    for sql in [
        "SELECT umoptions FROM pg_user_mappings",
        "SELECT * FROM pg_user_mapping",
        "SELECT array_to_string(umoptions, ',') FROM pg_user_mappings",
        "SELECT unnest(umoptions) FROM pg_user_mappings",
        "SELECT (SELECT string_agg(quote_literal(option_value), ',') FROM pg_options_to_table(umoptions)) FROM pg_user_mappings",
        "SELECT u FROM pg_user_mappings u",
        "SELECT setconfig FROM pg_db_role_setting",
        "SELECT query FROM pg_stat_activity",
        "SELECT * FROM pg_stat_activity",
        "SELECT subconninfo FROM pg_subscription",
        "SELECT most_common_vals, histogram_bounds FROM pg_stats WHERE tablename = 'customers'",
        "EXPLAIN (VERBOSE) SELECT umoptions FROM pg_user_mappings",
        "LOCK TABLE orders IN ACCESS SHARE MODE",
    ] {
        let messages = client.query(sql).unwrap();
        let text = text_of(&messages);
        assert!(!text.contains("portcullis:") || !text.contains("refused"), "{sql}: {text}");
        for secret in [secret, "told-to-nobody", "example.com", "4111"] {
            assert!(!text.contains(secret), "{sql}: {text}");
        }
    }
    for sql in [
        "SELECT count(*) FROM pg_user_mappings WHERE umoptions::text LIKE '%elsewhere%'",
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%x%'",
        "SELECT srvname FROM pg_user_mappings, pg_options_to_table(umoptions) WHERE option_value > 'o'",
        "SELECT 1 FROM pg_db_role_setting ORDER BY setconfig",
        "SELECT pg_sleep(0) FROM pg_stats WHERE most_common_vals::text LIKE '%x%'",
        "SELECT rolpassword FROM pg_authid",
        "SELECT rolname FROM pg_authid",
        "SELECT x.current_setting FROM COALESCE('app.secret') x",
        "SELECT current_setting(name) FROM (SELECT 'app.secret' AS name FROM pg_settings) s",
        "SELECT current_setting(s.name) FROM pg_roles AS s(name)",
        "SELECT current_setting(s.name || '') FROM pg_settings s",
        "SELECT set_config(name, 'off', false) FROM pg_settings",
        "SELECT set_config(name, 'x', false) FROM pg_settings WHERE name = 'role'",
        "SELECT set_config(name, 'x', false) FROM pg_settings WHERE name = 'work_mem' OR true",
        "SELECT set_config(name, 'x', false) FROM pg_settings WHERE NOT name = 'work_mem'",
        "SELECT (SELECT set_config(s.name, 'x', false)) FROM pg_settings s WHERE name = 'work_mem'",
        "SELECT 1 FROM pg_settings WHERE name = 'work_mem' AND set_config(name, 'x', false) = ''",
        "SET standard_conforming_strings = off",
        "SET default_transaction_read_only = off",
        "SET row_security = off",
        "BEGIN; LOCK TABLE orders IN ROW SHARE MODE; ROLLBACK",
        "BEGIN; LOCK TABLE orders; ROLLBACK",
        "EXPLAIN EXECUTE nobody",
    ] {
        let messages = client.query(sql).unwrap();
        assert!(
            error_of(&messages).is_some_and(|e| e.contains("portcullis")),
            "{sql}: {}",
            text_of(&messages)
        );
        client.query("ROLLBACK").unwrap();
    }
    for (sql, value) in [
        ("SELECT current_setting($1)", "app.secret"),
        ("SELECT current_setting($1, true)", "App.Secret"),
        ("SELECT current_setting($1::text), $1::bytea", "app\\\\056secret"),
        ("SELECT current_setting($1::regclass::text)", "customers"),
        ("SELECT current_setting($1::varchar(3))", "app"),
        ("SELECT current_setting($1 || '.secret')", "app"),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT current_setting($1)", "app.secret"),
    ] {
        let script = format!(
            "Parse \"\" \"{sql}\"\nBind \"\" \"\" \"{value}\"\nExecute \"\" 0\nSync\nuntil Z\n"
        );
        let text = script::run(&mut client, &script).unwrap();
        assert!(text.contains("portcullis"), "{sql}: {text}");
        assert!(!text.contains("told-to-nobody"), "{sql}: {text}");
    }
    client.query("PREPARE named (text) AS SELECT current_setting($1)").unwrap();
    let text = text_of(&client.query("EXECUTE named('app.secret')").unwrap());
    assert!(text.contains("portcullis") && !text.contains("told-to-nobody"), "{text}");
}

#[test]
fn what_the_catalog_does_not_know_runs_under_no_name() {
    let arena = Arena::start(&Setup::agent_safe()).unwrap();
    let wipe =
        "CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM payments; SELECT 1'";
    arena.server.sql("shop", wipe).unwrap();
    let payments = || arena.truth("SELECT count(*) FROM payments").unwrap();
    let before = payments();
    let token = arena.token("claude").unwrap();
    let mut client = RawClient::log_in(arena.postgres, "claude", "shop", &token).unwrap();
    client.query("SELECT 1").unwrap();
    // Made past the gateway, a moment ago: what the gateway has read is younger than it reads again.
    arena.server.sql("shop", "CREATE VIEW public.evil AS SELECT public.wipe() AS x").unwrap();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], arena.server.port()));
    let raw = [("user", "raw"), ("database", "shop")];
    let mut other = RawClient::log_in_with(address, &raw, "").unwrap();
    other.query("CREATE TEMP VIEW evil_too AS SELECT public.wipe() AS x").unwrap();
    let own = "SELECT nspname FROM pg_class c, pg_namespace n WHERE n.oid = relnamespace AND relname = 'evil_too'";
    let schema = arena.truth(own).unwrap();
    let toast = arena
        .truth("SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'customers'::regclass");
    let toast = toast.unwrap();
    for sql in [
        "SELECT * FROM public.evil".to_owned(),
        format!("SELECT * FROM {}.evil_too", schema.trim()),
        format!("UPDATE {}.evil_too SET x = 1 WHERE x = 1", schema.trim()),
        format!("SELECT encode(chunk_data, 'escape') FROM {}", toast.trim()),
        format!("COPY {} TO STDOUT", toast.trim()),
        "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM public.nowhere".to_owned(),
    ] {
        let messages = client.query(&sql).unwrap();
        let refused = error_of(&messages).unwrap_or_default();
        assert!(refused.contains("portcullis"), "{sql}: {}", text_of(&messages));
        client.query("ROLLBACK").unwrap();
    }
    assert_eq!(payments(), before);
}

/// A rule on a table holds for its rows however they are reached: by what it is a part of, by its parts.
#[test]
fn a_rule_on_a_table_follows_its_rows() {
    let rule = r#"
@id("no-secret") @reason("it is secret")
forbid (principal, action in [Action::"read", Action::"insert", Action::"update", Action::"delete"],
        resource is Relation)
when { resource.name == "secret" || resource.name == "events" };
"#;
    let setup = Setup {
        policy: "[policy]\npacks = [\"allow-all\"]\nfiles = [\"f.cedar\"]\n".to_owned(),
        definitions: "CREATE TABLE base (id int, v text); CREATE TABLE secret () INHERITS (base);
            CREATE TABLE aunt (v text); ALTER TABLE secret INHERIT aunt;
            INSERT INTO secret VALUES (1, 'hush'), (2, 'hush');
            CREATE TABLE events (id int, v text) PARTITION BY RANGE (id);
            CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (100);
            INSERT INTO events VALUES (1, 'hush');
            CREATE TABLE plain (id int, v text) PARTITION BY RANGE (id);
            CREATE TABLE plain_1 PARTITION OF plain FOR VALUES FROM (0) TO (100);",
        ..Setup::allow_all()
    };
    let arena = Arena::start_with(&setup, &[("f.cedar", rule)]).unwrap();
    let toast = "SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'secret'::regclass";
    let toast = format!("SELECT * FROM {}", arena.truth(toast).unwrap().trim());
    let mut client = arena.client("claude").unwrap();
    for sql in [
        "SELECT v FROM secret",
        "SELECT v FROM base",
        "SELECT v FROM aunt",
        "COPY (TABLE base) TO STDOUT",
        "SELECT v FROM events_1",
        "COPY events_1 TO STDOUT",
        "INSERT INTO events_1 VALUES (2, 'x')",
        "UPDATE events_1 SET v = 'x' WHERE id = 1",
        "DELETE FROM events_1 WHERE id = 1",
        "DELETE FROM base WHERE id = 1",
        "DELETE FROM plain WHERE id = 1 AND EXISTS (SELECT FROM events_1)",
        toast.as_str(),
    ] {
        let messages = client.query(sql).unwrap();
        let refused = error_of(&messages).unwrap_or_default();
        assert!(refused.contains("no-secret"), "{sql}: {}", text_of(&messages));
    }
    for sql in [
        "SELECT v FROM ONLY base",
        "SELECT v FROM plain",
        "INSERT INTO plain_1 VALUES (1, 'x')",
        "SELECT v FROM plain_1",
        "DELETE FROM plain_1",
        "CREATE TABLE public.fresh (id int); INSERT INTO public.fresh VALUES (1); TABLE public.fresh",
    ] {
        let messages = client.query(sql).unwrap();
        assert_eq!(error_of(&messages), None, "{sql}");
    }
}
