//! What a write does beyond its target: triggers, rules, cascades, partitions, and the tables
//! behind a view.

use super::resolve::{Candidates, MAX_CHILDREN};
use super::{Analyzer, Result};
use crate::catalog::{Reference, Relation, RelationKind, trigger_event};
use pg_query::protobuf::RangeVar;
use portcullis_core::effect::{Certainty, Extent, ObjectKind, Verb};
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
            self.follow(verb, relation, name.inh, columns, &mut trail)?;
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
        self.reach_beyond(relation);
        if relation.view.is_some() || relation.kind == RelationKind::View {
            self.follow_view(verb, relation, trail)?;
        }
        if inherit {
            let mut children: SmallVec<[&Relation; 4]> = SmallVec::new();
            self.descendants(relation, MAX_FOLLOWED, &mut children);
            for (place, child) in children.into_iter().enumerate() {
                if place < MAX_CHILDREN || child.schema != relation.schema {
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

    /// Triggers, rules, and functions of users in defaults, checks and indexes.
    fn code_of(&mut self, verb: Verb, relation: &'c Relation) {
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
        let fires = relation.triggers.iter().filter(|t| t.events & events != 0);
        let mut code: Vec<&(Box<str>, Box<str>)> = fires.map(|t| &t.function).collect();
        let unnamed = relation.code.iter().filter(|c| c.on_read || verb != Verb::Delete);
        code.extend(unnamed.map(|c| &c.function));
        for (schema, function) in code {
            let object = self.object(ObjectKind::Routine, [&**schema, &**function]);
            self.execute(object);
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

    /// Rows are written or indexed again, or sampled: what is computed of them, and what compares
    /// them, runs.
    pub(super) fn rebuilt(&mut self, candidates: &Candidates<'c>) -> Result<()> {
        for relation in candidates {
            let mut all: SmallVec<[&Relation; 4]> = SmallVec::from_slice(&[*relation]);
            self.descendants(relation, MAX_FOLLOWED, &mut all);
            self.charge(all.len())?;
            for one in all {
                for code in &one.code {
                    let (schema, function) = &code.function;
                    let object = self.object(ObjectKind::Routine, [&**schema, &**function]);
                    self.execute(object);
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

/// True where the `UPDATE` may change the columns that the foreign key points to.
fn sets_key(relation: &Relation, reference: &Reference, columns: Option<&[&str]>) -> bool {
    let Some(columns) = columns else { return true };
    let mut key = relation.columns.iter().filter(|c| reference.key.contains(&c.number));
    reference.key.is_empty() || key.any(|c| columns.contains(&&*c.name))
}
