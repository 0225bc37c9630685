//! Opening a journal that exists: reads it whole, refuses damage, keeps what a crash cut short,
//! and finds what a crash left open. Beside the life of a request: before the first one.
//!
//! Why a torn last line may be cut: a line ends with a line feed that is the last byte of its
//! write. An entry is acknowledged only after its write has returned, and as durable only after a
//! sync that follows it. So a last line without its line feed was never acknowledged to anybody,
//! nothing was forwarded on its strength, and cutting it loses no record of anything that
//! happened. The bytes are kept beside the journal all the same, and the next signed head names
//! them.
//!
//! Why a tail may be set aside: what the newest signed head covers is proven by its signature, and
//! what was written since by the codes in its lines ([`crate::mac`]). Bytes behind that which carry no
//! such code anybody may have added, who can write here; signing them would make them evidence. They
//! are kept in a file beside, an entry says so, and the next signed head names the file.
//!
//! Every other damage may hide an acknowledged entry, so nothing is repaired: the journal is not
//! opened.

use crate::chain::{Chain, Hash, finished};
use crate::error::LedgerError;
use crate::head::{Head, Signer, Torn};
use crate::keep::{Form, UNFINISHED};
use crate::layout::{HEAD, HEAD_NEW, HEADS, Layout, private, segment_first, sync_dir};
use crate::levels::Levels;
use crate::mac::Macs;
use crate::merkle::Tree;
use crate::removed::{Run, Spans};
use crate::segments::{self, Lines, Read, Segment};
use aws_lc_rs::digest;
use portcullis_core::digest::Digest;
use portcullis_core::id::{RequestId, SessionId};
use portcullis_core::journal::Event;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

const TORN: &str = "torn-";
const UNPROVEN: &str = "unproven-";

/// What was found in a journal's directory.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) chain: Chain,
    /// The tree over those entries, and its files.
    pub(crate) tree: Tree,
    pub(crate) levels: Option<Levels>,
    /// The first entry of the segment to go on with, and the bytes in it.
    pub(crate) segment: (u64, u64),
    /// Requests forwarded without an outcome, in the order of their intents.
    pub(crate) orphans: Vec<(Option<SessionId>, RequestId)>,
    /// Sessions that were not closed, in the order they were opened.
    pub(crate) sessions: Vec<SessionId>,
    /// What the newest head commits to; `None` where a new one has to be signed in any case.
    pub(crate) head: Option<Chain>,
    /// Names of pieces set aside that a head already speaks of.
    declared: HashSet<String>,
    /// Names of pieces in the directory.
    kept: Vec<String>,
    cuts: Vec<Cut>,
    /// Bytes were met that nothing proves: no entry counts from there on.
    unproven: bool,
}

/// The end of a file, to be set aside.
#[derive(Debug)]
struct Cut {
    file: PathBuf,
    /// The file's length without it.
    keep: u64,
    /// The file that keeps it.
    name: String,
    /// Nothing of the file is left: it goes.
    whole: bool,
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
    let found = Found {
        chain: Chain::EMPTY,
        tree: Tree::default(),
        levels: Some(Levels::new(layout)),
        segment: (0, 0),
        orphans: Vec::new(),
        sessions: Vec::new(),
        head: None,
        declared: HashSet::new(),
        kept: others.iter().filter(|n| is_piece(n)).cloned().collect(),
        cuts: Vec::new(),
        unproven: false,
    };
    for name in others.iter().filter(|n| !is_piece(n)) {
        let remaking = name.strip_suffix(UNFINISHED).is_some_and(|n| segment_first(n).is_some());
        if !remaking && ![HEAD, HEADS, HEAD_NEW].contains(&name.as_str()) {
            tracing::warn!(file = name, "the journal's directory holds a file that is not its own");
        }
    }
    let mut heads = Heads::open(layout, signer)?;
    heads.pass(Chain::EMPTY, &found.tree)?;
    let (open, emptied) = (Open::default(), Emptied::default());
    let mut reading = Reading { layout, found, heads, open, emptied };
    for (i, segment) in segments.iter().enumerate() {
        reading.segment(segment, i + 1 == segments.len())?;
    }
    let Reading { mut found, heads, open, emptied, .. } = reading;
    emptied.check(layout, &open.announced)?;
    heads.end(found.chain)?;
    let newest = heads.check_newest(layout, signer, found.chain.size)?;
    (found.orphans, found.sessions) = open.in_order();
    found.head =
        heads.last.filter(|(head, _)| newest && head.root.is_some()).map(|(head, _)| head.chain);
    found.declared = heads.declared;
    found.cuts.extend(heads.cut);
    Ok(found)
}

fn is_piece(name: &str) -> bool {
    name.starts_with(TORN) || name.starts_with(UNPROVEN)
}

/// A walk along the journal.
struct Reading<'a> {
    layout: &'a Layout,
    found: Found,
    heads: Heads<'a>,
    open: Open,
    emptied: Emptied,
}

impl Reading<'_> {
    fn segment(&mut self, segment: &Segment, last: bool) -> Result<(), LedgerError> {
        let path = &segment.path;
        let size = self.found.chain.size;
        if self.found.unproven {
            self.set_aside(path, 0, segment.first, true);
            return Ok(());
        }
        if segment.first != size {
            let detail =
                format!("this segment should begin with entry {size}: one is missing or misplaced");
            self.behind_heads(path, 0, &detail)?;
            self.set_aside(path, 0, segment.first, true);
            return Ok(());
        }
        let file = self.layout.open(path).map_err(LedgerError::io("open", path))?;
        self.emptied.segment = segment.first;
        let end = self.lines(path, Lines::new(file), last)?;
        self.found.segment = (segment.first, end);
        Ok(())
    }

    /// Reads the lines of a segment, and gives where the last one that counts ends.
    fn lines(&mut self, path: &Path, mut lines: Lines, last: bool) -> Result<u64, LedgerError> {
        let mut buffer = Vec::new();
        let mut end = 0;
        loop {
            let read = lines.next(&mut buffer).map_err(LedgerError::io("read", path))?;
            let refused = match read {
                Read::Line => match self.entry(path, lines.number, &buffer)? {
                    None => {
                        end = lines.next;
                        continue;
                    }
                    Some(why) => why,
                },
                Read::Torn if last => {
                    let name = format!("{TORN}{:020}", self.found.chain.size);
                    let (file, keep) = (path.to_owned(), end);
                    self.found.cuts.push(Cut { file, keep, name, whole: false });
                    return Ok(end);
                }
                Read::Torn => "the segment ends in the middle of an entry, and is not the last",
                Read::TooLong => "no entry is this long",
                Read::End => return Ok(end),
            };
            self.behind_heads(path, lines.number, refused)?;
            self.set_aside(path, end, self.found.chain.size, false);
            return Ok(end);
        }
    }

    /// Takes one line, or says why it is not the next entry of this journal. Behind the newest head
    /// that takes the journal's code.
    fn entry(
        &mut self,
        path: &Path,
        number: u64,
        line: &[u8],
    ) -> Result<Option<&'static str>, LedgerError> {
        if let Some(run) = Run::parse(line) {
            return self.run(path, number, &run);
        }
        let mut chain = self.found.chain;
        let entry = match chain.follow(line) {
            Ok(line)
                if self.heads.cover_more() || self.heads.signer.macs().knows_entry(line.text) =>
            {
                line.entry
            }
            Ok(_) => {
                return Ok(Some(
                    "no signed head covers this entry, and it lacks this journal's code",
                ));
            }
            Err(why) => return Ok(Some(why)),
        };
        let sequence = self.found.chain.size;
        self.open.note(sequence, entry).map_err(|e| LedgerError::damaged(path, number, e))?;
        self.passed(chain)?;
        Ok(None)
    }

    /// Takes a line that stands for entries whose contents were removed: signed heads cover them all.
    fn run(
        &mut self,
        path: &Path,
        number: u64,
        run: &Run,
    ) -> Result<Option<&'static str>, LedgerError> {
        let Chain { size, last } = self.found.chain;
        if (run.first, run.prev) != (size, last) {
            return Ok(Some("the entries that it stands for do not belong here"));
        }
        for hash in &run.hashes {
            if !self.heads.cover_more() {
                let detail = "no signed head covers the entries that it stands for";
                return Err(LedgerError::damaged(path, number, detail));
            }
            let size = self.found.chain.size;
            self.emptied.spans.entry(self.emptied.segment).or_default().push(size);
            self.passed(Chain { size: size + 1, last: *hash })?;
        }
        Ok(None)
    }

    /// The journal goes on as far as that.
    fn passed(&mut self, chain: Chain) -> Result<(), LedgerError> {
        self.found.chain = chain;
        let (levels, mut met) = (&mut self.found.levels, Ok(()));
        self.found.tree.push(chain.last, |node| {
            if let (Some(levels), Ok(())) = (levels.as_mut(), &met) {
                met = levels.meet(node);
            }
        });
        let tree = self.layout.tree();
        met.map_err(LedgerError::io("read the tree in", &tree))?;
        self.heads.pass(chain, &self.found.tree)
    }

    /// Damage where a signed head speaks of more, or where there is none, is not repaired.
    fn behind_heads(&self, path: &Path, line: u64, detail: &str) -> Result<(), LedgerError> {
        if self.heads.cover_more() || self.heads.count == 0 {
            return Err(LedgerError::damaged(path, line, detail));
        }
        Ok(())
    }

    fn set_aside(&mut self, path: &Path, keep: u64, sequence: u64, whole: bool) {
        let name = format!("{UNPROVEN}{sequence:020}");
        self.found.cuts.push(Cut { file: path.to_owned(), keep, name, whole });
        self.found.unproven = true;
    }
}

impl Found {
    /// Cuts off what does not count, after its bytes are safe in files of their own, and gives the
    /// pieces that no head speaks of yet. Can be repeated after a crash at any point.
    pub(crate) fn repair(&mut self, layout: &Layout) -> Result<Vec<Torn>, LedgerError> {
        let journal = layout.journal();
        for cut in self.cuts.drain(..) {
            let name =
                keep(layout, &cut).map_err(LedgerError::io("keep cut bytes in", &journal))?;
            cut.off(&journal).map_err(LedgerError::io("cut the end off", &cut.file))?;
            if name.starts_with(TORN) {
                tracing::warn!(
                    file = %cut.file.display(), kept = %name,
                    "cut a torn last line, which was never acknowledged"
                );
            } else {
                tracing::error!(
                    file = %cut.file.display(), kept = %name,
                    "set entries aside that this gateway cannot prove to have written"
                );
            }
            if !self.kept.contains(&name) {
                self.kept.push(name);
            }
        }
        let mut torn = Vec::new();
        for name in self.kept.iter().filter(|n| !self.declared.contains(*n)) {
            let path = journal.join(name);
            let hashed = layout.open(&path).and_then(hashed);
            let (bytes, hash) = hashed.map_err(LedgerError::io("read", &path))?;
            torn.push(Torn { name: name.clone(), bytes, hash });
        }
        Ok(torn)
    }
}

impl Cut {
    fn off(&self, journal: &Path) -> io::Result<()> {
        if self.whole {
            fs::remove_file(&self.file)?;
            return sync_dir(journal);
        }
        let file = private().write(true).open(&self.file)?;
        file.set_len(self.keep)?;
        file.sync_all()
    }
}

/// What the record says of the pieces that were set aside because nothing proves them.
pub(crate) fn unproven(
    layout: &Layout,
    macs: &Macs,
    pieces: &[Torn],
) -> Result<Vec<Event>, LedgerError> {
    let pieces = pieces.iter().filter(|piece| piece.name.starts_with(UNPROVEN));
    pieces
        .map(|piece| {
            let path = layout.journal().join(&piece.name);
            let counted = layout.open(&path).and_then(|file| count(file, macs));
            let (lines, coded) = counted.map_err(LedgerError::io("read", &path))?;
            let why = format!(
                "found behind the entries that signed heads and this journal's codes prove; {coded} \
                 of {lines} lines carry a code of this journal, but do not follow"
            );
            let (file, digest) = (format!("journal/{}", piece.name), Digest::from_bytes(piece.hash));
            Ok(Event::Unproven { file, bytes: piece.bytes, digest, why })
        })
        .collect()
}

/// Lines, and those of them with a code of this journal.
fn count(file: File, macs: &Macs) -> io::Result<(u64, u64)> {
    let (mut lines, mut buffer, mut coded) = (Lines::new(file), Vec::new(), 0);
    loop {
        match lines.next(&mut buffer)? {
            Read::Line => {
                let text = buffer.split(|b| *b == b'\t').next().unwrap_or_default();
                coded += u64::from(macs.knows_entry(text));
            }
            Read::Torn | Read::TooLong => {}
            Read::End => return Ok((lines.number, coded)),
        }
    }
}

/// What a recording of a session that was open at a crash is worth.
pub(crate) enum Tape {
    /// Nothing was recorded.
    None,
    /// Every byte is the gateway's.
    Proven(Digest),
    /// Not every byte is.
    Unproven(Box<Event>),
}

/// Follows the codes of a recording to its end.
pub(crate) fn tape(layout: &Layout, macs: &Macs, session: SessionId) -> io::Result<Tape> {
    let path = layout.kept(session, Form::Lines);
    let file = match layout.open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Tape::None),
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => {
            let digest = Digest::from_bytes(crate::chain::sha256(b""));
            return Ok(unproven_tape(session, 0, digest, e.to_string()));
        }
        Err(e) => return Err(e),
    };
    file.sync_all()?;
    let mut lines = Lines::new(file);
    let (mut buffer, mut hash) = (Vec::new(), digest::Context::new(&digest::SHA256));
    let (mut code, mut end) = (macs.begin_recording(session), 0);
    loop {
        let next = match lines.next(&mut buffer)? {
            Read::Line => macs.follow_line(&code, &buffer),
            Read::Torn | Read::TooLong => None,
            Read::End => return Ok(Tape::Proven(Digest::from_bytes(finished(&hash.finish())))),
        };
        let Some(next) = next else { break };
        code = next;
        hash.update(&buffer);
        hash.update(b"\n");
        end = lines.next;
    }
    let (bytes, hash) = hashed(layout.open(&path)?)?;
    let why = format!(
        "the gateway wrote its first {end} bytes, and is not known to have written the rest"
    );
    Ok(unproven_tape(session, bytes, Digest::from_bytes(hash), why))
}

fn unproven_tape(session: SessionId, bytes: u64, digest: Digest, why: String) -> Tape {
    let file = format!("recordings/{session}.jsonl");
    tracing::error!(file, why, "a recording that was open when the gateway stopped is not proven");
    Tape::Unproven(Box::new(Event::Unproven { file, bytes, digest, why }))
}

/// The length and the hash of what is left of a file.
fn hashed(mut file: File) -> io::Result<(u64, Hash)> {
    let mut hash = digest::Context::new(&digest::SHA256);
    let (mut buffer, mut bytes) = (vec![0; 64 * 1024], 0);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((bytes, finished(&hash.finish())));
        }
        hash.update(buffer.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
}

/// Keeps cut bytes in a file of their own. The same bytes are kept once, so that a crash between
/// keeping and cutting leaves one file.
fn keep(layout: &Layout, cut: &Cut) -> io::Result<String> {
    let journal = layout.journal();
    let mut from = layout.open(&cut.file)?;
    for again in 0..1000 {
        let suffix = if again == 0 { String::new() } else { format!(".{again}") };
        let name = format!("{}{suffix}", cut.name);
        let path = journal.join(&name);
        from.seek(SeekFrom::Start(cut.keep))?;
        match private().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                io::copy(&mut from, &mut file)?;
                file.sync_all()?;
                sync_dir(&journal)?;
                return Ok(name);
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                let Ok(file) = layout.open(&path) else { continue };
                if hashed(file.try_clone()?)? == hashed(from.try_clone()?)? {
                    file.sync_all()?;
                    return Ok(name);
                }
            }
            Err(e) => return Err(e),
        }
    }
    Err(io::Error::other("too many pieces set aside at one place"))
}

/// Entries whose contents were removed.
#[derive(Default)]
struct Emptied {
    /// The segment that is being read.
    segment: u64,
    /// By segments.
    spans: BTreeMap<u64, Spans>,
}

impl Emptied {
    /// What nobody announced was removed by somebody else.
    fn check(
        &self,
        layout: &Layout,
        announced: &HashSet<(u64, Digest)>,
    ) -> Result<(), LedgerError> {
        for (segment, spans) in &self.spans {
            if !announced.contains(&(*segment, spans.digest())) {
                let first = spans.first().unwrap_or_default();
                let detail =
                    format!("what entry {first} and others say was removed, and no entry says so");
                return Err(LedgerError::damaged(&layout.segment(*segment), 0, detail));
            }
        }
        Ok(())
    }
}

/// What is open at a point of the journal.
#[derive(Default)]
struct Open {
    requests: HashMap<(Option<SessionId>, RequestId), u64>,
    sessions: HashMap<SessionId, u64>,
    /// Of which segments entries were to say nothing more, and which ones, by their digest.
    announced: HashSet<(u64, Digest)>,
}

#[derive(Deserialize)]
struct Announced {
    segment: u64,
    digest: Digest,
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
            ("intent" | "rehearsed", session, Some(request)) => {
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
            ("contents_removed", ..) => {
                let told: Announced = serde_json::from_slice(entry)
                    .map_err(|e| format!("the entry cannot be read: {e}"))?;
                self.announced.insert((told.segment, told.digest));
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
        let lines = match layout.open(&path) {
            Ok(file) => Some(Lines::new(file)),
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

    /// A head speaks of entries that were not reached yet.
    const fn cover_more(&self) -> bool {
        self.next.is_some()
    }

    /// A head with a root was met: every later one has one.
    fn has_roots(&self) -> bool {
        self.last.as_ref().is_some_and(|(head, _)| head.root.is_some())
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
                let (file, keep) = (self.path.clone(), lines.start);
                self.cut = Some(Cut { file, keep, name, whole: false });
            }
            Read::TooLong => {
                return Err(LedgerError::damaged(&self.path, number, "no head is this long"));
            }
            Read::End => {}
        }
        Ok(())
    }

    /// The chain has reached this point: every head that speaks of it must agree.
    fn pass(&mut self, chain: Chain, tree: &Tree) -> Result<(), LedgerError> {
        while self.next.as_ref().is_some_and(|(head, _)| head.chain.size == chain.size) {
            let next = self.next.take();
            self.count += 1;
            let agrees = |head: &Head| match head.root {
                Some(root) => head.chain == chain && root == tree.root(),
                None => head.chain == chain && !self.has_roots(),
            };
            if next.as_ref().is_some_and(|(head, _)| !agrees(head)) {
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
        let note = match layout.read(&path) {
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
