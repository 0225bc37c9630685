//! Labels that follow data: which columns of tables made through this gateway hold values of other
//! columns. Beside the life of a request: written between the answer to what makes a table and its
//! COMMIT, read when it is asked whether a column may be seen.
//!
//! *Architecture invariant:* a label is kept under the numbers the target gave its table, before
//! anybody but the session that makes the table can see it. So names, and what becomes of them, make
//! no difference, and a table is never there without its label.

use portcullis_core::id::SessionId;
use portcullis_core::mask::ColumnRef;
use portcullis_sql::catalog::{Catalog, Relation};
use portcullis_store::{
    DefinitionError, DefinitionStanding, DefinitionStore, LabelError, LabelKind, LabelMaker,
    LabelPlace, LabelRow, LabelSource, LabelStore, Store,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tracing::warn;

/// The servers that one database is known by, at most: it moves from one to the next.
const MOST_SERVERS: usize = 8;
/// Most labels of one database: a column counts as often as it has columns that it came from, and once
/// where it has none.
const MOST: usize = 100_000;
/// Most of them of one principal.
const MOST_OF_ONE: usize = 10_000;
/// So many a principal may have whatever others have.
const SURE: usize = 2_000;
/// A table that is not there for so long is gone: whoever began a transaction or a reading before
/// has ended it.
const GONE: Duration = Duration::from_secs(60 * 60);
/// One that was never there, and is being made at another gateway as far as is known here: no session
/// lasts so long.
const NEVER: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What the values of a column come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Every column they depend on, and those that these in turn came from.
    pub(crate) sources: Box<[LabelSource]>,
    /// How they came from them.
    pub(crate) kind: LabelKind,
}

impl Kept {
    /// True where whoever may not see `other` may not see this.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.kind == self.kind.and(other.kind)
            && other.sources.iter().all(|source| self.sources.contains(source))
    }
}

/// The labelled columns of a table, by number.
pub(crate) type KeptColumns = BTreeMap<i16, Kept>;

/// A table that is about to be made, or a materialised view that is about to be filled again, as far
/// as labels go.
#[derive(Debug, Clone)]
pub(crate) struct Making {
    /// Its number, where it is there already.
    pub(crate) there: Option<u32>,
    /// Its name.
    pub(crate) name: Box<str>,
    /// True where it is not made if there is one of that name.
    pub(crate) lenient: bool,
    /// What its columns are.
    pub(crate) columns: Columns,
}

/// The columns of a table that is about to be made.
#[derive(Debug, Clone)]
pub(crate) enum Columns {
    /// How many there are, and those that need a label.
    Told(usize, KeptColumns),
    /// Nobody can tell: any of them may hold anything.
    Untold,
}

/// How many columns of untold ones are made room for.
const UNTOLD: usize = 1_600;

/// Labels could not be kept, so the table must not stay.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unkept {
    #[error(transparent)]
    Full(#[from] Full),
    #[error("the store of labels cannot be written")]
    Store(#[from] LabelError),
    #[error("it cannot be found at the target")]
    NotFound,
}

/// There is no room for more labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    #[error(
        "you have as many labelled columns here as one caller may have ({MOST_OF_ONE}, counted by \
         what they came from): drop tables that you made of masked columns; an hour later they no \
         longer count"
    )]
    Share,
    #[error(
        "all callers together have as many labelled columns here as the gateway keeps ({MOST}), and \
         you have those that are yours in any case ({SURE}): drop tables made of masked columns; an \
         hour later they no longer count"
    )]
    Everybody,
}

/// Who makes a table.
#[derive(Debug, Clone)]
pub(crate) struct Maker {
    pub(crate) session: SessionId,
    pub(crate) principal: Arc<LabelMaker>,
}

/// The labels of one database, shared by all connections that lead to it.
#[derive(Debug)]
pub(crate) struct Labels {
    /// Counts changes, so that what was derived from labels can be told to be old.
    generation: AtomicU64,
    state: Mutex<State>,
    store: Option<LabelStore>,
    /// What the database is known by.
    place: Mutex<Arc<LabelPlace>>,
    /// Where other gateways tell what they change, where there can be others.
    others: Option<DefinitionStore>,
    /// The changes that are known here.
    known: tokio::sync::Mutex<Known>,
    /// Held from looking for room until it is taken.
    keeping: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    relations: HashMap<u32, Entry>,
    /// How many labels there are.
    count: usize,
}

#[derive(Debug)]
struct Entry {
    columns: Arc<KeptColumns>,
    owner: Owner,
    principal: Arc<LabelMaker>,
}

/// What is known of changes at other gateways.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// How many there were.
    changes: i64,
    /// Nothing has changed since, and nobody was changing anything then.
    since: Instant,
}

/// How many labels these are.
fn count(columns: &KeptColumns) -> usize {
    columns.values().map(|kept| kept.sources.len().max(1)).sum()
}

/// Whose table it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// A temporary one of this session: nobody else can read it, and it ends with the session.
    Session(SessionId),
    /// Everybody's, once the transaction that makes it is committed.
    Everybody {
        /// The session that makes it, while its transaction may be open.
        maker: Option<SessionId>,
        /// When it was there last, or when its transaction had ended.
        seen: Instant,
        /// A catalog has shown it, or its transaction has ended here.
        shown: bool,
    },
}

/// True for a schema of temporary tables.
fn is_temporary(schema: &str) -> bool {
    schema.starts_with("pg_temp_")
}

impl Labels {
    /// Those of a place as the store has them.
    ///
    /// # Errors
    /// [`LabelError`]: without them the gateway must not work there.
    pub(crate) async fn load(store: &Store, place: LabelPlace) -> Result<Self, LabelError> {
        let others = DefinitionStore::of(store);
        let store = Some(LabelStore::new(store.clone()));
        let labels = Self { store, others, ..Self::unstored() };
        *labels.named() = Arc::new(place);
        labels.read().await?;
        Ok(labels)
    }

    /// Takes in what the store has. Nothing that is known here is lost by it.
    async fn read(&self) -> Result<(), LabelError> {
        let Some(store) = &self.store else { return Ok(()) };
        let rows = store.load(&self.place()).await?;
        let mut relations: HashMap<u32, (KeptColumns, LabelMaker)> = HashMap::new();
        for LabelRow { relation, column, kind, sources, maker } in rows {
            let kept = Kept { sources: sources.into(), kind };
            let (columns, by) = relations.entry(relation).or_default();
            columns.insert(column, kept);
            *by = maker;
        }
        // Where there can be others, one of them may be making it.
        let shown = self.others.is_none();
        let owner = Owner::Everybody { maker: None, seen: Instant::now(), shown };
        for (relation, (columns, by)) in relations {
            match self.of(relation) {
                Some(known) if *known == columns => {}
                // One that is being made here is this session's still.
                Some(_) => {
                    let owner = self.owner(relation).unwrap_or(owner);
                    self.put(relation, self.united(relation, columns), owner, &Arc::new(by));
                }
                None => self.put(relation, columns, owner, &Arc::new(by)),
            }
        }
        Ok(())
    }

    /// Where other gateways are told what is changed here, where there can be others.
    pub(crate) fn others(&self) -> Option<(&DefinitionStore, Arc<LabelPlace>)> {
        self.others.as_ref().map(|others| (others, self.place()))
    }

    fn named(&self) -> MutexGuard<'_, Arc<LabelPlace>> {
        // It is replaced as a whole.
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self) -> Arc<LabelPlace> {
        Arc::clone(&self.named())
    }

    /// A server of this database says that it is this one: whatever others call it, it is known by that
    /// from now on.
    pub(crate) fn is_at(&self, server: &str) {
        let mut place = self.named();
        if !place.servers.iter().any(|known| known == server) {
            let place = Arc::make_mut(&mut place);
            // One that was left long ago says nothing of where it is now.
            if place.servers.len() >= MOST_SERVERS {
                place.servers.remove(0);
            }
            place.servers.push(server.to_owned());
        }
    }

    /// A connection of this name leads to this database as well.
    pub(crate) fn is_called(&self, connection: &str) {
        let mut place = self.named();
        if !place.connections.iter().any(|known| known == connection) {
            Arc::make_mut(&mut place).connections.push(connection.to_owned());
        }
    }

    /// Learns what other gateways have changed, and says how definitions stand; `None` where there can
    /// be no others. Every label of a table that anybody could read when this was called is known
    /// once it has returned.
    ///
    /// # Errors
    /// [`DefinitionError`]: then nothing may depend on definitions.
    pub(crate) async fn learn(&self) -> Result<Option<DefinitionStanding>, DefinitionError> {
        let Some((others, place)) = self.others() else { return Ok(None) };
        let standing = others.standing(&place).await?;
        let mut known = self.known.lock().await;
        let news = known.changes != standing.changes;
        if news {
            self.read().await.map_err(|_| DefinitionError)?;
        }
        if news || standing.changing {
            *known = Known { changes: standing.changes, since: Instant::now() };
        }
        Ok(Some(standing))
    }

    fn owner(&self, relation: u32) -> Option<Owner> {
        self.state().relations.get(&relation).map(|entry| entry.owner)
    }

    /// None, and none that would outlive the process.
    fn unstored() -> Self {
        Self {
            generation: AtomicU64::new(0),
            state: Mutex::default(),
            store: None,
            place: Mutex::default(),
            others: None,
            known: tokio::sync::Mutex::new(Known { changes: 0, since: Instant::now() }),
            keeping: tokio::sync::Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere cannot leave it half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Grows with every change.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn changed(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    fn put(&self, relation: u32, columns: KeptColumns, owner: Owner, by: &Arc<LabelMaker>) {
        {
            let mut state = self.state();
            state.count += count(&columns);
            let entry = Entry { columns: Arc::new(columns), owner, principal: Arc::clone(by) };
            if let Some(old) = state.relations.insert(relation, entry) {
                state.count = state.count.saturating_sub(count(&old.columns));
            }
        }
        self.changed();
    }

    /// These labels of a relation, and those it has: nothing that was kept is lost while it is there.
    fn united(&self, relation: u32, mut columns: KeptColumns) -> KeptColumns {
        for (column, old) in self.of(relation).iter().flat_map(|known| known.iter()) {
            let Some(new) = columns.get_mut(column) else {
                columns.insert(*column, old.clone());
                continue;
            };
            let all: BTreeSet<_> = new.sources.iter().chain(&old.sources).cloned().collect();
            new.sources = all.into_iter().collect();
            new.kind = new.kind.and(old.kind);
        }
        columns
    }

    /// The labelled columns of a relation, if it has any.
    pub(crate) fn of(&self, relation: u32) -> Option<Arc<KeptColumns>> {
        self.state().relations.get(&relation).map(|entry| entry.columns.clone())
    }

    /// What one column came from, if it is labelled.
    pub(crate) fn of_column(&self, column: ColumnRef) -> Option<Kept> {
        self.of(column.relation)?.get(&column.column).cloned()
    }

    /// Every labelled column of every relation.
    pub(crate) fn all(&self) -> Vec<Arc<KeptColumns>> {
        self.state().relations.values().map(|entry| entry.columns.clone()).collect()
    }

    /// True where there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.state().relations.is_empty()
    }

    /// How many labels a relation has.
    fn counted(&self, relation: u32) -> usize {
        self.of(relation).map_or(0, |columns| count(&columns))
    }

    /// That there is room for more labels of a principal: what others have does not take all of it.
    ///
    /// # Errors
    /// [`Full`]: there is none.
    pub(crate) fn room(&self, principal: &LabelMaker, more: usize) -> Result<(), Full> {
        let state = self.state();
        let own = state.relations.values().filter(|entry| *entry.principal == *principal);
        let own = own.map(|entry| count(&entry.columns)).sum::<usize>().saturating_add(more);
        if own > MOST_OF_ONE {
            return Err(Full::Share);
        }
        if own > SURE && state.count.saturating_add(more) > MOST {
            return Err(Full::Everybody);
        }
        Ok(())
    }

    /// Keeps the labels of a table that a session has made in a transaction, which may be committed
    /// once this has returned. True where the table is a temporary one.
    ///
    /// # Errors
    /// [`Unkept`]: the transaction must not be committed.
    pub(crate) async fn keep(
        &self,
        by: &Maker,
        making: &Making,
        (before, now): (&Catalog, &Catalog),
    ) -> Result<bool, Unkept> {
        let made: Vec<&Relation> = now.relations().filter(|r| making.made(r, before)).collect();
        let new = |r: &Relation| r.name == making.name && before.relation(r.oid).is_none();
        if made.is_empty() && (!making.lenient || now.relations().any(new)) {
            return Err(Unkept::NotFound);
        }
        let _keeping = self.keeping.lock().await;
        let made: Vec<(&Relation, KeptColumns)> = made
            .into_iter()
            .map(|relation| (relation, self.united(relation.oid, making.kept(relation))))
            .collect();
        let more =
            made.iter().map(|(r, columns)| count(columns).saturating_sub(self.counted(r.oid)));
        self.room(&by.principal, more.sum())?;
        let (temporary, permanent): (Vec<_>, Vec<_>) =
            made.into_iter().partition(|(r, _)| is_temporary(&r.schema));
        let rows: Vec<LabelRow> = permanent.iter().flat_map(|(r, c)| rows(r.oid, c, by)).collect();
        if let (Some(store), false) = (&self.store, rows.is_empty()) {
            store.keep(&self.place(), &rows, crate::moment::now()).await?;
        }
        let alone = !temporary.is_empty();
        let maker = Some(by.session);
        let owner = Owner::Everybody { maker, seen: Instant::now(), shown: false };
        let put =
            |(r, columns): (&Relation, _), owner| self.put(r.oid, columns, owner, &by.principal);
        permanent.into_iter().for_each(|one| put(one, owner));
        temporary.into_iter().for_each(|one| put(one, Owner::Session(by.session)));
        Ok(alone)
    }

    /// True where a session has made labelled tables in a transaction that may be open.
    #[cfg(test)]
    fn is_making(&self, session: SessionId) -> bool {
        let makes = |entry: &Entry| match entry.owner {
            Owner::Everybody { maker, .. } => maker == Some(session),
            Owner::Session(_) => false,
        };
        self.state().relations.values().any(makes)
    }

    /// A session is outside of transactions: what it has made is there for everybody, or is not.
    pub(crate) fn settle(&self, session: SessionId) {
        for entry in self.state().relations.values_mut() {
            if let Owner::Everybody { maker: open @ Some(_), seen, shown } = &mut entry.owner
                && *open == Some(session)
            {
                (*open, *seen, *shown) = (None, Instant::now(), true);
            }
        }
    }

    /// A session has ended, and its temporary tables with it.
    pub(crate) fn leave(&self, session: SessionId) {
        self.settle(session);
        self.remove(|_, owner| owner == Owner::Session(session));
    }

    /// What a session, outside of transactions, has read itself: of its temporary tables those that
    /// are not there are gone.
    pub(crate) fn observe_own(&self, session: SessionId, catalog: &Catalog) {
        let own = Owner::Session(session);
        self.remove(|relation, owner| owner == own && catalog.relation(relation).is_none());
    }

    /// What is true for everybody, read from `as_of` on. Forgets what has been gone for long enough.
    pub(crate) async fn observe(&self, catalog: &Catalog, as_of: Instant) {
        let gone = self.look(catalog, as_of, Instant::now());
        if gone.is_empty() {
            return;
        }
        let Some(store) = &self.store else { return self.forget(&gone) };
        let place = self.place();
        let forgotten = if self.others.is_some() {
            // What is not there may be in a transaction at another gateway, or have come out of one since
            // the catalog was read: as long as nobody knows, its labels stay.
            let Known { changes, since } = *self.known.lock().await;
            if as_of <= since {
                return;
            }
            store.forget_as_of(&place, &gone, changes).await
        } else {
            store.forget(&place, &gone).await.map(|()| true)
        };
        match forgotten {
            Ok(true) => self.forget(&gone),
            Ok(false) => {}
            Err(error) => warn!(%error, "labels of dropped tables stay in the store"),
        }
    }

    fn forget(&self, gone: &BTreeSet<u32>) {
        self.remove(|relation, _| gone.contains(&relation));
    }

    /// What has been gone for long enough.
    fn look(&self, catalog: &Catalog, as_of: Instant, now: Instant) -> BTreeSet<u32> {
        let mut gone = BTreeSet::new();
        for (relation, entry) in &mut self.state().relations {
            if let Owner::Everybody { maker: None, seen, shown } = &mut entry.owner {
                let patience = if *shown { GONE } else { NEVER };
                if catalog.relation(*relation).is_some() {
                    (*seen, *shown) = ((*seen).max(now), true);
                } else if as_of.saturating_duration_since(*seen) > patience {
                    gone.insert(*relation);
                }
            }
        }
        gone
    }

    fn remove(&self, goes: impl Fn(u32, Owner) -> bool) {
        let removed = {
            let mut state = self.state();
            let before = state.relations.len();
            state.relations.retain(|relation, entry| !goes(*relation, entry.owner));
            state.count = state.relations.values().map(|e| count(&e.columns)).sum();
            state.relations.len() != before
        };
        if removed {
            self.changed();
        }
    }
}

impl Making {
    /// True where a relation is, as far as can be told, the one that was made.
    fn made(&self, relation: &Relation, before: &Catalog) -> bool {
        let this = match self.there {
            Some(oid) => relation.oid == oid,
            None => relation.name == self.name && before.relation(relation.oid).is_none(),
        };
        this && match &self.columns {
            Columns::Told(width, _) => relation.columns.len() == *width,
            Columns::Untold => true,
        }
    }

    /// How many labels it needs at most.
    pub(crate) fn most(&self) -> usize {
        match &self.columns {
            Columns::Told(_, columns) => count(columns),
            Columns::Untold => UNTOLD,
        }
    }

    /// The labels of the relation that was made.
    fn kept(&self, relation: &Relation) -> KeptColumns {
        match &self.columns {
            Columns::Told(_, columns) => columns.clone(),
            Columns::Untold => {
                let kept = Kept { sources: Box::default(), kind: LabelKind::Untraced };
                relation.columns.iter().map(|c| (c.number, kept.clone())).collect()
            }
        }
    }
}

fn rows<'a>(
    relation: u32,
    columns: &'a KeptColumns,
    by: &'a Maker,
) -> impl Iterator<Item = LabelRow> + 'a {
    columns.iter().map(move |(column, kept)| LabelRow {
        relation,
        column: *column,
        kind: kept.kind,
        sources: kept.sources.to_vec(),
        maker: (*by.principal).clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_sql::catalog::QUERIES;

    const ONE: SessionId = SessionId::from_bits(1);
    const OTHER: SessionId = SessionId::from_bits(2);

    fn by(session: SessionId, subject: &str) -> Maker {
        let principal = LabelMaker { issuer: "i".into(), subject: subject.into() };
        Maker { session, principal: Arc::new(principal) }
    }

    fn one() -> Maker {
        by(ONE, "claude")
    }

    /// Relations by number, schema and name, with two columns each.
    fn catalog(relations: &[(u32, &str, &str)]) -> Catalog {
        let texts = |texts: &[&str]| texts.iter().map(|t| Some((*t).to_owned())).collect();
        let mut rows = vec![Vec::new(); QUERIES.len()];
        rows[0].push(texts(&["150000", "f", "f"]));
        for (oid, schema, name) in relations {
            let oid = oid.to_string();
            rows[2].push(texts(&[&oid, schema, name, "r", "0", "f"]));
            rows[2].iter_mut().for_each(|row: &mut Vec<_>| row.resize(9, None));
            rows[3].push(texts(&[&oid, "1", "a", "25", "f"]));
            rows[3].push(texts(&[&oid, "2", "b", "25", "f"]));
        }
        Catalog::from_rows("shop", &rows).unwrap()
    }

    fn making(name: &str, columns: usize) -> Making {
        let source = LabelSource {
            relation: 16_500,
            column: 2,
            schema: "public".into(),
            table: "customers".into(),
            name: "email".into(),
        };
        let kept = Kept { sources: [source].into(), kind: LabelKind::Plain };
        let columns = (1..).take(columns).map(|number| (number, kept.clone())).collect();
        let columns = Columns::Told(2, columns);
        Making { there: None, name: name.into(), lenient: false, columns }
    }

    #[tokio::test]
    async fn a_label_is_of_the_table_that_was_not_there_before() {
        let labels = Labels::unstored();
        let before = catalog(&[(16_600, "other", "t"), (16_601, "public", "u")]);
        let now = catalog(&[
            (16_600, "other", "t"),
            (16_601, "public", "u"),
            (16_700, "public", "t"),
            (16_701, "public", "v"),
        ]);
        assert!(!labels.keep(&one(), &making("t", 1), (&before, &now)).await.unwrap());
        assert!(labels.of(16_700).unwrap().contains_key(&1));
        assert!([16_600, 16_601, 16_701].iter().all(|other| labels.of(*other).is_none()));
        let lost = labels.keep(&one(), &making("w", 1), (&before, &now)).await;
        assert!(matches!(lost, Err(Unkept::NotFound)));
        let lenient = Making { lenient: true, ..making("u", 1) };
        assert!(!labels.keep(&one(), &lenient, (&before, &now)).await.unwrap());
        assert!(labels.of(16_601).is_none(), "it was there");
        let untold = Making { columns: Columns::Untold, ..making("v", 0) };
        labels.keep(&one(), &untold, (&before, &now)).await.unwrap();
        let kept = labels.of(16_701).unwrap();
        assert!(kept.len() == 2 && kept.values().all(|k| k.kind == LabelKind::Untraced));
    }

    #[tokio::test]
    async fn what_is_filled_again_keeps_the_labels_it_had() {
        let labels = Labels::unstored();
        let (before, now) = (catalog(&[]), catalog(&[(16_700, "public", "v")]));
        labels.keep(&one(), &making("v", 1), (&before, &now)).await.unwrap();
        let renamed = catalog(&[(16_700, "other", "w"), (16_701, "public", "v")]);
        let again = Making { there: Some(16_700), ..making("v", 2) };
        labels.keep(&one(), &again, (&now, &renamed)).await.unwrap();
        assert_eq!(labels.of(16_700).unwrap().len(), 2);
        assert!(labels.of(16_701).is_none(), "it has taken the name");
        let gone = labels.keep(&one(), &again, (&now, &before)).await;
        assert!(matches!(gone, Err(Unkept::NotFound)));
    }

    #[tokio::test]
    async fn temporary_tables_end_with_their_session() {
        let labels = Labels::unstored();
        let (before, now) = (catalog(&[]), catalog(&[(16_700, "pg_temp_3", "t")]));
        assert!(labels.keep(&one(), &making("t", 2), (&before, &now)).await.unwrap());
        labels.observe(&before, Instant::now()).await;
        labels.leave(OTHER);
        labels.observe_own(OTHER, &before);
        assert!(labels.of(16_700).is_some(), "others do not see it");
        labels.observe_own(ONE, &now);
        assert!(labels.of(16_700).is_some());
        labels.observe_own(ONE, &before);
        assert!(labels.of(16_700).is_none(), "it was dropped");
        assert!(labels.keep(&one(), &making("t", 2), (&before, &now)).await.unwrap());
        labels.leave(ONE);
        assert!(labels.of(16_700).is_none());
    }

    #[tokio::test]
    async fn a_label_goes_when_its_table_has_been_gone_for_long() {
        let labels = Labels::unstored();
        let (before, now) = (catalog(&[]), catalog(&[(16_700, "public", "t")]));
        labels.keep(&one(), &making("t", 1), (&before, &now)).await.unwrap();
        let start = Instant::now();
        let later = |times: u32| start + GONE * times + Duration::from_secs(1);
        assert!(labels.is_making(ONE) && !labels.is_making(OTHER));
        assert!(labels.look(&before, later(9), later(9)).is_empty(), "it may be committed yet");
        labels.settle(ONE);
        assert!(!labels.is_making(ONE));
        assert!(labels.look(&before, start, start).is_empty());
        assert!(labels.look(&now, later(2), later(2)).is_empty());
        assert!(labels.look(&before, later(2), later(2)).is_empty(), "just now it was there");
        let generation = labels.generation();
        let gone = labels.look(&before, later(4), later(4));
        assert_eq!(gone, [16_700].into());
        labels.forget(&gone);
        assert!(labels.of(16_700).is_none());
        assert_ne!(labels.generation(), generation, "what was derived from it is old");
    }

    /// Whoever takes all that one may have, and all that is there, leaves others their own.
    #[tokio::test]
    async fn nobody_takes_the_room_of_others() {
        let labels = Labels::unstored();
        let who = |n: u32| by(ONE, &format!("agent {n}"));
        let most = |n: u32| (16_700 + n, "public", "t");
        let (before, now) = (catalog(&[]), catalog(&[most(0)]));
        let kept = labels.keep(&who(0), &making("t", MOST_OF_ONE), (&before, &now)).await;
        assert!(kept.is_ok());
        // Temporary or not, in whatever session, it is the same principal's.
        let temporary = catalog(&[(16_800, "pg_temp_3", "u")]);
        for session in [ONE, OTHER] {
            let again = Maker { session, ..who(0) };
            let full = labels.keep(&again, &making("u", 1), (&before, &temporary)).await;
            assert!(matches!(full, Err(Unkept::Full(Full::Share))));
        }
        assert_eq!(labels.room(&who(1).principal, MOST_OF_ONE), Ok(()));
        for n in 1..10 {
            let now = catalog(&[most(n)]);
            let kept = labels.keep(&who(n), &making("t", MOST_OF_ONE), (&before, &now)).await;
            assert!(kept.is_ok(), "{n}");
        }
        // All of it is taken by ten; an eleventh has what is sure.
        let late = who(10);
        assert_eq!(labels.room(&late.principal, SURE + 1), Err(Full::Everybody));
        let now = catalog(&[most(10)]);
        assert!(labels.keep(&late, &making("t", SURE), (&before, &now)).await.is_ok());
        assert_eq!(labels.room(&late.principal, 1), Err(Full::Everybody));
        // What was dropped is forgotten, and counts no more.
        labels.settle(ONE);
        let later = Instant::now() + GONE + Duration::from_secs(1);
        let gone = labels.look(&before, later, later);
        assert_eq!(gone.len(), 11);
        labels.forget(&gone);
        assert_eq!(labels.room(&late.principal, MOST_OF_ONE), Ok(()));
    }

    /// A column that came from many takes as much as many.
    #[test]
    fn labels_count_by_what_columns_came_from() {
        let Columns::Told(_, mut columns) = making("t", 2).columns else { panic!() };
        let source = columns[&1].sources[0].clone();
        columns.get_mut(&1).unwrap().sources = vec![source; 40].into();
        columns.get_mut(&2).unwrap().sources = Box::default();
        assert_eq!(count(&columns), 41);
    }
}
