//! Labels that follow data: which columns of tables made through the gateway hold values of other
//! columns. Written before the transaction that makes such a table can be committed, read when the
//! gateway starts.

use crate::open::Store;
use crate::rows::{Unreadable, bad, json};
use portcullis_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

/// A database of a target, as labels are kept for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelPlace {
    /// Host and port.
    pub target: String,
    /// The database there.
    pub database: String,
    /// The connections that lead to it: a target that has moved is known by them.
    pub connections: Vec<String>,
}

/// Who has made a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LabelMaker {
    /// The issuer that vouches for the principal; empty where it was not kept.
    pub issuer: Box<str>,
    /// Its subject.
    pub subject: Box<str>,
}

/// The label of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelRow {
    /// The relation's number.
    pub relation: u32,
    /// The column's number in it.
    pub column: i16,
    /// How its values came from its sources.
    pub kind: LabelKind,
    /// The columns it came from.
    pub sources: Vec<LabelSource>,
    /// Who has made the table.
    pub maker: LabelMaker,
}

/// How the values of a column came from those of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LabelKind {
    /// Each of them is one that stands in a source, unchanged.
    Plain,
    /// They were worked out from the sources.
    Made,
    /// It could not be traced: they may come from anywhere.
    Untraced,
}

impl LabelKind {
    const ALL: [Self; 3] = [Self::Plain, Self::Made, Self::Untraced];

    const fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Made => "made",
            Self::Untraced => "untraced",
        }
    }

    /// That of what was made from columns of both kinds.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Untraced, _) | (_, Self::Untraced) => Self::Untraced,
            (Self::Plain, Self::Plain) => Self::Plain,
            _ => Self::Made,
        }
    }
}

/// A column whose values are in another one: by its numbers, and by the names it had then.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LabelSource {
    /// The relation's number.
    pub relation: u32,
    /// The column's number in it.
    pub column: i16,
    /// The relation's schema.
    pub schema: Box<str>,
    /// The relation's name.
    pub table: Box<str>,
    /// The column's name.
    pub name: Box<str>,
}

/// Labels cannot be read or written; then no table that would need one is made.
#[derive(Debug, thiserror::Error)]
#[error("the store of labels cannot be read or written")]
pub struct LabelError;

impl From<Unreadable> for LabelError {
    fn from(error: Unreadable) -> Self {
        tracing::error!(error = error.0, "labels cannot be read or written");
        Self
    }
}

/// Where labels are kept. Clones are the same.
#[derive(Debug, Clone)]
pub struct LabelStore {
    store: Store,
}

impl LabelStore {
    /// The labels of a store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// All labels of a place.
    ///
    /// # Errors
    /// [`LabelError`].
    pub async fn load(&self, place: &LabelPlace) -> Result<Vec<LabelRow>, LabelError> {
        Ok(self.read(place).await?)
    }

    async fn read(&self, place: &LabelPlace) -> Result<Vec<LabelRow>, Unreadable> {
        let found = sqlx::query(
            "SELECT relation, attribute, kind, sources, issuer, subject FROM label
             WHERE database = ?1
               AND (target = ?2 OR connection IN (SELECT value FROM json_each(?3)))
             ORDER BY target = ?2, made, relation, attribute",
        )
        .bind(&place.database)
        .bind(&place.target)
        .bind(json(&place.connections)?)
        .fetch_all(&self.store.pool)
        .await?;
        found.iter().map(row).collect()
    }

    /// Keeps labels, all of them or none. One of a relation of the same number, which is gone then,
    /// gives way.
    ///
    /// # Errors
    /// [`LabelError`]: none of them is kept.
    pub async fn keep(
        &self,
        place: &LabelPlace,
        labels: &[LabelRow],
        at: Timestamp,
    ) -> Result<(), LabelError> {
        Ok(self.write(place, labels, at).await?)
    }

    async fn write(
        &self,
        place: &LabelPlace,
        labels: &[LabelRow],
        at: Timestamp,
    ) -> Result<(), Unreadable> {
        let mut tx = self.store.pool.begin_with("BEGIN IMMEDIATE").await?;
        for label in labels {
            sqlx::query(
                "INSERT OR REPLACE INTO label
                     (target, database, relation, attribute, connection, kind, sources, made,
                      issuer, subject)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )
            .bind(&place.target)
            .bind(&place.database)
            .bind(i64::from(label.relation))
            .bind(i64::from(label.column))
            .bind(place.connections.first().map_or("", String::as_str))
            .bind(label.kind.word())
            .bind(json(&label.sources)?)
            .bind(at.as_micros())
            .bind(&*label.maker.issuer)
            .bind(&*label.maker.subject)
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// Forgets the labels of relations that are gone.
    ///
    /// # Errors
    /// [`LabelError`]: they stay, and do no harm.
    pub async fn forget(&self, place: &LabelPlace, relations: &[u32]) -> Result<(), LabelError> {
        let (gone, connections) = (json(&relations)?, json(&place.connections)?);
        sqlx::query(
            "DELETE FROM label
             WHERE database = ?1
               AND (target = ?2 OR connection IN (SELECT value FROM json_each(?3)))
               AND relation IN (SELECT value FROM json_each(?4))",
        )
        .bind(&place.database)
        .bind(&place.target)
        .bind(connections)
        .bind(gone)
        .execute(&self.store.pool)
        .await
        .map_err(Unreadable::from)?;
        Ok(())
    }
}

fn row(row: &SqliteRow) -> Result<LabelRow, Unreadable> {
    let (sources, word): (String, String) = (row.try_get("sources")?, row.try_get("kind")?);
    let kind = LabelKind::ALL.into_iter().find(|kind| kind.word() == word);
    let (relation, column): (i64, i64) = (row.try_get("relation")?, row.try_get("attribute")?);
    Ok(LabelRow {
        relation: u32::try_from(relation).map_err(|e| bad("label.relation", e))?,
        column: i16::try_from(column).map_err(|e| bad("label.attribute", e))?,
        kind: kind.ok_or_else(|| bad("label.kind", &word))?,
        sources: serde_json::from_str(&sources).map_err(|e| bad("label.sources", e))?,
        maker: LabelMaker {
            issuer: row.try_get::<String, _>("issuer")?.into(),
            subject: row.try_get::<String, _>("subject")?.into(),
        },
    })
}
