//! An issuer's keys, kept: when they are fetched again, how long they serve when that fails, and
//! why a flood of bad tokens is one fetch. Consulted once per log-in.
//!
//! | | |
//! | --- | --- |
//! | keys serve without asking | [`MAX_AGE`] |
//! | they serve while the provider cannot be reached | until [`MAX_AGE`] + [`MAX_STALE`]; then log-ins are refused |
//! | a key that is not known causes a fetch | at most once per [`MIN_INTERVAL`], whoever asks |
//! | a key that was just not found causes no further fetch | for [`UNKNOWN_FOR`], for [`MAX_UNKNOWN`] keys |
//! | with no keys at all, a failed fetch is tried again | after [`RETRY_INTERVAL`] |

use super::error::IdentityError;
use super::keys::KeySet;
use super::source::Source;
use portcullis_core::time::Timestamp;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const MAX_AGE: Duration = Duration::from_secs(600);
const MAX_STALE: Duration = Duration::from_secs(3_600);
const MIN_INTERVAL: Duration = Duration::from_secs(10);
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
const UNKNOWN_FOR: Duration = Duration::from_secs(30);
const MAX_UNKNOWN: usize = 256;

/// How far apart the clocks of concurrent callers may be: `now` is taken when each one starts.
const CALLER_SKEW: Duration = Duration::from_secs(60);

/// The keys of one provider.
pub(crate) struct KeyCache {
    provider: String,
    source: Source,
    state: Mutex<State>,
    /// Held by the one fetch that is under way.
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct State {
    keys: Option<(Arc<KeySet>, Timestamp)>,
    attempt: Option<Attempt>,
    unknown: VecDeque<(String, Timestamp)>,
}

/// The last fetch that was started.
struct Attempt {
    at: Timestamp,
    outcome: Outcome,
}

enum Outcome {
    /// Under way: whoever needs it waits for the turn.
    Pending,
    Fetched,
    Failed(String),
}

type Answer = Result<Arc<KeySet>, IdentityError>;

impl KeyCache {
    pub(crate) fn new(provider: String, source: Source) -> Self {
        Self { provider, source, state: Mutex::default(), turn: Arc::default() }
    }

    /// The keys to check a token with that names `key_id`: a set that has it, or why there is none.
    pub(crate) async fn keys_for(self: &Arc<Self>, key_id: Option<&str>, now: Timestamp) -> Answer {
        if let Some(answer) = self.answer(key_id, now) {
            return answer;
        }
        let turn = Arc::clone(&self.turn).lock_owned().await;
        self.state().close_ended_attempt();
        // Whoever had the turn before may have fetched what is needed here.
        if let Some(answer) = self.answer(key_id, now) {
            return answer;
        }
        // In a task of its own: a caller that hangs up must not undo a fetch others wait for.
        let this = Arc::clone(self);
        let fetch = tokio::spawn(async move {
            let _turn = turn;
            this.refresh(now).await;
        });
        if fetch.await.is_err() {
            return Err(self.unavailable("the fetch was ended".into()));
        }
        let answer = self.answer(key_id, now);
        if let Some(Err(IdentityError::UnknownKey { .. })) = answer {
            self.state().remember_unknown(key_id, now);
        }
        answer.unwrap_or_else(|| Err(self.unavailable("no keys were fetched".into())))
    }

    /// What can be said without a fetch; `None` where one is due.
    fn answer(&self, key_id: Option<&str>, now: Timestamp) -> Option<Answer> {
        let state = self.state();
        let held = state.keys.as_ref().map(|(keys, at)| (keys, age(*at, now)));
        let held = held.filter(|(_, age)| *age <= MAX_AGE + MAX_STALE);
        let known = held.filter(|(keys, _)| keys.knows(key_id));
        if let Some((keys, age)) = known
            && age <= MAX_AGE
        {
            return Some(Ok(Arc::clone(keys)));
        }
        let fresh = held.is_some_and(|(_, age)| age <= MAX_AGE);
        if fresh && state.is_unknown(key_id, now) {
            return Some(Err(self.unknown()));
        }
        let interval = if held.is_some() { MIN_INTERVAL } else { RETRY_INTERVAL };
        let attempt = state.attempt.as_ref().filter(|attempt| age(attempt.at, now) < interval)?;
        match (known, &attempt.outcome) {
            (_, Outcome::Pending) => None,
            (Some((keys, _)), _) => Some(Ok(Arc::clone(keys))),
            (None, Outcome::Fetched) => Some(Err(self.unknown())),
            (None, Outcome::Failed(cause)) => Some(Err(self.unavailable(cause.clone()))),
        }
    }

    async fn refresh(&self, now: Timestamp) {
        self.state().attempt = Some(Attempt { at: now, outcome: Outcome::Pending });
        let fetched = self.source.fetch().await;
        let mut state = self.state();
        match fetched {
            Ok(keys) => {
                let provider = self.provider.as_str();
                tracing::debug!(provider, keys = keys.len(), "identity provider's keys fetched");
                if keys.len() == 0 {
                    tracing::warn!(provider, "identity provider lists no usable key");
                }
                state.keys = Some((Arc::new(keys), now));
                state.attempt = Some(Attempt { at: now, outcome: Outcome::Fetched });
            }
            Err(cause) => {
                tracing::warn!(provider = self.provider, cause, "identity provider's keys missing");
                state.attempt = Some(Attempt { at: now, outcome: Outcome::Failed(cause) });
            }
        }
    }

    /// The state, for a moment that never spans a wait. No step on it can leave it half done, so
    /// a poisoned lock holds nothing to fear.
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unknown(&self) -> IdentityError {
        IdentityError::UnknownKey { provider: self.provider.clone() }
    }

    fn unavailable(&self, cause: String) -> IdentityError {
        IdentityError::Unavailable { provider: self.provider.clone(), cause }
    }
}

impl State {
    /// For whoever has the turn: an attempt that still looks under way was cut short by a panic or
    /// the end of its runtime, and counts as failed, so that it is not repeated for every token.
    fn close_ended_attempt(&mut self) {
        if let Some(attempt) = &mut self.attempt
            && matches!(attempt.outcome, Outcome::Pending)
        {
            attempt.outcome = Outcome::Failed("a fetch was cut short".to_owned());
        }
    }

    fn is_unknown(&self, key_id: Option<&str>, now: Timestamp) -> bool {
        let id = key_id.unwrap_or_default();
        self.unknown.iter().any(|(known, at)| known == id && age(*at, now) < UNKNOWN_FOR)
    }

    fn remember_unknown(&mut self, key_id: Option<&str>, now: Timestamp) {
        self.unknown.retain(|(_, at)| age(*at, now) < UNKNOWN_FOR);
        if self.unknown.len() >= MAX_UNKNOWN {
            self.unknown.pop_front();
        }
        self.unknown.push_back((key_id.unwrap_or_default().to_owned(), now));
    }
}

/// How old what happened at `at` is. A clock that was set back makes everything old: asking once
/// more is safe, trusting keys for the length of the jump is not.
fn age(at: Timestamp, now: Timestamp) -> Duration {
    if at.since(now) > CALLER_SKEW { Duration::MAX } else { now.since(at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_makes_things_old() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        assert_eq!(age(at(100), at(130)), Duration::from_secs(30));
        assert_eq!(age(at(130), at(100)), Duration::ZERO);
        assert_eq!(age(at(1_000), at(100)), Duration::MAX);
    }

    #[test]
    fn the_memory_of_unknown_keys_is_bounded() {
        let now = Timestamp::from_micros(0);
        let mut state = State::default();
        for n in 0..10_000 {
            state.remember_unknown(Some(&n.to_string()), now);
        }
        assert_eq!(state.unknown.len(), MAX_UNKNOWN);
        assert!(state.is_unknown(Some("9999"), now));
        assert!(!state.is_unknown(Some("0"), now));
        assert!(!state.is_unknown(Some("9999"), now.plus(UNKNOWN_FOR)));
    }
}
