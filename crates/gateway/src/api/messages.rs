//! `/api/v1/reviews/{id}/messages`: what a reviewer asks before deciding, and what the caller answers. It
//! decides nothing: an approval is for the request, whatever was said about it.

use super::problem::{Body, Path, parsed, unprocessable};
use super::{Problem, entry, may_see, principal, record_refused, review, unavailable};
use crate::moment::now;
use crate::services::Services;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use portcullis_core::journal::{Durability, Event, Journal as _};
use portcullis_core::principal::{By, Principal, Reviewer};
use portcullis_mask::Detectors;
use portcullis_store::{ReviewMessage, ReviewRow, SayError};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// Longest message, in bytes.
const MOST: usize = 1_000;

/// Its route.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new().route("/api/v1/reviews/{id}/messages", post(say))
}

/// What somebody wants to say about a held request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MessageWanted")]
pub(super) struct Wanted {
    /// A question of a reviewer's, or the answer of whoever asked for the request: 1 to 1000 bytes.
    text: String,
}

async fn say(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ReviewMessage>, Problem> {
    let wanted: Wanted = parsed(&body)?;
    let principal = principal(&services, &headers).await?;
    let row = review(&services, &id, |row| may_see(&principal, row)).await?;
    let asks = asks(&principal, &row)?;
    let text = wanted.text.trim();
    if text.is_empty() || text.len() > MOST {
        return Err(unprocessable("text: say something, in up to 1000 bytes"));
    }
    let text = scrubbed(&services, &row, text);
    services.desk.may_say(row.id, asks, now()).await.map_err(|error| unsaid(&error))?;
    let by = By::from(&principal);
    let event = Event::ReviewMessage { review: row.id, asks, by, text: text.clone() };
    services.ledger.append(entry(&row, event), Durability::Durable).await.map_err(unavailable)?;
    let said = services.desk.say(row.id, &principal, (asks, &text), now()).await;
    if let Err(error) = &said {
        let why = format!("what is recorded before was not said after all: {error}");
        record_refused(&services, &row, By::from(&principal), &why).await;
    }
    said.map(Json).map_err(|error| unsaid(&error))
}

fn unsaid(error: &SayError) -> Problem {
    let status = match error {
        SayError::Unknown(_) => StatusCode::NOT_FOUND,
        SayError::Ended(_) | SayError::Unasked | SayError::Full => StatusCode::CONFLICT,
        SayError::Desk(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    Problem::new(status, error.to_string())
}

/// Whether this principal asks, as a reviewer, or answers, as whoever the request is from or for.
fn asks(principal: &Principal, row: &ReviewRow) -> Result<bool, Problem> {
    if principal.answers_for(&row.ask.standing.principal) {
        return Ok(false);
    }
    // `may_see` has found it to be a reviewer's then.
    match Reviewer::new(principal.clone()) {
        Ok(_) => Ok(true),
        Err(error) => Err(Problem::new(StatusCode::FORBIDDEN, error.to_string())),
    }
}

/// The text without what detectors find in it.
pub(super) fn scrubbed(services: &Services, row: &ReviewRow, text: &str) -> String {
    let generation = services.now();
    let connection = generation.connections.get(&row.ask.standing.connection.name);
    let detectors = connection.map(|connection| connection.detectors.clone());
    let detectors = detectors.unwrap_or_else(|| Arc::new(Detectors::standard()));
    let mut scrubbed = Vec::new();
    match detectors.redact(text.as_bytes(), &mut scrubbed) {
        true => String::from_utf8_lossy(&scrubbed).into_owned(),
        false => text.to_owned(),
    }
}
