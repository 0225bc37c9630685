//! SQL/JSON expressions and `JSON_TABLE`.
//!
//! Servers before PostgreSQL 16 and 17 know most of these words as ordinary names: there
//! `json_query(…)` is a call of whatever function has that name.

use super::from::unknown_item;
use super::names::type_name;
use super::resolve::rename;
use super::scope::{Item, OutCol, Shape, Table, add, join, nothing};
use super::{Analyzer, Result};
use pg_query::NodeEnum;
use pg_query::protobuf::{
    JsonAggConstructor, JsonBehavior, JsonFormat, JsonFormatType, JsonFuncExpr, JsonOutput,
    JsonTable, JsonTableColumn, JsonTableColumnType, JsonValueExpr, Node, TypeName,
};
use portcullis_core::mask::Origin;
use std::rc::Rc;

impl Analyzer<'_> {
    pub(super) fn json_expr(&mut self, kind: &NodeEnum) -> Result<Origin> {
        match kind {
            NodeEnum::JsonValueExpr(e) => self.json_value(Some(e)),
            NodeEnum::JsonArgument(e) => self.json_value(e.val.as_deref()),
            NodeEnum::JsonIsPredicate(e) => self.condition_on(e.expr.as_deref()),
            NodeEnum::JsonKeyValue(e) => {
                // Whether two are alike.
                let key = self.condition_on(e.key.as_deref())?;
                Ok(join(self.json_value(e.value.as_deref())?, &key))
            }
            NodeEnum::JsonParseExpr(e) => {
                let value = self.json_value(e.expr.as_deref())?;
                self.decide(&value);
                Ok(self.json_word("json", value, e.output.as_ref()))
            }
            NodeEnum::JsonScalarExpr(e) => {
                let value = self.optional(e.expr.as_deref())?;
                Ok(self.json_word("json_scalar", value, e.output.as_ref()))
            }
            NodeEnum::JsonSerializeExpr(e) => {
                let value = self.json_value(e.expr.as_deref())?;
                // A text is read as a document first.
                self.decide(&value);
                Ok(self.json_word("json_serialize", value, e.output.as_ref()))
            }
            NodeEnum::JsonObjectConstructor(e) => {
                let value = self.all(&e.exprs)?;
                Ok(self.json_word("json_object", value, e.output.as_ref()))
            }
            NodeEnum::JsonArrayConstructor(e) => {
                let value = self.all(&e.exprs)?;
                Ok(self.json_word("json_array", value, e.output.as_ref()))
            }
            NodeEnum::JsonArrayQueryConstructor(e) => {
                let value = match e.query.as_deref() {
                    Some(query) => self.query_node(query)?.whole(),
                    None => self.unreadable(),
                };
                if is_read_as_json(e.format.as_ref()) {
                    self.decide(&value);
                }
                Ok(self.json_word("json_array", value, e.output.as_ref()))
            }
            NodeEnum::JsonObjectAgg(e) => {
                let mut value = nothing();
                if let Some(pair) = e.arg.as_deref() {
                    add(&mut value, &self.condition_on(pair.key.as_deref())?);
                    add(&mut value, &self.json_value(pair.value.as_deref())?);
                }
                self.json_aggregate("json_objectagg", value, e.constructor.as_deref())
            }
            NodeEnum::JsonArrayAgg(e) => {
                let value = self.json_value(e.arg.as_deref())?;
                self.json_aggregate("json_arrayagg", value, e.constructor.as_deref())
            }
            NodeEnum::JsonFuncExpr(e) => self.json_function(e),
            NodeEnum::MergeSupportFunc(_) => Ok(self.json_word("merge_action", nothing(), None)),
            _ => Ok(self.unreadable()),
        }
    }

    /// A word of the newer grammar, which may be a function's name on the target.
    fn json_word(&mut self, name: &str, value: Origin, output: Option<&JsonOutput>) -> Origin {
        let returned = output.and_then(|o| o.type_name.as_ref());
        let cast = self.type_use(returned);
        let mut value = join(value, &cast);
        // Not every document is a value of any other type, nor short enough for any text.
        if returned.is_some_and(|name| !self.takes_any_json(name)) {
            self.decide(&value);
        }
        if returned.and_then(type_name).is_some_and(|(_, name)| name == "jsonb") {
            self.decide_jsonb(&value);
        }
        if self.user_functions(None, name) {
            self.sink(value.clone());
            value = Origin::Untraced;
        }
        value
    }

    fn takes_any_json(&self, name: &TypeName) -> bool {
        let of_server = |name: &str| self.means_server_type(name);
        let document = type_name(name).is_some_and(|(schema, name)| {
            matches!(name, "json" | "jsonb" | "bytea")
                && (schema == Some("pg_catalog") || schema.is_none() && of_server(name))
        });
        name.typmods.is_empty()
            && (document && name.array_bounds.is_empty() && !name.setof || self.is_text(name))
    }

    fn json_value(&mut self, value: Option<&JsonValueExpr>) -> Result<Origin> {
        let Some(value) = value else { return Ok(nothing()) };
        let raw = self.optional(value.raw_expr.as_deref())?;
        let value_of = join(self.optional(value.formatted_expr.as_deref())?, &raw);
        // A text that is read as a document may be none.
        if is_read_as_json(value.format.as_ref()) {
            self.decide(&value_of);
        }
        Ok(value_of)
    }

    fn json_aggregate(
        &mut self,
        name: &str,
        mut value: Origin,
        constructor: Option<&JsonAggConstructor>,
    ) -> Result<Origin> {
        let Some(constructor) = constructor else { return Ok(self.unreadable()) };
        add(&mut value, &self.condition_on(constructor.agg_filter.as_deref())?);
        let order = self.all(&constructor.agg_order)?;
        self.decide(&order);
        add(&mut value, &order);
        if let Some(window) = constructor.over.as_deref() {
            add(&mut value, &self.window(window)?);
        }
        Ok(self.json_word(name, value, constructor.output.as_ref()))
    }

    fn json_function(&mut self, e: &JsonFuncExpr) -> Result<Origin> {
        let mut value = self.json_value(e.context_item.as_deref())?;
        add(&mut value, &self.optional(e.pathspec.as_deref())?);
        add(&mut value, &self.all(&e.passing)?);
        add(&mut value, &self.json_behavior(e.on_empty.as_deref())?);
        add(&mut value, &self.json_behavior(e.on_error.as_deref())?);
        self.decide(&value);
        for name in ["json_exists", "json_query", "json_value"] {
            value = self.json_word(name, value, e.output.as_ref());
        }
        Ok(value)
    }

    fn json_behavior(&mut self, behavior: Option<&JsonBehavior>) -> Result<Origin> {
        self.optional(behavior.and_then(|b| b.expr.as_deref()))
    }

    /// `JSON_TABLE`.
    pub(super) fn json_table(&mut self, table: &JsonTable) -> Result<Item> {
        let mut value = self.json_value(table.context_item.as_deref())?;
        add(&mut value, &self.all(&table.passing)?);
        if let Some(path) = table.pathspec.as_deref() {
            add(&mut value, &self.optional(path.string.as_deref())?);
        }
        add(&mut value, &self.json_behavior(table.on_error.as_deref())?);
        let value = self.json_word("json_table", value, None);
        self.sink(value.clone());
        // Columns of nested paths come behind all others (transformJsonTableColumns, PostgreSQL
        // `src/backend/parser/parse_jsontable.c`).
        let (mut columns, mut nested) = (Vec::new(), Vec::new());
        if !self.json_columns(&table.columns, &value, &mut columns, &mut nested)? {
            return Ok(unknown_item());
        }
        // Those of several nested paths are not told apart.
        let shape = Rc::new(match nested.is_empty() {
            true => Shape::of(columns),
            false => {
                let whole = join(Shape::of(columns).whole(), &Shape::of(nested).whole());
                Shape::unlisted(whole)
            }
        });
        let named = Table { name: "json_table".into(), shape, row: None, base: None };
        Ok(Item::table(rename(named, table.alias.as_ref())))
    }

    fn json_columns(
        &mut self,
        nodes: &[Node],
        value: &Origin,
        into: &mut Vec<OutCol>,
        nested: &mut Vec<OutCol>,
    ) -> Result<bool> {
        for node in nodes {
            let Some(NodeEnum::JsonTableColumn(column)) = node.node.as_ref() else {
                self.unreadable();
                return Ok(false);
            };
            if !self.nested(|a| a.json_column(column, value, into, nested))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn json_column(
        &mut self,
        column: &JsonTableColumn,
        value: &Origin,
        into: &mut Vec<OutCol>,
        nested: &mut Vec<OutCol>,
    ) -> Result<bool> {
        let mut own = self.type_use(column.type_name.as_ref());
        if let Some(path) = column.pathspec.as_deref() {
            add(&mut own, &self.optional(path.string.as_deref())?);
        }
        add(&mut own, &self.json_behavior(column.on_empty.as_deref())?);
        add(&mut own, &self.json_behavior(column.on_error.as_deref())?);
        // A default may be no value of the column's type.
        self.decide(&own);
        let mut origin = join(own, value);
        match JsonTableColumnType::try_from(column.coltype) {
            Ok(JsonTableColumnType::JtcNested) => {
                let mut below = Vec::new();
                let read = self.json_columns(&column.columns, &origin, nested, &mut below)?;
                nested.append(&mut below);
                return Ok(read);
            }
            Ok(JsonTableColumnType::JtcForOrdinality) => origin = nothing(),
            Ok(
                JsonTableColumnType::JtcRegular
                | JsonTableColumnType::JtcExists
                | JsonTableColumnType::JtcFormatted,
            ) => {}
            _ => {
                self.unreadable();
                return Ok(false);
            }
        }
        into.push(OutCol::made(Some(column.name.as_str().into()), origin));
        Ok(true)
    }
}

/// `FORMAT JSON`, on what is put in.
fn is_read_as_json(format: Option<&JsonFormat>) -> bool {
    format.is_some_and(|format| {
        !matches!(
            JsonFormatType::try_from(format.format_type),
            Ok(JsonFormatType::Undefined | JsonFormatType::JsFormatDefault)
        )
    })
}
