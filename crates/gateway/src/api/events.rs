//! `/api/v1/events`: what waits, what runs, what is granted and what is frozen, told whenever it changes, as server-sent
//! events (HTML Living Standard, section 9.2).
//!
//! Each event holds the whole of what its list route would show the same caller, in a form to look
//! through; so one that is missed is made good by the next. Whoever listens is verified again while it
//! does: a token that expires, or a sign-in that ends, ends its events.

use super::live::Caller;
use super::{Problem, front, grants, may_see, principal};
use crate::services::{Services, stopped};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures_core::Stream;
use portcullis_core::basis::Estimate;
use portcullis_core::digest::{Digest, Digester};
use portcullis_core::id::ReviewId;
use portcullis_core::principal::Principal;
use portcullis_core::rehearsal::Stage;
use portcullis_core::review::DeskError;
use portcullis_core::time::Timestamp;
use portcullis_core::verdict::ConnectionFacts;
use portcullis_store::{Filter, ReviewRow, Status};
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// How often the list of sessions is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How often reviews are, where nobody says that they have changed: what lapses does so by itself, and
/// other gateways may work on the same store.
const LOOK_AGAIN: Duration = Duration::from_secs(3);
/// How long is waited for changes that follow one.
const SETTLE: Duration = Duration::from_millis(50);
/// How often it is asked whether the caller is still who it was.
const VERIFY: Duration = Duration::from_secs(10);
/// How often a client is told that there is nothing new.
const STILL_HERE: Duration = Duration::from_secs(15);
/// How long an event may take to be taken.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of a request's text in the queue; its page has all of it.
const PREVIEW: usize = 400;
/// Most streams of one caller, and of all: they leave room for other connections.
const MOST: (usize, usize) = (8, crate::http::MOST_CONNECTIONS / 2);

/// Its route.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new().route("/api/v1/events", get(events))
}

async fn events(
    State(services): State<Arc<Services>>,
    mut headers: HeaderMap,
) -> Result<Response, Problem> {
    // Nobody need be there to listen.
    headers.insert(front::BY_ITSELF, HeaderValue::from_static("1"));
    let caller = principal(&services, &headers).await?;
    let place = LISTENERS.enter(&caller).ok_or_else(|| {
        let detail = format!("a caller may listen {} times at once: close some", MOST.0);
        Problem::new(StatusCode::TOO_MANY_REQUESTS, detail)
    })?;
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        let _place = place;
        let stop = stopped(services.stopping.clone());
        let mut listener = Listener::new(&services, caller, headers, sender.clone());
        tokio::select! {
            // Whether it was the caller who left or the gateway that stops: it is over.
            () = stop => {}
            () = sender.closed() => {}
            _ = listener.tell() => {}
        }
    });
    let told = Sse::new(Events(receiver));
    Ok(told.keep_alive(KeepAlive::new().interval(STILL_HERE)).into_response())
}

/// The events of one listener, on their way to it.
pub(super) struct Events(pub(super) mpsc::Receiver<Event>);

impl Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|event| event.map(Ok))
    }
}

/// Why somebody is told nothing more.
struct Over;

/// Somebody who is told.
struct Listener<'a> {
    services: &'a Services,
    caller: Caller,
    headers: HeaderMap,
    sender: mpsc::Sender<Event>,
    reviews: watch::Receiver<u64>,
    grants: watch::Receiver<u64>,
    /// Digests of what was told last, by kind.
    told: HashMap<&'static str, Digest>,
}

impl<'a> Listener<'a> {
    fn new(
        services: &'a Services,
        caller: Principal,
        headers: HeaderMap,
        sender: mpsc::Sender<Event>,
    ) -> Self {
        let caller = Caller::of(services, caller);
        let (reviews, grants) = (services.desk.changes(), services.grants.changes());
        Self { services, caller, headers, sender, reviews, grants, told: HashMap::new() }
    }

    /// Tells what there is, and then what changes, until there is nobody to tell.
    async fn tell(&mut self) -> Result<Infallible, Over> {
        let mut verified = Instant::now();
        let (mut reviewed, mut changed) = (verified, true);
        let frozen = self.services.freezes.view();
        loop {
            if verified.elapsed() >= VERIFY {
                let caller = principal(self.services, &self.headers).await.map_err(|_| Over)?;
                self.caller = Caller::of(self.services, caller);
                verified = Instant::now();
            }
            if changed || reviewed.elapsed() >= LOOK_AGAIN {
                reviewed = Instant::now();
                // Where the store is not available there is nothing new to tell, and no less.
                if let Ok(queue) = self.queue().await {
                    self.tell_if_new("reviews", &queue).await?;
                }
                if let Ok(mut grants) =
                    self.services.grants.list(false, self.caller.concerned()).await
                {
                    grants.retain(|row| grants::may_see(&self.caller, row));
                    // As the queue is: oldest first.
                    grants.reverse();
                    self.tell_if_new("grants", &grants).await?;
                }
            }
            let sessions = self.services.sessions.list(|owner| self.caller.may_see(owner));
            self.tell_if_new("sessions", &sessions).await?;
            let freezes = frozen.in_force().freezes.map(|all| {
                let mut all = all.to_vec();
                all.retain(|freeze| self.caller.may_see_freeze(self.services, freeze));
                all
            });
            match freezes {
                Ok(freezes) => self.tell_if_new("freezes", &freezes).await?,
                // Nobody knows what is frozen: then agents do nothing.
                Err(_) => self.tell_if_new("freezes", &json!(null)).await?,
            }
            changed = tokio::time::timeout(LOOK, self.changed()).await.is_ok();
            if changed {
                // Changes come in company.
                tokio::time::sleep(SETTLE).await;
            }
        }
    }

    /// Resolves when a review or a grant is different.
    async fn changed(&mut self) {
        tokio::select! {
            // Where a desk is gone, so is the gateway.
            _ = self.reviews.changed() => {}
            _ = self.grants.changed() => {}
        }
    }

    async fn tell_if_new(&mut self, kind: &'static str, what: &impl Serialize) -> Result<(), Over> {
        let text = serde_json::to_string(what).map_err(|_| Over)?;
        let digest = Digester::new("portcullis/events/1").part(text.as_bytes()).finish();
        if self.told.get(kind) == Some(&digest) {
            return Ok(());
        }
        let sent = self.sender.send(Event::default().event(kind).data(text));
        // Whoever does not read for so long is nobody to keep a place for.
        tokio::time::timeout(PATIENCE, sent).await.map_err(|_| Over)?.map_err(|_| Over)?;
        self.told.insert(kind, digest);
        Ok(())
    }

    /// What is open, oldest first.
    async fn queue(&self) -> Result<Vec<Waiting>, DeskError> {
        let (mut queue, caller) = (Vec::new(), self.caller.principal());
        for status in [Status::Pending, Status::Approved] {
            let viewer = Some(caller.clone());
            let filter = Filter { status: Some(status), viewer, ..Filter::default() };
            queue.extend(self.services.desk.list(&filter).await?);
        }
        queue.retain(|row| may_see(caller, row));
        queue.sort_by_key(|row| (row.ask.at, row.id));
        Ok(queue.iter().map(Waiting::of).collect())
    }
}

/// A review in the queue. Texts in it are a caller's.
#[derive(Debug, Serialize)]
struct Waiting {
    id: ReviewId,
    status: Status,
    at: Timestamp,
    expires: Timestamp,
    digest: String,
    /// The caller, and for whom it acts.
    who: String,
    connection: ConnectionFacts,
    operation: String,
    what: String,
    rule: String,
    /// The beginning of what will run.
    text: String,
    waiting_for: BTreeSet<String>,
    decisions: usize,
    repeats: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rehearsal: Option<Stage>,
}

impl Waiting {
    fn of(row: &ReviewRow) -> Self {
        let ask = &row.ask;
        let text = ask.shown.statements.join(";\n");
        let cut = text.get(..text.floor_char_boundary(PREVIEW)).unwrap_or("");
        let rows = match &ask.estimate {
            Estimate::Rows { rows, .. } => Some(*rows),
            Estimate::None { .. } => None,
        };
        Self {
            id: row.id,
            status: row.status,
            at: ask.at,
            expires: row.expires,
            digest: ask.digest.short(),
            who: ask.standing.principal.to_string(),
            connection: ask.standing.connection.clone(),
            operation: ask.operation.clone(),
            what: ask.ground.what.clone(),
            rule: ask.ground.rule.clone(),
            text: if cut.len() < text.len() { format!("{cut}…") } else { text },
            waiting_for: row.waiting_for.clone(),
            decisions: row.decisions.len(),
            repeats: row.repeats,
            rows,
            rehearsal: row.rehearsal.as_ref().map(|rehearsal| rehearsal.stage),
        }
    }
}

static LISTENERS: LazyLock<Listeners> = LazyLock::new(|| Listeners::new(MOST.0, MOST.1));

/// How many streams each caller has, and how many it and all may have.
pub(super) struct Listeners {
    places: Mutex<HashMap<(String, String), usize>>,
    most: (usize, usize),
}

/// A place among them, until it is dropped.
pub(super) struct Place<'a>(&'a Listeners, (String, String));

impl Listeners {
    pub(super) fn new(own: usize, all: usize) -> Self {
        Self { places: Mutex::default(), most: (own, all) }
    }

    fn places(&self) -> MutexGuard<'_, HashMap<(String, String), usize>> {
        // The map is whole after every operation on it.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self, caller: &Principal) -> Option<Place<'_>> {
        let who = (caller.issuer.clone(), caller.subject.clone());
        let mut places = self.places();
        let (own, all) = (places.get(&who).copied().unwrap_or(0), places.values().sum::<usize>());
        if own >= self.most.0 || all >= self.most.1 {
            return None;
        }
        places.insert(who.clone(), own + 1);
        Some(Place(self, who))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut places = self.0.places();
        match places.get_mut(&self.1) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(places.remove(&self.1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_core::principal::PrincipalKind;

    fn caller(subject: &str) -> Principal {
        Principal {
            kind: PrincipalKind::Person,
            subject: subject.to_owned(),
            name: subject.to_owned(),
            issuer: "https://issuer".to_owned(),
            acting_for: None,
            acting_for_issuer: None,
            email: None,
            groups: BTreeSet::new(),
            token_id: None,
            expires: Timestamp::from_micros(0),
        }
    }

    #[test]
    fn nobody_takes_the_places_of_others() {
        let listeners = Listeners::new(MOST.0, MOST.1);
        let one = caller("one");
        let mut places: Vec<_> = (0..MOST.0).map(|_| listeners.enter(&one).unwrap()).collect();
        assert!(listeners.enter(&one).is_none());
        assert!(listeners.enter(&caller("two")).is_some());
        places.pop();
        assert!(listeners.enter(&one).is_some());
        places.clear();
        assert!(listeners.places().is_empty(), "whoever has left is not kept");
        let all: Vec<_> = (0..MOST.1).map(|n| listeners.enter(&caller(&n.to_string()))).collect();
        assert!(all.iter().all(Option::is_some) && listeners.enter(&one).is_none());
    }
}
