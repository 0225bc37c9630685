//! What is looked up when somebody reads the metrics: from where it is kept anyway.

use super::{Metrics, table};
use crate::live::State;
use crate::moment::now;
use crate::readiness::{Reason, reasons};
use crate::services::Services;
use prometheus::{IntCounter, IntCounterVec, IntGaugeVec, Registry, Result, TextEncoder};
use std::time::{SystemTime, UNIX_EPOCH};

/// What is looked up.
pub(super) struct Gauges {
    entries: IntCounter,
    started: i64,
    all: Vec<(&'static str, IntGaugeVec)>,
}

impl Gauges {
    pub(super) fn new(registry: &Registry) -> Result<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let entries: IntCounterVec = table::JOURNAL_ENTRIES.counters(registry)?;
        let all = [
            &table::BUILD,
            &table::STARTED,
            &table::READY,
            &table::NOT_READY,
            &table::CONNECTION,
            &table::SESSIONS_OPEN,
            &table::WAITING_HERE,
            &table::REVIEWS_WAITING,
            &table::REVIEWS_OLDEST,
            &table::JOURNAL_SYNCED,
            &table::JOURNAL_FAILED,
            &table::DISK_FREE,
            &table::DISK_LOW,
            &table::DISK_RESERVE,
            &table::DISK_FULL,
            &table::STORE,
            &table::NOTIFICATIONS,
            &table::EXPORT_ENTRIES,
            &table::EXPORT_SECONDS,
            &table::EXPORT_FAILED,
            &table::EXPORT_STOPPED,
            &table::EXPORT_WITHHELD,
            &table::RETENTION_ENTRIES,
            &table::RETENTION_RECORDINGS,
            &table::RETENTION_WAITING,
            &table::RETENTION_FAILED,
            &table::FREEZES,
        ];
        let all = all.into_iter().map(|metric| Ok((metric.name, metric.gauges(registry)?)));
        Ok(Self {
            entries: entries.with_label_values::<&str>(&[]),
            started: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            all: all.collect::<Result<_>>()?,
        })
    }

    /// Sets one series. A metric that the table has and this list has not stays unknown, which a test finds.
    fn set(&self, metric: &table::Metric, labels: &[&str], value: impl TryInto<i64>) {
        if let Some((_, gauges)) = self.all.iter().find(|(name, _)| *name == metric.name) {
            gauges.with_label_values(labels).set(value.try_into().unwrap_or(i64::MAX));
        }
    }

    /// Whether it is one of them.
    #[cfg(test)]
    pub(super) fn has(&self, metric: &table::Metric) -> bool {
        self.all.iter().any(|(name, _)| *name == metric.name)
    }

    fn look(&self, services: &Services) {
        // What is not known now is not said.
        self.all.iter().for_each(|(_, gauges)| gauges.reset());
        self.set(&table::BUILD, &[env!("CARGO_PKG_VERSION")], 1);
        self.set(&table::STARTED, &[], self.started);
        let reasons = reasons(services);
        self.set(&table::READY, &[], i64::from(reasons.is_empty()));
        for reason in Reason::ALL {
            self.set(&table::NOT_READY, &[reason.word()], i64::from(reasons.contains(&reason)));
        }
        self.sessions(services);
        self.journal(services);
        self.store(services);
        self.exports(services);
        self.retention(services);
        if let Ok(freezes) = services.freezes.view().in_force().freezes {
            let at = now();
            let in_force = freezes.iter().filter(|freeze| at < freeze.until).count();
            self.set(&table::FREEZES, &[], in_force as u64);
        }
    }

    fn sessions(&self, services: &Services) {
        let generation = services.now();
        for name in generation.connections.keys() {
            self.set(&table::CONNECTION, &[name, "postgres"], 1);
            self.set(&table::SESSIONS_OPEN, &[name], 0);
            self.set(&table::WAITING_HERE, &[name], 0);
        }
        for (connection, (open, held)) in
            services.sessions.tally(|state| state == State::Held || state == State::Rehearsing)
        {
            self.set(&table::SESSIONS_OPEN, &[&connection], open);
            self.set(&table::WAITING_HERE, &[&connection], held);
        }
    }

    fn journal(&self, services: &Services) {
        let known = self.entries.get();
        self.entries.inc_by(services.ledger.written().saturating_sub(known));
        self.set(&table::JOURNAL_SYNCED, &[], services.metrics.syncs.age().as_secs());
        self.set(&table::JOURNAL_FAILED, &[], i64::from(services.ledger.health().is_err()));
        let disk = &services.disk;
        if let Some(free) = disk.free() {
            self.set(&table::DISK_FREE, &[], free);
        }
        self.set(&table::DISK_LOW, &[], disk.thresholds().low);
        self.set(&table::DISK_RESERVE, &[], disk.thresholds().reserve);
        self.set(&table::DISK_FULL, &[], i64::from(disk.is_full()));
    }

    fn exports(&self, services: &Services) {
        for (name, standing) in services.exports.all() {
            let seen = standing.seen();
            let behind = services.ledger.written().saturating_sub(seen.next);
            self.set(&table::EXPORT_ENTRIES, &[name], behind);
            self.set(&table::EXPORT_SECONDS, &[name], seen.waits.as_secs());
            self.set(&table::EXPORT_FAILED, &[name], seen.failed);
            let stopped = seen.trouble.is_some_and(|(_, stopped)| stopped);
            self.set(&table::EXPORT_STOPPED, &[name], i64::from(stopped));
            self.set(&table::EXPORT_WITHHELD, &[name], seen.withheld);
        }
    }

    fn retention(&self, services: &Services) {
        let seen = services.removing.seen();
        self.set(&table::RETENTION_ENTRIES, &[], seen.entries);
        self.set(&table::RETENTION_RECORDINGS, &[], seen.recordings);
        self.set(&table::RETENTION_WAITING, &[], seen.waiting);
        self.set(&table::RETENTION_FAILED, &[], i64::from(seen.trouble.is_some()));
    }

    fn store(&self, services: &Services) {
        let seen = services.store_watch.seen();
        self.set(&table::STORE, &[], i64::from(seen.answers));
        if let Some((count, oldest)) = seen.reviews {
            let age = oldest.map_or(0, |oldest| now().since(oldest).as_secs());
            self.set(&table::REVIEWS_WAITING, &[], count);
            self.set(&table::REVIEWS_OLDEST, &[], age);
        }
        if let Some(standing) = seen.notifications {
            for (state, count) in
                [("waiting", standing.due), ("late", standing.late), ("failed", standing.failed)]
            {
                self.set(&table::NOTIFICATIONS, &[state], count);
            }
        }
    }
}

impl Metrics {
    /// All there is to tell now, in the text format of Prometheus, version 0.0.4.
    ///
    /// # Errors
    /// Where a series is not what its metric is.
    pub(super) async fn exposition(&self, services: &Services) -> Result<String> {
        let gauges = self.gauges.lock().await;
        let generation = services.now();
        self.keep(generation.connections.keys().map(String::as_str));
        gauges.look(services);
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}
