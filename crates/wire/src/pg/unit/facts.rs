//! The facts of a unit as a whole, from those of its statements: effects, kinds, and where its answers
//! come from.

use crate::pg::names::Resolved;
use portcullis_core::effect::{Certainty, Effect, Extent, Object, ObjectKind, Operation, Verb};
use portcullis_core::mask::{Lineage, NewColumn, NewTable, Origin as ColumnOrigin, Refill};
use portcullis_sql::statement::{NameChange, Statement, naming_parameter, unnamed_setting};
use smallvec::SmallVec;
use std::collections::HashSet;
use std::sync::Arc;

/// What the statements of a unit add up to.
#[derive(Debug, Default)]
pub(super) struct Facts {
    kinds: SmallVec<[Box<str>; 2]>,
    effects: SmallVec<[Effect; 2]>,
    pub(super) lineages: SmallVec<[Arc<Lineage>; 1]>,
    /// Effects counted already, once there are too many to look through.
    seen: HashSet<Effect>,
    /// Statements run and planned already, so that a thousand executions cost one look.
    run: Seen,
    planned: Seen,
}

/// A set of things kept alive elsewhere, by identity; no allocation for a few.
#[derive(Debug, Default)]
pub(super) struct Seen {
    few: SmallVec<[usize; 8]>,
    many: HashSet<usize>,
}

impl Seen {
    /// True where it was not there.
    pub(super) fn insert<T>(&mut self, thing: &Arc<T>) -> bool {
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

    pub(super) fn contains<T>(&self, thing: &Arc<T>) -> bool {
        let key = Arc::as_ptr(thing) as usize;
        self.few.contains(&key) || self.many.contains(&key)
    }
}

impl Facts {
    /// Counts a statement's effects, once; `preparing` where it is not run.
    pub(super) fn count(&mut self, statement: &Arc<Statement>, preparing: bool) {
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
    pub(super) fn count_named(
        &mut self,
        statement: &Statement,
        name: impl Fn(u16) -> Option<String>,
    ) {
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

    pub(super) fn add(&mut self, effect: Effect) {
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

    pub(super) fn kind(&mut self, kind: &str) {
        if self.kinds.last().is_none_or(|last| &**last != kind) {
            self.kinds.push(kind.into());
        }
    }

    pub(super) fn finish(mut self) -> Operation {
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
pub(super) fn session_effect() -> Effect {
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

/// Where the answer of a statement comes from. One that answers with no rows has no columns; if it
/// changes something, its error texts may still quote what it touched.
pub(super) fn own_lineage(statement: &Statement) -> Arc<Lineage> {
    statement.lineage.clone().unwrap_or_else(|| {
        let harmless = |e: &Effect| matches!(e.verb, Verb::Read | Verb::Control);
        let user_code = !statement.effects.iter().all(harmless);
        Arc::new(Lineage { outputs: Some(Vec::new()), user_code, ..Lineage::default() })
    })
}

/// The lineage of what runs behind a change of definitions: what its names stand for, and so where
/// anything in it comes from, is not what was known when it was analysed. What it updates may have
/// partitions by now, from one of which rows go to another.
pub(super) fn outdated(known: &Lineage, updates: bool) -> Lineage {
    let writes = updates
        || !known.sinks.is_empty()
        || !known.fills.is_empty()
        || !known.moves.is_empty()
        || known.makes.is_some();
    let unknown_if_any = |known: &ColumnOrigin| match known == &ColumnOrigin::default() {
        true => ColumnOrigin::default(),
        false => ColumnOrigin::Untraced,
    };
    let makes = known.makes.clone().map(|mut table| {
        table.columns = None;
        table
    });
    Lineage {
        sinks: if writes { vec![ColumnOrigin::Untraced] } else { Vec::new() },
        conditions: unknown_if_any(&known.conditions),
        nulls: unknown_if_any(&known.nulls),
        relations: known.relations.clone(),
        unresolved: true,
        user_code: true,
        makes,
        refills: known.refills.iter().map(|r| Refill { columns: None, ..r.clone() }).collect(),
        ..Lineage::default()
    }
}

/// The answer may come from anywhere.
pub(super) fn untold() -> Arc<Lineage> {
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
pub(super) fn lineage(resolved: &Resolved) -> Arc<Lineage> {
    if resolved.unusable.is_some() {
        let makes = |s: &Arc<Statement>| s.lineage.as_ref().and_then(|l| l.makes.clone());
        let makes = resolved.chain.iter().find_map(makes);
        // What reaches the new table may come from anywhere.
        let sinks = makes.iter().map(|_| ColumnOrigin::Untraced).collect();
        return Arc::new(Lineage { makes, sinks, ..Lineage::clone(&untold()) });
    }
    let inner = own_lineage(&resolved.statement);
    let outer = resolved.chain.iter().rev().skip(1);
    let around: Vec<_> =
        outer.filter_map(|outer| Some((&*outer.kind, outer.lineage.as_ref()?))).collect();
    if around.is_empty() {
        return inner;
    }
    let mut merged = (*inner).clone();
    for (_, own) in &around {
        // The values an EXECUTE is given are worked out too, and go where the parameters are.
        merged.relations.extend_from_slice(&own.relations);
        merged.sinks.extend(own.sinks.iter().cloned());
        merged.conditions.add(&own.conditions);
        merged.missing |= own.missing;
    }
    // EXECUTE and FETCH answer with the rows of what they name. Any other statement around a name
    // (EXPLAIN EXECUTE) has an answer of its own.
    let mut others = around.iter().filter(|(k, _)| !matches!(*k, "execute" | "fetch" | "move"));
    let untraced = |outputs: &Vec<ColumnOrigin>| vec![ColumnOrigin::Untraced; outputs.len()];
    if let Some((_, own)) = others.next() {
        merged.outputs = own.outputs.as_ref().map(untraced);
        merged.user_code |= own.user_code;
        merged.unresolved |= own.unresolved;
        if let Some(table) = &own.makes {
            make_from(&mut merged, table, inner.outputs.as_deref());
        }
    }
    Arc::new(merged)
}
