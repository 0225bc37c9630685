//! Where entries are: following the journal from a position on, and reading single entries again. What an
//! index of the journal is made by, and what it is checked with. Beside the life of a request, also while a
//! gateway is writing.

use crate::chain::{Line, MAX_LINE, sha256};
use crate::layout::Layout;
use crate::read::ReadError;
use crate::recording::RecordedEvent;
use crate::segments::{self, Lines, Read, Segment};
use portcullis_core::digest::Digest;
use portcullis_core::id::{RequestId, SessionId};
use portcullis_core::journal::Entry;
use portcullis_core::time::Timestamp;
use serde::Deserialize;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
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
}

impl Found<'_> {
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

/// The entries from a position on, as far as the journal goes now. One is in memory at a time.
pub struct Tail {
    layout: Layout,
    segments: std::vec::IntoIter<Segment>,
    current: Option<(Segment, Lines)>,
    buffer: Vec<u8>,
    position: Position,
    passed_over: u64,
    /// Of these, since the last entry: so many entries may be missing where the next one stands.
    since: u64,
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
        segments.retain(|segment| segment.first >= from.segment);
        let segments = segments.into_iter();
        let buffer = Vec::new();
        Ok(Self {
            layout,
            segments,
            current: None,
            buffer,
            position: from,
            passed_over: 0,
            since: 0,
        })
    }

    /// How far it has come.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Lines so far that are no entry: somebody else wrote there. What they are is for `portcullis audit verify`
    /// to say; one of them keeps nobody from reading the others.
    #[must_use]
    pub const fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// The next entry whose line is whole by its hash; `None` where the journal ends now.
    ///
    /// # Errors
    /// [`ReadError`]; also where it is not the entry that has to be there: of more entries than there are
    /// broken lines nothing is told.
    #[expect(clippy::should_implement_trait, reason = "what it gives borrows from it")]
    pub fn next(&mut self) -> Result<Option<Found<'_>>, ReadError> {
        loop {
            if self.current.is_none() && !self.advance()? {
                return Ok(None);
            }
            let Some((segment, lines)) = self.current.as_mut() else { return Ok(None) };
            match lines.next(&mut self.buffer).map_err(io_error(&segment.path))? {
                Read::Line => {
                    let line = Line::parse(&self.buffer);
                    let whole = line.filter(|line| sha256(line.text) == line.hash);
                    if let Some(sequence) = whole.map(|line| line.sequence) {
                        let ahead = sequence.checked_sub(self.position.sequence);
                        if ahead.is_some_and(|ahead| ahead <= self.since) {
                            break;
                        }
                        return Err(ReadError::Unreadable {
                            file: segment.path.clone(),
                            line: lines.number,
                            detail: "the entry is out of sequence".to_owned(),
                        });
                    }
                    (self.passed_over, self.since) = (self.passed_over + 1, self.since + 1);
                }
                // An unfinished line is being written, or will be cut on recovery.
                Read::Torn | Read::TooLong | Read::End => self.current = None,
            }
        }
        let Some((segment, lines)) = &self.current else { return Ok(None) };
        let Some(line) = Line::parse(&self.buffer) else { return Ok(None) };
        let length = self.buffer.len() as u64;
        let location = Location { segment: segment.first, offset: lines.start, length };
        let (sequence, offset) = (line.sequence, lines.next);
        self.since = 0;
        self.position = Position { sequence: sequence + 1, segment: segment.first, offset };
        Ok(Some(Found { sequence, location, json: line.entry }))
    }

    /// Goes to the next segment; false where there is none.
    fn advance(&mut self) -> Result<bool, ReadError> {
        let Some(segment) = self.segments.next() else { return Ok(false) };
        let mut file = self.layout.open(&segment.path).map_err(io_error(&segment.path))?;
        let from = if segment.first == self.position.segment { self.position.offset } else { 0 };
        file.seek(SeekFrom::Start(from)).map_err(io_error(&segment.path))?;
        let mut lines = Lines::new(file);
        lines.next = from;
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
        Ok(Found { sequence: line.sequence, location: at, json: line.entry })
    }
}

/// How a recording ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wholeness {
    /// Nothing was recorded: there is no file.
    Absent,
    /// It ends with a whole line.
    Whole,
    /// It ends in the middle of a line, or with what is none.
    Cut,
}

/// The events of a session's recording, one in memory at a time.
pub struct RecordedEvents {
    path: PathBuf,
    lines: Option<Lines>,
    buffer: Vec<u8>,
    ends: Wholeness,
}

/// When it was recorded, during which request, and what.
pub type Recorded = (Option<Timestamp>, Option<RequestId>, RecordedEvent);

impl RecordedEvents {
    /// Of this session, from a number of bytes on.
    ///
    /// # Errors
    /// [`ReadError::Io`] where there is a file that cannot be read.
    pub fn open(dir: &Path, session: SessionId, from: u64) -> Result<Self, ReadError> {
        let layout = Layout::new(dir);
        let path = layout.recording(session);
        let (lines, ends) = match layout.open(&path) {
            Ok(mut file) => {
                file.seek(SeekFrom::Start(from)).map_err(io_error(&path))?;
                let mut lines = Lines::new(file);
                lines.next = from;
                (Some(lines), Wholeness::Whole)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => (None, Wholeness::Absent),
            Err(e) => return Err(io_error(&path)(e)),
        };
        Ok(Self { path, lines, buffer: Vec::new(), ends })
    }

    /// Bytes of whole lines so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        let lines = self.lines.as_ref();
        lines.map_or(0, |lines| if self.ends == Wholeness::Cut { lines.start } else { lines.next })
    }

    /// How it ends, as far as it was read.
    #[must_use]
    pub const fn ends(&self) -> Wholeness {
        self.ends
    }

    /// The next event; `None` at the end. A line that is none ends it: what stands behind it is not shown.
    ///
    /// # Errors
    /// [`ReadError::Io`].
    #[expect(clippy::should_implement_trait, reason = "it fails where iterators do not")]
    pub fn next(&mut self) -> Result<Option<Recorded>, ReadError> {
        let Some(lines) = self.lines.as_mut().filter(|_| self.ends == Wholeness::Whole) else {
            return Ok(None);
        };
        loop {
            match lines.next(&mut self.buffer).map_err(io_error(&self.path))? {
                Read::Line if lines.start == 0 => {}
                Read::Line => match parse::<RecordedEvent>(&self.buffer) {
                    Ok(event) => return Ok(Some(placed(event))),
                    Err(_) => break,
                },
                Read::End => return Ok(None),
                Read::Torn | Read::TooLong => break,
            }
        }
        self.ends = Wholeness::Cut;
        Ok(None)
    }
}

pub(crate) fn placed(event: RecordedEvent) -> Recorded {
    let (at, request) = match &event {
        RecordedEvent::Answer(sample) => (Some(sample.at), Some(sample.request)),
        RecordedEvent::Message { at, request, .. } => (Some(*at), *request),
        RecordedEvent::Limit { .. } => (None, None),
    };
    (at, request, event)
}

/// The file of a recording.
pub struct RecordingFile {
    file: File,
    /// Its bytes when it was opened.
    pub bytes: u64,
}

impl RecordingFile {
    /// Of this session; `None` where nothing was recorded.
    ///
    /// # Errors
    /// [`ReadError::Io`].
    pub fn open(dir: &Path, session: SessionId) -> Result<Option<Self>, ReadError> {
        let layout = Layout::new(dir);
        let path = layout.recording(session);
        match layout.open(&path) {
            Ok(file) => {
                let bytes = file.metadata().map_err(io_error(&path))?.len();
                Ok(Some(Self { file, bytes }))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io_error(&path)(e)),
        }
    }

    /// What the bytes it had when it was opened hash to (SHA-256).
    ///
    /// # Errors
    /// Those of reading.
    pub fn digest(&mut self) -> io::Result<Digest> {
        let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        let mut piece = vec![0; 256 * 1024];
        self.file.seek(SeekFrom::Start(0))?;
        let mut left = (&mut self.file).take(self.bytes);
        loop {
            let count = left.read(&mut piece)?;
            if count == 0 {
                break;
            }
            hash.update(piece.get(..count).unwrap_or_default());
        }
        Ok(Digest::from_bytes(crate::chain::finished(&hash.finish())))
    }

    /// Some bytes from an offset on; none at its end.
    ///
    /// # Errors
    /// Those of reading.
    pub fn piece(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let room = usize::try_from(self.bytes.saturating_sub(offset)).unwrap_or(most).min(most);
        let mut piece = vec![0; room];
        let count = self.file.read_at(&mut piece, offset)?;
        piece.truncate(count);
        Ok(piece)
    }
}
