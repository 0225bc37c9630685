//! The database as a whole: looked at without changing it, copied while it is in use, and put back.
//! Beside the life of a request; for whoever looks after the gateway.

use crate::db::Row;
use crate::open::{MIGRATIONS, StoreError, beside, explained, lock_file, unavailable};
use crate::secrets::{SecretRow, WITH_WRAPS, gathered};
use portcullis_core::time::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a statement waits for another one's lock.
const BUSY: Duration = Duration::from_secs(5);

/// What was found in a database that was only looked at.
#[derive(Debug)]
pub struct Examined {
    /// The newest step of its schema.
    pub step: i64,
    /// Steps of the schema that this program would add when it opens it.
    pub missing: usize,
    /// Its size, in bytes.
    pub bytes: u64,
    /// The sealed secrets in it.
    pub secrets: Vec<SecretRow>,
}

/// True where a gateway has the store open.
#[must_use]
pub fn is_open(path: &Path) -> bool {
    let Ok(lock) = File::open(lock_file(path)) else { return false };
    matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Looks a database over, every page of it, and writes nothing: not to it, and not beside it.
///
/// # Errors
/// [`StoreError`]: it is missing, damaged, locked, or another version's.
pub async fn examine(path: &Path) -> Result<Examined, StoreError> {
    if beside(path, ".restoring").exists() {
        return Err(StoreError::Restoring { path: path.to_owned() });
    }
    let bytes = fs::metadata(path).map_err(|e| unavailable(path, &e))?.len();
    let log = fs::metadata(beside(path, "-wal")).map_or(0, |found| found.len());
    // A database with a write-ahead log is read together with an index of it, which SQLite makes
    // beside it unless a gateway has done so. Without a log, and with nobody who writes, none is
    // needed; with a log of nobody's, a copy is looked at.
    let (copy, from, alone) = match (is_open(path), log) {
        (true, _) => (None, path.to_owned(), false),
        (false, 0) => (None, path.to_owned(), true),
        (false, _) => {
            let (copy, from) = copied(path).map_err(|e| unavailable(path, &e))?;
            (Some(copy), from, false)
        }
    };
    let options = SqliteConnectOptions::new()
        .filename(&from)
        .read_only(copy.is_none())
        .immutable(alone)
        .create_if_missing(false)
        .busy_timeout(BUSY)
        .pragma("trusted_schema", "OFF");
    let mut connection = options.connect().await.map_err(|e| explained(path, &e))?;
    let found = look(path, &mut connection, bytes).await;
    let _ = connection.close().await;
    drop(copy);
    found
}

fn copied(path: &Path) -> std::io::Result<(tempfile::TempDir, PathBuf)> {
    let directory = tempfile::tempdir()?;
    let copy = directory.path().join("store.db");
    fs::copy(path, &copy)?;
    fs::copy(beside(path, "-wal"), beside(&copy, "-wal"))?;
    Ok((directory, copy))
}

async fn look(
    path: &Path,
    connection: &mut SqliteConnection,
    bytes: u64,
) -> Result<Examined, StoreError> {
    let failed = |e: sqlx::Error| explained(path, &e);
    let found = sqlx::query_scalar::<_, String>("PRAGMA integrity_check(1)");
    let found = found.fetch_one(&mut *connection).await.map_err(failed)?;
    if found != "ok" {
        return Err(StoreError::Corrupted { path: path.to_owned(), detail: found });
    }
    let (step, missing) = schema(path, connection).await?;
    let known = sqlx::query_scalar::<_, i64>(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'secret_wrap'",
    );
    let secrets = match known.fetch_one(&mut *connection).await.map_err(failed)? {
        0 => Vec::new(),
        _ => {
            let found = sqlx::query(WITH_WRAPS).bind(None::<String>).fetch_all(&mut *connection);
            let found: Vec<Row> =
                found.await.map_err(failed)?.into_iter().map(Row::Sqlite).collect();
            gathered(&found).map_err(|e| StoreError::Corrupted {
                path: path.to_owned(),
                detail: e.to_string(),
            })?
        }
    };
    Ok(Examined { step, missing, bytes, secrets })
}

/// The newest step of a schema, and how many this program would add.
pub(crate) async fn schema(
    path: &Path,
    connection: &mut SqliteConnection,
) -> Result<(i64, usize), StoreError> {
    let steps = sqlx::query("SELECT version, checksum, success FROM _sqlx_migrations ORDER BY 1");
    let steps = steps.fetch_all(connection).await.map_err(|e| explained(path, &e))?;
    let newer = |step| StoreError::NewerSchema { store: path.display().to_string(), step };
    let (mut newest, mut known) = (0, 0);
    for found in &steps {
        let parts = || {
            let checksum = found.try_get::<Vec<u8>, _>("checksum")?;
            Ok((found.try_get("version")?, checksum, found.try_get("success")?))
        };
        let (step, checksum, done): (i64, _, bool) = parts().map_err(|e| explained(path, &e))?;
        let same = MIGRATIONS.iter().find(|own| own.version == step);
        if !same.is_some_and(|own| done && *own.checksum == *checksum) {
            return Err(newer(step));
        }
        (newest, known) = (step, known + 1);
    }
    Ok((newest, MIGRATIONS.iter().count().saturating_sub(known)))
}

/// Copies a database as it is at one moment, whole, while others may read and write it. `into` is an
/// empty file, or none yet.
///
/// # Errors
/// [`StoreError`]: `into` is not to be used.
pub async fn copy(path: &Path, into: &Path) -> Result<(), StoreError> {
    let failed = |e: sqlx::Error| explained(path, &e);
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(BUSY)
        .pragma("trusted_schema", "OFF");
    if !path.exists() {
        return Err(StoreError::Missing { path: path.to_owned() });
    }
    let mut connection = options.connect().await.map_err(failed)?;
    let done = sqlx::query("VACUUM INTO ?1")
        .bind(into.to_string_lossy().into_owned())
        .execute(&mut connection)
        .await;
    let _ = connection.close().await;
    done.map(drop).map_err(failed)
}

/// What a copy that is put back no longer lets anybody do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Reviews that were open.
    pub reviews: u64,
    /// Credentials that were good.
    pub credentials: u64,
    /// Grants that were in force, and requests for them that waited.
    pub grants: u64,
}

/// Open reviews and approvals lapse.
pub(crate) const LAPSE: &str = "UPDATE review SET status = 'expired', ended = $1,
        expires = CASE WHEN expires < $1 THEN expires ELSE $1 END
     WHERE status IN ('pending', 'approved')";
/// Credentials are revoked.
pub(crate) const REVOKE: &str =
    "UPDATE credential SET revoked = $1, revoked_by = 'restored from a backup'
     WHERE revoked IS NULL AND expires > $1";
/// Grants end, and requests for them are taken back. The next gateway records it.
pub(crate) const END_GRANTS: &str = "UPDATE access_grant
     SET status = CASE WHEN status = 'active' AND recorded THEN 'ended' ELSE 'withdrawn' END,
         ended = $1, ending = 'restored', recorded = false, recorder = ''
     WHERE status IN ('pending', 'active')";
/// People sign in again.
pub(crate) const SIGN_OUT: &str = "UPDATE browser_session SET ended = $1, ended_by = 'restored from a backup' WHERE ended IS NULL";

/// What was told since is not told again, nor that it is over.
pub(crate) const HUSH: &str = "UPDATE notification SET state = 'void', ended = $1
     WHERE state = 'due' OR event IN ('review.waiting', 'access_request.waiting')";

/// Takes back from a copy what may have been used or taken back since it was made: open reviews and
/// approvals lapse, credentials are revoked, grants end, people sign in again.
///
/// # Errors
/// [`StoreError`]: the copy is not to be used.
pub async fn settle(path: &Path, now: Timestamp) -> Result<Settled, StoreError> {
    let failed = |e: sqlx::Error| explained(path, &e);
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .foreign_keys(true)
        .pragma("trusted_schema", "OFF");
    let mut connection = options.connect().await.map_err(failed)?;
    schema(path, &mut connection).await?;
    let tables = sqlx::query_scalar::<_, String>("SELECT name FROM sqlite_schema");
    let tables = tables.fetch_all(&mut connection).await.map_err(failed)?;
    let has = |table: &str| tables.iter().any(|name| name == table);
    let mut settled = Settled { reviews: 0, credentials: 0, grants: 0 };
    let mut tx = connection.begin().await.map_err(failed)?;
    if has("review") {
        let lapse = sqlx::query(LAPSE).bind(now.as_micros()).execute(&mut *tx).await;
        settled.reviews = lapse.map_err(failed)?.rows_affected();
    }
    if has("credential") {
        let revoke = sqlx::query(REVOKE).bind(now.as_micros()).execute(&mut *tx).await;
        settled.credentials = revoke.map_err(failed)?.rows_affected();
    }
    if has("access_grant") {
        let end = sqlx::query(END_GRANTS).bind(now.as_micros()).execute(&mut *tx).await;
        settled.grants = end.map_err(failed)?.rows_affected();
    }
    if has("browser_session") {
        let end = sqlx::query(SIGN_OUT);
        end.bind(now.as_micros()).execute(&mut *tx).await.map_err(failed)?;
    }
    if has("notification") {
        let hush = sqlx::query(HUSH);
        hush.bind(now.as_micros()).execute(&mut *tx).await.map_err(failed)?;
    }
    tx.commit().await.map_err(failed)?;
    connection.close().await.map_err(failed)?;
    Ok(settled)
}
