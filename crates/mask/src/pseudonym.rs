//! Keyed pseudonyms: the same value under the same key is the same pseudonym, so that masked
//! columns can still be joined and counted. Without the key a pseudonym cannot be computed, and so
//! not be looked up in a table of guesses.

use aws_lc_rs::{error::Unspecified, hmac, rand};
use std::fmt;

/// The key of pseudonyms (HMAC-SHA-256, RFC 2104). Pseudonyms of one connection can be joined, those
/// of two cannot; all are known again by the key they were derived from.
pub struct PseudonymKey {
    /// What values are made of.
    values: hmac::Key,
    /// By what those are known again.
    checks: hmac::Key,
}

/// RFC 4648 §6, in lower case.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// What a textual pseudonym begins with.
pub(crate) const PREFIX: &[u8] = b"pcm_";
/// Letters of the code over a value, and of the check over those.
const BODY: usize = 16;
const CHECK: usize = 6;
/// The length of a textual pseudonym.
pub(crate) const LENGTH: usize = PREFIX.len() + BODY + CHECK;
/// The bits of a pseudonymous UUID that check the others.
const UUID_CHECK: u128 = (1 << 48) - 1;
/// Rounds of the permutation (eight and more withstand what is known against so small domains).
const ROUNDS: u8 = 8;

fn push_letters(bits: u128, count: usize, out: &mut Vec<u8>) {
    out.extend((0..count).rev().map(|i| {
        let index = (bits >> (i * 5) & 31) as usize;
        BASE32.get(index).copied().unwrap_or(b'a')
    }));
}

impl PseudonymKey {
    /// A key from 32 secret bytes.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        let key = || hmac::Key::new(hmac::HMAC_SHA256, secret);
        Self { values: key(), checks: key() }
    }

    /// The key of one connection: another pseudonym for the same value than on any other, and known
    /// again on all of them.
    #[must_use]
    pub fn of_connection(&self, name: &str) -> Self {
        let mut context = hmac::Context::with_key(&self.values);
        context.update(b"connection");
        context.update(name.as_bytes());
        let values = hmac::Key::new(hmac::HMAC_SHA256, context.sign().as_ref());
        Self { values, checks: self.checks.clone() }
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

    /// `pcm_`, sixteen letters of base32 (80 bits of the code over the value), and six more (30
    /// bits of a code over those), by which it is known again.
    pub(crate) fn append_text(&self, value: &[u8], out: &mut Vec<u8>) {
        let bits = self.code(b"text", value) >> 48;
        out.extend_from_slice(PREFIX);
        let start = out.len();
        push_letters(bits, BODY, out);
        let check = self.check_of(out.get(start..).unwrap_or_default());
        push_letters(check, CHECK, out);
    }

    /// True for a text that [`Self::append_text`] made under this key.
    pub(crate) fn is_own_text(&self, text: &[u8]) -> bool {
        let Some((body, check)) = text.strip_prefix(PREFIX).and_then(|t| t.split_at_checked(BODY))
        else {
            return false;
        };
        let mut own = Vec::with_capacity(CHECK);
        push_letters(self.check_of(body), CHECK, &mut own);
        own == check
    }

    fn check_of(&self, body: &[u8]) -> u128 {
        code(&self.checks, b"tchk", body) >> 98
    }

    /// A UUID of version 8 (RFC 9562 §5.8: custom): 74 bits of the code over the value, and 48 bits
    /// of a code over those, by which it is known again.
    pub(crate) fn uuid(&self, value: [u8; 16]) -> [u8; 16] {
        let bits = self.code(b"uuid", &value);
        let bits = bits & !(0xf << 76) | 8 << 76;
        let bits = bits & !(0b11 << 62) | 0b10 << 62;
        (bits & !UUID_CHECK | self.check_of_uuid(bits)).to_be_bytes()
    }

    /// True for a UUID that [`Self::uuid`] made under this key.
    pub(crate) fn is_own_uuid(&self, value: [u8; 16]) -> bool {
        let bits = u128::from_be_bytes(value);
        let is_custom = bits >> 76 & 0xf == 8 && bits >> 62 & 0b11 == 0b10;
        is_custom && bits & UUID_CHECK == self.check_of_uuid(bits)
    }

    fn check_of_uuid(&self, bits: u128) -> u128 {
        code(&self.checks, b"uchk", &(bits & !UUID_CHECK).to_be_bytes()) & UUID_CHECK
    }

    /// 128 bits out of a value of some kind.
    pub(crate) fn bits(&self, kind: &[u8; 4], value: &[u8]) -> u128 {
        self.code(kind, value)
    }

    /// A permutation of the numbers below `size`, another one for each `tweak`: no two of them get
    /// the same pseudonym. A Feistel network over two digits to the base of the square root (Black
    /// and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002), walked until the result is in
    /// range.
    pub(crate) fn permute(&self, tweak: u64, number: u64, size: u64) -> u64 {
        let high = size.isqrt() + 1;
        let low = size / high + 1;
        let mut number = number;
        loop {
            let (mut left, mut right) = (number % high, number / high);
            for round in 0..ROUNDS {
                let (half, radix) = if round % 2 == 0 { (right, high) } else { (left, low) };
                let mut input = [0; 25];
                for (place, part) in input.chunks_exact_mut(8).zip([tweak, size, half]) {
                    place.copy_from_slice(&part.to_be_bytes());
                }
                input[24] = round;
                let mix = self.code(b"perm", &input) % u128::from(radix);
                let mix = u64::try_from(mix).unwrap_or_default();
                let place = if round % 2 == 0 { &mut left } else { &mut right };
                *place = u64::try_from((u128::from(*place) + u128::from(mix)) % u128::from(radix))
                    .unwrap_or_default();
            }
            let walked = u128::from(left) + u128::from(right) * u128::from(high);
            match u64::try_from(walked) {
                Ok(walked) if walked < size => return walked,
                // One more than fits cannot be: `high * low` is little more than `size`.
                other => number = other.unwrap_or_default(),
            }
        }
    }

    /// How many days dates are moved by: never none, and at most `most` either way.
    pub(crate) fn shift_days(&self, most: u16) -> i64 {
        let most = i64::from(most.max(1));
        let place = self.code(b"days", &most.to_be_bytes()) % (2 * most).unsigned_abs() as u128;
        let place = i64::try_from(place).unwrap_or_default();
        if place < most { place - most } else { place - most + 1 }
    }

    fn code(&self, domain: &[u8; 4], value: &[u8]) -> u128 {
        code(&self.values, domain, value)
    }
}

/// The first 128 bits of the code over what kind of value it is and the value.
fn code(key: &hmac::Key, domain: &[u8; 4], value: &[u8]) -> u128 {
    let mut context = hmac::Context::with_key(key);
    context.update(domain);
    context.update(value);
    let tag = context.sign();
    tag.as_ref().iter().take(16).fold(0, |bits, b| bits << 8 | u128::from(*b))
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
        assert_eq!(text(&one, b"x").len(), LENGTH);
        assert_eq!(format!("{one:?}"), "PseudonymKey(…)");
    }

    #[test]
    fn pseudonyms_are_known_again() {
        let (one, two) = (PseudonymKey::new(&[1; 32]), PseudonymKey::new(&[2; 32]));
        let made = text(&one, b"jane@example.com");
        assert!(one.is_own_text(made.as_bytes()) && !two.is_own_text(made.as_bytes()));
        assert!(!one.is_own_text(b"pcm_aaaaaaaaaaaaaaaaaaaaaa") && !one.is_own_text(b"pcm_"));
        let uuid = one.uuid([7; 16]);
        // Those of one connection are not those of another, and known there.
        let (shop, bank) = (one.of_connection("shop"), one.of_connection("bank"));
        let made = text(&shop, b"jane@example.com");
        assert_eq!(made, text(&one.of_connection("shop"), b"jane@example.com"));
        assert_ne!(made, text(&bank, b"jane@example.com"));
        assert!(bank.is_own_text(made.as_bytes()) && !two.is_own_text(made.as_bytes()));
        assert!(bank.is_own_uuid(shop.uuid([7; 16])) && shop.uuid([7; 16]) != bank.uuid([7; 16]));
        assert!(one.is_own_uuid(uuid) && !two.is_own_uuid(uuid) && !one.is_own_uuid([7; 16]));
    }

    #[test]
    fn numbers_are_permuted() {
        let key = PseudonymKey::new(&[1; 32]);
        for size in [1, 2, 3, 9, 10, 90, 257] {
            let all: std::collections::BTreeSet<u64> =
                (0..size).map(|n| key.permute(7, n, size)).collect();
            assert_eq!(all.into_iter().collect::<Vec<_>>(), (0..size).collect::<Vec<_>>());
        }
        for size in [900_000_000, u64::from(u32::MAX) + 1, u64::MAX] {
            assert!(key.permute(0, size - 1, size) < size);
        }
    }

    #[test]
    fn a_shift_moves_and_stays_within() {
        for secret in 0..100 {
            let key = PseudonymKey::new(&[secret; 32]);
            let days = key.shift_days(3);
            assert!(days != 0 && days.abs() <= 3 && days == key.shift_days(3), "{days}");
        }
    }

    #[test]
    fn a_pseudonymous_uuid_says_that_it_is_custom() {
        let uuid = PseudonymKey::generate().unwrap().uuid([0xff; 16]);
        assert_eq!((uuid[6] >> 4, uuid[8] >> 6), (8, 0b10));
    }
}
