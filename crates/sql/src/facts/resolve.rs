//! Names of relations to what they may mean, and what reading one takes in: the relations behind
//! it, partitions and parents, and the code of users that runs on the way.

use super::conditions::Carried;
use super::scope::{Base, OutCol, Shape, Table, add, nothing, of_column};
use super::standing::is_of_sessions;
use super::typed::{Typed, common_of};
use super::{Analyzer, Result};
use crate::catalog::{ImplicitCast, Relation, RelationKind, TRACED_CHILDREN, ViewFacts};
use crate::statement::GoesBy;
use pg_query::protobuf::{Alias, RangeVar};
use portcullis_core::effect::{Certainty, Extent, Object, ObjectKind, Verb};
use portcullis_core::mask::Origin;
use smallvec::SmallVec;
use std::rc::Rc;

/// What a name may mean.
pub(super) type Candidates<'c> = SmallVec<[&'c Relation; 2]>;

/// The schema as written.
pub(super) fn written_schema(name: &RangeVar) -> Option<&str> {
    if !name.schemaname.is_empty() {
        Some(&name.schemaname)
    } else if name.relpersistence == "t" {
        Some("pg_temp")
    } else {
        None
    }
}

impl<'c> Analyzer<'c> {
    pub(super) fn candidates(&self, name: &RangeVar) -> Candidates<'c> {
        if !name.catalogname.is_empty() && name.catalogname != self.catalog.database() {
            return SmallVec::new();
        }
        let schema = (!name.schemaname.is_empty()).then_some(name.schemaname.as_str());
        self.catalog.relations_named(schema, &name.relname)
    }

    pub(super) fn relation_object(&self, relation: &Relation) -> Object {
        let kind = match relation.kind {
            RelationKind::Sequence => ObjectKind::Sequence,
            _ => ObjectKind::Relation,
        };
        self.object(kind, [&*relation.schema, &*relation.name])
    }

    /// The object for a name that did not resolve.
    pub(super) fn unknown_relation(&self, name: &RangeVar) -> Object {
        let schema = written_schema(name).unwrap_or("?");
        self.object(ObjectKind::Relation, [schema, name.relname.as_str()])
    }

    /// An effect on whatever the name may mean.
    pub(super) fn effect_on(
        &mut self,
        verb: Verb,
        name: &RangeVar,
        candidates: &Candidates<'c>,
        extent: Extent,
    ) {
        let certainty =
            if candidates.len() == 1 { Certainty::Resolved } else { Certainty::Assumed };
        for relation in candidates {
            self.effect(verb, self.relation_object(relation), extent, certainty);
        }
        if candidates.is_empty() {
            self.not_found();
            self.effect(verb, self.unknown_relation(name), extent, Certainty::Assumed);
            self.what_is_not_there(verb, name, extent);
        }
    }

    /// What a name stands for that is not in the catalog is not known, whatever schema was written: it may
    /// be of another session, or made a moment ago, and run anything. Rules on the schema that was written
    /// hold as well.
    fn what_is_not_there(&mut self, verb: Verb, name: &RangeVar, extent: Extent) {
        let defines = matches!(verb, Verb::Create | Verb::Alter | Verb::Drop | Verb::Grant);
        if !defines && !self.earlier.names_new(name) {
            let unknown = self.object(ObjectKind::Relation, ["?", name.relname.as_str()]);
            self.effect(verb, unknown, extent, Certainty::Assumed);
        }
        // Long values of a table lie in one that is named by its number.
        let owner = name.relname.strip_prefix("pg_toast_").and_then(|oid| oid.parse().ok());
        if let Some(owner) = owner.and_then(|oid: u32| self.catalog.relation(oid)) {
            self.effect(verb, self.relation_object(owner), extent, Certainty::Assumed);
            self.reach_relatives(verb, owner, true);
        }
    }

    /// Rows of a table are rows of what it is a part of, and of what its parts are parts of: rules on
    /// those hold for them as well. `inherit`: rows of its parts are among those that are reached.
    ///
    /// Of more parts in its own schema than statements are traced to, the rest is not told.
    pub(super) fn reach_relatives(&mut self, verb: Verb, relation: &'c Relation, inherit: bool) {
        let alone = relation.parents.is_empty() && (!inherit || relation.children.is_empty());
        if alone {
            return;
        }
        let below: Vec<&Relation> = match inherit {
            true => self.catalog.descendants(relation).collect(),
            false => Vec::new(),
        };
        let told = |(place, part): &(usize, &&Relation)| {
            *place < TRACED_CHILDREN || part.schema != relation.schema
        };
        let mut all: Vec<&Relation> =
            below.iter().enumerate().filter(told).map(|(_, part)| *part).collect();
        for one in std::iter::once(relation).chain(below.iter().copied()) {
            // Nearly always that is the table itself and no other.
            let above = one.parents.iter().any(|oid| *oid != relation.oid);
            for parent in self.catalog.ancestors(one).filter(|_| above) {
                if parent.oid != relation.oid && !all.iter().any(|r| r.oid == parent.oid) {
                    all.push(parent);
                }
            }
        }
        for one in all {
            self.effect(verb, self.relation_object(one), Extent::Some, Certainty::Assumed);
        }
    }

    /// Reads a relation by name and puts it in scope.
    pub(super) fn read_relation(&mut self, name: &RangeVar, extent: Extent) -> Result<Table> {
        let candidates = self.candidates(name);
        self.effect_on(Verb::Read, name, &candidates, extent);
        for relation in &candidates {
            self.note_read(relation, name.inh)?;
            self.reach_relatives(Verb::Read, relation, name.inh);
        }
        self.table(name, &candidates)
    }

    /// A relation in scope under its alias, without an effect.
    pub(super) fn table(&mut self, name: &RangeVar, all: &Candidates<'c>) -> Result<Table> {
        let mut shape: Option<Shape> = None;
        let mut row = nothing();
        for relation in all {
            let one = self.relation_shape(relation, name.inh)?;
            add(&mut row, &of_column(relation.oid, 0));
            let alone = relation.parents.is_empty() && (!name.inh || relation.children.is_empty());
            if relation.kind != RelationKind::Table || !alone {
                add(&mut row, &one.whole());
            }
            shape = Some(match shape {
                None => one,
                Some(other) => either(other, &one),
            });
        }
        let shape = shape.unwrap_or_else(|| {
            row = Origin::Untraced;
            Shape::unknown()
        });
        let base = match all.as_slice() {
            [one] if one.is_system() => Some(Base::Relation(one.oid)),
            _ => None,
        };
        let (own_name, shape) = (name.relname.as_str().into(), Rc::new(shape));
        let table = Table { name: own_name, shape, row: Some(row), base };
        Ok(rename(table, name.alias.as_ref()))
    }

    /// Notes relations that something else reads, which has noted what is behind them.
    pub(super) fn relate(&mut self, relations: &[u32]) {
        for oid in relations {
            if self.relations.insert(*oid) {
                self.alone.insert(*oid);
            }
        }
    }

    /// Notes that a relation, and everything behind it, is read.
    pub(super) fn note_read(&mut self, relation: &'c Relation, inherit: bool) -> Result<()> {
        let known = !self.relations.insert(relation.oid);
        // Noted alone, its children and parents have still to be.
        let alone = known && inherit && self.alone.remove(&relation.oid);
        if known && !alone {
            return Ok(());
        }
        if !inherit {
            self.alone.insert(relation.oid);
        }
        self.charge(1)?;
        if relation.is_system() && is_of_sessions(&relation.name) {
            self.goes_by = Some(GoesBy::Sessions);
        }
        for code in relation.code.iter().filter(|c| c.on_read) {
            self.user_code = true;
            // Behind a row-security policy that is too much to say of a function which the server
            // does not let write, and whose like is behind nearly all of them.
            let (schema, function) = &code.function;
            let mut named = self.catalog.functions_named(Some(schema), function).into_iter();
            let of_server = &**schema == "pg_catalog" && self.catalog.builtin(function).is_some();
            if relation.view.is_some() || of_server || named.any(|f| f.volatility == 'v') {
                self.run_unnamed(&code.function);
            }
        }
        let converted = relation.columns.iter().any(|c| self.catalog.casts_implicitly(c.type_oid));
        self.user_code |= converted;
        // A row has the type of its table's name; what is in lists and rows is reached by taking them
        // apart.
        let row =
            |cast: &ImplicitCast| cast.name == relation.name && cast.schema == relation.schema;
        self.may_cast(|cast| converted || row(cast));
        let catalog = self.catalog;
        self.may_read_literals(relation, |type_oid| catalog.adopts_literals(type_oid));
        self.reach_beyond(relation);
        if relation.view.is_some() {
            let facts = self.view_facts(relation)?;
            self.run_view(relation, &facts);
            for oid in &facts.relations {
                if let Some(behind) = self.catalog.relation(*oid) {
                    // A view is no way around a rule on what stands behind it. Those of the system
                    // stand for themselves: nearly all of them read the same few catalogs. What of
                    // the system a view names itself is among its effects.
                    if !relation.is_system() && !behind.is_system() {
                        let object =
                            self.object(ObjectKind::Relation, [&*behind.schema, &*behind.name]);
                        self.effect(Verb::Read, object, Extent::Some, Certainty::Resolved);
                    }
                    self.nested(|a| a.note_read(behind, true))?;
                }
            }
        }
        let children = if inherit { relation.children.as_slice() } else { &[] };
        for oid in children.iter().chain(&relation.parents) {
            let Some(other) = self.catalog.relation(*oid) else {
                self.not_found();
                continue;
            };
            self.nested(|a| a.note_read(other, inherit))?;
        }
        Ok(())
    }

    /// A literal may be read as a value of a column's type, or of the row's.
    pub(super) fn may_read_literals(&mut self, relation: &Relation, coded: impl Fn(u32) -> bool) {
        if let Some(column) = relation.columns.iter().find(|c| coded(c.type_oid)) {
            let path = [&*relation.schema, &*relation.name, &*column.name];
            let object = self.object(ObjectKind::Type, path);
            self.execute(object);
        }
    }

    /// Rows of a foreign table lie elsewhere: in a file, at another server, or in this one again,
    /// under other names.
    pub(super) fn reach_beyond(&mut self, relation: &Relation) {
        if relation.kind == RelationKind::Foreign {
            let object = self.relation_object(relation);
            self.effect(Verb::Forward, object, Extent::Unknown, Certainty::Assumed);
            self.opaque = true;
        }
    }

    /// What reading a view does beside reading what is behind it. A materialized one did it when it
    /// was filled, and shows what came of it.
    fn run_view(&mut self, view: &Relation, facts: &ViewFacts) {
        self.user_code |= facts.user_code;
        self.opaque |= facts.opaque;
        self.unresolved |= facts.unresolved;
        let past = view.kind == RelationKind::MaterializedView;
        let effects = facts.effects.iter().filter(|e| !past || e.verb == Verb::Read);
        effects.for_each(|effect| self.push(effect.clone()));
        if past {
            return;
        }
        self.rereads |= facts.rereads;
        self.goes_by = self.goes_by.max(facts.goes_by);
        facts.sinks.iter().for_each(|origin| self.sink(origin.clone()));
    }

    /// The columns of a relation and where they come from.
    pub(super) fn relation_shape(&mut self, relation: &'c Relation, inh: bool) -> Result<Shape> {
        let count = relation.columns.len();
        self.charge(count)?;
        let facts = match relation.view {
            Some(_) => Some(self.view_facts(relation)?),
            None => None,
        };
        let mut relatives: SmallVec<[&Relation; 4]> = SmallVec::new();
        if inh {
            self.descendants(relation, TRACED_CHILDREN, &mut relatives);
        }
        let own = relatives.len();
        self.ancestors(relation, &mut relatives);
        // An update of a key moves rows from one partition to another.
        let above: SmallVec<[&Relation; 4]> = relatives.iter().skip(own).copied().collect();
        for parent in above.iter().filter(|r| r.kind == RelationKind::Partitioned) {
            self.descendants(parent, relatives.len() + TRACED_CHILDREN, &mut relatives);
        }
        self.charge(relatives.len() * count)?;
        let mut columns = Vec::with_capacity(count);
        for (place, column) in relation.columns.iter().enumerate() {
            let mut origin = of_column(relation.oid, column.number);
            if let Some(facts) = &facts {
                add(&mut origin, facts.columns.get(place).unwrap_or(&Origin::Untraced));
            }
            for source in &column.made_of {
                add(&mut origin, &of_column(relation.oid, *source));
            }
            let shown = facts.as_ref().is_none_or(|f| f.plain.get(place) == Some(&true));
            let mut plain = shown && column.made_of.is_empty() && !column.generated;
            for relative in &relatives {
                if let Some(same) = relative.columns.iter().find(|c| c.name == column.name) {
                    add(&mut origin, &of_column(relative.oid, same.number));
                    // It may be generated there, or by another expression.
                    for source in &same.made_of {
                        add(&mut origin, &of_column(relative.oid, *source));
                    }
                    plain &= !same.generated;
                }
            }
            if relation.shows_elsewhere(&column.name) {
                origin = Origin::Untraced;
                self.opaque = true;
                plain = false;
            }
            let typed = Some(Typed::Of(column.type_oid));
            let (name, carried) = (Some((&*column.name).into()), Some(Carried::AS_IT_IS));
            columns.push(OutCol { name, origin, plain, typed, carried });
        }
        Ok(Shape::of(columns))
    }

    /// Partitions and inheriting tables, all levels, up to a limit.
    pub(super) fn descendants(
        &self,
        relation: &'c Relation,
        limit: usize,
        into: &mut SmallVec<[&'c Relation; 4]>,
    ) {
        let room = limit.saturating_sub(into.len());
        into.extend(self.catalog.descendants(relation).take(room));
    }

    /// What a partition belongs to: its rows are the parent's rows.
    pub(super) fn ancestors(&self, relation: &'c Relation, into: &mut SmallVec<[&'c Relation; 4]>) {
        into.extend(self.catalog.ancestors(relation).take(TRACED_CHILDREN));
    }
}

/// A table under its alias.
pub(super) fn rename(table: Table, alias: Option<&Alias>) -> Table {
    let Some(alias) = alias else { return table };
    let name: Rc<str> = alias.aliasname.as_str().into();
    if alias.colnames.is_empty() {
        return Table { name, ..table };
    }
    let mut shape = (*table.shape).clone();
    rename_columns(&mut shape, &alias.colnames);
    Table { shape: Rc::new(shape), name, ..table }
}

/// Gives the first columns new names.
pub(super) fn rename_columns(shape: &mut Shape, names: &[pg_query::protobuf::Node]) {
    let Some(columns) = &mut shape.columns else { return };
    for (column, name) in columns.iter_mut().zip(names) {
        column.name = super::names::string(name).map(Rc::from);
    }
}

/// What a column is where a name may mean either of two relations.
fn either(a: Shape, b: &Shape) -> Shape {
    let names = |shape: &Shape| -> Option<Vec<Option<Rc<str>>>> {
        Some(shape.columns.as_ref()?.iter().map(|c| c.name.clone()).collect())
    };
    let whole = super::scope::join(a.whole(), &b.whole());
    if names(&a) != names(b) {
        return Shape::unlisted(whole);
    }
    let mut a = a;
    for (mine, other) in a.columns.iter_mut().flatten().zip(b.columns.iter().flatten()) {
        add(&mut mine.origin, &other.origin);
        mine.plain &= other.plain;
        mine.typed = common_of(mine.typed, other.typed);
        mine.carried = Carried::either([mine.carried, other.carried].into_iter());
    }
    a
}
