//! The gateway's own credentials: what they are made of, never more than the person has, and every way
//! to have one that was not given.

use crate::support::{Fake, NOW, Signer, at, b64, now};
use portcullis_core::id::CredentialId;
use portcullis_core::principal::{Actor, PrincipalKind};
use portcullis_identity::own::{
    ExchangeError, Grant, KeyRing, LONGEST, Minted, OWN_ISSUER, OwnIssuer, Terms, is_credential,
};
use portcullis_identity::{IdentityError, Provider, TrustRule, Verifier, Vouched, http_client};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const HEADER: &str = r#"{"alg":"ES256","kid":"k"}"#;

/// People and agents at one issuer, a platform with two workloads at another.
struct Stage {
    people: Fake,
    platform: Fake,
    signer: Signer,
    verifier: Verifier,
    own: OwnIssuer,
}

impl Stage {
    async fn new() -> Self {
        let signer = Signer::ec("P-256");
        let people = Fake::start(vec![signer.jwk("k")]).await;
        let platform = Fake::start(vec![signer.jwk("k")]).await;
        let corp = Provider {
            kind_claim: Some("kind".to_owned().try_into().unwrap()),
            ..Provider::new("corp", &people.issuer, "portcullis")
        };
        let rule = |name: &str, more: &str| -> TrustRule {
            let text = format!(
                "name = '{name}'\nkind = 'oidc'\nissuer = '{}'\naudiences = ['portcullis']\n\
                 groups = ['ci', 'dba']\npins = {{ sub = '{name}' }}\n{more}",
                platform.issuer
            );
            toml::from_str(&text).unwrap()
        };
        let rules = vec![rule("alone", ""), rule("helper", "lend_groups = ['developers', 'ops']")];
        let verifier = Verifier::with_rules(vec![corp], rules, http_client).unwrap();
        let own = OwnIssuer::new(KeyRing::generate(now()).unwrap());
        Self { people, platform, signer, verifier, own }
    }

    async fn vouch(&self, claims: &Value) -> Vouched {
        let token = self.signer.token(HEADER, &claims.to_string());
        self.verifier.vouch(&token, now()).await.unwrap()
    }

    fn of(fake: &Fake, more: &Value) -> Value {
        let mut claims = fake.claims();
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        claims
    }

    async fn ana_with(&self, more: &Value) -> Vouched {
        let groups = json!(["developers", "dba", "board"]);
        let mut claims = json!({ "sub": "ana", "kind": "person", "groups": groups });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.vouch(&Self::of(&self.people, &claims)).await
    }

    async fn ana(&self) -> Vouched {
        self.ana_with(&json!({})).await
    }

    async fn agent(&self) -> Vouched {
        let claims = json!({ "sub": "claude", "kind": "agent", "groups": ["agents", "secret"] });
        self.vouch(&Self::of(&self.people, &claims)).await
    }

    async fn workload(&self, name: &str) -> Vouched {
        self.vouch(&Self::of(&self.platform, &json!({ "sub": name }))).await
    }

    fn mint(&self, grant: Grant) -> Minted {
        self.mint_for(grant, Duration::from_secs(300))
    }

    fn mint_for(&self, grant: Grant, lifetime: Duration) -> Minted {
        let id = CredentialId::from_bits(7);
        let terms = Terms { id, connection: "orders", purpose: "fix it", lifetime };
        self.own.mint(grant, &terms, now())
    }
}

fn groups(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&crate::support::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn an_agent_for_a_person_has_no_more_than_the_person() {
    let stage = Stage::new().await;
    let lent = groups(&["developers", "ops", "agents"]);
    let grant = Grant::delegated(stage.ana().await, stage.agent().await, &lent).unwrap();
    assert_eq!(grant.vouched_by(), ["corp", "corp"]);
    let minted = stage.mint(grant);
    let who = &minted.principal;
    assert_eq!(
        (who.kind, &*who.subject, &who.issuer),
        (PrincipalKind::Agent, "claude", &stage.people.issuer)
    );
    assert_eq!(who.acting_for.as_deref(), Some("ana"));
    // Neither what ana does not have (ops), nor what is not lent (dba), nor the agent's own.
    assert_eq!(who.groups, groups(&["developers"]));
    assert_eq!(who.to_string(), "claude for ana");
    let said = claims(&minted.token);
    assert_eq!(
        (&said["iss"], &said["sub"], &said["purpose"]),
        (&json!(OWN_ISSUER), &json!("ana"), &json!("fix it"))
    );
    assert_eq!(said["act"], json!({ "sub": "claude", "iss": stage.people.issuer }));
    assert_eq!(said["aud"], "urn:portcullis:connection:orders");
    assert_eq!(said["sub_id"]["iss"], json!(stage.people.issuer));
    assert!(said.get("groups").is_none());

    // A workload of a rule: what its rule lends too.
    let lent = groups(&["developers", "dba"]);
    let helper = stage.workload("helper").await;
    let grant = Grant::delegated(stage.ana().await, helper, &lent).unwrap();
    let who = stage.mint(grant).principal;
    assert_eq!((&*who.name, who.groups), ("helper", groups(&["developers"])));
    assert_eq!((who.kind, &who.issuer), (PrincipalKind::Workload, &stage.platform.issuer));
}

#[tokio::test]
async fn exchanges_that_give_nothing() {
    use ExchangeError::{
        ActsAlready, ActsForNobody, NotAPerson, NotItsActor, NothingLent, PersonActs, TooManyActors,
    };
    let stage = Stage::new().await;
    let lent = groups(&["developers"]);
    let check = |subject, actor, lent: &BTreeSet<String>, expect| {
        assert_eq!(Grant::delegated(subject, actor, lent).map(drop), Err(expect));
    };
    check(stage.agent().await, stage.agent().await, &lent, NotAPerson);
    check(stage.workload("helper").await, stage.agent().await, &lent, NotAPerson);
    check(stage.ana().await, stage.ana().await, &lent, PersonActs);
    check(stage.ana().await, stage.workload("alone").await, &lent, ActsForNobody);
    check(stage.ana().await, stage.agent().await, &groups(&[]), NothingLent);
    check(stage.ana().await, stage.agent().await, &groups(&["agents", "ops"]), NothingLent);
    check(stage.ana().await, stage.workload("helper").await, &groups(&["dba"]), NothingLent);
    // Somebody whose provider says so acts for ana: nobody acts for that, and it acts for nobody else.
    let acting = json!({ "sub": "ana", "act": { "sub": "claude", "groups": ["developers"] } });
    let acting = Stage::of(&stage.people, &acting);
    check(stage.vouch(&acting).await, stage.agent().await, &lent, NotAPerson);
    check(stage.ana().await, stage.vouch(&acting).await, &lent, ActsAlready);
    // `may_act`, where the person's provider writes it.
    let may = json!({ "may_act": { "sub": "gpt" } });
    check(stage.ana_with(&may).await, stage.agent().await, &lent, NotItsActor);
    for broken in [
        json!("claude"),
        json!({}),
        json!({ "sub": ["claude"] }),
        json!({ "sub": "claude", "iss": 7 }),
    ] {
        let may = json!({ "may_act": broken });
        check(stage.ana_with(&may).await, stage.agent().await, &lent, NotItsActor);
    }
    // The same subject at another issuer is somebody else.
    let may = json!({ "may_act": { "sub": "helper" } });
    check(stage.ana_with(&may).await, stage.workload("helper").await, &lent, NotItsActor);
    let may = json!({ "may_act": { "sub": "helper", "iss": stage.platform.issuer } });
    assert!(
        Grant::delegated(stage.ana_with(&may).await, stage.workload("helper").await, &lent).is_ok()
    );
    let may = json!({ "may_act": { "sub": "claude" } });
    assert!(Grant::delegated(stage.ana_with(&may).await, stage.agent().await, &lent).is_ok());
    // History is carried, and bounded.
    let chain = |depth: usize| {
        (0..depth).rev().fold(Value::Null, |inner, n| match inner {
            Value::Null => json!({ "sub": format!("a{n}") }),
            inner => json!({ "sub": format!("a{n}"), "act": inner }),
        })
    };
    let nested = Stage::of(&stage.people, &json!({ "sub": "ana", "act": chain(4) }));
    let grant = Grant::own(stage.vouch(&nested).await).unwrap();
    let actor = |n| Actor { subject: format!("a{n}"), issuer: stage.people.issuer.clone() };
    assert_eq!(grant.actors(), [actor(0), actor(1), actor(2), actor(3)]);
    let said = claims(&stage.mint(grant).token);
    assert_eq!(
        (&said["sub"], &said["act"]["act"]["act"]["act"]["sub"]),
        (&json!("ana"), &json!("a3"))
    );
    let nested = Stage::of(&stage.people, &json!({ "sub": "ana", "act": chain(5) }));
    assert_eq!(Grant::own(stage.vouch(&nested).await).map(drop), Err(TooManyActors));
}

#[tokio::test]
async fn a_credential_ends_with_the_first_of_its_tokens() {
    let stage = Stage::new().await;
    let lent = groups(&["developers"]);
    let minted = stage.mint_for(Grant::own(stage.ana().await).unwrap(), LONGEST);
    assert_eq!(minted.principal.expires, at(NOW + 600), "that of the token");
    let short = stage.ana_with(&json!({ "exp": NOW + 60 })).await;
    let grant = Grant::delegated(short, stage.agent().await, &lent).unwrap();
    let minted = stage.mint_for(grant, LONGEST);
    assert_eq!(
        (minted.principal.expires, &claims(&minted.token)["exp"]),
        (at(NOW + 60), &json!(NOW + 60))
    );
    let long = stage.ana_with(&json!({ "exp": NOW + 80_000 })).await;
    let minted = stage.mint_for(Grant::own(long).unwrap(), Duration::from_secs(80_000));
    assert_eq!(
        minted.principal.expires,
        at(NOW + 12 * 3600),
        "twelve hours, whatever is asked for"
    );
    assert!(stage.own.read(&minted.token, at(NOW + 12 * 3600 - 1)).is_ok());
    let said = stage.own.read(&minted.token, at(NOW + 12 * 3600));
    assert!(matches!(said, Err(IdentityError::Expired { .. })), "{said:?}");
}

/// None leads to another, and no token passes for one, nor the other way round.
#[tokio::test]
async fn credentials_and_tokens_are_not_taken_for_one_another() {
    let stage = Stage::new().await;
    let minted = stage.mint(Grant::own(stage.ana().await).unwrap());
    assert!(is_credential(&minted.token) && is_credential(&format!(" {}\n", *minted.token)));
    let presented = stage.own.read(&minted.token, now()).unwrap();
    assert_eq!((presented.id, &*presented.connection), (CredentialId::from_bits(7), "orders"));
    let said = stage.verifier.vouch(&minted.token, now()).await;
    assert_eq!(said.map(drop), Err(IdentityError::OwnCredential));
    let said = stage.verifier.verify(&minted.token, now()).await;
    assert_eq!(said.map(drop), Err(IdentityError::OwnCredential));
    // Nobody may say that credentials are theirs.
    let provider = Provider::new("thief", OWN_ISSUER, "urn:portcullis:connection:orders");
    assert!(Verifier::new(vec![provider], http_client).is_err());
    // A provider's token is no credential.
    let token = stage.signer.token(HEADER, &stage.people.claims().to_string());
    assert!(!is_credential(&token));
    assert_eq!(stage.own.read(&token, now()), Err(IdentityError::TokenType));
    assert!(!format!("{minted:?}").contains(&**minted.token.rsplit('.').next().as_ref().unwrap()));
}

#[tokio::test]
async fn attacks_on_credentials() {
    use IdentityError::{
        Algorithm, BadSignature, Header, InvalidClaim, KeyMismatch, MissingClaim, NoKeyId,
        TokenType, UnknownIssuer, UnknownKey,
    };
    let stage = Stage::new().await;
    let ring = stage.own.keys();
    let kid = ring.id().to_owned();
    let minted = stage.mint(Grant::own(stage.ana().await).unwrap());
    let good = claims(&minted.token);
    let unknown = || UnknownKey { provider: OWN_ISSUER.into() };
    let check = |attack: &str, token: &str, expect: IdentityError| {
        assert_eq!(stage.own.read(token, now()), Err(expect), "{attack}");
    };
    let header = |more: Value| {
        let mut header = json!({ "alg": "EdDSA", "typ": "portcullis-credential+jwt", "kid": kid });
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        header.to_string()
    };
    // What somebody with a key of their own would sign.
    let (ed, ec) = (Signer::ed(), Signer::ec("P-256"));
    let text = good.to_string();
    check("a key of one's own", &ed.token(&header(json!({})), &text), BadSignature);
    check("another algorithm", &ec.token(&header(json!({ "alg": "ES256" })), &text), Algorithm);
    check("a key nobody knows", &ed.token(&header(json!({ "kid": "x" })), &text), unknown());
    let none = format!("{}.{}.", b64(header(json!({ "alg": "none" }))), b64(&text));
    check("no signature", &none, Algorithm);
    let jwk = header(json!({ "jwk": ed.jwk("x") }));
    check("a key inside", &ed.token(&jwk, &text), Header("jwk"));
    check("another type", &ed.token(&header(json!({ "typ": "JWT" })), &text), TokenType);
    let nameless = json!({ "alg": "EdDSA", "typ": "portcullis-credential+jwt" }).to_string();
    check("no key id", &ed.token(&nameless, &text), NoKeyId);
    // Claims changed under a good signature.
    let (signed, signature) = minted.token.rsplit_once('.').unwrap();
    let first = signed.split('.').next().unwrap();
    for (name, value) in [
        ("aud", json!("urn:portcullis:connection:payroll")),
        ("exp", json!(NOW + 900)),
        ("jti", json!("crd_0000000000001")),
    ] {
        let mut other = good.clone();
        other[name] = value;
        check(name, &format!("{first}.{}.{signature}", b64(other.to_string())), BadSignature);
    }
    // Of another gateway, whose ring is another.
    let elsewhere = OwnIssuer::new(KeyRing::generate(now()).unwrap());
    assert_eq!(elsewhere.read(&minted.token, now()), Err(unknown()));
    // Signed here, and still not what this makes: a ring of keys in hand, for the test alone.
    let mine = |claims: &Value| {
        let seed: Value = serde_json::from_str(&ring.to_text()).unwrap();
        use base64::Engine as _;
        let seed = crate::support::URL_SAFE_NO_PAD.decode(seed["seed"].as_str().unwrap()).unwrap();
        let pair = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        Signer::Ed(pair).token(&header(json!({})), &claims.to_string())
    };
    assert!(stage.own.read(&mine(&good), now()).is_ok());
    let edited = |name: &str, value: Value| {
        let mut other = good.clone();
        other[name] = value;
        mine(&other)
    };
    check("another issuer", &edited("iss", stage.people.issuer.clone().into()), UnknownIssuer);
    check("no connection", &edited("aud", "orders".into()), InvalidClaim("aud".into()));
    let both = json!(["urn:portcullis:connection:orders", "urn:portcullis:connection:payroll"]);
    check("two connections", &edited("aud", both), InvalidClaim("aud".into()));
    check("an id that is none", &edited("jti", "7".into()), InvalidClaim("jti".into()));
    let mut endless = good.clone();
    endless.as_object_mut().unwrap().remove("exp");
    check("no end", &mine(&endless), MissingClaim("exp".into()));
    let said = stage.own.read(&edited("exp", json!(NOW + 50_000)), now());
    assert!(matches!(said, Err(IdentityError::LifetimeTooLong { .. })), "{said:?}");
    let said = stage.own.read(&ec.token(&header(json!({ "alg": "EdDSA" })), &text), now());
    assert!(matches!(said, Err(BadSignature | KeyMismatch)));
}

/// What an old key has signed is good as long as it would have been, and not a moment longer.
#[tokio::test]
async fn keys_change_without_ending_credentials() {
    let stage = Stage::new().await;
    let minted = stage.mint(Grant::own(stage.ana().await).unwrap());
    let before = stage.own.keys().id().to_owned();
    stage.own.use_keys(stage.own.keys().rotated(now(), LONGEST).unwrap());
    assert_ne!(stage.own.keys().id(), before);
    assert!(stage.own.read(&minted.token, now()).is_ok());
    let newer = stage.mint(Grant::own(stage.ana().await).unwrap());
    assert!(stage.own.read(&newer.token, now()).is_ok());
    // It is read back with both.
    let text = stage.own.keys().to_text();
    let again = OwnIssuer::new(KeyRing::from_text(text.as_bytes()).unwrap());
    assert!(again.read(&minted.token, now()).is_ok() && again.read(&newer.token, now()).is_ok());
    // Past the time of all it signed, the old key is forgotten.
    let later = at(NOW + 12 * 3600 + 1);
    assert_eq!(
        again.read(&minted.token, later),
        Err(IdentityError::UnknownKey { provider: OWN_ISSUER.into() })
    );
}
