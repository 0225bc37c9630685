//! Reading segments line by line with bounded memory, for recovery and for people.

use crate::chain::MAX_LINE;
use crate::layout::segment_first;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// One file of the journal.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) first: u64,
    pub(crate) path: PathBuf,
}

/// The segments of a journal directory, in order, and the names of everything else in it.
pub(crate) fn list(journal: &Path) -> io::Result<(Vec<Segment>, Vec<String>)> {
    let (mut segments, mut others) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(journal)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        match segment_first(&name) {
            Some(first) => segments.push(Segment { first, path: entry.path() }),
            None => others.push(name),
        }
    }
    segments.sort_by_key(|s| s.first);
    others.sort();
    Ok((segments, others))
}

/// What [`Lines::next`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// A whole line is in the buffer, without its line feed.
    Line,
    /// The file ends in the middle of a line; its bytes are in the buffer.
    Torn,
    /// The line is longer than any line may be; [`Lines::skip`] goes behind it.
    TooLong,
    /// The file has ended.
    End,
}

/// The lines of a file.
pub(crate) struct Lines {
    reader: BufReader<File>,
    /// Number of the line last read, from 1.
    pub(crate) number: u64,
    /// Where it begins in the file.
    pub(crate) start: u64,
    /// Where the next one does.
    pub(crate) next: u64,
}

impl Lines {
    pub(crate) fn new(file: File) -> Self {
        let reader = BufReader::with_capacity(256 * 1024, file);
        Self { reader, number: 0, start: 0, next: 0 }
    }

    pub(crate) fn next(&mut self, buffer: &mut Vec<u8>) -> io::Result<Read> {
        buffer.clear();
        let read = (&mut self.reader).take(MAX_LINE as u64 + 1).read_until(b'\n', buffer)?;
        if read == 0 {
            return Ok(Read::End);
        }
        self.number += 1;
        self.start = self.next;
        self.next += read as u64;
        if buffer.last() == Some(&b'\n') {
            buffer.pop();
            return Ok(Read::Line);
        }
        Ok(if read > MAX_LINE { Read::TooLong } else { Read::Torn })
    }

    /// Goes behind the rest of a line that is too long, without keeping it.
    pub(crate) fn skip(&mut self) -> io::Result<()> {
        self.next += self.reader.skip_until(b'\n')? as u64;
        Ok(())
    }

    /// Goes on with the line that begins there.
    pub(crate) fn seek(&mut self, to: u64) -> io::Result<()> {
        self.next = self.reader.seek(SeekFrom::Start(to))?;
        Ok(())
    }
}
