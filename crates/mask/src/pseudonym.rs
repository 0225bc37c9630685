//! Keyed pseudonyms: the same value under the same key is the same pseudonym, so that masked
//! columns can still be joined and counted. Without the key a pseudonym cannot be computed, and so
//! not be looked up in a table of guesses.

use aws_lc_rs::{error::Unspecified, hmac, rand};
use std::fmt;

/// The key of pseudonyms (HMAC-SHA-256, RFC 2104). Whoever makes it decides how far pseudonyms
/// can be joined: one per session, or one per connection.
pub struct PseudonymKey(hmac::Key);

/// RFC 4648 §6, in lower case.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

impl PseudonymKey {
    /// A key from 32 secret bytes.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// A random key.
    ///
    /// # Errors
    /// [`Unspecified`] where the system has no random numbers; there is then no session to mask.
    pub fn generate() -> Result<Self, Unspecified> {
        let mut secret = [0; 32];
        rand::fill(&mut secret)?;
        Ok(Self::new(&secret))
    }

    /// `pcm_` and sixteen letters of base32: 80 bits of the code over the value.
    pub(crate) fn append_text(&self, value: &[u8], out: &mut Vec<u8>) {
        let bits = self.code(b"text", value) >> 48;
        out.extend_from_slice(b"pcm_");
        out.extend((0..16).rev().map(|i| {
            let index = (bits >> (i * 5) & 31) as usize;
            BASE32.get(index).copied().unwrap_or(b'a')
        }));
    }

    /// A UUID of version 8 (RFC 9562 §5.8: custom) out of 122 bits of the code over the value.
    pub(crate) fn uuid(&self, value: [u8; 16]) -> [u8; 16] {
        let bits = self.code(b"uuid", &value);
        let bits = bits & !(0xf << 76) | 8 << 76;
        (bits & !(0b11 << 62) | 0b10 << 62).to_be_bytes()
    }

    /// The first 128 bits of the code over what kind of value it is and the value.
    fn code(&self, domain: &[u8; 4], value: &[u8]) -> u128 {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(domain);
        context.update(value);
        let tag = context.sign();
        tag.as_ref().iter().take(16).fold(0, |bits, b| bits << 8 | u128::from(*b))
    }
}

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(key: &PseudonymKey, value: &[u8]) -> String {
        let mut out = Vec::new();
        key.append_text(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn pseudonyms_join_under_one_key_and_under_no_other() {
        let (one, two) = (PseudonymKey::new(&[1; 32]), PseudonymKey::new(&[2; 32]));
        assert_eq!(text(&one, b"jane@example.com"), text(&one, b"jane@example.com"));
        assert_ne!(text(&one, b"jane@example.com"), text(&one, b"joan@example.com"));
        assert_ne!(text(&one, b"jane@example.com"), text(&two, b"jane@example.com"));
        assert_eq!(text(&one, b"x").len(), 20);
        assert_eq!(format!("{one:?}"), "PseudonymKey(…)");
    }

    #[test]
    fn a_pseudonymous_uuid_says_that_it_is_custom() {
        let uuid = PseudonymKey::generate().unwrap().uuid([0xff; 16]);
        assert_eq!((uuid[6] >> 4, uuid[8] >> 6), (8, 0b10));
    }
}
