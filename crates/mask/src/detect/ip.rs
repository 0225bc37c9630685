//! IP addresses: version 4 in four decimal parts, version 6 as RFC 4291 §2.2 writes it. Four parts
//! are how versions are written too: off unless asked for.

use super::text::{before, byte, left_clear, right_clear, run_within};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// The longest text form of version 6, with an address of version 4 in it.
const MAX_LENGTH: usize = 45;

/// The address of version 4 whose first digit stands at `start`.
pub(super) fn find_v4(text: &[u8], start: usize, floor: usize) -> Option<Range<usize>> {
    let joined = matches!(before(text, start, floor), Some(b'.' | b'-' | b'+'));
    let length = run_within(text, start, MAX_LENGTH, |b| b.is_ascii_digit() || b == b'.');
    let length = length - usize::from(byte(text, start + length - 1) == Some(b'.'));
    let address = text.get(start..start + length)?;
    let valid = length <= 15 && parse::<Ipv4Addr>(address);
    let clear = left_clear(text, start, floor) && !joined && right_clear(text, start + length);
    (valid && clear).then_some(start..start + length)
}

/// The start of the part of an address of version 6 that ends before the colon at `colon`.
pub(super) fn start_of_v6(text: &[u8], colon: usize, floor: usize) -> usize {
    let head = text.get(floor.max(colon.saturating_sub(4))..colon).unwrap_or_default();
    colon - head.iter().rev().take_while(|b| b.is_ascii_hexdigit()).count()
}

/// The address of version 6 around the two parts with a colon that start at `start`.
pub(super) fn find_v6(text: &[u8], start: usize, floor: usize) -> Option<Range<usize>> {
    let of_address = |b: u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
    let touches = before(text, start, floor).is_some_and(|b| of_address(b) || b == b'_');
    let length = run_within(text, start, MAX_LENGTH + 1, of_address);
    let length = length - usize::from(byte(text, start + length - 1) == Some(b'.'));
    let address = text.get(start..start + length)?;
    // `::` and `a::b` are operators and paths of programs.
    let sure = address.iter().any(u8::is_ascii_digit) && length >= 6;
    let valid = length <= MAX_LENGTH && sure && parse::<Ipv6Addr>(address);
    let clear = left_clear(text, start, floor) && !touches && right_clear(text, start + length);
    (valid && clear).then_some(start..start + length)
}

fn parse<T: std::str::FromStr>(address: &[u8]) -> bool {
    std::str::from_utf8(address).is_ok_and(|address| address.parse::<T>().is_ok())
}
