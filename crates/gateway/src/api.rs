//! The HTTP API: health, signing in, the reviews people decide, the patterns they give, the sessions there
//! are, and credentials; and beside it the [`console`], which is made of it. `routes.rs` has all routes
//! and who may call each; `front.rs` is what every request meets first.
//!
//! Callers come with a token, verified like any other, or with the session of a browser. Decisions are made
//! by [`Reviewer`]s alone, a type an agent's token cannot become.

mod auth;
mod context;
mod credentials;
mod events;
mod front;
mod live;
mod routes;
mod token;

use crate::console;
use crate::moment::now;
use crate::services::Services;
use crate::sign_in::NotSignedIn;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use portcullis_core::id::{PatternId, ReviewId};
use portcullis_core::journal::{Durability, Entry, Event, Journal as _, JournalError};
use portcullis_core::pattern::Terms;
use portcullis_core::principal::{Principal, Reviewer};
use portcullis_store::{BrowserSession, DecideError, Filter, PatternRow, ReviewRow, Status};
use serde::Deserialize;
use serde_json::{from_slice, json};
use std::sync::Arc;

/// The API's routes.
pub(crate) fn router(services: Arc<Services>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/api/v1/reviews", get(list))
        .route("/api/v1/reviews/{id}", get(show))
        .route("/api/v1/reviews/{id}/approve", post(approve))
        .route("/api/v1/reviews/{id}/reject", post(reject))
        .route("/api/v1/patterns", get(patterns))
        .route("/api/v1/patterns/{id}/revoke", post(revoke))
        .merge(live::routes())
        .merge(credentials::routes())
        .merge(context::routes())
        .merge(events::routes())
        .merge(console::routes())
        .merge(auth::routes(services.clone()))
        .route_layer(middleware::from_fn(crate::http::to_its_end))
        .route_layer(middleware::from_fn(front::known))
        .layer(middleware::from_fn_with_state(services.clone(), front::admit))
        .with_state(services)
}

/// Whether requests can be taken: not while nothing can be recorded.
async fn ready(State(services): State<Arc<Services>>) -> Response {
    readiness(services.ledger.health())
}

fn readiness(health: Result<(), JournalError>) -> Response {
    match health {
        Ok(()) => "ok\n".into_response(),
        Err(error) => unavailable(error).into_response(),
    }
}

/// An answer that is no success (RFC 9457).
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("refused");
        let body = json!({ "title": title, "status": self.status.as_u16(), "detail": self.detail });
        let mut response = (self.status, Json(body)).into_response();
        let kind = header::HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = header::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// Who is asking: by bearer token, or by the browser session that `front` has let speak for its person.
async fn principal(services: &Services, headers: &HeaderMap) -> Result<Principal, Problem> {
    if let Some(session) = session_of(services, headers).await {
        return session.map(|session| session.person.into());
    }
    let unauthorized = |detail: &str| Problem::new(StatusCode::UNAUTHORIZED, detail);
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or_else(|| unauthorized(front::NOBODY))?;
    // Credentials of the gateway's own do not get past it: what they are good for is logging in.
    services.verifier.verify(token, now()).await.map_err(|error| unauthorized(&error.public()))
}

/// The browser session of a request, where it has come with one.
async fn session_of(
    services: &Services,
    headers: &HeaderMap,
) -> Option<Result<BrowserSession, Problem>> {
    let secret = headers.get(front::SESSION)?.to_str().ok()?;
    let active = !headers.contains_key(front::BY_ITSELF);
    let session = services.sign_in.session(&services.verifier, secret, active, now()).await;
    Some(session.map_err(|why| match why {
        NotSignedIn::Unavailable(_) => unavailable(why),
        _ => Problem::new(StatusCode::UNAUTHORIZED, why.to_string()),
    }))
}

/// Whether a list is to have what is over, or is not the caller's own, as well.
#[derive(Debug, Default, Deserialize)]
struct ListQuery {
    #[serde(default)]
    all: bool,
}

/// What a principal may see: people of a group asked, whoever asked, and whom that acts for.
fn may_see(principal: &Principal, review: &ReviewRow) -> bool {
    let asked = |group| principal.groups.contains(group);
    principal.answers_for(&review.ask.standing.principal)
        || Reviewer::new(principal.clone()).is_ok() && review.ask.groups.iter().any(asked)
}

async fn list(
    State(services): State<Arc<Services>>,
    Query(query): Query<ListQuery>,
    headers: HeaderMap,
) -> Result<Json<Vec<ReviewRow>>, Problem> {
    let principal = principal(&services, &headers).await?;
    let status = (!query.all).then_some(Status::Pending);
    let filter = Filter { status, viewer: Some(principal.clone()), ..Filter::default() };
    let mut rows = services.desk.list(&filter).await.map_err(unavailable)?;
    rows.retain(|row| may_see(&principal, row));
    Ok(Json(rows))
}

async fn show(
    State(services): State<Arc<Services>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<ReviewRow>, Problem> {
    let principal = principal(&services, &headers).await?;
    visible_review(&services, &principal, &id).await.map(Json)
}

async fn visible_review(
    services: &Services,
    principal: &Principal,
    id: &str,
) -> Result<ReviewRow, Problem> {
    review(services, id, |row| may_see(principal, row)).await
}

/// A review for somebody to whom it is one.
async fn review(
    services: &Services,
    id: &str,
    is_one: impl Fn(&ReviewRow) -> bool,
) -> Result<ReviewRow, Problem> {
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "there is no such review for you");
    let id: ReviewId = id.parse().map_err(|_| unknown())?;
    let row = services.desk.get(id).await.map_err(unavailable)?;
    row.filter(is_one).ok_or_else(unknown)
}

/// What a reviewer lets through: this one request, or others like it as well.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Approval {
    #[serde(default)]
    pattern: Option<Terms>,
}

async fn approve(
    State(services): State<Arc<Services>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<ReviewRow>, Problem> {
    let approval = if body.is_empty() { Ok(Approval::default()) } else { from_slice(&body) };
    let approval: Approval = approval.map_err(|error| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("the body cannot be read: {error}"))
    })?;
    decide(&services, &id, &headers, Said::Approved(approval.pattern)).await
}

/// The patterns a principal may see: reviewers of a group whose approval it stands for, and whoever
/// uses it.
async fn patterns(
    State(services): State<Arc<Services>>,
    Query(query): Query<ListQuery>,
    headers: HeaderMap,
) -> Result<Json<Vec<PatternRow>>, Problem> {
    let principal = principal(&services, &headers).await?;
    let mut seen = Vec::new();
    for row in services.desk.patterns(query.all).await.map_err(unavailable)? {
        if may_see_pattern(&services, &principal, &row).await? {
            seen.push(row);
        }
    }
    Ok(Json(seen))
}

/// Whoever may see the review in which a pattern was given.
async fn may_see_pattern(
    services: &Services,
    principal: &Principal,
    row: &PatternRow,
) -> Result<bool, Problem> {
    let review = services.desk.get(row.review).await.map_err(unavailable)?;
    Ok(review.is_some_and(|review| may_see(principal, &review)))
}

/// Takes a pattern back. Any person of a group it stands for may, and whom the agent acts for: it
/// only takes leave away. The record comes second, so that nothing waits for it.
async fn revoke(
    State(services): State<Arc<Services>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<PatternRow>, Problem> {
    let principal = principal(&services, &headers).await?;
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "there is no such pattern for you");
    let id: PatternId = id.parse().map_err(|_| unknown())?;
    let find = async || services.desk.find_pattern(id).await.map_err(unavailable);
    let row = find().await?.ok_or_else(unknown)?;
    if !may_see_pattern(&services, &principal, &row).await? {
        return Err(unknown());
    }
    let by = principal.subject.clone();
    if let Err(error) = Reviewer::new(principal) {
        return Err(Problem::new(StatusCode::FORBIDDEN, error.to_string()));
    }
    if !services.desk.revoke(id, now()).await.map_err(unavailable)? {
        return Err(Problem::new(StatusCode::CONFLICT, "this pattern has ended already"));
    }
    let event = Event::PatternRevoked { pattern: id, review: row.review, by };
    let entry = Entry { at: now(), session: Some(row.session), request: None, event };
    services.ledger.append(entry, Durability::Durable).await.map_err(unavailable)?;
    find().await?.map(Json).ok_or_else(unknown)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rejection {
    reason: String,
}

async fn reject(
    State(services): State<Arc<Services>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(rejection): Json<Rejection>,
) -> Result<Json<ReviewRow>, Problem> {
    if rejection.reason.trim().is_empty() || rejection.reason.len() > 1000 {
        let detail = "say why in 1 to 1000 bytes: the caller reads it";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    decide(&services, &id, &headers, Said::Rejected(rejection.reason)).await
}

/// What a reviewer says.
enum Said {
    Approved(Option<Terms>),
    Rejected(String),
}

/// Decides a review. The record comes first.
async fn decide(
    services: &Services,
    id: &str,
    headers: &HeaderMap,
    said: Said,
) -> Result<Json<ReviewRow>, Problem> {
    let principal = principal(services, headers).await?;
    // An agent in a group that is asked is told why it decides nothing, and sees no more of it.
    let asked = |row: &ReviewRow| row.ask.groups.iter().any(|g| principal.groups.contains(g));
    let row = review(services, id, |row| asked(row) || may_see(&principal, row)).await?;
    let by = principal.subject.clone();
    let reviewer = match Reviewer::new(principal) {
        Ok(reviewer) => reviewer,
        Err(error) => {
            let why = error.to_string();
            record_refused(services, &row, by, &why).await;
            return Err(Problem::new(StatusCode::FORBIDDEN, why));
        }
    };
    let (decision, reason, pattern) = match said {
        Said::Approved(pattern) => ("approved", None, pattern),
        Said::Rejected(reason) => ("rejected", Some(reason), None),
    };
    let wanted = (reason.is_none(), pattern);
    let groups = match services.desk.may_decide(row.id, &reviewer, wanted, now()).await {
        Ok(groups) => groups,
        Err(error) => {
            record_refused(services, &row, by, &error.to_string()).await;
            return Err(refused(&error));
        }
    };
    let event = Event::Decided {
        review: row.id,
        digest: row.ask.digest,
        by,
        groups,
        decision: decision.to_owned(),
        reason: reason.clone(),
        pattern,
    };
    let entry = entry(&row, event);
    services.ledger.append(entry, Durability::Durable).await.map_err(unavailable)?;
    let decided = match reason {
        Some(reason) => services.desk.reject(row.id, &reviewer, &reason, now()).await,
        None => services.desk.approve(row.id, &reviewer, pattern, now()).await.map(drop),
    };
    if let Err(error) = decided {
        let subject = reviewer.principal().subject.clone();
        record_refused(services, &row, subject, &error.to_string()).await;
        return Err(refused(&error));
    }
    visible_review(services, reviewer.principal(), id).await.map(Json)
}

async fn record_refused(services: &Services, row: &ReviewRow, by: String, why: &str) {
    let event = Event::DecisionRefused { review: row.id, by, why: why.to_owned() };
    // The refusal stands whether or not it could be recorded.
    let _ = services.ledger.append(entry(row, event), Durability::Durable).await;
}

fn entry(row: &ReviewRow, event: Event) -> Entry {
    Entry { at: now(), session: Some(row.ask.session), request: Some(row.ask.request), event }
}

fn refused(error: &DecideError) -> Problem {
    let status = match error {
        DecideError::Desk(_) => StatusCode::SERVICE_UNAVAILABLE,
        DecideError::Unknown(_) => StatusCode::NOT_FOUND,
        DecideError::OwnRequest(_) | DecideError::NotAsked(_) => StatusCode::FORBIDDEN,
        DecideError::NoReason | DecideError::NoPattern(_) => StatusCode::UNPROCESSABLE_ENTITY,
        DecideError::AlreadyYours(_) | DecideError::NotNeeded(_) | DecideError::Ended(_) => {
            StatusCode::CONFLICT
        }
    };
    Problem::new(status, error.to_string())
}

fn unavailable(error: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_cannot_record_is_not_ready_and_says_why() {
        assert_eq!(readiness(Ok(())).status(), StatusCode::OK);
        let broken = JournalError::Broken("no space left on device".into());
        let response = readiness(Err(broken));
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let body = axum::body::to_bytes(response.into_body(), 10_000);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let body = String::from_utf8(runtime.block_on(body).unwrap().to_vec()).unwrap();
        assert!(body.contains("no space left on device"), "{body}");
        assert!(body.contains("until the gateway is restarted"), "{body}");
    }
}
