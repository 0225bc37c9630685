//! An entry of every kind, as events: against the published schema where there is one, and against what it
//! wants most everywhere.

mod schema;

use super::*;
use crate::export::source::{Item, Piece, What};
use crate::export::standing::Sessions;
use crate::export::{Format, Writer, otlp};
use portcullis_core::journal::Entry;
use portcullis_core::time::Timestamp;
use portcullis_ledger::tail::Position;
use schema::Schema;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// An entry of every kind, as the journal has them, in the order of a life.
fn samples() -> Vec<Value> {
    let session = "ses_0000000000001";
    let digest = "ab".repeat(32);
    let principal = json!({
        "kind": "agent", "subject": "agent-7", "name": "claude", "issuer": "https://login.example",
        "acting_for": "ana", "groups": ["agents"], "token_id": null, "expires": 1_800_000_000_000_000_i64,
    });
    let person = json!({
        "kind": "person", "subject": "bo", "name": "Bo", "issuer": "https://login.example",
        "acting_for": null, "groups": ["dba"], "token_id": null, "expires": 1_800_000_000_000_000_i64,
    });
    let by = json!({ "subject": "bo", "issuer": "https://login.example" });
    let shown = json!({ "statements": [format!("DELETE FROM orders /*traceparent='{TRACE}'*/")], "parameters": [[]] });
    let refusal = json!({
        "decision": "dec_0000000000001", "class": "policy", "rule": "no-drop", "what": "drop table public.orders",
        "why": "agents drop nothing", "retry": "never", "next": null, "review": null,
    });
    let ask = json!({
        "connection": "shop", "environment": "production", "host": "db.example", "port": 5432,
        "database": "shop", "role": "app", "principal": principal, "seconds": 600, "reason": "INC-7",
        "approvers": { "group": "dba", "quorum": 1 }, "at": 1, "lapses": 2,
    });
    let freeze = json!({
        "id": "frz_0000000000001", "scope": "writes", "reason": "audit", "by": "Bo", "since": 1, "until": 2,
    });
    let standing = json!({ "principal": principal, "connection": {
        "name": "shop", "environment": "production", "protocol": "postgres", "database": "shop", "role": "app",
    } });
    let review = "rev_0000000000001";
    let in_session = |request: Option<&str>, entry: Value| {
        let mut entry = entry;
        entry["session"] = session.into();
        if let Some(request) = request {
            entry["request"] = request.into();
        }
        entry
    };
    let (one, two, three) = ("req_0000000000001", "req_0000000000002", "req_0000000000003");
    let ground = json!({ "rule": "writes-need-review", "reason": "writes are reviewed", "hint": null, "what": "delete" });
    let ticket = json!({ "review": review, "digest": digest, "groups": ["dba"], "expires": 3 });
    let mut all = vec![
        json!({ "event": "started", "version": "0.1.0", "policy": "p" }),
        json!({ "event": "governed", "documents": 1, "policy": "p" }),
        in_session(
            None,
            json!({ "event": "login_refused", "principal": "agent-7", "peer": "192.0.2.7:50123", "connection": "shop", "refusal": refusal }),
        ),
        in_session(
            None,
            json!({ "event": "session_opened", "standing": standing, "peer": "[2001:db8::7]:50123", "policy": "p",
            "claimed": "psql", "settings": [format!("portcullis.traceparent={TRACE}")] }),
        ),
        in_session(
            Some(one),
            json!({ "event": "held", "ticket": ticket, "operation": "DELETE · delete table public.orders (all of it)", "shown": shown, "ground": ground }),
        ),
        json!({ "event": "review_message", "review": review, "asks": true, "by": by, "text": "why?" }),
        json!({ "event": "decision_refused", "review": review, "by": by, "why": "it is your own" }),
        json!({ "event": "decided", "review": review, "digest": digest, "by": by, "groups": ["dba"], "decision": "approved", "reason": "fine" }),
        in_session(
            Some(three),
            json!({ "event": "rehearsed", "review": review, "operation": "DELETE", "digest": digest, "rules": ["r"], "until": 9 }),
        ),
        in_session(
            Some(three),
            json!({ "event": "outcome", "status": "undone", "rows": 0, "masked": 0, "micros": 15 }),
        ),
        in_session(
            Some(one),
            json!({ "event": "intent", "operation": "DELETE · delete table public.orders (all of it)", "shown": shown,
            "digest": digest, "rules": ["writes-need-review"], "review": review, "durability": "durable" }),
        ),
        in_session(
            Some(one),
            json!({ "event": "outcome", "status": "failed", "rows": 2, "tags": ["DELETE 2"], "error": "23503", "masked": 1, "micros": 15_000 }),
        ),
        in_session(
            Some(two),
            json!({ "event": "refused", "operation": "DROP", "shown": shown, "digest": digest, "refusal": refusal }),
        ),
        in_session(
            Some(two),
            json!({ "event": "withdrawn", "review": review, "why": "cancelled" }),
        ),
        in_session(
            None,
            json!({ "event": "session_paused", "by": by, "reason": "a look", "until": 9 }),
        ),
        in_session(None, json!({ "event": "session_resumed" })),
        in_session(None, json!({ "event": "session_killed", "by": by, "reason": "enough" })),
        in_session(
            None,
            json!({ "event": "session_closed", "reason": "the client ended it", "recording": digest }),
        ),
        json!({ "event": "pattern_revoked", "pattern": "pat_0000000000001", "review": review, "by": by }),
        json!({ "event": "unproven", "file": "journal/unproven-1", "bytes": 7, "digest": digest, "why": "no code" }),
        json!({ "event": "watched", "by": person, "how": "timeline", "recording": session }),
        json!({ "event": "watched", "by": person, "how": "search", "searched": "orders" }),
        json!({ "event": "frozen", "freeze": freeze, "by": by }),
        json!({ "event": "thawed", "freeze": "frz_0000000000001", "by": by }),
        json!({ "event": "administration_refused", "by": by, "what": "freeze", "why": "no administrator" }),
        json!({ "event": "document_changed", "set": 3, "kind": "policy", "name": "own", "after": "permit(principal,action,resource);", "by": by }),
        json!({ "event": "document_changed", "set": 3, "kind": "policy", "name": "own", "before": "x", "by": by }),
        json!({ "event": "documents_kept", "set": 4, "by": by, "why": "they do not parse" }),
        json!({ "event": "access_requested", "grant": "grt_0000000000001", "ask": ask }),
        json!({ "event": "access_escalated", "grant": "grt_0000000000001", "to": "leads" }),
        json!({ "event": "access_decided", "grant": "grt_0000000000001", "digest": digest, "by": person, "groups": ["dba"], "decision": "approved" }),
        json!({ "event": "access_begun", "grant": "grt_0000000000001", "principal": principal, "connection": "shop", "role": "app", "until": 9, "approved_by": [by] }),
        json!({ "event": "access_ended", "grant": "grt_0000000000001", "principal": principal, "connection": "shop", "was_in_force": true, "ending": "time" }),
        json!({ "event": "access_refused", "by": principal, "what": "decide", "why": "it is your own" }),
        json!({ "event": "credential_issued", "credential": "crd_0000000000001", "principal": principal, "connection": "shop",
            "purpose": "INC-7", "vouched_by": ["corp"], "peer": "192.0.2.7" }),
        json!({ "event": "credential_revoked", "credential": "crd_0000000000001", "by": by, "connection": "shop" }),
        json!({ "event": "exchange_refused", "principals": ["ana", "agent-7"], "connection": "shop", "peer": "192.0.2.7", "why": "not lent" }),
        json!({ "event": "signed_in", "browser": "web_0000000000001", "principal": person, "provider": "corp", "peer": "192.0.2.7" }),
        json!({ "event": "sign_in_refused", "principal": "eve", "provider": "corp", "peer": "192.0.2.7", "why": "no group" }),
        json!({ "event": "signed_out", "browser": "web_0000000000001", "by": by, "why": "asked for" }),
        json!({ "event": "passkey_registered", "passkey": "key_0000000000001", "principal": person, "credential": "abc",
            "public_key": "abc", "browser": "web_0000000000001", "peer": "192.0.2.7" }),
        json!({ "event": "passkey_removed", "passkey": "key_0000000000001", "of": "bo", "issuer": "https://login.example", "by": by }),
        json!({ "event": "passkey_refused", "by": by, "what": "register", "why": "another origin" }),
        json!({ "event": "chat_refused", "chat": "slack", "peer": "192.0.2.7", "why": "no such person" }),
    ];
    for (place, entry) in all.iter_mut().enumerate() {
        entry["at"] =
            (1_790_000_000_000_000_i64 + 1_000_000 * i64::try_from(place).unwrap()).into();
    }
    all
}

fn pieces(entries: &[Value]) -> Vec<Piece> {
    let mut sessions = Sessions::default();
    let mut all = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        let sequence = place as u64;
        let known = sessions.note(entry, Position { sequence, ..Position::default() });
        let text = json!({ "seq": sequence, "prev": "0", "entry": entry }).to_string();
        let at = Timestamp::from_micros(number(entry, "/at").unwrap_or_default());
        let hash = digest(text.as_bytes()).parse().unwrap();
        let entry = entry.clone();
        let item = Item { hash, prev: hash, text, entry, at, known };
        all.push(Piece { sequence, what: What::Entry(Box::new(item)) });
    }
    all
}

/// All there is to tell, with what takes the place of entries.
fn told() -> Vec<Piece> {
    let mut all = pieces(&samples());
    let sequence = all.len() as u64;
    let at = Timestamp::from_micros(1_790_000_000_000_000);
    let gap = What::Gap {
        missing: 2,
        lines: 1,
        removed: false,
        at,
        why: "2 entries are missing".to_owned(),
    };
    all.push(Piece { sequence, what: gap });
    all.push(all[5].withheld("it was not taken"));
    // What a later version may write, and what is no JSON.
    all.extend(pieces(&[json!({ "event": "from_the_future", "at": 1, "x": "y" }), Value::Null]));
    // A session that nobody has seen begin.
    all.extend(pieces(&[
        json!({ "event": "outcome", "at": 1, "session": "ses_0000000000009", "status": "done" }),
    ]));
    all
}

fn events() -> Vec<Value> {
    let chain = Chain::new("journal/siem".to_owned());
    let mut writer = Writer::new(Format::Ocsf, "j.example+1".to_owned(), chain);
    told().iter().map(|piece| serde_json::from_str(&writer.write(piece).line).unwrap()).collect()
}

#[test]
fn the_samples_are_entries_and_every_event_has_a_class() {
    for sample in samples() {
        let read: Result<Entry, _> = serde_json::from_value(sample.clone());
        assert!(read.is_ok(), "{sample}: {read:?}");
        assert!(is_event(text(&sample, "/event")), "{sample}");
    }
    assert!(!is_event("from_the_future"));
}

#[test]
fn events_are_those_of_the_published_schema() {
    let Some(schema) = Schema::find() else {
        eprintln!("there is no schema of OCSF (./dev ocsf): NOT VALIDATED AGAINST IT");
        return;
    };
    for event in events() {
        let faults = schema.faults(&event);
        assert!(faults.is_empty(), "{faults:#?}\n{event:#}");
    }
    // The validator finds what it is there for.
    let good = events().into_iter().find(|event| event["class_uid"] == 6005).unwrap();
    let broken: [(&str, Value); 8] = [
        ("/actor", Value::Null),
        ("/class_uid", 6006.into()),
        ("/type_uid", 600_505.into()),
        ("/severity_id", 42.into()),
        ("/time", "now".into()),
        ("/src_endpoint", json!({ "port": 1 })),
        ("/src_endpoint/port", 70_000.into()),
        ("/metadata/colour", "red".into()),
    ];
    for (place, value) in broken {
        let mut bad = good.clone();
        let (above, name) = place.rsplit_once('/').unwrap();
        let above = bad.pointer_mut(above).unwrap().as_object_mut().unwrap();
        if value.is_null() {
            above.remove(name);
        } else {
            above.insert(name.to_owned(), value);
        }
        assert!(!schema.faults(&bad).is_empty(), "{place}");
    }
}

#[test]
fn events_have_what_every_reader_wants() {
    for event in events() {
        let of = |place: &str| event.pointer(place).unwrap_or_else(|| panic!("{place}: {event:#}"));
        let (class, activity) =
            (of("/class_uid").as_i64().unwrap(), of("/activity_id").as_i64().unwrap());
        assert_eq!(of("/type_uid"), class * 100 + activity);
        assert_eq!(of("/category_uid"), class / 1000);
        assert_eq!(of("/metadata/version"), VERSION);
        assert!(of("/metadata/product/name").is_string() && of("/time").is_i64());
        assert!((1..=6).contains(&of("/severity_id").as_i64().unwrap()));
        let wants: &[&str] = match class {
            3002 => &["/user/uid", "/service/name"],
            3004 => &["/entity/uid", "/actor/user/uid"],
            3005 => &["/user/uid", "/privileges/0"],
            6002 => &["/app/name"],
            6005 => &["/actor/user", "/src_endpoint", "/database/name"],
            _ => &[],
        };
        wants.iter().for_each(|place| assert!(!of(place).is_null()));
    }
}

#[test]
fn an_agents_statement_is_one_of_an_agent() {
    let all = events();
    let of = |code: &str| all.iter().find(|event| event["metadata"]["event_code"] == code).unwrap();
    let refused = of("refused");
    assert_eq!(
        refused["metadata"]["profiles"],
        json!(["record_integrity", "ai_operation", "security_control"])
    );
    assert_eq!(
        (&refused["ai_agent"]["name"], &refused["action_id"]),
        (&json!("claude"), &json!(2))
    );
    assert_eq!(refused["unmapped"]["claimed_traceparent"], TRACE);
    assert_eq!(refused["src_endpoint"], json!({ "ip": "2001:db8::7", "port": 50123 }));
    let statement = refused["query_info"]["query_string"].as_str().unwrap();
    assert!(statement.starts_with("DELETE FROM orders"), "{statement}");
    assert!(refused["unmapped"]["entry"]["shown"].get("statements").is_none());
    let signed_in = of("signed_in");
    assert!(signed_in.get("ai_agent").is_none() && signed_in["user"]["type_id"] == 1);
}

#[test]
fn events_are_a_chain_that_an_edit_breaks() {
    let mut last: Option<Value> = None;
    for event in events() {
        let attestation = event["attestation_list"][0].clone();
        let mut bare = event.clone();
        bare["attestation_list"][0].as_object_mut().unwrap().remove("fingerprint");
        let proven = |event: &Value| json!(digest(canonical(event).as_bytes()));
        assert_eq!(proven(&bare), attestation["fingerprint"]["value"]);
        bare["severity_id"] = 99.into();
        assert_ne!(proven(&bare), attestation["fingerprint"]["value"]);
        match &last {
            Some(before) => assert_eq!(&attestation["prev_event"]["fingerprint"], before),
            None => assert!(attestation.get("prev_event").is_none()),
        }
        last = Some(attestation["fingerprint"].clone());
    }
}

/// RFC 8785, section 3.2.3, as far as its sorting goes.
#[test]
fn canonical_names_come_in_the_order_of_their_utf_16() {
    let value = json!({ "€": 1, "\r": 2, "\u{fb33}": 3, "1": 4, "😀": 5, "\u{80}": 6, "ö": [true, {"b": "\u{1}", "a": null}] });
    assert_eq!(
        canonical(&value),
        "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":[true,{\"a\":null,\"b\":\"\\u0001\"}],\"€\":1,\"😀\":5,\"\u{fb33}\":3}"
    );
}

#[test]
fn what_a_caller_writes_stays_in_its_line_and_is_cut() {
    let nasty = "SELECT '\r\n\u{85}\u{2028}\u{202e}\u{0}{\"seq\":9}'";
    let mut entry = samples().into_iter().find(|one| one["event"] == "refused").unwrap();
    entry["shown"]["statements"] = json!([nasty, "x".repeat(3 * LONGEST)]);
    for format in [Format::Jsonl, Format::Ocsf, Format::Otlp] {
        let mut writer = Writer::new(format, "j".to_owned(), Chain::new("c".to_owned()));
        let line = writer.write(&pieces(std::slice::from_ref(&entry))[0]).line;
        assert!(
            !line.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{202e}')),
            "{line}"
        );
        let read: Value = serde_json::from_str(&line).unwrap();
        if format == Format::Jsonl {
            assert_eq!(read["entry"]["shown"]["statements"][0], nasty);
        } else {
            assert!(line.len() < 2 * LONGEST, "{}", line.len());
            assert!(line.contains("SELECT '\\r\\n\\u0085\\u2028\\u202e"), "{}", &line[..300]);
        }
        if format == Format::Ocsf {
            assert_eq!(read["metadata"]["is_truncated"], true);
        }
    }
}

#[test]
fn sessions_and_requests_are_spans_and_a_claimed_trace_is_a_link() {
    let all = told();
    let spans: Vec<Value> = all.iter().flat_map(|piece| otlp::spans(piece, "j")).collect();
    let verdicts: Vec<&str> = spans
        .iter()
        .flat_map(|span| span["attributes"].as_array().unwrap())
        .filter(|one| one["key"] == "portcullis.verdict")
        .map(|one| one["value"]["stringValue"].as_str().unwrap())
        .collect();
    assert_eq!(verdicts, ["approved", "approved", "refused", "withdrawn"]);
    let session = spans.last().unwrap();
    assert_eq!(session["name"], "session shop");
    for span in &spans {
        assert_eq!(span["traceId"], session["traceId"]);
        assert_ne!(span["traceId"], TRACE[3..35], "what is claimed is no parent");
        assert_eq!(span["links"][0]["traceId"], TRACE[3..35]);
        let parent = span.get("parentSpanId");
        assert!(parent.is_none_or(|parent| *parent == session["spanId"]));
        let time = |key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
        assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"));
    }
    // What is sent twice is the same twice.
    let again: Vec<Value> = told().iter().flat_map(|piece| otlp::spans(piece, "j")).collect();
    assert_eq!(again, spans);
    let record = otlp::record(&all[10], "j");
    assert_eq!(record["traceId"], session["traceId"]);
    assert_eq!(record["spanId"], spans[1]["spanId"]);
}
