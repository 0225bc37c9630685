//! What a session's names stand for: prepared statements, portals and cursors. Consulted while a
//! unit is assembled, so that what a name would run is what is judged.
//!
//! *Architecture invariant:* state comes from the server's confirmations. A change is made when its
//! message is read, because the rest of the unit is judged in the light of it, and it is logged
//! with what it replaced. The target's answers then confirm the log or take it back; where they
//! leave open what happened, the name becomes *ambiguous* and stands for nothing until it is
//! prepared again. An entry the server has already dropped is harmless (its use is an error
//! there); one that means something else there is not, and that is what this module rules out.

use super::unit::{Analyst, with_code_of};
use bytes::Bytes;
use portcullis_core::effect::{ObjectKind, Verb};
use portcullis_sql::statement::{NameChange, Statement, TransactionChange, Unreadable};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

/// The longest name that is told apart: the server keys its tables by the first `NAMEDATALEN - 1`
/// bytes, so that two longer names may be one there.
pub const MAX_NAME: usize = 63;

/// A prepared statement, by either of its two ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Its text. Of one that a name can stand for it is the statement alone, whatever else it came
    /// with: what is analysed again, digested and shown is then what runs.
    pub text: Bytes,
    /// Its facts; those of [`empty_statement`] for an empty text.
    pub statement: Arc<Statement>,
    /// Parameter types given at `Parse`.
    pub types: Vec<u32>,
    /// True where SQL `PREPARE` made it.
    pub sql_level: bool,
    /// Which part of the text it is, in bytes: all of it but for a simple query of several statements.
    pub place: Range<usize>,
    /// The epoch of the analyst its facts are of. The server resolves a prepared statement's names
    /// again when the catalog or the search path has changed, and so must we.
    pub epoch: u64,
    /// By which reading of texts its literals became values ([`Names::reading`]).
    pub made: u64,
}

/// A portal or cursor, which share one table in the server: `FETCH` reads portals, and `Execute`
/// runs cursors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portal {
    /// Tells it from every other portal of the session, also of the same name.
    pub id: u64,
    /// The statement bound, or the query declared.
    pub prepared: Arc<Prepared>,
    /// What followed the names in `Bind`, exactly; empty for a cursor.
    pub values: Bytes,
    /// What an indirect statement (`EXECUTE`, `FETCH`) stood for when it was first executed.
    pub resolved: Option<Arc<Statement>>,
    /// True once the server has said it is suspended: `Execute` continues it.
    pub suspended: bool,
    /// True where it may outlive its transaction (`WITH HOLD`).
    holdable: bool,
    /// True once it has outlived one.
    carried: bool,
    /// True where it was made under a savepoint, so that `ROLLBACK TO` may end it.
    nested: bool,
    /// How many disturbing definitions the session had run by then.
    disturbances: u64,
    /// The settings that its parameters were read by, and all else that is worked out before it runs.
    made: u64,
    /// True where its statement was read by other settings than those.
    misread: bool,
    /// True where code of users may have put another of its name in its place, or the one of its
    /// statement.
    pub doubtful: bool,
}

/// What the session reads texts and runs statements by, as numbers: another one after whatever may
/// change it. A number comes back only where nothing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Settings {
    /// Those that decide what value a literal is.
    reading: u64,
    /// Any, and the role.
    all: u64,
    /// True where the end of the transaction may take changes of them back.
    open: bool,
    /// Likewise of those that decide on literals.
    open_reading: bool,
}

impl Settings {
    const fn change(&mut self, reading: bool) {
        self.all += 1;
        self.reading += reading as u64;
        self.open = true;
        self.open_reading |= reading;
    }

    /// A rollback, the end of `SET LOCAL`: they may be again what they were.
    const fn fall_back(&mut self) {
        self.all += self.open as u64;
        self.reading += self.open_reading as u64;
    }
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Slot<T> {
    Known(T),
    Ambiguous,
}

/// A name cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// Nothing has that name.
    Unknown,
    /// What it stands for cannot be known any more.
    Ambiguous,
    /// Too long to be told apart from others.
    TooLong,
}

/// No more names, or bytes behind them, can be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// Of what.
    pub what: &'static str,
    /// How many.
    pub limit: usize,
}

trait Weight {
    fn weight(&self) -> usize;
}

impl Weight for Arc<Prepared> {
    fn weight(&self) -> usize {
        self.text.len() + self.types.len() * 4 + self.statement.kept_bytes()
    }
}

impl Weight for Arc<Portal> {
    fn weight(&self) -> usize {
        // That of the statement too: it may be kept by nothing else.
        self.values.len() + self.prepared.weight()
    }
}

/// A table of names that knows how much it holds.
#[derive(Debug)]
struct Table<T> {
    unnamed: Option<Slot<T>>,
    named: HashMap<Bytes, Slot<T>>,
    weight: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { unnamed: None, named: HashMap::new(), weight: 0 }
    }
}

impl<T: Weight> Table<T> {
    fn get(&self, name: &[u8]) -> Option<&Slot<T>> {
        if name.is_empty() { self.unnamed.as_ref() } else { self.named.get(name) }
    }

    fn put(&mut self, name: &Bytes, slot: Option<Slot<T>>) -> Option<Slot<T>> {
        if name.is_empty() {
            return std::mem::replace(&mut self.unnamed, slot);
        }
        let weigh = |slot: &Option<Slot<T>>| match slot {
            Some(Slot::Known(value)) => name.len() + value.weight(),
            Some(Slot::Ambiguous) => name.len(),
            None => 0,
        };
        let added = weigh(&slot);
        let prior = match slot {
            Some(slot) => self.named.insert(name.clone(), slot),
            None => self.named.remove(name),
        };
        self.weight = (self.weight + added).saturating_sub(weigh(&prior));
        prior
    }

    /// The same names, standing for nothing.
    fn blurred(&self) -> Self {
        let named = self.named.keys().map(|name| (name.clone(), Slot::Ambiguous)).collect();
        let weight = self.named.keys().map(Bytes::len).sum();
        Self { unnamed: self.unnamed.as_ref().map(|_| Slot::Ambiguous), named, weight }
    }

    /// Takes a change of one name back. Where it cannot be told whether it happened, a name that
    /// stood for something is ambiguous; one that did not stands for nothing either way.
    fn restore(&mut self, name: &Bytes, prior: Option<Slot<T>>, blur: bool) {
        let slot = if blur { prior.map(|_| Slot::Ambiguous) } else { prior };
        self.put(name, slot);
    }
}

/// Which message and which statement of a unit a change belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Index of the step in the unit's script.
    pub step: usize,
    /// Index of the part, where a statement made the change.
    pub part: Option<usize>,
}

/// What becomes of a change whose message failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnFailure {
    /// It can be told that nothing happened.
    Revert,
    /// It cannot be told.
    Blur,
    /// It happened all the same.
    Stay,
}

#[derive(Debug)]
enum Undo {
    Statement(Bytes, Option<Slot<Arc<Prepared>>>),
    Portal(Bytes, Option<Slot<Arc<Portal>>>),
    Statements(Table<Arc<Prepared>>),
    Portals(Table<Arc<Portal>>),
}

#[derive(Debug)]
struct Logged {
    origin: Origin,
    on_failure: OnFailure,
    undo: Undo,
}

/// Whether something may have changed how texts are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Respoken {
    /// Nothing.
    No,
    /// What was read or planned, which runs what claims to be immutable.
    Planned,
    /// What was run.
    Run,
}

/// The names of one session.
#[derive(Debug)]
pub struct Names {
    statements: Table<Arc<Prepared>>,
    portals: Table<Arc<Portal>>,
    /// What names that code of users left ambiguous were prepared for by the protocol, which no
    /// code in the server can do: they stand for it, or for nothing of the protocol's any more.
    doubtful: HashMap<Bytes, Arc<Prepared>>,
    /// True where code of users ran in the transaction: some of it may run as late as its end. And
    /// where the target has heard of that code.
    code_ran: bool,
    code_heard: bool,
    /// Changes not confirmed yet, in order.
    log: Vec<Logged>,
    /// True from the first savepoint to the end of the transaction.
    nested: bool,
    next_portal: u64,
    /// Definitions of the session's own by which known names may do something else
    /// ([`Statement::disturbs`]): all so far, and those of which the target has heard.
    disturbances: u64,
    heard: u64,
    /// Those there were when the transaction began.
    began: u64,
    /// Whether texts may be read otherwise, until the target says how
    /// ([`Statement::respeaks`]): by all so far, and by what it has heard.
    respoken: Respoken,
    heard_respoken: Respoken,
    /// By all that was read, and by what the target has heard.
    settings: Settings,
    settings_heard: Settings,
    max_names: usize,
    max_bytes: usize,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// The statement, with the types of its parameters.
    pub prepared: Arc<Prepared>,
    /// The parameters bound to it, as they came; empty where none are yet.
    pub values: Bytes,
}

/// What a statement does once names in it are looked up.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The statement that answers: its own or the one behind the name.
    pub statement: Arc<Statement>,
    /// Every statement whose effects it has, outermost first; the last one is `statement`.
    pub chain: SmallVec<[Arc<Statement>; 2]>,
    /// What stands behind the names, outermost first.
    pub behind: SmallVec<[Behind; 1]>,
    /// The name that could not be looked up, if any.
    pub unusable: Option<(Box<str>, Unusable)>,
    /// True where it goes on with a portal or cursor that was made before definitions by which names in
    /// it may do something else by now.
    pub older: bool,
    /// True where texts or parameters behind the names were read by other settings than those there are.
    pub misread: bool,
    /// True where it goes on with a portal or cursor in whose place code of users may have put another:
    /// its rows may come from anywhere. What it does is nothing that the code could not do by itself.
    pub doubtful: bool,
}

/// How many names may stand for names.
const MAX_DEPTH: usize = 8;

/// The facts of an empty text.
#[must_use]
pub fn empty_statement() -> Arc<Statement> {
    static EMPTY: LazyLock<Arc<Statement>> = LazyLock::new(|| {
        Arc::new(Statement {
            kind: "empty".into(),
            effects: SmallVec::new(),
            lineage: None,
            names: NameChange::None,
            transaction: TransactionChange::None,
            written: Arc::default(),
            copy: None,
            unspoken: None,
            respeaks: false,
            rereads: false,
            goes_by: None,
            disturbs: false,
        })
    });
    Arc::clone(&EMPTY)
}

impl Names {
    /// No names, with these bounds on each kind.
    #[must_use]
    pub fn new(max_names: usize, max_bytes: usize) -> Self {
        Self {
            statements: Table::default(),
            portals: Table::default(),
            doubtful: HashMap::new(),
            code_ran: false,
            code_heard: false,
            log: Vec::new(),
            nested: false,
            next_portal: 0,
            disturbances: 0,
            heard: 0,
            began: 0,
            respoken: Respoken::No,
            heard_respoken: Respoken::No,
            settings: Settings::default(),
            settings_heard: Settings::default(),
            max_names,
            max_bytes,
        }
    }

    /// Bytes of texts and parameters kept behind names.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.statements.weight + self.portals.weight + self.doubtful_weight()
    }

    fn doubtful_weight(&self) -> usize {
        self.doubtful.values().map(Weight::weight).sum()
    }

    /// The prepared statement of that name.
    ///
    /// # Errors
    /// [`Unusable`] where there is none that is known.
    pub fn statement(&self, name: &[u8]) -> Result<&Arc<Prepared>, Unusable> {
        known(self.statements.get(name), name)
    }

    /// The prepared statement of that name for `Bind`, and whether code of users may have put another
    /// in its place since, which is one of SQL's own: a query, or a change of rows.
    ///
    /// # Errors
    /// [`Unusable`] where there is none that is known.
    pub fn to_bind(&self, name: &[u8]) -> Result<(&Arc<Prepared>, bool), Unusable> {
        match (self.statement(name), self.doubtful.get(name)) {
            (Err(Unusable::Ambiguous), Some(doubtful)) => Ok((doubtful, true)),
            (found, _) => found.map(|found| (found, false)),
        }
    }

    /// The portal or cursor of that name.
    ///
    /// # Errors
    /// [`Unusable`] where there is none that is known.
    pub fn portal(&self, name: &[u8]) -> Result<&Arc<Portal>, Unusable> {
        known(self.portals.get(name), name)
    }

    /// By which settings literals become values from here on, as a number.
    #[must_use]
    pub const fn reading(&self) -> u64 {
        self.settings.reading
    }

    /// True where literals of a statement may have become other values than they would now. The server
    /// reads them when it is prepared (`transformStmt`), and once more when definitions change.
    #[must_use]
    pub fn is_misread(&self, prepared: &Prepared) -> bool {
        prepared.made != self.settings.reading && depends_on_reading(prepared)
    }

    /// Likewise of a portal: its parameters were read when it was bound.
    #[must_use]
    pub fn is_misbound(&self, portal: &Portal) -> bool {
        portal.misread || portal.made != self.settings.all
    }

    /// Analyses a prepared statement again where its facts may have changed since it was prepared.
    ///
    /// # Errors
    /// [`Unreadable`] where the analyst cannot read it any more.
    pub fn freshen(&mut self, name: &[u8], analyst: &dyn Analyst) -> Result<(), Unreadable> {
        let epoch = analyst.epoch();
        let Ok((stale, doubtful)) = self.to_bind(name) else { return Ok(()) };
        if stale.epoch == epoch {
            return Ok(());
        }
        let text = std::str::from_utf8(&stale.text).map_err(|_| Unreadable::Encoding)?;
        let analysis = analyst.analyse(text)?;
        let statement = analysis.statements.first();
        let statement = match statement.map(|found| (found, &found.names)) {
            Some((_, NameChange::Prepare { inner, .. })) if stale.sql_level => Arc::clone(inner),
            Some((found, _)) if !stale.sql_level => Arc::new(found.clone()),
            None if !stale.sql_level => empty_statement(),
            _ => return Err(Unreadable::Encoding),
        };
        let statement = with_code_of(&stale.types, statement, analyst);
        let fresh = Prepared { statement, epoch, ..Prepared::clone(stale) };
        // Not a change of what the name stands for, so there is nothing to take back.
        let (name, fresh) = (Bytes::copy_from_slice(name), Arc::new(fresh));
        if doubtful {
            self.doubtful.insert(name, fresh);
        } else {
            self.statements.put(&name, Some(Slot::Known(fresh)));
        }
        Ok(())
    }

    /// [`Names::freshen`] for the names a statement looks up.
    ///
    /// # Errors
    /// [`Unreadable`] as there.
    pub fn freshen_behind(
        &mut self,
        statement: &Arc<Statement>,
        analyst: &dyn Analyst,
    ) -> Result<(), Unreadable> {
        let mut statement = Arc::clone(statement);
        for _ in 0..MAX_DEPTH {
            let NameChange::Execute { name } = &statement.names else { break };
            self.freshen(name.as_bytes(), analyst)?;
            let Ok(prepared) = self.statement(name.as_bytes()) else { break };
            let inner = Arc::clone(&prepared.statement);
            statement = inner;
        }
        Ok(())
    }

    /// True where the target can tell what code of users has left of prepared statements.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        !self.doubtful.is_empty()
    }

    /// True where it can tell that of this one.
    #[must_use]
    pub fn doubts(&self, name: &[u8]) -> bool {
        self.doubtful.contains_key(name)
    }

    /// What the target has of statements prepared by the protocol, by name and text, at a time when
    /// nothing is under way.
    pub fn settle_prepared<'a>(&mut self, there: impl Iterator<Item = (&'a str, &'a str)>) {
        let there: HashMap<&[u8], &str> = there.map(|(n, t)| (n.as_bytes(), t)).collect();
        for (name, prepared) in std::mem::take(&mut self.doubtful) {
            if !matches!(self.statements.get(&name), Some(Slot::Ambiguous)) {
                continue;
            }
            match there.get(&*name) {
                Some(text) if text.as_bytes() == prepared.text => {
                    self.statements.put(&name, Some(Slot::Known(prepared)));
                }
                // There may be another one, of SQL's own.
                _ => {}
            }
        }
    }

    /// `Parse`, or SQL `PREPARE`.
    ///
    /// # Errors
    /// [`Full`].
    pub fn prepare(&mut self, name: &Bytes, new: Prepared, at: Origin) -> Result<(), Full> {
        let new = Arc::new(new);
        let weight = || self.statements.weight + self.doubtful_weight() + new.weight();
        self.room(name, self.statements.named.len(), weight, "prepared statements")?;
        // A name in use makes `Parse` and `PREPARE` fail without touching it; the unnamed statement
        // is dropped first (exec_parse_message). Of a name that was free it cannot be told whether
        // the error came before or after it was stored.
        let taken = matches!(self.statements.get(name), Some(Slot::Known(_)));
        let on_failure =
            if taken && !name.is_empty() { OnFailure::Revert } else { OnFailure::Blur };
        self.put_statement(name, Some(Slot::Known(new)), at, on_failure);
        Ok(())
    }

    /// `Bind`. The values are kept as they are for the unnamed portal, and copied for another, so
    /// that a long-lived portal does not keep the buffer it came in.
    ///
    /// # Errors
    /// [`Full`].
    pub fn bind(
        &mut self,
        name: &Bytes,
        (prepared, doubtful): (Arc<Prepared>, bool),
        values: &Bytes,
        at: Origin,
    ) -> Result<(), Full> {
        // It is planned, which runs what claims to be immutable.
        if runs_code(&prepared.statement) {
            self.ran_code(at);
        }
        let weight = || self.portals.weight + values.len() + prepared.weight();
        self.room(name, self.portals.named.len(), weight, "portals")?;
        let values = if name.is_empty() { values.clone() } else { Bytes::copy_from_slice(values) };
        let portal = Portal { doubtful, ..self.new_portal(prepared, values, false) };
        self.put_portal(name, Some(Slot::Known(Arc::new(portal))), at, OnFailure::Blur);
        Ok(())
    }

    /// `Close` of a statement, which is no error where there is none.
    pub fn close_statement(&mut self, name: &Bytes, at: Origin) {
        if self.statements.get(name).is_some() {
            self.put_statement(name, None, at, OnFailure::Blur);
        }
    }

    /// `Close` of a portal, which is no error where there is none.
    pub fn close_portal(&mut self, name: &Bytes, at: Origin) {
        if self.portals.get(name).is_some() {
            self.put_portal(name, None, at, OnFailure::Blur);
        }
    }

    /// A simple `Query` drops the unnamed statement before anything else (exec_simple_query), and
    /// uses the unnamed portal for each of its statements.
    pub fn begin_query(&mut self, step: usize) {
        let at = Origin { step, part: None };
        if self.statements.unnamed.is_some() {
            self.put_statement(&Bytes::new(), None, at, OnFailure::Stay);
        }
        if self.portals.unnamed.is_some() {
            self.put_portal(&Bytes::new(), None, at, OnFailure::Stay);
        }
    }

    /// What a portal's indirect statement stood for when it was executed.
    pub fn remember(&mut self, name: &Bytes, resolved: &Arc<Statement>, at: Origin) {
        if let Ok(portal) = self.portal(name) {
            let portal = Portal { resolved: Some(Arc::clone(resolved)), ..(**portal).clone() };
            self.put_portal(name, Some(Slot::Known(Arc::new(portal))), at, OnFailure::Blur);
        }
    }

    /// The server has said that the portal is suspended, or that it is not. `id` is that of the
    /// portal executed: by now the name may be bound to another one, which has not started.
    pub fn set_suspended(&mut self, name: &Bytes, id: u64, suspended: bool) {
        if let Ok(portal) = self.portal(name)
            && portal.id == id
            && portal.suspended != suspended
        {
            let portal = Portal { suspended, ..(**portal).clone() };
            self.portals.put(name, Some(Slot::Known(Arc::new(portal))));
        }
    }

    /// Looks up the names in a statement, through names that stand for names.
    #[must_use]
    pub fn resolve(&self, statement: &Arc<Statement>) -> Resolved {
        let mut resolved = Resolved {
            statement: Arc::clone(statement),
            chain: SmallVec::from_iter([Arc::clone(statement)]),
            behind: SmallVec::new(),
            unusable: None,
            older: false,
            misread: false,
            doubtful: false,
        };
        for depth in 0.. {
            let (name, found) = match &resolved.statement.names {
                NameChange::Execute { name } => {
                    let prepared = self.statement(name.as_bytes());
                    resolved.misread |= prepared.is_ok_and(|prepared| self.is_misread(prepared));
                    (name, self.inner_of_statement(name))
                }
                NameChange::Fetch { name } => {
                    let portal = self.portal(name.as_bytes());
                    resolved.older |= portal.is_ok_and(|portal| self.is_older(portal));
                    resolved.misread |= portal.is_ok_and(|portal| self.is_misbound(portal));
                    resolved.doubtful |= portal.is_ok_and(|portal| portal.doubtful);
                    (name, self.inner_of_portal(name))
                }
                _ => break,
            };
            let found = if depth < MAX_DEPTH { found } else { Err(Unusable::Ambiguous) };
            match found {
                Ok((inner, behind)) => {
                    resolved.behind.push(behind);
                    resolved.chain.push(Arc::clone(&inner));
                    resolved.statement = inner;
                }
                Err(why) => {
                    resolved.unusable = Some((name.clone(), why));
                    break;
                }
            }
        }
        resolved
    }

    /// Applies what an executed statement does to names and transaction. `from` is what it came in;
    /// `aborted` is true where the transaction has failed, so that `COMMIT` rolls back.
    ///
    /// # Errors
    /// [`Full`].
    pub fn apply(
        &mut self,
        statement: &Statement,
        from: &Prepared,
        aborted: bool,
        at: Origin,
    ) -> Result<(), Full> {
        // Where it plans a query, it does so before it keeps it.
        let ends = matches!(statement.transaction, TransactionChange::Commit)
            || statement.kind.starts_with("set constraints");
        if runs_code(statement) || self.code_ran && ends {
            self.ran_code(at);
        }
        self.apply_names(statement, from, at)?;
        if let Some(reading) = changes_settings(statement) {
            self.settings.change(reading);
        }
        match statement.transaction {
            TransactionChange::Commit => self.leave_transaction(aborted, Some(at)),
            TransactionChange::Rollback => self.leave_transaction(true, Some(at)),
            TransactionChange::Savepoint => {
                self.nested = true;
                if !matches!(&*statement.kind, "savepoint" | "release" | "release savepoint") {
                    self.settings.fall_back();
                    self.blur_portals(at, |portal| portal.nested);
                }
            }
            TransactionChange::None | TransactionChange::Begin => {}
        }
        if &*statement.kind == "do" {
            self.blur_portals(at, |_| true);
        }
        Ok(())
    }

    /// More rows are fetched of a portal whose statement has started.
    pub fn proceed(&mut self, statement: &Statement, at: Origin) {
        if runs_code(statement) {
            self.ran_code(at);
        }
    }

    /// Code of users runs, which can prepare, deallocate, open and close by any name, whether or not
    /// it fails then.
    fn ran_code(&mut self, at: Origin) {
        self.code_ran = true;
        self.doubt(Some(at));
    }

    fn doubt(&mut self, at: Option<Origin>) {
        if self.statements.named.values().any(|slot| matches!(slot, Slot::Known(_))) {
            let protocol = |slot: &Slot<Arc<Prepared>>| match slot {
                Slot::Known(prepared) if !prepared.sql_level => Some(Arc::clone(prepared)),
                _ => None,
            };
            let named = self.statements.named.iter();
            self.doubtful.extend(named.filter_map(|(n, slot)| Some((n.clone(), protocol(slot)?))));
            // The unnamed one is the protocol's own.
            let unnamed = self.statements.unnamed.clone();
            let doubted = Table { unnamed, ..self.statements.blurred() };
            let prior = std::mem::replace(&mut self.statements, doubted);
            if let Some(at) = at {
                self.log(at, OnFailure::Stay, Undo::Statements(prior));
            }
        }
        let all = self.portals.named.iter().map(|(name, slot)| (name.clone(), slot));
        let unnamed = self.portals.unnamed.iter().map(|slot| (Bytes::new(), slot));
        let known = all.chain(unnamed).filter_map(|(name, slot)| match slot {
            Slot::Known(portal) if portal.carried => Some((name, Slot::Ambiguous)),
            Slot::Known(portal) if !portal.doubtful => {
                let portal = Portal { doubtful: true, ..(**portal).clone() };
                Some((name, Slot::Known(Arc::new(portal))))
            }
            Slot::Known(_) | Slot::Ambiguous => None,
        });
        let doubted: SmallVec<[_; 2]> = known.collect();
        for (name, slot) in doubted {
            match at {
                Some(at) => self.put_portal(&name, Some(slot), at, OnFailure::Stay),
                None => drop(self.portals.put(&name, Some(slot))),
            }
        }
    }

    /// Portals that run: the server lets no code close them meanwhile.
    #[must_use]
    pub fn running<'a>(
        &self,
        names: impl Iterator<Item = &'a [u8]>,
    ) -> SmallVec<[(Bytes, Arc<Portal>); 1]> {
        let portals = names.filter_map(|name| Some((name, self.portal(name).ok()?)));
        portals.map(|(name, p)| (Bytes::copy_from_slice(name), Arc::clone(p))).collect()
    }

    /// These have run: they are what they were.
    pub fn have_run(&mut self, portals: SmallVec<[(Bytes, Arc<Portal>); 1]>) {
        for (name, portal) in portals {
            let found = self.portal(&name);
            if found.is_ok_and(|found| found.id == portal.id && found.doubtful != portal.doubtful) {
                self.portals.put(&name, Some(Slot::Known(portal)));
            }
        }
    }

    fn apply_names(
        &mut self,
        statement: &Statement,
        from: &Prepared,
        at: Origin,
    ) -> Result<(), Full> {
        match &statement.names {
            NameChange::None | NameChange::Execute { .. } | NameChange::Fetch { .. } => {}
            NameChange::Prepare { name, inner } => {
                let (name, cut) = sql_name(name);
                let new = sql_prepared(from, inner, self.settings.reading)?;
                self.prepare(&name, new, at)?;
                if cut {
                    self.put_statement(&name, Some(Slot::Ambiguous), at, OnFailure::Blur);
                }
            }
            NameChange::Declare { name, inner } => {
                let (name, cut) = sql_name(name);
                let reading = self.settings.reading;
                let prepared = Arc::new(sql_prepared(from, inner, reading)?);
                let weight = || self.portals.weight + prepared.weight();
                self.room(&name, self.portals.named.len(), weight, "cursors")?;
                // Without the word nowhere in the text it cannot be a cursor WITH HOLD.
                let holdable = from.text.windows(4).any(|word| word.eq_ignore_ascii_case(b"hold"));
                let portal = Arc::new(self.new_portal(prepared, Bytes::new(), holdable));
                let slot = if cut { Slot::Ambiguous } else { Slot::Known(portal) };
                self.put_portal(&name, Some(slot), at, OnFailure::Blur);
            }
            NameChange::Deallocate { name: Some(name) } => {
                self.close_statement(&sql_name(name).0, at);
            }
            NameChange::CloseCursor { name: Some(name) } => {
                self.close_portal(&sql_name(name).0, at);
            }
            NameChange::Deallocate { name: None } => self.drop_statements(at),
            NameChange::CloseCursor { name: None } => self.drop_portals(at),
            NameChange::DiscardAll => {
                self.drop_statements(at);
                self.drop_portals(at);
            }
        }
        Ok(())
    }

    /// The end of a transaction, as the server has said it (ReadyForQuery `I`).
    pub fn transaction_ended(&mut self, rolled_back: bool) {
        self.settings_left();
        self.settings_heard = self.settings;
        self.code_heard = false;
        if std::mem::take(&mut self.code_ran) {
            self.doubt(None);
        }
        if self.portals.unnamed.is_some() || !self.portals.named.is_empty() {
            self.leave_transaction(rolled_back, None);
        }
        // What portals are made by is known from here on, also where there are none to end.
        self.began = self.disturbances;
        self.nested = false;
    }

    /// Everything so far has happened.
    pub fn confirm(&mut self) {
        self.log.clear();
    }

    /// Nothing of what is not confirmed was ever sent.
    pub fn revert(&mut self) {
        self.disturbances = self.heard;
        self.respoken = self.heard_respoken;
        self.settings = self.settings_heard;
        self.code_ran = self.code_heard;
        while let Some(logged) = self.log.pop() {
            self.undo(logged.undo, false);
        }
    }

    /// Takes note of a definition by which known names may do something else.
    pub const fn disturb(&mut self) {
        self.disturbances += 1;
    }

    /// The target has what was sent to it.
    pub const fn was_heard(&mut self) {
        self.heard = self.disturbances;
        self.heard_respoken = self.respoken;
        self.settings_heard = self.settings;
        self.code_heard = self.code_ran;
    }

    /// Takes note of what may change settings by which texts are read.
    pub fn respeak(&mut self, how: Respoken) {
        self.respoken = self.respoken.max(how);
    }

    /// The target is ready for more, and has told what such settings are: before that it tells
    /// nothing of them from PostgreSQL 14 on (`ReportChangedGUCOptions`).
    pub const fn reported(&mut self) {
        (self.respoken, self.heard_respoken) = (Respoken::No, Respoken::No);
    }

    /// Whether the target may read the next text otherwise than this gateway does.
    #[must_use]
    pub const fn respoken(&self) -> Respoken {
        self.respoken
    }

    /// True for a portal that was made before such a definition.
    #[must_use]
    pub const fn is_older(&self, portal: &Portal) -> bool {
        !portal.carried && portal.disturbances != self.disturbances
    }

    /// True where such a one would be run to its end at the end of the transaction.
    #[must_use]
    pub fn holds_older(&self) -> bool {
        let mut all = self.portals.named.values().chain(&self.portals.unnamed);
        all.any(|slot| match slot {
            Slot::Known(portal) => portal.holdable && self.is_older(portal),
            // It may be one.
            Slot::Ambiguous => self.disturbances != self.began,
        })
    }

    /// The unnamed statement is taken not to be there. To be called with nothing unconfirmed.
    pub fn forget_unnamed(&mut self) {
        self.statements.unnamed = None;
    }

    /// The message at `failed` was answered with an error: what follows it never ran. `parts` is
    /// how many parts were completed before it.
    pub fn fail(&mut self, failed: usize, parts: usize) {
        let happened = |at: Origin| {
            at.step < failed || at.step == failed && at.part.is_some_and(|part| part < parts)
        };
        let skipped = |at: Origin| {
            at.step > failed || at.step == failed && at.part.is_some_and(|part| part > parts)
        };
        while let Some(logged) = self.log.pop_if(|logged| !happened(logged.origin)) {
            match logged.on_failure {
                _ if skipped(logged.origin) => self.undo(logged.undo, false),
                OnFailure::Revert => self.undo(logged.undo, false),
                OnFailure::Blur => self.undo(logged.undo, true),
                OnFailure::Stay => {}
            }
        }
        self.log.clear();
    }

    fn undo(&mut self, undo: Undo, blur: bool) {
        match undo {
            Undo::Statement(name, prior) => {
                self.statements.restore(&name, prior, blur);
            }
            Undo::Portal(name, prior) => self.portals.restore(&name, prior, blur),
            Undo::Statements(prior) => {
                self.statements = if blur { prior.blurred() } else { prior };
            }
            Undo::Portals(prior) => self.portals = if blur { prior.blurred() } else { prior },
        }
    }

    fn log(&mut self, origin: Origin, on_failure: OnFailure, undo: Undo) {
        self.log.push(Logged { origin, on_failure, undo });
    }

    fn put_statement(
        &mut self,
        name: &Bytes,
        slot: Option<Slot<Arc<Prepared>>>,
        at: Origin,
        on_failure: OnFailure,
    ) {
        let name = Bytes::copy_from_slice(name);
        self.doubtful.remove(&name);
        let prior = self.statements.put(&name, slot);
        self.log(at, on_failure, Undo::Statement(name, prior));
    }

    fn put_portal(
        &mut self,
        name: &Bytes,
        slot: Option<Slot<Arc<Portal>>>,
        at: Origin,
        on_failure: OnFailure,
    ) {
        let name = Bytes::copy_from_slice(name);
        let prior = self.portals.put(&name, slot);
        self.log(at, on_failure, Undo::Portal(name, prior));
    }

    fn drop_statements(&mut self, at: Origin) {
        // The unnamed statement is in no table of the server and stays.
        let unnamed = self.statements.unnamed.clone();
        let kept = Table { unnamed, ..Table::default() };
        let prior = std::mem::replace(&mut self.statements, kept);
        self.log(at, OnFailure::Blur, Undo::Statements(prior));
    }

    fn drop_portals(&mut self, at: Origin) {
        let prior = std::mem::take(&mut self.portals);
        self.log(at, OnFailure::Blur, Undo::Portals(prior));
    }

    /// Portals end with their transaction, but for cursors WITH HOLD: those made in it are kept by
    /// a commit and ended by a rollback.
    fn leave_transaction(&mut self, rolled_back: bool, at: Option<Origin>) {
        self.settings_left();
        self.began = self.disturbances;
        let mut kept = Table::default();
        for (name, slot) in &self.portals.named {
            if let Slot::Known(p) = slot
                && p.holdable
                && (p.carried || !rolled_back)
            {
                let portal = Portal { carried: true, nested: false, ..(**p).clone() };
                kept.put(name, Some(Slot::Known(Arc::new(portal))));
            }
        }
        let prior = std::mem::replace(&mut self.portals, kept);
        if let Some(at) = at {
            self.log(at, OnFailure::Blur, Undo::Portals(prior));
        }
        self.nested = false;
    }

    fn settings_left(&mut self) {
        self.settings.fall_back();
        (self.settings.open, self.settings.open_reading) = (false, false);
    }

    fn blur_portals(&mut self, at: Origin, which: impl Fn(&Portal) -> bool) {
        let hit = |slot: &Slot<Arc<Portal>>| matches!(slot, Slot::Known(p) if which(p));
        let named = self.portals.named.iter().filter(|(_, slot)| hit(slot)).map(|(name, _)| name);
        let mut names: Vec<Bytes> = named.cloned().collect();
        if self.portals.unnamed.as_ref().is_some_and(hit) {
            names.push(Bytes::new());
        }
        for name in names {
            self.put_portal(&name, Some(Slot::Ambiguous), at, OnFailure::Blur);
        }
    }

    fn new_portal(&mut self, prepared: Arc<Prepared>, values: Bytes, holdable: bool) -> Portal {
        let nested = self.nested;
        let misread = self.is_misread(&prepared);
        self.next_portal += 1;
        Portal {
            id: self.next_portal,
            prepared,
            values,
            resolved: None,
            suspended: false,
            holdable,
            carried: false,
            nested,
            disturbances: self.disturbances,
            made: self.settings.all,
            misread,
            doubtful: false,
        }
    }

    /// `weight` is of all named ones with the new one; an unnamed one has none.
    fn room(
        &self,
        name: &Bytes,
        count: usize,
        weight: impl FnOnce() -> usize,
        what: &'static str,
    ) -> Result<(), Full> {
        if name.is_empty() {
            return Ok(());
        }
        if count >= self.max_names {
            return Err(Full { what, limit: self.max_names });
        }
        if weight() > self.max_bytes {
            return Err(Full { what: "bytes kept behind names", limit: self.max_bytes });
        }
        Ok(())
    }

    fn inner_of_statement(&self, name: &str) -> Result<(Arc<Statement>, Behind), Unusable> {
        let prepared = self.statement(name.as_bytes())?;
        let behind = Behind { prepared: Arc::clone(prepared), values: Bytes::new() };
        Ok((Arc::clone(&prepared.statement), behind))
    }

    fn inner_of_portal(&self, name: &str) -> Result<(Arc<Statement>, Behind), Unusable> {
        let portal = self.portal(name.as_bytes())?;
        let inner = portal.resolved.as_ref().unwrap_or(&portal.prepared.statement);
        let behind =
            Behind { prepared: Arc::clone(&portal.prepared), values: portal.values.clone() };
        Ok((Arc::clone(inner), behind))
    }
}

/// True where what a statement does may hang on the settings by which it was read: it has a literal,
/// `= NULL` may be `IS NULL` (`transform_null_equals`), or a function in SQL is written out in it, whose
/// text may have one.
fn depends_on_reading(prepared: &Prepared) -> bool {
    let text = &prepared.text;
    let after = text.iter().skip(1).chain(&b" "[..]);
    let quotes = |(at, next): (&u8, &u8)| *at == b'\'' || *at == b'$' && !next.is_ascii_digit();
    text.iter().zip(after).any(quotes)
        || text.windows(4).any(|word| word.eq_ignore_ascii_case(b"null"))
        || prepared.statement.effects.iter().any(|e| e.object.kind == ObjectKind::Routine)
}

/// Whether a statement may change settings, and if so whether those by which literals are read.
fn changes_settings(statement: &Statement) -> Option<bool> {
    let mut changes = None;
    for effect in &statement.effects {
        let reading = match (effect.verb, effect.object.kind, effect.object.path.as_slice()) {
            (Verb::Control, ObjectKind::Setting, [name]) => may_decide_on_reading(name),
            (Verb::Control, ObjectKind::Role, _) => false,
            (Verb::Control, ObjectKind::Setting, _) | (Verb::Execute | Verb::Unknown, ..) => true,
            _ => continue,
        };
        changes = changes.max(Some(reading));
    }
    changes
}

/// True for a setting that may decide what value a literal is: any but those of which it is known that
/// they do not. What hangs on the search path is read again when that has changed
/// (`RevalidateCachedQuery`, PostgreSQL `src/backend/utils/cache/plancache.c`).
fn may_decide_on_reading(name: &str) -> bool {
    const OTHERWISE: [&str; 16] = [
        "application_name",
        "bytea_output",
        "client_min_messages",
        "commit_delay",
        "extra_float_digits",
        "jit",
        "plan_cache_mode",
        "quote_all_identifiers",
        "role",
        "row_security",
        "search_path",
        "session_authorization",
        "session_replication_role",
        "synchronous_commit",
        "temp_buffers",
        "work_mem",
    ];
    const FAMILIES: [&str; 5] =
        ["default_transaction_", "enable_", "log_", "max_parallel_", "transaction_"];
    // Of an extension or an application.
    let others = name.contains('.') || name.ends_with("_timeout");
    let family = FAMILIES.iter().any(|start| name.starts_with(start));
    !(others || family || OTHERWISE.contains(&name))
}

/// True where a statement runs code whose doings are not listed.
fn runs_code(statement: &Statement) -> bool {
    let declared = match &statement.names {
        NameChange::Declare { inner, .. } => inner.effects.as_slice(),
        _ => &[],
    };
    let mut all = statement.effects.iter().chain(declared);
    &*statement.kind == "do" || all.any(|e| matches!(e.verb, Verb::Execute | Verb::Unknown))
}

fn known<'a, T>(slot: Option<&'a Slot<T>>, name: &[u8]) -> Result<&'a T, Unusable> {
    match slot {
        _ if name.len() > MAX_NAME => Err(Unusable::TooLong),
        Some(Slot::Known(value)) => Ok(value),
        Some(Slot::Ambiguous) => Err(Unusable::Ambiguous),
        None => Err(Unusable::Unknown),
    }
}

/// What `PREPARE` or `DECLARE` leaves behind a name: of the text that it came in, the statement alone.
fn sql_prepared(from: &Prepared, inner: &Arc<Statement>, made: u64) -> Result<Prepared, Full> {
    // The parser places statements within their text.
    let own = from.text.get(from.place.clone());
    let own = own.ok_or(Full { what: "bytes in a statement", limit: from.text.len() })?;
    Ok(Prepared {
        text: Bytes::copy_from_slice(own.trim_ascii()),
        statement: Arc::clone(inner),
        types: Vec::new(),
        sql_level: true,
        place: 0..own.trim_ascii().len(),
        epoch: from.epoch,
        made,
    })
}

/// The key of an SQL name, and whether it had to be cut as the server cuts identifiers.
fn sql_name(name: &str) -> (Bytes, bool) {
    let cut = name.len() > MAX_NAME;
    let end = (0..=MAX_NAME.min(name.len())).rev().find(|at| name.is_char_boundary(*at));
    let name = name.get(..end.unwrap_or(0)).unwrap_or(name);
    (Bytes::copy_from_slice(name.as_bytes()), cut)
}
