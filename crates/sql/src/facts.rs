//! From a text to the facts of its statements: the entry point of the analysis and what all its
//! parts share. Stands between the codec, which holds the text, and the gate, which judges.
//!
//! Closed by construction: every node kind that is not expressly handled gives
//! [`Effect::unreadable`] and [`Origin::Untraced`], every name that does not resolve is assumed to
//! be code or unknown data.

mod bodies;
mod conditions;
mod copied;
mod ddl;
mod ddl_names;
mod dml;
mod earlier;
mod evaluated;
mod expr;
mod from;
mod functions;
mod hidden;
mod json;
mod names;
mod query;
mod renamed;
mod resolve;
mod scope;
mod session;
mod standing;
mod typed;
mod utility;
mod views;
mod written;

use crate::catalog::{Catalog, FIRST_USER_OID, ImplicitCast};
use crate::parse::{Limits, parse};
use crate::statement::{
    Analysis, Copy, GoesBy, NameChange, Statement, Targets, TransactionChange, Unreadable, Written,
    naming_parameter, unnamed_setting,
};
pub use session::effect_of_setting;

use conditions::Carried;
use earlier::{Earlier, disturbs};
use pg_query::protobuf::{Node, RawStmt};
use portcullis_core::effect::{Certainty, Effect, Extent, Object, ObjectKind, Verb};
use portcullis_core::mask::{ColumnRef, Fill, Lineage, Move, NewColumn, NewTable, Origin, Refill};
use scope::{Cte, Frame, OutCol, Shape, Watched, add, nothing};
use smallvec::SmallVec;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// Names compared for one unit of work.
const LOOKS: usize = 16;

/// More effects than this in one statement and it is not read.
const MAX_EFFECTS: usize = 4_000;

/// More different flows than this in one statement are told as one that is untraced.
const MAX_SINKS: usize = 256;

/// Types that texts and documents fit into whatever they are: `bytea`, `name`, `text`, `json`, `xml`
/// and `jsonb`.
const UNLIMITED: [u32; 6] = [17, 19, 25, 114, 142, 3802];

/// The facts of every statement of a text. Call it on a thread with
/// [`REQUIRED_STACK`](crate::parse::REQUIRED_STACK).
///
/// The catalog must describe the database as it is when the first statement runs; a statement that
/// follows one which may change definitions is resolved with less certainty.
///
/// # Errors
/// [`Unreadable`]: nothing in the text may run.
pub fn analyse(text: &str, catalog: &Catalog, limits: &Limits) -> Result<Analysis> {
    let tree = parse(text, limits)?;
    let mut statements = Vec::with_capacity(tree.stmts.len());
    let several = tree.stmts.len() > 1;
    let places = tree.stmts.iter().filter(|_| several).map(|raw| place(raw, text)).collect();
    let mut work = limits.work;
    let mut earlier = Earlier::default();
    for raw in &tree.stmts {
        let mut analyzer = Analyzer::new(catalog, limits, work);
        analyzer.earlier = Rc::new(earlier);
        let mut statement = match raw.stmt.as_deref() {
            Some(node) => analyzer.statement(node)?,
            None => analyzer.unreadable_statement(),
        };
        work = analyzer.work;
        earlier = Rc::into_inner(analyzer.earlier).unwrap_or_else(Earlier::unknown);
        earlier.note(raw.stmt.as_deref(), &statement);
        statement.disturbs = disturbs(raw.stmt.as_deref(), &statement, catalog);
        statements.push(statement);
    }
    Ok(Analysis { statements, places })
}

/// Where a statement stands in its text. A length of 0 is the rest of it (`RawStmt`, PostgreSQL
/// `src/include/nodes/parsenodes.h`).
fn place(raw: &RawStmt, text: &str) -> Range<usize> {
    let from = usize::try_from(raw.stmt_location).unwrap_or(0);
    match usize::try_from(raw.stmt_len) {
        Ok(length) if length > 0 => from..from + length,
        _ => from..text.len(),
    }
}

type Result<T> = std::result::Result<T, Unreadable>;

/// Collects the facts of one statement.
struct Analyzer<'c> {
    catalog: &'c Catalog,
    limits: Limits,
    depth: usize,
    work: usize,
    /// Names compared since work was last accounted for.
    looked: Cell<usize>,
    effects: Vec<Effect>,
    seen: HashSet<Effect>,
    relations: BTreeSet<u32>,
    /// Those of them that were read without what inherits from them.
    alone: HashSet<u32>,
    sinks: Vec<Origin>,
    /// The table that the statement makes from rows of a query.
    makes: Option<Box<NewTable>>,
    /// What flows into known columns.
    fills: Vec<Fill>,
    /// What the target moves on its own.
    moves: Vec<Move>,
    /// Materialised views that are filled again.
    refills: Vec<Refill>,
    /// True on the way to the `INTO` of the statement itself.
    makes_table: bool,
    /// What decides on rows, groups, order or failure.
    conditions: Origin,
    /// Stored columns whose NULL decides.
    nulls: Origin,
    user_code: bool,
    unresolved: bool,
    missing: bool,
    /// Something was used that may show relations which are not named.
    opaque: bool,
    /// What the statements before it in the text have done.
    earlier: Rc<Earlier>,
    /// A definition: what decides on it are columns of the table it is about.
    evaluates: bool,
    /// It gives a table another primary key.
    rekeys: bool,
    /// The queries around the current place, outermost first.
    frames: Vec<Frame>,
    /// The `WITH` names in scope, innermost last.
    ctes: Vec<Cte>,
    /// The views and functions being looked through.
    views: Vec<u32>,
    /// In a function: its name, and the names of what it is called with.
    arguments: (Box<str>, Vec<Box<str>>),
    /// The table being changed, while its condition is looked at.
    watched: Option<Watched>,
    names: NameChange,
    transaction: TransactionChange,
    copy: Option<Copy>,
    /// The types of columns that are copied out as they are.
    copied: Option<Box<[u32]>>,
    written: Vec<Written>,
    unspoken: Option<&'static str>,
    respeaks: bool,
    rereads: bool,
    goes_by: Option<GoesBy>,
    /// Calls so far of what may give more than one row.
    sets: usize,
    /// How parameters are used, by number.
    parameters: BTreeMap<u16, Parameter>,
    /// How the queries in expressions that give one value carry what it comes from, by where they stand.
    links: HashMap<usize, Option<Carried>>,
}

/// Uses of a parameter.
#[derive(Default)]
struct Parameter {
    /// All of them.
    uses: usize,
    /// Those as the name of a setting that is shown.
    names: usize,
}

impl<'c> Analyzer<'c> {
    fn new(catalog: &'c Catalog, limits: &Limits, work: usize) -> Self {
        Self {
            catalog,
            limits: *limits,
            depth: 0,
            work,
            looked: Cell::new(0),
            effects: Vec::new(),
            seen: HashSet::new(),
            relations: BTreeSet::new(),
            alone: HashSet::new(),
            sinks: Vec::new(),
            makes: None,
            fills: Vec::new(),
            moves: Vec::new(),
            refills: Vec::new(),
            makes_table: false,
            conditions: nothing(),
            nulls: nothing(),
            user_code: false,
            unresolved: false,
            missing: false,
            opaque: false,
            earlier: Rc::default(),
            evaluates: false,
            rekeys: false,
            frames: Vec::new(),
            ctes: Vec::new(),
            views: Vec::new(),
            arguments: Default::default(),
            watched: None,
            names: NameChange::None,
            transaction: TransactionChange::None,
            copy: None,
            copied: None,
            written: Vec::new(),
            unspoken: None,
            respeaks: false,
            rereads: false,
            goes_by: None,
            sets: 0,
            parameters: BTreeMap::new(),
            links: HashMap::new(),
        }
    }

    /// One level deeper: every recursion of the analysis goes through here.
    fn nested<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= self.limits.depth {
            return Err(Unreadable::TooLarge { what: "nesting depth", limit: self.limits.depth });
        }
        self.charge(1 + self.looked.take() / LOOKS)?;
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }

    /// Accounts for work, so that a small text cannot ask for a large analysis.
    fn charge(&mut self, units: usize) -> Result<()> {
        let limit = self.limits.work;
        self.work = self
            .work
            .checked_sub(units)
            .ok_or(Unreadable::TooLarge { what: "analysis work", limit })?;
        Ok(())
    }

    /// Notes that names are compared; false where that is more than the work that is left.
    fn look(&self, names: usize) -> bool {
        let looked = self.looked.get().saturating_add(names);
        self.looked.set(looked);
        looked / LOOKS <= self.work
    }

    fn effect(&mut self, verb: Verb, object: Object, extent: Extent, certainty: Certainty) {
        self.push(Effect { verb, object, extent, certainty });
    }

    fn push(&mut self, effect: Effect) {
        if self.effects.len() < MAX_EFFECTS {
            if self.seen.insert(effect.clone()) {
                self.effects.push(effect);
            }
        } else if self.seen.insert(Effect::unreadable()) {
            self.effects.push(Effect::unreadable());
        }
    }

    /// Steers this session and nothing else.
    fn control_session(&mut self) {
        self.push(Effect::resolved(
            Verb::Control,
            Object::new(ObjectKind::Session, []),
            Extent::One,
        ));
    }

    /// A name in the statement is not in the catalog.
    fn not_found(&mut self) {
        self.unresolved = true;
        self.missing = true;
    }

    /// Something in the statement could not be read: the statement as a whole is not.
    fn unreadable(&mut self) -> Origin {
        self.push(Effect::unreadable());
        self.unresolved = true;
        self.user_code = true;
        Origin::Untraced
    }

    /// Runs code of users or code whose reach is not known.
    fn execute(&mut self, object: Object) {
        self.user_code = true;
        self.opaque = true;
        self.effect(Verb::Execute, object, Extent::Unknown, Certainty::Assumed);
    }

    /// Values are at hand that functions of users may convert unasked: whether they do depends on
    /// the type of every expression, so they are taken to.
    fn may_cast(&mut self, at_hand: impl Fn(&ImplicitCast) -> bool) {
        for cast in self.catalog.implicit_casts().iter().filter(|c| at_hand(c)) {
            let (schema, function) = &cast.function;
            let object = self.object(ObjectKind::Routine, [&**schema, &**function]);
            self.execute(object);
        }
    }

    /// Definitions fire the triggers on them, whatever is defined.
    fn may_fire(&mut self, kind: &str) {
        let defines = |e: &Effect| {
            matches!(e.verb, Verb::Create | Verb::Alter | Verb::Drop | Verb::Grant)
                && e.object.kind != ObjectKind::LargeObject
        };
        if kind == "refresh materialized view" || self.effects.iter().any(defines) {
            for (schema, function) in self.catalog.event_triggers() {
                let object = self.object(ObjectKind::Routine, [&**schema, &**function]);
                self.execute(object);
            }
        }
    }

    fn object<'a>(&self, kind: ObjectKind, path: impl IntoIterator<Item = &'a str>) -> Object {
        let database = self.catalog.database();
        Object {
            kind,
            path: std::iter::once(Box::from(database))
                .chain(path.into_iter().map(Box::from))
                .collect(),
        }
    }

    /// What depends on columns flows to a place other than the answer.
    fn sink(&mut self, origin: Origin) {
        let constant = matches!(&origin, Origin::Columns(columns) if columns.is_empty());
        if !constant && !self.sinks.contains(&origin) {
            // Past this many, what exactly flows makes no difference any more.
            let full = self.sinks.len() >= MAX_SINKS;
            self.sinks.truncate(MAX_SINKS);
            self.sinks.push(if full { Origin::Untraced } else { origin });
        }
    }

    /// What depends on columns decides which rows, groups or order there are, or whether the
    /// statement fails.
    fn decide(&mut self, origin: &Origin) {
        add(&mut self.conditions, origin);
    }

    /// Whether a stored column is NULL decides. What else comes of it is told by its origin.
    fn decide_by_null(&mut self, origin: &Origin) {
        add(&mut self.nulls, origin);
    }

    /// The rows of a query flow into these columns, in order.
    fn fill(&mut self, shape: &Shape, targets: &[Targets]) {
        let columns = shape.columns.as_ref().filter(|columns| columns.len() <= targets.len());
        let Some(columns) = columns else { return self.sink_shape(shape) };
        for (column, to) in columns.iter().zip(targets) {
            let told = matches!(&column.origin, Origin::Columns(from) if !from.is_empty());
            if !told || to.is_empty() || self.fills.len() >= MAX_SINKS {
                self.sink(column.origin.clone());
                continue;
            }
            if !to.iter().all(|to| self.takes(*to, column)) {
                // A text that is too long for it is an error.
                self.decide(&column.origin);
            }
            let from = NewColumn { origin: column.origin.clone(), plain: column.plain };
            self.fills.push(Fill { to: to.clone(), from });
        }
    }

    /// True where any value there may be is one of the column that it goes into.
    fn takes(&self, to: ColumnRef, from: &OutCol) -> bool {
        let type_of = |c: &ColumnRef| self.catalog.type_of(c);
        let Some(into) = type_of(&to) else { return false };
        let same = |from: &Origin| match from {
            Origin::Columns(all) => all.iter().all(|c| type_of(c) == Some(into)),
            Origin::Untraced => false,
        };
        UNLIMITED.contains(&into) || from.plain && same(&from.origin)
    }

    fn sink_shape(&mut self, shape: &Shape) {
        match &shape.columns {
            Some(columns) => columns.iter().for_each(|c| self.sink(c.origin.clone())),
            None => self.sink(Origin::Untraced),
        }
    }

    fn statement(&mut self, node: &Node) -> Result<Statement> {
        let (kind, shape) = self.dispatch(node)?;
        Ok(self.finish(kind, shape))
    }

    /// Hands over what was collected, and is empty again.
    fn finish(&mut self, kind: &str, shape: Option<Shape>) -> Statement {
        if shape.is_some() || !self.relations.is_empty() {
            // Values of the server's own types are at hand in any query.
            self.may_cast(|cast| cast.source < FIRST_USER_OID);
        }
        self.may_fire(kind);
        self.settle_parameters();
        if self.effects.is_empty() {
            self.control_session();
        }
        if self.earlier.stale {
            self.unresolved = true;
        }
        let lineage = self.lineage(shape);
        self.seen.clear();
        // Code may change any setting; what was put off until the transaction ends is code too.
        let unknown = |e: &Effect| matches!(e.verb, Verb::Execute | Verb::Unknown);
        let commits = self.transaction == TransactionChange::Commit;
        let runs_unknown = commits || self.effects.iter().any(unknown);
        Statement {
            kind: kind.into(),
            effects: SmallVec::from_vec(std::mem::take(&mut self.effects)),
            lineage,
            names: std::mem::take(&mut self.names),
            transaction: std::mem::take(&mut self.transaction),
            written: std::mem::take(&mut self.written).into(),
            copy: self.copy.take(),
            unspoken: self.unspoken.take(),
            respeaks: std::mem::take(&mut self.respeaks) || runs_unknown,
            rereads: std::mem::take(&mut self.rereads),
            goes_by: self.goes_by.take(),
            disturbs: false,
        }
    }

    /// A parameter that is used in another way too may get another type by that, and its value may
    /// be written otherwise than it was sent.
    fn settle_parameters(&mut self) {
        let parameters = std::mem::take(&mut self.parameters);
        let otherwise = |number| parameters.get(&number).is_none_or(|p| p.uses != p.names);
        for effect in &mut self.effects {
            if naming_parameter(effect).is_some_and(otherwise) {
                *effect = unnamed_setting();
            }
        }
    }

    /// Kept for every statement whose answer or error texts may show data.
    fn lineage(&mut self, shape: Option<Shape>) -> Option<Arc<Lineage>> {
        let mut sinks = std::mem::take(&mut self.sinks);
        let mut conditions = std::mem::take(&mut self.conditions);
        let mut nulls = std::mem::take(&mut self.nulls);
        let mut makes = self.makes.take();
        let mut fills = std::mem::take(&mut self.fills);
        let mut moves = std::mem::take(&mut self.moves);
        let mut refills = std::mem::take(&mut self.refills);
        let stale = self.earlier.stale;
        // What gets a new name was told only where it could be.
        let named = |way: &Move| matches!(way, Move::Named(_));
        if stale && (makes.is_some() || !fills.is_empty() || !moves.iter().all(named)) {
            // What the columns come from cannot be told.
            makes.iter_mut().for_each(|table| table.columns = None);
            fills.clear();
            moves.retain(named);
            sinks.push(Origin::Untraced);
        }
        if stale {
            refills.iter_mut().for_each(|refill| refill.columns = None);
        }
        let moved = !fills.is_empty() || !moves.is_empty() || !refills.is_empty();
        let told = moved || !sinks.is_empty() || conditions != nothing() || nulls != nothing();
        let silent = shape.is_none() && !told && self.relations.is_empty();
        if silent && !self.user_code && !self.unresolved {
            return None;
        }
        let mut outputs = match shape {
            Some(shape) => shape.columns.map(|c| c.into_iter().map(|c| c.origin).collect()),
            None => Some(Vec::new()),
        };
        let copied = self.copied.take().filter(|_| !stale);
        if stale {
            // What came before may have renamed columns or replaced views under our feet.
            let traced = conditions == nothing() || self.evaluates && !self.earlier.untame;
            let decides = (!traced).then_some(&mut conditions);
            let all = outputs.iter_mut().flatten().chain(&mut sinks).chain(decides);
            all.for_each(|origin: &mut Origin| *origin = Origin::Untraced);
            if nulls != nothing() {
                nulls = Origin::Untraced;
            }
        }
        let untraced = outputs
            .as_ref()
            .is_none_or(|all| all.iter().chain(&sinks).any(|o| *o == Origin::Untraced));
        Some(Arc::new(Lineage {
            outputs,
            relations: std::mem::take(&mut self.relations).into_iter().collect(),
            sinks,
            conditions,
            nulls,
            user_code: self.user_code,
            unresolved: self.unresolved || self.opaque && untraced,
            missing: self.missing,
            copied,
            makes,
            fills,
            moves,
            refills,
        }))
    }

    fn unreadable_statement(&mut self) -> Statement {
        self.unreadable();
        self.finish("unreadable", Some(Shape::unknown()))
    }

    /// The facts of a statement inside this one (`PREPARE`, `DECLARE`), kept apart from its own.
    fn inner(&mut self, node: &Node) -> Result<Statement> {
        let mut inner = Analyzer::new(self.catalog, &self.limits, self.work);
        inner.depth = self.depth;
        inner.earlier = Rc::clone(&self.earlier);
        let statement = inner.nested(|a| a.statement(node));
        self.work = inner.work;
        if let Ok(inner) = &statement {
            self.unspoken = self.unspoken.or(inner.unspoken);
        }
        statement
    }
}
