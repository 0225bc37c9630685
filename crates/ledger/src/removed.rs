//! Runs of entries whose contents were removed: the line that stands in their place and keeps their hashes, and
//! the set of them that an entry announces. Beside the life of a request: long after it.
//!
//! The offline verifier reads the same lines with code of its own ([`mod@crate::verify`]).

use crate::chain::{Chain, Hash, push_hex, sha256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use portcullis_core::digest::Digest;
use serde::Deserialize;
use std::fmt::Write as _;

/// Hashes in one line, at most. A longer run takes several lines.
pub(crate) const MOST: usize = 4096;

/// A line that stands for entries whose contents were removed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The number of the first of them.
    pub(crate) first: u64,
    /// The hash of the entry before.
    pub(crate) prev: Hash,
    /// Their hashes, in order; at least one.
    pub(crate) hashes: Vec<Hash>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Frame<'a> {
    seq: u64,
    prev: Digest,
    removed: u64,
    hashes: &'a str,
}

impl Run {
    /// What a line says, without its line feed; `None` where it is no such line, or not whole by its hash.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let (text, hash) = line.split_at_checked(line.len().checked_sub(65)?)?;
        if !text.get(..200).unwrap_or(text).windows(10).any(|w| w == b"\"removed\":") {
            return None;
        }
        let mut written = vec![b'\t'];
        push_hex(&sha256(text), &mut written);
        if hash != written {
            return None;
        }
        let Frame { seq, prev, removed, hashes } = serde_json::from_slice(text).ok()?;
        let hashes = BASE64.decode(hashes).ok()?;
        let (hashes, []) = hashes.as_chunks::<{ size_of::<Hash>() }>() else { return None };
        let counted = hashes.len() as u64 == removed && (1..=MOST).contains(&hashes.len());
        (counted && seq.checked_add(removed).is_some()).then(|| Self {
            first: seq,
            prev: *prev.as_bytes(),
            hashes: hashes.to_vec(),
        })
    }

    /// The number behind the last of them.
    pub(crate) const fn end(&self) -> u64 {
        self.first + self.hashes.len() as u64
    }

    /// Appends its line.
    fn write(&self, out: &mut Vec<u8>) {
        let mut text = format!("{{\"seq\":{},\"prev\":\"", self.first).into_bytes();
        push_hex(&self.prev, &mut text);
        let count = format!("\",\"removed\":{},\"hashes\":\"", self.hashes.len());
        text.extend_from_slice(count.as_bytes());
        text.extend_from_slice(BASE64.encode(self.hashes.concat()).as_bytes());
        text.extend_from_slice(b"\"}");
        out.extend_from_slice(&text);
        out.push(b'\t');
        push_hex(&sha256(&text), out);
        out.push(b'\n');
    }
}

/// Writes runs as entries are met one after another.
#[derive(Debug)]
pub(crate) struct Runs {
    chain: Chain,
    /// Of those that were removed and are not written yet.
    open: Option<Run>,
    spans: Spans,
}

impl Runs {
    /// From this place of the journal on.
    pub(crate) fn from(chain: Chain) -> Self {
        Self { chain, open: None, spans: Spans::default() }
    }

    /// The next entry is removed: this is its hash.
    pub(crate) fn remove(&mut self, hash: Hash, out: &mut Vec<u8>) {
        let Chain { size, last } = self.chain;
        let open =
            self.open.get_or_insert_with(|| Run { first: size, prev: last, hashes: Vec::new() });
        open.hashes.push(hash);
        if open.hashes.len() == MOST {
            self.close(out);
        }
        self.spans.push(size);
        self.chain = Chain { size: size + 1, last: hash };
    }

    /// The next entry stays: its line, without the line feed.
    pub(crate) fn retain(&mut self, hash: Hash, line: &[u8], out: &mut Vec<u8>) {
        self.close(out);
        out.extend_from_slice(line);
        out.push(b'\n');
        self.chain = Chain { size: self.chain.size + 1, last: hash };
    }

    /// Writes what is not written yet.
    pub(crate) fn close(&mut self, out: &mut Vec<u8>) {
        if let Some(run) = self.open.take() {
            run.write(out);
        }
    }

    /// How far it has come.
    pub(crate) const fn chain(&self) -> Chain {
        self.chain
    }

    /// Which were removed.
    pub(crate) fn into_spans(self) -> Spans {
        self.spans
    }
}

/// Numbers of entries whose contents were removed, as ranges that do not touch, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Spans(Vec<(u64, u64)>);

impl Spans {
    /// Adds a number behind those that are in it.
    pub(crate) fn push(&mut self, sequence: u64) {
        match self.0.last_mut() {
            Some((_, last)) if *last + 1 == sequence => *last = sequence,
            _ => self.0.push((sequence, sequence)),
        }
    }

    pub(crate) fn first(&self) -> Option<u64> {
        self.0.first().map(|(first, _)| *first)
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// What an entry announces it by: SHA-256 over a line `first-last` for each range.
    pub(crate) fn digest(&self) -> Digest {
        let mut text = String::new();
        for (first, last) in &self.0 {
            let _ = writeln!(text, "{first}-{last}");
        }
        Digest::from_bytes(sha256(text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chain() -> Chain {
        Chain { size: 7, last: sha256(b"6") }
    }

    #[test]
    fn a_run_is_read_as_it_was_written() {
        let mut out = Vec::new();
        let mut runs = Runs::from(chain());
        for n in 0..MOST + 3 {
            runs.remove(sha256(&n.to_le_bytes()), &mut out);
        }
        runs.retain(sha256(b"kept"), b"a line", &mut out);
        runs.remove(sha256(b"again"), &mut out);
        runs.close(&mut out);
        let lines: Vec<_> = out.split(|b| *b == b'\n').collect();
        let first = Run::parse(lines[0]).unwrap();
        assert_eq!((first.first, first.prev, first.hashes.len()), (7, sha256(b"6"), MOST));
        let second = Run::parse(lines[1]).unwrap();
        assert_eq!((second.first, second.prev), (first.end(), *first.hashes.last().unwrap()));
        assert_eq!(second.hashes.len(), 3);
        assert_eq!(lines[2], b"a line");
        let third = Run::parse(lines[3]).unwrap();
        assert_eq!((third.first, third.prev), (second.end() + 1, sha256(b"kept")));
        let spans = runs.into_spans();
        let behind = 7 + MOST as u64 + 3;
        assert_eq!(spans, Spans(vec![(7, behind - 1), (behind + 1, behind + 1)]));
        let text = format!("7-{}\n{}-{}\n", behind - 1, behind + 1, behind + 1);
        assert_eq!(spans.digest(), Digest::from_bytes(sha256(text.as_bytes())));
        assert_eq!(spans.count(), MOST as u64 + 4);
    }

    proptest! {
        #[test]
        fn a_run_with_any_byte_changed_is_none(at in 0usize..300, flip in 1u8..=255) {
            let (mut out, mut runs) = (Vec::new(), Runs::from(chain()));
            runs.remove(sha256(b"x"), &mut out);
            runs.remove(sha256(b"y"), &mut out);
            runs.close(&mut out);
            out.pop();
            prop_assert!(Run::parse(&out).is_some());
            let at = at % out.len();
            out[at] ^= flip;
            prop_assert_eq!(Run::parse(&out), None);
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Run::parse(&bytes);
        }
    }
}
