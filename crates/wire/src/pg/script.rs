//! What the target has been asked and must answer, in order: the contract between the side that
//! assembles requests and the side that reads answers.

use bytes::Bytes;
use portcullis_core::mask::CopyFormat;
use portcullis_sql::statement::Statement;
use std::sync::Arc;

/// One message of a unit, as far as its answer is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// `Parse`: answered by ParseComplete.
    Parse {
        /// The statement's name.
        name: Bytes,
    },
    /// `Bind`: answered by BindComplete.
    Bind,
    /// `Describe` of a statement: ParameterDescription, then RowDescription or NoData.
    /// Not covered by an execution, but its answer names columns.
    DescribeStatement,
    /// `Describe` of a portal: RowDescription or NoData.
    DescribePortal {
        /// The part whose `Execute` this description governs; `None` where none follows in the
        /// unit.
        part: Option<usize>,
        /// True where the gateway put it there: its answer is not passed on.
        injected: bool,
    },
    /// `Close`: answered by CloseComplete.
    Close,
    /// `Execute` of a portal: rows or copy data, then CommandComplete, EmptyQueryResponse or
    /// PortalSuspended.
    Execute {
        /// Which part of the unit's operation (index into its lineages and `parts`).
        part: usize,
    },
    /// `Flush`: no answer.
    Flush,
    /// `Sync`: answered by ReadyForQuery. Ends what an error skips.
    Sync,
    /// A simple `Query`: for each of its statements rows or copy data and CommandComplete (or
    /// EmptyQueryResponse for an empty text), then ReadyForQuery. An error skips to ReadyForQuery.
    Query {
        /// The first part of the unit that belongs to it.
        first_part: usize,
        /// How many statements (parts) it has; 0 for an empty text.
        parts: usize,
    },
}

/// One statement of a unit that is executed: part number `n` of its operation.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its facts (for `EXECUTE name` and `FETCH`, those of what the name stands for).
    pub statement: Arc<Statement>,
    /// How rows are copied out, for a `COPY … TO STDOUT`.
    pub copy_out: Option<CopyFormat>,
    /// True for a `COPY … FROM STDIN`: data may be fed while it runs.
    pub copy_in: bool,
}

/// Everything the answer side has to know of a unit.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// The messages, in order.
    pub steps: Vec<Step>,
    /// The statements executed, in order; indexes equal those of `Operation::lineages`.
    pub parts: Vec<Part>,
    /// True where the client has called a function by number: it gets the one value, and nothing of
    /// the messages about the statement that calls it.
    pub calls: bool,
    /// True where the answer is a plan of which one number is kept, and nothing passed on.
    pub estimates: bool,
}

/// How far a script has been confirmed by the target, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// The step with this index was answered with success.
    Step(usize),
    /// The part with this index was completed (CommandComplete), with this tag.
    Part(usize, Box<str>),
    /// The part's portal was suspended: `Execute` may continue it.
    Suspended(usize),
    /// An error: every step after the failed one is skipped up to the next `Sync` (or the end of
    /// the simple query).
    Failed(usize),
    /// ReadyForQuery with this transaction status (`I`, `T` or `E`).
    Ready(u8),
}
