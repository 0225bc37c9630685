//! What the gateway counts, for Prometheus. Beside the life of a request, which adds to atomics here and
//! does nothing else: what belongs to a connection is looked up once, when its session begins.
//!
//! *Architecture invariant:* no value of a label comes from a caller or a target. Connections are those of the
//! configuration, everything else is a word of a closed list in this program. So nobody can make the gateway
//! keep more series than it has connections, and nothing that an agent chooses is shown to whoever reads.

mod journal;
mod listener;
mod reading;
mod table;

pub(crate) use journal::Timer;
pub(crate) use listener::{MetricsListener, serve};

use journal::Syncs;
use portcullis_core::journal::{Event, JournalError, Status};
use portcullis_core::refusal::RefusalClass;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, Registry};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $one:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[$of])* $one),+ }
        impl $name {
            /// Their words, in the order of their numbers.
            pub(crate) const WORDS: &'static [&'static str] = &[$($word),+];
        }
    };
}

words! {
    /// What became of a request at the gate.
    Verdict {
        /// It ran, and nobody had to be asked.
        Permitted = "permitted",
        /// It ran because people have approved it.
        Approved = "approved",
        /// It ran because people have approved a pattern that it fits.
        ApprovedByPattern = "approved_by_pattern",
        /// It was put to people; how that ended is counted too, once it has.
        Held = "held",
        /// It was refused, by a rule or because the gateway could not do its duty.
        Refused = "refused",
        /// People said no.
        Rejected = "rejected",
        /// Nobody decided in time.
        Expired = "expired",
        /// Its caller took it back while it was held.
        Withdrawn = "withdrawn",
    }
}

words! {
    /// With what somebody came.
    Kind {
        /// At a log-in: a token of an identity provider.
        Token = "token",
        /// At a log-in: a credential of the gateway's own.
        Credential = "credential",
        /// At the API: a bearer token.
        ApiToken = "api_token",
        /// At the API: the session of a browser.
        Browser = "browser_session",
        /// In a browser, at the end of a sign-in.
        SignIn = "sign_in",
    }
}

words! {
    /// Whether it was believed.
    Outcome {
        /// It is known who it is.
        Accepted = "accepted",
        /// It proves nothing.
        Refused = "refused",
        /// It could not be checked.
        Unavailable = "unavailable",
    }
}

const REFUSALS: usize = RefusalClass::ALL.len();
const STATUSES: usize = Status::ALL.len();
const VERDICTS: usize = Verdict::WORDS.len();

/// What is counted of one connection. Adding to it takes no lock and no memory.
#[derive(Debug)]
pub(crate) struct Meters {
    opened: IntCounter,
    requests: [IntCounter; VERDICTS],
    refusals: [IntCounter; REFUSALS],
    outcomes: [IntCounter; STATUSES],
    rows: IntCounter,
    masked: IntCounter,
    decision: Histogram,
    answer: Histogram,
    /// Those of all connections.
    log_ins_refused: [IntCounter; REFUSALS],
}

/// What an entry of the journal is counted as, once it is known whether it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    /// A session was let in.
    Opened,
    /// A session was not let in.
    NotOpened(RefusalClass),
    /// Something is permitted, or held.
    Goes(Verdict),
    /// Something is refused.
    Refused(RefusalClass),
    /// Nothing.
    Nothing,
}

impl Counted {
    /// What is counted of an entry. What the gateway asks by itself is no request.
    pub(crate) const fn of(event: &Event) -> Self {
        match event {
            Event::SessionOpened { .. } => Self::Opened,
            Event::LoginRefused { refusal, .. } => Self::NotOpened(refusal.class),
            Event::Intent { of_gateway: true, .. } => Self::Nothing,
            Event::Intent { review: Some(_), .. } => Self::Goes(Verdict::Approved),
            Event::Intent { pattern: Some(_), .. } => Self::Goes(Verdict::ApprovedByPattern),
            Event::Intent { .. } => Self::Goes(Verdict::Permitted),
            Event::Held { .. } => Self::Goes(Verdict::Held),
            Event::Refused { refusal, .. } => Self::Refused(refusal.class),
            _ => Self::Nothing,
        }
    }
}

impl Meters {
    /// Counts what was to be recorded. What could not be is refused, by that.
    pub(crate) fn recorded<T>(&self, counted: Counted, taken: &Result<T, JournalError>) {
        match taken {
            Ok(_) => self.taken(counted),
            // That is recorded in other words, and counted then.
            Err(JournalError::TooLarge(_)) => {}
            Err(_) => self.unbegun(counted),
        }
    }

    fn taken(&self, counted: Counted) {
        match counted {
            Counted::Opened => self.opened.inc(),
            Counted::NotOpened(class) => add(&self.log_ins_refused, class as usize, 1),
            Counted::Goes(verdict) => add(&self.requests, verdict as usize, 1),
            Counted::Refused(class) => self.refused(class),
            Counted::Nothing => {}
        }
    }

    /// Counts what could not be recorded, and so is refused.
    pub(crate) fn unbegun(&self, counted: Counted) {
        let class = RefusalClass::Unavailable;
        match counted {
            Counted::Opened | Counted::NotOpened(_) => self.taken(Counted::NotOpened(class)),
            Counted::Goes(_) | Counted::Refused(_) => self.refused(class),
            Counted::Nothing => {}
        }
    }

    fn refused(&self, class: RefusalClass) {
        let verdict = match class {
            RefusalClass::Rejected => Verdict::Rejected,
            RefusalClass::Expired => Verdict::Expired,
            RefusalClass::Withdrawn => Verdict::Withdrawn,
            _ => Verdict::Refused,
        };
        add(&self.requests, verdict as usize, 1);
        add(&self.refusals, class as usize, 1);
    }

    /// What became of a request that was permitted.
    pub(crate) fn ended(&self, status: Status, (rows, masked): (u64, u64), micros: u64) {
        add(&self.outcomes, status as usize, 1);
        self.rows.inc_by(rows);
        self.masked.inc_by(masked);
        self.answer.observe(Duration::from_micros(micros).as_secs_f64());
    }

    /// How long the gateway took to decide on a request.
    pub(crate) fn decided(&self, took: Duration) {
        self.decision.observe(took.as_secs_f64());
    }
}

fn add(counters: &[IntCounter], which: usize, count: u64) {
    if let Some(counter) = counters.get(which) {
        counter.inc_by(count);
    }
}

/// All that is counted.
pub(crate) struct Metrics {
    registry: Registry,
    by_connection: ByConnection,
    /// Those that were asked for, by connection.
    meters: Mutex<HashMap<String, Arc<Meters>>>,
    authentications: IntCounterVec,
    log_ins_refused: IntCounterVec,
    syncs: Arc<Syncs>,
    /// What is looked up when somebody reads: one at a time.
    gauges: tokio::sync::Mutex<reading::Gauges>,
}

/// What has a series for each connection.
struct ByConnection {
    opened: IntCounterVec,
    requests: IntCounterVec,
    refusals: IntCounterVec,
    outcomes: IntCounterVec,
    rows: IntCounterVec,
    masked: IntCounterVec,
    decision: HistogramVec,
    answer: HistogramVec,
}

impl ByConnection {
    fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            opened: table::SESSIONS_OPENED.counters(registry)?,
            requests: table::REQUESTS.counters(registry)?,
            refusals: table::REFUSALS.counters(registry)?,
            outcomes: table::OUTCOMES.counters(registry)?,
            rows: table::ROWS.counters(registry)?,
            masked: table::MASKED.counters(registry)?,
            decision: table::DECISION.histograms(registry)?,
            answer: table::ANSWER.histograms(registry)?,
        })
    }

    fn of(&self, connection: &str, log_ins_refused: &IntCounterVec) -> Meters {
        let one = |counters: &IntCounterVec| counters.with_label_values(&[connection]);
        let word =
            |counters: &IntCounterVec, word: &str| counters.with_label_values(&[connection, word]);
        let verdict = |n| word(&self.requests, Verdict::WORDS.get(n).copied().unwrap_or_default());
        Meters {
            opened: one(&self.opened),
            requests: std::array::from_fn(verdict),
            refusals: RefusalClass::ALL.map(|class| word(&self.refusals, class.as_str())),
            outcomes: Status::ALL.map(|status| word(&self.outcomes, status.as_str())),
            rows: one(&self.rows),
            masked: one(&self.masked),
            decision: self.decision.with_label_values(&[connection]),
            answer: self.answer.with_label_values(&[connection]),
            log_ins_refused: RefusalClass::ALL
                .map(|class| log_ins_refused.with_label_values(&[class.as_str()])),
        }
    }

    /// Forgets a connection.
    fn remove(&self, connection: &str) {
        // One that is not there has been removed.
        let word = |counters: &IntCounterVec, word: &str| {
            let _ = counters.remove_label_values(&[connection, word]);
        };
        for counters in [&self.opened, &self.rows, &self.masked] {
            let _ = counters.remove_label_values(&[connection]);
        }
        Verdict::WORDS.iter().for_each(|verdict| word(&self.requests, verdict));
        RefusalClass::ALL.iter().for_each(|class| word(&self.refusals, class.as_str()));
        Status::ALL.iter().for_each(|status| word(&self.outcomes, status.as_str()));
        for histograms in [&self.decision, &self.answer] {
            let _ = histograms.remove_label_values(&[connection]);
        }
    }
}

impl Metrics {
    /// Nothing is counted yet.
    ///
    /// # Errors
    /// Where two of the table have one name.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let metrics = Self {
            by_connection: ByConnection::new(&registry)?,
            meters: Mutex::default(),
            authentications: table::AUTHENTICATIONS.counters(&registry)?,
            log_ins_refused: table::LOG_INS_REFUSED.counters(&registry)?,
            syncs: Arc::new(Syncs::new(table::JOURNAL_SYNC.histogram(&registry)?)),
            gauges: tokio::sync::Mutex::new(reading::Gauges::new(&registry)?),
            registry,
        };
        for kind in Kind::WORDS {
            for outcome in Outcome::WORDS {
                metrics.authentications.with_label_values(&[*kind, *outcome]);
            }
        }
        for class in RefusalClass::ALL {
            metrics.log_ins_refused.with_label_values(&[class.as_str()]);
        }
        Ok(metrics)
    }

    /// What is counted of a connection of the configuration.
    pub(crate) fn of(&self, connection: &str) -> Arc<Meters> {
        // It is whole after every operation on it.
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(meters) = meters.get(connection) {
            return meters.clone();
        }
        let made = Arc::new(self.by_connection.of(connection, &self.log_ins_refused));
        meters.insert(connection.to_owned(), made.clone());
        made
    }

    /// There are these connections, and no others but for sessions that go on.
    fn keep<'c>(&self, connections: impl Iterator<Item = &'c str> + Clone) {
        connections.clone().for_each(|connection| drop(self.of(connection)));
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        meters.retain(|known, meters| {
            let stays = Arc::strong_count(meters) > 1 || connections.clone().any(|c| c == known);
            if !stays {
                self.by_connection.remove(known);
            }
            stays
        });
    }

    /// Somebody has shown who it is, or tried to.
    pub(crate) fn authenticated(&self, kind: Kind, outcome: Outcome) {
        let word = |words: &[&'static str], n: usize| words.get(n).copied().unwrap_or_default();
        let labels = [word(Kind::WORDS, kind as usize), word(Outcome::WORDS, outcome as usize)];
        self.authentications.with_label_values(&labels).inc();
    }

    /// A log-in came to nothing.
    pub(crate) fn log_in_refused(&self, class: RefusalClass) {
        self.log_ins_refused.with_label_values(&[class.as_str()]).inc();
    }

    /// A clock for the storage of the journal.
    pub(crate) fn timer(&self) -> Timer {
        Timer(self.syncs.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::table::Metric;
    use super::*;
    use prometheus::TextEncoder;
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    /// The names of all there is.
    fn names() -> Vec<&'static str> {
        table::ALL.iter().map(|metric: &&Metric| metric.name).collect()
    }

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    fn file(name: &str) -> String {
        std::fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The metrics that a text names; of those of a histogram, the histogram.
    fn named(text: &str) -> BTreeSet<String> {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words = text.split(|c| !word(c)).filter(|word| word.starts_with("portcullis_"));
        let histogram = |word: &str| {
            let of = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end));
            let of = of.filter(|of| table::ALL.iter().any(|m| m.name == *of && m.is_histogram()));
            of.unwrap_or(word).to_owned()
        };
        words.map(histogram).collect()
    }

    #[test]
    fn dashboards_and_alerts_ask_for_what_there_is() {
        let dashboard = file("deploy/grafana/portcullis.json");
        let parsed: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
        for panel in parsed["panels"].as_array().unwrap() {
            if panel["type"] == "row" {
                continue;
            }
            for target in panel["targets"].as_array().unwrap() {
                let asks = named(target["expr"].as_str().unwrap());
                assert!(!asks.is_empty(), "{} asks for nothing of ours", panel["title"]);
            }
        }
        let alerts = file("deploy/prometheus/alerts.yaml");
        assert!(named(&alerts).len() >= 6, "{:?}", named(&alerts));
        for name in named(&dashboard).union(&named(&alerts)) {
            assert!(names().contains(&name.as_str()), "there is no {name}");
        }
        assert!(
            !names().contains(&"portcullis_nothing") && named("x portcullis_nothing").len() == 1
        );
    }

    /// `PORTCULLIS_BLESS=1` writes it.
    #[test]
    fn the_reference_is_that_of_the_table() {
        let (name, text) = ("docs/reference/metrics.md", table::reference());
        if std::env::var_os("PORTCULLIS_BLESS").is_some() {
            std::fs::write(root().join(name), text).unwrap();
            return;
        }
        assert!(file(name) == text, "{name} is out of date: PORTCULLIS_BLESS=1 writes it");
    }

    fn text(metrics: &Metrics) -> String {
        TextEncoder::new().encode_to_string(&metrics.registry.gather()).unwrap()
    }

    fn has(text: &str, line: &str) {
        assert!(text.lines().any(|one| one == line), "no {line} in\n{text}");
    }

    #[test]
    fn words_are_those_of_the_journal() {
        for (n, class) in RefusalClass::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, n);
            assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
        }
        for (n, status) in Status::ALL.into_iter().enumerate() {
            assert_eq!(status as usize, n);
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }

    #[test]
    fn a_request_is_counted_when_it_is_known_whether_its_record_was_kept() {
        let metrics = Metrics::new().unwrap();
        let meters = metrics.of("shop");
        let (kept, lost): (Result<(), _>, Result<(), _>) = (Ok(()), Err(JournalError::Full));
        meters.recorded(Counted::Opened, &kept);
        meters.recorded(Counted::Opened, &lost);
        meters.recorded(Counted::Goes(Verdict::Permitted), &kept);
        meters.recorded(Counted::Goes(Verdict::Permitted), &lost);
        meters.recorded(Counted::Goes(Verdict::Held), &Err::<(), _>(JournalError::TooLarge(9)));
        meters.recorded(Counted::Refused(RefusalClass::Limit), &kept);
        meters.recorded(Counted::Refused(RefusalClass::Policy), &lost);
        meters.recorded(Counted::Refused(RefusalClass::Expired), &kept);
        meters.ended(Status::Done, (3, 2), 1_500);
        let text = text(&metrics);
        for (labels, count) in [
            ("sessions_opened_total{connection=\"shop\"}", 1),
            ("requests_total{connection=\"shop\",verdict=\"permitted\"}", 1),
            ("requests_total{connection=\"shop\",verdict=\"held\"}", 0),
            ("requests_total{connection=\"shop\",verdict=\"refused\"}", 3),
            ("requests_total{connection=\"shop\",verdict=\"expired\"}", 1),
            ("refusals_total{class=\"unavailable\",connection=\"shop\"}", 2),
            ("refusals_total{class=\"limit\",connection=\"shop\"}", 1),
            ("refusals_total{class=\"policy\",connection=\"shop\"}", 0),
            ("rows_total{connection=\"shop\"}", 3),
            ("masked_values_total{connection=\"shop\"}", 2),
            ("answer_seconds_bucket{connection=\"shop\",le=\"0.001\"}", 0),
            ("answer_seconds_bucket{connection=\"shop\",le=\"0.0025\"}", 1),
        ] {
            has(&text, &format!("portcullis_{labels} {count}"));
        }
    }

    #[test]
    fn what_is_no_connection_any_more_is_forgotten_with_its_last_session() {
        let metrics = Metrics::new().unwrap();
        let session = metrics.of("shop");
        metrics.keep(["shop", "other"].into_iter());
        metrics.keep(["other"].into_iter());
        assert!(text(&metrics).contains("connection=\"shop\""), "a session of it goes on");
        drop(session);
        metrics.keep(["other"].into_iter());
        let text = text(&metrics);
        assert!(!text.contains("connection=\"shop\""), "{text}");
        assert!(text.contains("connection=\"other\""), "{text}");
    }

    #[test]
    fn all_that_is_exposed_is_in_the_table_with_its_kind_and_meaning() {
        let metrics = Metrics::new().unwrap();
        metrics.keep(["shop"].into_iter());
        let text = text(&metrics);
        for metric in table::ALL {
            let Metric { name, help, .. } = metric;
            assert!(name.starts_with("portcullis_"), "{name}");
            if metric.is_gauge() {
                let gauges = metrics.gauges.try_lock().unwrap();
                assert!(gauges.has(metric), "{name} is never set");
                continue;
            }
            has(&text, &format!("# HELP {name} {help}"));
            has(&text, &format!("# TYPE {name} {}", metric.kind_word()));
        }
        for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
            let name = line.split(' ').nth(2).unwrap();
            assert!(names().contains(&name), "{name} is not in the table");
        }
    }
}
