//! What of the record is kept for how long: which contents are due to be removed, and removing them so that the
//! log stays whole. Beside the life of a request: long after it.
//!
//! What an entry says goes; its hash stays in its place ([`crate::removed`]), so that the chain, the tree and every
//! signed head still hold. The order is what a crash may interrupt anywhere: the segment is written anew beside the
//! old one and synced; the journal says durably what goes; and only then the new one takes the old one's place. What
//! was announced and not done is still due, and announced again.
//!
//! *Architecture invariant:* nothing is removed that a signed head does not cover, that belongs to a session that is
//! not over, or that says what was removed.

use crate::chain::{Chain, Line, sha256};
use crate::error::LedgerError;
use crate::journal::Ledger;
use crate::keep::Form;
use crate::layout::{Layout, now};
use crate::read::ReadError;
use crate::removed::{Run, Runs, Spans};
use crate::segments::{self, Lines, Read, Segment};
use crate::storage::{RecordingFile, Storage};
use crate::tail::{Found, Position, Tail};
use crate::tiles;
use portcullis_core::digest::Digest;
use portcullis_core::id::{RequestId, SessionId};
use portcullis_core::journal::{Durability, Entry, Event, Journal as _, Removal};
use portcullis_core::principal::Principal;
use portcullis_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Bytes that are written at once.
const CHUNK: usize = 1024 * 1024;

/// For how long what is recorded of sessions on some connections is kept, counted from when they ended. What has no
/// time is kept for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// What it is called in the record.
    pub name: String,
    /// On which connections; none: on those that no other rule names.
    pub connections: BTreeSet<String>,
    /// The recorded answers.
    pub recordings: Option<Duration>,
    /// Requests that only read, by their durability class, with their outcomes.
    pub reads: Option<Duration>,
    /// All other requests, refused and held ones among them.
    pub requests: Option<Duration>,
    /// That there was the session, and everything else in it.
    pub sessions: Option<Duration>,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Of sessions.
    pub rules: Vec<Rule>,
    /// How long entries of no session are kept: decisions, sign-ins, changes.
    pub events: Option<Duration>,
}

impl Rules {
    /// Whether nothing is ever removed.
    #[must_use]
    pub fn keep_all(&self) -> bool {
        self.events.is_none()
            && self.rules.iter().all(|rule| {
                rule.recordings.or(rule.reads).or(rule.requests).or(rule.sessions).is_none()
            })
    }

    /// The rule for a connection: the one that names it, else the one that names none.
    fn of(&self, connection: &str) -> Option<&Rule> {
        let names = |rule: &&Rule| rule.connections.contains(connection);
        let rest = |rule: &&Rule| rule.connections.is_empty();
        self.rules.iter().find(names).or_else(|| self.rules.iter().find(rest))
    }
}

/// What is kept whatever the rules say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hold {
    /// What it is called.
    pub name: String,
    /// These sessions.
    pub sessions: BTreeSet<SessionId>,
    /// Sessions on these connections; none: on any.
    pub connections: BTreeSet<String>,
    /// Sessions of these, or of who acts for them, by subject or name; none: of anybody.
    pub principals: BTreeSet<String>,
    /// What was over before is not held.
    pub since: Option<Timestamp>,
    /// What began after is not held.
    pub until: Option<Timestamp>,
}

impl Hold {
    fn names_sessions_alone(&self) -> bool {
        !self.sessions.is_empty() && self.connections.is_empty() && self.principals.is_empty()
    }

    fn is_within(&self, begun: Timestamp, ended: Timestamp) -> bool {
        self.since.is_none_or(|since| ended >= since)
            && self.until.is_none_or(|until| begun <= until)
    }

    fn holds(&self, id: SessionId, session: &Session) -> bool {
        if self.sessions.contains(&id) {
            return true;
        }
        let any = |wanted: &BTreeSet<String>, has: &[String]| {
            wanted.is_empty() || has.iter().any(|one| wanted.contains(one))
        };
        !self.names_sessions_alone()
            && any(&self.connections, std::slice::from_ref(&session.connection))
            && any(&self.principals, &session.whose)
            && self.is_within(session.begun, session.ended.unwrap_or(session.begun))
    }

    /// Whether it may be about something that belongs to no session: that is not looked into.
    fn may_be_about(&self, at: Timestamp) -> bool {
        !self.names_sessions_alone() && self.is_within(at, at)
    }
}

/// What is known of a session.
#[derive(Debug)]
struct Session {
    connection: String,
    /// The names and subjects it goes by.
    whose: Vec<String>,
    begun: Timestamp,
    ended: Option<Timestamp>,
    recording: Option<Digest>,
}

/// A recording that is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DueRecording {
    /// Whose.
    pub session: SessionId,
    /// By which rule.
    pub rule: String,
    /// Bytes of its files.
    pub bytes: u64,
    /// As the journal has it; `None` where it has none.
    pub digest: Option<Digest>,
}

/// Entries of one segment that are due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DueEntries {
    /// The segment, by the number of its first entry.
    pub segment: u64,
    /// How many, by rules.
    pub why: BTreeMap<String, u64>,
    /// Bytes of their lines.
    pub bytes: u64,
    /// Their numbers, in order.
    #[serde(skip)]
    gone: Vec<u64>,
}

/// What is due.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Due {
    /// Recordings.
    pub recordings: Vec<DueRecording>,
    /// Entries, by segments, oldest first.
    pub entries: Vec<DueEntries>,
    /// Entries that would be due, and are in the segment that is written to.
    pub open: u64,
    /// Entries that would be due, and that somebody still has to read, or that no signed head covers.
    pub waiting: u64,
    /// What of each hold would be due without it: sessions, and entries of none.
    pub held: BTreeMap<String, u64>,
}

/// Finds what is due now in the ledger in `dir`. Entries from `before` on are not: somebody has to read them first.
///
/// # Errors
/// [`ReadError`]: what cannot be read is not removed either.
pub fn due(
    dir: &Path,
    rules: &Rules,
    holds: &[Hold],
    before: u64,
    at: Timestamp,
) -> Result<Due, ReadError> {
    let mut due = Due::default();
    if rules.keep_all() {
        return Ok(due);
    }
    let layout = Layout::new(dir);
    let sessions = sessions(dir)?;
    let mut judge = Judge {
        rules,
        holds,
        at,
        sessions: &sessions,
        reads: HashSet::new(),
        held: HashMap::new(),
    };
    due.recordings = recordings(&layout, &mut judge)?;
    let journal = layout.journal();
    let list = segments::list(&journal);
    let (listed, _) = list.map_err(|source| ReadError::Io { path: journal, source })?;
    // What no signed head covers is not removed; where there is none, nothing is.
    let signed = tiles::newest(&layout).map_or(0, |(_, size)| size).min(before);
    for (i, segment) in listed.iter().enumerate() {
        let end = listed.get(i + 1).map(|next| next.first);
        let mut found =
            DueEntries { segment: segment.first, why: BTreeMap::new(), bytes: 0, gone: vec![] };
        if !judge.segment(dir, segment, end, &mut found)? {
            break;
        }
        let count = found.gone.len() as u64;
        match end {
            Some(end) if end <= signed && count > 0 => due.entries.push(found),
            Some(end) if end <= signed => {}
            Some(_) => due.waiting += count,
            None => due.open += count,
        }
    }
    for (hold, count) in judge.counted() {
        *due.held.entry(hold).or_default() += count;
    }
    Ok(due)
}

/// The sessions that the journal tells the beginning or the end of.
fn sessions(dir: &Path) -> Result<HashMap<SessionId, Session>, ReadError> {
    let mut sessions = HashMap::new();
    let mut tail = Tail::open(dir, Position::default())?;
    while let Some(found) = tail.next()? {
        let facts = facts(&found)?;
        let Some(session) = facts.session else { continue };
        if !matches!(&*facts.event, "session_opened" | "session_closed" | "login_refused") {
            continue;
        }
        let sequence = found.sequence;
        let entry = found.entry().map_err(|detail| ReadError::Entry { sequence, detail })?;
        note(&mut sessions, session, entry);
    }
    Ok(sessions)
}

fn note(sessions: &mut HashMap<SessionId, Session>, id: SessionId, entry: Entry) {
    let at = entry.at;
    let new = |connection: String, whose: Vec<String>| Session {
        connection,
        whose,
        begun: at,
        ended: None,
        recording: None,
    };
    match entry.event {
        Event::SessionOpened { standing, .. } => {
            sessions.insert(id, new(standing.connection.name.clone(), whose(&standing.principal)));
        }
        Event::LoginRefused { principal, connection, .. } => {
            let refused = new(connection, principal.into_iter().collect());
            sessions.insert(id, Session { ended: Some(at), ..refused });
        }
        Event::SessionClosed { recording, .. } => {
            if let Some(session) = sessions.get_mut(&id) {
                (session.ended, session.recording) = (Some(at), recording);
            }
        }
        _ => {}
    }
}

fn whose(principal: &Principal) -> Vec<String> {
    let Principal { subject, name, acting_for, .. } = principal;
    [Some(subject), Some(name), acting_for.as_ref()].into_iter().flatten().cloned().collect()
}

/// The recordings that are due.
fn recordings(layout: &Layout, judge: &mut Judge<'_>) -> Result<Vec<DueRecording>, ReadError> {
    let directory = layout.recordings();
    let io = |source| ReadError::Io { path: directory.clone(), source };
    let mut found: BTreeMap<SessionId, u64> = BTreeMap::new();
    for entry in std::fs::read_dir(&directory).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        if let Some((session, _)) = Form::of_name(&name.to_string_lossy()) {
            *found.entry(session).or_default() += entry.metadata().map_err(io)?.len();
        }
    }
    let mut due = Vec::new();
    for (id, bytes) in found {
        let Some(session) = judge.sessions.get(&id) else { continue };
        let period = |rule: &Rule| rule.recordings.or(rule.sessions);
        if let Some(rule) = judge.of_session(id, session, period) {
            let digest = session.recording;
            due.push(DueRecording { session: id, rule: rule.to_owned(), bytes, digest });
        }
    }
    Ok(due)
}

/// What the walk along the journal goes by.
struct Judge<'a> {
    rules: &'a Rules,
    holds: &'a [Hold],
    at: Timestamp,
    sessions: &'a HashMap<SessionId, Session>,
    /// Requests that only read, whose outcome was not come to.
    reads: HashSet<(SessionId, RequestId)>,
    /// What is held and would be due: sessions, and how many entries of none, by the hold's place.
    held: HashMap<usize, (HashSet<SessionId>, u64)>,
}

/// The part of an entry that its time goes by.
#[derive(Deserialize)]
struct Facts<'a> {
    at: Timestamp,
    #[serde(borrow)]
    event: Cow<'a, str>,
    session: Option<SessionId>,
    request: Option<RequestId>,
    durability: Option<Durability>,
}

fn facts<'a>(found: &'a Found<'_>) -> Result<Facts<'a>, ReadError> {
    let sequence = found.sequence;
    serde_json::from_slice(found.json()).map_err(|e| {
        let detail = format!("the entry cannot be read: {e}");
        ReadError::Entry { sequence, detail }
    })
}

/// What says what became of the record is never removed.
fn is_kept(event: &str) -> bool {
    matches!(event, "contents_removed" | "recording_removed" | "unproven")
}

impl<'a> Judge<'a> {
    /// Finds what is due in a segment; false where it is so young that nothing behind it can be.
    fn segment(
        &mut self,
        dir: &Path,
        segment: &Segment,
        end: Option<u64>,
        due: &mut DueEntries,
    ) -> Result<bool, ReadError> {
        let from = Position { sequence: segment.first, segment: segment.first, offset: 0 };
        let mut tail = Tail::open(dir, from)?;
        let mut first = true;
        while let Some(found) = tail.next()? {
            if end.is_some_and(|end| found.sequence >= end) {
                break;
            }
            let facts = facts(&found)?;
            if std::mem::take(&mut first) && self.is_young(facts.at) {
                return Ok(false);
            }
            if let Some(rule) = self.entry(&facts) {
                *due.why.entry(rule).or_default() += 1;
                due.bytes += found.location.length + 1;
                due.gone.push(found.sequence);
            }
        }
        Ok(true)
    }

    /// Whether nothing from that time on is due by any rule.
    fn is_young(&self, at: Timestamp) -> bool {
        let rules = self.rules.rules.iter();
        let periods = rules.flat_map(|rule| [rule.reads, rule.requests, rule.sessions]);
        let shortest = periods.chain([self.rules.events]).flatten().min();
        shortest.is_none_or(|shortest| !self.is_over(at, shortest))
    }

    fn is_over(&self, since: Timestamp, period: Duration) -> bool {
        since.plus(period) <= self.at
    }

    /// The rule by which an entry is due.
    fn entry(&mut self, facts: &Facts<'_>) -> Option<String> {
        if is_kept(&facts.event) {
            return None;
        }
        let Some(id) = facts.session else { return self.of_none(facts.at) };
        let Some(session) = self.sessions.get(&id) else { return self.of_unknown(id, facts.at) };
        let reads = match (&*facts.event, facts.request) {
            ("intent", Some(request)) => {
                let reads = facts.durability == Some(Durability::Written);
                reads && self.reads.insert((id, request))
            }
            ("outcome", Some(request)) => self.reads.remove(&(id, request)),
            _ => false,
        };
        let period: fn(&Rule) -> Option<Duration> = match (&*facts.event, facts.request) {
            _ if reads => |rule| rule.reads.or(rule.requests).or(rule.sessions),
            (_, Some(_)) => |rule| rule.requests.or(rule.sessions),
            _ => |rule| rule.sessions,
        };
        self.of_session(id, session, period).map(str::to_owned)
    }

    /// The rule by which something of a session is due.
    fn of_session(
        &mut self,
        id: SessionId,
        session: &Session,
        period: impl Fn(&Rule) -> Option<Duration>,
    ) -> Option<&'a str> {
        let rule = self.rules.of(&session.connection)?;
        if !self.is_over(session.ended?, period(rule)?) {
            return None;
        }
        match self.holds.iter().position(|hold| hold.holds(id, session)) {
            Some(hold) => {
                self.held.entry(hold).or_default().0.insert(id);
                None
            }
            None => Some(&rule.name),
        }
    }

    /// The same of a session whose beginning is gone: it was removed, so that its time is over, or is damaged.
    fn of_unknown(&self, id: SessionId, at: Timestamp) -> Option<String> {
        let periods = self.rules.rules.iter().map(|rule| rule.sessions);
        let longest = periods.collect::<Option<Vec<_>>>()?.into_iter().max()?;
        let held =
            self.holds.iter().any(|hold| hold.sessions.contains(&id) || hold.may_be_about(at));
        (self.is_over(at, longest) && !held).then(|| "sessions".to_owned())
    }

    /// The same of what belongs to no session.
    fn of_none(&mut self, at: Timestamp) -> Option<String> {
        if !self.is_over(at, self.rules.events?) {
            return None;
        }
        match self.holds.iter().position(|hold| hold.may_be_about(at)) {
            Some(hold) => {
                self.held.entry(hold).or_default().1 += 1;
                None
            }
            None => Some("events".to_owned()),
        }
    }

    fn counted(self) -> impl Iterator<Item = (String, u64)> {
        let name = |hold: usize| self.holds.get(hold).map(|hold| hold.name.clone());
        self.held.into_iter().filter_map(move |(hold, (sessions, entries))| {
            Some((name(hold)?, sessions.len() as u64 + entries))
        })
    }
}

impl Ledger {
    /// Removes a recording, once the journal says so.
    ///
    /// # Errors
    /// [`LedgerError::Broken`] where the journal does not take it, or what the files say against it.
    pub async fn remove_recording(&self, due: DueRecording) -> Result<(), LedgerError> {
        let (storage, session) = (self.storage(), due.session);
        let digest = match due.digest {
            Some(digest) => digest,
            None => Digest::from_bytes(sha256(b"")),
        };
        let event = Event::RecordingRemoved { recording: session, digest, rule: due.rule };
        self.announce(event).await?;
        let path = self.layout().recordings();
        off_thread(move || storage.discard(session).map_err(LedgerError::io("remove from", &path)))
            .await
    }

    /// Removes the contents of entries, once the journal says so.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] where the segment is not as it has to be, and what the files or the journal say
    /// against it: then everything is as it was, or is gone and is found gone when it is next looked for.
    pub async fn remove_contents(&self, due: DueEntries) -> Result<(), LedgerError> {
        let (layout, storage, segment) = (self.layout(), self.storage(), due.segment);
        let path = layout.segment(segment);
        let gone = due.gone;
        let again = Arc::clone(&storage);
        let spans = off_thread(move || remade(&layout, &*again, segment, &gone)).await?;
        let why = due.why.into_iter().map(|(rule, entries)| Removal { rule, entries }).collect();
        let (entries, digest) = (spans.count(), spans.digest());
        self.announce(Event::ContentsRemoved { segment, entries, digest, why }).await?;
        off_thread(move || storage.swap(segment).map_err(LedgerError::io("replace", &path))).await
    }

    async fn announce(&self, event: Event) -> Result<(), LedgerError> {
        let said = self.append(Entry::outside(now(), event), Durability::Durable).await;
        said.map(drop).map_err(|e| LedgerError::Broken(e.to_string()))
    }
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, LedgerError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(LedgerError::Broken(e.to_string())))
}

/// Writes a segment anew, without the contents of these entries; which ones say nothing more then.
fn remade(
    layout: &Layout,
    storage: &dyn Storage,
    segment: u64,
    gone: &[u64],
) -> Result<Spans, LedgerError> {
    let path = layout.segment(segment);
    let journal = layout.journal();
    let (listed, _) = segments::list(&journal).map_err(LedgerError::io("list", &journal))?;
    let next = listed.iter().map(|one| one.first).find(|first| *first > segment);
    let signed = tiles::newest(layout).map_err(LedgerError::io("read", &layout.head()))?.1;
    let Some(end) = next.filter(|end| *end <= signed) else {
        return Err(LedgerError::damaged(
            &path,
            0,
            "it is written to, or no signed head covers it",
        ));
    };
    let file = layout.open(&path).map_err(LedgerError::io("open", &path))?;
    let new = storage.remake(segment).map_err(LedgerError::io("write anew", &path))?;
    let (gone, removed) = (gone.iter().copied().peekable(), 0);
    let mut remaking = Remaking { path: &path, new, runs: None, gone, removed, out: Vec::new() };
    let wanted = remaking.gone.len();
    let mut lines = Lines::new(file);
    let mut buffer = Vec::new();
    let reached = loop {
        match lines.next(&mut buffer).map_err(LedgerError::io("read", &path))? {
            Read::Line => remaking.line(segment, lines.number, &buffer)?,
            Read::End => break remaking.next(segment),
            Read::Torn | Read::TooLong => {
                return Err(LedgerError::damaged(&path, lines.number, "this is no journal line"));
            }
        }
    };
    if reached != end || remaking.removed != wanted {
        return Err(LedgerError::damaged(&path, 0, "it does not hold the entries that it has to"));
    }
    remaking.finish()
}

/// A segment that is being written anew.
struct Remaking<'a, G: Iterator<Item = u64>> {
    path: &'a Path,
    new: Box<dyn RecordingFile>,
    /// With the chain as far as it was read; `None` before the first line.
    runs: Option<Runs>,
    gone: std::iter::Peekable<G>,
    removed: usize,
    out: Vec<u8>,
}

impl<G: Iterator<Item = u64>> Remaking<'_, G> {
    /// The number of the next entry.
    fn next(&self, segment: u64) -> u64 {
        self.runs.as_ref().map_or(segment, |runs| runs.chain().size)
    }

    fn line(&mut self, segment: u64, number: u64, line: &[u8]) -> Result<(), LedgerError> {
        let damaged = |why: &str| LedgerError::damaged(self.path, number, why);
        let run = Run::parse(line);
        let parsed = Line::parse(line);
        let prev = run.as_ref().map(|run| run.prev).or(parsed.as_ref().map(|line| line.prev));
        let begin = Chain { size: segment, last: prev.unwrap_or_default() };
        let runs = self.runs.get_or_insert_with(|| Runs::from(begin));
        if let Some(run) = run {
            if (run.first, run.prev) != (runs.chain().size, runs.chain().last) {
                return Err(damaged("the entries that it stands for do not belong here"));
            }
            run.hashes.iter().for_each(|hash| runs.remove(*hash, &mut self.out));
        } else {
            let line_ = runs.chain().follow(line).map_err(damaged)?;
            if self.gone.next_if_eq(&line_.sequence).is_some() {
                let told: Told<'_> = serde_json::from_slice(line_.entry)
                    .map_err(|e| damaged(&format!("the entry cannot be read: {e}")))?;
                if is_kept(&told.event) {
                    return Err(damaged("what says what was removed is never removed"));
                }
                runs.remove(line_.hash, &mut self.out);
                self.removed += 1;
            } else {
                runs.retain(line_.hash, line, &mut self.out);
            }
        }
        if self.out.len() >= CHUNK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), LedgerError> {
        self.new.write(&self.out).map_err(LedgerError::io("write anew", self.path))?;
        self.out.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Spans, LedgerError> {
        let Some(mut runs) = self.runs.take() else { return Ok(Spans::default()) };
        runs.close(&mut self.out);
        self.flush()?;
        self.new.sync().map_err(LedgerError::io("sync", self.path))?;
        Ok(runs.into_spans())
    }
}

#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
}
