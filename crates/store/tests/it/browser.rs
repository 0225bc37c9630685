//! Browser sessions are good as long as the store says so, and what it cannot read is nobody's.

use crate::place::Place;
use portcullis_core::id::BrowserSessionId;
use portcullis_core::principal::{Person, Principal, PrincipalKind};
use portcullis_core::time::Timestamp;
use portcullis_store::{
    BrowserSession, BrowserSessionError, BrowserSessionStore, MAX_BROWSER_SESSIONS, Page,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn secret(bits: u64) -> [u8; 32] {
    let mut secret = [7; 32];
    secret[..8].copy_from_slice(&bits.to_be_bytes());
    secret
}

fn session(bits: u64, subject: &str) -> BrowserSession {
    let principal = Principal {
        kind: PrincipalKind::Person,
        subject: subject.into(),
        name: subject.into(),
        issuer: "https://corp".into(),
        acting_for: None,
        acting_for_issuer: None,
        email: None,
        groups: ["dba".to_owned()].into(),
        token_id: None,
        expires: at(300),
    };
    let since = at(i64::try_from(bits).unwrap());
    BrowserSession {
        id: BrowserSessionId::from_bits(bits),
        provider: "corp".into(),
        vouched_as: "now".into(),
        person: Person::new(principal).unwrap(),
        peer: "127.0.0.1:1".into(),
        since,
        seen: since,
        until: at(1_000),
        ended: None,
        ended_by: None,
    }
}

async fn open(place: &Place) -> BrowserSessionStore {
    BrowserSessionStore::new(place.store().await)
}

async fn sessions_are_kept_found_renewed_and_ended_once(place: &Place) {
    let store = open(place).await;
    let (one, two) = (session(1, "ana"), session(2, "bo"));
    store.keep(&one, &secret(1)).await.unwrap();
    store.keep(&two, &secret(2)).await.unwrap();
    assert_eq!(store.by_secret(&secret(1)).await, Ok(Some(one.clone())));
    assert_eq!(store.by_secret(&secret(3)).await, Ok(None));
    assert_eq!(store.find(two.id).await, Ok(Some(two.clone())));
    // A secret and an id are used once.
    assert_eq!(store.keep(&one, &secret(9)).await, Err(BrowserSessionError));
    assert_eq!(store.keep(&session(3, "ana"), &secret(1)).await, Err(BrowserSessionError));
    // Seen goes forwards.
    store.seen(one.id, at(50)).await.unwrap();
    store.seen(one.id, at(40)).await.unwrap();
    assert_eq!(store.find(one.id).await.unwrap().unwrap().seen, at(50));
    // What the provider says now, of the same person.
    let renewed = Principal { expires: at(600), ..Principal::from(one.person.clone()) };
    let renewed = Person::new(renewed).unwrap();
    assert_eq!(store.renew(one.id, &renewed).await, Ok(true));
    assert_eq!(store.renew(one.id, &two.person).await, Ok(false));
    assert_eq!(store.find(one.id).await.unwrap().unwrap().person, renewed);
    let listed = async |who, now| {
        let rows = store.list(who, at(now), &Page::default()).await.unwrap().rows;
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, 60).await, [two.id, one.id]);
    assert_eq!(listed(Some(("https://corp", "ana")), 60).await, [one.id]);
    assert_eq!(listed(Some(("https://other", "ana")), 60).await, []);
    assert_eq!(store.end(one.id, "bo", at(70)).await, Ok(true));
    assert_eq!(store.end(one.id, "ana", at(71)).await, Ok(false), "it is over already");
    assert_eq!(store.renew(one.id, &renewed).await, Ok(false), "it is over");
    let ended = store.by_secret(&secret(1)).await.unwrap().unwrap();
    assert_eq!((ended.ended, ended.ended_by.as_deref()), (Some(at(70)), Some("bo")));
    assert_eq!(listed(None, 80).await, [two.id]);
    assert_eq!(listed(None, 1_000).await, []);
    assert_eq!(store.end(two.id, "bo", at(1_000)).await, Ok(false), "it has expired");
    assert_eq!(store.forget_ended(at(71)).await, Ok(1));
    assert_eq!(store.forget_ended(at(1_001)).await, Ok(1));
}

async fn one_person_has_so_many_at_once(place: &Place) {
    let store = open(place).await;
    for bits in 0..=u64::from(MAX_BROWSER_SESSIONS) {
        store.keep(&session(bits, "ana"), &secret(bits)).await.unwrap();
    }
    let rows = store.list(None, at(30), &Page::default()).await.unwrap().rows;
    assert_eq!(rows.len(), MAX_BROWSER_SESSIONS as usize);
    assert!(rows.iter().all(|row| row.id != BrowserSessionId::from_bits(0)), "the oldest went");
}

async fn those_of_one_provider_end_together(place: &Place) {
    let store = open(place).await;
    // By other settings, of the same one.
    let other = BrowserSession { vouched_as: "later".into(), ..session(2, "bo") };
    store.keep(&session(1, "ana"), &secret(1)).await.unwrap();
    store.keep(&other, &secret(2)).await.unwrap();
    let own = session(1, "ana");
    let marks = [own.vouched_as].into();
    assert_eq!(store.end_vouched_as(&marks, "x", at(30)).await, Ok(vec![own.id]));
    assert_eq!(store.end_vouched_as(&marks, "x", at(31)).await, Ok(vec![]));
    let ended = async |id| store.find(id).await.unwrap().unwrap().ended_by;
    assert_eq!(ended(BrowserSessionId::from_bits(1)).await.as_deref(), Some("x"));
    assert_eq!(ended(other.id).await, None);
}

/// Whoever edits a row makes it unreadable rather than somebody else's, and never an agent's.
async fn a_row_that_contradicts_itself_is_nobody(place: &Place) {
    let store = open(place).await;
    for (bits, edit) in [
        "subject = 'bo'",
        "issuer = 'https://other'",
        "person = replace(person, '\"person\"', '\"agent\"')",
        "person = replace(person, '\"acting_for\":null', '\"acting_for\":\"bo\"')",
        "person = '{}'",
        "id = 'x'",
    ]
    .into_iter()
    .enumerate()
    {
        let bits = bits as u64 + 10;
        store.keep(&session(bits, "ana"), &secret(bits)).await.unwrap();
        let id = BrowserSessionId::from_bits(bits);
        let sql = format!("UPDATE browser_session SET {edit} WHERE id = '{id}'");
        place.sql(&sql).await;
        assert_eq!(store.by_secret(&secret(bits)).await, Err(BrowserSessionError), "{edit}");
    }
}

on_both! {
    sessions_are_kept_found_renewed_and_ended_once
    one_person_has_so_many_at_once
    a_row_that_contradicts_itself_is_nobody
    those_of_one_provider_end_together
}
