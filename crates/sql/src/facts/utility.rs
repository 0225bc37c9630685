//! Every kind of statement, and those that are neither queries, nor about the session, nor
//! definitions: `COPY`, `EXPLAIN`, `DO`, `CALL`, maintenance.

use super::copied::{Direction, copy_format};
use super::names::{option, option_text, string};
use super::resolve::Candidates;
use super::scope::{OutCol, Shape};
use super::written::targets_named;
use super::{Analyzer, Result};
use crate::catalog::{Relation, ViewFacts};
use crate::statement::{Copy, CopyIn, NameChange, Statement, Targets};
use pg_query::NodeEnum;
use pg_query::protobuf::{
    CallStmt, CopyStmt, CreateTableAsStmt, DefElem, ExplainStmt, IntoClause, LockStmt, Node,
    RangeVar, ReindexObjectType, ReindexStmt, SelectStmt, VacuumStmt,
};
use portcullis_core::effect::{Certainty, Effect, Extent, Object, ObjectKind, Verb};
use portcullis_core::mask::{ColumnRef, NewColumn, NewTable, Origin, Refill};
use std::sync::Arc;

/// `AccessShareLock`, which every query takes (PostgreSQL `src/include/storage/lockdefs.h`).
const ACCESS_SHARE: i32 = 1;

/// The kind of a statement, and the shape of its answer if it has one.
pub(super) type Facts = (&'static str, Option<Shape>);

impl Analyzer<'_> {
    pub(super) fn dispatch(&mut self, node: &Node) -> Result<Facts> {
        self.nested(|a| match node.node.as_ref() {
            Some(NodeEnum::SelectStmt(s)) => a.select_statement(s),
            Some(NodeEnum::InsertStmt(s)) => {
                let shape = a.insert(s)?;
                Ok(("insert", s.returning_clause.is_some().then_some(shape)))
            }
            Some(NodeEnum::UpdateStmt(s)) => {
                let shape = a.update(s)?;
                Ok(("update", s.returning_clause.is_some().then_some(shape)))
            }
            Some(NodeEnum::DeleteStmt(s)) => {
                let shape = a.delete(s)?;
                Ok(("delete", s.returning_clause.is_some().then_some(shape)))
            }
            Some(NodeEnum::MergeStmt(s)) => {
                let shape = a.merge(s)?;
                Ok(("merge", s.returning_clause.is_some().then_some(shape)))
            }
            Some(NodeEnum::ExplainStmt(s)) => a.explain(s),
            Some(NodeEnum::CopyStmt(s)) => a.copy_statement(s),
            Some(NodeEnum::CreateTableAsStmt(s)) => a.create_table_as(s),
            Some(NodeEnum::PrepareStmt(s)) => a.prepare(s),
            Some(NodeEnum::ExecuteStmt(s)) => a.execute_prepared(s),
            Some(NodeEnum::DeclareCursorStmt(s)) => a.declare(s),
            Some(NodeEnum::CallStmt(s)) => a.call_statement(s),
            Some(kind) => a.session_statement(kind),
            None => {
                a.unreadable();
                Ok(("unreadable", None))
            }
        })
    }

    fn select_statement(&mut self, select: &SelectStmt) -> Result<Facts> {
        let Some(into) = into_of(select) else {
            return Ok(("select", Some(self.select(select)?)));
        };
        self.makes_table = true;
        let shape = self.select(select)?;
        self.makes_table = false;
        self.new_table(into, false, &shape)?;
        Ok(("select into", None))
    }

    fn session_statement(&mut self, kind: &NodeEnum) -> Result<Facts> {
        Ok(match kind {
            NodeEnum::TransactionStmt(s) => self.transaction_statement(s),
            NodeEnum::VariableSetStmt(s) => self.set(s),
            NodeEnum::VariableShowStmt(s) => self.show(&s.name),
            NodeEnum::FetchStmt(s) => self.fetch(s),
            NodeEnum::ClosePortalStmt(s) => {
                let name = (!s.portalname.is_empty()).then(|| s.portalname.as_str().into());
                self.names = NameChange::CloseCursor { name };
                ("close cursor", None)
            }
            NodeEnum::DeallocateStmt(s) => {
                let name = (!s.isall && !s.name.is_empty()).then(|| s.name.as_str().into());
                self.names = NameChange::Deallocate { name };
                ("deallocate", None)
            }
            NodeEnum::DiscardStmt(s) => self.discard(s),
            NodeEnum::ListenStmt(s) => self.channel("listen", &s.conditionname),
            NodeEnum::UnlistenStmt(s) => self.channel("unlisten", &s.conditionname),
            NodeEnum::NotifyStmt(s) => self.channel("notify", &s.conditionname),
            NodeEnum::LockStmt(s) => self.lock(s)?,
            NodeEnum::ConstraintsSetStmt(_) => {
                let object = Object::new(ObjectKind::Transaction, []);
                self.push(Effect::resolved(Verb::Control, object, Extent::One));
                // What was put off so far is checked now.
                self.unresolved = true;
                ("set constraints", None)
            }
            NodeEnum::DoStmt(_) => {
                let object = self.object(ObjectKind::Routine, ["?", "do"]);
                self.execute(object);
                self.unresolved = true;
                ("do", Some(Shape::of(Vec::new())))
            }
            other => return self.maintenance(other),
        })
    }

    fn maintenance(&mut self, kind: &NodeEnum) -> Result<Facts> {
        Ok(match kind {
            NodeEnum::VacuumStmt(s) => self.vacuum(s)?,
            NodeEnum::ClusterStmt(s) => {
                self.put_in_order(s.relation.as_ref())?;
                self.maintain("cluster", s.relation.as_ref())?
            }
            NodeEnum::ReindexStmt(s) => self.reindex(s)?,
            NodeEnum::CheckPointStmt(_) => {
                let object = self.object(ObjectKind::Connection, []);
                self.push(Effect::resolved(Verb::Control, object, Extent::All));
                ("checkpoint", None)
            }
            NodeEnum::RefreshMatViewStmt(s) => self.refresh(s.relation.as_ref(), !s.skip_data)?,
            NodeEnum::LoadStmt(s) => {
                let file = Object::new(ObjectKind::File, [s.filename.as_str()]);
                self.push(Effect::resolved(Verb::TransferIn, file.clone(), Extent::One));
                self.execute(file);
                ("load", None)
            }
            NodeEnum::TruncateStmt(s) => {
                let cascade = s.behavior == pg_query::protobuf::DropBehavior::DropCascade as i32;
                for node in &s.relations {
                    match node.node.as_ref() {
                        Some(NodeEnum::RangeVar(name)) => {
                            let candidates = self.candidates(name);
                            self.truncate(name, &candidates, cascade)?;
                        }
                        _ => {
                            self.unreadable();
                        }
                    }
                }
                ("truncate table", None)
            }
            other => return self.definition(other),
        })
    }

    fn channel(&mut self, kind: &'static str, name: &str) -> Facts {
        let path = (!name.is_empty()).then_some(name);
        let object = Object::new(ObjectKind::Channel, path);
        self.push(Effect::resolved(Verb::Control, object, Extent::One));
        (kind, None)
    }

    fn lock(&mut self, s: &LockStmt) -> Result<Facts> {
        for node in &s.relations {
            match node.node.as_ref() {
                // It stops nobody whom a SELECT does not stop, and shows less.
                Some(NodeEnum::RangeVar(name)) if s.mode == ACCESS_SHARE => {
                    self.read_relation(name, Extent::One)?;
                }
                Some(NodeEnum::RangeVar(name)) => {
                    let candidates = self.candidates(name);
                    for relation in &candidates {
                        self.lock_relation(relation);
                        // Those behind a view are locked as well.
                        let behind = match relation.view {
                            Some(_) => self.view_facts(relation)?.relations.clone(),
                            None => Vec::new(),
                        };
                        for one in behind.iter().filter_map(|oid| self.catalog.relation(*oid)) {
                            self.lock_relation(one);
                        }
                    }
                    if candidates.is_empty() {
                        let mut object = self.unknown_relation(name);
                        object.kind = ObjectKind::Lock;
                        self.effect(Verb::Control, object, Extent::All, Certainty::Assumed);
                    }
                }
                _ => {
                    self.unreadable();
                }
            }
        }
        Ok(("lock table", None))
    }

    fn lock_relation(&mut self, relation: &Relation) {
        let mut object = self.relation_object(relation);
        object.kind = ObjectKind::Lock;
        self.push(Effect::resolved(Verb::Control, object, Extent::All));
    }

    fn maintain(&mut self, kind: &'static str, name: Option<&RangeVar>) -> Result<Facts> {
        match name {
            Some(name) => {
                let candidates = self.candidates(name);
                self.effect_on(Verb::Alter, name, &candidates, Extent::All);
                self.rebuilt(&candidates)?;
            }
            None => {
                let object = self.object(ObjectKind::Database, []);
                self.push(Effect::resolved(Verb::Alter, object, Extent::All));
            }
        }
        // Functions in index expressions run.
        self.user_code = true;
        Ok((kind, None))
    }

    fn vacuum(&mut self, s: &VacuumStmt) -> Result<Facts> {
        let kind = if s.is_vacuumcmd { "vacuum" } else { "analyze" };
        if s.rels.is_empty() {
            return self.maintain(kind, None);
        }
        for node in &s.rels {
            match node.node.as_ref() {
                Some(NodeEnum::VacuumRelation(r)) => {
                    self.maintain(kind, r.relation.as_ref())?;
                }
                _ => {
                    self.unreadable();
                }
            }
        }
        Ok((kind, None))
    }

    fn reindex(&mut self, s: &ReindexStmt) -> Result<Facts> {
        let named = match ReindexObjectType::try_from(s.kind) {
            Ok(ReindexObjectType::ReindexObjectTable | ReindexObjectType::ReindexObjectIndex) => {
                s.relation.as_ref()
            }
            Ok(ReindexObjectType::ReindexObjectSchema) => {
                let object = self.object(ObjectKind::Schema, [s.name.as_str()]);
                self.push(Effect::resolved(Verb::Alter, object, Extent::All));
                return Ok(("reindex", None));
            }
            _ => None,
        };
        self.maintain("reindex", named)
    }

    /// `fills`: it is to have rows afterwards.
    fn refresh(&mut self, name: Option<&RangeVar>, fills: bool) -> Result<Facts> {
        let Some(name) = name else {
            self.unreadable();
            return Ok(("refresh materialized view", None));
        };
        let candidates = self.candidates(name);
        self.effect_on(Verb::Update, name, &candidates, Extent::All);
        for relation in &candidates {
            self.note_read(relation, true)?;
            if relation.view.is_some() {
                // What it did when it was filled it does again.
                let facts = self.view_facts(relation)?;
                facts.effects.iter().for_each(|effect| self.push(effect.clone()));
                if fills {
                    self.refill(relation, &facts)?;
                }
            }
        }
        if candidates.is_empty() {
            self.refills.push(Refill { relation: 0, columns: None });
        }
        Ok(("refresh materialized view", None))
    }

    /// What a materialised view is filled with, as it is now.
    fn refill(&mut self, view: &Relation, facts: &ViewFacts) -> Result<()> {
        self.charge(facts.columns.iter().map(|origin| 1 + origin.named()).sum())?;
        let known = view.view.as_ref().is_some_and(|body| !body.text.is_empty());
        let columns = facts.columns.iter().zip(&facts.plain);
        let columns =
            columns.map(|(origin, plain)| NewColumn { origin: origin.clone(), plain: *plain });
        let columns = known.then(|| columns.collect());
        self.refills.push(Refill { relation: view.oid, columns });
        Ok(())
    }

    fn call_statement(&mut self, s: &CallStmt) -> Result<Facts> {
        let Some(call) = s.funccall.as_deref() else {
            self.unreadable();
            return Ok(("call", None));
        };
        self.call(call)?;
        // A procedure answers with its output parameters.
        let object = self.object(ObjectKind::Routine, ["?", "call"]);
        if !self.effects.iter().any(|e| e.verb == Verb::Execute) {
            self.execute(object);
        }
        self.unresolved = true;
        Ok(("call", Some(Shape::unknown())))
    }

    fn explain(&mut self, s: &ExplainStmt) -> Result<Facts> {
        let Some(query) = s.query.as_deref() else {
            self.unreadable();
            return Ok(("explain", None));
        };
        let runs = s.options.iter().any(|node| match option(node) {
            Some(option) => option.defname == "analyze" && is_on(option),
            None => true,
        });
        let inner = match query.node.as_ref() {
            Some(NodeEnum::DeclareCursorStmt(d)) => match d.query.as_deref() {
                Some(query) => self.inner(query)?,
                None => self.unreadable_statement(),
            },
            _ => self.inner(query)?,
        };
        self.explained(&inner, runs);
        self.names = inner.names;
        Ok(("explain", Some(Shape::uniform(1, &Origin::Untraced))))
    }

    /// The plan shows constants and statistics of whatever the statement would read; planning runs
    /// functions that claim to be immutable or stable. `runs`: with `ANALYZE`.
    fn explained(&mut self, inner: &Statement, runs: bool) {
        for effect in &inner.effects {
            let mut effect = effect.clone();
            let stored = matches!(effect.object.kind, ObjectKind::Relation | ObjectKind::Sequence);
            let writes = matches!(
                effect.verb,
                Verb::Insert | Verb::Update | Verb::Delete | Verb::Truncate | Verb::Create
            );
            if !runs && stored && writes {
                effect.verb = Verb::Read;
            }
            self.push(effect);
        }
        match inner.lineage.as_deref() {
            Some(lineage) => {
                // What the name stands for is looked up, and counts as well, before it runs.
                let (named, known) =
                    (matches!(inner.names, NameChange::Execute { .. }), self.unresolved);
                self.behind(lineage, runs);
                if named {
                    self.unresolved = known;
                }
            }
            // What a statement without rows reads was not kept.
            None => self.unresolved = true,
        }
    }

    /// `CREATE TABLE AS`, `CREATE MATERIALIZED VIEW`.
    fn create_table_as(&mut self, s: &CreateTableAsStmt) -> Result<Facts> {
        let (Some(into), Some(query)) = (s.into.as_deref(), s.query.as_deref()) else {
            self.unreadable();
            return Ok(("create table as", None));
        };
        match query.node.as_ref() {
            Some(NodeEnum::ExecuteStmt(e)) => {
                self.execute_prepared(e)?;
                self.new_table_of_prepared(into, s.if_not_exists)?;
            }
            _ => {
                let shape = self.query_node(query)?;
                self.new_table(into, s.if_not_exists, &shape)?;
            }
        }
        let view = s.objtype == pg_query::protobuf::ObjectType::ObjectMatview as i32;
        Ok((if view { "create materialized view" } else { "create table as" }, None))
    }

    /// The new table of `SELECT INTO` and `CREATE TABLE AS`. Its columns can be masked as what they
    /// came from; what cannot be traced flows to where nobody could tell.
    pub(super) fn new_table(
        &mut self,
        into: &IntoClause,
        lenient: bool,
        shape: &Shape,
    ) -> Result<()> {
        let Some(name) = self.name_of_new(into)? else { return Ok(()) };
        let all = shape.columns.as_deref();
        if all.is_none_or(|all| all.iter().any(|c| c.origin == Origin::Untraced)) {
            self.sink(Origin::Untraced);
        }
        let column = |c: &OutCol| NewColumn { origin: c.origin.clone(), plain: c.plain };
        let columns = all.map(|all| all.iter().map(column).collect());
        self.makes = Some(Box::new(NewTable { name, lenient, columns }));
        Ok(())
    }

    /// The same, of a prepared statement: it is the session that knows which.
    fn new_table_of_prepared(&mut self, into: &IntoClause, lenient: bool) -> Result<()> {
        if let Some(name) = self.name_of_new(into)? {
            self.makes = Some(Box::new(NewTable { name, lenient, columns: None }));
        }
        Ok(())
    }

    /// The name of a new table, and that it is made and filled.
    fn name_of_new(&mut self, into: &IntoClause) -> Result<Option<Box<str>>> {
        let Some(name) = into.rel.as_ref() else {
            self.unreadable();
            return Ok(None);
        };
        let object = self.new_relation(name);
        self.push(Effect::resolved(Verb::Create, object.clone(), Extent::One));
        self.push(Effect::resolved(Verb::Insert, object, Extent::Some));
        Ok(Some(name.relname.as_str().into()))
    }

    fn copy_statement(&mut self, s: &CopyStmt) -> Result<Facts> {
        let to_file = !s.filename.is_empty();
        if to_file {
            self.copy_file(s);
        }
        if s.is_from {
            return self.copy_from(s, to_file);
        }
        let shape = match (s.query.as_deref(), s.relation.as_ref()) {
            (Some(query), _) => self.query_node(query)?,
            (None, Some(name)) => self.copy_relation(name, &s.attlist)?,
            (None, None) => {
                self.unreadable();
                Shape::unknown()
            }
        };
        self.optional(s.where_clause.as_deref())?;
        if to_file {
            self.sink_shape(&shape);
            return Ok(("copy", None));
        }
        self.copy = Some(Copy::Out(copy_format(&s.options, Direction::Out)));
        Ok(("copy", Some(shape)))
    }

    fn copy_file(&mut self, s: &CopyStmt) {
        let verb = if s.is_from { Verb::TransferIn } else { Verb::TransferOut };
        let kind = if s.is_program { ObjectKind::Program } else { ObjectKind::File };
        let object = Object::new(kind, [s.filename.as_str()]);
        if s.is_program {
            self.effect(Verb::Execute, object.clone(), Extent::One, Certainty::Assumed);
        }
        self.push(Effect::resolved(verb, object, Extent::All));
    }

    fn copy_from(&mut self, s: &CopyStmt, from_file: bool) -> Result<Facts> {
        let Some(name) = s.relation.as_ref() else {
            self.unreadable();
            return Ok(("copy", None));
        };
        let candidates = self.candidates(name);
        self.write(Verb::Insert, name, &candidates, Extent::Some, None)?;
        let table = self.table(name, &candidates)?;
        let item = super::scope::Item::table(table);
        self.frames.push(super::scope::Frame { item, ..super::scope::Frame::default() });
        self.optional(s.where_clause.as_deref())?;
        self.frames.pop();
        for relation in &candidates {
            self.relations.insert(relation.oid);
        }
        if !from_file {
            let columns = copied_in(&candidates, &s.attlist);
            let format = copy_format(&s.options, Direction::In);
            self.copy = Some(Copy::In(CopyIn { format, columns }));
        }
        Ok(("copy", None))
    }

    /// `COPY table TO`: the columns asked for, or all but the generated ones. Rows of partitions
    /// and inheriting tables are counted in, although they are left out by most versions.
    fn copy_relation(&mut self, name: &RangeVar, columns: &[Node]) -> Result<Shape> {
        let table = self.read_relation(name, Extent::All)?;
        if columns.is_empty() {
            let mut shape = (*table.shape).clone();
            let candidates = self.candidates(name);
            let [one] = candidates.as_slice() else { return Ok(Shape::unknown()) };
            let own = one.columns.iter().filter(|c| !c.generated);
            self.copied = Some(own.map(|c| c.type_oid).collect());
            let mut generated = one.columns.iter().map(|c| c.generated);
            if let Some(columns) = &mut shape.columns {
                columns.retain(|_| !generated.next().unwrap_or(false));
            }
            return Ok(shape);
        }
        let candidates = self.candidates(name);
        if let [one] = candidates.as_slice() {
            let types = columns.iter().map(|node| {
                let name = string(node)?;
                one.columns.iter().find(|c| &*c.name == name).map(|c| c.type_oid)
            });
            self.copied = types.collect();
        }
        let item = super::scope::Item::table(table);
        self.frames.push(super::scope::Frame { item, ..super::scope::Frame::default() });
        let mut shape = Shape::of(Vec::with_capacity(columns.len()));
        for node in columns {
            let origin = match string(node) {
                Some(name) => self.find_column(name)?,
                None => self.unreadable(),
            };
            let name = string(node).map(Into::into);
            if let Some(columns) = &mut shape.columns {
                columns.push(OutCol::made(name, origin));
            }
        }
        self.frames.pop();
        Ok(shape)
    }
}

/// True where the option is switched on, or might be.
fn is_on(option: &DefElem) -> bool {
    if option.arg.is_none() {
        return true;
    }
    let value = option_text(option).map(|v| v.to_ascii_lowercase());
    !matches!(value.as_deref(), Some("false" | "off" | "0"))
}

/// `SELECT INTO` may stand in the leftmost arm of a set operation, and is about all of it.
fn into_of(select: &SelectStmt) -> Option<&IntoClause> {
    let mut leftmost = select;
    while let Some(left) = leftmost.larg.as_deref() {
        leftmost = left;
    }
    leftmost.into_clause.as_deref()
}

/// Where each field of rows copied in goes.
fn copied_in(candidates: &Candidates<'_>, columns: &[Node]) -> Arc<[Targets]> {
    if columns.is_empty() {
        let [one] = candidates.as_slice() else { return Arc::default() };
        let own = one.columns.iter().filter(|c| !c.generated);
        return own
            .map(|c| Targets::from_iter([ColumnRef { relation: one.oid, column: c.number }]))
            .collect();
    }
    columns
        .iter()
        .map(|node| string(node).map(|name| targets_named(candidates, name)).unwrap_or_default())
        .collect()
}
