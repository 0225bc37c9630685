//! Patterns: leave for requests that are alike in everything but some values. Given by people in a
//! review, used by the gate in place of asking again, counted and taken back at the desk.

use crate::digest::Digest;
use crate::id::PatternId;
use crate::verdict::Approvals;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest time a pattern may be given for, in seconds: a working day.
pub const MAX_SECONDS: u32 = 8 * 60 * 60;
/// The most uses.
pub const MAX_COUNT: u32 = 1_000;

/// What of a request stays when the values that may vary are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Digest of everything else, values that may not vary included.
    pub digest: Digest,
    /// The text with every value that may vary marked, for people.
    pub shown: String,
}

/// A pattern a reviewer may give with an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Offer {
    /// What later requests must have in common: their shape, what they do, what that rests on, who
    /// asks, where, and in which session.
    pub digest: Digest,
    /// The text with every value that may vary marked.
    pub shown: String,
}

/// For how long and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Terms {
    /// Seconds from the approval.
    pub seconds: u32,
    /// How many requests.
    pub count: u32,
}

impl Terms {
    /// True where they are within what may be given.
    #[must_use]
    pub const fn are_valid(self) -> bool {
        self.seconds > 0 && self.seconds <= MAX_SECONDS && self.count > 0 && self.count <= MAX_COUNT
    }

    /// What both allow.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { seconds: self.seconds.min(other.seconds), count: self.count.min(other.count) }
    }
}

/// A pattern that is good now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Which.
    pub id: PatternId,
    /// The groups whose approval it stands for.
    pub groups: Approvals,
}

/// One use of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// The pattern.
    pub pattern: PatternId,
    /// Which use it is, from 1.
    pub number: u32,
    /// Of how many.
    pub of: u32,
}
