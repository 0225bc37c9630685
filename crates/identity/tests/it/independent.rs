//! Tokens of an OpenID provider that shares nothing with this code: `oidc-provider` from npm.
//!
//! Runs where its packages are installed; `PORTCULLIS_SLOW=1` installs them first.

use crate::support::verifier;
use portcullis_core::principal::PrincipalKind;
use portcullis_core::time::Timestamp;
use portcullis_identity::{ClaimPath, IdentityError, Pinned, Provider};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SECRET: &str = "a-secret-for-this-test-only";

/// The provider's process; it ends with its standard input.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc-provider")
}

/// True where the provider can be started; says loudly why it is not.
fn installed() -> bool {
    let skip = |why: &str| {
        eprintln!("\n*** SKIPPED: no test against an independent OpenID provider: {why} ***\n");
        false
    };
    let node = Command::new("node").arg("--version").stdout(Stdio::null()).status();
    if !node.is_ok_and(|status| status.success()) {
        return skip("node is not installed");
    }
    if folder().join("node_modules/oidc-provider").exists() {
        return true;
    }
    if std::env::var_os("PORTCULLIS_SLOW").is_none_or(|slow| slow != "1") {
        return skip("its packages are not installed; PORTCULLIS_SLOW=1 installs them");
    }
    let npm = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"];
    let done = Command::new("npm").args(npm).current_dir(folder()).status().unwrap();
    assert!(done.success(), "npm ci failed");
    true
}

fn start() -> (Node, Value) {
    let mut child = Command::new("node")
        .arg("provider.mjs")
        .current_dir(folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    let node = Node(child);
    BufReader::new(stdout).read_line(&mut line).unwrap();
    (node, serde_json::from_str(&line).unwrap())
}

fn clock() -> Timestamp {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    Timestamp::from_micros(i64::try_from(micros).unwrap())
}

async fn access_token(issuer: &str, algorithm: &str) -> String {
    let resource = format!("urn:alg:{algorithm}");
    let form = [("grant_type", "client_credentials"), ("resource", &resource), ("scope", "query")];
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("{issuer}/token")).basic_auth("job", Some(SECRET));
    let answer: Value = request.form(&form).send().await.unwrap().json().await.unwrap();
    answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test]
async fn tokens_of_an_independent_provider() {
    if !installed() {
        return;
    }
    let (_node, started) = start();
    let issuer = started["issuer"].as_str().unwrap();
    let mut provider = Provider::new("node", issuer, "portcullis");
    provider.clients = vec!["job".into()];
    provider.default_kind = PrincipalKind::Workload;
    let repository = ClaimPath::try_from("repository".to_owned()).unwrap();
    provider.required.insert(repository.clone(), Pinned::Text("org/app".into()));
    let good = verifier(vec![provider.clone()]);
    let mut pinned = provider.clone();
    pinned.required.insert(repository, Pinned::Text("org/other".into()));
    let mut elsewhere = provider;
    elsewhere.audiences = vec!["elsewhere".into()];
    let (pinned, elsewhere) = (verifier(vec![pinned]), verifier(vec![elsewhere]));

    let algorithms = started["algorithms"].as_array().unwrap();
    assert_eq!(algorithms.len(), 5);
    for algorithm in algorithms.iter().map(|name| name.as_str().unwrap()) {
        let token = access_token(issuer, algorithm).await;
        let principal = good.verify(&token, clock()).await.unwrap();
        assert_eq!((principal.kind, principal.subject.as_str()), (PrincipalKind::Workload, "job"));
        assert_eq!(principal.groups, ["ci".to_owned(), "readers".to_owned()].into());
        assert!(principal.token_id.is_some());
        let said = elsewhere.verify(&token, clock()).await;
        assert_eq!(said, Err(IdentityError::WrongAudience { expected: vec!["elsewhere".into()] }));
        let said = pinned.verify(&token, clock()).await;
        assert_eq!(said, Err(IdentityError::Pin { claim: "repository".into() }));
        let later = clock().plus(Duration::from_secs(301));
        assert!(matches!(good.verify(&token, later).await, Err(IdentityError::Expired { .. })));
    }
}
