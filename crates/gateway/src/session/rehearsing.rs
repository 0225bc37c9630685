//! Rehearsals: a held request is run in a transaction of the gateway's own, people are shown what it
//! does, and it is committed or rolled back as they decide. Between the hold and the decision.
//!
//! Whatever goes another way than that ends in a rollback: the hold goes on, and the review says why.

use super::bounded::{Ended, unruly};
use super::tally::{Tally, total};
use super::{End, FROZEN, Session, done, reached};
use portcullis_core::effect::{Certainty, ObjectKind, Verb};
use portcullis_core::fate::Fate;
use portcullis_core::gate::{Held, Unrehearsed};
use portcullis_core::id::RequestId;
use portcullis_core::journal::{Entry, Event, Journal as _, Status};
use portcullis_core::link::Progress;
use portcullis_core::mask::MaskFailure;
use portcullis_core::masked::Masked;
use portcullis_core::permit::{Permit, Rehearsing};
use portcullis_core::protocol::Request as _;
use portcullis_core::rehearsal::{Image, Rehearsal, Sample, Seen, Stage};
use portcullis_core::review::Ticket;
use portcullis_core::time::Timestamp;
use portcullis_core::verdict::{Approvals, Circumstances, Judge as _, Verdict};
use portcullis_sql::catalog::{Catalog, CatalogError, Detailed, Relation, RelationKind};
use portcullis_wire::pg::chore::{CatalogRows, Chore, ChoreOutcome, RehearsalRows};
use portcullis_wire::pg::protocol::Postgres;
use portcullis_wire::pg::rehearsal::Images;
use portcullis_wire::pg::sample::MAX_ROWS;
use portcullis_wire::pg::server;
use portcullis_wire::pg::unit::Unit;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A rehearsal that has come to its end, with its transaction open.
pub(crate) struct Rehearsed {
    run: Run,
    rehearsing: Rehearsing<Postgres>,
    seen: Seen,
}

/// One that runs, or has run.
struct Run {
    ticket: Ticket,
    /// Its own id in the journal.
    request: RequestId,
    started: Instant,
    until: Instant,
    /// As people are told.
    until_at: Timestamp,
    /// Rows counted as changed before it.
    before: Tally,
    sets_unnamed: bool,
}

/// Why a request is not, or no longer, rehearsed.
enum Not {
    /// Another session does it, or did: what is to be said of it is said there.
    Said,
    /// For this reason, which people read.
    Because(Stage, String),
}

impl Not {
    fn tried(why: impl Into<String>) -> Self {
        Self::Because(Stage::Untried, why.into())
    }

    fn failed(why: impl Into<String>) -> Self {
        Self::Because(Stage::Failed, why.into())
    }
}

/// What came of asking for rows.
enum Looked {
    Rows(Masked<Image>),
    /// Policy does not let the caller ask.
    Refused,
    /// The target failed it, with this code.
    Failed(String),
}

/// The one table whose rows people are shown.
struct Table {
    schema: String,
    name: String,
    /// The columns by which its rows are put in order.
    key: Vec<String>,
    /// Why no rows are shown as they were before, and as they are after it.
    no_before: Option<&'static str>,
    no_after: Option<&'static str>,
}

impl Rehearsed {
    /// When its transaction is to be over.
    pub(super) const fn until(&self) -> Instant {
        self.run.until
    }
}

impl Session {
    /// Runs a held request for show, where policy lets it be and everything it does can be undone;
    /// and tells people what it did, or why it was not run.
    pub(super) async fn rehearse(&mut self, held: &Held<Postgres>) -> Result<(), End> {
        let Some(time) = held.rehearse() else { return Ok(()) };
        let told = match self.rehearsed(held, time).await? {
            Ok(rehearsed) => {
                let Rehearsed { run, seen, .. } = &rehearsed;
                let told = Rehearsal {
                    stage: Stage::Open,
                    until: Some(run.until_at),
                    why: None,
                    seen: Some(seen.clone()),
                };
                self.rehearsal = Some(Box::new(rehearsed));
                told
            }
            Err(Not::Said) => return Ok(()),
            Err(Not::Because(stage, why)) => Rehearsal::over(stage, why, None),
        };
        if self.gate.show(held.ticket(), &told).await.is_err() {
            // Nobody could see it, so nobody can decide on it.
            return self.undo_rehearsal("the review could not be written").await;
        }
        Ok(())
    }

    async fn rehearsed(
        &mut self,
        held: &Held<Postgres>,
        time: Duration,
    ) -> Result<Result<Rehearsed, Not>, End> {
        if let Err(why) = held.request().can_be_undone() {
            return Ok(Err(Not::tried(why)));
        }
        if self.conversation.transaction_status() != b'I' || self.conversation.pipeline_open() {
            return Ok(Err(Not::tried("it is inside a transaction or pipeline of the caller's")));
        }
        let started = Instant::now();
        let until_at = crate::moment::now().plus(time);
        let times = (started, started + time, until_at);
        let tried = match self.opened(time).await? {
            Some(rows) => Box::pin(self.inside_rehearsal(held, &rows, times)).await?,
            None => Err(Not::tried("the target did not open a transaction for it")),
        };
        if tried.is_err() {
            self.roll_back_rehearsal(held.request().sets_unnamed()).await?;
        }
        Ok(tried)
    }

    /// Opens its transaction; `None` where the target does not.
    async fn opened(&mut self, time: Duration) -> Result<Option<CatalogRows>, End> {
        match self.chore(Chore::open_rehearsal(time)).await? {
            ChoreOutcome::Catalog { rows, unasked } => {
                self.pass_on(unasked).await?;
                Ok(Some(rows))
            }
            ChoreOutcome::Settled { unasked, .. } | ChoreOutcome::Failed { unasked, .. } => {
                self.pass_on(unasked).await?;
                Ok(None)
            }
        }
    }

    /// Everything between the beginning of its transaction and the wait for people.
    async fn inside_rehearsal(
        &mut self,
        held: &Held<Postgres>,
        rows: &CatalogRows,
        (started, until, until_at): (Instant, Instant, Timestamp),
    ) -> Result<Result<Rehearsed, Not>, End> {
        let unit = held.request();
        if !self.judge.makings(unit.operation()).is_empty() {
            return Ok(Err(Not::tried("it makes a table of masked columns")));
        }
        if let Err(why) = self.leaves_nothing(unit, rows) {
            return Ok(Err(Not::tried(why)));
        }
        let changed = tally(answer(rows, RehearsalRows::Changed))?;
        let table = self.shown_table(unit, answer(rows, RehearsalRows::Keys));
        let mut images = None;
        if let Some(table) = &table {
            images = self.images(table).await?;
        }
        let moment = self.moments.next();
        let permit = match self.gate.rehearse(held, until_at, moment).await {
            Ok(permit) => permit,
            Err(Unrehearsed::Elsewhere) => return Ok(Err(Not::Said)),
            Err(Unrehearsed::Because(why)) => return Ok(Err(Not::tried(why))),
        };
        let run = Run {
            ticket: held.ticket().clone(),
            request: permit.id(),
            started,
            until,
            until_at,
            before: changed,
            sets_unnamed: unit.sets_unnamed(),
        };
        // Nothing is waited for between this look and the first byte.
        if self.lease.paused().is_some() {
            self.note_unsent(run.request, FROZEN, started)?;
            return Ok(Err(Not::tried("the session is paused")));
        }
        let mut rehearsing = self.link.rehearse(permit)?;
        let stopped = self.rehearsed_answer(&mut rehearsing, until).await;
        if stopped.is_err() {
            self.rehearsal_outcome(&run, &rehearsing, Status::Broken)?;
        }
        match self.seen(stopped?, &rehearsing, &run.before, (table, images)).await? {
            Ok(seen) => Ok(Ok(Rehearsed { run, rehearsing, seen })),
            Err(not) => {
                let failed = rehearsing.masker().error_code().is_some();
                let status = if failed { Status::Failed } else { Status::Undone };
                self.rehearsal_outcome(&run, &rehearsing, status)?;
                Ok(Err(not))
            }
        }
    }

    /// That the transaction is of the usual kind, and nothing the request reaches is of the kind that
    /// leaves something behind.
    fn leaves_nothing(&self, unit: &Unit, rows: &CatalogRows) -> Result<(), String> {
        let transaction = answer(rows, RehearsalRows::Transaction).first();
        let transaction: Vec<&str> =
            transaction.into_iter().flatten().map(|v| v.as_deref().unwrap_or("")).collect();
        // Definitions are read in it again, and have to be those of then.
        if transaction != ["read committed", "off"] {
            return Err("the session's transactions are not READ COMMITTED and READ WRITE".into());
        }
        let lasting = answer(rows, RehearsalRows::LastingCode);
        let lasting: HashMap<u32, &str> = lasting
            .iter()
            .filter_map(|row| match row.as_slice() {
                [Some(number), Some(function)] => Some((number.parse().ok()?, function.as_str())),
                _ => None,
            })
            .collect();
        if lasting.contains_key(&0) {
            return Err("a check of a domain runs what a rollback may not undo".to_owned());
        }
        let catalog = self.analyst.catalog().ok_or("no definitions are known")?;
        for effect in &unit.operation().effects {
            if effect.object.kind != ObjectKind::Relation {
                continue;
            }
            let [_, schema, name] = effect.object.path.as_slice() else {
                return Err(format!("what {effect} stands for is not known"));
            };
            let found = catalog.relations_named(Some(schema), name);
            if found.is_empty() {
                return Err(format!("{schema}.{name} is not known"));
            }
            for relation in found {
                ordinary(&catalog, relation, effect.verb != Verb::Read, &lasting)?;
            }
        }
        Ok(())
    }

    /// The table whose rows are shown: the one that is written, where that is one for certain.
    fn shown_table(&self, unit: &Unit, keys: &[Vec<Option<String>>]) -> Option<Table> {
        let writes =
            unit.operation().effects.iter().filter(|effect| {
                effect.certainty == Certainty::Resolved && effect.verb != Verb::Read
            });
        let writes: Vec<_> = writes.collect();
        let first = writes.first()?;
        if writes.iter().any(|effect| effect.object != first.object) {
            return None;
        }
        let [_, schema, name] = first.object.path.as_slice() else { return None };
        let catalog = self.analyst.catalog()?;
        let found = catalog.relations_named(Some(schema), name);
        let [relation] = found.as_slice() else { return None };
        let number = relation.oid.to_string();
        let key = keys.iter().filter_map(|row| match row.as_slice() {
            [Some(of), Some(column)] if *of == number => Some(column.clone()),
            _ => None,
        });
        let any = |verbs: &[Verb]| writes.iter().any(|effect| verbs.contains(&effect.verb));
        let comes = any(&[Verb::Update, Verb::Insert]);
        let refers_to_itself = relation.references.iter().any(|r| r.child == relation.oid);
        let no_before = if !any(&[Verb::Update, Verb::Delete]) {
            Some("it adds rows")
        } else if comes && refers_to_itself {
            // The server marks both in the same way.
            Some("rows that it changed cannot be told from those it only locked as their parents")
        } else {
            None
        };
        Some(Table {
            schema: relation.schema.to_string(),
            name: relation.name.to_string(),
            key: key.collect(),
            no_before,
            no_after: (!comes).then_some("it removes rows"),
        })
    }

    /// What will be asked for rows of the table; those as they are now are bound at once. `None` where
    /// the caller may not ask, or the target does not take it.
    async fn images(&mut self, table: &Table) -> Result<Option<Images>, End> {
        let name = (&*table.schema, &*table.name);
        let ordered = self.may_look(&mut Images::new(self.analyst.clone(), name, &table.key));
        let key = if ordered { table.key.as_slice() } else { &[] };
        if !ordered && !self.may_look(&mut Images::new(self.analyst.clone(), name, &[])) {
            return Ok(None);
        }
        let mut images = Images::new(self.analyst.clone(), name, key);
        if table.no_before.is_some() {
            return Ok(Some(images));
        }
        let Some(bind) = images.bind_before() else { return Ok(None) };
        self.own_rows(Chore::savepoint()).await?;
        let looked = self.look(bind, &mut images).await?;
        let bound = !matches!(looked, Looked::Refused | Looked::Failed(_));
        // The portal is to live on.
        let chore = if bound { Chore::release() } else { Chore::end_look() };
        self.own_rows(chore).await?;
        Ok(bound.then_some(images))
    }

    /// Whether policy lets the caller read what the images ask for.
    fn may_look(&self, images: &mut Images) -> bool {
        let Some(unit) = images.after() else { return false };
        let granted_minutes = self.gate.granted_minutes(crate::moment::now());
        let circumstances = Circumstances { granted_minutes, ..Circumstances::default() };
        let none = Approvals::new();
        matches!(self.judge.judge(unit.operation(), &circumstances, &none), Verdict::Permit(_))
    }

    /// Takes in the answer to a rehearsal until it is whole; why it was stopped, where it was.
    async fn rehearsed_answer(
        &mut self,
        rehearsing: &mut Rehearsing<Postgres>,
        until: Instant,
    ) -> Result<Option<&'static str>, End> {
        let mut stopped = None;
        while !(rehearsing.masker().finished() && self.link.is_sent()) {
            let tell_sent = rehearsing.masker().finished();
            let takes_more = self.left.is_none() && self.may_read_ahead();
            let progress = async {
                if tell_sent {
                    return self.link.progress().await;
                }
                self.link.receive().await.map(Progress::Answer)
            };
            let why = tokio::select! {
                progress = progress => {
                    if let Progress::Answer(raw) = progress? {
                        rehearsing.withhold(raw)?;
                    }
                    None
                }
                read = self.client.read(&mut self.inbox), if takes_more => match read {
                    Ok(0) | Err(_) => {
                        self.left = Some(Instant::now());
                        Some("the caller went away meanwhile")
                    }
                    Ok(_) => None,
                },
                () = self.cancelled.cancelled(), if stopped.is_none() => {
                    Some("the caller cancelled meanwhile")
                }
                () = reached(Some(until)), if stopped.is_none() => {
                    Some("its time was over before it had come to its end")
                }
                end = self.lease.ended() => return Err(end),
            };
            if stopped.is_none() && why.is_some() {
                stopped = why;
                // Where it cannot be told, what it still does is awaited.
                let _ = self.target_cancel.cancel().await;
            }
        }
        if stopped.is_some() {
            // The cancel may have come late; it must not hit what is asked next.
            self.settled(Chore::synchronize()).await?;
        }
        Ok(stopped)
    }

    /// What a rehearsal did, once it has come to its end.
    async fn seen(
        &mut self,
        stopped: Option<&'static str>,
        rehearsing: &Rehearsing<Postgres>,
        before: &Tally,
        (table, images): (Option<Table>, Option<Images>),
    ) -> Result<Result<Seen, Not>, End> {
        if let Some(why) = stopped {
            return Ok(Err(Not::failed(why)));
        }
        if let Some(code) = rehearsing.masker().error_code() {
            return Ok(Err(Not::failed(in_words(&String::from_utf8_lossy(&code)))));
        }
        if !rehearsing.fits() {
            return Ok(Err(Not::failed("its answer is longer than can be kept back")));
        }
        let after = match self.chore(Chore::settle()).await? {
            ChoreOutcome::Catalog { rows, unasked } => {
                self.pass_on(unasked).await?;
                tally(rows.queries.get(1).map(Vec::as_slice).unwrap_or_default())?
            }
            ChoreOutcome::Settled { unasked, .. } => {
                self.pass_on(unasked).await?;
                return Ok(Err(Not::failed("the target did not say what it changed")));
            }
            ChoreOutcome::Failed { error, unasked, .. } => {
                self.pass_on(unasked).await?;
                let why = format!("at its end, {}", in_words(&error.code));
                return Ok(Err(Not::failed(why)));
            }
        };
        let Some(tables) = after.since(before) else {
            return Ok(Err(Not::failed("nobody can count what it changes")));
        };
        let samples = self.samples(table, images).await?;
        let tag = rehearsing.masker().tags().last().unwrap_or_default().to_owned();
        // As it is counted when it runs later.
        let changed = super::bounded::changed_by(&tag).unwrap_or_default().max(total(&tables));
        Ok(Ok(Seen::new(tag, changed, tables, samples)))
    }

    /// Some of the rows as they were, and as they are.
    async fn samples(
        &mut self,
        table: Option<Table>,
        images: Option<Images>,
    ) -> Result<(Sample, Sample), End> {
        let none = |why: &str| (Sample::none(why), Sample::none(why));
        let Some(table) = table else {
            return Ok(none("rows of more than one table are changed by name"));
        };
        let Some(mut images) = images else {
            return Ok(none(
                "policy does not let the caller read the table, or it cannot be asked",
            ));
        };
        let before = match table.no_before {
            Some(why) => Sample::none(why),
            None => {
                let unit = images.before();
                self.sample(unit, &mut images).await?
            }
        };
        let after = match table.no_after {
            Some(why) => Sample::none(why),
            None => {
                let unit = images.after();
                self.sample(unit, &mut images).await?
            }
        };
        Ok((before, after))
    }

    async fn sample(&mut self, unit: Option<Unit>, images: &mut Images) -> Result<Sample, End> {
        let Some(unit) = unit else { return Ok(Sample::none("they cannot be asked for")) };
        self.own_rows(Chore::begin_look()).await?;
        let looked = self.look(unit, images).await?;
        self.own_rows(Chore::end_look()).await?;
        Ok(match looked {
            Looked::Rows(image) => Sample::of(image),
            Looked::Refused => Sample::none("policy does not let the caller read the table"),
            Looked::Failed(code) if code == super::CANCELLED => {
                Sample::none("they were not found within a second")
            }
            Looked::Failed(code) => Sample::none(format!("the target gave none ({code})")),
        })
    }

    /// Asks for rows as the caller could, and keeps a masked sample of them.
    async fn look(&mut self, unit: Unit, images: &mut Images) -> Result<Looked, End> {
        let moment = self.moments.next();
        let Some(permit) = self.gate.look::<Postgres>(unit, moment).await else {
            return Ok(Looked::Refused);
        };
        let (request, started, used) = (permit.id(), Instant::now(), self.used);
        let mut flight = self.link.send(permit)?;
        while !(flight.masker().finished() && self.link.is_sent()) {
            let raw = tokio::select! {
                biased;
                raw = self.link.receive() => raw?,
                end = self.lease.ended() => return Err(end),
            };
            // Nothing of it is passed on to the caller.
            let _ = flight.mask(raw)?;
        }
        images.settle(flight.masker_mut().take_confirmations());
        for (name, value) in flight.masker_mut().parameter_changes() {
            self.author(|out| server::parameter_status(out, &name, &value)).await?;
        }
        let rows = flight.masker().rows();
        let failed = flight.masker().error_code();
        let sample = flight.take_sample();
        let status = if failed.is_some() { Status::Failed } else { Status::Done };
        self.outcome(request, Some(&mut flight), status, started)?;
        self.keep_sample(&sample, request, rows)?;
        // They are not the caller's.
        self.used = used;
        Ok(match failed {
            Some(code) => Looked::Failed(String::from_utf8_lossy(&code).into_owned()),
            None => Looked::Rows(sample.map(|sample| {
                let part = sample.parts().first();
                Image {
                    columns: part.map(|p| p.columns.clone()).unwrap_or_default(),
                    rows: part.map(|p| p.rows.clone()).unwrap_or_default(),
                    more: rows > MAX_ROWS as u64,
                }
            })),
        })
    }

    /// Undoes the rehearsal whose transaction is open, if there is one, and tells people why.
    pub(super) async fn undo_rehearsal(&mut self, why: &str) -> Result<(), End> {
        let Some(rehearsed) = self.rehearsal.take() else { return Ok(()) };
        let Rehearsed { run, rehearsing, seen } = *rehearsed;
        let undone = self.roll_back_rehearsal(run.sets_unnamed).await;
        // Where that failed the session ends, and its transaction with it.
        self.rehearsal_outcome(&run, &rehearsing, Status::Undone)?;
        self.told(&run.ticket, Rehearsal::over(Stage::Undone, why, Some(seen))).await;
        undone
    }

    /// Tells people that a session ends, and the transaction of its rehearsal with it.
    pub(super) async fn forsake_rehearsal(&mut self) {
        let Some(rehearsed) = self.rehearsal.take() else { return };
        let Rehearsed { run, rehearsing, seen } = *rehearsed;
        // The session ends for another reason already.
        let _ = self.rehearsal_outcome(&run, &rehearsing, Status::Undone);
        let why = "its session ended";
        self.told(&run.ticket, Rehearsal::over(Stage::Undone, why, Some(seen))).await;
    }

    async fn told(&self, ticket: &Ticket, rehearsal: Rehearsal) {
        if let Err(error) = self.gate.show(ticket, &rehearsal).await {
            // By its time people see that it is over.
            tracing::warn!(%error, review = %ticket.review, "a review was not told of its rehearsal");
        }
    }

    async fn roll_back_rehearsal(&mut self, forgets: bool) -> Result<(), End> {
        self.own_rows(Chore::undo_rehearsal(forgets)).await.map(drop)
    }

    /// Keeps what was rehearsed, now that it is permitted: its answer goes to the client, and its
    /// transaction is committed.
    pub(super) async fn keep_rehearsed(
        &mut self,
        permit: Permit<Postgres>,
        rehearsed: Rehearsed,
    ) -> Result<(), End> {
        let Rehearsed { mut run, rehearsing, seen } = rehearsed;
        let (request, started) = (permit.id(), Instant::now());
        let done = done(permit.request(), started);
        let outside = self.conversation.transaction_status() == b'I';
        self.telling.announces = self.inside.is_told(outside, done);
        let sent = (request, started, done);
        let limits = permit.limits().cloned();
        let mut bounds = self.bounds_by(limits.unwrap_or_default(), Vec::new(), &permit);
        bounds.is_rehearsed(std::mem::take(&mut run.before));
        self.rehearsal_outcome(&run, &rehearsing, Status::Done)?;
        self.copies = None;
        let flight = match self.link.keep(rehearsing, permit) {
            Ok(flight) => flight,
            Err(error) => {
                // Its session ends, and the transaction with it, before COMMIT.
                let (fate, why) = approved_and(None);
                self.told(&run.ticket, Rehearsal::over(fate.stage(), why, Some(seen))).await;
                self.outcome(request, None, Status::Broken, started)?;
                return Err(error.into());
            }
        };
        let answered = self.see_through(sent, true, flight, Some(&mut bounds)).await;
        let (fate, why) = approved_and(bounds.ended());
        self.told(&run.ticket, Rehearsal::over(fate.stage(), why, Some(seen))).await;
        answered
    }

    /// Records how a rehearsal ended.
    fn rehearsal_outcome(
        &self,
        run: &Run,
        rehearsing: &Rehearsing<Postgres>,
        status: Status,
    ) -> Result<(), End> {
        let masker = rehearsing.masker();
        let error = masker.error_code().map(|code| String::from_utf8_lossy(&code).into_owned());
        let event = Event::Outcome {
            status,
            rows: 0,
            tags: masker.tags().map(str::to_owned).collect(),
            error,
            masked: 0,
            micros: u64::try_from(run.started.elapsed().as_micros()).unwrap_or(u64::MAX),
        };
        let at = crate::moment::now();
        let (session, request) = (Some(self.id), Some(run.request));
        Ok(self.gate.journal().note(Entry { at, session, request, event })?)
    }

    /// Reads definitions in the transaction of a rehearsal, where everybody else's are as they are.
    pub(super) async fn read_rehearsing(&mut self) -> Result<Option<Detailed>, End> {
        let Some(definitions) = self.definitions(true, true).await? else { return Ok(None) };
        let unreadable = |e: CatalogError| {
            End::Withheld(MaskFailure::Malformed(format!("its catalog cannot be read: {e}")))
        };
        let catalog = definitions.catalog(&self.gate.standing().connection.database);
        let catalog = Arc::new(catalog.map_err(unreadable)?);
        let known = self.analyst.catalog();
        if known.is_none_or(|known| known.version() != catalog.version()) {
            self.use_catalog(catalog.clone());
        }
        definitions.detailed(&catalog).map_err(unreadable)
    }
}

/// What became of an approved rehearsal that ended so, and why.
fn approved_and(ended: Option<&Ended>) -> (Fate, String) {
    let why = match ended {
        None => "it was approved, and could not be committed as it was".to_owned(),
        Some(Ended { fate: Fate::Committed, .. }) => "it was approved in time".to_owned(),
        Some(Ended { fate: Fate::Undone, error }) => {
            let error = error.as_deref().map(|code| format!(": {}", in_words(code)));
            format!("it was approved, and the target did not commit it{}", error.unwrap_or_default())
        }
        Some(Ended { fate: Fate::Unknown, .. }) => {
            "it was approved in time, and the target was lost between COMMIT and its answer: look at \
             the rows"
                .to_owned()
        }
    };
    (ended.map_or(Fate::Undone, |ended| ended.fate), why)
}

fn answer(rows: &CatalogRows, place: RehearsalRows) -> &[Vec<Option<String>>] {
    rows.queries.get(place as usize).map(Vec::as_slice).unwrap_or_default()
}

/// That a relation, and those below it, are ordinary tables of which nothing is left by a rollback; a
/// relation that is only read may be a view as well.
fn ordinary(
    catalog: &Catalog,
    relation: &Relation,
    written: bool,
    lasting: &HashMap<u32, &str>,
) -> Result<(), String> {
    let (mut open, mut seen) = (vec![relation], HashSet::new());
    while let Some(next) = open.pop() {
        if !seen.insert(next.oid) {
            continue;
        }
        let name = format!("{}.{}", next.schema, next.name);
        if let Some(function) = lasting.get(&next.oid) {
            return Err(format!("{name} runs {function} by itself, which a rollback may not undo"));
        }
        let table = matches!(next.kind, RelationKind::Table | RelationKind::Partitioned);
        if next.kind == RelationKind::Foreign || written && (!table || next.is_system()) {
            return Err(format!("{name} is no ordinary table"));
        }
        for child in &next.children {
            open.push(
                catalog.relation(*child).ok_or_else(|| format!("a part of {name} is not known"))?,
            );
        }
    }
    Ok(())
}

fn tally(rows: &[Vec<Option<String>>]) -> Result<Tally, End> {
    Tally::read(rows).ok_or_else(|| unruly("its statistics are no numbers"))
}

/// An error of the target's, by its code: its text may hold what is masked.
fn in_words(code: &str) -> String {
    let why = match code {
        "23502" => "a column that must have a value would have none",
        "23503" => "a foreign key does not allow it",
        "23505" => "a value that must be unique would be there twice",
        "23514" => "a check does not allow it",
        "23P01" => "an exclusion constraint does not allow it",
        "42501" => "the gateway's role at the target may not do it",
        "55P03" => "others hold locks that it needs",
        "40P01" => "it and others would have waited for each other's locks",
        super::CANCELLED => "it takes longer than a rehearsal may",
        _ => "the target does not do it",
    };
    format!("it fails: {why} (SQLSTATE {code})")
}
