//! How far a receiver has come: a file of its own beside the journal, replaced as a whole and synced before the
//! next message is sent.

use super::ocsf::Chain;
use super::settings::Export;
use super::source::Source;
use portcullis_core::digest::Digest;
use portcullis_ledger::tail::Position;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Where they are, below `data_dir`.
const DIRECTORY: &str = "exports";
/// Largest file that is read as one.
const LARGEST: u64 = 64 * 1024;

/// How far one has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cursor {
    version: u32,
    /// The next entry: its number, segment and offset.
    next: (u64, u64, u64),
    /// The hash of the entry before.
    last: Option<Digest>,
    /// From where on the journal has to be read to know the sessions that were open.
    context: (u64, u64, u64),
    /// Where the events of OCSF are.
    pub(super) chain: Chain,
}

const fn three(position: Position) -> (u64, u64, u64) {
    (position.sequence, position.segment, position.offset)
}

const fn position((sequence, segment, offset): (u64, u64, u64)) -> Position {
    Position { sequence, segment, offset }
}

impl Cursor {
    /// Where a source is.
    pub(super) fn of(source: &Source, chain: Chain) -> Self {
        Self {
            version: 1,
            next: three(source.position()),
            last: source.last(),
            context: three(source.context()),
            chain,
        }
    }

    /// The number of the next entry.
    pub(super) const fn sequence(&self) -> u64 {
        self.next.0
    }

    /// Where to go on.
    pub(super) const fn place(&self) -> ((Position, Option<Digest>), Position) {
        ((position(self.next), self.last), position(self.context))
    }

    /// That of a receiver; `None` where it was sent nothing yet.
    ///
    /// # Errors
    /// Those of reading, and where it is none: what was sent is not known then.
    pub(super) fn read(data: &Path, name: &str) -> io::Result<Option<Self>> {
        let path = path(data, name);
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Ok(about) if !about.is_file() || about.len() > LARGEST => {
                return Err(io::Error::other("it is no cursor"));
            }
            other => other?,
        };
        let cursor: Self = serde_json::from_slice(&fs::read(&path)?)?;
        if cursor.version != 1 {
            return Err(io::Error::other("it was written by another version"));
        }
        Ok(Some(cursor))
    }

    /// Keeps it, on stable storage.
    ///
    /// # Errors
    /// Those of writing; what was kept before is kept then.
    pub(super) fn keep(&self, data: &Path, name: &str) -> io::Result<()> {
        let path = path(data, name);
        let directory = data.join(DIRECTORY);
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        let new = path.with_extension("new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(&directory)?.sync_all()
    }
}

/// The number of the entry before which every receiver has read everything, and needs nothing of it again.
///
/// # Errors
/// Where that of a receiver cannot be read: then it is not known.
pub(crate) fn read_by_all(all: &[Export], data: &Path) -> io::Result<u64> {
    let mut before = u64::MAX;
    for one in all {
        let about = |e: io::Error| {
            io::Error::new(e.kind(), format!("{}: {e}", path(data, &one.name).display()))
        };
        let cursor = Cursor::read(data, &one.name).map_err(about)?;
        before = before.min(cursor.map_or(0, |cursor| cursor.next.0.min(cursor.context.0)));
    }
    Ok(before)
}

/// The file of a receiver's cursor.
pub(super) fn path(data: &Path, name: &str) -> PathBuf {
    data.join(DIRECTORY).join(format!("{name}.cursor"))
}
