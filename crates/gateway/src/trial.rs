//! Trials: what would become of a request, by rules that are in force or that somebody wants. Beside the
//! life of a request; by the same conversation, facts and judge that a session has.
//!
//! *Architecture invariant:* nothing here has a link, a gate or a permit: what is tried is never sent. Names
//! are looked up in the catalog that sessions have read last, and where none has, that is said.

use crate::generation::{ConnectionServices, Rules};
use crate::judge::{SessionJudge, names_column};
use crate::login::SessionAnalyst;
use crate::moment::Moments;
use crate::session::refusal_of;
use bytes::{BufMut as _, BytesMut};
use portcullis_core::effect::{Effect, Extent, Object, ObjectKind, Operation, Verb};
use portcullis_core::principal::Principal;
use portcullis_core::protocol::{ProtocolKind, Request as _};
use portcullis_core::refusal::Retry;
use portcullis_core::verdict::{
    Approvals, Circumstances, ConnectionFacts, Ground, Judge as _, Standing, Verdict,
};
use portcullis_policy::{Decision, ExplainedEffect, MatchedRule, Reveal, SessionPolicy};
use portcullis_sql::Limits as SqlLimits;
use portcullis_wire::pg::conversation::{Conversation, Turn};
use portcullis_wire::pg::message::Limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Most statements of one request that is tried.
const MOST_STATEMENTS: usize = 100;

/// What is said to a request.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TriedVerdict")]
pub(crate) enum Word {
    /// It runs.
    Allow,
    /// People are asked.
    Hold,
    /// It does not run.
    Refuse,
}

impl Word {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Hold => "hold",
            Self::Refuse => "refuse",
        }
    }
}

/// What would become of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "TriedAnswer")]
pub(crate) struct Said {
    pub(crate) verdict: Word,
    /// The rules that permit it, or the one that decides against it.
    pub(crate) rules: Vec<String>,
    /// The effect that decided, in words; empty where it runs.
    pub(crate) what: String,
    /// The rule's reason.
    pub(crate) reason: String,
    /// What the rule says to do instead.
    pub(crate) hint: Option<String>,
    /// Who is asked.
    pub(crate) groups: BTreeSet<String>,
    /// What of the answer is masked where it runs, as far as the statements say: which column, what it comes
    /// from, and how.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) masked: BTreeSet<String>,
    /// The detectors that look at every text of the answer.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) detectors: BTreeSet<String>,
    /// Whether asking again can help.
    #[schemars(with = "Option<String>")]
    pub(crate) retry: Option<Retry>,
    /// What the answer and the request may not go beyond, and what who approves has to show: to be compared.
    #[serde(skip)]
    pub(crate) terms: String,
}

impl Said {
    fn by(verdict: Word, ground: Ground) -> Self {
        let Ground { rule, reason, hint, what } = ground;
        Self { verdict, what, reason, hint, ..Self::allowed(&[rule]) }
    }

    fn allowed(rules: &[String]) -> Self {
        Self {
            verdict: Word::Allow,
            rules: rules.to_vec(),
            what: String::new(),
            reason: String::new(),
            hint: None,
            groups: BTreeSet::new(),
            masked: BTreeSet::new(),
            detectors: BTreeSet::new(),
            retry: None,
            terms: String::new(),
        }
    }

    fn of_verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Permit(obligations) => {
                let terms = format!("{:?}", obligations.limits);
                Self { terms, ..Self::allowed(&obligations.rules) }
            }
            Verdict::Hold { groups, ground, step_up, .. } => {
                let terms = format!("{step_up:?}");
                Self { groups, terms, ..Self::by(Word::Hold, ground) }
            }
            Verdict::Refuse { retry, ground, .. } => {
                Self { retry: Some(retry), ..Self::by(Word::Refuse, ground) }
            }
        }
    }

    fn of_decision(decision: Decision) -> Self {
        match decision {
            Decision::Allow { rules, .. } => Self::allowed(&rules),
            Decision::Hold { groups, ground, .. } => {
                Self { groups, ..Self::by(Word::Hold, ground) }
            }
            Decision::Refuse { retry, ground, .. } => {
                Self { retry: Some(retry), ..Self::by(Word::Refuse, ground) }
            }
        }
    }

    /// What is masked of its answer, and what is looked for in it.
    pub(crate) fn hides(&self) -> BTreeSet<String> {
        let looked_for =
            self.detectors.iter().map(|kind| format!("any column: what looks like {kind}"));
        self.masked.iter().cloned().chain(looked_for).collect()
    }

    /// In one line: the verdict, and by which rule.
    pub(crate) fn line(&self) -> String {
        let by = match self.rules.as_slice() {
            [] => "no rule".to_owned(),
            rules => format!("`{}`", rules.join("`, `")),
        };
        let why =
            if self.reason.is_empty() { String::new() } else { format!(" ({})", self.reason) };
        format!("{} by {by}{why}", self.verdict.as_str())
    }
}

/// Why nothing can be said of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Untried {
    /// There is no such connection.
    #[error("there is no connection `{0}`")]
    UnknownConnection(String),
    /// Nobody knows what its names stand for.
    #[error(
        "the catalog of connection `{0}` is not read yet, so names in statements lead nowhere: log in to \
         it once and try again"
    )]
    UnreadCatalog(String),
    /// It is no request of its own.
    #[error("{0}")]
    UnfitRequest(&'static str),
}

/// A request: its statements, and the values bound to each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Texts<'a> {
    pub(crate) statements: &'a [String],
    pub(crate) parameters: &'a [Vec<Option<String>>],
}

/// What was made of a request.
pub(crate) struct Tried {
    pub(crate) said: Said,
    /// What it would do; `None` where it could not be read.
    pub(crate) operation: Option<Operation>,
}

/// Somebody's session that is none: what judges its requests.
pub(crate) struct Trial {
    name: String,
    database: String,
    policy: SessionPolicy,
    settings: crate::config::Connection,
    /// What reads statements, and by what; `None` where the catalog is not known.
    reading: Option<(SessionJudge, Arc<SessionAnalyst>)>,
    /// How old the catalog is.
    pub(crate) age: Option<Duration>,
}

impl Trial {
    /// For this principal on a connection.
    pub(crate) fn of(rules: &Rules, principal: &Principal, name: &str) -> Result<Self, Untried> {
        let unknown = || Untried::UnknownConnection(name.chars().take(128).collect());
        let settings = rules.settings.get(name).ok_or_else(unknown)?.clone();
        let database = settings.target.database.clone();
        let standing = Standing {
            principal: principal.clone(),
            connection: ConnectionFacts {
                name: name.to_owned(),
                environment: settings.environment.clone(),
                protocol: ProtocolKind::Postgres,
                database: database.clone(),
                role: settings.target.user.clone(),
            },
        };
        let policy = || rules.policies.for_session(&standing, &settings.groups);
        let known = rules.connections.get(name);
        let last = known.and_then(|known| Some((known, known.catalog.last()?)));
        let age = last.as_ref().map(|(_, (_, age))| *age);
        let reading = last.map(|(known, (catalog, _))| {
            let known: &ConnectionServices = known;
            let judge = SessionJudge::new(policy(), &standing.principal, known);
            let analyst = Arc::new(SessionAnalyst::default());
            analyst.use_catalog(&catalog);
            judge.use_catalog(catalog);
            (judge, analyst)
        });
        Ok(Self { name: name.to_owned(), database, policy: policy(), settings, reading, age })
    }

    /// What is said to its log-in, where that is not let in.
    pub(crate) fn turned_away(&self) -> Option<Said> {
        let connect = Object::new(ObjectKind::Connection, [self.name.as_str()]);
        let connect = Effect::resolved(Verb::Connect, connect, Extent::One);
        let said = self.effect("connect", connect, Circumstances::default());
        (said.verdict != Word::Allow).then_some(said)
    }

    /// What becomes of an effect by itself: policy alone is asked.
    pub(crate) fn effect(&self, kind: &str, effect: Effect, around: Circumstances) -> Said {
        let operation = Operation {
            kinds: std::iter::once(Box::from(kind)).collect(),
            effects: std::iter::once(effect).collect(),
            lineages: std::iter::empty().collect(),
        };
        Said::of_decision(self.policy.decide(&operation, &around, &Approvals::new()))
    }

    /// What is done to a relation of the connection's database: `schema.table`.
    pub(crate) fn on_relation(&self, verb: Verb, path: [&str; 2], extent: Extent) -> Said {
        let [schema, table] = path;
        let object = Object::new(ObjectKind::Relation, [self.database.as_str(), schema, table]);
        self.effect(verb.as_str(), Effect::resolved(verb, object, extent), Circumstances::default())
    }

    /// The rule that masks a column (`schema.table.column`); `None` where it is shown.
    pub(crate) fn masks(&self, [schema, table, column]: [&str; 3]) -> Option<String> {
        let rules = self.settings.sensitive.iter();
        let rules: Vec<_> =
            rules.filter(|rule| names_column(&rule.column, schema, table, column)).collect();
        let labels = rules.iter().filter_map(|rule| rule.label.clone()).collect();
        let strategy = rules.first().map(|rule| rule.mask.clone());
        let path = [self.database.as_str(), schema, table, column];
        match self.policy.reveal(path, !rules.is_empty(), &labels, strategy) {
            Reveal::Show => None,
            Reveal::Mask { rule, .. } => Some(rule),
        }
    }

    /// What would become of a request, had it come first in a session.
    pub(crate) fn request(
        &self,
        texts: Texts<'_>,
        around: &Circumstances,
    ) -> Result<Tried, Untried> {
        if texts.statements.is_empty() || texts.statements.len() > MOST_STATEMENTS {
            return Err(Untried::UnfitRequest("it has no statements, or too many to try"));
        }
        let reading = self.reading.as_ref();
        let (judge, analyst) = reading.ok_or_else(|| Untried::UnreadCatalog(self.name.clone()))?;
        let mut conversation = Conversation::new(analyst.clone(), Limits::default());
        let mut sent = sent(texts)?;
        match conversation.next(&mut sent) {
            Ok(Some(Turn::Unit(unit))) => {
                let operation = unit.operation().clone();
                let said = judge.judge(&operation, around, &Approvals::new());
                let mut said = Said::of_verdict(said);
                if said.verdict != Word::Refuse {
                    let (masked, detectors) = judge.masked(&operation);
                    said.masked = masked;
                    said.detectors = detectors.into_iter().map(str::to_owned).collect();
                }
                Ok(Tried { said, operation: Some(operation) })
            }
            Ok(Some(Turn::Unformed(unformed))) => {
                let refusal = refusal_of(&unformed, Moments::new().next().decision);
                let ground = Ground {
                    rule: refusal.rule,
                    reason: refusal.why,
                    hint: refusal.next,
                    what: refusal.what,
                };
                let said = Said { retry: Some(refusal.retry), ..Said::by(Word::Refuse, ground) };
                Ok(Tried { said, operation: None })
            }
            _ => Err(Untried::UnfitRequest("it is no whole request")),
        }
    }

    /// Whether what would become of a request hangs on whether it is inside a transaction, which no record
    /// says.
    pub(crate) fn hangs_on_transaction(&self, operation: &Operation) -> bool {
        let Some((judge, _)) = &self.reading else { return false };
        let said = |in_transaction| {
            let around = Circumstances { in_transaction, ..Circumstances::default() };
            Said::of_verdict(judge.judge(operation, &around, &Approvals::new()))
        };
        said(true) != said(false)
    }

    /// Every rule that matches what a request would do.
    pub(crate) fn explain(
        &self,
        operation: &Operation,
        around: &Circumstances,
    ) -> Vec<ExplainedEffect> {
        self.policy.explain(operation, around, &Approvals::new())
    }
}

/// The messages of a client that asks for these statements at once.
fn sent(texts: Texts<'_>) -> Result<BytesMut, Untried> {
    let Texts { statements, parameters } = texts;
    let most = SqlLimits::default().text;
    let whole = statements.iter().map(String::len).sum::<usize>();
    if whole > most || statements.iter().any(|text| text.contains('\0')) {
        return Err(Untried::UnfitRequest("it is too long, or no text"));
    }
    let mut out = BytesMut::new();
    if parameters.iter().all(Vec::is_empty) {
        // On a line of its own: a statement may end in a comment.
        let text = statements.join("\n;\n");
        message(&mut out, b'Q', &[text.as_bytes(), b"\0"].concat());
        return Ok(out);
    }
    for (at, text) in statements.iter().enumerate() {
        let values = parameters.get(at).map(Vec::as_slice).unwrap_or_default();
        message(&mut out, b'P', &[b"\0", text.as_bytes(), b"\0\0\0"].concat());
        let count = u16::try_from(values.len());
        let count = count.map_err(|_| Untried::UnfitRequest("it has too many values"))?;
        let mut bound = BytesMut::from(&b"\0\0\0\0"[..]);
        bound.put_u16(count);
        for value in values {
            match value.as_ref().map(|value| (i32::try_from(value.len()), value)) {
                Some((Ok(length), value)) => {
                    bound.put_i32(length);
                    bound.put_slice(value.as_bytes());
                }
                _ => bound.put_i32(-1),
            }
        }
        bound.put_u16(0);
        message(&mut out, b'B', &bound);
        message(&mut out, b'E', b"\0\0\0\0\0");
    }
    message(&mut out, b'S', b"");
    Ok(out)
}

fn message(out: &mut BytesMut, kind: u8, body: &[u8]) {
    out.put_u8(kind);
    // What is longer than the reader of statements takes was refused before.
    out.put_u32(u32::try_from(body.len() + 4).unwrap_or(u32::MAX));
    out.put_slice(body);
}

/// A rule that matches.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "ExplainedRule")]
pub(crate) struct RuleTold {
    /// Its `@id`.
    id: String,
    /// `permit` or `forbid`.
    effect: &'static str,
    reason: String,
    hint: Option<String>,
    /// The group whose approval lifts it.
    review: Option<String>,
    /// Where it stands; told to administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
}

/// An effect, and each rule that matches it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "ExplainedEffect")]
pub(crate) struct EffectTold {
    /// In words.
    what: String,
    /// Where one of them forbids, that counts, whatever permits.
    rules: Vec<RuleTold>,
    /// Why no rule could be asked, where none could: that is a refusal.
    failed: Option<String>,
}

impl From<ExplainedEffect> for EffectTold {
    fn from(effect: ExplainedEffect) -> Self {
        let told = |rule: MatchedRule| RuleTold {
            id: rule.id,
            effect: if rule.forbids { "forbid" } else { "permit" },
            reason: rule.reason,
            hint: rule.hint,
            review: rule.review,
            file: Some(rule.file),
            line: Some(rule.line),
        };
        let rules = effect.rules.into_iter().map(told).collect();
        Self { what: effect.what, rules, failed: effect.failed }
    }
}

impl EffectTold {
    /// For who is not told where rules stand.
    pub(crate) fn without_places(&mut self) {
        for rule in &mut self.rules {
            (rule.file, rule.line) = (None, None);
        }
        // That no rule could be asked is the answer's to say; why is about other rules too.
        self.failed = self.failed.take().map(|_| "no rule could be asked".to_owned());
    }

    /// The rules that forbid it, and where they stand.
    pub(crate) fn forbids(&self) -> impl Iterator<Item = (&str, &str, usize)> {
        let forbids = self.rules.iter().filter(|rule| rule.effect == "forbid");
        forbids.filter_map(|rule| Some((rule.id.as_str(), rule.file.as_deref()?, rule.line?)))
    }
}
