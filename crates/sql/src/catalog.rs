//! The model of the target's catalog that names are resolved against: an immutable snapshot, read
//! through the link before the first statement is analysed and shared between sessions.

mod definitions;
mod load;
mod types;

pub use definitions::{DIGESTS, Detailed};
pub use load::{QUERIES, SURROUNDINGS, System, VIEWS, full_queries, user_queries};

use crate::statement::GoesBy;
use portcullis_core::digest::Digest;
use portcullis_core::effect::{Effect, Object, ObjectKind};
use portcullis_core::mask::{ColumnRef, Origin, TypeMap};
use smallvec::SmallVec;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The first object number that a running server hands out; everything below was made by `initdb`
/// (`FirstNormalObjectId`, PostgreSQL `src/include/access/transam.h`).
pub const FIRST_USER_OID: u32 = 16_384;

/// To the columns of so many partitions and inheriting tables a column is traced at most; for those
/// of the rest it stands itself.
pub const TRACED_CHILDREN: usize = 64;

/// What a relation is (`pg_class.relkind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RelationKind {
    /// A table (`r`).
    Table,
    /// A partitioned table (`p`).
    Partitioned,
    /// A view (`v`).
    View,
    /// A materialised view (`m`).
    MaterializedView,
    /// A foreign table (`f`).
    Foreign,
    /// A sequence (`S`).
    Sequence,
    /// A composite type (`c`).
    Composite,
    /// Anything else.
    Other,
}

impl RelationKind {
    fn from_relkind(kind: &str) -> Self {
        match kind {
            "r" => Self::Table,
            "p" => Self::Partitioned,
            "v" => Self::View,
            "m" => Self::MaterializedView,
            "f" => Self::Foreign,
            "S" => Self::Sequence,
            "c" => Self::Composite,
            _ => Self::Other,
        }
    }
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its number, from 1.
    pub number: i16,
    /// Its name.
    pub name: Box<str>,
    /// The number of its type.
    pub type_oid: u32,
    /// True where it is generated (`COPY … TO` leaves it out).
    pub generated: bool,
    /// The columns it is generated from.
    pub made_of: SmallVec<[i16; 2]>,
}

/// A trigger that was not made for a constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Its name.
    pub name: Box<str>,
    /// When it fires: the bits of `pg_trigger.tgtype`.
    pub events: u16,
    /// The schema and name of its function.
    pub function: (Box<str>, Box<str>),
    /// True where that is one of the server's own.
    pub of_server: bool,
    /// What the function is given.
    pub arguments: Vec<Box<str>>,
}

/// `pg_trigger.tgtype` (PostgreSQL `src/include/catalog/pg_trigger.h`).
pub mod trigger_event {
    /// Fires on `INSERT`.
    pub const INSERT: u16 = 1 << 2;
    /// Fires on `DELETE`.
    pub const DELETE: u16 = 1 << 3;
    /// Fires on `UPDATE`.
    pub const UPDATE: u16 = 1 << 4;
    /// Fires on `TRUNCATE`.
    pub const TRUNCATE: u16 = 1 << 5;
}

/// A foreign key seen from the table it points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The table that has the foreign key.
    pub child: u32,
    /// The columns of this table it points to.
    pub key: SmallVec<[i16; 2]>,
    /// `ON DELETE` (`pg_constraint.confdeltype`): `c` cascade, `n` set null, `d` set default.
    pub on_delete: char,
    /// `ON UPDATE`, likewise.
    pub on_update: char,
}

/// Code of users, or a function of the server that does more than tell something, that runs when a
/// relation is read or written, without being named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HiddenCode {
    /// True where reading runs it (a view's definition, a row-security policy).
    pub on_read: bool,
    /// True where deleting rows runs it (the condition of a trigger).
    pub on_delete: bool,
    /// The schema and name of the function.
    pub function: (Box<str>, Box<str>),
}

/// What a view is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ViewBody {
    /// `pg_get_viewdef`.
    pub text: Box<str>,
    /// The columns (relation, attribute; 0 for the whole row) it depends on, by `pg_depend`.
    pub depends: Vec<(u32, i16)>,
}

/// A relation.
#[derive(Debug, Clone, PartialEq)]
pub struct Relation {
    /// Its number.
    pub oid: u32,
    /// Its schema.
    pub schema: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// What it is.
    pub kind: RelationKind,
    /// Estimated rows (`reltuples`); negative where never estimated.
    pub rows: i64,
    /// The numbers of the rules it has, a view's own among them, and of the transactions that wrote
    /// them; none for what `initdb` made.
    pub rewritten: Vec<(u32, u32)>,
    /// Its columns, by number; dropped ones are left out.
    pub columns: Vec<Column>,
    /// The columns that decide to which of its partitions a row belongs (0: an expression).
    pub partition_key: SmallVec<[i16; 2]>,
    /// The columns of its primary key, in order.
    pub primary_key: SmallVec<[i16; 2]>,
    /// The columns of which its unique indexes, foreign keys, statistics and policies ask something (0:
    /// they do by an expression, or in a way that is not told).
    pub asked: SmallVec<[i16; 2]>,
    /// True where it has rules other than a view's own.
    pub rules: bool,
    /// Triggers that are not disabled and not made for constraints.
    pub triggers: Vec<Trigger>,
    /// Partitions and inheriting tables.
    pub children: Vec<u32>,
    /// What it is a partition of or inherits from.
    pub parents: Vec<u32>,
    /// Foreign keys that point here.
    pub references: Vec<Reference>,
    /// Code that runs unnamed.
    pub code: Vec<HiddenCode>,
    /// For a view: what it is made of.
    pub view: Option<ViewBody>,
    /// Of the server's own `pg_settings` and `pg_proc`: true where a setting in it is a credential that
    /// the gateway's role can see, or is one of an application.
    pub credentials: bool,
}

/// Settings of the server that hold credentials. The server shows them to superusers and members of
/// `pg_read_all_settings`.
pub(crate) const CREDENTIALS: [&str; 2] = ["primary_conninfo", "ssl_passphrase_command"];

impl Relation {
    /// True for what `initdb` made.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.oid < FIRST_USER_OID && is_system_schema(&self.schema)
    }

    /// True where `other`, the same relation read at another time, has the same columns, made of the
    /// same, and the same code behind it: what is read from it comes from the same columns. The text
    /// of a view is not compared, because it cannot always be read, but who wrote it.
    #[must_use]
    pub fn is_defined_like(&self, other: &Self) -> bool {
        let depends = |relation: &Self| relation.view.as_ref().map(|view| view.depends.clone());
        self.oid == other.oid
            && self.kind == other.kind
            && self.columns == other.columns
            && (self.rules, &self.rewritten) == (other.rules, &other.rewritten)
            && self.triggers == other.triggers
            && self.code == other.code
            && self.credentials == other.credentials
            && depends(self) == depends(other)
    }

    /// Columns of the server's own relations that show values of other relations, other sessions'
    /// statements, credentials or settings of applications, which may be secrets.
    ///
    /// Of the statistics, those without a value of the column are not among them: which part is
    /// NULL, how wide values are on average, how many there are, whether they lie in order.
    #[must_use]
    pub fn shows_elsewhere(&self, column: &str) -> bool {
        if &*self.schema != "pg_catalog" {
            return false;
        }
        match &*self.name {
            "pg_stats" | "pg_stats_ext" | "pg_stats_ext_exprs" => !is_plain_statistic(column),
            "pg_statistic" | "pg_statistic_ext_data" => {
                !matches!(column, "starelid" | "staattnum" | "stainherit")
            }
            "pg_largeobject" => column == "data",
            // What rows hold that are older than the column.
            "pg_attribute" => column == "attmissingval",
            "pg_stat_activity" => column == "query",
            // Among them the password for a directory service.
            "pg_hba_file_rules" => column == "options",
            "pg_prepared_statements" | "pg_cursors" => column == "statement",
            "pg_authid" => column == "rolpassword",
            "pg_shadow" => column == "passwd",
            "pg_user_mapping" | "pg_user_mappings" => column == "umoptions",
            "pg_subscription" => column == "subconninfo",
            "pg_db_role_setting" => column == "setconfig",
            "pg_roles" => column == "rolconfig",
            "pg_settings" => {
                self.credentials && matches!(column, "setting" | "boot_val" | "reset_val")
            }
            "pg_file_settings" => column == "setting",
            "pg_proc" => self.credentials && column == "proconfig",
            "pg_user" => column == "useconfig",
            _ => false,
        }
    }
}

/// Columns of `pg_stats`, `pg_stats_ext` and `pg_stats_ext_exprs` that name what is described or
/// hold no value of it. Their extended `n_distinct` tells how columns depend on each other.
fn is_plain_statistic(column: &str) -> bool {
    const NAMES: &[&str] = &[
        "schemaname",
        "tablename",
        "attname",
        "statistics_schemaname",
        "statistics_name",
        "statistics_owner",
        "attnames",
        "kinds",
        "exprs",
        "expr",
    ];
    const COUNTS: &[&str] = &["inherited", "null_frac", "avg_width", "n_distinct", "correlation"];
    NAMES.contains(&column) || COUNTS.contains(&column)
}

/// A function, procedure or aggregate of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its number.
    pub oid: u32,
    /// Its schema.
    pub schema: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// Numbers of its argument types.
    pub arguments: SmallVec<[u32; 4]>,
    /// Its language (`sql`, `plpgsql`, `c`…).
    pub language: Box<str>,
    /// `i` immutable, `s` stable, `v` volatile.
    pub volatility: char,
    /// True for `SECURITY DEFINER`.
    pub security_definer: bool,
    /// `f` function, `p` procedure, `a` aggregate, `w` window function.
    pub kind: char,
    /// True where it returns a set.
    pub returns_set: bool,
    /// True where it is part of an extension.
    pub extension: bool,
    /// How it was made (`pg_get_functiondef`), where it is a text in SQL, is not volatile, and runs with
    /// the rights and settings of the caller. (What is not a text, `BEGIN ATOMIC` and `RETURN`, takes locks
    /// to be written out.)
    pub definition: Option<Box<str>>,
    /// Number of the type of its result.
    pub gives: u32,
    /// Those of all its arguments, if it has any that are results.
    pub all_arguments: SmallVec<[u32; 4]>,
}

impl Function {
    /// True where it only computes a value from its arguments, as far as its makers can be taken at
    /// their word: a function in C of an extension that an administrator installed, which claims to
    /// be immutable. Of those that are not, the few below are known.
    #[must_use]
    pub fn is_tame(&self) -> bool {
        // From uuid-ossp, pgcrypto and unaccent.
        const KNOWN: [&str; 7] = [
            "gen_random_bytes",
            "gen_random_uuid",
            "gen_salt",
            "unaccent",
            "uuid_generate_v1",
            "uuid_generate_v1mc",
            "uuid_generate_v4",
        ];
        // From isn: it keeps its argument for later calls.
        if &*self.name == "isn_weak" {
            return false;
        }
        let computes = self.volatility == 'i' || KNOWN.contains(&&*self.name);
        self.extension && computes && &*self.language == "c" && !self.security_definer
    }

    /// True where it may stand beside a built-in of the same name without making every use of that
    /// name suspect: a part of an installed extension that claims to have no side effects (such as
    /// the overloads that `citext` brings for `max` or `=`).
    #[must_use]
    pub fn is_tame_overload(&self) -> bool {
        self.is_tame() || self.extension && self.volatility != 'v'
    }
}

/// All functions of one name that `initdb` made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Builtin {
    /// True where any of them is volatile.
    pub volatile: bool,
    /// True where any of them is an aggregate.
    pub aggregate: bool,
    /// True where each returns one value of a type without columns.
    pub scalar: bool,
    /// True where any of them returns a set.
    pub returns_set: bool,
    /// The names of the output columns, where all agree on them.
    pub outputs: Option<Vec<Box<str>>>,
}

/// A data type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Type {
    /// Its number.
    pub oid: u32,
    /// Its schema.
    pub schema: Box<str>,
    /// True where making or converting a value of it runs code of users.
    pub user_code: bool,
}

/// A function of a user that converts values of a type, or of one it is part of, without being
/// asked to. There are few of them, and mostly none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImplicitCast {
    /// The type's number.
    pub source: u32,
    /// The type's schema.
    pub schema: Box<str>,
    /// The type's name.
    pub name: Box<str>,
    /// The schema and name of the function.
    pub function: (Box<str>, Box<str>),
}

/// An operator of a user, by the function behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Its schema.
    pub schema: Box<str>,
    /// The schema and name of its function.
    pub function: (Box<str>, Box<str>),
    /// True where it is part of an extension and its function is not volatile.
    pub tame: bool,
}

/// The rows are not what [`QUERIES`] answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// Not one list of rows per query.
    #[error("the catalog has {got} results instead of {}", QUERIES.len())]
    Results {
        /// How many there were.
        got: usize,
    },
    /// A row that does not fit its query.
    #[error("result {result} of the catalog has a row that cannot be read (field {field})")]
    Row {
        /// Which query, from 0.
        result: usize,
        /// Which field, from 0.
        field: usize,
    },
    /// Over a limit.
    #[error("result {result} of the catalog has more than {limit} rows")]
    TooLarge {
        /// Which query, from 0.
        result: usize,
        /// The limit.
        limit: usize,
    },
}

/// What a view's columns come from, and what reading it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ViewFacts {
    /// One origin per column, in column order.
    pub(crate) columns: Vec<Origin>,
    /// Whether each value of a column is one that stands in its origin, unchanged.
    pub(crate) plain: Vec<bool>,
    /// Every relation behind it.
    pub(crate) relations: Vec<u32>,
    /// What reading it does beside reading those.
    pub(crate) effects: Vec<Effect>,
    /// Columns that reach a place other than its answer.
    pub(crate) sinks: Vec<Origin>,
    /// What decides on its rows, or whether it fails.
    pub(crate) conditions: Origin,
    /// State of sessions that it goes by.
    pub(crate) goes_by: Option<GoesBy>,
    /// True where it runs code of users.
    pub(crate) user_code: bool,
    /// True where a text in it is read when it runs, and may be read otherwise.
    pub(crate) rereads: bool,
    /// True where it runs code whose reach is not known.
    pub(crate) opaque: bool,
    /// True where not every relation behind it is known.
    pub(crate) unresolved: bool,
}

/// What calling a function of a user does that is written in SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BodyFacts {
    /// What its result may come from, beside its arguments.
    pub(crate) gives: Origin,
    /// What decides in it on rows, or on failure.
    pub(crate) conditions: Origin,
    /// Stored columns whose NULL decides in it.
    pub(crate) nulls: Origin,
    /// State of sessions that it goes by.
    pub(crate) goes_by: Option<GoesBy>,
    /// True where its text, or one in it, may be read otherwise when it runs.
    pub(crate) rereads: bool,
    /// Every relation it may read.
    pub(crate) relations: Vec<u32>,
    /// What it does.
    pub(crate) effects: Vec<Effect>,
    /// Columns that reach a place other than its result.
    pub(crate) sinks: Vec<Origin>,
    /// True where it runs code whose reach is not known.
    pub(crate) opaque: bool,
    /// True where not every relation behind it is known.
    pub(crate) unresolved: bool,
}

/// The functions that `initdb` made.
#[derive(Debug)]
struct Builtins {
    named: HashMap<Box<str>, Builtin>,
    digest: Digest,
}

type Names = HashMap<Box<str>, SmallVec<[u32; 1]>>;

/// A snapshot of one database's catalog.
#[derive(Debug)]
pub struct Catalog {
    database: Box<str>,
    server_version: u32,
    version: Digest,
    /// Of functions of the server, operators, types and casts.
    others: Digest,
    schemas: HashSet<Box<str>>,
    relations: HashMap<u32, Relation>,
    relation_names: Names,
    functions: HashMap<u32, Function>,
    function_names: Names,
    builtins: Arc<Builtins>,
    operators: HashMap<Box<str>, Vec<Operator>>,
    types: BTreeMap<Box<str>, Vec<Type>>,
    /// Types whose values are converted by code of users without being asked to.
    implicit_cast_types: HashSet<u32>,
    /// Types of which making a value runs code of users.
    coded_types: HashSet<u32>,
    /// Those where reading a literal does.
    coded_literals: HashSet<u32>,
    /// Those where a literal beside a value is read as one of the type.
    adopting_types: HashSet<u32>,
    casts: Vec<ImplicitCast>,
    event_triggers: Vec<(Box<str>, Box<str>)>,
    type_map: Arc<TypeMap>,
    views: Mutex<HashMap<u32, Arc<ViewFacts>>>,
    bodies: Mutex<HashMap<u32, Option<Arc<BodyFacts>>>>,
}

impl Catalog {
    /// Partitions and inheriting tables of a relation, all levels, each once.
    pub fn descendants<'c>(
        &'c self,
        relation: &'c Relation,
    ) -> impl Iterator<Item = &'c Relation> + use<'c> {
        self.relatives(relation, |of| &of.children)
    }

    /// What a partition or inheriting table belongs to, all levels, each once.
    pub fn ancestors<'c>(
        &'c self,
        relation: &'c Relation,
    ) -> impl Iterator<Item = &'c Relation> + use<'c> {
        self.relatives(relation, |of| &of.parents)
    }

    fn relatives<'c>(
        &'c self,
        relation: &'c Relation,
        next: fn(&Relation) -> &[u32],
    ) -> impl Iterator<Item = &'c Relation> {
        let mut seen: HashSet<u32> = HashSet::from([relation.oid]);
        let mut open: Vec<u32> = next(relation).to_vec();
        std::iter::from_fn(move || {
            while let Some(oid) = open.pop() {
                if let (true, Some(found)) = (seen.insert(oid), self.relation(oid)) {
                    open.extend(next(found));
                    return Some(found);
                }
            }
            None
        })
    }

    /// Builds the snapshot from the answers to [`QUERIES`], in order, as text values.
    ///
    /// # Errors
    /// [`CatalogError`] where the rows are not what the queries answer: the catalog is then not
    /// used, and nothing can be resolved.
    pub fn from_rows(
        database: &str,
        rows: &[Vec<Vec<Option<String>>>],
    ) -> Result<Self, CatalogError> {
        load::load(database, load::Results::new(None, rows))
    }

    /// The same, where the server's own part is known already.
    ///
    /// # Errors
    /// As above.
    pub fn from_user_rows(
        database: &str,
        rows: &[Vec<Vec<Option<String>>>],
        system: &System,
    ) -> Result<Self, CatalogError> {
        load::load(database, load::Results::new(Some(system), rows))
    }

    /// A catalog in which no name resolves.
    #[must_use]
    pub fn empty(database: &str) -> Self {
        load::empty(database)
    }

    /// The database it describes.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// `server_version_num` (150_004 for 15.4); 0 where unknown.
    #[must_use]
    pub const fn server_version(&self) -> u32 {
        self.server_version
    }

    /// A digest of its content, row estimates left out: the key under which facts may be kept.
    #[must_use]
    pub const fn version(&self) -> Digest {
        self.version
    }

    /// True where the schema exists.
    #[must_use]
    pub fn has_schema(&self, name: &str) -> bool {
        self.schemas.contains(name)
    }

    /// The relation with this number.
    #[must_use]
    pub fn relation(&self, oid: u32) -> Option<&Relation> {
        self.relations.get(&oid)
    }

    /// Every relation, in no order.
    pub fn relations(&self) -> impl Iterator<Item = &Relation> {
        self.relations.values()
    }

    /// True where the session that read it has temporary relations; those of others are not in it.
    #[must_use]
    pub fn has_temporary(&self) -> bool {
        self.relations.values().any(|r| same_schema("pg_temp", &r.schema))
    }

    /// Every relation that a name may mean, whatever the session's `search_path` is.
    ///
    /// Views of `information_schema` are meant by an unqualified name only where nothing else is:
    /// it stands on no search path unless put there.
    #[must_use]
    pub fn relations_named(&self, schema: Option<&str>, name: &str) -> SmallVec<[&Relation; 2]> {
        let all = self.relation_names.get(name).into_iter().flatten();
        let found: SmallVec<[&Relation; 2]> = all
            .filter_map(|oid| self.relations.get(oid))
            .filter(|r| schema.is_none_or(|s| same_schema(s, &r.schema)))
            .collect();
        if schema.is_some() || found.iter().all(|r| &*r.schema == "information_schema") {
            return found;
        }
        found.into_iter().filter(|r| &*r.schema != "information_schema").collect()
    }

    /// The user's function with this number.
    #[must_use]
    pub fn function(&self, oid: u32) -> Option<&Function> {
        self.functions.get(&oid)
    }

    /// The functions of users that a name may mean.
    #[must_use]
    pub fn functions_named(&self, schema: Option<&str>, name: &str) -> SmallVec<[&Function; 2]> {
        let all = self.function_names.get(name).into_iter().flatten();
        all.filter_map(|oid| self.functions.get(oid))
            .filter(|f| schema.is_none_or(|s| same_schema(s, &f.schema)))
            .collect()
    }

    /// The functions of this name that `initdb` made, in `pg_catalog` or `information_schema`.
    #[must_use]
    pub fn builtin(&self, name: &str) -> Option<&Builtin> {
        self.builtins.named.get(name)
    }

    /// The operators of users with this name.
    #[must_use]
    pub fn operators_named(&self, name: &str) -> &[Operator] {
        self.operators.get(name).map_or(&[], Vec::as_slice)
    }

    /// The types of this name (of arrays and row types only those that run code of users).
    #[must_use]
    pub fn types_named(&self, name: &str) -> &[Type] {
        self.types.get(name).map_or(&[], Vec::as_slice)
    }

    /// True where values of the type may be converted by code of users without being asked to.
    #[must_use]
    pub fn casts_implicitly(&self, type_oid: u32) -> bool {
        self.implicit_cast_types.contains(&type_oid)
    }

    /// The implicit casts by functions of users.
    #[must_use]
    pub fn implicit_casts(&self) -> &[ImplicitCast] {
        &self.casts
    }

    /// The functions (schema and name) of triggers that fire when something is defined or dropped.
    #[must_use]
    pub fn event_triggers(&self) -> &[(Box<str>, Box<str>)] {
        &self.event_triggers
    }

    /// True where making or comparing values of the type runs code of users.
    #[must_use]
    pub fn runs_code(&self, type_oid: u32) -> bool {
        self.coded_types.contains(&type_oid)
    }

    /// The type of a parameter, where reading a value of it runs code of users.
    #[must_use]
    pub fn code_of_literals(&self, type_oid: u32) -> Option<Object> {
        if !self.coded_literals.contains(&type_oid) {
            return None;
        }
        let mut all =
            self.types.iter().flat_map(|(name, types)| types.iter().map(move |t| (name, t)));
        let (schema, name) = match all.find(|(_, found)| found.oid == type_oid) {
            Some((name, found)) => (&*found.schema, &**name),
            None => ("?", "?"),
        };
        Some(Object::new(ObjectKind::Type, [&*self.database, schema, name]))
    }

    /// True where comparing values of the type runs code of users, or a literal compared with one, or
    /// put beside it, is read as one of the type, and that does.
    #[must_use]
    pub fn adopts_literals(&self, type_oid: u32) -> bool {
        self.adopting_types.contains(&type_oid)
    }

    /// What types of users are made of.
    #[must_use]
    pub const fn type_map(&self) -> &Arc<TypeMap> {
        &self.type_map
    }

    /// True where no user has a type of that name, or a table, whose rows are of a type of its name: it
    /// means the server's, whatever the `search_path` is.
    pub(crate) fn means_server_type(&self, name: &str) -> bool {
        self.types_named(name).iter().all(|t| is_system_schema(&t.schema))
            && self.relations_named(None, name).is_empty()
    }

    /// The number of a column's type.
    pub(crate) fn type_of(&self, column: &ColumnRef) -> Option<u32> {
        let own = &self.relation(column.relation)?.columns;
        own.iter().find(|c| c.number == column.column).map(|c| c.type_oid)
    }

    /// True where the values of a view's column, by its place from 0, stand as they are in what is behind
    /// it. False where nobody has looked through the view yet.
    #[must_use]
    pub fn shows_plainly(&self, view: u32, place: usize) -> bool {
        self.view_facts(view).is_some_and(|facts| facts.plain.get(place) == Some(&true))
    }

    pub(crate) fn view_facts(&self, oid: u32) -> Option<Arc<ViewFacts>> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner).get(&oid).cloned()
    }

    pub(crate) fn body_facts(&self, oid: u32) -> Option<Option<Arc<BodyFacts>>> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner).get(&oid).cloned()
    }

    pub(crate) fn keep_body_facts(&self, oid: u32, facts: Option<Arc<BodyFacts>>) {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner).insert(oid, facts);
    }

    pub(crate) fn keep_view_facts(&self, oid: u32, facts: Arc<ViewFacts>) {
        self.views.lock().unwrap_or_else(PoisonError::into_inner).insert(oid, facts);
    }
}

/// True for the schemas that `initdb` fills.
#[must_use]
pub fn is_system_schema(name: &str) -> bool {
    matches!(name, "pg_catalog" | "information_schema")
}

/// `pg_temp` stands for the session's own numbered schema.
fn same_schema(asked: &str, actual: &str) -> bool {
    asked == actual || asked == "pg_temp" && actual.starts_with("pg_temp_")
}
