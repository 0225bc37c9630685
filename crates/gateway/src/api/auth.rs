//! `/auth/…`: signing in and out in a browser; `/api/v1/me`: who is asking; and the sessions that people
//! have in browsers, listed and ended.

pub(super) mod saml;

use super::front::{cookie, cookie_name};
use super::page::{Paged, Wanted};
use super::problem::{Path, Query};
use super::{Problem, principal, session_of, unavailable};
use crate::metrics::{Kind, Outcome};
use crate::moment::{now, random};
use crate::services::Services;
use crate::sign_in::{Asked, Begun, PublicUrl, Secret};
use crate::vouching::Vouching;
use axum::Extension;
use axum::extract::{ConnectInfo, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use portcullis_core::id::BrowserSessionId;
use portcullis_core::journal::{Durability, Entry, Event, Journal as _};
use portcullis_core::principal::{Administrator, By, Person, Principal, Reviewer};
use portcullis_core::time::Timestamp;
use portcullis_frontends::neighbourhood;
use portcullis_identity::relying::{Answer, SIGN_IN_LIFE, SignInError, SignedIn, Tokens};
use portcullis_store::BrowserSession;
use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use tracing::{info, warn};

/// Longest place to return to, in bytes.
const MAX_RETURN: usize = 2_048;

/// Its routes.
pub(super) fn routes(services: Arc<Services>) -> Router<Arc<Services>> {
    let auth = Router::new()
        .route("/auth/providers", get(providers))
        .route("/auth/login", get(login))
        .route("/auth/callback", get(callback))
        .merge(saml::routes())
        .layer(middleware::from_fn_with_state(services, metered))
        // Whoever fills that up keeps nobody from ending a session.
        .route("/auth/logout", post(logout));
    let own = Router::new()
        .route("/api/v1/me", get(me))
        .route("/api/v1/browser-sessions", get(list))
        .route("/api/v1/browser-sessions/{id}", delete(end));
    auth.merge(own).layer(middleware::from_fn(unkept))
}

/// Where a request to sign in comes from, as those are counted.
#[derive(Debug, Clone)]
struct Neighbourhood(String);

/// Refuses what comes too often, from one address or from all.
async fn metered(
    State(services): State<Arc<Services>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let from = neighbourhood(peer).to_string();
    if services.sign_in.may_ask(&from) {
        request.extensions_mut().insert(Neighbourhood(from));
        return next.run(request).await;
    }
    info!(%peer, "too many requests to sign in");
    let detail = "too many requests to sign in within a minute; ask later";
    let refused = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail);
    ([(header::RETRY_AFTER, "60")], refused).into_response()
}

/// Answers nobody may keep, and that are nothing but what they say they are. A page with a form says of
/// that itself.
async fn unkept(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// A provider, for a page to sign in on and for terminals.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Offered<'a> {
    /// What `/auth/login?provider=` takes.
    name: &'a str,
    /// `oidc` or `saml`.
    kind: &'static str,
    /// Its issuer, or entity id.
    issuer: &'a str,
    /// The client of `portcullis login`, where there is one.
    cli_client_id: Option<&'a str>,
    /// The scope that a terminal asks for.
    scope: Option<String>,
}

async fn providers(State(services): State<Arc<Services>>) -> Response {
    let vouching = services.now().vouching.clone();
    let by_saml = vouching.saml.providers().map(|provider| Offered {
        name: &provider.name,
        kind: "saml",
        issuer: &provider.entity_id,
        cli_client_id: None,
        scope: None,
    });
    let offered = vouching.party.providers().map(|provider| Offered {
        name: &provider.name,
        kind: "oidc",
        issuer: &provider.issuer,
        cli_client_id: provider.terminal_client(),
        scope: provider.sign_in.as_ref().map(portcullis_identity::SignIn::scope),
    });
    Json(offered.chain(by_saml).collect::<Vec<_>>()).into_response()
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct LoginQuery {
    /// Which provider, where there are several.
    #[serde(default)]
    provider: Option<String>,
    /// A path of this gateway.
    #[serde(default)]
    return_to: Option<String>,
    /// The provider has to ask anew who it is: what a first passkey takes. Without `provider`, it is that of
    /// the session there is.
    #[serde(default)]
    anew: bool,
    /// It was sent here from another name of the gateway.
    #[serde(default)]
    sent: bool,
}

/// Sends a browser to its provider.
async fn login(
    State(services): State<Arc<Services>>,
    RawQuery(raw): RawQuery,
    Query(query): Query<LoginQuery>,
    Extension(from): Extension<Neighbourhood>,
    headers: HeaderMap,
) -> Response {
    let public = match public(&services) {
        Ok(public) => public,
        Err(problem) => return for_people(&headers, problem),
    };
    // Cookie and redirect URI are of one host: whoever calls it otherwise is sent there first.
    if headers.get(header::HOST).is_none_or(|host| host != public.authority.as_str()) {
        if query.sent {
            // It was sent there, and still comes by another name.
            let detail = "the proxy before this gateway has to pass on `Host` (public_url)";
            return for_people(&headers, Problem::new(StatusCode::MISDIRECTED_REQUEST, detail));
        }
        let query = raw.map(|query| format!("&{query}")).unwrap_or_default();
        return found(&format!("{}/auth/login?sent=true{query}", public.origin));
    }
    match begin(&services, (public, from), &query, &headers).await {
        Ok(response) => response,
        Err(problem) => for_people(&headers, problem),
    }
}

async fn begin(
    services: &Services,
    (public, Neighbourhood(from)): (&PublicUrl, Neighbourhood),
    query: &LoginQuery,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let desk = &services.sign_in;
    let return_to = query.return_to.as_deref().unwrap_or("/");
    if !is_local(return_to) {
        let detail = "return_to must be a path of this gateway, such as /reviews";
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    let provider = match &query.provider {
        Some(name) => name.clone(),
        None => match session_of(services, headers).await {
            Some(Ok(session)) if query.anew => session.provider,
            _ => sole_provider(services)?,
        },
    };
    let (url, asked) = match saml::begin(services, public, &provider, query.anew) {
        Some(begun) => begun?,
        None => {
            let party = &services.now().vouching.party;
            let begun = party.begin(&provider, &public.callback(), query.anew, now()).await;
            let (url, pending) = begun.map_err(|error| problem(&error))?;
            (url, Asked::Oidc(pending))
        }
    };
    // Several tabs of one browser may sign in at once.
    let name = begun_cookie(public.secure);
    let browser = cookie(headers, name).and_then(Secret::read).unwrap_or_else(Secret::generate);
    let (return_to, browser_hash) = (return_to.to_owned(), browser.hash());
    let begun = Begun { asked, return_to, browser: browser_hash, from };
    if !desk.begun(begun, now()) {
        let detail = "too many sign-ins wait to be finished; try again in some minutes";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    }
    let kept = set_cookie(name, &browser.text(), SIGN_IN_LIFE.as_secs(), public.secure);
    Ok(with_cookies(found(&url), &[kept]))
}

fn sole_provider(services: &Services) -> Result<String, Problem> {
    let vouching = services.now().vouching.clone();
    let by_saml = vouching.saml.providers().map(|provider| &provider.name);
    let mut all = vouching.party.providers().map(|provider| &provider.name).chain(by_saml);
    match (all.next(), all.next()) {
        (Some(one), None) => Ok(one.clone()),
        (None, _) => {
            let detail = "people sign in with no provider here: see \
                          identity.providers.sign_in and identity.saml";
            Err(Problem::new(StatusCode::NOT_FOUND, detail))
        }
        _ => {
            let detail = "say which: /auth/login?provider=NAME (see /auth/providers)";
            Err(Problem::new(StatusCode::BAD_REQUEST, detail))
        }
    }
}

/// Takes a browser that comes back from its provider.
async fn callback(
    State(services): State<Arc<Services>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let came = async {
        let public = public(&services)?;
        let refused = |error: SignInError| {
            info!(%peer, reason = %error, "sign-in refused");
            problem(&error)
        };
        let answer = Answer::parse(query.as_deref().unwrap_or_default()).map_err(refused)?;
        let begun = answer.state().and_then(|state| services.sign_in.take(state));
        let name = begun_cookie(public.secure);
        let browser = cookie(&headers, name).and_then(Secret::read).map(|secret| secret.hash());
        // An answer that another browser has asked for signs nobody in (RFC 6749 §10.12).
        let begun = begun.filter(|(_, _, began)| browser == Some(*began));
        let (pending, return_to, _) = begun.ok_or(SignInError::State).map_err(refused)?;
        let vouching = services.now().vouching.clone();
        let (party, verifier) = (&vouching.party, vouching.verifier());
        let anew = pending.is_anew();
        let signed_in = party.finish(pending, answer, verifier, now()).await.map_err(refused)?;
        let SignedIn { provider, principal, tokens } = signed_in;
        let entering = Entering { vouching, provider, principal, tokens: Some(tokens), anew };
        enter(&services, public, entering, &return_to, (peer, &headers)).await
    };
    match came.await {
        Ok(response) => response,
        Err(problem) => for_people(&headers, problem),
    }
}

/// Somebody a provider has just vouched for, in the browser that began.
struct Entering {
    /// By whose word.
    vouching: Arc<Vouching>,
    provider: String,
    principal: Principal,
    /// To ask the provider again, where that can be.
    tokens: Option<Tokens>,
    /// The provider has just asked who it is.
    anew: bool,
}

/// Begins the session of whoever has signed in, and sends the browser on with its cookie.
async fn enter(
    services: &Services,
    public: &PublicUrl,
    entering: Entering,
    return_to: &str,
    (peer, headers): (SocketAddr, &HeaderMap),
) -> Result<Response, Problem> {
    let secret = begin_session(services, entering, peer, headers).await?;
    let life = services.sign_in.settings.absolute.0.as_secs();
    let cookies = [
        set_cookie(cookie_name(public.secure), &secret.text(), life, public.secure),
        set_cookie(begun_cookie(public.secure), "", 0, public.secure),
    ];
    Ok(with_cookies(found(return_to), &cookies))
}

/// Begins a session, where it is a person's: recorded, then kept. The one this browser had before is
/// over.
async fn begin_session(
    services: &Services,
    entering: Entering,
    peer: SocketAddr,
    headers: &HeaderMap,
) -> Result<Secret, Problem> {
    super::current(services)?;
    let Entering { vouching, provider, principal, tokens, anew } = entering;
    let subject = principal.subject.clone();
    let person = match Person::new(principal) {
        Ok(person) => person,
        Err(error) => {
            let (why, peer) = (error.to_string(), peer.to_string());
            let event = Event::SignInRefused { principal: subject, provider, peer, why };
            // The refusal stands whether or not it could be recorded.
            let _ = record(services, event).await;
            services.metrics.authenticated(Kind::SignIn, Outcome::Refused);
            return Err(Problem::new(StatusCode::FORBIDDEN, error.to_string()));
        }
    };
    let (since, secret) = (now(), Secret::generate());
    let session = BrowserSession {
        id: BrowserSessionId::from_bits(u64::from_ne_bytes(random())),
        vouched_as: vouching.mark(&provider),
        provider,
        person,
        peer: peer.to_string(),
        since,
        seen: since,
        until: since.plus(services.sign_in.settings.absolute.0),
        ended: None,
        ended_by: None,
    };
    let event = Event::SignedIn {
        browser: session.id,
        principal: session.person.principal().clone(),
        provider: session.provider.clone(),
        peer: session.peer.clone(),
    };
    record(services, event).await?;
    services.sign_in.store.keep(&session, &secret.hash()).await.map_err(unavailable)?;
    services.metrics.authenticated(Kind::SignIn, Outcome::Accepted);
    // Whoever takes a provider back looks for its sessions then.
    if !services.now().vouching.stands_by(&vouching, session.person.principal()) {
        let (why, by) =
            ("its provider was changed at this moment", By::no_principal("portcullis:documents"));
        over(services, &session, &by, why).await?;
        let detail = "your provider was changed at this moment: sign in again";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    }
    if anew {
        // It vouches for one passkey, for some minutes.
        let until = since.plus(services.passkeys.settings.first_within.0);
        let vouched = (session.id, session.person.principal());
        services.passkeys.store.vouch(vouched, until, since).await.map_err(unavailable)?;
    }
    if let Some(tokens) = tokens {
        services.sign_in.keep_tokens(session.id, tokens);
    }
    if let Some(Ok(before)) = session_of(services, headers).await {
        let why = "the same browser has signed in again";
        let by = By::from(before.person.principal());
        if let Err(problem) = over(services, &before, &by, why).await {
            warn!(reason = problem.detail, "a session that was replaced may not be over");
        }
    }
    Ok(secret)
}

/// What has become of a session that signs out.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SignedOut {
    /// There was one, and it is over.
    signed_out: bool,
    /// A page of the provider's that ends its session there, where it has one.
    end_session: Option<String>,
}

/// A session that was ended.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct EndedBrowser {
    id: BrowserSessionId,
    /// It is over.
    ended: bool,
}

/// Signs a browser out: here, and where the provider has a page for it, there.
async fn logout(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let public = public(&services)?;
    let secret = headers.get(super::front::SESSION).and_then(|secret| secret.to_str().ok());
    let session = match secret {
        Some(secret) => services.sign_in.to_end(secret).await.map_err(unavailable)?,
        None => None,
    };
    let mut answer = SignedOut { signed_out: false, end_session: None };
    if let Some(session) = session {
        let tokens = services.sign_in.take_tokens(session.id);
        let by = By::from(session.person.principal());
        let signed_out = over(&services, &session, &by, "signed out").await?;
        let tokens = match &tokens {
            Some(tokens) => Some(tokens.lock().await),
            None => None,
        };
        let vouching = services.now().vouching.clone();
        let (party, back) = (&vouching.party, format!("{}/", public.origin));
        if let Some(tokens) = tokens.as_deref()
            && let Err(error) = party.forget(&session.provider, tokens, now()).await
        {
            info!(%error, "a refresh token is not revoked at its provider");
        }
        let page = party.end_session(&session.provider, tokens.as_deref(), &back, now()).await;
        answer = SignedOut { signed_out, end_session: page };
    }
    let gone = set_cookie(cookie_name(public.secure), "", 0, public.secure);
    Ok(with_cookies(Json(answer).into_response(), &[gone]))
}

/// Ends a session: first that, then the record, which keeps nobody from ending one.
async fn over(
    services: &Services,
    session: &BrowserSession,
    by: &By,
    why: &str,
) -> Result<bool, Problem> {
    let ended =
        services.sign_in.store.end(session.id, &by.subject, now()).await.map_err(unavailable)?;
    services.sign_in.take_tokens(session.id);
    if ended {
        let (by, why) = (by.clone(), why.to_owned());
        record(services, Event::SignedOut { browser: session.id, by, why }).await?;
    }
    Ok(ended)
}

async fn record(services: &Services, event: Event) -> Result<(), Problem> {
    let entry = Entry::outside(now(), event);
    services.ledger.append(entry, Durability::Durable).await.map(drop).map_err(unavailable)
}

/// Who is asking, and what that lets it do.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Me {
    /// The name people know it by.
    name: String,
    /// Unique within the issuer.
    subject: String,
    /// Who vouches for it.
    issuer: String,
    kind: portcullis_core::principal::PrincipalKind,
    /// The subject of the person it acts for.
    acting_for: Option<String>,
    /// Its groups.
    groups: BTreeSet<String>,
    /// `reviewer`: may decide reviews that ask a group of its own; `administrator`.
    rights: Vec<&'static str>,
    /// When the token expires, or the browser session is over at the latest.
    expires: Timestamp,
    /// The browser session, where that is how it asks.
    session: Option<BrowserSessionId>,
}

async fn me(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
) -> Result<Json<Me>, Problem> {
    let session = match session_of(&services, &headers).await {
        Some(session) => Some(session?),
        None => None,
    };
    let who = match &session {
        Some(session) => session.person.principal().clone(),
        None => principal(&services, &headers).await?,
    };
    let administrators = &services.administrators;
    let rights = [
        ("reviewer", Reviewer::new(who.clone()).is_ok()),
        ("administrator", Administrator::new(who.clone(), administrators).is_ok()),
    ];
    Ok(Json(Me {
        rights: rights.into_iter().filter(|(_, has)| *has).map(|(right, _)| right).collect(),
        expires: session.as_ref().map_or(who.expires, |session| session.until),
        session: session.map(|session| session.id),
        name: who.name,
        subject: who.subject,
        issuer: who.issuer,
        kind: who.kind,
        acting_for: who.acting_for,
        groups: who.groups,
    }))
}

/// One's own browser sessions; with `all`, for administrators, everybody's.
async fn list(
    State(services): State<Arc<Services>>,
    mut wanted: Wanted,
    headers: HeaderMap,
) -> Result<Paged<BrowserSession>, Problem> {
    let who = person(&services, &headers).await?;
    let whose = match wanted.all {
        false => Some((who.issuer.as_str(), who.subject.as_str())),
        true => {
            administrates(&services, &who)
                .map_err(|why| Problem::new(StatusCode::FORBIDDEN, why))?;
            None
        }
    };
    loop {
        let found =
            services.sign_in.store.list(whose, now(), &wanted.page).await.map_err(unavailable)?;
        if let Some(paged) = wanted.paged(found, |_| true) {
            return Ok(paged);
        }
    }
}

/// Ends a browser session: one's own, or as an administrator anybody's.
async fn end(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
) -> Result<Json<EndedBrowser>, Problem> {
    let who = person(&services, &headers).await?;
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "there is no such session for you");
    let id: BrowserSessionId = id.parse().map_err(|_| unknown())?;
    let session = services.sign_in.store.find(id).await.map_err(unavailable)?;
    let mine = |session: &BrowserSession| {
        let owner = session.person.principal();
        (&owner.issuer, &owner.subject) == (&who.issuer, &who.subject)
    };
    let may = |session: &BrowserSession| mine(session) || administrates(&services, &who).is_ok();
    let session = session.filter(may).ok_or_else(unknown)?;
    let as_whom = if mine(&session) { "its person" } else { "an administrator" };
    let why = format!("ended by {as_whom}");
    if !over(&services, &session, &By::from(&who), &why).await? {
        return Err(Problem::new(StatusCode::CONFLICT, "this session has ended already"));
    }
    Ok(Json(EndedBrowser { id, ended: true }))
}

fn administrates(services: &Services, who: &Principal) -> Result<(), String> {
    let administrator = Administrator::new(who.clone(), &services.administrators);
    administrator.map(drop).map_err(|error| error.to_string())
}

async fn person(services: &Services, headers: &HeaderMap) -> Result<Principal, Problem> {
    let who = principal(services, headers).await?;
    if who.is_person_alone() {
        return Ok(who);
    }
    let detail =
        "only people have sessions in browsers; an agent's or a workload's token never can";
    Err(Problem::new(StatusCode::FORBIDDEN, detail))
}

fn public(services: &Services) -> Result<&PublicUrl, Problem> {
    let none = || unavailable("the gateway does not listen yet");
    services.sign_in.public().ok_or_else(none)
}

fn problem(error: &SignInError) -> Problem {
    let status = match error {
        SignInError::NoSuchProvider => StatusCode::NOT_FOUND,
        error if error.is_temporary() => StatusCode::SERVICE_UNAVAILABLE,
        SignInError::Refused { .. } => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_REQUEST,
    };
    if status == StatusCode::SERVICE_UNAVAILABLE {
        warn!(%error, "nobody can sign in");
    }
    Problem::new(status, error.public())
}

/// A problem as plain words, where a browser shows it to somebody.
fn for_people(headers: &HeaderMap, problem: Problem) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if !accept.is_some_and(|accept| accept.contains("text/html")) {
        return problem.into_response();
    }
    let text = format!("Not signed in: {}\n", problem.detail);
    (problem.status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

/// A path of this gateway: it stays on its origin however a browser reads it. `//host` and `/\host`
/// do not, nor does what has a character browsers leave out.
fn is_local(path: &str) -> bool {
    let plain = path.len() <= MAX_RETURN
        && path.starts_with('/')
        && path.bytes().all(|b| (0x21..=0x7e).contains(&b) && b != b'\\');
    let base = Url::parse("http://gateway.invalid/").ok();
    let joined = base.as_ref().and_then(|base| base.join(path).ok());
    plain
        && !path.starts_with("//")
        && joined.is_some_and(|url| {
            url.host_str() == Some("gateway.invalid") && !url.path().starts_with("/auth/")
        })
}

const fn begun_cookie(secure: bool) -> &'static str {
    if secure { "__Host-portcullis-begun" } else { "portcullis-begun" }
}

/// A cookie for this host alone (RFC 6265bis §4.1.3.2); with no time left it goes.
fn set_cookie(name: &str, value: &str, seconds: u64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

fn with_cookies(mut response: Response, cookies: &[String]) -> Response {
    for cookie in cookies.iter().filter_map(|cookie| HeaderValue::try_from(cookie).ok()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// See there (RFC 9110 §15.4.4).
fn found(url: &str) -> Response {
    match HeaderValue::try_from(url) {
        Ok(url) => (StatusCode::SEE_OTHER, [(header::LOCATION, url)]).into_response(),
        Err(_) => Problem::new(StatusCode::BAD_REQUEST, "no such place").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_returns_to_this_gateway_alone() {
        for path in ["/", "/reviews/rev_1?x=//y#z", "/a//b", "/%2f%2fevil.example", "/@evil"] {
            assert!(is_local(path), "{path}");
        }
        for path in [
            "",
            "reviews",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil",
            "https://evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "/\r\nX: y",
            " /x",
            "/x y",
            "/é",
            "javascript:alert(1)",
            "/auth/login",
            "/x/../auth/login",
            "/./auth/x",
        ] {
            assert!(!is_local(path), "{path:?}");
        }
        assert!(!is_local(&format!("/{}", "x".repeat(MAX_RETURN))));
    }

    #[test]
    fn cookies_are_this_hosts_alone() {
        let expect = "__Host-portcullis=x; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure";
        assert_eq!(set_cookie(cookie_name(true), "x", 60, true), expect);
        let expect = "portcullis=x; Path=/; Max-Age=60; HttpOnly; SameSite=Lax";
        assert_eq!(set_cookie(cookie_name(false), "x", 60, false), expect);
    }
}
