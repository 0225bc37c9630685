//! What the store does with a database that is not as it should be: it stays closed.

use portcullis_store::{Store, StoreError};
use sqlx::Connection as _;
use std::path::Path;

async fn sql(path: &Path, statement: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn refusal(path: &Path) -> StoreError {
    match Store::open(path).await {
        Ok(_) => panic!("{path:?} was opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let text = "this is not a database, whatever its name says\n".repeat(100);
    std::fs::write(&path, &text).unwrap();
    let error = refusal(&path).await;
    assert!(matches!(error, StoreError::Corrupted { .. }), "{error}");
    assert!(error.to_string().contains("store.db"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn a_damaged_page_is_found_before_anything_relies_on_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    crate::copy::close(Store::open(&path).await.unwrap(), &path).await;
    let mut bytes = std::fs::read(&path).unwrap();
    // The first page holds the header; every page after it is a table or an index.
    for page in bytes.chunks_mut(4096).skip(1) {
        page.iter_mut().take(64).for_each(|byte| *byte = 0x5a);
    }
    std::fs::write(&path, bytes).unwrap();
    let error = refusal(&path).await;
    assert!(matches!(error, StoreError::Corrupted { .. }), "{error}");
}

#[tokio::test]
async fn one_store_has_one_gateway() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let first = Store::open(&path).await.unwrap();
    let error = refusal(&path).await;
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    first.close().await;
    Store::open(&path).await.unwrap().close().await;
}

#[tokio::test]
async fn a_newer_schema_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    Store::open(&path).await.unwrap().close().await;
    sql(
        &path,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'of the future', 1, x'00', 0)",
    )
    .await;
    let error = refusal(&path).await;
    assert!(matches!(error, StoreError::NewerSchema { step: 9999, .. }), "{error}");
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = refusal(&dir.path().join("no/such/directory/store.db")).await;
    assert!(error.to_string().contains("no/such/directory"), "{error}");
    let error = refusal(dir.path()).await;
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let store = Store::open(&path).await.unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}", entry.path());
        seen += 1;
    }
    assert!(seen >= 3, "database, write-ahead log and lock");
    store.close().await;
}
