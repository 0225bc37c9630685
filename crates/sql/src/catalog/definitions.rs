//! What an operation's names stand for, each definition by a digest of its own: an approval rests on
//! these, so that what is changed while a request is held can be told, and named.

use super::{Catalog, FIRST_USER_OID, Relation};
use portcullis_core::digest::{Digest, Digester};
use portcullis_core::effect::{Object, ObjectKind, Operation, Verb};
use std::collections::{BTreeMap, HashSet};

/// Stands for what has no entry of its own: types, operators, casts, schemas.
const OTHERS: &str = "types, operators and casts";

/// What is reached from an operation.
struct Reach<'c> {
    catalog: &'c Catalog,
    seen: HashSet<u32>,
    open: Vec<u32>,
    /// True where anything may be reached: code of users runs, or a name is not resolved.
    whole: bool,
}

impl Catalog {
    /// The definitions that decide what an operation does, by name.
    ///
    /// From the relations it touches these are all that views, partitions, inheritance and foreign
    /// keys lead to. What code of users reaches is not known, and neither is what a name stands for
    /// that was not found: there it is every definition of the database.
    #[must_use]
    pub fn definitions(&self, operation: &Operation) -> BTreeMap<String, Digest> {
        let mut reach =
            Reach { catalog: self, seen: HashSet::new(), open: Vec::new(), whole: false };
        for effect in &operation.effects {
            reach.whole |= effect.verb == Verb::Execute;
            reach.object(&effect.object);
        }
        for lineage in &operation.lineages {
            reach.whole |= lineage.unresolved;
            lineage.relations.iter().for_each(|oid| reach.add(*oid));
        }
        reach.follow();
        let mut found = BTreeMap::new();
        if reach.whole {
            // Temporary tables are those of whoever read the catalog; the session's own are asked
            // for with its settings.
            let own = |r: &&Relation| !r.schema.starts_with("pg_temp_");
            let relations = self.relations.values().filter(|r| r.oid >= FIRST_USER_OID);
            let relations = relations.filter(own);
            relations.for_each(|r| put(&mut found, r));
            self.put_functions(&mut found);
            found.insert(OTHERS.to_owned(), self.others);
            return found;
        }
        let relations = reach.seen.iter().filter_map(|oid| self.relations.get(oid));
        relations.for_each(|r| put(&mut found, r));
        found
    }

    /// Functions of one name share an entry: which of them is called depends on types.
    fn put_functions(&self, found: &mut BTreeMap<String, Digest>) {
        for (name, oids) in &self.function_names {
            let mut schemas: BTreeMap<&str, Vec<(u32, &str)>> = BTreeMap::new();
            for function in oids.iter().filter_map(|oid| self.functions.get(oid)) {
                let same = schemas.entry(&function.schema).or_default();
                same.push((function.oid, &function.definition));
            }
            for (schema, mut all) in schemas {
                all.sort_unstable();
                let mut digester = Digester::new("portcullis.function");
                for (oid, definition) in all {
                    digester.add(&oid.to_be_bytes());
                    digester.add(definition.as_bytes());
                }
                found.insert(format!("function {schema}.{name}"), digester.finish());
            }
        }
    }
}

impl Reach<'_> {
    fn add(&mut self, oid: u32) {
        if oid >= FIRST_USER_OID && self.seen.insert(oid) {
            self.open.push(oid);
        }
    }

    fn object(&mut self, object: &Object) {
        match object.kind {
            ObjectKind::Relation | ObjectKind::Column | ObjectKind::Sequence => {
                let [_, schema, name, ..] = object.path.as_slice() else {
                    self.whole = true;
                    return;
                };
                let all = self.catalog.relations_named(Some(schema), name);
                self.whole |= all.is_empty();
                all.iter().for_each(|r| self.add(r.oid));
            }
            // They stand for nothing that is defined.
            ObjectKind::Setting | ObjectKind::Transaction | ObjectKind::Session => {}
            _ => self.whole = true,
        }
    }

    fn follow(&mut self) {
        while let Some(oid) = self.open.pop() {
            let Some(relation) = self.catalog.relations.get(&oid) else {
                self.whole = true;
                continue;
            };
            // What a rule does, and what a function that nobody names does, is not in this model.
            let code = relation.triggers.iter().any(|t| !t.of_server) || !relation.code.is_empty();
            self.whole |= relation.rules || code;
            let behind = relation.view.iter().flat_map(|v| v.depends.iter().map(|(oid, _)| *oid));
            behind.for_each(|oid| self.add(oid));
            let related = relation.children.iter().chain(&relation.parents).copied();
            related.for_each(|oid| self.add(oid));
            relation.references.iter().for_each(|r| self.add(r.child));
        }
    }
}

fn put(found: &mut BTreeMap<String, Digest>, relation: &Relation) {
    let view = relation.view.as_ref();
    let model = format!(
        "{} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        relation.oid,
        relation.kind,
        relation.columns,
        relation.rules,
        relation.triggers,
        relation.children,
        relation.parents,
        relation.references,
        relation.code,
    );
    let digest = Digester::new("portcullis.relation")
        .part(relation.definition.as_bytes())
        .part(model.as_bytes())
        .part(view.map_or("", |v| &v.text).as_bytes())
        .finish();
    let kind = if view.is_some() { "view" } else { "table" };
    found.insert(format!("{kind} {}.{}", relation.schema, relation.name), digest);
}
