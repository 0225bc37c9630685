//! What goes into rows, as far as a text tells.

mod common;

use portcullis_core::mask::ColumnRef;
use portcullis_sql::statement::WrittenValue;
use portcullis_sql::{Limits, analyse};

/// The values, each with the columns it goes into.
fn written(sql: &str) -> Vec<String> {
    let catalog = common::shop();
    let analysis = common::with_stack(|| analyse(sql, &catalog, &Limits::default()).unwrap());
    let name = |column: &ColumnRef| {
        let relation = catalog.relation(column.relation).unwrap();
        let named = relation.columns.iter().find(|c| c.number == column.column).unwrap();
        format!("{}.{}", relation.name, named.name)
    };
    let all = analysis.statements.iter().flat_map(|s| s.written.iter());
    all.map(|w| {
        let value = match &w.value {
            WrittenValue::Text(text, _) => text.to_string(),
            WrittenValue::Parameter(number) => format!("${number}"),
        };
        let columns: Vec<String> = w.columns.iter().map(name).collect();
        format!("{value} -> {}", columns.join("|"))
    })
    .collect()
}

#[test]
fn values_go_into_columns() {
    let check = |sql: &str, expect: &[&str]| assert_eq!(written(sql), expect, "{sql}");
    check("SELECT 'a' FROM customers WHERE email = $1", &[]);
    check("DELETE FROM customers WHERE email = 'a'", &[]);
    check(
        "INSERT INTO customers (email, name) VALUES ('a', $1), (lower('b'), 'c'::text)",
        &["a -> customers.email", "$1 -> customers.name", "b -> ", "c -> customers.name"],
    );
    check(
        "UPDATE customers SET email = 'a' || $1, name = CASE name WHEN 'x' THEN 'b' ELSE 'c' END \
         WHERE name = 'y'",
        &["a -> ", "$1 -> ", "b -> customers.name", "c -> customers.name"],
    );
    check(
        "UPDATE customers SET (email, name) = ROW ('a', 'b')",
        &["a -> customers.email", "b -> customers.name"],
    );
    check("UPDATE customers SET email = v.e FROM (VALUES ('a')) v(e) WHERE name = 'x'", &["a -> "]);
    check("WITH v AS (SELECT 'a' AS e) INSERT INTO customers (email) SELECT e FROM v", &["a -> "]);
    check("INSERT INTO customers (email) SELECT x FROM unnest($1::text[]) x", &["$1 -> "]);
    check("EXECUTE p('a')", &["a -> "]);
}
