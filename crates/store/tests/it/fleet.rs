//! Several gateways on one database: each store here stands for one of them.

use crate::place::{Place, now};
use crate::reviews::{HOUR, ask, person};
use portcullis_core::id::{CredentialId, SessionId};
use portcullis_core::review::{Decision, Desk as _, DeskError, Withdrawal};
use portcullis_core::time::Timestamp;
use portcullis_store::{
    CredentialStore, DefinitionStore, FreezeStore, LabelPlace, LabelStore, PostgresSettings,
    ReviewDesk, ReviewSettings, Status, Store, StoreError, Topic, examine_server, settle_server,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Longer than notifications and looks take together, and than a lost server is noticed in, on a machine
/// that has much to do; and shorter than whoever is not told would wait.
const SOON: Duration = Duration::from_secs(4);

/// Waits until something holds; it has to within [`SOON`].
async fn soon(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < SOON, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn gateway(place: &Place) -> (Store, ReviewDesk) {
    let store = place.store().await;
    (store.clone(), ReviewDesk::new(store, ReviewSettings { ttl: HOUR }, now))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_takers_at_two_gateways_one_wins() {
    let place = &Place::postgres();
    let ((_a, a), (_b, b)) = (gateway(place).await, gateway(place).await);
    for round in 0..5 {
        let ticket = a.file(ask(&format!("DELETE {round}"), &["dba"])).await.unwrap();
        b.approve(ticket.review, &person("dora", &["dba"]), None, now()).await.unwrap();
        let takers = (0..40).map(|number| {
            let desk = if number % 2 == 0 { a.clone() } else { b.clone() };
            let ticket = ticket.clone();
            tokio::spawn(async move { desk.consume(&ticket, ticket.digest, now()).await })
        });
        let mut won = 0;
        for taker in takers.collect::<Vec<_>>() {
            won += usize::from(taker.await.unwrap().is_ok());
        }
        assert_eq!(won, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_and_a_withdrawal_at_once_have_one_outcome() {
    let place = &Place::postgres();
    let ((_a, a), (_b, b)) = (gateway(place).await, gateway(place).await);
    for round in 0..20 {
        let ticket = a.file(ask(&format!("DELETE {round}"), &["dba"])).await.unwrap();
        let (mine, review) = (ticket.clone(), ticket.review);
        let (a, b) = (a.clone(), b.clone());
        let withdrawn = tokio::spawn(async move { a.retire(&mine, Withdrawal::Cancelled).await });
        let dora = person("dora", &["dba"]);
        let approved = b.approve(review, &dora, None, now()).await;
        withdrawn.await.unwrap();
        // Whoever came first: what was withdrawn is not approved.
        let found = b.get(review).await.unwrap().unwrap();
        assert_eq!(found.status, Status::Withdrawn, "{approved:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_at_one_gateway_is_heard_at_another() {
    let place = &Place::postgres();
    let ((_a, a), (_b, b)) = (gateway(place).await, gateway(place).await);
    let waiting = |name: &str| {
        let (a, name) = (a.clone(), name.to_owned());
        async move {
            let ticket = a.file(ask(&name, &["dba"])).await.unwrap();
            let review = ticket.review;
            let heard = tokio::spawn(async move { (a.decided(&ticket).await, Instant::now()) });
            tokio::time::sleep(Duration::from_millis(100)).await;
            (review, heard)
        }
    };
    // By a notification.
    let (review, heard) = waiting("one").await;
    b.approve(review, &person("dora", &["dba"]), None, now()).await.unwrap();
    let decided = Instant::now();
    let (decision, at) = heard.await.unwrap();
    assert_eq!(decision, Decision::Approved);
    assert!(at.saturating_duration_since(decided) < SOON);
    // Where no notification comes.
    let (review, heard) = waiting("two").await;
    place
        .sql(&format!(
            "BEGIN; UPDATE review SET status = 'approved' WHERE id = '{review}';
             UPDATE revision SET changes = changes + 1 WHERE topic = 'reviews'; COMMIT"
        ))
        .await;
    let heard = tokio::time::timeout(SOON, heard).await.expect("by looking").unwrap();
    assert_eq!(heard.0, Decision::Approved);
    // Where every connection is cut at that moment.
    let (review, heard) = waiting("three").await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    place.sql(cut).await;
    b.reject(review, &person("dora", &["dba"]), "no", now()).await.unwrap();
    let heard = tokio::time::timeout(SOON, heard).await.expect("by a new connection").unwrap();
    assert!(matches!(heard.0, Decision::Rejected { .. }), "{heard:?}");
}

#[tokio::test]
async fn who_waits_at_another_gateway_keeps_a_review() {
    let place = &Place::postgres();
    let ((_a, a), (b_store, b)) = (gateway(place).await, gateway(place).await);
    let at_a = a.file(ask("DELETE", &["dba"])).await.unwrap();
    let at_b = b.file(ask("DELETE", &["dba"])).await.unwrap();
    assert_eq!(at_a.review, at_b.review, "the same request asks once, wherever it comes");
    a.retire(&at_a, Withdrawal::Disconnected).await;
    assert_eq!(b.get(at_b.review).await.unwrap().unwrap().status, Status::Pending);
    b.retire(&at_b, Withdrawal::Disconnected).await;
    assert_eq!(b.get(at_b.review).await.unwrap().unwrap().status, Status::Withdrawn);
    // Of a gateway that is gone nobody waits.
    let at_a = a.file(ask("UPDATE", &["dba"])).await.unwrap();
    b.file(ask("UPDATE", &["dba"])).await.unwrap();
    drop(b);
    b_store.close().await;
    a.retire(&at_a, Withdrawal::Disconnected).await;
    assert_eq!(a.get(at_a.review).await.unwrap().unwrap().status, Status::Withdrawn);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_is_made_once_by_whoever_comes_first() {
    let place = Place::postgres();
    let open = || async { place.open().await.map(drop) };
    let (a, b, c, d) = tokio::join!(open(), open(), open(), open());
    for one in [a, b, c, d] {
        one.unwrap();
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_also_when_it_comes_later() {
    let place = &Place::postgres();
    let store = place.store().await;
    let freezes = FreezeStore::new(store.clone());
    assert!(freezes.list(false, now()).await.is_ok());
    place
        .sql(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'of the future', true, '', 0)",
        )
        .await;
    soon("it goes on", async || freezes.list(false, now()).await.is_err()).await;
    let Err(error) = place.open().await else { panic!("it was opened") };
    assert!(matches!(error, StoreError::NewerSchema { step: 9999, .. }), "{error}");
    place.sql("DELETE FROM _sqlx_migrations WHERE version = 9999").await;
    soon("it does not come back", async || freezes.list(false, now()).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_database_refuses_at_once_and_comes_back_by_itself() {
    let place = &Place::postgres();
    let Place::Postgres(server, database) = place else { panic!() };
    let (store, desk) = gateway(place).await;
    let mut told = store.changes(Topic::Freezes);
    let shut = |yes: bool| {
        let allow = format!("ALTER DATABASE {database} ALLOW_CONNECTIONS {}", !yes);
        server.postgres.sql("postgres", &allow).unwrap();
    };
    // Before anything can be noticed: whoever connects just then finds the database shut already.
    told.mark_unchanged();
    shut(true);
    let cut = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
    );
    server.postgres.sql("postgres", &cut).unwrap();
    tokio::time::timeout(SOON, told.changed()).await.expect("whoever follows is told").unwrap();
    soon("it is not lost", async || {
        let began = Instant::now();
        let refused = desk.file(ask("DELETE", &["dba"])).await;
        assert!(began.elapsed() < SOON, "nobody waits");
        // Of a connection that was cut first, the server itself says so.
        let Err(DeskError::Unavailable(why)) = refused else { panic!("{refused:?}") };
        why.contains("cannot be reached")
    })
    .await;
    told.mark_unchanged();
    shut(false);
    tokio::time::timeout(SOON, told.changed()).await.expect("whoever follows is told").unwrap();
    soon("it does not come back", async || desk.file(ask("DELETE", &["dba"])).await.is_ok()).await;
}

/// By how many seconds the clock of one gateway is ahead.
static AHEAD: AtomicU64 = AtomicU64::new(0);

fn ahead() -> Timestamp {
    now().plus(Duration::from_secs(AHEAD.load(Ordering::Relaxed)))
}

#[tokio::test]
async fn a_clock_that_is_not_the_databases_is_refused() {
    let place = &Place::postgres();
    let store = Store::connect(&place.settings(), ahead).await.unwrap();
    let freezes = FreezeStore::new(store.clone());
    assert!(freezes.list(false, now()).await.is_ok());
    AHEAD.store(10, Ordering::Relaxed);
    let refused = Store::connect(&place.settings(), ahead).await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("NTP"), "{refused}");
    soon("one that runs goes on", async || freezes.list(false, now()).await.is_err()).await;
    AHEAD.store(0, Ordering::Relaxed);
    soon("it does not come back", async || freezes.list(false, now()).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_at_two_gateways_at_once_is_one_person() {
    let place = &Place::postgres();
    let ((_a, a), (_b, b)) = (gateway(place).await, gateway(place).await);
    let both = person("bob", &["dba", "security"]);
    for round in 0..20 {
        let ticket = a.file(ask(&format!("DELETE {round}"), &["dba", "security"])).await.unwrap();
        let (here, there) = tokio::join!(
            a.approve(ticket.review, &both, None, now()),
            b.approve(ticket.review, &both, None, now())
        );
        assert_eq!(usize::from(here.is_ok()) + usize::from(there.is_ok()), 1, "{here:?} {there:?}");
        assert_eq!(a.get(ticket.review).await.unwrap().unwrap().status, Status::Pending);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_here_and_a_no_there_are_no() {
    let place = &Place::postgres();
    let ((_a, a), (_b, b)) = (gateway(place).await, gateway(place).await);
    let (dora, dan) = (person("dora", &["dba"]), person("dan", &["dba"]));
    for round in 0..20 {
        let ticket = a.file(ask(&format!("DELETE {round}"), &["dba"])).await.unwrap();
        let (yes, no) = tokio::join!(
            a.approve(ticket.review, &dora, None, now()),
            b.reject(ticket.review, &dan, "no", now())
        );
        no.unwrap();
        let used = a.consume(&ticket, ticket.digest, now()).await;
        assert!(used.is_err(), "{yes:?}");
        assert_eq!(b.get(ticket.review).await.unwrap().unwrap().status, Status::Rejected);
    }
}

/// Somebody holds the lock that all changes take turns by.
fn hold_lock(place: &Place, seconds: u32) -> std::thread::JoinHandle<()> {
    let Place::Postgres(server, database) = place else { panic!() };
    let (server, database) = (std::sync::Arc::clone(server), database.clone());
    std::thread::spawn(move || {
        let hold =
            format!("SELECT pg_advisory_lock({}), pg_sleep({seconds})", 0x706f_7274_6375_6c6c_i64);
        server.postgres.sql(&database, &hold).unwrap();
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_the_lock_keeps_nobody_from_reading() {
    let place = &Place::postgres();
    let (store, desk) = gateway(place).await;
    let freezes = FreezeStore::new(store);
    let held = hold_lock(place, 9);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    let waiting = (0..20).map(|round| {
        let desk = desk.clone();
        tokio::spawn(async move { desk.file(ask(&format!("DELETE {round}"), &["dba"])).await })
    });
    let waiting: Vec<_> = waiting.collect();
    while began.elapsed() < Duration::from_secs(3) {
        let asked = Instant::now();
        freezes.list(false, now()).await.unwrap();
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for one in waiting {
        assert!(one.await.unwrap().is_err(), "nothing is changed past the lock");
    }
    assert!(began.elapsed() < Duration::from_millis(8_000), "nobody waits for ever");
    tokio::task::spawn_blocking(move || held.join().unwrap()).await.unwrap();
    desk.file(ask("DELETE", &["dba"])).await.unwrap();
}

#[tokio::test]
async fn changes_of_definitions_are_told() {
    let place = &Place::postgres();
    let (a, b) = (place.store().await, place.store().await);
    let (at_a, at_b) = (DefinitionStore::of(&a).unwrap(), DefinitionStore::of(&b).unwrap());
    let shop = place_of("db:5432", "shop");
    let other = LabelPlace { database: "other".to_owned(), ..shop.clone() };
    let before = at_b.standing(&shop).await.unwrap();
    assert!(!before.changing);
    let session = SessionId::from_bits(7);
    at_a.begin(&shop, session).await.unwrap();
    let meanwhile = at_b.standing(&shop).await.unwrap();
    assert!(meanwhile.changing && meanwhile.changes > before.changes);
    assert!(!at_a.standing(&shop).await.unwrap().changing, "its own are no news");
    assert!(!at_b.standing(&other).await.unwrap().changing);
    at_a.end(&shop, session).await.unwrap();
    let after = at_b.standing(&shop).await.unwrap();
    assert!(!after.changing && after.changes > meanwhile.changes);
    // A gateway that is gone changes nothing any more.
    at_a.begin(&shop, session).await.unwrap();
    a.close().await;
    assert!(!at_b.standing(&shop).await.unwrap().changing);
    assert!(DefinitionStore::of(&Place::sqlite().store().await).is_none());
}

/// A gateway that was away too long for the others finds that out by itself, and tells again.
#[tokio::test]
async fn who_was_forgotten_tells_again_what_it_changes() {
    let place = &Place::postgres();
    let (a, b) = (place.store().await, place.store().await);
    let (at_a, at_b) = (DefinitionStore::of(&a).unwrap(), DefinitionStore::of(&b).unwrap());
    let shop = place_of("db:5432", "shop");
    at_a.begin(&shop, SessionId::from_bits(7)).await.unwrap();
    let before = at_b.standing(&shop).await.unwrap();
    place.sql("DELETE FROM gateway; DELETE FROM definition_change").await;
    soon("it is not told again", async || {
        let standing = at_b.standing(&shop).await.unwrap();
        standing.changing && standing.changes > before.changes
    })
    .await;
    at_a.end(&shop, SessionId::from_bits(7)).await.unwrap();
    assert!(!at_b.standing(&shop).await.unwrap().changing);
    // Each tells by a beat of its own that it is there.
    soon("one is not there again", async || {
        examine_server(&place.settings(), now).await.unwrap().gateways.len() == 2
    })
    .await;
    // Before what commits is sent it is told, whatever others have forgotten.
    place.sql("DELETE FROM definition_change").await;
    at_a.begin(&shop, SessionId::from_bits(7)).await.unwrap();
    assert!(at_b.standing(&shop).await.unwrap().changing);
}

/// What a gateway had under way when it was heard of last may reach its target yet.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_was_changing_that_is_gone_goes_on_for_a_while() {
    let place = &Place::postgres();
    let b = place.store().await;
    let at_b = DefinitionStore::of(&b).unwrap();
    let shop = place_of("db:5432", "shop");
    let (settings, at_a) = (place.settings(), shop.clone());
    let stopped = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let a = Store::connect(&settings, now).await.unwrap();
            let definitions = DefinitionStore::of(&a).unwrap();
            definitions.begin(&at_a, SessionId::from_bits(7)).await.unwrap();
            // Nothing of it runs any more, and it has not said so.
            std::mem::forget((a, definitions));
        });
    });
    tokio::task::spawn_blocking(move || stopped.join().unwrap()).await.unwrap();
    let before = at_b.standing(&shop).await.unwrap();
    assert!(before.changing);
    let began = Instant::now();
    let there = || async { examine_server(&place.settings(), now).await.unwrap().gateways.len() };
    while there().await > 1 {
        assert!(began.elapsed() < Duration::from_secs(30), "it is not forgotten");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let standing = at_b.standing(&shop).await.unwrap();
    assert!(standing.changing, "it may be committed yet");
    soon("others do not look again", async || {
        at_b.standing(&shop).await.unwrap().changes > before.changes
    })
    .await;
    let during = at_b.standing(&shop).await.unwrap();
    place.sql("UPDATE definition_change SET until = 1").await;
    soon("it goes on for ever", async || !at_b.standing(&shop).await.unwrap().changing).await;
    assert!(at_b.standing(&shop).await.unwrap().changes > during.changes);
}

/// One database by two hosts, and by two connections: it is the same by what it says of itself.
#[tokio::test]
async fn a_database_of_two_names_is_one() {
    let place = &Place::postgres();
    let (a, b) = (place.store().await, place.store().await);
    let (at_a, at_b) = (DefinitionStore::of(&a).unwrap(), DefinitionStore::of(&b).unwrap());
    let (labels_a, labels_b) = (LabelStore::new(a.clone()), LabelStore::new(b.clone()));
    let named = |target: &str, connection: &str, server: &[&str]| LabelPlace {
        connections: vec![connection.to_owned()],
        servers: server.iter().map(|&server| server.to_owned()).collect(),
        ..place_of(target, "shop")
    };
    let here = named("db:5432", "shop", &["7 16384"]);
    for (there, same) in [
        (named("db.example:5432", "shop", &[]), true),
        (named("db.example:5432", "orders", &["7 16384"]), true),
        (named("db.example:5432", "orders", &["7 16385"]), false),
        (named("db.example:5432", "orders", &[]), false),
    ] {
        let before = at_b.standing(&there).await.unwrap();
        at_a.begin(&here, SessionId::from_bits(7)).await.unwrap();
        labels_a.keep(&here, &[crate::labels::label(16_384, 1)], now()).await.unwrap();
        let during = at_b.standing(&there).await.unwrap();
        assert_eq!(during.changing, same, "{there:?}");
        assert_eq!(during.changes > before.changes, same, "{there:?}");
        assert_eq!(!labels_b.load(&there).await.unwrap().is_empty(), same, "{there:?}");
        at_a.end(&here, SessionId::from_bits(7)).await.unwrap();
        assert!(!at_b.standing(&there).await.unwrap().changing);
    }
}

/// Somebody has every turn of what people wait for: who stops others waits for none of that.
#[tokio::test(flavor = "multi_thread")]
async fn freezes_and_beats_wait_for_nobody_else() {
    let place = &Place::postgres();
    let (store, desk) = gateway(place).await;
    let (freezes, credentials) = (FreezeStore::new(store.clone()), CredentialStore::new(store));
    let held = hold_lock(place, 4);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let waiting: Vec<_> = (0..20)
        .map(|round| {
            let desk = desk.clone();
            tokio::spawn(async move { desk.file(ask(&format!("DELETE {round}"), &["dba"])).await })
        })
        .collect();
    let began = Instant::now();
    let (freeze, by) = crate::freezes::any();
    freezes.keep(&freeze, &by).await.unwrap();
    credentials.revoke(CredentialId::from_bits(7), "bo", now()).await.unwrap();
    let seen = "SELECT max(seen) FROM gateway";
    let Place::Postgres(server, database) = place else { panic!() };
    let before = server.postgres.sql(database, seen).unwrap();
    while server.postgres.sql(database, seen).unwrap() == before {
        assert!(began.elapsed() < Duration::from_millis(3_500), "it does not say that it is there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::task::spawn_blocking(move || held.join().unwrap()).await.unwrap();
    for one in waiting {
        let _ = one.await.unwrap();
    }
}

/// A standby that lacks the last changes, or a backup beside the gateways, takes the store's place.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_has_gone_back_is_refused_until_it_is_settled() {
    let place = &Place::postgres();
    let directory = tempfile::tempdir().unwrap();
    let settings =
        PostgresSettings { seen: Some(directory.path().join("seen")), ..place.settings() };
    let store = Store::connect(&settings, now).await.unwrap();
    let freezes = FreezeStore::new(store.clone());
    let (freeze, by) = crate::freezes::any();
    freezes.keep(&freeze, &by).await.unwrap();
    let kept = settings.seen.clone().unwrap();
    soon("it is not kept", async || {
        std::fs::read_to_string(&kept).is_ok_and(|text| text.contains("\"stops\":1"))
    })
    .await;
    place.sql("UPDATE revision SET changes = changes - 1 WHERE topic = 'stops'").await;
    // Not a moment is anything written there.
    let thawed = freezes.thaw(freeze.id, &by, now()).await;
    assert!(thawed.is_err(), "it was written to");
    soon("it is read", async || freezes.list(false, now()).await.is_err()).await;
    for (what, refused) in [
        ("a gateway", Store::connect(&settings, now).await.map(drop)),
        ("doctor", examine_server(&settings, now).await.map(drop)),
    ] {
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("gone back") && refused.contains("--settle"), "{what}: {refused}");
    }
    // Whoever has not seen it cannot know.
    Store::connect(&place.settings(), now).await.unwrap().close().await;
    store.close().await;
    place.sql("DELETE FROM gateway").await;
    settle_server(&settings, now).await.unwrap();
    let store = Store::connect(&settings, now).await.unwrap();
    assert!(FreezeStore::new(store.clone()).list(false, now()).await.is_ok());
    // Another store is another matter.
    let other = Place::postgres();
    let seen = settings.seen.clone();
    Store::connect(&PostgresSettings { seen, ..other.settings() }, now).await.unwrap();
}

/// A gateway that comes while a store is settled finds it settled.
#[tokio::test(flavor = "multi_thread")]
async fn no_gateway_comes_while_a_store_is_settled() {
    let place = &Place::postgres();
    let (store, desk) = gateway(place).await;
    for round in 0..10 {
        desk.file(ask(&format!("DELETE {round}"), &["dba"])).await.unwrap();
    }
    drop(desk);
    store.close().await;
    for _ in 0..10 {
        let settings = place.settings();
        let filter =
            portcullis_store::Filter { status: Some(Status::Pending), ..Default::default() };
        let come = async {
            let came = place.store().await;
            let desk = ReviewDesk::new(came.clone(), ReviewSettings { ttl: HOUR }, now);
            let first = desk.list(&filter).await.unwrap().len();
            (came, desk, first)
        };
        let (settled, (came, desk, first)) = tokio::join!(settle_server(&settings, now), come);
        let last = desk.list(&filter).await.unwrap().len();
        assert_eq!(first, last, "it was settled under a gateway: {settled:?}");
        drop(desk);
        came.close().await;
    }
}

fn place_of(target: &str, database: &str) -> LabelPlace {
    LabelPlace {
        target: target.to_owned(),
        database: database.to_owned(),
        connections: vec!["shop".to_owned()],
        servers: Vec::new(),
    }
}

/// A table that one gateway does not find may be in a transaction at another.
#[tokio::test]
async fn labels_of_what_others_may_be_making_are_not_forgotten() {
    let place = &Place::postgres();
    let (a, b) = (place.store().await, place.store().await);
    let (at_a, at_b) = (DefinitionStore::of(&a).unwrap(), DefinitionStore::of(&b).unwrap());
    let shop = place_of("db:5432", "shop");
    let (labels_a, labels_b) = (LabelStore::new(a.clone()), LabelStore::new(b.clone()));
    let session = SessionId::from_bits(7);
    at_a.begin(&shop, session).await.unwrap();
    labels_a.keep(&shop, &[crate::labels::label(16_384, 1)], now()).await.unwrap();
    let during = at_b.standing(&shop).await.unwrap().changes;
    let gone = [16_384].into();
    assert!(!labels_b.forget_as_of(&shop, &gone, during).await.unwrap(), "it may be committed yet");
    at_a.end(&shop, session).await.unwrap();
    assert!(!labels_b.forget_as_of(&shop, &gone, during).await.unwrap(), "it may be there since");
    assert_eq!(labels_b.load(&shop).await.unwrap().len(), 1);
    let after = at_b.standing(&shop).await.unwrap().changes;
    assert!(labels_b.forget_as_of(&shop, &gone, after).await.unwrap());
    assert_eq!(labels_b.load(&shop).await.unwrap(), []);
}

/// What one back end has, the other has too: a step that was written for one alone fails here.
#[tokio::test]
async fn both_back_ends_have_the_same_tables() {
    let postgres = Place::postgres();
    let Place::Postgres(server, database) = &postgres else { panic!() };
    postgres.store().await.close().await;
    let sql = "SELECT table_name || '.' || column_name FROM information_schema.columns
               WHERE table_schema = 'public' ORDER BY 1";
    let there = server.postgres.sql(database, sql).unwrap();
    let there: Vec<&str> = there.lines().filter(|c| !c.starts_with("_sqlx")).collect();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store.db");
    Store::open(&file).await.unwrap().close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
    let mut other = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let here = "SELECT m.name || '.' || c.name FROM sqlite_schema m, pragma_table_info(m.name) c
                WHERE m.type = 'table' AND m.name NOT LIKE '\\_sqlx%' ESCAPE '\\'";
    let mut here: Vec<String> = sqlx::query_scalar(here).fetch_all(&mut other).await.unwrap();
    let mut there: Vec<String> = there.into_iter().map(str::to_owned).collect();
    here.sort();
    there.sort();
    assert_eq!(here, there);
}
