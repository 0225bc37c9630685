//! Holding: what a session does while people decide on a request of its own, and what becomes of the
//! request then. Stands between the gate, which holds, and the link, which sends.

use super::{End, Session};
use portcullis_core::gate::{Held, Passage};
use portcullis_core::protocol::Request as _;
use portcullis_core::refusal::{Refusal, RefusalClass, Retry};
use portcullis_core::review::{Decision, Withdrawal};
use portcullis_wire::pg::conversation::Turn;
use portcullis_wire::pg::protocol::Postgres;
use portcullis_wire::pg::server;
use portcullis_wire::pg::unit::{Shape, Unit};
use std::time::{Duration, Instant};

/// When a held client hears that it is held, in seconds from the start; then every 30.
const NOTICES: [u64; 3] = [0, 5, 15];

impl Session {
    /// Keeps a held client informed until people decide, or it goes away, or takes it back.
    pub(super) async fn hold(&mut self, held: Held<Postgres>, shape: Shape) -> Result<(), End> {
        let started = Instant::now();
        let mut told = 0;
        loop {
            let due = Duration::from_secs(
                NOTICES.get(told).copied().unwrap_or_else(|| 15 + 30 * (told as u64 - 2)),
            );
            let takes_more = self.may_read_ahead();
            let event = tokio::select! {
                biased;
                // First: an approval that comes too late runs nothing.
                () = self.expiry.reached() => Waited::Expired,
                () = self.cancelled.cancelled() => Waited::Over(Withdrawal::Cancelled),
                decision = self.gate.decided(&held) => Waited::Decided(decision),
                read = self.client.read(&mut self.inbox), if takes_more => {
                    match read {
                        Ok(0) | Err(_) => Waited::Over(Withdrawal::Disconnected),
                        Ok(_) => Waited::Nothing,
                    }
                }
                () = tokio::time::sleep(due.saturating_sub(started.elapsed())) => Waited::Notice,
            };
            match event {
                Waited::Nothing => {}
                Waited::Notice => {
                    told += 1;
                    let (message, hint) = hold_notice(&held, started.elapsed());
                    self.author(|out| server::notice(out, "01000", &message, Some(&hint))).await?;
                }
                Waited::Decided(decision) => return self.decided(held, decision, shape).await,
                Waited::Expired => {
                    self.withdraw(held, Withdrawal::SessionEnded).await;
                    return Err(End::TokenExpired);
                }
                Waited::Over(Withdrawal::Cancelled) => return self.withdrawn(held, shape).await,
                Waited::Over(why) => {
                    self.withdraw(held, why).await;
                    return Err(End::ClientLeft);
                }
            }
        }
    }

    async fn withdraw(&mut self, held: Held<Postgres>, why: Withdrawal) {
        let moment = self.moments.next();
        self.gate.withdraw(held, why, moment).await;
    }

    /// Takes a held request on that was decided. What was approved runs only where it still does
    /// what people saw, by the definitions there are now.
    async fn decided(
        &mut self,
        held: Held<Postgres>,
        decision: Decision,
        shape: Shape,
    ) -> Result<(), End> {
        let mut anew = None;
        if decision == Decision::Approved {
            anew = match self.reconsidered(&held).await {
                Ok(anew) => anew,
                Err(end) => {
                    self.withdraw(held, Withdrawal::SessionEnded).await;
                    return Err(end);
                }
            };
            // Once more, right before the approval is used up.
            if self.cancelled.is_cancelled() {
                return self.withdrawn(held, shape).await;
            }
        }
        let moment = self.moments.next();
        match self.gate.resume(held, decision, anew, moment).await {
            Passage::Permitted(permit) => self.send(permit).await,
            Passage::Refused(refusal) => self.refuse(&refusal, shape, None).await,
            // The gate does not hold a request it has just taken on.
            Passage::Held(held) => self.withdrawn(held, shape).await,
        }
    }

    /// A held request formed once more, by the definitions there are now; `None` where it cannot be.
    async fn reconsidered(&mut self, held: &Held<Postgres>) -> Result<Option<Unit>, End> {
        if !self.read_definitions().await? {
            return Ok(None);
        }
        match self.conversation.reconsider(held.request().clone())? {
            Turn::Unit(unit) => Ok(Some(*unit)),
            _ => Ok(None),
        }
    }

    /// Answers a request that was cancelled while it was held.
    async fn withdrawn(&mut self, held: Held<Postgres>, shape: Shape) -> Result<(), End> {
        let moment = self.moments.next();
        let refusal = Refusal {
            decision: moment.decision,
            class: RefusalClass::Withdrawn,
            rule: held.ground().rule.clone(),
            what: held.ground().what.clone(),
            why: "you cancelled it; nothing has run".to_owned(),
            retry: Retry::AfterApproval,
            next: None,
            review: Some(held.ticket().review),
        };
        self.gate.withdraw(held, Withdrawal::Cancelled, moment).await;
        self.refuse(&refusal, shape, None).await
    }
}

enum Waited {
    Expired,
    Nothing,
    Notice,
    Decided(Decision),
    Over(Withdrawal),
}

/// What a held client hears.
fn hold_notice(held: &Held<Postgres>, waited: Duration) -> (String, String) {
    let ticket = held.ticket();
    let groups: Vec<&str> = ticket.groups.iter().map(String::as_str).collect();
    let ground = held.ground();
    let message = format!(
        "portcullis: held for review by {}: {} (rule \"{}\", review {}, digest {}); nothing has run \
         yet, waiting {} s",
        groups.join(" and "),
        ground.what,
        ground.rule,
        ticket.review,
        ticket.digest.short(),
        waited.as_secs(),
    );
    let hint = format!(
        "A reviewer decides with `portcullis review approve {}`. Cancel to withdraw the request.",
        ticket.review
    );
    (message, hint)
}
