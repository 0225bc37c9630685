//! Errors and notices of a target (manual, "Error and Notice Message Fields"): every text in them
//! may quote data, so each is treated by its kind before the client sees it.

use super::body::{Body, malformed};
use portcullis_core::mask::{ErrorPart, MaskFailure, Redacted, Redactor};
use smallvec::SmallVec;

/// The server sends at most one field of each of its 18 kinds.
const MAX_FIELDS: usize = 64;

/// What stands for a primary message that may not be shown; the field itself must be there.
const WITHHELD: &[u8] = b"message withheld by the gateway";

/// Code of a report that has none.
const INTERNAL_ERROR: [u8; 5] = *b"XX000";

/// The fields of an ErrorResponse or NoticeResponse, in order.
pub(super) type Fields<'a> = SmallVec<[(u8, &'a [u8]); 16]>;

/// Reads the fields.
pub(super) fn read_fields(body: &[u8]) -> Result<Fields<'_>, MaskFailure> {
    let mut body = Body::new("ErrorResponse", body);
    let mut fields = Fields::new();
    loop {
        match body.u8()? {
            0 => break,
            _ if fields.len() >= MAX_FIELDS => {
                return Err(malformed("ErrorResponse has too many fields"));
            }
            kind => fields.push((kind, body.cstr()?)),
        }
    }
    body.end()?;
    Ok(fields)
}

/// An error or notice, once treated.
#[derive(Debug)]
pub(super) struct Report {
    /// Its SQLSTATE.
    pub(super) code: [u8; 5],
    /// True where the server ends the session with it (FATAL, PANIC).
    pub(super) fatal: bool,
    /// Its new body, where anything had to change.
    pub(super) changed: Option<Vec<u8>>,
}

/// Treats every text of a report raised while `part` ran.
pub(super) fn treat(
    redactor: &dyn Redactor,
    part: Option<usize>,
    body: &[u8],
    scratch: &mut Vec<u8>,
) -> Result<Report, MaskFailure> {
    let fields = read_fields(body)?;
    let code = read_code(&fields)?;
    if !fields.iter().any(|(kind, _)| *kind == b'M') {
        return Err(malformed("ErrorResponse has no message"));
    }
    let fatal = fields
        .iter()
        .any(|(kind, text)| matches!(kind, b'V' | b'S') && matches!(*text, b"FATAL" | b"PANIC"));
    let sqlstate = std::str::from_utf8(&code).unwrap_or("XX000");
    let analysis = is_of_analysis(&fields, part.is_some() || code[..2] != *b"42");
    let mut rebuilt = Vec::new();
    let (mut changed, mut query_changed) = (false, false);
    for (kind, text) in &fields {
        let Some(category) = category(*kind, text) else {
            put_field(&mut rebuilt, *kind, text);
            continue;
        };
        let category = if analysis { ErrorPart::Analysis } else { category };
        scratch.clear();
        match redactor.redact_error(part, sqlstate, category, text, scratch) {
            Redacted::Unchanged => {
                put_field(&mut rebuilt, *kind, text);
                continue;
            }
            Redacted::Replaced => put_field(&mut rebuilt, *kind, scratch),
            Redacted::Removed if *kind == b'M' => put_field(&mut rebuilt, *kind, WITHHELD),
            Redacted::Removed => {}
        }
        changed = true;
        query_changed |= *kind == b'q';
    }
    if query_changed {
        // A position in a text that is no longer there says something about that text.
        rebuilt = without_position(&rebuilt);
    }
    rebuilt.push(0);
    Ok(Report { code, fatal, changed: changed.then_some(rebuilt) })
}

/// True for an error of the analysis of the caller's text. The server gives a position in that text
/// (`parser_errposition`) there and not where a statement runs: then it stands in an internal query,
/// or there is a context. `placed`: without a position it is not.
fn is_of_analysis(fields: &Fields<'_>, placed: bool) -> bool {
    let has = |kind: u8| fields.iter().any(|(k, _)| *k == kind);
    (has(b'P') || !placed) && !has(b'p') && !has(b'q') && !has(b'W')
}

/// How a field is treated; `None` where it goes out as it is.
fn category(kind: u8, text: &[u8]) -> Option<ErrorPart> {
    match kind {
        b'M' => Some(ErrorPart::Message),
        b's' | b't' | b'c' | b'd' | b'n' => Some(ErrorPart::Name),
        b'S' | b'V' | b'C' | b'F' | b'R' => None,
        b'P' | b'p' | b'L' if text.iter().all(u8::is_ascii_digit) => None,
        _ => Some(ErrorPart::Elaboration),
    }
}

/// The SQLSTATE: five digits and upper-case letters (manual, "PostgreSQL Error Codes").
fn read_code(fields: &Fields<'_>) -> Result<[u8; 5], MaskFailure> {
    let Some((_, text)) = fields.iter().find(|(kind, _)| *kind == b'C') else {
        return Ok(INTERNAL_ERROR);
    };
    <[u8; 5]>::try_from(*text)
        .ok()
        .filter(|code| code.iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()))
        .ok_or_else(|| malformed("ErrorResponse has no valid code"))
}

fn put_field(out: &mut Vec<u8>, kind: u8, text: &[u8]) {
    out.push(kind);
    put_text(out, text);
}

/// Appends a zero-terminated text; zero bytes in it would end it early and are left out.
pub(super) fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(text.iter().filter(|b| **b != 0));
    out.push(0);
}

fn without_position(fields: &[u8]) -> Vec<u8> {
    fields
        .split_inclusive(|b| *b == 0)
        .filter(|f| f.first() != Some(&b'p'))
        .flatten()
        .copied()
        .collect()
}
