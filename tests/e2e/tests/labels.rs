//! Labels follow data: a table made of masked columns is masked like them, for everybody who may not
//! see what it came from, whatever becomes of its name. Each way to read such a table is tried with
//! secrets that would be seen.
//!
//! Content detectors are off, so that nothing but the labels stands between the secrets and the
//! reader.

use portcullis_testkit::arena::{Arena, Setup, Shared};
use portcullis_testkit::leaks::Received;
use portcullis_testkit::raw::{Message, RawClient, message, values};
use std::collections::BTreeSet;
use std::sync::Arc;

static ARENA: Shared = Shared::new();

const POLICY: &str = r#"
@id("everything") permit (principal, action, resource);
@id("hidden") @mask("by-label") @reason("sensitive")
forbid (principal, action == Action::"reveal", resource) when { resource.sensitive }
unless { principal in Group::"dba" };
@id("no-inference") @reason("masked columns decide nothing")
forbid (principal, action == Action::"infer", resource) unless { principal in Group::"dba" };
"#;

/// The same, but that nobody may run code of which nobody knows what it does, but for one function.
const NO_CODE: &str = r#"
@id("no-code") @reason("opaque")
forbid (principal, action == Action::"execute", resource)
unless { principal in Group::"dba" || resource is Routine && resource.name == "helper" };
"#;

fn start() -> Arena {
    start_with(POLICY)
}

fn start_with(policy: &str) -> Arena {
    let setup = Setup {
        policy: "[policy]\npacks = []\nfiles = [\"labels.cedar\"]\n".to_owned(),
        connection: r#"detectors = []
sensitive = [
  { column = "public.customers.email", label = "email", mask = "partial" },
  { column = "public.customers.created_at", mask = "shift_days:30" },
  { column = "public.payments.iban", label = "iban", mask = "hash" },
  { column = "public.people.email", mask = "redact", optional = true },
  { column = "own.mail.address", mask = "redact", optional = true },
  { column = "own.*.other_address", mask = "redact", optional = true },
  { column = "public.typed_one.mailed", mask = "redact", optional = true },
]
"#
        .to_owned(),
        settings: &["max_prepared_transactions = 4", "primary_conninfo = 'password=hunter2secret'"],
        ..Setup::agent_safe()
    };
    let arena = Arena::start_with(&setup, &[("labels.cedar", policy)]).unwrap();
    arena.server.sql("shop", "CREATE SCHEMA other; CREATE TABLE plain (id int, x text)").unwrap();
    arena
}

fn arena() -> Arc<Arena> {
    ARENA.get(start)
}

/// Somebody at the gateway, and what must not be seen.
struct Caller {
    client: RawClient,
    secrets: BTreeSet<String>,
}

impl Caller {
    fn new(arena: &Arena, name: &str) -> Self {
        let token = arena.token(name).unwrap();
        let client = RawClient::log_in(arena.postgres, name, "shop", &token).unwrap();
        let secrets = arena.server.sql("shop", "SELECT email FROM customers ORDER BY id LIMIT 9");
        let secrets = secrets.unwrap().lines().map(str::to_owned).collect();
        Self { client, secrets }
    }

    fn ask(&mut self, sql: &str) -> Vec<Message> {
        self.client.query(sql).unwrap()
    }

    fn shown(&self, seen: &[Message]) -> Option<String> {
        Received::new(seen).shows(&self.secrets)
    }

    /// It runs, whatever it answers.
    fn does(&mut self, sql: &str) {
        let seen = self.ask(sql);
        assert_eq!(error_of(&seen), None, "{sql}");
        assert_eq!(self.shown(&seen), None, "{sql}");
    }

    /// It runs, for somebody who may see what is in it.
    fn runs(&mut self, sql: &str) {
        let seen = self.ask(sql);
        assert_eq!(error_of(&seen), None, "{sql}");
    }

    /// It runs, and the secrets are not in what comes.
    fn hidden(&mut self, sql: &str) -> Vec<Message> {
        let seen = self.ask(sql);
        assert_eq!(error_of(&seen), None, "{sql}");
        assert!(seen.iter().any(|m| matches!(m.tag, b'D' | b'd')), "{sql} gives no rows");
        assert_eq!(self.shown(&seen), None, "{sql}");
        seen
    }

    /// Whatever comes of it, the secrets are not in it.
    fn never(&mut self, sql: &str) {
        let seen = self.ask(sql);
        assert_eq!(self.shown(&seen), None, "{sql}");
    }

    /// The secrets are in what comes: it is worth hiding.
    fn clear(&mut self, sql: &str) {
        let seen = self.ask(sql);
        assert!(self.shown(&seen).is_some(), "{sql}: {:?}", error_of(&seen));
    }

    fn refused(&mut self, sql: &str, why: &str) {
        let seen = self.ask(sql);
        let error = error_of(&seen).unwrap_or_default();
        assert!(error.contains(why), "{sql}: {error:?}");
        assert_eq!(self.shown(&seen), None, "{sql}");
    }

    fn text(&mut self, sql: &str) -> String {
        let seen = self.ask(sql);
        assert_eq!(error_of(&seen), None, "{sql}");
        let row = seen.iter().find(|m| m.tag == b'D').unwrap_or_else(|| panic!("{sql}: no row"));
        let value = values(&row.body).swap_remove(0).unwrap_or_default();
        String::from_utf8(value).unwrap()
    }
}

impl Caller {
    /// The same as `hidden`, once a change that another session has just made is known.
    fn soon_hidden(&mut self, sql: &str) {
        for _ in 0..200 {
            let seen = self.ask(sql);
            assert_eq!(self.shown(&seen), None, "{sql}");
            if error_of(&seen).is_none() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        self.hidden(sql);
    }

    /// Another session's change of definitions is known a moment after that one was told.
    fn comes_to(&mut self, sql: &str, expect: &str) {
        let start = std::time::Instant::now();
        while self.text(sql) != expect {
            assert!(start.elapsed().as_secs() < 10, "{sql}: {:?}", self.text(sql));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

fn error_of(messages: &[Message]) -> Option<String> {
    messages.iter().find(|m| m.tag == b'E').map(Message::shown)
}

const STAYS: &str = "masked-stays-masked";

/// Ways to read what is in table `t` (id, name, email, up, glued).
const READS: &[&str] = &[
    "SELECT * FROM t",
    "TABLE t",
    "SELECT email FROM t",
    "SELECT up FROM t",
    "SELECT glued FROM t",
    "SELECT email AS name FROM t",
    "SELECT reverse(email) FROM t",
    "SELECT substr(email, 2) FROM t",
    "SELECT t FROM t",
    "SELECT (t).up FROM t",
    "SELECT t.* FROM t",
    "SELECT row_to_json(t) FROM t",
    "SELECT jsonb_agg(t) FROM t",
    "SELECT string_agg(email, ',') FROM t",
    "SELECT array_agg(up) FROM t",
    "SELECT min(email) FROM t",
    "SELECT (SELECT reverse(email) FROM t WHERE id = 1)",
    "SELECT ARRAY(SELECT email FROM t)",
    "SELECT lower(a.up) FROM t a JOIN t b USING (id)",
    "WITH c AS (SELECT reverse(email) AS x FROM t) SELECT x FROM c",
    "SELECT x FROM (SELECT up FROM t) s(x)",
    "SELECT email FROM t UNION ALL SELECT name FROM t",
    "SELECT first_value(email) OVER (PARTITION BY id) FROM t",
    "SELECT CASE WHEN id > 0 THEN up END FROM t",
    "COPY t TO STDOUT",
    "COPY t (email) TO STDOUT WITH (FORMAT csv)",
    "COPY (SELECT reverse(email) FROM t) TO STDOUT",
];

/// What would carry what is in it elsewhere, or let it decide.
const REFUSED: &[(&str, &str)] = &[
    ("INSERT INTO plain SELECT id, email FROM t", STAYS),
    ("UPDATE t SET name = email", STAYS),
    ("UPDATE plain SET x = (SELECT min(up) FROM t)", STAYS),
    ("CREATE VIEW seen AS SELECT email FROM t", STAYS),
    ("SELECT set_config('app.x', (SELECT min(email) FROM t), false)", STAYS),
    ("SELECT id FROM t LIMIT (SELECT length(email) FROM t LIMIT 1)", STAYS),
    ("EXPLAIN ANALYZE CREATE TABLE u AS SELECT email FROM t", STAYS),
    ("SELECT count(*) FROM t WHERE email = 'ana8@example.com'", "no-inference"),
    ("SELECT id FROM t ORDER BY up", "no-inference"),
    ("SELECT count(*) FROM t GROUP BY glued", "no-inference"),
    ("DELETE FROM t WHERE email LIKE 'a%'", "no-inference"),
];

/// What may fail or not, and shows nothing either way.
const NEVER: &[&str] = &[
    "SELECT encode(email::bytea, 'hex') FROM t",
    "SELECT email::int FROM t",
    "SELECT 1 / (length(email) - length(email)) FROM t",
    "SELECT (email || 'x')::regclass FROM t",
    "EXPLAIN (ANALYZE, VERBOSE) SELECT reverse(email) FROM t",
    "ANALYZE t; SELECT most_common_vals, histogram_bounds FROM pg_stats WHERE tablename = 't'",
    "CREATE UNIQUE INDEX ON t ((email IS NOT NULL))",
    "ALTER TABLE t ADD CHECK (email = 'x')",
    "SELECT * FROM json_populate_recordset(NULL::t, (SELECT json_agg(t) FROM t))",
    "SELECT * FROM t, LATERAL (SELECT reverse(t.email)) s(y)",
    "SELECT xmlelement(name a, email) FROM t",
    "SELECT query_to_xml('SELECT email FROM t', true, true, '')",
    "SELECT table_to_xml('t', true, true, '')",
    "SELECT ts_stat('SELECT to_tsvector(email) FROM t')",
    "DO $$ BEGIN RAISE EXCEPTION '%', (SELECT min(email) FROM t); END $$",
];

fn fill(caller: &mut Caller, kind: &str) {
    caller.does(&format!(
        "CREATE {kind} TABLE t AS
         SELECT id, name, email, upper(email) AS up, email || id AS glued FROM customers"
    ));
}

fn tries_everything(caller: &mut Caller) {
    let mut wrong = Vec::new();
    for sql in READS {
        let seen = caller.ask(sql);
        let rows = seen.iter().any(|m| matches!(m.tag, b'D' | b'd'));
        let (error, shown) = (error_of(&seen), caller.shown(&seen));
        if !rows || error.is_some() || shown.is_some() {
            wrong.push((sql, error, shown));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for (sql, why) in REFUSED {
        caller.refused(sql, why);
    }
    for sql in NEVER {
        caller.never(sql);
    }
    // What is not masked in the origin is not in the copy.
    assert_eq!(caller.text("SELECT name FROM t WHERE id = 1"), "Bo Chen 1");
    assert_eq!(caller.text("SELECT count(*) FROM t"), "200");
}

#[test]
fn a_temporary_table_is_masked_like_what_it_came_from() {
    let arena = arena();
    let mut claude = Caller::new(&arena, "claude");
    fill(&mut claude, "TEMP");
    tries_everything(&mut claude);
    for sql in [
        "SELECT reverse(email) FROM pg_temp.t",
        "UPDATE t SET id = id WHERE id = 1 RETURNING email, up",
        "BEGIN; DECLARE c CURSOR FOR SELECT reverse(email) FROM t; FETCH ALL FROM c; COMMIT",
        "PREPARE p AS SELECT reverse(email) FROM t; EXECUTE p",
    ] {
        claude.hidden(sql);
    }
    // One made of it is masked like it, and so is one made of that.
    claude.does("CREATE TEMP TABLE t2 AS SELECT reverse(up) AS x, id FROM t");
    claude.does("SELECT x AS y INTO TEMP t3 FROM t2");
    claude.does("CREATE TEMP TABLE t4 (z) AS SELECT t3 FROM t3");
    claude.does("DROP TABLE t, t2");
    claude.hidden("SELECT reverse(y) FROM t3");
    claude.hidden("SELECT z FROM t4");
    // Nothing that is not of masked columns is masked.
    claude.does("CREATE TEMP TABLE t5 AS SELECT name, city FROM customers");
    assert_eq!(claude.text("SELECT name FROM t5 ORDER BY name LIMIT 1"), "Ana Lima 104");
}

#[test]
fn whoever_may_see_the_origin_sees_what_is_made_of_it() {
    let arena = arena();
    let mut bo = Caller::new(&arena, "bo");
    bo.runs("CREATE TEMP TABLE t AS SELECT id, email, upper(email) AS up FROM customers");
    bo.clear("SELECT * FROM t");
    bo.clear("SELECT lower(up) FROM t WHERE email LIKE '%@example.com' ORDER BY up");
}

#[test]
fn names_of_temporary_tables_mean_what_they_mean_now() {
    let arena = arena();
    let mut claude = Caller::new(&arena, "claude");
    let mut ana = Caller::new(&arena, "ana");
    ana.does("CREATE TABLE plunder (x text); INSERT INTO plunder VALUES ('words')");
    claude.does("CREATE TEMP TABLE plunder AS SELECT email AS x FROM customers");
    // Others read the catalog, where the temporary table is none.
    for round in 0..3 {
        ana.does(&format!("CREATE TABLE noise{round} (i int); DROP TABLE noise{round}"));
        ana.comes_to("SELECT upper(x) FROM plunder", "WORDS");
        claude.hidden("SELECT reverse(x) FROM plunder");
        claude.hidden("BEGIN; SELECT reverse(x) FROM plunder; COMMIT");
    }
    claude.does("BEGIN");
    claude.hidden("SELECT reverse(x) FROM plunder");
    ana.does("CREATE TABLE noise (i int); DROP TABLE noise");
    claude.hidden("SELECT reverse(x) FROM plunder");
    claude.does("SAVEPOINT a");
    claude.does("DROP TABLE plunder");
    claude.comes_to("SELECT upper(x) FROM plunder", "WORDS");
    claude.does("ROLLBACK TO a");
    claude.hidden("SELECT reverse(x) FROM plunder");
    claude.does("COMMIT");
    claude.hidden("SELECT reverse(x) FROM plunder");
    claude.does("ALTER TABLE pg_temp.plunder RENAME TO \"Loot\"");
    claude.hidden("SELECT reverse(x) FROM \"Loot\"");
    claude.does("ALTER TABLE \"Loot\" RENAME COLUMN x TO y");
    claude.hidden("SELECT reverse(y) FROM \"Loot\"");
    claude.comes_to("SELECT upper(x) FROM plunder", "WORDS");
    claude.does("DISCARD TEMP");
    claude.does("CREATE TEMP TABLE \"Loot\" AS SELECT name AS y FROM customers ORDER BY id");
    claude.comes_to("SELECT y FROM \"Loot\" LIMIT 1", "Bo Chen 1");
    ana.does("DROP TABLE plunder");
}

/// What temporary tables run or hide is seen by whoever has them, however they were made and whoever
/// reads definitions meanwhile, and by nobody else.
#[test]
fn temporary_tables_hide_no_code() {
    let arena = start_with(&format!("{POLICY}{NO_CODE}"));
    let helper =
        "CREATE TABLE ran (i int); CREATE TABLE orders2 (id int); CREATE TABLE orders3 (id int);
         CREATE FUNCTION grab() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN INSERT INTO public.ran VALUES (1); RETURN NEW; END';
         CREATE FUNCTION helper(n text) RETURNS void LANGUAGE plpgsql AS
           'BEGIN EXECUTE format(''CREATE TEMP TABLE %I (id int)'', n);
                  EXECUTE format(''CREATE TRIGGER z BEFORE INSERT ON pg_temp.%I
                    FOR EACH ROW EXECUTE FUNCTION grab()'', n); END'";
    arena.server.sql("shop", helper).unwrap();
    let mut claude = Caller::new(&arena, "claude");
    let mut ana = Caller::new(&arena, "ana");
    let mut round = 0;
    // Others read the catalog, and do not take these tables for theirs.
    let mut others_read = |table: &str| {
        round += 1;
        ana.does(&format!("CREATE TABLE noise{round} (i int); DROP TABLE noise{round}"));
        ana.does("SELECT id FROM plain");
        ana.does(&format!("INSERT INTO {table} VALUES (1)"));
    };
    let trigger = "CREATE TRIGGER z BEFORE INSERT ON pg_temp.plain FOR EACH ROW
         EXECUTE FUNCTION grab()";
    let write = "INSERT INTO plain VALUES (1, 'x')";
    // What is refused again and again is answered later.
    let mut times = 0;
    let mut again = |sql: &str| {
        times += 1;
        format!("{sql} -- {times}")
    };
    claude.does("PREPARE before AS INSERT INTO plain VALUES (2, 'y')");
    claude.does(write);
    for make in [
        "CREATE TEMP TABLE plain (id int, x text)",
        "CREATE TABLE pg_temp.plain (id int, x text)",
        "SELECT 1 AS id, 'x' AS x INTO TEMP plain",
        "BEGIN; CREATE TEMP TABLE plain (id int, x text); COMMIT",
        "SET search_path = pg_temp, public; CREATE TABLE plain (id int, x text); RESET search_path",
    ] {
        claude.does(make);
        others_read("plain");
        claude.does(trigger);
        others_read("plain");
        claude.refused(&again(write), "no-code");
        claude.refused(&again("EXECUTE before"), "no-code");
        claude.refused(&again(&format!("BEGIN; {write}; COMMIT")), "no-code");
        others_read("plain");
        claude.does("SELECT id FROM orders LIMIT 1");
        claude.refused(&again(write), "no-code");
        claude.does("DROP TABLE pg_temp.plain");
        claude.does(write);
    }
    // A rule, a view with one, a default.
    for (make, undo) in [
        (
            "CREATE TEMP TABLE plain (id int, x text);
             CREATE RULE z AS ON INSERT TO pg_temp.plain DO ALSO INSERT INTO orders2 SELECT helped()",
            "DROP TABLE pg_temp.plain",
        ),
        (
            "CREATE TEMP VIEW plain AS SELECT id, x FROM public.plain;
             CREATE RULE z AS ON INSERT TO pg_temp.plain DO INSTEAD SELECT helped()",
            "DROP VIEW pg_temp.plain",
        ),
    ] {
        let helped = "CREATE FUNCTION public.helped() RETURNS int LANGUAGE plpgsql AS
             'BEGIN INSERT INTO public.ran VALUES (1); RETURN 1; END'";
        arena.server.sql("shop", helped).unwrap();
        for one in make.split_inclusive(';') {
            claude.does(one);
        }
        others_read("plain");
        claude.refused(&again(write), "no-code");
        claude.does(undo);
        arena.server.sql("shop", "DROP FUNCTION public.helped() CASCADE").unwrap();
    }
    // In code that was permitted, inside a transaction and outside.
    claude.does("SELECT helper('orders2')");
    others_read("orders2");
    claude.refused("INSERT INTO orders2 VALUES (1)", "no-code");
    claude.does("INSERT INTO orders3 VALUES (1)");
    claude.does("BEGIN");
    claude.does("SELECT helper('orders3')");
    claude.refused("INSERT INTO orders3 VALUES (1)", "no-code");
    claude.does("ROLLBACK");
    claude.does("INSERT INTO orders3 VALUES (1)");
    claude.does("DISCARD TEMP");
    claude.does("INSERT INTO orders2 VALUES (1)");
    claude.does(write);
    assert_eq!(arena.truth("SELECT count(*) FROM ran").unwrap(), "0", "no trigger has run");
    // They do run.
    let mut bo = Caller::new(&arena, "bo");
    bo.runs("SELECT helper('orders2')");
    bo.runs("INSERT INTO orders2 VALUES (1)");
    assert_eq!(arena.truth("SELECT count(*) FROM ran").unwrap(), "1");
}

#[test]
fn what_is_rolled_back_leaves_nothing_behind() {
    let arena = arena();
    let mut claude = Caller::new(&arena, "claude");
    for kind in ["TEMP", ""] {
        claude.does("BEGIN");
        claude.does(&format!("CREATE {kind} TABLE gone AS SELECT email AS x FROM customers"));
        claude.hidden("SELECT reverse(x) FROM gone");
        claude.does("SAVEPOINT a");
        claude.does(&format!("CREATE {kind} TABLE more AS SELECT x FROM gone"));
        claude.hidden("SELECT reverse(x) FROM more");
        claude.does("ROLLBACK TO a");
        claude.does(&format!("CREATE {kind} TABLE more AS SELECT id, upper(x) AS y FROM plain"));
        claude.does("INSERT INTO more VALUES (1, 'words')");
        assert_eq!(claude.text("SELECT y FROM more"), "words");
        claude.hidden("SELECT reverse(x) FROM gone");
        claude.does("ROLLBACK");
        claude.does(&format!("CREATE {kind} TABLE gone AS SELECT name AS x FROM customers"));
        assert!(claude.text("SELECT min(x) FROM gone").starts_with("Ana Lima"));
        claude.does("DROP TABLE gone");
    }
    // A failed statement makes nothing.
    claude.never("CREATE TABLE gone AS SELECT email, 1 / (id - 5) AS x FROM customers");
    claude.does("CREATE TABLE gone AS SELECT name AS email, id AS x FROM customers WHERE id = 1");
    assert_eq!(claude.text("SELECT email FROM gone"), "Bo Chen 1");
    claude.does("DROP TABLE gone");
    claude.does("BEGIN");
    claude.does("CREATE TEMP TABLE brief ON COMMIT DROP AS SELECT email FROM customers");
    claude.hidden("SELECT reverse(email) FROM brief");
    claude.does("COMMIT");
    claude.refused("SELECT email FROM brief", "brief");
}

#[test]
fn a_permanent_table_is_masked_for_everybody_by_whatever_name() {
    // Not where others have temporary tables of that name.
    let arena = start();
    let mut bo = Caller::new(&arena, "bo");
    // Its maker sees what is in it; others do not.
    bo.runs(
        "CREATE TABLE t AS
         SELECT id, name, email, upper(email) AS up, email || id AS glued FROM customers",
    );
    bo.clear("SELECT email FROM t");
    let mut claude = Caller::new(&arena, "claude");
    let mut ana = Caller::new(&arena, "ana");
    tries_everything(&mut claude);
    ana.hidden("SELECT reverse(up) FROM t");
    for (change, read) in [
        ("ALTER TABLE t RENAME TO kept", "SELECT reverse(email) FROM kept"),
        ("ALTER TABLE kept RENAME COLUMN email TO note", "SELECT reverse(note) FROM kept"),
        ("ALTER TABLE kept SET SCHEMA other", "SELECT reverse(note) FROM other.kept"),
        ("ALTER TABLE other.kept DROP COLUMN name", "SELECT * FROM other.kept"),
        ("ALTER TABLE other.kept ADD COLUMN name text", "SELECT * FROM other.kept"),
        (
            "ALTER TABLE other.kept ALTER note TYPE varchar(99)",
            "SELECT reverse(note) FROM other.kept",
        ),
        (
            "CREATE TABLE above (note varchar(99)); ALTER TABLE other.kept INHERIT above",
            "SELECT reverse(note) FROM above",
        ),
        ("CREATE TABLE below () INHERITS (other.kept)", "SELECT reverse(note) FROM other.kept"),
        ("CREATE VIEW seen AS SELECT reverse(note) AS x FROM other.kept", "SELECT x FROM seen"),
        (
            "CREATE FUNCTION notes() RETURNS SETOF varchar LANGUAGE sql AS 'SELECT note FROM other.kept'",
            "SELECT notes()",
        ),
        (
            "CREATE MATERIALIZED VIEW filled AS SELECT reverse(note) AS x FROM other.kept",
            "SELECT x FROM filled",
        ),
        ("REFRESH MATERIALIZED VIEW filled", "SELECT x FROM filled"),
        ("VACUUM FULL other.kept", "SELECT reverse(note) FROM other.kept"),
    ] {
        bo.runs(change);
        claude.soon_hidden(read);
        ana.soon_hidden(read);
    }
    bo.clear("SELECT note FROM other.kept");
    bo.runs("DROP TABLE other.kept CASCADE");
    bo.runs("CREATE TABLE other.kept AS SELECT id, name AS note FROM customers ORDER BY id");
    claude.comes_to("SELECT note FROM other.kept LIMIT 1", "Bo Chen 1");
    bo.runs("DROP TABLE other.kept, above CASCADE");
}

#[test]
fn every_way_to_make_a_table_is_followed() {
    let arena = arena();
    let mut claude = Caller::new(&arena, "claude");
    let ways = [
        "CREATE TABLE way AS SELECT reverse(email) AS x FROM customers",
        "SELECT reverse(email) AS x INTO way FROM customers",
        "SELECT name AS x INTO way FROM customers UNION ALL SELECT reverse(email) FROM customers",
        "CREATE TABLE IF NOT EXISTS way AS TABLE customers",
        "CREATE UNLOGGED TABLE public.way (x) AS SELECT customers FROM customers",
        "CREATE MATERIALIZED VIEW way AS SELECT jsonb_agg(customers) AS x FROM customers",
        "CREATE TABLE way AS SELECT email AS x FROM customer_contacts",
        "CREATE TABLE way AS WITH c AS (SELECT reverse(email) AS x FROM customers) SELECT x FROM c",
        "PREPARE q AS SELECT reverse(email) AS x FROM customers;CREATE TABLE way AS EXECUTE q",
        "CREATE TABLE way AS SELECT email AS x FROM customers WITH NO DATA",
        "CREATE TABLE way AS SELECT s.email AS x, o.note FROM orders o JOIN customers s ON s.id = o.id",
    ];
    for way in ways {
        for step in way.split(';') {
            claude.does(step);
        }
        claude.never("SELECT * FROM way");
        claude.never("SELECT reverse(way::text) FROM way");
        let view = way.contains("MATERIALIZED");
        if way.contains("NO DATA") {
            arena.server.sql("shop", "INSERT INTO way SELECT email FROM customers").unwrap();
            claude.hidden("SELECT reverse(x) FROM way");
        }
        if way.contains("NO DATA") {
            // It fills like any table; what comes is masked.
            claude.does("INSERT INTO way SELECT email FROM customers WHERE id < 9");
            claude.hidden("SELECT reverse(x) FROM way");
            claude.refused("INSERT INTO way SELECT substr(email, 1, 9) FROM customers", STAYS);
            claude.refused("INSERT INTO way SELECT iban FROM payments", STAYS);
        }
        if way.contains("IF NOT EXISTS") {
            claude.hidden("SELECT reverse(email) FROM way");
            claude.does("CREATE TABLE IF NOT EXISTS way AS SELECT email FROM customers");
            claude.hidden("SELECT reverse(email) FROM way");
            assert_eq!(claude.text("SELECT name FROM way ORDER BY id LIMIT 1"), "Bo Chen 1");
        }
        claude.does(if view { "DROP MATERIALIZED VIEW way" } else { "DROP TABLE way" });
        claude.ask("DEALLOCATE ALL");
    }
    // By the extended protocol, in a transaction of nobody's.
    claude
        .client
        .send(&parse_and_run("CREATE TABLE way AS SELECT email AS x FROM customers"))
        .unwrap();
    let seen = claude.client.until(b'Z').unwrap();
    assert_eq!(error_of(&seen), None);
    claude.hidden("SELECT reverse(x) FROM way");
    claude.does("DROP TABLE way");
}

fn parse_and_run(sql: &str) -> Vec<u8> {
    [
        message(b'P', format!("\0{sql}\0\0\0").as_bytes()),
        message(b'B', b"\0\0\0\0\0\0\0\0"),
        message(b'E', b"\0\0\0\0\0"),
        message(b'S', b""),
    ]
    .concat()
}

#[test]
fn what_could_not_be_followed_is_not_made() {
    let arena = arena();
    let mut claude = Caller::new(&arena, "claude");
    let made = "CREATE TABLE lost AS SELECT email AS x FROM customers";
    for sql in [
        format!("BEGIN; {made}; COMMIT"),
        format!("{made}; ALTER TABLE lost RENAME TO found"),
        format!("{made}; DROP TABLE plain"),
        format!("CREATE TABLE first (i int); {made}"),
        format!("EXPLAIN ANALYZE {made}"),
    ] {
        claude.refused(&sql, STAYS);
        claude.ask("ROLLBACK");
        let there = "SELECT count(*) FROM pg_class WHERE relname IN ('lost', 'found', 'first')";
        assert_eq!(arena.truth(there).unwrap(), "0", "{sql}");
    }
    // A pipeline that is not synchronised before its answers are wanted.
    let mut flushed = parse_and_run(made);
    flushed.truncate(flushed.len() - 5);
    flushed.extend(message(b'H', b""));
    claude.client.send(&flushed).unwrap();
    let seen = claude.client.until(b'E').unwrap();
    assert!(error_of(&seen).unwrap().contains(STAYS));
    claude.client.send(&message(b'S', b"")).unwrap();
    claude.client.until(b'Z').unwrap();
    assert_eq!(arena.truth("SELECT count(*) FROM pg_class WHERE relname = 'lost'").unwrap(), "0");
    // A transaction that somebody else could end.
    claude.does("BEGIN");
    claude.does(made);
    claude.refused("PREPARE TRANSACTION 'later'", STAYS);
    claude.ask("ROLLBACK");
    claude.does("BEGIN");
    claude.does("INSERT INTO plain VALUES (1, 'x')");
    claude.does("PREPARE TRANSACTION 'now'");
    claude.does("ROLLBACK PREPARED 'now'");
}

/// What runs behind a change of definitions, before one `Sync`, was analysed by those there were.
#[test]
fn behind_a_definition_in_a_pipeline_nothing_is_known() {
    let arena = arena();
    arena.server.sql("shop", "CREATE TABLE IF NOT EXISTS loot (id int, note text)").unwrap();
    let mut claude = Caller::new(&arena, "claude");
    let mut together = |texts: &[&str]| {
        let mut bytes = Vec::new();
        for text in texts {
            let one = parse_and_run(text);
            bytes.extend_from_slice(&one[..one.len() - 5]);
        }
        bytes.extend(message(b'S', b""));
        claude.client.send(&bytes).unwrap();
        let seen = claude.client.until(b'Z').unwrap();
        assert_eq!(claude.shown(&seen), None, "{texts:?}");
        let text: String = seen.iter().map(Message::shown).collect();
        let reversed = claude.secrets.iter().map(|s| s.chars().rev().collect::<String>());
        for secret in reversed {
            assert!(!text.contains(&secret), "{texts:?}");
        }
        claude
            .ask("DROP TABLE IF EXISTS pg_temp.orders, pg_temp.loot, pg_temp.twice, public.twice");
        claude.ask("DROP VIEW IF EXISTS pg_temp.orders");
        error_of(&seen)
    };
    // Names that mean something else by then.
    let temporary = "CREATE TEMP TABLE orders AS SELECT email AS note FROM customers";
    assert!(together(&[temporary, "SELECT reverse(note) FROM orders"]).is_some());
    let view = "CREATE TEMP VIEW orders AS SELECT reverse(email) AS note FROM customers";
    together(&[view, "SELECT note FROM orders"]);
    let empty = "CREATE TEMP TABLE loot (id int, note text)";
    let fill = "INSERT INTO loot SELECT id, email FROM customers";
    assert!(together(&[empty, fill, "SELECT reverse(note) FROM loot"]).is_some());
    // Two of one name.
    let one = "CREATE TABLE twice AS SELECT email AS a, id AS b FROM customers";
    let two = "CREATE TEMP TABLE twice AS SELECT id AS a, email AS b FROM customers";
    assert!(together(&[one, two]).is_some());
    // Where nothing masked is near, a pipeline goes on as ever.
    let plain = ["CREATE TEMP TABLE mine (a int)", "INSERT INTO mine VALUES (1)"];
    assert_eq!(together(&plain), None);
}

/// Two tables of one name, made at the same time, keep the labels of each.
#[test]
fn tables_of_one_name_do_not_take_each_others_labels() {
    let arena = arena();
    let (mut one, mut two) = (Caller::new(&arena, "claude"), Caller::new(&arena, "claude"));
    two.does("BEGIN");
    two.does("CREATE TEMP TABLE namesake AS SELECT id AS a, email AS b FROM customers");
    one.does("CREATE TABLE namesake AS SELECT email AS a, id AS b FROM customers");
    two.does("COMMIT");
    for caller in [&mut one, &mut two] {
        caller.hidden("SELECT a FROM public.namesake");
    }
    two.hidden("SELECT b FROM pg_temp.namesake");
    one.does("DROP TABLE public.namesake");
}

/// A lock that lets definitions change between judging and running does not shift labels.
#[test]
fn definitions_changed_behind_a_lock_make_no_table() {
    let arena = arena();
    let shift = "CREATE TABLE m1 (a int); CREATE TABLE m2 (b int);
                 INSERT INTO m1 VALUES (1); INSERT INTO m2 VALUES (1);
                 GRANT ALL ON m1, m2 TO PUBLIC";
    arena.server.sql("shop", shift).unwrap();
    let mut caller = Caller::new(&arena, "claude");
    caller.does("SELECT * FROM m1, m2");
    let mut locks = RawClient::log_in_with(
        std::net::SocketAddr::from(([127, 0, 0, 1], arena.server.port())),
        &[("user", "raw"), ("database", "shop")],
        "",
    )
    .unwrap();
    locks.query("BEGIN; ALTER TABLE m1 ADD a2 int; ALTER TABLE m2 DROP b").unwrap();
    let make = "CREATE TABLE shifted AS SELECT m1.*, c.email, m2.* FROM m1, customers c, m2";
    caller.client.send(&message(b'Q', &[make.as_bytes(), b"\0"].concat())).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    locks.query("COMMIT").unwrap();
    let seen = caller.client.until(b'Z').unwrap();
    assert_eq!(caller.shown(&seen), None);
    caller.never("SELECT * FROM shifted");
    caller.never("SELECT email FROM shifted");
    let there = arena.truth("SELECT count(*) FROM pg_class WHERE relname = 'shifted'").unwrap();
    assert!(there == "0" || error_of(&seen).is_none(), "{there}: {:?}", error_of(&seen));
}

#[test]
fn a_copy_has_the_strategy_of_what_it_came_from_and_an_expression_shows_nothing() {
    let arena = arena();
    let mut claude = Caller::new(&arena, "claude");
    claude.does(
        "CREATE TEMP TABLE copy AS
         SELECT c.id, email, substr(email, 1, 9) AS part, created_at AS at, iban,
                substr(iban, 1, 4) AS land, coalesce(email, name) AS either, p.amount
         FROM customers c JOIN payments p ON p.id = c.id",
    );
    for (origin, copy) in [
        ("email FROM customers", "email FROM copy"),
        ("created_at FROM customers", "at FROM copy"),
        ("iban FROM payments", "iban FROM copy"),
    ] {
        let (origin, copy) = (
            claude.text(&format!("SELECT {origin} WHERE id = 7")),
            claude.text(&format!("SELECT {copy} WHERE id = 7")),
        );
        assert_eq!(origin, copy);
    }
    for made in ["part", "land", "either"] {
        let shown = claude.text(&format!("SELECT {made} FROM copy WHERE id = 7"));
        assert!(shown.starts_with("[masked"), "{made}: {shown}");
    }
    assert_eq!(claude.text("SELECT amount FROM copy WHERE id = 1"), "8.70");
    // What the gateway has masked does not come back by it.
    let masked = claude.text("SELECT iban FROM copy WHERE id = 7");
    claude.refused(&format!("INSERT INTO copy (iban) VALUES ('{masked}')"), "masked");
}

#[test]
fn what_came_from_a_table_that_is_gone_stays_masked() {
    let arena = arena();
    let mut bo = Caller::new(&arena, "bo");
    let mut claude = Caller::new(&arena, "claude");
    bo.runs("CREATE TABLE people AS SELECT id, email FROM customers");
    bo.runs("CREATE TABLE heirs AS SELECT id, email AS x FROM people");
    bo.runs("DROP TABLE people");
    claude.hidden("SELECT reverse(x) FROM heirs");
    // By its own rule alone, with nothing else in between.
    arena.server.sql("shop", "CREATE TABLE people AS SELECT id, email FROM customers").unwrap();
    bo.runs("CREATE TABLE rest AS SELECT email AS y FROM people");
    bo.runs("DROP TABLE people");
    claude.hidden("SELECT reverse(y) FROM rest");
    bo.clear("SELECT y FROM rest");
    bo.runs("DROP TABLE heirs, rest");
}

#[test]
fn definitions_that_would_carry_values_out_of_their_column_are_refused() {
    let arena = arena();
    let mut claude = Caller::new(&arena, "claude");
    claude.does("CREATE TABLE held AS SELECT id, name, email FROM customers");
    for table in ["held", "customers"] {
        claude.refused(&format!("ALTER TABLE {table} ALTER name TYPE text USING email"), STAYS);
        claude.refused(
            &format!("ALTER TABLE {table} ALTER email TYPE text USING substr(email, 1, 3)"),
            STAYS,
        );
    }
    let mut bo = Caller::new(&arena, "bo");
    bo.runs("ALTER TABLE held ADD COLUMN made text GENERATED ALWAYS AS (reverse(email)) STORED");
    claude.soon_hidden("SELECT made FROM held");
    claude.refused("ALTER TABLE held ALTER made DROP EXPRESSION", STAYS);
    claude.hidden("SELECT made FROM held");
    claude.does("DROP TABLE held");
}

#[test]
fn labels_outlive_the_gateway() {
    let mut arena = start();
    let mut bo = Caller::new(&arena, "bo");
    bo.runs("CREATE TABLE kept AS SELECT id, reverse(email) AS x FROM customers");
    bo.runs("CREATE TABLE renamed AS SELECT id, email AS x FROM customers");
    bo.runs("BEGIN");
    bo.runs("CREATE TABLE never AS SELECT id, email AS x FROM customers");
    arena.kill_gateway().unwrap();
    drop(bo);
    arena
        .server
        .sql("shop", "ALTER TABLE renamed RENAME x TO y; ALTER TABLE renamed RENAME TO r")
        .unwrap();
    arena.start_gateway().unwrap();
    let mut claude = Caller::new(&arena, "claude");
    claude.hidden("SELECT x FROM kept");
    claude.hidden("SELECT reverse(y) FROM r");
    claude.does("CREATE TABLE heir AS SELECT y AS z FROM r");
    arena.stop_gateway();
    arena.start_gateway().unwrap();
    let mut claude = Caller::new(&arena, "claude");
    claude.hidden("SELECT reverse(z) FROM heir");
    let mut bo = Caller::new(&arena, "bo");
    bo.clear("SELECT z FROM heir");
}

#[test]
fn many_callers_at_once_make_and_read() {
    let arena = arena();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let arena = &arena;
            scope.spawn(move || {
                let mut claude = Caller::new(arena, "claude");
                for round in 0..6 {
                    claude.does("CREATE TEMP TABLE same AS SELECT email AS x, name FROM customers");
                    claude.hidden("SELECT reverse(x) FROM same");
                    let own = format!("own_{n}_{round}");
                    claude.does(&format!("CREATE TABLE {own} AS SELECT x FROM same"));
                    claude.hidden(&format!("SELECT reverse(x) FROM {own}"));
                    claude.does(&format!("DROP TABLE {own}"));
                    claude.does("DROP TABLE same");
                }
            });
        }
    });
}

/// A text of several messages in one pipeline.
fn in_a_pipeline(caller: &mut Caller, texts: &[&str]) -> Option<String> {
    let mut bytes = Vec::new();
    for text in texts {
        let one = parse_and_run(text);
        bytes.extend_from_slice(&one[..one.len() - 5]);
    }
    bytes.extend(message(b'S', b""));
    caller.client.send(&bytes).unwrap();
    let seen = caller.client.until(b'Z').unwrap();
    assert_eq!(caller.shown(&seen), None, "{texts:?}");
    error_of(&seen)
}

/// An update moves rows to another partition, which is there when the labelled one is not.
#[test]
fn rows_do_not_leave_a_labelled_partition() {
    let arena = arena();
    let mut bo = Caller::new(&arena, "bo");
    let mut claude = Caller::new(&arena, "claude");
    for table in ["first_part", "later_part"] {
        claude.does(&format!("CREATE TABLE {table} AS SELECT id, 1 AS part, email FROM customers"));
    }
    claude.does("CREATE TABLE parts (LIKE first_part) PARTITION BY LIST (part)");
    claude.does("CREATE TABLE other_part PARTITION OF parts FOR VALUES IN (2)");
    let attach = "ALTER TABLE parts ATTACH PARTITION later_part FOR VALUES IN (1)";
    let moves = "UPDATE parts SET part = 2 WHERE id < 9";
    // By one request, or by two.
    claude.refused(&format!("{attach}; UPDATE parts SET part = 2"), STAYS);
    assert!(in_a_pipeline(&mut claude, &[attach, "UPDATE parts SET part = 2"]).is_some());
    claude.does(attach);
    let renames = ["ALTER TABLE plain RENAME TO p2", "ALTER TABLE parts RENAME TO plain"];
    claude.refused(&format!("{}; {}; UPDATE plain SET id = 2", renames[0], renames[1]), STAYS);
    let update = "UPDATE plain SET id = 2";
    assert!(in_a_pipeline(&mut claude, &[renames[0], renames[1], update]).is_some());
    claude.hidden("SELECT reverse(email) FROM parts");
    claude.does("CREATE VIEW numbers AS SELECT id, part FROM parts");
    claude.does("CREATE TABLE keys AS SELECT 1 AS part");
    claude.does("ALTER TABLE keys ADD PRIMARY KEY (part)");
    claude.does("ALTER TABLE parts ADD FOREIGN KEY (part) REFERENCES keys ON UPDATE CASCADE");
    for sql in [
        moves,
        "UPDATE parts SET (id, part) = (id, part + 1)",
        "UPDATE numbers SET part = 2 WHERE id < 9",
        "UPDATE keys SET part = 2",
        "WITH moved AS (UPDATE parts SET part = 2 RETURNING id) SELECT count(*) FROM moved",
        "MERGE INTO parts p USING plain x ON true WHEN MATCHED THEN UPDATE SET part = 2",
        "EXPLAIN ANALYZE UPDATE parts SET part = 2",
    ] {
        claude.refused(sql, STAYS);
    }
    claude.does("UPDATE parts SET id = id + 1");
    claude.does("UPDATE later_part SET id = id - 1");
    claude.does("DROP TABLE keys CASCADE");
    claude.does("DROP TABLE later_part");
    claude.does("INSERT INTO parts VALUES (1, 2, 'words')");
    assert_eq!(claude.text("SELECT upper(email) FROM other_part"), "WORDS");
    // Where all partitions are masked alike, rows go where they like.
    claude.does("DROP TABLE other_part");
    claude.does("CREATE TABLE twin_part AS SELECT id, 2 AS part, email FROM customers");
    claude.does("ALTER TABLE parts ATTACH PARTITION first_part FOR VALUES IN (1)");
    claude.does("ALTER TABLE parts ATTACH PARTITION twin_part FOR VALUES IN (2)");
    claude.does("UPDATE parts SET part = 2");
    claude.does("DROP TABLE first_part");
    claude.hidden("SELECT reverse(email) FROM twin_part");
    bo.clear("SELECT email FROM parts");
    bo.runs("DROP TABLE parts CASCADE");
}

/// More partitions than a statement is traced to.
#[test]
fn a_labelled_partition_among_many_is_masked() {
    let arena = arena();
    let mut bo = Caller::new(&arena, "bo");
    let mut claude = Caller::new(&arena, "claude");
    bo.runs("CREATE TABLE wide (id int, part int, email text) PARTITION BY LIST (part)");
    let parts: String = (2..=70)
        .map(|n| format!("CREATE TABLE wide_{n} PARTITION OF wide FOR VALUES IN ({n});"))
        .collect();
    bo.runs(&parts);
    bo.runs("CREATE TABLE wide_1 AS SELECT id, 1 AS part, email::text FROM customers");
    bo.runs("ALTER TABLE wide ATTACH PARTITION wide_1 FOR VALUES IN (1)");
    for sql in ["SELECT email FROM wide", "SELECT * FROM wide", "SELECT reverse(email) FROM wide"] {
        claude.soon_hidden(sql);
    }
    claude.hidden("SELECT wide FROM wide");
    claude.refused("SELECT id FROM wide WHERE email LIKE 'a%'", "no-inference");
    claude.refused("UPDATE wide SET part = 2", STAYS);
    bo.runs("CREATE TABLE narrow AS SELECT id, email AS x FROM wide");
    bo.runs("DROP TABLE wide_1");
    claude.soon_hidden("SELECT reverse(x) FROM narrow");
    bo.runs("DROP TABLE wide, narrow");
}

/// What a materialised view is filled with again is masked like what it reads by then.
#[test]
fn a_view_that_is_filled_again_is_masked_by_what_it_reads_now() {
    let arena = arena();
    let mut bo = Caller::new(&arena, "bo");
    let mut claude = Caller::new(&arena, "claude");
    for round in ["one", "two", "three"] {
        claude.does("CREATE TABLE child AS SELECT id, email FROM customers");
        claude.does("CREATE TABLE parent (LIKE child)");
        claude.does("CREATE VIEW between AS SELECT id, email FROM parent");
        claude
            .does("CREATE MATERIALIZED VIEW filled2 AS SELECT id, upper(email) AS x FROM between");
        claude.does("CREATE MATERIALIZED VIEW filled3 AS SELECT email AS x, id FROM between");
        let inherit = "ALTER TABLE child INHERIT parent";
        let refresh = "REFRESH MATERIALIZED VIEW filled2";
        claude.refused(&format!("{inherit}; {refresh}"), STAYS);
        claude.refused(&format!("ALTER MATERIALIZED VIEW filled2 RENAME TO f; {refresh}"), STAYS);
        assert!(in_a_pipeline(&mut claude, &[inherit, refresh]).is_some());
        if round == "two" {
            claude.does("BEGIN");
        }
        claude.does(inherit);
        claude.refused(&format!("{refresh}; REFRESH MATERIALIZED VIEW filled3"), STAYS);
        if round == "two" {
            claude.ask("ROLLBACK");
            claude.does("BEGIN");
            claude.does(inherit);
        }
        let filler = if round == "three" { &mut bo } else { &mut claude };
        filler.runs(refresh);
        filler.runs("REFRESH MATERIALIZED VIEW filled3");
        if round == "three" {
            bo.clear("SELECT lower(x) FROM filled2");
        }
        claude.soon_hidden("SELECT lower(x) FROM filled2");
        claude.does("DROP TABLE child");
        if round == "two" {
            claude.does("COMMIT");
        }
        claude.hidden("SELECT lower(x) FROM filled2");
        claude.hidden("SELECT reverse(x) FROM filled3");
        claude.refused("SELECT id FROM filled3 WHERE x LIKE 'a%'", "no-inference");
        // What is labelled already is filled like any other, by whatever text.
        claude.does(&format!("{refresh}; REFRESH MATERIALIZED VIEW filled3"));
        claude.does("DROP TABLE parent CASCADE");
    }
}

/// Triggers with functions of the server, which nobody had to make.
#[test]
fn triggers_of_the_server_carry_nothing_out_of_its_column() {
    let arena = arena();
    let mut bo = Caller::new(&arena, "bo");
    let mut claude = Caller::new(&arena, "claude");
    let trigger = |table: &str, column: &str| {
        format!(
            "CREATE TRIGGER found BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW
             EXECUTE FUNCTION tsvector_update_trigger(found, 'pg_catalog.simple', {column})"
        )
    };
    let make = "CREATE TABLE words AS SELECT id, name, email, ''::tsvector AS found FROM customers";
    claude.does(make);
    claude.refused(&trigger("words", "email"), STAYS);
    claude.refused(&trigger("words", "name, email"), STAYS);
    claude.refused(&format!("{}; UPDATE words SET id = id", trigger("words", "email")), STAYS);
    let renamed = format!("ALTER TABLE words RENAME TO w; {}", trigger("w", "email"));
    claude.refused(&renamed, STAYS);
    bo.runs(&trigger("words", "email"));
    for sql in [
        "UPDATE words SET id = id",
        "INSERT INTO words (id) VALUES (1)",
        "INSERT INTO words (id) SELECT 1",
        "MERGE INTO words w USING plain x ON true WHEN MATCHED THEN UPDATE SET id = 2",
    ] {
        claude.refused(sql, STAYS);
    }
    claude.does("DELETE FROM words WHERE id = 3");
    bo.runs("DROP TRIGGER found ON words");
    claude.does(&trigger("words", "name"));
    claude.does("UPDATE words SET name = 'many words' WHERE id = 1");
    assert_eq!(claude.text("SELECT found FROM words WHERE id = 1"), "'many':1 'words':2");
    claude.does("DROP TABLE words");
    // One that says by how many rows it changed what a value was.
    claude.does("CREATE TABLE steady AS SELECT id, email FROM customers");
    claude.does(
        "CREATE TRIGGER z BEFORE UPDATE ON steady FOR EACH ROW
         EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    );
    claude.refused("UPDATE steady SET email = 'ana8@example.com'", "no-inference");
    claude.does("UPDATE steady SET id = 5 WHERE id = 5");
    claude.does("DROP TABLE steady");
}

/// Whether a definition can be made says as much as a condition.
#[test]
fn definitions_do_not_tell_what_values_are() {
    let arena = arena();
    let mut claude = Caller::new(&arena, "claude");
    claude.does("CREATE TABLE oracle AS SELECT id, name, email FROM customers");
    claude.does("CREATE TABLE by_email (LIKE oracle) PARTITION BY RANGE (email)");
    claude.does("CREATE TABLE by_id (LIKE oracle) PARTITION BY RANGE (id)");
    claude.does("CREATE DOMAIN early AS varchar CHECK (VALUE < 'm')");
    for table in ["oracle", "customers"] {
        for sql in [
            "CREATE UNIQUE INDEX ON {t} (email)",
            "CREATE UNIQUE INDEX ON {t} (left(email, 3))",
            "CREATE UNIQUE INDEX ON {t} ((1)) WHERE email < 'm'",
            "CREATE INDEX ON {t} ((1 / (length(email) - 20)))",
            "CREATE INDEX ON {t} (id) WHERE email::int > 3",
            "ALTER TABLE {t} ADD CHECK (email < 'm')",
            "ALTER TABLE {t} ADD CHECK (email < 'm') NOT VALID",
            "ALTER TABLE {t} ADD n int, ADD CHECK (n > 0 OR email < 'm')",
            "ALTER TABLE {t} ADD n int CHECK (email < 'm')",
            "ALTER TABLE {t} ADD UNIQUE (email)",
            "ALTER TABLE {t} ADD EXCLUDE USING hash (email WITH =)",
            "ALTER TABLE {t} ADD FOREIGN KEY (email) REFERENCES plain (x)",
            "ALTER TABLE {t} ALTER email TYPE varchar(20)",
            "ALTER TABLE {t} ALTER email TYPE early",
            "CREATE POLICY early ON {t} USING (email < 'm')",
            "CREATE STATISTICS early ON (1 / (length(email) - 20)), id FROM {t}",
            "CREATE TRIGGER early BEFORE UPDATE ON {t} FOR EACH ROW WHEN (old.email < 'm')
             EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "ALTER TABLE by_email ATTACH PARTITION {t} FOR VALUES FROM ('a') TO ('m')",
            "CLUSTER {t} USING {t}_email",
            "CLUSTER {t}",
            "ALTER TABLE {t} CLUSTER ON {t}_email",
            "CREATE TABLE guesses (guess varchar REFERENCES {t} (email))",
            "ALTER TABLE plain ADD guess varchar DEFAULT 'a' REFERENCES {t} (email)",
            "ALTER TABLE plain ADD n int; CREATE UNIQUE INDEX ON {t} (email)",
            "CREATE TABLE guesses (guess varchar);
             ALTER TABLE guesses ADD FOREIGN KEY (guess) REFERENCES {t} (email)",
            "CREATE TABLE guesses (guess int);
             CREATE POLICY early ON guesses USING ((SELECT email FROM {t} WHERE id = 1) < 'm')",
        ] {
            claude.refused(&sql.replace("{t}", table), "no-inference");
        }
    }
    claude.refused(
        "ALTER TABLE oracle RENAME email TO x; CREATE UNIQUE INDEX ON oracle (x)",
        "masked",
    );
    claude.refused(
        "CREATE TABLE p (LIKE oracle) PARTITION BY RANGE (email);
         ALTER TABLE p ATTACH PARTITION oracle FOR VALUES FROM ('a') TO ('m')",
        "masked",
    );
    claude.refused("CLUSTER", "masked-conditions");
    // Rows of tables that are made of a type are converted with it.
    claude.does("CREATE TABLE typed AS SELECT 1 AS n, email::varchar AS email FROM customers");
    claude.does("CREATE TYPE row_of_typed AS (n int, email varchar)");
    claude.does("ALTER TABLE typed OF row_of_typed");
    let convert = "ALTER TYPE row_of_typed ALTER ATTRIBUTE";
    claude.refused(&format!("{convert} email TYPE varchar(1) CASCADE"), "no-inference");
    claude.refused(
        &format!("COMMENT ON TYPE row_of_typed IS 'x'; {convert} email TYPE varchar(1) CASCADE"),
        "masked",
    );
    claude
        .does(&format!("{convert} n TYPE bigint CASCADE, ALTER ATTRIBUTE email TYPE text CASCADE"));
    claude.does("DROP TABLE typed; DROP TYPE row_of_typed");
    // Its key is masked, and no column is named.
    claude.does("CREATE TABLE keyed AS SELECT email FROM customers WHERE id < 10");
    arena.server.sql("shop", "ALTER TABLE keyed ADD PRIMARY KEY (email)").unwrap();
    claude.refused("CREATE TABLE guesses (guess varchar REFERENCES keyed)", "no-inference");
    claude.refused("ALTER TABLE plain ADD guess varchar REFERENCES keyed", "no-inference");
    // What says nothing of them, and what migrations send as one text.
    for sql in [
        "CREATE TABLE follows (customer int REFERENCES customers);
         ALTER TABLE follows ADD FOREIGN KEY (customer) REFERENCES customers",
        "ALTER TABLE follows ADD FOREIGN KEY (customer) REFERENCES customers",
        "DROP TABLE follows, keyed",
        "CREATE INDEX ON oracle (email)",
        "CREATE INDEX ON oracle (lower(email))",
        "CREATE UNIQUE INDEX ON oracle (id) WHERE email IS NOT NULL",
        "ALTER TABLE oracle ALTER email SET NOT NULL",
        "ALTER TABLE oracle ALTER email TYPE varchar",
        "ALTER TABLE oracle ADD n int UNIQUE CHECK (n > 0), ADD UNIQUE (id, n)",
        "ALTER TABLE oracle ALTER email TYPE text, DROP n",
        "CREATE TABLE made_now (id int PRIMARY KEY, email text, up int REFERENCES made_now (id));
         INSERT INTO made_now VALUES (1, 'a', NULL), (2, 'b', 1);
         CREATE UNIQUE INDEX ON made_now (lower(email));
         ALTER TABLE made_now ADD n int;
         ALTER TABLE made_now ADD CHECK (n > 0 OR email <> '');
         CREATE INDEX ON made_now (email) WHERE n > 3;
         UPDATE made_now SET n = 2",
        "ALTER TABLE by_id ATTACH PARTITION oracle FOR VALUES FROM (0) TO (1000000)",
        "DROP TABLE by_id, by_email, made_now",
        "DROP DOMAIN early",
    ] {
        claude.does(sql);
    }
}

/// What was asked of a table before a labelled one becomes its child or partition is asked of that
/// one's rows too, by somebody who made it when there was nothing to hide.
#[test]
fn what_was_asked_before_is_not_asked_of_labelled_rows() {
    let arena = arena();
    let mut claude = Caller::new(&arena, "claude");
    claude.does("CREATE TABLE late AS SELECT 1 AS id, email FROM customers WHERE id < 5");
    claude.does("CREATE TABLE known_mails (email text PRIMARY KEY)");
    let inherit = "ALTER TABLE late INHERIT early";
    let attach = "ALTER TABLE early ATTACH PARTITION late FOR VALUES IN (1)";
    let plain = "CREATE TABLE early (id int, email text)";
    let parted = "CREATE TABLE early (id int, email text) PARTITION BY LIST (id)";
    let all = [
        (plain, "CREATE VIEW asks AS SELECT id FROM early WHERE email LIKE 'b%'", inherit),
        (plain, "CREATE VIEW asks AS SELECT 1 / (length(email) - 15) AS x FROM early", inherit),
        (parted, "CREATE VIEW asks AS SELECT id FROM early WHERE email LIKE 'b%'", attach),
        (plain, "CREATE MATERIALIZED VIEW asks AS SELECT DISTINCT email FROM early", inherit),
        (plain, "CREATE POLICY asks ON early USING (email LIKE 'b%')", inherit),
        (plain, "CREATE STATISTICS asks ON (1 / (length(email) - 15)), id FROM early", inherit),
        (parted, "ALTER TABLE early ADD UNIQUE (id, email)", attach),
        (parted, "CREATE INDEX ON early ((1 / (length(email) - 15)))", attach),
        (parted, "ALTER TABLE early ADD FOREIGN KEY (email) REFERENCES known_mails", attach),
        (
            parted,
            "CREATE TRIGGER asks BEFORE UPDATE ON early FOR EACH ROW WHEN (old.email LIKE 'b%')
             EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            attach,
        ),
    ];
    for (n, (table, asks, joins)) in all.into_iter().enumerate() {
        // Of expressions they are made from version 14 on.
        if asks.starts_with("CREATE STATISTICS") && arena.server.version() < 14 {
            continue;
        }
        // What is refused again and again is answered later.
        let own = |sql: &str| sql.replace("early", &format!("early{n}"));
        claude.does(&own(table));
        claude.does(&own(asks));
        claude.refused(&own(joins), "no-inference");
        claude.does(&own("DROP TABLE early CASCADE"));
    }
    // Through other views, and what is kept of them.
    claude.does(plain);
    claude.does("CREATE VIEW between2 AS SELECT email AS x FROM early");
    claude.does("CREATE MATERIALIZED VIEW kept2 AS SELECT x FROM between2");
    claude.does("CREATE UNIQUE INDEX ON kept2 (x)");
    claude.refused(inherit, "no-inference");
    claude.does("DROP MATERIALIZED VIEW kept2");
    claude.does("CREATE TABLE eldest (id int, email text)");
    claude.does("CREATE VIEW asks AS SELECT id FROM eldest WHERE email LIKE 'b%'");
    claude.does("ALTER TABLE early INHERIT eldest");
    claude.refused(inherit, "no-inference");
    claude.does("DROP VIEW asks");
    // In one text with what it asks.
    claude.refused(
        &format!("CREATE VIEW asks AS SELECT id FROM early WHERE email LIKE 'b%'; {inherit}"),
        "masked",
    );
    // Nothing is asked of the address.
    claude.does("CREATE VIEW asks AS SELECT id FROM early WHERE id > 3");
    claude.does(inherit);
    claude.hidden("SELECT x FROM between2");
    claude.does("DROP TABLE eldest, early, late CASCADE");
}

/// Masking by rule goes by names: what a rule masks keeps a name under which it is masked likewise.
#[test]
fn no_new_name_unmasks() {
    let arena = arena();
    let mut claude = Caller::new(&arena, "claude");
    let mut bo = Caller::new(&arena, "bo");
    let own =
        "CREATE SCHEMA own; CREATE TABLE own.mail AS SELECT id, email AS address FROM customers;
         CREATE TYPE typed_people AS (id int, mailed text); CREATE TABLE typed_one OF typed_people;
         INSERT INTO typed_one SELECT id, email FROM customers";
    arena.server.sql("shop", own).unwrap();
    // The next reading has them.
    claude.does("CREATE TABLE noise_of_names (i int); DROP TABLE noise_of_names");
    claude.hidden("SELECT reverse(address), address FROM own.mail");
    claude.hidden("SELECT reverse(mailed), mailed FROM typed_one");
    for sql in [
        "ALTER TABLE own.mail RENAME address TO x",
        "ALTER TABLE own.mail RENAME TO post",
        "ALTER INDEX own.mail RENAME TO post",
        "ALTER VIEW own.mail RENAME TO post",
        "ALTER TABLE own.mail SET SCHEMA other",
        "ALTER SCHEMA own RENAME TO owned",
        "ALTER TYPE typed_people RENAME ATTRIBUTE mailed TO x CASCADE",
        "ALTER TABLE customers RENAME email TO x",
        "ALTER TABLE customers RENAME TO x",
        "CREATE TABLE noise_of_names (i int); ALTER TABLE own.mail RENAME address TO x",
        "ALTER TABLE plain RENAME TO p; ALTER TABLE own.mail RENAME TO post",
        "ALTER TABLE plain RENAME TO p; ALTER TABLE p RENAME x TO y",
        "ALTER TABLE own.mail RENAME id TO n; ALTER TABLE own.mail RENAME TO post",
    ] {
        claude.refused(sql, STAYS);
    }
    // What is masked likewise, or not at all, or by its label.
    claude.does("ALTER TABLE own.mail RENAME id TO n; ALTER TABLE own.mail RENAME n TO id");
    claude.does("ALTER TABLE own.mail RENAME address TO other_address");
    claude.hidden("SELECT reverse(other_address), other_address FROM own.mail");
    claude.does("ALTER TYPE typed_people RENAME ATTRIBUTE id TO n CASCADE");
    claude.does("CREATE TABLE own.kept AS SELECT other_address AS address FROM own.mail");
    claude.does("ALTER TABLE own.kept RENAME address TO x; ALTER TABLE own.mail RENAME id TO m");
    claude.hidden("SELECT reverse(x), x FROM own.kept");
    claude.does(
        "CREATE TABLE plain2 (a int, b int, c text); ALTER TABLE plain2 RENAME a TO x;
         ALTER TABLE plain2 RENAME b TO y; ALTER TABLE plain2 RENAME TO plain3; DROP TABLE plain3",
    );
    claude.does("CREATE TABLE swaps (i int); CREATE INDEX first_of ON swaps (i)");
    claude.does("ALTER INDEX first_of RENAME TO second_of; ALTER TABLE swaps RENAME TO swapped");
    claude.does("ALTER TABLE swapped SET SCHEMA other; DROP TABLE other.swapped");
    // Whoever may see it may name it.
    bo.runs("ALTER TABLE own.mail RENAME other_address TO address");
    bo.runs("DROP SCHEMA own CASCADE; DROP TABLE typed_one; DROP TYPE typed_people");
}

/// A row that does not hold is told with its values.
#[test]
fn what_is_validated_shows_no_row() {
    let arena = arena();
    let mut claude = Caller::new(&arena, "claude");
    claude.does("CREATE TABLE unchecked AS SELECT id, email FROM customers");
    let held = "CREATE TABLE none (email varchar PRIMARY KEY);
         ALTER TABLE unchecked ADD CONSTRAINT held FOREIGN KEY (email) REFERENCES none NOT VALID";
    arena.server.sql("shop", held).unwrap();
    claude.refused("ALTER TABLE unchecked VALIDATE CONSTRAINT held", "23503");
    arena.server.sql("shop", "DROP TABLE unchecked, none").unwrap();
}

/// A text that is too long for a column fails to be put there.
#[test]
fn no_labelled_column_takes_only_some_texts() {
    let arena = arena();
    let mut claude = Caller::new(&arena, "claude");
    claude.does("CREATE TABLE tight AS SELECT email::varchar(1) AS e FROM customers WITH NO DATA");
    claude.refused("INSERT INTO tight SELECT email FROM customers WHERE id = 1", "masked");
    claude.refused(
        "INSERT INTO tight SELECT 'x' || btrim(left(email, 1), 'b') FROM customers",
        "no-inference",
    );
    claude.does(
        "CREATE TABLE roomy AS SELECT email AS e, upper(email) AS u FROM customers WITH NO DATA",
    );
    claude.does("INSERT INTO roomy SELECT email, upper(email) FROM customers");
    claude.hidden("SELECT * FROM roomy");
    claude.does("DROP TABLE tight, roomy");
}

/// Whether a value that an expression made is NULL says what the expression asked, also where it was
/// put into a table.
#[test]
fn null_of_what_was_made_tells_nothing() {
    let arena = arena();
    let view = "CREATE VIEW banded AS
         SELECT id, email, CASE WHEN email LIKE 'nobody%' THEN 'high' END AS band FROM customers";
    arena.server.sql("shop", view).unwrap();
    let mut claude = Caller::new(&arena, "claude");
    claude.comes_to("SELECT count(*) > 0 FROM banded", "t");
    claude.does("CREATE TEMP TABLE bands AS SELECT id, email, band FROM banded");
    for from in ["bands", "(SELECT * FROM bands) s", "bands JOIN plain USING (id)"] {
        claude.refused(&format!("SELECT id FROM {from} WHERE band IS NULL"), "no-inference");
        claude.refused(&format!("SELECT count(band) FROM {from}"), "no-inference");
        claude
            .refused(&format!("SELECT coalesce(band, (1 / id)::text) FROM {from}"), "no-inference");
        // What stands there as it is may be asked after.
        claude.does(&format!("SELECT count(email) FROM {from} WHERE email IS NULL"));
    }
    assert_eq!(claude.text("SELECT band FROM bands"), "[masked]");
    claude.does("DROP TABLE bands");
    arena.server.sql("shop", "DROP VIEW banded").unwrap();
}

/// Credentials among the settings of the server are sensitive where the gateway's role can see them.
#[test]
fn credentials_of_the_server_are_not_shown() {
    let arena = arena();
    let mut claude = Caller::new(&arena, "claude");
    for sql in [
        "SHOW primary_conninfo",
        "SHOW ALL",
        "SELECT current_setting('primary_conninfo')",
        "SELECT setting FROM pg_settings WHERE name = 'primary_conninfo'",
        "SELECT reverse(setting) FROM pg_settings WHERE name = 'primary_conninfo'",
        "SELECT name, current_setting(name) FROM pg_settings",
        "SELECT (s).setting FROM (SELECT pg_show_all_settings() AS s) x",
    ] {
        let told = |text: &str| {
            ["hunter2secret", "terces2retnuh"].iter().any(|secret| text.contains(secret))
        };
        assert!(told(&arena.truth(sql).unwrap()), "{sql}");
        let shown: String = claude.ask(sql).iter().map(Message::shown).collect();
        assert!(!told(&shown), "{sql}");
    }
    assert_eq!(claude.text("SHOW work_mem"), "4MB");
    assert_eq!(claude.text("SELECT current_setting('work_mem')"), "4MB");
}

/// Names of columns are rows of the server's catalog.
#[test]
fn no_row_of_the_catalog_is_written() {
    let arena = arena();
    let mut claude = Caller::new(&arena, "claude");
    for sql in [
        "UPDATE pg_attribute SET attname = 'zz' WHERE attrelid = 'customers'::regclass AND attname = 'email'",
        "UPDATE pg_class SET relname = 'zz' WHERE oid = 'customers'::regclass",
        "INSERT INTO pg_inherits VALUES ('customers'::regclass, 'plain'::regclass, 1, false)",
        "DELETE FROM pg_rewrite WHERE ev_class = 0",
    ] {
        claude.refused(sql, "masked-stays-masked");
    }
}
