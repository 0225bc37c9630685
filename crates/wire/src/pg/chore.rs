//! What the gateway itself asks of a target, between a caller's requests: a closed set of fixed
//! messages.
//!
//! *Architecture invariant:* a chore carries `'static` texts alone, so that not one byte of a
//! caller can be in it.

use super::answer::{read_parameter, read_ready};
use super::backend::{ErrorFields, error_fields};
use super::body::{Body, malformed};
use super::frames::{Frame, Frames};
use super::rewrite::put_message;
use super::rows::{read_description, read_value};
use bytes::BytesMut;
use portcullis_core::fate::Fate;
use portcullis_core::mask::MaskFailure;
use portcullis_core::masked::Raw;
use portcullis_core::protocol::{self, Ending};
use std::time::Duration;

/// Most rows a catalog may have, over all queries.
pub const MAX_CATALOG_ROWS: usize = 1_000_000;

/// Most bytes of values a catalog may have: 256 MiB.
pub const MAX_CATALOG_BYTES: usize = 256 * 1024 * 1024;

/// Most bytes of unasked messages kept for the client while a chore runs.
const MAX_UNASKED: usize = 1024 * 1024;

/// A portal that does not exist. Should a caller have made one of this name, the chores are still
/// harmless: they describe and close it, and never execute it; and its description is no answer
/// they take.
const NO_PORTAL: &[u8] = b"\x7fportcullis: no such portal\0";

/// What ends a transaction.
const COMMIT: &str = "COMMIT";
const ROLLBACK: &str = "ROLLBACK";
/// What keeps a rehearsal apart from what is tried in its transaction.
const SAVEPOINT: &str = "SAVEPOINT \"portcullis: rehearsal\"";
const ROLL_BACK_TO: &str = "ROLLBACK TO SAVEPOINT \"portcullis: rehearsal\"";
const RELEASE: &str = "RELEASE SAVEPOINT \"portcullis: rehearsal\"";

/// Rows changed by the current transaction, and by those before it that the server has not counted
/// yet, by table: triggers and cascades too (PostgreSQL manual, "Viewing Statistics"). A row of
/// number 0 where the server counts nothing.
const CHANGED_TABLES: &str = "SELECT schemaname, relname, n_tup_ins, n_tup_upd, n_tup_del, relid \
    FROM pg_catalog.pg_stat_xact_user_tables \
    WHERE n_tup_ins OPERATOR(pg_catalog.<>) 0 OR n_tup_upd OPERATOR(pg_catalog.<>) 0 \
       OR n_tup_del OPERATOR(pg_catalog.<>) 0 \
    UNION ALL SELECT '', '', 0, 0, 0, '0'::pg_catalog.oid \
    WHERE pg_catalog.current_setting('track_counts') OPERATOR(pg_catalog.=) 'off' ORDER BY 1, 2";

/// Has the target do now what it put off to the end of the transaction.
const SETTLE: &str = "SET CONSTRAINTS ALL IMMEDIATE";

/// What a transaction is like that was opened by default.
const TRANSACTION: &str = "SELECT pg_catalog.current_setting('transaction_isolation'), \
    pg_catalog.current_setting('transaction_read_only')";

/// Relations that run functions of the server, by themselves, of which something may be left after a
/// rollback: in defaults, checks, policies and conditions of triggers (functions of users are seen by
/// the analysis of statements). Number 0 stands for any: a check or
/// default of a domain. What moves a sequence on
/// leaves a gap, which is as after any error.
const LASTING_CODE: &str = "SELECT DISTINCT x.relation, p.proname \
    FROM (SELECT adrelid, adbin::pg_catalog.text FROM pg_catalog.pg_attrdef \
          UNION ALL SELECT conrelid, conbin::pg_catalog.text FROM pg_catalog.pg_constraint \
            WHERE conbin IS NOT NULL \
          UNION ALL SELECT polrelid, polqual::pg_catalog.text FROM pg_catalog.pg_policy \
          UNION ALL SELECT polrelid, polwithcheck::pg_catalog.text FROM pg_catalog.pg_policy \
          UNION ALL SELECT tgrelid, tgqual::pg_catalog.text FROM pg_catalog.pg_trigger \
            WHERE tgqual IS NOT NULL \
          UNION ALL SELECT 0::pg_catalog.oid, typdefaultbin::pg_catalog.text \
            FROM pg_catalog.pg_type WHERE typdefaultbin IS NOT NULL) x(relation, tree), \
         LATERAL pg_catalog.regexp_matches(x.tree, 'funcid ([0-9]+)', 'g') m(found) \
    JOIN pg_catalog.pg_proc p ON p.oid = m.found[1]::pg_catalog.oid \
    WHERE p.provolatile = 'v' AND p.oid < 16384 \
      AND p.proname NOT IN ('nextval', 'currval', 'lastval', 'random', 'random_normal', \
                            'clock_timestamp', 'timeofday', 'gen_random_uuid', 'uuidv4', 'uuidv7') \
    ORDER BY 1, 2";

/// Before these two, so that their operators are the server's own: what the caller has put before
/// `pg_catalog` may have some of the same name.
const OWN_NAMES: &str = "SELECT pg_catalog.set_config('search_path', 'pg_catalog', true)";

/// The columns of primary keys.
const KEYS: &str = "SELECT i.indrelid, a.attname FROM pg_catalog.pg_index i \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) \
    WHERE i.indisprimary AND i.indrelid >= 16384 ORDER BY i.indrelid, a.attnum";

/// Opens a transaction in which a request is rehearsed: for how long a statement may run and wait for
/// a lock, unless the caller has set less; and after how long the target ends the session by itself,
/// should the gateway not come back. All in milliseconds.
macro_rules! rehearsal {
    ($statement:literal, $lock:literal, $idle:literal) => {
        &[
            "BEGIN",
            concat!(
                "SELECT pg_catalog.set_config(s.name, CASE \
                    WHEN s.setting::pg_catalog.int8 OPERATOR(pg_catalog.>) 0 \
                     AND s.setting::pg_catalog.int8 OPERATOR(pg_catalog.<) v.most::pg_catalog.int8 \
                    THEN s.setting ELSE v.most::pg_catalog.text END, true) \
                 FROM (VALUES ('statement_timeout', ",
                $statement,
                "), ('lock_timeout', ",
                $lock,
                ")) v(name, most) JOIN pg_catalog.pg_settings s \
                    ON s.name OPERATOR(pg_catalog.=) v.name \
                 UNION ALL SELECT pg_catalog.set_config(\
                    'idle_in_transaction_session_timeout', '",
                $idle,
                "', true)"
            ),
            TRANSACTION,
            SAVEPOINT,
            OWN_NAMES,
            LASTING_CODE,
            KEYS,
            ROLL_BACK_TO,
            RELEASE,
            CHANGED_TABLES,
        ]
    };
}

/// By the longest time that people have, in seconds.
const REHEARSALS: [(u64, &[&str]); 5] = [
    (5, rehearsal!(1000, 300, 15000)),
    (10, rehearsal!(2000, 500, 20000)),
    (30, rehearsal!(5000, 1000, 40000)),
    (60, rehearsal!(10000, 1000, 70000)),
    (u64::MAX, rehearsal!(30000, 2000, 310_000)),
];

/// The name of a chore's statement and portal: a simple query would drop the caller's unnamed ones.
/// A caller who takes this name makes chores fail, and so ends its own session.
const OWN: &[u8] = b"\x7fportcullis: chore\0";

/// Where answers to [`Chore::open_rehearsal`] stand among its rows.
#[derive(Debug, Clone, Copy)]
pub enum RehearsalRows {
    /// The isolation level, and whether nothing can be written.
    Transaction = 2,
    /// Relations by number, and a function each runs of which something may be left; 0 is any.
    LastingCode = 5,
    /// Relations by number, and a column each of their primary keys.
    Keys = 6,
    /// Schema and name of tables; rows inserted, updated, deleted; the table's number, or 0 where
    /// nothing is counted.
    Changed = 9,
}

/// One of the gateway's own requests.
#[derive(Debug)]
pub enum Chore {
    /// Makes the target fail whatever transaction or pipeline is open.
    FailTransaction(Settling),
    /// Makes the target and the gateway agree that nothing is under way.
    Synchronize(Settling),
    /// Reads the catalog.
    ReadCatalog(Reading),
}

/// What comes of a chore.
#[derive(Debug)]
pub enum ChoreOutcome {
    /// It was done.
    Settled {
        /// The transaction status afterwards (`I`, `T` or `E`).
        status: u8,
        /// What the target said unasked meanwhile, for the standing masker.
        unasked: Option<Raw<Frames>>,
    },
    /// The rows of every query, in order.
    Catalog {
        /// The rows.
        rows: CatalogRows,
        /// As above.
        unasked: Option<Raw<Frames>>,
    },
    /// The target refused.
    Failed {
        /// The transaction status afterwards.
        status: u8,
        /// Its error; the text is the target's, and not for a client.
        error: ErrorFields,
        /// The same as it came, for the standing masker.
        said: Raw<Frames>,
        /// As above.
        unasked: Option<Raw<Frames>>,
    },
}

/// The rows of each query: values as text, `None` for NULL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogRows {
    /// By query, in order.
    pub queries: Vec<Vec<Vec<Option<String>>>>,
    /// The command tag of the last of them.
    pub tag: String,
}

impl ChoreOutcome {
    /// What became of a transaction whose COMMIT was answered by this.
    #[must_use]
    pub fn fate(&self) -> Fate {
        match self {
            Self::Catalog { rows, .. } => Fate::of_tag(&rows.tag),
            Self::Failed { status: b'I', error, .. } => Fate::of_error(&error.code),
            // A target that works leaves no transaction open then.
            Self::Failed { .. } | Self::Settled { .. } => Fate::Unknown,
        }
    }
}

/// The state of a chore that brings a target to rest.
#[derive(Debug, Default)]
pub struct Settling {
    stage: Stage,
    unasked: BytesMut,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Before the first ReadyForQuery.
    #[default]
    Start,
    /// After it: the marker is still to come, and ReadyForQuery that were not counted on before it.
    Marker,
    /// After the marker: one ReadyForQuery is left.
    Last,
    Done,
}

/// The state of reading the catalog.
#[derive(Debug)]
pub struct Reading {
    queries: &'static [&'static str],
    rows: CatalogRows,
    current: Option<Current>,
    /// Queries answered to their ReadyForQuery.
    answered: usize,
    /// Whether the unnamed statement is closed as well.
    forgets: bool,
    left_rows: usize,
    left_bytes: usize,
    error: Option<Box<(ErrorFields, BytesMut)>>,
    unasked: BytesMut,
}

#[derive(Debug)]
struct Current {
    columns: usize,
    rows: Vec<Vec<Option<String>>>,
    complete: bool,
}

impl Chore {
    /// Describes a portal that does not exist, which fails an open transaction (or an open
    /// pipeline's) as any failing statement of the caller would; and synchronizes.
    #[must_use]
    pub fn fail_transaction() -> Self {
        Self::FailTransaction(Settling::default())
    }

    /// Sends `Sync`, then closes a portal that does not exist, which is no error and marks the
    /// place: ReadyForQuery before it, however many, are of what was under way.
    #[must_use]
    pub fn synchronize() -> Self {
        Self::Synchronize(Settling::default())
    }

    /// Opens a transaction around a caller's request, and gives the rows that the session's statistics
    /// count as changed by then, by table ([`RehearsalRows::Changed`]).
    #[must_use]
    pub fn begin() -> Self {
        Self::read_catalog(&["BEGIN", CHANGED_TABLES])
    }

    /// The rows that the session's statistics count as changed, by table.
    #[must_use]
    pub fn count_changes() -> Self {
        Self::read_catalog(&[CHANGED_TABLES])
    }

    /// Likewise before and after the target does what it put off to the end of the transaction.
    #[must_use]
    pub fn settle_callers() -> Self {
        Self::read_catalog(&[CHANGED_TABLES, SETTLE, CHANGED_TABLES])
    }

    /// Ends the transaction that [`Self::begin`] has opened, and keeps what was done in it.
    #[must_use]
    pub fn commit() -> Self {
        Self::read_catalog(&[COMMIT])
    }

    /// Ends it, and undoes what was done in it.
    #[must_use]
    pub fn roll_back() -> Self {
        Self::read_catalog(&[ROLLBACK])
    }

    /// Opens the transaction of a rehearsal for which people have so long, and gives, in the places
    /// of [`RehearsalRows`], what has to be known before.
    #[must_use]
    pub fn open_rehearsal(time: Duration) -> Self {
        let fits = REHEARSALS.iter().find(|(most, _)| time.as_secs() <= *most);
        Self::read_catalog(fits.map_or(&[], |(_, queries)| queries))
    }

    /// Has the target check what it put off to the end of the transaction, and gives the rows changed
    /// by table.
    #[must_use]
    pub fn settle() -> Self {
        Self::read_catalog(&[SETTLE, CHANGED_TABLES])
    }

    /// Before something is tried in a rehearsal.
    #[must_use]
    pub fn savepoint() -> Self {
        Self::read_catalog(&[SAVEPOINT])
    }

    /// It has been done, and stays.
    #[must_use]
    pub fn release() -> Self {
        Self::read_catalog(&[RELEASE])
    }

    /// Before rows are asked for in a rehearsal: what fails then, or takes long, is not to undo it.
    #[must_use]
    pub fn begin_look() -> Self {
        Self::read_catalog(&[
            SAVEPOINT,
            "SELECT pg_catalog.set_config('statement_timeout', '1000', true)",
        ])
    }

    /// Afterwards.
    #[must_use]
    pub fn end_look() -> Self {
        Self::read_catalog(&[ROLL_BACK_TO, RELEASE])
    }

    /// Undoes a rehearsal; `forgets` where the unnamed statement is that of the rehearsal, of which
    /// the caller knows nothing yet.
    #[must_use]
    pub fn undo_rehearsal(forgets: bool) -> Self {
        match Self::roll_back() {
            Self::ReadCatalog(reading) => Self::ReadCatalog(Reading { forgets, ..reading }),
            other => other,
        }
    }

    /// Runs each of `queries`, one statement each, and gives their rows.
    #[must_use]
    pub fn read_catalog(queries: &'static [&'static str]) -> Self {
        Self::ReadCatalog(Reading {
            queries,
            rows: CatalogRows::default(),
            current: None,
            answered: 0,
            forgets: false,
            left_rows: MAX_CATALOG_ROWS,
            left_bytes: MAX_CATALOG_BYTES,
            error: None,
            unasked: BytesMut::new(),
        })
    }
}

impl protocol::Chore for Chore {
    type Answer = Frames;
    type Outcome = ChoreOutcome;

    fn wire_bytes(&self) -> Vec<u8> {
        let mut out = BytesMut::new();
        let mut put = |tag, parts: &[&[u8]]| {
            // Fixed texts are far below the limit; a message left out would be missed at once.
            put_message(&mut out, tag, &parts.concat()).unwrap_or_default();
        };
        match self {
            Self::FailTransaction(_) | Self::Synchronize(_) => {
                if matches!(self, Self::FailTransaction(_)) {
                    put(b'D', &[b"P", NO_PORTAL]);
                }
                put(b'S', &[]);
                put(b'C', &[b"P", NO_PORTAL]);
                put(b'S', &[]);
            }
            Self::ReadCatalog(reading) if reading.queries.is_empty() => put(b'S', &[]),
            Self::ReadCatalog(reading) => {
                if reading.forgets {
                    put(b'C', &[b"S\0"]);
                }
                for query in reading.queries {
                    // What an earlier chore left behind when it failed.
                    put(b'C', &[b"P", OWN]);
                    put(b'C', &[b"S", OWN]);
                    put(b'P', &[OWN, query.as_bytes(), &[0, 0, 0]]);
                    put(b'B', &[OWN, OWN, &[0; 6]]);
                    put(b'D', &[b"P", OWN]);
                    put(b'E', &[OWN, &[0; 4]]);
                    put(b'C', &[b"P", OWN]);
                    put(b'C', &[b"S", OWN]);
                    put(b'S', &[]);
                }
            }
        }
        out.to_vec()
    }

    /// Chores end transactions by these two texts, and by no others.
    fn ending(&self) -> Ending {
        let Self::ReadCatalog(reading) = self else { return Ending::None };
        match reading.queries {
            queries if queries.contains(&COMMIT) => Ending::Keeps,
            queries if queries.contains(&ROLLBACK) => Ending::Undoes,
            _ => Ending::None,
        }
    }

    fn absorb(&mut self, answer: Frames) -> Result<Option<ChoreOutcome>, MaskFailure> {
        let mut outcome = None;
        let own_path = matches!(self, Self::ReadCatalog(r) if r.has_own_path());
        for frame in &answer {
            let unasked = match self {
                Self::FailTransaction(s) | Self::Synchronize(s) => &mut s.unasked,
                Self::ReadCatalog(r) => &mut r.unasked,
            };
            if own_path && frame.tag == b'S' && frame.body.starts_with(OWN_PATH) {
                continue;
            }
            if keep_unasked(&frame, unasked)? {
                continue;
            }
            if outcome.is_some() {
                return Err(unexpected(&frame));
            }
            outcome = match self {
                Self::FailTransaction(s) | Self::Synchronize(s) => s.take(&frame)?,
                Self::ReadCatalog(reading) => reading.take(&frame)?,
            };
        }
        // What was said unasked behind the end of the chore goes with the rest.
        let unasked = match self {
            Self::FailTransaction(s) | Self::Synchronize(s) => &mut s.unasked,
            Self::ReadCatalog(r) => &mut r.unasked,
        };
        if let Some(
            ChoreOutcome::Settled { unasked: kept, .. }
            | ChoreOutcome::Catalog { unasked: kept, .. }
            | ChoreOutcome::Failed { unasked: kept, .. },
        ) = &mut outcome
        {
            let said = std::mem::take(unasked);
            *kept = (!said.is_empty()).then(|| Raw::new(Frames::from(said)));
        }
        Ok(outcome)
    }
}

/// Definitions are read under a search path of the chore's own, of which PostgreSQL 18 tells, and that
/// it is as before afterwards: neither is anything to the client.
const OWN_PATH: &[u8] = b"search_path\0";

fn unexpected(frame: &Frame<'_>) -> MaskFailure {
    malformed(format!("a message of type 0x{:02x} in answer to a chore", frame.tag))
}

/// Keeps notifications and changes of settings for the client, and drops notices, which are about
/// a chore the client knows nothing of. False for what answers the chore.
fn keep_unasked(frame: &Frame<'_>, unasked: &mut BytesMut) -> Result<bool, MaskFailure> {
    match frame.tag {
        b'S' => {
            read_parameter(frame.body)?;
        }
        b'A' => {}
        b'N' => return Ok(true),
        _ => return Ok(false),
    }
    if unasked.len() + frame.body.len() > MAX_UNASKED {
        return Err(MaskFailure::TooLarge("unasked messages during a chore".to_owned()));
    }
    put_message(unasked, frame.tag, frame.body)?;
    Ok(true)
}

impl Settling {
    fn take(&mut self, frame: &Frame<'_>) -> Result<Option<ChoreOutcome>, MaskFailure> {
        match (frame.tag, self.stage) {
            // The failure that was asked for, or one at the end of a pipeline's transaction.
            (b'E', Stage::Start | Stage::Marker) => Ok(None),
            (b'Z', Stage::Start | Stage::Marker) => {
                read_ready(frame.body)?;
                self.stage = Stage::Marker;
                Ok(None)
            }
            (b'3', Stage::Marker) => {
                self.stage = Stage::Last;
                Ok(None)
            }
            (b'Z', Stage::Last) => {
                let status = read_ready(frame.body)?;
                self.stage = Stage::Done;
                Ok(Some(ChoreOutcome::Settled { status, unasked: None }))
            }
            _ => Err(unexpected(frame)),
        }
    }
}

impl Reading {
    /// True where one of its fixed queries gives it a search path of its own.
    fn has_own_path(&self) -> bool {
        self.queries.iter().any(|query| query.contains("('search_path',"))
    }

    fn take(&mut self, frame: &Frame<'_>) -> Result<Option<ChoreOutcome>, MaskFailure> {
        match (frame.tag, &mut self.current) {
            (b'T', None) => {
                let columns = read_description(frame.body)?.len();
                self.current = Some(Current { columns, rows: Vec::new(), complete: false });
            }
            (b'D', Some(current)) if !current.complete => {
                let columns = current.columns;
                let row = self.row(columns, frame.body)?;
                if let Some(current) = &mut self.current {
                    current.rows.push(row);
                }
            }
            (b'C', Some(current)) if !current.complete => {
                current.complete = true;
                Body::new("CommandComplete", frame.body).text()?.clone_into(&mut self.rows.tag);
            }
            // A statement without rows.
            (b'n', None) if frame.body.is_empty() => {
                self.current = Some(Current { columns: 0, rows: Vec::new(), complete: false });
            }
            (b'1' | b'2' | b'3', _) if frame.body.is_empty() => {}
            (b'E', _) => {
                if self.error.is_none() {
                    let mut said = BytesMut::new();
                    put_message(&mut said, frame.tag, frame.body)?;
                    let mut error = error_fields(frame.body);
                    if self.rows.tag == "COMMIT" {
                        // It is not about that any more: "statement completion unknown".
                        "40003".clone_into(&mut error.code);
                    }
                    self.error = Some(Box::new((error, said)));
                }
                self.current = None;
            }
            (b'Z', _) => return self.ready(read_ready(frame.body)?),
            _ => return Err(unexpected(frame)),
        }
        Ok(None)
    }

    fn row(&mut self, columns: usize, body: &[u8]) -> Result<Vec<Option<String>>, MaskFailure> {
        let exceeded = || MaskFailure::TooLarge("the target's catalog".to_owned());
        self.left_rows = self.left_rows.checked_sub(1).ok_or_else(exceeded)?;
        let size = body.len() + columns * std::mem::size_of::<Option<String>>();
        self.left_bytes = self.left_bytes.checked_sub(size).ok_or_else(exceeded)?;
        let mut body = Body::new("DataRow", body);
        if body.count()? != columns {
            return Err(malformed("a catalog row of another number of columns"));
        }
        let mut row = Vec::with_capacity(columns);
        for _ in 0..columns {
            let value = read_value(&mut body)?.map(|value| {
                std::str::from_utf8(value)
                    .map(str::to_owned)
                    .map_err(|_| malformed("a catalog value that is not UTF-8"))
            });
            row.push(value.transpose()?);
        }
        body.end()?;
        Ok(row)
    }

    fn ready(&mut self, status: u8) -> Result<Option<ChoreOutcome>, MaskFailure> {
        match self.current.take() {
            Some(Current { rows, complete: true, .. }) => self.rows.queries.push(rows),
            None if self.error.is_some() || self.queries.is_empty() => {}
            _ => return Err(malformed("a catalog query was not answered")),
        }
        self.answered += 1;
        if self.answered < self.queries.len() {
            return Ok(None);
        }
        Ok(Some(match self.error.take() {
            Some(failure) => {
                let (error, said) = *failure;
                let said = Raw::new(Frames::from(said));
                ChoreOutcome::Failed { status, error, said, unasked: None }
            }
            None => {
                let rows = std::mem::take(&mut self.rows);
                ChoreOutcome::Catalog { rows, unasked: None }
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_core::protocol::Chore as _;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::new();
        put_message(&mut out, tag, body).unwrap();
        out.to_vec()
    }

    fn error() -> Vec<u8> {
        message(b'E', b"SERROR\0VERROR\0C34000\0Mno portal\0\0")
    }

    fn described() -> Vec<u8> {
        message(b'T', b"\0\x01a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0")
    }

    /// The outcome, and that how the answer is cut changes nothing about it.
    fn absorb(chore: fn() -> Chore, came: &[Vec<u8>]) -> Result<Option<ChoreOutcome>, MaskFailure> {
        let mut one = chore();
        let mut outcome = None;
        for message in came {
            let frames = Frames::from(BytesMut::from(&message[..]));
            match one.absorb(frames) {
                Ok(done) => outcome = outcome.or(done),
                Err(failure) => {
                    outcome = None;
                    let whole = Frames::from(BytesMut::from(&came.concat()[..]));
                    assert_eq!(chore().absorb(whole).err(), Some(failure));
                    break;
                }
            }
        }
        let whole = chore().absorb(Frames::from(BytesMut::from(&came.concat()[..])));
        assert_eq!(whole.as_ref().is_ok_and(Option::is_some), outcome.is_some());
        whole
    }

    #[test]
    fn the_messages_are_fixed_and_execute_nothing() {
        let tags = |chore: Chore| {
            let bytes = BytesMut::from(&chore.wire_bytes()[..]);
            Frames::from(bytes).iter().map(|f| char::from(f.tag)).collect::<String>()
        };
        assert_eq!(tags(Chore::fail_transaction()), "DSCS");
        assert_eq!(tags(Chore::synchronize()), "SCS");
        assert_eq!(tags(Chore::read_catalog(&["select 1", "select 2"])), "CCPBDECCSCCPBDECCS");
        assert_eq!(tags(Chore::read_catalog(&[])), "S");
    }

    #[test]
    fn what_ends_a_transaction_is_known() {
        let check = |chore: Chore, expect| assert_eq!(chore.ending(), expect, "{chore:?}");
        check(Chore::commit(), Ending::Keeps);
        check(Chore::read_catalog(&["BEGIN", "SELECT 1", "COMMIT"]), Ending::Keeps);
        check(Chore::roll_back(), Ending::Undoes);
        check(Chore::undo_rehearsal(true), Ending::Undoes);
        for chore in [
            Chore::open_rehearsal(Duration::from_secs(20)),
            Chore::settle(),
            Chore::settle_callers(),
            Chore::begin_look(),
            Chore::end_look(),
            Chore::count_changes(),
            Chore::synchronize(),
        ] {
            check(chore, Ending::None);
        }
    }

    #[test]
    fn a_commit_is_what_the_target_says_of_it() {
        let nothing = || message(b'n', b"");
        let tag = |tag: &[u8]| vec![nothing(), message(b'C', &[tag, b"\0"].concat())];
        let code = |code: &str| vec![message(b'E', format!("SERROR\0C{code}\0Mx\0\0").as_bytes())];
        for (said, status, fate) in [
            (tag(b"COMMIT"), b'I', Fate::Committed),
            (tag(b"ROLLBACK"), b'I', Fate::Undone),
            (tag(b"SELECT 1"), b'I', Fate::Unknown),
            (code("23503"), b'I', Fate::Undone),
            (code("08007"), b'I', Fate::Unknown),
            (code("23503"), b'E', Fate::Unknown),
        ] {
            let came = [said.clone(), vec![message(b'Z', &[status])]].concat();
            let outcome = absorb(Chore::commit, &came).unwrap().unwrap();
            assert_eq!(outcome.fate(), fate, "{said:?} {status}");
        }
    }

    #[test]
    fn a_rehearsal_is_bounded_by_the_time_people_have() {
        for (seconds, statement) in [(2, "1000"), (5, "1000"), (20, "5000"), (300, "30000")] {
            let Chore::ReadCatalog(reading) = Chore::open_rehearsal(Duration::from_secs(seconds))
            else {
                panic!()
            };
            let wanted = format!("('statement_timeout', {statement})");
            assert!(reading.queries[1].contains(&wanted), "{}", reading.queries[1]);
            for (place, query) in [
                (RehearsalRows::Transaction, TRANSACTION),
                (RehearsalRows::LastingCode, LASTING_CODE),
                (RehearsalRows::Keys, KEYS),
                (RehearsalRows::Changed, CHANGED_TABLES),
            ] {
                assert_eq!(reading.queries[place as usize], query);
            }
        }
    }

    #[test]
    fn settling_reads_up_to_the_marker() {
        let (z, marker) = (|s| message(b'Z', &[s]), || message(b'3', b""));
        let status = |came: &[Vec<u8>]| match absorb(Chore::fail_transaction, came) {
            Ok(Some(ChoreOutcome::Settled { status, unasked: None })) => Some(status),
            _ => None,
        };
        assert_eq!(status(&[error(), z(b'E'), marker(), z(b'E')]), Some(b'E'));
        // The server was discarding up to a Sync: no error of its own.
        assert_eq!(status(&[z(b'I'), marker(), z(b'I')]), Some(b'I'));
        // ReadyForQuery of what was under way.
        assert_eq!(status(&[z(b'I'), error(), z(b'I'), marker(), z(b'T')]), Some(b'T'));
        assert_eq!(status(&[error(), z(b'E'), marker()]), None);
        let described = message(b'T', &[0, 0]);
        for came in [
            vec![marker()],
            vec![described],
            vec![z(b'I'), marker(), error()],
            vec![z(b'I'), marker(), z(b'I'), z(b'I')],
            vec![message(b'C', b"SELECT 1\0")],
        ] {
            assert!(absorb(Chore::fail_transaction, &came).is_err(), "{came:?}");
        }
    }

    #[test]
    fn what_is_said_unasked_is_kept_for_the_client() {
        let came = [
            message(b'N', b"SNOTICE\0C00000\0Mx\0\0"),
            message(b'A', b"\0\0\0\x01ch\0hello\0"),
            message(b'Z', b"I"),
            message(b'3', b""),
            message(b'Z', b"I"),
        ];
        let outcome = absorb(Chore::synchronize, &came).unwrap();
        assert!(matches!(outcome, Some(ChoreOutcome::Settled { unasked: Some(_), .. })));
        let flips = [message(b'S', b"client_encoding\0LATIN1\0")];
        assert!(absorb(Chore::synchronize, &flips).is_err());
    }

    #[test]
    fn the_path_that_definitions_are_read_under_is_nothing_to_the_client() {
        let (done, z) = (message(b'C', b"SELECT 1\0"), message(b'Z', b"I"));
        let path = |value: &str| message(b'S', format!("search_path\0{value}\0").as_bytes());
        let zone = message(b'S', b"TimeZone\0UTC\0");
        let answer = |said: &[Vec<u8>]| {
            let one = [vec![described(), done.clone()], said.to_vec(), vec![z.clone()]].concat();
            let two = vec![described(), done.clone(), path("\"$user\", public"), z.clone()];
            let chore =
                || Chore::read_catalog(&["select ('search_path', 'pg_catalog')", "select b"]);
            match absorb(chore, &[one, two].concat()).unwrap() {
                Some(ChoreOutcome::Catalog { unasked, .. }) => unasked.is_some(),
                other => panic!("{other:?}"),
            }
        };
        assert!(!answer(&[path("pg_catalog")]));
        assert!(answer(&[path("pg_catalog"), zone]));
    }

    fn two() -> Chore {
        Chore::read_catalog(&["select a", "select b"])
    }

    #[test]
    fn a_catalog_is_the_rows_of_each_query() {
        let row =
            |v: &[u8]| message(b'D', &[b"\0\x01", &(v.len() as u32).to_be_bytes()[..], v].concat());
        let null = message(b'D', b"\0\x01\xff\xff\xff\xff");
        let (done, z) = (message(b'C', b"SELECT 1\0"), message(b'Z', b"I"));
        let came = [
            vec![described(), row(b"x"), null, done.clone(), z.clone()],
            vec![described(), done.clone(), z.clone()],
        ]
        .concat();
        let Ok(Some(ChoreOutcome::Catalog { rows, .. })) = absorb(two, &came) else { panic!() };
        assert_eq!(rows.queries, [vec![vec![Some("x".to_owned())], vec![None]], vec![]]);
        assert_eq!(rows.tag, "SELECT 1");

        let failed = [vec![error(), z.clone()], came[5..].to_vec()].concat();
        let Ok(Some(ChoreOutcome::Failed { status: b'I', error: told, .. })) = absorb(two, &failed)
        else {
            panic!()
        };
        assert_eq!((&*told.code, &*told.message), ("34000", "no portal"));
        let committed = message(b'C', b"COMMIT\0");
        let late = [message(b'n', b""), committed, error(), z.clone()];
        let late = [&late[..], &[described(), done.clone(), z.clone()]].concat();
        let outcome = absorb(two, &late).unwrap().unwrap();
        assert_eq!(outcome.fate(), Fate::Unknown, "{outcome:?}");
        for came in [
            vec![z.clone()],
            vec![row(b"x")],
            vec![described(), described()],
            vec![described(), z.clone()],
            vec![described(), message(b'D', b"\0\x02\xff\xff\xff\xff\xff\xff\xff\xff")],
            vec![described(), row(b"\xff")],
            vec![described(), done.clone(), done],
        ] {
            assert!(absorb(two, &came).is_err(), "{came:?}");
        }
        assert!(matches!(
            absorb(|| Chore::read_catalog(&[]), &[z]),
            Ok(Some(ChoreOutcome::Catalog { .. }))
        ));
    }
}
