//! The console: web pages that are part of the binary, beside the API on the same listener. They hold no
//! data; what they show comes from the API, under the authorization of whoever looks.
//!
//! The pages are built from `console/` at the top of the repository (`./dev console`). A binary that was
//! built without them says so.

use crate::api::tag;
use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::LazyLock;

/// Every file there is, by name.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/console.rs"));

/// What pages load.
const ASSETS: &str = "/assets/{name}";

/// The paths of pages: one document, which asks the API for what belongs on it.
const PAGES: [&str; 19] = [
    "/",
    "/start",
    "/connections",
    "/health",
    "/settings",
    "/audit",
    "/identity",
    "/sign-in",
    "/live",
    "/live/{id}",
    "/sessions",
    "/sessions/{id}",
    "/reviews",
    "/reviews/{id}",
    "/access",
    "/policies",
    "/explain",
    "/credentials",
    "/passkeys",
];

/// What a browser lets a page do (Content Security Policy Level 3): load what this gateway serves, and
/// nothing that stands in a page itself. No text becomes markup or a script by being assigned.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><title>Portcullis</title>\
    <h1>The console was not built</h1>\
    <p>This gateway works; only its pages are missing, because the program was compiled without them. \
    Build them and compile again:</p><pre>./dev console\ncargo build --locked</pre>\
    <p>Until then use <code>portcullis review</code>, <code>portcullis sessions</code> and the API.</p>";

/// Its routes.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let pages = PAGES.iter().fold(Router::new(), |router, path| router.route(path, get(page)));
    pages.route(ASSETS, get(asset))
}

/// True for a route of a page, or of what pages load.
pub(crate) fn has(route: &str) -> bool {
    route == ASSETS || PAGES.contains(&route)
}

fn file(name: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// The digest of the document, which names the files it loads by theirs.
static TAG: LazyLock<String> = LazyLock::new(|| {
    let document = file("index.html").unwrap_or_default();
    tag::tag(document)
});

async fn page(headers: HeaderMap) -> Response {
    document(file("index.html"), &headers)
}

fn document(built: Option<&'static [u8]>, headers: &HeaderMap) -> Response {
    let Some(built) = built else {
        let response = (StatusCode::SERVICE_UNAVAILABLE, NOT_BUILT).into_response();
        return guarded(response, "text/html; charset=utf-8", "no-store");
    };
    let mut response = match tag::lists(headers, &header::IF_NONE_MATCH, &TAG) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => built.into_response(),
    };
    if let Ok(tag) = HeaderValue::from_str(&TAG) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    guarded(response, "text/html; charset=utf-8", "no-cache")
}

/// A file by its name, which has the digest of what is in it: it never changes.
async fn asset(Path(name): Path<String>) -> Response {
    let kind = match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "",
    };
    match file(&name).filter(|_| !kind.is_empty()) {
        Some(bytes) => guarded(bytes.into_response(), kind, "public, max-age=31536000, immutable"),
        None => {
            let response = (StatusCode::NOT_FOUND, "there is no such file").into_response();
            guarded(response, "text/plain; charset=utf-8", "no-store")
        }
    }
}

/// A response with what keeps browsers from doing more with it than they have to.
fn guarded(mut response: Response, kind: &'static str, caching: &'static str) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, caching),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header<'a>(response: &'a Response, name: &HeaderName) -> &'a str {
        response.headers().get(name).unwrap().to_str().unwrap()
    }

    #[test]
    fn a_page_is_strict_and_known_by_its_tag() {
        let response = document(Some(b"<!doctype html>"), &HeaderMap::new());
        assert_eq!(response.status(), StatusCode::OK);
        let policy = header(&response, &header::CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header(&response, &header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(header(&response, &header::REFERRER_POLICY), "no-referrer");
        assert_eq!(header(&response, &header::CACHE_CONTROL), "no-cache");
        let tag = response.headers().get(header::ETAG).unwrap().clone();
        let mut known = HeaderMap::new();
        known.insert(header::IF_NONE_MATCH, tag);
        assert_eq!(document(Some(b""), &known).status(), StatusCode::NOT_MODIFIED);
        known.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"other\""));
        assert_eq!(document(Some(b""), &known).status(), StatusCode::OK);
    }

    #[test]
    fn a_gateway_without_its_pages_says_how_to_build_them() {
        let response = document(None, &HeaderMap::new());
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(NOT_BUILT.contains("./dev console"));
    }

    #[tokio::test]
    async fn only_files_that_were_embedded_are_served() {
        for name in ["../Cargo.toml", "index.html", "nothing.js", ".gitignore", ""] {
            assert_eq!(
                asset(Path(name.to_owned())).await.status(),
                StatusCode::NOT_FOUND,
                "{name}"
            );
        }
        for (name, _) in FILES.iter().filter(|(name, _)| *name != "index.html") {
            let response = asset(Path((*name).to_owned())).await;
            assert_eq!(response.status(), StatusCode::OK, "{name}");
            assert!(header(&response, &header::CACHE_CONTROL).ends_with("immutable"));
        }
    }
}
