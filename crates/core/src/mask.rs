//! How an answer is masked: the contract between codecs (which know the framing) and redactors
//! (which know what may be seen).

use serde::{Deserialize, Deserializer};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

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

/// What the name of a column says that it holds, as the redactor numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Label(pub u8);

/// What is done to each value of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Treatment {
    /// Goes out as it came.
    Pass,
    /// Content detectors look at it.
    Scan,
    /// Content detectors look at it, knowing what the column's name says.
    ScanAs(Label),
    /// A plain column: replaced by a value of the same type made by this strategy.
    Mask(Strategy),
    /// An expression over hidden columns, chosen by the caller or by the maker of a view: replaced by the
    /// placeholder where its type has one that cannot be taken for data, else by NULL. NULL is a value of
    /// it as any other.
    Conceal,
    /// The same for a column whose values are not worked out, but cannot keep a part or a pseudonym: NULL
    /// says nothing of them, and stays.
    ConcealValues,
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
    /// How many columns it names.
    #[must_use]
    pub fn named(&self) -> usize {
        match self {
            Self::Columns(columns) => columns.len(),
            Self::Untraced => 0,
        }
    }

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

impl Lineage {
    /// About how many bytes it takes to keep it.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        let made = self.makes.iter().flat_map(|table| &table.columns).flatten().map(|c| &c.origin);
        let filled = self.fills.iter().map(|fill| &fill.from.origin);
        let moved = self.moves.iter().filter_map(|way| match way {
            Move::Column(fill) => Some(&fill.from.origin),
            Move::Partitions(_) | Move::Named(_) => None,
        });
        let refilled = self.refills.iter().flat_map(|r| &r.columns).flatten().map(|c| &c.origin);
        let origins = self.outputs.iter().flatten().chain(&self.sinks).chain(made).chain(filled);
        let origins = origins.chain(moved).chain(refilled);
        let columns = |origin: &Origin| origin.named() * size_of::<ColumnRef>();
        let all: usize = origins.map(|o| size_of::<Origin>() + columns(o)).sum();
        all + columns(&self.conditions)
            + columns(&self.nulls)
            + self.relations.len() * size_of::<u32>()
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
    /// Columns as they stand in tables whose NULL decides, by the caller's own choice: of a column that
    /// was filled with what an expression worked out, that says what the expression asked.
    #[serde(default)]
    pub nulls: Origin,
    /// True where the part runs code whose error texts the server does not author.
    pub user_code: bool,
    /// True where not every relation it reads could be resolved.
    pub unresolved: bool,
    /// True where that is so because a name in it is not in the catalog as it was last read.
    pub missing: bool,
    /// Of a `COPY table TO`: the types of its columns, which are those of the table.
    #[serde(default)]
    pub copied: Option<Box<[u32]>>,
    /// The table that the part makes from rows of a query. What flows into its columns is told here
    /// and not among the `sinks`, as far as it can be traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub makes: Option<Box<NewTable>>,
    /// What flows into columns that are there and known: these are not among the `sinks` either.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fills: Vec<Fill>,
    /// What the target moves on its own when the part changes rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<Move>,
    /// Materialised views that the part fills again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refills: Vec<Refill>,
}

/// Values that come to stand elsewhere without the statement saying so.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Move {
    /// Rows of this partitioned table, from any of its partitions to any other.
    Partitions(u32),
    /// Values of a row, by a trigger, to another column of it.
    Column(Fill),
    /// Values stay where they are, under another name.
    Named(Renaming),
}

/// What gets another name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Renaming {
    /// A column of a relation, and of those that inherit from it.
    Column {
        /// The relation's number.
        relation: u32,
        /// Its name so far.
        from: Box<str>,
        /// Its new name.
        to: Box<str>,
    },
    /// A relation.
    Relation {
        /// Its number.
        relation: u32,
        /// Its new name.
        to: Box<str>,
    },
    /// A relation's schema: another one has it then.
    Place {
        /// The relation's number.
        relation: u32,
        /// The name of the schema.
        to: Box<str>,
    },
    /// A schema, and so all that is in it.
    Schema {
        /// Its name so far.
        from: Box<str>,
        /// Its new name.
        to: Box<str>,
    },
}

/// A materialised view that is filled again, with what its query gives now.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Refill {
    /// The view's number; 0 where it is not known.
    pub relation: u32,
    /// What its columns come from, in order; `None` where that cannot be told.
    pub columns: Option<Vec<NewColumn>>,
}

/// What flows into a column that is there already.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Fill {
    /// The column: each that the name may mean.
    pub to: SmallVec<[ColumnRef; 1]>,
    /// What comes into it.
    pub from: NewColumn,
}

/// A table that is made from the rows of a query: each column can be masked as what it came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct NewTable {
    /// Its name, as the target folds it.
    pub name: Box<str>,
    /// True where it is not made if there is one of that name.
    pub lenient: bool,
    /// Its columns, in order; `None` where they cannot be told, or are those of a prepared statement
    /// that was not looked up yet.
    pub columns: Option<Vec<NewColumn>>,
}

/// A column of a [`NewTable`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct NewColumn {
    /// What its values depend on.
    pub origin: Origin,
    /// True where each of its values is one that stands in a column of the origin, unchanged.
    pub plain: bool,
}

/// Which columns a principal may see. Asked per column, answered under one policy version.
pub trait Reveal: Send + Sync + fmt::Debug {
    /// `None` where the column may be seen, else how it is masked. An unknown column is masked.
    fn hidden(&self, column: ColumnRef) -> Option<Strategy>;

    /// True where any column of the relation is masked, or the relation is unknown.
    fn relation_hides(&self, relation: u32) -> bool;

    /// True where any column of users at all is masked for this principal: then a value that comes from
    /// nobody knows where may be one of it.
    fn hides_anything(&self) -> bool;

    /// True where any column is masked in which the server keeps what is not for everybody (statements of
    /// other sessions, passwords). They are masked where a statement is known to read their relations.
    fn hides_of_server(&self) -> bool;

    /// True where the column is one of a table, and not generated: its values are not worked out by an
    /// expression. Of others nothing may be kept of a value.
    fn is_stored(&self, column: ColumnRef) -> bool;

    /// True where each value of the column is one that stands in a table, unchanged: whether it is NULL
    /// says nothing else. Columns of views may be such.
    fn is_plain(&self, column: ColumnRef) -> bool {
        self.is_stored(column)
    }

    /// What the column's own name says that it holds; an alias does not change it.
    fn label(&self, _column: ColumnRef) -> Option<Label> {
        None
    }
}

/// How a masked value is made. Strategies that cannot make a value of the column's type in its
/// format fall back to NULL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// A fixed placeholder of the column's type.
    Redact,
    /// Part of it stays readable (last four digits, first letter and domain).
    Partial,
    /// SQL NULL.
    Null,
    /// A keyed, deterministic pseudonym, so that values can still be joined and compared.
    Hash,
    /// This literal, where it is a value of the column's type.
    Constant(Arc<str>),
    /// Dates and timestamps moved by one keyed number of days, at most this many either way.
    ShiftDays(u16),
}

/// The names of strategies, for messages.
const STRATEGIES: &str =
    "`redact`, `partial`, `null`, `hash`, `constant:TEXT` or `shift_days:DAYS`";
/// The longest literal of [`Strategy::Constant`], in bytes.
const MAX_CONSTANT: usize = 1024;
/// The most days of [`Strategy::ShiftDays`].
const MAX_SHIFT: u16 = 3650;

impl Strategy {
    /// The strategy that an `@mask` annotation or a configuration key names: a word, or
    /// `constant:TEXT` or `shift_days:DAYS`.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        match (text, text.split_once(':')) {
            ("redact", _) => Ok(Self::Redact),
            ("partial", _) => Ok(Self::Partial),
            ("null", _) => Ok(Self::Null),
            ("hash", _) => Ok(Self::Hash),
            (_, Some(("constant", literal))) => Self::constant(literal),
            (_, Some(("shift_days", days))) => match days.parse() {
                Ok(days) => Self::shift_days(days),
                Err(_) => Err(format!("`{days}` is no number of days")),
            },
            _ => Err(format!("`{text}` is no strategy; it is one of {STRATEGIES}")),
        }
    }

    /// Every value becomes this literal.
    ///
    /// # Errors
    /// Where it is too long, or holds a zero byte.
    pub fn constant(literal: &str) -> Result<Self, String> {
        if literal.len() > MAX_CONSTANT || literal.contains('\0') {
            return Err(format!("a constant has at most {MAX_CONSTANT} bytes, and no zero byte"));
        }
        Ok(Self::Constant(literal.into()))
    }

    /// Dates are moved by at most this many days.
    ///
    /// # Errors
    /// Where it is 0 or too many.
    pub fn shift_days(days: u64) -> Result<Self, String> {
        match u16::try_from(days) {
            Ok(days @ 1..=MAX_SHIFT) => Ok(Self::ShiftDays(days)),
            _ => Err(format!("shift_days is 1 to {MAX_SHIFT}, not {days}")),
        }
    }
}

impl fmt::Display for Strategy {
    /// As [`Strategy::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redact => f.write_str("redact"),
            Self::Partial => f.write_str("partial"),
            Self::Null => f.write_str("null"),
            Self::Hash => f.write_str("hash"),
            Self::Constant(literal) => write!(f, "constant:{literal}"),
            Self::ShiftDays(days) => write!(f, "shift_days:{days}"),
        }
    }
}

impl<'de> Deserialize<'de> for Strategy {
    /// A word, `{ constant = "…" }` or `{ shift_days = … }`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrategyVisitor)
    }
}

struct StrategyVisitor;

impl<'de> serde::de::Visitor<'de> for StrategyVisitor {
    type Value = Strategy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("mask to be a strategy: a word, { constant = \"…\" } or { shift_days = … }")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Strategy, E> {
        Strategy::parse(text).map_err(|why| E::custom(format!("mask: {why}")))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Strategy, A::Error> {
        use serde::de::Error as _;
        let made = match map.next_key::<String>()?.as_deref() {
            Some("constant") => Strategy::constant(&map.next_value::<String>()?),
            Some("shift_days") => Strategy::shift_days(map.next_value()?),
            key => Err(format!(
                "`{}` is no strategy with a value; it is `constant` or `shift_days`",
                key.unwrap_or_default()
            )),
        };
        let made = made.map_err(|why| A::Error::custom(format!("mask: {why}")))?;
        if map.next_key::<serde::de::IgnoredAny>()?.is_some() {
            return Err(A::Error::custom("mask: a column has one strategy"));
        }
        Ok(made)
    }
}

/// What a type of the database's own is made of, as far as masking needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserType {
    /// A domain.
    Domain {
        /// The type it is over.
        base: u32,
        /// True where not every value of that type is one of the domain.
        checked: bool,
    },
    /// An enumeration, with its labels.
    Enum(Box<[Box<str>]>),
    /// An array of this type.
    Array(u32),
    /// A row of these types.
    Composite(Box<[u32]>),
    /// A range of this type.
    Range(u32),
    /// Several ranges of one type.
    Multirange,
    /// Text by another name (`citext`).
    Text,
    /// The extension's map of texts.
    Hstore,
}

/// The types of one database that are not built in, by their numbers: made once for each reading of
/// the catalog and shared. What is not in it is not known, and then no value of it is made up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TypeMap(HashMap<u32, UserType>);

impl TypeMap {
    /// What a type is made of.
    #[must_use]
    pub fn get(&self, type_id: u32) -> Option<&UserType> {
        self.0.get(&type_id)
    }
}

impl FromIterator<(u32, UserType)> for TypeMap {
    fn from_iter<T: IntoIterator<Item = (u32, UserType)>>(types: T) -> Self {
        Self(types.into_iter().collect())
    }
}

/// The type number that stands for a field whose type nobody knows (binary rows of `COPY (query)`).
pub const UNKNOWN_TYPE: u32 = u32::MAX;

/// One treatment per column of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// In column order.
    pub columns: SmallVec<[Treatment; 8]>,
    /// Of rows copied out, which carry no description: the types of their columns. Empty where they
    /// are not known.
    pub types: SmallVec<[u32; 4]>,
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
        /// True where the first line holds the names of the columns.
        header: bool,
        /// How NULL is written. Only where it is [`NullString::TEXT`] does no value look like it.
        null: NullString,
    },
    /// Comma-separated values.
    Csv {
        /// The separator.
        delimiter: u8,
        /// The quote character.
        quote: u8,
        /// The escape character inside quotes.
        escape: u8,
        /// True where the first line holds the names of the columns.
        header: bool,
        /// How NULL is written, never in quotes. A value that equals it is in quotes.
        null: NullString,
    },
    /// The binary format.
    Binary,
    /// One that could not be told.
    Untold,
}

impl CopyFormat {
    /// Text as it is without options.
    pub const TEXT: Self = Self::Text { delimiter: b'\t', header: false, null: NullString::TEXT };
    /// CSV as it is without options.
    pub const CSV: Self = Self::Csv {
        delimiter: b',',
        quote: b'"',
        escape: b'"',
        header: false,
        null: NullString::EMPTY,
    };
}

/// What stands for NULL among copied rows: short, and ASCII, which is the same bytes in every
/// encoding that a server may convert it from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NullString {
    length: u8,
    bytes: [u8; Self::MOST],
}

impl NullString {
    /// The most bytes it has.
    pub const MOST: usize = 31;
    /// That of CSV without options.
    pub const EMPTY: Self = Self { length: 0, bytes: [0; Self::MOST] };
    /// That of text without options: `\N`.
    pub const TEXT: Self = {
        let mut bytes = [0; Self::MOST];
        bytes[0] = b'\\';
        bytes[1] = b'N';
        Self { length: 2, bytes }
    };

    /// `None` where it is too long, or not ASCII.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let mut new = Self::EMPTY;
        new.bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        new.length = u8::try_from(text.len()).ok()?;
        text.is_ascii().then_some(new)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl fmt::Debug for NullString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
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
