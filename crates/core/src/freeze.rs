//! Freezes: what administrators keep agents from doing, for a time, whatever policy says and whoever
//! has approved it. Before the judge, at every decision.
//!
//! *Architecture invariant:* a permit holds an [`Unfrozen`], which is made in one place, where it was
//! looked whether a freeze is in the way. What is not known to be unfrozen is frozen.

use crate::id::FreezeId;
use crate::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// What a freeze keeps agents from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FreezeScope {
    /// Whatever [writes](crate::effect::Operation::writes), and keeping what was written.
    Writes,
    /// Everything: to come in as well.
    Everything,
}

impl FreezeScope {
    /// Every scope.
    pub const ALL: &'static [Self] = &[Self::Writes, Self::Everything];

    /// The word used in the store, in JSON and to people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Writes => "writes",
            Self::Everything => "everything",
        }
    }
}

impl fmt::Display for FreezeScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Agents are kept from something until a moment. Agents are all who are no
/// [persons by themselves](crate::principal::Principal::is_person_alone).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Freeze {
    /// Which.
    pub id: FreezeId,
    /// From what.
    pub scope: FreezeScope,
    /// On which connection; on all where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// Why: agents read it.
    pub reason: String,
    /// The administrator's name.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

impl Freeze {
    /// Whether it is in the way of a request on this connection at that moment.
    #[must_use]
    pub fn stops(&self, connection: &str, writes: bool, at: Timestamp) -> bool {
        at < self.until
            && self.connection.as_deref().is_none_or(|only| only == connection)
            && (writes || self.scope == FreezeScope::Everything)
    }
}

/// What agents are told.
impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, scope, connection, reason, by, until, .. } = self;
        write!(f, "{scope} by agents")?;
        if let Some(connection) = connection {
            write!(f, " on {connection}")?;
        }
        let are = if *scope == FreezeScope::Writes { "are" } else { "is" };
        write!(f, " {are} frozen by {by} until {until:.0}: {reason}; {id}")
    }
}

/// Nobody knows what is frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be read what is frozen, so agents do nothing")]
pub struct FreezesUnknown;

/// The freezes there are, at one moment.
#[derive(Debug, Clone)]
pub struct InForce {
    /// Another one whenever the freezes are others.
    pub generation: u64,
    /// All that were not thawed; their time may be over.
    pub freezes: Result<Arc<[Freeze]>, FreezesUnknown>,
}

/// What is frozen now. Asked for every request, so that it has to be quick, and never waits.
pub trait Freezes: Send + Sync {
    /// The number of what is in force now.
    fn generation(&self) -> u64;

    /// What is in force now.
    fn in_force(&self) -> InForce;
}

/// Proof that it was looked whether a freeze is in the way of a request, and none was.
#[derive(Debug, Clone, Copy)]
pub struct Unfrozen {
    /// Of the freezes that were looked at; `None` where the caller is no agent.
    seen: Option<u64>,
    writes: bool,
}

/// Looks whether a freeze is in the way of what one session asks for.
pub(crate) struct Watch {
    freezes: Arc<dyn Freezes>,
    /// True where the caller is an agent.
    concerns: bool,
    connection: String,
}

/// Why a request is frozen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frozen {
    By(Freeze),
    Unknown(FreezesUnknown),
}

impl Watch {
    pub(crate) fn new(freezes: Arc<dyn Freezes>, concerns: bool, connection: &str) -> Self {
        Self { freezes, concerns, connection: connection.to_owned() }
    }

    /// Whether nothing is in the way.
    pub(crate) fn look(&self, writes: bool, at: Timestamp) -> Result<Unfrozen, Frozen> {
        if !self.concerns {
            return Ok(Unfrozen { seen: None, writes });
        }
        let InForce { generation, freezes } = self.freezes.in_force();
        let freezes = freezes.map_err(Frozen::Unknown)?;
        let stops = |freeze: &&Freeze| freeze.stops(&self.connection, writes, at);
        match freezes.iter().filter(stops).max_by_key(|freeze| freeze.until) {
            Some(freeze) => Err(Frozen::By(freeze.clone())),
            None => Ok(Unfrozen { seen: Some(generation), writes }),
        }
    }

    /// Whether nothing has come in the way since.
    pub(crate) fn look_again(&self, before: Unfrozen, at: Timestamp) -> Result<(), Frozen> {
        match before.seen {
            Some(seen) if seen != self.freezes.generation() => {
                self.look(before.writes, at).map(drop)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn freeze(scope: FreezeScope, connection: Option<&str>, until: i64) -> Freeze {
        Freeze {
            id: FreezeId::from_bits(1),
            scope,
            connection: connection.map(str::to_owned),
            reason: "a bad deploy".to_owned(),
            by: "bo".to_owned(),
            since: Timestamp::from_micros(0),
            until: Timestamp::from_micros(until),
        }
    }

    #[test]
    fn a_freeze_has_a_scope_a_place_and_an_end() {
        let at = Timestamp::from_micros;
        let writes = freeze(FreezeScope::Writes, Some("shop"), 10);
        assert!(writes.stops("shop", true, at(9)));
        assert!(!writes.stops("shop", true, at(10)), "it is over");
        assert!(!writes.stops("shop", false, at(9)), "it only reads");
        assert!(!writes.stops("other", true, at(9)));
        let everything = freeze(FreezeScope::Everything, None, 10);
        assert!(everything.stops("shop", false, at(9)) && everything.stops("other", true, at(9)));
        assert_eq!(
            writes.to_string(),
            "writes by agents on shop are frozen by bo until 1970-01-01T00:00:00Z: a bad deploy; \
             frz_0000000000001"
        );
    }

    struct Told(Mutex<InForce>);

    impl Freezes for Told {
        fn generation(&self) -> u64 {
            self.0.lock().unwrap().generation
        }
        fn in_force(&self) -> InForce {
            self.0.lock().unwrap().clone()
        }
    }

    #[test]
    fn what_is_not_known_to_be_unfrozen_is_frozen_for_agents() {
        let at = Timestamp::from_micros(1);
        let none = InForce { generation: 1, freezes: Ok(Arc::new([])) };
        let told = Arc::new(Told(Mutex::new(none.clone())));
        let agent = Watch::new(told.clone(), true, "shop");
        let person = Watch::new(told.clone(), false, "shop");
        let (before, exempt) = (agent.look(true, at).unwrap(), person.look(true, at).unwrap());
        agent.look_again(before, at).unwrap();
        let unknown = InForce { generation: 2, freezes: Err(FreezesUnknown) };
        *told.0.lock().unwrap() = unknown;
        assert_eq!(agent.look(false, at).unwrap_err(), Frozen::Unknown(FreezesUnknown));
        assert!(agent.look_again(before, at).is_err(), "it came since");
        assert!(person.look(true, at).is_ok() && person.look_again(exempt, at).is_ok());
        // Of two, the one that is told is the one that lasts.
        let [short, long] = [5, 10].map(|until| freeze(FreezeScope::Writes, None, until));
        let both = InForce { generation: 3, freezes: Ok(Arc::new([long.clone(), short])) };
        *told.0.lock().unwrap() = both;
        assert_eq!(agent.look(true, at).unwrap_err(), Frozen::By(long));
        let reads = agent.look(false, at).unwrap();
        assert!(agent.look_again(reads, at).is_ok(), "reads are not meant");
        *told.0.lock().unwrap() = none;
        assert!(agent.look_again(before, at).is_ok());
    }
}
