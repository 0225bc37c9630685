//! The judge and its verdicts: may it run, may it run unreviewed, what must be masked.

use crate::effect::Operation;
use crate::limits::Limits;
use crate::mask::Redactor;
use crate::passkey::StepUp;
use crate::principal::Principal;
use crate::protocol::ProtocolKind;
use crate::refusal::{RefusalClass, Retry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The connection a session is bound to, as policy sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionFacts {
    /// Its configured name.
    pub name: String,
    /// Its environment (`production`, `staging`…).
    pub environment: String,
    /// The protocol it speaks.
    pub protocol: ProtocolKind,
    /// The database at the target.
    pub database: String,
    /// The role the gateway uses at the target.
    pub role: String,
}

/// What surrounds a request and may change its verdict.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Circumstances {
    /// True inside a transaction the caller has opened.
    pub in_transaction: bool,
    /// True where what the open transaction (or pipeline) has changed is not committed yet.
    pub unkept: bool,
    /// How many whole minutes ago the grant began that the session stands on; `None` where it stands on
    /// none. The gate says so, whatever it is given.
    pub granted_minutes: Option<u32>,
}

/// The groups that have approved this exact request.
pub type Approvals = BTreeSet<String>;

/// What the decision rests on, and what has to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ground {
    /// The deciding rule's `@id`.
    pub rule: String,
    /// Its `@reason`.
    pub reason: String,
    /// Its `@hint`: the legitimate next step.
    pub hint: Option<String>,
    /// The effect that decided, in words.
    pub what: String,
}

/// What a permit obliges the gateway to do with the answer.
#[derive(Debug, Clone)]
pub struct Obligations {
    /// How answers are masked.
    pub redactor: Arc<dyn Redactor>,
    /// The rules that permitted it, for the record.
    pub rules: Arc<[String]>,
    /// What the answer and the request may not go beyond; `None` where no rule sets a limit.
    pub limits: Option<Arc<Limits>>,
}

/// The answer of a [`Judge`].
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It may run, under these obligations.
    Permit(Obligations),
    /// It may run once each of these groups has approved this exact request.
    Hold {
        /// The reviewer groups asked, all of which must approve.
        groups: BTreeSet<String>,
        /// Why.
        ground: Ground,
        /// For how long its locks may be held while they decide on what they have seen it do;
        /// `None` where it may not be run before they have decided.
        rehearse: Option<Duration>,
        /// What who approves it has to show beside a token.
        step_up: Option<StepUp>,
    },
    /// It may not run.
    Refuse {
        /// The kind of refusal.
        class: RefusalClass,
        /// Whether asking again can help.
        retry: Retry,
        /// Why.
        ground: Ground,
    },
}

/// Decides on operations for one principal on one connection.
///
/// A judge is pure: the same arguments under the same policy version give the same verdict.
/// Anything it cannot evaluate is a [`Verdict::Refuse`], never a permit.
pub trait Judge: Send + Sync {
    /// The verdict on one operation, given the groups that have approved it.
    fn judge(
        &self,
        operation: &Operation,
        circumstances: &Circumstances,
        approvals: &Approvals,
    ) -> Verdict;

    /// The version of the policy in force: a digest of its text.
    fn policy_version(&self) -> &str;
}

/// Who is asking, and where: fixed for the life of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Standing {
    /// The verified caller.
    pub principal: Principal,
    /// The connection.
    pub connection: ConnectionFacts,
}
