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
