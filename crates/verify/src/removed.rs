//! Lines that stand for entries whose contents were removed by the rules of retention (`FORMAT.md`, Removed
//! contents), and the set of those that an entry announces.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// Hashes in one line, at most.
const MOST: u64 = 4096;

/// Such a line, whole by its own hash.
pub(crate) struct Run {
    pub(crate) first: u64,
    pub(crate) prev: String,
    pub(crate) hashes: Vec<[u8; 32]>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Frame<'a> {
    seq: u64,
    prev: &'a str,
    removed: u64,
    hashes: &'a str,
}

/// What a line says; `None` where it is no such line. Where it is one by its shape and not whole, what is wrong.
pub(crate) fn run(line: &[u8]) -> Option<Result<Run, String>> {
    let line = std::str::from_utf8(line).ok()?;
    let (text, written) = line.rsplit_once('\t')?;
    // Entries have no such member, and are not read twice.
    let Frame { seq, prev, removed, hashes } = serde_json::from_str(text).ok()?;
    let hash: String = Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect();
    if hash != written {
        return Some(Err("the line does not have the hash written at its end".to_owned()));
    }
    let blob = STANDARD.decode(hashes).unwrap_or_default();
    let (hashes, rest) = blob.as_chunks::<32>();
    if hashes.len() as u64 != removed || !rest.is_empty() || !(1..=MOST).contains(&removed) {
        return Some(Err("it does not hold as many hashes as it says".to_owned()));
    }
    Some(Ok(Run { first: seq, prev: prev.to_owned(), hashes: hashes.to_vec() }))
}

/// Whether a line may be one: what [`run`] is worth asking.
pub(crate) fn may_be(line: &[u8]) -> bool {
    // `{"seq":`, up to 20 digits, `,"prev":"`, 64 digits, `","removed":`.
    line.get(..120).unwrap_or(line).windows(11).any(|w| w == b",\"removed\":")
}

/// Numbers of entries, as ranges that do not touch, in order.
#[derive(Default)]
pub(crate) struct Spans(Vec<(u64, u64)>);

impl Spans {
    /// Adds a number behind those that are in it.
    pub(crate) fn push(&mut self, sequence: u64) {
        match self.0.last_mut() {
            Some((_, last)) if *last + 1 == sequence => *last = sequence,
            _ => self.0.push((sequence, sequence)),
        }
    }

    pub(crate) fn first(&self) -> u64 {
        self.0.first().map_or(0, |(first, _)| *first)
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// In hex, what announces them: SHA-256 over a line `first-last` for each range.
    pub(crate) fn digest(&self) -> String {
        let mut text = String::new();
        for (first, last) in &self.0 {
            let _ = writeln!(text, "{first}-{last}");
        }
        Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect()
    }
}
