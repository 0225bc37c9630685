//! The gate against doubles of judge, journal, desk and transport: whatever goes unanswered means
//! no, and nothing reaches the transport that was not recorded first.

#[allow(dead_code)]
mod toy;

use bytes::BytesMut;
use portcullis_core::digest::Digest;
use portcullis_core::effect::{Effect, Extent, Object, ObjectKind, Operation, Verb};
use portcullis_core::gate::{Gate, GateSettings, Moment, Passage};
use portcullis_core::id::{DecisionId, RequestId, ReviewId, SessionId};
use portcullis_core::journal::{Durability, Entry, Event, Journal, JournalError, Receipt};
use portcullis_core::link::{Link, LinkError, Progress, Transport};
use portcullis_core::permit::Permit;
use portcullis_core::principal::{Principal, PrincipalKind, Reviewer};
use portcullis_core::protocol::ProtocolKind;
use portcullis_core::refusal::{RefusalClass, Retry};
use portcullis_core::review::{Ask, Decision, Desk, DeskError, Ticket, Withdrawal};
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
                Verdict::Hold { groups: BTreeSet::from(["dba".to_owned()]), ground }
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
    fn note(&self, _: Entry) -> Result<(), JournalError> {
        Ok(())
    }
}

#[derive(Default)]
struct DeskState {
    filed: Vec<Ask>,
    approved: Option<Digest>,
    withdrawn: Vec<Withdrawal>,
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
    async fn consume(&self, _: &Ticket, d: Digest, _: Timestamp) -> Result<Approvals, DeskError> {
        let mut state = self.0.lock().unwrap();
        if state.approved.take() == Some(d) {
            return Ok(Approvals::from(["dba".to_owned()]));
        }
        Err(DeskError::NoApproval("none".into()))
    }
    fn withdraw(&self, _: &Ticket, why: Withdrawal) {
        self.0.lock().unwrap().withdrawn.push(why);
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

type TestGate<'a> = Gate<Rules, &'a Log, Reviews>;

fn opened<'a>(
    log: &'a Log,
    desk: &Reviews,
    settings: GateSettings,
) -> (TestGate<'a>, Link<Toy, Wire>, Wire) {
    let connection = ConnectionFacts {
        name: "shop".into(),
        environment: "test".into(),
        protocol: ProtocolKind::Postgres,
        database: "shop".into(),
        role: "app".into(),
    };
    let standing = Standing { principal: principal(PrincipalKind::Agent), connection };
    let (gate, admission) = now(Gate::admit::<Toy>(
        SessionId::from_bits(1),
        Arc::new(standing),
        (Rules, log, desk.clone()),
        settings,
        "peer".into(),
        "psql".into(),
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
        match now(gate.pass::<Toy>(line(verb), Circumstances::default(), moment())) {
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

#[test]
fn what_no_record_can_hold_is_refused_for_its_size_and_that_is_recorded() {
    let log = Log { longest: Some(2), ..Log::default() };
    let desk = Reviews::default();
    let (gate, ..) = opened(&log, &desk, GateSettings::default());
    for verb in [Verb::Read, Verb::Delete, Verb::Drop] {
        let passage = now(gate.pass::<Toy>(line(verb), Circumstances::default(), moment()));
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

fn held(gate: &TestGate<'_>) -> portcullis_core::gate::Held<Toy> {
    match now(gate.pass::<Toy>(line(Verb::Delete), Circumstances::default(), moment())) {
        Passage::Held(held) => held,
        _ => panic!("not held"),
    }
}

#[test]
fn an_approval_runs_once_and_only_its_own_bytes() {
    let (log, desk) = (Log::default(), Reviews::default());
    let (gate, ..) = opened(&log, &desk, GateSettings::default());
    let one = held(&gate);
    desk.0.lock().unwrap().approved = Some(one.ticket().digest);
    let passage = now(gate.resume(one, Decision::Approved, Some(line(Verb::Delete)), moment()));
    assert!(matches!(passage, Passage::Permitted(_)), "approved");
    let two = held(&gate);
    let passage = now(gate.resume(two, Decision::Approved, Some(line(Verb::Delete)), moment()));
    assert!(matches!(passage, Passage::Refused(_)), "the approval was used up");
    let three = held(&gate);
    desk.0.lock().unwrap().approved = Some(Digest::from_bytes([7; 32]));
    let passage = now(gate.resume(three, Decision::Approved, Some(line(Verb::Delete)), moment()));
    assert!(matches!(passage, Passage::Refused(_)), "approved for other bytes");
}

#[test]
fn an_approval_counts_for_what_was_seen() {
    let (log, desk) = (Log::default(), Reviews::default());
    let (gate, ..) = opened(&log, &desk, GateSettings::default());
    let same = || line(Verb::Delete);
    let mut does_more = same();
    let object = Object::new(ObjectKind::Routine, ["shop", "public", "spill"]);
    let fires = Effect::resolved(Verb::Execute, object, Extent::One);
    does_more.operation.effects.push(fires.clone());
    let mut read_from_elsewhere = same();
    let lineage = portcullis_core::mask::Lineage { relations: vec![7], ..Default::default() };
    read_from_elsewhere.operation.lineages.push(Arc::new(lineage));
    let other_bytes = Line { text: "delete ;".into(), ..same() };
    for anew in [None, Some(does_more), Some(read_from_elsewhere), Some(other_bytes)] {
        let held = held(&gate);
        desk.0.lock().unwrap().approved = Some(held.ticket().digest);
        match now(gate.resume(held, Decision::Approved, anew, moment())) {
            Passage::Refused(refusal) => {
                assert_eq!(refusal.class, RefusalClass::Policy);
                assert!(refusal.sentence().contains("definitions it touches have changed"));
            }
            _ => panic!("something else than what was reviewed has passed"),
        }
        assert_eq!(desk.0.lock().unwrap().approved, None, "the approval is used up");
    }
    let first = held(&gate);
    desk.0.lock().unwrap().approved = Some(first.ticket().digest);
    let passage = now(gate.resume(first, Decision::Approved, Some(same()), moment()));
    assert!(matches!(passage, Passage::Permitted(_)));
    // The same bytes that do something else are another question from the start.
    let asked: Vec<Digest> = desk.0.lock().unwrap().filed.iter().map(|ask| ask.digest).collect();
    assert!(asked.windows(2).all(|pair| pair[0] == pair[1]));
    let mut fired = same();
    fired.operation.effects.push(fires);
    let passage = now(gate.pass::<Toy>(fired, Circumstances::default(), moment()));
    let Passage::Held(fired) = passage else { panic!("not held") };
    assert_ne!(fired.ticket().digest, asked[0]);
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
        match now(gate.resume(held(&gate), decision, Some(line(Verb::Delete)), moment())) {
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
    let inside = Circumstances { in_transaction: true };
    let passage = now(gate.pass::<Toy>(line(Verb::Delete), inside.clone(), moment()));
    let Passage::Refused(refusal) = passage else { panic!("not refused") };
    assert_eq!(refusal.class, RefusalClass::NeedsApproval);
    assert!(refusal.next.unwrap().contains("roll back"));
    assert!(desk.0.lock().unwrap().withdrawn.is_empty(), "the review stays filed");
    let digest = desk.0.lock().unwrap().filed[0].digest;
    desk.0.lock().unwrap().approved = Some(digest);
    let passage = now(gate.pass::<Toy>(line(Verb::Delete), inside, moment()));
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
    let parts = (Rules, &log, desk);
    let (gate, admission) = now(Gate::admit::<Toy>(
        SessionId::from_bits(1),
        standing,
        parts,
        GateSettings::default(),
        "peer".into(),
        "psql".into(),
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
    let dropped = pin!(link.run(toy::Ping)).poll(&mut Context::from_waker(Waker::noop()));
    assert!(dropped.is_pending());
    assert!(matches!(link.send(permit).map(drop), Err(LinkError::Abandoned)));
    assert!(matches!(now(link.receive()).map(drop), Err(LinkError::Abandoned)));
    assert!(taken.0.lock().unwrap().is_empty());
}
