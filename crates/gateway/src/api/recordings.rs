//! Recorded sessions: searching them, reading one as a timeline, and its file.
//!
//! Who may what: an agent sees what is recorded of itself; a person of itself and of those that act for it;
//! people of the groups of `[audit]` and `[administration]` all. What somebody may not see is not there
//! (404), whatever it is. *Architecture invariant:* before anything that was recorded is given, an entry
//! in the journal says to whom, of which session, and from where to where; if it cannot be written, nothing
//! is given.

use super::events::{Listeners, Place as Seat};
use super::page::Wanted;
use super::problem::{Path, Query};
use super::{Problem, principal, unavailable};
use crate::live::Owner;
use crate::moment::now;
use crate::recordings::{Head, ReadPart, Recording, Sought, Unread, Watched};
use crate::services::Services;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_core::Stream;
use portcullis_core::digest::Digest;
use portcullis_core::id::SessionId;
use portcullis_core::journal::{Durability, Entry, Event, Journal as _, Watching};
use portcullis_core::principal::Principal;
use portcullis_core::time::Timestamp;
use portcullis_ledger::keep::Form;
use portcullis_ledger::played::RecordingFile;
use portcullis_ledger::read::{Moment, TimelineItem};
use portcullis_mask::Detectors;
use portcullis_store::index::{Search, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;

/// How many of these one person may ask for at once, and all together.
static READERS: LazyLock<Listeners> = LazyLock::new(|| Listeners::new(4, 8));
/// The same of agents and workloads, which keep no person from reading.
static AGENTS: LazyLock<Listeners> = LazyLock::new(|| Listeners::new(2, 4));
/// Longest text that is looked for, in bytes.
const MAX_SOUGHT: usize = 256;
/// Entries of a page, where nobody says how many, and at most.
const ENTRIES: (u32, u32) = (200, 500);
/// Bytes of a file that are read at once.
const PIECE: usize = 256 * 1024;
/// How long a client may take for one of them.
const TAKING: Duration = Duration::from_secs(20);

/// Its routes.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new()
        .route("/api/v1/recordings", get(search))
        .route("/api/v1/recordings/{id}", get(show))
        .route("/api/v1/recordings/{id}/timeline", get(timeline))
        .route("/api/v1/recordings/{id}/file", get(file))
}

/// Who looks at recorded sessions.
pub(super) struct Viewer {
    pub(super) principal: Principal,
    /// It may see all of them.
    pub(super) sees_all: bool,
}

impl Viewer {
    pub(super) async fn asking(services: &Services, headers: &HeaderMap) -> Result<Self, Problem> {
        let principal = principal(services, headers).await?;
        let mut groups = services.auditors.iter().chain(&services.administrators);
        let sees_all =
            principal.is_person_alone() && groups.any(|group| principal.groups.contains(group));
        Ok(Self { principal, sees_all })
    }

    /// Whether a session of this principal's is for it to see.
    pub(super) fn may_see(&self, whose: &Principal) -> bool {
        self.sees_all || self.principal.answers_for(whose)
    }

    pub(super) fn may_see_live(&self, owner: &Owner) -> bool {
        self.may_see(&owner.standing.principal)
    }

    /// Records that it is about to be shown something.
    pub(super) async fn watches(
        &self,
        services: &Services,
        how: Watching,
        recording: Option<SessionId>,
        (from, to): (Option<u64>, Option<u64>),
        searched: Option<String>,
    ) -> Result<(), Problem> {
        let by = self.principal.clone();
        let event = Event::Watched { by, how, recording, from, to, searched };
        let recorded = services.ledger.append(Entry::outside(now(), event), Durability::Durable);
        recorded.await.map(drop).map_err(|error| {
            let why = format!("whoever sees a record is recorded, and that cannot be: {error}");
            unavailable(why)
        })
    }

    /// A session that it may see.
    pub(super) async fn session(&self, services: &Services, id: &str) -> Result<Head, Problem> {
        let unknown = || Problem::new(StatusCode::NOT_FOUND, "there is no such session for you");
        let id: SessionId = id.parse().map_err(|_| unknown())?;
        let found = services.archive.session(id).await.map_err(unread)?;
        let (mut head, whose) = found.ok_or_else(unknown)?;
        let theirs = whose.map_or(self.sees_all, |whose| self.may_see(&whose));
        head.recording.live = services.sessions.is_there(id);
        theirs.then_some(head).ok_or_else(unknown)
    }
}

/// A seat among those who read.
pub(super) fn seat(who: &Principal) -> Result<Seat<'static>, Problem> {
    let readers = if who.is_person_alone() { &READERS } else { &AGENTS };
    readers.enter(who).ok_or_else(|| {
        let detail =
            "too much of the record is being read: wait until what you have asked for is here";
        Problem::new(StatusCode::TOO_MANY_REQUESTS, detail)
    })
}

pub(super) fn unread(error: Unread) -> Problem {
    unavailable(error)
}

/// Which recorded sessions. Newest first; a page may be shorter than its limit and go on all the same.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct RecordingsQuery {
    /// Of this principal, or of whoever acts for it: by name or subject.
    #[serde(default)]
    principal: Option<String>,
    /// Of this agent or workload: by name or subject.
    #[serde(default)]
    agent: Option<String>,
    /// Of this person, and of agents that act for it.
    #[serde(default)]
    person: Option<String>,
    /// On this connection.
    #[serde(default)]
    connection: Option<String>,
    /// In which a request is about an object with this in its name.
    #[serde(default)]
    object: Option<String>,
    /// In which something was permitted, refused or held.
    #[serde(default)]
    verdict: Option<Verdict>,
    /// In which this stands in a statement or a bound value, as recorded; whatever its case.
    #[serde(default)]
    text: Option<String>,
    /// That were there then or later, in microseconds since 1970.
    #[serde(default)]
    from: Option<i64>,
    /// That were there then or earlier, in microseconds since 1970.
    #[serde(default)]
    to: Option<i64>,
    /// Rows at most: 1 to 500, and 100 where nothing is said.
    #[serde(default)]
    #[schemars(range(min = 1, max = 500))]
    #[expect(dead_code, reason = "read with the cursor, and here for the document")]
    limit: Option<u32>,
    /// Where to go on, as the `Link` of the page before has it.
    #[serde(default)]
    #[expect(dead_code, reason = "read with the limit, and here for the document")]
    cursor: Option<String>,
}

impl RecordingsQuery {
    /// What is given, as a query: for the next page.
    fn written(&self) -> String {
        let mut form = String::new();
        let number = |number: Option<i64>| number.map(|number| number.to_string());
        let verdict = self.verdict.map(|verdict| match verdict {
            Verdict::Permitted => "permitted".to_owned(),
            Verdict::Refused => "refused".to_owned(),
            Verdict::Held => "held".to_owned(),
        });
        for (name, value) in [
            ("principal", self.principal.clone()),
            ("agent", self.agent.clone()),
            ("person", self.person.clone()),
            ("connection", self.connection.clone()),
            ("object", self.object.clone()),
            ("verdict", verdict),
            ("text", self.text.clone()),
            ("from", number(self.from)),
            ("to", number(self.to)),
        ] {
            if let Some(value) = value {
                form.push_str(name);
                form.push('=');
                escape(&value, &mut form);
                form.push('&');
            }
        }
        form
    }

    fn sought(&self) -> Result<Sought, Problem> {
        let sought = |name: &str, text: &Option<String>| match text {
            Some(text) if text.is_empty() || text.len() > MAX_SOUGHT => {
                let detail = format!("{name} must have 1 to {MAX_SOUGHT} bytes");
                Err(Problem::new(StatusCode::BAD_REQUEST, detail))
            }
            text => Ok(text.clone()),
        };
        Ok(Sought { text: sought("text", &self.text)?, object: sought("object", &self.object)? })
    }
}

/// Percent-encodes whatever is no unreserved character (RFC 3986 §2.3).
fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// Searches: what it finds by a text or an object says something of what is recorded, so that is recorded.
async fn search(
    State(services): State<Arc<Services>>,
    mut list: Wanted,
    Query(query): Query<RecordingsQuery>,
    headers: HeaderMap,
) -> Result<(HeaderMap, Json<Vec<Recording>>), Problem> {
    let viewer = Viewer::asking(&services, &headers).await?;
    let _seat = seat(&viewer.principal)?;
    let sought = query.sought()?;
    if !sought.is_nothing() {
        let searched = searched(&sought);
        viewer.watches(&services, Watching::Search, None, (None, None), Some(searched)).await?;
    }
    list.also = query.written();
    let search = Search {
        principal: query.principal,
        agent: query.agent,
        person: query.person,
        connection: query.connection,
        verdict: query.verdict,
        from: query.from.map(Timestamp::from_micros),
        to: query.to.map(Timestamp::from_micros),
        among: None,
        viewer: (!viewer.sees_all).then(|| viewer.principal.clone()),
    };
    let found = services.archive.search(&search, &sought, &list.page, |w| viewer.may_see(w));
    let (mut rows, next) = found.await.map_err(unread)?;
    for row in &mut rows {
        row.live = services.sessions.is_there(row.id);
    }
    Ok((list.next(next), Json(rows)))
}

static DETECTORS: LazyLock<Detectors> = LazyLock::new(Detectors::standard);

/// What is searched for, as the journal has it.
fn searched(sought: &Sought) -> String {
    let told = |name: &str, text: &Option<String>| {
        text.as_ref().map(|text| format!("{name}: {text}")).unwrap_or_default()
    };
    let text = [told("text", &sought.text), told("object", &sought.object)].join(" ");
    let mut scrubbed = Vec::new();
    match DETECTORS.redact(text.trim().as_bytes(), &mut scrubbed) {
        true => String::from_utf8_lossy(&scrubbed).into_owned(),
        false => text.trim().to_owned(),
    }
}

/// A recorded session, and who was shown what of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RecordingShown {
    #[serde(flatten)]
    recording: Recording,
    /// Who was shown something of it, the last first, and 100 at most. Agents are not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    watched: Option<Vec<Watched>>,
}

async fn show(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
) -> Result<Json<RecordingShown>, Problem> {
    let viewer = Viewer::asking(&services, &headers).await?;
    let _seat = seat(&viewer.principal)?;
    let head = viewer.session(&services, &id).await?;
    let watched = match viewer.principal.is_person_alone() {
        true => Some(services.archive.watchers(head.recording.id).await.map_err(unread)?),
        false => None,
    };
    Ok(Json(RecordingShown { recording: head.recording, watched }))
}

/// Which part of a timeline.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct TimelineQuery {
    /// From the entry of this number on.
    #[serde(default)]
    from: Option<u64>,
    /// Entries at most: 1 to 500, and 200 where nothing is said. What was recorded between them comes on top.
    #[serde(default)]
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
}

/// A moment of a session: an entry of the journal by its number, or something that was recorded. `what` has
/// the fields of the entry, or of the line of the recording.
#[derive(Debug, Serialize)]
pub(super) struct Told<'a> {
    at: Timestamp,
    /// Microseconds since the session began.
    offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<portcullis_core::id::RequestId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<u64>,
    what: What<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum What<'a> {
    Entry(&'a Event),
    Recorded(&'a portcullis_ledger::RecordedEvent),
}

impl<'a> Told<'a> {
    pub(super) const fn entry(&self) -> Option<u64> {
        self.entry
    }

    pub(super) fn of(item: &'a TimelineItem) -> Self {
        let (entry, what) = match &item.moment {
            Moment::Entry { sequence, event } => (Some(*sequence), What::Entry(event)),
            Moment::Recorded(event) => (None, What::Recorded(event)),
        };
        let offset = u64::try_from(item.offset.as_micros()).unwrap_or(u64::MAX);
        Self { at: item.at, offset, request: item.request, entry, what }
    }
}

async fn timeline(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    Query(query): Query<TimelineQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let viewer = Viewer::asking(&services, &headers).await?;
    let _seat = seat(&viewer.principal)?;
    let limit = query.limit.unwrap_or(ENTRIES.0);
    if !(1..=ENTRIES.1).contains(&limit) {
        let detail = format!("limit must be 1 to {}", ENTRIES.1);
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    let head = viewer.session(&services, &id).await?;
    let session = head.recording.id;
    let part = services.archive.part(&head, query.from.unwrap_or(0), limit).await;
    let part = part.map_err(unread)?;
    let span = part.span();
    viewer.watches(&services, Watching::Timeline, Some(session), span, None).await?;
    let ReadPart { items, next, left_out, ends } =
        services.archive.read(&head, part).await.map_err(unread)?;
    let told: Vec<Told<'_>> = items.iter().map(Told::of).collect();
    let mut response = Json(told).into_response();
    if let Some(next) = next {
        let path = format!("/api/v1/recordings/{session}/timeline");
        let link = format!("<{path}?from={next}&limit={limit}>; rel=\"next\"");
        if let Ok(link) = HeaderValue::try_from(link) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    if left_out {
        let answers = HeaderValue::from_static("answers");
        response.headers_mut().insert("portcullis-left-out", answers);
    }
    let ends = serde_json::to_value(ends).ok();
    let ends = ends.as_ref().and_then(|ends| ends.as_str()).unwrap_or("cut");
    if let Ok(ends) = HeaderValue::from_str(ends) {
        response.headers_mut().insert("portcullis-recording", ends);
    }
    Ok(response)
}

/// The file of a recording, as it is: what its digest in the journal is of.
async fn file(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let viewer = Viewer::asking(&services, &headers).await?;
    let seat = seat(&viewer.principal)?;
    let head = viewer.session(&services, &id).await?;
    let session = head.recording.id;
    let directory = services.archive.directory().to_owned();
    let opened = tokio::task::spawn_blocking(move || {
        let Some(mut file) = RecordingFile::open(&directory, session)? else { return Ok(None) };
        let digest = file.digest().ok();
        Ok::<_, portcullis_ledger::read::ReadError>(Some((file, digest)))
    });
    let opened = opened.await.map_err(unavailable)?.map_err(unavailable)?;
    let (file, digest) = opened.ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "nothing was answered in this session")
    })?;
    viewer.watches(&services, Watching::File, Some(session), (None, None), None).await?;
    let (bytes, form) = (file.bytes, file.form);
    let (sender, receiver) = mpsc::channel(2);
    let file = Arc::new(file);
    tokio::spawn(async move {
        let (_seat, mut offset) = (seat, 0);
        loop {
            let file = file.clone();
            let read = tokio::task::spawn_blocking(move || file.piece(offset, PIECE)).await;
            let Ok(Ok(piece)) = read else { break };
            offset += piece.len() as u64;
            let is_last = piece.is_empty();
            // Whoever does not take it keeps no seat.
            let sent = tokio::time::timeout(TAKING, sender.send(Bytes::from(piece))).await;
            if is_last || !matches!(sent, Ok(Ok(()))) {
                break;
            }
        }
    });
    let mut response = Body::from_stream(Pieces(receiver)).into_response();
    let named = format!("attachment; filename=\"{session}{}\"", form.suffix());
    let digest = digest.as_ref().map(Digest::to_string).unwrap_or_default();
    for (name, value) in [
        (header::CONTENT_TYPE, content_type(form).to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
        (header::CONTENT_DISPOSITION, named),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::HeaderName::from_static("portcullis-digest"), digest),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// What a client is told that a file is.
const fn content_type(form: Form) -> &'static str {
    match form {
        Form::Lines => "application/jsonl",
        Form::Packed => "application/zstd",
        // There is no registered type for it.
        Form::Sealed => "application/octet-stream",
    }
}

/// A file on its way.
struct Pieces(mpsc::Receiver<Bytes>);

impl Stream for Pieces {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|piece| piece.map(Ok))
    }
}
