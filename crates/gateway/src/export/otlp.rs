//! OTLP in its JSON encoding (OTLP 1.x, "JSON Protobuf Encoding"): every entry a log record, every session and
//! request that has ended a span. A trace is a session. Ids are made of those of the session, so what is
//! sent twice is the same; what a client says of its own trace is a link.

use super::ocsf::{message as sentence, parent};
use super::source::{Item, Piece, What};
use super::standing::{Begun, Session};
use super::traceparent::{TraceParent, id};
use super::{LONGEST, cut, number, rest, statements, text};
use portcullis_core::time::Timestamp;
use serde_json::{Value, json};

/// A whole message of what is JSON already.
pub(super) fn message(
    (resources, scopes, list): (&str, &str, &str),
    journal: &str,
    all: &[&str],
) -> String {
    let resource = json!({ "attributes": [
        attribute("service.name", "portcullis"),
        attribute("service.version", env!("CARGO_PKG_VERSION")),
        attribute("service.instance.id", journal),
    ] });
    let scope = json!({ "name": "portcullis.audit", "version": env!("CARGO_PKG_VERSION") });
    let all = all.join(",");
    format!(
        "{{\"{resources}\":[{{\"resource\":{resource},\"{scopes}\":[{{\"scope\":{scope},\"{list}\":[{all}]}}]}}]}}"
    )
}

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn counted(key: &str, value: i64) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

/// 64-bit numbers are texts in this encoding.
fn nanos(at: Timestamp) -> String {
    u64::try_from(at.as_micros()).unwrap_or_default().saturating_mul(1000).to_string()
}

/// The log record of an entry.
pub(super) fn record(piece: &Piece, journal: &str) -> Value {
    let mut attributes = vec![counted("portcullis.entry", sequence(piece.sequence))];
    let (body, severity, event) = match &piece.what {
        What::Entry(item) => {
            describe(item, &mut attributes);
            (sentence(item), severity(item), item.event().to_owned())
        }
        What::Gap { missing, removed, why, .. } => {
            attributes.push(counted("portcullis.missing", sequence(*missing)));
            let gap = if *removed { ((9, "INFO"), "removed") } else { ((17, "ERROR"), "gap") };
            (why.clone(), gap.0, gap.1.to_owned())
        }
        What::Withheld { hash, why, .. } => {
            attributes.push(attribute("portcullis.entry.hash", &hash.to_string()));
            (why.clone(), (13, "WARN"), "withheld".to_owned())
        }
    };
    attributes.push(attribute("portcullis.event", &event));
    let at = nanos(piece.at());
    let mut record = json!({
        "timeUnixNano": at,
        "observedTimeUnixNano": at,
        "severityNumber": severity.0,
        "severityText": severity.1,
        "eventName": format!("portcullis.{event}"),
        "body": { "stringValue": body },
        "attributes": attributes,
    });
    let session = piece.item().and_then(|item| Some((item, item.known.session.as_deref()?)));
    if let (Some((item, session)), Some(record)) = (session, record.as_object_mut()) {
        let request = text(&item.entry, "/request");
        let span = if request.is_empty() {
            span_of(journal, session)
        } else {
            request_span(journal, session, request)
        };
        record.insert("traceId".to_owned(), trace_of(journal, session).into());
        record.insert("spanId".to_owned(), span.into());
        record.insert("flags".to_owned(), 1.into());
    }
    record
}

fn sequence(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn trace_of(journal: &str, session: &Session) -> String {
    id(16, &[journal, &session.id])
}

fn span_of(journal: &str, session: &Session) -> String {
    id(8, &[journal, &session.id, "session"])
}

fn request_span(journal: &str, session: &Session, request: &str) -> String {
    id(8, &[journal, &session.id, "request", request])
}

fn severity(item: &Item) -> (i64, &'static str) {
    match item.event() {
        "unproven" => (17, "ERROR"),
        event if event.ends_with("refused") => (13, "WARN"),
        "held" | "session_killed" | "frozen" | "documents_kept" => (13, "WARN"),
        "outcome" if text(&item.entry, "/status") != "done" => (13, "WARN"),
        _ => (9, "INFO"),
    }
}

/// Attributes of whatever happened in a session.
fn of_session(session: &Session, attributes: &mut Vec<Value>) {
    let principal = &session.principal;
    for (key, value) in [
        ("portcullis.session", session.id.as_str()),
        ("portcullis.connection", &session.connection),
        ("deployment.environment.name", &session.environment),
        ("db.system.name", "postgresql"),
        ("db.namespace", &session.database),
        ("client.address", session.peer.rsplit_once(':').map_or("", |(address, _)| address)),
        ("user.id", text(principal, "/subject")),
        ("user.name", text(principal, "/name")),
        ("portcullis.principal.kind", text(principal, "/kind")),
        ("portcullis.principal.issuer", text(principal, "/issuer")),
        ("portcullis.principal.acting_for", text(principal, "/acting_for")),
        ("portcullis.claimed.application", cut(&session.claimed, 256).0),
    ] {
        if !value.is_empty() {
            attributes.push(attribute(key, value));
        }
    }
}

fn describe(item: &Item, attributes: &mut Vec<Value>) {
    let entry = &item.entry;
    attributes.push(attribute("portcullis.entry.hash", &item.hash.to_string()));
    if let Some(session) = &item.known.session {
        of_session(session, attributes);
    }
    for (key, place) in [
        ("portcullis.request", "/request"),
        ("portcullis.operation", "/operation"),
        ("portcullis.refusal.class", "/refusal/class"),
        ("portcullis.rule", "/refusal/rule"),
        ("portcullis.outcome", "/status"),
        ("db.response.status_code", "/error"),
        ("portcullis.reason", "/reason"),
    ] {
        let value = cut(text(entry, place), 4096).0;
        if !value.is_empty() {
            attributes.push(attribute(key, value));
        }
    }
    for (key, place) in [("db.response.returned_rows", "/rows"), ("portcullis.masked", "/masked")] {
        attributes.extend(number(entry, place).map(|value| counted(key, value)));
    }
    if let Some(query) = statements(entry).filter(|query| !query.is_empty()) {
        attributes.push(attribute("db.query.text", cut(&query, LONGEST).0));
    }
    if let Some(parent) = parent(item) {
        attributes.push(attribute("portcullis.claimed.traceparent", &parent));
    }
    let (rest, _) = rest(entry, item.text.len());
    attributes.push(attribute("portcullis.content", &rest.to_string()));
}

/// The spans that have ended with an entry.
pub(super) fn spans(piece: &Piece, journal: &str) -> Vec<Value> {
    let Some(item) = piece.item() else { return Vec::new() };
    let Some(session) = item.known.session.as_deref() else { return Vec::new() };
    let request = text(&item.entry, "/request");
    let verdict = match item.event() {
        "session_closed" => return vec![session_span(item, session, journal)],
        "refused" => "refused",
        "withdrawn" => "withdrawn",
        "outcome" => match item.known.begun.as_deref() {
            Some(begun) if begun.review.is_some() => "approved",
            _ => "permitted",
        },
        _ => return Vec::new(),
    };
    if request.is_empty() {
        return Vec::new();
    }
    vec![of_request(item, (session, request, verdict), journal)]
}

fn session_span(item: &Item, session: &Session, journal: &str) -> Value {
    let mut attributes = Vec::new();
    of_session(session, &mut attributes);
    attributes.push(attribute("portcullis.reason", cut(text(&item.entry, "/reason"), 1024).0));
    json!({
        "traceId": trace_of(journal, session),
        "spanId": span_of(journal, session),
        "name": format!("session {}", session.connection),
        "kind": 2,
        "startTimeUnixNano": nanos(session.opened),
        "endTimeUnixNano": nanos(item.at.max(session.opened)),
        "attributes": attributes,
        "links": links(session.parent.as_ref()),
        "status": {},
    })
}

fn of_request(
    item: &Item,
    (session, request, verdict): (&Session, &str, &str),
    journal: &str,
) -> Value {
    let begun: Option<&Begun> = item.known.begun.as_deref();
    let start = begun.map_or(item.at, |begun| begun.at);
    let mut attributes = Vec::new();
    describe(item, &mut attributes);
    attributes.push(attribute("portcullis.verdict", verdict));
    if let Some(begun) = begun {
        // A refusal has them itself.
        if verdict != "refused" && !begun.query.is_empty() {
            attributes.push(attribute("db.query.text", &begun.query));
        }
        attributes.push(json!({
            "key": "portcullis.held", "value": { "boolValue": begun.held },
        }));
        let rules: Vec<Value> =
            begun.rules.iter().map(|rule| json!({ "stringValue": rule })).collect();
        attributes.push(json!({
            "key": "portcullis.rules", "value": { "arrayValue": { "values": rules } },
        }));
    }
    let own = text(&item.entry, "/operation");
    let operation = begun.map_or(own, |begun| &begun.operation);
    let parent = begun.and_then(|begun| begun.parent.as_ref());
    let good = item.event() == "outcome" && text(&item.entry, "/status") == "done";
    let status = if good { json!({}) } else { json!({ "code": 2, "message": sentence(item) }) };
    json!({
        "traceId": trace_of(journal, session),
        "spanId": request_span(journal, session, request),
        "parentSpanId": span_of(journal, session),
        "name": if operation.is_empty() { "request" } else { cut(operation, 120).0 },
        "kind": 3,
        "startTimeUnixNano": nanos(start.min(item.at)),
        "endTimeUnixNano": nanos(item.at),
        "attributes": attributes,
        "links": links(parent.or(session.parent.as_ref())),
        "status": status,
    })
}

/// What a client says of its trace: where it comes from, and not what it is part of.
fn links(claimed: Option<&TraceParent>) -> Value {
    claimed
        .map(|parent| {
            json!({
                "traceId": parent.trace,
                "spanId": parent.span,
                "flags": parent.flags,
                "attributes": [attribute("portcullis.claimed", "traceparent")],
            })
        })
        .into_iter()
        .collect()
}
