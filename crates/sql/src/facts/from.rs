//! The `FROM` clause: what it reads and what it puts in scope.

use super::names::{string, strings};
use super::resolve::rename;
use super::scope::{Base, Frame, Item, OutCol, Shape, Table, add, burden, join, nothing};
use super::{Analyzer, Result};
use pg_query::NodeEnum;
use pg_query::protobuf::{
    AExprKind, BoolExprType, JoinExpr, JoinType, Node, RangeFunction, RangeSubselect,
    RangeTableFunc, RangeVar,
};
use portcullis_core::effect::Extent;
use portcullis_core::mask::{ColumnRef, Origin};
use std::rc::Rc;

impl Analyzer<'_> {
    /// Puts every item of a `FROM` clause in the scope of the current query.
    pub(super) fn put_from(&mut self, items: &[Node], extent: Extent) -> Result<()> {
        for node in items {
            let item = self.range_item(node, extent)?;
            self.charge(burden(&item.columns))?;
            match self.frames.last_mut() {
                Some(frame) => frame.item.append(item),
                None => {
                    self.unreadable();
                }
            }
        }
        Ok(())
    }

    pub(super) fn range_item(&mut self, node: &Node, extent: Extent) -> Result<Item> {
        self.nested(|a| match node.node.as_ref() {
            Some(NodeEnum::RangeVar(name)) => a.range_var(name, extent).map(Item::table),
            Some(NodeEnum::RangeSubselect(sub)) => a.subselect(sub),
            Some(NodeEnum::RangeFunction(function)) => a.range_function(function),
            Some(NodeEnum::JoinExpr(join)) => a.join(join, extent),
            Some(NodeEnum::RangeTableFunc(table)) => a.xml_table(table),
            Some(NodeEnum::JsonTable(table)) => a.json_table(table),
            Some(NodeEnum::RangeTableSample(sample)) => {
                let item = match sample.relation.as_deref() {
                    Some(relation) => a.range_item(relation, Extent::Some)?,
                    None => Item::default(),
                };
                // The method is a function of the server or of an extension.
                a.sampling_method(&sample.method);
                // Neither sees anything of this FROM.
                let seed = a.among(Item::default(), |a| {
                    let seed = a.optional(sample.repeatable.as_deref())?;
                    Ok(join(a.all(&sample.args)?, &seed))
                })?;
                a.sink(seed);
                Ok(item)
            }
            _ => {
                a.unreadable();
                Ok(unknown_item())
            }
        })
    }

    fn range_var(&mut self, name: &RangeVar, extent: Extent) -> Result<Table> {
        if name.schemaname.is_empty()
            && name.catalogname.is_empty()
            && let Some(table) = self.find_cte(&name.relname)
        {
            self.charge(table.shape.columns.as_ref().map_or(1, Vec::len))?;
            return Ok(rename(table, name.alias.as_ref()));
        }
        self.read_relation(name, extent)
    }

    fn subselect(&mut self, sub: &RangeSubselect) -> Result<Item> {
        let Some(query) = sub.subquery.as_deref() else {
            self.unreadable();
            return Ok(unknown_item());
        };
        // Without LATERAL its neighbours are out of its sight.
        let shape = match sub.lateral {
            true => self.query_node(query),
            false => self.among(Item::default(), |a| a.query_node(query)),
        };
        let table = Table { name: "".into(), shape: Rc::new(shape?), row: None, base: None };
        Ok(Item::table(rename(table, sub.alias.as_ref())))
    }

    fn join(&mut self, join: &JoinExpr, extent: Extent) -> Result<Item> {
        let (Some(left), Some(right)) = (join.larg.as_deref(), join.rarg.as_deref()) else {
            self.unreadable();
            return Ok(unknown_item());
        };
        let mut left = self.range_item(left, extent)?;
        // The right side sees the left one, if it is LATERAL.
        let mut right = self.beside(left.clone(), |a| a.range_item(right, extent))?;
        self.fill_with_nulls(join, &mut left, &mut right);
        let mut both = left.clone();
        both.append(right.clone());
        self.charge(burden(&both.columns))?;
        self.among(both, |a| a.condition_on(join.quals.as_deref()))?;
        let names = self.merged_names(join, &left, &right);
        if !names.is_empty() {
            let compared = self.operator_use(None, "=");
            self.decide(&compared);
        }
        let open = merges_unknown(join, &left, &right, &names);
        let mut item = merge(left, right, &names);
        // Which rows belong together. The merged columns stand first.
        let merged = item.columns.iter().take(names.len());
        merged.for_each(|c| add(&mut self.conditions, &c.origin));
        if open {
            // Any column may be merged with one that is not listed, or whose name is not known, and
            // those behind it are elsewhere then.
            let mut all = item.rest.clone().unwrap_or_else(nothing);
            item.columns.iter().for_each(|c| add(&mut all, &c.origin));
            self.charge(item.columns.len() * (1 + all.named() / 8))?;
            self.decide(&all);
            item.columns.iter_mut().for_each(|c| {
                c.origin = all.clone();
                (c.plain, c.typed, c.carried) = (false, None, None);
            });
            (item.rest, item.more) = (Some(all), true);
        }
        if let Some(alias) = &join.join_using_alias {
            let columns = item.columns.iter().take(names.len()).cloned().collect();
            let shape = Rc::new(Shape { rest: item.rest.clone(), ..Shape::of(columns) });
            item.tables.push(Table {
                name: alias.aliasname.as_str().into(),
                shape,
                row: None,
                base: None,
            });
        }
        let Some(alias) = join.alias.as_ref() else { return Ok(item) };
        // An alias of the join hides what is inside.
        let mut shape = item.star();
        if shape.columns.is_some() {
            shape.rest = item.rest;
        }
        let shape = Rc::new(shape);
        Ok(Item::table(rename(
            Table { name: "".into(), shape, row: None, base: None },
            Some(alias),
        )))
    }

    /// What an outer join fills with NULL is NULL by its condition. In a caller's statement that is a
    /// condition as any other; behind a view it decides unseen, so that only rows of tables found by equal
    /// columns are still taken for stored ones.
    fn fill_with_nulls(&self, join: &JoinExpr, left: &mut Item, right: &mut Item) {
        if self.views.is_empty() {
            return;
        }
        let by_columns = join.quals.as_deref().is_none_or(compares_columns);
        let (fills_left, fills_right) = match join.jointype() {
            JoinType::JoinInner => (false, false),
            JoinType::JoinLeft => (false, true),
            JoinType::JoinRight => (true, false),
            _ => (true, true),
        };
        for (item, fills) in [(left, fills_left), (right, fills_right)] {
            let by_key = by_columns && item.tables.iter().all(|table| self.is_stored_whole(table));
            if !fills || by_key {
                continue;
            }
            item.columns.iter_mut().for_each(|column| column.plain = false);
            for table in &mut item.tables {
                let columns = Rc::make_mut(&mut table.shape).columns.iter_mut().flatten();
                columns.for_each(|column| column.plain = false);
            }
        }
    }

    /// True for what certainly is a table: rows of views and queries are there by conditions of theirs.
    fn is_stored_whole(&self, table: &Table) -> bool {
        let Some(Origin::Columns(columns)) = &table.row else { return false };
        let relation = |c: &ColumnRef| self.catalog.relation(c.relation);
        let mut whole = columns.iter().filter(|c| c.column == 0).peekable();
        whole.peek().is_some()
            && whole.all(|column| relation(column).is_some_and(|found| found.view.is_none()))
    }

    /// Looks at something with this alone in the scope of the `FROM` clause: the condition of a join sees
    /// its two sides, and nothing beside them (transformJoinOnClause, PostgreSQL
    /// `src/backend/parser/parse_clause.c`).
    fn among<T>(&mut self, item: Item, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let frame = Frame { item, ..Frame::default() };
        let hidden = self.frames.last_mut().map(|last| std::mem::replace(last, frame));
        let result = f(self);
        if let (Some(hidden), Some(last)) = (hidden, self.frames.last_mut()) {
            *last = hidden;
        }
        result
    }

    /// Looks at something with more in scope than the `FROM` clause has put there yet.
    fn beside<T>(&mut self, item: Item, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let carried = self.frames.last().map_or(0, |frame| burden(&frame.item.columns));
        self.charge(carried)?;
        let kept = self.frames.last().map(|f| f.item.clone()).unwrap_or_default();
        if let Some(frame) = self.frames.last_mut() {
            frame.item.append(item);
        }
        let result = f(self);
        if let Some(frame) = self.frames.last_mut() {
            *frame = Frame { item: kept, ..Frame::default() };
        }
        result
    }

    /// The columns that `USING` or `NATURAL` make one of.
    fn merged_names(&mut self, join: &JoinExpr, left: &Item, right: &Item) -> Vec<Rc<str>> {
        if join.is_natural {
            let named = |c: &OutCol| c.name.clone();
            let mut names: Vec<Rc<str>> = Vec::new();
            for name in left.columns.iter().filter_map(named) {
                let both = right.columns.iter().any(|c| c.name.as_ref() == Some(&name));
                if both && !names.contains(&name) {
                    names.push(name);
                }
            }
            return names;
        }
        match strings(&join.using_clause) {
            Some(names) => names.into_iter().map(Rc::from).collect(),
            None => {
                self.unreadable();
                Vec::new()
            }
        }
    }

    fn range_function(&mut self, function: &RangeFunction) -> Result<Item> {
        let mut columns: Option<Vec<OutCol>> = Some(Vec::new());
        let mut all = nothing();
        for node in &function.functions {
            let Some(NodeEnum::List(pair)) = node.node.as_ref() else {
                self.unreadable();
                return Ok(unknown_item());
            };
            let Some(call) = pair.items.first() else {
                self.unreadable();
                return Ok(unknown_item());
            };
            let origin = self.expr(call)?;
            let own = pair.items.get(1).and_then(|n| match n.node.as_ref() {
                Some(NodeEnum::List(list)) => Some(list.items.as_slice()),
                _ => None,
            });
            let definitions = own.unwrap_or(&function.coldeflist);
            let alias = function.alias.as_ref().filter(|_| function.functions.len() == 1);
            let alias = alias.map(|a| a.aliasname.as_str());
            match (&mut columns, self.function_columns(call, definitions, alias)) {
                (Some(columns), Some(names)) => {
                    columns.extend(names.into_iter().map(|name| OutCol::made(name, origin.clone())))
                }
                (columns, _) => *columns = None,
            }
            add(&mut all, &origin);
        }
        if let (true, Some(columns)) = (function.ordinality, &mut columns) {
            columns.push(OutCol::made(Some("ordinality".into()), nothing()));
        }
        let shape = Shape { columns, rest: Some(all), filter: nothing() };
        let name = function_name(function);
        if name.is_none() && function.alias.is_none() {
            // It goes by a name that is not worked out, and may be meant by any.
            self.unreadable();
        }
        let name = name.unwrap_or_default();
        let list = matches!(function.functions.as_slice(), [one] if self.is_list_taken_apart(one));
        let base = list.then_some(Base::List);
        let table = Table { name: name.into(), shape: Rc::new(shape), row: None, base };
        Ok(Item::table(rename(table, function.alias.as_ref())))
    }

    /// The names of the columns a function in `FROM` has; `None` where their number is unknown.
    fn function_columns(
        &mut self,
        call: &Node,
        definitions: &[Node],
        alias: Option<&str>,
    ) -> Option<Vec<Option<Rc<str>>>> {
        if !definitions.is_empty() {
            return Some(definitions.iter().map(|d| self.definition_name(d)).collect());
        }
        let Some(NodeEnum::FuncCall(call)) = call.node.as_ref() else { return None };
        let names = strings(&call.funcname)?;
        let (schema, name) = super::names::split(&names)?;
        if schema.is_some_and(|s| s != "pg_catalog")
            || !self.catalog.functions_named(schema, name).is_empty()
        {
            return None;
        }
        let builtin = self.catalog.builtin(name)?;
        if let Some(outputs) = &builtin.outputs {
            return Some(outputs.iter().map(|o| Some(Rc::from(&**o))).collect());
        }
        builtin.scalar.then(|| vec![Some(alias.unwrap_or(name).into())])
    }

    fn definition_name(&mut self, node: &Node) -> Option<Rc<str>> {
        match node.node.as_ref() {
            Some(NodeEnum::ColumnDef(column)) => {
                self.type_use(column.type_name.as_ref());
                Some(column.colname.as_str().into())
            }
            _ => {
                self.unreadable();
                None
            }
        }
    }

    /// `XMLTABLE`.
    fn xml_table(&mut self, table: &RangeTableFunc) -> Result<Item> {
        let mut origin = self.optional(table.docexpr.as_deref())?;
        add(&mut origin, &self.optional(table.rowexpr.as_deref())?);
        add(&mut origin, &self.all(&table.namespaces)?);
        // The number of rows shows what is in the document.
        self.sink(origin.clone());
        let mut columns = Vec::new();
        for node in &table.columns {
            let Some(NodeEnum::RangeTableFuncCol(column)) = node.node.as_ref() else {
                self.unreadable();
                return Ok(unknown_item());
            };
            self.type_use(column.type_name.as_ref());
            let mut own = self.optional(column.colexpr.as_deref())?;
            add(&mut own, &self.optional(column.coldefexpr.as_deref())?);
            // A path may be none or find nothing, a default not be of the column's type.
            self.decide(&own);
            let origin = join(own, &origin);
            columns.push(OutCol::made(Some(column.colname.as_str().into()), origin));
        }
        let table_shape = Rc::new(Shape::of(columns));
        let named = Table { name: "xmltable".into(), shape: table_shape, row: None, base: None };
        Ok(Item::table(rename(named, table.alias.as_ref())))
    }

    fn sampling_method(&mut self, method: &[Node]) {
        let names = strings(method).unwrap_or_default();
        let builtin = matches!(names.last(), Some(&("system" | "bernoulli")));
        let qualified = names.len() > 1 && names.first() != Some(&"pg_catalog");
        let shadowed =
            names.last().is_some_and(|n| !self.catalog.functions_named(None, n).is_empty());
        if !builtin || qualified || shadowed {
            let object = self.routine(names.first().filter(|_| names.len() > 1), names.last());
            self.execute(object);
        }
    }

    fn routine(
        &self,
        schema: Option<&&str>,
        name: Option<&&str>,
    ) -> portcullis_core::effect::Object {
        let schema = schema.copied().unwrap_or("?");
        let name = name.copied().unwrap_or("?");
        self.object(portcullis_core::effect::ObjectKind::Routine, [schema, name])
    }
}

/// True for comparisons of columns by `=`, and such with AND between them.
fn compares_columns(condition: &Node) -> bool {
    let column = |side: Option<&Node>| {
        matches!(side.and_then(|n| n.node.as_ref()), Some(NodeEnum::ColumnRef(_)))
    };
    match condition.node.as_ref() {
        Some(NodeEnum::AExpr(e)) => {
            e.kind() == AExprKind::AexprOp
                && matches!(strings(&e.name).as_deref(), Some(["="]))
                && column(e.lexpr.as_deref())
                && column(e.rexpr.as_deref())
        }
        Some(NodeEnum::BoolExpr(e)) => {
            e.boolop() == BoolExprType::AndExpr && e.args.iter().all(compares_columns)
        }
        _ => false,
    }
}

pub(super) fn unknown_item() -> Item {
    let shape = Rc::new(Shape::unknown());
    Item::table(Table { name: "".into(), shape, row: Some(Origin::Untraced), base: None })
}

/// The name a function in `FROM` goes by when it has no alias.
fn function_name(function: &RangeFunction) -> Option<&str> {
    let NodeEnum::List(pair) = function.functions.first()?.node.as_ref()? else { return None };
    let NodeEnum::FuncCall(call) = pair.items.first()?.node.as_ref()? else { return None };
    // `EXTRACT` was `date_part` before PostgreSQL 14.
    string(call.funcname.last()?).filter(|name| *name != "extract")
}

/// True where it is not known which columns `NATURAL` or `USING` make one of.
fn merges_unknown(join: &JoinExpr, left: &Item, right: &Item, names: &[Rc<str>]) -> bool {
    if join.is_natural {
        let unnamed = |side: &Item| side.columns.iter().any(|c| c.name.is_none());
        return left.more || right.more || unnamed(left) || unnamed(right);
    }
    // A column that is not listed is among the rest, which is merged as well.
    let known = |side: &Item, name: &Rc<str>| match side
        .columns
        .iter()
        .filter(|c| c.name.as_ref() == Some(name))
        .count()
    {
        0 => side.more && side.columns.iter().all(|c| c.name.is_some()),
        count => count == 1,
    };
    !names.iter().all(|name| known(left, name) && known(right, name))
}

/// Two sides of a join: the merged columns first, then the others of the left, then of the right.
fn merge(left: Item, right: Item, names: &[Rc<str>]) -> Item {
    let more = left.more || right.more;
    let mut columns = Vec::with_capacity(left.columns.len() + right.columns.len());
    for name in names {
        let mut origin = nothing();
        let same = |c: &&OutCol| c.name.as_ref() == Some(name);
        let sides = left.columns.iter().filter(same).chain(right.columns.iter().filter(same));
        sides.for_each(|c| add(&mut origin, &c.origin));
        // It may be a column that is not listed.
        [&left.rest, &right.rest].into_iter().flatten().for_each(|rest| add(&mut origin, rest));
        columns.push(OutCol::made(Some(Rc::clone(name)), origin));
    }
    let mut tables = left.tables;
    tables.extend(right.tables);
    let other = |c: &OutCol| c.name.as_ref().is_none_or(|n| !names.contains(n));
    columns.extend(left.columns.into_iter().filter(other));
    columns.extend(right.columns.into_iter().filter(other));
    let mut item = Item { tables, columns, rest: left.rest, more };
    item.add_rest(right.rest.as_ref());
    item
}
