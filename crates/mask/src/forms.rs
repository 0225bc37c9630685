//! Values that stand for any other of their type: the placeholder of each type, and a literal of
//! the configuration as a value of a type. In text and in binary.

use crate::moment::{self, Kind};
use crate::number::write_numeric;
use crate::strategy::PLACEHOLDER;
use crate::types::{append_hex, oid, read_uuid, write_bytea_hex};
use portcullis_core::built_in::element_of;
use portcullis_core::mask::{Format, TypeMap, UserType};
use std::net::IpAddr;

/// What a type is made of, built in or the database's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made<'m> {
    /// Of nothing else.
    Scalar,
    /// Of elements of this type.
    Array(u32),
    /// Of two bounds of this type.
    Range(u32),
    /// Of several ranges.
    Multirange,
    /// Of members of these types.
    Row(&'m [u32]),
    /// Of pairs of texts.
    Hstore,
    /// One of these labels.
    Enum(&'m [Box<str>]),
    /// Nobody knows, or not all values of the type below are among its own.
    Unknown,
}

/// How deep types are looked into.
pub(crate) const MAX_DEPTH: u8 = 8;

/// A type without the domains around it, and what it is made of.
pub(crate) fn resolve(type_id: u32, types: &TypeMap, checks: bool) -> (u32, Made<'_>) {
    let mut type_id = type_id;
    for _ in 0..MAX_DEPTH {
        if type_id < oid::FIRST_ASSIGNED {
            return (type_id, built_in(type_id));
        }
        type_id = match types.get(type_id) {
            Some(UserType::Domain { checked: true, .. }) if checks => {
                return (type_id, Made::Unknown);
            }
            Some(UserType::Domain { base, .. }) => *base,
            Some(UserType::Text) => oid::TEXT,
            Some(UserType::Enum(labels)) => return (type_id, Made::Enum(labels)),
            Some(UserType::Array(element)) => return (type_id, Made::Array(*element)),
            Some(UserType::Composite(members)) => return (type_id, Made::Row(members)),
            Some(UserType::Range(of)) => return (type_id, Made::Range(*of)),
            Some(UserType::Multirange) => return (type_id, Made::Multirange),
            Some(UserType::Hstore) => return (type_id, Made::Hstore),
            None => return (type_id, Made::Unknown),
        };
    }
    (type_id, Made::Unknown)
}

/// Built-in ranges by their bounds (`pg_range.dat`).
const RANGES: &[(u32, u32)] =
    &[(3904, 23), (3906, 1700), (3908, 1114), (3910, 1184), (3912, 1082), (3926, 20)];

/// What a built-in type is made of.
fn built_in(type_id: u32) -> Made<'static> {
    let bound = RANGES.iter().find(|(range, _)| *range == type_id).map(|(_, bound)| *bound);
    match type_id {
        4451 | 4532..=4536 => Made::Multirange,
        _ => match (element_of(type_id), bound) {
            (Some(element), _) => Made::Array(element),
            (_, Some(bound)) => Made::Range(bound),
            _ => Made::Scalar,
        },
    }
}

/// Appends the placeholder of a type; false, with nothing written, where it has none. `original` is
/// the value it stands for, where there is one: only what its type and style say is used of it.
pub(crate) fn placeholder(
    type_id: u32,
    format: Format,
    original: Option<&[u8]>,
    types: &TypeMap,
    out: &mut Vec<u8>,
    depth: u8,
) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    let start = out.len();
    let (type_id, made) = resolve(type_id, types, true);
    let done = match made {
        Made::Scalar => scalar(type_id, format, original, out),
        Made::Array(element) => {
            array(element, format, out, |out| placeholder(element, format, None, types, out, depth))
        }
        Made::Range(_) => put(format, b"empty", &[1], out),
        Made::Multirange => put(format, b"{}", &[0; 4], out),
        Made::Hstore => {
            let binary = [&[0, 0, 0, 1, 0, 0, 0, 8], PLACEHOLDER.as_bytes(), &[0xff; 4]].concat();
            put(format, b"\"[masked]\"=>NULL", &binary, out)
        }
        Made::Row(members) => row(members, format, types, out, depth),
        Made::Enum(_) | Made::Unknown => false,
    };
    if !done {
        out.truncate(start);
    }
    done
}

fn put(format: Format, text: &[u8], binary: &[u8], out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(if format == Format::Text { text } else { binary });
    true
}

/// Placeholders of types that are made of nothing else: the least value, zero, nowhere, midnight.
fn scalar(type_id: u32, format: Format, original: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
    let is_text = format == Format::Text;
    // Dates have the style of the session, of which the value is a sample; inside of others there is
    // none.
    let styled = || original.is_some_and(|value| !is_text || moment::is_iso(value));
    let zeros = [0_u8; 24];
    let zero = |size: usize| zeros.get(..size).unwrap_or_default();
    match type_id {
        0
        | oid::TEXT
        | oid::VARCHAR
        | oid::NAME
        | oid::UNKNOWN
        | oid::CSTRING
        | oid::BPCHAR
        | oid::XML
        | oid::REFCURSOR => put(format, PLACEHOLDER.as_bytes(), PLACEHOLDER.as_bytes(), out),
        oid::JSON => put(format, b"\"[masked]\"", b"\"[masked]\"", out),
        oid::JSONB | oid::JSONPATH => put(format, b"\"[masked]\"", b"\x01\"[masked]\"", out),
        oid::BYTEA => {
            if is_text {
                write_bytea_hex(PLACEHOLDER.as_bytes(), out);
            } else {
                out.extend_from_slice(PLACEHOLDER.as_bytes());
            }
            true
        }
        oid::TSVECTOR => put(format, b"'[masked]'", b"\0\0\0\x01[masked]\0\0\0", out),
        oid::TSQUERY => put(format, b"'[masked]'", b"\0\0\0\x01\x01\0\0[masked]\0", out),
        // "char"
        18 => put(format, b"*", b"*", out),
        // int2; int4, oid, xid, cid; int8, money, xid8
        21 => put(format, b"0", zero(2), out),
        23 | 26 | 28 | 29 => put(format, b"0", zero(4), out),
        20 | 790 | 5069 => put(format, b"0", zero(8), out),
        // regproc and its like
        24 | 2202..=2206 | 3734 | 3769 | 4089 | 4096 | 4191 => put(format, b"-", zero(4), out),
        // tid, pg_lsn
        27 => put(format, b"(0,0)", zero(6), out),
        3220 => put(format, b"0/0", zero(8), out),
        // float4, float8, numeric
        700 => put(format, b"0", zero(4), out),
        701 => put(format, b"0", zero(8), out),
        1700 => put(format, b"0", zero(8), out),
        1082 => styled() && put(format, b"2000-01-01", zero(4), out),
        1114 => styled() && put(format, b"2000-01-01 00:00:00", zero(8), out),
        1184 => styled() && put(format, b"2000-01-01 00:00:00+00", zero(8), out),
        1083 => put(format, b"00:00:00", zero(8), out),
        1266 => put(format, b"00:00:00+00", zero(12), out),
        1186 => {
            let text: &[u8] = match original.and_then(<[u8]>::first) {
                Some(b'P') => b"PT0S",
                Some(b'@') => b"@ 0",
                _ => b"00:00:00",
            };
            put(format, text, zero(16), out)
        }
        oid::UUID => put(format, b"00000000-0000-0000-0000-000000000000", zero(16), out),
        // inet, cidr, macaddr, macaddr8
        869 => put(format, b"0.0.0.0", &[2, 32, 0, 4, 0, 0, 0, 0], out),
        650 => put(format, b"0.0.0.0/32", &[2, 32, 1, 4, 0, 0, 0, 0], out),
        829 => put(format, b"00:00:00:00:00:00", zero(6), out),
        774 => put(format, b"00:00:00:00:00:00:00:00", zero(8), out),
        // bit: as many as the type says, which is as many as the value has. varbit: none.
        1560 => original.is_some_and(|original| bits(format, original, out)),
        1562 => put(format, b"", zero(4), out),
        _ => shape(type_id, format, out),
    }
}

fn bits(format: Format, original: &[u8], out: &mut Vec<u8>) -> bool {
    match (format, original.first_chunk::<4>()) {
        (Format::Text, _) => out.resize(out.len() + original.len(), b'0'),
        (Format::Binary, Some(length)) => {
            out.extend_from_slice(length);
            out.resize(out.len() + original.len() - 4, 0);
        }
        (Format::Binary, None) => return false,
    }
    true
}

/// Geometry: all at the origin.
fn shape(type_id: u32, format: Format, out: &mut Vec<u8>) -> bool {
    let one = 1.0_f64.to_be_bytes();
    let at = [0_u8; 32];
    let zero = |size: usize| at.get(..size).unwrap_or_default();
    match type_id {
        600 => put(format, b"(0,0)", zero(16), out),
        601 => put(format, b"[(0,0),(0,0)]", zero(32), out),
        602 => put(format, b"((0,0))", &[&[1, 0, 0, 0, 1], zero(16)].concat(), out),
        603 => put(format, b"(0,0),(0,0)", zero(32), out),
        604 => put(format, b"((0,0))", &[&[0, 0, 0, 1], zero(16)].concat(), out),
        628 => put(format, b"{1,0,0}", &[&one, zero(16)].concat(), out),
        718 => put(format, b"<(0,0),0>", zero(24), out),
        _ => false,
    }
}

/// An array of one element, NULL where that has no form. How many elements a hidden array has is
/// data too, so it is always one.
pub(crate) fn array(
    element: u32,
    format: Format,
    out: &mut Vec<u8>,
    one: impl FnOnce(&mut Vec<u8>) -> bool,
) -> bool {
    let mut value = Vec::new();
    let value = one(&mut value).then_some(value);
    match (format, value) {
        (Format::Text, None) => out.extend_from_slice(b"{NULL}"),
        (Format::Text, Some(value)) => {
            out.push(b'{');
            quote(&value, b'\\', out);
            out.push(b'}');
        }
        (Format::Binary, value) => {
            let nulls = i32::from(value.is_none());
            for word in [1, nulls, element.cast_signed(), 1, 1] {
                out.extend_from_slice(&word.to_be_bytes());
            }
            return put_member(value.as_deref(), out);
        }
    }
    true
}

fn put_member(value: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
    let Ok(length) = value.map_or(Ok(-1), |v| i32::try_from(v.len())) else { return false };
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value.unwrap_or_default());
    true
}

/// In quotes; quotes and backslashes inside are escaped (doubled where `escape` is the quote).
fn quote(value: &[u8], escape: u8, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in value {
        match byte {
            b'"' => out.extend_from_slice(&[escape, b'"']),
            b'\\' => out.extend_from_slice(b"\\\\"),
            other => out.push(*other),
        }
    }
    out.push(b'"');
}

/// A row of placeholders: how many members there are is said by the type.
fn row(members: &[u32], format: Format, types: &TypeMap, out: &mut Vec<u8>, depth: u8) -> bool {
    let Ok(count) = i32::try_from(members.len()) else { return false };
    match format {
        Format::Text => out.push(b'('),
        Format::Binary => out.extend_from_slice(&count.to_be_bytes()),
    }
    let mut value = Vec::new();
    for (place, member) in members.iter().enumerate() {
        value.clear();
        let has_form = placeholder(*member, format, None, types, &mut value, depth);
        let value = has_form.then_some(value.as_slice());
        match format {
            Format::Text => {
                if place > 0 {
                    out.push(b',');
                }
                if let Some(value) = value {
                    quote(value, b'"', out);
                }
            }
            Format::Binary => {
                out.extend_from_slice(&member.to_be_bytes());
                if !put_member(value, out) {
                    return false;
                }
            }
        }
    }
    if format == Format::Text {
        out.push(b')');
    }
    true
}

/// True where the column is of a domain of which not all values of its base type are: the server
/// describes it by the base type, so this has to be asked of the column.
#[must_use]
pub fn is_checked_domain(type_id: u32, types: &TypeMap) -> bool {
    matches!(types.get(type_id), Some(UserType::Domain { .. }))
        && resolve(type_id, types, true).1 == Made::Unknown
}

/// True where a literal of the configuration is a value of this type.
#[must_use]
pub fn fits(literal: &str, type_id: u32, types: &TypeMap) -> bool {
    constant(literal, (type_id, Format::Binary), None, types, &mut Vec::new())
}

/// Appends a literal as a value of a type; false, with nothing written, where it is none. A domain
/// takes what its base type takes: whether its checks hold is the operator's word.
pub(crate) fn constant(
    literal: &str,
    (type_id, format): (u32, Format),
    original: Option<&[u8]>,
    types: &TypeMap,
    out: &mut Vec<u8>,
) -> bool {
    let start = out.len();
    let (type_id, made) = resolve(type_id, types, false);
    let done = match made {
        Made::Scalar => literal_of(literal, (type_id, format), original, out),
        Made::Enum(labels) => {
            labels.iter().any(|label| &**label == literal)
                && put(format, literal.as_bytes(), literal.as_bytes(), out)
        }
        Made::Array(element) => {
            let mut one = Vec::new();
            let (inner, of) = resolve(element, types, false);
            let whole = match of {
                Made::Scalar if Kind::of(inner).is_none() => {
                    literal_of(literal, (inner, format), original, &mut one)
                }
                Made::Enum(labels) if labels.iter().any(|label| &**label == literal) => {
                    put(format, literal.as_bytes(), literal.as_bytes(), &mut one)
                }
                _ => false,
            };
            whole
                && array(element, format, out, |out| {
                    out.append(&mut one);
                    true
                })
        }
        _ => false,
    };
    if !done {
        out.truncate(start);
    }
    done
}

fn literal_of(
    literal: &str,
    (type_id, format): (u32, Format),
    original: Option<&[u8]>,
    out: &mut Vec<u8>,
) -> bool {
    let bytes = literal.as_bytes();
    let parsed: Option<Vec<u8>> = match type_id {
        0 | oid::TEXT | oid::VARCHAR | oid::NAME | oid::UNKNOWN | oid::CSTRING | oid::BPCHAR => {
            Some(bytes.to_vec())
        }
        oid::XML => (!literal.contains(['<', '&'])).then(|| bytes.to_vec()),
        oid::JSON | oid::JSONB => return json(literal, (type_id, format), out),
        oid::BYTEA => return bytea(bytes, format, out),
        16 => return boolean(literal, format, out),
        21 => literal.parse::<i16>().ok().map(|n| n.to_be_bytes().to_vec()),
        23 => literal.parse::<i32>().ok().map(|n| n.to_be_bytes().to_vec()),
        20 => literal.parse::<i64>().ok().map(|n| n.to_be_bytes().to_vec()),
        26 => literal.parse::<u32>().ok().map(|n| n.to_be_bytes().to_vec()),
        700 => {
            literal.parse::<f32>().ok().filter(|n| n.is_finite()).map(|n| n.to_be_bytes().to_vec())
        }
        701 => {
            literal.parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| n.to_be_bytes().to_vec())
        }
        1700 => {
            let mut made = Vec::new();
            write_numeric(bytes, &mut made).then_some(made)
        }
        oid::UUID => (literal.len() == 36)
            .then(|| read_uuid(Format::Text, bytes))
            .flatten()
            .map(|uuid| uuid.to_vec()),
        869 => literal.parse::<IpAddr>().ok().map(|address| inet_binary(address, false)),
        1083 => moment::read_clock(literal).map(|n| n.to_be_bytes().to_vec()),
        _ => {
            let Some(kind) = Kind::of(type_id) else { return false };
            // In the style of the session, of which the value is a sample.
            if original.is_some_and(|original| format == Format::Text && !moment::is_iso(original))
            {
                return false;
            }
            moment::binary_of(kind, literal)
        }
    };
    parsed.is_some_and(|binary| put(format, bytes, &binary, out))
}

/// A JSON text as it is; anything else as a JSON string.
fn json(literal: &str, (type_id, format): (u32, Format), out: &mut Vec<u8>) -> bool {
    if type_id == oid::JSONB && format == Format::Binary {
        out.push(1);
    }
    if serde_json::from_str::<serde::de::IgnoredAny>(literal).is_ok() {
        out.extend_from_slice(literal.as_bytes());
        return true;
    }
    serde_json::to_writer(out, literal).is_ok()
}

/// `\x` and digits as the bytes they stand for; anything else as its own bytes.
fn bytea(literal: &[u8], format: Format, out: &mut Vec<u8>) -> bool {
    let mut bytes = Vec::new();
    match literal.strip_prefix(b"\\x") {
        Some(digits) if append_hex(digits, &mut bytes) == digits.len() => {}
        _ => bytes = literal.to_vec(),
    }
    match format {
        Format::Text => write_bytea_hex(&bytes, out),
        Format::Binary => out.extend_from_slice(&bytes),
    }
    true
}

fn boolean(literal: &str, format: Format, out: &mut Vec<u8>) -> bool {
    match literal {
        "true" | "t" | "yes" | "on" | "1" => put(format, b"t", &[1], out),
        "false" | "f" | "no" | "off" | "0" => put(format, b"f", &[0], out),
        _ => false,
    }
}

/// `inet_send` of a whole address.
fn inet_binary(address: IpAddr, cidr: bool) -> Vec<u8> {
    let cidr = u8::from(cidr);
    match address {
        IpAddr::V4(v4) => [&[2, 32, cidr, 4], v4.octets().as_slice()].concat(),
        IpAddr::V6(v6) => [&[3, 128, cidr, 16], v6.octets().as_slice()].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_fit_their_types() {
        let types: TypeMap = [
            (16_400, UserType::Enum(["low".into(), "high".into()].into())),
            (16_401, UserType::Domain { base: 23, checked: true }),
            (16_402, UserType::Array(16_400)),
            (16_403, UserType::Text),
        ]
        .into_iter()
        .collect();
        let check = |literal: &str, type_id: u32, expect: bool| {
            assert_eq!(fits(literal, type_id, &types), expect, "{literal} {type_id}");
        };
        for (literal, type_id) in [
            ("x", 25),
            ("7", 23),
            ("-7", 21),
            ("1.5", 1700),
            ("1e3", 701),
            ("true", 16),
            ("2024-02-29", 1082),
            ("2024-02-29 10:00:00+02", 1184),
            ("10.0.0.1", 869),
            ("::1", 869),
            ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", 2950),
            ("{\"a\":1}", 3802),
            ("x", 114),
            ("low", 16_400),
            ("7", 16_401),
            ("high", 16_402),
            ("x", 16_403),
            ("7", 1007),
            ("x", 17),
        ] {
            check(literal, type_id, true);
        }
        for (literal, type_id) in [
            ("x", 23),
            ("70000", 21),
            ("1,5", 1700),
            ("maybe", 16),
            ("2023-02-29", 1082),
            ("10.0.0.0/8", 869),
            ("middle", 16_400),
            ("x", 16_401),
            ("middle", 16_402),
            ("<a>", 142),
            ("x", 16_999),
            ("x", 3904),
        ] {
            check(literal, type_id, false);
        }
    }

    #[test]
    fn containers_hold_one_placeholder() {
        let types: TypeMap = [
            (16_400, UserType::Enum(["low".into()].into())),
            (16_401, UserType::Composite([25, 23, 16_400].into())),
            (16_402, UserType::Array(16_401)),
        ]
        .into_iter()
        .collect();
        let check = |type_id: u32, expect: Option<&str>| {
            let mut out = Vec::new();
            let done = placeholder(type_id, Format::Text, None, &types, &mut out, MAX_DEPTH);
            assert_eq!(
                done.then(|| String::from_utf8(out).unwrap()).as_deref(),
                expect,
                "{type_id}"
            );
        };
        check(1009, Some("{\"[masked]\"}"));
        check(1007, Some("{\"0\"}"));
        check(1182, Some("{NULL}"));
        check(3904, Some("empty"));
        check(4451, Some("{}"));
        check(16_400, None);
        check(16_401, Some("(\"[masked]\",\"0\",)"));
        check(16_402, Some("{\"(\\\"[masked]\\\",\\\"0\\\",)\"}"));
        check(16_999, None);
        check(16, None);
        let mut out = Vec::new();
        assert!(placeholder(1007, Format::Binary, None, &types, &mut out, MAX_DEPTH));
        let words = [1, 0, 23, 1, 1, 4, 0];
        assert_eq!(out, words.iter().flat_map(|w: &i32| w.to_be_bytes()).collect::<Vec<_>>());
    }
}
