//! Rows copied out (`COPY … TO STDOUT`), which carry no description: taken apart by the text or
//! CSV rules the statement itself asked for (manual, "COPY", File Formats), masked field by field,
//! and written again by the same rules. Binary rows say where their fields end, and are rewritten
//! by that.
//!
//! The server sends one row per CopyData, but the protocol does not promise it: a row is put
//! together over messages before any of it goes out.

use super::body::{Body, malformed};
use super::frames::{Frame, MAX_MESSAGE};
use super::rewrite::{Rewrite, put_message};
use super::rows::format_from;
use super::sample::Sample;
use portcullis_core::mask::{
    CopyFormat, Format, MaskFailure, NullString, Plan, Redacted, Redactor, Treatment, UNKNOWN_TYPE,
};

/// What every binary copy begins with (manual, "COPY", Binary Format); then flags and the length of
/// an extension follow.
const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// The flags of which a reader has to know the meaning. None of them has one any more.
const CRITICAL_FLAGS: u32 = 0xffff_0000;

/// The columns of a copy: their number, and whether it is binary as a whole.
pub(super) fn read_response(body: &[u8]) -> Result<(usize, Format), MaskFailure> {
    let mut body = Body::new("CopyResponse", body);
    let overall = format_from(i16::from(body.u8()?))?;
    let columns = body.count()?;
    for _ in 0..columns {
        if format_from(body.i16()?)? == Format::Binary && overall == Format::Text {
            return Err(malformed("a binary column in a textual copy"));
        }
    }
    body.end()?;
    Ok((columns, overall))
}

/// A copy under way.
#[derive(Debug)]
pub(super) struct CopyOut {
    part: usize,
    plan: Plan,
    rows: Option<Rows>,
    /// True while the line with the names of the columns is still to come.
    header: bool,
    scratch: Scratch,
}

/// What is read of the rows.
#[derive(Debug)]
enum Rows {
    Lines(Lines),
    Binary(Tuples),
}

/// Rows put together over messages.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) format: LineFormat,
    /// The start of a row whose end has not come yet.
    pub(super) pending: Vec<u8>,
    /// The state of reading after `pending`.
    pub(super) state: State,
    /// True where carriage returns end rows too.
    returns: bool,
}

#[derive(Debug, Default)]
struct Scratch {
    value: Vec<u8>,
    made: Vec<u8>,
    line: Vec<u8>,
}

impl CopyOut {
    /// Asks the redactor, once, when the copy starts.
    pub(super) fn ask(
        redactor: &dyn Redactor,
        part: usize,
        format: CopyFormat,
        (columns, overall): (usize, Format),
    ) -> Result<Self, MaskFailure> {
        let binary = format == CopyFormat::Binary;
        if format != CopyFormat::Untold && binary != (overall == Format::Binary) {
            return Err(malformed("a copy in another format than was asked for"));
        }
        let plan = redactor.plan_copy(part, columns, format)?;
        if plan.columns.len() != columns {
            return Err(MaskFailure::Untraceable(format!(
                "{columns} columns are copied where {} were planned",
                plan.columns.len()
            )));
        }
        let rows = match LineFormat::of(format) {
            _ if plan.passes_all() => None,
            Some((format, _)) => Some(Rows::Lines(Lines::new(format))),
            None if binary => Some(Rows::Binary(Tuples::default())),
            None => {
                return Err(MaskFailure::Untraceable(
                    "a copy in a format that could not be told cannot be rewritten".to_owned(),
                ));
            }
        };
        let header = LineFormat::of(format).is_some_and(|(_, header)| header);
        Ok(Self { part, plan, rows, header, scratch: Scratch::default() })
    }

    /// Masks one CopyData. Gives how many rows it ended and how many values were masked.
    pub(super) fn data(
        &mut self,
        redactor: &dyn Redactor,
        frame: &Frame<'_>,
        out: &mut Rewrite,
        sample: &mut Sample,
    ) -> Result<(u64, u64), MaskFailure> {
        let lines = match &mut self.rows {
            Some(Rows::Lines(lines)) => lines,
            Some(Rows::Binary(tuples)) => {
                let mut masker =
                    LineMasker { redactor, plan: &self.plan, scratch: &mut self.scratch };
                return tuples.data(&mut masker, frame, out);
            }
            None => {
                if !std::mem::take(&mut self.header) {
                    sample.line(self.part, frame.body);
                }
                return Ok((1, 0));
            }
        };
        let mut masker = LineMasker { redactor, plan: &self.plan, scratch: &mut self.scratch };
        let (mut rest, mut rows, mut masked) = (frame.body, 0, 0);
        if !self.header && lines.pending.is_empty() && lines.end_of_row(rest) == Some(rest.len()) {
            // One whole row in its own message, as every server sends it.
            lines.state = State::default();
            let n = masker.mask(lines.format, rest)?;
            if n > 0 {
                out.replace(frame, &masker.scratch.line)?;
            }
            sample.line(self.part, if n > 0 { &masker.scratch.line } else { rest });
            return Ok((1, n));
        }
        if lines.pending.is_empty() {
            lines.state = State::default();
        }
        out.leave_out(frame);
        while let Some(end) = lines.end_of_row(rest) {
            let (row, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            rest = after;
            if std::mem::take(&mut self.header) {
                put_message(out.written(), b'd', &lines.finish_header(row, &self.plan)?)?;
                continue;
            }
            masked += lines.finish_row(row, &mut masker)?;
            put_message(out.written(), b'd', &masker.scratch.line)?;
            sample.line(self.part, &masker.scratch.line);
            rows += 1;
        }
        if lines.pending.len() + rest.len() > MAX_MESSAGE {
            return Err(MaskFailure::TooLarge(format!("a copied row over {MAX_MESSAGE} bytes")));
        }
        lines.pending.extend_from_slice(rest);
        Ok((rows, masked))
    }

    /// The copy's end (CopyDone): what is left is a last row without its newline.
    pub(super) fn done(
        &mut self,
        redactor: &dyn Redactor,
        frame: &Frame<'_>,
        out: &mut Rewrite,
        sample: &mut Sample,
    ) -> Result<(u64, u64), MaskFailure> {
        let lines = match &mut self.rows {
            Some(Rows::Lines(lines)) if !lines.pending.is_empty() => lines,
            Some(Rows::Binary(tuples)) => return tuples.done().map(|()| (0, 0)),
            _ => return Ok((0, 0)),
        };
        let mut masker = LineMasker { redactor, plan: &self.plan, scratch: &mut self.scratch };
        let masked = lines.finish_row(&[], &mut masker)?;
        sample.line(self.part, &masker.scratch.line);
        let written = out.leave_out(frame);
        put_message(written, b'd', &masker.scratch.line)?;
        put_message(written, frame.tag, frame.body)?;
        Ok((1, masked))
    }
}

impl Lines {
    pub(super) const fn new(format: LineFormat) -> Self {
        Self { format, pending: Vec::new(), state: State::Plain, returns: false }
    }

    /// Rows from a client, which may end in carriage returns: the server goes by what ends the first
    /// row, and fails at another.
    pub(super) const fn coming_in(format: LineFormat) -> Self {
        Self { format, pending: Vec::new(), state: State::Plain, returns: true }
    }

    /// Where the row that `bytes` continues ends, newline included; `None` where it goes on.
    pub(super) fn end_of_row(&mut self, bytes: &[u8]) -> Option<usize> {
        for (i, byte) in bytes.iter().enumerate() {
            let returned = self.returns && *byte == b'\r' && self.state == State::Plain;
            if self.format.step(&mut self.state, *byte) == Mark::Newline || returned {
                return Some(i + 1);
            }
        }
        None
    }

    /// The line with the names of the columns, which goes out as it came: as many as there are.
    fn finish_header(&mut self, row: &[u8], plan: &Plan) -> Result<Vec<u8>, MaskFailure> {
        self.state = State::default();
        let mut whole = std::mem::take(&mut self.pending);
        whole.extend_from_slice(row);
        let names = LineFields { format: self.format, line: &whole, at: Some(0) }.count();
        if names != plan.columns.len() {
            return Err(malformed("the first line of a copy does not name its columns"));
        }
        Ok(whole)
    }

    /// Masks `pending` and `row` together into the scratch line.
    fn finish_row(&mut self, row: &[u8], masker: &mut LineMasker<'_>) -> Result<u64, MaskFailure> {
        self.state = State::default();
        let mut whole = std::mem::take(&mut self.pending);
        whole.extend_from_slice(row);
        let masked = masker.mask(self.format, &whole)?;
        if masked == 0 {
            masker.scratch.line.clear();
            masker.scratch.line.extend_from_slice(&whole);
        }
        whole.clear();
        self.pending = whole;
        Ok(masked)
    }
}

/// Binary rows put together over messages.
#[derive(Debug, Default)]
struct Tuples {
    /// What has come of a header or row whose end has not.
    pending: Vec<u8>,
    begun: bool,
    ended: bool,
}

impl Tuples {
    /// Masks the rows that a CopyData ends; what is no row goes out as it came.
    fn data(
        &mut self,
        masker: &mut LineMasker<'_>,
        frame: &Frame<'_>,
        out: &mut Rewrite,
    ) -> Result<(u64, u64), MaskFailure> {
        if self.pending.len() + frame.body.len() > MAX_MESSAGE {
            return Err(MaskFailure::TooLarge(format!("a copied row over {MAX_MESSAGE} bytes")));
        }
        let whole_rows = self.pending.is_empty();
        let mut whole = std::mem::take(&mut self.pending);
        whole.extend_from_slice(frame.body);
        let (mut rest, mut rows, mut masked) = (whole.as_slice(), 0, 0);
        // Readers expect what the server sends in one message in one, the header before a row.
        let mut made = Vec::new();
        while let Some(size) = self.next_size(rest)? {
            let (item, after) = rest.split_at_checked(size).unwrap_or((rest, &[]));
            rest = after;
            if !self.begun || self.ended {
                self.begun = true;
                made.extend_from_slice(item);
                continue;
            }
            let n = masker.mask_tuple(item)?;
            made.extend_from_slice(if n > 0 { masker.scratch.line.as_slice() } else { item });
            rows += 1;
            masked += n;
        }
        self.pending = rest.to_vec();
        if whole_rows && masked == 0 && rest.is_empty() {
            return Ok((rows, 0));
        }
        if made.is_empty() {
            out.leave_out(frame);
        } else {
            out.replace(frame, &made)?;
        }
        Ok((rows, masked))
    }

    /// The size of the header, the row or the end that stands first; `None` where not all of it has
    /// come.
    fn next_size(&mut self, bytes: &[u8]) -> Result<Option<usize>, MaskFailure> {
        if bytes.is_empty() {
            return Ok(None);
        }
        if self.ended {
            return Err(malformed("copied rows behind their end"));
        }
        if self.begun {
            let size = tuple_size(bytes)?;
            self.ended = size == Some(TupleSize::End);
            return Ok(size.map(|size| match size {
                TupleSize::End => 2,
                TupleSize::Row(size) => size,
            }));
        }
        header_size(bytes)
    }

    /// Nothing may be left when the copy ends.
    fn done(&self) -> Result<(), MaskFailure> {
        if self.pending.is_empty() { Ok(()) } else { Err(malformed("a copied row without an end")) }
    }
}

/// The size of a binary copy's header; `None` where not all of it has come.
pub(super) fn header_size(bytes: &[u8]) -> Result<Option<usize>, MaskFailure> {
    let known = bytes.len().min(SIGNATURE.len());
    if bytes.get(..known) != SIGNATURE.get(..known) {
        return Err(malformed("a binary copy without its signature"));
    }
    let Some(fields) = bytes.get(SIGNATURE.len()..).and_then(|b| b.first_chunk::<8>()) else {
        return Ok(None);
    };
    let (flags, extension) = fields.split_at(4);
    let word = |b: &[u8]| b.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b));
    if word(flags) & CRITICAL_FLAGS != 0 {
        return Err(malformed("a binary copy with flags that have no meaning"));
    }
    let size = usize::try_from(word(extension)).unwrap_or(usize::MAX).saturating_add(19);
    Ok((bytes.len() >= size).then_some(size))
}

/// What stands first among binary rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TupleSize {
    Row(usize),
    End,
}

/// The size of a binary row; `None` where not all of it has come.
pub(super) fn tuple_size(bytes: &[u8]) -> Result<Option<TupleSize>, MaskFailure> {
    let Some(count) = bytes.first_chunk::<2>() else { return Ok(None) };
    let count = i16::from_be_bytes(*count);
    if count == -1 {
        return Ok(Some(TupleSize::End));
    }
    let count = u16::try_from(count).map_err(|_| malformed("a copied row of negative size"))?;
    let mut at = 2_usize;
    for _ in 0..count {
        let Some(length) = bytes.get(at..).and_then(|b| b.first_chunk::<4>()) else {
            return Ok(None);
        };
        at += 4;
        at = match i32::from_be_bytes(*length) {
            -1 => at,
            length => {
                let length = usize::try_from(length);
                at + length.map_err(|_| malformed("a copied field of negative size"))?
            }
        };
        if at > MAX_MESSAGE {
            return Err(MaskFailure::TooLarge(format!("a copied row over {MAX_MESSAGE} bytes")));
        }
    }
    Ok((bytes.len() >= at).then_some(TupleSize::Row(at)))
}

/// The fields of a whole binary row; `None` is NULL.
pub(super) fn tuple_fields(row: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = row.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        match usize::try_from(i32::from_be_bytes(*length)) {
            Err(_) => {
                rest = after;
                Some(None)
            }
            Ok(length) => {
                let (field, after) = after.split_at_checked(length)?;
                rest = after;
                Some(Some(field))
            }
        }
    })
}

#[derive(Debug, Clone, Copy)]
pub(super) enum LineFormat {
    Text { delimiter: u8, null: NullString },
    Csv { delimiter: u8, quote: u8, escape: u8, null: NullString },
}

/// Where reading stands within a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Plain,
    /// After a backslash (text), or an escape inside quotes (CSV).
    Escaped,
    /// Inside quotes (CSV).
    Quoted,
}

/// What a byte is to the structure of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Data,
    Delimiter,
    Newline,
}

impl LineFormat {
    /// The format of a textual copy, and whether its first line names the columns.
    pub(super) const fn of(format: CopyFormat) -> Option<(Self, bool)> {
        match format {
            CopyFormat::Text { delimiter, header, null } => {
                Some((Self::Text { delimiter, null }, header))
            }
            CopyFormat::Csv { delimiter, quote, escape, header, null } => {
                Some((Self::Csv { delimiter, quote, escape, null }, header))
            }
            CopyFormat::Binary | CopyFormat::Untold => None,
        }
    }

    /// Reads one byte as the server's own reader does. What stands for NULL has no byte in it that
    /// is anything but data.
    fn step(self, state: &mut State, byte: u8) -> Mark {
        let (next, mark) = match self {
            Self::Text { delimiter, .. } => match *state {
                State::Plain if byte == b'\\' => (State::Escaped, Mark::Data),
                State::Plain if byte == b'\n' => (State::Plain, Mark::Newline),
                State::Plain if byte == delimiter => (State::Plain, Mark::Delimiter),
                _ => (State::Plain, Mark::Data),
            },
            Self::Csv { delimiter, quote, escape, .. } => match *state {
                State::Plain if byte == quote => (State::Quoted, Mark::Data),
                State::Plain if byte == b'\n' => (State::Plain, Mark::Newline),
                State::Plain if byte == delimiter => (State::Plain, Mark::Delimiter),
                State::Plain => (State::Plain, Mark::Data),
                State::Quoted if byte == escape && escape != quote => (State::Escaped, Mark::Data),
                State::Quoted if byte == quote => (State::Plain, Mark::Data),
                State::Quoted | State::Escaped => (State::Quoted, Mark::Data),
            },
        };
        *state = next;
        mark
    }

    /// True where the server has written NULL, and nothing else can look like that. In text other
    /// than `\N` can: such a NULL is taken for the value that it looks like.
    fn is_null(self, raw: &[u8]) -> bool {
        match self {
            Self::Text { null, .. } => null == NullString::TEXT && raw == null.as_bytes(),
            Self::Csv { null, .. } => raw == null.as_bytes(),
        }
    }

    /// The value of a field, unescaped into `value`; `None` for NULL.
    fn read<'a>(self, raw: &'a [u8], value: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        (!self.is_null(raw)).then(|| self.value(raw, value))
    }

    /// The value of a field, whether it stands for NULL or not.
    pub(super) fn value<'a>(self, raw: &'a [u8], value: &'a mut Vec<u8>) -> &'a [u8] {
        match self {
            Self::Text { .. } if !raw.contains(&b'\\') => raw,
            Self::Text { .. } => {
                value.clear();
                unescape(raw, value);
                value
            }
            Self::Csv { quote, .. } if !raw.contains(&quote) => raw,
            Self::Csv { quote, escape, .. } => {
                value.clear();
                unquote(raw, quote, escape, value);
                value
            }
        }
    }

    /// True where no server writes a field like this: it was not taken from the row as it was put
    /// there. Quotes are around all of a field, and ends of lines are written as something else.
    fn is_foreign(self, raw: &[u8]) -> bool {
        match self {
            Self::Text { .. } => raw.contains(&b'\r'),
            Self::Csv { quote, .. } => match raw {
                [first, .., last] if *first == quote => *last != quote,
                _ => raw.iter().any(|b| *b == quote || *b == b'\r'),
            },
        }
    }

    /// Appends a field that reads as `value` (`None`: NULL).
    fn write(self, value: Option<&[u8]>, out: &mut Vec<u8>) {
        match (self, value) {
            (Self::Text { null, .. } | Self::Csv { null, .. }, None) => {
                out.extend_from_slice(null.as_bytes());
            }
            (Self::Text { delimiter, .. }, Some(value)) => {
                for byte in value {
                    let letter = match *byte {
                        8 => b'b',
                        9 => b't',
                        10 => b'n',
                        11 => b'v',
                        12 => b'f',
                        13 => b'r',
                        b'\\' => b'\\',
                        other if other == delimiter => other,
                        other => {
                            out.push(other);
                            continue;
                        }
                    };
                    out.extend_from_slice(&[b'\\', letter]);
                }
            }
            (Self::Csv { quote, escape, .. }, Some(value)) => {
                out.push(quote);
                for byte in value {
                    if *byte == quote || *byte == escape {
                        out.push(escape);
                    }
                    out.push(*byte);
                }
                out.push(quote);
            }
        }
    }
}

/// Backslash sequences of the text format: letters, up to three octal or two hexadecimal digits,
/// and any other character for itself.
fn unescape(raw: &[u8], value: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            value.push(*first);
            continue;
        }
        let Some((escaped, after)) = rest.split_first() else {
            value.push(b'\\');
            break;
        };
        let number = match escaped {
            b'0'..=b'7' => digits(rest, 8, 3),
            b'x' => digits(after, 16, 2),
            _ => None,
        };
        if let Some((byte, left)) = number {
            value.push(byte);
            rest = left;
            continue;
        }
        rest = after;
        value.push(match escaped {
            b'b' => 8,
            b't' => 9,
            b'n' => 10,
            b'v' => 11,
            b'f' => 12,
            b'r' => 13,
            other => *other,
        });
    }
}

/// Up to `most` digits of a number, of which the low eight bits count; and what follows.
fn digits(bytes: &[u8], radix: u32, most: usize) -> Option<(u8, &[u8])> {
    let count = bytes.iter().take(most).take_while(|b| char::from(**b).is_digit(radix)).count();
    let (number, rest) = bytes.split_at_checked(count).filter(|(n, _)| !n.is_empty())?;
    let value = number
        .iter()
        .filter_map(|b| char::from(*b).to_digit(radix))
        .fold(0, |v, d| (v * radix + d) & 0xff);
    Some((u8::try_from(value).ok()?, rest))
}

/// Quotes and escapes of CSV. Quotes may start in the middle of a field.
fn unquote(raw: &[u8], quote: u8, escape: u8, value: &mut Vec<u8>) {
    let mut bytes = raw.iter().copied().peekable();
    let mut quoted = false;
    while let Some(byte) = bytes.next() {
        if quoted
            && byte == escape
            && let Some(literal) = bytes.next_if(|b| *b == quote || *b == escape)
        {
            value.push(literal);
            continue;
        }
        if byte == quote {
            quoted = !quoted;
        } else {
            value.push(byte);
        }
    }
}

struct LineMasker<'a> {
    redactor: &'a dyn Redactor,
    plan: &'a Plan,
    scratch: &'a mut Scratch,
}

impl LineMasker<'_> {
    /// Masks a whole row (with or without its newline) into the scratch line; 0 where nothing
    /// changes, and then the scratch line means nothing.
    fn mask(&mut self, format: LineFormat, line: &[u8]) -> Result<u64, MaskFailure> {
        let Scratch { value, made, line: out } = &mut *self.scratch;
        out.clear();
        let (mut copied, mut masked) = (0, 0);
        let mut fields = LineFields { format, line, at: Some(0) };
        for (column, treatment) in self.plan.columns.iter().enumerate() {
            let Some((start, end)) = fields.next() else {
                return Err(malformed("a copied row has too few columns"));
            };
            if *treatment == Treatment::Pass {
                continue;
            }
            let raw = line.get(start..end).unwrap_or_default();
            if format.is_foreign(raw) {
                return Err(malformed("a copied row in another format than was asked for"));
            }
            let text = match format.read(raw, value) {
                Some(text) => text,
                // Whether what is worked out is NULL may be an answer.
                None if *treatment == Treatment::Conceal => &[],
                None => continue,
            };
            made.clear();
            let field = (self.plan.types.get(column).copied().unwrap_or(0), Format::Text);
            let new = match self.redactor.redact(treatment, field, text, made) {
                Redacted::Unchanged => continue,
                Redacted::Replaced => Some(made.as_slice()),
                Redacted::Removed => None,
            };
            out.extend_from_slice(line.get(copied..start).unwrap_or_default());
            format.write(new, out);
            copied = end;
            masked += 1;
        }
        if fields.next().is_some() {
            return Err(malformed("a copied row has too many columns"));
        }
        if masked > 0 {
            out.extend_from_slice(line.get(copied..).unwrap_or_default());
        }
        Ok(masked)
    }
}

impl LineMasker<'_> {
    /// Masks a binary row into the scratch line; 0 where nothing changes, and then the scratch line
    /// means nothing.
    fn mask_tuple(&mut self, row: &[u8]) -> Result<u64, MaskFailure> {
        let Scratch { made, line: out, .. } = &mut *self.scratch;
        out.clear();
        out.extend_from_slice(row.get(..2).unwrap_or_default());
        let mut masked = 0;
        let mut fields = tuple_fields(row);
        for (column, treatment) in self.plan.columns.iter().enumerate() {
            let Some(value) = fields.next() else {
                return Err(malformed("a copied row has too few columns"));
            };
            made.clear();
            let type_id = self.plan.types.get(column).copied().unwrap_or(UNKNOWN_TYPE);
            let new = match value {
                Some(value) if *treatment != Treatment::Pass => {
                    let field = (type_id, Format::Binary);
                    match self.redactor.redact(treatment, field, value, made) {
                        Redacted::Unchanged => Some(value),
                        Redacted::Replaced => {
                            masked += 1;
                            Some(made.as_slice())
                        }
                        Redacted::Removed => {
                            masked += 1;
                            None
                        }
                    }
                }
                // Whether what is worked out is NULL may be an answer.
                None if *treatment == Treatment::Conceal => {
                    let made_up =
                        self.redactor.redact(treatment, (type_id, Format::Binary), &[], made);
                    (made_up == Redacted::Replaced).then(|| {
                        masked += 1;
                        made.as_slice()
                    })
                }
                value => value,
            };
            let length = new.map_or(Ok(-1), |new| i32::try_from(new.len()));
            let length = length.map_err(|_| malformed("a copied field of negative size"))?;
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(new.unwrap_or_default());
        }
        if fields.next().is_some() {
            return Err(malformed("a copied row has too many columns"));
        }
        Ok(masked)
    }
}

/// Where the fields of a row stand in it.
pub(super) struct LineFields<'a> {
    pub(super) format: LineFormat,
    pub(super) line: &'a [u8],
    /// Where the next field starts; `None` after the last.
    pub(super) at: Option<usize>,
}

impl Iterator for LineFields<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        let start = self.at?;
        let mut state = State::default();
        for (i, byte) in self.line.iter().enumerate().skip(start) {
            match self.format.step(&mut state, *byte) {
                Mark::Data => {}
                Mark::Delimiter => {
                    self.at = Some(i + 1);
                    return Some((start, i));
                }
                Mark::Newline => {
                    self.at = None;
                    return Some((start, i));
                }
            }
        }
        self.at = None;
        Some((start, self.line.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT_FORMAT: LineFormat = text(b'\t', NullString::TEXT);
    const CSV: LineFormat = csv(b',', b'"', b'"', NullString::EMPTY);
    const ODD_CSV: LineFormat = csv(b';', b'\'', b'\\', NullString::EMPTY);

    const fn text(delimiter: u8, null: NullString) -> LineFormat {
        LineFormat::Text { delimiter, null }
    }

    const fn csv(delimiter: u8, quote: u8, escape: u8, null: NullString) -> LineFormat {
        LineFormat::Csv { delimiter, quote, escape, null }
    }

    fn null(text: &str) -> NullString {
        NullString::new(text).unwrap()
    }

    fn check_read(format: LineFormat, raw: &str, expect: Option<&[u8]>) {
        assert_eq!(format.read(raw.as_bytes(), &mut Vec::new()), expect, "{raw}");
    }

    #[test]
    fn fields_read_as_the_server_reads_them() {
        check_read(TEXT_FORMAT, r"\N", None);
        check_read(TEXT_FORMAT, "", Some(b""));
        check_read(TEXT_FORMAT, r"a\tb\\N\q", Some(b"a\tb\\Nq"));
        check_read(TEXT_FORMAT, r"\101\x42\x\7z", Some(b"ABx\x07z"));
        check_read(TEXT_FORMAT, "end\\", Some(b"end\\"));
        check_read(CSV, "", None);
        check_read(CSV, r#""""#, Some(b""));
        check_read(CSV, r#""a""b""#, Some(b"a\"b"));
        check_read(CSV, r#"a"b,"c"#, Some(b"ab,c"));
        check_read(ODD_CSV, r"'a\'b\\c\d'", Some(br"a'b\c\d"));
    }

    #[test]
    fn null_is_what_was_asked_for() {
        // Of text, a value can look like any other string; and `N` is written so where it delimits.
        check_read(text(b'\t', null("x")), "x", Some(b"x"));
        check_read(text(b'\t', null("")), "", Some(b""));
        check_read(text(b'N', null("x")), r"\N", Some(b"N"));
        check_read(csv(b',', b'"', b'"', null("x")), "x", None);
        check_read(csv(b',', b'"', b'"', null("x")), "", Some(b""));
        check_read(csv(b',', b'"', b'"', null("x")), r#""x""#, Some(b"x"));
        check_read(csv(b',', b'"', b'"', null(r"\.")), r"\.", None);
        for format in [text(b'\t', null("x")), csv(b',', b'"', b'"', null("x"))] {
            let mut out = Vec::new();
            format.write(None, &mut out);
            assert_eq!(out, b"x");
        }
    }

    #[test]
    fn what_no_server_writes_is_foreign() {
        for raw in ["\"", "\"a", "a\"", "a\"b\"", "\"a\"b", "a\rb"] {
            assert!(CSV.is_foreign(raw.as_bytes()), "{raw}");
        }
        for raw in ["", "\"\"", "\"a\"", "\"a\"\"b\"", "\"a\rb\"", "a'b"] {
            assert!(!CSV.is_foreign(raw.as_bytes()), "{raw}");
        }
        assert!(TEXT_FORMAT.is_foreign(b"a\rb"));
        assert!(!TEXT_FORMAT.is_foreign(br"a\rb\"));
    }

    /// A field as the server writes it (`CopyAttributeOutText`, `CopyAttributeOutCSV`; a value that is
    /// NULL is what was asked for, as it is).
    fn as_server(format: LineFormat, value: Option<&[u8]>, alone: bool, force: bool) -> Vec<u8> {
        let (LineFormat::Text { null, .. } | LineFormat::Csv { null, .. }) = format;
        let Some(value) = value else { return null.as_bytes().to_vec() };
        let mut out = Vec::new();
        match format {
            LineFormat::Text { delimiter, .. } => {
                for byte in value {
                    match byte {
                        8 => out.extend_from_slice(br"\b"),
                        9 => out.extend_from_slice(br"\t"),
                        10 => out.extend_from_slice(br"\n"),
                        11 => out.extend_from_slice(br"\v"),
                        12 => out.extend_from_slice(br"\f"),
                        13 => out.extend_from_slice(br"\r"),
                        b if *b == b'\\' || *b == delimiter => out.extend_from_slice(&[b'\\', *b]),
                        b => out.push(*b),
                    }
                }
            }
            LineFormat::Csv { delimiter, quote, escape, .. } => {
                let special = |b: &u8| [delimiter, quote, b'\n', b'\r'].contains(b);
                let quoted = force
                    || value == null.as_bytes()
                    || alone && value == br"\."
                    || value.iter().any(special);
                if !quoted {
                    return value.to_vec();
                }
                out.push(quote);
                for byte in value {
                    if *byte == quote || *byte == escape {
                        out.push(escape);
                    }
                    out.push(*byte);
                }
                out.push(quote);
            }
        }
        out
    }

    const LETTERS: &[u8] = b"aNx\t|,;\"'\\\n\r0.~\x01\x08\xc3";

    fn values() -> impl Strategy<Value = Vec<Option<Vec<u8>>>> {
        let value = prop::collection::vec(prop::sample::select(LETTERS), 0..5);
        prop::collection::vec(prop::option::weighted(0.7, value), 1..6)
    }

    /// Formats with any options that the analysis tells (`facts/copied.rs`).
    fn formats() -> impl Strategy<Value = LineFormat> {
        let letter = || prop::sample::select(b"aNx\t|,;\"'\\0.~\x01\x08".to_vec());
        let nulls = ["", r"\N", "x", "N", "a", r"\.", "\\", "aN", "0", "\"", "\t", "~\\"];
        let nulls = prop::sample::select(nulls.to_vec());
        let all = (prop::bool::ANY, letter(), letter(), letter(), nulls);
        all.prop_filter_map("told", |(is_csv, delimiter, quote, escape, string)| {
            let null = null(string);
            let has = |b: u8| string.as_bytes().contains(&b);
            let told = match is_csv {
                true => delimiter != quote && !has(delimiter) && !has(quote),
                false => {
                    !b"\\.".contains(&delimiter)
                        && !delimiter.is_ascii_lowercase()
                        && !delimiter.is_ascii_digit()
                        && !has(delimiter)
                        && (!has(b'\\') || string == r"\N")
                }
            };
            let format =
                if is_csv { csv(delimiter, quote, escape, null) } else { text(delimiter, null) };
            told.then_some(format)
        })
    }

    fn delimiter_of(format: LineFormat) -> u8 {
        let (LineFormat::Text { delimiter, .. } | LineFormat::Csv { delimiter, .. }) = format;
        delimiter
    }

    /// What is read of a field: in text, NULL is told apart from values only as `\N`.
    fn seen(format: LineFormat, value: Option<&[u8]>) -> Option<Vec<u8>> {
        match (format, value) {
            (LineFormat::Text { null, .. }, None) if null != NullString::TEXT => {
                Some(null.as_bytes().to_vec())
            }
            (_, value) => value.map(<[u8]>::to_vec),
        }
    }

    type Values = Vec<Option<Vec<u8>>>;

    /// Rows read back, field by field, behind one another.
    fn check_lines(format: LineFormat, rows: &[(Vec<u8>, Values)]) {
        let all: Vec<u8> = rows.iter().flat_map(|(line, _)| line.clone()).collect();
        let mut lines = Lines::new(format);
        let mut rest = all.as_slice();
        for (line, values) in rows {
            let end = lines.end_of_row(rest).unwrap();
            assert_eq!(&rest[..end], line);
            rest = &rest[end..];
            let fields: Vec<_> = LineFields { format, line, at: Some(0) }
                .map(|(a, b)| {
                    assert!(!format.is_foreign(&line[a..b]));
                    format.read(&line[a..b], &mut Vec::new()).map(<[u8]>::to_vec)
                })
                .collect();
            let expect: Vec<_> = values.iter().map(|v| seen(format, v.as_deref())).collect();
            assert_eq!(fields, expect);
        }
        assert_eq!(lines.end_of_row(rest), None);
    }

    fn line(
        format: LineFormat,
        values: &[Option<Vec<u8>>],
        field: impl Fn(usize, Option<&[u8]>) -> Vec<u8>,
    ) -> Vec<u8> {
        let fields = values.iter().enumerate().map(|(i, value)| field(i, value.as_deref()));
        let fields: Vec<Vec<u8>> = fields.collect();
        let mut line = fields.join(&delimiter_of(format));
        line.push(b'\n');
        line
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        /// What the server writes is read as the fields that it wrote, whatever is in them and
        /// whatever it was asked to write them like.
        #[test]
        fn rows_of_the_server_read_back(
            format in formats(),
            rows in prop::collection::vec(values(), 1..4),
            forced in prop::collection::vec(prop::bool::ANY, 6),
        ) {
            let rows: Vec<_> = rows
                .into_iter()
                .map(|values| {
                    let alone = values.len() == 1;
                    let field = |i, value: Option<&[u8]>| as_server(format, value, alone, forced[i]);
                    (line(format, &values, field), values)
                })
                .collect();
            check_lines(format, &rows);
        }

        /// And so is what is written in place of it.
        #[test]
        fn written_fields_read_back(format in formats(), values in values()) {
            let field = |_, value: Option<&[u8]>| {
                let mut out = Vec::new();
                format.write(value, &mut out);
                out
            };
            check_lines(format, &[(line(format, &values, field), values)]);
        }
    }
}
