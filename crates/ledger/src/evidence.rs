//! Parts of the log for somebody outside: the lines of a range of entries, a proof that they are all there is between
//! the first and the last, and statements signed with the journal's key. Beside the life of a request: when an auditor
//! asks.

use crate::chain::{Hash, Line, sha256};
use crate::error::LedgerError;
use crate::head::Signer;
use crate::layout::{Layout, now};
use crate::proof::Nodes;
use crate::removed::Run;
use crate::segments::{self, Lines, Read};
use crate::tiles::{about, newest};
use crate::visible::rfc3339;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

/// What was taken of the log.
#[derive(Debug, Clone)]
pub struct Range {
    /// The number of the first entry.
    pub first: u64,
    /// The number behind the last.
    pub end: u64,
    /// How many entries the checkpoint commits to.
    pub size: u64,
    /// The newest signed head.
    pub checkpoint: String,
    /// That these are the log's entries at these places (`FORMAT.md`, Ranges).
    pub proof: String,
}

/// Writes the lines of the entries from `first` to before `end`, as far as the newest signed head goes, and shows the
/// JSON of each to `take`. Where contents were removed, the range begins and ends with the whole line that stands for
/// them.
///
/// # Errors
/// `InvalidData` where a line is not the entry that has to be there: `audit verify` says why; else what cannot be
/// read or written.
pub fn range(
    dir: &Path,
    (first, end): (u64, u64),
    out: &mut dyn Write,
    take: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<Range> {
    let layout = Layout::new(dir);
    let (checkpoint, size) = newest(&layout)?;
    let (mut first, end) = (first.min(size), end.min(size));
    let (mut next, mut begun, mut hashes) = (first, false, Vec::new());
    let journal = layout.journal();
    let (listed, _) = segments::list(&journal).map_err(|e| about(&journal, e))?;
    let begin = listed.partition_point(|segment| segment.first <= first).saturating_sub(1);
    for segment in listed.iter().skip(begin) {
        if next >= end {
            break;
        }
        let path = &segment.path;
        let bad = |why: &str| about(path, io::Error::new(io::ErrorKind::InvalidData, why));
        let mut lines = Lines::new(layout.open(path).map_err(|e| about(path, e))?);
        let mut buffer = Vec::new();
        while next < end && lines.next(&mut buffer).map_err(|e| about(path, e))? == Read::Line {
            let (from, of) = match (Line::parse(&buffer), Run::parse(&buffer)) {
                (Some(line), _) if sha256(line.text) == line.hash => {
                    (line.sequence, vec![line.hash])
                }
                (None, Some(run)) => (run.first, run.hashes),
                _ => return Err(bad("a line is not whole: run `portcullis audit verify`")),
            };
            let behind = from + of.len() as u64;
            if behind <= first {
                continue;
            }
            if !std::mem::replace(&mut begun, true) {
                (first, next) = (from.min(first), from.min(next));
            }
            if from != next {
                return Err(bad("an entry is missing: run `portcullis audit verify`"));
            }
            out.write_all(&buffer)?;
            out.write_all(b"\n")?;
            if let Some(line) = Line::parse(&buffer) {
                take(line.sequence, line.entry)?;
            }
            hashes.extend(of);
            next = behind;
        }
    }
    if next < end {
        let why = "it ends before what the newest head commits to: run `portcullis audit verify`";
        return Err(about(&journal, io::Error::new(io::ErrorKind::InvalidData, why)));
    }
    let end = next.max(first);
    if end > size {
        let why = "the newest head does not cover all of it: start the gateway once";
        return Err(about(&layout.head(), io::Error::new(io::ErrorKind::InvalidData, why)));
    }
    let proof = prove(&layout, (first, end), size)?;
    Ok(Range { first, end, size, checkpoint, proof })
}

/// The roots of the subtrees beside a range, from the left.
fn prove(layout: &Layout, (first, end): (u64, u64), size: u64) -> io::Result<String> {
    let mut beside: Vec<Hash> = Vec::new();
    let nodes = Nodes { layout };
    walk(&nodes, (0, size), (first, end), &mut beside)?;
    let mut text = format!("portcullis range-proof 1\nrange {first} {end}\nsize {size}\n");
    for hash in beside {
        let _ = writeln!(text, "{}", BASE64.encode(hash));
    }
    Ok(text)
}

fn walk(
    nodes: &Nodes<'_>,
    (low, high): (u64, u64),
    range: (u64, u64),
    beside: &mut Vec<Hash>,
) -> io::Result<()> {
    if low >= high {
        return Ok(());
    }
    if high <= range.0 || low >= range.1 {
        beside.push(nodes.root(low, high)?);
        return Ok(());
    }
    if high - low == 1 {
        return Ok(());
    }
    let middle = low + crate::proof::split(high - low);
    walk(nodes, (low, middle), range, beside)?;
    walk(nodes, (middle, high), range, beside)
}

/// A note about a file, signed with the journal's key: its first line says what it is, so that it is never taken for a
/// head.
///
/// # Errors
/// [`LedgerError`] where the key cannot be read, or does not sign.
pub fn sign(dir: &Path, file: &[u8]) -> Result<String, LedgerError> {
    let layout = Layout::new(dir);
    let signer = Signer::load(&layout, "", false)?;
    let digest = crate::chain::hex(&sha256(file));
    let text = format!("portcullis evidence 1\n{digest}\ntime {}\n", rfc3339(now()));
    signer.note(&text).map_err(LedgerError::Broken)
}
