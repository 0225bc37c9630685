//! The gate: judge, hold, judge again, journal, permit. The middle of the life of a request.
//!
//! `Unanswered means no`: every way out of this module that is not a [`Permit`] is a [`Refusal`],
//! and a held request that is dropped is withdrawn.

use crate::basis::{Again, Basis, Estimate};
use crate::digest::{Digest, Digester};
use crate::effect::{Effect, Extent, Object, ObjectKind, Operation, Verb};
use crate::id::{DecisionId, RequestId, ReviewId, SessionId};
use crate::journal::{Durability, Entry, Event, Journal, JournalError};
use crate::limits::{Limit, LimitKind, Used};
use crate::mask::Redacted;
use crate::pattern::{Offer, Use};
use crate::permit::{InFlight, Permit, RehearsalPermit};
use crate::protocol::{Protocol, Request, Shown};
use crate::refusal::{Refusal, RefusalClass, Retry};
use crate::rehearsal::Rehearsal;
use crate::review::{Ask, Claim, Decision, Desk, DeskError, Ticket, Withdrawal};
use crate::time::Timestamp;
use crate::verdict::{
    Approvals, Circumstances, ConnectionFacts, Ground, Judge, Obligations, Standing, Verdict,
};
use smallvec::SmallVec;
use std::hash::{Hash as _, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// How often a request is held anew because what its approval rests on has changed.
const MOST_AGAIN: u32 = 3;

/// What the gate needs at the moment a request arrives, since it reads no clock and draws no lots.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Now.
    pub at: Timestamp,
    /// The id the request gets.
    pub request: RequestId,
    /// The id a refusal would get.
    pub decision: DecisionId,
    /// What the session and its principal have used up before.
    pub used: Used,
}

/// Settings of a gate.
#[derive(Debug, Clone, Copy, Default)]
pub struct GateSettings {
    /// `[journal] reads = "durable"`: requests that change nothing are synced as well.
    pub strict_reads: bool,
    /// Hold inside the caller's open transaction instead of refusing there.
    pub hold_in_transaction: bool,
}

/// The gate of one session: everything the session does passes here.
pub struct Gate<J, L, D> {
    session: SessionId,
    standing: Arc<Standing>,
    judge: J,
    journal: L,
    desk: D,
    settings: GateSettings,
    /// Redacts texts on their way to the record.
    scrub: Obligations,
}

/// Proof that the session itself was judged and recorded, and of where it may go: nothing is dialed
/// without it, nothing else is dialed with it, and it is used up by dialing.
#[must_use = "an admission that dials nothing leaves a session recorded and never opened"]
pub struct Admission<P: Protocol> {
    standing: Arc<Standing>,
    obligations: Obligations,
    protocol: PhantomData<fn() -> P>,
}

impl<P: Protocol> Admission<P> {
    /// The connection and the role the session was admitted to.
    #[must_use]
    pub fn connection(&self) -> &ConnectionFacts {
        &self.standing.connection
    }

    /// How what the target says unasked (notices, notifications) is masked.
    pub fn standing_flight(&self) -> InFlight<P> {
        InFlight::standing(&self.obligations)
    }
}

/// What became of a request at the gate.
#[must_use = "a request at the gate is permitted, held or refused"]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is taken on at once")]
pub enum Passage<P: Protocol> {
    /// It may be sent.
    Permitted(Permit<P>),
    /// People have to decide: once it is known what their approval would rest on, [`Gate::ask`].
    ToReview(Question<P>),
    /// It waits for people.
    Held(Held<P>),
    /// It is refused, and recorded so.
    Refused(Refusal),
}

/// A request that people have to decide on, before they are asked. Nothing of it has been forwarded.
#[must_use = "a question that is not asked leaves a request without an answer"]
pub struct Question<P: Protocol> {
    request: P::Request,
    circumstances: Circumstances,
    again: Option<Again>,
    id: RequestId,
    /// As of the request's arrival.
    used: Used,
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
    request: P::Request,
    circumstances: Circumstances,
    basis: Basis,
    estimate: Estimate,
    again: Option<Again>,
    ground: Ground,
    rehearse: Option<Duration>,
    id: RequestId,
    used: Used,
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

/// What a client brings to a log-in beside its identity.
#[derive(Debug, Default)]
pub struct LogIn {
    /// Its address.
    pub peer: String,
    /// What it says of itself (`application_name`).
    pub claimed: String,
    /// The settings it asks for: what each does, which is judged with the log-in, and as
    /// `name=value` for the record.
    pub settings: Vec<(Effect, String)>,
}

impl<J: Judge, L: Journal, D: Desk + Clone + 'static> Gate<J, L, D> {
    /// Opens the gate of a session: judges and records the log-in itself.
    ///
    /// # Errors
    /// The [`Refusal`] to tell the caller.
    pub async fn admit<P: Protocol>(
        session: SessionId,
        standing: Arc<Standing>,
        (judge, journal, desk): (J, L, D),
        settings: GateSettings,
        login: LogIn,
        moment: Moment,
    ) -> Result<(Self, Admission<P>), Refusal> {
        let name = standing.connection.name.clone();
        let object = Object::new(ObjectKind::Connection, [name.as_str()]);
        let connect = Effect::resolved(Verb::Connect, object, Extent::One);
        let (asked, texts): (Vec<Effect>, Vec<String>) = login.settings.into_iter().unzip();
        let operation = Operation {
            kinds: std::iter::once("connect")
                .chain((!asked.is_empty()).then_some("set"))
                .map(Box::from)
                .collect(),
            effects: std::iter::once(connect).chain(asked).collect(),
            lineages: SmallVec::new(),
        };
        let verdict = judge.judge(&operation, &Circumstances::default(), &Approvals::new());
        let refusal = match verdict {
            Verdict::Permit(obligations) => {
                let event = Event::SessionOpened {
                    standing: (*standing).clone(),
                    peer: login.peer,
                    policy: judge.policy_version().to_owned(),
                    claimed: scrubbed_text(&obligations, &login.claimed),
                    settings: texts.iter().map(|t| scrubbed_text(&obligations, t)).collect(),
                };
                let entry = Entry { at: moment.at, session: Some(session), request: None, event };
                return match journal.append(entry, Durability::Durable).await {
                    Ok(_receipt) => {
                        let scrub = obligations.clone();
                        let admission = Admission {
                            standing: Arc::clone(&standing),
                            obligations,
                            protocol: PhantomData,
                        };
                        let gate =
                            Self { session, standing, judge, journal, desk, settings, scrub };
                        Ok((gate, admission))
                    }
                    Err(error) => Err(unrecorded(moment.decision, "log-in", &error)),
                };
            }
            Verdict::Hold { ground, .. } => refusal_from(
                moment.decision,
                RefusalClass::NeedsApproval,
                Retry::AfterApproval,
                ground,
                None,
            ),
            Verdict::Refuse { class, retry, ground } => {
                refusal_from(moment.decision, class, retry, ground, None)
            }
        };
        let event = Event::LoginRefused {
            principal: Some(standing.principal.subject.clone()),
            peer: login.peer,
            connection: name,
            refusal: refusal.clone(),
        };
        let entry = Entry { at: moment.at, session: Some(session), request: None, event };
        // The refusal stands whether or not its record could be kept.
        let _ = journal.append(entry, Durability::Durable).await;
        Err(refusal)
    }

    /// The session's standing.
    #[must_use]
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The journal, for outcomes.
    #[must_use]
    pub const fn journal(&self) -> &L {
        &self.journal
    }

    /// Takes a request, by value, to its permit, its review or its refusal.
    pub async fn pass<P: Protocol>(
        &self,
        request: P::Request,
        circumstances: Circumstances,
        moment: Moment,
    ) -> Passage<P> {
        let verdict = self.judge.judge(request.operation(), &circumstances, &Approvals::new());
        match verdict {
            Verdict::Permit(obligations) => {
                self.record(request, obligations, Leave::default(), moment).await
            }
            Verdict::Refuse { class, retry, ground } => {
                let refusal = refusal_from(moment.decision, class, retry, ground, None);
                self.refuse(&request, refusal, moment).await
            }
            Verdict::Hold { ground, .. } => {
                if request.shown().elided {
                    let refusal = unreviewable(moment.decision, ground);
                    return self.refuse(&request, refusal, moment).await;
                }
                let (id, used) = (moment.request, moment.used);
                Passage::ToReview(Question { request, circumstances, again: None, id, used })
            }
        }
    }

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
        let verdict = self.judge.judge(request.operation(), &circumstances, &none);
        let (groups, ground, rehearse) = match verdict {
            Verdict::Permit(obligations) => {
                return self.record(request, obligations, Leave::default(), moment).await;
            }
            Verdict::Refuse { class, retry, ground } => {
                let refusal = refusal_from(moment.decision, class, retry, ground, None);
                return self.refuse(&request, refusal, moment).await;
            }
            Verdict::Hold { groups, ground, rehearse } => (groups, ground, rehearse),
        };
        let Grounds { basis, estimate } = grounds;
        let pattern = self.offer(&request, &basis);
        if let Some(offer) = &pattern
            && let Some((obligations, leave)) =
                self.by_pattern::<P>(&request, &circumstances, offer.digest, moment).await
        {
            return self.record(request, obligations, leave, moment).await;
        }
        let shown = request.shown();
        if shown.elided {
            let refusal = unreviewable(moment.decision, ground);
            return self.refuse(&request, refusal, moment).await;
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
        };
        match self.desk.file(ask).await {
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
            Err(error) => {
                let refusal = undecidable(moment.decision, &ground.what, &error);
                self.refuse(&request, refusal, moment).await
            }
        }
    }

    /// The pattern people may give for a request: bound to this session, and to everything an
    /// approval of this one request is bound to but its exact bytes and values.
    fn offer<R: Request>(&self, request: &R, basis: &Basis) -> Option<Offer> {
        let shape = request.pattern()?;
        let digest = self
            .bound("portcullis/pattern/1", shape.digest, request, basis)
            .part(self.session.to_string().as_bytes())
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
    ) -> Option<(Obligations, Leave)> {
        let session = self.session;
        // What the desk cannot answer is no leave: people are asked.
        let grant = self.desk.pattern(session, digest, moment.at).await.ok()??;
        let verdict = self.judge.judge(request.operation(), circumstances, &grant.groups);
        let Verdict::Permit(obligations) = verdict else { return None };
        let used = self.desk.use_pattern(grant.id, session, digest, moment.at).await.ok()?;
        Some((obligations, Leave { review: None, pattern: Some(used) }))
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
        let verdict = self.judge.judge(request.operation(), &circumstances, &none);
        let Verdict::Permit(obligations) = verdict else { return None };
        match self.record(request, obligations, Leave::default(), moment).await {
            Passage::Permitted(permit) => Some(permit),
            _ => None,
        }
    }

    /// Takes leave to run a held request for show, until a moment at the latest: judged as if people
    /// had approved it, claimed at the desk, and recorded. What is given lets it run in a transaction
    /// that is undone; nothing of it stays by this.
    ///
    /// # Errors
    /// [`Unrehearsed`]: it is held all the same.
    pub async fn rehearse<P: Protocol>(
        &self,
        held: &Held<P>,
        until: Timestamp,
        moment: Moment,
    ) -> Result<RehearsalPermit<P>, Unrehearsed>
    where
        P::Request: Clone,
    {
        let because = |why: &str| Err(Unrehearsed::Because(why.to_owned()));
        if held.rehearse.is_none() {
            return because("policy does not let it run before it is approved");
        }
        let (request, groups) = (&held.request, &held.ticket().groups);
        let verdict = self.judge.judge(request.operation(), &held.circumstances, groups);
        let Verdict::Permit(obligations) = verdict else {
            return because("an approval alone would not let it run");
        };
        let moment_used = Moment { used: held.used, ..moment };
        if used_up(request.operation(), &obligations, moment_used).is_some() {
            return because("what a limit leaves the caller is used up");
        }
        match self.desk.claim(held.ticket(), until).await {
            Ok(Claim::Granted) => {}
            Ok(Claim::Taken) => return Err(Unrehearsed::Elsewhere),
            Ok(Claim::Busy) => {
                return because("another request of the caller's was being rehearsed");
            }
            Err(error) => return Err(Unrehearsed::Because(error.to_string())),
        }
        let event = Event::Rehearsed {
            review: held.ticket().review,
            operation: request.operation().to_string(),
            digest: request.digest(),
            rules: obligations.rules.to_vec(),
            until,
        };
        let entry = self.entry(moment.request, moment.at, event);
        match self.journal.append(entry, Durability::Durable).await {
            Ok(receipt) => {
                let request = request.clone();
                Ok(RehearsalPermit::issue(request, obligations, receipt, moment.request))
            }
            Err(error) => because(&error.to_string()),
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
        let (class, retry, why) = match decision {
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
                (RefusalClass::Rejected, Retry::Never, format!("{by}: {reason}"))
            }
            Decision::Expired => (
                RefusalClass::Expired,
                Retry::AfterApproval,
                "the review expired before anybody decided".to_owned(),
            ),
            Decision::Withdrawn => (
                RefusalClass::Withdrawn,
                Retry::AfterApproval,
                "the review was withdrawn".to_owned(),
            ),
        };
        held.ticket.keep();
        let review = Some(held.ticket().review);
        let mut refusal = refusal_from(moment.decision, class, retry, held.ground, review);
        refusal.why = why;
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

    async fn run_approved<P: Protocol>(&self, mut held: Held<P>, moment: Moment) -> Passage<P> {
        held.ticket.keep();
        let ticket = held.ticket().clone();
        let Held { request, circumstances, basis, ground, .. } = held;
        let review = Some(ticket.review);
        let digest = self.bind(&request, &basis);
        let approval = match self.desk.consume(&ticket, digest, moment.at).await {
            Ok(approval) => approval,
            Err(error) => {
                let refusal = undecidable(moment.decision, &ground.what, &error);
                return self.refuse(&request, refusal, moment).await;
            }
        };
        match self.judge.judge(request.operation(), &circumstances, &approval.groups) {
            Verdict::Permit(mut obligations) => {
                if let Some(most) = approval.most {
                    no_more_than_seen(&mut obligations, most, &ground.rule);
                }
                let leave = Leave { review, pattern: None };
                self.record(request, obligations, leave, moment).await
            }
            Verdict::Hold { ground, .. } => {
                let refusal = refusal_from(
                    moment.decision,
                    RefusalClass::NeedsApproval,
                    Retry::AfterApproval,
                    ground,
                    review,
                );
                self.refuse(&request, refusal, moment).await
            }
            Verdict::Refuse { class, retry, ground } => {
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

    /// Refuses a request the driver could not even form (unreadable, over a limit), and records it.
    pub async fn refuse_unformed(
        &self,
        shown: Shown,
        operation: &Operation,
        refusal: Refusal,
        moment: Moment,
    ) -> Refusal {
        let digest = shown_digest(&shown);
        self.record_refusal(shown, operation, digest, refusal, moment).await
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
        if let Err(error) = self.journal.append(entry, Durability::Durable).await {
            held.ticket.withdraw(Withdrawal::SessionEnded);
            return Passage::Refused(self.unrecorded::<P>(&held.request, &error, moment).await);
        }
        if !held.circumstances.in_transaction || self.settings.hold_in_transaction {
            return Passage::Held(held);
        }
        self.refuse_in_transaction(held, moment).await
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

    async fn record<P: Protocol>(
        &self,
        request: P::Request,
        obligations: Obligations,
        leave: Leave,
        moment: Moment,
    ) -> Passage<P> {
        if let Some(refusal) = used_up(request.operation(), &obligations, moment) {
            return self.refuse(&request, refusal, moment).await;
        }
        let operation = request.operation();
        let durability = if operation.changes_nothing() && !self.settings.strict_reads {
            Durability::Written
        } else {
            Durability::Durable
        };
        let what = operation.to_string();
        let event = Event::Intent {
            shown: self.scrubbed(request.shown()),
            digest: request.digest(),
            rules: obligations.rules.to_vec(),
            operation: what,
            review: leave.review,
            pattern: leave.pattern,
            durability,
        };
        let entry = self.entry(moment.request, moment.at, event);
        match self.journal.append(entry, durability).await {
            Ok(receipt) => {
                Passage::Permitted(Permit::issue(request, obligations, receipt, moment.request))
            }
            Err(error) => Passage::Refused(self.unrecorded::<P>(&request, &error, moment).await),
        }
    }

    /// Refuses what cannot be recorded. That a record would be too large can be recorded.
    async fn unrecorded<P: Protocol>(
        &self,
        request: &P::Request,
        error: &JournalError,
        moment: Moment,
    ) -> Refusal {
        let (operation, digest) = (request.operation(), request.digest());
        let refusal = unrecorded(moment.decision, &operation.to_string(), error);
        if !matches!(error, JournalError::TooLarge(_)) {
            return refusal;
        }
        self.record_refusal(unshown(), operation, digest, refusal, moment).await
    }

    async fn refuse<P: Protocol>(
        &self,
        request: &P::Request,
        refusal: Refusal,
        moment: Moment,
    ) -> Passage<P> {
        let (shown, digest) = (request.shown(), request.digest());
        Passage::Refused(
            self.record_refusal(shown, request.operation(), digest, refusal, moment).await,
        )
    }

    async fn record_refusal(
        &self,
        shown: Shown,
        operation: &Operation,
        digest: Digest,
        refusal: Refusal,
        moment: Moment,
    ) -> Refusal {
        let entry = |shown| {
            let (operation, refusal) = (operation.to_string(), refusal.clone());
            let event = Event::Refused { operation, shown, digest, refusal };
            self.entry(moment.request, moment.at, event)
        };
        let mut recorded =
            self.journal.append(entry(self.scrubbed(shown)), Durability::Durable).await;
        if matches!(recorded, Err(JournalError::TooLarge(_))) {
            recorded = self.journal.append(entry(unshown()), Durability::Durable).await;
        }
        match recorded {
            Ok(_) => refusal,
            Err(error) => unrecorded(moment.decision, &refusal.what, &error),
        }
    }

    fn entry(&self, request: RequestId, at: Timestamp, event: Event) -> Entry {
        Entry { at, session: Some(self.session), request: Some(request), event }
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
            .part(principal.acting_for.as_deref().unwrap_or("").as_bytes())
            .part(connection.name.as_bytes())
            .part(connection.environment.as_bytes())
            .part(connection.database.as_bytes())
            .part(connection.role.as_bytes())
    }

    fn scrubbed(&self, shown: Shown) -> Shown {
        let text = |text: String| scrubbed_text(&self.scrub, &text);
        Shown {
            statements: shown.statements.into_iter().map(text).collect(),
            parameters: shown
                .parameters
                .into_iter()
                .map(|list| list.into_iter().map(|p| p.map(text)).collect())
                .collect(),
            beyond: shown.beyond,
            elided: shown.elided,
        }
    }
}

/// What people have given for a request that runs: an approval of it, or a pattern it fits.
#[derive(Debug, Clone, Copy, Default)]
struct Leave {
    review: Option<ReviewId>,
    pattern: Option<Use>,
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

fn scrubbed_text(obligations: &Obligations, text: &str) -> String {
    let mut out = Vec::new();
    match obligations.redactor.redact_text(text.as_bytes(), &mut out) {
        Redacted::Unchanged => text.to_owned(),
        Redacted::Replaced => String::from_utf8_lossy(&out).into_owned(),
        Redacted::Removed => String::new(),
    }
}

fn shown_digest(shown: &Shown) -> Digest {
    let mut digester = Digester::new("portcullis/shown/1");
    for statement in &shown.statements {
        digester.add(statement.as_bytes());
    }
    digester.finish()
}

/// What people saw change is the most that may.
fn no_more_than_seen(obligations: &mut Obligations, most: u64, rule: &str) {
    let mut limits = obligations.limits.as_deref().cloned().unwrap_or_default();
    limits.tighten(LimitKind::Rehearsed, &Limit { most, rule: rule.into() });
    obligations.limits = Some(Arc::new(limits));
}

/// The refusal of a request for which nothing is left of what a rule allows.
fn used_up(operation: &Operation, obligations: &Obligations, moment: Moment) -> Option<Refusal> {
    let (kind, limit) = obligations.limits.as_ref()?.used_up(&moment.used)?;
    let later = matches!(kind, LimitKind::PerSecond | LimitKind::PerMinute | LimitKind::PerHour);
    let ground = Ground {
        rule: limit.rule.to_string(),
        reason: format!("the limit of {} {kind} is reached", limit.most),
        hint: Some(if later { "wait, and send it again" } else { "open a new session" }.to_owned()),
        what: operation.to_string(),
    };
    let retry = if later { Retry::Later } else { Retry::AfterChange };
    Some(refusal_from(moment.decision, RefusalClass::Limit, retry, ground, None))
}

/// Nobody approves what nobody can see.
fn unreviewable(decision: DecisionId, ground: Ground) -> Refusal {
    let ground = Ground {
        rule: "reviewable-requests".to_owned(),
        reason: "it needs a review and is too large to be shown to a reviewer whole".to_owned(),
        hint: Some("send it in smaller pieces".to_owned()),
        what: ground.what,
    };
    refusal_from(decision, RefusalClass::Limit, Retry::AfterChange, ground, None)
}

fn refusal_from(
    decision: DecisionId,
    class: RefusalClass,
    retry: Retry,
    ground: Ground,
    review: Option<ReviewId>,
) -> Refusal {
    Refusal {
        decision,
        class,
        rule: ground.rule,
        what: ground.what,
        why: ground.reason,
        retry,
        next: ground.hint,
        review,
    }
}

/// What is shown of a request whose texts no record can hold.
fn unshown() -> Shown {
    let beyond = vec!["statements and parameters: larger than a record may be".to_owned()];
    Shown { beyond, ..Shown::default() }
}

fn unrecorded(decision: DecisionId, what: &str, error: &JournalError) -> Refusal {
    let (class, rule, retry, next) = match error {
        JournalError::Full => (
            RefusalClass::Unavailable,
            "record-before-run",
            Retry::Later,
            "tell the operator of this gateway; nothing has run",
        ),
        JournalError::TooLarge(_) => (
            RefusalClass::Limit,
            "request-size",
            Retry::AfterChange,
            "send shorter statements and smaller parameters, in several requests",
        ),
        JournalError::Broken(_) => (
            RefusalClass::Unavailable,
            "record-before-run",
            Retry::Never,
            "tell the operator of this gateway that it must be restarted; nothing has run",
        ),
    };
    let why = match error {
        JournalError::TooLarge(_) => format!("{error}: send less in one request"),
        JournalError::Full | JournalError::Broken(_) => error.to_string(),
    };
    Refusal {
        decision,
        class,
        rule: rule.to_owned(),
        what: what.to_owned(),
        why,
        retry,
        next: Some(next.to_owned()),
        review: None,
    }
}

fn undecidable(decision: DecisionId, what: &str, error: &DeskError) -> Refusal {
    let (class, retry) = match error {
        DeskError::Unavailable(_) => (RefusalClass::Unavailable, Retry::Later),
        DeskError::Full(_) => (RefusalClass::Limit, Retry::Later),
        DeskError::NoApproval(_) => (RefusalClass::NeedsApproval, Retry::AfterApproval),
    };
    Refusal {
        decision,
        class,
        rule: "review".to_owned(),
        what: what.to_owned(),
        why: error.to_string(),
        retry,
        next: None,
        review: None,
    }
}
