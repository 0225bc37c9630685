//! People who come back from a SAML provider. Beside the life of a request.
//!
//! Their answer comes as a form that another site posts, so no cookie comes with it (`SameSite=Lax`), and
//! nothing says which browser it is. It is checked, kept under a ticket, and the browser is sent on to a
//! page of this gateway, with its cookies: there it is seen whether it is the one that began.

use super::lock;
use crate::moment::random;
use crate::vouching::Vouching;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::principal::Principal;
use portcullis_core::time::Timestamp;
use portcullis_store::AssertionStore;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, spawn_blocking};
use tracing::warn;

/// Most who have arrived and not been let in.
const MAX_ARRIVED: usize = 10_000;
/// How long one may take from there; a person may have to confirm.
const PATIENCE: Duration = Duration::from_secs(120);
/// Most answers that are read at one time. Anybody may send one, and reading it takes a processor.
const MAX_READ: usize = 2;
/// How long used assertions are kept beyond their end: clocks are set back, and `leeway_seconds` (300 at
/// most) is changed.
const SLACK: Duration = Duration::from_secs(10 * 60);

/// Somebody whose answer is good, and who is not signed in.
pub(crate) struct Arrived {
    /// By whose word: it is asked again whether that still counts.
    pub(crate) vouching: Arc<Vouching>,
    pub(crate) provider: String,
    pub(crate) principal: Principal,
    pub(crate) return_to: String,
    pub(crate) by: Way,
    /// The provider has just asked who it is.
    pub(crate) anew: bool,
}

/// How somebody who has arrived may go on. Where there is a browser, it is that whose cookie hashes to
/// this.
pub(crate) enum Way {
    /// It has begun the sign-in, and is let in.
    Begun([u8; 32]),
    /// Nobody has begun it, so its person has to confirm it.
    Unasked,
    /// It shows the page on which its person does.
    Asked([u8; 32]),
}

/// That an answer may be read now.
pub(crate) struct Turn(OwnedSemaphorePermit);

/// What signing in by SAML needs.
pub(crate) struct SamlDesk {
    pub(crate) assertions: AssertionStore,
    arrived: Mutex<HashMap<String, (Arrived, Timestamp)>>,
    turns: Arc<Semaphore>,
}

impl SamlDesk {
    pub(crate) fn new(assertions: AssertionStore) -> Self {
        let turns = Arc::new(Semaphore::new(MAX_READ));
        Self { assertions, arrived: Mutex::default(), turns }
    }

    /// Waits until an answer may be read; none where it would have to wait for longer.
    pub(crate) async fn turn(&self, patience: Duration) -> Option<Turn> {
        let turn = tokio::time::timeout(patience, self.turns.clone().acquire_owned()).await;
        turn.ok()?.ok().map(Turn)
    }

    /// Reads an answer beside whatever else the gateway does. The turn is over when it has been read,
    /// whether or not somebody still waits for that.
    pub(crate) async fn read<T: Send + 'static>(
        turn: Turn,
        reading: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let read = spawn_blocking(move || {
            let Turn(_held) = turn;
            reading()
        });
        read.await
    }

    /// Keeps who has arrived; the ticket, or none where there are too many.
    pub(crate) fn keep(&self, arrived: Arrived, now: Timestamp) -> Option<String> {
        let mut all = lock(&self.arrived);
        if all.len() >= MAX_ARRIVED {
            all.retain(|_, (_, until)| *until > now);
        }
        if all.len() >= MAX_ARRIVED {
            return None;
        }
        let ticket = URL_SAFE_NO_PAD.encode(random::<32>());
        all.insert(ticket.clone(), (arrived, now.plus(PATIENCE)));
        Some(ticket)
    }

    /// Who has arrived with this ticket, which is used up with that.
    pub(crate) fn take(&self, ticket: &str, now: Timestamp) -> Option<Arrived> {
        let (arrived, until) = lock(&self.arrived).remove(ticket)?;
        (until > now).then_some(arrived)
    }

    /// Forgets what nobody comes for.
    pub(super) async fn look_after(&self, now: Timestamp) {
        lock(&self.arrived).retain(|_, (_, until)| *until > now);
        let slack = u64::try_from(SLACK.as_micros()).unwrap_or(u64::MAX);
        let before = Timestamp::from_micros(now.as_micros().saturating_sub_unsigned(slack));
        if let Err(error) = self.assertions.forget_expired(before).await {
            warn!(%error, "assertions that ran out long ago are still kept as used");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_store::Store;

    async fn desk(folder: &tempfile::TempDir) -> SamlDesk {
        let store = Store::open(&folder.path().join("store.db")).await.unwrap();
        SamlDesk::new(AssertionStore::new(store))
    }

    #[tokio::test]
    async fn few_answers_are_read_at_a_time_and_none_where_requests_are_served() {
        let folder = tempfile::tempdir().unwrap();
        let desk = desk(&folder).await;
        let turn = || desk.turn(Duration::ZERO);
        let (first, second) = (turn().await.unwrap(), turn().await.unwrap());
        assert!(turn().await.is_none());
        drop(second);
        // This test has one thread: on it, the reading would wait in vain.
        let (go, gone) = std::sync::mpsc::channel();
        let (begin, begun) = std::sync::mpsc::channel();
        let reading = SamlDesk::read(first, move || {
            begin.send(()).unwrap();
            gone.recv_timeout(Duration::from_secs(20)).unwrap();
            std::thread::current().id()
        });
        let meanwhile = async {
            // Its turn lasts until it has been read.
            begun.recv_timeout(Duration::from_secs(20)).unwrap();
            let other = turn().await.unwrap();
            assert!(turn().await.is_none());
            drop(other);
            go.send(()).unwrap();
        };
        let (thread, ()) = tokio::join!(reading, meanwhile);
        assert_ne!(thread.unwrap(), std::thread::current().id());
        let both = (turn().await, turn().await);
        assert!(both.0.is_some() && both.1.is_some());
    }

    #[tokio::test]
    async fn used_assertions_are_kept_beyond_their_end() {
        let folder = tempfile::tempdir().unwrap();
        let desk = desk(&folder).await;
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let used = ("https://idp", "_1", at(100_000));
        assert!(desk.assertions.use_once(used).await.unwrap());
        desk.look_after(at(100_599)).await;
        assert!(!desk.assertions.use_once(used).await.unwrap());
        desk.look_after(at(100_600)).await;
        assert!(desk.assertions.use_once(used).await.unwrap());
    }
}
