//! Masked values: what stands in the place of a value of a hidden column, in its type and format.

use crate::detect::is_card;
use crate::pseudonym::PseudonymKey;
use crate::types::{Shape, read_bytea, read_uuid, write_bytea_hex};
use portcullis_core::mask::{Format, Redacted, Strategy};

/// What a redacted text becomes.
pub const PLACEHOLDER: &str = "[masked]";

/// Appends the masked form of `value` to `out`. Types that have no placeholder of their own
/// (numbers, dates, booleans, arrays, rows, enumerations) become NULL.
pub fn mask(
    strategy: Strategy,
    (type_id, format): (u32, Format),
    value: &[u8],
    key: &PseudonymKey,
    out: &mut Vec<u8>,
) -> Redacted {
    let shape = Shape::of(type_id);
    let text = match (strategy, shape) {
        (Strategy::Null, _) => return Redacted::Removed,
        (Strategy::Hash, Shape::Uuid) => return hash_uuid(format, value, key, out),
        (Strategy::Hash, _) => Pseudonym::Key(key),
        (Strategy::Partial, Shape::Text) => Pseudonym::Part,
        (Strategy::Redact | Strategy::Partial, _) => Pseudonym::Fixed,
    };
    match (shape, format) {
        (Shape::Text, _) => text.append(value, out),
        (Shape::FixedText, _) => text.append(value.trim_ascii_end(), out),
        (Shape::Xml, _) => text.append(value, out),
        (Shape::Json, _) | (Shape::Jsonb, Format::Text) => quoted(&text, value, out),
        (Shape::Jsonb, Format::Binary) => {
            out.push(1);
            quoted(&text, value.strip_prefix(&[1]).unwrap_or(value), out);
        }
        (Shape::Bytea, Format::Binary) => text.append(value, out),
        (Shape::Bytea, Format::Text) => {
            // Both formats of one value have one pseudonym.
            let (mut decoded, mut masked) = (Vec::new(), Vec::new());
            let value = if read_bytea(value, &mut decoded) { &decoded } else { value };
            text.append(value, &mut masked);
            write_bytea_hex(&masked, out);
        }
        _ => return Redacted::Removed,
    }
    Redacted::Replaced
}

enum Pseudonym<'k> {
    Fixed,
    Part,
    Key(&'k PseudonymKey),
}

impl Pseudonym<'_> {
    fn append(&self, value: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Fixed => out.extend_from_slice(PLACEHOLDER.as_bytes()),
            Self::Part => append_part(value, out),
            Self::Key(key) => key.append_text(value, out),
        }
    }
}

/// Neither a placeholder nor a pseudonym has a character that JSON escapes.
fn quoted(text: &Pseudonym<'_>, value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    text.append(value, out);
    out.push(b'"');
}

fn hash_uuid(format: Format, value: &[u8], key: &PseudonymKey, out: &mut Vec<u8>) -> Redacted {
    let Some(uuid) = read_uuid(format, value) else { return Redacted::Removed };
    let uuid = key.uuid(uuid);
    match format {
        Format::Binary => out.extend_from_slice(&uuid),
        Format::Text => {
            for (i, byte) in uuid.iter().enumerate() {
                if matches!(i, 4 | 6 | 8 | 10) {
                    out.push(b'-');
                }
                out.extend_from_slice(format!("{byte:02x}").as_bytes());
            }
        }
    }
    Redacted::Replaced
}

/// Leaves a part readable: of a card the last four digits, of an address the first letters and
/// the top-level domain, of anything else the first character. Never more than a third.
fn append_part(value: &[u8], out: &mut Vec<u8>) {
    if is_card(value) {
        let digits: Vec<_> = value.iter().copied().filter(u8::is_ascii_digit).collect();
        out.extend_from_slice(b"**** **** **** ");
        out.extend_from_slice(digits.get(digits.len().saturating_sub(4)..).unwrap_or_default());
        return;
    }
    let Ok(text) = std::str::from_utf8(value) else {
        out.extend_from_slice(b"***");
        return;
    };
    let part = address_part(text).unwrap_or_else(|| {
        let first = if text.chars().nth(3).is_some() { text.chars().next() } else { None };
        format!("{}***", first.map(String::from).unwrap_or_default())
    });
    out.extend_from_slice(part.as_bytes());
}

fn address_part(text: &str) -> Option<String> {
    let (local, host) = text.split_once('@')?;
    let (name, top) = host.rsplit_once('.')?;
    if local.is_empty() || name.is_empty() || top.is_empty() || host.contains(['@', ' ']) {
        return None;
    }
    let first = |part: &str| part.chars().next().filter(|_| part.chars().nth(2).is_some());
    let (of_local, of_name) = (first(local), first(name));
    let shown =
        top.chars().count() + usize::from(of_local.is_some()) + usize::from(of_name.is_some());
    if shown * 3 > text.chars().count() {
        return Some("***@***".into());
    }
    let letter = |c: Option<char>| c.map(String::from).unwrap_or_default();
    Some(format!("{}***@{}***.{top}", letter(of_local), letter(of_name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::oid;

    fn masked(strategy: Strategy, type_id: u32, format: Format, value: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        let key = PseudonymKey::new(&[7; 32]);
        match mask(strategy, (type_id, format), value, &key, &mut out) {
            Redacted::Replaced => Some(String::from_utf8(out).unwrap()),
            Redacted::Removed => {
                assert!(out.is_empty());
                None
            }
            Redacted::Unchanged => panic!("a hidden value went out as it came"),
        }
    }

    #[test]
    fn part_of_a_value_stays_readable_and_never_more_than_a_third() {
        let check = |value: &str, expect: &str| {
            let part = masked(Strategy::Partial, oid::TEXT, Format::Text, value.as_bytes());
            assert_eq!(part.as_deref(), Some(expect), "{value}");
        };
        check("jane.doe@example.com", "j***@e***.com");
        check("jane@sub.example.co.uk", "j***@s***.uk");
        check("ab@example.com", "***@e***.com");
        check("a@b.co", "***@***.co");
        check("a@b.com", "***@***");
        check("4242424242424242", "**** **** **** 4242");
        check("4242-4242-4242-4242", "**** **** **** 4242");
        check("4242424242424243", "4***");
        check("Jane Doe", "J***");
        check("Ödön", "Ö***");
        check("abcd", "a***");
        check("abc", "***");
        check("é", "***");
        check("", "***");
        check("not an address @ all.", "n***");
    }

    #[test]
    fn masked_values_keep_their_type_or_become_null() {
        let check = |type_id: u32, format: Format, expect: Option<&str>| {
            let value = b"1 secret";
            assert_eq!(masked(Strategy::Redact, type_id, format, value).as_deref(), expect);
        };
        for format in [Format::Text, Format::Binary] {
            for type_id in [oid::TEXT, oid::VARCHAR, oid::BPCHAR, oid::NAME, oid::XML, 705, 0] {
                check(type_id, format, Some("[masked]"));
            }
            check(oid::JSON, format, Some("\"[masked]\""));
            // bool, int8, int4, float8, numeric, date, timestamptz, uuid, text[], record, inet,
            // "char", and an enumeration or whatever a user defined.
            for type_id in [16, 20, 23, 701, 1700, 1082, 1184, 2950, 1009, 2249, 869, 18, 16_400] {
                check(type_id, format, None);
            }
        }
        check(oid::JSONB, Format::Text, Some("\"[masked]\""));
        check(oid::JSONB, Format::Binary, Some("\u{1}\"[masked]\""));
        check(oid::BYTEA, Format::Text, Some("\\x5b6d61736b65645d"));
        check(oid::BYTEA, Format::Binary, Some("[masked]"));
        assert_eq!(masked(Strategy::Null, oid::TEXT, Format::Text, b"x"), None);
        assert_eq!(
            masked(Strategy::Partial, oid::JSON, Format::Text, b"\"jane\"").as_deref(),
            Some("\"[masked]\"")
        );
    }

    #[test]
    fn a_pseudonym_does_not_depend_on_the_format() {
        let hash = |type_id, format, value: &[u8]| masked(Strategy::Hash, type_id, format, value);
        let text = hash(oid::TEXT, Format::Text, b"jane").unwrap();
        assert!(text.starts_with("pcm_") && text.len() == 20, "{text}");
        assert_eq!(hash(oid::VARCHAR, Format::Binary, b"jane"), Some(text.clone()));
        assert_eq!(hash(oid::BPCHAR, Format::Text, b"jane      "), Some(text.clone()));
        assert_eq!(hash(oid::JSONB, Format::Binary, b"\x01jane"), Some(format!("\x01\"{text}\"")));
        assert_eq!(hash(oid::BYTEA, Format::Binary, b"jane"), Some(text.clone()));
        let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hash(oid::BYTEA, Format::Text, b"\\x6a616e65"), Some(format!("\\x{hex}")));
        assert_eq!(hash(oid::INT8, Format::Text, b"42"), None);
    }

    #[test]
    fn a_pseudonymous_uuid_is_a_uuid() {
        let key = PseudonymKey::new(&[7; 32]);
        let (mut text, mut binary) = (Vec::new(), Vec::new());
        let upper = b"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11";
        mask(Strategy::Hash, (oid::UUID, Format::Text), upper, &key, &mut text);
        let raw = 0xa0ee_bc99_9c0b_4ef8_bb6d_6bb9_bd38_0a11_u128.to_be_bytes();
        mask(Strategy::Hash, (oid::UUID, Format::Binary), &raw, &key, &mut binary);
        assert_eq!(read_uuid(Format::Text, &text).unwrap().to_vec(), binary);
        assert_eq!((text.len(), text[14], binary.len()), (36, b'8', 16));
        let broken = mask(Strategy::Hash, (oid::UUID, Format::Text), b"nonsense", &key, &mut text);
        assert_eq!(broken, Redacted::Removed);
    }
}
