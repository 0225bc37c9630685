//! Where entries are: following the journal from a position on, and reading single entries again. What an
//! index of the journal is made by, and what it is checked with. Beside the life of a request, also while a
//! gateway is writing.

use crate::chain::{Hash, Line, MAX_LINE, sha256};
use crate::layout::Layout;
use crate::read::ReadError;
use crate::removed::Run;
use crate::segments::{self, Lines, Read, Segment};
use portcullis_core::digest::Digest;
use portcullis_core::id::SessionId;
use portcullis_core::journal::Entry;
use portcullis_core::time::Timestamp;
use serde::Deserialize;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Where a line of the journal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The number of the first entry of its segment.
    pub segment: u64,
    /// Bytes before it in the segment.
    pub offset: u64,
    /// Its bytes, without the line feed.
    pub length: u64,
}

/// How far a journal was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// The number of the next entry.
    pub sequence: u64,
    /// Its segment, by the number of its first entry.
    pub segment: u64,
    /// Bytes before it there.
    pub offset: u64,
}

/// What an index keeps of an entry.
#[derive(Debug, Deserialize)]
pub struct Facts<'a> {
    /// When.
    pub at: Timestamp,
    /// What, by the word of the journal.
    #[serde(borrow)]
    pub event: Cow<'a, str>,
    /// In which session.
    pub session: Option<SessionId>,
    /// True where the gateway asks by itself.
    #[serde(default)]
    pub of_gateway: bool,
}

/// An entry that was come to.
#[derive(Debug)]
pub struct Found<'a> {
    /// Its number.
    pub sequence: u64,
    /// Where it is.
    pub location: Location,
    json: &'a [u8],
    text: &'a [u8],
    hash: Hash,
    prev: Hash,
}

impl<'a> Found<'a> {
    /// What a line is that was looked at.
    pub(crate) const fn of(line: &Line<'a>, location: Location) -> Self {
        let Line { sequence, entry: json, text, hash, prev } = *line;
        Found { sequence, location, json, text, hash, prev }
    }
}

impl Found<'_> {
    /// Its line without the hash: what is hashed (`FORMAT.md`, Entries).
    #[must_use]
    pub const fn text(&self) -> &[u8] {
        self.text
    }

    /// The hash of that, which was compared with the one in the line.
    #[must_use]
    pub const fn hash(&self) -> Digest {
        Digest::from_bytes(self.hash)
    }

    /// The hash of the entry before it, as the entry says; zeros in the first.
    #[must_use]
    pub const fn prev(&self) -> Digest {
        Digest::from_bytes(self.prev)
    }

    /// The entry alone, as JSON.
    #[must_use]
    pub const fn json(&self) -> &[u8] {
        self.json
    }

    /// What an index keeps of it.
    ///
    /// # Errors
    /// What cannot be read in it.
    pub fn facts(&self) -> Result<Facts<'_>, String> {
        parse(self.json)
    }

    /// All of it.
    ///
    /// # Errors
    /// What cannot be read in it.
    pub fn entry(&self) -> Result<Entry, String> {
        parse(self.json)
    }
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(json).map_err(|e| format!("the entry cannot be read: {e}"))
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> ReadError {
    let path = path.to_owned();
    move |source| ReadError::Io { path, source }
}

/// What of a segment was passed over, because nothing in it is the entry that has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassedOver {
    /// The segment, by the number of its first entry.
    pub segment: u64,
    /// Bytes before the first of it.
    pub offset: u64,
    /// The number of the entry that has to be there.
    pub sequence: u64,
    /// Lines that are no entry, or not one that belongs there.
    pub lines: u64,
    /// Entries that are missing where it goes on.
    pub missing: u64,
}

impl PassedOver {
    /// Adds what was passed over later to what is known of each segment.
    pub fn add(known: &mut Vec<Self>, more: Self) {
        match known.iter_mut().find(|one| one.segment == more.segment) {
            Some(one) => {
                one.lines = one.lines.saturating_add(more.lines);
                one.missing = one.missing.saturating_add(more.missing);
            }
            None => known.push(more),
        }
    }
}

/// The name of a segment, below the directory of the ledger.
#[must_use]
pub fn segment_file(segment: u64) -> PathBuf {
    Layout::new(Path::new("")).segment(segment)
}

/// The name of a ledger, by the verifier key of its heads: origin and key id.
///
/// # Errors
/// [`ReadError::Io`] where there is no such key, or it cannot be read.
pub fn name(dir: &Path) -> Result<String, ReadError> {
    let path = Layout::new(dir).keys().join("journal.ed25519.pub");
    let text = Layout::new(dir).read(&path).map_err(io_error(&path))?;
    // `<origin>+<id>+<key>`; an origin holds no `+`.
    let mut parts = text.trim().splitn(3, '+');
    let (origin, id) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    Ok(format!("{origin}+{id}"))
}

/// The segments that are there and cannot be opened: who follows the journal passes over them.
///
/// # Errors
/// [`ReadError::Io`] where the journal cannot be listed.
pub fn unopened(dir: &Path) -> Result<Vec<u64>, ReadError> {
    let layout = Layout::new(dir);
    let journal = layout.journal();
    let (segments, _) = segments::list(&journal).map_err(io_error(&journal))?;
    let closed = segments.iter().filter(|segment| layout.open(&segment.path).is_err());
    Ok(closed.map(|segment| segment.first).collect())
}

/// A whole line that is further on than its place: entries are missing before it, or somebody wrote it there.
#[derive(Clone, Copy)]
struct Ahead {
    sequence: u64,
    hash: Hash,
    offset: u64,
}

/// The entries from a position on, as far as the journal goes now. One is in memory at a time.
///
/// What is no entry is passed over, and told ([`Tail::passed_over`]): what it is is for `portcullis audit
/// verify` to say, and it keeps nobody from reading the others. Entries are given in the order of their
/// numbers. One whose number is further on than the lines before it explain is believed when the next line
/// is chained to it; a single one, anybody could have put there to hide those behind it.
pub struct Tail {
    layout: Layout,
    segments: std::vec::IntoIter<Segment>,
    current: Option<(Segment, Lines)>,
    buffer: Vec<u8>,
    position: Position,
    /// The number that the next entry has to have.
    expected: u64,
    ahead: Option<Ahead>,
    /// How many entries were come to whose contents are removed.
    removed: u64,
    /// Before the last entry.
    passed: Vec<PassedOver>,
    /// Behind it.
    pending: Vec<PassedOver>,
}

impl Tail {
    /// Of the ledger in `dir`.
    ///
    /// # Errors
    /// [`ReadError::Io`] where the journal cannot be listed.
    pub fn open(dir: &Path, from: Position) -> Result<Self, ReadError> {
        let layout = Layout::new(dir);
        let journal = layout.journal();
        let (mut segments, _) = segments::list(&journal).map_err(io_error(&journal))?;
        segments.retain(|segment| {
            segment.first >= from.segment && segment.first < i64::MAX.unsigned_abs()
        });
        Ok(Self {
            layout,
            segments: segments.into_iter(),
            current: None,
            buffer: Vec::new(),
            position: from,
            expected: from.sequence,
            ahead: None,
            removed: 0,
            passed: Vec::new(),
            pending: Vec::new(),
        })
    }

    /// How far it has come.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// What was passed over before the entry that was come to last, by segments.
    #[must_use]
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed
    }

    /// How many entries were come to whose contents were removed by the rules of retention.
    #[must_use]
    pub const fn removed(&self) -> u64 {
        self.removed
    }

    /// What was passed over behind it: who reads from the position on meets it again.
    #[must_use]
    pub fn pending(&self) -> &[PassedOver] {
        &self.pending
    }

    /// The next entry whose line is whole by its hash; `None` where the journal ends now.
    ///
    /// # Errors
    /// [`ReadError::Io`].
    #[expect(clippy::should_implement_trait, reason = "what it gives borrows from it")]
    pub fn next(&mut self) -> Result<Option<Found<'_>>, ReadError> {
        loop {
            if self.current.is_none() && !self.advance()? {
                return Ok(None);
            }
            let Some((segment, lines)) = self.current.as_mut() else { return Ok(None) };
            match lines.next(&mut self.buffer).map_err(io_error(&segment.path))? {
                Read::Line if self.is_next()? => break,
                Read::Line => {}
                Read::TooLong => {
                    self.skip()?;
                    self.pass_over();
                }
                // The last line of all is being written, or will be cut on recovery.
                Read::Torn => {
                    if !self.segments.as_slice().is_empty() {
                        self.pass_over();
                    }
                    self.current = None;
                }
                Read::End => self.current = None,
            }
        }
        let Some((segment, lines)) = &self.current else { return Ok(None) };
        let Some(line) = Line::parse(&self.buffer) else { return Ok(None) };
        let length = self.buffer.len() as u64;
        let location = Location { segment: segment.first, offset: lines.start, length };
        let (sequence, offset) = (line.sequence, lines.next);
        self.expected = sequence + 1;
        self.position = Position { sequence: sequence + 1, segment: segment.first, offset };
        for one in self.pending.drain(..) {
            PassedOver::add(&mut self.passed, one);
        }
        Ok(Some(Found::of(&line, location)))
    }

    /// Whether the line in the buffer is the next entry; one that is not is passed over.
    fn is_next(&mut self) -> Result<bool, ReadError> {
        let line = Line::parse(&self.buffer).filter(|line| sha256(line.text) == line.hash);
        // A number that none can follow is none, nor is one from before its segment.
        let first = self.current.as_ref().map_or(0, |(segment, _)| segment.first);
        let line = line.filter(|line| (first..i64::MAX.unsigned_abs()).contains(&line.sequence));
        let Some(line) = line else {
            self.ahead = None;
            match Run::parse(&self.buffer) {
                Some(run) if (run.first..run.end()).contains(&self.expected) => {
                    self.removed += run.end() - self.expected;
                    self.expected = run.end();
                }
                _ => self.pass_over(),
            }
            return Ok(false);
        };
        let lines: u64 = self.pending.iter().map(|one| one.lines).sum();
        let (sequence, hash) = (line.sequence, line.hash);
        let missing = sequence.checked_sub(self.expected);
        if missing.is_some_and(|missing| missing <= lines) {
            self.ahead = None;
            self.miss(missing.unwrap_or_default());
            return Ok(true);
        }
        let before = self.ahead.take();
        let chained = before.filter(|one| sequence == one.sequence + 1 && line.prev == one.hash);
        let Some((segment, lines)) = self.current.as_mut() else { return Ok(false) };
        if let Some(first) = chained {
            lines.seek(first.offset).map_err(io_error(&segment.path))?;
            self.miss(first.sequence.saturating_sub(self.expected));
            self.expected = first.sequence;
            // It was counted, and is an entry after all.
            if let Some(last) = self.pending.last_mut() {
                last.lines = last.lines.saturating_sub(1);
            }
            return Ok(false);
        }
        self.ahead = missing.map(|_| Ahead { sequence, hash, offset: lines.start });
        self.pass_over();
        Ok(false)
    }

    fn skip(&mut self) -> Result<(), ReadError> {
        let Some((segment, lines)) = self.current.as_mut() else { return Ok(()) };
        lines.skip().map_err(io_error(&segment.path))
    }

    /// The line that was read last is passed over.
    fn pass_over(&mut self) {
        self.tell(1, 0);
    }

    fn miss(&mut self, missing: u64) {
        if missing > 0 {
            self.tell(0, missing);
        }
    }

    fn tell(&mut self, lines: u64, missing: u64) {
        let Some((segment, at)) = &self.current else { return };
        let (segment, offset, sequence) = (segment.first, at.start, self.expected);
        let more = PassedOver { segment, offset, sequence, lines, missing };
        PassedOver::add(&mut self.pending, more);
    }

    /// Goes to the next segment; false where there is none.
    fn advance(&mut self) -> Result<bool, ReadError> {
        let (segment, file) = loop {
            let Some(segment) = self.segments.next() else { return Ok(false) };
            match self.layout.open(&segment.path) {
                Ok(file) => break (segment, file),
                // It has gone just now, is no plain file, or not the gateway's: its entries are missing.
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => {}
                Err(e) if e.kind() == ErrorKind::PermissionDenied => {}
                Err(e) => return Err(io_error(&segment.path)(e)),
            }
        };
        let from = if segment.first == self.position.segment { self.position.offset } else { 0 };
        let mut lines = Lines::new(file);
        lines.seek(from).map_err(io_error(&segment.path))?;
        self.ahead = None;
        self.current = Some((segment, lines));
        Ok(true)
    }
}

/// Reads entries by where they are.
pub struct Entries {
    layout: Layout,
    open: Option<(u64, PathBuf, File)>,
    buffer: Vec<u8>,
}

impl Entries {
    /// Of the ledger in `dir`.
    #[must_use]
    pub fn of(dir: &Path) -> Self {
        Self { layout: Layout::new(dir), open: None, buffer: Vec::new() }
    }

    /// The entry at a place, with its number. That its line is whole is checked by its hash.
    ///
    /// # Errors
    /// [`ReadError`]; also where no entry is there.
    pub fn read(&mut self, at: Location) -> Result<Found<'_>, ReadError> {
        if self.open.as_ref().is_none_or(|(segment, ..)| *segment != at.segment) {
            let path = self.layout.segment(at.segment);
            let file = self.layout.open(&path).map_err(io_error(&path))?;
            self.open = Some((at.segment, path, file));
        }
        let Some((_, path, file)) = &self.open else {
            return Err(ReadError::Moved);
        };
        let length = usize::try_from(at.length).ok().filter(|length| *length <= MAX_LINE);
        self.buffer.resize(length.ok_or(ReadError::Moved)?, 0);
        match file.read_exact_at(&mut self.buffer, at.offset) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Err(ReadError::Moved),
            Err(e) => return Err(io_error(path)(e)),
        }
        let line = Line::parse(&self.buffer).filter(|line| sha256(line.text) == line.hash);
        let line = line.ok_or(ReadError::Moved)?;
        Ok(Found::of(&line, at))
    }
}
