//! Reviews as a reviewer's page needs them, and how they are read back.

use crate::desk::ReviewDesk;
use portcullis_core::id::ReviewId;
use portcullis_core::pattern::Terms;
use portcullis_core::principal::{Principal, PrincipalKind};
use portcullis_core::rehearsal::Rehearsal;
use portcullis_core::review::{Ask, DeskError, Withdrawal};
use portcullis_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use std::collections::BTreeSet;
use tokio::sync::Semaphore;

/// Most reviews listed at once.
const MAX_LISTED: u32 = 500;
/// Bytes of their questions after which no other is listed.
const MOST_LISTED_BYTES: i64 = 16 << 20;
/// How many lists are made at once: each is held in memory as a whole.
static LISTS: Semaphore = Semaphore::const_new(2);

/// Where a review stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// People are still to decide.
    Pending,
    /// Every group has approved; the request has not run yet.
    Approved,
    /// It was approved, and the request has run.
    Used,
    /// A reviewer said no.
    Rejected,
    /// Nobody decided in time, or it was not used in time.
    Expired,
    /// It was taken back.
    Withdrawn,
}

impl Status {
    /// Every status.
    pub const ALL: &'static [Self] = &[
        Self::Pending,
        Self::Approved,
        Self::Used,
        Self::Rejected,
        Self::Expired,
        Self::Withdrawn,
    ];

    /// The word used in the store, in JSON and to people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Used => "used",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.as_str() == word)
    }

    /// True where it can still lead to the request running.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Approved)
    }
}

/// What one person said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reviewed {
    /// True for an approval, false for a rejection.
    pub approved: bool,
    /// Who vouches for the person.
    pub issuer: String,
    /// The person's subject there.
    pub subject: String,
    /// The name people know the person by.
    pub name: String,
    /// The asked groups the person was in at that moment.
    pub groups: BTreeSet<String>,
    /// The reason given; empty for an approval.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// What more this person lets follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Terms>,
}

/// A review with everything a reviewer has to see.
///
/// `ask` holds text of the caller and names of the target: hostile to whatever displays it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewRow {
    /// The review.
    pub id: ReviewId,
    /// Where it stands at the moment of reading.
    pub status: Status,
    /// The question, verbatim.
    pub ask: Ask,
    /// When it lapses.
    pub expires: Timestamp,
    /// When it ended, where it has.
    pub ended: Option<Timestamp>,
    /// Why it was taken back, where it was.
    pub withdrawal: Option<Withdrawal>,
    /// How often the same request came again while this review was open.
    pub repeats: u32,
    /// What the request did when it was run for show, where policy lets it be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<Rehearsal>,
    /// What was said so far, in order.
    pub decisions: Vec<Reviewed>,
    /// The groups still to approve.
    pub waiting_for: BTreeSet<String>,
}

/// Which reviews to list, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those that stand so.
    pub status: Option<Status>,
    /// Only those that ask this group.
    pub group: Option<String>,
    /// Only those on this connection.
    pub connection: Option<String>,
    /// Only those that concern this principal: its own, those of whoever acts for somebody of its
    /// subject, and, for people, those that ask a group of theirs. Whether it may see them is for
    /// whoever lists them to say.
    pub viewer: Option<Principal>,
    /// At most so many; 0 and everything above 500 stand for 500. Never more than 16 MiB of them: of
    /// those that stand so the oldest, which wait longest, of all the newest.
    pub limit: u32,
}

/// A row of the store that does not say what it must.
#[derive(Debug)]
pub(crate) struct Unreadable(pub(crate) String);

impl From<sqlx::Error> for Unreadable {
    fn from(error: sqlx::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<Unreadable> for DeskError {
    fn from(error: Unreadable) -> Self {
        tracing::error!(error = error.0, "the review store cannot be read or written");
        // What the database says names files and statements: it stays in the log.
        Self::Unavailable("the gateway's log says why".to_owned())
    }
}

pub(crate) fn bad(what: &str, error: impl std::fmt::Display) -> Unreadable {
    Unreadable(format!("{what}: {error}"))
}

pub(crate) fn json<T: Serialize>(value: &T) -> Result<String, Unreadable> {
    serde_json::to_string(value).map_err(|e| bad("a value cannot be written", e))
}

/// A review as it stands in its table.
pub(crate) struct Stored {
    pub(crate) id: ReviewId,
    pub(crate) status: Status,
    pub(crate) ask: Ask,
    pub(crate) expires: Timestamp,
    ended: Option<i64>,
    withdrawal: Option<String>,
    repeats: u32,
    pub(crate) rehearsal: Option<Rehearsal>,
}

pub(crate) fn stored(row: &SqliteRow) -> Result<Stored, Unreadable> {
    let id: String = row.try_get("id")?;
    let status: String = row.try_get("status")?;
    let ask: String = row.try_get("ask")?;
    let repeats: i64 = row.try_get("repeats")?;
    let rehearsal: Option<String> = row.try_get("rehearsal")?;
    let rehearsal = rehearsal.map(|text| serde_json::from_str(&text)).transpose();
    Ok(Stored {
        id: id.parse().map_err(|e| bad("review.id", e))?,
        status: Status::from_word(&status).ok_or_else(|| bad("review.status", &status))?,
        ask: serde_json::from_str(&ask).map_err(|e| bad("review.ask", e))?,
        expires: Timestamp::from_micros(row.try_get("expires")?),
        ended: row.try_get("ended")?,
        withdrawal: row.try_get("withdrawal")?,
        repeats: u32::try_from(repeats).unwrap_or(u32::MAX),
        rehearsal: rehearsal.map_err(|e| bad("review.rehearsal", e))?,
    })
}

fn reviewed(row: &SqliteRow) -> Result<Reviewed, Unreadable> {
    let verdict: String = row.try_get("verdict")?;
    let groups: String = row.try_get("groups")?;
    Ok(Reviewed {
        approved: verdict == "approved",
        issuer: row.try_get("issuer")?,
        subject: row.try_get("subject")?,
        name: row.try_get("name")?,
        groups: serde_json::from_str(&groups).map_err(|e| bad("review_decision.groups", e))?,
        reason: row.try_get("reason")?,
        at: Timestamp::from_micros(row.try_get("at")?),
        pattern: terms(row.try_get("pattern_seconds")?, row.try_get("pattern_count")?),
    })
}

/// `None` where a number is missing or is none that can have been given.
fn terms(seconds: Option<i64>, count: Option<i64>) -> Option<Terms> {
    let terms =
        Terms { seconds: u32::try_from(seconds?).ok()?, count: u32::try_from(count?).ok()? };
    terms.are_valid().then_some(terms)
}

/// Everything said on a review, in order.
pub(crate) async fn said<'e>(
    executor: impl sqlx::Executor<'e, Database = sqlx::Sqlite>,
    review: &str,
) -> Result<Vec<Reviewed>, Unreadable> {
    let rows = sqlx::query("SELECT * FROM review_decision WHERE review = ?1 ORDER BY at, subject")
        .bind(review)
        .fetch_all(executor)
        .await?;
    rows.iter().map(reviewed).collect()
}

impl ReviewDesk {
    /// One review; `None` where there is none of that id.
    ///
    /// # Errors
    /// [`DeskError::Unavailable`].
    pub async fn get(&self, review: ReviewId) -> Result<Option<ReviewRow>, DeskError> {
        self.lapse_due(self.now()).await?;
        let row = sqlx::query("SELECT * FROM review WHERE id = ?1")
            .bind(review.to_string())
            .fetch_optional(self.pool())
            .await
            .map_err(Unreadable::from)?;
        match row {
            Some(row) => Ok(Some(self.whole(stored(&row)?).await?)),
            None => Ok(None),
        }
    }

    /// The reviews that match, newest first.
    ///
    /// # Errors
    /// [`DeskError::Unavailable`].
    pub async fn list(&self, filter: &Filter) -> Result<Vec<ReviewRow>, DeskError> {
        // It is never closed.
        let _turn = LISTS.acquire().await;
        self.lapse_due(self.now()).await?;
        let limit = if filter.limit == 0 { MAX_LISTED } else { filter.limit.min(MAX_LISTED) };
        let viewer = filter.viewer.as_ref();
        let groups = viewer.filter(|who| who.kind == PrincipalKind::Person).map(|who| &who.groups);
        let rows = sqlx::query(
            "SELECT * FROM
               (SELECT *, sum(size) OVER (ORDER BY iif(?1 IS NULL, -filed, filed), id) - size AS before
                FROM (SELECT *, length(CAST(ask AS BLOB))
                                + coalesce(length(CAST(rehearsal AS BLOB)), 0) AS size
                      FROM review)
                WHERE (?1 IS NULL OR status = ?1) AND (?2 IS NULL OR connection = ?2)
                  AND (?3 IS NULL
                       OR ?3 IN (SELECT value FROM json_each(json_extract(ask, '$.groups'))))
                  AND (?5 IS NULL OR issuer = ?5 AND subject = ?6
                       OR json_extract(ask, '$.standing.principal.acting_for') = ?6
                          AND coalesce(json_extract(ask, '$.standing.principal.acting_for_issuer'),
                                       issuer) = ?5
                       OR EXISTS (SELECT 1 FROM json_each(json_extract(ask, '$.groups'))
                                  WHERE value IN (SELECT value FROM json_each(?7)))))
             WHERE before < ?8 ORDER BY filed DESC, id LIMIT ?4",
        )
        .bind(filter.status.map(Status::as_str))
        .bind(filter.connection.as_deref())
        .bind(filter.group.as_deref())
        .bind(limit)
        .bind(viewer.map(|who| who.issuer.as_str()))
        .bind(viewer.map(|who| who.subject.as_str()))
        .bind(groups.map_or_else(|| Ok("[]".to_owned()), json)?)
        .bind(MOST_LISTED_BYTES)
        .fetch_all(self.pool())
        .await
        .map_err(Unreadable::from)?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            found.push(self.whole(stored(row)?).await?);
        }
        Ok(found)
    }

    async fn whole(&self, stored: Stored) -> Result<ReviewRow, Unreadable> {
        let decisions = said(self.pool(), &stored.id.to_string()).await?;
        let waiting_for = match stored.status {
            Status::Pending => crate::decide::still_waiting(&stored.ask.groups, &decisions),
            _ => BTreeSet::new(),
        };
        let withdrawal = match stored.withdrawal {
            Some(word) => {
                let word = serde_json::Value::String(word);
                Some(serde_json::from_value(word).map_err(|e| bad("review.withdrawal", e))?)
            }
            None => None,
        };
        Ok(ReviewRow {
            id: stored.id,
            status: stored.status,
            ask: stored.ask,
            expires: stored.expires,
            ended: stored.ended.map(Timestamp::from_micros),
            withdrawal,
            repeats: stored.repeats,
            rehearsal: stored.rehearsal.map(|rehearsal| match stored.status {
                Status::Used => rehearsal.once_approved(self.now()),
                _ => rehearsal.by(self.now()),
            }),
            decisions,
            waiting_for,
        })
    }
}
