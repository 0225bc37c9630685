//! What a definition statement is about: the objects named in it.

use super::Analyzer;
use super::names::{split, string, strings};
use pg_query::NodeEnum;
use pg_query::protobuf::{Node, ObjectType, RangeVar};
use portcullis_core::effect::{Certainty, Extent, Object, ObjectKind, Verb};

/// True for the words by which anything that goes by the name of a table is renamed: any of them may be
/// used for some of the others (`RenameRelation`, PostgreSQL `src/backend/commands/tablecmds.c`).
pub(super) fn is_relation_word(word: ObjectType) -> bool {
    matches!(
        word,
        ObjectType::ObjectTable
            | ObjectType::ObjectView
            | ObjectType::ObjectMatview
            | ObjectType::ObjectForeignTable
            | ObjectType::ObjectSequence
            | ObjectType::ObjectIndex
    )
}

/// The kind of a thing by the word used for it; `None` for words that are not known.
pub(super) fn object_kind(word: i32) -> Option<ObjectKind> {
    use ObjectType as T;
    Some(match ObjectType::try_from(word).ok()? {
        T::ObjectTable
        | T::ObjectView
        | T::ObjectMatview
        | T::ObjectForeignTable
        | T::ObjectIndex
        | T::ObjectColumn
        | T::ObjectDefault
        | T::ObjectTabconstraint
        | T::ObjectRule
        | T::ObjectPolicy
        | T::ObjectTrigger
        | T::ObjectStatisticExt => ObjectKind::Relation,
        T::ObjectSequence => ObjectKind::Sequence,
        T::ObjectFunction | T::ObjectProcedure | T::ObjectRoutine | T::ObjectAggregate => {
            ObjectKind::Routine
        }
        T::ObjectType
        | T::ObjectDomain
        | T::ObjectDomconstraint
        | T::ObjectAttribute
        | T::ObjectOperator
        | T::ObjectOpclass
        | T::ObjectOpfamily
        | T::ObjectAmop
        | T::ObjectAmproc
        | T::ObjectCast
        | T::ObjectCollation
        | T::ObjectConversion => ObjectKind::Type,
        T::ObjectSchema => ObjectKind::Schema,
        T::ObjectDatabase => ObjectKind::Database,
        T::ObjectRole | T::ObjectDefacl => ObjectKind::Role,
        T::ObjectLargeobject => ObjectKind::LargeObject,
        T::ObjectParameterAcl => ObjectKind::Setting,
        T::ObjectAccessMethod
        | T::ObjectEventTrigger
        | T::ObjectExtension
        | T::ObjectFdw
        | T::ObjectForeignServer
        | T::ObjectLanguage
        | T::ObjectPublication
        | T::ObjectPublicationNamespace
        | T::ObjectPublicationRel
        | T::ObjectSubscription
        | T::ObjectTablespace
        | T::ObjectTransform
        | T::ObjectTsconfiguration
        | T::ObjectTsdictionary
        | T::ObjectTsparser
        | T::ObjectTstemplate
        | T::ObjectUserMapping => ObjectKind::Extension,
        T::Undefined => return None,
    })
}

/// True for things that hang on a relation and are named after it.
fn hangs_on_relation(word: i32) -> bool {
    matches!(
        ObjectType::try_from(word),
        Ok(ObjectType::ObjectRule
            | ObjectType::ObjectPolicy
            | ObjectType::ObjectTrigger
            | ObjectType::ObjectColumn
            | ObjectType::ObjectTabconstraint
            | ObjectType::ObjectDefault)
    )
}

impl Analyzer<'_> {
    /// An effect on the thing that `node` names, of the kind that `word` says.
    pub(super) fn define(&mut self, verb: Verb, word: i32, node: Option<&Node>, extent: Extent) {
        let Some(kind) = object_kind(word) else {
            self.unreadable();
            return;
        };
        let Some(mut parts) = node.and_then(name_parts) else {
            // Casts, transforms and the like are named by types.
            let object = self.object(kind, ["?"]);
            self.effect(verb, object, extent, Certainty::Assumed);
            return;
        };
        if hangs_on_relation(word) && parts.len() > 1 {
            parts.pop();
            self.define_relation(Verb::Alter, kind, &parts, Extent::All);
            return;
        }
        match kind {
            ObjectKind::Relation | ObjectKind::Sequence => {
                self.define_relation(verb, kind, &parts, extent);
            }
            ObjectKind::Routine => self.define_routine(verb, &parts, extent),
            ObjectKind::Role | ObjectKind::Setting | ObjectKind::Database => {
                let object = Object::new(kind, parts.iter().map(String::as_str));
                self.effect(verb, object, extent, Certainty::Resolved);
            }
            _ => {
                let object = self.object(kind, parts.iter().map(String::as_str));
                self.effect(verb, object, extent, Certainty::Resolved);
            }
        }
    }

    fn define_relation(&mut self, verb: Verb, kind: ObjectKind, parts: &[String], extent: Extent) {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let Some((schema, name)) = split(&parts) else {
            self.unreadable();
            return;
        };
        let found = self.catalog.relations_named(schema, name);
        let certainty = if found.len() == 1 { Certainty::Resolved } else { Certainty::Assumed };
        for relation in &found {
            self.effect(verb, self.relation_object(relation), extent, certainty);
        }
        if found.is_empty() {
            // Indexes and the like are not in the catalog.
            let object = self.object(kind, [schema.unwrap_or("?"), name]);
            self.effect(verb, object, extent, Certainty::Assumed);
        }
    }

    fn define_routine(&mut self, verb: Verb, parts: &[String], extent: Extent) {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let Some((schema, name)) = split(&parts) else {
            self.unreadable();
            return;
        };
        let found = self.catalog.functions_named(schema, name);
        let certainty = if found.len() == 1 { Certainty::Resolved } else { Certainty::Assumed };
        for function in &found {
            let object = self.object(ObjectKind::Routine, [&*function.schema, name]);
            self.effect(verb, object, extent, certainty);
        }
        if found.is_empty() {
            let object = self.object(ObjectKind::Routine, [schema.unwrap_or("?"), name]);
            self.effect(verb, object, extent, Certainty::Assumed);
        }
    }

    /// An effect on a relation, or on a name that does not resolve.
    pub(super) fn define_named(&mut self, verb: Verb, name: Option<&RangeVar>, extent: Extent) {
        match name {
            Some(name) => {
                let candidates = self.candidates(name);
                self.effect_on(verb, name, &candidates, extent);
            }
            None => {
                self.unreadable();
            }
        }
    }

    /// A new thing by name parts.
    pub(super) fn create(&mut self, kind: ObjectKind, parts: &[Node]) {
        match strings(parts).as_deref().and_then(split) {
            Some((schema, name)) => {
                let object = self.object(kind, [schema.unwrap_or("?"), name]);
                self.effect(Verb::Create, object, Extent::One, Certainty::Resolved);
            }
            None => {
                self.unreadable();
            }
        }
    }

    /// Where a new relation will stand.
    pub(super) fn new_relation(&self, name: &RangeVar) -> Object {
        let schema = super::resolve::written_schema(name).unwrap_or("?");
        self.object(ObjectKind::Relation, [schema, name.relname.as_str()])
    }
}

/// The name parts in whatever form the grammar gives them.
fn name_parts(node: &Node) -> Option<Vec<String>> {
    let owned = |parts: Vec<&str>| parts.into_iter().map(str::to_owned).collect();
    match node.node.as_ref()? {
        NodeEnum::String(s) => Some(vec![s.sval.clone()]),
        NodeEnum::List(list) => match list.items.as_slice() {
            // A domain's constraint: the type, then the name.
            [first, ..] if string(first).is_none() => name_parts(first),
            items => strings(items).map(owned),
        },
        NodeEnum::TypeName(t) => strings(&t.names).map(owned),
        NodeEnum::ObjectWithArgs(o) => strings(&o.objname).map(owned),
        NodeEnum::RangeVar(name) => {
            let schema = Some(&name.schemaname).filter(|s| !s.is_empty());
            Some(schema.into_iter().chain([&name.relname]).cloned().collect())
        }
        NodeEnum::RoleSpec(role) => Some(vec![role.rolename.clone()]),
        NodeEnum::Integer(i) => Some(vec![i.ival.to_string()]),
        NodeEnum::Float(f) => Some(vec![f.fval.clone()]),
        _ => None,
    }
}

/// The server's command tag, in lower case, for `ALTER` and `DROP` of a kind of thing.
pub(super) fn tag(verb: &'static str, word: i32) -> &'static str {
    use ObjectType as T;
    let word = ObjectType::try_from(word).unwrap_or_default();
    match (verb, word) {
        ("alter", T::ObjectTable | T::ObjectColumn | T::ObjectTabconstraint) => "alter table",
        ("alter", T::ObjectView) => "alter view",
        ("alter", T::ObjectMatview) => "alter materialized view",
        ("alter", T::ObjectForeignTable) => "alter foreign table",
        ("alter", T::ObjectIndex) => "alter index",
        ("alter", T::ObjectSequence) => "alter sequence",
        ("alter", T::ObjectFunction) => "alter function",
        ("alter", T::ObjectProcedure) => "alter procedure",
        ("alter", T::ObjectRoutine) => "alter routine",
        ("alter", T::ObjectAggregate) => "alter aggregate",
        ("alter", T::ObjectSchema) => "alter schema",
        ("alter", T::ObjectDatabase) => "alter database",
        ("alter", T::ObjectRole) => "alter role",
        ("alter", T::ObjectType) => "alter type",
        ("alter", T::ObjectDomain) => "alter domain",
        ("alter", T::ObjectTrigger) => "alter trigger",
        ("alter", T::ObjectRule) => "alter rule",
        ("alter", T::ObjectPolicy) => "alter policy",
        ("alter", T::ObjectExtension) => "alter extension",
        ("drop", T::ObjectTable) => "drop table",
        ("drop", T::ObjectView) => "drop view",
        ("drop", T::ObjectMatview) => "drop materialized view",
        ("drop", T::ObjectForeignTable) => "drop foreign table",
        ("drop", T::ObjectIndex) => "drop index",
        ("drop", T::ObjectSequence) => "drop sequence",
        ("drop", T::ObjectFunction) => "drop function",
        ("drop", T::ObjectProcedure) => "drop procedure",
        ("drop", T::ObjectRoutine) => "drop routine",
        ("drop", T::ObjectAggregate) => "drop aggregate",
        ("drop", T::ObjectSchema) => "drop schema",
        ("drop", T::ObjectDatabase) => "drop database",
        ("drop", T::ObjectRole) => "drop role",
        ("drop", T::ObjectType) => "drop type",
        ("drop", T::ObjectDomain) => "drop domain",
        ("drop", T::ObjectTrigger) => "drop trigger",
        ("drop", T::ObjectRule) => "drop rule",
        ("drop", T::ObjectPolicy) => "drop policy",
        ("drop", T::ObjectExtension) => "drop extension",
        _ => verb,
    }
}
