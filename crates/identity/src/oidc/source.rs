//! Where an issuer's keys come from: its discovery document and key set, over HTTP that follows
//! nothing, waits for nothing and reads no more than it must. Off the path of most requests.

use super::json;
use super::keys::KeySet;
use super::settings::{Provider, is_loopback, issuer_url, keys_url};
use reqwest::{Client, ClientBuilder, StatusCode, Url, header, redirect};
use std::error::Error as _;
use std::time::Duration;

/// Largest discovery document or key set, in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// Longest time for all fetches of one refresh together.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// The client that fetches of key sets start from: rustls, the system's certificate authorities,
/// and a proxy only where the environment names one.
pub fn http_client() -> ClientBuilder {
    Client::builder().user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))
}

/// One issuer's addresses and the client to reach them with.
pub(crate) struct Source {
    client: Client,
    issuer: String,
    discovery: Url,
    issuer_is_loopback: bool,
    keys: Option<Url>,
}

impl Source {
    /// Prepares fetches for `provider`. What keeps them safe is set here, after whatever the
    /// caller's `client` says.
    pub(crate) fn new(provider: &Provider, client: ClientBuilder) -> Result<Self, String> {
        let issuer = issuer_url(&provider.issuer)?;
        let loopback = is_loopback(&issuer);
        let keys = provider.jwks_uri.as_deref().map(|uri| keys_url(uri, loopback)).transpose()?;
        let plain = issuer.scheme() == "http" && keys.as_ref().is_none_or(|k| k.scheme() == "http");
        let client = client
            .redirect(redirect::Policy::none())
            .referer(false)
            .timeout(FETCH_TIMEOUT)
            .connect_timeout(FETCH_TIMEOUT)
            .pool_max_idle_per_host(1)
            .https_only(!loopback);
        // Nothing on loopback is a proxy's business, and plain HTTP needs no certificates, which a
        // minimal machine may not even have.
        let client = if loopback { client.no_proxy() } else { client };
        let client = if plain { client.tls_certs_only([]) } else { client };
        Ok(Self {
            client: client.build().map_err(|e| format!("cannot set up HTTPS: {}", chain(&e)))?,
            discovery: discovery_url(&issuer)?,
            issuer: provider.issuer.clone(),
            issuer_is_loopback: loopback,
            keys,
        })
    }

    /// Fetches the key set, by way of the discovery document unless its address is configured.
    pub(crate) async fn fetch(&self) -> Result<KeySet, String> {
        tokio::time::timeout(FETCH_TIMEOUT, self.fetch_untimed())
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", FETCH_TIMEOUT.as_secs())))
    }

    async fn fetch_untimed(&self) -> Result<KeySet, String> {
        let keys = match &self.keys {
            Some(url) => url.clone(),
            None => self.discover().await?,
        };
        KeySet::parse(&self.get(keys).await?)
    }

    /// OpenID Connect Discovery 1.0 §4.3: the document must be the issuer's own.
    async fn discover(&self) -> Result<Url, String> {
        let body = self.get(self.discovery.clone()).await?;
        let document = json::object(&body).map_err(|e| format!("discovery document: {e}"))?;
        let member = |name: &str| document.get(name).and_then(serde_json::Value::as_str);
        if member("issuer") != Some(&self.issuer) {
            return Err(format!(
                "the discovery document is not that of \"{}\": its `issuer` differs",
                self.issuer
            ));
        }
        let uri = member("jwks_uri").ok_or("the discovery document has no `jwks_uri`")?;
        keys_url(uri, self.issuer_is_loopback).map_err(|problem| format!("`jwks_uri` {problem}"))
    }

    async fn get(&self, url: Url) -> Result<Vec<u8>, String> {
        let request = self.client.get(url.clone()).header(header::ACCEPT, "application/json");
        let mut response = request.send().await.map_err(|e| chain(&e))?;
        if response.status() != StatusCode::OK {
            return Err(format!("{url} answered {}", response.status()));
        }
        let too_large = || format!("{url} answered with more than {MAX_BODY} bytes");
        if response.content_length().is_some_and(|length| length > MAX_BODY as u64) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| chain(&e))? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// OpenID Connect Discovery 1.0 §4.1: a trailing slash goes, then the well-known path is added.
fn discovery_url(issuer: &Url) -> Result<Url, String> {
    let base = issuer.as_str().trim_end_matches('/');
    Url::parse(&format!("{base}/.well-known/openid-configuration")).map_err(|e| e.to_string())
}

/// An error with its causes: reqwest's own text stops at "error sending request".
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_path_goes_below_the_issuer() {
        let check = |issuer: &str, expect: &str| {
            assert_eq!(discovery_url(&Url::parse(issuer).unwrap()).unwrap().as_str(), expect);
        };
        let path = ".well-known/openid-configuration";
        check("https://id.example", &format!("https://id.example/{path}"));
        check("https://id.example/", &format!("https://id.example/{path}"));
        check("https://id.example/tenant", &format!("https://id.example/tenant/{path}"));
        check("https://id.example/tenant/", &format!("https://id.example/tenant/{path}"));
    }
}
