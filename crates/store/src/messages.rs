//! What is asked about a held request before somebody decides, and what is answered: between the desk and
//! people. It decides nothing, and is not part of what an approval is for.

use crate::db::{Row, Tx, query};
use crate::desk::ReviewDesk;
use crate::peers::Topic;
use crate::rows::{Status, Unreadable, bad};
use portcullis_core::id::ReviewId;
use portcullis_core::principal::Principal;
use portcullis_core::review::DeskError;
use portcullis_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most messages about one review.
pub const MAX_MESSAGES: i64 = 40;

/// What somebody has said about a held request. Text of people and agents: it is what they say, and verified
/// by nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReviewMessage {
    /// Its number among those about the review, from 1.
    pub number: u32,
    /// Whether it is a reviewer who asks; else it is the caller who answers.
    pub asks: bool,
    /// Who vouches for whoever says it.
    pub issuer: String,
    /// The subject there.
    pub subject: String,
    /// The name.
    pub name: String,
    /// What is said.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

/// Why something was not said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SayError {
    /// There is no such review.
    #[error("there is no review {0}")]
    Unknown(ReviewId),
    /// It is over.
    #[error("this review is {}, so there is nobody to ask or to answer", .0.as_str())]
    Ended(Status),
    /// There is nothing to answer.
    #[error("nobody has asked anything that is not answered yet")]
    Unasked,
    /// There are too many.
    #[error("{MAX_MESSAGES} messages about one request are enough: decide, or talk to each other")]
    Full,
    /// The store failed; nothing was said.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

impl From<Unreadable> for SayError {
    fn from(error: Unreadable) -> Self {
        Self::Desk(error.into())
    }
}

impl From<sqlx::Error> for SayError {
    fn from(error: sqlx::Error) -> Self {
        Unreadable::from(error).into()
    }
}

impl ReviewDesk {
    /// The number a message would have; nothing is kept. For whoever must record it first.
    ///
    /// # Errors
    /// [`SayError`], as saying it would give it.
    pub async fn may_say(
        &self,
        review: ReviewId,
        asks: bool,
        at: Timestamp,
    ) -> Result<u32, SayError> {
        self.lapse_due(at).await?;
        let mut tx = self.write(&[]).await?;
        let number = room(&mut tx, review, asks).await?;
        Ok(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// Keeps what somebody says while the request waits, and tells whoever follows reviews. Whether it is
    /// theirs to say is for the caller to know. Only what was asked is answered, once.
    ///
    /// # Errors
    /// [`SayError`]: nothing was kept.
    pub async fn say(
        &self,
        review: ReviewId,
        who: &Principal,
        (asks, text): (bool, &str),
        at: Timestamp,
    ) -> Result<ReviewMessage, SayError> {
        self.lapse_due(at).await?;
        let mut tx = self.write(&[Topic::Reviews]).await?;
        let number = room(&mut tx, review, asks).await?;
        query(
            "INSERT INTO review_message (review, number, asks, issuer, subject, name, text, at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(review.to_string())
        .bind(number)
        .bind(i64::from(asks))
        .bind(&who.issuer)
        .bind(&who.subject)
        .bind(&who.name)
        .bind(text)
        .bind(at.as_micros())
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(ReviewMessage {
            number: u32::try_from(number).unwrap_or(u32::MAX),
            asks,
            issuer: who.issuer.clone(),
            subject: who.subject.clone(),
            name: who.name.clone(),
            text: text.to_owned(),
            at,
        })
    }

    /// What was said about a review after a number, in order.
    ///
    /// # Errors
    /// [`DeskError::Unavailable`].
    pub async fn messages(
        &self,
        review: ReviewId,
        after: u32,
    ) -> Result<Vec<ReviewMessage>, DeskError> {
        let rows = query(
            "SELECT number, asks, issuer, subject, name, text, at FROM review_message
             WHERE review = $1 AND number > $2 ORDER BY number",
        )
        .bind(review.to_string())
        .bind(i64::from(after))
        .all(self.store())
        .await
        .map_err(Unreadable::from)?;
        Ok(rows.iter().map(message).collect::<Result<_, _>>()?)
    }
}

/// The number of the next message, where there may be one.
async fn room(tx: &mut Tx, review: ReviewId, asks: bool) -> Result<i64, SayError> {
    let id = review.to_string();
    let found = query("SELECT status FROM review WHERE id = $1");
    let found = found.bind(&id).optional(&mut *tx).await?.ok_or(SayError::Unknown(review))?;
    let word: String = found.try_get("status")?;
    match Status::from_word(&word).ok_or_else(|| bad("review.status", &word))? {
        Status::Pending => {}
        status => return Err(SayError::Ended(status)),
    }
    let last = "SELECT number, asks FROM review_message WHERE review = $1
                ORDER BY number DESC LIMIT 1";
    let (number, asked) = match query(last).bind(&id).optional(tx).await? {
        Some(row) => (row.try_get::<i64>("number")?, row.try_get::<i64>("asks")? != 0),
        None => (0, false),
    };
    match () {
        () if number >= MAX_MESSAGES => Err(SayError::Full),
        () if !asks && !asked => Err(SayError::Unasked),
        () => Ok(number + 1),
    }
}

fn message(row: &Row) -> Result<ReviewMessage, Unreadable> {
    let number: i64 = row.try_get("number")?;
    Ok(ReviewMessage {
        number: u32::try_from(number).unwrap_or(u32::MAX),
        asks: row.try_get::<i64>("asks")? != 0,
        issuer: row.try_get("issuer")?,
        subject: row.try_get("subject")?,
        name: row.try_get("name")?,
        text: row.try_get("text")?,
        at: Timestamp::from_micros(row.try_get("at")?),
    })
}
