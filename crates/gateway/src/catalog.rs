//! The catalog of each target, read through a session's own link and shared by all sessions of the
//! connection. It is read again when it is old, when a definition changed, or when a name in a
//! request is not in it.
//!
//! *Architecture invariant:* what was read inside a transaction is for the session that reads it
//! alone, since it shows what that transaction sees and not what is true.

use portcullis_sql::catalog::{
    Catalog, CatalogError, DIGESTS, Detailed, QUERIES, SURROUNDINGS, System, VIEWS, full_queries,
    user_queries,
};
use portcullis_store::DefinitionStanding;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Names that are not found cause one reading in this time at most.
const MISS_INTERVAL: Duration = Duration::from_secs(1);
/// A session that began to read again what is soon too old and is not back after this is not
/// waited for.
const READING: Duration = Duration::from_secs(5);
/// How long one session waits for another to read: it may be held up by something of its own.
const TURN: Duration = Duration::from_secs(1);
/// How many times older than outside a catalog may be inside a transaction.
const PATIENCE: u32 = 20;
/// How many times where it cannot be read at all: a long report must not end because its snapshot
/// is old.
const REPORT: u32 = 240;
/// The server's own way to find names, to plan and to wait, whatever the caller has set: operators
/// of some schema before `pg_catalog` would be run for its own, switched off scans or compiling
/// would make reading slow, and a lock must not hold it up.
const SETTINGS: &str = "SELECT pg_catalog.set_config(name, value, true) FROM (VALUES \
    ('search_path', 'pg_catalog'), \
    ('jit', 'off'), ('enable_seqscan', 'on'), ('enable_indexscan', 'on'), \
    ('enable_indexonlyscan', 'on'), ('enable_bitmapscan', 'on'), ('enable_hashjoin', 'on'), \
    ('enable_mergejoin', 'on'), ('enable_nestloop', 'on'), ('enable_hashagg', 'on'), \
    ('enable_sort', 'on'), ('enable_material', 'on'), ('statement_timeout', '0'), \
    ('lock_timeout', '2s')) AS settings(name, value)";
const OPEN: [&str; 2] = ["BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY", SETTINGS];
const CLOSE: [&str; 1] = ["COMMIT"];
/// Asked before the catalog inside a transaction. A savepoint, so that an error in reading is none of
/// the caller's, and locks and settings are not kept; and the isolation level, on which depends what
/// the rest shows.
const OPEN_INSIDE: [&str; 3] = [
    "SAVEPOINT \"portcullis: definitions\"",
    SETTINGS,
    "SELECT pg_catalog.current_setting('transaction_isolation')",
];
/// Asked after it there.
const CLOSE_INSIDE: [&str; 2] = [
    "ROLLBACK TO SAVEPOINT \"portcullis: definitions\"",
    "RELEASE SAVEPOINT \"portcullis: definitions\"",
];

/// Definitions of views are asked last, because what is read for them is locked to the end.
fn between(question: Question) -> Queries {
    let (open, close): (&[_], &[_]) =
        if question.inside { (&OPEN_INSIDE, &CLOSE_INSIDE) } else { (&OPEN, &CLOSE) };
    let queries = if question.full { full_queries() } else { user_queries() };
    let (views, others): (Vec<_>, Vec<_>) =
        queries.iter().partition(|q| QUERIES.get(VIEWS) == Some(q));
    let digests: &[_] = if question.detailed { &DIGESTS } else { &[] };
    [open, &others, digests, &views, close].concat()
}

type Queries = Vec<&'static str>;

/// What tells whether a session has anything temporary: the number of its schema for that, 0 before it
/// has made the first. A call and no more, so that nothing of the caller's is run for its own.
const TEMPORARY: &str = "SELECT pg_catalog.pg_my_temp_schema()";

/// The question whether the session has anything temporary, and which of the answers tells it.
pub(crate) fn temporary(inside: bool) -> (&'static [&'static str], usize) {
    const INSIDE: [&str; 4] = [
        "SAVEPOINT \"portcullis: temporary\"",
        TEMPORARY,
        "ROLLBACK TO SAVEPOINT \"portcullis: temporary\"",
        "RELEASE SAVEPOINT \"portcullis: temporary\"",
    ];
    if inside { (&INSIDE, 1) } else { (&[TEMPORARY], 0) }
}

/// What is asked of a session's settings, inside of a transaction and outside: the settings first, as
/// they are, and then which of them definitions read.
pub(crate) fn surroundings(inside: bool) -> &'static [&'static str] {
    let all = |open: &[&'static str], close: &[&'static str]| {
        let (first, rest) = SURROUNDINGS.split_at(1);
        [first, open, rest, close].concat()
    };
    static OUTSIDE_ALL: OnceLock<Queries> = OnceLock::new();
    static INSIDE_ALL: OnceLock<Queries> = OnceLock::new();
    match inside {
        true => INSIDE_ALL.get_or_init(|| all(&OPEN_INSIDE, &CLOSE_INSIDE)),
        false => OUTSIDE_ALL.get_or_init(|| all(&OPEN, &CLOSE)),
    }
}

/// Rows as a chore gives them: by query, values as text.
pub(crate) type Rows = Vec<Vec<Vec<Option<String>>>>;

/// What a reading asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    /// Whether it is asked in a transaction of the caller's.
    pub(crate) inside: bool,
    /// Whether the server's own part is asked as well.
    pub(crate) full: bool,
    /// Whether digests of definitions are asked as well.
    pub(crate) detailed: bool,
}

impl Question {
    /// Its queries.
    pub(crate) fn queries(self) -> &'static [&'static str] {
        static ALL: [OnceLock<Queries>; 8] = [const { OnceLock::new() }; 8];
        let bits = [self.inside, self.full, self.detailed].map(usize::from);
        let place = bits.into_iter().fold(0, |place, bit| 2 * place + bit);
        match ALL.get(place) {
            Some(queries) => queries.get_or_init(|| between(self)),
            None => &[],
        }
    }

    /// The answer with the server's own part, which is `known` or in the answer. `None` where what
    /// is known is not what the server has now.
    ///
    /// # Errors
    /// [`CatalogError`] where the rows are not what was asked.
    pub(crate) fn answer(
        self,
        mut rows: Rows,
        known: Option<Arc<System>>,
    ) -> Result<Option<Definitions>, CatalogError> {
        let (open, close) = match self.inside {
            true => (OPEN_INSIDE.len(), CLOSE_INSIDE.len()),
            false => (OPEN.len(), CLOSE.len()),
        };
        rows.truncate(rows.len().saturating_sub(close));
        let before: Rows = rows.drain(..open.min(rows.len())).collect();
        let views = rows.pop();
        let asked = if self.detailed { DIGESTS.len() } else { 0 };
        let digests = rows.split_off(rows.len().saturating_sub(asked));
        if let Some(views) = views {
            let first = usize::from(self.full);
            rows.insert((VIEWS + first).min(rows.len()), views);
        }
        let last = before.into_iter().next_back().filter(|_| self.inside);
        let isolation = last.into_iter().flatten().flatten().flatten().next();
        let system = match known {
            _ if self.full => Arc::new(System::split(&mut rows)?),
            Some(known) if known.is_current(&mut rows) => known,
            _ => return Ok(None),
        };
        let digests = self.detailed.then_some(digests);
        Ok(Some(Definitions { isolation, rows, digests, system }))
    }
}

/// Definitions as they were read.
#[derive(Debug)]
pub(crate) struct Definitions {
    /// The isolation level of the transaction they were read in.
    isolation: Option<String>,
    rows: Rows,
    /// Digests of definitions, where they were asked for.
    digests: Option<Rows>,
    /// The server's own part.
    pub(crate) system: Arc<System>,
}

impl Definitions {
    /// The catalog they make.
    ///
    /// # Errors
    /// [`CatalogError`] where the rows are not what was asked.
    pub(crate) fn catalog(&self, database: &str) -> Result<Catalog, CatalogError> {
        Catalog::from_user_rows(database, &self.rows, &self.system)
    }

    /// The catalog they make with digests of definitions; `None` where these were not asked for.
    ///
    /// # Errors
    /// [`CatalogError`] where the rows are not what was asked.
    pub(crate) fn detailed(
        &self,
        catalog: &Arc<Catalog>,
    ) -> Result<Option<Detailed>, CatalogError> {
        let digests = self.digests.as_ref();
        digests.map(|digests| Detailed::new(catalog.clone(), digests)).transpose()
    }
}

/// The newest catalog of one connection.
#[derive(Debug)]
pub(crate) struct SharedCatalog {
    /// No request is judged by what was true longer ago than this.
    max_age: Duration,
    state: Mutex<State>,
    /// Whose turn it is to read what is too old: one reads for all that wait.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    newest: Option<(Arc<Catalog>, Reading)>,
    /// What belongs to the server itself, as it was read last.
    system: Option<Arc<System>>,
    /// Counts definitions changed through this gateway; a reading started before is stale.
    changes: u64,
    /// The changes at other gateways that are known of.
    elsewhere: i64,
    /// Since when a session reads again what is not too old yet.
    renewing: Option<Instant>,
}

/// What came of waiting for others to read the catalog.
#[derive(Debug)]
pub(crate) enum Awaited<'a> {
    /// Somebody has.
    Read(Arc<Catalog>),
    /// Nobody has; others wait while this is held.
    Turn(Option<tokio::sync::MutexGuard<'a, ()>>),
}

/// When a reading of the catalog began: what was read is as of then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    as_of: Instant,
    changes: u64,
}

impl Reading {
    /// When it began.
    pub(crate) const fn began(self) -> Instant {
        self.as_of
    }
}

impl SharedCatalog {
    /// None read yet; what is read is good for `max_age`.
    pub(crate) fn new(max_age: Duration) -> Self {
        Self { max_age, state: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic elsewhere cannot leave these few fields half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_good(&self, reading: Reading, changes: u64) -> bool {
        reading.changes == changes && reading.as_of.elapsed() < self.max_age
    }

    /// The catalog, where requests can be judged by it. `None` asks the caller to read it: all
    /// callers where it is too old, and before that one at a time.
    pub(crate) fn fresh(&self) -> Option<Arc<Catalog>> {
        let mut state = self.state();
        let (catalog, reading) = state.newest.as_ref()?;
        if !self.is_good(*reading, state.changes) {
            return None;
        }
        let soon = reading.as_of.elapsed() >= self.max_age * 2 / 3;
        if !soon || state.renewing.is_some_and(|since| since.elapsed() < READING) {
            return Some(catalog.clone());
        }
        state.renewing = Some(Instant::now());
        None
    }

    /// The catalog as it was read last, however old it is: to explain by, and to run nothing by.
    pub(crate) fn last(&self) -> Option<(Arc<Catalog>, Duration)> {
        let state = self.state();
        let (catalog, reading) = state.newest.as_ref()?;
        Some((catalog.clone(), reading.as_of.elapsed()))
    }

    /// The catalog, where it is not too old.
    fn good(&self) -> Option<Arc<Catalog>> {
        let state = self.state();
        let (catalog, reading) = state.newest.as_ref()?;
        self.is_good(*reading, state.changes).then(|| catalog.clone())
    }

    /// Waits until nobody else reads, a second at most, where the catalog is too old: gives what
    /// another has read meanwhile, or the turn to read it for all. Cancel-safe.
    pub(crate) async fn awaited(&self) -> Awaited<'_> {
        if self.good().is_some() {
            return Awaited::Turn(None);
        }
        let turn = tokio::time::timeout(TURN, self.turn.lock()).await.ok();
        match self.good() {
            Some(catalog) => Awaited::Read(catalog),
            None => Awaited::Turn(turn),
        }
    }

    /// The server's own part of the catalog, where it is known.
    pub(crate) fn system(&self) -> Option<Arc<System>> {
        self.state().system.clone()
    }

    /// Keeps the server's own part.
    pub(crate) fn keep_system(&self, system: Arc<System>) {
        self.state().system = Some(system);
    }

    /// True where a name that was not found justifies another reading.
    pub(crate) fn may_have_missed(&self) -> bool {
        let state = self.state();
        state.newest.as_ref().is_none_or(|(_, read)| read.as_of.elapsed() >= MISS_INTERVAL)
    }

    /// A reading starts now.
    pub(crate) fn reading(&self) -> Reading {
        Reading { as_of: Instant::now(), changes: self.state().changes }
    }

    /// Keeps what was read outside of transactions, and gives what is to be used: the catalog there
    /// was where nothing has changed, so that what sessions derived from it stays good. A reading
    /// that began before the newest one replaces nothing.
    pub(crate) fn store(&self, catalog: impl Into<Arc<Catalog>>, reading: Reading) -> Arc<Catalog> {
        let catalog = catalog.into();
        let mut state = self.state();
        state.renewing = None;
        let catalog = match &state.newest {
            Some((newest, read))
                if read.as_of > reading.as_of && read.changes >= reading.changes =>
            {
                return newest.clone();
            }
            Some((newest, _)) if newest.version() == catalog.version() => newest.clone(),
            _ => catalog,
        };
        state.newest = Some((catalog.clone(), reading));
        catalog
    }

    /// How definitions stand at other gateways: what was read before one of them changed some is
    /// stale, and while one is at it whatever was read is.
    pub(crate) fn stands(&self, standing: DefinitionStanding) {
        let mut state = self.state();
        if standing.changing || state.elsewhere != standing.changes {
            state.elsewhere = standing.changes;
            state.changes = state.changes.wrapping_add(1);
        }
    }

    /// A definition may have changed: every session reads again before its next request.
    pub(crate) fn changed(&self) {
        let mut state = self.state();
        state.changes = state.changes.wrapping_add(1);
    }
}

/// What one session knows of definitions beyond the shared catalog: whether it is inside a
/// transaction, what it has changed there, and what it has read there for itself.
#[derive(Debug, Default)]
pub(crate) struct Inside {
    /// Not after the transaction's first snapshot; `None` outside of transactions.
    since: Option<Instant>,
    /// True where definitions may have been changed in it, for nobody else to see yet.
    redefined: bool,
    /// What it has read since it last changed definitions.
    read: Option<Own>,
    /// True where it may have temporary tables, which others do not see, and which must not be missed:
    /// it goes by what it has read itself alone.
    alone: bool,
    /// True where what has run since that was asked last may have made some.
    doubts: bool,
    /// True where code of users has run in the transaction: more of it may have been put off to its end.
    ran: bool,
    /// What it read itself outside of transactions last.
    outside: Option<(Arc<Catalog>, Reading)>,
}

/// What a request has done, as far as definitions go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    /// When it was sent.
    pub(crate) started: Instant,
    /// True where it may have changed definitions.
    pub(crate) redefines: bool,
    /// True where it may have run code of which nobody knows what it does.
    pub(crate) executes: bool,
    /// True where it may have begun or ended a transaction.
    pub(crate) steers_transactions: bool,
}

/// A catalog read inside a transaction.
#[derive(Debug)]
struct Own {
    catalog: Arc<Catalog>,
    reading: Reading,
    /// True where the transaction sees what was committed before it began, and no more.
    frozen: bool,
}

/// By what the next request of a session is judged.
#[derive(Debug)]
pub(crate) enum Basis {
    /// By this catalog.
    Catalog(Arc<Catalog>),
    /// The catalog has to be read in the transaction.
    ReadInside,
    /// Nothing that is young enough can be had inside this transaction.
    TooOld,
}

impl Inside {
    /// A request has left the session in a transaction or outside, by its `status` where that was
    /// told.
    pub(crate) fn after(&mut self, shared: &SharedCatalog, status: Option<u8>, done: Done) {
        let redefined = self.redefined || done.redefines;
        let outside = status == Some(b'I');
        self.ran |= done.executes;
        self.doubts |= done.redefines || done.executes || self.ran && done.steers_transactions;
        // Before it is committed a change is nothing to others, who might only wait for its locks.
        if redefined && (outside || done.steers_transactions) {
            shared.changed();
        }
        if outside {
            let (alone, doubts, outside) = (self.alone, self.doubts, self.outside.take());
            *self = Self { alone, doubts, outside, ..Self::default() };
            return;
        }
        self.since.get_or_insert(done.started);
        self.redefined = redefined;
        // Going back to a savepoint undoes changes too.
        if done.redefines || redefined && done.steers_transactions {
            self.read = None;
        }
    }

    /// True where what a request has changed of definitions may be there for others once it is
    /// answered; `outside`: it is sent outside of transactions.
    pub(crate) const fn is_told(&self, outside: bool, done: Done) -> bool {
        (self.redefined || done.redefines) && (outside || done.steers_transactions)
    }

    /// The session ends in the middle of a request: what it has changed may have been committed.
    pub(crate) fn broken(&self, shared: &SharedCatalog) {
        if self.redefined {
            shared.changed();
        }
    }

    /// By what a request inside a transaction or pipeline can be judged, given whether the catalog
    /// can be read there.
    ///
    /// Reading it there locks what is read until the transaction ends, and in one that sees the past
    /// shows nothing new: so what is known is good for longer than elsewhere, unless it is known to
    /// have changed.
    pub(crate) fn basis(&self, shared: &SharedCatalog, may_read: bool) -> Basis {
        let changes = shared.reading().changes;
        if let Some((catalog, read)) = self.newest(shared) {
            let age = read.as_of.elapsed();
            if read.changes == changes && age < shared.max_age * PATIENCE {
                return Basis::Catalog(catalog);
            }
            let past = self.read.as_ref().is_some_and(|own| own.frozen);
            if (past || !may_read) && age < shared.max_age * REPORT {
                return Basis::Catalog(catalog);
            }
            if past || !may_read {
                return Basis::TooOld;
            }
        }
        if may_read { Basis::ReadInside } else { Basis::TooOld }
    }

    /// From now on the session goes by what it has read itself.
    pub(crate) const fn go_alone(&mut self) {
        self.alone = true;
    }

    /// True where it has to be asked whether the session has anything temporary.
    pub(crate) const fn doubts_temporary(&self) -> bool {
        self.doubts
    }

    /// Whether it has. Then nothing that was read before shows what was made since.
    pub(crate) fn settle_temporary(&mut self, has: bool) {
        self.doubts = false;
        if has {
            self.go_alone();
            self.outside = None;
            self.read = None;
        }
    }

    /// The session has read the catalog itself, outside of transactions; `alone` where it has to. Gives
    /// what is to be used: the one there was where nothing has changed.
    pub(crate) fn read_outside(
        &mut self,
        catalog: Arc<Catalog>,
        reading: Reading,
        alone: bool,
    ) -> Arc<Catalog> {
        self.alone = alone;
        let known = self.outside.take().map(|(known, _)| known);
        let same = known.filter(|known| alone && known.version() == catalog.version());
        let catalog = same.unwrap_or(catalog);
        self.outside = alone.then(|| (catalog.clone(), reading));
        catalog
    }

    /// True where the session goes by what it has read itself.
    pub(crate) const fn is_alone(&self) -> bool {
        self.alone
    }

    /// What it has read itself outside of transactions, where requests can be judged by it.
    pub(crate) fn own(&self, shared: &SharedCatalog) -> Option<Arc<Catalog>> {
        let (catalog, reading) = self.outside.as_ref()?;
        shared.is_good(*reading, shared.reading().changes).then(|| catalog.clone())
    }

    /// What was read inside the transaction last, where it shows what is committed now and not what
    /// was when the transaction began.
    pub(crate) fn seen(&self) -> Option<Arc<Catalog>> {
        self.read.as_ref().filter(|own| !own.frozen).map(|own| own.catalog.clone())
    }

    /// The newest catalog there is for this session: not that of all where it has changed some
    /// definitions itself.
    fn newest(&self, shared: &SharedCatalog) -> Option<(Arc<Catalog>, Reading)> {
        let all = match self.alone {
            true => self.outside.clone(),
            false => shared.state().newest.clone(),
        };
        let all = all.filter(|_| !self.redefined);
        let own = self.read.as_ref().map(|own| (own.catalog.clone(), own.reading));
        match (all, own) {
            (Some(all), Some(own)) => Some(if own.1.as_of > all.1.as_of { own } else { all }),
            (all, own) => own.or(all),
        }
    }

    /// True where a name that was not found justifies reading the catalog in the transaction.
    pub(crate) fn may_have_missed(&self) -> bool {
        self.read
            .as_ref()
            .is_none_or(|own| !own.frozen && own.reading.as_of.elapsed() >= MISS_INTERVAL)
    }

    /// Keeps, for this session alone, what was read in its transaction, and gives it.
    ///
    /// # Errors
    /// [`CatalogError`] where the rows are not what was asked.
    pub(crate) fn keep(
        &mut self,
        database: &str,
        definitions: &Definitions,
        reading: Reading,
    ) -> Result<Arc<Catalog>, CatalogError> {
        let isolation = definitions.isolation.as_deref();
        let frozen = !matches!(isolation, Some("read committed" | "read uncommitted"));
        let now = Arc::new(definitions.catalog(database)?);
        let as_of = if frozen { self.since.unwrap_or(reading.as_of) } else { reading.as_of };
        let same = self.read.take().map(|own| own.catalog);
        let same = same.filter(|own| own.version() == now.version());
        let catalog = same.unwrap_or_else(|| now.clone());
        self.read = Some(Own { catalog, reading: Reading { as_of, ..reading }, frozen });
        Ok(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_secs(15);

    fn shared() -> SharedCatalog {
        SharedCatalog::new(AGE)
    }

    fn earlier(by: Duration) -> Instant {
        Instant::now().checked_sub(by).unwrap()
    }

    fn aged(shared: &SharedCatalog, age: Duration) {
        if let Some((_, reading)) = &mut shared.state().newest {
            reading.as_of = earlier(age);
        }
    }

    fn catalog(database: &str) -> Catalog {
        Catalog::empty(database)
    }

    #[test]
    fn an_unchanged_catalog_stays_the_same_one() {
        let shared = shared();
        assert!(shared.fresh().is_none(), "nobody has read it yet");
        let first = shared.store(catalog("shop"), shared.reading());
        let again = shared.store(catalog("shop"), shared.reading());
        assert!(Arc::ptr_eq(&first, &again));
        let other = shared.store(catalog("other"), shared.reading());
        assert!(!Arc::ptr_eq(&first, &other));
        assert!(Arc::ptr_eq(&other, &shared.fresh().unwrap()));
    }

    #[test]
    fn nobody_goes_on_with_one_that_is_too_old_or_changed() {
        let shared = shared();
        shared.store(catalog("shop"), shared.reading());
        aged(&shared, AGE * 2 / 3);
        assert!(shared.fresh().is_none(), "the first is asked to read it in time");
        assert!(shared.fresh().is_some(), "the others go on");
        aged(&shared, AGE);
        assert!(shared.fresh().is_none() && shared.fresh().is_none());
        shared.store(catalog("shop"), shared.reading());
        assert!(shared.fresh().is_some());
        let before = shared.reading();
        shared.changed();
        assert!(shared.fresh().is_none() && shared.fresh().is_none(), "a change concerns all");
        shared.store(catalog("shop"), before);
        assert!(shared.fresh().is_none(), "what was read before the change is stale");
    }

    #[tokio::test]
    async fn one_reads_for_all_that_wait() {
        let shared = shared();
        let Awaited::Turn(Some(turn)) = shared.awaited().await else { panic!("nobody has read") };
        let (waited, ()) = tokio::join!(shared.awaited(), async {
            let reading = shared.reading();
            tokio::task::yield_now().await;
            shared.store(catalog("shop"), reading);
            drop(turn);
        });
        assert!(matches!(waited, Awaited::Read(_)));
        // What was read before the last change is nothing to those who wait.
        let before = shared.reading();
        shared.changed();
        let Awaited::Turn(Some(turn)) = shared.awaited().await else { panic!("it has changed") };
        let (waited, ()) = tokio::join!(shared.awaited(), async {
            tokio::task::yield_now().await;
            shared.store(catalog("shop"), before);
            drop(turn);
        });
        assert!(matches!(waited, Awaited::Turn(Some(_))));
    }

    #[test]
    fn a_slow_reading_does_not_replace_a_newer_one() {
        let shared = shared();
        let slow = shared.reading();
        let fast = shared.reading();
        shared.store(catalog("new"), fast);
        let used = shared.store(catalog("old"), slow);
        assert_eq!(used.database(), "new");
    }

    fn done(started: Instant, redefines: bool) -> Done {
        Done { started, redefines, executes: false, steers_transactions: false }
    }

    /// What the first of [`QUERIES`] is answered with.
    fn of_server() -> Vec<Vec<Option<String>>> {
        vec![["170000", "f", "f"].map(|field| Some(field.to_owned())).to_vec()]
    }

    fn rows(isolation: &str) -> Definitions {
        let question = Question { inside: true, full: true, detailed: false };
        let mut rows = vec![Vec::new(); question.queries().len()];
        rows[2] = vec![vec![Some(isolation.to_owned())]];
        rows[4] = of_server();
        question.answer(rows, None).unwrap().unwrap()
    }

    #[test]
    fn digests_are_there_where_they_were_asked_for() {
        for (inside, detailed) in [(false, true), (true, true), (false, false), (true, false)] {
            let question = Question { inside, full: true, detailed };
            let mut rows = vec![Vec::new(); question.queries().len()];
            let first = rows.len() - if inside { CLOSE_INSIDE.len() } else { CLOSE.len() } - 3;
            for (place, query) in question.queries().iter().enumerate() {
                if *query == QUERIES[0] {
                    rows[place] = of_server();
                }
            }
            assert_eq!(detailed, question.queries()[first..][..2] == DIGESTS);
            if detailed {
                rows[first] = vec![vec![Some("16400".to_owned()), Some("a digest".to_owned())]];
            }
            let definitions = question.answer(rows, None).unwrap().unwrap();
            let catalog = Arc::new(definitions.catalog("shop").unwrap());
            assert_eq!(detailed, definitions.detailed(&catalog).unwrap().is_some());
        }
    }

    #[test]
    fn what_is_read_in_a_transaction_is_nobody_elses() {
        let shared = shared();
        let newest = shared.store(catalog("shop"), shared.reading());
        let mut inside = Inside::default();
        inside.after(&shared, Some(b'T'), done(Instant::now(), false));
        assert!(
            matches!(inside.basis(&shared, true), Basis::Catalog(c) if Arc::ptr_eq(&c, &newest))
        );
        // Its own change is seen by itself at once, by the others after it is committed.
        inside.after(&shared, Some(b'T'), done(Instant::now(), true));
        assert!(matches!(inside.basis(&shared, true), Basis::ReadInside));
        inside.keep("shop", &rows("read committed"), shared.reading()).unwrap();
        assert!(matches!(inside.basis(&shared, true), Basis::Catalog(_)));
        assert!(Arc::ptr_eq(&newest, &shared.fresh().unwrap()), "nothing was stored for others");
        assert!(
            matches!(inside.basis(&shared, true), Basis::Catalog(c) if !Arc::ptr_eq(&c, &newest))
        );
        assert!(shared.fresh().is_some());
        inside.after(&shared, Some(b'I'), done(Instant::now(), false));
        assert!(shared.fresh().is_none(), "the change is committed");
        // `COMMIT AND CHAIN` does not leave the transaction.
        shared.store(catalog("shop"), shared.reading());
        inside.after(&shared, Some(b'T'), done(Instant::now(), true));
        assert!(shared.fresh().is_some());
        let commits = Done { steers_transactions: true, ..done(Instant::now(), false) };
        inside.after(&shared, Some(b'T'), commits);
        assert!(shared.fresh().is_none());
    }

    #[test]
    fn where_nothing_can_be_read_nothing_too_old_or_changed_by_the_session_is_used() {
        let shared = shared();
        let mut inside = Inside::default();
        assert!(matches!(inside.basis(&shared, false), Basis::TooOld));
        let newest = shared.store(catalog("shop"), shared.reading());
        shared.changed();
        let used = inside.basis(&shared, false);
        assert!(matches!(used, Basis::Catalog(c) if Arc::ptr_eq(&c, &newest)), "others changed it");
        aged(&shared, AGE * REPORT);
        assert!(matches!(inside.basis(&shared, false), Basis::TooOld));
        shared.store(catalog("shop"), shared.reading());
        inside.after(&shared, None, done(Instant::now(), true));
        shared.store(catalog("shop"), shared.reading());
        assert!(matches!(inside.basis(&shared, false), Basis::TooOld), "it changed it itself");
    }

    #[test]
    fn who_has_temporary_tables_goes_by_what_was_read_since() {
        let shared = shared();
        let newest = shared.store(catalog("shop"), shared.reading());
        let mut inside = Inside::default();
        for (redefines, executes) in [(true, false), (false, true)] {
            assert!(!inside.doubts_temporary());
            let made = Done { executes, ..done(Instant::now(), redefines) };
            inside.after(&shared, Some(b'I'), made);
            assert!(inside.doubts_temporary(), "whether it stays is not known");
            inside.settle_temporary(false);
            assert!(!inside.is_alone());
        }
        // A trigger may have been put off to the end of its transaction.
        let ran = Done { executes: true, ..done(Instant::now(), false) };
        inside.after(&shared, Some(b'T'), ran);
        inside.settle_temporary(false);
        inside.after(&shared, Some(b'T'), done(Instant::now(), false));
        assert!(!inside.doubts_temporary());
        let commits = Done { steers_transactions: true, ..done(Instant::now(), false) };
        inside.after(&shared, Some(b'I'), commits);
        assert!(inside.doubts_temporary());
        inside.settle_temporary(false);
        inside.after(&shared, Some(b'I'), commits);
        assert!(!inside.doubts_temporary());
        inside.after(&shared, Some(b'T'), done(Instant::now(), true));
        inside.keep("shop", &rows("read committed"), shared.reading()).unwrap();
        inside.settle_temporary(true);
        assert!(matches!(inside.basis(&shared, true), Basis::ReadInside));
        inside.after(&shared, Some(b'I'), done(Instant::now(), false));
        assert!(inside.is_alone() && inside.own(&shared).is_none());
        shared.store(newest, shared.reading());
        assert!(matches!(inside.basis(&shared, false), Basis::TooOld), "others do not see them");
        let own = inside.read_outside(Arc::new(catalog("own")), shared.reading(), true);
        assert!(matches!(inside.basis(&shared, false), Basis::Catalog(c) if Arc::ptr_eq(&c, &own)));
        let again = inside.read_outside(Arc::new(catalog("own")), shared.reading(), true);
        assert!(Arc::ptr_eq(&again, &own), "what was derived from it stays good");
        inside.settle_temporary(true);
        assert!(inside.own(&shared).is_none(), "there may be more of them");
        inside.read_outside(Arc::new(catalog("shop")), shared.reading(), false);
        assert!(!inside.is_alone(), "they are gone");
    }

    #[test]
    fn what_is_known_is_good_for_longer_inside_a_transaction() {
        let shared = shared();
        shared.store(catalog("shop"), shared.reading());
        let mut inside = Inside::default();
        inside.after(&shared, Some(b'T'), done(Instant::now(), false));
        aged(&shared, AGE * (PATIENCE - 1));
        assert!(matches!(inside.basis(&shared, true), Basis::Catalog(_)));
        aged(&shared, AGE * PATIENCE);
        assert!(matches!(inside.basis(&shared, true), Basis::ReadInside));
        aged(&shared, AGE);
        shared.changed();
        assert!(matches!(inside.basis(&shared, true), Basis::ReadInside), "known to have changed");
    }

    #[test]
    fn an_old_snapshot_shows_nothing_new() {
        let shared = shared();
        let mut inside = Inside::default();
        inside.after(&shared, Some(b'T'), done(earlier(AGE * PATIENCE), false));
        inside.keep("shop", &rows("repeatable read"), shared.reading()).unwrap();
        assert!(matches!(inside.basis(&shared, true), Basis::Catalog(_)), "a report goes on");
        inside = Inside::default();
        inside.after(&shared, Some(b'T'), done(earlier(AGE * REPORT), false));
        inside.keep("shop", &rows("repeatable read"), shared.reading()).unwrap();
        assert!(matches!(inside.basis(&shared, true), Basis::TooOld));
        assert!(!inside.may_have_missed());
        // Others have read it meanwhile: names mean what they mean now, snapshot or not.
        shared.store(catalog("shop"), shared.reading());
        assert!(matches!(inside.basis(&shared, true), Basis::Catalog(_)));
        inside.after(&shared, Some(b'I'), done(Instant::now(), false));
        inside.after(&shared, Some(b'T'), done(Instant::now(), true));
        inside.keep("shop", &rows("serializable"), shared.reading()).unwrap();
        assert!(matches!(inside.basis(&shared, true), Basis::Catalog(_)), "its snapshot is young");
        inside.after(&shared, Some(b'T'), done(Instant::now(), true));
        assert!(matches!(inside.basis(&shared, true), Basis::ReadInside), "it has changed more");
    }
}
