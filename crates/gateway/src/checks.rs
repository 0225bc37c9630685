//! Looks that take a while, and that people ask for from a page or by the API: one of a kind at a time, and
//! what the last one found is kept. Beside the life of a request.

use crate::cli::Verified;
use crate::config::Connection;
use crate::doctor::{self, Finding, Findings, Status};
use crate::moment::now;
use crate::services::Services;
use portcullis_core::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a look at everything may take: targets that do not answer take their time.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long nobody looks after a look: one who asks again and again has targets dialed no more often. One that is
/// begun sooner waits.
const REST: Duration = Duration::from_secs(5);

/// What a gateway can be asked to look at.
#[derive(Default)]
pub(crate) struct Checks {
    /// Everything it needs.
    pub(crate) health: Job<Examined>,
    /// What was found of each connection, when it was looked at last.
    pub(crate) connections: Connections,
    /// Its record.
    pub(crate) record: Job<Verified>,
}

/// Work of which there is one at a time.
pub(crate) struct Job<T>(Arc<Mutex<State<T>>>);

struct State<T> {
    since: Option<Timestamp>,
    /// When the last one ended.
    ended: Option<Instant>,
    last: Option<Arc<T>>,
}

impl<T> Default for Job<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State { since: None, ended: None, last: None })))
    }
}

/// The one that is at it. Where it is dropped, the next may begin.
pub(crate) struct Turn<T>(Arc<Mutex<State<T>>>);

fn state<T>(of: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    // Each of its fields is whole by itself.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Job<T> {
    /// Since when somebody is at it, and what was found the last time.
    pub(crate) fn stands(&self) -> (Option<Timestamp>, Option<Arc<T>>) {
        let state = state(&self.0);
        (state.since, state.last.clone())
    }

    /// Begins; none where somebody is at it.
    pub(crate) fn begin(&self, now: Timestamp) -> Option<Turn<T>> {
        let mut state = state(&self.0);
        if state.since.is_some() {
            return None;
        }
        state.since = Some(now);
        Some(Turn(self.0.clone()))
    }
}

impl<T> Turn<T> {
    /// How long it is until so much time has gone by since the last one ended.
    fn rest(&self, least: Duration) -> Duration {
        let ended = state(&self.0).ended;
        ended.map(|ended| least.saturating_sub(ended.elapsed())).unwrap_or_default()
    }

    /// What was found.
    pub(crate) fn ends(self, found: T) {
        state(&self.0).last = Some(Arc::new(found));
    }
}

impl<T> Drop for Turn<T> {
    fn drop(&mut self) {
        let mut state = state(&self.0);
        (state.since, state.ended) = (None, Some(Instant::now()));
    }
}

/// What was found of each connection the last time it was looked at, which a look that did not come as far
/// leaves as it was.
#[derive(Default)]
pub(crate) struct Connections(Mutex<BTreeMap<String, Looked>>);

#[derive(Debug, Clone)]
struct Looked {
    /// When that look at everything began.
    look: Timestamp,
    /// Where the connection led then: by a document it may lead elsewhere since.
    led_to: String,
    findings: Vec<Finding>,
}

impl Connections {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Looked>> {
        // The map is whole after every operation on it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was found by the look that began then; with where the connection it is about leads.
    fn found(&self, look: Timestamp, finding: &Finding, led_to: impl Fn(&str) -> Option<String>) {
        let Some(name) = finding.about.as_ref() else { return };
        let mut all = self.all();
        let known = all.get_mut(name).filter(|known| known.look == look);
        match (known, finding.check) {
            (Some(known), "targets" | "certificates") => known.findings.push(finding.clone()),
            (None, "targets") => {
                let led_to = led_to(name).unwrap_or_default();
                let findings = vec![finding.clone()];
                all.insert(name.clone(), Looked { look, led_to, findings });
            }
            _ => {}
        }
    }

    /// The look that began then has come to its end: what it has not met is there no more.
    fn ends(&self, look: Timestamp) {
        self.all().retain(|_, known| known.look == look);
    }

    /// When it was looked at last whether the target answers to which a connection leads, and what was found
    /// then.
    pub(crate) fn of(&self, name: &str, leads_to: &str) -> (Option<Timestamp>, Vec<Finding>) {
        let all = self.all();
        let known = all.get(name).filter(|known| known.led_to == leads_to);
        let findings = known.map(|known| known.findings.clone()).unwrap_or_default();
        (findings.iter().map(|finding| finding.at).max(), findings)
    }
}

/// What a look at everything has found.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Examined {
    /// When it began.
    pub(crate) at: Timestamp,
    /// How long it took, in milliseconds.
    pub(crate) milliseconds: u64,
    /// The worst of the findings.
    pub(crate) status: Status,
    /// In the order of looking.
    pub(crate) findings: Vec<Finding>,
}

/// Where a connection leads, for comparing.
pub(crate) fn leads_to(connection: &Connection) -> String {
    let target = &connection.target;
    format!("{}:{}/{}", target.host, target.port, target.database)
}

/// Looks at everything a running gateway needs, unless that is being done; true where it begins now.
pub(crate) fn look_at_everything(services: &Arc<Services>) -> bool {
    let Some(turn) = services.checks.health.begin(now()) else { return false };
    let services = services.clone();
    tokio::spawn(async move {
        let mut stopping: watch::Receiver<bool> = services.stopping.clone();
        tokio::select! {
            () = tokio::time::sleep(turn.rest(REST)) => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        let (at, began) = (now(), Instant::now());
        let mut findings = Vec::new();
        let connections = &services.checks.connections;
        let generation = services.now();
        let led_to = |name: &str| {
            generation.connections.get(name).map(|connection| leads_to(&connection.settings))
        };
        let mut tell = |finding: &Finding| {
            connections.found(at, finding, led_to);
            findings.push(finding.clone());
        };
        let looked = doctor::examine_running(&services, Findings::new(&mut tell));
        let status = tokio::select! {
            looked = tokio::time::timeout(PATIENCE, looked) => looked.ok(),
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        if status.is_some() {
            connections.ends(at);
        } else {
            findings.push(doctor::unfinished(PATIENCE));
        }
        let status = status.unwrap_or(Status::Failure);
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        turn.ends(Examined { at, milliseconds, status, findings });
    });
    true
}

/// Verifies the record, unless that is being done; true where it begins now.
///
/// # Errors
/// Where there is no thread for it.
pub(crate) fn verify_record(services: &Arc<Services>) -> std::io::Result<bool> {
    let Some(turn) = services.checks.record.begin(now()) else { return Ok(false) };
    let directory = services.archive.directory().to_owned();
    let verify = move || {
        let (at, began) = (now(), Instant::now());
        let mut found = Verified::of(&directory);
        found.at = at;
        found.milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        turn.ends(found);
    };
    // On a thread of its own, which only reads: the runtime's are waited for where the gateway stops, and to
    // verify a large record takes minutes.
    std::thread::Builder::new().name("verify".to_owned()).spawn(verify).map(|_| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_was_looked_at_when_its_target_was_asked() {
        let connections = Connections::default();
        let time = Timestamp::from_micros;
        let finding = |check, about: &str, at| Finding {
            check,
            about: Some(about.to_owned()),
            at: time(at),
            status: Status::Ok,
            found: String::new(),
            means: None,
            next: None,
        };
        let found = |look, all: &[Finding]| {
            all.iter().for_each(|one| {
                connections.found(time(look), one, |_| Some("db:1/shop".to_owned()));
            });
        };
        let of = |name| {
            let (at, findings) = connections.of(name, "db:1/shop");
            (at.map(Timestamp::as_micros), findings.len())
        };
        assert_eq!(of("shop"), (None, 0));
        // A provider of the same name is another thing.
        found(1, &[finding("providers", "shop", 1)]);
        assert_eq!(of("shop"), (None, 0));
        let shop = [finding("targets", "shop", 3), finding("certificates", "shop", 4)];
        found(1, &shop);
        found(1, &[finding("targets", "vault", 7)]);
        connections.ends(time(1));
        assert_eq!((of("shop"), of("vault")), ((Some(4), 2), (Some(7), 1)));
        // One that leads elsewhere since was not looked at.
        let (at, findings) = connections.of("shop", "elsewhere:1/shop");
        assert!(at.is_none() && findings.is_empty());
        // The next one looks at the first, and gives up: the other stays as old as it is.
        found(10, &[finding("providers", "shop", 11), finding("targets", "shop", 12)]);
        assert_eq!((of("shop"), of("vault")), ((Some(12), 1), (Some(7), 1)));
        // What is there no more is forgotten by one that comes to its end.
        found(20, &[finding("targets", "vault", 21)]);
        connections.ends(time(20));
        assert_eq!((of("shop"), of("vault")), ((None, 0), (Some(21), 1)));
    }

    #[test]
    fn one_is_at_it_at_a_time_and_the_last_result_stays() {
        let job = Job::default();
        let at = Timestamp::from_micros(1);
        let turn = job.begin(at).unwrap();
        assert!(job.begin(at).is_none());
        assert_eq!(job.stands(), (Some(at), None));
        turn.ends(1);
        assert_eq!(job.stands(), (None, Some(Arc::new(1))));
        // One that gives up leaves what was found before.
        drop(job.begin(at).unwrap());
        assert_eq!(job.stands(), (None, Some(Arc::new(1))));
        job.begin(at).unwrap().ends(2);
        assert_eq!(job.stands(), (None, Some(Arc::new(2))));
        // Who comes right after it waits.
        assert!(!job.begin(at).unwrap().rest(REST).is_zero());
        assert!(job.begin(at).unwrap().rest(Duration::ZERO).is_zero());
        assert!(Job::<u8>::default().begin(at).unwrap().rest(REST).is_zero());
    }
}
