//! Sealed secrets are kept whole, and their wraps are changed for all of them or for none.

use crate::place::Place;
use portcullis_core::time::Timestamp;
use portcullis_store::{ChangeError, SecretRow, SecretStore};
use std::collections::BTreeMap;

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

async fn what_is_kept_is_found_replaced_and_removed(place: &Place) {
    let secrets = SecretStore::new(place.store().await);
    assert_eq!(secrets.find("a").await.unwrap(), None);
    assert!(!secrets.put(&row("a")).await.unwrap());
    assert!(!secrets.put(&row("b")).await.unwrap());
    assert_eq!(secrets.find("a").await.unwrap(), Some(row("a")));
    let newer = SecretRow {
        value: vec![9],
        wraps: BTreeMap::from([("mk_2".to_owned(), vec![4])]),
        ..row("a")
    };
    assert!(secrets.put(&newer).await.unwrap());
    assert_eq!(secrets.list().await.unwrap(), [newer, row("b")]);
    assert!(secrets.remove("a").await.unwrap());
    assert!(!secrets.remove("a").await.unwrap());
    assert_eq!(secrets.list().await.unwrap(), [row("b")]);
}

/// What fails in a change of all of them.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("no")]
struct No;

async fn wraps_of_all_are_changed_or_of_none(place: &Place) {
    let secrets = SecretStore::new(place.store().await);
    secrets.put(&row("a")).await.unwrap();
    secrets.put(&row("b")).await.unwrap();
    let half = |row: &SecretRow| match row.name.as_str() {
        "a" => Ok(Some(("mk_2".to_owned(), vec![7]))),
        _ => Err(No),
    };
    assert_eq!(secrets.add_wraps(half).await, Err(ChangeError::One(No)));
    assert_eq!(secrets.list().await.unwrap(), [row("a"), row("b")]);
    let all = |_: &SecretRow| Ok::<_, No>(Some(("mk_2".to_owned(), vec![7])));
    assert_eq!(secrets.add_wraps(all).await.unwrap(), 2);
    let check = |row: &SecretRow| if row.name == "a" { Ok(()) } else { Err(No) };
    assert_eq!(secrets.keep_wraps_of("mk_2", check).await, Err(ChangeError::One(No)));
    let both: Vec<String> = secrets.find("a").await.unwrap().unwrap().wraps.into_keys().collect();
    assert_eq!(both, ["mk_1", "mk_2"]);
    let fine = |_: &SecretRow| Ok::<(), No>(());
    assert_eq!(secrets.keep_wraps_of("mk_2", fine).await.unwrap(), 2);
    let left = secrets.list().await.unwrap();
    assert!(left.iter().all(|row| row.wraps.keys().eq(["mk_2"])), "{left:?}");
}

on_both! {
    what_is_kept_is_found_replaced_and_removed
    wraps_of_all_are_changed_or_of_none
}
