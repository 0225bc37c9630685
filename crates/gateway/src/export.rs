//! The record for other systems: JSON lines, OCSF and OpenTelemetry, by `portcullis audit export` and to the
//! receivers of `[[export]]`. Beside the life of a request, which knows nothing of it: the journal's files are
//! what is waiting to be sent, and of each receiver there is only how far it has come.
//!
//! *Architecture invariant:* nothing here holds up an append, and nothing is left out without a word. What
//! cannot be told (an entry that is missing, that no receiver would take) has a line of its own in its place.

mod cursor;
mod deliver;
mod jsonl;
mod ocsf;
mod otlp;
mod send;
mod settings;
mod source;
mod standing;
mod traceparent;

pub(crate) use cursor::read_by_all;
pub(crate) use deliver::{Exporter, Exports};
pub(crate) use ocsf::Chain;
pub(crate) use settings::{Export, Format};
pub(crate) use source::{Bounds, Piece, Source, What};

use portcullis_ledger::visible;
use serde_json::{Value, json};

/// Longest text of a statement that is told in OCSF and OpenTelemetry, in bytes, and longest entry that is
/// told whole beside it. The journal and JSON lines have all of it.
const LONGEST: usize = 64 * 1024;

/// How what is told is written.
pub(crate) struct Writer {
    format: Format,
    /// The journal's name.
    journal: String,
    chain: Chain,
}

/// What is written of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    /// One line: a line of the export, an OCSF event, or a `LogRecord` of OTLP.
    pub(crate) line: String,
    /// Spans of OTLP that have ended with it.
    pub(crate) spans: Vec<String>,
}

impl Writer {
    /// `chain`: where the events of OCSF go on.
    pub(crate) const fn new(format: Format, journal: String, chain: Chain) -> Self {
        Self { format, journal, chain }
    }

    /// Where the events of OCSF are.
    pub(crate) const fn chain(&self) -> &Chain {
        &self.chain
    }

    pub(crate) fn write(&mut self, piece: &Piece) -> Written {
        let alone = |line: String| Written { line: visible::json(&line), spans: Vec::new() };
        match self.format {
            Format::Jsonl => alone(jsonl::line(piece)),
            Format::Ocsf => alone(ocsf::event(piece, &self.journal, &mut self.chain)),
            Format::Otlp => Written {
                line: visible::json(&otlp::record(piece, &self.journal).to_string()),
                spans: otlp::spans(piece, &self.journal)
                    .into_iter()
                    .map(|span| visible::json(&span.to_string()))
                    .collect(),
            },
        }
    }
}

/// A message of OTLP with these log records, which are JSON each.
pub(crate) fn logs(journal: &str, records: &[&str]) -> String {
    otlp::message(("resourceLogs", "scopeLogs", "logRecords"), journal, records)
}

/// A message of OTLP with these spans.
pub(crate) fn traces(journal: &str, spans: &[&str]) -> String {
    otlp::message(("resourceSpans", "scopeSpans", "spans"), journal, spans)
}

/// A text of an entry; empty where there is none.
fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(Value::as_i64)
}

/// A text cut at a character, and whether anything of it is gone.
fn cut(text: &str, most: usize) -> (&str, bool) {
    let end = text.floor_char_boundary(most);
    (text.get(..end).unwrap_or_default(), end < text.len())
}

/// The statements of an entry as people read them, one below the other.
fn statements(entry: &Value) -> Option<String> {
    let all = entry.pointer("/shown/statements").and_then(Value::as_array)?;
    Some(all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(";\n"))
}

/// An entry without its statements, which stand elsewhere; in its place how long it is, where that is much.
fn rest(entry: &Value, length: usize) -> (Value, bool) {
    if length > LONGEST {
        return (json!({ "event": entry.get("event"), "omitted_bytes": length }), true);
    }
    let mut rest = entry.clone();
    if let Some(shown) = rest.pointer_mut("/shown").and_then(Value::as_object_mut) {
        shown.remove("statements");
    }
    (rest, false)
}
