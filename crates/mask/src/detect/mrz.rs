//! Machine-readable lines of travel documents (ICAO 9303 parts 4, 5 and 6): the line with the
//! dates is found and checked; the lines with the name beside it go with it.
//!
//! Not seen: lines without their dates, and lines that were wrapped.

use super::text::{before, byte, run_within};
use std::ops::Range;

/// TD1 has three lines of 30 characters, TD2 two of 36, TD3 two of 44.
const TD1: usize = 30;
const TD2: usize = 36;
const TD3: usize = 44;

const fn is_letter(b: u8) -> bool {
    b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'<'
}

/// The lines around the seven digits, sex and seven digits that start at `dates`.
pub(super) fn find(text: &[u8], dates: usize, floor: usize) -> Option<Range<usize>> {
    let left = text
        .get(floor.max(dates.saturating_sub(TD3))..dates)?
        .iter()
        .rev()
        .take_while(|b| is_letter(**b))
        .count();
    let start = dates - left;
    let end = dates + run_within(text, dates, TD3 + 2, is_letter);
    // The bracket that closes an element of XML is no filler.
    let end = end - usize::from(byte(text, end) == Some(b'/'));
    let line = text.get(start..end)?;
    let open = !before(text, start, floor).is_some_and(|b| b.is_ascii_alphanumeric())
        || left < TD3 && is_break_before(text, start, floor).is_some();
    if !open || byte(text, end).is_some_and(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    match (left, line.len()) {
        (0, TD1) if dates_check(line) && nation(line, 15) => {
            let start = line_before(text, start, floor, TD1).unwrap_or(start);
            let end = line_after(text, end, TD1).unwrap_or(end);
            Some(start..end)
        }
        (13, TD2 | TD3) if is_second_line(line) => {
            Some(line_before(text, start, floor, line.len()).unwrap_or(start)..end)
        }
        _ => None,
    }
}

/// Document number, nationality, dates, and what is optional; with check digits, and one over all.
fn is_second_line(line: &[u8]) -> bool {
    let fits = |range: Range<usize>, at: usize| checks(line, Some(range), at);
    let number = fits(0..9, 9) && nation(line, 10) && line.get(13..).is_some_and(dates_check);
    match line.len() {
        TD3 => {
            let empty = line.get(28..43).is_some_and(|part| part.iter().all(|b| *b == b'<'));
            number && (empty || fits(28..42, 42)) && checks(line, [0..10, 13..20, 21..43], 43)
        }
        _ => number && checks(line, [0..10, 13..20, 21..35], 35),
    }
}

/// Date of birth, sex, date of expiry, the dates each with a check digit.
fn dates_check(part: &[u8]) -> bool {
    let two = |at: usize| {
        part.get(at..at + 2)
            .and_then(|d| std::str::from_utf8(d).ok())
            .and_then(|d| d.parse::<u32>().ok())
    };
    let is_date = |at: usize| {
        two(at + 2).is_some_and(|m| (1..=12).contains(&m))
            && two(at + 4).is_some_and(|d| (1..=31).contains(&d))
    };
    is_date(0) && is_date(8) && checks(part, Some(0..6), 6) && checks(part, Some(8..14), 14)
}

/// A nationality of one to three letters, filled up.
fn nation(line: &[u8], at: usize) -> bool {
    let Some(code) = line.get(at..at + 3) else { return false };
    let letters = code.iter().take_while(|b| b.is_ascii_uppercase()).count();
    letters > 0 && code.iter().skip(letters).all(|b| *b == b'<')
}

/// The check digit at `at`: weights 7, 3, 1, letters from 10 on, `<` for 0 (ICAO 9303-3 §4.9).
fn checks(line: &[u8], parts: impl IntoIterator<Item = Range<usize>>, at: usize) -> bool {
    let value = |b: u8| match b {
        b'0'..=b'9' => u32::from(b - b'0'),
        b'A'..=b'Z' => u32::from(b - b'A') + 10,
        _ => 0,
    };
    let bytes = parts.into_iter().flat_map(|part| line.get(part).unwrap_or_default());
    let sum: u32 = bytes.zip([7, 3, 1].into_iter().cycle()).map(|(b, w)| value(*b) * w).sum();
    let digit = byte(line, at).filter(|b| b.is_ascii_digit() || *b == b'<');
    digit.map(value) == Some(sum % 10)
}

/// The start of the break between lines that ends at `at`: a line end, as it is or escaped, or a
/// space.
fn is_break_before(text: &[u8], at: usize, floor: usize) -> Option<usize> {
    let head = text.get(floor..at)?;
    [&b"\r\n"[..], b"\\r\\n", b"\n", b"\\n", b" "]
        .into_iter()
        .find(|end| head.ends_with(end))
        .map(|end| at - end.len())
}

fn line_before(text: &[u8], at: usize, floor: usize, length: usize) -> Option<usize> {
    let end = is_break_before(text, at, floor)?;
    let start = end.checked_sub(length).filter(|start| *start >= floor)?;
    text.get(start..end)?.iter().all(|b| is_letter(*b)).then_some(start)
}

fn line_after(text: &[u8], at: usize, length: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let ends = [&b"\r\n"[..], b"\\r\\n", b"\n", b"\\n", b" "];
    let skip = ends.into_iter().find(|end| rest.starts_with(end))?.len();
    let line = rest.get(skip..skip + length)?;
    let filled = line.contains(&b'<') && line.iter().all(|b| is_letter(*b));
    filled.then_some(at + skip + length)
}
