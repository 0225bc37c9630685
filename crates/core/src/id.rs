//! Identifiers shown to people: a short prefix and 13 characters of Crockford base 32.
//!
//! Ids are made from random bits the caller supplies, so this crate needs no source of randomness.

use std::fmt;
use std::str::FromStr;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Text that is not an identifier of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind} id (expected `{prefix}_` and 13 characters)")]
pub struct InvalidId {
    text: String,
    kind: &'static str,
    prefix: &'static str,
}

fn encode(prefix: &str, bits: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(prefix)?;
    f.write_str("_")?;
    for i in (0..13).rev() {
        let digit = (bits >> (i * 5)) & 31;
        let c = ALPHABET.get(digit as usize).copied().unwrap_or(b'0');
        write!(f, "{}", char::from(c))?;
    }
    Ok(())
}

fn decode(prefix: &str, text: &str) -> Option<u64> {
    let digits = text.strip_prefix(prefix)?.strip_prefix('_')?;
    if digits.len() != 13 {
        return None;
    }
    digits.bytes().try_fold(0u64, |bits, c| {
        let digit = ALPHABET.iter().position(|a| *a == c)? as u64;
        bits.checked_mul(32)?.checked_add(digit)
    })
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u64);

        impl $name {
            /// An id from 64 random bits.
            #[must_use]
            pub const fn from_bits(bits: u64) -> Self {
                Self(bits)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                encode($prefix, self.0, f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                decode($prefix, text).map(Self).ok_or_else(|| InvalidId {
                    text: text.chars().take(64).collect(),
                    kind: $kind,
                    prefix: $prefix,
                })
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "description": concat!("The id of a ", $kind, "."),
                    "pattern": concat!("^", $prefix, "_[0-9a-hjkmnp-tv-z]{13}$"),
                })
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(/** One connection of one principal to one target, from log-in to close. */
    SessionId, "ses", "session");
id!(/** One request inside a session: what is judged, journalled and answered as a whole. */
    RequestId, "req", "request");
id!(/** One question put to a person. */
    ReviewId, "rev", "review");
id!(/** A leave people gave for requests alike in everything but some values. */
    PatternId, "pat", "pattern");
id!(/** What an administrator stops agents from doing, for a time. */
    FreezeId, "frz", "freeze");
id!(/** Access to a connection that people give for a time, or a request for it. */
    GrantId, "grt", "grant");
id!(/** A short-lived credential of the gateway's own, bound to one connection. */
    CredentialId, "crd", "credential");
id!(/** A person's session in a browser. */
    BrowserSessionId, "web", "browser session");
id!(/** A passkey of a person. */
    PasskeyId, "key", "passkey");
id!(/** One refusal, so that a caller can ask about it. */
    DecisionId, "dec", "decision");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_prints() {
        for bits in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            let id = SessionId::from_bits(bits);
            assert_eq!(id.to_string().parse::<SessionId>(), Ok(id));
        }
    }

    #[test]
    fn another_kind_or_length_is_refused() {
        let id = ReviewId::from_bits(7).to_string();
        assert!(id.parse::<SessionId>().is_err());
        assert!(format!("{id}0").parse::<ReviewId>().is_err());
        assert!("rev_zzzzzzzzzzzzz".parse::<ReviewId>().is_err(), "over 64 bits");
    }
}
