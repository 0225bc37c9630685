//! Proofs that an entry is in the log, in one text that needs nothing else to be checked:
//! [C2SP tlog-proof](https://c2sp.org/tlog-proof). Beside the life of a request: when somebody has to be
//! shown one entry and none of the others.

use crate::chain::{Hash, Line, sha256};
use crate::layout::Layout;
use crate::merkle::{self, TILE_HEIGHT};
use crate::removed::Run;
use crate::segments::{self, Lines, Read};
use crate::tiles::{about, newest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// A proof that an entry is among those that the newest head commits to, with the entry's text as extra
/// data and that head as the checkpoint.
///
/// # Errors
/// `NotFound` where the newest head does not commit to so many entries, or the entry is not in the
/// journal; `InvalidData` where the files do not agree: `audit verify` says why; else what cannot be read.
pub fn inclusion(dir: &Path, entry: u64) -> io::Result<String> {
    let layout = Layout::new(dir);
    let (note, size) = newest(&layout)?;
    if entry >= size {
        let why = format!("it commits to {size} entries, from 0, so not to entry {entry}");
        return Err(about(&layout.head(), io::Error::new(io::ErrorKind::NotFound, why)));
    }
    let text = text_of(&layout, entry)?;
    let nodes = Nodes { layout: &layout };
    if nodes.read(0, entry)? != sha256(&text) {
        let why = "it is another entry than the tree was made of: run `portcullis audit verify`";
        return Err(about(&layout.level(0), io::Error::new(io::ErrorKind::InvalidData, why)));
    }
    let mut proof =
        format!("c2sp.org/tlog-proof@v1\nextra {}\nindex {entry}\n", BASE64.encode(&text));
    for hash in nodes.path(entry, 0, size)? {
        let _ = writeln!(proof, "{}", BASE64.encode(hash));
    }
    let _ = write!(proof, "\n{note}");
    Ok(proof)
}

/// The text of an entry, from its segment.
fn text_of(layout: &Layout, entry: u64) -> io::Result<Vec<u8>> {
    let journal = layout.journal();
    let (segments, _) = segments::list(&journal).map_err(|e| about(&journal, e))?;
    let before = segments.partition_point(|segment| segment.first <= entry);
    let segment = before.checked_sub(1).and_then(|at| segments.get(at));
    let gone = |path: &Path| {
        let why = format!("entry {entry} is not there: run `portcullis audit verify`");
        about(path, io::Error::new(io::ErrorKind::NotFound, why))
    };
    let segment = segment.ok_or_else(|| gone(&journal))?;
    let mut lines = Lines::new(layout.open(&segment.path).map_err(|e| about(&segment.path, e))?);
    let mut buffer = Vec::new();
    let mut next = segment.first;
    while next <= entry {
        if lines.next(&mut buffer).map_err(|e| about(&segment.path, e))? != Read::Line {
            return Err(gone(&segment.path));
        }
        next = Run::parse(&buffer).map_or(next + 1, |run| run.end().max(next + 1));
    }
    if Run::parse(&buffer).is_some() {
        let why = format!("what entry {entry} says was removed by the rules of retention");
        return Err(about(&segment.path, io::Error::new(io::ErrorKind::NotFound, why)));
    }
    let line = Line::parse(&buffer).filter(|line| line.sequence == entry);
    line.map(|line| line.text.to_vec()).ok_or_else(|| gone(&segment.path))
}

/// The nodes of a tree, by the files of its levels.
pub(crate) struct Nodes<'a> {
    pub(crate) layout: &'a Layout,
}

impl Nodes<'_> {
    /// What stands at a place of a level's file.
    fn read(&self, level: usize, at: u64) -> io::Result<Hash> {
        let path = self.layout.level(level);
        let read = |mut file: File| {
            let mut hash = Hash::default();
            file.seek(SeekFrom::Start(at * size_of::<Hash>() as u64))?;
            file.read_exact(&mut hash)?;
            Ok(hash)
        };
        self.layout.open(&path).and_then(read).map_err(|e| about(&path, e))
    }

    /// The root over the leaves from `low` to before `high` (RFC 6962, section 2.1).
    pub(crate) fn root(&self, low: u64, high: u64) -> io::Result<Hash> {
        let width = high - low;
        let height = width.trailing_zeros() as usize;
        if width == 1 {
            return Ok(merkle::of_leaf(&self.read(0, low)?));
        }
        if width.is_power_of_two() && height.is_multiple_of(TILE_HEIGHT) {
            return self.read(height / TILE_HEIGHT, low >> height);
        }
        let middle = low + split(width);
        Ok(merkle::of_nodes(&self.root(low, middle)?, &self.root(middle, high)?))
    }

    /// The path from a leaf to the root over the leaves from `low` to before `high`, from below (section
    /// 2.1.1).
    fn path(&self, leaf: u64, low: u64, high: u64) -> io::Result<Vec<Hash>> {
        if high - low == 1 {
            return Ok(Vec::new());
        }
        let middle = low + split(high - low);
        let (mut path, beside) = if leaf < middle {
            (self.path(leaf, low, middle)?, self.root(middle, high)?)
        } else {
            (self.path(leaf, middle, high)?, self.root(low, middle)?)
        };
        path.push(beside);
        Ok(path)
    }
}

/// The largest power of two below a width of two or more.
pub(crate) const fn split(width: u64) -> u64 {
    1 << (63 - (width - 1).leading_zeros())
}
