//! What every request of the API meets first: by which name the gateway was called, which route it is,
//! and whether a browser's cookie may speak for its person here.
//!
//! A cookie is sent by the browser, whoever made the page that asks. So with a cookie, methods that
//! change something need what only a page of this origin can send: the header `X-Portcullis: 1`, which
//! no form can have and no other origin is let (Fetch, CORS preflight), and an `Origin` or
//! `Sec-Fetch-Site` that says so. A bearer token needs neither: no browser sends one by itself.
//!
//! *Architecture invariant:* handlers take a session from [`SESSION`] alone, a header that only
//! [`admit`] sets, behind these checks, and that is taken off what comes in.

use super::Problem;
use super::routes::{ROUTES, Route, Who};
use crate::console;
use crate::services::Services;
use crate::sign_in::PublicUrl;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// The session cookie, where it is for https alone (RFC 6265bis §4.1.3.2) and where it is not.
const COOKIES: [&str; 2] = ["portcullis", "__Host-portcullis"];
/// Where handlers find the secret of a session that may speak for its person.
pub(super) const SESSION: HeaderName = HeaderName::from_static("x-portcullis-admitted-session");
/// What pages of this origin send with everything that changes something.
const OURS: HeaderName = HeaderName::from_static("x-portcullis");
/// What pages send with what they ask by themselves: nobody need be there for that, so it keeps no
/// session from being idle.
pub(super) const BY_ITSELF: HeaderName = HeaderName::from_static("x-portcullis-by-itself");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Where answers of SAML providers come, from their pages. A provider of the same site as the gateway
/// sends its cookies along, which speak for nobody there.
const ANSWERS: &str = "/auth/saml/acs";

/// Where a person confirms a sign-in by a form, which can send no header of ours. What it has to send is a
/// ticket that only its page knows.
const CONFIRMED: &str = "/auth/saml/finish";

/// What is said to whoever comes without any of it.
pub(super) const NOBODY: &str =
    "send your token as `Authorization: Bearer …`, or sign in at /auth/login";

/// The name of the session cookie.
pub(super) const fn cookie_name(secure: bool) -> &'static str {
    let [plain, host] = COOKIES;
    if secure { host } else { plain }
}

/// A cookie of the request. One that comes twice is none: which of them is ours is nobody's guess.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs =
        all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut found = pairs.filter(|(known, _)| *known == name).map(|(_, value)| value);
    found.next().filter(|_| found.next().is_none())
}

/// Lets a request in.
pub(super) async fn admit(
    State(services): State<Arc<Services>>,
    mut request: Request,
    next: Next,
) -> Response {
    let public = services.sign_in.public();
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or("").to_owned();
    if !is_ours(&host, public) {
        let detail = "this API answers on loopback names and that of public_url only";
        return Problem::new(StatusCode::FORBIDDEN, detail).into_response();
    }
    let secure = public.is_some_and(|public| public.secure);
    let session = cookie(headers, cookie_name(secure)).map(str::to_owned);
    let path = request.uri().path();
    // What other sites post, as nobody.
    let session = session.filter(|_| path != ANSWERS);
    let session = session.filter(|_| !headers.contains_key(header::AUTHORIZATION));
    // Nor what pages of others ask of the API, on other ports and names of the same site too; what would
    // change something is refused below, with the reason.
    let site = headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
    let ours = site.is_none_or(|site| site == b"same-origin" || site == b"none");
    let looks = request.method().is_safe();
    let session = session.filter(|_| ours || !looks || !path.starts_with("/api/"));
    let checked = if path == CONFIRMED { comes_from } else { is_same_origin };
    if session.is_some()
        && !looks
        && let Err(why) = checked(headers, &origin(&host, public))
    {
        return Problem::new(StatusCode::FORBIDDEN, why).into_response();
    }
    request.headers_mut().remove(SESSION);
    if let Some(Ok(secret)) = session.map(HeaderValue::try_from) {
        request.headers_mut().insert(SESSION, secret);
    }
    next.run(request).await
}

/// Refuses what the table of routes does not have, and nobody at all where it is not for anyone.
pub(super) async fn known(path: MatchedPath, request: Request, next: Next) -> Response {
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let routes: Vec<&Route> = ROUTES.iter().filter(|r| r.path == path.as_str()).collect();
    if console::has(path.as_str()) {
        // A page, which says nothing of anybody.
        return next.run(request).await;
    }
    let Some(route) = routes.iter().find(|r| r.method == method.as_str()) else {
        if routes.is_empty() {
            tracing::error!(path = path.as_str(), "a route is not in the table of api/routes.rs");
            return no_such_route().into_response();
        }
        let allowed = routes.iter().map(|r| r.method).collect::<Vec<_>>().join(", ");
        let no = StatusCode::METHOD_NOT_ALLOWED;
        let refused = Problem::new(no, format!("this route takes {allowed}"));
        return ([(header::ALLOW, allowed)], refused).into_response();
    };
    let headers = request.headers();
    let comes = headers.contains_key(header::AUTHORIZATION) || headers.contains_key(SESSION);
    if route.who != Who::Anyone && !comes {
        return Problem::new(StatusCode::UNAUTHORIZED, NOBODY).into_response();
    }
    next.run(request).await
}

pub(super) fn no_such_route() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is no such route")
}

/// Of what is not in the table: a page.
pub(super) fn no_such_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "pages are only looked at, by GET")
}

/// A page of another site must not reach the API under a name that resolves to loopback.
fn is_ours(host: &str, public: Option<&PublicUrl>) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
        || public.is_some_and(|public| public.authority.eq_ignore_ascii_case(host))
}

/// The origin of pages that this gateway has given to whoever calls it `host`.
fn origin(host: &str, public: Option<&PublicUrl>) -> String {
    match public {
        Some(public) if public.secure => public.origin.clone(),
        _ => format!("http://{host}"),
    }
}

fn is_same_origin(headers: &HeaderMap, origin: &str) -> Result<(), &'static str> {
    if headers.get(&OURS).is_none_or(|value| value != "1") {
        return Err("with a cookie, what changes something needs the header `X-Portcullis: 1`");
    }
    comes_from(headers, origin)
}

fn comes_from(headers: &HeaderMap, origin: &str) -> Result<(), &'static str> {
    let (from, site) = (headers.get(header::ORIGIN), headers.get(&FETCH_SITE));
    if from.is_none() && site.is_none() {
        return Err("with a cookie, what changes something needs `Origin` or `Sec-Fetch-Site`");
    }
    let fits =
        from.is_none_or(|from| from == origin) && site.is_none_or(|site| site == "same-origin");
    if fits { Ok(()) } else { Err("the request comes from another origin than this gateway's") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn pages_of_this_origin_alone_change_something_with_a_cookie() {
        let check = |all: &[(&'static str, &'static str)], expect: Result<(), &str>| {
            let said = is_same_origin(&headers(all), "https://p.example");
            match (said, expect) {
                (Ok(()), Ok(())) => {}
                (Err(why), Err(expect)) => assert!(why.contains(expect), "{all:?}: {why}"),
                (said, _) => panic!("{all:?}: {said:?}"),
            }
        };
        let ours = ("x-portcullis", "1");
        check(&[ours, ("origin", "https://p.example")], Ok(()));
        check(&[ours, ("sec-fetch-site", "same-origin")], Ok(()));
        check(&[ours, ("origin", "https://p.example"), ("sec-fetch-site", "same-origin")], Ok(()));
        check(&[("origin", "https://p.example")], Err("X-Portcullis"));
        check(&[("x-portcullis", "0"), ("origin", "https://p.example")], Err("X-Portcullis"));
        check(&[ours], Err("needs `Origin`"));
        for origin in
            ["https://evil.example", "null", "http://p.example", "https://p.example.evil", ""]
        {
            let headers: HeaderMap = [
                (OURS, HeaderValue::from_static("1")),
                (header::ORIGIN, HeaderValue::from_static(origin)),
                (FETCH_SITE, HeaderValue::from_static("same-origin")),
            ]
            .into_iter()
            .collect();
            assert!(is_same_origin(&headers, "https://p.example").is_err(), "{origin}");
        }
        for site in ["cross-site", "same-site", "none", ""] {
            let headers: HeaderMap = [
                (OURS, HeaderValue::from_static("1")),
                (header::ORIGIN, HeaderValue::from_static("https://p.example")),
                (FETCH_SITE, HeaderValue::from_static(site)),
            ]
            .into_iter()
            .collect();
            assert!(is_same_origin(&headers, "https://p.example").is_err(), "{site}");
        }
        // A form of this origin has no header of ours, and all the rest.
        let form = |all: &[_]| comes_from(&headers(all), "https://p.example").is_ok();
        assert!(form(&[("origin", "https://p.example"), ("sec-fetch-site", "same-origin")]));
        assert!(!form(&[]));
        assert!(!form(&[("origin", "null")]));
        assert!(!form(&[("origin", "https://evil.example")]));
        assert!(!form(&[("origin", "https://p.example"), ("sec-fetch-site", "same-site")]));
    }

    #[test]
    fn names_the_gateway_has() {
        let public = PublicUrl::parse("https://p.example:8443").unwrap();
        for (host, with, without) in [
            ("127.0.0.1:6480", true, true),
            ("localhost", true, true),
            ("[::1]:1", true, true),
            ("p.example:8443", true, false),
            ("P.EXAMPLE:8443", true, false),
            ("p.example", false, false),
            ("evil.example", false, false),
            ("127.0.0.1.evil.example", false, false),
            ("", false, false),
        ] {
            assert_eq!(is_ours(host, Some(&public)), with, "{host}");
            assert_eq!(is_ours(host, None), without, "{host}");
        }
        assert_eq!(origin("p.example:8443", Some(&public)), "https://p.example:8443");
        assert_eq!(origin("localhost:1", None), "http://localhost:1");
    }

    #[test]
    fn a_cookie_that_comes_twice_is_none() {
        let check = |all: &[&'static str], expect: Option<&str>| {
            let headers: HeaderMap =
                all.iter().map(|v| (header::COOKIE, HeaderValue::from_static(v))).collect();
            assert_eq!(cookie(&headers, "portcullis"), expect, "{all:?}");
        };
        check(&["portcullis=a"], Some("a"));
        check(&["x=1; portcullis=a; y=portcullis"], Some("a"));
        check(&["x=1", "portcullis=a=b"], Some("a=b"));
        check(&["portcullis=a; portcullis=b"], None);
        check(&["portcullis=a", "portcullis=a"], None);
        check(&["xportcullis=a", "Portcullis=a", "portcullis"], None);
        check(&[], None);
    }
}
