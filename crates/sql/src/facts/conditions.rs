//! What decides: uses of a value that show something of it without showing it. Conditions, joins,
//! grouping and ordering choose the rows, groups and order of an answer; a comparison, a conversion
//! or a division may also fail for one value and not for another.
//!
//! Everything decides that is not known to carry a value unread: to build a text, a row or a
//! document from it, whatever it is. What is carried may be masked and nothing is lost.

use super::names::{split, string, strings, type_name};
use super::scope::{Shape, add, join, nothing};
use super::{Analyzer, Result};
use pg_query::NodeEnum;
use pg_query::protobuf::{
    AExpr, AExprKind, FuncCall, Node, SetOperation, SubLinkType, TypeName, XmlExpr, XmlExprOp,
    a_const,
};
use portcullis_core::mask::Origin;
use std::rc::Rc;

/// Longest literal that is put beside a value: one that comes close to the largest text there can
/// be would make the statement fail by the length of the value.
const MAX_LITERAL: usize = 1_024;

/// How deep it is looked whether an expression carries a value unread.
const MAX_CARRIED: usize = 16;

/// Where bare names and numbers in a list are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// Among the columns of the answer first (`ORDER BY`, `DISTINCT ON`).
    OutputFirst,
    /// Among the columns in scope first (`GROUP BY`).
    InputFirst,
}

impl Analyzer<'_> {
    /// A condition: it decides.
    pub(super) fn condition_on(&mut self, node: Option<&Node>) -> Result<Origin> {
        let origin = self.optional(node)?;
        self.decide(&origin);
        Ok(origin)
    }

    /// The items of `GROUP BY`, `ORDER BY` or `DISTINCT ON`: expressions, names and numbers of
    /// columns of the answer.
    pub(super) fn deciding_list(
        &mut self,
        nodes: &[Node],
        answer: &Shape,
        named: Named,
    ) -> Result<()> {
        for node in nodes {
            self.nested(|a| a.deciding_item(node, answer, named))?;
        }
        Ok(())
    }

    fn deciding_item(&mut self, node: &Node, answer: &Shape, named: Named) -> Result<()> {
        let origin = match node.node.as_ref() {
            // `DISTINCT` without a list is a list of one empty node.
            None => answer.whole(),
            Some(NodeEnum::GroupingSet(set)) => {
                return self.deciding_list(&set.content, answer, named);
            }
            Some(NodeEnum::RowExpr(row)) if named == Named::InputFirst => {
                return self.deciding_list(&row.args, answer, named);
            }
            Some(NodeEnum::SortBy(sort)) => {
                let used = self.operator_names(&sort.use_op);
                self.decide(&used);
                let Some(inner) = sort.node.as_deref() else { return Ok(()) };
                return self.deciding_item(inner, answer, named);
            }
            Some(NodeEnum::AConst(constant)) => match &constant.val {
                Some(a_const::Val::Ival(number)) => output_at(answer, number.ival),
                _ => nothing(),
            },
            Some(NodeEnum::ColumnRef(column)) => match column.fields.as_slice() {
                [one] if string(one).is_some() => {
                    self.output_or_input(string(one).unwrap_or_default(), answer, named)?
                }
                _ => self.expr(node)?,
            },
            Some(_) => self.expr(node)?,
        };
        self.decide(&origin);
        Ok(())
    }

    fn output_or_input(&mut self, name: &str, answer: &Shape, named: Named) -> Result<Origin> {
        let input = self.look_up(name)?;
        let output = output_named(answer, name);
        Ok(match (named, input, output) {
            (Named::InputFirst, Some(input), _) => input,
            (_, _, Some(output)) => output,
            // A column of the answer whose name was not worked out may be the one.
            (_, Some(input), None) => join(input, &unnamed_outputs(answer)),
            (_, None, None) if answer.columns.is_none() || has_unnamed(answer) => {
                join(unnamed_outputs(answer), &answer.rest.clone().unwrap_or_else(nothing))
            }
            (_, None, None) => self.find_column(name)?,
        })
    }

    /// A conversion: only one to a text can be made of any value.
    pub(super) fn decide_cast(&mut self, name: Option<&TypeName>, origin: &Origin) {
        if !name.is_some_and(is_text) {
            self.decide(origin);
        }
    }

    /// An operator: only putting one behind the other reads neither.
    pub(super) fn decide_operator(&mut self, e: &AExpr, origin: &Origin) {
        if !self.is_concatenation(e, MAX_CARRIED) {
            self.decide(origin);
        }
    }

    fn is_concatenation(&self, e: &AExpr, depth: usize) -> bool {
        let op = e.kind == AExprKind::AexprOp as i32;
        let name = strings(&e.name);
        let concat = matches!(name.as_deref(), Some(["||"] | ["pg_catalog", "||"]));
        let sides = [e.lexpr.as_deref(), e.rexpr.as_deref()];
        op && concat && sides.into_iter().flatten().all(|side| self.is_small(side, depth))
    }

    /// A call: only some functions carry what they are given.
    pub(super) fn decide_call(&mut self, names: &[&str], args: &[Node], origin: &Origin) {
        if !self.carries(names, args, MAX_CARRIED) {
            self.decide(origin);
        }
    }

    /// True for a call whose result is made of its arguments whatever they are, and that cannot
    /// fail for one value and not for another.
    fn carries(&self, names: &[&str], args: &[Node], depth: usize) -> bool {
        let Some((schema, name)) = split(names) else { return false };
        let of_server = schema.is_none_or(|s| s == "pg_catalog")
            && (schema.is_some() || self.catalog.functions_named(None, name).is_empty());
        if !of_server {
            return false;
        }
        let small = |args: &[Node]| args.iter().all(|arg| self.is_small(arg, depth));
        let literals = |args: &[Node]| args.iter().all(is_small_literal);
        if self.takes_list_apart(name, args) {
            return true;
        }
        match name {
            "array_to_string" => {
                let rest = args.get(1..).unwrap_or_default();
                args.first().is_some_and(|list| self.is_short_list(list)) && literals(rest)
            }
            "upper" | "lower" | "initcap" | "reverse" | "length" | "char_length"
            | "character_length" | "octet_length" | "bit_length" | "md5" | "quote_literal"
            | "quote_nullable" | "quote_ident" | "concat" | "concat_ws" | "to_json"
            | "to_jsonb" | "row_to_json" | "array_to_json" | "json_build_object"
            | "jsonb_build_object" | "json_build_array" | "jsonb_build_array" | "array_agg"
            | "string_agg" | "json_agg" | "jsonb_agg" | "json_object_agg" | "jsonb_object_agg"
            | "xmlagg" | "min" | "max" | "any_value" | "count" | "first_value" | "last_value" => {
                small(args)
            }
            "btrim" | "ltrim" | "rtrim" | "left" | "right" | "replace" | "translate" | "lag"
            | "lead" | "nth_value" => {
                let rest = args.get(1..).unwrap_or_default();
                small(args.get(..1).unwrap_or_default()) && literals(rest)
            }
            // With a text in second place they look for a pattern.
            "substr" | "substring" => {
                let rest = args.get(1..).unwrap_or_default();
                small(args.get(..1).unwrap_or_default()) && rest.iter().all(is_number)
            }
            "format" => {
                let form = args.first().and_then(super::names::literal);
                form.is_some_and(|f| !f.contains('*') && f.len() <= MAX_LITERAL) && small(args)
            }
            _ => false,
        }
    }

    /// A list of options of the server's own, as it is kept or made again of its rows (`\deu+`).
    fn is_short_list(&self, node: &Node) -> bool {
        let Some(NodeEnum::SubLink(sub)) = node.node.as_ref() else {
            return self.is_list_of_server(node);
        };
        let select = match sub.subselect.as_deref().and_then(|s| s.node.as_ref()) {
            Some(NodeEnum::SelectStmt(select)) => select,
            _ => return false,
        };
        let array = sub.sub_link_type == SubLinkType::ArraySublink as i32;
        // What each row becomes was looked at with the rows in scope.
        array
            && select.op == SetOperation::SetopNone as i32
            && matches!(select.from_clause.as_slice(), [one] if match one.node.as_ref() {
                Some(NodeEnum::RangeFunction(f)) => {
                    matches!(f.functions.as_slice(), [one] if self.is_list_taken_apart(one))
                }
                _ => false,
            })
            && matches!(select.target_list.as_slice(), [one] if is_short_text(one, MAX_CARRIED))
    }

    /// True for an item of a `FROM` clause that is a list of options, row by row.
    pub(super) fn is_list_taken_apart(&self, item: &Node) -> bool {
        let Some(NodeEnum::List(pair)) = item.node.as_ref() else { return false };
        let Some(NodeEnum::FuncCall(call)) = pair.items.first().and_then(|c| c.node.as_ref())
        else {
            return false;
        };
        match strings(&call.funcname).as_deref().and_then(split) {
            Some((None | Some("pg_catalog"), name)) => {
                self.catalog.functions_named(None, name).is_empty()
                    && self.takes_list_apart(name, &call.args)
            }
            _ => false,
        }
    }

    /// True for an expression that carries what it is made of, and whose size is not the caller's
    /// choice.
    fn is_small(&self, node: &Node, depth: usize) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        let all = |nodes: &[Node]| nodes.iter().all(|n| self.is_small(n, depth));
        let one = |node: Option<&Node>| node.is_none_or(|n| self.is_small(n, depth));
        match node.node.as_ref() {
            Some(NodeEnum::AConst(_)) => is_small_literal(node),
            Some(NodeEnum::ColumnRef(c)) => {
                let star = c.fields.last().is_some_and(|f| string(f).is_none());
                star || self.is_stored(node) || self.is_row(node)
            }
            Some(NodeEnum::TypeCast(e)) => {
                let literal = e.arg.as_deref().is_some_and(is_small_literal);
                literal || e.type_name.as_ref().is_some_and(is_text) && one(e.arg.as_deref())
            }
            Some(NodeEnum::AIndirection(e)) => {
                e.indirection.iter().all(|step| string(step).is_some()) && one(e.arg.as_deref())
            }
            Some(NodeEnum::CollateClause(e)) => one(e.arg.as_deref()),
            Some(NodeEnum::NamedArgExpr(e)) => one(e.arg.as_deref()),
            Some(NodeEnum::RowExpr(e)) => all(&e.args),
            Some(NodeEnum::AArrayExpr(e)) => all(&e.elements),
            Some(NodeEnum::CoalesceExpr(e)) => all(&e.args),
            Some(NodeEnum::MinMaxExpr(e)) => all(&e.args),
            Some(NodeEnum::AExpr(e)) => self.is_concatenation(e, depth),
            Some(NodeEnum::FuncCall(e)) => self.carries_call(e, depth),
            _ => false,
        }
    }

    fn carries_call(&self, call: &FuncCall, depth: usize) -> bool {
        strings(&call.funcname).is_some_and(|names| self.carries(&names, &call.args, depth))
    }

    /// True for the name of a table that stands for its row.
    fn is_row(&self, node: &Node) -> bool {
        let Some(NodeEnum::ColumnRef(column)) = node.node.as_ref() else { return false };
        let [one] = column.fields.as_slice() else { return false };
        let Some(name) = string(one) else { return false };
        let of_name = |t: &&super::scope::Table| *t.name == *name;
        let mut frames = self.frames.iter().rev();
        let nearest = frames.find(|f| f.item.tables.iter().any(|t| of_name(&t)));
        let stored = |t: &super::scope::Table| matches!(t.row, Some(Origin::Columns(_)));
        // A column of that name would come first.
        !self.is_column(name)
            && nearest.is_some_and(|f| f.item.tables.iter().filter(of_name).all(stored))
    }

    /// XML: reading a text as a document may fail.
    pub(super) fn decide_xml(&mut self, e: &XmlExpr, origin: &Origin) {
        let builds = matches!(
            XmlExprOp::try_from(e.op),
            Ok(XmlExprOp::IsXmlconcat | XmlExprOp::IsXmlelement | XmlExprOp::IsXmlforest)
        );
        if !builds {
            self.decide(origin);
        }
    }
}

/// The columns of the answer that go by this name; `None` where there is none.
fn output_named(answer: &Shape, name: &str) -> Option<Origin> {
    let same = |c: &&super::scope::OutCol| c.name.as_deref() == Some(name);
    let mut found = answer.columns.iter().flatten().filter(same).peekable();
    found.peek()?;
    let mut all = nothing();
    found.for_each(|c| add(&mut all, &c.origin));
    Some(all)
}

fn has_unnamed(answer: &Shape) -> bool {
    answer.columns.iter().flatten().any(|c| c.name.is_none())
}

/// The columns of the answer of which no name is known.
fn unnamed_outputs(answer: &Shape) -> Origin {
    let is_unnamed = |name: &Option<Rc<str>>| name.is_none();
    let mut all = nothing();
    let columns = answer.columns.iter().flatten().filter(|c| is_unnamed(&c.name));
    columns.for_each(|c| add(&mut all, &c.origin));
    if answer.columns.is_none() {
        add(&mut all, &answer.whole());
    }
    all
}

/// The column of the answer at a place, from 1.
fn output_at(answer: &Shape, place: i32) -> Origin {
    let place = usize::try_from(place).ok().and_then(|n| n.checked_sub(1));
    match (&answer.columns, place) {
        (Some(columns), Some(place)) => {
            columns.get(place).map_or_else(nothing, |c| c.origin.clone())
        }
        _ => answer.whole(),
    }
}

/// A type that takes any text, and that any value can be written as.
pub(super) fn is_text(name: &TypeName) -> bool {
    let text = type_name(name).is_some_and(|(schema, name)| {
        schema.is_none_or(|s| s == "pg_catalog")
            && matches!(name, "text" | "varchar" | "bpchar" | "name")
    });
    text && name.array_bounds.is_empty() && !name.setof
}

/// Names and quoted names put behind each other, with short literals between.
fn is_short_text(node: &Node, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    match node.node.as_ref() {
        Some(NodeEnum::ResTarget(e)) => {
            e.val.as_deref().is_some_and(|value| is_short_text(value, depth))
        }
        Some(NodeEnum::ColumnRef(c)) => c.fields.iter().all(|f| string(f).is_some()),
        Some(NodeEnum::AConst(_)) => is_small_literal(node),
        Some(NodeEnum::AExpr(e)) => {
            let concat = matches!(strings(&e.name).as_deref(), Some(["||"] | ["pg_catalog", "||"]));
            let mut sides = [e.lexpr.as_deref(), e.rexpr.as_deref()].into_iter().flatten();
            concat && sides.all(|side| is_short_text(side, depth))
        }
        Some(NodeEnum::FuncCall(e)) => {
            let names = strings(&e.funcname);
            let quotes = names.as_deref().and_then(split).is_some_and(|(_, name)| {
                matches!(name, "quote_ident" | "quote_literal" | "quote_nullable")
            });
            quotes && e.args.iter().all(|arg| is_short_text(arg, depth))
        }
        _ => false,
    }
}

fn is_number(node: &Node) -> bool {
    match node.node.as_ref() {
        Some(NodeEnum::AConst(c)) => matches!(c.val, Some(a_const::Val::Ival(_))),
        _ => false,
    }
}

fn is_small_literal(node: &Node) -> bool {
    match node.node.as_ref() {
        Some(NodeEnum::AConst(c)) => match &c.val {
            Some(a_const::Val::Sval(s)) => s.sval.len() <= MAX_LITERAL,
            _ => true,
        },
        _ => false,
    }
}
