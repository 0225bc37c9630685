//! What the caller may reach, as JSON and as a page for language models.

use super::{Problem, principal, unavailable};
use crate::manifest::Manifest;
use crate::services::Services;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use portcullis_core::principal::Principal;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// Made at the same time, at most: each asks the policy a few hundred times.
static TURNS: Semaphore = Semaphore::const_new(2);
/// Whose are being made, by issuer and subject: one at a time.
static IN_HAND: Mutex<BTreeSet<(String, String)>> = Mutex::new(BTreeSet::new());

/// A caller whose manifest is being made.
struct InHand((String, String));

impl InHand {
    fn of(principal: &Principal) -> Option<Self> {
        let who = (principal.issuer.clone(), principal.subject.clone());
        in_hand().insert(who.clone()).then_some(Self(who))
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        in_hand().remove(&self.0);
    }
}

fn in_hand() -> MutexGuard<'static, BTreeSet<(String, String)>> {
    // Nothing in it is left half done.
    IN_HAND.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Its routes.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new().route("/agent.md", get(page)).route("/api/v1/manifest", get(manifest))
}

async fn of_caller(services: Arc<Services>, headers: &HeaderMap) -> Result<Manifest, Problem> {
    let principal = principal(&services, headers).await?;
    let in_hand = InHand::of(&principal).ok_or_else(|| {
        let why = "your manifest is being made already: ask again in a moment";
        Problem::new(StatusCode::TOO_MANY_REQUESTS, why)
    })?;
    let turn = TURNS.acquire().await.map_err(unavailable)?;
    let made = move || {
        // Until it is made, whether or not somebody waits for it still.
        let _held = (turn, in_hand);
        Manifest::of(&services, &principal)
    };
    tokio::task::spawn_blocking(made).await.map_err(unavailable)
}

async fn manifest(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let manifest = of_caller(services, &headers).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(manifest)).into_response())
}

async fn page(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let page = of_caller(services, &headers).await?.markdown();
    let head = [
        (header::CONTENT_TYPE, "text/markdown; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((head, page).into_response())
}
