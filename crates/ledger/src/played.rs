//! Recordings read back: of sessions that run, and of those that are kept. Beside the life of a request.

use crate::chain::MAX_LINE;
use crate::keep::Form;
use crate::layout::Layout;
use crate::lines::LineKey;
use crate::read::ReadError;
use crate::recording::RecordedEvent;
use portcullis_age::{Identity, OpenError, Opener};
use portcullis_core::digest::Digest;
use portcullis_core::id::{RequestId, SessionId};
use portcullis_core::time::Timestamp;
use serde::Deserialize;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Bytes of the first line, at most: it has the key, sealed to each recipient.
const FIRST: u64 = 512 * 1024;
/// Bytes of a recording that is unpacked, at most.
const MOST: u64 = 4 << 30;

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
    /// There is one, and none of the keys at hand opens it.
    Sealed,
}

/// How far a recording was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reached {
    /// The number of the next event, from 1; 0 where nothing was read.
    event: u64,
    /// Where it begins, in the file of a session that runs.
    offset: u64,
}

/// When it was recorded, during which request, and what.
pub type Recorded = (Option<Timestamp>, Option<RequestId>, RecordedEvent);

/// The events of a session's recording, one in memory at a time.
pub struct RecordedEvents {
    path: PathBuf,
    lines: Option<Box<dyn BufRead + Send>>,
    key: Option<LineKey>,
    buffer: Vec<u8>,
    reached: Reached,
    bytes: u64,
    ends: Wholeness,
}

/// The first line of a recording.
#[derive(Deserialize)]
struct First {
    recording: String,
    /// What its lines are sealed with, sealed.
    key: Option<String>,
}

impl RecordedEvents {
    /// Of this session, from where it was read before; with keys for what is sealed.
    ///
    /// # Errors
    /// [`ReadError::Io`] where there is a file that cannot be read.
    pub fn open(
        dir: &Path,
        session: SessionId,
        from: Reached,
        keys: &[Identity],
    ) -> Result<Self, ReadError> {
        let layout = Layout::new(dir);
        let (path, ends) = (layout.kept(session, Form::Lines), Wholeness::Absent);
        let (lines, key, buffer, reached) = (None, None, Vec::new(), Reached::default());
        let mut events = Self { path, lines, key, buffer, reached, bytes: 0, ends };
        let Some((form, path, file)) = find(&layout, session)? else {
            return Ok(events);
        };
        events.path = path;
        events.start(session, form, file, from, keys)?;
        Ok(events)
    }

    fn start(
        &mut self,
        session: SessionId,
        form: Form,
        file: File,
        from: Reached,
        keys: &[Identity],
    ) -> Result<(), ReadError> {
        let path = self.path.clone();
        let again = (form == Form::Lines).then(|| file.try_clone()).transpose();
        let again = again.map_err(io_error(&path))?;
        let mut lines = match opened(form, file, keys) {
            Ok(Some(lines)) => lines,
            Ok(None) => {
                self.ends = Wholeness::Sealed;
                return Ok(());
            }
            Err(error) if error.raw_os_error().is_some() => return Err(io_error(&path)(error)),
            Err(_) => {
                self.ends = Wholeness::Cut;
                return Ok(());
            }
        };
        self.ends = Wholeness::Whole;
        let length = self.read(&mut lines, FIRST)?;
        self.reached = Reached { event: 1, offset: length };
        match serde_json::from_slice::<First>(&self.buffer) {
            _ if length == 0 => {}
            Ok(first) if first.recording.starts_with("portcullis-recording/") => {
                if let Some(key) = first.key {
                    self.key = LineKey::unwrap(session, &key, keys);
                    if self.key.is_none() {
                        self.ends = Wholeness::Sealed;
                        return Ok(());
                    }
                }
            }
            _ => self.ends = Wholeness::Cut,
        }
        self.lines = Some(lines);
        match again {
            Some(mut file) if from.event > 1 => {
                file.seek(SeekFrom::Start(from.offset)).map_err(io_error(&path))?;
                self.lines = Some(Box::new(BufReader::with_capacity(256 * 1024, file)));
                self.reached = from;
            }
            _ => self.skip(from)?,
        }
        self.bytes = 0;
        Ok(())
    }

    /// Passes over what was read before.
    fn skip(&mut self, from: Reached) -> Result<(), ReadError> {
        while self.reached.event < from.event && self.line()?.is_some() {}
        Ok(())
    }

    /// How far it was read, in whole events.
    #[must_use]
    pub const fn reached(&self) -> Reached {
        self.reached
    }

    /// Bytes of the events that were read.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How it ends, as far as it was read.
    #[must_use]
    pub const fn ends(&self) -> Wholeness {
        self.ends
    }

    /// The file it is read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a line into the buffer, and gives its bytes: none at the end. What a kept file should have and
    /// has not ends it as cut.
    fn read(&mut self, lines: &mut impl BufRead, most: u64) -> Result<u64, ReadError> {
        self.buffer.clear();
        match lines.take(most).read_until(b'\n', &mut self.buffer) {
            Ok(length) => Ok(length as u64),
            Err(error) if error.raw_os_error().is_some() => Err(io_error(&self.path)(error)),
            Err(_) => {
                self.ends = Wholeness::Cut;
                Ok(0)
            }
        }
    }

    /// The JSON of the next event.
    fn line(&mut self) -> Result<Option<()>, ReadError> {
        let Some(mut lines) = self.lines.take().filter(|_| self.ends == Wholeness::Whole) else {
            return Ok(None);
        };
        // What is sealed is a third longer, and no longer than that.
        let length = self.read(&mut lines, MAX_LINE as u64 * 2)?;
        self.lines = Some(lines);
        if length == 0 {
            return Ok(None);
        }
        let whole = self.buffer.pop() == Some(b'\n');
        let opened = match &self.key {
            Some(key) if whole => match key.open(self.reached.event, &self.buffer) {
                Some(json) => {
                    self.buffer = json;
                    true
                }
                None => false,
            },
            _ => whole && self.buffer.len() <= MAX_LINE,
        };
        if !opened {
            self.ends = Wholeness::Cut;
            return Ok(None);
        }
        self.reached =
            Reached { event: self.reached.event + 1, offset: self.reached.offset + length };
        self.bytes += self.buffer.len() as u64;
        Ok(Some(()))
    }

    /// The next event; `None` at the end. A line that is none ends it: what stands behind it is not shown.
    ///
    /// # Errors
    /// [`ReadError::Io`].
    #[expect(clippy::should_implement_trait, reason = "it fails where iterators do not")]
    pub fn next(&mut self) -> Result<Option<Recorded>, ReadError> {
        let before = self.reached;
        if self.line()?.is_none() {
            return Ok(None);
        }
        match serde_json::from_slice::<RecordedEvent>(&self.buffer) {
            Ok(event) => Ok(Some(placed(event))),
            Err(_) => {
                self.reached = before;
                self.ends = Wholeness::Cut;
                Ok(None)
            }
        }
    }
}

/// The file of a recording: while both are there, the lines are what is still written to.
pub(crate) fn find(
    layout: &Layout,
    session: SessionId,
) -> Result<Option<(Form, PathBuf, File)>, ReadError> {
    for form in Form::ALL {
        let path = layout.kept(session, form);
        match layout.open(&path) {
            Ok(file) => return Ok(Some((form, path, file))),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(io_error(&path)(e)),
        }
    }
    Ok(None)
}

/// The lines of a file; `None` where no key opens it.
fn opened(
    form: Form,
    file: File,
    keys: &[Identity],
) -> io::Result<Option<Box<dyn BufRead + Send>>> {
    let file = BufReader::with_capacity(256 * 1024, file);
    Ok(Some(match form {
        Form::Lines => Box::new(file),
        Form::Packed => unpacked(file)?,
        Form::Sealed => match Opener::new(file, keys) {
            Ok(opener) => unpacked(BufReader::new(opener))?,
            Err(OpenError::NotForUs) => return Ok(None),
            Err(OpenError::Io(error)) => return Err(error),
            Err(error) => return Err(io::Error::new(ErrorKind::InvalidData, error.to_string())),
        },
    }))
}

/// Not without end, whatever somebody has put there.
fn unpacked(from: impl BufRead + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let decoder = zstd::Decoder::with_buffer(from)?.take(MOST);
    Ok(Box::new(BufReader::with_capacity(256 * 1024, decoder)))
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> ReadError {
    let path = path.to_owned();
    move |source| ReadError::Io { path, source }
}

fn placed(event: RecordedEvent) -> Recorded {
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
    /// What it is.
    pub form: Form,
    /// Its bytes when it was opened.
    pub bytes: u64,
}

impl RecordingFile {
    /// Of this session; `None` where nothing was recorded.
    ///
    /// # Errors
    /// [`ReadError::Io`].
    pub fn open(dir: &Path, session: SessionId) -> Result<Option<Self>, ReadError> {
        let Some((form, path, file)) = find(&Layout::new(dir), session)? else {
            return Ok(None);
        };
        let bytes = file.metadata().map_err(io_error(&path))?.len();
        Ok(Some(Self { file, form, bytes }))
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
