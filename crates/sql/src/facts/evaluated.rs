//! What a definition asks of rows: expressions of indexes, new columns and checks over those that
//! are there, whether values are unique, are values of another type or stand in another table, to
//! which partition rows belong; and conditions that are asked of every row from then on.
//!
//! Whether such a definition can be made, or what follows can be changed, depends on values: what it
//! looks at decides.

use super::names::{string, strings};
use super::scope::{Frame, Item, OutCol, Shape, Table, add, nothing, of_column};
use super::{Analyzer, Result};
use crate::catalog::{Relation, RelationKind, TRACED_CHILDREN};
use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterDomainStmt, AlterTableCmd, AlterTableStmt, AlterTableType, ColumnDef, ConstrType,
    Constraint, CreateStatsStmt, CreateStmt, CreateTrigStmt, DropBehavior, IndexStmt, Node,
    ObjectType, PartitionBoundSpec, PartitionCmd, RangeVar, TypeName,
};
use portcullis_core::mask::{Origin, UserType};
use smallvec::SmallVec;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

impl<'c> Analyzer<'c> {
    /// `CREATE INDEX`.
    pub(super) fn indexed(&mut self, s: &IndexStmt) -> Result<()> {
        let Some(name) = s.relation.as_ref() else { return Ok(()) };
        self.over_rows(name, Vec::new(), |a| {
            for node in &s.index_params {
                let Some(NodeEnum::IndexElem(element)) = node.node.as_ref() else { continue };
                match element.expr.as_deref() {
                    // How long it becomes decides too: an entry has a most.
                    Some(expr) if s.unique || !is_recased(expr) => {
                        a.condition_on(Some(expr))?;
                    }
                    Some(expr) => {
                        a.expr(expr)?;
                    }
                    None if s.unique => a.decide_named(&element.name)?,
                    None => {}
                }
            }
            a.condition_on(s.where_clause.as_deref()).map(drop)
        })
    }

    /// `ALTER TABLE`: what fills new columns, converts old ones, and is checked.
    pub(super) fn altered(&mut self, s: &AlterTableStmt) -> Result<()> {
        let Some(name) = s.relation.as_ref() else { return Ok(()) };
        let commands = || {
            s.cmds.iter().filter_map(|node| match node.node.as_ref() {
                Some(NodeEnum::AlterTableCmd(cmd)) => Some(&**cmd),
                _ => None,
            })
        };
        for cmd in commands() {
            let kind = AlterTableType::try_from(cmd.subtype);
            match (kind, definition(cmd)) {
                (_, Some(NodeEnum::PartitionCmd(partition))) => {
                    self.partitioned(name, cmd, partition)?;
                }
                (Ok(AlterTableType::AtAddInherit), Some(NodeEnum::RangeVar(parent))) => {
                    self.joined(parent, name)?;
                }
                // Whoever clusters it puts its rows in that order.
                (Ok(AlterTableType::AtClusterOn), _) => self.put_in_order(Some(name))?,
                (Ok(AlterTableType::AtAlterColumnType), Some(NodeEnum::ColumnDef(column)))
                    if s.objtype == ObjectType::ObjectType as i32 =>
                {
                    self.typed_altered(cmd, column)?;
                }
                // What does not hold is told with the values of the row.
                (Ok(AlterTableType::AtValidateConstraint), _) => self.looked_through(name),
                _ => {}
            }
        }
        let adds = |cmd: &AlterTableCmd| cmd.subtype == AlterTableType::AtAddColumn as i32;
        let told = self.is_told(name);
        let new = commands().filter(|cmd| adds(cmd)).filter_map(|cmd| match definition(cmd) {
            Some(NodeEnum::ColumnDef(column)) => {
                // What a generated one is made of decides where it is defined.
                let new = told || !cmd.missing_ok;
                let origin = if new { nothing() } else { Origin::Untraced };
                Some(OutCol::made(Some(column.colname.as_str().into()), origin))
            }
            _ => None,
        });
        let new: Vec<OutCol> = new.collect();
        self.rekeys = takes_key(s);
        self.over_rows(name, new, |a| commands().try_for_each(|cmd| a.altered_by(cmd)))
    }

    fn altered_by(&mut self, cmd: &AlterTableCmd) -> Result<()> {
        match (AlterTableType::try_from(cmd.subtype), definition(cmd)) {
            (Ok(AlterTableType::AtAlterColumnType), Some(NodeEnum::ColumnDef(column))) => {
                self.type_use(column.type_name.as_ref());
                let converted = match column.raw_default.as_deref() {
                    Some(using) => self.expr(using)?,
                    None => self.find_column(&cmd.name)?,
                };
                if !self.takes_any(column) {
                    self.decide(&converted);
                }
                Ok(())
            }
            (_, Some(NodeEnum::ColumnDef(column))) => {
                self.type_use(column.type_name.as_ref());
                for constraint in constraints_of(column) {
                    self.constrained(constraint, Some(&column.colname))?;
                }
                self.optional(column.raw_default.as_deref()).map(drop)
            }
            (_, Some(NodeEnum::Constraint(constraint))) => self.constrained(constraint, None),
            (Ok(AlterTableType::AtSetExpression), Some(_)) => {
                self.condition_on(cmd.def.as_deref()).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// `ALTER TYPE … ALTER ATTRIBUTE … CASCADE`: columns of tables that are made of the type get the
    /// attribute's new one, and their values are converted. Such a column has the attribute's name;
    /// which tables they are is not known.
    fn typed_altered(&mut self, cmd: &AlterTableCmd, column: &ColumnDef) -> Result<()> {
        if cmd.behavior != DropBehavior::DropCascade as i32 || self.takes_any(column) {
            return Ok(());
        }
        if self.earlier.untame {
            self.unresolved = true;
            self.decide(&Origin::Untraced);
            return Ok(());
        }
        let mut all = nothing();
        let stores = |r: &&Relation| !r.is_system() && r.kind != RelationKind::Composite;
        for relation in self.catalog.relations().filter(stores) {
            self.charge(1 + relation.columns.len() / 8)?;
            for column in relation.columns.iter().filter(|c| *c.name == *cmd.name) {
                add(&mut all, &of_column(relation.oid, column.number));
            }
        }
        self.decide(&all);
        Ok(())
    }

    /// Rows are stored in the order of an index, and come in it from then on: its columns decide.
    /// Which they are is not known, so all of the table's do.
    pub(super) fn put_in_order(&mut self, name: Option<&RangeVar>) -> Result<()> {
        self.evaluates = true;
        let Some(name) = name else {
            // Every table that somebody has ever put in order.
            self.unresolved = true;
            self.decide(&Origin::Untraced);
            return Ok(());
        };
        if self.is_new(name) {
            return Ok(());
        }
        let candidates = self.candidates(name);
        let table = self.table(name, &candidates)?;
        self.decide_columns(table, None)
    }

    /// True where the new type of a column takes any text, compared as before.
    fn takes_any(&self, column: &ColumnDef) -> bool {
        let takes = |name: &TypeName| name.typmods.is_empty() && self.is_text(name);
        column.coll_clause.is_none() && column.type_name.as_ref().is_some_and(takes)
    }

    /// A constraint on the table in scope. One that is not enforced or not validated yet is asked of
    /// a row when that is changed, or later.
    fn constrained(&mut self, c: &Constraint, column: Option<&str>) -> Result<()> {
        self.condition_on(c.raw_expr.as_deref())?;
        self.condition_on(c.where_clause.as_deref())?;
        let kind = ConstrType::try_from(c.contype);
        let keys = match kind {
            Ok(ConstrType::ConstrPrimary | ConstrType::ConstrUnique) => &c.keys,
            Ok(ConstrType::ConstrForeign) => &c.fk_attrs,
            Ok(ConstrType::ConstrExclusion) => return self.excluded(c),
            _ => return Ok(()),
        };
        let keys = keys.iter().filter_map(string);
        // An index that is there already has its answer.
        keys.chain(column).try_for_each(|name| self.decide_named(name))?;
        self.referred_to(c, None)
    }

    fn excluded(&mut self, c: &Constraint) -> Result<()> {
        for node in &c.exclusions {
            let Some(NodeEnum::List(pair)) = node.node.as_ref() else { continue };
            match pair.items.first().and_then(|item| item.node.as_ref()) {
                Some(NodeEnum::IndexElem(element)) => match element.expr.as_deref() {
                    Some(expr) => self.condition_on(Some(expr)).map(drop)?,
                    None => self.decide_named(&element.name)?,
                },
                _ => self.decide(&Origin::Untraced),
            }
        }
        Ok(())
    }

    /// The columns that a foreign key points to, the primary key's where it names none: whether a
    /// value stands there decides. `made`: the table that the statement makes.
    fn referred_to(&mut self, c: &Constraint, made: Option<&RangeVar>) -> Result<()> {
        let Some(name) = c.pktable.as_ref() else { return Ok(()) };
        let candidates = self.candidates(name);
        if candidates.is_empty() {
            // What this text makes has no rows yet.
            let own = made.is_some_and(|made| {
                (&made.schemaname, &made.relname) == (&name.schemaname, &name.relname)
            });
            if !own && !self.earlier.names_new(name) {
                self.not_found();
                self.decide(&Origin::Untraced);
            }
            return Ok(());
        }
        let table = self.table(name, &candidates)?;
        let columns = if !c.pk_attrs.is_empty() {
            Some(c.pk_attrs.iter().filter_map(string).collect())
        } else if self.rekeys || self.earlier.rekeyed {
            None
        } else {
            of_all(&candidates, |r| names_of(r, &r.primary_key))
        };
        self.decide_columns(table, columns)
    }

    /// Some columns of a table decide, or all where it is not known which.
    fn decide_columns(&mut self, table: Table, columns: Option<Vec<&str>>) -> Result<()> {
        let Some(columns) = columns else {
            let row = table.whole();
            self.decide(&row);
            return Ok(());
        };
        self.frames.push(Frame { item: Item::table(table), ..Frame::default() });
        let looked = columns.into_iter().try_for_each(|column| self.decide_named(column));
        self.frames.pop();
        looked
    }

    fn decide_named(&mut self, column: &str) -> Result<()> {
        let origin = self.find_column(column)?;
        self.decide(&origin);
        Ok(())
    }

    /// `CREATE TABLE`: it has no rows, but others may.
    pub(super) fn bounded(&mut self, s: &CreateStmt) -> Result<()> {
        self.evaluates = true;
        if s.partbound.is_some() {
            self.bounds(s.partbound.as_ref())?;
            // What is in the default partition must not belong here.
            for node in &s.inh_relations {
                if let Some(NodeEnum::RangeVar(parent)) = node.node.as_ref() {
                    self.decide_key(parent, parent)?;
                }
            }
        }
        for node in &s.table_elts {
            match node.node.as_ref() {
                Some(NodeEnum::ColumnDef(column)) => {
                    for constraint in constraints_of(column) {
                        self.referred_to(constraint, s.relation.as_ref())?;
                    }
                }
                Some(NodeEnum::Constraint(constraint)) => {
                    self.referred_to(constraint, s.relation.as_ref())?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn partitioned(
        &mut self,
        name: &RangeVar,
        cmd: &AlterTableCmd,
        partition: &PartitionCmd,
    ) -> Result<()> {
        self.evaluates = true;
        self.bounds(partition.bound.as_ref())?;
        let attaches = cmd.subtype == AlterTableType::AtAttachPartition as i32;
        match partition.name.as_ref() {
            Some(part) if attaches && partition.bound.is_some() => {
                self.decide_key(name, name)?;
                self.decide_key(name, part)?;
                self.joined(name, part)
            }
            _ => Ok(()),
        }
    }

    /// The rows of a table become those of a parent as well: whatever was asked of the parent's rows
    /// (by unique indexes, foreign keys, policies, triggers, and views that somebody made before there
    /// was anything to hide) is asked of these.
    fn joined(&mut self, parent: &RangeVar, child: &RangeVar) -> Result<()> {
        self.evaluates = true;
        self.looked_through(child);
        if self.is_new(child) {
            return Ok(());
        }
        let mut parents: SmallVec<[&'c Relation; 4]> =
            SmallVec::from_slice(&self.candidates(parent));
        let named = parents.len();
        for one in self.candidates(parent) {
            self.ancestors(one, &mut parents);
        }
        // Not all of more than are looked for are there.
        let few = parents.len() < TRACED_CHILDREN;
        let told = named > 0 && few && !self.earlier.stale;
        let mut asked: Option<Vec<&str>> = told.then(Vec::new);
        for one in parents {
            self.charge(one.asked.len())?;
            let own = match one.asked.is_empty() {
                true => Some(Vec::new()),
                false => names_of(one, &one.asked),
            };
            let own = own.filter(|_| !one.rules && one.triggers.is_empty());
            let by_views = self.asked_by_views(one)?;
            let more = own.zip(by_views).map(|(own, views)| [own, views].concat());
            asked = asked.zip(more).map(|(all, more)| [all, more].concat());
        }
        let candidates = self.candidates(child);
        let table = self.table(child, &candidates)?;
        self.decide_columns(table, asked)
    }

    /// The columns of a relation of which views ask something: by their conditions, and by the indexes
    /// of those that are kept. `None` where that cannot be told.
    fn asked_by_views(&mut self, relation: &'c Relation) -> Result<Option<Vec<&'c str>>> {
        let mut numbers: HashSet<i16> = HashSet::new();
        for view in self.views_over(relation)? {
            let facts = self.view_facts(view)?;
            let indexed = view.asked.iter().map(|number| {
                let place = view.columns.iter().position(|c| c.number == *number);
                place.and_then(|place| facts.columns.get(place)).unwrap_or(&Origin::Untraced)
            });
            for origin in indexed.chain([&facts.conditions]) {
                let Origin::Columns(columns) = origin else { return Ok(None) };
                self.charge(1 + columns.len() / 8)?;
                numbers.extend(
                    columns.iter().filter(|c| c.relation == relation.oid).map(|c| c.column),
                );
            }
        }
        let numbers: Vec<i16> = numbers.into_iter().collect();
        Ok(if numbers.is_empty() { Some(Vec::new()) } else { names_of(relation, &numbers) })
    }

    /// The views that look at a relation, themselves or through others.
    fn views_over(&mut self, relation: &Relation) -> Result<Vec<&'c Relation>> {
        let catalog = self.catalog;
        let mut by_what: HashMap<u32, Vec<&'c Relation>> = HashMap::new();
        for view in catalog.relations() {
            let depends = view.view.iter().flat_map(|body| &body.depends);
            for (oid, _) in depends {
                self.charge(1)?;
                by_what.entry(*oid).or_default().push(view);
            }
        }
        let mut open = vec![relation.oid];
        let (mut seen, mut all) = (HashSet::new(), Vec::new());
        while let Some(next) = open.pop() {
            for view in by_what.remove(&next).unwrap_or_default() {
                if seen.insert(view.oid) {
                    open.push(view.oid);
                    all.push(view);
                }
            }
        }
        Ok(all)
    }

    /// The rows of a table are gone through, and an error may show one.
    fn looked_through(&mut self, name: &RangeVar) {
        for relation in self.candidates(name) {
            let mut all: SmallVec<[&Relation; 4]> = SmallVec::from_slice(&[relation]);
            self.descendants(relation, TRACED_CHILDREN, &mut all);
            self.relations.extend(all.iter().map(|r| r.oid));
        }
    }

    /// Rows of a table are looked at by the key that its partitions are told by; `rows`: whose.
    fn decide_key(&mut self, parent: &RangeVar, rows: &RangeVar) -> Result<()> {
        if self.is_new(rows) {
            return Ok(());
        }
        let parents = self.candidates(parent);
        let candidates = self.candidates(rows);
        let table = self.table(rows, &candidates)?;
        self.decide_columns(table, of_all(&parents, key_of))
    }

    fn bounds(&mut self, bounds: Option<&PartitionBoundSpec>) -> Result<()> {
        let Some(bounds) = bounds else { return Ok(()) };
        for list in [&bounds.listdatums, &bounds.lowerdatums, &bounds.upperdatums] {
            for node in list {
                // `MINVALUE` and `MAXVALUE` look like columns here.
                if !matches!(node.node, Some(NodeEnum::ColumnRef(_))) {
                    // They are in the catalog then, for all to read, and must not overlap others.
                    let bound = self.condition_on(Some(node))?;
                    self.sink(bound);
                }
            }
        }
        Ok(())
    }

    /// Conditions on every row of a table, from now on.
    pub(super) fn asked_of_rows(
        &mut self,
        name: Option<&RangeVar>,
        conditions: &[Option<&Node>],
    ) -> Result<()> {
        let Some(name) = name else { return Ok(()) };
        self.over_rows(name, Vec::new(), |a| {
            conditions.iter().try_for_each(|one| a.condition_on(*one).map(drop))
        })
    }

    /// `CREATE STATISTICS`: its expressions are worked out when the table is looked through.
    pub(super) fn counted(&mut self, s: &CreateStatsStmt) -> Result<()> {
        let all = s.exprs.iter().map(|node| match node.node.as_ref() {
            Some(NodeEnum::StatsElem(element)) => element.expr.as_deref(),
            _ => None,
        });
        let all: Vec<Option<&Node>> = all.collect();
        s.relations.iter().try_for_each(|node| match node.node.as_ref() {
            Some(NodeEnum::RangeVar(name)) => self.asked_of_rows(Some(name), &all),
            _ => Ok(()),
        })
    }

    /// `CREATE TRIGGER`: when it fires, and what a function of the server moves by it.
    pub(super) fn triggered(&mut self, s: &CreateTrigStmt) -> Result<()> {
        let Some(name) = s.relation.as_ref() else { return Ok(()) };
        self.evaluates = true;
        if self.is_new(name) {
            return Ok(());
        }
        let candidates = self.candidates(name);
        if let Some(condition) = s.when_clause.as_deref() {
            let table = self.table(name, &candidates)?;
            let mut frame = Frame::default();
            for alias in ["old", "new"] {
                frame.item.append(Item::table(Table { name: alias.into(), ..table.clone() }));
            }
            self.frames.push(frame);
            let asked = self.condition_on(Some(condition));
            self.frames.pop();
            asked?;
        }
        let function = strings(&s.funcname).and_then(|names| names.last().copied());
        if !function.is_some_and(super::hidden::searches_text) {
            return Ok(());
        }
        if candidates.is_empty() {
            self.sink(Origin::Untraced);
        }
        let arguments: Vec<&str> = s.args.iter().filter_map(string).collect();
        for relation in candidates {
            self.text_searched(relation, &arguments)?;
        }
        Ok(())
    }

    /// `ALTER DOMAIN`: its new check is made of every value of it that is stored.
    pub(super) fn domain_altered(&mut self, s: &AlterDomainStmt) -> Result<()> {
        let checks = match s.def.as_deref().and_then(|def| def.node.as_ref()) {
            Some(NodeEnum::Constraint(c)) => c.contype == ConstrType::ConstrCheck as i32,
            _ => false,
        };
        let names = strings(&s.type_name);
        let Some((name, true)) = names.and_then(|n| n.last().copied()).map(|n| (n, checks)) else {
            return Ok(());
        };
        self.evaluates = true;
        let domains = self.catalog.types_named(name);
        if domains.is_empty() {
            // One of another name, if what came before may have given it this one.
            if self.earlier.untame {
                self.decide(&Origin::Untraced);
            }
            return Ok(());
        }
        let mut known: HashMap<u32, bool> = domains.iter().map(|t| (t.oid, true)).collect();
        let mut all = nothing();
        let stores = |r: &&Relation| !r.is_system() && r.kind != RelationKind::Composite;
        for relation in self.catalog.relations().filter(stores) {
            self.charge(relation.columns.len())?;
            for column in &relation.columns {
                if self.is_made_of(column.type_oid, &mut known)? {
                    add(&mut all, &of_column(relation.oid, column.number));
                }
            }
        }
        self.decide(&all);
        Ok(())
    }

    /// True for a type that is made of some of which that is `known`: each is taken apart once.
    fn is_made_of(&mut self, type_oid: u32, known: &mut HashMap<u32, bool>) -> Result<bool> {
        if let Some(known) = known.get(&type_oid) {
            return Ok(*known);
        }
        let catalog = self.catalog;
        let of: &[u32] = match catalog.type_map().get(type_oid) {
            Some(UserType::Domain { base: of, .. } | UserType::Array(of) | UserType::Range(of)) => {
                std::slice::from_ref(of)
            }
            Some(UserType::Composite(all)) => all,
            _ => &[],
        };
        // None is made of itself.
        known.insert(type_oid, true);
        let mut made = false;
        for one in of {
            made = made || self.nested(|a| a.is_made_of(*one, known))?;
        }
        known.insert(type_oid, made);
        Ok(made)
    }

    /// True for a table that this text has made, and which has no rows but what it gave it.
    fn is_new(&self, name: &RangeVar) -> bool {
        self.earlier.made(name) && self.candidates(name).is_empty()
    }

    /// True for a table that has the columns which the catalog knows and this text has added, by
    /// these names, and no others.
    fn is_told(&self, name: &RangeVar) -> bool {
        !self.earlier.untame && (self.earlier.made(name) || !self.candidates(name).is_empty())
    }

    /// With the columns of a table in sight, and those that are `new` in the same statement.
    fn over_rows(
        &mut self,
        name: &RangeVar,
        new: Vec<OutCol>,
        look: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        self.evaluates = true;
        let candidates = self.candidates(name);
        let mut item = if self.is_new(name) {
            Item::table(empty(name))
        } else {
            Item::table(self.table(name, &candidates)?)
        };
        // What two tables of one name have may be any of their columns.
        if candidates.is_empty() || !item.more {
            let added: Vec<Rc<str>> = self.earlier.added(name).cloned().collect();
            self.charge(item.columns.len() / 4 + added.len() + new.len())?;
            let mut known: HashSet<Rc<str>> =
                item.columns.iter().filter_map(|c| c.name.clone()).collect();
            // Where names have moved, another column may have got that name.
            let origin = if self.is_told(name) { nothing() } else { Origin::Untraced };
            let added = added.into_iter().map(|c| OutCol::made(Some(c), origin.clone()));
            for column in added.chain(new) {
                if column.name.clone().is_some_and(|name| known.insert(name)) {
                    item.columns.push(column);
                }
            }
        }
        self.frames.push(Frame { item, ..Frame::default() });
        let looked = look(self);
        self.frames.pop();
        looked
    }
}

/// A table without rows: nothing comes from its columns, whichever they are. What comes from others
/// beside it does.
fn empty(name: &RangeVar) -> Table {
    let shape = Shape::unlisted(nothing());
    let (name, shape) = (name.relname.as_str().into(), Rc::new(shape));
    Table { name, shape, row: Some(nothing()), base: None }
}

/// What a part of `ALTER TABLE` is about.
fn definition(cmd: &AlterTableCmd) -> Option<&NodeEnum> {
    cmd.def.as_deref()?.node.as_ref()
}

/// What is checked of a column, or makes its values.
fn constraints_of(column: &ColumnDef) -> impl Iterator<Item = &Constraint> {
    column.constraints.iter().filter_map(|node| match node.node.as_ref() {
        Some(NodeEnum::Constraint(constraint)) => Some(&**constraint),
        _ => None,
    })
}

/// True where an index that is there already becomes the primary key: which, is not looked up.
pub(super) fn takes_key(s: &AlterTableStmt) -> bool {
    s.cmds.iter().any(|node| match node.node.as_ref() {
        Some(NodeEnum::AlterTableCmd(cmd)) => match definition(cmd) {
            Some(NodeEnum::Constraint(c)) => {
                c.contype == ConstrType::ConstrPrimary as i32 && !c.indexname.is_empty()
            }
            _ => false,
        },
        _ => false,
    })
}

/// True for a column that is made of others.
pub(super) fn is_generated(column: &ColumnDef) -> bool {
    constraints_of(column).any(|c| c.contype == ConstrType::ConstrGenerated as i32)
}

/// The names of the columns that tell partitions; `None` where there are expressions, or it has no
/// partitions as far as is known.
pub(super) fn key_of(relation: &Relation) -> Option<Vec<&str>> {
    names_of(relation, &relation.partition_key)
}

/// The names of columns; `None` where there are none, or not all are known.
fn names_of<'r>(relation: &'r Relation, numbers: &[i16]) -> Option<Vec<&'r str>> {
    let name = |number: &i16| Some(&*relation.columns.iter().find(|c| c.number == *number)?.name);
    let all: Vec<&str> = numbers.iter().map(name).collect::<Option<_>>()?;
    (!all.is_empty()).then_some(all)
}

/// What each of the relations has; `None` where one has not, or there is none.
fn of_all<'r>(
    relations: &[&'r Relation],
    of: impl Fn(&'r Relation) -> Option<Vec<&'r str>>,
) -> Option<Vec<&'r str>> {
    let all: Vec<Vec<&str>> = relations.iter().map(|r| of(r)).collect::<Option<_>>()?;
    (!all.is_empty()).then(|| all.concat())
}

/// A column in upper or lower case, which is as long as it was.
fn is_recased(node: &Node) -> bool {
    let Some(NodeEnum::FuncCall(call)) = node.node.as_ref() else { return false };
    let name = strings(&call.funcname).and_then(|names| names.last().copied());
    matches!(name, Some("lower" | "upper"))
        && matches!(call.args.as_slice(), [Node { node: Some(NodeEnum::ColumnRef(_)) }])
}
