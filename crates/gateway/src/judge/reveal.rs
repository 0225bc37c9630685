//! Which columns a session's principal may see, by rules, by labels and by what columns are made of.
//! Asked by the judge and by the maskers of answers.

use super::behind::{Behind, Walk, partitioned_root};
use super::viewer::{Unmasked, Viewer};
use crate::config::SensitiveColumn;
use crate::labels::{Kept, KeptColumns, Labels};
use portcullis_core::effect::Operation;
use portcullis_core::mask::{ColumnRef, Label, Lineage, Origin, Reveal, Strategy};
use portcullis_mask::{fits, is_checked_domain, label_of};
use portcullis_policy::{Reveal as Shown, SessionPolicy};
use portcullis_sql::catalog::{Catalog, Column, Relation, RelationKind, TRACED_CHILDREN};
use portcullis_sql::{Limits, analyse};
use portcullis_store::{LabelKind, LabelSource};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::warn;

/// How deep views are followed to the columns behind them.
const VIEW_DEPTH: usize = 16;

/// The label of columns of the server's catalog that no mask rule has to name: they are sensitive
/// on every connection.
const SERVER_SECRET: &str = "server-secret";

/// What masks a value that depends on several columns: the strategy they share, or a placeholder.
fn strictest(strategies: impl IntoIterator<Item = Strategy>) -> Option<Strategy> {
    let mut strategies = strategies.into_iter();
    let first = strategies.next()?;
    Some(if strategies.all(|other| other == first) { first } else { Strategy::Redact })
}

/// True for a strategy whose values do not depend on what they hide.
const fn shows_nothing(strategy: &Strategy) -> bool {
    matches!(strategy, Strategy::Null | Strategy::Constant(_))
}

/// Schema, relation and name of a column, with what mask rules call it.
#[derive(Clone)]
pub(super) struct Named {
    pub(super) schema: Box<str>,
    pub(super) relation: Box<str>,
    pub(super) column: Box<str>,
    pub(super) labels: BTreeSet<String>,
}

/// The hidden columns that decide on an answer.
pub(super) enum Deciding {
    None,
    /// Which they are cannot be told.
    Untold,
    /// Which they are, in this database.
    Columns(String, Vec<Named>),
}

/// Which columns the session's principal may see, asked of the policy once per relation.
#[derive(Debug)]
pub(super) struct SessionReveal {
    pub(super) policy: Arc<SessionPolicy>,
    pub(super) sensitive: Arc<[SensitiveColumn]>,
    pub(super) viewer: Viewer,
    pub(super) labels: Arc<Labels>,
    pub(super) shared: Arc<Unmasked>,
    pub(super) known: Mutex<Known>,
}

#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) catalog: Option<Arc<Catalog>>,
    /// The generation of labels that what follows was told by.
    generation: u64,
    relations: HashMap<u32, Arc<HiddenColumns>>,
    pub(super) anything: Option<bool>,
    /// Whether anything is hidden of what the server itself keeps.
    of_server: Option<bool>,
    /// What the names of columns say, as far as it was asked.
    labels: HashMap<ColumnRef, Option<Label>>,
    /// True where a mask rule names no column.
    pub(super) lacks: bool,
}

/// The hidden columns of one relation, by attribute number.
#[derive(Debug, Default)]
struct HiddenColumns {
    columns: HashMap<i16, Option<Strategy>>,
    any: bool,
}

impl SessionReveal {
    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
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

    pub(super) fn use_catalog(&self, catalog: Arc<Catalog>) {
        let mut known = self.known();
        if known.catalog.as_ref().is_some_and(|c| Arc::ptr_eq(c, &catalog)) {
            return;
        }
        let lacks = uncovered(&self.sensitive, &catalog).is_some();
        let generation = known.generation;
        *known = Known { catalog: Some(catalog), generation, lacks, ..Known::default() };
    }

    /// The hidden columns on which the operation's answers depend by the caller's choice.
    pub(super) fn deciding(&self, operation: &Operation) -> Deciding {
        let mut found = BTreeSet::new();
        for lineage in &operation.lineages {
            let (rows, nulls) = (self.conditions_of(lineage), self.made_nulls_of(lineage));
            let (Some(rows), Some(nulls)) = (rows, nulls) else { return Deciding::Untold };
            found.extend(rows.into_iter().chain(nulls));
        }
        if found.is_empty() {
            return Deciding::None;
        }
        let Some(catalog) = self.known().catalog.clone() else { return Deciding::Untold };
        let mut walk = Walk::new(&catalog);
        let named = found.into_iter().map(|column| self.names(&mut walk, &catalog, column));
        match named.collect::<Option<Vec<_>>>().map(|named| named.concat()) {
            Some(named) => Deciding::Columns(catalog.database().to_owned(), named),
            None => Deciding::Untold,
        }
    }

    /// The hidden columns by whose values it decides; `None` where they cannot be told.
    fn conditions_of(&self, lineage: &Lineage) -> Option<Vec<ColumnRef>> {
        let Origin::Columns(columns) = &lineage.conditions else {
            let unknown = lineage.unresolved && self.hides_anything();
            let hides = unknown || lineage.relations.iter().any(|r| self.relation_hides(*r));
            return (!hides).then(Vec::new);
        };
        let hidden = columns.iter().filter(|c| c.column != 0 && self.hides(**c));
        let mut found: Vec<ColumnRef> = hidden.copied().collect();
        for row in columns.iter().filter(|c| c.column == 0) {
            let all = self.of_relation(row.relation, 0)?;
            let all = all.columns.iter().filter(|(_, hidden)| hidden.is_some());
            found.extend(all.map(|(number, _)| ColumnRef { column: *number, ..*row }));
        }
        Some(found)
    }

    /// The hidden columns by whose NULL it decides, where that says more than that there is no value;
    /// `None` where they cannot be told.
    fn made_nulls_of(&self, lineage: &Lineage) -> Option<Vec<ColumnRef>> {
        let tells = |column: &ColumnRef| self.is_made(*column) && self.hides(*column);
        match &lineage.nulls {
            Origin::Columns(columns) => {
                Some(columns.iter().filter(|column| tells(column)).copied().collect())
            }
            Origin::Untraced => {
                let any = |relation: u32, kept: &KeptColumns| {
                    kept.keys().any(|column| tells(&ColumnRef { relation, column: *column }))
                };
                let mut relations = lineage.relations.iter();
                let told = relations.any(|r| self.labels.of(*r).is_some_and(|kept| any(*r, &kept)));
                (!told).then(Vec::new)
            }
        }
    }

    /// The names a hidden column is asked about by: its own, and those of the hidden columns its
    /// values came from, as far as the walk has not told of them.
    fn names<'c>(
        &self,
        walk: &mut Walk<'c>,
        catalog: &'c Catalog,
        at: ColumnRef,
    ) -> Option<Vec<Named>> {
        let relation = catalog.relation(at.relation)?;
        let own = relation.columns.iter().find(|c| c.number == at.column)?;
        let (mut named, behind) = (Vec::new(), walk.from(relation, own));
        for one in &behind {
            let number = ColumnRef { relation: one.relation.oid, column: one.column.number };
            let kept = self.labels.of_column(number);
            let sources = kept.iter().flat_map(|kept| kept.sources.iter());
            let hidden = sources.filter(|s| self.hides_source(catalog, s, 0).is_some());
            named.extend(hidden.map(|s| self.name_source(catalog, s)));
            if self.hidden_by_name(catalog, relation, one, behind.len()).is_some() {
                named.push(self.named(one.relation, &one.column.name));
            }
        }
        if named.is_empty() && !behind.is_empty() {
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

    /// True for a column that was filled with what an expression made of others.
    fn is_made(&self, column: ColumnRef) -> bool {
        self.labels.of_column(column).is_some_and(|kept| kept.kind != LabelKind::Plain)
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
    pub(super) fn hides_kept(
        &self,
        catalog: &Catalog,
        kept: &Kept,
        depth: usize,
    ) -> Option<Strategy> {
        let sources = kept.sources.iter();
        let hidden = sources.filter_map(|s| self.hides_source(catalog, s, depth));
        let anything = kept.kind == LabelKind::Untraced && self.hides_anything();
        let hidden = strictest(hidden.chain(anything.then_some(Strategy::Redact)))?;
        // Part of an expression that its maker chose would show what that one wants to see, and
        // pseudonyms of guesses would be a dictionary.
        Some(if kept.kind == LabelKind::Plain || shows_nothing(&hidden) {
            hidden
        } else {
            Strategy::Redact
        })
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

    pub(super) fn rules_of<'a>(
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

    pub(super) fn hides(&self, column: ColumnRef) -> bool {
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

    /// One definition for all that asks: a column is hidden where any column is that its values may come
    /// from: by its name, by its label, or behind a view.
    fn ask_columns(&self, catalog: &Catalog, relation: &Relation, depth: usize) -> HiddenColumns {
        if let Some(hidden) = self.ask_whole(catalog, relation, depth) {
            return hidden;
        }
        let mut hidden = HiddenColumns::default();
        let shown = relation.view.as_ref().map(|_| view_origins(catalog, relation));
        let mut walk = Walk::new(catalog);
        for (i, column) in relation.columns.iter().enumerate() {
            walk.anew();
            let behind = walk.from(relation, column);
            let found = behind.iter().flat_map(|one| {
                let number = ColumnRef { relation: one.relation.oid, column: one.column.number };
                let kept = self.labels.of_column(number);
                let kept = kept.and_then(|kept| self.hides_kept(catalog, &kept, depth));
                let named = self.hidden_by_name(catalog, relation, one, behind.len());
                let found = [named, kept].into_iter().flatten();
                found.map(|strategy| if one.made { Strategy::Redact } else { strategy })
            });
            let viewed = shown.as_ref().and_then(|origins| {
                let plain = catalog.shows_plainly(relation.oid, i);
                self.behind_view(relation, origins.get(i), plain, depth)
            });
            let strategy = strictest(found.chain(viewed));
            let strategy = strategy.map(|strategy| fitting(strategy, catalog, relation, column));
            hidden.any |= strategy.is_some();
            hidden.columns.insert(column.number, strategy);
        }
        hidden
    }

    /// The hidden columns of a partition: those of the whole table, between whose partitions rows go to
    /// and fro. `None` for what is no partition.
    fn ask_whole(&self, catalog: &Catalog, part: &Relation, depth: usize) -> Option<HiddenColumns> {
        let whole = partitioned_root(catalog, part)?;
        let of_whole = self.of_relation(whole.oid, depth)?;
        let mut hidden = HiddenColumns::default();
        for column in &part.columns {
            let same = whole.columns.iter().find(|c| c.name == column.name)?;
            let strategy = of_whole.columns.get(&same.number)?.clone();
            hidden.any |= strategy.is_some();
            hidden.columns.insert(column.number, strategy);
        }
        Some(hidden)
    }

    /// What hides a column behind one of `relation` by its own name. Of more relatives in the same schema
    /// than statements are traced to, those are asked about that mask rules name.
    fn hidden_by_name(
        &self,
        catalog: &Catalog,
        relation: &Relation,
        one: &Behind<'_>,
        relatives: usize,
    ) -> Option<Strategy> {
        let asked = relatives <= 2 * TRACED_CHILDREN
            || one.relation.oid == relation.oid
            || one.relation.schema != relation.schema
            || self.rules_of(one.relation, &one.column.name).next().is_some();
        if asked { self.ask(catalog, one.relation, &one.column.name) } else { None }
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

    /// What stands behind a view's column: hidden where any column behind it is. Part of an expression
    /// would show what its maker wants to see, and pseudonyms of guesses would be a dictionary: only a
    /// `plain` column has the strategy of what is behind it.
    fn behind_view(
        &self,
        view: &Relation,
        origin: Option<&Origin>,
        plain: bool,
        depth: usize,
    ) -> Option<Strategy> {
        // What cannot be followed may be anything that is hidden.
        let unknown = || self.hides_anything().then_some(Strategy::Redact);
        let Some(Origin::Columns(columns)) = origin else { return unknown() };
        if depth >= VIEW_DEPTH {
            return unknown();
        }
        let others = columns.iter().filter(|c| c.relation != view.oid);
        let strategies = others.filter_map(|c| match self.of_relation(c.relation, depth + 1) {
            None => unknown(),
            Some(hidden) if c.column == 0 => hidden.any.then_some(Strategy::Redact),
            Some(hidden) => hidden.columns.get(&c.column).cloned().unwrap_or_else(unknown),
        });
        let hidden = strictest(strategies)?;
        Some(if plain || shows_nothing(&hidden) { hidden } else { Strategy::Redact })
    }

    pub(super) fn ask(
        &self,
        catalog: &Catalog,
        relation: &Relation,
        column: &str,
    ) -> Option<Strategy> {
        let rules: Vec<&SensitiveColumn> = self.rules_of(relation, column).collect();
        let own = relation.shows_elsewhere(column).then_some(SERVER_SECRET);
        self.ask_by_name(catalog, [&relation.schema, &relation.name, column], &rules, own)
    }

    /// Asks the policy; `own`: what the gateway itself calls the column.
    pub(super) fn ask_by_name(
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
pub(super) fn beyond<'c>(catalog: &'c Catalog, relation: &'c Relation) -> Vec<&'c Relation> {
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

    fn hides_of_server(&self) -> bool {
        let (known, catalog) = {
            let known = self.known();
            (known.of_server, known.catalog.clone())
        };
        if let Some(known) = known {
            return known;
        }
        let Some(catalog) = catalog else { return true };
        let secret = |r: &Relation| {
            let mut own = r.columns.iter().filter(|column| r.shows_elsewhere(&column.name));
            own.any(|column| self.ask(&catalog, r, &column.name).is_some())
        };
        let hides = catalog.relations().filter(|r| r.is_system()).any(secret);
        self.known().of_server = Some(hides);
        hides
    }

    fn is_stored(&self, column: ColumnRef) -> bool {
        let Some(catalog) = self.known().catalog.clone() else { return false };
        let Some(relation) = catalog.relation(column.relation) else { return false };
        let mut own = relation.columns.iter().filter(|c| c.number == column.column);
        relation.view.is_none()
            && !matches!(relation.kind, RelationKind::View | RelationKind::MaterializedView)
            && own.any(|c| !c.generated && c.made_of.is_empty())
            && !self.is_made(column)
    }

    fn is_plain(&self, column: ColumnRef) -> bool {
        let Some(catalog) = self.known().catalog.clone() else { return false };
        let Some(relation) = catalog.relation(column.relation) else { return false };
        let place = relation.columns.iter().position(|c| c.number == column.column);
        let Some(place) = place else { return false };
        if !self.is_stored(column) {
            return relation.view.is_some() && catalog.shows_plainly(relation.oid, place);
        }
        // What inherits from it may work it out.
        let name = relation.columns.get(place).map(|c| &c.name);
        let mut parts = catalog.descendants(relation).flat_map(|part| &part.columns);
        !parts.any(|c| Some(&c.name) == name && (c.generated || !c.made_of.is_empty()))
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
