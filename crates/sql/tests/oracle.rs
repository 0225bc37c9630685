//! Facts against the real server: its catalog loads, and every name means what the server says.

#[cfg(test)]
mod common;

#[cfg(test)]
mod compare;
#[cfg(test)]
mod server;

use portcullis_sql::catalog::Catalog;
use server::Server;

/// Volatile functions of the server that are taken for code of unknown reach, which the default
/// policy refuses: handlers and triggers, which nobody calls, what only extensions' scripts and
/// `initdb` call, and what runs a query or cursor that its arguments name. Every other one is
/// decided in `facts/functions.rs`, as each of a new version has to be.
const UNKNOWN: &[&str] = &[
    "bernoulli",
    "brinhandler",
    "bthandler",
    "cursor_to_xml",
    "cursor_to_xmlschema",
    "dsnowball_init",
    "dsnowball_lexize",
    "ginhandler",
    "gisthandler",
    "hashhandler",
    "heap_tableam_handler",
    "pg_extension_config_dump",
    "pg_nextoid",
    "pg_stop_making_pinned_objects",
    "plpgsql_call_handler",
    "plpgsql_inline_handler",
    "plpgsql_validator",
    "query_to_xml",
    "query_to_xml_and_xmlschema",
    "query_to_xmlschema",
    "spghandler",
    "suppress_redundant_updates_trigger",
    "system",
    "ts_rewrite",
    "ts_stat",
    "tsvector_update_trigger",
    "tsvector_update_trigger_column",
    "unique_key_recheck",
];

/// Every volatile function of the server does what is known, or is unknown on purpose.
fn decided(rows: &common::Rows, catalog: &Catalog) {
    let volatile = rows[7].iter().filter(|row| row[1].as_deref() == Some("t"));
    let names = volatile.filter_map(|row| row[0].as_deref());
    let open = names.filter(|name| {
        let facts = common::facts(&format!("SELECT pg_catalog.{name}()"), catalog);
        facts.contains(&format!("execute routine:pg_catalog.{name} unknown?"))
    });
    let undecided: Vec<&str> = open.filter(|name| !UNKNOWN.contains(name)).collect();
    assert!(undecided.is_empty(), "decide on these: {undecided:?}");
}

/// Functions that give rows and stand in definitions of the server's views, but show nothing of it: they
/// take apart what they are given.
const TAKE_APART: &[&str] = &["_pg_expandarray", "aclexplode", "pg_options_to_table", "unnest"];

/// Every function that gives rows behind a view of the server, and every one about single sessions, is
/// read as a view is: the names, and those of the views whose definitions name them.
const BEHIND_VIEWS: &str = "WITH f AS (SELECT DISTINCT proname FROM pg_catalog.pg_proc \
       WHERE pronamespace = 'pg_catalog'::regnamespace AND (proretset \
         OR proname IN ('pg_stat_get_wal', 'pg_stat_get_archiver', 'pg_stat_get_wal_receiver') \
         OR proname ~ '^pg_stat_get_backend_')), \
     v AS (SELECT c.relname, pg_catalog.pg_get_viewdef(c.oid) AS text FROM pg_catalog.pg_class c \
       WHERE c.relkind = 'v' AND c.relnamespace = 'pg_catalog'::regnamespace) \
     SELECT pg_catalog.string_agg(x, ';') FROM (SELECT f.proname || ' ' || COALESCE(pg_catalog.string_agg(v.relname, ',' ORDER BY 1), \
       'pg_stat_activity') AS x \
     FROM f LEFT JOIN v ON v.text ~ ('\\m' || f.proname || '\\(') \
     GROUP BY f.proname HAVING count(v.relname) > 0 OR f.proname ~ '^pg_stat_get_backend_') t";

/// Functions behind the server's views claim that one of those is read.
fn stand_for_views(server: &Server, catalog: &Catalog) {
    let all = server.psql("shop", BEHIND_VIEWS);
    let pairs = all.split(';').filter_map(|pair| pair.trim().split_once(' '));
    let pairs: Vec<_> = pairs.filter(|(name, _)| !TAKE_APART.contains(name)).collect();
    assert!(pairs.len() > 15, "{all}");
    let silent = pairs.iter().filter(|(name, views)| {
        let facts = common::facts(&format!("SELECT pg_catalog.{name}()"), catalog);
        !views.split(',').any(|view| facts.contains(&format!("read pg_catalog.{view}")))
    });
    let silent: Vec<_> = silent.collect();
    assert!(silent.is_empty(), "nothing is read by these: {silent:?}");
}

/// With `PORTCULLIS_BLESS` set, also writes the file that the other tests read.
#[test]
fn the_real_catalog_loads_and_means_the_same() {
    let server = Server::start();
    server.psql("postgres", "CREATE DATABASE shop");
    // PostgreSQL 13 has no statistics on expressions.
    let old = server.psql("shop", "SHOW server_version_num").starts_with("13");
    let shop = include_str!("data/shop.sql").lines();
    let known = shop.filter(|line| !(old && line.starts_with("CREATE STATISTICS")));
    server.psql("shop", &known.collect::<Vec<_>>().join("\n"));
    let rows = server.rows("shop");
    if std::env::var_os("PORTCULLIS_BLESS").is_some() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/shop-catalog.tsv");
        std::fs::write(file, common::dump(&rows)).unwrap();
    }
    let catalog = Catalog::from_rows("shop", &rows).unwrap();
    assert!(catalog.server_version() >= 130_000);
    assert!(catalog.relations().count() > 100);
    common::check(&catalog);
    decided(&rows, &catalog);
    stand_for_views(&server, &catalog);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (described, ran) = runtime.block_on(compare::compare(&server, &catalog));
    assert!(described > 100 && ran > 100, "{described} described, {ran} ran");
    // With casts of users, and a range of what they make, every query has something to say.
    server.psql(
        "shop",
        "CREATE TYPE boxed AS (n int);
         CREATE FUNCTION unbox(boxed) RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE CAST (boxed AS int) WITH FUNCTION unbox(boxed) AS IMPLICIT;
         CREATE TYPE boxes AS RANGE (subtype = boxed);
         CREATE FUNCTION twice(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 2 * $1';
         CREATE TABLE doubled (n int, m int GENERATED ALWAYS AS (twice(n)) STORED);",
    );
    let catalog = Catalog::from_rows("shop", &server.rows("shop")).unwrap();
    let casts = catalog.implicit_casts();
    assert!(["boxed", "boxes"].iter().all(|name| casts.iter().any(|c| &*c.name == *name)));
    let facts = common::facts("INSERT INTO doubled VALUES (1)", &catalog);
    assert!(facts.contains("execute routine:public.twice"), "{facts}");
    unnamed(&server);
}

/// Functions of the server where no text names them.
fn unnamed(server: &Server) {
    server.psql(
        "shop",
        "CREATE SEQUENCE un_stepped;
         CREATE TABLE un_looked (id int);
         ALTER TABLE un_looked ENABLE ROW LEVEL SECURITY;
         CREATE POLICY p ON un_looked USING (nextval('un_stepped') > 0);
         CREATE TABLE un_owned (id int);
         ALTER TABLE un_owned ENABLE ROW LEVEL SECURITY;
         CREATE POLICY p ON un_owned USING (current_setting('app.tenant', true) = id::text);
         CREATE DOMAIN un_telling AS int CHECK (pg_notify('ch', VALUE::text)::text IS NOT NULL);
         CREATE DOMAIN un_ordinary AS bigint CHECK (VALUE > random());
         CREATE TABLE un_kept (id int, object oid DEFAULT lo_creat(-1));
         CREATE TABLE un_made (id bigserial, at timestamptz DEFAULT clock_timestamp(),
                            by float8 DEFAULT random(), key uuid DEFAULT gen_random_uuid());
         CREATE TABLE un_redundant (id int);
         CREATE TRIGGER same BEFORE DELETE ON un_redundant FOR EACH ROW
           WHEN (nextval('un_stepped') > 0) EXECUTE FUNCTION suppress_redundant_updates_trigger();
         CREATE CAST (text AS bytea) WITH FUNCTION pg_read_binary_file(text);",
    );
    let catalog = Catalog::from_rows("shop", &server.rows("shop")).unwrap();
    for (sql, expected) in [
        ("SELECT id FROM un_looked", "update sequence:"),
        ("SELECT 5::un_telling", "execute type:"),
        ("INSERT INTO un_kept (id) VALUES (1)", "create large-object:"),
        ("DELETE FROM un_redundant", "update sequence:"),
        ("SELECT 'x'::text::bytea", "execute type:"),
    ] {
        let facts = common::facts(sql, &catalog);
        assert!(facts.contains(expected), "{sql}: {facts}");
    }
    for sql in
        ["SELECT id FROM un_owned", "INSERT INTO un_made DEFAULT VALUES", "SELECT 5::un_ordinary"]
    {
        let facts = common::facts(sql, &catalog);
        assert!(!facts.contains("execute") && !facts.contains("sequence:"), "{sql}: {facts}");
    }
}
