//! Where a test keeps its store: a file of its own, or a database of its own at a server that the
//! tests running at the time share.

use portcullis_core::time::Timestamp;
use portcullis_sandbox::postgres::{Options, Postgres};
use portcullis_store::{PostgresSettings, Store, StoreError};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "store-of-the-tests";

/// A server in a directory of its own.
pub(crate) struct Server {
    pub(crate) postgres: Postgres,
    _directory: TempDir,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), Vec::new())
    }

    pub(crate) fn start_in(directory: TempDir, more: Vec<String>) -> Self {
        let mut settings = vec!["max_connections = 300".to_owned(), "fsync = off".to_owned()];
        settings.extend(more);
        let options = Options { settings, hba: Vec::new() };
        let postgres = Postgres::start(directory.path(), PASSWORD, &options).unwrap();
        Self { postgres, _directory: directory }
    }

    /// The one the tests share. It lives while any of them holds it.
    fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap();
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }
}

pub(crate) enum Place {
    Sqlite(TempDir),
    Postgres(Arc<Server>, String),
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub(crate) fn postgres() -> Self {
        Self::at(Server::shared())
    }

    /// A database of its own at this server.
    pub(crate) fn at(server: Arc<Server>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let database = format!("store_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        server.postgres.sql("postgres", &format!("CREATE DATABASE {database}")).unwrap();
        Self::Postgres(server, database)
    }

    /// Another one of the kind.
    pub(crate) fn another(&self) -> Self {
        match self {
            Self::Sqlite(_) => Self::sqlite(),
            Self::Postgres(server, _) => Self::at(Arc::clone(server)),
        }
    }

    fn file(&self) -> PathBuf {
        let Self::Sqlite(directory) = self else { panic!("no file") };
        directory.path().join("store.db")
    }

    pub(crate) fn settings(&self) -> PostgresSettings {
        let Self::Postgres(server, database) = self else { panic!("no server") };
        let port = server.postgres.port();
        PostgresSettings {
            url: format!("postgres://postgres@127.0.0.1:{port}/{database}?sslmode=disable"),
            password: Some(PASSWORD.to_owned()),
            root_certificate: None,
            seen: None,
        }
    }

    pub(crate) async fn open(&self) -> Result<Store, StoreError> {
        match self {
            Self::Sqlite(_) => Store::open(&self.file()).await,
            Self::Postgres(..) => Store::connect(&self.settings(), now).await,
        }
    }

    /// The store; in PostgreSQL each is another gateway's.
    pub(crate) async fn store(&self) -> Store {
        self.open().await.unwrap()
    }

    /// Something done past the store.
    pub(crate) async fn sql(&self, statement: &str) {
        match self {
            Self::Sqlite(_) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.file());
                let mut other = sqlx::ConnectOptions::connect(&options).await.unwrap();
                let statement = sqlx::AssertSqlSafe(statement.to_owned());
                sqlx::Executor::execute(&mut other, statement).await.unwrap();
            }
            Self::Postgres(server, database) => {
                server.postgres.sql(database, statement).unwrap();
            }
        }
    }
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
}
