//! The driver of one PostgreSQL session: one task that owns both sockets.
//!
//! It moves requests from the client's bytes to the gate, permits to the link, and masked answers
//! back. It decides nothing: every way to the target is a permit, and every byte to the client is
//! masked or written by the gateway itself.

mod asked;
mod bounded;
mod definitions;
mod estimate;
mod governed;
mod grammar;
mod holding;
mod kept;
mod pausing;
mod refusing;
mod rehearsing;
mod tally;

use crate::catalog::{Done, Inside, SharedCatalog};
use crate::fleet::{Changing, Telling};
use crate::generation::Governed;
use crate::judge::SessionJudge;
use crate::labels::Labels;
use crate::live::{Entered, Killed, KilledFuture, Noting, State};
use crate::moment::Moments;
use crate::rate::RateMeter;
use crate::room::Share;
use crate::services::CancelWatch;
use crate::written::{self, CopyWatch};
use bounded::{Bounds, Unsent, puts_off};
use bytes::BytesMut;
use definitions::done;
pub(crate) use pausing::Unwaited;
use portcullis_core::effect::Operation;
use portcullis_core::fate::Fate;
use portcullis_core::gate::{Gate, Moment, Passage};
use portcullis_core::id::{RequestId, SessionId};
use portcullis_core::journal::{Entry, Event, Journal as _, JournalError, Status};
use portcullis_core::limits::{Limits, Used};
use portcullis_core::link::{Link, LinkError, Progress};
use portcullis_core::mask::{MaskFailure, Redactor as _};
use portcullis_core::masked::{Masked, Raw};
use portcullis_core::permit::{InFlight, Permit};
use portcullis_core::protocol::{Request as _, Shown};
use portcullis_core::refusal::{Refusal, rule};
use portcullis_core::time::Timestamp;
use portcullis_core::verdict::Circumstances;
use portcullis_frontends::ClientStream;
use portcullis_ledger::{AnswerSample, RecordError, Recorder, SampleValue};
use portcullis_store::ReviewDesk;
use portcullis_targets::{CancelHandle, PgTransport};
use portcullis_wire::pg::answer::AnswerMasker;
use portcullis_wire::pg::chore::{Chore, ChoreOutcome};
use portcullis_wire::pg::conversation::{Conversation, FeedKind, Turn, Why};
use portcullis_wire::pg::frames::Frames;
use portcullis_wire::pg::message::ProtocolError;
use portcullis_wire::pg::protocol::Postgres;
use portcullis_wire::pg::sample::Sample;
use portcullis_wire::pg::server::{self, WireError};
use portcullis_wire::pg::unit::{Shape, Unit};
use refusing::own_refusal;
pub(crate) use refusing::refusal_of;
pub(crate) use rehearsing::Rehearsed;
use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Client bytes that may wait while a request is in flight or held.
const INBOX_LIMIT: usize = 256 * 1024;
/// The SQLSTATE of a request that was cancelled (`query_canceled`).
const CANCELLED: &str = "57014";
/// The SQLSTATE of a request that was frozen (`insufficient_privilege`).
const FROZEN: &str = "42501";
/// What there is too much of where a request finds no room.
const NO_ROOM: &str = "bytes of all clients together";
/// After this long without another message, a pipeline is taken to wait for what came of it.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a target may take for one of the gateway's own chores.
const CHORE_PATIENCE: Duration = Duration::from_secs(60);
/// What a client is told where nobody knows whether its changes are committed.
const UNRESOLVED: &str = "the target was lost between COMMIT and its answer, so nobody knows whether \
    what this request changed is committed or undone; look at its rows before you send it again";
/// How long what is under way may take once the client sends no more: it may have sent it and gone.
const FAREWELL: Duration = Duration::from_secs(10);
/// How long a COMMIT of the gateway's own may still take once somebody has ended the session: what has
/// become of the changes is known more often then.
const COMMIT_GRACE: Duration = Duration::from_millis(500);
/// How long a client may take to hear why its session ends.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The same where somebody has ended it, which is to be over soon.
const LAST_WORDS_KILLED: Duration = Duration::from_millis(300);

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// The client said goodbye.
    #[error("the client closed the session")]
    Terminated,
    /// The client hung up.
    #[error("the client went away")]
    ClientLeft,
    /// The client's socket failed.
    #[error("the client's connection failed: {0}")]
    Client(#[from] io::Error),
    /// The client broke the protocol.
    #[error("the client broke the protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// The target is gone.
    #[error("{0}")]
    Target(LinkError),
    /// The target has ended the session, and the client has its reason.
    #[error("the target ended the session")]
    Dismissed,
    /// The target was lost between the COMMIT of a transaction of the gateway's own and its answer.
    #[error("nobody knows whether the target has committed: {0}")]
    Unresolved(Box<End>),
    /// An answer could not be masked.
    #[error("{0}")]
    Withheld(MaskFailure),
    /// The record cannot be kept.
    #[error("{0}")]
    Unrecorded(#[from] JournalError),
    /// The caller's token expired.
    #[error("the caller's token expired")]
    TokenExpired,
    /// Somebody has ended the session.
    #[error("{0}")]
    Killed(Arc<Killed>),
    /// The recording cannot be kept.
    #[error("{0}")]
    Unrecordable(#[from] RecordError),
    /// The gateway could not make ready for the session.
    #[error("{0}")]
    Unprepared(String),
    /// A column that is to be masked is not there any more: it may go by another name.
    #[error("a mask rule of this connection names no column of the target any more")]
    Uncovered,
    /// Its connection is not there any more, or leads elsewhere.
    #[error("its connection was changed or removed")]
    Reconfigured,
    /// There are rules that this gateway cannot go by.
    #[error("this gateway cannot take up the rules that are in force")]
    Behind,
    /// The rules there are now would not have let it in.
    #[error("the gateway's rules were changed, and do not let it in any more: {}", .0.what)]
    NotLetIn(Box<Refusal>),
    /// There is no room for copied rows.
    #[error("the gateway keeps as many bytes of its clients as it may")]
    NoRoom,
    /// The gateway stops.
    #[error("the gateway stops")]
    Stopping,
}

impl End {
    /// Who has ended the session from outside, where somebody has.
    pub(crate) fn killed(&self) -> Option<&Killed> {
        match self {
            Self::Killed(killed) => Some(killed),
            Self::Unresolved(why) => why.killed(),
            _ => None,
        }
    }
}

impl From<LinkError> for End {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Answer(failure) => Self::Withheld(failure),
            other => Self::Target(other),
        }
    }
}

impl From<MaskFailure> for End {
    fn from(failure: MaskFailure) -> Self {
        Self::Withheld(failure)
    }
}

/// A caller's right to its session: it ends with the token, or when somebody ends the session.
/// Whatever a session waits for, it does not wait past that; but for the answer to a COMMIT of its
/// own, and then for [`COMMIT_GRACE`] where somebody ends it.
pub(crate) struct Lease {
    at: Timestamp,
    sleep: Pin<Box<tokio::time::Sleep>>,
    entered: Arc<Entered>,
    killed: KilledFuture,
    pauses: pausing::Pauses,
}

impl Lease {
    /// The token expires `at`. Must be called within a Tokio runtime.
    pub(crate) fn new(at: Timestamp, entered: Arc<Entered>) -> Self {
        let sleep = Box::pin(tokio::time::sleep(at.since(crate::moment::now())));
        let (killed, pauses) = (entered.killed(), entered.pauses());
        Self { at, sleep, entered, killed, pauses }
    }

    /// Why it is over by now, where it is.
    fn over(&self) -> Option<End> {
        if let Some(killed) = self.entered.is_killed() {
            return Some(End::Killed(killed));
        }
        (self.at <= crate::moment::now()).then_some(End::TokenExpired)
    }

    /// Resolves when it is over, with why. Cancel-safe.
    pub(super) async fn ended(&mut self) -> End {
        tokio::select! {
            biased;
            killed = self.killed.as_mut() => {
                self.killed = self.entered.killed();
                End::Killed(killed)
            }
            () = self.sleep.as_mut() => End::TokenExpired,
        }
    }

    /// Resolves when somebody has ended the session so long ago.
    fn killed_for(&self, time: Duration) -> impl Future<Output = End> + Send + Sync + use<> {
        let killed = self.entered.killed();
        async move {
            let killed = killed.await;
            tokio::time::sleep(time).await;
            End::Killed(killed)
        }
    }

    /// The outcome of `action`, unless it is over before there is one.
    async fn before<T, E>(&mut self, action: impl Future<Output = Result<T, E>>) -> Result<T, End>
    where
        End: From<E>,
    {
        tokio::select! {
            biased;
            outcome = action => Ok(outcome?),
            end = self.ended() => Err(end),
        }
    }

    /// The session does this now.
    pub(super) fn is(&self, state: State) {
        self.entered.is(state);
    }
}

/// One session, logged in on both sides.
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) client: ClientStream,
    pub(crate) inbox: BytesMut,
    pub(crate) link: Link<Postgres, PgTransport>,
    pub(crate) gate: Gate<SessionJudge, Noting, ReviewDesk>,
    pub(crate) judge: SessionJudge,
    /// What it goes by.
    pub(crate) governed: Governed,
    pub(crate) conversation: Conversation,
    pub(crate) analyst: Arc<crate::login::SessionAnalyst>,
    pub(crate) unasked: InFlight<Postgres>,
    /// What looks at rows that the request in flight copies in.
    pub(crate) copies: Option<Box<CopyWatch>>,
    pub(crate) recorder: Recorder,
    /// How many rows of each answer are recorded.
    pub(crate) sample_rows: usize,
    pub(crate) catalog: Arc<SharedCatalog>,
    /// What this session alone knows of definitions, inside a transaction.
    pub(crate) inside: Inside,
    /// What of the gateway's memory the client's bytes take.
    pub(crate) share: Share,
    /// Whether the client has cancelled the request under way.
    pub(crate) cancelled: CancelWatch,
    pub(crate) lease: Lease,
    pub(crate) moments: Moments,
    pub(crate) refused: HashMap<[u8; 32], u32>,
    /// What it has used up of what limits count.
    pub(crate) used: Used,
    /// How often the request under way was counted.
    pub(crate) counted: u64,
    /// The tightest limits on what was put off to the end of the open transaction.
    pub(crate) put_off: Limits,
    /// How often its principal asks on this connection, where a rule limits that.
    pub(crate) rate: Option<Arc<RateMeter>>,
    /// True where statements have run in the open pipeline.
    pub(crate) pipeline_ran: bool,
    /// True where its open transaction or pipeline has changed something that is not committed yet.
    pub(crate) unkept: bool,
    /// Which columns of made tables are masked as what they came from.
    pub(crate) labels: Arc<Labels>,
    /// True where it may have made labelled tables in its transaction.
    pub(crate) makes_labelled: bool,
    /// What other gateways are told of it.
    pub(crate) telling: Telling,
    /// Stops what the target does for the session.
    pub(crate) target_cancel: CancelHandle,
    /// Since when the client sends no more.
    pub(crate) left: Option<Instant>,
    /// The rehearsal on which people decide, with its transaction open.
    pub(crate) rehearsal: Option<Box<Rehearsed>>,
    /// Why the next request is refused that has waited while the session was paused.
    pub(crate) unwaited: Option<Unwaited>,
    /// When it was begun to read the request under way.
    pub(crate) began: Instant,
}

impl Session {
    /// Runs the session to its end, and tells the client why where it can; and says whether it could.
    pub(crate) async fn run(&mut self) -> (End, bool) {
        let end = match self.serve().await {
            Ok(never) => match never {},
            // It may have said so before the request that found it gone.
            Err(End::Target(_)) if self.unasked.masker().fatal() => End::Dismissed,
            Err(end) => end,
        };
        Box::pin(self.forsake_rehearsal()).await;
        self.lease.is(State::Ending);
        let told = Box::pin(self.say_goodbye(&end)).await;
        (end, told)
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        loop {
            let mut current = true;
            let mut paused = false;
            let turn = loop {
                // A cancel that came before the last byte of a request is not meant for it.
                self.cancelled.forget();
                // What the bytes mean is read from definitions as they are now, not as they were
                // when the session fell silent.
                if paused || !self.inbox.is_empty() {
                    self.wait_while_paused().await?;
                    self.lease.is(State::Running);
                    current = self.refresh_catalog().await?;
                    if self.conversation.doubts_names(&self.inbox) {
                        Box::pin(self.ask_for_names()).await?;
                    }
                }
                if paused && let Some(turn) = self.conversation.pause() {
                    break turn;
                }
                self.began = Instant::now();
                if let Some(turn) = self.conversation.next(&mut self.inbox)? {
                    break turn;
                }
                if self.left.is_some() {
                    return Err(End::ClientLeft);
                }
                if !self.has_room() && self.conversation.give_up(&self.inbox, self.no_room()) {
                    continue;
                }
                self.lease.is(match self.conversation.transaction_status() {
                    b'I' => State::Idle,
                    _ => State::IdleInTransaction,
                });
                let waits = self.inbox.is_empty() && self.conversation.may_be_waited_for();
                let pause = waits.then(|| Instant::now() + PAUSE);
                tokio::select! {
                    read = self.client.read(&mut self.inbox) => if read? == 0 {
                        self.left = Some(Instant::now());
                    },
                    raw = self.link.receive() => {
                        self.take_up()?;
                        let masked = self.unasked.mask(raw?)?;
                        self.deliver(&masked).await?;
                    }
                    () = reached(pause) => paused = true,
                    end = self.lease.ended() => return Err(end),
                }
            };
            if let Some(end) = self.lease.over() {
                return Err(end);
            }
            self.lease.is(State::Running);
            self.take_up()?;
            if self.judge.lacks_a_column() {
                return Err(End::Uncovered);
            }
            // On the heap for as long as it takes: a session that is idle is nothing of it.
            Box::pin(self.take(turn, current)).await?;
        }
    }

    /// True where what is kept of the client's bytes fits beside that of all other sessions.
    fn has_room(&mut self) -> bool {
        self.share.set(self.conversation.kept_bytes() + self.inbox.len())
    }

    fn no_room(&self) -> Why {
        Why::Limit { what: NO_ROOM, limit: self.share.most() }
    }

    /// True where bytes may be read that wait for a request to be over.
    fn may_read_ahead(&mut self) -> bool {
        self.inbox.len() < INBOX_LIMIT && self.has_room()
    }

    /// Takes on what came from the client; `current` where its facts are those of now.
    async fn take(&mut self, turn: Turn, current: bool) -> Result<(), End> {
        match turn {
            Turn::Unit(unit) => match self.informed(unit, current).await? {
                Some((unit, current)) if current || !self.depends(unit.operation()) => {
                    self.unit(*unit).await
                }
                Some((unit, _)) => self.outdated(*unit).await,
                None => Ok(()),
            },
            Turn::Unformed(unformed) => self.unformed(*unformed).await,
            Turn::SkippedSync => {
                let status = self.conversation.transaction_status();
                self.author(|out| server::ready(out, status)).await
            }
            // Copy data outside a copy: the server would ignore it as well.
            Turn::Feed(_) => Ok(()),
            Turn::Terminate => Err(End::Terminated),
        }
    }

    async fn unit(&mut self, unit: Unit) -> Result<(), End> {
        if let Some(refused) = self.unpaused() {
            return Box::pin(self.refuse_paused(&unit, refused)).await;
        }
        if let Some(failure) = self.uncopyable(&unit) {
            let next = "use SELECT, or COPY in text or CSV format";
            let why = failure.to_string();
            return Box::pin(self.refuse_unit(&unit, rule::MASKED_STAYS_MASKED, why, next)).await;
        }
        if let Some(why) = written::written_back(&self.judge, &unit) {
            let refused = self.refuse_unit(&unit, written::RULE, why, written::NEXT);
            return Box::pin(refused).await;
        }
        if let Some(why) = self.unfollowable(&unit) {
            let next = "end the transaction with COMMIT";
            let refused = self.refuse_unit(&unit, rule::MASKED_STAYS_MASKED, why.to_owned(), next);
            return Box::pin(refused).await;
        }
        let (shape, moment) = (unit.shape(), self.metered(unit.statements()));
        let digest = *unit.digest().as_bytes();
        let circumstances = Circumstances {
            in_transaction: self.conversation.transaction_status() != b'I',
            unkept: self.unkept,
            ..Circumstances::default()
        };
        self.governed.judges();
        let passage = self.gate.pass::<Postgres>(unit, circumstances, moment).await;
        self.gate.journal().meters().decided(self.began.elapsed());
        match passage {
            Passage::Permitted(permit) => self.send(permit).await,
            Passage::ToReview(question) => Box::pin(self.review(question, shape)).await,
            // The gate holds nothing before it has asked.
            Passage::Held(held) => match Box::pin(self.hold(held, shape)).await? {
                Some(question) => Box::pin(self.review(question, shape)).await,
                None => Ok(()),
            },
            Passage::Refused(refusal) => {
                self.unmeter();
                self.refuse(&refusal, shape, Some(digest)).await
            }
        }
    }

    /// A transaction that has made tables of masked columns is not handed over to whoever ends it
    /// when: until it ends it is this session's business whether they are there.
    fn unfollowable(&self, unit: &Unit) -> Option<&'static str> {
        let mut kinds = unit.operation().kinds.iter();
        let prepares = kinds.any(|kind| &**kind == "prepare transaction");
        (prepares && self.makes_labelled).then_some(
            "the transaction has made tables that hold values of masked columns, and nobody could \
             tell when they appear",
        )
    }

    /// The moment of a request that counts: as often as it runs statements. What was used up is what
    /// there was before the last of them.
    fn metered(&mut self, statements: u64) -> Moment {
        let before_last = |used: u64| used.saturating_add(statements.saturating_sub(1));
        let mut used = self.used;
        if let Some(rate) = &self.rate {
            [used.last_second, used.last_minute, used.last_hour] =
                rate.count(Instant::now(), statements).map(before_last);
        }
        used.requests = before_last(used.requests);
        self.used.requests = self.used.requests.saturating_add(statements);
        self.counted = statements;
        Moment { used, ..self.moments.next() }
    }

    /// The request just counted is refused, and does not count.
    fn unmeter(&mut self) {
        self.used.requests = self.used.requests.saturating_sub(self.counted);
        if let Some(rate) = &self.rate {
            rate.take_back(Instant::now(), self.counted);
        }
    }

    /// A copy out whose rows could not be masked is refused before it starts.
    fn uncopyable(&self, unit: &Unit) -> Option<MaskFailure> {
        let parts = &unit.script().parts;
        parts.iter().any(|p| p.copy_out.is_some()).then_some(())?;
        let lineages = &unit.operation().lineages;
        let redactor = self.judge.redactor(lineages);
        parts.iter().zip(lineages).enumerate().find_map(|(i, (part, lineage))| {
            let columns = lineage.outputs.as_ref().map_or(0, Vec::len);
            redactor.plan_copy(i, columns, part.copy_out?).err()
        })
    }

    async fn send(&mut self, permit: Permit<Postgres>) -> Result<(), End> {
        let (request, shape) = (permit.id(), permit.request().shape());
        let started = Instant::now();
        let done = done(permit.request(), started);
        let outside = self.conversation.transaction_status() == b'I';
        self.telling.announces = self.inside.is_told(outside, done);
        // The target ignores a cancel that comes before the statement, so it is obeyed here.
        if self.cancelled.is_cancelled() {
            drop(permit);
            return self.cancelled_unsent(request, shape, started).await;
        }
        let mut bounds = self.bounds(&permit);
        if let Some(bounds) = &mut bounds
            && let Some(unsent) = self.open_bracket(bounds, &permit).await?
        {
            drop(permit);
            return self.unsent(unsent, shape, request, started).await;
        }
        let runs = !permit.request().prepares_only();
        // What may take time comes before it is looked the last time whether it may be sent.
        let unseen = outside
            && self.telling.changing.is_none()
            && definitions::only_temporary(permit.request().operation());
        if self.telling.announces
            && !unseen
            && let Err(refusal) = self.tell_others(permit.request().operation()).await?
        {
            drop(permit);
            let unsent = (request, shape, started);
            return Box::pin(self.frozen_unsent(unsent, &refusal, bounds.as_ref())).await;
        }
        if let Some(refusal) = self.judged_too_long_ago(permit.request().operation()) {
            drop(permit);
            let unsent = (request, shape, started);
            return Box::pin(self.frozen_unsent(unsent, &refusal, bounds.as_ref())).await;
        }
        let permit = match self.gate.departing(permit, self.moments.next()).await {
            Ok(permit) => permit,
            Err(refusal) => {
                let unsent = (request, shape, started);
                return Box::pin(self.frozen_unsent(unsent, &refusal, bounds.as_ref())).await;
            }
        };
        // A pause that has come since then.
        if let Some(pause) = self.lease.paused() {
            let refusal = self.paused_refusal(permit.request().operation(), &pause);
            drop(permit);
            let unsent = (request, shape, started);
            return Box::pin(self.frozen_unsent(unsent, &refusal, bounds.as_ref())).await;
        }
        self.unkept |= runs && permit.request().operation().writes();
        let puts_off = puts_off(permit.request());
        self.copies = CopyWatch::of(&self.judge, permit.request()).map(Box::new);
        let flight = match self.link.send(permit) {
            Ok(flight) => flight,
            Err(error) => {
                self.outcome(request, None, Status::Broken, started)?;
                return Err(error.into());
            }
        };
        let answered = self.see_through((request, started, done), runs, flight, bounds.as_mut());
        answered.await?;
        self.put_off(bounds.as_ref(), puts_off);
        Ok(())
    }

    /// Answers a permitted request that is not sent.
    async fn unsent(
        &mut self,
        unsent: Unsent,
        shape: Shape,
        request: RequestId,
        started: Instant,
    ) -> Result<(), End> {
        let status =
            if matches!(unsent, Unsent::Because(_)) { Status::Limited } else { Status::Failed };
        self.outcome(request, None, status, started)?;
        match unsent {
            Unsent::Because(error) => {
                let status = self.fail_transaction().await?;
                self.answer_error(&error, shape, status).await?;
            }
            Unsent::Failed(said) => self.answer_undone(Some(said), shape).await?,
        }
        self.put_off(None, false);
        Ok(())
    }

    /// Passes on the answer to a request that was sent, and records what became of it.
    async fn see_through(
        &mut self,
        (request, started, done): (RequestId, Instant, Done),
        runs: bool,
        mut flight: InFlight<Postgres>,
        bounds: Option<&mut Bounds>,
    ) -> Result<(), End> {
        let mut bounds = bounds;
        let answered = self.bounded_answer(&mut flight, bounds.as_deref_mut()).await;
        let limited = matches!(answered, Ok(true));
        let answered = answered.map(drop);
        let ended = bounds.and_then(|bounds| bounds.ended());
        self.pipeline_ran = self.conversation.pipeline_open() && (self.pipeline_ran || runs);
        let status = match (&answered, ended.map(|ended| ended.fate)) {
            (_, Some(Fate::Committed)) => Status::Done,
            (_, Some(Fate::Undone)) => Status::Undone,
            (_, Some(Fate::Unknown)) => Status::Unknown,
            (Ok(()), None) if limited => Status::Limited,
            (Ok(()), None) if flight.masker().error_code().is_some() => Status::Failed,
            (Ok(()), None) => Status::Done,
            (Err(End::Withheld(_)), None) => Status::Withheld,
            (Err(_), None) => Status::Broken,
        };
        let at_commit = ended.and_then(|ended| ended.error.clone());
        let left = flight.masker().transaction_status();
        // The transaction may have been the gateway's own.
        let left = left.map(|_| self.conversation.transaction_status());
        self.inside.after(&self.catalog, left, done);
        if left == Some(b'I') && std::mem::take(&mut self.makes_labelled) {
            self.labels.settle(self.id);
        }
        if left == Some(b'I')
            && let Some(changing) = self.telling.changing.take()
        {
            changing.end().await;
        }
        let inside = self.conversation.transaction_status() != b'I';
        self.unkept &= inside || self.conversation.pipeline_open();
        if answered.is_err() {
            self.inside.broken(&self.catalog);
        }
        self.outcome_of(request, Some(&mut flight), (status, at_commit), started)?;
        answered
    }

    /// Passes the answer on within its limits; true where it went beyond one.
    async fn bounded_answer(
        &mut self,
        flight: &mut InFlight<Postgres>,
        mut bounds: Option<&mut Bounds>,
    ) -> Result<bool, End> {
        if let Some(bounds) = &bounds {
            Self::set_bounds(bounds, flight);
        }
        self.answer(flight, bounds.as_deref_mut()).await?;
        self.conversation.copying(false);
        match bounds {
            Some(bounds) => self.close_bounds(bounds, flight).await,
            None => Ok(false),
        }
    }

    /// Sends the request and passes the answer on, masked, until it is whole; feeds copied-in rows
    /// meanwhile. A target may answer before it has read everything: the rest is still sent.
    async fn answer(
        &mut self,
        flight: &mut InFlight<Postgres>,
        mut bounds: Option<&mut Bounds>,
    ) -> Result<(), End> {
        let mut copied = false;
        loop {
            let deadline = bounds.as_ref().and_then(|b| b.deadline.filter(|_| !b.stopping));
            let copying = flight.masker().copying_in();
            self.conversation.copying(copying);
            if copying && !copied {
                self.copies.as_mut().into_iter().for_each(|copies| copies.begin());
            }
            copied = copying;
            if copying && self.link.is_sent() && !self.feed(flight).await? && self.left.is_some() {
                return Err(End::ClientLeft);
            }
            // Copied rows are fed on at once, so what stays is one message, however long.
            let awaits_rows = copying && self.link.is_sent();
            if awaits_rows && !self.has_room() {
                return Err(End::NoRoom);
            }
            let takes_more = self.left.is_none() && (awaits_rows || self.may_read_ahead());
            let left = self.left;
            let tell_sent = copying || flight.masker().finished();
            let progress = async {
                if tell_sent {
                    return self.link.progress().await;
                }
                self.link.receive().await.map(Progress::Answer)
            };
            tokio::select! {
                progress = progress => if let Progress::Answer(raw) =
                    progress.map_err(|error| match (error, &bounds) {
                        (LinkError::Answer(failure), _) => failure.into(),
                        // Within bounds what it said may have been kept back.
                        (_, None) if flight.masker().fatal() => End::Dismissed,
                        (error, _) => error.into(),
                    })?
                {
                    let masked = flight.mask(raw)?;
                    // Others hear of it before the client knows that it is done.
                    if self.telling.announces && flight.masker().finished() {
                        self.catalog.changed();
                    }
                    if !masked.get().as_ref().is_empty() {
                        self.deliver(&masked).await?;
                    }
                    self.conversation.settle(flight.masker_mut().take_confirmations());
                },
                // It will send no more; it may still read.
                read = self.client.read(&mut self.inbox), if takes_more => if read? == 0 {
                    self.left = Some(Instant::now());
                },
                () = farewell(left) => return Err(End::ClientLeft),
                end = self.lease.ended() => return Err(end),
                () = reached(deadline) => if let Some(bounds) = bounds.as_deref_mut() {
                    self.stop(bounds, flight, true).await;
                },
            }
            if flight.masker().stopped()
                && let Some(bounds) = bounds.as_deref_mut()
            {
                self.stop(bounds, flight, false).await;
            }
            if flight.masker().finished() && self.link.is_sent() {
                return Ok(());
            }
        }
    }

    /// Takes what has come of copied-in rows on to the link; false where nothing has.
    async fn feed(&mut self, flight: &mut InFlight<Postgres>) -> Result<bool, End> {
        if let Some(error) = self.paused_rows().await? {
            return self.fail_copy(flight, &error);
        }
        match self.conversation.next(&mut self.inbox)? {
            Some(Turn::Feed(feed)) => {
                // What came in before the freeze fails with the rest.
                let (what, moment) = ("rows that are copied in", self.moments.next());
                if let Some(refusal) = self.gate.frozen_since(flight, what, moment) {
                    let error = Box::pin(self.refuse_frozen(refusal)).await;
                    return self.fail_copy(flight, &error);
                }
                let copies = self.copies.as_mut();
                if let Some(why) = copies.and_then(|copies| copies.look(&self.judge, &feed)) {
                    let error = Box::pin(self.masked_rows(why)).await;
                    return self.fail_copy(flight, &error);
                }
                let kind = feed.kind();
                self.link.feed(flight, feed)?;
                flight.masker_mut().feed_sent(kind);
                Ok(true)
            }
            Some(Turn::Terminate) => Err(End::Terminated),
            // In copy-in mode the conversation yields nothing else.
            Some(_) | None => Ok(false),
        }
    }

    /// Has the target fail a copy in, which the client is told why.
    fn fail_copy(&mut self, flight: &mut InFlight<Postgres>, why: &WireError) -> Result<bool, End> {
        let fail = self.conversation.fail_copy();
        self.link.feed(flight, fail)?;
        flight.masker_mut().feed_sent(FeedKind::Fail);
        flight.masker_mut().tell_instead(why);
        Ok(true)
    }

    /// The refusal of what would take a request further after a freeze.
    pub(super) async fn refuse_frozen(&mut self, refusal: Refusal) -> WireError {
        let shown = Shown { beyond: vec![refusal.what.clone()], ..Shown::default() };
        let operation = Operation { effects: Default::default(), ..Operation::unreadable() };
        let moment = self.moments.next();
        let refused = self.gate.refuse_unformed(shown, &operation, refusal, moment).await;
        server::refusal(&refused)
    }

    /// The refusal of copied-in rows that hold masked values. The copy was permitted and has begun,
    /// so it fails at the target as it would on an error of its own.
    async fn masked_rows(&mut self, why: String) -> WireError {
        let (shown, operation) = self
            .copies
            .as_ref()
            .map_or_else(|| (Shown::default(), Operation::unreadable()), |copies| copies.request());
        let moment = self.moments.next();
        let refusal = own_refusal(moment.decision, &operation, written::RULE, (why, written::NEXT));
        let refused = self.gate.refuse_unformed(shown, &operation, refusal, moment).await;
        server::refusal(&refused)
    }

    fn outcome(
        &mut self,
        request: RequestId,
        flight: Option<&mut InFlight<Postgres>>,
        status: Status,
        started: Instant,
    ) -> Result<(), End> {
        self.outcome_of(request, flight, (status, None), started)
    }

    /// Records what became of a request; with the error of its COMMIT, where it failed there.
    fn outcome_of(
        &mut self,
        request: RequestId,
        flight: Option<&mut InFlight<Postgres>>,
        (status, at_commit): (Status, Option<String>),
        started: Instant,
    ) -> Result<(), End> {
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let masker = flight.as_ref().map(|flight| flight.masker());
        let event = Event::Outcome {
            status,
            rows: masker.map_or(0, AnswerMasker::rows),
            tags: masker.map_or_else(Vec::new, |m| m.tags().map(str::to_owned).collect()),
            error: masker
                .and_then(AnswerMasker::error_code)
                .map(|c| String::from_utf8_lossy(&c).into_owned())
                .or(at_commit),
            masked: masker.map_or(0, AnswerMasker::masked_values),
            micros,
        };
        let rows = masker.map_or(0, AnswerMasker::rows);
        self.used.rows = self.used.rows.saturating_add(rows);
        let at = crate::moment::now();
        let entry = Entry { at, session: Some(self.id), request: Some(request), event };
        self.gate.journal().note(entry)?;
        if let Some(flight) = flight {
            let sample = flight.take_sample();
            self.keep_sample(&sample, request, rows)?;
        }
        Ok(())
    }

    /// Puts the first rows of an answer into the recording.
    fn keep_sample(
        &mut self,
        sample: &Masked<Sample>,
        request: RequestId,
        rows: u64,
    ) -> Result<(), End> {
        let at = crate::moment::now();
        for part in 0..sample.get().parts().len() {
            let kept = sample.clone().map(|s| kept(&s, part, at, request, rows, self.sample_rows));
            self.recorder.append(&kept)?;
        }
        Ok(())
    }

    /// Tells other gateways that definitions are about to be changed here for everybody, before what does
    /// that is sent. Where they cannot be told, none may be.
    async fn tell_others(&mut self, operation: &Operation) -> Result<Result<(), Refusal>, End> {
        if operation.only_rolls_back() {
            return Ok(Ok(()));
        }
        if self.telling.changing.is_none() {
            self.telling.changing = Changing::of(&self.labels, self.id);
        }
        let Some(changing) = &mut self.telling.changing else { return Ok(Ok(())) };
        let told = tokio::select! {
            biased;
            told = Box::pin(changing.tell()) => told,
            end = self.lease.ended() => return Err(end),
        };
        Ok(told.map_err(|error| {
            let why = (error.to_string(), "run it again in a while");
            let decision = self.moments.next().decision;
            own_refusal(decision, operation, rule::CURRENT_DEFINITIONS, why)
        }))
    }

    /// A permitted request that was frozen before a byte of it was sent.
    async fn frozen_unsent(
        &mut self,
        (request, shape, started): (RequestId, Shape, Instant),
        refusal: &Refusal,
        bounds: Option<&Bounds>,
    ) -> Result<(), End> {
        self.note_unsent(request, FROZEN, started)?;
        self.unmeter();
        if let Some(bounds) = bounds {
            self.undo_bracket(bounds).await?;
        }
        self.refuse(refusal, shape, None).await
    }

    /// A permitted request that was cancelled before a byte of it was sent.
    async fn cancelled_unsent(
        &mut self,
        request: RequestId,
        shape: Shape,
        started: Instant,
    ) -> Result<(), End> {
        self.note_unsent(request, CANCELLED, started)?;
        let status = self.fail_transaction().await?;
        let error = WireError::new(CANCELLED, "canceling statement due to user request");
        self.answer_error(&error, shape, status).await
    }

    /// Records that a permitted request was not sent.
    fn note_unsent(&self, request: RequestId, code: &str, started: Instant) -> Result<(), End> {
        let event = Event::Outcome {
            status: Status::Failed,
            rows: 0,
            tags: Vec::new(),
            error: Some(code.to_owned()),
            masked: 0,
            micros: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        };
        let at = crate::moment::now();
        let entry = Entry { at, session: Some(self.id), request: Some(request), event };
        Ok(self.gate.journal().note(entry)?)
    }

    /// Passes on what the target said unasked during a chore.
    async fn pass_on(&mut self, unasked: Option<Raw<Frames>>) -> Result<(), End> {
        if let Some(raw) = unasked {
            let masked = self.unasked.mask(raw)?;
            self.lease.before(self.client.write(&masked)).await?;
        }
        Ok(())
    }

    /// Runs a chore, for as long as there is a client to do it for, and no longer than a target
    /// that works may take.
    async fn chore(&mut self, chore: Chore) -> Result<ChoreOutcome, End> {
        let mut patience = std::pin::pin!(tokio::time::sleep(CHORE_PATIENCE));
        let mut run = std::pin::pin!(self.link.run(chore));
        loop {
            tokio::select! {
                biased;
                outcome = &mut run => return Ok(outcome?),
                read = self.client.read(&mut self.inbox),
                    if self.left.is_none() && self.inbox.len() < INBOX_LIMIT =>
                {
                    if read? == 0 {
                        self.left = Some(Instant::now());
                    }
                }
                end = self.lease.ended() => return Err(end),
                () = &mut patience => return Err(silent()),
            }
        }
    }

    /// Sends masked messages to the client.
    async fn deliver<T: AsRef<[u8]>>(&mut self, message: &Masked<T>) -> Result<(), End> {
        let (client, lease) = (&mut self.client, &mut self.lease);
        lease
            .before(async {
                client.write(message).await?;
                client.flush().await
            })
            .await
    }

    async fn author(&mut self, write: impl FnOnce(&mut BytesMut)) -> Result<(), End> {
        let mut out = BytesMut::new();
        write(&mut out);
        self.deliver(&Masked::authored_assertion(out)).await
    }

    /// True where the target may still be at work for this session.
    pub(crate) const fn in_flight(&self) -> bool {
        self.conversation.in_flight()
    }

    /// Tells a client that is still there why its session ends, and says whether it could be told.
    pub(crate) async fn say_goodbye(&mut self, end: &End) -> bool {
        let Some(error) = last_words(end) else { return true };
        let mut out = BytesMut::new();
        server::error(&mut out, &error.fatal());
        let farewell = async {
            self.client.write(&Masked::authored_assertion(out)).await?;
            self.client.flush().await
        };
        let patience = if end.killed().is_some() { LAST_WORDS_KILLED } else { LAST_WORDS };
        // The client may be gone already; the session ends either way.
        matches!(tokio::time::timeout(patience, farewell).await, Ok(Ok(())))
    }
}

/// What a client is told of the end of its session; nothing where it knows.
fn last_words(end: &End) -> Option<WireError> {
    let (code, message) = match end {
        End::Terminated
        | End::ClientLeft
        | End::Client(_)
        | End::Dismissed
        | End::Unprepared(_) => return None,
        End::Protocol(error) => ("08P01", format!("portcullis: {error}")),
        End::Target(_) => ("58000", "portcullis: the target closed the connection".to_owned()),
        // Of class 08, which pools take for "try again", though nobody must without having looked:
        // there is nothing to go on with.
        End::Unresolved(why) => {
            let killed = why.killed().map(|killed| format!("; {}", killed_words(killed)));
            ("08007", format!("portcullis: {UNRESOLVED}{}", killed.unwrap_or_default()))
        }
        End::Withheld(failure) => ("42501", format!("portcullis: {failure}; the session ends")),
        End::Unrecorded(_) | End::Unrecordable(_) => {
            ("58000", format!("portcullis: the record cannot be kept ({end}), so nothing runs"))
        }
        End::NoRoom => ("53200", format!("portcullis: {end}; try later")),
        End::Uncovered => {
            ("58000", format!("portcullis: {end}; tell the operator of this gateway"))
        }
        End::Reconfigured => {
            let why = "its connection was changed or removed, so this session ends; log in again";
            ("28000", format!("portcullis: {why}"))
        }
        End::Behind => {
            ("58000", format!("portcullis: {end}, so nothing runs; {}", crate::generation::MENDED))
        }
        End::NotLetIn(refusal) => return Some(server::refusal(refusal)),
        End::Stopping => ("57P01", "portcullis: the gateway stops".to_owned()),
        End::TokenExpired => {
            ("28000", "portcullis: your token has expired; log in again with a new one".to_owned())
        }
        End::Killed(killed) => return Some(killed_error(killed)),
    };
    Some(WireError::new(code, message))
}

/// What a client is told whose session somebody has ended: its right to it is gone, as when a token
/// expires. Not 57P01 (`admin_shutdown`), for which pools connect again and send the same.
pub(crate) fn killed_error(killed: &Killed) -> WireError {
    WireError::new("28000", format!("portcullis: {}", killed_words(killed)))
}

fn killed_words(killed: &Killed) -> String {
    let Killed { by, reason } = killed;
    format!(
        "{by} has ended this session: {reason}; what it was doing was called off; do not connect \
         again to go on with it before you have asked"
    )
}

/// The end of a session whose target does not answer the gateway's own.
fn silent() -> End {
    End::Target(io::Error::new(io::ErrorKind::TimedOut, "it does not answer").into())
}

/// Resolves when a client that sends no more has been waited for long enough.
async fn farewell(left: Option<Instant>) {
    match left {
        Some(left) => tokio::time::sleep_until((left + FAREWELL).into()).await,
        None => std::future::pending().await,
    }
}

/// Resolves when the time of a request is up.
async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// What the recording keeps of one part of an answer.
fn kept(
    sample: &Sample,
    part: usize,
    at: Timestamp,
    request: RequestId,
    rows: u64,
    most: usize,
) -> AnswerSample {
    let found = sample.parts().get(part);
    let kept: Vec<Vec<SampleValue>> = found
        .into_iter()
        .flat_map(|p| p.rows.iter().take(most))
        .map(|row| {
            row.iter().map(|v| SampleValue::from_bytes(v.as_ref().map(String::as_bytes))).collect()
        })
        .collect();
    AnswerSample {
        at,
        request,
        part: found.map_or(part, |p| p.part),
        columns: found.map(|p| p.columns.clone()).unwrap_or_default(),
        truncated: (kept.len() as u64) < rows,
        sample: kept,
        rows,
    }
}
