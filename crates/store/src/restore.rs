//! Putting a database in the place of another one: whole, or not at all, whenever it is interrupted.

use crate::open::{StoreError, beside, lock, unavailable};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Files of SQLite that belong to a database.
const SIDE_FILES: [&str; 2] = ["-wal", "-shm"];

/// The right to replace a database: as long as it is held, no gateway opens it.
#[derive(Debug)]
pub struct Replacing {
    path: PathBuf,
    _lock: File,
}

impl Replacing {
    /// Keeps gateways out.
    ///
    /// # Errors
    /// [`StoreError::Locked`] where one is running.
    pub fn begin(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { path: path.to_owned(), _lock: lock(path)? })
    }

    /// Puts `new` in the database's place, whose files go to the directory `aside` beside it, and gives
    /// that directory, if there was anything to keep. `new` is whole, on the same file system and on
    /// stable storage. From its first step to its last one a mark beside the database keeps gateways
    /// from opening it, so what is interrupted is seen, and done again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: the mark is there.
    pub fn put(self, new: &Path, aside: &str) -> Result<Option<PathBuf>, StoreError> {
        let failed = |e: io::Error| unavailable(&self.path, &e);
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let mark = beside(&self.path, ".restoring");
        // One that was interrupted has begun to keep files where its mark says.
        let begun = fs::read_to_string(&mark).unwrap_or_default();
        let aside = if begun.is_empty() { aside } else { &*begun };
        let old = directory.join(Path::new(aside).file_name().unwrap_or_default());
        fs::write(&mark, aside).and_then(|()| File::open(&mark)?.sync_all()).map_err(failed)?;
        sync(directory).map_err(failed)?;
        let mut kept = None;
        let side = SIDE_FILES.map(|ending| beside(&self.path, ending));
        for file in [&self.path].into_iter().chain(&side).filter(|file| file.exists()) {
            DirBuilder::new().recursive(true).mode(0o700).create(&old).map_err(failed)?;
            let Some(name) = file.file_name() else { continue };
            // What an interrupted one has kept is the older one.
            match old.join(name) {
                there if there.exists() => fs::remove_file(file).map_err(failed)?,
                there => fs::rename(file, there).map_err(failed)?,
            }
            kept = Some(old.clone());
        }
        if kept.is_some() {
            sync(&old).map_err(failed)?;
        }
        fs::rename(new, &self.path).map_err(failed)?;
        sync(directory).map_err(failed)?;
        fs::remove_file(&mark).map_err(failed)?;
        sync(directory).map_err(failed)?;
        Ok(kept)
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
