//! Where metrics are read: at an address of their own, by a program that looks after gateways.
//!
//! Not beside the API: what is counted tells of others, so no token of a caller opens it, and none is looked at
//! here. Off loopback whoever asks has to know a token of its own.

use crate::readiness;
use crate::services::Services;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use portcullis_targets::OwnSecret;
use schemars::JsonSchema;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use zeroize::Zeroizing;

/// The media type of the text format, version 0.0.4.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Where Prometheus reads `/metrics`, and what looks after the gateway `/healthz` and `/readyz`. It speaks plain
/// HTTP and knows nobody: tokens of callers are nothing here.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetricsListener {
    /// Address and port. Off loopback, `token_from` is required.
    pub(crate) address: SocketAddr,
    /// Where the token is that `/metrics` takes as `Authorization: Bearer …`: `env:NAME` or `file:PATH`, relative
    /// to this file; at least 16 bytes. Read when the gateway starts. Without it everything that runs on this
    /// machine can read them.
    #[serde(default)]
    pub(crate) token_from: Option<OwnSecret>,
}

impl MetricsListener {
    /// Makes a relative path one below `base`.
    pub(crate) fn resolve(&mut self, base: &Path) {
        if let Some(token) = &mut self.token_from {
            token.resolve(base);
        }
    }

    /// Why it makes no sense, if so.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.address.ip().is_loopback() || self.token_from.is_some() {
            return Ok(());
        }
        Err(format!(
            "listen.metrics.address is {}, where others than this machine reach it: set \
             listen.metrics.token_from, or an address on loopback",
            self.address
        ))
    }

    /// What works, and is hardly meant.
    pub(crate) fn doubts(&self) -> Option<String> {
        self.token_from.is_none().then(|| {
            "listen.metrics.token_from: not set, so everything that runs on this machine, agents too, can \
             read how much others do: set it, unless no agent runs here"
                .to_owned()
        })
    }

    fn token(&self) -> anyhow::Result<Option<Zeroizing<Vec<u8>>>> {
        let Some(token) = &self.token_from else { return Ok(None) };
        let token =
            token.read().map_err(|why| anyhow::anyhow!("listen.metrics.token_from: {why}"))?;
        if token.len() < 16 {
            anyhow::bail!(
                "listen.metrics.token_from: it has fewer than 16 bytes: `openssl rand -hex 32` makes one"
            );
        }
        Ok(Some(token))
    }
}

struct Reader {
    services: Arc<Services>,
    token: Option<Zeroizing<Vec<u8>>>,
}

/// Listens, and gives what serves until the gateway stops.
///
/// # Errors
/// Where it cannot listen there, or the token cannot be had.
pub(crate) async fn serve(
    settings: &MetricsListener,
    services: Arc<Services>,
    stopping: watch::Receiver<bool>,
) -> anyhow::Result<impl Future<Output = ()> + Send + use<>> {
    use anyhow::Context as _;
    let token = settings.token()?;
    let listener = TcpListener::bind(settings.address).await;
    let listener =
        listener.with_context(|| format!("listen.metrics.address {}", settings.address))?;
    let router = router(Arc::new(Reader { services, token }));
    Ok(crate::http::serve(listener, router, 0, stopping))
}

fn router(reader: Arc<Reader>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .fallback(async || (StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n"))
        .with_state(reader)
}

async fn ready(State(reader): State<Arc<Reader>>) -> Response {
    readiness::answer(&reader.services)
}

async fn metrics(State(reader): State<Arc<Reader>>, headers: HeaderMap) -> Response {
    if !is_let_in(reader.token.as_ref().map(|token| token.as_slice()), &headers) {
        let said = "send the token of listen.metrics.token_from as `Authorization: Bearer …`\n";
        let mut refused = (StatusCode::UNAUTHORIZED, said).into_response();
        refused.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return refused;
    }
    match reader.services.metrics.exposition(&reader.services).await {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT), (header::CACHE_CONTROL, "no-store")], text)
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be told");
            (StatusCode::INTERNAL_SERVER_ERROR, "the gateway's log says why\n").into_response()
        }
    }
}

/// Whether somebody has shown the token, where there is one.
fn is_let_in(token: Option<&[u8]>, headers: &HeaderMap) -> bool {
    let Some(token) = token else { return true };
    let shown = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let shown = shown.and_then(|shown| shown.strip_prefix(b"Bearer "));
    shown.is_some_and(|shown| {
        aws_lc_rs::constant_time::verify_slices_are_equal(shown, token).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_shows_the_token_is_let_in_and_nobody_else() {
        let shown = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            headers
        };
        let token = Some(b"0123456789abcdef".as_slice());
        assert!(is_let_in(token, &shown("Bearer 0123456789abcdef")));
        for wrong in
            ["Bearer 0123456789abcdeF", "Bearer ", "0123456789abcdef", "Bearer 0123456789abcdef0"]
        {
            assert!(!is_let_in(token, &shown(wrong)), "{wrong}");
        }
        assert!(!is_let_in(token, &HeaderMap::new()));
        assert!(is_let_in(None, &HeaderMap::new()));
    }

    #[test]
    fn off_loopback_it_takes_a_token() {
        let read = |text: &str| toml::from_str::<MetricsListener>(text).unwrap();
        assert_eq!(read("address = \"127.0.0.1:9464\"").check(), Ok(()));
        assert_eq!(read("address = \"[::1]:9464\"").check(), Ok(()));
        let open = read("address = \"0.0.0.0:9464\"").check().unwrap_err();
        assert!(open.contains("token_from"), "{open}");
        assert_eq!(
            read("address = \"0.0.0.0:9464\"\ntoken_from = \"file:/run/t\"").check(),
            Ok(())
        );
    }
}
