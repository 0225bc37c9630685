//! What a good token makes of its bearer.

use crate::support::{Fake, NOW, Signer, at, now, verifier};
use portcullis_core::principal::{Principal, PrincipalKind, Reviewer};
use portcullis_identity::{ActGroups, ClaimPath, IdentityError, Pinned, Provider};
use serde_json::{Value, json};

struct Stage {
    fake: Fake,
    signer: Signer,
}

impl Stage {
    async fn new() -> Self {
        let signer = Signer::ec("P-256");
        Self { fake: Fake::start(vec![signer.jwk("k")]).await, signer }
    }

    /// The principal of a token with these claims added, at a provider changed so.
    async fn read(
        &self,
        more: Value,
        change: impl FnOnce(&mut Provider),
    ) -> Result<Principal, IdentityError> {
        let mut claims = self.fake.claims();
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let token = self.signer.token(r#"{"alg":"ES256","typ":"at+jwt"}"#, &claims.to_string());
        let mut provider = self.fake.provider();
        change(&mut provider);
        verifier(vec![provider]).verify(&token, now()).await
    }
}

fn path(text: &str) -> ClaimPath {
    ClaimPath::try_from(text.to_owned()).unwrap()
}

fn groups(principal: &Principal) -> Vec<&str> {
    principal.groups.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn a_plain_token_is_an_agents() {
    let stage = Stage::new().await;
    let principal = stage.read(json!({"jti": "t1", "groups": ["b", "a"]}), |_| {}).await.unwrap();
    let expect = Principal {
        kind: PrincipalKind::Agent,
        subject: "alice".into(),
        name: "alice".into(),
        issuer: stage.fake.issuer.clone(),
        acting_for: None,
        acting_for_issuer: None,
        email: None,
        groups: ["a".to_owned(), "b".to_owned()].into(),
        token_id: Some("t1".into()),
        expires: at(NOW + 600),
    };
    assert_eq!(principal, expect);
    assert!(Reviewer::new(principal).is_err());
}

#[tokio::test]
async fn kinds() {
    let stage = Stage::new().await;
    let kind = |p: &mut Provider| p.kind_claim = Some(path("kind"));
    let check = async |claims: Value, expect| {
        assert_eq!(stage.read(claims.clone(), kind).await.map(|p| p.kind), expect, "{claims}");
    };
    check(json!({"kind": "person"}), Ok(PrincipalKind::Person)).await;
    check(json!({"kind": "workload"}), Ok(PrincipalKind::Workload)).await;
    check(json!({"kind": "agent"}), Ok(PrincipalKind::Agent)).await;
    check(json!({}), Ok(PrincipalKind::Agent)).await;
    for other in [json!("Person"), json!("admin"), json!(["person"]), json!(null)] {
        check(json!({"kind": other}), Err(IdentityError::InvalidClaim("kind".into()))).await;
    }
    // Whoever acts for somebody is an agent, whatever the kind says.
    check(json!({"kind": "person", "act": {"sub": "bot"}}), Ok(PrincipalKind::Agent)).await;
    let person = |p: &mut Provider| p.default_kind = PrincipalKind::Person;
    assert_eq!(stage.read(json!({}), person).await.unwrap().kind, PrincipalKind::Person);
}

#[tokio::test]
async fn an_actor_is_the_agent_and_the_subject_is_whom_it_acts_for() {
    let stage = Stage::new().await;
    let claims = json!({
        "groups": ["dba"], "preferred_username": "Alice",
        "act": {"sub": "claude@laptop", "groups": ["agents"], "act": {"sub": "earlier", "iss": "x"}},
    });
    let agent = stage.read(claims.clone(), |_| {}).await.unwrap();
    assert_eq!((agent.kind, agent.subject.as_str()), (PrincipalKind::Agent, "claude@laptop"));
    assert_eq!(
        (agent.acting_for.as_deref(), agent.name.as_str()),
        (Some("alice"), "claude@laptop")
    );
    assert_eq!(agent.person(), Some((agent.issuer.as_str(), "alice")));
    assert_eq!(groups(&agent), ["agents"], "none of the person's");
    let subject = |p: &mut Provider| p.act_groups = ActGroups::Subject;
    assert_eq!(groups(&stage.read(claims, subject).await.unwrap()), ["dba"]);

    let named = |p: &mut Provider| {
        p.acting_for_claim = Some(path("on_behalf_of"));
        p.default_kind = PrincipalKind::Person;
    };
    let agent = stage.read(json!({"on_behalf_of": "bob"}), named).await.unwrap();
    assert_eq!((agent.kind, agent.acting_for.as_deref()), (PrincipalKind::Agent, Some("bob")));
    assert!(stage.read(json!({"on_behalf_of": 7}), named).await.is_err());
}

#[tokio::test]
async fn groups_are_whole_or_none() {
    let stage = Stage::new().await;
    let check = async |claims: Value, claim: &str, expect: &[&str]| {
        let change = |p: &mut Provider| p.groups_claim = path(claim);
        let principal = stage.read(claims.clone(), change).await.unwrap();
        assert_eq!(groups(&principal), expect, "{claims}");
    };
    check(json!({"groups": ["a", "b", "a"]}), "groups", &["a", "b"]).await;
    check(json!({"realm_access": {"roles": ["r"]}}), "realm_access.roles", &["r"]).await;
    check(json!({"a.b": {"c/d": ["x"]}}), "/a.b/c~1d", &["x"]).await;
    check(json!({"https://corp.example/groups": ["u"]}), "https://corp.example/groups", &["u"])
        .await;
    check(json!({"realm_access.roles": ["r"]}), "realm_access.roles", &[]).await;
    check(json!({}), "groups", &[]).await;
    check(json!({"groups": "dba"}), "groups", &[]).await;
    check(json!({"groups": ["dba", 7]}), "groups", &[]).await;
    check(json!({"groups": ["dba", ""]}), "groups", &[]).await;
    check(json!({"groups": ["dba", "d\u{200b}ba"]}), "groups", &[]).await;
    check(json!({"groups": {"dba": true}}), "groups", &[]).await;
    check(json!({"groups": ["dba"], "_claim_names": {"groups": "src1"}}), "groups", &[]).await;
    check(json!({"groups": ["dba"], "hasgroups": true}), "groups", &[]).await;
    let many: Vec<String> = (0..1_025).map(|n| n.to_string()).collect();
    check(json!({ "groups": many }), "groups", &[]).await;
}

#[tokio::test]
async fn names_are_for_display() {
    let stage = Stage::new().await;
    let check = async |claims: Value, expect: &str| {
        assert_eq!(stage.read(claims.clone(), |_| {}).await.unwrap().name, expect, "{claims}");
    };
    check(json!({"preferred_username": "al", "email": "a@x"}), "al").await;
    check(json!({"email": "a@x"}), "a@x").await;
    check(json!({"email": "a@x", "email_verified": false}), "alice").await;
    check(json!({"preferred_username": "al\u{202e}"}), "alice").await;
    check(json!({"preferred_username": 7}), "alice").await;
    let named = |p: &mut Provider| p.name_claim = Some(path("profile.nick"));
    let read = stage.read(json!({"profile": {"nick": "Ali"}, "email": "a@x"}), named).await;
    assert_eq!(read.unwrap().name, "Ali");
}

#[tokio::test]
async fn pins_and_clients() {
    let stage = Stage::new().await;
    let pinned = |p: &mut Provider| {
        p.required.insert(path("repository"), Pinned::Text("org/app".into()));
        p.required.insert(path("run"), Pinned::Number(7));
        p.required.insert(path("/kubernetes.io/namespace"), Pinned::Text("prod".into()));
    };
    let good = json!({"repository": "org/app", "run": 7, "kubernetes.io": {"namespace": "prod"}});
    assert!(stage.read(good.clone(), pinned).await.is_ok());
    let check = async |name: &str, value: Value, claim: &str| {
        let mut claims = good.clone();
        claims[name] = value;
        let expect = Err(IdentityError::Pin { claim: claim.into() });
        assert_eq!(stage.read(claims, pinned).await, expect);
    };
    check("repository", json!("org/app2"), "repository").await;
    check("repository", json!(["org/app"]), "repository").await;
    check("repository", json!(null), "repository").await;
    check("run", json!("7"), "run").await;
    check("kubernetes.io", json!({"namespace": "dev"}), "/kubernetes.io/namespace").await;
    check("kubernetes.io", json!("prod"), "/kubernetes.io/namespace").await;

    let clients = |p: &mut Provider| p.clients = vec!["cli".into()];
    let check = async |claims: Value, good: bool| {
        let expect = if good { None } else { Some(IdentityError::WrongClient) };
        assert_eq!(stage.read(claims.clone(), clients).await.err(), expect, "{claims}");
    };
    check(json!({"azp": "cli"}), true).await;
    check(json!({"client_id": "cli"}), true).await;
    check(json!({"azp": "web", "client_id": "cli"}), false).await;
    check(json!({"azp": ["cli"]}), false).await;
    check(json!({}), false).await;
}

#[tokio::test]
async fn times_have_leeway_in_one_direction() {
    let stage = Stage::new().await;
    let check = async |claims: Value, good: bool| {
        assert_eq!(stage.read(claims.clone(), |_| {}).await.is_ok(), good, "{claims}");
    };
    check(json!({"nbf": NOW + 30, "iat": NOW + 30}), true).await;
    check(json!({"nbf": NOW + 31}), false).await;
    check(json!({"exp": NOW + 1}), true).await;
    check(json!({"exp": NOW}), false).await;
    check(json!({"exp": NOW as f64 + 1.5}), true).await;
    check(json!({"exp": NOW as f64 + 0.5}), false).await;
    check(json!({"aud": ["other", "portcullis"]}), true).await;
}

#[tokio::test]
async fn claim_paths() {
    for bad in ["", ".", "a.", "a..b", "/", "/a//b", "a.b.c.d.e.f.g.h.i"] {
        assert!(ClaimPath::try_from(bad.to_owned()).is_err(), "{bad}");
    }
}

/// The encoder of another implementation, for each family it knows.
#[tokio::test]
async fn tokens_of_another_implementation() {
    use aws_lc_rs::encoding::AsDer as _;
    use jsonwebtoken::{Algorithm, EncodingKey, Header};
    let random = aws_lc_rs::rand::SystemRandom::new();
    let algorithm = &aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING;
    let pkcs8 = aws_lc_rs::signature::EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = aws_lc_rs::signature::EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref()).unwrap();
    let ec = (Signer::Ec("P-384", pair), EncodingKey::from_ec_der(pkcs8.as_ref()));
    let pair = aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap();
    let der = pair.to_pkcs8().unwrap();
    let ed = (Signer::Ed(pair), EncodingKey::from_ed_der(der.as_ref()));
    let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let pkcs1 = der.as_ref()[26..].to_vec();
    let rsa = (Signer::Rsa(pair), EncodingKey::from_rsa_der(&pkcs1));
    let cases = [
        (Algorithm::ES384, &ec),
        (Algorithm::EdDSA, &ed),
        (Algorithm::RS256, &rsa),
        (Algorithm::RS512, &rsa),
        (Algorithm::PS384, &rsa),
    ];
    for (algorithm, (signer, key)) in cases {
        let fake = Fake::start(vec![signer.jwk("k")]).await;
        let mut header = Header::new(algorithm);
        header.kid = Some("k".into());
        let token = jsonwebtoken::encode(&header, &fake.claims(), key).unwrap();
        let said = fake.verifier().verify(&token, now()).await;
        assert!(said.is_ok(), "{algorithm:?}: {said:?}");
    }
}

#[tokio::test]
async fn every_algorithm_verifies() {
    let rsa = || Signer::rsa();
    let cases: [(&str, Signer); 6] = [
        ("RS256", rsa()),
        ("PS512", rsa()),
        ("ES256", Signer::ec("P-256")),
        ("ES384", Signer::ec("P-384")),
        ("ES512", Signer::ec("P-521")),
        ("Ed25519", Signer::ed()),
    ];
    for (algorithm, signer) in cases {
        let fake = Fake::start(vec![signer.jwk("k")]).await;
        let header = json!({ "alg": algorithm, "kid": "k", "typ": "JWT" }).to_string();
        let token = signer.token(&header, &fake.claims().to_string());
        let said = fake.verifier().verify(&token, now()).await;
        assert!(said.is_ok(), "{algorithm}: {said:?}");
    }
}
