//! What people were told of what waits for them, and whether it was taken: for administrators.

use super::live::Caller;
use super::page::{Paged, Wanted};
use super::{Problem, principal, unavailable};
use crate::services::Services;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use portcullis_store::NotificationRow;
use std::sync::Arc;

/// Its route.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new().route("/api/v1/notifications", get(list))
}

async fn list(
    State(services): State<Arc<Services>>,
    mut wanted: Wanted,
    headers: HeaderMap,
) -> Result<Paged<NotificationRow>, Problem> {
    let Caller::Administrator(_) = Caller::of(&services, principal(&services, &headers).await?)
    else {
        let why = "only an administrator sees what was told to whom";
        return Err(Problem::new(StatusCode::FORBIDDEN, why));
    };
    loop {
        let found = services.notifications.list(&wanted.page).await.map_err(unavailable)?;
        if let Some(paged) = wanted.paged(found, |_| true) {
            return Ok(paged);
        }
    }
}
