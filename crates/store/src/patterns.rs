//! Patterns: leave for requests of one session that are alike in everything but some values. Given
//! with an approval, used in place of one, counted, and taken back at once.

use crate::db::{Row, Tx, by_dialect, query};
use crate::desk::ReviewDesk;
use crate::page::{Listed, Page};
use crate::rows::{Reviewed, Stored, Unreadable, bad, json};
use portcullis_core::digest::Digest;
use portcullis_core::id::{PatternId, ReviewId, SessionId};
use portcullis_core::pattern::{Grant, Terms, Use};
use portcullis_core::principal::{Principal, PrincipalKind};
use portcullis_core::review::DeskError;
use portcullis_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// A pattern, as people see it. `shown` is text of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PatternRow {
    /// Which.
    pub id: PatternId,
    /// The review it was given in.
    pub review: ReviewId,
    /// The session it is for.
    pub session: SessionId,
    /// The name of who may use it.
    pub name: String,
    /// Who vouches for that principal.
    pub issuer: String,
    /// Its subject there.
    pub subject: String,
    /// Whom it acts for.
    pub acting_for: Option<String>,
    /// On which connection.
    pub connection: String,
    /// Whose approval it stands for.
    pub groups: BTreeSet<String>,
    /// The text with what may vary marked.
    pub shown: String,
    /// How often it was used.
    pub used: u32,
    /// How often it may be.
    pub most: u32,
    /// When it was given.
    pub given: Timestamp,
    /// Until when it is good.
    pub expires: Timestamp,
    /// When it was revoked or its session ended, where that is so.
    pub ended: Option<Timestamp>,
    /// True where it can be used now.
    pub good: bool,
}

fn row(row: &Row, now: Timestamp) -> Result<PatternRow, Unreadable> {
    let parsed = |name: &str| row.try_get::<String>(name);
    let number = |name: &str| {
        let number: i64 = row.try_get(name)?;
        u32::try_from(number).map_err(|e| bad("pattern", e))
    };
    let ended: Option<i64> = row.try_get("ended")?;
    let (used, most) = (number("used")?, number("most")?);
    let expires = Timestamp::from_micros(row.try_get("expires")?);
    Ok(PatternRow {
        id: parsed("id")?.parse().map_err(|e| bad("pattern.id", e))?,
        review: parsed("review")?.parse().map_err(|e| bad("pattern.review", e))?,
        session: parsed("session")?.parse().map_err(|e| bad("pattern.session", e))?,
        name: row.try_get("name")?,
        issuer: row.try_get("issuer")?,
        subject: row.try_get("subject")?,
        acting_for: row.try_get("acting_for")?,
        connection: row.try_get("connection")?,
        groups: serde_json::from_str(&parsed("groups")?).map_err(|e| bad("pattern.groups", e))?,
        shown: row.try_get("shown")?,
        used,
        most,
        given: Timestamp::from_micros(row.try_get("given")?),
        expires,
        ended: ended.map(Timestamp::from_micros),
        good: ended.is_none() && used < most && expires > now,
    })
}

/// What everybody whose approval counted lets follow: nothing where one of them does not.
pub(crate) fn agreed(said: &[Reviewed]) -> Option<Terms> {
    let mut terms = said.iter().filter(|r| r.approved).map(|r| r.pattern);
    let first = terms.next()??;
    terms.try_fold(first, |all, one| Some(all.and(one?)))
}

/// Gives the pattern that a review offered, in place of one there may be for the same requests.
pub(crate) async fn give(
    tx: &mut Tx,
    id: PatternId,
    review: &Stored,
    terms: Terms,
    at: Timestamp,
) -> Result<(), Unreadable> {
    let ask = &review.ask;
    let Some(offer) = &ask.pattern else { return Ok(()) };
    let (session, digest) = (ask.session.to_string(), offer.digest.to_string());
    query(
        "UPDATE pattern SET ended = $3, ending = 'revoked'
         WHERE session = $1 AND digest = $2 AND ended IS NULL",
    )
    .bind(&session)
    .bind(&digest)
    .bind(at.as_micros())
    .execute(tx)
    .await?;
    let principal = &ask.standing.principal;
    query(
        "INSERT INTO pattern (id, review, session, digest, issuer, subject, name, acting_for,
                              connection, groups, shown, most, given, expires, gateway)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(id.to_string())
    .bind(review.id.to_string())
    .bind(session)
    .bind(digest)
    .bind(&principal.issuer)
    .bind(&principal.subject)
    .bind(&principal.name)
    .bind(principal.acting_for.as_deref())
    .bind(&ask.standing.connection.name)
    .bind(json(&ask.groups)?)
    .bind(&offer.shown)
    .bind(terms.count)
    .bind(at.as_micros())
    .bind(at.plus(Duration::from_secs(terms.seconds.into())).as_micros())
    .bind(&review.gateway)
    .execute(tx)
    .await?;
    Ok(())
}

/// A list of patterns. `$6` and `$7` are subject and issuer of whoever looks, `$8` its groups.
macro_rules! listed {
    ($asked:literal, $viewers:literal) => {
        concat!(
            "SELECT * FROM pattern
             WHERE ($1 OR (ended IS NULL AND expires > $2 AND used < most))
               AND given <= $4 AND (given < $4 OR id > $5)
               AND ($6 IS NULL OR issuer = $7 AND subject = $6 OR acting_for = $6
                    OR EXISTS (",
            $asked,
            " INTERSECT ",
            $viewers,
            "))
             ORDER BY given DESC, id LIMIT $3"
        )
    };
}

impl ReviewDesk {
    /// The pattern that fits, where one is good at that time.
    pub(crate) async fn fitting(
        &self,
        session: SessionId,
        digest: Digest,
        at: Timestamp,
    ) -> Result<Option<Grant>, Unreadable> {
        let found = query(
            "SELECT * FROM pattern WHERE session = $1 AND digest = $2 AND ended IS NULL
               AND expires > $3 AND given <= $3 AND used < most",
        )
        .bind(session.to_string())
        .bind(digest.to_string())
        .bind(at.as_micros())
        .optional(self.store())
        .await?;
        let Some(found) = found else { return Ok(None) };
        let found = row(&found, at)?;
        Ok(Some(Grant { id: found.id, groups: found.groups }))
    }

    /// Counts one use.
    pub(crate) async fn count_use(
        &self,
        pattern: PatternId,
        session: SessionId,
        digest: Digest,
        at: Timestamp,
    ) -> Result<Option<Use>, Unreadable> {
        // INVARIANT: the count is raised by this one statement and no other, so that of any number
        // of takers no more find room than the pattern was given for, and none does after it has
        // lapsed or was revoked, in another session or for other requests.
        let mut tx = self.write(&[]).await?;
        let used = query(
            "UPDATE pattern SET used = used + 1
             WHERE id = $1 AND session = $2 AND digest = $3 AND ended IS NULL
               AND expires > $4 AND given <= $4 AND used < most RETURNING used, most",
        )
        .bind(pattern.to_string())
        .bind(session.to_string())
        .bind(digest.to_string())
        .bind(at.as_micros())
        .optional(&mut tx)
        .await?;
        tx.commit().await?;
        let Some(used) = used else { return Ok(None) };
        let number = |name: &str| {
            let number: i64 = used.try_get(name)?;
            u32::try_from(number).map_err(|e| bad("pattern.used", e))
        };
        Ok(Some(Use { pattern, number: number("used")?, of: number("most")? }))
    }

    /// Patterns, newest first; only those that can be used now unless `all`. With `viewer` those that may
    /// concern this principal: its own, those of whoever acts for somebody of its subject, and, for people,
    /// those of a group of theirs. Whether it may see them is for whoever lists them to say.
    ///
    /// # Errors
    /// [`DeskError::Unavailable`].
    pub async fn patterns(
        &self,
        all: bool,
        viewer: Option<&Principal>,
        page: &Page,
    ) -> Result<Listed<PatternRow>, DeskError> {
        let (before, id) = page.bounds();
        let now = self.now();
        let groups = viewer.filter(|who| who.kind == PrincipalKind::Person).map(|who| &who.groups);
        let rows = by_dialect(
            listed!("SELECT value FROM json_each(groups)", "SELECT value FROM json_each($8)"),
            listed!(
                "SELECT json_array_elements_text(groups::json)",
                "SELECT json_array_elements_text($8::json)"
            ),
        )
        .bind(all)
        .bind(now.as_micros())
        .bind(page.rows())
        .bind(before)
        .bind(id)
        .bind(viewer.map(|who| who.subject.as_str()))
        .bind(viewer.map(|who| who.issuer.as_str()))
        .bind(groups.map_or_else(|| Ok("[]".to_owned()), json)?)
        .all(self.store())
        .await
        .map_err(Unreadable::from)?;
        let listed = rows.iter().map(|found| row(found, now)).collect::<Result<_, Unreadable>>()?;
        Ok(Listed::of(listed, rows.len(), page))
    }

    /// One pattern; `None` where there is none of that id.
    ///
    /// # Errors
    /// [`DeskError::Unavailable`].
    pub async fn find_pattern(&self, pattern: PatternId) -> Result<Option<PatternRow>, DeskError> {
        let found = query("SELECT * FROM pattern WHERE id = $1")
            .bind(pattern.to_string())
            .optional(self.store())
            .await
            .map_err(Unreadable::from)?;
        Ok(found.as_ref().map(|found| row(found, self.now())).transpose()?)
    }

    /// Takes a pattern back: the next request that would use it asks people again. False where it
    /// had ended already.
    ///
    /// # Errors
    /// [`DeskError::Unavailable`].
    pub async fn revoke(&self, pattern: PatternId, at: Timestamp) -> Result<bool, DeskError> {
        let revoke = query(
            "UPDATE pattern SET ended = $2, ending = 'revoked' WHERE id = $1 AND ended IS NULL",
        )
        .bind(pattern.to_string())
        .bind(at.as_micros());
        let revoked = self.store().change(&[], revoke).await.map_err(Unreadable::from)?;
        Ok(revoked == 1)
    }

    /// A session is over: so are its patterns. Those of gateways that are gone end by themselves.
    ///
    /// # Errors
    /// [`DeskError::Unavailable`].
    pub async fn end_patterns(&self, session: SessionId) -> Result<(), DeskError> {
        let session = session.to_string();
        let found = query("SELECT count(*) FROM pattern WHERE ended IS NULL AND session = $1");
        let found = found.bind(&session).scalar::<i64>(self.store());
        let found = found.await.map_err(Unreadable::from)?;
        if found == 0 {
            return Ok(());
        }
        let end = query(
            "UPDATE pattern SET ended = $2, ending = 'session_ended'
             WHERE ended IS NULL AND session = $1",
        )
        .bind(&session)
        .bind(self.now().as_micros());
        self.store().change(&[], end).await.map_err(Unreadable::from)?;
        Ok(())
    }
}
