//! People decide: approvals by distinct persons other than the asking one, and rejections.

use crate::desk::{ReviewDesk, random_bits};
use crate::patterns::{agreed, give};
use crate::rows::{Reviewed, Status, Stored, Unreadable, json, said, stored};
use portcullis_core::id::{PatternId, ReviewId};
use portcullis_core::pattern::Terms;
use portcullis_core::principal::{Principal, Reviewer};
use portcullis_core::review::DeskError;
use portcullis_core::time::Timestamp;
use sqlx::{Sqlite, Transaction};
use std::collections::BTreeSet;

/// Longest reason a reviewer gives, in characters.
const MAX_REASON: usize = 500;

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

fn joined(groups: &BTreeSet<String>) -> String {
    groups.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The groups that are left when each approval counts for one group and each group wants a person
/// of its own: a maximum matching, so that nobody's approval is spent on a group that another
/// person could have stood for.
pub(crate) fn still_waiting(groups: &BTreeSet<String>, said: &[Reviewed]) -> BTreeSet<String> {
    let groups: Vec<&String> = groups.iter().collect();
    let approvals: Vec<&Reviewed> = said.iter().filter(|r| r.approved).collect();
    let mut taken: Vec<Option<usize>> = vec![None; groups.len()];
    for person in 0..approvals.len() {
        let mut tried = vec![false; groups.len()];
        place(person, &approvals, &groups, &mut taken, &mut tried);
    }
    let left = groups.iter().zip(&taken).filter(|(_, by)| by.is_none());
    left.map(|(group, _)| (*group).clone()).collect()
}

/// Finds a group for a person, moving others where they can stand for another one.
fn place(
    person: usize,
    approvals: &[&Reviewed],
    groups: &[&String],
    taken: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    let Some(own) = approvals.get(person).map(|approval| &approval.groups) else { return false };
    for (i, group) in groups.iter().enumerate() {
        let fresh = tried.get_mut(i).is_some_and(|tried| !std::mem::replace(tried, true));
        if !fresh || !own.contains(*group) {
            continue;
        }
        let holder = taken.get(i).copied().flatten();
        if holder.is_none_or(|other| place(other, approvals, groups, taken, tried)) {
            if let Some(slot) = taken.get_mut(i) {
                *slot = Some(person);
            }
            return true;
        }
    }
    false
}

/// Four eyes by person: neither who asks nor whom it acts for decides.
fn other_person(reviewer: &Principal, asks: &Principal) -> Result<(), DecideError> {
    if reviewer.subject == asks.subject && reviewer.issuer == asks.issuer {
        return Err(DecideError::OwnRequest("this is your own request: somebody else decides it"));
    }
    // A subject that reads alike at another issuer may be the same human being: four eyes do not rest
    // on its not being so.
    if asks.acting_for.as_deref() == Some(&*reviewer.subject) {
        return Err(DecideError::OwnRequest(
            "this request was made on your behalf: somebody else decides it",
        ));
    }
    Ok(())
}

/// One line of plain text: it reaches callers and terminals.
fn plain(reason: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    reason.trim().chars().take(MAX_REASON).map(visible).collect()
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
        let mut tx = self.write().await?;
        let (stored, own, after) = approval(&mut tx, review, reviewer, pattern, at).await?;
        let (id, person) = (review.to_string(), reviewer.principal());
        note(&mut tx, &id, "approved", person, &own, ("", pattern), at).await?;
        if after.is_empty() {
            if let Some(terms) = agreed(&said(&mut *tx, &id).await?) {
                let pattern = PatternId::from_bits(random_bits()?);
                give(&mut tx, pattern, &stored, terms, at).await?;
            }
            sqlx::query("UPDATE review SET status = 'approved' WHERE id = ?1")
                .bind(&id)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        if after.is_empty() {
            self.wake(review);
            return Ok(Outcome::Approved);
        }
        self.changed();
        Ok(Outcome::Waiting { groups: after })
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
        (approving, pattern): (bool, Option<Terms>),
        at: Timestamp,
    ) -> Result<BTreeSet<String>, DecideError> {
        let mut tx = self.write().await?;
        if approving {
            return approval(&mut tx, review, reviewer, pattern, at).await.map(|(_, own, _)| own);
        }
        open_for(&mut tx, review, reviewer, at).await.map(|(_, own)| own)
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
        let reason = plain(reason);
        if reason.is_empty() {
            return Err(DecideError::NoReason);
        }
        let mut tx = self.write().await?;
        let (_, own) = open_for(&mut tx, review, reviewer, at).await?;
        let id = review.to_string();
        note(&mut tx, &id, "rejected", reviewer.principal(), &own, (&reason, None), at).await?;
        sqlx::query("UPDATE review SET status = 'rejected', ended = ?2 WHERE id = ?1")
            .bind(&id)
            .bind(at.as_micros())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        self.ended(review);
        Ok(())
    }
}

/// The review, if it is still to be decided and this person may: with the asked groups the person
/// is in.
async fn open_for(
    tx: &mut Transaction<'_, Sqlite>,
    review: ReviewId,
    reviewer: &Reviewer,
    at: Timestamp,
) -> Result<(Stored, BTreeSet<String>), DecideError> {
    let row = sqlx::query("SELECT * FROM review WHERE id = ?1")
        .bind(review.to_string())
        .fetch_optional(&mut **tx)
        .await?
        .ok_or(DecideError::Unknown(review))?;
    let stored = stored(&row)?;
    let person = reviewer.principal();
    other_person(person, &stored.ask.standing.principal)?;
    let own: BTreeSet<String> = stored.ask.groups.intersection(&person.groups).cloned().collect();
    if own.is_empty() {
        return Err(DecideError::NotAsked(stored.ask.groups));
    }
    match stored.status {
        Status::Pending | Status::Approved if stored.expires <= at => {
            Err(DecideError::Ended(Status::Expired))
        }
        Status::Pending | Status::Approved => Ok((stored, own)),
        ended => Err(DecideError::Ended(ended)),
    }
}

/// What an approval by this person would be: for which of the asked groups, and which still wait
/// after it. Nothing is noted.
async fn approval(
    tx: &mut Transaction<'_, Sqlite>,
    review: ReviewId,
    reviewer: &Reviewer,
    pattern: Option<Terms>,
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
    let mut all = said(&mut **tx, &review.to_string()).await?;
    let before = still_waiting(&ask.groups, &all);
    if before.is_empty() {
        return Err(DecideError::Ended(Status::Approved));
    }
    let same = |r: &Reviewed| (&r.issuer, &r.subject) == (&person.issuer, &person.subject);
    if all.iter().any(same) {
        return Err(DecideError::AlreadyYours(before));
    }
    all.push(Reviewed {
        approved: true,
        issuer: person.issuer.clone(),
        subject: person.subject.clone(),
        name: person.name.clone(),
        groups: own.clone(),
        reason: String::new(),
        at,
        pattern,
    });
    let after = still_waiting(&ask.groups, &all);
    if after.len() == before.len() {
        return Err(DecideError::NotNeeded(before));
    }
    Ok((stored, own, after))
}

async fn note(
    tx: &mut Transaction<'_, Sqlite>,
    review: &str,
    verdict: &str,
    person: &Principal,
    groups: &BTreeSet<String>,
    (reason, pattern): (&str, Option<Terms>),
    at: Timestamp,
) -> Result<(), Unreadable> {
    sqlx::query(
        "INSERT INTO review_decision (review, verdict, issuer, subject, name, groups, reason, at,
                                      pattern_seconds, pattern_count)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
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
    .execute(&mut **tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(groups: &[&str], persons: &[&[&str]], expect: &[&str]) {
        let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
        let said: Vec<_> = persons
            .iter()
            .map(|of| Reviewed {
                approved: true,
                issuer: String::new(),
                subject: String::new(),
                name: String::new(),
                groups: set(of),
                reason: String::new(),
                at: Timestamp::from_micros(0),
                pattern: None,
            })
            .collect();
        assert_eq!(still_waiting(&set(groups), &said), set(expect), "{groups:?} {persons:?}");
    }

    #[test]
    fn each_group_wants_a_person_of_its_own() {
        check(&["a"], &[], &["a"]);
        check(&["a"], &[&["a"]], &[]);
        check(&["a", "b"], &[&["a", "b"]], &["b"]);
        check(&["a", "b"], &[&["a", "b"], &["a", "b"]], &[]);
        // The first steps aside for one who can stand for `a` only.
        check(&["a", "b"], &[&["a", "b"], &["a"]], &[]);
        check(&["a", "b"], &[&["a"], &["a"]], &["b"]);
        check(&["a", "b", "c"], &[&["a", "b"], &["b", "c"], &["a"]], &[]);
        check(&["a", "b", "c"], &[&["a", "b"], &["a", "b"], &["a", "b"]], &["c"]);
    }

    #[test]
    fn a_reason_is_one_plain_line() {
        assert_eq!(plain(" no\n\u{1b}[31mred "), "no  [31mred");
        assert_eq!(plain(&"x".repeat(900)).len(), MAX_REASON);
    }
}
