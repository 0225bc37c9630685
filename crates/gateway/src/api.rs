//! The HTTP API: health, signing in, the reviews people decide, the patterns they give, the sessions there
//! are, and credentials; and beside it the [`console`], which is made of it. `routes.rs` has all routes
//! and who may call each; `front.rs` is what every request meets first.
//!
//! Callers come with a token, verified like any other, or with the session of a browser. Decisions are made
//! by [`Reviewer`]s alone, a type an agent's token cannot become.

mod auth;
mod connections;
mod context;
mod credentials;
mod document;
mod documents;
mod events;
mod front;
mod grants;
mod health;
mod idempotency;
mod identity;
mod live;
mod manifest;
mod messages;
mod notifications;
mod page;
mod passkeys;
mod pauses;
mod problem;
mod record;
mod recordings;
mod routes;
mod rules;
mod settings;
pub(crate) mod slack;
pub(crate) mod tag;
mod token;
mod trials;
mod watch;

use crate::console;
use crate::metrics::{Kind, Outcome};
use crate::moment::now;
use crate::readiness;
use crate::services::Services;
use crate::sign_in::NotSignedIn;
use crate::vouching::{self, Vouching};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use page::{Paged, Wanted};
use portcullis_core::id::{PatternId, ReviewId};
use portcullis_core::journal::{Durability, Entry, Event, Journal as _, NoRoom};
use portcullis_core::pattern::Terms;
use portcullis_core::principal::{By, Principal, Reviewer};
use portcullis_core::refusal::Retry;
use portcullis_core::review::FEW;
use portcullis_identity::IdentityError;
use portcullis_identity::passkey::Assertion;
use portcullis_store::{
    BrowserSession, DecideError, Filter, PatternRow, ReviewRow, Shows, Status, StepUpError,
};
pub(crate) use problem::Problem;
use problem::{Body, Path, parsed, parsed_if_any, unprocessable};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The API's routes.
pub(crate) fn router(services: Arc<Services>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/api/v1/openapi.json", get(document::serve))
        .route("/api/v1/reviews", get(list))
        .route("/api/v1/reviews/{id}", get(show))
        .route("/api/v1/reviews/{id}/approve", post(approve))
        .route("/api/v1/reviews/{id}/reject", post(reject))
        .route("/api/v1/reviews/{id}/challenge", post(challenge))
        .route("/api/v1/patterns", get(patterns))
        .route("/api/v1/patterns/{id}/revoke", post(revoke))
        .merge(live::routes())
        .merge(pauses::routes())
        .merge(recordings::routes())
        .merge(watch::routes())
        .merge(grants::routes())
        .merge(documents::routes())
        .merge(trials::routes())
        .merge(credentials::routes())
        .merge(passkeys::routes())
        .merge(manifest::routes())
        .merge(notifications::routes())
        .merge(slack::routes())
        .merge(connections::routes())
        .merge(health::routes())
        .merge(identity::routes())
        .merge(record::routes())
        .merge(rules::routes())
        .merge(settings::routes())
        .merge(context::routes())
        .merge(messages::routes())
        .merge(events::routes())
        .merge(console::routes())
        .merge(auth::routes(services.clone()))
        .route_layer(middleware::from_fn_with_state(services.clone(), idempotency::once))
        .route_layer(middleware::from_fn_with_state(services.clone(), crate::http::to_its_end))
        .route_layer(middleware::from_fn(front::known))
        .fallback(async || front::no_such_route())
        .method_not_allowed_fallback(async || front::no_such_method())
        .layer(middleware::from_fn_with_state(services.clone(), front::admit))
        .with_state(services)
}

/// Whether requests can be taken, and why not.
async fn ready(State(services): State<Arc<Services>>) -> Response {
    readiness::answer(&services)
}

/// Who is asking: by bearer token, or by the browser session that `front` has let speak for its person.
pub(crate) async fn principal(
    services: &Services,
    headers: &HeaderMap,
) -> Result<Principal, Problem> {
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
    current(services)?;
    let vouching = services.now().vouching.clone();
    let verified = vouching.verify(token, now()).await;
    let outcome = match &verified {
        Ok(_) => Outcome::Accepted,
        Err(why) if why.retry() == Retry::Later => Outcome::Unavailable,
        Err(_) => Outcome::Refused,
    };
    services.metrics.authenticated(Kind::ApiToken, outcome);
    let principal = verified.map_err(|error| unauthorized(&error.public()))?;
    // It may have taken a while.
    if !services.now().vouching.stands_by(&vouching, &principal) {
        return Err(unauthorized("who vouches for you was changed at this moment: try again"));
    }
    // Much of what is asked here is recorded. What room is left for that is for people, who decide and end.
    if services.disk.is_full() && !principal.is_person_alone() {
        return Err(unavailable(NoRoom));
    }
    Ok(principal)
}

/// That the gateway goes by what is in force: who vouches for callers may be another one by now, so that
/// whoever cannot take it up believes nobody.
fn current(services: &Services) -> Result<(), Problem> {
    if services.governing.is_behind() {
        let why = "there are newer documents, which this gateway cannot go by: it believes nobody until it \
                   can; ask another gateway, or look at its log";
        return Err(unavailable(why));
    }
    Ok(())
}

/// The browser session of a request, where it has come with one.
async fn session_of(
    services: &Services,
    headers: &HeaderMap,
) -> Option<Result<BrowserSession, Problem>> {
    let secret = headers.get(front::SESSION)?.to_str().ok()?;
    if let Err(behind) = current(services) {
        return Some(Err(behind));
    }
    let active = !headers.contains_key(front::BY_ITSELF);
    let vouching = services.now().vouching.clone();
    let session = services.sign_in.session(&vouching, secret, active, now()).await;
    let owed = |session: &BrowserSession| services.documents.owed.is_of([&session.vouched_as]);
    let session = match session {
        Ok(session) if owed(&session) => Err(NotSignedIn::ByNobody),
        Ok(session)
            if !services.now().vouching.stands_by(&vouching, session.person.principal()) =>
        {
            Err(NotSignedIn::ByNobody)
        }
        session => session,
    };
    let outcome = match &session {
        Ok(_) => Outcome::Accepted,
        Err(NotSignedIn::Unavailable(_)) => Outcome::Unavailable,
        Err(_) => Outcome::Refused,
    };
    services.metrics.authenticated(Kind::Browser, outcome);
    Some(session.map_err(|why| match why {
        NotSignedIn::Unavailable(_) => unavailable(why),
        _ => Problem::new(StatusCode::UNAUTHORIZED, why.to_string()),
    }))
}

/// What a principal may see: people of a group asked, whoever asked, and whom that acts for.
fn may_see(principal: &Principal, review: &ReviewRow) -> bool {
    let asked = |group| principal.groups.contains(group);
    principal.answers_for(&review.ask.standing.principal)
        || Reviewer::new(principal.clone()).is_ok() && review.ask.groups.iter().any(asked)
}

async fn list(
    State(services): State<Arc<Services>>,
    mut wanted: Wanted,
    headers: HeaderMap,
) -> Result<Paged<ReviewRow>, Problem> {
    let principal = principal(&services, &headers).await?;
    let status = (!wanted.all).then_some(Status::Pending);
    let filter = Filter { status, viewer: Some(principal.clone()), ..Filter::default() };
    loop {
        let found = services.desk.page(&filter, &wanted.page).await.map_err(unavailable)?;
        if let Some(paged) = wanted.paged(found, |row| may_see(&principal, row)) {
            return Ok(paged);
        }
    }
}

async fn show(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let principal = principal(&services, &headers).await?;
    tag::tagged(&headers, &visible_review(&services, &principal, &id).await?)
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
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Approval {
    /// For others like it as well, for so long and so often.
    #[serde(default)]
    pattern: Option<Terms>,
    /// What a passkey has signed, where the review asks for one (`step_up`): the answer to
    /// `/api/v1/reviews/{id}/challenge` with the same `pattern`.
    #[serde(default)]
    passkey: Option<Assertion>,
}

/// What is to be approved with a passkey.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Consent {
    /// For others like it as well, for so long and so often.
    #[serde(default)]
    pattern: Option<Terms>,
    /// The review as it was shown. Where it stands otherwise by now, nothing is asked to be signed.
    #[serde(default)]
    seen: Option<Seen>,
}

/// What somebody has been shown of a review, that may change while it waits.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Seen {
    /// Its `rehearsal`; without one, it had none.
    #[serde(default)]
    rehearsal: Option<serde_json::Value>,
}

impl Seen {
    /// Whether the review stands so still.
    fn is_of(&self, row: &ReviewRow) -> bool {
        let now = row.rehearsal.as_ref().map(serde_json::to_value).transpose();
        now.is_ok_and(|now| now == self.rehearsal)
    }
}

/// What a passkey has to sign to approve a review as it stands now.
async fn challenge(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<passkeys::Challenge>, Problem> {
    let Consent { pattern, seen } = parsed_if_any(&body)?;
    let principal = principal(&services, &headers).await?;
    let (row, reviewer) = deciding(&services, &id, principal).await?;
    let matter = services.desk.consent(row.id, &reviewer, pattern, now()).await;
    let matter = matter.map_err(|error| refused(&error))?;
    // Looked at behind what is to be signed: how far a rehearsal has come does not go back.
    let row = services.desk.get(row.id).await.map_err(unavailable)?;
    if !seen.is_none_or(|seen| row.is_some_and(|row| seen.is_of(&row))) {
        let detail = "its rehearsal has changed since you looked: look again, then decide";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    passkeys::ask(&services, &headers, reviewer.principal(), matter).await.map(Json)
}

async fn approve(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ReviewRow>, Problem> {
    let approval = parsed_if_any(&body)?;
    decide(&services, &id, &headers, Said::Approved(approval)).await
}

/// The patterns a principal may see: reviewers of a group whose approval it stands for, and whoever
/// uses it.
async fn patterns(
    State(services): State<Arc<Services>>,
    mut wanted: Wanted,
    headers: HeaderMap,
) -> Result<Paged<PatternRow>, Problem> {
    let principal = principal(&services, &headers).await?;
    loop {
        let found = services.desk.patterns(wanted.all, Some(&principal), &wanted.page).await;
        let found = found.map_err(unavailable)?;
        let mut seen = BTreeSet::new();
        for row in &found.rows {
            if may_see_pattern(&services, &principal, row).await? {
                seen.insert(row.id);
            }
        }
        if let Some(paged) = wanted.paged(found, |row| seen.contains(&row.id)) {
            return Ok(paged);
        }
    }
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
    Path(id): Path,
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
    let by = By::from(&principal);
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

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rejection {
    /// Why, in 1 to 1000 bytes: the caller reads it.
    reason: String,
}

async fn reject(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ReviewRow>, Problem> {
    let rejection: Rejection = parsed(&body)?;
    if rejection.reason.trim().is_empty() || rejection.reason.len() > 1000 {
        return Err(unprocessable("say why in 1 to 1000 bytes: the caller reads it"));
    }
    decide(&services, &id, &headers, Said::Rejected(rejection.reason)).await
}

/// What a reviewer says.
enum Said {
    Approved(Approval),
    Rejected(String),
}

/// A review that somebody is to decide. An attempt of somebody who is no person is recorded.
async fn deciding(
    services: &Services,
    id: &str,
    principal: Principal,
) -> Result<(ReviewRow, Reviewer), Problem> {
    // An agent in a group that is asked is told why it decides nothing, and sees no more of it.
    let asked = |row: &ReviewRow| row.ask.groups.iter().any(|g| principal.groups.contains(g));
    let row = review(services, id, |row| asked(row) || may_see(&principal, row)).await?;
    let by = By::from(&principal);
    match Reviewer::new(principal) {
        Ok(reviewer) => Ok((row, reviewer)),
        Err(error) => {
            let why = error.to_string();
            record_refused(services, &row, by, &why).await;
            Err(Problem::new(StatusCode::FORBIDDEN, why))
        }
    }
}

/// Decides a review. The record comes first.
async fn decide(
    services: &Services,
    id: &str,
    headers: &HeaderMap,
    said: Said,
) -> Result<Json<ReviewRow>, Problem> {
    let believed = services.now().vouching.clone();
    let principal = principal(services, headers).await?;
    let decided = decide_as(services, id, headers, (principal, None, believed), said);
    decided.await.map(Json)
}

/// The same by a principal who is known, and was believed by nothing older than `believed`; `via` says who that is in a chat, where it was said there.
async fn decide_as(
    services: &Services,
    id: &str,
    headers: &HeaderMap,
    (principal, via, believed): (Principal, Option<String>, Arc<Vouching>),
    said: Said,
) -> Result<ReviewRow, Problem> {
    let (row, reviewer) = deciding(services, id, principal).await?;
    let by = By::from(reviewer.principal());
    tag::unchanged(headers, &row)?;
    let (decision, reason, pattern, passkey) = match said {
        Said::Approved(Approval { pattern, passkey }) => ("approved", None, pattern, passkey),
        Said::Rejected(reason) => ("rejected", Some(reason), None, None),
    };
    let shown = match &passkey {
        None => None,
        Some(assertion) => {
            let who = reviewer.principal();
            match passkeys::asserted(services, headers, who, assertion).await {
                Ok(shown) => Some(shown),
                Err(problem) => {
                    record_refused(services, &row, by, &problem.detail).await;
                    return Err(problem);
                }
            }
        }
    };
    let asserted = shown.as_ref().map(|(asserted, _)| asserted);
    let shows = Shows { asserted, browser: shown.as_ref().and_then(|(_, browser)| *browser) };
    let wanted = (reason.is_none(), pattern, shows);
    let groups = match services.desk.may_decide(row.id, &reviewer, wanted, now()).await {
        Ok(groups) => groups,
        Err(error) => {
            record_refused(services, &row, by, &error.to_string()).await;
            return Err(match error {
                DecideError::StepUp(StepUpError::Wanted) => {
                    passkeys::wanted(services, &format!("/reviews/{}", row.id))
                }
                error => refused(&error),
            });
        }
    };
    if via.is_some() && reason.is_none() {
        // At a glance: whatever its conditions come to mean, it changes few rows.
        services.desk.bind_to(row.id, FEW).await.map_err(|error| refused(&error))?;
    }
    let event = Event::Decided {
        review: row.id,
        digest: row.ask.digest,
        by,
        groups,
        decision: decision.to_owned(),
        reason: reason.clone(),
        pattern,
        passkey: asserted.map(|asserted| Box::new(asserted.evidence().clone())),
        via,
    };
    let entry = entry(&row, event);
    services.ledger.append(entry, Durability::Durable).await.map_err(unavailable)?;
    let decided = match reason {
        Some(reason) => services.desk.reject(row.id, &reviewer, &reason, now()).await,
        None => {
            let said = (pattern, shows);
            services.desk.approve_by(row.id, &reviewer, said, now()).await.map(drop)
        }
    };
    if let Err(error) = decided {
        record_refused(services, &row, By::from(reviewer.principal()), &error.to_string()).await;
        return Err(refused(&error));
    }
    let stands = vouching::stands_yet(services, &believed, reviewer.principal()).await;
    stands.map_err(|error| unauthorized(&error))?;
    visible_review(services, reviewer.principal(), id).await
}

async fn record_refused(services: &Services, row: &ReviewRow, by: By, why: &str) {
    let event = Event::DecisionRefused { review: row.id, by, why: why.to_owned() };
    // The refusal stands whether or not it could be recorded.
    let _ = services.ledger.append(entry(row, event), Durability::Durable).await;
}

fn entry(row: &ReviewRow, event: Event) -> Entry {
    Entry { at: now(), session: Some(row.ask.session), request: Some(row.ask.request), event }
}

fn refused(error: &DecideError) -> Problem {
    let status = match error {
        DecideError::StepUp(error) => return passkeys::step_up(error),
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

fn unauthorized(error: &IdentityError) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, error.public())
}

fn unavailable(error: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}
