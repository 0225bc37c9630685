//! Follows a script: which messages a target may send now, and which step and part each answers.
//! What the protocol does not allow at this place is refused, because an answer nobody asked for
//! is an answer nobody has planned the masking of.
//!
//! Manual, "Message Flow". During a copy-in the server ignores Sync and Flush, because client
//! libraries send them before they know that the command was a COPY (`CopyGetData`). A unit that
//! copies in is therefore forwarded without its Sync, which becomes a unit of its own.

use super::body::malformed;
use super::conversation::FeedKind;
use super::script::{Script, Step};
use portcullis_core::mask::{CopyFormat, MaskFailure};
use smallvec::SmallVec;

/// What to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// It passes and says nothing.
    Pass,
    /// It passes; the step with this index is answered.
    Step(usize),
    /// RowDescription of a part; `swallow` where the client did not ask for it.
    Describe { step: Option<usize>, part: Option<usize>, swallow: bool },
    /// NoData for a portal.
    NoData { step: usize, part: Option<usize>, swallow: bool },
    /// DataRow.
    Row { part: usize },
    /// CopyOutResponse.
    CopyOut { part: usize, format: CopyFormat },
    /// CopyData.
    CopyData,
    /// CopyDone.
    CopyDone,
    /// CopyInResponse.
    CopyIn,
    /// CommandComplete.
    Complete { part: usize },
    /// EmptyQueryResponse in place of a part's completion.
    Empty { part: usize },
    /// PortalSuspended.
    Suspended { part: usize },
    /// ErrorResponse; `step` is the one it fails, if none has failed since the last Sync.
    Error { step: Option<usize>, part: Option<usize> },
    /// NoticeResponse.
    Notice { part: Option<usize> },
    /// NotificationResponse.
    Notification,
    /// ParameterStatus.
    Parameter,
    /// ReadyForQuery.
    Ready,
}

/// A [`Step`] without its texts.
#[derive(Debug, Clone, Copy)]
enum Expect {
    One(u8),
    DescribeStatement,
    DescribePortal { part: Option<usize>, injected: bool },
    Execute { part: usize },
    Flush,
    Sync,
    Query { first: usize, count: usize },
}

impl Expect {
    const fn from_step(step: &Step) -> Self {
        match step {
            Step::Parse { .. } => Self::One(b'1'),
            Step::Bind => Self::One(b'2'),
            Step::Close => Self::One(b'3'),
            Step::DescribeStatement => Self::DescribeStatement,
            Step::DescribePortal { part, injected } => {
                Self::DescribePortal { part: *part, injected: *injected }
            }
            Step::Execute { part } => Self::Execute { part: *part },
            Step::Flush => Self::Flush,
            Step::Sync => Self::Sync,
            Step::Query { first_part, parts } => Self::Query { first: *first_part, count: *parts },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing of the step (or of a simple query's current statement) has been answered.
    Start,
    /// After ParameterDescription.
    Parameters,
    /// Rows of a statement.
    Rows,
    /// Between CopyOutResponse and CopyDone.
    CopyOut,
    /// After CopyDone.
    Copied,
    /// Between CopyInResponse and CommandComplete.
    CopyIn,
    /// Only ReadyForQuery is left of a simple query.
    Ready,
}

/// Which copies a part may start.
#[derive(Debug, Clone, Copy)]
struct PartCopies {
    out: Option<CopyFormat>,
    into: bool,
}

/// Where a script stands.
#[derive(Debug)]
pub(super) struct Track {
    steps: SmallVec<[Expect; 8]>,
    parts: SmallVec<[PartCopies; 2]>,
    cursor: usize,
    phase: Phase,
    /// How many statements of the current simple query are complete.
    statement: usize,
    /// A step has failed since the last ReadyForQuery.
    failing: bool,
    failed_open: bool,
    /// CopyDone or CopyFail was fed to the copy-in that runs.
    copy_ended: bool,
}

impl Track {
    pub(super) fn new(script: &Script) -> Self {
        let copies =
            script.parts.iter().map(|p| PartCopies { out: p.copy_out, into: p.copy_in }).collect();
        let mut track = Self {
            steps: script.steps.iter().map(Expect::from_step).collect(),
            parts: copies,
            cursor: 0,
            phase: Phase::Start,
            statement: 0,
            failing: false,
            failed_open: false,
            copy_ended: false,
        };
        track.settle();
        track
    }

    pub(super) fn finished(&self) -> bool {
        self.cursor >= self.steps.len()
    }

    pub(super) const fn failed_open(&self) -> bool {
        self.failed_open
    }

    pub(super) fn copying_in(&self) -> bool {
        self.phase == Phase::CopyIn && !self.copy_ended
    }

    pub(super) fn feed_sent(&mut self, kind: FeedKind) {
        match kind {
            FeedKind::Data => {}
            FeedKind::Done | FeedKind::Fail => self.copy_ended = self.phase == Phase::CopyIn,
        }
    }

    /// Takes a message of this type in, whose body is `empty` or not.
    pub(super) fn accept(&mut self, tag: u8, empty: bool) -> Result<Act, MaskFailure> {
        match tag {
            b'1' | b'2' | b'3' | b'n' | b's' | b'I' | b'c' if !empty => {
                Err(malformed(format!("a message of type 0x{tag:02x} with a body")))
            }
            b'N' => Ok(Act::Notice { part: self.running() }),
            b'A' => Ok(Act::Notification),
            b'S' => Ok(Act::Parameter),
            b'E' => {
                let part = self.running();
                Ok(Act::Error { step: self.fail(), part })
            }
            b'Z' => self.ready(),
            tag => self.answer(tag),
        }
    }

    fn answer(&mut self, tag: u8) -> Result<Act, MaskFailure> {
        let step = self.cursor;
        let current = self.steps.get(step).copied();
        match (current, self.phase, tag) {
            (Some(Expect::One(expected)), Phase::Start, tag) if tag == expected => {
                self.advance();
                Ok(Act::Step(step))
            }
            (Some(Expect::DescribeStatement), Phase::Start, b't') => {
                self.phase = Phase::Parameters;
                Ok(Act::Pass)
            }
            (Some(Expect::DescribeStatement), Phase::Parameters, b'T' | b'n') => {
                self.advance();
                Ok(Act::Step(step))
            }
            (Some(Expect::DescribePortal { part, injected }), Phase::Start, b'T') => {
                self.advance();
                Ok(Act::Describe { step: Some(step), part, swallow: injected })
            }
            (Some(Expect::DescribePortal { part, injected }), Phase::Start, b'n') => {
                self.advance();
                Ok(Act::NoData { step, part, swallow: injected })
            }
            (Some(Expect::Execute { part }), _, tag) => self.executing(part, true, tag),
            (Some(Expect::Query { count: 0, .. }), Phase::Start, b'I') => {
                self.phase = Phase::Ready;
                Ok(Act::Step(step))
            }
            (Some(Expect::Query { first, count }), _, tag) if self.statement < count => {
                self.executing(first + self.statement, false, tag)
            }
            _ => Err(self.unexpected(tag)),
        }
    }

    /// The answer to a statement that runs, by Execute or in a simple query.
    fn executing(&mut self, part: usize, extended: bool, tag: u8) -> Result<Act, MaskFailure> {
        match (self.phase, tag) {
            (Phase::Start, b'T') if !extended => {
                self.phase = Phase::Rows;
                Ok(Act::Describe { step: None, part: Some(part), swallow: false })
            }
            (Phase::Start, b'D') if extended => {
                self.phase = Phase::Rows;
                Ok(Act::Row { part })
            }
            (Phase::Rows, b'D') => Ok(Act::Row { part }),
            (Phase::Start | Phase::Rows | Phase::Copied, b'C') => {
                self.part_done();
                Ok(Act::Complete { part })
            }
            (Phase::CopyIn, b'C') if self.copy_ended => {
                self.part_done();
                Ok(Act::Complete { part })
            }
            (Phase::Start | Phase::Rows, b's') if extended => {
                self.part_done();
                Ok(Act::Suspended { part })
            }
            (Phase::Start, b'I') if extended => {
                self.part_done();
                Ok(Act::Empty { part })
            }
            (Phase::Start, b'H') => match self.parts.get(part).and_then(|p| p.out) {
                Some(format) => {
                    self.phase = Phase::CopyOut;
                    Ok(Act::CopyOut { part, format })
                }
                None => Err(malformed("rows are copied out by a statement that copies none out")),
            },
            (Phase::CopyOut, b'd') => Ok(Act::CopyData),
            (Phase::CopyOut, b'c') => {
                self.phase = Phase::Copied;
                Ok(Act::CopyDone)
            }
            (Phase::Start, b'G') if self.parts.get(part).is_some_and(|p| p.into) => {
                self.phase = Phase::CopyIn;
                self.copy_ended = false;
                Ok(Act::CopyIn)
            }
            _ => Err(self.unexpected(tag)),
        }
    }

    /// The running part is complete.
    fn part_done(&mut self) {
        if let Some(Expect::Query { count, .. }) = self.steps.get(self.cursor) {
            self.statement += 1;
            self.phase = if self.statement < *count { Phase::Start } else { Phase::Ready };
            return;
        }
        self.advance();
    }

    fn ready(&mut self) -> Result<Act, MaskFailure> {
        match (self.steps.get(self.cursor), self.phase) {
            (Some(Expect::Sync), Phase::Start) | (Some(Expect::Query { .. }), Phase::Ready) => {
                self.failing = false;
                self.advance();
                Ok(Act::Ready)
            }
            _ => Err(self.unexpected(b'Z')),
        }
    }

    /// An error: everything up to the next Sync is skipped. Gives the step it fails.
    fn fail(&mut self) -> Option<usize> {
        if self.finished() {
            return None;
        }
        let step = self.cursor;
        let first = !std::mem::replace(&mut self.failing, true);
        match self.steps.get(step) {
            Some(Expect::Query { .. }) => self.phase = Phase::Ready,
            Some(Expect::Sync) | None => {}
            Some(_) => self.skip_to_sync(),
        }
        (first && step < self.steps.len()).then_some(step)
    }

    fn skip_to_sync(&mut self) {
        let sync = self.steps.iter().skip(self.cursor).position(|s| matches!(s, Expect::Sync));
        self.phase = Phase::Start;
        match sync {
            Some(offset) => self.cursor += offset,
            None => {
                self.cursor = self.steps.len();
                self.failed_open = true;
            }
        }
    }

    fn advance(&mut self) {
        self.cursor += 1;
        self.phase = Phase::Start;
        self.statement = 0;
        self.settle();
    }

    /// Steps over what is not answered.
    fn settle(&mut self) {
        while matches!(self.steps.get(self.cursor), Some(Expect::Flush)) {
            self.cursor += 1;
        }
    }

    /// The part that runs, or for what prepares one, the part it prepares.
    fn running(&self) -> Option<usize> {
        match self.steps.get(self.cursor) {
            None | Some(Expect::Sync | Expect::Flush) => None,
            Some(Expect::Query { first, count }) => {
                count.checked_sub(1).map(|last| first + self.statement.min(last))
            }
            Some(_) => self
                .steps
                .iter()
                .skip(self.cursor)
                .take_while(|s| !matches!(s, Expect::Sync))
                .find_map(|s| match s {
                    Expect::Execute { part }
                    | Expect::DescribePortal { part: Some(part), .. }
                    | Expect::Query { first: part, .. } => Some(*part),
                    _ => None,
                }),
        }
    }

    fn unexpected(&self, tag: u8) -> MaskFailure {
        let place = match self.steps.get(self.cursor) {
            None => "after everything was answered".to_owned(),
            Some(step) => format!("at step {} ({step:?}, {:?})", self.cursor, self.phase),
        };
        malformed(format!("a message of type 0x{tag:02x} {place}"))
    }
}
