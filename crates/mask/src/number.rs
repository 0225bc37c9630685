//! Numbers as decimal digits: what a pseudonym is made of where a masked number has to be a number,
//! and the binary form of `numeric`.

use crate::pseudonym::PseudonymKey;

/// Where a type of whole numbers ends, so that what fits into it stays so. Pseudonyms do not depend
/// on the type, and columns of different types can be joined.
const ENDS: [u64; 3] = [i16::MAX as u64, i32::MAX as u64, i64::MAX as u64];

/// The numbers among which the pseudonym of `n` is chosen: those with as many digits, in the same
/// types; without zero for negative ones, which have no zero of their own.
fn peers(n: u64, digits: usize, zero: bool) -> Option<(u64, u64)> {
    let power = |exponent: usize| 10_u64.checked_pow(u32::try_from(exponent).ok()?);
    let mut low = if digits <= 1 { u64::from(!zero) } else { power(digits - 1)? };
    let mut high = power(digits).map_or(u64::MAX, |end| end - 1);
    for end in ENDS {
        if n <= end {
            high = high.min(end);
        } else {
            low = low.max(end + 1);
        }
    }
    (low..=high).contains(&n).then_some((low, high))
}

/// The pseudonym of a whole number's magnitude.
pub(crate) fn pseudonym(key: &PseudonymKey, n: u64, negative: bool) -> Option<u64> {
    let digits = n.checked_ilog10().map_or(1, |log| log as usize + 1);
    let (low, high) = peers(n, digits, !negative)?;
    let size = (high - low).checked_add(1)?;
    Some(low + key.permute(low, n - low, size))
}

/// The pseudonym of a signed number; `None` where it does not fit where the number did.
pub(crate) fn signed(key: &PseudonymKey, n: i64) -> Option<i64> {
    let made = i128::from(pseudonym(key, n.unsigned_abs(), n < 0)?);
    i64::try_from(if n < 0 { -made } else { made }).ok()
}

/// A sign and the name of a currency (`lc_monetary`) around an amount of money, in bytes.
const MOST_AROUND: usize = 12;
/// A separator of groups of digits, in bytes.
const MOST_BETWEEN: usize = 3;

/// True where there is nothing but digits and what belongs to a number or an amount of money.
fn is_number(text: &[u8]) -> bool {
    let runs = || text.split(u8::is_ascii_digit).map(<[u8]>::len);
    let ends = [runs().next(), runs().next_back()].into_iter().flatten().sum::<usize>();
    let digits = text.iter().any(u8::is_ascii_digit);
    let between = runs().skip(1).collect::<Vec<_>>();
    let inner = between.split_last().map_or(&[][..], |(_, inner)| inner);
    digits && ends <= MOST_AROUND && inner.iter().all(|run| *run <= MOST_BETWEEN)
}

/// True for a decimal number as `numeric` writes one.
pub(crate) fn is_decimal(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    digits.iter().all(|b| b.is_ascii_digit() || *b == b'.')
}

/// Puts other digits into a decimal text, everything else in place: sign, point, separators. As many
/// of them count as before. False where it is no number, whatever the target calls it, or has an
/// exponent.
pub(crate) fn replace_digits(key: &PseudonymKey, text: &[u8], out: &mut Vec<u8>) -> bool {
    if !is_number(text) || text.iter().any(|b| matches!(b, b'e' | b'E')) {
        return false;
    }
    let digits: Vec<u8> = text.iter().copied().filter(u8::is_ascii_digit).collect();
    let zeros = digits.iter().take_while(|b| **b == b'0').count().min(digits.len() - 1);
    let negative = text.contains(&b'-') || text.first() == Some(&b'(');
    let significant = digits.get(zeros..).unwrap_or_default();
    let Some(made) = replaced(key, significant, negative) else { return false };
    let mut made = std::iter::repeat_n(b'0', zeros).chain(made);
    for byte in text {
        out.push(if byte.is_ascii_digit() { made.next().unwrap_or(b'0') } else { *byte });
    }
    true
}

fn replaced(key: &PseudonymKey, digits: &[u8], negative: bool) -> Option<Vec<u8>> {
    let number = std::str::from_utf8(digits).ok()?.parse::<u64>();
    if digits.len() < 20
        && let Ok(n) = number
    {
        return Some(pseudonym(key, n, negative && n > 0)?.to_string().into_bytes());
    }
    // Too long for a permutation: digits out of codes, the first of them not zero.
    let mut made = Vec::with_capacity(digits.len());
    let mut block = 0_u32;
    while made.len() < digits.len() {
        let input = [&block.to_be_bytes(), digits].concat();
        let bits = key.bits(b"long", &input);
        let text = format!("{:038}", bits % 10_u128.pow(38));
        made.extend_from_slice(text.as_bytes());
        block += 1;
    }
    made.truncate(digits.len());
    if let Some(first @ b'0') = made.first_mut() {
        *first = b'5';
    }
    Some(made)
}

const NEGATIVE: u16 = 0x4000;
/// The most digits a `numeric` has (PostgreSQL manual §8.1.2): 131072 before and 16383 after the
/// point.
const MOST_DIGITS: usize = 150_000;

/// `numeric_send` as decimal text. `None` where it is no number (NaN, infinity), or broken.
pub(crate) fn read_numeric(value: &[u8]) -> Option<String> {
    let word = |at: usize| Some(u16::from_be_bytes(value.get(at..at + 2)?.try_into().ok()?));
    let count = usize::from(word(0)?);
    let weight = i32::from(word(2)?.cast_signed());
    let (sign, scale) = (word(4)?, usize::from(word(6)?));
    if value.len() != 8 + 2 * count || !matches!(sign, 0 | NEGATIVE) || scale > MOST_DIGITS {
        return None;
    }
    let group = |place: i32| -> Option<u16> {
        match usize::try_from(weight - place) {
            Ok(n) if n < count => word(8 + 2 * n).filter(|group| *group < 10_000),
            _ => Some(0),
        }
    };
    let mut text = String::from(if sign == NEGATIVE { "-" } else { "" });
    let mut place = weight.max(0);
    text.push_str(&group(place)?.to_string());
    while place > 0 {
        place -= 1;
        text.push_str(&format!("{:04}", group(place)?));
    }
    if scale > 0 {
        let mut fraction = String::with_capacity(scale + 4);
        while fraction.len() < scale {
            place -= 1;
            fraction.push_str(&format!("{:04}", group(place)?));
        }
        fraction.truncate(scale);
        text.push('.');
        text.push_str(&fraction);
    }
    Some(text)
}

/// A decimal text as `numeric_send` writes it; false, with nothing written, where it is none.
pub(crate) fn write_numeric(text: &[u8], out: &mut Vec<u8>) -> bool {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let mut halves = digits.splitn(2, |b| *b == b'.');
    let (whole, fraction) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
    let all_digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    if whole.is_empty() && fraction.is_empty()
        || !all_digits(whole)
        || !all_digits(fraction)
        || digits.len() > MOST_DIGITS
    {
        return false;
    }
    let lead = (4 - whole.len() % 4) % 4;
    let mut padded = vec![b'0'; lead];
    padded.extend_from_slice(whole);
    padded.extend_from_slice(fraction);
    padded.resize(padded.len().next_multiple_of(4), b'0');
    let value = |group: &[u8]| group.iter().fold(0_u16, |n, b| n * 10 + u16::from(b - b'0'));
    let groups: Vec<u16> = padded.chunks(4).map(value).collect();
    let zeros = groups.iter().take_while(|g| **g == 0).count();
    let kept = groups.len() - groups.iter().rev().take_while(|g| **g == 0).count();
    let kept = groups.get(zeros..kept).unwrap_or_default();
    let weight = (lead + whole.len()) / 4;
    let weight = i16::try_from(weight).unwrap_or_default()
        - 1
        - if kept.is_empty() { 0 } else { i16::try_from(zeros).unwrap_or_default() };
    let (Ok(count), Ok(scale)) = (u16::try_from(kept.len()), u16::try_from(fraction.len())) else {
        return false;
    };
    let weight = if kept.is_empty() { 0 } else { weight.cast_unsigned() };
    let sign = if negative && !kept.is_empty() { NEGATIVE } else { 0 };
    for word in [count, weight, sign, scale].iter().chain(kept) {
        out.extend_from_slice(&word.to_be_bytes());
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digits_are_replaced_in_place() {
        let key = PseudonymKey::new(&[7; 32]);
        for text in ["0", "7", "42", "-42", "12.50", "-0.05", "$1,234.56", "99999999999999999999.9"]
        {
            let mut out = Vec::new();
            assert!(replace_digits(&key, text.as_bytes(), &mut out));
            let shape = |text: &[u8]| -> Vec<u8> {
                text.iter().map(|b| if b.is_ascii_digit() { b'9' } else { *b }).collect()
            };
            assert_eq!(shape(&out), shape(text.as_bytes()));
        }
        for text in ["NaN", "Infinity", "1e20", ""] {
            assert!(!replace_digits(&key, text.as_bytes(), &mut Vec::new()), "{text}");
        }
    }

    #[test]
    fn pseudonyms_fit_where_the_number_did() {
        let key = PseudonymKey::new(&[7; 32]);
        for n in [0, 1, -1, 9, -9, 10, 32_767, -32_767, 40_000, 2_147_483_647, i64::MAX] {
            let made = signed(&key, n).unwrap();
            assert_eq!(made.signum() >= 0, n >= 0, "{n} {made}");
            assert_eq!(made.unsigned_abs().to_string().len(), n.unsigned_abs().to_string().len());
            for end in [i64::from(i16::MAX), i64::from(i32::MAX)] {
                assert_eq!(made.abs() <= end, n.abs() <= end, "{n} {made}");
            }
        }
        let tens: std::collections::BTreeSet<i64> =
            (10..100).map(|n| signed(&key, n).unwrap()).collect();
        assert_eq!(tens, (10..100).collect());
    }

    proptest! {
        #[test]
        fn numerics_read_as_written(text in "-?(0|[1-9][0-9]{0,11})(\\.[0-9]{1,9})?") {
            let mut binary = Vec::new();
            prop_assert!(write_numeric(text.as_bytes(), &mut binary));
            let expect = if text.bytes().any(|b| matches!(b, b'1'..=b'9')) { text.as_str() }
                else { text.trim_start_matches('-') };
            prop_assert_eq!(read_numeric(&binary).unwrap(), expect);
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = read_numeric(&bytes);
            let _ = write_numeric(&bytes, &mut Vec::new());
        }
    }
}
