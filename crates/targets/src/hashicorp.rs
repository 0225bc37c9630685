//! Secrets in HashiCorp Vault's key-value store, version 2
//! (<https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#read-secret-version>), which
//! OpenBao speaks as well. Fetched at every log-in; nothing of an answer is shown but its status.

use crate::credential::CredentialError;
use crate::reference::{Reference, VaultPath};
use crate::{own, private};
use reqwest::header::HeaderValue;
use reqwest::{Client, StatusCode, Url, redirect};
use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::{Zeroize as _, Zeroizing};

/// How long Vault may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer taken, in bytes.
const LONGEST_ANSWER: usize = 256 * 1024;
/// The longest token, in bytes. Batch tokens reach some hundreds.
const LONGEST_TOKEN: usize = 8 * 1024;

/// Where Vault is, and who the gateway is there.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VaultSettings {
    /// Its URL, `https://vault.example.com:8200`; plain HTTP on loopback alone, for an agent beside
    /// the gateway.
    pub address: String,
    /// Where the gateway's token for it is: `env:NAME` or `file:PATH`. A file is read for every
    /// request, so that a Vault agent can renew it.
    pub token: Reference,
    /// The namespace, in Vault Enterprise and OpenBao.
    #[serde(default)]
    pub namespace: Option<String>,
    /// PEM file with the authorities that may vouch for it. Default: those of the operating system.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
}

/// A client of one Vault.
pub(crate) struct HashiCorp {
    client: Client,
    address: Url,
    token: Reference,
    namespace: Option<HeaderValue>,
}

impl fmt::Debug for HashiCorp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashiCorp({})", self.address)
    }
}

/// A secret that Vault does not give. Holds nothing of an answer.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The settings cannot be used.
    #[error("secrets.vault.{key}: {why}")]
    Settings {
        /// Which.
        key: &'static str,
        /// Why not, and what to do.
        why: String,
    },
    /// Vault cannot be reached.
    #[error("Vault at {address} cannot be reached: {why}")]
    Unreachable {
        /// Its address.
        address: String,
        /// Why.
        why: String,
    },
    /// It answers, and gives no secret.
    #[error("vault:{place}: {why}")]
    Refused {
        /// Which secret.
        place: String,
        /// What it means.
        why: String,
    },
    /// The gateway's own token cannot be had.
    #[error("secrets.vault.token: {0}")]
    Token(Box<CredentialError>),
}

impl HashiCorp {
    pub(crate) fn new(settings: &VaultSettings) -> Result<Self, VaultError> {
        let wrong = |key, why: &str| VaultError::Settings { key, why: why.to_owned() };
        let address = settings.address.trim_end_matches('/');
        let address = Url::parse(address).map_err(|e| wrong("address", &e.to_string()))?;
        let loopback = is_loopback(&address);
        if !(address.scheme() == "https" || address.scheme() == "http" && loopback) {
            return Err(wrong("address", "must be https:// (plain http on loopback alone)"));
        }
        if !address.username().is_empty() || address.password().is_some() {
            return Err(wrong("address", "has a user or password in it: set `token`"));
        }
        if address.query().is_some() || address.fragment().is_some() {
            return Err(wrong("address", "has a query or fragment"));
        }
        if !matches!(settings.token, Reference::Environment(_) | Reference::File(_)) {
            return Err(wrong("token", "must be `env:NAME` or `file:PATH`"));
        }
        let namespace = settings.namespace.as_deref().map(HeaderValue::from_str).transpose();
        let namespace = namespace.map_err(|_| wrong("namespace", "is no header's value"))?;
        let mut client = Client::builder()
            .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))
            // The token goes to this address and to no other.
            .redirect(redirect::Policy::none())
            .referer(false)
            .timeout(PATIENCE)
            .connect_timeout(PATIENCE)
            .pool_max_idle_per_host(1)
            .https_only(!loopback);
        if loopback {
            client = client.no_proxy();
        }
        if let Some(path) = &settings.certificate {
            let pem = std::fs::read(path);
            let pem = pem.map_err(|e| wrong("certificate", &format!("{}: {e}", path.display())))?;
            let authorities = reqwest::Certificate::from_pem_bundle(&pem)
                .ok()
                .filter(|all| !all.is_empty())
                .ok_or_else(|| wrong("certificate", "has no certificate in it"))?;
            client = client.tls_certs_only(authorities);
        } else if address.scheme() == "http" {
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|e| wrong("address", &e.without_url().to_string()))?;
        Ok(Self { client, address, token: settings.token.clone(), namespace })
    }

    /// One field of a secret, its newest version.
    pub(crate) async fn fetch(&self, place: &VaultPath) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let refused =
            |why: &str| VaultError::Refused { place: place.to_string(), why: why.to_owned() };
        let answer = self.get(place).await?;
        let why = match answer.status() {
            StatusCode::OK => None,
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Some(
                "Vault refuses the gateway's token: it is no longer good, or its policy has no \
                 `read` on this path"
                    .to_owned(),
            ),
            StatusCode::NOT_FOUND => Some(
                "Vault has no such secret, or its newest version is deleted; is the first part \
                 the mount of a key-value store of version 2?"
                    .to_owned(),
            ),
            StatusCode::SERVICE_UNAVAILABLE => Some("Vault is sealed or in maintenance".to_owned()),
            other => Some(format!("Vault answered {other}")),
        };
        if let Some(why) = why {
            return Err(refused(&why));
        }
        let body = self.body(answer).await?;
        let said: Said = serde_json::from_slice(&body).map_err(|_| {
            refused("the answer is not that of a key-value store of version 2 with texts in it")
        })?;
        said.field(&place.field).ok_or_else(|| refused("the secret has no such field with a text"))
    }

    async fn get(&self, place: &VaultPath) -> Result<reqwest::Response, VaultError> {
        let mut url = self.address.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            let below = place.path.split('/');
            parts.pop_if_empty().extend(["v1", &place.mount, "data"]).extend(below);
        }
        let mut request = self.client.get(url).header("X-Vault-Token", self.token().await?);
        // Proxies of a Vault agent ask for it, and Vault does not mind.
        request = request.header("X-Vault-Request", "true");
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        request.send().await.map_err(|e| self.unreachable(e))
    }

    async fn body(&self, mut answer: reqwest::Response) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let mut body = Zeroizing::new(Vec::with_capacity(LONGEST_ANSWER));
        while let Some(chunk) = answer.chunk().await.map_err(|e| self.unreachable(e))? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                let (address, why) = (self.address.to_string(), "a very long answer".to_owned());
                return Err(VaultError::Unreachable { address, why });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    async fn token(&self) -> Result<HeaderValue, VaultError> {
        let reference = self.token.clone();
        let reading = tokio::task::spawn_blocking(move || own::raw(&reference, LONGEST_TOKEN));
        let token = reading.await.unwrap_or(Err(CredentialError::Empty));
        let failed = |error| VaultError::Token(Box::new(error));
        let mut token = token.map_err(failed)?;
        private::trim_line_end(&mut token);
        if token.is_empty() {
            return Err(failed(CredentialError::Empty));
        }
        let header = HeaderValue::from_bytes(&token);
        let mut header = header.map_err(|_| failed(CredentialError::ZeroByte))?;
        header.set_sensitive(true);
        Ok(header)
    }

    /// The causes of an error, without the address in them, which is said beside it.
    fn unreachable(&self, error: reqwest::Error) -> VaultError {
        let error = error.without_url();
        let mut why = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            why.push_str(": ");
            why.push_str(&error.to_string());
            cause = error.source();
        }
        VaultError::Unreachable { address: self.address.to_string(), why }
    }
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// `{ "data": { "data": { FIELD: TEXT, … } } }`, wiped where it is dropped.
#[derive(Deserialize)]
struct Said {
    data: Version,
}

#[derive(Deserialize)]
struct Version {
    data: std::collections::HashMap<String, serde_json::Value>,
}

impl Said {
    fn field(mut self, name: &str) -> Option<Zeroizing<Vec<u8>>> {
        match self.data.data.remove(name) {
            Some(serde_json::Value::String(text)) => Some(Zeroizing::new(text.into_bytes())),
            _ => None,
        }
    }
}

impl Drop for Said {
    fn drop(&mut self) {
        for value in self.data.data.values_mut() {
            if let serde_json::Value::String(text) = value {
                text.zeroize();
            }
        }
    }
}
