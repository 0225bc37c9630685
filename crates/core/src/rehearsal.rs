//! Rehearsals: a held request run in a transaction that people decide on, so that they see what it
//! does before it stays. Between the hold and the decision.
//!
//! *Architecture invariant:* rows come into a [`Seen`] as [`Masked`] values alone.

use crate::masked::Masked;
use crate::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Most tables that are named one by one.
pub const MAX_TABLES: usize = 50;

/// How a rehearsal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It runs.
    Running,
    /// It has run, and its transaction is open: approved in time, it is committed as it is.
    Open,
    /// It was approved, and its transaction committed.
    Kept,
    /// It has run, and was rolled back.
    Undone,
    /// It was approved and its COMMIT sent, and nobody knows whether it is committed.
    Unknown,
    /// It was tried and did not come to its end; nothing of it is left.
    Failed,
    /// It was not tried.
    Untried,
}

/// What has become of a rehearsal so far, for people to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rehearsal {
    /// How it stands.
    pub stage: Stage,
    /// Until when its transaction, with its locks, is open at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why it stands so, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What it did, where it came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
}

/// How long a session may take to tell what has become of a rehearsal whose time is up.
const TELLING: Duration = Duration::from_secs(3);

impl Rehearsal {
    /// One that begins.
    #[must_use]
    pub const fn running(until: Timestamp) -> Self {
        Self { stage: Stage::Running, until: Some(until), why: None, seen: None }
    }

    /// One whose transaction is over, or never was.
    #[must_use]
    pub fn over(stage: Stage, why: impl Into<String>, seen: Option<Seen>) -> Self {
        Self { stage, until: None, why: Some(why.into()), seen }
    }

    /// As it stands by `now`: a transaction of which nothing was heard in time is gone with the
    /// session that held it.
    #[must_use]
    pub fn by(self, now: Timestamp) -> Self {
        let open = matches!(self.stage, Stage::Running | Stage::Open);
        if !open || self.until.is_some_and(|until| until.plus(TELLING) > now) {
            return self;
        }
        let why = "its session ended before anybody decided, so the target has rolled it back";
        let stage = if self.stage == Stage::Open { Stage::Undone } else { Stage::Failed };
        Self::over(stage, why, self.seen)
    }

    /// As it stands by `now`, where the approval of its review is used up: that comes before COMMIT,
    /// so of a transaction of which nothing was heard since nobody knows.
    #[must_use]
    pub fn once_approved(self, now: Timestamp) -> Self {
        let stage = self.stage;
        let gone = self.by(now);
        if stage != Stage::Open || gone.stage == Stage::Open {
            return gone;
        }
        let why =
            "it was approved, and its session ended before it had told whether it is committed";
        Self::over(Stage::Unknown, why, gone.seen)
    }
}

/// What a rehearsed request did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Seen {
    /// The target's own word for it (`DELETE 3`).
    pub tag: String,
    /// Rows changed in all, by cascades too. More may not change when it runs later.
    pub changed: u64,
    /// By table, as far as the target counts that; the first [`MAX_TABLES`].
    pub tables: Vec<Changed>,
    /// How many tables more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_tables: usize,
    /// Some of the rows as they were before.
    before: Sample,
    /// Some of the rows as they are after it.
    after: Sample,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Some rows of one table, or why there are none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sample {
    /// The first of them.
    Rows(Image),
    /// None.
    None {
        /// Why.
        why: String,
    },
}

impl Sample {
    /// A sample of masked rows.
    #[must_use]
    pub fn of(image: Masked<Image>) -> Self {
        Self::Rows(image.into_inner())
    }

    /// No sample.
    #[must_use]
    pub fn none(why: impl Into<String>) -> Self {
        Self::None { why: why.into() }
    }
}

/// Rows as text, masked as the caller would be shown them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Image {
    /// Names of columns.
    pub columns: Vec<String>,
    /// Values; `None` is NULL. A text that was cut ends in `…`.
    pub rows: Vec<Vec<Option<String>>>,
    /// True where there are more rows.
    pub more: bool,
}

/// Rows of one table that were changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// Schema and name.
    pub table: String,
    /// Rows that came in.
    pub inserted: u64,
    /// Rows that were changed.
    pub updated: u64,
    /// Rows that went.
    pub deleted: u64,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.table)?;
        let counts = [(self.inserted, "in"), (self.updated, "changed"), (self.deleted, "gone")];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<String> = counts.map(|(count, what)| format!("{count} {what}")).collect();
        write!(f, " {}", counts.join(", "))
    }
}

impl Seen {
    /// What a rehearsal showed. `tables` are cut to the first [`MAX_TABLES`].
    #[must_use]
    pub fn new(
        tag: String,
        changed: u64,
        mut tables: Vec<Changed>,
        (before, after): (Sample, Sample),
    ) -> Self {
        let more_tables = tables.len().saturating_sub(MAX_TABLES);
        tables.truncate(MAX_TABLES);
        Self { tag, changed, tables, more_tables, before, after }
    }

    /// Some of the rows as they were before, and as they are after it.
    #[must_use]
    pub const fn samples(&self) -> (&Sample, &Sample) {
        (&self.before, &self.after)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {} rows changed in all", self.tag, self.changed)?;
        for table in &self.tables {
            write!(f, "; {table}")?;
        }
        if self.more_tables > 0 {
            write!(f, "; and {} more tables", self.more_tables)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(table: &str, inserted: u64, deleted: u64) -> Changed {
        Changed { table: table.to_owned(), inserted, updated: 0, deleted }
    }

    #[test]
    fn what_was_seen_is_told_in_words() {
        let none = || (Sample::none("x"), Sample::none("y"));
        let tables = vec![changed("public.orders", 0, 2), changed("public.log", 1, 3)];
        let seen = Seen::new("DELETE 2".to_owned(), 6, tables, none());
        let words =
            "DELETE 2; 6 rows changed in all; public.orders: 2 gone; public.log: 1 in, 3 gone";
        assert_eq!(seen.to_string(), words);
        let many = (0..60).map(|n| changed(&format!("t{n}"), 1, 0)).collect();
        let seen = Seen::new("INSERT 0 60".to_owned(), 60, many, none());
        assert_eq!((seen.tables.len(), seen.more_tables), (MAX_TABLES, 10));
        assert!(seen.to_string().ends_with("t49: 1 in; and 10 more tables"));
    }

    #[test]
    fn a_transaction_that_nobody_speaks_of_any_more_is_gone() {
        let at = Timestamp::from_micros;
        let running = Rehearsal::running(at(10));
        let told = at(10).plus(TELLING);
        let (before, after) = (at(told.as_micros() - 1), at(told.as_micros() + 1));
        assert_eq!(running.clone().by(before), running);
        assert_eq!(running.clone().by(told).stage, Stage::Failed);
        let open = Rehearsal { stage: Stage::Open, ..running.clone() };
        assert_eq!(open.clone().by(before).stage, Stage::Open);
        assert_eq!(open.clone().by(after).stage, Stage::Undone);
        let kept = Rehearsal::over(Stage::Kept, "", None);
        assert_eq!(kept.clone().by(after), kept);
        // Once COMMIT may have been sent, nobody can tell.
        assert_eq!(open.clone().once_approved(before), open);
        assert_eq!(open.once_approved(after).stage, Stage::Unknown);
        assert_eq!(kept.clone().once_approved(after), kept);
        assert_eq!(running.once_approved(after).stage, Stage::Failed);
    }

    #[test]
    fn it_is_read_back_as_it_was_written() {
        let image = Image {
            columns: vec!["id".to_owned()],
            rows: vec![vec![Some("1".to_owned())], vec![None]],
            more: true,
        };
        let samples = (Sample::Rows(image), Sample::none("it only deletes"));
        let seen = Seen::new("DELETE 1".to_owned(), 1, vec![changed("public.t", 0, 1)], samples);
        let whole = Rehearsal::over(Stage::Undone, "time", Some(seen));
        let text = serde_json::to_string(&whole).unwrap();
        assert_eq!(serde_json::from_str::<Rehearsal>(&text).unwrap(), whole, "{text}");
    }
}
