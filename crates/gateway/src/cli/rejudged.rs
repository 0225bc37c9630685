//! `portcullis apply --dry-run --against`: what is recorded, judged again, part by part.

use super::access::{Client, number, text, time};
use portcullis_ledger::visible;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Examples of each change that are kept.
const EXAMPLES: usize = 5;

fn rows<'a>(value: &'a Value, at: &str) -> &'a [Value] {
    value.pointer(at).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// All parts, put together.
pub(super) async fn run(
    client: &Client,
    wanted: &Value,
    against: Duration,
) -> anyhow::Result<Value> {
    const COUNTS: [&str; 4] = ["sessions", "requests", "judged", "changed"];
    let mut wanted = wanted.clone();
    let (mut counts, begun) = ([0; 4], Instant::now());
    let mut changes: BTreeMap<Vec<String>, (u64, Vec<Value>)> = BTreeMap::new();
    let mut reasons: BTreeMap<String, (u64, Value)> = BTreeMap::new();
    let mut cursor = Value::Null;
    loop {
        if let Some(wanted) = wanted.as_object_mut() {
            wanted.remove("revision");
            wanted.insert("seconds".to_owned(), json!(against.as_secs().max(1)));
            wanted.insert("cursor".to_owned(), cursor);
        }
        let part = client.post("/api/v1/documents/rejudge", &wanted).await?;
        for (count, name) in counts.iter_mut().zip(COUNTS) {
            *count += number(&part, &format!("/{name}"));
        }
        for change in rows(&part, "/changes") {
            let key = ["/from", "/to", "/from_rule", "/to_rule", "/masks"]
                .map(|at| text(change, at).to_owned());
            let (count, examples) = changes.entry(key.to_vec()).or_default();
            *count += number(change, "/count");
            let room = EXAMPLES.saturating_sub(examples.len());
            examples.extend(rows(change, "/examples").iter().take(room).cloned());
        }
        for reason in rows(&part, "/not_judged") {
            let first = || (0, reason.clone());
            reasons.entry(text(reason, "/why").to_owned()).or_insert_with(first).0 +=
                number(reason, "/count");
        }
        cursor = part.pointer("/cursor").cloned().unwrap_or_default();
        if cursor.is_null() {
            break;
        }
        if begun.elapsed() > Duration::from_secs(1) {
            let [sessions, requests, ..] = counts;
            eprintln!("portcullis: {sessions} sessions, {requests} requests so far");
        }
    }
    let [sessions, requests, judged, changed] = counts;
    let changes: Vec<Value> = changes
        .into_iter()
        .map(|(key, (count, examples))| {
            let part = |at: usize| key.get(at).cloned().unwrap_or_default();
            json!({
                "from": part(0), "to": part(1), "from_rule": part(2), "to_rule": part(3),
                "masks": part(4), "count": count, "examples": examples,
            })
        })
        .collect();
    let not_judged: Vec<Value> = reasons
        .into_iter()
        .map(|(why, (count, first))| {
            json!({
                "why": why, "count": count,
                "session": text(&first, "/session"), "entry": number(&first, "/entry"),
            })
        })
        .collect();
    Ok(json!({
        "sessions": sessions, "requests": requests, "judged": judged, "changed": changed,
        "changes": changes, "not_judged": not_judged,
    }))
}

/// For people.
pub(super) fn show(told: &Value) -> anyhow::Result<()> {
    let count = |at: &str| number(told, at);
    say!(
        "recorded: {} requests in {} sessions, {} judged again, {} would have another verdict",
        count("/requests"),
        count("/sessions"),
        count("/judged"),
        count("/changed")
    );
    for change in rows(told, "/changes") {
        let masks = match text(change, "/masks") {
            "fewer" => ", and less is masked",
            "more" => ", and more is masked",
            "other" => ", and other things are masked",
            _ => "",
        };
        let line = format!(
            "{} -> {}: {} (by {}, now by {}){masks}",
            text(change, "/from"),
            text(change, "/to"),
            number(change, "/count"),
            text(change, "/to_rule"),
            text(change, "/from_rule"),
        );
        say!("{}", visible::escape(&line));
        for example in rows(change, "/examples") {
            let line = format!(
                "    {}  {} on {}: {}  (/sessions/{}#{})",
                time(example, "/at"),
                text(example, "/who"),
                text(example, "/connection"),
                text(example, "/statement"),
                text(example, "/session"),
                number(example, "/entry"),
            );
            say!("{}", visible::escape(&line));
            for (title, at) in [("shown", "/unmasked"), ("masked", "/masked")] {
                for what in rows(example, at).iter().filter_map(Value::as_str) {
                    say!("        {title}: {}", visible::escape(what));
                }
            }
        }
    }
    for reason in rows(told, "/not_judged") {
        let (count, why) = (number(reason, "/count"), text(reason, "/why"));
        say!("not judged again: {count}: {}", visible::escape(why));
    }
    Ok(())
}
