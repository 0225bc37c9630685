//! The definitions a session's requests are taken apart and judged by: read through its own link, for
//! all sessions or inside its transaction for itself. Before a request is judged.

use super::{CANCELLED, End, Session};
use crate::catalog::{Awaited, Basis, Definitions, Done, Question, Rows, temporary};
use portcullis_core::effect::{Effect, ObjectKind, Operation, Verb, may_redefine};
use portcullis_core::mask::MaskFailure;
use portcullis_core::protocol::Request as _;
use portcullis_sql::catalog::{Catalog, Detailed};
use portcullis_sql::statement::uses_names;
use portcullis_wire::pg::chore::{Chore, ChoreOutcome};
use portcullis_wire::pg::conversation::Turn;
use portcullis_wire::pg::unit::Unit;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often reading the catalog is tried where something hits it that passes.
pub(super) const CATALOG_TRIES: u32 = 10;
/// And inside a transaction, which may see the past.
const CATALOG_TRIES_INSIDE: u32 = 3;
/// How much longer each time is waited before it is tried again.
const CATALOG_PAUSE: Duration = Duration::from_millis(5);
/// What is asked of prepared statements: those made by the protocol.
const PREPARED: &[&str] =
    &["SELECT name, statement FROM pg_catalog.pg_prepared_statements WHERE NOT from_sql"];

/// What tells which server it is, by the number it was given when it was made (which a standby shares),
/// and which of its databases.
const WHERE: &[&str] = &[
    "SELECT system_identifier FROM pg_catalog.pg_control_system()",
    "SELECT oid FROM pg_catalog.pg_database \
     WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()",
];

impl Session {
    /// Asks the target what prepared statements code of users has left.
    pub(super) async fn ask_for_names(&mut self) -> Result<(), End> {
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

    /// True where it depends on definitions what a request does. In a failed transaction it does
    /// nothing, unless it ends it.
    pub(super) fn depends(&self, operation: &Operation) -> bool {
        let failed = self.conversation.transaction_status() == b'E';
        defined(operation) && (!failed || steers_transactions(operation))
    }

    /// A unit by what is known of definitions now, and whether that is young enough. Inside a
    /// transaction they are read here and not before: `SET TRANSACTION` and the like, which need
    /// none, have to come before the first query.
    pub(super) async fn informed(
        &mut self,
        unit: Box<Unit>,
        mut current: bool,
    ) -> Result<Option<(Box<Unit>, bool)>, End> {
        let mut unit = unit;
        let due = !current && defined(unit.operation()) && self.may_read_catalog();
        if due && self.inside.doubts_temporary() {
            self.ask_for_temporary().await?;
            if let Basis::Catalog(catalog) = self.inside.basis(&self.catalog, true) {
                self.use_catalog(catalog);
                current = true;
            }
        }
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

    fn may_read_catalog(&self) -> bool {
        self.conversation.transaction_status() != b'E' && !self.conversation.pipeline_open()
    }

    /// Uses a catalog that is young enough to judge by, reading it where there is none and no
    /// transaction is open. False where there is none.
    pub(crate) async fn refresh_catalog(&mut self) -> Result<bool, End> {
        if !self.telling.located {
            self.ask_where().await?;
        }
        match self.labels.learn().await {
            Ok(Some(standing)) => self.catalog.stands(standing),
            Ok(None) => {}
            // Who knows what others have made of what is known here.
            Err(_) => return Ok(false),
        }
        let may_read = self.may_read_catalog();
        if may_read && self.conversation.transaction_status() == b'I' {
            if self.inside.doubts_temporary() {
                self.ask_for_temporary().await?;
            }
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
            // Asked, as what follows, once it is known to be needed ([`Session::informed`]).
            Basis::Catalog(_) if may_read && self.inside.doubts_temporary() => return Ok(false),
            Basis::Catalog(catalog) => self.use_catalog(catalog),
            Basis::TooOld | Basis::ReadInside => return Ok(false),
        }
        Ok(true)
    }

    /// Asks the target which server and database it is, so that gateways that know it by other names mean
    /// the same. One that does not say is known by its names alone.
    async fn ask_where(&mut self) -> Result<(), End> {
        // An error inside a transaction would be the caller's.
        let outside = self.conversation.transaction_status() == b'I';
        if self.labels.others().is_none() || !outside || !self.may_read_catalog() {
            return Ok(());
        }
        self.telling.located = true;
        let (rows, unasked) = match self.chore(Chore::read_catalog(WHERE)).await? {
            ChoreOutcome::Catalog { rows, unasked } => (rows.queries, unasked),
            ChoreOutcome::Settled { unasked, .. } => (Vec::new(), unasked),
            ChoreOutcome::Failed { status, error, unasked, .. } => {
                if status != b'I' {
                    return Err(unreadable_catalog(&error.code));
                }
                (Vec::new(), unasked)
            }
        };
        self.pass_on(unasked).await?;
        let answers = rows.iter().filter_map(|rows| rows.first()?.first()?.as_deref());
        if let [server, database] = answers.collect::<Vec<_>>()[..] {
            self.labels.is_at(&format!("{server} {database}"));
        }
        Ok(())
    }

    /// Asks the target whether this session has made anything temporary, by statements or in the code
    /// that they ran: then it goes by what it reads itself.
    async fn ask_for_temporary(&mut self) -> Result<(), End> {
        let inside = self.conversation.transaction_status() != b'I';
        let (queries, place) = temporary(inside);
        let rows = self.catalog_rows(queries, CATALOG_TRIES_INSIDE).await?;
        let schema = rows.as_ref().and_then(|rows| rows.get(place)?.first()?.first()?.as_deref());
        // What could not be told may be.
        self.inside.settle_temporary(schema != Some("0"));
        Ok(())
    }

    /// Reads the catalog for all sessions, or uses what another reads.
    async fn await_catalog(&mut self) -> Result<(), End> {
        let shared = self.catalog.clone();
        let awaited = tokio::select! {
            awaited = shared.awaited() => awaited,
            end = self.lease.ended() => return Err(end),
        };
        match awaited {
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
    pub(super) async fn read_detailed(&mut self) -> Result<Option<Detailed>, End> {
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
    pub(super) async fn read_catalog(&mut self) -> Result<(), End> {
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
        if self.inside.is_alone() {
            self.labels.observe_own(self.id, &own);
        }
        self.labels.observe(&own, reading.began()).await;
        // Temporary tables of this session are none of others' business, and others do not see them.
        let alone = own.has_temporary();
        let catalog = if alone { own } else { self.catalog.store(own, reading) };
        let catalog = self.inside.read_outside(catalog, reading, alone);
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
    pub(super) async fn definitions(
        &mut self,
        inside: bool,
        detailed: bool,
    ) -> Result<Option<Definitions>, End> {
        let found = self.definitions_read(inside, detailed).await?;
        // What another gateway has made is labelled before anybody can read it: so what has been read
        // has its labels by now, and here they are known before it is used.
        self.labels.learn().await.map_err(|e| unreadable_catalog(&e.to_string()))?;
        Ok(found)
    }

    async fn definitions_read(
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
    pub(super) async fn catalog_rows(
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

    pub(super) fn use_catalog(&mut self, catalog: Arc<Catalog>) {
        if self.analyst.use_catalog(&catalog) {
            self.judge.use_catalog(catalog);
        }
    }
}

/// What a request does to definitions, once it is sent.
pub(super) fn done(unit: &Unit, started: Instant) -> Done {
    let operation = unit.operation();
    Done {
        started,
        redefines: !unit.prepares_only() && operation.may_redefine(),
        executes: operation.effects.iter().any(|e| e.verb == Verb::Execute),
        steers_transactions: steers_transactions(operation),
    }
}

/// True where all that an operation may change of definitions is in the session's schema for temporary
/// tables, as it is written there.
pub(super) fn only_temporary(operation: &Operation) -> bool {
    let temporary = |e: &Effect| {
        let schema = e.object.path.iter().rev().nth(1);
        e.object.kind == ObjectKind::Relation && schema.is_some_and(|schema| &**schema == "pg_temp")
    };
    let mut effects = operation.effects.iter();
    !operation.kinds.iter().any(|kind| matches!(&**kind, "do" | "call"))
        && effects.all(|e| temporary(e) || !may_redefine([].into_iter(), std::slice::from_ref(e)))
}

/// True where an operation may begin or end a transaction.
fn steers_transactions(operation: &Operation) -> bool {
    operation.effects.iter().any(|e| e.object.kind == ObjectKind::Transaction)
}

/// True where it depends on definitions what a request does.
fn defined(operation: &Operation) -> bool {
    operation.effects.iter().any(|e| e.verb != Verb::Control)
        || operation.kinds.iter().any(|kind| &**kind != "prepare" && uses_names(kind))
}

/// True where reading the catalog failed by what others do meanwhile: a cancel of the caller's that
/// was late for what it meant, or a definition that is gone before it was read (the server has no code
/// of its own for that), or locks.
fn is_passing(code: &str) -> bool {
    code == CANCELLED || code == "XX000" || ["40", "42", "55"].iter().any(|c| code.starts_with(c))
}

pub(super) fn unreadable_catalog(why: &str) -> End {
    End::Withheld(MaskFailure::Malformed(format!("its catalog cannot be read: {why}")))
}
