//! Tokens of workloads by trust rules: what each platform signs is accepted, and every known attack
//! is refused, each for its own reason.

use crate::support::{Fake, NOW, Signer, at, now};
use portcullis_core::principal::PrincipalKind;
use portcullis_identity::{IdentityError, Provider, TrustRule, Verifier, http_client};
use serde_json::{Value, json};

/// A rule of each kind, as one would write it.
const KUBERNETES: &str = r#"
name = "claude-pod"
kind = "kubernetes"
issuer = "ISSUER"
audiences = ["portcullis"]
principal = "agent"
groups = ["agents"]
pins = { "/kubernetes.io/namespace" = "agents", "/kubernetes.io/serviceaccount/name" = ["claude", "gpt"] }
"#;
const GITHUB: &str = r#"
name = "orders-ci"
kind = "github-actions"
issuer = "ISSUER"
audiences = ["portcullis"]
groups = ["ci"]
pins = { repository_id = "7", repository_owner_id = "70", ref = "refs/heads/main" }
"#;
const GITLAB: &str = r#"
name = "orders-pipeline"
kind = "gitlab"
issuer = "ISSUER"
audiences = ["portcullis"]
pins = { project_id = "22", ref_path = "refs/heads/main", ref_protected = "true" }
"#;
const SPIFFE: &str = r#"
name = "billing"
kind = "spiffe"
issuer = "ISSUER"
audiences = ["portcullis"]
pins = { sub = "spiffe://corp.example/ns/billing/sa/worker" }
"#;
const OIDC: &str = r#"
name = "batch"
kind = "oidc"
issuer = "ISSUER"
audiences = ["portcullis"]
pins = { sub = "arn:aws:iam::123456789012:role/batch", retries = 3, internal = true }
"#;

/// A rule, and the claims its platform signs for an issuer.
type Kind = (&'static str, fn(&str) -> Value);

fn rule(text: &str, issuer: &str) -> TrustRule {
    toml::from_str(&text.replace("ISSUER", issuer)).unwrap()
}

fn times(issuer: &str) -> Value {
    json!({ "iss": issuer, "aud": "portcullis", "iat": NOW - 10, "nbf": NOW - 10,
            "exp": NOW + 600, "jti": "j-1" })
}

fn with(base: &Value, more: Value) -> Value {
    let mut all = base.clone();
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

/// The claims each platform signs.
fn kubernetes(issuer: &str) -> Value {
    with(
        &times(issuer),
        json!({
            "aud": ["portcullis"],
            "sub": "system:serviceaccount:agents:claude",
            "kubernetes.io": {
                "namespace": "agents",
                "node": { "name": "n1", "uid": "d3d3" },
                "pod": { "name": "claude-7d9", "uid": "6c1b" },
                "serviceaccount": { "name": "claude", "uid": "9a1e" },
            },
        }),
    )
}

fn github(issuer: &str) -> Value {
    with(
        &times(issuer),
        json!({
            "sub": "repo:corp/orders:ref:refs/heads/main",
            "ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true",
            "repository": "corp/orders", "repository_id": "7",
            "repository_owner": "corp", "repository_owner_id": "70",
            "repository_visibility": "private", "run_id": "1", "run_attempt": "1",
            "event_name": "push", "head_ref": "", "base_ref": "", "actor": "ana", "actor_id": "5",
            "workflow": "deploy", "runner_environment": "github-hosted",
            "job_workflow_ref": "corp/orders/.github/workflows/deploy.yml@refs/heads/main",
        }),
    )
}

fn gitlab(issuer: &str) -> Value {
    with(
        &times(issuer),
        json!({
            "sub": "project_path:corp/orders:ref_type:branch:ref:main",
            "namespace_id": "72", "namespace_path": "corp", "project_id": "22",
            "project_path": "corp/orders", "user_id": "1", "user_login": "ana",
            "pipeline_id": "574", "pipeline_source": "push", "job_id": "302",
            "ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main",
            "ref_protected": "true", "runner_environment": "self-hosted",
        }),
    )
}

fn spiffe(issuer: &str) -> Value {
    with(&times(issuer), json!({ "sub": "spiffe://corp.example/ns/billing/sa/worker" }))
}

fn oidc(issuer: &str) -> Value {
    let sub = "arn:aws:iam::123456789012:role/batch";
    with(&times(issuer), json!({ "sub": sub, "retries": 3, "internal": true }))
}

/// A platform with one rule.
struct Stage {
    fake: Fake,
    signer: Signer,
    header: &'static str,
    verifier: Verifier,
    good: Value,
}

impl Stage {
    async fn new(text: &str, claims: fn(&str) -> Value) -> Self {
        // SPIRE signs with EC keys, the others with RSA.
        let (signer, header) = match text == SPIFFE {
            true => (Signer::ec("P-256"), r#"{"alg":"ES256","kid":"k","typ":"JWT"}"#),
            false => (Signer::rsa(), r#"{"alg":"RS256","kid":"k","typ":"JWT","x5t":"AA"}"#),
        };
        let mut jwk = signer.jwk("k");
        if text == SPIFFE {
            jwk["use"] = "jwt-svid".into();
        }
        let fake = Fake::start(vec![jwk]).await;
        let rule = rule(text, &fake.issuer);
        let verifier = Verifier::with_rules(Vec::new(), vec![rule], http_client).unwrap();
        let good = claims(&fake.issuer);
        Self { fake, signer, header, verifier, good }
    }

    fn signed(&self, claims: &Value) -> String {
        self.signer.token(self.header, &claims.to_string())
    }

    async fn says(
        &self,
        claims: &Value,
    ) -> Result<portcullis_core::principal::Principal, IdentityError> {
        self.verifier.verify(&self.signed(claims), now()).await
    }

    /// A token that is good but for these claims.
    async fn refuses(&self, attack: &str, edit: Value, expect: IdentityError) {
        assert_eq!(self.says(&with(&self.good, edit)).await, Err(expect), "{attack}");
    }

    async fn refuses_without(&self, attack: &str, claim: &str, expect: IdentityError) {
        let mut claims = self.good.clone();
        claims.as_object_mut().unwrap().remove(claim).unwrap();
        assert_eq!(self.says(&claims).await, Err(expect), "{attack}");
    }
}

fn pin(claim: &str) -> IdentityError {
    IdentityError::Pin { claim: claim.into() }
}

fn absent(claim: &str) -> IdentityError {
    IdentityError::PinAbsent { claim: claim.into() }
}

fn not_one(claim: &str) -> IdentityError {
    IdentityError::PinNotOne { claim: claim.into() }
}

fn elsewhere() -> IdentityError {
    IdentityError::WrongAudience { expected: vec!["portcullis".into()] }
}

#[tokio::test]
async fn what_each_platform_signs_is_a_workload() {
    use PrincipalKind::{Agent, Workload};
    type Row = (&'static str, fn(&str) -> Value, PrincipalKind, &'static str, &'static str);
    let rows: [Row; 5] = [
        (KUBERNETES, kubernetes, Agent, "claude-pod", "system:serviceaccount:agents:claude"),
        (GITHUB, github, Workload, "orders-ci", "repository_id:7:ref:refs/heads/main"),
        (GITLAB, gitlab, Workload, "orders-pipeline", "project_id:22:branch:main"),
        (SPIFFE, spiffe, Workload, "billing", "spiffe://corp.example/ns/billing/sa/worker"),
        (OIDC, oidc, Workload, "batch", "arn:aws:iam::123456789012:role/batch"),
    ];
    for (text, claims, kind, name, subject) in rows {
        let stage = Stage::new(text, claims).await;
        // Groups, kind and whom it acts for are none of the token's business.
        let free = json!({ "groups": ["dba"], "kind": "person", "acting_for": "ana",
                           "preferred_username": "ana", "email": "ana@corp.example" });
        let principal = stage.says(&with(&stage.good, free)).await.unwrap();
        assert_eq!((principal.kind, &*principal.name, &*principal.subject), (kind, name, subject));
        assert_eq!(principal.acting_for, None, "{name}");
        assert_eq!(principal.groups, rule(text, "https://x").groups, "{name}");
        assert_eq!(
            (principal.issuer, principal.expires),
            (stage.fake.issuer.clone(), at(NOW + 600))
        );
        assert_eq!(principal.token_id.as_deref(), Some("j-1"));
    }
}

#[tokio::test]
async fn attacks_on_every_kind() {
    let kinds: [Kind; 5] = [
        (KUBERNETES, kubernetes),
        (GITHUB, github),
        (GITLAB, gitlab),
        (SPIFFE, spiffe),
        (OIDC, oidc),
    ];
    for (text, claims) in kinds {
        let stage = Stage::new(text, claims).await;
        let other = format!("{}/", stage.fake.issuer);
        let unknown = IdentityError::UnknownIssuer;
        stage.refuses("an issuer with a slash more", json!({ "iss": other }), unknown).await;
        stage.refuses("another audience", json!({ "aud": "vault" }), elsewhere()).await;
        stage.refuses("a longer audience", json!({ "aud": "portcullis2" }), elsewhere()).await;
        let aud = IdentityError::InvalidClaim("aud".into());
        stage.refuses("an audience among objects", json!({ "aud": ["portcullis", {}] }), aud).await;
        let act = IdentityError::InvalidClaim("act".into());
        stage.refuses("somebody it acts as", json!({ "act": { "sub": "x" } }), act).await;
        let said = stage.says(&with(&stage.good, json!({ "exp": NOW - 1 }))).await;
        assert!(matches!(said, Err(IdentityError::Expired { .. })));
        let said = stage.says(&with(&stage.good, json!({ "exp": NOW + 90_000 }))).await;
        assert!(matches!(said, Err(IdentityError::LifetimeTooLong { .. })));
        // Another key under the same id.
        let forged =
            Signer::ec("P-256").token(r#"{"alg":"ES256","kid":"k"}"#, &stage.good.to_string());
        let said = stage.verifier.verify(&forged, now()).await;
        assert!(matches!(said, Err(IdentityError::BadSignature | IdentityError::KeyMismatch)));
        // A claim said twice: the first would be the pinned one.
        let twice = stage.good.to_string().replacen('{', "{\"sub\":\"other\",", 1);
        let said = stage.verifier.verify(&stage.signer.token(stage.header, &twice), now()).await;
        assert!(matches!(said, Err(IdentityError::Malformed(_))), "{said:?}");
    }
}

#[tokio::test]
async fn attacks_on_kubernetes() {
    use IdentityError::{InvalidClaim, LegacyServiceAccount, MissingClaim, SubjectsDiffer};
    let stage = Stage::new(KUBERNETES, kubernetes).await;
    let account = |namespace: Value, name: Value| {
        let sub = format!(
            "system:serviceaccount:{}:{}",
            namespace.as_str().unwrap_or("agents"),
            name.as_str().unwrap_or("claude")
        );
        let about = json!({ "namespace": namespace, "serviceaccount": { "name": name } });
        json!({ "sub": sub, "kubernetes.io": about })
    };
    let (ns, sa) = ("/kubernetes.io/namespace", "/kubernetes.io/serviceaccount/name");
    let edit = account("default".into(), "claude".into());
    stage.refuses("an account of that name elsewhere", edit, pin(ns)).await;
    let edit = account("agents".into(), "default".into());
    stage.refuses("another account of the namespace", edit, pin(sa)).await;
    for (name, why) in [
        ("claude2", "a name that begins alike"),
        ("Claude", "another case"),
        ("clаude", "a Cyrillic letter"),
        ("claude ", "a space behind it"),
    ] {
        stage.refuses(why, account("agents".into(), name.into()), pin(sa)).await;
    }
    let edit = json!({ "sub": "system:serviceaccount:kube-system:admin" });
    stage.refuses("two accounts in one token", edit, SubjectsDiffer).await;
    let edit = account(json!(["agents"]), "claude".into());
    stage.refuses("a list of namespaces", edit, InvalidClaim("kubernetes.io".into())).await;
    let missing = MissingClaim("kubernetes.io".into());
    stage.refuses_without("no account at all", "kubernetes.io", missing).await;
    let edit = json!({ "kubernetes.io": "agents" });
    stage.refuses("an account that is a text", edit, MissingClaim("kubernetes.io".into())).await;
    stage.refuses_without("no expiry", "exp", LegacyServiceAccount).await;
    stage.refuses_without("no audience", "aud", LegacyServiceAccount).await;
    let legacy = json!({
        "iss": stage.fake.issuer, "sub": "system:serviceaccount:agents:claude",
        "kubernetes.io/serviceaccount/namespace": "agents",
        "kubernetes.io/serviceaccount/secret.name": "claude-token-x",
        "kubernetes.io/serviceaccount/service-account.name": "claude",
    });
    assert_eq!(stage.says(&legacy).await, Err(LegacyServiceAccount), "a token of a secret");
    let edit = json!({ "kubernetes.io/serviceaccount/namespace": "agents" });
    stage.refuses("both forms", edit, LegacyServiceAccount).await;
    let edit = json!({ "aud": ["https://kubernetes.default.svc"] });
    stage.refuses("what every pod has", edit, elsewhere()).await;
}

#[tokio::test]
async fn attacks_on_github() {
    let stage = Stage::new(GITHUB, github).await;
    let foreign = || IdentityError::ForeignRun { pin: "event_name" };
    stage
        .refuses("another repository", json!({ "repository_id": "8" }), pin("repository_id"))
        .await;
    stage
        .refuses(
            "a repository of that name, made anew by others",
            json!({ "repository_id": "900", "repository_owner_id": "901" }),
            pin("repository_id"),
        )
        .await;
    let edit = json!({ "repository_owner_id": "71" });
    stage.refuses("moved to another owner", edit, pin("repository_owner_id")).await;
    stage.refuses("a number", json!({ "repository_id": 7 }), not_one("repository_id")).await;
    stage.refuses("a list", json!({ "repository_id": ["7", "8"] }), not_one("repository_id")).await;
    stage.refuses("null", json!({ "repository_id": null }), not_one("repository_id")).await;
    stage.refuses("an object", json!({ "ref": { "0": "refs/heads/main" } }), not_one("ref")).await;
    stage.refuses_without("no ref", "ref", absent("ref")).await;
    for (other, why) in [
        ("refs/heads/main2", "a branch that begins alike"),
        ("refs/heads/Main", "another case"),
        ("refs/heads/maın", "a letter that looks alike"),
        ("refs/heads/x/main", "a branch that ends alike"),
        ("refs/tags/main", "a tag of that name"),
        ("main", "the name alone"),
        ("refs/pull/3/merge", "what a pull request brings"),
    ] {
        stage.refuses(why, json!({ "ref": other }), pin("ref")).await;
    }
    for event in ["pull_request", "pull_request_target", "pull_request_review"] {
        stage.refuses(event, json!({ "event_name": event }), foreign()).await;
    }
    let edit = json!({ "event_name": "pull_request", "ref": "refs/pull/3/merge",
                       "sub": "repo:corp/orders:pull_request", "head_ref": "x" });
    stage.refuses("a pull request as it is", edit, foreign()).await;
    // What the owner of a repository can have `sub` say, makes it nobody else.
    let edit = json!({ "sub": "repo:corp/payments:ref:refs/heads/main" });
    let principal = stage.says(&with(&stage.good, edit)).await.unwrap();
    assert_eq!(principal.subject, "repository_id:7:ref:refs/heads/main");
}

#[tokio::test]
async fn attacks_on_gitlab() {
    let stage = Stage::new(GITLAB, gitlab).await;
    stage.refuses("another project", json!({ "project_id": "23" }), pin("project_id")).await;
    stage.refuses("a number", json!({ "project_id": 22 }), not_one("project_id")).await;
    let edit = json!({ "ref_path": "refs/tags/main", "ref_type": "tag" });
    stage.refuses("a tag with the name of the branch", edit, pin("ref_path")).await;
    let edit = json!({ "ref_protected": "false" });
    stage.refuses("a branch that is not protected", edit, pin("ref_protected")).await;
    let edit = json!({ "ref_protected": true });
    stage.refuses("a flag for a text", edit, not_one("ref_protected")).await;
    stage.refuses_without("no word on protection", "ref_protected", absent("ref_protected")).await;
    for source in ["merge_request_event", "external_pull_request_event"] {
        let foreign = IdentityError::ForeignRun { pin: "pipeline_source" };
        stage.refuses(source, json!({ "pipeline_source": source }), foreign).await;
    }
}

#[tokio::test]
async fn attacks_on_spiffe() {
    let stage = Stage::new(SPIFFE, spiffe).await;
    let no = |id: &str, why: &'static str| (id.to_owned(), IdentityError::SpiffeId(why));
    let domain = "its trust domain is not of lower-case letters, digits, `.`, `-` and `_`";
    let escaped = "it has percent-encoding";
    let dots = "its path has `.` or `..`";
    let rows = [
        ("spiffe://corp.example/ns/billing/sa/worker2".to_owned(), pin("sub")),
        ("spiffe://corp.example/ns/billing/sa/Worker".to_owned(), pin("sub")),
        ("spiffe://corp.example/ns/billing/sa".to_owned(), pin("sub")),
        ("spiffe://corp.example.evil/ns/billing/sa/worker".to_owned(), pin("sub")),
        no("spiffe://Corp.Example/ns/billing/sa/worker", domain),
        no("spiffe://cоrp.example/ns/billing/sa/worker", domain),
        no("spiffe://corp.example/ns/x/../billing/sa/worker", dots),
        no("spiffe://corp.example/./ns/billing/sa/worker", dots),
        no("spiffe://corp.example/ns%2fbilling/sa/worker", escaped),
        no("spiffe://corp%2eexample/ns/billing/sa/worker", escaped),
        no("spiffe://corp.example//ns/billing/sa/worker", "its path has an empty segment"),
        no("spiffe://corp.example/ns/billing/sa/worker/", "its path has an empty segment"),
        no(
            "spiffe://evil@corp.example/ns/billing/sa/worker",
            "its trust domain has a user or a port",
        ),
        no(
            "spiffe://corp.example:8443/ns/billing/sa/worker",
            "its trust domain has a user or a port",
        ),
        no("spiffe://corp.example/ns/billing/sa/worker?x", "it has a query or a fragment"),
        no("SPIFFE://corp.example/ns/billing/sa/worker", "it does not begin with spiffe://"),
        no("https://corp.example/ns/billing/sa/worker", "it does not begin with spiffe://"),
        no("spiffe://corp.example", "it has no path, so it names no workload"),
    ];
    for (id, expect) in rows {
        stage.refuses(&id, json!({ "sub": id }), expect).await;
    }
    stage
        .refuses(
            "a list of ids",
            json!({ "sub": ["spiffe://corp.example/ns/billing/sa/worker"] }),
            IdentityError::SpiffeId("it does not begin with spiffe://"),
        )
        .await;
}

#[tokio::test]
async fn attacks_on_other_issuers() {
    let stage = Stage::new(OIDC, oidc).await;
    stage.refuses("another role", json!({ "sub": "arn:aws:iam::1:role/batch" }), pin("sub")).await;
    stage.refuses("a text for a number", json!({ "retries": "3" }), not_one("retries")).await;
    stage.refuses("another number", json!({ "retries": 4 }), pin("retries")).await;
    stage.refuses("a fraction", json!({ "retries": 3.5 }), pin("retries")).await;
    stage.refuses("a text for a flag", json!({ "internal": "true" }), not_one("internal")).await;
    stage.refuses_without("no flag", "internal", absent("internal")).await;
}

#[tokio::test]
async fn of_several_rules_for_one_issuer_one_counts() {
    let signer = Signer::rsa();
    let fake = Fake::start(vec![signer.jwk("k")]).await;
    let ci = rule(GITHUB, &fake.issuer);
    let other = GITHUB.replace("orders-ci", "payments-ci").replace("\"7\"", "\"8\"");
    let payments = rule(&other.replace("[\"ci\"]", "[\"payers\"]"), &fake.issuer);
    let verifier = Verifier::with_rules(Vec::new(), vec![ci, payments], http_client).unwrap();
    let verify = async |edit: Value| {
        let claims = with(&github(&fake.issuer), edit).to_string();
        verifier.verify(&signer.token(r#"{"alg":"RS256","kid":"k"}"#, &claims), now()).await
    };
    assert_eq!(verify(json!({})).await.unwrap().name, "orders-ci");
    let principal = verify(json!({ "repository_id": "8" })).await.unwrap();
    assert_eq!((&*principal.name, principal.groups), ("payments-ci", ["payers".to_owned()].into()));
    assert_eq!(verify(json!({ "repository_id": "9" })).await, Err(IdentityError::NoRule));
}

/// What a rule has to say; each row is a way of not saying it.
#[test]
fn rules_that_let_in_more_than_they_name_are_refused() {
    let check = |text: &str, key: &str, add: &str| {
        let rule = rule(text, "https://platform.example");
        let error = Verifier::with_rules(Vec::new(), vec![rule], http_client).unwrap_err();
        assert_eq!((error.whose, error.key), ("workload rule", key), "{error}");
        assert!(error.to_string().contains(add), "{error}");
    };
    let pins = |text: &str, pins: &str| {
        let at = text.find("pins = ").unwrap();
        format!("{}pins = {{ {pins} }}", &text[..at])
    };
    for text in [KUBERNETES, GITHUB, GITLAB, SPIFFE, OIDC] {
        check(&pins(text, ""), "pins", "do not say whose tokens these are: add ");
        check(&pins(text, "iss = 'x'"), "pins", "do not say whose tokens these are: add ");
        check(&text.replace("[\"portcullis\"]", "[]"), "audiences", "at least one");
    }
    let sa = "\"/kubernetes.io/serviceaccount/name\"";
    check(&pins(KUBERNETES, "\"/kubernetes.io/namespace\" = 'agents'"), "pins", sa);
    check(&pins(KUBERNETES, &format!("{sa} = 'claude'")), "pins", "/kubernetes.io/namespace");
    check(&pins(KUBERNETES, "\"kubernetes.io\" = 'agents'"), "pins", "/kubernetes.io/namespace");
    check(
        &pins(GITHUB, "repository = 'corp/orders', ref = 'refs/heads/main'"),
        "pins",
        "repository_id",
    );
    check(
        &pins(GITHUB, "repository_owner = 'corp', ref = 'refs/heads/main'"),
        "pins",
        "repository_id",
    );
    check(&pins(GITHUB, "sub = 'repo:corp/orders:ref:refs/heads/main'"), "pins", "repository_id");
    check(&pins(GITHUB, "repository_id = '7'"), "pins", "add ref = ");
    check(&pins(GITHUB, "repository_id = '7', ref = 'main'"), "pins", "must be whole");
    check(&pins(GITHUB, "repository_id = '7', ref = 'refs/pull/1/merge'"), "pins", "must be whole");
    check(
        &pins(GITLAB, "project_path = 'corp/orders', ref_path = 'r', ref_protected = 'true'"),
        "pins",
        "project_id",
    );
    check(
        &pins(GITLAB, "project_id = '22', ref = 'main', ref_protected = 'true'"),
        "pins",
        "ref_type",
    );
    check(
        &pins(GITLAB, "project_id = '22', ref_path = 'refs/heads/main'"),
        "pins",
        "ref_protected",
    );
    check(
        &pins(GITLAB, "project_id = '22', ref_path = 'r', ref_protected = true"),
        "pins",
        "the text \"true\"",
    );
    check(&pins(SPIFFE, "sub = 'spiffe://corp.example'"), "pins", "no path");
    check(&pins(SPIFFE, "sub = 'spiffe://Corp.example/a'"), "pins", "lower-case");
    check(&pins(OIDC, "email = 'a@b'"), "pins", "add sub");
    // Wildcards, and values nothing can have.
    check(&pins(OIDC, "sub = '*'"), "pins", "there are no wildcards");
    check(&pins(OIDC, "sub = ['a', 'role/*']"), "pins", "there are no wildcards");
    check(
        &pins(GITHUB, "repository_id = '7', ref = 'refs/heads/*'"),
        "pins",
        "there are no wildcards",
    );
    check(&pins(OIDC, "sub = []"), "pins", "no value");
    check(&pins(OIDC, "sub = ''"), "pins", "visible characters");
    check(&pins(OIDC, "sub = 'a\u{200b}'"), "pins", "visible characters");
    check(&pins(OIDC, "sub = 'a', '/sub' = 'b'"), "pins", "pinned twice");
    // Audiences every pod has a token for.
    for aud in [
        "https://platform.example",
        "https://kubernetes.default.svc",
        "https://kubernetes.default.svc.cluster.local/",
    ] {
        check(
            &KUBERNETES.replace("\"portcullis\"", &format!("\"p\", \"{aud}\"")),
            "audiences",
            "every pod",
        );
    }
    check(&KUBERNETES.replace("[\"agents\"]", "[\"a\\nb\"]"), "groups", "visible");
    let person = KUBERNETES.replace("\"agent\"", "\"person\"");
    assert!(toml::from_str::<TrustRule>(&person).is_err(), "a workload is no person");
    let kind = KUBERNETES.replace("\"kubernetes\"", "\"Kubernetes\"");
    assert!(toml::from_str::<TrustRule>(&kind).is_err());
    assert!(toml::from_str::<TrustRule>(&format!("{OIDC}\nwildcards = true")).is_err());
}

#[test]
fn rules_that_could_both_match_are_refused() {
    let issuer = "https://platform.example";
    let check = |second: &str, key: &str, why: &str| {
        let rules = vec![rule(GITHUB, issuer), rule(second, issuer)];
        let error = Verifier::with_rules(Vec::new(), rules, http_client).unwrap_err();
        assert_eq!((&*error.provider, error.key), ("second", key), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    };
    let second = GITHUB.replace("orders-ci", "second");
    let pins =
        |pins: &str| format!("{}pins = {{ {pins} }}", &second[..second.find("pins = ").unwrap()]);
    check(&second, "pins", "one token could match this rule and \"orders-ci\"");
    let audience = second.replace("[\"portcullis\"]", "[\"other\"]");
    check(&audience, "pins", "could match");
    check(&pins("repository_id = '7', environment = 'production'"), "pins", "could match");
    check(&pins("repository_id = ['7', '8'], ref = 'refs/heads/main'"), "pins", "could match");
    check(
        &second.replace("github-actions", "oidc").replace("pins = {", "pins = { sub = 'x',"),
        "issuer",
        "another `kind`",
    );
    let apart = pins("repository_id = '7', ref = 'refs/heads/next'");
    let rules = vec![rule(GITHUB, issuer), rule(&apart, issuer)];
    assert!(Verifier::with_rules(Vec::new(), rules, http_client).is_ok());
    // Two that are one principal: what one is granted would be the other's.
    let of = |name: &str, more: &str| {
        let text = GITHUB.replace("orders-ci", name);
        let start = &text[..text.find("pins = ").unwrap()];
        rule(&format!("{start}pins = {{ repository_id = '7', {more} }}"), issuer)
    };
    let told = |one: &str, other: &str| {
        let rules = vec![of("one", one), of("other", other)];
        Verifier::with_rules(Vec::new(), rules, http_client).map(drop).map_err(|e| e.to_string())
    };
    let main = "ref = 'refs/heads/main'";
    let event = |name: &str| format!("{main}, event_name = '{name}'");
    let refused = told(&event("push"), &event("schedule")).unwrap_err();
    assert!(refused.contains("known by the same subject"), "{refused}");
    let within = |branch: &str| format!("environment = 'production', ref = 'refs/heads/{branch}'");
    assert!(told(&within("main"), &within("next")).unwrap_err().contains("same subject"));
    let file = |name: &str| format!("{main}, job_workflow_ref = 'corp/orders/{name}.yml@main'");
    assert_eq!(told(&file("deploy"), &file("report")), Ok(()));
    // Elsewhere it does not matter.
    let rules = vec![rule(GITHUB, issuer), rule(&second, "https://other.example")];
    assert!(Verifier::with_rules(Vec::new(), rules, http_client).is_ok());
    let rules = vec![rule(GITHUB, issuer), rule(GITHUB, "https://other.example")];
    let error = Verifier::with_rules(Vec::new(), rules, http_client).unwrap_err();
    assert_eq!(error.key, "name", "{error}");
    // A provider of the same issuer would take every token of the platform.
    let provider = Provider::new("people", issuer, "portcullis");
    let error = Verifier::with_rules(vec![provider], vec![rule(GITHUB, issuer)], http_client);
    assert!(error.unwrap_err().to_string().contains("could be read in two ways"));
}
