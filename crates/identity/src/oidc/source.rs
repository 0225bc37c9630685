//! Where an issuer's keys come from: its discovery document and key set, over HTTP that follows
//! nothing, waits for nothing and reads no more than it must. Off the path of most requests.

use super::http::{FETCH_TIMEOUT, Http};
use super::json;
use super::keys::KeySet;
use super::settings::{Provider, is_loopback, issuer_url, keys_url};
use reqwest::{ClientBuilder, Url};
use serde_json::{Map, Value};

/// One issuer's addresses and the client to reach them with.
pub(crate) struct Source {
    http: Http,
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
        Ok(Self {
            http: Http::new(client, loopback, plain)?,
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
        KeySet::parse(&self.http.get(keys).await?)
    }

    async fn discover(&self) -> Result<Url, String> {
        let document = discovered(&self.http, &self.discovery, &self.issuer).await?;
        let member = |name: &str| document.get(name).and_then(Value::as_str);
        let uri = member("jwks_uri").ok_or("the discovery document has no `jwks_uri`")?;
        keys_url(uri, self.issuer_is_loopback).map_err(|problem| format!("`jwks_uri` {problem}"))
    }
}

/// An issuer's discovery document (OpenID Connect Discovery 1.0 §4.3): it must be its own.
pub(crate) async fn discovered(
    http: &Http,
    at: &Url,
    issuer: &str,
) -> Result<Map<String, Value>, String> {
    let body = http.get(at.clone()).await?;
    let document = json::object(&body).map_err(|e| format!("discovery document: {e}"))?;
    if document.get("issuer").and_then(Value::as_str) != Some(issuer) {
        return Err(format!(
            "the discovery document is not that of \"{issuer}\": its `issuer` differs"
        ));
    }
    Ok(document)
}

/// OpenID Connect Discovery 1.0 §4.1: a trailing slash goes, then the well-known path is added.
pub(crate) fn discovery_url(issuer: &Url) -> Result<Url, String> {
    let base = issuer.as_str().trim_end_matches('/');
    Url::parse(&format!("{base}/.well-known/openid-configuration")).map_err(|e| e.to_string())
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
