//! The table of all metrics: what is registered, and what `docs/reference/metrics.md` says.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, Result,
};

/// One metric.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    kind: Kind,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

/// What a metric is.
#[derive(Debug)]
enum Kind {
    /// It only grows while the gateway runs.
    Counter,
    /// It is looked up when somebody reads.
    Gauge,
    /// How long things took, in seconds, by these upper bounds.
    Histogram(&'static [f64]),
}

impl Metric {
    fn options(&self) -> Opts {
        Opts::new(self.name, self.help)
    }

    pub(super) fn counters(&self, registry: &Registry) -> Result<IntCounterVec> {
        let counters = IntCounterVec::new(self.options(), self.labels)?;
        registry.register(Box::new(counters.clone()))?;
        Ok(counters)
    }

    pub(super) fn gauges(&self, registry: &Registry) -> Result<IntGaugeVec> {
        let gauges = IntGaugeVec::new(self.options(), self.labels)?;
        registry.register(Box::new(gauges.clone()))?;
        Ok(gauges)
    }

    fn histogram_options(&self) -> HistogramOpts {
        let Kind::Histogram(buckets) = self.kind else { return self.options().into() };
        HistogramOpts::from(self.options()).buckets(buckets.to_vec())
    }

    pub(super) fn histograms(&self, registry: &Registry) -> Result<HistogramVec> {
        let histograms = HistogramVec::new(self.histogram_options(), self.labels)?;
        registry.register(Box::new(histograms.clone()))?;
        Ok(histograms)
    }

    pub(super) fn histogram(&self, registry: &Registry) -> Result<Histogram> {
        let histogram = Histogram::with_opts(self.histogram_options())?;
        registry.register(Box::new(histogram.clone()))?;
        Ok(histogram)
    }
}

/// The reference, as it is in the documentation.
#[cfg(test)]
pub(super) fn reference() -> String {
    use super::{Kind as Came, Outcome, Verdict};
    use crate::readiness::Reason;
    use portcullis_core::journal::Status;
    use portcullis_core::refusal::RefusalClass;
    let listed = |words: &[&str]| {
        words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
    };
    let mut text = "# Metrics\n\nWhat `/metrics` tells, in the text format of Prometheus, where `[listen.metrics]` \
        is set ([how to](../how-to/watch-with-prometheus.md)). Rendered from \
        `crates/gateway/src/metrics/table.rs`.\n\nCounters count from the start of the gateway, but for \
        `portcullis_journal_entries_total`, which is the size of the journal. Of several gateways on one store each \
        tells the same of what is in the store (`reviews`, `notifications`, `freezes`): take `max`, not `sum`.\n\n\
        | metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n"
        .to_owned();
    for metric in ALL {
        let (name, kind, labels) = (metric.name, metric.kind_word(), listed(metric.labels));
        text += &format!("| `{name}` | {kind} | {labels} | {} |\n", metric.help);
    }
    text += "\n## Labels\n\nNo value of a label comes from a caller or a target: no principal, no statement, no \
        object.\n\n| label | values |\n| --- | --- |\n| `connection` | the names of the connections in force |\n\
        | `version` | that of the gateway |\n| `protocol` | `postgres` |\n\
        | `receiver` | the names of `[[export]]` |\n| `state` | `waiting`, `late`, `failed` |\n";
    let words = [
        ("verdict", Verdict::WORDS.to_vec()),
        ("class", RefusalClass::ALL.map(RefusalClass::as_str).to_vec()),
        ("status", Status::ALL.map(Status::as_str).to_vec()),
        ("kind", Came::WORDS.to_vec()),
        ("outcome", Outcome::WORDS.to_vec()),
        ("reason", Reason::ALL.map(Reason::word).to_vec()),
    ];
    for (label, words) in words {
        text += &format!("| `{label}` | {} |\n", listed(&words));
    }
    text
}

#[cfg(test)]
impl Metric {
    pub(super) const fn is_histogram(&self) -> bool {
        matches!(self.kind, Kind::Histogram(_))
    }

    pub(super) const fn is_gauge(&self) -> bool {
        matches!(self.kind, Kind::Gauge)
    }

    pub(super) const fn kind_word(&self) -> &'static str {
        match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        }
    }
}

const DECISIONS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
];
const ANSWERS: &[f64] = &[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 300.0,
];
const SYNCS: &[f64] =
    &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];

macro_rules! table {
    ($($name:ident = $metric:literal, $kind:expr, [$($label:literal),*], $help:literal;)+) => {
        $(pub(super) static $name: Metric =
            Metric { name: $metric, kind: $kind, labels: &[$($label),*], help: $help };)+
        /// All of them, in the order of the documentation.
        #[cfg(test)]
        pub(super) const ALL: &[&Metric] = &[$(&$name),+];
    };
}

table! {
    BUILD = "portcullis_build_info", Kind::Gauge, ["version"],
        "Always 1; the version of the gateway is in the label.";
    STARTED = "portcullis_start_time_seconds", Kind::Gauge, [],
        "When the gateway was started, in seconds since 1970.";
    READY = "portcullis_ready", Kind::Gauge, [],
        "1 where requests are taken, as /readyz says; else 0.";
    NOT_READY = "portcullis_not_ready_reason", Kind::Gauge, ["reason"],
        "1 for what keeps requests from being taken now; else 0.";
    CONNECTION = "portcullis_connection_info", Kind::Gauge, ["connection", "protocol"],
        "Always 1, for each connection there is; its protocol is in the label.";
    SESSIONS_OPEN = "portcullis_sessions_open", Kind::Gauge, ["connection"],
        "Sessions there are now, those that are logging in among them.";
    SESSIONS_OPENED = "portcullis_sessions_opened_total", Kind::Counter, ["connection"],
        "Sessions that were let in.";
    LOG_INS_REFUSED = "portcullis_log_ins_refused_total", Kind::Counter, ["class"],
        "Log-ins that were refused, by the class of the refusal.";
    AUTHENTICATIONS = "portcullis_authentications_total", Kind::Counter, ["kind", "outcome"],
        "Attempts to show who one is: with what, and whether it was believed.";
    REQUESTS = "portcullis_requests_total", Kind::Counter, ["connection", "verdict"],
        "Requests by what became of them at the gate. One that is held is counted as held, and again by how that ended.";
    REFUSALS = "portcullis_refusals_total", Kind::Counter, ["connection", "class"],
        "Requests that did not run, by the class of what their callers were told.";
    WAITING_HERE = "portcullis_sessions_held", Kind::Gauge, ["connection"],
        "Sessions of this gateway with a request that waits for people.";
    REVIEWS_WAITING = "portcullis_reviews_waiting", Kind::Gauge, [],
        "Requests that wait for people, of all gateways on the store.";
    REVIEWS_OLDEST = "portcullis_reviews_oldest_age_seconds", Kind::Gauge, [],
        "How long the one of them has waited that waits longest; 0 where none waits.";
    DECISION = "portcullis_decision_seconds", Kind::Histogram(DECISIONS), ["connection"],
        "From a request being there to its verdict being recorded: reading, judging, journal. Not what people take.";
    ANSWER = "portcullis_answer_seconds", Kind::Histogram(ANSWERS), ["connection"],
        "From a permitted request being forwarded to the end of its answer: mostly the target's own time.";
    OUTCOMES = "portcullis_outcomes_total", Kind::Counter, ["connection", "status"],
        "How requests ended that were permitted or rehearsed, those of the gateway's own (estimates) among them.";
    ROWS = "portcullis_rows_total", Kind::Counter, ["connection"],
        "Rows that were returned.";
    MASKED = "portcullis_masked_values_total", Kind::Counter, ["connection"],
        "Values that were masked.";
    JOURNAL_ENTRIES = "portcullis_journal_entries_total", Kind::Counter, [],
        "Entries the journal has, those from before the gateway was started among them.";
    JOURNAL_SYNC = "portcullis_journal_sync_seconds", Kind::Histogram(SYNCS), [],
        "How long putting the journal on stable storage took.";
    JOURNAL_SYNCED = "portcullis_journal_last_sync_age_seconds", Kind::Gauge, [],
        "How long ago that was done last. It grows while there is nothing to record.";
    JOURNAL_FAILED = "portcullis_journal_failed", Kind::Gauge, [],
        "1 where the journal takes nothing any more, so that nothing runs; else 0.";
    DISK_FREE = "portcullis_disk_free_bytes", Kind::Gauge, [],
        "Free bytes of the disk that the record is on; nothing where the system does not tell.";
    DISK_LOW = "portcullis_disk_low_bytes", Kind::Gauge, [],
        "Below so many free bytes somebody should make room (journal.disk_low_mib).";
    DISK_RESERVE = "portcullis_disk_reserve_bytes", Kind::Gauge, [],
        "Below so many free bytes nothing new runs (journal.disk_reserve_mib).";
    DISK_FULL = "portcullis_disk_full", Kind::Gauge, [],
        "1 where nothing new runs for want of room; else 0.";
    STORE = "portcullis_store_reachable", Kind::Gauge, [],
        "1 where the store answers and may be gone by; else 0.";
    NOTIFICATIONS = "portcullis_notifications", Kind::Gauge, ["state"],
        "Notifications that are to be sent (waiting), to be sent again since an attempt failed (late), or were given up (failed).";
    EXPORT_ENTRIES = "portcullis_export_lag_entries", Kind::Gauge, ["receiver"],
        "Entries of the journal that a receiver of [[export]] has not taken yet.";
    EXPORT_SECONDS = "portcullis_export_lag_seconds", Kind::Gauge, ["receiver"],
        "How long ago the first of them happened; 0 where there is none.";
    EXPORT_FAILED = "portcullis_export_failed_attempts", Kind::Gauge, ["receiver"],
        "Attempts that have failed since the receiver took something; 0 where the last one has not.";
    EXPORT_STOPPED = "portcullis_export_stopped", Kind::Gauge, ["receiver"],
        "1 where nothing more is sent until somebody has looked; else 0.";
    EXPORT_WITHHELD = "portcullis_export_withheld_entries", Kind::Gauge, ["receiver"],
        "Entries since the start of which the receiver was told that there is one and no more, since it takes no such entry, or that it says it has thrown away.";
    RETENTION_ENTRIES = "portcullis_retention_removed_entries", Kind::Gauge, [],
        "Entries of the journal since the start of which the rules of [[retention]] have removed what they say.";
    RETENTION_RECORDINGS = "portcullis_retention_removed_recordings", Kind::Gauge, [],
        "Recordings that they have removed since the start.";
    RETENTION_WAITING = "portcullis_retention_waiting_entries", Kind::Gauge, [],
        "Entries that are due to be removed, and that a receiver of [[export]] has not read yet.";
    RETENTION_FAILED = "portcullis_retention_failed", Kind::Gauge, [],
        "1 where the last attempt to remove what is due has failed; else 0.";
    FREEZES = "portcullis_freezes", Kind::Gauge, [],
        "Freezes in force; nothing where nobody knows, and agents do nothing.";
}
