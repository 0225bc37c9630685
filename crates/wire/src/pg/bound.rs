//! The values of a `Bind`, rendered for people. The exact bytes are what is digested and forwarded;
//! this is what a reviewer and the record see of them.

use bytes::{Buf as _, Bytes};
use std::fmt::Write as _;

/// The most of all parameters of one execution that is shown, in bytes of text.
pub const MAX_SHOWN: usize = 64 * 1024;

/// Parameters as people read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// In order; `None` is NULL.
    pub values: Vec<Option<String>>,
    /// False where any of them had to be cut.
    pub whole: bool,
}

/// Renders the parameters of a `Bind`: what follows its two names, as checked by
/// [`crate::pg::message::decode`]. `types` are the object ids given at `Parse`. What takes more room
/// than `budget` (or [`MAX_SHOWN`]), in bytes of text, is cut, the longest values first: a short one
/// says what a long one is for.
#[must_use]
pub fn render(values: &Bytes, types: &[u32], budget: &mut usize) -> Rendered {
    let all = each(values, types);
    let level = level(all.iter().flatten().map(|(value, ..)| value.len()), MAX_SHOWN.min(*budget));
    let mut whole = true;
    let values: Vec<Option<String>> = all
        .into_iter()
        .map(|value| {
            let (value, oid, binary) = value?;
            let text =
                if binary { from_binary(oid, &value, level) } else { from_text(&value, level) };
            let (text, cut) = cut(text, &value, level);
            whole &= !cut;
            Some(text)
        })
        .collect();
    *budget = budget.saturating_sub(values.iter().flatten().map(String::len).sum());
    Rendered { values, whole }
}

/// The types of parameters as a comment below the text that they are of.
pub(super) fn types(types: &[u32]) -> String {
    let mut text = String::new();
    for (n, oid) in types.iter().enumerate().filter(|(_, oid)| **oid != 0) {
        let _ = match type_name(*oid) {
            Some(name) => write!(text, "\n-- ${} is read as {name}", n + 1),
            None => write!(text, "\n-- ${} is read as the type of number {oid}", n + 1),
        };
    }
    text
}

/// The name of one of the server's own types (PostgreSQL `src/include/catalog/pg_type.dat`), as far
/// as they are in everyday use.
const fn type_name(oid: u32) -> Option<&'static str> {
    Some(match oid {
        16 => "boolean",
        17 => "bytea",
        20 => "bigint",
        21 => "smallint",
        23 => "integer",
        25 => "text",
        26 => "oid",
        114 => "json",
        700 => "real",
        701 => "double precision",
        790 => "money",
        1042 => "character",
        1043 => "character varying",
        1082 => "date",
        1083 => "time",
        1114 => "timestamp",
        1184 => "timestamp with time zone",
        1186 => "interval",
        1700 => "numeric",
        2950 => "uuid",
        3802 => "jsonb",
        _ => return None,
    })
}

/// The parameters of a `Bind` as they are on the wire; `None` is NULL.
pub(super) fn raw(values: &Bytes) -> Vec<Option<Bytes>> {
    each(values, &[]).into_iter().map(|value| value.map(|(value, _, _)| value)).collect()
}

/// The value of the parameter at this place (from 0) as a name in lower case, where the server can
/// take it for nothing else: letters and underscores, sent as a text.
///
/// A value whose type the server finds out may be read and written again by that type, which would
/// leave these letters or make something of them that is no name.
pub(crate) fn name(values: &Bytes, types: &[u32], place: usize) -> Option<String> {
    /// `text`, `varchar` and `unknown` (PostgreSQL `src/include/catalog/pg_type.dat`).
    const TEXTS: [u32; 3] = [25, 1043, 705];
    const LONGEST: usize = 63;
    let (value, oid, binary) = each(values, types).into_iter().nth(place)??;
    let text = TEXTS.contains(&oid) || oid == 0 && !binary;
    let plain = value.iter().all(|b| b.is_ascii_alphabetic() || *b == b'_');
    let named = text && plain && (1..=LONGEST).contains(&value.len());
    named.then(|| String::from_utf8_lossy(&value).to_ascii_lowercase())
}

/// Every value with its type and whether it is binary; `None` is NULL.
fn each(values: &Bytes, types: &[u32]) -> Vec<Option<(Bytes, u32, bool)>> {
    let typed = |(n, (value, binary)): (usize, (Option<Bytes>, bool))| {
        Some((value?, types.get(n).copied().unwrap_or(0), binary))
    };
    split(values).0.into_iter().enumerate().map(typed).collect()
}

/// The parameters of a `Bind`, each with whether it is in binary form, and what follows them.
pub(super) fn split(values: &Bytes) -> (Vec<(Option<Bytes>, bool)>, Bytes) {
    let mut rest = values.clone();
    let formats = counted(&mut rest);
    let count = if rest.len() < 2 { 0 } else { rest.get_u16() };
    let mut all = Vec::new();
    for n in 0..usize::from(count) {
        if rest.len() < 4 {
            break;
        }
        let length = usize::try_from(rest.get_i32()).ok();
        let value = length.map(|size| rest.split_to(size.min(rest.len())));
        let binary = match formats.as_slice() {
            [] => false,
            [one] => *one == 1,
            many => many.get(n) == Some(&1),
        };
        all.push((value, binary));
    }
    (all, rest)
}

/// The length to which values are cut so that together they take no more than `room`, each of them
/// twice its size (hexadecimal digits) and a little.
fn level(sizes: impl Iterator<Item = usize>, room: usize) -> usize {
    let mut sizes: Vec<usize> =
        sizes.map(|size| size.saturating_mul(2).saturating_add(16)).collect();
    sizes.sort_unstable();
    let mut left = room;
    for (place, size) in sizes.iter().enumerate() {
        let share = left / (sizes.len() - place);
        if *size > share {
            return share;
        }
        left -= size;
    }
    MAX_SHOWN
}

fn counted(rest: &mut Bytes) -> Vec<u16> {
    let count = if rest.len() < 2 { 0 } else { usize::from(rest.get_u16()) };
    let mut list = rest.split_to((count * 2).min(rest.len()));
    let mut formats = Vec::with_capacity(list.len() / 2);
    while list.len() >= 2 {
        formats.push(list.get_u16());
    }
    formats
}

/// Looks at no more of a value than can be shown, so that a large one costs no more than a small.
fn head(value: &[u8], level: usize) -> &[u8] {
    value.get(..level + 4).unwrap_or(value)
}

fn from_text(value: &[u8], level: usize) -> String {
    let head = head(value, level);
    match std::str::from_utf8(head) {
        Ok(text) => text.to_owned(),
        // A character cut by `head` is no reason for hexadecimal.
        Err(e) if e.error_len().is_none() && head.len() < value.len() => {
            String::from_utf8_lossy(head.get(..e.valid_up_to()).unwrap_or_default()).into_owned()
        }
        Err(_) => hex(head, level),
    }
}

fn hex(value: &[u8], level: usize) -> String {
    let mut text = String::from("\\x");
    for byte in value.iter().take(level / 2) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Binary forms of the types drivers send most, by their fixed object ids (`pg_type.dat`).
fn from_binary(oid: u32, value: &[u8], level: usize) -> String {
    let mut bytes = value;
    match (oid, value.len()) {
        (16, 1) => (value != [0]).to_string(),
        (21, 2) => bytes.get_i16().to_string(),
        (23, 4) => bytes.get_i32().to_string(),
        (20, 8) => bytes.get_i64().to_string(),
        (26, 4) => bytes.get_u32().to_string(),
        (700, 4) => bytes.get_f32().to_string(),
        (701, 8) => bytes.get_f64().to_string(),
        (25 | 1042 | 1043 | 19 | 114, _) => from_text(value, level),
        (2950, 16) => {
            let digits = hex(value, MAX_SHOWN);
            let part = |from: usize, to: usize| digits.get(from + 2..to + 2).unwrap_or_default();
            let groups = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)];
            groups.join("-")
        }
        (0, size) if size <= MAX_GUESSED => hex(value, level) + &guess(value),
        _ => hex(value, level),
    }
}

/// Longer values of a type that was not given are not guessed at.
const MAX_GUESSED: usize = 256;

/// What a value of a type that the client left to the server may be: whole numbers and text are what
/// drivers mostly send so. Beside the bytes, because it is a guess.
fn guess(value: &[u8]) -> String {
    let readable = |text: &&str| !text.is_empty() && !text.chars().any(char::is_control);
    let text = std::str::from_utf8(value).ok().filter(readable);
    let mut bytes = value;
    let number = match value.len() {
        2 => Some(i64::from(bytes.get_i16())),
        4 => Some(i64::from(bytes.get_i32())),
        8 => Some(bytes.get_i64()),
        _ => None,
    };
    match (number, text) {
        (_, Some(text)) => format!(" (as text: {text})"),
        (Some(number), None) => format!(" (as a whole number: {number})"),
        (None, None) => String::new(),
    }
}

/// Cuts a rendering at the limit and says how much there was; true where something is missing.
fn cut(mut text: String, value: &[u8], limit: usize) -> (String, bool) {
    let is_hex = text.starts_with("\\x") && !value.starts_with(b"\\x");
    let shown = if is_hex { (text.len() - 2) / 2 } else { text.len() };
    if text.len() <= limit && (shown >= value.len() || value.len() <= 16 && !is_hex) {
        return (text, false);
    }
    let end = (0..=limit.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.truncate(end);
    let _ = write!(text, "… ({} bytes)", value.len());
    (text, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(formats: &[u16], parameters: &[Option<&[u8]>]) -> Bytes {
        let mut bytes = (formats.len() as u16).to_be_bytes().to_vec();
        formats.iter().for_each(|f| bytes.extend_from_slice(&f.to_be_bytes()));
        bytes.extend_from_slice(&(parameters.len() as u16).to_be_bytes());
        for p in parameters {
            bytes.extend_from_slice(&p.map_or(-1, |v| v.len() as i32).to_be_bytes());
            bytes.extend_from_slice(p.unwrap_or_default());
        }
        bytes.extend_from_slice(&[0, 0]);
        bytes.into()
    }

    fn whole(values: &Bytes, types: &[u32]) -> Vec<Option<String>> {
        let rendered = render(values, types, &mut usize::MAX.clone());
        assert!(rendered.whole);
        rendered.values
    }

    #[test]
    fn parameters() {
        let check = |format, oid, value: &[u8], expect: &str| {
            assert_eq!(
                whole(&values(&[format], &[Some(value)]), &[oid]),
                [Some(expect.to_owned())]
            );
        };
        check(0, 23, b"42", "42");
        check(0, 0, b"\xff", "\\xff");
        check(1, 23, &(-7i32).to_be_bytes(), "-7");
        check(1, 20, &7i64.to_be_bytes(), "7");
        check(1, 16, b"\x01", "true");
        check(1, 701, &1.5f64.to_be_bytes(), "1.5");
        check(1, 25, "é".as_bytes(), "é");
        check(1, 0, b"ab", "\\x6162 (as text: ab)");
        check(1, 0, &5i32.to_be_bytes(), "\\x00000005 (as a whole number: 5)");
        check(1, 0, b"\xff", "\\xff");
        check(1, 23, b"ab", "\\x6162");
        check(1, 2950, &[0x11; 16], "11111111-1111-1111-1111-111111111111");
        let mixed = whole(&values(&[1, 0], &[Some(&[0, 1]), None]), &[21]);
        assert_eq!(mixed, [Some("1".into()), None]);
        let none = whole(&values(&[], &[Some(b"a"), Some(b"b")]), &[]);
        assert_eq!(none, [Some("a".into()), Some("b".into())]);
    }

    #[test]
    fn what_is_cut_says_so() {
        let long = vec![b'a'; 300_000];
        let cut = render(&values(&[0], &[Some(&long)]), &[], &mut usize::MAX.clone());
        let text = cut.values[0].as_deref().unwrap();
        assert!(
            text.ends_with("a… (300000 bytes)") && text.len() > MAX_SHOWN / 2,
            "{}",
            text.len()
        );
        assert!(!cut.whole);
        let blob = render(&values(&[1], &[Some(&long)]), &[], &mut usize::MAX.clone());
        let text = blob.values[0].as_deref().unwrap();
        assert!(text.starts_with("\\x6161") && text.ends_with("(300000 bytes)"), "{}", text.len());
        let mut left = 100;
        let none = render(&values(&[0], &[Some(&long)]), &[], &mut left);
        assert!(!none.whole && none.values[0].as_ref().unwrap().len() < 130);
        assert!(left < 20);
    }

    #[test]
    fn a_name_is_read_where_the_server_can_read_nothing_else() {
        let of =
            |formats: &[u16], value: &[u8], oid| name(&values(formats, &[Some(value)]), &[oid], 0);
        assert_eq!(of(&[0], b"search_path", 0).as_deref(), Some("search_path"));
        assert_eq!(of(&[1], b"TimeZone", 25).as_deref(), Some("timezone"));
        for value in [&b"app.secret"[..], b"app\\056secret", b"16385", b"", b"a b", b"\xc3\xa4"] {
            assert_eq!(of(&[0], value, 25), None);
        }
        assert_eq!(of(&[1], b"abcd", 0), None);
        assert_eq!(of(&[0], b"abcd", 2205), None);
        assert_eq!(name(&values(&[0], &[None]), &[25], 0), None);
        assert_eq!(name(&values(&[0], &[Some(b"a")]), &[25], 1), None);
    }

    /// Filler must not push what matters out of sight.
    #[test]
    fn the_longest_are_cut_first() {
        let filler = vec![b'x'; 1024];
        let mut all: Vec<Option<&[u8]>> = vec![Some(&filler); 68];
        all.extend([Some(b"1".as_slice()), Some(b"1000"), Some(b"DESTROYED"), Some(&[0; 16])]);
        let shown = render(&values(&[0], &all), &[], &mut usize::MAX.clone());
        assert!(!shown.whole);
        let tail: Vec<&str> = shown.values.iter().skip(68).flatten().map(String::as_str).collect();
        assert_eq!(&tail[..3], ["1", "1000", "DESTROYED"]);
        let total: usize = shown.values.iter().flatten().map(String::len).sum();
        assert!(total < 2 * MAX_SHOWN, "{total}");
        let some = render(&values(&[0], &all[60..]), &[], &mut usize::MAX.clone());
        assert!(some.whole);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..99), oid: u32) {
            let _ = render(&bytes.into(), &[oid, 23, 16, 2950], &mut 999);
        }
    }
}
