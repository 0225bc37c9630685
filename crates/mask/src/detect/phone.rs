//! Telephone numbers: international (`+` and country code, ITU-T E.164: at most 15 digits) and
//! North American (NANP) with separators. A plain run of digits is never one.
//!
//! Not seen: national formats of other countries, and `00` or `011` in place of `+`.

use super::text::{before, byte, is_fraction, left_clear, right_clear, run};
use std::ops::Range;

const MAX_DIGITS: usize = 15;
/// Without a separator it takes more digits to be sure.
const MIN_DIGITS: usize = 8;
const MIN_PLAIN_DIGITS: usize = 10;

/// What the separators of a number look like so far.
#[derive(Default, Clone, Copy)]
struct Shape {
    digits: usize,
    dots: usize,
    others: usize,
    open: bool,
}

/// The international number whose `+` stands at `start`.
pub(super) fn find_international(text: &[u8], start: usize, floor: usize) -> Option<Range<usize>> {
    if !left_clear(text, start, floor) || before(text, start, floor) == Some(b'+') {
        return None;
    }
    if is_expanded_date(text, start + 1) {
        return None;
    }
    let (low, high) = lengths_of_country(text, start + 1)?;
    let (mut at, mut best, mut shape) = (start + 1, None, Shape::default());
    let mut gap = 0;
    while let Some(b) = byte(text, at) {
        at += 1;
        match b {
            b'0'..=b'9' => {
                shape.digits += 1;
                gap = 0;
                if shape.digits > MAX_DIGITS {
                    break;
                }
                let next_is_digit = byte(text, at).is_some_and(|b| b.is_ascii_digit());
                let fits = (low..=high).contains(&shape.digits) && !shape.open;
                if fits && !next_is_digit && ends_well(text, at) && shape.is_number() {
                    best = Some(start..at);
                }
            }
            b'(' if !shape.open => shape.open = true,
            b')' if shape.open => shape.open = false,
            b'.' => shape.dots += 1,
            b' ' | b'-' | b'/' => shape.others += 1,
            _ => break,
        }
        if !b.is_ascii_digit() {
            gap += 1;
            if gap > 2 {
                break;
            }
        }
    }
    best.map(|range| range.start..with_extension(text, range.end))
}

impl Shape {
    /// One dot alone is a decimal point; dots beside dashes are coordinates (ISO 6709).
    const fn is_number(self) -> bool {
        match (self.dots, self.others) {
            (0, 0) => self.digits >= MIN_PLAIN_DIGITS,
            (0, _) => true,
            (1, _) => false,
            (_, others) => others == 0,
        }
    }
}

/// A date with an expanded year (ISO 8601-1 §5.2.2.3): `+262142-12-31`.
fn is_expanded_date(text: &[u8], at: usize) -> bool {
    let digits = |at: usize| run(text, at, |b| b.is_ascii_digit());
    let month = at + digits(at) + 1;
    matches!(digits(at), 5 | 6) && byte(text, month - 1) == Some(b'-') && digits(month) == 2
}

fn ends_well(text: &[u8], end: usize) -> bool {
    right_clear(text, end) || with_extension(text, end) > end
}

/// How many digits, country code included, a number of the country at `at` has.
fn lengths_of_country(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let digit =
        |i: usize| byte(text, at + i).filter(u8::is_ascii_digit).map(|b| u32::from(b - b'0'));
    match digit(0)? {
        1 => {
            // Any separator may stand between the country code and the area code, which starts
            // with 2 to 9.
            let gap = run(text, at + 1, |b| matches!(b, b' ' | b'(' | b'-' | b'.'));
            return digit(1 + gap).filter(|d| *d >= 2).map(|_| (11, 11));
        }
        7 => return Some((11, 11)),
        _ => {}
    }
    let two = digit(0)? * 10 + digit(1)?;
    match two {
        33 => return Some((11, 12)),
        44 => return Some((11, 13)),
        34 | 48 => return Some((11, 11)),
        20
        | 27
        | 30..=32
        | 36
        | 39..=41
        | 43
        | 45..=47
        | 49
        | 51..=58
        | 60..=66
        | 81
        | 82
        | 84
        | 86
        | 90..=95
        | 98 => return Some((MIN_DIGITS + 1, MAX_DIGITS)),
        _ => {}
    }
    let assigned = matches!(two * 10 + digit(2)?,
        211..=213 | 216 | 218 | 220..=269 | 290 | 291 | 297..=299 | 350..=359 | 370..=378
        | 380..=383 | 385..=387 | 389 | 420 | 421 | 423 | 500..=509 | 590..=599 | 670 | 672..=683
        | 685..=692 | 800 | 808 | 850 | 852 | 853 | 855 | 856 | 870 | 880..=883 | 886 | 888
        | 960..=968 | 970..=977 | 979 | 992..=996 | 998);
    assigned.then_some((MIN_DIGITS, MAX_DIGITS))
}

/// The North American number that starts at `start` with a digit or a parenthesis.
pub(super) fn find_north_american(text: &[u8], start: usize, floor: usize) -> Option<Range<usize>> {
    let joined = matches!(before(text, start, floor), Some(b'-' | b'.' | b'+'));
    if !left_clear(text, start, floor) || joined || is_fraction(text, start, floor) {
        return None;
    }
    let digits = |at: usize| run(text, at, |b| b.is_ascii_digit());
    let mut at = start;
    let trunk = byte(text, at) == Some(b'1') && digits(at) == 1;
    if trunk {
        at += 1 + run(text, at + 1, |b| matches!(b, b' ' | b'-' | b'.')).min(1);
    }
    let bracketed = byte(text, at) == Some(b'(');
    let area = at + usize::from(bracketed);
    if digits(area) != 3 || bracketed && byte(text, area + 3) != Some(b')') {
        return None;
    }
    at = area + 3 + usize::from(bracketed);
    let first = byte(text, at).filter(|b| matches!(b, b' ' | b'-' | b'.'));
    let exchange = at + usize::from(first.is_some());
    let second = byte(text, exchange + 3).filter(|b| matches!(b, b' ' | b'-' | b'.'))?;
    let end = exchange + 8;
    let regular = (bracketed || first == Some(second))
        && digits(exchange) == 3
        && digits(exchange + 4) == 4
        && is_code(text.get(area..area + 3)?)
        && is_code(text.get(exchange..exchange + 3)?);
    let spaced = !bracketed && !trunk && second == b' ';
    let lonely =
        !spaced || is_lonely(text, start..end, floor) && is_area(text.get(area..area + 3)?);
    let joined = byte(text, end) == Some(b'-') && digits(end + 1) > 0;
    (regular && lonely && !joined && ends_well(text, end)).then(|| start..with_extension(text, end))
}

/// Area and exchange codes start with 2 to 9; `N11` are services.
fn is_code(code: &[u8]) -> bool {
    code.first().is_some_and(|b| matches!(b, b'2'..=b'9')) && !code.ends_with(b"11")
}

/// Area codes in use, for the format that a list of numbers shares: `200 404 5000` is none.
fn is_area(code: &[u8]) -> bool {
    let reserved = code.get(1) == Some(&b'9')
        || code.ends_with(b"00") && !matches!(code, b"500" | b"700" | b"800" | b"900");
    !reserved
}

/// True where no further number stands beside it, as in a list of numbers.
fn is_lonely(text: &[u8], range: Range<usize>, floor: usize) -> bool {
    let is_digit = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_digit());
    let is_gap = |b: Option<u8>| matches!(b, Some(b' ' | b','));
    let left = range.start.checked_sub(1).and_then(|at| before(text, at, floor));
    let listed_left = is_gap(before(text, range.start, floor)) && is_digit(left);
    let listed_right = is_gap(byte(text, range.end)) && is_digit(byte(text, range.end + 1));
    !listed_left && !listed_right
}

/// The end of the number with its extension (`x123`, ` ext. 5`), if it has one.
fn with_extension(text: &[u8], end: usize) -> usize {
    let at = end + run(text, end, |b| b == b' ').min(1);
    let rest = text.get(at..).unwrap_or_default();
    let word = [&b"ext."[..], b"ext", b"x"]
        .into_iter()
        .find(|word| rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word)));
    let Some(word) = word else { return end };
    let at = at + word.len();
    let at = at + run(text, at, |b| b == b' ').min(1);
    let digits = run(text, at, |b| b.is_ascii_digit());
    if (1..=6).contains(&digits) && right_clear(text, at + digits) { at + digits } else { end }
}
