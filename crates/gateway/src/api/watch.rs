//! A running session's timeline as it happens, as server-sent events (HTML Living Standard, section 9.2). It
//! is read from the journal and the recording like any other timeline, so the session knows nothing of it and
//! waits for nobody; whoever does not read in time is cut off.
//!
//! Events are `item` (as `/api/v1/recordings/{id}/timeline` has them, with the number of the entry as id) and,
//! at last, `ended`.

use super::events::{Events, Listeners};
use super::problem::{Path, Query};
use super::recordings::{Told, Viewer, unread};
use super::{Problem, front};
use crate::recordings::{Head, Unread};
use crate::services::{Services, stopped};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use portcullis_core::journal::{Event as Happened, Watching};
use portcullis_core::principal::Principal;
use portcullis_ledger::read::{TimelineItem, merged};
use schemars::JsonSchema;
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How often it is looked for something new.
const LOOK: Duration = Duration::from_millis(300);
/// How often it is asked whether whoever watches may still.
const VERIFY: Duration = Duration::from_secs(2);
/// How often a client is told that there is nothing new.
const STILL_HERE: Duration = Duration::from_secs(15);
/// How long an event may take to be taken.
const PATIENCE: Duration = Duration::from_secs(10);
/// Entries of what was before that are told at first, and at most at once.
const BEFORE: u32 = 50;
const AT_ONCE: u32 = 200;
/// How long after its end the last entries of a session may come.
const AFTERWARDS: Duration = Duration::from_secs(5);

/// How many one caller may watch at once, and all together.
static WATCHERS: LazyLock<Listeners> = LazyLock::new(|| Listeners::new(4, 32));

/// Its route.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new().route("/api/v1/sessions/{id}/watch", get(watch))
}

/// Where to begin.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct WatchQuery {
    /// With the entry of this number; by default some entries before now.
    #[serde(default)]
    from: Option<u64>,
}

async fn watch(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    Query(query): Query<WatchQuery>,
    mut headers: HeaderMap,
) -> Result<Response, Problem> {
    // Nobody need be there to look.
    headers.insert(front::BY_ITSELF, HeaderValue::from_static("1"));
    let viewer = Viewer::asking(&services, &headers).await?;
    let place = WATCHERS.enter(&viewer.principal).ok_or_else(|| {
        let detail = "as many sessions are being watched as may be at once: stop watching some";
        Problem::new(StatusCode::TOO_MANY_REQUESTS, detail)
    })?;
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "there is no such session for you");
    let session = id.parse().map_err(|_| unknown())?;
    let owner = services.sessions.owner(session).ok_or_else(unknown)?;
    if !viewer.may_see_live(&owner) {
        return Err(unknown());
    }
    let head = viewer.session(&services, &id).await?;
    let from = match query.from {
        Some(from) => from,
        None => services.archive.lately(&head, BEFORE).await.map_err(unread)?,
    };
    let whose = owner.standing.principal.clone();
    viewer.watches(&services, Watching::Live, Some(session), (Some(from), None), None).await?;
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        let _place = place;
        let mut watcher = Watcher {
            services: &services,
            viewer,
            whose,
            headers,
            head,
            sender,
            next: from,
            verified: Instant::now(),
        };
        let (stop, gone) = (stopped(services.stopping.clone()), watcher.sender.clone());
        tokio::select! {
            () = stop => {}
            () = gone.closed() => {}
            _ = watcher.tell() => {}
        }
        watcher.note(from).await;
    });
    let told = Sse::new(Events(receiver));
    Ok(told.keep_alive(KeepAlive::new().interval(STILL_HERE)).into_response())
}

/// Why somebody is told nothing more.
struct Over;

impl From<Unread> for Over {
    fn from(_: Unread) -> Self {
        Self
    }
}

/// Somebody who watches a session.
struct Watcher<'a> {
    services: &'a Services,
    viewer: Viewer,
    whose: Principal,
    headers: HeaderMap,
    head: Head,
    sender: mpsc::Sender<Event>,
    /// The number from which entries were not told.
    next: u64,
    /// When it was asked last whether it may.
    verified: Instant,
}

impl Watcher<'_> {
    /// Tells what happens, until the session is over or nobody may hear of it.
    async fn tell(&mut self) -> Result<Infallible, Over> {
        let (archive, session) = (&self.services.archive, self.head.recording.id);
        let (mut recorded, mut over) = (None, None);
        loop {
            self.verify().await?;
            match archive.session(session).await {
                // It is further behind than one waits for: whoever watches does.
                Ok(_) | Err(Unread::Behind(_)) => {}
                Err(_) => return Err(Over),
            }
            let part = archive.part(&self.head, self.next, AT_ONCE).await?;
            let more = part.next.is_some();
            let own = archive.entries(&self.head, part).await?;
            // What was answered before is on the timeline: here it begins with what is answered now.
            let at = match recorded {
                Some(at) => at,
                None => archive.ends_at(session).await?,
            };
            let (answers, at) = archive.recorded(session, at).await?;
            recorded = Some(at);
            let is_last =
                own.iter().any(|(_, e)| matches!(e.event, Happened::SessionClosed { .. }));
            let last = own.last().map(|(sequence, _)| *sequence);
            let items = merged(self.head.recording.opened, own, answers);
            for item in &items {
                self.send(item).await?;
            }
            if let Some(last) = last {
                self.next = last + 1;
            }
            if over.is_none() && !self.services.sessions.is_there(session) {
                over = Some(Instant::now());
            }
            if is_last || over.is_some_and(|over: Instant| !more && over.elapsed() > AFTERWARDS) {
                self.put(Event::default().event("ended").data("{}")).await?;
                return Err(Over);
            }
            if !more {
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    /// Whether whoever watches is still who it was, and may; asked every few seconds.
    async fn verify(&mut self) -> Result<(), Over> {
        if self.verified.elapsed() < VERIFY {
            return Ok(());
        }
        self.viewer = Viewer::asking(self.services, &self.headers).await.map_err(|_| Over)?;
        self.verified = Instant::now();
        self.viewer.may_see(&self.whose).then_some(()).ok_or(Over)
    }

    async fn send(&mut self, item: &TimelineItem) -> Result<(), Over> {
        let told = Told::of(item);
        let text = serde_json::to_string(&told).map_err(|_| Over)?;
        let mut event = Event::default().event("item");
        if let Some(entry) = told.entry() {
            event = event.id(entry.to_string());
        }
        self.put(event.data(text)).await
    }

    /// Once there is room for it: whoever may not watch any more by then is not told.
    async fn put(&mut self, event: Event) -> Result<(), Over> {
        let sender = self.sender.clone();
        let room = tokio::time::timeout(PATIENCE, sender.reserve());
        let room = room.await.map_err(|_| Over)?.map_err(|_| Over)?;
        self.verify().await?;
        room.send(event);
        Ok(())
    }

    /// Records what was shown last. What cannot be recorded any more was said when it began.
    async fn note(&self, from: u64) {
        let (how, to) = (Watching::LiveEnded, self.next.checked_sub(1));
        let recording = Some(self.head.recording.id);
        let _ = self.viewer.watches(self.services, how, recording, (Some(from), to), None).await;
    }
}
