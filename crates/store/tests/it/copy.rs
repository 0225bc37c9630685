//! Looking at a database without writing, copying it while it is in use, and what a copy that is put
//! back no longer lets anybody do.

use portcullis_core::time::Timestamp;
use portcullis_store::{Store, StoreError, copy, examine, is_open, settle};
use sqlx::{Connection as _, Row as _, SqliteConnection};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

async fn connection(path: &Path) -> SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn sql(path: &Path, statement: &'static str) {
    let mut connection = connection(path).await;
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|e| e.unwrap().path()).map(|p| (p.clone(), std::fs::read(p).unwrap())).collect()
}

/// Closes a store, and waits until it is: its last connection writes the log back into the file, and a process that
/// another test begins at that moment has the lock for as long as it takes to begin. Of connections that close at the
/// same time each may take another for the last one, and leave the log: then one more is the last.
pub(crate) async fn close(store: Store, path: &Path) {
    store.close().await;
    let log = path.with_extension("db-wal");
    for turn in 1..=1_000 {
        match (is_open(path), log.exists()) {
            (false, false) => return,
            (false, true) if turn % 50 == 0 => {
                sql(path, "SELECT count(*) FROM sqlite_master").await
            }
            _ => {}
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{} is still open: {}, with its log: {}", path.display(), is_open(path), log.exists());
}

#[tokio::test]
async fn looking_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let missing = examine(&path).await.unwrap_err().to_string();
    assert!(missing.contains("store.db"), "{missing}");
    close(Store::open(&path).await.unwrap(), &path).await;
    let before = files(directory.path());
    assert_eq!(examine(&path).await.unwrap().missing, 0);
    assert_eq!(files(directory.path()), before);
    // With a log beside it, as a crash leaves it.
    let store = Store::open(&path).await.unwrap();
    assert!(is_open(&path));
    sql(&path, "CREATE TABLE extra (x)").await;
    assert!(examine(&path).await.is_ok());
    let crashed = directory.path().join("crashed");
    std::fs::create_dir(&crashed).unwrap();
    for name in ["store.db", "store.db-wal"] {
        std::fs::copy(directory.path().join(name), crashed.join(name)).unwrap();
    }
    close(store, &path).await;
    let before = files(&crashed);
    assert!(before[&crashed.join("store.db-wal")].len() > 100, "there is a log to be read");
    assert!(examine(&crashed.join("store.db")).await.is_ok());
    assert_eq!(files(&crashed), before);
    // What is wrong is told, and left.
    sql(&path, "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 10").await;
    let error = examine(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { step: 10, .. }), "{error}");
    sql(&path, "DELETE FROM _sqlx_migrations WHERE version = 10").await;
    assert_eq!(examine(&path).await.unwrap().missing, 1);
}

#[tokio::test]
async fn a_store_is_copied_while_it_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let (path, into) = (directory.path().join("store.db"), directory.path().join("copy.db"));
    assert!(matches!(copy(&path, &into).await, Err(StoreError::Missing { .. })));
    let store = Store::open(&path).await.unwrap();
    sql(&path, "CREATE TABLE extra (x)").await;
    copy(&path, &into).await.unwrap();
    let mut copied = connection(&into).await;
    sqlx::query("SELECT * FROM extra").fetch_all(&mut copied).await.unwrap();
    assert!(copy(&path, &into).await.is_err(), "what is there is not written over");
    store.close().await;
}

#[tokio::test]
async fn what_was_open_in_a_copy_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    Store::open(&path).await.unwrap().close().await;
    sql(
        &path,
        "INSERT INTO review (id, digest, status, issuer, subject, connection, ask, filed, expires)
         SELECT status, status, status, 'i', 's', 'c', '{}', 1, 1000
         FROM (SELECT 'pending' AS status UNION ALL SELECT 'approved' UNION ALL SELECT 'used')",
    )
    .await;
    sql(
        &path,
        "INSERT INTO credential (id, connection, purpose, principal, actors, vouched_by, issuer,
                                 subject, issued, expires, revoked)
         SELECT id, 'c', 'p', '{}', '[]', '[]', 'i', 's', 1, expires, revoked
         FROM (SELECT 'good' AS id, 1000 AS expires, NULL AS revoked
               UNION ALL SELECT 'over', 10, NULL UNION ALL SELECT 'gone', 1000, 20)",
    )
    .await;
    sql(
        &path,
        "INSERT INTO access_grant (id, digest, status, connection, role, kind, issuer, subject, ask,
                                   asked, lapses, begun, until)
         SELECT status, status, status, 'c', 'r', 'Agent', 'i', 's', '{}', 1, 1000, 1, 1000
         FROM (SELECT 'pending' AS status UNION ALL SELECT 'active' UNION ALL SELECT 'ended')",
    )
    .await;
    let settled = settle(&path, Timestamp::from_micros(500)).await.unwrap();
    assert_eq!((settled.reviews, settled.credentials, settled.grants), (2, 1, 2));
    let mut connection = connection(&path).await;
    let open = "SELECT count(*) AS n FROM review WHERE status IN ('pending', 'approved')";
    let good = "SELECT count(*) AS n FROM credential WHERE expires > 500 AND revoked IS NULL";
    let granted = "SELECT count(*) AS n FROM access_grant WHERE status IN ('pending', 'active')";
    for question in [open, good, granted] {
        let row = sqlx::query(question).fetch_one(&mut connection).await.unwrap();
        assert_eq!(row.get::<i64, _>("n"), 0, "{question}");
    }
}
