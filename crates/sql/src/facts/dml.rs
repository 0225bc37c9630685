//! `INSERT`, `UPDATE`, `DELETE` and `MERGE`: what is written, what flows into it, and what
//! `RETURNING` shows.

use super::names::string;
use super::resolve::Candidates;
use super::scope::{Frame, Item, OutCol, Shape, Table, Watched, add, nothing};
use super::written::targets_in_order;
use super::{Analyzer, Result};
use pg_query::NodeEnum;
use pg_query::protobuf::{
    BoolExprType, CmdType, DeleteStmt, InsertStmt, MergeMatchKind, MergeStmt, MergeWhenClause,
    Node, OnConflictAction, OnConflictClause, RangeVar, ReturningClause, UpdateStmt, a_const,
};
use portcullis_core::effect::{Extent, Verb};
use portcullis_core::mask::Origin;
use std::collections::HashMap;
use std::rc::Rc;

/// What flows into the columns of the written table.
#[derive(Default)]
struct Assigned {
    columns: HashMap<Rc<str>, Origin>,
    /// What may flow into any of them.
    any: Option<Origin>,
}

impl Assigned {
    fn to(&mut self, column: Option<&str>, origin: &Origin) {
        match column {
            Some(name) => add(self.columns.entry(name.into()).or_insert_with(nothing), origin),
            None => add(self.any.get_or_insert_with(nothing), origin),
        }
    }
}

impl<'c> Analyzer<'c> {
    /// The target under its alias, in a scope of its own; `None` where there is no target.
    fn open_target(&mut self, name: Option<&RangeVar>) -> Result<Option<(Candidates<'c>, Table)>> {
        self.frames.push(Frame::default());
        let Some(name) = name else {
            self.unreadable();
            return Ok(None);
        };
        let candidates = self.candidates(name);
        for relation in &candidates {
            self.note_read(relation, name.inh)?;
        }
        let table = self.table(name, &candidates)?;
        if let Some(frame) = self.frames.last_mut() {
            frame.item.append(Item::table(table.clone()));
        }
        Ok(Some((candidates, table)))
    }

    /// The condition of a change, and how much it lets through.
    fn condition(
        &mut self,
        condition: Option<&Node>,
        target: &Option<(Candidates<'c>, Table)>,
    ) -> Result<Extent> {
        let outer = self.watched.take();
        self.watched = target.as_ref().map(|(_, table)| Watched {
            frame: self.frames.len().saturating_sub(1),
            table: table.clone(),
            used: false,
        });
        let looked = self.condition_on(condition);
        let used = std::mem::replace(&mut self.watched, outer).is_some_and(|w| w.used);
        looked?;
        Ok(match condition {
            Some(node) if is_current_of(node) => Extent::One,
            // One that does not look at the rows lets all of them through, or none.
            Some(node) if is_false(node) || used && !holds_always(node, 64) => Extent::Some,
            _ => Extent::All,
        })
    }

    pub(super) fn insert(&mut self, insert: &InsertStmt) -> Result<Shape> {
        let scope = self.ctes.len();
        self.with(insert.with_clause.as_ref())?;
        let sets = self.sets;
        let source = match insert.select_stmt.as_deref() {
            Some(query) => Some(self.query_node(query)?),
            None => None,
        };
        // One row of VALUES is as many as a function in it gives.
        let extent = match insert_extent(insert) {
            Extent::One if self.sets > sets => Extent::Some,
            extent => extent,
        };
        let target = self.open_target(insert.relation.as_ref())?;
        let mut shape = Shape::unknown();
        if let (Some((candidates, table)), Some(name)) = (target, insert.relation.as_ref()) {
            self.write(Verb::Insert, name, &candidates, extent, None)?;
            self.written_with(insert.with_clause.as_ref())?;
            if let Some(query) = insert.select_stmt.as_deref() {
                self.written_query(query, &targets_in_order(&candidates, &insert.cols))?;
            }
            let mut assigned = Assigned::default();
            if let Some(source) = &source {
                if insert.cols.iter().any(is_in_part) {
                    self.sink_shape(source);
                } else {
                    self.fill(source, &targets_in_order(&candidates, &insert.cols));
                }
                let columns = self.insert_columns(insert, &table)?;
                assign_source(&mut assigned, source, columns.as_deref());
            }
            if let Some(conflict) = insert.on_conflict_clause.as_deref() {
                self.on_conflict(conflict, name, &candidates, source.as_ref(), &mut assigned)?;
            }
            shape = self.returning(
                insert.returning_clause.as_ref(),
                (name, &candidates),
                &table,
                &assigned,
            )?;
        }
        self.frames.pop();
        self.ctes.truncate(scope);
        Ok(shape)
    }

    /// The target columns of an `INSERT`, in order; `None` where they cannot be told.
    fn insert_columns(
        &mut self,
        insert: &InsertStmt,
        table: &Table,
    ) -> Result<Option<Vec<Rc<str>>>> {
        if insert.cols.is_empty() {
            let columns = table.shape.columns.as_ref();
            return Ok(columns.map(|c| c.iter().filter_map(|c| c.name.clone()).collect()));
        }
        let mut names = Vec::with_capacity(insert.cols.len());
        for node in &insert.cols {
            let Some(NodeEnum::ResTarget(target)) = node.node.as_ref() else {
                self.unreadable();
                return Ok(None);
            };
            self.indices(&target.indirection)?;
            names.push(target.name.as_str().into());
        }
        Ok(Some(names))
    }

    fn on_conflict(
        &mut self,
        conflict: &OnConflictClause,
        name: &RangeVar,
        candidates: &Candidates<'c>,
        source: Option<&Shape>,
        assigned: &mut Assigned,
    ) -> Result<()> {
        if let Some(infer) = conflict.infer.as_deref() {
            for node in &infer.index_elems {
                match node.node.as_ref() {
                    Some(NodeEnum::IndexElem(e)) => {
                        self.optional(e.expr.as_deref())?;
                    }
                    _ => {
                        self.unreadable();
                    }
                }
            }
            self.condition_on(infer.where_clause.as_deref())?;
        }
        match OnConflictAction::try_from(conflict.action) {
            Ok(OnConflictAction::OnconflictNothing) => return Ok(()),
            Ok(OnConflictAction::OnconflictUpdate) => {}
            _ => {
                self.unreadable();
            }
        }
        let rest = source.map_or_else(nothing, Shape::whole);
        let shape = Shape::unlisted(rest.clone());
        let excluded =
            Table { name: "excluded".into(), shape: Rc::new(shape), row: Some(rest), base: None };
        if let Some(frame) = self.frames.last_mut() {
            // Its columns are reached through its name alone.
            frame.item.tables.push(excluded);
        }
        self.assignments(&conflict.target_list, assigned)?;
        self.written_assignments(&conflict.target_list, candidates)?;
        self.condition_on(conflict.where_clause.as_deref())?;
        if let Some(frame) = self.frames.last_mut() {
            // `RETURNING` does not see it.
            frame.item.tables.pop();
        }
        let columns = set_columns(&conflict.target_list);
        self.write(Verb::Update, name, candidates, Extent::Some, columns.as_deref())
    }

    pub(super) fn update(&mut self, update: &UpdateStmt) -> Result<Shape> {
        let scope = self.ctes.len();
        self.with(update.with_clause.as_ref())?;
        let target = self.open_target(update.relation.as_ref())?;
        self.may_move_rows();
        self.put_from(&update.from_clause, Extent::Some)?;
        let mut assigned = Assigned::default();
        self.assignments(&update.target_list, &mut assigned)?;
        let extent = self.condition(update.where_clause.as_deref(), &target)?;
        let mut shape = Shape::unknown();
        if let (Some((candidates, table)), Some(name)) = (target, update.relation.as_ref()) {
            let columns = set_columns(&update.target_list);
            self.write(Verb::Update, name, &candidates, extent, columns.as_deref())?;
            self.written_with(update.with_clause.as_ref())?;
            self.written_from(&update.from_clause)?;
            self.written_assignments(&update.target_list, &candidates)?;
            let returning = update.returning_clause.as_ref();
            shape = self.returning(returning, (name, &candidates), &table, &assigned)?;
        }
        self.frames.pop();
        self.ctes.truncate(scope);
        Ok(shape)
    }

    /// What the name stands for by now may be a partitioned table whose rows move.
    fn may_move_rows(&mut self) {
        if self.earlier.loose {
            self.sink(Origin::Untraced);
        }
    }

    pub(super) fn delete(&mut self, delete: &DeleteStmt) -> Result<Shape> {
        let scope = self.ctes.len();
        self.with(delete.with_clause.as_ref())?;
        let target = self.open_target(delete.relation.as_ref())?;
        self.put_from(&delete.using_clause, Extent::Some)?;
        let extent = self.condition(delete.where_clause.as_deref(), &target)?;
        let mut shape = Shape::unknown();
        if let (Some((candidates, table)), Some(name)) = (target, delete.relation.as_ref()) {
            self.write(Verb::Delete, name, &candidates, extent, None)?;
            let returning = delete.returning_clause.as_ref();
            let assigned = Assigned::default();
            shape = self.returning(returning, (name, &candidates), &table, &assigned)?;
        }
        self.frames.pop();
        self.ctes.truncate(scope);
        Ok(shape)
    }

    pub(super) fn merge(&mut self, merge: &MergeStmt) -> Result<Shape> {
        let scope = self.ctes.len();
        self.with(merge.with_clause.as_ref())?;
        let target = self.open_target(merge.relation.as_ref())?;
        self.may_move_rows();
        if let Some(source) = merge.source_relation.as_deref() {
            let item = self.range_item(source, Extent::Some)?;
            if let Some(frame) = self.frames.last_mut() {
                frame.item.append(item);
            }
        }
        self.condition_on(merge.join_condition.as_deref())?;
        let mut shape = Shape::unknown();
        if let (Some((candidates, table)), Some(name)) = (target, merge.relation.as_ref()) {
            let mut assigned = Assigned::default();
            self.written_with(merge.with_clause.as_ref())?;
            if let Some(source) = merge.source_relation.as_deref() {
                self.written_from(std::slice::from_ref(source))?;
            }
            for node in &merge.merge_when_clauses {
                match node.node.as_ref() {
                    Some(NodeEnum::MergeWhenClause(when)) => {
                        let extent = merge_extent(when, merge.join_condition.as_deref());
                        self.merge_when(when, (name, extent), &candidates, &mut assigned)?;
                    }
                    _ => {
                        self.unreadable();
                    }
                }
            }
            let returning = merge.returning_clause.as_ref();
            shape = self.returning(returning, (name, &candidates), &table, &assigned)?;
            // `RETURNING *` of a MERGE shows the columns of its source too.
            if returning.is_some() {
                let origin = shape.whole();
                shape = Shape::unlisted(origin);
            }
        }
        self.frames.pop();
        self.ctes.truncate(scope);
        Ok(shape)
    }

    fn merge_when(
        &mut self,
        when: &MergeWhenClause,
        (name, extent): (&RangeVar, Extent),
        candidates: &Candidates<'c>,
        assigned: &mut Assigned,
    ) -> Result<()> {
        self.condition_on(when.condition.as_deref())?;
        let command = CmdType::try_from(when.command_type);
        match command {
            Ok(CmdType::CmdNothing) => {}
            Ok(CmdType::CmdDelete) => {
                self.write(Verb::Delete, name, candidates, extent, None)?;
            }
            Ok(CmdType::CmdUpdate) => {
                let columns = set_columns(&when.target_list);
                self.write(Verb::Update, name, candidates, extent, columns.as_deref())?;
                self.assignments(&when.target_list, assigned)?;
                self.written_assignments(&when.target_list, candidates)?;
            }
            Ok(CmdType::CmdInsert) => {
                self.write(Verb::Insert, name, candidates, Extent::Some, None)?;
                self.all(&when.target_list)?;
                let origin = self.all(&when.values)?;
                self.sink(origin.clone());
                let targets = targets_in_order(candidates, &when.target_list);
                for (place, value) in when.values.iter().enumerate() {
                    let to = targets.get(place).cloned().unwrap_or_default();
                    self.written_value(value, &to)?;
                }
                assigned.to(None, &origin);
            }
            _ => {
                self.unreadable();
            }
        }
        Ok(())
    }

    /// `SET` clauses: each value flows into the table.
    fn assignments(&mut self, targets: &[Node], assigned: &mut Assigned) -> Result<()> {
        for node in targets {
            let Some(NodeEnum::ResTarget(target)) = node.node.as_ref() else {
                self.unreadable();
                continue;
            };
            self.indices(&target.indirection)?;
            let origin = self.optional(target.val.as_deref())?;
            self.sink(origin.clone());
            assigned.to(Some(&target.name), &origin);
        }
        Ok(())
    }

    fn indices(&mut self, indirection: &[Node]) -> Result<()> {
        for node in indirection {
            if string(node).is_some() {
                continue;
            }
            match node.node.as_ref() {
                Some(NodeEnum::AIndices(i)) => {
                    self.optional(i.lidx.as_deref())?;
                    self.optional(i.uidx.as_deref())?;
                }
                _ => {
                    self.unreadable();
                }
            }
        }
        Ok(())
    }

    /// `RETURNING`: the columns of the target show what was put into them.
    fn returning(
        &mut self,
        clause: Option<&ReturningClause>,
        target: (&RangeVar, &Candidates<'c>),
        table: &Table,
        assigned: &Assigned,
    ) -> Result<Shape> {
        let Some(clause) = clause else { return Ok(Shape::of(Vec::new())) };
        self.effect_on(Verb::Read, target.0, target.1, Extent::Some);
        for relation in target.1 {
            self.reach_relatives(Verb::Read, relation, target.0.inh);
        }
        let filled = fill(table, assigned);
        let mut names: [Rc<str>; 2] = ["old".into(), "new".into()];
        for node in &clause.options {
            match node.node.as_ref() {
                Some(NodeEnum::ReturningOption(option)) => {
                    use pg_query::protobuf::ReturningOptionKind as Kind;
                    let place = match Kind::try_from(option.option) {
                        Ok(Kind::ReturningOptionOld) => names.first_mut(),
                        Ok(Kind::ReturningOptionNew) => names.last_mut(),
                        _ => None,
                    };
                    match place {
                        Some(name) => *name = option.value.as_str().into(),
                        None => {
                            self.unreadable();
                        }
                    }
                }
                _ => {
                    self.unreadable();
                }
            }
        }
        if let Some(frame) = self.frames.last_mut() {
            let item = std::mem::take(&mut frame.item);
            let own = item.tables.iter().position(|t| Rc::ptr_eq(&t.shape, &table.shape));
            let own = own.or_else(|| item.tables.iter().position(|t| t.name == table.name));
            let mut fresh = Item::table(filled.clone());
            let mut beside = false;
            for (place, other) in item.tables.into_iter().enumerate() {
                if Some(place) != own {
                    beside = true;
                    fresh.append(Item::table(other));
                }
            }
            if beside {
                // Joins may have merged columns, and the order is not that of the tables.
                let mut all = item.rest.unwrap_or_else(nothing);
                item.columns.iter().chain(&fresh.columns).for_each(|c| add(&mut all, &c.origin));
                fresh.add_rest(Some(&all));
                fresh.more = true;
            }
            fresh.tables.extend(names.into_iter().map(|name| Table { name, ..filled.clone() }));
            frame.item = fresh;
        }
        self.targets(&clause.exprs)
    }
}

/// The target as it is after the change.
fn fill(table: &Table, assigned: &Assigned) -> Table {
    let mut shape = (*table.shape).clone();
    let mut row = table.whole();
    for column in shape.columns.iter_mut().flatten() {
        let own = column.name.as_ref().and_then(|name| assigned.columns.get(name));
        for origin in own.into_iter().chain(&assigned.any) {
            add(&mut column.origin, origin);
            column.plain = false;
        }
    }
    for origin in assigned.columns.values().chain(&assigned.any) {
        add(&mut row, origin);
        if let Some(rest) = &mut shape.rest {
            add(rest, origin);
        }
    }
    Table { name: Rc::clone(&table.name), shape: Rc::new(shape), row: Some(row), base: None }
}

/// Each column of the source flows into the target column at its place.
fn assign_source(assigned: &mut Assigned, source: &Shape, columns: Option<&[Rc<str>]>) {
    match (&source.columns, columns) {
        (Some(from), Some(to)) if from.len() <= to.len() => {
            for (OutCol { origin, .. }, name) in from.iter().zip(to) {
                assigned.to(Some(name), origin);
            }
        }
        _ => assigned.to(None, &source.whole()),
    }
}

/// True for a target of which only a part is written (`column[1]`, `column.field`).
fn is_in_part(target: &Node) -> bool {
    match target.node.as_ref() {
        Some(NodeEnum::ResTarget(target)) => !target.indirection.is_empty(),
        _ => true,
    }
}

/// The columns that a `SET` list names.
fn set_columns(targets: &[Node]) -> Option<Vec<&str>> {
    targets
        .iter()
        .map(|node| match node.node.as_ref() {
            Some(NodeEnum::ResTarget(target)) => Some(target.name.as_str()),
            _ => None,
        })
        .collect()
}

fn insert_extent(insert: &InsertStmt) -> Extent {
    match insert.select_stmt.as_deref().and_then(|s| s.node.as_ref()) {
        None => Extent::One,
        Some(NodeEnum::SelectStmt(select)) if select.values_lists.len() == 1 => Extent::One,
        Some(_) => Extent::Some,
    }
}

/// How much of its target a branch of a MERGE changes: all of it where nothing is asked of a row but
/// to match whatever there is, or to have no source, as none has when the source is empty.
fn merge_extent(when: &MergeWhenClause, join: Option<&Node>) -> Extent {
    let asks = |condition: Option<&Node>| condition.is_some_and(|c| !holds_always(c, 64));
    let unasked = match MergeMatchKind::try_from(when.match_kind) {
        Ok(MergeMatchKind::MergeWhenNotMatchedBySource) => true,
        Ok(MergeMatchKind::MergeWhenMatched) => !asks(join),
        _ => false,
    };
    if unasked && !asks(when.condition.as_deref()) { Extent::All } else { Extent::Some }
}

fn is_current_of(node: &Node) -> bool {
    matches!(node.node, Some(NodeEnum::CurrentOfExpr(_)))
}

fn is_false(node: &Node) -> bool {
    match node.node.as_ref() {
        Some(NodeEnum::AConst(c)) => {
            c.isnull || matches!(&c.val, Some(a_const::Val::Boolval(b)) if !b.boolval)
        }
        _ => false,
    }
}

/// True for a condition that holds for every row, as far as that can be seen without a server:
/// one that looks at no column, compares a column with itself, or is so by `AND` and `OR`.
fn holds_always(node: &Node, depth: usize) -> bool {
    if depth == 0 {
        return false;
    }
    match node.node.as_ref() {
        Some(NodeEnum::AConst(_)) => !is_false(node),
        Some(NodeEnum::BoolExpr(e)) => match BoolExprType::try_from(e.boolop) {
            Ok(BoolExprType::AndExpr) => e.args.iter().all(|a| holds_always(a, depth - 1)),
            Ok(BoolExprType::OrExpr) => e.args.iter().any(|a| holds_always(a, depth - 1)),
            _ => e.args.iter().all(|a| is_constant(a, depth - 1)),
        },
        Some(NodeEnum::AExpr(e)) => {
            let same = match (e.lexpr.as_deref(), e.rexpr.as_deref()) {
                (Some(l), Some(r)) => same_column(l, r),
                _ => false,
            };
            same && matches!(e.name.last().and_then(string), Some("=" | "<=" | ">="))
                || is_constant(node, depth - 1)
        }
        _ => is_constant(node, depth - 1),
    }
}

fn same_column(a: &Node, b: &Node) -> bool {
    match (a.node.as_ref(), b.node.as_ref()) {
        (Some(NodeEnum::ColumnRef(a)), Some(NodeEnum::ColumnRef(b))) => a.fields == b.fields,
        _ => false,
    }
}

/// True for an expression that looks at no column and asks no subquery.
fn is_constant(node: &Node, depth: usize) -> bool {
    if depth == 0 {
        return false;
    }
    let all = |nodes: &[Node]| nodes.iter().all(|n| is_constant(n, depth - 1));
    let one = |node: Option<&Node>| node.is_none_or(|n| is_constant(n, depth - 1));
    match node.node.as_ref() {
        None
        | Some(NodeEnum::AConst(_) | NodeEnum::ParamRef(_) | NodeEnum::SqlvalueFunction(_)) => true,
        Some(NodeEnum::AExpr(e)) => one(e.lexpr.as_deref()) && one(e.rexpr.as_deref()),
        Some(NodeEnum::BoolExpr(e)) => all(&e.args),
        Some(NodeEnum::List(e)) => all(&e.items),
        Some(NodeEnum::AArrayExpr(e)) => all(&e.elements),
        Some(NodeEnum::RowExpr(e)) => all(&e.args),
        Some(NodeEnum::CoalesceExpr(e)) => all(&e.args),
        Some(NodeEnum::MinMaxExpr(e)) => all(&e.args),
        Some(NodeEnum::TypeCast(e)) => one(e.arg.as_deref()),
        Some(NodeEnum::CollateClause(e)) => one(e.arg.as_deref()),
        Some(NodeEnum::NullTest(e)) => one(e.arg.as_deref()),
        Some(NodeEnum::BooleanTest(e)) => one(e.arg.as_deref()),
        Some(NodeEnum::FuncCall(e)) => all(&e.args),
        Some(NodeEnum::CaseExpr(e)) => {
            one(e.arg.as_deref()) && all(&e.args) && one(e.defresult.as_deref())
        }
        Some(NodeEnum::CaseWhen(e)) => one(e.expr.as_deref()) && one(e.result.as_deref()),
        _ => false,
    }
}
