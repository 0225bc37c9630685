//! Reviews as a reviewer's page needs them, and how they are read back.

use crate::db::{On, Query, Row, by_dialect, query};
use crate::desk::ReviewDesk;
use crate::page::{Listed, Page};
use portcullis_core::id::ReviewId;
use portcullis_core::pattern::Terms;
use portcullis_core::principal::{Principal, PrincipalKind};
use portcullis_core::rehearsal::Rehearsal;
use portcullis_core::review::{Ask, DeskError, Withdrawal};
use portcullis_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tokio::sync::Semaphore;

/// Bytes of their questions after which no other is listed.
const MOST_LISTED_BYTES: i64 = 16 << 20;
/// How many lists are made at once: each is held in memory as a whole.
static LISTS: Semaphore = Semaphore::const_new(2);

/// Where a review stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reviewed {
    /// True for an approval, false for a rejection.
    pub approved: bool,
    /// Who vouches for the person.
    pub issuer: String,
    /// The person's subject there.
    pub subject: String,
    /// The name people know the person by.
    pub name: String,
    /// The address that its issuer has verified, where one is known. Nobody is shown it.
    #[serde(skip)]
    pub email: Option<String>,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// What the store does not say, or not as it must: in words for the log, and for callers.
#[derive(Debug)]
pub(crate) struct Unreadable(pub(crate) String, &'static str);

/// What the database says names files and statements: it stays in the log.
const IN_THE_LOG: &str = "the gateway's log says why";

impl From<sqlx::Error> for Unreadable {
    fn from(error: sqlx::Error) -> Self {
        let told = match &error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => {
                "the gateway's store cannot be reached now; it is tried again all the time"
            }
            _ => IN_THE_LOG,
        };
        Self(error.to_string(), told)
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

impl From<Unreadable> for DeskError {
    fn from(error: Unreadable) -> Self {
        tracing::error!(error = error.0, "the review store cannot be read or written");
        Self::Unavailable(error.1.to_owned())
    }
}

pub(crate) fn bad(what: &str, error: impl std::fmt::Display) -> Unreadable {
    Unreadable(format!("{what}: {error}"), IN_THE_LOG)
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
    /// The gateway it was filed at.
    pub(crate) gateway: String,
}

pub(crate) fn stored(row: &Row) -> Result<Stored, Unreadable> {
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
        gateway: row.try_get("gateway")?,
    })
}

fn reviewed(row: &Row) -> Result<Reviewed, Unreadable> {
    let verdict: String = row.try_get("verdict")?;
    let groups: String = row.try_get("groups")?;
    Ok(Reviewed {
        approved: verdict == "approved",
        issuer: row.try_get("issuer")?,
        subject: row.try_get("subject")?,
        name: row.try_get("name")?,
        email: row.try_get("email")?,
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
pub(crate) async fn said<'a>(
    on: impl Into<On<'a>>,
    review: &str,
) -> Result<Vec<Reviewed>, Unreadable> {
    let rows = query("SELECT * FROM review_decision WHERE review = $1 ORDER BY at, subject")
        .bind(review)
        .all(on)
        .await?;
    rows.iter().map(reviewed).collect()
}

/// The list of reviews, of which those that come first by `order` are taken; how the groups asked and
/// those of the viewer are read is said by dialect.
macro_rules! listed {
    ($order:literal, $asked:literal, $viewers:literal) => {
        concat!(
            "SELECT * FROM
               (SELECT *, count(*) OVER () AS found,
                       sum(octet_length(ask) + coalesce(octet_length(rehearsal), 0))
                           OVER (ORDER BY ", $order, ")
                         - octet_length(ask) - coalesce(octet_length(rehearsal), 0) AS before
                FROM (SELECT * FROM review
                WHERE filed <= $9 AND (filed < $9 OR id > $10) AND ($1 IS NULL OR status = $1) AND ($2 IS NULL OR connection = $2)
                  AND ($3 IS NULL OR $3 IN (",
            $asked,
            "))
                  AND ($5 IS NULL OR issuer = $5 AND subject = $6
                       OR person_issuer = $5 AND person = $6
                       OR EXISTS (",
            $asked,
            " INTERSECT ",
            $viewers,
            ")) ORDER BY ", $order, " LIMIT $4) AS chosen) AS listed
             WHERE before < $8 ORDER BY filed DESC, id"
        )
    };
}

/// The list by dialect.
macro_rules! taken {
    ($order:literal) => {
        by_dialect(
            listed!(
                $order,
                "SELECT value FROM json_each(groups)",
                "SELECT value FROM json_each($7)"
            ),
            listed!(
                $order,
                "SELECT json_array_elements_text(groups::json)",
                "SELECT json_array_elements_text($7::json)"
            ),
        )
    };
}

impl ReviewDesk {
    /// One review; `None` where there is none of that id.
    ///
    /// # Errors
    /// [`DeskError::Unavailable`].
    pub async fn get(&self, review: ReviewId) -> Result<Option<ReviewRow>, DeskError> {
        self.lapse_due(self.now()).await?;
        let row = query("SELECT * FROM review WHERE id = $1").bind(review.to_string());
        let row = row.optional(self.store()).await.map_err(Unreadable::from)?;
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
        let first = match filter.status {
            Some(_) => taken!("filed, id DESC"),
            None => taken!("filed DESC, id"),
        };
        let page = Page { limit: filter.limit, after: None };
        Ok(self.listed(first, filter, (&page, page.rows() - 1)).await?.rows)
    }

    /// A page of the reviews that match, newest first; of `filter`, its limit is not looked at. It ends
    /// early where 16 MiB are reached.
    ///
    /// # Errors
    /// [`DeskError::Unavailable`].
    pub async fn page(&self, filter: &Filter, page: &Page) -> Result<Listed<ReviewRow>, DeskError> {
        self.listed(taken!("filed DESC, id"), filter, (page, page.rows())).await
    }

    /// How many reviews wait for people, and since when the oldest does: of all gateways on the store.
    ///
    /// # Errors
    /// [`DeskError::Unavailable`].
    pub async fn waiting(&self) -> Result<(u64, Option<Timestamp>), DeskError> {
        // What has lapsed does so unseen until somebody looks.
        let waiting = query(
            "SELECT count(*) AS found, min(filed) AS oldest FROM review
             WHERE status = 'pending' AND expires > $1",
        );
        let waiting = waiting.bind(self.now().as_micros());
        let row = waiting.optional(self.store()).await.map_err(Unreadable::from)?;
        let Some(row) = row else { return Ok((0, None)) };
        let found = row.try_get::<i64>("found").map_err(Unreadable::from)?;
        let oldest = row.try_get::<Option<i64>>("oldest").map_err(Unreadable::from)?;
        Ok((u64::try_from(found).unwrap_or_default(), oldest.map(Timestamp::from_micros)))
    }

    async fn listed(
        &self,
        listed: Query,
        filter: &Filter,
        (page, most): (&Page, i64),
    ) -> Result<Listed<ReviewRow>, DeskError> {
        // It is never closed.
        let _turn = LISTS.acquire().await;
        self.lapse_due(self.now()).await?;
        let viewer = filter.viewer.as_ref();
        let groups = viewer.filter(|who| who.kind == PrincipalKind::Person).map(|who| &who.groups);
        let (before, id) = page.bounds();
        let listed = listed
            .bind(filter.status.map(Status::as_str))
            .bind(filter.connection.as_deref())
            .bind(filter.group.as_deref())
            .bind(most)
            .bind(viewer.map(|who| who.issuer.as_str()))
            .bind(viewer.map(|who| who.subject.as_str()))
            .bind(groups.map_or_else(|| Ok("[]".to_owned()), json)?)
            .bind(MOST_LISTED_BYTES)
            .bind(before)
            .bind(id);
        let rows = listed.all(self.store()).await.map_err(Unreadable::from)?;
        let found = rows.first().map(|row| row.try_get::<i64>("found")).transpose();
        let found = found.map_err(Unreadable::from)?.unwrap_or_default();
        let mut whole = Vec::with_capacity(rows.len());
        for row in &rows {
            whole.push(self.whole(stored(row)?).await?);
        }
        Ok(Listed::of(whole, usize::try_from(found).unwrap_or(usize::MAX), page))
    }

    async fn whole(&self, stored: Stored) -> Result<ReviewRow, Unreadable> {
        let decisions = said(self.store(), &stored.id.to_string()).await?;
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
