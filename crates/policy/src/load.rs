//! From policy files to policies: parsed, named, annotated, strictly validated. Before any session.
//!
//! A policy set that is not understood to the last annotation is not loaded: a forbid that is
//! misspelt, that could raise an error or that can never apply would quietly permit.

use crate::facts::{SCHEMA, Types, Unspeakable};
use crate::objects::misnamed;
use crate::packs::PACKS;
use cedar_policy::ffi::DetailedError;
use cedar_policy::{
    ActionConstraint, Effect, Entities, EntityUid, Policy, PolicyId, PolicySet, Schema,
    ValidationMode, ValidationWarning, Validator,
};
use portcullis_core::digest::Digester;
use portcullis_core::effect::Verb;
use portcullis_core::limits::{Limit, LimitKind, Limits};
use portcullis_core::mask::Strategy;
use portcullis_core::passkey::StepUp;
use portcullis_core::refusal::{Retry, rule};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The annotations there are.
const ANNOTATIONS: &[&str] = &[
    "id",
    "reason",
    "hint",
    "review",
    "rehearse",
    "step_up",
    "mask",
    "retry",
    "max_rows",
    "max_changes",
    "timeout",
    "session_rows",
    "session_changes",
    "session_requests",
    "rate",
];
/// Longest `@id`, in bytes.
const MAX_ID: usize = 64;
/// Longest `@reason` or `@hint`, in bytes: they travel in protocol errors.
const MAX_TEXT: usize = 400;
/// Largest policy file, in bytes.
const MAX_FILE: usize = 1 << 20;
/// The action of a column's disclosure, beside the verbs.
pub(crate) const REVEAL: usize = Verb::ALL.len();
/// The action of an answer's dependence on a masked column.
pub(crate) const INFER: usize = REVEAL + 1;
/// Number of actions: the verbs in order, then `reveal` and `infer`.
pub(crate) const ACTIONS: usize = INFER + 1;

/// One thing wrong with a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file's name as given.
    pub file: String,
    /// The line, from 1; 0 where it concerns the whole file.
    pub line: usize,
    /// The policy's `@id`, where it has one.
    pub policy: Option<String>,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        match &self.policy {
            Some(policy) => write!(f, ": policy \"{policy}\": {}", self.message),
            None => write!(f, ": {}", self.message),
        }
    }
}

/// Policy files that were not loaded, with everything wrong with them (never empty).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// In the order of files and lines.
    pub problems: Vec<Problem>,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if i > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyError {}

impl From<Problem> for PolicyError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

/// How a forbid on `reveal` says a column is masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MaskBy {
    /// As the rule says.
    Strategy(Strategy),
    /// As the column's own mask rule says.
    Label,
}

/// One policy with what its annotations say.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) policy: Policy,
    pub(crate) id: String,
    pub(crate) reason: String,
    pub(crate) hint: Option<String>,
    pub(crate) review: Option<String>,
    /// For how long what is to be reviewed may be run for show.
    pub(crate) rehearse: Option<Duration>,
    /// What who approves what it holds has to show beside a token.
    pub(crate) step_up: Option<StepUp>,
    pub(crate) mask: Option<MaskBy>,
    pub(crate) retry: Retry,
    /// What it sets a limit to, of a permit.
    pub(crate) limits: Limits,
    /// One bit per action its scope admits.
    pub(crate) actions: u32,
    /// It comes with the binary.
    pub(crate) of_pack: bool,
    file: String,
    line: usize,
}

impl Rule {
    /// Where it stands, with nothing said of it.
    pub(crate) fn place(&self) -> Problem {
        let (file, policy) = (self.file.clone(), Some(self.id.clone()));
        Problem { file, line: self.line, policy, message: String::new() }
    }
}

/// A rule as it was loaded, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedRule<'a> {
    /// Its `@id`.
    pub id: &'a str,
    /// It forbids; else it permits.
    pub forbids: bool,
    /// Its `@reason`.
    pub reason: &'a str,
    /// Its `@hint`.
    pub hint: Option<&'a str>,
    /// The group that lifts it by an approval.
    pub review: Option<&'a str>,
    /// The file it stands in, as it was given.
    pub file: &'a str,
    /// The line there, from 1.
    pub line: usize,
    /// It comes with the binary.
    pub of_pack: bool,
    /// As it is written, annotations included.
    pub text: String,
}

/// A loaded, validated set of policies, shared by every session under one version.
pub struct Policies {
    pub(crate) schema: Schema,
    pub(crate) types: Types,
    /// In the order of files and lines: the order in which a deciding rule is chosen.
    pub(crate) rules: Vec<Rule>,
    pub(crate) by_id: HashMap<PolicyId, usize>,
    /// The uid of each action and the entities that hold it.
    pub(crate) actions: Vec<(EntityUid, Entities)>,
    /// Policy sets already sliced, by the rules in them. Sessions look here once per action.
    pub(crate) slices: Mutex<HashMap<Vec<usize>, Arc<PolicySet>>>,
    warnings: Vec<Problem>,
    version: String,
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policies({}, {} rules)", self.version, self.rules.len())
    }
}

impl Policies {
    /// Loads policies from files, given as name and text.
    ///
    /// # Errors
    /// [`PolicyError`] with every problem of syntax, names and annotations, or else every problem
    /// of strict validation against [`SCHEMA`].
    pub fn load(files: &[(String, String)]) -> Result<Self, PolicyError> {
        let (schema, types, actions) = contract().map_err(|message| Problem {
            file: "portcullis.cedarschema".to_owned(),
            line: 0,
            policy: None,
            message,
        })?;
        let mut problems = Vec::new();
        let mut rules = Vec::new();
        for (name, text) in files {
            match parse(name, text) {
                Ok(parsed) => rules.extend(parsed.into_iter().filter_map(|raw| {
                    rule(raw, &actions).map_err(|problem| problems.push(problem)).ok()
                })),
                Err(problem) => problems.push(problem),
            }
        }
        refuse_duplicates(files, &rules, &mut problems);
        if !problems.is_empty() {
            return Err(PolicyError { problems });
        }
        let warnings = validate(&schema, files, &rules)?;
        let mut version = Digester::new("portcullis/policy/1").part(SCHEMA.as_bytes());
        for (name, text) in files {
            version.add(name.as_bytes());
            version.add(text.as_bytes());
        }
        let by_id = rules.iter().enumerate().map(|(i, rule)| (rule.policy.id().clone(), i));
        Ok(Self {
            by_id: by_id.collect(),
            schema,
            types,
            rules,
            actions,
            slices: Mutex::default(),
            warnings,
            version: version.finish().short(),
        })
    }

    /// The version in force: the short digest of schema, names and texts.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What the validator finds odd without it being wrong (look-alike characters in names).
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The ids of the rules whose approval takes more than a token (`@step_up`), in order.
    pub fn stepping_up(&self) -> impl Iterator<Item = &str> {
        let rules = self.rules.iter().filter(|rule| rule.step_up.is_some());
        rules.map(|rule| rule.id.as_str())
    }

    /// All rules, in order.
    pub fn loaded(&self) -> impl Iterator<Item = LoadedRule<'_>> {
        self.rules.iter().map(|rule| LoadedRule {
            id: &rule.id,
            forbids: rule.policy.effect() == Effect::Forbid,
            reason: &rule.reason,
            hint: rule.hint.as_deref(),
            review: rule.review.as_deref(),
            file: &rule.file,
            line: rule.line,
            of_pack: rule.of_pack,
            text: rule.policy.to_string(),
        })
    }

    /// The ids of all rules, in order.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.id.as_str())
    }
}

type Contract = (Schema, Types, Vec<(EntityUid, Entities)>);

fn contract() -> Result<Contract, String> {
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|e| e.to_string())?;
    let types = Types::new().map_err(|_: Unspeakable| "a type name does not parse".to_owned())?;
    let known = schema.action_entities().map_err(|e| e.to_string())?;
    let words = Verb::ALL.iter().map(|verb| verb.as_str()).chain(["reveal", "infer"]);
    let actions = words.map(|word| {
        let uid = types.action(word);
        let entity = known.get(&uid).ok_or_else(|| format!("there is no action \"{word}\""))?;
        let entities =
            Entities::from_entities([entity.clone()], None).map_err(|e| e.to_string())?;
        Ok((uid, entities))
    });
    let actions = actions.collect::<Result<Vec<_>, String>>()?;
    Ok((schema, types, actions))
}

/// A policy as it stands in its file.
struct Raw<'a> {
    policy: Policy,
    /// True in a pack that comes with the binary.
    of_pack: bool,
    file: &'a str,
    line: usize,
}

impl Raw<'_> {
    fn problem(&self, message: impl Into<String>) -> Problem {
        let policy = self.policy.annotation("id").map(|id| id.chars().take(MAX_ID).collect());
        Problem { file: self.file.to_owned(), line: self.line, policy, message: message.into() }
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|b| *b == b'\n').count()
}

fn parse<'a>(file: &'a str, text: &str) -> Result<Vec<Raw<'a>>, Problem> {
    let problem = |line, message| Problem { file: file.to_owned(), line, policy: None, message };
    if text.len() > MAX_FILE {
        return Err(problem(0, format!("the file is over {MAX_FILE} bytes")));
    }
    let set = PolicySet::from_str(text).map_err(|errors| {
        let error = DetailedError::from(&errors);
        let line = error.source_locations.first().map_or(0, |s| line_at(text, s.loc.start));
        let help = error.help.map(|help| format!(" ({help})")).unwrap_or_default();
        problem(line, format!("{}{help}", error.message))
    })?;
    if let Some(template) = set.templates().next() {
        let message = "a template (?principal, ?resource) applies to nothing: name who is meant";
        let line = template_line(text, &template.to_cedar());
        return Err(problem(line, message.to_owned()));
    }
    let of_pack = PACKS.iter().any(|(_, pack)| *pack == text);
    let mut found = Vec::with_capacity(set.num_of_policies());
    let mut cursor = 0;
    // Cedar numbers the policies of a text from 0, in order.
    for i in 0..set.num_of_policies() {
        let id = PolicyId::new(format!("policy{i}"));
        let policy = set.policy(&id).ok_or_else(|| problem(0, format!("policy {i} is missing")))?;
        let own = policy.to_cedar().unwrap_or_default();
        let start = text.get(cursor..).and_then(|rest| rest.find(&own)).map_or(cursor, |at| {
            let start = cursor + at;
            cursor = start + own.len();
            start
        });
        found.push(Raw { policy: policy.clone(), of_pack, file, line: line_at(text, start) });
    }
    Ok(found)
}

fn template_line(text: &str, own: &str) -> usize {
    text.find(own).map_or(0, |offset| line_at(text, offset))
}

/// Names a policy by its `@id` and reads its annotations.
fn rule(raw: Raw<'_>, actions: &[(EntityUid, Entities)]) -> Result<Rule, Problem> {
    for (key, _) in raw.policy.annotations() {
        if !ANNOTATIONS.contains(&key) {
            return Err(raw.problem(unknown_annotation(key)));
        }
    }
    let id = checked_id(&raw)?;
    let reason = checked_text(&raw, "reason")?.unwrap_or_default();
    let hint = checked_text(&raw, "hint")?;
    let forbid = raw.policy.effect() == Effect::Forbid;
    let scope = action_bits(&raw.policy.action_constraint(), actions);
    for key in ["review", "rehearse", "step_up", "mask", "retry"] {
        if !forbid && raw.policy.annotation(key).is_some() {
            return Err(
                raw.problem(format!("@{key} says what a refusal leads to: only a forbid has one"))
            );
        }
    }
    let review = checked_review(&raw, scope)?;
    let rehearse = checked_rehearse(&raw, scope)?;
    let step_up = checked_step_up(&raw)?;
    let mask = checked_mask(&raw, scope)?;
    let retry = match raw.policy.annotation("retry") {
        None | Some("never") => Retry::Never,
        Some("after-change") => Retry::AfterChange,
        Some("later") => Retry::Later,
        Some(_) => {
            return Err(raw.problem("@retry is one of \"never\", \"after-change\", \"later\""));
        }
    };
    let limits = checked_limits(&raw, &id, scope)?;
    if let Some(wrong) = misnamed(&raw.policy) {
        return Err(raw.problem(wrong));
    }
    let policy = raw.policy.new_id(PolicyId::new(&id));
    let (of_pack, file, line) = (raw.of_pack, raw.file.to_owned(), raw.line);
    let actions = scope;
    Ok(Rule {
        policy,
        id,
        reason,
        hint,
        review,
        rehearse,
        step_up,
        mask,
        retry,
        limits,
        actions,
        of_pack,
        file,
        line,
    })
}

fn unknown_annotation(key: &str) -> String {
    let nearest = ANNOTATIONS
        .iter()
        .map(|known| (strsim::damerau_levenshtein(key, known), known))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    match nearest {
        Some((_, known)) => format!("there is no annotation @{key}; did you mean @{known}?"),
        None => format!("there is no annotation @{key}; there are @{}", ANNOTATIONS.join(", @")),
    }
}

fn checked_id(raw: &Raw<'_>) -> Result<String, Problem> {
    let id = raw.policy.annotation("id").unwrap_or_default();
    if id.is_empty() {
        return Err(raw.problem("every policy needs an @id(\"…\"): refusals and records name it"));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/');
    if id.len() > MAX_ID || !id.chars().all(plain) {
        return Err(raw.problem(format!(
            "an @id has at most {MAX_ID} characters, all of them letters, digits, or one of - _ . : /"
        )));
    }
    if rule::ALL.contains(&id) {
        return Err(raw.problem("this @id is a name the gateway itself uses"));
    }
    Ok(id.to_owned())
}

fn checked_text(raw: &Raw<'_>, key: &str) -> Result<Option<String>, Problem> {
    match raw.policy.annotation(key) {
        Some(text) if text.len() > MAX_TEXT || text.chars().any(char::is_control) => {
            Err(raw.problem(format!("@{key} is one line of at most {MAX_TEXT} bytes")))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

/// A `@review` is a promise that an approval can lift the forbid, so the forbid must ask for it.
fn checked_review(raw: &Raw<'_>, scope: u32) -> Result<Option<String>, Problem> {
    let Some(group) = raw.policy.annotation("review") else { return Ok(None) };
    if group.is_empty() || group.chars().any(char::is_control) {
        return Err(raw.problem("@review names a group of reviewers"));
    }
    if scope & (1 << REVEAL) != 0 {
        return Err(raw.problem(
            "@review holds a request, and `reveal` is not one: write action in Action::\"run\" or less",
        ));
    }
    let json = raw.policy.to_json().map_err(|e| raw.problem(e.to_string()))?.to_string();
    let literal = serde_json::json!({ "Value": group }).to_string();
    if !json.contains("\"attr\":\"approvals\"") || !json.contains(&literal) {
        return Err(raw.problem(format!(
            "@review(\"{group}\") needs a way for an approval to lift it: \
             unless {{ context.approvals.contains(\"{group}\") }}"
        )));
    }
    Ok(Some(group.to_owned()))
}

/// Shortest and longest `@rehearse`, in milliseconds: below, nobody could decide in it; above, locks
/// would be held for longer than others can wait.
const REHEARSE: std::ops::RangeInclusive<u64> = 2_000..=5 * 60_000;

/// `@rehearse` runs a request that `@review` holds, so it stands beside one.
fn checked_rehearse(raw: &Raw<'_>, scope: u32) -> Result<Option<Duration>, Problem> {
    let Some(text) = raw.policy.annotation("rehearse") else { return Ok(None) };
    if raw.policy.annotation("review").is_none() {
        return Err(raw.problem("@rehearse shows people what they decide on: it needs a @review"));
    }
    // Others can see which rows are locked.
    if scope & (1 << INFER) != 0 {
        return Err(raw.problem(
            "@rehearse runs what nobody has approved yet, and locks would show which rows a masked \
             column has chosen: it does not go with `infer`",
        ));
    }
    let time = duration(text).filter(|time| REHEARSE.contains(time));
    let time = time.ok_or_else(|| {
        raw.problem(format!(
            "@rehearse(\"{text}\"): write for how long locks may be held, from 2 seconds to 5 \
             minutes, as \"20s\" or \"1m\""
        ))
    })?;
    Ok(Some(Duration::from_millis(time)))
}

/// `@step_up` is about whoever approves what `@review` holds, so it stands beside one.
fn checked_step_up(raw: &Raw<'_>) -> Result<Option<StepUp>, Problem> {
    match raw.policy.annotation("step_up") {
        None => Ok(None),
        Some(_) if raw.policy.annotation("review").is_none() => {
            Err(raw
                .problem("@step_up says what approving takes beside a token: it needs a @review"))
        }
        Some("passkey") => Ok(Some(StepUp::Passkey)),
        Some(_) => Err(raw.problem("@step_up is \"passkey\": there is nothing else to show")),
    }
}

fn checked_mask(raw: &Raw<'_>, scope: u32) -> Result<Option<MaskBy>, Problem> {
    let Some(name) = raw.policy.annotation("mask") else { return Ok(None) };
    if scope != 1 << REVEAL {
        return Err(raw.problem("@mask belongs on a forbid with action == Action::\"reveal\""));
    }
    let by = match name {
        "by-label" => MaskBy::Label,
        name => match Strategy::parse(name) {
            Ok(strategy) => MaskBy::Strategy(strategy),
            Err(why) => return Err(raw.problem(format!("@mask: {why}, or `by-label`"))),
        },
    };
    Ok(Some(by))
}

/// Longest `@timeout`: a day, in milliseconds.
const MAX_TIMEOUT: u64 = 24 * 60 * 60 * 1_000;

/// The annotations of a permit that set limits.
fn checked_limits(raw: &Raw<'_>, id: &str, scope: u32) -> Result<Limits, Problem> {
    let mut limits = Limits::default();
    for (key, kind) in [
        ("max_rows", LimitKind::Rows),
        ("max_changes", LimitKind::Changes),
        ("timeout", LimitKind::Milliseconds),
        ("session_rows", LimitKind::SessionRows),
        ("session_changes", LimitKind::SessionChanges),
        ("session_requests", LimitKind::SessionRequests),
        ("rate", LimitKind::PerSecond),
    ] {
        let Some(text) = raw.policy.annotation(key) else { continue };
        if raw.policy.effect() == Effect::Forbid {
            return Err(
                raw.problem(format!("@{key} limits what is permitted: only a permit has one"))
            );
        }
        if scope == 1 << REVEAL || scope == 1 << INFER {
            return Err(raw.problem(format!(
                "@{key} limits requests: write action in Action::\"run\" or less"
            )));
        }
        let read = match key {
            "timeout" => duration(text).map(|most| (kind, most)),
            "rate" => rate(text),
            _ => whole_number(text).map(|most| (kind, most)),
        };
        let (kind, most) =
            read.ok_or_else(|| raw.problem(format!("@{key}(\"{text}\"): {}", form_of(key))))?;
        limits.tighten(kind, &Limit { most, rule: id.into() });
    }
    Ok(limits)
}

fn form_of(key: &str) -> &'static str {
    match key {
        "timeout" => "write a time of at most a day, as \"500ms\", \"30s\" or \"5m\"",
        "rate" => "write a number per second, minute or hour, as \"60/minute\"",
        _ => "write a whole number from 1, as \"1000\"",
    }
}

fn whole_number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|n| digits && *n > 0)
}

/// Milliseconds.
fn duration(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return None,
    };
    whole_number(number)?.checked_mul(unit).filter(|most| *most <= MAX_TIMEOUT)
}

fn rate(text: &str) -> Option<(LimitKind, u64)> {
    let (number, unit) = text.split_once('/')?;
    let kind = match unit {
        "second" => LimitKind::PerSecond,
        "minute" => LimitKind::PerMinute,
        "hour" => LimitKind::PerHour,
        _ => return None,
    };
    Some((kind, whole_number(number)?))
}

/// One bit per action that the scope admits.
fn action_bits(constraint: &ActionConstraint, actions: &[(EntityUid, Entities)]) -> u32 {
    let admits = |uid: &EntityUid, known: &Entities| match constraint {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(one) => one == uid,
        ActionConstraint::In(list) => {
            list.iter().any(|of| of == uid || known.is_ancestor_of(of, uid))
        }
    };
    let bits = actions.iter().enumerate().map(|(i, (uid, known))| (i, admits(uid, known)));
    bits.filter(|(_, admitted)| *admitted).fold(0, |bits, (i, _)| bits | 1 << i)
}

fn refuse_duplicates(files: &[(String, String)], rules: &[Rule], problems: &mut Vec<Problem>) {
    let mut names = BTreeSet::new();
    for (file, _) in files {
        if !names.insert(file) {
            let message = "two policy files go by this name".to_owned();
            problems.push(Problem { file: file.clone(), line: 0, policy: None, message });
        }
    }
    let mut first: HashMap<&str, &Rule> = HashMap::new();
    for rule in rules {
        if let Some(other) = first.insert(&rule.id, rule) {
            problems.push(Problem {
                file: rule.file.clone(),
                line: rule.line,
                policy: Some(rule.id.clone()),
                message: format!("this @id is taken by {}:{}", other.file, other.line),
            });
        }
    }
}

/// Strict validation against the schema; what is merely odd is returned.
fn validate(
    schema: &Schema,
    files: &[(String, String)],
    rules: &[Rule],
) -> Result<Vec<Problem>, PolicyError> {
    let set = PolicySet::from_policies(rules.iter().map(|rule| rule.policy.clone()));
    let set = set.map_err(|error| Problem {
        file: String::new(),
        line: 0,
        policy: None,
        message: error.to_string(),
    })?;
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    let place = |id: &PolicyId, error: DetailedError| {
        let rule = rules.iter().find(|rule| rule.policy.id() == id);
        let (file, line) = rule.map_or(("", 0), |rule| (rule.file.as_str(), rule.line));
        let text = files.iter().find(|(name, _)| name == file).map_or("", |(_, text)| text);
        let at = error.source_locations.first().map(|s| line_at(text, s.loc.start));
        let message = error.message.replace(&format!("for policy `{id}`, "), "");
        let help = error.help.map(|help| format!(" ({help})")).unwrap_or_default();
        Problem {
            file: file.to_owned(),
            line: at.unwrap_or(line),
            policy: Some(id.to_string()),
            message: format!("{message}{help}"),
        }
    };
    let errors = result.validation_errors().map(|e| (false, place(e.policy_id(), e.into())));
    let mut errors: Vec<_> = errors.collect();
    let mut warnings = Vec::new();
    for warning in result.validation_warnings() {
        let problem = place(warning.policy_id(), warning.into());
        match warning {
            ValidationWarning::ImpossiblePolicy(_)
            | ValidationWarning::InvalidActionApplication(_)
            | ValidationWarning::BidiCharsInString(_)
            | ValidationWarning::BidiCharsInIdentifier(_) => errors.push((true, problem)),
            _ => warnings.push(problem),
        }
    }
    // A policy is checked once for every kind of caller, action and object: one finding for each
    // place in the text is enough, and what follows from an error is not told beside it.
    errors.sort_by_cached_key(|(follows, p)| {
        let file = files.iter().position(|(name, _)| *name == p.file);
        (file, p.line, p.policy.clone(), *follows, p.message.clone())
    });
    let mut problems: Vec<Problem> = errors.into_iter().map(|(_, problem)| problem).collect();
    problems.dedup_by(|a, b| (&a.file, a.line, &a.policy) == (&b.file, b.line, &b.policy));
    if problems.is_empty() { Ok(warnings) } else { Err(PolicyError { problems }) }
}
