//! Passkeys, by a software authenticator: what is right is taken, and each wrong thing is refused with its
//! own reason.

use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::digest::{Digest, Digester};
use portcullis_core::id::{BrowserSessionId, PasskeyId, ReviewId};
use portcullis_core::passkey::{Asserted, Evidence, Matter, Statement};
use portcullis_identity::passkey::{
    Assertion, Known, Made, PasskeyError, Registration, Site, claimed_challenge, encoded, register,
    verify, verify_evidence,
};
use portcullis_testkit::authenticator::Authenticator;
use serde_json::Value;

const SITE: Site<'static> = Site { origin: "https://p.example:8443", rp_id: "p.example" };

fn authenticator() -> Authenticator {
    Authenticator::new(SITE.origin, SITE.rp_id).unwrap()
}

fn digest(text: &str) -> Digest {
    Digester::new("test").part(text.as_bytes()).finish()
}

fn registered(authenticator: &Authenticator, challenge: &Digest) -> Result<Made, PasskeyError> {
    let made = authenticator.make(&encoded(challenge.as_bytes()));
    let made: Registration = serde_json::from_value(made).unwrap();
    assert_eq!(claimed_challenge(&made.client_data), Ok(*challenge));
    register(&SITE, challenge, &made)
}

fn statement<'a>(nonce: &'a Digest, of: &str) -> Statement<'a> {
    let matter = Matter::Review {
        review: ReviewId::from_bits(7),
        digest: digest(of),
        shown: digest("shown"),
        pattern: None,
    };
    Statement { matter, issuer: "https://idp", subject: "bo", nonce }
}

fn assertion(value: Value) -> Assertion {
    serde_json::from_value(value).unwrap()
}

fn signed(authenticator: &Authenticator, key: &[u8]) -> Result<Asserted, PasskeyError> {
    let nonce = digest("nonce");
    let statement = statement(&nonce, "a");
    let assertion =
        assertion(authenticator.sign(&encoded(statement.challenge().as_bytes())).unwrap());
    let known = Known { passkey: PasskeyId::from_bits(1), public_key: key };
    verify(&SITE, &statement, known, &assertion)
}

#[test]
fn what_is_right_is_taken() {
    let mut own = authenticator();
    let made = registered(&own, &digest("c")).unwrap();
    assert_eq!((&made.credential, &made.public_key), (&own.credential, &own.public_key()));
    own.sign_count = 9;
    let asserted = signed(&own, &made.public_key).unwrap();
    assert_eq!(asserted.sign_count(), 9);
    assert_eq!(verify_evidence(asserted.evidence()), Ok(9));
    let text = serde_json::to_string(asserted.evidence()).unwrap();
    let read: Evidence = serde_json::from_str(&text).unwrap();
    assert_eq!(verify_evidence(&read), Ok(9));
}

#[test]
fn each_wrong_thing_is_refused_with_its_own_reason() {
    let key = registered(&authenticator(), &digest("c")).unwrap().public_key;
    let wrong = |change: fn(&mut Authenticator)| {
        let mut own = authenticator();
        let key = own.public_key();
        change(&mut own);
        let (made, signed) = (registered(&own, &digest("c")), signed(&own, &key));
        let made = made.map(drop).unwrap_err();
        assert_eq!(signed.map(drop), Err(made), "both ceremonies alike");
        made
    };
    assert_eq!(wrong(|own| own.origin = "https://evil.example".into()), PasskeyError::Origin);
    assert_eq!(wrong(|own| own.origin = "https://p.example".into()), PasskeyError::Origin);
    assert_eq!(wrong(|own| own.origin = "http://p.example:8443".into()), PasskeyError::Origin);
    assert_eq!(wrong(|own| own.rp_id = "example".into()), PasskeyError::RelyingParty);
    assert_eq!(wrong(|own| own.flags = 1), PasskeyError::NotVerified);
    assert_eq!(wrong(|own| own.flags = 4), PasskeyError::NotPresent);
    assert_eq!(wrong(|own| own.cross_origin = true), PasskeyError::CrossOrigin);
    assert_eq!(wrong(|own| own.kind = Some("payment.get")), PasskeyError::Type);
    let contradicts = wrong(|own| own.flags = 1 | 4 | 16);
    assert!(matches!(contradicts, PasskeyError::Unreadable(_)));
    // One ceremony's answer is not the other's.
    let mut own = authenticator();
    own.kind = Some("webauthn.get");
    assert_eq!(registered(&own, &digest("c")).map(drop), Err(PasskeyError::Type));
    own.kind = Some("webauthn.create");
    assert_eq!(signed(&own, &own.public_key()).map(drop), Err(PasskeyError::Type));
    // Another passkey's signature, and one for another statement.
    assert_eq!(signed(&authenticator(), &key).map(drop), Err(PasskeyError::Signature));
    let (own, nonce) = (authenticator(), digest("nonce"));
    let other = statement(&nonce, "b").challenge();
    let of_other = assertion(own.sign(&encoded(other.as_bytes())).unwrap());
    let public_key = own.public_key();
    let known = Known { passkey: PasskeyId::from_bits(1), public_key: &public_key };
    let taken = verify(&SITE, &statement(&nonce, "a"), known, &of_other);
    assert_eq!(taken.map(drop), Err(PasskeyError::Challenge));
}

#[test]
fn nothing_of_evidence_can_be_another() {
    let own = authenticator();
    let evidence = signed(&own, &own.public_key()).unwrap().evidence().clone();
    let other = authenticator();
    let check = |change: &dyn Fn(&mut Evidence)| {
        let mut edited = evidence.clone();
        change(&mut edited);
        assert_ne!(edited, evidence);
        verify_evidence(&edited).unwrap_err()
    };
    assert_eq!(check(&|e| e.subject = "mallory".into()), PasskeyError::Challenge);
    assert_eq!(check(&|e| e.issuer = "https://other".into()), PasskeyError::Challenge);
    assert_eq!(check(&|e| e.nonce = digest("x")), PasskeyError::Challenge);
    assert_eq!(
        check(&|e| e.matter = Matter::Passkey { browser: BrowserSessionId::from_bits(1) }),
        PasskeyError::Challenge
    );
    assert_eq!(check(&|e| e.origin = "https://evil.example".into()), PasskeyError::Origin);
    assert_eq!(check(&|e| e.rp_id = "evil.example".into()), PasskeyError::RelyingParty);
    assert_eq!(check(&|e| e.public_key = encoded(&other.public_key())), PasskeyError::Signature);
    // Every bit of what was signed, and of the signature.
    let parts: [fn(&mut Evidence) -> &mut String; 3] =
        [|e| &mut e.authenticator_data, |e| &mut e.client_data, |e| &mut e.signature];
    for part in parts {
        let bytes = URL_SAFE_NO_PAD.decode(part(&mut evidence.clone()).as_str()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            check(&|e| *part(e) = encoded(&bytes));
        }
        check(&|e| part(e).push('='));
        check(&|e| part(e).clear());
    }
}

/// A `COSE_Key` of one of the other algorithms, with its signature over the evidence's message.
fn with_key(key: &[u8], sign: impl Fn(&[u8]) -> Vec<u8>) -> Result<u32, PasskeyError> {
    let own = authenticator();
    let mut evidence = signed(&own, &own.public_key()).unwrap().evidence().clone();
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let client =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes(&evidence.client_data));
    let message = [&*bytes(&evidence.authenticator_data), client.as_ref()].concat();
    evidence.signature = encoded(&sign(&message));
    evidence.public_key = encoded(key);
    verify_evidence(&evidence)
}

#[test]
fn other_algorithms_and_keys_that_are_none() {
    let ed = Ed25519KeyPair::generate().unwrap();
    let key = [&[0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 32], ed.public_key().as_ref()].concat();
    assert_eq!(with_key(&key, |message| ed.sign(message).as_ref().to_vec()), Ok(0));
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let modulus = rsa.public_key().modulus().big_endian_without_leading_zero().to_vec();
    let head = [0xa4, 1, 3, 3, 0x39, 1, 0, 0x20, 0x59, 1, 0];
    let key = [&head[..], &modulus, &[0x21, 0x43, 1, 0, 1]].concat();
    let sign = |message: &[u8]| {
        let mut signature = vec![0; rsa.public_modulus_len()];
        let (how, random) =
            (&aws_lc_rs::signature::RSA_PKCS1_SHA256, aws_lc_rs::rand::SystemRandom::new());
        rsa.sign(how, &random, message, &mut signature).unwrap();
        signature
    };
    assert_eq!(with_key(&key, sign), Ok(0));
    // ES384, an ES256 key that says it is EdDSA, the same label twice, a point of another length, bytes
    // behind it, nothing.
    let es = authenticator().public_key();
    let mut es384 = es.clone();
    es384.splice(4..5, [0x38, 0x22]);
    let mut lies = es.clone();
    lies[4] = 0x27;
    for (key, expect) in [(es384, PasskeyError::Algorithm), (lies, PasskeyError::Algorithm)] {
        assert_eq!(with_key(&key, |_| Vec::new()), Err(expect));
    }
    let mut twice = es.clone();
    twice[3] = 1;
    let longer = [&es[..], &[0]].concat();
    for key in [twice, longer, es[..es.len() - 1].to_vec(), Vec::new()] {
        let refused = with_key(&key, |_| Vec::new());
        assert!(matches!(refused, Err(PasskeyError::Unreadable(_))), "{key:?}: {refused:?}");
    }
}

#[test]
fn what_is_no_message_of_an_authenticator_is_refused() {
    let own = authenticator();
    let made = own.make(&encoded(digest("c").as_bytes()));
    let bytes = URL_SAFE_NO_PAD.decode(made["attestation"].as_str().unwrap()).unwrap();
    let try_it = |bytes: &[u8]| {
        let client_data = made["client_data"].as_str().unwrap().to_owned();
        register(&SITE, &digest("c"), &Registration { client_data, attestation: encoded(bytes) })
    };
    assert!(try_it(&bytes).is_ok());
    for length in 0..bytes.len() {
        assert!(try_it(&bytes[..length]).is_err(), "{length}");
    }
    assert!(try_it(&[&bytes[..], &[0]].concat()).is_err());
    for at in 0..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 0x80;
        // It may be another key or credential; what matters is that nothing panics.
        let _ = try_it(&other);
    }
}
