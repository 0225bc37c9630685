//! The client's side of a session: whose turn it is, and what comes next from the client. Stands
//! between the client's socket and the gate: bytes in, whole units out, one in flight at a time.
//!
//! The driver calls [`Conversation::next`] whenever [`Conversation::awaits_client`] says so, tells
//! it what was [`Conversation::refused`], and passes on what the target confirmed
//! ([`Conversation::settle`]).

use super::message::{self, Frame, Frontend, Limits, ProtocolError};
use super::names::Names;
use super::script::{Confirmation, Step};
use super::unit::{Draft, FLUSH, Suspendable, Unit};
use bytes::{Buf as _, Bytes, BytesMut};
use portcullis_core::effect::Operation;
use portcullis_core::protocol::Shown;
use std::sync::Arc;

pub use super::unit::{Analyst, Shape, Why};

/// The most copy data that is passed on at once, in bytes, unless one message alone is longer.
const FEED: usize = 256 * 1024;

/// From this many messages on a unit ends behind an `Execute`, without a `Sync` or `Flush`.
const LONG: usize = 4096;
/// Or from this many bytes on.
const LONG_BYTES: usize = 8 << 20;
/// Bytes kept for each that came in: in a buffer that may be half empty, and what of it goes out.
const KEPT: usize = 3;

/// What comes next from the client.
#[derive(Debug)]
pub enum Turn {
    /// A request, whole: to be judged.
    Unit(Box<Unit>),
    /// Copy data for the unit in flight.
    Feed(CopyFeed),
    /// A request that cannot be judged: to be refused. Nothing of it may be forwarded. The driver
    /// answers in the unit's shape and then calls [`Conversation::refused`].
    Unformed(Box<Unformed>),
    /// The `Sync` after a refused unit that ended in `Flush`: answer with ReadyForQuery.
    SkippedSync,
    /// The client says good-bye.
    Terminate,
}

/// A request that cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unformed {
    /// Why.
    pub why: Why,
    /// What was read of it.
    pub shown: Shown,
    /// What stands for it in the record.
    pub operation: Operation,
    /// In which shape the refusal is answered.
    pub shape: Shape,
}

/// What a feed is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedKind {
    /// One or more `CopyData`.
    Data,
    /// `CopyDone`.
    Done,
    /// `CopyFail`.
    Fail,
}

/// Data that continues a unit in copy-in mode: whole messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyFeed {
    kind: FeedKind,
    bytes: Bytes,
}

impl CopyFeed {
    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> FeedKind {
        self.kind
    }

    #[cfg(test)]
    pub(super) fn of(kind: FeedKind, bytes: Vec<u8>) -> Self {
        Self { kind, bytes: bytes.into() }
    }
}

impl AsRef<[u8]> for CopyFeed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A whole `CopyFail` message of the gateway's own.
const COPY_FAIL: [u8; 27] = *b"f\0\0\0\x1arefused by portcullis\0";

/// How far copying in has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CopyIn {
    Off,
    Feeding,
    /// `CopyDone` or `CopyFail` was passed on; its answer is awaited.
    Ended,
}

/// What is dropped up to the next `Sync`, as the server drops it after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Skip {
    Nothing,
    /// We refused: the `Sync` is ours to answer.
    Refused,
    /// The target raised an error: the `Sync` is for it.
    Failed,
}

/// What is remembered of the unit in flight.
#[derive(Debug)]
struct Flight {
    shape: Shape,
    /// The last step with an answer and the part it executes; `None` where nothing is answered.
    last: Option<(usize, Option<usize>)>,
    suspendable: Vec<Suspendable>,
    /// A `Sync` held back because the unit copies in.
    holds_sync: bool,
    ends_in_ready: bool,
    parts_done: usize,
    failed: bool,
    copied: bool,
    /// Bytes kept of it.
    bytes: usize,
}

/// A message that is thrown away as it comes in.
#[derive(Debug, Clone, Copy)]
struct Drain {
    /// Bytes of it that are still to come.
    left: usize,
    /// True for a `Query`, which is answered when all of it has come.
    answered: bool,
}

/// The client's side of a session.
pub struct Conversation {
    analyst: Arc<dyn Analyst>,
    limits: Limits,
    names: Names,
    draft: Draft,
    flight: Option<Flight>,
    skip: Skip,
    copy: CopyIn,
    /// A `Sync` of the client that was held back and is due now.
    owed_sync: bool,
    /// A message that comes behind the unit handed out.
    again: Option<Frame>,
    /// A unit is being assembled once more.
    anew: bool,
    status: u8,
    pipeline_open: bool,
    /// The messages the draft is made of.
    sent: Vec<Bytes>,
    /// Bytes kept of the draft.
    drafted: usize,
    drain: Option<Drain>,
    /// The analyst's epoch when the first of them was read.
    began: u64,
    /// True where they, or those of the unit handed out of which the target has heard nothing, give
    /// the unnamed statement another meaning.
    renames: bool,
}

impl Conversation {
    /// A session at its start: idle, with no names.
    #[must_use]
    pub fn new(analyst: Arc<dyn Analyst>, limits: Limits) -> Self {
        Self {
            analyst,
            names: Names::new(limits.max_names, limits.max_kept_bytes),
            limits,
            draft: Draft::default(),
            flight: None,
            skip: Skip::Nothing,
            copy: CopyIn::Off,
            owed_sync: false,
            again: None,
            anew: false,
            status: b'I',
            pipeline_open: false,
            sent: Vec::new(),
            drafted: 0,
            drain: None,
            began: 0,
            renames: false,
        }
    }

    /// The transaction status of the last ReadyForQuery: `I`, `T` or `E`.
    #[must_use]
    pub const fn transaction_status(&self) -> u8 {
        self.status
    }

    /// True where an earlier part of the current pipeline was forwarded and no `Sync` has ended it:
    /// a refusal must then make the target fail and synchronise too.
    #[must_use]
    pub const fn pipeline_open(&self) -> bool {
        self.pipeline_open
    }

    /// True where [`Conversation::next`] may yield something: nothing is in flight, or what is takes
    /// copy data.
    #[must_use]
    pub fn awaits_client(&self) -> bool {
        self.flight.is_none() || self.copy == CopyIn::Feeding
    }

    /// True while a unit handed out has neither been refused nor answered to its end.
    #[must_use]
    pub const fn in_flight(&self) -> bool {
        self.flight.is_some()
    }

    /// True where code of users has left in doubt what prepared statements stand for, `coming` may use
    /// one of them, and the target can be asked: nothing is under way.
    #[must_use]
    pub fn doubts_names(&self, coming: &[u8]) -> bool {
        let idle = self.flight.is_none() && self.draft.is_empty() && !self.pipeline_open;
        idle && self.status != b'E' && self.names.is_doubtful() && self.may_use_doubtful(coming)
    }

    /// Looks up to the end of the next unit; what has not come yet may use any.
    fn may_use_doubtful(&self, coming: &[u8]) -> bool {
        let executes = |text: &[u8]| text.windows(7).any(|w| w.eq_ignore_ascii_case(b"execute"));
        let mut rest = coming;
        while let Ok(Some((kind, size))) = message::peek(rest, &self.limits)
            && let Some((message, behind)) = rest.split_at_checked(size)
        {
            let body = message.get(5..).unwrap_or_default();
            let mut words = body.split(|byte| *byte == 0);
            let uses = match (kind, body.first()) {
                (b'Q' | b'P', _) => executes(body),
                (b'B', _) => words.nth(1).is_some_and(|name| self.names.doubts(name)),
                (b'D', Some(b'S')) => {
                    let name = words.next().and_then(|word| word.get(1..));
                    name.is_some_and(|name| self.names.doubts(name))
                }
                _ => false,
            };
            if uses || matches!(kind, b'Q' | b'S' | b'F' | b'X') {
                return uses;
            }
            rest = behind;
        }
        true
    }

    /// What the target has of statements prepared by the protocol, by name and text.
    pub fn settle_prepared<'a>(&mut self, there: impl Iterator<Item = (&'a str, &'a str)>) {
        self.names.settle_prepared(there);
    }

    /// What the session's names stand for.
    #[must_use]
    pub const fn names(&self) -> &Names {
        &self.names
    }

    /// What comes next, taking it off the front of `buffer`; `None` where more bytes, or the answer
    /// to the unit in flight, must come first.
    ///
    /// # Errors
    /// [`ProtocolError`]: the client is told and the connection is closed.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Turn>, ProtocolError> {
        loop {
            if !self.awaits_client() {
                return Ok(None);
            }
            if std::mem::take(&mut self.owed_sync) {
                self.skip = Skip::Nothing;
                return Ok(Some(self.finish(Shape::Sync, None)));
            }
            if let Some(frame) = self.again.take() {
                match self.accept(&frame)? {
                    Some(turn) => return Ok(Some(turn)),
                    None => continue,
                }
            }
            if self.drain.is_some() {
                match self.drained(buffer) {
                    Some(true) => return Ok(Some(self.finish(Shape::Simple, None))),
                    Some(false) => continue,
                    None => return Ok(None),
                }
            }
            let Some((kind, size)) = message::peek(buffer, &self.limits)? else { return Ok(None) };
            if self.copy == CopyIn::Feeding {
                if kind == b'd' {
                    return Ok(self.feed_data(buffer));
                }
                // Before any of it is waited for.
                if !matches!(kind, b'c' | b'f' | b'H' | b'S' | b'X') {
                    return Err(ProtocolError::DuringCopy(kind));
                }
            } else if self.is_unkept(kind, size) {
                if self.ends_draft(kind) {
                    return Ok(Some(self.finish(Shape::Flush, None)));
                }
                self.start_drain(kind, size);
                continue;
            }
            if buffer.len() < size {
                return Ok(None);
            }
            if self.ends_draft(kind) {
                return Ok(Some(self.finish(Shape::Flush, None)));
            }
            let Some(frame) = message::take(buffer, &self.limits)? else { return Ok(None) };
            if let Some(turn) = self.accept(&frame)? {
                return Ok(Some(turn));
            }
        }
    }

    /// True while messages are dropped up to a `Sync`, as the server drops them.
    const fn drops(&self) -> bool {
        !matches!(self.skip, Skip::Nothing) || self.draft.has_failed()
    }

    /// True for a message nothing of which is ever looked at: its bytes need not be waited for.
    fn is_unkept(&self, kind: u8, size: usize) -> bool {
        match kind {
            b'S' | b'H' | b'X' => false,
            // Outside copy-in mode the server ignores it.
            b'd' => true,
            _ => self.drops() || self.limits.is_overlong(kind, size),
        }
    }

    fn start_drain(&mut self, kind: u8, size: usize) {
        let refused = !self.drops() && self.limits.is_overlong(kind, size);
        if refused {
            let limit = self.limits.max_text;
            self.refuse_draft(Why::TooLarge { what: "statement text", limit });
        }
        self.drain = Some(Drain { left: size, answered: refused && kind == b'Q' });
    }

    /// Throws away what has come of a message; once that is all of it, whether it is answered.
    fn drained(&mut self, buffer: &mut BytesMut) -> Option<bool> {
        let drain = self.drain.as_mut()?;
        let come = drain.left.min(buffer.len());
        buffer.advance(come);
        drain.left -= come;
        if drain.left > 0 {
            return None;
        }
        self.drain.take().map(|drain| drain.answered)
    }

    fn refuse_draft(&mut self, why: Why) {
        let counted = self.draft.admit(0, &self.limits);
        self.sent = Vec::new();
        self.drafted = 0;
        self.note(counted.and(Err(why)));
    }

    /// Bytes of the client's kept here: of the draft, of the unit handed out, and behind names.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        let flight = self.flight.as_ref().map_or(0, |flight| flight.bytes);
        let again = self.again.as_ref().map_or(0, |frame| KEPT * frame.bytes.len());
        self.drafted + flight + again + self.names.kept_bytes()
    }

    /// Lets go of the request that is coming in, because there is no room for more of it: it is
    /// refused with `why` when it ends. False where there is none that could be let go.
    pub fn give_up(&mut self, buffer: &BytesMut, why: Why) -> bool {
        if self.copy == CopyIn::Feeding || self.drain.is_some() || self.drops() {
            return false;
        }
        let next = message::peek(buffer, &self.limits).ok().flatten();
        match next {
            Some((kind, size)) if kind != b'S' && !self.ends_draft(kind) => {
                self.refuse_draft(why);
                self.drain = Some(Drain { left: size, answered: kind == b'Q' });
            }
            _ if self.draft.is_empty() => return false,
            _ => self.refuse_draft(why),
        }
        true
    }

    /// True where a draft that has no `Sync` or `Flush` yet is a unit of its own: because a message
    /// follows that belongs to no unit of extended messages, when the server has carried out what came
    /// before, or because it is long.
    fn ends_draft(&self, kind: u8) -> bool {
        let copying = matches!(kind, b'd' | b'c' | b'f') && self.draft.copies_in();
        self.copy != CopyIn::Feeding
            && self.skip == Skip::Nothing
            && !self.draft.is_empty()
            && !self.draft.has_failed()
            && (matches!(kind, b'Q' | b'F') || copying || self.is_long(kind))
    }

    /// True where a draft is as long as one becomes, and `kind` goes on with it. The server would
    /// carry out what came before without being told to flush, and its answers may be what the client
    /// waits for before it sends less.
    fn is_long(&self, kind: u8) -> bool {
        let executed = self.sent.last().is_some_and(|last| last.first() == Some(&b'E'));
        let long = self.sent.len() >= LONG || self.drafted >= KEPT * LONG_BYTES;
        long && executed && matches!(kind, b'P' | b'B' | b'D' | b'E' | b'C')
    }

    /// True where the client may wait for what the server tells without being asked to flush: an
    /// error in what came last, which it would send at once.
    #[must_use]
    pub fn may_be_waited_for(&self) -> bool {
        let executed = self.sent.last().is_some_and(|last| last.first() == Some(&b'E'));
        executed && self.awaits_client() && !self.draft.has_failed()
    }

    /// The client has fallen silent: what has come is a unit of its own, where an answer to it
    /// [may be waited for](Self::may_be_waited_for).
    pub fn pause(&mut self) -> Option<Turn> {
        self.may_be_waited_for().then(|| self.finish(Shape::Flush, None))
    }

    fn accept(&mut self, frame: &Frame) -> Result<Option<Turn>, ProtocolError> {
        if frame.kind == b'X' {
            return Ok(Some(Turn::Terminate));
        }
        if self.copy == CopyIn::Feeding {
            return self.feed(frame);
        }
        // After an error the server drops messages without looking into them.
        let drops = self.drops();
        match (frame.kind, self.skip) {
            (b'S', Skip::Refused) => {
                message::decode(frame)?;
                self.skip = Skip::Nothing;
                return Ok(Some(Turn::SkippedSync));
            }
            (b'S', Skip::Failed) => self.skip = Skip::Nothing,
            (b'S', Skip::Nothing) => {}
            (b'H', Skip::Nothing) if self.draft.has_failed() => {}
            _ if drops => return Ok(None),
            _ => {}
        }
        let message = message::decode(frame)?;
        match message {
            // Outside copy-in mode the server ignores these: the client may not have heard yet that
            // its COPY failed.
            Frontend::CopyData | Frontend::CopyDone | Frontend::CopyFail => return Ok(None),
            // What was sent before has been flushed already: every unit ends in Flush or Sync.
            Frontend::Flush if self.draft.is_empty() => return Ok(None),
            _ => {}
        }
        self.take_on(&message, &frame.bytes);
        Ok(match message {
            Frontend::Sync => Some(self.finish(Shape::Sync, Some(&frame.bytes))),
            Frontend::Flush => Some(self.finish(Shape::Flush, Some(&frame.bytes))),
            Frontend::FunctionCall(body) => {
                let aborted = self.status == b'E';
                let (names, analyst) = (&mut self.names, &*self.analyst);
                let done = self
                    .draft
                    .admit(frame.bytes.len(), &self.limits)
                    .and_then(|()| self.draft.call(&body, names, analyst, aborted));
                self.note(done);
                Some(self.finish(Shape::Sync, None))
            }
            Frontend::Query(text) => {
                let aborted = self.status == b'E';
                let (names, analyst) = (&mut self.names, &*self.analyst);
                let done = self
                    .draft
                    .admit(frame.bytes.len(), &self.limits)
                    .and_then(|()| self.draft.query(text, names, analyst, aborted));
                self.note(done);
                Some(self.finish(Shape::Simple, Some(&frame.bytes)))
            }
            message => {
                let parses = matches!(message, Frontend::Parse { .. });
                let prepares = parses && !self.anew && self.draft.only_prepares();
                let aborted = self.status == b'E';
                let (names, analyst) = (&mut self.names, &*self.analyst);
                let done = self.draft.admit(frame.bytes.len(), &self.limits).and_then(|()| {
                    self.draft.extended(message, &frame.bytes, names, analyst, aborted)
                });
                let limited = matches!(done, Err(Why::Limit { .. } | Why::TooLarge { .. }));
                if done.is_err() && !limited && prepares {
                    return Ok(Some(self.without(frame)));
                }
                self.note(done);
                None
            }
        })
    }

    /// Ends the draft before a message that cannot be read, so that what was prepared before it is,
    /// and the client sees which of its statements the error is about.
    fn without(&mut self, frame: &Frame) -> Turn {
        self.sent.pop();
        self.drafted = self.drafted.saturating_sub(KEPT * frame.bytes.len());
        self.again = Some(frame.clone());
        self.finish(Shape::Flush, None)
    }

    /// Keeps a message of the draft.
    fn take_on(&mut self, message: &Frontend, bytes: &Bytes) {
        if self.sent.is_empty() {
            self.began = self.analyst.epoch();
            self.renames = false;
        }
        self.renames |= match message {
            Frontend::Query(_) => true,
            Frontend::Parse { name, .. } => name.is_empty(),
            _ => false,
        };
        self.sent.push(bytes.clone());
        self.drafted += KEPT * bytes.len();
    }

    fn note(&mut self, done: Result<(), Why>) {
        if let Err(why) = done {
            self.draft.fail(why);
        }
    }

    /// Ends the draft: a unit, or the reason why it is none.
    fn finish(&mut self, shape: Shape, bytes: Option<&Bytes>) -> Turn {
        let draft = std::mem::take(&mut self.draft);
        let sent = std::mem::take(&mut self.sent);
        let kept = std::mem::take(&mut self.drafted);
        if draft.has_failed() {
            self.names.revert();
            if shape == Shape::Flush {
                self.skip = Skip::Refused;
            }
            let (why, shown) = draft.give_up();
            let operation = Operation::unreadable();
            return Turn::Unformed(Box::new(Unformed { why, shown, operation, shape }));
        }
        let mut unit = draft.finish(shape, bytes);
        unit.sent = sent;
        let mut steps = unit.script().steps.iter().enumerate().rev();
        let last = steps.find(|(_, step)| **step != Step::Flush);
        let last = last.map(|(n, step)| match step {
            Step::Execute { part } => (n, Some(*part)),
            _ => (n, None),
        });
        self.flight = Some(Flight {
            shape,
            last,
            suspendable: std::mem::take(&mut unit.suspendable),
            holds_sync: unit.holds_sync,
            ends_in_ready: shape == Shape::Simple || shape == Shape::Sync && !unit.holds_sync,
            parts_done: 0,
            failed: false,
            copied: false,
            bytes: kept,
        });
        Turn::Unit(Box::new(unit))
    }

    /// True where the analyst has come to know more since the first message of the unit just handed
    /// out was read: [`Conversation::reconsider`] makes it one of a piece.
    #[must_use]
    pub fn outdated(&self) -> bool {
        self.began != self.analyst.epoch()
    }

    /// Assembles the unit just handed out once more, of the same messages, because the analyst now
    /// knows more (the catalog was read again). Nothing of it may have been forwarded.
    ///
    /// # Errors
    /// [`ProtocolError`] as for [`Conversation::next`].
    pub fn reconsider(&mut self, unit: Unit) -> Result<Turn, ProtocolError> {
        self.flight = None;
        self.names.revert();
        let shape = unit.shape();
        self.anew = true;
        let formed = self.accept_all(unit.sent);
        self.anew = false;
        Ok(formed?.unwrap_or_else(|| self.finish(shape, None)))
    }

    /// Takes messages until one of them makes a turn.
    fn accept_all(&mut self, sent: Vec<Bytes>) -> Result<Option<Turn>, ProtocolError> {
        for bytes in sent {
            let kind = bytes.first().copied().unwrap_or_default();
            if let Some(turn) = self.accept(&Frame { kind, bytes })? {
                return Ok(Some(turn));
            }
        }
        Ok(None)
    }

    /// The driver has refused the unit just handed out, or has answered one that was unformed:
    /// nothing of it was forwarded. Where [`Conversation::pipeline_open`] said so, it has also made
    /// the target fail and synchronise.
    ///
    /// The server drops the unnamed statement before it looks at a `Query`, or at a `Parse` of
    /// another: who did not wait for the answer to that must not run the one before in its place.
    pub fn refused(&mut self, shape: Shape) {
        self.flight = None;
        self.names.revert();
        if std::mem::take(&mut self.renames) {
            self.names.forget_unnamed();
        }
        self.copy = CopyIn::Off;
        self.pipeline_open = false;
        if shape == Shape::Flush {
            self.skip = Skip::Refused;
        }
    }

    /// What the target has confirmed, in order, in as many calls as it comes in. After a chore that
    /// synchronised the target, its ReadyForQuery.
    pub fn settle(&mut self, confirmations: &[Confirmation]) {
        // Ready alone is the answer to a chore.
        self.renames &= confirmations.iter().all(|c| matches!(c, Confirmation::Ready(_)));
        if !confirmations.is_empty() {
            self.names.was_heard();
        }
        for confirmation in confirmations {
            match confirmation {
                Confirmation::Step(step) => self.step_done(*step, None),
                Confirmation::Part(part, _) => self.part_done(*part, false),
                Confirmation::Suspended(part) => self.part_done(*part, true),
                Confirmation::Failed(step) => self.failed(*step),
                Confirmation::Ready(status) => self.ready(*status),
            }
        }
    }

    /// A transaction that the gateway has put around a unit is over: kept, or `undone`.
    pub fn left_transaction(&mut self, undone: bool) {
        self.status = b'I';
        self.names.transaction_ended(undone);
    }

    /// The unit in flight is, or is no longer, in copy-in mode. To be called after
    /// [`Conversation::settle`] with what came before.
    pub fn copying(&mut self, copying: bool) {
        match (copying, self.copy) {
            (true, CopyIn::Off) => {
                if let Some(flight) = self.flight.as_mut().filter(|flight| !flight.failed) {
                    flight.copied = true;
                    self.copy = CopyIn::Feeding;
                }
            }
            // Until the answer to it has come, the driver may not know that the copy has ended.
            (true, _) => {}
            (false, _) => self.copy = CopyIn::Off,
        }
    }

    fn part_done(&mut self, part: usize, suspended: bool) {
        self.copy = CopyIn::Off;
        let Some(flight) = &mut self.flight else { return };
        flight.parts_done = flight.parts_done.max(part + 1);
        if let Ok(found) = flight.suspendable.binary_search_by_key(&part, |entry| entry.part)
            && let Some(entry) = flight.suspendable.get(found)
        {
            self.names.set_suspended(&entry.name, entry.portal, suspended);
        }
        self.step_done(0, Some(part));
    }

    fn step_done(&mut self, step: usize, part: Option<usize>) {
        let Some(flight) = &self.flight else { return };
        let last = match flight.last {
            None => true,
            Some((last, executes)) => {
                step >= last && part.is_none() || part.is_some() && part == executes
            }
        };
        if last && !flight.ends_in_ready {
            self.land(true);
        }
    }

    fn failed(&mut self, step: usize) {
        self.copy = CopyIn::Off;
        let Some(flight) = &mut self.flight else { return };
        flight.failed = true;
        self.names.fail(step, flight.parts_done);
        if flight.ends_in_ready {
            return;
        }
        self.skip = Skip::Failed;
        self.land(false);
    }

    fn ready(&mut self, status: u8) {
        self.status = status;
        self.copy = CopyIn::Off;
        self.pipeline_open = false;
        self.names.reported();
        let failed = self.flight.take().is_some_and(|flight| flight.failed);
        if !failed {
            self.names.confirm();
        }
        if status == b'I' {
            self.names.transaction_ended(failed);
        }
    }

    /// A unit without ReadyForQuery is answered to its end.
    fn land(&mut self, confirmed: bool) {
        if confirmed {
            self.names.confirm();
        }
        // A Sync held back because of copy-in mode is due where that mode was never entered.
        let flight = self.flight.take();
        self.owed_sync = flight.is_some_and(|flight| flight.holds_sync && !flight.copied);
        self.pipeline_open = true;
    }

    /// Takes whole copy data messages off the front, several at once.
    fn feed_data(&self, buffer: &mut BytesMut) -> Option<Turn> {
        let mut end = 0;
        while let Some(rest) = buffer.get(end..)
            && rest.first() == Some(&b'd')
            // A malformed header is reported when its turn comes.
            && let Ok(Some((_, size))) = message::peek(rest, &self.limits)
            && rest.len() >= size
            && (end == 0 || end + size <= FEED)
        {
            end += size;
        }
        let bytes = (end > 0).then(|| buffer.split_to(end).freeze())?;
        Some(Turn::Feed(CopyFeed { kind: FeedKind::Data, bytes }))
    }

    /// A message other than data in copy-in mode.
    fn feed(&mut self, frame: &Frame) -> Result<Option<Turn>, ProtocolError> {
        let kind = match message::decode(frame)? {
            // "The backend will ignore Flush and Sync messages received during copy-in mode."
            Frontend::Flush | Frontend::Sync => return Ok(None),
            Frontend::CopyDone => FeedKind::Done,
            Frontend::CopyFail => FeedKind::Fail,
            _ => return Err(ProtocolError::DuringCopy(frame.kind)),
        };
        self.copy = CopyIn::Ended;
        let mut bytes = BytesMut::from(&frame.bytes[..]);
        // The Sync that makes the target answer is a unit of its own, which waits for this one.
        if self.flight.as_ref().is_some_and(|flight| flight.shape != Shape::Simple) {
            bytes.extend_from_slice(&FLUSH);
        }
        Ok(Some(Turn::Feed(CopyFeed { kind, bytes: bytes.freeze() })))
    }

    /// Ends the copy-in that runs because the gateway refuses its rows: what makes the target fail
    /// it. What the client still sends of it is dropped, as the server drops it.
    pub fn fail_copy(&mut self) -> CopyFeed {
        self.copy = CopyIn::Ended;
        let mut bytes = BytesMut::from(&COPY_FAIL[..]);
        if self.flight.as_ref().is_some_and(|flight| flight.shape != Shape::Simple) {
            bytes.extend_from_slice(&FLUSH);
        }
        CopyFeed { kind: FeedKind::Fail, bytes: bytes.freeze() }
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
