//! Passkeys in the store: what they let happen is used up in the transaction in which it happens, once, for
//! exactly one matter, by their person.

use crate::place::Place;
use crate::reviews::{ask, caller, desk_of};
use portcullis_core::digest::{Digest, Digester};
use portcullis_core::id::{BrowserSessionId, PasskeyId};
use portcullis_core::passkey::{Asserted, Evidence, Matter, StepUp};
use portcullis_core::pattern::Terms;
use portcullis_core::principal::{Person, Principal, PrincipalKind, Reviewer};
use portcullis_core::review::{Ask, Desk as _};
use portcullis_core::time::Timestamp;
use portcullis_store::{
    Challenged, DecideError, MAX_PASSKEYS, Outcome, Page, PasskeyRow, PasskeyStore, Shows,
    StepUpError,
};
use std::time::Duration;

const BROWSER: BrowserSessionId = BrowserSessionId::from_bits(5);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn person(subject: &str) -> Principal {
    caller(PrincipalKind::Person, subject, &["dba"])
}

fn nonce(n: u64) -> Digest {
    Digester::new("nonce").part(&n.to_be_bytes()).finish()
}

fn passkey(n: u64, of: &Principal, made: Timestamp) -> PasskeyRow {
    PasskeyRow {
        id: PasskeyId::from_bits(n),
        name: format!("key {n}"),
        issuer: of.issuer.clone(),
        subject: of.subject.clone(),
        made,
        used: None,
        credential: n.to_be_bytes().to_vec(),
        public_key: vec![1, 2, 3],
        sign_count: 0,
    }
}

/// What identity makes of a signature that is right.
fn asserted(n: u64, who: &Principal, (matter, nonce): (Matter, Digest), count: u32) -> Asserted {
    let text = String::new;
    let evidence = Evidence {
        passkey: PasskeyId::from_bits(n),
        issuer: who.issuer.clone(),
        subject: who.subject.clone(),
        credential: text(),
        public_key: text(),
        origin: text(),
        rp_id: text(),
        matter,
        nonce,
        authenticator_data: text(),
        client_data: text(),
        signature: text(),
    };
    Asserted::checked_by_identity_assertion(evidence, count)
}

async fn challenge(
    store: &PasskeyStore,
    who: &Principal,
    (matter, nonce, browser): (Matter, Digest, Option<BrowserSessionId>),
    now: Timestamp,
) -> Digest {
    let until = now.plus(Duration::from_secs(60));
    store.challenge(who, &Challenged { matter, nonce, browser, until }, now).await.unwrap()
}

async fn first(store: &PasskeyStore, who: &Principal, n: u64, now: Timestamp) {
    let matter = Matter::Passkey { browser: BROWSER };
    let asked = challenge(store, who, (matter, nonce(1000 + n), Some(BROWSER)), now).await;
    let person = Person::new(who.clone()).unwrap();
    store.vouch((BROWSER, who), now.plus(Duration::from_secs(60)), now).await.unwrap();
    store.register(&person, &passkey(n, who, now), (asked, BROWSER), None).await.unwrap();
}

async fn a_sign_in_vouches_for_one_first_passkey_for_a_time(place: &Place) {
    let store = PasskeyStore::new(place.store().await);
    let ana = person("ana");
    let anas = Person::new(ana.clone()).unwrap();
    let matter = Matter::Passkey { browser: BROWSER };
    let ask = async |n| challenge(&store, &ana, (matter, nonce(n), Some(BROWSER)), at(1)).await;
    let register = async |n, asked| {
        store.register(&anas, &passkey(n, &ana, at(10)), (asked, BROWSER), None).await
    };
    // One that was asked for another session's registration.
    let other = Matter::Passkey { browser: BrowserSessionId::from_bits(6) };
    let of_other = challenge(&store, &ana, (other, nonce(9), Some(BROWSER)), at(1)).await;
    assert_eq!(register(1, of_other).await, Err(StepUpError::NotThis));
    // None, of another session, and too old.
    let asked = ask(1).await;
    assert_eq!(register(1, asked).await, Err(StepUpError::NotAnew));
    let elsewhere = BrowserSessionId::from_bits(6);
    store.vouch((elsewhere, &ana), at(60), at(1)).await.unwrap();
    assert_eq!(register(1, asked).await, Err(StepUpError::NotAnew));
    store.vouch((BROWSER, &ana), at(10), at(1)).await.unwrap();
    assert!(store.is_vouched(BROWSER, at(9)).await.unwrap());
    assert!(!store.is_vouched(BROWSER, at(10)).await.unwrap());
    assert_eq!(register(1, asked).await, Err(StepUpError::NotAnew));
    // What is over is forgotten when there is another one; and each is used once, by whoever is first.
    store.vouch((BROWSER, &ana), at(60), at(10)).await.unwrap();
    let (asked, other) = (ask(2).await, ask(3).await);
    let (one, two) = tokio::join!(register(1, asked), register(2, other));
    let refused = [StepUpError::NotAnew, StepUpError::Wanted];
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    assert!(refused.contains(&one.and(two).unwrap_err()));
    assert!(!store.is_vouched(BROWSER, at(11)).await.unwrap());
    // Nor does one from before that a passkey was removed, or from while there was one: of this person.
    let [only] = store.of_person(&ana).await.unwrap().try_into().unwrap();
    let of_bo = BrowserSessionId::from_bits(7);
    store.vouch((of_bo, &person("bo")), at(60), at(10)).await.unwrap();
    store.vouch((BROWSER, &ana), at(60), at(10)).await.unwrap();
    assert!(!store.is_vouched(BROWSER, at(11)).await.unwrap());
    assert!(store.is_vouched(elsewhere, at(11)).await.unwrap());
    assert!(store.remove(only.id).await.unwrap());
    assert!(!store.is_vouched(elsewhere, at(11)).await.unwrap());
    assert!(store.is_vouched(of_bo, at(11)).await.unwrap());
    assert_eq!(register(3, ask(4).await).await, Err(StepUpError::NotAnew));
    store.vouch((BROWSER, &ana), at(60), at(10)).await.unwrap();
    assert_eq!(register(3, ask(5).await).await, Ok(()));
}

async fn the_first_is_trusted_and_others_take_one_that_is_there(place: &Place) {
    let store = PasskeyStore::new(place.store().await);
    let (ana, bo) = (person("ana"), person("bo"));
    first(&store, &ana, 1, at(1)).await;
    let matter = Matter::Passkey { browser: BROWSER };
    let anas = Person::new(ana.clone()).unwrap();
    let ask = async |n, who: &Principal| {
        challenge(&store, who, (matter, nonce(n), Some(BROWSER)), at(2)).await
    };
    // Without one, of another browser session, twice, and by another person's challenge.
    let asked = ask(1, &ana).await;
    let new = passkey(2, &ana, at(3));
    let again = store.register(&anas, &new, (asked, BROWSER), None).await;
    assert_eq!(again, Err(StepUpError::Wanted));
    let elsewhere = (asked, BrowserSessionId::from_bits(6));
    assert_eq!(store.register(&anas, &new, elsewhere, None).await, Err(StepUpError::NotThis));
    let bos = ask(2, &bo).await;
    assert_eq!(store.register(&anas, &new, (bos, BROWSER), None).await, Err(StepUpError::NotThis));
    let (said, by) = (nonce(3), ask(3, &ana).await);
    assert_eq!(store.asked(by, &ana, Some(BROWSER), at(3)).await.unwrap().nonce, said);
    assert_eq!(store.asked(by, &bo, Some(BROWSER), at(3)).await, Err(StepUpError::NotThis));
    assert_eq!(store.asked(by, &ana, None, at(3)).await, Err(StepUpError::NotThis));
    assert_eq!(store.asked(by, &ana, Some(BROWSER), at(62)).await, Err(StepUpError::NotThis));
    let by = asserted(1, &ana, (matter, said), 0);
    let may = store.may_register(&anas, &new, (asked, BROWSER), Some(&by)).await;
    assert_eq!(may, Ok(()), "and nothing is used up");
    assert_eq!(store.register(&anas, &new, (asked, BROWSER), Some(&by)).await, Ok(()));
    let replay = store.register(&anas, &passkey(3, &ana, at(3)), (asked, BROWSER), Some(&by)).await;
    assert_eq!(replay, Err(StepUpError::NotThis));
    // A credential is one person's, whoever comes next.
    let taken = PasskeyRow { credential: new.credential.clone(), ..passkey(4, &bo, at(3)) };
    let bos = ask(4, &bo).await;
    let bo_itself = Person::new(bo.clone()).unwrap();
    store.vouch((BROWSER, &bo), at(60), at(3)).await.unwrap();
    assert_eq!(
        store.register(&bo_itself, &taken, (bos, BROWSER), None).await,
        Err(StepUpError::Known)
    );
    assert_eq!(store.of_credential(&new.credential, &ana).await.unwrap().id, new.id);
    assert_eq!(store.of_credential(&new.credential, &bo).await, Err(StepUpError::NotYours));
    // No more than so many.
    for n in 10..30 {
        let asked = ask(2 * n, &ana).await;
        ask(2 * n + 1, &ana).await;
        let by = asserted(1, &ana, (matter, nonce(2 * n + 1)), 0);
        let new = passkey(n, &ana, at(3));
        let kept = store.register(&anas, &new, (asked, BROWSER), Some(&by)).await;
        let there = store.of_person(&ana).await.unwrap().len();
        assert_eq!(kept.is_ok(), n < 18, "{n}: {kept:?}");
        assert!(there <= MAX_PASSKEYS);
    }
    let page = store.list(Some(&ana), &Page { limit: 3, after: None }).await.unwrap();
    assert_eq!((page.rows.len(), page.more), (3, true));
    assert!(store.remove(new.id).await.unwrap() && !store.remove(new.id).await.unwrap());
    assert!(store.find(new.id).await.unwrap().is_none());
}

fn with_passkey(statement: &str) -> Ask {
    Ask { step_up: Some(StepUp::Passkey), ..ask(statement, &["dba"]) }
}

async fn an_approval_takes_the_passkey_of_who_gives_it(place: &Place) {
    let store = place.store().await;
    let (desk, keys) = (desk_of(store.clone()), PasskeyStore::new(store));
    let (ana, bo) = (person("ana"), person("bo"));
    let now = ask("x", &["dba"]).at;
    first(&keys, &ana, 1, now).await;
    first(&keys, &bo, 2, now).await;
    let one = desk.file(with_passkey("DELETE 1")).await.unwrap().review;
    let two = desk.file(with_passkey("DELETE 2")).await.unwrap().review;
    let reviewer = Reviewer::new(bo.clone()).unwrap();
    let try_it = async |review, pattern, asserted: Option<&Asserted>| {
        let shows = Shows { asserted, browser: None };
        let may = desk.may_decide(review, &reviewer, (true, pattern, shows), now).await;
        let done = desk.approve_by(review, &reviewer, (pattern, shows), now).await;
        assert_eq!(may.is_ok(), done.is_ok(), "{may:?} {done:?}");
        match done {
            Err(DecideError::StepUp(error)) => Err(error),
            other => Ok(other.unwrap()),
        }
    };
    let signed = async |n: u64, key: u64, who: &Principal, review, pattern, count| {
        let matter = desk.consent(review, &reviewer, pattern, now).await.unwrap();
        challenge(&keys, who, (matter, nonce(n), None), now).await;
        asserted(key, who, (matter, nonce(n)), count)
    };
    assert_eq!(try_it(one, None, None).await, Err(StepUpError::Wanted));
    let plain = desk.approve(one, &reviewer, None, now).await;
    assert_eq!(plain, Err(DecideError::StepUp(StepUpError::Wanted)));
    // Another review's, a pattern's for one, one for a pattern's, other terms.
    let of_two = signed(1, 2, &bo, two, None, 0).await;
    assert_eq!(try_it(one, None, Some(&of_two)).await, Err(StepUpError::NotThis));
    let terms = Some(Terms { seconds: 60, count: 2 });
    let of_terms = signed(2, 2, &bo, one, terms, 0).await;
    assert_eq!(try_it(one, None, Some(&of_terms)).await, Err(StepUpError::NotThis));
    let longer = Some(Terms { seconds: 61, count: 2 });
    assert_eq!(try_it(one, longer, Some(&of_terms)).await, Err(StepUpError::NotThis));
    // Somebody else's, by somebody else's passkey, never asked for.
    let of_ana = signed(3, 1, &ana, one, None, 0).await;
    assert_eq!(try_it(one, None, Some(&of_ana)).await, Err(StepUpError::NotYours));
    let by_anas = signed(4, 1, &bo, one, None, 0).await;
    assert_eq!(try_it(one, None, Some(&by_anas)).await, Err(StepUpError::NotYours));
    let matter = desk.consent(one, &reviewer, None, now).await.unwrap();
    let made_up = asserted(2, &bo, (matter, nonce(99)), 0);
    assert_eq!(try_it(one, None, Some(&made_up)).await, Err(StepUpError::NotThis));
    assert_eq!(desk.get(one).await.unwrap().unwrap().decisions, []);
    // The right one, with a counter; then no counter that has not gone up; and none twice.
    let right = signed(5, 2, &bo, one, None, 7).await;
    assert_eq!(try_it(one, None, Some(&right)).await, Ok(Outcome::Approved));
    for (n, count) in [(6, 7), (7, 6), (8, 0)] {
        let copied = signed(n, 2, &bo, two, None, count).await;
        assert_eq!(try_it(two, None, Some(&copied)).await, Err(StepUpError::Counter));
    }
    let fresh = signed(9, 2, &bo, two, terms, 8).await;
    let approved = try_it(two, terms, Some(&fresh)).await;
    assert_eq!(approved, Ok(Outcome::Approved));
    let used = keys.find(PasskeyId::from_bits(2)).await.unwrap().unwrap();
    assert_eq!((used.sign_count, used.used), (8, Some(now)));
    // Rejecting takes none; a passkey that was removed lets nothing happen.
    let three = desk.file(with_passkey("DELETE 3")).await.unwrap().review;
    let four = desk.file(with_passkey("DELETE 4")).await.unwrap().review;
    desk.reject(three, &reviewer, "no", now).await.unwrap();
    let last = signed(10, 2, &bo, four, None, 9).await;
    keys.remove(PasskeyId::from_bits(2)).await.unwrap();
    assert_eq!(try_it(four, None, Some(&last)).await, Err(StepUpError::NotYours));
    // A repeat under a rule that asks for one does not meet a review that does not.
    let plain = desk.file(ask("DELETE 5", &["dba"])).await.unwrap().review;
    let stricter = desk.file(with_passkey("DELETE 5")).await.unwrap().review;
    assert_ne!(plain, stricter);
    assert_eq!(desk.file(ask("DELETE 5", &["dba"])).await.unwrap().review, stricter);
}

on_both! {
    a_sign_in_vouches_for_one_first_passkey_for_a_time
    the_first_is_trusted_and_others_take_one_that_is_there
    an_approval_takes_the_passkey_of_who_gives_it
}
