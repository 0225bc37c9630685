//! `Idempotency-Key`: a call that was made before is not made again; what it was answered is answered
//! again. For whoever does not know whether a call has come through.
//!
//! *Architecture invariant:* an answer is for the caller who got it: a key is looked up among those of the
//! verified caller alone, so nobody finds another's by guessing, and only with the rights and the credential
//! it was made with. Keys are kept in memory, for an hour, the newest thousand, and not over a restart of the
//! gateway: then the call is made, and says itself if it was made before.

use super::grants::CREDENTIAL;
use super::{Problem, principal};
use crate::moment::now;
use crate::services::Services;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use portcullis_core::digest::{Digest, Digester};
use portcullis_core::principal::Principal;
use portcullis_core::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer is one of before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(60 * 60);
/// Most keys of one caller, and of all.
const MOST: (usize, usize) = (100, 1_000);
/// Longest answer that is kept, in bytes. Of a longer one it is kept that it was given.
const MOST_ANSWER: usize = 64 * 1024;
/// What was refused so was not done, and may be another time.
const AGAIN: [StatusCode; 5] = [
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::NOT_FOUND,
    StatusCode::PRECONDITION_FAILED,
];
/// Longest key, in bytes.
const MOST_KEY: usize = 255;

static KEYS: LazyLock<Keys> = LazyLock::new(Keys::default);

/// Who, by kind, issuer and subject, and for whom; and the key.
type Named = (Digest, String);

/// What has become of a call.
#[derive(Clone)]
enum Call {
    UnderWay,
    /// Without the body, where that is too long.
    Answered(StatusCode, HeaderMap, Option<Bytes>),
}

struct Kept {
    /// Of method, path, body, and what it was allowed by.
    asked: Digest,
    since: Timestamp,
    call: Call,
}

/// The calls of before.
#[derive(Default)]
struct Keys(Mutex<HashMap<Named, Kept>>);

/// A call that is made, until its answer is kept; without one, it was never made.
struct Making<'a> {
    keys: &'a Keys,
    named: Option<Named>,
}

/// What comes of a key.
enum Found<'a> {
    Make(Making<'a>),
    Again(Response),
}

impl Keys {
    fn kept(&self) -> MutexGuard<'_, HashMap<Named, Kept>> {
        // The map is whole after every operation on it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, named: Named, asked: Digest, at: Timestamp) -> Result<Found<'_>, Problem> {
        let mut kept = self.kept();
        kept.retain(|_, one| matches!(one.call, Call::UnderWay) || one.since.plus(KEPT) > at);
        if let Some(found) = kept.get(&named) {
            if found.asked != asked {
                let detail = "this Idempotency-Key was used for another request, or with other rights: \
                              take a new one";
                return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
            }
            return match found.call.clone() {
                Call::UnderWay => {
                    let detail = "the call with this Idempotency-Key is still under way: ask later";
                    Err(Problem::new(StatusCode::CONFLICT, detail))
                }
                Call::Answered(status, _, None) => {
                    let detail = format!(
                        "the call with this Idempotency-Key was made and answered {}: look at \
                         what came of it",
                        status.as_u16()
                    );
                    Err(Problem::new(StatusCode::CONFLICT, detail))
                }
                Call::Answered(status, mut headers, Some(body)) => {
                    headers.insert(REPLAYED, HeaderValue::from_static("true"));
                    Ok(Found::Again((status, headers, body).into_response()))
                }
            };
        }
        let own = kept.keys().filter(|(who, _)| *who == named.0).count();
        if own < MOST.0 && kept.len() >= MOST.1 {
            // Whoever has most gives one up, so that nobody fills it for others.
            forget_one(&mut kept);
        }
        if own >= MOST.0 || kept.len() >= MOST.1 {
            let detail = format!(
                "{} keys are kept of one caller, for an hour: ask later, or without",
                MOST.0
            );
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail));
        }
        kept.insert(named.clone(), Kept { asked, since: at, call: Call::UnderWay });
        Ok(Found::Make(Making { keys: self, named: Some(named) }))
    }
}

/// Forgets the oldest answer of the caller who has most.
fn forget_one(kept: &mut HashMap<Named, Kept>) {
    let mut counts: HashMap<Digest, usize> = HashMap::new();
    for ((who, _), one) in &*kept {
        if matches!(one.call, Call::Answered(..)) {
            *counts.entry(*who).or_default() += 1;
        }
    }
    let Some((most, _)) = counts.into_iter().max_by_key(|(_, count)| *count) else { return };
    let own = kept
        .iter()
        .filter(|((who, _), one)| *who == most && matches!(one.call, Call::Answered(..)));
    let oldest = own.min_by_key(|(_, one)| one.since).map(|(named, _)| named.clone());
    if let Some(named) = oldest {
        kept.remove(&named);
    }
}

impl Making<'_> {
    /// Keeps the answer, so that it is answered again.
    fn answered(mut self, status: StatusCode, headers: HeaderMap, body: Bytes) {
        let body = Some(body).filter(|body| body.len() <= MOST_ANSWER);
        let Some(named) = self.named.take() else { return };
        if let Some(kept) = self.keys.kept().get_mut(&named) {
            kept.call = Call::Answered(status, headers, body);
        }
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        if let Some(named) = &self.named {
            self.keys.kept().remove(named);
        }
    }
}

/// Who it is, whatever its token says besides.
fn identity(who: &Principal) -> Digest {
    let (issuer, person) = who.person().unwrap_or_default();
    let parts = [who.kind.entity_type(), &who.issuer, &who.subject, issuer, person];
    let digester = Digester::new("portcullis/idempotency/caller/1");
    parts.iter().fold(digester, |digester, part| digester.part(part.as_bytes())).finish()
}

/// Whether a route takes keys: whatever creates or decides. Who asks for a token comes with none, what
/// Slack sends is signed for one use, and signing in and out is of one browser.
pub(super) fn applies(method: &str, path: &str) -> bool {
    let own = ["/api/v1/token", "/api/v1/slack/interactions"];
    method == "POST" && path.starts_with("/api/v1/") && !own.contains(&path)
}

/// Makes a call that has a key once.
pub(super) async fn once(
    State(services): State<Arc<Services>>,
    request: Request,
    next: Next,
) -> Response {
    let key = request.headers().get(KEY).cloned();
    match key.filter(|_| applies(request.method().as_str(), request.uri().path())) {
        None => next.run(request).await,
        Some(key) => match keyed(&services, &key, request, next).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        },
    }
}

async fn keyed(
    services: &Services,
    key: &HeaderValue,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let plain = |key: &&str| {
        (1..=MOST_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())
    };
    let key = key.to_str().ok().filter(plain).ok_or_else(|| {
        let detail = "Idempotency-Key must be 1 to 255 visible characters of ASCII";
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })?;
    let who = principal(services, request.headers()).await?;
    let (parts, body) = request.into_parts();
    // It was read before, within its limit.
    let body = to_bytes(body, usize::MAX).await.map_err(super::unavailable)?;
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let asked = Digester::new("portcullis/idempotency/request/1")
        .part(parts.method.as_str().as_bytes())
        .part(path.as_bytes())
        .part(&body);
    // What it is allowed by: an answer is not for less.
    let shown = [CREDENTIAL, header::IF_MATCH.as_str()];
    let shown = shown.map(|name| parts.headers.get(name).map_or(&b""[..], HeaderValue::as_bytes));
    let asked = shown.iter().fold(asked, |asked, value| asked.part(value));
    let asked = who.groups.iter().fold(asked, |asked, group| asked.part(group.as_bytes())).finish();
    let making = match KEYS.find((identity(&who), key.to_owned()), asked, now())? {
        Found::Again(response) => return Ok(response),
        Found::Make(making) => making,
    };
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(super::unavailable)?;
    // What failed for want of something here, of a right, or of time, is worth another try.
    if !head.status.is_server_error() && !AGAIN.contains(&head.status) {
        let mut headers = HeaderMap::new();
        for name in [header::CONTENT_TYPE, header::ETAG, header::X_CONTENT_TYPE_OPTIONS] {
            if let Some(value) = head.headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        making.answered(head.status, headers, body.clone());
    }
    Ok(Response::from_parts(head, Body::from(body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &str) -> Digest {
        Digester::new("test").part(text.as_bytes()).finish()
    }

    fn find(keys: &Keys, who: &str, asked: &str, at: i64) -> Result<u16, u16> {
        let (named, at) = ((digest(who), "k".to_owned()), Timestamp::from_micros(at * 1_000_000));
        match keys.find(named, digest(asked), at) {
            Ok(Found::Again(response)) => {
                assert!(response.headers().contains_key(REPLAYED));
                Err(response.status().as_u16())
            }
            Ok(Found::Make(making)) => {
                making.answered(StatusCode::CREATED, HeaderMap::new(), Bytes::new());
                Ok(201)
            }
            Err(problem) => Err(problem.status.as_u16()),
        }
    }

    #[test]
    fn a_call_is_made_once_for_its_caller_and_its_hour() {
        let keys = Keys::default();
        assert_eq!(find(&keys, "ana", "a", 0), Ok(201));
        assert_eq!(find(&keys, "ana", "a", 1), Err(201), "answered again");
        assert_eq!(find(&keys, "ana", "b", 1), Err(422), "another request");
        assert_eq!(find(&keys, "bo", "b", 1), Ok(201), "another caller has keys of its own");
        assert_eq!(find(&keys, "ana", "b", 3_601), Ok(201), "it is forgotten");
        // Under way, and given up.
        let named = (digest("cy"), "k".to_owned());
        let at = Timestamp::from_micros(0);
        let Ok(Found::Make(making)) = keys.find(named, digest("a"), at) else { panic!() };
        assert_eq!(find(&keys, "cy", "a", 7_200), Err(409));
        drop(making);
        assert_eq!(find(&keys, "cy", "a", 7_200), Ok(201));
    }

    #[test]
    fn nobody_fills_it_for_others() {
        let keys = Keys::default();
        let named = |who: &str, n: usize| (digest(who), n.to_string());
        let at = Timestamp::from_micros(0);
        let made = |who: &str, n: usize| match keys.find(named(who, n), digest("a"), at) {
            Ok(Found::Make(making)) => {
                making.answered(StatusCode::OK, HeaderMap::new(), Bytes::new());
                true
            }
            _ => false,
        };
        assert!((0..MOST.0).all(|n| made("ana", n)) && !made("ana", MOST.0));
        assert!(made("bo", 0));
        for other in 0..30 {
            let other = format!("agent {other}");
            assert!((0..MOST.0).all(|n| made(&other, n)), "{other}");
        }
        assert!(keys.kept().len() <= MOST.1);
        assert!(made("bo", 1));
    }
}
