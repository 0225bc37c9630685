//! The gate against doubles of judge, journal, desk and transport: whatever goes unanswered means
//! no, and nothing reaches the transport that was not recorded first.

#[allow(dead_code)]
mod toy;

use bytes::BytesMut;
use portcullis_core::access::{AccessAsk, Approvers, Entitlement, Tenure};
use portcullis_core::basis::{Basis, Estimate};
use portcullis_core::digest::Digest;
use portcullis_core::effect::{Effect, Extent, Object, ObjectKind, Operation, Verb};
use portcullis_core::freeze::{Freeze, FreezeScope, Freezes, FreezesUnknown, InForce};
use portcullis_core::gate::{
    Anew, Gate, GateSettings, Grounds, Held, LogIn, Moment, Passage, Unrehearsed,
};
use portcullis_core::id::{
    DecisionId, FreezeId, GrantId, PatternId, RequestId, ReviewId, SessionId,
};
use portcullis_core::journal::{Durability, Entry, Event, Journal, JournalError, NoRoom, Receipt};
use portcullis_core::limits::LimitKind;
use portcullis_core::link::{Link, LinkError, Progress, Transport};
use portcullis_core::pattern::{Grant, Use};
use portcullis_core::permit::Permit;
use portcullis_core::principal::{Principal, PrincipalKind, Reviewer};
use portcullis_core::protocol::ProtocolKind;
use portcullis_core::refusal::{Refusal, RefusalClass, Retry};
use portcullis_core::rehearsal::{Rehearsal, Sample, Seen, Stage};
use portcullis_core::review::{
    Approval, Ask, Claim, Decision, Desk, DeskError, Ticket, Withdrawal,
};
use portcullis_core::time::Timestamp;
use portcullis_core::verdict::*;
use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use toy::{Line, PassAll, Toy};

/// Runs a future that never waits.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a double waited"),
    }
}

struct Rules;

impl Judge for Rules {
    fn judge(&self, operation: &Operation, _: &Circumstances, approvals: &Approvals) -> Verdict {
        let ground = Ground {
            rule: "rule".into(),
            reason: "reason".into(),
            hint: None,
            what: operation.to_string(),
        };
        let permit = Verdict::Permit(Obligations {
            redactor: Arc::new(PassAll),
            rules: Arc::new([]),
            limits: None,
        });
        match operation.effects.first().map(|e| e.verb) {
            Some(Verb::Read | Verb::Connect) => permit,
            Some(Verb::Delete) if approvals.contains("dba") => permit,
            Some(Verb::Delete) => {
                let rehearse = Some(std::time::Duration::from_secs(20));
                Verdict::Hold {
                    groups: BTreeSet::from(["dba".to_owned()]),
                    ground,
                    rehearse,
                    step_up: None,
                }
            }
            _ => Verdict::Refuse { class: RefusalClass::Policy, retry: Retry::Never, ground },
        }
    }
    fn policy_version(&self) -> &str {
        "v1"
    }
}

#[derive(Default)]
struct Log {
    entries: Mutex<Vec<(Entry, Durability)>>,
    full_after: Option<usize>,
    /// No statement may be longer.
    longest: Option<usize>,
    /// The disk is nearly full.
    nearly_full: std::sync::atomic::AtomicBool,
}

impl Log {
    fn is_nearly_full(&self, is: bool) {
        self.nearly_full.store(is, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Journal for &Log {
    async fn append(&self, entry: Entry, d: Durability) -> Result<Receipt, JournalError> {
        let mut entries = self.entries.lock().unwrap();
        if self.full_after.is_some_and(|n| entries.len() >= n) {
            return Err(JournalError::Broken("no space left on device".into()));
        }
        let shown = match &entry.event {
            Event::Intent { shown, .. } | Event::Held { shown, .. } => Some(shown),
            Event::Refused { shown, .. } => Some(shown),
            _ => None,
        };
        if let (Some(shown), Some(most)) = (shown, self.longest)
            && shown.statements.iter().any(|s| s.len() > most)
        {
            return Err(JournalError::TooLarge(most));
        }
        entries.push((entry, d));
        Ok(Receipt::issued_by_journal_assertion(entries.len() as u64 - 1))
    }
    fn room(&self) -> Result<(), NoRoom> {
        let full = self.nearly_full.load(std::sync::atomic::Ordering::Relaxed);
        if full { Err(NoRoom) } else { Ok(()) }
    }
    fn note(&self, _: Entry) -> Result<(), JournalError> {
        Ok(())
    }
}

#[derive(Default)]
struct DeskState {
    filed: Vec<Ask>,
    approved: Option<Digest>,
    withdrawn: Vec<Withdrawal>,
    /// What a pattern fits, and for which groups; how often it was used, and may be.
    pattern: Option<(Digest, &'static str)>,
    uses: u32,
    most: u32,
    claimed: bool,
    /// Rows that people saw change.
    seen: Option<u64>,
}

#[derive(Clone, Default)]
struct Reviews(Arc<Mutex<DeskState>>);

impl Desk for Reviews {
    async fn file(&self, ask: Ask) -> Result<Ticket, DeskError> {
        let ticket = Ticket {
            review: ReviewId::from_bits(1),
            digest: ask.digest,
            groups: ask.groups.clone(),
            expires: Timestamp::from_micros(1000),
        };
        self.0.lock().unwrap().filed.push(ask);
        Ok(ticket)
    }
    async fn decided(&self, _: &Ticket) -> Decision {
        Decision::Approved
    }
    async fn consume_ready(&self, ticket: &Ticket) -> bool {
        self.0.lock().unwrap().approved == Some(ticket.digest)
    }
    async fn consume(&self, _: &Ticket, d: Digest, _: Timestamp) -> Result<Approval, DeskError> {
        let mut state = self.0.lock().unwrap();
        if state.approved.take() == Some(d) {
            let groups = Approvals::from(["dba".to_owned()]);
            return Ok(Approval { groups, most: state.seen });
        }
        Err(DeskError::NoApproval("none".into()))
    }
    async fn claim(&self, _: &Ticket, _: Timestamp) -> Result<Claim, DeskError> {
        let mut state = self.0.lock().unwrap();
        let taken = std::mem::replace(&mut state.claimed, true);
        Ok(if taken { Claim::Taken } else { Claim::Granted })
    }
    async fn show(&self, _: &Ticket, rehearsal: &Rehearsal) -> Result<(), DeskError> {
        self.0.lock().unwrap().seen = rehearsal.seen.as_ref().map(|seen| seen.changed);
        Ok(())
    }
    fn withdraw(&self, _: &Ticket, why: Withdrawal) {
        self.0.lock().unwrap().withdrawn.push(why);
    }
    async fn retire(&self, ticket: &Ticket, why: Withdrawal) {
        let mut state = self.0.lock().unwrap();
        state.withdrawn.push(why);
        state.approved.take_if(|digest| *digest == ticket.digest);
    }
    async fn pattern(
        &self,
        _: SessionId,
        digest: Digest,
        _: Timestamp,
    ) -> Result<Option<Grant>, DeskError> {
        let given = self.0.lock().unwrap().pattern.filter(|(of, _)| *of == digest);
        let groups = given.map(|(_, group)| Approvals::from([group.to_owned()]));
        Ok(groups.map(|groups| Grant { id: PatternId::from_bits(1), groups }))
    }
    async fn use_pattern(
        &self,
        pattern: PatternId,
        _: SessionId,
        _: Digest,
        _: Timestamp,
    ) -> Result<Use, DeskError> {
        let mut state = self.0.lock().unwrap();
        if state.uses >= state.most {
            return Err(DeskError::NoApproval("used up".into()));
        }
        state.uses += 1;
        Ok(Use { pattern, number: state.uses, of: state.most })
    }
}

#[derive(Clone, Default)]
struct Wire(Arc<Mutex<Vec<u8>>>);

impl Transport for Wire {
    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<usize>> {
        buffer.extend_from_slice(b"the secret");
        Poll::Ready(Ok(10))
    }
}

fn moment() -> Moment {
    Moment {
        at: Timestamp::from_micros(1),
        request: RequestId::from_bits(1),
        decision: DecisionId::from_bits(1),
        used: portcullis_core::limits::Used::default(),
    }
}

fn principal(kind: PrincipalKind) -> Principal {
    Principal {
        kind,
        subject: "ada".into(),
        name: "ada".into(),
        issuer: "https://issuer".into(),
        acting_for: None,
        acting_for_issuer: None,
        email: None,
        groups: BTreeSet::from(["dba".to_owned()]),
        token_id: None,
        expires: Timestamp::from_micros(i64::MAX),
    }
}

fn line(verb: Verb) -> Line {
    let object = Object::new(ObjectKind::Relation, ["shop", "public", "orders"]);
    let effect = Effect::resolved(verb, object, Extent::Some);
    let operation = Operation {
        kinds: [verb.as_str().into()].into_iter().collect(),
        effects: [effect].into_iter().collect(),
        lineages: Default::default(),
    };
    Line { text: format!("{verb};"), operation }
}

/// What is frozen, which a test may change.
#[derive(Clone, Default)]
struct Ice(Arc<Mutex<(u64, Vec<Freeze>, bool)>>);

impl Ice {
    /// From now on this is frozen, and nothing else.
    fn set(&self, scopes: &[FreezeScope]) {
        let mut state = self.0.lock().unwrap();
        state.0 += 1;
        state.1 = scopes.iter().map(|scope| freeze(*scope)).collect();
    }

    /// From now on nobody knows.
    fn lose(&self) {
        let mut state = self.0.lock().unwrap();
        state.0 += 1;
        state.2 = true;
    }
}

fn freeze(scope: FreezeScope) -> Freeze {
    Freeze {
        id: FreezeId::from_bits(1),
        scope,
        connection: Some("shop".into()),
        reason: "a bad deploy".into(),
        by: "bo".into(),
        since: Timestamp::from_micros(0),
        until: Timestamp::from_micros(60_000_000),
    }
}

impl Freezes for Ice {
    fn generation(&self) -> u64 {
        self.0.lock().unwrap().0
    }
    fn in_force(&self) -> InForce {
        let state = self.0.lock().unwrap();
        let freezes = if state.2 { Err(FreezesUnknown) } else { Ok(state.1.clone().into()) };
        InForce { generation: state.0, freezes }
    }
}

type TestGate<'a> = Gate<Rules, &'a Log, Reviews>;

fn opened<'a>(
    log: &'a Log,
    desk: &Reviews,
    settings: GateSettings,
) -> (TestGate<'a>, Link<Toy, Wire>, Wire) {
    opened_as(PrincipalKind::Agent, log, (desk, &Ice::default()), settings)
}

fn open() -> Entitlement {
    Entitlement::open_by_configuration_assertion("shop")
}

fn opened_as<'a>(
    kind: PrincipalKind,
    log: &'a Log,
    beside: (&Reviews, &Ice),
    settings: GateSettings,
) -> (TestGate<'a>, Link<Toy, Wire>, Wire) {
    opened_by(open(), kind, log, beside, settings)
}

fn opened_by<'a>(
    entitlement: Entitlement,
    kind: PrincipalKind,
    log: &'a Log,
    (desk, ice): (&Reviews, &Ice),
    settings: GateSettings,
) -> (TestGate<'a>, Link<Toy, Wire>, Wire) {
    let connection = ConnectionFacts {
        name: "shop".into(),
        environment: "test".into(),
        protocol: ProtocolKind::Postgres,
        database: "shop".into(),
        role: "app".into(),
    };
    let standing = Standing { principal: principal(kind), connection };
    let (gate, admission) = now(Gate::admit::<Toy>(
        SessionId::from_bits(1),
        Arc::new(standing),
        (Rules, Arc::new(ice.clone()), log, desk.clone()),
        entitlement,
        settings,
        LogIn { peer: "peer".into(), claimed: "psql".into(), settings: Vec::new() },
        moment(),
    ))
    .unwrap();
    let wire = Wire::default();
    let link = Link::new(admission, wire.clone());
    (gate, link, wire)
}

#[test]
fn a_read_is_recorded_then_sent_then_masked() {
    let (log, desk) = (Log::default(), Reviews::default());
    let (gate, mut link, wire) = opened(&log, &desk, GateSettings::default());
    let passage = now(gate.pass::<Toy>(line(Verb::Read), Circumstances::default(), moment()));
    let Passage::Permitted(permit) = passage else { panic!("not permitted") };
    assert!(wire.0.lock().unwrap().is_empty(), "nothing is sent before the permit is spent");
    let mut flight = link.send(permit).unwrap();
    assert!(!link.is_sent());
    let raw = now(link.receive()).unwrap();
    assert_eq!(*wire.0.lock().unwrap(), b"read;");
    assert!(link.is_sent());
    assert_eq!(format!("{raw:?}"), "Raw(…)");
    assert_eq!(flight.mask(raw).unwrap().get().as_ref(), b"the ******");
    let entries = log.entries.lock().unwrap();
    assert!(matches!(entries[1].0.event, Event::Intent { .. }));
    assert_eq!(entries[1].1, Durability::Written, "a pure read need not be synced");
}

#[test]
fn strict_reads_are_durable() {
    let (log, desk) = (Log::default(), Reviews::default());
    let settings = GateSettings { strict_reads: true, ..GateSettings::default() };
    let (gate, ..) = opened(&log, &desk, settings);
    let passage = now(gate.pass::<Toy>(line(Verb::Read), Circumstances::default(), moment()));
    assert!(matches!(passage, Passage::Permitted(_)));
    assert_eq!(log.entries.lock().unwrap()[1].1, Durability::Durable);
}

#[test]
fn what_cannot_be_recorded_is_refused() {
    let log = Log { full_after: Some(1), ..Log::default() };
    let desk = Reviews::default();
    let (gate, ..) = opened(&log, &desk, GateSettings::default());
    for verb in [Verb::Read, Verb::Delete, Verb::Drop] {
        match passed(&gate, line(verb), Circumstances::default(), &Basis::default()) {
            Passage::Refused(refusal) => {
                assert_eq!(refusal.class, RefusalClass::Unavailable);
                let sentence = refusal.sentence();
                assert!(sentence.contains("until the gateway is restarted"), "{sentence}");
                assert!(!sentence.contains("succeed later"), "{sentence}");
            }
            _ => panic!("{verb} passed without a record"),
        }
    }
    assert_eq!(desk.0.lock().unwrap().withdrawn, [Withdrawal::SessionEnded]);
}

/// What room is left is kept for the ends of what has begun: nothing new is permitted, held or even recorded
/// as refused, an approval stays, and rolling back goes on.
#[test]
fn on_a_disk_that_is_nearly_full_nothing_begins() {
    let (log, desk) = (Log::default(), Reviews::default());
    let (gate, _link, _wire) = opened(&log, &desk, GateSettings::default());
    let waiting = held(&gate);
    log.is_nearly_full(true);
    let before = log.entries.lock().unwrap().len();
    let refused = |passage| match passage {
        Passage::<Toy>::Refused(refusal) => refusal,
        _ => panic!("something began"),
    };
    for verb in [Verb::Read, Verb::Delete, Verb::Drop] {
        let passage = passed(&gate, line(verb), Circumstances::default(), &Basis::default());
        let refusal = refused(passage);
        assert_eq!((refusal.class, refusal.retry), (RefusalClass::Unavailable, Retry::Later));
        assert!(refusal.sentence().contains("disk"), "{refusal}");
    }
    desk.0.lock().unwrap().approved = Some(waiting.ticket().digest);
    let request = waiting.request().clone();
    let resumed = gate.resume(waiting, Decision::Approved, anew(request), moment());
    assert_eq!(refused(now(resumed)).class, RefusalClass::Unavailable);
    assert!(desk.0.lock().unwrap().approved.is_some(), "the approval was used up");
    assert_eq!(log.entries.lock().unwrap().len(), before, "what room is left is used");
    assert_eq!(desk.0.lock().unwrap().filed.len(), 1, "a review was filed, which takes room too");
    let mut back = line(Verb::Read);
    back.operation.kinds = ["rollback".into()].into_iter().collect();
    let passage = now(gate.pass::<Toy>(back, Circumstances::default(), moment()));
    assert!(matches!(passage, Passage::Permitted(_)));
    log.is_nearly_full(false);
    let passage = now(gate.pass::<Toy>(line(Verb::Read), Circumstances::default(), moment()));
    assert!(matches!(passage, Passage::Permitted(_)), "there is room again");
}

#[test]
fn what_no_record_can_hold_is_refused_for_its_size_and_that_is_recorded() {
    let log = Log { longest: Some(2), ..Log::default() };
    let desk = Reviews::default();
    let (gate, ..) = opened(&log, &desk, GateSettings::default());
    for verb in [Verb::Read, Verb::Delete, Verb::Drop] {
        let passage = passed(&gate, line(verb), Circumstances::default(), &Basis::default());
        let Passage::Refused(refusal) = passage else { panic!("{verb} passed without a record") };
        let entries = log.entries.lock().unwrap();
        let Some(Event::Refused { shown, refusal: recorded, .. }) =
            entries.last().map(|(entry, _)| &entry.event)
        else {
            panic!("the refusal of {verb} is not recorded")
        };
        assert_eq!(*recorded, refusal);
        assert_eq!((shown.statements.len(), shown.beyond.len()), (0, 1));
        if verb == Verb::Drop {
            assert_eq!(refusal.class, RefusalClass::Policy, "what refused it first stands");
            continue;
        }
        let about = (refusal.class, &*refusal.rule, refusal.retry);
        assert_eq!(about, (RefusalClass::Limit, "request-size", Retry::AfterChange));
    }
}

#[test]
fn a_refusal_is_recorded_durably() {
    let (log, desk) = (Log::default(), Reviews::default());
    let (gate, ..) = opened(&log, &desk, GateSettings::default());
    let passage = now(gate.pass::<Toy>(line(Verb::Drop), Circumstances::default(), moment()));
    let Passage::Refused(refusal) = passage else { panic!("not refused") };
    let sentence = refusal.sentence();
    assert!(sentence.contains("policy \"rule\" refused DROP"), "{sentence}");
    assert!(sentence.contains("retrying or rephrasing will not help"), "{sentence}");
    assert_eq!(log.entries.lock().unwrap()[1].1, Durability::Durable);
}

/// Through the gate, and on to people where they are to be asked.
fn passed(
    gate: &TestGate<'_>,
    line: Line,
    circumstances: Circumstances,
    basis: &Basis,
) -> Passage<Toy> {
    match now(gate.pass::<Toy>(line, circumstances, moment())) {
        Passage::ToReview(question) => now(gate.ask(question, grounds(basis), moment())),
        other => other,
    }
}

fn grounds(basis: &Basis) -> Grounds {
    Grounds { basis: basis.clone(), estimate: Estimate::default() }
}

fn held(gate: &TestGate<'_>) -> portcullis_core::gate::Held<Toy> {
    match passed(gate, line(Verb::Delete), Circumstances::default(), &Basis::default()) {
        Passage::Held(held) => held,
        _ => panic!("not held"),
    }
}

fn anew(request: Line) -> Option<Anew<Toy>> {
    Some(Anew { request, basis: Basis::default() })
}

#[test]
fn an_approval_runs_once_and_only_its_own_bytes() {
    let (log, desk) = (Log::default(), Reviews::default());
    let (gate, ..) = opened(&log, &desk, GateSettings::default());
    let same = || anew(line(Verb::Delete));
    let one = held(&gate);
    desk.0.lock().unwrap().approved = Some(one.ticket().digest);
    let passage = now(gate.resume(one, Decision::Approved, same(), moment()));
    assert!(matches!(passage, Passage::Permitted(_)), "approved");
    let two = held(&gate);
    let passage = now(gate.resume(two, Decision::Approved, same(), moment()));
    assert!(matches!(passage, Passage::Refused(_)), "the approval was used up");
    let three = held(&gate);
    desk.0.lock().unwrap().approved = Some(Digest::from_bytes([7; 32]));
    let passage = now(gate.resume(three, Decision::Approved, same(), moment()));
    assert!(matches!(passage, Passage::Refused(_)), "approved for other bytes");
}

fn basis(role: &str, table: u8) -> Basis {
    Basis {
        rules: None,
        settings: [("role".to_owned(), role.to_owned())].into(),
        definitions: [("table t".to_owned(), Digest::from_bytes([table; 32]))].into(),
    }
}

#[test]
fn what_is_not_as_it_was_seen_goes_back_to_people() {
    let (log, desk) = (Log::default(), Reviews::default());
    let (gate, ..) = opened(&log, &desk, GateSettings::default());
    let same = || line(Verb::Delete);
    let mut does_more = same();
    let object = Object::new(ObjectKind::Routine, ["shop", "public", "spill"]);
    does_more.operation.effects.push(Effect::resolved(Verb::Execute, object, Extent::One));
    let mut read_from_elsewhere = same();
    let lineage = portcullis_core::mask::Lineage { relations: vec![7], ..Default::default() };
    read_from_elsewhere.operation.lineages.push(Arc::new(lineage));
    for (request, now_is, because) in [
        (does_more, basis("app", 1), "what it would do changed"),
        (read_from_elsewhere, basis("app", 1), "what it would do changed"),
        (same(), basis("other", 1), "setting role changed"),
        (same(), basis("app", 2), "definition of table t changed"),
    ] {
        let passage = passed(&gate, same(), Circumstances::default(), &basis("app", 1));
        let Passage::Held(held) = passage else { panic!("not held") };
        let (review, digest) = (held.ticket().review, held.ticket().digest);
        desk.0.lock().unwrap().approved = Some(digest);
        let anew = Anew { request, basis: now_is.clone() };
        let passage = now(gate.resume(held, Decision::Approved, Some(anew), moment()));
        let Passage::ToReview(question) = passage else { panic!("{because}: not asked again") };
        assert_eq!(desk.0.lock().unwrap().approved, None, "the approval is gone");
        let Passage::Held(again) = now(gate.ask(question, grounds(&now_is), moment())) else {
            panic!("{because}: not held again")
        };
        assert_ne!(again.ticket().digest, digest, "{because}: it is another question");
        let told = again.again().unwrap();
        assert_eq!((told.previous, told.times, &*told.because), (review, 1, &[because.into()][..]));
        let filed = desk.0.lock().unwrap().filed.pop().unwrap();
        assert_eq!(filed.again.as_ref(), Some(told), "reviewers read it too");
        let last = log.entries.lock().unwrap().last().unwrap().0.event.clone();
        assert!(matches!(last, Event::Held { again: Some(_), .. }));
    }
}

#[test]
fn what_changes_each_time_is_refused_in_the_end() {
    let (log, desk) = (Log::default(), Reviews::default());
    let (gate, ..) = opened(&log, &desk, GateSettings::default());
    let first = passed(&gate, line(Verb::Delete), Circumstances::default(), &basis("app", 0));
    let Passage::Held(mut held) = first else { panic!("not held") };
    for round in 1.. {
        desk.0.lock().unwrap().approved = Some(held.ticket().digest);
        let anew = Anew { request: line(Verb::Delete), basis: basis("app", round) };
        match now(gate.resume(held, Decision::Approved, Some(anew), moment())) {
            Passage::ToReview(question) => {
                let grounds = grounds(&basis("app", round));
                let Passage::Held(again) = now(gate.ask(question, grounds, moment())) else {
                    panic!("not held again")
                };
                held = again;
            }
            Passage::Refused(refusal) => {
                assert_eq!(round, 4);
                assert!(refusal.sentence().contains("definition of table t changed"));
                return;
            }
            _ => panic!("it ran by something else than what was approved"),
        }
    }
}

#[test]
fn what_cannot_be_looked_up_is_not_run() {
    let (log, desk) = (Log::default(), Reviews::default());
    let (gate, ..) = opened(&log, &desk, GateSettings::default());
    for anew in [None, anew(Line { text: "delete ;".into(), ..line(Verb::Delete) })] {
        let held = held(&gate);
        desk.0.lock().unwrap().approved = Some(held.ticket().digest);
        let passage = now(gate.resume(held, Decision::Approved, anew, moment()));
        assert!(matches!(passage, Passage::Refused(_)));
        assert_eq!(desk.0.lock().unwrap().approved, None, "the approval is gone");
    }
}

#[test]
fn a_pattern_stands_for_an_approval_as_long_as_it_lasts() {
    let (log, desk) = (Log::default(), Reviews::default());
    let (gate, ..) = opened(&log, &desk, GateSettings::default());
    let alike = |text: &str| Line { text: text.into(), ..line(Verb::Delete) };
    let pass =
        |text: &str, basis: &Basis| passed(&gate, alike(text), Circumstances::default(), basis);
    assert!(matches!(pass("delete 1;", &basis("app", 1)), Passage::Held(_)));
    let offer = desk.0.lock().unwrap().filed[0].pattern.clone().unwrap();
    // Not for the groups that are asked: nothing is counted.
    *desk.0.lock().unwrap() =
        DeskState { pattern: Some((offer.digest, "others")), most: 2, ..DeskState::default() };
    assert!(matches!(pass("delete 2;", &basis("app", 1)), Passage::Held(_)));
    assert_eq!(desk.0.lock().unwrap().uses, 0);
    desk.0.lock().unwrap().pattern = Some((offer.digest, "dba"));
    for number in 1..=2 {
        assert!(matches!(pass("delete 2;", &basis("app", 1)), Passage::Permitted(_)));
        let last = log.entries.lock().unwrap().last().unwrap().clone();
        let Event::Intent { pattern: Some(used), review: None, .. } = last.0.event else {
            panic!("the use is not recorded")
        };
        assert_eq!((used.number, used.of), (number, 2));
        assert_eq!(last.1, Durability::Durable);
    }
    assert!(matches!(pass("delete 3;", &basis("app", 1)), Passage::Held(_)), "it is used up");
    desk.0.lock().unwrap().most = 9;
    for other in [basis("other", 1), basis("app", 2)] {
        assert!(matches!(pass("delete 1;", &other), Passage::Held(_)), "{other:?}");
    }
    // It is the same text that does more.
    let mut does_more = alike("delete 1;");
    let object = Object::new(ObjectKind::Routine, ["shop", "public", "spill"]);
    does_more.operation.effects.push(Effect::resolved(Verb::Execute, object, Extent::One));
    let passage = passed(&gate, does_more, Circumstances::default(), &basis("app", 1));
    assert!(matches!(passage, Passage::Held(_)));
    assert_eq!(desk.0.lock().unwrap().uses, 2);
}

#[test]
fn every_other_end_of_a_review_is_a_refusal() {
    let (log, desk) = (Log::default(), Reviews::default());
    let (gate, ..) = opened(&log, &desk, GateSettings::default());
    let rejected = Decision::Rejected { by: "bo".into(), reason: "wrong day".into() };
    for (decision, class) in [
        (rejected, RefusalClass::Rejected),
        (Decision::Expired, RefusalClass::Expired),
        (Decision::Withdrawn, RefusalClass::Withdrawn),
    ] {
        match now(gate.resume(held(&gate), decision, anew(line(Verb::Delete)), moment())) {
            Passage::Refused(refusal) => assert_eq!(refusal.class, class),
            _ => panic!("{class:?} passed"),
        }
    }
}

#[test]
fn a_dropped_hold_is_withdrawn() {
    let (log, desk) = (Log::default(), Reviews::default());
    let (gate, ..) = opened(&log, &desk, GateSettings::default());
    drop(held(&gate));
    assert_eq!(desk.0.lock().unwrap().withdrawn, [Withdrawal::SessionEnded]);
    now(gate.withdraw(held(&gate), Withdrawal::Cancelled, moment()));
    assert_eq!(desk.0.lock().unwrap().withdrawn[1..], [Withdrawal::Cancelled]);
}

#[test]
fn inside_a_transaction_nothing_waits_but_an_approval_given_before_counts() {
    let (log, desk) = (Log::default(), Reviews::default());
    let (gate, ..) = opened(&log, &desk, GateSettings::default());
    let inside = Circumstances { in_transaction: true, ..Circumstances::default() };
    let passage = passed(&gate, line(Verb::Delete), inside.clone(), &Basis::default());
    let Passage::Refused(refusal) = passage else { panic!("not refused") };
    assert_eq!(refusal.class, RefusalClass::NeedsApproval);
    assert!(refusal.next.unwrap().contains("roll back"));
    assert!(desk.0.lock().unwrap().withdrawn.is_empty(), "the review stays filed");
    let digest = desk.0.lock().unwrap().filed[0].digest;
    desk.0.lock().unwrap().approved = Some(digest);
    let passage = passed(&gate, line(Verb::Delete), inside, &Basis::default());
    assert!(matches!(passage, Passage::Permitted(_)));
}

#[test]
fn an_agent_is_no_reviewer_whatever_its_groups() {
    assert!(Reviewer::new(principal(PrincipalKind::Agent)).is_err());
    assert!(Reviewer::new(principal(PrincipalKind::Workload)).is_err());
    assert!(Reviewer::new(principal(PrincipalKind::Person)).is_ok());
}

/// A target that reads `takes` bytes each time its answer was read, and no sooner.
struct Stubborn {
    takes: usize,
    room: usize,
    answers: usize,
    taken: Wire,
    broken: bool,
}

impl Transport for Stubborn {
    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.room == 0 {
            return Poll::Pending;
        }
        let count = self.room.min(bytes.len());
        self.room -= count;
        self.taken.0.lock().unwrap().extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }
    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<usize>> {
        if self.answers == 0 {
            return if self.broken { Poll::Ready(Ok(0)) } else { Poll::Pending };
        }
        self.answers -= 1;
        self.room += self.takes;
        buffer.extend_from_slice(b"answer");
        Poll::Ready(Ok(6))
    }
}

fn stubborn(answers: usize, broken: bool) -> (Link<Toy, Stubborn>, Permit<Toy>, Wire) {
    let (log, desk) = (Log::default(), Reviews::default());
    let standing = Arc::new(Standing {
        principal: principal(PrincipalKind::Agent),
        connection: ConnectionFacts {
            name: "shop".into(),
            environment: "test".into(),
            protocol: ProtocolKind::Postgres,
            database: "shop".into(),
            role: "app".into(),
        },
    });
    let parts = (Rules, Arc::new(Ice::default()) as Arc<dyn Freezes>, &log, desk);
    let (gate, admission) = now(Gate::admit::<Toy>(
        SessionId::from_bits(1),
        standing,
        parts,
        open(),
        GateSettings::default(),
        LogIn { peer: "peer".into(), claimed: "psql".into(), settings: Vec::new() },
        moment(),
    ))
    .unwrap();
    let long = Line { text: "r".repeat(1000), ..line(Verb::Read) };
    let passage = now(gate.pass::<Toy>(long, Circumstances::default(), moment()));
    let Passage::Permitted(permit) = passage else { panic!("not permitted") };
    let taken = Wire::default();
    let target = Stubborn { takes: 100, room: 0, answers, taken: taken.clone(), broken };
    (Link::new(admission, target), permit, taken)
}

#[test]
fn answers_are_read_while_a_request_is_written() {
    let (mut link, permit, taken) = stubborn(10, false);
    let mut flight = link.send(permit).unwrap();
    let mut sent = false;
    for n in 1..=10 {
        match now(link.progress()).unwrap() {
            Progress::Sent => panic!("sent after {n} answers"),
            Progress::Answer(raw) => assert!(flight.mask(raw).is_ok()),
        }
        assert!(taken.0.lock().unwrap().len() < n * 100 && !link.is_sent());
    }
    while !sent {
        sent = matches!(now(link.progress()).unwrap(), Progress::Sent);
    }
    assert_eq!(taken.0.lock().unwrap().len(), 1000);
    assert!(link.is_sent());
}

#[test]
fn what_a_target_said_before_it_hung_up_is_read() {
    let (mut link, permit, taken) = stubborn(1, true);
    let mut flight = link.send(permit).unwrap();
    assert!(flight.mask(now(link.receive()).unwrap()).is_ok());
    let error = now(link.receive()).map(drop).unwrap_err();
    assert!(matches!(error, LinkError::Io(_)), "{error}");
    assert!(taken.0.lock().unwrap().is_empty() && link.is_sent());
}

#[test]
fn a_chore_given_up_leaves_a_link_that_does_nothing() {
    let (mut link, permit, taken) = stubborn(0, false);
    let dropped = pin!(link.run(toy::Ping::Look)).poll(&mut Context::from_waker(Waker::noop()));
    assert!(dropped.is_pending());
    assert!(matches!(link.send(permit).map(drop), Err(LinkError::Abandoned)));
    assert!(matches!(now(link.receive()).map(drop), Err(LinkError::Abandoned)));
    assert!(taken.0.lock().unwrap().is_empty());
}

#[test]
fn a_rehearsal_is_recorded_first_and_kept_under_a_permit_for_the_same_request_alone() {
    let (log, desk) = (Log::default(), Reviews::default());
    let (gate, mut link, wire) = opened(&log, &desk, GateSettings::default());
    let held = held(&gate);
    let until = Timestamp::from_micros(20);
    let rehearsal = now(gate.rehearse(&held, until, moment())).unwrap();
    {
        let entries = log.entries.lock().unwrap();
        let (last, durability) = entries.last().unwrap();
        assert!(matches!(last.event, Event::Rehearsed { .. }), "{last:?}");
        assert_eq!(*durability, Durability::Durable);
    }
    assert!(wire.0.lock().unwrap().is_empty());
    let mut rehearsing = link.rehearse(rehearsal).unwrap();
    let raw = now(link.receive()).unwrap();
    assert_eq!(*wire.0.lock().unwrap(), b"delete;");
    rehearsing.withhold(raw).unwrap();

    // Nothing that could keep it gets through meanwhile; what only looks does.
    let keeping = now(link.run(toy::Ping::Keep));
    assert!(matches!(keeping, Err(LinkError::Rehearsing)));
    let passage = now(gate.pass::<Toy>(line(Verb::Read), Circumstances::default(), moment()));
    let Passage::Permitted(look) = passage else { panic!("not permitted") };
    drop(link.send(look).unwrap());
    now(link.run(toy::Ping::Look)).unwrap();

    let ticket = held.ticket().clone();
    desk.0.lock().unwrap().approved = Some(ticket.digest);
    let samples = (Sample::none("x"), Sample::none("y"));
    let seen = Seen::new("DELETE 3".into(), 3, Vec::new(), samples);
    let shown = Rehearsal { stage: Stage::Open, until: Some(until), why: None, seen: Some(seen) };
    now(gate.show(&ticket, &shown)).unwrap();
    let permit = approved(&gate, held, Verb::Delete);
    let most = permit.limits().unwrap().get(LimitKind::Rehearsed).unwrap();
    assert_eq!((most.most, &*most.rule), (3, "rule"));
    let sent = wire.0.lock().unwrap().len();
    let mut flight = link.keep(rehearsing, permit).unwrap();
    let raw = now(link.receive()).unwrap();
    assert_eq!(flight.mask(raw).unwrap().get().as_ref(), b"the ******");
    assert_eq!(wire.0.lock().unwrap().len(), sent, "it was sent once more");
    now(link.run(toy::Ping::Keep)).unwrap();
}

fn approved(gate: &TestGate<'_>, held: Held<Toy>, verb: Verb) -> Permit<Toy> {
    let anew = Anew { request: line(verb), basis: Basis::default() };
    match now(gate.resume(held, Decision::Approved, Some(anew), moment())) {
        Passage::Permitted(permit) => permit,
        _ => panic!("not permitted"),
    }
}

#[test]
fn a_rehearsal_of_one_request_is_not_kept_under_a_permit_for_another() {
    let (log, desk) = (Log::default(), Reviews::default());
    let (gate, mut link, _) = opened(&log, &desk, GateSettings::default());
    let held = held(&gate);
    let rehearsal = now(gate.rehearse(&held, Timestamp::from_micros(20), moment())).unwrap();
    let mut rehearsing = link.rehearse(rehearsal).unwrap();
    rehearsing.withhold(now(link.receive()).unwrap()).unwrap();
    let passage = now(gate.pass::<Toy>(line(Verb::Read), Circumstances::default(), moment()));
    let Passage::Permitted(other) = passage else { panic!("not permitted") };
    assert!(matches!(link.keep(rehearsing, other).map(drop), Err(LinkError::Rehearsing)));
    assert!(matches!(now(link.run(toy::Ping::Keep)), Err(LinkError::Rehearsing)));
    // A permit that changes something does not get in between either.
    let ticket = held.ticket().clone();
    desk.0.lock().unwrap().approved = Some(ticket.digest);
    let permit = approved(&gate, held, Verb::Delete);
    assert!(matches!(link.send(permit).map(drop), Err(LinkError::Rehearsing)));
    now(link.run(toy::Ping::Undo)).unwrap();
    now(link.run(toy::Ping::Keep)).unwrap();
}

#[test]
fn what_is_not_recorded_or_claimed_is_not_rehearsed() {
    let log = Log { full_after: Some(2), ..Log::default() };
    let desk = Reviews::default();
    let (gate, ..) = opened(&log, &desk, GateSettings::default());
    let held = held(&gate);
    let until = Timestamp::from_micros(20);
    let refused = now(gate.rehearse(&held, until, moment())).map(drop);
    assert!(matches!(refused, Err(Unrehearsed::Because(_))), "{refused:?}");
    let refused = now(gate.rehearse(&held, until, moment())).map(drop);
    assert_eq!(refused, Err(Unrehearsed::Elsewhere));
}

/// The refusal of a request, where it is refused.
fn refused(passage: Passage<Toy>) -> Option<Refusal> {
    match passage {
        Passage::Refused(refusal) => Some(refusal),
        _ => None,
    }
}

#[test]
fn a_freeze_stops_agents_whatever_the_judge_says() {
    use FreezeScope::{Everything, Writes};
    for kind in [PrincipalKind::Agent, PrincipalKind::Workload, PrincipalKind::Person] {
        let (log, desk, ice) = (Log::default(), Reviews::default(), Ice::default());
        let settings = GateSettings::default();
        let (gate, ..) = opened_as(kind, &log, (&desk, &ice), settings);
        let pass = |verb| {
            let passage = passed(&gate, line(verb), Circumstances::default(), &Basis::default());
            refused(passage).map(|refusal| refusal.class)
        };
        let frozen = (kind != PrincipalKind::Person).then_some(RefusalClass::Frozen);
        assert_eq!((pass(Verb::Read), pass(Verb::Delete)), (None, None));
        ice.set(&[Writes]);
        assert_eq!((pass(Verb::Read), pass(Verb::Delete)), (None, frozen), "{kind:?}");
        ice.set(&[Everything]);
        assert_eq!((pass(Verb::Read), pass(Verb::Delete)), (frozen, frozen), "{kind:?}");
        assert!(now(gate.look::<Toy>(line(Verb::Read), moment())).is_none() == frozen.is_some());
        ice.set(&[]);
        assert_eq!((pass(Verb::Read), pass(Verb::Delete)), (None, None));
        ice.lose();
        let unknown = frozen.map(|_| RefusalClass::Unavailable);
        assert_eq!((pass(Verb::Read), pass(Verb::Delete)), (unknown, unknown), "{kind:?}");
    }
}

#[test]
fn a_freeze_says_what_why_until_when_and_that_later_helps() {
    let (log, desk, ice) = (Log::default(), Reviews::default(), Ice::default());
    let settings = GateSettings::default();
    let (gate, ..) = opened_as(PrincipalKind::Agent, &log, (&desk, &ice), settings);
    ice.set(&[FreezeScope::Writes]);
    let passage = passed(&gate, line(Verb::Delete), Circumstances::default(), &Basis::default());
    let refusal = refused(passage).unwrap();
    assert_eq!((&*refusal.rule, refusal.retry), ("freeze", Retry::Later));
    let sentence = refusal.sentence();
    for part in [
        "a freeze refused DELETE · delete shop.public.orders",
        "writes by agents on shop are frozen by bo until 1970-01-01T00:01:00Z: a bad deploy",
        "frz_0000000000001",
        "the same request may succeed later",
    ] {
        assert!(sentence.contains(part), "{part}: {sentence}");
    }
    assert!(desk.0.lock().unwrap().filed.is_empty(), "nobody is asked about what is frozen");
    // It is over by itself.
    let later = Moment { at: Timestamp::from_micros(60_000_000), ..moment() };
    let passage = now(gate.pass::<Toy>(line(Verb::Delete), Circumstances::default(), later));
    assert!(matches!(passage, Passage::ToReview(_)));
}

#[test]
fn what_was_approved_before_a_freeze_waits_for_its_end() {
    let (log, desk, ice) = (Log::default(), Reviews::default(), Ice::default());
    let settings = GateSettings::default();
    let (gate, ..) = opened_as(PrincipalKind::Agent, &log, (&desk, &ice), settings);
    let one = held(&gate);
    let digest = one.ticket().digest;
    desk.0.lock().unwrap().approved = Some(digest);
    ice.set(&[FreezeScope::Writes]);
    let rehearsed = now(gate.rehearse(&one, Timestamp::from_micros(9), moment()));
    assert!(matches!(rehearsed, Err(Unrehearsed::Because(_))), "nothing is run for show either");
    let passage = now(gate.resume(one, Decision::Approved, anew(line(Verb::Delete)), moment()));
    assert_eq!(refused(passage).unwrap().class, RefusalClass::Frozen);
    assert_eq!(desk.0.lock().unwrap().approved, Some(digest), "the approval is not used up");
    ice.set(&[]);
    let passage =
        now(gate.resume(held(&gate), Decision::Approved, anew(line(Verb::Delete)), moment()));
    assert!(matches!(passage, Passage::Permitted(_)));
}

#[test]
fn patterns_do_not_thaw() {
    let (log, desk, ice) = (Log::default(), Reviews::default(), Ice::default());
    let settings = GateSettings::default();
    let (gate, ..) = opened_as(PrincipalKind::Agent, &log, (&desk, &ice), settings);
    drop(held(&gate));
    let offer = desk.0.lock().unwrap().filed[0].pattern.clone().unwrap();
    *desk.0.lock().unwrap() =
        DeskState { pattern: Some((offer.digest, "dba")), most: 9, ..DeskState::default() };
    let pass = || passed(&gate, line(Verb::Delete), Circumstances::default(), &Basis::default());
    assert!(matches!(pass(), Passage::Permitted(_)));
    ice.set(&[FreezeScope::Writes]);
    assert_eq!(refused(pass()).unwrap().class, RefusalClass::Frozen);
    assert_eq!(desk.0.lock().unwrap().uses, 1);
}

/// What a transaction has changed before a freeze is not kept by anything but its undoing.
#[test]
fn what_is_not_kept_yet_stays_so() {
    let (log, desk, ice) = (Log::default(), Reviews::default(), Ice::default());
    let settings = GateSettings::default();
    let (gate, ..) = opened_as(PrincipalKind::Agent, &log, (&desk, &ice), settings);
    ice.set(&[FreezeScope::Writes]);
    let named = |kind: &str| {
        let mut line = line(Verb::Read);
        line.operation.kinds = [kind.into()].into_iter().collect();
        line
    };
    for (unkept, kind, stopped) in [
        (false, "commit", false),
        (true, "commit", true),
        (true, "select", true),
        (true, "rollback", false),
    ] {
        let circumstances =
            Circumstances { in_transaction: true, unkept, ..Circumstances::default() };
        let passage = now(gate.pass::<Toy>(named(kind), circumstances, moment()));
        let refusal = refused(passage);
        assert_eq!(refusal.is_some(), stopped, "{kind}");
        let told = refusal.and_then(|refusal| refusal.next);
        assert!(told.is_none_or(|next| next.starts_with("send ROLLBACK")), "{kind}");
    }
}

#[test]
fn a_freeze_that_comes_before_a_request_is_sent_counts() {
    let (log, desk, ice) = (Log::default(), Reviews::default(), Ice::default());
    let settings = GateSettings::default();
    let (gate, mut link, wire) = opened_as(PrincipalKind::Agent, &log, (&desk, &ice), settings);
    let permitted = || {
        let passage = now(gate.pass::<Toy>(line(Verb::Read), Circumstances::default(), moment()));
        let Passage::Permitted(permit) = passage else { panic!("not permitted") };
        permit
    };
    let (one, two) = (permitted(), permitted());
    ice.set(&[FreezeScope::Writes]);
    let one = now(gate.departing(one, moment())).unwrap();
    let flight = link.send(one).unwrap();
    assert!(gate.frozen_since(&flight, "rows", moment()).is_none(), "it reads");
    ice.set(&[FreezeScope::Everything]);
    let Err(refusal) = now(gate.departing(two, moment())) else { panic!("it departs") };
    assert_eq!(refusal.class, RefusalClass::Frozen);
    let refusal = gate.frozen_since(&flight, "rows", moment()).unwrap();
    assert_eq!((refusal.class, refusal.what.as_str()), (RefusalClass::Frozen, "rows"));
    let last = log.entries.lock().unwrap().last().unwrap().clone();
    assert!(matches!(last.0.event, Event::Refused { .. }), "that is recorded");
    assert!(wire.0.lock().unwrap().is_empty());
}

#[test]
fn a_log_in_is_frozen_where_everything_is() {
    let connection = ConnectionFacts {
        name: "shop".into(),
        environment: "test".into(),
        protocol: ProtocolKind::Postgres,
        database: "shop".into(),
        role: "app".into(),
    };
    let (log, desk, ice) = (Log::default(), Reviews::default(), Ice::default());
    let standing = Arc::new(Standing { principal: principal(PrincipalKind::Agent), connection });
    let admit = || {
        let admitted = now(Gate::admit::<Toy>(
            SessionId::from_bits(1),
            Arc::clone(&standing),
            (Rules, Arc::new(ice.clone()), &log, desk.clone()),
            open(),
            GateSettings::default(),
            LogIn::default(),
            moment(),
        ));
        admitted.err().map(|refusal| refusal.class)
    };
    ice.set(&[FreezeScope::Writes]);
    assert_eq!(admit(), None, "it writes nothing");
    ice.set(&[FreezeScope::Everything]);
    assert_eq!(admit(), Some(RefusalClass::Frozen));
    let last = log.entries.lock().unwrap().last().unwrap().clone();
    assert!(matches!(last.0.event, Event::LoginRefused { .. }));
}

/// A grant of the shop for the agent of these tests, from 0 until `until`.
fn tenure(until: i64) -> Arc<Tenure> {
    let at = Timestamp::from_micros;
    let ask = AccessAsk {
        connection: "shop".into(),
        environment: "test".into(),
        host: "db".into(),
        port: 5432,
        database: "shop".into(),
        role: "app".into(),
        principal: principal(PrincipalKind::Agent),
        seconds: 60,
        reason: "INC-7".into(),
        approvers: Approvers { group: "dba".into(), quorum: 1, escalation: None, step_up: None },
        at: at(0),
        lapses: at(0),
    };
    Arc::new(Tenure::given_by_desk_assertion(GrantId::from_bits(1), ask, (at(0), at(until))))
}

fn at(micros: i64) -> Moment {
    Moment { at: Timestamp::from_micros(micros), ..moment() }
}

#[test]
fn a_session_stands_on_its_grant_and_no_longer() {
    let (log, desk, ice) = (Log::default(), Reviews::default(), Ice::default());
    let tenure = tenure(1_000_000);
    let entitlement = Entitlement::granted(Arc::clone(&tenure));
    let settings = GateSettings::default();
    let (gate, mut link, _wire) =
        opened_by(entitlement, PrincipalKind::Agent, &log, (&desk, &ice), settings);
    let pass =
        |micros| now(gate.pass::<Toy>(line(Verb::Read), Circumstances::default(), at(micros)));
    let permitted = |passage| {
        let Passage::Permitted(permit) = passage else { panic!("not permitted") };
        permit
    };
    let (one, two) = (permitted(pass(999_999)), permitted(pass(999_999)));
    // It is over by itself, between two requests and on the way of one.
    let refusal = refused(pass(1_000_000)).unwrap();
    assert_eq!((refusal.class, refusal.retry), (RefusalClass::Ungranted, Retry::AfterApproval));
    assert_eq!(refusal.rule, "granted-access");
    assert!(refusal.why.contains("grt_0000000000001"), "{}", refusal.why);
    let Err(late) = now(gate.departing(one, at(1_000_000))) else { panic!("it departs") };
    assert_eq!(late.class, RefusalClass::Ungranted);
    let two = now(gate.departing(two, at(5))).unwrap();
    let flight = link.send(two).unwrap();
    assert!(gate.frozen_since(&flight, "rows", at(5)).is_none());
    // And when somebody ends it.
    tenure.is_known(false);
    let unknown = refused(pass(5)).unwrap();
    assert_eq!((unknown.class, unknown.retry), (RefusalClass::Unavailable, Retry::Later));
    // What only undoes what was done goes on: else it would keep its locks.
    let mut undo = line(Verb::Read);
    undo.operation.kinds = ["rollback".into()].into_iter().collect();
    let undo = permitted(now(gate.pass::<Toy>(undo, Circumstances::default(), at(5))));
    drop(now(gate.departing(undo, at(5))).unwrap());
    tenure.is_known(true);
    let read = permitted(pass(5));
    tenure.is_known(false);
    let Err(late) = now(gate.departing(read, at(5))) else { panic!("it departs") };
    assert_eq!(late.class, RefusalClass::Unavailable);
    tenure.is_known(true);
    drop(permitted(pass(5)));
    tenure.end();
    assert_eq!(refused(pass(5)).unwrap().class, RefusalClass::Ungranted);
    let rows = gate.frozen_since(&flight, "rows", at(5)).unwrap();
    assert_eq!((rows.class, rows.what.as_str()), (RefusalClass::Ungranted, "rows"));
}

#[test]
fn what_was_approved_does_not_run_when_the_grant_is_over() {
    let (log, desk, ice) = (Log::default(), Reviews::default(), Ice::default());
    let tenure = tenure(i64::MAX);
    let entitlement = Entitlement::granted(Arc::clone(&tenure));
    let settings = GateSettings::default();
    let (gate, ..) = opened_by(entitlement, PrincipalKind::Agent, &log, (&desk, &ice), settings);
    let one = held(&gate);
    let digest = one.ticket().digest;
    desk.0.lock().unwrap().approved = Some(digest);
    tenure.end();
    let rehearsed = now(gate.rehearse(&one, Timestamp::from_micros(9), moment()));
    assert!(matches!(rehearsed, Err(Unrehearsed::Because(_))), "nothing is run for show either");
    let passage = now(gate.resume(one, Decision::Approved, anew(line(Verb::Delete)), moment()));
    assert_eq!(refused(passage).unwrap().class, RefusalClass::Ungranted);
    assert_eq!(desk.0.lock().unwrap().approved, Some(digest), "the approval is not used up");
}

#[test]
fn nobody_comes_in_on_a_grant_of_others_or_one_that_is_over() {
    let connection = |name: &str| ConnectionFacts {
        name: name.into(),
        environment: "test".into(),
        protocol: ProtocolKind::Postgres,
        database: "shop".into(),
        role: "app".into(),
    };
    let (log, desk, ice) = (Log::default(), Reviews::default(), Ice::default());
    let admit = |entitlement: Entitlement, kind, name: &str| {
        let principal = principal(kind);
        let admitted = now(Gate::admit::<Toy>(
            SessionId::from_bits(1),
            Arc::new(Standing { principal, connection: connection(name) }),
            (Rules, Arc::new(ice.clone()), &log, desk.clone()),
            entitlement,
            GateSettings::default(),
            LogIn::default(),
            moment(),
        ));
        admitted.err().map(|refusal| refusal.class)
    };
    let granted = || Entitlement::granted(tenure(i64::MAX));
    let no = Some(RefusalClass::Ungranted);
    assert_eq!(admit(granted(), PrincipalKind::Agent, "shop"), None);
    assert_eq!(admit(granted(), PrincipalKind::Person, "shop"), no);
    assert_eq!(admit(granted(), PrincipalKind::Agent, "other"), no);
    assert_eq!(admit(open(), PrincipalKind::Agent, "other"), no);
    let over = tenure(i64::MAX);
    over.end();
    assert_eq!(admit(Entitlement::granted(over), PrincipalKind::Agent, "shop"), no);
    let last = log.entries.lock().unwrap().last().unwrap().clone();
    assert!(matches!(last.0.event, Event::LoginRefused { .. }));
}
