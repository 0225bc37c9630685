//! The facts of one SQL statement.

use portcullis_core::effect::{Certainty, Effect, Extent, Object, ObjectKind, Verb};
use portcullis_core::mask::{ColumnRef, CopyFormat, Lineage};
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::Arc;

/// A text taken apart: one or more statements, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    /// The statements. Empty for an empty or comment-only text.
    pub statements: Vec<Statement>,
    /// Where each of them stands in the text, in bytes from 0, without the semicolon behind it. Empty where
    /// there is one at most, and it is the text.
    pub places: Vec<Range<usize>>,
}

impl Analysis {
    /// Where the statement of that number, from 0, stands in the text, which has so many bytes; `None` where
    /// there is none of that number.
    #[must_use]
    pub fn place(&self, index: usize, bytes: usize) -> Option<Range<usize>> {
        match self.statements.len() {
            1 => (index == 0).then_some(0..bytes),
            _ => self.places.get(index).cloned(),
        }
    }
}

/// The facts of one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its kind, lower case, as in the server's command tag (`select`, `create table`, `copy`).
    pub kind: Box<str>,
    /// What it would do when executed. For `PREPARE` and `DECLARE` that is preparing alone; the
    /// inner statement is in `names`.
    pub effects: SmallVec<[Effect; 2]>,
    /// Where its answer and its error texts come from; `None` where it shows no data at all. A
    /// statement that answers with no rows but reads or writes relations has one without outputs.
    pub lineage: Option<Arc<Lineage>>,
    /// What it does to the session's names.
    pub names: NameChange,
    /// What it does to the transaction.
    pub transaction: TransactionChange,
    /// Values in its text, and parameters, that go into rows it writes.
    pub written: Arc<[Written]>,
    /// What it copies, if it is a `COPY … STDIN/STDOUT`.
    pub copy: Option<Copy>,
    /// A setting that decides how texts are read, where it may get a value by which this crate
    /// does not read them. Such a statement must not run, whatever the policy says.
    pub unspoken: Option<&'static str>,
    /// True where it may change settings that decide how texts are read, to nobody knows what: which
    /// setting it changes is not written out, or it runs code. The server tells when it is ready for
    /// more; what it reads before that must be a text that [reads alike](crate::parse::reads_alike).
    pub respeaks: bool,
    /// True where it runs functions whose texts are read when they are called, and may then be read
    /// otherwise.
    pub rereads: bool,
    /// State of the session that decides what it does and that nobody can be shown.
    pub goes_by: Option<GoesBy>,
    /// True where known names may do something else once it has run: what it defines hangs on them
    /// (a trigger, a rule, a default) or stands in for them. What it would do itself is in `effects`.
    pub disturbs: bool,
}

/// State of a session that a statement goes by and its text does not tell. What can be bound is none:
/// settings are, and what names stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GoesBy {
    /// What a sequence has given last (`currval`, `lastval`).
    LastValue,
    /// Which large object a descriptor is open for, and where it stands.
    Descriptor,
    /// The row that a cursor is on (`WHERE CURRENT OF`).
    CursorRow,
    /// What sessions, not only this one, show of themselves beside settings and what names stand for:
    /// locks, channels, cursors, prepared statements, activity, and random numbers, which have a seed.
    Sessions,
}

/// True for a kind of statement that may run or plan what names stand for; false for those that steer
/// the transaction or the session, and for definitions that evaluate nothing.
#[must_use]
pub fn uses_names(kind: &str) -> bool {
    const STEERS: [&str; 30] = [
        "begin",
        "checkpoint",
        "close cursor",
        "comment",
        "commit",
        "commit prepared",
        "deallocate",
        "discard",
        "discard all",
        "discard temp",
        "empty",
        "grant",
        "grant role",
        "listen",
        "lock table",
        "notify",
        "prepare transaction",
        "release",
        "reset",
        "revoke",
        "revoke role",
        "rollback",
        "rollback prepared",
        "savepoint",
        "security label",
        "set",
        "set constraints",
        "show",
        "start transaction",
        "unlisten",
    ];
    !STEERS.contains(&kind) && !kind.starts_with("drop ")
}

/// What stands before the number of a parameter in the name of a setting. With its dot it is like
/// the name of an application's setting to whoever does not look further.
const BY_PARAMETER: &str = "?.$";

/// Reading a setting that the parameter of this number names.
#[must_use]
pub fn setting_by_parameter(number: u16) -> Effect {
    let object = Object::new(ObjectKind::Setting, [&*format!("{BY_PARAMETER}{number}")]);
    Effect { certainty: Certainty::Assumed, ..Effect::resolved(Verb::Read, object, Extent::One) }
}

/// Reading a setting of which nobody knows the name.
#[must_use]
pub fn unnamed_setting() -> Effect {
    let object = Object::new(ObjectKind::Setting, ["?"]);
    Effect { certainty: Certainty::Assumed, ..Effect::resolved(Verb::Read, object, Extent::One) }
}

/// The number of the parameter that names the setting which this effect reads. Such an effect is to
/// be replaced by one with the name, once that is known.
#[must_use]
pub fn naming_parameter(effect: &Effect) -> Option<u16> {
    let marked =
        effect.object.kind == ObjectKind::Setting && effect.certainty == Certainty::Assumed;
    let [name] = effect.object.path.as_slice() else { return None };
    marked.then(|| name.strip_prefix(BY_PARAMETER)?.parse().ok()).flatten()
}

/// A `COPY` between server and client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copy {
    /// `COPY … FROM STDIN`.
    In(CopyIn),
    /// `COPY … TO STDOUT`, in this format. The columns are those of the lineage.
    Out(CopyFormat),
}

/// What rows copied in look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyIn {
    /// How they are written.
    pub format: CopyFormat,
    /// Where each field goes.
    pub columns: Arc<[Targets]>,
}

/// The columns that a value may go into: one for each relation that the name may mean. Empty where
/// they could not be told.
pub type Targets = SmallVec<[ColumnRef; 1]>;

/// A value that goes into rows, as far as the text tells; a part of one where an expression makes
/// it. What conditions compare with is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// What it is.
    pub value: WrittenValue,
    /// Where it goes.
    pub columns: Targets,
}

/// See [`Written`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrittenValue {
    /// A string in the text, and where it stands there (byte offset, from 0).
    Text(Box<str>, usize),
    /// A parameter, by its number from 1.
    Parameter(usize),
}

/// What a statement does to prepared statements and cursors, which share nothing but their
/// lifetime: the session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum NameChange {
    /// Nothing.
    #[default]
    None,
    /// `PREPARE name AS statement`. SQL-level and protocol-level prepared statements share names.
    Prepare {
        /// The name, folded as the server folds it.
        name: Box<str>,
        /// What `EXECUTE name` will do.
        inner: Arc<Statement>,
    },
    /// `EXECUTE name(…)`: the effects are those of the prepared statement, to be looked up.
    Execute {
        /// The name.
        name: Box<str>,
    },
    /// `DEALLOCATE name`, or all of them.
    Deallocate {
        /// The name; `None` for `ALL`.
        name: Option<Box<str>>,
    },
    /// `DECLARE name CURSOR FOR query`.
    Declare {
        /// The name.
        name: Box<str>,
        /// The query.
        inner: Arc<Statement>,
    },
    /// `FETCH`/`MOVE … name`: answers with rows of the cursor (or portal) of that name.
    Fetch {
        /// The name.
        name: Box<str>,
    },
    /// `CLOSE name`, or all of them.
    CloseCursor {
        /// The name; `None` for `ALL`.
        name: Option<Box<str>>,
    },
    /// `DISCARD ALL`: every prepared statement and cursor is gone.
    DiscardAll,
}

/// What a statement does to the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransactionChange {
    /// Nothing.
    #[default]
    None,
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`, `END`, `PREPARE TRANSACTION`.
    Commit,
    /// `ROLLBACK`, `ABORT`.
    Rollback,
    /// `SAVEPOINT`, `RELEASE`, `ROLLBACK TO`.
    Savepoint,
}

/// The text cannot be read, so nothing in it may run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The server's own grammar refuses it.
    #[error("syntax error: {message}")]
    Syntax {
        /// The parser's message; it may quote a token of the caller's text.
        message: String,
        /// Byte offset in the text, from 0, where known.
        at: Option<usize>,
    },
    /// Over a limit.
    #[error("{what} is over the limit of {limit}")]
    TooLarge {
        /// What is too large (`statement text`, `nesting depth`, `number of statements`).
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A list of results has more columns than the server gives: it refuses that in these words.
    #[error("target lists can have at most {MOST_COLUMNS} entries")]
    TooManyColumns,
    /// Not UTF-8, or with a zero byte in it.
    #[error("the statement text is not valid UTF-8")]
    Encoding,
}

/// Most columns that a list of results can have (`MaxTupleAttributeNumber`).
pub const MOST_COLUMNS: usize = 1_664;

impl Statement {
    /// About how many bytes it takes to keep what is known of where its answer comes from.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        let inner = match &self.names {
            NameChange::Prepare { inner, .. } | NameChange::Declare { inner, .. } => {
                inner.kept_bytes()
            }
            _ => 0,
        };
        inner + self.lineage.as_ref().map_or(0, |lineage| lineage.kept_bytes())
    }
}
