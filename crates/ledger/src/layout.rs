//! Names and permissions of the ledger's files. Beside the life of a request: where it is kept.

use crate::keep::{Form, UNFINISHED};
use portcullis_core::id::SessionId;
use portcullis_core::time::Timestamp;
use portcullis_verify::plain;
use rustix::fs::OFlags;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The log-wide signed heads, oldest first, append-only.
pub(crate) const HEADS: &str = "heads";
/// The newest signed head, replaced atomically.
pub(crate) const HEAD: &str = "head";
/// The next head while it is being written.
pub(crate) const HEAD_NEW: &str = "head.new";

/// Bytes of a head or a key, at most: a head names every file that was set aside.
const SMALL: u64 = 1024 * 1024;

/// The highest level of tiles a tree can have: a node of the next would stand over 2^64 leaves.
pub(crate) const LEVELS: usize = 7;

/// Where everything of one ledger is.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Opens one of the ledger's files for reading: a plain file, and nothing a link leads to.
    pub(crate) fn open(&self, path: &Path) -> io::Result<File> {
        plain::open(&self.root, path.strip_prefix(&self.root).unwrap_or(path))
    }

    /// The text of one of the ledger's small files.
    pub(crate) fn read(&self, path: &Path) -> io::Result<String> {
        plain::read(&self.root, path.strip_prefix(&self.root).unwrap_or(path), SMALL)
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    pub(crate) fn segment(&self, first: u64) -> PathBuf {
        self.journal().join(segment_name(first))
    }

    /// A segment that is being written anew, without what was removed.
    pub(crate) fn remaking(&self, first: u64) -> PathBuf {
        self.journal().join(format!("{}{UNFINISHED}", segment_name(first)))
    }

    pub(crate) fn heads(&self) -> PathBuf {
        self.journal().join(HEADS)
    }

    pub(crate) fn head(&self) -> PathBuf {
        self.journal().join(HEAD)
    }

    /// Where the tree over the journal's entries is.
    pub(crate) fn tree(&self) -> PathBuf {
        self.root.join("tree")
    }

    /// The hashes of one level of tiles.
    pub(crate) fn level(&self, number: usize) -> PathBuf {
        let leaves = number == 0;
        self.tree().join(if leaves { "leaves".to_owned() } else { format!("{number}") })
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    pub(crate) fn recordings(&self) -> PathBuf {
        self.root.join("recordings")
    }

    /// A session's recording.
    pub(crate) fn kept(&self, session: SessionId, form: Form) -> PathBuf {
        self.recordings().join(format!("{session}{}", form.suffix()))
    }

    /// That while it is not whole.
    pub(crate) fn packing(&self, session: SessionId, form: Form) -> PathBuf {
        self.recordings().join(format!("{session}{}{UNFINISHED}", form.suffix()))
    }
}

pub(crate) fn segment_name(first: u64) -> String {
    format!("{first:020}.jsonl")
}

/// The number of the first entry of a segment, from its file name.
pub(crate) fn segment_first(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".jsonl")?;
    let plain = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// Creates a directory that only its owner can look into, with its parents.
pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Options for a file that only its owner can read: everything here is evidence or a secret. What
/// is written goes where its name is, never through a symbolic link to another place.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// Makes names created, renamed or removed in a directory survive a power cut.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Now, from the system's clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
