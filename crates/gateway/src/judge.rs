//! The judge of one session: policy over effects, and which columns its principal may see.

use crate::config::SensitiveColumn;
use crate::labels::{Columns, Kept, KeptColumns, Labels, Making};
use crate::services::ConnectionServices;
use portcullis_core::effect::Operation;
use portcullis_core::mask::{
    ColumnRef, Fill, Label, Lineage, Move, NewColumn, Origin, Refill, Reveal, Strategy,
};
use portcullis_core::principal::{Principal, PrincipalKind};
use portcullis_core::refusal::{RefusalClass, Retry};
use portcullis_core::verdict::{Approvals, Circumstances, Ground, Judge, Obligations, Verdict};
use portcullis_mask::written::Found;
use portcullis_mask::{
    Detectors, PseudonymKey, Recognizer, StatementRedactor, fits, is_checked_domain, label_of,
};
use portcullis_policy::{
    Decision, Hidden, MASKED_CONDITIONS, Reveal as Shown, SessionPolicy, both_rehearse,
};
use portcullis_sql::catalog::{Catalog, Column, Relation, RelationKind, TRACED_CHILDREN};
use portcullis_sql::{Limits, analyse};
use portcullis_store::{LabelKind, LabelSource};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tracing::warn;

/// How deep views are followed to the columns behind them.
const VIEW_DEPTH: usize = 16;

/// The label of columns of the server's catalog that no mask rule has to name: they are sensitive
/// on every connection.
const SERVER_SECRET: &str = "server-secret";

/// Decides for one principal on one connection.
#[derive(Clone)]
pub(crate) struct SessionJudge {
    parts: Arc<Parts>,
}

struct Parts {
    policy: Arc<SessionPolicy>,
    reveal: Arc<SessionReveal>,
    detectors: Arc<Detectors>,
    key: Arc<PseudonymKey>,
    recognizer: Recognizer,
}

impl SessionJudge {
    /// A judge from the session's slice of the policy and what masking on its connection needs.
    pub(crate) fn new(
        policy: SessionPolicy,
        principal: &Principal,
        connection: &ConnectionServices,
    ) -> Self {
        let policy = Arc::new(policy);
        let reveal = Arc::new(SessionReveal {
            policy: policy.clone(),
            sensitive: connection.sensitive.clone(),
            viewer: Viewer::of(principal),
            labels: connection.labels.clone(),
            shared: connection.unmasked.clone(),
            known: Mutex::default(),
        });
        let (detectors, key) = (connection.detectors.clone(), connection.key.clone());
        let recognizer = Recognizer::new(key.clone());
        Self { parts: Arc::new(Parts { policy, reveal, detectors, key, recognizer }) }
    }

    /// True where a rule limits how often the principal asks.
    pub(crate) fn limits_rates(&self) -> bool {
        self.parts.policy.limits_rates()
    }

    /// The columns are those of this catalog from now on.
    pub(crate) fn use_catalog(&self, catalog: Arc<Catalog>) {
        self.parts.reveal.use_catalog(catalog);
    }

    /// True where a mask rule names no column of the catalog in use.
    pub(crate) fn lacks_a_column(&self) -> bool {
        self.parts.reveal.known().lacks
    }

    /// The redactor for the answers to parts with these lineages.
    pub(crate) fn redactor(&self, lineages: &[Arc<Lineage>]) -> StatementRedactor {
        let parts = &self.parts;
        let reveal: Arc<dyn Reveal> = parts.reveal.clone();
        let types = parts.reveal.known().catalog.as_ref().map(|c| c.type_map().clone());
        StatementRedactor::new(lineages, reveal, parts.detectors.clone(), parts.key.clone())
            .with_types(types.unwrap_or_default())
    }

    /// True where the principal is shown masked values of this connection at all.
    pub(crate) fn masks_anything(&self) -> bool {
        !self.parts.detectors.is_empty() || self.parts.reveal.hides_anything()
    }

    /// A masked value in what goes into these columns.
    pub(crate) fn find_masked(&self, value: &[u8], columns: &[ColumnRef]) -> Option<Found> {
        if !self.masks_anything() {
            return None;
        }
        let recognizer = &self.parts.recognizer;
        recognizer.find(value).or_else(|| {
            let mut strategies = columns.iter().filter_map(|c| self.parts.reveal.hidden(*c));
            strategies.find_map(|strategy| recognizer.is_shaped(value, &strategy))
        })
    }

    /// What policy says of the columns hidden from the principal that would decide on an answer.
    fn decides(
        &self,
        operation: &Operation,
        circumstances: &Circumstances,
        approvals: &Approvals,
    ) -> Option<Decision> {
        let (database, columns) = match self.parts.reveal.deciding(operation) {
            Deciding::None => return None,
            Deciding::Untold => return Some(untold_conditions(operation)),
            Deciding::Columns(database, columns) => (database, columns),
        };
        let hidden = columns.iter().map(|c| Hidden {
            path: [&database, &c.schema, &c.relation, &c.column],
            labels: c.labels.clone(),
        });
        let hidden: Vec<_> = hidden.collect();
        Some(self.parts.policy.infer(&hidden, operation, circumstances, approvals))
    }

    /// The catalog in use.
    pub(crate) fn catalog(&self) -> Option<Arc<Catalog>> {
        self.parts.reveal.known().catalog.clone()
    }

    /// The tables that an operation makes of columns that are masked for somebody.
    pub(crate) fn makings(&self, operation: &Operation) -> Vec<Making> {
        let reveal = &self.parts.reveal;
        let making = |lineage: &Arc<Lineage>| {
            let table = lineage.makes.as_deref()?;
            let columns = match &table.columns {
                Some(columns) => Columns::Told(columns.len(), reveal.kept_of(columns, lineage)),
                None => Columns::Untold,
            };
            let needed = match &columns {
                Columns::Told(_, kept) => !kept.is_empty(),
                Columns::Untold => reveal.masks_for_somebody(),
            };
            let (name, lenient) = (table.name.clone(), table.lenient);
            needed.then_some(Making { there: None, name, lenient, columns })
        };
        let refilled = |lineage: &Arc<Lineage>| {
            let all = lineage.refills.iter().filter_map(|r| reveal.refilled(r, lineage));
            all.collect::<Vec<_>>()
        };
        let made = operation.lineages.iter().filter_map(making);
        made.chain(operation.lineages.iter().flat_map(refilled)).collect()
    }

    /// True where a value the principal may not see would reach a place other than the answer, and
    /// other than a new table, which can be masked like what it came from.
    fn launders(&self, operation: &Operation) -> bool {
        let reveal = &self.parts.reveal;
        operation.lineages.iter().any(|lineage| {
            let made = lineage.makes.as_deref().map(|table| table.columns.iter().flatten());
            // What is not in the catalog has no name to be asked about.
            let unnamed = |c: &NewColumn| !reveal.can_name(&c.origin);
            if made.into_iter().flatten().any(unnamed) && reveal.hides_anything() {
                return true;
            }
            if !lineage.fills.iter().all(|fill| reveal.may_fill(fill))
                || !lineage.moves.iter().all(|way| reveal.may_move(way))
            {
                return true;
            }
            // What cannot be told now might leave a label that stays.
            let untold = lineage.refills.iter().any(|refill| refill.columns.is_none());
            if untold && reveal.masks_for_somebody() {
                return true;
            }
            lineage.sinks.iter().any(|origin| match origin {
                Origin::Columns(columns) => columns.iter().any(|c| reveal.hides(*c)),
                Origin::Untraced => {
                    lineage.unresolved && reveal.hides_anything()
                        || lineage.relations.iter().any(|r| reveal.relation_hides(*r))
                }
            })
        })
    }
}

impl Judge for SessionJudge {
    fn judge(
        &self,
        operation: &Operation,
        circumstances: &Circumstances,
        approvals: &Approvals,
    ) -> Verdict {
        let decision = self.parts.policy.decide(operation, circumstances, approvals);
        if let Decision::Refuse { class, retry, ground } = decision {
            return Verdict::Refuse { class, retry, ground };
        }
        // No approval lifts this, so nobody is asked for one.
        if self.launders(operation) {
            return Verdict::Refuse {
                class: RefusalClass::Policy,
                retry: Retry::AfterChange,
                ground: laundering(operation),
            };
        }
        let decision = match self.decides(operation, circumstances, approvals) {
            Some(inference) => both(decision, inference),
            None => decision,
        };
        let (rules, limits) = match decision {
            Decision::Allow { rules, limits } => (rules, limits),
            Decision::Hold { groups, ground, rehearse } => {
                return Verdict::Hold { groups, ground, rehearse };
            }
            Decision::Refuse { class, retry, ground } => {
                return Verdict::Refuse { class, retry, ground };
            }
        };
        let redactor = Arc::new(self.redactor(&operation.lineages));
        Verdict::Permit(Obligations { redactor, rules, limits })
    }

    fn policy_version(&self) -> &str {
        self.parts.policy.version()
    }
}

fn laundering(operation: &Operation) -> Ground {
    Ground {
        rule: "masked-stays-masked".to_owned(),
        reason:
            "values of masked columns would reach where they are not masked: what is written, a \
                 setting, how many rows there are"
                .to_owned(),
        hint: Some("leave the masked columns out of that part of the statement".to_owned()),
        what: operation.to_string(),
    }
}

/// Two decisions on one request: it may run where both let it.
fn both(one: Decision, other: Decision) -> Decision {
    match (one, other) {
        (refuse @ Decision::Refuse { .. }, _) | (_, refuse @ Decision::Refuse { .. }) => refuse,
        (
            Decision::Hold { mut groups, ground, rehearse },
            Decision::Hold { groups: more, rehearse: other, .. },
        ) => {
            groups.extend(more);
            Decision::Hold { groups, ground, rehearse: both_rehearse(rehearse, other) }
        }
        (hold @ Decision::Hold { .. }, _) | (_, hold @ Decision::Hold { .. }) => hold,
        (Decision::Allow { rules, limits }, Decision::Allow { rules: more, limits: tighter }) => {
            let mut all = limits.as_deref().cloned().unwrap_or_default();
            tighter.iter().for_each(|limits| all.tighten_all(limits));
            Decision::Allow {
                rules: rules.iter().chain(more.iter()).cloned().collect(),
                limits: (!all.is_empty()).then(|| Arc::new(all)),
            }
        }
    }
}

/// What decides cannot be traced, and there are columns that are hidden.
fn untold_conditions(operation: &Operation) -> Decision {
    Decision::Refuse {
        class: RefusalClass::Policy,
        retry: Retry::AfterChange,
        ground: Ground {
            rule: MASKED_CONDITIONS.to_owned(),
            reason: "rows, groups or order would depend on something that cannot be traced, and \
                     there are columns that are masked for you"
                .to_owned(),
            hint: Some("choose rows by columns of tables, one statement at a time".to_owned()),
            what: operation.to_string(),
        },
    }
}

/// What masks a value that depends on several columns: the strategy they share, or a placeholder.
fn strictest(strategies: impl IntoIterator<Item = Strategy>) -> Option<Strategy> {
    let mut strategies = strategies.into_iter();
    let first = strategies.next()?;
    Some(if strategies.all(|other| other == first) { first } else { Strategy::Redact })
}

/// Schema, relation and name of a column, with what mask rules call it.
#[derive(Clone)]
struct Named {
    schema: Box<str>,
    relation: Box<str>,
    column: Box<str>,
    labels: BTreeSet<String>,
}

/// The hidden columns that decide on an answer.
enum Deciding {
    None,
    /// Which they are cannot be told.
    Untold,
    /// Which they are, in this database.
    Columns(String, Vec<Named>),
}

/// Which columns the session's principal may see, asked of the policy once per relation.
#[derive(Debug)]
struct SessionReveal {
    policy: Arc<SessionPolicy>,
    sensitive: Arc<[SensitiveColumn]>,
    viewer: Viewer,
    labels: Arc<Labels>,
    shared: Arc<Unmasked>,
    known: Mutex<Known>,
}

/// What of a principal a policy can see. On one connection, two principals that are alike in it
/// may see the same columns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Viewer {
    kind: PrincipalKind,
    names: [String; 3],
    acting_for: Option<String>,
    groups: BTreeSet<String>,
}

impl Viewer {
    fn of(principal: &Principal) -> Self {
        // Every field is named, so that a new one has to be thought of here.
        let Principal { kind, subject, name, issuer, acting_for, groups, token_id: _, expires: _ } =
            principal.clone();
        Self { kind, names: [subject, name, issuer], acting_for, groups }
    }
}

/// From whom nothing at all is hidden on one connection, and whether: the one question that needs
/// the whole catalog, asked once for all sessions of a viewer.
#[derive(Debug, Default)]
pub(crate) struct Unmasked {
    answers: Mutex<HashMap<Viewer, Answer>>,
}

/// Whether anything is hidden, in this catalog and by the labels of this generation.
#[derive(Debug)]
struct Answer {
    catalog: Weak<Catalog>,
    labels: u64,
    hides: bool,
}

/// Viewers remembered per connection.
const VIEWERS: usize = 256;

impl Unmasked {
    fn answers(&self) -> MutexGuard<'_, HashMap<Viewer, Answer>> {
        // A cache: a panic leaves nothing half written that matters.
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anything in this catalog is hidden from the viewer, if that is known.
    fn hides(&self, viewer: &Viewer, catalog: &Arc<Catalog>, labels: u64) -> Option<bool> {
        let answers = self.answers();
        let answer = answers.get(viewer)?;
        let same = std::ptr::eq(answer.catalog.as_ptr(), Arc::as_ptr(catalog));
        (same && answer.labels == labels).then_some(answer.hides)
    }

    fn remember(&self, viewer: &Viewer, catalog: &Arc<Catalog>, labels: u64, hides: bool) {
        let mut answers = self.answers();
        if answers.len() >= VIEWERS {
            answers.clear();
        }
        let catalog = Arc::downgrade(catalog);
        answers.insert(viewer.clone(), Answer { catalog, labels, hides });
    }
}

#[derive(Debug, Default)]
struct Known {
    catalog: Option<Arc<Catalog>>,
    /// The generation of labels that what follows was told by.
    generation: u64,
    relations: HashMap<u32, Arc<HiddenColumns>>,
    anything: Option<bool>,
    /// What the names of columns say, as far as it was asked.
    labels: HashMap<ColumnRef, Option<Label>>,
    /// True where a mask rule names no column.
    lacks: bool,
}

/// The hidden columns of one relation, by attribute number.
#[derive(Debug, Default)]
struct HiddenColumns {
    columns: HashMap<i16, Option<Strategy>>,
    any: bool,
}

impl SessionReveal {
    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing in here is left half written by a panic: it is a cache.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = self.labels.generation();
        if known.generation != generation {
            known.generation = generation;
            known.relations.clear();
            known.anything = None;
        }
        known
    }

    fn use_catalog(&self, catalog: Arc<Catalog>) {
        let mut known = self.known();
        if known.catalog.as_ref().is_some_and(|c| Arc::ptr_eq(c, &catalog)) {
            return;
        }
        let lacks = uncovered(&self.sensitive, &catalog).is_some();
        let generation = known.generation;
        *known = Known { catalog: Some(catalog), generation, lacks, ..Known::default() };
    }

    /// The hidden columns on which the operation's answers depend by the caller's choice.
    fn deciding(&self, operation: &Operation) -> Deciding {
        let mut found = BTreeSet::new();
        for lineage in &operation.lineages {
            match &lineage.conditions {
                Origin::Columns(columns) => {
                    let hidden = columns.iter().filter(|c| c.column != 0 && self.hides(**c));
                    found.extend(hidden.copied());
                    for row in columns.iter().filter(|c| c.column == 0) {
                        let Some(all) = self.of_relation(row.relation, 0) else {
                            return Deciding::Untold;
                        };
                        let all = all.columns.iter().filter(|(_, hidden)| hidden.is_some());
                        let column = |(number, _): (&i16, _)| ColumnRef { column: *number, ..*row };
                        found.extend(all.map(column));
                    }
                }
                Origin::Untraced => {
                    let unknown = lineage.unresolved && self.hides_anything();
                    if unknown || lineage.relations.iter().any(|r| self.relation_hides(*r)) {
                        return Deciding::Untold;
                    }
                }
            }
        }
        if found.is_empty() {
            return Deciding::None;
        }
        let Some(catalog) = self.known().catalog.clone() else { return Deciding::Untold };
        let named = found.into_iter().map(|column| self.names(&catalog, column));
        match named.collect::<Option<Vec<_>>>().map(|named| named.concat()) {
            Some(named) => Deciding::Columns(catalog.database().to_owned(), named),
            None => Deciding::Untold,
        }
    }

    /// The names a hidden column is asked about by: its own, and those of the hidden columns its
    /// values came from.
    fn names(&self, catalog: &Catalog, column: ColumnRef) -> Option<Vec<Named>> {
        let relation = catalog.relation(column.relation)?;
        let own = relation.columns.iter().find(|c| c.number == column.column)?;
        let children = beyond(catalog, relation);
        let same = children.iter().filter_map(|part| {
            let same = part.columns.iter().find(|c| c.name == own.name)?;
            Some(ColumnRef { relation: part.oid, column: same.number })
        });
        let all = std::iter::once(column).chain(same);
        let kept: Vec<Kept> = all.filter_map(|c| self.labels.of_column(c)).collect();
        let sources = kept.iter().flat_map(|kept| kept.sources.iter());
        let hidden = sources.filter(|s| self.hides_source(catalog, s, 0).is_some());
        let mut named: Vec<Named> = hidden.map(|s| self.name_source(catalog, s)).collect();
        if named.is_empty() || self.ask(catalog, relation, &own.name).is_some() {
            named.push(self.named(relation, &own.name));
        }
        Some(named)
    }

    fn named(&self, relation: &Relation, column: &str) -> Named {
        Named {
            schema: relation.schema.clone(),
            relation: relation.name.clone(),
            column: column.into(),
            labels: self.labels(relation, column),
        }
    }

    /// What a source is called now, or was when it was last there.
    fn name_source(&self, catalog: &Catalog, source: &LabelSource) -> Named {
        if let Some((relation, column)) = there(catalog, source) {
            return self.named(relation, &column.name);
        }
        let LabelSource { schema, table, name, .. } = source;
        let (rules, [schema, relation, column]) =
            (self.sensitive.iter(), [schema, table, name].map(Clone::clone));
        let rules = rules.filter(|r| names_column(&r.column, &schema, &relation, &column));
        let labels = rules.filter_map(|r| r.label.clone()).collect();
        Named { schema, relation, column, labels }
    }

    /// What hides the values of a labelled column.
    fn hides_kept(&self, catalog: &Catalog, kept: &Kept, depth: usize) -> Option<Strategy> {
        let sources = kept.sources.iter();
        let hidden = sources.filter_map(|s| self.hides_source(catalog, s, depth));
        let anything = kept.kind == LabelKind::Untraced && self.hides_anything();
        let hidden = strictest(hidden.chain(anything.then_some(Strategy::Redact)))?;
        // Part of an expression that its maker chose would show what that one wants to see, and
        // pseudonyms of guesses would be a dictionary.
        let shows_nothing = matches!(hidden, Strategy::Null | Strategy::Constant(_));
        Some(if kept.kind == LabelKind::Plain || shows_nothing { hidden } else { Strategy::Redact })
    }

    /// What hides a column that others came from: as it is now, and where it is not there, or goes
    /// by another name, as it was.
    fn hides_source(
        &self,
        catalog: &Catalog,
        source: &LabelSource,
        depth: usize,
    ) -> Option<Strategy> {
        let unknown = || self.hides_anything().then_some(Strategy::Redact);
        let found = there(catalog, source);
        let now = found.and_then(|(relation, column)| match depth < VIEW_DEPTH {
            true => match self.of_relation(relation.oid, depth + 1) {
                Some(hidden) => hidden.columns.get(&column.number).cloned().unwrap_or_else(unknown),
                None => unknown(),
            },
            false => unknown(),
        });
        let same = found.is_some_and(|(relation, column)| {
            relation.schema == source.schema
                && relation.name == source.table
                && column.name == source.name
        });
        let then = if same { None } else { self.ask_source(catalog, source) };
        strictest(now.into_iter().chain(then))
    }

    /// What hides a column of that name, whether or not there is one.
    fn ask_source(&self, catalog: &Catalog, source: &LabelSource) -> Option<Strategy> {
        let LabelSource { schema, table, name, .. } = source;
        let rules = self.sensitive.iter();
        let rules = rules.filter(|r| names_column(&r.column, schema, table, name));
        let rules: Vec<&SensitiveColumn> = rules.collect();
        self.ask_by_name(catalog, [schema, table, name], &rules, None)
    }

    /// True where nothing that is hidden flows into a column, or nothing but what its label names
    /// already.
    fn may_fill(&self, fill: &Fill) -> bool {
        let Origin::Columns(from) = &fill.from.origin else { return !self.hides_anything() };
        let mut hidden = from.iter().filter(|c| self.hides(**c)).peekable();
        if hidden.peek().is_none() {
            return true;
        }
        let kept: Option<Vec<Kept>> = fill.to.iter().map(|to| self.labels.of_column(*to)).collect();
        let Some(kept) = kept.filter(|kept| !kept.is_empty()) else { return false };
        hidden.all(|column| {
            kept.iter().all(|kept| {
                let named =
                    |s: &LabelSource| (s.relation, s.column) == (column.relation, column.column);
                (fill.from.plain || kept.kind != LabelKind::Plain) && kept.sources.iter().any(named)
            })
        })
    }

    /// True where what the target moves on its own stays where it is masked.
    fn may_move(&self, way: &Move) -> bool {
        let Some(catalog) = self.known().catalog.clone() else { return false };
        match way {
            Move::Column(Fill { to, from }) => match &from.origin {
                Origin::Columns(from) => {
                    from.iter().all(|from| to.iter().all(|to| self.guards(&catalog, *from, *to)))
                }
                Origin::Untraced => !self.hides_anything(),
            },
            Move::Partitions(table) => match catalog.relation(*table) {
                Some(table) => self.may_mix(&catalog, table),
                None => !self.hides_anything(),
            },
        }
    }

    /// True where values of one column, of this or another row, may come to stand in another one:
    /// whoever may not see them there may not see them here.
    fn guards(&self, catalog: &Catalog, from: ColumnRef, to: ColumnRef) -> bool {
        if from.column == 0 {
            let Some(relation) = catalog.relation(from.relation) else { return false };
            let own = relation.columns.iter().map(|c| ColumnRef { column: c.number, ..from });
            return own.into_iter().all(|column| self.guards(catalog, column, to));
        }
        if !self.hides(from) {
            return true;
        }
        self.hides(to)
            && self.labels.of_column(from).is_none_or(|kept| {
                self.labels.of_column(to).is_some_and(|there| there.covers(&kept))
            })
    }

    /// True where rows may go from any partition of a table to any other: each of its columns is
    /// masked in all of them alike, or in none by itself. What masks it in the table itself does so
    /// in all of them.
    fn may_mix(&self, catalog: &Catalog, table: &Relation) -> bool {
        let parts = catalog.descendants(table);
        let parts: Vec<_> = parts.filter(|part| part.kind != RelationKind::Partitioned).collect();
        table.columns.iter().all(|column| {
            let same = parts.iter().filter_map(|part| {
                let own = part.columns.iter().find(|c| c.name == column.name)?;
                Some(ColumnRef { relation: part.oid, column: own.number })
            });
            let same: Vec<ColumnRef> = same.collect();
            // One of each kind stands for all that are masked like it.
            let mut kinds: Vec<(Option<Kept>, ColumnRef)> = Vec::new();
            for one in same.iter().filter(|one| self.hides(**one)) {
                let kept = self.labels.of_column(*one);
                if kinds.iter().all(|(known, _)| *known != kept) {
                    kinds.push((kept, *one));
                }
            }
            kinds.iter().all(|(_, from)| same.iter().all(|to| self.guards(catalog, *from, *to)))
        })
    }

    /// A materialised view that is filled again, where labels are missing of what it is filled with.
    fn refilled(&self, refill: &Refill, lineage: &Lineage) -> Option<Making> {
        let catalog = self.known().catalog.clone()?;
        let view = catalog.relation(refill.relation)?;
        let columns = refill.columns.as_ref()?;
        let mut kept = self.kept_of(columns, lineage);
        let known = self.labels.of(view.oid).unwrap_or_default();
        kept.retain(|number, new| !known.get(number).is_some_and(|old| old.covers(new)));
        (!kept.is_empty()).then(|| Making {
            there: Some(view.oid),
            name: view.name.clone(),
            lenient: false,
            columns: Columns::Told(columns.len(), kept),
        })
    }

    /// What masks a column in partitions and children of a table, whose rows are its own: by names,
    /// since numbers differ.
    fn hidden_below(
        &self,
        catalog: &Catalog,
        below: &[&Relation],
        column: &str,
        depth: usize,
    ) -> Vec<Strategy> {
        let mut found = Vec::new();
        for part in below {
            let Some(own) = part.columns.iter().find(|c| *c.name == *column) else { continue };
            if self.rules_of(part, column).next().is_some() {
                found.extend(self.ask(catalog, part, column));
            }
            let kept = self.labels.of_column(ColumnRef { relation: part.oid, column: own.number });
            found.extend(kept.and_then(|kept| self.hides_kept(catalog, &kept, depth)));
        }
        found
    }

    /// True where every column of an origin is in the catalog.
    fn can_name(&self, origin: &Origin) -> bool {
        let Origin::Columns(columns) = origin else { return true };
        let Some(catalog) = self.known().catalog.clone() else { return false };
        columns.iter().all(|c| {
            let relation = catalog.relation(c.relation);
            relation
                .is_some_and(|r| c.column <= 0 || r.columns.iter().any(|o| o.number == c.column))
        })
    }

    /// True where there are columns that somebody may not see, as far as rules and labels tell.
    fn masks_for_somebody(&self) -> bool {
        !self.sensitive.is_empty() || !self.labels.is_empty() || self.hides_anything()
    }

    /// The labels of new columns, of those that need one.
    fn kept_of(&self, columns: &[NewColumn], lineage: &Lineage) -> KeptColumns {
        let Some(catalog) = self.known().catalog.clone() else { return KeptColumns::new() };
        let mut kept = KeptColumns::new();
        for (number, column) in (1i16..).zip(columns) {
            let mut sources = BTreeSet::new();
            let mut add = |from| self.add_sources(&catalog, from, &mut sources);
            let kind = match &column.origin {
                Origin::Columns(from) => {
                    let own = if column.plain { LabelKind::Plain } else { LabelKind::Made };
                    from.iter().fold(own, |kind, from| kind.and(add(*from)))
                }
                Origin::Untraced => {
                    let row = |relation: &u32| ColumnRef { relation: *relation, column: 0 };
                    let all = lineage.relations.iter().map(row);
                    let told =
                        if lineage.unresolved { LabelKind::Untraced } else { LabelKind::Made };
                    all.fold(told, |kind, from| kind.and(add(from)))
                }
            };
            if kind == LabelKind::Untraced && self.masks_for_somebody() || !sources.is_empty() {
                kept.insert(number, Kept { sources: sources.into_iter().collect(), kind });
            }
        }
        kept
    }

    /// Adds a column, or all of a row, as far as somebody may not see it, and says how values of it
    /// came from the sources.
    fn add_sources(
        &self,
        catalog: &Catalog,
        from: ColumnRef,
        sources: &mut BTreeSet<LabelSource>,
    ) -> LabelKind {
        let Some(relation) = catalog.relation(from.relation) else { return LabelKind::Untraced };
        let mut kind = self.add_own_sources(relation, from, sources);
        let name = relation.columns.iter().find(|c| c.number == from.column).map(|c| &c.name);
        for part in beyond(catalog, relation) {
            let same = part.columns.iter().filter(|c| name.is_none_or(|name| c.name == *name));
            for column in same {
                let at = ColumnRef { relation: part.oid, column: column.number };
                kind = kind.and(self.add_own_sources(part, at, sources));
            }
        }
        kind
    }

    fn add_own_sources(
        &self,
        relation: &Relation,
        from: ColumnRef,
        sources: &mut BTreeSet<LabelSource>,
    ) -> LabelKind {
        let labelled = self.labels.of(relation.oid);
        let mut kind = if from.column == 0 { LabelKind::Made } else { LabelKind::Plain };
        for column in relation.columns.iter().filter(|c| [0, c.number].contains(&from.column)) {
            let at = ColumnRef { column: column.number, ..from };
            let kept = labelled.as_ref().and_then(|columns| columns.get(&column.number));
            if let Some(kept) = kept {
                sources.extend(kept.sources.iter().cloned());
                kind = kind.and(kept.kind);
            }
            let masked = self.rules_of(relation, &column.name).next().is_some()
                || relation.shows_elsewhere(&column.name)
                || self.hides(at);
            if masked || kept.is_some() {
                sources.insert(LabelSource {
                    relation: at.relation,
                    column: at.column,
                    schema: relation.schema.clone(),
                    table: relation.name.clone(),
                    name: column.name.clone(),
                });
            }
        }
        kind
    }

    fn rules_of<'a>(
        &'a self,
        relation: &'a Relation,
        column: &'a str,
    ) -> impl Iterator<Item = &'a SensitiveColumn> {
        let rules = self.sensitive.iter();
        rules.filter(|rule| names_column(&rule.column, &relation.schema, &relation.name, column))
    }

    /// What mask rules call the column, and what the gateway itself does.
    fn labels(&self, relation: &Relation, column: &str) -> BTreeSet<String> {
        let own = relation.shows_elsewhere(column).then(|| SERVER_SECRET.to_owned());
        self.rules_of(relation, column).filter_map(|r| r.label.clone()).chain(own).collect()
    }

    fn hides(&self, column: ColumnRef) -> bool {
        match column.column {
            0 => self.relation_hides(column.relation),
            _ => self.hidden(column).is_some(),
        }
    }

    /// The hidden columns of a relation; `None` where it is unknown.
    fn of_relation(&self, relation: u32, depth: usize) -> Option<Arc<HiddenColumns>> {
        let (catalog, generation) = {
            let known = self.known();
            if let Some(hidden) = known.relations.get(&relation) {
                return Some(hidden.clone());
            }
            (known.catalog.clone()?, known.generation)
        };
        let found = catalog.relation(relation)?;
        let hidden = Arc::new(self.ask_columns(&catalog, found, depth));
        let mut known = self.known();
        if known.generation == generation {
            known.relations.insert(relation, hidden.clone());
        }
        Some(hidden)
    }

    fn ask_columns(&self, catalog: &Catalog, relation: &Relation, depth: usize) -> HiddenColumns {
        let mut hidden = HiddenColumns::default();
        let behind = relation.view.as_ref().map(|_| view_origins(catalog, relation));
        let labelled = self.labels.of(relation.oid);
        let children = beyond(catalog, relation);
        for (i, column) in relation.columns.iter().enumerate() {
            let own = self.ask(catalog, relation, &column.name);
            let inherited = behind
                .as_ref()
                .and_then(|origins| self.behind_view(relation, origins.get(i), depth));
            let generated = self.made_of_hidden(catalog, relation, column, depth);
            let strategy = own.or(inherited).or(generated.then_some(Strategy::Redact));
            let kept = labelled.as_ref().and_then(|columns| columns.get(&column.number));
            let kept = kept.and_then(|kept| self.hides_kept(catalog, kept, depth));
            let children = self.hidden_below(catalog, &children, &column.name, depth);
            let strategy = strictest(strategy.into_iter().chain(kept).chain(children));
            let strategy = strategy.map(|strategy| fitting(strategy, catalog, relation, column));
            hidden.any |= strategy.is_some();
            hidden.columns.insert(column.number, strategy);
        }
        hidden
    }

    /// Whether the column is generated from one that is hidden.
    fn made_of_hidden(
        &self,
        catalog: &Catalog,
        relation: &Relation,
        column: &Column,
        depth: usize,
    ) -> bool {
        let labelled = self.labels.of(relation.oid);
        let kept = |c: &Column| labelled.as_ref()?.get(&c.number).cloned();
        let mut sources = relation.columns.iter().filter(|c| column.made_of.contains(&c.number));
        sources.any(|c| {
            self.ask(catalog, relation, &c.name).is_some()
                || kept(c).is_some_and(|kept| self.hides_kept(catalog, &kept, depth).is_some())
        })
    }

    /// Whether any column of the catalog is hidden by its own name: first asked of the relations
    /// that mask rules name, so that the rest is asked only where those are all shown. Where none is,
    /// nothing is hidden behind a view or in a generated column either.
    fn find_hidden(&self, catalog: &Catalog) -> bool {
        let named = |relation: &Relation| {
            let rules = self.sensitive.iter();
            let mut rules = rules.map(|rule| rule.column.splitn(3, '.').collect::<Vec<_>>());
            let name = |part: Option<&&str>, name: &str| {
                part.is_some_and(|part| *part == "*" || *part == name)
            };
            rules.any(|r| name(r.first(), &relation.schema) && name(r.get(1), &relation.name))
        };
        let own = || catalog.relations().filter(|r| !r.is_system());
        let hides = |r: &Relation| {
            r.columns.iter().any(|column| self.ask(catalog, r, &column.name).is_some())
        };
        // What came from a column that is gone is hidden as that one was.
        let gone = || self.labels.all().into_iter().flat_map(|c| (*c).clone().into_values());
        let sources = || gone().flat_map(|kept| kept.sources);
        own().filter(|r| named(r)).any(hides)
            || own().any(hides)
            || sources().any(|s| self.ask_source(catalog, &s).is_some())
    }

    /// What stands behind a view's column: hidden where any column behind it is.
    fn behind_view(
        &self,
        view: &Relation,
        origin: Option<&Origin>,
        depth: usize,
    ) -> Option<Strategy> {
        // What cannot be followed may be anything that is hidden.
        let unknown = || self.hides_anything().then_some(Strategy::Redact);
        let Some(Origin::Columns(columns)) = origin else { return unknown() };
        if depth >= VIEW_DEPTH {
            return unknown();
        }
        let others = columns.iter().filter(|c| c.relation != view.oid);
        let mut strategies = others.filter_map(|c| match self.of_relation(c.relation, depth + 1) {
            None => unknown(),
            Some(hidden) if c.column == 0 => hidden.any.then_some(Strategy::Redact),
            Some(hidden) => hidden.columns.get(&c.column).cloned().unwrap_or_else(unknown),
        });
        let first = strategies.next()?;
        Some(if strategies.all(|s| s == first) { first } else { Strategy::Redact })
    }

    fn ask(&self, catalog: &Catalog, relation: &Relation, column: &str) -> Option<Strategy> {
        let rules: Vec<&SensitiveColumn> = self.rules_of(relation, column).collect();
        let own = relation.shows_elsewhere(column).then_some(SERVER_SECRET);
        self.ask_by_name(catalog, [&relation.schema, &relation.name, column], &rules, own)
    }

    /// Asks the policy; `own`: what the gateway itself calls the column.
    fn ask_by_name(
        &self,
        catalog: &Catalog,
        [schema, relation, column]: [&str; 3],
        rules: &[&SensitiveColumn],
        own: Option<&str>,
    ) -> Option<Strategy> {
        let labels = rules.iter().filter_map(|r| r.label.clone());
        let labels = labels.chain(own.map(str::to_owned)).collect();
        let strategy = rules.first().map(|r| r.mask.clone()).or(own.map(|_| Strategy::Null));
        let path = [catalog.database(), schema, relation, column];
        match self.policy.reveal(path, !rules.is_empty() || own.is_some(), &labels, strategy) {
            Shown::Show => None,
            Shown::Mask { strategy, .. } => Some(strategy),
        }
    }
}

/// Partitions and inheriting tables, all levels, where they are more than statements are traced to: what a column has in the rest of them
/// is told by the column of the table itself.
fn beyond<'c>(catalog: &'c Catalog, relation: &'c Relation) -> Vec<&'c Relation> {
    let all: Vec<_> = catalog.descendants(relation).collect();
    if all.len() > TRACED_CHILDREN { all } else { Vec::new() }
}

/// Where a source is, if it is still there.
fn there<'c>(catalog: &'c Catalog, source: &LabelSource) -> Option<(&'c Relation, &'c Column)> {
    let relation = catalog.relation(source.relation)?;
    Some((relation, relation.columns.iter().find(|c| c.number == source.column)?))
}

/// The strategy, where it can make values of the column's type; else NULL, and a word about it to
/// the operator.
fn fitting(
    strategy: Strategy,
    catalog: &Catalog,
    relation: &Relation,
    column: &Column,
) -> Strategy {
    let Strategy::Constant(literal) = &strategy else {
        let checked = is_checked_domain(column.type_oid, catalog.type_map());
        return if checked { Strategy::Null } else { strategy };
    };
    if fits(literal, column.type_oid, catalog.type_map()) {
        return strategy;
    }
    warn!(
        schema = &*relation.schema,
        relation = &*relation.name,
        column = &*column.name,
        "a constant is no value of its column's type: the column is masked as NULL"
    );
    Strategy::Null
}

/// Where a view's columns come from, in order; empty where that cannot be told.
fn view_origins(catalog: &Catalog, view: &Relation) -> Vec<Origin> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let text = format!("SELECT * FROM {}.{}", quoted(&view.schema), quoted(&view.name));
    let Ok(analysis) = analyse(&text, catalog, &Limits::default()) else { return Vec::new() };
    let lineage = analysis.statements.first().and_then(|s| s.lineage.clone());
    lineage.and_then(|l| l.outputs.clone()).unwrap_or_default()
}

/// A mask rule that is not optional and names no column: one that names none would mask nothing,
/// silently.
pub(crate) fn uncovered<'r>(
    rules: &'r [SensitiveColumn],
    catalog: &Catalog,
) -> Option<&'r SensitiveColumn> {
    let names = |rule: &SensitiveColumn, relation: &Relation| {
        let mut columns = relation.columns.iter();
        columns.any(|c| names_column(&rule.column, &relation.schema, &relation.name, &c.name))
    };
    let mut rules = rules.iter().filter(|rule| !rule.optional);
    rules.find(|rule| !catalog.relations().any(|relation| names(rule, relation)))
}

/// True where `schema.table.column` (with `*` for any one name) names this column.
pub(crate) fn names_column(rule: &str, schema: &str, relation: &str, column: &str) -> bool {
    let mut parts = rule.split('.');
    [schema, relation, column]
        .into_iter()
        .all(|name| parts.next().is_some_and(|part| part == "*" || part == name))
        && parts.next().is_none()
}

impl Reveal for SessionReveal {
    fn hidden(&self, column: ColumnRef) -> Option<Strategy> {
        // Columns of the system (`ctid`, `xmin`, `tableoid`): they hold no data of users.
        if column.column < 0 {
            return None;
        }
        let unknown = || self.hides_anything().then_some(Strategy::Redact);
        match self.of_relation(column.relation, 0) {
            None => unknown(),
            Some(hidden) => hidden.columns.get(&column.column).cloned().unwrap_or_else(unknown),
        }
    }

    fn relation_hides(&self, relation: u32) -> bool {
        match self.of_relation(relation, 0) {
            None => self.hides_anything(),
            Some(hidden) => hidden.any,
        }
    }

    fn hides_anything(&self) -> bool {
        if let Some(anything) = self.known().anything {
            return anything;
        }
        let Some(catalog) = self.known().catalog.clone() else { return true };
        let labels = self.labels.generation();
        let anything = match self.shared.hides(&self.viewer, &catalog, labels) {
            Some(known) => known,
            None => {
                let anything = self.find_hidden(&catalog);
                self.shared.remember(&self.viewer, &catalog, labels, anything);
                anything
            }
        };
        let mut known = self.known();
        if known.generation == labels {
            known.anything = Some(anything);
        }
        anything
    }

    fn label(&self, column: ColumnRef) -> Option<Label> {
        let mut known = self.known();
        let Known { catalog, labels, .. } = &mut *known;
        *labels.entry(column).or_insert_with(|| {
            let relation = catalog.as_ref()?.relation(column.relation)?;
            let named = relation.columns.iter().find(|c| c.number == column.column)?;
            label_of(&named.name)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_whole_names() {
        assert!(names_column("public.customers.email", "public", "customers", "email"));
        assert!(names_column("*.*.email", "sales", "leads", "email"));
        assert!(!names_column("public.customers.email", "public", "customers", "email2"));
        assert!(!names_column("public.customers", "public", "customers", "email"));
    }
}
