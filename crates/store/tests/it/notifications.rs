//! Notifications are kept once, taken by one gateway at a time, and end.

use crate::place::{Place, now};
use crate::reviews::{ask, person};
use portcullis_core::access::Ending;
use portcullis_core::id::GrantId;
use portcullis_core::review::{Desk as _, Withdrawal};
use portcullis_core::time::Timestamp;
use portcullis_store::{
    About, Delivery, End, Filed, GrantStore, NotificationRow, NotificationStanding,
    NotificationStore, Page, Place as Behind, ReviewDesk, ReviewSettings, Told,
};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const LEASE: Duration = Duration::from_secs(60);

async fn listed(told: &NotificationStore) -> Vec<NotificationRow> {
    told.list(&Page::default()).await.unwrap().rows
}

async fn a_review_is_told_once_and_its_end_after_it(place: &Place) {
    let store = place.store().await;
    let (told, desk) = (
        NotificationStore::new(store.clone()),
        ReviewDesk::new(store, ReviewSettings { ttl: HOUR }, now),
    );
    assert_eq!(told.untold("oncall", now()).await.unwrap(), []);
    let ticket = desk.file(ask("DELETE", &["dba"])).await.unwrap();
    let review = ticket.review;
    assert_eq!(told.untold("oncall", now()).await.unwrap(), [About::Review(review)]);
    assert_eq!(told.over("oncall", now()).await.unwrap(), []);
    let waiting = ("oncall", About::Review(review), Told::ReviewWaiting);
    assert!(told.keep("msg_1", waiting, (Delivery::Due, now()), now()).await.unwrap());
    assert!(!told.keep("msg_2", waiting, (Delivery::Due, now()), now()).await.unwrap());
    assert_eq!(told.untold("oncall", now()).await.unwrap(), []);
    assert_eq!(
        told.untold("another", now()).await.unwrap(),
        [About::Review(review)],
        "of each channel"
    );
    // Of several who would send it, one does; and it is due again where nothing is heard of it.
    let row = told.due("oncall", now()).await.unwrap().remove(0);
    assert_eq!((row.id.as_str(), row.attempts, row.event), ("msg_1", 0, Told::ReviewWaiting));
    let at = now();
    assert!(told.take(&row, LEASE, at).await.unwrap());
    assert!(!told.take(&row, LEASE, at).await.unwrap());
    assert_eq!(told.due("oncall", at).await.unwrap(), []);
    let again = told.due("oncall", at.plus(LEASE)).await.unwrap().remove(0);
    assert_eq!((again.id.as_str(), again.attempts), ("msg_1", 1));
    assert!(told.take(&again, LEASE, at.plus(LEASE)).await.unwrap());
    let standing = |due, late, failed| NotificationStanding { due, late, failed };
    assert_eq!(told.standing().await.unwrap(), standing(0, 1, 0));
    assert_eq!(desk.waiting().await.unwrap().0, 1);
    // The first gateway is late: the attempt is no longer its own.
    told.settle(&row, Delivery::Failed, (at, Some("late")), at).await.unwrap();
    assert_eq!(listed(&told).await[0].state, Delivery::Due);
    told.settle(&again, Delivery::Delivered, (at, None), at).await.unwrap();
    assert_eq!(told.due("oncall", at.plus(HOUR)).await.unwrap(), []);
    // What is settled stays so.
    told.settle(&again, Delivery::Failed, (at, Some("late")), at).await.unwrap();
    let listed = listed(&told).await;
    assert_eq!((listed[0].state, listed[0].attempts, listed.len()), (Delivery::Delivered, 2, 1));
    // It ends.
    desk.withdraw(&ticket, Withdrawal::Cancelled);
    desk.retire(&ticket, Withdrawal::Cancelled).await;
    assert_eq!(told.over("oncall", now()).await.unwrap(), [About::Review(review)]);
    assert_eq!(told.over("another", now()).await.unwrap(), [], "it was never told that it waits");
    let ended = ("oncall", About::Review(review), Told::ReviewEnded);
    assert!(told.keep("msg_3", ended, (Delivery::Due, now()), now()).await.unwrap());
    assert_eq!(told.over("oncall", now()).await.unwrap(), []);
    assert_eq!(told.standing().await.unwrap(), standing(1, 0, 0));
}

async fn what_concerns_nobody_is_never_told(place: &Place) {
    let store = place.store().await;
    let (told, desk) = (
        NotificationStore::new(store.clone()),
        ReviewDesk::new(store, ReviewSettings { ttl: HOUR }, now),
    );
    let ticket = desk.file(ask("DELETE", &["dba"])).await.unwrap();
    let waiting = ("oncall", About::Review(ticket.review), Told::ReviewWaiting);
    assert!(told.keep("msg_1", waiting, (Delivery::Void, now()), now()).await.unwrap());
    assert_eq!(told.untold("oncall", now()).await.unwrap(), []);
    assert_eq!(told.due("oncall", now()).await.unwrap(), []);
    desk.approve(ticket.review, &person("dora", &["dba"]), None, now()).await.unwrap();
    assert_eq!(told.over("oncall", now()).await.unwrap(), []);
    assert_eq!(listed(&told).await, []);
}

async fn what_lapses_is_over_without_a_word(place: &Place) {
    let store = place.store().await;
    let (told, desk) = (
        NotificationStore::new(store.clone()),
        ReviewDesk::new(store, ReviewSettings { ttl: HOUR }, now),
    );
    let ticket = desk.file(ask("DELETE", &["dba"])).await.unwrap();
    let late = Timestamp::from_micros(ticket.expires.as_micros() + 1);
    assert_eq!(told.untold("oncall", late).await.unwrap(), []);
    let waiting = ("oncall", About::Review(ticket.review), Told::ReviewWaiting);
    assert!(told.keep("msg_1", waiting, (Delivery::Due, now()), now()).await.unwrap());
    assert_eq!(told.over("oncall", late).await.unwrap(), [], "nobody has heard that it waits");
    let row = told.due("oncall", now()).await.unwrap().remove(0);
    assert!(told.take(&row, LEASE, now()).await.unwrap());
    told.settle(&row, Delivery::Delivered, (now(), None), now()).await.unwrap();
    assert_eq!(told.over("oncall", late).await.unwrap(), [About::Review(ticket.review)]);
}

async fn what_was_told_is_read_a_page_at_a_time(place: &Place) {
    let store = place.store().await;
    let (told, desk) = (
        NotificationStore::new(store.clone()),
        ReviewDesk::new(store, ReviewSettings { ttl: HOUR }, now),
    );
    let at = now();
    for number in 0..5 {
        let ticket = desk.file(ask(&format!("DELETE {number}"), &["dba"])).await.unwrap();
        let waiting = ("oncall", About::Review(ticket.review), Told::ReviewWaiting);
        // Two of each time.
        let made = at.plus(Duration::from_secs(number / 2));
        let id = format!("msg_{number}");
        assert!(told.keep(&id, waiting, (Delivery::Due, made), made).await.unwrap());
    }
    let (mut page, mut seen) = (Page { limit: 2, after: None }, Vec::new());
    loop {
        let found = told.list(&page).await.unwrap();
        assert!(found.rows.len() <= 2);
        seen.extend(found.rows.iter().map(|row| row.id.clone()));
        let Some(last) = found.rows.last().filter(|_| found.more) else { break };
        page.after = Some(Behind { at: last.made, id: last.id.clone() });
    }
    assert_eq!(seen, ["msg_4", "msg_2", "msg_3", "msg_0", "msg_1"]);
}

async fn what_no_gateway_tells_any_more_is_given_up(place: &Place) {
    let store = place.store().await;
    let (told, desk) = (
        NotificationStore::new(store.clone()),
        ReviewDesk::new(store, ReviewSettings { ttl: HOUR }, now),
    );
    let ticket = desk.file(ask("DELETE", &["dba"])).await.unwrap();
    let at = now();
    for (id, channel) in [("msg_1", "oncall"), ("msg_2", "gone"), ("msg_3", "elsewhere")] {
        let waiting = (channel, About::Review(ticket.review), Told::ReviewWaiting);
        assert!(told.keep(id, waiting, (Delivery::Due, at), at).await.unwrap());
    }
    // Another gateway tries that one.
    let row = told.due("elsewhere", at).await.unwrap().remove(0);
    assert!(told.take(&row, HOUR, at).await.unwrap());
    let later = at.plus(LEASE);
    assert_eq!(told.forsake(&["oncall"], at, later).await.unwrap(), 0, "not before it is due");
    assert_eq!(told.forsake(&["oncall"], later, later).await.unwrap(), 1);
    let states: Vec<(String, Delivery)> =
        listed(&told).await.into_iter().map(|row| (row.channel, row.state)).collect();
    let due = |channel: &str| (channel.to_owned(), Delivery::Due);
    assert_eq!(states, [due("oncall"), ("gone".to_owned(), Delivery::Failed), due("elsewhere")]);
    let given_up = listed(&told).await.remove(1);
    assert!(given_up.error.unwrap().contains("no such channel"));
    assert_eq!(told.receipt("oncall", About::Review(ticket.review)).await.unwrap(), None);
    told.receive("msg_1", "C1 17.01").await.unwrap();
    let kept = told.receipt("oncall", About::Review(ticket.review)).await.unwrap();
    assert_eq!(kept.as_deref(), Some("C1 17.01"));
    assert_eq!(told.receipt("gone", About::Review(ticket.review)).await.unwrap(), None);
}

async fn a_request_for_access_is_told_once_it_is_recorded(place: &Place) {
    let store = place.store().await;
    let (told, grants) = (NotificationStore::new(store.clone()), GrantStore::new(store.clone()));
    let (id, about) = (GrantId::from_bits(7), About::Grant(GrantId::from_bits(7)));
    let mut asked = crate::grants::ask();
    (asked.at, asked.lapses) = (now(), now().plus(HOUR));
    let Filed::New(row) = grants.file(id, &asked).await.unwrap() else { panic!("it is new") };
    assert_eq!(told.untold("oncall", now()).await.unwrap(), [], "nobody may decide on it yet");
    assert!(grants.recorded(&row).await.unwrap());
    assert_eq!(told.untold("oncall", now()).await.unwrap(), [about]);
    let late = asked.lapses.plus(HOUR);
    assert_eq!(told.untold("oncall", late).await.unwrap(), []);
    // Of one channel at once, of another one later.
    let waiting = |channel| (channel, about, Told::AccessWaiting);
    let (at, later) = (now(), now().plus(LEASE));
    assert!(told.keep("msg_1", waiting("oncall"), (Delivery::Due, at), at).await.unwrap());
    assert!(!told.keep("msg_2", waiting("oncall"), (Delivery::Due, at), at).await.unwrap());
    assert!(told.keep("msg_3", waiting("leads"), (Delivery::Due, later), at).await.unwrap());
    assert_eq!(told.untold("leads", at).await.unwrap(), []);
    assert_eq!(told.due("leads", at).await.unwrap(), []);
    // Nor by a clock that is behind that of whoever has kept it.
    let behind = Timestamp::from_micros(at.as_micros() - 1_000);
    assert_eq!(told.due("leads", behind).await.unwrap(), []);
    assert_eq!(told.due("oncall", behind).await.unwrap().len(), 1);
    let early = told.due("leads", later).await.unwrap().remove(0);
    assert!((early.attempts, early.next, early.about) == (0, later, about) && early.made == at);
    let row = told.due("oncall", at).await.unwrap().remove(0);
    assert!(told.take(&row, LEASE, at).await.unwrap());
    told.settle(&row, Delivery::Delivered, (at, None), at).await.unwrap();
    told.receive("msg_1", "C1 17.01").await.unwrap();
    assert_eq!(told.receipt("oncall", about).await.unwrap().as_deref(), Some("C1 17.01"));
    assert_eq!(told.receipt("leads", about).await.unwrap(), None);
    assert_eq!(told.over("oncall", at).await.unwrap(), []);
    assert_eq!(told.over("oncall", late).await.unwrap(), [about], "its time is over");
    // It is over when the journal has that as well.
    let end = End { ending: Ending::Owner, by: None, reason: None };
    let ended = grants.end(id, end, at).await.unwrap().unwrap();
    assert_eq!(told.over("oncall", at).await.unwrap(), []);
    assert!(grants.recorded(&ended).await.unwrap());
    assert_eq!(told.over("oncall", at).await.unwrap(), [about]);
    let over = ("oncall", about, Told::AccessEnded);
    assert!(told.keep("msg_4", over, (Delivery::Due, at), at).await.unwrap());
    assert_eq!(told.over("oncall", at).await.unwrap(), []);
    // What waits goes before what is over.
    let ticket = ReviewDesk::new(store, ReviewSettings { ttl: HOUR }, now)
        .file(ask("DELETE", &["dba"]))
        .await
        .unwrap();
    let review = ("oncall", About::Review(ticket.review), Told::ReviewWaiting);
    assert!(told.keep("msg_5", review, (Delivery::Due, later), later).await.unwrap());
    let due: Vec<String> =
        told.due("oncall", later).await.unwrap().into_iter().map(|row| row.id).collect();
    assert_eq!(due, ["msg_5", "msg_4"]);
    assert_eq!(listed(&told).await.len(), 4);
    // It goes with its grant.
    grants.forget_ended(late).await.unwrap();
    assert_eq!(listed(&told).await.len(), 1);
}

on_both! {
    a_request_for_access_is_told_once_it_is_recorded
    what_was_told_is_read_a_page_at_a_time
    what_no_gateway_tells_any_more_is_given_up
    a_review_is_told_once_and_its_end_after_it
    what_concerns_nobody_is_never_told
    what_lapses_is_over_without_a_word
}
