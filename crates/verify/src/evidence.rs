//! Evidence packs: a part of a log with all that proves it, checked with nothing but the journal's public key
//! (`FORMAT.md`, Evidence packs).

use crate::removed;
use crate::tree::{hash_of_leaf, parent};
use crate::verify::{
    Finding, Key, Problem, SignedHead, finding, hash_of, read_line, sound, to_hex, unreadable,
};
use crate::{plain, proof};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::BufReader;
use std::path::{Component, Path, PathBuf};

/// The largest of the small files, in bytes.
const SMALL: u64 = 64 * 1024 * 1024;
/// Hashes beside a range of a tree of 2^64 leaves, at most.
const MOST_BESIDE: usize = 128;

/// What a pack that verifies holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The number of the first entry.
    pub first: u64,
    /// The number behind the last.
    pub end: u64,
    /// Of those, how many say nothing more: the rules of retention removed it.
    pub removed: u64,
    /// Entries of before that are there by a proof of their own.
    pub context: u64,
    /// Recordings that are what the journal says.
    pub recordings: u64,
    /// Entries that the checkpoint commits to.
    pub size: u64,
    /// When the checkpoint was signed (RFC 3339), by the gateway's clock.
    pub checkpoint_time: Option<String>,
    /// When the pack was signed, by the gateway's clock.
    pub signed_at: Option<String>,
    /// The verifier key used.
    pub key: String,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::visible::escape;
        let count = self.end - self.first;
        writeln!(
            f,
            "good: {count} entries from {} on, all there are of the log between; {} of before",
            self.first, self.context
        )?;
        if self.removed > 0 {
            writeln!(
                f,
                "of {} it is only proven that they were there: what they said was removed by the rules of retention",
                self.removed
            )?;
        }
        writeln!(f, "recordings as the journal has them: {}", self.recordings)?;
        writeln!(f, "checkpoint: over {} entries", self.size)?;
        for (what, time) in [("checkpoint", &self.checkpoint_time), ("pack", &self.signed_at)] {
            if let Some(time) = time {
                writeln!(f, "{what} signed at: {} (the gateway's clock)", escape(time))?;
            }
        }
        write!(f, "key: {}", escape(&self.key))
    }
}

#[derive(Deserialize)]
struct Manifest {
    version: u32,
    first: u64,
    end: u64,
    files: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    name: String,
    bytes: u64,
    sha256: String,
}

#[derive(Deserialize)]
struct Clauses {
    clauses: Vec<Clause>,
}

#[derive(Deserialize)]
struct Clause {
    entries: Vec<u64>,
}

/// What an entry says, as far as it matters here.
#[derive(Deserialize)]
struct Told {
    event: String,
    recording: Option<String>,
}

/// Checks the pack in `dir` with a verifier key.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(dir: &Path, key: &str) -> Result<Evidence, Finding> {
    let parsed = Key::parse(key.trim()).ok_or_else(|| {
        finding(
            Problem::Unreadable,
            "(public key)",
            None,
            "not an Ed25519 verifier key (name+id+base64)",
        )
    })?;
    let (manifest, signed_at) = manifest(dir, &parsed)?;
    files(dir, &manifest)?;
    let file = "checkpoint";
    let note = plain::read(dir, Path::new(file), SMALL).map_err(unreadable(file))?;
    let head = parsed.open(&note);
    let head = head.map_err(|(problem, detail)| finding(problem, file, None, detail))?;
    if head.chain.is_none() {
        return Err(finding(Problem::Unreadable, file, None, "it commits to no tree"));
    }
    let mut pack = Pack { digests: BTreeSet::new(), numbers: BTreeSet::new(), removed: 0 };
    let leaves = pack.entries(dir, manifest.first, manifest.end)?;
    ranged(dir, &manifest, &leaves, &head)?;
    let context = pack.context(dir, &manifest, key)?;
    let recordings = pack.recordings(&manifest)?;
    pack.clauses(dir, &manifest)?;
    Ok(Evidence {
        first: manifest.first,
        end: manifest.end,
        removed: pack.removed,
        context,
        recordings,
        size: head.size,
        checkpoint_time: head.time,
        signed_at,
        key: parsed.text,
    })
}

/// The list of what is in the pack, and when it was signed.
fn manifest(dir: &Path, key: &Key) -> Result<(Manifest, Option<String>), Finding> {
    let file = "manifest.note";
    let note = plain::read(dir, Path::new(file), SMALL).map_err(unreadable(file))?;
    let text = key.signed(&note).map_err(|(p, detail)| finding(p, file, None, detail))?;
    let mut lines = text.lines();
    if lines.next() != Some("portcullis evidence 1") {
        let detail = "its first line is not `portcullis evidence 1`";
        return Err(finding(Problem::Unreadable, file, None, detail));
    }
    let digest = lines.next().unwrap_or_default().to_owned();
    let signed_at = lines.find_map(|line| line.strip_prefix("time ")).map(str::to_owned);
    let file = "manifest.json";
    let text = plain::read(dir, Path::new(file), SMALL).map_err(unreadable(file))?;
    if to_hex(&Sha256::digest(&text)) != digest {
        let detail = "it is not what was signed";
        return Err(finding(Problem::Edited, file, None, detail));
    }
    let manifest: Manifest = serde_json::from_str(&text)
        .map_err(|e| finding(Problem::Unreadable, file, None, e.to_string()))?;
    if manifest.version != 1 || manifest.first > manifest.end {
        let detail = "it is of another version, or of no range";
        return Err(finding(Problem::Unreadable, file, None, detail));
    }
    Ok((manifest, signed_at))
}

/// The files are those that are listed, byte for byte, and no others.
fn files(dir: &Path, manifest: &Manifest) -> Result<(), Finding> {
    let mut there = BTreeMap::new();
    below(dir, Path::new(""), &mut there)?;
    for Listed { name, bytes, sha256 } in &manifest.files {
        let file = PathBuf::from(name);
        if !file.components().all(|part| matches!(part, Component::Normal(_))) {
            let detail = "the manifest names a file outside the pack";
            return Err(finding(Problem::Unreadable, file, None, detail));
        }
        there.remove(&file);
        let (length, found) = hash_of(dir, &file).map_err(unreadable(&file))?;
        if length != *bytes || found != *sha256 {
            return Err(finding(Problem::Edited, file, None, "it is not what the manifest says"));
        }
    }
    let other = there
        .into_keys()
        .find(|file| !matches!(file.to_str(), Some("manifest.json" | "manifest.note")));
    match other {
        Some(file) => {
            let detail = "the manifest names no such file";
            Err(finding(Problem::UnknownFile, file, None, detail))
        }
        None => Ok(()),
    }
}

fn below(dir: &Path, at: &Path, there: &mut BTreeMap<PathBuf, ()>) -> Result<(), Finding> {
    for entry in fs::read_dir(dir.join(at)).map_err(unreadable(at))? {
        let entry = entry.map_err(unreadable(at))?;
        let file = at.join(entry.file_name());
        let kind = entry.file_type().map_err(unreadable(&file))?;
        if kind.is_dir() && at.as_os_str().is_empty() {
            below(dir, &file, there)?;
        } else {
            there.insert(file, ());
        }
    }
    Ok(())
}

/// The entries are those of the log at their places.
fn ranged(
    dir: &Path,
    manifest: &Manifest,
    leaves: &[[u8; 32]],
    head: &SignedHead,
) -> Result<(), Finding> {
    let file = "range.proof";
    let text = plain::read(dir, Path::new(file), SMALL).map_err(unreadable(file))?;
    let bad = |detail: &str| finding(Problem::Unreadable, file, None, detail);
    let mut lines = text.lines();
    let wanted = [
        "portcullis range-proof 1".to_owned(),
        format!("range {} {}", manifest.first, manifest.end),
        format!("size {}", head.size),
    ];
    if !wanted.iter().all(|wanted| lines.next() == Some(wanted)) || manifest.end > head.size {
        return Err(bad("it is not of this range and this checkpoint"));
    }
    let beside = lines.map(|line| STANDARD.decode(line).ok()?.try_into().ok());
    let beside: Option<Vec<[u8; 32]>> = beside.take(MOST_BESIDE + 1).collect();
    let beside = beside.filter(|beside| beside.len() <= MOST_BESIDE);
    let mut beside = beside.ok_or_else(|| bad("it is no list of hashes"))?.into_iter();
    let range = (manifest.first, manifest.end);
    let root = root((0, head.size), range, leaves, &mut beside);
    if root != Some(head.root) || beside.next().is_some() {
        let detail = "the entries do not lead to the root that was signed";
        return Err(finding(Problem::Edited, "entries.jsonl", None, detail));
    }
    Ok(())
}

/// The root over leaves from `low` to before `high` (RFC 6962, section 2.1), of which those in the range are known,
/// and of what is beside it the largest subtrees, from the left.
fn root(
    (low, high): (u64, u64),
    range: (u64, u64),
    leaves: &[[u8; 32]],
    beside: &mut impl Iterator<Item = [u8; 32]>,
) -> Option<[u8; 32]> {
    if low >= high {
        return Some(Sha256::digest([]).into());
    }
    if high <= range.0 || low >= range.1 {
        return beside.next();
    }
    if high - low == 1 {
        let at = usize::try_from(low - range.0).ok()?;
        return leaves.get(at).map(|leaf| hash_of_leaf(leaf));
    }
    let middle = low + (1 << (63 - (high - low - 1).leading_zeros()));
    let left = root((low, middle), range, leaves, beside)?;
    let right = root((middle, high), range, leaves, beside)?;
    Some(parent(&left, &right))
}

/// What was met in a pack.
struct Pack {
    /// Of recordings, as closed sessions have them.
    digests: BTreeSet<String>,
    /// Entries that are there.
    numbers: BTreeSet<u64>,
    removed: u64,
}

impl Pack {
    /// Reads the entries, and gives their hashes.
    fn entries(&mut self, dir: &Path, first: u64, end: u64) -> Result<Vec<[u8; 32]>, Finding> {
        let file = Path::new("entries.jsonl");
        let open = plain::open(dir, file).map_err(unreadable(file))?;
        let (mut reader, mut line, mut number) = (BufReader::new(open), Vec::new(), 0);
        let (mut leaves, mut next) = (Vec::new(), first);
        let mut last: Option<[u8; 32]> = None;
        while let Some(whole) = read_line(&mut reader, &mut line).map_err(unreadable(file))? {
            number += 1;
            let at = |problem, detail: String| Finding {
                sequence: Some(next),
                ..finding(problem, file, Some(number), detail)
            };
            if !whole {
                return Err(at(Problem::Truncated, "the line is cut short".to_owned()));
            }
            let run = removed::may_be(&line).then(|| removed::run(&line)).flatten();
            let (sequence, prev, hashes) = match run {
                Some(run) => {
                    let run = run.map_err(|detail| at(Problem::Edited, detail))?;
                    self.removed += run.hashes.len() as u64;
                    (run.first, run.prev, run.hashes)
                }
                None => {
                    let sound = sound(&line).map_err(|(problem, detail)| at(problem, detail))?;
                    self.take(sound.sequence(), sound.entry());
                    (sound.sequence(), sound.prev().to_owned(), vec![sound.hash])
                }
            };
            if sequence != next {
                return Err(at(
                    Problem::Missing,
                    format!("entry {sequence}, where entry {next} belongs"),
                ));
            }
            if last.is_some_and(|last| to_hex(&last) != prev) {
                let detail = "it is not chained to the entry before it".to_owned();
                return Err(at(Problem::Edited, detail));
            }
            next += hashes.len() as u64;
            last = hashes.last().copied();
            leaves.extend(hashes);
        }
        if next != end {
            let detail = format!("it ends before entry {next}, and the manifest says {end}");
            return Err(finding(Problem::Truncated, file, None, detail));
        }
        Ok(leaves)
    }

    fn take(&mut self, sequence: u64, entry: &str) {
        self.numbers.insert(sequence);
        if let Ok(Told { event, recording: Some(recording) }) = serde_json::from_str(entry)
            && event == "session_closed"
        {
            self.digests.insert(recording);
        }
    }

    /// Entries of before, each with its own proof.
    fn context(&mut self, dir: &Path, manifest: &Manifest, key: &str) -> Result<u64, Finding> {
        let mut count = 0;
        for listed in manifest.files.iter().filter(|file| file.name.starts_with("context/")) {
            let file = Path::new(&listed.name);
            let text = plain::read(dir, file, SMALL).map_err(unreadable(file))?;
            let proven = proof::check(&text, key);
            let proven =
                proven.map_err(|(problem, detail)| finding(problem, file, None, detail))?;
            if listed.name != format!("context/{}.tlog-proof", proven.index) {
                let detail = format!("it proves entry {}", proven.index);
                return Err(finding(Problem::Reordered, file, None, detail));
            }
            // The text is the line's JSON.
            let entry = serde_json::from_str::<serde_json::Value>(&proven.entry);
            let entry = entry.map(|line| line.get("entry").map(ToString::to_string));
            self.take(proven.index, &entry.ok().flatten().unwrap_or_default());
            count += 1;
        }
        Ok(count)
    }

    /// Each recording is one that a closed session has.
    fn recordings(&self, manifest: &Manifest) -> Result<u64, Finding> {
        let mut count = 0;
        for listed in manifest.files.iter().filter(|file| file.name.starts_with("recordings/")) {
            if !self.digests.contains(&listed.sha256) {
                let detail = "no session in the pack ended with this recording";
                return Err(finding(Problem::Edited, &listed.name, None, detail));
            }
            count += 1;
        }
        Ok(count)
    }

    /// What is said of controls rests on entries that are there.
    fn clauses(&self, dir: &Path, manifest: &Manifest) -> Result<(), Finding> {
        let file = "controls.json";
        if !manifest.files.iter().any(|listed| listed.name == file) {
            return Ok(());
        }
        let text = plain::read(dir, Path::new(file), SMALL).map_err(unreadable(file))?;
        let read: Clauses = serde_json::from_str(&text)
            .map_err(|e| finding(Problem::Unreadable, file, None, e.to_string()))?;
        let mut all = read.clauses.iter().flat_map(|clause| &clause.entries);
        match all.find(|entry| !self.numbers.contains(entry)) {
            Some(missing) => {
                let detail = format!("it rests on entry {missing}, which is not in the pack");
                Err(finding(Problem::Missing, file, None, detail))
            }
            None => Ok(()),
        }
    }
}
