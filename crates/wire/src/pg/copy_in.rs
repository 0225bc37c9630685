//! Rows that a client copies in (`COPY … FROM STDIN`), taken apart into fields so that they can be
//! looked at before they go to the target. They are passed on as they came.
//!
//! A row that is longer than can be kept, or rows in a format that could not be told, are shown in
//! pieces instead, which overlap, without saying which column they are of.

use super::conversation::CopyFeed;
use super::copy_out::{LineFields, LineFormat, Lines, State, TupleSize};
use super::copy_out::{header_size, tuple_fields, tuple_size};
use portcullis_core::mask::CopyFormat;

/// The longest row that is put together.
const MAX_ROW: usize = 1 << 20;
/// By how much pieces overlap: what is looked for is shorter.
const OVERLAP: usize = 128;

/// A field of copied-in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// Of which row, from 1.
    pub row: u64,
    /// In which column, from 0; `None` where that is not known.
    pub column: Option<usize>,
}

/// Reads rows as they come in.
#[derive(Debug)]
pub struct CopyReader {
    shape: Shape,
    /// True while the line with the names of the columns is still to come.
    header: bool,
    /// True after a row that a carriage return has ended: a newline behind it is part of that end.
    returned: bool,
    rows: u64,
    scratch: Vec<u8>,
}

#[derive(Debug)]
enum Shape {
    Lines(Lines),
    Tuples { pending: Vec<u8>, begun: bool },
    Pieces(Vec<u8>),
}

impl CopyReader {
    /// A reader of rows in this format.
    #[must_use]
    pub fn new(format: CopyFormat) -> Self {
        let (shape, header) = match (LineFormat::of(format), format) {
            (Some((format, header)), _) => (Shape::Lines(Lines::coming_in(format)), header),
            (None, CopyFormat::Binary) => {
                (Shape::Tuples { pending: Vec::new(), begun: false }, false)
            }
            (None, _) => (Shape::Pieces(Vec::new()), false),
        };
        Self { shape, header, returned: false, rows: 0, scratch: Vec::new() }
    }

    /// Shows every field that ends in this feed to `look`, until it finds something.
    pub fn look<T>(
        &mut self,
        feed: &CopyFeed,
        mut look: impl FnMut(&[u8], Spot) -> Option<T>,
    ) -> Option<(T, Spot)> {
        let mut rest = feed.as_ref();
        while let Some((kind, after)) = rest.split_first() {
            let length = after.first_chunk::<4>().map(|l| u32::from_be_bytes(*l) as usize)?;
            let (message, next) = after.split_at_checked(length)?;
            rest = next;
            let found = match kind {
                b'd' => self.data(message.get(4..).unwrap_or_default(), &mut look),
                b'c' => self.done(&mut look),
                _ => None,
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn data<T>(
        &mut self,
        data: &[u8],
        look: &mut impl FnMut(&[u8], Spot) -> Option<T>,
    ) -> Option<(T, Spot)> {
        let found = match &mut self.shape {
            Shape::Lines(lines) => {
                let mut rest = data;
                let mut found = None;
                while let Some(end) = lines.end_of_row(rest) {
                    let (row, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
                    rest = after;
                    if self.returned && lines.pending.is_empty() && row == b"\n" {
                        self.returned = false;
                        continue;
                    }
                    self.returned = row.ends_with(b"\r");
                    lines.pending.extend_from_slice(row);
                    let whole = std::mem::take(&mut lines.pending);
                    lines.state = State::default();
                    if std::mem::take(&mut self.header) {
                        continue;
                    }
                    self.rows += 1;
                    let scratch = &mut self.scratch;
                    found = look_at_line(lines.format, &whole, self.rows, scratch, look);
                    if found.is_some() {
                        break;
                    }
                }
                lines.pending.extend_from_slice(rest);
                found
            }
            Shape::Tuples { pending, begun } => {
                pending.extend_from_slice(data);
                let (used, found) = look_at_tuples(pending, begun, &mut self.rows, look);
                pending.drain(..used);
                found
            }
            Shape::Pieces(tail) => {
                tail.extend_from_slice(data);
                let spot = Spot { row: self.rows + 1, column: None };
                let found = look(tail, spot).map(|found| (found, spot));
                let gone = tail.len().saturating_sub(OVERLAP);
                tail.drain(..gone);
                found
            }
        };
        self.shorten();
        found
    }

    /// A row that is too long to be kept: from here on, pieces.
    fn shorten(&mut self) {
        let pending = match &mut self.shape {
            Shape::Lines(lines) => &mut lines.pending,
            Shape::Tuples { pending, .. } => pending,
            Shape::Pieces(_) => return,
        };
        if pending.len() > MAX_ROW {
            self.shape = Shape::Pieces(std::mem::take(pending));
        }
    }

    /// The last row may lack its newline.
    fn done<T>(&mut self, look: &mut impl FnMut(&[u8], Spot) -> Option<T>) -> Option<(T, Spot)> {
        match &mut self.shape {
            Shape::Lines(lines) if !lines.pending.is_empty() && !self.header => {
                let whole = std::mem::take(&mut lines.pending);
                look_at_line(lines.format, &whole, self.rows + 1, &mut self.scratch, look)
            }
            _ => None,
        }
    }
}

fn look_at_line<T>(
    format: LineFormat,
    line: &[u8],
    row: u64,
    scratch: &mut Vec<u8>,
    look: &mut impl FnMut(&[u8], Spot) -> Option<T>,
) -> Option<(T, Spot)> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut fields = LineFields { format, line, at: Some(0) }.enumerate();
    fields.find_map(|(column, (start, end))| {
        // What stands for NULL is looked at too: `FORCE_NOT_NULL` makes a value of it.
        let value = format.value(line.get(start..end).unwrap_or_default(), scratch);
        let spot = Spot { row, column: Some(column) };
        look(value, spot).map(|found| (found, spot))
    })
}

/// Looks at whole rows, and says how much it has seen.
fn look_at_tuples<T>(
    bytes: &[u8],
    begun: &mut bool,
    rows: &mut u64,
    look: &mut impl FnMut(&[u8], Spot) -> Option<T>,
) -> (usize, Option<(T, Spot)>) {
    let mut used = 0;
    // What is no binary copy is refused by the server.
    if !*begun {
        let Ok(Some(size)) = header_size(bytes) else { return (0, None) };
        *begun = true;
        used = size;
    }
    while let Some(rest) = bytes.get(used..)
        && let Ok(Some(TupleSize::Row(size))) = tuple_size(rest)
    {
        *rows += 1;
        used += size;
        let fields = tuple_fields(rest.get(..size).unwrap_or_default()).enumerate();
        for (column, value) in fields {
            let spot = Spot { row: *rows, column: Some(column) };
            if let Some(found) = value.and_then(|value| look(value, spot)) {
                return (used, Some((found, spot)));
            }
        }
    }
    (used, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::conversation::FeedKind;
    use portcullis_core::mask::NullString;

    fn feed(data: &[u8]) -> CopyFeed {
        let mut bytes = vec![b'd'];
        bytes.extend_from_slice(&(data.len() as u32 + 4).to_be_bytes());
        bytes.extend_from_slice(data);
        CopyFeed::of(FeedKind::Data, bytes)
    }

    /// Where `x` alone is found in rows that come in pieces of every size.
    fn check(format: CopyFormat, data: &[u8], expect: Option<Spot>) {
        for size in 1..=data.len() {
            let mut reader = CopyReader::new(format);
            let is_x = |value: &[u8], _: Spot| (value == b"x").then_some(());
            let mut found = data.chunks(size).find_map(|piece| reader.look(&feed(piece), is_x));
            let done = CopyFeed::of(FeedKind::Done, b"c\0\0\0\x04".to_vec());
            found = found.or_else(|| reader.look(&done, is_x));
            assert_eq!(found.map(|(_, spot)| spot), expect, "{size}");
        }
    }

    #[test]
    fn fields_are_found_in_every_format() {
        let text = CopyFormat::TEXT;
        let spot = |row, column| Some(Spot { row, column: Some(column) });
        check(text, b"a\tb\nc\tx\n", spot(2, 1));
        check(text, b"a\t\\x78\n", spot(1, 1));
        check(text, b"a\tx\r\n", spot(1, 1));
        check(text, b"a\tb\r\nc\tx\r\n", spot(2, 1));
        check(text, b"a\tb\rc\tx\r", spot(2, 1));
        check(text, b"a\tb\r\r\nc\tx\r", spot(3, 1));
        check(text, b"a\t\\\rx\n", None);
        check(text, b"a\tx", spot(1, 1));
        check(text, b"a\txx\n\\N\t\\N\n\\.\n", None);
        let null = NullString::new("x").unwrap();
        let csv =
            CopyFormat::Csv { delimiter: b',', quote: b'"', escape: b'"', header: true, null };
        check(csv, b"x,x\n\"x\",b\n", spot(1, 0));
        check(csv, b"x,x\n\"a\nx\",b\n", None);
        check(csv, b"x,x\ra,x\r", spot(1, 1));
        check(csv, b"x,x\n\"a\rx\",b\n", None);
        let mut binary = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
        binary.extend_from_slice(b"\0\x02\xff\xff\xff\xff\0\0\0\x01x\xff\xff");
        check(CopyFormat::Binary, &binary, spot(1, 1));
    }

    #[test]
    fn long_rows_are_shown_in_pieces() {
        let mut reader = CopyReader::new(CopyFormat::TEXT);
        let holds = |value: &[u8], _: Spot| value.windows(6).any(|w| w == b"needle").then_some(());
        let filler = vec![b'a'; MAX_ROW];
        assert!(reader.look(&feed(&filler), holds).is_none());
        assert!(reader.look(&feed(b"aaaanee"), holds).is_none());
        assert!(reader.look(&feed(b"dle"), holds).is_some());
    }
}
