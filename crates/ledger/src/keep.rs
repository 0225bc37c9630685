//! Recordings that are kept once their sessions are over: compressed, and sealed to whoever alone may open
//! them. Beside the life of a request: after a session.
//!
//! The order is what a crash may interrupt anywhere: the kept file is written and synced under a name that says
//! it is not whole, then named; the journal gets its digest; and only then is what was written while the session
//! ran removed. What a crash left of both is told apart by the digest, when the ledger is next opened.

use crate::chain::{MAX_LINE, finished};
use crate::layout::{Layout, sync_dir};
use crate::lines::LineKey;
use crate::read::{self, ReadError};
use crate::recording::KEPT;
use crate::storage::{RecordingFile, Storage};
use aws_lc_rs::digest;
use portcullis_age::{Recipient, Sealer};
use portcullis_core::digest::Digest;
use portcullis_core::id::SessionId;
use portcullis_core::journal::Event;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::sync::Arc;
use zstd::bulk::Compressor;

/// Bytes that are compressed by themselves: whoever reads one part of a recording need not keep it all.
const FRAME: usize = 1024 * 1024;
/// The level at which zstd is at its best per second.
const LEVEL: i32 = 3;
/// What a file that is not whole ends with.
pub(crate) const UNFINISHED: &str = ".new";

/// What the file of a recording is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// Lines, as they are written while a session runs.
    Lines,
    /// Those, compressed with zstd.
    Packed,
    /// Compressed, and sealed as age does.
    Sealed,
}

impl Form {
    /// All of them, in the order in which they are looked for.
    pub const ALL: [Self; 3] = [Self::Lines, Self::Packed, Self::Sealed];

    /// What its name ends with.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Lines => ".jsonl",
            Self::Packed => ".jsonl.zst",
            Self::Sealed => ".jsonl.zst.age",
        }
    }

    /// Session and form of a file in `recordings`.
    pub(crate) fn of_name(name: &str) -> Option<(SessionId, Self)> {
        let (session, suffix) = name.split_once('.')?;
        let form =
            Self::ALL.into_iter().find(|form| form.suffix().strip_prefix('.') == Some(suffix))?;
        Some((session.parse().ok()?, form))
    }
}

/// What a finished recording is.
#[must_use = "what was written while the session ran is still there: `settle` removes it"]
pub struct Kept {
    digest: Digest,
    /// What is left to do once the journal has the digest.
    settling: Option<(Arc<dyn Storage>, SessionId)>,
}

impl Kept {
    /// SHA-256 of the file that is kept, for the journal's `SessionClosed`.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Removes what was written while the session ran: call it once the digest is durable in the journal.
    /// What it cannot remove goes when the ledger is next opened.
    pub async fn settle(self) {
        let Some((storage, session)) = self.settling else { return };
        let forgotten = tokio::task::spawn_blocking(move || storage.forget(session)).await;
        if let Ok(Err(error)) = forgotten {
            tracing::warn!(%session, %error, "the lines of a kept recording could not be removed");
        }
    }
}

/// A recording whose session is over.
pub(crate) struct Packing {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) session: SessionId,
    pub(crate) recipients: Arc<[Recipient]>,
    pub(crate) key: Option<Arc<LineKey>>,
}

impl Packing {
    /// Keeps what was written, with this digest, in its form. What cannot be packed is kept as it is: it is
    /// as closed, only larger.
    pub(crate) fn keep(self, written: Digest, file: &mut dyn RecordingFile) -> io::Result<Kept> {
        let session = self.session;
        match self.pack(written) {
            Ok(digest) => Ok(Kept { digest, settling: Some((self.storage, session)) }),
            Err(error) => {
                tracing::warn!(%session, %error, "a recording is kept as it was written, not compressed");
                file.sync()?;
                Ok(Kept { digest: written, settling: None })
            }
        }
    }

    fn pack(&self, written: Digest) -> io::Result<Digest> {
        let form = if self.key.is_some() { Form::Sealed } else { Form::Packed };
        let file = self.storage.pack(self.session, form)?;
        let mut out = Hashed { inner: file, hash: context() };
        let mut from = Hashed { inner: self.storage.reread(self.session)?, hash: context() };
        match &self.key {
            None => {
                let mut frames = Frames::new(&mut out)?;
                io::copy(&mut from, &mut frames)?;
                frames.finish()?;
            }
            Some(key) => {
                let mut frames = Frames::new(Sealer::new(&mut out, &self.recipients)?)?;
                self.open_lines(key, &mut from, &mut frames)?;
                frames.finish()?.finish()?;
            }
        }
        // What was put there by somebody else meanwhile must not get the gateway's word.
        if from.digest() != written {
            return Err(io::Error::other("its file is not what was written to it"));
        }
        out.inner.sync()?;
        let digest = out.digest();
        self.storage.keep(self.session, form)?;
        Ok(digest)
    }

    /// Writes the events of sealed lines.
    fn open_lines(
        &self,
        key: &LineKey,
        from: &mut impl Read,
        to: &mut impl Write,
    ) -> io::Result<()> {
        let bad = || io::Error::other("a line of it does not open");
        let (mut from, mut line) = (BufReader::with_capacity(FRAME / 4, from), Vec::new());
        for number in 0.. {
            line.clear();
            if (&mut from).take(MAX_LINE as u64 * 2).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if number == 0 {
                writeln!(to, "{{\"recording\":\"{KEPT}\",\"session\":\"{}\"}}", self.session)?;
                continue;
            }
            to.write_all(
                &key.open(number, line.strip_suffix(b"\n").ok_or_else(bad)?).ok_or_else(bad)?,
            )?;
            to.write_all(b"\n")?;
        }
        Ok(())
    }
}

fn context() -> digest::Context {
    digest::Context::new(&digest::SHA256)
}

/// What goes through it, hashed.
struct Hashed<T> {
    inner: T,
    hash: digest::Context,
}

impl<T> Hashed<T> {
    fn digest(&self) -> Digest {
        Digest::from_bytes(finished(&self.hash.clone().finish()))
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.hash.update(into.get(..count).unwrap_or_default());
        Ok(count)
    }
}

impl Write for Hashed<Box<dyn RecordingFile>> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)?;
        self.hash.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compresses what is written to it in frames, each by itself (RFC 8878, section 3.1).
struct Frames<W> {
    to: W,
    compressor: Compressor<'static>,
    frame: Vec<u8>,
}

impl<W: Write> Frames<W> {
    fn new(to: W) -> io::Result<Self> {
        let mut compressor = Compressor::new(LEVEL)?;
        compressor.include_checksum(true)?;
        Ok(Self { to, compressor, frame: Vec::new() })
    }

    fn put(&mut self) -> io::Result<()> {
        if !self.frame.is_empty() {
            self.to.write_all(&self.compressor.compress(&self.frame)?)?;
            self.frame.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<W> {
        self.put()?;
        Ok(self.to)
    }
}

impl<W: Write> Write for Frames<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(FRAME - self.frame.len());
        self.frame.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        if self.frame.len() == FRAME {
            self.put()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Removes what a crash left of recordings besides the one file that counts: of sessions that were open
/// everything but their lines, of others everything but what the journal names. Where nothing is named,
/// everything stays.
pub(crate) fn tidy(layout: &Layout, open: &[SessionId]) -> Result<(), ReadError> {
    let directory = layout.recordings();
    let io = |source| ReadError::Io { path: directory.clone(), source };
    let (mut forms, mut removed) = (BTreeMap::<SessionId, BTreeSet<Form>>::new(), false);
    for entry in fs::read_dir(&directory).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if let Some((session, form)) = Form::of_name(&name) {
            forms.entry(session).or_default().insert(form);
        } else if name.strip_suffix(UNFINISHED).and_then(Form::of_name).is_some() {
            fs::remove_file(entry.path()).map_err(io)?;
            removed = true;
        }
    }
    forms.retain(|_, forms| forms.len() > 1);
    let open: BTreeSet<_> = open.iter().collect();
    let mut named = BTreeMap::new();
    if forms.keys().any(|session| !open.contains(session)) {
        for entry in read::entries(layout.root())? {
            let (_, entry) = entry?;
            if let (Some(session), Event::SessionClosed { recording: Some(digest), .. }) =
                (entry.session, entry.event)
            {
                named.insert(session, digest);
            }
        }
    }
    for (session, forms) in forms {
        let keep = if open.contains(&session) {
            forms.contains(&Form::Lines).then_some(Form::Lines)
        } else {
            let named = named.get(&session);
            let is_named = |form: &Form| {
                digest_of(layout, session, *form).is_ok_and(|digest| Some(&digest) == named)
            };
            forms.iter().copied().find(is_named)
        };
        for form in forms.into_iter().filter(|form| keep.is_some_and(|keep| keep != *form)) {
            fs::remove_file(layout.kept(session, form)).map_err(io)?;
            removed = true;
        }
    }
    if removed { sync_dir(&directory).map_err(io) } else { Ok(()) }
}

fn digest_of(layout: &Layout, session: SessionId, form: Form) -> io::Result<Digest> {
    let mut from = Hashed { inner: layout.open(&layout.kept(session, form))?, hash: context() };
    io::copy(&mut from, &mut io::sink())?;
    Ok(from.digest())
}
