//! Tokens of an OpenID provider that shares nothing with this code.

use crate::provider::{SECRET, installed, start};
use crate::support::verifier;
use portcullis_core::principal::PrincipalKind;
use portcullis_core::time::Timestamp;
use portcullis_identity::{ClaimPath, IdentityError, Pinned, Provider};
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
