//! The request: everything a client wants done up to the next `Sync`, `Flush`, pause or end of a simple
//! query, whole, with the facts of each statement in it. It stands before the gate, and its bytes
//! are what the link sends once it is permitted.

use super::message::{self, Frontend, Target};
use super::names::{
    Behind, Full, MAX_NAME, Names, Origin, Prepared, Resolved, Unusable, empty_statement,
};
use super::script::{Part, Script, Step};
use super::{bound, call};
use bytes::{BufMut as _, Bytes, BytesMut};
use portcullis_core::digest::{Digest, Digester};
use portcullis_core::effect::{
    Certainty, Effect, Extent, Object, ObjectKind, Operation, Verb, may_redefine,
};
use portcullis_core::mask::{
    CopyFormat, Lineage, NewColumn, NewTable, Origin as ColumnOrigin, Refill,
};
use portcullis_core::pattern;
use portcullis_core::protocol::{Request, Shown};
use portcullis_sql::parse::Limits;
use portcullis_sql::pattern::template;
use portcullis_sql::statement::{
    Analysis, Copy, CopyIn, MOST_COLUMNS, NameChange, Statement, Targets, Unreadable, WrittenValue,
    naming_parameter, unnamed_setting,
};
use smallvec::SmallVec;
use std::collections::{HashMap, HashSet};
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
        "what the name \"{name}\" stands for cannot be known after an error or a block of code: \
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
    /// True where it shares its text with the run before it (a simple query of several statements).
    same_text: bool,
}

/// An execution that the target may answer with PortalSuspended.
#[derive(Debug, Clone)]
pub(crate) struct Suspendable {
    pub(crate) part: usize,
    pub(crate) name: Bytes,
    pub(crate) portal: u64,
}

/// What is judged as a whole.
#[derive(Debug, Clone)]
pub struct Unit {
    wire: Bytes,
    shape: Shape,
    operation: Operation,
    script: Script,
    prepares_only: bool,
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

    /// The only statement it runs, with the values bound to it: by its own text, not behind a name.
    pub(super) fn only_statement(&self) -> Option<(&Prepared, &Bytes)> {
        let [run] = self.runs.as_slice() else { return None };
        let direct = run.behind.is_empty() && !run.continues && !run.prepared.sql_level;
        (direct && self.prepared.is_empty()).then_some((&*run.prepared, &run.values))
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
                digester.add(&behind.text);
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
        for run in self.runs.iter().filter(|run| !run.same_text) {
            page.put(&run.prepared.text, &run.values, &run.prepared.types);
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

    /// A name stands for this: it runs too.
    fn put_behind(&mut self, behind: &Behind) {
        self.put(&behind.text, &behind.values, &behind.types);
    }
}

fn digest_statement(digester: &mut Digester, prepared: &Prepared) {
    digester.add(&prepared.text);
    digester.add(&prepared.types.iter().flat_map(|oid| oid.to_be_bytes()).collect::<Vec<_>>());
}

fn text_of(text: &Bytes) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// What the statements of a unit add up to.
#[derive(Debug, Default)]
struct Facts {
    kinds: SmallVec<[Box<str>; 2]>,
    effects: SmallVec<[Effect; 2]>,
    lineages: SmallVec<[Arc<Lineage>; 1]>,
    /// Effects counted already, once there are too many to look through.
    seen: HashSet<Effect>,
    /// Statements run and planned already, so that a thousand executions cost one look.
    run: Seen,
    planned: Seen,
}

/// A set of things kept alive elsewhere, by identity; no allocation for a few.
#[derive(Debug, Default)]
struct Seen {
    few: SmallVec<[usize; 8]>,
    many: HashSet<usize>,
}

impl Seen {
    /// True where it was not there.
    fn insert<T>(&mut self, thing: &Arc<T>) -> bool {
        let key = Arc::as_ptr(thing) as usize;
        if self.few.last() == Some(&key) || self.few.contains(&key) {
            return false;
        }
        if self.few.len() < self.few.inline_size() {
            self.few.push(key);
            return true;
        }
        self.many.insert(key)
    }

    fn contains<T>(&self, thing: &Arc<T>) -> bool {
        let key = Arc::as_ptr(thing) as usize;
        self.few.contains(&key) || self.many.contains(&key)
    }
}

impl Facts {
    /// Counts a statement's effects, once; `preparing` where it is not run.
    fn count(&mut self, statement: &Arc<Statement>, preparing: bool) {
        let seen = if preparing { &mut self.planned } else { &mut self.run };
        if !seen.insert(statement) {
            return;
        }
        for effect in &statement.effects {
            self.count_one(effect, preparing);
        }
        match &statement.names {
            NameChange::Prepare { inner, .. } => {
                inner.effects.iter().for_each(|effect| self.count_one(effect, true));
            }
            // A cursor runs its query bit by bit, and one WITH HOLD all of it at commit.
            NameChange::Declare { inner, .. } => {
                inner.effects.iter().for_each(|effect| self.count_one(effect, preparing));
            }
            _ => {}
        }
    }

    fn count_one(&mut self, effect: &Effect, preparing: bool) {
        // What a parameter names is counted when it is known; preparing shows nothing of it.
        if naming_parameter(effect).is_none() {
            self.add(if preparing { planned(effect) } else { effect.clone() });
        }
    }

    /// The settings that a statement shows and its parameters name: `name` is the value of one.
    fn count_named(&mut self, statement: &Statement, name: impl Fn(u16) -> Option<String>) {
        let cursor = match &statement.names {
            NameChange::Declare { inner, .. } => inner.effects.as_slice(),
            _ => &[],
        };
        for effect in statement.effects.iter().chain(cursor) {
            let Some(number) = naming_parameter(effect) else { continue };
            self.add(match name(number) {
                Some(name) => {
                    let object = Object::new(ObjectKind::Setting, [&*name]);
                    Effect::resolved(Verb::Read, object, Extent::One)
                }
                None => unnamed_setting(),
            });
        }
    }

    fn add(&mut self, effect: Effect) {
        if self.effects.len() < 16 {
            if !self.effects.contains(&effect) {
                self.effects.push(effect);
            }
            return;
        }
        if self.seen.is_empty() {
            self.seen.extend(self.effects.iter().cloned());
        }
        if self.seen.insert(effect.clone()) {
            self.effects.push(effect);
        }
    }

    fn kind(&mut self, kind: &str) {
        if self.kinds.last().is_none_or(|last| &**last != kind) {
            self.kinds.push(kind.into());
        }
    }

    fn finish(mut self) -> Operation {
        if self.kinds.is_empty() {
            self.kinds.push("sync".into());
        }
        if self.effects.is_empty() {
            self.effects.push(session_effect());
        }
        Operation { kinds: self.kinds, effects: self.effects, lineages: self.lineages }
    }
}

/// What steers this session and nothing else.
fn session_effect() -> Effect {
    Effect::resolved(Verb::Control, Object::new(ObjectKind::Session, []), Extent::One)
}

/// What planning does where executing would have this effect: a change of rows is not made yet, and
/// the catalog is read. Everything else stands, so that it is refused as early as it is seen.
fn planned(effect: &Effect) -> Effect {
    let verb = match effect.verb {
        Verb::Insert
        | Verb::Update
        | Verb::Delete
        | Verb::Truncate
        | Verb::TransferIn
        | Verb::TransferOut
            if effect.certainty != Certainty::Unreadable
                && matches!(
                    effect.object.kind,
                    ObjectKind::Relation | ObjectKind::Column | ObjectKind::Sequence
                ) =>
        {
            Verb::Read
        }
        verb => verb,
    };
    Effect { verb, ..effect.clone() }
}

/// The statements of a text, shared, so that names, parts and facts can keep them.
fn shared(analysis: &Analysis) -> impl Iterator<Item = Arc<Statement>> + '_ {
    analysis.statements.iter().cloned().map(Arc::new)
}

/// Assembles a unit, message by message.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    wire: BytesMut,
    script: Script,
    facts: Facts,
    runs: Vec<Run>,
    /// Statements parsed, bound or described, with what names in them stood for.
    touched: Vec<(Arc<Prepared>, Resolved)>,
    touched_set: Seen,
    run_set: Seen,
    /// Portals described by the client: the step, and the statement.
    portals_described: Vec<(usize, Arc<Prepared>)>,
    suspendable: Vec<Suspendable>,
    /// Portals described since they were bound and not executed since: the step that describes.
    described: HashMap<Bytes, usize>,
    messages: usize,
    /// True after the `Execute` of a `COPY … FROM STDIN`.
    copies_in: bool,
    /// True after the `Execute` of what may change definitions: what comes behind it was analysed by
    /// those there were before.
    redefined: bool,
    failed: Option<Why>,
    /// Texts of a unit that failed, for the record.
    texts: Vec<Bytes>,
}

impl Draft {
    pub(crate) const fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// True where something came, all of it read, and it prepares and describes statements alone.
    pub(crate) fn only_prepares(&self) -> bool {
        let prepares = |step: &Step| matches!(step, Step::Parse { .. } | Step::DescribeStatement);
        !self.is_empty() && !self.has_failed() && self.script.steps.iter().all(prepares)
    }

    pub(crate) const fn copies_in(&self) -> bool {
        self.copies_in
    }

    pub(crate) const fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Gives the unit up: what it holds is let go, all but the texts.
    pub(crate) fn fail(&mut self, why: Why) {
        if self.failed.is_none() {
            self.failed = Some(why);
            let texts = self.runs.iter().map(|run| run.prepared.text.clone());
            let texts = texts.chain(self.touched.iter().map(|(prepared, _)| prepared.text.clone()));
            let texts = texts.chain(std::mem::take(&mut self.texts)).take(64).collect();
            let (failed, messages) = (self.failed.take(), self.messages);
            *self = Self { failed, messages, texts, ..Self::default() };
        }
    }

    /// Room for one more message of this size?
    pub(crate) fn admit(&mut self, size: usize, limits: &message::Limits) -> Result<(), Why> {
        self.messages += 1;
        if self.messages > limits.max_unit_messages {
            return Err(Why::Limit {
                what: "messages before a Sync",
                limit: limits.max_unit_messages,
            });
        }
        if self.wire.len() + size > limits.max_unit_bytes {
            return Err(Why::Limit { what: "bytes before a Sync", limit: limits.max_unit_bytes });
        }
        Ok(())
    }

    /// A simple query.
    pub(crate) fn query(
        &mut self,
        text: Bytes,
        names: &mut Names,
        analyst: &dyn Analyst,
        aborted: bool,
    ) -> Result<(), Why> {
        self.texts.push(text.clone());
        let analysis = analyse(analyst, &text)?;
        names.begin_query(0);
        let parts = analysis.statements.len();
        self.script.steps.push(Step::Query { first_part: 0, parts });
        let epoch = analyst.epoch();
        let prepared = |index, statement| {
            let (text, types) = (text.clone(), Vec::new());
            Arc::new(Prepared { text, statement, types, sql_level: false, index, epoch })
        };
        for (index, statement) in shared(&analysis).enumerate() {
            let prepared = prepared(index, statement);
            names.freshen_behind(&prepared.statement, analyst)?;
            self.run(&prepared, Bytes::new(), 0, (names, aborted))?;
        }
        if parts == 0 {
            self.facts.kind("empty");
            self.touch(&prepared(0, empty_statement()), names);
        }
        Ok(())
    }

    /// A call of a function by number, as the statement that does the same.
    pub(crate) fn call(
        &mut self,
        body: &Bytes,
        names: &mut Names,
        analyst: &dyn Analyst,
        aborted: bool,
    ) -> Result<(), Why> {
        for (message, bytes) in call::messages(body).ok_or(Why::FunctionCall)? {
            self.extended(message, &bytes, names, analyst, aborted)?;
        }
        self.script.calls = true;
        Ok(())
    }

    /// A message of the extended protocol. `bytes` are the message itself.
    pub(crate) fn extended(
        &mut self,
        message: Frontend,
        bytes: &Bytes,
        names: &mut Names,
        analyst: &dyn Analyst,
        aborted: bool,
    ) -> Result<(), Why> {
        if self.copies_in {
            return Err(Why::CopyNotLast);
        }
        let at = Origin { step: self.script.steps.len(), part: None };
        match message {
            Frontend::Parse { name, text, types } => {
                self.parse(name, text, types, names, analyst, at)?;
            }
            Frontend::Bind { portal, statement, values } => {
                short(&portal)?;
                names.freshen(&statement, analyst)?;
                let prepared = Arc::clone(names.statement(&statement).map_err(|unusable| {
                    why(unusable, &statement, |name| Why::UnknownStatement { name })
                })?);
                names.bind(&portal, Arc::clone(&prepared), &values, at)?;
                self.described.remove(&portal);
                self.touch(&prepared, names);
                self.script.steps.push(Step::Bind);
            }
            Frontend::Describe(Target::Statement, name) => {
                names.freshen(&name, analyst)?;
                let prepared = names.statement(&name).map_err(|unusable| {
                    why(unusable, &name, |name| Why::UnknownStatement { name })
                })?;
                self.touch(prepared, names);
                self.script.steps.push(Step::DescribeStatement);
            }
            Frontend::Describe(Target::Portal, name) => {
                let portal = names
                    .portal(&name)
                    .map_err(|unusable| why(unusable, &name, |name| Why::UnknownPortal { name }))?;
                self.touch(&portal.prepared, names);
                self.portals_described.push((at.step, Arc::clone(&portal.prepared)));
                self.script.steps.push(Step::DescribePortal { part: None, injected: false });
                self.described.insert(name, at.step);
            }
            Frontend::Execute { portal, rows } => {
                self.execute(portal, rows, names, analyst, aborted)?;
            }
            Frontend::Close(target, name) => {
                short(&name)?;
                match target {
                    Target::Statement => names.close_statement(&name, at),
                    Target::Portal => {
                        names.close_portal(&name, at);
                        self.described.remove(&name);
                    }
                }
                self.script.steps.push(Step::Close);
            }
            // Everything else is dealt with before it comes here.
            _ => return Ok(()),
        }
        self.wire.extend_from_slice(bytes);
        Ok(())
    }

    fn parse(
        &mut self,
        name: Bytes,
        text: Bytes,
        types: Vec<u32>,
        names: &mut Names,
        analyst: &dyn Analyst,
        at: Origin,
    ) -> Result<(), Why> {
        self.texts.push(text.clone());
        short(&name)?;
        let analysis = analyse(analyst, &text)?;
        let mut statements = shared(&analysis);
        let statement = statements.next().unwrap_or_else(empty_statement);
        if statements.next().is_some() {
            return Err(Why::Syntax {
                message: "cannot insert multiple commands into a prepared statement".to_owned(),
                at: None,
            });
        }
        let text = Bytes::copy_from_slice(&text);
        let statement = with_code_of(&types, statement, analyst);
        let epoch = analyst.epoch();
        let new = Prepared { text, statement, types, sql_level: false, index: 0, epoch };
        names.prepare(&name, new, at)?;
        if let Ok(prepared) = names.statement(&name) {
            self.touch(prepared, names);
        }
        self.texts.pop();
        self.script.steps.push(Step::Parse { name });
        Ok(())
    }

    /// `Execute`, with the `Describe` before it that tells its columns.
    fn execute(
        &mut self,
        name: Bytes,
        rows: u32,
        names: &mut Names,
        analyst: &dyn Analyst,
        aborted: bool,
    ) -> Result<(), Why> {
        let portal = Arc::clone(
            names
                .portal(&name)
                .map_err(|unusable| why(unusable, &name, |name| Why::UnknownPortal { name }))?,
        );
        if !portal.suspended {
            // Before anything of it is written: it may not be one that can be run.
            names.freshen_behind(&portal.prepared.statement, analyst)?;
        }
        let part = self.script.parts.len();
        let described = self.described.remove(&name);
        match described.and_then(|step| self.script.steps.get_mut(step)) {
            Some(Step::DescribePortal { part: governs, .. }) => *governs = Some(part),
            _ => {
                describe_portal(&mut self.wire, &name);
                let part = Some(part);
                self.script.steps.push(Step::DescribePortal { part, injected: true });
            }
        }
        // The step comes first: it is the origin of what the statement does to names.
        self.script.steps.push(Step::Execute { part });
        if portal.suspended {
            self.proceed(&portal.prepared, portal.resolved.as_ref(), portal.values.clone(), rows);
        } else {
            let values = portal.values.clone();
            let resolved = self.run(&portal.prepared, values, rows, (names, aborted))?;
            if self.redefined
                && let Some(last) = self.facts.lineages.last_mut()
            {
                let effects = &resolved.statement.effects;
                let updates = effects.iter().any(|e| e.verb == Verb::Update);
                *last = Arc::new(outdated(last, updates));
            }
            self.redefined |= resolved.chain.iter().any(|statement| {
                may_redefine(std::iter::once(&*statement.kind), &statement.effects)
            });
            if resolved.chain.len() > 1 {
                let at = Origin { step: self.script.steps.len() - 1, part: Some(part) };
                names.remember(&name, &resolved.statement, at);
            }
        }
        if rows > 0 {
            self.suspendable.push(Suspendable { part, name, portal: portal.id });
        }
        Ok(())
    }

    /// One execution of a statement.
    fn run(
        &mut self,
        prepared: &Arc<Prepared>,
        values: Bytes,
        rows: u32,
        (names, aborted): (&mut Names, bool),
    ) -> Result<Resolved, Why> {
        let part = self.script.parts.len();
        let at = Origin { step: self.script.steps.len().saturating_sub(1), part: Some(part) };
        let resolved = names.resolve(&prepared.statement);
        for (place, statement) in resolved.chain.iter().enumerate() {
            self.facts.count(statement, false);
            // The values are those of the statement that was bound, not of one behind its name.
            let (bound, types) = (place == 0).then_some((&values, &*prepared.types)).unzip();
            self.facts.count_named(statement, |number| {
                bound::name(bound?, types?, usize::from(number).checked_sub(1)?)
            });
        }
        if let Some((name, _)) = &resolved.unusable {
            self.facts.add(Effect {
                verb: Verb::Unknown,
                object: Object::new(ObjectKind::Session, [&**name]),
                extent: Extent::Unknown,
                certainty: Certainty::Unreadable,
            });
        }
        resolved.chain.iter().for_each(|statement| self.facts.kind(&statement.kind));
        self.facts.lineages.push(lineage(&resolved));
        let (copy_in, copy_out) = copies(&resolved.statement);
        self.copies_in |= copy_in;
        self.script.parts.push(Part {
            statement: Arc::clone(&resolved.statement),
            copy_out,
            copy_in,
        });
        self.run_set.insert(prepared);
        self.runs.push(Run {
            prepared: Arc::clone(prepared),
            values,
            behind: resolved.behind.clone(),
            rows,
            continues: false,
            same_text: prepared.index > 0,
        });
        for statement in &resolved.chain {
            names.apply(statement, prepared, aborted, at)?;
        }
        Ok(resolved)
    }

    /// More rows of a portal whose statement was permitted and has started.
    fn proceed(
        &mut self,
        prepared: &Arc<Prepared>,
        resolved: Option<&Arc<Statement>>,
        values: Bytes,
        rows: u32,
    ) {
        let statement = resolved.unwrap_or(&prepared.statement);
        self.facts.kind("fetch");
        self.facts.add(session_effect());
        // What an indirect statement stands for was remembered when it started, if it was known.
        let lineage = match statement.names {
            NameChange::Execute { .. } | NameChange::Fetch { .. } => untold(),
            _ => own_lineage(statement),
        };
        self.facts.lineages.push(lineage);
        let statement = Arc::clone(statement);
        self.script.parts.push(Part { statement, copy_out: None, copy_in: false });
        self.run_set.insert(prepared);
        self.runs.push(Run {
            prepared: Arc::clone(prepared),
            values,
            behind: SmallVec::new(),
            rows,
            continues: true,
            same_text: false,
        });
    }

    fn touch(&mut self, prepared: &Arc<Prepared>, names: &Names) {
        if self.touched_set.insert(prepared) {
            self.touched.push((Arc::clone(prepared), names.resolve(&prepared.statement)));
        }
    }

    /// Ends the unit. `bytes` is the query, or the `Sync` or `Flush` that ends it, if the client
    /// sent one; a unit that ends otherwise is given a `Flush`, so that its answers come.
    pub(crate) fn finish(mut self, shape: Shape, bytes: Option<&Bytes>) -> Unit {
        let extended = shape != Shape::Simple;
        // In copy-in mode the server ignores a Sync; where the COPY fails before that mode, it does
        // not (manual, "COPY Operations"). So that both read alike, it is held back.
        let holds_sync = shape == Shape::Sync && self.copies_in;
        if extended {
            let (step, own) = if shape == Shape::Sync && !holds_sync {
                (Step::Sync, &SYNC)
            } else {
                (Step::Flush, &FLUSH)
            };
            self.script.steps.push(step);
            match bytes {
                Some(bytes) if !holds_sync => self.wire.extend_from_slice(bytes),
                _ => self.wire.extend_from_slice(own),
            }
        }
        let run_set = &self.run_set;
        self.touched.retain(|(prepared, _)| !run_set.contains(prepared));
        let prepares_only = extended && self.runs.is_empty() && !self.touched.is_empty();
        if extended && !self.touched.is_empty() {
            self.facts.kind("prepare");
            for statement in self.touched.iter().flat_map(|(_, resolved)| &resolved.chain) {
                self.facts.count(statement, true);
            }
        }
        if prepares_only {
            self.plan_parts();
        }
        let wire = match bytes {
            Some(bytes) if !extended => bytes.clone(),
            _ => self.wire.freeze(),
        };
        Unit {
            wire,
            shape,
            operation: self.facts.finish(),
            script: self.script,
            prepares_only,
            runs: self.runs,
            prepared: self.touched.into_iter().map(|(prepared, _)| prepared).collect(),
            suspendable: self.suspendable,
            holds_sync,
            sent: Vec::new(),
        }
    }

    /// Gives each statement of a unit that runs none a part, so that descriptions can be planned.
    fn plan_parts(&mut self) {
        let mut parts = HashMap::new();
        for (n, (prepared, resolved)) in self.touched.iter().enumerate() {
            let (copy_in, copy_out) = copies(&resolved.statement);
            let statement = Arc::clone(&resolved.statement);
            self.facts.lineages.push(lineage(resolved));
            self.script.parts.push(Part { statement, copy_out, copy_in });
            parts.insert(Arc::as_ptr(prepared), n);
        }
        for (step, prepared) in &self.portals_described {
            if let Some(Step::DescribePortal { part, .. }) = self.script.steps.get_mut(*step) {
                *part = parts.get(&Arc::as_ptr(prepared)).copied();
            }
        }
    }

    /// Ends a unit that failed.
    pub(crate) fn give_up(self) -> (Why, Shown) {
        let statements: Vec<String> = self.texts.iter().map(text_of).collect();
        let parameters = vec![Vec::new(); statements.len()];
        let why = self.failed.unwrap_or(Why::Encoding);
        (why, Shown { statements, parameters, ..Shown::default() })
    }
}

/// A whole `Sync` message.
pub(crate) const SYNC: [u8; 5] = *b"S\0\0\0\x04";
/// A whole `Flush` message.
pub(crate) const FLUSH: [u8; 5] = *b"H\0\0\0\x04";

fn describe_portal(wire: &mut BytesMut, name: &[u8]) {
    // A name in use has at most MAX_NAME bytes.
    let length = u32::try_from(4 + 1 + name.len() + 1).unwrap_or(u32::MAX);
    wire.put_u8(b'D');
    wire.put_u32(length);
    wire.put_u8(b'P');
    wire.put_slice(name);
    wire.put_u8(0);
}

fn analyse(analyst: &dyn Analyst, text: &Bytes) -> Result<Arc<Analysis>, Why> {
    let text = std::str::from_utf8(text).map_err(|_| Why::Encoding)?;
    let analysis = analyst.analyse(text)?;
    match analysis.statements.iter().find_map(|s| s.unspoken) {
        Some(setting) => Err(Why::Unspoken { setting }),
        None => Ok(analysis),
    }
}

/// The statement, and what reading parameters of these types does.
pub(crate) fn with_code_of(
    types: &[u32],
    statement: Arc<Statement>,
    analyst: &dyn Analyst,
) -> Arc<Statement> {
    let code: Vec<Object> = types.iter().filter_map(|t| analyst.code_of_literals(*t)).collect();
    if code.is_empty() {
        return statement;
    }
    let mut statement = Arc::unwrap_or_clone(statement);
    statement.effects.extend(code.into_iter().map(|object| Effect {
        verb: Verb::Execute,
        object,
        extent: Extent::Unknown,
        certainty: Certainty::Assumed,
    }));
    let lineage = statement.lineage.as_deref().cloned().unwrap_or_default();
    statement.lineage = Some(Arc::new(Lineage { user_code: true, ..lineage }));
    Arc::new(statement)
}

fn short(name: &Bytes) -> Result<(), Why> {
    if name.len() > MAX_NAME { Err(Why::LongName) } else { Ok(()) }
}

fn why(unusable: Unusable, name: &[u8], unknown: impl Fn(String) -> Why) -> Why {
    let name = String::from_utf8_lossy(name).into_owned();
    match unusable {
        Unusable::Unknown => unknown(name),
        Unusable::Ambiguous => Why::Ambiguous { name },
        Unusable::TooLong => Why::LongName,
    }
}

fn copies(statement: &Statement) -> (bool, Option<CopyFormat>) {
    match &statement.copy {
        Some(Copy::In(_)) => (true, None),
        Some(Copy::Out(format)) => (false, Some(*format)),
        None => (false, None),
    }
}

/// Where the answer of a statement comes from. One that answers with no rows has no columns; if it
/// changes something, its error texts may still quote what it touched.
fn own_lineage(statement: &Statement) -> Arc<Lineage> {
    statement.lineage.clone().unwrap_or_else(|| {
        let harmless = |e: &Effect| matches!(e.verb, Verb::Read | Verb::Control);
        let user_code = !statement.effects.iter().all(harmless);
        Arc::new(Lineage { outputs: Some(Vec::new()), user_code, ..Lineage::default() })
    })
}

/// The lineage of what runs behind a change of definitions: what its names stand for, and so where
/// anything in it comes from, is not what was known when it was analysed. What it updates may have
/// partitions by now, from one of which rows go to another.
fn outdated(known: &Lineage, updates: bool) -> Lineage {
    let writes = updates
        || !known.sinks.is_empty()
        || !known.fills.is_empty()
        || !known.moves.is_empty()
        || known.makes.is_some();
    let decides = known.conditions != ColumnOrigin::default();
    let makes = known.makes.clone().map(|mut table| {
        table.columns = None;
        table
    });
    Lineage {
        sinks: if writes { vec![ColumnOrigin::Untraced] } else { Vec::new() },
        conditions: if decides { ColumnOrigin::Untraced } else { ColumnOrigin::default() },
        relations: known.relations.clone(),
        unresolved: true,
        user_code: true,
        makes,
        refills: known.refills.iter().map(|r| Refill { columns: None, ..r.clone() }).collect(),
        ..Lineage::default()
    }
}

/// The answer may come from anywhere.
fn untold() -> Arc<Lineage> {
    Arc::new(Lineage { unresolved: true, user_code: true, ..Lineage::default() })
}

/// A table made from what a prepared statement answers.
fn make_from(merged: &mut Lineage, table: &NewTable, outputs: Option<&[ColumnOrigin]>) {
    let untraced = |o: &ColumnOrigin| *o == ColumnOrigin::Untraced;
    if outputs.is_none_or(|all| all.iter().any(untraced)) {
        merged.sinks.push(ColumnOrigin::Untraced);
    }
    let column = |o: &ColumnOrigin| NewColumn { origin: o.clone(), plain: false };
    let columns = outputs.map(|all| all.iter().map(column).collect());
    merged.makes = Some(Box::new(NewTable { columns, ..table.clone() }));
}

/// Where the answer of a statement comes from once names are looked up.
fn lineage(resolved: &Resolved) -> Arc<Lineage> {
    if resolved.unusable.is_some() {
        let makes = |s: &Arc<Statement>| s.lineage.as_ref().and_then(|l| l.makes.clone());
        let makes = resolved.chain.iter().find_map(makes);
        // What reaches the new table may come from anywhere.
        let sinks = makes.iter().map(|_| ColumnOrigin::Untraced).collect();
        return Arc::new(Lineage { makes, sinks, ..Lineage::clone(&untold()) });
    }
    let inner = own_lineage(&resolved.statement);
    // EXECUTE and FETCH answer with the rows of what they name. Any other statement around a name
    // (EXPLAIN EXECUTE) has an answer of its own.
    let outer = resolved.chain.iter().rev().skip(1);
    let mut outer = outer.filter(|s| !matches!(&*s.kind, "execute" | "fetch" | "move"));
    let Some(own) = outer.find_map(|outer| outer.lineage.as_ref()) else { return inner };
    let untraced = |outputs: &Vec<ColumnOrigin>| vec![ColumnOrigin::Untraced; outputs.len()];
    let mut merged = (*inner).clone();
    merged.outputs = own.outputs.as_ref().map(untraced);
    merged.relations.extend_from_slice(&own.relations);
    merged.sinks.extend(own.sinks.iter().cloned());
    merged.conditions.add(&own.conditions);
    merged.user_code |= own.user_code;
    merged.unresolved |= own.unresolved;
    merged.missing |= own.missing;
    if let Some(table) = &own.makes {
        make_from(&mut merged, table, inner.outputs.as_deref());
    }
    Arc::new(merged)
}
