//! Rows: what a target says of its columns (RowDescription), what is planned for each, and how a
//! row (DataRow) is masked under that plan.

use super::body::{Body, malformed};
use super::frames::Frame;
use super::rewrite::Rewrite;
use portcullis_core::mask::{
    Field, Format, MaskFailure, Plan, Redacted, Redactor, Source, Treatment,
};
use smallvec::SmallVec;

/// The columns of an answer, as described.
pub(super) type Fields<'a> = SmallVec<[Field<'a>; 16]>;

/// Reads a RowDescription.
pub(super) fn read_description(body: &[u8]) -> Result<Fields<'_>, MaskFailure> {
    let mut body = Body::new("RowDescription", body);
    let count = body.count()?;
    let mut fields = Fields::new();
    for _ in 0..count {
        let name = body.text()?;
        let (relation, column, type_id) = (body.u32()?, body.i16()?, body.u32()?);
        let (_size, _modifier) = (body.i16()?, body.i32()?);
        let format = format_from(body.i16()?)?;
        let source = match (relation, column) {
            (0, _) | (_, 0) => Source::Unknown,
            (relation, column) => Source::Numbered { relation, column },
        };
        fields.push(Field { name, source, type_id, format });
    }
    body.end()?;
    Ok(fields)
}

/// A format code (manual, "Formats and Format Codes").
pub(super) fn format_from(code: i16) -> Result<Format, MaskFailure> {
    match code {
        0 => Ok(Format::Text),
        1 => Ok(Format::Binary),
        other => Err(malformed(format!("format code {other}"))),
    }
}

/// What is done to the rows of one part.
#[derive(Debug)]
pub(super) struct RowPlan {
    treatments: Plan,
    passes: bool,
    /// Type and format of each column.
    pub(super) types: SmallVec<[(u32, Format); 16]>,
}

impl RowPlan {
    /// Asks the redactor, once per description.
    pub(super) fn ask(
        redactor: &dyn Redactor,
        part: usize,
        fields: &[Field<'_>],
    ) -> Result<Self, MaskFailure> {
        let treatments = redactor.plan(part, fields)?;
        if treatments.columns.len() != fields.len() {
            return Err(MaskFailure::Untraceable(format!(
                "{} columns came where {} were planned",
                fields.len(),
                treatments.columns.len()
            )));
        }
        let passes = treatments.passes_all();
        let types = fields.iter().map(|f| (f.type_id, f.format)).collect();
        Ok(Self { treatments, passes, types })
    }

    /// Masks one row. Gives the row's body as it goes out, and how many values were masked.
    pub(super) fn mask<'a>(
        &self,
        redactor: &dyn Redactor,
        frame: &Frame<'a>,
        scratch: &mut Vec<u8>,
        out: &'a mut Rewrite,
    ) -> Result<(&'a [u8], u64), MaskFailure> {
        let mut body = Body::new("DataRow", frame.body);
        let count = body.count()?;
        if count != self.types.len() {
            return Err(malformed(format!(
                "a row of {count} columns where {} were described",
                self.types.len()
            )));
        }
        if self.passes {
            return Ok((frame.body, 0));
        }
        let (mut open, mut masked) = (None, 0);
        for (treatment, field) in self.treatments.columns.iter().zip(&self.types) {
            let at = frame.body.len() - body.rest().len();
            let value = match (read_value(&mut body)?, treatment) {
                (_, Treatment::Pass) => continue,
                // Whether what is worked out is NULL may be an answer.
                (None, Treatment::Conceal) => None,
                (None, _) => continue,
                (value, _) => value,
            };
            scratch.clear();
            let text = value.unwrap_or_default();
            let made = match redactor.redact(treatment, *field, text, scratch) {
                Redacted::Unchanged => continue,
                Redacted::Removed if value.is_none() => continue,
                Redacted::Replaced => Some(scratch.as_slice()),
                Redacted::Removed => None,
            };
            let value = text;
            open = Some(out.put_value(frame, open, (at, value.len()), made)?);
            masked += 1;
        }
        body.end()?;
        match open {
            None => Ok((frame.body, 0)),
            Some(open) => Ok((out.close(frame, open)?, masked)),
        }
    }
}

/// Reads a length-prefixed value of a row; `None` for NULL.
pub(super) fn read_value<'a>(body: &mut Body<'a>) -> Result<Option<&'a [u8]>, MaskFailure> {
    match body.i32()? {
        -1 => Ok(None),
        size => {
            let size = usize::try_from(size)
                .map_err(|_| malformed(format!("a value of {size} bytes in a row")))?;
            body.take(size).map(Some)
        }
    }
}
