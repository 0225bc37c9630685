//! The development provider's HTTP side: discovery (OpenID Connect Discovery 1.0), key set, token
//! endpoint (RFC 6749 §5) and userinfo. Outside the life of a request.

use super::issuer::DevIssuer;
use super::login::{self, Codes};
use super::{DevProviderError, DevSecret};
use crate::random;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Form, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_core::time::Timestamp;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

/// The grant by which whoever holds the [`DevSecret`] gets a token for anybody configured:
/// `grant_type`, `name` and `dev_secret` as form fields of a token request.
pub(super) const DEV_GRANT: &str = "urn:portcullis:params:oauth:grant-type:dev";

/// Largest request body, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// What every handler has at hand.
pub(super) struct Desk {
    pub(super) issuer: DevIssuer,
    pub(super) secret: DevSecret,
    pub(super) clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    pub(super) codes: Codes,
    authority: String,
}

pub(super) fn router(
    issuer: DevIssuer,
    secret: DevSecret,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    address: SocketAddr,
) -> Router {
    let codes = Codes::default();
    let desk = Arc::new(Desk { issuer, secret, clock, codes, authority: address.to_string() });
    Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/jwks", get(key_set))
        .route("/token", axum::routing::post(token))
        .route("/userinfo", get(userinfo).post(userinfo))
        .route("/authorize", get(login::page).post(login::decide))
        .layer(middleware::from_fn_with_state(Arc::clone(&desk), only_here))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(desk)
}

/// Refuses what a web page elsewhere makes a browser on this machine send: requests under another
/// name (DNS rebinding) or from another origin.
async fn only_here(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    if let Some(refusal) = from_elsewhere(&desk, request.headers()) {
        return refusal.into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn from_elsewhere(desk: &Desk, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
    if headers.get(header::HOST).is_none_or(|host| host != desk.authority.as_str()) {
        return Some((StatusCode::MISDIRECTED_REQUEST, "unknown host\n"));
    }
    if headers.get(header::ORIGIN).is_some_and(|origin| origin != desk.issuer.issuer()) {
        return Some((StatusCode::FORBIDDEN, "other origins are not served\n"));
    }
    None
}

async fn discovery(State(desk): State<Arc<Desk>>) -> Json<Value> {
    Json(discovery_document(desk.issuer.issuer()))
}

pub(super) fn discovery_document(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "client_credentials", DEV_GRANT],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported":
            ["client_secret_basic", "client_secret_post", "none"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid", "profile", "email"],
        "claims_supported": ["sub", "preferred_username", "email", "groups", "kind", "act"],
        "authorization_response_iss_parameter_supported": true,
    })
}

async fn key_set(State(desk): State<Arc<Desk>>) -> Json<Value> {
    Json(desk.issuer.key_set())
}

/// The claims about whoever's access token is sent (OpenID Connect Core 1.0 §5.3).
async fn userinfo(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = bearer.and_then(|value| value.strip_prefix("Bearer "));
    let name = token.and_then(|token| desk.issuer.holder(token, (desk.clock)()));
    match name.and_then(|name| desk.issuer.about(&name).ok()) {
        Some(claims) => Json(claims).into_response(),
        None => (
            StatusCode::UNAUTHORIZED,
            [(header::WWW_AUTHENTICATE, r#"Bearer error="invalid_token""#)],
        )
            .into_response(),
    }
}

/// The fields of a form, none of them twice (RFC 6749 §3.1, §3.2).
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn new(fields: Vec<(String, String)>) -> Option<Self> {
        let mut names: Vec<_> = fields.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.windows(2).all(|pair| pair.first() != pair.last()).then_some(Self(fields))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

/// The errors of RFC 6749 §5.2.
#[derive(Debug, Clone, Copy)]
pub(super) enum TokenError {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnsupportedGrantType,
    ServerError,
}

impl IntoResponse for TokenError {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::InvalidRequest => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::InvalidClient => (StatusCode::UNAUTHORIZED, "invalid_client"),
            Self::InvalidGrant => (StatusCode::BAD_REQUEST, "invalid_grant"),
            Self::UnsupportedGrantType => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
            Self::ServerError => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        };
        let mut response = (status, Json(json!({ "error": error }))).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let basic = HeaderValue::from_static(r#"Basic realm="portcullis-dev""#);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
        }
        response
    }
}

impl From<DevProviderError> for TokenError {
    fn from(error: DevProviderError) -> Self {
        match error {
            DevProviderError::UnknownName => Self::InvalidGrant,
            _ => Self::ServerError,
        }
    }
}

async fn token(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Json<Value>, TokenError> {
    let fields = Fields::new(fields).ok_or(TokenError::InvalidRequest)?;
    let now = (desk.clock)();
    match fields.get("grant_type") {
        Some("client_credentials") => {
            let name = authenticate(&desk, &headers, &fields).ok_or(TokenError::InvalidClient)?;
            Ok(Json(bearer(&desk, desk.issuer.mint(&name, now, None)?)))
        }
        Some(DEV_GRANT) => {
            let offered = fields.get("dev_secret").ok_or(TokenError::InvalidRequest)?;
            if !desk.secret.is(offered) {
                return Err(TokenError::InvalidGrant);
            }
            let name = fields.get("name").ok_or(TokenError::InvalidRequest)?;
            Ok(Json(bearer(&desk, desk.issuer.mint(name, now, None)?)))
        }
        Some("authorization_code") => {
            let granted = desk.codes.redeem(&fields, now).ok_or(TokenError::InvalidGrant)?;
            let mut answer = bearer(&desk, desk.issuer.mint(&granted.person, now, None)?);
            let (client, nonce) = (&granted.client, granted.nonce.as_deref());
            let id_token = desk.issuer.mint_id_token(&granted.person, client, nonce, now)?;
            if let Some(answer) = answer.as_object_mut() {
                answer.insert("id_token".into(), id_token.into());
            }
            Ok(Json(answer))
        }
        Some(_) => Err(TokenError::UnsupportedGrantType),
        None => Err(TokenError::InvalidRequest),
    }
}

/// RFC 6749 §5.1.
fn bearer(desk: &Desk, token: String) -> Value {
    json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": desk.issuer.ttl().as_secs(),
    })
}

/// The agent or workload whose secret was sent, in the header or the form but not in both
/// (RFC 6749 §2.3.1).
fn authenticate(desk: &Desk, headers: &HeaderMap, fields: &Fields) -> Option<String> {
    let (name, secret) = match headers.get(header::AUTHORIZATION) {
        Some(_) if fields.get("client_secret").is_some() => return None,
        Some(value) => basic(value.to_str().ok()?)?,
        None => (fields.get("client_id")?.to_owned(), fields.get("client_secret")?.to_owned()),
    };
    // Whether the name is known does not show in what is answered.
    let expected = desk.issuer.client_secret(&name)?;
    random::same_secret(expected, &secret).then_some(name)
}

/// `Basic` credentials; both halves are form-encoded before they are joined (RFC 6749 §2.3.1).
fn basic(value: &str) -> Option<(String, String)> {
    let decoded = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (name, secret) = text.split_once(':')?;
    Some((form_decoded(name)?, form_decoded(secret)?))
}

fn form_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials() {
        let check = |plain: &str, expect: Option<(&str, &str)>| {
            let read = basic(&format!("Basic {}", STANDARD.encode(plain)));
            let read = read.as_ref().map(|(name, secret)| (name.as_str(), secret.as_str()));
            assert_eq!(read, expect, "{plain}");
        };
        check("ci:secret", Some(("ci", "secret")));
        check("ci:se%3Acr+et", Some(("ci", "se:cr et")));
        check("ci:a:b", Some(("ci", "a:b")));
        check("ci:%zz", None);
        check("ci:%4", None);
        check("ci", None);
    }

    #[test]
    fn no_field_twice() {
        let fields = |names: &[&str]| {
            Fields::new(names.iter().map(|n| ((*n).to_owned(), String::new())).collect()).is_some()
        };
        assert!(fields(&[]));
        assert!(fields(&["a", "b", "c"]));
        assert!(!fields(&["a", "b", "a"]));
    }
}
