//! Calls: which functions do more than compute a value from their arguments.
//!
//! A function of the server is a pure read only where the catalog says that it is not volatile, or
//! it is on the list of harmless volatile ones, and it is not on the list of those that reach
//! further. Everything else runs code.

use super::names::{literal, parameter, split, strings};
use super::scope::{OfServer, add, join, nothing};
use super::standing::shows_sessions;
use super::{Analyzer, Result, effect_of_setting};
use crate::catalog::{CREDENTIALS, Function};
use crate::statement::{GoesBy, setting_by_parameter, unnamed_setting};
use pg_query::protobuf::{FuncCall, Node};
use portcullis_core::effect::{Certainty, Effect, Extent, Object, ObjectKind, Verb};
use portcullis_core::mask::Origin;
use smallvec::SmallVec;

/// From here on `json_object` is a keyword, as it is in the grammar that texts are read by.
const JSON_OBJECT_IS_A_WORD: u32 = 160_000;

/// What a function of the server does beyond computing a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Does this to this kind of thing, named by its first argument.
    Does(Verb, ObjectKind),
    /// Likewise, and the answer shows what is there, which cannot be traced.
    Shows(Verb, ObjectKind),
    /// Takes the content of a file into a large object.
    ImportFile,
    /// Writes a large object to a file.
    ExportFile,
    /// Changes a setting.
    Setting,
    /// Shows a setting.
    ShowsSetting,
    /// Runs a query made from its arguments, or reads relations that they name.
    Dynamic,
    /// Runs functions that its arguments choose.
    Runs,
    /// Shows all settings of the server.
    ShowsSettings,
    /// Shows the definition of a function.
    Definition,
    /// Reads nothing but shows what cannot be traced: other sessions' statements, statistics.
    Untraced,
    /// Shows every change to every table.
    Changes,
}

/// The functions of the server that reach beyond their arguments. Chapter 9 of the PostgreSQL
/// manual, sections "System Administration Functions", "Sequence Manipulation Functions",
/// "Delay Execution", "XML Functions"; chapter 33 "Large Objects".
fn reach(name: &str) -> Option<Reach> {
    reach_of_storage(name).or_else(|| reach_of_server(name)).or_else(|| reach_of_code(name))
}

/// What functions of the server go by that is the session's own.
fn goes_by(name: &str) -> Option<GoesBy> {
    match name {
        "currval" | "lastval" => Some(GoesBy::LastValue),
        "loread" | "lowrite" | "lo_truncate" | "lo_truncate64" => Some(GoesBy::Descriptor),
        _ => shows_sessions(name).then_some(GoesBy::Sessions),
    }
}

/// Files, large objects and sequences.
fn reach_of_storage(name: &str) -> Option<Reach> {
    use ObjectKind::{File, LargeObject, Sequence};
    use Verb::{Create, Delete, Read, TransferIn, Update};
    Some(match name {
        _ if name.starts_with("pg_read_file") || name.starts_with("pg_read_binary_file") => {
            Reach::Shows(TransferIn, File)
        }
        "pg_stat_file" | "pg_current_logfile" => Reach::Shows(Read, File),
        _ if name.starts_with("pg_ls_") => Reach::Shows(Read, File),
        "lo_import" => Reach::ImportFile,
        "lo_export" => Reach::ExportFile,
        "lo_get" | "loread" => Reach::Shows(Read, LargeObject),
        // With the right mode it opens for writing too.
        "lo_open" => Reach::Does(Update, LargeObject),
        "lo_create" | "lo_creat" | "lo_from_bytea" => Reach::Does(Create, LargeObject),
        "lo_put" | "lowrite" | "lo_truncate" | "lo_truncate64" => Reach::Does(Update, LargeObject),
        "lo_unlink" => Reach::Does(Delete, LargeObject),
        "nextval" | "setval" => Reach::Does(Update, Sequence),
        _ => return None,
    })
}

/// Settings, locks, channels, other sessions, and the server as a whole.
fn reach_of_server(name: &str) -> Option<Reach> {
    use ObjectKind::{Backend, Channel, Connection, Lock};
    use Verb::Control;
    Some(match name {
        "set_config" => Reach::Setting,
        "current_setting" => Reach::ShowsSetting,
        "pg_show_all_settings" => Reach::ShowsSettings,
        "pg_get_functiondef" => Reach::Definition,
        "pg_notify" => Reach::Does(Control, Channel),
        "pg_terminate_backend"
        | "pg_cancel_backend"
        | "pg_log_backend_memory_contexts"
        | "pg_sleep"
        | "pg_sleep_for"
        | "pg_sleep_until" => Reach::Does(Control, Backend),
        _ if name.starts_with("pg_advisory_") || name.starts_with("pg_try_advisory_") => {
            Reach::Does(Control, Lock)
        }
        "pg_logical_slot_get_changes"
        | "pg_logical_slot_get_binary_changes"
        | "pg_logical_slot_peek_changes"
        | "pg_logical_slot_peek_binary_changes" => Reach::Changes,
        _ if controls_server(name) => Reach::Does(Control, Connection),
        _ => return None,
    })
}

/// Administration of the server: configuration, log, replication, backup, statistics.
fn controls_server(name: &str) -> bool {
    const PREFIXES: &[&str] =
        &["pg_replication_origin_", "pg_stat_reset", "binary_upgrade_", "pg_rotate_logfile"];
    PREFIXES.iter().any(|p| name.starts_with(p))
        || matches!(
            name,
            "pg_reload_conf"
                | "pg_switch_wal"
                | "pg_create_restore_point"
                | "pg_start_backup"
                | "pg_stop_backup"
                | "pg_backup_start"
                | "pg_backup_stop"
                | "pg_promote"
                | "pg_wal_replay_pause"
                | "pg_wal_replay_resume"
                | "pg_create_physical_replication_slot"
                | "pg_create_logical_replication_slot"
                | "pg_copy_physical_replication_slot"
                | "pg_copy_logical_replication_slot"
                | "pg_drop_replication_slot"
                | "pg_replication_slot_advance"
                | "pg_sync_replication_slots"
                | "pg_logical_emit_message"
                | "pg_import_system_collations"
                | "pg_export_snapshot"
                | "pg_log_standby_snapshot"
                | "pg_stat_force_next_flush"
                | "brin_summarize_new_values"
                | "brin_summarize_range"
                | "brin_desummarize_range"
                | "gin_clean_pending_list"
                | "pg_clear_relation_stats"
                | "pg_restore_relation_stats"
                | "pg_clear_attribute_stats"
                | "pg_restore_attribute_stats"
        )
}

/// Functions that run queries or functions, or show what cannot be traced.
fn reach_of_code(name: &str) -> Option<Reach> {
    const TO_XML: &[&str] = &["query_to_xml", "table_to_xml", "cursor_to_xml", "schema_to_xml"];
    Some(match name {
        _ if TO_XML.iter().any(|p| name.starts_with(p)) || name.starts_with("database_to_xml") => {
            Reach::Dynamic
        }
        "ts_stat" => Reach::Dynamic,
        "pg_input_is_valid"
        | "pg_input_error_info"
        | "domain_in"
        | "domain_recv"
        | "array_in"
        | "array_recv"
        | "record_in"
        | "record_recv"
        | "range_in"
        | "range_recv"
        | "multirange_in"
        | "multirange_recv" => Reach::Runs,
        "pg_stat_get_activity"
        | "pg_stat_get_backend_activity"
        | "pg_mcv_list_items"
        | "pg_prepared_statement"
        | "pg_cursor"
        | "pg_hba_file_rules"
        | "pg_show_all_file_settings"
        | "pg_ident_file_mappings"
        | "pg_get_sequence_data" => Reach::Untraced,
        _ => return None,
    })
}

/// Volatile functions of the server that only tell something.
fn is_harmless(name: &str) -> bool {
    name.starts_with("pg_stat_get_")
        || name.starts_with("pg_control_")
        || tells_of_server(name)
        || matches!(
            name,
            "random"
                | "random_normal"
                | "setseed"
                | "clock_timestamp"
                | "timeofday"
                | "current_query"
                | "gen_random_uuid"
                | "uuidv4"
                | "uuidv7"
                | "array_shuffle"
                | "array_sample"
                | "txid_status"
                | "currval"
                | "lastval"
                | "currtid"
                | "currtid2"
                | "amvalidate"
                | "lo_close"
                | "lo_lseek"
                | "lo_lseek64"
                | "lo_tell"
                | "lo_tell64"
        )
}

/// Sizes, positions in the log, locks and what else the server tells of itself.
fn tells_of_server(name: &str) -> bool {
    matches!(
        name,
        "pg_relation_size"
            | "pg_table_size"
            | "pg_indexes_size"
            | "pg_total_relation_size"
            | "pg_database_size"
            | "pg_tablespace_size"
            | "pg_current_wal_lsn"
            | "pg_current_wal_insert_lsn"
            | "pg_current_wal_flush_lsn"
            | "pg_last_wal_receive_lsn"
            | "pg_last_wal_replay_lsn"
            | "pg_last_xact_replay_timestamp"
            | "pg_is_in_recovery"
            | "pg_is_wal_replay_paused"
            | "pg_get_wal_replay_pause_state"
            | "pg_is_in_backup"
            | "pg_blocking_pids"
            | "pg_safe_snapshot_blocking_pids"
            | "pg_isolation_test_session_is_blocked"
            | "pg_lock_status"
            | "pg_prepared_xact"
            | "pg_partition_tree"
            | "pg_partition_ancestors"
            | "pg_xact_commit_timestamp"
            | "pg_xact_commit_timestamp_origin"
            | "pg_last_committed_xact"
            | "pg_xact_status"
            | "pg_sequence_last_value"
            | "pg_stat_clear_snapshot"
            | "pg_listening_channels"
            | "pg_notification_queue_usage"
            | "pg_timezone_names"
            | "pg_get_multixact_members"
            | "pg_collation_actual_version"
            | "pg_database_collation_actual_version"
            | "pg_show_replication_origin_status"
            | "pg_get_wal_resource_managers"
            | "pg_get_loaded_modules"
            | "pg_jit_available"
            | "pg_numa_available"
            | "pg_stat_have_stats"
            | "pg_get_wait_events"
            | "pg_get_aios"
            | "pg_get_shmem_allocations_numa"
            | "pg_available_wal_summaries"
            | "pg_wal_summary_contents"
            | "pg_get_wal_summarizer_state"
            | "pg_get_shmem_allocations"
            | "pg_get_backend_memory_contexts"
    )
}

/// The names of the server's settings.
fn is_setting_name(OfServer { relation, column, .. }: &OfServer<'_>) -> bool {
    &*relation.name == "pg_settings" && &*relation.schema == "pg_catalog" && *column == "name"
}

/// The functions of users that a call may mean.
#[derive(Default)]
struct Users {
    /// There is one of which it is not known what it does.
    opaque: bool,
    /// What is given by those that were looked through.
    gives: Option<Origin>,
}

impl Users {
    const fn any(&self) -> bool {
        self.opaque || self.gives.is_some()
    }
}

impl<'c> Analyzer<'c> {
    pub(super) fn call(&mut self, call: &FuncCall) -> Result<Origin> {
        let Some(names) = strings(&call.funcname) else { return Ok(self.unreadable()) };
        // No key may be NULL, and of those that are equal `jsonb` keeps one.
        let (keyed, kept) = match names.last() {
            Some(&("jsonb_build_object" | "jsonb_object_agg")) => (true, true),
            Some(&("json_build_object" | "json_object_agg")) => (true, false),
            _ => (false, false),
        };
        let mut origin = nothing();
        for (place, arg) in call.args.iter().enumerate() {
            let own = self.expr(arg)?;
            if keyed && place % 2 == 0 {
                if kept {
                    self.decide(&own);
                } else {
                    self.decide_unless_null(arg, &own);
                }
            }
            add(&mut origin, &own);
        }
        let order = self.all(&call.agg_order)?;
        let filter = self.optional(call.agg_filter.as_deref())?;
        let window = match call.over.as_deref() {
            Some(window) => self.window(window)?,
            None => nothing(),
        };
        self.decide(&order);
        self.decide(&filter);
        // Of a list that is taken apart, how many there are decides.
        if call.agg_distinct || call.func_variadic {
            self.decide(&origin);
        }
        // How many there are shows nothing of what they hold; which of them are counted does.
        if self.counts_stored(&names, call) {
            self.decide_by_null(&origin);
            origin = nothing();
        }
        add(&mut origin, &order);
        add(&mut origin, &filter);
        let given = self.apply(&names, &call.args, &origin)?;
        Ok(join(given, &window))
    }

    /// `count(column)` of a column that is stored, or of a row.
    fn counts_stored(&self, names: &[&str], call: &FuncCall) -> bool {
        let count = matches!(names, ["count"] | ["pg_catalog", "count"])
            && (names.len() == 2 || self.catalog.functions_named(None, "count").is_empty());
        // A row is one whatever is in it.
        let stored = |one: &Node| self.is_stored(one) || self.carried_row(one).is_some();
        count && !call.agg_distinct && matches!(call.args.as_slice(), [one] if stored(one))
    }

    /// Calls a function: `origin` is what its arguments depend on.
    pub(super) fn apply(
        &mut self,
        names: &[&str],
        args: &[Node],
        origin: &Origin,
    ) -> Result<Origin> {
        self.charge(1)?;
        let Some((schema, name)) = split(names) else { return Ok(self.unreadable()) };
        // The grammar knows whose `json_object` is; that of servers before PostgreSQL 16 takes any
        // function of that name.
        let schema = schema.filter(|s| {
            name != "json_object"
                || *s != "pg_catalog"
                || self.catalog.server_version() >= JSON_OBJECT_IS_A_WORD
        });
        self.decide_call(names, args, origin);
        let users = self.users(schema, name)?;
        if users.any() {
            self.sink(origin.clone());
        }
        let of_server = schema.is_none_or(crate::catalog::is_system_schema);
        let builtin = if of_server { self.catalog.builtin(name) } else { None };
        // `EXTRACT` was `date_part` before PostgreSQL 14.
        let builtin = match (builtin, schema, name) {
            (None, Some("pg_catalog"), "extract") => self.catalog.builtin("date_part"),
            (builtin, _, _) => builtin,
        };
        let result = match builtin {
            Some(builtin) => {
                // Before PostgreSQL 15 it was volatile for times of day alone, which today's date makes.
                let volatile = builtin.volatile && name != "timezone";
                self.builtin(name, volatile, args, origin)
            }
            None if users.any() => origin.clone(),
            None if self.is_tame(schema, name) => {
                self.sink_of_set(schema, name, origin);
                origin.clone()
            }
            None => self.unknown_function(schema, name, args, origin),
        };
        let named = self.catalog.functions_named(schema, name);
        let unknown = builtin.is_none() && named.is_empty();
        let set = builtin.is_some_and(|b| b.returns_set) || named.iter().any(|f| f.returns_set);
        self.sets += usize::from(set || unknown);
        Ok(match users {
            Users { opaque: true, .. } => Origin::Untraced,
            Users { gives: Some(gives), .. } => join(result, &gives),
            Users { gives: None, .. } => result,
        })
    }

    /// Calls every function of users that the name may mean.
    fn users(&mut self, schema: Option<&str>, name: &str) -> Result<Users> {
        let mut users = Users::default();
        for function in self.untame(schema, name) {
            match self.body_facts(function) {
                Some(facts) => {
                    let gives = self.run_body(function, &facts)?;
                    add(users.gives.get_or_insert_with(nothing), &gives);
                }
                None => {
                    users.opaque = true;
                    let object = self.object(ObjectKind::Routine, [&*function.schema, name]);
                    self.execute(object);
                }
            }
        }
        Ok(users)
    }

    /// The functions of users that the name may mean, but for those that only compute.
    fn untame(&self, schema: Option<&str>, name: &str) -> SmallVec<[&'c Function; 2]> {
        let builtin = schema.is_none() && self.catalog.builtin(name).is_some();
        let mut all = self.catalog.functions_named(schema, name);
        all.retain(|f| !(f.is_tame() || builtin && f.is_tame_overload()));
        all
    }

    /// Adds an effect for every function of users that the name may mean; true where there is one.
    pub(super) fn user_functions(&mut self, schema: Option<&str>, name: &str) -> bool {
        let all = self.untame(schema, name);
        for function in &all {
            let object = self.object(ObjectKind::Routine, [&*function.schema, name]);
            self.execute(object);
        }
        !all.is_empty()
    }

    /// True where every function of users that the name may mean only computes.
    fn is_tame(&self, schema: Option<&str>, name: &str) -> bool {
        let all = self.catalog.functions_named(schema, name);
        !all.is_empty() && all.iter().all(|f| f.is_tame())
    }

    /// The number of rows that a function gives shows what it was called with.
    fn sink_of_set(&mut self, schema: Option<&str>, name: &str, origin: &Origin) {
        if self.catalog.functions_named(schema, name).iter().any(|f| f.returns_set) {
            self.sink(origin.clone());
        }
    }

    /// A name that no function has: a type's name used as a function converts, anything else is
    /// code that we cannot see.
    fn unknown_function(
        &mut self,
        schema: Option<&str>,
        name: &str,
        args: &[Node],
        origin: &Origin,
    ) -> Origin {
        let catalog = self.catalog;
        let mut types = catalog.types_named(name).iter();
        let converts = args.len() == 1
            && types.any(|t| !t.user_code && schema.is_none_or(|s| *t.schema == *s));
        if converts {
            return origin.clone();
        }
        let object = self.object(ObjectKind::Routine, [schema.unwrap_or("?"), name]);
        self.execute(object);
        self.not_found();
        self.sink(origin.clone());
        Origin::Untraced
    }

    /// Runs a function without a call of it in the text: with which arguments is not known.
    pub(super) fn run_unnamed(&mut self, (schema, name): &(Box<str>, Box<str>)) {
        let users = !self.catalog.functions_named(Some(schema), name).is_empty();
        match self.catalog.builtin(name) {
            Some(builtin) if &**schema == "pg_catalog" && !users => {
                drop(self.builtin(name, builtin.volatile, &[], &nothing()));
            }
            _ => {
                let object = self.object(ObjectKind::Routine, [&**schema, &**name]);
                self.execute(object);
            }
        }
    }

    fn builtin(&mut self, name: &str, volatile: bool, args: &[Node], origin: &Origin) -> Origin {
        self.read_by_function(name);
        self.goes_by = self.goes_by.max(goes_by(name));
        let Some(reach) = reach(name) else {
            // The form with two arguments runs the query in its second.
            if name == "ts_rewrite" && args.len() < 3 {
                return self.dynamic(name, origin);
            }
            if !volatile || is_harmless(name) {
                // The number of rows, or what a later call gives, shows what it was called with.
                let set = self.catalog.builtin(name).is_some_and(|b| b.returns_set);
                if (volatile || set) && !self.takes_list_apart(name, args) {
                    self.sink(origin.clone());
                }
                return origin.clone();
            }
            let object = self.object(ObjectKind::Routine, ["pg_catalog", name]);
            self.execute(object);
            self.sink(origin.clone());
            return join(origin.clone(), &Origin::Untraced);
        };
        self.reach(reach, name, args, origin)
    }

    /// A list of options of the server's own, row by row: how many it has is no secret.
    pub(super) fn takes_list_apart(&self, name: &str, args: &[Node]) -> bool {
        matches!(name, "pg_options_to_table" | "unnest" | "generate_subscripts")
            && args.first().is_some_and(|list| self.is_list_of_server(list))
    }

    /// A column in which the server keeps a list of options.
    pub(super) fn is_list_of_server(&self, node: &Node) -> bool {
        self.stored_by_server(node).is_some_and(|OfServer { relation, column, .. }| {
            matches!(
                (&*relation.name, column),
                ("pg_user_mapping" | "pg_user_mappings", "umoptions")
                    | ("pg_db_role_setting", "setconfig")
            )
        })
    }

    fn reach(&mut self, reach: Reach, name: &str, args: &[Node], origin: &Origin) -> Origin {
        if !matches!(reach, Reach::Untraced) {
            self.sink(origin.clone());
        }
        match reach {
            Reach::Does(verb, kind) => {
                self.reach_object(verb, kind, args);
                origin.clone()
            }
            Reach::Shows(verb, kind) => {
                self.reach_object(verb, kind, args);
                // A file or a large object may hold what any relation holds.
                self.unresolved = true;
                Origin::Untraced
            }
            Reach::ImportFile => {
                self.reach_object(Verb::TransferIn, ObjectKind::File, args);
                self.reach_object(Verb::Create, ObjectKind::LargeObject, &[]);
                nothing()
            }
            Reach::ExportFile => {
                self.reach_object(
                    Verb::TransferOut,
                    ObjectKind::File,
                    args.get(1..).unwrap_or(&[]),
                );
                self.reach_object(Verb::Read, ObjectKind::LargeObject, args);
                nothing()
            }
            Reach::Setting => {
                let written = args.first().and_then(literal).map(str::to_ascii_lowercase);
                let value = args.get(1).and_then(literal);
                self.speech(written.as_deref(), value);
                if let (Some(name), Some(value)) = (&written, value) {
                    let effect = effect_of_setting(name, value);
                    if effect.object.kind == ObjectKind::Transaction {
                        self.push(effect);
                        return origin.clone();
                    }
                }
                let name = written.or_else(|| self.setting_of_row(args.first()?));
                self.control_setting(name.as_deref());
                origin.clone()
            }
            Reach::ShowsSetting => {
                self.shown_setting(args);
                let name = args.first().and_then(literal).map(str::to_ascii_lowercase);
                join(origin.clone(), &self.value_of_setting(name.as_deref()))
            }
            Reach::Dynamic => self.dynamic(name, origin),
            Reach::Runs => {
                let object = self.object(ObjectKind::Routine, ["pg_catalog", name]);
                self.execute(object);
                Origin::Untraced
            }
            // In the server's own view it is the columns that are told apart.
            Reach::ShowsSettings if self.is_in_view_of_server() => origin.clone(),
            Reach::ShowsSettings => join(origin.clone(), &self.value_of_setting(None)),
            // What a function is run with may be a secret of an application.
            Reach::Definition => match self.credentials_in("pg_proc") {
                true => Origin::Untraced,
                false => origin.clone(),
            },
            Reach::Untraced => {
                self.unresolved = true;
                Origin::Untraced
            }
            Reach::Changes => {
                let slot = args.first().and_then(literal).unwrap_or("?");
                let object = Object::new(ObjectKind::Connection, [slot]);
                self.effect(Verb::TransferOut, object, Extent::All, Certainty::Assumed);
                self.unreadable()
            }
        }
    }

    /// What the value of a setting comes from: of one that is, or may be, a credential of the server's.
    pub(super) fn value_of_setting(&mut self, name: Option<&str>) -> Origin {
        let other = name.is_some_and(|name| !CREDENTIALS.contains(&name));
        match !other && self.credentials_in("pg_settings") {
            true => Origin::Untraced,
            false => nothing(),
        }
    }

    /// True where this relation of the server's shows credentials now: it is noted as read.
    fn credentials_in(&mut self, name: &str) -> bool {
        let all = self.catalog.relations_named(Some("pg_catalog"), name);
        let mut holding = all.iter().filter(|relation| relation.credentials).peekable();
        let any = holding.peek().is_some();
        self.relations.extend(holding.map(|relation| relation.oid));
        self.opaque |= any;
        any
    }

    /// `current_setting(…)`.
    fn shown_setting(&mut self, args: &[Node]) {
        // `(value).current_setting` gives it a name that is not among the arguments.
        let Some(first) = args.first() else { return self.push(unnamed_setting()) };
        // The view lists no setting of an application, so none of its names is one.
        if self.stored_by_server(first).as_ref().is_some_and(is_setting_name) {
            return;
        }
        let effect = match (literal(first), parameter(first)) {
            (Some(name), _) => {
                let object = Object::new(ObjectKind::Setting, [&*name.to_ascii_lowercase()]);
                Effect::resolved(Verb::Read, object, Extent::One)
            }
            (None, Some(number)) => {
                self.parameters.entry(number).or_default().names += 1;
                setting_by_parameter(number)
            }
            (None, None) => unnamed_setting(),
        };
        self.push(effect);
    }

    /// The setting that a row of `pg_settings` is about, where the condition says which.
    fn setting_of_row(&self, node: &Node) -> Option<String> {
        let column = self.stored_by_server(node).filter(is_setting_name)?;
        self.pinned(&column).map(str::to_ascii_lowercase)
    }

    /// Runs a text as a query, or reads relations named by values: cannot be read.
    fn dynamic(&mut self, name: &str, origin: &Origin) -> Origin {
        let object = self.object(ObjectKind::Routine, ["pg_catalog", name]);
        self.execute(object);
        self.sink(origin.clone());
        self.unreadable()
    }

    fn reach_object(&mut self, verb: Verb, kind: ObjectKind, args: &[Node]) {
        let named = args.first().and_then(literal);
        let object = match (kind, named) {
            (ObjectKind::Connection, _) => self.object(kind, []),
            (ObjectKind::Sequence, Some(name)) => self.sequence(name),
            (ObjectKind::File | ObjectKind::Channel, name) => {
                Object::new(kind, [name.unwrap_or("?")])
            }
            (_, name) => self.object(kind, [name.unwrap_or("?")]),
        };
        let sure = named.is_some() || kind == ObjectKind::Connection;
        let certainty = if sure { Certainty::Resolved } else { Certainty::Assumed };
        self.effect(verb, object, Extent::One, certainty);
    }

    /// A sequence named by a text such as `public.orders_id_seq` or `"Orders_id_seq"`.
    fn sequence(&self, text: &str) -> Object {
        let parts = match text.split_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, text),
        };
        let plain = |part: &str| part.trim_matches('"').to_owned();
        let (schema, name) = (parts.0.map(plain), plain(parts.1));
        let found = self.catalog.relations_named(schema.as_deref(), &name);
        match (found.first(), schema) {
            (Some(one), _) if found.len() == 1 => self.relation_object(one),
            (_, schema) => {
                let schema = schema.unwrap_or_else(|| "?".to_owned());
                self.object(ObjectKind::Sequence, [schema.as_str(), name.as_str()])
            }
        }
    }

    /// Changes a setting of the session, by its lower-case name.
    pub(super) fn control_setting(&mut self, name: Option<&str>) {
        let certainty = if name.is_some() { Certainty::Resolved } else { Certainty::Assumed };
        if !matches!(name, Some("role" | "session_authorization")) {
            let object = Object::new(ObjectKind::Setting, [name.unwrap_or("?")]);
            self.effect(Verb::Control, object, Extent::One, certainty);
        }
        // A name that is not known may be that of the current role.
        if matches!(name, None | Some("role" | "session_authorization")) {
            let object = Object::new(ObjectKind::Role, ["?"]);
            self.effect(Verb::Control, object, Extent::One, certainty);
        }
    }
}
