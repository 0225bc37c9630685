//! Going through the whole journal for what is in it: block by block, without taking lines apart that have
//! nothing of it. Beside the life of a request, also while a gateway is writing.

use crate::chain::{Line, MAX_LINE, sha256};
use crate::layout::Layout;
use crate::read::ReadError;
use crate::segments;
use crate::tail::{Found, Location};
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::ControlFlow;
use std::path::Path;

/// Bytes that are looked through at once.
const BLOCK: usize = 1 << 20;

/// Shows every entry in whose line `find` finds something to `take`, segment by segment from the newest on, until
/// that breaks off; `goes_on` is asked between blocks. `find` gives where in the bytes it found it first, and must
/// not find anything that goes over a line feed. An entry is shown if its line is whole; lines that are not are
/// passed over.
///
/// True where everything was gone through.
///
/// # Errors
/// [`ReadError`], also those of `take`.
pub fn hunt(
    dir: &Path,
    find: &dyn Fn(&[u8]) -> Option<usize>,
    goes_on: &dyn Fn() -> bool,
    take: &mut dyn FnMut(&Found<'_>) -> Result<ControlFlow<()>, ReadError>,
) -> Result<bool, ReadError> {
    let layout = Layout::new(dir);
    let journal = layout.journal();
    let (listed, _) =
        segments::list(&journal).map_err(|source| ReadError::Io { path: journal, source })?;
    for segment in listed.into_iter().rev() {
        let io = |source| ReadError::Io { path: segment.path.clone(), source };
        let file = layout.open(&segment.path).map_err(io)?;
        let mut block =
            Block { file, segment: segment.first, bytes: vec![0; BLOCK], filled: 0, before: 0 };
        loop {
            let ended = block.fill().map_err(io)?;
            if !goes_on() || block.look(find, take)?.is_break() {
                return Ok(false);
            }
            if ended {
                break;
            }
        }
    }
    Ok(true)
}

/// A part of a segment: the whole lines in it, and the beginning of the next.
struct Block {
    file: File,
    segment: u64,
    bytes: Vec<u8>,
    filled: usize,
    /// Bytes of the segment before it.
    before: u64,
}

impl Block {
    /// Reads on, until there is a whole line or none will come; true at the end of the file.
    fn fill(&mut self) -> io::Result<bool> {
        loop {
            if self.filled == self.bytes.len() {
                if self.bytes.len() > MAX_LINE {
                    // No entry is this long: its beginning is let go of, and the rest is none.
                    self.drop_to(self.filled);
                } else {
                    self.bytes.resize(self.bytes.len() * 2, 0);
                }
            }
            let room = self.bytes.get_mut(self.filled..).unwrap_or_default();
            let read = self.file.read(room)?;
            let new = self.filled..self.filled + read;
            self.filled += read;
            if read == 0 || self.bytes.get(new).is_some_and(|new| new.contains(&b'\n')) {
                return Ok(read == 0);
            }
        }
    }

    /// Looks through the whole lines, and lets go of them.
    fn look(
        &mut self,
        find: &dyn Fn(&[u8]) -> Option<usize>,
        take: &mut dyn FnMut(&Found<'_>) -> Result<ControlFlow<()>, ReadError>,
    ) -> Result<ControlFlow<()>, ReadError> {
        let filled = self.bytes.get(..self.filled).unwrap_or_default();
        let whole = filled.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let (mut at, lines) = (0, filled.get(..whole).unwrap_or_default());
        while let Some(hit) = lines.get(at..).and_then(find).map(|hit| at + hit) {
            let (head, rest) = lines.split_at(hit.min(lines.len()));
            let begin = head.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let end = rest.iter().position(|byte| *byte == b'\n').map_or(whole, |end| hit + end);
            at = end + 1;
            let text = lines.get(begin..end).unwrap_or_default();
            let Some(line) = Line::parse(text).filter(|line| sha256(line.text) == line.hash) else {
                continue;
            };
            let (segment, offset) = (self.segment, self.before + begin as u64);
            let location = Location { segment, offset, length: text.len() as u64 };
            if take(&Found::of(&line, location))?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        self.drop_to(whole);
        Ok(ControlFlow::Continue(()))
    }

    fn drop_to(&mut self, end: usize) {
        self.bytes.copy_within(end..self.filled, 0);
        self.filled -= end;
        self.before += end as u64;
    }
}
