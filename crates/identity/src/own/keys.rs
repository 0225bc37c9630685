//! The keys credentials are signed with (Ed25519, RFC 8032 and RFC 8037): one that signs, and those
//! before it, public halves alone, for as long as something they have signed may be good. Kept by
//! the gateway; beside the life of a request.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;
use zeroize::{Zeroize as _, Zeroizing};

/// Most keys that are kept for what they have signed.
const MAX_RETIRED: usize = 64;

/// The keys of credentials cannot be made or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// The system gives no random bytes.
    #[error("no key can be made: the system gives no random bytes")]
    Random,
    /// The text is not what was written.
    #[error(
        "it is not a key file of this program: restore it, or remove it and all credentials end"
    )]
    Malformed,
}

/// The key that signs, and those that have.
pub struct KeyRing {
    pair: Ed25519KeyPair,
    seed: Zeroizing<[u8; 32]>,
    id: String,
    made: Timestamp,
    retired: Vec<Retired>,
}

/// The public half of a key that signs no more.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Retired {
    x: String,
    /// What it has signed is over by then.
    until: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    made: Timestamp,
    seed: String,
    retired: Vec<Retired>,
}

impl KeyRing {
    /// A fresh key.
    ///
    /// # Errors
    /// [`KeyRingError::Random`].
    pub fn generate(now: Timestamp) -> Result<Self, KeyRingError> {
        let mut seed = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(seed.as_mut_slice()).map_err(|_| KeyRingError::Random)?;
        Self::new(seed, now, Vec::new())
    }

    fn new(
        seed: Zeroizing<[u8; 32]>,
        made: Timestamp,
        retired: Vec<Retired>,
    ) -> Result<Self, KeyRingError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice());
        let pair = pair.map_err(|_| KeyRingError::Malformed)?;
        let id = thumbprint(&URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()));
        Ok(Self { pair, seed, id, made, retired })
    }

    /// Reads what [`KeyRing::to_text`] has written.
    ///
    /// # Errors
    /// [`KeyRingError::Malformed`].
    pub fn from_text(text: &[u8]) -> Result<Self, KeyRingError> {
        let mut kept: Kept = serde_json::from_slice(text).map_err(|_| KeyRingError::Malformed)?;
        let mut seed = Zeroizing::new([0; 32]);
        let read = Zeroizing::new(URL_SAFE_NO_PAD.decode(&kept.seed).unwrap_or_default());
        kept.seed.zeroize();
        if read.len() != seed.len() || kept.retired.len() > MAX_RETIRED {
            return Err(KeyRingError::Malformed);
        }
        seed.copy_from_slice(&read);
        Self::new(seed, kept.made, kept.retired)
    }

    /// All of it, the private key too, to be kept where only the gateway can read it.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let seed = URL_SAFE_NO_PAD.encode(self.seed.as_slice());
        let mut kept = Kept { made: self.made, seed, retired: self.retired.clone() };
        let text = Zeroizing::new(serde_json::to_string(&kept).unwrap_or_default());
        kept.seed.zeroize();
        text
    }

    /// A ring with a fresh key that signs from `now` on. The one before it still checks what it has
    /// signed, for `keep`: the longest that may live.
    ///
    /// # Errors
    /// [`KeyRingError::Random`]: the ring stays as it is.
    pub fn rotated(&self, now: Timestamp, keep: Duration) -> Result<Self, KeyRingError> {
        let mut ring = Self::generate(now)?;
        ring.retired.push(Retired { x: self.public(), until: now.plus(keep) });
        let good = self.retired.iter().filter(|key| key.until > now).cloned();
        ring.retired.extend(good.take(MAX_RETIRED - 1));
        Ok(ring)
    }

    /// When the key that signs was made.
    #[must_use]
    pub const fn made(&self) -> Timestamp {
        self.made
    }

    /// The id of the key that signs: its JWK thumbprint (RFC 7638).
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public keys that are good at `now`, as a JWK set.
    #[must_use]
    pub fn key_set(&self, now: Timestamp) -> Value {
        let old = self.retired.iter().filter(|key| key.until > now).map(|key| key.x.clone());
        let all = std::iter::once(self.public()).chain(old);
        let keys: Vec<Value> = all.map(|x| jwk(&x)).collect();
        json!({ "keys": keys })
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }

    /// The public half of the key that signs, base64url (RFC 8037).
    #[must_use]
    pub fn public(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref())
    }
}

/// The JWK of a public key.
pub(super) fn jwk(x: &str) -> Value {
    let kid = thumbprint(x);
    json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid, "x": x })
}

/// RFC 7638 §3, for a key of RFC 8037 §2.
fn thumbprint(x: &str) -> String {
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, members.as_bytes());
    URL_SAFE_NO_PAD.encode(digest.as_ref())
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRing").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_that_of_the_standard() {
        // RFC 8037, appendix A.3.
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        assert_eq!(thumbprint(x), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_ring_is_read_as_it_was_written_and_nothing_else_is() {
        let now = Timestamp::from_micros(1_790_000_000_000_000);
        let ring = KeyRing::generate(now).unwrap().rotated(now, Duration::from_secs(60)).unwrap();
        let text = ring.to_text();
        let read = KeyRing::from_text(text.as_bytes()).unwrap();
        assert_eq!((read.id(), read.made()), (ring.id(), ring.made()));
        assert_eq!(read.key_set(now), ring.key_set(now));
        assert!(!format!("{ring:?}").contains(&*URL_SAFE_NO_PAD.encode(ring.seed.as_slice())));
        for broken in ["", "{}", "null", &text[1..], &text.replace("\"seed\":\"", "\"seed\":\"A")] {
            assert_eq!(KeyRing::from_text(broken.as_bytes()).err(), Some(KeyRingError::Malformed));
        }
    }

    #[test]
    fn an_old_key_is_kept_until_all_it_signed_has_expired() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let keep = Duration::from_secs(100);
        let first = KeyRing::generate(at(0)).unwrap();
        let second = first.rotated(at(10), keep).unwrap();
        let third = second.rotated(at(50), keep).unwrap();
        let count = |now| third.key_set(at(now))["keys"].as_array().unwrap().len();
        assert_eq!([count(50), count(109), count(110), count(149), count(150)], [3, 3, 2, 2, 1]);
        // What has expired is not carried on.
        let fourth = third.rotated(at(120), keep).unwrap();
        assert_eq!(fourth.retired.len(), 2);
    }
}
