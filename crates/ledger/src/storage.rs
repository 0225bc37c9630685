//! Where the ledger's bytes go: the four things a disk is asked to do, and real files doing them.
//! On the life of a request: below the writer, the last step before a receipt.

use crate::head;
use crate::keep::Form;
use crate::layout::{HEAD_NEW, Layout, private, sync_dir};
use crate::segments;
use portcullis_core::id::SessionId;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry::{Occupied, Vacant};
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A store for the journal's bytes. Every error is final: the ledger stops using the storage.
///
/// Contract: what was written before a `sync` that returned `Ok` survives the loss of power. An
/// error says nothing about what was persisted. `write` and `sync` may run at the same time on two
/// threads; a `sync` covers at least the writes that had returned when it began.
pub trait Storage: Send + Sync {
    /// Appends bytes to the current segment.
    ///
    /// # Errors
    /// Any: some of the bytes may have been kept.
    fn write(&self, bytes: &[u8]) -> io::Result<()>;

    /// Puts everything written on stable storage, where it is found again.
    ///
    /// # Errors
    /// Any: nothing is known about what was kept.
    fn sync(&self) -> io::Result<()>;

    /// Syncs the current segment for the last time and begins the one whose first entry will have
    /// number `first`.
    ///
    /// # Errors
    /// Any, as for [`Storage::write`] and [`Storage::sync`].
    fn roll(&self, first: u64) -> io::Result<()>;

    /// Appends hashes to the file of one level of the tree. What is lost of it, with power, is worked
    /// out of the journal when the ledger is opened.
    ///
    /// # Errors
    /// Any: some of the bytes may have been kept.
    fn grow(&self, level: usize, hashes: &[u8]) -> io::Result<()>;

    /// Puts the tree's files on stable storage: when the ledger is closed.
    ///
    /// # Errors
    /// Any: nothing is known about what was kept.
    fn sync_tree(&self) -> io::Result<()>;

    /// Appends one line to the file of heads, and syncs it.
    ///
    /// # Errors
    /// Any.
    fn log_head(&self, line: &[u8]) -> io::Result<()>;

    /// Replaces the newest head in one step, and syncs it.
    ///
    /// # Errors
    /// Any.
    fn replace_head(&self, note: &[u8]) -> io::Result<()>;

    /// Begins the recording of a session.
    ///
    /// # Errors
    /// Any, and `AlreadyExists` where there is one.
    fn record(&self, session: SessionId) -> io::Result<Box<dyn RecordingFile>>;

    /// Reads what was recorded of a session.
    ///
    /// # Errors
    /// Any: the recording is then kept as it is.
    fn reread(&self, session: SessionId) -> io::Result<Box<dyn Read + Send>>;

    /// Begins the file in which a recording is kept, under a name that says it is not whole; one that is
    /// there already is written anew.
    ///
    /// # Errors
    /// Any: the recording is then kept as it was written.
    fn pack(&self, session: SessionId, form: Form) -> io::Result<Box<dyn RecordingFile>>;

    /// Gives the file in which a recording is kept its name, where it is found again.
    ///
    /// # Errors
    /// Any: as for [`Storage::pack`].
    fn keep(&self, session: SessionId, form: Form) -> io::Result<()>;

    /// Removes what was recorded while a session ran: once the journal names what is kept.
    ///
    /// # Errors
    /// Any: it goes when the ledger is next opened.
    fn forget(&self, session: SessionId) -> io::Result<()>;

    /// Removes a recording in every form: once the journal says that it is removed.
    ///
    /// # Errors
    /// Any: it is then still due.
    fn discard(&self, session: SessionId) -> io::Result<()>;

    /// Begins to write the segment that begins with this entry anew, under a name that says it is not whole; one that
    /// is there already is written anew.
    ///
    /// # Errors
    /// Any: the segment then stays as it is.
    fn remake(&self, segment: u64) -> io::Result<Box<dyn RecordingFile>>;

    /// Puts that in the place of the segment in one step, where it is found again.
    ///
    /// # Errors
    /// Any: the segment is then as it was, or as it was written anew.
    fn swap(&self, segment: u64) -> io::Result<()>;
}

/// One recording being written.
pub trait RecordingFile: Send {
    /// Appends bytes.
    ///
    /// # Errors
    /// Any: the recording is then given up.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Puts everything written on stable storage.
    ///
    /// # Errors
    /// Any: the recording is then given up.
    fn sync(&mut self) -> io::Result<()>;
}

/// Real files in a ledger's directory.
#[derive(Debug)]
pub struct Files {
    layout: Layout,
    segment: Mutex<Segment>,
    heads: Mutex<File>,
    /// The levels of the tree that were written to.
    levels: Mutex<BTreeMap<usize, File>>,
}

/// The file that entries go to, and the number of the first one in it.
#[derive(Debug, Clone)]
struct Segment {
    first: u64,
    file: Arc<File>,
}

impl Files {
    /// Opens the files to append to: the segment that begins with entry `first`, and the heads.
    pub(crate) fn open(layout: &Layout, first: u64) -> io::Result<Self> {
        let append = |path| private().append(true).create(true).open(path);
        let file = Arc::new(append(layout.segment(first))?);
        let segment = Mutex::new(Segment { first, file });
        let heads = Mutex::new(append(layout.heads())?);
        let _ = std::fs::remove_file(layout.journal().join(HEAD_NEW));
        // What a crash left of segments that were written anew: they are still due.
        let (segments, others) = segments::list(&layout.journal())?;
        for segment in segments.iter().map(|segment| layout.remaking(segment.first)) {
            let left = others.iter().any(|name| segment.ends_with(name));
            if left {
                std::fs::remove_file(segment)?
            }
        }
        sync_dir(&layout.journal())?;
        Ok(Self { layout: layout.clone(), segment, heads, levels: Mutex::default() })
    }

    fn current(&self) -> MutexGuard<'_, Segment> {
        // It is replaced in one step.
        self.segment.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a file that is written to is still the one that goes by its name.
///
/// # Errors
/// Where it was removed, moved away or replaced (editors do so), or where that cannot be told.
fn is_in_place(file: &File, path: &Path) -> io::Result<()> {
    let (open, named) = (file.metadata()?, std::fs::metadata(path));
    let named = named.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
    if (open.dev(), open.ino()) == (named.dev(), named.ino()) {
        return Ok(());
    }
    let why = format!("{} is another file than was written to: it was replaced", path.display());
    Err(io::Error::other(why))
}

impl Storage for Files {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let file = Arc::clone(&self.current().file);
        (&*file).write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        let Segment { first, file } = self.current().clone();
        file.sync_data()?;
        // Whoever reads the journal looks for it by its name.
        is_in_place(&file, &self.layout.segment(first))
    }

    fn roll(&self, first: u64) -> io::Result<()> {
        self.sync()?;
        let next = private().append(true).create_new(true).open(self.layout.segment(first))?;
        sync_dir(&self.layout.journal())?;
        *self.current() = Segment { first, file: Arc::new(next) };
        Ok(())
    }

    fn grow(&self, level: usize, hashes: &[u8]) -> io::Result<()> {
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match levels.entry(level) {
            Occupied(open) => open.into_mut(),
            Vacant(place) => {
                let path = self.layout.level(level);
                place.insert(private().append(true).create(true).open(path)?)
            }
        };
        file.write_all(hashes)
    }

    fn sync_tree(&self) -> io::Result<()> {
        let levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        levels.values().try_for_each(File::sync_data)?;
        sync_dir(&self.layout.tree())
    }

    fn log_head(&self, line: &[u8]) -> io::Result<()> {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        heads.write_all(line)?;
        heads.sync_data()?;
        is_in_place(&heads, &self.layout.heads())
    }

    fn replace_head(&self, note: &[u8]) -> io::Result<()> {
        head::replace(&self.layout.head(), note)
    }

    fn record(&self, session: SessionId) -> io::Result<Box<dyn RecordingFile>> {
        let path = self.layout.kept(session, Form::Lines);
        let file = private().append(true).create_new(true).open(path)?;
        Ok(Box::new(Recording { file, layout: self.layout.clone() }))
    }

    fn reread(&self, session: SessionId) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.layout.open(&self.layout.kept(session, Form::Lines))?))
    }

    fn pack(&self, session: SessionId, form: Form) -> io::Result<Box<dyn RecordingFile>> {
        let path = self.layout.packing(session, form);
        let _ = std::fs::remove_file(&path);
        let file = private().write(true).create_new(true).open(path)?;
        Ok(Box::new(Recording { file, layout: self.layout.clone() }))
    }

    fn keep(&self, session: SessionId, form: Form) -> io::Result<()> {
        let kept = self.layout.kept(session, form);
        // Nothing that stands there is written over.
        if kept.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        std::fs::rename(self.layout.packing(session, form), kept)?;
        sync_dir(&self.layout.recordings())
    }

    fn forget(&self, session: SessionId) -> io::Result<()> {
        std::fs::remove_file(self.layout.kept(session, Form::Lines))
    }

    fn discard(&self, session: SessionId) -> io::Result<()> {
        for form in Form::ALL {
            match std::fs::remove_file(self.layout.kept(session, form)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        sync_dir(&self.layout.recordings())
    }

    fn remake(&self, segment: u64) -> io::Result<Box<dyn RecordingFile>> {
        let path = self.layout.remaking(segment);
        let _ = std::fs::remove_file(&path);
        let file = private().write(true).create_new(true).open(path)?;
        Ok(Box::new(Recording { file, layout: self.layout.clone() }))
    }

    fn swap(&self, segment: u64) -> io::Result<()> {
        std::fs::rename(self.layout.remaking(segment), self.layout.segment(segment))?;
        sync_dir(&self.layout.journal())
    }
}

struct Recording {
    file: File,
    layout: Layout,
}

impl RecordingFile for Recording {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        sync_dir(&self.layout.recordings())
    }
}
