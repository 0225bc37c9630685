//! The judge of one session: policies sliced to its caller and connection, asked effect by effect.
//! Stands between the codec, which says what a request would do, and the gate.

use crate::cache::VerdictCache;
use crate::facts::{self, GrantFacts, Place, RequestFacts, Unspeakable};
use crate::load::{ACTIONS, INFER, MaskBy, Policies, REVEAL, Rule};
use crate::words::effect_in_words;
use cedar_policy::{
    AuthorizationError, Authorizer, Context, Effect as Side, Entity, EntityUid, PolicySet,
    PrincipalConstraint, Request, ResourceConstraint, Response,
};
use portcullis_core::effect::{Certainty, Effect, Extent, Operation, Verb};
use portcullis_core::limits::{LimitKind, Limits};
use portcullis_core::mask::Strategy;
use portcullis_core::passkey::StepUp;
use portcullis_core::refusal::rule::{DEFAULT_DENY, MASKED_CONDITIONS, POLICY_ERROR};
use portcullis_core::refusal::{RefusalClass, Retry};
use portcullis_core::verdict::{Approvals, Circumstances, Ground, Standing};
use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Most effects of one request: a decision on more would hold up everybody else.
const MAX_EFFECTS: usize = 10_000;
/// Most effects of one request that are explained.
const MAX_EXPLAINED: usize = 200;
/// Most sliced policy sets kept for all sessions together.
const MAX_SLICES: usize = 4_096;

/// The answer to one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It may run.
    Allow {
        /// The ids of the permits that matched, in policy order.
        rules: Arc<[String]>,
        /// What it may not go beyond; `None` where no rule sets a limit.
        limits: Option<Arc<Limits>>,
    },
    /// It may run once each of these groups has approved this exact request.
    Hold {
        /// The groups still to be asked.
        groups: BTreeSet<String>,
        /// The first forbid an approval lifts.
        ground: Ground,
        /// For how long it may be run for show, where every rule that asks for a review says so.
        rehearse: Option<Duration>,
        /// What who approves it has to show beside a token, where any rule says so.
        step_up: Option<StepUp>,
    },
    /// It may not run.
    Refuse {
        /// The kind of refusal.
        class: RefusalClass,
        /// Whether asking again can help.
        retry: Retry,
        /// The deciding rule and its words.
        ground: Ground,
    },
}

/// The answer on one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reveal {
    /// Its values may be seen.
    Show,
    /// Its values are masked.
    Mask {
        /// How.
        strategy: Strategy,
        /// By which rule.
        rule: String,
    },
}

/// A rule that matches an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchedRule {
    /// Its `@id`.
    pub id: String,
    /// It forbids; else it permits.
    pub forbids: bool,
    /// Its `@reason`.
    pub reason: String,
    /// Its `@hint`.
    pub hint: Option<String>,
    /// The group that lifts it by an approval.
    pub review: Option<String>,
    /// The file it stands in, as it was given.
    pub file: String,
    /// The line there, from 1.
    pub line: usize,
}

/// What all rules say of one effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedEffect {
    /// The effect, in words.
    pub what: String,
    /// The rules that match, in policy order; those that would permit it also where others forbid it.
    pub rules: Vec<MatchedRule>,
    /// Why the rules could not be asked, where they could not: a refusal.
    pub failed: Option<String>,
}

/// The judge of one session.
pub struct SessionPolicy {
    policies: Arc<Policies>,
    place: Place,
    database: String,
    principal: EntityUid,
    /// `None` where the caller cannot be said in Cedar: then nothing is decided.
    caller: Option<Entity>,
    /// Rules whose scope can admit this caller and this connection.
    rules: Vec<usize>,
    /// The policies that can decide on each action, once it was asked about.
    slices: [OnceLock<Option<Arc<PolicySet>>>; ACTIONS],
    authorizer: Authorizer,
    cache: VerdictCache,
}

impl fmt::Debug for SessionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionPolicy({}, {} rules)", self.principal, self.rules.len())
    }
}

/// What Cedar says of one effect.
enum Answer {
    Allowed(Vec<usize>),
    /// The forbids that matched, in policy order; empty where no permit did.
    Refused(Vec<usize>),
    Failed(String),
}

/// The answer on all effects under one set of approvals.
enum Outcome {
    Allow(BTreeSet<usize>),
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

impl Policies {
    /// The judge for one caller on one connection. `admitted` are the groups that the
    /// connection's configuration admits.
    #[must_use]
    pub fn for_session(
        self: &Arc<Self>,
        standing: &Standing,
        admitted: &[String],
    ) -> SessionPolicy {
        let place = Place::new(&standing.connection, admitted);
        let caller = facts::principal(&self.types, &standing.principal).ok();
        let scope = Scope {
            policies: self,
            principal: self.types.principal(&standing.principal),
            groups: standing.principal.groups.iter().map(|g| self.types.group(g)).collect(),
            environment: self.types.environment(&standing.connection.environment),
            connection: &place.id,
        };
        let rules = self.rules.iter().enumerate().filter(|(_, rule)| scope.admits(rule));
        SessionPolicy {
            rules: rules.map(|(i, _)| i).collect(),
            principal: scope.principal.clone(),
            policies: Arc::clone(self),
            database: standing.connection.database.clone(),
            place,
            caller,
            slices: [const { OnceLock::new() }; ACTIONS],
            authorizer: Authorizer::new(),
            cache: VerdictCache::default(),
        }
    }

    /// The policy set of these rules, shared by all sessions that have the same.
    fn slice(&self, rules: Vec<usize>) -> Option<Arc<PolicySet>> {
        let mut slices = self.slices.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(set) = slices.get(&rules) {
            return Some(Arc::clone(set));
        }
        let members = rules.iter().filter_map(|i| self.rules.get(*i));
        let set = PolicySet::from_policies(members.map(|rule| rule.policy.clone())).ok()?;
        let set = Arc::new(set);
        if slices.len() < MAX_SLICES {
            slices.insert(rules, Arc::clone(&set));
        }
        Some(set)
    }
}

/// What a session's requests have in common, as far as the scope of a policy can tell.
struct Scope<'a> {
    policies: &'a Policies,
    principal: EntityUid,
    groups: HashSet<EntityUid>,
    environment: EntityUid,
    connection: &'a str,
}

impl Scope<'_> {
    /// False only where the policy can never match in this session: leaving it out changes nothing.
    fn admits(&self, rule: &Rule) -> bool {
        let among = |uid: &EntityUid| *uid == self.principal || self.groups.contains(uid);
        let is = |name| self.principal.type_name() == name;
        let principal = match &rule.policy.principal_constraint() {
            PrincipalConstraint::Any => true,
            PrincipalConstraint::In(uid) => among(uid),
            PrincipalConstraint::Eq(uid) => *uid == self.principal,
            PrincipalConstraint::Is(name) => is(name),
            PrincipalConstraint::IsIn(name, uid) => is(name) && among(uid),
        };
        principal
            && match &rule.policy.resource_constraint() {
                ResourceConstraint::Any | ResourceConstraint::Is(_) => true,
                ResourceConstraint::In(uid)
                | ResourceConstraint::Eq(uid)
                | ResourceConstraint::IsIn(_, uid) => self.holds(uid),
            }
    }

    /// False only for an object outside this connection.
    fn holds(&self, uid: &EntityUid) -> bool {
        let types = &self.policies.types;
        if types.is_environment(uid.type_name()) {
            return *uid == self.environment;
        }
        let id: &str = uid.id().unescaped();
        let below = |rest: &str| rest.is_empty() || rest.starts_with('/');
        !types.is_object(uid.type_name()) || id.strip_prefix(self.connection).is_some_and(below)
    }
}

impl SessionPolicy {
    /// The same, for a session that stands on a grant.
    #[must_use]
    pub fn with_grant(mut self, grant: Option<GrantFacts>) -> Self {
        self.place.grant = grant;
        self
    }

    /// Decides on an operation, given the groups that have approved this exact request.
    ///
    /// Every effect must be allowed; one that is refused refuses them all; where approvals alone
    /// are missing, the request is held for every group that must still approve.
    pub fn decide(
        &self,
        operation: &Operation,
        circumstances: &Circumstances,
        approvals: &Approvals,
    ) -> Decision {
        // INVARIANT: a decision is a function of the effects, the kinds, the circumstances and
        // the approvals, under a standing and a policy version that are fixed for the session.
        // No fact that reaches Cedar holds a literal of the request, a time or a random number (how
        // old a grant is, in minutes, is one of the circumstances), so remembering it under those four
        // is sound.
        if let Some(known) = self.cache.get(operation, circumstances, approvals) {
            return known;
        }
        let decision = self.decide_afresh(operation, circumstances, approvals);
        self.cache.put(operation, circumstances, approvals, &decision);
        decision
    }

    fn decide_afresh(
        &self,
        operation: &Operation,
        circumstances: &Circumstances,
        approvals: &Approvals,
    ) -> Decision {
        if let Some(refusal) = self.undecidable(operation) {
            return refusal;
        }
        self.decide_by(operation, circumstances, approvals, |facts| self.ask_all(operation, facts))
    }

    /// May answers to this request depend on these columns, which are masked for the caller? The
    /// same in kind as [`decide`](Self::decide).
    pub fn infer(
        &self,
        columns: &[Hidden<'_>],
        operation: &Operation,
        circumstances: &Circumstances,
        approvals: &Approvals,
    ) -> Decision {
        self.decide_by(operation, circumstances, approvals, |facts| {
            all_of(columns.iter().map(|column| self.ask_inference(column, facts)))
        })
    }

    /// Each rule that matches each effect of an operation: what [`decide`](Self::decide) rests on. It
    /// decides nothing.
    #[must_use]
    pub fn explain(
        &self,
        operation: &Operation,
        circumstances: &Circumstances,
        approvals: &Approvals,
    ) -> Vec<ExplainedEffect> {
        let facts = RequestFacts::new(&self.place, operation, circumstances, approvals);
        let mut seen = HashSet::with_capacity(operation.effects.len());
        let effects = operation.effects.iter().filter(|effect| seen.insert(*effect));
        effects.take(MAX_EXPLAINED).map(|effect| self.explain_effect(effect, &facts)).collect()
    }

    fn explain_effect(&self, effect: &Effect, facts: &RequestFacts) -> ExplainedEffect {
        let what = effect_in_words(effect, &self.database);
        let (rules, failed) = match self.matching(effect, facts) {
            Ok(Answer::Allowed(rules) | Answer::Refused(rules)) => (rules, None),
            Ok(Answer::Failed(why)) => (Vec::new(), Some(why)),
            Err(Unspeakable) => {
                (Vec::new(), Some("the facts could not be put to policy".to_owned()))
            }
        };
        let rules = rules.iter().filter_map(|i| self.policies.rules.get(*i)).map(|rule| {
            let place = rule.place();
            MatchedRule {
                id: rule.id.clone(),
                forbids: rule.policy.effect() == Side::Forbid,
                reason: rule.reason.clone(),
                hint: rule.hint.clone(),
                review: rule.review.clone(),
                file: place.file,
                line: place.line,
            }
        });
        ExplainedEffect { what, rules: rules.collect(), failed }
    }

    /// The rules that match an effect; where some forbid it, those that would permit it as well.
    fn matching(&self, effect: &Effect, facts: &RequestFacts) -> Result<Answer, Unspeakable> {
        let action = effect.verb as usize;
        let put = |slice: &PolicySet| {
            let resource = self.place.resource(&self.policies.types, &effect.object)?.entity;
            let context = facts.context(effect.extent, effect.certainty)?;
            self.ask_of(slice, action, resource, context)
        };
        let own = self.slice_of(action)?;
        let Answer::Refused(mut rules) = put(own)? else { return put(own) };
        let permits = self.rules_of(action).filter(|i| {
            self.policies.rules.get(*i).is_some_and(|r| r.policy.effect() == Side::Permit)
        });
        let permits = self.policies.slice(permits.collect()).ok_or(Unspeakable)?;
        if let Answer::Allowed(more) = put(&permits)? {
            rules.extend(more);
        }
        rules.sort_unstable();
        Ok(Answer::Refused(rules))
    }

    /// Decides by a question that is asked once more where it leads to a review.
    fn decide_by(
        &self,
        operation: &Operation,
        circumstances: &Circumstances,
        approvals: &Approvals,
        ask: impl Fn(&RequestFacts) -> Outcome,
    ) -> Decision {
        let facts = |approvals| RequestFacts::new(&self.place, operation, circumstances, approvals);
        match ask(&facts(approvals)) {
            Outcome::Allow(rules) => {
                Decision::Allow { rules: self.names(&rules), limits: self.limits(&rules) }
            }
            Outcome::Refuse { class, retry, ground } => Decision::Refuse { class, retry, ground },
            Outcome::Hold { groups, ground, rehearse, step_up } => {
                // Nobody is asked for an approval that would not let the request run.
                let granted = approvals.union(&groups).cloned().collect();
                match ask(&facts(&granted)) {
                    Outcome::Allow(_) => Decision::Hold { groups, ground, rehearse, step_up },
                    Outcome::Refuse { class, retry, ground } => {
                        Decision::Refuse { class, retry, ground }
                    }
                    Outcome::Hold { mut ground, .. } => {
                        ground.reason = "an approval would not lift this rule".to_owned();
                        let (class, retry) = (RefusalClass::Policy, Retry::Never);
                        Decision::Refuse { class, retry, ground }
                    }
                }
            }
        }
    }

    /// Refuses what is no question: nothing to decide on, or too much.
    fn undecidable(&self, operation: &Operation) -> Option<Decision> {
        let (class, rule, reason) = match operation.effects.len() {
            0 => (RefusalClass::Unreadable, DEFAULT_DENY, "nothing is known of what it does"),
            1..=MAX_EFFECTS => return None,
            _ => {
                (RefusalClass::Limit, "effects-per-request", "it touches too many objects at once")
            }
        };
        let hint = "send simpler statements, one at a time".to_owned();
        let ground = Ground {
            rule: rule.to_owned(),
            reason: reason.to_owned(),
            hint: Some(hint),
            what: "the request".to_owned(),
        };
        Some(Decision::Refuse { class, retry: Retry::AfterChange, ground })
    }

    /// May this caller see this column? `default_strategy` is what the column's own mask rule says.
    ///
    /// Column path: database, schema, relation, column.
    pub fn reveal(
        &self,
        column_path: [&str; 4],
        sensitive: bool,
        labels: &BTreeSet<String>,
        default_strategy: Option<Strategy>,
    ) -> Reveal {
        let own = default_strategy.unwrap_or(Strategy::Redact);
        let column = self.place.column(&self.policies.types, column_path, sensitive, labels);
        let answer = column.and_then(|c| self.ask(REVEAL, c, Context::empty()));
        let forbids = match answer {
            Ok(Answer::Allowed(_)) => return Reveal::Show,
            Ok(Answer::Refused(forbids)) => forbids,
            Ok(Answer::Failed(_)) | Err(Unspeakable) => {
                return Reveal::Mask { strategy: Strategy::Redact, rule: POLICY_ERROR.to_owned() };
            }
        };
        let strategies = forbids.iter().filter_map(|i| self.policies.rules.get(*i)).map(|rule| {
            let strategy = match &rule.mask {
                Some(MaskBy::Strategy(strategy)) => strategy,
                Some(MaskBy::Label) | None => &own,
            };
            (strategy, &rule.id)
        });
        // Of several rules the one that shows least decides; of equal ones the first.
        match strategies.reduce(|a, b| if hides(b.0) > hides(a.0) { b } else { a }) {
            Some((strategy, rule)) => {
                Reveal::Mask { strategy: strategy.clone(), rule: rule.clone() }
            }
            None => Reveal::Mask { strategy: Strategy::Redact, rule: DEFAULT_DENY.to_owned() },
        }
    }

    /// The version of the policies in force.
    #[must_use]
    pub fn version(&self) -> &str {
        self.policies.version()
    }

    /// The tightest limits of all rules that permitted something of it.
    fn limits(&self, rules: &BTreeSet<usize>) -> Option<Arc<Limits>> {
        let mut limits = Limits::default();
        let rules = rules.iter().filter_map(|i| self.policies.rules.get(*i));
        rules.for_each(|rule| limits.tighten_all(&rule.limits));
        (!limits.is_empty()).then(|| Arc::new(limits))
    }

    /// True where a rule of this session sets a limit on how often something is asked.
    #[must_use]
    pub fn limits_rates(&self) -> bool {
        let rules = self.rules.iter().filter_map(|i| self.policies.rules.get(*i));
        let rates = [LimitKind::PerSecond, LimitKind::PerMinute, LimitKind::PerHour];
        rules.into_iter().any(|rule| rates.iter().any(|kind| rule.limits.get(*kind).is_some()))
    }

    fn names(&self, rules: &BTreeSet<usize>) -> Arc<[String]> {
        rules.iter().filter_map(|i| self.policies.rules.get(*i)).map(|r| r.id.clone()).collect()
    }

    fn ask_all(&self, operation: &Operation, facts: &RequestFacts) -> Outcome {
        let mut seen = HashSet::with_capacity(operation.effects.len());
        let effects = operation.effects.iter().filter(|effect| seen.insert(*effect));
        all_of(effects.map(|effect| self.ask_effect(effect, facts)))
    }

    fn ask_inference(&self, column: &Hidden<'_>, facts: &RequestFacts) -> Outcome {
        let ask = || {
            let types = &self.policies.types;
            let entity = self.place.column(types, column.path, true, &column.labels)?;
            let context = facts.context(Extent::Some, Certainty::Resolved)?;
            self.ask(INFER, entity, context)
        };
        let [_, schema, relation, name] = column.path;
        let what = || format!("rows, groups or order by {schema}.{relation}.{name}");
        match self.outcome(ask(), RefusalClass::Policy, what) {
            Outcome::Refuse { class, ground, .. } if ground.rule == DEFAULT_DENY => {
                let ground = without_permit(what());
                Outcome::Refuse { class, retry: Retry::AfterChange, ground }
            }
            outcome => outcome,
        }
    }

    fn ask_effect(&self, effect: &Effect, facts: &RequestFacts) -> Outcome {
        let ask = || {
            let resource = self.place.resource(&self.policies.types, &effect.object)?;
            let context = facts.context(effect.extent, effect.certainty)?;
            let answer = self.ask(effect.verb as usize, resource.entity, context)?;
            Ok::<_, Unspeakable>((answer, resource.unresolved))
        };
        let (answer, unresolved) = ask().map_or_else(|e| (Err(e), false), |(a, u)| (Ok(a), u));
        let class = match effect.certainty {
            Certainty::Unreadable => RefusalClass::Unreadable,
            _ if unresolved => RefusalClass::Unresolved,
            _ => RefusalClass::Policy,
        };
        let mut outcome = self.outcome(answer, class, || effect_in_words(effect, &self.database));
        if let Outcome::Refuse { ground, .. } = &mut outcome
            && ground.rule == DEFAULT_DENY
        {
            ground.hint = Some(without_rule(effect.verb).to_owned());
        }
        outcome
    }

    /// What an answer of Cedar comes to. `class`: of a refusal by policy.
    fn outcome(
        &self,
        answer: Result<Answer, Unspeakable>,
        class: RefusalClass,
        what: impl Fn() -> String,
    ) -> Outcome {
        let failed = |reason| Outcome::Refuse {
            class: RefusalClass::Unavailable,
            retry: Retry::Never,
            ground: Ground { rule: POLICY_ERROR.to_owned(), reason, hint: None, what: what() },
        };
        let forbids: Vec<&Rule> = match answer {
            Ok(Answer::Allowed(rules)) => return Outcome::Allow(rules.into_iter().collect()),
            Ok(Answer::Failed(reason)) => return failed(reason),
            Err(Unspeakable) => return failed("the facts could not be put to policy".to_owned()),
            Ok(Answer::Refused(rules)) => {
                rules.iter().filter_map(|i| self.policies.rules.get(*i)).collect()
            }
        };
        if let Some(first) = forbids.first()
            && forbids.iter().all(|rule| rule.review.is_some())
        {
            let groups = forbids.iter().filter_map(|rule| rule.review.clone()).collect();
            // Packs say nothing of it: who wrote rules beside them does.
            let own = forbids.iter().filter(|rule| !rule.of_pack);
            let rehearse = own.map(|rule| rule.rehearse).reduce(both_rehearse);
            let (rehearse, ground) = (rehearse.flatten(), ground(first, what()));
            let step_up = forbids.iter().find_map(|rule| rule.step_up);
            return Outcome::Hold { groups, ground, rehearse, step_up };
        }
        match forbids.iter().find(|rule| rule.review.is_none()) {
            Some(rule) => {
                Outcome::Refuse { class, retry: rule.retry, ground: ground(rule, what()) }
            }
            None => Outcome::Refuse {
                class,
                retry: Retry::Never,
                ground: Ground {
                    rule: DEFAULT_DENY.to_owned(),
                    reason: "no rule permits it".to_owned(),
                    hint: None,
                    what: what(),
                },
            },
        }
    }

    /// Puts one question to Cedar.
    fn ask(
        &self,
        action: usize,
        resource: Entity,
        context: Context,
    ) -> Result<Answer, Unspeakable> {
        self.ask_of(self.slice_of(action)?, action, resource, context)
    }

    fn slice_of(&self, action: usize) -> Result<&Arc<PolicySet>, Unspeakable> {
        let slice = self.slices.get(action).ok_or(Unspeakable)?;
        slice.get_or_init(|| self.build_slice(action)).as_ref().ok_or(Unspeakable)
    }

    fn ask_of(
        &self,
        slice: &PolicySet,
        action: usize,
        resource: Entity,
        context: Context,
    ) -> Result<Answer, Unspeakable> {
        let (action, entities) = self.policies.actions.get(action).ok_or(Unspeakable)?;
        let request = Request::new(
            self.principal.clone(),
            action.clone(),
            resource.uid(),
            context,
            Some(&self.policies.schema),
        )
        .map_err(|_| Unspeakable)?;
        // The caller is kept once and not with every action: sessions are many, new questions few.
        let caller = self.caller.clone().ok_or(Unspeakable)?;
        let entities = entities.clone().add_entities([caller, resource], None);
        let entities = entities.map_err(|_| Unspeakable)?;
        Ok(self.read(&self.authorizer.is_authorized(&request, slice, &entities)))
    }

    fn read(&self, response: &Response) -> Answer {
        // Cedar skips a policy that raises an error: a forbid among them would be no forbid.
        let mut failed: Vec<_> = response
            .diagnostics()
            .errors()
            .map(|AuthorizationError::PolicyEvaluationError(error)| error.policy_id().to_string())
            .collect();
        if !failed.is_empty() {
            failed.sort();
            return Answer::Failed(format!("rule {} cannot be evaluated", failed.join(", ")));
        }
        let known = |id| self.policies.by_id.get(id).copied();
        let Some(mut rules) =
            response.diagnostics().reason().map(known).collect::<Option<Vec<_>>>()
        else {
            return Answer::Failed("a rule that is not known decided".to_owned());
        };
        rules.sort_unstable();
        match response.decision() {
            cedar_policy::Decision::Allow => Answer::Allowed(rules),
            cedar_policy::Decision::Deny => {
                let forbids = |i: &usize| {
                    self.policies.rules.get(*i).is_some_and(|r| r.policy.effect() == Side::Forbid)
                };
                rules.retain(forbids);
                Answer::Refused(rules)
            }
        }
    }

    fn build_slice(&self, action: usize) -> Option<Arc<PolicySet>> {
        self.policies.slice(self.rules_of(action).collect())
    }

    fn rules_of(&self, action: usize) -> impl Iterator<Item = usize> {
        self.rules.iter().copied().filter(move |i| {
            self.policies.rules.get(*i).is_some_and(|rule| rule.actions & (1 << action) != 0)
        })
    }
}

/// A column that is masked for the caller, and on which an answer would depend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden<'a> {
    /// Database, schema, relation, column.
    pub path: [&'a str; 4],
    /// What mask rules call it.
    pub labels: BTreeSet<String>,
}

/// Groups, ground, how long for show, and what approving takes.
type Heard = (BTreeSet<String>, Ground, Option<Duration>, Option<StepUp>);

/// One refusal refuses all; what is missing is missing for all.
fn all_of(outcomes: impl Iterator<Item = Outcome>) -> Outcome {
    let mut allowed = BTreeSet::new();
    let mut held: Option<Heard> = None;
    for outcome in outcomes {
        match outcome {
            Outcome::Allow(rules) => allowed.extend(rules),
            refuse @ Outcome::Refuse { .. } => return refuse,
            Outcome::Hold { groups, ground, rehearse, step_up } => match &mut held {
                Some((all, _, time, shows)) => {
                    all.extend(groups);
                    *time = both_rehearse(*time, rehearse);
                    *shows = shows.or(step_up);
                }
                None => held = Some((groups, ground, rehearse, step_up)),
            },
        }
    }
    match held {
        Some((groups, ground, rehearse, step_up)) => {
            Outcome::Hold { groups, ground, rehearse, step_up }
        }
        None => Outcome::Allow(allowed),
    }
}

/// For how long a request may be run for show that is held for two reasons: the shorter time, where
/// both allow it.
#[must_use]
pub fn both_rehearse(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    Some(one?.min(other?))
}

/// The refusal of a dependence that no rule permits.
/// What helps where no rule permits something.
const fn without_rule(verb: Verb) -> &'static str {
    match verb {
        Verb::Connect => {
            "ask the administrator whether one of your groups is to be admitted to this connection"
        }
        _ => "ask the administrator for a rule that permits it, if you are to do this",
    }
}

fn without_permit(what: String) -> Ground {
    Ground {
        rule: MASKED_CONDITIONS.to_owned(),
        reason: "the column is masked for you, and a condition, comparison, conversion or order by it \
                 would show what the mask hides"
            .to_owned(),
        hint: Some(
            "choose rows by another column, a key for instance; IS NULL and count(*) pass; a policy \
             may permit \"infer\" on the column, with or without review"
                .to_owned(),
        ),
        what,
    }
}

/// How much a strategy hides.
const fn hides(strategy: &Strategy) -> u8 {
    match strategy {
        Strategy::Partial => 0,
        Strategy::ShiftDays(_) => 1,
        Strategy::Hash => 2,
        Strategy::Redact | Strategy::Constant(_) => 3,
        Strategy::Null => 4,
    }
}

fn ground(rule: &Rule, what: String) -> Ground {
    Ground { rule: rule.id.clone(), reason: rule.reason.clone(), hint: rule.hint.clone(), what }
}
