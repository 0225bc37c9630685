//! What facts claim, and whether a claim covers what the server shows.
//!
//! * A relation that is read is covered by any effect on it: whoever may change rows by a condition
//!   may look at them. One of the system may also stand among the relations of a lineage, since
//!   those of the system stand for themselves behind its views. The effect may be on what the
//!   relation is a part of: a partition and an inheriting table are covered by their parents, an
//!   index and a TOAST table by their table.
//! * Rows inserted, updated and deleted are covered by that verb likewise. An update of a partition
//!   may move rows, so it covers the other two.
//! * Checks of foreign keys lock rows of the other table (`RowShareLock`), and show of them what the
//!   constraint says anyway: they are covered by a change of either. Cascades are not.
//! * A sequence that a column's default advances is covered by the insert.
//! * Code of users (`execute`) covers what it does itself, and nothing of what the statement says:
//!   that is in the tree which the server makes of it.

use super::watch::{Difference, Lock, Named, Tree};
use portcullis_core::effect::{Effect, ObjectKind, Verb};
use portcullis_core::mask::Origin;
use portcullis_sql::catalog::{Catalog, FIRST_USER_OID, RelationKind, is_system_schema};
use portcullis_sql::statement::{NameChange, Statement, TransactionChange};
use std::collections::{BTreeMap, BTreeSet};

/// Large objects and their owners (`pg_largeobject`, `pg_largeobject_metadata`).
const LARGE_OBJECTS: [u32; 2] = [2613, 2995];
/// What of the system is not for everybody to read: roles with their passwords, statistics of
/// columns, settings of roles and databases, mappings, subscriptions.
const PRIVATE: [u32; 6] = [1260, 2619, 2964, 1418, 6100, 3429];
/// `ACL_INSERT` and so on.
const PRIVILEGES: [(u32, Verb); 3] = [(1, Verb::Insert), (4, Verb::Update), (8, Verb::Delete)];

/// What is claimed for a text.
#[derive(Default)]
pub(crate) struct Claims {
    pub(crate) effects: Vec<Effect>,
    relations: BTreeSet<u32>,
    /// Where the columns of the answer come from, where the text is one statement.
    pub(crate) outputs: Option<Vec<Origin>>,
    /// True where it ends a transaction, or begins one.
    pub(crate) ends: bool,
    /// True where it has a statement planned: the table it would change is locked for that, which counts
    /// no change unless it runs.
    plans: bool,
    /// True where the text is not read, or not to its end: then anything may happen.
    pub(crate) everything: bool,
}

/// What a name of the session stands for.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) prepared: BTreeMap<String, String>,
    pub(crate) cursors: BTreeMap<String, String>,
    /// Effects claimed since the last commit, some of which may come about there.
    pub(crate) put_off: Vec<Effect>,
}

impl Claims {
    /// Counts a statement in. `behind`: the texts of what is prepared and declared, to be read with
    /// definitions as they are now.
    pub(crate) fn add(
        &mut self,
        statement: &Statement,
        find: &dyn Fn(&NameChange) -> Option<Self>,
    ) {
        self.everything |= statement.effects.iter().any(|e| e.verb == Verb::Unknown);
        self.ends |= statement.transaction != TransactionChange::None;
        self.plans |= &*statement.kind == "explain";
        self.effects.extend(statement.effects.iter().cloned());
        self.relations.extend(statement.lineage.iter().flat_map(|l| l.relations.iter()));
        match &statement.names {
            NameChange::Prepare { inner, .. } | NameChange::Declare { inner, .. } => {
                self.add(inner, find);
            }
            names @ (NameChange::Execute { .. } | NameChange::Fetch { .. }) => match find(names) {
                Some(behind) => self.merge(behind),
                None => self.everything = true,
            },
            _ => {}
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.effects.extend(other.effects);
        self.relations.extend(other.relations);
        self.everything |= other.everything;
    }

    /// True where code of users runs, which may do anything.
    pub(crate) fn runs_code(&self) -> bool {
        self.effects.iter().any(|e| e.verb == Verb::Execute)
    }

    fn runs_rules(&self) -> bool {
        let rules = |e: &&Effect| e.object.path.get(3).is_some_and(|last| &**last == "rules");
        self.effects.iter().any(|e| e.verb == Verb::Execute && rules(&e))
    }

    fn any(&self, fits: impl Fn(&Effect) -> bool) -> bool {
        self.effects.iter().any(fits)
    }
}

fn defines(e: &Effect) -> bool {
    matches!(e.verb, Verb::Create | Verb::Alter | Verb::Drop | Verb::Grant | Verb::Truncate)
}

/// Claims, and what names stand for.
pub(crate) struct Check<'c> {
    pub(crate) claims: &'c Claims,
    pub(crate) catalog: &'c Catalog,
    /// Relations as they were and are, by number.
    pub(crate) names: &'c BTreeMap<u32, Named>,
    /// The server's own.
    pub(crate) own: &'c BTreeMap<u32, Named>,
}

impl Check<'_> {
    fn named(&self, oid: u32) -> Option<&Named> {
        self.names.get(&oid).or_else(|| self.own.get(&oid))
    }

    /// The relation that this one is a part of: its table.
    fn table(&self, oid: u32) -> u32 {
        self.named(oid).map_or(oid, |named| named.of)
    }

    fn is_sequence(&self, oid: u32) -> bool {
        self.catalog.relation(oid).is_some_and(|r| r.kind == RelationKind::Sequence)
    }

    pub(crate) fn name(&self, oid: u32) -> String {
        match (self.catalog.relation(oid), self.named(oid)) {
            (Some(r), _) => format!("{}.{}", r.schema, r.name),
            (None, Some(named)) => format!("{}.{}", named.schema, named.name),
            _ => format!("relation {oid}"),
        }
    }

    /// True where an effect names it. A schema that is not told is any.
    fn names(&self, effect: &Effect, oid: u32) -> bool {
        let kind = matches!(
            effect.object.kind,
            ObjectKind::Relation | ObjectKind::Sequence | ObjectKind::Lock | ObjectKind::Column
        ) || matches!(effect.object.kind, ObjectKind::Type)
            && effect.verb != Verb::Execute;
        let (schema, name) = match (self.catalog.relation(oid), self.named(oid)) {
            (Some(r), _) => (&*r.schema, &*r.name),
            (None, Some(named)) => (named.schema.as_str(), named.name.as_str()),
            _ => return false,
        };
        let (in_schema, named) = match effect.object.path.as_slice() {
            [_, in_schema, named, ..] => (in_schema, named),
            // A sequence that only the run names.
            [_, unknown] => {
                let sequence = effect.object.kind == ObjectKind::Sequence;
                return sequence && &**unknown == "?" && self.is_sequence(oid);
            }
            _ => return false,
        };
        let temporary = &**in_schema == "pg_temp" && schema.starts_with("pg_temp_");
        kind && &**named == name
            && (matches!(&**in_schema, "?") || &**in_schema == schema || temporary)
    }

    /// It, and what it is a partition of or inherits from.
    fn line(&self, oid: u32) -> BTreeSet<u32> {
        let mut line = BTreeSet::new();
        let mut open = vec![self.table(oid)];
        while let Some(next) = open.pop() {
            if line.insert(next) {
                let parents = self.catalog.relation(next).map(|r| r.parents.clone());
                open.extend(parents.unwrap_or_default());
            }
        }
        line
    }

    fn claimed(&self, oid: u32, verbs: impl Fn(Verb) -> bool) -> bool {
        let line = self.line(oid);
        self.claims.any(|e| verbs(e.verb) && line.iter().any(|oid| self.names(e, *oid)))
    }

    /// A view of the system, which stands for whatever is behind it.
    fn by_view_of_system(&self, table: u32) -> bool {
        let view = |oid: &u32| {
            let relation = self.catalog.relation(*oid);
            relation.is_some_and(|r| r.is_system() && r.kind == RelationKind::View)
        };
        table < FIRST_USER_OID && self.claims.relations.iter().any(view)
    }

    fn read(&self, oid: u32) -> bool {
        let table = self.table(oid);
        let system = self.by_view_of_system(table)
            || table < FIRST_USER_OID && self.claims.relations.contains(&table);
        let large = LARGE_OBJECTS.contains(&table)
            && self.claims.any(|e| e.object.kind == ObjectKind::LargeObject);
        system || large || self.claimed(oid, |_| true)
    }

    fn written(&self, oid: u32, verb: Verb) -> bool {
        let part = self.line(oid).len() > 1;
        let fits = |claimed: Verb| match (verb, claimed) {
            (_, Verb::Create | Verb::Alter | Verb::Drop | Verb::Truncate) => true,
            (Verb::Insert | Verb::Delete, Verb::Update) if part => true,
            // It is filled anew.
            (Verb::Insert | Verb::Delete, Verb::Update) => self
                .catalog
                .relation(self.table(oid))
                .is_some_and(|r| r.kind == RelationKind::MaterializedView),
            (wanted, claimed) => wanted == claimed,
        };
        self.claimed(oid, fits)
    }

    fn changed(&self, oid: u32) -> bool {
        let large = LARGE_OBJECTS.contains(&self.table(oid))
            // Reading one locks as writing does.
            && self.claims.any(|e| e.object.kind == ObjectKind::LargeObject);
        large
            || self.by_larger(oid)
            || self.claimed(oid, |verb| !matches!(verb, Verb::Read | Verb::Execute))
    }

    /// What it stands in is defined or dropped: its schema, or by CASCADE the database. Of the
    /// server's own relations, what they say of roles and the like.
    fn by_larger(&self, oid: u32) -> bool {
        let Some(named) = self.named(self.table(oid)) else {
            // It is there for the statement's own time.
            return true;
        };
        let private = PRIVATE.contains(&self.table(oid));
        self.claims.any(|e| match e.object.kind {
            _ if !defines(e) => false,
            ObjectKind::Database => e.verb == Verb::Drop || private,
            ObjectKind::Schema => e.object.path.get(1).is_some_and(|s| **s == *named.schema),
            ObjectKind::Role | ObjectKind::Setting => private,
            _ => false,
        })
    }

    /// The other table of a foreign key of a table that is changed.
    fn by_foreign_key(&self, oid: u32) -> bool {
        let changed = |oid: u32| self.changed(oid);
        let Some(relation) = self.catalog.relation(self.table(oid)) else { return false };
        let children = relation.references.iter().any(|r| changed(r.child));
        let parents = self.catalog.relations().any(|parent| {
            parent.references.iter().any(|r| r.child == relation.oid) && changed(parent.oid)
        });
        children || parents
    }

    /// A sequence of which a default takes values for a table that is inserted into.
    fn by_default(&self, oid: u32, sequences: &BTreeSet<(u32, u32)>) -> bool {
        let of = sequences.iter().filter(|(sequence, _)| *sequence == oid);
        of.map(|(_, table)| *table)
            .any(|table| self.written(table, Verb::Insert) || self.written(table, Verb::Update))
    }

    /// By its name, or as that which makes values of a type.
    fn called(&self, oid: u32) -> bool {
        let made = |e: &Effect| e.verb == Verb::Execute && e.object.kind == ObjectKind::Type;
        if self.claims.any(made) {
            return true;
        }
        let Some(f) = self.catalog.function(oid) else { return self.claims.runs_code() };
        f.is_tame_overload()
            || self.claims.any(|e| {
                let calls = e.verb == Verb::Execute
                    || e.verb == Verb::Read && e.object.kind == ObjectKind::Routine;
                calls
                    && matches!(e.object.path.as_slice(), [_, schema, name, ..]
                        if (&**schema == "?" || **schema == *f.schema) && **name == *f.name)
            })
    }

    fn set(&self, name: &str) -> bool {
        let name = &*name.to_ascii_lowercase();
        self.claims.any(|e| match e.object.kind {
            ObjectKind::Setting => {
                let named = |n: &str| {
                    n == name
                        || n.strip_prefix("default_") == Some(name)
                        || n == "?"
                        || n == "session characteristics" && name.contains("transaction_")
                };
                e.verb != Verb::Read && e.object.path.first().is_none_or(|n| named(n))
            }
            ObjectKind::Role => matches!(name, "role" | "session_authorization" | "is_superuser"),
            // What was set for the transaction ends with it.
            ObjectKind::Transaction => self.claims.ends || name.contains("transaction_"),
            _ => false,
        })
    }

    /// What the text itself says that no claim covers, whatever code it runs.
    pub(crate) fn of_text(&self, tree: &Tree, operators: &BTreeMap<u32, u32>) -> Vec<String> {
        // What rules put in is theirs.
        if self.claims.everything || self.claims.runs_rules() {
            return Vec::new();
        }
        let mut missing = Vec::new();
        for (oid, privileges) in &tree.relations {
            if !self.read(*oid) {
                missing.push(format!("read {}", self.name(*oid)));
            }
            // Locking rows needs the privilege to update.
            let locks = self.claims.any(|e| e.object.kind == ObjectKind::Lock);
            for (_, verb) in PRIVILEGES.into_iter().filter(|(p, _)| privileges & p != 0) {
                let locked = locks && verb == Verb::Update && self.claimed(*oid, |_| true);
                if !locked && !self.written(*oid, verb) {
                    missing.push(format!("{verb} {}", self.name(*oid)));
                }
            }
        }
        let of_operators = tree.operators.iter().filter_map(|oid| operators.get(oid));
        for oid in tree.functions.iter().chain(of_operators) {
            if *oid >= FIRST_USER_OID && !self.called(*oid) {
                missing.push(format!("call {}", self.function(*oid)));
            }
        }
        missing
    }

    pub(crate) fn function(&self, oid: u32) -> String {
        let f = self.catalog.function(oid);
        f.map_or_else(|| format!("function {oid}"), |f| format!("{}.{}", f.schema, f.name))
    }

    /// What happened that no claim covers.
    pub(crate) fn of_run(
        &self,
        seen: &Difference,
        locks: &BTreeSet<Lock>,
        sequences: &BTreeSet<(u32, u32)>,
        planned: bool,
    ) -> Vec<String> {
        if self.claims.everything || self.claims.runs_code() {
            return Vec::new();
        }
        let mut missing = Vec::new();
        for (oid, more) in &seen.counts {
            let verbs = [Verb::Read, Verb::Insert, Verb::Update, Verb::Delete];
            for verb in verbs.into_iter().zip(more).filter(|(_, more)| **more).map(|(v, _)| v) {
                let covered = match verb {
                    Verb::Read => self.read(*oid) || self.by_foreign_key(*oid),
                    verb => self.written(*oid, verb) || self.by_default(*oid, sequences),
                };
                if !covered {
                    missing.push(format!("{verb} {}", self.name(self.table(*oid))));
                }
            }
        }
        // What a query reads is in its tree; functions of the server lock what they describe.
        let looks = |lock: &Lock| matches!(lock, Lock::Relation(_, m) if m == "AccessShareLock");
        for lock in locks.iter().filter(|lock| !planned || !looks(lock)) {
            missing.extend(self.lock(lock, sequences));
        }
        let calls = seen.called.iter().filter(|oid| !self.called(**oid));
        missing.extend(calls.map(|oid| format!("call {}", self.function(*oid))));
        let settings = seen.settings.iter().filter(|name| !self.set(name));
        missing.extend(settings.map(|name| format!("set {name}")));
        missing.sort();
        missing.dedup();
        missing
    }

    fn lock(&self, lock: &Lock, sequences: &BTreeSet<(u32, u32)>) -> Option<String> {
        let (oid, mode) = match lock {
            Lock::Advisory(key) => {
                let claimed = self.claims.any(|e| e.object.kind == ObjectKind::Lock);
                return (!claimed).then(|| format!("lock {key}"));
            }
            Lock::Relation(oid, mode) => (*oid, mode.as_str()),
        };
        // The server looks at its own relations for any statement, and keeps some locks.
        let own = self.table(oid) < FIRST_USER_OID;
        if own && ![&PRIVATE[..], &LARGE_OBJECTS].concat().contains(&self.table(oid)) {
            return None;
        }
        let (word, covered) = match mode {
            "AccessShareLock" => ("read", self.read(oid) || self.by_foreign_key(oid)),
            "RowShareLock" => ("lock", self.read(oid) || self.by_foreign_key(oid)),
            // Whoever asks for the last value locks it so; its counter shows more.
            "RowExclusiveLock" if self.is_sequence(oid) => return None,
            "RowExclusiveLock" if self.claims.plans => ("lock", self.read(oid)),
            "RowExclusiveLock" => ("write", self.changed(oid)),
            mode => (mode, self.changed(oid) || self.by_foreign_key(oid)),
        };
        let covered = covered || self.by_default(oid, sequences);
        (!covered).then(|| format!("{word} {}", self.name(self.table(oid))))
    }

    /// Definitions that are other than they were, without a claim.
    pub(crate) fn of_definitions<'d>(
        &self,
        other: impl Iterator<Item = &'d str>,
        now: &Catalog,
    ) -> Vec<String> {
        // What a transaction defined may be gone with it.
        if self.claims.ends || self.claims.everything || self.claims.runs_code() {
            return Vec::new();
        }
        let all = self.claims.any(|e| {
            defines(e) && matches!(e.object.kind, ObjectKind::Database | ObjectKind::Schema)
        });
        let named = |definition: &str| {
            let (kind, path) = definition.split_once(' ').unwrap_or_default();
            let (schema, name) = path.split_once('.').unwrap_or_default();
            let schema = if schema.starts_with("pg_temp_") { "pg_temp" } else { schema };
            // By its number, under another name; and with the other side of a foreign key.
            let same = |c: &Catalog| c.relations_named(Some(schema), name).first().map(|r| r.oid);
            let relation = same(self.catalog).or_else(|| same(now));
            if relation.is_some_and(|oid| self.changed(oid) || self.by_foreign_key(oid)) {
                return true;
            }
            self.claims.any(|e| {
                let changes = defines(e) || e.verb == Verb::Update;
                let fits = match e.object.path.as_slice() {
                    [_, s, n, ..] => (&**s == "?" || **s == *schema) && **n == *name,
                    _ => false,
                };
                let fits_kind = (kind == "function") == (e.object.kind == ObjectKind::Routine);
                let by_hand = e.object.path.get(1).is_some_and(|s| is_system_schema(s));
                let by_hand =
                    by_hand && matches!(e.verb, Verb::Insert | Verb::Update | Verb::Delete);
                // Types, operators, casts.
                by_hand || changes && (fits && fits_kind || !definition.contains('.'))
            })
        };
        let missing = other.filter(|definition| !all && !named(definition));
        missing.map(|definition| format!("define {definition}")).collect()
    }
}
