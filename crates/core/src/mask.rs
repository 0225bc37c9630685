//! How an answer is masked: the contract between codecs (which know the framing) and redactors
//! (which know what may be seen).

use smallvec::SmallVec;
use std::fmt;

/// How a value is written on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// The type's text form.
    Text,
    /// The type's binary form.
    Binary,
}

/// Where the target says a column of an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'a> {
    /// A column by catalog numbers (PostgreSQL RowDescription: table OID, attribute number).
    Numbered {
        /// The relation's number.
        relation: u32,
        /// The column's number in it, from 1.
        column: i16,
    },
    /// A column by names (MySQL column definition).
    Named {
        /// Schema or database.
        schema: &'a str,
        /// Relation.
        relation: &'a str,
        /// Column.
        column: &'a str,
    },
    /// An expression, or unknown.
    Unknown,
}

/// One column of an answer, as the target describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name in the answer.
    pub name: &'a str,
    /// Where the target says it comes from.
    pub source: Source<'a>,
    /// The protocol's number for its type (PostgreSQL: type OID).
    pub type_id: u32,
    /// How values are written.
    pub format: Format,
}

/// What is done to each value of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Treatment {
    /// Goes out as it came.
    Pass,
    /// Content detectors look at it.
    Scan,
    /// Replaced by a value of the same type made by this strategy.
    Mask(Strategy),
}

/// A column of the target, by catalog numbers.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct ColumnRef {
    /// The relation's number (PostgreSQL: table OID).
    pub relation: u32,
    /// The column's number in it, from 1; 0 stands for the whole row.
    pub column: i16,
}

/// Where one column of an answer comes from, as far as the statement tells.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Origin {
    /// It depends on these columns and on nothing else (empty: on no column at all).
    Columns(SmallVec<[ColumnRef; 2]>),
    /// It could not be traced: it may depend on any column of the relations read.
    Untraced,
}

impl Default for Origin {
    /// No column at all.
    fn default() -> Self {
        Self::Columns(SmallVec::new())
    }
}

/// Columns of one origin after which it makes no difference any more which they are.
const MAX_ORIGIN: usize = 6_656;

impl Origin {
    /// Adds what `more` depends on.
    pub fn add(&mut self, more: &Self) {
        match (&mut *self, more) {
            (Self::Untraced, _) => {}
            (_, Self::Untraced) => *self = Self::Untraced,
            (Self::Columns(all), Self::Columns(new)) => {
                for column in new {
                    if let Err(place) = all.binary_search(column) {
                        all.insert(place, *column);
                    }
                }
                if all.len() > MAX_ORIGIN {
                    *self = Self::Untraced;
                }
            }
        }
    }
}

/// Where the answer of one part of a request comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Lineage {
    /// One origin per column of the answer; `None` where even their number is unknown.
    pub outputs: Option<Vec<Origin>>,
    /// Every relation the part may read, views and what stands behind them included.
    pub relations: Vec<u32>,
    /// Columns that reach a place other than the answer (a written table, a file, a setting).
    pub sinks: Vec<Origin>,
    /// What decides, by the caller's own choice, which rows, groups or order the answer has, or
    /// whether it fails: conditions, joins, grouping, ordering, comparisons.
    #[serde(default)]
    pub conditions: Origin,
    /// True where the part runs code whose error texts the server does not author.
    pub user_code: bool,
    /// True where not every relation it reads could be resolved.
    pub unresolved: bool,
    /// True where that is so because a name in it is not in the catalog as it was last read.
    pub missing: bool,
}

/// Which columns a principal may see. Asked per column, answered under one policy version.
pub trait Reveal: Send + Sync + fmt::Debug {
    /// `None` where the column may be seen, else how it is masked. An unknown column is masked.
    fn hidden(&self, column: ColumnRef) -> Option<Strategy>;

    /// True where any column of the relation is masked, or the relation is unknown.
    fn relation_hides(&self, relation: u32) -> bool;

    /// True where any column of the connection at all is masked for this principal.
    fn hides_anything(&self) -> bool;
}

/// How a masked value is made. Strategies that cannot make a value of the column's type in its
/// format fall back to NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// A fixed placeholder.
    Redact,
    /// Part of it stays readable (last four digits, first letter and domain).
    Partial,
    /// SQL NULL.
    Null,
    /// A keyed, deterministic pseudonym, so that values can still be joined and compared.
    Hash,
}

impl Strategy {
    /// The strategy named by an `@mask` annotation or a configuration key.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "redact" => Self::Redact,
            "partial" => Self::Partial,
            "null" => Self::Null,
            "hash" => Self::Hash,
            _ => return None,
        })
    }
}

/// One treatment per column of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// In column order.
    pub columns: SmallVec<[Treatment; 16]>,
}

impl Plan {
    /// True where no value needs a look.
    #[must_use]
    pub fn passes_all(&self) -> bool {
        self.columns.iter().all(|t| *t == Treatment::Pass)
    }
}

/// What became of one value or text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redacted {
    /// It goes out as it came; nothing was written.
    Unchanged,
    /// The replacement was appended to the output.
    Replaced,
    /// It becomes NULL (or is left out, for a text that may be absent).
    Removed,
}

/// A part of an error or notice of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorPart {
    /// The primary message.
    Message,
    /// Any text of an error that the target places in the caller's own text, raised before the
    /// statement saw data.
    Analysis,
    /// What another session says to this one.
    Notification,
    /// Detail, hint, context, internal query: everything that may quote data.
    Elaboration,
    /// Names of schema, table, column, type and constraint.
    Name,
}

/// How copied-out rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CopyFormat {
    /// PostgreSQL `COPY` text: tab (or `delimiter`) separated, backslash escapes.
    Text {
        /// The separator.
        delimiter: u8,
    },
    /// Comma-separated values.
    Csv {
        /// The separator.
        delimiter: u8,
        /// The quote character.
        quote: u8,
        /// The escape character inside quotes.
        escape: u8,
    },
    /// The binary format, or one that could not be told.
    Binary,
}

/// The answer cannot be masked, so it is not given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaskFailure {
    /// What came from the target is not what the protocol allows here.
    #[error("the target broke its protocol: {0}")]
    Malformed(String),
    /// The columns cannot be traced, or the format cannot be rewritten.
    #[error("the answer holds fields that must be masked, and {0}")]
    Untraceable(String),
    /// Over a limit.
    #[error("the answer exceeds a limit: {0}")]
    TooLarge(String),
}

/// Decides and makes masked values for the answers to one request.
///
/// `part` counts the statements of the request that can answer, from 0, in order. A redactor that
/// is asked about a part it does not know must treat it as untraceable.
pub trait Redactor: Send + Sync + fmt::Debug {
    /// What to do with each column of an answer; asked once per row description.
    ///
    /// # Errors
    /// [`MaskFailure::Untraceable`] where a column that may not be seen cannot be told apart.
    fn plan(&self, part: usize, fields: &[Field<'_>]) -> Result<Plan, MaskFailure>;

    /// What to do with each column of rows copied out, which carry no description.
    ///
    /// # Errors
    /// [`MaskFailure::Untraceable`] as for [`Redactor::plan`].
    fn plan_copy(
        &self,
        part: usize,
        columns: usize,
        format: CopyFormat,
    ) -> Result<Plan, MaskFailure>;

    /// Treats one value that is not NULL. The replacement, if any, is appended to `out`.
    fn redact(
        &self,
        treatment: &Treatment,
        field: (u32, Format),
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Redacted;

    /// Treats one text of an error or notice raised while `part` ran (`None`: outside any request).
    /// `code` is the SQLSTATE or its like.
    fn redact_error(
        &self,
        part: Option<usize>,
        code: &str,
        kind: ErrorPart,
        text: &[u8],
        out: &mut Vec<u8>,
    ) -> Redacted;

    /// Content detectors over any other text that leaves (notification payloads, statement texts
    /// on their way to the record).
    fn redact_text(&self, text: &[u8], out: &mut Vec<u8>) -> Redacted;
}
