//! What the statements before one in the same text have done to what its names stand for. Kept while
//! a text is taken apart; the catalog describes the database before the first of them.

use super::ddl_names::is_relation_word;
use super::names::string;
use crate::catalog::Catalog;
use crate::statement::{NameChange, Statement};
use pg_query::NodeEnum;
use pg_query::protobuf::{
    AExprKind, AlterTableStmt, AlterTableType, ColumnDef, Constraint, CreateStmt, IndexStmt, Node,
    ObjectType, RangeVar, RenameStmt, TypeName,
};
use portcullis_core::effect::Verb;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// The statements of a text so far.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    /// Names may not mean what the catalog says.
    pub(super) stale: bool,
    /// Known names may mean something else than they did: not only things were added.
    pub(super) untame: bool,
    /// A name may stand for a table whose rows move from one partition to another.
    pub(super) loose: bool,
    /// Names of tables may stand for others than they did, or for these as well.
    moved: bool,
    /// Known names may mean something else otherwise than by new names of tables and columns.
    otherwise: bool,
    /// New names of tables, and the names of those of which columns got new ones.
    given: HashSet<String>,
    recolumned: HashSet<String>,
    /// A table may have another primary key than it had.
    pub(super) rekeyed: bool,
    /// Tables made so far without rows, as they are written, and columns added to tables.
    tables: HashSet<(String, String)>,
    columns: HashMap<(String, String), HashSet<Rc<str>>>,
}

/// A name as it is written.
fn key(name: &RangeVar) -> (String, String) {
    (name.schemaname.clone(), name.relname.clone())
}

impl Earlier {
    /// Anything may have happened.
    pub(super) fn unknown() -> Self {
        Self {
            stale: true,
            untame: true,
            loose: true,
            moved: true,
            otherwise: true,
            ..Self::default()
        }
    }

    /// True for a table that a statement of this text has made, empty, and nobody could give rows
    /// but this text.
    pub(super) fn made(&self, name: &RangeVar) -> bool {
        !self.untame && self.tables.contains(&key(name))
    }

    /// True for a name that a table without rows was given in this text, and no other.
    pub(super) fn names_new(&self, name: &RangeVar) -> bool {
        !self.moved && self.tables.contains(&key(name))
    }

    /// True where a name that the catalog knows stands for what it says there, or nothing, whatever
    /// columns that has by now.
    pub(super) fn knows_name(&self, name: &RangeVar) -> bool {
        !self.moved || !self.otherwise && !self.given.contains(&name.relname)
    }

    /// The same, and for what the catalog says of its columns.
    pub(super) fn knows_columns(&self, name: &RangeVar) -> bool {
        let touched = self.given.contains(&name.relname) || self.recolumned.contains(&name.relname);
        !self.untame || !self.otherwise && !touched
    }

    /// The columns that were added to a table in this text, without values of other columns.
    pub(super) fn added(&self, name: &RangeVar) -> impl ExactSizeIterator<Item = &Rc<str>> {
        let own = self.columns.get(&key(name));
        own.map_or_else(Default::default, HashSet::iter)
    }

    /// Takes note of a statement.
    pub(super) fn note(&mut self, node: Option<&Node>, statement: &Statement) {
        let by_name = matches!(statement.names, NameChange::Execute { .. });
        let verbs = || statement.effects.iter().map(|e| e.verb);
        let defines = |v| matches!(v, Verb::Create | Verb::Alter | Verb::Drop);
        let unknown = by_name || verbs().any(|v| matches!(v, Verb::Execute | Verb::Unknown));
        self.stale = self.stale || unknown || verbs().any(defines);
        // Whether things were only added, whether rows may move, and whether names of tables do.
        let (tame, loose, moved) = match node.and_then(|n| n.node.as_ref()) {
            Some(NodeEnum::CreateStmt(s)) => (self.created(s), false, false),
            Some(NodeEnum::AlterTableStmt(s)) => {
                self.rekeyed |= super::evaluated::takes_key(s);
                let (tame, loose) = self.altered(s);
                (tame, loose, loose)
            }
            Some(NodeEnum::RenameStmt(s)) => {
                let moves = moves_names(s);
                (false, moves, moves)
            }
            Some(NodeEnum::AlterObjectSchemaStmt(_)) => (false, true, true),
            Some(NodeEnum::ViewStmt(_) | NodeEnum::RuleStmt(_) | NodeEnum::CreateSchemaStmt(_)) => {
                (false, true, false)
            }
            Some(
                NodeEnum::IndexStmt(_)
                | NodeEnum::CommentStmt(_)
                | NodeEnum::GrantStmt(_)
                | NodeEnum::CreateSeqStmt(_)
                | NodeEnum::CreateEnumStmt(_)
                | NodeEnum::CreateFunctionStmt(_)
                | NodeEnum::CreateExtensionStmt(_),
            ) => (true, false, false),
            _ => (!verbs().any(defines), false, false),
        };
        let renames = match node.and_then(|n| n.node.as_ref()) {
            Some(NodeEnum::RenameStmt(s)) => self.renamed(s),
            _ => false,
        };
        self.otherwise |= !tame && !renames || unknown;
        self.untame |= !tame || unknown;
        self.loose |= loose || unknown;
        self.moved |= moved || unknown;
    }

    /// Takes note of a new name of a table or of a column of one; false for others.
    fn renamed(&mut self, s: &RenameStmt) -> bool {
        let Some(name) = s.relation.as_ref() else { return false };
        match ObjectType::try_from(s.rename_type) {
            Ok(ObjectType::ObjectColumn) => self.recolumned.insert(name.relname.clone()),
            Ok(word) if is_relation_word(word) => self.given.insert(s.newname.clone()),
            _ => return false,
        };
        true
    }

    fn created(&mut self, s: &CreateStmt) -> bool {
        let own = s.inh_relations.iter().all(|parent| match parent.node.as_ref() {
            Some(NodeEnum::RangeVar(name)) => self.made(name),
            _ => false,
        });
        if let (Some(name), true) = (s.relation.as_ref(), own) {
            self.tables.insert(key(name));
        }
        true
    }

    /// Whether nothing was done but to add to it, and whether rows may move by it.
    fn altered(&mut self, s: &AlterTableStmt) -> (bool, bool) {
        let (mut tame, mut loose) = (true, false);
        let mut new: Vec<Rc<str>> = Vec::new();
        for node in &s.cmds {
            let Some(NodeEnum::AlterTableCmd(cmd)) = node.node.as_ref() else {
                return (false, true);
            };
            let adds = cmd.def.as_deref().and_then(|def| def.node.as_ref());
            match (AlterTableType::try_from(cmd.subtype), adds) {
                (Ok(AlterTableType::AtAddColumn), Some(NodeEnum::ColumnDef(column))) => {
                    new.push(column.colname.as_str().into());
                    tame &= !super::evaluated::is_generated(column);
                }
                (
                    Ok(
                        AlterTableType::AtAddConstraint
                        | AlterTableType::AtColumnDefault
                        | AlterTableType::AtSetNotNull
                        | AlterTableType::AtDropNotNull
                        | AlterTableType::AtValidateConstraint
                        | AlterTableType::AtDropConstraint
                        | AlterTableType::AtChangeOwner
                        | AlterTableType::AtAddIdentity
                        | AlterTableType::AtSetIdentity
                        | AlterTableType::AtSetStatistics
                        | AlterTableType::AtSetRelOptions,
                    ),
                    ..,
                ) => {}
                (Ok(AlterTableType::AtAttachPartition | AlterTableType::AtAddInherit), ..) => {
                    (tame, loose) = (false, true);
                }
                _ => tame = false,
            }
        }
        if let (Some(name), false) = (s.relation.as_ref(), new.is_empty()) {
            self.columns.entry(key(name)).or_default().extend(new);
        }
        (tame, loose)
    }
}

/// True where known names may do something else once the statement has run, or new ones may do what is
/// not told where they are used ([`Statement::disturbs`]). Plain tables and their columns, indexes and
/// keys do not; what is gone does nothing.
pub(super) fn disturbs(node: Option<&Node>, statement: &Statement, catalog: &Catalog) -> bool {
    let block = matches!(&*statement.kind, "do" | "call");
    let defines = statement.effects.iter().any(|e| match e.verb {
        Verb::Create | Verb::Alter | Verb::Unknown => true,
        Verb::Execute => block,
        _ => false,
    });
    let plain = Plain(catalog);
    let harmless = match node.and_then(|n| n.node.as_ref()) {
        Some(NodeEnum::CreateStmt(s)) => plain.table(s),
        Some(NodeEnum::IndexStmt(s)) => plain.index(s),
        Some(NodeEnum::AlterTableStmt(s)) => s.cmds.iter().all(|cmd| plain.command(cmd)),
        Some(NodeEnum::CreateSchemaStmt(s)) => s.schema_elts.is_empty(),
        Some(
            NodeEnum::AlterSeqStmt(_)
            | NodeEnum::CommentStmt(_)
            | NodeEnum::CreateEnumStmt(_)
            | NodeEnum::CreateSeqStmt(_)
            | NodeEnum::DropStmt(_)
            | NodeEnum::RefreshMatViewStmt(_),
        ) => true,
        _ => false,
    };
    defines && !harmless
}

/// Functions of the server that stand in defaults, checks and indexes and only compute.
const COMPUTES: [&str; 13] = [
    "char_length",
    "clock_timestamp",
    "date_trunc",
    "gen_random_uuid",
    "length",
    "lower",
    "nextval",
    "now",
    "random",
    "statement_timestamp",
    "timezone",
    "transaction_timestamp",
    "upper",
];

/// Tells definitions that bring nothing but the server's own code with them.
struct Plain<'c>(&'c Catalog);

impl Plain<'_> {
    fn table(&self, s: &CreateStmt) -> bool {
        s.inh_relations.is_empty()
            && s.partbound.is_none()
            && s.partspec.is_none()
            && s.of_typename.is_none()
            && s.table_elts.iter().all(|node| match node.node.as_ref() {
                Some(NodeEnum::ColumnDef(column)) => self.column(column),
                Some(NodeEnum::Constraint(constraint)) => self.constraint(constraint),
                _ => false,
            })
    }

    fn column(&self, column: &ColumnDef) -> bool {
        column.type_name.as_ref().is_some_and(|name| self.of_server(name))
            && self.inert(column.raw_default.as_deref())
            && column.constraints.iter().all(|node| match node.node.as_ref() {
                Some(NodeEnum::Constraint(constraint)) => self.constraint(constraint),
                _ => false,
            })
    }

    /// What a foreign key does to its own table when the other one changes is not told there.
    fn constraint(&self, c: &Constraint) -> bool {
        let acts = |action: &str| !matches!(action, "" | "a" | "r");
        c.exclusions.is_empty()
            && self.inert(c.raw_expr.as_deref())
            && self.inert(c.where_clause.as_deref())
            && !acts(&c.fk_del_action)
            && !acts(&c.fk_upd_action)
    }

    fn index(&self, s: &IndexStmt) -> bool {
        let column = |node: &Node| match node.node.as_ref() {
            Some(NodeEnum::IndexElem(part)) => {
                part.opclass.is_empty() && self.inert(part.expr.as_deref())
            }
            _ => false,
        };
        s.index_params.iter().all(column) && self.inert(s.where_clause.as_deref())
    }

    /// A change of a table by which nothing comes to hang on it.
    fn command(&self, node: &Node) -> bool {
        let Some(NodeEnum::AlterTableCmd(cmd)) = node.node.as_ref() else { return false };
        let def = cmd.def.as_deref().and_then(|def| def.node.as_ref());
        match (AlterTableType::try_from(cmd.subtype), def) {
            (Ok(AlterTableType::AtAddColumn), Some(NodeEnum::ColumnDef(c))) => self.column(c),
            (Ok(AlterTableType::AtAddConstraint), Some(NodeEnum::Constraint(c))) => {
                self.constraint(c)
            }
            (Ok(AlterTableType::AtColumnDefault), _) => self.inert(cmd.def.as_deref()),
            (
                Ok(
                    AlterTableType::AtAddIdentity
                    | AlterTableType::AtChangeOwner
                    | AlterTableType::AtDropColumn
                    | AlterTableType::AtDropConstraint
                    | AlterTableType::AtDropNotNull
                    | AlterTableType::AtSetIdentity
                    | AlterTableType::AtSetNotNull
                    | AlterTableType::AtSetRelOptions
                    | AlterTableType::AtSetStatistics
                    | AlterTableType::AtValidateConstraint,
                ),
                _,
            ) => true,
            _ => false,
        }
    }

    /// A type of the server's, whatever the `search_path` is.
    fn of_server(&self, name: &TypeName) -> bool {
        let parts: Vec<&str> = name.names.iter().filter_map(string).collect();
        match parts.as_slice() {
            ["pg_catalog", name] => self.0.types_named(name).iter().all(|t| !t.user_code),
            [name] => {
                self.0.means_server_type(name)
                    && !self.0.types_named(name).iter().any(|t| t.user_code)
            }
            _ => false,
        }
    }

    /// An expression, if there is one, of values, columns and what the server has for them.
    fn inert(&self, node: Option<&Node>) -> bool {
        let Some(node) = node.and_then(|n| n.node.as_ref()) else { return true };
        let all = |nodes: &[Node]| nodes.iter().all(|n| self.inert(Some(n)));
        match node {
            NodeEnum::AConst(_) | NodeEnum::SqlvalueFunction(_) => true,
            // With a dot it may be the call of a function.
            NodeEnum::ColumnRef(column) => column.fields.len() == 1,
            NodeEnum::List(list) => all(&list.items),
            NodeEnum::AArrayExpr(list) => all(&list.elements),
            NodeEnum::CoalesceExpr(e) => all(&e.args),
            NodeEnum::BoolExpr(e) => all(&e.args),
            NodeEnum::NullTest(e) => self.inert(e.arg.as_deref()),
            NodeEnum::TypeCast(e) => {
                e.type_name.as_ref().is_some_and(|name| self.of_server(name))
                    && self.inert(e.arg.as_deref())
            }
            NodeEnum::AExpr(e) => {
                let known = match e.name.iter().filter_map(string).collect::<Vec<_>>().as_slice() {
                    [one] => self.0.operators_named(one).is_empty(),
                    _ => false,
                };
                // Others stand for several operators.
                let one = matches!(
                    AExprKind::try_from(e.kind),
                    Ok(AExprKind::AexprOp | AExprKind::AexprOpAny | AExprKind::AexprIn)
                );
                one && known && self.inert(e.lexpr.as_deref()) && self.inert(e.rexpr.as_deref())
            }
            NodeEnum::FuncCall(call) => {
                let names: Vec<&str> = call.funcname.iter().filter_map(string).collect();
                let known = names.last().is_some_and(|name| {
                    COMPUTES.contains(name) && self.0.functions_named(None, name).is_empty()
                });
                known && all(&call.args)
            }
            _ => false,
        }
    }
}

/// True for a new name of a relation, or of what relations are found in.
fn moves_names(s: &RenameStmt) -> bool {
    let part = matches!(
        ObjectType::try_from(s.rename_type),
        Ok(ObjectType::ObjectColumn
            | ObjectType::ObjectAttribute
            | ObjectType::ObjectTabconstraint
            | ObjectType::ObjectDomconstraint
            | ObjectType::ObjectIndex
            | ObjectType::ObjectSequence
            | ObjectType::ObjectTrigger
            | ObjectType::ObjectRule
            | ObjectType::ObjectPolicy)
    );
    // A table goes by the kind of statement, whatever it is.
    !part || s.relation.is_some() && s.rename_type == ObjectType::ObjectIndex as i32
}
