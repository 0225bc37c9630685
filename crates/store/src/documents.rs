//! Documents: what gateways go by beside their configuration files. All of one change are one transaction,
//! which compares the revision of the whole set with the one that the change was made on: of two who change
//! at once the second is told, and nothing is half done.

use crate::db::{Row, query};
use crate::open::Store;
use crate::peers::Topic;
use crate::rows::Unreadable;
use portcullis_core::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::watch;

/// Most documents there may be.
pub const MAX_DOCUMENTS: usize = 500;
/// Most changes of one document that are told.
const TOLD: i64 = 100;

/// A document as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentRow {
    /// What it is about.
    pub kind: String,
    /// Its name among those of its kind.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The revision of the set by which it is as it is.
    pub revision: u64,
    /// When it was changed last.
    pub changed: Timestamp,
    /// By whom: a subject.
    pub changed_by: String,
}

/// All of them, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Documents {
    /// How often the set was changed.
    pub revision: u64,
    /// In the order of kinds and names.
    pub rows: Vec<DocumentRow>,
}

/// What becomes of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentChange {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its text from now on; `None` where it is removed.
    pub text: Option<String>,
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DocumentChanged {
    /// The revision of all documents that came of it.
    pub revision: u64,
    /// The text from then on; `None` where it was removed.
    pub text: Option<String>,
    /// When.
    pub changed: Timestamp,
    /// By whom: a subject.
    pub changed_by: String,
}

/// Documents cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The store does not answer.
    #[error("the store of documents cannot be read or written: the gateway's log says why")]
    Unavailable,
    /// The store answers, and what it says nobody can read.
    #[error(
        "the documents in the store cannot be read, though it answers: it was damaged, or another version          of the gateway wrote it; the gateway's log says why (`portcullis doctor`)"
    )]
    Damaged,
    /// They were changed since they were looked at.
    #[error(
        "the documents were changed meanwhile: look at them again (`portcullis apply` makes a new plan)"
    )]
    Changed,
}

impl From<Unreadable> for DocumentError {
    fn from(error: Unreadable) -> Self {
        tracing::error!(error = error.0, "documents cannot be read or written");
        Self::Unavailable
    }
}

impl From<sqlx::Error> for DocumentError {
    fn from(error: sqlx::Error) -> Self {
        let answered = matches!(
            error,
            sqlx::Error::RowNotFound
                | sqlx::Error::ColumnNotFound(_)
                | sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::Decode(_)
        );
        let unavailable = Unreadable::from(error).into();
        if answered { Self::Damaged } else { unavailable }
    }
}

/// Where documents are kept. Clones are the same.
#[derive(Debug, Clone)]
pub struct DocumentStore {
    store: Store,
}

impl DocumentStore {
    /// The documents of a store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Follows changes, at whichever gateway.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.store.changes(Topic::Documents)
    }

    /// How often they were changed.
    ///
    /// # Errors
    /// [`DocumentError::Unavailable`].
    pub async fn revision(&self) -> Result<u64, DocumentError> {
        let found: i64 =
            query("SELECT revision FROM document_set WHERE one = 1").scalar(&self.store).await?;
        Ok(found.unsigned_abs())
    }

    /// All of them: what one statement sees.
    ///
    /// # Errors
    /// [`DocumentError::Unavailable`]; [`DocumentError::Damaged`] where one of them cannot be understood.
    pub async fn all(&self) -> Result<Documents, DocumentError> {
        let found = query(
            "SELECT s.revision AS set_revision, d.kind, d.name, d.text, d.revision, d.changed,
                    d.changed_by
             FROM document_set s LEFT JOIN document d ON s.one = 1 ORDER BY d.kind, d.name",
        )
        .all(&self.store)
        .await?;
        let set: i64 = found.first().ok_or(sqlx::Error::RowNotFound)?.try_get("set_revision")?;
        let rows = found.iter().map(row).filter_map(Result::transpose);
        Ok(Documents { revision: set.unsigned_abs(), rows: rows.collect::<Result<_, _>>()? })
    }

    /// Changes them, all or none, where the set is at revision `on` still; what revision came of it. They
    /// are on stable storage when this returns.
    ///
    /// # Errors
    /// [`DocumentError`]: nothing is changed.
    pub async fn change(
        &self,
        on: u64,
        changes: &[DocumentChange],
        (by, at): (&str, Timestamp),
    ) -> Result<u64, DocumentError> {
        let mut tx = self.store.write(&[Topic::Documents]).await?;
        let on = i64::try_from(on).map_err(|_| DocumentError::Changed)?;
        let set = query("UPDATE document_set SET revision = revision + 1 WHERE revision = $1");
        if set.bind(on).execute(&mut tx).await? != 1 {
            return Err(DocumentError::Changed);
        }
        let revision = on.saturating_add(1);
        for DocumentChange { kind, name, text } in changes {
            query(
                "INSERT INTO document_change (kind, name, revision, text, changed, changed_by)
                 VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(kind)
            .bind(name)
            .bind(revision)
            .bind(text.as_deref())
            .bind(at.as_micros())
            .bind(by)
            .execute(&mut tx)
            .await?;
            let Some(text) = text else {
                let gone = query("DELETE FROM document WHERE kind = $1 AND name = $2");
                gone.bind(kind).bind(name).execute(&mut tx).await?;
                continue;
            };
            query(
                "INSERT INTO document (kind, name, text, revision, changed, changed_by)
                 VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (kind, name) DO UPDATE SET text = excluded.text,
                     revision = excluded.revision, changed = excluded.changed,
                     changed_by = excluded.changed_by",
            )
            .bind(kind)
            .bind(name)
            .bind(text)
            .bind(revision)
            .bind(at.as_micros())
            .bind(by)
            .execute(&mut tx)
            .await?;
        }
        tx.commit().await?;
        Ok(revision.unsigned_abs())
    }

    /// What became of one document, the newest change first: the last hundred.
    ///
    /// # Errors
    /// [`DocumentError::Unavailable`].
    pub async fn history(
        &self,
        kind: &str,
        name: &str,
    ) -> Result<Vec<DocumentChanged>, DocumentError> {
        let found = query(
            "SELECT revision, text, changed, changed_by FROM document_change
             WHERE kind = $1 AND name = $2 ORDER BY revision DESC LIMIT $3",
        )
        .bind(kind)
        .bind(name)
        .bind(TOLD)
        .all(&self.store)
        .await?;
        let change = |row: &Row| -> Result<_, DocumentError> {
            Ok(DocumentChanged {
                revision: row.try_get::<i64>("revision")?.unsigned_abs(),
                text: row.try_get("text")?,
                changed: Timestamp::from_micros(row.try_get("changed")?),
                changed_by: row.try_get("changed_by")?,
            })
        };
        found.iter().map(change).collect()
    }
}

/// `None` for the row of a set without documents.
fn row(row: &Row) -> Result<Option<DocumentRow>, sqlx::Error> {
    let Some(kind) = row.try_get::<Option<String>>("kind")? else { return Ok(None) };
    Ok(Some(DocumentRow {
        kind,
        name: row.try_get("name")?,
        text: row.try_get("text")?,
        revision: row.try_get::<i64>("revision")?.unsigned_abs(),
        changed: Timestamp::from_micros(row.try_get("changed")?),
        changed_by: row.try_get("changed_by")?,
    }))
}
