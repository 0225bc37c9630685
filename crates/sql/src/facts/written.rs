//! Values of the caller's own text, and parameters, that go into rows: what is looked at for masked
//! values that come back. Filled in while changes are taken apart; queries have none.
//!
//! What only decides (conditions, comparisons, the head of a `CASE`) goes nowhere and is left out.

use super::names::string;
use super::resolve::Candidates;
use super::{Analyzer, Result};
use crate::statement::{Targets, Written, WrittenValue};
use pg_query::NodeEnum;
use pg_query::protobuf::{AExpr, AExprKind, Node, SelectStmt, SubLinkType, WithClause, a_const};
use portcullis_core::mask::ColumnRef;

/// Longer texts are kept only where they may hold a masked value.
const SHORT: usize = 64;

/// The columns of this name that are meant.
pub(super) fn targets_named(candidates: &Candidates<'_>, name: &str) -> Targets {
    let own = candidates.iter().filter_map(|relation| {
        let column = relation.columns.iter().find(|c| &*c.name == name)?;
        Some(ColumnRef { relation: relation.oid, column: column.number })
    });
    own.collect()
}

/// The columns of an `INSERT` in order.
pub(super) fn targets_in_order(candidates: &Candidates<'_>, columns: &[Node]) -> Vec<Targets> {
    if !columns.is_empty() {
        let name = |node: &Node| match node.node.as_ref() {
            Some(NodeEnum::ResTarget(target)) => targets_named(candidates, &target.name),
            _ => Targets::new(),
        };
        return columns.iter().map(name).collect();
    }
    let [one] = candidates.as_slice() else { return Vec::new() };
    let own = one.columns.iter();
    own.map(|c| Targets::from_iter([ColumnRef { relation: one.oid, column: c.number }])).collect()
}

/// True where a text may hold a masked value: what all of them begin with, or a custom UUID.
fn may_be_masked(text: &str) -> bool {
    ["[masked", "pcm_", "\\x", "-8"].iter().any(|part| text.contains(part))
}

impl Analyzer<'_> {
    /// The values of a query whose rows are written, or that a change is made from.
    pub(super) fn written_query(&mut self, query: &Node, targets: &[Targets]) -> Result<()> {
        match query.node.as_ref() {
            Some(NodeEnum::SelectStmt(select)) => self.written_select(select, targets),
            _ => Ok(()),
        }
    }

    fn written_select(&mut self, select: &SelectStmt, targets: &[Targets]) -> Result<()> {
        let to = |place: usize| targets.get(place).cloned().unwrap_or_default();
        self.nested(|a| {
            a.written_with(select.with_clause.as_ref())?;
            for row in &select.values_lists {
                if let Some(NodeEnum::List(row)) = row.node.as_ref() {
                    for (place, value) in row.items.iter().enumerate() {
                        a.written_value(value, &to(place))?;
                    }
                }
            }
            for (place, target) in select.target_list.iter().enumerate() {
                if let Some(NodeEnum::ResTarget(target)) = target.node.as_ref()
                    && let Some(value) = target.val.as_deref()
                {
                    a.written_value(value, &to(place))?;
                }
            }
            for arm in [&select.larg, &select.rarg].into_iter().flatten() {
                a.written_select(arm, targets)?;
            }
            a.written_from(&select.from_clause)
        })
    }

    /// The queries that a change reads from.
    pub(super) fn written_with(&mut self, with: Option<&WithClause>) -> Result<()> {
        for node in with.into_iter().flat_map(|with| &with.ctes) {
            if let Some(NodeEnum::CommonTableExpr(cte)) = node.node.as_ref()
                && let Some(query) = cte.ctequery.as_deref()
            {
                self.written_query(query, &[])?;
            }
        }
        Ok(())
    }

    /// What a change reads from, where that is made of values.
    pub(super) fn written_from(&mut self, from: &[Node]) -> Result<()> {
        for node in from {
            match node.node.as_ref() {
                Some(NodeEnum::RangeSubselect(sub)) => {
                    if let Some(query) = sub.subquery.as_deref() {
                        self.written_query(query, &[])?;
                    }
                }
                Some(NodeEnum::RangeFunction(function)) => {
                    for call in &function.functions {
                        self.written_value(call, &Targets::new())?;
                    }
                }
                Some(NodeEnum::JoinExpr(join)) => {
                    for side in [&join.larg, &join.rarg].into_iter().flatten() {
                        self.nested(|a| a.written_from(std::slice::from_ref(side)))?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// `SET` clauses.
    pub(super) fn written_assignments(
        &mut self,
        assignments: &[Node],
        candidates: &Candidates<'_>,
    ) -> Result<()> {
        for node in assignments {
            if let Some(NodeEnum::ResTarget(target)) = node.node.as_ref()
                && let Some(value) = target.val.as_deref()
            {
                let columns = targets_named(candidates, &target.name);
                self.written_value(value, &columns)?;
            }
        }
        Ok(())
    }

    /// The values in an expression whose own value is written.
    pub(super) fn written_value(&mut self, node: &Node, to: &Targets) -> Result<()> {
        let nowhere = Targets::new();
        self.nested(|a| match node.node.as_ref() {
            Some(NodeEnum::AConst(constant)) => {
                if let Some(a_const::Val::Sval(text)) = &constant.val
                    && (text.sval.len() <= SHORT || may_be_masked(&text.sval))
                {
                    let at = usize::try_from(constant.location).unwrap_or_default();
                    a.written_as(WrittenValue::Text(text.sval.as_str().into(), at), to);
                }
                Ok(())
            }
            Some(NodeEnum::ParamRef(parameter)) => {
                if let Ok(number) = usize::try_from(parameter.number) {
                    a.written_as(WrittenValue::Parameter(number), to);
                }
                Ok(())
            }
            Some(NodeEnum::TypeCast(e)) => a.written_one(e.arg.as_deref(), to),
            Some(NodeEnum::CollateClause(e)) => a.written_one(e.arg.as_deref(), to),
            Some(NodeEnum::NamedArgExpr(e)) => a.written_one(e.arg.as_deref(), &nowhere),
            Some(NodeEnum::AIndirection(e)) => a.written_one(e.arg.as_deref(), &nowhere),
            Some(NodeEnum::CoalesceExpr(e)) => a.written_all(&e.args, to),
            Some(NodeEnum::MinMaxExpr(e)) => a.written_all(&e.args, to),
            Some(NodeEnum::AArrayExpr(e)) => a.written_all(&e.elements, to),
            Some(NodeEnum::RowExpr(e)) => a.written_all(&e.args, &nowhere),
            Some(NodeEnum::List(e)) => a.written_all(&e.items, &nowhere),
            Some(NodeEnum::FuncCall(e)) => a.written_all(&e.args, &nowhere),
            Some(NodeEnum::XmlExpr(e)) => a.written_all(&e.args, &nowhere),
            Some(NodeEnum::JsonValueExpr(e)) => a.written_one(e.raw_expr.as_deref(), &nowhere),
            Some(NodeEnum::AExpr(e)) if !compares(e) => {
                a.written_one(e.lexpr.as_deref(), &nowhere)?;
                a.written_one(e.rexpr.as_deref(), &nowhere)
            }
            Some(NodeEnum::CaseExpr(e)) => {
                for when in &e.args {
                    if let Some(NodeEnum::CaseWhen(when)) = when.node.as_ref() {
                        a.written_one(when.result.as_deref(), to)?;
                    }
                }
                a.written_one(e.defresult.as_deref(), to)
            }
            Some(NodeEnum::SubLink(e)) => {
                let kind = SubLinkType::try_from(e.sub_link_type);
                match (kind, e.subselect.as_deref()) {
                    (Ok(SubLinkType::ExprSublink | SubLinkType::ArraySublink), Some(query)) => {
                        a.written_query(query, std::slice::from_ref(to))
                    }
                    (Ok(SubLinkType::MultiexprSublink), Some(query)) => a.written_query(query, &[]),
                    _ => Ok(()),
                }
            }
            // `SET (a, b) = ROW(…)`: each place takes its own.
            Some(NodeEnum::MultiAssignRef(e)) => {
                let place = usize::try_from(e.colno - 1).unwrap_or_default();
                match e.source.as_deref().map(|source| (source, source.node.as_ref())) {
                    Some((_, Some(NodeEnum::RowExpr(row)))) => {
                        a.written_one(row.args.get(place), to)
                    }
                    Some((source, _)) if place == 0 => a.written_value(source, &nowhere),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        })
    }

    fn written_as(&mut self, value: WrittenValue, to: &Targets) {
        self.written.push(Written { value, columns: to.clone() });
    }

    fn written_one(&mut self, node: Option<&Node>, to: &Targets) -> Result<()> {
        node.map_or(Ok(()), |node| self.written_value(node, to))
    }

    pub(super) fn written_all(&mut self, nodes: &[Node], to: &Targets) -> Result<()> {
        nodes.iter().try_for_each(|node| self.written_value(node, to))
    }
}

/// True for an operator that compares or matches: what it is given decides, and goes nowhere.
fn compares(e: &AExpr) -> bool {
    let kind = AExprKind::try_from(e.kind);
    if !matches!(kind, Ok(AExprKind::AexprOp | AExprKind::AexprNullif)) {
        return true;
    }
    if kind == Ok(AExprKind::AexprNullif) {
        return false;
    }
    let name = e.name.last().and_then(string).unwrap_or_default();
    matches!(name, "=" | "<>" | "!=" | "<" | ">" | "<=" | ">=")
        || name.starts_with(['~', '!'])
        || matches!(name, "@>" | "<@" | "?" | "?|" | "?&" | "&&" | "@@")
}
