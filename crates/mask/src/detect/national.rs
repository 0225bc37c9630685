//! National identifiers that carry a check of their own. Where structure and check leave little to
//! chance they count wherever they stand; a plain number counts where a word before it, or the
//! name of its column, says what it is.
//!
//! Not seen: other separators than those printed, plain numbers without a word, Italian codes with
//! letters for digits.

use super::kind::{Hit, Kind};
use super::text::{
    before, byte, is_fraction, left_clear, luhn, right_clear, run, shaped, word_before,
};
use std::ops::Range;

/// How far before a plain number the word may start.
const REACH: usize = 40;

/// Words that say "identity number" without saying of which country.
const ANY: &[&[u8]] = &[
    b"national id",
    b"national_id",
    b"nationalid",
    b"national identity",
    b"identity number",
    b"identity_number",
    b"id number",
    b"id_number",
    b"personal number",
    b"tax id",
    b"tax_id",
    b"citizen id",
    b"citizen_id",
];

/// Words that say which identifier a plain number is, in lower case.
const fn words(kind: Kind) -> &'static [&'static [u8]] {
    match kind {
        Kind::EsDni => &[b"dni", b"nie", b"nif", b"documento"],
        Kind::FrNir => {
            &[b"nir", b"insee", b"nss", b"secu", b"s\xc3\xa9curit\xc3\xa9 sociale", b"securite"]
        }
        Kind::NlBsn => &[b"bsn", b"burgerservicenummer", b"sofinummer"],
        Kind::BeNrn => &[
            b"rijksregister",
            b"rijksregisternummer",
            b"registre national",
            b"niss",
            b"insz",
            b"nrn",
            b"rrn",
        ],
        Kind::PlPesel => &[b"pesel"],
        Kind::SePnr => &[b"personnummer", b"personnr", b"pnr", b"samordningsnummer"],
        Kind::FiHetu => {
            &[b"hetu", b"henkil\xc3\xb6tunnus", b"henkilotunnus", b"sotu", b"personbeteckning"]
        }
        Kind::BrCpf => &[b"cpf"],
        Kind::InAadhaar => &[b"aadhaar", b"aadhar", b"uidai"],
        Kind::ZaId => &[b"sa id", b"sa_id", b"rsa id", b"rsa_id", b"south african id"],
        Kind::TrTckn => &[b"tckn", b"kimlik", b"tc no", b"tc_no", b"t.c."],
        _ => &[],
    }
}

/// What the column of a text is known to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing.
    Nothing,
    /// This kind.
    Kind(Kind),
    /// A national identifier, of whichever country.
    National,
}

impl Told {
    fn says(self, kind: Kind) -> bool {
        self == Self::National || self == Self::Kind(kind)
    }
}

/// What is asked of the finders: which kinds count, and what is known of the column.
#[derive(Clone, Copy)]
pub(super) struct Ask {
    pub(super) kinds: u64,
    pub(super) told: Told,
}

/// A finder's answer: where it ends, and whether it may stand alone.
type Found = Option<(usize, bool)>;
type Finder = fn(&[u8], usize) -> Found;

/// Each with the digits that its first group may have.
const BY_DIGITS: &[(Kind, Finder, &[usize])] = &[
    (Kind::CnRic, cn_ric, &[17, 18]),
    (Kind::FrNir, fr_nir, &[1, 6, 15]),
    (Kind::BrCpf, br_cpf, &[3, 11]),
    (Kind::BeNrn, be_nrn, &[2, 11]),
    (Kind::FiHetu, fi_hetu, &[6]),
    (Kind::SePnr, se_pnr, &[6, 8, 10, 12]),
    (Kind::ZaId, za_id, &[6, 13]),
    (Kind::EsDni, es_dni, &[2, 8]),
    (Kind::TrTckn, tr_tckn, &[11]),
    (Kind::PlPesel, pl_pesel, &[11]),
    (Kind::NlBsn, nl_bsn, &[3, 4, 9]),
    (Kind::InAadhaar, in_aadhaar, &[4, 12]),
];

/// The identifier that starts at `start` with a run of `group` digits.
pub(super) fn find(text: &[u8], start: usize, group: usize, floor: usize, ask: Ask) -> Option<Hit> {
    if !stands_free(text, start, floor) {
        return None;
    }
    let of = |(kind, finder, groups): &(Kind, Finder, &[usize])| {
        if ask.kinds & kind.bit() == 0 || !groups.contains(&group) {
            return None;
        }
        let (end, alone) = finder(text, start)?;
        let certain = || {
            alone
                || ask.told.says(*kind)
                || word_before(text, start, floor, REACH, words(*kind))
                || word_before(text, start, floor, REACH, ANY)
        };
        (ends_free(text, end) && certain()).then_some(Hit { kind: *kind, range: start..end })
    };
    BY_DIGITS.iter().find_map(of)
}

/// The Spanish NIE whose seven digits start at `digits`.
pub(super) fn find_nie(text: &[u8], digits: usize, floor: usize) -> Option<Range<usize>> {
    let dash = usize::from(before(text, digits, floor) == Some(b'-'));
    let start = digits.checked_sub(1 + dash).filter(|start| *start >= floor)?;
    let range = es_nie(text, start)?;
    (stands_free(text, start, floor) && ends_free(text, range.end)).then_some(range)
}

/// The Italian codice fiscale whose year stands at `year`.
pub(super) fn find_cf(text: &[u8], year: usize, floor: usize) -> Option<Range<usize>> {
    let start = year.checked_sub(6).filter(|start| *start >= floor)?;
    let range = it_cf(text, start)?;
    (stands_free(text, start, floor) && ends_free(text, range.end)).then_some(range)
}

/// Not part of a word, of a fraction, or of a longer number with dashes.
fn stands_free(text: &[u8], start: usize, floor: usize) -> bool {
    let joined = before(text, start, floor) == Some(b'-')
        && before(text, start.saturating_sub(1), floor).is_some_and(|b| b.is_ascii_digit());
    left_clear(text, start, floor) && !joined && !is_fraction(text, start, floor)
}

fn ends_free(text: &[u8], end: usize) -> bool {
    let joined = byte(text, end) == Some(b'-')
        && byte(text, end + 1).is_some_and(|b| b.is_ascii_alphanumeric());
    right_clear(text, end) && !joined
}

fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |n, d| n * 10 + u64::from(*d))
}

fn part(digits: &[u8], range: Range<usize>) -> u32 {
    digits.get(range).unwrap_or_default().iter().fold(0, |n, d| n * 10 + u32::from(*d))
}

fn digits_at(text: &[u8], at: usize) -> usize {
    run(text, at, |b| b.is_ascii_digit())
}

fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(d, w)| u32::from(*d) * w).sum()
}

fn is_varied(digits: &[u8]) -> bool {
    digits.iter().any(|d| digits.first() != Some(d))
}

const fn is_day(month: u32, day: u32) -> bool {
    let last = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    day >= 1 && day <= last
}

/// The first of several shapes that fits, and whether it is that of the plain number.
fn one_of<const N: usize>(
    text: &[u8],
    start: usize,
    shapes: &[&[u8]],
) -> Option<([u8; N], usize, bool)> {
    shapes.iter().find_map(|shape| {
        let (digits, end) = shaped(text, start, shape)?;
        Some((digits, end, shape.len() == N))
    })
}

/// DNI (Real Decreto 1553/2005): eight digits, and a letter that is their remainder by 23.
fn es_dni(text: &[u8], start: usize) -> Found {
    let shapes: [&[u8]; 4] = [b"dddddddd", b"dd.ddd.ddd", b"dddddddd-", b"dd.ddd.ddd-"];
    let (digits, end, plain) = shapes.iter().find_map(|shape| {
        let (digits, end) = shaped::<8>(text, start, shape)?;
        let letter = byte(text, end)?;
        is_dni_letter(number(&digits), letter).then_some((digits, end + 1, shape.len() == 8))
    })?;
    is_varied(&digits).then_some((end, !plain))
}

fn is_dni_letter(number: u64, letter: u8) -> bool {
    const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    usize::try_from(number % 23).ok().and_then(|i| LETTERS.get(i)) == Some(&letter)
}

/// NIE: X, Y or Z stands for a first digit 0, 1 or 2.
fn es_nie(text: &[u8], start: usize) -> Option<Range<usize>> {
    let first = match byte(text, start)? {
        b'X' => 0,
        b'Y' => 1,
        b'Z' => 2,
        _ => return None,
    };
    let dash = |at: usize| at + usize::from(byte(text, at) == Some(b'-'));
    let (digits, end) = shaped::<7>(text, dash(start + 1), b"ddddddd")?;
    let end = dash(end);
    let fits = is_dni_letter(first * 10_000_000 + number(&digits), byte(text, end)?);
    (fits && is_varied(&digits)).then_some(start..end + 1)
}

/// NIR (INSEE, décret 82-103): sex, year, month, department, commune, order, key of modulo 97.
/// Departments of Corsica are 2A and 2B and count as 19 and 18.
fn fr_nir(text: &[u8], start: usize) -> Found {
    if !matches!(byte(text, start), Some(b'1' | b'2')) {
        return None;
    }
    let spaced = byte(text, start + 1) == Some(b' ');
    let shape: &[u8] = if spaced { b"d dd dd ** ddd ddd dd" } else { b"ddddd**dddddddd" };
    let (mut digits, end) = shaped::<15>(text, start, shape)?;
    let department = [*digits.get(5)?, *digits.get(6)?];
    let place = match &department {
        b"2A" => [1, 9],
        b"2B" => [1, 8],
        [a, b] if a.is_ascii_digit() && b.is_ascii_digit() => [a - b'0', b - b'0'],
        _ => return None,
    };
    digits.get_mut(5..7)?.copy_from_slice(&place);
    let month = part(&digits, 3..5);
    let is_month = matches!(month, 1..=12 | 20 | 30..=42 | 50..=99);
    let key = 97 - number(digits.get(..13)?) % 97;
    let fits = is_month && place != [0, 0] && key == u64::from(part(&digits, 13..15));
    fits.then_some((
        end,
        spaced || department.first() == Some(&b'2') && !department.get(1)?.is_ascii_digit(),
    ))
}

/// Codice fiscale (D.M. 23 dicembre 1976): consonants of the names, date with a letter for the
/// month, place, and a letter of check.
fn it_cf(text: &[u8], start: usize) -> Option<Range<usize>> {
    let code: [u8; 16] = text.get(start..start + 16)?.try_into().ok()?;
    let upper = code.map(|b| b.to_ascii_uppercase());
    // All in one case, as codes are written.
    let mixed = code.iter().any(u8::is_ascii_lowercase) && code.iter().any(u8::is_ascii_uppercase);
    let digit = |i: usize| upper.get(i).filter(|b| b.is_ascii_digit()).map(|b| u32::from(b - b'0'));
    let day = digit(9)? * 10 + digit(10)?;
    let month = b"ABCDEHLMPRST".iter().position(|c| Some(c) == upper.get(8))?;
    let digits = [6, 7, 12, 13, 14].into_iter().all(|i| digit(i).is_some());
    let letters = |range: Range<usize>| {
        upper.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_uppercase))
    };
    let is_date = is_day(u32::try_from(month).ok()? + 1, if day > 40 { day - 40 } else { day });
    let shape = digits && letters(0..6) && letters(11..12) && letters(15..16);
    (shape && !mixed && is_date && cf_letter(&upper) == upper.get(15).copied())
        .then_some(start..start + 16)
}

fn cf_letter(code: &[u8; 16]) -> Option<u8> {
    const ODD: [u8; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let mut sum = 0u32;
    for (i, b) in code.iter().take(15).enumerate() {
        let value = if b.is_ascii_digit() { b - b'0' } else { b - b'A' };
        sum += u32::from(if i % 2 == 0 { *ODD.get(usize::from(value))? } else { value });
    }
    u8::try_from(sum % 26).ok().map(|n| b'A' + n)
}

/// BSN: nine digits whose weighted sum (9 to 2, then -1) is a multiple of eleven.
fn nl_bsn(text: &[u8], start: usize) -> Found {
    let (digits, end, _) =
        one_of::<9>(text, start, &[b"ddddddddd", b"dddd.dd.ddd", b"ddd ddd ddd"])?;
    let sum = weighted(&digits, &[9, 8, 7, 6, 5, 4, 3, 2, 10]);
    (sum.is_multiple_of(11) && is_varied(&digits)).then_some((end, false))
}

/// National register number (arrêté royal du 3 avril 1984): date, order, and 97 less the remainder
/// by 97, with a 2 before it for those born from 2000 on. A bis number adds 20 or 40 to the month.
fn be_nrn(text: &[u8], start: usize) -> Found {
    let shapes: [&[u8]; 3] = [b"ddddddddddd", b"dd.dd.dd-ddd.dd", b"dd.dd.dd-ddd-dd"];
    let (digits, end, plain) = one_of::<11>(text, start, &shapes)?;
    let (month, day, body) = (part(&digits, 2..4), part(&digits, 4..6), number(digits.get(..9)?));
    let key = u64::from(part(&digits, 9..11));
    let is_date = is_day(month % 20, day) && month < 60;
    let fits = is_date && (97 - body % 97 == key || 97 - (2_000_000_000 + body) % 97 == key);
    fits.then_some((end, !plain))
}

/// PESEL: date, the century in the month (80, 0, 20, 40, 60), and a check digit.
fn pl_pesel(text: &[u8], start: usize) -> Found {
    let (digits, end) = shaped::<11>(text, start, b"ddddddddddd")?;
    let sum = weighted(&digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
    let fits = is_day(part(&digits, 2..4) % 20, part(&digits, 4..6)) && sum.is_multiple_of(10);
    fits.then_some((end, false))
}

/// Personnummer and samordningsnummer (day + 60): date, birth number, Luhn. With a full year that
/// is no longer that of orders and builds, and a dash, it may stand alone.
fn se_pnr(text: &[u8], start: usize) -> Found {
    let century = matches!(digits_at(text, start), 8 | 12);
    let at = start + if century { 2 } else { 0 };
    let shapes: [&[u8]; 3] = [b"dddddddddd", b"dddddd-dddd", b"dddddd+dddd"];
    let (digits, end, plain) = one_of::<10>(text, at, &shapes)?;
    let day = part(&digits, 4..6);
    let is_date = is_day(part(&digits, 2..4), if day > 60 { day - 60 } else { day });
    let year = text.get(start..start + 4)?;
    let (known, past) = if century {
        let known = matches!(year.get(..2)?, b"18" | b"19" | b"20");
        (known, year < b"2010".as_slice())
    } else {
        (true, false)
    };
    (known && is_date && luhn(digits.iter().copied())).then_some((end, past && !plain))
}

/// Henkilötunnus: ddmmyy, a sign for the century, three digits, a check character of 31.
fn fi_hetu(text: &[u8], start: usize) -> Found {
    const CHECKS: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let (read, end) = shaped::<10>(text, start, b"dddddd?ddd*")?;
    let (check, digits) = read.split_last()?;
    let sign = byte(text, start + 6)?;
    let is_sign = matches!(sign, b'+' | b'-' | b'A'..=b'F' | b'U'..=b'Y');
    let expected = usize::try_from(number(digits) % 31).ok().and_then(|i| CHECKS.get(i));
    let is_date = is_day(part(digits, 2..4), part(digits, 0..2));
    let fits = is_sign && is_date && expected == Some(check) && part(digits, 6..9) >= 2;
    // Digits and a dash alone are how orders are numbered too.
    fits.then_some((end, sign.is_ascii_alphabetic() || check.is_ascii_alphabetic()))
}

/// CPF: nine digits and two check digits.
fn br_cpf(text: &[u8], start: usize) -> Found {
    let (digits, end, plain) = one_of::<11>(text, start, &[b"ddddddddddd", b"ddd.ddd.ddd-dd"])?;
    let check = |count: usize| {
        let weights = (2..=11u32).rev().skip(10 - count);
        let sum: u32 = digits.iter().take(count).zip(weights).map(|(d, w)| u32::from(*d) * w).sum();
        digits.get(count).copied().map(u32::from) == Some(sum * 10 % 11 % 10)
    };
    (is_varied(&digits) && check(9) && check(10)).then_some((end, !plain))
}

/// Aadhaar: twelve digits, the first from 2 on, the last by Verhoeff's scheme.
fn in_aadhaar(text: &[u8], start: usize) -> Found {
    let shapes: [&[u8]; 3] = [b"dddddddddddd", b"dddd dddd dddd", b"dddd-dddd-dddd"];
    let (digits, end, _) = one_of::<12>(text, start, &shapes)?;
    let first = digits.first().is_some_and(|d| *d >= 2);
    (first && is_varied(&digits) && verhoeff(&digits)).then_some((end, false))
}

/// Verhoeff's check: products in the dihedral group of ten, each digit permuted by its place.
fn verhoeff(digits: &[u8]) -> bool {
    const fn product(a: u8, b: u8) -> u8 {
        match (a < 5, b < 5) {
            (true, true) => (a + b) % 5,
            (true, false) => (a + b) % 5 + 5,
            (false, true) => (a + 10 - b - 5) % 5 + 5,
            (false, false) => (a + 5 - b) % 5,
        }
    }
    const STEP: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let check = digits.iter().rev().enumerate().fold(0, |check, (place, digit)| {
        let permuted = (0..place % 8)
            .fold(*digit, |d, _| STEP.get(usize::from(d)).copied().unwrap_or_default());
        product(check, permuted)
    });
    check == 0
}

/// Resident identity number (GB 11643-1999): region, date of birth, order, ISO 7064 MOD 11-2.
fn cn_ric(text: &[u8], start: usize) -> Found {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECKS: &[u8; 11] = b"10X98765432";
    let (digits, end) = shaped::<18>(text, start, b"ddddddddddddddddd*")?;
    let region = matches!(part(&digits, 0..2),
        11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83);
    let born = (1850..2100).contains(&part(&digits, 6..10))
        && is_day(part(&digits, 10..12), part(&digits, 12..14));
    let sum = usize::try_from(weighted(&digits, &WEIGHTS) % 11).ok()?;
    let check = digits.get(17).map(u8::to_ascii_uppercase);
    (region && born && CHECKS.get(sum).copied() == check).then_some((end, true))
}

/// Identity number: date, order, citizenship, 8 or 9, Luhn.
fn za_id(text: &[u8], start: usize) -> Found {
    let (digits, end, plain) = one_of::<13>(text, start, &[b"ddddddddddddd", b"dddddd dddd ddd"])?;
    let fits = is_day(part(&digits, 2..4), part(&digits, 4..6))
        && digits.get(10).is_some_and(|d| *d <= 2)
        && luhn(digits.iter().copied());
    let usual = digits.get(11).is_some_and(|d| *d >= 8);
    fits.then_some((end, !plain && usual))
}

/// Kimlik number: nine digits, the first not 0, and two check digits.
fn tr_tckn(text: &[u8], start: usize) -> Found {
    let (digits, end) = shaped::<11>(text, start, b"ddddddddddd")?;
    let sum = |skip: usize| -> u32 {
        digits.iter().take(9).skip(skip).step_by(2).map(|d| u32::from(*d)).sum()
    };
    let tenth = (sum(0) * 7 + 90 - sum(1)) % 10;
    let eleventh = (sum(0) + sum(1) + tenth) % 10;
    let at = |i: usize| digits.get(i).copied().map(u32::from);
    let fits = at(0) != Some(0) && at(9) == Some(tenth) && at(10) == Some(eleventh);
    fits.then_some((end, false))
}
