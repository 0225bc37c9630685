//! Proofs that an entry is in a log: [C2SP tlog-proof](https://c2sp.org/tlog-proof), with the entry's text
//! as extra data.

use crate::tree::{hash_of_leaf, parent};
use crate::verify::{Key, Problem};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Hashes that a path of a tree of 2^64 leaves has, at most.
const LONGEST_PATH: usize = 64;

/// What a proof proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proven {
    /// The number of the entry.
    pub index: u64,
    /// Entries that the signed checkpoint commits to.
    pub size: u64,
    /// When it was signed (RFC 3339), by the gateway's clock.
    pub signed_at: Option<String>,
    /// The text of the entry, as it stands in the journal.
    pub entry: String,
    /// The verifier key used.
    pub key: String,
}

impl fmt::Display for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::visible::escape;
        writeln!(f, "good: entry {} of the {} that were signed", self.index, self.size)?;
        if let Some(time) = &self.signed_at {
            writeln!(f, "signed at: {} (the gateway's clock)", escape(time))?;
        }
        writeln!(f, "key: {}", escape(&self.key))?;
        write!(f, "{}", escape(&self.entry))
    }
}

/// Checks a proof with a verifier key.
///
/// # Errors
/// What is wrong, in kind and in words.
pub fn check(proof: &str, key: &str) -> Result<Proven, (Problem, String)> {
    let unreadable = |what: &str| (Problem::Unreadable, what.to_owned());
    let key = Key::parse(key.trim())
        .ok_or_else(|| unreadable("the key is no Ed25519 verifier key (name+id+base64)"))?;
    let (head, note) =
        proof.split_once("\n\n").ok_or_else(|| unreadable("a proof has an empty line"))?;
    let mut lines = head.split('\n');
    if lines.next() != Some("c2sp.org/tlog-proof@v1") {
        return Err(unreadable("its first line is not `c2sp.org/tlog-proof@v1`"));
    }
    let extra = lines.next().and_then(|line| line.strip_prefix("extra "));
    let extra = extra.and_then(|text| STANDARD.decode(text).ok());
    let entry = extra.and_then(|bytes| String::from_utf8(bytes).ok());
    let entry = entry.ok_or_else(|| unreadable("its second line is not `extra`, with an entry"))?;
    let index = lines.next().and_then(|line| line.strip_prefix("index "));
    let index = index.and_then(|digits| Some((digits, digits.parse::<u64>().ok()?)));
    let index = index.filter(|(digits, index)| index.to_string() == **digits);
    let (_, index) = index.ok_or_else(|| unreadable("its third line is not `index`"))?;
    let path = lines.map(|line| STANDARD.decode(line).ok()?.try_into().ok());
    let path: Option<Vec<[u8; 32]>> = path.take(LONGEST_PATH + 1).collect();
    let path = path.filter(|path| path.len() <= LONGEST_PATH);
    let path = path.ok_or_else(|| unreadable("its path is no list of hashes"))?;
    let checkpoint = key.open(note)?;
    if checkpoint.chain.is_none() {
        return Err(unreadable("its checkpoint commits to no tree"));
    }
    let leaf = hash_of_leaf(&Sha256::digest(entry.as_bytes()));
    if root(leaf, index, checkpoint.size, &path) != Some(checkpoint.root) {
        let detail = "the entry and the path do not lead to the root that was signed".to_owned();
        return Err((Problem::Edited, detail));
    }
    let (size, signed_at) = (checkpoint.size, checkpoint.time);
    Ok(Proven { index, size, signed_at, entry, key: key.text })
}

/// Where a path leads (RFC 9162, section 2.1.3.2); `None` where it is none of such a tree.
fn root(leaf: [u8; 32], index: u64, size: u64, path: &[[u8; 32]]) -> Option<[u8; 32]> {
    let (mut at, mut last, mut hash) = (index, size.checked_sub(1)?, leaf);
    if at > last {
        return None;
    }
    for beside in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            hash = parent(beside, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = parent(&hash, beside);
        }
        at >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}
