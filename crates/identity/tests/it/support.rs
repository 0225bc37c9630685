//! A provider that can be made to misbehave, and tokens made by hand.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use base64::Engine as _;
pub(crate) use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::time::Timestamp;
use portcullis_identity::{Provider, Verifier, http_client};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// The moment all tests happen at, in seconds since the epoch.
pub(crate) const NOW: i64 = 1_790_000_000;

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

pub(crate) fn now() -> Timestamp {
    at(NOW)
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A private key of any kind.
pub(crate) enum Signer {
    Ec(&'static str, EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Signer {
    pub(crate) fn ec(curve: &'static str) -> Self {
        let algorithm = match curve {
            "P-256" => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            "P-384" => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
            "P-521" => &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
            other => panic!("{other}"),
        };
        Self::Ec(curve, EcdsaKeyPair::generate(algorithm).unwrap())
    }

    pub(crate) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub(crate) fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    pub(crate) fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Ec(curve, pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({"kty": "EC", "crv": curve, "x": b64(x), "y": b64(y), "kid": kid})
            }
            Self::Rsa(pair) => {
                let key = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "n": b64(key.n), "e": b64(key.e), "kid": kid})
            }
            Self::Ed(pair) => {
                let x = b64(pair.public_key().as_ref());
                json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid})
            }
        }
    }

    pub(crate) fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Ec(_, pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Rsa(pair) => {
                let padding: &dyn signature::RsaEncoding = match algorithm {
                    "RS256" => &signature::RSA_PKCS1_SHA256,
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    other => panic!("{other}"),
                };
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut out).unwrap();
                out
            }
        }
    }

    /// A token from the header's and the claims' own text.
    pub(crate) fn token(&self, header: &str, claims: &str) -> String {
        let read: Value = serde_json::from_str(header).unwrap_or_default();
        let signed = format!("{}.{}", b64(header), b64(claims));
        let algorithm = read["alg"].as_str().unwrap_or_default();
        let signature = self.sign(algorithm, signed.as_bytes());
        format!("{signed}.{}", b64(signature))
    }
}

/// What the key set's address answers with.
#[derive(Clone)]
pub(crate) enum Reply {
    Json(Value),
    Status(u16),
    Redirect(String),
    Body(usize),
    Never,
    /// The key set, once there is a permit.
    Gated(Value, Arc<Semaphore>),
}

pub(crate) struct Shared {
    pub(crate) discovery: Mutex<Option<Value>>,
    pub(crate) keys: Mutex<Reply>,
    pub(crate) discoveries: AtomicUsize,
    pub(crate) fetches: AtomicUsize,
    issuer: String,
}

/// A provider on loopback that counts what it is asked.
pub(crate) struct Fake {
    pub(crate) issuer: String,
    pub(crate) shared: Arc<Shared>,
    serving: tokio::task::JoinHandle<()>,
}

impl Fake {
    pub(crate) async fn start(keys: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            discovery: Mutex::new(None),
            keys: Mutex::new(Reply::Json(json!({ "keys": keys }))),
            discoveries: AtomicUsize::new(0),
            fetches: AtomicUsize::new(0),
            issuer: issuer.clone(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(key_set))
            .with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { issuer, shared, serving }
    }

    pub(crate) fn answer(&self, reply: Reply) {
        *self.shared.keys.lock().unwrap() = reply;
    }

    pub(crate) fn keys(&self, keys: &[Value]) {
        self.answer(Reply::Json(json!({ "keys": keys })));
    }

    pub(crate) fn fetches(&self) -> usize {
        self.shared.fetches.load(Ordering::SeqCst)
    }

    pub(crate) fn provider(&self) -> Provider {
        Provider::new("corp", &self.issuer, "portcullis")
    }

    pub(crate) fn verifier(&self) -> Verifier {
        verifier(vec![self.provider()])
    }

    pub(crate) fn claims(&self) -> Value {
        json!({
            "iss": self.issuer, "aud": "portcullis", "sub": "alice",
            "iat": NOW - 10, "exp": NOW + 600,
        })
    }

    pub(crate) async fn stop(self) {
        self.serving.abort();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

pub(crate) fn verifier(providers: Vec<Provider>) -> Verifier {
    Verifier::new(providers, http_client).unwrap()
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.discoveries.fetch_add(1, Ordering::SeqCst);
    let issuer = &shared.issuer;
    let usual = json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") });
    Json(shared.discovery.lock().unwrap().clone().unwrap_or(usual))
}

async fn key_set(State(shared): State<Arc<Shared>>) -> Response {
    shared.fetches.fetch_add(1, Ordering::SeqCst);
    let reply = shared.keys.lock().unwrap().clone();
    match reply {
        Reply::Json(value) => {
            // Long enough for everybody who asks at the same time to be waiting.
            tokio::time::sleep(Duration::from_millis(30)).await;
            Json(value).into_response()
        }
        Reply::Status(status) => axum::http::StatusCode::from_u16(status).unwrap().into_response(),
        Reply::Redirect(to) => {
            (axum::http::StatusCode::FOUND, [(header::LOCATION, to)]).into_response()
        }
        Reply::Body(size) => Body::from(vec![b' '; size]).into_response(),
        Reply::Never => std::future::pending().await,
        Reply::Gated(value, gate) => {
            gate.acquire().await.unwrap().forget();
            Json(value).into_response()
        }
    }
}

/// An address that answers with a body without end or length; says how much of it was taken.
pub(crate) async fn endless() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        client.write_all(head).await.unwrap();
        let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
        while client.write_all(&chunk).await.is_ok() {
            counter.fetch_add(0x10000, Ordering::SeqCst);
        }
    });
    (url, taken)
}
