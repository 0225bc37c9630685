//! Credentials are good as long as the store says so, and what it cannot read opens nothing.

use crate::place::Place;
use portcullis_core::id::CredentialId;
use portcullis_core::principal::{Actor, Principal, PrincipalKind};
use portcullis_core::time::Timestamp;
use portcullis_store::{
    CredentialError, CredentialRow, CredentialStore, MAX_CREDENTIALS, Page, Store,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn credential(bits: u64, subject: &str) -> CredentialRow {
    let id = CredentialId::from_bits(bits);
    let actor = |subject: &str, issuer: &str| Actor {
        subject: subject.to_owned(),
        issuer: issuer.to_owned(),
    };
    CredentialRow {
        id,
        connection: "shop".into(),
        purpose: "fix \"checkout\"".into(),
        principal: Principal {
            kind: PrincipalKind::Agent,
            subject: subject.into(),
            name: "claude".into(),
            issuer: "https://ci".into(),
            acting_for: Some("ana".into()),
            acting_for_issuer: Some("https://corp".into()),
            email: None,
            groups: ["developers".to_owned()].into(),
            token_id: Some(id.to_string()),
            expires: at(900),
        },
        actors: vec![actor(subject, "https://ci")],
        person: Some(actor("ana", "https://corp")),
        vouched_by: vec!["corp".into(), "ci".into()],
        vouched_as: vec!["11".into(), "22".into()],
        issued: at(0),
        expires: at(900),
        revoked: None,
        revoked_by: None,
    }
}

fn person(issuer: &str, subject: &str) -> Principal {
    Principal {
        kind: PrincipalKind::Person,
        subject: subject.into(),
        name: subject.into(),
        issuer: issuer.into(),
        acting_for: None,
        acting_for_issuer: None,
        email: None,
        groups: std::collections::BTreeSet::default(),
        token_id: None,
        expires: at(900),
    }
}

async fn open(place: &Place) -> (Store, CredentialStore) {
    let store = place.store().await;
    (store.clone(), CredentialStore::new(store))
}

async fn credentials_are_kept_listed_and_revoked_once(place: &Place) {
    let (opened, store) = open(place).await;
    let (one, two) = (credential(1, "a"), credential(2, "b"));
    store.keep(&one).await.unwrap();
    store.keep(&two).await.unwrap();
    assert_eq!(store.find(one.id).await, Ok(Some(one.clone())));
    assert_eq!(store.find(CredentialId::from_bits(3)).await, Ok(None));
    // An id is used once.
    assert_eq!(store.keep(&one).await, Err(CredentialError::Unavailable));
    // One's own; for the person all of both; for somebody of that name elsewhere none.
    let listed = async |caller: &Principal, all, now| {
        let listed = store.list(caller, all, at(now), &Page::default()).await.unwrap();
        let own = listed.rows.into_iter().filter(|row| row.is_of(caller));
        own.map(|row| row.id).collect::<Vec<_>>()
    };
    let (agent, ana) = (one.principal.clone(), person("https://corp", "ana"));
    let for_another = Principal { acting_for: Some("bo".into()), ..agent.clone() };
    let for_namesake = Principal { acting_for_issuer: None, ..agent.clone() };
    assert_eq!(listed(&agent, false, 1).await, [one.id]);
    assert_eq!(listed(&ana, false, 1).await, [one.id, two.id]);
    for other in [&person("https://ci", "ana"), &for_another, &for_namesake] {
        assert_eq!(listed(other, false, 1).await, [], "{other:?}");
        assert!(!one.is_of(other));
    }
    let itself = Principal { acting_for: None, acting_for_issuer: None, ..agent.clone() };
    assert_eq!(listed(&itself, false, 1).await, [one.id]);
    assert!(one.is_of(&agent) && one.is_of(&ana) && one.is_of(&itself));
    assert_eq!(store.revoke(one.id, "ana", at(5)).await, Ok(true));
    assert_eq!(store.revoke(one.id, "bo", at(6)).await, Ok(false), "it is over already");
    assert_eq!(store.revoke(two.id, "ana", at(900)).await, Ok(false), "it has expired");
    assert_eq!(listed(&ana, false, 6).await, [two.id]);
    assert_eq!(listed(&ana, false, 900).await, []);
    assert_eq!(listed(&ana, true, 900).await, [one.id, two.id]);
    // After a restart too.
    drop(store);
    opened.close().await;
    let opened = place.store().await;
    let store = CredentialStore::new(opened);
    let revoked = store.find(one.id).await.unwrap().unwrap();
    assert_eq!((revoked.revoked, revoked.revoked_by.as_deref()), (Some(at(5)), Some("ana")));
    assert_eq!(store.forget_expired(at(900)).await, Ok(0));
    assert_eq!(store.forget_expired(at(901)).await, Ok(2));
}

async fn one_principal_has_so_many_at_once(place: &Place) {
    let (_, store) = open(place).await;
    for bits in 0..u64::from(MAX_CREDENTIALS) {
        store.keep(&credential(bits, "a")).await.unwrap();
    }
    assert_eq!(store.keep(&credential(1_000, "a")).await, Err(CredentialError::TooMany));
    store.keep(&credential(1_001, "b")).await.unwrap();
    store.revoke(CredentialId::from_bits(7), "ana", at(1)).await.unwrap();
    store.keep(&credential(1_000, "a")).await.unwrap();
}

/// Whoever edits a row makes it unreadable rather than somebody else's.
/// Who ends sessions of a credential that was revoked needs to know no more of it.
async fn what_is_revoked_is_told_whatever_else_a_row_says(place: &Place) {
    let (_opened, store) = open(place).await;
    let (one, two, three) = (credential(1, "a"), credential(2, "b"), credential(3, "c"));
    for one in [&one, &two, &three] {
        store.keep(one).await.unwrap();
    }
    let all = [one.id, two.id, three.id, CredentialId::from_bits(4)].into();
    assert_eq!(store.revoked(&all).await, Ok(Vec::new()));
    assert!(store.revoke(one.id, "ana", at(1)).await.unwrap());
    assert!(store.revoke(two.id, "bo", at(1)).await.unwrap());
    place
        .sql("UPDATE credential SET principal = '{}', revoked_by = NULL WHERE subject = 'b'")
        .await;
    let mut revoked = store.revoked(&all).await.unwrap();
    revoked.sort();
    assert_eq!(revoked, [(one.id, "ana".to_owned()), (two.id, String::new())]);
    assert_eq!(store.revoked(&[three.id].into()).await, Ok(Vec::new()));
}

async fn what_somebody_vouched_for_is_taken_back_and_nothing_else(place: &Place) {
    let (_opened, store) = open(place).await;
    // By other settings, of the same ones.
    let other = CredentialRow { vouched_as: vec!["later".into()], ..credential(2, "b") };
    let (one, late) = (credential(1, "a"), credential(3, "c"));
    for one in [&one, &other, &late] {
        store.keep(one).await.unwrap();
    }
    assert!(store.revoke(late.id, "ana", at(1)).await.unwrap());
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    // Marks are compared whole.
    assert_eq!(store.revoke_vouched_as(&names(&["2", "1\""]), "x", at(2)).await, Ok(vec![]));
    let taken = store.revoke_vouched_as(&names(&["22", "none"]), "x", at(2)).await;
    assert_eq!(taken, Ok(vec![(one.id, "shop".to_owned())]));
    let by = async |id| store.find(id).await.unwrap().unwrap().revoked_by;
    assert_eq!(by(one.id).await.as_deref(), Some("x"));
    assert_eq!(by(late.id).await.as_deref(), Some("ana"));
    assert_eq!(by(other.id).await, None);
    assert_eq!(store.revoke_vouched_as(&names(&["11"]), "x", at(3)).await, Ok(vec![]));
}

async fn a_row_that_contradicts_itself_is_no_credential(place: &Place) {
    let (_, store) = open(place).await;
    for (bits, edit) in [
        "principal = replace(principal, 'developers', 'dba'), expires = expires + 1",
        "subject = 'other'",
        "person = 'bo'",
        "person_issuer = NULL",
        "principal = '{}'",
        "actors = 'nobody'",
    ]
    .into_iter()
    .enumerate()
    {
        let row = credential(bits as u64, "a");
        store.keep(&row).await.unwrap();
        let sql = format!("UPDATE credential SET {edit} WHERE id = '{}'", row.id);
        place.sql(&sql).await;
        assert_eq!(store.find(row.id).await, Err(CredentialError::Unavailable), "{edit}");
    }
}

on_both! {
    credentials_are_kept_listed_and_revoked_once
    one_principal_has_so_many_at_once
    a_row_that_contradicts_itself_is_no_credential
    what_is_revoked_is_told_whatever_else_a_row_says
    what_somebody_vouched_for_is_taken_back_and_nothing_else
}
