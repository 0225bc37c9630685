//! `/api/v1/passkeys`, and the challenges of reviews and grants: people register passkeys here, and are
//! asked to sign with them exactly what they approve. A passkey is registered in a browser session, by a
//! [`Person`]: what no agent, no workload and nobody who acts for somebody can be.

use super::page::{Paged, Wanted};
use super::problem::{Body, Path, parsed, unprocessable};
use super::{Problem, principal, session_of, unavailable};
use crate::moment::now;
use crate::passkeys::{NotTaken, Pages, WAIT, new_id};
use crate::services::Services;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use portcullis_core::digest::Digest;
use portcullis_core::id::{BrowserSessionId, PasskeyId};
use portcullis_core::journal::{Durability, Entry, Event, Journal as _};
use portcullis_core::passkey::{Asserted, Matter};
use portcullis_core::principal::{Administrator, By, Person, Principal};
use portcullis_identity::is_presentable;
use portcullis_identity::passkey::{
    ALGORITHMS, Assertion, PasskeyError, Registration, claimed_challenge, encoded, register,
};
use portcullis_store::{BrowserSession, PasskeyRow, StepUpError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The longest name of a passkey, in characters.
const MAX_NAME: usize = 60;

/// Its routes.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new()
        .route("/api/v1/passkeys", get(list).post(add))
        .route("/api/v1/passkeys/challenge", post(challenge))
        .route("/api/v1/passkeys/{id}", delete(remove))
}

/// What a passkey is asked to sign. Bytes are in base64url without padding.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Challenge {
    /// The challenge.
    challenge: String,
    /// The relying party's id.
    rp_id: String,
    /// The credentials that may sign.
    allow: Vec<String>,
    /// For how long an answer is waited for, in seconds.
    seconds: u64,
}

/// What a new passkey is made of.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Creation {
    /// The challenge.
    challenge: String,
    /// The relying party's id.
    rp_id: String,
    /// Stands for the person at authenticators, and says nothing of it.
    user: String,
    /// The person, for people to read.
    name: String,
    /// The algorithms that keys may be of, by their numbers at IANA.
    algorithms: [i64; 3],
    /// The credentials there are already.
    exclude: Vec<String>,
    /// For how long an answer is waited for, in seconds.
    seconds: u64,
    /// What a passkey that is there has to sign first; `null` for the first one.
    by: Option<Challenge>,
}

/// A passkey to register.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Added {
    /// What its person calls it, in 1 to 60 characters.
    name: String,
    /// What the browser has made.
    made: Registration,
    /// What a passkey that is there has signed, where there is one.
    #[serde(default)]
    by: Option<Assertion>,
}

/// A passkey that was removed.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RemovedPasskey {
    id: PasskeyId,
    /// It is gone.
    removed: bool,
}

/// Where people are asked.
pub(super) fn pages(services: &Services) -> Result<Pages, Problem> {
    let public = services.sign_in.public();
    public.map(Pages::of).ok_or_else(|| unavailable("the gateway does not listen yet"))
}

/// Asks somebody to sign this.
pub(super) async fn ask(
    services: &Services,
    headers: &HeaderMap,
    who: &Principal,
    matter: Matter,
) -> Result<Challenge, Problem> {
    let browser = browser(services, headers).await?;
    let challenge = services.passkeys.ask(who, browser, matter).await.map_err(|e| step_up(&e))?;
    challenge_of(services, who, challenge).await
}

async fn challenge_of(
    services: &Services,
    who: &Principal,
    challenge: Digest,
) -> Result<Challenge, Problem> {
    let allow = services.passkeys.credentials(who).await.map_err(|e| step_up(&e))?;
    Ok(Challenge {
        challenge: encoded(challenge.as_bytes()),
        rp_id: pages(services)?.site().rp_id.to_owned(),
        allow,
        seconds: WAIT.as_secs(),
    })
}

/// The browser session somebody comes with, where it is one.
pub(super) async fn browser(
    services: &Services,
    headers: &HeaderMap,
) -> Result<Option<BrowserSessionId>, Problem> {
    Ok(session_of(services, headers).await.transpose()?.map(|session| session.id))
}

/// What somebody has signed, checked.
pub(super) async fn asserted(
    services: &Services,
    headers: &HeaderMap,
    who: &Principal,
    assertion: &Assertion,
) -> Result<(Asserted, Option<BrowserSessionId>), Problem> {
    let browser = browser(services, headers).await?;
    let pages = pages(services)?;
    let taken = services.passkeys.asserted(&pages, (who, browser), assertion).await;
    taken.map(|asserted| (asserted, browser)).map_err(|error| not_taken(&error))
}

fn not_taken(error: &NotTaken) -> Problem {
    match error {
        NotTaken::StepUp(error) => step_up(error),
        NotTaken::Passkey(error) => signed(*error),
    }
}

fn signed(error: PasskeyError) -> Problem {
    let status = match error {
        PasskeyError::Unreadable(_) => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::FORBIDDEN,
    };
    Problem::new(status, error.to_string())
}

/// The problem that a passkey lets nothing happen.
pub(super) fn step_up(error: &StepUpError) -> Problem {
    let status = match error {
        StepUpError::Wanted
        | StepUpError::NotAnew
        | StepUpError::NotYours
        | StepUpError::Counter => StatusCode::FORBIDDEN,
        StepUpError::NotThis | StepUpError::Known | StepUpError::Full => StatusCode::CONFLICT,
        StepUpError::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    };
    Problem::new(status, error.to_string())
}

/// The problem that a decision takes a passkey, with the page on which one is asked for it.
pub(super) fn wanted(services: &Services, path: &str) -> Problem {
    let wanted = StepUpError::Wanted;
    match services.sign_in.public() {
        Some(public) => {
            Problem::new(StatusCode::FORBIDDEN, format!("{wanted}: {}{path}", public.origin))
        }
        None => step_up(&wanted),
    }
}

/// Only people, by themselves.
async fn person(services: &Services, headers: &HeaderMap) -> Result<Person, Problem> {
    let person = Person::new(principal(services, headers).await?);
    let detail = "only people have passkeys; an agent's or a workload's token, or that of whoever \
                  acts for somebody, never can";
    person.map_err(|_| Problem::new(StatusCode::FORBIDDEN, detail))
}

/// One's own passkeys; with `all`, for administrators, everybody's.
async fn list(
    State(services): State<Arc<Services>>,
    mut wanted: Wanted,
    headers: HeaderMap,
) -> Result<Paged<PasskeyRow>, Problem> {
    let who = person(&services, &headers).await?;
    let whose = match wanted.all {
        false => Some(who.principal()),
        true => {
            let administrator =
                Administrator::new(who.principal().clone(), &services.administrators);
            administrator.map_err(|why| Problem::new(StatusCode::FORBIDDEN, why.to_string()))?;
            None
        }
    };
    loop {
        let found = services.passkeys.store.list(whose, &wanted.page).await;
        if let Some(paged) = wanted.paged(found.map_err(|e| step_up(&e))?, |_| true) {
            return Ok(paged);
        }
    }
}

/// The browser session in which a passkey is registered.
async fn session(services: &Services, headers: &HeaderMap) -> Result<BrowserSession, Problem> {
    person(services, headers).await?;
    let session = session_of(services, headers).await.transpose()?;
    let detail = "a passkey is registered in a browser: sign in at the console";
    session.ok_or_else(|| Problem::new(StatusCode::FORBIDDEN, detail))
}

/// Stands for a person at authenticators (Web Authentication §14.6.1: nothing that says who it is).
fn handle(who: &Principal) -> String {
    let digester = portcullis_core::digest::Digester::new("portcullis/passkey/user/1");
    let digest = digester.part(who.issuer.as_bytes()).part(who.subject.as_bytes()).finish();
    encoded(digest.as_bytes())
}

async fn challenge(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
) -> Result<Json<Creation>, Problem> {
    let session = session(&services, &headers).await?;
    let who = session.person.principal();
    let matter = Matter::Passkey { browser: session.id };
    let exclude = services.passkeys.credentials(who).await.map_err(|e| step_up(&e))?;
    if exclude.is_empty() {
        let vouched = services.passkeys.store.is_vouched(session.id, now()).await;
        if !vouched.map_err(|e| step_up(&e))? {
            return Err(step_up(&StepUpError::NotAnew));
        }
    }
    let by = match exclude.is_empty() {
        true => None,
        false => Some(ask(&services, &headers, who, matter).await?),
    };
    let challenge = services.passkeys.ask(who, Some(session.id), matter).await;
    Ok(Json(Creation {
        challenge: encoded(challenge.map_err(|e| step_up(&e))?.as_bytes()),
        rp_id: pages(&services)?.site().rp_id.to_owned(),
        user: handle(who),
        name: who.name.clone(),
        algorithms: ALGORITHMS,
        exclude,
        seconds: WAIT.as_secs(),
        by,
    }))
}

/// Registers a passkey. The record comes first.
async fn add(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<PasskeyRow>), Problem> {
    let session = session(&services, &headers).await?;
    let added: Added = parsed(&body)?;
    let added = registered(&services, &session, &headers, added).await;
    if let Err(problem) = &added
        && problem.status != StatusCode::SERVICE_UNAVAILABLE
    {
        let by = By::from(session.person.principal());
        let (what, why) = ("register a passkey".to_owned(), problem.detail.clone());
        // The refusal stands whether or not it could be recorded.
        let _ = record(&services, Event::PasskeyRefused { by, what, why }).await;
    }
    added.map(|row| (StatusCode::CREATED, Json(row)))
}

async fn registered(
    services: &Services,
    session: &BrowserSession,
    headers: &HeaderMap,
    added: Added,
) -> Result<PasskeyRow, Problem> {
    let Added { name, made, by } = added;
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || !is_presentable(name) {
        return Err(unprocessable("name it in 1 to 60 characters that can be seen"));
    }
    let who = session.person.principal();
    let challenge = claimed_challenge(&made.client_data).map_err(signed)?;
    let new = register(&pages(services)?.site(), &challenge, &made).map_err(signed)?;
    let asserted = match &by {
        Some(by) => Some(asserted(services, headers, who, by).await?.0),
        None => None,
    };
    let row = PasskeyRow {
        id: new_id(),
        name: name.to_owned(),
        issuer: who.issuer.clone(),
        subject: who.subject.clone(),
        made: now(),
        used: None,
        credential: new.credential,
        public_key: new.public_key,
        sign_count: new.sign_count,
    };
    let (store, used) = (&services.passkeys.store, (challenge, session.id));
    let may = store.may_register(&session.person, &row, used, asserted.as_ref()).await;
    may.map_err(|e| step_up(&e))?;
    let event = Event::PasskeyRegistered {
        passkey: row.id,
        principal: who.clone(),
        credential: encoded(&row.credential),
        public_key: encoded(&row.public_key),
        browser: session.id,
        peer: session.peer.clone(),
        by: asserted.as_ref().map(|asserted| Box::new(asserted.evidence().clone())),
    };
    record(services, event).await?;
    let kept = store.register(&session.person, &row, used, asserted.as_ref()).await;
    kept.map_err(|e| step_up(&e))?;
    Ok(row)
}

async fn record(services: &Services, event: Event) -> Result<(), Problem> {
    let entry = Entry::outside(now(), event);
    services.ledger.append(entry, Durability::Durable).await.map(drop).map_err(unavailable)
}

/// Removes somebody else's passkey, as an administrator. Nobody removes their own: whoever has a stolen
/// session could, and register one that is a first one again. First that, then the record, which keeps
/// nobody from removing one.
async fn remove(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
) -> Result<Json<RemovedPasskey>, Problem> {
    let who = person(&services, &headers).await?;
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "there is no such passkey for you");
    let id: PasskeyId = id.parse().map_err(|_| unknown())?;
    let found = services.passkeys.store.find(id).await.map_err(|e| step_up(&e))?;
    let by = who.principal();
    let administers = Administrator::new(by.clone(), &services.administrators).is_ok();
    let own = |row: &PasskeyRow| (&row.issuer, &row.subject) == (&by.issuer, &by.subject);
    let row = found.filter(|row| administers || own(row)).ok_or_else(unknown)?;
    if own(&row) {
        let detail = "your own passkeys are removed by another administrator: a stolen session of yours \
                      could remove them too, and register others";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    if !services.passkeys.store.remove(id).await.map_err(|e| step_up(&e))? {
        return Err(unknown());
    }
    let (of, issuer, by) = (row.subject, row.issuer, By::from(by));
    record(&services, Event::PasskeyRemoved { passkey: id, of, issuer, by }).await?;
    Ok(Json(RemovedPasskey { id, removed: true }))
}
