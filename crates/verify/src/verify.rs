//! Whether a ledger's files are what its gateway wrote.
//!
//! What it cannot see by itself: a ledger rolled back *as a whole* (journal, `heads` and `head`) to
//! an earlier state of its own is consistent, and so is one signed anew under another key. Keep
//! the verifier key and, now and then, a head elsewhere, and give them as
//! [`VerifyOptions::public_key`] and [`VerifyOptions::expected_head`]. Entries after the newest
//! signed head (at most about a second of them, and none after an orderly end) can be cut off at a
//! line boundary without trace; what is there of them is proven by the codes in their lines, which
//! take the journal's private key to check, and else by nothing: [`Report`] says how many there are.

use crate::levels::{self, Levels, What};
use crate::plain;
use crate::removed::{self, Run, Spans};
use crate::tree::Tree;
use crate::visible::escape;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The longest line a journal, or a file of heads, may hold (`FORMAT.md`, Limits).
const LONGEST_LINE: u64 = 16 * 1024 * 1024 + 512;
/// The largest head or key, in bytes.
const SMALL: u64 = 1024 * 1024;

/// How to verify.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// The verifier key (C2SP signed-note: `name+id+base64`) the heads must be signed with. Without
    /// it the key beside the journal is used, which whoever can write there can replace.
    pub public_key: Option<String>,
    /// A signed head kept elsewhere: the journal must lead through it.
    pub expected_head: Option<String>,
    /// A gateway is writing (see [`is_open`]): neither an unfinished last line nor entries after the
    /// newest signed head are a finding.
    pub live: bool,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// Its bytes are not those that were written.
    Edited,
    /// It is not there.
    Missing,
    /// It is not where it was.
    Reordered,
    /// It is there more than once.
    Duplicated,
    /// The end is missing.
    Truncated,
    /// Two histories were signed.
    Forked,
    /// It is not signed by the journal's key.
    BadSignature,
    /// It is nothing this format knows.
    Unreadable,
    /// A file that does not belong there.
    UnknownFile,
    /// The last line is cut short: a crash (reopen the gateway, which keeps the bytes as evidence)
    /// or somebody's knife.
    Unfinished,
    /// The newest head is an old one.
    StaleHead,
    /// No gateway wrote it: it lacks the code that takes the journal's key.
    Forged,
    /// No gateway is writing, and no signed head covers it.
    Unsigned,
}

impl Problem {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Edited => "edited",
            Self::Missing => "missing",
            Self::Reordered => "reordered",
            Self::Duplicated => "duplicated",
            Self::Truncated => "truncated",
            Self::Forked => "forked",
            Self::BadSignature => "bad signature",
            Self::Unreadable => "unreadable",
            Self::UnknownFile => "unknown file",
            Self::Unfinished => "unfinished",
            Self::StaleHead => "stale head",
            Self::Forged => "forged",
            Self::Unsigned => "unsigned",
        }
    }
}

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize)]
pub struct Finding {
    /// In kind.
    pub problem: Problem,
    /// The first bad entry's number, from 0, where it is about an entry.
    pub sequence: Option<u64>,
    /// The file, below the ledger's directory.
    pub file: PathBuf,
    /// The line in it, from 1.
    pub line: Option<u64>,
    /// In words.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.problem.as_str())?;
        if let Some(sequence) = self.sequence {
            write!(f, ": entry {sequence}")?;
        }
        write!(f, " in {}", escape(&self.file.display().to_string()))?;
        if let Some(line) = self.line {
            write!(f, " line {line}")?;
        }
        write!(f, ": {}", escape(&self.detail))
    }
}

/// A forwarded request without an outcome.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct UnclosedIntent {
    /// Its entry's number.
    pub sequence: u64,
    /// Its session, as written.
    pub session: String,
    /// Its id, as written.
    pub request: String,
}

/// What a ledger that verifies holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Entries in the journal.
    pub entries: u64,
    /// Sessions opened.
    pub sessions: u64,
    /// Sessions not closed.
    pub open_sessions: u64,
    /// Recordings whose digest in a proven entry was compared.
    pub recordings: u64,
    /// Entries whose contents the rules of retention removed, as proven entries say. Their hashes were checked.
    pub removed_entries: u64,
    /// Recordings that they removed, as proven entries say.
    pub removed_recordings: u64,
    /// Recordings of open sessions: every line so far was proven with the journal's key.
    pub running_recordings: u64,
    /// Recordings that nothing proves: without a digest in a proven entry, and, where the journal's
    /// key was not there or the session is closed, without anything else.
    pub unproven_recordings: Vec<String>,
    /// Hash of the last entry, in hex; zeros where there is none.
    pub last_hash: String,
    /// Root of the tree over the entries that the newest head commits to, in hex; `None` where that is a
    /// head of the first gateways, which commits to the chain alone.
    pub root: Option<String>,
    /// Signed heads.
    pub heads: u64,
    /// Entries the newest head commits to.
    pub head_size: u64,
    /// Entries after those.
    pub unsigned_entries: u64,
    /// True where the journal's key was there, and proves that its gateway wrote each of those.
    pub unsigned_proven: bool,
    /// When the newest head was signed (RFC 3339), by the gateway's clock.
    pub head_time: Option<String>,
    /// How often the gateway's clock went back between two heads.
    pub clock_went_back: u64,
    /// Requests forwarded without an outcome, in order.
    pub unclosed_intents: Vec<UnclosedIntent>,
    /// Files with bytes that recovery kept, because a crash cut them short or nothing proved them;
    /// each is named by a signed head.
    pub torn: Vec<String>,
    /// The verifier key used.
    pub key: String,
    /// True where the key was taken from the ledger itself, and proves nothing against somebody
    /// who can write there.
    pub key_from_ledger: bool,
    /// True where a head kept elsewhere was given, and the journal leads through it.
    pub expected_head_met: bool,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (entries, recordings) = (self.entries, self.recordings);
        if self.unsigned_entries == 0 {
            let sessions = self.sessions;
            writeln!(
                f,
                "good: {entries} entries, {sessions} sessions, {recordings} recordings; no gap, no edit"
            )?;
        } else {
            let (signed, unsigned) = (self.head_size, self.unsigned_entries);
            writeln!(f, "good: {signed} entries under signed heads; no gap, no edit in those")?;
            let proof = if self.unsigned_proven {
                "chained, and proven by the journal's key"
            } else {
                "unproven without the journal's key"
            };
            writeln!(f, "{unsigned} entries after the newest signed head: {proof}")?;
            writeln!(f, "recordings as sealed in proven entries: {recordings}")?;
        }
        writeln!(f, "signed heads: {}, the newest over {} entries", self.heads, self.head_size)?;
        if let Some(time) = &self.head_time {
            writeln!(f, "signed at: {} (the gateway's clock)", escape(time))?;
        }
        writeln!(f, "last hash: {}", self.last_hash)?;
        if let Some(root) = &self.root {
            writeln!(f, "root of the tree: {root}")?;
        }
        if self.removed_entries > 0 || self.removed_recordings > 0 {
            let (entries, recordings) = (self.removed_entries, self.removed_recordings);
            writeln!(
                f,
                "removed by the rules of retention: what {entries} entries say, {recordings} recordings"
            )?;
        }
        if self.open_sessions > 0 {
            writeln!(f, "sessions not closed so far: {}", self.open_sessions)?;
        }
        if !self.unclosed_intents.is_empty() {
            writeln!(f, "without an outcome so far: {} requests", self.unclosed_intents.len())?;
        }
        if !self.unproven_recordings.is_empty() {
            writeln!(f, "recordings that nothing proves: {}", self.unproven_recordings.len())?;
        }
        if self.running_recordings > 0 {
            let running = self.running_recordings;
            writeln!(f, "recordings still running, proven by the journal's key: {running}")?;
        }
        let aside = self.torn.iter().filter(|name| name.starts_with("unproven-")).count();
        if aside > 0 {
            writeln!(
                f,
                "set aside, because nothing proved them: {aside} pieces (journal/unproven-…)"
            )?;
        }
        if self.key_from_ledger {
            writeln!(
                f,
                "note: the key was taken from the ledger itself; keep it elsewhere and give --key"
            )?;
        }
        if !self.expected_head_met {
            writeln!(
                f,
                "note: no head from elsewhere was given; only --head shows that nothing was rolled back"
            )?;
        }
        write!(f, "key: {}", escape(&self.key))
    }
}

/// Whether a gateway has the ledger in `dir` open. A gateway that starts at this very moment waits.
#[must_use]
pub fn is_open(dir: &Path) -> bool {
    let Ok(lock) = plain::open(dir, Path::new("lock")) else { return false };
    matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Verifies the ledger in `dir` as is right for one that is being written, or for one that is not; again,
/// where a gateway started or stopped meanwhile. [`VerifyOptions::live`] is found out.
///
/// # Errors
/// As for [`verify`].
pub fn verify_as_it_is(dir: &Path, mut options: VerifyOptions) -> Result<Report, Finding> {
    options.live = is_open(dir);
    for _ in 0..3 {
        let result = verify(dir, &options);
        let live = is_open(dir);
        if live == options.live {
            return result;
        }
        options.live = live;
    }
    verify(dir, &options)
}

/// Verifies the ledger in `dir`.
///
/// # Errors
/// The first [`Finding`], in the order of the entries. A file that cannot be read is a finding too.
pub fn verify(dir: &Path, options: &VerifyOptions) -> Result<Report, Finding> {
    let key = Key::find(dir, options)?;
    let codes = Codes::find(dir, &key);
    let expected = match &options.expected_head {
        Some(note) => Some(key.open(note).map_err(|(problem, detail)| Finding {
            problem,
            sequence: None,
            file: "(expected head)".into(),
            line: None,
            detail,
        })?),
        None => None,
    };
    // The order of reading makes a live journal verify: a session is opened before it is recorded,
    // and what a head speaks of was written before.
    let tapes = Tapes::list(dir)?;
    let newest = read_newest(dir, &key)?;
    let heads = HeadFile::open(dir, &key, expected, options.live)?;
    let listing = Listing::read(dir)?;
    let mut walk = Walk::new(dir, &listing, heads, codes.as_ref(), options.live);
    walk.run()?;
    walk.heads.finish(newest, walk.size)?;
    listing.check_torn(dir, &walk.heads.torn)?;
    walk.check_end()?;
    walk.check_tree()?;
    let proven = if codes.is_some() { walk.size } else { walk.signed() };
    walk.check_removed(proven)?;
    let tapes = tapes.check(dir, &walk.facts, proven, codes.as_ref(), options.live)?;
    let (head_size, unsigned_entries) = (walk.signed(), walk.size - walk.signed());
    let removed_entries = walk.removed.values().map(Spans::count).sum();
    let Walk { size, last, heads, facts, .. } = walk;
    Ok(Report {
        entries: size,
        sessions: facts.sessions.len() as u64,
        open_sessions: facts.sessions.values().filter(|s| !s.closed).count() as u64,
        recordings: tapes.sealed,
        removed_entries,
        removed_recordings: tapes.removed,
        running_recordings: tapes.running,
        unproven_recordings: tapes.unproven,
        last_hash: to_hex(&last),
        root: heads.last.as_ref().and_then(|h| h.chain.is_some().then(|| to_hex(&h.root))),
        heads: heads.read,
        head_size,
        unsigned_entries,
        unsigned_proven: codes.is_some(),
        head_time: heads.last.and_then(|h| h.time),
        clock_went_back: heads.clock_went_back,
        unclosed_intents: facts.unclosed(),
        torn: heads.torn.into_keys().collect(),
        key: key.text,
        key_from_ledger: options.public_key.is_none(),
        expected_head_met: options.expected_head.is_some(),
    })
}

pub(crate) fn finding(
    problem: Problem,
    file: impl Into<PathBuf>,
    line: Option<u64>,
    detail: impl Into<String>,
) -> Finding {
    Finding { problem, sequence: None, file: file.into(), line, detail: detail.into() }
}

pub(crate) fn unreadable(file: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Finding {
    let file = file.into();
    move |e| {
        let missing = e.kind() == io::ErrorKind::NotFound;
        let problem = if missing { Problem::Missing } else { Problem::Unreadable };
        finding(problem, file, None, e.to_string())
    }
}

/// A verifier key: `name+8 hex digits+base64(0x01 || 32 bytes)`.
pub(crate) struct Key {
    pub(crate) text: String,
    name: String,
    id: Vec<u8>,
    public: VerifyingKey,
}

impl Key {
    fn find(dir: &Path, options: &VerifyOptions) -> Result<Self, Finding> {
        let file = "keys/journal.ed25519.pub";
        let (text, file) = match &options.public_key {
            Some(text) => (text.clone(), "(public key)"),
            None => (plain::read(dir, Path::new(file), SMALL).map_err(unreadable(file))?, file),
        };
        let text = text.trim().to_owned();
        Self::parse(&text).ok_or_else(|| {
            finding(Problem::Unreadable, file, None, "not an Ed25519 verifier key (name+id+base64)")
        })
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '+');
        let (name, id, blob) = (parts.next()?, parts.next()?, STANDARD.decode(parts.next()?).ok()?);
        let (kind, public) = blob.split_first()?;
        if *kind != 1 || name.is_empty() {
            return None;
        }
        let hash = Sha256::new_with_prefix(name).chain_update(b"\n").chain_update(&blob).finalize();
        let (computed, _) = hash.split_at_checked(4)?;
        if to_hex(computed) != id {
            return None;
        }
        let (name, id) = (name.to_owned(), computed.to_vec());
        let public = VerifyingKey::from_bytes(public.try_into().ok()?).ok()?;
        Some(Self { text: text.to_owned(), name, id, public })
    }

    /// The head in a signed note.
    pub(crate) fn open(&self, note: &str) -> Result<SignedHead, (Problem, String)> {
        let text = self.signed(note)?;
        let bad = || (Problem::Unreadable, "the note is not a head".to_owned());
        SignedHead::parse(text, &self.name).ok_or_else(bad)
    }

    /// The text of a signed note.
    pub(crate) fn signed<'n>(&self, note: &'n str) -> Result<&'n str, (Problem, String)> {
        let bad = |detail: &str| (Problem::Unreadable, detail.to_owned());
        // The text ends with the line feed before the last empty line.
        let end = note.rfind("\n\n").ok_or_else(|| bad("a signed note has an empty line"))?;
        let (text, signatures) = note.split_at(end + 1);
        let ours = signatures.lines().any(|line| {
            let mut words = line.split(' ');
            if words.next() != Some("\u{2014}") || words.next() != Some(&self.name) {
                return false;
            }
            let blob = words.next().and_then(|b| STANDARD.decode(b).ok()).unwrap_or_default();
            let Some((id, signature)) = blob.split_at_checked(4) else { return false };
            let Ok(signature) = Signature::from_slice(signature) else { return false };
            id == self.id && self.public.verify_strict(text.as_bytes(), &signature).is_ok()
        });
        if !ours {
            let detail = format!("not signed by {}", self.text);
            return Err((Problem::BadSignature, detail));
        }
        Ok(text)
    }
}

/// The keys of the codes in lines, from the journal's private key (`FORMAT.md`, Codes).
struct Codes {
    journal: [u8; 32],
    recording: [u8; 32],
}

impl Codes {
    /// Those of the private key beside the journal, where it can be read and belongs to `key`.
    fn find(dir: &Path, key: &Key) -> Option<Self> {
        let file = Path::new("keys/journal.ed25519");
        let text = Zeroizing::new(plain::read(dir, file, SMALL).ok()?);
        let blob = text.trim_end().strip_prefix("PRIVATE+KEY+")?.splitn(3, '+').nth(2)?;
        let blob = Zeroizing::new(STANDARD.decode(blob).ok()?);
        let (_, seed) = blob.split_first()?;
        let seed: Zeroizing<[u8; 32]> = Zeroizing::new(seed.try_into().ok()?);
        if SigningKey::from_bytes(&seed).verifying_key() != key.public {
            return None;
        }
        let journal = hmac_of(&*seed, &[b"portcullis/journal-mac/1"])?;
        Some(Self { journal, recording: hmac_of(&*seed, &[b"portcullis/recording-mac/1"])? })
    }

    /// Whether the text of an entry ends in its code.
    fn entry(&self, text: &str) -> bool {
        coded(text).is_some_and(|(covered, code)| {
            code_of(&self.journal, &[&Sha256::digest(covered)]) == code
        })
    }

    /// The code of a recorded line, if it is the right one after the code `before`.
    fn line<'a>(&self, before: &str, line: &'a str) -> Option<&'a str> {
        let (covered, code) = coded(line)?;
        let bytes: Vec<u8> = (0..before.len() / 2)
            .map(|i| u8::from_str_radix(before.get(i * 2..i * 2 + 2).unwrap_or_default(), 16))
            .collect::<Result<_, _>>()
            .ok()?;
        (code_of(&self.recording, &[&bytes, covered.as_bytes()]) == code).then_some(code)
    }
}

/// What comes before a line's code, and the code.
fn coded(text: &str) -> Option<(&str, &str)> {
    let (covered, code) = text.strip_suffix("\"}")?.rsplit_once(",\"mac\":\"")?;
    (code.len() == 32).then_some((covered, code))
}

fn hmac_of(key: &[u8], parts: &[&[u8]]) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac.finalize().into_bytes().into())
}

fn code_of(key: &[u8], parts: &[&[u8]]) -> String {
    let tag = hmac_of(key, parts).unwrap_or_default();
    to_hex(tag.get(..16).unwrap_or_default())
}

/// What a head says.
#[derive(Debug, Clone)]
pub(crate) struct SignedHead {
    text: String,
    pub(crate) size: u64,
    /// Of the tree, or, in heads of the first gateways, the hash of the last entry.
    pub(crate) root: [u8; 32],
    /// The hash of the last entry, in hex, beside the root of a tree.
    pub(crate) chain: Option<String>,
    pub(crate) time: Option<String>,
    micros: Option<i64>,
    torn: Vec<(String, u64, String)>,
}

impl SignedHead {
    fn parse(text: &str, origin: &str) -> Option<Self> {
        let mut lines = text.split_terminator('\n');
        if lines.next()? != origin {
            return None;
        }
        let digits = lines.next()?;
        let size: u64 = digits.parse().ok()?;
        let root: [u8; 32] = STANDARD.decode(lines.next()?).ok()?.try_into().ok()?;
        if size.to_string() != digits {
            return None;
        }
        let (text, chain, time, micros) = (text.to_owned(), None, None, None);
        let mut head = Self { text, size, root, chain, time, micros, torn: Vec::new() };
        for line in lines {
            if let Some(chain) = line.strip_prefix("chain ") {
                head.chain = Some(chain.to_owned());
            } else if let Some(time) = line.strip_prefix("time ") {
                head.micros = time.parse::<jiff::Timestamp>().ok().map(|t| t.as_microsecond());
                head.time = Some(time.to_owned());
            } else if let Some(torn) = line.strip_prefix("torn ") {
                let words: Vec<&str> = torn.split(' ').collect();
                let &[name, bytes, hash] = words.as_slice() else { return None };
                head.torn.push((name.to_owned(), bytes.parse().ok()?, hash.to_owned()));
            }
        }
        Some(head)
    }

    /// The hash of the last entry, in hex.
    fn last_hash(&self) -> String {
        self.chain.clone().unwrap_or_else(|| to_hex(&self.root))
    }

    /// Whether two heads over as many entries speak of the same ones.
    fn agrees(&self, other: &Self) -> bool {
        let trees = self.chain.is_some() && other.chain.is_some();
        self.last_hash() == other.last_hash() && (!trees || self.root == other.root)
    }

    /// Whether a journal that ends here, with that tree, is what the head commits to.
    fn commits_to(&self, hash: &[u8; 32], tree: &Tree) -> bool {
        self.last_hash() == to_hex(hash) && (self.chain.is_none() || self.root == tree.root())
    }
}

/// What is in the journal's directory.
struct Listing {
    /// Segments by the number of their first entry.
    segments: BTreeMap<u64, String>,
    torn: BTreeSet<String>,
    unknown: Option<String>,
}

impl Listing {
    fn read(dir: &Path) -> Result<Self, Finding> {
        let mut listing = Self { segments: BTreeMap::new(), torn: BTreeSet::new(), unknown: None };
        for (name, plain) in names(dir, "journal")? {
            if !plain {
                return Err(not_plain(Path::new("journal").join(name)));
            }
            let number = match name.split_once('.') {
                Some((digits, "jsonl")) if digits.len() == 20 => digits.parse::<u64>().ok(),
                _ => None,
            };
            if let Some(first) = number {
                listing.segments.insert(first, name);
            } else if name.starts_with("torn-") || name.starts_with("unproven-") {
                listing.torn.insert(name);
            } else if !matches!(name.as_str(), "head" | "heads" | "head.new") && !is_remade(&name) {
                listing.unknown.get_or_insert(name);
            }
        }
        Ok(listing)
    }

    /// Torn pieces are exactly those that signed heads speak of, byte for byte.
    fn check_torn(
        &self,
        dir: &Path,
        signed: &BTreeMap<String, (u64, String)>,
    ) -> Result<(), Finding> {
        let extra = self.torn.iter().find(|name| !signed.contains_key(*name));
        if let Some(name) = extra.or(self.unknown.as_ref()) {
            let detail = "no such file belongs to a journal, and no signed head names it";
            let file = Path::new("journal").join(name);
            return Err(finding(Problem::UnknownFile, file, None, detail));
        }
        for (name, (bytes, hash)) in signed {
            let file = Path::new("journal").join(name);
            let (length, found) = hash_of(dir, &file).map_err(unreadable(&file))?;
            if length != *bytes || found != *hash {
                let detail = "these cut bytes are not those that a signed head names";
                return Err(finding(Problem::Edited, file, None, detail));
            }
        }
        Ok(())
    }
}

/// Whether it is the name of a segment that is being written anew, which nobody reads.
fn is_remade(name: &str) -> bool {
    let digits = name.strip_suffix(".jsonl.new");
    digits.is_some_and(|digits| digits.len() == 20 && digits.parse::<u64>().is_ok())
}

/// The names in one of the ledger's directories, and whether each is a plain file.
fn names(dir: &Path, below: &'static str) -> Result<Vec<(String, bool)>, Finding> {
    plain::directory(dir, Path::new(below)).map_err(unreadable(below))?;
    let mut names = Vec::new();
    for entry in fs::read_dir(dir.join(below)).map_err(unreadable(below))? {
        let entry = entry.map_err(unreadable(below))?;
        let plain = entry.file_type().is_ok_and(|t| t.is_file());
        names.push((entry.file_name().to_string_lossy().into_owned(), plain));
    }
    names.sort();
    Ok(names)
}

fn not_plain(file: PathBuf) -> Finding {
    let detail = "it is a link, a directory or a device instead of a file, and was not opened";
    finding(Problem::UnknownFile, file, None, detail)
}

pub(crate) fn hash_of(dir: &Path, file: &Path) -> io::Result<(u64, String)> {
    let (mut file, mut hash) = (plain::open(dir, file)?, Sha256::new());
    let (mut buffer, mut length) = (vec![0u8; 65_536], 0);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((length, to_hex(&hash.finalize()))),
            read => {
                hash.update(buffer.get(..read).unwrap_or_default());
                length += read as u64;
            }
        }
    }
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn read_newest(dir: &Path, key: &Key) -> Result<SignedHead, Finding> {
    let file = "journal/head";
    let note = plain::read(dir, Path::new(file), SMALL).map_err(unreadable(file))?;
    key.open(&note).map_err(|(problem, detail)| finding(problem, file, None, detail))
}

/// Reads at most one line, without its line feed, and whether the line feed was there.
pub(crate) fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    if reader.by_ref().take(LONGEST_LINE + 1).read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    let whole = line.last() == Some(&b'\n');
    if whole {
        line.pop();
    } else if line.len() as u64 > LONGEST_LINE {
        return Err(io::Error::other("a line is longer than any may be"));
    }
    Ok(Some(whole))
}

/// The heads, checked along with the journal.
struct HeadFile<'a> {
    key: &'a Key,
    reader: io::Take<BufReader<File>>,
    buffer: Vec<u8>,
    next: Option<SignedHead>,
    /// Heads read; the number of the line `next` stands on.
    read: u64,
    last: Option<SignedHead>,
    previous: Option<String>,
    torn: BTreeMap<String, (u64, String)>,
    /// The head that is not of this journal.
    contradicts: Option<SignedHead>,
    clock_went_back: u64,
    live: bool,
    expected: Option<SignedHead>,
    expected_met: bool,
}

const HEADS: &str = "journal/heads";

impl<'a> HeadFile<'a> {
    fn open(
        dir: &Path,
        key: &'a Key,
        expected: Option<SignedHead>,
        live: bool,
    ) -> Result<Self, Finding> {
        let file = plain::open(dir, Path::new(HEADS)).map_err(unreadable(HEADS))?;
        // Only what is there now: the journal is read later, so it holds all that this speaks of.
        let length = file.metadata().map_err(unreadable(HEADS))?.len();
        let mut heads = Self {
            key,
            reader: BufReader::new(file).take(length),
            buffer: Vec::new(),
            next: None,
            read: 0,
            last: None,
            previous: None,
            torn: BTreeMap::new(),
            contradicts: None,
            clock_went_back: 0,
            live,
            expected_met: expected.is_none(),
            expected,
        };
        heads.advance()?;
        Ok(heads)
    }

    fn advance(&mut self) -> Result<(), Finding> {
        let line = self.read + 1;
        let whole = read_line(&mut self.reader, &mut self.buffer).map_err(unreadable(HEADS))?;
        // An unfinished last head commits to nothing.
        if whole == Some(false) && !self.live {
            let detail = "the line is cut short";
            return Err(finding(Problem::Unfinished, HEADS, Some(line), detail));
        }
        if whole != Some(true) {
            return Ok(());
        }
        let note: Option<String> = serde_json::from_slice(&self.buffer).ok();
        let Some(note) = note else {
            return Err(finding(Problem::Unreadable, HEADS, Some(line), "not a JSON string"));
        };
        let head = self.key.open(&note);
        let head = head.map_err(|(p, detail)| finding(p, HEADS, Some(line), detail))?;
        if let Some(last) = &self.last {
            if head.size < last.size {
                let detail = "this head is smaller than the one before it";
                return Err(finding(Problem::Reordered, HEADS, Some(line), detail));
            }
            if head.size == last.size && !head.agrees(last) {
                let detail = format!("two heads over {} entries differ", head.size);
                return Err(finding(Problem::Forked, HEADS, Some(line), detail));
            }
            if last.chain.is_some() && head.chain.is_none() {
                let detail = "this head commits to no tree, and the one before it does";
                return Err(finding(Problem::Forked, HEADS, Some(line), detail));
            }
            if head.text == last.text {
                let detail = "this head is there twice";
                return Err(finding(Problem::Duplicated, HEADS, Some(line), detail));
            }
            self.clock_went_back += u64::from(head.micros < last.micros);
        }
        for (name, bytes, hash) in &head.torn {
            self.torn.insert(name.clone(), (*bytes, hash.clone()));
        }
        self.next = Some(head);
        self.read = line;
        Ok(())
    }

    /// The chain has reached `size` entries and ends in `hash`. On disagreement: the first entry
    /// that may be bad, and why.
    fn pass(
        &mut self,
        size: u64,
        hash: &[u8; 32],
        tree: &Tree,
    ) -> Result<(), (Option<u64>, Finding)> {
        while self.next.as_ref().is_some_and(|h| h.size == size) {
            let head = self.next.take();
            let line = Some(self.read);
            if head.as_ref().is_some_and(|h| !h.commits_to(hash, tree)) {
                let good = self.last.as_ref().map_or(0, |h| h.size);
                let detail = format!(
                    "entries {good} to {} are chained to each other, but not to the head that was \
                     signed over {size} entries",
                    size.saturating_sub(1)
                );
                self.contradicts = head;
                return Err((Some(good), finding(Problem::Edited, HEADS, line, detail)));
            }
            self.previous = self.last.take().map(|h| h.text);
            self.last = head;
            self.advance().map_err(|f| (None, f))?;
        }
        if let Some(expected) = self.expected.as_ref().filter(|e| e.size == size) {
            if !expected.commits_to(hash, tree) {
                let detail = format!("this is another history than the expected head over {size}");
                let sequence = size.checked_sub(1);
                return Err((sequence, finding(Problem::Forked, "journal", None, detail)));
            }
            self.expected_met = true;
        }
        Ok(())
    }

    /// The journal has ended with `size` entries.
    fn finish(&self, newest: SignedHead, size: u64) -> Result<(), Finding> {
        let short = |of: u64, whose: &str| Finding {
            problem: Problem::Truncated,
            sequence: Some(size),
            file: "journal".into(),
            line: None,
            detail: format!("the journal holds {size} entries, but {whose} speaks of {of}"),
        };
        if let Some(next) = &self.next {
            return Err(short(next.size, &format!("a signed head (heads, line {})", self.read)));
        }
        if let Some(expected) = self.expected.as_ref().filter(|_| !self.expected_met) {
            return Err(short(expected.size, "the expected head"));
        }
        let Some(last) = &self.last else {
            return Err(finding(Problem::Missing, HEADS, None, "it holds no signed head"));
        };
        if newest.text == last.text || self.previous.as_ref() == Some(&newest.text) {
            return Ok(());
        }
        let file = "journal/head";
        if newest.size > size {
            return Err(short(newest.size, "the newest signed head"));
        }
        if newest.size == last.size && !newest.agrees(last) {
            let detail = "it differs from the head over as many entries in heads";
            return Err(finding(Problem::Forked, file, None, detail));
        }
        let older =
            newest.size < last.size || newest.size == last.size && newest.micros <= last.micros;
        if older {
            let detail = "it is older than the last heads logged in heads";
            return Err(finding(Problem::StaleHead, file, None, detail));
        }
        let detail = "it ends before the newest signed head";
        Err(finding(Problem::Truncated, HEADS, Some(self.read + 1), detail))
    }
}

/// The part of a line before its tab.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Frame<'a> {
    seq: u64,
    prev: &'a str,
    #[serde(borrow)]
    entry: &'a RawValue,
    #[serde(default)]
    mac: Option<&'a str>,
}

/// A line with its own hash in order.
pub(crate) struct Sound<'a> {
    text: &'a str,
    frame: Frame<'a>,
    pub(crate) hash: [u8; 32],
}

impl Sound<'_> {
    pub(crate) const fn sequence(&self) -> u64 {
        self.frame.seq
    }

    /// The hash of the entry before, in hex.
    pub(crate) const fn prev(&self) -> &str {
        self.frame.prev
    }

    /// The entry, as JSON.
    pub(crate) fn entry(&self) -> &str {
        self.frame.entry.get()
    }
}

/// A walk along the chain.
struct Walk<'a> {
    dir: &'a Path,
    listing: &'a Listing,
    heads: HeadFile<'a>,
    codes: Option<&'a Codes>,
    live: bool,
    size: u64,
    last: [u8; 32],
    tree: Tree,
    levels: Levels<'a>,
    /// Where the entry before this one is.
    before: (PathBuf, u64),
    facts: Facts,
    /// Entries whose contents were removed, by segments.
    removed: BTreeMap<u64, Spans>,
}

impl<'a> Walk<'a> {
    fn new(
        dir: &'a Path,
        listing: &'a Listing,
        heads: HeadFile<'a>,
        codes: Option<&'a Codes>,
        live: bool,
    ) -> Self {
        let (size, last, before) = (0, [0; 32], (PathBuf::new(), 0));
        let (tree, facts, levels) = (Tree::default(), Facts::default(), Levels::new(dir));
        let removed = BTreeMap::new();
        Self { dir, listing, heads, codes, live, size, last, tree, levels, before, facts, removed }
    }

    fn run(&mut self) -> Result<(), Finding> {
        let zeros = self.last;
        self.heads.pass(0, &zeros, &Tree::default()).map_err(|(_, finding)| finding)?;
        let listing = self.listing;
        let newest = listing.segments.keys().next_back().copied();
        if newest.is_none() && self.heads.last.as_ref().is_some_and(|h| h.size == 0) {
            let detail = "there is no segment";
            return Err(finding(Problem::Missing, "journal", None, detail));
        }
        for (first, name) in &listing.segments {
            let file = Path::new("journal").join(name);
            if *first != self.size {
                let (problem, what) = if *first > self.size {
                    (Problem::Missing, "are missing before this segment")
                } else {
                    (Problem::Duplicated, "are in an earlier segment")
                };
                let (from, to) = (self.size.min(*first), self.size.max(*first));
                let detail = format!("entries {from} to {} {what}", to - 1);
                return Err(Finding {
                    sequence: Some(from),
                    ..finding(problem, file, None, detail)
                });
            }
            self.segment(&file, *first, Some(*first) == newest)?;
        }
        Ok(())
    }

    fn segment(&mut self, file: &Path, first: u64, newest: bool) -> Result<(), Finding> {
        let open = plain::open(self.dir, file).map_err(unreadable(file))?;
        let mut reader = BufReader::with_capacity(1 << 18, open);
        let (mut line, mut number) = (Vec::new(), 0);
        while let Some(whole) = read_line(&mut reader, &mut line).map_err(unreadable(file))? {
            number += 1;
            if !whole {
                if newest && self.live {
                    return Ok(());
                }
                let problem = if newest { Problem::Unfinished } else { Problem::Truncated };
                let detail = "the line is cut short";
                return Err(self.about(self.size, finding(problem, file, Some(number), detail)));
            }
            match removed::may_be(&line).then(|| removed::run(&line)).flatten() {
                Some(run) => self.run_of(file, (first, number), run)?,
                None => self.line(file, number, &line, &mut reader)?,
            }
        }
        Ok(())
    }

    fn about(&self, sequence: u64, finding: Finding) -> Finding {
        Finding { sequence: Some(sequence), ..finding }
    }

    fn line(
        &mut self,
        file: &Path,
        number: u64,
        line: &[u8],
        rest: &mut impl BufRead,
    ) -> Result<(), Finding> {
        let sound = sound(line).map_err(|(problem, detail)| {
            self.about(self.size, finding(problem, file, Some(number), detail))
        })?;
        if sound.frame.seq != self.size {
            return Err(self.out_of_sequence(file, number, &sound));
        }
        if sound.frame.prev != to_hex(&self.last) {
            return Err(self.broken_chain(file, number, &sound, rest));
        }
        self.check_code(file, number, &sound)?;
        let facts = self.facts.take(self.size, sound.frame.entry.get());
        facts.map_err(|detail| {
            let finding = finding(Problem::Unreadable, file, Some(number), detail);
            self.about(self.size, finding)
        })?;
        self.before = (file.to_owned(), number);
        self.pass(sound.hash)
    }

    /// The next entry has this hash.
    fn pass(&mut self, hash: [u8; 32]) -> Result<(), Finding> {
        self.size += 1;
        self.last = hash;
        let filled = self.tree.add(&hash);
        self.levels.meet(self.size - 1, &hash, &filled);
        self.heads.pass(self.size, &hash, &self.tree).map_err(|(sequence, f)| Finding {
            sequence: self.first_rewritten().or(sequence).or(f.sequence),
            ..f
        })
    }

    /// A line that stands for entries whose contents were removed: their hashes still are what heads commit to.
    fn run_of(
        &mut self,
        file: &Path,
        (segment, number): (u64, u64),
        run: Result<Run, String>,
    ) -> Result<(), Finding> {
        let at = |problem, detail: String| finding(problem, file, Some(number), detail);
        let run = run.map_err(|detail| self.about(self.size, at(Problem::Edited, detail)))?;
        let (first, size) = (run.first, self.size);
        if first != size {
            let problem = if first > size { Problem::Missing } else { Problem::Duplicated };
            let detail =
                format!("it stands for entries from {first} on, where entry {size} belongs");
            return Err(self.about(first.min(size), at(problem, detail)));
        }
        if run.prev != to_hex(&self.last) {
            let detail = "it is not chained to the entry before it".to_owned();
            return Err(self.about(size, at(Problem::Edited, detail)));
        }
        for hash in run.hashes {
            if self.heads.next.is_none() {
                let detail = "no signed head covers an entry that it stands for".to_owned();
                return Err(self.about(self.size, at(Problem::Forged, detail)));
            }
            self.removed.entry(segment).or_default().push(self.size);
            self.before = (file.to_owned(), number);
            self.pass(hash)?;
        }
        Ok(())
    }

    /// Contents are removed by a gateway's own rules alone, and it says so in a proven entry.
    fn check_removed(&self, proven: u64) -> Result<(), Finding> {
        for (segment, spans) in &self.removed {
            let announced = self.facts.announced.get(&(*segment, spans.digest()));
            if announced.is_none_or(|by| *by >= proven) {
                let detail = format!(
                    "what {} entries say was removed, and no proven entry says that it was to be",
                    spans.count()
                );
                let file = Path::new("journal").join(format!("{segment:020}.jsonl"));
                return Err(
                    self.about(spans.first(), finding(Problem::Missing, file, None, detail))
                );
            }
        }
        Ok(())
    }

    /// The first entry that differs, where a head contradicts and the tree's leaves are those it commits
    /// to.
    fn first_rewritten(&self) -> Option<u64> {
        let head = self.heads.contradicts.as_ref().filter(|head| head.chain.is_some())?;
        self.levels.first_rewritten(head.size, &head.root)
    }

    /// What no head covers must carry the journal's code, where the key to check it is there.
    fn check_code(&self, file: &Path, number: u64, sound: &Sound<'_>) -> Result<(), Finding> {
        let unsigned = self.heads.next.is_none();
        if !unsigned || self.codes.is_none_or(|codes| codes.entry(sound.text)) {
            return Ok(());
        }
        let what = if sound.frame.mac.is_some() { "another code than" } else { "not" };
        let detail = format!("no signed head covers it, and it carries {what} the journal's own");
        Err(self.about(self.size, finding(Problem::Forged, file, Some(number), detail)))
    }

    /// Entries that the newest head covers.
    fn signed(&self) -> u64 {
        self.heads.last.as_ref().map_or(0, |head| head.size)
    }

    /// A gateway that ends in good order signs everything it wrote.
    fn check_end(&self) -> Result<(), Finding> {
        let unsigned = self.size - self.signed();
        if self.live || unsigned == 0 {
            return Ok(());
        }
        let proof = match self.codes {
            Some(_) => {
                "the journal's own codes prove them: the gateway was stopped before it could sign \
                 them, and will when it is started"
            }
            None => "unproven without the journal's key",
        };
        let detail = format!(
            "{unsigned} entries after the newest signed head, and no gateway writes: {proof}"
        );
        let file = self.before.0.clone();
        Err(self.about(self.signed(), finding(Problem::Unsigned, file, None, detail)))
    }

    /// The tree's files are what the entries make. Ledgers of the first gateways have none.
    fn check_tree(&mut self) -> Result<(), Finding> {
        let listed = match names(self.dir, "tree") {
            // Nothing rests on it: a copy may do without.
            Err(f) if f.problem == Problem::Missing => return Ok(()),
            listed => listed?,
        };
        for (name, plain) in listed {
            let file = Path::new("tree").join(&name);
            if !plain {
                return Err(not_plain(file));
            }
            if !levels::is_level(&name) {
                let detail = "no such file belongs to a tree";
                return Err(finding(Problem::UnknownFile, file, None, detail));
            }
        }
        let levels = std::mem::replace(&mut self.levels, Levels::new(self.dir));
        let with_tree = self.heads.last.as_ref().is_some_and(|head| head.chain.is_some());
        let signed = if with_tree { self.signed() } else { 0 };
        let Some(wrong) = levels.wrong(signed, self.size, !self.live) else { return Ok(()) };
        let (problem, detail) = match wrong.what {
            What::Short => (Problem::Truncated, "it ends before what the newest head commits to; a gateway that is started puts it back".to_owned()),
            What::Other => (Problem::Edited, "it does not hold the hash that the journal's entries make".to_owned()),
            What::Long => (Problem::Edited, "it holds more than the journal's entries make".to_owned()),
            What::Unreadable(error) => (Problem::Unreadable, error.to_string()),
        };
        Err(self.about(wrong.entry, finding(problem, levels::file_of(wrong.level), None, detail)))
    }

    /// An intact line with another number than the next: what has happened to the one expected?
    fn out_of_sequence(&self, file: &Path, number: u64, sound: &Sound<'_>) -> Finding {
        let (expected, found) = (self.size, sound.frame.seq);
        let at = |problem, detail: String| finding(problem, file, Some(number), detail);
        if found < expected {
            let detail = format!("entry {found} again, where entry {expected} belongs");
            return self.about(found, at(Problem::Duplicated, detail));
        }
        match self.seek(expected) {
            Some((elsewhere, line)) => {
                let elsewhere = elsewhere.display();
                let detail =
                    format!("entry {found} is in its place; it is at {elsewhere} line {line}");
                self.about(expected, at(Problem::Reordered, detail))
            }
            None => {
                let detail = format!("entries {expected} to {} are gone", found - 1);
                self.about(expected, at(Problem::Missing, detail))
            }
        }
    }

    /// An intact line with the right number that is not chained to the line before it: either that
    /// one was rewritten together with its hash, or this one. The line after this one knows which.
    fn broken_chain(
        &self,
        file: &Path,
        number: u64,
        sound: &Sound<'_>,
        rest: &mut impl BufRead,
    ) -> Finding {
        let mut next = Vec::new();
        let follows = match read_line(rest, &mut next) {
            Ok(Some(true)) => {
                self::sound(&next).is_ok_and(|next| next.frame.prev == to_hex(&sound.hash))
            }
            _ => self
                .heads
                .next
                .as_ref()
                .is_some_and(|h| h.size == self.size + 1 && h.root == sound.hash),
        };
        let (before, line) = &self.before;
        if follows && self.size > 0 {
            let detail = "rewritten together with its hash: the next entry is chained to another";
            let finding = finding(Problem::Edited, before, Some(*line), detail);
            return self.about(self.size - 1, finding);
        }
        let detail = "it is not chained to the entry before it";
        self.about(self.size, finding(Problem::Edited, file, Some(number), detail))
    }

    /// Where an entry is, wherever it is.
    fn seek(&self, sequence: u64) -> Option<(PathBuf, u64)> {
        for name in self.listing.segments.values() {
            let file = Path::new("journal").join(name);
            let mut reader = BufReader::new(plain::open(self.dir, &file).ok()?);
            let (mut line, mut number) = (Vec::new(), 0);
            while let Ok(Some(_)) = read_line(&mut reader, &mut line) {
                number += 1;
                if sound(&line).is_ok_and(|s| s.frame.seq == sequence) {
                    return Some((file, number));
                }
            }
        }
        None
    }
}

pub(crate) fn sound(line: &[u8]) -> Result<Sound<'_>, (Problem, String)> {
    let bad = |what: &str| (Problem::Unreadable, what.to_owned());
    let line = std::str::from_utf8(line).map_err(|_| bad("the line is not UTF-8"))?;
    let (text, written) = line.rsplit_once('\t').ok_or_else(|| bad("the line has no tab"))?;
    let mut hash = [0; 32];
    hash.copy_from_slice(&Sha256::digest(text));
    if to_hex(&hash) != written {
        let detail = "the line does not have the hash written at its end".to_owned();
        return Err((Problem::Edited, detail));
    }
    let frame = serde_json::from_str(text).map_err(|e| bad(&e.to_string()))?;
    Ok(Sound { text, frame, hash })
}

/// What an entry says, as far as a verifier cares.
#[derive(Deserialize)]
struct Told {
    event: String,
    session: Option<String>,
    request: Option<String>,
    recording: Option<String>,
    segment: Option<u64>,
    digest: Option<String>,
}

#[derive(Default)]
struct Facts {
    /// Segments of which contents were to be removed, which ones by their digest, and the first entry that says so.
    announced: HashMap<(u64, String), u64>,
    /// Recordings that were to be removed, and the first entry that says so.
    discarded: HashMap<(String, String), u64>,
    sessions: HashMap<String, SessionFacts>,
    intents: HashMap<(String, String), u64>,
}

#[derive(Default)]
struct SessionFacts {
    closed: bool,
    recording: Option<String>,
    closed_by: u64,
}

impl Facts {
    fn take(&mut self, sequence: u64, entry: &str) -> Result<(), String> {
        let told: Told = serde_json::from_str(entry).map_err(|e| e.to_string())?;
        let session = told.session.unwrap_or_default();
        match (told.event.as_str(), told.request) {
            ("intent" | "rehearsed", Some(request)) => {
                self.intents.insert((session, request), sequence);
            }
            ("outcome", Some(request)) => {
                self.intents.remove(&(session, request));
            }
            ("session_opened", _) => {
                self.sessions.entry(session).or_default();
            }
            ("session_closed", _) => {
                let facts = self.sessions.entry(session).or_default();
                let recording = told.recording;
                *facts = SessionFacts { closed: true, recording, closed_by: sequence };
            }
            ("contents_removed", _) => {
                let which =
                    told.segment.zip(told.digest).ok_or("it does not say what was removed")?;
                self.announced.entry(which).or_insert(sequence);
            }
            ("recording_removed", _) => {
                let which = told.recording.zip(told.digest);
                let which = which.ok_or("it does not say which recording was removed")?;
                self.discarded.entry(which).or_insert(sequence);
            }
            _ => {}
        }
        Ok(())
    }

    fn unclosed(self) -> Vec<UnclosedIntent> {
        let mut intents: Vec<_> = self
            .intents
            .into_iter()
            .map(|((session, request), sequence)| UnclosedIntent { sequence, session, request })
            .collect();
        intents.sort_by_key(|i| i.sequence);
        intents
    }
}

/// What the name of a recording's file ends with: as lines, compressed, compressed and sealed.
const FORMS: [&str; 3] = [".jsonl", ".jsonl.zst", ".jsonl.zst.age"];

/// The recordings, listed before the journal was read.
struct Tapes(Vec<(String, bool)>);

/// What recordings were found to be.
#[derive(Default)]
struct Checked {
    sealed: u64,
    removed: u64,
    running: u64,
    unproven: Vec<String>,
}

impl Tapes {
    fn list(dir: &Path) -> Result<Self, Finding> {
        names(dir, "recordings").map(Self)
    }

    /// Each closed session's recording is the file its closing entry names, and each file is a
    /// recording of a session. What entries from `proven` on say proves nothing.
    fn check(
        &self,
        dir: &Path,
        all: &Facts,
        proven: u64,
        codes: Option<&Codes>,
        live: bool,
    ) -> Result<Checked, Finding> {
        let (mut checked, mut proving) = (Checked::default(), HashSet::new());
        let mut closed: Vec<_> = all.sessions.iter().filter(|(_, s)| s.closed).collect();
        closed.sort_by_key(|(_, s)| s.closed_by);
        for (session, facts) in closed {
            let Some(expected) = &facts.recording else { continue };
            let about = |f: Finding| Finding { sequence: Some(facts.closed_by), ..f };
            let which = (session.clone(), expected.clone());
            let discarded = all.discarded.get(&which).is_some_and(|by| *by < proven);
            let kept = match Self::sealed_in(dir, session, expected) {
                Err(missing) if missing.problem == Problem::Missing && discarded => continue,
                kept => kept.map_err(about)?,
            };
            if facts.closed_by < proven {
                checked.sealed += 1;
                proving.insert(kept);
            } else {
                checked.unproven.push(kept);
            }
        }
        for (name, plain) in &self.0 {
            let file = Path::new("recordings").join(name);
            if !plain {
                return Err(not_plain(file));
            }
            let (session, form) = form_of(name);
            let Some(facts) = all.sessions.get(session) else {
                let detail = "the journal knows of no such session";
                return Err(finding(Problem::UnknownFile, file, None, detail));
            };
            let is_gone = || dir.join(&file).symlink_metadata().is_err();
            match codes {
                _ if proving.contains(name) => {}
                // Its session ended meanwhile, and it is kept in another form.
                _ if live && is_gone() => {}
                // Whoever reads the recording could be shown this one.
                _ if !live
                    && FORMS.iter().any(|form| proving.contains(&format!("{session}{form}"))) =>
                {
                    let detail = "another file than the one that the journal names: a crash may have left \
                                  it, and then a gateway that is started removes it";
                    return Err(finding(Problem::UnknownFile, file, None, detail));
                }
                Some(codes) if !facts.closed && form == FORMS.first().copied() => {
                    match follow(dir, &file, session, codes, live) {
                        Err(_) if live && is_gone() => {}
                        followed => {
                            followed?;
                            checked.running += 1;
                        }
                    }
                }
                // What a crash left beside the file that counts, or what is just being packed.
                _ => checked.unproven.push(name.clone()),
            }
        }
        let gone = |session: &String| {
            let forms = FORMS.iter().map(|form| format!("recordings/{session}{form}"));
            forms.into_iter().all(|file| dir.join(file).symlink_metadata().is_err())
        };
        let discarded = all.discarded.iter().filter(|(_, by)| **by < proven);
        checked.removed = discarded.filter(|((session, _), _)| gone(session)).count() as u64;
        checked.unproven.sort();
        checked.unproven.dedup();
        Ok(checked)
    }

    /// The file of a closed session that has the digest in the journal.
    fn sealed_in(dir: &Path, session: &str, expected: &str) -> Result<String, Finding> {
        let mut other = None;
        for form in FORMS {
            let name = format!("{session}{form}");
            let file = Path::new("recordings").join(&name);
            // It may have been packed since the files were listed: what counts is there now.
            let found = match hash_of(dir, &file) {
                Ok((_, found)) => found,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(unreadable(&file)(error)),
            };
            if found == expected {
                return Ok(name);
            }
            let detail = format!("its SHA-256 is {found}, the journal says {expected}");
            other = other.or_else(|| Some(finding(Problem::Edited, file, None, detail)));
        }
        Err(other.unwrap_or_else(|| {
            let file = Path::new("recordings").join(format!("{session}{}", FORMS.join("|")));
            let detail = format!("the journal says that its SHA-256 is {expected}");
            finding(Problem::Missing, file, None, detail)
        }))
    }
}

/// Session and form by the name of a recording's file.
fn form_of(name: &str) -> (&str, Option<&'static str>) {
    let name = name.strip_suffix(".new").unwrap_or(name);
    let form = FORMS.into_iter().find_map(|form| Some((name.strip_suffix(form)?, form)));
    form.map_or(("", None), |(session, form)| (session, Some(form)))
}

/// Follows the codes of a recording that has no digest yet.
fn follow(
    dir: &Path,
    file: &Path,
    session: &str,
    codes: &Codes,
    live: bool,
) -> Result<(), Finding> {
    let mut reader = BufReader::new(plain::open(dir, file).map_err(unreadable(file))?);
    let mut code = code_of(&codes.recording, &[session.as_bytes()]);
    let (mut line, mut number) = (Vec::new(), 0);
    while let Some(whole) = read_line(&mut reader, &mut line).map_err(unreadable(file))? {
        number += 1;
        if !whole {
            let cut = || finding(Problem::Unfinished, file, Some(number), "the line is cut short");
            return if live { Ok(()) } else { Err(cut()) };
        }
        let next = std::str::from_utf8(&line).ok().and_then(|line| codes.line(&code, line));
        let Some(next) = next else {
            let detail = "it does not carry the journal's code: no gateway wrote it here";
            return Err(finding(Problem::Forged, file, Some(number), detail));
        };
        code = next.to_owned();
    }
    Ok(())
}
