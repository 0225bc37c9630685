//! The judge of a gate, behind what is frozen: no word of the judge's comes out of here that was not
//! asked for with no freeze in the way. Where every decision of the gate is made.

use super::Moment;
use super::refusals::frozen;
use crate::effect::Operation;
use crate::freeze::{Freezes, Unfrozen, Watch};
use crate::refusal::{RefusalClass, Retry};
use crate::time::Timestamp;
use crate::verdict::{Approvals, Circumstances, Ground, Judge, Obligations, Standing, Verdict};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A judge that is asked only where nothing is frozen.
pub(super) struct Bench<J> {
    // INVARIANT: private to this module, so that no other way leads to a verdict.
    judge: J,
    watch: Watch,
}

/// A [`Verdict`] after a look at what is frozen.
pub(super) enum Ruling {
    Permit(Obligations, Unfrozen),
    Hold { groups: BTreeSet<String>, ground: Ground, rehearse: Option<Duration> },
    Refuse { class: RefusalClass, retry: Retry, ground: Ground },
}

impl<J: Judge> Bench<J> {
    pub(super) fn new(judge: J, freezes: Arc<dyn Freezes>, standing: &Standing) -> Self {
        let concerns = !standing.principal.is_person_alone();
        Self { judge, watch: Watch::new(freezes, concerns, &standing.connection.name) }
    }

    /// The ruling on a log-in, with the settings asked for in it. It writes nothing.
    pub(super) fn admit(&self, operation: &Operation, at: Timestamp) -> Ruling {
        let looked = self.watch.look(false, at);
        let looked = looked.map_err(|why| frozen(&why, &operation.to_string(), false));
        self.rule(looked, operation, &Circumstances::default(), &Approvals::new())
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
        self.rule(looked, operation, circumstances, approvals)
    }

    /// Why an operation is frozen, where it is: what [`Bench::decide`] would refuse it for.
    pub(super) fn frozen(
        &self,
        operation: &Operation,
        circumstances: &Circumstances,
        at: Timestamp,
    ) -> Option<(RefusalClass, Ground)> {
        self.look(operation, circumstances, at).err()
    }

    fn look(
        &self,
        operation: &Operation,
        circumstances: &Circumstances,
        at: Timestamp,
    ) -> Result<Unfrozen, (RefusalClass, Ground)> {
        let keeps = circumstances.unkept && !operation.only_rolls_back();
        let looked = self.watch.look(keeps || operation.writes(), at);
        looked.map_err(|why| frozen(&why, &operation.to_string(), circumstances.unkept))
    }

    fn rule(
        &self,
        looked: Result<Unfrozen, (RefusalClass, Ground)>,
        operation: &Operation,
        circumstances: &Circumstances,
        approvals: &Approvals,
    ) -> Ruling {
        let unfrozen = match looked {
            Ok(unfrozen) => unfrozen,
            Err((class, ground)) => return Ruling::Refuse { class, retry: Retry::Later, ground },
        };
        match self.judge.judge(operation, circumstances, approvals) {
            Verdict::Permit(obligations) => Ruling::Permit(obligations, unfrozen),
            Verdict::Hold { groups, ground, rehearse } => Ruling::Hold { groups, ground, rehearse },
            Verdict::Refuse { class, retry, ground } => Ruling::Refuse { class, retry, ground },
        }
    }

    /// Why what was ruled on before is frozen by now, where it is. `what` is what the caller is told
    /// of it.
    pub(super) fn since(
        &self,
        before: Unfrozen,
        what: impl FnOnce() -> String,
        moment: Moment,
    ) -> Option<(RefusalClass, Ground)> {
        let why = self.watch.look_again(before, moment.at).err()?;
        Some(frozen(&why, &what(), false))
    }

    pub(super) fn policy_version(&self) -> &str {
        self.judge.policy_version()
    }
}
