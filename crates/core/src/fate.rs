//! What becomes of a transaction that the gateway has put around a request, once COMMIT is sent.
//! Between the request's answer and what is told of it.

use crate::rehearsal::Stage;

/// What is known of a transaction after its COMMIT was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The target has said that it is committed.
    Committed,
    /// The target has said that it is rolled back.
    Undone,
    /// Nobody can tell: the target did not answer, or said that it does not know either.
    Unknown,
}

impl Fate {
    /// What a target's error in answer to COMMIT means: that the transaction is undone, but for
    /// `transaction_resolution_unknown` and `statement_completion_unknown`.
    #[must_use]
    pub fn of_error(sqlstate: &str) -> Self {
        match sqlstate {
            "08007" | "40003" => Self::Unknown,
            _ => Self::Undone,
        }
    }

    /// What the command tag of a COMMIT means: in a failed transaction it says `ROLLBACK` (manual,
    /// "COMMIT").
    #[must_use]
    pub fn of_tag(tag: &str) -> Self {
        match tag {
            "COMMIT" => Self::Committed,
            "ROLLBACK" => Self::Undone,
            _ => Self::Unknown,
        }
    }

    /// How a rehearsal stands whose transaction has come to this.
    #[must_use]
    pub const fn stage(self) -> Stage {
        match self {
            Self::Committed => Stage::Kept,
            Self::Undone => Stage::Undone,
            Self::Unknown => Stage::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Fate::{self, Committed, Undone, Unknown};

    #[test]
    fn what_a_target_says_of_a_commit() {
        for (tag, fate) in [("COMMIT", Committed), ("ROLLBACK", Undone), ("COMMIT 1", Unknown)] {
            assert_eq!(Fate::of_tag(tag), fate, "{tag}");
        }
        for (code, fate) in [("23503", Undone), ("40001", Undone), ("08007", Unknown)] {
            assert_eq!(Fate::of_error(code), fate, "{code}");
        }
        assert_eq!(Fate::of_error("40003"), Unknown);
    }
}
