//! The threads sessions run on. On the life of a request: underneath all of it.
//!
//! Each lane is one thread with a runtime and a poller of its own, and a session stays on its lane:
//! a request then goes from the client's socket to the target's and back without waking another
//! thread, which costs more than all of Portcullis' own work on it.

use anyhow::Context as _;
use std::future::Future;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// All lanes, one a processor. Their threads end when this is dropped, and with them what still
/// runs there.
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
}

struct Lane {
    runtime: Handle,
    /// Sessions on it.
    load: Arc<AtomicUsize>,
    /// Ends the thread when dropped.
    _end: oneshot::Sender<()>,
}

impl Lanes {
    /// Starts the threads.
    ///
    /// # Errors
    /// The operating system gives no more threads or pollers.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, NonZero::get);
        let lanes = (0..count).map(|_| Lane::start()).collect::<anyhow::Result<_>>();
        Ok(Self { lanes: lanes.context("the threads of sessions cannot be started")? })
    }

    /// Runs a session on the lane with the fewest.
    pub(crate) fn spawn(
        &self,
        sessions: &mut JoinSet<()>,
        session: impl Future<Output = ()> + Send + 'static,
    ) {
        let Some(lane) = self.lanes.iter().min_by_key(|l| l.load.load(Ordering::Relaxed)) else {
            return;
        };
        let place = Place::take(&lane.load);
        let session = async move {
            let _place = place;
            session.await;
        };
        sessions.spawn_on(session, &lane.runtime);
    }
}

impl Lane {
    fn start() -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("session".to_owned())
            .stack_size(portcullis_sql::REQUIRED_STACK)
            // An error means that the lanes were dropped, which is the signal.
            .spawn(move || drop(runtime.block_on(ended)))?;
        Ok(Self { runtime: handle, load: Arc::default(), _end: end })
    }
}

/// One session's place on its lane, given back when dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(load: &Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(load))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sessions_are_spread_and_one_that_panics_gives_its_place_back() {
        let lanes = Lanes::start().unwrap();
        let mut sessions = JoinSet::new();
        let (go, wait) = tokio::sync::watch::channel(false);
        let count = lanes.lanes.len() * 3;
        for n in 0..count {
            let mut wait = wait.clone();
            lanes.spawn(&mut sessions, async move {
                wait.wait_for(|go| *go).await.unwrap();
                assert_ne!(n, 0, "one of them fails");
            });
        }
        assert!(lanes.lanes.iter().all(|l| l.load.load(Ordering::Relaxed) == 3));
        go.send(true).unwrap();
        let mut failed = 0;
        while let Some(ended) = sessions.join_next().await {
            failed += usize::from(ended.is_err());
        }
        assert_eq!(failed, 1);
        assert!(lanes.lanes.iter().all(|l| l.load.load(Ordering::Relaxed) == 0));
    }

    #[tokio::test]
    async fn what_still_runs_ends_with_the_lanes() {
        let lanes = Lanes::start().unwrap();
        let mut sessions = JoinSet::new();
        let (held, released) = oneshot::channel::<()>();
        lanes.spawn(&mut sessions, async move {
            let _held = held;
            std::future::pending().await
        });
        drop(lanes);
        assert!(released.await.is_err(), "the session is dropped");
    }
}
