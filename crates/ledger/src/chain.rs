//! Lines of the journal: how an entry is sealed into the hash chain, and read back by the gateway.
//!
//! On the life of a request: the step that turns an entry into bytes just before they are written.
//! The offline verifier reads the same lines with code of its own ([`mod@crate::verify`]).

use crate::mac::{self, Macs};
use aws_lc_rs::digest;

/// The longest entry, in bytes of JSON. A longer one is refused, so its request is.
pub(crate) const MAX_ENTRY: usize = 16 * 1024 * 1024;
/// The longest line: an entry and what is put around it.
pub(crate) const MAX_LINE: usize = MAX_ENTRY + 512;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A SHA-256 hash (FIPS 180-4).
pub(crate) type Hash = [u8; 32];

pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    finished(&digest::digest(&digest::SHA256, bytes))
}

pub(crate) fn finished(digest: &digest::Digest) -> Hash {
    let mut hash = [0; 32];
    // SHA-256 always has 32 bytes; a shorter copy would show as a hash that never matches.
    for (to, from) in hash.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    hash
}

/// The end of the chain so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chain {
    /// How many entries there are: the number the next one gets.
    pub(crate) size: u64,
    /// The hash of the last one; zeros before the first.
    pub(crate) last: Hash,
}

impl Chain {
    pub(crate) const EMPTY: Self = Self { size: 0, last: [0; 32] };

    /// Appends the line of one entry to `out`, and gives the entry's number.
    pub(crate) fn seal(&mut self, macs: &Macs, entry: &[u8], out: &mut Vec<u8>) -> u64 {
        let sequence = self.size;
        let start = out.len();
        out.extend_from_slice(b"{\"seq\":");
        push_decimal(sequence, out);
        out.extend_from_slice(b",\"prev\":\"");
        push_hex(&self.last, out);
        out.extend_from_slice(b"\",\"entry\":");
        out.extend_from_slice(entry);
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(out.get(start..).unwrap_or_default());
        let covered = out.len();
        macs.close_entry(&finished(&hash.clone().finish()), out);
        hash.update(out.get(covered..).unwrap_or_default());
        self.last = finished(&hash.finish());
        out.push(b'\t');
        push_hex(&self.last, out);
        out.push(b'\n');
        self.size += 1;
        sequence
    }

    /// Checks that a line is the next one, and moves on. Whose it is, its hash does not prove.
    pub(crate) fn follow<'a>(&mut self, line: &'a [u8]) -> Result<Line<'a>, &'static str> {
        let line = Line::parse(line).ok_or("this is not a journal line")?;
        if sha256(line.text) != line.hash {
            return Err("the entry does not have the hash written after it");
        }
        if line.sequence != self.size {
            return Err("the entry is out of sequence");
        }
        if line.prev != self.last {
            return Err("the entry is not chained to the one before it");
        }
        self.size += 1;
        self.last = line.hash;
        Ok(line)
    }
}

/// A journal line taken apart, without its line feed. Nothing is checked but its shape.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) sequence: u64,
    pub(crate) prev: Hash,
    pub(crate) entry: &'a [u8],
    pub(crate) text: &'a [u8],
    pub(crate) hash: Hash,
}

impl<'a> Line<'a> {
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let (text, hash) = line.split_at_checked(line.len().checked_sub(65)?)?;
        let hash = hex_hash(hash.strip_prefix(b"\t")?)?;
        let rest = text.strip_prefix(b"{\"seq\":")?;
        let comma = rest.iter().take(21).position(|b| *b == b',')?;
        let (digits, rest) = rest.split_at_checked(comma)?;
        let sequence = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let rest = rest.strip_prefix(b",\"prev\":\"")?;
        let (prev, rest) = rest.split_at_checked(64)?;
        let prev = hex_hash(prev)?;
        // A line of the first gateways has no code.
        let rest = rest.strip_prefix(b"\",\"entry\":")?;
        let entry = match mac::split(rest) {
            Some((entry, _)) => entry,
            None => rest.strip_suffix(b"}")?,
        };
        Some(Self { sequence, prev, entry, text, hash })
    }
}

fn push_decimal(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut used = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (value % 10) as u8;
        value /= 10;
        used += 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(20 - used..).unwrap_or_default());
}

pub(crate) fn push_hex(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            out.push(HEX.get(usize::from(nibble)).copied().unwrap_or(b'0'));
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    push_hex(bytes, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

fn hex_hash(text: &[u8]) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (slot, pair) in hash.iter_mut().zip(text.chunks_exact(2)) {
        let &[high, low] = pair else { return None };
        *slot = nibble(high)? << 4 | nibble(low)?;
    }
    Some(hash)
}

const fn nibble(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_sealed_line_follows_the_chain_it_was_sealed_into() {
        let macs = Macs::derive(&[7; 32]);
        let (mut writer, mut reader) = (Chain::EMPTY, Chain::EMPTY);
        for entry in ["{}", "{\"a\":1}", "{\"b\":\"\\t\"}"] {
            let mut out = Vec::new();
            writer.seal(&macs, entry.as_bytes(), &mut out);
            assert_eq!(out.pop(), Some(b'\n'));
            let line = reader.follow(&out).unwrap();
            assert_eq!(line.entry, entry.as_bytes());
            assert!(macs.knows_entry(line.text));
            assert_eq!(reader, writer);
            assert!(reader.clone().follow(&out).is_err(), "a line follows once");
        }
    }

    #[test]
    fn a_sequence_number_is_written_as_plain_decimal() {
        for (value, text) in [(0, "0"), (7, "7"), (10, "10"), (u64::MAX, "18446744073709551615")] {
            let mut out = Vec::new();
            push_decimal(value, &mut out);
            assert_eq!(out, text.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn a_line_with_any_byte_changed_does_not_follow(at in 0usize..270, flip in 1u8..=255) {
            let mut chain = Chain::EMPTY;
            let mut out = Vec::new();
            chain.seal(&Macs::derive(&[7; 32]), b"{\"at\":1,\"event\":\"x\"}", &mut out);
            out.pop();
            let at = at % out.len();
            out[at] ^= flip;
            prop_assert!(Chain::EMPTY.clone().follow(&out).is_err());
        }

        #[test]
        fn no_bytes_make_the_line_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Line::parse(&bytes);
        }
    }
}
