//! Holding for a human: what is asked, what comes back, and the contract of the desk between.

use crate::basis::{Again, Estimate, ShownBasis};
use crate::digest::Digest;
use crate::effect::{Certainty, Extent, ObjectKind, Operation, Verb};
use crate::id::{PatternId, RequestId, ReviewId, SessionId};
use crate::passkey::StepUp;
use crate::pattern::{Grant, Offer, Use};
use crate::protocol::Shown;
use crate::rehearsal::Rehearsal;
use crate::time::Timestamp;
use crate::verdict::{Approvals, Ground, Standing};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::future::Future;

/// Most rows that a request of low risk is expected to touch, and may change where it is approved in a chat.
pub const FEW: u64 = 100;

/// How much may go wrong where a request is approved by a quick look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// All of it is read and resolved, and it reads, or adds, changes or removes few rows of one table.
    Low,
    /// Everything else, and what is not known.
    #[default]
    High,
}

impl Risk {
    /// Of an operation that may touch so much. Its caller chooses the conditions that are estimated, so that
    /// who approves by it binds the request to [`FEW`] rows besides.
    #[must_use]
    pub fn of(operation: &Operation, estimate: &Estimate) -> Self {
        let writes = [Verb::Insert, Verb::Update, Verb::Delete];
        let several = operation.effects.iter().filter(|e| writes.contains(&e.verb)).count() > 1;
        let few = !several && matches!(estimate, Estimate::Rows { rows, .. } if *rows <= FEW);
        let own = [ObjectKind::Session, ObjectKind::Transaction];
        let light = operation.effects.iter().all(|effect| {
            let harmless = match effect.verb {
                Verb::Read => true,
                Verb::Insert | Verb::Update | Verb::Delete => match effect.extent {
                    Extent::One => true,
                    Extent::Some => few,
                    Extent::All | Extent::Unknown => false,
                },
                Verb::Control => own.contains(&effect.object.kind),
                _ => false,
            };
            harmless && effect.certainty == Certainty::Resolved
        });
        if light { Self::Low } else { Self::High }
    }
}

/// A question to people: may this exact request run?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ask {
    /// The session it came from.
    pub session: SessionId,
    /// The request.
    pub request: RequestId,
    /// Who asks, and on which connection.
    pub standing: Standing,
    /// Digest over the request, its standing *and* its basis: what is approved is what runs.
    pub digest: Digest,
    /// The request as people read it, verbatim.
    pub shown: Shown,
    /// What the gateway read out of it.
    pub operation: String,
    /// The groups that must approve.
    pub groups: BTreeSet<String>,
    /// Why it is held.
    pub ground: Ground,
    /// When it was asked.
    pub at: Timestamp,
    /// What the approval will rest on, as far as people read it.
    #[serde(default)]
    pub basis: ShownBasis,
    /// How much it may touch.
    #[serde(default)]
    pub estimate: Estimate,
    /// The review it takes the place of, where its basis has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
    /// The pattern that can be given instead of a single approval, where one can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Offer>,
    /// What who approves it has to show beside a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_up: Option<StepUp>,
    /// How much may go wrong: chats decide on nothing but [`Risk::Low`].
    #[serde(default)]
    pub risk: Risk,
}

/// The stub a caller holds while people decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The review.
    pub review: ReviewId,
    /// What it binds.
    pub digest: Digest,
    /// The groups asked.
    pub groups: BTreeSet<String>,
    /// When it lapses.
    pub expires: Timestamp,
}

/// How a review ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// Every group asked has approved.
    Approved,
    /// A reviewer said no.
    Rejected {
        /// Who.
        by: String,
        /// Why, for the caller to read.
        reason: String,
    },
    /// Nobody decided in time.
    Expired,
    /// It was taken back, or is gone.
    Withdrawn,
}

/// Why a request was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Withdrawal {
    /// The caller hung up.
    Disconnected,
    /// The caller cancelled.
    Cancelled,
    /// The session ended for another reason.
    SessionEnded,
    /// What its approval would rest on has changed; it was asked for anew.
    Changed,
    /// Somebody who has approved it is not vouched for any more.
    Unvouched,
}

/// The desk cannot do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeskError {
    /// Its store is not available.
    #[error("the review store is not available: {0}")]
    Unavailable(String),
    /// The approval was used, is for other bytes, has lapsed or was never given.
    #[error("there is no approval for this exact request: {0}")]
    NoApproval(String),
    /// Too many reviews are waiting.
    #[error("too many requests are waiting for review: {0}")]
    Full(String),
}

/// What a used approval gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approval {
    /// The groups that have approved.
    pub groups: Approvals,
    /// Rows that the request may change: as many as people saw it change when it was rehearsed, or as a
    /// decision in a chat is good for.
    pub most: Option<u64>,
}

/// Whether a session may rehearse a request that people are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It may: nobody else does.
    Granted,
    /// It was rehearsed already, or another session does it.
    Taken,
    /// Another request of the same caller is being rehearsed on the connection.
    Busy,
}

/// Where reviews are filed, decided and used up. Reviews survive a restart.
pub trait Desk: Send + Sync {
    /// Files a review, or finds the open or approved one with the same digest (a repeat never asks
    /// twice).
    ///
    /// # Errors
    /// [`DeskError`]: the request is then refused.
    fn file(&self, ask: Ask) -> impl Future<Output = Result<Ticket, DeskError>> + Send;

    /// Waits for the end of a review. Cancel-safe.
    fn decided(&self, ticket: &Ticket) -> impl Future<Output = Decision> + Send;

    /// True where the review is approved and not used up yet.
    fn consume_ready(&self, ticket: &Ticket) -> impl Future<Output = bool> + Send;

    /// Uses up an approval: exactly once, for exactly this digest, before it expires.
    ///
    /// # Errors
    /// [`DeskError::NoApproval`] on every other occasion.
    fn consume(
        &self,
        ticket: &Ticket,
        digest: Digest,
        at: Timestamp,
    ) -> impl Future<Output = Result<Approval, DeskError>> + Send;

    /// Claims the rehearsal of a request that is waited for: once for each review, and one at a
    /// time for each caller and connection, so that nobody's locks add up.
    ///
    /// # Errors
    /// [`DeskError`]: it is not rehearsed.
    fn claim(
        &self,
        ticket: &Ticket,
        until: Timestamp,
    ) -> impl Future<Output = Result<Claim, DeskError>> + Send;

    /// Keeps what has become of a rehearsal, for people to read.
    ///
    /// # Errors
    /// [`DeskError`]: nobody has seen it.
    fn show(
        &self,
        ticket: &Ticket,
        rehearsal: &Rehearsal,
    ) -> impl Future<Output = Result<(), DeskError>> + Send;

    /// Takes a review back. Must not block; losing it is harmless, because an approval still needs
    /// the same digest, the same principal and the same connection to be used.
    fn withdraw(&self, ticket: &Ticket, why: Withdrawal);

    /// As [`Desk::withdraw`], and comes back when it is done.
    fn retire(&self, ticket: &Ticket, why: Withdrawal) -> impl Future<Output = ()> + Send;

    /// The pattern that fits this digest in this session, where one is good at that time.
    ///
    /// # Errors
    /// [`DeskError`]: there is none to rely on.
    fn pattern(
        &self,
        session: SessionId,
        digest: Digest,
        at: Timestamp,
    ) -> impl Future<Output = Result<Option<Grant>, DeskError>> + Send;

    /// Uses a pattern once: no more often than it was given for, and not after it has lapsed or was
    /// revoked.
    ///
    /// # Errors
    /// [`DeskError::NoApproval`] on every other occasion.
    fn use_pattern(
        &self,
        pattern: PatternId,
        session: SessionId,
        digest: Digest,
        at: Timestamp,
    ) -> impl Future<Output = Result<Use, DeskError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::{Effect, Object};

    #[test]
    fn what_is_not_known_to_be_light_is_of_high_risk() {
        let rows = |rows| Estimate::Rows { rows, of: None, table: "t".to_owned() };
        let check = |effects: &[(Verb, Extent)], estimate: &Estimate, expect: Risk| {
            let object = || Object::new(ObjectKind::Relation, ["d", "s", "t"]);
            let effects = effects.iter().map(|(v, e)| Effect::resolved(*v, object(), *e));
            let operation = Operation {
                kinds: ["x".into()].into_iter().collect(),
                effects: effects.collect(),
                lineages: std::iter::empty().collect(),
            };
            assert_eq!(Risk::of(&operation, estimate), expect, "{operation} {estimate}");
            let unsure = operation.effects.iter().cloned();
            let unsure = unsure.map(|e| Effect { certainty: Certainty::Assumed, ..e });
            let unsure = Operation { effects: unsure.collect(), ..operation };
            assert_eq!(Risk::of(&unsure, estimate), Risk::High, "{unsure}");
        };
        let none = Estimate::default();
        check(&[(Verb::Delete, Extent::One)], &none, Risk::Low);
        check(&[(Verb::Delete, Extent::Some)], &rows(100), Risk::Low);
        check(&[(Verb::Delete, Extent::Some)], &rows(101), Risk::High);
        check(&[(Verb::Delete, Extent::Some)], &none, Risk::High);
        // Of several that write, nobody knows which was estimated.
        check(&[(Verb::Delete, Extent::Some), (Verb::Update, Extent::One)], &rows(1), Risk::High);
        check(&[(Verb::Update, Extent::All)], &rows(1), Risk::High);
        check(&[(Verb::Insert, Extent::One), (Verb::Read, Extent::All)], &none, Risk::Low);
        for verb in [Verb::Truncate, Verb::Drop, Verb::Grant, Verb::Execute, Verb::Control] {
            check(&[(Verb::Read, Extent::One), (verb, Extent::One)], &rows(1), Risk::High);
        }
        let unreadable = Operation::unreadable();
        assert_eq!(Risk::of(&unreadable, &rows(1)), Risk::High);
        // What was asked before there was such a word.
        assert_eq!(Risk::default(), Risk::High);
    }
}
