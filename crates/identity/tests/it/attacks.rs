//! Known attacks on token verification, each refused, and for the reason it should be.

use crate::support::{Fake, NOW, Signer, b64, now, verifier};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis_identity::{IdentityError, Provider, Verifier};
use serde_json::{Value, json};

/// Two providers; `corp` has a key of each kind, `other` has one under an id that `corp` uses too.
struct Stage {
    corp: Fake,
    other: Fake,
    ec: Signer,
    rsa: Signer,
    ed: Signer,
    foreign: Signer,
    verifier: Verifier,
}

impl Stage {
    async fn new() -> Self {
        let (ec, rsa, ed) = (Signer::ec("P-256"), Signer::rsa(), Signer::ed());
        let foreign = Signer::ec("P-256");
        let mut reserved = rsa.jwk("rs256-only");
        reserved["alg"] = "RS256".into();
        let corp = Fake::start(vec![ec.jwk("ec"), rsa.jwk("rsa"), ed.jwk("ed"), reserved]).await;
        let other = Fake::start(vec![foreign.jwk("ec"), foreign.jwk("other-only")]).await;
        let second = Provider::new("other", &other.issuer, "portcullis");
        let verifier = verifier(vec![corp.provider(), second]);
        Self { corp, other, ec, rsa, ed, foreign, verifier }
    }

    fn claims(&self) -> String {
        self.corp.claims().to_string()
    }

    fn with(&self, name: &str, value: impl Into<Value>) -> String {
        let mut claims = self.corp.claims();
        claims[name] = value.into();
        claims.to_string()
    }

    fn without(&self, name: &str) -> String {
        let mut claims = self.corp.claims();
        claims.as_object_mut().unwrap().remove(name);
        claims.to_string()
    }

    async fn check(&self, attack: &str, token: &str, expect: IdentityError) {
        let said = self.verifier.verify(token, now()).await;
        assert_eq!(said, Err(expect), "{attack}");
    }

    async fn check_claims(&self, attack: &str, claims: &str, expect: IdentityError) {
        self.check(attack, &self.ec.token(EC, claims), expect).await;
    }

    async fn check_header(&self, header: &str, expect: IdentityError) {
        self.check(header, &self.ec.token(header, &self.claims()), expect).await;
    }
}

const EC: &str = r#"{"alg":"ES256","kid":"ec"}"#;
const HEADER: &str = "its header is not base64url JSON with unique names";
const CLAIMS: &str = "its claims are not base64url JSON with unique names";

fn invalid(claim: &str) -> IdentityError {
    IdentityError::InvalidClaim(claim.into())
}

fn missing(claim: &str) -> IdentityError {
    IdentityError::MissingClaim(claim.into())
}

fn unknown_key() -> IdentityError {
    IdentityError::UnknownKey { provider: "corp".into() }
}

#[tokio::test]
async fn the_stage_accepts_what_is_good() {
    let stage = Stage::new().await;
    let (rsa, ed) = (r#"{"alg":"PS256","kid":"rsa"}"#, r#"{"alg":"EdDSA","kid":"ed","typ":"JWT"}"#);
    for token in [
        stage.ec.token(EC, &stage.claims()),
        stage.rsa.token(rsa, &stage.claims()),
        stage.ed.token(ed, &stage.claims()),
        stage.rsa.token(r#"{"alg":"RS256","kid":"rs256-only"}"#, &stage.claims()),
    ] {
        let principal = stage.verifier.verify(&token, now()).await.unwrap();
        assert_eq!((principal.subject.as_str(), &principal.issuer), ("alice", &stage.corp.issuer));
    }
}

#[tokio::test]
async fn algorithms_are_not_the_tokens_to_choose() {
    use IdentityError::{Algorithm, BadSignature, KeyMismatch};
    let stage = Stage::new().await;
    let claims = stage.claims();
    for none in ["none", "None", "nOnE", "", " ES256", "es256", "HS384", "dir"] {
        let header = json!({ "alg": none, "kid": "ec" }).to_string();
        let unsigned = format!("{}.{}.", b64(&header), b64(&claims));
        stage.check(none, &unsigned, Algorithm).await;
        stage.check_header(&header, Algorithm).await;
    }
    stage.check_header(r#"{"kid":"ec"}"#, Algorithm).await;
    stage.check_header(r#"{"alg":["ES256"],"kid":"ec"}"#, Algorithm).await;

    // RS256 to HS256: the public key as the secret, in each form it may be at hand.
    let jwk = stage.rsa.jwk("rsa");
    let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(&modulus)
    );
    for secret in [pem.as_bytes(), &modulus, jwk.to_string().as_bytes()] {
        let signed = format!("{}.{}", b64(r#"{"alg":"HS256","kid":"rsa"}"#), b64(&claims));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
        stage.check("HMAC", &format!("{signed}.{}", b64(tag.as_ref())), Algorithm).await;
    }

    let check = async |signer: &Signer, header: &str, expect| {
        stage.check(header, &signer.token(header, &claims), expect).await;
    };
    check(&stage.rsa, r#"{"alg":"RS256","kid":"ec"}"#, KeyMismatch).await;
    check(&stage.ec, r#"{"alg":"ES256","kid":"rsa"}"#, KeyMismatch).await;
    check(&stage.ec, r#"{"alg":"ES256","kid":"ed"}"#, KeyMismatch).await;
    check(&Signer::ec("P-384"), r#"{"alg":"ES384","kid":"ec"}"#, KeyMismatch).await;
    check(&stage.rsa, r#"{"alg":"PS256","kid":"rs256-only"}"#, KeyMismatch).await;
    check(&Signer::ec("P-256"), EC, BadSignature).await;
    check(&Signer::rsa(), r#"{"alg":"RS256","kid":"rsa"}"#, BadSignature).await;
    check(&Signer::ed(), r#"{"alg":"EdDSA","kid":"ed"}"#, BadSignature).await;
}

#[tokio::test]
async fn an_algorithm_outside_the_allow_list_is_refused_before_any_fetch() {
    let signer = Signer::ec("P-256");
    let fake = Fake::start(vec![signer.jwk("ec")]).await;
    let mut provider = fake.provider();
    provider.algorithms.retain(|algorithm| format!("{algorithm:?}") != "ES256");
    let token = signer.token(EC, &fake.claims().to_string());
    let said = verifier(vec![provider]).verify(&token, now()).await;
    assert_eq!((said, fake.fetches()), (Err(IdentityError::Algorithm), 0));
}

#[tokio::test]
async fn keys_are_not_the_tokens_to_bring() {
    let stage = Stage::new().await;
    let mine = Signer::ec("P-256");
    let jwk = mine.jwk("ec");
    let check = async |field: &'static str, value: Value| {
        let header = json!({ "alg": "ES256", "kid": "ec", field: value }).to_string();
        let token = mine.token(&header, &stage.claims());
        stage.check(field, &token, IdentityError::Header(field)).await;
    };
    check("jwk", jwk.clone()).await;
    check("jku", "https://evil.example/keys".into()).await;
    check("x5u", "https://evil.example/chain".into()).await;
    check("x5c", json!(["MIIB"])).await;
    check("crit", json!(["exp"])).await;
    check("crit", json!([])).await;
    check("crit", Value::Null).await;
    check("b64", false.into()).await;
    check("zip", "DEF".into()).await;
    check("cty", "JWT".into()).await;
    check("kid", 7.into()).await;
    check("kid", "".into()).await;
    check("kid", "x".repeat(256).into()).await;
    check("kid", "ec\0".into()).await;
    for kid in
        ["../../../../dev/null", "ec' OR '1'='1", "https://evil.example/k", "EC", "%65c", "-"]
    {
        let header = json!({ "alg": "ES256", "kid": kid }).to_string();
        stage.check(kid, &mine.token(&header, &stage.claims()), unknown_key()).await;
    }
    stage.check_header(r#"{"alg":"ES256"}"#, IdentityError::NoKeyId).await;
    for typ in ["logout+jwt", "dpop+jwt", "secevent+jwt", "JOSE", ""] {
        let header = json!({ "alg": "ES256", "kid": "ec", "typ": typ }).to_string();
        stage.check_header(&header, IdentityError::TokenType).await;
    }
    stage.check_header(r#"{"alg":"ES256","kid":"ec","typ":1}"#, IdentityError::TokenType).await;
}

#[tokio::test]
async fn one_provider_does_not_vouch_for_another() {
    let stage = Stage::new().await;
    let foreign = &stage.foreign;
    stage.check("same id", &foreign.token(EC, &stage.claims()), IdentityError::BadSignature).await;
    let header = r#"{"alg":"ES256","kid":"other-only"}"#;
    stage.check("its own id", &foreign.token(header, &stage.claims()), unknown_key()).await;
    let theirs = stage.other.claims().to_string();
    let said = stage.verifier.verify(&foreign.token(EC, &theirs), now()).await.unwrap();
    assert_eq!(said.issuer, stage.other.issuer);

    let issuer = &stage.corp.issuer;
    let upper = issuer.replace("http", "HTTP");
    for iss in [format!("{issuer}/"), upper, format!(" {issuer}"), "https://evil.example".into()] {
        stage.check_claims("issuer", &stage.with("iss", iss), IdentityError::UnknownIssuer).await;
    }
    stage.check_claims("no issuer", &stage.without("iss"), missing("iss")).await;
    let both = json!([issuer, "https://evil.example"]);
    stage.check_claims("two issuers", &stage.with("iss", both), missing("iss")).await;
}

#[tokio::test]
async fn signatures_are_checked() {
    use IdentityError::{BadSignature, Malformed};
    let stage = Stage::new().await;
    let good = stage.ec.token(EC, &stage.claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let with = |signature: &[u8]| format!("{signed}.{}", b64(signature));
    // CVE-2022-21449: zero is a signature of everything for those who forget the range check.
    stage.check("zeros", &with(&[0; 64]), BadSignature).await;
    stage.check("empty", &with(&[]), BadSignature).await;
    stage.check("short", &with(&[1; 63]), BadSignature).await;
    stage.check("DER", &with(&[0x30, 6, 2, 1, 1, 2, 1, 1]), BadSignature).await;
    let mut order = ORDER.to_vec();
    order.extend_from_slice(&ORDER);
    stage.check("n, n", &with(&order), BadSignature).await;
    let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let trailing = [raw.as_slice(), &[0]].concat();
    stage.check("trailing", &with(&trailing), BadSignature).await;
    // ECDSA has two signatures for everything; JWS does not choose between them.
    let high_s = [&raw[..32], &minus(&ORDER, &raw[32..])].concat();
    assert!(stage.verifier.verify(&with(&high_s), now()).await.is_ok());

    let ed = stage.ed.token(r#"{"alg":"EdDSA","kid":"ed"}"#, &stage.claims());
    let (signed, _) = ed.rsplit_once('.').unwrap();
    stage.check("zeros", &format!("{signed}.{}", b64([0; 64])), BadSignature).await;
    let rsa = stage.rsa.token(r#"{"alg":"RS256","kid":"rsa"}"#, &stage.claims());
    let (signed, _) = rsa.rsplit_once('.').unwrap();
    stage.check("zeros", &format!("{signed}.{}", b64([0; 256])), BadSignature).await;
    let mut one = [0; 256];
    one[255] = 1;
    stage.check("one", &format!("{signed}.{}", b64(one)), BadSignature).await;
    stage.check("none", signed, Malformed("it has not three parts")).await;
}

/// The order of P-256 (FIPS 186-5, SP 800-186 §3.2.1.3).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

fn minus(from: &[u8; 32], what: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    let mut borrow = 0i16;
    for i in (0..32).rev() {
        let digit = i16::from(from[i]) - i16::from(what[i]) - borrow;
        borrow = i16::from(digit < 0);
        out[i] = u8::try_from(digit.rem_euclid(256)).unwrap();
    }
    out
}

#[tokio::test]
async fn a_token_has_one_spelling() {
    use IdentityError::{Malformed, TooLarge};
    let stage = Stage::new().await;
    let good = stage.ec.token(EC, &stage.claims());
    assert!(stage.verifier.verify(&good, now()).await.is_ok());
    // The end of each part is where base64 has room for a second spelling.
    for (at, c) in good.char_indices() {
        let other = if c == 'A' { 'B' } else { 'A' };
        let changed = [&good[..at], &other.to_string(), &good[at + 1..]].concat();
        assert!(stage.verifier.verify(&changed, now()).await.is_err(), "{at}");
        assert!(stage.verifier.verify(&good[..at], now()).await.is_err(), "cut at {at}");
    }
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else { panic!() };
    let join = |a: &str, b: &str, c: &str| format!("{a}.{b}.{c}");
    let not_signature = Malformed("its signature is not base64url");
    stage
        .check("padded", &join(header, claims, &format!("{signature}==")), not_signature.clone())
        .await;
    stage.check("padded", &join(&format!("{header}="), claims, signature), Malformed(HEADER)).await;
    stage.check("space", &join(header, &format!("{claims} "), signature), Malformed(CLAIMS)).await;
    stage.check("newline", &format!("{good}\n"), not_signature.clone()).await;
    stage.check("standard alphabet", &join("+/==", claims, signature), Malformed(HEADER)).await;
    // 64 bytes leave four bits in the last character, which must be zero.
    let stray =
        signature.strip_suffix(['A', 'Q', 'g', 'w']).map(|most| format!("{most}B")).unwrap();
    stage.check("stray bits", &join(header, claims, &stray), not_signature).await;
    stage.check("JWE", "a.b.c.d.e", Malformed("it is encrypted")).await;
    stage.check("four", "a.b.c.d", Malformed("it has not three parts")).await;
    stage.check("two", &format!("{header}.{claims}"), Malformed("it has not three parts")).await;
    stage.check("none", "hunter2", Malformed("it has no dots")).await;
    stage.check("empty", "", Malformed("it has no dots")).await;
    stage.check("dots", "..", Malformed(HEADER)).await;
    stage.check("not ASCII", "ä.ö.ü", Malformed(HEADER)).await;
    stage.check("prefix", &format!("Bearer {good}"), Malformed(HEADER)).await;
    let flattened = json!({ "protected": header, "payload": claims, "signature": signature });
    assert!(stage.verifier.verify(&flattened.to_string(), now()).await.is_err());

    let long = stage.ec.token(EC, &stage.with("pad", "x".repeat(16 * 1024)));
    stage.check("long", &long, TooLarge { limit: 16_384 }).await;
    let issuer = &stage.corp.issuer;
    for twice in [
        format!(r#"{{"iss":"{issuer}","aud":"portcullis","sub":"a","sub":"b","exp":{}}}"#, NOW + 9),
        format!(
            r#"{{"iss":"{issuer}","iss":"{issuer}","aud":"portcullis","sub":"b","exp":{}}}"#,
            NOW + 9
        ),
        format!(
            r#"{{"iss":"{issuer}","aud":"portcullis","sub":"b","exp":{},"act":{{"sub":"x","\u0073ub":"y"}}}}"#,
            NOW + 9
        ),
    ] {
        stage.check_claims("twice", &twice, Malformed(CLAIMS)).await;
    }
    stage.check_header(r#"{"alg":"ES256","alg":"none","kid":"ec"}"#, Malformed(HEADER)).await;
    stage.check_claims("trailing", &format!("{} {{}}", stage.claims()), Malformed(CLAIMS)).await;
    stage.check_claims("list", "[]", Malformed(CLAIMS)).await;
    stage.check_claims("deep", &"[".repeat(5_000), Malformed(CLAIMS)).await;
    let nested = b64(stage.ec.token(EC, &stage.claims()));
    stage.check_claims("nested", &nested, Malformed(CLAIMS)).await;
}

#[tokio::test]
async fn claims_are_held_against_configuration() {
    use IdentityError::{Expired, KeyBound, LifetimeTooLong, NotYetValid, WrongAudience};
    use std::time::Duration;
    let stage = Stage::new().await;
    let check = async |name: &str, value: Value, expect: IdentityError| {
        let attack = format!("{name} {value}");
        stage.check_claims(&attack, &stage.with(name, value), expect).await;
    };
    let wrong_audience = || WrongAudience { expected: vec!["portcullis".into()] };
    for aud in [json!("Portcullis"), json!("portcullis "), json!([]), json!(["a", "b"]), json!("")]
    {
        check("aud", aud, wrong_audience()).await;
    }
    for aud in [json!(7), json!(null), json!({"portcullis": 1}), json!(["portcullis", 7])] {
        check("aud", aud, invalid("aud")).await;
    }
    stage.check_claims("aud", &stage.without("aud"), missing("aud")).await;

    stage.check_claims("exp", &stage.without("exp"), missing("exp")).await;
    check("exp", NOW.into(), Expired { ago: Duration::ZERO }).await;
    check("exp", (NOW - 90).into(), Expired { ago: Duration::from_secs(90) }).await;
    check("exp", 0.into(), Expired { ago: Duration::from_secs(NOW.unsigned_abs()) }).await;
    let in_milliseconds = NOW * 1_000;
    for exp in [
        json!("9999999999"),
        json!(-1),
        json!(null),
        json!(in_milliseconds),
        json!(1e300),
        json!(u64::MAX),
        json!([NOW + 9]),
    ] {
        check("exp", exp, invalid("exp")).await;
    }
    let day = LifetimeTooLong { limit: Duration::from_secs(86_400) };
    check("exp", (NOW + 86_431).into(), day.clone()).await;
    check("iat", (NOW - 86_400).into(), day).await;
    for claim in ["nbf", "iat"] {
        let ahead = Duration::from_secs(31);
        check(claim, (NOW + 31).into(), NotYetValid { claim, ahead }).await;
        check(claim, "now".into(), invalid(claim)).await;
    }

    stage.check_claims("sub", &stage.without("sub"), missing("sub")).await;
    for sub in [json!(""), json!("x".repeat(256)), json!(7), json!(null), json!(["alice"])] {
        check("sub", sub, invalid("sub")).await;
    }
    for sub in ["al\u{200b}ice", "\u{202e}ecila", "alice\0", "alice\n", " alice", "\u{feff}alice"] {
        check("sub", sub.into(), invalid("sub")).await;
    }
    check("jti", 7.into(), invalid("jti")).await;
    check("cnf", json!({"jkt": "x"}), KeyBound).await;
    check("events", json!({}), invalid("events")).await;
    for act in [
        json!("bot"),
        json!({}),
        json!(null),
        json!({"sub": ""}),
        json!({"sub": 7}),
        json!([{"sub": "bot"}]),
    ] {
        check("act", act, invalid("act")).await;
    }
    check("act", json!({"sub": "bot", "iss": "https://evil.example"}), invalid("act")).await;
    check("act", json!({"sub": "bot", "act": {"client": "x"}}), invalid("act")).await;
    let chain = |depth| {
        (0..depth).fold(json!({"sub": "bot"}), |inner, _| json!({"sub": "bot", "act": inner}))
    };
    check("act", chain(8), invalid("act")).await;
    let deepest = stage.ec.token(EC, &stage.with("act", chain(7)));
    assert!(stage.verifier.verify(&deepest, now()).await.is_ok());
}

#[tokio::test]
async fn no_error_repeats_the_token() {
    let stage = Stage::new().await;
    let sentinel = "s3nt1nel";
    let tokens = [
        stage.ec.token(EC, &stage.with("aud", sentinel)),
        stage.ec.token(EC, &stage.with("iss", format!("https://{sentinel}"))),
        stage.ec.token(EC, &stage.with("sub", format!("{sentinel}\n"))),
        stage.ec.token(&json!({ "alg": "ES256", "kid": sentinel }).to_string(), &stage.claims()),
        stage.ec.token(&json!({ "alg": sentinel, "kid": "ec" }).to_string(), &stage.claims()),
        stage.ec.token(&json!({ "alg": "ES256", "typ": sentinel }).to_string(), &stage.claims()),
        sentinel.to_owned(),
    ];
    for token in tokens {
        let error = stage.verifier.verify(&token, now()).await.unwrap_err();
        for text in [error.public(), error.to_string(), format!("{error:?}")] {
            assert!(!text.contains(sentinel), "{text}");
        }
    }
}
