//! Reading bytes around a candidate: boundaries, runs and checksums the detectors share.

use std::ops::Range;

/// The byte at `at`, if the text is that long.
pub(super) fn byte(text: &[u8], at: usize) -> Option<u8> {
    text.get(at).copied()
}

/// The byte before `at`, looking no further back than `floor` (the end of the hit before).
pub(super) fn before(text: &[u8], at: usize, floor: usize) -> Option<u8> {
    if at > floor { byte(text, at - 1) } else { None }
}

/// The UTF-8 character at `at`, and its length in bytes.
pub(super) fn char_at(text: &[u8], at: usize) -> Option<(char, usize)> {
    let length = match byte(text, at)? {
        0..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    let c = std::str::from_utf8(text.get(at..at + length)?).ok()?.chars().next()?;
    Some((c, length))
}

/// The UTF-8 character that ends before `at`, and its length in bytes.
pub(super) fn char_before(text: &[u8], at: usize, floor: usize) -> Option<(char, usize)> {
    (1..=4)
        .take_while(|length| at >= floor + length)
        .find_map(|length| char_at(text, at - length).filter(|(_, l)| *l == length))
}

/// Letters, digits and underscore: what a candidate may not touch.
pub(super) const fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

/// How many bytes from `at` on satisfy `class`.
pub(super) fn run(text: &[u8], at: usize, class: impl Fn(u8) -> bool) -> usize {
    text.get(at..).unwrap_or_default().iter().take_while(|b| class(**b)).count()
}

/// As [`run`], and at most `most`: for what is read again at the next candidate.
pub(super) fn run_within(text: &[u8], at: usize, most: usize, class: impl Fn(u8) -> bool) -> usize {
    run(text.get(..text.len().min(at + most)).unwrap_or_default(), at, class)
}

/// True where `at` is the letter of a backslash escape (`\n` in JSON): an odd number of
/// backslashes stands before it.
pub(super) fn is_escape_letter(text: &[u8], at: usize, floor: usize) -> bool {
    let before = text.get(floor..at).unwrap_or_default();
    matches!(byte(text, at), Some(b'n' | b'r' | b't' | b'b' | b'f'))
        && before.iter().rev().take_while(|b| **b == b'\\').count() % 2 == 1
}

/// True where nothing that would make it part of a longer word stands before `at`. The letter of
/// a backslash escape is not part of a word.
pub(super) fn left_clear(text: &[u8], at: usize, floor: usize) -> bool {
    match before(text, at, floor) {
        Some(b) if is_word(b) => is_escape_letter(text, at - 1, floor),
        _ => true,
    }
}

/// As [`left_clear`], for text so distinctive that an underscore may stand before it.
pub(super) fn left_clear_of_alphanumerics(text: &[u8], at: usize, floor: usize) -> bool {
    before(text, at, floor) == Some(b'_') || left_clear(text, at, floor)
}

/// True where nothing that would make it part of a longer word or number stands at `at`.
pub(super) fn right_clear(text: &[u8], at: usize) -> bool {
    match byte(text, at) {
        Some(b'.') => !byte(text, at + 1).is_some_and(|b| b.is_ascii_digit()),
        Some(b) => !is_word(b),
        None => true,
    }
}

/// True where `at` follows a decimal point, as the digits of a fraction do.
pub(super) fn is_fraction(text: &[u8], at: usize, floor: usize) -> bool {
    before(text, at, floor) == Some(b'.')
        && before(text, at - 1, floor).is_some_and(|b| b.is_ascii_digit())
}

/// The first place at or after `from` where `needle` stands.
pub(super) fn find(text: &[u8], from: usize, needle: &[u8]) -> Option<usize> {
    let rest = text.get(from..)?;
    rest.windows(needle.len().max(1)).position(|w| w == needle).map(|at| from + at)
}

/// True where one of `words` (lower case) stands in the `reach` bytes before `at`, in any case,
/// outside a placeholder of ours: `[masked:us-ssn]` does not make its neighbour an SSN.
pub(super) fn keyword_before(
    text: &[u8],
    at: usize,
    floor: usize,
    reach: usize,
    words: &[&[u8]],
) -> bool {
    let from = at.saturating_sub(reach).max(floor);
    let window = text.get(from..at).unwrap_or_default();
    words.iter().any(|word| {
        places(window, word)
            .any(|i| starts_with(window, i, word) && !in_placeholder(text, from + i))
    })
}

/// Where the first letter of `word` stands in `window`.
fn places(window: &[u8], word: &[u8]) -> impl Iterator<Item = usize> {
    let first = word.first().copied().unwrap_or_default();
    let bytes = window.iter().enumerate();
    bytes.filter(move |(_, b)| b.to_ascii_lowercase() == first).map(|(i, _)| i)
}

fn starts_with(window: &[u8], at: usize, word: &[u8]) -> bool {
    window.get(at..at + word.len()).is_some_and(|w| w.eq_ignore_ascii_case(word))
}

/// True where `at` stands inside a placeholder that an earlier pass wrote.
pub(super) fn in_placeholder(text: &[u8], at: usize) -> bool {
    const OPENING: &[u8] = b"[masked:";
    let window = text.get(at.saturating_sub(40)..at).unwrap_or_default();
    let open = window.iter().rposition(|b| matches!(b, b'[' | b']'));
    open.is_some_and(|i| window.get(i..).unwrap_or_default().starts_with(OPENING))
}

/// The Luhn check (ISO/IEC 7812-1 annex B) over digits, last one the check digit.
pub(super) fn luhn(digits: impl DoubleEndedIterator<Item = u8>) -> bool {
    let sum: u32 = digits
        .rev()
        .enumerate()
        .map(|(i, d)| {
            let d = u32::from(d);
            if i % 2 == 0 { d } else { d * 2 - if d > 4 { 9 } else { 0 } }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// How many different bytes there are: a cheap measure of how random a key looks.
pub(super) fn distinct(bytes: &[u8]) -> u32 {
    let mut seen = [0u64; 4];
    for b in bytes {
        if let Some(word) = seen.get_mut(usize::from(b >> 6)) {
            *word |= 1 << (b & 63);
        }
    }
    seen.iter().map(|w| w.count_ones()).sum()
}

/// Reads `shape` at `start`: `d` stands for a digit (given as its value), `*` for any letter or
/// digit (given as it is), `?` for any byte that is not given, all else for itself. What was read
/// is not followed by a further digit.
pub(super) fn shaped<const N: usize>(
    text: &[u8],
    start: usize,
    shape: &[u8],
) -> Option<([u8; N], usize)> {
    let (mut read, mut count) = ([0; N], 0);
    let end = start + shape.len();
    for (expect, b) in shape.iter().zip(text.get(start..end)?) {
        let given = match expect {
            b'd' if b.is_ascii_digit() => b - b'0',
            b'*' if b.is_ascii_alphanumeric() => *b,
            b'?' => continue,
            b'd' | b'*' => return None,
            literal if literal == b => continue,
            _ => return None,
        };
        *read.get_mut(count)? = given;
        count += 1;
    }
    let longer = shape.ends_with(b"d") && byte(text, end).is_some_and(|b| b.is_ascii_digit());
    (count == N && !longer).then_some((read, end))
}

/// True where one of `words` (lower case) stands as a word in the `reach` bytes before `at`, in any
/// case, with nothing between that would end what it speaks of.
pub(super) fn word_before(
    text: &[u8],
    at: usize,
    floor: usize,
    reach: usize,
    words: &[&[u8]],
) -> bool {
    let from = at.saturating_sub(reach).max(floor);
    let window = text.get(from..at).unwrap_or_default();
    let ends = |b: &u8| matches!(b, b',' | b';' | b'{' | b'}' | b'|' | b'\n' | b'\t');
    let from = window.iter().rposition(ends).map_or(from, |i| from + i + 1);
    let window = text.get(from..at).unwrap_or_default();
    if !window.iter().any(u8::is_ascii_alphabetic) {
        return false;
    }
    words.iter().any(|word| {
        places(window, word).any(|i| {
            starts_with(window, i, word)
                && is_word_at(text, from + i..from + i + word.len())
                && !in_placeholder(text, from + i)
        })
    })
}

/// True where the letters at `range` are a word: no further letter touches them, or the case
/// changes there (`customerBsn`).
pub(super) fn is_word_at(text: &[u8], range: Range<usize>) -> bool {
    let first = byte(text, range.start);
    let left = before(text, range.start, 0).is_none_or(|b| {
        !b.is_ascii_alphabetic()
            || b.is_ascii_lowercase() && first.is_some_and(|b| b.is_ascii_uppercase())
            || is_escape_letter(text, range.start - 1, 0)
    });
    let last = byte(text, range.end.saturating_sub(1));
    let right = byte(text, range.end).is_none_or(|b| {
        !b.is_ascii_alphabetic()
            || b.is_ascii_uppercase() && last.is_some_and(|b| b.is_ascii_lowercase())
    });
    left && right
}
