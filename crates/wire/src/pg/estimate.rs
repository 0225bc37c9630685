//! How many rows a request would touch, by the target's own planner: a request of the gateway's own,
//! made of the caller's statement. It is asked while the caller's request is put to people.
//!
//! *Architecture invariant:* it is a request and no chore, since a caller's bytes are in it: judged,
//! recorded and permitted like any other. Of its answer one number leaves the masker.

use super::body::Body;
use super::conversation::{Analyst, Conversation, Turn};
use super::message::Limits;
use super::rewrite::put_message;
use super::rows::read_value;
use super::unit::{Shape, Unit};
use bytes::BytesMut;
use portcullis_core::effect::{ObjectKind, Verb};
use portcullis_core::protocol::Request as _;
use serde_json::Value;
use std::sync::Arc;

/// The name of its statement and portal. Should a caller have made one of this name, there is no
/// estimate.
const NAME: &[u8] = b"\x7fportcullis: estimate\0";
/// Longer plans are not read.
const MAX_PLAN: usize = 1 << 20;

/// What to run first, so that planning changes nothing and does not take long; and last.
pub const BEFORE: &[&str] = &[
    "BEGIN READ ONLY",
    "SELECT pg_catalog.set_config('statement_timeout', '2000', true), \
            pg_catalog.set_config('lock_timeout', '500', true)",
];
/// What to run afterwards.
pub const AFTER: &[&str] = &["ROLLBACK"];

/// The request that asks for the plan of `unit`, with its parameters as they were bound.
///
/// # Errors
/// Why there is none, in words for people: it is no single statement that changes rows, or code of
/// users would be within the planner's reach, which runs functions that claim to be immutable or
/// stable.
pub fn request(unit: &Unit, analyst: Arc<dyn Analyst>) -> Result<Unit, &'static str> {
    let changes = ["insert", "update", "delete", "merge"];
    let Some((prepared, values)) = unit.only_statement() else {
        return Err("it is not one statement by itself");
    };
    if !unit.operation().kinds.iter().all(|kind| changes.contains(&&**kind)) {
        return Err("it is not a change of rows that can be planned");
    }
    let code = |unit: &Unit| {
        unit.operation().effects.iter().any(|e| {
            matches!(e.verb, Verb::Execute | Verb::Unknown) || e.object.kind == ObjectKind::Routine
        })
    };
    if code(unit) {
        return Err("planning it could run code of users");
    }
    let text = [b"EXPLAIN (FORMAT JSON) ", &prepared.text[..], b"\0"].concat();
    let count = u16::try_from(prepared.types.len()).map_err(|_| "it has too many parameters")?;
    let types: Vec<u8> = prepared.types.iter().flat_map(|oid| oid.to_be_bytes()).collect();
    let (_, formats) = super::bound::split(values);
    let bound = values.get(..values.len() - formats.len()).unwrap_or_default();
    // No parameters, where nothing was bound; and text, whatever the caller wants its answer in.
    let bound: &[u8] = if values.is_empty() { &[0; 4] } else { bound };
    let mut messages = BytesMut::new();
    let mut put = |tag, parts: &[&[u8]]| {
        put_message(&mut messages, tag, &parts.concat()).map_err(|_| "it is too long")
    };
    put(b'C', &[b"S", NAME])?;
    put(b'P', &[NAME, &text, &count.to_be_bytes(), &types])?;
    put(b'B', &[NAME, NAME, bound, &[0; 2]])?;
    put(b'E', &[NAME, &[0; 4]])?;
    put(b'C', &[b"S", NAME])?;
    put(b'S', &[])?;
    let mut apart = Conversation::new(analyst, Limits::default());
    let Ok(Some(Turn::Unit(mut asks))) = apart.next(&mut messages) else {
        return Err("its plan cannot be asked for");
    };
    if asks.shape() != Shape::Sync
        || code(&asks)
        || *asks.operation().kinds != [Box::from("explain")]
    {
        return Err("planning it could do more than that");
    }
    asks.asks_for_estimate();
    Ok(*asks)
}

/// The rows a plan expects to touch, out of the one row of its answer; nothing else of it is kept.
pub(super) fn planned_rows(row: &[u8]) -> Option<u64> {
    let mut body = Body::new("DataRow", row);
    if row.len() > MAX_PLAN || body.count().ok()? != 1 {
        return None;
    }
    let plan: Value = serde_json::from_slice(read_value(&mut body).ok()??).ok()?;
    let top = plan.get(0)?.get("Plan")?;
    if top.get("Node Type")?.as_str()? != "ModifyTable" {
        return rows_of(top);
    }
    // It gives out no rows itself, but for RETURNING; those below it are what it changes.
    let below = top.get("Plans")?.as_array()?.iter();
    let feeds = |plan: &&Value| {
        let relationship = plan.get("Parent Relationship").and_then(Value::as_str);
        matches!(relationship, Some("Outer" | "Member"))
    };
    below.filter(feeds).map(rows_of).try_fold(0u64, |sum, rows| sum.checked_add(rows?))
}

/// Estimates are whole numbers that may be written with an exponent.
fn rows_of(plan: &Value) -> Option<u64> {
    let rows = plan.get("Plan Rows")?;
    rows.as_u64().or_else(|| {
        let rows = rows.as_f64()?;
        // Nothing stands behind such a number but that there are very many.
        (rows >= 0.0).then(|| rows.min(1e18) as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> Vec<u8> {
        let length = (text.len() as i32).to_be_bytes();
        [&[0, 1][..], &length, text.as_bytes()].concat()
    }

    #[test]
    fn one_number_and_nothing_else() {
        let check = |plan: &str, expect| assert_eq!(planned_rows(&row(plan)), expect, "{plan}");
        let change = |below: &str| {
            format!(
                r#"[{{"Plan": {{"Node Type": "ModifyTable", "Plan Rows": 0, "Plans": [{below}]}}}}]"#
            )
        };
        check(&change(r#"{"Parent Relationship": "Outer", "Plan Rows": 12}"#), Some(12));
        check(
            &change(
                r#"{"Parent Relationship": "InitPlan", "Plan Rows": 9},
                   {"Parent Relationship": "Member", "Plan Rows": 1},
                   {"Parent Relationship": "Member", "Plan Rows": 2}"#,
            ),
            Some(3),
        );
        check(
            &change(r#"{"Parent Relationship": "Outer", "Plan Rows": 1e30}"#),
            Some(1_000_000_000_000_000_000),
        );
        check(r#"[{"Plan": {"Node Type": "Seq Scan", "Plan Rows": 7}}]"#, Some(7));
    }

    #[test]
    fn what_is_no_plan_gives_none() {
        let deep = "[".repeat(100_000);
        let long = format!("[{{\"x\": \"{}\"}}]", "y".repeat(MAX_PLAN));
        let most = u64::MAX;
        let over = format!(
            r#"[{{"Plan": {{"Node Type": "ModifyTable", "Plans": [
               {{"Parent Relationship": "Member", "Plan Rows": {most}}},
               {{"Parent Relationship": "Member", "Plan Rows": 1}}]}}}}]"#
        );
        for plan in [
            "",
            "{}",
            "[]",
            "null",
            "[{\"Plan\": 5}]",
            &deep,
            &long,
            &over,
            r#"[{"Plan": {"Node Type": "x", "Plan Rows": -1}}]"#,
            r#"[{"Plan": {"Node Type": "x", "Plan Rows": "5"}}]"#,
        ] {
            assert_eq!(planned_rows(&row(plan)), None, "{plan:.60}");
        }
        assert_eq!(planned_rows(b"\0\x02"), None);
        assert_eq!(planned_rows(b"\0\x01\xff\xff\xff\xff"), None);
    }
}
