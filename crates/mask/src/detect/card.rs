//! Payment card numbers: ISO/IEC 7812-1 numbers of the schemes in use, by issuer range, length,
//! grouping as printed, and check digit.
//!
//! Not seen: other separators than one space or one dash, and groupings no scheme prints.

use super::text::{byte, is_fraction, left_clear, luhn, right_clear};
use std::ops::Range;

const MIN_DIGITS: usize = 13;
const MAX_DIGITS: usize = 19;

/// The digits of a candidate and where each of its groups ends.
#[derive(Default)]
struct Number {
    digits: [u8; MAX_DIGITS],
    length: usize,
    /// (digits up to here, length of the group, position after its last digit).
    groups: [(usize, usize, usize); MAX_DIGITS],
    group_count: usize,
}

/// The card number whose first digit stands at `start`.
pub(super) fn find(text: &[u8], start: usize, floor: usize) -> Option<Range<usize>> {
    if !left_clear(text, start, floor) || is_fraction(text, start, floor) {
        return None;
    }
    let number = read(text, start);
    (1..=number.group_count).rev().find_map(|count| {
        let groups = number.groups.get(..count)?;
        let (length, _, end) = *groups.last()?;
        let digits = number.digits.get(..length)?;
        let fits = is_grouping(groups)
            && right_clear(text, end)
            && is_card(digits)
            && (count > 1 || is_issued_long(digits));
        fits.then_some(start..end)
    })
}

/// True where the whole text is one card number.
pub(crate) fn is_whole(text: &[u8]) -> bool {
    find(text, 0, 0) == Some(0..text.len())
}

fn read(text: &[u8], start: usize) -> Number {
    let mut number = Number::default();
    let (mut at, mut group) = (start, 0);
    while let Some(digit) = byte(text, at).filter(u8::is_ascii_digit) {
        let Some(place) = number.digits.get_mut(number.length) else { break };
        *place = digit - b'0';
        number.length += 1;
        group += 1;
        at += 1;
        let next = byte(text, at);
        if next.is_some_and(|b| b.is_ascii_digit()) {
            continue;
        }
        if let Some(place) = number.groups.get_mut(number.group_count) {
            *place = (number.length, group, at);
            number.group_count += 1;
        }
        group = 0;
        if matches!(next, Some(b' ' | b'-')) {
            at += 1;
        }
    }
    number
}

fn is_grouping(groups: &[(usize, usize, usize)]) -> bool {
    let length = |i: usize| groups.get(i).map_or(0, |g| g.1);
    match groups.len() {
        1 => true,
        2 => (length(0), length(1)) == (6, 13),
        3 => matches!((length(0), length(1), length(2)), (4, 6, 4 | 5)),
        4 | 5 => {
            let last = groups.len() - 1;
            (0..last).all(|i| length(i) == 4) && (1..=4).contains(&length(last))
        }
        _ => false,
    }
}

fn is_card(digits: &[u8]) -> bool {
    (MIN_DIGITS..=MAX_DIGITS).contains(&digits.len())
        && is_issued(digits)
        && luhn(digits.iter().copied())
        && digits.iter().any(|d| digits.first() != Some(d))
        && !is_article(digits)
}

/// 13 digits that check out as an EAN-13 article number (GS1 General Specifications §7.9) are
/// one: Visa stopped issuing 13 digits long ago, and goods from half of the world start with 4.
fn is_article(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| u32::from(*d) * if i % 2 == 0 { 1 } else { 3 })
        .sum();
    digits.len() == 13 && sum.is_multiple_of(10)
}

/// Numbers of 17 to 19 digits without separators are more often 64-bit identifiers: only schemes
/// that do issue such numbers count.
fn is_issued_long(digits: &[u8]) -> bool {
    digits.len() <= 16 || matches!(digits, [4, ..] | [6, 2 | 7, ..] | [5, 0 | 8, ..] | [6, 3, ..])
}

/// Issuer ranges with the lengths they are issued in.
fn is_issued(digits: &[u8]) -> bool {
    let prefix =
        |n: usize| digits.iter().take(n).fold(0u32, |number, d| number * 10 + u32::from(*d));
    let length = digits.len();
    match (prefix(1), prefix(2), prefix(4)) {
        // Visa.
        (4, ..) => matches!(length, 13 | 16 | 19),
        // American Express.
        (_, 34 | 37, _) => length == 15,
        // Diners Club.
        (_, 36 | 38 | 39, _) | (_, _, 3000..=3059 | 3095) => matches!(length, 14 | 16),
        // JCB.
        (_, _, 3528..=3589) => (16..=19).contains(&length),
        // Mastercard.
        (_, 51..=55, _) | (_, _, 2221..=2720) => length == 16,
        // Mir.
        (_, _, 2200..=2204) => (16..=19).contains(&length),
        // Maestro, Dankort, Verve, Elo, RuPay.
        (_, _, 5018 | 5020 | 5038 | 5893 | 6304 | 6390 | 6759 | 6761..=6763) => length >= 13,
        (_, _, 5019 | 5041 | 5060 | 5061 | 5066 | 5067 | 5078..=5089 | 5090) => length >= 16,
        // Discover, RuPay, UnionPay.
        (_, 60 | 62 | 65, _) | (_, _, 6440..=6499 | 8100..=8171) => (16..=19).contains(&length),
        // Troy.
        (_, _, 9792) => length == 16,
        _ => false,
    }
}
