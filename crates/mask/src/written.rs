//! Masked values that come back: knows placeholders and pseudonyms of this gateway again in what a
//! caller writes, because who stores one destroys the value it stands for.
//!
//! On the life of a request it stands before the gate, for requests that write, and before the link
//! for copied rows. It is a help against accidents: whoever wants to store the text `[masked]` can
//! put it together by an expression.
//!
//! Two kinds are told apart. **Exact** ones are made by nobody else: `[masked]`, `[masked:…]`, and
//! pseudonyms that carry a check under the gateway's key. They count wherever they stand, in prose,
//! in JSON, in arrays. **Shaped** ones look like what many people write (`***`, `j***`, a constant):
//! they count only as the whole of what goes into a column that is masked so for this caller.
//!
//! What cannot be known again: masked numbers, dates and addresses, zeros and NULLs, which are
//! values like others.

use crate::pseudonym::{LENGTH, PREFIX, PseudonymKey};
use crate::strategy::PLACEHOLDER;
use crate::types::{append_hex, read_uuid};
use portcullis_core::mask::{Format, Strategy};
use std::sync::Arc;

/// Knows masked values again.
#[derive(Debug, Clone)]
pub struct Recognizer {
    key: Arc<PseudonymKey>,
}

/// A masked value found in what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// `[masked]` or `[masked:…]`.
    Placeholder,
    /// A pseudonym made under the gateway's key.
    Pseudonym,
    /// What a value of the column is masked as, in part or by a constant.
    Shape,
}

impl Found {
    /// What was found, for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Placeholder => "a masked placeholder",
            Self::Pseudonym => "a pseudonym of a masked value",
            Self::Shape => "a masked form of a value",
        }
    }
}

/// What an exact placeholder begins with.
const OPEN: &[u8] = b"[masked";
/// The longest name of a kind in `[masked:…]`.
const MAX_KIND: usize = 32;

impl Recognizer {
    /// Knows what is made under this key.
    #[must_use]
    pub const fn new(key: Arc<PseudonymKey>) -> Self {
        Self { key }
    }

    /// An exact masked value anywhere in these bytes, which may be a text, a JSON document, an
    /// array, a binary value.
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> Option<Found> {
        if let Some(found) = self.find_text(bytes).or_else(|| self.find_uuid(bytes)) {
            return Some(found);
        }
        // A `bytea` in its text form.
        let mut decoded = Vec::new();
        let digits = bytes.strip_prefix(b"\\x")?;
        append_hex(digits, &mut decoded);
        self.find_text(&decoded)
    }

    fn find_text(&self, bytes: &[u8]) -> Option<Found> {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|b| matches!(b, b'[' | b'p')) {
            rest = rest.get(at..).unwrap_or_default();
            if is_placeholder(rest) {
                return Some(Found::Placeholder);
            }
            if rest.starts_with(PREFIX)
                && rest.get(..LENGTH).is_some_and(|text| self.key.is_own_text(text))
            {
                return Some(Found::Pseudonym);
            }
            rest = rest.get(1..).unwrap_or_default();
        }
        None
    }

    fn find_uuid(&self, bytes: &[u8]) -> Option<Found> {
        let own = |uuid: Option<[u8; 16]>| uuid.is_some_and(|uuid| self.key.is_own_uuid(uuid));
        let found = own(<[u8; 16]>::try_from(bytes).ok())
            // Written out: version 8, in the places where a UUID has its dashes.
            || bytes.windows(36).any(|w| {
                w.get(14) == Some(&b'8')
                    && [8, 13, 18, 23].iter().all(|at| w.get(*at) == Some(&b'-'))
                    && own(read_uuid(Format::Text, w))
            })
            // An element of a binary array, behind its length.
            || bytes.windows(20).any(|w| {
                w.starts_with(&[0, 0, 0, 16])
                    && own(w.get(4..).and_then(|uuid| uuid.try_into().ok()))
            });
        found.then_some(Found::Pseudonym)
    }

    /// True where a value, as a whole, is what this strategy makes of others.
    #[must_use]
    pub fn is_shaped(&self, value: &[u8], strategy: &Strategy) -> Option<Found> {
        let shaped = match strategy {
            Strategy::Partial => is_partial(value),
            Strategy::Constant(literal) => value == literal.as_bytes(),
            _ => false,
        };
        shaped.then_some(Found::Shape)
    }
}

fn is_placeholder(text: &[u8]) -> bool {
    if text.starts_with(PLACEHOLDER.as_bytes()) {
        return true;
    }
    let Some(kind) = text.strip_prefix(OPEN).and_then(|rest| rest.strip_prefix(b":")) else {
        return false;
    };
    let letters = kind.iter().take_while(|b| b.is_ascii_lowercase() || matches!(b, b'-' | b'_'));
    let end = letters.count();
    (1..=MAX_KIND).contains(&end) && kind.get(end) == Some(&b']')
}

/// The forms of [`Strategy::Partial`]: a card's last four digits, an address, a first letter.
fn is_partial(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    if let Some(digits) = text.strip_prefix("**** **** **** ") {
        return digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit());
    }
    let starred = |part: &str| {
        part.strip_suffix("***").is_some_and(|first| {
            let mut letters = first.chars();
            let one = letters.next();
            letters.next().is_none() && one != Some('*')
        })
    };
    match text.split_once('@') {
        None => starred(text),
        Some(("***", "***")) => true,
        Some((local, host)) => {
            starred(local)
                && host.split_once('.').is_some_and(|(name, top)| {
                    starred(name) && !top.is_empty() && !top.contains(['*', ' ', '.', '@'])
                })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognizer() -> Recognizer {
        Recognizer::new(Arc::new(PseudonymKey::new(&[7; 32])))
    }

    #[test]
    fn exact_ones_are_found_anywhere() {
        let key = PseudonymKey::new(&[7; 32]);
        let mut pseudonym = Vec::new();
        key.append_text(b"jane", &mut pseudonym);
        let pseudonym = String::from_utf8(pseudonym).unwrap();
        let check = |text: &str, expect: Option<Found>| {
            assert_eq!(recognizer().find(text.as_bytes()), expect, "{text}");
        };
        check("[masked]", Some(Found::Placeholder));
        check("call [masked:phone] today", Some(Found::Placeholder));
        check("{\"a\": {\"email\": \"[masked:email]\"}}", Some(Found::Placeholder));
        check("{x,\"[masked]\"}", Some(Found::Placeholder));
        check("\\x5b6d61736b65645d", Some(Found::Placeholder));
        check(&pseudonym, Some(Found::Pseudonym));
        check(&format!("see {pseudonym}."), Some(Found::Pseudonym));
        for text in [
            "",
            "***",
            "a [masked",
            "[masked:]",
            "[masked man]",
            "[Masked]",
            "pcm_",
            "ppppcm_x",
            "pcm_aaaaaaaaaaaaaaaaaaaaaa",
            "j***@e***.com",
            "**** **** **** 4242",
            "a0eebc99-9c0b-8ef8-bb6d-6bb9bd380a11",
            "\\x",
            "\\xzz",
            "[masked:EMAIL]",
        ] {
            check(text, None);
        }
        let other = Recognizer::new(Arc::new(PseudonymKey::new(&[8; 32])));
        assert_eq!(other.find(pseudonym.as_bytes()), None);
    }

    #[test]
    fn pseudonymous_uuids_are_found_in_text_and_binary() {
        let uuid = PseudonymKey::new(&[7; 32]).uuid([1; 16]);
        let hex: String = uuid.iter().map(|b| format!("{b:02x}")).collect();
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        let text = parts.join("-");
        let recognizer = recognizer();
        assert_eq!(recognizer.find(&uuid), Some(Found::Pseudonym));
        assert_eq!(recognizer.find(text.as_bytes()), Some(Found::Pseudonym));
        assert_eq!(recognizer.find(format!("{{{text}}}").as_bytes()), Some(Found::Pseudonym));
        let element = [&[0, 0, 0, 16], uuid.as_slice()].concat();
        assert_eq!(recognizer.find(&element), Some(Found::Pseudonym));
        assert_eq!(recognizer.find(&[0x88; 16]), None);
    }

    #[test]
    fn shaped_ones_are_the_whole_value() {
        let check = |value: &str, strategy: &Strategy, expect: bool| {
            let found = recognizer().is_shaped(value.as_bytes(), strategy).is_some();
            assert_eq!(found, expect, "{value}");
        };
        for value in
            ["**** **** **** 4242", "j***@e***.com", "***@***", "***@***.co", "j***", "***", "Ö***"]
        {
            check(value, &Strategy::Partial, true);
            check(value, &Strategy::Redact, false);
        }
        for value in [
            "",
            "a very *** secret",
            "jane@example.com",
            "****",
            "jo***",
            "**** 4242",
            "***!",
            "j***@e***.com and more",
            "**** **** **** 42424",
        ] {
            check(value, &Strategy::Partial, false);
        }
        check("n/a", &Strategy::constant("n/a").unwrap(), true);
        check("n/a!", &Strategy::constant("n/a").unwrap(), false);
    }

    /// Whatever the strategy makes of a value is known again.
    #[test]
    fn parts_are_known_again() {
        for value in ["jane.doe@example.com", "a@b.com", "4242424242424242", "Jane Doe", "Ödön", ""]
        {
            let mut part = Vec::new();
            crate::strategy::append_part(value.as_bytes(), &mut part);
            assert!(is_partial(&part), "{value} {}", String::from_utf8_lossy(&part));
        }
    }
}
