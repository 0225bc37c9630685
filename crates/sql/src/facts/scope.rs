//! What names mean inside a query: tables and columns in scope, and where each comes from.

use super::Analyzer;
use super::Result;
use super::conditions::Carried;
use super::names::strings;
use super::typed::Typed;
use crate::catalog::{Catalog, Relation};
use pg_query::NodeEnum;
use pg_query::protobuf::Node;
use portcullis_core::mask::{ColumnRef, Origin};
use smallvec::SmallVec;
use std::rc::Rc;

/// The work of carrying columns along, with what they come from.
pub(super) fn burden(columns: &[OutCol]) -> usize {
    columns.len() / 4 + columns.iter().map(|c| c.origin.named()).sum::<usize>() / 8
}

/// An origin that depends on nothing.
pub(super) fn nothing() -> Origin {
    Origin::Columns(SmallVec::new())
}

/// The origin that depends on one column.
pub(super) fn of_column(relation: u32, column: i16) -> Origin {
    Origin::Columns(SmallVec::from_iter([ColumnRef { relation, column }]))
}

/// Adds what `more` depends on.
pub(super) fn add(origin: &mut Origin, more: &Origin) {
    origin.add(more);
}

/// Two origins as one.
pub(super) fn join(mut a: Origin, b: &Origin) -> Origin {
    add(&mut a, b);
    a
}

/// A column in scope or of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OutCol {
    /// Its name; `None` where the server's choice of a name was not worked out.
    pub(super) name: Option<Rc<str>>,
    pub(super) origin: Origin,
    /// True where each value is one that stands in a column of the origin, unchanged.
    pub(super) plain: bool,
    /// What is known of its type.
    pub(super) typed: Option<Typed>,
    /// How each value carries what it comes from; `None` where it may do more.
    pub(super) carried: Option<Carried>,
}

impl OutCol {
    /// A column that is worked out, or may be, of a type that is not.
    pub(super) fn made(name: Option<Rc<str>>, origin: Origin) -> Self {
        Self { name, origin, plain: false, typed: None, carried: None }
    }
}

/// The columns of a query's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    /// `None` where even their number is unknown.
    pub(super) columns: Option<Vec<OutCol>>,
    /// What a column that is not listed comes from, where there may be such.
    pub(super) rest: Option<Origin>,
    /// What decides whether there are rows at all.
    pub(super) filter: Origin,
}

impl Shape {
    /// An answer of which nothing is known.
    pub(super) fn unknown() -> Self {
        Self { columns: None, rest: Some(Origin::Untraced), filter: Origin::Untraced }
    }

    /// An answer whose columns may be any of these, as many as there are.
    pub(super) fn unlisted(whole: Origin) -> Self {
        Self { columns: None, rest: Some(whole), filter: nothing() }
    }

    pub(super) fn of(columns: Vec<OutCol>) -> Self {
        Self { columns: Some(columns), rest: None, filter: nothing() }
    }

    /// `count` columns, each of the same origin, with unknown names.
    pub(super) fn uniform(count: usize, origin: &Origin) -> Self {
        Self::of(vec![OutCol::made(None, origin.clone()); count])
    }

    /// What the answer as a whole depends on.
    pub(super) fn whole(&self) -> Origin {
        let mut all = self.rest.clone().unwrap_or_else(nothing);
        match &self.columns {
            Some(columns) => columns.iter().for_each(|c| add(&mut all, &c.origin)),
            None if self.rest.is_none() => all = Origin::Untraced,
            None => {}
        }
        all
    }
}

/// A `WITH` name in scope.
pub(super) struct Cte {
    pub(super) name: Rc<str>,
    pub(super) shape: Rc<Shape>,
}

/// A table in scope, by the name its columns can be qualified with.
#[derive(Clone)]
pub(super) struct Table {
    pub(super) name: Rc<str>,
    pub(super) shape: Rc<Shape>,
    /// What the whole row comes from, where that is more than its columns.
    pub(super) row: Option<Origin>,
    /// What of the server's own it certainly is.
    pub(super) base: Option<Base>,
}

/// Something of the server's own.
#[derive(Clone, Copy)]
pub(super) enum Base {
    /// This relation.
    Relation(u32),
    /// A list of options that is kept in a column, row by row.
    List,
}

impl Table {
    pub(super) fn whole(&self) -> Origin {
        match &self.row {
            Some(row) => row.clone(),
            None => self.shape.whole(),
        }
    }

    /// True for relations of the catalog.
    fn is_relation(&self) -> bool {
        matches!(self.row, Some(Origin::Columns(_)))
    }

    /// The columns that certainly are all of that name; `None` where there may be others, or is none.
    fn named<'t>(&'t self, name: &'t str) -> Option<impl Iterator<Item = &'t OutCol>> {
        let columns = self.shape.columns.as_ref().filter(|_| self.shape.rest.is_none())?;
        let mut own = columns.iter().filter(move |c| c.name.as_deref() == Some(name)).peekable();
        own.peek()?;
        Some(own)
    }

    /// True where all values of the column are ones that stand in its origin, unchanged.
    fn is_plain(&self, name: &str) -> bool {
        self.named(name).is_some_and(|mut own| own.all(|column| column.plain))
    }

    /// How the column carries what it comes from. Those of relations are what they are.
    fn carries(&self, name: &str) -> Option<Carried> {
        if self.base.is_some() || self.is_relation() {
            return Some(Carried::AS_IT_IS);
        }
        Carried::either(self.named(name)?.map(|column| column.carried))
    }

    /// The same of the whole row.
    fn carries_row(&self) -> Option<Carried> {
        if self.is_relation() {
            return Some(Carried::AS_IT_IS);
        }
        let columns = self.shape.columns.as_ref().filter(|_| self.shape.rest.is_none())?;
        Carried::all(columns.iter().map(|column| column.carried))
    }
}

/// One item of a `FROM` clause, or several joined.
#[derive(Clone, Default)]
pub(super) struct Item {
    /// What columns can be qualified with.
    pub(super) tables: Vec<Table>,
    /// The columns in the order of `*`.
    pub(super) columns: Vec<OutCol>,
    /// What a column that is not listed comes from, where there may be such.
    pub(super) rest: Option<Origin>,
    /// True where `*` has columns that are not listed.
    pub(super) more: bool,
}

impl Item {
    pub(super) fn table(table: Table) -> Self {
        let shape = &table.shape;
        Self {
            columns: shape.columns.clone().unwrap_or_default(),
            rest: shape.rest.clone(),
            more: shape.columns.is_none(),
            tables: vec![table],
        }
    }

    /// What `*` stands for.
    pub(super) fn star(&self) -> Shape {
        if !self.more {
            return Shape::of(self.columns.clone());
        }
        let mut all = self.rest.clone().unwrap_or(Origin::Untraced);
        self.columns.iter().for_each(|c| add(&mut all, &c.origin));
        Shape::unlisted(all)
    }

    pub(super) fn append(&mut self, other: Self) {
        self.tables.extend(other.tables);
        self.columns.extend(other.columns);
        self.add_rest(other.rest.as_ref());
        self.more |= other.more;
    }

    pub(super) fn add_rest(&mut self, rest: Option<&Origin>) {
        match (&mut self.rest, rest) {
            (Some(mine), Some(more)) => add(mine, more),
            (mine @ None, Some(more)) => *mine = Some(more.clone()),
            (_, None) => {}
        }
    }
}

/// One query around the current place.
#[derive(Default)]
pub(super) struct Frame {
    pub(super) item: Item,
    /// Columns of the server's own relations that are this in every row, once that is sure.
    pub(super) pinned: Vec<Pin>,
    /// What the windows that have names are made of.
    pub(super) windows: Option<Origin>,
}

/// A column that a condition ties to a literal.
pub(super) struct Pin {
    /// The columns of its table: those of this very item of the `FROM` clause, and not of another that
    /// reads the same relation.
    pub(super) table: Rc<Shape>,
    pub(super) column: Box<str>,
    pub(super) value: Box<str>,
}

/// A column of one relation of the server's own.
pub(super) struct OfServer<'c> {
    /// The frame it is in.
    frame: usize,
    /// The columns of its table.
    table: Rc<Shape>,
    pub(super) relation: &'c Relation,
    pub(super) column: &'c str,
}

/// A table whose use in a condition is noted.
pub(super) struct Watched {
    /// The frame it is in.
    pub(super) frame: usize,
    pub(super) table: Table,
    /// True once the condition looked at it.
    pub(super) used: bool,
}

/// Columns that every table has (PostgreSQL manual, "System Columns"): they hold no data of users.
fn is_system_column(name: &str) -> bool {
    matches!(name, "ctid" | "xmin" | "xmax" | "cmin" | "cmax" | "tableoid")
}

/// What looking a name up among columns gave.
enum Found {
    /// It is there.
    Yes(Origin),
    /// It may be there, or further out.
    Maybe(Origin),
    No,
}

fn find(columns: &[OutCol], rest: Option<&Origin>, name: &str) -> Found {
    let mut found: Option<Origin> = None;
    let mut unnamed: Option<Origin> = rest.cloned();
    for column in columns {
        match &column.name {
            Some(own) if **own == *name => match &mut found {
                Some(origin) => add(origin, &column.origin),
                None => found = Some(column.origin.clone()),
            },
            Some(_) => {}
            None => match &mut unnamed {
                Some(origin) => add(origin, &column.origin),
                None => unnamed = Some(column.origin.clone()),
            },
        }
    }
    match (found, unnamed) {
        (Some(origin), _) => Found::Yes(origin),
        (None, Some(origin)) => Found::Maybe(origin),
        (None, None) => Found::No,
    }
}

fn find_in(shape: &Shape, name: &str) -> Found {
    find(shape.columns.as_deref().unwrap_or_default(), shape.rest.as_ref(), name)
}

/// Notes that something of the frame at `place` was looked at (`usize::MAX`: of any frame).
fn note_use(watched: &mut Option<Watched>, place: usize, is_it: impl FnOnce(&Table) -> bool) {
    if let Some(watched) = watched
        && (place == watched.frame || place == usize::MAX)
        && is_it(&watched.table)
    {
        watched.used = true;
    }
}

/// What a qualified or unqualified column name turned out to be.
pub(super) enum Named {
    /// A column or a row.
    Value(Origin),
    /// A row, and a name that is none of its columns: a call in functional notation
    /// (`row.function`).
    CallOn(Origin),
}

impl<'c> Analyzer<'c> {
    /// An unqualified name in an expression: a column, or a table's row.
    pub(super) fn find_column(&mut self, name: &str) -> Result<Origin> {
        Ok(match self.look_up(name)? {
            Some(origin) => origin,
            None => {
                self.not_found();
                Origin::Untraced
            }
        })
    }

    /// What a name is among the columns of the innermost `FROM`, and whether it surely is that.
    pub(super) fn local_column(&self, name: &str) -> Option<(Origin, bool)> {
        let item = &self.frames.last()?.item;
        match find(&item.columns, item.rest.as_ref(), name) {
            Found::Yes(origin) => Some((origin, true)),
            Found::Maybe(origin) => Some((origin, false)),
            Found::No => None,
        }
    }

    /// The same, where the name may stand for something else.
    pub(super) fn look_up(&mut self, name: &str) -> Result<Option<Origin>> {
        let mut maybe: Option<Origin> = None;
        let mut scanned = 0;
        let mut result = None;
        for (place, frame) in self.frames.iter().enumerate().rev() {
            let item = &frame.item;
            scanned += item.columns.len();
            match find(&item.columns, item.rest.as_ref(), name) {
                Found::Yes(origin) => {
                    note_use(&mut self.watched, place, |table| {
                        !matches!(find_in(&table.shape, name), Found::No)
                    });
                    result = Some(origin);
                    break;
                }
                Found::Maybe(origin) => match &mut maybe {
                    Some(all) => add(all, &origin),
                    None => maybe = Some(origin),
                },
                Found::No => {}
            }
        }
        if result.is_none() && is_system_column(name) {
            note_use(&mut self.watched, usize::MAX, |_| true);
        }
        // A name of a table stands for its row, but only where no column has it.
        if result.is_none() {
            result = self.find_row(name);
        }
        // The name of an argument is looked for last of all (manual, "Arguments for SQL Functions").
        if result.is_none() && self.arguments.1.iter().any(|argument| **argument == *name) {
            result = Some(nothing());
        }
        let named = [&result, &maybe].into_iter().flatten().map(Origin::named).sum::<usize>();
        self.charge(scanned / 16 + named / 8)?;
        Ok(match (result, maybe) {
            (Some(origin), Some(maybe)) => Some(join(origin, &maybe)),
            (Some(origin), None) | (None, Some(origin)) => Some(origin),
            (None, None) => is_system_column(name).then(nothing),
        })
    }

    /// The row of the nearest table of that name.
    fn find_row(&mut self, name: &str) -> Option<Origin> {
        for (place, frame) in self.frames.iter().enumerate().rev() {
            self.look(frame.item.tables.len());
            let mut found: Option<Origin> = None;
            for table in frame.item.tables.iter().filter(|t| *t.name == *name) {
                let whole = table.whole();
                match &mut found {
                    Some(all) => add(all, &whole),
                    None => found = Some(whole),
                }
            }
            if let Some(found) = found {
                note_use(&mut self.watched, place, |table| *table.name == *name);
                self.row_use(&found);
                return Some(found);
            }
        }
        None
    }

    /// A row as one value is at hand, and literals beside it may be read as rows of its table.
    pub(super) fn row_use(&mut self, row: &Origin) {
        let Origin::Columns(columns) = row else { return };
        let catalog = self.catalog;
        for relation in columns.iter().filter(|c| c.column == 0) {
            if let Some(relation) = catalog.relation(relation.relation) {
                self.may_read_literals(relation, |type_oid| {
                    catalog.code_of_literals(type_oid).is_some()
                });
            }
        }
    }

    /// The type of a column that is worked out, where it is known. What was a literal there has a type
    /// that is not.
    pub(super) fn typed_column(&self, node: &Node) -> Option<Typed> {
        let (_, tables, name) = self.nearest(node)?;
        let mut all = None;
        for table in tables {
            let columns = table.shape.columns.as_ref().filter(|_| table.shape.rest.is_none())?;
            for column in columns.iter().filter(|c| c.name.as_deref() == Some(name)) {
                let own = column.typed.filter(|typed| *typed != Typed::Literal)?;
                if *all.get_or_insert(own) != own {
                    return None;
                }
            }
        }
        all
    }

    /// True where the expression is certainly a column of the server's own, or one whose values stand in
    /// columns of tables, unchanged: whether it is NULL says nothing of what it holds. A column that is
    /// worked out, by a query, a view or a generated column, may be NULL by a condition.
    pub(super) fn is_stored(&self, node: &Node) -> bool {
        let Some((_, mut tables, name)) = self.nearest(node) else { return false };
        tables.all(|t| t.base.is_some() || t.is_plain(name))
    }

    /// True where the expression is certainly a column of a relation.
    fn is_of_relation(&self, node: &Node) -> bool {
        let Some((_, mut tables, _)) = self.nearest(node) else { return false };
        tables.all(|t| t.base.is_some() || t.is_relation())
    }

    /// How a name of a column carries what it comes from.
    pub(super) fn carried_column(&self, node: &Node) -> Option<Carried> {
        let (_, tables, name) = self.nearest(node)?;
        Carried::either(tables.map(|table| table.carries(name)))
    }

    /// How the rows of all tables that a name may stand for, or all in the current query, are carried.
    pub(super) fn carried_rows(&self, names: &[&str]) -> Option<Carried> {
        let Some((name, schema)) = names.split_last() else {
            let tables = &self.frames.last()?.item.tables;
            return Carried::all(tables.iter().map(Table::carries_row));
        };
        let of_name = |t: &&Table| *t.name == **name;
        if !schema.is_empty() {
            let tables = self.frames.iter().flat_map(|f| &f.item.tables).filter(of_name);
            return Carried::either(tables.map(Table::carries_row));
        }
        let mut frames = self.frames.iter().rev();
        let nearest = frames.find(|f| f.item.tables.iter().any(|t| of_name(&t)))?;
        Carried::either(nearest.item.tables.iter().filter(of_name).map(Table::carries_row))
    }

    /// Relation and column, where the expression is certainly a column of one relation of the
    /// server's own.
    pub(super) fn stored_by_server(&self, node: &Node) -> Option<OfServer<'c>> {
        let (frame, mut tables, name) = self.nearest(node)?;
        let (table, None) = (tables.next()?, tables.next()) else { return None };
        let columns = table.shape.columns.as_ref()?;
        let place = columns.iter().position(|c| c.name.as_deref() == Some(name))?;
        // An alias may give columns other names, in the same order.
        let catalog: &'c Catalog = self.catalog;
        let Base::Relation(oid) = table.base? else { return None };
        let relation = catalog.relation(oid)?;
        let column = &*relation.columns.get(place)?.name;
        Some(OfServer { frame, table: Rc::clone(&table.shape), relation, column })
    }

    /// Notes that a column has this value in every row of the current query, where it is one of a
    /// table of its own `FROM` clause.
    pub(super) fn pin(&self, column: &OfServer<'_>, value: &str, into: &mut Vec<Pin>) {
        if column.frame + 1 == self.frames.len() {
            let table = Rc::clone(&column.table);
            into.push(Pin { table, column: column.column.into(), value: value.into() });
        }
    }

    /// The value that a condition ties this column to, of this very table in the innermost query: what
    /// stands further out may be worked out for rows that no condition has chosen.
    pub(super) fn pinned(&self, column: &OfServer<'_>) -> Option<&str> {
        let mut pins =
            self.frames.last().filter(|_| column.frame + 1 == self.frames.len())?.pinned.iter();
        let own =
            pins.find(|pin| Rc::ptr_eq(&pin.table, &column.table) && *pin.column == *column.column);
        own.map(|pin| &*pin.value)
    }

    /// The frame of the nearest tables in scope that have the column which the expression is, these,
    /// and its name.
    fn nearest<'a>(
        &'a self,
        node: &'a Node,
    ) -> Option<(usize, impl Iterator<Item = &'a Table>, &'a str)> {
        let Some(NodeEnum::ColumnRef(column)) = node.node.as_ref() else { return None };
        let names = strings(&column.fields)?;
        let (table, name) = match names.as_slice() {
            [name] => (None, *name),
            [table, name] => (Some(*table), *name),
            // With a schema before it, it may be a table further out.
            [_, table, name] if !self.is_named_twice(table) => (Some(*table), *name),
            _ => return None,
        };
        // Of tables of other names no column is looked at.
        let names = |f: &Frame| {
            f.item.tables.len() + if table.is_none() { f.item.columns.len() } else { 0 }
        };
        if !self.look(self.frames.iter().map(names).sum()) {
            return None;
        }
        let has = move |t: &&Table| !matches!(find_in(&t.shape, name), Found::No);
        let named = move |t: &&Table| table.is_none_or(|table| *t.name == *table);
        // Of the nearest tables of a name, those further out are not looked at.
        let mut frames = self.frames.iter().enumerate().rev();
        let (place, frame) = frames.find(|(_, f)| match table {
            Some(_) => f.item.tables.iter().any(|t| named(&t)),
            None => f.item.tables.iter().any(|t| has(&t)),
        })?;
        let mut found = frame.item.tables.iter().filter(move |t| named(t) && has(t)).peekable();
        found.peek()?;
        Some((place, found, name))
    }

    /// True where tables of several queries have the name.
    fn is_named_twice(&self, table: &str) -> bool {
        let has = |f: &&Frame| f.item.tables.iter().any(|t| *t.name == *table);
        !self.look(self.frames.iter().map(|f| f.item.tables.len()).sum())
            || self.frames.iter().filter(has).count() > 1
    }

    /// The types of the columns that the expression comes from, where it is certainly one of them,
    /// unchanged, or one that is stored.
    pub(super) fn column_types(&self, node: &Node) -> Option<SmallVec<[u32; 2]>> {
        if !self.is_of_relation(node) && !self.is_plain(node) {
            return None;
        }
        let (_, tables, name) = self.nearest(node)?;
        let mut types = SmallVec::new();
        for table in tables {
            let columns = table.shape.columns.as_ref().filter(|_| table.shape.rest.is_none())?;
            let mut own = columns.iter().filter(|c| c.name.as_deref() == Some(name)).peekable();
            own.peek()?;
            for column in own {
                let Origin::Columns(sources) = &column.origin else { return None };
                for source in sources {
                    types.push(self.catalog.type_of(source)?);
                }
            }
        }
        (!types.is_empty()).then_some(types)
    }

    /// True where the expression is certainly a column whose values are stored ones, unchanged.
    pub(super) fn is_plain(&self, node: &Node) -> bool {
        let Some((_, tables, name)) = self.nearest(node) else { return false };
        let mut all = tables.map(|table| table.is_plain(name));
        all.next().is_some_and(|first| first && all.all(|other| other))
    }

    /// The nearest tables of that name (two of different schemas may share it).
    pub(super) fn find_tables(&mut self, name: &str) -> SmallVec<[Table; 1]> {
        for (place, frame) in self.frames.iter().enumerate().rev() {
            self.look(frame.item.tables.len());
            let found: SmallVec<[Table; 1]> =
                frame.item.tables.iter().filter(|t| *t.name == *name).cloned().collect();
            if !found.is_empty() {
                note_use(&mut self.watched, place, |table| *table.name == *name);
                return found;
            }
        }
        SmallVec::new()
    }

    /// All rows that a name with a schema before it may stand for, where those are not of the nearest
    /// tables of the name alone.
    pub(super) fn beyond_nearest(&mut self, names: &[&str]) -> Option<Origin> {
        let (name, true) = (*names.last()?, names.len() > 1) else { return None };
        let nearest = self.find_tables(name).len();
        let mut all = nothing();
        let mut count = 0;
        for table in self.frames.iter().flat_map(|f| &f.item.tables).filter(|t| *t.name == *name) {
            add(&mut all, &table.whole());
            count += 1;
        }
        (count > nearest).then_some(all)
    }

    /// `table.column`.
    ///
    /// With a schema before it the server looks for the relation itself, past aliases and other queries
    /// (`refnameNamespaceItem`, PostgreSQL `src/backend/parser/parse_relation.c`): then it may be any
    /// table of that name.
    pub(super) fn find_qualified(
        &mut self,
        table: &str,
        column: &str,
        with_schema: bool,
    ) -> Result<Named> {
        let mut tables = self.find_tables(table);
        if with_schema {
            let all = self.frames.iter().flat_map(|f| &f.item.tables);
            tables = all.filter(|t| *t.name == *table).cloned().collect();
        }
        if tables.is_empty() {
            self.not_found();
            return Ok(Named::Value(Origin::Untraced));
        }
        let mut all: Option<Origin> = None;
        let mut row = nothing();
        let mut open = false;
        for table in &tables {
            self.charge(table.shape.columns.as_ref().map_or(0, Vec::len) / 16)?;
            let origin = match find_in(&table.shape, column) {
                Found::Yes(origin) => origin,
                Found::Maybe(origin) => {
                    open = true;
                    origin
                }
                Found::No => {
                    add(&mut row, &table.whole());
                    continue;
                }
            };
            self.charge(origin.named() / 8)?;
            match &mut all {
                Some(all) => add(all, &origin),
                None => all = Some(origin),
            }
        }
        Ok(match all {
            // The one that is meant may have no such column, and a function of that name.
            Some(origin) if with_schema && row != nothing() && self.is_function(column) => {
                self.row_use(&row);
                Named::CallOn(join(origin, &row))
            }
            // What is not listed may be a column or a function.
            Some(origin) if open && self.is_function(column) => Named::CallOn(origin),
            Some(origin) => Named::Value(origin),
            None if is_system_column(column) => Named::Value(nothing()),
            None => {
                self.row_use(&row);
                Named::CallOn(row)
            }
        })
    }
}
