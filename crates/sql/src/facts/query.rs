//! Queries: `SELECT`, `VALUES`, set operations and `WITH`, by where each column of the answer
//! comes from.

use super::conditions::{Carried, Named};
use super::names::{literal, string, strings};
use super::resolve::rename_columns;
use super::scope::{Cte, Frame, Item, OutCol, Pin, Shape, Table, add, burden, join, nothing};
use super::typed::common_of;
use super::{Analyzer, Result};
use crate::statement::{GoesBy, MOST_COLUMNS, Unreadable};
use pg_query::NodeEnum;
use pg_query::protobuf::{
    AExprKind, BoolExprType, CommonTableExpr, LimitOption, LockWaitPolicy, Node, ResTarget,
    SelectStmt, SetOperation, WithClause,
};
use portcullis_core::effect::{Certainty, Extent, Object, ObjectKind, Verb};
use portcullis_core::mask::Origin;
use std::rc::Rc;

/// Rounds after which a recursive query that still gains columns is given up.
const MAX_ROUNDS: usize = 8;

/// `FOR UPDATE … SKIP LOCKED`.
fn skips_locked(clause: &Node) -> bool {
    let Some(NodeEnum::LockingClause(clause)) = clause.node.as_ref() else { return false };
    clause.wait_policy == LockWaitPolicy::LockWaitSkip as i32
}

impl Analyzer<'_> {
    /// A query in any place where one may stand: `SELECT`, or a change with `RETURNING`.
    pub(super) fn query_node(&mut self, node: &Node) -> Result<Shape> {
        self.nested(|a| match node.node.as_ref() {
            Some(NodeEnum::SelectStmt(select)) => a.select(select),
            Some(NodeEnum::InsertStmt(insert)) => a.insert(insert),
            Some(NodeEnum::UpdateStmt(update)) => a.update(update),
            Some(NodeEnum::DeleteStmt(delete)) => a.delete(delete),
            Some(NodeEnum::MergeStmt(merge)) => a.merge(merge),
            _ => {
                a.unreadable();
                Ok(Shape::unknown())
            }
        })
    }

    pub(super) fn select(&mut self, select: &SelectStmt) -> Result<Shape> {
        self.nested(|a| {
            let scope = a.ctes.len();
            a.with(select.with_clause.as_ref())?;
            a.frames.push(Frame::default());
            let shape = match SetOperation::try_from(select.op) {
                Ok(SetOperation::SetopNone) => a.plain_select(select),
                Ok(
                    SetOperation::SetopUnion
                    | SetOperation::SetopIntersect
                    | SetOperation::SetopExcept,
                ) => a.set_operation(select),
                _ => {
                    a.unreadable();
                    Ok(Shape::unknown())
                }
            };
            a.frames.pop();
            a.ctes.truncate(scope);
            shape
        })
    }

    fn set_operation(&mut self, select: &SelectStmt) -> Result<Shape> {
        let (Some(left), Some(right)) = (select.larg.as_deref(), select.rarg.as_deref()) else {
            self.unreadable();
            return Ok(Shape::unknown());
        };
        // The sides see the queries around this one, not this one.
        let frame = self.frames.pop();
        let sides = self.select(left).and_then(|l| Ok((l, self.select(right)?)));
        self.frames.extend(frame);
        let (left, right) = sides?;
        self.decide_united(&left, &right);
        let distinct = !select.all || select.op != SetOperation::SetopUnion as i32;
        let united = united(left, &right);
        if distinct {
            // Which rows are alike.
            self.decide(&united.whole());
        }
        self.tail_clauses(select, &united)?;
        Ok(united)
    }

    fn plain_select(&mut self, select: &SelectStmt) -> Result<Shape> {
        let limited = !matches!(
            LimitOption::try_from(select.limit_option),
            Ok(LimitOption::Undefined | LimitOption::Default)
        );
        let extent =
            if select.where_clause.is_some() || limited { Extent::Some } else { Extent::All };
        self.put_from(&select.from_clause, extent)?;
        if !select.values_lists.is_empty() {
            let shape = self.values(&select.values_lists)?;
            // What ORDER BY sees goes by this name.
            let name = "*VALUES*".into();
            let own = Table { name, shape: Rc::new(shape.clone()), row: None, base: None };
            if let Some(frame) = self.frames.last_mut() {
                frame.item.append(Item::table(own));
            }
            self.tail_clauses(select, &shape)?;
            return Ok(shape);
        }
        let filter = self.condition_on(select.where_clause.as_deref())?;
        let mut pinned = Vec::new();
        self.pins(select.where_clause.as_deref(), &mut pinned);
        if let Some(frame) = self.frames.last_mut() {
            frame.pinned = pinned;
        }
        let windows = self.all(&select.window_clause)?;
        if let Some(frame) = self.frames.last_mut().filter(|_| windows != nothing()) {
            frame.windows = Some(windows);
        }
        let mut shape = self.targets(&select.target_list)?;
        shape.filter = filter;
        let having = self.condition_on(select.having_clause.as_deref())?;
        add(&mut shape.filter, &having);
        self.deciding_list(&select.group_clause, &shape, Named::InputFirst)?;
        if select.group_distinct {
            self.decide(&shape.whole());
        }
        self.tail_clauses(select, &shape)?;
        // That of the statement itself is about the whole of it; any other is an error at the server.
        if select.into_clause.is_some() && !std::mem::take(&mut self.makes_table) {
            self.unreadable();
        }
        Ok(shape)
    }

    /// The columns of the server's own relations that a condition ties to literals.
    fn pins(&self, condition: Option<&Node>, into: &mut Vec<Pin>) {
        match condition.and_then(|c| c.node.as_ref()) {
            Some(NodeEnum::BoolExpr(all)) if all.boolop == BoolExprType::AndExpr as i32 => {
                all.args.iter().for_each(|one| self.pins(Some(one), into));
            }
            Some(NodeEnum::AExpr(e)) if e.kind == AExprKind::AexprOp as i32 => {
                let (Some(left), Some(right)) = (e.lexpr.as_deref(), e.rexpr.as_deref()) else {
                    return;
                };
                let equal =
                    matches!(strings(&e.name).as_deref(), Some(["="] | ["pg_catalog", "="]));
                // Somebody's own operator may find others equal, and names may mean others by now.
                let tame = self.catalog.operators_named("=").iter().all(|o| o.tame);
                if let (true, Some(column), Some(value)) = (
                    equal && tame && !self.earlier.stale,
                    self.stored_by_server(left),
                    literal(right),
                ) {
                    self.pin(&column, value, into);
                }
            }
            _ => {}
        }
    }

    /// The clauses that only order, cut or lock the answer.
    fn tail_clauses(&mut self, select: &SelectStmt, answer: &Shape) -> Result<()> {
        self.deciding_list(&select.distinct_clause, answer, Named::OutputFirst)?;
        self.deciding_list(&select.sort_clause, answer, Named::OutputFirst)?;
        // Which rows there are shows what decided it.
        let cut = self.optional(select.limit_offset.as_deref())?;
        let cut = join(self.optional(select.limit_count.as_deref())?, &cut);
        self.sink(cut);
        if !select.locking_clause.is_empty() {
            self.lock_rows();
        }
        if select.locking_clause.iter().any(skips_locked) {
            // Which rows other sessions hold decides which ones there are.
            self.goes_by = self.goes_by.max(Some(GoesBy::Sessions));
        }
        Ok(())
    }

    /// `FOR UPDATE`, `FOR SHARE`…: locks rows of every relation the query reads.
    fn lock_rows(&mut self) {
        let read: Vec<Object> = self
            .effects
            .iter()
            .filter(|e| e.verb == Verb::Read && e.object.kind == ObjectKind::Relation)
            .map(|e| Object { kind: ObjectKind::Lock, path: e.object.path.clone() })
            .collect();
        if read.is_empty() {
            let object = self.object(ObjectKind::Lock, []);
            self.effect(Verb::Control, object, Extent::Some, Certainty::Assumed);
        }
        for object in read {
            self.effect(Verb::Control, object, Extent::Some, Certainty::Resolved);
        }
    }

    /// `VALUES`: each column comes from its place in every row.
    fn values(&mut self, rows: &[Node]) -> Result<Shape> {
        let mut united_rows: Option<Shape> = None;
        for row in rows {
            let Some(NodeEnum::List(list)) = row.node.as_ref() else {
                self.unreadable();
                return Ok(Shape::unknown());
            };
            let mut shape = Shape::of(Vec::with_capacity(list.items.len()));
            for item in &list.items {
                self.target(item, None, &mut shape)?;
            }
            // By where they are once `t.*` is written out.
            for (place, column) in shape.columns.iter_mut().flatten().enumerate() {
                column.name = Some(Rc::from(format!("column{}", place + 1)));
            }
            united_rows = Some(match united_rows {
                None => shape,
                Some(all) => {
                    self.decide_united(&all, &shape);
                    united(all, &shape)
                }
            });
        }
        Ok(united_rows.unwrap_or_else(Shape::unknown))
    }

    /// A list of output expressions, `*` expanded.
    pub(super) fn targets(&mut self, targets: &[Node]) -> Result<Shape> {
        let mut shape = Shape::of(Vec::with_capacity(targets.len()));
        for target in targets {
            let Some(NodeEnum::ResTarget(target)) = target.node.as_ref() else {
                self.unreadable();
                return Ok(Shape::unknown());
            };
            let Some(value) = target.val.as_deref() else {
                self.unreadable();
                return Ok(Shape::unknown());
            };
            let name = output_name(target, value);
            self.target(value, name, &mut shape)?;
        }
        Ok(shape)
    }

    /// One output expression: one column, or as many as its `*` stands for.
    fn target(&mut self, value: &Node, name: Option<Rc<str>>, shape: &mut Shape) -> Result<()> {
        let star = self.star(value)?;
        let Some(star) = star else {
            let origin = self.expr(value)?;
            let (plain, typed) = (self.is_plain(value), self.typed(value));
            let carried = if plain { Some(Carried::AS_IT_IS) } else { self.carries_value(value) };
            self.charge(origin.named() / 8)?;
            if let Some(columns) = &mut shape.columns {
                if columns.len() >= MOST_COLUMNS {
                    return Err(Unreadable::TooManyColumns);
                }
                columns.push(OutCol { name, origin, plain, typed, carried });
            } else {
                add(shape.rest.get_or_insert_with(nothing), &origin);
            }
            return Ok(());
        };
        self.charge(star.columns.as_ref().map_or(1, |all| all.len() + burden(all)))?;
        let grown = match (&mut shape.columns, star.columns) {
            (Some(columns), Some(more)) => {
                if columns.len() + more.len() > MOST_COLUMNS {
                    return Err(Unreadable::TooManyColumns);
                }
                columns.extend(more);
                return Ok(());
            }
            (_, more) => Shape { columns: more, rest: star.rest, filter: nothing() },
        };
        let whole = join(shape.whole(), &grown.whole());
        *shape = Shape::unlisted(whole);
        Ok(())
    }

    /// The columns that `*`, `t.*` or `(expr).*` stand for; `None` where it is no such thing.
    fn star(&mut self, value: &Node) -> Result<Option<Shape>> {
        match value.node.as_ref() {
            Some(NodeEnum::ColumnRef(column)) => {
                let Some((last, before)) = column.fields.split_last() else { return Ok(None) };
                if !matches!(last.node, Some(NodeEnum::AStar(_))) {
                    return Ok(None);
                }
                let Some(names) = strings(before) else {
                    self.unreadable();
                    return Ok(Some(Shape::unknown()));
                };
                if let Some(all) = self.beyond_nearest(&names) {
                    return Ok(Some(Shape::unlisted(all)));
                }
                Ok(Some(self.expand(names.last().copied())))
            }
            Some(NodeEnum::AIndirection(field)) => {
                let star = field.indirection.last().and_then(|n| n.node.as_ref());
                if !matches!(star, Some(NodeEnum::AStar(_))) {
                    return Ok(None);
                }
                if let (Some(table), 1) = (self.row_name(field), field.indirection.len()) {
                    return Ok(Some(self.expand(Some(table))));
                }
                // As many columns as the row's type has, all of them from the row.
                let origin = self.expr(value)?;
                Ok(Some(Shape::unlisted(origin)))
            }
            _ => Ok(None),
        }
    }

    /// The columns of everything in this query's `FROM`, or of the table of that name.
    fn expand(&mut self, table: Option<&str>) -> Shape {
        let Some(table) = table else {
            return self.frames.last().map_or_else(Shape::unknown, |frame| frame.item.star());
        };
        let tables = self.find_tables(table);
        match tables.as_slice() {
            [one] => {
                let mut shape = (*one.shape).clone();
                if shape.columns.is_some() {
                    shape.rest = None;
                }
                shape
            }
            [] => {
                self.not_found();
                Shape::unknown()
            }
            several => {
                let mut all = nothing();
                several.iter().for_each(|t| add(&mut all, &t.shape.whole()));
                Shape::unlisted(all)
            }
        }
    }

    /// Puts the names of a `WITH` clause in scope.
    pub(super) fn with(&mut self, with: Option<&WithClause>) -> Result<()> {
        let Some(with) = with else { return Ok(()) };
        if with.recursive {
            // Any of them may mention any other: until it is known, it may be anything.
            for node in &with.ctes {
                if let Some(NodeEnum::CommonTableExpr(cte)) = node.node.as_ref() {
                    self.put_cte(&cte.ctename, Shape::unknown());
                }
            }
        }
        for node in &with.ctes {
            let Some(NodeEnum::CommonTableExpr(cte)) = node.node.as_ref() else {
                self.unreadable();
                continue;
            };
            let Some(query) = cte.ctequery.as_deref() else {
                self.unreadable();
                continue;
            };
            let mut shape = match recursive_parts(query, with.recursive) {
                Some((base, step)) => self.recursive(cte, query, base, step)?,
                None => self.query_node(query)?,
            };
            self.finish_cte(cte, &mut shape)?;
            self.put_cte(&cte.ctename, shape);
        }
        Ok(())
    }

    fn put_cte(&mut self, name: &str, shape: Shape) {
        self.ctes.push(Cte { name: name.into(), shape: Rc::new(shape) });
    }

    /// A `WITH` query that may mention itself: the base first, then the step until nothing new
    /// comes in.
    fn recursive(
        &mut self,
        cte: &CommonTableExpr,
        query: &Node,
        base: &SelectStmt,
        step: &SelectStmt,
    ) -> Result<Shape> {
        let scope = self.ctes.len();
        let conditions = self.conditions.clone();
        // `WITH` of the union itself, and its ordering, are read once as a whole with the name
        // unknown, for their effects; an inner `WITH` then makes the parts unreadable on their own.
        let blind = self.query_node(query)?;
        // What is ordered or cut as a whole does not mention itself, or the server refuses it
        // (checkWellFormedRecursion, PostgreSQL `src/backend/parser/parse_cte.c`).
        if let Some(NodeEnum::SelectStmt(select)) = query.node.as_ref()
            && (select.with_clause.is_some()
                || !select.sort_clause.is_empty()
                || select.limit_count.is_some()
                || select.limit_offset.is_some())
        {
            return Ok(blind);
        }
        // What decides is told by its parts, now that the name can be known.
        let blind_conditions = std::mem::replace(&mut self.conditions, conditions);
        let mut known = self.select(base)?;
        // What is not plain may grow with each round.
        let bounded = |shape: &mut Shape| {
            shape.columns.iter_mut().flatten().filter(|c| !c.plain).for_each(|c| c.carried = None);
        };
        bounded(&mut known);
        rename_columns(&mut known, &cte.aliascolnames);
        if has_more_columns(cte) {
            known = unlisted(&known, nothing());
        }
        for _ in 0..MAX_ROUNDS {
            self.put_cte(&cte.ctename, known.clone());
            let next = self.select(step);
            self.ctes.truncate(scope);
            let next = next?;
            self.decide_united(&known, &next);
            let mut next = united(known.clone(), &next);
            bounded(&mut next);
            if next == known {
                if !matches!(query.node.as_ref(), Some(NodeEnum::SelectStmt(s)) if s.all) {
                    self.decide(&known.whole());
                }
                return Ok(known);
            }
            known = next;
        }
        self.decide(&blind_conditions);
        Ok(blind)
    }

    /// The names and extra columns of a `WITH` query.
    fn finish_cte(&mut self, cte: &CommonTableExpr, shape: &mut Shape) -> Result<()> {
        rename_columns(shape, &cte.aliascolnames);
        if !has_more_columns(cte) {
            return Ok(());
        }
        // The order of rows, or which of them are alike.
        self.decide(&shape.whole());
        let mut mark = nothing();
        if let Some(cycle) = cte.cycle_clause.as_deref() {
            mark = self.optional(cycle.cycle_mark_value.as_deref())?;
            add(&mut mark, &self.optional(cycle.cycle_mark_default.as_deref())?);
        }
        *shape = unlisted(shape, mark);
        Ok(())
    }

    /// The `WITH` query an unqualified name stands for, if any.
    pub(super) fn find_cte(&self, name: &str) -> Option<Table> {
        let cte = self.ctes.iter().rev().find(|c| *c.name == *name)?;
        Some(Table {
            name: Rc::clone(&cte.name),
            shape: Rc::clone(&cte.shape),
            row: None,
            base: None,
        })
    }
}

/// True where `SEARCH` or `CYCLE` give a query columns that `*` means in some places and not in others
/// (`p_dontexpand`, PostgreSQL `src/backend/parser/parse_relation.c`).
fn has_more_columns(cte: &CommonTableExpr) -> bool {
    cte.search_clause.is_some() || cte.cycle_clause.is_some()
}

/// Columns in no known order, of which any may be any.
fn unlisted(shape: &Shape, more: Origin) -> Shape {
    let whole = join(shape.whole(), &more);
    Shape { columns: None, rest: Some(whole), filter: shape.filter.clone() }
}

/// Base and step of a recursive query.
fn recursive_parts(query: &Node, recursive: bool) -> Option<(&SelectStmt, &SelectStmt)> {
    match query.node.as_ref()? {
        NodeEnum::SelectStmt(select)
            if recursive && select.op == SetOperation::SetopUnion as i32 =>
        {
            Some((select.larg.as_deref()?, select.rarg.as_deref()?))
        }
        _ => None,
    }
}

/// The answer of a set operation.
fn united(mut left: Shape, right: &Shape) -> Shape {
    add(&mut left.filter, &right.filter);
    match (&mut left.columns, &right.columns) {
        (Some(mine), Some(other)) if mine.len() == other.len() => {
            for (mine, other) in mine.iter_mut().zip(other) {
                add(&mut mine.origin, &other.origin);
                mine.plain &= other.plain;
                mine.typed = common_of(mine.typed, other.typed);
                mine.carried = Carried::either([mine.carried, other.carried].into_iter());
            }
            if let Some(rest) = &right.rest {
                add(left.rest.get_or_insert_with(nothing), rest);
            }
            left
        }
        _ => {
            let whole = join(left.whole(), &right.whole());
            Shape { columns: None, rest: Some(whole), filter: left.filter }
        }
    }
}

/// The name the server gives an output column (`FigureColname`, PostgreSQL
/// `src/backend/parser/parse_target.c`); `None` where that is not worked out.
fn output_name(target: &ResTarget, value: &Node) -> Option<Rc<str>> {
    if !target.name.is_empty() {
        return Some(target.name.as_str().into());
    }
    match value.node.as_ref()? {
        NodeEnum::ColumnRef(column) => string(column.fields.last()?).map(Rc::from),
        // `EXTRACT` was `date_part` before PostgreSQL 14.
        NodeEnum::FuncCall(call) => {
            string(call.funcname.last()?).filter(|name| *name != "extract").map(Rc::from)
        }
        // Not so constants: `true` was `bool` before PostgreSQL 15, and `0x1` was a `0` named `x1`.
        NodeEnum::ParamRef(_) | NodeEnum::BoolExpr(_) => Some("?column?".into()),
        NodeEnum::TypeCast(cast) => match cast.arg.as_deref()?.node.as_ref()? {
            NodeEnum::ColumnRef(_) | NodeEnum::FuncCall(_) => {
                output_name(target, cast.arg.as_deref()?)
            }
            _ => None,
        },
        NodeEnum::AIndirection(field) => string(field.indirection.last()?).map(Rc::from),
        _ => None,
    }
}
