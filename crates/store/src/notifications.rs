//! What was to be told to whom, and whether it was. Kept before it is sent: of several gateways on one
//! store one sends it, and after a restart nothing is told again that is known to be delivered.

use crate::db::{Query, Row, query};
use crate::open::Store;
use crate::page::{Listed, Page};
use crate::peers::Topic;
use crate::rows::{Unreadable, bad};
use portcullis_core::id::{GrantId, ReviewId};
use portcullis_core::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;
use std::time::Duration;
use tokio::sync::watch;

/// Most reviews, and most requests for access, that are looked through at once.
const MAX_AT_ONCE: i64 = 200;
/// Most that one look finds due: a receiver may be slow, and what comes meanwhile may be more urgent.
const MAX_DUE: i64 = 8;
/// Longest text of an error that is kept, in characters.
const MAX_ERROR: usize = 300;

/// What people are waited for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ToldAbout")]
pub enum About {
    /// A held request.
    Review(ReviewId),
    /// A request for access.
    Grant(GrantId),
}

impl About {
    /// That it waits for people.
    #[must_use]
    pub const fn waiting(self) -> Told {
        match self {
            Self::Review(_) => Told::ReviewWaiting,
            Self::Grant(_) => Told::AccessWaiting,
        }
    }

    /// That it does no longer.
    #[must_use]
    pub const fn ended(self) -> Told {
        match self {
            Self::Review(_) => Told::ReviewEnded,
            Self::Grant(_) => Told::AccessEnded,
        }
    }

    /// Its two columns.
    fn columns(self) -> (Option<String>, Option<String>) {
        match self {
            Self::Review(id) => (Some(id.to_string()), None),
            Self::Grant(id) => (None, Some(id.to_string())),
        }
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Review(id) => id.fmt(f),
            Self::Grant(id) => id.fmt(f),
        }
    }
}

/// What is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ToldOf")]
pub enum Told {
    /// A held request waits for people.
    #[serde(rename = "review.waiting")]
    ReviewWaiting,
    /// It does no longer.
    #[serde(rename = "review.ended")]
    ReviewEnded,
    /// A request for access waits for people.
    #[serde(rename = "access_request.waiting")]
    AccessWaiting,
    /// It does no longer.
    #[serde(rename = "access_request.ended")]
    AccessEnded,
}

impl Told {
    const ALL: [Self; 4] =
        [Self::ReviewWaiting, Self::ReviewEnded, Self::AccessWaiting, Self::AccessEnded];

    /// The word used in the store and in what is sent.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ReviewWaiting => "review.waiting",
            Self::ReviewEnded => "review.ended",
            Self::AccessWaiting => "access_request.waiting",
            Self::AccessEnded => "access_request.ended",
        }
    }

    /// True where people are waited for.
    #[must_use]
    pub const fn waits(self) -> bool {
        matches!(self, Self::ReviewWaiting | Self::AccessWaiting)
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|told| told.word() == word)
    }
}

/// How a notification stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// It is to be sent, for the first time or again.
    Due,
    /// It was taken.
    Delivered,
    /// It was given up.
    Failed,
    /// Nobody needs to be told any more.
    Void,
}

impl Delivery {
    const ALL: [Self; 4] = [Self::Due, Self::Delivered, Self::Failed, Self::Void];

    /// The word used in the store.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Void => "void",
        }
    }
}

/// A notification, as it is kept and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NotificationRow {
    /// Which: the same at every attempt.
    pub id: String,
    /// To whom: a channel of the configuration.
    pub channel: String,
    /// Of what.
    #[serde(flatten)]
    pub about: About,
    /// What of it.
    pub event: Told,
    /// How it stands.
    pub state: Delivery,
    /// How often it was tried.
    pub attempts: u32,
    /// Since when it was to be told.
    pub made: Timestamp,
    /// When it is tried again, where it is due.
    pub next: Timestamp,
    /// When it was delivered or given up.
    pub ended: Option<Timestamp>,
    /// What kept the last attempt from it.
    pub error: Option<String>,
}

/// How many notifications stand how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NotificationStanding {
    /// To be sent for the first time.
    pub due: u64,
    /// To be sent again, since an attempt has failed.
    pub late: u64,
    /// Given up, and still kept.
    pub failed: u64,
}

/// Notifications cannot be read or written; then nobody is told, and what waits for people does so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store of notifications cannot be read or written: the gateway's log says why")]
pub struct NotificationError;

impl From<Unreadable> for NotificationError {
    fn from(error: Unreadable) -> Self {
        tracing::error!(error = error.0, "notifications cannot be read or written");
        Self
    }
}

impl From<sqlx::Error> for NotificationError {
    fn from(error: sqlx::Error) -> Self {
        Unreadable::from(error).into()
    }
}

/// Where notifications are kept. Clones are the same.
#[derive(Debug, Clone)]
pub struct NotificationStore {
    store: Store,
}

impl NotificationStore {
    /// The notifications of a store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Change whenever something about any review, or any grant, is different.
    #[must_use]
    pub fn changes(&self) -> [watch::Receiver<u64>; 2] {
        [Topic::Reviews, Topic::Grants].map(|topic| self.store.changes(topic))
    }

    /// What a channel was told nothing of and waits for people at `at`: reviews, and requests for access
    /// that the journal has, of each the oldest first.
    ///
    /// # Errors
    /// [`NotificationError`].
    pub async fn untold(
        &self,
        channel: &str,
        at: Timestamp,
    ) -> Result<Vec<About>, NotificationError> {
        let reviews = query(
            "SELECT review.id AS review FROM review
             WHERE status = 'pending' AND expires > $2
               AND NOT EXISTS (SELECT 1 FROM notification
                               WHERE channel = $1 AND notification.review = review.id)
             ORDER BY review.filed, review.id LIMIT $3",
        );
        let grants = query(
            "SELECT access_grant.id AS access_grant FROM access_grant
             WHERE status = 'pending' AND recorded AND lapses > $2
               AND NOT EXISTS (SELECT 1 FROM notification
                               WHERE channel = $1 AND notification.access_grant = access_grant.id)
             ORDER BY access_grant.asked, access_grant.id LIMIT $3",
        );
        self.found([reviews, grants], channel, at).await
    }

    /// What a channel has taken to be waiting, and does no longer at `at`. Of requests for access what
    /// became of them is in the journal, or their time is over.
    ///
    /// # Errors
    /// [`NotificationError`].
    pub async fn over(
        &self,
        channel: &str,
        at: Timestamp,
    ) -> Result<Vec<About>, NotificationError> {
        let reviews = query(
            "SELECT told.review AS review FROM notification told
             JOIN review ON review.id = told.review
             WHERE told.channel = $1 AND told.event = 'review.waiting' AND told.state = 'delivered'
               AND told.answered = 0 AND (review.status <> 'pending' OR review.expires <= $2)
             ORDER BY told.made LIMIT $3",
        );
        let grants = query(
            "SELECT told.access_grant AS access_grant FROM notification told
             JOIN access_grant asked ON asked.id = told.access_grant
             WHERE told.channel = $1 AND told.event = 'access_request.waiting'
               AND told.state = 'delivered' AND told.answered = 0
               AND (asked.status <> 'pending' AND asked.recorded OR asked.lapses <= $2)
             ORDER BY told.made LIMIT $3",
        );
        self.found([reviews, grants], channel, at).await
    }

    /// Asked one by one: of neither there can be so much that nothing is found of the other.
    async fn found(
        &self,
        queries: [Query; 2],
        channel: &str,
        at: Timestamp,
    ) -> Result<Vec<About>, NotificationError> {
        let mut found = Vec::new();
        for (query, read) in queries.into_iter().zip([review, grant]) {
            let rows = query.bind(channel).bind(at.as_micros()).bind(MAX_AT_ONCE);
            for row in &rows.all(&self.store).await? {
                found.extend(read(row)?);
            }
        }
        Ok(found)
    }

    /// Keeps that something is to be told from `next` on, once: false where it is kept already, by whichever
    /// gateway. `state` is [`Delivery::Due`], or [`Delivery::Void`] where this channel is not to be told of
    /// it.
    ///
    /// # Errors
    /// [`NotificationError`]: nothing is kept, and nothing is to be sent.
    pub async fn keep(
        &self,
        id: &str,
        (channel, about, event): (&str, About, Told),
        (state, next): (Delivery, Timestamp),
        at: Timestamp,
    ) -> Result<bool, NotificationError> {
        let (review, grant) = about.columns();
        let keep = query(
            "INSERT INTO notification (id, channel, review, access_grant, event, state, made, next)
             SELECT $1, $2, $3, $4, $5, $6, $7, $8
             WHERE EXISTS (SELECT 1 FROM review WHERE id = $3)
                OR EXISTS (SELECT 1 FROM access_grant WHERE id = $4)
             ON CONFLICT DO NOTHING",
        )
        .bind(id)
        .bind(channel)
        .bind(review.as_deref())
        .bind(grant.as_deref())
        .bind(event.word())
        .bind(state.word())
        .bind(at.as_micros())
        .bind(next.as_micros());
        let mut tx = self.store.write(&[]).await?;
        let kept = keep.execute(&mut tx).await? == 1;
        if !event.waits() {
            let answered = query(
                "UPDATE notification SET answered = 1
                 WHERE channel = $1 AND (review = $2 OR access_grant = $3) AND event = $4",
            );
            let answered = answered.bind(channel).bind(review).bind(grant);
            answered.bind(about.waiting().word()).execute(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(kept)
    }

    /// What a channel is to be told next at `at`: what waits before what is over, and what was not tried
    /// yet before what was.
    ///
    /// # Errors
    /// [`NotificationError`].
    pub async fn due(
        &self,
        channel: &str,
        at: Timestamp,
    ) -> Result<Vec<NotificationRow>, NotificationError> {
        let found = query(
            "SELECT * FROM notification
             WHERE channel = $1 AND state = 'due'
               AND (next <= $2 OR made > $2 AND (attempts > 0 OR next <= made))
             ORDER BY CASE WHEN event IN ('review.waiting', 'access_request.waiting') THEN 0 ELSE 1 END,
                      attempts, made, id
             LIMIT $3",
        );
        // `made` is later than now where the clock was set back, or another gateway's is ahead. What was to
        // be told later from the beginning is so all the same.
        let rows = found.bind(channel).bind(at.as_micros()).bind(MAX_DUE);
        let rows = rows.all(&self.store).await?;
        Ok(rows.iter().map(notification).collect::<Result<_, _>>()?)
    }

    /// Takes an attempt: true for the one gateway that is to make it now. Where nothing more is heard of
    /// it, it is due again after `lease`.
    ///
    /// # Errors
    /// [`NotificationError`]: it is not to be sent.
    pub async fn take(
        &self,
        row: &NotificationRow,
        lease: Duration,
        at: Timestamp,
    ) -> Result<bool, NotificationError> {
        let take = query(
            "UPDATE notification SET attempts = attempts + 1, next = $3
             WHERE id = $1 AND state = 'due' AND attempts = $2",
        );
        let take = take.bind(&row.id).bind(row.attempts).bind(at.plus(lease).as_micros());
        Ok(self.store.change(&[], take).await? == 1)
    }

    /// What has become of an attempt on this row: over in some way, or due again at `next`. Nothing, where
    /// another attempt was begun since.
    ///
    /// # Errors
    /// [`NotificationError`]: it is due again when its lease ends.
    pub async fn settle(
        &self,
        row: &NotificationRow,
        state: Delivery,
        (next, error): (Timestamp, Option<&str>),
        at: Timestamp,
    ) -> Result<(), NotificationError> {
        let error = error.map(|text| text.chars().take(MAX_ERROR).collect::<String>());
        let ended = (state != Delivery::Due).then(|| at.as_micros());
        let settle = query(
            "UPDATE notification SET state = $2, next = $3, ended = $4, error = $5
             WHERE id = $1 AND state = 'due' AND attempts = $6",
        )
        .bind(&row.id)
        .bind(state.word())
        .bind(next.as_micros())
        .bind(ended)
        .bind(error)
        .bind(row.attempts + 1);
        self.store.change(&[], settle).await?;
        Ok(())
    }

    /// Keeps where a message is that was sent.
    ///
    /// # Errors
    /// [`NotificationError`]: it is not known then.
    pub async fn receive(&self, id: &str, receipt: &str) -> Result<(), NotificationError> {
        let keep = query("UPDATE notification SET receipt = $2 WHERE id = $1");
        self.store.change(&[], keep.bind(id).bind(receipt)).await?;
        Ok(())
    }

    /// Where the message is by which a channel was told that something waits, as [`Self::receive`] has
    /// kept it.
    ///
    /// # Errors
    /// [`NotificationError`].
    pub async fn receipt(
        &self,
        channel: &str,
        about: About,
    ) -> Result<Option<String>, NotificationError> {
        let (review, grant) = about.columns();
        let found = query(
            "SELECT receipt FROM notification
             WHERE channel = $1 AND (review = $2 OR access_grant = $3) AND event = $4",
        );
        let found = found.bind(channel).bind(review).bind(grant).bind(about.waiting().word());
        let found = found.optional(&self.store).await?;
        Ok(found.map(|row| row.try_get("receipt")).transpose()?.flatten())
    }

    /// Gives up what was due before `since` and that nobody has tried since then, for channels other than
    /// `known`: those are of no gateway any more. How many.
    ///
    /// # Errors
    /// [`NotificationError`]: it stays due.
    pub async fn forsake(
        &self,
        known: &[&str],
        since: Timestamp,
        at: Timestamp,
    ) -> Result<u64, NotificationError> {
        let found =
            query("SELECT DISTINCT channel FROM notification WHERE state = 'due' AND next < $1");
        let found = found.bind(since.as_micros()).all(&self.store).await?;
        let mut given_up = 0;
        for row in &found {
            let channel: String = row.try_get("channel")?;
            if known.contains(&channel.as_str()) {
                continue;
            }
            let give_up = query(
                "UPDATE notification SET state = 'failed', ended = $3, error = $4
                 WHERE channel = $1 AND state = 'due' AND next < $2",
            );
            let give_up = give_up.bind(channel).bind(since.as_micros()).bind(at.as_micros());
            let give_up = give_up.bind("there is no such channel any more, or its gateway is gone");
            given_up += self.store.change(&[], give_up).await?;
        }
        Ok(given_up)
    }

    /// How many notifications stand how: of all gateways on the store.
    ///
    /// # Errors
    /// [`NotificationError`].
    pub async fn standing(&self) -> Result<NotificationStanding, NotificationError> {
        let found = query(
            "SELECT state, CAST(CASE WHEN attempts > 0 THEN 1 ELSE 0 END AS bigint) AS tried, count(*) AS found
             FROM notification WHERE state IN ('due', 'failed') GROUP BY 1, 2",
        );
        let mut standing = NotificationStanding::default();
        for row in found.all(&self.store).await? {
            let state: String = row.try_get("state")?;
            let count = u64::try_from(row.try_get::<i64>("found")?).unwrap_or_default();
            match (state.as_str(), row.try_get::<i64>("tried")?) {
                ("due", 0) => standing.due += count,
                ("due", _) => standing.late += count,
                _ => standing.failed += count,
            }
        }
        Ok(standing)
    }

    /// A page of the notifications, newest first, but for those that concern nobody.
    ///
    /// # Errors
    /// [`NotificationError`].
    pub async fn list(&self, page: &Page) -> Result<Listed<NotificationRow>, NotificationError> {
        let (before, id) = page.bounds();
        let found = query(
            "SELECT * FROM notification
             WHERE state <> 'void' AND made <= $1 AND (made < $1 OR id > $2)
             ORDER BY made DESC, id LIMIT $3",
        );
        let found = found.bind(before).bind(id).bind(page.rows()).all(&self.store).await?;
        let rows = found.iter().map(notification).collect::<Result<_, Unreadable>>()?;
        Ok(Listed::of(rows, found.len(), page))
    }
}

fn review(row: &Row) -> Result<Option<About>, Unreadable> {
    let id: Option<String> = row.try_get("review")?;
    let read =
        |id: String| id.parse().map(About::Review).map_err(|_| bad("notification.review", &id));
    id.map(read).transpose()
}

fn grant(row: &Row) -> Result<Option<About>, Unreadable> {
    let id: Option<String> = row.try_get("access_grant")?;
    let read = |id: String| {
        id.parse().map(About::Grant).map_err(|_| bad("notification.access_grant", &id))
    };
    id.map(read).transpose()
}

fn notification(row: &Row) -> Result<NotificationRow, Unreadable> {
    let (event, state): (String, String) = (row.try_get("event")?, row.try_get("state")?);
    let at = |name| row.try_get::<i64>(name).map(Timestamp::from_micros);
    let known = Delivery::ALL.into_iter().find(|known| known.word() == state);
    let about = review(row)?.or(grant(row)?);
    Ok(NotificationRow {
        id: row.try_get("id")?,
        channel: row.try_get("channel")?,
        about: about.ok_or_else(|| bad("notification.review", "it is about nothing"))?,
        event: Told::from_word(&event).ok_or_else(|| bad("event", &event))?,
        state: known.ok_or_else(|| bad("state", &state))?,
        attempts: u32::try_from(row.try_get::<i64>("attempts")?).unwrap_or(u32::MAX),
        made: at("made")?,
        next: at("next")?,
        ended: row.try_get::<Option<i64>>("ended")?.map(Timestamp::from_micros),
        error: row.try_get("error")?,
    })
}
