//! `/auth/saml/…`: answers of SAML providers, and what the gateway says of itself to them.
//!
//! An answer is a form that another site makes a browser post, so nothing it comes with says which browser
//! that is, and nobody is signed in by it ([`crate::sign_in::Arrived`]). `finish` is, by a page of this
//! gateway's own: with the cookie of the browser that began, or, where nobody did, once its person has
//! said so.

use super::{
    Entering, begun_cookie, cookie, enter, for_people, found, is_local, public, set_cookie,
    with_cookies,
};
use crate::api::problem::{Body, Form, Query};
use crate::api::{Problem, unavailable};
use crate::moment::now;
use crate::services::Services;
use crate::sign_in::{Arrived, Asked, PublicUrl, SamlDesk, Secret, Way};
use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use portcullis_identity::Escaped;
use portcullis_identity::relying::{SIGN_IN_LIFE, SignInError};
use portcullis_identity::saml::{Posted, SamlError, SamlPending};
use schemars::JsonSchema;
use serde::Deserialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

/// How long an answer waits until it is read.
const TURN: Duration = Duration::from_secs(1);

/// Its routes.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new()
        .route("/auth/saml/acs", post(arrive))
        .route("/auth/saml/finish", get(finish).post(confirm))
        .route("/auth/saml/metadata", get(metadata))
}

/// Begins a sign-in at a SAML provider, where this is one: where to send the browser, and what to keep.
pub(super) fn begin(
    services: &Services,
    public: &PublicUrl,
    provider: &str,
    anew: bool,
) -> Option<Result<(String, Asked), Problem>> {
    let parties = services.now().vouching.saml.clone();
    parties.providers().find(|known| known.name == provider)?;
    let begun = parties.begin(provider, &public.saml(), anew, now());
    let begun = begun.map(|(url, pending)| (url, Asked::Saml(pending)));
    Some(begun.map_err(|error| problem(&error)))
}

/// Takes an answer. What comes of it is for `finish`.
async fn arrive(
    State(services): State<Arc<Services>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let came = async {
        let public = public(&services)?;
        let refused = |error: SamlError| {
            info!(%peer, reason = %error, "sign-in by SAML refused");
            problem(&error)
        };
        let body = std::str::from_utf8(&body.0).map_err(|_| SamlError::Form("it is not UTF-8"));
        let posted = body.and_then(Posted::parse).map_err(refused)?;
        let desk = &services.sign_in;
        // Before the sign-in it answers is used up.
        let Some(turn) = desk.saml.turn(TURN).await else { return Ok(busy(peer, &headers)) };
        let relay_state = posted.relay_state();
        let (pending, return_to, by) = match relay_state.and_then(|state| desk.take_saml(state)) {
            Some((pending, return_to, browser)) => (Some(pending), return_to, Way::Begun(browser)),
            None => {
                let place = relay_state.filter(|place| is_local(place)).unwrap_or("/");
                (None, place.to_owned(), Way::Unasked)
            }
        };
        let at = public.saml();
        let anew = pending.as_ref().is_some_and(SamlPending::is_anew);
        let vouching = services.now().vouching.clone();
        let parties = vouching.saml.clone();
        let read = move || parties.finish(pending, &posted, &at, now());
        let asserted = SamlDesk::read(turn, read).await.map_err(unavailable)?.map_err(refused)?;
        let used = desk.saml.assertions.use_once(asserted.assertion()).await;
        let (provider, principal) = asserted.once(used.map_err(unavailable)?).map_err(refused)?;
        keep(&services, Arrived { vouching, provider, principal, return_to, by, anew })
            .map(|ticket| found(&format!("/auth/saml/finish?ticket={ticket}")))
    };
    match came.await {
        Ok(response) => response,
        Err(problem) => for_people(&headers, problem),
    }
}

/// Says to come later, where too many answers are being read.
fn busy(peer: SocketAddr, headers: &HeaderMap) -> Response {
    info!(%peer, "too many answers of SAML providers at a time");
    let detail = "too many sign-ins come in at this moment; send the form again";
    let refused = for_people(headers, Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    ([(header::RETRY_AFTER, "1")], refused).into_response()
}

fn keep(services: &Services, arrived: Arrived) -> Result<String, Problem> {
    services.sign_in.saml.keep(arrived, now()).ok_or_else(|| {
        let detail = "too many sign-ins wait to be finished; try again in some minutes";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(in crate::api) struct Ticket {
    /// What the page before has given.
    #[serde(default)]
    ticket: String,
}

/// Lets in who has arrived, in the browser that began; or asks, where none did.
async fn finish(
    State(services): State<Arc<Services>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Query(ticket): Query<Ticket>,
    headers: HeaderMap,
) -> Response {
    go_on(&services, ticket, false, (peer, &headers)).await
}

/// Lets in who has arrived, in the browser whose person has just confirmed it.
async fn confirm(
    State(services): State<Arc<Services>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(ticket): Form<Ticket>,
) -> Response {
    go_on(&services, ticket, true, (peer, &headers)).await
}

async fn go_on(
    services: &Services,
    Ticket { ticket }: Ticket,
    confirmed: bool,
    (peer, headers): (SocketAddr, &HeaderMap),
) -> Response {
    let came = async {
        let public = public(services)?;
        let unknown = || {
            info!(%peer, "sign-in by SAML refused: its ticket is not of this browser");
            super::problem(&SignInError::State)
        };
        let arrived = services.sign_in.saml.take(&ticket, now()).ok_or_else(unknown)?;
        let name = begun_cookie(public.secure);
        let secret = cookie(headers, name).and_then(Secret::read);
        let browser = match (&arrived.by, confirmed) {
            (Way::Unasked, false) => return ask(services, public, arrived, secret),
            (Way::Begun(browser), false) | (Way::Asked(browser), true) => *browser,
            _ => return Err(unknown()),
        };
        if secret.map(|secret| secret.hash()) != Some(browser) {
            return Err(unknown());
        }
        let Arrived { vouching, provider, principal, return_to, anew, .. } = arrived;
        let entering = Entering { vouching, provider, principal, tokens: None, anew };
        enter(services, public, entering, &return_to, (peer, headers)).await
    };
    match came.await {
        Ok(response) => response,
        Err(problem) => for_people(headers, problem),
    }
}

/// Asks a person whether to be signed in, where a provider has begun it: anybody could have made the
/// browser bring an answer of their own (login CSRF). Only this page knows the ticket that goes on, and
/// it is good in this browser alone.
fn ask(
    services: &Services,
    public: &PublicUrl,
    arrived: Arrived,
    secret: Option<Secret>,
) -> Result<Response, Problem> {
    let secret = secret.unwrap_or_else(Secret::generate);
    let who = &arrived.principal;
    let said = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>Sign in to Portcullis</title><h1>Sign in to \
         Portcullis?</h1><p>{} wants to sign you in as <b>{}</b> ({}). Go on only if that is you, and \
         you have just come from there.</p>",
        Escaped(&who.issuer),
        Escaped(&who.name),
        Escaped(&who.subject),
    );
    let ticket = keep(services, Arrived { by: Way::Asked(secret.hash()), ..arrived })?;
    // By a form: what only looks at links ahead confirms nothing.
    let page = format!(
        "{said}<form method=\"post\" action=\"/auth/saml/finish\"><input type=\"hidden\" \
         name=\"ticket\" value=\"{ticket}\"><button>Sign in</button></form></html>\n"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
        ),
        // The form says where it comes from (Fetch, `Origin`), and to this gateway alone.
        (header::REFERRER_POLICY, "same-origin"),
    ];
    // The browser may have begun other sign-ins, which go by the same cookie.
    let life = SIGN_IN_LIFE.as_secs();
    let kept = set_cookie(begun_cookie(public.secure), &secret.text(), life, public.secure);
    Ok(with_cookies((headers, page).into_response(), &[kept]))
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(in crate::api) struct MetadataQuery {
    /// Which provider, where there are several.
    #[serde(default)]
    provider: Option<String>,
}

/// What the gateway says of itself to a provider.
async fn metadata(
    State(services): State<Arc<Services>>,
    Query(query): Query<MetadataQuery>,
) -> Result<Response, Problem> {
    let public = public(&services)?;
    let parties = services.now().vouching.saml.clone();
    let name = match (query.provider, parties.providers().count()) {
        (Some(name), _) => name,
        (None, 1) => parties.providers().map(|provider| provider.name.clone()).collect(),
        (None, 0) => {
            let detail = "people sign in with no SAML provider here: see identity.saml";
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
        (None, _) => {
            let detail = "say at which provider: /auth/saml/metadata?provider=NAME";
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
    };
    let text = parties.metadata(&name, &public.saml()).map_err(|error| problem(&error))?;
    Ok(([(header::CONTENT_TYPE, "application/samlmetadata+xml")], text).into_response())
}

fn problem(error: &SamlError) -> Problem {
    let status = match error {
        SamlError::NoSuchProvider => StatusCode::NOT_FOUND,
        SamlError::Status(_) => StatusCode::FORBIDDEN,
        error if error.is_temporary() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    };
    if status == StatusCode::SERVICE_UNAVAILABLE {
        warn!(%error, "nobody can sign in by SAML");
    }
    Problem::new(status, error.public())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_among_too_many_is_told_when_to_come_again() {
        let response = busy("127.0.0.1:1".parse().unwrap(), &HeaderMap::new());
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }
}
