//! Requests with limits: what they may answer, change and take; and those that make tables whose
//! labels have to be kept first (`kept`). Between a permit and the end of its answer.
//!
//! A limit on changes means that nothing beyond it stays: the request runs in a transaction, the
//! gateway's own where the caller has none, and the end of its answer is kept back until it is known
//! whether the transaction is committed. Where that cannot be known, the caller and the record are
//! told so ([`Fate::Unknown`]), and the session ends.

use super::tally::{Tally, total};
use super::{CHORE_PATIENCE, COMMIT_GRACE, End, Session, kept, silent};
use crate::labels::Making;
use portcullis_core::effect::{Effect, ObjectKind, Operation, Verb};
use portcullis_core::fate::Fate;
use portcullis_core::limits::{Limit, LimitKind, Limits};
use portcullis_core::mask::MaskFailure;
use portcullis_core::masked::Raw;
use portcullis_core::permit::{InFlight, Permit};
use portcullis_core::protocol::Request as _;
use portcullis_sql::catalog::{Catalog, Relation, RelationKind};
use portcullis_wire::pg::chore::{CatalogRows, Chore, ChoreOutcome};
use portcullis_wire::pg::frames::Frames;
use portcullis_wire::pg::protocol::Postgres;
use portcullis_wire::pg::server::{self, WireError};
use portcullis_wire::pg::unit::{Shape, Unit};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The SQLSTATE of a limit that was reached (`configuration_limit_exceeded`).
const LIMIT: &str = "53400";

/// The SQLSTATE of a COMMIT that was answered with ROLLBACK (`transaction_rollback`).
const ROLLED_BACK: &str = "40000";

/// How a transaction of the gateway's own has ended, once its COMMIT was sent.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) fate: Fate,
    /// The SQLSTATE by which the target did not commit it.
    pub(super) error: Option<String>,
}

/// The limits on one request, and what keeps them.
pub(super) struct Bounds {
    limits: Arc<Limits>,
    /// The tables it makes that need labels.
    pub(super) makings: Vec<Making>,
    /// What makes them.
    pub(super) makes: Option<Operation>,
    /// The definitions it is judged by.
    pub(super) before: Option<Arc<Catalog>>,
    /// Rows that may be passed on, and by which limit.
    rows: Option<(u64, LimitKind)>,
    changes: Option<(u64, LimitKind)>,
    bracket: Bracket,
    /// The rows that had been changed before it.
    before_it: Tally,
    shape: Shape,
    /// When it has run for as long as it may.
    pub(super) deadline: Option<Instant>,
    /// The target was asked to stop.
    pub(super) stopping: bool,
    /// The request was rehearsed: all of its answer is there.
    rehearsed: bool,
    /// How the gateway's own transaction ended, where its COMMIT was sent.
    ended: Option<Ended>,
}

impl Bounds {
    /// The request has run already, in an own transaction before which these rows were changed.
    pub(super) fn is_rehearsed(&mut self, before: Tally) {
        self.bracket = Bracket::Own;
        self.before_it = before;
        self.rehearsed = true;
    }

    /// The limit on the rows that it may change.
    fn changing(&self) -> Option<&Limit> {
        self.limits.get(self.changes?.1)
    }

    /// Whether people have seen how many rows it changes.
    fn by_rehearsal(&self) -> bool {
        self.limits.get(LimitKind::Rehearsed).is_some()
    }

    /// How the gateway's own transaction ended; `None` where there is none, or it never got as far
    /// as its COMMIT.
    pub(super) const fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }
}

/// What undoes the changes of a request that goes too far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bracket {
    /// Nothing: there is nothing to undo.
    None,
    /// The gateway's own transaction.
    Own,
    /// The transaction the caller has opened.
    Callers,
    /// That of an open pipeline, where nothing can be asked of the target.
    Pipeline,
}

/// How many rows a request has changed.
enum Counted {
    /// No more than it may.
    Within,
    /// More than that.
    Beyond(u64, LimitKind),
    /// Nobody knows, though it is limited.
    Unknown(LimitKind),
    /// What was put off to the end of the transaction failed, with this code: nothing may stay.
    Failed(String, Raw<Frames>),
}

/// What keeps a permitted request from being sent.
pub(super) enum Unsent {
    /// It cannot be run within its limits.
    Because(WireError),
    /// What was put off to the end of the caller's transaction failed, and the transaction is rolled
    /// back: what the target said.
    Failed(Raw<Frames>),
}

/// Why a request with limits cannot be run under them.
struct Unboundable(&'static str);

impl Session {
    /// The limits on a permitted request; `None` where there are none.
    pub(super) fn bounds(&self, permit: &Permit<Postgres>) -> Option<Bounds> {
        let makings = match permit.request().prepares_only() {
            true => Vec::new(),
            false => self.judge.makings(permit.request().operation()),
        };
        let limits = match permit.limits() {
            _ if fires(permit.request()) && !self.put_off.is_empty() => {
                let mut limits = permit.limits().map(|l| Limits::clone(l)).unwrap_or_default();
                limits.tighten_all(&self.put_off);
                Arc::new(limits)
            }
            Some(limits) => Arc::clone(limits),
            None if makings.is_empty() => return None,
            None => Arc::default(),
        };
        Some(self.bounds_by(limits, makings, permit))
    }

    /// What these limits come to for a request, which makes these tables.
    pub(super) fn bounds_by(
        &self,
        limits: Arc<Limits>,
        makings: Vec<Making>,
        permit: &Permit<Postgres>,
    ) -> Bounds {
        let left =
            |kind, used: u64| limits.get(kind).map(|limit| (limit.most.saturating_sub(used), kind));
        let tighter = |one: Option<(u64, LimitKind)>, other: Option<(u64, LimitKind)>| {
            one.into_iter().chain(other).min_by_key(|(most, _)| *most)
        };
        let rows = tighter(left(LimitKind::Rows, 0), left(LimitKind::SessionRows, self.used.rows));
        let changes = tighter(
            left(LimitKind::Changes, 0),
            left(LimitKind::SessionChanges, self.used.changes),
        );
        let changes = tighter(left(LimitKind::Rehearsed, 0), changes);
        let time = limits.get(LimitKind::Milliseconds).map(|l| Duration::from_millis(l.most));
        Bounds {
            rows,
            changes,
            bracket: Bracket::None,
            before_it: Tally::default(),
            shape: permit.request().shape(),
            deadline: time.map(|time| Instant::now() + time),
            stopping: false,
            before: self.judge.catalog(),
            makes: (!makings.is_empty()).then(|| permit.request().operation().clone()),
            makings,
            rehearsed: false,
            ended: None,
            limits,
        }
    }

    /// Makes ready to undo what the request changes.
    pub(super) async fn open_bracket(
        &mut self,
        bounds: &mut Bounds,
        request: &Permit<Postgres>,
    ) -> Result<Option<Unsent>, End> {
        let unit = request.request();
        let operation = unit.operation();
        let because = |error| Ok(Some(Unsent::Because(error)));
        let makes = !bounds.makings.is_empty();
        let bounded = bounds.rows.is_some() || bounds.changes.is_some() || makes;
        if makes && let Some(why) = self.unkeepable(bounds, operation) {
            return because(kept::error(&why));
        }
        if bounds.changes.is_some() && fires(unit) && !self.put_off.is_empty() {
            return self.settle_callers(bounds).await;
        }
        if !bounded || operation.changes_nothing() || unit.prepares_only() {
            return Ok(None);
        }
        let limited = bounds.rows.is_some() || bounds.changes.is_some();
        match self.bracket(bounds, operation, limited).await? {
            Ok(Bracket::Pipeline) if bounds.by_rehearsal() => because(unboundable(
                bounds.limits.get(LimitKind::Rehearsed),
                "in a pipeline without Sync nobody counts what cascades: send Sync after it",
            )),
            Ok(Bracket::Pipeline) if makes => because(kept::error(
                "it stands in a pipeline in which nothing can be looked up: send Sync after it",
            )),
            Ok(Bracket::Pipeline)
                if bounds.changes.is_some() && !told_by_tags(self.analyst.catalog(), unit) =>
            {
                because(unboundable(
                    bounds.changing(),
                    "in a pipeline without Sync nobody counts what a statement changes beyond the rows \
                     that it tells of: send Sync after it",
                ))
            }
            Ok(bracket) => {
                bounds.bracket = bracket;
                Ok(None)
            }
            Err(Unboundable(why)) if makes => because(kept::error(why)),
            Err(Unboundable(why)) => {
                let kinds = [bounds.changes, bounds.rows];
                let kind = kinds.into_iter().flatten().next().map(|(_, kind)| kind);
                because(unboundable(kind.and_then(|kind| bounds.limits.get(kind)), why))
            }
        }
    }

    /// Before the end of the caller's transaction: has the target do what limited requests in it have
    /// put off to there, and counts that. What goes too far is rolled back.
    async fn settle_callers(&mut self, bounds: &Bounds) -> Result<Option<Unsent>, End> {
        if self.conversation.pipeline_open() || bounds.shape == Shape::Flush {
            let why = "it ends a transaction in which changes may have been put off, inside of a \
                       pipeline where nobody counts them: send it with Sync, apart from others";
            return Ok(Some(Unsent::Because(unboundable(bounds.changing(), why))));
        }
        if self.conversation.transaction_status() != b'T' {
            return Ok(None);
        }
        let counts = match self.within(bounds.deadline, Chore::settle_callers()).await? {
            ChoreOutcome::Catalog { rows, unasked } => {
                self.pass_on(unasked).await?;
                Ok((counts(&rows, 0)?, counts(&rows, 2)?))
            }
            ChoreOutcome::Settled { .. } => return Err(unruly("it gave no rows")),
            ChoreOutcome::Failed { said, unasked, .. } => {
                self.pass_on(unasked).await?;
                Err(said)
            }
        };
        let unsent = match counts {
            Err(said) => Unsent::Failed(said),
            Ok((before, after)) => match (after.since(&before), bounds.changes) {
                (Some(changed), Some((most, kind))) if total(&changed) > most => {
                    Unsent::Because(too_much(bounds, most, kind))
                }
                (None, Some((_, kind))) => Unsent::Because(uncounted(bounds, kind)),
                (changed, _) => {
                    let changed = total(&changed.unwrap_or_default());
                    self.used.changes = self.used.changes.saturating_add(changed);
                    return Ok(None);
                }
            },
        };
        self.own_rows(Chore::roll_back()).await?;
        self.conversation.left_transaction(true);
        Ok(Some(unsent))
    }

    /// Takes note of what a limited request leaves to the end of the caller's transaction.
    pub(super) fn put_off(&mut self, bounds: Option<&Bounds>, puts_off: bool) {
        if self.conversation.transaction_status() == b'I' {
            self.put_off = Limits::default();
        } else if let Some(bounds) = bounds
            && puts_off
        {
            for kind in [LimitKind::Changes, LimitKind::SessionChanges, LimitKind::Milliseconds] {
                if let Some(limit) = bounds.limits.get(kind) {
                    self.put_off.tighten(kind, limit);
                }
            }
        }
    }

    /// Runs a chore in which code of users may run, for as long as the request has.
    async fn within(
        &mut self,
        deadline: Option<Instant>,
        chore: Chore,
    ) -> Result<ChoreOutcome, End> {
        let Some(deadline) = deadline else { return self.chore(chore).await };
        let cancel = self.target_cancel.clone();
        let (running, over) = tokio::sync::oneshot::channel::<()>();
        let watch = tokio::spawn(async move {
            tokio::select! {
                _ = over => false,
                () = tokio::time::sleep_until(deadline.into()) => {
                    // Where it cannot be told, what it still does is awaited.
                    let _ = cancel.cancel().await;
                    true
                }
            }
        });
        let outcome = self.chore(chore).await?;
        drop(running);
        // A cancel that came late must not hit what is asked next.
        if watch.await.unwrap_or(true) {
            self.settled(Chore::synchronize()).await?;
        }
        Ok(outcome)
    }

    async fn bracket(
        &mut self,
        bounds: &mut Bounds,
        operation: &Operation,
        limited: bool,
    ) -> Result<Result<Bracket, Unboundable>, End> {
        let mut effects = operation.effects.iter();
        if effects.any(|e| e.object.kind == ObjectKind::Transaction) {
            let why =
                "it begins or ends a transaction as well: send BEGIN and COMMIT apart from it";
            return Ok(Err(Unboundable(why)));
        }
        if limited && operation.effects.iter().any(|e| e.verb == Verb::Truncate) {
            return Ok(Err(Unboundable("nobody counts the rows that TRUNCATE removes")));
        }
        if limited && operation.effects.iter().any(sets_counting) {
            return Ok(Err(Unboundable("it may change whether the target counts what is changed")));
        }
        let (status, open) =
            (self.conversation.transaction_status(), self.conversation.pipeline_open());
        if bounds.shape == Shape::Flush || open && status != b'I' {
            return Ok(Ok(Bracket::Pipeline));
        }
        if open && self.pipeline_ran {
            let why = "it ends a pipeline in which other statements have run (after a pause of half a second \
                       what has come is run): send Sync before it";
            return Ok(Err(Unboundable(why)));
        }
        if open {
            // Only statements were parsed in it, and these stay.
            self.settled(Chore::synchronize()).await?;
        }
        let own = status == b'I';
        let chore = if own { Chore::begin() } else { Chore::count_changes() };
        let counted = self.own_rows(chore).await?;
        bounds.before_it = counts(&counted, usize::from(own))?;
        Ok(Ok(if own { Bracket::Own } else { Bracket::Callers }))
    }

    /// Tells the masker of the answer how far it may go.
    pub(super) fn set_bounds(bounds: &Bounds, flight: &mut InFlight<Postgres>) {
        if let Some((most, _)) = bounds.rows {
            flight.masker_mut().limit_rows(most);
        }
        if bounds.rehearsed {
            // Its locks do not wait for the client to read.
            flight.masker_mut().keep_all();
        } else if bounds.bracket != Bracket::None {
            flight.masker_mut().keep_end();
        }
    }

    /// Has the target stop, once, where the answer went too far or takes too long.
    pub(super) async fn stop(
        &mut self,
        bounds: &mut Bounds,
        flight: &mut InFlight<Postgres>,
        late: bool,
    ) {
        if bounds.stopping || flight.masker().finished() {
            return;
        }
        bounds.stopping = true;
        if late && let Some(limit) = bounds.limits.get(LimitKind::Milliseconds) {
            flight.masker_mut().explain_cancel(&too_long(limit));
        }
        // Where it cannot be told, what it still does is awaited.
        let _ = self.target_cancel.cancel().await;
    }

    /// Ends a request with limits once it is answered: keeps or undoes what it did, and tells the
    /// client. True where it went too far.
    pub(super) async fn close_bounds(
        &mut self,
        bounds: &mut Bounds,
        flight: &mut InFlight<Postgres>,
    ) -> Result<bool, End> {
        if bounds.stopping {
            // The cancel may have come late; it must not hit what is asked next.
            self.absorb_cancel(bounds).await?;
        }
        let failed = flight.masker().error_code().is_some();
        let counted = if flight.masker().stopped() {
            let (most, kind) = bounds.rows.unwrap_or((0, LimitKind::Rows));
            Counted::Beyond(most, kind)
        } else if failed {
            Counted::Within
        } else {
            self.counted(bounds, flight).await?
        };
        let undone = match counted {
            Counted::Beyond(most, kind) => Some(too_much(bounds, most, kind)),
            Counted::Unknown(kind) => Some(uncounted(bounds, kind)),
            Counted::Failed(code, said) => {
                self.own_rows(Chore::roll_back()).await?;
                self.conversation.left_transaction(true);
                bounds.ended = Some(Ended { fate: Fate::Undone, error: Some(code) });
                drop(flight.take_kept());
                self.answer_undone(Some(said), bounds.shape).await?;
                return Ok(false);
            }
            Counted::Within if failed => None,
            // What may take time comes before it is looked the last time whether it may be committed.
            Counted::Within => match self.ready_to_commit(bounds).await? {
                None => self.frozen_before_commit(bounds, flight).await,
                unready => unready,
            },
        };
        match (undone, bounds.bracket) {
            (Some(error), _) => {
                self.undo_bracket(bounds).await?;
                let status = self.fail_transaction().await?;
                self.answer_error(&error, bounds.shape, status).await?;
                Ok(true)
            }
            (None, Bracket::None) => Ok(false),
            (None, Bracket::Own) => {
                self.end_own(failed, flight, bounds).await?;
                Ok(false)
            }
            (None, Bracket::Callers | Bracket::Pipeline) => {
                self.deliver_end(flight, bounds.shape).await?;
                Ok(false)
            }
        }
    }

    /// Makes others ready for a COMMIT of the gateway's own: labels are kept, and what it changes of
    /// definitions is told. The error where that could not be.
    async fn ready_to_commit(&mut self, bounds: &Bounds) -> Result<Option<WireError>, End> {
        if let Some(error) = self.keep_labels(bounds).await? {
            return Ok(Some(error));
        }
        if bounds.bracket != Bracket::Own || !self.telling.announces {
            return Ok(None);
        }
        let told = self.tell_others(&Operation::unreadable()).await?;
        Ok(told.err().map(|refusal| {
            let message = format!("portcullis: {}; nothing has been changed", refusal.why);
            WireError { rule: Some(refusal.rule), ..WireError::new(kept::REFUSED, message) }
        }))
    }

    /// The refusal of a COMMIT of the gateway's own that comes after a freeze, by rules that are not in
    /// force any more, or while the session is paused: how long the request took until then may be for the caller to say.
    async fn frozen_before_commit(
        &mut self,
        bounds: &Bounds,
        flight: &InFlight<Postgres>,
    ) -> Option<WireError> {
        let what = "COMMIT of what this statement changed";
        let owned = bounds.bracket == Bracket::Own;
        if !owned {
            return None;
        }
        let frozen = self.gate.frozen_since(flight, what, self.moments.next());
        let outdated = || self.judged_too_long_ago(&Operation::unreadable());
        let refusal = match frozen.or_else(outdated) {
            Some(refusal) => refusal,
            None => {
                let pause = self.lease.paused()?;
                self.paused_what(what.to_owned(), &pause)
            }
        };
        Some(Box::pin(self.refuse_frozen(refusal)).await)
    }

    /// Rolls the gateway's own transaction back, where there is one.
    pub(super) async fn undo_bracket(&mut self, bounds: &Bounds) -> Result<(), End> {
        if bounds.bracket == Bracket::Own {
            self.own_rows(Chore::roll_back()).await?;
            self.conversation.left_transaction(true);
        }
        Ok(())
    }

    /// Ends the gateway's own transaction as the request has ended.
    async fn end_own(
        &mut self,
        failed: bool,
        flight: &mut InFlight<Postgres>,
        bounds: &mut Bounds,
    ) -> Result<(), End> {
        let shape = bounds.shape;
        if failed {
            self.own_rows(Chore::roll_back()).await?;
            self.conversation.left_transaction(true);
            return self.deliver_end(flight, shape).await;
        }
        // From here on nobody knows, until the target has said it.
        let ended = bounds.ended.insert(Ended { fate: Fate::Unknown, error: None });
        let outcome = self.commit().await.map_err(|end| End::Unresolved(Box::new(end)))?;
        ended.fate = outcome.fate();
        let said = match outcome {
            ChoreOutcome::Catalog { unasked, .. } | ChoreOutcome::Settled { unasked, .. } => {
                self.pass_on(unasked).await?;
                None
            }
            ChoreOutcome::Failed { error, said, unasked, .. } => {
                ended.error = Some(error.code);
                self.pass_on(unasked).await?;
                Some(said)
            }
        };
        match (ended.fate, said) {
            (Fate::Committed, _) => {
                self.conversation.left_transaction(false);
                // Others hear of new tables before the client knows that they are there.
                if self.telling.announces || !bounds.makings.is_empty() {
                    self.catalog.changed();
                }
                self.deliver_end(flight, shape).await
            }
            (Fate::Undone, said) => {
                self.conversation.left_transaction(true);
                drop(flight.take_kept());
                self.answer_undone(said, shape).await
            }
            (Fate::Unknown, _) => {
                let why = unruly("it does not say whether it has committed");
                Err(End::Unresolved(Box::new(why)))
            }
        }
    }

    /// Sends COMMIT and waits for what the target says to it, whatever becomes of the client
    /// meanwhile: the record is to tell what has become of the changes. Who ends the session waits
    /// for it a little.
    async fn commit(&mut self) -> Result<ChoreOutcome, End> {
        let answer = self.link.run(Chore::commit());
        let killed = self.lease.killed_for(COMMIT_GRACE);
        tokio::select! {
            biased;
            outcome = tokio::time::timeout(CHORE_PATIENCE, answer) => match outcome {
                Ok(outcome) => Ok(outcome?),
                Err(_) => Err(silent()),
            },
            end = killed => Err(end),
        }
    }

    /// Tells the client that the target has not committed, with the target's own error where there is
    /// one: a deferred constraint, for instance. What it may not show of hidden values is taken out.
    pub(super) async fn answer_undone(
        &mut self,
        said: Option<Raw<Frames>>,
        shape: Shape,
    ) -> Result<(), End> {
        let Some(said) = said else {
            let message = "portcullis: the target answered COMMIT with ROLLBACK and no error; nothing \
                           of the request stays; send it again";
            return self.answer_error(&WireError::new(ROLLED_BACK, message), shape, b'I').await;
        };
        let error = self.unasked.mask(said)?;
        self.deliver(&error).await?;
        self.conversation.refused(shape);
        self.deliver_ready(shape, b'I').await
    }

    async fn deliver_ready(&mut self, shape: Shape, status: u8) -> Result<(), End> {
        match shape {
            Shape::Flush => Ok(()),
            _ => self.author(|out| server::ready(out, status)).await,
        }
    }

    /// Passes on the end of an answer that was kept back.
    async fn deliver_end(
        &mut self,
        flight: &mut InFlight<Postgres>,
        shape: Shape,
    ) -> Result<(), End> {
        if let Some(end) = flight.take_kept() {
            self.deliver(&end).await?;
        }
        let status = self.conversation.transaction_status();
        self.deliver_ready(shape, status).await
    }

    /// How many rows the request changed, by what was put off to the end of the gateway's own
    /// transaction too.
    async fn counted(
        &mut self,
        bounds: &Bounds,
        flight: &mut InFlight<Postgres>,
    ) -> Result<Counted, End> {
        let by_tags: u64 = flight.masker().tags().filter_map(changed_by).sum();
        let after = match bounds.bracket {
            Bracket::None => return Ok(Counted::Within),
            Bracket::Pipeline => None,
            Bracket::Callers => Some(counts(&self.own_rows(Chore::count_changes()).await?, 0)?),
            Bracket::Own => match self.within(bounds.deadline, Chore::settle()).await? {
                ChoreOutcome::Catalog { rows, unasked } => {
                    self.pass_on(unasked).await?;
                    Some(counts(&rows, 1)?)
                }
                ChoreOutcome::Settled { .. } => return Err(unruly("it gave no rows")),
                ChoreOutcome::Failed { error, said, unasked, .. } => {
                    self.pass_on(unasked).await?;
                    return Ok(Counted::Failed(error.code, said));
                }
            },
        };
        let counted = match after.map(|after| after.since(&bounds.before_it)) {
            Some(Some(changed)) => total(&changed),
            None => 0,
            Some(None) => match bounds.changes {
                Some((_, kind)) => return Ok(Counted::Unknown(kind)),
                None => 0,
            },
        };
        let changed = by_tags.max(counted);
        if let Some((most, kind)) = bounds.changes
            && changed > most
        {
            return Ok(Counted::Beyond(most, kind));
        }
        self.used.changes = self.used.changes.saturating_add(changed);
        Ok(Counted::Within)
    }

    async fn absorb_cancel(&mut self, bounds: &Bounds) -> Result<(), End> {
        if bounds.shape == Shape::Flush || self.conversation.pipeline_open() {
            return Ok(());
        }
        self.settled(Chore::synchronize()).await
    }

    pub(super) async fn settled(&mut self, chore: Chore) -> Result<(), End> {
        match self.chore(chore).await? {
            ChoreOutcome::Settled { unasked, .. }
            | ChoreOutcome::Failed { unasked, .. }
            | ChoreOutcome::Catalog { unasked, .. } => self.pass_on(unasked).await,
        }
    }

    /// The rows of a chore of the gateway's own that does not fail at a target that works.
    pub(super) async fn own_rows(&mut self, chore: Chore) -> Result<CatalogRows, End> {
        match self.chore(chore).await? {
            ChoreOutcome::Catalog { rows, unasked } => {
                self.pass_on(unasked).await?;
                Ok(rows)
            }
            ChoreOutcome::Settled { .. } => Err(unruly("it gave no rows")),
            ChoreOutcome::Failed { error, .. } => {
                Err(unruly(&format!("a transaction around a request failed: {}", error.code)))
            }
        }
    }
}

pub(super) fn unruly(why: &str) -> End {
    End::Withheld(MaskFailure::Malformed(why.to_owned()))
}

/// What a query of a chore has counted, by its place among the chore's.
fn counts(rows: &CatalogRows, place: usize) -> Result<Tally, End> {
    let rows = rows.queries.get(place).and_then(|rows| Tally::read(rows));
    rows.ok_or_else(|| unruly("its statistics are no numbers"))
}

/// True for what has the target do now what was put off to the end of the transaction.
fn fires(unit: &Unit) -> bool {
    let fires = |kind: &str| matches!(kind, "commit" | "prepare transaction" | "set constraints");
    unit.operation().kinds.iter().any(|kind| fires(kind))
}

/// True where a request may leave something to the end of its transaction: deferred triggers, or a
/// cursor that outlives it. Foreign keys put off change nothing, and count as little.
pub(super) fn puts_off(unit: &Unit) -> bool {
    let operation = unit.operation();
    let runs_code = |e: &Effect| matches!(e.verb, Verb::Execute | Verb::Unknown);
    operation.kinds.iter().any(|kind| &**kind == "declare cursor")
        || operation.effects.iter().any(runs_code)
}

/// True for what may set whether the target counts changes.
fn sets_counting(effect: &Effect) -> bool {
    let named = || effect.object.path.iter().any(|name| matches!(&**name, "track_counts" | "?"));
    effect.verb == Verb::Control && effect.object.kind == ObjectKind::Setting && named()
}

/// True where the tag of each statement tells all that it changes: it writes to one table of which
/// nothing else hangs.
fn told_by_tags(catalog: Option<Arc<Catalog>>, unit: &Unit) -> bool {
    let Some(catalog) = catalog else { return false };
    let plain = |effect: &Effect| match effect.object.path.as_slice() {
        [_, schema, name] => {
            let found = catalog.relations_named(Some(schema), name);
            !found.is_empty() && found.into_iter().all(stands_alone)
        }
        _ => false,
    };
    unit.tells_changes()
        && unit.operation().effects.iter().filter(|e| e.verb != Verb::Read).all(plain)
}

/// True for a table whose rows change alone.
fn stands_alone(relation: &Relation) -> bool {
    let acts = |action: char| !matches!(action, 'a' | 'r');
    relation.kind == RelationKind::Table
        && !relation.rules
        && relation.triggers.is_empty()
        && relation.children.is_empty()
        && relation.parents.is_empty()
        && !relation.references.iter().any(|r| acts(r.on_delete) || acts(r.on_update))
}

/// The rows that a command tag says were changed.
pub(super) fn changed_by(tag: &str) -> Option<u64> {
    let mut words = tag.split(' ');
    let counts = matches!(words.next()?, "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "COPY");
    words.next_back().filter(|_| counts)?.parse().ok()
}

fn rule_error(code: &'static str, limit: Option<&Limit>, message: String) -> WireError {
    let rule = limit.map(|limit| limit.rule.to_string());
    WireError { rule, ..WireError::new(code, message) }
}

fn unboundable(limit: Option<&Limit>, why: &str) -> WireError {
    let rule = limit.map_or("", |limit| &*limit.rule);
    let message = format!(
        "portcullis: policy \"{rule}\" limits what this may do, and that cannot be watched over: {why}; \
         nothing has run"
    );
    rule_error(LIMIT, limit, message)
}

/// Of what was limited nobody knows how much it was.
fn uncounted(bounds: &Bounds, kind: LimitKind) -> WireError {
    let limit = bounds.limits.get(kind);
    let rule = limit.map_or("", |limit| &*limit.rule);
    let next = "drop and empty tables in a request of its own";
    let message = format!(
        "portcullis: policy \"{rule}\" limits how many rows change, and of this nobody knows how many \
         did: a table whose rows had been counted is gone or emptied; it was rolled back; {next}"
    );
    WireError { hint: Some(next.to_owned()), ..rule_error(LIMIT, limit, message) }
}

fn too_long(limit: &Limit) -> WireError {
    let message = format!(
        "portcullis: policy \"{}\" lets a request run for {} ms; it was stopped; ask for less at once",
        limit.rule, limit.most
    );
    rule_error("57014", Some(limit), message)
}

fn too_much(bounds: &Bounds, most: u64, kind: LimitKind) -> WireError {
    let limit = bounds.limits.get(kind);
    let rule = limit.map_or("", |limit| &*limit.rule);
    let (what, next) = match kind {
        LimitKind::Rows => {
            (format!("{most} rows in one answer"), "ask for fewer rows, with LIMIT for instance")
        }
        LimitKind::SessionRows => (
            format!("{} rows in the answers of a session", limit.map_or(most, |l| l.most)),
            "open a new session",
        ),
        LimitKind::Changes => (
            format!("{most} rows changed by one request, by triggers and cascades too"),
            "change fewer rows at once",
        ),
        LimitKind::Rehearsed => (
            format!(
                "the {most} rows to be changed that people have approved (as many as it changed when it was \
                 rehearsed, or as a decision in a chat is good for)"
            ),
            "send it again: what it changes now is reviewed anew",
        ),
        _ => (format!("{} {kind}", limit.map_or(most, |l| l.most)), "open a new session"),
    };
    let stopped = matches!(kind, LimitKind::Rows | LimitKind::SessionRows);
    let undone = if bounds.bracket == Bracket::None && stopped {
        "the answer was stopped there"
    } else {
        "it would have gone beyond, and was rolled back"
    };
    let message = format!("portcullis: policy \"{rule}\" permits {what}; {undone}; {next}");
    WireError { hint: Some(next.to_owned()), ..rule_error(LIMIT, limit, message) }
}

#[cfg(test)]
mod tests {
    use super::changed_by;

    #[test]
    fn tags_that_tell_of_changes() {
        for (tag, expect) in [
            ("INSERT 0 3", Some(3)),
            ("UPDATE 12", Some(12)),
            ("DELETE 0", Some(0)),
            ("MERGE 7", Some(7)),
            ("COPY 5", Some(5)),
            ("SELECT 9", None),
            ("CREATE TABLE", None),
            ("", None),
        ] {
            assert_eq!(changed_by(tag), expect, "{tag}");
        }
    }
}
