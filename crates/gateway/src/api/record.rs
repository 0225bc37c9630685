//! The record as a whole: verified by the gateway itself, when an administrator asks for it. Whoever does not
//! trust the gateway verifies it elsewhere (`portcullis audit verify`), by the same code.

use super::live::administrator;
use super::{Problem, unavailable};
use crate::checks::verify_record;
use crate::cli::Verified;
use crate::services::Services;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use portcullis_core::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// What it is called where an attempt is recorded.
const WHAT: &str = "verify the record";

/// Its routes.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new().route("/api/v1/audit", get(show).post(verify))
}

/// How the record stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Record {
    /// Why nothing can be recorded, where that is so: then nothing runs.
    broken: Option<String>,
    /// The key that signs its heads, as verifiers take it (C2SP signed-note). Keep it elsewhere.
    key: String,
    /// Since when it is being verified, where it is.
    running: Option<Timestamp>,
    /// What was found the last time, since the gateway was started.
    last: Option<Arc<Verified>>,
}

fn record(services: &Services) -> Json<Record> {
    let (running, last) = services.checks.record.stands();
    let broken = services.ledger.health().err().map(|error| error.to_string());
    Json(Record { broken, key: services.ledger.verifier_key().to_owned(), running, last })
}

async fn show(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
) -> Result<Json<Record>, Problem> {
    administrator(&services, &headers, WHAT).await?;
    Ok(record(&services))
}

/// Begins to verify it, unless that is being done.
async fn verify(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<Record>), Problem> {
    administrator(&services, &headers, WHAT).await?;
    if *services.stopping.borrow() {
        return Err(unavailable("the gateway is stopping"));
    }
    verify_record(&services).map_err(unavailable)?;
    Ok((StatusCode::ACCEPTED, record(&services)))
}
