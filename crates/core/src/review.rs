//! Holding for a human: what is asked, what comes back, and the contract of the desk between.

use crate::basis::{Again, Estimate, ShownBasis};
use crate::digest::Digest;
use crate::id::{PatternId, RequestId, ReviewId, SessionId};
use crate::pattern::{Grant, Offer, Use};
use crate::protocol::Shown;
use crate::rehearsal::Rehearsal;
use crate::time::Timestamp;
use crate::verdict::{Approvals, Ground, Standing};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::future::Future;

/// A question to people: may this exact request run?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Rows that the request may change: as many as people saw it change when it was rehearsed.
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
