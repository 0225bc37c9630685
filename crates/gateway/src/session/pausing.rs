//! Pauses: an administrator keeps a session from sending anything more, for a time. Stands where requests
//! come in, right before one is sent, and at rows that are copied in; a request that was held does not go on
//! either. What the target has already goes on.
//!
//! *Architecture invariant:* between the last look at the pause and the first byte that is sent nothing is
//! waited for.

use super::holding::next_notice;
use super::{End, Lease, Session};
use crate::live::{Pause, State};
use portcullis_core::effect::Operation;
use portcullis_core::protocol::Request as _;
use portcullis_core::refusal::{Refusal, RefusalClass, Retry, rule};
use portcullis_wire::pg::server::{self, WireError};
use portcullis_wire::pg::unit::Unit;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Why a request is refused that has waited.
#[derive(Debug, Clone)]
pub(crate) enum Unwaited {
    /// The pause goes on.
    TimeUp(Arc<Pause>),
    /// The caller has cancelled it.
    Cancelled(Arc<Pause>),
}

/// Tells of pauses that begin or are taken back.
pub(super) type Pauses = watch::Receiver<Option<Arc<Pause>>>;

/// What ends a step of waiting.
enum Step {
    /// To be looked at anew.
    Again,
    Notice,
    TimeUp,
    Cancelled,
    Left,
    Ended(End),
}

impl Lease {
    /// By which pause nothing may be sent now.
    pub(super) fn paused(&self) -> Option<Arc<Pause>> {
        self.entered.paused()
    }

    /// The same, when that ends by itself, and what tells when it is another.
    pub(super) fn pause_turns(&mut self) -> (Option<Instant>, Pauses) {
        // First, so that no change after it is missed.
        self.pauses.mark_unchanged();
        (self.paused().map(|pause| pause.ends), self.pauses.clone())
    }
}

impl Session {
    /// Waits while the session is paused, before the request that has come is looked at: its client hears
    /// of it as one does that is held.
    pub(super) async fn wait_while_paused(&mut self) -> Result<(), End> {
        if self.lease.paused().is_none() || self.unwaited.is_some() {
            return Ok(());
        }
        Box::pin(self.waits()).await
    }

    async fn waits(&mut self) -> Result<(), End> {
        let (started, mut told) = (Instant::now(), 0);
        while let Some(pause) = self.lease.paused() {
            self.lease.is(State::Paused);
            let due = next_notice(told).saturating_sub(started.elapsed());
            match self.waits_on(started + pause.patience, due).await {
                Step::Again => {}
                Step::Notice => {
                    told += 1;
                    let message = format!(
                        "portcullis: {}; your request waits, {} s so far",
                        words(&pause),
                        started.elapsed().as_secs()
                    );
                    let hint = "Wait, or cancel to take the request back.";
                    self.author(|out| server::notice(out, "01000", &message, Some(hint))).await?;
                }
                Step::TimeUp => {
                    self.unwaited = Some(Unwaited::TimeUp(pause));
                    return Ok(());
                }
                Step::Cancelled => {
                    self.unwaited = Some(Unwaited::Cancelled(pause));
                    return Ok(());
                }
                Step::Left => return Err(End::ClientLeft),
                Step::Ended(end) => return Err(end),
            }
        }
        Ok(())
    }

    async fn waits_on(&mut self, until: Instant, notice: Duration) -> Step {
        let takes_more = self.left.is_none() && self.may_read_ahead();
        let (ends, mut pauses) = self.lease.pause_turns();
        tokio::select! {
            biased;
            end = self.lease.ended() => Step::Ended(end),
            _ = pauses.changed() => Step::Again,
            () = super::reached(ends) => Step::Again,
            () = self.cancelled.cancelled() => Step::Cancelled,
            read = self.client.read(&mut self.inbox), if takes_more => match read {
                Ok(0) | Err(_) => Step::Left,
                Ok(_) => Step::Again,
            },
            () = tokio::time::sleep_until(until.into()) => Step::TimeUp,
            () = tokio::time::sleep(notice) => Step::Notice,
        }
    }

    /// Waits until a pause is over, where the client has been told already that it waits.
    pub(super) async fn outwait_pause(&mut self) -> Result<(), End> {
        while self.lease.paused().is_some() {
            self.lease.is(State::Paused);
            self.next_turn().await?;
            self.lease.is(State::Running);
        }
        Ok(())
    }

    async fn next_turn(&mut self) -> Result<(), End> {
        let (ends, mut pauses) = self.lease.pause_turns();
        tokio::select! {
            biased;
            end = self.lease.ended() => Err(end),
            _ = pauses.changed() => Ok(()),
            () = super::reached(ends) => Ok(()),
        }
    }

    /// Why the request that has come is not even judged, where the session is paused.
    pub(super) fn unpaused(&mut self) -> Option<Unwaited> {
        self.unwaited.take().or_else(|| self.lease.paused().map(Unwaited::TimeUp))
    }

    /// Refuses a request that has waited long enough, or was taken back meanwhile.
    pub(super) async fn refuse_paused(&mut self, unit: &Unit, why: Unwaited) -> Result<(), End> {
        let refusal = match why {
            Unwaited::TimeUp(pause) => self.paused_refusal(unit.operation(), &pause),
            Unwaited::Cancelled(pause) => Refusal {
                class: RefusalClass::Withdrawn,
                why: "you cancelled it while the session was paused; nothing has run".to_owned(),
                ..self.paused_refusal(unit.operation(), &pause)
            },
        };
        let moment = self.moments.next();
        let refused =
            self.gate.refuse_unformed(unit.shown(), unit.operation(), refusal, moment).await;
        self.refuse(&refused, unit.shape(), None).await
    }

    /// What a caller is told whose session stays paused.
    pub(super) fn paused_refusal(&mut self, operation: &Operation, pause: &Pause) -> Refusal {
        self.paused_what(operation.to_string(), pause)
    }

    /// The same of something that is no request.
    pub(super) fn paused_what(&mut self, what: String, pause: &Pause) -> Refusal {
        Refusal {
            decision: self.moments.next().decision,
            class: RefusalClass::Frozen,
            rule: rule::PAUSE.to_owned(),
            what,
            why: words(pause),
            retry: Retry::Later,
            next: Some("ask whoever paused it, or run it again later".to_owned()),
            review: None,
        }
    }

    /// Keeps rows that are copied in from the target while the session is paused; an error where that
    /// takes too long.
    pub(super) async fn paused_rows(&mut self) -> Result<Option<WireError>, End> {
        let started = Instant::now();
        while let Some(pause) = self.lease.paused().filter(|_| !self.inbox.is_empty()) {
            self.lease.is(State::Paused);
            let until = started + pause.patience;
            if Instant::now() >= until {
                self.lease.is(State::Running);
                let refusal = self.paused_what("rows that are copied in".to_owned(), &pause);
                return Ok(Some(Box::pin(self.refuse_frozen(refusal)).await));
            }
            tokio::select! {
                turned = self.next_turn() => turned?,
                () = tokio::time::sleep_until(until.into()) => {}
            }
            self.lease.is(State::Running);
        }
        Ok(None)
    }
}

fn words(pause: &Pause) -> String {
    let Pause { by, reason, until, .. } = pause;
    format!("{by} has paused this session until {until:.0}: {reason}")
}
