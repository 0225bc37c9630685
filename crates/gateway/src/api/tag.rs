//! Entity tags (RFC 9110 §8.8.3): digests of what is answered, so that what is known is not sent again, and
//! nobody decides on something else than was seen.

use super::Problem;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use portcullis_core::digest::Digester;
use serde::Serialize;

/// The tag of these bytes.
pub(crate) fn tag(bytes: &[u8]) -> String {
    format!("\"{}\"", Digester::new("portcullis/entity-tag/1").part(bytes).finish().short())
}

/// Whether a header that lists tags (RFC 9110 §13.1) has this one, or `*`. Weak or not is the same to
/// `If-None-Match`; `If-Match` takes no weak ones.
pub(crate) fn lists(headers: &HeaderMap, name: &HeaderName, tag: &str) -> bool {
    let all = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let mut tags = all.flat_map(|value| value.split(',')).map(str::trim);
    let weak = *name == header::IF_NONE_MATCH;
    tags.any(|known| known == "*" || known == tag || weak && known.strip_prefix("W/") == Some(tag))
}

/// An answer of JSON with its tag, or that it is what the caller has (RFC 9110 §15.4.5). It is asked for
/// anew each time.
pub(super) fn tagged(headers: &HeaderMap, what: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(what).map_err(super::unavailable)?;
    let tag = tag(&body);
    let mut response = match lists(headers, &header::IF_NONE_MATCH, &tag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
    };
    let kept = response.headers_mut();
    if let Ok(tag) = HeaderValue::try_from(tag) {
        kept.insert(header::ETAG, tag);
    }
    kept.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// Refuses what is decided on something else than was seen (RFC 9110 §13.1.1), where the caller has said
/// what that was.
pub(super) fn unchanged(headers: &HeaderMap, what: &impl Serialize) -> Result<(), Problem> {
    if !headers.contains_key(header::IF_MATCH) {
        return Ok(());
    }
    let body = serde_json::to_vec(what).map_err(super::unavailable)?;
    if lists(headers, &header::IF_MATCH, &tag(&body)) {
        return Ok(());
    }
    let detail = "it has changed since you looked (If-Match): look again, then decide";
    Err(Problem::new(StatusCode::PRECONDITION_FAILED, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_whole() {
        let has = |name: HeaderName, value: &'static str| {
            let headers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static(value))]);
            lists(&headers, &name, "\"a\"")
        };
        let (none, some) = (header::IF_NONE_MATCH, header::IF_MATCH);
        for value in ["\"a\"", "\"b\", \"a\"", "\"b\",\"a\"", "*"] {
            assert!(has(none.clone(), value) && has(some.clone(), value), "{value}");
        }
        assert!(has(none.clone(), "W/\"a\"") && !has(some.clone(), "W/\"a\""));
        for value in ["", "a", "\"b\"", "\"a", "\"aa\""] {
            assert!(!has(none.clone(), value) && !has(some.clone(), value), "{value}");
        }
    }
}
