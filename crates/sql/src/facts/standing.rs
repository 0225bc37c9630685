//! Functions of the server that give what one of its views gives, without naming it.

use super::Analyzer;
use crate::statement::GoesBy;
use portcullis_core::effect::{Certainty, Extent, ObjectKind, Verb};

/// The functions behind the views of `pg_catalog` that tell of the server by themselves (those that give
/// rows, and those about single sessions), and the view that each stands for: of several, the one that
/// shows most. From the definitions of the views, PostgreSQL 13 to 18 (`src/backend/catalog/system_views.sql`).
const STANDS_FOR: &[(&str, &str)] = &[
    ("pg_available_extension_versions", "pg_available_extension_versions"),
    ("pg_available_extensions", "pg_available_extensions"),
    ("pg_config", "pg_config"),
    ("pg_cursor", "pg_cursors"),
    ("pg_get_aios", "pg_aios"),
    ("pg_get_backend_memory_contexts", "pg_backend_memory_contexts"),
    ("pg_get_publication_tables", "pg_publication_tables"),
    ("pg_get_replication_slots", "pg_replication_slots"),
    ("pg_get_shmem_allocations", "pg_shmem_allocations"),
    ("pg_get_shmem_allocations_numa", "pg_shmem_allocations_numa"),
    ("pg_get_wait_events", "pg_wait_events"),
    ("pg_hba_file_rules", "pg_hba_file_rules"),
    ("pg_ident_file_mappings", "pg_ident_file_mappings"),
    ("pg_lock_status", "pg_locks"),
    ("pg_mcv_list_items", "pg_stats_ext"),
    ("pg_prepared_statement", "pg_prepared_statements"),
    ("pg_prepared_xact", "pg_prepared_xacts"),
    ("pg_show_all_file_settings", "pg_file_settings"),
    ("pg_show_all_settings", "pg_settings"),
    ("pg_show_replication_origin_status", "pg_replication_origin_status"),
    ("pg_stat_get_activity", "pg_stat_activity"),
    ("pg_stat_get_archiver", "pg_stat_archiver"),
    ("pg_stat_get_io", "pg_stat_io"),
    ("pg_stat_get_progress_info", "pg_stat_progress_vacuum"),
    ("pg_stat_get_recovery_prefetch", "pg_stat_recovery_prefetch"),
    ("pg_stat_get_replication_slot", "pg_stat_replication_slots"),
    ("pg_stat_get_replication_slots", "pg_stat_replication_slots"),
    ("pg_stat_get_slru", "pg_stat_slru"),
    ("pg_stat_get_subscription", "pg_stat_subscription"),
    ("pg_stat_get_subscription_stats", "pg_stat_subscription_stats"),
    ("pg_stat_get_wal", "pg_stat_wal"),
    ("pg_stat_get_wal_receiver", "pg_stat_wal_receiver"),
    ("pg_stat_get_wal_senders", "pg_stat_replication"),
    ("pg_timezone_abbrevs", "pg_timezone_abbrevs"),
    ("pg_timezone_abbrevs_abbrevs", "pg_timezone_abbrevs"),
    ("pg_timezone_abbrevs_zone", "pg_timezone_abbrevs"),
    ("pg_timezone_names", "pg_timezone_names"),
];

/// The view that a function stands for.
fn stands_for(function: &str) -> Option<&'static str> {
    let named = STANDS_FOR.iter().find(|(name, _)| *name == function).map(|(_, view)| *view);
    named.or_else(|| function.starts_with("pg_stat_get_backend_").then_some("pg_stat_activity"))
}

/// True for functions that show what a session, and so whoever has one, can choose at any time without
/// that being a setting or a row. (What nobody can choose is left out: the time, new UUIDs; and what moves
/// by itself: transaction ids, positions in the log. What shows a view is told by the view.)
pub(super) fn shows_sessions(function: &str) -> bool {
    const SHOWN: [&str; 10] = [
        "inet_client_addr",
        "inet_client_port",
        "pg_backend_pid",
        "pg_blocking_pids",
        "pg_is_other_temp_schema",
        "pg_listening_channels",
        "pg_my_temp_schema",
        "pg_notification_queue_usage",
        "random",
        "random_normal",
    ];
    const PREFIXES: [&str; 3] = ["pg_stat_get_", "pg_try_advisory_", "pg_advisory_unlock"];
    PREFIXES.iter().any(|prefix| function.starts_with(prefix)) || SHOWN.contains(&function)
}

/// The same of a view of the server's.
pub(super) fn is_of_sessions(view: &str) -> bool {
    const OF_SESSIONS: [&str; 8] = [
        "pg_aios",
        "pg_backend_memory_contexts",
        "pg_cursors",
        "pg_locks",
        "pg_prepared_statements",
        "pg_prepared_xacts",
        "pg_replication_origin_status",
        "pg_replication_slots",
    ];
    ["pg_stat_", "pg_statio_"].iter().any(|prefix| view.starts_with(prefix))
        || OF_SESSIONS.contains(&view)
}

impl Analyzer<'_> {
    /// True while the definition of one of the server's own views is looked at.
    pub(super) fn is_in_view_of_server(&self) -> bool {
        let own = |oid: &u32| self.catalog.relation(*oid).is_some_and(|r| r.is_system());
        self.views.iter().any(own)
    }

    /// A function of the server shows what a view of it shows: that is read, by whatever name. In one of
    /// the server's own views it is the view that is read.
    pub(super) fn read_by_function(&mut self, function: &str) {
        if self.is_in_view_of_server() {
            return;
        }
        if let Some(view) = stands_for(function) {
            if is_of_sessions(view) {
                self.goes_by = self.goes_by.max(Some(GoesBy::Sessions));
            }
            let object = self.object(ObjectKind::Relation, ["pg_catalog", view]);
            self.effect(Verb::Read, object, Extent::Some, Certainty::Resolved);
            // What it gives and cannot be traced is hidden where the view hides anything.
            let views = self.catalog.relations_named(Some("pg_catalog"), view);
            self.relations.extend(views.iter().map(|view| view.oid));
        }
    }
}
