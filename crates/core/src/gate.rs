//! The gate: judge, hold, judge again, journal, permit. The middle of the life of a request.
//!
//! `Unanswered means no`: every way out of this module that is not a [`Permit`] is a [`Refusal`],
//! and a held request that is dropped is withdrawn.

use crate::digest::{Digest, Digester};
use crate::effect::{Effect, Extent, Object, ObjectKind, Operation, Verb};
use crate::id::{DecisionId, RequestId, ReviewId, SessionId};
use crate::journal::{Durability, Entry, Event, Journal, JournalError};
use crate::limits::{LimitKind, Used};
use crate::mask::Redacted;
use crate::permit::{InFlight, Permit};
use crate::protocol::{Protocol, Request, Shown};
use crate::refusal::{Refusal, RefusalClass, Retry};
use crate::review::{Ask, Decision, Desk, DeskError, Ticket, Withdrawal};
use crate::time::Timestamp;
use crate::verdict::{
    Approvals, Circumstances, ConnectionFacts, Ground, Judge, Obligations, Standing, Verdict,
};
use smallvec::SmallVec;
use std::hash::{Hash as _, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

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
pub enum Passage<P: Protocol> {
    /// It may be sent.
    Permitted(Permit<P>),
    /// It waits for people.
    Held(Held<P>),
    /// It is refused, and recorded so.
    Refused(Refusal),
}

/// A request waiting for people. The gate keeps it; nothing of it has been forwarded.
pub struct Held<P: Protocol> {
    request: P::Request,
    circumstances: Circumstances,
    ground: Ground,
    id: RequestId,
    ticket: TicketGuard,
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

    /// What is held, to form it anew by the definitions of the moment it is decided.
    #[must_use]
    pub const fn request(&self) -> &P::Request {
        &self.request
    }

    /// True where `other` is the same bytes and would do the same.
    fn is_still(&self, other: &P::Request) -> bool {
        self.request.digest() == other.digest()
            && self.request.wire_bytes() == other.wire_bytes()
            && self.request.operation() == other.operation()
    }
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
        peer: String,
        claimed: String,
        moment: Moment,
    ) -> Result<(Self, Admission<P>), Refusal> {
        let name = standing.connection.name.clone();
        let object = Object::new(ObjectKind::Connection, [name.as_str()]);
        let operation = Operation {
            kinds: SmallVec::from_iter([Box::from("connect")]),
            effects: SmallVec::from_iter([Effect::resolved(Verb::Connect, object, Extent::One)]),
            lineages: SmallVec::new(),
        };
        let verdict = judge.judge(&operation, &Circumstances::default(), &Approvals::new());
        let refusal = match verdict {
            Verdict::Permit(obligations) => {
                let event = Event::SessionOpened {
                    standing: (*standing).clone(),
                    peer,
                    policy: judge.policy_version().to_owned(),
                    claimed: scrubbed_text(&obligations, &claimed),
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
            peer,
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
            Verdict::Permit(obligations) => self.record(request, obligations, None, moment).await,
            Verdict::Refuse { class, retry, ground } => {
                let refusal = refusal_from(moment.decision, class, retry, ground, None);
                self.refuse(&request, refusal, moment).await
            }
            Verdict::Hold { groups, ground } => {
                let shown = request.shown();
                if shown.elided {
                    let refusal = unreviewable(moment.decision, ground);
                    return self.refuse(&request, refusal, moment).await;
                }
                let ask = Ask {
                    session: self.session,
                    request: moment.request,
                    standing: (*self.standing).clone(),
                    digest: self.bind(&request),
                    shown,
                    operation: request.operation().to_string(),
                    groups,
                    ground: ground.clone(),
                    at: moment.at,
                };
                match self.desk.file(ask).await {
                    Ok(ticket) => self.hold(request, circumstances, ticket, ground, moment).await,
                    Err(error) => {
                        let refusal = undecidable(moment.decision, &ground.what, &error);
                        self.refuse(&request, refusal, moment).await
                    }
                }
            }
        }
    }

    /// Waits for the decision on a held request. Cancel-safe: the driver watches the client beside.
    pub async fn decided<P: Protocol>(&self, held: &Held<P>) -> Decision {
        self.desk.decided(held.ticket()).await
    }

    /// Takes a held request on once it is decided: uses up the approval, judges again, records.
    ///
    /// `anew` is the same request, formed again by the definitions there are now; `None` where that
    /// was not done. An approval counts for what people saw: a request that is not the same any
    /// more, or of which nobody knows, is refused, and the approval is used up all the same.
    pub async fn resume<P: Protocol>(
        &self,
        held: Held<P>,
        decision: Decision,
        anew: Option<P::Request>,
        moment: Moment,
    ) -> Passage<P> {
        let moment = Moment { request: held.id, ..moment };
        let anew = anew.filter(|anew| held.is_still(anew));
        let Held { request, circumstances, mut ticket, ground, .. } = held;
        ticket.keep();
        let ticket = ticket.ticket.clone();
        let (class, retry, why) = match decision {
            Decision::Approved => match anew {
                Some(anew) => {
                    return self.run_approved(anew, circumstances, ticket, ground, moment).await;
                }
                None => {
                    return self.refuse_redefined(&request, &ticket, ground, moment).await;
                }
            },
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
        let mut refusal = refusal_from(moment.decision, class, retry, ground, Some(ticket.review));
        refusal.why = why;
        self.refuse(&request, refusal, moment).await
    }

    /// Refuses what was approved and would do something else by now.
    async fn refuse_redefined<P: Protocol>(
        &self,
        request: &P::Request,
        ticket: &Ticket,
        ground: Ground,
        moment: Moment,
    ) -> Passage<P> {
        // So that the approval can be used for nothing else; where that fails, it is still bound
        // to what the request did when it was asked for.
        let _ = self.desk.consume(ticket, ticket.digest, moment.at).await;
        let refusal = Refusal {
            decision: moment.decision,
            class: RefusalClass::Policy,
            rule: ground.rule,
            what: ground.what,
            why: "the definitions it touches have changed while it was held; send it again for a \
                  new review"
                .to_owned(),
            retry: Retry::AfterApproval,
            next: Some("send it again: what it does now is reviewed anew".to_owned()),
            review: Some(ticket.review),
        };
        self.refuse(request, refusal, moment).await
    }

    async fn run_approved<P: Protocol>(
        &self,
        request: P::Request,
        circumstances: Circumstances,
        ticket: Ticket,
        ground: Ground,
        moment: Moment,
    ) -> Passage<P> {
        let review = Some(ticket.review);
        let digest = self.bind(&request);
        let approvals = match self.desk.consume(&ticket, digest, moment.at).await {
            Ok(approvals) => approvals,
            Err(error) => {
                let refusal = undecidable(moment.decision, &ground.what, &error);
                return self.refuse(&request, refusal, moment).await;
            }
        };
        match self.judge.judge(request.operation(), &circumstances, &approvals) {
            Verdict::Permit(obligations) => self.record(request, obligations, review, moment).await,
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

    async fn hold<P: Protocol>(
        &self,
        request: P::Request,
        circumstances: Circumstances,
        ticket: Ticket,
        ground: Ground,
        moment: Moment,
    ) -> Passage<P> {
        let event = Event::Held {
            ticket: ticket.clone(),
            operation: request.operation().to_string(),
            shown: self.scrubbed(request.shown()),
            ground: ground.clone(),
        };
        let entry = self.entry(moment.request, moment.at, event);
        if let Err(error) = self.journal.append(entry, Durability::Durable).await {
            self.desk.withdraw(&ticket, Withdrawal::SessionEnded);
            return Passage::Refused(self.unrecorded::<P>(&request, &error, moment).await);
        }
        let ticket = TicketGuard::new(ticket, &self.desk);
        let held = Held { request, circumstances, ground, id: moment.request, ticket };
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
            // It was formed a moment ago, and its ticket is bound to what it does now.
            let Held { request, circumstances, ticket, ground, .. } = held;
            let ticket = ticket.ticket.clone();
            return self.run_approved(request, circumstances, ticket, ground, moment).await;
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
        review: Option<ReviewId>,
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
            review,
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

    /// Binds a request to what it does by the definitions there are, who asks and where, so that
    /// an approval fits nothing and nobody else.
    fn bind<R: Request>(&self, request: &R) -> Digest {
        let principal = &self.standing.principal;
        let connection = &self.standing.connection;
        let mut operation = OperationHasher(Digester::new("portcullis/operation/1"));
        request.operation().hash(&mut operation);
        Digester::new("portcullis/review/2")
            .part(request.digest().as_bytes())
            .part(operation.0.finish().as_bytes())
            .part(principal.issuer.as_bytes())
            .part(principal.subject.as_bytes())
            .part(principal.acting_for.as_deref().unwrap_or("").as_bytes())
            .part(connection.name.as_bytes())
            .part(connection.database.as_bytes())
            .part(connection.role.as_bytes())
            .finish()
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
