//! What statements come out as.

#[cfg(test)]
mod common;

use portcullis_sql::shape::is_general;
use portcullis_sql::{Limits, analyse};

#[test]
fn statements_have_these_facts() {
    let catalog = common::shop();
    common::check(&catalog);
}

/// What comes to hang on known names, or stands in for them, is told from what only adds to them.
#[test]
fn definitions_that_disturb_known_names_are_told() {
    let catalog = common::shop();
    let disturbs = |sql: &str| {
        let analysis = common::with_stack(|| analyse(sql, &catalog, &Limits::default())).unwrap();
        analysis.statements.iter().any(|statement| statement.disturbs)
    };
    for sql in [
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER FUNCTION f() STABLE",
        "CREATE TRIGGER t BEFORE INSERT ON orders EXECUTE FUNCTION on_product()",
        "CREATE RULE r AS ON INSERT TO orders DO INSTEAD DELETE FROM customers",
        "CREATE POLICY p ON orders USING (true)",
        "ALTER TABLE orders ALTER total SET DEFAULT f()",
        "ALTER TABLE orders ENABLE TRIGGER t",
        "ALTER TABLE orders INHERIT customers",
        "ALTER TABLE orders RENAME TO others",
        "ALTER TABLE orders SET SCHEMA other",
        "ALTER SCHEMA public RENAME TO other",
        "CREATE SCHEMA s CREATE TABLE t (a int) CREATE VIEW v AS SELECT 1",
        "CREATE CAST (text AS int) WITH INOUT AS IMPLICIT",
        "CREATE OPERATOR = (LEFTARG = text, RIGHTARG = int, FUNCTION = f)",
        "CREATE EXTENSION citext",
        "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()",
        "CREATE DOMAIN d AS text CHECK (f() = 1)",
        "CREATE TABLE t (a int DEFAULT f())",
        "CREATE TABLE t (a int DEFAULT lo_import('x')::int)",
        "CREATE TABLE t (a checked)",
        "CREATE TABLE t (a int CHECK (app.check_it(a::text)))",
        "CREATE TABLE t (a text CHECK (a === 'x'))",
        "CREATE TABLE t (LIKE orders INCLUDING ALL)",
        "CREATE TABLE t () INHERITS (orders)",
        "CREATE TABLE t PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
        "CREATE TABLE t (a int, EXCLUDE USING gist (a WITH =))",
        "CREATE TEMP TABLE t AS SELECT 1",
        "SELECT 1 INTO t",
        "CREATE VIEW v AS SELECT 1",
        "CREATE INDEX ON orders (app.check_it(note))",
        "ALTER TABLE orders ADD COLUMN a checked",
        "ALTER TABLE audit ADD FOREIGN KEY (id) REFERENCES orders ON DELETE CASCADE",
        "CREATE STATISTICS s ON id, note FROM orders",
        "CREATE TABLE t (a int, CHECK (t.f))",
        "CREATE TABLE t (a int CHECK (a BETWEEN 1 AND 2))",
        "ALTER EVENT TRIGGER e ENABLE",
        "DO 'BEGIN END'",
        "CALL p()",
    ] {
        assert!(disturbs(sql), "{sql}");
    }
    for sql in [
        "SELECT * FROM orders",
        "SELECT f()",
        "INSERT INTO orders DEFAULT VALUES",
        "CREATE TABLE t (a int DEFAULT 1)",
        "CREATE TABLE t (id serial PRIMARY KEY, a numeric(9, 2) NOT NULL CHECK (a > 0), at timestamptz DEFAULT now(), \
         o int REFERENCES orders, u uuid UNIQUE DEFAULT gen_random_uuid(), b varchar(9)[] DEFAULT '{}')",
        "CREATE INDEX ON orders (id)",
        "CREATE UNIQUE INDEX CONCURRENTLY i ON orders (lower(note)) WHERE id > 1",
        "ALTER TABLE orders ADD COLUMN a int DEFAULT 1, DROP COLUMN total",
        "ALTER TABLE orders ADD UNIQUE (note), ADD FOREIGN KEY (id) REFERENCES orders, ALTER note DROP DEFAULT",
        "ALTER TABLE orders ALTER note SET DEFAULT 'none'",
        "DROP FUNCTION f()",
        "DROP TABLE orders",
        "COMMENT ON TABLE orders IS 'x'",
        "GRANT SELECT ON orders TO a",
        "REFRESH MATERIALIZED VIEW v",
        "SET search_path = a",
        "BEGIN",
    ] {
        assert!(!disturbs(sql), "{sql}");
    }
}

/// What may change how texts are read: to something else, or to nobody knows what.
#[test]
fn changes_of_how_texts_are_read_are_told() {
    let catalog = common::shop();
    let told = |sql: &str| {
        let analysis = common::with_stack(|| analyse(sql, &catalog, &Limits::default())).unwrap();
        let unspoken = analysis.statements.iter().any(|statement| statement.unspoken.is_some());
        (unspoken, analysis.statements.iter().any(|statement| statement.respeaks))
    };
    for sql in [
        "SET standard_conforming_strings = off",
        "SET LOCAL standard_conforming_strings = off",
        "SET client_encoding = 'SJIS'",
        "SELECT set_config('Standard_Conforming_Strings', $1, false)",
        "PREPARE p AS SELECT set_config('standard_conforming_strings', 'off', false)",
        "DECLARE c CURSOR FOR SELECT set_config('client_encoding', 'SJIS', false)",
        "EXPLAIN ANALYZE SELECT set_config('standard_conforming_strings', 'off', false)",
    ] {
        assert!(told(sql).0, "{sql}");
    }
    for sql in [
        "SELECT set_config($1, $2, false)",
        "SELECT set_config(setting_name => 'jit', new_value => 'x', is_local => false)",
        "SELECT set_config(name, 'off', false) FROM pg_settings WHERE name = 'jit'",
        "UPDATE pg_settings SET setting = 'off' WHERE name = 'jit'",
        "DO ''",
        "COMMIT",
    ] {
        assert_eq!(told(sql), (false, true), "{sql}");
    }
    for sql in [
        "SELECT set_config('jit', $1, false)",
        "SET standard_conforming_strings = on",
        "RESET ALL",
        "DISCARD ALL",
        "ROLLBACK TO s",
        "INSERT INTO orders VALUES (1)",
    ] {
        assert_eq!(told(sql), (false, false), "{sql}");
    }
}

/// Queries of one shape have the same facts.
#[test]
fn numbers_make_no_difference_to_a_query() {
    let catalog = common::shop();
    let mut compared = 0;
    for (sql, expected) in common::cases::CASES {
        let Some(shape) = portcullis_sql::shape::shape(sql) else { continue };
        let Ok(analysis) = common::with_stack(|| analyse(sql, &catalog, &Limits::default())) else {
            continue;
        };
        if !is_general(&analysis) {
            continue;
        }
        assert_eq!(common::facts(&shape, &catalog), *expected, "{sql}");
        compared += 1;
    }
    assert!(compared > 100, "{compared} queries have a shape");
}
