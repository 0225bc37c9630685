//! What an operation's names stand for, each definition by a digest of its own: an approval rests on
//! these, so that what is changed while a request is held can be told, and named.

use super::load::digests;
use super::{Catalog, CatalogError, FIRST_USER_OID, Relation};
use portcullis_core::digest::{Digest, Digester};
use portcullis_core::effect::{Object, ObjectKind, Operation, Verb};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// What is asked of the target beside [`super::QUERIES`] where an approval is to rest on the answers.
/// It takes longer than all of those.
pub const DIGESTS: [&str; 2] = [
    // 0: what functions of users are, text and settings included, as a hash; costs left out
    "SELECT p.oid, pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to( \
            pg_catalog.jsonb_delete(pg_catalog.jsonb_delete(pg_catalog.jsonb_delete( \
              pg_catalog.to_jsonb(p), 'proacl'), 'procost'), 'prorows')::pg_catalog.text, \
            'UTF8')), 'hex') \
     FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
     WHERE p.oid >= 16384 OR n.nspname NOT IN ('pg_catalog', 'information_schema') \
     ORDER BY p.oid",
    // 1: what relations of users are, as a hash: columns, defaults, constraints, triggers, rules,
    // policies, indexes
    "SELECT c.oid, pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to( \
       pg_catalog.jsonb_build_array( \
         c.relowner, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.reloptions, \
         c.relam, c.relpartbound, \
         (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(a.attnum, a.attname, \
             a.atttypid, a.atttypmod, a.attnotnull, a.attidentity, a.attgenerated, \
             a.attcollation) ORDER BY a.attnum) \
          FROM pg_catalog.pg_attribute a \
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), \
         (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(d.adnum, d.adbin) \
             ORDER BY d.adnum) FROM pg_catalog.pg_attrdef d WHERE d.adrelid = c.oid), \
         (SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(k) ORDER BY k.oid) \
          FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid), \
         (SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(t) ORDER BY t.oid) \
          FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid), \
         (SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(r) ORDER BY r.oid) \
          FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid), \
         (SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(p) ORDER BY p.oid) \
          FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid), \
         (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(i.indexrelid, i.indisunique, \
             i.indimmediate, i.indisvalid, i.indkey, i.indexprs, i.indpred) ORDER BY i.indexrelid) \
          FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid) \
       )::pg_catalog.text, 'UTF8')), 'hex') \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r','v','m','f','p','S','c') AND n.nspname !~ '^pg_toast' \
       AND c.oid >= 16384 AND NOT pg_catalog.pg_is_other_temp_schema(n.oid) ORDER BY c.oid",
];

/// A catalog with a digest of each definition of users, of the same reading: only so can definitions
/// be compared with those of another reading.
#[derive(Debug)]
pub struct Detailed {
    catalog: Arc<Catalog>,
    functions: HashMap<u32, Box<str>>,
    relations: HashMap<u32, Box<str>>,
}

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

impl Detailed {
    /// The catalog of a reading, with the answers to [`DIGESTS`] in the same.
    ///
    /// # Errors
    /// [`CatalogError`] where the rows are not what was asked.
    pub fn new(
        catalog: Arc<Catalog>,
        rows: &[Vec<Vec<Option<String>>>],
    ) -> Result<Self, CatalogError> {
        let [functions, relations] = rows else {
            return Err(CatalogError::Results { got: rows.len() });
        };
        let (functions, relations) = (digests(functions)?, digests(relations)?);
        Ok(Self { catalog, functions, relations })
    }

    /// The catalog of the reading.
    #[must_use]
    pub const fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// The definitions that decide what an operation does, by name. `None` where one of them was
    /// gone before its digest was read.
    ///
    /// From the relations it touches these are all that views, partitions, inheritance and foreign
    /// keys lead to. What code of users reaches is not known, and neither is what a name stands for
    /// that was not found: there it is every definition of the database.
    #[must_use]
    pub fn definitions(&self, operation: &Operation) -> Option<BTreeMap<String, Digest>> {
        let catalog = &*self.catalog;
        let mut reach = Reach { catalog, seen: HashSet::new(), open: Vec::new(), whole: false };
        for effect in &operation.effects {
            // A function that is looked through is read by its name alone, and so is what it leads to.
            let function = effect.verb == Verb::Read && effect.object.kind == ObjectKind::Routine;
            reach.whole |= effect.verb == Verb::Execute || function;
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
            let relations = catalog.relations.values().filter(|r| r.oid >= FIRST_USER_OID);
            for relation in relations.filter(own) {
                self.put(&mut found, relation)?;
            }
            self.put_functions(&mut found)?;
            found.insert(OTHERS.to_owned(), catalog.others);
            return Some(found);
        }
        for relation in reach.seen.iter().filter_map(|oid| catalog.relations.get(oid)) {
            self.put(&mut found, relation)?;
        }
        Some(found)
    }

    /// Functions of one name share an entry: which of them is called depends on types.
    fn put_functions(&self, found: &mut BTreeMap<String, Digest>) -> Option<()> {
        for (name, oids) in &self.catalog.function_names {
            let mut schemas: BTreeMap<&str, Vec<(u32, &str)>> = BTreeMap::new();
            for function in oids.iter().filter_map(|oid| self.catalog.functions.get(oid)) {
                let same = schemas.entry(&function.schema).or_default();
                same.push((function.oid, self.functions.get(&function.oid)?));
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
        Some(())
    }

    fn put(&self, found: &mut BTreeMap<String, Digest>, relation: &Relation) -> Option<()> {
        let definition = self.relations.get(&relation.oid)?;
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
            .part(definition.as_bytes())
            .part(model.as_bytes())
            .part(view.map_or("", |v| &v.text).as_bytes())
            .finish();
        let kind = if view.is_some() { "view" } else { "table" };
        found.insert(format!("{kind} {}.{}", relation.schema, relation.name), digest);
        Some(())
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
