//! What decides: uses of a value that show something of it without showing it. Conditions, joins,
//! grouping and ordering choose the rows, groups and order of an answer; a comparison, a conversion
//! or a division may also fail for one value and not for another.
//!
//! Everything decides that is not known to carry a value unread: to build a text, a row or a
//! document from it, whatever it is. What is carried may be masked and nothing is lost.

use super::names::{split, string, strings, type_name};
use super::scope::{Shape, add, join, nothing};
use super::{Analyzer, Result};
use crate::catalog::{Catalog, FIRST_USER_OID};
use pg_query::NodeEnum;
use pg_query::protobuf::{
    AExpr, AExprKind, CoercionForm, Node, SetOperation, SubLink, SubLinkType, TypeName, XmlExpr,
    XmlExprOp, a_const,
};
use portcullis_core::mask::{Origin, UserType};
use std::rc::Rc;

/// Longest literal that is put beside a value: one that comes close to the largest text there can
/// be would make the statement fail by the length of the value.
const MAX_LITERAL: usize = 1_024;

/// How many times as long as a value that may be which carries it. A result that comes close to the
/// largest there can be would make the statement fail by what the value is.
const MAX_GROWTH: usize = 16_384;

/// How deep it is looked whether an expression carries a value unread.
pub(super) const MAX_CARRIED: usize = 16;

/// The type `jsonb`.
pub(super) const JSONB: u32 = 3802;

/// Types of rows of the server's own: of its first four catalogs, and `record`.
const ROWS: [u32; 5] = [71, 75, 81, 83, 2249];

/// Where bare names and numbers in a list are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// Among the columns of the answer first (`ORDER BY`, `DISTINCT ON`).
    OutputFirst,
    /// Among the columns in scope first (`GROUP BY`).
    InputFirst,
}

/// How an expression carries what it is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Carried {
    /// At most so many times as long as what it is made of, literals included.
    size: usize,
    /// How long it is depends on what is in the value, as the caller likes: letters are taken out or
    /// replaced.
    shaped: bool,
}

impl Carried {
    pub(super) const AS_IT_IS: Self = Self { size: 1, shaped: false };

    /// What is made of all of these; `None` where one is not carried.
    pub(super) fn all(mut parts: impl Iterator<Item = Option<Self>>) -> Option<Self> {
        parts.try_fold(Self { size: 0, shaped: false }, |all, part| {
            let part = part?;
            let size = all.size.saturating_add(part.size);
            Some(Self { size, shaped: all.shaped || part.shaped })
        })
    }

    /// What is one of these; `None` where one is not carried, or there is none.
    pub(super) fn either(mut parts: impl Iterator<Item = Option<Self>>) -> Option<Self> {
        let first = parts.next()??;
        parts.try_fold(first, |all, part| {
            let part = part?;
            let size = all.size.max(part.size);
            Some(Self { size, shaped: all.shaped || part.shaped })
        })
    }

    fn times(self, times: usize) -> Option<Self> {
        let size = self.size.checked_mul(times.max(1))?;
        Some(Self { size, ..self })
    }

    fn shaped(self) -> Self {
        Self { shaped: true, ..self }
    }
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
            // `(a, b)` is a list of names; `ROW(a, b)` is an expression.
            Some(NodeEnum::RowExpr(row))
                if named == Named::InputFirst
                    && row.row_format == CoercionForm::CoerceImplicitCast as i32 =>
            {
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
        // Before the answer stand only columns of this very `FROM`: no rows of tables, nothing of queries
        // around it (findTargetlistEntrySQL92, PostgreSQL `src/backend/parser/parse_clause.c`).
        let local = if named == Named::InputFirst { self.local_column(name) } else { None };
        if let Some((input, true)) = local {
            return Ok(input);
        }
        let found = match (input, output) {
            (_, Some(output)) => output,
            // A column of the answer whose name was not worked out may be the one.
            (Some(input), None) => join(input, &unnamed_outputs(answer)),
            (None, None) if answer.columns.is_none() || has_unnamed(answer) => {
                join(unnamed_outputs(answer), &answer.rest.clone().unwrap_or_else(nothing))
            }
            (None, None) => self.find_column(name)?,
        };
        Ok(match local {
            Some((maybe, _)) => join(found, &maybe),
            None => found,
        })
    }

    /// A conversion: only one to a text can be made of any value.
    pub(super) fn decide_cast(&mut self, name: Option<&TypeName>, origin: &Origin) {
        if !name.is_some_and(|name| self.is_text(name)) {
            self.decide(origin);
        }
    }

    /// A type that takes any text, and certainly the server's: schemas before the server's own in the
    /// `search_path` may have another one of that name.
    pub(super) fn is_text(&self, name: &TypeName) -> bool {
        let written = type_name(name);
        is_text(name)
            && written
                .is_some_and(|(schema, name)| schema.is_some() || self.means_server_type(name))
    }

    /// The same, by what is known of definitions at this place of the text.
    pub(super) fn means_server_type(&self, name: &str) -> bool {
        !self.earlier.stale && self.catalog.means_server_type(name)
    }

    /// An operator: only putting one behind the other reads neither.
    pub(super) fn decide_operator(&mut self, e: &AExpr, origin: &Origin) {
        if self.concatenated(e, MAX_CARRIED).is_none() || !self.joins_texts(e, origin) {
            self.decide(origin);
        }
    }

    /// True for `||` that is certainly not one of lists, which have to be of one size, nor one of an
    /// extension, which may want its texts in a form of its own.
    fn joins_texts(&self, e: &AExpr, origin: &Origin) -> bool {
        let concat = matches!(strings(&e.name).as_deref(), Some(["||"] | ["pg_catalog", "||"]));
        let strange = e.name.len() == 1 && self.joins_strangely();
        // Before PostgreSQL 14 documents that are neither lists nor objects could not be joined.
        let choosy = self.catalog.server_version() < 140_000;
        let other =
            |t| choosy && t == JSONB || is_array(self.catalog, t) || strange && t >= FIRST_USER_OID;
        concat && !self.is_of(origin, other)
    }

    /// True where somebody has a `||` of whom it is not known that it takes all there is.
    fn joins_strangely(&self) -> bool {
        self.catalog.operators_named("||").iter().any(|o| &*o.function.1 != "hs_concat")
    }

    fn concatenated(&self, e: &AExpr, depth: usize) -> Option<Carried> {
        let op = e.kind == AExprKind::AexprOp as i32;
        let name = strings(&e.name);
        let concat = matches!(name.as_deref(), Some(["||"] | ["pg_catalog", "||"]));
        let sides = [e.lexpr.as_deref(), e.rexpr.as_deref()];
        if !op || !concat {
            return None;
        }
        let sides = sides.into_iter().flatten().map(|side| self.carried(side, depth));
        Carried::all(sides)
    }

    /// A call: only some functions carry what they are given.
    pub(super) fn decide_call(&mut self, names: &[&str], args: &[Node], origin: &Origin) {
        if self.carries(names, args, MAX_CARRIED).is_none() || self.may_be_odd(names, origin) {
            self.decide(origin);
        } else if let Some((_, name)) = split(names) {
            self.decide_types(name, args, origin);
        }
    }

    /// True where a function that carries texts may be given a value it treats otherwise: bounds of
    /// ranges may be missing, and lists in a list have to be of one size.
    fn may_be_odd(&self, names: &[&str], origin: &Origin) -> bool {
        // An extension does with values of its types as it likes.
        let overloaded = |name| !self.catalog.functions_named(None, name).is_empty();
        if matches!(names, [name] if overloaded(name))
            && self.is_of(origin, |t| t >= FIRST_USER_OID)
        {
            return true;
        }
        match names.last() {
            Some(&("upper" | "lower")) => self.is_of(origin, |t| is_range(self.catalog, t)),
            Some(&"array_agg") => self.is_of(origin, |t| is_array(self.catalog, t)),
            _ => false,
        }
    }

    /// A list: those in it have to be of one size.
    pub(super) fn decide_list(&mut self, origin: &Origin) {
        if self.is_of(origin, |t| is_array(self.catalog, t)) {
            self.decide(origin);
        }
    }

    /// True where one of the columns is of such a type.
    fn is_of(&self, origin: &Origin, such: impl Fn(u32) -> bool) -> bool {
        let Origin::Columns(columns) = origin else { return false };
        columns.iter().any(|c| match c.column {
            // A row may stand for any of its fields.
            0 => {
                let relation = self.catalog.relation(c.relation);
                relation.is_some_and(|r| r.columns.iter().any(|own| such(own.type_oid)))
            }
            _ => self.catalog.type_of(c).is_some_and(&such),
        })
    }

    /// True where one of the columns may hold rows: of a type of users that is not known to be another
    /// one too.
    pub(super) fn may_be_row(&self, origin: &Origin) -> bool {
        let row = |type_oid| match self.catalog.type_map().get(base_type(self.catalog, type_oid)) {
            Some(UserType::Composite(_)) => true,
            Some(_) => false,
            None => ROWS.contains(&type_oid) || type_oid >= FIRST_USER_OID,
        };
        matches!(origin, Origin::Untraced) || self.is_of(origin, row)
    }

    /// How a call whose result is made of its arguments whatever they are, and that cannot fail for
    /// one value and not for another, carries them.
    fn carries(&self, names: &[&str], args: &[Node], depth: usize) -> Option<Carried> {
        let (schema, name) = split(names)?;
        if !self.is_of_servers(schema, name) {
            return None;
        }
        let (first, rest) = args.split_first().map_or((None, args), |(f, rest)| (Some(f), rest));
        let one = || first.map_or(Some(Carried::AS_IT_IS), |first| self.carried(first, depth));
        let all = || Carried::all(args.iter().map(|arg| self.carried(arg, depth)));
        let with_literals = || one().filter(|_| rest.iter().all(is_small_literal));
        if self.takes_list_apart(name, args) {
            return Some(Carried::AS_IT_IS);
        }
        let carried = match name {
            "array_to_string" => {
                let list = first.is_some_and(|list| self.is_short_list(list));
                let short = list && rest.iter().all(is_small_literal);
                short.then_some(Carried::AS_IT_IS)
            }
            // With an encoding in second place it may not be one.
            "length" if rest.is_empty() => all(),
            "upper" | "lower" | "initcap" | "reverse" | "char_length" | "character_length"
            | "octet_length" | "bit_length" | "md5" | "concat" | "concat_ws" | "min" | "max"
            | "any_value" | "count" | "first_value" | "last_value" => all(),
            // Quotes and backslashes are doubled.
            "quote_literal" | "quote_nullable" | "quote_ident" | "to_json" | "to_jsonb"
            | "row_to_json" | "array_to_json" | "json_build_object" | "jsonb_build_object"
            | "json_build_array" | "jsonb_build_array" => all()?.times(2),
            // As many values as the caller chooses rows: their length must not be chosen as well.
            "array_agg" | "string_agg" | "json_agg" | "jsonb_agg" | "json_object_agg"
            | "jsonb_object_agg" | "xmlagg" => all().filter(|c| !c.shaped)?.times(2),
            "left" | "right" | "lag" | "lead" | "nth_value" => with_literals(),
            "btrim" | "ltrim" | "rtrim" => with_literals().map(Carried::shaped),
            "translate" | "replace" => self.substituted(name, with_literals()?, rest),
            // With a text in second place they look for a pattern.
            "substr" | "substring" => one().filter(|_| rest.iter().all(is_number)),
            "format" => {
                let form = first.and_then(super::names::literal);
                // A digit may be of a width.
                let wide = |f: &str| f.contains(|c: char| c == '*' || c.is_ascii_digit());
                // There is no name that is NULL.
                let form =
                    form.filter(|f| !f.contains('I') && !wide(f) && f.len() <= MAX_LITERAL)?;
                all()?.times(form.matches('%').count())
            }
            _ => None,
        };
        carried.filter(|c| c.size <= MAX_GROWTH)
    }

    /// True for a function of the server's own, beside which there are only such overloads as a
    /// well-known extension has for types of its own.
    pub(super) fn is_of_servers(&self, schema: Option<&str>, name: &str) -> bool {
        let overloads = || self.catalog.functions_named(None, name);
        let server = self.catalog.builtin(name).is_some();
        match schema {
            Some(schema) => schema == "pg_catalog",
            None => overloads().iter().all(|f| server && f.is_tame_overload()),
        }
    }

    /// `replace` and `translate`, by the two literals behind the value.
    fn substituted(&self, name: &str, value: Carried, literals: &[Node]) -> Option<Carried> {
        let mut texts = literals.iter().map(|node| super::names::literal(node).unwrap_or_default());
        let (from, to) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
        let same = from.is_ascii() && to.is_ascii() && from.len() == to.len();
        // A letter becomes at most one other, a text any other.
        let grown = if name == "translate" { value } else { value.times(to.len())? };
        Some(if same { value } else { grown.shaped() })
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

    /// How an expression carries what it is made of; `None` where it may do more, or its size is the
    /// caller's choice.
    fn carried(&self, node: &Node, depth: usize) -> Option<Carried> {
        let depth = depth.checked_sub(1)?;
        let all = |nodes: &[Node]| Carried::all(nodes.iter().map(|n| self.carried(n, depth)));
        let one = |node: Option<&Node>| match node {
            Some(node) => self.carried(node, depth),
            None => Some(Carried::AS_IT_IS),
        };
        let as_it_is = |holds: bool| holds.then_some(Carried::AS_IT_IS);
        let carried = match node.node.as_ref()? {
            NodeEnum::AConst(_) => as_it_is(is_small_literal(node)),
            NodeEnum::ColumnRef(c) => {
                let (last, before) = c.fields.split_last()?;
                match string(last) {
                    Some(_) => self.carried_column(node).or_else(|| self.carried_row(node)),
                    None => self.carried_rows(&strings(before)?),
                }
            }
            NodeEnum::SubLink(e) => self.links.get(&link(e)).copied().flatten(),
            NodeEnum::TypeCast(e) => {
                let name = e.type_name.as_ref()?;
                let literal = e.arg.as_deref().is_some_and(is_small_literal);
                if literal && self.is_of_server(name) {
                    return Some(Carried::AS_IT_IS);
                }
                one(e.arg.as_deref()).filter(|_| self.is_text(name))
            }
            NodeEnum::AIndirection(e) => {
                let fields = e.indirection.iter().all(|step| string(step).is_some());
                one(e.arg.as_deref()).filter(|_| fields)
            }
            NodeEnum::CollateClause(e) => one(e.arg.as_deref()),
            NodeEnum::NamedArgExpr(e) => one(e.arg.as_deref()),
            NodeEnum::RowExpr(e) => all(&e.args)?.times(2),
            NodeEnum::AArrayExpr(e) => all(&e.elements)?.times(2),
            NodeEnum::CoalesceExpr(e) => all(&e.args),
            NodeEnum::MinMaxExpr(e) => all(&e.args),
            NodeEnum::AExpr(e) => self.concatenated(e, depth),
            NodeEnum::FuncCall(e) => self.carries(&strings(&e.funcname)?, &e.args, depth),
            _ => None,
        };
        carried.filter(|c| c.size <= MAX_GROWTH)
    }

    /// A type of the server's own: literals of others may be read, and joined, in their own way.
    fn is_of_server(&self, name: &TypeName) -> bool {
        match type_name(name) {
            Some((Some(schema), _)) => schema == "pg_catalog",
            Some((None, name)) => {
                let types = self.catalog.types_named(name);
                let of_users = types.iter().all(|t| t.oid >= FIRST_USER_OID);
                !types.is_empty() && self.means_server_type(name)
                    || of_users && !self.joins_strangely()
            }
            None => false,
        }
    }

    /// How the name of a table that stands for its row carries what is in it.
    pub(super) fn carried_row(&self, node: &Node) -> Option<Carried> {
        let Some(NodeEnum::ColumnRef(column)) = node.node.as_ref() else { return None };
        let [one] = column.fields.as_slice() else { return None };
        let name = string(one)?;
        // A column of that name would come first.
        (self.is_column(name) == Some(false)).then(|| self.carried_rows(&[name])).flatten()
    }

    /// Notes how the one value that a query gives carries what it comes from. Where it is read several
    /// times, it is what it is in all of them.
    pub(super) fn note_link(&mut self, e: &SubLink, shape: &Shape) {
        let single = e.sub_link_type == SubLinkType::ExprSublink as i32;
        let carried = match shape.columns.as_deref() {
            Some([one]) if single && shape.rest.is_none() => one.carried,
            _ => None,
        };
        let known = self.links.entry(link(e)).or_insert(carried);
        *known = Carried::either([*known, carried].into_iter());
    }

    /// How an expression carries what it is made of.
    pub(super) fn carries_value(&self, node: &Node) -> Option<Carried> {
        self.carried(node, MAX_CARRIED)
    }

    /// `COALESCE`: how many arguments stand before the last that may fail. Whether that is worked out
    /// tells whether those are NULL, which of a value that is worked out itself says by what.
    pub(super) fn before_failing(&self, args: &[Node]) -> usize {
        let fails = |node: &Node| match node.node.as_ref() {
            Some(NodeEnum::AConst(_)) => false,
            // Behind a table's name may stand that of a function.
            Some(NodeEnum::ColumnRef(column)) if column.fields.len() == 1 => false,
            Some(NodeEnum::SubLink(_)) => true,
            _ => self.carried(node, MAX_CARRIED).is_none(),
        };
        args.iter().rposition(fails).unwrap_or(0)
    }

    /// XML: reading a text as a document may fail, and there is no writing a day that never comes.
    pub(super) fn decide_xml(&mut self, e: &XmlExpr, origin: &Origin) {
        let builds = matches!(
            XmlExprOp::try_from(e.op),
            Ok(XmlExprOp::IsXmlconcat | XmlExprOp::IsXmlelement | XmlExprOp::IsXmlforest)
        );
        if builds { self.decide_moments(origin) } else { self.decide(origin) }
    }
}

/// Where a query in an expression stands: the tree stays where it is while it is read.
fn link(e: &SubLink) -> usize {
    std::ptr::from_ref(e).addr()
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
fn is_text(name: &TypeName) -> bool {
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

/// True for a type of lists.
fn is_array(catalog: &Catalog, type_oid: u32) -> bool {
    let type_oid = base_type(catalog, type_oid);
    matches!(catalog.type_map().get(type_oid), Some(UserType::Array(_)))
        || is_array_of_server(type_oid)
}

/// What a domain is one of.
fn base_type(catalog: &Catalog, mut type_oid: u32) -> u32 {
    for _ in 0..MAX_CARRIED {
        match catalog.type_map().get(type_oid) {
            Some(UserType::Domain { base, .. }) => type_oid = *base,
            _ => break,
        }
    }
    type_oid
}

/// True for a type of ranges.
fn is_range(catalog: &Catalog, type_oid: u32) -> bool {
    // Those of the server, and their multiranges.
    const OF_SERVER: [u32; 12] =
        [3904, 3906, 3908, 3910, 3912, 3926, 4451, 4532, 4533, 4534, 4535, 4536];
    let type_oid = base_type(catalog, type_oid);
    OF_SERVER.contains(&type_oid)
        || matches!(
            catalog.type_map().get(type_oid),
            Some(UserType::Range(_) | UserType::Multirange)
        )
}

fn is_number(node: &Node) -> bool {
    match node.node.as_ref() {
        Some(NodeEnum::AConst(c)) => match &c.val {
            Some(a_const::Val::Ival(number)) => number.ival >= 0,
            _ => false,
        },
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

/// The types of lists of the server's own that values of users' tables have (`pg_type.typcategory` of
/// `A`).
fn is_array_of_server(type_oid: u32) -> bool {
    const OTHERS: [u32; 62] = [
        22, 30, 143, 199, 629, 651, 719, 775, 791, 1027, 1028, 1034, 1040, 1041, 1115, 1182, 1183,
        1185, 1187, 1231, 1263, 1270, 1561, 1563, 2201, 2207, 2208, 2209, 2210, 2211, 2949, 2951,
        3221, 3643, 3644, 3645, 3735, 3770, 3807, 3905, 3907, 3909, 3911, 3913, 3927, 4073, 4090,
        4097, 4192, 5039, 6150, 6151, 6152, 6153, 6155, 6157, 210, 270, 271, 272, 273, 2287,
    ];
    (1000..=1022).contains(&type_oid) && type_oid != 1004 || OTHERS.contains(&type_oid)
}
