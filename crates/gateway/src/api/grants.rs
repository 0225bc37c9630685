//! `/api/v1/grants`: access that people grant for a time. Asked for by whoever wants it, decided by people
//! other than those, ended by whoever has it, gave it, or administers.
//!
//! An agent that acts for somebody by a credential of the gateway's own shows that beside its own token, in
//! `Portcullis-Credential`: what is the pair's is nobody's who has the token alone.
//!
//! Who may what: `tests/e2e/tests/grants.rs` has the table. Decisions are made by [`Reviewer`]s alone, a
//! type an agent's token cannot become, and who act for nobody.

use super::live::{Caller, check_reason};
use super::page::{Paged, Wanted as List};
use super::passkeys::{self, Challenge};
use super::problem::{Body, Path, parsed, parsed_if_any};
use super::{Problem, Rejection, principal, unauthorized, unavailable};
use crate::grants::{NotGranted, Wanted};
use crate::moment::now;
use crate::services::Services;
use crate::vouching;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use portcullis_core::access::Ending;
use portcullis_core::id::GrantId;
use portcullis_core::journal::NoRoom;
use portcullis_core::passkey::Matter;
use portcullis_core::principal::{Principal, Reviewer};
use portcullis_identity::passkey::Assertion;
use portcullis_store::{GrantError, GrantRow, Shows, StepUpError};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// Its routes.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new()
        .route("/api/v1/grants", get(list).post(request))
        .route("/api/v1/grants/{id}", get(show))
        .route("/api/v1/grants/{id}/approve", post(approve))
        .route("/api/v1/grants/{id}/reject", post(reject))
        .route("/api/v1/grants/{id}/challenge", post(challenge))
        .route("/api/v1/grants/{id}/end", post(end))
}

/// The header of a credential that whoever asks will log in with.
pub(super) const CREDENTIAL: &str = "portcullis-credential";

/// True for people, by themselves, of a group that is asked.
fn is_asked(principal: &Principal, row: &GrantRow) -> bool {
    principal.is_person_alone() && in_group_asked(principal, row)
}

fn in_group_asked(principal: &Principal, row: &GrantRow) -> bool {
    row.ask.approvers.groups(row.ask.at, now()).iter().any(|group| principal.groups.contains(group))
}

/// Whose it is: whoever asked, and whom that acts for.
fn is_own(principal: &Principal, row: &GrantRow) -> bool {
    principal.answers_for(&row.ask.principal)
}

/// Whoever asked, whom that acts for, people of a group that is asked, and administrators.
pub(super) fn may_see(caller: &Caller, row: &GrantRow) -> bool {
    let principal = caller.principal();
    matches!(caller, Caller::Administrator(_)) || is_own(principal, row) || is_asked(principal, row)
}

/// Who looks at one grant, or ends it: as itself, or as what it acts as by the credential it shows, where
/// that is the grant's.
struct Viewer {
    caller: Caller,
    /// What it acts as: that has the same rights to what is its own, and no others.
    acts: Option<Principal>,
}

impl Viewer {
    async fn of(services: &Services, headers: &HeaderMap, id: &str) -> Result<Self, Problem> {
        let itself = principal(services, headers).await?;
        let shown = headers.get(CREDENTIAL).map(|value| value.to_str().unwrap_or_default());
        let acts = match shown {
            None => None,
            Some(shown) => {
                // It is for one connection, which is the grant's.
                let row = find(services, id, |_| true).await?;
                Some(acting(services, itself.clone(), shown, &row.ask.connection).await?)
            }
        };
        Ok(Self { caller: Caller::of(services, itself), acts })
    }

    fn own<'a>(&'a self, row: &GrantRow) -> Option<&'a Principal> {
        let itself = Some(self.caller.principal());
        [itself, self.acts.as_ref()].into_iter().flatten().find(|who| is_own(who, row))
    }

    fn may_see(&self, row: &GrantRow) -> bool {
        may_see(&self.caller, row) || self.own(row).is_some()
    }
}

async fn list(
    State(services): State<Arc<Services>>,
    mut wanted: List,
    headers: HeaderMap,
) -> Result<Paged<GrantRow>, Problem> {
    let caller = Caller::of(&services, principal(&services, &headers).await?);
    loop {
        let found = services.grants.page(wanted.all, caller.concerned(), &wanted.page).await;
        let all = wanted.all;
        let is_one = |row: &GrantRow| may_see(&caller, row) && (all || row.status.is_open());
        if let Some(paged) = wanted.paged(found.map_err(unavailable)?, is_one) {
            return Ok(paged);
        }
    }
}

async fn show(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
) -> Result<Json<GrantRow>, Problem> {
    let viewer = Viewer::of(&services, &headers, &id).await?;
    find(&services, &id, |row| viewer.may_see(row)).await.map(Json)
}

/// A grant for somebody to whom it is one.
async fn find(
    services: &Services,
    id: &str,
    is_one: impl Fn(&GrantRow) -> bool,
) -> Result<GrantRow, Problem> {
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "there is no such grant for you");
    let id: GrantId = id.parse().map_err(|_| unknown())?;
    let row = services.grants.find(id).await.map_err(unavailable)?;
    row.filter(is_one).ok_or_else(unknown)
}

async fn request(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<GrantRow>), Problem> {
    let caller = principal(&services, &headers).await?;
    let wanted: Wanted = parsed(&body)?;
    if services.disk.is_full() {
        return Err(unavailable(NoRoom));
    }
    check_reason(&wanted.reason)?;
    let caller = match &wanted.credential {
        Some(credential) => acting(&services, caller, credential, &wanted.connection).await?,
        None => caller,
    };
    let what = format!("ask for access to {}", wanted.connection);
    match services.grants.ask(&caller, wanted).await {
        Ok((row, true)) => Ok((StatusCode::CREATED, Json(row))),
        Ok((row, false)) => Ok((StatusCode::OK, Json(row))),
        Err(error) => {
            if let NotGranted::Forbidden(why) = &error {
                services.grants.refused(&caller, &what, why).await;
            }
            Err(refused(&error))
        }
    }
}

/// What whoever asks acts as by a credential of its own. A credential is no way to ask: it says who will
/// log in, beside the token of the software that has it.
async fn acting(
    services: &Services,
    caller: Principal,
    credential: &str,
    connection: &str,
) -> Result<Principal, Problem> {
    let presented = services.credentials.present(credential.trim(), connection, now()).await;
    let no =
        |why: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("credential: {why}"));
    let admitted = presented.and_then(|row| vouching::admitted(services, &services.now(), row));
    let acts = admitted.map_err(|not| no(not.why.public()))?;
    if !is_software_of(&caller, &acts) && !caller.is_same(&acts) {
        return Err(no(
            "it is not yours: ask with the token of the software that it was made for".to_owned()
        ));
    }
    Ok(acts)
}

/// True for the same software, that acts for nobody by itself.
fn is_software_of(caller: &Principal, acts: &Principal) -> bool {
    (&caller.issuer, &caller.subject, caller.kind) == (&acts.issuer, &acts.subject, acts.kind)
        && caller.acting_for.is_none()
}

async fn approve(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<GrantRow>, Problem> {
    let approval = parsed_if_any(&body)?;
    decide(&services, &id, &headers, Said::Approved(approval)).await
}

/// How a request for access is approved.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantApproval {
    /// What a passkey has signed, where the request asks for one (`approvers.step_up`): the answer to
    /// `/api/v1/grants/{id}/challenge`.
    #[serde(default)]
    passkey: Option<Assertion>,
}

/// What somebody says of a request.
enum Said {
    Approved(GrantApproval),
    Rejected(String),
}

/// What a passkey has to sign to approve a request for access.
async fn challenge(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
) -> Result<Json<Challenge>, Problem> {
    let (row, reviewer) = deciding(&services, &id, &headers).await?;
    let found = services.grants.may_be_approved(&row, &reviewer).await;
    found.map_err(|error| refused(&error))?;
    let matter = Matter::Grant { grant: row.id, digest: row.ask.digest() };
    passkeys::ask(&services, &headers, reviewer.principal(), matter).await.map(Json)
}

async fn reject(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<GrantRow>, Problem> {
    let Rejection { reason } = parsed(&body)?;
    check_reason(&reason)?;
    decide(&services, &id, &headers, Said::Rejected(reason)).await
}

/// A request that somebody is to decide.
async fn deciding(
    services: &Services,
    id: &str,
    headers: &HeaderMap,
) -> Result<(GrantRow, Reviewer), Problem> {
    let principal = principal(services, headers).await?;
    services.grants.may_try(&principal).map_err(|error| refused(&error))?;
    let caller = Caller::of(services, principal.clone());
    // An agent in a group that is asked is told why it decides nothing, and sees no more of it.
    let is_one = |row: &GrantRow| may_see(&caller, row) || in_group_asked(&principal, row);
    let row = find(services, id, is_one).await?;
    match Reviewer::new(principal.clone()) {
        Ok(reviewer) => Ok((row, reviewer)),
        Err(error) => {
            let why = error.to_string();
            services.grants.refused(&principal, &format!("decide {}", row.id), &why).await;
            Err(Problem::new(StatusCode::FORBIDDEN, why))
        }
    }
}

/// Decides a request: approves it, or rejects it with a reason. An attempt of somebody who may not is
/// recorded.
async fn decide(
    services: &Services,
    id: &str,
    headers: &HeaderMap,
    said: Said,
) -> Result<Json<GrantRow>, Problem> {
    let believed = services.now().vouching.clone();
    let (row, reviewer) = deciding(services, id, headers).await?;
    let (principal, what) = (reviewer.principal(), format!("decide {}", row.id));
    let decided = match said {
        Said::Rejected(reason) => services.grants.reject(&row, &reviewer, &reason).await,
        Said::Approved(GrantApproval { passkey: None }) => {
            services.grants.approve(&row, &reviewer, Shows::default()).await
        }
        Said::Approved(GrantApproval { passkey: Some(assertion) }) => {
            match passkeys::asserted(services, headers, principal, &assertion).await {
                Ok((asserted, browser)) => {
                    let shows = Shows { asserted: Some(&asserted), browser };
                    services.grants.approve(&row, &reviewer, shows).await
                }
                Err(problem) => {
                    services.grants.refused(principal, &what, &problem.detail).await;
                    return Err(problem);
                }
            }
        }
    };
    match decided {
        Ok(row) => {
            let stands = vouching::stands_yet(services, &believed, principal).await;
            stands.map(|()| Json(row)).map_err(|e| unauthorized(&e))
        }
        Err(error) => {
            if let NotGranted::Grant(
                GrantError::NotYours(_) | GrantError::NotAsked(_) | GrantError::StepUp(_),
            ) = &error
            {
                services.grants.refused(principal, &what, &error.to_string()).await;
            }
            Err(match error {
                NotGranted::Grant(GrantError::StepUp(StepUpError::Wanted)) => {
                    passkeys::wanted(services, "/access")
                }
                error => refused(&error),
            })
        }
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EndOfGrant")]
pub(super) struct End {
    /// Why: whoever has it reads it.
    #[serde(default)]
    reason: Option<String>,
}

/// Ends a grant, or takes a request back. Whoever has it may, and whom that acts for, people of a group that
/// approves, and administrators: it only takes leave away.
async fn end(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<GrantRow>, Problem> {
    let viewer = Viewer::of(&services, &headers, &id).await?;
    let End { reason } = parsed_if_any(&body)?;
    if let Some(reason) = &reason {
        check_reason(reason)?;
    }
    let row = find(&services, &id, |row| viewer.may_see(row)).await?;
    let (by, ending) = match (viewer.own(&row), &viewer.caller) {
        (Some(own), _) => (own, Ending::Owner),
        (None, caller @ Caller::Administrator(_)) => (caller.principal(), Ending::Administrator),
        (None, Caller::Other(principal)) => (principal, Ending::Approver),
    };
    let ended = services.grants.end(&row, ending, by, reason.as_deref()).await;
    ended.map_err(|error| refused(&error))?;
    find(&services, &id, |row| viewer.may_see(row)).await.map(Json)
}

fn refused(error: &NotGranted) -> Problem {
    let status = match error {
        NotGranted::NoConnection(_) => StatusCode::NOT_FOUND,
        NotGranted::Open(_) | NotGranted::Wrong(_) => StatusCode::UNPROCESSABLE_ENTITY,
        NotGranted::Forbidden(_) => StatusCode::FORBIDDEN,
        NotGranted::TooOften => StatusCode::TOO_MANY_REQUESTS,
        NotGranted::Reconfigured => StatusCode::CONFLICT,
        NotGranted::Unrecorded(_) => StatusCode::SERVICE_UNAVAILABLE,
        NotGranted::Grant(error) => match error {
            GrantError::StepUp(error) => return passkeys::step_up(error),
            GrantError::Unknown(_) => StatusCode::NOT_FOUND,
            GrantError::NotYours(_) | GrantError::NotAsked(_) => StatusCode::FORBIDDEN,
            GrantError::NoReason => StatusCode::UNPROCESSABLE_ENTITY,
            GrantError::AlreadyYours(_) | GrantError::Ended(_) => StatusCode::CONFLICT,
            GrantError::Full(_) => StatusCode::TOO_MANY_REQUESTS,
            GrantError::Unavailable | GrantError::Unrecorded => StatusCode::SERVICE_UNAVAILABLE,
        },
    };
    Problem::new(status, error.to_string())
}
