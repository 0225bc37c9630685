//! The redactor of one request: what is done to each column, value, error and text of its answers.
//!
//! It is made by the judge with the permit, under the facts of the request, and asked by the
//! codec while answers pass.
//!
//! A column is masked by the strictest of what is known of it: the catalog numbers the target
//! gives, and the lineage read from the statement. What cannot be told apart from a hidden column
//! is masked or refused.
//!
//! Rows of a `COPY` do not say the types of their fields. Those of `COPY table` are in the catalog;
//! of a query, a hidden field of a binary copy becomes NULL, which is a value of any type, and so
//! does one in which a detector finds something. Inference by predicates, ordering and grouping is
//! a question to policy, not to masks.

use crate::detect::{Detectors, label_of};
use crate::pseudonym::PseudonymKey;
use crate::strategy::Means;
use crate::{labelled, strategy, types};
use portcullis_core::mask::{
    ColumnRef, CopyFormat, ErrorPart, Field, Format, Label, Lineage, MaskFailure, Origin, Plan,
    Redacted, Redactor, Reveal, Source, Strategy, Treatment, TypeMap, UNKNOWN_TYPE,
};
use smallvec::SmallVec;
use std::sync::Arc;

/// Masks the answers to one request under what one principal may see.
#[derive(Debug, Clone)]
pub struct StatementRedactor {
    lineages: SmallVec<[Arc<Lineage>; 1]>,
    reveal: Arc<dyn Reveal>,
    detectors: Arc<Detectors>,
    key: Arc<PseudonymKey>,
    types: Arc<TypeMap>,
}

/// Whether a column is hidden, and how its values are made if so.
type Hidden = Option<Strategy>;

impl StatementRedactor {
    /// A redactor for a request whose parts answer with these lineages, in order.
    #[must_use]
    pub fn new(
        lineages: &[Arc<Lineage>],
        reveal: Arc<dyn Reveal>,
        detectors: Arc<Detectors>,
        key: Arc<PseudonymKey>,
    ) -> Self {
        let lineages = lineages.iter().cloned().collect();
        Self { lineages, reveal, detectors, key, types: Arc::default() }
    }

    /// The same, knowing the types of the database.
    #[must_use]
    pub fn with_types(self, types: Arc<TypeMap>) -> Self {
        Self { types, ..self }
    }

    /// True where the part reads, or may read, a relation with a hidden column.
    fn touches_hidden(&self, lineage: &Lineage) -> bool {
        lineage.unresolved && self.reveal.hides_anything()
            || lineage.relations.iter().any(|relation| self.reveal.relation_hides(*relation))
            || lineage.outputs.iter().flatten().chain(&lineage.sinks).any(|origin| {
                matches!(origin, Origin::Columns(columns)
                    if columns.iter().any(|column| self.hidden_column(*column).is_some()))
            })
    }

    fn hidden_column(&self, column: ColumnRef) -> Hidden {
        if column.column == 0 {
            return self.reveal.relation_hides(column.relation).then_some(Strategy::Redact);
        }
        self.reveal.hidden(column)
    }

    /// Hidden by what the statement says.
    fn hidden_by_origin(&self, lineage: &Lineage, origin: &Origin) -> Hidden {
        match origin {
            Origin::Columns(columns) => columns
                .iter()
                .fold(None, |hidden, column| both(hidden, self.hidden_column(*column))),
            Origin::Untraced => self.touches_hidden(lineage).then_some(Strategy::Redact),
        }
    }

    /// Hidden by the strictest of what the target and the statement say.
    fn hidden_field(
        &self,
        lineage: &Lineage,
        origin: Option<&Origin>,
        source: Source<'_>,
    ) -> Option<Treatment> {
        let column = numbered(source);
        let by_source = column.and_then(|column| self.hidden_column(column));
        let by_origin = match (origin, column) {
            (Some(origin), _) => self.hidden_by_origin(lineage, origin),
            // The columns of the answer are not those the statement seemed to have: the target's
            // word counts for what it names.
            (None, Some(_)) => None,
            (None, None) => self.hidden_by_origin(lineage, &Origin::Untraced),
        };
        let hidden = both(by_source.clone(), by_origin)?;
        // Only the plain column keeps a part or a pseudonym. An expression over it can be chosen
        // by the caller: part of it would show what the caller wants to see, and pseudonyms of
        // guesses would be a dictionary.
        let plain = column.is_some_and(|column| {
            by_source.is_some()
                && self.reveal.is_stored(column)
                && match origin {
                    Some(Origin::Columns(columns)) => columns.iter().all(|c| *c == column),
                    Some(Origin::Untraced) => false,
                    None => true,
                }
        });
        // Where the two do not speak of the same column, nothing is known of its values.
        let shown = column.is_some_and(|column| match origin {
            Some(Origin::Columns(columns)) => {
                columns.contains(&column) && columns.iter().all(|one| self.reveal.is_plain(*one))
            }
            Some(Origin::Untraced) => false,
            None => self.reveal.is_plain(column),
        });
        Some(match treated(hidden, plain) {
            Treatment::Conceal if shown => Treatment::ConcealValues,
            treatment => treatment,
        })
    }

    /// True for what stands in columns of tables as it is.
    fn is_plain(&self, origin: &Origin) -> bool {
        matches!(origin, Origin::Columns(columns) if columns.iter().all(|c| self.reveal.is_stored(*c)))
    }

    fn treatment(
        &self,
        hidden: Option<Treatment>,
        label: Option<Label>,
        type_id: u32,
    ) -> Treatment {
        match (hidden, label) {
            (Some(treatment), _) => treatment,
            (None, Some(label)) if labelled::applies(&self.detectors, label, type_id) => {
                Treatment::ScanAs(label)
            }
            _ if labelled::is_address(&self.detectors, type_id) => {
                self.detectors.label_of_addresses().map_or(Treatment::Scan, Treatment::ScanAs)
            }
            _ if !self.detectors.is_empty() && types::is_scannable(type_id) => Treatment::Scan,
            _ => Treatment::Pass,
        }
    }

    /// What names say that a column holds: its own, whatever the answer calls it; those of the
    /// columns it is made of, where they agree; the name in the answer.
    fn label(&self, origin: Option<&Origin>, field: Option<&Field<'_>>) -> Option<Label> {
        if self.detectors.is_empty() {
            return None;
        }
        let numbered = field.and_then(|field| numbered(field.source));
        let own = numbered.and_then(|column| self.reveal.label(column));
        own.or_else(|| self.label_of_origin(origin?))
            .or_else(|| label_of(field?.name))
            .filter(|label| self.detectors.heeds(*label))
    }

    fn label_of_origin(&self, origin: &Origin) -> Option<Label> {
        let Origin::Columns(columns) = origin else { return None };
        let (first, rest) = columns.split_first()?;
        let label = self.reveal.label(*first)?;
        rest.iter().all(|column| self.reveal.label(*column) == Some(label)).then_some(label)
    }

    fn means(&self) -> Means<'_> {
        Means { key: &self.key, types: &self.types }
    }

    fn replace(&self, text: &[u8], out: &mut Vec<u8>) -> Redacted {
        if self.detectors.redact(text, out) { Redacted::Replaced } else { Redacted::Unchanged }
    }
}

/// A plain column has its strategy; what is made of hidden columns shows nothing of them.
fn treated(hidden: Strategy, plain: bool) -> Treatment {
    if plain || hidden == Strategy::Null { Treatment::Mask(hidden) } else { Treatment::Conceal }
}

/// What hides a value that depends on two columns.
fn both(one: Hidden, other: Hidden) -> Hidden {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Some(Strategy::Redact),
        (one, other) => one.or(other),
    }
}

/// The column the target names. Names without numbers cannot be asked about.
const fn numbered(source: Source<'_>) -> Option<ColumnRef> {
    match source {
        Source::Numbered { relation, column } if relation != 0 => {
            Some(ColumnRef { relation, column })
        }
        _ => None,
    }
}

fn unknown_part(part: usize) -> MaskFailure {
    MaskFailure::Untraceable(format!("statement {} of the request was not analysed", part + 1))
}

impl Redactor for StatementRedactor {
    fn plan(&self, part: usize, fields: &[Field<'_>]) -> Result<Plan, MaskFailure> {
        let hides = self.reveal.hides_anything();
        let traced = self.lineages.get(part);
        if hides && traced.is_none() {
            return Err(unknown_part(part));
        }
        let lineage = traced.filter(|_| hides || self.reveal.hides_of_server());
        let outputs = traced
            .and_then(|lineage| lineage.outputs.as_deref())
            .filter(|outputs| outputs.len() == fields.len());
        let columns = fields.iter().enumerate().map(|(i, field)| {
            let origin = outputs.and_then(|o| o.get(i));
            let hidden =
                lineage.and_then(|lineage| self.hidden_field(lineage, origin, field.source));
            self.treatment(hidden, self.label(origin, Some(field)), field.type_id)
        });
        Ok(Plan { columns: columns.collect(), ..Plan::default() })
    }

    fn plan_copy(
        &self,
        part: usize,
        columns: usize,
        format: CopyFormat,
    ) -> Result<Plan, MaskFailure> {
        if format == CopyFormat::Untold
            && (!self.detectors.is_empty() || self.reveal.hides_anything())
        {
            let why = "the format of the rows copied out could not be told; use fewer options";
            return Err(MaskFailure::Untraceable(why.into()));
        }
        let traced = self.lineages.get(part);
        let hides = self.reveal.hides_anything();
        let types = traced.and_then(|lineage| lineage.copied.as_deref());
        let types = types.filter(|types| types.len() == columns).unwrap_or_default();
        // Fields of a textual copy are texts, whatever their columns are; those of a binary one can
        // be anything.
        let untold = if format == CopyFormat::Binary { UNKNOWN_TYPE } else { 0 };
        let type_of = |column: usize| types.get(column).copied().unwrap_or(untold);
        let outputs = traced
            .and_then(|lineage| lineage.outputs.as_deref())
            .filter(|outputs| outputs.len() == columns);
        let shown = |column: usize| {
            let origin = outputs.and_then(|outputs| outputs.get(column));
            self.treatment(None, self.label(origin, None), type_of(column))
        };
        let lineage = match traced {
            None if hides => return Err(unknown_part(part)),
            lineage => {
                let looked = hides || self.reveal.hides_of_server();
                lineage.filter(|lineage| looked && self.touches_hidden(lineage))
            }
        };
        if lineage.is_some() && outputs.is_none() {
            let why = "the columns copied out cannot be traced; name them in the statement";
            return Err(MaskFailure::Untraceable(why.into()));
        }
        let hidden = |column: usize| {
            let origin = outputs?.get(column)?;
            let strategy = self.hidden_by_origin(lineage?, origin)?;
            // Of a table, the columns are its own. Of a query, whether it is the plain column
            // cannot be told here, and of a binary one not even what a text would be.
            Some(if !types.is_empty() {
                treated(strategy, self.is_plain(origin))
            } else if format == CopyFormat::Binary {
                Treatment::Mask(Strategy::Null)
            } else {
                treated(strategy, false)
            })
        };
        let treatments = (0..columns).map(|column| hidden(column).unwrap_or_else(|| shown(column)));
        Ok(Plan { columns: treatments.collect(), types: (0..columns).map(type_of).collect() })
    }

    fn redact(
        &self,
        treatment: &Treatment,
        field: (u32, Format),
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Redacted {
        match treatment {
            Treatment::Pass => Redacted::Unchanged,
            Treatment::Scan => types::scan(&self.detectors, field, value, out),
            Treatment::ScanAs(label) => labelled::scan(&self.detectors, *label, field, value, out),
            Treatment::Mask(strategy) => strategy::mask(strategy, field, value, self.means(), out),
            Treatment::Conceal | Treatment::ConcealValues => {
                strategy::conceal(field, self.means(), out)
            }
        }
    }

    fn redact_error(
        &self,
        part: Option<usize>,
        code: &str,
        kind: ErrorPart,
        text: &[u8],
        out: &mut Vec<u8>,
    ) -> Redacted {
        // Parts before it too: what they put off may run with a later one.
        let lineages = part.map(|part| self.lineages.get(..=part));
        let (touches, user_code) = match lineages {
            Some(Some(lineages)) => (
                lineages.iter().any(|lineage| self.touches_hidden(lineage)),
                lineages.iter().any(|lineage| lineage.user_code),
            ),
            // A part nobody analysed may run anything.
            Some(None) => (self.reveal.hides_anything(), true),
            None => (self.reveal.hides_anything(), false),
        };
        match kind {
            // `RAISE … USING COLUMN = …` puts any text there.
            ErrorPart::Name if touches && user_code => Redacted::Removed,
            ErrorPart::Name => Redacted::Unchanged,
            ErrorPart::Elaboration if touches => Redacted::Removed,
            ErrorPart::Message if touches && (user_code || !quotes_no_data(code, text)) => {
                out.extend_from_slice(withheld(code).as_bytes());
                Redacted::Replaced
            }
            // Whoever sent it may have seen more than this principal may.
            ErrorPart::Notification if self.reveal.hides_anything() => {
                out.extend_from_slice(b"[withheld]");
                Redacted::Replaced
            }
            ErrorPart::Message
            | ErrorPart::Analysis
            | ErrorPart::Elaboration
            | ErrorPart::Notification => self.replace(text, out),
        }
    }

    fn redact_text(&self, text: &[u8], out: &mut Vec<u8>) -> Redacted {
        self.replace(text, out)
    }
}

/// SQLSTATEs (PostgreSQL manual, appendix A) whose messages quote no value even where they are
/// raised while a statement runs: transactions, names of cursors and statements, conflicts between
/// transactions, resources, limits, operators; and a permission that the role lacks on an object,
/// which is named as the catalog has it. All others may quote what an expression gave: names of
/// relations, roles, settings or configurations that it made up (42, 3D, 3F, 0A), values (22, 23).
fn quotes_no_data(code: &str, text: &[u8]) -> bool {
    const CLASSES: [&str; 7] = ["25", "26", "34", "40", "53", "54", "57"];
    // Broken protocol; a cursor, then a prepared statement, of that name there already; no lock.
    const CODES: [&str; 4] = ["08P01", "42P03", "42P05", "55P03"];
    let class = is_code(code).then(|| code.get(..2)).flatten();
    class.is_some_and(|class| CLASSES.contains(&class))
        || CODES.contains(&code)
        || code == "42501" && text.starts_with(b"permission denied for ")
}

fn is_code(code: &str) -> bool {
    code.len() == 5 && code.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
}

fn withheld(code: &str) -> String {
    let code = if is_code(code) { code } else { "unknown" };
    format!("message withheld: the statement touches masked columns (SQLSTATE {code})")
}

#[cfg(test)]
mod tests;
