//! The request: everything a client wants done up to the next `Sync`, `Flush`, pause or end of a simple
//! query, whole, with the facts of each statement in it. It stands before the gate, and its bytes
//! are what the link sends once it is permitted.

mod draft;
mod facts;

use super::bound;
use super::names::{Behind, Full, MAX_NAME, Prepared};
use super::script::Script;
use bytes::Bytes;
pub(crate) use draft::{Draft, FLUSH, with_code_of};
use portcullis_core::digest::{Digest, Digester};
use portcullis_core::effect::{Object, Operation};
use portcullis_core::pattern;
use portcullis_core::protocol::{Request, Shown};
use portcullis_sql::parse::Limits;
use portcullis_sql::pattern::template;
use portcullis_sql::statement::{
    Analysis, Copy, CopyIn, GoesBy, MOST_COLUMNS, Statement, Targets, Unreadable, WrittenValue,
};
use smallvec::SmallVec;
use std::sync::Arc;

/// The digest's domain: a digest of this means a request of this protocol.
const DOMAIN: &str = "portcullis postgres request 1";
/// Likewise, of what requests have in common.
const PATTERN_DOMAIN: &str = "portcullis postgres pattern 1";

/// Takes texts apart. The gateway implements it with the session's catalog and a cache.
pub trait Analyst: Send + Sync {
    /// The facts of a text.
    ///
    /// # Errors
    /// [`Unreadable`]: nothing of it may run.
    fn analyse(&self, text: &str) -> Result<Arc<Analysis>, Unreadable>;

    /// The type of a parameter, by the number a `Parse` gives, where reading a value of it runs code
    /// of users.
    fn code_of_literals(&self, type_oid: u32) -> Option<Object> {
        let _ = type_oid;
        None
    }

    /// A number that changes whenever the same text could have other facts than before (the catalog,
    /// the search path, settings that change how text is read). Prepared statements of an older
    /// epoch are analysed again when they are used.
    fn epoch(&self) -> u64 {
        0
    }
}

/// What the client sent, as far as the shape of an answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A simple `Query` (or a function call): an error is followed by ReadyForQuery.
    Simple,
    /// Extended messages with a `Sync`: an error is followed by ReadyForQuery.
    Sync,
    /// Extended messages up to a `Flush`: an error is followed by nothing until `Sync` comes.
    Flush,
}

/// Why a unit cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The server's grammar refuses a text. Answer as the server would: SQLSTATE 42601.
    #[error("{message}")]
    Syntax {
        /// The parser's message; it may quote a token of the caller's text.
        message: String,
        /// Byte offset in the text, from 0, where known.
        at: Option<usize>,
    },
    /// A text is over a limit of the parser.
    #[error("{what} is over the limit of {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A list of results is longer than the server makes one. It says SQLSTATE 54011.
    #[error("target lists can have at most {MOST_COLUMNS} entries")]
    TooManyColumns,
    /// A text is not valid UTF-8.
    #[error("the statement text is not valid UTF-8")]
    Encoding,
    /// A setting that decides how texts are read would get a value this gateway does not read by.
    #[error("{setting} can only be {}", spoken(setting))]
    Unspoken {
        /// Its name.
        setting: &'static str,
    },
    /// What stands before a text may change how it is read, and it is one that can be read in two ways.
    #[error(
        "what stands before this text, or a function it calls, may change how it is read: send it \
         once that is answered, behind a Sync"
    )]
    Respoken,
    /// A `FunctionCall` of a function that is none of large objects.
    #[error("by number only functions of large objects are called: call the function in a SELECT")]
    FunctionCall,
    /// No prepared statement has that name. The server says SQLSTATE 26000.
    #[error("{}", missing_statement(name))]
    UnknownStatement {
        /// The name.
        name: String,
    },
    /// No portal has that name. The server says SQLSTATE 34000.
    #[error("portal \"{name}\" does not exist")]
    UnknownPortal {
        /// The name.
        name: String,
    },
    /// What a name stands for cannot be known after what has happened in the session.
    #[error(
        "what the name \"{name}\" stands for cannot be known after an error or code of users: \
         close it and prepare it again"
    )]
    Ambiguous {
        /// The name.
        name: String,
    },
    /// A name the server would cut, so that two names could be one.
    #[error("a name of a statement or portal is longer than {MAX_NAME} bytes: use a shorter one")]
    LongName,
    /// A limit of the session.
    #[error("too many {what} (the limit is {limit})")]
    Limit {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Messages between the `Execute` of a `COPY … FROM STDIN` and its `Sync`, which the server
    /// would read as copy data gone wrong.
    #[error("COPY FROM STDIN must be the last command before Sync")]
    CopyNotLast,
}

fn spoken(setting: &str) -> &'static str {
    if setting == "client_encoding" { "UTF8, written out: it is what is spoken here" } else { "on" }
}

/// As the server words it (`FetchPreparedStatement` and `exec_bind_message` of its source).
fn missing_statement(name: &str) -> String {
    if name.is_empty() {
        return "unnamed prepared statement does not exist".to_owned();
    }
    format!("prepared statement \"{name}\" does not exist")
}

impl From<Full> for Why {
    fn from(full: Full) -> Self {
        Self::Limit { what: full.what, limit: full.limit }
    }
}

impl From<Unreadable> for Why {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Syntax { message, at } => Self::Syntax { message, at },
            Unreadable::TooLarge { what, limit } => Self::TooLarge { what, limit },
            Unreadable::TooManyColumns => Self::TooManyColumns,
            Unreadable::Encoding => Self::Encoding,
        }
    }
}

/// A statement that runs in a unit, beside its [`Part`].
#[derive(Debug, Clone)]
struct Run {
    prepared: Arc<Prepared>,
    /// What followed the names in `Bind`; empty where nothing was bound.
    values: Bytes,
    /// Texts and parameters behind names in the text.
    behind: SmallVec<[Behind; 1]>,
    /// How many rows at most.
    rows: u32,
    /// True where a suspended portal is continued.
    continues: bool,
    /// True where its text is shown with the run before it: a statement of a simple query that is not
    /// the first. What stands behind its names is shown all the same.
    same_text: bool,
}

/// An execution that the target may answer with PortalSuspended.
#[derive(Debug, Clone)]
pub(crate) struct Suspendable {
    pub(crate) part: usize,
    pub(crate) name: Bytes,
    pub(crate) portal: u64,
}

/// What decides what a unit does that an approval cannot bind: nobody can be shown it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unbound {
    /// State of the session that it goes by.
    GoesBy(GoesBy),
    /// A statement or its parameters may have been read by other settings than those there are.
    Misread,
}

impl Unbound {
    /// Why, and what to do instead; `None` where it stays as it is for as long as the session waits
    /// outside of a transaction.
    #[must_use]
    pub const fn told(self, in_transaction: bool) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::GoesBy(GoesBy::LastValue) if !in_transaction => return None,
            Self::GoesBy(GoesBy::LastValue) => (
                "a person has to decide on it, and what its sequence has given last would not be the \
                 same when it runs again",
                "write the number itself in place of currval or lastval",
            ),
            Self::GoesBy(GoesBy::Descriptor) => (
                "a person has to decide on it, and cannot see which large object its descriptor is \
                 open for",
                "use a function that names the large object, such as lo_put or lo_get",
            ),
            Self::GoesBy(GoesBy::CursorRow) => (
                "a person has to decide on it, and cannot see which row the cursor is on",
                "name the rows in the statement, by their key, in place of WHERE CURRENT OF",
            ),
            Self::GoesBy(GoesBy::Sessions) => (
                "a person has to decide on it, and what it reads of sessions (locks, channels, cursors, \
                 activity, random numbers) may be something else when it runs",
                "name the rows by their key, and write values themselves into the statement",
            ),
            Self::Misread => (
                "a person has to decide on it, and settings of the session may have changed since it was \
                 prepared or bound, so that its values may be others than those shown",
                "close it, prepare it again and bind it again, then run it",
            ),
        })
    }
}

/// What is judged as a whole.
#[derive(Debug, Clone)]
pub struct Unit {
    wire: Bytes,
    shape: Shape,
    operation: Operation,
    script: Script,
    prepares_only: bool,
    unbound: Option<Unbound>,
    runs: Vec<Run>,
    /// Statements parsed, bound or described and not run.
    prepared: Vec<Arc<Prepared>>,
    pub(crate) suspendable: Vec<Suspendable>,
    pub(crate) holds_sync: bool,
    /// The client's messages it was assembled from, to assemble it once more.
    pub(crate) sent: Vec<Bytes>,
}

impl Unit {
    /// What the target will be asked, in order.
    #[must_use]
    pub const fn script(&self) -> &Script {
        &self.script
    }

    /// What the client sent, for answering a refusal.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// What an approval of it could not bind, if anything.
    #[must_use]
    pub const fn unbound(&self) -> Option<Unbound> {
        self.unbound
    }

    /// The only statement it runs, with the values bound to it: by its own text, not behind a name.
    pub(super) fn only_statement(&self) -> Option<(&Prepared, &Bytes)> {
        let [run] = self.runs.as_slice() else { return None };
        let direct = run.behind.is_empty() && !run.continues && !run.prepared.sql_level;
        (direct && self.prepared.is_empty()).then_some((&*run.prepared, &run.values))
    }

    /// How many statements it runs, or would, had it been let go on; at least one.
    #[must_use]
    pub fn statements(&self) -> u64 {
        u64::try_from(self.runs.len()).unwrap_or(u64::MAX).max(1)
    }

    /// The text of each statement it runs, whether it is run to its end and by that text alone, and its
    /// facts.
    pub(super) fn run_texts(&self) -> impl Iterator<Item = (&[u8], bool, &Statement)> {
        self.runs.iter().zip(&self.script.parts).map(|(run, part)| {
            let direct = run.behind.is_empty() && !run.continues && !run.prepared.sql_level;
            (&*run.prepared.text, direct && run.rows == 0, &*part.statement)
        })
    }

    /// True where the answer to a statement of it may end before its last row.
    pub(super) fn fetches_in_part(&self) -> bool {
        self.runs.iter().any(|run| run.rows != 0)
    }

    /// Of its answer one number is kept ([`super::estimate`]).
    pub(super) const fn asks_for_estimate(&mut self) {
        self.script.estimates = true;
    }

    /// True where statements are parsed, bound or described and none is run: the operation is then
    /// that of preparing, and nothing in it is a reason to ask a person.
    #[must_use]
    pub const fn prepares_only(&self) -> bool {
        self.prepares_only
    }
}

/// Where in a request a written value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the text: at which byte, from 0.
    Text(usize),
    /// A parameter, by its number from 1.
    Parameter(usize),
}

impl Unit {
    /// Shows each value that goes into rows it writes, with the columns it may go into, until `look`
    /// finds something. Rows that are copied in come later.
    pub fn find_written<T>(
        &self,
        mut look: impl FnMut(&[u8], &Targets) -> Option<T>,
    ) -> Option<(T, Place)> {
        for (run, part) in self.runs.iter().zip(&self.script.parts) {
            let own = Arc::ptr_eq(&run.prepared.statement, &part.statement);
            // Of `EXECUTE`, the arguments are the parameters of what it stands for.
            let arguments = (!own).then_some(&run.prepared.statement.written);
            let mut parameters = None;
            let all = part.statement.written.iter().chain(arguments.into_iter().flat_map(|w| &**w));
            for written in all.filter(|_| !run.continues) {
                let found = match &written.value {
                    WrittenValue::Text(text, at) => look(text.as_bytes(), &written.columns)
                        .map(|found| (found, Place::Text(*at))),
                    WrittenValue::Parameter(number) => {
                        let all = parameters.get_or_insert_with(|| bound::raw(&run.values));
                        let value = number.checked_sub(1).and_then(|n| all.get(n)).cloned();
                        value
                            .flatten()
                            .and_then(|value| look(&value, &written.columns))
                            .map(|found| (found, Place::Parameter(*number)))
                    }
                };
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }

    /// What the rows look like that its parts copy in, in order.
    #[must_use]
    pub fn copies_in(&self) -> Vec<CopyIn> {
        let copies = self.script.parts.iter().filter_map(|part| part.statement.copy.as_ref());
        copies
            .filter_map(|copy| match copy {
                Copy::In(copy) => Some(copy.clone()),
                Copy::Out(_) => None,
            })
            .collect()
    }
}

impl Request for Unit {
    fn operation(&self) -> &Operation {
        &self.operation
    }

    fn digest(&self) -> Digest {
        let mut digester = Digester::new(DOMAIN);
        for run in &self.runs {
            let what: &[u8] = if run.continues { b"continue" } else { b"run" };
            digester.add(what);
            digest_statement(&mut digester, &run.prepared);
            digester.add(&run.values);
            digester.add(&run.rows.to_be_bytes());
            digester.add(&run.behind.len().to_be_bytes());
            for behind in &run.behind {
                digest_statement(&mut digester, &behind.prepared);
                digester.add(&behind.values);
            }
        }
        for prepared in &self.prepared {
            digester.add(b"prepare");
            digest_statement(&mut digester, prepared);
        }
        digester.finish()
    }

    fn shown(&self) -> Shown {
        let mut page = Page { shown: Shown::default(), texts: MAX_TEXTS, values: MAX_VALUES };
        for run in &self.runs {
            if !run.same_text {
                page.put(&run.prepared.text, &run.values, &run.prepared.types);
            }
            for behind in &run.behind {
                page.put_behind(behind);
            }
        }
        for prepared in &self.prepared {
            page.put(&prepared.text, &Bytes::new(), &[]);
        }
        let mut shown = page.shown;
        if self.script.parts.iter().any(|part| part.copy_in) {
            shown.beyond.push("the rows that COPY brings in: they are sent afterwards".to_owned());
        }
        shown
    }

    fn wire_bytes(&self) -> &[u8] {
        &self.wire
    }

    /// Of one statement that queries or changes rows, by its own text and not behind a name.
    fn pattern(&self) -> Option<pattern::Shape> {
        let (prepared, values) = self.only_statement()?;
        let known = ["select", "insert", "update", "delete"];
        if !matches!(self.operation.kinds.as_slice(), [one] if known.contains(&&**one)) {
            return None;
        }
        let text = std::str::from_utf8(&prepared.text).ok()?;
        let template = template(text, &Limits::default())?;
        let mut digester = Digester::new(PATTERN_DOMAIN).part(template.digest.as_bytes());
        digester.add(&prepared.types.iter().flat_map(|t| t.to_be_bytes()).collect::<Vec<_>>());
        let rows = self.runs.first().map_or(0, |run| run.rows);
        digester.add(&rows.to_be_bytes());
        let (parameters, rest) = bound::split(values);
        digester.add(&parameters.len().to_be_bytes());
        for (n, (value, binary)) in parameters.iter().enumerate() {
            if template.free.contains(&(n + 1)) {
                digester.add(b"any");
                continue;
            }
            digester.add(if *binary { b"binary" } else { b"text" });
            digester.add(if value.is_some() { b"is" } else { b"null" });
            digester.add(value.as_deref().unwrap_or_default());
        }
        digester.add(&rest);
        let mut shown = template.shown;
        for n in 1..=parameters.len() {
            let varies = template.free.contains(&n);
            let what = if varies { "‹any value›" } else { "stays as it is" };
            shown.push_str(&format!("\n${n}: {what}"));
        }
        Some(pattern::Shape { digest: digester.finish(), shown })
    }
}

/// The most of a unit's statement texts, and of its parameters, that is shown, in bytes.
const MAX_TEXTS: usize = 1 << 20;
const MAX_VALUES: usize = 256 << 10;

/// What people read of a unit, while it is written.
struct Page {
    shown: Shown,
    /// Bytes of text still to be shown.
    texts: usize,
    /// Bytes of parameters still to be shown.
    values: usize,
}

impl Page {
    fn put(&mut self, text: &Bytes, values: &Bytes, types: &[u32]) {
        if text.len() > self.texts {
            self.texts = 0;
            self.shown.elided = true;
            return;
        }
        self.texts -= text.len();
        let rendered = bound::render(values, types, &mut self.values);
        self.shown.elided |= !rendered.whole;
        self.shown.statements.push(text_of(text));
        self.shown.parameters.push(rendered.values);
    }

    /// A name stands for this: it runs too. What `EXECUTE` gives it is read by its types, which stand
    /// in no text where a `Parse` gave them.
    fn put_behind(&mut self, behind: &Behind) {
        let Behind { prepared, values } = behind;
        if prepared.types.is_empty() || !values.is_empty() {
            return self.put(&prepared.text, values, &prepared.types);
        }
        let text = [&prepared.text, bound::types(&prepared.types).as_bytes()].concat();
        self.put(&text.into(), values, &prepared.types);
    }
}

/// What runs, whether a message or a name says so: its text, which of its statements, and how its
/// parameters are read.
fn digest_statement(digester: &mut Digester, prepared: &Prepared) {
    digester.add(&prepared.text);
    digester.add(&prepared.place.start.to_be_bytes());
    digester.add(&prepared.place.end.to_be_bytes());
    digester.add(&prepared.types.iter().flat_map(|oid| oid.to_be_bytes()).collect::<Vec<_>>());
}

fn text_of(text: &Bytes) -> String {
    String::from_utf8_lossy(text).into_owned()
}
