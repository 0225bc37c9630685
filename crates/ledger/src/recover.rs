//! Opening a journal that exists: reads it whole, refuses damage, keeps what a crash cut short,
//! and finds what a crash left open. Beside the life of a request: before the first one.
//!
//! Why a torn last line may be cut: a line ends with a line feed that is the last byte of its
//! write. An entry is acknowledged only after its write has returned, and as durable only after a
//! sync that follows it. So a last line without its line feed was never acknowledged to anybody,
//! nothing was forwarded on its strength, and cutting it loses no record of anything that
//! happened. The bytes are kept beside the journal all the same, and the next signed head names
//! them. Every other damage may hide an acknowledged entry, so nothing is repaired: the journal is
//! not opened.

use crate::chain::{Chain, sha256};
use crate::error::LedgerError;
use crate::head::{Head, Signer, Torn};
use crate::layout::{HEAD, HEAD_NEW, HEADS, Layout, private, sync_dir};
use crate::segments::{self, Lines, Read};
use portcullis_core::id::{RequestId, SessionId};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const TORN: &str = "torn-";

/// What was found in a journal's directory.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) chain: Chain,
    /// The first entry of the segment to go on with, and the bytes in it.
    pub(crate) segment: (u64, u64),
    /// Requests forwarded without an outcome, in the order of their intents.
    pub(crate) orphans: Vec<(Option<SessionId>, RequestId)>,
    /// Sessions that were not closed, in the order they were opened.
    pub(crate) sessions: Vec<SessionId>,
    /// What the newest head commits to; `None` where a new one has to be signed in any case.
    pub(crate) head: Option<Chain>,
    /// Names of torn pieces that a head already speaks of.
    declared: HashSet<String>,
    /// Names of torn pieces in the directory.
    kept: Vec<String>,
    cuts: Vec<Cut>,
}

/// A last line to be cut off.
#[derive(Debug)]
struct Cut {
    file: PathBuf,
    /// The file's length without it.
    keep: u64,
    bytes: Vec<u8>,
    name: String,
}

/// True where there is nothing yet that a key would have to have signed.
pub(crate) fn is_new(layout: &Layout) -> Result<bool, LedgerError> {
    let journal = layout.journal();
    let (segments, others) = segments::list(&journal).map_err(LedgerError::io("list", &journal))?;
    Ok(segments.is_empty() && !others.iter().any(|n| n == HEAD || n == HEADS))
}

/// Reads the journal whole. Changes nothing.
pub(crate) fn find(layout: &Layout, signer: &Signer) -> Result<Found, LedgerError> {
    let journal = layout.journal();
    let (segments, others) = segments::list(&journal).map_err(LedgerError::io("list", &journal))?;
    let mut found = Found {
        chain: Chain::EMPTY,
        segment: (0, 0),
        orphans: Vec::new(),
        sessions: Vec::new(),
        head: None,
        declared: HashSet::new(),
        kept: others.iter().filter(|n| n.starts_with(TORN)).cloned().collect(),
        cuts: Vec::new(),
    };
    for name in others.iter().filter(|n| !n.starts_with(TORN)) {
        if ![HEAD, HEADS, HEAD_NEW].contains(&name.as_str()) {
            tracing::warn!(file = name, "the journal's directory holds a file that is not its own");
        }
    }
    let mut heads = Heads::open(layout, signer)?;
    heads.pass(Chain::EMPTY)?;
    let mut open = Open::default();
    for (i, segment) in segments.iter().enumerate() {
        let last = i + 1 == segments.len();
        read_segment(segment, last, &mut found, &mut heads, &mut open)?;
    }
    heads.end(found.chain)?;
    let newest = heads.check_newest(layout, signer, found.chain.size)?;
    (found.orphans, found.sessions) = open.in_order();
    found.head = heads.last.filter(|_| newest).map(|(head, _)| head.chain);
    found.declared = heads.declared;
    found.cuts.extend(heads.cut);
    Ok(found)
}

fn read_segment(
    segment: &segments::Segment,
    last: bool,
    found: &mut Found,
    heads: &mut Heads<'_>,
    open: &mut Open,
) -> Result<(), LedgerError> {
    let path = &segment.path;
    if segment.first != found.chain.size {
        let detail = format!(
            "this segment should begin with entry {}: one is missing or misplaced",
            found.chain.size
        );
        return Err(LedgerError::damaged(path, 0, detail));
    }
    let mut lines = Lines::open(path).map_err(LedgerError::io("open", path))?;
    let mut buffer = Vec::new();
    let mut end = 0;
    loop {
        match lines.next(&mut buffer).map_err(LedgerError::io("read", path))? {
            Read::Line => {
                let sequence = found.chain.size;
                let entry = found.chain.follow(&buffer);
                let entry = entry.map_err(|e| LedgerError::damaged(path, lines.number, e))?;
                open.note(sequence, entry)
                    .map_err(|e| LedgerError::damaged(path, lines.number, e))?;
                heads.pass(found.chain)?;
                end = lines.start + buffer.len() as u64 + 1;
            }
            Read::Torn if last => {
                let name = format!("{TORN}{:020}", found.chain.size);
                let bytes = std::mem::take(&mut buffer);
                found.cuts.push(Cut { file: path.clone(), keep: lines.start, bytes, name });
            }
            Read::Torn => {
                let detail = "the segment ends in the middle of an entry, and is not the last";
                return Err(LedgerError::damaged(path, lines.number, detail));
            }
            Read::TooLong => {
                return Err(LedgerError::damaged(path, lines.number, "no entry is this long"));
            }
            Read::End => break,
        }
    }
    found.segment = (segment.first, end);
    Ok(())
}

impl Found {
    /// Cuts torn last lines off, after their bytes are safe in files of their own, and gives the
    /// pieces that no head speaks of yet. Can be repeated after a crash at any point.
    pub(crate) fn repair(&mut self, layout: &Layout) -> Result<Vec<Torn>, LedgerError> {
        let journal = layout.journal();
        for cut in self.cuts.drain(..) {
            let name =
                keep(&journal, &cut).map_err(LedgerError::io("keep cut bytes in", &journal))?;
            if !self.kept.contains(&name) {
                self.kept.push(name);
            }
            let cutting = OpenOptions::new().write(true).open(&cut.file).and_then(|file| {
                file.set_len(cut.keep)?;
                file.sync_all()
            });
            cutting.map_err(LedgerError::io("cut the torn last line off", &cut.file))?;
            tracing::warn!(
                file = %cut.file.display(), bytes = cut.bytes.len(), kept = %self.kept.join(" "),
                "cut a torn last line, which was never acknowledged"
            );
        }
        let mut torn = Vec::new();
        for name in self.kept.iter().filter(|n| !self.declared.contains(*n)) {
            let path = journal.join(name);
            let bytes = fs::read(&path).map_err(LedgerError::io("read", &path))?;
            let hash = sha256(&bytes);
            torn.push(Torn { name: name.clone(), bytes: bytes.len() as u64, hash });
        }
        Ok(torn)
    }
}

/// Keeps cut bytes in a file of their own. The same bytes are kept once, so that a crash between
/// keeping and cutting leaves one file.
fn keep(journal: &Path, cut: &Cut) -> io::Result<String> {
    for again in 0..1000 {
        let suffix = if again == 0 { String::new() } else { format!(".{again}") };
        let name = format!("{}{suffix}", cut.name);
        let path = journal.join(&name);
        match private().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                file.write_all(&cut.bytes)?;
                file.sync_all()?;
                sync_dir(journal)?;
                return Ok(name);
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                if fs::read(&path)? == cut.bytes {
                    File::open(&path)?.sync_all()?;
                    return Ok(name);
                }
            }
            Err(e) => return Err(e),
        }
    }
    Err(io::Error::other("too many torn lines at one place"))
}

/// What is open at a point of the journal.
#[derive(Default)]
struct Open {
    requests: HashMap<(Option<SessionId>, RequestId), u64>,
    sessions: HashMap<SessionId, u64>,
}

#[derive(Deserialize)]
struct Facts<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    session: Option<SessionId>,
    request: Option<RequestId>,
}

impl Open {
    fn note(&mut self, sequence: u64, entry: &[u8]) -> Result<(), String> {
        let facts: Facts<'_> =
            serde_json::from_slice(entry).map_err(|e| format!("the entry cannot be read: {e}"))?;
        match (&*facts.event, facts.session, facts.request) {
            ("intent", session, Some(request)) => {
                self.requests.insert((session, request), sequence);
            }
            ("outcome", session, Some(request)) => {
                self.requests.remove(&(session, request));
            }
            ("session_opened", Some(session), _) => {
                self.sessions.insert(session, sequence);
            }
            ("session_closed", Some(session), _) => {
                self.sessions.remove(&session);
            }
            _ => {}
        }
        Ok(())
    }

    fn in_order(self) -> (Vec<(Option<SessionId>, RequestId)>, Vec<SessionId>) {
        let mut requests: Vec<_> = self.requests.into_iter().collect();
        requests.sort_by_key(|(_, sequence)| *sequence);
        let mut sessions: Vec<_> = self.sessions.into_iter().collect();
        sessions.sort_by_key(|(_, sequence)| *sequence);
        let requests = requests.into_iter().map(|(key, _)| key).collect();
        (requests, sessions.into_iter().map(|(session, _)| session).collect())
    }
}

/// The file of heads, read along with the journal: each must commit to the entry it speaks of.
struct Heads<'a> {
    signer: &'a Signer,
    path: PathBuf,
    lines: Option<Lines>,
    buffer: Vec<u8>,
    next: Option<(Head, String)>,
    previous: Option<String>,
    last: Option<(Head, String)>,
    count: u64,
    declared: HashSet<String>,
    cut: Option<Cut>,
}

impl<'a> Heads<'a> {
    fn open(layout: &Layout, signer: &'a Signer) -> Result<Self, LedgerError> {
        let path = layout.heads();
        let lines = match Lines::open(&path) {
            Ok(lines) => Some(lines),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(LedgerError::io("open", &path)(e)),
        };
        let mut heads = Self {
            signer,
            path,
            lines,
            buffer: Vec::new(),
            next: None,
            previous: None,
            last: None,
            count: 0,
            declared: HashSet::new(),
            cut: None,
        };
        heads.advance()?;
        Ok(heads)
    }

    fn advance(&mut self) -> Result<(), LedgerError> {
        let Some(lines) = &mut self.lines else { return Ok(()) };
        let read = lines.next(&mut self.buffer).map_err(LedgerError::io("read", &self.path))?;
        let number = lines.number;
        match read {
            Read::Line => {
                let note: Option<String> = serde_json::from_slice(&self.buffer).ok();
                let head = note.and_then(|note| Some((self.signer.open(&note)?, note)));
                let (head, note) = head.ok_or_else(|| {
                    LedgerError::damaged(&self.path, number, "no head signed by this journal's key")
                })?;
                let before = self.last.as_ref().map_or(0, |(head, _)| head.chain.size);
                if head.chain.size < before {
                    let detail = "this head is smaller than the one before it";
                    return Err(LedgerError::damaged(&self.path, number, detail));
                }
                self.declared.extend(head.torn.iter().map(|t| t.name.clone()));
                self.next = Some((head, note));
            }
            Read::Torn => {
                let name = format!("{TORN}{HEADS}-{:020}", self.count);
                let bytes = std::mem::take(&mut self.buffer);
                self.cut = Some(Cut { file: self.path.clone(), keep: lines.start, bytes, name });
            }
            Read::TooLong => {
                return Err(LedgerError::damaged(&self.path, number, "no head is this long"));
            }
            Read::End => {}
        }
        Ok(())
    }

    /// The chain has reached this point: every head that speaks of it must agree.
    fn pass(&mut self, chain: Chain) -> Result<(), LedgerError> {
        while self.next.as_ref().is_some_and(|(head, _)| head.chain.size == chain.size) {
            let next = self.next.take();
            self.count += 1;
            if next.as_ref().is_some_and(|(head, _)| head.chain != chain) {
                let detail = format!(
                    "the signed head over {} entries is not the head of this journal",
                    chain.size
                );
                return Err(LedgerError::damaged(&self.path, self.count, detail));
            }
            self.previous = self.last.take().map(|(_, note)| note);
            self.last = next;
            self.advance()?;
        }
        Ok(())
    }

    /// The journal has ended: no head may speak of more.
    fn end(&self, chain: Chain) -> Result<(), LedgerError> {
        let Some((head, _)) = &self.next else { return Ok(()) };
        let detail = format!(
            "a signed head speaks of {} entries, but the journal holds {}: its end is missing",
            head.chain.size, chain.size
        );
        Err(LedgerError::damaged(&self.path, self.count + 1, detail))
    }

    /// The newest head is the last one logged, or the one before it: a crash between logging a
    /// head and replacing the newest leaves that. True where it is the last one.
    fn check_newest(
        &self,
        layout: &Layout,
        signer: &Signer,
        size: u64,
    ) -> Result<bool, LedgerError> {
        let path = layout.head();
        let note = match fs::read_to_string(&path) {
            Ok(note) => note,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                if self.count <= 1 && (size == 0 || self.count == 1) {
                    return Ok(false);
                }
                return Err(LedgerError::damaged(&path, 0, "the newest signed head is missing"));
            }
            Err(e) => return Err(LedgerError::io("read", &path)(e)),
        };
        if signer.open(&note).is_none() {
            return Err(LedgerError::damaged(&path, 0, "no head signed by this journal's key"));
        }
        if self.last.as_ref().is_some_and(|(_, last)| *last == note) {
            return Ok(true);
        }
        if self.previous.as_ref() == Some(&note) {
            return Ok(false);
        }
        let detail = "this is not the newest head that was logged in `heads`";
        Err(LedgerError::damaged(&path, 0, detail))
    }
}
