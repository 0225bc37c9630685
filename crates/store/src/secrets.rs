//! Sealed secrets, as they are kept: names, whom they are for, and encrypted bytes. Asked while a
//! target is dialed. Nothing here can open any of them.

use crate::db::{On, Row, Tx, query};
use crate::open::Store;
use crate::rows::Unreadable;
use portcullis_core::time::Timestamp;
use std::collections::BTreeMap;
use std::fmt;

/// Most secrets that are kept.
pub const MAX_SECRETS: u32 = 10_000;

/// A sealed secret.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretRow {
    /// Its name.
    pub name: String,
    /// The only connection that may use it.
    pub connection: String,
    /// What it is for.
    pub purpose: String,
    /// The encrypted value.
    pub value: Vec<u8>,
    /// When it was set.
    pub since: Timestamp,
    /// Its encrypted data key, by the ids of the master keys that open it.
    pub wraps: BTreeMap<String, Vec<u8>>,
}

impl fmt::Debug for SecretRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretRow({} of {})", self.name, self.connection)
    }
}

/// Secrets cannot be read or written; then none is opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The store does not answer, or has something else than was written.
    #[error("the store of sealed secrets cannot be read or written ({0})")]
    Unavailable(String),
    /// There are as many as may be.
    #[error("there are {MAX_SECRETS} sealed secrets already: remove some")]
    TooMany,
}

impl From<Unreadable> for SecretError {
    fn from(error: Unreadable) -> Self {
        tracing::error!(error = error.0, "sealed secrets cannot be read or written");
        Self::Unavailable(error.0)
    }
}

impl From<sqlx::Error> for SecretError {
    fn from(error: sqlx::Error) -> Self {
        Unreadable::from(error).into()
    }
}

/// A change of all secrets at once that was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError<E: std::error::Error> {
    /// The store would not.
    #[error(transparent)]
    Store(#[from] SecretError),
    /// One of them could not be changed.
    #[error(transparent)]
    One(E),
}

impl<E: std::error::Error> From<sqlx::Error> for ChangeError<E> {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Where sealed secrets are kept. Clones are the same.
#[derive(Debug, Clone)]
pub struct SecretStore {
    store: Store,
}

impl SecretStore {
    /// The secrets of a store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Keeps a secret, in place of the one of its name, if there is one; true where there was. It is on
    /// stable storage when this returns.
    ///
    /// # Errors
    /// [`SecretError`]: what was there is there still.
    pub async fn put(&self, row: &SecretRow) -> Result<bool, SecretError> {
        let mut tx = self.store.write(&[]).await?;
        let gone = query("DELETE FROM secret WHERE name = $1").bind(&row.name);
        let replaced = gone.execute(&mut tx).await? == 1;
        let count: i64 = query("SELECT count(*) FROM secret").scalar(&mut tx).await?;
        if count >= i64::from(MAX_SECRETS) {
            return Err(SecretError::TooMany);
        }
        query(
            "INSERT INTO secret (name, connection, purpose, value, since)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&row.name)
        .bind(&row.connection)
        .bind(&row.purpose)
        .bind(row.value.as_slice())
        .bind(row.since.as_micros())
        .execute(&mut tx)
        .await?;
        for (master, wrapped) in &row.wraps {
            add_wrap(&mut tx, &row.name, master, wrapped).await?;
        }
        tx.commit().await?;
        Ok(replaced)
    }

    /// The secret of this name.
    ///
    /// # Errors
    /// [`SecretError::Unavailable`].
    pub async fn find(&self, name: &str) -> Result<Option<SecretRow>, SecretError> {
        Ok(rows(&self.store, Some(name)).await?.pop())
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// [`SecretError::Unavailable`].
    pub async fn list(&self) -> Result<Vec<SecretRow>, SecretError> {
        rows(&self.store, None).await
    }

    /// Forgets a secret; false where there is none of that name.
    ///
    /// # Errors
    /// [`SecretError::Unavailable`]: it may still be there.
    pub async fn remove(&self, name: &str) -> Result<bool, SecretError> {
        let gone = query("DELETE FROM secret WHERE name = $1").bind(name);
        Ok(self.store.change(&[], gone).await? == 1)
    }

    /// Gives every secret the wrap that `wrap` makes of it, beside those it has: all of them, or none.
    /// How many got one.
    ///
    /// # Errors
    /// [`ChangeError`]: everything is as it was.
    pub async fn add_wraps<E: std::error::Error>(
        &self,
        wrap: impl Fn(&SecretRow) -> Result<Option<(String, Vec<u8>)>, E>,
    ) -> Result<u64, ChangeError<E>> {
        let mut tx = self.store.write(&[]).await?;
        let mut count = 0;
        for row in rows(&mut tx, None).await? {
            if let Some((master, wrapped)) = wrap(&row).map_err(ChangeError::One)? {
                add_wrap(&mut tx, &row.name, &master, &wrapped).await?;
                count += 1;
            }
        }
        tx.commit().await?;
        Ok(count)
    }

    /// Takes every wrap away that is not under this master key, once `check` has found that every
    /// secret opens with it: all of them, or none. How many went.
    ///
    /// # Errors
    /// [`ChangeError`]: everything is as it was.
    pub async fn keep_wraps_of<E: std::error::Error>(
        &self,
        master: &str,
        check: impl Fn(&SecretRow) -> Result<(), E>,
    ) -> Result<u64, ChangeError<E>> {
        let mut tx = self.store.write(&[]).await?;
        for row in rows(&mut tx, None).await? {
            check(&row).map_err(ChangeError::One)?;
        }
        let gone = query("DELETE FROM secret_wrap WHERE master <> $1").bind(master);
        let gone = gone.execute(&mut tx).await?;
        tx.commit().await?;
        Ok(gone)
    }
}

async fn add_wrap(
    tx: &mut Tx,
    secret: &str,
    master: &str,
    wrapped: &[u8],
) -> Result<(), sqlx::Error> {
    query(
        "INSERT INTO secret_wrap (secret, master, wrapped) VALUES ($1, $2, $3)
         ON CONFLICT (secret, master) DO UPDATE SET wrapped = excluded.wrapped",
    )
    .bind(secret)
    .bind(master)
    .bind(wrapped)
    .execute(tx)
    .await?;
    Ok(())
}

/// Secrets with their wraps, one or all, in one statement: so what it reads is of one moment.
pub(crate) const WITH_WRAPS: &str = "SELECT s.*, w.master, w.wrapped
     FROM secret s LEFT JOIN secret_wrap w ON w.secret = s.name
     WHERE $1 IS NULL OR s.name = $1";

async fn rows<'a>(
    on: impl Into<On<'a>>,
    name: Option<&str>,
) -> Result<Vec<SecretRow>, SecretError> {
    Ok(gathered(&query(WITH_WRAPS).bind(name).all(on).await?)?)
}

/// Secrets by name, of the rows of [`WITH_WRAPS`].
pub(crate) fn gathered(found: &[Row]) -> Result<Vec<SecretRow>, Unreadable> {
    let mut all: BTreeMap<String, SecretRow> = BTreeMap::new();
    for found in found {
        let secret = row(found)?;
        let secret = all.entry(secret.name.clone()).or_insert(secret);
        if let Some(master) = found.try_get::<Option<String>>("master")? {
            secret.wraps.insert(master, found.try_get("wrapped")?);
        }
    }
    Ok(all.into_values().collect())
}

fn row(row: &Row) -> Result<SecretRow, Unreadable> {
    Ok(SecretRow {
        name: row.try_get("name")?,
        connection: row.try_get("connection")?,
        purpose: row.try_get("purpose")?,
        value: row.try_get("value")?,
        since: Timestamp::from_micros(row.try_get("since")?),
        wraps: BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::Backend;

    fn row(name: &str) -> SecretRow {
        SecretRow {
            name: name.to_owned(),
            connection: "shop".to_owned(),
            purpose: "test".to_owned(),
            value: name.as_bytes().repeat(100),
            since: Timestamp::from_micros(7),
            wraps: BTreeMap::from([("mk_1".to_owned(), vec![1, 2, 3])]),
        }
    }

    async fn open() -> (tempfile::TempDir, SecretStore) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store.db")).await.unwrap();
        (directory, SecretStore::new(store))
    }

    #[tokio::test]
    async fn a_full_store_says_so_and_keeps_what_it_has() {
        let (_directory, secrets) = open().await;
        secrets.put(&row("a")).await.unwrap();
        // Of this connection of the pool alone, so all that there are have to have it.
        let Backend::Sqlite { pool, .. } = &secrets.store.backend else { panic!("SQLite") };
        let mut held = Vec::new();
        for _ in 0..4 {
            let mut connection = pool.acquire().await.unwrap();
            let pages: i64 =
                sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *connection).await.unwrap();
            let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
            sqlx::query(limit).execute(&mut *connection).await.unwrap();
            held.push(connection);
        }
        drop(held);
        let large = SecretRow { value: vec![7; 1 << 20], ..row("a") };
        let error = secrets.put(&large).await.unwrap_err().to_string();
        assert!(error.contains("full"), "{error}");
        assert_eq!(secrets.list().await.unwrap(), [row("a")]);
    }
}
