//! The desk of grants: access that people give for a time, from the request to its end, which ends the
//! sessions that stand on it. Before the gate, at every log-in to a connection that takes one.
//!
//! The store says what stands. A session gets a [`Tenure`], which all of a grant's sessions share with this
//! desk, and which its gate looks at for every request: it is over by itself, or is ended here. The store is
//! read again every second and whenever another gateway tells of a change, so that what that has ended ends
//! here; where it does not answer in time, sessions that stand on a grant do nothing.
//!
//! Nothing is in force that the journal does not have: what becomes of a grant is in the store as not
//! recorded first, and what was left so is recorded by whoever looks ([`GrantDesk::settle`]).

use crate::access::AccessSettings;
use crate::live::{Entered, Killed, Sessions};
use crate::moment::{now, random};
use crate::rate::Rates;
use portcullis_core::access::{AccessAsk, Ending, Entitlement, Tenure};
use portcullis_core::id::{CredentialId, DecisionId, GrantId, SessionId};
use portcullis_core::journal::{Durability, Entry, Event, Journal as _, JournalError};
use portcullis_core::principal::{By, Principal, Reviewer};
use portcullis_core::refusal::{Refusal, RefusalClass, Retry, rule};
use portcullis_core::time::Timestamp;
use portcullis_core::verdict::Standing;
use portcullis_ledger::Ledger;
use portcullis_mask::Detectors;
use portcullis_store::{
    End, Filed, GrantError, GrantRow, GrantStatus, GrantStore, Granted, Listed, Page, Shows,
    StepUpError,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tracing::{error, info, warn};

/// How often it is looked whether the time of a grant here is over.
const TICK: Duration = Duration::from_millis(200);
/// How often the store is read again.
const LOOK: Duration = Duration::from_secs(1);
/// How long the store may take to answer whoever waits for it.
const ANSWER: Duration = Duration::from_secs(3);
/// How long what the store has said counts.
const KNOWN: Duration = Duration::from_secs(3);
/// How many requests one principal may make within a minute, and how often it may try what it may not.
const PER_MINUTE: u64 = 20;

/// What each connection says of access; `None` where it takes no grant.
pub(crate) type Rules = HashMap<String, Option<Arc<Rule>>>;

/// What the desk has to know of a connection that takes a grant.
pub(crate) struct Rule {
    pub(crate) settings: AccessSettings,
    pub(crate) environment: String,
    /// Where the connection leads to: host, port and database.
    pub(crate) target: (String, u16, String),
    /// The groups that the connection admits.
    pub(crate) groups: Vec<String>,
    /// The roles it has, its own first.
    pub(crate) roles: Vec<String>,
    pub(crate) detectors: Arc<Detectors>,
}

impl Rule {
    /// Why a principal may not ask here, where it may not.
    fn objection(&self, principal: &Principal) -> Option<String> {
        if !self.settings.agents && !principal.is_person_alone() {
            return Some(
                "agents, and whoever acts for somebody, may not ask for it here".to_owned(),
            );
        }
        let asked = self.settings.requesters.as_ref();
        let groups: BTreeSet<&String> = match asked {
            Some(requesters) => requesters.iter().collect(),
            None => self.groups.iter().collect(),
        };
        if groups.iter().any(|group| principal.groups.contains(*group)) {
            return None;
        }
        let groups = groups.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        Some(format!("only people and agents in {groups} may ask for it"))
    }

    /// True where a request could be made today as it was made, and would be for the same place.
    fn allows(&self, ask: &AccessAsk) -> bool {
        let (host, port, database) = &self.target;
        self.settings.approvers() == ask.approvers
            && self.environment == ask.environment
            && (host, port, database) == (&ask.host, &ask.port, &ask.database)
            && ask.length() <= self.settings.longest.0
            && self.roles.contains(&ask.role)
            && (self.settings.agents || ask.principal.is_person_alone())
    }
}

/// What somebody wants to be granted. There may be a credential in it: it is shown nowhere.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WantedGrant")]
pub(crate) struct Wanted {
    pub(crate) connection: String,
    /// By default the connection's own.
    #[serde(default)]
    pub(crate) role: Option<String>,
    /// For how long.
    pub(crate) seconds: u32,
    pub(crate) reason: String,
    /// The credential of the gateway's own that will log in, where whoever asks is the software that has
    /// it: so an agent asks as what it acts as.
    #[serde(default)]
    pub(crate) credential: Option<String>,
}

/// Why nothing was granted, or done to a grant.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotGranted {
    #[error("there is no connection `{0}`")]
    NoConnection(String),
    #[error("connection `{0}` takes no grant: whoever its policy lets in may log in at once")]
    Open(String),
    #[error("{0}")]
    Wrong(String),
    #[error("{0}")]
    Forbidden(String),
    #[error("you have asked, or tried what you may not, {PER_MINUTE} times within a minute: wait")]
    TooOften,
    #[error("the configuration of the connection has changed since it was asked: ask again")]
    Reconfigured,
    #[error(transparent)]
    Grant(#[from] GrantError),
    #[error(transparent)]
    Unrecorded(#[from] JournalError),
}

/// Why somebody does not come in.
#[derive(Debug)]
pub(crate) enum NotEntitled {
    /// There is no grant: what to do.
    None {
        rule: Arc<Rule>,
        pending: Option<Box<GrantRow>>,
        /// One that was given for the connection as it was before.
        outdated: Option<GrantId>,
        objection: Option<String>,
    },
    /// Nobody knows.
    Unavailable,
}

/// The grants of a gateway.
pub(crate) struct GrantDesk {
    store: GrantStore,
    /// By connection; one that is not here is open.
    rules: RwLock<Rules>,
    sessions: Sessions,
    ledger: Ledger,
    /// The grants that sessions of this gateway stand on.
    tenures: Mutex<HashMap<GrantId, Held>>,
    /// When the store was asked that has answered last.
    answered: Mutex<Instant>,
    /// Held while a grant is asked for, decided on or ended, so that its records come in that order, and
    /// once.
    turn: tokio::sync::Mutex<()>,
    /// There is something to end, to escalate or to record.
    due: Notify,
    rates: Rates,
    /// What principals try and may not.
    tries: Rates,
}

/// A grant that sessions here stand on.
struct Held {
    tenure: Arc<Tenure>,
    /// When its time is over by a clock that nobody sets.
    deadline: Instant,
    /// It was over by that clock. The store may not know.
    is_over: bool,
}

/// What the store says, if it says it in time.
async fn bounded<T>(asked: impl Future<Output = Result<T, GrantError>>) -> Result<T, GrantError> {
    tokio::time::timeout(ANSWER, asked).await.unwrap_or_else(|_| {
        error!("the store of grants does not answer within {} s", ANSWER.as_secs());
        Err(GrantError::Unavailable)
    })
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rule({:?})", self.settings)
    }
}

impl GrantDesk {
    /// The desk over a store. `rules` has every connection there is.
    pub(crate) fn new(store: GrantStore, rules: Rules, sessions: Sessions, ledger: Ledger) -> Self {
        Self {
            store,
            rules: RwLock::new(rules),
            sessions,
            ledger,
            tenures: Mutex::default(),
            answered: Mutex::new(Instant::now()),
            turn: tokio::sync::Mutex::default(),
            due: Notify::new(),
            rates: Rates::default(),
            tries: Rates::default(),
        }
    }

    fn tenures(&self) -> MutexGuard<'_, HashMap<GrantId, Held>> {
        // The map is whole after every operation on it.
        self.tenures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes whenever something has become of a grant, at whichever gateway.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.store.changes()
    }

    /// The right of a session to be on its connection. It is in the list of sessions by now, and noted there
    /// as standing on its grant before the store is asked for the last time: whoever ends that meanwhile
    /// finds it, or has ended it before.
    ///
    /// # Errors
    /// [`NotEntitled`]: it is not.
    pub(crate) async fn entitle(
        &self,
        standing: &Standing,
        entered: &Entered,
    ) -> Result<Entitlement, NotEntitled> {
        let name = &standing.connection.name;
        let rule = match self.rule(name) {
            Some(None) => return Ok(Entitlement::open_by_configuration_assertion(name)),
            Some(Some(rule)) => rule,
            None => return Err(NotEntitled::Unavailable),
        };
        let none = |pending, outdated| NotEntitled::None {
            rule: Arc::clone(&rule),
            pending,
            outdated,
            objection: rule.objection(&standing.principal),
        };
        if rule.objection(&standing.principal).is_some() {
            return Err(none(None, None));
        }
        let found = bounded(self.store.open_for(standing, now())).await;
        let found = found.map_err(|_| NotEntitled::Unavailable)?;
        let (fit, outdated): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|row| rule.allows(&row.ask) && row.ask.is_for(standing));
        let row = match fit.into_iter().next() {
            Some(row) if row.status == GrantStatus::Active => row,
            pending => {
                let outdated = outdated.iter().find(|row| row.status == GrantStatus::Active);
                return Err(none(pending.map(Box::new), outdated.map(|row| row.id)));
            }
        };
        let tenure = self.tenure(&row).ok_or(NotEntitled::Unavailable)?;
        entered.stands_on(row.id);
        let again = bounded(self.store.find(row.id, now())).await;
        let again = again.map_err(|_| NotEntitled::Unavailable)?;
        if again.is_none_or(|again| again.status != GrantStatus::Active) {
            return Err(none(None, None));
        }
        Ok(Entitlement::granted(tenure))
    }

    /// What the sessions on a grant that is in force share.
    fn tenure(&self, row: &GrantRow) -> Option<Arc<Tenure>> {
        let time = (row.begun?, row.until?);
        let deadline = Instant::now().checked_add(row.until?.since(now()))?;
        let new = || Held {
            tenure: Arc::new(Tenure::given_by_desk_assertion(row.id, row.ask.clone(), time)),
            deadline,
            is_over: false,
        };
        Some(Arc::clone(&self.tenures().entry(row.id).or_insert_with(new).tenure))
    }

    /// From now on these are the connections there are.
    pub(crate) fn go_by(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    /// What a connection says of access; `None` where there is no such connection.
    fn rule(&self, connection: &str) -> Option<Option<Arc<Rule>>> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).get(connection).cloned()
    }

    /// What to run to ask for access, where the connection takes a grant; or why this principal may not ask.
    pub(crate) fn how_to_ask(&self, standing: &Standing) -> Option<Result<String, String>> {
        let rule = self.rule(&standing.connection.name)??;
        let objection = rule.objection(&standing.principal);
        Some(objection.map_or_else(|| Ok(to_ask(standing, &rule, None).1), Err))
    }

    /// Files a request for `caller`, who asks or acts by a credential of whoever asks; the same that waits
    /// already is found, and not asked again. People decide on it once it is recorded.
    pub(crate) async fn ask(
        &self,
        caller: &Principal,
        wanted: Wanted,
    ) -> Result<(GrantRow, bool), NotGranted> {
        let name = wanted.connection.clone();
        let rule = match self.rule(&name) {
            Some(Some(rule)) => rule,
            Some(None) => return Err(NotGranted::Open(name)),
            None => return Err(NotGranted::NoConnection(name)),
        };
        let meter = self.rates.of(&caller.issuer, &caller.subject);
        let [_, within_a_minute, _] = meter.count(Instant::now(), 1);
        if within_a_minute >= PER_MINUTE {
            return Err(NotGranted::TooOften);
        }
        if let Some(why) = rule.objection(caller) {
            return Err(NotGranted::Forbidden(why));
        }
        let ask = self.formed(&rule, caller, wanted)?;
        let id = GrantId::from_bits(u64::from_ne_bytes(random()));
        let _turn = self.turn.lock().await;
        let row = match self.store.file(id, &ask).await? {
            Filed::Same(row) => return Ok((row, false)),
            Filed::New(row) => row,
        };
        self.in_the_journal(&row).await?;
        Ok((row, true))
    }

    fn formed(
        &self,
        rule: &Rule,
        caller: &Principal,
        wanted: Wanted,
    ) -> Result<AccessAsk, NotGranted> {
        let Wanted { connection, role, seconds, reason, credential: _ } = wanted;
        let longest = rule.settings.longest.0;
        let length = Duration::from_secs(seconds.into());
        if length.is_zero() || length > longest {
            let most = told(longest);
            return Err(NotGranted::Wrong(format!("ask for 1 second to {most} on `{connection}`")));
        }
        let own = rule.roles.first().cloned().unwrap_or_default();
        let role = role.unwrap_or(own);
        if !rule.roles.contains(&role) {
            let roles = rule.roles.join(", ");
            let why = format!("connection `{connection}` has no role `{role}`; it has {roles}");
            return Err(NotGranted::Wrong(why));
        }
        let mut scrubbed = Vec::new();
        let reason = match rule.detectors.redact(reason.trim().as_bytes(), &mut scrubbed) {
            true => String::from_utf8_lossy(&scrubbed).into_owned(),
            false => reason.trim().to_owned(),
        };
        let at = now();
        Ok(AccessAsk {
            connection,
            environment: rule.environment.clone(),
            host: rule.target.0.clone(),
            port: rule.target.1,
            database: rule.target.2.clone(),
            role,
            principal: caller.clone(),
            seconds,
            reason,
            approvers: rule.settings.approvers(),
            at,
            lapses: at.plus(rule.settings.wait.0),
        })
    }

    /// One grant.
    pub(crate) async fn find(&self, id: GrantId) -> Result<Option<GrantRow>, GrantError> {
        self.store.find(id, now()).await
    }

    /// Grants, newest first; only those that wait or are in force unless `all`, and only those that
    /// concern `viewer`, where one is named.
    pub(crate) async fn list(
        &self,
        all: bool,
        viewer: Option<&Principal>,
    ) -> Result<Vec<GrantRow>, GrantError> {
        self.store.list(all, viewer, now()).await
    }

    /// A page of them; what has ended since it was looked for may be among them.
    pub(crate) async fn page(
        &self,
        all: bool,
        viewer: Option<&Principal>,
        page: &Page,
    ) -> Result<Listed<GrantRow>, GrantError> {
        self.store.page((all, viewer), now(), page).await
    }

    /// Whether this person may approve, beside what has to be shown for it.
    pub(crate) async fn may_be_approved(
        &self,
        row: &GrantRow,
        reviewer: &Reviewer,
    ) -> Result<(), NotGranted> {
        match self.store.may_approve(row.id, reviewer, now()).await {
            Ok(_) | Err(GrantError::StepUp(StepUpError::Wanted)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Approves. The record comes first; with the last approval that is wanted the grant is in force.
    pub(crate) async fn approve(
        &self,
        row: &GrantRow,
        reviewer: &Reviewer,
        shows: Shows<'_>,
    ) -> Result<GrantRow, NotGranted> {
        let _turn = self.turn.lock().await;
        let (groups, _) = self.store.may_approve_by(row.id, reviewer, shows, now()).await?;
        let rule = self.rule(&row.ask.connection).flatten();
        if !rule.is_some_and(|rule| rule.allows(&row.ask)) {
            let end = End { ending: Ending::Reconfigured, by: None, reason: None };
            self.over(row, end).await?;
            return Err(NotGranted::Reconfigured);
        }
        self.record(decided(row, reviewer, groups, Word::Yes(shows))).await?;
        match self.store.approve_by(row.id, reviewer, shows, now()).await? {
            Granted::Waiting(row) => Ok(row),
            Granted::Begun(begun) => {
                self.in_the_journal(&begun).await?;
                Ok(self.find(row.id).await?.ok_or(GrantError::Unknown(row.id))?)
            }
        }
    }

    /// Records what has become of a grant, and lets it count. What cannot be recorded is taken back; where
    /// not even that can be done, it counts for nothing until it is recorded. In its turn.
    async fn in_the_journal(&self, row: &GrantRow) -> Result<(), NotGranted> {
        if let Err(error) = self.record(told_of(row)).await {
            if row.status.is_open() {
                let end = End { ending: Ending::Unrecorded, by: None, reason: None };
                let _ = self.store.end(row.id, end, now()).await;
            }
            return Err(error.into());
        }
        self.store.recorded(row).await?;
        Ok(())
    }

    /// Rejects. The record comes first.
    pub(crate) async fn reject(
        &self,
        row: &GrantRow,
        reviewer: &Reviewer,
        reason: &str,
    ) -> Result<GrantRow, NotGranted> {
        let _turn = self.turn.lock().await;
        let groups = self.store.may_reject(row.id, reviewer, now()).await?;
        self.record(decided(row, reviewer, groups, Word::No(reason))).await?;
        let row = self.store.reject(row.id, reviewer, reason, now()).await?;
        Ok(row)
    }

    /// Ends a grant, and the sessions that stand on it; or takes a request back. Its sessions wait neither
    /// for the store nor for the record.
    pub(crate) async fn end(
        &self,
        row: &GrantRow,
        ending: Ending,
        by: &Principal,
        reason: Option<&str>,
    ) -> Result<(), NotGranted> {
        let end = End { ending, by: Some(by), reason };
        self.end_sessions(row.id, &ended_words(row.id, end), &by.into());
        let _turn = self.turn.lock().await;
        self.over(row, end).await
    }

    async fn over(&self, row: &GrantRow, end: End<'_>) -> Result<(), NotGranted> {
        let by = end.by.map_or_else(|| By::no_principal("portcullis"), By::from);
        let ended = bounded(self.store.end(row.id, end, now())).await;
        // Whoever came in before that is in the list of sessions by now, and ends whatever the store says.
        self.end_sessions(row.id, &ended_words(row.id, end), &by);
        let Some(ended) = ended? else {
            let status = bounded(self.find(row.id)).await?.map_or(row.status, |row| row.status);
            return Err(GrantError::Ended(status).into());
        };
        self.in_the_journal(&ended).await
    }

    /// The issuers of all who have approved what is open.
    pub(crate) async fn heard(&self) -> Result<BTreeSet<String>, GrantError> {
        bounded(self.store.heard()).await
    }

    /// Ends what is open on the word of anybody of these issuers.
    pub(crate) async fn unhear(&self, issuers: &BTreeSet<String>) -> Result<(), NotGranted> {
        let _turn = self.turn.lock().await;
        let end = End { ending: Ending::Unvouched, by: None, reason: None };
        for row in bounded(self.store.approved_by(issuers, now())).await? {
            match self.over(&row, end).await {
                // Somebody was faster.
                Ok(()) | Err(NotGranted::Grant(GrantError::Ended(_))) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends the sessions that stand on a grant. None comes in on it any more, unless the store says so.
    fn end_sessions(&self, id: GrantId, killed: &Killed, by: &By) {
        if let Some(held) = self.tenures().remove(&id) {
            held.tenure.end();
        }
        self.kill(id, killed, by);
    }

    fn kill(&self, id: GrantId, killed: &Killed, by: &By) {
        let note = |session: SessionId| {
            let event = Event::SessionKilled {
                by: by.clone(),
                reason: format!("{}: {}", killed.by, killed.reason),
            };
            let entry = Entry { at: now(), session: Some(session), request: None, event };
            // They end whether or not it can be recorded.
            let _ = self.ledger.note(entry);
        };
        // Nobody waits for them here.
        drop(self.sessions.end_on(id, killed, note));
    }

    /// Looks after what is due, until the gateway stops. What ends sessions whose time is over waits neither
    /// for store nor disk, and what reads the store for no disk.
    pub(crate) async fn keep(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        let ticking = async {
            loop {
                self.tick(now(), Instant::now());
                tokio::time::sleep(TICK).await;
            }
        };
        let settling = async {
            loop {
                self.due.notified().await;
                if let Err(error) = self.settle(now()).await {
                    warn!(%error, "what became of grants is not recorded yet; it is tried again");
                }
                tokio::time::sleep(TICK).await;
            }
        };
        tokio::select! {
            // An error means the sender is gone, which is a stop as well.
            _ = stopping.wait_for(|stop| *stop) => {}
            () = ticking => {}
            () = self.keep_looking() => {}
            () = settling => {}
        }
    }

    async fn keep_looking(&self) {
        let mut known = true;
        let mut changes = self.store.changes();
        loop {
            let looked = self.look(now()).await;
            match &looked {
                Err(why) if known => {
                    error!(%why, "sessions that stand on a grant do nothing until it can be read");
                }
                Ok(()) if !known => info!("grants can be read again"),
                _ => {}
            }
            known = looked.is_ok();
            tokio::select! {
                // Also where the store is lost, or back.
                Ok(()) = changes.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Ends the sessions of grants whose time is over, whatever the store is doing; where that has not
    /// answered for too long, nobody knows whether the others stand.
    fn tick(&self, at: Timestamp, instant: Instant) {
        let answered = *self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = instant.saturating_duration_since(answered) <= KNOWN;
        let mut due = Vec::new();
        for held in self.tenures().values_mut().filter(|held| !held.is_over) {
            if held.tenure.until() <= at || held.deadline <= instant {
                // It stays here until the store knows: a clock that was set back opens nothing again.
                held.is_over = true;
                held.tenure.end();
                due.push(Arc::clone(&held.tenure));
            } else if !is_known {
                held.tenure.is_known(false);
            }
        }
        for tenure in due {
            self.kill(
                tenure.id(),
                &time_words(tenure.id(), tenure.ask()),
                &By::no_principal("portcullis"),
            );
        }
    }

    /// Reads which grants are in force, and ends the sessions of those that are not.
    async fn look(&self, at: Timestamp) -> Result<(), GrantError> {
        // Those from before it is read: what comes later was in force later.
        let tenures: Vec<_> =
            self.tenures().values().map(|held| Arc::clone(&held.tenure)).collect();
        let asked = Instant::now();
        let (due, ids) = match bounded(self.store.in_force(at)).await {
            Ok(read) => read,
            Err(why) => {
                tenures.iter().for_each(|tenure| tenure.is_known(false));
                return Err(why);
            }
        };
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = asked;
        for tenure in tenures {
            if ids.contains(&tenure.id()) {
                tenure.is_known(true);
            } else {
                self.ended_elsewhere(&tenure).await;
            }
        }
        if due {
            self.due.notify_one();
        }
        Ok(())
    }

    /// Does what is due, and records what is not recorded: also what another gateway, or this one before it
    /// was started anew, has left so. What cannot be recorded now is tried again.
    async fn settle(&self, at: Timestamp) -> Result<(), NotGranted> {
        let _turn = self.turn.lock().await;
        for row in bounded(self.store.end_due(at)).await? {
            self.end_sessions(
                row.id,
                &time_words(row.id, &row.ask),
                &By::no_principal("portcullis"),
            );
        }
        for row in bounded(self.store.unrecorded(at)).await? {
            self.record(told_of(&row)).await?;
            bounded(self.store.recorded(&row)).await?;
        }
        for row in bounded(self.store.escalations(at)).await? {
            let to = row.ask.approvers.escalation.map(|escalation| escalation.to);
            let to = to.unwrap_or_default();
            self.record(Event::AccessEscalated { grant: row.id, to }).await?;
            bounded(self.store.escalated(row.id)).await?;
        }
        Ok(())
    }

    /// The store does not list it as in force. Where somebody has ended it, so do its sessions.
    async fn ended_elsewhere(&self, tenure: &Tenure) {
        let id = tenure.id();
        let row = match bounded(self.store.find(id, now())).await {
            Ok(Some(row)) if row.status == GrantStatus::Active => return tenure.is_known(true),
            Ok(row) => row,
            // Nobody knows who has ended it, or whether.
            Err(_) => return tenure.is_known(false),
        };
        let whom = row.as_ref().and_then(|row| row.ended_who.as_ref()).map(By::from);
        let by = row.as_ref().and_then(|row| row.ended_by.clone());
        let by = by.unwrap_or_else(|| "portcullis".to_owned());
        let whom = whom.unwrap_or_else(|| By::no_principal(&*by));
        let is_over_by_itself = row.as_ref().is_some_and(|row| {
            row.ending.is_none_or(|ending| ending == Ending::Time) && row.ended == row.until
        });
        let killed = if is_over_by_itself {
            time_words(id, tenure.ask())
        } else {
            let why = row.and_then(|row| row.ended_why).map(|why| format!(": {why}"));
            let reason = format!("your grant {id} was ended{}", why.unwrap_or_default());
            Killed { by: by.clone(), reason }
        };
        self.end_sessions(id, &killed, &whom);
    }

    /// Forgets what was over before this moment.
    pub(crate) async fn forget_ended(&self, before: Timestamp) {
        if let Err(error) = self.store.forget_ended(before).await {
            warn!(%error, "grants that ended long ago are still there");
        }
    }

    async fn record(&self, event: Event) -> Result<(), JournalError> {
        self.ledger.append(Entry::outside(now(), event), Durability::Durable).await.map(drop)
    }

    /// Whether somebody may try to decide: whoever was refused too often waits, so that nobody fills the
    /// journal.
    pub(crate) fn may_try(&self, by: &Principal) -> Result<(), NotGranted> {
        let [_, within_a_minute, _] =
            self.tries.of(&by.issuer, &by.subject).count(Instant::now(), 0);
        if within_a_minute >= PER_MINUTE { Err(NotGranted::TooOften) } else { Ok(()) }
    }

    /// Records what somebody tried and may not.
    pub(crate) async fn refused(&self, by: &Principal, what: &str, why: &str) {
        self.tries.of(&by.issuer, &by.subject).count(Instant::now(), 1);
        let what = what.chars().take(200).collect();
        let event = Event::AccessRefused { by: by.clone(), what, why: why.to_owned() };
        // The refusal stands whether or not it could be recorded.
        let _ = self.record(event).await;
    }
}

/// What somebody says of a request for access.
enum Word<'a> {
    Yes(Shows<'a>),
    No(&'a str),
}

fn decided(row: &GrantRow, reviewer: &Reviewer, groups: BTreeSet<String>, word: Word<'_>) -> Event {
    let (decision, reason, passkey) = match word {
        Word::Yes(shows) => {
            let evidence = shows.asserted.map(|asserted| Box::new(asserted.evidence().clone()));
            ("approved", None, evidence)
        }
        Word::No(reason) => ("rejected", Some(reason.to_owned()), None),
    };
    Event::AccessDecided {
        grant: row.id,
        digest: row.ask.digest(),
        by: reviewer.principal().clone(),
        groups,
        decision: decision.to_owned(),
        reason,
        passkey,
    }
}

fn begins(row: &GrantRow) -> Event {
    let approved = row.decisions.iter().filter(|said| said.approved);
    Event::AccessBegun {
        grant: row.id,
        principal: row.ask.principal.clone(),
        connection: row.ask.connection.clone(),
        role: row.ask.role.clone(),
        until: row.until.unwrap_or(row.ask.at),
        approved_by: approved
            .map(|said| By { subject: said.subject.clone(), issuer: Some(said.issuer.clone()) })
            .collect(),
    }
}

fn ends(row: &GrantRow) -> Event {
    Event::AccessEnded {
        grant: row.id,
        principal: row.ask.principal.clone(),
        connection: row.ask.connection.clone(),
        was_in_force: row.status == GrantStatus::Ended,
        ending: row.ending.unwrap_or(Ending::Time),
        by: row.ended_who.clone(),
        reason: row.ended_why.clone(),
    }
}

/// What the journal says of a grant that stands so.
fn told_of(row: &GrantRow) -> Event {
    match row.status {
        GrantStatus::Pending => Event::AccessRequested { grant: row.id, ask: row.ask.clone() },
        GrantStatus::Approved | GrantStatus::Active => begins(row),
        GrantStatus::Rejected
        | GrantStatus::Expired
        | GrantStatus::Withdrawn
        | GrantStatus::Ended => ends(row),
    }
}

/// What the caller of a session is told whose grant is over by itself.
fn time_words(id: GrantId, ask: &AccessAsk) -> Killed {
    let reason = format!("it was given for {}", told(ask.length()));
    Killed { by: format!("the end of grant {id}"), reason }
}

/// And whose grant somebody has ended.
fn ended_words(id: GrantId, End { ending, by, reason }: End<'_>) -> Killed {
    let by = match by {
        Some(by) if ending == Ending::Administrator => format!("{} (administrator)", by.name),
        Some(by) => by.name.clone(),
        None => "the gateway".to_owned(),
    };
    let why = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    Killed { by, reason: format!("your grant {id} was ended{why}") }
}

/// A length of time, as the command line takes it.
/// A time as `portcullis request --for` takes it.
pub(crate) fn told(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// What is said to somebody who has asked for nothing yet, and what to run.
fn to_ask(standing: &Standing, rule: &Rule, outdated: Option<&GrantId>) -> (String, String) {
    let (name, role) = (&standing.connection.name, &standing.connection.role);
    let time = told(rule.settings.longest.0.min(Duration::from_secs(30 * 60)));
    let as_role = match rule.roles.first() {
        Some(own) if own == role => String::new(),
        _ => format!(" --role {role}"),
    };
    // Whoever acts for somebody by token exchange shows what it logs in with.
    let own = standing.principal.token_id.as_deref();
    let exchanged = own.is_some_and(|id| id.parse::<CredentialId>().is_ok())
        && standing.principal.acting_for.is_some();
    let with = if exchanged { " --credential-from env:PGPASSWORD" } else { "" };
    let run = format!(
        "portcullis request --connection {name}{as_role}{with} --for {time} \
         --reason \"why you need it\""
    );
    let what = match outdated {
        Some(id) => {
            format!("connection {name} takes a grant, and is not any more what {id} was given for")
        }
        None => format!("connection {name} takes a grant, and you have none for role {role}"),
    };
    (what, run)
}

/// What somebody is told who does not come in: what to run, or what it waits for.
pub(crate) fn refusal(decision: DecisionId, standing: &Standing, why: &NotEntitled) -> Refusal {
    let place = &standing.connection;
    let (name, role) = (&place.name, &place.role);
    let (class, retry, what, why, next) = match why {
        NotEntitled::Unavailable => (
            RefusalClass::Unavailable,
            Retry::Later,
            format!("a session on {name}"),
            "it cannot be read who is granted access".to_owned(),
            "tell the operator of this gateway; nothing has run".to_owned(),
        ),
        NotEntitled::None { objection: Some(objection), rule, .. } => (
            RefusalClass::Ungranted,
            Retry::Never,
            format!("connection {name} takes a grant, and you have none for role {role}"),
            objection.clone(),
            format!("ask the person you work for, or people of {}", rule.settings.approvers),
        ),
        NotEntitled::None { pending: Some(row), .. } if row.status == GrantStatus::Approved => (
            RefusalClass::Ungranted,
            Retry::Later,
            format!(
                "connection {name} takes a grant, and yours for role {role} is not in force yet"
            ),
            format!("{} is approved, and not recorded yet", row.id),
            "log in again in a few seconds".to_owned(),
        ),
        NotEntitled::None { pending: Some(row), .. } => {
            let waits = row.waiting_for.iter().map(String::as_str).collect::<Vec<_>>();
            let waits = waits.join(" or ");
            (
                RefusalClass::Ungranted,
                Retry::AfterApproval,
                format!(
                    "connection {name} takes a grant, and yours for role {role} is not approved yet"
                ),
                format!("request {} waits for {waits} until {:.0}", row.id, row.ask.lapses),
                format!(
                    "wait: `portcullis grants show {}` tells how it stands; asking again asks nobody anew",
                    row.id
                ),
            )
        }
        NotEntitled::None { pending: None, rule, outdated, .. } => {
            let (what, run) = to_ask(standing, rule, outdated.as_ref());
            (
                RefusalClass::Ungranted,
                Retry::AfterApproval,
                what,
                format!("run: {run}"),
                format!(
                    "people of {} decide; the command waits for them, then log in again: {run}",
                    rule.settings.approvers
                ),
            )
        }
    };
    let rule = rule::GRANTED_ACCESS.to_owned();
    Refusal { decision, class, rule, what, why, retry, next: Some(next), review: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Owner;
    use portcullis_core::principal::PrincipalKind;
    use portcullis_core::protocol::ProtocolKind;
    use portcullis_core::verdict::ConnectionFacts;
    use portcullis_ledger::LedgerSettings;
    use portcullis_store::Store;

    fn principal(kind: PrincipalKind, subject: &str, group: &str) -> Principal {
        Principal {
            kind,
            subject: subject.to_owned(),
            name: subject.to_owned(),
            issuer: "https://issuer".to_owned(),
            acting_for: None,
            acting_for_issuer: None,
            email: None,
            groups: BTreeSet::from([group.to_owned()]),
            token_id: None,
            expires: Timestamp::from_micros(i64::MAX),
        }
    }

    fn claude() -> Principal {
        principal(PrincipalKind::Agent, "claude", "agents")
    }

    fn rule() -> Rule {
        Rule {
            settings: toml::from_str("approvers = \"dba\"").unwrap(),
            environment: "production".to_owned(),
            target: ("db".to_owned(), 5432, "shop".to_owned()),
            groups: vec!["agents".to_owned()],
            roles: vec!["app".to_owned()],
            detectors: Arc::new(Detectors::standard()),
        }
    }

    struct Bench {
        directory: tempfile::TempDir,
        whole: Store,
        ledger: Ledger,
        desk: GrantDesk,
        sessions: Sessions,
    }

    fn desk_of(whole: &Store, sessions: &Sessions, ledger: &Ledger) -> GrantDesk {
        let rules = HashMap::from([("prod".to_owned(), Some(Arc::new(rule())))]);
        GrantDesk::new(GrantStore::new(whole.clone()), rules, sessions.clone(), ledger.clone())
    }

    async fn bench() -> Bench {
        let directory = tempfile::tempdir().unwrap();
        let whole = Store::open(&directory.path().join("store.db")).await.unwrap();
        let sessions = Sessions::default();
        let ledger = Ledger::open(directory.path(), LedgerSettings::default()).unwrap();
        let desk = desk_of(&whole, &sessions, &ledger);
        Bench { directory, whole, ledger, desk, sessions }
    }

    fn standing() -> Standing {
        let connection = ConnectionFacts {
            name: "prod".to_owned(),
            environment: "production".to_owned(),
            protocol: ProtocolKind::Postgres,
            database: "shop".to_owned(),
            role: "app".to_owned(),
        };
        Standing { principal: claude(), connection }
    }

    fn enter(sessions: &Sessions, number: u64) -> Entered {
        let owner = Owner { standing: Arc::new(standing()) };
        sessions.enter(SessionId::from_bits(number), owner, "peer".to_owned(), now())
    }

    async fn asked(desk: &GrantDesk) -> GrantRow {
        let wanted = Wanted {
            connection: "prod".to_owned(),
            role: None,
            seconds: 600,
            reason: "INC-7".to_owned(),
            credential: None,
        };
        desk.ask(&claude(), wanted).await.unwrap().0
    }

    fn bo() -> Reviewer {
        Reviewer::new(principal(PrincipalKind::Person, "bo", "dba")).unwrap()
    }

    async fn granted(desk: &GrantDesk) -> GrantRow {
        let row = asked(desk).await;
        desk.approve(&row, &bo(), Shows::default()).await.unwrap()
    }

    #[test]
    fn a_changed_connection_is_another_one() {
        let ask = AccessAsk {
            connection: "prod".to_owned(),
            environment: "production".to_owned(),
            host: "db".to_owned(),
            port: 5432,
            database: "shop".to_owned(),
            role: "app".to_owned(),
            principal: claude(),
            seconds: 600,
            reason: "INC-7".to_owned(),
            approvers: rule().settings.approvers(),
            at: now(),
            lapses: now(),
        };
        assert!(rule().allows(&ask));
        type Edit = fn(&mut Rule);
        let edits: [Edit; 8] = [
            |rule| rule.environment = "staging".to_owned(),
            |rule| rule.target.0 = "other".to_owned(),
            |rule| rule.target.1 = 5433,
            |rule| rule.target.2 = "other".to_owned(),
            |rule| rule.roles = vec!["owner".to_owned()],
            |rule| rule.settings.quorum = 2,
            |rule| rule.settings.longest = crate::config::Span(Duration::from_secs(599)),
            |rule| rule.settings.agents = false,
        ];
        for (n, edit) in edits.iter().enumerate() {
            let mut changed = rule();
            edit(&mut changed);
            assert!(!changed.allows(&ask), "{n}");
        }
    }

    #[tokio::test]
    async fn a_grant_for_a_connection_as_it_was_opens_nothing() {
        let bench = bench().await;
        granted(&bench.desk).await;
        let entered = enter(&bench.sessions, 1);
        assert!(bench.desk.entitle(&standing(), &entered).await.is_ok());
        for edit in [(|rule| rule.target.0 = "other".to_owned()) as fn(&mut Rule), |rule| {
            rule.settings.requesters = Some(BTreeSet::from(["leads".to_owned()]))
        }] {
            let mut changed = rule();
            edit(&mut changed);
            bench.desk.go_by(HashMap::from([("prod".to_owned(), Some(Arc::new(changed)))]));
            let refused = bench.desk.entitle(&standing(), &entered).await;
            assert!(matches!(refused, Err(NotEntitled::None { .. })), "{refused:?}");
        }
    }

    /// Neither a store that is silent nor a clock that is set back lets anybody stay.
    #[tokio::test]
    async fn what_nobody_has_told_in_time_does_not_stand() {
        let bench = bench().await;
        let row = granted(&bench.desk).await;
        let entered = enter(&bench.sessions, 1);
        let entitled = bench.desk.entitle(&standing(), &entered).await.unwrap();
        let tenure = entitled.tenure().unwrap();
        let start = Instant::now();
        bench.desk.tick(now(), start);
        assert!(tenure.stands(now()));
        bench.desk.tick(now(), start + KNOWN + Duration::from_secs(1));
        assert!(!tenure.stands(now()), "the store has not answered for too long");
        bench.desk.look(now()).await.unwrap();
        assert!(tenure.stands(now()));
        // By the clock of the machine there is time left.
        bench.desk.tick(now(), start + Duration::from_secs(601));
        assert!(!tenure.stands(now()));
        bench.desk.look(now()).await.unwrap();
        let again = bench.desk.entitle(&standing(), &entered).await.unwrap();
        assert!(!again.tenure().unwrap().stands(now()), "it opens again: {row:?}");
    }

    #[tokio::test]
    async fn a_store_that_is_silent_is_a_refusal() {
        let silent = bounded(std::future::pending::<Result<(), _>>());
        assert_eq!(silent.await, Err(GrantError::Unavailable));
    }

    /// What cannot be read, or was read a moment before it began, is no end of a grant.
    #[tokio::test]
    async fn nobody_ends_what_nobody_has_ended() {
        let bench = bench().await;
        let row = granted(&bench.desk).await;
        let tenure = bench.desk.tenure(&row).unwrap();
        let is_here = || bench.desk.tenures().contains_key(&row.id);
        bench.desk.ended_elsewhere(&tenure).await;
        assert!(is_here() && tenure.stands(now()));
        let end = End { ending: Ending::Owner, by: None, reason: None };
        bench.desk.store.end(row.id, end, now()).await.unwrap().unwrap();
        bench.desk.look(now()).await.unwrap();
        assert!(!is_here() && !tenure.stands(now()));
        let tenure = bench.desk.tenure(&row).unwrap();
        bench.whole.close().await;
        bench.desk.ended_elsewhere(&tenure).await;
        assert!(is_here() && !tenure.stands(now()), "nobody knows");
        tenure.is_known(true);
        assert!(tenure.stands(now()), "and it is not over");
    }

    /// As a gateway leaves it that stopped before it could record it.
    #[tokio::test]
    async fn what_was_not_recorded_is_recorded_by_the_next_one() {
        let bench = bench().await;
        let row = asked(&bench.desk).await;
        let approved = bench.desk.store.approve(row.id, &bo(), now()).await.unwrap();
        assert!(matches!(approved, Granted::Begun(_)));
        let entered = enter(&bench.sessions, 1);
        let early = bench.desk.entitle(&standing(), &entered).await;
        assert!(matches!(early, Err(NotEntitled::None { .. })), "{early:?}");
        let Bench { directory, whole, ledger, sessions, .. } = bench;
        let desk = desk_of(&whole, &sessions, &ledger);
        desk.look(now()).await.unwrap();
        desk.settle(now()).await.unwrap();
        assert!(desk.entitle(&standing(), &entered).await.is_ok());
        // What ends while nothing can be recorded has ended, and is recorded once it can be.
        let row = desk.find(row.id).await.unwrap().unwrap();
        let end = End { ending: Ending::Owner, by: None, reason: None };
        desk.store.end(row.id, end, now()).await.unwrap().unwrap();
        let refused = desk.entitle(&standing(), &entered).await;
        assert!(matches!(refused, Err(NotEntitled::None { .. })), "{refused:?}");
        assert_eq!(desk.store.unrecorded(now()).await.unwrap().len(), 1);
        desk.settle(now()).await.unwrap();
        assert!(desk.store.unrecorded(now()).await.unwrap().is_empty());
        let told = std::fs::read_dir(directory.path().join("journal")).unwrap();
        let told: String =
            told.filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok()).collect();
        for event in ["access_requested", "access_begun", "access_ended"] {
            assert_eq!(told.matches(&format!("\"event\":\"{event}\"")).count(), 1, "{event}");
        }
    }

    #[tokio::test]
    async fn nobody_tries_again_and_again() {
        let bench = bench().await;
        for _ in 0..PER_MINUTE {
            bench.desk.may_try(&claude()).unwrap();
            bench.desk.refused(&claude(), "decide", "it is an agent").await;
        }
        assert!(matches!(bench.desk.may_try(&claude()), Err(NotGranted::TooOften)));
        bench.desk.may_try(bo().principal()).unwrap();
    }
}
