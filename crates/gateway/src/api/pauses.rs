//! Pausing a session, and letting it go on: what administrators do, and nobody else.
//!
//! A pause takes something away, so it comes before its record, as ending a session does. Letting a session
//! go on gives it back, so its record comes first, and without one it stays paused. A pause ends by itself.

use super::live::{administrator, check_reason};
use super::problem::{Body, Path, parsed, unprocessable};
use super::{Problem, unavailable};
use crate::live::{LiveSession, Pause};
use crate::moment::now;
use crate::services::Services;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use portcullis_core::id::SessionId;
use portcullis_core::journal::{Durability, Entry, Event, Journal as _};
use portcullis_core::principal::By;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest pause.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Its routes.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new()
        .route("/api/v1/sessions/{id}/pause", post(pause))
        .route("/api/v1/sessions/{id}/resume", post(resume))
}

/// For how long a session is paused.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PauseWanted {
    /// Seconds, at most 3600. Then it ends by itself.
    #[schemars(range(min = 1, max = 3600))]
    seconds: u32,
    /// Why, on one line of 1 to 1000 bytes: the caller reads it.
    reason: String,
}

/// How a session stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PauseStanding {
    session: LiveSession,
    /// False where the journal takes nothing: that keeps nobody from pausing.
    recorded: bool,
}

async fn pause(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<PauseStanding>, Problem> {
    let administrator = administrator(&services, &headers, "pause a session").await?;
    let PauseWanted { seconds, reason } = parsed(&body)?;
    check_reason(&reason)?;
    let length = Duration::from_secs(seconds.into());
    if length.is_zero() || length > LONGEST {
        return Err(unprocessable("seconds must be 1 to 3600"));
    }
    let id: SessionId = id.parse().map_err(|_| unknown())?;
    let by = administrator.principal();
    let until = now().plus(length);
    let pause = Arc::new(Pause {
        by: format!("{} (administrator)", by.name),
        reason: reason.clone(),
        until,
        ends: Instant::now() + length,
        patience: services.paused_request,
    });
    let session = services.sessions.pause(id, Arc::clone(&pause)).ok_or_else(unknown)?;
    let event = Event::SessionPaused { by: by.into(), reason, until };
    let recorded = services.ledger.note(of(id, event)).is_ok();
    tokio::spawn(end(Arc::clone(&services), id, pause));
    Ok(Json(PauseStanding { session, recorded }))
}

async fn resume(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
) -> Result<Json<PauseStanding>, Problem> {
    let administrator = administrator(&services, &headers, "resume a session").await?;
    let id: SessionId = id.parse().map_err(|_| unknown())?;
    if services.sessions.owner(id).is_none() {
        return Err(unknown());
    }
    let Some(pause) = services.sessions.pause_of(id) else {
        return Err(Problem::new(StatusCode::CONFLICT, "this session is not paused"));
    };
    let by = Some(By::from(administrator.principal()));
    let recorded =
        services.ledger.append(of(id, Event::SessionResumed { by }), Durability::Durable);
    recorded.await.map_err(unavailable)?;
    let (session, ended) = services.sessions.resume(id, &pause).ok_or_else(unknown)?;
    if !ended && services.sessions.pause_of(id).is_some() {
        let detail = "somebody has paused it anew meanwhile: look again, then decide";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    Ok(Json(PauseStanding { session, recorded: true }))
}

/// Records the end of a pause that ends by itself; the session has seen that by the clock.
async fn end(services: Arc<Services>, id: SessionId, pause: Arc<Pause>) {
    tokio::time::sleep_until(pause.ends.into()).await;
    if services.sessions.resume(id, &pause).is_some_and(|(_, ended)| ended) {
        // It is over whether or not that can be recorded.
        let _ = services.ledger.note(of(id, Event::SessionResumed { by: None }));
    }
}

fn of(id: SessionId, event: Event) -> Entry {
    Entry { at: now(), session: Some(id), request: None, event }
}

fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is no such session")
}
