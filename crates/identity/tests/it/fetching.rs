//! Discovery and key sets over HTTP: rotation, outages, floods, and providers that misbehave.

use crate::support::{Fake, NOW, Reply, Signer, at, endless, now, verifier};
use portcullis_core::time::Timestamp;
use portcullis_identity::{IdentityError, Provider, Verifier, http_client};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

fn token(fake: &Fake, signer: &Signer, kid: &str) -> String {
    token_until(fake, signer, kid, NOW + 80_000)
}

fn token_until(fake: &Fake, signer: &Signer, kid: &str, expires: i64) -> String {
    let mut claims = fake.claims();
    claims["exp"] = expires.into();
    signer.token(&json!({ "alg": "ES256", "kid": kid }).to_string(), &claims.to_string())
}

fn after(seconds: i64) -> Timestamp {
    at(NOW + seconds)
}

fn unknown() -> IdentityError {
    IdentityError::UnknownKey { provider: "corp".into() }
}

/// The cause of an outage, for the log.
async fn cause(verifier: &Verifier, token: &str, now: Timestamp) -> String {
    match verifier.verify(token, now).await {
        Err(IdentityError::Unavailable { cause, .. }) => cause,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn keys_are_fetched_once_and_again_when_old() {
    let signer = Signer::ec("P-256");
    let fake = Fake::start(vec![signer.jwk("k")]).await;
    let (verifier, token) = (fake.verifier(), token(&fake, &signer, "k"));
    for (seconds, fetches) in [(0, 1), (1, 1), (600, 1), (601, 2), (1_000, 2), (1_202, 3)] {
        assert!(verifier.verify(&token, after(seconds)).await.is_ok());
        assert_eq!(fake.fetches(), fetches, "{seconds} s");
    }
    assert!(verifier.warm(after(1_203)).await.is_empty());
    assert_eq!(fake.fetches(), 3);
    // A clock that is set back does not make the keys young.
    assert!(verifier.verify(&token, after(100)).await.is_ok());
    assert_eq!(fake.fetches(), 4);
}

#[tokio::test]
async fn a_rotated_key_is_found_and_the_old_one_dropped() {
    let (old, new) = (Signer::ec("P-256"), Signer::ec("P-256"));
    let fake = Fake::start(vec![old.jwk("old")]).await;
    let verifier = fake.verifier();
    let (before, later) = (token(&fake, &old, "old"), token(&fake, &new, "new"));
    assert!(verifier.verify(&before, now()).await.is_ok());
    fake.keys(&[new.jwk("new")]);
    // The set is ten seconds old at least before an unknown key makes it be fetched again.
    assert_eq!(verifier.verify(&later, after(9)).await, Err(unknown()));
    assert_eq!(fake.fetches(), 1);
    assert!(verifier.verify(&later, after(10)).await.is_ok());
    assert_eq!(fake.fetches(), 2);
    assert_eq!(verifier.verify(&before, after(11)).await, Err(unknown()));
}

#[tokio::test]
async fn a_key_that_was_not_found_is_not_asked_for_again_at_once() {
    let signer = Signer::ec("P-256");
    let fake = Fake::start(vec![signer.jwk("k")]).await;
    let verifier = fake.verifier();
    let ghost = token(&fake, &signer, "ghost");
    for (seconds, fetches) in [(0, 1), (11, 1), (29, 1), (30, 2), (45, 2)] {
        assert_eq!(verifier.verify(&ghost, after(seconds)).await, Err(unknown()));
        assert_eq!(fake.fetches(), fetches, "{seconds} s");
    }
}

#[tokio::test]
async fn a_flood_of_bad_tokens_is_one_fetch() {
    let signer = Signer::ec("P-256");
    let fake = Fake::start(vec![signer.jwk("k")]).await;
    let verifier = Arc::new(fake.verifier());
    let good = token(&fake, &signer, "k");
    assert!(verifier.verify(&good, now()).await.is_ok());
    for (round, fetches) in [(0, 1), (1, 2), (2, 3)] {
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..1_000 {
            let (verifier, token) =
                (Arc::clone(&verifier), token(&fake, &signer, &format!("{round}-{n}")));
            tasks.spawn(async move { verifier.verify(&token, after(round * 10)).await });
        }
        while let Some(said) = tasks.join_next().await {
            assert_eq!(said.unwrap(), Err(unknown()));
        }
        assert_eq!(fake.fetches(), fetches, "round {round}");
    }
    // And a cold cache that all want at once.
    let cold = Arc::new(fake.verifier());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (cold, good) = (Arc::clone(&cold), good.clone());
        tasks.spawn(async move { cold.verify(&good, now()).await });
    }
    while let Some(said) = tasks.join_next().await {
        assert!(said.unwrap().is_ok());
    }
    assert_eq!(fake.fetches(), 4);
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_undo_the_fetch() {
    let signer = Signer::ec("P-256");
    let fake = Fake::start(vec![signer.jwk("k")]).await;
    let gate = Arc::new(Semaphore::new(0));
    fake.answer(Reply::Gated(json!({"keys": [signer.jwk("k")]}), Arc::clone(&gate)));
    let (verifier, token) = (fake.verifier(), token(&fake, &signer, "k"));
    for _ in 0..5 {
        let hasty = verifier.verify(&token, now());
        assert!(tokio::time::timeout(Duration::from_millis(20), hasty).await.is_err());
    }
    gate.add_permits(10);
    assert!(verifier.verify(&token, now()).await.is_ok());
    assert_eq!(fake.fetches(), 1);
}

#[tokio::test]
async fn an_outage_is_bridged_for_an_hour_and_then_refused() {
    let signer = Signer::ec("P-256");
    let fake = Fake::start(vec![signer.jwk("k")]).await;
    let (verifier, token) = (fake.verifier(), token(&fake, &signer, "k"));
    let ghost = self::token(&fake, &signer, "ghost");
    assert!(verifier.verify(&token, now()).await.is_ok());
    fake.answer(Reply::Status(503));
    assert!(verifier.verify(&token, after(601)).await.is_ok());
    assert_eq!(fake.fetches(), 2, "asked, in vain");
    assert!(verifier.verify(&token, after(605)).await.is_ok());
    assert_eq!(fake.fetches(), 2, "not asked at every log-in");
    assert!(cause(&verifier, &ghost, after(606)).await.contains("503"), "unknown is not certain");
    assert!(verifier.verify(&token, after(611)).await.is_ok());
    assert_eq!(fake.fetches(), 3);
    assert!(verifier.verify(&token, after(4_200)).await.is_ok());
    assert!(cause(&verifier, &token, after(4_201)).await.contains("503"));
    fake.keys(&[signer.jwk("k")]);
    assert!(verifier.verify(&token, after(4_204)).await.is_ok(), "back after two seconds");
}

#[tokio::test]
async fn a_provider_that_is_not_there() {
    let signer = Signer::ec("P-256");
    let fake = Fake::start(vec![signer.jwk("k")]).await;
    let (verifier, token) = (fake.verifier(), token(&fake, &signer, "k"));
    fake.stop().await;
    let started = Instant::now();
    for _ in 0..50 {
        assert!(verifier.verify(&token, now()).await.is_err());
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    let error = verifier.verify(&token, now()).await.unwrap_err();
    assert_eq!(error.public(), "identity provider \"corp\" cannot be reached to check the token");
    let failures = verifier.warm(now()).await;
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].0, "corp");
}

#[tokio::test]
async fn a_discovery_document_must_be_the_issuers_own() {
    let signer = Signer::ec("P-256");
    let fake = Fake::start(vec![signer.jwk("k")]).await;
    let token = token(&fake, &signer, "k");
    let (issuer, keys) = (fake.issuer.clone(), format!("{}/keys", fake.issuer));
    let check = async |document: serde_json::Value, expect: &str| {
        *fake.shared.discovery.lock().unwrap() = Some(document.clone());
        let cause = cause(&fake.verifier(), &token, now()).await;
        assert!(cause.contains(expect), "{document}: {cause}");
    };
    check(json!({"issuer": format!("{issuer}/"), "jwks_uri": keys}), "differs").await;
    check(json!({"issuer": "https://evil.example", "jwks_uri": keys}), "differs").await;
    check(json!({"jwks_uri": keys}), "differs").await;
    check(json!({"issuer": issuer}), "no `jwks_uri`").await;
    check(json!({"issuer": issuer, "jwks_uri": "http://id.example/keys"}), "https").await;
    check(json!({"issuer": issuer, "jwks_uri": "file:///etc/passwd"}), "must").await;
    check(json!({"issuer": issuer, "jwks_uri": "http://10.0.0.1/keys"}), "https").await;
    check(json!([]), "discovery document").await;
    assert_eq!(fake.fetches(), 0);
}

#[tokio::test]
async fn key_sets_are_not_believed_blindly() {
    let signer = Signer::ec("P-256");
    let fake = Fake::start(vec![]).await;
    let token = token(&fake, &signer, "k");
    let check = async |reply: Reply, expect: &str| {
        fake.answer(reply);
        let cause = cause(&fake.verifier(), &token, now()).await;
        assert!(cause.contains(expect), "{cause}");
    };
    check(Reply::Status(404), "404").await;
    check(Reply::Status(204), "204").await;
    check(Reply::Json(json!([])), "not a JWK set").await;
    check(Reply::Json(json!({"keys": vec![signer.jwk("k"); 101]})), "101 keys").await;
    check(Reply::Body(1024 * 1024 + 1), "more than 1048576 bytes").await;
    // Neither here nor anywhere else is a redirect followed.
    let elsewhere = Fake::start(vec![signer.jwk("k")]).await;
    check(Reply::Redirect(format!("{}/keys", elsewhere.issuer)), "302").await;
    assert_eq!(elsewhere.fetches(), 0);

    fake.keys(&[]);
    assert_eq!(fake.verifier().verify(&token, now()).await, Err(unknown()), "a set without keys");
    // A symmetric key in a key set is no key.
    fake.keys(&[json!({"kty": "oct", "k": "c2VjcmV0", "kid": "k", "alg": "HS256"})]);
    assert_eq!(fake.verifier().verify(&token, now()).await, Err(unknown()));
}

#[tokio::test]
async fn an_endless_key_set_is_cut_off() {
    let signer = Signer::ec("P-256");
    let fake = Fake::start(vec![]).await;
    let (url, taken) = endless().await;
    *fake.shared.discovery.lock().unwrap() = Some(json!({"issuer": fake.issuer, "jwks_uri": url}));
    let cause = cause(&fake.verifier(), &token(&fake, &signer, "k"), now()).await;
    assert!(cause.contains("more than 1048576 bytes"), "{cause}");
    // What was sent beyond the limit sits in socket buffers.
    assert!(taken.load(Ordering::SeqCst) < 16 * 1024 * 1024);
}

#[tokio::test]
async fn a_slow_provider_is_given_up_and_holds_up_nobody_else() {
    let signer = Signer::ec("P-256");
    let (slow, quick) = (Fake::start(vec![]).await, Fake::start(vec![signer.jwk("k")]).await);
    slow.answer(Reply::Never);
    let second = Provider::new("quick", &quick.issuer, "portcullis");
    let verifier = Arc::new(verifier(vec![slow.provider(), second]));
    let waiting = {
        let (verifier, token) = (Arc::clone(&verifier), token(&slow, &signer, "k"));
        tokio::spawn(async move { cause(&verifier, &token, now()).await })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(verifier.verify(&token(&quick, &signer, "k"), now()).await.is_ok());
    assert!(!waiting.is_finished(), "the other one is still being waited for");
    let cause = tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap().unwrap();
    assert!(cause.contains("no answer") || cause.contains("timed out"), "{cause}");
}

#[tokio::test]
async fn a_configured_key_set_needs_no_discovery() {
    let signer = Signer::ec("P-256");
    let fake = Fake::start(vec![signer.jwk("k")]).await;
    let mut provider = fake.provider();
    provider.jwks_uri = Some(format!("{}/keys", fake.issuer));
    assert!(verifier(vec![provider]).verify(&token(&fake, &signer, "k"), now()).await.is_ok());
    assert_eq!(fake.shared.discoveries.load(Ordering::SeqCst), 0);
}

#[test]
fn two_providers_are_not_alike() {
    let provider = |name: &str, issuer: &str| Provider::new(name, issuer, "p");
    let check = |providers: Vec<Provider>, key: &str| {
        assert_eq!(Verifier::new(providers, http_client).unwrap_err().key, key);
    };
    let (one, two) = ("http://127.0.0.1:1", "http://127.0.0.1:2");
    check(vec![provider("a", one), provider("a", two)], "name");
    check(vec![provider("a", one), provider("b", one)], "issuer");
    check(vec![provider("a", "http://id.example")], "issuer");
}
