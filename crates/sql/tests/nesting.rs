//! Deep texts end in facts or in an error, never in the end of the process.

#[cfg(test)]
mod common;

use portcullis_sql::statement::Unreadable;
use portcullis_sql::{Limits, analyse};

/// Thirteen ways to nest, each to the given depth.
fn shapes(depth: usize) -> Vec<(&'static str, String)> {
    let wrap = |open: &str, core: &str, close: &str| {
        format!("{}{core}{}", open.repeat(depth), close.repeat(depth))
    };
    let with = |i: usize| format!("WITH c{i} AS (");
    vec![
        ("parentheses", format!("SELECT {}", wrap("(", "1", ")"))),
        ("sum", format!("SELECT 1{}", "+1".repeat(depth))),
        ("not", format!("SELECT {}true", "NOT ".repeat(depth))),
        ("minus", format!("SELECT {}1", "- ".repeat(depth))),
        ("subselect", wrap("SELECT (", "SELECT 1", ")")),
        ("from", format!("{} s", wrap("SELECT * FROM (", "SELECT 1", ")"))),
        ("calls", format!("SELECT {}", wrap("abs(", "1", ")"))),
        ("array", format!("SELECT {}", wrap("ARRAY[", "1", "]"))),
        ("union", format!("SELECT 1{}", " UNION SELECT 1".repeat(depth))),
        ("case", format!("SELECT {}", wrap("CASE WHEN true THEN ", "1", " END"))),
        ("join", format!("SELECT 1 FROM customers{}", " JOIN customers ON true".repeat(depth))),
        ("cast", format!("SELECT 1{}", "::int".repeat(depth))),
        (
            "with",
            format!(
                "{}SELECT 1{}",
                (0..depth).map(with).collect::<String>(),
                ") SELECT 1".repeat(depth)
            ),
        ),
    ]
}

#[test]
fn no_depth_ends_the_process() {
    let catalog = common::shop();
    let limits = Limits::default();
    for depth in [10, 50, 200, 450, 1_000, 2_000, 5_000, 20_000, 80_000] {
        for (name, sql) in shapes(depth) {
            let sql = sql.get(..limits.text).unwrap_or(&sql).to_owned();
            let result = common::with_stack(|| analyse(&sql, &catalog, &limits));
            // What people write goes through; what nobody does may not.
            if depth <= 50 {
                assert!(result.is_ok(), "{name} at {depth}: {result:?}");
            } else if let Err(error) = result {
                let expected =
                    matches!(error, Unreadable::Syntax { .. } | Unreadable::TooLarge { .. });
                assert!(expected, "{name} at {depth}: {error}");
            }
        }
    }
}

#[test]
fn a_small_text_cannot_ask_for_much() {
    let catalog = common::shop();
    let doubling: String = (1..40)
        .map(|i| format!(", c{i} AS (SELECT a.*, b.* FROM c{} a, c{} b)", i - 1, i - 1))
        .collect();
    let recursive = "WITH RECURSIVE t AS (SELECT 1 UNION ".repeat(40)
        + "SELECT 1"
        + &" UNION SELECT 1) SELECT 1 FROM t".repeat(40);
    for sql in
        [format!("WITH c0 AS (SELECT * FROM customers){doubling} SELECT * FROM c39"), recursive]
    {
        let started = std::time::Instant::now();
        let _ = common::with_stack(|| analyse(&sql, &catalog, &Limits::default()));
        assert!(started.elapsed().as_secs() < 20);
    }
}

#[test]
fn columns_that_a_text_adds_count_each_time_they_are_in_sight() {
    let catalog = common::shop();
    let analysed = |text: &str| {
        common::with_stack(|| analyse(text, &catalog, &Limits::default())).map(|read| {
            assert!(read.statements.iter().all(|s| s.kind.as_ref() == "alter table"));
        })
    };
    let added = |count: usize| {
        let columns: Vec<String> = (0..count).map(|n| format!("ADD a{n} int")).collect();
        format!("ALTER TABLE notes {}", columns.join(","))
    };
    let limit = Limits::default().work;
    let again = format!("{}{}", added(20_000), ";ALTER TABLE notes ADD x int".repeat(4_000));
    let refused = Err(Unreadable::TooLarge { what: "analysis work", limit });
    assert_eq!(analysed(&again), refused);
    // A migration is far from it.
    let usual = format!("{}{}", added(100), ";ALTER TABLE notes ADD x int".repeat(1_000));
    assert_eq!(analysed(&usual), Ok(()));
}

#[test]
fn limits_hold() {
    let catalog = common::shop();
    let limits = Limits { text: 100, statements: 2, depth: 20, ..Limits::default() };
    let error = |sql: &str| common::with_stack(|| analyse(sql, &catalog, &limits)).unwrap_err();
    let too_large = |what: &'static str, limit| Unreadable::TooLarge { what, limit };
    assert_eq!(error(&" ".repeat(101)), too_large("statement text", 100));
    assert_eq!(error("SELECT 1; SELECT 2; SELECT 3"), too_large("number of statements", 2));
    assert_eq!(error(&format!("SELECT {}1", "+ ".repeat(30))), too_large("nesting depth", 20));
    assert_eq!(error("SELECT '\0'"), Unreadable::Encoding);
    assert!(matches!(error("SELEC 1"), Unreadable::Syntax { .. }));
}

/// A text of the longest kind, of as many `part` as fit in.
fn filled(head: &str, part: &str, tail: &str) -> String {
    let room = Limits::default().text - head.len() - tail.len();
    format!("{head}{}{tail}", part.repeat(room / part.len()))
}

/// The trees of each of these would take between 180 and 500 MiB.
#[test]
fn a_text_whose_tree_would_be_huge_is_not_parsed() {
    let catalog = common::shop();
    for text in [
        filled("select *", ",*", " from customers"),
        filled("select id", ",id", " from customers"),
        filled("select c.*", ",c.*", " from customers c"),
        filled("select 1", ",1", ""),
        filled("values (1)", ",(1)", ""),
        filled("select f(", "f(),", "1)"),
        filled("insert into customers values (1)", ",(1)", ""),
        filled("select 1 from customers where name", " and name", ""),
    ] {
        let error = common::with_stack(|| analyse(&text, &catalog, &Limits::default()));
        let told = matches!(&error, Err(Unreadable::TooLarge { what, .. })
            if what.starts_with("number of names and values"));
        assert!(told, "{:.40}: {:?}", text, error.map(drop));
    }
    // What is long for good reasons is read.
    let rows = filled("insert into products (id, name) values (1, 'x')", ",(4711,'some text')", "");
    let list = filled("select 1 from customers where id in (1", ",47110815", ")");
    let parameters =
        filled("insert into products (id, name) values ($1, $2)", ",($1234,$1235)", "");
    let document = filled("select '", "{\"a\":1,\"b\":[2,3]},", "'");
    for text in [rows, list, parameters, document] {
        let read = common::with_stack(|| analyse(&text, &catalog, &Limits::default()));
        assert!(read.is_ok(), "{text:.60}: {:?}", read.map(drop));
    }
}

#[test]
fn a_list_of_results_has_as_many_columns_as_the_server_gives() {
    let catalog = common::shop();
    let analysed =
        |sql: &str| common::with_stack(|| analyse(sql, &catalog, &Limits::default()).map(drop));
    let ones = |n: usize| format!("{}1", "1,".repeat(n - 1));
    for sql in [
        format!("select {}", ones(1664)),
        format!("select {}, * from (select {}) a", ones(64), ones(1600)),
        format!("select 1 from (values ({})) a", ones(1664)),
    ] {
        assert_eq!(analysed(&sql), Ok(()));
    }
    for sql in [
        format!("select {}", ones(1665)),
        format!("select {}, * from (select {}) a", ones(65), ones(1600)),
        format!("select 1 from (values ({})) a", ones(1665)),
        format!("with a as (select {}) select 1", ones(1665)),
        format!("delete from customers returning {}", ones(1665)),
    ] {
        assert_eq!(analysed(&sql), Err(Unreadable::TooManyColumns), "{sql:.40}");
    }
}

/// What columns come from counts as work, wherever it is carried to: each of these would take
/// gigabytes.
#[test]
fn columns_that_come_from_many_are_not_carried_far() {
    let mut rows = common::fixture();
    let text = |t: &str| Some(t.to_owned());
    let (oid, table) = ("99999", |columns: &str| text(columns));
    let mut relation = rows[2].last().unwrap().clone();
    relation[..5].clone_from_slice(&[
        text(oid),
        text("public"),
        text("wide"),
        text("r"),
        text("0"),
    ]);
    rows[2].push(relation);
    let column = rows[3].last().unwrap().clone();
    for n in 1..=1000 {
        let mut one = column.clone();
        one[..3].clone_from_slice(&[text(oid), table(&n.to_string()), text(&format!("c{n}"))]);
        rows[3].push(one);
    }
    let catalog = portcullis_sql::catalog::Catalog::from_rows("shop", &rows).unwrap();
    let all: Vec<String> = (1..=1000).map(|n| format!("c{n}")).collect();
    let all = format!("with a as (select coalesce({}) as x from wide)", all.join(","));
    let many = format!("(select x{} from a)", ",x".repeat(1500));
    let views = format!(", b as {many}").repeat(20);
    for (sql, most) in [
        (format!("{all}, b as {many} select 1 from b{}", ",b".repeat(99)), false),
        (format!("{all}{views} select 1"), false),
        (format!("{all}, b as {many} select 1 from b"), true),
    ] {
        let read = common::with_stack(|| analyse(&sql, &catalog, &Limits::default()));
        match read {
            Ok(read) => assert!(most && read.statements[0].kept_bytes() < 100_000),
            Err(error) => {
                let limit = Limits::default().work;
                assert_eq!(error, Unreadable::TooLarge { what: "analysis work", limit });
                assert!(!most, "{sql:.40}");
            }
        }
    }
    // What is kept of it is told.
    let sql = format!("{all} select x{} from a", ",x".repeat(1500));
    let read = common::with_stack(|| analyse(&sql, &catalog, &Limits::default())).unwrap();
    assert!(read.statements[0].kept_bytes() > 1501 * 1000 * 8);
}

/// PostgreSQL's parser has assertions, which fail for texts that people can write. They end the whole
/// process where they are compiled in; `.cargo/config.toml` sees to it that they are not.
#[test]
fn no_assertion_of_the_parser_ends_the_process() {
    let catalog = common::shop();
    for sql in [
        "(SELECT id FROM orders ORDER BY id FETCH FIRST 1 ROW WITH TIES) OFFSET 1",
        "SELECT * FROM ((SELECT 1 ORDER BY 1 FETCH FIRST ROW WITH TIES) OFFSET 0) s",
    ] {
        assert!(analyse(sql, &catalog, &Limits::default()).is_ok(), "{sql}");
    }
}
