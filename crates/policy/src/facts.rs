//! Core's facts as Cedar sees them: entity types, ids, attributes and contexts of the published
//! schema. The only place where names of the schema are built.

use cedar_policy::{
    Context, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression as Value,
};
use portcullis_core::access::Tenure;
use portcullis_core::effect::{Certainty, Extent, Object, ObjectKind, Operation};
use portcullis_core::principal::Principal;
use portcullis_core::verdict::{Approvals, Circumstances, ConnectionFacts};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::str::FromStr as _;

/// The published schema, in Cedar's own syntax: a versioned contract.
pub const SCHEMA: &str = include_str!("../schema/portcullis.cedarschema");

/// Something could not be said in Cedar. Whoever meets it refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unspeakable;

/// The entity types of the schema, parsed once.
#[derive(Debug, Clone)]
pub(crate) struct Types {
    principals: [EntityTypeName; 3],
    group: EntityTypeName,
    environment: EntityTypeName,
    action: EntityTypeName,
    objects: Vec<EntityTypeName>,
}

/// The name of an object kind's entity type.
const fn object_type(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Connection => "Connection",
        ObjectKind::Database => "Database",
        ObjectKind::Schema => "Schema",
        ObjectKind::Relation => "Relation",
        ObjectKind::Column => "Column",
        ObjectKind::Sequence => "Sequence",
        ObjectKind::Routine => "Routine",
        ObjectKind::Type => "Type",
        ObjectKind::Role => "Role",
        ObjectKind::Setting => "Setting",
        ObjectKind::Transaction => "Transaction",
        ObjectKind::Session => "Session",
        ObjectKind::Backend => "Backend",
        ObjectKind::File => "File",
        ObjectKind::Program => "Program",
        ObjectKind::Host => "Host",
        ObjectKind::Channel => "Channel",
        ObjectKind::Extension => "Extension",
        ObjectKind::LargeObject => "LargeObject",
        ObjectKind::Lock => "Lock",
        ObjectKind::Unknown => "Unknown",
    }
}

impl Types {
    pub(crate) fn new() -> Result<Self, Unspeakable> {
        let name = |text| EntityTypeName::from_str(text).map_err(|_| Unspeakable);
        let objects = ObjectKind::ALL.iter().map(|kind| name(object_type(*kind)));
        Ok(Self {
            principals: [name("Person")?, name("Agent")?, name("Workload")?],
            group: name("Group")?,
            environment: name("Environment")?,
            action: name("Action")?,
            objects: objects.collect::<Result<_, _>>()?,
        })
    }

    /// The type of callers of this kind.
    pub(crate) fn principal(&self, principal: &Principal) -> EntityUid {
        let [person, agent, workload] = &self.principals;
        let name = match principal.kind {
            portcullis_core::principal::PrincipalKind::Person => person,
            portcullis_core::principal::PrincipalKind::Agent => agent,
            portcullis_core::principal::PrincipalKind::Workload => workload,
        };
        uid(name, &principal.subject)
    }

    pub(crate) fn group(&self, name: &str) -> EntityUid {
        uid(&self.group, name)
    }

    pub(crate) fn environment(&self, name: &str) -> EntityUid {
        uid(&self.environment, name)
    }

    pub(crate) fn action(&self, word: &str) -> EntityUid {
        uid(&self.action, word)
    }

    pub(crate) fn is_environment(&self, name: &EntityTypeName) -> bool {
        *name == self.environment
    }

    pub(crate) fn is_object(&self, name: &EntityTypeName) -> bool {
        self.objects.contains(name)
    }

    fn object(&self, kind: ObjectKind, id: &str) -> Result<EntityUid, Unspeakable> {
        // INVARIANT: `objects` has one entry per kind, in the order of `ObjectKind::ALL`, which
        // is the order of declaration.
        self.objects.get(kind as usize).map(|name| uid(name, id)).ok_or(Unspeakable)
    }
}

fn uid(name: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))
}

fn text(value: &str) -> Value {
    Value::new_string(value.to_owned())
}

fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> Value {
    Value::new_set(values.into_iter().map(text))
}

/// Appends `name` so that a following `/` can only be a separator.
fn push_escaped(id: &mut String, name: &str) {
    for c in name.chars() {
        match c {
            '%' => id.push_str("%25"),
            '/' => id.push_str("%2F"),
            c => id.push(c),
        }
    }
}

/// The id of the connection: what every object id of a session starts with.
pub(crate) fn connection_id(connection: &ConnectionFacts) -> String {
    let mut id = String::with_capacity(connection.name.len());
    push_escaped(&mut id, &connection.name);
    id
}

fn object_id(connection: &str, path: &[Box<str>]) -> String {
    let mut id = connection.to_owned();
    for name in path {
        id.push('/');
        push_escaped(&mut id, name);
    }
    id
}

/// The caller, in its groups.
pub(crate) fn principal(types: &Types, principal: &Principal) -> Result<Entity, Unspeakable> {
    let mut attributes = HashMap::from([
        ("name".to_owned(), text(&principal.name)),
        ("issuer".to_owned(), text(&principal.issuer)),
    ]);
    let acts = principal.kind != portcullis_core::principal::PrincipalKind::Person;
    if let Some((issuer, person)) = principal.person().filter(|_| acts) {
        attributes.insert("acting_for".to_owned(), text(person));
        attributes.insert("acting_for_issuer".to_owned(), text(issuer));
    }
    let groups = principal.groups.iter().map(|group| types.group(group)).collect();
    Entity::new(types.principal(principal), attributes, groups).map_err(|_| Unspeakable)
}

/// Where a session's objects stand.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The connection's id.
    pub(crate) id: String,
    facts: ConnectionFacts,
    admitted: Vec<String>,
    /// The grant the session stands on.
    pub(crate) grant: Option<GrantFacts>,
}

/// What policy sees of a grant, but for how old it is: that comes with each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantFacts {
    id: String,
    length_minutes: i64,
    reason: String,
}

impl GrantFacts {
    /// Of a grant that is in force.
    #[must_use]
    pub fn of(tenure: &Tenure) -> Self {
        let ask = tenure.ask();
        Self {
            id: tenure.id().to_string(),
            length_minutes: i64::from(ask.seconds.div_ceil(60)),
            reason: ask.reason.clone(),
        }
    }

    fn value(&self, minutes: u32) -> Result<Value, Unspeakable> {
        let fields = [
            ("id".to_owned(), text(&self.id)),
            ("minutes".to_owned(), Value::new_long(minutes.into())),
            ("length".to_owned(), Value::new_long(self.length_minutes)),
            ("reason".to_owned(), text(&self.reason)),
        ];
        Value::new_record(fields).map_err(|_| Unspeakable)
    }
}

/// An object as an entity.
pub(crate) struct Resource {
    pub(crate) entity: Entity,
    /// True where the object's path does not name a thing of its kind: the catalog did not hold
    /// it, and so it stands as `Unknown`.
    pub(crate) unresolved: bool,
}

impl Place {
    pub(crate) fn new(connection: &ConnectionFacts, admitted: &[String]) -> Self {
        let id = connection_id(connection);
        Self { id, facts: connection.clone(), admitted: admitted.to_vec(), grant: None }
    }

    /// The object as an entity, all its ancestors named as parents: ancestors have no attribute
    /// that a policy could reach from a descendant, so they need not be entities themselves.
    pub(crate) fn resource(&self, types: &Types, object: &Object) -> Result<Resource, Unspeakable> {
        let known = self.is_placed(object);
        let kind = if known { object.kind } else { ObjectKind::Unknown };
        let path = object.path.as_slice();
        let mut attributes = HashMap::with_capacity(4);
        let name = path.last().map_or("", |name| name);
        attributes.insert("name".to_owned(), text(name));
        attributes.insert("path".to_owned(), text(&joined(path)));
        let mut uid = types.object(kind, &object_id(&self.id, path))?;
        match (kind, path) {
            (ObjectKind::Connection, _) => {
                uid = types.object(kind, &self.id)?;
                self.connection_attributes(types, &mut attributes);
            }
            (ObjectKind::Relation, [_, schema, _]) => {
                attributes.insert("schema".to_owned(), text(schema));
            }
            (ObjectKind::Column, [_, schema, relation, _]) => {
                let column = column_attributes(schema, relation, true, &BTreeSet::new());
                attributes.extend(column);
            }
            _ => {}
        }
        let parents = self.ancestors(types, kind, path)?;
        let entity = Entity::new(uid, attributes, parents).map_err(|_| Unspeakable)?;
        Ok(Resource { entity, unresolved: !known && object.kind != ObjectKind::Unknown })
    }

    /// A column with what the mask rules say of it.
    pub(crate) fn column(
        &self,
        types: &Types,
        path: [&str; 4],
        sensitive: bool,
        labels: &BTreeSet<String>,
    ) -> Result<Entity, Unspeakable> {
        let [_, schema, relation, column] = path;
        let path = path.map(Box::from);
        let mut attributes = HashMap::from([
            ("name".to_owned(), text(column)),
            ("path".to_owned(), text(&joined(&path))),
        ]);
        attributes.extend(column_attributes(schema, relation, sensitive, labels));
        let uid = types.object(ObjectKind::Column, &object_id(&self.id, &path))?;
        let parents = self.ancestors(types, ObjectKind::Column, &path)?;
        Entity::new(uid, attributes, parents).map_err(|_| Unspeakable)
    }

    fn connection_attributes(&self, types: &Types, attributes: &mut HashMap<String, Value>) {
        let facts = &self.facts;
        let admitted = self.admitted.iter().map(|g| Value::new_entity_uid(types.group(g)));
        attributes.extend([
            ("name".to_owned(), text(&facts.name)),
            ("path".to_owned(), text("")),
            ("environment".to_owned(), text(&facts.environment)),
            ("protocol".to_owned(), text(facts.protocol.as_str())),
            ("database".to_owned(), text(&facts.database)),
            ("role".to_owned(), text(&facts.role)),
            ("admitted".to_owned(), Value::new_set(admitted)),
        ]);
    }

    /// True where the path has the parts an object of its kind must have (`?` stands for a part
    /// that is not known). Anything else is a name that was not found: were it given the type it
    /// claims to have, rules on its schema would silently not apply.
    fn is_placed(&self, object: &Object) -> bool {
        let path = object.path.as_slice();
        let depth = match object.kind {
            ObjectKind::Connection => {
                let here = [&*self.facts.name, &*self.facts.database];
                return matches!(path, []) || matches!(path, [name] if here.contains(&&**name));
            }
            ObjectKind::Database => 1,
            ObjectKind::Schema => 2,
            ObjectKind::Relation => 3,
            ObjectKind::Column => 4,
            _ => return true,
        };
        path.len() == depth && path.iter().all(|name| !matches!(&**name, "" | "?"))
    }

    fn ancestors(
        &self,
        types: &Types,
        kind: ObjectKind,
        path: &[Box<str>],
    ) -> Result<HashSet<EntityUid>, Unspeakable> {
        let mut found = HashSet::with_capacity(5);
        found.insert(types.environment(&self.facts.environment));
        if kind == ObjectKind::Connection {
            return Ok(found);
        }
        found.insert(types.object(ObjectKind::Connection, &self.id)?);
        let above = path.split_last().map_or(&[][..], |(_, above)| above);
        let below_database = match kind {
            ObjectKind::Unknown => false,
            ObjectKind::Schema | ObjectKind::Relation | ObjectKind::Column => true,
            _ => above.first().is_some_and(|first| **first == *self.facts.database),
        };
        if below_database {
            let kinds = [ObjectKind::Database, ObjectKind::Schema, ObjectKind::Relation];
            let levels = if kind == ObjectKind::Column { 3 } else { 2 };
            for (depth, ancestor) in kinds.into_iter().take(levels).enumerate() {
                if let Some(prefix) = above.get(..=depth) {
                    found.insert(types.object(ancestor, &object_id(&self.id, prefix))?);
                }
            }
        }
        Ok(found)
    }
}

fn joined(path: &[Box<str>]) -> String {
    let mut out = String::new();
    for (i, name) in path.iter().enumerate() {
        if i > 0 {
            out.push('/');
        }
        push_escaped(&mut out, name);
    }
    out
}

fn column_attributes(
    schema: &str,
    relation: &str,
    sensitive: bool,
    labels: &BTreeSet<String>,
) -> [(String, Value); 4] {
    [
        ("schema".to_owned(), text(schema)),
        ("relation".to_owned(), text(relation)),
        ("sensitive".to_owned(), Value::new_bool(sensitive)),
        ("labels".to_owned(), texts(labels.iter().map(String::as_str))),
    ]
}

/// The facts of a request that are the same for each of its effects.
pub(crate) struct RequestFacts {
    shared: [(String, Value); 5],
    /// The grant the session stands on; an error where it cannot be said.
    grant: Result<Option<Value>, Unspeakable>,
}

impl RequestFacts {
    pub(crate) fn new(
        place: &Place,
        operation: &Operation,
        circumstances: &Circumstances,
        approvals: &Approvals,
    ) -> Self {
        let mut kinds = operation.kinds.iter();
        // Facts do not tell which effect belongs to which statement, so a request of several
        // kinds has none: a rule about one kind must not pass an effect of another.
        let kind = match kinds.next() {
            Some(first) if kinds.all(|kind| kind == first) => first,
            _ => "",
        };
        let grant = match (&place.grant, circumstances.granted_minutes) {
            (Some(grant), Some(minutes)) => grant.value(minutes).map(Some),
            (None, None) => Ok(None),
            // One half of it is missing: nobody knows which of the two is wrong.
            _ => Err(Unspeakable),
        };
        Self {
            grant,
            shared: [
                ("kind".to_owned(), text(kind)),
                ("kinds".to_owned(), texts(operation.kinds.iter().map(|kind| &**kind))),
                ("in_transaction".to_owned(), Value::new_bool(circumstances.in_transaction)),
                ("protocol".to_owned(), text(place.facts.protocol.as_str())),
                ("approvals".to_owned(), texts(approvals.iter().map(String::as_str))),
            ],
        }
    }

    pub(crate) fn context(
        &self,
        extent: Extent,
        certainty: Certainty,
    ) -> Result<Context, Unspeakable> {
        let own = [
            ("extent".to_owned(), text(extent.as_str())),
            ("certainty".to_owned(), text(certainty.as_str())),
        ];
        let grant = self.grant.clone()?.map(|grant| ("grant".to_owned(), grant));
        let all = self.shared.iter().cloned().chain(own).chain(grant);
        Context::from_pairs(all).map_err(|_| Unspeakable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cedar_policy::{Entities, Schema};
    use portcullis_core::principal::PrincipalKind;
    use portcullis_core::protocol::ProtocolKind;
    use portcullis_core::time::Timestamp;

    fn place() -> Place {
        let facts = ConnectionFacts {
            name: "a/b".to_owned(),
            environment: "production".to_owned(),
            protocol: ProtocolKind::Postgres,
            database: "shop".to_owned(),
            role: "app".to_owned(),
        };
        Place::new(&facts, &["agents".to_owned()])
    }

    #[test]
    fn every_entity_the_judge_builds_conforms_to_the_published_schema() {
        let (schema, warnings) = Schema::from_cedarschema_str(SCHEMA).unwrap();
        assert_eq!(warnings.count(), 0);
        let types = Types::new().unwrap();
        for kind in ObjectKind::ALL {
            for path in
                [&[][..], &["shop"], &["shop", "s"], &["shop", "s", "r"], &["shop", "s", "r", "c"]]
            {
                let object = Object::new(*kind, path.iter().copied());
                let entity = place().resource(&types, &object).unwrap().entity;
                Entities::from_entities([entity], Some(&schema))
                    .unwrap_or_else(|e| panic!("{kind} {path:?}: {e}"));
            }
        }
        let column = place().column(&types, ["d", "s", "r", "c"], true, &BTreeSet::new()).unwrap();
        Entities::from_entities([column], Some(&schema)).unwrap();
        for kind in [PrincipalKind::Person, PrincipalKind::Agent, PrincipalKind::Workload] {
            let caller = Principal {
                kind,
                subject: "s".to_owned(),
                name: "n".to_owned(),
                issuer: "i".to_owned(),
                acting_for: Some("p".to_owned()),
                acting_for_issuer: None,
                email: None,
                groups: BTreeSet::from(["g".to_owned()]),
                token_id: None,
                expires: Timestamp::from_micros(0),
            };
            Entities::from_entities([principal(&types, &caller).unwrap()], Some(&schema)).unwrap();
        }
    }

    #[test]
    fn different_paths_never_share_an_id() {
        let names = ["a", "b", "a/b", "a%2Fb", "%", "/", ""];
        let mut seen = HashMap::new();
        let mut paths: Vec<Vec<Box<str>>> = vec![vec![]];
        for first in names {
            paths.push(vec![first.into()]);
            for second in names {
                paths.push(vec![first.into(), second.into()]);
                paths.extend(names.map(|third| vec![first.into(), second.into(), third.into()]));
            }
        }
        for connection in ["c", "c/a", "c%2Fa"] {
            let mut facts = place().facts;
            facts.name = connection.to_owned();
            for path in &paths {
                let id = object_id(&connection_id(&facts), path);
                let other = seen.insert(id.clone(), (connection, path.clone()));
                assert_eq!(other, None, "{id}");
            }
        }
    }

    #[test]
    fn a_name_without_its_place_is_unknown_whatever_it_claims_to_be() {
        let types = Types::new().unwrap();
        let check = |kind, path: &[&str], expect: bool| {
            let object = Object::new(kind, path.iter().copied());
            let resource = place().resource(&types, &object).unwrap();
            assert_eq!(resource.unresolved, expect, "{kind} {path:?}");
            let unknown = resource.entity.uid().to_string().starts_with("Unknown::");
            assert_eq!(unknown, expect, "{kind} {path:?}");
        };
        check(ObjectKind::Relation, &["shop", "public", "orders"], false);
        check(ObjectKind::Relation, &["public", "orders"], true);
        check(ObjectKind::Relation, &["shop", "", "orders"], true);
        check(ObjectKind::Relation, &["orders"], true);
        check(ObjectKind::Relation, &["shop", "?", "orders"], true);
        check(ObjectKind::Connection, &["shop"], false);
        check(ObjectKind::Connection, &["a/b"], false);
        check(ObjectKind::Connection, &["another"], true);
        check(ObjectKind::Setting, &["role"], false);
    }
}
