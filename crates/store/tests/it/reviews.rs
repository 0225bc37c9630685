//! Reviews from filing to use: repeats, races, restart, expiry, withdrawal, four eyes, quorum.

use crate::place::{Place, now};
use portcullis_core::basis::{Estimate, ShownBasis};
use portcullis_core::digest::{Digest, Digester};
use portcullis_core::id::{PatternId, RequestId, ReviewId, SessionId};
use portcullis_core::pattern::{Offer, Terms};
use portcullis_core::principal::{Principal, PrincipalKind, Reviewer};
use portcullis_core::protocol::{ProtocolKind, Shown};
use portcullis_core::rehearsal::{Rehearsal, Sample, Seen, Stage};
use portcullis_core::review::{
    Approval, Ask, Claim, Decision, Desk, DeskError, Risk, Ticket, Withdrawal,
};
use portcullis_core::time::Timestamp;
use portcullis_core::verdict::{ConnectionFacts, Ground, Standing};
use portcullis_store::{
    DecideError, Filter, MAX_PENDING, Outcome, Page, Place as At, ReviewDesk, ReviewRow,
    ReviewSettings, Status, Store,
};
use std::collections::BTreeSet;
use std::time::Duration;

const ISSUER: &str = "https://idp.example.com";

fn later(by: Duration) -> Timestamp {
    now().plus(by)
}

fn groups(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

fn approval(names: &[&str]) -> Approval {
    Approval { groups: groups(names), most: None }
}

pub(crate) fn caller(kind: PrincipalKind, subject: &str, of: &[&str]) -> Principal {
    Principal {
        kind,
        subject: subject.to_owned(),
        name: subject.to_uppercase(),
        issuer: ISSUER.to_owned(),
        acting_for: (kind == PrincipalKind::Agent).then(|| "alice".to_owned()),
        acting_for_issuer: None,
        email: None,
        groups: groups(of),
        token_id: None,
        expires: Timestamp::from_micros(i64::MAX),
    }
}

pub(crate) fn person(subject: &str, of: &[&str]) -> Reviewer {
    Reviewer::new(caller(PrincipalKind::Person, subject, of)).unwrap()
}

fn digest(text: &str) -> Digest {
    Digester::new("test").part(text.as_bytes()).finish()
}

fn ask_of(principal: Principal, statement: &str, of: &[&str]) -> Ask {
    let connection = ConnectionFacts {
        name: "orders-db".to_owned(),
        environment: "production".to_owned(),
        protocol: ProtocolKind::Postgres,
        database: "shop".to_owned(),
        role: "app".to_owned(),
    };
    Ask {
        session: SessionId::from_bits(1),
        request: RequestId::from_bits(2),
        standing: Standing { principal, connection },
        digest: digest(statement),
        shown: Shown {
            statements: vec![statement.to_owned()],
            parameters: vec![vec![None]],
            ..Shown::default()
        },
        operation: "DELETE · delete shop.public.orders".to_owned(),
        groups: groups(of),
        ground: Ground {
            rule: "writes-need-review".to_owned(),
            reason: "changes are signed off".to_owned(),
            hint: None,
            what: "DELETE on public.orders".to_owned(),
        },
        at: now(),
        basis: ShownBasis::default(),
        estimate: Estimate::default(),
        again: None,
        pattern: Some(Offer {
            digest: digest("alike"),
            shown: "DELETE FROM orders WHERE id = ‹any number›".to_owned(),
        }),
        step_up: None,
        risk: Risk::Low,
    }
}

pub(crate) fn ask(statement: &str, of: &[&str]) -> Ask {
    ask_of(caller(PrincipalKind::Agent, "claude", &["agents"]), statement, of)
}

struct Fixture {
    desk: ReviewDesk,
    store: Store,
}

async fn fixture(place: &Place, ttl: Duration) -> Fixture {
    let (store, desk) = open(place, ttl).await;
    Fixture { desk, store }
}

async fn open(place: &Place, ttl: Duration) -> (Store, ReviewDesk) {
    let store = place.store().await;
    (store.clone(), ReviewDesk::new(store, ReviewSettings { ttl }, now))
}

pub(crate) fn desk_of(store: Store) -> ReviewDesk {
    ReviewDesk::new(store, ReviewSettings { ttl: HOUR }, now)
}

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

async fn row(desk: &ReviewDesk, review: ReviewId) -> ReviewRow {
    desk.get(review).await.unwrap().unwrap()
}

async fn status(desk: &ReviewDesk, ticket: &Ticket) -> Status {
    row(desk, ticket.review).await.status
}

/// Waits until the background task has written a withdrawal down.
async fn until(desk: &ReviewDesk, ticket: &Ticket, expect: Status) {
    for _ in 0..200 {
        if status(desk, ticket).await == expect {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(status(desk, ticket).await, expect);
}

async fn an_approval_is_used_once_for_the_same_bytes(place: &Place) {
    let Fixture { desk, .. } = &fixture(place, HOUR).await;
    let ticket = desk.file(ask("a", &["dba"])).await.unwrap();
    assert!(!desk.consume_ready(&ticket).await);
    let early = desk.consume(&ticket, ticket.digest, now()).await;
    assert!(matches!(early, Err(DeskError::NoApproval(_))), "{early:?}");
    let outcome = desk.approve(ticket.review, &person("dora", &["dba"]), None, now()).await;
    assert_eq!(outcome, Ok(Outcome::Approved));
    assert_eq!(desk.decided(&ticket).await, Decision::Approved);
    assert!(desk.consume_ready(&ticket).await);
    let other = desk.consume(&ticket, digest("b"), now()).await;
    assert!(matches!(other, Err(DeskError::NoApproval(_))), "{other:?}");
    let forged = Ticket { digest: digest("b"), ..ticket.clone() };
    let forged = desk.consume(&forged, digest("b"), now()).await;
    assert!(matches!(forged, Err(DeskError::NoApproval(_))), "{forged:?}");
    assert_eq!(desk.consume(&ticket, ticket.digest, now()).await, Ok(approval(&["dba"])));
    let again = desk.consume(&ticket, ticket.digest, now()).await;
    assert!(matches!(again, Err(DeskError::NoApproval(_))), "{again:?}");
    assert!(!desk.consume_ready(&ticket).await);
    assert_eq!(status(desk, &ticket).await, Status::Used);
    let next = desk.file(ask("a", &["dba"])).await.unwrap();
    assert_ne!(next.review, ticket.review, "a used approval is not found again");
}

async fn of_many_takers_one_wins(place: &Place) {
    let Fixture { desk, .. } = &fixture(place, HOUR).await;
    for round in 0..5 {
        let ticket = desk.file(ask(&round.to_string(), &["dba"])).await.unwrap();
        desk.approve(ticket.review, &person("dora", &["dba"]), None, now()).await.unwrap();
        let takers: Vec<_> = (0..8)
            .map(|_| {
                let (desk, ticket) = (desk.clone(), ticket.clone());
                tokio::spawn(async move { desk.consume(&ticket, ticket.digest, now()).await })
            })
            .collect();
        let mut won = 0;
        for taker in takers {
            match taker.await.unwrap() {
                Ok(used) => {
                    assert_eq!(used, approval(&["dba"]));
                    won += 1;
                }
                Err(error) => assert!(matches!(error, DeskError::NoApproval(_)), "{error}"),
            }
        }
        assert_eq!(won, 1);
    }
}

async fn a_repeat_never_asks_twice(place: &Place) {
    let Fixture { desk, .. } = &fixture(place, HOUR).await;
    let filers: Vec<_> = (0..8)
        .map(|_| {
            let desk = desk.clone();
            tokio::spawn(async move { desk.file(ask("same", &["dba"])).await.unwrap() })
        })
        .collect();
    let mut tickets = Vec::new();
    for filer in filers {
        tickets.push(filer.await.unwrap());
    }
    assert!(tickets.windows(2).all(|pair| pair[0] == pair[1]));
    let found = desk.list(&Filter::default()).await.unwrap();
    assert_eq!((found.len(), found[0].repeats), (1, 7));
    desk.approve(tickets[0].review, &person("dora", &["dba"]), None, now()).await.unwrap();
    let after = desk.file(ask("same", &["dba"])).await.unwrap();
    assert_eq!(after.review, tickets[0].review, "an approval not yet used is found as well");
    assert!(desk.consume_ready(&after).await);
    // Policy now asks more than that review did.
    let more = desk.file(ask("same", &["dba", "security"])).await.unwrap();
    assert_ne!(more.review, after.review);
    assert_eq!(status(desk, &after).await, Status::Withdrawn);
}

async fn who_waits_is_told_at_once(place: &Place) {
    let Fixture { desk, .. } = &fixture(place, HOUR).await;
    let waiter = |ticket: &Ticket| {
        let (desk, ticket) = (desk.clone(), ticket.clone());
        tokio::spawn(async move { desk.decided(&ticket).await })
    };
    let soon = Duration::from_secs(5);
    let ticket = desk.file(ask("a", &["dba"])).await.unwrap();
    let waiting = waiter(&ticket);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    desk.approve(ticket.review, &person("dora", &["dba"]), None, now()).await.unwrap();
    let told = tokio::time::timeout(soon, waiting).await.unwrap().unwrap();
    assert_eq!(told, Decision::Approved);

    let ticket = desk.file(ask("b", &["dba"])).await.unwrap();
    let waiting = waiter(&ticket);
    tokio::time::sleep(Duration::from_millis(50)).await;
    desk.reject(ticket.review, &person("dora", &["dba"]), "too\nbroad", now()).await.unwrap();
    let told = tokio::time::timeout(soon, waiting).await.unwrap().unwrap();
    let reason = "too broad".to_owned();
    assert_eq!(told, Decision::Rejected { by: "DORA".to_owned(), reason });
    assert_eq!(status(desk, &ticket).await, Status::Rejected);
    let late = desk.approve(ticket.review, &person("dora", &["dba"]), None, now()).await;
    assert_eq!(late, Err(DecideError::Ended(Status::Rejected)));
}

async fn what_waits_is_counted_until_it_lapses(place: &Place) {
    let before = now();
    let (_store, desk) = open(place, Duration::from_secs(2)).await;
    assert_eq!(desk.waiting().await.unwrap(), (0, None));
    desk.file(ask("DELETE", &["dba"])).await.unwrap();
    desk.file(ask("TRUNCATE", &["dba"])).await.unwrap();
    let (count, oldest) = desk.waiting().await.unwrap();
    assert_eq!(count, 2);
    assert!(oldest.is_some_and(|at| before <= at && at <= now()), "{oldest:?}");
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(desk.waiting().await.unwrap(), (0, None), "nobody had to look at them for that");
}

async fn what_nobody_decides_lapses(place: &Place) {
    let Fixture { desk, .. } = &fixture(place, Duration::from_millis(300)).await;
    let ticket = desk.file(ask("a", &["dba"])).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(5), desk.decided(&ticket)).await;
    assert_eq!(told.unwrap(), Decision::Expired);
    assert_eq!(status(desk, &ticket).await, Status::Expired);
    let late = desk.approve(ticket.review, &person("dora", &["dba"]), None, now()).await;
    assert_eq!(late, Err(DecideError::Ended(Status::Expired)));
    let next = desk.file(ask("a", &["dba"])).await.unwrap();
    assert_ne!(next.review, ticket.review);
}

async fn an_approval_lapses_as_well(place: &Place) {
    let Fixture { desk, .. } = &fixture(place, HOUR).await;
    let ticket = desk.file(ask("a", &["dba"])).await.unwrap();
    let dora = person("dora", &["dba"]);
    let late = desk.approve(ticket.review, &dora, None, later(2 * HOUR)).await;
    assert_eq!(late, Err(DecideError::Ended(Status::Expired)));
    desk.approve(ticket.review, &dora, None, now()).await.unwrap();
    let late = desk.consume(&ticket, ticket.digest, ticket.expires).await;
    assert!(matches!(late, Err(DeskError::NoApproval(_))), "{late:?}");
    assert!(desk.consume(&ticket, ticket.digest, now()).await.is_ok());
}

async fn a_withdrawn_request_cannot_be_approved(place: &Place) {
    let Fixture { desk, .. } = &fixture(place, HOUR).await;
    let ticket = desk.file(ask("a", &["dba"])).await.unwrap();
    desk.withdraw(&ticket, Withdrawal::Disconnected);
    until(desk, &ticket, Status::Withdrawn).await;
    let found = row(desk, ticket.review).await;
    assert_eq!(found.withdrawal, Some(Withdrawal::Disconnected));
    assert_eq!(desk.decided(&ticket).await, Decision::Withdrawn);
    let late = desk.approve(ticket.review, &person("dora", &["dba"]), None, now()).await;
    assert_eq!(late, Err(DecideError::Ended(Status::Withdrawn)));
}

async fn one_of_two_waiting_sessions_does_not_withdraw_for_both(place: &Place) {
    let Fixture { desk, .. } = &fixture(place, HOUR).await;
    let first = desk.file(ask("a", &["dba"])).await.unwrap();
    let second = desk.file(ask("a", &["dba"])).await.unwrap();
    let marker = desk.file(ask("marker", &["dba"])).await.unwrap();
    desk.withdraw(&first, Withdrawal::Cancelled);
    desk.withdraw(&marker, Withdrawal::Cancelled);
    until(desk, &marker, Status::Withdrawn).await;
    assert_eq!(status(desk, &second).await, Status::Pending);
    desk.withdraw(&second, Withdrawal::Cancelled);
    until(desk, &second, Status::Withdrawn).await;
}

async fn four_eyes_by_person(place: &Place) {
    let Fixture { desk, .. } = &fixture(place, HOUR).await;
    let ticket = desk.file(ask("a", &["dba"])).await.unwrap();
    let own = |r: Result<Outcome, DecideError>| matches!(r, Err(DecideError::OwnRequest(_)));
    let alice = person("alice", &["dba"]);
    assert!(own(desk.approve(ticket.review, &alice, None, now()).await), "whom it acts for");
    let mut elsewhere = caller(PrincipalKind::Person, "alice", &["dba"]);
    elsewhere.issuer = "https://other.example.com".to_owned();
    let elsewhere = Reviewer::new(elsewhere).unwrap();
    assert!(
        own(desk.approve(ticket.review, &elsewhere, None, now()).await),
        "known by subject alone"
    );
    let no = desk.reject(ticket.review, &alice, "no", now()).await;
    assert!(matches!(no, Err(DecideError::OwnRequest(_))), "{no:?}");

    let of_dora = caller(PrincipalKind::Person, "dora", &["dba"]);
    let ticket = desk.file(ask_of(of_dora.clone(), "b", &["dba"])).await.unwrap();
    let dora = Reviewer::new(of_dora.clone()).unwrap();
    assert!(own(desk.approve(ticket.review, &dora, None, now()).await), "who asks");
    // A namesake of another issuer may be the same human being.
    let mut namesake = of_dora;
    namesake.issuer = "https://other.example.com".to_owned();
    let namesake = Reviewer::new(namesake).unwrap();
    assert!(own(desk.approve(ticket.review, &namesake, None, now()).await), "who may be it");
    let pia = person("pia", &["dba"]);
    assert_eq!(desk.approve(ticket.review, &pia, None, now()).await, Ok(Outcome::Approved));
}

async fn only_the_groups_asked_decide(place: &Place) {
    let Fixture { desk, .. } = &fixture(place, HOUR).await;
    let ticket = desk.file(ask("a", &["dba"])).await.unwrap();
    let outsider = person("otto", &["security", "agents"]);
    let result = desk.approve(ticket.review, &outsider, None, now()).await;
    assert_eq!(result, Err(DecideError::NotAsked(groups(&["dba"]))));
    let result = desk.reject(ticket.review, &outsider, "no", now()).await;
    assert_eq!(result, Err(DecideError::NotAsked(groups(&["dba"]))));
    let dora = person("dora", &["dba"]);
    let result = desk.reject(ticket.review, &dora, " \n", now()).await;
    assert_eq!(result, Err(DecideError::NoReason));
    let nowhere = ReviewId::from_bits(7);
    let result = desk.approve(nowhere, &dora, None, now()).await;
    assert_eq!(result, Err(DecideError::Unknown(nowhere)));
    assert_eq!(desk.get(nowhere).await, Ok(None));
    assert_eq!(status(desk, &ticket).await, Status::Pending);
}

/// Not even by two issuers, or two accounts with one verified address.
async fn two_accounts_may_be_one_person(place: &Place) {
    let Fixture { desk, .. } = &fixture(place, HOUR).await;
    let known = |subject: &str, issuer: &str, email: Option<&str>| {
        let mut who = caller(PrincipalKind::Person, subject, &["dba", "security"]);
        who.issuer = issuer.to_owned();
        who.email = email.map(str::to_owned);
        Reviewer::new(who).unwrap()
    };
    let ticket = desk.file(ask("a", &["dba", "security"])).await.unwrap();
    let dora = known("dora", "https://one.example.com", Some("dora@example.com"));
    desk.approve(ticket.review, &dora, None, now()).await.unwrap();
    for again in [
        known("dora", "https://two.example.com", None),
        known("d-7", "https://two.example.com", Some("Dora@example.com")),
    ] {
        let twice = desk.approve(ticket.review, &again, None, now()).await;
        assert!(matches!(twice, Err(DecideError::AlreadyYours(_))), "{twice:?}");
    }
    let pia = known("pia", "https://two.example.com", None);
    assert_eq!(desk.approve(ticket.review, &pia, None, now()).await, Ok(Outcome::Approved));
}

async fn two_groups_are_two_people(place: &Place) {
    let Fixture { desk, .. } = &fixture(place, HOUR).await;
    let ticket = desk.file(ask("a", &["dba", "security"])).await.unwrap();
    let both = person("bob", &["dba", "security"]);
    let waiting = Ok(Outcome::Waiting { groups: groups(&["security"]) });
    assert_eq!(desk.approve(ticket.review, &both, None, now()).await, waiting);
    let again = desk.approve(ticket.review, &both, None, now()).await;
    assert_eq!(again, Err(DecideError::AlreadyYours(groups(&["security"]))));
    assert!(!desk.consume_ready(&ticket).await);
    assert_eq!(row(desk, ticket.review).await.waiting_for, groups(&["security"]));
    // Bob stands for security, since Dora can only stand for dba.
    let dora = person("dora", &["dba"]);
    assert_eq!(desk.approve(ticket.review, &dora, None, now()).await, Ok(Outcome::Approved));
    let found = row(desk, ticket.review).await;
    assert_eq!((found.decisions.len(), found.waiting_for), (2, groups(&[])));
    let late = desk.approve(ticket.review, &person("dan", &["dba"]), None, now()).await;
    assert_eq!(late, Err(DecideError::Ended(Status::Approved)));
    assert_eq!(
        desk.consume(&ticket, ticket.digest, now()).await,
        Ok(approval(&["dba", "security"]))
    );

    let ticket = desk.file(ask("b", &["dba", "security"])).await.unwrap();
    desk.approve(ticket.review, &dora, None, now()).await.unwrap();
    let more = desk.approve(ticket.review, &person("dan", &["dba"]), None, now()).await;
    assert_eq!(more, Err(DecideError::NotNeeded(groups(&["security"]))));
    desk.reject(ticket.review, &dora, "changed my mind", now()).await.unwrap();
    assert_eq!(status(desk, &ticket).await, Status::Rejected);
}

async fn an_approval_can_be_taken_back_by_a_no_until_it_is_used(place: &Place) {
    let Fixture { desk, .. } = &fixture(place, HOUR).await;
    let ticket = desk.file(ask("a", &["dba"])).await.unwrap();
    desk.approve(ticket.review, &person("dora", &["dba"]), None, now()).await.unwrap();
    desk.reject(ticket.review, &person("dan", &["dba"]), "wait", now()).await.unwrap();
    let late = desk.consume(&ticket, ticket.digest, now()).await;
    assert!(matches!(late, Err(DeskError::NoApproval(_))), "{late:?}");
}

async fn one_principal_cannot_fill_the_desk(place: &Place) {
    let Fixture { desk, .. } = &fixture(place, HOUR).await;
    for i in 0..MAX_PENDING {
        desk.file(ask(&i.to_string(), &["dba"])).await.unwrap();
    }
    let over = desk.file(ask("over", &["dba"])).await;
    assert!(matches!(over, Err(DeskError::Full(_))), "{over:?}");
    assert!(desk.file(ask("0", &["dba"])).await.is_ok(), "a repeat is no new review");
    let other = caller(PrincipalKind::Agent, "other", &["agents"]);
    assert!(desk.file(ask_of(other, "x", &["dba"])).await.is_ok());
    let large = ask(&"x".repeat(5 << 20), &["dba"]);
    assert!(matches!(desk.file(large).await, Err(DeskError::Full(_))));
}

async fn reviews_survive_a_restart(place: &Place) {
    let (store, desk) = open(place, HOUR).await;
    let pending = desk.file(ask("pending", &["dba"])).await.unwrap();
    let mut tickets = Vec::new();
    for name in ["approved", "used"] {
        let ticket = desk.file(ask(name, &["dba"])).await.unwrap();
        desk.approve(ticket.review, &person("dora", &["dba"]), None, now()).await.unwrap();
        tickets.push(ticket);
    }
    let [approved, used] = &tickets[..] else { panic!("two") };
    desk.consume(used, used.digest, now()).await.unwrap();
    drop(desk);
    store.close().await;
    let (_store, desk) = open(place, HOUR).await;
    let again = desk.file(ask("pending", &["dba"])).await.unwrap();
    assert_eq!(again, pending);
    desk.approve(pending.review, &person("dora", &["dba"]), None, now()).await.unwrap();
    assert_eq!(desk.decided(&again).await, Decision::Approved);
    assert!(desk.consume(approved, approved.digest, now()).await.is_ok());
    assert!(desk.consume(used, used.digest, now()).await.is_err());
    let found = row(&desk, pending.review).await;
    assert_eq!(found.ask.shown.statements, ["pending"]);
    assert_eq!(found.decisions[0].name, "DORA");
}

async fn lists_are_filtered_and_survive_serialisation(place: &Place) {
    let Fixture { desk, .. } = &fixture(place, HOUR).await;
    let first = desk.file(ask("a", &["dba"])).await.unwrap();
    let second = desk.file(ask("b", &["dba", "security"])).await.unwrap();
    desk.reject(first.review, &person("dora", &["dba"]), "no", now()).await.unwrap();
    let check = |filter: Filter, expect: &[&Ticket]| {
        let expect: Vec<_> = expect.iter().map(|t| t.review).collect();
        async move {
            let found = desk.list(&filter).await.unwrap();
            let found: Vec<_> = found.iter().map(|row| row.id).collect();
            assert_eq!(found, expect, "{filter:?}");
        }
    };
    let any = Filter::default();
    let of = |name: &str| Some(name.to_owned());
    check(any.clone(), &[&second, &first]).await;
    check(Filter { limit: 1, ..any.clone() }, &[&second]).await;
    check(Filter { status: Some(Status::Rejected), ..any.clone() }, &[&first]).await;
    check(Filter { group: of("security"), ..any.clone() }, &[&second]).await;
    check(Filter { group: of("secur"), ..any.clone() }, &[]).await;
    check(Filter { connection: of("orders-db"), ..any.clone() }, &[&second, &first]).await;
    check(Filter { connection: of("hr-db"), ..any.clone() }, &[]).await;
    let viewed = |viewer: Principal| Filter { viewer: Some(viewer), ..any.clone() };
    check(viewed(caller(PrincipalKind::Person, "dora", &["security"])), &[&second]).await;
    check(viewed(caller(PrincipalKind::Agent, "dora", &["security"])), &[]).await;
    check(viewed(caller(PrincipalKind::Person, "otto", &["others"])), &[]).await;
    check(viewed(caller(PrincipalKind::Person, "alice", &[])), &[&second, &first]).await;
    check(viewed(caller(PrincipalKind::Agent, "claude", &[])), &[&second, &first]).await;
    let found = row(desk, first.review).await;
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<ReviewRow>(&text).unwrap(), found);
    assert_eq!(desk.forget_ended(later(HOUR)).await, Ok(1));
    assert_eq!(desk.get(first.review).await, Ok(None));
    assert!(desk.get(second.review).await.unwrap().is_some());
}

async fn pages_have_every_review_once(place: &Place) {
    let Fixture { desk, .. } = &fixture(place, HOUR).await;
    let base = now();
    for number in 0..7_u64 {
        // Two at a time, so that the time alone does not order them.
        let at = base.plus(Duration::from_secs(number / 2));
        let statement = format!("s{number}");
        let ticket = desk.file(Ask { at, ..ask(&statement, &["dba"]) }).await.unwrap();
        desk.reject(ticket.review, &person("dora", &["dba"]), "no", now()).await.unwrap();
    }
    let (any, whole) = (Filter::default(), Page::default());
    let expect: Vec<_> = desk.list(&any).await.unwrap().iter().map(|row| row.id).collect();
    assert_eq!(expect.len(), 7);
    for limit in 1..=8 {
        let (mut found, mut page) = (Vec::new(), Page { limit, ..whole.clone() });
        loop {
            let listed = desk.page(&any, &page).await.unwrap();
            assert!(!listed.rows.is_empty() && listed.rows.len() <= limit as usize);
            found.extend(listed.rows.iter().map(|row| row.id));
            let last = listed.rows.last().unwrap();
            page.after = Some(At { at: last.ask.at, id: last.id.to_string() });
            if !listed.more {
                break;
            }
        }
        assert_eq!(found, expect, "by {limit}");
    }
    // Only what comes behind, of what matches.
    let first = At { at: base.plus(HOUR), id: String::new() };
    let pending = Filter { status: Some(Status::Pending), ..any };
    let none = desk.page(&pending, &Page { after: Some(first), ..whole }).await.unwrap();
    assert_eq!((none.rows.len(), none.more), (0, false));
}

async fn a_lost_store_means_no(place: &Place) {
    let Fixture { desk, store, .. } = &fixture(place, HOUR).await;
    let ticket = desk.file(ask("a", &["dba"])).await.unwrap();
    let dora = person("dora", &["dba"]);
    desk.approve(ticket.review, &dora, None, now()).await.unwrap();
    store.clone().close().await;
    let unavailable = |e: &DeskError| matches!(e, DeskError::Unavailable(_));
    assert!(unavailable(&desk.file(ask("b", &["dba"])).await.unwrap_err()));
    assert!(unavailable(&desk.consume(&ticket, ticket.digest, now()).await.unwrap_err()));
    assert!(!desk.consume_ready(&ticket).await);
    assert_eq!(desk.decided(&ticket).await, Decision::Withdrawn);
    let lost = desk.approve(ticket.review, &dora, None, now()).await.unwrap_err();
    assert!(matches!(lost, DecideError::Desk(DeskError::Unavailable(_))), "{lost}");
}

const TERMS: Terms = Terms { seconds: 600, count: 2 };

/// The pattern that was given, if one was.
async fn given(desk: &ReviewDesk) -> Option<PatternId> {
    let session = SessionId::from_bits(1);
    desk.pattern(session, digest("alike"), now()).await.unwrap().map(|grant| grant.id)
}

async fn use_it(desk: &ReviewDesk, id: PatternId) -> Result<u32, DeskError> {
    let session = SessionId::from_bits(1);
    desk.use_pattern(id, session, digest("alike"), now()).await.map(|used| used.number)
}

async fn a_pattern_is_good_for_its_session_and_its_count(place: &Place) {
    let Fixture { desk, .. } = &fixture(place, HOUR).await;
    let ticket = desk.file(ask("DELETE 1", &["dba"])).await.unwrap();
    assert_eq!(given(desk).await, None);
    desk.approve(ticket.review, &person("dora", &["dba"]), Some(TERMS), now()).await.unwrap();
    let id = given(desk).await.unwrap();
    let (one, two) = (SessionId::from_bits(1), SessionId::from_bits(2));
    let grant = desk.pattern(one, digest("alike"), now()).await.unwrap().unwrap();
    assert_eq!(grant.groups, groups(&["dba"]));
    let elsewhere = desk.pattern(two, digest("alike"), now()).await.unwrap();
    assert_eq!(elsewhere, None, "another session");
    assert_eq!(desk.pattern(one, digest("else"), now()).await.unwrap(), None, "other requests");
    let late = later(Duration::from_secs(601));
    assert_eq!(desk.pattern(one, digest("alike"), late).await.unwrap(), None, "it has expired");
    for (session, of, at) in [(two, "alike", now()), (one, "else", now()), (one, "alike", late)] {
        let used = desk.use_pattern(id, session, digest(of), at).await;
        assert!(matches!(used, Err(DeskError::NoApproval(_))), "{session} {of}");
    }
    assert_eq!(use_it(desk, id).await, Ok(1));
    assert_eq!(use_it(desk, id).await, Ok(2));
    assert!(use_it(desk, id).await.is_err(), "a third use of two");
    assert_eq!(given(desk).await, None);
    let listed = desk.patterns(true, None, &Page::default()).await.unwrap().rows;
    assert_eq!((listed[0].used, listed[0].most, listed[0].good), (2, 2, false));
    assert!(desk.patterns(false, None, &Page::default()).await.unwrap().rows.is_empty());
}

async fn uses_at_the_same_time_are_counted_each(place: &Place) {
    let Fixture { desk, .. } = &fixture(place, HOUR).await;
    let ticket = desk.file(ask("DELETE 1", &["dba"])).await.unwrap();
    let terms = Terms { seconds: 600, count: 3 };
    desk.approve(ticket.review, &person("dora", &["dba"]), Some(terms), now()).await.unwrap();
    let id = given(desk).await.unwrap();
    let uses = (0..12).map(|_| {
        let desk = desk.clone();
        tokio::spawn(async move { use_it(&desk, id).await })
    });
    let mut used = Vec::new();
    for attempt in uses.collect::<Vec<_>>() {
        used.extend(attempt.await.unwrap().ok());
    }
    used.sort_unstable();
    assert_eq!(used, [1, 2, 3]);
}

async fn a_pattern_ends_at_once_when_it_is_revoked_and_with_its_session(place: &Place) {
    let (store, desk) = open(place, HOUR).await;
    let give = async |desk: &ReviewDesk, statement: &str| {
        let ticket = desk.file(ask(statement, &["dba"])).await.unwrap();
        desk.approve(ticket.review, &person("dora", &["dba"]), Some(TERMS), now()).await.unwrap();
        given(desk).await.unwrap()
    };
    let id = give(&desk, "DELETE 1").await;
    assert!(desk.revoke(id, now()).await.unwrap());
    assert!(!desk.revoke(id, now()).await.unwrap(), "once");
    assert_eq!(given(&desk).await, None);
    assert!(use_it(&desk, id).await.is_err());
    let id = give(&desk, "DELETE 2").await;
    desk.end_patterns(SessionId::from_bits(2)).await.unwrap();
    assert_eq!(given(&desk).await, Some(id), "another session has ended");
    desk.end_patterns(SessionId::from_bits(1)).await.unwrap();
    assert!(use_it(&desk, id).await.is_err());
    // A newer one takes the place of an older one, whatever that has left.
    let older = give(&desk, "DELETE 3").await;
    let newer = give(&desk, "DELETE 4").await;
    assert_ne!(older, newer);
    assert!(use_it(&desk, older).await.is_err());
    drop(desk);
    store.close().await;
    let (_store, desk) = open(place, HOUR).await;
    assert_eq!(given(&desk).await, None, "no session outlives its gateway, so no pattern does");
}

async fn everybody_whose_approval_counts_gives_the_pattern(place: &Place) {
    let Fixture { desk, .. } = &fixture(place, HOUR).await;
    let (dora, sam) = (person("dora", &["dba"]), person("sam", &["sec"]));
    let ticket = desk.file(ask("DELETE 1", &["dba", "sec"])).await.unwrap();
    desk.approve(ticket.review, &dora, Some(TERMS), now()).await.unwrap();
    desk.approve(ticket.review, &sam, None, now()).await.unwrap();
    assert_eq!(given(desk).await, None, "one of them let only this one run");
    let ticket = desk.file(ask("DELETE 2", &["dba", "sec"])).await.unwrap();
    desk.approve(ticket.review, &dora, Some(Terms { seconds: 60, count: 9 }), now()).await.unwrap();
    assert_eq!(given(desk).await, None, "not before all have");
    desk.approve(ticket.review, &sam, Some(Terms { seconds: 90, count: 5 }), now()).await.unwrap();
    let pattern = desk.patterns(false, None, &Page::default()).await.unwrap().rows.remove(0);
    assert_eq!((pattern.most, pattern.groups), (5, groups(&["dba", "sec"])));
    let time = pattern.expires.since(pattern.given);
    assert_eq!(time, Duration::from_secs(60), "what each of them lets follow");
    // Four eyes, as for one approval.
    let ticket = desk.file(ask("DELETE 3", &["dba"])).await.unwrap();
    let alice = person("alice", &["dba"]);
    let own = desk.approve(ticket.review, &alice, Some(TERMS), now()).await;
    assert!(matches!(own, Err(DecideError::OwnRequest(_))));
    for (seconds, count) in [(0, 1), (1, 0), (8 * 3600 + 1, 1), (1, 1001)] {
        let terms = Some(Terms { seconds, count });
        let wrong = desk.approve(ticket.review, &dora, terms, now()).await;
        assert!(matches!(wrong, Err(DecideError::NoPattern(_))), "{seconds} {count}");
    }
    let none = Ask { pattern: None, ..ask("DROP 1", &["dba"]) };
    let ticket = desk.file(none).await.unwrap();
    let none = desk.approve(ticket.review, &dora, Some(TERMS), now()).await;
    assert!(matches!(none, Err(DecideError::NoPattern(_))));
}

async fn a_rehearsal_is_claimed_once_and_one_at_a_time_for_a_caller(place: &Place) {
    let Fixture { desk, .. } = &fixture(place, HOUR).await;
    let ticket = desk.file(ask("a", &["dba"])).await.unwrap();
    let other = desk.file(ask("b", &["dba"])).await.unwrap();
    let somebody = caller(PrincipalKind::Agent, "hal", &["agents"]);
    let theirs = desk.file(ask_of(somebody, "c", &["dba"])).await.unwrap();
    let soon = later(HOUR);
    assert_eq!(desk.claim(&ticket, soon).await, Ok(Claim::Granted));
    assert_eq!(desk.claim(&ticket, soon).await, Ok(Claim::Taken));
    assert_eq!(desk.claim(&other, soon).await, Ok(Claim::Busy), "locks would add up");
    assert_eq!(desk.claim(&theirs, soon).await, Ok(Claim::Granted));

    let samples = (Sample::none("x"), Sample::none("y"));
    let seen = Seen::new("DELETE 3".to_owned(), 4, Vec::new(), samples);
    let open =
        Rehearsal { stage: Stage::Open, until: Some(soon), why: None, seen: Some(seen.clone()) };
    desk.show(&ticket, &open).await.unwrap();
    assert_eq!(row(desk, ticket.review).await.rehearsal, Some(open));
    assert_eq!(desk.claim(&other, soon).await, Ok(Claim::Busy));
    desk.show(&ticket, &Rehearsal::over(Stage::Undone, "time", Some(seen))).await.unwrap();
    assert_eq!(desk.claim(&ticket, soon).await, Ok(Claim::Taken), "once for each review");
    let long_ago = Timestamp::from_micros(now().as_micros() - 10_000_000);
    assert_eq!(desk.claim(&other, long_ago).await, Ok(Claim::Granted));
    // Its time is over without a word: its session is gone.
    assert_eq!(row(desk, other.review).await.rehearsal.unwrap().stage, Stage::Failed);
    assert_eq!(desk.claim(&other, soon).await, Ok(Claim::Granted));

    desk.approve(ticket.review, &person("dora", &["dba"]), None, now()).await.unwrap();
    let used = desk.consume(&ticket, ticket.digest, now()).await.unwrap();
    assert_eq!(used.most, Some(4), "people approved what they saw");
}

async fn whoever_shows_reviews_is_told_of_everything_that_changes_one(place: &Place) {
    let Fixture { desk, .. } = &fixture(place, HOUR).await;
    let mut changes = desk.changes();
    let mut told = |what: &str| {
        assert!(changes.has_changed().unwrap(), "{what}");
        changes.mark_unchanged();
    };
    let ticket = desk.file(ask("DELETE 1", &["dba", "finance"])).await.unwrap();
    told("it is asked");
    desk.claim(&ticket, later(HOUR)).await.unwrap();
    told("it is being rehearsed");
    let rehearsal = Rehearsal::over(Stage::Failed, "why", None);
    desk.show(&ticket, &rehearsal).await.unwrap();
    told("it was rehearsed");
    desk.approve(ticket.review, &person("bo", &["dba"]), None, now()).await.unwrap();
    told("one of two has approved");
    desk.approve(ticket.review, &person("cy", &["finance"]), None, now()).await.unwrap();
    told("it is approved");
    desk.consume(&ticket, digest("DELETE 1"), now()).await.unwrap();
    told("it is used");
    let ticket = desk.file(ask("DELETE 2", &["dba"])).await.unwrap();
    told("another is asked");
    desk.reject(ticket.review, &person("bo", &["dba"]), "no", now()).await.unwrap();
    told("it is rejected");
    let ticket = desk.file(ask("DELETE 3", &["dba"])).await.unwrap();
    told("a third is asked");
    desk.retire(&ticket, Withdrawal::Cancelled).await;
    told("it is taken back");
    desk.get(ticket.review).await.unwrap();
    // In PostgreSQL what this one has done is told to it once more, a moment later.
    let alone = matches!(place, Place::Sqlite(_));
    assert!(!alone || !changes.has_changed().unwrap(), "to look changes nothing");
}

on_both! {
    an_approval_is_used_once_for_the_same_bytes
    of_many_takers_one_wins
    a_repeat_never_asks_twice
    who_waits_is_told_at_once
    what_nobody_decides_lapses
    what_waits_is_counted_until_it_lapses
    an_approval_lapses_as_well
    a_withdrawn_request_cannot_be_approved
    one_of_two_waiting_sessions_does_not_withdraw_for_both
    four_eyes_by_person
    only_the_groups_asked_decide
    two_accounts_may_be_one_person
    two_groups_are_two_people
    an_approval_can_be_taken_back_by_a_no_until_it_is_used
    one_principal_cannot_fill_the_desk
    reviews_survive_a_restart
    lists_are_filtered_and_survive_serialisation
    pages_have_every_review_once
    a_lost_store_means_no
    a_pattern_is_good_for_its_session_and_its_count
    uses_at_the_same_time_are_counted_each
    a_pattern_ends_at_once_when_it_is_revoked_and_with_its_session
    everybody_whose_approval_counts_gives_the_pattern
    a_rehearsal_is_claimed_once_and_one_at_a_time_for_a_caller
    whoever_shows_reviews_is_told_of_everything_that_changes_one
}
