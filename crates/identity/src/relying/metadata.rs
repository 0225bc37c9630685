//! What a provider says of itself (OpenID Connect Discovery 1.0 §3, RFC 8414, RFC 8628 §4, RFC 9207
//! §3): where people are sent, and what its answers carry. Kept for a while.

use crate::oidc::{Http, Provider, discovered, discovery_url, is_loopback, issuer_url, keys_url};
use portcullis_core::time::Timestamp;
use reqwest::{ClientBuilder, Url};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long it is believed without asking again.
const MAX_AGE: Duration = Duration::from_secs(600);
/// After a failure it is asked again no sooner.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// A provider's endpoints, each at an address that may be asked.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) authorization: Url,
    pub(super) token: Url,
    pub(super) userinfo: Option<Url>,
    pub(super) device: Option<Url>,
    pub(super) end_session: Option<Url>,
    pub(super) revocation: Option<Url>,
    /// Its authorization responses carry `iss` (RFC 9207 §3).
    pub(super) says_issuer: bool,
    /// It takes the client's secret in the form alone.
    pub(super) secret_in_form: bool,
}

impl Metadata {
    fn read(document: &Map<String, Value>, loopback: bool) -> Result<Self, String> {
        let endpoint = |name: &str| match document.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => keys_url(text, loopback)
                .map(Some)
                .map_err(|problem| format!("discovery document: `{name}` {problem}")),
            Some(_) => Err(format!("discovery document: `{name}` is no text")),
        };
        let needed = |name: &str| {
            endpoint(name)?.ok_or_else(|| format!("the discovery document has no `{name}`"))
        };
        let words = |name: &str| -> Option<Vec<&str>> {
            document.get(name)?.as_array().map(|l| l.iter().filter_map(Value::as_str).collect())
        };
        // RFC 8414 §2: a provider that lists methods without S256 would not check ours.
        if words("code_challenge_methods_supported").is_some_and(|all| !all.contains(&"S256")) {
            return Err("the discovery document offers no PKCE with S256".into());
        }
        let methods = words("token_endpoint_auth_methods_supported");
        Ok(Self {
            authorization: needed("authorization_endpoint")?,
            token: needed("token_endpoint")?,
            userinfo: endpoint("userinfo_endpoint")?,
            device: endpoint("device_authorization_endpoint")?,
            end_session: endpoint("end_session_endpoint")?,
            revocation: endpoint("revocation_endpoint")?,
            says_issuer: document.get("authorization_response_iss_parameter_supported")
                == Some(&Value::Bool(true)),
            secret_in_form: methods.is_some_and(|all| {
                !all.contains(&"client_secret_basic") && all.contains(&"client_secret_post")
            }),
        })
    }
}

/// Where a provider's metadata come from.
pub(super) struct Discovery {
    pub(super) http: Http,
    issuer: String,
    at: Url,
    loopback: bool,
    /// Held while one asks, so that many who sign in are one request.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    metadata: Option<(Arc<Metadata>, Timestamp)>,
    failed: Option<(String, Timestamp)>,
}

impl Discovery {
    pub(super) fn new(provider: &Provider, client: ClientBuilder) -> Result<Self, String> {
        let issuer = issuer_url(&provider.issuer)?;
        let loopback = is_loopback(&issuer);
        Ok(Self {
            http: Http::new(client, loopback, issuer.scheme() == "http")?,
            issuer: provider.issuer.clone(),
            at: discovery_url(&issuer)?,
            loopback,
            known: Mutex::default(),
        })
    }

    /// The metadata, at most [`MAX_AGE`] old. Cancel-safe.
    pub(super) async fn metadata(&self, now: Timestamp) -> Result<Arc<Metadata>, String> {
        let within = |at: Timestamp, span| now.since(at) < span && at.since(now) < span;
        let mut known = self.known.lock().await;
        if let Some((metadata, at)) = &known.metadata
            && within(*at, MAX_AGE)
        {
            return Ok(Arc::clone(metadata));
        }
        if let Some((cause, at)) = &known.failed
            && within(*at, RETRY_INTERVAL)
        {
            return Err(cause.clone());
        }
        let document = discovered(&self.http, &self.at, &self.issuer).await;
        match document.and_then(|document| Metadata::read(&document, self.loopback)) {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                *known = Known { metadata: Some((Arc::clone(&metadata), now)), failed: None };
                Ok(metadata)
            }
            Err(cause) => {
                known.failed = Some((cause.clone(), now));
                Err(cause)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn endpoints_are_where_they_may_be() {
        let check = |edit: Value, loopback: bool, expect: Result<bool, &str>| {
            let mut document = json!({
                "authorization_endpoint": "https://id.example/authorize",
                "token_endpoint": "https://id.example/token",
            });
            document.as_object_mut().unwrap().extend(edit.as_object().unwrap().clone());
            let read = Metadata::read(document.as_object().unwrap(), loopback);
            match (read.map(|m| m.says_issuer), expect) {
                (Ok(says), Ok(expect)) => assert_eq!(says, expect, "{edit}"),
                (Err(why), Err(expect)) => assert!(why.contains(expect), "{edit}: {why}"),
                (read, _) => panic!("{edit}: {read:?}"),
            }
        };
        let flag = "authorization_response_iss_parameter_supported";
        check(json!({}), false, Ok(false));
        check(json!({ flag: true }), false, Ok(true));
        check(json!({ flag: "true" }), false, Ok(false));
        check(json!({ "token_endpoint": null }), false, Err("no `token_endpoint`"));
        check(json!({ "token_endpoint": "http://id.example/t" }), false, Err("must be https"));
        check(json!({ "token_endpoint": "https://127.0.0.1/t" }), false, Err("on loopback"));
        check(json!({ "userinfo_endpoint": "https://a:b@id.example" }), false, Err("credentials"));
        check(json!({ "device_authorization_endpoint": 7 }), false, Err("no text"));
        check(json!({ "authorization_endpoint": "javascript:0" }), false, Err("must name a host"));
        check(json!({ "authorization_endpoint": "http://[::1]:1/a" }), true, Ok(false));
        check(json!({ "code_challenge_methods_supported": ["plain"] }), false, Err("S256"));
        check(json!({ "code_challenge_methods_supported": ["plain", "S256"] }), false, Ok(false));
    }
}
