//! The first rows of an answer, as text, for the recording: taken after masking, bounded, and
//! costing one comparison per row once the bound is reached.

use super::body::Body;
use super::rows::read_value;
use portcullis_core::mask::{Field, Format};

/// How many rows of each part are kept.
pub const MAX_ROWS: usize = 5;

/// How many bytes of text are kept of one answer, names included.
pub const MAX_BYTES: usize = 4 * 1024;

/// How many bytes are kept of one value.
pub const MAX_CELL: usize = 256;

/// The first rows of each part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    parts: Vec<PartSample>,
    /// Bytes that may still be kept.
    left: usize,
}

/// The first rows of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartSample {
    /// Which part of the request.
    pub part: usize,
    /// The names of its columns; empty for rows copied out, which are one text each.
    pub columns: Vec<String>,
    /// Its first rows, masked; `None` is NULL. A text that was cut ends in `…`.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Default for Sample {
    fn default() -> Self {
        Self { parts: Vec::new(), left: MAX_BYTES }
    }
}

impl Sample {
    /// The parts that answered with rows, in order.
    #[must_use]
    pub fn parts(&self) -> &[PartSample] {
        &self.parts
    }

    pub(super) fn describe(&mut self, part: usize, fields: &[Field<'_>]) {
        if self.left == 0 {
            return;
        }
        let columns = fields.iter().map_while(|f| self.keep(f.name.as_bytes())).collect();
        self.parts.push(PartSample { part, columns, rows: Vec::new() });
    }

    /// Takes a row as it goes out.
    pub(super) fn row(&mut self, part: usize, types: &[(u32, Format)], body: &[u8]) {
        if !self.wants(part) {
            return;
        }
        let mut body = Body::new("DataRow", body);
        if body.count().is_err() {
            return;
        }
        let mut row = Vec::with_capacity(types.len().min(64));
        for field in types {
            let cell = match read_value(&mut body) {
                Ok(Some(value)) => match self.cell(*field, value) {
                    Some(text) => Some(text),
                    None => break,
                },
                Ok(None) => None,
                Err(_) => break,
            };
            // A NULL costs a byte, so that rows of nothing are bounded too.
            self.left = self.left.saturating_sub(1);
            row.push(cell);
        }
        self.push(part, row);
    }

    /// Takes a copied row as it goes out.
    pub(super) fn line(&mut self, part: usize, line: &[u8]) {
        if self.parts.last().is_none_or(|p| p.part != part) {
            self.describe(part, &[]);
        }
        if !self.wants(part) {
            return;
        }
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if let Some(text) = self.keep(line) {
            self.push(part, vec![Some(text)]);
        }
    }

    fn wants(&self, part: usize) -> bool {
        self.left > 0
            && self.parts.last().is_some_and(|p| p.part == part && p.rows.len() < MAX_ROWS)
    }

    fn push(&mut self, part: usize, row: Vec<Option<String>>) {
        if let Some(last) = self.parts.last_mut().filter(|p| p.part == part) {
            last.rows.push(row);
        }
    }

    fn cell(&mut self, (type_id, format): (u32, Format), value: &[u8]) -> Option<String> {
        match format {
            Format::Text => self.keep(value),
            Format::Binary => match readable(type_id, value) {
                Readable::Text(text) => self.keep(text),
                Readable::Number(text) => self.keep(text.as_bytes()),
                Readable::Opaque => {
                    let shown = value.get(..MAX_CELL / 2).unwrap_or(value);
                    let hex: String = shown.iter().map(|b| format!("{b:02x}")).collect();
                    let cut = if shown.len() < value.len() { "…" } else { "" };
                    self.keep(format!("\\x{hex}{cut}").as_bytes())
                }
            },
        }
    }

    /// Keeps a text, cut where it or the whole is over its bound; `None` where nothing is left.
    fn keep(&mut self, text: &[u8]) -> Option<String> {
        if self.left == 0 {
            return None;
        }
        let most = self.left.min(MAX_CELL);
        let whole = String::from_utf8_lossy(text.get(..most).unwrap_or(text)).into_owned();
        let kept = if text.len() > most {
            format!("{}…", whole.trim_end_matches('\u{fffd}'))
        } else {
            whole
        };
        self.left = self.left.saturating_sub(kept.len());
        Some(kept)
    }
}

enum Readable<'a> {
    Text(&'a [u8]),
    Number(String),
    Opaque,
}

/// A binary value of a common type (OIDs of `pg_type.dat`) as text.
fn readable(type_id: u32, value: &[u8]) -> Readable<'_> {
    let number = match (type_id, value) {
        // text, name, bpchar, varchar, unknown, json, xml
        (25 | 19 | 1042 | 1043 | 705 | 114 | 142, text) => return Readable::Text(text),
        // jsonb: a version byte, then its text
        (3802, [1, text @ ..]) => return Readable::Text(text),
        (16, [flag]) => Some(if *flag == 0 { "f" } else { "t" }.to_owned()),
        (21, v) => v.try_into().ok().map(|v| i16::from_be_bytes(v).to_string()),
        (23, v) => v.try_into().ok().map(|v| i32::from_be_bytes(v).to_string()),
        (20, v) => v.try_into().ok().map(|v| i64::from_be_bytes(v).to_string()),
        (26, v) => v.try_into().ok().map(|v| u32::from_be_bytes(v).to_string()),
        (700, v) => v.try_into().ok().map(|v| f32::from_be_bytes(v).to_string()),
        (701, v) => v.try_into().ok().map(|v| f64::from_be_bytes(v).to_string()),
        _ => None,
    };
    number.map_or(Readable::Opaque, Readable::Number)
}
