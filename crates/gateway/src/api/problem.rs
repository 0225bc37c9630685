//! An answer that is no success (RFC 9457), and what of a request cannot be read.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FormRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// An answer that is no success.
pub(crate) struct Problem {
    pub(super) status: StatusCode,
    pub(super) detail: String,
}

/// What it says (RFC 9457 §3.1).
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct Told<'a> {
    /// `urn:portcullis:problem:` and one of the words of `docs/reference/errors.md`, which stay what they are.
    r#type: String,
    /// The same for every problem of this type.
    title: &'a str,
    /// The status of the answer.
    status: u16,
    /// What is wrong this time, and what to do.
    detail: &'a str,
}

/// The words for problems, by the status they are answered with.
pub(super) const WORDS: &[(StatusCode, &str)] = &[
    (StatusCode::BAD_REQUEST, "bad-request"),
    (StatusCode::UNAUTHORIZED, "not-authenticated"),
    (StatusCode::FORBIDDEN, "not-allowed"),
    (StatusCode::NOT_FOUND, "not-found"),
    (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed"),
    (StatusCode::REQUEST_TIMEOUT, "body-too-slow"),
    (StatusCode::CONFLICT, "conflict"),
    (StatusCode::PRECONDITION_FAILED, "changed-meanwhile"),
    (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large"),
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type"),
    (StatusCode::MISDIRECTED_REQUEST, "misdirected"),
    (StatusCode::UNPROCESSABLE_ENTITY, "not-processable"),
    (StatusCode::PRECONDITION_REQUIRED, "look-first"),
    (StatusCode::TOO_MANY_REQUESTS, "too-many-requests"),
    (StatusCode::INTERNAL_SERVER_ERROR, "failed"),
    (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
];

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let word = WORDS.iter().find(|(status, _)| *status == self.status);
        let told = Told {
            r#type: format!("urn:portcullis:problem:{}", word.map_or("failed", |(_, word)| word)),
            title: self.status.canonical_reason().unwrap_or("refused"),
            status: self.status.as_u16(),
            detail: &self.detail,
        };
        let mut response = (self.status, Json(told)).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The query of a request.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query: Result<axum::extract::Query<T>, QueryRejection> =
            axum::extract::Query::from_request_parts(parts, state).await;
        query.map(|axum::extract::Query(query)| Self(query)).map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, format!("the query cannot be read: {error}"))
        })
    }
}

/// What a path says behind its route, as text.
pub(super) struct Path(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Path {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<String>::from_request_parts(parts, state).await;
        // What is no text is the name of nothing.
        path.map(|axum::extract::Path(text)| Self(text))
            .map_err(|_| Problem::new(StatusCode::NOT_FOUND, "there is no such thing for you"))
    }
}

/// The body of a request.
pub(super) struct Body(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body: Result<Bytes, BytesRejection> = Bytes::from_request(request, state).await;
        body.map(Self).map_err(|error| Problem::new(error.status(), error.body_text()))
    }
}

/// The body of a request that is a form.
pub(super) struct Form<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let form: Result<axum::Form<T>, FormRejection> =
            axum::Form::from_request(request, state).await;
        form.map(|axum::Form(form)| Self(form))
            .map_err(|error| Problem::new(error.status(), error.body_text()))
    }
}

/// What a body of JSON says.
pub(super) fn parsed<T: DeserializeOwned>(body: &Body) -> Result<T, Problem> {
    serde_json::from_slice(&body.0)
        .map_err(|error| unprocessable(&format!("the body cannot be read: {error}")))
}

/// The same where a body may be left out.
pub(super) fn parsed_if_any<T: DeserializeOwned + Default>(body: &Body) -> Result<T, Problem> {
    if body.0.is_empty() { Ok(T::default()) } else { parsed(body) }
}

pub(super) fn unprocessable(detail: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words are a promise: all of them are in the reference, and no other.
    #[test]
    fn the_reference_has_every_word() {
        let reference = include_str!("../../../../docs/reference/errors.md");
        for (status, word) in WORDS {
            let row = format!("| `{word}` | {} |", status.as_u16());
            assert!(reference.contains(&row), "docs/reference/errors.md needs {row}");
        }
    }
}
