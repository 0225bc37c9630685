//! Looks that take a while, and that people ask for from a page or by the API: one of a kind at a time, and
//! what the last one found is kept. Beside the life of a request.

use crate::cli::Verified;
use crate::doctor::{self, Finding, Findings, Status};
use crate::moment::now;
use crate::services::Services;
use portcullis_core::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a look at everything may take: targets that do not answer take their time.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a gateway can be asked to look at.
#[derive(Default)]
pub(crate) struct Checks {
    /// Everything it needs.
    pub(crate) health: Job<Examined>,
    /// Its record.
    pub(crate) record: Job<Verified>,
}

/// Work of which there is one at a time.
pub(crate) struct Job<T>(Arc<Mutex<State<T>>>);

struct State<T> {
    since: Option<Timestamp>,
    last: Option<Arc<T>>,
}

impl<T> Default for Job<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State { since: None, last: None })))
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
    /// What was found.
    pub(crate) fn ends(self, found: T) {
        state(&self.0).last = Some(Arc::new(found));
    }
}

impl<T> Drop for Turn<T> {
    fn drop(&mut self) {
        state(&self.0).since = None;
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

/// Looks at everything a running gateway needs, unless that is being done; true where it begins now.
pub(crate) fn look_at_everything(services: &Arc<Services>) -> bool {
    let Some(turn) = services.checks.health.begin(now()) else { return false };
    let services = services.clone();
    tokio::spawn(async move {
        let (at, began) = (now(), Instant::now());
        let mut findings = Vec::new();
        let mut tell = |finding: &Finding| findings.push(finding.clone());
        let mut stopping: watch::Receiver<bool> = services.stopping.clone();
        let looked = doctor::examine_running(&services, Findings::new(&mut tell));
        let status = tokio::select! {
            looked = tokio::time::timeout(PATIENCE, looked) => looked.ok(),
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        if status.is_none() {
            findings.push(doctor::unfinished(PATIENCE));
        }
        let status = status.unwrap_or(Status::Failure);
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        turn.ends(Examined { at, milliseconds, status, findings });
    });
    true
}

/// Verifies the record, unless that is being done; true where it begins now.
pub(crate) fn verify_record(services: &Arc<Services>) -> bool {
    let Some(turn) = services.checks.record.begin(now()) else { return false };
    let directory = services.archive.directory().to_owned();
    tokio::task::spawn_blocking(move || {
        let (at, began) = (now(), Instant::now());
        let mut found = Verified::of(&directory);
        found.at = at;
        found.milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        turn.ends(found);
    });
    true
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
