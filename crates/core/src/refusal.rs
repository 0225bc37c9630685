//! A refusal is a message, often to a language model: one record, rendered per protocol.

use crate::id::{DecisionId, ReviewId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why something was refused, in kind. Each protocol maps it to its own error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalClass {
    /// A rule says no.
    Policy,
    /// A person would have to agree, and this is not a place where the caller can wait.
    NeedsApproval,
    /// A person said no.
    Rejected,
    /// Nobody decided in time.
    Expired,
    /// The caller took the request back while it was held.
    Withdrawn,
    /// The request could not be read.
    Unreadable,
    /// Something named in the request could not be found in the target's catalog.
    Unresolved,
    /// Who is calling could not be established.
    Identity,
    /// A limit was reached.
    Limit,
    /// An administrator has stopped it for a time.
    Frozen,
    /// People grant it for a time, and have not, or the time is over.
    Ungranted,
    /// The gateway cannot do its duty (record, decide, mask), so nothing runs.
    Unavailable,
}

impl RefusalClass {
    /// Every class, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Policy,
        Self::NeedsApproval,
        Self::Rejected,
        Self::Expired,
        Self::Withdrawn,
        Self::Unreadable,
        Self::Unresolved,
        Self::Identity,
        Self::Limit,
        Self::Frozen,
        Self::Ungranted,
        Self::Unavailable,
    ];

    /// The word of the journal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::NeedsApproval => "needs_approval",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Unreadable => "unreadable",
            Self::Unresolved => "unresolved",
            Self::Identity => "identity",
            Self::Limit => "limit",
            Self::Frozen => "frozen",
            Self::Ungranted => "ungranted",
            Self::Unavailable => "unavailable",
        }
    }
}

/// The rules that are the gateway's own, as refusals and records name them. No policy goes by one of
/// these names.
pub mod rule {
    /// No rule of the policy permits it.
    pub const DEFAULT_DENY: &str = "default-deny";
    /// A rule could not be evaluated.
    pub const POLICY_ERROR: &str = "policy-error";
    /// A masked column would decide, and no rule permits that.
    pub const MASKED_CONDITIONS: &str = "masked-conditions";
    /// Values of masked columns would go where they are not masked.
    pub const MASKED_STAYS_MASKED: &str = "masked-stays-masked";
    /// A placeholder or pseudonym of the gateway's own would be written.
    pub const MASKED_WRITE_BACK: &str = "masked-write-back";
    /// What there is at the target is not known, or not as it is now.
    pub const CURRENT_DEFINITIONS: &str = "current-definitions";
    /// The gateway's rules were changed between its judgement and its way to the target.
    pub const CURRENT_RULES: &str = "current-rules";
    /// It has to be reviewed, and nobody could be shown what it is.
    pub const REVIEWABLE_REQUESTS: &str = "reviewable-requests";
    /// It is larger than what the gateway keeps, reads or records.
    pub const REQUEST_SIZE: &str = "request-size";
    /// It cannot be read.
    pub const READABLE_REQUESTS: &str = "readable-requests";
    /// It is no SQL.
    pub const SYNTAX: &str = "syntax";
    /// A prepared statement or portal of the protocol that is not there.
    pub const KNOWN_NAMES: &str = "known-names";
    /// Nothing runs whose record is not safe.
    pub const RECORD_BEFORE_RUN: &str = "record-before-run";
    /// Reviews themselves: there is no room for another one, or nobody can be asked.
    pub const REVIEW: &str = "review";
    /// Agents are frozen.
    pub const FREEZE: &str = "freeze";
    /// An administrator has paused the session.
    pub const PAUSE: &str = "session-paused";
    /// The connection takes access that people grant for a time.
    pub const GRANTED_ACCESS: &str = "granted-access";
    /// At log-in: who is calling is not established.
    pub const VERIFIED_TOKEN: &str = "verified-token";
    /// At log-in: there is no such connection.
    pub const KNOWN_CONNECTION: &str = "known-connection";
    /// At log-in: one principal has as many sessions as it may have.
    pub const SESSIONS_PER_PRINCIPAL: &str = "sessions-per-principal";

    /// All of them.
    pub const ALL: [&str; 20] = [
        DEFAULT_DENY,
        POLICY_ERROR,
        MASKED_CONDITIONS,
        MASKED_STAYS_MASKED,
        MASKED_WRITE_BACK,
        CURRENT_DEFINITIONS,
        CURRENT_RULES,
        REVIEWABLE_REQUESTS,
        REQUEST_SIZE,
        READABLE_REQUESTS,
        SYNTAX,
        KNOWN_NAMES,
        RECORD_BEFORE_RUN,
        REVIEW,
        FREEZE,
        PAUSE,
        GRANTED_ACCESS,
        VERIFIED_TOKEN,
        KNOWN_CONNECTION,
        SESSIONS_PER_PRINCIPAL,
    ];
}

/// Whether asking again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// Never, however it is phrased.
    Never,
    /// Once somebody has approved it.
    AfterApproval,
    /// When the request is changed as the message says.
    AfterChange,
    /// Later, unchanged.
    Later,
}

impl Retry {
    const fn sentence(self) -> &'static str {
        match self {
            Self::Never => "retrying or rephrasing will not help",
            Self::AfterApproval => "it can run once it is approved",
            Self::AfterChange => "it can run when changed as described",
            Self::Later => "the same request may succeed later",
        }
    }
}

/// One refusal. It carries no data of the target and none of the caller's literals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What to quote when asking about it.
    pub decision: DecisionId,
    /// Its kind.
    pub class: RefusalClass,
    /// The rule that decided (`@id` of the policy), or a built-in rule's name.
    pub rule: String,
    /// What was refused, in words of effects (`DELETE on public.orders`).
    pub what: String,
    /// The rule author's reason.
    pub why: String,
    /// Whether asking again can help.
    pub retry: Retry,
    /// The legitimate next step, where there is one.
    pub next: Option<String>,
    /// The review that was filed, where one was.
    pub review: Option<ReviewId>,
}

impl Refusal {
    /// The one sentence that must be enough on its own: many drivers show nothing else.
    #[must_use]
    pub fn sentence(&self) -> String {
        let by = match self.class {
            RefusalClass::Policy | RefusalClass::NeedsApproval | RefusalClass::Unresolved => {
                format!("policy \"{}\" refused {}", self.rule, self.what)
            }
            RefusalClass::Rejected => format!("a reviewer rejected {}", self.what),
            RefusalClass::Expired => format!("nobody approved {} in time", self.what),
            RefusalClass::Withdrawn => format!("the held request was withdrawn: {}", self.what),
            RefusalClass::Unreadable => {
                format!("the gateway cannot read this request ({}), so it was refused", self.what)
            }
            RefusalClass::Identity => format!("log-in refused: {}", self.what),
            RefusalClass::Limit => format!("limit \"{}\" refused {}", self.rule, self.what),
            RefusalClass::Frozen => format!("a freeze refused {}", self.what),
            RefusalClass::Ungranted => format!("no access: {}", self.what),
            RefusalClass::Unavailable => {
                format!("the gateway cannot do its duty, so it refused {}", self.what)
            }
        };
        let why = if self.why.is_empty() { String::new() } else { format!(" ({})", self.why) };
        let retry = match (self.class, self.retry) {
            (RefusalClass::Identity, Retry::AfterChange) => "it succeeds once that is put right",
            (RefusalClass::Ungranted, Retry::AfterApproval) => "log in again once it is granted",
            (RefusalClass::Rejected, _) => "it can run when changed as the reviewer asks",
            (_, retry) => retry.sentence(),
        };
        format!("portcullis: {by}{why}; {retry} [{}]", self.decision)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence())
    }
}
