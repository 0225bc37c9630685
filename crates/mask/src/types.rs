//! What a value of a PostgreSQL type looks like in text and in binary, as far as masking needs it:
//! which types hold text, how to look into them, and how to put a masked value back so that the
//! client still reads a value of that type.
//!
//! Numbers are `pg_type.oid` of the system catalog, which are fixed for built-in types; numbers
//! from 10000 on (`FirstGenbkiObjectId`) are assigned: row types of catalogs and views first, the
//! database's own types from 16384 on.
//!
//! Types that cannot hold text (numbers, dates, UUIDs, network addresses, geometry…) are left
//! alone: an `int8` that happens to pass the Luhn check is no card. A built-in type that is not
//! known here is looked at as text.

use crate::detect::{Detectors, Hit};
use crate::splice::Splice;
use portcullis_core::mask::{Format, Redacted, UNKNOWN_TYPE};
use smallvec::SmallVec;

/// Numbers of types that are named in this crate.
pub(crate) mod oid {
    pub(crate) const BYTEA: u32 = 17;
    pub(crate) const NAME: u32 = 19;
    pub(crate) const TEXT: u32 = 25;
    pub(crate) const JSON: u32 = 114;
    pub(crate) const XML: u32 = 142;
    pub(crate) const UNKNOWN: u32 = 705;
    pub(crate) const BPCHAR: u32 = 1042;
    pub(crate) const VARCHAR: u32 = 1043;
    pub(crate) const REFCURSOR: u32 = 1790;
    pub(crate) const RECORD: u32 = 2249;
    pub(crate) const CSTRING: u32 = 2275;
    pub(crate) const UUID: u32 = 2950;
    pub(crate) const TSVECTOR: u32 = 3614;
    pub(crate) const TSQUERY: u32 = 3615;
    pub(crate) const JSONB: u32 = 3802;
    pub(crate) const JSONPATH: u32 = 4072;
    pub(crate) const FIRST_ASSIGNED: u32 = 10_000;
}

/// How values of a type are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The bytes are the text, in both formats. Also where the type is not known (a column of
    /// copied rows).
    Text,
    /// As text, padded with spaces.
    FixedText,
    /// The bytes are a JSON text.
    Json,
    /// A JSON text; in binary behind a version byte.
    Jsonb,
    /// The bytes are XML.
    Xml,
    /// Bytes; in text `\x` and hexadecimal digits, or escapes.
    Bytea,
    /// An array of something that can hold text.
    Array,
    /// As an array, where text inside cannot be replaced in place.
    RigidArray,
    /// A row of values.
    Record,
    /// 16 bytes.
    Uuid,
    /// A type of the database's own: text, row, array or anything else.
    UserDefined,
    /// Another built-in type that can hold text (`tsvector`, `jsonpath`, `aclitem`).
    Other,
    /// Cannot hold text.
    Plain,
}

impl Shape {
    pub(crate) const fn of(type_id: u32) -> Self {
        match type_id {
            0 | oid::TEXT | oid::VARCHAR | oid::NAME | oid::UNKNOWN | oid::CSTRING => Self::Text,
            oid::BPCHAR => Self::FixedText,
            oid::JSON => Self::Json,
            oid::JSONB => Self::Jsonb,
            oid::XML => Self::Xml,
            oid::BYTEA => Self::Bytea,
            oid::UUID => Self::Uuid,
            oid::RECORD => Self::Record,
            // Arrays of xml, name, text, bpchar, varchar, cstring, and of any type (`pg_stats`).
            143 | 1003 | 1009 | 1014 | 1015 | 1263 | 2277 => Self::Array,
            // Arrays of json, bytea, record and jsonb.
            199 | 1001 | 2287 | 3807 => Self::RigidArray,
            UNKNOWN_TYPE => Self::Other,
            oid::FIRST_ASSIGNED.. => Self::UserDefined,
            _ if is_plain(type_id) => Self::Plain,
            _ => Self::Other,
        }
    }
}

/// Built-in types that cannot hold text, and their arrays and ranges (`pg_type.dat`).
const fn is_plain(type_id: u32) -> bool {
    matches!(type_id,
        // bool, "char", int8, int2, int2vector, int4, regproc, oid, tid, xid, cid, oidvector
        16 | 18 | 20..=24 | 26..=30
        // point, lseg, path, box, polygon, line and its array, float4, float8
        | 600..=604 | 628 | 629 | 700 | 701 | 718 | 719
        // macaddr8, money, macaddr, inet, cidr and their arrays
        | 774 | 775 | 790 | 791 | 829 | 869 | 650 | 651
        // arrays of bool, "char", int2, int2vector, int4, regproc, tid, xid, cid, oidvector,
        // int8, point, lseg, path, box, float4, float8, polygon, oid, macaddr, inet
        | 1000 | 1002 | 1005..=1008 | 1010..=1013 | 1016..=1022 | 1027 | 1028 | 1040 | 1041
        // date, time, timestamp, timestamptz, interval, timetz, bit, varbit and arrays
        | 1082 | 1083 | 1114 | 1115 | 1182..=1187 | 1266 | 1270 | 1560..=1563
        // numeric and its array, uuid array, pg_lsn, xid8, ranges and multiranges of numbers and
        // dates and their arrays
        | 1231 | 1700 | 2951 | 3220 | 3221 | 271 | 5069 | 3904..=3913 | 3926 | 3927
        | 4451 | 4532..=4536 | 6150..=6153 | 6155 | 6157
        // regclass, regtype and their like; snapshots; void
        | 2202..=2211 | 2278 | 2949 | 2970 | 3734 | 3735 | 3769 | 3770 | 4089 | 4090 | 4096 | 4097 | 4191 | 4192
        | 5038 | 5039)
}

/// True where detectors have something to look at in values of this type.
pub(crate) const fn is_scannable(type_id: u32) -> bool {
    !matches!(Shape::of(type_id), Shape::Plain | Shape::Uuid)
}

/// How deep rows and arrays are looked into.
const MAX_DEPTH: u8 = 8;

/// Runs the detectors over one value. The replacement is a value of the same type and format, or
/// NULL where one cannot be made.
pub(crate) fn scan(
    detectors: &Detectors,
    field: (u32, Format),
    value: &[u8],
    out: &mut Vec<u8>,
) -> Redacted {
    scan_at(detectors, field, value, out, MAX_DEPTH)
}

fn scan_at(
    detectors: &Detectors,
    (type_id, format): (u32, Format),
    value: &[u8],
    out: &mut Vec<u8>,
    depth: u8,
) -> Redacted {
    let shape = Shape::of(type_id);
    // Hexadecimal digits hide what they stand for; any other value shows its text.
    let shows = |value: &[u8]| detectors.may_match(value);
    match (shape, format) {
        (Shape::Plain | Shape::Uuid, _) => Redacted::Unchanged,
        (Shape::Bytea, _) => bytea(detectors, format, value, out),
        (Shape::RigidArray | Shape::Record | Shape::UserDefined, Format::Text) => {
            nested_text(detectors, shape, value, out)
        }
        _ if !shows(value) => Redacted::Unchanged,
        (Shape::Text | Shape::FixedText, _) if is_json_like(value) => json(detectors, value, out),
        (Shape::Text | Shape::FixedText | Shape::Xml, _) | (Shape::Other, Format::Text) => {
            replaced(detectors.redact(value, out))
        }
        (Shape::Json, _) | (Shape::Jsonb, Format::Text) => json(detectors, value, out),
        (Shape::Jsonb, Format::Binary) => jsonb(detectors, value, out),
        (Shape::Array, Format::Text) => nested_text(detectors, shape, value, out),
        (Shape::Array | Shape::RigidArray, Format::Binary) => {
            nested_binary(detectors, array_frames(value), value, out, depth)
        }
        (Shape::Record, Format::Binary) => {
            nested_binary(detectors, record_frames(value), value, out, depth)
        }
        (Shape::UserDefined, Format::Binary) => user_defined(detectors, value, out, depth),
        (Shape::Other, Format::Binary) => removed(is_hit_in_bytes(detectors, value)),
    }
}

const fn replaced(done: bool) -> Redacted {
    if done { Redacted::Replaced } else { Redacted::Unchanged }
}

const fn removed(done: bool) -> Redacted {
    if done { Redacted::Removed } else { Redacted::Unchanged }
}

/// The shortest hit that counts in bytes that are no text: in pictures and archives a short one
/// is chance.
const MIN_HIT_IN_BYTES: usize = 12;

/// True where bytes that need not be text hold a hit.
fn is_hit_in_bytes(detectors: &Detectors, bytes: &[u8]) -> bool {
    let is_text = !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok();
    detectors.scan(bytes).iter().any(|hit| {
        let hit = bytes.get(hit.range.clone()).unwrap_or_default();
        is_text || hit.len() >= MIN_HIT_IN_BYTES && hit.is_ascii()
    })
}

fn bytea(detectors: &Detectors, format: Format, value: &[u8], out: &mut Vec<u8>) -> Redacted {
    let start = out.len();
    let hit = match format {
        Format::Binary => is_hit_in_bytes(detectors, value),
        Format::Text if read_bytea(value, out) => {
            let hit = is_hit_in_bytes(detectors, out.get(start..).unwrap_or_default());
            out.truncate(start);
            hit
        }
        Format::Text => is_hit_in_bytes(detectors, value),
    };
    if !hit {
        return Redacted::Unchanged;
    }
    let placeholder = crate::strategy::PLACEHOLDER.as_bytes();
    match format {
        Format::Binary => out.extend_from_slice(placeholder),
        Format::Text => write_bytea_hex(placeholder, out),
    }
    Redacted::Replaced
}

/// Decodes the text form of a `bytea` (hex or escape format, PostgreSQL manual §8.4) behind `out`.
/// False, with nothing written, where it is neither.
pub(crate) fn read_bytea(value: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let whole = match value.strip_prefix(b"\\x") {
        Some(digits) => append_hex(digits, out) == digits.len(),
        None => append_escaped(value, out),
    };
    if !whole {
        out.truncate(start);
    }
    whole
}

/// Decodes pairs of hexadecimal digits and says how many digits were taken.
pub(crate) fn append_hex(digits: &[u8], out: &mut Vec<u8>) -> usize {
    let value = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut taken = 0;
    for pair in digits.chunks_exact(2) {
        let [high, low] = pair else { break };
        let (Some(high), Some(low)) = (value(*high), value(*low)) else { break };
        out.push(high << 4 | low);
        taken += 2;
    }
    taken
}

fn append_escaped(value: &[u8], out: &mut Vec<u8>) -> bool {
    let mut rest = value.iter();
    while let Some(b) = rest.next() {
        if *b != b'\\' {
            out.push(*b);
            continue;
        }
        match rest.as_slice() {
            [b'\\', ..] => {
                rest.next();
                out.push(b'\\');
            }
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest.nth(2);
            }
            _ => return false,
        }
    }
    true
}

pub(crate) fn write_bytea_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |d: u8| DIGITS.get(usize::from(d)).copied().unwrap_or(b'0');
    out.extend_from_slice(b"\\x");
    out.extend(bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]));
}

/// The 16 bytes of a UUID in either format.
pub(crate) fn read_uuid(format: Format, value: &[u8]) -> Option<[u8; 16]> {
    if format == Format::Binary {
        return value.try_into().ok();
    }
    let mut digits = [0u8; 32];
    let mut count = 0;
    for b in value.iter().filter(|b| **b != b'-') {
        *digits.get_mut(count)? = *b;
        count += 1;
    }
    let mut bytes = Vec::with_capacity(16);
    append_hex(digits.get(..count)?, &mut bytes);
    bytes.try_into().ok()
}

/// A hit that reaches over a quotation mark (a private key without an end) would take the rest of
/// the structure with it.
fn breaks_quotes(text: &[u8], hit: &Hit) -> bool {
    text.get(hit.range.clone()).unwrap_or_default().contains(&b'"')
}

/// Text form of arrays, rows and types of the database's own: placeholders need no quoting there,
/// so they are put in place. Where that cannot work the value becomes NULL.
fn nested_text(detectors: &Detectors, shape: Shape, value: &[u8], out: &mut Vec<u8>) -> Redacted {
    if shape != Shape::Array && hides_in_hex(detectors, value, out) {
        return Redacted::Removed;
    }
    let hits = detectors.scan(value);
    if hits.is_empty() {
        return Redacted::Unchanged;
    }
    if shape == Shape::RigidArray || hits.iter().any(|hit| breaks_quotes(value, hit)) {
        return Redacted::Removed;
    }
    replaced(detectors.redact(value, out))
}

/// True where the hexadecimal digits of a `bytea` inside (`\x…`, its backslash doubled by the
/// quoting) hold a hit.
fn hides_in_hex(detectors: &Detectors, value: &[u8], scratch: &mut Vec<u8>) -> bool {
    let start = scratch.len();
    let mut rest = value;
    while let Some(at) = rest.windows(2).position(|w| w == b"\\x") {
        rest = rest.get(at + 2..).unwrap_or_default();
        let taken = append_hex(rest, scratch);
        let hit = is_hit_in_bytes(detectors, scratch.get(start..).unwrap_or_default());
        scratch.truncate(start);
        if hit {
            return true;
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
    false
}

/// Replaces hits in a JSON text so that it stays one: inside a string the placeholder is put in
/// place, a number becomes a string.
fn json(detectors: &Detectors, value: &[u8], out: &mut Vec<u8>) -> Redacted {
    replaced(detectors.rewrite(value, out, write_json))
}

fn jsonb(detectors: &Detectors, value: &[u8], out: &mut Vec<u8>) -> Redacted {
    let Some(text) = value.strip_prefix(&[1]) else {
        return removed(is_hit_in_bytes(detectors, value));
    };
    let start = out.len();
    out.push(1);
    let done = json(detectors, text, out);
    if done == Redacted::Unchanged {
        out.truncate(start);
    }
    done
}

fn write_json(text: &[u8], hits: &[Hit], out: &mut Vec<u8>) {
    let start = out.len();
    let (mut at, mut quoted) = (0, false);
    for hit in hits {
        let before = text.get(at..hit.range.start).unwrap_or_default();
        quoted = is_quoted_after(before, quoted);
        if breaks_quotes(text, hit) {
            out.truncate(start);
            at = text.len();
            push_json_string(hit, out);
            break;
        }
        out.extend_from_slice(before);
        at = hit.range.end;
        if quoted {
            out.extend_from_slice(hit.kind.placeholder().as_bytes());
            continue;
        }
        if !is_json_value_after(before) {
            out.extend_from_slice(hit.kind.placeholder().as_bytes());
            continue;
        }
        // The whole number goes: its sign, fraction and exponent too.
        let number = |b: &&u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
        let written = out.get(start..).unwrap_or_default();
        let head = written.iter().rev().take_while(number).count();
        out.truncate(out.len() - head);
        at += text.get(at..).unwrap_or_default().iter().take_while(number).count();
        push_json_string(hit, out);
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
}

/// Documents are kept in columns of type `text` too.
fn is_json_like(value: &[u8]) -> bool {
    let mut start = value.iter().filter(|b| !b.is_ascii_whitespace());
    matches!(
        (start.next(), start.next()),
        (Some(b'{'), Some(b'"')) | (Some(b'['), Some(b'{' | b'"'))
    )
}

/// True where a JSON value may start behind `text`, up to the sign of a number.
fn is_json_value_after(text: &[u8]) -> bool {
    let number = |b: &u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
    let mut back = text.iter().rev().skip_while(|b| number(b) || b.is_ascii_whitespace());
    matches!(back.next(), None | Some(b':' | b',' | b'['))
}

fn push_json_string(hit: &Hit, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(hit.kind.placeholder().as_bytes());
    out.push(b'"');
}

/// Whether the place behind `text` is inside a JSON string, given whether its start is.
fn is_quoted_after(text: &[u8], mut quoted: bool) -> bool {
    let mut bytes = text.iter();
    while let Some(b) = bytes.next() {
        match b {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                bytes.next();
            }
            _ => {}
        }
    }
    quoted
}

/// One element of a binary value: its type, where its length stands, and where its bytes end.
struct Frame {
    type_id: u32,
    /// The position of the four bytes of its length.
    length: usize,
    end: usize,
}

impl Frame {
    const fn start(&self) -> usize {
        self.length + 4
    }
}

/// The elements of a binary array, row or map that are not NULL. `None` where it is not one.
struct Frames {
    frames: SmallVec<[Frame; 16]>,
    /// The position of an array's has-null flag.
    flags: Option<usize>,
}

fn i32_at(value: &[u8], at: usize) -> Option<i32> {
    let bytes = value.get(at..at.checked_add(4)?)?;
    Some(i32::from_be_bytes(bytes.try_into().ok()?))
}

fn oid_at(value: &[u8], at: usize) -> Option<u32> {
    i32_at(value, at).map(i32::cast_unsigned)
}

/// Reads the element whose length stands at `at`: where it ends, and the frame if it is not NULL.
fn frame(value: &[u8], type_id: u32, at: usize) -> Option<(usize, Option<Frame>)> {
    let start = at.checked_add(4)?;
    match i32_at(value, at)? {
        -1 => Some((start, None)),
        length => {
            let end = start.checked_add(usize::try_from(length).ok()?)?;
            (end <= value.len()).then_some((end, Some(Frame { type_id, length: at, end })))
        }
    }
}

/// `array_send`: dimensions, has-null flag, element type, length and lower bound per dimension,
/// elements.
fn array_frames(value: &[u8]) -> Option<Frames> {
    const MAX_DIMENSIONS: i32 = 6;
    let dimensions = i32_at(value, 0)?;
    let (flags, type_id) = (i32_at(value, 4)?, oid_at(value, 8)?);
    if !(0..=MAX_DIMENSIONS).contains(&dimensions) || !matches!(flags, 0 | 1) || type_id == 0 {
        return None;
    }
    let mut at = 12;
    let mut count: usize = usize::from(dimensions > 0);
    for _ in 0..dimensions {
        count = count.checked_mul(usize::try_from(i32_at(value, at)?).ok()?)?;
        i32_at(value, at + 4)?;
        at += 8;
    }
    // Each element takes at least the four bytes of its length.
    if count > value.len() / 4 {
        return None;
    }
    let mut frames = SmallVec::with_capacity(count);
    for _ in 0..count {
        let (end, frame) = frame(value, type_id, at)?;
        frames.extend(frame);
        at = end;
    }
    (at == value.len()).then_some(Frames { frames, flags: Some(4) })
}

/// `record_send`: count, then type and value of each column.
fn record_frames(value: &[u8]) -> Option<Frames> {
    let count = usize::try_from(i32_at(value, 0)?).ok()?;
    if count > value.len() / 8 {
        return None;
    }
    let (mut at, mut frames) = (4, SmallVec::with_capacity(count));
    for _ in 0..count {
        let type_id = oid_at(value, at)?;
        let (end, frame) = frame(value, type_id, at + 4)?;
        frames.extend(frame);
        at = end;
    }
    (at == value.len()).then_some(Frames { frames, flags: None })
}

/// `hstore_send`: count, then key and value of each pair.
fn map_frames(value: &[u8]) -> Option<Frames> {
    let count = usize::try_from(i32_at(value, 0)?).ok()?.checked_mul(2)?;
    if count > value.len() / 4 {
        return None;
    }
    let (mut at, mut frames) = (4, SmallVec::with_capacity(count));
    for i in 0..count {
        let (end, frame) = frame(value, oid::TEXT, at)?;
        if i % 2 == 0 && frame.is_none() {
            return None;
        }
        frames.extend(frame);
        at = end;
    }
    (at == value.len()).then_some(Frames { frames, flags: None })
}

/// Looks into each element. What claims to be an array or a row and is none becomes NULL.
fn nested_binary(
    detectors: &Detectors,
    frames: Option<Frames>,
    value: &[u8],
    out: &mut Vec<u8>,
    depth: u8,
) -> Redacted {
    let (Some(Frames { frames, flags }), Some(depth)) = (frames, depth.checked_sub(1)) else {
        return Redacted::Removed;
    };
    let mut splice = Splice::new(value, out);
    let (mut masked, mut nulls) = (Vec::new(), false);
    for frame in frames {
        let element = value.get(frame.start()..frame.end).unwrap_or_default();
        masked.clear();
        let field = (frame.type_id, Format::Binary);
        let length = match scan_at(detectors, field, element, &mut masked, depth) {
            Redacted::Unchanged => continue,
            Redacted::Removed => {
                nulls = true;
                -1
            }
            Redacted::Replaced => match i32::try_from(masked.len()) {
                Ok(length) => length,
                Err(_) => {
                    splice.abandon();
                    return Redacted::Removed;
                }
            },
        };
        splice.replace(frame.length..frame.end, &[&length.to_be_bytes(), &masked]);
    }
    let Some(written) = splice.finish() else { return Redacted::Unchanged };
    if nulls
        && let Some(at) = flags
        && let Some(flags) = written.get_mut(at..at + 4)
    {
        flags.copy_from_slice(&1i32.to_be_bytes());
    }
    Redacted::Replaced
}

/// Binary form of a type of the database's own: a row, an array, an `hstore`, or text with another
/// name (`citext`). Text has no zero byte, and the others start with one.
fn user_defined(detectors: &Detectors, value: &[u8], out: &mut Vec<u8>, depth: u8) -> Redacted {
    if !value.contains(&0) && std::str::from_utf8(value).is_ok() {
        return replaced(detectors.redact(value, out));
    }
    let frames = record_frames(value)
        .filter(|frames| frames.frames.iter().all(|frame| frame.type_id != 0))
        .or_else(|| array_frames(value))
        .or_else(|| map_frames(value));
    match frames {
        Some(frames) => nested_binary(detectors, Some(frames), value, out, depth),
        None => removed(is_hit_in_bytes(detectors, value)),
    }
}

#[cfg(test)]
mod tests;
