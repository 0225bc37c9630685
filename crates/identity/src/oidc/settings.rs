//! The settings of an identity provider: everything a token is held against. Read once at start,
//! never influenced by a request.

use super::claims::ClaimPath;
use portcullis_core::principal::PrincipalKind;
use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// An OpenID provider (or another issuer of signed JWTs with a published key set) whose tokens are
/// accepted, and what they must look like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The name operators and messages use.
    pub name: String,
    /// The issuer URL, compared byte for byte with `iss`. `https`, or `http` on loopback.
    pub issuer: String,
    /// Accepted audiences: a token's `aud` must contain one of them.
    pub audiences: Vec<String>,
    /// Accepted signature algorithms. Asymmetric ones only; the default is all that are supported.
    #[serde(default = "SignatureAlgorithm::all")]
    pub algorithms: Vec<SignatureAlgorithm>,
    /// Where the groups are: a claim's name, or a path into it (`realm_access.roles`).
    #[serde(default = "default_groups_claim")]
    pub groups_claim: ClaimPath,
    /// Whose groups an agent gets when the token says that it acts for somebody (`act`).
    #[serde(default)]
    pub act_groups: ActGroups,
    /// Where the display name is; by default the first of `preferred_username`, `email`, `sub`.
    #[serde(default)]
    pub name_claim: Option<ClaimPath>,
    /// A claim that says what the subject is: `person`, `agent` or `workload`.
    #[serde(default)]
    pub kind_claim: Option<ClaimPath>,
    /// What a subject is when no claim says so. The default is the least trusted: `agent`.
    #[serde(default = "default_kind")]
    #[schemars(with = "KindWord")]
    pub default_kind: PrincipalKind,
    /// A claim that names the person a token's subject acts for, at providers that do not write
    /// `act` (RFC 8693 §4.1). Where `act` is present it decides, and this is not looked at.
    #[serde(default)]
    pub acting_for_claim: Option<ClaimPath>,
    /// Claims that must have exactly these values.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Pinned>")]
    pub required: BTreeMap<ClaimPath, Pinned>,
    /// How far `nbf` and `iat` may lie in the future, in seconds; at most 300.
    #[serde(default = "default_leeway")]
    #[schemars(range(max = 300))]
    pub leeway_seconds: u64,
    /// The longest life of an accepted token, in seconds.
    #[serde(default = "default_max_lifetime")]
    #[schemars(range(min = 60))]
    pub max_lifetime_seconds: u64,
    /// Accepted clients (`azp`, or `client_id` where a token has no `azp`). Empty accepts any.
    #[serde(default)]
    pub clients: Vec<String>,
    /// The address of the key set, for issuers without a discovery document.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// Where the groups of somebody who signs in in a browser are: in the ID token, or at userinfo.
    /// Tokens that are sent to the gateway have theirs in themselves in any case.
    #[serde(default)]
    pub groups_from: GroupsFrom,
    /// How people sign in here, in a browser or from a terminal. Without it they bring tokens.
    #[serde(default)]
    pub sign_in: Option<SignIn>,
}

/// How settings errors call a provider.
pub(crate) const WHOSE: &str = "identity provider";

impl Provider {
    /// A provider with defaults for everything that has one.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        issuer: impl Into<String>,
        audience: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            issuer: issuer.into(),
            audiences: vec![audience.into()],
            algorithms: SignatureAlgorithm::all(),
            groups_claim: default_groups_claim(),
            act_groups: ActGroups::default(),
            name_claim: None,
            kind_claim: None,
            default_kind: default_kind(),
            acting_for_claim: None,
            required: BTreeMap::new(),
            leeway_seconds: default_leeway(),
            max_lifetime_seconds: default_max_lifetime(),
            clients: Vec::new(),
            jwks_uri: None,
            groups_from: GroupsFrom::default(),
            sign_in: None,
        }
    }

    /// The client that terminals sign in with, whose ID tokens are accepted as bearer tokens.
    #[must_use]
    pub fn terminal_client(&self) -> Option<&str> {
        self.sign_in.as_ref()?.terminal_client()
    }

    /// Whether a token for this audience or client is one for the gateway: who has it is believed to be
    /// whom it speaks of.
    pub(crate) fn takes_as_bearer(&self, audience: &str) -> bool {
        self.audiences.iter().any(|own| own == audience) || self.terminal_client() == Some(audience)
    }

    /// The same, for ID tokens of `client` that came straight from the token endpoint: they are for
    /// that client and for nobody else.
    pub(crate) fn for_id_tokens_of(&self, client: &str) -> Self {
        Self {
            audiences: vec![client.to_owned()],
            clients: Vec::new(),
            sign_in: None,
            ..self.clone()
        }
    }

    pub(crate) const fn leeway(&self) -> Duration {
        Duration::from_secs(self.leeway_seconds)
    }

    pub(crate) const fn max_lifetime(&self) -> Duration {
        Duration::from_secs(self.max_lifetime_seconds)
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// [`SettingsError`] names the provider, the key and what is wrong with its value.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let wrong = |key: &'static str, problem: String| {
            Err(SettingsError { whose: WHOSE, provider: self.name.clone(), key, problem })
        };
        let blank = |list: &[String]| list.iter().any(|text| text.trim().is_empty());
        if !crate::text::is_presentable(&self.name) {
            return wrong("name", "must be 1 to 255 visible characters".into());
        }
        if self.audiences.is_empty() || blank(&self.audiences) {
            return wrong("audiences", "at least one is needed, and none may be blank".into());
        }
        if self.algorithms.is_empty() {
            return wrong("algorithms", "at least one is needed".into());
        }
        if self.leeway_seconds > 300 {
            return wrong("leeway_seconds", "at most 300".into());
        }
        if !(60..=10 * 365 * 86_400).contains(&self.max_lifetime_seconds) {
            return wrong("max_lifetime_seconds", "from 60 to 315360000 (ten years)".into());
        }
        if blank(&self.clients) {
            return wrong("clients", "none may be blank".into());
        }
        let issuer = match issuer_url(&self.issuer) {
            Ok(issuer) => issuer,
            Err(problem) => return wrong("issuer", problem),
        };
        if let Some((key, problem)) = self.sign_in.as_ref().and_then(SignIn::problem) {
            return wrong(key, problem);
        }
        if self.groups_from == GroupsFrom::Userinfo && self.sign_in.is_none() {
            return wrong("groups_from", "\"userinfo\" is for signing in: add `sign_in`".into());
        }
        if let Some(uri) = &self.jwks_uri
            && let Err(problem) = keys_url(uri, is_loopback(&issuer))
        {
            return wrong("jwks_uri", problem);
        }
        Ok(())
    }
}

/// What is wrong with a provider's settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{whose} \"{provider}\": `{key}`: {problem}")]
pub struct SettingsError {
    /// What it is the name of: an identity provider, or a workload rule.
    pub whose: &'static str,
    /// The configured name.
    pub provider: String,
    /// The key.
    pub key: &'static str,
    /// What is wrong, and what is allowed.
    pub problem: String,
}

/// Where the groups of somebody who signs in are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupsFrom {
    /// In the ID token.
    #[default]
    Token,
    /// At the userinfo endpoint (OpenID Connect Core 1.0 §5.3), at `groups_claim` of its answer.
    Userinfo,
}

/// The gateway as a client of a provider (OpenID Connect Core 1.0, RFC 6749): people sign in by
/// authorization code with PKCE, in terminals without a browser by device code (RFC 8628).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The client as which the gateway is registered at the provider, with the redirect URI
    /// `<public_url>/auth/callback`.
    pub client_id: String,
    /// File with the client's secret, read when it is needed; relative to the configuration. Without
    /// a secret the client is a public one.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// Environment variable of the gateway with the client's secret.
    #[serde(default)]
    pub client_secret_env: Option<String>,
    /// The client of `portcullis login`: a public (native) one, with the redirect URI
    /// `http://127.0.0.1/callback` on any port, or with device codes. Its ID tokens are accepted as
    /// bearer tokens and passwords. The default is `client_id`, where that has no secret.
    #[serde(default)]
    pub cli_client_id: Option<String>,
    /// What is asked for; `openid` always is. `offline_access` gives refresh tokens at most providers.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// Further parameters of authorization requests, such as `prompt` or `access_type`.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
}

/// Parameters of authorization requests that are the gateway's own to set.
const OWN_PARAMETERS: [&str; 12] = [
    "response_type",
    "response_mode",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
    "client_secret",
];

impl SignIn {
    /// A public client of this id.
    #[must_use]
    pub fn public(client_id: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret_file: None,
            client_secret_env: None,
            cli_client_id: None,
            scopes: default_scopes(),
            parameters: BTreeMap::new(),
        }
    }

    const fn has_secret(&self) -> bool {
        self.client_secret_file.is_some() || self.client_secret_env.is_some()
    }

    fn terminal_client(&self) -> Option<&str> {
        let own = Some(self.client_id.as_str()).filter(|_| !self.has_secret());
        self.cli_client_id.as_deref().or(own)
    }

    /// What is asked for, in the order of the settings.
    #[must_use]
    pub fn scope(&self) -> String {
        let others = self.scopes.iter().map(String::as_str).filter(|scope| *scope != "openid");
        ["openid"].into_iter().chain(others).collect::<Vec<_>>().join(" ")
    }

    /// The client's secret; `None` where it is a public client.
    ///
    /// # Errors
    /// Where it cannot be read: what is wrong, without anything of it.
    pub fn secret(&self) -> Result<Option<Zeroizing<String>>, String> {
        let text = match (&self.client_secret_file, &self.client_secret_env) {
            (None, None) => return Ok(None),
            (Some(file), _) => std::fs::read_to_string(file)
                .map_err(|error| format!("client_secret_file {}: {error}", file.display()))?,
            (None, Some(name)) => std::env::var(name)
                .map_err(|_| format!("client_secret_env: {name} is not set, or is not UTF-8"))?,
        };
        let text = Zeroizing::new(text);
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err("the client's secret is empty".to_owned()),
            secret => Ok(Some(Zeroizing::new(secret.to_owned()))),
        }
    }

    /// What is wrong with it, and with which key.
    fn problem(&self) -> Option<(&'static str, String)> {
        // RFC 6749 appendix A: client ids are visible ASCII, scopes are without quotes.
        let visible = |text: &str| {
            !text.is_empty()
                && text.len() <= 512
                && text.bytes().all(|b| (0x21..=0x7e).contains(&b))
        };
        let scope = |text: &String| visible(text) && !text.contains(['"', '\\']);
        if !visible(&self.client_id) {
            return Some(("sign_in.client_id", "must be 1 to 512 visible ASCII characters".into()));
        }
        if self.cli_client_id.as_deref().is_some_and(|id| !visible(id)) {
            let problem = "must be 1 to 512 visible ASCII characters";
            return Some(("sign_in.cli_client_id", problem.into()));
        }
        if self.has_secret() && self.cli_client_id.as_ref() == Some(&self.client_id) {
            let problem = "must be another client than `client_id`: that one has a secret, which \
                           terminals cannot keep";
            return Some(("sign_in.cli_client_id", problem.into()));
        }
        if self.client_secret_file.is_some() && self.client_secret_env.is_some() {
            let problem = "the secret is either in a file or in the environment";
            return Some(("sign_in.client_secret_env", problem.into()));
        }
        if !self.scopes.iter().all(scope) {
            return Some(("sign_in.scopes", "a scope is a word without quotes".into()));
        }
        let own = |name: &&String| OWN_PARAMETERS.contains(&name.as_str());
        let taken = self.parameters.keys().find(own)?;
        Some(("sign_in.parameters", format!("`{taken}` is the gateway's own to set")))
    }
}

/// Whose groups an acting agent gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActGroups {
    /// Its own: the groups claim is read inside `act`. RFC 8693 §4.1 says that what stands there
    /// is about the actor, and what stands outside is about the person.
    #[default]
    Actor,
    /// Those of the person it acts for. Policies then see the agent in every group of that person.
    Subject,
}

/// A value a claim must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Pinned {
    /// Text, compared byte for byte.
    Text(String),
    /// A flag.
    Flag(bool),
    /// A whole number.
    Number(i64),
}

impl Pinned {
    /// True where the value is of its type, so that it could be the same.
    pub(crate) fn is_kind_of(&self, value: &Value) -> bool {
        match self {
            Self::Text(_) => value.is_string(),
            Self::Flag(_) => value.is_boolean(),
            Self::Number(_) => value.is_number(),
        }
    }

    pub(crate) fn is(&self, value: &Value) -> bool {
        match self {
            Self::Text(text) => value.as_str() == Some(text),
            Self::Flag(flag) => value.as_bool() == Some(*flag),
            Self::Number(number) => value.as_i64() == Some(*number),
        }
    }
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
#[expect(dead_code, reason = "stands in the schema for a type of another crate")]
pub(crate) enum KindWord {
    Person,
    Agent,
    Workload,
}

/// Signature algorithms (RFC 7518 §3.1, RFC 8037). Only asymmetric ones can be said: there is no
/// `none` and no HMAC to choose by mistake or by a token's wish.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum SignatureAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// ECDSA on P-521 with SHA-512.
    ES512,
    /// EdDSA on Curve25519. `Ed25519`, its fully specified name of RFC 9864, is read as the same.
    #[serde(alias = "Ed25519")]
    EdDSA,
}

impl SignatureAlgorithm {
    /// All of them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        use SignatureAlgorithm::{
            ES256, ES384, ES512, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512,
        };
        vec![RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA]
    }

    /// The algorithm of that registered name; names are case-sensitive (RFC 7515 §4.1.1).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::RS256,
            "RS384" => Self::RS384,
            "RS512" => Self::RS512,
            "PS256" => Self::PS256,
            "PS384" => Self::PS384,
            "PS512" => Self::PS512,
            "ES256" => Self::ES256,
            "ES384" => Self::ES384,
            "ES512" => Self::ES512,
            "EdDSA" | "Ed25519" => Self::EdDSA,
            _ => return None,
        })
    }
}

fn default_groups_claim() -> ClaimPath {
    ClaimPath::name("groups")
}

fn default_scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(str::to_owned).to_vec()
}

const fn default_kind() -> PrincipalKind {
    PrincipalKind::Agent
}

pub(super) const fn default_leeway() -> u64 {
    30
}

pub(super) const fn default_max_lifetime() -> u64 {
    86_400
}

/// An issuer identifier (OpenID Connect Discovery 1.0 §2): `https`, no query, no fragment; `http`
/// is for loopback, where there is no network to protect against.
pub(crate) fn issuer_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|e| format!("not a URL: {e}"))?;
    plain(&url)?;
    if url.query().is_some() {
        return Err("must have no query".into());
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err("must be https (http only on loopback)".into()),
    }
}

/// The address of a key set, or another one that an issuer gives: `https`, or `http` on loopback for an issuer that is there too. What
/// a remote issuer says never makes the gateway ask something on its own host.
pub(crate) fn keys_url(text: &str, issuer_is_loopback: bool) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|e| format!("not a URL: {e}"))?;
    plain(&url)?;
    match (url.scheme(), is_loopback(&url), issuer_is_loopback) {
        ("https", false, _) | ("https" | "http", true, true) => Ok(url),
        ("https", true, false) => Err("is on loopback, and the issuer is not".into()),
        _ => Err("must be https (http only on loopback, for an issuer on loopback)".into()),
    }
}

fn plain(url: &Url) -> Result<(), String> {
    if url.host_str().is_none_or(str::is_empty) {
        return Err("must name a host".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not carry credentials".into());
    }
    if url.fragment().is_some() {
        return Err("must have no fragment".into());
    }
    Ok(())
}

/// True where the host is a loopback address or `localhost` (RFC 6761 §6.3).
pub(crate) fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Provider, toml::de::Error> {
        toml::from_str(text)
    }

    const LEAST: &str = "name = 'corp'\nissuer = 'https://id.example'\naudiences = ['p']\n";

    #[test]
    fn the_least_trusted_is_the_default() {
        let provider = read(LEAST).unwrap();
        assert_eq!(provider, Provider::new("corp", "https://id.example", "p"));
        assert_eq!(provider.default_kind, PrincipalKind::Agent);
        assert_eq!(provider.act_groups, ActGroups::Actor);
        assert_eq!(provider.validate(), Ok(()));
    }

    #[test]
    fn symmetric_and_absent_algorithms_cannot_be_said() {
        for word in ["none", "HS256", "HS384", "HS512", "rs256", "RSA-OAEP"] {
            assert!(read(&format!("{LEAST}algorithms = ['{word}']")).is_err(), "{word}");
            assert_eq!(SignatureAlgorithm::from_name(word), None);
        }
        assert!(read(&format!("{LEAST}algorithms = ['Ed25519']")).is_ok());
        assert!(read(&format!("{LEAST}surprise = 1")).is_err());
    }

    #[test]
    fn every_setting_is_checked() {
        let check = |change: fn(&mut Provider), key: &str| {
            let mut provider = Provider::new("corp", "https://id.example", "p");
            change(&mut provider);
            assert_eq!(provider.validate().map_err(|e| e.key), Err(key_of(key)), "{key}");
        };
        check(|p| p.name = String::new(), "name");
        check(|p| p.audiences = vec![], "audiences");
        check(|p| p.audiences = vec![" ".into()], "audiences");
        check(|p| p.algorithms = vec![], "algorithms");
        check(|p| p.leeway_seconds = 301, "leeway_seconds");
        check(|p| p.max_lifetime_seconds = 59, "max_lifetime_seconds");
        check(|p| p.clients = vec![String::new()], "clients");
        check(|p| p.issuer = "http://id.example".into(), "issuer");
        check(|p| p.issuer = "https://u:p@id.example".into(), "issuer");
        check(|p| p.issuer = "https://id.example?x".into(), "issuer");
        check(|p| p.issuer = "https://id.example#x".into(), "issuer");
        check(|p| p.issuer = "file:///etc/passwd".into(), "issuer");
        check(|p| p.jwks_uri = Some("http://id.example/keys".into()), "jwks_uri");
        check(|p| p.jwks_uri = Some("https://127.0.0.1/keys".into()), "jwks_uri");
        check(|p| p.jwks_uri = Some("https://[::1]/keys".into()), "jwks_uri");
    }

    fn key_of(key: &str) -> &'static str {
        let keys = [
            "name",
            "audiences",
            "algorithms",
            "leeway_seconds",
            "max_lifetime_seconds",
            "clients",
            "issuer",
            "jwks_uri",
        ];
        keys.into_iter().find(|k| *k == key).unwrap()
    }

    #[test]
    fn plain_text_is_for_loopback() {
        let check = |issuer: &str, good: bool| {
            assert_eq!(issuer_url(issuer).is_ok(), good, "{issuer}");
        };
        check("http://127.0.0.1:9", true);
        check("http://127.9.9.9:9/x", true);
        check("http://[::1]:9", true);
        check("http://localhost:9", true);
        check("http://localhost.example", false);
        check("http://127.0.0.1.example", false);
        check("http://10.0.0.1", false);
        check("https://id.example/tenant/", true);
    }
}
