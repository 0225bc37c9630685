//! Requests with limits: what they may answer, change and take; and those that make tables whose
//! labels have to be kept first (`kept`). Between a permit and the end of its answer.
//!
//! A limit on changes means that nothing beyond it stays: the request runs in a transaction, the
//! gateway's own where the caller has none, and the end of its answer is kept back until it is known
//! whether the transaction is committed. Where that cannot be known, the caller and the record are
//! told so ([`Fate::Unknown`]), and the session ends.

use super::{CHORE_PATIENCE, End, Session, kept, silent};
use crate::labels::Making;
use portcullis_core::effect::{ObjectKind, Operation, Verb};
use portcullis_core::fate::Fate;
use portcullis_core::limits::{Limit, LimitKind, Limits};
use portcullis_core::mask::MaskFailure;
use portcullis_core::masked::Raw;
use portcullis_core::permit::{InFlight, Permit};
use portcullis_core::protocol::Request as _;
use portcullis_sql::catalog::Catalog;
use portcullis_wire::pg::chore::{CatalogRows, Chore, ChoreOutcome};
use portcullis_wire::pg::frames::Frames;
use portcullis_wire::pg::protocol::Postgres;
use portcullis_wire::pg::server::{self, WireError};
use portcullis_wire::pg::unit::Shape;
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
    /// The request has run already, in an own transaction before which so many rows were changed.
    pub(super) const fn is_rehearsed(&mut self, before: u64) {
        self.bracket = Bracket::Own(before);
        self.rehearsed = true;
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
    /// The gateway's own transaction. How many rows had been changed before.
    Own(u64),
    /// The transaction the caller has opened.
    Callers(u64),
    /// That of an open pipeline, where nothing can be asked of the target.
    Pipeline,
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
    ) -> Result<Option<WireError>, End> {
        let operation = request.request().operation();
        let makes = !bounds.makings.is_empty();
        let bounded = bounds.rows.is_some() || bounds.changes.is_some() || makes;
        if makes && let Some(why) = self.unkeepable(bounds, operation) {
            return Ok(Some(kept::error(&why)));
        }
        if !bounded || operation.changes_nothing() || request.request().prepares_only() {
            return Ok(None);
        }
        let limited = bounds.rows.is_some() || bounds.changes.is_some();
        match self.bracket(bounds.shape, operation, limited).await? {
            Ok(Bracket::Pipeline) if bounds.by_rehearsal() => {
                let limit = bounds.limits.get(LimitKind::Rehearsed);
                let why =
                    "in a pipeline without Sync nobody counts what cascades: send Sync after it";
                Ok(Some(unboundable(limit, why)))
            }
            Ok(Bracket::Pipeline) if makes => Ok(Some(kept::error(
                "it stands in a pipeline in which nothing can be looked up: send Sync after it",
            ))),
            Ok(bracket) => {
                bounds.bracket = bracket;
                Ok(None)
            }
            Err(Unboundable(why)) if makes => Ok(Some(kept::error(why))),
            Err(Unboundable(why)) => {
                let kinds = [bounds.changes, bounds.rows];
                let kind = kinds.into_iter().flatten().next().map(|(_, kind)| kind);
                let limit = kind.and_then(|kind| bounds.limits.get(kind));
                Ok(Some(unboundable(limit, why)))
            }
        }
    }

    async fn bracket(
        &mut self,
        shape: Shape,
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
        let (status, open) =
            (self.conversation.transaction_status(), self.conversation.pipeline_open());
        if shape == Shape::Flush || open && status != b'I' {
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
        if status == b'I' {
            let counted = self.own_rows(Chore::begin()).await?;
            return Ok(Ok(Bracket::Own(changes(&counted)?)));
        }
        let counted = self.own_rows(Chore::count_changes()).await?;
        Ok(Ok(Bracket::Callers(changes(&counted)?)))
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
        let over = if flight.masker().stopped() {
            Some(bounds.rows.unwrap_or((0, LimitKind::Rows)))
        } else if failed {
            None
        } else {
            self.counted(bounds, flight).await?
        };
        let undone = match over {
            Some((most, kind)) => Some(too_much(bounds, most, kind)),
            None if failed => None,
            None => self.keep_labels(bounds).await?,
        };
        match (undone, bounds.bracket) {
            (Some(error), bracket) => {
                if let Bracket::Own(_) = bracket {
                    self.own_rows(Chore::roll_back()).await?;
                    self.conversation.left_transaction(true);
                }
                let status = self.fail_transaction().await?;
                self.answer_error(&error, bounds.shape, status).await?;
                Ok(true)
            }
            (None, Bracket::None) => Ok(false),
            (None, Bracket::Own(_)) => {
                self.end_own(failed, flight, bounds).await?;
                Ok(false)
            }
            (None, Bracket::Callers(_) | Bracket::Pipeline) => {
                self.deliver_end(flight, bounds.shape).await?;
                Ok(false)
            }
        }
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
                if self.announces || !bounds.makings.is_empty() {
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
    /// meanwhile: the record is to tell what has become of the changes.
    async fn commit(&mut self) -> Result<ChoreOutcome, End> {
        let answer = self.link.run(Chore::commit());
        match tokio::time::timeout(CHORE_PATIENCE, answer).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(silent()),
        }
    }

    /// Tells the client that the target has not committed, with the target's own error where there is
    /// one: a deferred constraint, for instance. What it may not show of hidden values is taken out.
    async fn answer_undone(&mut self, said: Option<Raw<Frames>>, shape: Shape) -> Result<(), End> {
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

    /// How many rows the request changed, where that is more than it may.
    async fn counted(
        &mut self,
        bounds: &Bounds,
        flight: &mut InFlight<Postgres>,
    ) -> Result<Option<(u64, LimitKind)>, End> {
        if bounds.bracket == Bracket::None {
            return Ok(None);
        }
        let by_tags: u64 = flight.masker().tags().filter_map(changed_by).sum();
        let counted = match bounds.bracket {
            Bracket::Own(before) | Bracket::Callers(before) => {
                let after = changes(&self.own_rows(Chore::count_changes()).await?)?;
                after.saturating_sub(before)
            }
            Bracket::Pipeline | Bracket::None => 0,
        };
        let changed = by_tags.max(counted);
        let over = bounds.changes.filter(|(most, _)| changed > *most);
        if over.is_none() {
            self.used.changes = self.used.changes.saturating_add(changed);
        }
        Ok(over)
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

fn unruly(why: &str) -> End {
    End::Withheld(MaskFailure::Malformed(why.to_owned()))
}

/// The number in the last row of a chore that counts; no row and NULL are none.
fn changes(rows: &CatalogRows) -> Result<u64, End> {
    let last = rows.queries.last().and_then(|rows| rows.last()).and_then(|row| row.first());
    match last {
        Some(Some(number)) => number.parse().map_err(|_| unruly("its statistics are no number")),
        Some(None) | None => Ok(0),
    }
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
                "the {most} rows to be changed that people saw it change when it was rehearsed"
            ),
            "send it again: what it changes now is reviewed anew",
        ),
        _ => (format!("{} {kind}", limit.map_or(most, |l| l.most)), "open a new session"),
    };
    let undone = if bounds.bracket == Bracket::None {
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
