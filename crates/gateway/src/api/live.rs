//! Sessions there are now, ending them, and freezes: what administrators do, and people with what is
//! theirs.
//!
//! Who may what: `tests/e2e/tests/live.rs` has the table. An agent sees its own sessions and ends none;
//! a person sees and ends its own and those of agents that act for it; an administrator all. Only
//! administrators freeze and thaw, and they are [`Administrator`]s, a type an agent's token cannot
//! become.

use super::page::{Paged, Wanted as List};
use super::problem::{Body, Path, parsed, unprocessable};
use super::{Problem, principal, unavailable};
use crate::freezes::{NotFrozen, Wanted};
use crate::live::{Killed, LiveSession, Owner};
use crate::moment::now;
use crate::services::Services;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use portcullis_core::freeze::Freeze;
use portcullis_core::id::{FreezeId, SessionId};
use portcullis_core::journal::{Durability, Entry, Event, Journal as _};
use portcullis_core::principal::{Administrator, By, Principal};
use portcullis_core::verdict::Standing;
use portcullis_identity::has_invisible;
use portcullis_store::{FreezeError, FreezeRow, Place};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Longest reason, in bytes.
const MAX_REASON: usize = 1_000;
/// How long an answer waits until sessions are over.
const OVER: Duration = Duration::from_secs(2);

/// Its routes.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new()
        .route("/api/v1/sessions", get(sessions))
        .route("/api/v1/sessions/kill", post(kill_many))
        .route("/api/v1/sessions/{id}/kill", post(kill_one))
        .route("/api/v1/freezes", get(freezes).post(freeze))
        .route("/api/v1/freezes/{id}", delete(thaw))
}

/// What a principal has to do with sessions of others.
pub(super) enum Caller {
    Administrator(Administrator),
    Other(Principal),
}

impl Caller {
    pub(super) fn of(services: &Services, principal: Principal) -> Self {
        match Administrator::new(principal.clone(), &services.administrators) {
            Ok(administrator) => Self::Administrator(administrator),
            Err(_) => Self::Other(principal),
        }
    }

    pub(super) const fn principal(&self) -> &Principal {
        match self {
            Self::Administrator(administrator) => administrator.principal(),
            Self::Other(principal) => principal,
        }
    }

    /// Whom that has to concern which it may see; `None` where that is everything.
    pub(super) const fn concerned(&self) -> Option<&Principal> {
        match self {
            Self::Administrator(_) => None,
            Self::Other(principal) => Some(principal),
        }
    }

    /// Whether it may see a session of this principal's.
    pub(super) fn may_see(&self, owner: &Owner) -> bool {
        match self {
            Self::Administrator(_) => true,
            Self::Other(principal) => owner.is(principal),
        }
    }

    /// Whether a freeze may be about it: one of everything, or of a connection it is admitted to.
    pub(super) fn may_see_freeze(&self, services: &Services, freeze: &Freeze) -> bool {
        let Self::Other(principal) = self else { return true };
        freeze.connection.as_ref().is_none_or(|connection| {
            let now = services.now();
            let found = now.connections.get(connection);
            found.is_some_and(|c| c.settings.groups.iter().any(|g| principal.groups.contains(g)))
        })
    }
}

/// The sessions a caller may see, oldest first.
async fn sessions(
    State(services): State<Arc<Services>>,
    list: List,
    headers: HeaderMap,
) -> Result<Paged<LiveSession>, Problem> {
    let caller = Caller::of(&services, principal(&services, &headers).await?);
    let mut sessions = services.sessions.list(|owner| caller.may_see(owner));
    let place = |one: &LiveSession| Place { at: one.since, id: one.id.to_string() };
    if let Some(Place { at, id }) = &list.page.after {
        sessions.retain(|one| (one.since, one.id.to_string()) > (*at, id.clone()));
    }
    let most = list.page.limit as usize;
    let more = sessions.len() > most;
    sessions.truncate(most);
    Ok((list.next(sessions.last().map(place).filter(|_| more)), Json(sessions)))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    /// Why, on one line of 1 to 1000 bytes: those it concerns read it.
    reason: String,
}

/// Which sessions are ended.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KillMany {
    /// Those of agents and workloads with this name or subject.
    #[serde(default)]
    agent: Option<String>,
    /// Those on this connection.
    #[serde(default)]
    connection: Option<String>,
    /// Why, on one line of 1 to 1000 bytes: those it concerns read it.
    reason: String,
}

impl KillMany {
    fn means(&self, standing: &Standing) -> bool {
        let principal = &standing.principal;
        let agent = |name: &String| {
            !principal.is_person_alone() && (*name == principal.name || *name == principal.subject)
        };
        self.agent.as_ref().is_none_or(agent)
            && self.connection.as_ref().is_none_or(|name| *name == standing.connection.name)
    }
}

/// What has become of the sessions that were ended.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Ended {
    /// Those that were ended.
    sessions: Vec<EndedSession>,
    /// False where the journal takes nothing: that keeps nobody from ending them.
    recorded: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct EndedSession {
    #[serde(flatten)]
    session: LiveSession,
    /// It is over. What is not is, a moment later.
    over: bool,
}

async fn kill_one(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Ended>, Problem> {
    let caller = may_kill(&services, &headers, &format!("end session {id}")).await?;
    let Reason { reason } = parsed(&body)?;
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "there is no such session for you");
    let id: SessionId = id.parse().map_err(|_| unknown())?;
    let ended = kill(&services, &caller, reason, |session, _| session == id).await?;
    if !ended.0.sessions.is_empty() {
        return Ok(ended);
    }
    if let Caller::Other(principal) = &caller
        && services.sessions.is_there(id)
    {
        let why = "it is a session of somebody else's, and the caller is no administrator";
        let _ = forbidden(&services, principal, &format!("end session {id}"), why).await;
    }
    Err(unknown())
}

async fn kill_many(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Ended>, Problem> {
    let caller = may_kill(&services, &headers, "end sessions").await?;
    let wanted: KillMany = parsed(&body)?;
    if wanted.agent.is_none() && wanted.connection.is_none() {
        return Err(unprocessable("say whose sessions end: `agent`, `connection`, or both"));
    }
    kill(&services, &caller, wanted.reason.clone(), |_, owner| wanted.means(&owner.standing)).await
}

/// The caller, where it may end sessions: a person, who acts for nobody. An attempt of another's is
/// recorded.
async fn may_kill(services: &Services, headers: &HeaderMap, what: &str) -> Result<Caller, Problem> {
    let principal = principal(services, headers).await?;
    if principal.is_person_alone() {
        return Ok(Caller::of(services, principal));
    }
    let why = "only a person ends sessions; an agent's or a workload's token never can";
    Err(forbidden(services, &principal, what, why).await)
}

/// Ends sessions: first that, then the record, which waits for no disk.
async fn kill(
    services: &Services,
    caller: &Caller,
    reason: String,
    which: impl Fn(SessionId, &Owner) -> bool,
) -> Result<Json<Ended>, Problem> {
    check_reason(&reason)?;
    let principal = caller.principal();
    let by = match caller {
        Caller::Administrator(_) => format!("{} (administrator)", principal.name),
        Caller::Other(_) => principal.name.clone(),
    };
    let killed = Killed { by, reason: reason.clone() };
    let mut recorded = true;
    let mine = |id, owner: &Owner| caller.may_see(owner) && which(id, owner);
    let ending = services.sessions.end(mine, &killed, |id| {
        let event = Event::SessionKilled { by: principal.into(), reason: reason.clone() };
        let entry = Entry { at: now(), session: Some(id), request: None, event };
        recorded &= services.ledger.note(entry).is_ok();
    });
    let over = ending.over(OVER).await.into_iter();
    let sessions = over.map(|(session, over)| EndedSession { session, over }).collect();
    Ok(Json(Ended { sessions, recorded }))
}

/// The freezes: for administrators all, for others those that may be about them.
async fn freezes(
    State(services): State<Arc<Services>>,
    mut list: List,
    headers: HeaderMap,
) -> Result<Paged<FreezeRow>, Problem> {
    let caller = Caller::of(&services, principal(&services, &headers).await?);
    loop {
        let found = services.freezes.page(list.all, &list.page).await.map_err(unavailable)?;
        if let Some(paged) = list.paged(found, |row| caller.may_see_freeze(&services, &row.freeze))
        {
            return Ok(paged);
        }
    }
}

async fn freeze(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<FreezeRow>), Problem> {
    let administrator = administrator(&services, &headers, "freeze").await?;
    let wanted: Wanted = parsed(&body)?;
    check_reason(&wanted.reason)?;
    if let Some(name) = &wanted.connection
        && !services.now().connections.contains_key(name)
    {
        return Err(unprocessable(&format!("there is no connection `{name}`")));
    }
    let made = services.freezes.freeze(&administrator, wanted, &services.ledger).await;
    made.map(|row| (StatusCode::CREATED, Json(row))).map_err(not_frozen)
}

async fn thaw(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
) -> Result<Json<FreezeRow>, Problem> {
    let administrator = administrator(&services, &headers, "thaw").await?;
    let unknown = |_| not_frozen(NotFrozen::NoneSuch);
    let id: FreezeId = id.parse().map_err(unknown)?;
    services.freezes.thaw(&administrator, id, &services.ledger).await.map(Json).map_err(not_frozen)
}

/// The caller, where it is an administrator. An attempt of another's is recorded.
pub(super) async fn administrator(
    services: &Services,
    headers: &HeaderMap,
    what: &str,
) -> Result<Administrator, Problem> {
    let principal = principal(services, headers).await?;
    match Administrator::new(principal.clone(), &services.administrators) {
        Ok(administrator) => Ok(administrator),
        Err(error) => Err(forbidden(services, &principal, what, &error.to_string()).await),
    }
}

async fn forbidden(services: &Services, principal: &Principal, what: &str, why: &str) -> Problem {
    let by = By::from(principal);
    let what = what.chars().take(64).collect();
    let event = Event::AdministrationRefused { by, what, why: why.to_owned() };
    let entry = Entry::outside(now(), event);
    // The refusal stands whether or not it could be recorded.
    let _ = services.ledger.append(entry, Durability::Durable).await;
    Problem::new(StatusCode::FORBIDDEN, why)
}

fn not_frozen(error: NotFrozen) -> Problem {
    let status = match error {
        NotFrozen::Time => StatusCode::UNPROCESSABLE_ENTITY,
        NotFrozen::NoneSuch => StatusCode::NOT_FOUND,
        NotFrozen::Store(FreezeError::Full) => StatusCode::CONFLICT,
        NotFrozen::Store(FreezeError::Unavailable) | NotFrozen::Unrecorded(_) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    Problem::new(status, error.to_string())
}

/// A reason that callers and the record can be shown.
pub(super) fn check_reason(reason: &str) -> Result<(), Problem> {
    let told = !reason.trim().is_empty() && reason.len() <= MAX_REASON;
    if told && !has_invisible(reason) {
        return Ok(());
    }
    let detail =
        format!("say why in 1 to {MAX_REASON} bytes on one line: those it concerns read it");
    Err(unprocessable(&detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_core::principal::PrincipalKind;
    use portcullis_core::protocol::ProtocolKind;
    use portcullis_core::time::Timestamp;
    use portcullis_core::verdict::ConnectionFacts;
    use std::collections::BTreeSet;

    fn standing(kind: PrincipalKind, name: &str) -> Standing {
        let principal = Principal {
            kind,
            subject: format!("sub-{name}"),
            name: name.to_owned(),
            issuer: "https://issuer".to_owned(),
            acting_for: None,
            acting_for_issuer: None,
            email: None,
            groups: BTreeSet::new(),
            token_id: None,
            expires: Timestamp::from_micros(0),
        };
        let connection = ConnectionFacts {
            name: "shop".to_owned(),
            environment: "test".to_owned(),
            protocol: ProtocolKind::Postgres,
            database: "shop".to_owned(),
            role: "app".to_owned(),
        };
        Standing { principal, connection }
    }

    #[test]
    fn sessions_are_chosen_by_agent_and_connection() {
        let means = |agent: Option<&str>, connection: Option<&str>, standing: &Standing| {
            let (agent, connection) = (agent.map(str::to_owned), connection.map(str::to_owned));
            KillMany { agent, connection, reason: String::new() }.means(standing)
        };
        let claude = standing(PrincipalKind::Agent, "claude");
        for name in ["claude", "sub-claude"] {
            assert!(means(Some(name), None, &claude), "{name}");
            assert!(means(Some(name), Some("shop"), &claude), "{name}");
            assert!(!means(Some(name), Some("other"), &claude), "{name}");
        }
        assert!(!means(Some("deckard"), None, &claude) && means(None, Some("shop"), &claude));
        let namesake = standing(PrincipalKind::Person, "claude");
        assert!(!means(Some("claude"), None, &namesake), "a person is no agent");
        assert!(means(None, Some("shop"), &namesake));
    }

    #[test]
    fn reasons_are_one_line() {
        for (reason, good) in [
            ("it runs amok", true),
            ("läuft Amok ✗", true),
            ("", false),
            (" \t", false),
            ("a\nb", false),
            ("a\0b", false),
            ("\u{1b}[2J", false),
        ] {
            assert_eq!(check_reason(reason).is_ok(), good, "{reason:?}");
        }
        assert!(check_reason(&"x".repeat(MAX_REASON)).is_ok());
        assert!(check_reason(&"x".repeat(MAX_REASON + 1)).is_err());
    }
}
