//! US social security numbers: `AAA-GG-SSSS` with the ranges the Social Security Administration
//! issues (area not 000, 666 or 900–999, group not 00, serial not 0000). With spaces or without
//! separators only behind a word that says what it is.

use super::text::{before, byte, is_fraction, keyword_before, left_clear, right_clear, run};
use std::ops::Range;

const KEYWORDS: &[&[u8]] =
    &[b"ssn", b"social security", b"social_security", b"social-security", b"socialsecurity"];
const REACH: usize = 32;

/// The number whose first digit stands at `start`. `told`: its column says what it is.
pub(super) fn find(text: &[u8], start: usize, floor: usize, told: bool) -> Option<Range<usize>> {
    if !left_clear(text, start, floor) || is_fraction(text, start, floor) {
        return None;
    }
    let digits = |at: usize| run(text, at, |b| b.is_ascii_digit());
    let separator = byte(text, start + 3)?;
    let (group, serial, end) = match (digits(start), separator) {
        (9, _) => (start + 3, start + 5, start + 9),
        (3, b'-' | b' ') => (start + 4, start + 7, start + 11),
        _ => return None,
    };
    let separated = group != start + 3;
    if separated
        && (digits(group) != 2 || byte(text, start + 6) != Some(separator) || digits(serial) != 4)
    {
        return None;
    }
    let issued = is_issued(
        text.get(start..start + 3)?,
        text.get(group..group + 2)?,
        text.get(serial..serial + 4)?,
    );
    let joined = before(text, start, floor) == Some(b'-')
        || byte(text, end) == Some(b'-') && digits(end + 1) > 0;
    let named = || told || keyword_before(text, start, floor, REACH, KEYWORDS);
    let certain = separator == b'-' && separated && !joined;
    (issued && right_clear(text, end) && (certain || named())).then_some(start..end)
}

fn is_issued(area: &[u8], group: &[u8], serial: &[u8]) -> bool {
    area != b"000"
        && area != b"666"
        && !area.starts_with(b"9")
        && group != b"00"
        && serial != b"0000"
}
