//! Freezes are there after a restart, end once, and are never read as none where they cannot be read.

#![allow(clippy::unwrap_used, reason = "tests")]

use portcullis_core::freeze::{Freeze, FreezeScope};
use portcullis_core::id::FreezeId;
use portcullis_core::principal::{Administrator, Principal, PrincipalKind};
use portcullis_core::time::Timestamp;
use portcullis_store::{FreezeError, FreezeStore, MAX_FREEZES, Store};
use sqlx::Connection as _;
use std::collections::BTreeSet;
use std::path::Path;

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn administrator() -> Administrator {
    let groups = ["admins".to_owned()];
    let bo = Principal {
        kind: PrincipalKind::Person,
        subject: "bo".to_owned(),
        name: "Bo".to_owned(),
        issuer: "https://issuer".to_owned(),
        acting_for: None,
        acting_for_issuer: None,
        groups: BTreeSet::from(groups.clone()),
        token_id: None,
        expires: at(i64::MAX),
    };
    Administrator::new(bo, &groups).unwrap()
}

fn freeze(number: u64, connection: Option<&str>, until: i64) -> Freeze {
    Freeze {
        id: FreezeId::from_bits(number),
        scope: FreezeScope::Writes,
        connection: connection.map(str::to_owned),
        reason: "a bad deploy".to_owned(),
        by: "Bo".to_owned(),
        since: at(10),
        until: at(until),
    }
}

async fn good(store: &FreezeStore, now: i64) -> Vec<Freeze> {
    let rows = store.list(false, at(now)).await.unwrap();
    assert!(rows.iter().all(|row| row.good && row.thawed.is_none()));
    rows.into_iter().map(|row| row.freeze).collect()
}

#[tokio::test]
async fn a_freeze_is_kept_until_its_end_or_until_it_is_thawed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let store = Store::open(&path).await.unwrap();
    let freezes = FreezeStore::new(store.clone());
    let (here, everywhere) = (freeze(1, Some("shop"), 20), freeze(2, None, 30));
    for freeze in [&here, &everywhere] {
        freezes.keep(freeze, &administrator()).await.unwrap();
    }
    drop(freezes);
    store.close().await;
    let freezes = FreezeStore::new(Store::open(&path).await.unwrap());
    assert_eq!(good(&freezes, 19).await, [here.clone(), everywhere.clone()]);
    let left = std::slice::from_ref(&everywhere);
    assert_eq!(good(&freezes, 20).await, left, "its time is over");
    assert!(!freezes.thaw(here.id, &administrator(), at(20)).await.unwrap(), "it is over");
    assert!(freezes.thaw(everywhere.id, &administrator(), at(20)).await.unwrap());
    assert!(!freezes.thaw(everywhere.id, &administrator(), at(21)).await.unwrap());
    assert_eq!(good(&freezes, 21).await, []);
    let all = freezes.list(true, at(21)).await.unwrap();
    let thawed: Vec<_> = all.iter().map(|row| (row.thawed, row.thawed_by.as_deref())).collect();
    assert_eq!(thawed, [(None, None), (Some(at(20)), Some("bo"))]);
}

#[tokio::test]
async fn there_are_no_more_than_a_hundred_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let freezes = FreezeStore::new(Store::open(&dir.path().join("store.db")).await.unwrap());
    for number in 0..MAX_FREEZES.unsigned_abs() {
        freezes.keep(&freeze(number, None, 20), &administrator()).await.unwrap();
    }
    let full = freezes.keep(&freeze(1000, None, 20), &administrator()).await;
    assert!(matches!(full, Err(FreezeError::Full)), "{full:?}");
    // Those whose time is over do not count.
    let later = Freeze { since: at(20), ..freeze(1000, None, 30) };
    freezes.keep(&later, &administrator()).await.unwrap();
}

async fn sql(path: &Path, statement: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_and_not_an_empty_list() {
    for damage in ["UPDATE freeze SET id = 'another kind of id'", "DROP TABLE freeze"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.db");
        let freezes = FreezeStore::new(Store::open(&path).await.unwrap());
        freezes.keep(&freeze(1, None, 20), &administrator()).await.unwrap();
        sql(&path, damage).await;
        let listed = freezes.list(false, at(11)).await;
        assert!(matches!(listed, Err(FreezeError::Unavailable)), "{damage}: {listed:?}");
        let kept = freezes.keep(&freeze(2, None, 20), &administrator()).await;
        assert!(kept.is_err() || damage.starts_with("UPDATE"), "{damage}: {kept:?}");
    }
}
