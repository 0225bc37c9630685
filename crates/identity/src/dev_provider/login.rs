//! Log-in for people at the development provider: authorization code with PKCE (RFC 6749 §4.1,
//! RFC 7636) for native clients on loopback (RFC 8252 §7.3). Outside the life of a request.

use super::http::{Desk, Fields};
use crate::random;
use crate::text::Escaped;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::time::Timestamp;
use reqwest::Url;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a code can be redeemed (RFC 6749 §4.1.2 recommends at most ten minutes).
const CODE_LIFE: Duration = Duration::from_secs(60);

/// Most codes that wait to be redeemed.
const MAX_CODES: usize = 64;

/// Longest request parameter, in bytes.
const MAX_PARAMETER: usize = 2048;

/// Codes that wait to be redeemed.
#[derive(Default)]
pub(super) struct Codes(Mutex<BTreeMap<String, Granted>>);

/// What a code stands for.
pub(super) struct Granted {
    pub(super) person: String,
    pub(super) client: String,
    pub(super) nonce: Option<String>,
    redirect: String,
    challenge: String,
    expires: Timestamp,
}

impl Codes {
    fn issue(&self, granted: Granted, now: Timestamp) -> Option<String> {
        let code = random::token::<32>().ok()?;
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        codes.retain(|_, waiting| waiting.expires > now);
        if codes.len() >= MAX_CODES {
            return None;
        }
        codes.insert(code.clone(), granted);
        Some(code)
    }

    /// Redeems a code: once, in time, by the client it was issued to, with its PKCE verifier.
    pub(super) fn redeem(&self, fields: &Fields, now: Timestamp) -> Option<Granted> {
        let code = fields.get("code")?;
        // Taken out before anything is compared: one attempt per code (RFC 6749 §10.5).
        let granted = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(code)?;
        let verifier = fields.get("code_verifier").filter(|v| (43..=128).contains(&v.len()))?;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
        let challenge = URL_SAFE_NO_PAD.encode(digest.as_ref());
        let good = granted.expires > now
            && random::same_secret(&granted.challenge, &challenge)
            && fields.get("client_id") == Some(&granted.client)
            && fields.get("redirect_uri") == Some(&granted.redirect);
        good.then_some(granted)
    }
}

/// An authorization request that may be answered.
struct Asked<'a> {
    client: &'a str,
    redirect: &'a str,
    target: Url,
    challenge: &'a str,
    state: Option<&'a str>,
    nonce: Option<&'a str>,
}

impl<'a> Asked<'a> {
    fn read(fields: &'a Fields) -> Result<Self, &'static str> {
        let get = |name: &str| fields.get(name).filter(|value| value.len() <= MAX_PARAMETER);
        if get("response_type") != Some("code") {
            return Err("response_type must be `code`");
        }
        if get("code_challenge_method") != Some("S256") {
            return Err("code_challenge_method must be `S256`");
        }
        let challenge = get("code_challenge").filter(|text| text.len() == 43);
        let client = get("client_id").filter(|text| is_client(text));
        let redirect = get("redirect_uri").unwrap_or_default();
        Ok(Self {
            client: client.ok_or("client_id must be 1 to 64 letters, digits, `.`, `_` or `-`")?,
            redirect,
            target: loopback(redirect).ok_or("redirect_uri must be http on a loopback address")?,
            challenge: challenge.ok_or("code_challenge must be a SHA-256 digest in base64url")?,
            state: get("state"),
            nonce: get("nonce"),
        })
    }
}

fn is_client(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// RFC 8252 §7.3: `http`, a loopback address with any port, nothing hidden in it.
fn loopback(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = url.scheme() == "http"
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none();
    (plain && matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"))).then_some(url)
}

fn refused(status: StatusCode, why: &str) -> Response {
    (status, format!("log-in refused: {why}\n")).into_response()
}

/// The page that asks who to be.
pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    Query(fields): Query<Vec<(String, String)>>,
) -> Response {
    let Some(fields) = Fields::new(fields) else {
        return refused(StatusCode::BAD_REQUEST, "a parameter is repeated");
    };
    let asked = match Asked::read(&fields) {
        Ok(asked) => asked,
        Err(why) => return refused(StatusCode::BAD_REQUEST, why),
    };
    let origin = asked.target.origin().ascii_serialization();
    // Chromium holds redirects after a form against form-action as well.
    let policy = format!(
        "default-src 'none'; form-action 'self' {origin}; frame-ancestors 'none'; base-uri 'none'"
    );
    let Ok(policy) = HeaderValue::from_str(&policy) else {
        return refused(StatusCode::BAD_REQUEST, "redirect_uri");
    };
    let mut response = Html(form(&desk, &fields)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

fn form(desk: &Desk, fields: &Fields) -> String {
    let mut html = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <title>Portcullis development log-in</title><h1>Development log-in</h1>\
         <p>For development only. The secret is in the file the gateway named when it started.</p>\
         <form method=\"post\" action=\"/authorize\">",
    );
    let carried = [
        "response_type",
        "client_id",
        "redirect_uri",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
    ];
    for name in carried {
        if let Some(value) = fields.get(name) {
            // Writing to a String cannot fail.
            let _ = write!(
                html,
                "<input type=\"hidden\" name=\"{name}\" value=\"{}\">",
                Escaped(value)
            );
        }
    }
    html.push_str(
        "<p><label>Development secret <input type=\"password\" name=\"dev_secret\" required \
         autocomplete=\"current-password\"></label></p>",
    );
    for person in &desk.issuer.settings().people {
        let name = Escaped(&person.name);
        let _ = write!(
            html,
            "<p><button name=\"person\" value=\"{name}\">Log in as {name}</button></p>"
        );
    }
    html.push_str("</form></html>\n");
    html
}

/// The answer to the page: a code for a person, sent to the client's loopback address.
pub(super) async fn decide(
    State(desk): State<Arc<Desk>>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Response {
    let Some(fields) = Fields::new(fields) else {
        return refused(StatusCode::BAD_REQUEST, "a parameter is repeated");
    };
    let asked = match Asked::read(&fields) {
        Ok(asked) => asked,
        Err(why) => return refused(StatusCode::BAD_REQUEST, why),
    };
    if !fields.get("dev_secret").is_some_and(|offered| desk.secret.is(offered)) {
        return refused(StatusCode::FORBIDDEN, "the development secret is wrong");
    }
    // Agents and workloads have secrets of their own and no log-in.
    let Some(person) = fields.get("person").and_then(|name| desk.issuer.person(name)) else {
        return refused(StatusCode::FORBIDDEN, "nobody of that name");
    };
    let now = (desk.clock)();
    let granted = Granted {
        person: person.name.clone(),
        client: asked.client.to_owned(),
        nonce: asked.nonce.map(str::to_owned),
        redirect: asked.redirect.to_owned(),
        challenge: asked.challenge.to_owned(),
        expires: now.plus(CODE_LIFE),
    };
    let Some(code) = desk.codes.issue(granted, now) else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, "too many log-ins are under way");
    };
    let mut target = asked.target;
    {
        let mut query = target.query_pairs_mut();
        query.append_pair("code", &code).append_pair("iss", desk.issuer.issuer());
        if let Some(state) = asked.state {
            query.append_pair("state", state);
        }
    }
    match HeaderValue::from_str(target.as_str()) {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        Err(_) => refused(StatusCode::BAD_REQUEST, "redirect_uri"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_go_to_loopback() {
        let check = |uri: &str, good: bool| assert_eq!(loopback(uri).is_some(), good, "{uri}");
        check("http://127.0.0.1:8250/cb", true);
        check("http://[::1]:8250/cb?x=1", true);
        check("http://localhost:1/", true);
        check("https://127.0.0.1/cb", false);
        check("http://127.0.0.1@evil.example/", false);
        check("http://u:p@127.0.0.1/", false);
        check("http://localhost.evil.example/", false);
        check("http://127.0.0.1.evil.example/", false);
        check("http://evil.example/#http://127.0.0.1/", false);
        check("http://127.0.0.1/#x", false);
        check("javascript:alert(1)", false);
        check("//127.0.0.1/", false);
    }

    #[test]
    fn markup_is_escaped() {
        assert_eq!(
            Escaped("<a b=\"c\" d='e'>&").to_string(),
            "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;"
        );
    }
}
