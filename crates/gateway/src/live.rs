//! The sessions there are now: who has them, what they do, and the one way to end them from outside.
//! Beside the life of a request, which notes here what it does.
//!
//! What is locked for all sessions is the list of them, when one begins, ends, is listed or killed. A
//! request notes its state and its verdict in atomics of its own session, and its text under a lock
//! that only this session and whoever lists take. An entry is as long as its session, and at most
//! [`MOST_SHOWN`] bytes of a request's text are kept in it: what the journal holds of it, with
//! detectors applied.

use portcullis_core::id::SessionId;
use portcullis_core::journal::{Durability, Entry, Event, Journal, JournalError, Receipt};
use portcullis_core::principal::{Actor, Principal};
use portcullis_core::protocol::Shown;
use portcullis_core::time::Timestamp;
use portcullis_core::verdict::{ConnectionFacts, Standing};
use portcullis_ledger::Ledger;
use serde::Serialize;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Bytes that are kept of the text of a session's last request.
const MOST_SHOWN: usize = 512;

macro_rules! states {
    ($($(#[$doc:meta])* $state:ident = $word:literal),+ $(,)?) => {
        /// What a session does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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

/// How often a session was told what.
#[derive(Debug, Default)]
struct Counts {
    permitted: AtomicU64,
    refused: AtomicU64,
    held: AtomicU64,
    masked: AtomicU64,
}

/// The last request of a session.
#[derive(Debug, Clone, Default)]
struct Last {
    at: Option<Timestamp>,
    verdict: &'static str,
    text: String,
}

/// Whose a session is.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) standing: Arc<Standing>,
    /// Whom its caller acts for, where that is known with its issuer.
    pub(crate) person: Option<Actor>,
}

impl Owner {
    /// True for the caller itself, and for the person it acts for.
    pub(crate) fn is(&self, other: &Principal) -> bool {
        other.answers_for(&self.standing.principal, self.person.as_ref())
    }
}

/// One session, as others may know it.
#[derive(Debug)]
struct Live {
    id: SessionId,
    owner: Owner,
    peer: String,
    since: Timestamp,
    state: AtomicU8,
    counts: Counts,
    last: Mutex<Last>,
    killed: watch::Sender<Option<Arc<Killed>>>,
}

impl Live {
    fn last(&self) -> MutexGuard<'_, Last> {
        // It is shown and nothing else: a panic leaves nothing half written that matters.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> State {
        let number = self.state.load(Ordering::Relaxed);
        State::ALL.get(usize::from(number)).copied().unwrap_or(State::Running)
    }

    /// Notes the text of a request on its way to the journal.
    fn show(&self, at: Timestamp, verdict: &'static str, shown: &Shown) {
        let mut last = self.last();
        (last.at, last.verdict) = (Some(at), verdict);
        // What was there gives its room.
        last.text.clear();
        for statement in &shown.statements {
            if last.text.len() >= MOST_SHOWN {
                last.text.push('…');
                break;
            }
            if !last.text.is_empty() {
                last.text.push('\n');
            }
            let room = MOST_SHOWN.saturating_sub(last.text.len());
            if statement.len() > room {
                last.text
                    .push_str(statement.get(..statement.floor_char_boundary(room)).unwrap_or(""));
                last.text.push('…');
                break;
            }
            last.text.push_str(statement);
        }
    }

    fn summary(&self) -> LiveSession {
        let last = self.last().clone();
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let principal = &self.owner.standing.principal;
        LiveSession {
            id: self.id,
            who: principal.to_string(),
            principal: Who {
                kind: principal.kind.entity_type().to_lowercase(),
                name: principal.name.clone(),
                subject: principal.subject.clone(),
                issuer: principal.issuer.clone(),
                acting_for: principal.acting_for.clone(),
                credential: principal.token_id.clone(),
                expires: principal.expires,
            },
            connection: self.owner.standing.connection.clone(),
            peer: self.peer.clone(),
            since: self.since,
            state: self.state(),
            killed: self.killed.borrow().is_some(),
            last: last.at.map(|at| LastRequest { at, verdict: last.verdict, text: last.text }),
            verdicts: Verdicts {
                permitted: count(&self.counts.permitted),
                refused: count(&self.counts.refused),
                held: count(&self.counts.held),
                masked: count(&self.counts.masked),
            },
        }
    }
}

/// A session there is, for people and programs to read. Texts in it are the caller's.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LiveSession {
    pub(crate) id: SessionId,
    /// The caller, and for whom it acts.
    pub(crate) who: String,
    principal: Who,
    connection: ConnectionFacts,
    /// The client's address.
    peer: String,
    since: Timestamp,
    state: State,
    /// Somebody has ended it, and it is not over yet.
    killed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<LastRequest>,
    verdicts: Verdicts,
}

/// The caller of a session.
#[derive(Debug, Clone, Serialize)]
struct Who {
    kind: String,
    name: String,
    subject: String,
    issuer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    acting_for: Option<String>,
    /// The id of the token it came in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
    expires: Timestamp,
}

#[derive(Debug, Clone, Serialize)]
struct LastRequest {
    at: Timestamp,
    verdict: &'static str,
    text: String,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Verdicts {
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
            peer,
            since,
            state: AtomicU8::new(State::LogIn as u8),
            counts: Counts::default(),
            last: Mutex::default(),
            killed,
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
        mut note: impl FnMut(SessionId),
    ) -> Ending {
        let chosen = |live: &&Arc<Live>| which(live.id, &live.owner);
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

    /// A journal that tells the list what is recorded of this session.
    pub(crate) fn noting(&self, ledger: Ledger) -> Noting {
        Noting { live: Arc::clone(&self.live), ledger }
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
/// texts in entries have passed the detectors.
#[derive(Debug, Clone)]
pub(crate) struct Noting {
    live: Arc<Live>,
    ledger: Ledger,
}

impl Noting {
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
            Event::Outcome { masked, .. } => (&counts.masked, *masked),
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
        self.ledger.append(entry, durability)
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
        let owner = Owner { standing: standing(subject, token), person: None };
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
            let text = one.live.last().text.clone();
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
