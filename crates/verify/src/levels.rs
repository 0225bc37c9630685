//! The files of the tree: whether they hold what the journal's entries make.

use crate::plain;
use crate::tree::Tree;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

/// Levels of the binary tree per level of tiles.
const TILE_HEIGHT: usize = 8;
/// The highest level of tiles.
const HIGHEST: usize = 7;

/// The file of one level, below the ledger's directory.
pub(crate) fn file_of(level: usize) -> PathBuf {
    Path::new("tree").join(if level == 0 { "leaves".to_owned() } else { level.to_string() })
}

/// Whether a file of that name belongs into the directory.
pub(crate) fn is_level(name: &str) -> bool {
    (0..=HIGHEST).any(|level| file_of(level).ends_with(name))
}

/// All levels, read along with the journal.
pub(crate) struct Levels<'a> {
    dir: &'a Path,
    levels: Vec<Level>,
}

/// What is first wrong in a level's file.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) level: usize,
    /// The entry by which what stands there is settled.
    pub(crate) entry: u64,
    pub(crate) what: What,
}

/// How it is wrong.
#[derive(Debug)]
pub(crate) enum What {
    /// It ends before.
    Short,
    /// Another hash stands there.
    Other,
    /// It goes on behind everything the journal makes.
    Long,
    /// It cannot be read.
    Unreadable(io::Error),
}

struct Level {
    file: io::Result<BufReader<File>>,
    wrong: Option<Wrong>,
}

impl<'a> Levels<'a> {
    pub(crate) const fn new(dir: &'a Path) -> Self {
        Self { dir, levels: Vec::new() }
    }

    /// The next entry has this leaf, and fills these subtrees.
    pub(crate) fn meet(&mut self, entry: u64, leaf: &[u8; 32], filled: &[(usize, [u8; 32])]) {
        for (height, hash) in filled.iter().filter(|(height, _)| height % TILE_HEIGHT == 0) {
            let number = height / TILE_HEIGHT;
            if self.levels.len() <= number {
                let file = plain::open(self.dir, &file_of(number)).map(BufReader::new);
                self.levels.push(Level { file, wrong: None });
            }
            let expected = if number == 0 { leaf } else { hash };
            if let Some(level) = self.levels.get_mut(number).filter(|level| level.wrong.is_none()) {
                let what = level.compare(expected);
                level.wrong = what.map(|what| Wrong { level: number, entry, what });
            }
        }
    }

    /// What is first wrong of what the newest head, over `signed` entries, makes be there; and of
    /// everything, where the gateway has `closed` the ledger.
    pub(crate) fn wrong(mut self, signed: u64, size: u64, closed: bool) -> Option<Wrong> {
        if closed {
            // Levels that nothing stands on yet.
            for number in self.levels.len()..=HIGHEST {
                let file = plain::open(self.dir, &file_of(number)).map(BufReader::new);
                self.levels.push(Level { file, wrong: None });
            }
            for (number, level) in self.levels.iter_mut().enumerate() {
                let goes_on = level.wrong.is_none() && level.goes_on();
                if goes_on {
                    level.wrong = Some(Wrong { level: number, entry: size, what: What::Long });
                }
            }
        }
        let wrong = self.levels.into_iter().filter_map(|level| level.wrong);
        let counts = |w: &Wrong| !matches!(w.what, What::Short) || w.entry < signed;
        wrong.filter(counts).min_by_key(|w| w.entry)
    }

    /// The first entry that is not the one the tree was made of, where a signed `root` over `size`
    /// entries proves the leaves that are there.
    pub(crate) fn first_rewritten(&self, size: u64, root: &[u8; 32]) -> Option<u64> {
        let wrong = self.levels.first()?.wrong.as_ref()?;
        let mut leaves = BufReader::new(plain::open(self.dir, &file_of(0)).ok()?);
        let mut tree = Tree::default();
        for _ in 0..size {
            let mut leaf = [0; 32];
            leaves.read_exact(&mut leaf).ok()?;
            tree.add(&leaf);
        }
        (tree.root() == *root && wrong.entry < size).then_some(wrong.entry)
    }
}

impl Level {
    fn compare(&mut self, expected: &[u8; 32]) -> Option<What> {
        let mut found = [0; 32];
        let read = match &mut self.file {
            Ok(file) => file.read_exact(&mut found),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        };
        match read {
            Ok(()) if found == *expected => None,
            Ok(()) => Some(What::Other),
            Err(e) if matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::NotFound) => {
                Some(What::Short)
            }
            Err(error) => Some(What::Unreadable(error)),
        }
    }

    fn goes_on(&mut self) -> bool {
        self.file.as_mut().is_ok_and(|file| file.read(&mut [0]).is_ok_and(|read| read > 0))
    }
}
