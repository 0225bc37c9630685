//! The development provider's mint: keys made at start and tokens for whom the settings name.

use super::DevProviderError;
use super::settings::{DevPerson, DevProviderSettings};
use crate::oidc::{self, ClaimPath, Provider, SignatureAlgorithm};
use crate::random;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::principal::PrincipalKind;
use portcullis_core::time::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use zeroize::Zeroizing;

/// Mints the development provider's tokens; a handle that is cheap to clone.
#[derive(Clone)]
pub struct DevIssuer(Arc<Mint>);

struct Mint {
    settings: DevProviderSettings,
    issuer: String,
    secrets: BTreeMap<String, Zeroizing<String>>,
    keys: RwLock<Arc<SigningKey>>,
}

struct SigningKey {
    id: String,
    pair: EcdsaKeyPair,
}

impl SigningKey {
    fn generate() -> Result<Self, DevProviderError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map_err(|_| DevProviderError::Crypto)?;
        let id = random::token::<12>().map_err(|_| DevProviderError::Crypto)?;
        Ok(Self { id, pair })
    }

    /// The public key as a JWK (RFC 7518 §6.2); the point is `04 || x || y`.
    fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let half = |range| URL_SAFE_NO_PAD.encode(point.get(range).unwrap_or_default());
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id,
            "x": half(1..33), "y": half(33..65),
        })
    }

    fn sign(&self, typ: &str, claims: &Map<String, Value>) -> Result<String, DevProviderError> {
        let header = json!({ "alg": "ES256", "kid": self.id, "typ": typ });
        let encode = |value: &[u8]| URL_SAFE_NO_PAD.encode(value);
        let claims = serde_json::to_vec(claims).map_err(|_| DevProviderError::Crypto)?;
        let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(&claims));
        let signature = self
            .pair
            .sign(&SystemRandom::new(), signed.as_bytes())
            .map_err(|_| DevProviderError::Crypto)?;
        Ok(format!("{signed}.{}", encode(signature.as_ref())))
    }
}

impl DevIssuer {
    pub(crate) fn new(
        settings: DevProviderSettings,
        issuer: String,
    ) -> Result<Self, DevProviderError> {
        let given = settings.agents.iter().map(|a| (&a.name, &a.secret));
        let given = given.chain(settings.workloads.iter().map(|w| (&w.name, &w.secret)));
        let mut secrets = BTreeMap::new();
        for (name, secret) in given {
            let secret = match secret {
                Some(secret) => secret.clone(),
                None => random::token::<32>().map_err(|_| DevProviderError::Crypto)?,
            };
            secrets.insert(name.clone(), Zeroizing::new(secret));
        }
        let keys = RwLock::new(Arc::new(SigningKey::generate()?));
        Ok(Self(Arc::new(Mint { settings, issuer, secrets, keys })))
    }

    /// The issuer URL (`http://127.0.0.1:PORT`).
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The settings it was started with.
    #[must_use]
    pub fn settings(&self) -> &DevProviderSettings {
        &self.0.settings
    }

    /// What a [`Verifier`](crate::Verifier) needs to accept these tokens, by the same path as any
    /// other provider's.
    #[must_use]
    pub fn as_provider(&self, name: &str) -> Provider {
        Provider {
            algorithms: vec![SignatureAlgorithm::ES256],
            kind_claim: Some(ClaimPath::name("kind")),
            default_kind: PrincipalKind::Agent,
            ..Provider::new(name, self.issuer(), self.0.settings.audience.clone())
        }
    }

    /// The client secret of an agent or workload.
    #[must_use]
    pub fn client_secret(&self, name: &str) -> Option<&str> {
        self.0.secrets.get(name).map(|secret| secret.as_str())
    }

    /// An access token for a configured person, agent or workload, good from `now` for `ttl`, by
    /// default the configured life, which is also the longest.
    ///
    /// # Errors
    /// [`DevProviderError::UnknownName`] for everybody else.
    pub fn mint(
        &self,
        name: &str,
        now: Timestamp,
        ttl: Option<Duration>,
    ) -> Result<String, DevProviderError> {
        let mut claims = self.about(name)?;
        claims.insert("aud".into(), self.0.settings.audience.clone().into());
        self.finish("at+jwt", claims, now, ttl)
    }

    /// An ID token of a code flow: for the client that asked (OpenID Connect Core 1.0 §2).
    pub(super) fn mint_id_token(
        &self,
        name: &str,
        client: &str,
        nonce: Option<&str>,
        now: Timestamp,
    ) -> Result<String, DevProviderError> {
        let mut claims = self.about(name)?;
        claims.insert("aud".into(), client.into());
        claims.insert("azp".into(), client.into());
        if let Some(nonce) = nonce {
            claims.insert("nonce".into(), nonce.into());
        }
        self.finish("JWT", claims, now, None)
    }

    /// Replaces the signing key: from now on the key set has only the new one.
    ///
    /// # Errors
    /// [`DevProviderError::Crypto`] where no key can be made; the old one then stays.
    pub fn rotate(&self) -> Result<(), DevProviderError> {
        let key = Arc::new(SigningKey::generate()?);
        *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
    }

    pub(crate) fn key_set(&self) -> Value {
        json!({ "keys": [self.key().jwk()] })
    }

    /// The configured name an access token of this mint was made for, if it is still good.
    pub(super) fn holder(&self, token: &str, now: Timestamp) -> Option<String> {
        let keys = serde_json::to_vec(&self.key_set()).ok()?;
        let principal = oidc::verify_with(&self.as_provider("dev"), &keys, token, now).ok()?;
        Some(principal.subject)
    }

    pub(super) fn ttl(&self) -> Duration {
        Duration::from_secs(self.0.settings.token_ttl_seconds)
    }

    pub(super) fn person(&self, name: &str) -> Option<&DevPerson> {
        self.0.settings.people.iter().find(|person| person.name == name)
    }

    fn key(&self) -> Arc<SigningKey> {
        Arc::clone(&self.0.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn finish(
        &self,
        typ: &str,
        mut claims: Map<String, Value>,
        now: Timestamp,
        ttl: Option<Duration>,
    ) -> Result<String, DevProviderError> {
        let ttl = ttl.unwrap_or(self.ttl()).min(self.ttl());
        let issued = now.as_micros().div_euclid(1_000_000);
        let life = i64::try_from(ttl.as_secs()).unwrap_or(0);
        claims.insert("iss".into(), self.issuer().into());
        claims.insert("iat".into(), issued.into());
        claims.insert("nbf".into(), issued.into());
        claims.insert("exp".into(), issued.saturating_add(life).into());
        let id = random::token::<16>().map_err(|_| DevProviderError::Crypto)?;
        claims.insert("jti".into(), id.into());
        self.key().sign(typ, &claims)
    }

    /// The claims about one of those configured. An agent that acts for a person is written as RFC
    /// 8693 §4.1 says: `sub` is the person, `act` is the agent, and what is known of the agent
    /// stands in `act`. Nothing the person may do stands in the agent's token.
    pub(super) fn about(&self, name: &str) -> Result<Map<String, Value>, DevProviderError> {
        let settings = &self.0.settings;
        let claims = if let Some(person) = self.person(name) {
            let mut claims = identity(name, &person.groups, "person");
            if let Some(email) = &person.email {
                claims.insert("email".into(), email.clone().into());
                claims.insert("email_verified".into(), true.into());
            }
            claims
        } else if let Some(agent) = settings.agents.iter().find(|agent| agent.name == name) {
            let own = identity(name, &agent.groups, "agent");
            match &agent.acting_for {
                None => own,
                Some(person) => {
                    let mut claims = Map::new();
                    claims.insert("sub".into(), person.clone().into());
                    claims.insert("kind".into(), "agent".into());
                    claims.insert("act".into(), Value::Object(own));
                    claims
                }
            }
        } else if let Some(workload) = settings.workloads.iter().find(|w| w.name == name) {
            identity(name, &workload.groups, "workload")
        } else {
            return Err(DevProviderError::UnknownName);
        };
        Ok(claims)
    }
}

fn identity(name: &str, groups: &[String], kind: &str) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("sub".into(), name.into());
    claims.insert("preferred_username".into(), name.into());
    claims.insert("groups".into(), groups.into());
    claims.insert("kind".into(), kind.into());
    claims
}

impl std::fmt::Debug for DevIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DevIssuer").field(&self.0.issuer).finish()
    }
}
