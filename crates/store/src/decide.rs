//! People decide: approvals by distinct persons other than the asking one, and rejections.

use crate::db::{Tx, query};
use crate::desk::{ReviewDesk, random_bits};
use crate::passkeys::{StepUpError, use_assertion};
use crate::patterns::{agreed, give};
use crate::peers::Topic;
use crate::quorum::{self, Objection, Seat};
use crate::rows::{Reviewed, Status, Stored, Unreadable, json, said, stored};
use portcullis_core::id::{BrowserSessionId, PatternId, ReviewId};
use portcullis_core::passkey::{Asserted, Matter, shown};
use portcullis_core::pattern::Terms;
use portcullis_core::principal::{Principal, Reviewer};
use portcullis_core::review::DeskError;
use portcullis_core::time::Timestamp;
use std::collections::BTreeSet;

/// What a person shows beside a token.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shows<'a> {
    /// What a passkey has signed.
    pub asserted: Option<&'a Asserted>,
    /// The browser session it decides in.
    pub browser: Option<BrowserSessionId>,
}

/// What an approval led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every group has approved: the request may run, once.
    Approved,
    /// It is noted; these groups are still to approve.
    Waiting {
        /// The groups.
        groups: BTreeSet<String>,
    },
}

/// Why a reviewer's decision was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecideError {
    /// There is no such review.
    #[error("there is no review {0}")]
    Unknown(ReviewId),
    /// Four eyes.
    #[error("{0}")]
    OwnRequest(&'static str),
    /// The person is in none of the groups asked.
    #[error("this review asks {}, and you are in none of them", joined(.0))]
    NotAsked(BTreeSet<String>),
    /// The person has approved already.
    #[error("you have approved this review already; {} must be somebody else", joined(.0))]
    AlreadyYours(BTreeSet<String>),
    /// The person's groups have approved already.
    #[error("your groups have approved already; it waits for {}", joined(.0))]
    NotNeeded(BTreeSet<String>),
    /// It is over.
    #[error("this review is {}, so there is nothing left to decide", .0.as_str())]
    Ended(Status),
    /// There is no pattern to give.
    #[error("{0}")]
    NoPattern(&'static str),
    /// A rejection needs a reason, because it is what the caller reads.
    #[error("say why: the reason is what the caller reads")]
    NoReason,
    /// What a passkey has to let happen, and does not.
    #[error(transparent)]
    StepUp(#[from] StepUpError),
    /// The store failed; nothing was decided.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

impl From<Unreadable> for DecideError {
    fn from(error: Unreadable) -> Self {
        Self::Desk(error.into())
    }
}

impl From<sqlx::Error> for DecideError {
    fn from(error: sqlx::Error) -> Self {
        Unreadable::from(error).into()
    }
}

impl From<Objection> for DecideError {
    fn from(objection: Objection) -> Self {
        match objection {
            Objection::Own(why) => Self::OwnRequest(why),
            Objection::NotAsked(groups) => Self::NotAsked(groups),
            Objection::AlreadyYours(groups) => Self::AlreadyYours(groups),
            Objection::NotNeeded(groups) => Self::NotNeeded(groups),
            Objection::Approved => Self::Ended(Status::Approved),
        }
    }
}

fn joined(groups: &BTreeSet<String>) -> String {
    groups.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The groups that are left when each approval counts for one group and each group wants a person of its
/// own.
pub(crate) fn still_waiting(groups: &BTreeSet<String>, said: &[Reviewed]) -> BTreeSet<String> {
    quorum::groups_of(quorum::unfilled(&seats(groups), said))
}

/// Each group asked wants a person of its own.
fn seats(groups: &BTreeSet<String>) -> Vec<Seat> {
    groups.iter().map(|group| Seat::from([group.clone()])).collect()
}

impl ReviewDesk {
    /// Approves on behalf of one person, for one of the asked groups that person is in. With
    /// `pattern`, requests like it may follow in the same session, where everybody whose approval
    /// is needed says so, within what each of them lets follow.
    ///
    /// # Errors
    /// [`DecideError`]: nothing was noted.
    pub async fn approve(
        &self,
        review: ReviewId,
        reviewer: &Reviewer,
        pattern: Option<Terms>,
        at: Timestamp,
    ) -> Result<Outcome, DecideError> {
        self.approve_by(review, reviewer, (pattern, Shows::default()), at).await
    }

    /// As [`approve`](Self::approve), with what the person shows beside a token. Where the review asks
    /// for a passkey, its assertion is used up in the transaction that notes the approval.
    ///
    /// # Errors
    /// [`DecideError`]: nothing was noted.
    pub async fn approve_by(
        &self,
        review: ReviewId,
        reviewer: &Reviewer,
        (pattern, shows): (Option<Terms>, Shows<'_>),
        at: Timestamp,
    ) -> Result<Outcome, DecideError> {
        let mut tx = self.write(&[Topic::Reviews]).await?;
        let with = (pattern, shows);
        let (stored, own, after) = approval(&mut tx, review, reviewer, with, at).await?;
        let (id, person) = (review.to_string(), reviewer.principal());
        note(&mut tx, &id, "approved", person, &own, ("", pattern), at).await?;
        if after.is_empty() {
            if let Some(terms) = agreed(&said(&mut tx, &id).await?) {
                let pattern = PatternId::from_bits(random_bits()?);
                give(&mut tx, pattern, &stored, terms, at).await?;
            }
            query("UPDATE review SET status = 'approved' WHERE id = $1")
                .bind(&id)
                .execute(&mut tx)
                .await?;
        }
        tx.commit().await?;
        Ok(if after.is_empty() { Outcome::Approved } else { Outcome::Waiting { groups: after } })
    }

    /// The asked groups for which this person may decide now; nothing is noted. For whoever must
    /// record a decision before making it.
    ///
    /// # Errors
    /// [`DecideError`], as deciding would give it.
    pub async fn may_decide(
        &self,
        review: ReviewId,
        reviewer: &Reviewer,
        (approving, pattern, shows): (bool, Option<Terms>, Shows<'_>),
        at: Timestamp,
    ) -> Result<BTreeSet<String>, DecideError> {
        let mut tx = self.write(&[]).await?;
        if approving {
            return approval(&mut tx, review, reviewer, (pattern, shows), at)
                .await
                .map(|(_, own, _)| own);
        }
        open_for(&mut tx, review, reviewer, at).await.map(|(_, own)| own)
    }

    /// Binds a review to so many rows, or fewer, whoever else approves it: it is about to be approved at a
    /// glance. What is over is left as it was.
    ///
    /// # Errors
    /// [`DecideError::Desk`]: it is not bound, and is not to be approved so.
    pub async fn bind_to(&self, review: ReviewId, most: u64) -> Result<(), DecideError> {
        let mut tx = self.write(&[Topic::Reviews]).await?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let bind = query(
            "UPDATE review SET most = $2
             WHERE id = $1 AND status = 'pending' AND (most IS NULL OR most > $2)",
        );
        bind.bind(review.to_string())
            .bind(most)
            .execute(&mut tx)
            .await
            .map_err(Unreadable::from)?;
        tx.commit().await.map_err(Unreadable::from)?;
        Ok(())
    }

    /// What a person consents to who approves this review as it stands now: for the challenge of a
    /// passkey.
    ///
    /// # Errors
    /// [`DecideError`], as deciding would give it.
    pub async fn consent(
        &self,
        review: ReviewId,
        reviewer: &Reviewer,
        pattern: Option<Terms>,
        at: Timestamp,
    ) -> Result<Matter, DecideError> {
        let mut tx = self.write(&[]).await?;
        let (stored, _) = open_for(&mut tx, review, reviewer, at).await?;
        Ok(consent(&stored, pattern)?)
    }

    /// Rejects on behalf of one person: one no is enough, also after the others have approved and
    /// before the request has run.
    ///
    /// # Errors
    /// [`DecideError`]: nothing was noted.
    pub async fn reject(
        &self,
        review: ReviewId,
        reviewer: &Reviewer,
        reason: &str,
        at: Timestamp,
    ) -> Result<(), DecideError> {
        let reason = quorum::plain(reason);
        if reason.is_empty() {
            return Err(DecideError::NoReason);
        }
        let mut tx = self.write(&[Topic::Reviews]).await?;
        let (_, own) = open_for(&mut tx, review, reviewer, at).await?;
        let id = review.to_string();
        note(&mut tx, &id, "rejected", reviewer.principal(), &own, (&reason, None), at).await?;
        query("UPDATE review SET status = 'rejected', ended = $2 WHERE id = $1")
            .bind(&id)
            .bind(at.as_micros())
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }
}

/// The review, if it is still to be decided and this person may: with the asked groups the person
/// is in.
async fn open_for(
    tx: &mut Tx,
    review: ReviewId,
    reviewer: &Reviewer,
    at: Timestamp,
) -> Result<(Stored, BTreeSet<String>), DecideError> {
    let row = query("SELECT * FROM review WHERE id = $1")
        .bind(review.to_string())
        .optional(tx)
        .await?
        .ok_or(DecideError::Unknown(review))?;
    let stored = stored(&row)?;
    let (person, ask) = (reviewer.principal(), &stored.ask);
    let own = quorum::asked_of(person, &ask.standing.principal, &ask.groups)?;
    match stored.status {
        Status::Pending | Status::Approved if stored.expires <= at => {
            Err(DecideError::Ended(Status::Expired))
        }
        Status::Pending | Status::Approved => Ok((stored, own)),
        ended => Err(DecideError::Ended(ended)),
    }
}

/// What an approval consents to, as it stands now.
fn consent(stored: &Stored, pattern: Option<Terms>) -> Result<Matter, Unreadable> {
    let rehearsal = stored.rehearsal.as_ref().map(json).transpose()?;
    let shown = shown(rehearsal.as_deref());
    Ok(Matter::Review { review: stored.id, digest: stored.ask.digest, shown, pattern })
}

/// What an approval by this person would be: for which of the asked groups, and which still wait
/// after it. Nothing is noted.
async fn approval(
    tx: &mut Tx,
    review: ReviewId,
    reviewer: &Reviewer,
    (pattern, shows): (Option<Terms>, Shows<'_>),
    at: Timestamp,
) -> Result<(Stored, BTreeSet<String>, BTreeSet<String>), DecideError> {
    let (stored, own) = open_for(tx, review, reviewer, at).await?;
    let ask = &stored.ask;
    match pattern {
        Some(_) if ask.pattern.is_none() => {
            return Err(DecideError::NoPattern(
                "this request makes no pattern: approve it by itself",
            ));
        }
        Some(terms) if !terms.are_valid() => {
            return Err(DecideError::NoPattern(
                "a pattern is given for 1 second to 8 hours, and for 1 to 1000 requests",
            ));
        }
        _ => {}
    }
    let person = reviewer.principal();
    let all = said(&mut *tx, &review.to_string()).await?;
    let approval = Reviewed {
        approved: true,
        issuer: person.issuer.clone(),
        subject: person.subject.clone(),
        name: person.name.clone(),
        email: person.email.clone(),
        groups: own.clone(),
        reason: String::new(),
        at,
        pattern,
    };
    let after = quorum::groups_of(quorum::after(&seats(&ask.groups), all, approval)?);
    // INVARIANT: the one way to an approval, in the transaction that notes it.
    if ask.step_up.is_some() || shows.asserted.is_some() {
        let stands = (consent(&stored, pattern)?, shows.browser);
        use_assertion(tx, shows.asserted, person, stands, at).await?;
    }
    Ok((stored, own, after))
}

async fn note(
    tx: &mut Tx,
    review: &str,
    verdict: &str,
    person: &Principal,
    groups: &BTreeSet<String>,
    (reason, pattern): (&str, Option<Terms>),
    at: Timestamp,
) -> Result<(), Unreadable> {
    query(
        "INSERT INTO review_decision (review, verdict, issuer, subject, name, groups, reason, at,
                                      pattern_seconds, pattern_count, email)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(review)
    .bind(verdict)
    .bind(&person.issuer)
    .bind(&person.subject)
    .bind(&person.name)
    .bind(json(groups)?)
    .bind(reason)
    .bind(at.as_micros())
    .bind(pattern.map(|p| p.seconds))
    .bind(pattern.map(|p| p.count))
    .bind(person.email.as_deref())
    .execute(tx)
    .await?;
    Ok(())
}
