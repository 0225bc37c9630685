//! Dates and timestamps, in the ISO text form and in binary: moved by days, or given pseudonyms.
//!
//! In other styles (`DateStyle`) a text does not say which number is the day, so nothing is made of
//! it. An ISO text is told by its year, which stands first and has at least four digits.

use crate::pseudonym::PseudonymKey;
use portcullis_core::mask::Format;

/// Days from 1970 to 2000, where binary forms begin to count.
const EPOCH: i64 = 10_957;
const DAY: i64 = 86_400_000_000;
const SECOND: i64 = 1_000_000;
/// The dates that there are (`datatype/timestamp.h`): 4714-11-24 BC up to the end of 5874897, and
/// for timestamps up to the end of 294276; in days from 2000.
const FIRST_DAY: i64 = -2_451_545 + 1;
const LAST_DATE: i64 = 2_145_031_948 - 1;
const LAST_TIMESTAMP: i64 = 106_751_990;
/// Pseudonyms of dates are dates of 1900 to 2099.
const PEERS: (i64, i64) = (-36_524, 36_524);

/// What is done to a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change<'k> {
    /// Moved by days. Infinity stays.
    Days(i64),
    /// A pseudonym: another date between 1900 and 2099, another time of day.
    Key(&'k PseudonymKey),
}

/// The types of moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Date,
    Timestamp,
    TimestampTz,
}

impl Kind {
    pub(crate) const fn of(type_id: u32) -> Option<Self> {
        match type_id {
            1082 => Some(Self::Date),
            1114 => Some(Self::Timestamp),
            1184 => Some(Self::TimestampTz),
            _ => None,
        }
    }

    const fn last_day(self) -> i64 {
        match self {
            Self::Date => LAST_DATE,
            Self::Timestamp | Self::TimestampTz => LAST_TIMESTAMP,
        }
    }
}

/// Changes a moment; false, with nothing written, where none can be made.
pub(crate) fn change(
    kind: Kind,
    format: Format,
    value: &[u8],
    change: Change<'_>,
    out: &mut Vec<u8>,
) -> bool {
    let start = out.len();
    let made = match format {
        Format::Binary => change_binary(kind, value, change, out),
        Format::Text => {
            std::str::from_utf8(value).ok().and_then(|text| change_text(kind, text, change, out))
        }
    };
    if made.is_none() {
        out.truncate(start);
    }
    made.is_some()
}

fn change_binary(kind: Kind, value: &[u8], change: Change<'_>, out: &mut Vec<u8>) -> Option<()> {
    if kind == Kind::Date {
        let days = i32::from_be_bytes(value.try_into().ok()?);
        if matches!(days, i32::MIN | i32::MAX) {
            return infinite(value, change, out);
        }
        let days = change_day(kind, days.into(), change)?;
        out.extend_from_slice(&i32::try_from(days).ok()?.to_be_bytes());
        return Some(());
    }
    let micros = i64::from_be_bytes(value.try_into().ok()?);
    if matches!(micros, i64::MIN | i64::MAX) {
        return infinite(value, change, out);
    }
    let micros = change_micros(kind, micros, change)?;
    out.extend_from_slice(&micros.to_be_bytes());
    Some(())
}

/// Infinity says that there is no moment; it stays where others are only moved.
fn infinite(value: &[u8], change: Change<'_>, out: &mut Vec<u8>) -> Option<()> {
    matches!(change, Change::Days(_)).then(|| out.extend_from_slice(value))
}

fn change_day(kind: Kind, day: i64, change: Change<'_>) -> Option<i64> {
    let made = match change {
        Change::Days(days) => day.checked_add(days)?,
        Change::Key(key) => {
            let (first, last) = PEERS;
            if !(first..=last).contains(&day) {
                return None;
            }
            let size = u64::try_from(last - first + 1).ok()?;
            let place = key.permute(1900, u64::try_from(day - first).ok()?, size);
            first + i64::try_from(place).ok()?
        }
    };
    (FIRST_DAY..=kind.last_day()).contains(&made).then_some(made)
}

fn change_micros(kind: Kind, micros: i64, change: Change<'_>) -> Option<i64> {
    let (day, time) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    let day = change_day(kind, day, change)?;
    let time = match change {
        Change::Days(_) => time,
        Change::Key(key) => pseudonymous_time(key, time)?,
    };
    day.checked_mul(DAY)?.checked_add(time)
}

/// Another time of day; whole seconds stay whole.
pub(crate) fn pseudonymous_time(key: &PseudonymKey, micros: i64) -> Option<i64> {
    if !(0..DAY).contains(&micros) {
        return None;
    }
    let unit = if micros % SECOND == 0 { SECOND } else { 1 };
    let place = u64::try_from(micros / unit).ok()?;
    let size = u64::try_from(DAY / unit).ok()?;
    Some(i64::try_from(key.permute(24, place, size)).ok()? * unit)
}

/// True for the ISO form of a date, alone or in front of a time; and for infinity, which looks alike
/// in all styles.
pub(crate) fn is_iso(text: &[u8]) -> bool {
    if matches!(text, b"infinity" | b"-infinity") {
        return true;
    }
    let year = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let digits = |at: usize| text.get(at..at + 2).is_some_and(|d| d.iter().all(u8::is_ascii_digit));
    year >= 4
        && text.get(year) == Some(&b'-')
        && digits(year + 1)
        && text.get(year + 3) == Some(&b'-')
        && digits(year + 4)
        && !text.get(year + 6).is_some_and(u8::is_ascii_digit)
}

fn change_text(kind: Kind, text: &str, change: Change<'_>, out: &mut Vec<u8>) -> Option<()> {
    if matches!(text, "infinity" | "-infinity") {
        return infinite(text.as_bytes(), change, out);
    }
    let (day, rest, before_christ) = split_date(text)?;
    let day = if before_christ.is_some() { before_christ? } else { day };
    let time = match kind {
        Kind::Date if rest.is_empty() => 0,
        Kind::Date => return None,
        Kind::Timestamp | Kind::TimestampTz => read_time(rest)?,
    };
    if let Change::Days(_) = change {
        // The zone is that of the text, so that the same time of day means the same distance.
        let day = change_day(kind, day, change)?;
        write_date(day, rest, out);
        return Some(());
    }
    if kind == Kind::Date {
        write_date(change_day(kind, day, change)?, "", out);
        return Some(());
    }
    let micros = change_micros(kind, day.checked_mul(DAY)?.checked_add(time)?, change)?;
    let (day, time) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    let mut clock = String::from(" ");
    clock.push_str(&clock_text(time));
    if kind == Kind::TimestampTz {
        clock.push_str("+00");
    }
    write_date(day, &clock, out);
    Some(())
}

/// Micros of a day as the server writes a time.
pub(crate) fn clock_text(micros: i64) -> String {
    let seconds = micros / SECOND;
    let mut text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if micros % SECOND != 0 {
        let fraction = format!(".{:06}", micros % SECOND);
        text.push_str(fraction.trim_end_matches('0'));
    }
    text
}

/// The day of an ISO text, from 2000; what follows it without ` BC`; and the day where that was
/// there.
fn split_date(text: &str) -> Option<(i64, &str, Option<i64>)> {
    let (text, is_bc) = match text.strip_suffix(" BC") {
        Some(text) => (text, true),
        None => (text, false),
    };
    if !is_iso(text.as_bytes()) {
        return None;
    }
    let year_end = text.find('-')?;
    let number = |part: Option<&str>| part?.parse::<i64>().ok();
    let year = number(text.get(..year_end)).filter(|year| *year < 10_000_000)?;
    let month = number(text.get(year_end + 1..year_end + 3)).filter(|m| (1..=12).contains(m))?;
    let day = number(text.get(year_end + 4..year_end + 6)).filter(|d| (1..=31).contains(d))?;
    let rest = text.get(year_end + 6..)?;
    let days = day_number(year, month, day);
    Some((days, rest, is_bc.then(|| day_number(1 - year, month, day))))
}

/// Micros since midnight, in UTC where there is a zone.
fn read_time(rest: &str) -> Option<i64> {
    let rest = rest.strip_prefix(' ')?;
    let zone_at = rest.find(['+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at_checked(zone_at)?;
    let mut offset = 0;
    if let Some(sign) = zone.chars().next() {
        for (part, unit) in zone.get(1..)?.splitn(3, ':').zip([3600, 60, 1]) {
            offset += part.parse::<i64>().ok().filter(|n| (0..60).contains(n))? * unit;
        }
        offset = if sign == '-' { -offset } else { offset };
    }
    Some(read_clock(clock)? - offset * SECOND)
}

/// `hh:mm:ss` with up to six places of seconds, in micros.
pub(crate) fn read_clock(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut micros = 0;
    let mut parts = 0;
    for (part, most) in clock.split(':').zip([24, 59, 60]) {
        let n = part.parse::<i64>().ok().filter(|n| (0..=most).contains(n) && part.len() == 2)?;
        micros = micros * 60 + n;
        parts += 1;
    }
    if parts != 3 || clock.len() != 8 || fraction.len() > 6 {
        return None;
    }
    let fraction = format!("{fraction:0<6}").parse::<u32>().ok()?;
    Some(micros * SECOND + i64::from(fraction))
}

fn write_date(day: i64, rest: &str, out: &mut Vec<u8>) {
    let (year, month, date) = civil(day);
    let (year, suffix) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    out.extend_from_slice(format!("{year:04}-{month:02}-{date:02}{rest}{suffix}").as_bytes());
}

/// Days from 2000 of a date in the proleptic Gregorian calendar, the year before 1 being 0
/// (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
pub(crate) fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468 - EPOCH
}

/// Year, month and day of a number of days from 2000.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// A moment of a configuration in binary; `None` where it is not one, in ISO form.
pub(crate) fn binary_of(kind: Kind, text: &str) -> Option<Vec<u8>> {
    let (day, rest, before_christ) = split_date(text)?;
    let day = before_christ.unwrap_or(day);
    // Dates that are not in the calendar come out as others.
    let mut again = Vec::new();
    write_date(day, rest, &mut again);
    if again != text.as_bytes() || !(FIRST_DAY..=kind.last_day()).contains(&day) {
        return None;
    }
    if kind == Kind::Date {
        return rest.is_empty().then(|| i32::try_from(day).ok())?.map(|d| d.to_be_bytes().to_vec());
    }
    let zoned = rest.contains(['+', '-']);
    let time = match (kind, rest) {
        (_, "") if kind == Kind::Timestamp => 0,
        (Kind::Timestamp, rest) if !zoned => read_time(rest)?,
        (Kind::TimestampTz, rest) if zoned => read_time(rest)?,
        _ => return None,
    };
    Some((day.checked_mul(DAY)?.checked_add(time)?).to_be_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn changed(kind: Kind, text: &str, by: Change<'_>) -> Option<String> {
        let mut out = Vec::new();
        change(kind, Format::Text, text.as_bytes(), by, &mut out)
            .then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn texts_are_moved() {
        let check = |kind, text, days, expect: Option<&str>| {
            assert_eq!(changed(kind, text, Change::Days(days)).as_deref(), expect, "{text}");
        };
        use Kind::{Date, Timestamp, TimestampTz};
        check(Date, "2024-02-28", 2, Some("2024-03-01"));
        check(Date, "2023-02-28", 1, Some("2023-03-01"));
        check(Date, "0001-01-01", -1, Some("0001-12-31 BC"));
        check(Date, "0044-03-15 BC", 1, Some("0044-03-16 BC"));
        check(Date, "12024-02-28", 2, Some("12024-03-01"));
        check(Date, "infinity", 2, Some("infinity"));
        check(Date, "-infinity", 2, Some("-infinity"));
        check(Date, "5874897-12-31", 1, None);
        check(Date, "4714-11-24 BC", -1, None);
        check(Timestamp, "2024-12-31 23:59:59.5", 1, Some("2025-01-01 23:59:59.5"));
        check(TimestampTz, "2024-12-31 23:59:59+05:30", 1, Some("2025-01-01 23:59:59+05:30"));
        check(
            TimestampTz,
            "0044-03-15 12:00:00-07:52:58 BC",
            1,
            Some("0044-03-16 12:00:00-07:52:58 BC"),
        );
        // Other styles.
        for text in
            ["12/17/1997", "17.12.1997", "12-17-1997", "Wed Dec 17 07:37:16 1997", "", "2024"]
        {
            check(Date, text, 1, None);
            check(Timestamp, text, 1, None);
        }
    }

    #[test]
    fn both_formats_are_changed_alike() {
        let key = PseudonymKey::new(&[7; 32]);
        for by in [Change::Days(30), Change::Key(&key)] {
            let mut binary = Vec::new();
            let day = i32::try_from(day_number(2024, 2, 29)).unwrap();
            assert!(change(Kind::Date, Format::Binary, &day.to_be_bytes(), by, &mut binary));
            let text = changed(Kind::Date, "2024-02-29", by).unwrap();
            assert_eq!(binary_of(Kind::Date, &text).unwrap(), binary, "{text}");
            let zoned = "2024-02-29 12:30:00+02";
            let mut binary = Vec::new();
            let micros = i64::from(day) * DAY + (10 * 3600 + 1800) * SECOND;
            assert!(change(
                Kind::TimestampTz,
                Format::Binary,
                &micros.to_be_bytes(),
                by,
                &mut binary
            ));
            let text = changed(Kind::TimestampTz, zoned, by).unwrap();
            assert_eq!(binary_of(Kind::TimestampTz, &text).unwrap(), binary, "{text}");
        }
        let infinite = i64::MAX.to_be_bytes();
        let mut out = Vec::new();
        assert!(change(Kind::Timestamp, Format::Binary, &infinite, Change::Days(1), &mut out));
        assert_eq!(out, infinite);
        assert!(!change(Kind::Timestamp, Format::Binary, &infinite, Change::Key(&key), &mut out));
        assert!(!change(Kind::Date, Format::Binary, b"abc", Change::Days(1), &mut out));
    }

    #[test]
    fn moments_of_configurations() {
        assert_eq!(binary_of(Kind::Date, "2000-01-02"), Some(vec![0, 0, 0, 1]));
        assert_eq!(binary_of(Kind::Date, "2023-02-29"), None);
        assert_eq!(binary_of(Kind::Timestamp, "2000-01-01"), Some(vec![0; 8]));
        assert_eq!(binary_of(Kind::TimestampTz, "2000-01-01 01:00:00+01"), Some(vec![0; 8]));
        assert_eq!(binary_of(Kind::TimestampTz, "2000-01-01 00:00:00"), None);
        assert_eq!(binary_of(Kind::Date, "tomorrow"), None);
    }

    proptest! {
        #[test]
        fn days_come_back(day in FIRST_DAY..LAST_DATE) {
            let (year, month, date) = civil(day);
            prop_assert_eq!(day_number(year, month, date), day);
        }

        #[test]
        fn garbage_never_panics(text in "\\PC{0,30}", days in -4000_i64..4000) {
            for kind in [Kind::Date, Kind::Timestamp, Kind::TimestampTz] {
                let _ = changed(kind, &text, Change::Days(days));
            }
        }
    }
}
