//! People's sessions in browsers. Asked at every request that comes with a cookie: what is not here,
//! is over, or cannot be read is nobody.

use crate::db::{Row, by_dialect, query};
use crate::open::Store;
use crate::page::{Listed, Page};
use crate::rows::{Unreadable, bad, json};
use portcullis_core::id::BrowserSessionId;
use portcullis_core::principal::Person;
use portcullis_core::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

/// Most sessions of one person at once; one more ends the one that was seen least lately.
pub const MAX_BROWSER_SESSIONS: u32 = 20;

/// A person's session in a browser, as it is kept and shown. The secret in the cookie is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BrowserSession {
    /// Which.
    pub id: BrowserSessionId,
    /// The provider that vouches.
    pub provider: String,
    /// By which settings of it: a mark that is of no others.
    #[serde(skip)]
    pub vouched_as: String,
    /// Who, until when the provider's word is good. It is a [`Person`], so never an agent.
    pub person: Person,
    /// Where it was begun from.
    pub peer: String,
    /// When it was begun.
    pub since: Timestamp,
    /// When it was last used, give or take a minute.
    pub seen: Timestamp,
    /// When it is over whatever happens.
    pub until: Timestamp,
    /// When it was ended, where it was.
    pub ended: Option<Timestamp>,
    /// The subject of whoever ended it.
    pub ended_by: Option<String>,
}

/// Browser sessions cannot be read or written; then nobody has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store of browser sessions cannot be read or written")]
pub struct BrowserSessionError;

impl From<Unreadable> for BrowserSessionError {
    fn from(error: Unreadable) -> Self {
        tracing::error!(error = error.0, "browser sessions cannot be read or written");
        Self
    }
}

impl From<sqlx::Error> for BrowserSessionError {
    fn from(error: sqlx::Error) -> Self {
        Unreadable::from(error).into()
    }
}

/// Where browser sessions are kept. Clones are the same.
#[derive(Debug, Clone)]
pub struct BrowserSessionStore {
    store: Store,
}

impl BrowserSessionStore {
    /// The browser sessions of a store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Keeps a new session under the hash of its secret. Where its person has
    /// [`MAX_BROWSER_SESSIONS`], the one that was seen least lately ends.
    ///
    /// # Errors
    /// [`BrowserSessionError`]: there is no such session then.
    pub async fn keep(
        &self,
        session: &BrowserSession,
        secret: &[u8; 32],
    ) -> Result<(), BrowserSessionError> {
        let who = session.person.principal();
        let mut tx = self.store.write(&[]).await?;
        query(
            "UPDATE browser_session SET ended = $3, ended_by = $2
             WHERE issuer = $1 AND subject = $2 AND until > $3 AND ended IS NULL
               AND id NOT IN (SELECT id FROM browser_session
                              WHERE issuer = $1 AND subject = $2 AND until > $3 AND ended IS NULL
                              ORDER BY seen DESC, id LIMIT $4)",
        )
        .bind(&who.issuer)
        .bind(&who.subject)
        .bind(session.since.as_micros())
        .bind(i64::from(MAX_BROWSER_SESSIONS) - 1)
        .execute(&mut tx)
        .await?;
        query(
            "INSERT INTO browser_session (id, secret, provider, person, issuer, subject, peer,
                                          since, seen, until, vouched_as)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(session.id.to_string())
        .bind(secret.as_slice())
        .bind(&session.provider)
        .bind(json(&session.person)?)
        .bind(&who.issuer)
        .bind(&who.subject)
        .bind(&session.peer)
        .bind(session.since.as_micros())
        .bind(session.seen.as_micros())
        .bind(session.until.as_micros())
        .bind(&session.vouched_as)
        .execute(&mut tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// The session whose secret hashes to this, over or not.
    ///
    /// # Errors
    /// [`BrowserSessionError`].
    pub async fn by_secret(
        &self,
        secret: &[u8; 32],
    ) -> Result<Option<BrowserSession>, BrowserSessionError> {
        let found = query("SELECT * FROM browser_session WHERE secret = $1");
        let found = found.bind(secret.as_slice()).optional(&self.store).await?;
        Ok(found.as_ref().map(row).transpose()?)
    }

    /// The session of this id, over or not.
    ///
    /// # Errors
    /// [`BrowserSessionError`].
    pub async fn find(
        &self,
        id: BrowserSessionId,
    ) -> Result<Option<BrowserSession>, BrowserSessionError> {
        let found = query("SELECT * FROM browser_session WHERE id = $1");
        let found = found.bind(id.to_string()).optional(&self.store).await?;
        Ok(found.as_ref().map(row).transpose()?)
    }

    /// Notes that a session was used.
    ///
    /// # Errors
    /// [`BrowserSessionError`]: it was not noted.
    pub async fn seen(
        &self,
        id: BrowserSessionId,
        at: Timestamp,
    ) -> Result<(), BrowserSessionError> {
        let noted = query("UPDATE browser_session SET seen = $2 WHERE id = $1 AND seen < $2");
        self.store.change(&[], noted.bind(id.to_string()).bind(at.as_micros())).await?;
        Ok(())
    }

    /// Keeps what the provider says now of the person of a session that is not over; false where it
    /// is, or where the person would be another.
    ///
    /// # Errors
    /// [`BrowserSessionError`]: it stands as it was.
    pub async fn renew(
        &self,
        id: BrowserSessionId,
        person: &Person,
    ) -> Result<bool, BrowserSessionError> {
        let who = person.principal();
        let renew = query(
            "UPDATE browser_session SET person = $2
             WHERE id = $1 AND issuer = $3 AND subject = $4 AND ended IS NULL",
        )
        .bind(id.to_string())
        .bind(json(person)?)
        .bind(&who.issuer)
        .bind(&who.subject);
        Ok(self.store.change(&[], renew).await? == 1)
    }

    /// Ends a session; false where it was over already.
    ///
    /// # Errors
    /// [`BrowserSessionError`]: it may still be good.
    pub async fn end(
        &self,
        id: BrowserSessionId,
        by: &str,
        at: Timestamp,
    ) -> Result<bool, BrowserSessionError> {
        let end = query(
            "UPDATE browser_session SET ended = $2, ended_by = $3
             WHERE id = $1 AND ended IS NULL AND until > $2",
        )
        .bind(id.to_string())
        .bind(at.as_micros())
        .bind(by);
        Ok(self.store.change(&[], end).await? == 1)
    }

    /// Ends all sessions of people for whom a provider has vouched by settings of one of these marks; which.
    ///
    /// # Errors
    /// [`BrowserSessionError`]: they may still be good.
    pub async fn end_vouched_as(
        &self,
        marks: &BTreeSet<String>,
        by: &str,
        at: Timestamp,
    ) -> Result<Vec<BrowserSessionId>, BrowserSessionError> {
        let mut tx = self.store.write(&[]).await?;
        let end = by_dialect(
            "UPDATE browser_session SET ended = $2, ended_by = $3
             WHERE ended IS NULL AND until > $2
               AND vouched_as IN (SELECT value FROM json_each($1))
             RETURNING id",
            "UPDATE browser_session SET ended = $2, ended_by = $3
             WHERE ended IS NULL AND until > $2
               AND vouched_as IN (SELECT json_array_elements_text($1::json))
             RETURNING id",
        );
        let end = end.bind(json(marks)?).bind(at.as_micros()).bind(by);
        let found = end.all(&mut tx).await?;
        let ended = |row: &Row| {
            row.try_get::<String>("id")?.parse().map_err(|e| bad("browser_session.id", e))
        };
        let ended = found.iter().map(ended).collect::<Result<_, Unreadable>>()?;
        tx.commit().await?;
        Ok(ended)
    }

    /// A page of the sessions of a person, or of everybody, that are not over at `now`; newest first.
    ///
    /// # Errors
    /// [`BrowserSessionError`].
    pub async fn list(
        &self,
        who: Option<(&str, &str)>,
        now: Timestamp,
        page: &Page,
    ) -> Result<Listed<BrowserSession>, BrowserSessionError> {
        let (issuer, subject) = who.unzip();
        let (before, id) = page.bounds();
        let found = query(
            "SELECT * FROM browser_session
             WHERE ($1 IS NULL OR issuer = $1 AND subject = $2) AND until > $3 AND ended IS NULL
               AND since <= $5 AND (since < $5 OR id > $6)
             ORDER BY since DESC, id LIMIT $4",
        )
        .bind(issuer)
        .bind(subject)
        .bind(now.as_micros())
        .bind(page.rows())
        .bind(before)
        .bind(id)
        .all(&self.store)
        .await?;
        let rows = found.iter().map(row).collect::<Result<_, Unreadable>>()?;
        Ok(Listed::of(rows, found.len(), page))
    }

    /// Forgets sessions that were over before this moment; how many.
    ///
    /// # Errors
    /// [`BrowserSessionError`]: they stay, and do no harm.
    pub async fn forget_ended(&self, before: Timestamp) -> Result<u64, BrowserSessionError> {
        let gone = query("DELETE FROM browser_session WHERE until < $1 OR ended < $1");
        Ok(self.store.change(&[], gone.bind(before.as_micros())).await?)
    }
}

fn row(row: &Row) -> Result<BrowserSession, Unreadable> {
    let text = |name: &str| row.try_get::<String>(name);
    let at = |name: &str| row.try_get(name).map(Timestamp::from_micros);
    let person: Person =
        serde_json::from_str(&text("person")?).map_err(|e| bad("browser_session.person", e))?;
    // One row says who it is twice, so that what somebody edits does not pass.
    let who = person.principal();
    if who.issuer != text("issuer")? || who.subject != text("subject")? {
        return Err(bad("browser_session.person", "it is not that of its row"));
    }
    let ended: Option<i64> = row.try_get("ended")?;
    Ok(BrowserSession {
        id: text("id")?.parse().map_err(|e| bad("browser_session.id", e))?,
        provider: text("provider")?,
        vouched_as: text("vouched_as")?,
        person,
        peer: text("peer")?,
        since: at("since")?,
        seen: at("seen")?,
        until: at("until")?,
        ended: ended.map(Timestamp::from_micros),
        ended_by: row.try_get("ended_by")?,
    })
}
