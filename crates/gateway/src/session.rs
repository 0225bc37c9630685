//! The driver of one PostgreSQL session: one task that owns both sockets.
//!
//! It moves requests from the client's bytes to the gate, permits to the link, and masked answers
//! back. It decides nothing: every way to the target is a permit, and every byte to the client is
//! masked or written by the gateway itself.

use crate::catalog::SharedCatalog;
use crate::judge::SessionJudge;
use crate::moment::Moments;
use bytes::BytesMut;
use portcullis_core::effect::{Operation, Verb};
use portcullis_core::gate::{Gate, Held, Passage};
use portcullis_core::id::{RequestId, SessionId};
use portcullis_core::journal::{Entry, Event, Journal as _, JournalError, Status};
use portcullis_core::link::{Link, LinkError};
use portcullis_core::mask::{MaskFailure, Redactor as _};
use portcullis_core::masked::Masked;
use portcullis_core::permit::{InFlight, Permit};
use portcullis_core::protocol::Request as _;
use portcullis_core::refusal::{Refusal, RefusalClass, Retry};
use portcullis_core::review::Withdrawal;
use portcullis_core::time::Timestamp;
use portcullis_core::verdict::{Circumstances, Judge as _};
use portcullis_frontends::ClientStream;
use portcullis_ledger::{Ledger, Recorder};
use portcullis_sql::catalog::{self as sql_catalog, Catalog};
use portcullis_store::ReviewDesk;
use portcullis_targets::PgTransport;
use portcullis_wire::pg::chore::{Chore, ChoreOutcome};
use portcullis_wire::pg::conversation::{Conversation, ProtocolError, Turn, Unformed, Why};
use portcullis_wire::pg::protocol::Postgres;
use portcullis_wire::pg::server;
use portcullis_wire::pg::unit::{Shape, Unit};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Client bytes that may wait while a request is in flight or held.
const INBOX_LIMIT: usize = 256 * 1024;
/// When a held client hears that it is held, in seconds from the start; then every 30.
const NOTICES: [u64; 3] = [0, 5, 15];
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
    /// An answer could not be masked.
    #[error("{0}")]
    Withheld(MaskFailure),
    /// The record cannot be kept.
    #[error("{0}")]
    Unrecorded(#[from] JournalError),
    /// The caller's token expired.
    #[error("the caller's token expired")]
    TokenExpired,
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
    pub(crate) recorder: Recorder,
    pub(crate) catalog: Arc<SharedCatalog>,
    /// Rung when the client sends a CancelRequest for this session.
    pub(crate) cancelled: Arc<Notify>,
    pub(crate) expires: Timestamp,
    pub(crate) moments: Moments,
    pub(crate) refused: HashMap<[u8; 32], u32>,
}

impl Session {
    /// Runs the session to its end, and tells the client why where it can.
    pub(crate) async fn run(&mut self) -> End {
        let end = match self.serve().await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        self.say_goodbye(&end).await;
        end
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        let left = self.expires.since(crate::moment::now());
        let mut expiry = std::pin::pin!(tokio::time::sleep(left));
        loop {
            self.refresh_catalog().await?;
            let turn = loop {
                if let Some(turn) = self.conversation.next(&mut self.inbox)? {
                    break turn;
                }
                tokio::select! {
                    read = self.client.read(&mut self.inbox) => if read? == 0 {
                        return Err(End::ClientLeft);
                    },
                    raw = self.link.receive() => {
                        let masked = self.unasked.mask(raw?)?;
                        self.client.write(&masked);
                        self.client.flush().await?;
                    }
                    () = &mut expiry => return Err(End::TokenExpired),
                }
            };
            if self.expires <= crate::moment::now() {
                return Err(End::TokenExpired);
            }
            self.take(turn).await?;
        }
    }

    async fn take(&mut self, turn: Turn) -> Result<(), End> {
        match turn {
            Turn::Unit(unit) => {
                let unit = self.resolved(unit).await?;
                match unit {
                    Some(unit) => self.unit(unit).await,
                    None => Ok(()),
                }
            }
            Turn::Unformed(unformed) => self.unformed(unformed).await,
            Turn::SkippedSync => {
                let status = self.conversation.transaction_status();
                self.author(|out| server::ready(out, status)).await
            }
            // Copy data outside a copy: the server would ignore it as well.
            Turn::Feed(_) => Ok(()),
            Turn::Terminate => Err(End::Terminated),
        }
    }

    /// Where a name in the unit is not in the catalog, reads the catalog again, once, and has the
    /// unit formed anew.
    async fn resolved(&mut self, unit: Unit) -> Result<Option<Unit>, End> {
        let missing = unit.operation().lineages.iter().any(|l| l.unresolved);
        if !missing || !self.catalog.may_have_missed() || !self.may_read_catalog() {
            return Ok(Some(unit));
        }
        self.read_catalog().await?;
        let bytes = unit.client_bytes().clone();
        self.conversation.unform(unit.shape());
        let rest = self.inbox.split();
        self.inbox.extend_from_slice(&bytes);
        self.inbox.unsplit(rest);
        match self.conversation.next(&mut self.inbox)? {
            Some(Turn::Unit(unit)) => Ok(Some(unit)),
            Some(Turn::Unformed(unformed)) => self.unformed(unformed).await.map(|()| None),
            _ => Ok(None),
        }
    }

    async fn unit(&mut self, unit: Unit) -> Result<(), End> {
        let shape = unit.shape();
        let moment = self.moments.next();
        if let Some(failure) = self.uncopyable(&unit) {
            let refusal = Refusal {
                decision: moment.decision,
                class: RefusalClass::Policy,
                rule: "masked-stays-masked".to_owned(),
                what: unit.operation().to_string(),
                why: failure.to_string(),
                retry: Retry::AfterChange,
                next: Some("use SELECT, or COPY in text or CSV format".to_owned()),
                review: None,
            };
            let (shown, operation) = (unit.shown(), unit.operation().clone());
            let refusal = self.gate.refuse_unformed(shown, &operation, refusal, moment).await;
            return self.refuse(&refusal, shape, None).await;
        }
        let digest = *unit.digest().as_bytes();
        let circumstances =
            Circumstances { in_transaction: self.conversation.transaction_status() != b'I' };
        match self.gate.pass::<Postgres>(unit, circumstances, moment).await {
            Passage::Permitted(permit) => self.send(permit).await,
            Passage::Held(held) => self.hold(held, shape).await,
            Passage::Refused(refusal) => self.refuse(&refusal, shape, Some(digest)).await,
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
        let redefines = redefines(permit.request().operation());
        let started = Instant::now();
        let mut flight = match self.link.send(permit).await {
            Ok(flight) => flight,
            Err(error) => {
                self.outcome(request, None, Status::Broken, started)?;
                return Err(error.into());
            }
        };
        let answered = self.answer(&mut flight).await;
        self.conversation.copying(false);
        let status = match &answered {
            Ok(()) if flight.masker().error_code().is_some() => Status::Failed,
            Ok(()) => Status::Done,
            Err(End::Withheld(_)) => Status::Withheld,
            Err(_) => Status::Broken,
        };
        if redefines {
            self.catalog.changed();
        }
        self.outcome(request, Some(&mut flight), status, started)?;
        answered
    }

    /// Passes the answer on, masked, until it is whole; feeds copied-in rows meanwhile.
    async fn answer(&mut self, flight: &mut InFlight<Postgres>) -> Result<(), End> {
        loop {
            let copying = flight.masker().copying_in();
            self.conversation.copying(copying);
            if copying {
                self.feed(flight).await?;
            }
            tokio::select! {
                raw = self.link.receive() => {
                    let masked = flight.mask(raw?)?;
                    self.client.write(&masked);
                    self.client.flush().await?;
                    let masker = flight.masker_mut();
                    self.conversation.settle(masker.confirmations());
                    masker.clear_confirmations();
                    if masker.finished() {
                        return Ok(());
                    }
                }
                read = self.client.read(&mut self.inbox), if self.inbox.len() < INBOX_LIMIT => {
                    if read? == 0 {
                        return Err(End::ClientLeft);
                    }
                }
            }
        }
    }

    async fn feed(&mut self, flight: &mut InFlight<Postgres>) -> Result<(), End> {
        while flight.masker().copying_in() {
            match self.conversation.next(&mut self.inbox)? {
                Some(Turn::Feed(feed)) => {
                    self.link.feed(flight, &feed).await?;
                    flight.masker_mut().fed(feed.kind());
                }
                Some(Turn::Terminate) => return Err(End::Terminated),
                Some(_) => {
                    return Err(End::Protocol(ProtocolError::unexpected(
                        "a request in the middle of copied-in data",
                    )));
                }
                None => return Ok(()),
            }
        }
        Ok(())
    }

    fn outcome(
        &mut self,
        request: RequestId,
        flight: Option<&mut InFlight<Postgres>>,
        status: Status,
        started: Instant,
    ) -> Result<(), End> {
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let masker = flight.map(InFlight::masker_mut);
        let event = match &masker {
            Some(masker) => Event::Outcome {
                status,
                rows: masker.rows(),
                tags: masker.tags().to_vec(),
                error: masker.error_code().map(|c| String::from_utf8_lossy(&c).into_owned()),
                masked: masker.masked_values(),
                micros,
            },
            None => Event::Outcome {
                status,
                rows: 0,
                tags: Vec::new(),
                error: None,
                masked: 0,
                micros,
            },
        };
        let at = crate::moment::now();
        let entry = Entry { at, session: Some(self.id), request: Some(request), event };
        self.gate.journal().note(entry)?;
        if let Some(sample) = masker.and_then(|m| m.take_sample()) {
            self.recorder.answer(at, request, &sample)?;
        }
        Ok(())
    }

    /// Keeps a held client informed until people decide, or it goes away, or takes it back.
    async fn hold(&mut self, held: Held<Postgres>, shape: Shape) -> Result<(), End> {
        let started = Instant::now();
        let mut told = 0;
        loop {
            let due = Duration::from_secs(
                NOTICES.get(told).copied().unwrap_or_else(|| 15 + 30 * (told as u64 - 2)),
            );
            let event = tokio::select! {
                biased;
                decision = self.gate.decided(&held) => Waited::Decided(decision),
                () = self.cancelled.notified() => Waited::Over(Withdrawal::Cancelled),
                read = self.client.read(&mut self.inbox), if self.inbox.len() < INBOX_LIMIT => {
                    match read {
                        Ok(0) | Err(_) => Waited::Over(Withdrawal::Disconnected),
                        Ok(_) => Waited::Nothing,
                    }
                }
                () = tokio::time::sleep(due.saturating_sub(started.elapsed())) => Waited::Notice,
            };
            match event {
                Waited::Nothing => {}
                Waited::Notice => {
                    told += 1;
                    let (message, hint) = hold_notice(&held, started.elapsed());
                    self.author(|out| server::notice(out, "01000", &message, &hint)).await?;
                }
                Waited::Decided(decision) => {
                    let moment = self.moments.next();
                    return match self.gate.resume(held, decision, moment).await {
                        Passage::Permitted(permit) => self.send(permit).await,
                        Passage::Refused(refusal) => self.refuse(&refusal, shape, None).await,
                        // The gate does not hold a request it has just taken on.
                        Passage::Held(held) => self.withdrawn(held, shape).await,
                    };
                }
                Waited::Over(Withdrawal::Cancelled) => return self.withdrawn(held, shape).await,
                Waited::Over(why) => {
                    let moment = self.moments.next();
                    self.gate.withdraw(held, why, moment).await;
                    return Err(End::ClientLeft);
                }
            }
        }
    }

    async fn withdrawn(&mut self, held: Held<Postgres>, shape: Shape) -> Result<(), End> {
        let moment = self.moments.next();
        let refusal = Refusal {
            decision: moment.decision,
            class: RefusalClass::Withdrawn,
            rule: held.ground().rule.clone(),
            what: held.ground().what.clone(),
            why: "you cancelled it; nothing has run".to_owned(),
            retry: Retry::AfterApproval,
            next: None,
            review: Some(held.ticket().review),
        };
        self.gate.withdraw(held, Withdrawal::Cancelled, moment).await;
        self.refuse(&refusal, shape, None).await
    }

    /// A unit that could not even be formed.
    async fn unformed(&mut self, unformed: Unformed) -> Result<(), End> {
        let moment = self.moments.next();
        let refusal = unformed.refusal(moment.decision);
        let operation = Operation::unreadable();
        let shown = unformed.shown.clone();
        let refusal = self.gate.refuse_unformed(shown, &operation, refusal, moment).await;
        if let Why::Syntax { message, at } = &unformed.why {
            // The server would say the same: the text is not SQL, whoever asks.
            let status = self.fail_transaction(unformed.shape).await?;
            let error = server::WireError::syntax(message, *at, &refusal);
            return self.answer_error(&error, unformed.shape, status).await;
        }
        self.refuse(&refusal, unformed.shape, None).await
    }

    /// Answers a refusal in the client's own protocol, and leaves the session as the server would
    /// after an error. Identical repeats are answered later and later.
    async fn refuse(
        &mut self,
        refusal: &Refusal,
        shape: Shape,
        digest: Option<[u8; 32]>,
    ) -> Result<(), End> {
        let status = self.fail_transaction(shape).await?;
        if let Some(digest) = digest {
            tokio::time::sleep(self.patience(digest)).await;
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
        error: &server::WireError,
        shape: Shape,
        status: u8,
    ) -> Result<(), End> {
        self.conversation.refused(shape);
        self.author(|out| {
            server::error(out, error);
            if shape.answered_ready() {
                server::ready(out, status);
            }
        })
        .await
    }

    /// Where a transaction or a pipeline is open at the target, makes it fail as it would have
    /// failed on an error of its own.
    async fn fail_transaction(&mut self, _shape: Shape) -> Result<u8, End> {
        let open = self.conversation.pipeline_open();
        let status = self.conversation.transaction_status();
        if !open && status != b'T' {
            return Ok(status);
        }
        match self.link.run(Chore::FailTransaction.into()).await? {
            ChoreOutcome::Status(status) => {
                self.conversation.target_failed(status);
                Ok(status)
            }
            other => Err(End::Withheld(MaskFailure::Malformed(format!("{other:?}")))),
        }
    }

    async fn author(&mut self, write: impl FnOnce(&mut BytesMut)) -> Result<(), End> {
        let mut out = BytesMut::new();
        write(&mut out);
        self.client.write(&Masked::authored_assertion(out));
        Ok(self.client.flush().await?)
    }

    fn may_read_catalog(&self) -> bool {
        self.conversation.transaction_status() != b'E' && !self.conversation.pipeline_open()
    }

    async fn refresh_catalog(&mut self) -> Result<(), End> {
        match self.catalog.fresh() {
            Some(catalog) => self.use_catalog(catalog),
            None if self.may_read_catalog() => self.read_catalog().await?,
            None => {}
        }
        Ok(())
    }

    /// Reads the target's catalog through this session's link.
    pub(crate) async fn read_catalog(&mut self) -> Result<(), End> {
        let started_at = self.catalog.reading();
        let outcome = self.link.run(Chore::ReadCatalog(sql_catalog::QUERIES).into()).await?;
        let rows = match outcome {
            ChoreOutcome::Rows(rows) => rows,
            other => return Err(End::Withheld(MaskFailure::Malformed(format!("{other:?}")))),
        };
        let database = &self.gate.standing().connection.database;
        let catalog = Catalog::from_rows(database, &rows)
            .map_err(|e| MaskFailure::Malformed(format!("catalog: {e}")))?;
        let catalog = Arc::new(catalog);
        self.catalog.store(catalog.clone(), started_at);
        self.use_catalog(catalog);
        Ok(())
    }

    fn use_catalog(&mut self, catalog: Arc<Catalog>) {
        if self.analyst.use_catalog(&catalog) {
            self.judge.use_catalog(catalog);
        }
    }

    /// Tells a client that is still there why its session ends.
    async fn say_goodbye(&mut self, end: &End) {
        let (code, message) = match end {
            End::Terminated | End::ClientLeft | End::Client(_) => return,
            End::Protocol(error) => ("08P01", format!("portcullis: {error}")),
            End::Target(_) => ("58000", "portcullis: the target closed the connection".to_owned()),
            End::Withheld(failure) => ("42501", format!("portcullis: {failure}; the session ends")),
            End::Unrecorded(error) => {
                ("58000", format!("portcullis: the record cannot be kept ({error}), so nothing runs"))
            }
            End::TokenExpired => (
                "28000",
                "portcullis: your token has expired; log in again with a new one".to_owned(),
            ),
        };
        // The client may be gone already; the session ends either way.
        let _ = tokio::time::timeout(
            Duration::from_secs(1),
            self.author(|out| server::error(out, &server::WireError::fatal(code, &message))),
        )
        .await;
    }
}

enum Waited {
    Nothing,
    Notice,
    Decided(portcullis_core::review::Decision),
    Over(Withdrawal),
}

/// What a held client hears.
fn hold_notice(held: &Held<Postgres>, waited: Duration) -> (String, String) {
    let ticket = held.ticket();
    let groups: Vec<&str> = ticket.groups.iter().map(String::as_str).collect();
    let ground = held.ground();
    let message = format!(
        "portcullis: held for review by {}: {} (rule \"{}\", review {}, digest {}); nothing has run \
         yet, waiting {} s",
        groups.join(" and "),
        ground.what,
        ground.rule,
        ticket.review,
        ticket.digest.short(),
        waited.as_secs(),
    );
    let hint = format!(
        "A reviewer decides with `portcullis review approve {}`. Cancel to withdraw the request.",
        ticket.review
    );
    (message, hint)
}

/// True where an operation may change what names mean, so that the catalog has to be read again.
fn redefines(operation: &Operation) -> bool {
    operation.effects.iter().any(|e| {
        !matches!(
            e.verb,
            Verb::Read | Verb::Insert | Verb::Update | Verb::Delete | Verb::Control | Verb::Connect
        )
    })
}
