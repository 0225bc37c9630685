//! Expressions: which columns a value depends on, and what evaluating it does.

use super::names::{split, string, strings, type_name};
use super::scope::{Named, add, join, nothing};
use super::{Analyzer, Result};
use crate::statement::GoesBy;
use pg_query::NodeEnum;
use pg_query::protobuf::{
    AExpr, AExprKind, AIndirection, CaseExpr, ColumnRef, Node, SubLink, SubLinkType, TypeName,
    WindowDef, XmlOptionType, XmlSerialize,
};
use portcullis_core::effect::ObjectKind;
use portcullis_core::mask::Origin;

/// From here on `json` is a keyword, as it is in the grammar that texts are read by.
const JSON_IS_A_WORD: u32 = 170_000;

impl Analyzer<'_> {
    pub(super) fn optional(&mut self, node: Option<&Node>) -> Result<Origin> {
        node.map_or_else(|| Ok(nothing()), |node| self.expr(node))
    }

    /// What a list of expressions depends on together.
    pub(super) fn all(&mut self, nodes: &[Node]) -> Result<Origin> {
        let mut origin = nothing();
        for node in nodes {
            add(&mut origin, &self.expr(node)?);
        }
        Ok(origin)
    }

    pub(super) fn expr(&mut self, node: &Node) -> Result<Origin> {
        self.nested(|a| a.expr_kind(node))
    }

    fn expr_kind(&mut self, node: &Node) -> Result<Origin> {
        // `SELECT DISTINCT` without a list is a list of one empty node.
        let Some(kind) = node.node.as_ref() else { return Ok(nothing()) };
        match kind {
            NodeEnum::AConst(_) | NodeEnum::SetToDefault(_) | NodeEnum::SqlvalueFunction(_) => {
                Ok(nothing())
            }
            NodeEnum::CurrentOfExpr(_) => {
                self.goes_by = Some(GoesBy::CursorRow);
                Ok(nothing())
            }
            NodeEnum::ParamRef(parameter) => {
                let number = u16::try_from(parameter.number).unwrap_or(0);
                self.parameters.entry(number).or_default().uses += 1;
                Ok(nothing())
            }
            NodeEnum::ColumnRef(column) => self.column_ref(column),
            NodeEnum::AExpr(e) => self.operator_expr(e),
            NodeEnum::BoolExpr(e) => {
                let origin = self.all(&e.args)?;
                self.decide(&origin);
                Ok(origin)
            }
            NodeEnum::NullTest(e) => {
                let origin = self.optional(e.arg.as_deref())?;
                let stored = e.arg.as_deref().is_some_and(|arg| {
                    // Of a row it is asked whether all of its fields are.
                    self.stored_by_server(arg).is_some()
                        || self.is_stored(arg) && !self.may_be_row(&origin)
                });
                if !stored {
                    return Ok(origin);
                }
                self.decide_by_null(&origin);
                Ok(nothing())
            }
            NodeEnum::BooleanTest(e) => self.condition_on(e.arg.as_deref()),
            NodeEnum::CollateClause(e) => self.optional(e.arg.as_deref()),
            NodeEnum::AArrayExpr(e) => self.list_of(&e.elements),
            NodeEnum::RowExpr(e) => self.all(&e.args),
            NodeEnum::List(e) => self.all(&e.items),
            NodeEnum::CoalesceExpr(e) => self.coalesce(&e.args),
            NodeEnum::MinMaxExpr(e) => {
                let compared = self.operator_use(None, "<");
                let origin = self.all(&e.args)?;
                // One of them is chosen by what they are.
                self.decide(&origin);
                Ok(join(origin, &compared))
            }
            NodeEnum::CaseExpr(e) => self.case(e),
            NodeEnum::TypeCast(e) => self.cast(e.type_name.as_ref(), e.arg.as_deref()),
            NodeEnum::FuncCall(e) => self.call(e),
            NodeEnum::SubLink(e) => self.sub_link(e),
            NodeEnum::AIndirection(e) => self.indirection(e),
            NodeEnum::NamedArgExpr(e) => self.optional(e.arg.as_deref()),
            NodeEnum::MultiAssignRef(e) => self.optional(e.source.as_deref()),
            NodeEnum::ResTarget(e) => self.optional(e.val.as_deref()),
            // Tells which grouping set a row is of, not what is in it.
            NodeEnum::GroupingFunc(e) => self.all(&e.args).map(|_| nothing()),
            NodeEnum::GroupingSet(e) => self.all(&e.content),
            NodeEnum::SortBy(e) => {
                let used = self.operator_names(&e.use_op);
                Ok(join(self.optional(e.node.as_deref())?, &used))
            }
            NodeEnum::WindowDef(e) => self.window(e),
            NodeEnum::XmlExpr(e) => {
                let named = self.all(&e.named_args)?;
                let origin = join(self.all(&e.args)?, &named);
                self.decide_xml(e, &origin);
                Ok(origin)
            }
            NodeEnum::XmlSerialize(e) => self.xml_written(e),
            _ => self.json_expr(kind),
        }
    }

    fn cast(&mut self, to: Option<&TypeName>, arg: Option<&Node>) -> Result<Origin> {
        let cast = self.type_use(to);
        let origin = join(self.optional(arg)?, &cast);
        self.decide_cast(to, &origin);
        Ok(origin)
    }

    /// `XMLSERIALIZE`: a text that is too long for its type is an error here, as is content that is
    /// no document.
    fn xml_written(&mut self, e: &XmlSerialize) -> Result<Origin> {
        let origin = self.cast(e.type_name.as_ref(), e.expr.as_deref())?;
        let content = e.xmloption == XmlOptionType::XmloptionContent as i32 && !e.indent;
        if !content || e.type_name.as_ref().is_none_or(|name| !name.typmods.is_empty()) {
            self.decide(&origin);
        }
        Ok(origin)
    }

    fn list_of(&mut self, elements: &[Node]) -> Result<Origin> {
        let origin = self.all(elements)?;
        self.decide_list(&origin);
        self.decide_common(&elements.iter().collect::<Vec<_>>(), &origin);
        Ok(origin)
    }

    fn column_ref(&mut self, column: &ColumnRef) -> Result<Origin> {
        let Some((last, before)) = column.fields.split_last() else {
            return Ok(self.unreadable());
        };
        let Some(before) = strings(before) else { return Ok(self.unreadable()) };
        if matches!(last.node, Some(NodeEnum::AStar(_))) {
            let mut row = self.row_of(before.last().copied());
            if let Some(all) = self.beyond_nearest(&before) {
                add(&mut row, &all);
            }
            return Ok(row);
        }
        let Some(name) = string(last) else { return Ok(self.unreadable()) };
        let Some(table) = before.last() else { return self.find_column(name) };
        if before.len() == 1 && self.is_argument(table, name) {
            return Ok(nothing());
        }
        let named = self.find_qualified(table, name, before.len() > 1)?;
        self.named(named, name)
    }

    /// `t.*` or `*` as one value.
    fn row_of(&mut self, table: Option<&str>) -> Origin {
        let mut all = nothing();
        if let Some(table) = table {
            let tables = self.find_tables(table);
            tables.iter().for_each(|t| add(&mut all, &t.whole()));
            self.row_use(&all);
            return if tables.is_empty() { Origin::Untraced } else { all };
        }
        match self.frames.last() {
            Some(frame) => frame.item.tables.iter().for_each(|t| add(&mut all, &t.whole())),
            None => all = Origin::Untraced,
        }
        self.row_use(&all);
        all
    }

    /// A column, or a function called by functional notation: `row.function`.
    fn named(&mut self, named: Named, name: &str) -> Result<Origin> {
        let row = match named {
            Named::Value(origin) => return Ok(origin),
            Named::CallOn(row) => row,
        };
        if self.is_function(name) {
            return self.apply(&[name], &[], &row);
        }
        self.not_found();
        Ok(join(row, &Origin::Untraced))
    }

    /// `(expr).field`, `(expr)[1]`, `(expr).*`.
    fn indirection(&mut self, e: &AIndirection) -> Result<Origin> {
        let mut origin = self.optional(e.arg.as_deref())?;
        let row_of_table = e.arg.as_deref().and_then(bare_name);
        for (step, node) in e.indirection.iter().enumerate() {
            match node.node.as_ref() {
                Some(NodeEnum::AStar(_)) => self.decide_field(&origin),
                Some(NodeEnum::AIndices(i)) => {
                    add(&mut origin, &self.optional(i.lidx.as_deref())?);
                    add(&mut origin, &self.optional(i.uidx.as_deref())?);
                    // Whether there is anything at that place.
                    self.decide(&origin);
                }
                Some(NodeEnum::String(field)) => {
                    origin = match row_of_table {
                        Some(table) if step == 0 && !self.find_tables(table).is_empty() => {
                            self.field_of_row(table, &field.sval, &origin)?
                        }
                        _ => {
                            let arg = e.arg.as_deref().filter(|_| step == 0);
                            self.field(&field.sval, origin, arg)?
                        }
                    };
                }
                _ => return Ok(self.unreadable()),
            }
        }
        Ok(origin)
    }

    /// `(t).field`, where `t` may be a table's row or a column of that name.
    fn field_of_row(&mut self, table: &str, field: &str, whole: &Origin) -> Result<Origin> {
        let column = self.is_column(table);
        if column == Some(true) {
            return self.field(field, whole.clone(), None);
        }
        let named = self.find_qualified(table, field, false)?;
        let of_row = self.named(named, field)?;
        Ok(if column.is_none() { join(of_row, whole) } else { of_row })
    }

    /// Whether a column in sight has that name; `None` where the names of some are not known.
    pub(super) fn is_column(&self, name: &str) -> Option<bool> {
        let mut all_named = true;
        for frame in &self.frames {
            let item = &frame.item;
            self.look(item.columns.len());
            if item.columns.iter().any(|c| c.name.as_deref() == Some(name)) {
                return Some(true);
            }
            all_named &= item.rest.is_none() && !item.more;
            all_named &= item.columns.iter().all(|c| c.name.is_some());
        }
        all_named.then_some(false)
    }

    /// The table of `(t).…`, where that is certainly a table's row.
    pub(super) fn row_name<'n>(&mut self, e: &'n AIndirection) -> Option<&'n str> {
        let name = bare_name(e.arg.as_deref()?)?;
        (self.is_column(name) == Some(false) && !self.find_tables(name).is_empty()).then_some(name)
    }

    /// A field of a value may be missing where others are not.
    fn decide_field(&mut self, value: &Origin) {
        if self.may_be_row(value) {
            self.decide(value);
        }
    }

    /// A field of a composite value, or a function called on it: the server takes `(value).name` for
    /// `name(value)` where the value has no such field, whatever its type. Which of them it is
    /// depends on that type, so it is both.
    fn field(&mut self, name: &str, value: Origin, arg: Option<&Node>) -> Result<Origin> {
        self.decide_field(&value);
        if !self.is_function(name) {
            return Ok(value);
        }
        let called = self.apply(&[name], arg.map_or(&[], std::slice::from_ref), &value)?;
        Ok(join(value, &called))
    }

    /// True where a function of the server or of users has that name.
    pub(super) fn is_function(&self, name: &str) -> bool {
        self.catalog.builtin(name).is_some() || !self.catalog.functions_named(None, name).is_empty()
    }

    /// A value decides, but where it is a stored column of which only matters whether it is NULL.
    pub(super) fn decide_unless_null(&mut self, value: &Node, origin: &Origin) {
        match self.is_stored(value) {
            true => self.decide_by_null(origin),
            false => self.decide(origin),
        }
    }

    /// `COALESCE`: the first that is not NULL.
    fn coalesce(&mut self, args: &[Node]) -> Result<Origin> {
        let (lazy, mut origin) = (self.before_failing(args), nothing());
        for (place, arg) in args.iter().enumerate() {
            let own = self.expr(arg)?;
            if place < lazy {
                self.decide_unless_null(arg, &own);
            }
            add(&mut origin, &own);
        }
        self.decide_common(&args.iter().collect::<Vec<_>>(), &origin);
        Ok(origin)
    }

    fn case(&mut self, e: &CaseExpr) -> Result<Origin> {
        let mut origin = self.condition_on(e.arg.as_deref())?;
        if e.arg.is_some() {
            add(&mut origin, &self.operator_use(None, "="));
        }
        let mut given = nothing();
        for node in &e.args {
            let Some(NodeEnum::CaseWhen(when)) = node.node.as_ref() else {
                return Ok(self.unreadable());
            };
            add(&mut origin, &self.condition_on(when.expr.as_deref())?);
            add(&mut given, &self.optional(when.result.as_deref())?);
        }
        add(&mut given, &self.optional(e.defresult.as_deref())?);
        self.decide_results(e, &given);
        Ok(join(origin, &given))
    }

    fn operator_expr(&mut self, e: &AExpr) -> Result<Origin> {
        let mut origin = match AExprKind::try_from(e.kind) {
            Ok(
                AExprKind::AexprOp
                | AExprKind::AexprOpAny
                | AExprKind::AexprOpAll
                | AExprKind::AexprDistinct
                | AExprKind::AexprNotDistinct
                | AExprKind::AexprNullif
                | AExprKind::AexprIn
                | AExprKind::AexprLike
                | AExprKind::AexprIlike
                | AExprKind::AexprSimilar,
            ) => self.operator_names(&e.name),
            Ok(
                AExprKind::AexprBetween
                | AExprKind::AexprNotBetween
                | AExprKind::AexprBetweenSym
                | AExprKind::AexprNotBetweenSym,
            ) => {
                let mut used = nothing();
                for name in ["<", "<=", ">", ">="] {
                    add(&mut used, &self.operator_use(None, name));
                }
                used
            }
            _ => self.unreadable(),
        };
        add(&mut origin, &self.optional(e.lexpr.as_deref())?);
        add(&mut origin, &self.optional(e.rexpr.as_deref())?);
        self.decide_operator(e, &origin);
        Ok(origin)
    }

    pub(super) fn operator_names(&mut self, names: &[Node]) -> Origin {
        if names.is_empty() {
            return nothing();
        }
        match strings(names).as_deref().and_then(split) {
            Some((schema, name)) => self.operator_use(schema, name),
            None => self.unreadable(),
        }
    }

    /// Uses an operator: an operator of users runs their function.
    pub(super) fn operator_use(&mut self, schema: Option<&str>, name: &str) -> Origin {
        let catalog = self.catalog;
        let mut origin = nothing();
        let fits = |own: &str| schema.is_none_or(|s| s == own);
        let mut found = false;
        for operator in catalog.operators_named(name).iter().filter(|o| fits(&o.schema)) {
            found = true;
            if !operator.tame {
                let (schema, function) = &operator.function;
                let object = self.object(ObjectKind::Routine, [&**schema, &**function]);
                self.execute(object);
                origin = Origin::Untraced;
            }
        }
        match schema {
            Some(schema) if schema != "pg_catalog" && !found => {
                let object = self.object(ObjectKind::Routine, [schema, name]);
                self.execute(object);
                Origin::Untraced
            }
            _ => origin,
        }
    }

    /// Uses a type: making or converting a value of it may run code of users.
    pub(super) fn type_use(&mut self, name: Option<&TypeName>) -> Origin {
        let Some(name) = name else { return nothing() };
        let Some((schema, name)) = type_name(name) else { return self.unreadable() };
        // The grammar knows what `json` is; that of servers before PostgreSQL 17 takes any type of
        // that name.
        let schema = schema.filter(|s| {
            name != "json" || *s != "pg_catalog" || self.catalog.server_version() >= JSON_IS_A_WORD
        });
        self.may_cast(|cast| *cast.name == *name && schema.is_none_or(|s| *cast.schema == *s));
        let catalog = self.catalog;
        let mut types = catalog.types_named(name).iter();
        let coded = types.find(|t| t.user_code && schema.is_none_or(|s| *t.schema == *s));
        match coded {
            Some(found) => {
                let object = self.object(ObjectKind::Type, [&*found.schema, name]);
                self.execute(object);
                Origin::Untraced
            }
            None => nothing(),
        }
    }

    fn sub_link(&mut self, e: &SubLink) -> Result<Origin> {
        let mut origin = self.optional(e.testexpr.as_deref())?;
        add(&mut origin, &self.operator_names(&e.oper_name));
        let Some(query) = e.subselect.as_deref() else { return Ok(self.unreadable()) };
        let around = std::mem::replace(&mut self.conditions, nothing());
        let shape = self.query_node(query)?;
        // Which rows it has, how many, and whether any, shows what decided that.
        let within = std::mem::replace(&mut self.conditions, around);
        self.decide(&within);
        add(&mut origin, &join(within, &shape.filter));
        self.note_link(e, &shape);
        match SubLinkType::try_from(e.sub_link_type) {
            Ok(SubLinkType::ExistsSublink) => {}
            Ok(SubLinkType::AnySublink) => {
                add(&mut origin, &self.operator_use(None, "="));
                add(&mut origin, &shape.whole());
                self.decide(&origin);
            }
            Ok(SubLinkType::AllSublink) => {
                add(&mut origin, &shape.whole());
                self.decide(&origin);
            }
            Ok(SubLinkType::ExprSublink) => add(&mut origin, &shape.whole()),
            Ok(SubLinkType::ArraySublink) => {
                add(&mut origin, &shape.whole());
                self.decide_list(&origin);
            }
            _ => return Ok(self.unreadable()),
        }
        Ok(origin)
    }

    /// A window: its partitions and order decide which rows a function sees, and so what it gives.
    pub(super) fn window(&mut self, window: &WindowDef) -> Result<Origin> {
        let parts = self.all(&window.partition_clause)?;
        let order = join(self.all(&window.order_clause)?, &parts);
        self.decide(&order);
        // How many rows are in the frame shows what decided it.
        let start = self.optional(window.start_offset.as_deref())?;
        let frame = join(self.optional(window.end_offset.as_deref())?, &start);
        self.sink(frame);
        let named = [&window.name, &window.refname].into_iter().any(|name| !name.is_empty());
        let frame = self.frames.last().filter(|_| named);
        let named = frame.and_then(|frame| frame.windows.clone()).unwrap_or_else(nothing);
        Ok(join(order, &named))
    }
}

fn is_bare_name(column: &ColumnRef) -> bool {
    matches!(column.fields.as_slice(), [one] if string(one).is_some())
}

/// The name of an expression that is a name and nothing else.
fn bare_name(node: &Node) -> Option<&str> {
    match node.node.as_ref()? {
        NodeEnum::ColumnRef(column) if is_bare_name(column) => string(column.fields.first()?),
        _ => None,
    }
}
