//! Opening the database: once per process, checked before anything relies on it.

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use std::ffi::OsStr;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long a statement waits for another one's lock.
const BUSY: Duration = Duration::from_secs(5);
/// Connections at most: SQLite has one writer, and readers do not wait for it.
const CONNECTIONS: u32 = 4;

/// The steps of the schema.
pub(crate) static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// Result codes of SQLite (<https://www.sqlite.org/rescode.html>), primary part.
mod code {
    pub(super) const PERM: u32 = 3;
    pub(super) const BUSY: u32 = 5;
    pub(super) const LOCKED: u32 = 6;
    pub(super) const READONLY: u32 = 8;
    pub(super) const CORRUPT: u32 = 11;
    pub(super) const FULL: u32 = 13;
    pub(super) const NOTADB: u32 = 26;
}

/// The store cannot be opened. The gateway does not start without it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error(
        "the store {path} is in use by another process: one gateway works on one store; stop the \
         other one, or give this one a store of its own"
    )]
    Locked {
        /// The database file.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error(
        "the store {path} cannot be written: give the gateway's user the right to write the file and its directory"
    )]
    ReadOnly {
        /// The database file.
        path: PathBuf,
    },
    /// It is damaged, or is no database.
    #[error(
        "the store {path} is damaged or not a database ({detail}): restore it from a backup; it was not changed"
    )]
    Corrupted {
        /// The database file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// A newer version of this program wrote it.
    #[error(
        "the store {path} was written by another version of portcullis (its schema step {step} is \
         not the one known here): run that version or a newer one"
    )]
    NewerSchema {
        /// The database file.
        path: PathBuf,
        /// The step that is not known.
        step: i64,
    },
    /// An older gateway has it open.
    #[error(
        "the store {path} is open in a gateway of an older version (schema step {step}): run the \
         command of that version, or restart the gateway with this one"
    )]
    OlderGateway {
        /// The database file.
        path: PathBuf,
        /// The step it is at.
        step: i64,
    },
    /// The disk is full.
    #[error("the disk that holds the store {path} is full: make room on it, and start again")]
    Full {
        /// The database file.
        path: PathBuf,
    },
    /// It is not there.
    #[error("there is no store {path}: the gateway makes it at its first start")]
    Missing {
        /// The database file.
        path: PathBuf,
    },
    /// A restore was begun and has not ended.
    #[error(
        "a restore of the store {path} was interrupted: run `portcullis restore` again with the \
         same backup and --force"
    )]
    Restoring {
        /// The database file.
        path: PathBuf,
    },
    /// Anything else.
    #[error("the store {path} cannot be opened: {detail}")]
    Unavailable {
        /// The database file.
        path: PathBuf,
        /// What the system or SQLite says.
        detail: String,
    },
}

/// The open database of one gateway. Clones share it; it is closed when the last one goes.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) pool: SqlitePool,
    /// Held for as long as the store is open: keeps other gateways out.
    _lock: Option<Arc<File>>,
}

impl Store {
    /// Opens the database, or makes it, brings its schema up to date and checks it.
    ///
    /// # Errors
    /// [`StoreError`], with what the operator can do.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let lock = lock(path)?;
        if beside(path, ".restoring").exists() {
            return Err(StoreError::Restoring { path: path.to_owned() });
        }
        make_private(path).map_err(|e| unavailable(path, &e))?;
        let store = Self { pool: pool(path, true).await?, _lock: Some(Arc::new(lock)) };
        match store.check(path).await {
            Ok(()) => Ok(store),
            Err(error) => {
                store.pool.close().await;
                Err(error)
            }
        }
    }

    /// Opens the database for a command of whoever looks after the gateway: as a gateway would, or
    /// beside the one that has it, whose version it then has to be.
    ///
    /// # Errors
    /// [`StoreError`], with what the operator can do.
    pub async fn open_beside(path: &Path) -> Result<Self, StoreError> {
        match Self::open(path).await {
            Err(StoreError::Locked { .. }) => {}
            opened => return opened,
        }
        let store = Self { pool: pool(path, false).await?, _lock: None };
        let found = async {
            let mut connection = store.pool.acquire().await.map_err(|e| explained(path, &e))?;
            crate::copy::schema(path, &mut connection).await
        };
        match found.await {
            Ok((_, 0)) => Ok(store),
            Ok((step, _)) => {
                store.pool.close().await;
                Err(StoreError::OlderGateway { path: path.to_owned(), step })
            }
            Err(error) => {
                store.pool.close().await;
                Err(error)
            }
        }
    }

    /// Closes the database; what is not closed is closed in the background when it is dropped.
    pub async fn close(self) {
        self.pool.close().await;
    }

    async fn check(&self, path: &Path) -> Result<(), StoreError> {
        let found = sqlx::query_scalar::<_, String>("PRAGMA quick_check(1)");
        let found = found.fetch_one(&self.pool).await.map_err(|e| explained(path, &e))?;
        if found != "ok" {
            return Err(StoreError::Corrupted { path: path.to_owned(), detail: found });
        }
        MIGRATIONS.run(&self.pool).await.map_err(|error| match error {
            sqlx::migrate::MigrateError::VersionMissing(step)
            | sqlx::migrate::MigrateError::VersionMismatch(step)
            | sqlx::migrate::MigrateError::VersionTooNew(step, _) => {
                StoreError::NewerSchema { path: path.to_owned(), step }
            }
            sqlx::migrate::MigrateError::Execute(e)
            | sqlx::migrate::MigrateError::ExecuteMigration(e, _) => explained(path, &e),
            other => unavailable(path, &other),
        })?;
        // Whether it can be written shows only when it is: take the write lock and give it back.
        let write = self.pool.begin_with("BEGIN IMMEDIATE").await;
        let write = write.map_err(|e| explained(path, &e))?;
        write.rollback().await.map_err(|e| explained(path, &e))
    }
}

async fn pool(path: &Path, new: bool) -> Result<SqlitePool, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(new)
        .journal_mode(SqliteJournalMode::Wal)
        // In WAL mode `NORMAL` may lose the last commits with the power; an approval that is
        // used up must stay used up.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .foreign_keys(true)
        .pragma("trusted_schema", "OFF");
    let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(BUSY * 2);
    pool.connect_with(options).await.map_err(|e| explained(path, &e))
}

/// A file that belongs to the database, by what stands behind its name.
pub(crate) fn beside(path: &Path, ending: impl AsRef<OsStr>) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The file by whose lock gateways know of each other.
pub(crate) fn lock_file(path: &Path) -> PathBuf {
    beside(path, ".lock")
}

/// Takes the lock that keeps a second gateway out. It goes with the process.
pub(crate) fn lock(path: &Path) -> Result<File, StoreError> {
    let file = private(OpenOptions::new().create(true).append(true)).open(lock_file(path));
    let file = file.map_err(|e| match e.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            StoreError::ReadOnly { path: path.to_owned() }
        }
        _ => unavailable(path, &e),
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(e)) => Err(unavailable(path, &e)),
    }
}

/// Makes the file for its owner only: reviews hold statements with their values. SQLite gives its
/// side files the rights of the database file.
fn make_private(path: &Path) -> io::Result<()> {
    match private(OpenOptions::new().create_new(true).append(true)).open(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map(drop),
    }
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

pub(crate) fn unavailable(path: &Path, error: &dyn std::error::Error) -> StoreError {
    StoreError::Unavailable { path: path.to_owned(), detail: error.to_string() }
}

/// The primary result code of SQLite behind an error, where there is one.
fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?;
    // The primary code is the low byte of an extended one.
    code.parse::<u32>().ok().map(|code| code & 0xff)
}

pub(crate) fn explained(path: &Path, error: &sqlx::Error) -> StoreError {
    let path_buf = path.to_owned();
    match primary_code(error) {
        Some(code::BUSY | code::LOCKED) => StoreError::Locked { path: path_buf },
        Some(code::READONLY | code::PERM) => StoreError::ReadOnly { path: path_buf },
        Some(code::FULL) => StoreError::Full { path: path_buf },
        Some(code::CORRUPT | code::NOTADB) => {
            StoreError::Corrupted { path: path_buf, detail: error.to_string() }
        }
        _ => unavailable(path, error),
    }
}
