//! Requests on which people decide: asked about, held, formed anew when the decision comes, and run only
//! where everything the approval rests on is as it was. Between the judge's first word and the permit.

use super::bench::{Barred, Ruling};
use super::refusals::{refusal_from, undecidable, unrecorded, unreviewable};
use super::{Gate, Leave, Moment, Passage};
use crate::access::Clear;
use crate::basis::{Again, Basis, Estimate};
use crate::digest::{Digest, Digester};
use crate::id::RequestId;
use crate::journal::{Durability, Event, Journal};
use crate::limits::{Limit, LimitKind, Used};
use crate::passkey::StepUp;
use crate::pattern::Offer;
use crate::permit::Permit;
use crate::protocol::{Protocol, Request};
use crate::refusal::{Refusal, RefusalClass, Retry};
use crate::rehearsal::Rehearsal;
use crate::review::{Ask, Decision, Desk, DeskError, Risk, Ticket, Withdrawal};
use crate::verdict::{Approvals, Circumstances, Ground, Judge, Obligations};
use std::hash::{Hash as _, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// What to do after a person has said no.
const AFTER_REJECTION: &str = "tell the person you work for what the reviewer said; send it again only when it is changed as they ask";
/// What to do where nobody decided.
const AFTER_EXPIRY: &str =
    "tell the person you work for that nobody decided; sending it again asks the reviewers anew";
/// What to do where the caller, or its session, took the request back.
const AFTER_WITHDRAWAL: &str =
    "send it again, and wait for the answer: that asks the reviewers anew";
/// How often a request is held anew because what its approval rests on has changed.
const MOST_AGAIN: u32 = 3;

/// A request that people have to decide on, before they are asked. Nothing of it has been forwarded.
#[must_use = "a question that is not asked leaves a request without an answer"]
pub struct Question<P: Protocol> {
    pub(super) request: P::Request,
    pub(super) circumstances: Circumstances,
    pub(super) again: Option<Again>,
    pub(super) id: RequestId,
    /// As of the request's arrival.
    pub(super) used: Used,
}

impl<P: Protocol> Question<P> {
    /// What is to be asked about.
    #[must_use]
    pub const fn request(&self) -> &P::Request {
        &self.request
    }

    /// The same question about the same request, formed again by newer definitions.
    pub fn about(self, request: P::Request) -> Self {
        Self { request, ..self }
    }
}

/// What has to be known before people are asked.
#[derive(Debug, Clone, Default)]
pub struct Grounds {
    /// What their approval will rest on.
    pub basis: Basis,
    /// How much the request may touch.
    pub estimate: Estimate,
}

/// A request waiting for people. The gate keeps it; nothing of it has been forwarded.
pub struct Held<P: Protocol> {
    pub(super) request: P::Request,
    pub(super) circumstances: Circumstances,
    basis: Basis,
    estimate: Estimate,
    again: Option<Again>,
    ground: Ground,
    pub(super) rehearse: Option<Duration>,
    id: RequestId,
    pub(super) used: Used,
    ticket: TicketGuard,
}

/// Why a held request is not rehearsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unrehearsed {
    /// It was rehearsed before, or another session does it: what is to be said of it is said there.
    Elsewhere,
    /// For this reason.
    Because(String),
}

/// A held request formed once more, by what there is now.
pub struct Anew<P: Protocol> {
    /// The same messages.
    pub request: P::Request,
    /// What an approval rests on now.
    pub basis: Basis,
}

/// Withdraws the review where a held request is dropped without a decision.
struct TicketGuard {
    ticket: Ticket,
    withdraw: Option<Withdraw>,
}

type Withdraw = Box<dyn FnOnce(&Ticket, Withdrawal) + Send + Sync>;

impl TicketGuard {
    fn new<D: Desk + Clone + 'static>(ticket: Ticket, desk: &D) -> Self {
        let desk = desk.clone();
        let withdraw = Box::new(move |t: &Ticket, why| desk.withdraw(t, why));
        Self { ticket, withdraw: Some(withdraw) }
    }

    fn withdraw(&mut self, why: Withdrawal) {
        if let Some(withdraw) = self.withdraw.take() {
            withdraw(&self.ticket, why);
        }
    }

    fn keep(&mut self) {
        self.withdraw = None;
    }
}

impl Drop for TicketGuard {
    fn drop(&mut self) {
        self.withdraw(Withdrawal::SessionEnded);
    }
}

impl<P: Protocol> Held<P> {
    /// The stub of the review.
    #[must_use]
    pub const fn ticket(&self) -> &Ticket {
        &self.ticket.ticket
    }

    /// Why it is held.
    #[must_use]
    pub const fn ground(&self) -> &Ground {
        &self.ground
    }

    /// How much it may touch.
    #[must_use]
    pub const fn estimate(&self) -> &Estimate {
        &self.estimate
    }

    /// For how long it may be rehearsed, locks and all; `None` where policy does not let it be.
    #[must_use]
    pub const fn rehearse(&self) -> Option<Duration> {
        self.rehearse
    }

    /// That it is held anew, and why.
    #[must_use]
    pub const fn again(&self) -> Option<&Again> {
        self.again.as_ref()
    }

    /// What is held, to form it anew by the definitions of the moment it is decided.
    #[must_use]
    pub const fn request(&self) -> &P::Request {
        &self.request
    }

    /// What is different now, in words; nothing where it is the same bytes, would do the same, and
    /// everything means the same.
    fn changes(&self, now: &Anew<P>) -> Vec<String> {
        let mut changes = self.basis.changes(&now.basis);
        if self.request.operation() != now.request.operation() && changes.is_empty() {
            changes.push("what it would do changed".to_owned());
        }
        changes
    }

    fn is_same_request(&self, other: &P::Request) -> bool {
        self.request.digest() == other.digest() && self.request.wire_bytes() == other.wire_bytes()
    }
}

impl<J: Judge, L: Journal, D: Desk + Clone + 'static> Gate<J, L, D> {
    /// Puts a request to people, now that it is known what their approval would rest on; or finds
    /// that they have given leave for it already. The judge is asked once more, since the request
    /// may have been formed anew.
    pub async fn ask<P: Protocol>(
        &self,
        question: Question<P>,
        grounds: Grounds,
        moment: Moment,
    ) -> Passage<P> {
        let Question { request, circumstances, again, id, used } = question;
        let moment = Moment { request: id, used, ..moment };
        let none = Approvals::new();
        let ruling = self.bench.decide(request.operation(), &circumstances, &none, moment.at);
        let (groups, ground, rehearse, step_up) = match ruling {
            Ruling::Permit(obligations, clear) => {
                let ruled = (obligations, clear);
                return self.record(request, ruled, Leave::default(), moment).await;
            }
            Ruling::Refuse { class, retry, ground } => {
                let refusal = refusal_from(moment.decision, class, retry, ground, None);
                return self.refuse(&request, refusal, moment).await;
            }
            Ruling::Hold { groups, ground, rehearse, step_up } => {
                (groups, ground, rehearse, step_up)
            }
        };
        let Grounds { basis, estimate } = grounds;
        let pattern = self.offer(&request, &basis, step_up);
        if let Some(offer) = &pattern
            && let Some((ruled, leave)) =
                self.by_pattern::<P>(&request, &circumstances, offer.digest, moment).await
        {
            return self.record(request, ruled, leave, moment).await;
        }
        let shown = request.shown();
        if shown.elided {
            return self.refuse(&request, unreviewable(moment.decision, ground), moment).await;
        }
        let ask = Ask {
            session: self.session,
            request: moment.request,
            standing: (*self.standing).clone(),
            digest: self.bind(&request, &basis),
            shown,
            operation: request.operation().to_string(),
            groups,
            ground: ground.clone(),
            at: moment.at,
            basis: basis.shown(),
            estimate: estimate.clone(),
            again: again.clone(),
            pattern,
            step_up,
            risk: Risk::of(request.operation(), &estimate),
        };
        match self.file(ask, moment).await {
            Ok(ticket) => {
                let ticket = TicketGuard::new(ticket, &self.desk);
                let held = Held {
                    request,
                    circumstances,
                    basis,
                    estimate,
                    again,
                    ground,
                    rehearse,
                    id,
                    used,
                    ticket,
                };
                self.hold(held, moment).await
            }
            Err(refusal) => self.refuse(&request, refusal, moment).await,
        }
    }

    /// Files a review, which takes room as a record does.
    async fn file(&self, ask: Ask, moment: Moment) -> Result<Ticket, Refusal> {
        let what = ask.ground.what.clone();
        let room = self.journal.room();
        room.map_err(|full| unrecorded(moment.decision, &what, &full.into()))?;
        let filed = self.desk.file(ask).await;
        filed.map_err(|error| undecidable(moment.decision, &what, &error))
    }

    /// The pattern people may give for a request: bound to this session, and to everything an
    /// approval of this one request is bound to but its exact bytes and values.
    /// One that was given without a passkey is none for what takes one.
    fn offer<R: Request>(
        &self,
        request: &R,
        basis: &Basis,
        step_up: Option<StepUp>,
    ) -> Option<Offer> {
        let shape = request.pattern()?;
        let digester = self
            .bound("portcullis/pattern/1", shape.digest, request, basis)
            .part(self.session.to_string().as_bytes());
        let digest = match step_up {
            None => digester,
            Some(StepUp::Passkey) => digester.part(b"passkey"),
        }
        .finish();
        Some(Offer { digest, shown: shape.shown })
    }

    /// Uses a pattern in place of an approval, where there is one and the judge lets the request
    /// run with it. It is counted only then.
    async fn by_pattern<P: Protocol>(
        &self,
        request: &P::Request,
        circumstances: &Circumstances,
        digest: Digest,
        moment: Moment,
    ) -> Option<((Obligations, Clear), Leave)> {
        let session = self.session;
        // What the desk cannot answer is no leave: people are asked.
        let grant = self.desk.pattern(session, digest, moment.at).await.ok()??;
        let (operation, groups) = (request.operation(), &grant.groups);
        let ruling = self.bench.decide(operation, circumstances, groups, moment.at);
        let Ruling::Permit(obligations, clear) = ruling else { return None };
        let used = self.desk.use_pattern(grant.id, session, digest, moment.at).await.ok()?;
        Some(((obligations, clear), Leave { pattern: Some(used), ..Leave::default() }))
    }

    /// Takes a request that the gateway itself makes of a caller's, to tell people more about it:
    /// judged as if the caller had sent it, and recorded, but nobody is asked and a refusal is only
    /// that nothing more is known.
    pub async fn look<P: Protocol>(
        &self,
        request: P::Request,
        moment: Moment,
    ) -> Option<Permit<P>> {
        let (circumstances, none) = (Circumstances::default(), Approvals::new());
        let ruling = self.bench.decide(request.operation(), &circumstances, &none, moment.at);
        let Ruling::Permit(obligations, clear) = ruling else { return None };
        let leave = Leave { of_gateway: true, ..Leave::default() };
        match self.record(request, (obligations, clear), leave, moment).await {
            Passage::Permitted(permit) => Some(permit),
            _ => None,
        }
    }

    /// Tells people what has become of a rehearsal.
    ///
    /// # Errors
    /// [`DeskError`]: nobody was told.
    pub async fn show(&self, ticket: &Ticket, rehearsal: &Rehearsal) -> Result<(), DeskError> {
        self.desk.show(ticket, rehearsal).await
    }

    /// Waits for the decision on a held request. Cancel-safe: the driver watches the client beside.
    pub async fn decided<P: Protocol>(&self, held: &Held<P>) -> Decision {
        self.desk.decided(held.ticket()).await
    }

    /// Takes a held request on once it is decided: uses up the approval, judges again, records.
    ///
    /// `anew` is the same request, formed again by what there is now; `None` where that was not
    /// done. An approval counts for what people saw: a request that rests on something else by now
    /// goes back to them, a few times, and one of which nobody knows is refused.
    pub async fn resume<P: Protocol>(
        &self,
        mut held: Held<P>,
        decision: Decision,
        anew: Option<Anew<P>>,
        moment: Moment,
    ) -> Passage<P> {
        let moment = Moment { request: held.id, used: held.used, ..moment };
        let (class, retry, why, next) = match decision {
            Decision::Approved => {
                let Some(anew) = anew.filter(|anew| held.is_same_request(&anew.request)) else {
                    let because = ["what it rests on cannot be looked up now".to_owned()];
                    return self.refuse_changed(held, &because, moment).await;
                };
                let changes = held.changes(&anew);
                if !changes.is_empty() {
                    return self.back_to_review(held, anew, changes, moment).await;
                }
                held.request = anew.request;
                return self.run_approved(held, moment).await;
            }
            Decision::Rejected { by, reason } => {
                let why = format!("{by}: {reason}");
                (RefusalClass::Rejected, Retry::AfterChange, why, AFTER_REJECTION)
            }
            Decision::Expired => {
                let why = "the review expired before anybody decided".to_owned();
                (RefusalClass::Expired, Retry::AfterApproval, why, AFTER_EXPIRY)
            }
            Decision::Withdrawn => {
                let why = "the review was withdrawn".to_owned();
                (RefusalClass::Withdrawn, Retry::AfterApproval, why, AFTER_WITHDRAWAL)
            }
        };
        held.ticket.keep();
        let review = Some(held.ticket().review);
        let mut refusal = refusal_from(moment.decision, class, retry, held.ground, review);
        (refusal.why, refusal.next) = (why, Some(next.to_owned()));
        self.refuse(&held.request, refusal, moment).await
    }

    /// What was approved would do something else by now, or by something else: people are asked
    /// again, and the approval is gone.
    async fn back_to_review<P: Protocol>(
        &self,
        mut held: Held<P>,
        anew: Anew<P>,
        because: Vec<String>,
        moment: Moment,
    ) -> Passage<P> {
        let times = held.again.as_ref().map_or(0, |again| again.times) + 1;
        if times > MOST_AGAIN {
            return self.refuse_changed(held, &because, moment).await;
        }
        self.drop_approval(&mut held, moment).await;
        let again = Some(Again { previous: held.ticket().review, times, because });
        let Held { circumstances, id, used, .. } = held;
        Passage::ToReview(Question { request: anew.request, circumstances, again, id, used })
    }

    /// Gives up an approval that nothing may be run by. The other sessions that wait for it too may
    /// still find everything as it was.
    async fn drop_approval<P: Protocol>(&self, held: &mut Held<P>, moment: Moment) {
        held.ticket.keep();
        let why = Withdrawal::Changed;
        self.desk.retire(held.ticket(), why).await;
        let event = Event::Withdrawn { review: held.ticket().review, why };
        // Nothing runs, so a journal that cannot take this changes nothing for the target.
        let _ =
            self.journal.append(self.entry(held.id, moment.at, event), Durability::Durable).await;
    }

    /// Refuses what was approved and would do something else by now, once too often.
    async fn refuse_changed<P: Protocol>(
        &self,
        mut held: Held<P>,
        because: &[String],
        moment: Moment,
    ) -> Passage<P> {
        self.drop_approval(&mut held, moment).await;
        let review = held.ticket().review;
        let refusal = Refusal {
            decision: moment.decision,
            class: RefusalClass::Policy,
            rule: held.ground.rule,
            what: held.ground.what,
            why: format!("what its approval rests on is not what it was: {}", because.join(", ")),
            retry: Retry::AfterApproval,
            next: Some("send it again: what it does now is reviewed anew".to_owned()),
            review: Some(review),
        };
        self.refuse(&held.request, refusal, moment).await
    }

    /// Inside a transaction nothing waits, because locks would wait with it. The review stays
    /// filed: once it is approved, the same request runs without a wait.
    async fn refuse_in_transaction<P: Protocol>(
        &self,
        mut held: Held<P>,
        moment: Moment,
    ) -> Passage<P> {
        let review = held.ticket().review;
        held.ticket.keep();
        if self.desk.consume_ready(held.ticket()).await {
            // It was formed a moment ago, and its ticket is bound to what it rests on now.
            return self.run_approved(held, moment).await;
        }
        let mut refusal = refusal_from(
            moment.decision,
            RefusalClass::NeedsApproval,
            Retry::AfterApproval,
            held.ground.clone(),
            Some(review),
        );
        refusal.next = Some(format!(
            "roll back; ask for review {review} to be approved; then run the same statements again \
             (nothing is held inside an open transaction, because its locks would be held too)"
        ));
        self.refuse(&held.request, refusal, moment).await
    }

    async fn run_approved<P: Protocol>(&self, mut held: Held<P>, moment: Moment) -> Passage<P> {
        held.ticket.keep();
        let ticket = held.ticket().clone();
        let Held { request, circumstances, basis, ground, .. } = held;
        let review = Some(ticket.review);
        // An approval is not used up by what is frozen (when it is thawed, the same request runs), nor by
        // a session whose grant is over.
        let barred = self.bench.barred(request.operation(), &circumstances, moment.at);
        if let Some(Barred { class, retry, ground }) = barred {
            let refusal = refusal_from(moment.decision, class, retry, ground, review);
            return self.refuse(&request, refusal, moment).await;
        }
        // Nor by a disk that is full for now.
        if let Err(error) = self.journal.room() {
            let refusal = unrecorded(moment.decision, &ground.what, &error.into());
            return self.refuse(&request, refusal, moment).await;
        }
        let digest = self.bind(&request, &basis);
        let approval = match self.desk.consume(&ticket, digest, moment.at).await {
            Ok(approval) => approval,
            Err(error) => {
                let refusal = undecidable(moment.decision, &ground.what, &error);
                return self.refuse(&request, refusal, moment).await;
            }
        };
        let (operation, groups) = (request.operation(), &approval.groups);
        match self.bench.decide(operation, &circumstances, groups, moment.at) {
            Ruling::Permit(mut obligations, clear) => {
                if let Some(most) = approval.most {
                    no_more_than_seen(&mut obligations, most, &ground.rule);
                }
                let leave = Leave { review, ..Leave::default() };
                self.record(request, (obligations, clear), leave, moment).await
            }
            Ruling::Hold { ground, .. } => {
                let refusal = refusal_from(
                    moment.decision,
                    RefusalClass::NeedsApproval,
                    Retry::AfterApproval,
                    ground,
                    review,
                );
                self.refuse(&request, refusal, moment).await
            }
            Ruling::Refuse { class, retry, ground } => {
                let refusal = refusal_from(moment.decision, class, retry, ground, review);
                self.refuse(&request, refusal, moment).await
            }
        }
    }

    /// Takes a held request back: the caller is gone or has cancelled.
    pub async fn withdraw<P: Protocol>(&self, mut held: Held<P>, why: Withdrawal, moment: Moment) {
        held.ticket.withdraw(why);
        let event = Event::Withdrawn { review: held.ticket().review, why };
        // Nothing runs, so a journal that cannot take this changes nothing for the target.
        let _ =
            self.journal.append(self.entry(held.id, moment.at, event), Durability::Durable).await;
    }

    async fn hold<P: Protocol>(&self, mut held: Held<P>, moment: Moment) -> Passage<P> {
        let event = Event::Held {
            ticket: held.ticket().clone(),
            operation: held.request.operation().to_string(),
            shown: self.scrubbed(held.request.shown()),
            ground: held.ground.clone(),
            again: held.again.clone(),
        };
        let entry = self.entry(moment.request, moment.at, event);
        if let Err(error) = self.journal.begin(entry, Durability::Durable).await {
            held.ticket.withdraw(Withdrawal::SessionEnded);
            return Passage::Refused(self.unrecorded::<P>(&held.request, &error, moment).await);
        }
        if !held.circumstances.in_transaction || self.settings.hold_in_transaction {
            return Passage::Held(held);
        }
        self.refuse_in_transaction(held, moment).await
    }

    /// Binds a request to what it does, what that rests on, who asks and where, so that an approval
    /// fits nothing and nobody else.
    fn bind<R: Request>(&self, request: &R, basis: &Basis) -> Digest {
        self.bound("portcullis/review/3", request.digest(), request, basis).finish()
    }

    /// A digest over `request` (itself, or what of it counts) and everything around it.
    fn bound<R: Request>(
        &self,
        domain: &str,
        itself: Digest,
        request: &R,
        basis: &Basis,
    ) -> Digester {
        let principal = &self.standing.principal;
        let person = principal.person().unwrap_or_default();
        let connection = &self.standing.connection;
        let mut operation = OperationHasher(Digester::new("portcullis/operation/1"));
        request.operation().hash(&mut operation);
        Digester::new(domain)
            .part(itself.as_bytes())
            .part(operation.0.finish().as_bytes())
            .part(basis.digest().as_bytes())
            .part(format!("{:?}", principal.kind).as_bytes())
            .part(principal.issuer.as_bytes())
            .part(principal.subject.as_bytes())
            .part(person.1.as_bytes())
            .part(person.0.as_bytes())
            .part(connection.name.as_bytes())
            .part(connection.environment.as_bytes())
            .part(connection.database.as_bytes())
            .part(connection.role.as_bytes())
    }
}

/// Feeds everything an operation's equality looks at into a digest. The digest means something
/// within one build of the gateway only; a review filed by another lapses.
struct OperationHasher(Digester);

impl Hasher for OperationHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.add(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

/// What people saw change is the most that may.
fn no_more_than_seen(obligations: &mut Obligations, most: u64, rule: &str) {
    let mut limits = obligations.limits.as_deref().cloned().unwrap_or_default();
    limits.tighten(LimitKind::Rehearsed, &Limit { most, rule: rule.into() });
    obligations.limits = Some(Arc::new(limits));
}
