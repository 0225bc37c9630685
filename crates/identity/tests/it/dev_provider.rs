//! The development provider over HTTP, and its tokens through the verifier.

use crate::support::{b64, now, verifier};
use portcullis_core::principal::{PrincipalKind, Reviewer};
use portcullis_identity::{
    DevAgent, DevIssuer, DevPerson, DevProvider, DevProviderError, DevProviderSettings, DevSecret,
    DevWorkload, IdentityError, Verifier,
};
use reqwest::{Client, StatusCode, Url, redirect};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::oneshot;

const DEV: &str = "urn:portcullis:params:oauth:grant-type:dev";

struct Stage {
    issuer: DevIssuer,
    secret: DevSecret,
    http: Client,
    verifier: Verifier,
    _until: oneshot::Sender<()>,
}

fn settings() -> DevProviderSettings {
    DevProviderSettings {
        people: vec![
            DevPerson {
                name: "alice".into(),
                groups: vec!["dba".into()],
                email: Some("alice@corp.example".into()),
            },
            DevPerson { name: "<b>bob".into(), ..DevPerson::default() },
        ],
        agents: vec![
            DevAgent {
                name: "claude".into(),
                acting_for: Some("alice".into()),
                groups: vec!["agents".into()],
                secret: Some("a secret of claude's".into()),
            },
            DevAgent { name: "lone".into(), ..DevAgent::default() },
        ],
        workloads: vec![DevWorkload { name: "ci".into(), ..DevWorkload::default() }],
        ..DevProviderSettings::default()
    }
}

impl Stage {
    async fn new() -> Self {
        let secret = DevSecret::generate().unwrap();
        let provider = DevProvider::bind(settings(), secret.clone()).await.unwrap();
        let issuer = provider.issuer();
        let (until, stop) = oneshot::channel::<()>();
        tokio::spawn(provider.serve(now, async {
            let _ = stop.await;
        }));
        let verifier = verifier(vec![issuer.as_provider("dev")]);
        let http = Client::builder().redirect(redirect::Policy::none()).no_proxy().build().unwrap();
        Self { issuer, secret, http, verifier, _until: until }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer.issuer())
    }

    async fn token(&self, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let sent = self.http.post(self.url("/token")).form(form).send().await.unwrap();
        assert_eq!(sent.headers()["cache-control"], "no-store");
        (sent.status(), sent.json().await.unwrap())
    }
}

#[tokio::test]
async fn each_kind_comes_out_as_what_it_is() {
    let stage = Stage::new().await;
    let read = async |name: &str| {
        let token = stage.issuer.mint(name, now(), None).unwrap();
        stage.verifier.verify(&token, now()).await.unwrap()
    };
    let alice = read("alice").await;
    assert_eq!((alice.kind, alice.subject.as_str()), (PrincipalKind::Person, "alice"));
    assert!(alice.groups.contains("dba"));
    assert_eq!(alice.expires, now().plus(Duration::from_secs(3_600)));
    assert!(alice.token_id.is_some());
    assert!(Reviewer::new(alice).is_ok());

    let claude = read("claude").await;
    assert_eq!((claude.kind, claude.subject.as_str()), (PrincipalKind::Agent, "claude"));
    assert_eq!(claude.to_string(), "claude for alice");
    assert_eq!(claude.groups, ["agents".to_owned()].into());
    assert!(Reviewer::new(claude).is_err());

    let lone = read("lone").await;
    assert_eq!((lone.kind, lone.acting_for), (PrincipalKind::Agent, None));
    assert_eq!(read("ci").await.kind, PrincipalKind::Workload);

    let nobody = stage.issuer.mint("nobody", now(), None);
    assert!(matches!(nobody, Err(DevProviderError::UnknownName)));
    let day = Some(Duration::from_secs(86_400));
    let long = stage.issuer.mint("alice", now(), day).unwrap();
    let capped = stage.verifier.verify(&long, now()).await.unwrap().expires;
    assert_eq!(
        capped,
        now().plus(Duration::from_secs(3_600)),
        "the configured life is the longest"
    );
    let short = stage.issuer.mint("alice", now(), Some(Duration::from_secs(5))).unwrap();
    let ago = Duration::from_secs(1);
    let later = now().plus(Duration::from_secs(6));
    assert_eq!(stage.verifier.verify(&short, later).await, Err(IdentityError::Expired { ago }));
}

#[tokio::test]
async fn rotation_is_followed() {
    let stage = Stage::new().await;
    let old = stage.issuer.mint("alice", now(), None).unwrap();
    assert!(stage.verifier.verify(&old, now()).await.is_ok());
    stage.issuer.rotate().unwrap();
    let new = stage.issuer.mint("alice", now(), None).unwrap();
    let later = now().plus(Duration::from_secs(10));
    assert!(stage.verifier.verify(&new, later).await.is_ok());
    let unknown = IdentityError::UnknownKey { provider: "dev".into() };
    assert_eq!(stage.verifier.verify(&old, later).await, Err(unknown));
}

#[tokio::test]
async fn grants_need_their_secret() {
    let stage = Stage::new().await;
    let check = async |form: &[(&str, &str)], expect: &str| {
        let (status, answer) = stage.token(form).await;
        match answer["access_token"].as_str() {
            Some(token) => {
                let principal = stage.verifier.verify(token, now()).await.unwrap();
                assert_eq!((status, principal.subject.as_str()), (StatusCode::OK, expect));
                assert_eq!(
                    (&answer["token_type"], &answer["expires_in"]),
                    (&"Bearer".into(), &3_600.into())
                );
            }
            None => assert_eq!(answer["error"], expect, "{form:?}"),
        }
    };
    let grant = ("grant_type", "client_credentials");
    let ci = stage.issuer.client_secret("ci").unwrap();
    check(&[grant, ("client_id", "ci"), ("client_secret", ci)], "ci").await;
    let claude = ("client_id", "claude");
    check(&[grant, claude, ("client_secret", "a secret of claude's")], "claude").await;
    check(&[grant, claude, ("client_secret", ci)], "invalid_client").await;
    check(&[grant, claude, ("client_secret", "")], "invalid_client").await;
    check(&[grant, claude], "invalid_client").await;
    check(&[grant, ("client_id", "alice"), ("client_secret", "")], "invalid_client").await;
    check(
        &[grant, ("client_id", "alice"), ("client_secret", stage.secret.reveal())],
        "invalid_client",
    )
    .await;

    let (dev, secret) = (("grant_type", DEV), ("dev_secret", stage.secret.reveal()));
    check(&[dev, secret, ("name", "alice")], "alice").await;
    check(&[dev, secret, ("name", "claude")], "claude").await;
    check(&[dev, secret, ("name", "nobody")], "invalid_grant").await;
    check(&[dev, ("dev_secret", ci), ("name", "ci")], "invalid_grant").await;
    check(&[dev, ("name", "alice")], "invalid_request").await;
    check(&[dev, secret, ("name", "alice"), ("name", "claude")], "invalid_request").await;
    check(&[("grant_type", "password"), ("username", "alice")], "unsupported_grant_type").await;
    check(&[], "invalid_request").await;
}

#[tokio::test]
async fn basic_authentication() {
    let stage = Stage::new().await;
    let secret = stage.issuer.client_secret("ci").unwrap();
    let form = [("grant_type", "client_credentials")];
    let post = |secret: &str| stage.http.post(stage.url("/token")).basic_auth("ci", Some(secret));
    let sent = post(secret).form(&form).send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::OK);
    let sent = post("wrong").form(&form).send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::UNAUTHORIZED);
    assert!(sent.headers().contains_key("www-authenticate"));
    let both = [form[0], ("client_secret", secret)];
    let sent = post(secret).form(&both).send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn web_pages_elsewhere_are_not_served() {
    let stage = Stage::new().await;
    let get = |path: &str| stage.http.get(stage.url(path));
    assert_eq!(get("/jwks").send().await.unwrap().status(), StatusCode::OK);
    let rebound = get("/jwks").header("host", "evil.example").send().await.unwrap();
    assert_eq!(rebound.status(), StatusCode::MISDIRECTED_REQUEST);
    for origin in ["https://evil.example", "null"] {
        let sent = get("/jwks").header("origin", origin).send().await.unwrap();
        assert_eq!(sent.status(), StatusCode::FORBIDDEN, "{origin}");
    }
    let large = [("grant_type", "x".repeat(20_000))];
    let sent = stage.http.post(stage.url("/token")).form(&large).send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn it_listens_on_loopback_only() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let settings = DevProviderSettings { listen: address.parse().unwrap(), ..settings() };
        let said = DevProvider::bind(settings, DevSecret::generate().unwrap()).await;
        assert!(matches!(said, Err(DevProviderError::NotLoopback(_))), "{address}");
    }
}

/// What a standard client does to log a person in (RFC 6749 §4.1, RFC 7636).
struct Login {
    verifier: String,
    query: BTreeMap<&'static str, String>,
}

impl Login {
    fn new() -> Self {
        let verifier = "v".repeat(64);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
        let query = [
            ("response_type", "code".to_owned()),
            ("client_id", "portcullis-cli".into()),
            ("redirect_uri", "http://127.0.0.1:8250/cb?keep=1".into()),
            ("scope", "openid".into()),
            ("state", "\"><script>".into()),
            ("nonce", "n1".into()),
            ("code_challenge", b64(digest.as_ref())),
            ("code_challenge_method", "S256".into()),
        ];
        Self { verifier, query: query.into() }
    }

    fn url(&self, stage: &Stage) -> Url {
        Url::parse_with_params(&stage.url("/authorize"), &self.query).unwrap()
    }

    async fn decide(&self, stage: &Stage, person: &str, secret: &str) -> reqwest::Response {
        let mut form = self.query.clone();
        form.insert("person", person.into());
        form.insert("dev_secret", secret.into());
        let url = stage.url("/authorize");
        let origin = stage.issuer.issuer();
        stage.http.post(url).header("origin", origin).form(&form).send().await.unwrap()
    }

    async fn code(&self, stage: &Stage) -> String {
        let sent = self.decide(stage, "alice", stage.secret.reveal()).await;
        assert_eq!(sent.status(), StatusCode::SEE_OTHER);
        let to = Url::parse(sent.headers()["location"].to_str().unwrap()).unwrap();
        let query: BTreeMap<_, _> = to.query_pairs().into_owned().collect();
        assert_eq!((to.port(), query["keep"].as_str()), (Some(8250), "1"));
        assert_eq!(query["state"], self.query["state"]);
        assert_eq!(query["iss"], stage.issuer.issuer());
        query["code"].clone()
    }

    async fn redeem(&self, stage: &Stage, code: &str, change: (&str, &str)) -> (StatusCode, Value) {
        let mut form: BTreeMap<&str, &str> = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.query["redirect_uri"]),
            ("client_id", "portcullis-cli"),
            ("code_verifier", &self.verifier),
        ]
        .into();
        form.insert(change.0, change.1);
        stage.token(&form.into_iter().collect::<Vec<_>>()).await
    }
}

#[tokio::test]
async fn people_log_in_with_a_code() {
    let stage = Stage::new().await;
    let login = Login::new();
    let page = stage.http.get(login.url(&stage)).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'; form-action 'self' http://127.0.0.1:8250;"));
    let html = page.text().await.unwrap();
    assert!(html.contains("Log in as alice") && html.contains("Log in as &lt;b&gt;bob"));
    assert!(!html.contains("<script>") && !html.contains("claude"), "{html}");
    assert!(!html.contains(stage.secret.reveal()));

    let code = login.code(&stage).await;
    let (status, answer) = login.redeem(&stage, &code, ("x", "")).await;
    assert_eq!(status, StatusCode::OK);
    let token = answer["access_token"].as_str().unwrap();
    let alice = stage.verifier.verify(token, now()).await.unwrap();
    assert_eq!((alice.kind, alice.subject.as_str()), (PrincipalKind::Person, "alice"));
    let (status, again) = login.redeem(&stage, &code, ("x", "")).await;
    assert_eq!((status, &again["error"]), (StatusCode::BAD_REQUEST, &"invalid_grant".into()));

    let mut provider = stage.issuer.as_provider("dev");
    provider.audiences = vec!["portcullis-cli".into()];
    provider.clients = vec!["portcullis-cli".into()];
    let id_token = answer["id_token"].as_str().unwrap();
    assert!(verifier(vec![provider]).verify(id_token, now()).await.is_ok());
    assert!(stage.verifier.verify(id_token, now()).await.is_err(), "for the client, not for us");

    let get = |token: &str| stage.http.get(stage.url("/userinfo")).bearer_auth(token);
    let about: Value = get(token).send().await.unwrap().json().await.unwrap();
    assert_eq!((&about["sub"], &about["email"]), (&"alice".into(), &"alice@corp.example".into()));
    let sent = get(&format!("{token}A")).send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn codes_are_bound_to_who_asked() {
    let stage = Stage::new().await;
    let login = Login::new();
    let other = "w".repeat(64);
    let changes = [
        ("code_verifier", other.as_str()),
        ("code_verifier", "short"),
        ("client_id", "other"),
        ("redirect_uri", "http://127.0.0.1:9/cb"),
        ("code", "guess"),
    ];
    for change in changes {
        let code = login.code(&stage).await;
        let (_, answer) = login.redeem(&stage, &code, change).await;
        assert_eq!(answer["error"], "invalid_grant", "{change:?}");
    }
}

#[tokio::test]
async fn log_in_is_for_people_who_can_read_the_secret() {
    let stage = Stage::new().await;
    let login = Login::new();
    let secret = stage.secret.reveal();
    let claude = stage.issuer.client_secret("claude").unwrap();
    for (person, offered) in
        [("alice", ""), ("alice", claude), ("claude", secret), ("ci", secret), ("nobody", secret)]
    {
        let sent = login.decide(&stage, person, offered).await;
        assert_eq!(sent.status(), StatusCode::FORBIDDEN, "{person}");
    }
    for (name, value) in [
        ("redirect_uri", "http://evil.example/cb"),
        ("redirect_uri", "http://127.0.0.1@evil.example/"),
        ("code_challenge_method", "plain"),
        ("code_challenge", ""),
        ("response_type", "token"),
        ("client_id", "<script>"),
    ] {
        let mut login = Login::new();
        login.query.insert(name, value.into());
        let sent = login.decide(&stage, "alice", secret).await;
        assert_eq!(sent.status(), StatusCode::BAD_REQUEST, "{name}={value}");
        let page = stage.http.get(login.url(&stage));
        assert_eq!(page.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    }
}

#[test]
fn the_secret_file_is_its_owners() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = tempfile::tempdir().unwrap();
    let (path, victim) = (folder.path().join("dev-secret"), folder.path().join("victim"));
    std::fs::write(&victim, "untouched").unwrap();
    symlink(&victim, &path).unwrap();
    for _ in 0..2 {
        let secret = DevSecret::generate().unwrap();
        secret.write_to(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), secret.reveal());
        assert_eq!(path.symlink_metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(!format!("{secret:?}").contains(secret.reveal()));
    }
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
    assert_eq!(folder.path().read_dir().unwrap().count(), 2, "nothing is left over");
    assert!(DevSecret::generate().unwrap().write_to(&folder.path().join("no/such")).is_err());
}
