//! The log as other programs read it: [C2SP tlog-tiles](https://c2sp.org/tlog-tiles), made of the tree's
//! files. Beside the life of a request: when somebody asks for a copy.

use crate::chain::Hash;
use crate::layout::{self, Layout, create_dir, private};
use crate::merkle::{self, TILE_HEIGHT};
use serde::Serialize;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// Hashes in a full tile.
const WIDTH: u64 = 1 << TILE_HEIGHT;
/// Bytes of a hash.
const HASH: usize = size_of::<Hash>();

/// What a copy of the log holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// Entries that its checkpoint commits to.
    pub entries: u64,
    /// Files that were written: those that were not there from an earlier copy.
    pub written: u64,
}

/// Writes the log of the ledger in `dir` into the directory `to`: `checkpoint`, `tile/…` and
/// `tile/entries/…`, of which an entry is the 32 bytes of a line's hash. What an earlier copy wrote there
/// is left, for it never changes; the checkpoint is replaced last.
///
/// # Errors
/// What cannot be read or written; `InvalidData` where the newest head commits to no tree, or the tree's
/// files lack what it commits to: a gateway that is started puts both right.
pub fn copy(dir: &Path, to: &Path) -> io::Result<Copied> {
    let layout = Layout::new(dir);
    let (note, entries) = newest(&layout)?;
    let mut copy = Copy { layout: &layout, to, written: 0 };
    for level in 0..=layout::LEVELS {
        copy.level(level, entries >> (TILE_HEIGHT * level))?;
    }
    create_dir(to)?;
    crate::head::replace(&to.join("checkpoint"), note.as_bytes())?;
    Ok(Copied { entries, written: copy.written })
}

/// The newest head, and how many entries it commits to. Its signature is for who reads a copy of it.
pub(crate) fn newest(layout: &Layout) -> io::Result<(String, u64)> {
    let note = layout.read(&layout.head()).map_err(|e| about(&layout.head(), e))?;
    let mut lines = note.lines();
    let size = lines.nth(1).and_then(|digits| digits.parse::<u64>().ok());
    let size = size.filter(|_| lines.nth(1).is_some_and(|line| line.starts_with("chain ")));
    match size {
        Some(size) => Ok((note, size)),
        None => {
            let why = "it commits to no tree: start the gateway once, which signs one that does";
            Err(about(&layout.head(), io::Error::new(io::ErrorKind::InvalidData, why)))
        }
    }
}

pub(crate) fn about(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

struct Copy<'a> {
    layout: &'a Layout,
    to: &'a Path,
    written: u64,
}

impl Copy<'_> {
    fn level(&mut self, level: usize, hashes: u64) -> io::Result<()> {
        if hashes == 0 {
            return Ok(());
        }
        let path = self.layout.level(level);
        let mut file = self.layout.open(&path).map_err(|e| about(&path, e))?;
        for tile in 0..hashes.div_ceil(WIDTH) {
            let width = (hashes - tile * WIDTH).min(WIDTH);
            let place = place(tile, width);
            if level == 0 {
                let entries = self.to.join("tile/entries").join(&place);
                self.file(&entries, || bundle(&read(&mut file, &path, tile, width)?))?;
            }
            let to = self.to.join("tile").join(level.to_string()).join(&place);
            self.file(&to, || {
                let hashes = read(&mut file, &path, tile, width)?;
                Ok(if level == 0 { of_leaves(&hashes) } else { hashes })
            })?;
        }
        Ok(())
    }

    /// Writes a file where there is none: whole, or not at all.
    fn file(&mut self, path: &Path, bytes: impl FnOnce() -> io::Result<Vec<u8>>) -> io::Result<()> {
        if path.try_exists()? {
            return Ok(());
        }
        create_dir(path.parent().unwrap_or(self.to))?;
        let new = path.with_extension("new");
        let mut file = private().write(true).create(true).truncate(true).open(&new)?;
        file.write_all(&bytes()?)?;
        file.sync_data()?;
        std::fs::rename(&new, path)?;
        self.written += 1;
        Ok(())
    }
}

/// The path of a tile below its level: the number in groups of three digits, all but the last behind an
/// `x`; of a partial one its width too.
fn place(tile: u64, width: u64) -> PathBuf {
    let mut path = format!("{:03}", tile % 1000);
    let mut rest = tile / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width < WIDTH {
        path = format!("{path}.p/{width}");
    }
    path.into()
}

fn read(file: &mut File, path: &Path, tile: u64, width: u64) -> io::Result<Vec<u8>> {
    let mut hashes = vec![0; width as usize * HASH];
    file.seek(SeekFrom::Start(tile * WIDTH * HASH as u64))?;
    file.read_exact(&mut hashes).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => {
            let why = "it ends before what the newest head commits to: start the gateway once, which \
                       puts it back";
            about(path, io::Error::new(io::ErrorKind::InvalidData, why))
        }
        _ => about(path, e),
    })?;
    Ok(hashes)
}

/// The hashes of leaves.
fn of_leaves(leaves: &[u8]) -> Vec<u8> {
    leaves.as_chunks::<HASH>().0.iter().flat_map(merkle::of_leaf).collect()
}

/// Each leaf behind its length in two bytes, the larger first.
fn bundle(leaves: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(HASH).map_err(io::Error::other)?.to_be_bytes();
    Ok(leaves.chunks(HASH).flat_map(|leaf| [&length, leaf].concat()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_stands_where_the_specification_says() {
        for (tile, width, path) in [
            (0, 256, "000"),
            (5, 1, "005.p/1"),
            (1_234_067, 256, "x001/x234/067"),
            (1_000, 255, "x001/000.p/255"),
        ] {
            assert_eq!(place(tile, width), Path::new(path));
        }
    }
}
