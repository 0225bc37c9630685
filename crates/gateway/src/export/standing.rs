//! What is known of the sessions that are open where the journal is read: entries name a session, and say who
//! is at work in it only where it begins.

use super::source::Shared;
use super::traceparent::{SETTING, TraceParent};
use super::{number, statements, text};
use portcullis_core::time::Timestamp;
use portcullis_ledger::tail::Position;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// How many sessions are known at most. A gateway has fewer open at once; of those beyond, entries are told
/// with what they say themselves.
const MOST: usize = 65_536;
/// How many requests of one session are known at most.
const MOST_REQUESTS: usize = 64;

/// A session, as its first entry has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) opened: Timestamp,
    pub(super) peer: String,
    pub(super) principal: Value,
    pub(super) connection: String,
    pub(super) environment: String,
    pub(super) database: String,
    pub(super) role: String,
    /// What the client says of itself.
    pub(super) claimed: String,
    pub(super) parent: Option<TraceParent>,
}

/// A request that was held or forwarded, and has not ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Begun {
    pub(super) at: Timestamp,
    pub(super) operation: String,
    /// The beginning of its statements.
    pub(super) query: String,
    /// It has waited for people.
    pub(super) held: bool,
    pub(super) rules: Vec<String>,
    pub(super) review: Option<String>,
    pub(super) parent: Option<TraceParent>,
}

/// What is known of an entry.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(super) session: Shared<Session>,
    pub(super) begun: Shared<Begun>,
}

#[derive(Debug)]
struct Open {
    session: Arc<Session>,
    requests: Vec<(String, Arc<Begun>)>,
    /// Where its first entry is.
    from: Position,
}

/// Sessions that are open.
#[derive(Debug, Default)]
pub(super) struct Sessions(HashMap<String, Open>);

impl Sessions {
    /// Where the first entry of the one is that has been open longest.
    pub(super) fn since(&self) -> Option<Position> {
        self.0.values().map(|open| open.from).min_by_key(|from| from.sequence)
    }

    /// Takes note of an entry, and says what is known of it. `from`: where it is.
    pub(super) fn note(&mut self, entry: &Value, from: Position) -> Known {
        let id = text(entry, "/session");
        if id.is_empty() {
            return Known::default();
        }
        match text(entry, "/event") {
            "session_opened" if self.0.len() < MOST => {
                let session = Arc::new(opened(id, entry));
                let open = Open { session: session.clone(), requests: Vec::new(), from };
                self.0.insert(id.to_owned(), open);
                Known { session: Some(session), begun: None }
            }
            "session_closed" => {
                let gone = self.0.remove(id);
                Known { session: gone.map(|open| open.session), begun: None }
            }
            event => {
                let Some(open) = self.0.get_mut(id) else { return Known::default() };
                Known { session: Some(open.session.clone()), begun: open.request(event, entry) }
            }
        }
    }
}

impl Open {
    fn request(&mut self, event: &str, entry: &Value) -> Shared<Begun> {
        let id = text(entry, "/request");
        if id.is_empty() {
            return None;
        }
        let place = self.requests.iter().position(|(known, _)| known == id);
        let before = place.map(|place| self.requests.remove(place).1);
        let begins = matches!(event, "held" | "intent" | "rehearsed");
        if !begins && (event != "refused" || before.is_some()) {
            return before;
        }
        let begun = Arc::new(begun(event, entry, before.as_deref()));
        if !begins {
            return Some(begun);
        }
        if self.requests.len() >= MOST_REQUESTS {
            self.requests.remove(0);
        }
        self.requests.push((id.to_owned(), begun.clone()));
        Some(begun)
    }
}

fn opened(id: &str, entry: &Value) -> Session {
    let of = |name: &str| text(entry, &format!("/standing/connection/{name}")).to_owned();
    let settings = entry.pointer("/settings").and_then(Value::as_array);
    let mut settings = settings.into_iter().flatten().filter_map(Value::as_str);
    Session {
        id: id.to_owned(),
        opened: Timestamp::from_micros(number(entry, "/at").unwrap_or_default()),
        peer: text(entry, "/peer").to_owned(),
        principal: entry.pointer("/standing/principal").cloned().unwrap_or_default(),
        connection: of("name"),
        environment: of("environment"),
        database: of("database"),
        role: of("role"),
        claimed: text(entry, "/claimed").to_owned(),
        parent: settings.find_map(|one| TraceParent::parse(one.strip_prefix(SETTING)?)),
    }
}

fn begun(event: &str, entry: &Value, before: Option<&Begun>) -> Begun {
    let list = entry.pointer("/rules").and_then(Value::as_array);
    let rules = list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let own = text(entry, "/operation");
    let review = entry.pointer("/review").or_else(|| entry.pointer("/ticket/review"));
    let at = Timestamp::from_micros(number(entry, "/at").unwrap_or_default());
    let query = statements(entry).unwrap_or_default();
    Begun {
        at: before.map_or(at, |before| before.at),
        operation: super::cut(own, 1024).0.to_owned(),
        held: event == "held" || before.is_some_and(|before| before.held),
        rules: rules.take(32).collect(),
        review: review.and_then(Value::as_str).map(str::to_owned),
        parent: TraceParent::of_statement(&query),
        query: super::cut(&query, 2048).0.to_owned(),
    }
}
