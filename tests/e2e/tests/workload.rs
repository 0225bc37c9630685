//! Workloads, token exchange and the gateway's own credentials, with real clients: tokens as each
//! platform signs them, `psql` with a credential, and a session that ends when its own is revoked.

#[path = "../../../crates/identity/tests/it/provider.rs"]
mod provider;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis_testkit::arena::{Arena, Setup};
use portcullis_testkit::raw::{Message, RawClient};
use portcullis_testkit::web::{self, form};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The platforms: path of the issuer, and the claims beside times and audience.
fn platforms() -> [(&'static str, &'static str, Value); 4] {
    let account =
        json!({ "namespace": "agents", "serviceaccount": { "name": "claude", "uid": "u" } });
    [
        (
            "k8s",
            "claude-pod",
            json!({ "sub": "system:serviceaccount:agents:claude", "kubernetes.io": account }),
        ),
        (
            "github",
            "orders-ci",
            json!({
                "sub": "repo:corp/orders:ref:refs/heads/main", "repository_id": "7",
                "repository": "corp/orders", "repository_owner_id": "70",
                "ref": "refs/heads/main", "event_name": "push",
            }),
        ),
        (
            "gitlab",
            "orders-pipeline",
            json!({
                "sub": "project_path:corp/orders:ref_type:branch:ref:main", "project_id": "22",
                "ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main",
                "ref_protected": "true", "pipeline_source": "push",
            }),
        ),
        ("spire", "billing", json!({ "sub": "spiffe://corp.example/ns/billing/sa/worker" })),
    ]
}

const RULES: &str = r#"
[[identity.workloads]]
name = "claude-pod"
kind = "kubernetes"
issuer = "BASE/k8s"
audiences = ["portcullis"]
principal = "agent"
groups = ["agents"]
lend_groups = ["developers"]
pins = { "/kubernetes.io/namespace" = "agents", "/kubernetes.io/serviceaccount/name" = "claude" }
[[identity.workloads]]
name = "orders-ci"
kind = "github-actions"
issuer = "BASE/github"
audiences = ["portcullis"]
groups = ["agents"]
pins = { repository_id = "7", repository_owner_id = "70", ref = "refs/heads/main" }
[[identity.workloads]]
name = "orders-pipeline"
kind = "gitlab"
issuer = "BASE/gitlab"
audiences = ["portcullis"]
groups = ["agents"]
pins = { project_id = "22", ref_path = "refs/heads/main", ref_protected = "true" }
[[identity.workloads]]
name = "billing"
kind = "spiffe"
issuer = "BASE/spire"
audiences = ["portcullis"]
groups = ["agents"]
pins = { sub = "spiffe://corp.example/ns/billing/sa/worker" }
"#;

/// The platforms' issuers on loopback: keys, discovery documents, and tokens signed as each does.
struct Platforms {
    base: String,
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
}

impl Platforms {
    fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let platforms = Arc::new(Self { base, rsa, ec });
        let serving = Arc::clone(&platforms);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serving.answer(stream);
            }
        });
        platforms
    }

    fn answer(&self, mut stream: TcpStream) {
        let mut request = [0; 4096];
        let read = stream.read(&mut request).unwrap_or(0);
        let request = String::from_utf8_lossy(&request[..read]).into_owned();
        let path = request.split(' ').nth(1).unwrap_or("/");
        let issuer = format!("{}/{}", self.base, path.split('/').nth(1).unwrap_or_default());
        let body = match path.ends_with("/keys") {
            true => self.keys(),
            false => json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") }),
        };
        let body = body.to_string();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
        let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len());
    }

    fn keys(&self) -> Value {
        let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let rsa = PublicKeyComponents::<Vec<u8>>::from(self.rsa.public_key());
        let point = &self.ec.public_key().as_ref()[1..];
        json!({ "keys": [
            { "kty": "RSA", "kid": "rsa", "use": "sig", "n": b64(&rsa.n), "e": b64(&rsa.e) },
            { "kty": "EC", "crv": "P-256", "kid": "ec", "use": "jwt-svid",
              "x": b64(&point[..32]), "y": b64(&point[32..]) },
        ] })
    }

    /// A token of a platform, with these claims beside its times.
    fn token(&self, platform: &str, claims: &Value) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut all = json!({
            "iss": format!("{}/{platform}", self.base), "aud": ["portcullis"],
            "iat": now, "nbf": now, "exp": now + 600,
        });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let svid = platform == "spire";
        let header = match svid {
            true => json!({ "alg": "ES256", "kid": "ec", "typ": "JWT" }),
            false => json!({ "alg": "RS256", "kid": "rsa", "typ": "JWT" }),
        };
        let b64 = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", b64(&header), b64(&all));
        let random = SystemRandom::new();
        let signature = if svid {
            self.ec.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec()
        } else {
            let mut out = vec![0; self.rsa.public_modulus_len()];
            self.rsa.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut out).unwrap();
            out
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn pod(&self) -> String {
        let [(platform, _, claims), ..] = platforms();
        self.token(platform, &claims)
    }
}

fn setup(platforms: &Platforms, more: &str) -> Setup {
    let mut setup = Setup::agent_safe();
    setup.connection.push_str("lend_groups = [\"developers\", \"agents\"]\n");
    setup.databases = &["other"];
    setup.definitions = "CREATE TABLE locked_by_tests (n int)";
    setup.more = format!("{}\n{more}", RULES.replace("BASE", &platforms.base));
    setup
}

/// One arena for what only looks.
fn start(more: &str) -> (Arc<Platforms>, Arena) {
    let platforms = Platforms::start();
    let arena = Arena::start(&setup(&platforms, more)).unwrap();
    (platforms, arena)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// `portcullis credential` as somebody with this token; its standard output.
fn credential(arena: &Arena, token: &str, arguments: &[&str]) -> Result<String, String> {
    let all = [&["credential", "--token", token], arguments].concat();
    let output = arena.portcullis(&all).unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap().trim_end().to_owned()),
        false => Err(said(&output)),
    }
}

fn create(arena: &Arena, token: &str, more: &[&str]) -> Result<String, String> {
    let arguments = ["create", "--connection", "shop", "--purpose", "nightly report"];
    credential(arena, token, &[&arguments, more].concat())
}

fn id_of(credential: &str) -> String {
    claims(credential)["jti"].as_str().unwrap().to_owned()
}

fn claims(token: &str) -> Value {
    let part = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&part).unwrap()
}

fn psql(arena: &Arena, user: &str, password: &str, database: &str, sql: &str) -> Command {
    let mut command = Command::new(arena.server.program_directory().join("psql"));
    command.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql]);
    command.env("PGHOST", "127.0.0.1").env("PGPORT", arena.postgres.port().to_string());
    command.env("PGUSER", user).env("PGPASSWORD", password).env("PGDATABASE", database);
    command.env("PGSSLMODE", "require");
    command
}

fn journal(arena: &Arena) -> String {
    let files = std::fs::read_dir(arena.data().join("journal")).unwrap();
    files.filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok()).collect()
}

/// Entries of this kind, newest last.
fn entries(arena: &Arena, event: &str) -> Vec<Value> {
    let journal = journal(arena);
    let lines = journal.lines().filter_map(|line| {
        let json = line.split('\t').next()?;
        serde_json::from_str::<Value>(json).ok()
    });
    lines.map(|line| line["entry"].clone()).filter(|entry| entry["event"] == event).collect()
}

/// One HTTP request; status, head and body.
fn http(
    at: SocketAddr,
    request: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String, Value) {
    let answer = web::http(at, request, headers, body).unwrap();
    (answer.status, answer.head.to_lowercase(), answer.json())
}

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// A good request for an exchange, but for what is put in its place.
fn exchange(arena: &Arena, token: &str, edit: &[(&str, &str)]) -> (u16, String, Value) {
    let mut pairs = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", token),
        ("subject_token_type", JWT),
        ("audience", "shop"),
        ("purpose", "a test"),
    ];
    pairs.retain(|(name, _)| edit.iter().all(|(other, _)| other != name));
    pairs.extend(edit.iter().filter(|(_, value)| !value.is_empty()));
    http(arena.http, "POST /api/v1/token", &[FORM], &form(&pairs))
}

fn rest(client: &mut RawClient) -> Vec<String> {
    let mut heard = Vec::new();
    while let Ok(Some(message)) = client.receive() {
        heard.push(Message::shown(&message));
    }
    heard
}

/// Everybody's token is a password, and exchanged for a credential it is one for the connection.
#[test]
fn each_platform_logs_in_with_its_token_and_with_a_credential() {
    let (issuers, arena) = start("");
    let mut tokens = Vec::new();
    for (platform, name, claims) in platforms() {
        let token = issuers.token(platform, &claims);
        let sql = "SELECT count(*) > 0 FROM orders";
        let direct = psql(&arena, name, &token, "shop", sql).output().unwrap();
        assert_eq!(said(&direct).trim(), "t", "{name}");
        let own = create(&arena, &token, &[]).unwrap();
        assert_eq!(own.lines().count(), 1, "fit for PGPASSWORD: {own}");
        let exchanged = psql(&arena, name, &own, "shop", sql).output().unwrap();
        assert_eq!(said(&exchanged).trim(), "t", "{name}");
        tokens.extend([token, own]);
    }
    // What they did is on record under their names, and nothing of a token is anywhere.
    let opened = entries(&arena, "session_opened");
    let names = opened.iter().map(|e| e["standing"]["principal"]["name"].as_str().unwrap());
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, ["billing", "claude-pod", "orders-ci", "orders-pipeline"]);
    assert_eq!(entries(&arena, "credential_issued").len(), 4);
    let all = journal(&arena) + &std::fs::read_to_string(arena.log_file()).unwrap();
    for token in tokens {
        let signature = token.rsplit('.').next().unwrap();
        assert!(!all.contains(signature) && !all.contains(token.split('.').nth(1).unwrap()));
    }
    // A neighbour on the same platform is nobody here.
    let [.., (platform, name, _)] = platforms();
    let neighbour = json!({ "sub": "spiffe://corp.example/ns/billing/sa/other" });
    let token = issuers.token(platform, &neighbour);
    let refused = said(&psql(&arena, name, &token, "shop", "SELECT 1").output().unwrap());
    assert!(refused.contains("the token's `sub` is not the required one"), "{refused}");
}

/// An independent provider's tokens, by a rule of the kind for any issuer.
#[test]
fn an_independent_issuer() {
    if !provider::installed() {
        return;
    }
    let (_node, started) = provider::start();
    let issuer = started["issuer"].as_str().unwrap();
    let rule = format!(
        "[[identity.workloads]]\nname = \"batch\"\nkind = \"oidc\"\nissuer = \"{issuer}\"\n\
         audiences = [\"portcullis\"]\ngroups = [\"agents\"]\n\
         pins = {{ sub = \"job\", repository = \"org/app\" }}\n"
    );
    let (_platforms, arena) = start(&rule);
    let address = issuer.trim_start_matches("http://").parse().unwrap();
    let basic = format!("Basic {}", STANDARD.encode(format!("job:{}", provider::SECRET)));
    let body = form(&[
        ("grant_type", "client_credentials"),
        ("resource", "urn:alg:RS256"),
        ("scope", "query"),
    ]);
    let (_, _, answer) = http(address, "POST /token", &[FORM, ("Authorization", &basic)], &body);
    let token = answer["access_token"].as_str().unwrap();
    let own = create(&arena, token, &["--for", "1m"]).unwrap();
    let life = claims(&own)["exp"].as_i64().unwrap() - claims(&own)["iat"].as_i64().unwrap();
    assert_eq!(life, 60);
    let output = psql(&arena, "batch", &own, "shop", "SELECT 1").output().unwrap();
    assert_eq!(said(&output).trim(), "1");
    let opened = entries(&arena, "session_opened");
    // The groups its token names are not its groups.
    assert_eq!(opened[0]["standing"]["principal"]["groups"], json!(["agents"]));
}

/// A person's token and a pod's: the pod for the person, in the groups both the person has and the
/// connection and the rule lend.
#[test]
fn an_agent_acts_for_a_person_and_no_further() {
    let (issuers, arena) = start("");
    let pod = issuers.pod();
    let own = create(&arena, &pod, &["--acting-for", "bo"]).unwrap();
    let act = &claims(&own)["act"];
    assert_eq!(
        (&claims(&own)["sub"], &act["sub"]),
        (&json!("bo"), &json!("system:serviceaccount:agents:claude"))
    );
    let sql = "SELECT count(*) > 0 FROM orders";
    assert_eq!(said(&psql(&arena, "claude-pod", &own, "shop", sql).output().unwrap()).trim(), "t");
    let opened = entries(&arena, "session_opened");
    let principal = &opened.last().unwrap()["standing"]["principal"];
    // Bo is a DBA as well, the pod is in `agents` by itself: neither comes along.
    assert_eq!(principal["groups"], json!(["developers"]));
    assert_eq!((&principal["acting_for"], &principal["kind"]), (&json!("bo"), &json!("agent")));
    assert_eq!(principal["token_id"], json!(id_of(&own)));
    let issued = entries(&arena, "credential_issued");
    let issued = issued.last().unwrap();
    assert_eq!(issued["vouched_by"], json!(["development", "claude-pod"]));
    assert_eq!(
        (&issued["connection"], &issued["purpose"]),
        (&json!("shop"), &json!("nightly report"))
    );

    // Who may not: a workload whose rule lends nothing, an agent for an agent, a person as an actor.
    let (platform, _, claims) = platforms()[1].clone();
    let ci = issuers.token(platform, &claims);
    let why = create(&arena, &ci, &["--acting-for", "bo"]).unwrap_err();
    assert!(why.contains("lets it act for nobody"), "{why}");
    let why = create(&arena, &pod, &["--acting-for", "claude"]).unwrap_err();
    assert!(why.contains("subject_token is not a person's own"), "{why}");
    let ana = arena.token("ana").unwrap();
    let why = create(&arena, &ana, &["--acting-for", "bo"]).unwrap_err();
    assert!(why.contains("actor_token is a person's"), "{why}");
    let refused = entries(&arena, "exchange_refused");
    let known = |n: usize| refused[n]["principals"].clone();
    assert_eq!(known(0), json!(["repository_id:7:ref:refs/heads/main", "bo"]));
    assert!(refused[0]["why"].as_str().unwrap().contains("lets it act for nobody"));
    assert_eq!(refused.len(), 3);
}

/// One connection, and only by logging in: it is no token for anything else.
#[test]
fn a_credential_opens_its_connection_and_nothing_else() {
    let (issuers, mut arena) = start("");
    let pod = issuers.pod();
    let own = create(&arena, &pod, &["--acting-for", "bo"]).unwrap();
    let refused = said(&psql(&arena, "claude-pod", &own, "other", "SELECT 1").output().unwrap());
    assert!(refused.contains("the credential is for connection \"shop\" alone"), "{refused}");
    let record = entries(&arena, "login_refused");
    let last = record.last().unwrap();
    assert_eq!(last["principal"], json!("system:serviceaccount:agents:claude"));
    assert_eq!(last["connection"], "other");

    // A person's own credential is still no person at the desk.
    let bo = arena.token("bo").unwrap();
    let persons = create(&arena, &bo, &[]).unwrap();
    assert_eq!(
        said(&psql(&arena, "bo", &persons, "shop", "SELECT 1").output().unwrap()).trim(),
        "1"
    );
    let mut agent = RawClient::log_in(arena.postgres, "claude-pod", "shop", &own).unwrap();
    agent.ask("DELETE FROM orders WHERE id = 1").unwrap();
    let (review, _) = agent.held().unwrap();
    let wanted = "logs in to its connection and can do nothing else";
    for token in [&own, &persons] {
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        for request in [
            "GET /api/v1/reviews".to_owned(),
            format!("GET /api/v1/reviews/{review}"),
            format!("POST /api/v1/reviews/{review}/approve"),
            format!("POST /api/v1/reviews/{review}/reject"),
            "GET /api/v1/patterns".to_owned(),
            "POST /api/v1/patterns/pat_0000000000000/revoke".to_owned(),
            "GET /api/v1/credentials".to_owned(),
            format!("DELETE /api/v1/credentials/{}", id_of(&own)),
        ] {
            let (status, _, body) = {
                let body = if request.ends_with("reject") { r#"{"reason":"x"}"# } else { "{}" };
                http(arena.http, &request, &headers, body)
            };
            assert_eq!(status, 401, "{request}: {body}");
            assert!(body["detail"].as_str().unwrap().contains(wanted), "{request}: {body}");
        }
        let (status, _, body) = exchange(&arena, token, &[]);
        assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{body}");
        assert!(body["error_description"].as_str().unwrap().contains(wanted), "{body}");
        let actor = [("actor_token", token.as_str()), ("actor_token_type", JWT)];
        let (status, _, body) = exchange(&arena, &bo, &actor);
        assert_eq!(status, 400, "{body}");
        let why = body["error_description"].as_str().unwrap();
        assert!(why.starts_with("actor_token: ") && why.contains(wanted), "{why}");
    }
    drop(agent);

    // It survives a restart, with its key; what the store does not have opens nothing.
    arena.stop_gateway();
    arena.start_gateway().unwrap();
    assert_eq!(
        said(&psql(&arena, "claude-pod", &own, "shop", "SELECT 1").output().unwrap()).trim(),
        "1"
    );
    arena.stop_gateway();
    let script = "import sqlite3, sys\nd = sqlite3.connect(sys.argv[1])\n\
                  d.execute('DELETE FROM credential')\nd.commit()";
    let store = arena.data().join("portcullis.db");
    assert!(Command::new("python3").args(["-c", script]).arg(&store).status().unwrap().success());
    arena.start_gateway().unwrap();
    let refused = said(&psql(&arena, "claude-pod", &own, "shop", "SELECT 1").output().unwrap());
    assert!(refused.contains("the credential is not one of this gateway's"), "{refused}");
    // A new key makes old ones worthless.
    let fresh = create(&arena, &pod, &[]).unwrap();
    arena.stop_gateway();
    std::fs::remove_file(arena.data().join("keys/credentials.json")).unwrap();
    arena.start_gateway().unwrap();
    let refused = said(&psql(&arena, "claude-pod", &fresh, "shop", "SELECT 1").output().unwrap());
    assert!(refused.contains("does not list"), "{refused}");
}

/// Idle, at work or waiting for people: a session ends within two seconds of its credential.
#[test]
fn revoking_a_credential_ends_its_sessions() {
    let (issuers, arena) = start("");
    let (pod, bo) = (issuers.pod(), arena.token("bo").unwrap());
    let own = create(&arena, &pod, &["--acting-for", "bo"]).unwrap();
    let other = create(&arena, &pod, &["--acting-for", "bo"]).unwrap();
    let log_in =
        |token: &str| RawClient::log_in(arena.postgres, "claude-pod", "shop", token).unwrap();
    let (mut idle, mut busy, mut held, mut spared) =
        (log_in(&own), log_in(&own), log_in(&own), log_in(&other));
    // What they read is locked, so they are at work for as long as that is so.
    let server = SocketAddr::from(([127, 0, 0, 1], arena.server.port()));
    let mut locking = RawClient::log_in(server, "raw", "shop", "").unwrap();
    locking.query("BEGIN; LOCK TABLE locked_by_tests").unwrap();
    let reads = "SELECT count(*) FROM locked_by_tests";
    busy.ask(reads).unwrap();
    held.ask("DELETE FROM orders WHERE id = 1").unwrap();
    held.held().unwrap();
    let at_work = psql(&arena, "claude-pod", &own, "shop", reads)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let asleep = "SELECT count(*) FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND query LIKE 'SELECT count(*) FROM locked_by_tests%'";
    while arena.truth(asleep).unwrap() != "2" {
        assert!(Instant::now() < deadline, "they do not wait");
        std::thread::sleep(Duration::from_millis(50));
    }

    // Both see it; who is nobody to it does not, and cannot end it.
    let listed = |token: &str| credential(&arena, token, &["list"]).unwrap();
    for token in [&pod, &bo] {
        let text = listed(token);
        assert!(
            text.contains(&id_of(&own)) && text.contains("claude-pod for bo on shop"),
            "{text}"
        );
    }
    let ana = arena.token("ana").unwrap();
    assert_eq!(listed(&ana), "there are no credentials");
    let why = credential(&arena, &ana, &["revoke", &id_of(&own)]).unwrap_err();
    assert!(why.contains("there is no such credential for you"), "{why}");

    let revoked = Instant::now();
    credential(&arena, &bo, &["revoke", &id_of(&own)]).unwrap();
    let output = at_work.wait_with_output().unwrap();
    assert!(revoked.elapsed() < Duration::from_secs(3), "{:?}", revoked.elapsed());
    assert!(said(&output).contains("your credential was revoked"), "{}", said(&output));
    for client in [&mut idle, &mut busy, &mut held] {
        let heard = rest(client);
        assert!(heard.iter().any(|l| l.contains("28000") && l.contains("revoked")), "{heard:?}");
    }
    assert!(revoked.elapsed() < Duration::from_secs(4), "{:?}", revoked.elapsed());
    let gone = Instant::now() + Duration::from_secs(5);
    while arena.truth(asleep).unwrap() != "0" {
        assert!(Instant::now() < gone, "what they ran still runs at the target");
        std::thread::sleep(Duration::from_millis(50));
    }
    // Others go on, and nobody comes in with it any more.
    assert!(spared.query("SELECT 1").is_ok());
    let refused = said(&psql(&arena, "claude-pod", &own, "shop", "SELECT 1").output().unwrap());
    assert!(refused.contains("the credential was revoked"), "{refused}");
    let why = credential(&arena, &bo, &["revoke", &id_of(&own)]).unwrap_err();
    assert!(why.contains("has ended already"), "{why}");
    let event = entries(&arena, "credential_revoked");
    assert_eq!(
        (event.len(), &event[0]["credential"], &event[0]["by"]["subject"]),
        (1, &json!(id_of(&own)), &json!("bo"))
    );
    assert!(!listed(&pod).contains(&id_of(&own)));
    let all = credential(&arena, &pod, &["list", "--all"]).unwrap();
    assert!(all.contains(&format!("{}  revoked", id_of(&own))), "{all}");
    let (shown, page) = {
        let output = arena.portcullis(&["--json", "credential", "--token", &pod, "list"]).unwrap();
        (output.status.success(), serde_json::from_slice::<Value>(&output.stdout).unwrap())
    };
    assert!(shown && page[0]["id"] == json!(id_of(&other)), "{page}");
}

/// What is said to requests that are wrong (RFC 6749 §5.2), and to too many of them.
#[test]
fn the_form_of_an_exchange_and_its_rate() {
    let more = "[credentials]\nmax_lifetime = \"1h\"\nper_minute_and_caller = 40\nper_minute_and_address = 60\n";
    let (issuers, arena) = start(more);
    let pod = issuers.pod();
    let (status, head, body) = exchange(&arena, &pod, &[]);
    assert_eq!(status, 200, "{body}");
    assert!(head.contains("cache-control: no-store"), "{head}");
    assert_eq!(body["token_type"], "Bearer");
    assert!(
        (590..=600).contains(&body["expires_in"].as_u64().unwrap()),
        "that of the token: {body}"
    );
    assert_eq!(body["credential"]["connection"], "shop");
    let check = |edit: &[(&str, &str)], error: &str, why: &str| {
        let (status, head, body) = exchange(&arena, &pod, edit);
        assert_eq!((status, body["error"].as_str()), (400, Some(error)), "{edit:?}: {body}");
        assert!(body["error_description"].as_str().unwrap().contains(why), "{body}");
        assert!(head.contains("cache-control: no-store"), "{head}");
    };
    check(&[("grant_type", "password")], "unsupported_grant_type", "token-exchange");
    check(&[("subject_token", "")], "invalid_request", "subject_token is missing");
    check(
        &[("subject_token", "a.b.c")],
        "invalid_request",
        "subject_token: the token is not a signed JWT",
    );
    check(&[("audience", "nowhere")], "invalid_target", "no such connection");
    check(&[("resource", "https://shop")], "invalid_target", "audience");
    check(&[("scope", "all")], "invalid_scope", "no scopes");
    check(&[("purpose", "")], "invalid_request", "purpose");
    check(&[("lifetime", "50000")], "invalid_request", "10 to 43200");
    // Twice is an error, unknown ones are none, and another form is not read.
    let body = form(&[("audience", "shop"), ("audience", "other")]);
    let (status, _, body) = http(arena.http, "POST /api/v1/token", &[FORM], &body);
    assert_eq!((status, &body["error"]), (400, &json!("invalid_request")));
    let json = ("Content-Type", "application/json");
    let (status, _, body) = http(arena.http, "POST /api/v1/token", &[json], "{}");
    assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{body}");
    let (status, _, _) = exchange(&arena, &pod, &[("client_id", "x"), ("purpose", "a test")]);
    assert_eq!(status, 200);
    // The keys are there for whoever wants to check one.
    let (status, _, keys) = http(arena.http, "GET /api/v1/credentials/keys", &[], "");
    assert_eq!((status, &keys["keys"][0]["alg"]), (200, &json!("EdDSA")));
    assert!(keys.to_string().find("\"d\"").is_none(), "{keys}");
    // One caller, then the address.
    let too_many = |edit: &[(&str, &str)], tries: usize| {
        (0..tries).map(|_| exchange(&arena, &pod, edit)).find(|(status, ..)| *status == 429)
    };
    let (_, head, body) = too_many(&[("audience", "nowhere")], 45).expect("no end for one caller");
    assert!(head.contains("retry-after"), "{head}");
    assert_eq!(body["error"], "temporarily_unavailable");
    assert!(body["error_description"].as_str().unwrap().contains("more than 40"), "{body}");
    let (_, _, body) = too_many(&[("subject_token", "x")], 65).expect("no end for one address");
    assert!(body["error_description"].as_str().unwrap().contains("more than 60"), "{body}");
}

/// A trust rule as a document: its tokens are good while it is there, and all that rests on them ends with it.
#[test]
fn a_trust_rule_that_is_applied_and_removed() {
    let more = "[administration]\ngroups = [\"admins\"]\n[documents]\nidentity = true\n";
    let (issuers, arena) = start(more);
    let rule = format!(
        "kind = \"oidc\"\nissuer = \"{}/batch\"\naudiences = [\"portcullis\"]\ngroups = [\"agents\"]\n\
         pins = {{ sub = \"nightly\" }}\n",
        issuers.base
    );
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("workloads");
    std::fs::create_dir(&folder).unwrap();
    let apply = |rule: Option<&str>| {
        let file = folder.join("batch.toml");
        match rule {
            Some(rule) => std::fs::write(file, rule).unwrap(),
            None => std::fs::remove_file(file).unwrap(),
        }
        let path = directory.path().to_str().unwrap();
        arena.portcullis(&["apply", "--as", "max", "--yes", "--prune", "-f", path]).unwrap()
    };
    let token = issuers.token("batch", &json!({ "sub": "nightly" }));
    let log_in = |password: &str| RawClient::log_in(arena.postgres, "batch", "shop", password);
    assert!(log_in(&token).is_err());
    let unpinned = rule.replace("sub = \"nightly\"", "");
    let no = apply(Some(&unpinned));
    assert!(
        said(&no).contains("workloads/batch.toml: pins: they do not say whose"),
        "{}",
        said(&no)
    );
    let shadow = rule.replace("/batch", "/k8s");
    let no = apply(Some(&shadow));
    assert!(!no.status.success() && said(&no).contains("issuer"), "{}", said(&no));

    let done = apply(Some(&rule));
    assert!(done.status.success(), "{}", said(&done));
    let mut direct = log_in(&token).unwrap();
    let own = create(&arena, &token, &[]).unwrap();
    let mut by_credential = log_in(&own).unwrap();
    // One of the same issuer beside it keeps its own.
    let mut pod = RawClient::log_in(arena.postgres, "claude-pod", "shop", &issuers.pod()).unwrap();

    let done = apply(None);
    assert!(done.status.success(), "{}", said(&done));
    let heard = rest(&mut direct).join("\n");
    assert!(heard.contains("who vouches for you"), "{heard}");
    // Its rule is gone and so it is revoked: which is seen first, nobody knows.
    let heard = rest(&mut by_credential).join("\n");
    let whys = ["who vouches for you", "your credential was revoked"];
    assert!(whys.iter().any(|why| heard.contains(why)), "{heard}");
    assert!(
        log_in(&token).is_err() && log_in(&own).is_err() && create(&arena, &token, &[]).is_err()
    );
    assert!(pod.query("SELECT 1").is_ok());
    // Noted as soon as whoever saw the change has come to it.
    let until = Instant::now() + Duration::from_secs(5);
    while entries(&arena, "credential_revoked").is_empty() {
        assert!(Instant::now() < until, "the record says that the credential was taken back");
        std::thread::sleep(Duration::from_millis(50));
    }
    let revoked = entries(&arena, "credential_revoked");
    assert_eq!(revoked[0]["by"], json!({ "subject": "portcullis:documents" }));

    // The rule is back, and what was taken back with it is not.
    assert!(apply(Some(&rule)).status.success());
    assert!(log_in(&token).is_ok());
    assert!(log_in(&own).is_err());
}

/// What a connection does not lend any more, a credential made before does not have either.
#[test]
fn what_a_connection_lends_no_more_is_taken_from_credentials() {
    let more = "[administration]\ngroups = [\"admins\"]\n[documents]\n\
                credentials = [\"file:app.password\"]\n";
    let (issuers, arena) = start(more);
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("connections")).unwrap();
    let apply = |lent: &str| {
        let text = format!(
            "environment = \"test\"\ngroups = [\"developers\"]\nlend_groups = [{lent}]\n[target]\n\
             host = \"127.0.0.1\"\nport = {}\ndatabase = \"shop\"\nuser = \"owner\"\n\
             password_from = \"file:app.password\"\n",
            arena.server.port()
        );
        std::fs::write(directory.path().join("connections/lent.toml"), text).unwrap();
        let path = directory.path().to_str().unwrap();
        let done = arena.portcullis(&["apply", "--as", "max", "--yes", "-f", path]).unwrap();
        assert!(done.status.success(), "{}", said(&done));
    };
    apply("\"developers\"");
    let arguments = ["create", "--connection", "lent", "--purpose", "a test", "--acting-for", "bo"];
    let own = credential(&arena, &issuers.pod(), &arguments).unwrap();
    let log_in = || RawClient::log_in(arena.postgres, "claude-pod", "lent", &own);
    assert!(log_in().is_ok());
    apply("\"dba\"");
    assert!(log_in().is_err());
    apply("\"dba\", \"developers\"");
    assert!(log_in().is_ok());
}
