//! Masked values: what stands in the place of a value of a hidden column, in its type and format.
//!
//! | type | `redact` | `partial` | `hash` | `shift_days` |
//! | --- | --- | --- | --- | --- |
//! | text and its like | `[masked]` | a part | `pcm_…` | NULL |
//! | numbers, money | 0 | 0 | as many other digits | NULL |
//! | dates, timestamps | the start of 2000 | the same | another of 1900 to 2099 | moved |
//! | UUID | all zero | the same | version 8 | NULL |
//! | addresses | nowhere | the same | another | NULL |
//! | arrays, rows | one element, all members | the same | the same | NULL |
//! | ranges | empty | the same | the same | both bounds moved |
//! | boolean, enumeration, domain with checks, unknown | NULL | NULL | NULL | NULL |

use crate::detect::is_card;
use crate::forms::{self, MAX_DEPTH, Made};
use crate::moment::{self, Change, Kind};
use crate::number;
use crate::pseudonym::PseudonymKey;
use crate::types::{Shape, oid, read_bytea, read_uuid, write_bytea_hex};
use portcullis_core::mask::{Format, Redacted, Strategy, TypeMap};
use std::net::IpAddr;

/// What a redacted text becomes.
pub const PLACEHOLDER: &str = "[masked]";

/// What masked values are made with, beside the strategy.
#[derive(Debug, Clone, Copy)]
pub struct Means<'m> {
    /// The key of pseudonyms.
    pub key: &'m PseudonymKey,
    /// The types of the database.
    pub types: &'m TypeMap,
}

/// Appends the masked form of a plain column's `value` to `out`, in its type and format. Where there
/// is none, the value becomes NULL.
pub fn mask(
    strategy: &Strategy,
    field: (u32, Format),
    value: &[u8],
    means: Means<'_>,
    out: &mut Vec<u8>,
) -> Redacted {
    let start = out.len();
    let redact = |out: &mut Vec<u8>| {
        forms::placeholder(field.0, field.1, Some(value), means.types, out, MAX_DEPTH)
    };
    let done = match strategy {
        Strategy::Null => false,
        Strategy::Redact => redact(out),
        Strategy::Partial => match forms::resolve(field.0, means.types, true) {
            (type_id, Made::Scalar) if is_text(type_id) => {
                append_part(unpadded(type_id, value), out);
                true
            }
            _ => redact(out),
        },
        Strategy::Hash => match forms::resolve(field.0, means.types, true) {
            (type_id, Made::Scalar) => pseudonym((type_id, field.1), value, means.key, out),
            _ => redact(out),
        },
        Strategy::Constant(literal) => {
            forms::constant(literal, field, Some(value), means.types, out)
        }
        Strategy::ShiftDays(most) => shift(field, value, *most, means, out),
    };
    if done {
        return Redacted::Replaced;
    }
    out.truncate(start);
    Redacted::Removed
}

/// Appends what stands for the value of an expression over hidden columns. A made-up number would be
/// taken for what the caller asked about, so only types whose placeholder speaks for itself get one;
/// all others become NULL.
pub fn conceal((type_id, format): (u32, Format), means: Means<'_>, out: &mut Vec<u8>) -> Redacted {
    let speaks = match forms::resolve(type_id, means.types, true) {
        (type_id, Made::Scalar) => !matches!(
            Shape::of(type_id),
            Shape::Plain | Shape::Uuid | Shape::Array | Shape::RigidArray | Shape::Record
        ),
        _ => false,
    };
    if speaks && forms::placeholder(type_id, format, None, means.types, out, MAX_DEPTH) {
        return Redacted::Replaced;
    }
    Redacted::Removed
}

const fn is_text(type_id: u32) -> bool {
    matches!(Shape::of(type_id), Shape::Text | Shape::FixedText)
}

const fn unpadded(type_id: u32, value: &[u8]) -> &[u8] {
    if type_id == oid::BPCHAR { value.trim_ascii_end() } else { value }
}

/// A pseudonym of the value's type: the same value, the same pseudonym, in both formats.
fn pseudonym(
    (type_id, format): (u32, Format),
    value: &[u8],
    key: &PseudonymKey,
    out: &mut Vec<u8>,
) -> bool {
    match Shape::of(type_id) {
        Shape::Text | Shape::FixedText | Shape::Xml => {
            key.append_text(unpadded(type_id, value), out);
            true
        }
        Shape::Json | Shape::Jsonb => {
            let binary = type_id == oid::JSONB && format == Format::Binary;
            let value = if binary { value.strip_prefix(&[1]).unwrap_or(value) } else { value };
            if binary {
                out.push(1);
            }
            // Neither a placeholder nor a pseudonym has a character that JSON escapes.
            out.push(b'"');
            key.append_text(value, out);
            out.push(b'"');
            true
        }
        Shape::Bytea => {
            hash_bytea(format, value, key, out);
            true
        }
        Shape::Uuid => hash_uuid(format, value, key, out),
        _ => plain_pseudonym((type_id, format), value, key, out),
    }
}

fn hash_bytea(format: Format, value: &[u8], key: &PseudonymKey, out: &mut Vec<u8>) {
    if format == Format::Binary {
        return key.append_text(value, out);
    }
    let (mut decoded, mut masked) = (Vec::new(), Vec::new());
    let value = if read_bytea(value, &mut decoded) { &decoded } else { value };
    key.append_text(value, &mut masked);
    write_bytea_hex(&masked, out);
}

/// Numbers, moments, addresses: other values of the same type.
fn plain_pseudonym(
    (type_id, format): (u32, Format),
    value: &[u8],
    key: &PseudonymKey,
    out: &mut Vec<u8>,
) -> bool {
    match (type_id, format) {
        (20 | 21 | 23 | 790, Format::Binary) => hash_integer(value, key, out),
        (26 | 28 | 5069, Format::Binary) => hash_unsigned(value, key, out),
        (20 | 21 | 23, Format::Text) => hash_integer_text(type_id, value, key, out),
        (26 | 28 | 5069, Format::Text) => hash_unsigned_text(type_id, value, key, out),
        (790, Format::Text) => number::replace_digits(key, value, out),
        (1700, Format::Text) => {
            number::is_decimal(value) && number::replace_digits(key, value, out)
        }
        (1700, Format::Binary) => {
            let mut made = Vec::new();
            number::read_numeric(value)
                .is_some_and(|text| number::replace_digits(key, text.as_bytes(), &mut made))
                && number::write_numeric(&made, out)
        }
        (700 | 701, _) => hash_float((type_id, format), value, key, out),
        (1083, _) => hash_time(format, value, key, out),
        (869 | 650, _) => hash_inet((type_id, format), value, key, out),
        (829 | 774, _) => hash_mac((type_id, format), value, key, out),
        _ => Kind::of(type_id)
            .is_some_and(|kind| moment::change(kind, format, value, Change::Key(key), out)),
    }
}

fn hash_integer(value: &[u8], key: &PseudonymKey, out: &mut Vec<u8>) -> bool {
    let made = match *value {
        [a, b] => number::signed(key, i16::from_be_bytes([a, b]).into())
            .and_then(|n| i16::try_from(n).ok())
            .map(|n| n.to_be_bytes().to_vec()),
        [a, b, c, d] => number::signed(key, i32::from_be_bytes([a, b, c, d]).into())
            .and_then(|n| i32::try_from(n).ok())
            .map(|n| n.to_be_bytes().to_vec()),
        _ => value
            .try_into()
            .ok()
            .and_then(|bytes| number::signed(key, i64::from_be_bytes(bytes)))
            .map(|n| n.to_be_bytes().to_vec()),
    };
    made.is_some_and(|made| {
        out.extend_from_slice(&made);
        true
    })
}

fn hash_integer_text(type_id: u32, value: &[u8], key: &PseudonymKey, out: &mut Vec<u8>) -> bool {
    let ends = match type_id {
        21 => i64::from(i16::MIN)..=i64::from(i16::MAX),
        23 => i64::from(i32::MIN)..=i64::from(i32::MAX),
        _ => i64::MIN..=i64::MAX,
    };
    let n = std::str::from_utf8(value).ok().and_then(|text| text.parse::<i64>().ok());
    let made = n.and_then(|n| number::signed(key, n)).filter(|n| ends.contains(n));
    made.is_some_and(|n| {
        out.extend_from_slice(n.to_string().as_bytes());
        true
    })
}

fn hash_unsigned(value: &[u8], key: &PseudonymKey, out: &mut Vec<u8>) -> bool {
    let n = match *value {
        [a, b, c, d] => u32::from_be_bytes([a, b, c, d]).into(),
        _ => match value.try_into() {
            Ok(bytes) => u64::from_be_bytes(bytes),
            Err(_) => return false,
        },
    };
    let made = number::pseudonym(key, n, false).unwrap_or_default();
    match (value.len(), u32::try_from(made)) {
        (4, Ok(made)) => out.extend_from_slice(&made.to_be_bytes()),
        (8, _) => out.extend_from_slice(&made.to_be_bytes()),
        _ => return false,
    }
    true
}

fn hash_unsigned_text(type_id: u32, value: &[u8], key: &PseudonymKey, out: &mut Vec<u8>) -> bool {
    let n = std::str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok());
    let most = if type_id == 5069 { u64::MAX } else { u32::MAX.into() };
    let made = n.and_then(|n| number::pseudonym(key, n, false)).filter(|n| *n <= most);
    made.is_some_and(|n| {
        out.extend_from_slice(n.to_string().as_bytes());
        true
    })
}

/// By the shortest decimal text that is the number, so that both formats agree.
fn hash_float(
    (type_id, format): (u32, Format),
    value: &[u8],
    key: &PseudonymKey,
    out: &mut Vec<u8>,
) -> bool {
    let text = || std::str::from_utf8(value).ok();
    let shortest = match (type_id, format) {
        (700, Format::Text) => text().and_then(|t| t.parse::<f32>().ok()).map(|n| n.to_string()),
        (700, Format::Binary) => {
            value.try_into().ok().map(|bytes| f32::from_be_bytes(bytes).to_string())
        }
        (_, Format::Text) => text().and_then(|t| t.parse::<f64>().ok()).map(|n| n.to_string()),
        (_, Format::Binary) => {
            value.try_into().ok().map(|bytes| f64::from_be_bytes(bytes).to_string())
        }
    };
    let mut made = Vec::new();
    if !shortest.is_some_and(|text| number::replace_digits(key, text.as_bytes(), &mut made)) {
        return false;
    }
    let made = String::from_utf8(made).unwrap_or_default();
    match (type_id, format) {
        (700, Format::Binary) => {
            let Ok(n) = made.parse::<f32>() else { return false };
            out.extend_from_slice(&n.to_be_bytes());
        }
        (_, Format::Binary) => {
            let Ok(n) = made.parse::<f64>() else { return false };
            out.extend_from_slice(&n.to_be_bytes());
        }
        (_, Format::Text) => out.extend_from_slice(made.as_bytes()),
    }
    true
}

fn hash_time(format: Format, value: &[u8], key: &PseudonymKey, out: &mut Vec<u8>) -> bool {
    let micros = match format {
        Format::Binary => value.try_into().ok().map(i64::from_be_bytes),
        Format::Text => std::str::from_utf8(value).ok().and_then(moment::read_clock),
    };
    let Some(made) = micros.and_then(|m| moment::pseudonymous_time(key, m)) else { return false };
    match format {
        Format::Binary => out.extend_from_slice(&made.to_be_bytes()),
        Format::Text => out.extend_from_slice(moment::clock_text(made).as_bytes()),
    }
    true
}

/// Another address of the same family with as long a prefix; in a `cidr`, no bits behind it.
fn hash_inet(
    (type_id, format): (u32, Format),
    value: &[u8],
    key: &PseudonymKey,
    out: &mut Vec<u8>,
) -> bool {
    let parsed = match format {
        Format::Text => std::str::from_utf8(value).ok().and_then(|text| {
            let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
            let address = address.parse::<IpAddr>().ok()?;
            Some((address, bits.map(str::parse::<u8>).transpose().ok()?))
        }),
        Format::Binary => match value {
            [2, bits, _, 4, address @ ..] => <[u8; 4]>::try_from(address)
                .ok()
                .map(|address| (IpAddr::from(address), Some(*bits))),
            [3, bits, _, 16, address @ ..] => <[u8; 16]>::try_from(address)
                .ok()
                .map(|address| (IpAddr::from(address), Some(*bits))),
            _ => None,
        },
    };
    let Some((address, prefix)) = parsed else { return false };
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits = prefix.unwrap_or(width);
    if bits > width {
        return false;
    }
    let made = match address {
        IpAddr::V4(v4) => {
            let made = key.permute(4, u32::from(v4).into(), 1 << 32);
            let made = u32::try_from(made).unwrap_or_default();
            let kept = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::from((if type_id == 650 { made & kept } else { made }).to_be_bytes())
        }
        IpAddr::V6(v6) => {
            let made = key.bits(b"inet", &v6.octets());
            let kept = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::from((if type_id == 650 { made & kept } else { made }).to_be_bytes())
        }
    };
    match format {
        Format::Text => {
            out.extend_from_slice(made.to_string().as_bytes());
            if let Some(bits) = prefix {
                out.extend_from_slice(format!("/{bits}").as_bytes());
            }
        }
        Format::Binary => {
            out.extend_from_slice(value.get(..4).unwrap_or_default());
            match made {
                IpAddr::V4(v4) => out.extend_from_slice(&v4.octets()),
                IpAddr::V6(v6) => out.extend_from_slice(&v6.octets()),
            }
        }
    }
    true
}

/// Another hardware address, marked as administered locally.
fn hash_mac(
    (type_id, format): (u32, Format),
    value: &[u8],
    key: &PseudonymKey,
    out: &mut Vec<u8>,
) -> bool {
    let size = if type_id == 829 { 6 } else { 8 };
    let mut address = Vec::new();
    match format {
        Format::Binary => address.extend_from_slice(value),
        Format::Text => {
            let digits: Vec<u8> = value.iter().copied().filter(|b| *b != b':').collect();
            crate::types::append_hex(&digits, &mut address);
        }
    }
    if address.len() != size {
        return false;
    }
    let bits = key.bits(b"mac.", &address).to_be_bytes();
    let mut made = bits.get(..size).unwrap_or_default().to_vec();
    if let Some(first) = made.first_mut() {
        *first = *first & !1 | 2;
    }
    match format {
        Format::Binary => out.extend_from_slice(&made),
        Format::Text => {
            let parts: Vec<String> = made.iter().map(|b| format!("{b:02x}")).collect();
            out.extend_from_slice(parts.join(":").as_bytes());
        }
    }
    true
}

/// Moves a date, a timestamp, or both bounds of a range of them.
fn shift(
    (type_id, format): (u32, Format),
    value: &[u8],
    most: u16,
    means: Means<'_>,
    out: &mut Vec<u8>,
) -> bool {
    let by = Change::Days(means.key.shift_days(most));
    match forms::resolve(type_id, means.types, true) {
        (type_id, Made::Scalar) => {
            Kind::of(type_id).is_some_and(|kind| moment::change(kind, format, value, by, out))
        }
        (_, Made::Range(bound)) => {
            let (bound, made) = forms::resolve(bound, means.types, true);
            let Some(kind) = Kind::of(bound).filter(|_| made == Made::Scalar) else { return false };
            match format {
                Format::Binary => shift_range(kind, value, by, out),
                Format::Text => shift_range_text(kind, value, by, out),
            }
        }
        _ => false,
    }
}

/// `range_send`: flags, then each bound that there is behind its length.
fn shift_range(kind: Kind, value: &[u8], by: Change<'_>, out: &mut Vec<u8>) -> bool {
    const EMPTY: u8 = 1;
    const NO_BOUND: [u8; 2] = [0x08, 0x10];
    let Some((flags, mut rest)) = value.split_first() else { return false };
    out.push(*flags);
    for absent in NO_BOUND {
        if flags & (EMPTY | absent) != 0 {
            continue;
        }
        let Some((length, after)) = rest.split_first_chunk::<4>() else { return false };
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else { return false };
        let Some((bound, after)) = after.split_at_checked(length) else { return false };
        let mut made = Vec::new();
        if !moment::change(kind, Format::Binary, bound, by, &mut made) {
            return false;
        }
        // Binary moments all have the same size.
        out.extend_from_slice(&i32::try_from(made.len()).unwrap_or_default().to_be_bytes());
        out.extend_from_slice(&made);
        rest = after;
    }
    rest.is_empty()
}

fn shift_range_text(kind: Kind, value: &[u8], by: Change<'_>, out: &mut Vec<u8>) -> bool {
    if value == b"empty" {
        out.extend_from_slice(value);
        return true;
    }
    let (Some((open, rest)), Some((close, _))) = (value.split_first(), value.split_last()) else {
        return false;
    };
    let inner = rest.split_last().map(|(_, inner)| inner).unwrap_or_default();
    if !b"[(".contains(open) || !b"])".contains(close) {
        return false;
    }
    out.push(*open);
    let mut bounds = 0;
    // No moment has a comma in it.
    for bound in inner.split(|b| *b == b',') {
        if bounds > 0 {
            out.push(b',');
        }
        bounds += 1;
        if bound.is_empty() {
            continue;
        }
        let bare = bound.strip_prefix(b"\"").and_then(|b| b.strip_suffix(b"\"")).unwrap_or(bound);
        out.push(b'"');
        if !moment::change(kind, Format::Text, bare, by, out) {
            return false;
        }
        out.push(b'"');
    }
    out.push(*close);
    bounds == 2
}

fn hash_uuid(format: Format, value: &[u8], key: &PseudonymKey, out: &mut Vec<u8>) -> bool {
    let Some(uuid) = read_uuid(format, value) else { return false };
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
    true
}

/// Leaves a part readable: of a card the last four digits, of an address the first letters and
/// the top-level domain, of anything else the first character. Never more than a third.
pub(crate) fn append_part(value: &[u8], out: &mut Vec<u8>) {
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
    use portcullis_core::mask::UserType;

    fn types() -> TypeMap {
        [
            (16_400, UserType::Text),
            (16_401, UserType::Domain { base: oid::TEXT, checked: false }),
            (16_402, UserType::Domain { base: oid::TEXT, checked: true }),
            (16_403, UserType::Enum(["low".into(), "high".into()].into())),
        ]
        .into_iter()
        .collect()
    }

    fn bytes_of(strategy: &Strategy, field: (u32, Format), value: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let (key, types) = (PseudonymKey::new(&[7; 32]), types());
        match mask(strategy, field, value, Means { key: &key, types: &types }, &mut out) {
            Redacted::Replaced => Some(out),
            Redacted::Removed => {
                assert!(out.is_empty());
                None
            }
            Redacted::Unchanged => panic!("a hidden value went out as it came"),
        }
    }

    fn masked(strategy: Strategy, type_id: u32, format: Format, value: &[u8]) -> Option<String> {
        bytes_of(&strategy, (type_id, format), value).map(|out| String::from_utf8(out).unwrap())
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
            check(16_400, format, Some("[masked]"));
            check(16_401, format, Some("[masked]"));
            // bool, an enumeration, a domain with checks, a type nobody knows, an anonymous row.
            for type_id in [16, 16_403, 16_402, 16_999, oid::RECORD] {
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
        assert!(text.starts_with("pcm_") && text.len() == 26, "{text}");
        assert_eq!(hash(oid::VARCHAR, Format::Binary, b"jane"), Some(text.clone()));
        assert_eq!(hash(oid::BPCHAR, Format::Text, b"jane      "), Some(text.clone()));
        assert_eq!(hash(oid::JSONB, Format::Binary, b"\x01jane"), Some(format!("\x01\"{text}\"")));
        assert_eq!(hash(oid::BYTEA, Format::Binary, b"jane"), Some(text.clone()));
        let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hash(oid::BYTEA, Format::Text, b"\\x6a616e65"), Some(format!("\\x{hex}")));
    }

    /// Text and binary of one value have one pseudonym, of the same type.
    #[test]
    fn pseudonyms_of_plain_types_do_not_depend_on_the_format() {
        let both = |type_id: u32, text: &str, binary: &[u8]| {
            let made = masked(Strategy::Hash, type_id, Format::Text, text.as_bytes()).unwrap();
            let binary = bytes_of(&Strategy::Hash, (type_id, Format::Binary), binary).unwrap();
            (made, binary)
        };
        let (text, binary) = both(23, "4711", &4711_i32.to_be_bytes());
        assert_eq!(text.parse::<i32>().unwrap().to_be_bytes().to_vec(), binary);
        let (wide, binary) = both(20, "4711", &4711_i64.to_be_bytes());
        assert_eq!((wide.parse::<i64>().unwrap().to_be_bytes().to_vec(), &wide), (binary, &text));
        let (text, binary) = both(701, "12.5", &12.5_f64.to_be_bytes());
        assert_eq!(text.parse::<f64>().unwrap().to_be_bytes().to_vec(), binary);
        let mut numeric = Vec::new();
        assert!(number::write_numeric(b"4711", &mut numeric));
        let (text, binary) = both(1700, "4711", &numeric);
        assert_eq!((number::read_numeric(&binary).unwrap(), text), (wide.clone(), wide));
        let (text, binary) = both(869, "10.0.0.1", &[2, 32, 0, 4, 10, 0, 0, 1]);
        let octets = text.parse::<std::net::Ipv4Addr>().unwrap().octets();
        assert_eq!(binary[4..], octets);
        let (text, binary) = both(829, "08:00:2b:01:02:03", &[8, 0, 0x2b, 1, 2, 3]);
        let hex: Vec<String> = binary.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(text, hex.join(":"));
        let noon = 12 * 3_600_000_000_i64;
        let (text, binary) = both(1083, "12:00:00", &noon.to_be_bytes());
        assert_eq!(moment::read_clock(&text).unwrap().to_be_bytes().to_vec(), binary);
        assert_eq!(masked(Strategy::Hash, 23, Format::Text, b"x"), None);
        assert_eq!(masked(Strategy::Hash, 16, Format::Text, b"t"), None);
    }

    #[test]
    fn what_moves_is_a_moment() {
        let shift = |type_id: u32, value: &str| {
            masked(Strategy::ShiftDays(30), type_id, Format::Text, value.as_bytes())
        };
        assert_ne!(shift(1082, "2024-03-01").unwrap(), "2024-03-01");
        let moved = shift(3912, "[2024-03-01,2024-03-08)").unwrap();
        assert_eq!(moved.len(), "[\"2024-03-01\",\"2024-03-08\")".len(), "{moved}");
        assert_eq!(shift(3912, "empty").as_deref(), Some("empty"));
        assert!(shift(3912, "[2024-03-01,)").unwrap().ends_with("\",)"));
        assert_eq!(shift(3904, "[1,2)"), None);
        assert_eq!(shift(oid::TEXT, "2024-03-01"), None);
        assert_eq!(shift(1182, "{2024-03-01}"), None);
        let mut range = vec![2];
        for day in [0_i32, 7] {
            range.extend_from_slice(&4_i32.to_be_bytes());
            range.extend_from_slice(&day.to_be_bytes());
        }
        let moved = bytes_of(&Strategy::ShiftDays(30), (3912, Format::Binary), &range).unwrap();
        let day = |at: usize| i32::from_be_bytes(moved[at..at + 4].try_into().unwrap());
        assert_eq!(day(13) - day(5), 7);
        assert_ne!(day(5), 0);
    }

    #[test]
    fn constants_are_values_of_the_type_or_null() {
        let constant = |literal: &str, type_id, value: &[u8]| {
            masked(Strategy::constant(literal).unwrap(), type_id, Format::Text, value)
        };
        assert_eq!(constant("n/a", oid::TEXT, b"x").as_deref(), Some("n/a"));
        assert_eq!(constant("-1", 23, b"5").as_deref(), Some("-1"));
        assert_eq!(constant("n/a", 23, b"5"), None);
        assert_eq!(constant("high", 16_403, b"low").as_deref(), Some("high"));
        assert_eq!(constant("2020-01-01", 1082, b"2024-01-01").as_deref(), Some("2020-01-01"));
        assert_eq!(constant("2020-01-01", 1082, b"01.01.2024"), None);
        assert_eq!(constant("{}", oid::JSON, b"1").as_deref(), Some("{}"));
        assert_eq!(constant("n/a", oid::JSON, b"1").as_deref(), Some("\"n/a\""));
    }

    #[test]
    fn expressions_show_no_made_up_numbers() {
        let (key, types) = (PseudonymKey::new(&[7; 32]), types());
        let check = |type_id: u32, expect: Option<&str>| {
            let mut out = Vec::new();
            let means = Means { key: &key, types: &types };
            let done = conceal((type_id, Format::Text), means, &mut out) == Redacted::Replaced;
            assert_eq!(done.then(|| String::from_utf8(out).unwrap()).as_deref(), expect);
        };
        for type_id in [oid::TEXT, 16_400, oid::XML] {
            check(type_id, Some("[masked]"));
        }
        check(oid::JSONB, Some("\"[masked]\""));
        for type_id in [16, 20, 1082, 1700, oid::UUID, 1009, 1007, oid::RECORD, 16_403, 3904] {
            check(type_id, None);
        }
    }

    #[test]
    fn a_pseudonymous_uuid_is_a_uuid() {
        let key = PseudonymKey::new(&[7; 32]);
        let (mut text, mut binary) = (Vec::new(), Vec::new());
        let upper = b"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11";
        let types = types();
        let means = Means { key: &key, types: &types };
        mask(&Strategy::Hash, (oid::UUID, Format::Text), upper, means, &mut text);
        let raw = 0xa0ee_bc99_9c0b_4ef8_bb6d_6bb9_bd38_0a11_u128.to_be_bytes();
        mask(&Strategy::Hash, (oid::UUID, Format::Binary), &raw, means, &mut binary);
        assert_eq!(read_uuid(Format::Text, &text).unwrap().to_vec(), binary);
        assert_eq!((text.len(), text[14], binary.len()), (36, b'8', 16));
        let broken =
            mask(&Strategy::Hash, (oid::UUID, Format::Text), b"nonsense", means, &mut text);
        assert_eq!(broken, Redacted::Removed);
    }
}
