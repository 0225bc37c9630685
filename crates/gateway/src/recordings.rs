//! What is recorded of sessions, for people to search and read: over an index beside the journal, which is
//! made from it and says only where to look. Beside the life of a request, on threads of its own: the index
//! and the files are read on the runtime of the API, never on the lanes of sessions.
//!
//! *Architecture invariant:* what is shown of a session, and whose it is, is read in the journal and in its
//! recording. Where the index says something else it is thrown away.

mod sought;

pub(crate) use sought::{FoundEntry, Sought};

use crate::live::Who;
use portcullis_age::Identity;
use portcullis_core::id::{RequestId, SessionId};
use portcullis_core::journal::{Entry, Event};
use portcullis_core::principal::Principal;
use portcullis_core::time::Timestamp;
use portcullis_core::verdict::ConnectionFacts;
use portcullis_ledger::played::{Reached as Played, Recorded, RecordedEvents, Wholeness};
use portcullis_ledger::read::{self, ReadError, TimelineItem};
use portcullis_ledger::tail::{
    Entries, Found, Location, PassedOver, Position, Tail, segment_file, unopened,
};
use portcullis_store::index::{
    Batch, Begun, Counts, EntryPlace, Gaps, IndexedSession, Reached, Search, SessionIndex,
};
use portcullis_store::{Listed, Page, Place, StoreError};
use schemars::JsonSchema;
use serde::Serialize;
use sought::Hits;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, OnceCell};
use tracing::warn;

/// The file of the index, below the directory of the ledger.
const FILE: &str = "recordings.sqlite";
/// Entries that are added to the index at once.
const BATCH: usize = 4_000;
/// How long a caller waits until the index is as far as the journal.
const PATIENCE: Duration = Duration::from_secs(8);
/// Bytes of entries, and of recorded answers, on one page at most; one of each there is always.
const PAGE_BYTES: u64 = 4 << 20;
/// Bytes of the journal that one search reads for a text, and how long: then it says where to go on.
const SEARCH: (u64, Duration) = (256 << 20, Duration::from_secs(4));
/// How long sessions are searched one by one, the newest first, before the whole journal is gone through.
const ONE_BY_ONE: Duration = Duration::from_millis(150);
/// Entries whose places are asked for at once.
const PLACES: u32 = 1_000;

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    /// The index is being made.
    #[error(
        "the index of recorded sessions is being made from the journal ({0} entries so far): ask again \
         in a moment"
    )]
    Behind(u64),
    /// The journal or a recording cannot be read.
    #[error("{0}")]
    Ledger(#[from] ReadError),
    /// The index cannot be kept.
    #[error("the index of recorded sessions cannot be used: {0}")]
    Index(#[from] StoreError),
    /// A task of the gateway's own has failed.
    #[error("the record cannot be read: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// A recorded session. Texts in it are a caller's.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RecordedSession")]
pub(crate) struct Recording {
    pub(crate) id: SessionId,
    /// The caller, and for whom it acts.
    who: String,
    /// Absent for a log-in that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<Who>,
    connection: String,
    /// Absent for a log-in that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    facts: Option<ConnectionFacts>,
    /// The client's address.
    peer: String,
    pub(crate) opened: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed: Option<Timestamp>,
    /// Why it ended, or was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    /// It is there now.
    pub(crate) live: bool,
    permitted: u64,
    refused: u64,
    held: u64,
    /// Rows that were returned.
    rows: u64,
    /// Values that were masked.
    masked: u64,
    /// The number of the first entry that has what was looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<u64>,
    /// The number of the entry from which on it was not searched, because it is too much, or cannot be read: its
    /// timeline or its file has the rest, and health says what cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    unsearched: Option<u64>,
}

/// A session, with what is needed to go on reading it.
pub(crate) struct Head {
    pub(crate) recording: Recording,
    indexed: IndexedSession,
}

/// A page of a timeline, before it is read.
pub(crate) struct Part {
    places: Vec<EntryPlace>,
    /// The number of the entry behind it, where there is one.
    pub(crate) next: Option<u64>,
    /// When the entry before it was.
    before: Option<EntryPlace>,
}

/// A part of a timeline.
pub(crate) struct ReadPart {
    pub(crate) items: Vec<TimelineItem>,
    /// The number of the entry behind it, where there is one.
    pub(crate) next: Option<u64>,
    /// More was recorded of one of its requests than a page has.
    pub(crate) left_out: bool,
    /// How the recording ends.
    pub(crate) ends: Wholeness,
}

impl Part {
    /// The first and the last entry of it.
    pub(crate) fn span(&self) -> (Option<u64>, Option<u64>) {
        let (first, last) = (self.places.first(), self.places.last());
        (first.map(|place| place.sequence), last.map(|place| place.sequence))
    }
}

/// What is recorded of sessions.
pub(crate) struct Archive {
    directory: PathBuf,
    /// With which sealed recordings open.
    keys: Arc<[Identity]>,
    index: OnceCell<SessionIndex>,
    /// One at a time brings the index on; with how far it is.
    turn: Mutex<()>,
    /// Whether it was compared with the journal since this gateway started.
    compared: AtomicBool,
    /// What is not in the index behind the entry it has reached: it is met again each time.
    pending: std::sync::Mutex<Vec<Gaps>>,
}

/// What of the journal cannot be shown.
#[derive(Debug, Default)]
pub(crate) struct Unshown {
    /// What was passed over, by segments.
    pub(crate) gaps: Vec<Gaps>,
    /// Segments whose files cannot be opened, or that were read and are gone or empty since.
    pub(crate) gone: Vec<u64>,
    /// How many entries were read.
    pub(crate) entries: u64,
}

impl Unshown {
    /// Of the journal below `directory`, read from its beginning.
    ///
    /// # Errors
    /// [`ReadError`].
    pub(crate) fn of(directory: &Path) -> Result<Self, ReadError> {
        let mut tail = Tail::open(directory, Position::default())?;
        let (mut unshown, mut unread) = (Self::default(), Batch::default());
        while let Some(found) = tail.next()? {
            unshown.entries += 1;
            let place = place(&found);
            // It is an index that nobody keeps.
            if index_entry(&mut Batch::default(), place, &found).is_err() {
                unread.segment(unread_entry(place));
            }
        }
        for passed in tail.passed_over().iter().chain(tail.pending()) {
            unread.segment(gaps(*passed));
        }
        unshown.gaps = unread.segments().filter(|gaps| !gaps.is_nothing()).collect();
        unshown.gone = unopened(directory)?;
        Ok(unshown)
    }
}

fn gaps(of: PassedOver) -> Gaps {
    let PassedOver { segment, offset, sequence, lines, missing } = of;
    Gaps { segment, start: offset, sequence, lines, missing, unread: 0 }
}

fn unread_entry(place: EntryPlace) -> Gaps {
    let EntryPlace { sequence, segment, start, .. } = place;
    Gaps { segment, start, sequence, unread: 1, ..Gaps::default() }
}

const fn place(found: &Found<'_>) -> EntryPlace {
    let Location { segment, offset, length } = found.location;
    EntryPlace { sequence: found.sequence, segment, start: offset, length }
}

impl Archive {
    /// Of the journal below `directory`; sealed recordings open with `keys`.
    pub(crate) fn new(directory: &Path, keys: Arc<[Identity]>) -> Self {
        Self {
            directory: directory.to_owned(),
            keys,
            index: OnceCell::new(),
            turn: Mutex::default(),
            compared: AtomicBool::new(false),
            pending: std::sync::Mutex::default(),
        }
    }

    /// Brings the index as far as the journal is, however long that takes.
    pub(crate) async fn prepare(self: Arc<Self>) {
        loop {
            match self.caught_up().await {
                Ok(_) => return,
                Err(Unread::Behind(_)) => {}
                Err(error) => return warn!(%error, "recorded sessions cannot be searched"),
            }
        }
    }

    async fn opened(&self) -> Result<&SessionIndex, Unread> {
        let open = async || SessionIndex::open(&self.directory.join(FILE)).await;
        Ok(self.index.get_or_try_init(open).await?)
    }

    /// The index, as far as the journal is now.
    async fn caught_up(&self) -> Result<&SessionIndex, Unread> {
        let index = self.opened().await?;
        let deadline = Instant::now() + PATIENCE;
        let Ok(_turn) = tokio::time::timeout(PATIENCE, self.turn.lock()).await else {
            return Err(Unread::Behind(index.reached().await?.unwrap_or_default().sequence));
        };
        if !self.compared.load(Ordering::Relaxed) {
            self.compare(index).await?;
            self.compared.store(true, Ordering::Relaxed);
        }
        loop {
            let reached = index.reached().await?.unwrap_or_default();
            let directory = self.directory.clone();
            let read = tokio::task::spawn_blocking(move || batch(&directory, reached));
            let (next, passed, pending) = read.await??;
            self.tell(&passed, pending);
            let Some((batch, reached, more)) = next else { return Ok(index) };
            index.add(batch, reached).await?;
            if !more {
                return Ok(index);
            }
            if Instant::now() > deadline {
                return Err(Unread::Behind(reached.sequence));
            }
        }
    }

    /// Tells what was passed over, once.
    fn tell(&self, passed: &[Gaps], pending: Vec<Gaps>) {
        let mut known = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for gaps in passed.iter().chain(&pending).filter(|gaps| !known.contains(gaps)) {
            let file = segment_file(gaps.segment);
            warn!(
                file = %file.display(), entry = gaps.sequence, lines = gaps.lines,
                missing = gaps.missing, unread = gaps.unread,
                "parts of the journal are passed over: run `portcullis audit verify`"
            );
        }
        *known = pending;
    }

    /// What of the journal is not shown, as it is now.
    pub(crate) async fn unshown(&self) -> Result<Unshown, Unread> {
        let index = self.caught_up().await?;
        let entries = index.reached().await?.unwrap_or_default().sequence;
        let mut all = Batch::default();
        for gaps in index.segments().await? {
            all.segment(gaps);
        }
        for gaps in self.pending.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            all.segment(*gaps);
        }
        let directory = self.directory.clone();
        let look = move || {
            // There were entries in it.
            let is_gone =
                |gaps: &Gaps| match directory.join(segment_file(gaps.segment)).symlink_metadata() {
                    Ok(found) => found.len() == 0,
                    Err(error) => error.kind() == std::io::ErrorKind::NotFound,
                };
            let gone = all.segments().filter(is_gone).map(|gaps| gaps.segment);
            let mut gone: BTreeSet<u64> = gone.collect();
            gone.extend(unopened(&directory)?);
            let gaps = all.segments().filter(|gaps| !gaps.is_nothing()).collect();
            Ok::<_, ReadError>(Unshown { gaps, gone: gone.into_iter().collect(), entries })
        };
        Ok(tokio::task::spawn_blocking(look).await??)
    }

    /// Empties an index that is of another journal than this one, or that has gaps: what was wrong may have been
    /// put right since.
    async fn compare(&self, index: &SessionIndex) -> Result<(), Unread> {
        let Some(Reached { last, sequence, .. }) = index.reached().await? else { return Ok(()) };
        if index.segments().await?.iter().any(|gaps| !gaps.is_nothing()) {
            return Ok(index.empty().await?);
        }
        let directory = self.directory.clone();
        let there = tokio::task::spawn_blocking(move || {
            let mut entries = Entries::of(&directory);
            entries.read(location(last)).is_ok_and(|found| found.sequence + 1 == sequence)
        });
        if !there.await? {
            warn!("the index of recorded sessions is of another journal: it is made anew");
            index.empty().await?;
        }
        Ok(())
    }

    /// The index was wrong: it is made again.
    async fn distrust(&self) -> Unread {
        warn!("the index of recorded sessions does not fit the journal: it is made anew");
        if let Ok(index) = self.opened().await {
            let _turn = self.turn.lock().await;
            if let Err(error) = index.empty().await {
                return error.into();
            }
        }
        Unread::Behind(0)
    }

    /// The index is made again: of the journal, something was removed.
    pub(crate) async fn make_anew(&self) -> Result<(), Unread> {
        let index = self.opened().await?;
        let _turn = self.turn.lock().await;
        Ok(index.empty().await?)
    }

    /// A page of the recorded sessions that are looked for and that `may_see` says so of, newest first.
    /// Where reading for a text takes too long, the page is shorter and says where to go on.
    pub(crate) async fn search(
        &self,
        search: &Search,
        sought: &Sought,
        page: &Page,
        may_see: impl Fn(&Principal) -> bool,
    ) -> Result<(Vec<Recording>, Option<Place>), Unread> {
        let index = self.caught_up().await?;
        let (mut rows, started, mut read) = (Vec::new(), Instant::now(), 0);
        let (mut page, mut search) = (page.clone(), search.clone());
        let most = page.limit as usize;
        // Whoever sees only some is not told by how long it takes what others said.
        let mut hits = (sought.is_nothing() || search.viewer.is_some()).then_some(None);
        loop {
            if hits.is_none() && started.elapsed() > ONE_BY_ONE {
                let found = self.hunt(sought, started).await?;
                search.among = found.as_ref().map(|hits| hits.keys().copied().collect());
                hits = Some(found);
            }
            let Listed { rows: found, more } = index.find(&search, &page).await?;
            let (count, mut unfinished) = (found.len(), false);
            for (at, indexed) in found.into_iter().enumerate() {
                let place = Place { at: indexed.opened, id: indexed.id.to_string() };
                let on = more || at + 1 < count;
                page.after = Some(place.clone());
                let first =
                    hits.as_ref().and_then(Option::as_ref).and_then(|hits| hits.get(&indexed.id));
                let first = first.copied();
                // What cannot be read of one keeps nobody from the others.
                let unread = indexed.clone();
                let head = match self.head(indexed).await {
                    Err(Unread::Ledger(why)) => (unreadable(unread, &why), None),
                    head => head?,
                };
                let theirs = head.1.as_ref().map_or(search.viewer.is_none(), &may_see);
                if theirs {
                    let Within { found, bytes, unsearched } =
                        self.find_in(index, &head.0, sought, first).await?;
                    read += bytes;
                    if sought.is_nothing() || found.is_some() || unsearched.is_some() {
                        rows.push(Recording { found, unsearched, ..head.0.recording });
                    }
                }
                let enough = rows.len() >= most || read > SEARCH.0 || started.elapsed() > SEARCH.1;
                if enough {
                    return Ok((rows, on.then_some(place)));
                }
                unfinished = hits.is_none() && started.elapsed() > ONE_BY_ONE;
                if unfinished {
                    break;
                }
            }
            if !more && !unfinished {
                return Ok((rows, None));
            }
        }
    }

    /// The sessions of the whole journal with what is looked for, and where; `None` where that takes too long.
    async fn hunt(&self, sought: &Sought, started: Instant) -> Result<Option<Hits>, Unread> {
        let (directory, sought) = (self.directory.clone(), sought.clone());
        let goes_on = move || started.elapsed() < SEARCH.1;
        let hunted = tokio::task::spawn_blocking(move || sought.hunt(&directory, &goes_on));
        // Session by session it is told which ones cannot be searched.
        Ok(hunted.await?.unwrap_or_else(|error| {
            warn!(%error, "the journal cannot be gone through");
            None
        }))
    }

    /// The first entry of a session with what is looked for; `hit` where it was found already.
    async fn find_in(
        &self,
        index: &SessionIndex,
        head: &Head,
        sought: &Sought,
        hit: Option<(u64, Location)>,
    ) -> Result<Within, Unread> {
        let (mut from, mut within, begun) = (0, Within::default(), Instant::now());
        if sought.is_nothing() {
            return Ok(within);
        }
        if let Some((sequence, at)) = hit {
            // What counts is what the index has of the journal: another line of that number is none.
            let places = index.entries(head.indexed.number, sequence, true, 1).await?;
            if places.first().is_some_and(|place| location(*place) == at) {
                within.found = Some(sequence);
                return Ok(within);
            }
        }
        loop {
            let places = index.entries(head.indexed.number, from, true, PLACES).await?;
            let (Some(first), Some(last)) = (places.first(), places.last()) else {
                return Ok(within);
            };
            if within.bytes > SEARCH.0 || begun.elapsed() > SEARCH.1 {
                within.unsearched = Some(first.sequence);
                return Ok(within);
            }
            let begins = first.sequence;
            from = last.sequence + 1;
            within.bytes += places.iter().map(|place| place.length).sum::<u64>();
            let (directory, sought) = (self.directory.clone(), sought.clone());
            let look = move || {
                let mut entries = Entries::of(&directory);
                for place in places {
                    let found = entries.read(location(place))?;
                    let entry = read_entry(&found)?;
                    if found.sequence == place.sequence && sought.is_in(&entry.event) {
                        return Ok(Some(found.sequence));
                    }
                }
                Ok(None)
            };
            match tokio::task::spawn_blocking(look).await? {
                Ok(Some(found)) => return Ok(Within { found: Some(found), ..within }),
                Ok(None) => {}
                Err(ReadError::Moved) => return Err(self.distrust().await),
                // Its file is gone, or an entry cannot be read: the other sessions are searched all the same.
                Err(error) => {
                    warn!(%error, entry = begins, "a session cannot be searched from there on");
                    within.unsearched = Some(begins);
                    return Ok(within);
                }
            }
        }
    }

    /// A session by its first entry, with its principal.
    async fn head(&self, indexed: IndexedSession) -> Result<(Head, Option<Principal>), Unread> {
        let (directory, place) = (self.directory.clone(), indexed.place);
        let first = tokio::task::spawn_blocking(move || {
            let mut entries = Entries::of(&directory);
            let found = entries.read(location(place))?;
            let entry = read_entry(&found)?;
            Ok::<_, ReadError>((found.sequence, entry))
        });
        let entry = match first.await? {
            Ok((sequence, entry))
                if sequence == place.sequence && entry.session == Some(indexed.id) =>
            {
                entry
            }
            Ok(_) | Err(ReadError::Moved) => return Err(self.distrust().await),
            Err(error) => return Err(error.into()),
        };
        match headed(indexed, entry) {
            Some(head) => Ok(head),
            None => Err(self.distrust().await),
        }
    }

    /// One session, with its principal; `None` where there is none.
    pub(crate) async fn session(
        &self,
        id: SessionId,
    ) -> Result<Option<(Head, Option<Principal>)>, Unread> {
        let index = self.caught_up().await?;
        match index.session(id).await? {
            Some(indexed) => self.head(indexed).await.map(Some),
            None => Ok(None),
        }
    }

    /// Where the entries of a session stand, from a number on.
    pub(crate) async fn part(&self, head: &Head, from: u64, most: u32) -> Result<Part, Unread> {
        let (index, number) = (self.opened().await?, head.indexed.number);
        let mut places = index.entries(number, from, false, most + 1).await?;
        let mut bytes = 0;
        let room = places.iter().take_while(|place| {
            bytes += place.length;
            bytes <= PAGE_BYTES
        });
        let fits = room.count().clamp(1, most as usize);
        let next = places.get(fits).map(|place| place.sequence);
        places.truncate(fits);
        let before = match places.first() {
            Some(first) => index.before(number, first.sequence).await?,
            None => None,
        };
        Ok(Part { places, next, before })
    }

    /// The number of the entry of a session before which so many stand, or fewer.
    pub(crate) async fn lately(&self, head: &Head, most: u32) -> Result<u64, Unread> {
        let (index, number) = (self.opened().await?, head.indexed.number);
        let mut from = u64::MAX;
        for _ in 0..most {
            match index.before(number, from).await? {
                Some(place) => from = place.sequence,
                None => break,
            }
        }
        Ok(from)
    }

    /// What a part of a timeline says, with what was recorded of it. Where that is more than one page has, the
    /// part is shorter.
    pub(crate) async fn read(&self, head: &Head, part: Part) -> Result<ReadPart, Unread> {
        let (directory, session) = (self.directory.clone(), head.indexed.id);
        let (begin, keys) = (head.indexed.opened, Arc::clone(&self.keys));
        let read = tokio::task::spawn_blocking(move || {
            let (mut own, before) = read_entries(&directory, session, &part)?;
            let mut next = part.next;
            let mut recorded =
                recorded_in(&directory, session, &own, before, next.is_none(), &keys)?;
            // What does not fit is on the next page, with the outcome it stands before.
            if let Some((at, from)) = recorded.over.and_then(|request| outcome_of(&own, request)) {
                own.truncate(at);
                next = Some(from);
                recorded = recorded_in(&directory, session, &own, before, false, &keys)?;
            }
            let (left_out, ends) = (recorded.over.is_some(), recorded.ends);
            let items = read::merged(begin, own, recorded.all);
            Ok::<_, ReadError>(ReadPart { items, next, left_out, ends })
        });
        match read.await? {
            Err(ReadError::Moved) => Err(self.distrust().await),
            read => Ok(read?),
        }
    }

    /// The entries of a part alone: what is recorded is followed by itself while a session runs.
    pub(crate) async fn entries(
        &self,
        head: &Head,
        part: Part,
    ) -> Result<Vec<(u64, Entry)>, Unread> {
        let (directory, session) = (self.directory.clone(), head.indexed.id);
        let read = tokio::task::spawn_blocking(move || read_entries(&directory, session, &part));
        match read.await? {
            Err(ReadError::Moved) => Err(self.distrust().await),
            read => Ok(read?.0),
        }
    }

    /// What was recorded from there on, and where to go on.
    pub(crate) async fn recorded(
        &self,
        session: SessionId,
        from: Played,
    ) -> Result<(Vec<Recorded>, Played), Unread> {
        let (directory, keys) = (self.directory.clone(), Arc::clone(&self.keys));
        let read = tokio::task::spawn_blocking(move || {
            let mut events = RecordedEvents::open(&directory, session, from, &keys)?;
            let mut all = Vec::new();
            while events.bytes() < PAGE_BYTES {
                let Some(event) = events.next()? else { break };
                all.push(event);
            }
            Ok::<_, ReadError>((all, events.reached()))
        });
        Ok(read.await??)
    }

    /// How much is recorded of a session now.
    pub(crate) async fn ends_at(&self, session: SessionId) -> Result<Played, Unread> {
        let (directory, keys) = (self.directory.clone(), Arc::clone(&self.keys));
        let ends = move || -> Result<Played, ReadError> {
            let mut events = RecordedEvents::open(&directory, session, Played::default(), &keys)?;
            while events.next()?.is_some() {}
            Ok(events.reached())
        };
        Ok(tokio::task::spawn_blocking(ends).await??)
    }

    /// Who was shown a recording, the last first.
    pub(crate) async fn watchers(&self, session: SessionId) -> Result<Vec<Watched>, Unread> {
        let places = self.opened().await?.watchers(session, 100).await?;
        let directory = self.directory.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut entries = Entries::of(&directory);
            let mut all = Vec::new();
            for place in places {
                let entry = read_entry(&entries.read(location(place))?)?;
                all.extend(Watched::of(place.sequence, entry));
            }
            Ok::<_, ReadError>(all)
        });
        match read.await? {
            Err(ReadError::Moved) => Err(self.distrust().await),
            read => Ok(read?),
        }
    }

    /// The directory of the ledger.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }
}

/// Somebody who was shown a recording.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Watched {
    /// The number of the entry that says so.
    entry: u64,
    at: Timestamp,
    who: String,
    subject: String,
    /// `timeline`, `file`, `live` or `live_ended`.
    how: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<u64>,
}

impl Watched {
    fn of(sequence: u64, entry: Entry) -> Option<Self> {
        let Event::Watched { by, how, from, to, .. } = entry.event else { return None };
        let (at, who) = (entry.at, by.to_string());
        Some(Self { entry: sequence, at, who, subject: by.subject, how: how.as_str(), from, to })
    }
}

/// What is looked for, within one session.
#[derive(Debug, Default)]
struct Within {
    /// The first entry that has it.
    found: Option<u64>,
    /// How many bytes were read for that.
    bytes: u64,
    /// From which entry on it was not looked for, because that takes too long, or cannot be done.
    unsearched: Option<u64>,
}

fn read_entry(found: &Found<'_>) -> Result<Entry, ReadError> {
    let sequence = found.sequence;
    found.entry().map_err(|detail| ReadError::Entry { sequence, detail })
}

/// A session whose first entry cannot be read: what the index knows of it.
fn unreadable(indexed: IndexedSession, why: &ReadError) -> Head {
    let Counts { permitted, refused, held, rows, masked } = indexed.counts;
    let recording = Recording {
        id: indexed.id,
        who: String::new(),
        principal: None,
        connection: String::new(),
        facts: None,
        peer: String::new(),
        opened: indexed.opened,
        closed: indexed.closed,
        ended: Some(format!("what began it cannot be read: {why}")),
        live: false,
        permitted,
        refused,
        held,
        rows,
        masked,
        found: None,
        unsearched: None,
    };
    Head { recording, indexed }
}

const fn location(place: EntryPlace) -> Location {
    Location { segment: place.segment, offset: place.start, length: place.length }
}

/// The next entries of the journal for the index; `None` where there are none, and whether there are more.
/// And what was passed over before the last of them, and behind it.
type NextBatch = (Option<(Batch, Reached, bool)>, Vec<Gaps>, Vec<Gaps>);

fn batch(directory: &Path, reached: Reached) -> Result<NextBatch, ReadError> {
    let Reached { sequence, segment, start, .. } = reached;
    let mut tail = Tail::open(directory, Position { sequence, segment, offset: start })?;
    let (mut batch, mut reached) = (Batch::default(), reached);
    let (mut more, mut read_on) = (false, false);
    loop {
        let found = match tail.next() {
            Ok(Some(found)) => found,
            Ok(None) => break,
            // What was read is kept, and what it met there is met again, and told.
            Err(_) if read_on => {
                more = true;
                break;
            }
            Err(error) => return Err(error),
        };
        read_on = true;
        let place = place(&found);
        batch.segment(Gaps { segment: place.segment, ..Gaps::default() });
        // What this program cannot read it passes over: it is in the journal, and that is told.
        if index_entry(&mut batch, place, &found).is_err() {
            batch.segment(unread_entry(place));
        }
        reached.last = place;
        if batch.count() >= BATCH {
            more = true;
            break;
        }
    }
    for passed in tail.passed_over() {
        batch.segment(gaps(*passed));
    }
    let pending = tail.pending().iter().copied().map(gaps).collect();
    let position = tail.position();
    if position.sequence == reached.sequence {
        return Ok((None, Vec::new(), pending));
    }
    let passed = batch.segments().filter(|gaps| !gaps.is_nothing()).collect();
    let Position { sequence, segment, offset } = position;
    let reached = Reached { sequence, segment, start: offset, ..reached };
    Ok((Some((batch, reached, more)), passed, pending))
}

fn index_entry(batch: &mut Batch, place: EntryPlace, found: &Found<'_>) -> Result<(), String> {
    let facts = found.facts()?;
    let (at, session) = (facts.at, facts.session);
    let event = match found.entry() {
        Ok(entry) => entry.event,
        // It has its place in the session, so that whoever searches that hears of it.
        Err(why) => {
            if let Some(session) = session {
                batch.entry(session, place, true, Counts::default());
            }
            return Err(why);
        }
    };
    let Some(session) = session else {
        if let Event::Watched { recording: Some(recording), .. } = event {
            batch.watched(recording, place);
        }
        return Ok(());
    };
    let (mut counts, mut said) = (Counts::default(), false);
    match event {
        Event::Intent { .. } => {
            (counts.permitted, said) = (u64::from(!facts.of_gateway), true);
        }
        Event::Refused { .. } => (counts.refused, said) = (1, true),
        Event::Held { .. } => (counts.held, said) = (1, true),
        Event::Outcome { rows, masked, .. } => (counts.rows, counts.masked) = (rows, masked),
        Event::SessionOpened { standing, .. } => {
            let connection = standing.connection.name;
            batch.begin(Begun { session, at, place, who: Ok(standing.principal), connection });
        }
        Event::LoginRefused { principal, connection, .. } => {
            let who = Err(principal.unwrap_or_default());
            batch.begin(Begun { session, at, place, who, connection });
            batch.end(session, at, "refused".to_owned());
        }
        Event::SessionClosed { reason, .. } => batch.end(session, at, reason),
        _ => {}
    }
    batch.entry(session, place, said, counts);
    Ok(())
}

/// A session by what its first entry says.
fn headed(indexed: IndexedSession, entry: Entry) -> Option<(Head, Option<Principal>)> {
    let (who, principal, facts, connection, peer, ended) = match entry.event {
        Event::SessionOpened { standing, peer, .. } => {
            let name = standing.connection.name.clone();
            let who = standing.principal.to_string();
            (who, Some(standing.principal), Some(standing.connection), name, peer, None)
        }
        Event::LoginRefused { principal, peer, connection, refusal } => {
            let who = principal.unwrap_or_default();
            (who, None, None, connection, peer, Some(refusal.sentence()))
        }
        _ => return None,
    };
    let Counts { permitted, refused, held, rows, masked } = indexed.counts;
    let recording = Recording {
        id: indexed.id,
        who,
        principal: principal.as_ref().map(Who::of),
        connection,
        facts,
        peer,
        opened: entry.at,
        closed: indexed.closed,
        ended: ended.or_else(|| indexed.ended.clone()),
        live: false,
        permitted,
        refused,
        held,
        rows,
        masked,
        found: None,
        unsearched: None,
    };
    Some((Head { recording, indexed }, principal))
}

/// The entries of a part, and when the one before it was.
type PartEntries = (Vec<(u64, Entry)>, Option<Timestamp>);

fn read_entries(
    directory: &Path,
    session: SessionId,
    part: &Part,
) -> Result<PartEntries, ReadError> {
    let mut entries = Entries::of(directory);
    let mut read = |place: EntryPlace| {
        let found = entries.read(location(place))?;
        let entry = read_entry(&found)?;
        match found.sequence == place.sequence && entry.session == Some(session) {
            true => Ok((found.sequence, entry)),
            false => Err(ReadError::Moved),
        }
    };
    let before = part.before.map(&mut read).transpose()?.map(|(_, entry)| entry.at);
    let own = part.places.iter().map(|place| read(*place)).collect::<Result<_, _>>()?;
    Ok((own, before))
}

/// What was recorded that belongs among these entries: answers before their outcomes, what belongs to no
/// request by its time, and behind the last entry what has no outcome.
fn recorded_in(
    directory: &Path,
    session: SessionId,
    own: &[(u64, Entry)],
    before: Option<Timestamp>,
    last: bool,
    keys: &[Identity],
) -> Result<RecordedIn, ReadError> {
    let requests: BTreeSet<RequestId> = own
        .iter()
        .filter(|(_, entry)| last || is_outcome(entry))
        .filter_map(|(_, entry)| entry.request)
        .collect();
    let until = own.last().map(|(_, entry)| entry.at).filter(|_| !last);
    let mut events = RecordedEvents::open(directory, session, Played::default(), keys)?;
    let (mut all, mut bytes, mut over) = (Vec::new(), 0, None);
    loop {
        let from = events.bytes();
        let Some((at, request, event)) = events.next()? else { break };
        let belongs = match (request, at) {
            (Some(request), _) => requests.contains(&request),
            (None, Some(at)) => {
                before.is_none_or(|before| before <= at) && until.is_none_or(|until| at < until)
            }
            (None, None) => last,
        };
        if belongs {
            bytes += events.bytes().saturating_sub(from);
            if bytes > PAGE_BYTES && !all.is_empty() {
                over = Some(request);
                break;
            }
            all.push((at, request, event));
        }
    }
    Ok(RecordedIn { all, over, ends: events.ends() })
}

/// What was recorded that belongs among entries.
struct RecordedIn {
    all: Vec<Recorded>,
    /// Of which request the first was that did not fit; `None` inside where it belongs to none.
    over: Option<Option<RequestId>>,
    ends: Wholeness,
}

const fn is_outcome(entry: &Entry) -> bool {
    matches!(entry.event, Event::Outcome { .. })
}

/// Where among these entries the outcome of a request stands, behind the first of them, and its number.
fn outcome_of(own: &[(u64, Entry)], request: Option<RequestId>) -> Option<(usize, u64)> {
    let request = request?;
    let at =
        own.iter().position(|(_, entry)| is_outcome(entry) && entry.request == Some(request))?;
    let (sequence, _) = own.get(at)?;
    (at > 0).then_some((at, *sequence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_core::digest::Digest;
    use portcullis_core::journal::{Durability, Journal as _, JournalError};
    use portcullis_core::principal::PrincipalKind;
    use portcullis_core::protocol::{ProtocolKind, Shown};
    use portcullis_core::verdict::Standing;
    use portcullis_ledger::{Ledger, LedgerSettings};

    fn standing(name: &str) -> Standing {
        let principal = Principal {
            kind: PrincipalKind::Agent,
            subject: name.to_owned(),
            name: name.to_owned(),
            issuer: "https://issuer".to_owned(),
            acting_for: Some("ana".to_owned()),
            acting_for_issuer: None,
            email: None,
            groups: BTreeSet::new(),
            token_id: None,
            expires: Timestamp::from_micros(i64::MAX),
        };
        let connection = ConnectionFacts {
            name: "shop".to_owned(),
            environment: "test".to_owned(),
            protocol: ProtocolKind::Postgres,
            database: "shop".to_owned(),
            role: "app".to_owned(),
        };
        Standing { principal, connection }
    }

    async fn write(ledger: &Ledger, entry: Entry) {
        while let Err(error) = ledger.note(entry.clone()) {
            assert_eq!(error, JournalError::Full);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// A journal with so many sessions of so many requests, each with its number in it.
    async fn journal(directory: &Path, sessions: u64, requests: u64) {
        journal_with(directory, sessions, requests, LedgerSettings::default()).await;
    }

    async fn journal_with(
        directory: &Path,
        sessions: u64,
        requests: u64,
        settings: LedgerSettings,
    ) {
        // A segment is followed by another between two writes.
        let one_by_one = settings.segment_bytes < 1 << 20;
        let ledger = Ledger::open(directory, settings).unwrap();
        for n in 0..sessions {
            let (session, mut at) = (Some(SessionId::from_bits(n + 1)), n.cast_signed() * 1_000);
            let mut put = async |request: Option<u64>, event| {
                at += 1;
                let (at, request) = (Timestamp::from_micros(at), request.map(RequestId::from_bits));
                let entry = Entry { at, session, request, event };
                match one_by_one {
                    true => drop(ledger.append(entry, Durability::Written).await.unwrap()),
                    false => write(&ledger, entry).await,
                }
            };
            let opened = Event::SessionOpened {
                standing: standing(&format!("agent-{}", n % 7)),
                peer: "127.0.0.1:1".to_owned(),
                policy: "policy".to_owned(),
                claimed: String::new(),
                settings: Vec::new(),
                grant: None,
            };
            put(None, opened).await;
            for r in 0..requests {
                let statement = format!("SELECT {r} FROM public.orders WHERE session = {n}");
                let intent = Event::Intent {
                    operation: "SELECT · read shop.public.orders".to_owned(),
                    shown: Shown { statements: vec![statement], ..Shown::default() },
                    digest: Digest::from_bytes([7; 32]),
                    rules: vec!["reads".to_owned()],
                    review: None,
                    pattern: None,
                    of_gateway: false,
                    durability: Durability::Written,
                };
                put(Some(n * requests + r), intent).await;
                let outcome = Event::Outcome {
                    status: portcullis_core::journal::Status::Done,
                    rows: 2,
                    tags: vec!["SELECT 2".to_owned()],
                    error: None,
                    masked: 1,
                    micros: 300,
                };
                put(Some(n * requests + r), outcome).await;
            }
            put(None, Event::SessionClosed { reason: "over".to_owned(), recording: None }).await;
        }
        ledger.close().unwrap();
    }

    fn sought(text: &str) -> Sought {
        Sought { text: Some(text.to_owned()), object: None }
    }

    #[tokio::test]
    async fn what_is_found_stands_in_the_journal_and_the_index_follows_it() {
        let directory = tempfile::tempdir().unwrap();
        journal(directory.path(), 30, 10).await;
        let archive = Archive::new(directory.path(), Arc::default());
        let all = Search::default();
        let page = |limit| Page { limit, after: None };
        let (rows, next) =
            archive.search(&all, &Sought::default(), &page(100), |_| true).await.unwrap();
        assert_eq!((rows.len(), next.is_none()), (30, true));
        let first = rows.first().unwrap();
        assert_eq!((first.permitted, first.rows, first.masked), (10, 20, 10));
        let found = archive.search(&all, &sought("session = 17"), &page(100), |_| true).await;
        let (found, _) = found.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found.first().unwrap().id, SessionId::from_bits(18));
        // What may not be seen is as if it were not there.
        let none = archive.search(&all, &sought("session = 17"), &page(100), |_| false).await;
        assert!(none.unwrap().0.is_empty());
        // Pages go on where they end.
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = Page { limit: 7, after };
            let (rows, next) =
                archive.search(&all, &Sought::default(), &page, |_| true).await.unwrap();
            seen.extend(rows.iter().map(|row| row.id));
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, rows.iter().map(|row| row.id).collect::<Vec<_>>());
        // An edited index is found out, and made again.
        let index = archive.opened().await.unwrap();
        let (head, _) = archive.session(SessionId::from_bits(3)).await.unwrap().unwrap();
        let mut part = archive.part(&head, 0, 5).await.unwrap();
        part.places.first_mut().unwrap().start += 1;
        assert!(matches!(archive.read(&head, part).await, Err(Unread::Behind(0))));
        assert!(index.reached().await.unwrap().is_none());
        let (head, _) = archive.session(SessionId::from_bits(3)).await.unwrap().unwrap();
        let part = archive.part(&head, 0, 5).await.unwrap();
        assert_eq!(archive.read(&head, part).await.unwrap().items.len(), 5);
    }

    /// The only segment of the journal.
    fn segment(directory: &Path) -> PathBuf {
        let files = std::fs::read_dir(directory.join("journal")).unwrap();
        let mut files = files.map(|file| file.unwrap().path());
        files.find(|path| path.extension().is_some_and(|extension| extension == "jsonl")).unwrap()
    }

    #[tokio::test]
    async fn a_line_that_is_no_entry_keeps_nobody_from_the_others() {
        let directory = tempfile::tempdir().unwrap();
        journal(directory.path(), 5, 3).await;
        let path = segment(directory.path());
        let text = std::fs::read_to_string(&path).unwrap();
        let edited = text.replacen("agent-2", "agent-X", 1).replacen("agent-4", "agent-\u{7f}", 1);
        let lines = edited.lines().enumerate();
        let garbage = |(at, line): (usize, &str)| match at {
            4 => format!("{line}\nwhat is this\n"),
            _ => format!("{line}\n"),
        };
        std::fs::write(&path, lines.map(garbage).collect::<String>()).unwrap();
        let archive = Archive::new(directory.path(), Arc::default());
        let (all, page) = (Search::default(), Page { limit: 100, after: None });
        for _ in 0..3 {
            let found = archive.search(&all, &Sought::default(), &page, |_| true).await;
            let ids: Vec<_> = found.unwrap().0.iter().map(|row| row.id).collect();
            assert_eq!(ids, [4, 2, 1].map(SessionId::from_bits));
        }
        // Two entries, and a line more.
        let gaps = archive.unshown().await.unwrap().gaps;
        let [gaps] = *gaps else { panic!("{gaps:?}") };
        assert_eq!((gaps.lines, gaps.missing), (3, 2), "{gaps:?}");
        // One that is edited once it is known is left out as soon as it is looked at.
        let edited = std::fs::read_to_string(&path).unwrap().replacen("agent-1", "agent-Y", 1);
        std::fs::write(&path, edited).unwrap();
        let found = archive.search(&all, &Sought::default(), &page, |_| true).await;
        assert!(matches!(found, Err(Unread::Behind(0))));
        let found = archive.search(&all, &Sought::default(), &page, |_| true).await;
        assert_eq!(found.unwrap().0.len(), 2);
    }

    async fn listed(archive: &Archive) -> Vec<SessionId> {
        let (all, page) = (Search::default(), Page { limit: 100, after: None });
        let found = archive.search(&all, &Sought::default(), &page, |_| true).await;
        found.unwrap().0.iter().map(|row| row.id).collect()
    }

    /// What is said of the only segment, its place apart.
    async fn gaps_of(archive: &Archive) -> Option<(u64, u64, u64)> {
        let gaps = archive.unshown().await.unwrap().gaps;
        assert!(gaps.len() < 2, "{gaps:?}");
        gaps.first().map(|gaps| (gaps.sequence, gaps.lines, gaps.missing))
    }

    /// Each session has four entries: 0 to 3 are of the first one.
    #[tokio::test]
    async fn whatever_stands_in_the_journal_what_is_behind_it_is_found_and_it_is_told() {
        type Change<'a> = &'a dyn Fn(&mut Vec<String>);
        // What, how, which sessions are found, and what is told of the rest.
        type Case<'a> = (&'a str, Change<'a>, &'a [u64], Option<(u64, u64, u64)>);
        let long = || "x".repeat(18 << 20);
        let cases: [Case<'_>; 8] = [
            ("whole", &|_| {}, &[4, 3, 2, 1], None),
            ("longer than any line", &|all| all.insert(7, long()), &[4, 3, 2, 1], Some((7, 1, 0))),
            // It has taken an entry with it.
            ("long", &|all| all[4] = long(), &[4, 3, 1], Some((4, 1, 1))),
            ("long at the end", &|all| all.push(long()), &[4, 3, 2, 1], Some((16, 1, 0))),
            ("cut out", &|all| drop(all.drain(4..8)), &[4, 3, 1], Some((4, 0, 4))),
            (
                "several in one",
                &|all| drop(all.splice(4..7, [long()])),
                &[4, 3, 1],
                Some((4, 1, 3)),
            ),
            // A whole line of further on does not hide what stands behind it.
            ("put before", &|all| all.insert(3, all[15].clone()), &[4, 3, 2, 1], Some((3, 1, 0))),
            ("twice", &|all| all.insert(9, all[2].clone()), &[4, 3, 2, 1], Some((9, 1, 0))),
        ];
        for (what, change, ids, gaps) in cases {
            let directory = tempfile::tempdir().unwrap();
            journal(directory.path(), 4, 1).await;
            let path = segment(directory.path());
            let whole = std::fs::read_to_string(&path).unwrap();
            let mut all: Vec<_> = whole.lines().map(str::to_owned).collect();
            assert_eq!(all.len(), 16);
            change(&mut all);
            std::fs::write(&path, all.join("\n") + "\n").unwrap();
            let archive = Archive::new(directory.path(), Arc::default());
            let ids: Vec<_> = ids.iter().copied().map(SessionId::from_bits).collect();
            for _ in 0..2 {
                assert_eq!(listed(&archive).await, ids, "{what}");
                assert_eq!(gaps_of(&archive).await, gaps, "{what}");
            }
            let read = Unshown::of(directory.path()).unwrap().gaps;
            assert_eq!(read, archive.unshown().await.unwrap().gaps, "{what}");
            // Put right, it is whole for the next gateway.
            std::fs::write(&path, &whole).unwrap();
            let archive = Archive::new(directory.path(), Arc::default());
            assert_eq!(listed(&archive).await, [4, 3, 2, 1].map(SessionId::from_bits), "{what}");
            assert_eq!(gaps_of(&archive).await, None, "{what}");
        }
    }

    /// A line with something else in it, and the hash of that.
    fn forged(line: &str, was: &str, is: &str) -> String {
        let (text, _) = line.split_once('\t').unwrap();
        assert!(text.contains(was), "{was}: {text}");
        let text = text.replacen(was, is, 1);
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{text}\t{hash}")
    }

    #[tokio::test]
    async fn what_nobody_understands_is_told_and_what_is_beyond_all_bounds_breaks_no_list() {
        let directory = tempfile::tempdir().unwrap();
        journal(directory.path(), 3, 2).await;
        let path = segment(directory.path());
        let text = std::fs::read_to_string(&path).unwrap();
        // Of the first session the first outcome, of the second one the first statement.
        let lines = text.lines().enumerate().map(|(at, line)| match at {
            2 => forged(line, "\"rows\":2", "\"rows\":18446744073709551615"),
            4 => forged(line, "\"rows\":2", "\"rows\":9223372036854775807"),
            7 => forged(line, "\"operation\":", "\"operatiom\":"),
            _ => line.to_owned(),
        });
        let lines: Vec<String> = lines.collect();
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        let archive = Archive::new(directory.path(), Arc::default());
        let (all, page) = (Search::default(), Page { limit: 100, after: None });
        let found = archive.search(&all, &sought("SELECT 0"), &page, |_| true).await;
        let (rows, _) = found.unwrap();
        let seen: Vec<_> = rows.iter().map(|row| (row.found, row.unsearched)).collect();
        assert_eq!(seen, [(Some(13), None), (None, Some(7)), (Some(1), None)]);
        assert!(rows.last().unwrap().rows >= 1 << 52);
        let unshown = archive.unshown().await.unwrap();
        let [gaps] = *unshown.gaps else { panic!("{unshown:?}") };
        assert_eq!((gaps.lines, gaps.missing, gaps.unread), (0, 0, 1));
    }

    #[tokio::test]
    async fn a_file_that_takes_the_place_of_the_gateways_own_is_told() {
        let directory = tempfile::tempdir().unwrap();
        journal(directory.path(), 1, 1).await;
        let ledger = Ledger::open(directory.path(), LedgerSettings::default()).unwrap();
        let archive = Archive::new(directory.path(), Arc::default());
        assert_eq!(archive.unshown().await.unwrap().entries, ledger.written());
        let next = ledger.written();
        let text = std::fs::read_to_string(segment(directory.path())).unwrap();
        let last = text.lines().last().unwrap();
        let number = |number: u64| format!("{{\"seq\":{number},");
        let line = forged(last, &number(next - 1), &number(next));
        std::fs::write(directory.path().join(segment_file(next)), line + "\n").unwrap();
        assert_eq!(archive.unshown().await.unwrap().entries, next + 1);
        for at in 0..2 {
            let event = Event::SessionClosed { reason: "over".to_owned(), recording: None };
            let (at, session) = (Timestamp::from_micros(at), Some(SessionId::from_bits(9)));
            let entry = Entry { at, session, request: None, event };
            ledger.append(entry, Durability::Durable).await.unwrap();
        }
        assert!(archive.unshown().await.unwrap().entries < ledger.written());
    }

    #[tokio::test]
    async fn of_a_segment_that_is_missing_or_cut_the_others_are_found() {
        let settings = || LedgerSettings { segment_bytes: 4096, ..LedgerSettings::default() };
        let segments = |directory: &Path| {
            let (mut all, mut at) = (Vec::new(), 0);
            while let Ok(text) = std::fs::read_to_string(directory.join(segment_file(at))) {
                all.push((at, text.clone()));
                at += text.lines().count() as u64;
            }
            all
        };
        for cut in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            journal_with(directory.path(), 30, 2, settings()).await;
            let all = segments(directory.path());
            assert!(all.len() > 3);
            let ((first, text), next) = (all[1].clone(), all[2].0);
            let path = directory.path().join(segment_file(first));
            match cut {
                true => std::fs::write(&path, &text[..text.len() / 2]).unwrap(),
                false => std::fs::remove_file(&path).unwrap(),
            }
            let archive = Archive::new(directory.path(), Arc::default());
            let ids = listed(&archive).await;
            let (newest, oldest) = (SessionId::from_bits(30), SessionId::from_bits(1));
            assert!(ids.contains(&newest) && ids.contains(&oldest) && ids.len() < 30, "{ids:?}");
            let unshown = archive.unshown().await.unwrap();
            let missing: u64 = unshown.gaps.iter().map(|gaps| gaps.missing).sum();
            let left = if cut { text[..text.len() / 2].lines().count() as u64 - 1 } else { 0 };
            assert_eq!(missing, next - first - left, "{unshown:?}");
            assert!(unshown.gone.is_empty());
            // What cannot be opened is passed over, and told, by whoever looks.
            let odd = directory.path().join(segment_file(1 << 40));
            std::fs::create_dir(&odd).unwrap();
            assert_eq!(archive.unshown().await.unwrap().gone, [1 << 40]);
            assert_eq!(Unshown::of(directory.path()).unwrap().gone, [1 << 40]);
            std::fs::remove_dir(odd).unwrap();
            // One that goes once it was read is told as well.
            std::fs::remove_file(directory.path().join(segment_file(next))).unwrap();
            assert_eq!(archive.unshown().await.unwrap().gone, [next]);
            // It keeps nobody from searching what is there.
            let (all, page) = (Search::default(), Page { limit: 100, after: None });
            let found = archive.search(&all, &sought("session = 29"), &page, |_| true).await;
            let (rows, _) = found.unwrap();
            assert!(rows.iter().any(|row| row.id == newest && row.found.is_some()));
        }
    }

    #[tokio::test]
    async fn of_a_file_that_is_gone_the_sessions_are_listed_all_the_same() {
        let directory = tempfile::tempdir().unwrap();
        journal(directory.path(), 2, 1).await;
        let archive = Archive::new(directory.path(), Arc::default());
        let (all, page) = (Search::default(), Page { limit: 100, after: None });
        let found = archive.search(&all, &Sought::default(), &page, |_| true).await;
        assert_eq!(found.unwrap().0.len(), 2);
        std::fs::remove_file(segment(directory.path())).unwrap();
        let found = archive.search(&all, &Sought::default(), &page, |_| true).await;
        let (rows, _) = found.unwrap();
        assert!(rows.iter().all(|row| row.ended.as_ref().unwrap().contains("cannot be read")));
        // Whose they are nobody knows: they are for who sees all.
        let viewer = Some(standing("agent-0").principal);
        let own = Search { viewer, ..Search::default() };
        let found = archive.search(&own, &Sought::default(), &page, |_| true).await;
        assert!(found.unwrap().0.is_empty());
    }

    #[tokio::test]
    async fn what_was_recorded_and_does_not_fit_is_on_the_next_page() {
        let directory = tempfile::tempdir().unwrap();
        journal(directory.path(), 1, 6).await;
        let session = SessionId::from_bits(1);
        let message = |r: u64, bytes: usize| {
            let message = portcullis_ledger::RecordedEvent::Message {
                at: Timestamp::from_micros(1),
                request: Some(RequestId::from_bits(r)),
                severity: "notice".to_owned(),
                code: "00000".to_owned(),
                text: "x".repeat(bytes),
            };
            serde_json::to_string(&message).unwrap() + "\n"
        };
        // The first line is the file's own.
        let first =
            format!("{{\"recording\":\"portcullis-recording/1\",\"session\":\"{session}\"}}");
        let file = |recorded: String| format!("{first}\n{recorded}");
        let recorded = file((0..6).map(|r| message(r, 1_500_000)).collect());
        let path = directory.path().join(format!("recordings/{session}.jsonl"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, recorded).unwrap();
        let archive = Archive::new(directory.path(), Arc::default());
        let (head, _) = archive.session(session).await.unwrap().unwrap();
        let (mut from, mut answers, mut entries, mut pages) = (Some(0), 0, 0, 0);
        while let Some(at) = from {
            let part = archive.part(&head, at, 500).await.unwrap();
            let read = archive.read(&head, part).await.unwrap();
            let own = |item: &&TimelineItem| matches!(item.moment, read::Moment::Entry { .. });
            entries += read.items.iter().filter(own).count();
            answers += read.items.iter().filter(|item| !own(item)).count();
            assert!(!read.left_out);
            (from, pages) = (read.next, pages + 1);
        }
        assert_eq!((answers, entries, pages), (6, 14, 3));
        // Of one request alone there is no page that has more: that is said.
        std::fs::write(&path, file((0..6).map(|_| message(0, 1_500_000)).collect())).unwrap();
        let part = archive.part(&head, 2, 1).await.unwrap();
        let read = archive.read(&head, part).await.unwrap();
        assert!(read.left_out && read.next == Some(3));
    }

    #[tokio::test]
    async fn going_through_the_journal_finds_what_searching_session_by_session_does() {
        let directory = tempfile::tempdir().unwrap();
        let settings = LedgerSettings { segment_bytes: 40_000, ..LedgerSettings::default() };
        journal_with(directory.path(), 40, 20, settings.clone()).await;
        // One that is longer than what is looked through at once, and one that is only begun.
        let ledger = Ledger::open(directory.path(), settings).unwrap();
        let statement = format!("SELECT '{}' AS \"Ümlaut\"", "é".repeat(900_000));
        let event = Event::Intent {
            operation: "SELECT · read shop.public.orders".to_owned(),
            shown: Shown { statements: vec![statement], ..Shown::default() },
            digest: Digest::from_bytes([7; 32]),
            rules: Vec::new(),
            review: None,
            pattern: None,
            of_gateway: false,
            durability: Durability::Durable,
        };
        let (session, request) = (SessionId::from_bits(40), Some(RequestId::from_bits(9_999)));
        let at = Timestamp::from_micros(99_999);
        let entry = Entry { at, session: Some(session), request, event };
        ledger.append(entry, Durability::Durable).await.unwrap();
        drop(ledger);
        let archive = Archive::new(directory.path(), Arc::default());
        let (all, page) = (Search::default(), Page { limit: 1_000, after: None });
        let sought = |text: &str| Sought { text: Some(text.to_owned()), object: None };
        for (text, sessions) in
            [("session = 17", 1), ("select 3 FROM", 40), ("ümlaut", 1), ("ééé", 1), ("nowhere", 0)]
        {
            let sought = sought(text);
            let (rows, _) = archive.search(&all, &sought, &page, |_| true).await.unwrap();
            let mut one_by_one: Vec<_> = rows.iter().map(|row| (row.id, row.found)).collect();
            let hits = archive.hunt(&sought, Instant::now()).await.unwrap().unwrap();
            let mut at_once: Vec<_> =
                hits.iter().map(|(id, (sequence, _))| (*id, Some(*sequence))).collect();
            one_by_one.sort_unstable();
            at_once.sort_unstable();
            assert_eq!((one_by_one.len(), &one_by_one), (sessions, &at_once), "{text}");
            let among = Search { among: Some(hits.into_keys().collect()), ..Search::default() };
            let (rows, _) = archive.search(&among, &sought, &page, |_| true).await.unwrap();
            assert_eq!(rows.len(), sessions, "{text}");
        }
        let sought = sought("select 3 FROM");
        let found = sought.all(directory.path(), 5, |_| true).unwrap();
        assert_eq!(found.len(), 5);
        let last = &found.last().unwrap().what;
        assert_eq!(last.session, Some(session));
        // Too short to look for it in bytes, and found all the same.
        let short = Sought { text: Some("é".to_owned()), object: None };
        assert_eq!(short.all(directory.path(), 5, |_| true).unwrap().len(), 1);
    }

    /// `./dev bench search`: a million statements, as multiples of reading the journal's bytes once.
    #[tokio::test]
    #[ignore = "it takes a minute, and tells times"]
    async fn a_large_journal_is_searched_within_bounds() {
        let directory = tempfile::tempdir().unwrap();
        journal(directory.path(), 10_000, 100).await;
        let archive = Arc::new(Archive::new(directory.path(), Arc::default()));
        let started = Instant::now();
        Arc::clone(&archive).prepare().await;
        println!(
            "1,000,000 statements in 10,000 sessions; the index is made in {:?}",
            started.elapsed()
        );
        let started = Instant::now();
        let files = std::fs::read_dir(directory.path().join("journal")).unwrap();
        let bytes = files.map(|file| std::fs::read(file.unwrap().path()).unwrap().len());
        let bytes = bytes.sum::<usize>() >> 20;
        let read = started.elapsed();
        println!("its {bytes} MiB are read in {read:?}");
        let all = Search::default();
        let page = Page { limit: 100, after: None };
        for (what, sought) in [
            ("the newest sessions", Sought::default()),
            ("a text of the newest session", sought("session = 9999")),
            ("a text of the oldest session", sought("orders where session = 0")),
            ("a text of every session", sought("SELECT 99 from")),
            ("a text that is nowhere", sought("nowhere at all")),
        ] {
            let started = Instant::now();
            let (rows, next) = archive.search(&all, &sought, &page, |_| true).await.unwrap();
            let took = started.elapsed();
            let ratio = took.as_secs_f64() / read.as_secs_f64();
            let (rows, more) = (rows.len(), if next.is_some() { ", and more" } else { "" });
            println!("{what}: {rows} sessions{more} in {took:?}, {ratio:.1} x reading it");
            assert!(took < SEARCH.1 * 2);
        }
    }
}
