//! Access for a time: what people grant on a connection that takes more than policy to be on. Beside the
//! judge, at log-in and at every decision after it.
//!
//! *Architecture invariant:* a gate is opened with an [`Entitlement`] alone, and one for a connection that
//! takes a grant is made of a [`Tenure`], which only the desk of grants gives out. A permit holds a
//! [`Clear`], which is made in one place, where it was looked whether the tenure stands still. What nobody
//! can tell to stand does not.

use crate::digest::{Digest, Digester};
use crate::freeze::Unfrozen;
use crate::id::GrantId;
use crate::passkey::StepUp;
use crate::principal::Principal;
use crate::time::Timestamp;
use crate::verdict::Standing;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// Who decides on a request for access.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Approvers {
    /// The group whose people do.
    pub group: String,
    /// How many different people have to approve.
    pub quorum: u8,
    /// Whose people may as well, once it has waited for so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalation: Option<Escalation>,
    /// What they have to show beside a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_up: Option<StepUp>,
}

/// A second group, for when the first does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Escalation {
    /// The group.
    pub to: String,
    /// Seconds from the request.
    pub after_seconds: u32,
}

impl Approvers {
    /// The groups of which people may decide at that moment on what was asked `asked`.
    #[must_use]
    pub fn groups(&self, asked: Timestamp, at: Timestamp) -> BTreeSet<String> {
        let second = self.escalation.as_ref();
        let second = second.filter(|escalation| escalation.due(asked) <= at);
        let second = second.map(|escalation| escalation.to.clone());
        std::iter::once(self.group.clone()).chain(second).collect()
    }
}

impl Escalation {
    /// From when on the second group is asked as well.
    #[must_use]
    pub fn due(&self, asked: Timestamp) -> Timestamp {
        asked.plus(Duration::from_secs(self.after_seconds.into()))
    }
}

/// A request for access: everything an approval of it binds. Another of any of it is another request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccessAsk {
    /// The connection.
    pub connection: String,
    /// Its environment.
    pub environment: String,
    /// Where it leads to: the target's host.
    pub host: String,
    /// And port.
    pub port: u16,
    /// And database.
    pub database: String,
    /// The role at the target.
    pub role: String,
    /// For whom: who asks.
    pub principal: Principal,
    /// For how long, in seconds from the approval.
    pub seconds: u32,
    /// Why: claimed by whoever asks, and verified by nobody.
    pub reason: String,
    /// Who decides, by the configuration as it was when it was asked.
    pub approvers: Approvers,
    /// When it was asked.
    pub at: Timestamp,
    /// When it lapses where nobody decides.
    pub lapses: Timestamp,
}

impl AccessAsk {
    /// What two requests share that are the same one: connection and where that leads to, role, for whom,
    /// how long, why, and who decides.
    #[must_use]
    pub fn digest(&self) -> Digest {
        // Every field is named, so that a new one has to be thought of here.
        let Self {
            connection,
            environment,
            host,
            port,
            database,
            role,
            principal,
            seconds,
            reason,
            approvers,
            at: _,
            lapses: _,
        } = self;
        let (issuer, person) = principal.person().unwrap_or_default();
        let escalation = approvers.escalation.as_ref();
        let after = escalation.map_or(0, |escalation| escalation.after_seconds);
        let digester = Digester::new("portcullis/access/1")
            .part(connection.as_bytes())
            .part(environment.as_bytes())
            .part(host.as_bytes())
            .part(&port.to_be_bytes())
            .part(database.as_bytes())
            .part(role.as_bytes())
            .part(principal.kind.entity_type().as_bytes())
            .part(principal.issuer.as_bytes())
            .part(principal.subject.as_bytes())
            .part(&[u8::from(principal.person().is_some())])
            .part(issuer.as_bytes())
            .part(person.as_bytes())
            .part(&seconds.to_be_bytes())
            .part(reason.as_bytes())
            .part(approvers.group.as_bytes())
            .part(&[approvers.quorum, u8::from(escalation.is_some())])
            .part(escalation.map_or(&[][..], |escalation| escalation.to.as_bytes()))
            .part(&after.to_be_bytes());
        match approvers.step_up {
            None => digester,
            Some(StepUp::Passkey) => digester.part(b"passkey"),
        }
        .finish()
    }

    /// For how long.
    #[must_use]
    pub const fn length(&self) -> Duration {
        Duration::from_secs(self.seconds as u64)
    }

    /// True for a session that this request is for: the same caller, for the same person or nobody, on
    /// the same connection, which is the same as when it was asked, as the same role.
    #[must_use]
    pub fn is_for(&self, standing: &Standing) -> bool {
        let place = &standing.connection;
        self.connection == place.name
            && self.environment == place.environment
            && self.database == place.database
            && self.role == place.role
            && self.principal.is_same(&standing.principal)
    }
}

/// How a grant, or a request for one, came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Its time was over.
    Time,
    /// Whoever has it, or whom that acts for, gave it back.
    Owner,
    /// Somebody of those who approve such requests took it back.
    Approver,
    /// An administrator took it back.
    Administrator,
    /// What it was asked under is not what the configuration says now.
    Reconfigured,
    /// Somebody who has approved it is not vouched for any more.
    Unvouched,
    /// It could not be recorded.
    Unrecorded,
    /// It was in a backup that was put back.
    Restored,
}

impl Ending {
    /// Every ending.
    pub const ALL: &'static [Self] = &[
        Self::Time,
        Self::Owner,
        Self::Approver,
        Self::Administrator,
        Self::Reconfigured,
        Self::Unvouched,
        Self::Unrecorded,
        Self::Restored,
    ];

    /// The word used in the store, in JSON and to people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Owner => "owner",
            Self::Approver => "approver",
            Self::Administrator => "administrator",
            Self::Reconfigured => "reconfigured",
            Self::Unvouched => "unvouched",
            Self::Unrecorded => "unrecorded",
            Self::Restored => "restored",
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of whether a tenure stands.
const STANDS: u8 = 0;
const UNKNOWN: u8 = 1;
const ENDED: u8 = 2;

/// A grant that is in force, for the sessions that stand on it: shared by them and its desk, so that all
/// of them hear of its end at once. Its time is over by itself.
#[derive(Debug)]
pub struct Tenure {
    id: GrantId,
    ask: AccessAsk,
    begun: Timestamp,
    until: Timestamp,
    state: AtomicU8,
}

impl Tenure {
    /// A grant as its desk has it: approved by all who had to, from `begun` until `until`.
    ///
    /// The gateway's desk of grants alone calls this (a test lists the places), for what stands so in the
    /// store.
    #[must_use]
    pub const fn given_by_desk_assertion(
        id: GrantId,
        ask: AccessAsk,
        (begun, until): (Timestamp, Timestamp),
    ) -> Self {
        Self { id, ask, begun, until, state: AtomicU8::new(STANDS) }
    }

    /// Which grant it is.
    #[must_use]
    pub const fn id(&self) -> GrantId {
        self.id
    }

    /// What was asked for.
    #[must_use]
    pub const fn ask(&self) -> &AccessAsk {
        &self.ask
    }

    /// Until when it stands at most.
    #[must_use]
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    /// True where it stands, by what is known of it.
    #[must_use]
    pub fn stands(&self, at: Timestamp) -> bool {
        self.look(false, at).is_ok()
    }

    /// It is over, and stays so.
    pub fn end(&self) {
        self.state.store(ENDED, Ordering::Release);
    }

    /// Whether its store could be read just now.
    pub fn is_known(&self, known: bool) {
        let (from, to) = if known { (UNKNOWN, STANDS) } else { (STANDS, UNKNOWN) };
        // Where it is over, it is over.
        let _ = self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
    }

    fn look(&self, only_undoes: bool, at: Timestamp) -> Result<(), Unentitled> {
        let in_time = self.begun <= at && at < self.until;
        match self.state.load(Ordering::Acquire) {
            STANDS if in_time => Ok(()),
            // The target keeps locks for as long as it is not undone.
            UNKNOWN if in_time && only_undoes => Ok(()),
            UNKNOWN if in_time => Err(Unentitled::Unknown),
            _ => Err(Unentitled::Ended { grant: self.id, until: self.until }),
        }
    }
}

/// The right to be on a connection, as far as that is no matter of policy. There are two ways to one, and
/// a test lists who takes them.
#[derive(Debug, Clone)]
pub struct Entitlement(Right);

#[derive(Debug, Clone)]
enum Right {
    Open { connection: String },
    Granted(Arc<Tenure>),
}

impl Entitlement {
    /// Of a connection whose configuration asks for no grant.
    #[must_use]
    pub fn open_by_configuration_assertion(connection: &str) -> Self {
        Self(Right::Open { connection: connection.to_owned() })
    }

    /// Of one that people have granted.
    #[must_use]
    pub const fn granted(tenure: Arc<Tenure>) -> Self {
        Self(Right::Granted(tenure))
    }

    /// The grant, where it takes one.
    #[must_use]
    pub const fn tenure(&self) -> Option<&Arc<Tenure>> {
        match &self.0 {
            Right::Open { .. } => None,
            Right::Granted(tenure) => Some(tenure),
        }
    }

    /// What of it is this session's.
    pub(crate) fn of(self, standing: &Standing) -> Hold {
        let is_own = match &self.0 {
            Right::Open { connection } => *connection == standing.connection.name,
            Right::Granted(tenure) => tenure.ask.is_for(standing),
        };
        Hold { right: is_own.then_some(self.0) }
    }
}

/// Why a session may not go on, or begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unentitled {
    /// The entitlement is somebody else's, or for elsewhere.
    Other,
    Ended {
        grant: GrantId,
        until: Timestamp,
    },
    Unknown,
}

/// What one session's right to be there is, looked at again and again.
#[derive(Debug)]
pub(crate) struct Hold {
    right: Option<Right>,
}

/// Proof that it was looked whether a session is entitled, and it was.
#[derive(Debug, Clone, Copy)]
pub struct Entitled {
    only_undoes: bool,
}

impl Hold {
    /// Whether the session is entitled at this moment: to what only undoes what it has done also while
    /// nobody can tell.
    pub(crate) fn look(&self, only_undoes: bool, at: Timestamp) -> Result<Entitled, Unentitled> {
        let entitled = Entitled { only_undoes };
        match &self.right {
            None => Err(Unentitled::Other),
            Some(Right::Open { .. }) => Ok(entitled),
            Some(Right::Granted(tenure)) => tenure.look(only_undoes, at).map(|()| entitled),
        }
    }

    /// Whether it is so still, for the same.
    pub(crate) fn look_again(&self, before: Entitled, at: Timestamp) -> Result<(), Unentitled> {
        self.look(before.only_undoes, at).map(drop)
    }

    /// Which grant it is, where it takes one.
    pub(crate) fn grant(&self) -> Option<GrantId> {
        match &self.right {
            Some(Right::Granted(tenure)) => Some(tenure.id),
            _ => None,
        }
    }

    /// How many whole minutes ago the grant began, where there is one.
    pub(crate) fn minutes(&self, at: Timestamp) -> Option<u32> {
        match &self.right {
            Some(Right::Granted(tenure)) => {
                Some(u32::try_from(at.since(tenure.begun).as_secs() / 60).unwrap_or(u32::MAX))
            }
            _ => None,
        }
    }
}

/// Proof that nothing was in the way of a request when it was ruled on: no freeze, and no lack of a right
/// to be there.
#[derive(Debug, Clone, Copy)]
pub struct Clear {
    unfrozen: Unfrozen,
    entitled: Entitled,
}

impl Clear {
    pub(crate) const fn new(unfrozen: Unfrozen, entitled: Entitled) -> Self {
        Self { unfrozen, entitled }
    }

    pub(crate) const fn unfrozen(self) -> Unfrozen {
        self.unfrozen
    }

    pub(crate) const fn entitled(self) -> Entitled {
        self.entitled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::PrincipalKind;
    use crate::protocol::ProtocolKind;
    use crate::verdict::ConnectionFacts;

    const fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn principal() -> Principal {
        Principal {
            kind: PrincipalKind::Agent,
            subject: "claude".to_owned(),
            name: "claude".to_owned(),
            issuer: "https://issuer".to_owned(),
            acting_for: Some("ana".to_owned()),
            acting_for_issuer: None,
            email: None,
            groups: BTreeSet::new(),
            token_id: None,
            expires: at(i64::MAX),
        }
    }

    fn ask() -> AccessAsk {
        AccessAsk {
            connection: "prod".to_owned(),
            environment: "production".to_owned(),
            host: "db".to_owned(),
            port: 5432,
            database: "shop".to_owned(),
            role: "app".to_owned(),
            principal: principal(),
            seconds: 60,
            reason: "INC-7".to_owned(),
            approvers: Approvers {
                group: "dba".to_owned(),
                quorum: 2,
                escalation: None,
                step_up: None,
            },
            at: at(0),
            lapses: at(100),
        }
    }

    fn standing() -> Standing {
        let connection = ConnectionFacts {
            name: "prod".to_owned(),
            environment: "production".to_owned(),
            protocol: ProtocolKind::Postgres,
            database: "shop".to_owned(),
            role: "app".to_owned(),
        };
        Standing { principal: principal(), connection }
    }

    fn tenure() -> Arc<Tenure> {
        Arc::new(Tenure::given_by_desk_assertion(GrantId::from_bits(1), ask(), (at(10), at(20))))
    }

    #[test]
    fn what_is_bound_makes_another_request() {
        type Edit = fn(&mut AccessAsk);
        let elsewhere = |issuer: &str| Some(issuer.to_owned());
        let edits: [Edit; 17] = [
            |a| a.connection = "other".to_owned(),
            |a| a.environment = "staging".to_owned(),
            |a| a.host = "other".to_owned(),
            |a| a.port = 5433,
            |a| a.database = "other".to_owned(),
            |a| a.role = "owner".to_owned(),
            |a| a.principal.kind = PrincipalKind::Workload,
            |a| a.principal.subject = "deckard".to_owned(),
            |a| a.principal.issuer = "https://other".to_owned(),
            |a| a.principal.acting_for = None,
            |a| a.principal.acting_for = Some("bo".to_owned()),
            |a| a.principal.acting_for_issuer = Some("https://other".to_owned()),
            |a| a.seconds = 61,
            |a| a.reason = "INC-8".to_owned(),
            |a| a.approvers.group = "leads".to_owned(),
            |a| a.approvers.quorum = 1,
            |a| {
                a.approvers.escalation = Some(Escalation { to: "x".to_owned(), after_seconds: 5 });
            },
        ];
        for (n, edit) in edits.iter().enumerate() {
            let mut other = ask();
            edit(&mut other);
            assert_ne!(other.digest(), ask().digest(), "{n}");
        }
        // When it was asked, by which token and as what groups, is not part of it.
        let mut same = ask();
        same.at = at(5);
        same.lapses = at(500);
        same.principal.token_id = Some("t".to_owned());
        same.principal.acting_for_issuer = elsewhere("https://issuer");
        assert_eq!(same.digest(), ask().digest());
    }

    #[test]
    fn a_tenure_is_for_its_session_alone() {
        let check = |edit: fn(&mut Standing), expect: bool| {
            let mut standing = standing();
            edit(&mut standing);
            let hold = Entitlement::granted(tenure()).of(&standing);
            assert_eq!(hold.look(false, at(15)).is_ok(), expect, "{standing:?}");
        };
        check(|_| {}, true);
        check(|s| s.connection.name = "other".to_owned(), false);
        check(|s| s.connection.role = "owner".to_owned(), false);
        check(|s| s.connection.environment = "staging".to_owned(), false);
        check(|s| s.connection.database = "other".to_owned(), false);
        check(|s| s.principal.subject = "deckard".to_owned(), false);
        check(|s| s.principal.issuer = "https://other".to_owned(), false);
        check(|s| s.principal.kind = PrincipalKind::Person, false);
        check(|s| s.principal.acting_for = None, false);
        check(|s| s.principal.acting_for = Some("bo".to_owned()), false);
        check(|s| s.principal.acting_for_issuer = Some("https://other".to_owned()), false);
        let open = Entitlement::open_by_configuration_assertion("prod");
        assert!(open.clone().of(&standing()).look(false, at(0)).is_ok());
        let mut elsewhere = standing();
        elsewhere.connection.name = "other".to_owned();
        assert_eq!(open.of(&elsewhere).look(false, at(0)).unwrap_err(), Unentitled::Other);
    }

    #[test]
    fn a_tenure_ends_by_itself_and_once_and_for_all() {
        let tenure = tenure();
        let hold = Entitlement::granted(Arc::clone(&tenure)).of(&standing());
        let ended = Unentitled::Ended { grant: tenure.id(), until: at(20) };
        assert_eq!(hold.look(false, at(9)).unwrap_err(), ended, "it has not begun");
        assert!(hold.look(false, at(10)).is_ok() && hold.look(false, at(19)).is_ok());
        assert_eq!(hold.look(false, at(20)).unwrap_err(), ended);
        tenure.is_known(false);
        assert_eq!(hold.look(false, at(15)).unwrap_err(), Unentitled::Unknown);
        assert_eq!(hold.look(false, at(20)).unwrap_err(), ended);
        let undone = hold.look(true, at(15)).unwrap();
        assert!(hold.look_again(undone, at(15)).is_ok(), "locks are not kept for that");
        assert_eq!(hold.look(true, at(20)).unwrap_err(), ended);
        tenure.is_known(true);
        let done = hold.look(false, at(15)).unwrap();
        tenure.is_known(false);
        assert_eq!(hold.look_again(done, at(15)).unwrap_err(), Unentitled::Unknown);
        tenure.is_known(true);
        assert!(hold.look(false, at(15)).is_ok());
        tenure.end();
        assert_eq!(hold.look(true, at(15)).unwrap_err(), ended);
        for known in [true, false, true] {
            tenure.is_known(known);
            assert_eq!(hold.look(false, at(15)).unwrap_err(), ended);
        }
    }

    #[test]
    fn a_second_group_is_asked_when_it_is_time() {
        let mut approvers = ask().approvers;
        approvers.escalation = Some(Escalation { to: "leads".to_owned(), after_seconds: 5 });
        let of = |micros| approvers.groups(at(0), at(micros)).into_iter().collect::<Vec<_>>();
        assert_eq!(of(4_999_999), ["dba"]);
        assert_eq!(of(5_000_000), ["dba", "leads"]);
    }
}
