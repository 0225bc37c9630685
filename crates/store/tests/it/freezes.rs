//! Freezes are there after a restart, end once, and are never read as none where they cannot be read.

use crate::place::Place;
use portcullis_core::freeze::{Freeze, FreezeScope};
use portcullis_core::id::FreezeId;
use portcullis_core::principal::{Administrator, Principal, PrincipalKind};
use portcullis_core::time::Timestamp;
use portcullis_store::{FreezeError, FreezeStore, MAX_FREEZES};
use std::collections::BTreeSet;

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
        email: None,
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

/// One that is in force now, and who makes it.
pub(crate) fn any() -> (Freeze, Administrator) {
    let now = crate::place::now();
    let until = now.plus(std::time::Duration::from_secs(3_600));
    (Freeze { since: now, until, ..freeze(7, None, 0) }, administrator())
}

async fn good(store: &FreezeStore, now: i64) -> Vec<Freeze> {
    let rows = store.list(false, at(now)).await.unwrap();
    assert!(rows.iter().all(|row| row.good && row.thawed.is_none()));
    rows.into_iter().map(|row| row.freeze).collect()
}

async fn a_freeze_is_kept_until_its_end_or_until_it_is_thawed(place: &Place) {
    let store = place.store().await;
    let freezes = FreezeStore::new(store.clone());
    let (here, everywhere) = (freeze(1, Some("shop"), 20), freeze(2, None, 30));
    for freeze in [&here, &everywhere] {
        freezes.keep(freeze, &administrator()).await.unwrap();
    }
    drop(freezes);
    store.close().await;
    let freezes = FreezeStore::new(place.store().await);
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

async fn there_are_no_more_than_a_hundred_at_once(place: &Place) {
    let freezes = FreezeStore::new(place.store().await);
    for number in 0..MAX_FREEZES.unsigned_abs() {
        freezes.keep(&freeze(number, None, 20), &administrator()).await.unwrap();
    }
    let full = freezes.keep(&freeze(1000, None, 20), &administrator()).await;
    assert!(matches!(full, Err(FreezeError::Full)), "{full:?}");
    // Those whose time is over do not count.
    let later = Freeze { since: at(20), ..freeze(1000, None, 30) };
    freezes.keep(&later, &administrator()).await.unwrap();
}

async fn what_cannot_be_read_is_an_error_and_not_an_empty_list(place: &Place) {
    for damage in ["UPDATE \"freeze\" SET id = 'another kind of id'", "DROP TABLE \"freeze\""] {
        let place = &place.another();
        let freezes = FreezeStore::new(place.store().await);
        freezes.keep(&freeze(1, None, 20), &administrator()).await.unwrap();
        place.sql(damage).await;
        let listed = freezes.list(false, at(11)).await;
        assert!(matches!(listed, Err(FreezeError::Unavailable)), "{damage}: {listed:?}");
        let kept = freezes.keep(&freeze(2, None, 20), &administrator()).await;
        assert!(kept.is_err() || damage.starts_with("UPDATE"), "{damage}: {kept:?}");
    }
}

on_both! {
    a_freeze_is_kept_until_its_end_or_until_it_is_thawed
    there_are_no_more_than_a_hundred_at_once
    what_cannot_be_read_is_an_error_and_not_an_empty_list
}
