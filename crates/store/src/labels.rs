//! Labels that follow data: which columns of tables made through the gateway hold values of other
//! columns. Written before the transaction that makes such a table can be committed, read when the
//! gateway starts.

use crate::db::{Row, Turn, by_dialect, query};
use crate::definitions;
use crate::open::Store;
use crate::rows::{Unreadable, bad, json};
use portcullis_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A database of a target, as labels are kept for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelPlace {
    /// Host and port.
    pub target: String,
    /// The database there.
    pub database: String,
    /// The connections that lead to it: a target that has moved is known by them.
    pub connections: Vec<String>,
    /// What its servers have said of themselves, each with the database's number there: the same one may
    /// be known elsewhere by another host.
    pub servers: Vec<String>,
}

impl LabelPlace {
    /// All names it goes by, each with the database it is said of: none that others may have for it is
    /// missing but by chance.
    pub(crate) fn names(&self) -> Vec<(String, &str)> {
        let database = self.database.as_str();
        let connections = self.connections.iter().map(|c| (format!("connection {c}"), database));
        let servers = self.servers.iter().map(|server| (format!("server {server}"), ""));
        [(self.target.clone(), database)].into_iter().chain(connections).chain(servers).collect()
    }
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

impl LabelRow {
    /// What both say of one column.
    fn unite(&mut self, other: Self) {
        self.kind = self.kind.and(other.kind);
        let all: BTreeSet<_> = self.sources.drain(..).chain(other.sources).collect();
        self.sources = all.into_iter().collect();
    }
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
        let found = query(
            "SELECT relation, attribute, kind, sources, issuer, subject, target, connection, server
             FROM label WHERE database = $1 OR server <> ''
             ORDER BY made, relation, attribute",
        )
        .bind(&place.database)
        .all(&self.store)
        .await?;
        let (mut rows, mut by_connection) = (BTreeMap::<_, LabelRow>::new(), BTreeMap::new());
        for one in &found {
            let get = |name| one.try_get::<String>(name);
            let (target, by, server) = (get("target")?, get("connection")?, get("server")?);
            let row = row(one)?;
            let key = (row.relation, row.column);
            if target == place.target || place.servers.contains(&server) {
                // What was kept at two gateways by two names of one server counts as a whole.
                match rows.get_mut(&key) {
                    Some(other) => other.unite(row),
                    None => drop(rows.insert(key, row)),
                }
            } else if place.connections.contains(&by) {
                by_connection.insert(key, row);
            }
        }
        // Of a target that has moved, or is not asked: what it says itself goes before.
        for (key, row) in by_connection {
            rows.entry(key).or_insert(row);
        }
        Ok(rows.into_values().collect())
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
        let mut rows = Vec::with_capacity(labels.len());
        for label in labels {
            let (issuer, subject) = (&*label.maker.issuer, &*label.maker.subject);
            let sources = json(&label.sources)?;
            let word = label.kind.word();
            rows.push((label.relation, label.column, word, sources, issuer, subject));
        }
        let mut tx = self.store.write_in(Turn::Definitions, &[]).await?;
        by_dialect(
            "INSERT INTO label (relation, attribute, kind, sources, issuer, subject,
                                target, database, connection, made, server)
             SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'),
                    json_extract(value, '$[2]'), json_extract(value, '$[3]'),
                    json_extract(value, '$[4]'), json_extract(value, '$[5]'), $2, $3, $4, $5, $6
             FROM json_each($1) WHERE true
             ON CONFLICT (target, database, relation, attribute) DO UPDATE
             SET connection = excluded.connection, kind = excluded.kind,
                 sources = excluded.sources, made = excluded.made, server = excluded.server,
                 issuer = excluded.issuer, subject = excluded.subject",
            "INSERT INTO label (relation, attribute, kind, sources, issuer, subject,
                                target, database, connection, made, server)
             SELECT (label->>0)::bigint, (label->>1)::bigint, label->>2, label->>3, label->>4,
                    label->>5, $2, $3, $4, $5, $6
             FROM json_array_elements($1::json) AS labels(label)
             ON CONFLICT (target, database, relation, attribute) DO UPDATE
             SET connection = excluded.connection, kind = excluded.kind,
                 sources = excluded.sources, made = excluded.made, server = excluded.server,
                 issuer = excluded.issuer, subject = excluded.subject",
        )
        .bind(json(&rows)?)
        .bind(&place.target)
        .bind(&place.database)
        .bind(place.connections.first().map_or("", String::as_str))
        .bind(at.as_micros())
        .bind(place.servers.last().map_or("", String::as_str))
        .execute(&mut tx)
        .await?;
        definitions::count(&mut tx, place).await?;
        Ok(tx.commit().await?)
    }

    /// Forgets the labels of relations that are gone.
    ///
    /// # Errors
    /// [`LabelError`]: they stay, and do no harm.
    pub async fn forget(
        &self,
        place: &LabelPlace,
        relations: &BTreeSet<u32>,
    ) -> Result<(), LabelError> {
        self.delete(place, relations, None).await?;
        Ok(())
    }

    /// The same, where no other gateway is changing definitions and there were no more than `changes`;
    /// false where one is, or there were.
    ///
    /// # Errors
    /// [`LabelError`]: they stay, and do no harm.
    pub async fn forget_as_of(
        &self,
        place: &LabelPlace,
        relations: &BTreeSet<u32>,
        changes: i64,
    ) -> Result<bool, LabelError> {
        Ok(self.delete(place, relations, Some(changes)).await?)
    }

    async fn delete(
        &self,
        place: &LabelPlace,
        relations: &BTreeSet<u32>,
        as_of: Option<i64>,
    ) -> Result<bool, Unreadable> {
        let mut tx = self.store.write_in(Turn::Definitions, &[]).await?;
        if let Some(changes) = as_of {
            let standing = definitions::standing(&mut tx, place, self.store.gateway()).await?;
            if standing.changing || standing.changes != changes {
                return Ok(false);
            }
        }
        by_dialect(
            "DELETE FROM label
             WHERE relation IN (SELECT value FROM json_each($1))
               AND (database = $2 AND (target = $3 OR connection IN (SELECT value FROM json_each($4)))
                    OR server IN (SELECT value FROM json_each($5)))",
            "DELETE FROM label
             WHERE relation IN (SELECT value::bigint FROM json_array_elements_text($1::json))
               AND (database = $2 AND (target = $3 OR connection IN
                        (SELECT value FROM json_array_elements_text($4::json)))
                    OR server IN (SELECT value FROM json_array_elements_text($5::json)))",
        )
        .bind(json(relations)?)
        .bind(&place.database)
        .bind(&place.target)
        .bind(json(&place.connections)?)
        .bind(json(&place.servers)?)
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }
}

fn row(row: &Row) -> Result<LabelRow, Unreadable> {
    let (sources, word): (String, String) = (row.try_get("sources")?, row.try_get("kind")?);
    let kind = LabelKind::ALL.into_iter().find(|kind| kind.word() == word);
    let (relation, column): (i64, i64) = (row.try_get("relation")?, row.try_get("attribute")?);
    Ok(LabelRow {
        relation: u32::try_from(relation).map_err(|e| bad("label.relation", e))?,
        column: i16::try_from(column).map_err(|e| bad("label.attribute", e))?,
        kind: kind.ok_or_else(|| bad("label.kind", &word))?,
        sources: serde_json::from_str(&sources).map_err(|e| bad("label.sources", e))?,
        maker: LabelMaker {
            issuer: row.try_get::<String>("issuer")?.into(),
            subject: row.try_get::<String>("subject")?.into(),
        },
    })
}
