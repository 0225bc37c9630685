//! Who is calling, after verification. First station on the life of a request.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// What kind of caller a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// A human being.
    Person,
    /// Software that decides by itself what to ask next.
    Agent,
    /// A program with a fixed job: a CI run, a service.
    Workload,
}

impl PrincipalKind {
    /// The name used in policies (`Person`, `Agent`, `Workload`).
    #[must_use]
    pub const fn entity_type(self) -> &'static str {
        match self {
            Self::Person => "Person",
            Self::Agent => "Agent",
            Self::Workload => "Workload",
        }
    }
}

/// A verified caller. Every field comes from a verified token or from configuration, never from
/// what the caller says of itself on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Principal {
    /// What kind of caller it is.
    pub kind: PrincipalKind,
    /// The stable identifier: the token's subject, unique within `issuer`.
    pub subject: String,
    /// The name people know it by; falls back to the subject.
    pub name: String,
    /// The issuer that vouches for it (OpenID Connect Core, `iss`).
    pub issuer: String,
    /// The person an agent or workload acts for, by that person's subject.
    pub acting_for: Option<String>,
    /// Groups, from the configured claim. Missing groups mean no rights.
    pub groups: BTreeSet<String>,
    /// The token's own id (`jti`), where it has one.
    pub token_id: Option<String>,
    /// When the token expires: a session does not outlive it.
    pub expires: Timestamp,
}

impl Principal {
    /// The person who answers for this principal: itself, or whom it acts for.
    #[must_use]
    pub fn person(&self) -> Option<&str> {
        match self.kind {
            PrincipalKind::Person => Some(&self.subject),
            PrincipalKind::Agent | PrincipalKind::Workload => self.acting_for.as_deref(),
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.acting_for {
            Some(person) => write!(f, " for {person}"),
            None => Ok(()),
        }
    }
}

/// A person who may decide reviews. An agent or a workload can never become one: the only way to
/// this type refuses them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewer(Principal);

/// Why a principal cannot decide reviews.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("only a person decides reviews; an agent's or a workload's token never can")]
pub struct NotAPerson;

impl Reviewer {
    /// The principal, if it is a person.
    ///
    /// # Errors
    /// [`NotAPerson`] for agents and workloads, whatever their groups say.
    pub fn new(principal: Principal) -> Result<Self, NotAPerson> {
        match principal.kind {
            PrincipalKind::Person => Ok(Self(principal)),
            PrincipalKind::Agent | PrincipalKind::Workload => Err(NotAPerson),
        }
    }

    /// The person.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.0
    }
}
