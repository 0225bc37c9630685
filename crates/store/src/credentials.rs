//! Credentials of the gateway's own. Asked at every log-in with one: what is not here, or cannot be
//! read, opens nothing.

use crate::db::{Row, Turn, by_dialect, query};
use crate::open::Store;
use crate::page::{Listed, Page};
use crate::peers::Topic;
use crate::rows::{Unreadable, bad, json};
use portcullis_core::id::CredentialId;
use portcullis_core::principal::{Actor, Principal};
use portcullis_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most credentials of one principal that are good at once.
pub const MAX_CREDENTIALS: u32 = 100;

/// A credential, as it is kept and shown. The token itself is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CredentialRow {
    /// Which.
    pub id: CredentialId,
    /// The only connection it opens.
    pub connection: String,
    /// What it is for, as claimed by whoever asked.
    pub purpose: String,
    /// Who logs in with it.
    pub principal: Principal,
    /// Who acts, the one at work first; empty where nobody acts for somebody.
    pub actors: Vec<Actor>,
    /// Whom it acts for, by issuer and subject.
    pub person: Option<Actor>,
    /// The providers and trust rules that vouched for the tokens it was made from.
    pub vouched_by: Vec<String>,
    /// By which settings of these, in the same order: marks that are no others' settings.
    #[serde(skip)]
    pub vouched_as: Vec<String>,
    /// When it was issued.
    pub issued: Timestamp,
    /// Until when it is good.
    pub expires: Timestamp,
    /// When it was revoked, where it was.
    pub revoked: Option<Timestamp>,
    /// The subject of whoever revoked it.
    pub revoked_by: Option<String>,
}

impl CredentialRow {
    /// True for whoever logs in with it, for the person it acts for, and for the software itself, which
    /// has asked for it, where that acts for nobody now.
    #[must_use]
    pub fn is_of(&self, caller: &Principal) -> bool {
        let itself = caller.issuer == self.principal.issuer
            && caller.subject == self.principal.subject
            && caller.kind == self.principal.kind
            && caller.acting_for.is_none();
        itself || caller.answers_for(&self.principal)
    }
}

/// Credentials cannot be read or written; then none is given, and none is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The store does not answer, or has something else than was written.
    #[error("the store of credentials cannot be read or written")]
    Unavailable,
    /// One principal has as many as may be.
    #[error("there are {MAX_CREDENTIALS} good credentials of this caller already: revoke some")]
    TooMany,
}

impl From<Unreadable> for CredentialError {
    fn from(error: Unreadable) -> Self {
        tracing::error!(error = error.0, "credentials cannot be read or written");
        Self::Unavailable
    }
}

impl From<sqlx::Error> for CredentialError {
    fn from(error: sqlx::Error) -> Self {
        Unreadable::from(error).into()
    }
}

/// Where credentials are kept. Clones are the same.
#[derive(Debug, Clone)]
pub struct CredentialStore {
    store: Store,
}

impl CredentialStore {
    /// The credentials of a store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    /// Follows what is revoked, at whichever gateway.
    #[must_use]
    pub fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.store.changes(Topic::Credentials)
    }

    /// Keeps a credential.
    ///
    /// # Errors
    /// [`CredentialError`]: it is not kept, and must not be handed out.
    pub async fn keep(&self, row: &CredentialRow) -> Result<(), CredentialError> {
        let mut tx = self.store.write(&[]).await?;
        let good: i64 = query(
            "SELECT count(*) FROM credential
             WHERE issuer = $1 AND subject = $2 AND expires > $3 AND revoked IS NULL",
        )
        .bind(&row.principal.issuer)
        .bind(&row.principal.subject)
        .bind(row.issued.as_micros())
        .scalar(&mut tx)
        .await?;
        if good >= i64::from(MAX_CREDENTIALS) {
            return Err(CredentialError::TooMany);
        }
        query(
            "INSERT INTO credential (id, connection, purpose, principal, actors, vouched_by, issuer,
                                     subject, person_issuer, person, issued, expires, vouched_as)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(row.id.to_string())
        .bind(&row.connection)
        .bind(&row.purpose)
        .bind(json(&row.principal)?)
        .bind(json(&row.actors)?)
        .bind(json(&row.vouched_by)?)
        .bind(&row.principal.issuer)
        .bind(&row.principal.subject)
        .bind(row.person.as_ref().map(|person| person.issuer.clone()))
        .bind(row.person.as_ref().map(|person| person.subject.clone()))
        .bind(row.issued.as_micros())
        .bind(row.expires.as_micros())
        .bind(json(&row.vouched_as)?)
        .execute(&mut tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// The credential of this id, good or not.
    ///
    /// # Errors
    /// [`CredentialError::Unavailable`].
    pub async fn find(&self, id: CredentialId) -> Result<Option<CredentialRow>, CredentialError> {
        let found = query("SELECT * FROM credential WHERE id = $1").bind(id.to_string());
        let found = found.optional(&self.store).await?;
        Ok(found.as_ref().map(row).transpose()?)
    }

    /// Which of these are revoked, each with who has done it. It depends on nothing else that is kept
    /// of them.
    ///
    /// # Errors
    /// [`CredentialError::Unavailable`].
    pub async fn revoked(
        &self,
        ids: &BTreeSet<CredentialId>,
    ) -> Result<Vec<(CredentialId, String)>, CredentialError> {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let found = by_dialect(
            "SELECT id, coalesce(revoked_by, '') AS who FROM credential
             WHERE revoked IS NOT NULL AND id IN (SELECT value FROM json_each($1))",
            "SELECT id, coalesce(revoked_by, '') AS who FROM credential
             WHERE revoked IS NOT NULL
               AND id IN (SELECT value FROM json_array_elements_text($1::json))",
        );
        let found = found.bind(json(&ids)?).all(&self.store).await?;
        let revoked = |row: &Row| {
            let id = row.try_get::<String>("id")?.parse().map_err(|e| bad("credential.id", e))?;
            Ok((id, row.try_get("who")?))
        };
        Ok(found.iter().map(revoked).collect::<Result<_, Unreadable>>()?)
    }

    /// A page of the credentials of a principal's issuer and subject and of those who act for it, newest
    /// first: those that are good at `now`, or all. Whether one [`is_of`](CredentialRow::is_of) the
    /// caller is for whoever lists them to ask.
    ///
    /// # Errors
    /// [`CredentialError::Unavailable`].
    pub async fn list(
        &self,
        caller: &Principal,
        all: bool,
        now: Timestamp,
        page: &Page,
    ) -> Result<Listed<CredentialRow>, CredentialError> {
        let (before, id) = page.bounds();
        let found = query(
            "SELECT * FROM credential
             WHERE (issuer = $1 AND subject = $2 OR person_issuer = $1 AND person = $2)
               AND ($3 OR expires > $4 AND revoked IS NULL)
               AND issued <= $6 AND (issued < $6 OR id > $7)
             ORDER BY issued DESC, id LIMIT $5",
        )
        .bind(&caller.issuer)
        .bind(&caller.subject)
        .bind(all)
        .bind(now.as_micros())
        .bind(page.rows())
        .bind(before)
        .bind(id)
        .all(&self.store)
        .await?;
        let rows = found.iter().map(row).collect::<Result<_, Unreadable>>()?;
        Ok(Listed::of(rows, found.len(), page))
    }

    /// Takes a credential back; false where it was over already.
    ///
    /// # Errors
    /// [`CredentialError::Unavailable`]: it may still be good.
    pub async fn revoke(
        &self,
        id: CredentialId,
        by: &str,
        at: Timestamp,
    ) -> Result<bool, CredentialError> {
        let revoke = query(
            "UPDATE credential SET revoked = $2, revoked_by = $3
             WHERE id = $1 AND revoked IS NULL AND expires > $2",
        )
        .bind(id.to_string())
        .bind(at.as_micros())
        .bind(by);
        Ok(self.store.change_in(Turn::Stops, &[Topic::Credentials], revoke).await? == 1)
    }

    /// Takes all back for which a provider or trust rule has vouched by settings of one of these marks, for
    /// nothing of what was said by them is believed any more; which, each with its connection.
    ///
    /// # Errors
    /// [`CredentialError::Unavailable`]: they may still be good.
    pub async fn revoke_vouched_as(
        &self,
        marks: &BTreeSet<String>,
        by: &str,
        at: Timestamp,
    ) -> Result<Vec<(CredentialId, String)>, CredentialError> {
        let mut tx = self.store.write_in(Turn::Stops, &[Topic::Credentials]).await?;
        let revoke = by_dialect(
            "UPDATE credential SET revoked = $2, revoked_by = $3
             WHERE revoked IS NULL AND expires > $2
               AND EXISTS (SELECT 1 FROM json_each(vouched_as) v
                           WHERE v.value IN (SELECT value FROM json_each($1)))
             RETURNING id, connection",
            "UPDATE credential SET revoked = $2, revoked_by = $3
             WHERE revoked IS NULL AND expires > $2
               AND EXISTS (SELECT 1 FROM json_array_elements_text(vouched_as::json) v
                           WHERE v IN (SELECT json_array_elements_text($1::json)))
             RETURNING id, connection",
        );
        let revoke = revoke.bind(json(marks)?).bind(at.as_micros()).bind(by);
        let found = revoke.all(&mut tx).await?;
        let revoked = |row: &Row| {
            let id = row.try_get::<String>("id")?.parse().map_err(|e| bad("credential.id", e))?;
            Ok((id, row.try_get("connection")?))
        };
        let revoked = found.iter().map(revoked).collect::<Result<_, Unreadable>>()?;
        tx.commit().await?;
        Ok(revoked)
    }

    /// Forgets credentials that expired before this moment; how many.
    ///
    /// # Errors
    /// [`CredentialError::Unavailable`]: they stay, and do no harm.
    pub async fn forget_expired(&self, before: Timestamp) -> Result<u64, CredentialError> {
        let gone = query("DELETE FROM credential WHERE expires < $1").bind(before.as_micros());
        Ok(self.store.change(&[], gone).await?)
    }
}

fn row(row: &Row) -> Result<CredentialRow, Unreadable> {
    let text = |name: &str| row.try_get::<String>(name);

    let principal: Principal =
        serde_json::from_str(&text("principal")?).map_err(|e| bad("credential.principal", e))?;
    let id: CredentialId = text("id")?.parse().map_err(|e| bad("credential.id", e))?;
    let expires = Timestamp::from_micros(row.try_get("expires")?);
    let person: (Option<String>, Option<String>) =
        (row.try_get("person_issuer")?, row.try_get("person")?);
    let person = match person {
        (Some(issuer), Some(subject)) => Some(Actor { subject, issuer }),
        (None, None) => None,
        _ => return Err(bad("credential.person", "half of it is missing")),
    };
    // One row says everything twice, so that what somebody edits does not pass.
    let same = principal.token_id.as_deref() == Some(&id.to_string())
        && principal.expires == expires
        && principal.issuer == text("issuer")?
        && principal.subject == text("subject")?
        && principal.person() == person.as_ref().map(|p| (&*p.issuer, &*p.subject));
    if !same {
        return Err(bad("credential.principal", "it is not that of its row"));
    }
    let revoked: Option<i64> = row.try_get("revoked")?;
    Ok(CredentialRow {
        id,
        connection: text("connection")?,
        purpose: text("purpose")?,
        principal,
        actors: serde_json::from_str(&text("actors")?).map_err(|e| bad("credential.actors", e))?,
        person,
        vouched_by: serde_json::from_str(&text("vouched_by")?)
            .map_err(|e| bad("credential.vouched_by", e))?,
        vouched_as: serde_json::from_str(&text("vouched_as")?)
            .map_err(|e| bad("credential.vouched_as", e))?,
        issued: Timestamp::from_micros(row.try_get("issued")?),
        expires,
        revoked: revoked.map(Timestamp::from_micros),
        revoked_by: row.try_get("revoked_by")?,
    })
}
