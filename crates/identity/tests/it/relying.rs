//! Signing in against a provider that says what it is told to: known attacks, each refused and for the
//! reason it should be; and what good answers give.

use crate::support::{NOW, Signer, b64, now};
use aws_lc_rs::digest;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis_core::time::Timestamp;
use portcullis_identity::relying::{
    Answer, Polled, RelyingParty, SIGN_IN_LIFE, SignInError, SignedIn,
};
use portcullis_identity::{
    GroupsFrom, IdentityError, Provider, SettingsError, SignIn, Verifier, http_client,
};
use reqwest::Url;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

const CALLBACK: &str = "https://portcullis.example/auth/callback";
const HEADER: &str = r#"{"alg":"ES256","kid":"k"}"#;

/// What a provider says when it is asked.
struct Says {
    issuer: String,
    key: Value,
    discovery: Value,
    token: (u16, String),
    userinfo: Value,
    /// The last form it was sent, and how its sender proved who it is.
    asked: HashMap<String, String>,
    authorization: Option<String>,
}

type Shared = Arc<Mutex<Says>>;

/// A provider on loopback.
struct Fake {
    issuer: String,
    signer: Signer,
    says: Shared,
}

impl Fake {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let signer = Signer::ec("P-256");
        let at = |path: &str| format!("{issuer}/{path}");
        let says = Says {
            issuer: issuer.clone(),
            key: signer.jwk("k"),
            discovery: json!({
                "issuer": issuer, "jwks_uri": at("keys"), "token_endpoint": at("token"),
                "authorization_endpoint": at("authorize?tenant=1"),
                "userinfo_endpoint": at("userinfo"), "end_session_endpoint": at("end"),
                "device_authorization_endpoint": at("device"), "revocation_endpoint": at("token"),
                "authorization_response_iss_parameter_supported": true,
            }),
            token: (200, "{}".into()),
            userinfo: json!({}),
            asked: HashMap::new(),
            authorization: None,
        };
        let says = Arc::new(Mutex::new(says));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/device", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(Arc::clone(&says));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { issuer, signer, says }
    }

    fn provider(&self, name: &str) -> Provider {
        let sign_in = Some(SignIn::public("gateway"));
        Provider { sign_in, ..Provider::new(name, &self.issuer, "portcullis") }
    }

    fn token(&self, status: u16, body: impl Into<String>) {
        self.says.lock().unwrap().token = (status, body.into());
    }
}

async fn discovery(State(says): State<Shared>) -> Json<Value> {
    Json(says.lock().unwrap().discovery.clone())
}

async fn keys(State(says): State<Shared>) -> Json<Value> {
    Json(json!({ "keys": [says.lock().unwrap().key] }))
}

async fn token(
    State(says): State<Shared>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let mut says = says.lock().unwrap();
    let authorization = headers.get(header::AUTHORIZATION);
    says.authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
    says.asked = form;
    (StatusCode::from_u16(says.token.0).unwrap(), says.token.1.clone()).into_response()
}

async fn userinfo(State(says): State<Shared>, headers: HeaderMap) -> Response {
    if headers.get(header::AUTHORIZATION).is_none_or(|value| value != "Bearer access") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    Json(says.lock().unwrap().userinfo.clone()).into_response()
}

/// One sign-in, as it would go well.
struct Attempt {
    query: Vec<(&'static str, String)>,
    header: String,
    claims: Value,
    /// What the token endpoint says beside the ID token.
    beside: Value,
    /// In place of all it says.
    instead: Option<(u16, String)>,
    /// In place of the ID token.
    id_token: Option<String>,
    /// Whether the other provider signs.
    foreign: bool,
    after: Duration,
}

/// Two providers, `corp` and `other`, with a client each of one name.
struct Stage {
    corp: Fake,
    other: Fake,
    party: RelyingParty,
    verifier: Verifier,
}

impl Stage {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(edit: impl Fn(&mut Provider)) -> Self {
        let (corp, other) = (Fake::start().await, Fake::start().await);
        let mut providers = [corp.provider("corp"), other.provider("other")];
        edit(&mut providers[0]);
        let party = RelyingParty::new(&providers, http_client).unwrap();
        let verifier = Verifier::new(providers.to_vec(), http_client).unwrap();
        Self { corp, other, party, verifier }
    }

    async fn attempt(&self, edit: impl FnOnce(&mut Attempt)) -> Result<SignedIn, SignInError> {
        self.attempt_at(false, edit).await
    }

    async fn attempt_at(
        &self,
        anew: bool,
        edit: impl FnOnce(&mut Attempt),
    ) -> Result<SignedIn, SignInError> {
        let (url, pending) = self.party.begin("corp", CALLBACK, anew, now()).await?;
        assert_eq!(pending.is_anew(), anew);
        let asked: HashMap<_, _> = Url::parse(&url).unwrap().query_pairs().into_owned().collect();
        let mut attempt = Attempt {
            query: vec![
                ("code", "the-code".into()),
                ("state", asked["state"].clone()),
                ("iss", self.corp.issuer.clone()),
            ],
            header: HEADER.into(),
            claims: json!({
                "iss": self.corp.issuer, "aud": "gateway", "sub": "alice", "nonce": asked["nonce"],
                "iat": NOW - 10, "exp": NOW + 3_600, "groups": ["dba"], "at_hash": hash("access"),
            }),
            beside: json!({ "access_token": "access", "refresh_token": "refresh" }),
            instead: None,
            id_token: None,
            foreign: false,
            after: Duration::ZERO,
        };
        edit(&mut attempt);
        let signer = if attempt.foreign { &self.other.signer } else { &self.corp.signer };
        let signed = signer.token(&attempt.header, &attempt.claims.to_string());
        let mut body = attempt.beside;
        body["id_token"] = attempt.id_token.unwrap_or(signed).into();
        let (status, body) = attempt.instead.unwrap_or((200, body.to_string()));
        self.corp.token(status, body);
        let mut query = Url::parse("http://x/").unwrap();
        query.query_pairs_mut().extend_pairs(&attempt.query);
        let answer = Answer::parse(query.query().unwrap_or_default())?;
        self.party.finish(pending, answer, &self.verifier, now().plus(attempt.after)).await
    }

    async fn check(&self, name: &str, edit: impl FnOnce(&mut Attempt), expect: SignInError) {
        assert_eq!(self.attempt(edit).await.err(), Some(expect), "{name}");
    }
}

/// `at_hash` of a token, for ES256.
fn hash(token: &str) -> String {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16])
}

fn set(query: &mut [(&'static str, String)], name: &str, value: &str) {
    query.iter_mut().find(|(known, _)| *known == name).unwrap().1 = value.into();
}

fn refused(error: &str) -> SignInError {
    SignInError::Refused { error: error.into() }
}

/// OpenID Connect Core 1.0 §3.1.2.1: what was asked for has to have happened, whatever became of the request
/// on its way through the browser.
#[tokio::test]
async fn who_has_to_sign_in_anew_has_done_so() {
    let stage = Stage::with(|provider| {
        let client = provider.sign_in.as_mut().unwrap();
        client.parameters = [("prompt".into(), "none".into()), ("hd".into(), "x".into())].into();
    });
    let stage = stage.await;
    let asked = async |anew| {
        let (url, _) = stage.party.begin("corp", CALLBACK, anew, now()).await.unwrap();
        let url = Url::parse(&url).unwrap();
        let asked =
            url.query_pairs().filter(|(name, _)| ["prompt", "max_age", "hd"].contains(&&**name));
        asked.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    assert_eq!(asked(true).await, ["hd=x", "prompt=login", "max_age=0"]);
    assert_eq!(asked(false).await, ["hd=x", "prompt=none"]);
    let said = |at: Value| move |attempt: &mut Attempt| attempt.claims["auth_time"] = at;
    for (at, expect) in [
        (json!(null), Some(SignInError::NoAuthTime)),
        (json!("1"), Some(SignInError::NoAuthTime)),
        (json!(NOW - 11), Some(SignInError::NotAnew)),
        (json!(i64::MIN), Some(SignInError::NotAnew)),
        (json!(NOW - 10), None),
        (json!(NOW + 5), None),
    ] {
        assert_eq!(stage.attempt_at(true, said(at.clone())).await.err(), expect, "{at}");
        // Who has not to, is not asked when it was.
        assert!(stage.attempt(said(at)).await.is_ok());
    }
    assert_eq!(stage.attempt_at(true, |_| {}).await.err(), Some(SignInError::NoAuthTime));
}

#[tokio::test]
async fn a_good_answer_signs_in() {
    let stage = Stage::new().await;
    let signed_in = stage.attempt(|_| {}).await.unwrap();
    let who = &signed_in.principal;
    assert_eq!((&*who.subject, &*signed_in.provider), ("alice", "corp"));
    assert_eq!(who.groups, ["dba".to_owned()].into());
    assert_eq!(signed_in.tokens.refresh(), Some("refresh"));
    // What it was asked with: the verifier of the challenge, the same redirect URI, this client.
    let (url, pending) = stage.party.begin("corp", CALLBACK, false, now()).await.unwrap();
    let url = Url::parse(&url).unwrap();
    let sent: HashMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(sent["tenant"], "1", "the endpoint's own query stays");
    assert_eq!((&*sent["response_type"], &*sent["code_challenge_method"]), ("code", "S256"));
    assert_eq!((&*sent["redirect_uri"], &*sent["scope"]), (CALLBACK, "openid profile email"));
    let answer = format!("code=c&state={}&iss={}", pending.state(), stage.corp.issuer);
    let answer = Answer::parse(&answer).unwrap();
    assert!(stage.party.finish(pending, answer, &stage.verifier, now()).await.is_err());
    {
        let says = stage.corp.says.lock().unwrap();
        let digest = digest::digest(&digest::SHA256, says.asked["code_verifier"].as_bytes());
        assert_eq!(URL_SAFE_NO_PAD.encode(digest.as_ref()), sent["code_challenge"]);
        let (back, client) = (&*says.asked["redirect_uri"], &*says.asked["client_id"]);
        assert_eq!((back, client), (CALLBACK, "gateway"));
        assert_eq!(says.authorization, None);
    }
    // Nothing repeats.
    let again: HashMap<_, _> =
        Url::parse(&stage.party.begin("corp", CALLBACK, false, now()).await.unwrap().0)
            .unwrap()
            .query_pairs()
            .into_owned()
            .collect();
    for name in ["state", "nonce", "code_challenge"] {
        assert_ne!(sent[name], again[name], "{name}");
        assert_eq!(sent[name].len(), 43, "256 bits of {name}");
    }
}

#[tokio::test]
async fn answers_of_others_are_refused() {
    let stage = Stage::new().await;
    let other = stage.other.issuer.clone();
    let check = |name, edit: fn(&mut Attempt), expect| stage.check(name, edit, expect);
    check("no state", |a| a.query.retain(|(n, _)| *n != "state"), SignInError::State).await;
    check("other state", |a| set(&mut a.query, "state", "x"), SignInError::State).await;
    let twice = SignInError::Answer("it says something twice");
    check("code twice", |a| a.query.push(("code", "b".into())), twice.clone()).await;
    check("iss twice", |a| a.query.push(("iss", "b".into())), twice).await;
    stage.check("mix-up", |a| set(&mut a.query, "iss", &other), SignInError::MixedUp).await;
    check("no iss", |a| a.query.retain(|(n, _)| *n != "iss"), SignInError::NoIssuer).await;
    check("empty iss", |a| set(&mut a.query, "iss", ""), SignInError::MixedUp).await;
    let slash = format!("{}/", stage.corp.issuer);
    stage.check("iss/", |a| set(&mut a.query, "iss", &slash), SignInError::MixedUp).await;
    let no_code = SignInError::Answer("it has no code");
    check("no code", |a| a.query.retain(|(n, _)| *n != "code"), no_code).await;
    let denied = |a: &mut Attempt| a.query.push(("error", "access_denied".into()));
    check("denied", denied, refused("access_denied")).await;
    let script = |a: &mut Attempt| a.query.push(("error", "<script>".into()));
    check("an error that is none", script, refused("an unknown error code")).await;
    // An error of another provider is not believed either.
    let mixed = |a: &mut Attempt| {
        a.query.push(("error", "access_denied".into()));
        set(&mut a.query, "iss", "https://evil.example");
    };
    check("mixed-up error", mixed, SignInError::MixedUp).await;
    check("too late", |a| a.after = SIGN_IN_LIFE, SignInError::TooLate).await;
    // Where the provider does not say that it sends `iss`, it may be absent, and not wrong.
    let stage = Stage::new().await;
    let flag = "authorization_response_iss_parameter_supported";
    stage.corp.says.lock().unwrap().discovery[flag] = false.into();
    assert!(stage.attempt(|a| a.query.retain(|(n, _)| *n != "iss")).await.is_ok());
    stage.check("mix-up", |a| set(&mut a.query, "iss", &other), SignInError::MixedUp).await;
}

#[tokio::test]
async fn what_a_token_endpoint_says_is_looked_at() {
    let stage = Stage::new().await;
    let says = |status, body: &str| {
        let body = body.to_owned();
        move |a: &mut Attempt| a.instead = Some((status, body))
    };
    let no = says(400, r#"{"error":"invalid_grant"}"#);
    stage.check("a code that was used", no, SignInError::Code).await;
    let no = says(401, r#"{"error":"invalid_client"}"#);
    stage.check("another client", no, refused("invalid_client")).await;
    stage.check("no words", says(400, "{}"), refused("no error code")).await;
    stage.check("no tokens", says(200, "{}"), SignInError::NoToken("ID token")).await;
    let twice = r#"{"id_token":"a","id_token":"b"}"#;
    for (status, body) in [(500, "{}"), (302, "{}"), (200, "<html>"), (200, twice)] {
        let said = stage.attempt(says(status, body)).await.err().unwrap();
        assert!(matches!(said, SignInError::Unavailable { .. }), "{status} {body}: {said}");
        assert!(said.is_temporary() && !said.public().contains("token endpoint"), "{said}");
    }
}

#[tokio::test]
async fn id_tokens_are_for_this_sign_in() {
    use IdentityError::{Algorithm, BadSignature, MissingClaim, OtherIssuer, TokenType};
    use SignInError::{AccessTokenHash, AuthorizedParty, Nonce, Token};
    let stage = Stage::new().await;
    let claim = |name: &'static str, value: Value| move |a: &mut Attempt| a.claims[name] = value;
    let without = |name: &'static str| {
        move |a: &mut Attempt| drop(a.claims.as_object_mut().unwrap().remove(name))
    };
    stage.check("no nonce", without("nonce"), Nonce).await;
    stage.check("other nonce", claim("nonce", "x".into()), Nonce).await;
    stage.check("a number", claim("nonce", 7.into()), Nonce).await;
    let elsewhere = IdentityError::WrongAudience { expected: vec!["gateway".into()] };
    stage.check("audience", claim("aud", "app".into()), Token(elsewhere.clone())).await;
    // Accepted of bearer tokens, and not of ID tokens.
    stage.check("API", claim("aud", "portcullis".into()), Token(elsewhere)).await;
    let several = json!(["gateway", "app"]);
    stage.check("several", claim("aud", several.clone()), AuthorizedParty).await;
    stage.check("azp", claim("azp", "app".into()), AuthorizedParty).await;
    stage.check("azp a list", claim("azp", json!(["gateway"])), AuthorizedParty).await;
    let ours = |a: &mut Attempt| (a.claims["aud"], a.claims["azp"]) = (several, "gateway".into());
    assert!(stage.attempt(ours).await.is_ok());
    stage.check("at_hash", claim("at_hash", hash("other").into()), AccessTokenHash).await;
    stage.check("at_hash", claim("at_hash", Value::Null), AccessTokenHash).await;
    stage.check("no access token", |a| a.beside = json!({}), AccessTokenHash).await;
    assert!(stage.attempt(without("at_hash")).await.is_ok());
    stage.check("no sub", without("sub"), Token(MissingClaim("sub".into()))).await;
    stage.check("no exp", without("exp"), Token(MissingClaim("exp".into()))).await;
    let old = IdentityError::Expired { ago: Duration::from_secs(1) };
    stage.check("old", claim("exp", (NOW - 1).into()), Token(old)).await;
    // Of another provider, which is trusted as well: its own token, and one in this one's name.
    let other = json!(stage.other.issuer);
    let theirs = |a: &mut Attempt| (a.claims["iss"], a.foreign) = (other.clone(), true);
    stage.check("of the other", theirs, Token(OtherIssuer)).await;
    stage.check("signed by the other", |a| a.foreign = true, Token(BadSignature)).await;
    stage.check("in its name", claim("iss", other), Token(OtherIssuer)).await;
    for typ in ["at+jwt", "application/at+jwt", "logout+jwt", "dpop+jwt"] {
        let header = json!({ "alg": "ES256", "kid": "k", "typ": typ }).to_string();
        stage.check(typ, |a| a.header = header, Token(TokenType)).await;
    }
    for alg in ["none", "HS256"] {
        let header = b64(json!({ "alg": alg, "kid": "k" }).to_string());
        let unsigned = |a: &mut Attempt| {
            a.id_token = Some(format!("{header}.{}.", b64(a.claims.to_string())));
        };
        stage.check(alg, unsigned, Token(Algorithm)).await;
    }
}

#[tokio::test]
async fn userinfo_is_about_the_same_subject() {
    let stage = Stage::with(|corp| corp.groups_from = GroupsFrom::Userinfo).await;
    let says = |about: Value| stage.corp.says.lock().unwrap().userinfo = about;
    says(json!({ "sub": "alice", "groups": ["readers"] }));
    let who = stage.attempt(|_| {}).await.unwrap().principal;
    assert_eq!(who.groups, ["readers".to_owned()].into(), "not those of the token");
    for about in [json!({ "sub": "bob" }), json!({ "groups": ["dba"] }), json!({ "sub": 7 })] {
        says(about.clone());
        stage.check(&about.to_string(), |_| {}, SignInError::OtherSubject).await;
    }
    says(json!({ "sub": "alice", "groups": "dba" }));
    assert!(stage.attempt(|_| {}).await.unwrap().principal.groups.is_empty());
    let none = |a: &mut Attempt| {
        a.beside = json!({});
        a.claims.as_object_mut().unwrap().remove("at_hash");
    };
    stage.check("no access token", none, SignInError::NoToken("access token")).await;
    let wrong = |a: &mut Attempt| {
        a.beside = json!({ "access_token": "x" });
        a.claims["at_hash"] = hash("x").into();
    };
    let said = stage.attempt(wrong).await.err().unwrap();
    assert!(matches!(said, SignInError::Unavailable { .. }), "{said}");
}

#[tokio::test]
async fn a_refresh_gives_the_same_person() {
    let stage = Stage::new().await;
    let signed_in = stage.attempt(|_| {}).await.unwrap();
    let refresh = async |claims: Value, more: Value, tokens| {
        let mut body = more;
        body["id_token"] = stage.corp.signer.token(HEADER, &claims.to_string()).into();
        stage.corp.token(200, body.to_string());
        let who = (stage.corp.issuer.as_str(), "alice");
        stage.party.refresh("corp", tokens, who, &stage.verifier, now()).await
    };
    let claims = json!({
        "iss": stage.corp.issuer, "aud": "gateway", "sub": "alice", "iat": NOW, "exp": NOW + 60,
        "groups": ["readers"],
    });
    let again = refresh(claims.clone(), json!({}), &signed_in.tokens).await.unwrap();
    assert_eq!(again.principal.groups, ["readers".to_owned()].into());
    assert_eq!(again.tokens.refresh(), Some("refresh"), "the old one stays where none comes");
    let rotated = refresh(claims.clone(), json!({ "refresh_token": "new" }), &again.tokens).await;
    assert_eq!(rotated.unwrap().tokens.refresh(), Some("new"));
    assert_eq!(stage.corp.says.lock().unwrap().asked["refresh_token"], "refresh");
    let mut bob = claims;
    bob["sub"] = "bob".into();
    let said = refresh(bob, json!({}), &signed_in.tokens).await;
    assert_eq!(said.err(), Some(SignInError::OtherPerson));
    stage.corp.token(400, r#"{"error":"invalid_grant"}"#);
    let who = (stage.corp.issuer.as_str(), "alice");
    let ended = stage.party.refresh("corp", &signed_in.tokens, who, &stage.verifier, now()).await;
    assert_eq!(ended.err(), Some(refused("invalid_grant")));
}

#[tokio::test]
async fn a_device_is_polled_until_somebody_has_signed_in() {
    let stage = Stage::new().await;
    let given = json!({
        "device_code": "dc", "user_code": "ABCD-EFGH", "verification_uri": "https://id.example/d",
        "expires_in": 60, "interval": 1,
    });
    let begin = async |edit: Value| {
        let mut body = given.clone();
        body.as_object_mut().unwrap().extend(edit.as_object().unwrap().clone());
        stage.corp.token(200, body.to_string());
        stage.party.begin_device("corp", now()).await
    };
    let mut device = begin(json!({})).await.ok().unwrap();
    assert_eq!((&*device.user_code, device.interval), ("ABCD-EFGH", Duration::from_secs(1)));
    let poll = async |device: &mut _, status, body: &str, at: Timestamp| {
        stage.corp.token(status, body);
        stage.party.poll_device(device, &stage.verifier, at).await
    };
    let error = |code: &str| json!({ "error": code }).to_string();
    let said = poll(&mut device, 400, &error("authorization_pending"), now()).await;
    assert!(matches!(said, Ok(Polled::Pending)));
    let said = poll(&mut device, 400, &error("slow_down"), now()).await;
    assert!(matches!(said, Ok(Polled::Pending)));
    assert_eq!(device.interval, Duration::from_secs(6), "RFC 8628 section 3.5");
    let said = poll(&mut device, 400, &error("access_denied"), now()).await;
    assert_eq!(said.err(), Some(refused("access_denied")));
    let said = poll(&mut device, 400, &error("expired_token"), now()).await;
    assert_eq!(said.err(), Some(SignInError::TooLate));
    let late = now().plus(Duration::from_secs(60));
    let said = poll(&mut device, 400, &error("authorization_pending"), late).await;
    assert_eq!(said.err(), Some(SignInError::TooLate));
    let claims = json!({
        "iss": stage.corp.issuer, "aud": "gateway", "sub": "alice", "iat": NOW, "exp": NOW + 60,
    });
    let token = stage.corp.signer.token(HEADER, &claims.to_string());
    let body = json!({ "id_token": token }).to_string();
    match poll(&mut device, 200, &body, now()).await {
        Ok(Polled::SignedIn(signed_in)) => assert_eq!(signed_in.principal.subject, "alice"),
        other => panic!("{:?}", other.err()),
    }
    for edit in [
        json!({ "verification_uri": "javascript:alert(1)" }),
        json!({ "verification_uri_complete": "file:///etc/passwd" }),
        json!({ "user_code": "A\u{202e}B" }),
        json!({ "user_code": "\u{1b}[2J" }),
        json!({ "device_code": null }),
    ] {
        let said = begin(edit.clone()).await.err();
        assert!(matches!(said, Some(SignInError::Answer(_))), "{edit}: {said:?}");
    }
}

/// A client proves itself by its secret, read when it is needed; and what it signs in with is no bearer
/// token, where terminals have a client of their own.
#[tokio::test]
async fn a_secret_is_for_the_token_endpoint() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, "s e:cret\n").unwrap();
    let stage = Stage::with(|corp| {
        let sign_in = corp.sign_in.as_mut().unwrap();
        sign_in.client_secret_file = Some(file.clone());
        sign_in.cli_client_id = Some("terminal".into());
    })
    .await;
    let signed_in = stage.attempt(|_| {}).await.unwrap();
    let basic = format!("Basic {}", STANDARD.encode("gateway:s%20e%3Acret"));
    let said = stage.corp.says.lock().unwrap().authorization.clone();
    assert_eq!(said, Some(basic));
    assert!(!stage.corp.says.lock().unwrap().asked.contains_key("client_secret"));
    let bearer = stage.verifier.verify(signed_in.tokens.id(), now()).await;
    assert!(matches!(bearer, Err(IdentityError::WrongAudience { .. })), "{bearer:?}");
    let claims = json!({
        "iss": stage.corp.issuer, "aud": "terminal", "sub": "alice", "iat": NOW, "exp": NOW + 60,
    });
    let terminal = stage.corp.signer.token(HEADER, &claims.to_string());
    assert_eq!(stage.verifier.verify(&terminal, now()).await.unwrap().subject, "alice");
    // A provider that takes it in the form alone gets it there.
    let methods = json!(["client_secret_post"]);
    let stage = Stage::with(|corp| {
        corp.sign_in.as_mut().unwrap().client_secret_file = Some(file.clone());
    })
    .await;
    stage.corp.says.lock().unwrap().discovery["token_endpoint_auth_methods_supported"] = methods;
    stage.attempt(|_| {}).await.unwrap();
    assert_eq!(stage.corp.says.lock().unwrap().asked["client_secret"], "s e:cret");
    std::fs::remove_file(&file).unwrap();
    let said = stage.attempt(|_| {}).await.err().unwrap();
    assert!(matches!(said, SignInError::Secret { .. }), "{said}");
    assert!(!said.public().contains("secret_file"), "{}", said.public());
}

#[tokio::test]
async fn who_signs_out_is_sent_to_the_provider() {
    let stage = Stage::with(|corp| {
        let sign_in = corp.sign_in.as_mut().unwrap();
        sign_in.client_secret_env = Some("PATH".into());
    })
    .await;
    let signed_in = stage.attempt(|_| {}).await.unwrap();
    let back = "https://portcullis.example/";
    let url = stage.party.end_session("corp", Some(&signed_in.tokens), back, now()).await.unwrap();
    let sent: HashMap<_, _> = Url::parse(&url).unwrap().query_pairs().into_owned().collect();
    assert_eq!(sent["id_token_hint"], signed_in.tokens.id());
    assert_eq!((&*sent["post_logout_redirect_uri"], &*sent["client_id"]), (back, "gateway"));
    // One that is a bearer token as well is not put into addresses: where its client is an audience…
    let stage = Stage::with(|corp| {
        corp.sign_in.as_mut().unwrap().client_secret_env = Some("PATH".into());
        corp.audiences.push("gateway".into());
    })
    .await;
    let signed_in = stage.attempt(|_| {}).await.unwrap();
    let url = stage.party.end_session("corp", Some(&signed_in.tokens), back, now()).await.unwrap();
    assert!(!url.contains("id_token_hint"), "{url}");
    // …or has no secret.
    let stage = Stage::new().await;
    let signed_in = stage.attempt(|_| {}).await.unwrap();
    let url = stage.party.end_session("corp", Some(&signed_in.tokens), back, now()).await.unwrap();
    assert!(!url.contains("id_token_hint"), "{url}");
    stage.corp.token(200, "");
    stage.party.forget("corp", &signed_in.tokens, now()).await.unwrap();
    assert_eq!(stage.corp.says.lock().unwrap().asked["token"], "refresh");
}

#[tokio::test]
async fn providers_nobody_signs_in_with() {
    let stage = Stage::with(|corp| corp.sign_in = None).await;
    let said = stage.party.begin("corp", CALLBACK, false, now()).await.err();
    assert_eq!(said, Some(SignInError::NoSuchProvider));
    assert_eq!(stage.party.providers().map(|p| &*p.name).collect::<Vec<_>>(), ["other"]);
    // A discovery document of another issuer is nobody's.
    let evil = stage.corp.issuer.clone();
    stage.other.says.lock().unwrap().discovery["issuer"] = evil.into();
    let said = stage.party.begin("other", CALLBACK, false, now()).await.err().unwrap();
    assert!(said.to_string().contains("`issuer` differs"), "{said}");
    assert_eq!(stage.other.says.lock().unwrap().issuer, stage.other.issuer);
}

#[test]
fn settings_of_clients() {
    let check = |edit: &dyn Fn(&mut SignIn), key: &str| {
        let mut sign_in = SignIn::public("gateway");
        edit(&mut sign_in);
        let sign_in = Some(sign_in);
        let provider = Provider { sign_in, ..Provider::new("corp", "https://id.example", "p") };
        let said = provider.validate().err().map(|SettingsError { key, .. }| key);
        assert_eq!(said, Some(key).filter(|key| !key.is_empty()));
    };
    check(&|_| {}, "");
    check(&|s| s.client_id.clear(), "sign_in.client_id");
    check(&|s| s.client_id = "a b".into(), "sign_in.client_id");
    check(&|s| s.cli_client_id = Some(String::new()), "sign_in.cli_client_id");
    check(&|s| s.scopes = vec!["a b".into()], "sign_in.scopes");
    check(&|s| drop(s.parameters.insert("prompt".into(), "login".into())), "");
    check(&|s| drop(s.parameters.insert("state".into(), "x".into())), "sign_in.parameters");
    check(&|s| drop(s.parameters.insert("nonce".into(), "x".into())), "sign_in.parameters");
    let secret = |s: &mut SignIn| s.client_secret_env = Some("X".into());
    check(&secret, "");
    let same = |s: &mut SignIn| {
        secret(s);
        s.cli_client_id = Some("gateway".into());
    };
    check(&same, "sign_in.cli_client_id");
    let both = |s: &mut SignIn| {
        secret(s);
        s.client_secret_file = Some("x".into());
    };
    check(&both, "sign_in.client_secret_env");
}
