//! OCSF 1.9 (<https://schema.ocsf.io>): a journal's entry as an event of the class that fits what happened, with
//! the profiles `record_integrity`, `security_control` and, where an agent is at work, `ai_operation`.
//!
//! Each event has an attestation: the fingerprint of its canonical form (RFC 8785) without that fingerprint,
//! and that of the event told before it, so that the events of one export are a chain of their own. The
//! hash of the journal's entry is `raw_data_hash`, by which the entry is found and proven.

use super::source::{Item, Piece, What};
use super::standing::Session;
use super::{LONGEST, cut, number, rest, statements, text};
use portcullis_core::digest::Digest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::net::SocketAddr;

/// The version of the schema.
const VERSION: &str = "1.9.0";

/// Where a chain of events is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chain {
    /// The chain's name.
    uid: String,
    /// The event told last: its id, type and fingerprint.
    last: Option<(String, i64, String)>,
}

impl Chain {
    /// One that begins.
    pub(crate) const fn new(uid: String) -> Self {
        Self { uid, last: None }
    }
}

/// A class of events: number, name, category.
type Class = (i64, &'static str, (i64, &'static str));

const IAM: (i64, &str) = (3, "Identity & Access Management");
const APPLICATION: (i64, &str) = (6, "Application Activity");
const BASE: Class = (0, "Base Event", (0, "Uncategorized"));
const AUTHENTICATION: Class = (3002, "Authentication", IAM);
const ENTITY: Class = (3004, "Entity Management", IAM);
const ACCESS: Class = (3005, "User Access Management", IAM);
const LIFECYCLE: Class = (6002, "Application Lifecycle", APPLICATION);
const DATASTORE: Class = (6005, "Datastore Activity", APPLICATION);
const ERROR: Class = (6008, "Application Error", APPLICATION);

/// How it ended, by the words of OCSF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Success,
    Failure,
    /// Neither, or not yet: in a word.
    Other(&'static str),
}

use Status::{Failure, Other, Success};

/// Where an entry belongs: class, activity, status, severity.
type Place = (Class, (i64, &'static str), Status, (i64, &'static str));

const INFO: (i64, &str) = (1, "Informational");
const LOW: (i64, &str) = (2, "Low");
const MEDIUM: (i64, &str) = (3, "Medium");
const HIGH: (i64, &str) = (4, "High");
const CRITICAL: (i64, &str) = (5, "Critical");

/// Where an entry belongs, by its event. What is not known here is a base event, and told whole.
fn place(event: &str, entry: &Value) -> Place {
    let query = |status, severity| (DATASTORE, (4, "Query"), status, severity);
    let log_on = |status, severity| (AUTHENTICATION, (1, "Logon"), status, severity);
    let entity = |number, name, status, severity| (ENTITY, (number, name), status, severity);
    let access = |word, status, severity| (ACCESS, (99, word), status, severity);
    match event {
        "started" => (LIFECYCLE, (3, "Start"), Success, INFO),
        "governed" => (LIFECYCLE, (8, "Update"), Success, INFO),
        "unproven" => (ERROR, (1, "General Error"), Failure, HIGH),
        "contents_removed" | "recording_removed" => entity(4, "Delete", Success, LOW),
        "login_refused" | "sign_in_refused" => log_on(Failure, MEDIUM),
        "session_opened" | "signed_in" => log_on(Success, INFO),
        "session_closed" | "signed_out" => (AUTHENTICATION, (2, "Logoff"), Success, INFO),
        "credential_issued" => (AUTHENTICATION, (3, "Authentication Ticket"), Success, INFO),
        "exchange_refused" => (AUTHENTICATION, (3, "Authentication Ticket"), Failure, MEDIUM),
        "intent" | "rehearsed" => query(Success, INFO),
        "held" => query(Other("Held"), LOW),
        "withdrawn" => query(Other("Withdrawn"), INFO),
        "refused" => query(Failure, MEDIUM),
        "outcome" => match text(entry, "/status") {
            "done" => query(Success, INFO),
            "undone" => query(Other("Undone"), INFO),
            "unknown" => query(Other("Unknown"), MEDIUM),
            _ => query(Failure, LOW),
        },
        "watched" => entity(2, "Read", Success, INFO),
        "decided" | "review_message" => entity(3, "Update", Success, INFO),
        "decision_refused" | "chat_refused" => entity(3, "Update", Failure, MEDIUM),
        "pattern_revoked" | "credential_revoked" => entity(11, "Deactivate", Success, LOW),
        "session_killed" => entity(9, "Disable", Success, MEDIUM),
        "session_paused" => entity(12, "Suspend", Success, LOW),
        "session_resumed" => entity(13, "Resume", Success, INFO),
        "frozen" => entity(8, "Enable", Success, MEDIUM),
        "thawed" => entity(9, "Disable", Success, LOW),
        "administration_refused" => entity(99, "Administration refused", Failure, MEDIUM),
        "document_changed" => match (entry.get("before"), entry.get("after")) {
            (None, _) => entity(1, "Create", Success, LOW),
            (_, None) => entity(4, "Delete", Success, LOW),
            _ => entity(3, "Update", Success, LOW),
        },
        "documents_kept" => entity(3, "Update", Failure, LOW),
        "passkey_registered" => entity(6, "Enroll", Success, LOW),
        "passkey_removed" => entity(7, "Unenroll", Success, LOW),
        "passkey_refused" => entity(99, "Passkey refused", Failure, MEDIUM),
        "access_requested" => access("Requested", Other("Requested"), INFO),
        "access_escalated" => access("Escalated", Other("Escalated"), LOW),
        "access_decided" => access("Decided", Success, INFO),
        "access_refused" => access("Refused", Failure, MEDIUM),
        "access_begun" => (ACCESS, (1, "Assign Privileges"), Success, LOW),
        "access_ended" => (ACCESS, (2, "Revoke Privileges"), Success, INFO),
        _ => (BASE, (99, "Other"), Other("Other"), INFO),
    }
}

/// Whether there is such an event in the journal.
pub(super) fn is_event(word: &str) -> bool {
    place(word, &Value::Null).0 != BASE
}

/// The event of an entry, as canonical JSON. The chain goes on with it.
pub(super) fn event(piece: &Piece, journal: &str, chain: &mut Chain) -> String {
    let uid = format!("{journal}#{}", piece.sequence);
    let mut event = match &piece.what {
        What::Entry(item) => of_entry(item),
        What::Gap { why, removed: true, .. } => {
            of_place((ENTITY, (4, "Delete"), Success, LOW), why.clone())
        }
        What::Gap { why, .. } => {
            of_place((ERROR, (1, "General Error"), Failure, CRITICAL), why.clone())
        }
        What::Withheld { why, .. } => {
            of_place((BASE, (99, "Other"), Other("Withheld"), MEDIUM), why.clone())
        }
    };
    if let What::Withheld { hash, .. } = &piece.what {
        event.insert("raw_data_hash".to_owned(), fingerprint(&hash.to_string(), false));
    }
    let millis = piece.at().as_micros().div_euclid(1000);
    event.insert("time".to_owned(), millis.into());
    let type_uid = event.get("type_uid").and_then(Value::as_i64).unwrap_or_default();
    let mut profiles = vec!["record_integrity"];
    let with = |profile, key| event.contains_key(key).then_some(profile);
    profiles.extend(with("ai_operation", "ai_agent"));
    profiles.extend(with("security_control", "action_id"));
    let whole = event.remove("is_whole").is_none();
    let mut metadata = json!({
        "version": VERSION,
        "uid": uid,
        "product": {
            "name": "Portcullis", "vendor_name": "Portcullis", "version": env!("CARGO_PKG_VERSION"),
        },
        "log_name": "journal",
        "log_provider": journal,
        "sequence": piece.sequence,
        "profiles": profiles,
    });
    let correlation = event.remove("correlation_uid");
    let code = piece.item().map(Item::event).filter(|code| !code.is_empty());
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.extend(correlation.map(|one| ("correlation_uid".to_owned(), one)));
        metadata.extend(code.map(|code| ("event_code".to_owned(), code.into())));
        metadata.extend((!whole).then(|| ("is_truncated".to_owned(), true.into())));
    }
    event.insert("metadata".to_owned(), metadata);
    attest(Value::Object(event), (uid, type_uid), journal, chain)
}

/// Adds the attestation, whose fingerprint is over all the rest.
fn attest(
    event: Value,
    (uid, type_uid): (String, i64),
    journal: &str,
    chain: &mut Chain,
) -> String {
    let mut attestation = json!({
        "uid": uid, "authority_uid": journal, "chain_uid": chain.uid,
    });
    if let (Some((uid, type_uid, value)), Some(of)) = (&chain.last, attestation.as_object_mut()) {
        let before = json!({
            "uid": uid, "type_uid": type_uid, "fingerprint": fingerprint(value, true),
        });
        of.insert("prev_event".to_owned(), before);
    }
    let mut event = event;
    let mut put = |attestation: &Value| {
        if let Some(event) = event.as_object_mut() {
            event.insert("attestation_list".to_owned(), json!([attestation]));
        }
        canonical(&event)
    };
    let digest = digest(put(&attestation).as_bytes());
    if let Some(of) = attestation.as_object_mut() {
        of.insert("fingerprint".to_owned(), fingerprint(&digest, true));
    }
    let line = put(&attestation);
    chain.last = Some((uid, type_uid, digest));
    line
}

fn digest(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let whole = <[u8; 32]>::try_from(digest.as_ref()).unwrap_or_default();
    Digest::from_bytes(whole).to_string()
}

fn fingerprint(value: &str, canonical: bool) -> Value {
    let (id, name) = if canonical { (2, "JCS") } else { (1, "Flat") };
    json!({
        "algorithm": "SHA-256", "algorithm_id": 3, "encoding": "Hex", "encoding_id": 1,
        "serialization": name, "serialization_id": id, "value": value,
    })
}

/// What every event of a place has.
fn of_place(place: Place, message: String) -> Map<String, Value> {
    let ((class, name, (category, category_name)), (activity, word), status, (severity, grave)) =
        place;
    let (status_id, status) = match status {
        Success => (1, "Success"),
        Failure => (2, "Failure"),
        Other(word) => (99, word),
    };
    let event = json!({
        "class_uid": class, "class_name": name,
        "category_uid": category, "category_name": category_name,
        "activity_id": activity, "activity_name": word,
        "type_uid": class * 100 + activity, "type_name": format!("{name}: {word}"),
        "severity_id": severity, "severity": grave,
        "status_id": status_id, "status": status,
        "message": message,
    });
    event.as_object().cloned().unwrap_or_default()
}

fn of_entry(item: &Item) -> Map<String, Value> {
    let entry = &item.entry;
    let place = place(item.event(), entry);
    let mut event = of_place(place, message(item));
    let mut put = |key: &str, value: Value| {
        event.insert(key.to_owned(), value);
    };
    put("raw_data_hash", fingerprint(&item.hash.to_string(), false));
    put("raw_data_size", item.text.len().into());
    let (rest, omitted) = rest(entry, item.text.len());
    let mut unmapped = json!({ "entry": rest });
    if let Some(parent) = parent(item)
        && let Some(of) = unmapped.as_object_mut()
    {
        of.insert("claimed_traceparent".to_owned(), parent.into());
    }
    put("unmapped", unmapped);
    let query = statements(entry).map(|all| (cut(&all, LONGEST).0.to_owned(), all.len()));
    if omitted || query.as_ref().is_some_and(|(shown, length)| shown.len() < *length) {
        put("is_whole", false.into());
    }
    if let Some(detail) = detail(item) {
        put("status_detail", detail.into());
    }
    let class = place.0.0;
    if class == DATASTORE.0 {
        datastore(item, query, &mut put);
    }
    if let (Some(action), true) = (action(item.event()), class == DATASTORE.0) {
        let ((action, word), (disposition, done)) = action;
        put("action_id", action.into());
        put("action", word.into());
        put("disposition_id", disposition.into());
        put("disposition", done.into());
    }
    if class == AUTHENTICATION.0 {
        authentication(item, &mut put);
    } else if class == ENTITY.0 {
        put("entity", managed(item));
        put("actor", json!({ "user": actor(item) }));
    } else if class == ACCESS.0 {
        put("user", subject(item));
        put("actor", json!({ "user": actor(item) }));
        put("privileges", json!([privilege(entry)]));
    } else if class == LIFECYCLE.0 {
        let version = env!("CARGO_PKG_VERSION");
        put(
            "app",
            json!({ "name": "Portcullis", "vendor_name": "Portcullis", "version": version }),
        );
    }
    let correlation = [text(entry, "/request"), text(entry, "/session")];
    if let Some(one) = correlation.into_iter().find(|one| !one.is_empty()) {
        put("correlation_uid", one.into());
    }
    if let Some(session) = &item.known.session
        && (class == DATASTORE.0 || class == AUTHENTICATION.0)
    {
        agent(session, &mut put);
    }
    event
}

/// A number of OCSF, and its word.
type Word = (i64, &'static str);

/// What was decided on a request: action and disposition.
fn action(event: &str) -> Option<(Word, Word)> {
    match event {
        "intent" => Some(((1, "Allowed"), (1, "Allowed"))),
        "refused" => Some(((2, "Denied"), (2, "Blocked"))),
        "held" => Some(((99, "Held"), (14, "Delayed"))),
        _ => None,
    }
}

fn datastore(item: &Item, query: Option<(String, usize)>, put: &mut dyn FnMut(&str, Value)) {
    let (entry, session) = (&item.entry, item.known.session.as_deref());
    let mut by = json!({ "user": actor(item) });
    if let (Some(session), Some(of)) = (session, by.as_object_mut()) {
        of.insert("session".to_owned(), session_of(session));
    }
    let rules = entry.pointer("/rules").and_then(Value::as_array);
    let rules = rules.into_iter().flatten().filter_map(Value::as_str);
    let decided: Vec<Value> =
        rules.map(|rule| json!({ "decision": "allowed", "policy": { "name": rule } })).collect();
    let refused = text(entry, "/refusal/rule");
    if let Some(of) = by.as_object_mut() {
        if !decided.is_empty() {
            of.insert("authorizations".to_owned(), decided.into());
        } else if !refused.is_empty() {
            let decision = json!([{ "decision": "denied", "policy": { "name": refused } }]);
            of.insert("authorizations".to_owned(), decision);
        }
    }
    put("actor", by);
    put("src_endpoint", endpoint(session.map_or("", |session| &session.peer)));
    let name = |name: &str| if name.is_empty() { "unknown".to_owned() } else { name.to_owned() };
    let connection = name(session.map_or("", |session| &session.connection));
    put("dst_endpoint", json!({ "name": connection, "svc_name": connection }));
    let (database, kind) = session
        .map_or(("", (0, "Unknown")), |session| (session.database.as_str(), (1, "Relational")));
    put("database", json!({ "name": name(database), "type_id": kind.0, "type": kind.1 }));
    put("type_id", 1.into());
    put("type", "Database".into());
    if let Some((shown, _)) = query.filter(|(shown, _)| !shown.is_empty()) {
        put("query_info", json!({ "query_string": shown, "uid": text(entry, "/request") }));
    }
    if let Some(micros) = number(entry, "/micros") {
        put("duration", micros.div_euclid(1000).into());
        let end = item.at.as_micros();
        put("start_time", end.saturating_sub(micros).div_euclid(1000).into());
        put("end_time", end.div_euclid(1000).into());
    }
    let code = text(entry, "/error");
    if !code.is_empty() {
        put("status_code", code.into());
    }
}

fn authentication(item: &Item, put: &mut dyn FnMut(&str, Value)) {
    let (entry, session) = (&item.entry, item.known.session.as_deref());
    put("user", subject(item));
    put("service", json!({ "name": "Portcullis", "version": env!("CARGO_PKG_VERSION") }));
    put("is_remote", true.into());
    let peer = session.map_or_else(|| text(entry, "/peer"), |session| &session.peer);
    put("src_endpoint", endpoint(peer));
    let connection = session.map_or_else(|| text(entry, "/connection"), |one| &one.connection);
    if !connection.is_empty() {
        put("dst_endpoint", json!({ "name": connection, "svc_name": connection }));
    }
    let browser = text(entry, "/browser");
    match session {
        Some(session) => put("session", session_of(session)),
        None if !browser.is_empty() => put("session", json!({ "uid": browser })),
        None => {}
    }
}

/// The profile `ai_operation`, where it is an agent that is at work. Nobody tells the gateway of its model.
fn agent(session: &Session, put: &mut dyn FnMut(&str, Value)) {
    let principal = &session.principal;
    if text(principal, "/kind") != "agent" {
        return;
    }
    put(
        "ai_agent",
        json!({
            "uid": text(principal, "/subject"),
            "name": text(principal, "/name"),
            "instance_uid": session.id,
            "type_id": 0,
            "type": "Unknown",
        }),
    );
    let claimed = cut(&session.claimed, 256).0;
    let mut context = json!({
        "uid": session.id,
        "ai_role_id": 4,
        "ai_role": "Agent",
        "service": { "name": session.connection },
    });
    if let (Some(context), false) = (context.as_object_mut(), claimed.is_empty()) {
        context.insert("application".to_owned(), json!({ "name": claimed }));
    }
    put("message_context", context);
}

fn session_of(session: &Session) -> Value {
    let mut of = json!({
        "uid": session.id,
        "created_time": session.opened.as_micros().div_euclid(1000),
        "issuer": text(&session.principal, "/issuer"),
        "is_remote": true,
    });
    if let (Some(expires), Some(of)) = (number(&session.principal, "/expires"), of.as_object_mut())
    {
        of.insert("expiration_time".to_owned(), expires.div_euclid(1000).into());
    }
    of
}

/// A principal, or who did something.
fn user(of: &Value) -> Value {
    let (uid, name) = (text(of, "/subject"), text(of, "/name"));
    let (uid, name) = match of.as_str() {
        Some(subject) => (subject, subject),
        None => (uid, if name.is_empty() { uid } else { name }),
    };
    let (id, kind) = match text(of, "/kind") {
        "person" => (1, "User"),
        "workload" => (4, "Service"),
        "agent" => (99, "Agent"),
        _ => (0, "Unknown"),
    };
    let known = |text: &str| if text.is_empty() { "unknown".to_owned() } else { text.to_owned() };
    let mut user = json!({ "uid": known(uid), "name": known(name), "type_id": id, "type": kind });
    let Some(fields) = user.as_object_mut() else { return user };
    let issuer = text(of, "/issuer");
    if !issuer.is_empty() {
        fields.insert("domain".to_owned(), issuer.into());
    }
    let groups = of.get("groups").and_then(Value::as_array).into_iter().flatten();
    let groups: Vec<Value> =
        groups.filter_map(Value::as_str).map(|name| json!({ "name": name })).collect();
    if !groups.is_empty() {
        fields.insert("groups".to_owned(), groups.into());
    }
    user
}

/// Who did it.
fn actor(item: &Item) -> Value {
    // The proof by a passkey, where that is what stands there, names nobody but by subject.
    let by = item.entry.get("by").filter(|by| by.is_object() && by.get("credential").is_none());
    let session = item.known.session.as_ref().map(|session| &session.principal);
    user(by.or(session).unwrap_or(&principal(&item.entry)))
}

/// Whom it is about.
fn subject(item: &Item) -> Value {
    let session = item.known.session.as_ref().map(|session| &session.principal);
    user(session.unwrap_or(&principal(&item.entry)))
}

/// The principal that an entry names.
fn principal(entry: &Value) -> Value {
    let places = ["/principal", "/ask/principal", "/principals/0", "/by", "/of"];
    places.into_iter().find_map(|place| entry.pointer(place)).cloned().unwrap_or_default()
}

/// Where from: an address and port, or words.
fn endpoint(peer: &str) -> Value {
    match peer.parse::<SocketAddr>() {
        Ok(address) => {
            json!({ "ip": address.ip().to_canonical().to_string(), "port": address.port() })
        }
        Err(_) if peer.is_empty() => json!({ "name": "unknown" }),
        Err(_) => match peer.parse::<std::net::IpAddr>() {
            Ok(ip) => json!({ "ip": ip.to_canonical().to_string() }),
            Err(_) => json!({ "name": cut(peer, 256).0 }),
        },
    }
}

/// What was managed: the first of the things an entry names.
fn managed(item: &Item) -> Value {
    let named = [
        ("/freeze/id", "Freeze"),
        ("/freeze", "Freeze"),
        ("/pattern", "Pattern"),
        ("/review", "Review"),
        ("/passkey", "Passkey"),
        ("/credential", "Credential"),
        ("/recording", "Recording"),
        ("/session", "Session"),
        ("/name", "Document"),
        ("/set", "Documents"),
        ("/what", "Gateway"),
        ("/chat", "Chat"),
    ];
    let found = named.into_iter().find_map(|(place, kind)| {
        let value = item.entry.pointer(place)?;
        let uid = value.as_str().map(str::to_owned);
        Some((uid.or_else(|| value.as_u64().map(|set| set.to_string()))?, kind))
    });
    let (uid, kind) = found.unwrap_or_else(|| ("recordings".to_owned(), "Recording"));
    json!({ "uid": cut(&uid, 512).0, "name": cut(&uid, 512).0, "type": kind, "type_id": 99 })
}

fn privilege(entry: &Value) -> String {
    let either = |name: &str| {
        let own = text(entry, &format!("/{name}"));
        if own.is_empty() { text(entry, &format!("/ask/{name}")) } else { own }
    };
    let (connection, role) = (either("connection"), either("role"));
    match (connection.is_empty(), role.is_empty()) {
        (true, _) => text(entry, "/grant").to_owned(),
        (_, true) => connection.to_owned(),
        _ => format!("{connection} as {role}"),
    }
}

/// Why, in words.
fn detail(item: &Item) -> Option<String> {
    let entry = &item.entry;
    let places = ["/refusal/why", "/why", "/reason", "/decision", "/ground/reason", "/status"];
    let found = places.into_iter().map(|place| text(entry, place)).find(|one| !one.is_empty());
    found.map(|one| cut(one, 1024).0.to_owned())
}

/// What a client says of the trace it is in: of the request, else of the session.
pub(super) fn parent(item: &Item) -> Option<String> {
    let of_request = item.known.begun.as_ref().and_then(|begun| begun.parent.as_ref());
    let of_session = item.known.session.as_ref().and_then(|session| session.parent.as_ref());
    of_request.or(of_session).map(super::traceparent::TraceParent::text)
}

/// What happened, in a line.
pub(super) fn message(item: &Item) -> String {
    let places = ["/operation", "/refusal/what", "/what", "/why", "/reason"];
    let all = places.into_iter().map(|place| text(&item.entry, place));
    let begun = item.known.begun.as_ref().map(|begun| begun.operation.as_str());
    let what = all.chain(begun).find(|one| !one.is_empty()).unwrap_or_default();
    let event = item.event().replace('_', " ");
    let event = if event.is_empty() { "an entry that is no JSON".to_owned() } else { event };
    match cut(what, 512).0 {
        "" => event,
        what => format!("{event}: {what}"),
    }
}

/// JSON in its canonical form (RFC 8785): names in the order of their UTF-16, no white space. Numbers here are
/// whole ones.
pub(super) fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut String) {
    let mut separator = "";
    match value {
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for name in names {
                out.push_str(separator);
                separator = ",";
                let _ = write!(out, "{}:", Value::from(name.as_str()));
                write_canonical(fields.get(name).unwrap_or(&Value::Null), out);
            }
            out.push('}');
        }
        Value::Array(all) => {
            out.push('[');
            for one in all {
                out.push_str(separator);
                separator = ",";
                write_canonical(one, out);
            }
            out.push(']');
        }
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

#[cfg(test)]
mod tests;
