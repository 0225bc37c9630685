//! The judge of a gate, behind what is frozen and what takes a grant: no word of the judge's comes out of
//! here that was not asked for with nothing in the way. Where every decision of the gate is made.

use super::Moment;
use super::refusals::{frozen, unentitled};
use crate::access::{Clear, Entitlement, Hold, Unentitled};
use crate::effect::Operation;
use crate::freeze::{Freezes, Watch};
use crate::id::GrantId;
use crate::passkey::StepUp;
use crate::refusal::{RefusalClass, Retry};
use crate::time::Timestamp;
use crate::verdict::{Approvals, Circumstances, Ground, Judge, Obligations, Standing, Verdict};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A judge that is asked only where nothing is frozen, and the session has a right to be there.
pub(super) struct Bench<J> {
    // INVARIANT: private to this module, so that no other way leads to a verdict.
    judge: J,
    watch: Watch,
    hold: Hold,
}

/// A [`Verdict`] after a look at what may be in the way.
pub(super) enum Ruling {
    Permit(Obligations, Clear),
    Hold {
        groups: BTreeSet<String>,
        ground: Ground,
        rehearse: Option<Duration>,
        step_up: Option<StepUp>,
    },
    Refuse {
        class: RefusalClass,
        retry: Retry,
        ground: Ground,
    },
}

/// What is in the way.
pub(super) struct Barred {
    pub(super) class: RefusalClass,
    pub(super) retry: Retry,
    pub(super) ground: Ground,
}

impl<J: Judge> Bench<J> {
    pub(super) fn new(
        judge: J,
        freezes: Arc<dyn Freezes>,
        entitlement: Entitlement,
        standing: &Standing,
    ) -> Self {
        let concerns = !standing.principal.is_person_alone();
        let watch = Watch::new(freezes, concerns, &standing.connection.name);
        Self { judge, watch, hold: entitlement.of(standing) }
    }

    /// From now on another judge is asked.
    pub(super) fn judge_by(&mut self, judge: J) {
        self.judge = judge;
    }

    /// The ruling on a log-in, with the settings asked for in it. It writes nothing.
    pub(super) fn admit(&self, operation: &Operation, at: Timestamp) -> Ruling {
        let looked = self.look_for(false, false, operation, at);
        self.rule(looked, operation, &Circumstances::default(), &Approvals::new(), at)
    }

    /// The ruling on one operation, given the groups that have approved it, at a moment.
    pub(super) fn decide(
        &self,
        operation: &Operation,
        circumstances: &Circumstances,
        approvals: &Approvals,
        at: Timestamp,
    ) -> Ruling {
        let looked = self.look(operation, circumstances, at);
        self.rule(looked, operation, circumstances, approvals, at)
    }

    /// What is in the way of an operation, where something is: what [`Bench::decide`] would refuse it for.
    pub(super) fn barred(
        &self,
        operation: &Operation,
        circumstances: &Circumstances,
        at: Timestamp,
    ) -> Option<Barred> {
        self.look(operation, circumstances, at).err()
    }

    fn look(
        &self,
        operation: &Operation,
        circumstances: &Circumstances,
        at: Timestamp,
    ) -> Result<Clear, Barred> {
        let keeps = circumstances.unkept && !operation.only_rolls_back();
        self.look_for(keeps || operation.writes(), circumstances.unkept, operation, at)
    }

    fn look_for(
        &self,
        writes: bool,
        unkept: bool,
        operation: &Operation,
        at: Timestamp,
    ) -> Result<Clear, Barred> {
        let undoes = operation.only_rolls_back();
        let entitled = self.hold.look(undoes, at);
        let entitled = entitled.map_err(|why| lacking(&why, &operation.to_string()))?;
        match self.watch.look(writes, at) {
            Ok(unfrozen) => Ok(Clear::new(unfrozen, entitled)),
            Err(why) => {
                let (class, ground) = frozen(&why, &operation.to_string(), unkept);
                Err(Barred { class, retry: Retry::Later, ground })
            }
        }
    }

    /// How many whole minutes ago the grant began that the session stands on.
    pub(super) fn granted_minutes(&self, at: Timestamp) -> Option<u32> {
        self.hold.minutes(at)
    }

    fn rule(
        &self,
        looked: Result<Clear, Barred>,
        operation: &Operation,
        circumstances: &Circumstances,
        approvals: &Approvals,
        at: Timestamp,
    ) -> Ruling {
        let clear = match looked {
            Ok(clear) => clear,
            Err(Barred { class, retry, ground }) => return Ruling::Refuse { class, retry, ground },
        };
        let circumstances =
            Circumstances { granted_minutes: self.granted_minutes(at), ..circumstances.clone() };
        match self.judge.judge(operation, &circumstances, approvals) {
            Verdict::Permit(obligations) => Ruling::Permit(obligations, clear),
            Verdict::Hold { groups, ground, rehearse, step_up } => {
                Ruling::Hold { groups, ground, rehearse, step_up }
            }
            Verdict::Refuse { class, retry, ground } => Ruling::Refuse { class, retry, ground },
        }
    }

    /// What has come in the way since a ruling, where something has. `what` is what the caller is told of
    /// it.
    pub(super) fn since(
        &self,
        before: Clear,
        what: impl Fn() -> String,
        moment: Moment,
    ) -> Option<Barred> {
        if let Err(why) = self.hold.look_again(before.entitled(), moment.at) {
            return Some(lacking(&why, &what()));
        }
        let why = self.watch.look_again(before.unfrozen(), moment.at).err()?;
        let (class, ground) = frozen(&why, &what(), false);
        Some(Barred { class, retry: Retry::Later, ground })
    }

    /// The grant the session stands on.
    pub(super) fn grant(&self) -> Option<GrantId> {
        self.hold.grant()
    }

    pub(super) fn policy_version(&self) -> &str {
        self.judge.policy_version()
    }
}

/// A session without a right to be there.
fn lacking(why: &Unentitled, what: &str) -> Barred {
    let (class, retry, ground) = unentitled(why, what);
    Barred { class, retry, ground }
}
