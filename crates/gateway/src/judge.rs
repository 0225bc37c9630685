//! The judge of one session: policy over effects, and which columns its principal may see.

mod behind;
mod flows;
mod reveal;
mod told;
mod viewer;

use crate::generation::ConnectionServices;
use crate::labels::{Columns, Making};
use portcullis_core::effect::Operation;
use portcullis_core::mask::{ColumnRef, Lineage, NewColumn, Origin, Reveal};
use portcullis_core::passkey::StepUp;
use portcullis_core::principal::Principal;
use portcullis_core::refusal::{RefusalClass, Retry, rule};
use portcullis_core::verdict::{Approvals, Circumstances, Ground, Judge, Obligations, Verdict};
use portcullis_mask::written::Found;
use portcullis_mask::{Detectors, Kind, PseudonymKey, Recognizer, StatementRedactor};
use portcullis_policy::{Decision, Hidden, SessionPolicy, both_rehearse};
use portcullis_sql::catalog::Catalog;
use reveal::{Deciding, SessionReveal};
pub(crate) use reveal::{names_column, uncovered};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
pub(crate) use viewer::Unmasked;
use viewer::Viewer;

/// Decides for one principal on one connection.
#[derive(Clone)]
pub(crate) struct SessionJudge {
    parts: Arc<Parts>,
}

struct Parts {
    policy: Arc<SessionPolicy>,
    reveal: Arc<SessionReveal>,
    detectors: Arc<Detectors>,
    key: Arc<PseudonymKey>,
    recognizer: Recognizer,
    /// What its connection asks of whoever approves.
    step_up: Option<StepUp>,
}

impl SessionJudge {
    /// A judge from the session's slice of the policy and what masking on its connection needs.
    pub(crate) fn new(
        policy: SessionPolicy,
        principal: &Principal,
        connection: &ConnectionServices,
    ) -> Self {
        let policy = Arc::new(policy);
        let reveal = Arc::new(SessionReveal {
            policy: policy.clone(),
            sensitive: connection.sensitive.clone(),
            viewer: Viewer::of(principal),
            labels: connection.labels.clone(),
            shared: connection.unmasked.clone(),
            known: Mutex::default(),
        });
        let (detectors, key) = (connection.detectors.clone(), connection.key.clone());
        let recognizer = Recognizer::new(key.clone());
        let step_up = connection.settings.step_up;
        Self { parts: Arc::new(Parts { policy, reveal, detectors, key, recognizer, step_up }) }
    }

    /// True where a rule limits how often the principal asks.
    pub(crate) fn limits_rates(&self) -> bool {
        self.parts.policy.limits_rates()
    }

    /// The columns are those of this catalog from now on.
    pub(crate) fn use_catalog(&self, catalog: Arc<Catalog>) {
        self.parts.reveal.use_catalog(catalog);
    }

    /// True where a mask rule names no column of the catalog in use.
    pub(crate) fn lacks_a_column(&self) -> bool {
        self.parts.reveal.known().lacks
    }

    /// The redactor for the answers to parts with these lineages.
    pub(crate) fn redactor(&self, lineages: &[Arc<Lineage>]) -> StatementRedactor {
        let parts = &self.parts;
        let reveal: Arc<dyn Reveal> = parts.reveal.clone();
        let types = parts.reveal.known().catalog.as_ref().map(|c| c.type_map().clone());
        StatementRedactor::new(lineages, reveal, parts.detectors.clone(), parts.key.clone())
            .with_types(types.unwrap_or_default())
    }

    /// What of the answers to an operation is masked, in words, as far as its statements say; and the
    /// detectors that look at every text of them.
    pub(crate) fn masked(&self, operation: &Operation) -> (BTreeSet<String>, BTreeSet<&str>) {
        let parts = &self.parts;
        let answers = |lineage: &Arc<Lineage>| {
            lineage.outputs.as_ref().is_none_or(|outputs| !outputs.is_empty())
        };
        let any = operation.lineages.iter().any(answers);
        let kinds = Kind::ALL.iter().filter(|kind| any && parts.detectors.has(**kind));
        (parts.reveal.masked(&operation.lineages), kinds.map(|kind| kind.name()).collect())
    }

    /// True where the principal is shown masked values of this connection at all.
    pub(crate) fn masks_anything(&self) -> bool {
        !self.parts.detectors.is_empty() || self.parts.reveal.hides_anything()
    }

    /// A masked value in what goes into these columns.
    pub(crate) fn find_masked(&self, value: &[u8], columns: &[ColumnRef]) -> Option<Found> {
        if !self.masks_anything() {
            return None;
        }
        let recognizer = &self.parts.recognizer;
        recognizer.find(value).or_else(|| {
            let mut strategies = columns.iter().filter_map(|c| self.parts.reveal.hidden(*c));
            strategies.find_map(|strategy| recognizer.is_shaped(value, &strategy))
        })
    }

    /// What policy says of the columns hidden from the principal that would decide on an answer.
    fn decides(
        &self,
        operation: &Operation,
        circumstances: &Circumstances,
        approvals: &Approvals,
    ) -> Option<Decision> {
        let (database, columns) = match self.parts.reveal.deciding(operation) {
            Deciding::None => return None,
            Deciding::Untold => return Some(untold_conditions(operation)),
            Deciding::Columns(database, columns) => (database, columns),
        };
        let hidden = columns.iter().map(|c| Hidden {
            path: [&database, &c.schema, &c.relation, &c.column],
            labels: c.labels.clone(),
        });
        let hidden: Vec<_> = hidden.collect();
        Some(self.parts.policy.infer(&hidden, operation, circumstances, approvals))
    }

    /// The catalog in use.
    pub(crate) fn catalog(&self) -> Option<Arc<Catalog>> {
        self.parts.reveal.known().catalog.clone()
    }

    /// The tables that an operation makes of columns that are masked for somebody.
    pub(crate) fn makings(&self, operation: &Operation) -> Vec<Making> {
        let reveal = &self.parts.reveal;
        let making = |lineage: &Arc<Lineage>| {
            let table = lineage.makes.as_deref()?;
            let columns = match &table.columns {
                Some(columns) => Columns::Told(columns.len(), reveal.kept_of(columns, lineage)),
                None => Columns::Untold,
            };
            let needed = match &columns {
                Columns::Told(_, kept) => !kept.is_empty(),
                Columns::Untold => reveal.masks_for_somebody(),
            };
            let (name, lenient) = (table.name.clone(), table.lenient);
            needed.then_some(Making { there: None, name, lenient, columns })
        };
        let refilled = |lineage: &Arc<Lineage>| {
            let all = lineage.refills.iter().filter_map(|r| reveal.refilled(r, lineage));
            all.collect::<Vec<_>>()
        };
        let made = operation.lineages.iter().filter_map(making);
        made.chain(operation.lineages.iter().flat_map(refilled)).collect()
    }

    /// True where a value the principal may not see would reach a place other than the answer, and
    /// other than a new table, which can be masked like what it came from.
    fn launders(&self, operation: &Operation) -> bool {
        let reveal = &self.parts.reveal;
        operation.lineages.iter().any(|lineage| {
            let made = lineage.makes.as_deref().map(|table| table.columns.iter().flatten());
            // What is not in the catalog has no name to be asked about.
            let unnamed = |c: &NewColumn| !reveal.can_name(&c.origin);
            if made.into_iter().flatten().any(unnamed) && reveal.hides_anything() {
                return true;
            }
            if !lineage.fills.iter().all(|fill| reveal.may_fill(fill))
                || !lineage.moves.iter().all(|way| reveal.may_move(way))
            {
                return true;
            }
            // What cannot be told now might leave a label that stays.
            let untold = lineage.refills.iter().any(|refill| refill.columns.is_none());
            if untold && reveal.masks_for_somebody() {
                return true;
            }
            lineage.sinks.iter().any(|origin| match origin {
                Origin::Columns(columns) => columns.iter().any(|c| reveal.hides(*c)),
                Origin::Untraced => {
                    lineage.unresolved && reveal.hides_anything()
                        || lineage.relations.iter().any(|r| reveal.relation_hides(*r))
                }
            })
        })
    }
}

impl Judge for SessionJudge {
    fn judge(
        &self,
        operation: &Operation,
        circumstances: &Circumstances,
        approvals: &Approvals,
    ) -> Verdict {
        let decision = self.parts.policy.decide(operation, circumstances, approvals);
        if let Decision::Refuse { class, retry, ground } = decision {
            return Verdict::Refuse { class, retry, ground };
        }
        // No approval lifts this, so nobody is asked for one.
        if self.launders(operation) {
            return Verdict::Refuse {
                class: RefusalClass::Policy,
                retry: Retry::AfterChange,
                ground: laundering(operation),
            };
        }
        let decision = match self.decides(operation, circumstances, approvals) {
            Some(inference) => both(decision, inference),
            None => decision,
        };
        let (rules, limits) = match decision {
            Decision::Allow { rules, limits } => (rules, limits),
            Decision::Hold { groups, ground, rehearse, step_up } => {
                let step_up = step_up.or(self.parts.step_up);
                return Verdict::Hold { groups, ground, rehearse, step_up };
            }
            Decision::Refuse { class, retry, ground } => {
                return Verdict::Refuse { class, retry, ground };
            }
        };
        let redactor = Arc::new(self.redactor(&operation.lineages));
        Verdict::Permit(Obligations { redactor, rules, limits })
    }

    fn policy_version(&self) -> &str {
        self.parts.policy.version()
    }
}

fn laundering(operation: &Operation) -> Ground {
    Ground {
        rule: rule::MASKED_STAYS_MASKED.to_owned(),
        reason:
            "values of masked columns would reach where they are not masked: what is written, a \
                 setting, another name, how many rows there are"
                .to_owned(),
        hint: Some("leave the masked columns out of that part of the statement".to_owned()),
        what: operation.to_string(),
    }
}

/// Two decisions on one request: it may run where both let it.
fn both(one: Decision, other: Decision) -> Decision {
    match (one, other) {
        (refuse @ Decision::Refuse { .. }, _) | (_, refuse @ Decision::Refuse { .. }) => refuse,
        (
            Decision::Hold { mut groups, ground, rehearse, step_up },
            Decision::Hold { groups: more, rehearse: other, step_up: shows, .. },
        ) => {
            groups.extend(more);
            let (rehearse, step_up) = (both_rehearse(rehearse, other), step_up.or(shows));
            Decision::Hold { groups, ground, rehearse, step_up }
        }
        (hold @ Decision::Hold { .. }, _) | (_, hold @ Decision::Hold { .. }) => hold,
        (Decision::Allow { rules, limits }, Decision::Allow { rules: more, limits: tighter }) => {
            let mut all = limits.as_deref().cloned().unwrap_or_default();
            tighter.iter().for_each(|limits| all.tighten_all(limits));
            Decision::Allow {
                rules: rules.iter().chain(more.iter()).cloned().collect(),
                limits: (!all.is_empty()).then(|| Arc::new(all)),
            }
        }
    }
}

/// What decides cannot be traced, and there are columns that are hidden.
fn untold_conditions(operation: &Operation) -> Decision {
    let reads = |name: &str| {
        let mut relations = operation.effects.iter().map(|e| &e.object);
        relations.any(|o| o.path.last().is_some_and(|last| &**last == name))
    };
    let hint = match reads("pg_stat_activity") {
        true => {
            "leave the column query out of conditions: it shows other sessions' statements (choose \
                 your own out by pid <> pg_backend_pid())"
        }
        false => "choose rows by columns of tables, one statement at a time",
    };
    Decision::Refuse {
        class: RefusalClass::Policy,
        retry: Retry::AfterChange,
        ground: Ground {
            rule: rule::MASKED_CONDITIONS.to_owned(),
            reason: "rows, groups or order would depend on something that cannot be traced, and \
                     there are columns that are masked for you"
                .to_owned(),
            hint: Some(hint.to_owned()),
            what: operation.to_string(),
        },
    }
}
