//! Definitions: `CREATE`, `ALTER`, `DROP`, `GRANT` and their kin.

use super::ddl_names::{object_kind, tag};
use super::names::{split, strings};
use super::scope::{Frame, Item, of_column};
use super::utility::Facts;
use super::{Analyzer, Result};
use crate::catalog::Relation;
use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterTableStmt, AlterTableType, CreateStmt, DropBehavior, DropStmt, GrantStmt, GrantTargetType,
    Node, ObjectType, RangeVar, RenameStmt, RoleSpec, ViewStmt,
};
use portcullis_core::effect::{Certainty, Effect, Extent, Object, ObjectKind, Verb};
use portcullis_core::mask::Origin;

impl Analyzer<'_> {
    pub(super) fn definition(&mut self, kind: &NodeEnum) -> Result<Facts> {
        Ok(match kind {
            NodeEnum::CreateStmt(s) => self.create_table(s)?,
            NodeEnum::CreateForeignTableStmt(s) => {
                if let Some(base) = &s.base_stmt {
                    self.create_table(base)?;
                }
                self.server(Verb::Read, &s.servername);
                ("create foreign table", None)
            }
            NodeEnum::ViewStmt(s) => self.create_view(s)?,
            NodeEnum::IndexStmt(s) => {
                self.define_named(Verb::Alter, s.relation.as_ref(), Extent::All);
                let object = self.object(ObjectKind::Relation, ["?", s.idxname.as_str()]);
                self.effect(Verb::Create, object, Extent::One, Certainty::Resolved);
                self.user_code = true;
                self.indexed(s)?;
                self.rebuilt_named(s.relation.as_ref())?;
                ("create index", None)
            }
            NodeEnum::CreateSchemaStmt(s) => {
                let object = self.object(ObjectKind::Schema, [s.schemaname.as_str()]);
                self.push(Effect::resolved(Verb::Create, object, Extent::One));
                for node in &s.schema_elts {
                    self.dispatch(node)?;
                }
                ("create schema", None)
            }
            NodeEnum::CreateSeqStmt(s) => {
                match s.sequence.as_ref() {
                    Some(name) => {
                        let mut object = self.new_relation(name);
                        object.kind = ObjectKind::Sequence;
                        self.push(Effect::resolved(Verb::Create, object, Extent::One));
                    }
                    None => {
                        self.unreadable();
                    }
                }
                ("create sequence", None)
            }
            NodeEnum::CreateFunctionStmt(s) => {
                self.create(ObjectKind::Routine, &s.funcname);
                (if s.is_procedure { "create procedure" } else { "create function" }, None)
            }
            NodeEnum::CreateTrigStmt(s) => {
                self.hang("trigger", s.relation.as_ref());
                self.triggered(s)?;
                ("create trigger", None)
            }
            NodeEnum::RuleStmt(s) => {
                self.hang("rule", s.relation.as_ref());
                ("create rule", None)
            }
            NodeEnum::CreatePolicyStmt(s) => {
                self.hang("policy", s.table.as_ref());
                let conditions = [s.qual.as_deref(), s.with_check.as_deref()];
                self.asked_of_rows(s.table.as_ref(), &conditions)?;
                ("create policy", None)
            }
            other => return self.definition_of_type(other),
        })
    }

    fn definition_of_type(&mut self, kind: &NodeEnum) -> Result<Facts> {
        Ok(match kind {
            NodeEnum::DefineStmt(s) => {
                match object_kind(s.kind) {
                    Some(kind) => self.create(kind, &s.defnames),
                    None => {
                        self.unreadable();
                    }
                }
                ("create", None)
            }
            NodeEnum::CompositeTypeStmt(s) => {
                if let Some(name) = &s.typevar {
                    let mut object = self.new_relation(name);
                    object.kind = ObjectKind::Type;
                    self.push(Effect::resolved(Verb::Create, object, Extent::One));
                } else {
                    self.unreadable();
                }
                ("create type", None)
            }
            NodeEnum::CreateEnumStmt(s) => {
                self.create(ObjectKind::Type, &s.type_name);
                ("create type", None)
            }
            NodeEnum::CreateRangeStmt(s) => {
                self.create(ObjectKind::Type, &s.type_name);
                ("create type", None)
            }
            NodeEnum::CreateDomainStmt(s) => {
                self.create(ObjectKind::Type, &s.domainname);
                ("create domain", None)
            }
            NodeEnum::CreateConversionStmt(s) => {
                self.create(ObjectKind::Type, &s.conversion_name);
                ("create conversion", None)
            }
            NodeEnum::CreateOpClassStmt(s) => {
                self.create(ObjectKind::Type, &s.opclassname);
                ("create operator class", None)
            }
            NodeEnum::CreateOpFamilyStmt(s) => {
                self.create(ObjectKind::Type, &s.opfamilyname);
                ("create operator family", None)
            }
            NodeEnum::CreateCastStmt(_) => self.plain(Verb::Create, ObjectKind::Type, "cast"),
            NodeEnum::CreateTransformStmt(_) => {
                self.plain(Verb::Create, ObjectKind::Extension, "transform")
            }
            NodeEnum::CreateStatsStmt(s) => {
                for node in &s.relations {
                    match node.node.as_ref() {
                        Some(NodeEnum::RangeVar(name)) => {
                            self.define_named(Verb::Alter, Some(name), Extent::All);
                        }
                        _ => {
                            self.unreadable();
                        }
                    }
                }
                self.counted(s)?;
                self.plain(Verb::Create, ObjectKind::Extension, "statistics")
            }
            other => return self.alteration(other),
        })
    }

    fn alteration(&mut self, kind: &NodeEnum) -> Result<Facts> {
        Ok(match kind {
            NodeEnum::AlterTableStmt(s) => {
                self.define_named(Verb::Alter, s.relation.as_ref(), Extent::All);
                self.dropped_columns(s);
                self.moved_values(s)?;
                self.user_code = true;
                self.altered(s)?;
                self.rebuilt_named(s.relation.as_ref())?;
                (tag("alter", s.objtype), None)
            }
            NodeEnum::RenameStmt(s) => {
                self.renamed(s)?;
                self.rename_object(s)
            }
            NodeEnum::AlterObjectSchemaStmt(s) => {
                self.placed(s);
                self.alter(s.object_type, s.relation.as_ref(), s.object.as_deref());
                (tag("alter", s.object_type), None)
            }
            NodeEnum::AlterOwnerStmt(s) => {
                self.alter(s.object_type, s.relation.as_ref(), s.object.as_deref());
                self.role(Verb::Grant, s.newowner.as_ref());
                (tag("alter", s.object_type), None)
            }
            NodeEnum::AlterObjectDependsStmt(s) => {
                self.alter(s.object_type, s.relation.as_ref(), s.object.as_deref());
                (tag("alter", s.object_type), None)
            }
            NodeEnum::AlterSeqStmt(s) => {
                self.define_named(Verb::Alter, s.sequence.as_ref(), Extent::All);
                ("alter sequence", None)
            }
            NodeEnum::AlterFunctionStmt(s) => {
                let object = s.func.clone().map(NodeEnum::ObjectWithArgs);
                let node = Node { node: object };
                self.define(
                    Verb::Alter,
                    ObjectType::ObjectFunction as i32,
                    Some(&node),
                    Extent::All,
                );
                ("alter function", None)
            }
            NodeEnum::AlterPolicyStmt(s) => {
                self.hang("policy", s.table.as_ref());
                let conditions = [s.qual.as_deref(), s.with_check.as_deref()];
                self.asked_of_rows(s.table.as_ref(), &conditions)?;
                ("alter policy", None)
            }
            NodeEnum::AlterDomainStmt(s) => {
                self.domain_altered(s)?;
                self.alter_parts("alter domain", &s.type_name)
            }
            NodeEnum::AlterTypeStmt(s) => self.alter_parts("alter type", &s.type_name),
            NodeEnum::AlterEnumStmt(s) => self.alter_parts("alter type", &s.type_name),
            NodeEnum::AlterCollationStmt(s) => self.alter_parts("alter collation", &s.collname),
            NodeEnum::AlterOpFamilyStmt(s) => {
                self.alter_parts("alter operator family", &s.opfamilyname)
            }
            NodeEnum::AlterOperatorStmt(_) => self.plain(Verb::Alter, ObjectKind::Type, "operator"),
            NodeEnum::AlterStatsStmt(_) => {
                self.plain(Verb::Alter, ObjectKind::Extension, "statistics")
            }
            NodeEnum::AlterTsdictionaryStmt(_) | NodeEnum::AlterTsconfigurationStmt(_) => {
                self.plain(Verb::Alter, ObjectKind::Extension, "text search")
            }
            other => return self.removal(other),
        })
    }

    fn removal(&mut self, kind: &NodeEnum) -> Result<Facts> {
        Ok(match kind {
            NodeEnum::DropStmt(s) => self.drop_objects(s),
            NodeEnum::CommentStmt(s) => {
                self.define(Verb::Alter, s.objtype, s.object.as_deref(), Extent::One);
                ("comment", None)
            }
            NodeEnum::SecLabelStmt(s) => {
                self.define(Verb::Alter, s.objtype, s.object.as_deref(), Extent::One);
                ("security label", None)
            }
            NodeEnum::GrantStmt(s) => self.grant(s),
            NodeEnum::GrantRoleStmt(s) => {
                self.roles(Verb::Grant, &s.grantee_roles);
                for node in &s.granted_roles {
                    let name = match node.node.as_ref() {
                        Some(NodeEnum::AccessPriv(p)) => p.priv_name.as_str(),
                        _ => "?",
                    };
                    let object = Object::new(ObjectKind::Role, [name]);
                    self.push(Effect::resolved(Verb::Grant, object, Extent::One));
                }
                (if s.is_grant { "grant role" } else { "revoke role" }, None)
            }
            NodeEnum::AlterDefaultPrivilegesStmt(_) => {
                let object = self.object(ObjectKind::Database, []);
                self.push(Effect::resolved(Verb::Grant, object, Extent::All));
                ("alter default privileges", None)
            }
            NodeEnum::DropOwnedStmt(s) => {
                self.roles(Verb::Grant, &s.roles);
                let object = self.object(ObjectKind::Database, []);
                self.effect(Verb::Drop, object, Extent::All, Certainty::Assumed);
                ("drop owned", None)
            }
            NodeEnum::ReassignOwnedStmt(s) => {
                self.roles(Verb::Grant, &s.roles);
                self.role(Verb::Grant, s.newrole.as_ref());
                let object = self.object(ObjectKind::Database, []);
                self.effect(Verb::Alter, object, Extent::All, Certainty::Assumed);
                ("reassign owned", None)
            }
            other => return self.role_statement(other),
        })
    }

    fn role_statement(&mut self, kind: &NodeEnum) -> Result<Facts> {
        Ok(match kind {
            NodeEnum::CreateRoleStmt(s) => {
                let object = Object::new(ObjectKind::Role, [s.role.as_str()]);
                self.push(Effect::resolved(Verb::Create, object, Extent::One));
                ("create role", None)
            }
            NodeEnum::AlterRoleStmt(s) => {
                self.role(Verb::Alter, s.role.as_ref());
                self.role(Verb::Grant, s.role.as_ref());
                ("alter role", None)
            }
            NodeEnum::AlterRoleSetStmt(s) => {
                match &s.role {
                    Some(role) => self.role(Verb::Alter, Some(role)),
                    None => {
                        self.push(Effect::resolved(
                            Verb::Alter,
                            Object::new(ObjectKind::Role, []),
                            Extent::All,
                        ));
                    }
                }
                self.alter_setting(s.setstmt.as_ref().map(|s| s.name.as_str()));
                ("alter role", None)
            }
            NodeEnum::DropRoleStmt(s) => {
                self.roles(Verb::Drop, &s.roles);
                ("drop role", None)
            }
            NodeEnum::CreatedbStmt(s) => self.database("create database", Verb::Create, &s.dbname),
            NodeEnum::DropdbStmt(s) => self.database("drop database", Verb::Drop, &s.dbname),
            NodeEnum::AlterDatabaseStmt(s) => {
                self.database("alter database", Verb::Alter, &s.dbname)
            }
            NodeEnum::AlterDatabaseRefreshCollStmt(s) => {
                self.database("alter database", Verb::Alter, &s.dbname)
            }
            NodeEnum::AlterDatabaseSetStmt(s) => {
                self.alter_setting(s.setstmt.as_ref().map(|s| s.name.as_str()));
                self.database("alter database", Verb::Alter, &s.dbname)
            }
            NodeEnum::AlterSystemStmt(s) => {
                self.alter_setting(s.setstmt.as_ref().map(|s| s.name.as_str()));
                ("alter system", None)
            }
            other => return self.server_statement(other),
        })
    }

    /// An event trigger: whatever is defined from then on runs its function, which may not be named.
    fn fires<'n>(
        &mut self,
        verb: Verb,
        function: &[Node],
        trigger: &'n String,
    ) -> (Verb, &'n String, &'static str) {
        let function = strings(function).unwrap_or_default();
        let (schema, name) = split(&function).unwrap_or((None, trigger));
        let object = self.object(ObjectKind::Routine, [schema.unwrap_or("?"), name]);
        self.execute(object);
        let create = verb == Verb::Create;
        (verb, trigger, if create { "create event trigger" } else { "alter event trigger" })
    }

    /// Extensions, servers, tablespaces, publications, languages: named, and no more is told.
    fn server_statement(&mut self, kind: &NodeEnum) -> Result<Facts> {
        let (verb, name, word) = match kind {
            NodeEnum::CreateExtensionStmt(s) => {
                // Its script runs.
                let object = self.object(ObjectKind::Extension, [s.extname.as_str()]);
                self.execute(object);
                (Verb::Create, &s.extname, "create extension")
            }
            NodeEnum::AlterExtensionStmt(s) => {
                let object = self.object(ObjectKind::Extension, [s.extname.as_str()]);
                self.execute(object);
                (Verb::Alter, &s.extname, "alter extension")
            }
            NodeEnum::AlterExtensionContentsStmt(s) => (Verb::Alter, &s.extname, "alter extension"),
            NodeEnum::CreateFdwStmt(s) => (Verb::Create, &s.fdwname, "create foreign data wrapper"),
            NodeEnum::AlterFdwStmt(s) => (Verb::Alter, &s.fdwname, "alter foreign data wrapper"),
            NodeEnum::CreateForeignServerStmt(s) => (Verb::Create, &s.servername, "create server"),
            NodeEnum::AlterForeignServerStmt(s) => (Verb::Alter, &s.servername, "alter server"),
            NodeEnum::CreateUserMappingStmt(s) => {
                (Verb::Create, &s.servername, "create user mapping")
            }
            NodeEnum::AlterUserMappingStmt(s) => (Verb::Alter, &s.servername, "alter user mapping"),
            NodeEnum::DropUserMappingStmt(s) => (Verb::Drop, &s.servername, "drop user mapping"),
            NodeEnum::ImportForeignSchemaStmt(s) => {
                let schema = self.object(ObjectKind::Schema, [s.local_schema.as_str()]);
                self.push(Effect::resolved(Verb::Create, schema, Extent::Some));
                let remote = Object::new(ObjectKind::Host, [s.server_name.as_str()]);
                self.effect(Verb::TransferIn, remote, Extent::All, Certainty::Assumed);
                (Verb::Alter, &s.server_name, "import foreign schema")
            }
            NodeEnum::CreateTableSpaceStmt(s) => {
                (Verb::Create, &s.tablespacename, "create tablespace")
            }
            NodeEnum::DropTableSpaceStmt(s) => (Verb::Drop, &s.tablespacename, "drop tablespace"),
            NodeEnum::AlterTableSpaceOptionsStmt(s) => {
                (Verb::Alter, &s.tablespacename, "alter tablespace")
            }
            NodeEnum::AlterTableMoveAllStmt(s) => {
                let all = self.object(ObjectKind::Database, []);
                self.push(Effect::resolved(Verb::Alter, all, Extent::All));
                (Verb::Alter, &s.orig_tablespacename, "alter table")
            }
            NodeEnum::CreateAmStmt(s) => (Verb::Create, &s.amname, "create access method"),
            NodeEnum::CreateEventTrigStmt(s) => self.fires(Verb::Create, &s.funcname, &s.trigname),
            NodeEnum::AlterEventTrigStmt(s) => self.fires(Verb::Alter, &[], &s.trigname),
            NodeEnum::CreatePlangStmt(s) => (Verb::Create, &s.plname, "create language"),
            NodeEnum::CreatePublicationStmt(s) => (Verb::Create, &s.pubname, "create publication"),
            NodeEnum::AlterPublicationStmt(s) => (Verb::Alter, &s.pubname, "alter publication"),
            NodeEnum::CreateSubscriptionStmt(s) => {
                self.subscription();
                (Verb::Create, &s.subname, "create subscription")
            }
            NodeEnum::AlterSubscriptionStmt(s) => {
                self.subscription();
                (Verb::Alter, &s.subname, "alter subscription")
            }
            NodeEnum::DropSubscriptionStmt(s) => {
                self.subscription();
                (Verb::Drop, &s.subname, "drop subscription")
            }
            _ => {
                self.unreadable();
                return Ok(("unreadable", Some(super::scope::Shape::unknown())));
            }
        };
        let name = name.clone();
        self.server(verb, &name);
        Ok((word, None))
    }

    /// It reaches another server.
    fn subscription(&mut self) {
        let object = Object::new(ObjectKind::Host, ["?"]);
        self.effect(Verb::TransferIn, object, Extent::All, Certainty::Assumed);
    }

    fn server(&mut self, verb: Verb, name: &str) {
        let object = self.object(ObjectKind::Extension, [name]);
        self.push(Effect::resolved(verb, object, Extent::All));
    }

    /// Dropping a column destroys what is in it.
    fn dropped_columns(&mut self, s: &AlterTableStmt) {
        let Some(name) = s.relation.as_ref() else { return };
        for node in &s.cmds {
            let Some(NodeEnum::AlterTableCmd(cmd)) = node.node.as_ref() else {
                self.unreadable();
                continue;
            };
            // Attaching, detaching and inheriting changes the other table too.
            match cmd.def.as_deref().and_then(|d| d.node.as_ref()) {
                Some(NodeEnum::PartitionCmd(p)) if p.name.is_some() => {
                    self.define_named(Verb::Alter, p.name.as_ref(), Extent::All);
                }
                Some(NodeEnum::RangeVar(other)) => {
                    self.define_named(Verb::Alter, Some(other), Extent::All);
                }
                _ => {}
            }
            if cmd.subtype != AlterTableType::AtDropColumn as i32 {
                continue;
            }
            let relation = self.new_relation(name);
            let candidates = self.candidates(name);
            let mut objects: Vec<Object> =
                candidates.iter().map(|r| self.relation_object(r)).collect();
            if objects.is_empty() {
                objects.push(relation);
            }
            for mut object in objects {
                object.kind = ObjectKind::Column;
                object.path.push(cmd.name.as_str().into());
                self.effect(Verb::Drop, object, Extent::All, Certainty::Resolved);
            }
        }
    }

    /// Rows of a table may be looked at, or written again.
    fn rebuilt_named(&mut self, name: Option<&RangeVar>) -> Result<()> {
        let candidates = name.map(|name| self.candidates(name)).unwrap_or_default();
        self.rebuilt(&candidates)
    }

    /// Changes of definitions by which values come to stand where they did not: rewritten by an
    /// expression, no longer made of other columns, no longer those of a parent.
    fn moved_values(&mut self, s: &AlterTableStmt) -> Result<()> {
        let Some(name) = s.relation.as_ref() else { return Ok(()) };
        for node in &s.cmds {
            let Some(NodeEnum::AlterTableCmd(cmd)) = node.node.as_ref() else { continue };
            let definition = cmd.def.as_deref().and_then(|d| d.node.as_ref());
            match (AlterTableType::try_from(cmd.subtype), definition) {
                (Ok(AlterTableType::AtAlterColumnType), Some(NodeEnum::ColumnDef(column))) => {
                    if let Some(using) = column.raw_default.as_deref() {
                        self.rewritten(name, using)?;
                    }
                }
                (Ok(AlterTableType::AtDropExpression), _) => {
                    let columns = |r: &&Relation| {
                        let own = r.columns.iter().filter(|c| *c.name == *cmd.name);
                        let made = own.flat_map(|c| c.made_of.clone()).collect::<Vec<_>>();
                        made.into_iter().map(|c| of_column(r.oid, c)).collect::<Vec<_>>()
                    };
                    let all: Vec<Origin> = self.candidates(name).iter().flat_map(columns).collect();
                    all.into_iter().for_each(|origin| self.sink(origin));
                }
                (Ok(AlterTableType::AtDetachPartition), Some(NodeEnum::PartitionCmd(part))) => {
                    if let Some(part) = part.name.as_ref() {
                        self.let_go(part)?;
                    }
                }
                (Ok(AlterTableType::AtDropInherit), _) => self.let_go(name)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// An expression over a table's columns whose values are stored.
    fn rewritten(&mut self, name: &RangeVar, using: &Node) -> Result<()> {
        let candidates = self.candidates(name);
        let item = Item::table(self.table(name, &candidates)?);
        self.frames.push(Frame { item, ..Frame::default() });
        let origin = self.expr(using);
        self.frames.pop();
        self.sink(origin?);
        Ok(())
    }

    /// A table whose rows were those of its parents as well.
    fn let_go(&mut self, name: &RangeVar) -> Result<()> {
        let candidates = self.candidates(name);
        let table = self.table(name, &candidates)?;
        self.sink_shape(&table.shape);
        Ok(())
    }

    fn create_table(&mut self, s: &CreateStmt) -> Result<Facts> {
        self.bounded(s)?;
        match s.relation.as_ref() {
            Some(name) => {
                let object = self.new_relation(name);
                self.push(Effect::resolved(Verb::Create, object, Extent::One));
            }
            None => {
                self.unreadable();
            }
        }
        // `LIKE` takes definitions over, for which the server wants the right to read.
        for node in &s.table_elts {
            if let Some(NodeEnum::TableLikeClause(like)) = node.node.as_ref() {
                self.define_named(Verb::Read, like.relation.as_ref(), Extent::Some);
            }
        }
        // A partition or a child changes what its parent holds.
        for node in &s.inh_relations {
            match node.node.as_ref() {
                Some(NodeEnum::RangeVar(name)) => {
                    self.define_named(Verb::Alter, Some(name), Extent::Some);
                }
                _ => {
                    self.unreadable();
                }
            }
        }
        Ok(("create table", None))
    }

    fn create_view(&mut self, s: &ViewStmt) -> Result<Facts> {
        let Some(name) = s.view.as_ref() else {
            self.unreadable();
            return Ok(("create view", None));
        };
        let object = self.new_relation(name);
        self.push(Effect::resolved(Verb::Create, object, Extent::One));
        if s.replace && !self.candidates(name).is_empty() {
            self.define_named(Verb::Alter, Some(name), Extent::All);
        }
        match s.query.as_deref() {
            Some(query) => {
                let shape = self.query_node(query)?;
                self.sink_shape(&shape);
            }
            None => {
                self.unreadable();
            }
        }
        Ok(("create view", None))
    }

    /// Something new on a relation that changes what using it does.
    fn hang(&mut self, word: &str, name: Option<&RangeVar>) {
        self.define_named(Verb::Alter, name, Extent::All);
        let Some(name) = name else { return };
        let mut object = self.new_relation(name);
        object.kind = ObjectKind::Routine;
        object.path.push(word.into());
        self.push(Effect::resolved(Verb::Create, object, Extent::One));
    }

    fn plain(&mut self, verb: Verb, kind: ObjectKind, word: &'static str) -> Facts {
        let object = self.object(kind, [word]);
        self.effect(verb, object, Extent::One, Certainty::Assumed);
        (word, None)
    }

    fn alter(&mut self, word: i32, name: Option<&RangeVar>, node: Option<&Node>) {
        match name {
            Some(name) => self.define_named(Verb::Alter, Some(name), Extent::All),
            None => self.define(Verb::Alter, word, node, Extent::All),
        }
    }

    fn alter_parts(&mut self, kind: &'static str, parts: &[Node]) -> Facts {
        let list = pg_query::protobuf::List { items: parts.to_vec() };
        let node = Node { node: Some(NodeEnum::List(list)) };
        self.define(Verb::Alter, ObjectType::ObjectType as i32, Some(&node), Extent::All);
        (kind, None)
    }

    fn rename_object(&mut self, s: &RenameStmt) -> Facts {
        match (s.relation.as_ref(), s.object.as_deref()) {
            (Some(name), _) => self.define_named(Verb::Alter, Some(name), Extent::All),
            (None, Some(node)) => self.define(Verb::Alter, s.rename_type, Some(node), Extent::All),
            // Roles, databases, schemas and tablespaces are named by a word alone.
            (None, None) => match object_kind(s.rename_type) {
                Some(kind) => {
                    let object = Object::new(kind, [s.subname.as_str()]);
                    self.push(Effect::resolved(Verb::Alter, object, Extent::All));
                }
                None => {
                    self.unreadable();
                }
            },
        }
        (tag("alter", s.rename_type), None)
    }

    fn drop_objects(&mut self, s: &DropStmt) -> Facts {
        for node in &s.objects {
            self.define(Verb::Drop, s.remove_type, Some(node), Extent::All);
        }
        if s.behavior == DropBehavior::DropCascade as i32 {
            // Everything that depends on them goes too, views and foreign keys included.
            let object = self.object(ObjectKind::Database, []);
            self.effect(Verb::Drop, object, Extent::Unknown, Certainty::Assumed);
        }
        (tag("drop", s.remove_type), None)
    }

    fn grant(&mut self, s: &GrantStmt) -> Facts {
        let kind = if s.is_grant { "grant" } else { "revoke" };
        self.roles(Verb::Grant, &s.grantees);
        let in_schema = s.targtype == GrantTargetType::AclTargetAllInSchema as i32;
        for node in &s.objects {
            let word = if in_schema { ObjectType::ObjectSchema as i32 } else { s.objtype };
            let extent = if in_schema { Extent::All } else { Extent::One };
            self.define(Verb::Grant, word, Some(node), extent);
        }
        if s.objects.is_empty() {
            self.unreadable();
        }
        (kind, None)
    }

    fn roles(&mut self, verb: Verb, nodes: &[Node]) {
        for node in nodes {
            match node.node.as_ref() {
                Some(NodeEnum::RoleSpec(role)) => self.role(verb, Some(role)),
                _ => {
                    self.unreadable();
                }
            }
        }
    }

    fn role(&mut self, verb: Verb, role: Option<&RoleSpec>) {
        use pg_query::protobuf::RoleSpecType as Kind;
        let Some(role) = role else {
            self.unreadable();
            return;
        };
        let name = match Kind::try_from(role.roletype) {
            Ok(Kind::RolespecCstring) => role.rolename.as_str(),
            Ok(Kind::RolespecPublic) => "public",
            Ok(Kind::RolespecCurrentRole | Kind::RolespecCurrentUser) => "current_user",
            Ok(Kind::RolespecSessionUser) => "session_user",
            _ => "?",
        };
        let object = Object::new(ObjectKind::Role, [name]);
        self.push(Effect::resolved(verb, object, Extent::One));
    }

    fn database(&mut self, kind: &'static str, verb: Verb, name: &str) -> Facts {
        let object = Object::new(ObjectKind::Database, [name]);
        self.push(Effect::resolved(verb, object, Extent::All));
        (kind, None)
    }

    fn alter_setting(&mut self, name: Option<&str>) {
        let lower = name.filter(|n| !n.is_empty()).map(str::to_ascii_lowercase);
        let object = Object::new(ObjectKind::Setting, lower.as_deref());
        self.push(Effect::resolved(Verb::Alter, object, Extent::One));
    }
}
