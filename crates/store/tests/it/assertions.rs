//! An assertion is used once, also after the store was opened anew, and at another gateway.

use crate::place::Place;
use portcullis_core::time::Timestamp;
use portcullis_store::AssertionStore;

async fn an_assertion_is_used_once(place: &Place) {
    let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
    let store = place.store().await;
    let used = AssertionStore::new(store.clone());
    assert!(used.use_once(("https://idp", "_1", at(100))).await.unwrap());
    assert!(!used.use_once(("https://idp", "_1", at(200))).await.unwrap());
    assert!(used.use_once(("https://other", "_1", at(100))).await.unwrap());
    assert!(used.use_once(("https://idp", "_2", at(300))).await.unwrap());
    // Many at once: one of them is the first.
    let all: Vec<_> = (0..8)
        .map(|_| {
            let used = used.clone();
            tokio::spawn(async move { used.use_once(("https://idp", "_3", at(300))).await })
        })
        .collect();
    let mut first = 0;
    for one in all {
        first += u32::from(one.await.unwrap().unwrap());
    }
    assert_eq!(first, 1);
    // Where the store can be shared, the other gateway comes while the first is there.
    let _other = match place {
        Place::Sqlite(_) => {
            store.close().await;
            None
        }
        Place::Postgres(..) => Some(store),
    };
    drop(used);
    let used = AssertionStore::new(place.store().await);
    assert!(!used.use_once(("https://idp", "_1", at(100))).await.unwrap());
    assert_eq!(used.forget_expired(at(100)).await.unwrap(), 2);
    assert!(!used.use_once(("https://idp", "_2", at(300))).await.unwrap());
}

on_both! { an_assertion_is_used_once }
