//! Freezes: what administrators keep agents from. Read when the gateway starts and again and again
//! after; what cannot be read is an error, and never an empty list.

use crate::db::{Row, Turn, query};
use crate::open::{Backend, Store};
use crate::page::{Listed, Page};
use crate::peers::Topic;
use crate::rows::{Unreadable, bad};
use portcullis_core::freeze::{Freeze, FreezeScope};
use portcullis_core::id::FreezeId;
use portcullis_core::principal::Administrator;
use portcullis_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most freezes that may be in force at once: agents' requests are held against each.
pub const MAX_FREEZES: i64 = 100;

/// A freeze, as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FreezeRow {
    /// What.
    #[serde(flatten)]
    pub freeze: Freeze,
    /// When it was taken back, where it was.
    pub thawed: Option<Timestamp>,
    /// By whom: the administrator's subject.
    pub thawed_by: Option<String>,
    /// True where it is in force now.
    pub good: bool,
}

/// Freezes cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FreezeError {
    /// The store does not answer, or says what nobody understands.
    #[error("the store of freezes cannot be read or written: the gateway's log says why")]
    Unavailable,
    /// There are as many as there may be.
    #[error("{MAX_FREEZES} freezes are in force already: thaw some, or make one that covers more")]
    Full,
}

impl From<Unreadable> for FreezeError {
    fn from(error: Unreadable) -> Self {
        tracing::error!(error = error.0, "freezes cannot be read or written");
        Self::Unavailable
    }
}

/// Where freezes are kept. Clones are the same.
#[derive(Debug, Clone)]
pub struct FreezeStore {
    store: Store,
}

impl FreezeStore {
    /// The freezes of a store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// True where other gateways may freeze and thaw as well.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self.store.backend, Backend::Postgres(_))
    }

    /// Follows what is frozen and thawed, at whichever gateway.
    #[must_use]
    pub fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.store.changes(Topic::Freezes)
    }

    /// Freezes, newest first; only those in force at that moment unless `all`, of which there are
    /// [`MAX_FREEZES`] at most.
    ///
    /// # Errors
    /// [`FreezeError::Unavailable`], also where one of them cannot be understood.
    pub async fn list(&self, all: bool, at: Timestamp) -> Result<Vec<FreezeRow>, FreezeError> {
        self.page(all, at, &Page::default()).await.map(|listed| listed.rows)
    }

    /// A page of them.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn page(
        &self,
        all: bool,
        at: Timestamp,
        page: &Page,
    ) -> Result<Listed<FreezeRow>, FreezeError> {
        let (before, id) = page.bounds();
        // Names written out are looked for at the moment of reading. What `*` stands for in SQLite may be
        // from before somebody changed the table.
        let found = query(
            "SELECT id, scope, connection, reason, name, since, until, thawed, thawed_by
             FROM \"freeze\" WHERE ($1 OR (thawed IS NULL AND until > $2))
               AND since <= $4 AND (since < $4 OR id > $5)
             ORDER BY since DESC, id LIMIT $3",
        )
        .bind(all)
        .bind(at.as_micros())
        .bind(page.rows())
        .bind(before)
        .bind(id)
        .all(&self.store)
        .await
        .map_err(Unreadable::from)?;
        let rows = found.iter().map(|found| row(found, at)).collect::<Result<_, Unreadable>>()?;
        Ok(Listed::of(rows, found.len(), page))
    }

    /// Keeps a freeze. It is on stable storage when this returns.
    ///
    /// # Errors
    /// [`FreezeError`]: it is not kept.
    pub async fn keep(&self, freeze: &Freeze, by: &Administrator) -> Result<(), FreezeError> {
        let who = by.principal();
        let keep = query(
            "INSERT INTO \"freeze\" (id, scope, connection, reason, issuer, subject, name, since, until)
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
             WHERE (SELECT count(*) FROM \"freeze\" WHERE thawed IS NULL AND until > $8) < $10",
        )
        .bind(freeze.id.to_string())
        .bind(freeze.scope.as_str())
        .bind(freeze.connection.as_deref())
        .bind(&freeze.reason)
        .bind(&who.issuer)
        .bind(&who.subject)
        .bind(&freeze.by)
        .bind(freeze.since.as_micros())
        .bind(freeze.until.as_micros())
        .bind(MAX_FREEZES);
        let kept = self
            .store
            .change_in(Turn::Stops, &[Topic::Freezes], keep)
            .await
            .map_err(Unreadable::from)?;
        if kept == 1 { Ok(()) } else { Err(FreezeError::Full) }
    }

    /// Takes a freeze back. False where it is over already, or there is none of that id.
    ///
    /// # Errors
    /// [`FreezeError::Unavailable`]: it is in force as before.
    pub async fn thaw(
        &self,
        freeze: FreezeId,
        by: &Administrator,
        at: Timestamp,
    ) -> Result<bool, FreezeError> {
        let thaw = query(
            "UPDATE \"freeze\" SET thawed = $2, thawed_by = $3
             WHERE id = $1 AND thawed IS NULL AND until > $2",
        )
        .bind(freeze.to_string())
        .bind(at.as_micros())
        .bind(&by.principal().subject);
        let thawed = self
            .store
            .change_in(Turn::Stops, &[Topic::Freezes], thaw)
            .await
            .map_err(Unreadable::from)?;
        Ok(thawed == 1)
    }
}

fn row(row: &Row, now: Timestamp) -> Result<FreezeRow, Unreadable> {
    let (id, word): (String, String) = (row.try_get("id")?, row.try_get("scope")?);
    let scope = FreezeScope::ALL.iter().copied().find(|scope| scope.as_str() == word);
    let until = Timestamp::from_micros(row.try_get("until")?);
    let thawed: Option<i64> = row.try_get("thawed")?;
    Ok(FreezeRow {
        freeze: Freeze {
            id: id.parse().map_err(|e| bad("freeze.id", e))?,
            scope: scope.ok_or_else(|| bad("freeze.scope", &word))?,
            connection: row.try_get("connection")?,
            reason: row.try_get("reason")?,
            by: row.try_get("name")?,
            since: Timestamp::from_micros(row.try_get("since")?),
            until,
        },
        thawed: thawed.map(Timestamp::from_micros),
        thawed_by: row.try_get("thawed_by")?,
        good: thawed.is_none() && until > now,
    })
}
