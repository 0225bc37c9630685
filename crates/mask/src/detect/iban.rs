//! International bank account numbers (ISO 13616-1): country, length of that country, check digits
//! by ISO 7064 MOD 97-10. Together, or in groups of four with one space or dash between.

use super::text::{byte, is_word, left_clear};
use std::ops::Range;

/// The length per country, from the SWIFT IBAN registry and the countries that use the format
/// ahead of registration.
fn length_of(country: [u8; 2]) -> Option<usize> {
    Some(match &country {
        b"NO" => 15,
        b"BE" => 16,
        b"DK" | b"FI" | b"FK" | b"FO" | b"GL" | b"NL" | b"SD" => 18,
        b"MK" | b"SI" => 19,
        b"AT" | b"BA" | b"EE" | b"KZ" | b"LT" | b"LU" | b"MN" | b"XK" => 20,
        b"CH" | b"HR" | b"LI" | b"LV" => 21,
        b"BG" | b"BH" | b"CR" | b"DE" | b"GB" | b"GE" | b"IE" | b"ME" | b"RS" | b"VA" => 22,
        b"AE" | b"GI" | b"IL" | b"IQ" | b"OM" | b"SO" | b"TL" => 23,
        b"AD" | b"CZ" | b"ES" | b"MD" | b"PK" | b"RO" | b"SA" | b"SE" | b"SK" | b"TN" | b"VG" => 24,
        b"LY" | b"PT" | b"ST" => 25,
        b"IS" | b"TR" => 26,
        b"BI" | b"DJ" | b"FR" | b"GR" | b"IT" | b"MC" | b"MR" | b"SM" => 27,
        b"AL" | b"AZ" | b"BY" | b"CY" | b"DO" | b"GT" | b"HN" | b"HU" | b"LB" | b"NI" | b"PL"
        | b"SV" => 28,
        b"BR" | b"EG" | b"PS" | b"QA" | b"UA" => 29,
        b"JO" | b"KW" | b"MU" | b"YE" => 30,
        b"MT" | b"SC" => 31,
        b"LC" => 32,
        b"RU" => 33,
        _ => return None,
    })
}

/// The account number whose country code stands at `start`.
pub(super) fn find(text: &[u8], start: usize, floor: usize) -> Option<Range<usize>> {
    let country = [byte(text, start)?, byte(text, start + 1)?];
    let length = length_of(country.map(|b| b.to_ascii_uppercase()))?;
    if !left_clear(text, start, floor) {
        return None;
    }
    let (mut at, mut taken, mut rest) = (start, 0usize, [0u32; 2]);
    while taken < length {
        let mut b = byte(text, at)?;
        if taken % 4 == 0 && taken > 0 && matches!(b, b' ' | b'-') {
            at += 1;
            b = byte(text, at)?;
        }
        if !b.is_ascii_alphanumeric() {
            return None;
        }
        // The first four characters count after all others: two remainders, joined at the end.
        let side = usize::from(taken < 4);
        if let Some(rest) = rest.get_mut(side) {
            *rest = append(*rest, b);
        }
        at += 1;
        taken += 1;
    }
    if byte(text, at).is_some_and(is_word) {
        return None;
    }
    let [body, head] = rest;
    // The head is two letters (two digits each) and two digits: six digits.
    ((body * (1_000_000 % 97) + head) % 97 == 1).then_some(start..at)
}

fn append(rest: u32, b: u8) -> u32 {
    if b.is_ascii_digit() {
        (rest * 10 + u32::from(b - b'0')) % 97
    } else {
        (rest * 100 + u32::from(b.to_ascii_uppercase() - b'A') + 10) % 97
    }
}
