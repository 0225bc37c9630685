//! What `portcullis doctor` looks at, looked at by the gateway itself: for administrators. One look at a
//! time; what was found stays until the next.

use super::Problem;
use super::live::administrator;
use crate::checks::{Examined, look_at_everything};
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
const WHAT: &str = "look at the gateway's health";

/// Its routes.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new().route("/api/v1/health", get(show).post(look))
}

/// How everything stands that the gateway needs.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Health {
    /// Since when it is being looked at, where it is.
    running: Option<Timestamp>,
    /// What was found the last time, since the gateway was started.
    last: Option<Arc<Examined>>,
}

fn health(services: &Services) -> Json<Health> {
    let (running, last) = services.checks.health.stands();
    Json(Health { running, last })
}

async fn show(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
) -> Result<Json<Health>, Problem> {
    administrator(&services, &headers, WHAT).await?;
    Ok(health(&services))
}

/// Begins to look, unless somebody is at it.
async fn look(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<Health>), Problem> {
    administrator(&services, &headers, WHAT).await?;
    look_at_everything(&services);
    Ok((StatusCode::ACCEPTED, health(&services)))
}
