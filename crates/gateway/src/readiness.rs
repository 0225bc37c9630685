//! Whether requests are taken: what `/readyz` says, and what of it is known from looking again and again.
//! Beside the life of a request.

use crate::services::{Services, stopped};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use portcullis_core::time::Timestamp;
use portcullis_store::{NotificationStanding, Store};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tracing::{error, info};

/// How often the store is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Of so many looks one looks at notifications as well, which are more rows.
const SELDOM: u32 = 5;

/// Why no requests are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Nothing can be recorded.
    Journal,
    /// What has to be asked of the store is not answered.
    Store,
    /// There is no room to record what would begin.
    Disk,
    /// The documents in force cannot be gone by.
    Documents,
}

impl Reason {
    pub(crate) const ALL: [Self; 4] = [Self::Journal, Self::Store, Self::Disk, Self::Documents];

    /// Its word among the metrics.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Store => "store",
            Self::Disk => "disk",
            Self::Documents => "documents",
        }
    }

    /// What whoever asks is told. Anybody may ask, so there is nothing more in it; the log has the rest.
    const fn told(self) -> &'static str {
        match self {
            Self::Journal => {
                "journal: it cannot be written, so nothing runs until the gateway is restarted; the log says why"
            }
            Self::Store => {
                "store: it does not answer, so what needs it is refused; the log says why"
            }
            Self::Disk => {
                "disk: there is less room than is kept in reserve, so nothing new runs; make room"
            }
            Self::Documents => {
                "documents: those in force cannot be gone by, so nothing runs; the log says why"
            }
        }
    }
}

/// Why no requests are taken now; nothing where they are.
pub(crate) fn reasons(services: &Services) -> Vec<Reason> {
    let is = |reason: &Reason| match reason {
        Reason::Journal => services.ledger.health().is_err(),
        Reason::Store => !services.store_watch.seen().answers,
        Reason::Disk => services.disk.is_full(),
        Reason::Documents => services.documents.lags().is_some() || services.governing.is_behind(),
    };
    Reason::ALL.into_iter().filter(is).collect()
}

/// The answer of `/readyz`.
pub(crate) fn answer(services: &Services) -> Response {
    told(&reasons(services))
}

fn told(reasons: &[Reason]) -> Response {
    if reasons.is_empty() {
        return "ok\n".into_response();
    }
    let lines: Vec<String> = reasons.iter().map(|reason| format!("{}\n", reason.told())).collect();
    (StatusCode::SERVICE_UNAVAILABLE, lines.concat()).into_response()
}

/// How the store was found the last time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    /// It answers, and may be gone by.
    pub(crate) answers: bool,
    /// How many reviews wait for people, and since when the oldest does.
    pub(crate) reviews: Option<(u64, Option<Timestamp>)>,
    /// How notifications stand.
    pub(crate) notifications: Option<NotificationStanding>,
}

/// What is known of the store.
pub(crate) struct StoreWatch(Mutex<Seen>);

impl StoreWatch {
    /// It was opened a moment ago.
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Seen { answers: true, reviews: None, notifications: None }))
    }

    pub(crate) fn seen(&self) -> Seen {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is(&self, seen: Seen) {
        let before =
            std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), seen);
        match (before.answers, seen.answers) {
            (true, false) => error!("the store does not answer: what needs it is refused"),
            (false, true) => info!("the store answers again"),
            _ => {}
        }
    }
}

/// Whether the store answers in time.
async fn answers(store: &Store) -> bool {
    tokio::time::timeout(PATIENCE, store.answers()).await.unwrap_or(false)
}

/// Keeps looking at the store until the gateway stops.
pub(crate) async fn keep_looking(services: Arc<Services>, stopping: watch::Receiver<bool>) {
    let mut stop = std::pin::pin!(stopped(stopping));
    let mut looks = 0_u32;
    loop {
        let mut seen = Seen { answers: answers(services.store()).await, ..Seen::default() };
        if seen.answers {
            seen.reviews = services.desk.waiting().await.ok();
            seen.notifications = match services.store_watch.seen().notifications {
                Some(known) if !looks.is_multiple_of(SELDOM) => Some(known),
                _ => services.notifications.standing().await.ok(),
            };
            looks = looks.wrapping_add(1);
        }
        services.store_watch.is(seen);
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(reasons: &[Reason]) -> (u16, String) {
        let response = told(reasons);
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 10_000);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        (status, String::from_utf8(runtime.block_on(body).unwrap().to_vec()).unwrap())
    }

    #[test]
    fn a_gateway_that_takes_no_requests_says_why_in_plain_words() {
        assert_eq!(said(&[]), (200, "ok\n".to_owned()));
        let (status, text) = said(&Reason::ALL);
        assert_eq!((status, text.lines().count()), (503, 4));
        for (line, reason) in text.lines().zip(Reason::ALL) {
            assert!(line.starts_with(&format!("{}: ", reason.word())), "{line}");
        }
    }
}
