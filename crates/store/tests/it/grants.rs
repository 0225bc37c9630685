//! Grants from the request to the end: repeats, races, quorum, four eyes, expiry, escalation, restart, and
//! what a gateway that stopped in between has left.

use crate::place::{Place, now};
use portcullis_core::access::{AccessAsk, Approvers, Ending, Escalation};
use portcullis_core::id::GrantId;
use portcullis_core::principal::{Principal, PrincipalKind, Reviewer};
use portcullis_core::protocol::ProtocolKind;
use portcullis_core::time::Timestamp;
use portcullis_core::verdict::{ConnectionFacts, Standing};
use portcullis_store::{
    End, Filed, GrantError, GrantRow, GrantStatus, GrantStore, Granted, MAX_PENDING_GRANTS,
    MAX_PENDING_OF_PERSON, Topic,
};
use std::collections::BTreeSet;

const SECOND: i64 = 1_000_000;
const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);

const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * SECOND)
}

fn caller(kind: PrincipalKind, subject: &str, acting_for: Option<&str>, of: &[&str]) -> Principal {
    Principal {
        kind,
        subject: subject.to_owned(),
        name: subject.to_uppercase(),
        issuer: "https://issuer".to_owned(),
        acting_for: acting_for.map(str::to_owned),
        acting_for_issuer: None,
        email: None,
        groups: of.iter().map(|g| (*g).to_owned()).collect(),
        token_id: None,
        expires: Timestamp::from_micros(i64::MAX),
    }
}

fn person(subject: &str, of: &[&str]) -> Reviewer {
    Reviewer::new(caller(PrincipalKind::Person, subject, None, of)).unwrap()
}

/// Claude for Ana asks two of `dba` for a minute, at 0; it lapses at 100.
pub(crate) fn ask() -> AccessAsk {
    AccessAsk {
        connection: "prod".to_owned(),
        environment: "production".to_owned(),
        host: "db".to_owned(),
        port: 5432,
        database: "shop".to_owned(),
        role: "app".to_owned(),
        principal: caller(PrincipalKind::Agent, "claude", Some("ana"), &["agents"]),
        seconds: 60,
        reason: "INC-7".to_owned(),
        approvers: Approvers {
            group: "dba".to_owned(),
            quorum: 2,
            escalation: None,
            step_up: None,
        },
        at: at(0),
        lapses: at(100),
    }
}

fn standing(principal: Principal) -> Standing {
    let connection = ConnectionFacts {
        name: "prod".to_owned(),
        environment: "production".to_owned(),
        protocol: ProtocolKind::Postgres,
        database: "shop".to_owned(),
        role: "app".to_owned(),
    };
    Standing { principal, connection }
}

async fn file(store: &GrantStore, id: u64, ask: &AccessAsk) -> GrantRow {
    match store.file(GrantId::from_bits(id), ask).await.unwrap() {
        Filed::Same(row) => row,
        Filed::New(row) => recorded(store, &row, ask.at).await,
    }
}

/// The journal has it.
async fn recorded(store: &GrantStore, row: &GrantRow, at: Timestamp) -> GrantRow {
    assert!(store.recorded(row).await.unwrap());
    store.find(row.id, at).await.unwrap().unwrap()
}

/// One person's approval is enough.
fn of_one() -> AccessAsk {
    AccessAsk { approvers: Approvers { quorum: 1, ..ask().approvers }, ..ask() }
}

/// In force, by Bo alone.
async fn in_force(store: &GrantStore, id: u64, ask: &AccessAsk, at: Timestamp) -> GrantRow {
    let row = file(store, id, ask).await;
    let row = begun(store.approve(row.id, &person("bo", &["dba"]), at).await.unwrap()).unwrap();
    recorded(store, &row, at).await
}

const fn by_hand(ending: Ending, by: &Principal) -> End<'_> {
    End { ending, by: Some(by), reason: Some("done") }
}

fn begun(granted: Granted) -> Option<GrantRow> {
    match granted {
        Granted::Begun(row) => Some(row),
        Granted::Waiting(_) => None,
    }
}

async fn two_people_grant_it_and_its_time_counts_from_the_second(place: &Place) {
    let store = GrantStore::new(place.store().await);
    let row = file(&store, 1, &ask()).await;
    assert_eq!((row.status, row.wanted), (GrantStatus::Pending, 2));
    assert_eq!(row.waiting_for, BTreeSet::from(["dba".to_owned()]));
    let (bo, mia) = (person("bo", &["dba"]), person("mia", &["dba", "x"]));
    let groups = BTreeSet::from(["dba".to_owned()]);
    assert_eq!(store.may_approve(row.id, &bo, at(5)).await.unwrap(), (groups.clone(), false));
    assert!(begun(store.approve(row.id, &bo, at(10)).await.unwrap()).is_none());
    assert_eq!(store.may_approve(row.id, &mia, at(20)).await.unwrap(), (groups, true));
    let own = standing(ask().principal);
    let open = store.open_for(&own, at(20)).await.unwrap().remove(0);
    assert_eq!((open.status, open.wanted), (GrantStatus::Pending, 1));
    let row = begun(store.approve(row.id, &mia, at(20)).await.unwrap()).unwrap();
    assert_eq!((row.begun, row.until), (Some(at(20)), Some(at(80))));
    // Not before the journal has it.
    let open = store.open_for(&own, at(20)).await.unwrap().remove(0);
    assert_eq!((open.status, open.wanted), (GrantStatus::Approved, 0));
    assert!(store.in_force(at(20)).await.unwrap().1.is_empty());
    assert_eq!(recorded(&store, &row, at(20)).await.status, GrantStatus::Active);
    assert!(!store.recorded(&row).await.unwrap(), "once");
    for (seconds, stands) in [(20, true), (79, true), (80, false), (200, false)] {
        let found = store.open_for(&own, at(seconds)).await.unwrap();
        assert_eq!(found.iter().any(|f| f.status == GrantStatus::Active), stands, "{seconds}");
    }
    let third = person("kim", &["dba"]);
    let late = store.approve(row.id, &third, at(30)).await;
    assert_eq!(late, Err(GrantError::Ended(GrantStatus::Active)));
    // It ends by itself, for one of all who look.
    assert!(store.end_due(at(79)).await.unwrap().is_empty());
    let over = store.end_due(at(90)).await.unwrap();
    assert_eq!((over.len(), over[0].ended, over[0].ending), (1, Some(at(80)), Some(Ending::Time)));
    assert!(store.end_due(at(90)).await.unwrap().is_empty());
    let ana = caller(PrincipalKind::Person, "ana", None, &[]);
    let again = store.end(row.id, by_hand(Ending::Owner, &ana), at(90)).await.unwrap();
    assert!(again.is_none(), "{again:?}");
}

async fn four_eyes_are_of_people_who_are_asked(place: &Place) {
    let store = GrantStore::new(place.store().await);
    let row = file(&store, 1, &ask()).await;
    let elsewhere = |mut reviewer: Principal| {
        reviewer.issuer = "https://other".to_owned();
        Reviewer::new(reviewer).unwrap()
    };
    let of_ana = caller(PrincipalKind::Person, "ana", None, &["dba"]);
    let of_claude = caller(PrincipalKind::Person, "claude", None, &["dba"]);
    let named = |reviewer: Principal, subject: &str| {
        Reviewer::new(Principal { subject: subject.to_owned(), ..reviewer }).unwrap()
    };
    let for_bo = caller(PrincipalKind::Person, "kim", Some("bo"), &["dba"]);
    for (reviewer, what) in [
        (Reviewer::new(of_ana.clone()).unwrap(), "on your behalf"),
        (elsewhere(of_ana.clone()), "on your behalf"),
        (named(of_ana, " Ana"), "on your behalf"),
        (named(of_claude.clone(), "claude"), "your own request"),
        (elsewhere(of_claude), "your own request"),
        (Reviewer::new(for_bo).unwrap(), "who acts for nobody"),
        (person("lea", &["leads"]), "you are in none of them"),
        (person("nobody", &[]), "you are in none of them"),
    ] {
        for error in [
            store.approve(row.id, &reviewer, at(1)).await.unwrap_err(),
            store.may_approve(row.id, &reviewer, at(1)).await.unwrap_err(),
            store.reject(row.id, &reviewer, "no", at(1)).await.unwrap_err(),
            store.may_reject(row.id, &reviewer, at(1)).await.unwrap_err(),
        ] {
            assert!(error.to_string().contains(what), "{what}: {error}");
        }
    }
    let bo = person("bo", &["dba"]);
    store.approve(row.id, &bo, at(1)).await.unwrap();
    // Nor does anybody count twice who could be one, at however many issuers.
    for again in
        [bo.clone(), elsewhere(bo.principal().clone()), named(bo.principal().clone(), "BO")]
    {
        let twice = store.approve(row.id, &again, at(1)).await.unwrap_err();
        assert!(matches!(twice, GrantError::AlreadyYours(_)), "{twice}");
    }
    // One no is enough, also of somebody who has said yes.
    let no = store.reject(row.id, &bo, " not\nnow ", at(2)).await.unwrap();
    assert_eq!((no.status, no.ended), (GrantStatus::Rejected, Some(at(2))));
    assert_eq!(no.decisions.last().unwrap().reason, "not now");
    let over = store.approve(row.id, &person("mia", &["dba"]), at(3)).await;
    assert_eq!(over, Err(GrantError::Ended(GrantStatus::Rejected)));
    // Agents are no reviewers: there is no value of that type to ask with.
    assert!(Reviewer::new(caller(PrincipalKind::Agent, "bo", None, &["dba"])).is_err());
}

async fn the_same_waits_once_and_not_too_much_waits(place: &Place) {
    let store = GrantStore::new(place.store().await);
    let first = file(&store, 1, &ask()).await;
    let again = store.file(GrantId::from_bits(2), &AccessAsk { at: at(5), ..ask() }).await.unwrap();
    let Filed::Same(again) = again else { panic!("it was asked twice") };
    assert_eq!((again.id, again.repeats), (first.id, 1));
    for n in 3..2 + u64::try_from(MAX_PENDING_GRANTS).unwrap() {
        file(&store, n, &AccessAsk { reason: format!("{n}"), ..ask() }).await;
    }
    let other = AccessAsk { reason: "one more".to_owned(), ..ask() };
    let full = store.file(GrantId::from_bits(99), &other).await.unwrap_err();
    assert!(matches!(full, GrantError::Full(_)), "{full}");
    // Nor of one person's, however many ask for it.
    for n in 0..u64::try_from(MAX_PENDING_OF_PERSON - MAX_PENDING_GRANTS).unwrap() {
        let subject = format!("agent{}", n / 9);
        let principal = caller(PrincipalKind::Agent, &subject, Some("ana"), &[]);
        file(&store, 100 + n, &AccessAsk { principal, reason: format!("{n}"), ..ask() }).await;
    }
    let ana = caller(PrincipalKind::Person, "ana", None, &[]);
    let full = AccessAsk { principal: ana, ..ask() };
    let full = store.file(GrantId::from_bits(99), &full).await.unwrap_err();
    assert!(full.to_string().contains("for ana"), "{full}");
    let bos = AccessAsk { principal: caller(PrincipalKind::Person, "bo", None, &[]), ..ask() };
    file(&store, 98, &bos).await;
    // What has lapsed takes no room, and the same may be asked again.
    let late = AccessAsk { at: at(200), lapses: at(300), ..ask() };
    let Filed::New(row) = store.file(GrantId::from_bits(50), &late).await.unwrap() else {
        panic!("what has lapsed waits")
    };
    assert_eq!(row.status, GrantStatus::Pending);
    let lapsed = store.find(first.id, at(200)).await.unwrap().unwrap();
    assert_eq!((lapsed.status, lapsed.ended), (GrantStatus::Expired, Some(at(100))));
    // Somebody else's is another one.
    let elsewhere = Principal { issuer: "https://other".to_owned(), ..ask().principal };
    assert!(store.open_for(&standing(elsewhere), at(5)).await.unwrap().is_empty());
    let for_bo = Principal { acting_for: Some("bo".to_owned()), ..ask().principal };
    assert!(store.open_for(&standing(for_bo), at(5)).await.unwrap().is_empty());
}

async fn of_many_approvals_at_once_as_many_count_as_are_wanted(place: &Place) {
    let store = GrantStore::new(place.store().await);
    let row = file(&store, 1, &ask()).await;
    let approve = |n: usize| {
        let store = store.clone();
        let id = row.id;
        // Two of each person.
        let who = person(&format!("p{}", n / 2), &["dba"]);
        tokio::spawn(async move { store.approve(id, &who, at(10)).await })
    };
    let tasks: Vec<_> = (0..8).map(approve).collect();
    let (mut waiting, mut began) = (0, 0);
    for task in tasks {
        match task.await.unwrap() {
            Ok(Granted::Waiting(_)) => waiting += 1,
            Ok(Granted::Begun(_)) => began += 1,
            Err(GrantError::AlreadyYours(_) | GrantError::Ended(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((waiting, began), (1, 1));
    let row = store.find(row.id, at(10)).await.unwrap().unwrap();
    assert_eq!(row.decisions.len(), 2);
    assert_ne!(row.decisions[0].subject, row.decisions[1].subject);
}

async fn a_second_group_decides_when_it_is_time_and_is_told_once(place: &Place) {
    let store = GrantStore::new(place.store().await);
    let escalation = Some(Escalation { to: "leads".to_owned(), after_seconds: 30 });
    let approvers = Approvers { escalation, ..ask().approvers };
    let row = file(&store, 1, &AccessAsk { approvers, ..ask() }).await;
    let (bo, lea) = (person("bo", &["dba"]), person("lea", &["leads"]));
    store.approve(row.id, &bo, at(1)).await.unwrap();
    let early = store.approve(row.id, &lea, at(29)).await.unwrap_err();
    assert!(matches!(early, GrantError::NotAsked(_)), "{early}");
    assert!(store.escalations(at(29)).await.unwrap().is_empty());
    assert!(!store.in_force(at(29)).await.unwrap().0);
    assert!(store.in_force(at(30)).await.unwrap().0, "there is something to do");
    for _ in 0..2 {
        assert_eq!(store.escalations(at(30)).await.unwrap().len(), 1, "until it is recorded");
    }
    store.escalated(row.id).await.unwrap();
    assert!(store.escalations(at(30)).await.unwrap().is_empty(), "once");
    let seen = store.find(row.id, at(30)).await.unwrap().unwrap();
    assert_eq!(seen.waiting_for.len(), 2);
    let row = begun(store.approve(row.id, &lea, at(30)).await.unwrap()).unwrap();
    recorded(&store, &row, at(30)).await;
    let (due, ids) = store.in_force(at(31)).await.unwrap();
    assert_eq!((due, ids), (false, BTreeSet::from([row.id])));
}

async fn what_is_open_survives_and_what_is_ended_is_forgotten(place: &Place) {
    let whole = place.store().await;
    let store = GrantStore::new(whole.clone());
    let active = in_force(&store, 1, &of_one(), at(1)).await;
    let pending = file(&store, 2, &ask()).await;
    let ended = file(&store, 3, &AccessAsk { seconds: 5, ..ask() }).await;
    let ana = caller(PrincipalKind::Person, "ana", None, &[]);
    let end = by_hand(Ending::Owner, &ana);
    let row = store.end(ended.id, end, at(2)).await.unwrap().unwrap();
    assert!(store.end(ended.id, end, at(2)).await.unwrap().is_none(), "once");
    assert!(!row.recorded && row.ended_who.as_ref() == Some(&ana), "{row:?}");
    whole.close().await;
    drop(store);
    let store = GrantStore::new(place.store().await);
    let of = async |id| store.find(id, at(3)).await.unwrap().unwrap();
    assert_eq!(of(active.id).await.status, GrantStatus::Active);
    assert_eq!(of(pending.id).await.status, GrantStatus::Pending);
    let row = of(ended.id).await;
    assert_eq!((row.status, row.ending), (GrantStatus::Withdrawn, Some(Ending::Owner)));
    assert_eq!((row.ended_by.as_deref(), row.ended_why.as_deref()), (Some("ana"), Some("done")));
    assert_eq!(store.list(false, None, at(3)).await.unwrap().len(), 2);
    assert_eq!(store.list(true, None, at(3)).await.unwrap().len(), 3);
    let max = caller(PrincipalKind::Person, "max", None, &[]);
    let end = by_hand(Ending::Administrator, &max);
    let row = store.end(active.id, end, at(4)).await.unwrap().unwrap();
    assert_eq!(row.status, GrantStatus::Ended);
    // What the journal does not have is not forgotten.
    assert_eq!(store.forget_ended(at(3)).await.unwrap(), 0);
    recorded(&store, &of(ended.id).await, at(3)).await;
    assert_eq!(store.forget_ended(at(3)).await.unwrap(), 1);
    assert_eq!(store.list(true, None, at(5)).await.unwrap().len(), 2);
}

/// A gateway that stops between the store and the journal leaves what the next one records; and what it has
/// left is in force for nobody.
async fn what_is_not_recorded_counts_for_nothing_and_is_recorded_later(place: &Place) {
    let whole = place.store().await;
    let store = GrantStore::new(whole.clone());
    let (bo, ana) = (person("bo", &["dba"]), caller(PrincipalKind::Person, "ana", None, &[]));
    // A request.
    let Filed::New(request) = store.file(GrantId::from_bits(1), &of_one()).await.unwrap() else {
        panic!("it is new")
    };
    assert_eq!(store.approve(request.id, &bo, at(1)).await, Err(GrantError::Unrecorded));
    assert_eq!(store.reject(request.id, &bo, "no", at(1)).await, Err(GrantError::Unrecorded));
    // A grant, of which one was ended before it was in force, and one in time.
    let asks = |n: u32| AccessAsk { seconds: 60 + n, ..of_one() };
    let approved = async |n: u32| {
        let row = file(&store, 10 + u64::from(n), &asks(n)).await;
        begun(store.approve(row.id, &bo, at(1)).await.unwrap()).unwrap()
    };
    let (granted, taken, late) = (approved(1).await, approved(2).await, approved(3).await);
    let taken = store.end(taken.id, by_hand(Ending::Owner, &ana), at(2)).await.unwrap().unwrap();
    assert_eq!(taken.status, GrantStatus::Withdrawn, "it was never in force");
    // And one whose end is not recorded.
    let ended = in_force(&store, 20, &asks(4), at(1)).await;
    store.end(ended.id, by_hand(Ending::Owner, &ana), at(2)).await.unwrap().unwrap();
    let own = standing(ask().principal);
    let in_force = |rows: Vec<GrantRow>| rows.iter().any(|row| row.status == GrantStatus::Active);
    assert!(!in_force(store.open_for(&own, at(3)).await.unwrap()));
    assert_eq!(store.in_force(at(3)).await.unwrap(), (true, BTreeSet::new()));
    whole.close().await;
    drop(store);

    let store = GrantStore::new(place.store().await);
    assert!(!in_force(store.open_for(&own, at(3)).await.unwrap()));
    let left = store.unrecorded(at(3)).await.unwrap();
    let mut stand: Vec<_> = left.iter().map(|row| (row.id, row.status)).collect();
    stand.sort_by_key(|(id, _)| id.to_string());
    let mut expect = vec![
        (request.id, GrantStatus::Pending),
        (granted.id, GrantStatus::Approved),
        (late.id, GrantStatus::Approved),
        (taken.id, GrantStatus::Withdrawn),
        (ended.id, GrantStatus::Ended),
    ];
    expect.sort_by_key(|(id, _)| id.to_string());
    assert_eq!(stand, expect);
    for row in left.iter().filter(|row| row.id != late.id) {
        assert!(store.recorded(row).await.unwrap());
    }
    assert_eq!(store.in_force(at(3)).await.unwrap().1, BTreeSet::from([granted.id]));
    // What nobody recorded in its time was never in force.
    let over = store.end_due(at(90)).await.unwrap();
    let of = |id| over.iter().find(|row| row.id == id).unwrap().status;
    assert_eq!((of(granted.id), of(late.id)), (GrantStatus::Ended, GrantStatus::Expired));
    assert_eq!(store.unrecorded(at(90)).await.unwrap().len(), 2);
}

/// However many others there are: what concerns somebody is found.
async fn everybody_finds_what_concerns_it_among_many(place: &Place) {
    let store = GrantStore::new(place.store().await);
    let own = file(&store, 1, &ask()).await;
    let escalation = Some(Escalation { to: "leads".to_owned(), after_seconds: 30 });
    let approvers = Approvers { escalation, group: "other".to_owned(), quorum: 1, step_up: None };
    let others = AccessAsk { connection: "x".to_owned(), approvers, ..ask() };
    for n in 0..9 {
        let subject = format!("agent{n}");
        let principal = caller(PrincipalKind::Agent, &subject, Some(&subject), &[]);
        file(&store, 10 + n, &AccessAsk { principal, at: at(5), ..others.clone() }).await;
    }
    use PrincipalKind::{Agent, Person};
    for (viewer, expect) in [
        (own.ask.principal.clone(), 1),
        (caller(Person, "ana", None, &[]), 1),
        (caller(Person, "bo", None, &["dba", "x"]), 1),
        (caller(Agent, "bo", None, &["dba"]), 0),
        (caller(Person, "lea", None, &["leads"]), 9),
        (caller(Person, "kim", None, &["x", "other", "dba"]), 10),
        (caller(Person, "agent3", None, &[]), 1),
        (caller(Person, "nobody", None, &[]), 0),
    ] {
        let listed = store.list(false, Some(&viewer), at(6)).await.unwrap();
        assert_eq!(listed.len(), expect, "{viewer:?}: {listed:?}");
    }
    assert_eq!(store.list(false, None, at(6)).await.unwrap().len(), 10);
}

async fn whoever_follows_hears_of_every_change(place: &Place) {
    let whole = place.store().await;
    let store = GrantStore::new(whole.clone());
    let mut changes = whole.changes(Topic::Grants);
    let mut heard = async |what: &str| {
        let heard = tokio::time::timeout(std::time::Duration::from_secs(20), changes.changed());
        heard.await.unwrap_or_else(|_| panic!("{what}")).unwrap();
    };
    let row = file(&store, 1, &of_one()).await;
    heard("a request").await;
    let row = begun(store.approve(row.id, &person("bo", &["dba"]), at(1)).await.unwrap()).unwrap();
    heard("an approval").await;
    recorded(&store, &row, at(1)).await;
    heard("that it is in force").await;
    let ana = caller(PrincipalKind::Person, "ana", None, &[]);
    store.end(row.id, by_hand(Ending::Owner, &ana), at(2)).await.unwrap().unwrap();
    heard("its end").await;
}

/// What was edited behind the store's back, or cannot be asked, opens nothing.
async fn what_does_not_add_up_is_an_error(place: &Place) {
    let whole = place.store().await;
    let store = GrantStore::new(whole.clone());
    let row = in_force(&store, 1, &of_one(), at(1)).await;
    for (edit, back) in [
        ("until = until + 1", "until = until - 1"),
        ("role = 'owner'", "role = 'app'"),
        ("person = 'bo'", "person = 'ana'"),
        ("digest = digest || 'x'", "digest = substr(digest, 1, length(digest) - 1)"),
        ("ask = replace(ask, 'INC-7', 'INC-8')", "ask = replace(ask, 'INC-8', 'INC-7')"),
        ("ask = replace(ask, '5432', '5433')", "ask = replace(ask, '5433', '5432')"),
        ("ending = 'x'", "ending = NULL"),
    ] {
        place.sql(&format!("UPDATE access_grant SET {edit}")).await;
        assert_eq!(store.find(row.id, at(2)).await, Err(GrantError::Unavailable), "{edit}");
        place.sql(&format!("UPDATE access_grant SET {back}")).await;
    }
    assert!(store.find(row.id, at(2)).await.unwrap().is_some());
    whole.close().await;
    let ana = caller(PrincipalKind::Person, "ana", None, &[]);
    assert_eq!(store.find(row.id, at(2)).await, Err(GrantError::Unavailable));
    assert_eq!(
        store.open_for(&standing(ask().principal), at(2)).await,
        Err(GrantError::Unavailable)
    );
    assert_eq!(store.in_force(at(2)).await, Err(GrantError::Unavailable));
    assert!(store.end(row.id, by_hand(Ending::Owner, &ana), at(2)).await.is_err());
}

on_both! {
    two_people_grant_it_and_its_time_counts_from_the_second
    four_eyes_are_of_people_who_are_asked
    the_same_waits_once_and_not_too_much_waits
    of_many_approvals_at_once_as_many_count_as_are_wanted
    a_second_group_decides_when_it_is_time_and_is_told_once
    what_is_open_survives_and_what_is_ended_is_forgotten
    what_is_not_recorded_counts_for_nothing_and_is_recorded_later
    everybody_finds_what_concerns_it_among_many
    whoever_follows_hears_of_every_change
    what_does_not_add_up_is_an_error
}

/// What one gateway brings about it records itself; once it is gone, another one does.
#[tokio::test]
async fn gateways_hear_of_each_other_and_record_what_one_has_left() {
    let place = Place::postgres();
    let (one, two) = (place.store().await, place.store().await);
    let (here, there) = (GrantStore::new(one.clone()), GrantStore::new(two.clone()));
    let mut changes = there.changes();
    changes.mark_unchanged();
    let row = in_force(&here, 1, &of_one(), at(1)).await;
    tokio::time::timeout(std::time::Duration::from_secs(20), changes.changed())
        .await
        .expect("it is told")
        .unwrap();
    assert_eq!(there.in_force(at(2)).await.unwrap().1, BTreeSet::from([row.id]));
    let Filed::New(left) = here.file(GrantId::from_bits(2), &ask()).await.unwrap() else {
        panic!("it is new")
    };
    assert_eq!(here.unrecorded(at(2)).await.unwrap().len(), 1);
    assert!(there.unrecorded(at(2)).await.unwrap().is_empty(), "the other one does");
    one.close().await;
    let found = there.unrecorded(at(2)).await.unwrap();
    assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), [left.id]);
    assert!(there.recorded(&found[0]).await.unwrap());
}

#[tokio::test]
async fn a_store_that_is_put_back_has_no_grant_in_force() {
    let place = Place::postgres();
    let whole = place.store().await;
    let store = GrantStore::new(whole.clone());
    let row = in_force(
        &store,
        1,
        &AccessAsk { at: now(), lapses: now().plus(MINUTE), ..of_one() },
        now(),
    )
    .await;
    whole.close().await;
    let settled = portcullis_store::settle_server(&place.settings(), now).await.unwrap();
    assert_eq!(settled.grants, 1);
    let store = GrantStore::new(place.store().await);
    let found = store.unrecorded(now()).await.unwrap().remove(0);
    assert_eq!((found.id, found.status), (row.id, GrantStatus::Ended));
    assert_eq!(found.ending, Some(Ending::Restored));
}
