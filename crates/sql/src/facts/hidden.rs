//! What a write does beyond its target: triggers, rules, cascades, partitions, and the tables
//! behind a view.

use super::resolve::Candidates;
use super::scope::{add, nothing};
use super::{Analyzer, MAX_SINKS, Result};
use crate::catalog::{
    HiddenCode, Reference, Relation, RelationKind, TRACED_CHILDREN, Trigger, trigger_event,
};
use pg_query::protobuf::RangeVar;
use portcullis_core::effect::{Certainty, Extent, ObjectKind, Verb};
use portcullis_core::mask::{ColumnRef, Fill, Move, NewColumn, Origin};
use smallvec::SmallVec;
use std::collections::HashSet;

/// Partitions of which triggers and rules are looked at.
const MAX_FOLLOWED: usize = 100_000;

/// A write that is being followed.
struct Trail {
    /// What has been looked at, so that a cycle of foreign keys ends.
    seen: HashSet<(u32, Verb)>,
}

impl<'c> Analyzer<'c> {
    /// A write of whatever the name may mean, and everything that follows from it. `columns`: those
    /// that an `UPDATE` sets, where that is known.
    pub(super) fn write(
        &mut self,
        verb: Verb,
        name: &RangeVar,
        candidates: &Candidates<'c>,
        extent: Extent,
        columns: Option<&[&str]>,
    ) -> Result<()> {
        self.effect_on(verb, name, candidates, extent);
        let mut trail = Trail { seen: HashSet::new() };
        for relation in candidates {
            if relation.is_system() {
                // By what rules know columns, and what views show, is written there.
                self.sink(Origin::Untraced);
                self.unresolved = true;
            }
            self.follow(verb, relation, name.inh, columns, &mut trail)?;
            self.reach_relatives(verb, relation, name.inh);
        }
        Ok(())
    }

    fn follow(
        &mut self,
        verb: Verb,
        relation: &'c Relation,
        inherit: bool,
        columns: Option<&[&str]>,
        trail: &mut Trail,
    ) -> Result<()> {
        if !trail.seen.insert((relation.oid, verb)) {
            return Ok(());
        }
        self.charge(1)?;
        self.code_of(verb, relation);
        self.fire_own(verb, relation, columns)?;
        self.reach_beyond(relation);
        if relation.view.is_some() || relation.kind == RelationKind::View {
            self.follow_view(verb, relation, trail)?;
        }
        if inherit {
            let mut children: SmallVec<[&Relation; 4]> = SmallVec::new();
            self.descendants(relation, MAX_FOLLOWED, &mut children);
            if verb == Verb::Update && may_move(relation, &children, columns) {
                self.moved(Move::Partitions(relation.oid));
            }
            for (place, child) in children.into_iter().enumerate() {
                if place < TRACED_CHILDREN || child.schema != relation.schema {
                    let object = self.relation_object(child);
                    self.effect(verb, object, Extent::Some, Certainty::Assumed);
                }
                self.nested(|a| a.follow(verb, child, false, columns, trail))?;
            }
        }
        for reference in &relation.references {
            self.follow_reference(verb, relation, reference, columns, trail)?;
        }
        Ok(())
    }

    /// Triggers, rules, and functions in defaults, checks, indexes and conditions of triggers.
    fn code_of(&mut self, verb: Verb, relation: &'c Relation) {
        for (schema, function) in
            fired(verb, relation).filter(|t| !is_known(t)).map(|t| &t.function)
        {
            let object = self.object(ObjectKind::Routine, [&**schema, &**function]);
            self.execute(object);
        }
        let runs = |c: &&HiddenCode| c.on_read || c.on_delete || verb != Verb::Delete;
        for code in relation.code.iter().filter(runs) {
            self.run_unnamed(&code.function);
        }
        if !matches!(verb, Verb::Delete | Verb::Truncate) {
            let catalog = self.catalog;
            self.may_read_literals(relation, |type_oid| catalog.runs_code(type_oid));
        }
        if relation.rules {
            let object =
                self.object(ObjectKind::Routine, [&*relation.schema, &*relation.name, "rules"]);
            self.execute(object);
        }
    }

    /// Triggers whose functions are the server's own.
    fn fire_own(
        &mut self,
        verb: Verb,
        relation: &'c Relation,
        columns: Option<&[&str]>,
    ) -> Result<()> {
        for trigger in fired(verb, relation).filter(|t| is_known(t)) {
            if searches_text(&trigger.function.1) {
                let arguments: Vec<&str> = trigger.arguments.iter().map(|a| &**a).collect();
                self.text_searched(relation, &arguments)?;
                continue;
            }
            // Whether a row counts as changed depends on what it was.
            let shape = self.relation_shape(relation, false)?;
            let set = |name: &str| columns.is_none_or(|columns| columns.contains(&name));
            for column in shape.columns.iter().flatten() {
                if column.name.as_deref().is_some_and(set) {
                    self.decide(&column.origin);
                }
            }
        }
        Ok(())
    }

    /// What `tsvector_update_trigger` does by these arguments: the words of some columns, which
    /// stand behind the first two, go to the first.
    pub(super) fn text_searched(
        &mut self,
        relation: &'c Relation,
        arguments: &[&str],
    ) -> Result<()> {
        let shape = self.relation_shape(relation, false)?;
        let mut from = nothing();
        for (place, name) in arguments.iter().enumerate().skip(1) {
            let mut columns = shape.columns.iter().flatten();
            match columns.find(|c| c.name.as_deref() == Some(*name)) {
                Some(column) => add(&mut from, &column.origin),
                // The language, as it is or by a column.
                None if place == 1 => {}
                None => add(&mut from, &shape.whole()),
            }
        }
        let to = arguments.first().and_then(|name| {
            let column = relation.columns.iter().find(|c| *c.name == **name)?;
            Some(ColumnRef { relation: relation.oid, column: column.number })
        });
        match to {
            Some(to) => {
                let from = NewColumn { origin: from, plain: false };
                self.moved(Move::Column(Fill { to: SmallVec::from_iter([to]), from }));
            }
            None => self.sink(from),
        }
        Ok(())
    }

    fn moved(&mut self, way: Move) {
        if self.moves.len() >= MAX_SINKS {
            self.sink(Origin::Untraced);
        } else if !self.moves.contains(&way) {
            self.moves.push(way);
        }
    }

    /// Rows are written or indexed again, or sampled: what is computed of them, and what compares
    /// them, runs.
    pub(super) fn rebuilt(&mut self, candidates: &Candidates<'c>) -> Result<()> {
        for relation in candidates {
            let mut all: SmallVec<[&Relation; 4]> = SmallVec::from_slice(&[*relation]);
            self.descendants(relation, MAX_FOLLOWED, &mut all);
            self.charge(all.len())?;
            for one in all {
                for code in &one.code {
                    self.run_unnamed(&code.function);
                }
                let catalog = self.catalog;
                self.may_read_literals(one, |type_oid| catalog.runs_code(type_oid));
            }
        }
        Ok(())
    }

    /// A write of a view writes what is behind it.
    fn follow_view(&mut self, verb: Verb, view: &'c Relation, trail: &mut Trail) -> Result<()> {
        let depends = view.view.iter().flat_map(|body| &body.depends);
        for (oid, _) in depends {
            let Some(behind) = self.catalog.relation(*oid) else {
                self.unresolved = true;
                continue;
            };
            let object = self.relation_object(behind);
            self.effect(verb, object, Extent::Some, Certainty::Assumed);
            // Columns may have other names behind the view.
            self.nested(|a| a.follow(verb, behind, true, None, trail))?;
        }
        Ok(())
    }

    fn follow_reference(
        &mut self,
        verb: Verb,
        relation: &'c Relation,
        reference: &Reference,
        columns: Option<&[&str]>,
        trail: &mut Trail,
    ) -> Result<()> {
        let action = match verb {
            Verb::Delete => reference.on_delete,
            Verb::Update if sets_key(relation, reference, columns) => reference.on_update,
            _ => return Ok(()),
        };
        let verb = match (verb, action) {
            (Verb::Delete, 'c') => Verb::Delete,
            (_, 'c' | 'n' | 'd') => Verb::Update,
            _ => return Ok(()),
        };
        let Some(child) = self.catalog.relation(reference.child) else {
            self.unresolved = true;
            return Ok(());
        };
        let object = self.relation_object(child);
        self.effect(verb, object, Extent::Some, Certainty::Assumed);
        self.nested(|a| a.follow(verb, child, true, None, trail))
    }

    /// `TRUNCATE … CASCADE`: every table with a foreign key to this one, whatever its actions.
    pub(super) fn truncate(
        &mut self,
        name: &RangeVar,
        candidates: &Candidates<'c>,
        cascade: bool,
    ) -> Result<()> {
        self.write(Verb::Truncate, name, candidates, Extent::All, None)?;
        if !cascade {
            return Ok(());
        }
        let mut seen: HashSet<u32> = HashSet::new();
        let mut open: Vec<&Relation> = candidates.to_vec();
        while let Some(next) = open.pop() {
            for reference in &next.references {
                let Some(child) = self.catalog.relation(reference.child) else {
                    self.unresolved = true;
                    continue;
                };
                if seen.insert(child.oid) {
                    let object = self.relation_object(child);
                    self.effect(Verb::Truncate, object, Extent::All, Certainty::Assumed);
                    let mut trail = Trail { seen: HashSet::new() };
                    self.follow(Verb::Truncate, child, true, None, &mut trail)?;
                    open.push(child);
                }
            }
        }
        Ok(())
    }
}

/// The triggers of a table that such a change fires.
fn fired(verb: Verb, relation: &Relation) -> impl Iterator<Item = &Trigger> {
    let events = match verb {
        Verb::Insert => trigger_event::INSERT,
        Verb::Delete => trigger_event::DELETE,
        Verb::Truncate => trigger_event::TRUNCATE,
        // A row that no longer belongs moves: it is deleted here and inserted there.
        Verb::Update if !relation.parents.is_empty() => {
            trigger_event::UPDATE | trigger_event::DELETE | trigger_event::INSERT
        }
        _ => trigger_event::UPDATE,
    };
    relation.triggers.iter().filter(move |t| t.events & events != 0)
}

/// True for a trigger of which it is known what it does.
fn is_known(trigger: &Trigger) -> bool {
    let name = &*trigger.function.1;
    trigger.of_server && (searches_text(name) || name == "suppress_redundant_updates_trigger")
}

/// True for a function of the server that keeps the words of other columns.
pub(super) fn searches_text(function: &str) -> bool {
    matches!(function, "tsvector_update_trigger" | "tsvector_update_trigger_column")
}

/// True where an `UPDATE` may change to which partition a row belongs: by what it sets, or by a
/// trigger.
fn may_move(relation: &Relation, below: &[&Relation], columns: Option<&[&str]>) -> bool {
    if relation.kind != RelationKind::Partitioned {
        return false;
    }
    let mut all = below.iter().copied().chain([relation]);
    all.any(|r| {
        let key = super::evaluated::key_of(r);
        let sets = |columns: &[&str]| match &key {
            Some(key) => key.iter().any(|name| columns.contains(name)),
            None => true,
        };
        let divides = r.kind == RelationKind::Partitioned;
        divides && columns.is_none_or(sets) || r.triggers.iter().any(|t| t.of_server)
    })
}

/// True where the `UPDATE` may change the columns that the foreign key points to.
fn sets_key(relation: &Relation, reference: &Reference, columns: Option<&[&str]>) -> bool {
    let Some(columns) = columns else { return true };
    let mut key = relation.columns.iter().filter(|c| reference.key.contains(&c.number));
    reference.key.is_empty() || key.any(|c| columns.contains(&&*c.name))
}
