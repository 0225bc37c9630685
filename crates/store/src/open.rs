//! Opening the database: once per process, checked before anything relies on it.

use crate::desk::{Clock, random_bits};
use crate::peers::Topics;
use crate::postgres::{Coming, PostgresSettings, Server};
use portcullis_core::time::Timestamp;
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use std::ffi::OsStr;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a statement waits for another one's lock.
const BUSY: Duration = Duration::from_secs(5);
/// Connections at most: SQLite has one writer, and readers do not wait for it.
const CONNECTIONS: u32 = 4;

/// The steps of the schema.
pub(crate) static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations/sqlite");

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
        "the store {path} is in use by another process: one gateway works on one SQLite store; stop \
         the other one, give this one a store of its own, or let both share one in PostgreSQL"
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
        "the store {store} was written by another version of portcullis (its schema step {step} is \
         not the one known here): run that version or a newer one"
    )]
    NewerSchema {
        /// The database file, or the server and its database.
        store: String,
        /// The step that is not known.
        step: i64,
    },
    /// An older gateway has it open.
    #[error(
        "the store {store} is open in a gateway of an older version (schema step {step}): run the \
         command of that version, or restart the gateway with this one"
    )]
    OlderGateway {
        /// The database file, or the server and its database.
        store: String,
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
    /// What the configuration says of a server is no way to one.
    #[error("store.url: {0}")]
    Url(String),
    /// A server does not answer, does not let the gateway in, or lets it not write.
    #[error("the store {server} cannot be used: {detail}; {next}")]
    Server {
        /// The server and its database.
        server: String,
        /// What the server, or the way to it, says.
        detail: String,
        /// What to do.
        next: &'static str,
    },
    /// Gateways work on a store that is to be settled.
    #[error("the store {server} is in use by {count} gateways: stop them, and wait {} s", crate::peers::GONE.as_secs())]
    InUse {
        /// The server and its database.
        server: String,
        /// How many were heard of lately.
        count: usize,
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

/// The open database of a gateway. Clones share it; it is closed when the last one goes.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) backend: Backend,
    pub(crate) topics: Arc<Topics>,
    pub(crate) gateway: Arc<str>,
}

/// Where it is.
#[derive(Debug, Clone)]
pub(crate) enum Backend {
    Sqlite {
        pool: SqlitePool,
        /// Held for as long as the store is open: keeps other gateways out.
        _lock: Option<Arc<File>>,
    },
    Postgres(Arc<Server>),
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
        let pool = pool(path, true).await?;
        let backend = Backend::Sqlite { pool: pool.clone(), _lock: Some(Arc::new(lock)) };
        let checked = async {
            check(&pool, path).await?;
            let store = Self::new(backend).map_err(|e| unavailable(path, &e))?;
            // Whoever was here before is gone, and this one is here for as long as the file is open.
            let begun = async {
                store.come(system_now()).await?;
                store.forget(Timestamp::from_micros(i64::MAX), system_now()).await
            };
            begun.await.map_err(|e| unavailable(path, &e)).map(|()| store)
        };
        let checked = checked.await;
        if checked.is_err() {
            pool.close().await;
        }
        checked
    }

    /// Connects to a database of a PostgreSQL server, which several gateways may share, brings its
    /// schema up to date and checks it. Must be called within a Tokio runtime: a task follows what
    /// the others change.
    ///
    /// # Errors
    /// [`StoreError`], with what the operator can do.
    pub async fn connect(settings: &PostgresSettings, clock: Clock) -> Result<Self, StoreError> {
        let server = Arc::new(Server::connect(settings, clock, Coming::Gateway).await?);
        let store = Self::of_server(&server)?;
        server.check(&store).await?;
        server.follow(&store);
        Ok(store)
    }

    /// Connects to a database of a PostgreSQL server for a command of whoever looks after the gateways:
    /// as a gateway would, or beside those that are there, whose version it then has to be.
    ///
    /// # Errors
    /// [`StoreError`], with what the operator can do.
    pub async fn connect_beside(
        settings: &PostgresSettings,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        Self::of_server(&Arc::new(Server::connect(settings, clock, Coming::Command).await?))
    }

    fn of_server(server: &Arc<Server>) -> Result<Self, StoreError> {
        let store = Self::new(Backend::Postgres(Arc::clone(server)));
        store.map_err(|e| server.unusable(&e.to_string()))
    }

    fn new(backend: Backend) -> Result<Self, crate::rows::Unreadable> {
        let gateway = format!("{:016x}", random_bits()?).into();
        Ok(Self { backend, topics: Arc::new(Topics::new()), gateway })
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
        let pool = pool(path, false).await?;
        let found = async {
            let mut connection = pool.acquire().await.map_err(|e| explained(path, &e))?;
            crate::copy::schema(path, &mut connection).await
        };
        let opened = match found.await {
            Ok((_, 0)) => Self::new(Backend::Sqlite { pool: pool.clone(), _lock: None })
                .map_err(|e| unavailable(path, &e)),
            Ok((step, _)) => {
                Err(StoreError::OlderGateway { store: path.display().to_string(), step })
            }
            Err(error) => Err(error),
        };
        if opened.is_err() {
            pool.close().await;
        }
        opened
    }

    /// Whether it answers, and may be gone by.
    pub async fn answers(&self) -> bool {
        crate::db::query("SELECT count(*) AS found FROM review WHERE status = 'none'")
            .optional(self)
            .await
            .is_ok()
    }

    /// Closes the database; what is not closed is closed in the background when it is dropped.
    pub async fn close(self) {
        match &self.backend {
            Backend::Sqlite { pool, .. } => pool.close().await,
            Backend::Postgres(server) => {
                // What this gateway has given ends now, and not when it is missed.
                let _ = self.leave(server.now()).await;
                server.close().await;
            }
        }
    }
}

async fn check(pool: &SqlitePool, path: &Path) -> Result<(), StoreError> {
    let found = sqlx::query_scalar::<_, String>("PRAGMA quick_check(1)");
    let found = found.fetch_one(pool).await.map_err(|e| explained(path, &e))?;
    if found != "ok" {
        return Err(StoreError::Corrupted { path: path.to_owned(), detail: found });
    }
    MIGRATIONS.run(pool).await.map_err(|error| match error {
        MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => explained(path, &e),
        other => match unknown_step(&other) {
            Some(step) => StoreError::NewerSchema { store: path.display().to_string(), step },
            None => unavailable(path, &other),
        },
    })?;
    // Whether it can be written shows only when it is: take the write lock and give it back.
    let write = pool.begin_with("BEGIN IMMEDIATE").await;
    let write = write.map_err(|e| explained(path, &e))?;
    write.rollback().await.map_err(|e| explained(path, &e))
}

/// The step of a schema that is not the one known here, where that is what is wrong.
pub(crate) const fn unknown_step(error: &MigrateError) -> Option<i64> {
    match error {
        MigrateError::VersionMissing(step)
        | MigrateError::VersionMismatch(step)
        | MigrateError::VersionTooNew(step, _) => Some(*step),
        _ => None,
    }
}

fn system_now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
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

/// How often the lock is asked for, and what is waited in between: a process that is just being started
/// holds what was open where it came from until it is another program.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// Takes the lock that keeps a second gateway out. It goes with the process.
pub(crate) fn lock(path: &Path) -> Result<File, StoreError> {
    let file = private(OpenOptions::new().create(true).append(true)).open(lock_file(path));
    let file = file.map_err(|e| match e.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            StoreError::ReadOnly { path: path.to_owned() }
        }
        _ => unavailable(path, &e),
    })?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(e)) => return Err(unavailable(path, &e)),
        }
    }
    Err(StoreError::Locked { path: path.to_owned() })
}

/// Makes the file for its owner only: reviews hold statements with their values. SQLite gives its
/// side files the rights of the database file.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
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
