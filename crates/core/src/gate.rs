//! The gate: judge, hold, judge again, journal, permit. The middle of the life of a request.
//!
//! `Unanswered means no`: every way out of this module that is not a [`Permit`] is a [`Refusal`],
//! and a held request that is dropped is withdrawn.

mod bench;
mod held;
mod refusals;

use crate::access::{Clear, Entitlement};
use crate::digest::{Digest, Digester};
use crate::effect::{Effect, Extent, Object, ObjectKind, Operation, Verb};
use crate::freeze::Freezes;
use crate::id::{DecisionId, RequestId, ReviewId, SessionId};
use crate::journal::{BeginError, Durability, Entry, Event, Journal, JournalError};
use crate::limits::Used;
use crate::mask::Redacted;
use crate::pattern::Use;
use crate::permit::{InFlight, Permit, RehearsalPermit};
use crate::protocol::{Protocol, Request, Shown};
use crate::refusal::{Refusal, RefusalClass, Retry};
use crate::review::{Claim, Desk};
use crate::time::Timestamp;
use crate::verdict::{Approvals, Circumstances, ConnectionFacts, Judge, Obligations, Standing};
use bench::{Barred, Bench, Ruling};
pub use held::{Anew, Grounds, Held, Question, Unrehearsed};
use refusals::{refusal_from, unrecorded, unreviewable, unshown, used_up};
use smallvec::SmallVec;
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
    bench: Bench<J>,
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
    /// Opens the gate of a session: judges and records the log-in itself. Without an [`Entitlement`] of this
    /// session's there is no gate, and what comes to it later is looked at by the same one.
    ///
    /// # Errors
    /// The [`Refusal`] to tell the caller.
    pub async fn admit<P: Protocol>(
        session: SessionId,
        standing: Arc<Standing>,
        (judge, freezes, journal, desk): (J, Arc<dyn Freezes>, L, D),
        entitlement: Entitlement,
        settings: GateSettings,
        login: LogIn,
        moment: Moment,
    ) -> Result<(Self, Admission<P>), Refusal> {
        let name = standing.connection.name.clone();
        let (asked, texts): (Vec<Effect>, Vec<String>) = login.settings.into_iter().unzip();
        let operation = logging_in(&name, asked);
        let bench = Bench::new(judge, freezes, entitlement, &standing);
        let refusal = match bench.admit(&operation, moment.at) {
            Ruling::Permit(obligations, _) => {
                let event = Event::SessionOpened {
                    standing: (*standing).clone(),
                    peer: login.peer,
                    policy: bench.policy_version().to_owned(),
                    claimed: scrubbed_text(&obligations, &login.claimed),
                    settings: texts.iter().map(|t| scrubbed_text(&obligations, t)).collect(),
                    grant: bench.grant(),
                };
                let entry = Entry { at: moment.at, session: Some(session), request: None, event };
                return match journal.begin(entry, Durability::Durable).await {
                    Ok(_receipt) => {
                        let scrub = obligations.clone();
                        let admission = Admission {
                            standing: Arc::clone(&standing),
                            obligations,
                            protocol: PhantomData,
                        };
                        let gate =
                            Self { session, standing, bench, journal, desk, settings, scrub };
                        Ok((gate, admission))
                    }
                    Err(error) => Err(unrecorded(moment.decision, "log-in", &error)),
                };
            }
            Ruling::Hold { ground, .. } => refusal_from(
                moment.decision,
                RefusalClass::NeedsApproval,
                Retry::AfterApproval,
                ground,
                None,
            ),
            Ruling::Refuse { class, retry, ground } => {
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
        let _ = journal.begin(entry, Durability::Durable).await;
        Err(refusal)
    }

    /// Goes on under another judge, which is asked about the log-in first: what it would not have let in
    /// does not stay. What is given masks what the target says unasked from now on.
    ///
    /// # Errors
    /// The [`Refusal`] by which the session ends.
    pub fn go_on_by<P: Protocol>(
        &mut self,
        judge: J,
        moment: Moment,
    ) -> Result<InFlight<P>, Box<Refusal>> {
        self.bench.judge_by(judge);
        let operation = logging_in(&self.standing.connection.name, Vec::new());
        let (class, retry, ground) = match self.bench.admit(&operation, moment.at) {
            Ruling::Permit(obligations, _) => {
                let flight = InFlight::standing(&obligations);
                self.scrub = obligations;
                return Ok(flight);
            }
            Ruling::Hold { ground, .. } => {
                (RefusalClass::NeedsApproval, Retry::AfterApproval, ground)
            }
            Ruling::Refuse { class, retry, ground } => (class, retry, ground),
        };
        Err(Box::new(refusal_from(moment.decision, class, retry, ground, None)))
    }

    /// The session's standing.
    #[must_use]
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// How many whole minutes ago the grant began that the session stands on: for what is judged beside
    /// this gate.
    #[must_use]
    pub fn granted_minutes(&self, at: Timestamp) -> Option<u32> {
        self.bench.granted_minutes(at)
    }

    /// The journal, for outcomes.
    #[must_use]
    pub const fn journal(&self) -> &L {
        &self.journal
    }

    /// The desk, for what people say about a held request. What is decided there counts here alone.
    #[must_use]
    pub const fn desk(&self) -> &D {
        &self.desk
    }

    /// Takes a request, by value, to its permit, its review or its refusal.
    pub async fn pass<P: Protocol>(
        &self,
        request: P::Request,
        circumstances: Circumstances,
        moment: Moment,
    ) -> Passage<P> {
        let none = Approvals::new();
        match self.bench.decide(request.operation(), &circumstances, &none, moment.at) {
            Ruling::Permit(obligations, clear) => {
                self.record(request, (obligations, clear), Leave::default(), moment).await
            }
            Ruling::Refuse { class, retry, ground } => {
                let refusal = refusal_from(moment.decision, class, retry, ground, None);
                self.refuse(&request, refusal, moment).await
            }
            Ruling::Hold { ground, .. } => {
                // Filing a review takes room too.
                if let Err(full) = self.journal.room() {
                    let refusal = unrecorded(moment.decision, &ground.what, &full.into());
                    return self.refuse(&request, refusal, moment).await;
                }
                if request.shown().elided {
                    let refusal = unreviewable(moment.decision, ground);
                    return self.refuse(&request, refusal, moment).await;
                }
                let (id, used) = (moment.request, moment.used);
                Passage::ToReview(Question { request, circumstances, again: None, id, used })
            }
        }
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
        let (operation, circumstances) = (request.operation(), &held.circumstances);
        let ruling = self.bench.decide(operation, circumstances, groups, moment.at);
        let Ruling::Permit(obligations, clear) = ruling else {
            return because("an approval alone would not let it run");
        };
        let moment_used = Moment { used: held.used, ..moment };
        if used_up(request.operation(), &obligations, moment_used).is_some() {
            return because("what a limit leaves the caller is used up");
        }
        if let Err(full) = self.journal.room() {
            return because(&full.to_string());
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
        match self.journal.begin(entry, Durability::Durable).await {
            Ok(receipt) => {
                let request = request.clone();
                let leave = (obligations, clear);
                Ok(RehearsalPermit::issue(request, leave, receipt, moment.request))
            }
            Err(error) => because(&error.to_string()),
        }
    }

    async fn record<P: Protocol>(
        &self,
        request: P::Request,
        (obligations, clear): (Obligations, Clear),
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
            of_gateway: leave.of_gateway,
            durability,
        };
        // What only undoes may be what gives room back, and lets go of what a session holds.
        let undoes = operation.only_rolls_back();
        let entry = self.entry(moment.request, moment.at, event);
        let recorded = match undoes {
            true => self.journal.append(entry, durability).await.map_err(BeginError::from),
            false => self.journal.begin(entry, durability).await,
        };
        match recorded {
            Ok(receipt) => {
                let ruled = (obligations, clear);
                Passage::Permitted(Permit::issue(request, ruled, receipt, moment.request))
            }
            Err(error) => Passage::Refused(self.unrecorded::<P>(&request, &error, moment).await),
        }
    }

    /// Looks once more whether a permitted request is frozen, or the session's grant over, right before it
    /// is sent: both count from the moment they are made, and recording may have taken a while. What is refused now has its
    /// intent in the record already, so the driver owes it an outcome.
    ///
    /// # Errors
    /// The [`Refusal`] to tell the caller, recorded.
    pub async fn departing<P: Protocol>(
        &self,
        permit: Permit<P>,
        moment: Moment,
    ) -> Result<Permit<P>, Refusal> {
        let what = || permit.request().operation().to_string();
        let Some(Barred { class, retry, ground }) = self.bench.since(permit.clear(), what, moment)
        else {
            return Ok(permit);
        };
        let refusal = refusal_from(moment.decision, class, retry, ground, None);
        let request = permit.request();
        let (shown, operation, digest) = (request.shown(), request.operation(), request.digest());
        let moment = Moment { request: permit.id(), ..moment };
        Err(Box::pin(self.record_refusal(shown, operation, digest, refusal, moment)).await)
    }

    /// Why what would take a request in flight further is frozen by now, or without a grant, where it is:
    /// `what`, in words.
    /// Nothing is recorded: the request's own outcome tells.
    #[must_use]
    pub fn frozen_since<P: Protocol>(
        &self,
        flight: &InFlight<P>,
        what: &str,
        moment: Moment,
    ) -> Option<Refusal> {
        let Barred { class, retry, ground } =
            self.bench.since(flight.clear()?, || what.to_owned(), moment)?;
        Some(refusal_from(moment.decision, class, retry, ground, None))
    }

    /// Refuses what cannot be recorded. That a record would be too large can be recorded.
    async fn unrecorded<P: Protocol>(
        &self,
        request: &P::Request,
        error: &BeginError,
        moment: Moment,
    ) -> Refusal {
        let (operation, digest) = (request.operation(), request.digest());
        let refusal = unrecorded(moment.decision, &operation.to_string(), error);
        if !matches!(error, BeginError::Unrecorded(JournalError::TooLarge(_))) {
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
            self.journal.begin(entry(self.scrubbed(shown)), Durability::Durable).await;
        if matches!(recorded, Err(BeginError::Unrecorded(JournalError::TooLarge(_)))) {
            recorded = self.journal.begin(entry(unshown()), Durability::Durable).await;
        }
        match recorded {
            Ok(_) => refusal,
            Err(error) => unrecorded(moment.decision, &refusal.what, &error),
        }
    }

    fn entry(&self, request: RequestId, at: Timestamp, event: Event) -> Entry {
        Entry { at, session: Some(self.session), request: Some(request), event }
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

/// A log-in as an operation, with the settings asked for in it.
fn logging_in(connection: &str, asked: Vec<Effect>) -> Operation {
    let object = Object::new(ObjectKind::Connection, [connection]);
    let connect = Effect::resolved(Verb::Connect, object, Extent::One);
    Operation {
        kinds: std::iter::once("connect")
            .chain((!asked.is_empty()).then_some("set"))
            .map(Box::from)
            .collect(),
        effects: std::iter::once(connect).chain(asked).collect(),
        lineages: SmallVec::new(),
    }
}

/// What people have given for a request that runs: an approval of it, or a pattern it fits.
#[derive(Debug, Clone, Copy, Default)]
struct Leave {
    review: Option<ReviewId>,
    pattern: Option<Use>,
    /// True where nobody was to give any: the gateway asks by itself.
    of_gateway: bool,
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
