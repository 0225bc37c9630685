//! The values of a `Bind`, rendered for people. The exact bytes are what is digested and forwarded;
//! this is what a reviewer and the record see of them.

use bytes::{Buf as _, Bytes};
use std::fmt::Write as _;

/// The most of one parameter that is shown, in bytes of text.
pub const MAX_SHOWN: usize = 1024;
/// The most of all parameters of one execution that is shown, in bytes of text.
const MAX_SHOWN_TOTAL: usize = 64 * 1024;

/// Renders the parameters of a `Bind`: what follows its two names, as checked by
/// [`crate::pg::message::decode`]. `types` are the object ids given at `Parse`.
#[must_use]
pub fn render(values: &Bytes, types: &[u32]) -> Vec<Option<String>> {
    let mut rest = values.clone();
    let formats = counted(&mut rest);
    let count = if rest.len() < 2 { 0 } else { rest.get_u16() };
    let mut budget = MAX_SHOWN_TOTAL;
    let mut shown = Vec::new();
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
        let text = value.map(|value| {
            let oid = types.get(n).copied().unwrap_or(0);
            let text = if binary { from_binary(oid, &value) } else { from_text(&value) };
            cut(text, value.len(), MAX_SHOWN.min(budget))
        });
        budget = budget.saturating_sub(text.as_ref().map_or(0, String::len));
        shown.push(text);
    }
    shown
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
fn head(value: &[u8]) -> &[u8] {
    value.get(..MAX_SHOWN + 4).unwrap_or(value)
}

fn from_text(value: &[u8]) -> String {
    let head = head(value);
    match std::str::from_utf8(head) {
        Ok(text) => text.to_owned(),
        // A character cut by `head` is no reason for hexadecimal.
        Err(e) if e.error_len().is_none() && head.len() < value.len() => {
            String::from_utf8_lossy(head.get(..e.valid_up_to()).unwrap_or_default()).into_owned()
        }
        Err(_) => hex(head),
    }
}

fn hex(value: &[u8]) -> String {
    let mut text = String::from("\\x");
    for byte in value.iter().take(MAX_SHOWN / 2) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Binary forms of the types drivers send most, by their fixed object ids (`pg_type.dat`).
fn from_binary(oid: u32, value: &[u8]) -> String {
    let mut bytes = value;
    match (oid, value.len()) {
        (16, 1) => (value != [0]).to_string(),
        (21, 2) => bytes.get_i16().to_string(),
        (23, 4) => bytes.get_i32().to_string(),
        (20, 8) => bytes.get_i64().to_string(),
        (26, 4) => bytes.get_u32().to_string(),
        (700, 4) => bytes.get_f32().to_string(),
        (701, 8) => bytes.get_f64().to_string(),
        (25 | 1042 | 1043 | 19 | 114, _) => from_text(value),
        (2950, 16) => {
            let digits = hex(value);
            let part = |from: usize, to: usize| digits.get(from + 2..to + 2).unwrap_or_default();
            let groups = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)];
            groups.join("-")
        }
        _ => hex(value),
    }
}

/// Cuts a rendering at the limit and says how much there was.
fn cut(mut text: String, size: usize, limit: usize) -> String {
    if text.len() > limit {
        let end = (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        let _ = write!(text, "… ({size} bytes)");
    } else if size > MAX_SHOWN + 4 || text.starts_with("\\x") && size > MAX_SHOWN / 2 {
        let _ = write!(text, "… ({size} bytes)");
    }
    text
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

    #[test]
    fn parameters() {
        let check = |format, oid, value: &[u8], expect: &str| {
            let shown = render(&values(&[format], &[Some(value)]), &[oid]);
            assert_eq!(shown, [Some(expect.to_owned())]);
        };
        check(0, 23, b"42", "42");
        check(0, 0, b"\xff", "\\xff");
        check(1, 23, &(-7i32).to_be_bytes(), "-7");
        check(1, 20, &7i64.to_be_bytes(), "7");
        check(1, 16, b"\x01", "true");
        check(1, 701, &1.5f64.to_be_bytes(), "1.5");
        check(1, 25, "é".as_bytes(), "é");
        check(1, 0, b"ab", "\\x6162");
        check(1, 23, b"ab", "\\x6162");
        check(1, 2950, &[0x11; 16], "11111111-1111-1111-1111-111111111111");
        let mixed = render(&values(&[1, 0], &[Some(&[0, 1]), None]), &[21]);
        assert_eq!(mixed, [Some("1".into()), None]);
        let none = render(&values(&[], &[Some(b"a"), Some(b"b")]), &[]);
        assert_eq!(none, [Some("a".into()), Some("b".into())]);
    }

    #[test]
    fn what_is_cut_says_so() {
        let long = vec![b'a'; 3000];
        let shown = render(&values(&[0], &[Some(&long)]), &[]).remove(0).unwrap();
        assert_eq!(shown, format!("{}… (3000 bytes)", "a".repeat(MAX_SHOWN)));
        let many: Vec<Option<&[u8]>> = vec![Some(&long); 1000];
        let total: usize =
            render(&values(&[1], &many), &[]).iter().flatten().map(String::len).sum();
        assert!(total < 2 * MAX_SHOWN_TOTAL, "{total}");
        let blob = render(&values(&[1], &[Some(&long)]), &[]).remove(0).unwrap();
        assert!(blob.starts_with("\\x6161") && blob.ends_with("(3000 bytes)"), "{blob}");
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..99), oid: u32) {
            let _ = render(&bytes.into(), &[oid, 23, 16, 2950]);
        }
    }
}
