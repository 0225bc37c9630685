//! The sessions there are now: who has them, what they do, and the one way to end them from outside.
//! Beside the life of a request, which notes here what it does.
//!
//! What is locked for all sessions is the list of them, when one begins, ends, is listed or killed. A
//! request notes its state and its verdict in atomics of its own session, and its text under a lock
//! that only this session and whoever lists take. An entry is as long as its session, and at most
//! [`MOST_SHOWN`] bytes of the text of each of its last [`MOST_RECENT`] requests are kept in it: what
//! the journal holds of it, with detectors applied.

use crate::disk::Disk;
use crate::metrics::{Counted, Meters};
use portcullis_core::id::{GrantId, SessionId};
use portcullis_core::journal::{
    BeginError, Durability, Entry, Event, Journal, JournalError, NoRoom, Receipt,
};
use portcullis_core::principal::Principal;
use portcullis_core::protocol::Shown;
use portcullis_core::time::Timestamp;
use portcullis_core::verdict::{ConnectionFacts, Standing};
use portcullis_ledger::Ledger;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Bytes that are kept of the text of each of a session's last requests.
const MOST_SHOWN: usize = 512;
/// How many requests of a session are kept.
const MOST_RECENT: usize = 5;

macro_rules! states {
    ($($(#[$doc:meta])* $state:ident = $word:literal),+ $(,)?) => {
        /// What a session does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
        #[schemars(rename = "SessionState")]
        pub(crate) enum State { $($(#[$doc])* #[serde(rename = $word)] $state),+ }
        impl State {
            const ALL: &'static [Self] = &[$(Self::$state),+];
        }
    };
}

states! {
    /// It is known who it is, and no more.
    LogIn = "log-in",
    /// It waits for its client.
    Idle = "idle",
    /// It waits for its client, with a transaction open at the target.
    IdleInTransaction = "idle-in-transaction",
    /// A request is decided on, sent or answered.
    Running = "running",
    /// A request waits for people.
    Held = "held",
    /// A request that waits for people is run for show.
    Rehearsing = "rehearsing",
    /// A request waits because somebody has paused the session.
    Paused = "paused",
    /// It is over but for what has to be written down.
    Ending = "ending",
}

/// Who has ended a session, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Killed {
    /// What the caller is told of who it was.
    pub(crate) by: String,
    /// Why; the caller is told.
    pub(crate) reason: String,
}

impl std::fmt::Display for Killed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ended it: {}", self.by, self.reason)
    }
}

/// Who keeps a session from sending anything more, why, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pause {
    /// What the caller is told of who it was.
    pub(crate) by: String,
    /// Why; the caller is told.
    pub(crate) reason: String,
    /// When it ends by itself, as people are told.
    pub(crate) until: Timestamp,
    /// The same by the clock that goes by for sessions.
    pub(crate) ends: Instant,
    /// How long a request waits for its end before it is refused.
    pub(crate) patience: Duration,
}

impl Pause {
    fn is_on(&self) -> bool {
        Instant::now() < self.ends
    }
}

/// A pause, for people and programs to read.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Pause")]
pub(crate) struct Paused {
    by: String,
    reason: String,
    until: Timestamp,
}

/// How often a session was told what.
#[derive(Debug, Default)]
struct Counts {
    permitted: AtomicU64,
    refused: AtomicU64,
    held: AtomicU64,
    masked: AtomicU64,
}

/// Whose a session is.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) standing: Arc<Standing>,
}

impl Owner {
    /// True for the caller itself, and for the person it acts for.
    pub(crate) fn is(&self, other: &Principal) -> bool {
        other.answers_for(&self.standing.principal)
    }
}

/// One session, as others may know it.
#[derive(Debug)]
struct Live {
    id: SessionId,
    owner: Owner,
    /// The grant it stands on, where its connection takes one.
    grant: OnceLock<GrantId>,
    peer: String,
    since: Timestamp,
    state: AtomicU8,
    counts: Counts,
    /// Its last requests, oldest first.
    recent: Mutex<VecDeque<LastRequest>>,
    killed: watch::Sender<Option<Arc<Killed>>>,
    paused: watch::Sender<Option<Arc<Pause>>>,
}

impl Live {
    fn recent(&self) -> MutexGuard<'_, VecDeque<LastRequest>> {
        // It is shown and nothing else: a panic leaves nothing half written that matters.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pause(&self) -> Option<Arc<Pause>> {
        self.paused.borrow().clone().filter(|pause| pause.is_on())
    }

    fn state(&self) -> State {
        let number = self.state.load(Ordering::Relaxed);
        State::ALL.get(usize::from(number)).copied().unwrap_or(State::Running)
    }

    /// Notes the text of a request on its way to the journal.
    fn show(&self, at: Timestamp, verdict: &'static str, shown: &Shown) {
        let mut recent = self.recent();
        // What was there gives its room.
        let oldest = if recent.len() < MOST_RECENT { None } else { recent.pop_front() };
        let mut text = oldest.map(|request| request.text).unwrap_or_default();
        text.clear();
        for statement in &shown.statements {
            if text.len() >= MOST_SHOWN {
                text.push('…');
                break;
            }
            if !text.is_empty() {
                text.push('\n');
            }
            let room = MOST_SHOWN.saturating_sub(text.len());
            if statement.len() > room {
                text.push_str(statement.get(..statement.floor_char_boundary(room)).unwrap_or(""));
                text.push('…');
                break;
            }
            text.push_str(statement);
        }
        recent.push_back(LastRequest { at, verdict, text });
    }

    fn verdicts(&self) -> Verdicts {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Verdicts {
            permitted: count(&self.counts.permitted),
            refused: count(&self.counts.refused),
            held: count(&self.counts.held),
            masked: count(&self.counts.masked),
        }
    }

    fn summary(&self) -> LiveSession {
        let last = self.recent().back().cloned();
        let principal = &self.owner.standing.principal;
        LiveSession {
            id: self.id,
            who: principal.to_string(),
            principal: Who::of(principal),
            connection: self.owner.standing.connection.clone(),
            grant: self.grant.get().copied(),
            peer: self.peer.clone(),
            since: self.since,
            state: self.state(),
            killed: self.killed.borrow().is_some(),
            paused: self.pause().map(|pause| Paused {
                by: pause.by.clone(),
                reason: pause.reason.clone(),
                until: pause.until,
            }),
            last,
            verdicts: self.verdicts(),
        }
    }
}

/// A session there is, for people and programs to read. Texts in it are the caller's.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct LiveSession {
    pub(crate) id: SessionId,
    /// The caller, and for whom it acts.
    pub(crate) who: String,
    principal: Who,
    connection: ConnectionFacts,
    /// The grant it stands on.
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<GrantId>,
    /// The client's address.
    peer: String,
    /// When it began.
    pub(crate) since: Timestamp,
    state: State,
    /// Somebody has ended it, and it is not over yet.
    killed: bool,
    /// Somebody keeps it from sending anything more.
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<Paused>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<LastRequest>,
    verdicts: Verdicts,
}

impl LiveSession {
    /// The id of the token it came in with.
    pub(crate) fn credential(&self) -> Option<&str> {
        self.principal.credential.as_deref()
    }
}

/// The caller of a session.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "SessionCaller")]
pub(crate) struct Who {
    kind: String,
    name: String,
    subject: String,
    issuer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    acting_for: Option<String>,
    /// Who vouches for whom it acts for, where that is another issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    acting_for_issuer: Option<String>,
    /// The id of the token it came in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
    expires: Timestamp,
}

impl Who {
    pub(crate) fn of(principal: &Principal) -> Self {
        Self {
            kind: principal.kind.entity_type().to_lowercase(),
            name: principal.name.clone(),
            subject: principal.subject.clone(),
            issuer: principal.issuer.clone(),
            acting_for: principal.acting_for.clone(),
            acting_for_issuer: principal.acting_for_issuer.clone(),
            credential: principal.token_id.clone(),
            expires: principal.expires,
        }
    }
}

/// A request of a session, as the journal has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct LastRequest {
    at: Timestamp,
    verdict: &'static str,
    text: String,
}

/// What has happened in a session so far.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct SoFar {
    pub(crate) since: Timestamp,
    pub(crate) state: State,
    pub(crate) verdicts: Verdicts,
    /// Its last requests, oldest first.
    pub(crate) recent: Vec<LastRequest>,
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(crate) struct Verdicts {
    permitted: u64,
    refused: u64,
    held: u64,
    /// Values that were masked.
    masked: u64,
}

/// All sessions there are. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sessions {
    live: Arc<Mutex<HashMap<SessionId, Arc<Live>>>>,
}

impl Sessions {
    fn live(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Live>>> {
        // The map is whole after every operation on it.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a session that begins. It is listed for as long as what is given lives.
    pub(crate) fn enter(
        &self,
        id: SessionId,
        owner: Owner,
        peer: String,
        since: Timestamp,
    ) -> Entered {
        let (killed, told) = watch::channel(None);
        let live = Arc::new(Live {
            id,
            owner,
            grant: OnceLock::new(),
            peer,
            since,
            state: AtomicU8::new(State::LogIn as u8),
            counts: Counts::default(),
            recent: Mutex::default(),
            killed,
            paused: watch::Sender::new(None),
        });
        self.live().insert(id, Arc::clone(&live));
        Entered { sessions: self.clone(), live, told }
    }

    /// The sessions of which `who` says so, oldest first.
    pub(crate) fn list(&self, whose: impl Fn(&Owner) -> bool) -> Vec<LiveSession> {
        let found: Vec<_> = self.live().values().filter(|l| whose(&l.owner)).cloned().collect();
        let mut found: Vec<_> = found.iter().map(|live| live.summary()).collect();
        found.sort_by_key(|session| (session.since, session.id));
        found
    }

    /// How many sessions there are of each connection, and of how many of them `which` says so.
    pub(crate) fn tally(&self, which: impl Fn(State) -> bool) -> BTreeMap<String, (u64, u64)> {
        let mut tally: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for live in self.live().values() {
            let counts = tally.entry(live.owner.standing.connection.name.clone()).or_default();
            counts.0 += 1;
            counts.1 += u64::from(which(live.state()));
        }
        tally
    }

    /// Whose a session is; `None` where it is over.
    pub(crate) fn owner(&self, session: SessionId) -> Option<Owner> {
        self.live().get(&session).map(|live| live.owner.clone())
    }

    /// Keeps a session from sending anything more, until the pause ends or is taken back; in the place of
    /// the one there may be. What it has sent goes on. `None` where it is over.
    pub(crate) fn pause(&self, session: SessionId, pause: Arc<Pause>) -> Option<LiveSession> {
        let live = self.live().get(&session).cloned()?;
        live.paused.send_replace(Some(pause));
        Some(live.summary())
    }

    /// By which pause a session is kept, if by one.
    pub(crate) fn pause_of(&self, session: SessionId) -> Option<Arc<Pause>> {
        self.live().get(&session)?.pause()
    }

    /// Ends this pause, and no other that has taken its place. `None` where the session is over; whether
    /// it was ended is said beside.
    pub(crate) fn resume(
        &self,
        session: SessionId,
        from: &Arc<Pause>,
    ) -> Option<(LiveSession, bool)> {
        let live = self.live().get(&session).cloned()?;
        let ended = live.paused.send_if_modified(|pause| {
            let is_it = pause.as_ref().is_some_and(|pause| Arc::ptr_eq(pause, from));
            if is_it {
                *pause = None;
            }
            is_it
        });
        Some((live.summary(), ended))
    }

    /// Whether there is such a session.
    pub(crate) fn is_there(&self, session: SessionId) -> bool {
        self.live().contains_key(&session)
    }

    /// What has happened in a session so far; `None` where it is over.
    pub(crate) fn so_far(&self, id: SessionId) -> Option<SoFar> {
        let live = self.live().get(&id).cloned()?;
        let recent = live.recent().iter().cloned().collect();
        let (since, state) = (live.since, live.state());
        Some(SoFar { since, state, verdicts: live.verdicts(), recent })
    }

    /// Ends the sessions of which `which` says so, and tells their clients who did and why. They are
    /// over within two seconds, whatever they do. `note` is called for each right before, and keeps
    /// none from ending. A session that somebody has ended already is ended by that.
    ///
    /// Whatever takes a right away (a credential that is revoked, a grant that ends) says by the
    /// principal, with its issuer and [`Principal::token_id`], whose sessions these are. Sessions that
    /// enter later are not meant: it takes the right away first, and a log-in asks for it once more
    /// after it has entered.
    pub(crate) fn end(
        &self,
        which: impl Fn(SessionId, &Owner) -> bool,
        killed: &Killed,
        note: impl FnMut(SessionId),
    ) -> Ending {
        self.end_those(|live| which(live.id, &live.owner), killed, note)
    }

    /// As [`Sessions::end`], those that stand on this grant.
    pub(crate) fn end_on(
        &self,
        grant: GrantId,
        killed: &Killed,
        note: impl FnMut(SessionId),
    ) -> Ending {
        self.end_those(|live| live.grant.get() == Some(&grant), killed, note)
    }

    fn end_those(
        &self,
        which: impl Fn(&Live) -> bool,
        killed: &Killed,
        mut note: impl FnMut(SessionId),
    ) -> Ending {
        let chosen = |live: &&Arc<Live>| which(live);
        let found: Vec<_> = self.live().values().filter(chosen).cloned().collect();
        let why = Arc::new(killed.clone());
        for live in &found {
            note(live.id);
            live.killed.send_if_modified(|state| {
                let first = state.is_none();
                state.get_or_insert_with(|| Arc::clone(&why));
                first
            });
        }
        Ending { found }
    }
}

/// Sessions that were told to end.
#[must_use = "whoever ends sessions tells which"]
pub(crate) struct Ending {
    found: Vec<Arc<Live>>,
}

impl Ending {
    /// Waits until all of them are over, or for so long; and says of each whether it is.
    pub(crate) async fn over(&self, patience: Duration) -> Vec<(LiveSession, bool)> {
        let all = async {
            for live in &self.found {
                live.killed.closed().await;
            }
        };
        // What is not over by then is told.
        let _ = tokio::time::timeout(patience, all).await;
        let over = |live: &Arc<Live>| (live.summary(), live.killed.is_closed());
        self.found.iter().map(over).collect()
    }
}

/// A session's place in the list, and how the session itself speaks there. The session is not listed
/// any more once this is dropped.
#[derive(Debug)]
pub(crate) struct Entered {
    sessions: Sessions,
    live: Arc<Live>,
    told: watch::Receiver<Option<Arc<Killed>>>,
}

impl Entered {
    /// The session's id.
    pub(crate) fn id(&self) -> SessionId {
        self.live.id
    }

    /// The session stands on this grant: when it ends, so does the session.
    pub(crate) fn stands_on(&self, grant: GrantId) {
        // A session asks for its right once.
        let _ = self.live.grant.set(grant);
    }

    /// The session does this now.
    pub(crate) fn is(&self, state: State) {
        self.live.state.store(state as u8, Ordering::Relaxed);
    }

    /// Resolves when somebody has ended the session. Each is on its own, and stays resolved.
    pub(crate) fn killed(&self) -> KilledFuture {
        let mut told = self.told.clone();
        Box::pin(async move {
            match told.wait_for(Option::is_some).await.map(|killed| killed.clone()) {
                Ok(Some(killed)) => killed,
                // Nobody is left who could.
                Ok(None) | Err(_) => std::future::pending().await,
            }
        })
    }

    /// How the session has been ended by now, where it has.
    pub(crate) fn is_killed(&self) -> Option<Arc<Killed>> {
        self.told.borrow().clone()
    }

    /// By which pause the session may send nothing now.
    pub(crate) fn paused(&self) -> Option<Arc<Pause>> {
        self.live.pause()
    }

    /// Tells of pauses that begin or are taken back.
    pub(crate) fn pauses(&self) -> watch::Receiver<Option<Arc<Pause>>> {
        self.live.paused.subscribe()
    }

    /// A journal that tells the list what is recorded of this session, and counts it.
    pub(crate) fn noting(&self, ledger: Ledger, meters: Arc<Meters>, disk: Arc<Disk>) -> Noting {
        Noting { live: Arc::clone(&self.live), ledger, meters, disk }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.sessions.live().remove(&self.live.id);
    }
}

/// Told of the end of a session.
pub(crate) type KilledFuture = Pin<Box<dyn Future<Output = Arc<Killed>> + Send + Sync>>;

/// The journal of one session, which notes in the list of sessions what goes into it, and nothing else:
/// texts in entries have passed the detectors. It counts what it is given, and takes nothing that begins
/// where there is no room for it on the disk.
#[derive(Clone)]
pub(crate) struct Noting {
    live: Arc<Live>,
    ledger: Ledger,
    meters: Arc<Meters>,
    disk: Arc<Disk>,
}

impl Noting {
    /// What is counted of its connection.
    pub(crate) fn meters(&self) -> &Meters {
        &self.meters
    }

    fn note_event(&self, entry: &Entry) {
        let counts = &self.live.counts;
        let (count, more) = match &entry.event {
            Event::Intent { of_gateway: true, .. } => return,
            Event::Intent { shown, .. } => {
                self.live.show(entry.at, "permitted", shown);
                (&counts.permitted, 1)
            }
            Event::Refused { shown, .. } => {
                self.live.show(entry.at, "refused", shown);
                (&counts.refused, 1)
            }
            Event::Held { shown, .. } => {
                self.live.show(entry.at, "held", shown);
                (&counts.held, 1)
            }
            Event::Outcome { status, rows, masked, micros, .. } => {
                self.meters.ended(*status, (*rows, *masked), *micros);
                (&counts.masked, *masked)
            }
            _ => return,
        };
        count.fetch_add(more, Ordering::Relaxed);
    }
}

impl Journal for Noting {
    fn append(
        &self,
        entry: Entry,
        durability: Durability,
    ) -> impl Future<Output = Result<Receipt, JournalError>> + Send {
        self.note_event(&entry);
        let counted = Counted::of(&entry.event);
        let appended = self.ledger.append(entry, durability);
        async move {
            let appended = appended.await;
            self.meters.recorded(counted, &appended);
            appended
        }
    }

    fn room(&self) -> Result<(), NoRoom> {
        if self.disk.is_full() { Err(NoRoom) } else { Ok(()) }
    }

    async fn begin(&self, entry: Entry, durability: Durability) -> Result<Receipt, BeginError> {
        if let Err(full) = self.room() {
            self.meters.unbegun(Counted::of(&entry.event));
            return Err(full.into());
        }
        Ok(self.append(entry, durability).await?)
    }

    fn note(&self, entry: Entry) -> Result<(), JournalError> {
        self.note_event(&entry);
        self.ledger.note(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_core::principal::PrincipalKind;
    use portcullis_core::protocol::ProtocolKind;
    use std::collections::BTreeSet;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn standing(subject: &str, token: &str) -> Arc<Standing> {
        let principal = Principal {
            kind: PrincipalKind::Agent,
            subject: subject.to_owned(),
            name: subject.to_owned(),
            issuer: "https://issuer".to_owned(),
            acting_for: Some("ana".to_owned()),
            acting_for_issuer: None,
            email: None,
            groups: BTreeSet::new(),
            token_id: Some(token.to_owned()),
            expires: Timestamp::from_micros(i64::MAX),
        };
        let connection = ConnectionFacts {
            name: "shop".to_owned(),
            environment: "test".to_owned(),
            protocol: ProtocolKind::Postgres,
            database: "shop".to_owned(),
            role: "app".to_owned(),
        };
        Arc::new(Standing { principal, connection })
    }

    fn enter(sessions: &Sessions, number: u64, subject: &str, token: &str) -> Entered {
        let (id, at) = (SessionId::from_bits(number), Timestamp::from_micros(number.cast_signed()));
        let owner = Owner { standing: standing(subject, token) };
        sessions.enter(id, owner, "peer".to_owned(), at)
    }

    fn killed(by: &str) -> Killed {
        Killed { by: by.to_owned(), reason: "it runs amok".to_owned() }
    }

    fn is_ready(told: &mut KilledFuture) -> bool {
        pin!(told).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_session_is_listed_for_as_long_as_it_lives() {
        let sessions = Sessions::default();
        let one = enter(&sessions, 2, "claude", "t1");
        let two = enter(&sessions, 1, "other", "t2");
        let listed = |sessions: &Sessions| -> Vec<String> {
            sessions.list(|_| true).into_iter().map(|s| s.principal.subject).collect()
        };
        assert_eq!(listed(&sessions), ["other", "claude"], "oldest first");
        assert_eq!(sessions.list(|o| o.standing.principal.subject == "claude").len(), 1);
        one.is(State::Held);
        assert_eq!(
            sessions.list(|o| o.standing.principal.subject == "claude")[0].state,
            State::Held
        );
        drop(two);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _moved = one;
            panic!("a session fails");
        }));
        assert!(panicked.is_err());
        assert!(listed(&sessions).is_empty(), "it goes with its session, however that ends");
    }

    #[test]
    fn a_session_is_ended_once_by_who_was_first() {
        let sessions = Sessions::default();
        let (one, two) = (enter(&sessions, 1, "claude", "t1"), enter(&sessions, 2, "claude", "t2"));
        let mut told = one.killed();
        assert!(!is_ready(&mut told) && one.is_killed().is_none());
        // As whoever revokes a credential chooses.
        let mut noted = Vec::new();
        let which = |_, o: &Owner| o.standing.principal.token_id.as_deref() == Some("t1");
        let ending = sessions.end(which, &killed("bo"), |id| noted.push(id));
        assert_eq!((ending.found.len(), noted.len()), (1, 1));
        assert!(is_ready(&mut told));
        let _ = sessions.end(|_, _| true, &killed("mia"), |_| {});
        assert_eq!(one.is_killed().unwrap().by, "bo", "the first reason stands");
        assert_eq!(two.is_killed().unwrap().by, "mia");
        assert!(is_ready(&mut two.killed()), "whoever asks later hears of it as well");
    }

    #[test]
    fn a_grant_ends_the_sessions_that_stand_on_it() {
        let sessions = Sessions::default();
        let [one, two, three] = [1, 2, 3].map(|n| enter(&sessions, n, "claude", "t1"));
        let [ends, stays] = [7, 8].map(GrantId::from_bits);
        one.stands_on(ends);
        two.stands_on(stays);
        let ending = sessions.end_on(ends, &killed("bo"), |_| {});
        assert_eq!(ending.found.len(), 1);
        assert!(one.is_killed().is_some());
        assert!(two.is_killed().is_none() && three.is_killed().is_none());
    }

    #[tokio::test]
    async fn it_is_told_when_a_session_is_over() {
        let sessions = Sessions::default();
        let (one, two) = (enter(&sessions, 1, "claude", "t1"), enter(&sessions, 2, "claude", "t2"));
        let ending = sessions.end(|_, _| true, &killed("bo"), |_| {});
        let told = two.killed();
        drop((one, two));
        let over = ending.over(Duration::from_millis(10)).await;
        let mut over: Vec<_> = over.iter().map(|(s, over)| (s.id, *over)).collect();
        over.sort();
        assert_eq!(over, [(SessionId::from_bits(1), true), (SessionId::from_bits(2), false)]);
        drop(told);
        assert!(ending.over(Duration::ZERO).await.iter().all(|(_, over)| *over));
    }

    #[test]
    fn what_is_kept_of_a_text_is_bounded() {
        let sessions = Sessions::default();
        let one = enter(&sessions, 1, "claude", "t1");
        let shown = |statements: &[&str]| Shown {
            statements: statements.iter().map(|&s| s.to_owned()).collect(),
            ..Shown::default()
        };
        let text = |statements: &[&str]| {
            one.live.show(Timestamp::from_micros(1), "held", &shown(statements));
            let text = one.live.recent().back().unwrap().text.clone();
            assert!(text.len() <= MOST_SHOWN + '…'.len_utf8());
            text
        };
        assert_eq!(text(&["SELECT 1", "SELECT 2"]), "SELECT 1\nSELECT 2");
        let long = text(&[&"é".repeat(MOST_SHOWN), "SELECT 2"]);
        assert!(long.ends_with("é…"), "{long}");
        let many = text(&vec!["SELECT 1"; 1000]);
        assert!(many.starts_with("SELECT 1\n") && many.ends_with('…'), "{many}");
    }

    #[test]
    fn states_have_the_numbers_of_their_places() {
        for (number, state) in State::ALL.iter().enumerate() {
            assert_eq!(*state as usize, number);
        }
    }

    #[test]
    fn polling_twice_is_no_mistake() {
        let sessions = Sessions::default();
        let one = enter(&sessions, 1, "claude", "t1");
        let mut told = one.killed();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(told.as_mut().poll(&mut cx), Poll::Pending));
        assert!(matches!(told.as_mut().poll(&mut cx), Poll::Pending));
    }
}
