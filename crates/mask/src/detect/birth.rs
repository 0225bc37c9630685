//! Dates of birth: a date is one where a word right before it, or the column, says so.
//!
//! Not seen: dates without a year of four digits, months in other languages than English.

use super::text::{before, byte, run_within};
use std::ops::Range;

const YEARS: Range<u32> = 1880..2035;

/// The date behind the word that ends at `word`.
pub(super) fn find(text: &[u8], start: usize, word: usize) -> Option<Range<usize>> {
    // `dob` stands inside other words, `birth` starts them (`birthDate`, `birth_date`).
    if word - start == 3 && before(text, start, 0).is_some_and(|b| b.is_ascii_alphabetic()) {
        return None;
    }
    let tail = run_within(text, word, 16, |b| b.is_ascii_alphabetic() || b == b'_');
    let known: [&[u8]; 8] = [b"", b"date", b"_date", b"day", b"_day", b"sdatum", b"stag", b"_dt"];
    let rest = text.get(word..word + tail)?;
    if !known.iter().any(|k| rest.eq_ignore_ascii_case(k)) {
        return None;
    }
    let mut at = word + tail;
    at += run_within(text, at, 12, is_gap);
    for link in [&b"is "[..], b"on ", b"date "] {
        if text.get(at..at + link.len()).is_some_and(|w| w.eq_ignore_ascii_case(link)) {
            at += link.len();
            at += run_within(text, at, 8, is_gap);
        }
    }
    date(text, at).map(|end| at..end)
}

const fn is_gap(b: u8) -> bool {
    matches!(b, b' ' | b':' | b'=' | b'"' | b'\'' | b'\\' | b'>' | b'(' | b',')
}

/// True where the whole text is a date, or a point in time on one.
pub(crate) fn is_date(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    let Some(end) = date(text, 0) else { return false };
    let time =
        |b: &u8| b.is_ascii_digit() || matches!(b, b' ' | b'T' | b':' | b'.' | b'Z' | b'+' | b'-');
    text.len() < 40 && text.get(end..).is_some_and(|rest| rest.iter().all(time))
}

/// The end of the date at `at`.
fn date(text: &[u8], at: usize) -> Option<usize> {
    numeric(text, at).or_else(|| day_first(text, at)).or_else(|| month_first(text, at))
}

fn value(text: &[u8], at: usize, length: usize) -> Option<u32> {
    // More than eight digits are no part of a date.
    text.get(at..at + length)
        .filter(|part| part.len() <= 8)?
        .iter()
        .try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
}

fn digits(text: &[u8], at: usize) -> usize {
    run_within(text, at, 9, |b| b.is_ascii_digit())
}

fn valid(year: u32, month: u32, day: u32) -> bool {
    YEARS.contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// `1980-05-01`, `1980/5/1`, `19800501`, `01.05.1980`, `5/1/1980`.
fn numeric(text: &[u8], at: usize) -> Option<usize> {
    let first = digits(text, at);
    if first == 8 {
        let (year, month, day) =
            (value(text, at, 4)?, value(text, at + 4, 2)?, value(text, at + 6, 2)?);
        return valid(year, month, day).then_some(at + 8);
    }
    let separator = byte(text, at + first).filter(|b| matches!(b, b'-' | b'/' | b'.'))?;
    let second_at = at + first + 1;
    let second = digits(text, second_at);
    if byte(text, second_at + second) != Some(separator) {
        return None;
    }
    let third_at = second_at + second + 1;
    let third = digits(text, third_at);
    let (a, b, c) =
        (value(text, at, first)?, value(text, second_at, second)?, value(text, third_at, third)?);
    let fits = match (first, second, third) {
        (4, 1 | 2, 1 | 2) => valid(a, b, c),
        (1 | 2, 1 | 2, 4) => valid(c, b, a) || valid(c, a, b),
        _ => false,
    };
    fits.then_some(third_at + third)
}

const MONTHS: [&[u8]; 12] = [
    b"january",
    b"february",
    b"march",
    b"april",
    b"may",
    b"june",
    b"july",
    b"august",
    b"september",
    b"october",
    b"november",
    b"december",
];

/// The length of the month's name at `at`, whole or its first three letters.
fn month(text: &[u8], at: usize) -> Option<usize> {
    let length = run_within(text, at, 10, |b| b.is_ascii_alphabetic());
    let word = text.get(at..at + length)?.to_ascii_lowercase();
    let named = |name: &&[u8]| *name == word || name.get(..3) == Some(&word);
    MONTHS.iter().any(named).then_some(length)
}

fn gap(text: &[u8], at: usize) -> usize {
    run_within(text, at, 2, |b| matches!(b, b' ' | b'-' | b',' | b'.'))
}

/// `1 May 1980`, `01-MAY-1980`.
fn day_first(text: &[u8], at: usize) -> Option<usize> {
    let day = digits(text, at);
    let mut end = at + day + gap(text, at + day);
    end += month(text, end)?;
    year(text, end + gap(text, end)).filter(|_| valid(2000, 1, value(text, at, day).unwrap_or(0)))
}

/// `May 1, 1980`.
fn month_first(text: &[u8], at: usize) -> Option<usize> {
    let mut end = at + month(text, at)?;
    end += gap(text, end);
    let day = digits(text, end);
    let fits = (1..=2).contains(&day) && valid(2000, 1, value(text, end, day)?);
    end += day;
    year(text, end + gap(text, end)).filter(|_| fits)
}

fn year(text: &[u8], at: usize) -> Option<usize> {
    let fits = digits(text, at) == 4 && YEARS.contains(&value(text, at, 4)?);
    fits.then_some(at + 4)
}
