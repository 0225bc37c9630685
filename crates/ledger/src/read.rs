//! Reading the ledger back for people: entries, sessions, and a session's timeline. Beside the
//! life of a request: afterwards, also while a gateway is writing.
//!
//! Reading does not verify; [`crate::verify::verify`] does.

use crate::chain::Line;
use crate::layout::Layout;
use crate::played::{Reached, Recorded, RecordedEvents, Wholeness};
use crate::recording::RecordedEvent;
use crate::removed::Run;
use crate::segments::{self, Lines, Read, Segment};
use crate::visible::{escape, rfc3339};
use portcullis_age::Identity;
use portcullis_core::id::{RequestId, ReviewId, SessionId};
use portcullis_core::journal::{Entry, Event};
use portcullis_core::principal::Principal;
use portcullis_core::time::Timestamp;
use portcullis_core::verdict::ConnectionFacts;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The ledger cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system refused.
    #[error("cannot read {}: {source}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
    /// A line is nothing this version knows.
    #[error("{} line {line}: {detail}; run `portcullis audit verify`", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        detail: String,
    },
    /// An entry is nothing this version knows.
    #[error("entry {sequence} of the journal: {detail}; run `portcullis audit verify`")]
    Entry {
        /// Its number.
        sequence: u64,
        /// What is wrong.
        detail: String,
    },
    /// The journal has no such session.
    #[error("there is no session {0}; `portcullis session list` shows those there are")]
    NoSession(SessionId),
    /// No entry is where one should be.
    #[error("the journal has no entry where one was before: run `portcullis audit verify`")]
    Moved,
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> ReadError {
    let path = path.to_owned();
    move |source| ReadError::Io { path, source }
}

/// The lines of all segments, one after another, in one buffer.
struct RawEntries {
    layout: Layout,
    segments: std::vec::IntoIter<Segment>,
    current: Option<(PathBuf, Lines)>,
    buffer: Vec<u8>,
}

impl RawEntries {
    fn open(dir: &Path) -> Result<Self, ReadError> {
        let layout = Layout::new(dir);
        let journal = layout.journal();
        let (segments, _) = segments::list(&journal).map_err(io_error(&journal))?;
        Ok(Self { layout, segments: segments.into_iter(), current: None, buffer: Vec::new() })
    }

    /// The next entry as `take` reads it; `None` at the end, or where `take` passes it over.
    fn next_with<T>(
        &mut self,
        take: impl FnOnce(u64, &[u8]) -> Result<T, String>,
    ) -> Option<Result<T, ReadError>> {
        loop {
            if self.current.is_none() {
                let path = self.segments.next()?.path;
                match self.layout.open(&path) {
                    Ok(file) => self.current = Some((path, Lines::new(file))),
                    Err(e) => return Some(Err(io_error(&path)(e))),
                }
            }
            let (path, lines) = self.current.as_mut()?;
            match lines.next(&mut self.buffer) {
                Ok(Read::Line) => {
                    let unreadable = |detail: String| {
                        let (file, line) = (path.clone(), lines.number);
                        ReadError::Unreadable { file, line, detail }
                    };
                    let Some(line) = Line::parse(&self.buffer) else {
                        if Run::parse(&self.buffer).is_some() {
                            continue;
                        }
                        return Some(Err(unreadable("this is not a journal line".to_owned())));
                    };
                    return Some(take(line.sequence, line.entry).map_err(unreadable));
                }
                // What stands behind it would be left out without a word.
                Ok(Read::TooLong) => {
                    let (file, line) = (path.clone(), lines.number);
                    let detail = "no entry is this long".to_owned();
                    self.current = None;
                    return Some(Err(ReadError::Unreadable { file, line, detail }));
                }
                // An unfinished line is being written, or will be cut on recovery.
                Ok(Read::Torn | Read::End) => self.current = None,
                Err(e) => return Some(Err(io_error(path)(e))),
            }
        }
    }
}

/// Entries of the journal in order, with their numbers. Streams: one entry is in memory at a time.
pub struct Entries(RawEntries);

impl Iterator for Entries {
    type Item = Result<(u64, Entry), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_with(|sequence, json| Ok((sequence, parse(json)?)))
    }
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(json).map_err(|e| format!("the entry cannot be read: {e}"))
}

/// The entries of the journal of the ledger in `dir`.
///
/// # Errors
/// [`ReadError::Io`] where the directory cannot be listed.
pub fn entries(dir: &Path) -> Result<Entries, ReadError> {
    RawEntries::open(dir).map(Entries)
}

/// How a session stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// It has not been closed.
    Open,
    /// It was closed, for this reason.
    Closed(String),
    /// Its log-in was refused, with this message.
    Refused(String),
}

/// One session in a list.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SessionSummary {
    /// Its id.
    pub session: SessionId,
    /// Who; `None` for a refused log-in, of whom only `subject` is known.
    pub principal: Option<Principal>,
    /// The subject of who asked.
    pub subject: String,
    /// The connection's facts; `None` for a refused log-in.
    pub connection_facts: Option<ConnectionFacts>,
    /// The connection's name.
    pub connection: String,
    /// The client's address.
    pub peer: String,
    /// When it was opened (or refused).
    pub opened: Timestamp,
    /// When it was closed.
    pub closed: Option<Timestamp>,
    /// Requests forwarded or refused.
    pub requests: u64,
    /// Requests refused.
    pub refused: u64,
    /// Requests held for review.
    pub held: u64,
    /// Rows returned.
    pub rows: u64,
    /// Values masked.
    pub masked: u64,
    /// How it stands.
    pub state: SessionState,
}

impl fmt::Display for SessionSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            SessionState::Open => "open",
            SessionState::Closed(_) => "closed",
            SessionState::Refused(_) => "refused",
        };
        write!(
            f,
            "{}  {}  {:7}  {} on {}: {} requests, {} refused, {} held, {} rows, {} values masked",
            self.session,
            rfc3339(self.opened),
            state,
            escape(&self.who()),
            escape(&self.connection),
            self.requests,
            self.refused,
            self.held,
            self.rows,
            self.masked
        )
    }
}

impl SessionSummary {
    /// Who, as people read it. Not escaped: see [`crate::visible`].
    #[must_use]
    pub fn who(&self) -> String {
        self.principal.as_ref().map_or_else(|| self.subject.clone(), Principal::to_string)
    }

    fn new(session: SessionId, at: Timestamp, peer: String, connection: String) -> Self {
        Self {
            session,
            principal: None,
            subject: String::new(),
            connection_facts: None,
            connection,
            peer,
            opened: at,
            closed: None,
            requests: 0,
            refused: 0,
            held: 0,
            rows: 0,
            masked: 0,
            state: SessionState::Open,
        }
    }

    fn note(&mut self, at: Timestamp, event: Event) {
        match event {
            Event::Intent { .. } => self.requests += 1,
            Event::Refused { .. } => {
                self.requests += 1;
                self.refused += 1;
            }
            Event::Held { .. } => self.held += 1,
            Event::Outcome { rows, masked, .. } => {
                self.rows = self.rows.saturating_add(rows);
                self.masked = self.masked.saturating_add(masked);
            }
            Event::SessionClosed { reason, .. } => {
                self.closed = Some(at);
                self.state = SessionState::Closed(reason);
            }
            Event::Started { .. }
            | Event::LoginRefused { .. }
            | Event::SessionOpened { .. }
            | Event::Withdrawn { .. }
            | Event::Rehearsed { .. }
            | Event::Unproven { .. }
            | Event::ContentsRemoved { .. }
            | Event::RecordingRemoved { .. }
            | Event::Decided { .. }
            | Event::PatternRevoked { .. }
            | Event::SessionKilled { .. }
            | Event::SessionPaused { .. }
            | Event::SessionResumed { .. }
            | Event::Watched { .. }
            | Event::Frozen { .. }
            | Event::Thawed { .. }
            | Event::AdministrationRefused { .. }
            | Event::DocumentChanged { .. }
            | Event::DocumentsKept { .. }
            | Event::Governed { .. }
            | Event::AccessRequested { .. }
            | Event::AccessEscalated { .. }
            | Event::AccessDecided { .. }
            | Event::AccessBegun { .. }
            | Event::AccessEnded { .. }
            | Event::AccessRefused { .. }
            | Event::CredentialIssued { .. }
            | Event::CredentialRevoked { .. }
            | Event::ExchangeRefused { .. }
            | Event::SignedIn { .. }
            | Event::SignInRefused { .. }
            | Event::SignedOut { .. }
            | Event::PasskeyRegistered { .. }
            | Event::PasskeyRemoved { .. }
            | Event::PasskeyRefused { .. }
            | Event::ReviewMessage { .. }
            | Event::ChatRefused { .. }
            | Event::DecisionRefused { .. } => {}
        }
    }
}

/// Every session of the ledger in `dir`, oldest first, with refused log-ins among them.
///
/// # Errors
/// [`ReadError`].
pub fn sessions(dir: &Path) -> Result<Vec<SessionSummary>, ReadError> {
    let mut found: Vec<SessionSummary> = Vec::new();
    let mut index: HashMap<SessionId, usize> = HashMap::new();
    for entry in entries(dir)? {
        let (_, Entry { at, session, event, .. }) = entry?;
        let Some(session) = session else { continue };
        let summary = match event {
            Event::SessionOpened { standing, peer, .. } => {
                let name = standing.connection.name.clone();
                let mut summary = SessionSummary::new(session, at, peer, name);
                summary.subject.clone_from(&standing.principal.subject);
                summary.principal = Some(standing.principal);
                summary.connection_facts = Some(standing.connection);
                summary
            }
            Event::LoginRefused { principal, peer, connection, refusal } => {
                let mut summary = SessionSummary::new(session, at, peer, connection);
                summary.subject = principal.unwrap_or_default();
                summary.state = SessionState::Refused(refusal.sentence());
                summary
            }
            event => {
                let known = index.get(&session).and_then(|i| found.get_mut(*i));
                if let Some(summary) = known {
                    summary.note(at, event);
                }
                continue;
            }
        };
        index.insert(session, found.len());
        found.push(summary);
    }
    Ok(found)
}

/// One moment of a session.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TimelineItem {
    /// When.
    pub at: Timestamp,
    /// How long after the session was opened.
    pub offset: Duration,
    /// During which request.
    pub request: Option<RequestId>,
    /// What.
    pub moment: Moment,
}

/// What a moment holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// An entry of the journal.
    Entry {
        /// Its number.
        sequence: u64,
        /// What happened.
        event: Box<Event>,
    },
    /// An event of the recording.
    Recorded(RecordedEvent),
}

/// Everything that happened in a session, in order: its entries, the decisions on its reviews
/// (which reviewers make outside it), and the recorded answers, each before its outcome: those that are
/// sealed as far as one of these keys opens them. With how the recording ends.
///
/// # Errors
/// [`ReadError`]; [`ReadError::NoSession`] where the journal does not know it.
pub fn timeline(
    dir: &Path,
    session: SessionId,
    keys: &[Identity],
) -> Result<(Vec<TimelineItem>, Wholeness), ReadError> {
    let own = entries_of(dir, session)?;
    let Some((_, first)) = own.iter().find(|(_, e)| e.session == Some(session)) else {
        return Err(ReadError::NoSession(session));
    };
    let begin = first.at;
    let (mut recorded, mut all) =
        (RecordedEvents::open(dir, session, Reached::default(), keys)?, Vec::new());
    while let Some(event) = recorded.next()? {
        all.push(event);
    }
    Ok((merged(begin, own, all), recorded.ends()))
}

/// Entries of a session in their order, and what was recorded, in one: each answer before its outcome.
#[must_use]
pub fn merged(
    begin: Timestamp,
    own: Vec<(u64, Entry)>,
    mut recorded: Vec<Recorded>,
) -> Vec<TimelineItem> {
    let mut items = Vec::with_capacity(own.len() + recorded.len());
    let mut put = |at: Timestamp, request, moment| {
        items.push(TimelineItem { at, offset: at.since(begin), request, moment });
    };
    for (sequence, Entry { at, request, event, .. }) in own {
        let closing = matches!(event, Event::SessionClosed { .. });
        let outcome = matches!(event, Event::Outcome { .. });
        // What was recorded comes before the outcome of its request; what belongs to none, when
        // it happened; everything before the end.
        recorded.retain(|(when, about, what)| {
            let due = closing
                || (outcome && about.is_some() && *about == request)
                || (about.is_none() && when.is_some_and(|when| when < at));
            if due {
                put(when.unwrap_or(at), *about, Moment::Recorded(what.clone()));
            }
            !due
        });
        put(at, request, Moment::Entry { sequence, event: Box::new(event) });
    }
    for (when, about, what) in recorded {
        put(when.unwrap_or(begin), about, Moment::Recorded(what));
    }
    items
}

/// The file with the recording of a session; `None` where there is none.
///
/// # Errors
/// [`ReadError::Io`] where it cannot be opened.
pub fn recording_of(dir: &Path, session: SessionId) -> Result<Option<PathBuf>, ReadError> {
    Ok(crate::played::find(&Layout::new(dir), session)?.map(|(_, path, _)| path))
}

/// The part of an entry that tells whose it is.
#[derive(Deserialize)]
struct Whose<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    session: Option<Cow<'a, str>>,
    review: Option<ReviewId>,
}

fn entries_of(dir: &Path, session: SessionId) -> Result<Vec<(u64, Entry)>, ReadError> {
    let name = session.to_string();
    let (mut own, mut decisions) = (Vec::new(), Vec::new());
    let mut reviews = BTreeSet::new();
    let mut raw = RawEntries::open(dir)?;
    let mut take = |sequence: u64, json: &[u8]| -> Result<(), String> {
        let whose: Whose<'_> = parse(json)?;
        let decision = matches!(&*whose.event, "decided" | "decision_refused" | "pattern_revoked");
        if whose.session.as_deref() == Some(name.as_str()) {
            let entry: Entry = parse(json)?;
            reviews.extend(whose.review);
            if let Event::Held { ticket, .. } = &entry.event {
                reviews.insert(ticket.review);
            }
            own.push((sequence, entry));
        } else if decision {
            decisions.push((whose.review, sequence, json.to_vec()));
        }
        Ok(())
    };
    while let Some(taken) = raw.next_with(&mut take) {
        taken?;
    }
    for (review, sequence, json) in decisions {
        if review.is_some_and(|r| reviews.contains(&r)) {
            let entry = parse(&json).map_err(|detail| ReadError::Unreadable {
                file: Layout::new(dir).journal(),
                line: 0,
                detail,
            })?;
            own.push((sequence, entry));
        }
    }
    own.sort_by_key(|(sequence, _)| *sequence);
    Ok(own)
}
