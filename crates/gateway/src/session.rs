//! The driver of one PostgreSQL session: one task that owns both sockets.
//!
//! It moves requests from the client's bytes to the gate, permits to the link, and masked answers
//! back. It decides nothing: every way to the target is a permit, and every byte to the client is
//! masked or written by the gateway itself.

mod bounded;
mod estimate;
mod grammar;
mod holding;
mod kept;
mod rehearsing;

use crate::catalog::{Awaited, Basis, Definitions, Done, Inside, Question, Rows, SharedCatalog};
use crate::judge::SessionJudge;
use crate::labels::Labels;
use crate::moment::Moments;
use crate::rate::RateMeter;
use crate::room::Share;
use crate::services::CancelWatch;
use crate::written::{self, CopyWatch};
use bounded::Bounds;
use bytes::BytesMut;
use portcullis_core::effect::{ObjectKind, Operation, Verb};
use portcullis_core::fate::Fate;
use portcullis_core::gate::{Gate, Moment, Passage};
use portcullis_core::id::{DecisionId, RequestId, SessionId};
use portcullis_core::journal::{Entry, Event, Journal as _, JournalError, Status};
use portcullis_core::limits::Used;
use portcullis_core::link::{Link, LinkError, Progress};
use portcullis_core::mask::{MaskFailure, Redactor as _};
use portcullis_core::masked::{Masked, Raw};
use portcullis_core::permit::{InFlight, Permit};
use portcullis_core::protocol::{Request as _, Shown};
use portcullis_core::refusal::{Refusal, RefusalClass, Retry};
use portcullis_core::time::Timestamp;
use portcullis_core::verdict::Circumstances;
use portcullis_frontends::ClientStream;
use portcullis_ledger::{AnswerSample, Ledger, RecordError, Recorder, SampleValue};
use portcullis_sql::catalog::{Catalog, Detailed};
use portcullis_store::ReviewDesk;
use portcullis_targets::{CancelHandle, PgTransport};
use portcullis_wire::pg::answer::AnswerMasker;
use portcullis_wire::pg::chore::{Chore, ChoreOutcome};
use portcullis_wire::pg::conversation::{Conversation, FeedKind, Turn, Unformed, Why};
use portcullis_wire::pg::frames::Frames;
use portcullis_wire::pg::message::ProtocolError;
use portcullis_wire::pg::protocol::Postgres;
use portcullis_wire::pg::sample::Sample;
use portcullis_wire::pg::script::Confirmation;
use portcullis_wire::pg::server::{self, SYNTAX_RULE, WireError};
use portcullis_wire::pg::unit::{Shape, Unit};
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
/// What there is too much of where a request finds no room.
const NO_ROOM: &str = "bytes of all clients together";
/// After this long without another message, a pipeline is taken to wait for what came of it.
const PAUSE: Duration = Duration::from_millis(500);
/// How often reading the catalog is tried where something hits it that passes.
const CATALOG_TRIES: u32 = 10;
/// And inside a transaction, which may see the past.
const CATALOG_TRIES_INSIDE: u32 = 3;
/// How much longer each time is waited before it is tried again.
const CATALOG_PAUSE: Duration = Duration::from_millis(5);
/// What is asked of prepared statements: those made by the protocol.
const PREPARED: &[&str] =
    &["SELECT name, statement FROM pg_catalog.pg_prepared_statements WHERE NOT from_sql"];
/// How long a target may take for one of the gateway's own chores.
const CHORE_PATIENCE: Duration = Duration::from_secs(60);
/// What a client is told where nobody knows whether its changes are committed.
const UNRESOLVED: &str = "the target was lost between COMMIT and its answer, so nobody knows whether \
    what this request changed is committed or undone; look at its rows before you send it again";
/// How long what is under way may take once the client sends no more: it may have sent it and gone.
const FAREWELL: Duration = Duration::from_secs(10);
/// Refused requests remembered per session, to slow identical repeats down.
const REMEMBERED_REFUSALS: usize = 256;

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
    /// The recording cannot be kept.
    #[error("{0}")]
    Unrecordable(#[from] RecordError),
    /// The gateway could not make ready for the session.
    #[error("{0}")]
    Unprepared(String),
    /// A column that is to be masked is not there any more: it may go by another name.
    #[error("a mask rule of this connection names no column of the target any more")]
    Uncovered,
    /// There is no room for copied rows.
    #[error("the gateway keeps as many bytes of its clients as it may")]
    NoRoom,
    /// The gateway stops.
    #[error("the gateway stops")]
    Stopping,
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

/// The end of a caller's token. Whatever a session waits for, it does not wait past it; but for the
/// answer to a COMMIT of its own.
pub(crate) struct Expiry {
    at: Timestamp,
    sleep: Pin<Box<tokio::time::Sleep>>,
}

impl Expiry {
    /// The token expires `at`. Must be called within a Tokio runtime.
    pub(crate) fn new(at: Timestamp) -> Self {
        Self { at, sleep: Box::pin(tokio::time::sleep(at.since(crate::moment::now()))) }
    }

    /// Resolves when the token expires. Cancel-safe.
    async fn reached(&mut self) {
        self.sleep.as_mut().await;
    }

    /// The outcome of `action`, unless the token expires before there is one.
    async fn before<T, E>(&mut self, action: impl Future<Output = Result<T, E>>) -> Result<T, End>
    where
        End: From<E>,
    {
        tokio::select! {
            biased;
            outcome = action => Ok(outcome?),
            () = self.reached() => Err(End::TokenExpired),
        }
    }
}

/// One session, logged in on both sides.
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) client: ClientStream,
    pub(crate) inbox: BytesMut,
    pub(crate) link: Link<Postgres, PgTransport>,
    pub(crate) gate: Gate<SessionJudge, Ledger, ReviewDesk>,
    pub(crate) judge: SessionJudge,
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
    pub(crate) expiry: Expiry,
    pub(crate) moments: Moments,
    pub(crate) refused: HashMap<[u8; 32], u32>,
    /// What it has used up of what limits count.
    pub(crate) used: Used,
    /// How often its principal asks on this connection, where a rule limits that.
    pub(crate) rate: Option<Arc<RateMeter>>,
    /// True where statements have run in the open pipeline.
    pub(crate) pipeline_ran: bool,
    /// Which columns of made tables are masked as what they came from.
    pub(crate) labels: Arc<Labels>,
    /// True where it may have made labelled tables in its transaction.
    pub(crate) makes_labelled: bool,
    /// The request under way may change definitions for others.
    pub(crate) announces: bool,
    /// Stops what the target does for the session.
    pub(crate) target_cancel: CancelHandle,
    /// Since when the client sends no more.
    pub(crate) left: Option<Instant>,
    /// The rehearsal on which people decide, with its transaction open.
    pub(crate) rehearsal: Option<Box<Rehearsed>>,
}

impl Session {
    /// Runs the session to its end, and tells the client why where it can.
    pub(crate) async fn run(&mut self) -> End {
        let end = match self.serve().await {
            Ok(never) => match never {},
            // It may have said so before the request that found it gone.
            Err(End::Target(_)) if self.unasked.masker().fatal() => End::Dismissed,
            Err(end) => end,
        };
        Box::pin(self.forsake_rehearsal()).await;
        Box::pin(self.say_goodbye(&end)).await;
        end
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
                    current = self.refresh_catalog().await?;
                    if self.conversation.doubts_names() {
                        Box::pin(self.ask_for_names()).await?;
                    }
                }
                if paused && let Some(turn) = self.conversation.pause() {
                    break turn;
                }
                if let Some(turn) = self.conversation.next(&mut self.inbox)? {
                    break turn;
                }
                if self.left.is_some() {
                    return Err(End::ClientLeft);
                }
                if !self.has_room() && self.conversation.give_up(&self.inbox, self.no_room()) {
                    continue;
                }
                let waits = self.inbox.is_empty() && self.conversation.may_be_waited_for();
                let pause = waits.then(|| Instant::now() + PAUSE);
                tokio::select! {
                    read = self.client.read(&mut self.inbox) => if read? == 0 {
                        self.left = Some(Instant::now());
                    },
                    raw = self.link.receive() => {
                        let masked = self.unasked.mask(raw?)?;
                        self.deliver(&masked).await?;
                    }
                    () = reached(pause) => paused = true,
                    () = self.expiry.reached() => return Err(End::TokenExpired),
                }
            };
            if self.expiry.at <= crate::moment::now() {
                return Err(End::TokenExpired);
            }
            if self.judge.lacks_a_column() {
                return Err(End::Uncovered);
            }
            // On the heap for as long as it takes: a session that is idle is nothing of it.
            Box::pin(self.take(turn, current)).await?;
        }
    }

    /// Asks the target what prepared statements a block of code has left.
    async fn ask_for_names(&mut self) -> Result<(), End> {
        let rows = match self.chore(Chore::read_catalog(PREPARED)).await? {
            ChoreOutcome::Catalog { rows, unasked } => {
                self.pass_on(unasked).await?;
                rows.queries.into_iter().next().unwrap_or_default()
            }
            ChoreOutcome::Settled { unasked, .. } => {
                self.pass_on(unasked).await?;
                Vec::new()
            }
            // They stay in doubt.
            ChoreOutcome::Failed { status, error, unasked, .. } => {
                self.pass_on(unasked).await?;
                if status != self.conversation.transaction_status() {
                    return Err(unreadable_catalog(&error.code));
                }
                Vec::new()
            }
        };
        let there = rows.iter().filter_map(|row| match row.as_slice() {
            [Some(name), Some(text)] => Some((name.as_str(), text.as_str())),
            _ => None,
        });
        self.conversation.settle_prepared(there);
        Ok(())
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

    /// True where it depends on definitions what a request does. In a failed transaction it does
    /// nothing, unless it ends it.
    fn depends(&self, operation: &Operation) -> bool {
        let failed = self.conversation.transaction_status() == b'E';
        defined(operation) && (!failed || steers_transactions(operation))
    }

    /// A unit by what is known of definitions now, and whether that is young enough. Inside a
    /// transaction they are read here and not before: `SET TRANSACTION` and the like, which need
    /// none, have to come before the first query.
    async fn informed(
        &mut self,
        unit: Box<Unit>,
        mut current: bool,
    ) -> Result<Option<(Box<Unit>, bool)>, End> {
        let mut unit = unit;
        let due = !current && defined(unit.operation()) && self.may_read_catalog();
        if due && matches!(self.inside.basis(&self.catalog, true), Basis::ReadInside) {
            current = self.read_inside().await?;
            match self.conversation.reconsider(*unit)? {
                Turn::Unit(anew) => unit = anew,
                Turn::Unformed(unformed) => return self.unformed(*unformed).await.map(|()| None),
                // The same messages make a unit, or none.
                Turn::Feed(_) | Turn::SkippedSync | Turn::Terminate => return Ok(None),
            }
        }
        let unit = self.resolved(unit).await?;
        // What was read just now may lack what is to be masked.
        if self.judge.lacks_a_column() {
            return Err(End::Uncovered);
        }
        Ok(unit.map(|unit| (unit, current)))
    }

    /// Where the catalog was replaced while the unit came in, or lacks a name in it and is read
    /// again for that, has the unit formed anew.
    async fn resolved(&mut self, unit: Box<Unit>) -> Result<Option<Box<Unit>>, End> {
        let mut anew = self.conversation.outdated();
        if unit.operation().lineages.iter().any(|l| l.missing) && self.may_read_catalog() {
            let outside = self.conversation.transaction_status() == b'I';
            if outside && self.catalog.may_have_missed() {
                self.read_catalog().await?;
                anew = true;
            } else if !outside && self.inside.may_have_missed() {
                self.read_inside().await?;
                anew = true;
            }
        }
        if !anew {
            return Ok(Some(unit));
        }
        match self.conversation.reconsider(*unit)? {
            Turn::Unit(unit) => Ok(Some(unit)),
            Turn::Unformed(unformed) => self.unformed(*unformed).await.map(|()| None),
            // The same messages make a unit, or none.
            Turn::Feed(_) | Turn::SkippedSync | Turn::Terminate => Ok(None),
        }
    }

    /// A unit that would be judged by definitions of which nobody knows whether they still hold.
    async fn outdated(&mut self, unit: Unit) -> Result<(), End> {
        let why = "the definitions it touches may have changed, and cannot be looked up from inside \
                   this transaction or pipeline";
        let next = "end the transaction (or send Sync) and run it again; REPEATABLE READ and \
                    SERIALIZABLE transactions have to be short";
        self.refuse_unit(&unit, "current-definitions", why.to_owned(), next).await
    }

    /// Refuses a unit by a rule of the gateway's own.
    async fn refuse_unit(
        &mut self,
        unit: &Unit,
        rule: &str,
        why: String,
        next: &str,
    ) -> Result<(), End> {
        let moment = self.moments.next();
        let refusal = own_refusal(moment.decision, unit.operation(), rule, (why, next));
        let refused =
            self.gate.refuse_unformed(unit.shown(), unit.operation(), refusal, moment).await;
        self.refuse(&refused, unit.shape(), None).await
    }

    async fn unit(&mut self, unit: Unit) -> Result<(), End> {
        if let Some(failure) = self.uncopyable(&unit) {
            let next = "use SELECT, or COPY in text or CSV format";
            let why = failure.to_string();
            return Box::pin(self.refuse_unit(&unit, "masked-stays-masked", why, next)).await;
        }
        if let Some(why) = written::written_back(&self.judge, &unit) {
            let refused = self.refuse_unit(&unit, written::RULE, why, written::NEXT);
            return Box::pin(refused).await;
        }
        if let Some(why) = self.unfollowable(&unit) {
            let next = "end the transaction with COMMIT";
            let refused = self.refuse_unit(&unit, "masked-stays-masked", why.to_owned(), next);
            return Box::pin(refused).await;
        }
        let (shape, moment) = (unit.shape(), self.metered());
        let digest = *unit.digest().as_bytes();
        let circumstances =
            Circumstances { in_transaction: self.conversation.transaction_status() != b'I' };
        match self.gate.pass::<Postgres>(unit, circumstances, moment).await {
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

    /// The moment of a request that counts.
    fn metered(&mut self) -> Moment {
        let mut used = self.used;
        if let Some(rate) = &self.rate {
            [used.last_second, used.last_minute, used.last_hour] = rate.count(Instant::now());
        }
        self.used.requests = self.used.requests.saturating_add(1);
        Moment { used, ..self.moments.next() }
    }

    /// The request just counted is refused, and does not count.
    fn unmeter(&mut self) {
        self.used.requests = self.used.requests.saturating_sub(1);
        if let Some(rate) = &self.rate {
            rate.take_back(Instant::now());
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
        let request = permit.id();
        let started = Instant::now();
        let done = done(permit.request(), started);
        // The target ignores a cancel that comes before the statement, so it is obeyed here.
        if self.cancelled.is_cancelled() {
            let shape = permit.request().shape();
            drop(permit);
            return self.cancelled_unsent(request, shape, started).await;
        }
        let mut bounds = self.bounds(&permit);
        if let Some(bounds) = &mut bounds
            && let Some(refused) = self.open_bracket(bounds, &permit).await?
        {
            let shape = permit.request().shape();
            drop(permit);
            self.outcome(request, None, Status::Limited, started)?;
            let status = self.fail_transaction().await?;
            return self.answer_error(&refused, shape, status).await;
        }
        let runs = !permit.request().prepares_only();
        self.copies = CopyWatch::of(&self.judge, permit.request()).map(Box::new);
        let flight = match self.link.send(permit) {
            Ok(flight) => flight,
            Err(error) => {
                self.outcome(request, None, Status::Broken, started)?;
                return Err(error.into());
            }
        };
        self.see_through((request, started, done), runs, flight, bounds.as_mut()).await
    }

    /// Passes on the answer to a request that was sent, and records what became of it.
    async fn see_through(
        &mut self,
        (request, started, done): (RequestId, Instant, Done),
        runs: bool,
        mut flight: InFlight<Postgres>,
        bounds: Option<&mut Bounds>,
    ) -> Result<(), End> {
        let outside = self.conversation.transaction_status() == b'I';
        self.announces = self.inside.is_told(outside, done);
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
                    if self.announces && flight.masker().finished() {
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
                () = self.expiry.reached() => return Err(End::TokenExpired),
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
        match self.conversation.next(&mut self.inbox)? {
            Some(Turn::Feed(feed)) => {
                let copies = self.copies.as_mut();
                if let Some(why) = copies.and_then(|copies| copies.look(&self.judge, &feed)) {
                    let error = Box::pin(self.masked_rows(why)).await;
                    let fail = self.conversation.fail_copy();
                    self.link.feed(flight, fail)?;
                    flight.masker_mut().feed_sent(FeedKind::Fail);
                    flight.masker_mut().tell_instead(&error);
                    return Ok(true);
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

    /// A permitted request that was cancelled before a byte of it was sent.
    async fn cancelled_unsent(
        &mut self,
        request: RequestId,
        shape: Shape,
        started: Instant,
    ) -> Result<(), End> {
        let event = Event::Outcome {
            status: Status::Failed,
            rows: 0,
            tags: Vec::new(),
            error: Some(CANCELLED.to_owned()),
            masked: 0,
            micros: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        };
        let at = crate::moment::now();
        let entry = Entry { at, session: Some(self.id), request: Some(request), event };
        self.gate.journal().note(entry)?;
        let status = self.fail_transaction().await?;
        let error = WireError::new(CANCELLED, "canceling statement due to user request");
        self.answer_error(&error, shape, status).await
    }

    /// A unit that could not even be formed.
    async fn unformed(&mut self, unformed: Unformed) -> Result<(), End> {
        let moment = self.moments.next();
        let refusal = refusal_of(&unformed, moment.decision);
        let Unformed { why, shown, operation, shape } = unformed;
        let position = position_in(&why, shown.statements.last().map_or("", String::as_str));
        let refusal = self.gate.refuse_unformed(shown, &operation, refusal, moment).await;
        if refusal.class == RefusalClass::Unavailable {
            return self.refuse(&refusal, shape, None).await;
        }
        let status = self.fail_transaction().await?;
        let version = self.analyst.catalog().map_or(0, |catalog| catalog.server_version());
        let mut error = WireError { position, ..as_the_server(&why, &refusal) };
        error.hint = grammar::hint(&why, version).or(error.hint);
        self.answer_error(&error, shape, status).await
    }

    /// Answers a refusal in the client's own protocol, and leaves the session as the server would
    /// after an error. Identical repeats are answered later and later.
    async fn refuse(
        &mut self,
        refusal: &Refusal,
        shape: Shape,
        digest: Option<[u8; 32]>,
    ) -> Result<(), End> {
        let status = self.fail_transaction().await?;
        if let Some(digest) = digest {
            let patience = self.patience(digest);
            tokio::select! {
                () = tokio::time::sleep(patience) => {}
                () = self.expiry.reached() => return Err(End::TokenExpired),
            }
        }
        self.answer_error(&server::refusal(refusal), shape, status).await
    }

    fn patience(&mut self, digest: [u8; 32]) -> Duration {
        if self.refused.len() >= REMEMBERED_REFUSALS {
            self.refused.clear();
        }
        let count = self.refused.entry(digest).or_default();
        *count = count.saturating_add(1);
        match *count {
            0..=2 => Duration::ZERO,
            n => Duration::from_secs(1 << (n - 3).min(4)),
        }
    }

    async fn answer_error(
        &mut self,
        error: &WireError,
        shape: Shape,
        status: u8,
    ) -> Result<(), End> {
        self.conversation.refused(shape);
        self.author(|out| {
            server::error(out, error);
            if shape != Shape::Flush {
                server::ready(out, status);
            }
        })
        .await
    }

    /// Where a transaction or a pipeline is open at the target, makes it fail as it would have
    /// failed on an error of its own.
    async fn fail_transaction(&mut self) -> Result<u8, End> {
        let status = self.conversation.transaction_status();
        if !self.conversation.pipeline_open() && status != b'T' {
            return Ok(status);
        }
        let (status, unasked) = match self.chore(Chore::fail_transaction()).await? {
            ChoreOutcome::Settled { status, unasked }
            | ChoreOutcome::Failed { status, unasked, .. } => (status, unasked),
            ChoreOutcome::Catalog { unasked, .. } => (status, unasked),
        };
        self.pass_on(unasked).await?;
        self.conversation.settle(&[Confirmation::Ready(status)]);
        Ok(status)
    }

    /// Passes on what the target said unasked during a chore.
    async fn pass_on(&mut self, unasked: Option<Raw<Frames>>) -> Result<(), End> {
        if let Some(raw) = unasked {
            let masked = self.unasked.mask(raw)?;
            self.expiry.before(self.client.write(&masked)).await?;
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
                () = self.expiry.reached() => return Err(End::TokenExpired),
                () = &mut patience => return Err(silent()),
            }
        }
    }

    /// Sends masked messages to the client.
    async fn deliver<T: AsRef<[u8]>>(&mut self, message: &Masked<T>) -> Result<(), End> {
        let (client, expiry) = (&mut self.client, &mut self.expiry);
        expiry
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

    fn may_read_catalog(&self) -> bool {
        self.conversation.transaction_status() != b'E' && !self.conversation.pipeline_open()
    }

    /// Uses a catalog that is young enough to judge by, reading it where there is none and no
    /// transaction is open. False where there is none.
    pub(crate) async fn refresh_catalog(&mut self) -> Result<bool, End> {
        let may_read = self.may_read_catalog();
        if may_read && self.conversation.transaction_status() == b'I' {
            if self.inside.is_alone() {
                match self.inside.own(&self.catalog) {
                    Some(catalog) => self.use_catalog(catalog),
                    None => self.read_catalog().await?,
                }
                return Ok(true);
            }
            match self.catalog.fresh() {
                Some(catalog) => self.use_catalog(catalog),
                None => Box::pin(self.await_catalog()).await?,
            }
            return Ok(true);
        }
        match self.inside.basis(&self.catalog, may_read) {
            Basis::Catalog(catalog) => self.use_catalog(catalog),
            // Read once it is known to be needed ([`Session::informed`]).
            Basis::TooOld | Basis::ReadInside => return Ok(false),
        }
        Ok(true)
    }

    /// Reads the catalog for all sessions, or uses what another reads.
    async fn await_catalog(&mut self) -> Result<(), End> {
        let shared = self.catalog.clone();
        match shared.awaited().await {
            Awaited::Read(catalog) => self.use_catalog(catalog),
            Awaited::Turn(turn) => {
                self.read_catalog().await?;
                drop(turn);
            }
        }
        Ok(())
    }

    /// Reads the catalog with digests of definitions, however young the last one is. `None` where it
    /// cannot be read here.
    async fn read_detailed(&mut self) -> Result<Option<Detailed>, End> {
        if !self.may_read_catalog() {
            return Ok(None);
        }
        if self.conversation.transaction_status() == b'I' {
            return self.read_shared(true).await;
        }
        let (_, detailed) = self.look_inside(true).await?;
        Ok(detailed.filter(|_| self.inside.seen().is_some()))
    }

    /// Reads the target's catalog through this session's link, for all sessions.
    async fn read_catalog(&mut self) -> Result<(), End> {
        self.read_shared(false).await.map(drop)
    }

    /// The same, and for this session digests of definitions, where it wants them.
    async fn read_shared(&mut self, detailed: bool) -> Result<Option<Detailed>, End> {
        let reading = self.catalog.reading();
        let definitions = self.definitions(false, detailed).await?;
        let definitions =
            definitions.ok_or_else(|| unreadable_catalog("it changes all the time"))?;
        let database = &self.gate.standing().connection.database;
        let catalog =
            definitions.catalog(database).map_err(|e| unreadable_catalog(&e.to_string()))?;
        let own = Arc::new(catalog);
        let detailed = definitions.detailed(&own);
        let detailed = detailed.map_err(|e| unreadable_catalog(&e.to_string()))?;
        self.catalog.keep_system(definitions.system);
        // What is in temporary tables of this session is none of others' business.
        let shared = match self.inside.is_alone() {
            true => own.clone(),
            false => self.catalog.store(own.clone(), reading),
        };
        let alone = self.inside.is_alone() && self.labels.observe_own(self.id, &own);
        self.labels.observe(&own, reading.began()).await;
        let differs = alone && shared.version() != own.version();
        let catalog = if differs { own } else { shared };
        self.inside.read_outside(&catalog, reading, alone);
        self.use_catalog(catalog);
        Ok(detailed)
    }

    /// Reads the target's catalog as the session's own transaction sees it, for itself alone, and
    /// uses it, or what is newer. False where both are too old.
    async fn read_inside(&mut self) -> Result<bool, End> {
        self.look_inside(false).await.map(|(young, _)| young)
    }

    /// The same, with digests of definitions where the session wants them and could read.
    async fn look_inside(&mut self, detailed: bool) -> Result<(bool, Option<Detailed>), End> {
        let reading = self.catalog.reading();
        let mut found = None;
        // Where the transaction sees what is gone by now, it cannot be read: what was known before
        // is what there is.
        if let Some(definitions) = self.definitions(true, detailed).await? {
            let database = &self.gate.standing().connection.database;
            let kept = self.inside.keep(database, &definitions, reading);
            let detailed = kept.and_then(|catalog| definitions.detailed(&catalog));
            found = detailed.map_err(|e| unreadable_catalog(&e.to_string()))?;
        }
        let catalog = match (self.inside.seen(), self.inside.basis(&self.catalog, false)) {
            (Some(seen), _) | (None, Basis::Catalog(seen)) => seen,
            (None, Basis::ReadInside | Basis::TooOld) => return Ok((false, None)),
        };
        self.use_catalog(catalog);
        Ok((true, found))
    }

    /// Reads definitions, inside the caller's transaction or outside: without the server's own
    /// part where that is known and has not changed. `None` where what others change keeps it from
    /// being read.
    async fn definitions(
        &mut self,
        inside: bool,
        detailed: bool,
    ) -> Result<Option<Definitions>, End> {
        let unreadable =
            |e: portcullis_sql::catalog::CatalogError| unreadable_catalog(&e.to_string());
        let tries = if inside { CATALOG_TRIES_INSIDE } else { CATALOG_TRIES };
        if let Some(known) = self.catalog.system() {
            let question = Question { inside, full: false, detailed };
            let Some(rows) = self.catalog_rows(question.queries(), tries).await? else {
                return Ok(None);
            };
            if let Some(found) = question.answer(rows, Some(known)).map_err(unreadable)? {
                return Ok(Some(found));
            }
        }
        let question = Question { inside, full: true, detailed };
        let Some(rows) = self.catalog_rows(question.queries(), tries).await? else {
            return Ok(None);
        };
        question.answer(rows, None).map_err(unreadable)
    }

    /// The rows of each of `queries`; `None` where what others do kept them from being read each time.
    async fn catalog_rows(
        &mut self,
        queries: &'static [&'static str],
        tries: u32,
    ) -> Result<Option<Rows>, End> {
        for attempt in 0..tries {
            tokio::time::sleep(CATALOG_PAUSE * attempt).await;
            match self.chore(Chore::read_catalog(queries)).await? {
                ChoreOutcome::Catalog { rows, unasked } => {
                    self.pass_on(unasked).await?;
                    return Ok(Some(rows.queries));
                }
                ChoreOutcome::Settled { .. } => return Err(unreadable_catalog("no rows")),
                ChoreOutcome::Failed { status, error, unasked, .. } => {
                    self.pass_on(unasked).await?;
                    // That of a rehearsal is the gateway's own.
                    let same = match self.rehearsal {
                        Some(_) => status == b'T',
                        None => status == self.conversation.transaction_status(),
                    };
                    if !same || !is_passing(&error.code) {
                        return Err(unreadable_catalog(&error.code));
                    }
                }
            }
        }
        Ok(None)
    }

    fn use_catalog(&mut self, catalog: Arc<Catalog>) {
        if self.analyst.use_catalog(&catalog) {
            self.judge.use_catalog(catalog);
        }
    }

    /// True where the target may still be at work for this session.
    pub(crate) const fn in_flight(&self) -> bool {
        self.conversation.in_flight()
    }

    /// Tells a client that is still there why its session ends.
    pub(crate) async fn say_goodbye(&mut self, end: &End) {
        let (code, message) = match end {
            End::Terminated
            | End::ClientLeft
            | End::Client(_)
            | End::Dismissed
            | End::Unprepared(_) => return,
            End::Protocol(error) => ("08P01", format!("portcullis: {error}")),
            End::Target(_) => ("58000", "portcullis: the target closed the connection".to_owned()),
            // Of class 08, which pools take for "try again", though nobody must without having
            // looked: there is nothing to go on with.
            End::Unresolved(_) => ("08007", format!("portcullis: {UNRESOLVED}")),
            End::Withheld(failure) => ("42501", format!("portcullis: {failure}; the session ends")),
            End::Unrecorded(_) | End::Unrecordable(_) => {
                ("58000", format!("portcullis: the record cannot be kept ({end}), so nothing runs"))
            }
            End::NoRoom => ("53200", format!("portcullis: {end}; try later")),
            End::Uncovered => {
                ("58000", format!("portcullis: {end}; tell the operator of this gateway"))
            }
            End::Stopping => ("57P01", "portcullis: the gateway stops".to_owned()),
            End::TokenExpired => (
                "28000",
                "portcullis: your token has expired; log in again with a new one".to_owned(),
            ),
        };
        let mut out = BytesMut::new();
        server::error(&mut out, &WireError::new(code, message).fatal());
        let farewell = async {
            self.client.write(&Masked::authored_assertion(out)).await?;
            self.client.flush().await
        };
        // The client may be gone already; the session ends either way.
        let _ = tokio::time::timeout(Duration::from_secs(1), farewell).await;
    }
}

/// The end of a session whose target does not answer the gateway's own.
fn silent() -> End {
    End::Target(io::Error::new(io::ErrorKind::TimedOut, "it does not answer").into())
}

/// A refusal by a rule of the gateway's own.
fn own_refusal(
    decision: DecisionId,
    operation: &Operation,
    rule: &str,
    (why, next): (String, &str),
) -> Refusal {
    Refusal {
        decision,
        class: RefusalClass::Policy,
        rule: rule.to_owned(),
        what: operation.to_string(),
        why,
        retry: Retry::AfterChange,
        next: Some(next.to_owned()),
        review: None,
    }
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

/// What a request does to definitions, once it is sent.
fn done(unit: &Unit, started: Instant) -> Done {
    let operation = unit.operation();
    Done {
        started,
        redefines: !unit.prepares_only() && operation.may_redefine(),
        steers_transactions: steers_transactions(operation),
    }
}

/// True where an operation may begin or end a transaction.
fn steers_transactions(operation: &Operation) -> bool {
    operation.effects.iter().any(|e| e.object.kind == ObjectKind::Transaction)
}

/// True where it depends on definitions what a request does.
fn defined(operation: &Operation) -> bool {
    operation.effects.iter().any(|e| e.verb != Verb::Control)
}

/// True where reading the catalog failed by what others do meanwhile: a cancel of the caller's that
/// was late for what it meant, or a definition that is gone before it was read (the server has no code
/// of its own for that), or locks.
fn is_passing(code: &str) -> bool {
    code == CANCELLED || code == "XX000" || ["40", "42", "55"].iter().any(|c| code.starts_with(c))
}

fn unreadable_catalog(why: &str) -> End {
    End::Withheld(MaskFailure::Malformed(format!("its catalog cannot be read: {why}")))
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

/// The refusal of a unit that could not be formed.
fn refusal_of(unformed: &Unformed, decision: DecisionId) -> Refusal {
    let (class, rule) = match &unformed.why {
        Why::Syntax { .. } => (RefusalClass::Unreadable, SYNTAX_RULE),
        Why::TooLarge { .. } | Why::TooManyColumns | Why::Limit { .. } => {
            (RefusalClass::Limit, "request-size")
        }
        Why::UnknownStatement { .. } | Why::UnknownPortal { .. } => {
            (RefusalClass::Unresolved, "known-names")
        }
        Why::Encoding
        | Why::Unspoken { .. }
        | Why::FunctionCall
        | Why::Ambiguous { .. }
        | Why::LongName
        | Why::CopyNotLast => (RefusalClass::Unreadable, "readable-requests"),
    };
    Refusal {
        decision,
        class,
        rule: rule.to_owned(),
        what: unformed.why.to_string(),
        why: String::new(),
        retry: match unformed.why {
            Why::Limit { what: NO_ROOM, .. } => Retry::Later,
            _ => Retry::AfterChange,
        },
        next: None,
        review: None,
    }
}

/// Where a syntax error is, in characters of the text from 1, as the server counts.
fn position_in(why: &Why, text: &str) -> Option<usize> {
    let Why::Syntax { at: Some(at), .. } = why else { return None };
    text.get(..*at).map(|before| before.chars().count() + 1)
}

/// Where the server itself would refuse the same text or name, its own words and code.
fn as_the_server(why: &Why, refusal: &Refusal) -> WireError {
    let code = match why {
        Why::Syntax { .. } => "42601",
        Why::UnknownStatement { .. } => "26000",
        Why::UnknownPortal { .. } => "34000",
        Why::TooManyColumns => "54011",
        // `program_limit_exceeded` and `out_of_memory`, as the server has them.
        Why::TooLarge { .. } => return WireError { code: "54000", ..server::refusal(refusal) },
        Why::Limit { what: NO_ROOM, .. } => {
            return WireError { code: "53200", ..server::refusal(refusal) };
        }
        _ => return server::refusal(refusal),
    };
    WireError::new(code, why.to_string())
}
