//! A software authenticator with one passkey (ES256), and the browser around it: it makes a passkey and
//! signs with it, honestly, or with one thing wrong.

use anyhow::Context as _;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The flags of authenticator data (Web Authentication §6.1).
const PRESENT: u8 = 1;
const VERIFIED: u8 = 4;
const ATTESTED: u8 = 64;

/// A passkey, and what its browser says. Whatever is public may be made wrong.
pub struct Authenticator {
    pair: EcdsaKeyPair,
    pub credential: Vec<u8>,
    pub origin: String,
    pub rp_id: String,
    /// User present and verified.
    pub flags: u8,
    pub sign_count: u32,
    pub cross_origin: bool,
    /// The `type` of client data, where it is not the one of the ceremony.
    pub kind: Option<&'static str>,
}

/// Bytes as the API has them.
#[must_use]
pub fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Authenticator {
    /// A new passkey for pages of this origin.
    pub fn new(origin: &str, rp_id: &str) -> anyhow::Result<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
        let mut credential = vec![0; 32];
        aws_lc_rs::rand::fill(&mut credential)?;
        Ok(Self {
            pair,
            credential,
            origin: origin.to_owned(),
            rp_id: rp_id.to_owned(),
            flags: PRESENT | VERIFIED,
            sign_count: 0,
            cross_origin: false,
            kind: None,
        })
    }

    /// Its public key, as a `COSE_Key`.
    #[must_use]
    pub fn public_key(&self) -> Vec<u8> {
        let point = self.pair.public_key().as_ref();
        let mut key = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
        key.extend_from_slice(&point[1..33]);
        key.extend_from_slice(&[0x22, 0x58, 0x20]);
        key.extend_from_slice(&point[33..65]);
        key
    }

    fn client_data(&self, kind: &str, challenge: &str) -> Vec<u8> {
        json!({
            "type": self.kind.unwrap_or(kind),
            "challenge": challenge,
            "origin": self.origin,
            "crossOrigin": self.cross_origin,
        })
        .to_string()
        .into_bytes()
    }

    fn data(&self, more: u8) -> Vec<u8> {
        let mut data = digest(&SHA256, self.rp_id.as_bytes()).as_ref().to_vec();
        data.push(self.flags | more);
        data.extend_from_slice(&self.sign_count.to_be_bytes());
        data
    }

    /// What a browser gives when the passkey is made for this challenge, as the API takes it.
    #[must_use]
    pub fn make(&self, challenge: &str) -> Value {
        let mut data = self.data(ATTESTED);
        data.extend_from_slice(&[0; 16]);
        data.extend_from_slice(&u16::try_from(self.credential.len()).expect("short").to_be_bytes());
        data.extend_from_slice(&self.credential);
        data.extend_from_slice(&self.public_key());
        let mut attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        attestation.push(u8::try_from(data.len()).expect("under 256 bytes"));
        attestation.extend_from_slice(&data);
        json!({
            "client_data": encoded(&self.client_data("webauthn.create", challenge)),
            "attestation": encoded(&attestation),
        })
    }

    /// What a browser gives when the passkey signs this challenge, as the API takes it.
    pub fn sign(&self, challenge: &str) -> anyhow::Result<Value> {
        let (client, data) = (self.client_data("webauthn.get", challenge), self.data(0));
        let message = [&*data, digest(&SHA256, &client).as_ref()].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &message);
        Ok(json!({
            "credential": encoded(&self.credential),
            "client_data": encoded(&client),
            "authenticator_data": encoded(&data),
            "signature": encoded(signature.ok().context("it cannot sign")?.as_ref()),
        }))
    }
}
