//! `POST /api/v1/token`: token exchange (RFC 8693). Tokens that others have vouched for go in, a
//! credential for one connection comes out. Errors are those of RFC 6749 §5.2; none of them, no log
//! and no record holds anything of a token.

use crate::generation::ConnectionServices;
use crate::moment::{now, random};
use crate::services::Services;
use crate::vouching::Vouching;
use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{ConnectInfo, Form, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use portcullis_core::id::CredentialId;
use portcullis_core::journal::{Durability, Entry, Event, Journal as _, NoRoom};
use portcullis_core::principal::{By, Principal};
use portcullis_core::refusal::Retry;
use portcullis_frontends::neighbourhood;
use portcullis_identity::own::{Grant, LONGEST, Minted, Terms};
use portcullis_identity::{Vouched, is_presentable};
use portcullis_store::{CredentialError, CredentialRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::info;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// What a credential is called in answers (RFC 8693 §3).
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// What tokens may be called: all of these are verified alike.
const TOKEN_TYPES: [&str; 3] = [
    ACCESS_TOKEN,
    "urn:ietf:params:oauth:token-type:id_token",
    "urn:ietf:params:oauth:token-type:jwt",
];
/// The shortest credential that can be asked for.
const SHORTEST: Duration = Duration::from_secs(10);

/// A request for an exchange, as its form has it. Parameters that are not known are ignored, as RFC
/// 6749 §3.2 asks; one that comes twice is an error.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "TokenRequest")]
pub(super) struct Asked {
    grant_type: String,
    subject_token: String,
    subject_token_type: String,
    actor_token: String,
    actor_token_type: String,
    requested_token_type: String,
    audience: String,
    resource: String,
    scope: String,
    purpose: String,
    lifetime: String,
}

/// A credential, as it is answered (RFC 8693 §2.2.1).
#[derive(Serialize, JsonSchema)]
pub(super) struct Given<'a> {
    /// The credential: a password of PostgreSQL.
    access_token: &'a str,
    /// What it is called.
    issued_token_type: &'static str,
    /// `Bearer`.
    token_type: &'static str,
    /// Seconds until it expires.
    expires_in: u64,
    /// What is kept of it.
    credential: &'a CredentialRow,
}

/// An answer that is no credential (RFC 6749 §5.2).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TokenError")]
pub(super) struct ToldNot {
    /// One of the words of RFC 6749 and RFC 8693.
    error: &'static str,
    /// Why, in ASCII.
    error_description: String,
}

/// A request that can be read. A parameter without a value counts as left out (RFC 6749 §3.2).
struct Wanted<'a> {
    subject: &'a str,
    actor: Option<&'a str>,
    connection: &'a str,
    purpose: &'a str,
    lifetime: Duration,
}

/// An answer that is no credential (RFC 6749 §5.2).
#[derive(Debug)]
struct NotGiven {
    status: StatusCode,
    error: &'static str,
    why: String,
}

impl NotGiven {
    fn invalid(why: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: "invalid_request", why: why.into() }
    }

    fn of(error: &'static str, why: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, why: why.into() }
    }

    fn later(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, error: "temporarily_unavailable", why: why.into() }
    }
}

impl IntoResponse for NotGiven {
    fn into_response(self) -> Response {
        let body = ToldNot { error: self.error, error_description: plain(&self.why) };
        let mut response = unkept(self.status, body);
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        }
        response
    }
}

/// The characters RFC 6749 §5.2 lets into `error_description`.
fn plain(text: &str) -> String {
    let allowed = |c| match c {
        '"' => '\'',
        ' '..='~' if c != '\\' => c,
        _ => '?',
    };
    text.chars().map(allowed).collect()
}

/// An answer nobody may keep (RFC 6749 §5.1).
fn unkept(status: StatusCode, body: impl Serialize) -> Response {
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// Who is known of those whose tokens came, for the record of a refusal.
#[derive(Default)]
struct Known(Vec<String>);

pub(super) async fn exchange(
    State(services): State<Arc<Services>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    form: Result<Form<Asked>, FormRejection>,
) -> Response {
    let mut known = Known::default();
    let mut connection = String::new();
    let given = async {
        let address = neighbourhood(peer).to_string();
        let most = services.credentials.settings.per_minute_and_address;
        metered(&services.credentials.by_address.of("", &address).count(Instant::now(), 1), most)?;
        // Before anybody is known, so that nothing is recorded of it.
        if services.disk.is_full() {
            return Err(NotGiven::later(StatusCode::SERVICE_UNAVAILABLE, NoRoom.to_string()));
        }
        let Form(asked) = form.map_err(|_| {
            NotGiven::invalid("send each parameter once, as application/x-www-form-urlencoded")
        })?;
        connection = asked.audience.chars().take(128).collect();
        let wanted = read(&asked, services.credentials.settings.lifetime.0)?;
        given(&services, &wanted, peer, &mut known).await
    }
    .await;
    match given {
        Ok(body) => unkept(StatusCode::OK, body),
        Err(refused) => {
            info!(%peer, reason = refused.why, "no credential");
            record(&services, known, connection, peer, &refused.why).await;
            refused.into_response()
        }
    }
}

/// Refuses what comes too often: `before` is how many there were within a second, minute and hour.
fn metered(before: &[u64; 3], most: u32) -> Result<(), NotGiven> {
    let [_, minute, _] = before;
    if *minute < u64::from(most) {
        return Ok(());
    }
    let why = format!("more than {most} requests for credentials within a minute; ask later");
    Err(NotGiven::later(StatusCode::TOO_MANY_REQUESTS, why))
}

/// Records that somebody known got nothing. Those of whom no token verified are nobody: as with
/// log-ins, they are in the log.
async fn record(
    services: &Services,
    known: Known,
    connection: String,
    peer: SocketAddr,
    why: &str,
) {
    if known.0.is_empty() {
        return;
    }
    let (peer, why) = (peer.to_string(), why.to_owned());
    let event = Event::ExchangeRefused { principals: known.0, connection, peer, why };
    let entry = Entry::outside(now(), event);
    // The refusal stands whether or not its record could be kept.
    let _ = services.ledger.append(entry, Durability::Durable).await;
}

/// Reads a request (RFC 8693 §2.1).
fn read(asked: &Asked, usual: Duration) -> Result<Wanted<'_>, NotGiven> {
    if asked.grant_type != GRANT_TYPE {
        let why = format!("grant_type must be {GRANT_TYPE}");
        return Err(NotGiven::of("unsupported_grant_type", why));
    }
    if !asked.scope.is_empty() {
        let why = "there are no scopes: what a credential may do is said by policy";
        return Err(NotGiven::of("invalid_scope", why));
    }
    let given = |text: &'_ str, name: &str| match text {
        "" => Err(NotGiven::invalid(format!("{name} is missing"))),
        _ => Ok(()),
    };
    given(&asked.subject_token, "subject_token")?;
    check_type(&asked.subject_token_type, "subject_token_type")?;
    let actor = Some(asked.actor_token.as_str()).filter(|token| !token.is_empty());
    match actor {
        Some(_) => check_type(&asked.actor_token_type, "actor_token_type")?,
        None if !asked.actor_token_type.is_empty() => {
            return Err(NotGiven::invalid("actor_token_type without actor_token"));
        }
        None => {}
    }
    if !asked.requested_token_type.is_empty() {
        check_type(&asked.requested_token_type, "requested_token_type")?;
    }
    if !asked.resource.is_empty() {
        let why = "name the connection by audience; resource is not used here";
        return Err(NotGiven::of("invalid_target", why));
    }
    given(&asked.audience, "audience, the name of the connection,")?;
    if !is_presentable(&asked.purpose) {
        let why = "purpose must say in 1 to 255 visible characters what the credential is for";
        return Err(NotGiven::invalid(why));
    }
    let lifetime = lifetime(&asked.lifetime, usual)?;
    let (subject, connection) = (asked.subject_token.as_str(), asked.audience.as_str());
    Ok(Wanted { subject, actor, connection, purpose: &asked.purpose, lifetime })
}

fn check_type(text: &str, name: &str) -> Result<(), NotGiven> {
    if TOKEN_TYPES.contains(&text) {
        return Ok(());
    }
    Err(NotGiven::invalid(format!("{name} must be one of {}", TOKEN_TYPES.join(", "))))
}

fn lifetime(text: &str, usual: Duration) -> Result<Duration, NotGiven> {
    if text.is_empty() {
        return Ok(usual);
    }
    let seconds = text.parse().map(Duration::from_secs).ok();
    seconds.filter(|wanted| (SHORTEST..=LONGEST).contains(wanted)).ok_or_else(|| {
        let (least, most) = (SHORTEST.as_secs(), LONGEST.as_secs());
        NotGiven::invalid(format!("lifetime must be {least} to {most} seconds"))
    })
}

/// Verifies the tokens and issues what they allow.
async fn given(
    services: &Services,
    wanted: &Wanted<'_>,
    peer: SocketAddr,
    known: &mut Known,
) -> Result<Value, NotGiven> {
    if services.governing.is_behind() {
        let why = "there are newer documents, which this gateway cannot go by: ask another one";
        return Err(NotGiven::later(StatusCode::SERVICE_UNAVAILABLE, why));
    }
    let generation = services.now();
    let subject = vouched(&generation.vouching, wanted.subject, "subject_token").await?;
    known.0.push(subject.principal().subject.clone());
    meter(services, subject.principal())?;
    let actor = match wanted.actor {
        None => None,
        Some(token) => {
            let actor = vouched(&generation.vouching, token, "actor_token").await?;
            known.0.insert(0, actor.principal().subject.clone());
            meter(services, actor.principal())?;
            Some(actor)
        }
    };
    let unknown = || NotGiven::of("invalid_target", "there is no such connection for you");
    let found = generation.connections.get(wanted.connection);
    let connection: &ConnectionServices = found.ok_or_else(unknown)?;
    let grant = match actor {
        None => Grant::own(subject),
        Some(actor) => Grant::delegated(subject, actor, &connection.settings.lend_groups),
    };
    let grant = grant.map_err(|error| NotGiven::invalid(error.to_string()))?;
    let by = (connection, &generation.vouching);
    issue(services, by, grant, wanted, peer).await
}

async fn vouched(vouching: &Vouching, token: &str, which: &str) -> Result<Vouched, NotGiven> {
    vouching.verifier().vouch(token.trim(), now()).await.map_err(|error| {
        let why = format!("{which}: {}", error.public());
        match error.retry() {
            Retry::Later => NotGiven::later(StatusCode::SERVICE_UNAVAILABLE, why),
            _ => NotGiven::invalid(why),
        }
    })
}

fn meter(services: &Services, who: &Principal) -> Result<(), NotGiven> {
    let credentials = &services.credentials;
    let meter = credentials.by_caller.of(&who.issuer, &who.subject);
    metered(&meter.count(Instant::now(), 1), credentials.settings.per_minute_and_caller)
}

/// By whom a credential is revoked that nobody has.
const NEVER: &str = "portcullis: it was never given out";

/// Keeps a credential, where whoever has vouched for it still does once it is kept: whoever takes that back
/// looks for credentials then.
async fn keep(
    services: &Services,
    row: &CredentialRow,
    vouching: &Arc<Vouching>,
) -> Result<(), NotGiven> {
    let unavailable = |why| NotGiven::later(StatusCode::SERVICE_UNAVAILABLE, why);
    services.credentials.store.keep(row).await.map_err(|error| match error {
        CredentialError::TooMany => NotGiven::invalid(error.to_string()),
        CredentialError::Unavailable => unavailable(error.to_string()),
    })?;
    if services.now().vouching.stands_by(vouching, &row.principal) {
        return Ok(());
    }
    // It is handed to nobody in any case.
    let _ = services.credentials.store.revoke(row.id, NEVER, now()).await;
    Err(unavailable("who vouches for callers was changed at this moment; ask again".to_owned()))
}

/// Records a credential, keeps it, and gives it: in this order.
async fn issue(
    services: &Services,
    (connection, vouching): (&ConnectionServices, &Arc<Vouching>),
    grant: Grant,
    wanted: &Wanted<'_>,
    peer: SocketAddr,
) -> Result<Value, NotGiven> {
    let credentials = &services.credentials;
    let (issued, id) = (now(), CredentialId::from_bits(u64::from_ne_bytes(random())));
    let mut scrubbed = Vec::new();
    let purpose = match connection.detectors.redact(wanted.purpose.as_bytes(), &mut scrubbed) {
        true => String::from_utf8_lossy(&scrubbed).into_owned(),
        false => wanted.purpose.to_owned(),
    };
    let lifetime = wanted.lifetime.min(credentials.settings.max_lifetime.0);
    let (actors, person) = (grant.actors().to_vec(), grant.person().cloned());
    let vouched_by = grant.vouched_by().to_vec();
    let terms = Terms { id, connection: wanted.connection, purpose: &purpose, lifetime };
    let Minted { token, principal } = credentials.mint(grant, &terms, issued);
    if principal.expires <= issued {
        return Err(NotGiven::invalid("a token expires within this second"));
    }
    let row = CredentialRow {
        id,
        connection: wanted.connection.to_owned(),
        purpose,
        expires: principal.expires,
        principal,
        actors,
        person,
        vouched_as: vouched_by.iter().map(|name| vouching.mark(name)).collect(),
        vouched_by,
        issued,
        revoked: None,
        revoked_by: None,
    };
    let event = Event::CredentialIssued {
        credential: id,
        principal: row.principal.clone(),
        actors: row.actors.clone(),
        connection: row.connection.clone(),
        purpose: row.purpose.clone(),
        vouched_by: row.vouched_by.clone(),
        peer: peer.to_string(),
    };
    let entry = Entry::outside(issued, event);
    let unavailable = |why| NotGiven::later(StatusCode::SERVICE_UNAVAILABLE, why);
    let recorded = services.ledger.append(entry, Durability::Durable).await;
    recorded.map_err(|error| unavailable(error.to_string()))?;
    if let Err(error) = keep(services, &row, vouching).await {
        let by = By::no_principal(NEVER);
        let event = Event::CredentialRevoked { credential: id, by, connection: row.connection };
        let entry = Entry::outside(now(), event);
        // Whoever asked is told in any case.
        let _ = services.ledger.append(entry, Durability::Durable).await;
        return Err(error);
    }
    let given = Given {
        access_token: &token,
        issued_token_type: ACCESS_TOKEN,
        token_type: "Bearer",
        expires_in: row.expires.since(issued).as_secs(),
        credential: &row,
    };
    serde_json::to_value(given).map_err(|error| unavailable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Asked {
        Asked {
            grant_type: GRANT_TYPE.into(),
            subject_token: "a.b.c".into(),
            subject_token_type: ACCESS_TOKEN.into(),
            audience: "orders".into(),
            purpose: "fix it".into(),
            ..Asked::default()
        }
    }

    #[test]
    fn a_request_says_all_it_has_to() {
        let usual = Duration::from_secs(900);
        let good = asked();
        assert_eq!(read(&good, usual).map(|wanted| wanted.lifetime).unwrap(), usual);
        let check = |edit: fn(&mut Asked), error: &str, why: &str| {
            let mut asked = asked();
            edit(&mut asked);
            let said = read(&asked, usual).map(drop).unwrap_err();
            assert_eq!(said.error, error, "{}", said.why);
            assert!(said.why.contains(why), "{}", said.why);
        };
        check(|a| a.grant_type = "password".into(), "unsupported_grant_type", "token-exchange");
        check(|a| a.subject_token.clear(), "invalid_request", "subject_token is missing");
        check(|a| a.subject_token_type.clear(), "invalid_request", "subject_token_type");
        check(|a| a.subject_token_type = "saml2".into(), "invalid_request", "subject_token_type");
        check(|a| a.actor_token = "a.b.c".into(), "invalid_request", "actor_token_type");
        check(
            |a| a.actor_token_type = ACCESS_TOKEN.into(),
            "invalid_request",
            "without actor_token",
        );
        check(|a| a.requested_token_type = "x".into(), "invalid_request", "requested_token_type");
        check(|a| a.audience.clear(), "invalid_request", "connection");
        check(|a| a.resource = "https://x".into(), "invalid_target", "audience");
        check(|a| a.scope = "admin".into(), "invalid_scope", "no scopes");
        check(|a| a.purpose.clear(), "invalid_request", "purpose");
        check(|a| a.purpose = "a\u{202e}b".into(), "invalid_request", "purpose");
        check(|a| a.lifetime = "9".into(), "invalid_request", "10 to 43200");
        check(|a| a.lifetime = "43201".into(), "invalid_request", "10 to 43200");
        check(|a| a.lifetime = "1e3".into(), "invalid_request", "10 to 43200");
    }

    #[test]
    fn a_description_has_the_characters_it_may() {
        assert_eq!(plain("for \"orders\"\n\\ größe"), "for 'orders'?? gr??e");
    }
}
