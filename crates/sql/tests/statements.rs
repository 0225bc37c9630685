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
