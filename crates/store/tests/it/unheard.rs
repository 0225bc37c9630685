//! What stands on the word of people whom nobody vouches for any more: reviews, patterns and grants.

use crate::place::{Place, now};
use crate::{grants, reviews};
use portcullis_core::access::{AccessAsk, Approvers};
use portcullis_core::digest::Digester;
use portcullis_core::id::{GrantId, SessionId};
use portcullis_core::pattern::Terms;
use portcullis_core::principal::Reviewer;
use portcullis_core::review::{Decision, Desk as _, Withdrawal};
use portcullis_store::{Filed, GrantStore, Granted, ReviewDesk, ReviewSettings, Status, Unheard};
use std::collections::BTreeSet;
use std::time::Duration;

/// The same person at another issuer.
fn elsewhere(subject: &str) -> Reviewer {
    let mut principal = reviews::person(subject, &["dba", "leads"]).principal().clone();
    principal.issuer = "https://corp.example".to_owned();
    Reviewer::new(principal).unwrap()
}

fn corp() -> BTreeSet<String> {
    ["https://corp.example".to_owned()].into()
}

async fn what_was_approved_by_people_of_an_issuer_is_taken_back(place: &Place) {
    let desk = ReviewDesk::new(place.store().await, ReviewSettings::default(), now);
    let (dora, eve) = (reviews::person("dora", &["dba"]), elsewhere("eve"));
    let file = async |statement: &str, groups: &[&str]| {
        desk.file(reviews::ask(statement, groups)).await.unwrap()
    };
    assert_eq!(desk.heard().await.unwrap(), BTreeSet::new());
    let stays = file("DELETE 1", &["dba"]).await;
    desk.approve(stays.review, &dora, None, now()).await.unwrap();
    let waits = file("DELETE 2", &["dba", "leads"]).await;
    let half = elsewhere("half");
    let half = Reviewer::new({
        let mut principal = half.principal().clone();
        principal.groups.remove("leads");
        principal
    });
    desk.approve(waits.review, &half.unwrap(), None, now()).await.unwrap();
    let terms = Terms { seconds: 600, count: 2 };
    let patterned = file("DELETE 3", &["dba"]).await;
    desk.approve(patterned.review, &eve, Some(terms), now()).await.unwrap();
    let nobodys = file("DELETE 4", &["dba"]).await;
    assert_eq!(desk.heard().await.unwrap().len(), 2);

    assert_eq!(desk.unhear(&BTreeSet::new(), now()).await.unwrap(), Unheard::default());
    let unheard = desk.unhear(&corp(), now()).await.unwrap();
    let mut expected = vec![waits.review, patterned.review];
    expected.sort();
    let mut found = unheard.reviews.clone();
    found.sort();
    assert_eq!(found, expected);
    let [(pattern, review, session)] = unheard.patterns[..] else { panic!("{unheard:?}") };
    assert_eq!((review, session), (patterned.review, SessionId::from_bits(1)));
    assert!(!desk.find_pattern(pattern).await.unwrap().unwrap().good);
    let digest = Digester::new("test").part(b"alike").finish();
    assert!(desk.use_pattern(pattern, session, digest, now()).await.is_err());
    for ticket in [&waits, &patterned] {
        let row = desk.get(ticket.review).await.unwrap().unwrap();
        let found = (row.status, row.withdrawal);
        assert_eq!(found, (Status::Withdrawn, Some(Withdrawal::Unvouched)));
        assert_eq!(desk.decided(ticket).await, Decision::Withdrawn);
        assert!(
            desk.consume(ticket, ticket.digest, now()).await.is_err(),
            "it is used all the same"
        );
    }
    assert!(matches!(desk.decided(&stays).await, Decision::Approved));
    assert_eq!(desk.get(nobodys.review).await.unwrap().unwrap().status, Status::Pending);
    assert_eq!(desk.heard().await.unwrap().len(), 1);
    assert_eq!(desk.unhear(&corp(), now()).await.unwrap(), Unheard::default(), "once");
}

async fn whose_word_a_pattern_is_stays_known_while_it_is_good(place: &Place) {
    let desk = ReviewDesk::new(place.store().await, ReviewSettings::default(), now);
    let ticket = desk.file(reviews::ask("DELETE 1", &["dba"])).await.unwrap();
    let terms = Terms { seconds: 600, count: 2 };
    desk.approve(ticket.review, &elsewhere("eve"), Some(terms), now()).await.unwrap();
    desk.consume(&ticket, ticket.digest, now()).await.unwrap();
    let soon = now().plus(Duration::from_secs(300));
    assert_eq!(desk.forget_ended(soon).await.unwrap(), 0, "its pattern is good");
    assert_eq!(desk.unhear(&corp(), now()).await.unwrap().patterns.len(), 1);
    assert_eq!(desk.forget_ended(soon).await.unwrap(), 1);
}

async fn grants_are_found_by_who_has_approved_them(place: &Place) {
    let grants = GrantStore::new(place.store().await);
    let asked = |reason: &str| AccessAsk {
        approvers: Approvers { quorum: 1, ..grants::ask().approvers },
        connection: reason.to_owned(),
        ..grants::ask()
    };
    let at = grants::ask().at;
    for (id, who) in [(1, reviews::person("dora", &["dba"])), (2, elsewhere("eve"))] {
        let filed = grants.file(GrantId::from_bits(id), &asked(&format!("db{id}"))).await.unwrap();
        let Filed::New(row) = filed else { panic!("{filed:?}") };
        assert!(grants.recorded(&row).await.unwrap());
        let granted = grants.approve(GrantId::from_bits(id), &who, at).await.unwrap();
        assert!(matches!(granted, Granted::Begun(_)));
    }
    assert_eq!(grants.heard().await.unwrap().len(), 2);
    let found = grants.approved_by(&corp(), at).await.unwrap();
    assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), [GrantId::from_bits(2)]);
    assert!(grants.approved_by(&BTreeSet::new(), at).await.unwrap().is_empty());
}

on_both! {
    what_was_approved_by_people_of_an_issuer_is_taken_back
    whose_word_a_pattern_is_stays_known_while_it_is_good
    grants_are_found_by_who_has_approved_them
}
