//! The tree's files: what they hold is worked out of the journal, so whatever they lack after a crash is
//! put back. Beside the life of a request: before the first one.

use crate::chain::Hash;
use crate::layout::{self, Layout, private, sync_dir};
use crate::merkle::Node;
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};

/// Bytes of a hash.
const WIDTH: u64 = size_of::<Hash>() as u64;

/// The files of all levels, read along with the journal.
#[derive(Debug)]
pub(crate) struct Levels {
    layout: Layout,
    levels: Vec<Level>,
}

/// One file, as far as it holds what it must.
#[derive(Debug, Default)]
struct Level {
    file: Option<BufReader<File>>,
    /// Hashes that are there and right.
    right: u64,
    /// What has to stand behind those.
    wanting: Vec<u8>,
}

impl Levels {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self { layout: layout.clone(), levels: Vec::new() }
    }

    /// Compares the next node of its level with what is there.
    pub(crate) fn meet(&mut self, (number, hash): Node) -> io::Result<()> {
        while self.levels.len() <= number {
            let file = match self.layout.open(&self.layout.level(self.levels.len())) {
                Ok(file) => Some(BufReader::new(file)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => None,
                Err(e) => return Err(e),
            };
            self.levels.push(Level { file, ..Level::default() });
        }
        let Some(level) = self.levels.get_mut(number) else { return Ok(()) };
        if level.next()? == Some(hash) {
            level.right += 1;
        } else {
            level.wanting.extend_from_slice(&hash);
        }
        Ok(())
    }

    /// Cuts off what is not right, and appends what is wanting.
    pub(crate) fn repair(self) -> io::Result<()> {
        let tree = self.layout.tree();
        let mut changed = false;
        for number in 0..=layout::LEVELS {
            let path = self.layout.level(number);
            let level = self.levels.get(number);
            if level.is_none() && !path.exists() {
                continue;
            }
            let (right, wanting) = level.map_or((0, &[][..]), |l| (l.right, &l.wanting));
            let mut file = private().write(true).create(true).truncate(false).open(&path)?;
            let (length, good) = (file.metadata()?.len(), right * WIDTH);
            if length == good && wanting.is_empty() {
                continue;
            }
            if length > good {
                let (there, file) = (length / WIDTH, path.display());
                tracing::warn!(%file, right, there, "the tree's file held what the journal does not");
            }
            file.set_len(good)?;
            file.seek(SeekFrom::End(0))?;
            file.write_all(wanting)?;
            file.sync_all()?;
            changed = true;
        }
        if changed { sync_dir(&tree) } else { Ok(()) }
    }
}

impl Level {
    fn next(&mut self) -> io::Result<Option<Hash>> {
        let Some(file) = self.file.as_mut().filter(|_| self.wanting.is_empty()) else {
            return Ok(None);
        };
        let mut hash = Hash::default();
        match file.read_exact(&mut hash) {
            Ok(()) => Ok(Some(hash)),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(e) => Err(e),
        }
    }
}
