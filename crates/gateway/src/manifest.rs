//! What one principal may reach, and what happens when it is held: told to itself, before it asks. Beside
//! the life of a request; by the same policies that decide on one.
//!
//! *Architecture invariant:* everything here is an answer of [`SessionPolicy`] for this very principal,
//! or a setting that says the same to everybody. Nothing is said of connections that would not let it in,
//! nor of tables it may do nothing with.

mod connect;
mod page;

use crate::config::Config;
use crate::generation::{ConnectionServices, Generation};
use crate::services::Services;
pub(crate) use connect::PublicHost;
use connect::{Connect, Door, Terminal};
use portcullis_core::effect::{Effect, Extent, Object, ObjectKind, Operation, Verb};
use portcullis_core::freeze::Freeze;
use portcullis_core::limits::{LimitKind, Limits};
use portcullis_core::mask::Strategy;
use portcullis_core::principal::{Principal, PrincipalKind};
use portcullis_core::protocol::ProtocolKind;
use portcullis_core::refusal::Retry;
use portcullis_core::time::Timestamp;
use portcullis_core::verdict::{Approvals, Circumstances, ConnectionFacts, Standing};
use portcullis_identity::Provider;
use portcullis_policy::{Decision, NamedObject, Reveal, SessionPolicy};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// Most tables of one connection that are told of by name.
const MAX_NAMED: usize = 50;
/// What stands for a table that no rule names.
const ORDINARY: [&str; 2] = ["public", "an ordinary table"];

/// What is the same for everybody.
#[derive(Debug)]
pub(crate) struct House {
    /// Where PostgreSQL clients connect.
    pub(crate) door: Door,
    /// How long a review may wait.
    expires: Duration,
    /// Requests are held inside transactions of callers too.
    hold_in_transaction: bool,
}

impl House {
    /// `providers` are all there are, with the one for development.
    pub(crate) fn of(config: &Config, providers: &[Provider]) -> Self {
        Self {
            door: Door::of(config, providers),
            expires: config.review.expires.0,
            hold_in_transaction: config.review.hold_in_transaction,
        }
    }
}

/// What one principal may reach.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Manifest {
    you: You,
    gateway: Gateway,
    connections: Vec<Reachable>,
    /// The freezes in the way of this principal; `None` where nobody knows what is frozen, and agents do
    /// nothing.
    frozen: Option<Vec<String>>,
    review: Review,
}

/// Who asks, as the gateway has verified it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ManifestYou")]
struct You {
    name: String,
    kind: PrincipalKind,
    subject: String,
    issuer: String,
    acting_for: Option<String>,
    groups: BTreeSet<String>,
    /// Until when its token is good.
    until: Timestamp,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ManifestGateway")]
struct Gateway {
    version: &'static str,
    #[schemars(with = "String")]
    postgres: SocketAddr,
    /// The name or address clients use, where it is known.
    host: Option<String>,
    /// What clients have to ask of TLS (`sslmode` of libpq).
    sslmode: &'static str,
    /// The gateway's certificate, in PEM, where it is one it has made itself and clients are on other machines. It
    /// names no host, so they pin it: `sslmode=verify-ca`, with it as `sslrootcert`.
    certificate: Option<String>,
    /// Why nobody is told how to connect, where that is so.
    trouble: Option<&'static str>,
    /// How the caller has a token at a terminal; none where its provider gives tokens to browsers alone.
    terminal: Option<Terminal>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ManifestReview")]
struct Review {
    expires_seconds: u64,
    hold_in_transaction: bool,
}

/// A connection that lets the principal in.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ManifestReachable")]
struct Reachable {
    name: String,
    protocol: ProtocolKind,
    environment: String,
    database: String,
    /// How to connect, where that can be told.
    connect: Option<Connect>,
    /// What to run first, where nobody is on it without a grant that people give for a time.
    grant: Option<String>,
    /// What it may ask for by its user name; without, it is the first.
    roles: Vec<String>,
    /// What becomes of requests about a table that no rule names.
    answers: Vec<Answer>,
    /// And about those that rules name, where something else does.
    named: Vec<Named>,
    masked: Vec<Masked>,
    /// Texts are looked through for what detectors know, whatever column they stand in.
    detectors: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ManifestNamed")]
struct Named {
    object: String,
    answers: Vec<Answer>,
}

/// What becomes of one kind of request.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ManifestAnswer")]
struct Answer {
    request: &'static str,
    #[serde(flatten)]
    becomes: Becomes,
}

#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "answer", rename_all = "snake_case")]
enum Becomes {
    Runs {
        limits: Vec<String>,
    },
    /// Until all these groups have approved it.
    Held {
        groups: BTreeSet<String>,
        rule: String,
        reason: String,
    },
    Refused {
        rule: String,
        reason: String,
        hint: Option<String>,
        #[schemars(with = "String")]
        retry: Retry,
    },
}

/// A column whose values the principal is not shown.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ManifestMasked")]
struct Masked {
    /// `schema.table.column`; `*` stands for any one name.
    column: String,
    how: &'static str,
    rule: String,
}

/// A kind of request that is asked about.
struct Probe {
    request: &'static str,
    kind: &'static str,
    verb: Verb,
    extent: Extent,
    object: ObjectKind,
}

const fn on_rows(request: &'static str, kind: &'static str, verb: Verb, extent: Extent) -> Probe {
    Probe { request, kind, verb, extent, object: ObjectKind::Relation }
}

/// What agents ask for.
const PROBES: [Probe; 10] = [
    on_rows("SELECT", "select", Verb::Read, Extent::Some),
    on_rows("INSERT", "insert", Verb::Insert, Extent::Some),
    on_rows("UPDATE with WHERE", "update", Verb::Update, Extent::Some),
    on_rows("UPDATE of all rows", "update", Verb::Update, Extent::All),
    on_rows("DELETE with WHERE", "delete", Verb::Delete, Extent::Some),
    on_rows("DELETE of all rows", "delete", Verb::Delete, Extent::All),
    on_rows("TRUNCATE", "truncate", Verb::Truncate, Extent::All),
    on_rows("CREATE TABLE, ALTER TABLE", "create table", Verb::Create, Extent::One),
    on_rows("DROP TABLE", "drop table", Verb::Drop, Extent::All),
    on_rows("GRANT, REVOKE", "grant", Verb::Grant, Extent::One),
];

impl Manifest {
    /// What this principal may reach now.
    pub(crate) fn of(services: &Services, principal: &Principal) -> Self {
        let generation = services.now();
        let of = (services, &*generation);
        let House { door, expires, hold_in_transaction } = &services.house;
        let origin = services.sign_in.public().map(|public| public.origin.as_str());
        let terminal = door.terminal(principal, origin);
        let mut connections: Vec<Reachable> = generation
            .connections
            .iter()
            .filter_map(|(name, connection)| reachable(of, principal, name, connection))
            .collect();
        connections.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(terminal) = &terminal {
            for one in &mut connections {
                let what = (one.name.as_str(), one.grant.as_deref());
                one.connect = door.connect(principal, terminal, what);
            }
        }
        Self {
            you: You {
                name: principal.name.clone(),
                kind: principal.kind,
                subject: principal.subject.clone(),
                issuer: principal.issuer.clone(),
                acting_for: principal.acting_for.clone(),
                groups: principal.groups.clone(),
                until: principal.expires,
            },
            gateway: Gateway {
                version: env!("CARGO_PKG_VERSION"),
                postgres: door.address(),
                host: door.host(),
                sslmode: door.sslmode(),
                certificate: door.to_pin().map(str::to_owned),
                trouble: door.trouble(),
                terminal,
            },
            frozen: frozen(services, principal, &connections),
            connections,
            review: Review {
                expires_seconds: expires.as_secs(),
                hold_in_transaction: *hold_in_transaction,
            },
        }
    }

    /// As Markdown, for a language model or a person.
    pub(crate) fn markdown(&self) -> String {
        page::markdown(self)
    }
}

/// The freezes that are in the way of this principal on connections that let it in: none of a person by
/// itself.
fn frozen(
    services: &Services,
    principal: &Principal,
    connections: &[Reachable],
) -> Option<Vec<String>> {
    if principal.is_person_alone() {
        return Some(Vec::new());
    }
    let (in_force, now) = (services.freezes.view().in_force().freezes.ok()?, crate::moment::now());
    let is_told = |freeze: &&Freeze| {
        let on = freeze.connection.as_ref();
        now < freeze.until && on.is_none_or(|on| connections.iter().any(|one| one.name == *on))
    };
    Some(in_force.iter().filter(is_told).map(ToString::to_string).collect())
}

/// How a principal stands on a connection that lets it in, and what judges it there.
fn let_in(
    generation: &Generation,
    principal: &Principal,
    name: &str,
    connection: &ConnectionServices,
) -> Option<(Standing, SessionPolicy)> {
    let settings = &connection.settings;
    let standing = Standing {
        principal: principal.clone(),
        connection: ConnectionFacts {
            name: name.to_owned(),
            environment: settings.environment.clone(),
            protocol: ProtocolKind::Postgres,
            database: settings.target.database.clone(),
            role: settings.target.user.clone(),
        },
    };
    let policy = generation.policies.for_session(&standing, &settings.groups);
    let connect = Object::new(ObjectKind::Connection, [name]);
    let connect = [Effect::resolved(Verb::Connect, connect, Extent::One)];
    let runs = matches!(decided(&policy, "connect", connect), Becomes::Runs { .. });
    runs.then_some((standing, policy))
}

/// Whether a connection is one of those this principal's manifest tells of.
pub(crate) fn is_told(
    services: &Services,
    generation: &Generation,
    principal: &Principal,
    (name, connection): (&str, &ConnectionServices),
) -> bool {
    let standing = let_in(generation, principal, name, connection).map(|(standing, _)| standing);
    standing.is_some_and(|standing| !matches!(services.grants.how_to_ask(&standing), Some(Err(_))))
}

fn reachable(
    (services, generation): (&Services, &Generation),
    principal: &Principal,
    name: &str,
    connection: &ConnectionServices,
) -> Option<Reachable> {
    let settings = &connection.settings;
    let (standing, policy) = let_in(generation, principal, name, connection)?;
    // Who may not even ask is never let in.
    let grant = services.grants.how_to_ask(&standing).transpose().ok()?;
    let database = settings.target.database.as_str();
    let answers = answers(&policy, database, ORDINARY);
    let named = generation.policies.objects();
    let named = named_tables(&policy, (name, database), named, &answers);
    Some(Reachable {
        name: name.to_owned(),
        protocol: ProtocolKind::Postgres,
        environment: settings.environment.clone(),
        database: database.to_owned(),
        connect: None,
        grant,
        roles: roles(settings.target.role_names(), &settings.target.user),
        answers,
        named,
        masked: masked(&policy, database, connection),
        detectors: !connection.detectors.is_empty(),
    })
}

/// The role that is taken by itself, then the others.
fn roles<'a>(all: impl Iterator<Item = &'a str>, first: &str) -> Vec<String> {
    let others = all.filter(|role| *role != first).map(str::to_owned);
    let mut roles: Vec<String> = others.collect();
    roles.sort();
    roles.dedup();
    roles.insert(0, first.to_owned());
    roles
}

fn answers(policy: &SessionPolicy, database: &str, [schema, table]: [&str; 2]) -> Vec<Answer> {
    let answer = |probe: &Probe| {
        let object = || Object::new(probe.object, [database, schema, table]);
        let own = Effect::resolved(probe.verb, object(), probe.extent);
        // Rows that are chosen are read.
        let reads = matches!(probe.verb, Verb::Update | Verb::Delete)
            .then(|| Effect::resolved(Verb::Read, object(), Extent::Some));
        let becomes = decided(policy, probe.kind, std::iter::once(own).chain(reads));
        Answer { request: probe.request, becomes }
    };
    PROBES.iter().map(answer).collect()
}

/// Tables that rules name, of which something else is to be said than of the others, and which the
/// principal may do something with.
fn named_tables(
    policy: &SessionPolicy,
    (connection, database): (&str, &str),
    named: impl Iterator<Item = NamedObject>,
    ordinary: &[Answer],
) -> Vec<Named> {
    let paths = named.filter_map(|object| match (object.kind.as_str(), object.path.as_slice()) {
        ("Relation", [at, of, schema, table]) if at == connection && of == database => {
            Some([schema.clone(), table.clone()])
        }
        _ => None,
    });
    let paths: BTreeSet<[String; 2]> = paths.collect();
    let told = paths.into_iter().filter_map(|[schema, table]| {
        let mut all = answers(policy, database, [&schema, &table]);
        if is_closed(&all) {
            return None;
        }
        all.retain(|answer| !ordinary.contains(answer));
        let object = format!("{schema}.{table}");
        (!all.is_empty()).then_some(Named { object, answers: all })
    });
    told.take(MAX_NAMED).collect()
}

/// True where nothing may be done.
fn is_closed(answers: &[Answer]) -> bool {
    answers.iter().all(|answer| matches!(answer.becomes, Becomes::Refused { .. }))
}

fn decided(
    policy: &SessionPolicy,
    kind: &str,
    effects: impl IntoIterator<Item = Effect>,
) -> Becomes {
    let operation = Operation {
        kinds: std::iter::once(Box::from(kind)).collect(),
        effects: effects.into_iter().collect(),
        lineages: std::iter::empty().collect(),
    };
    match policy.decide(&operation, &Circumstances::default(), &Approvals::default()) {
        Decision::Allow { limits, .. } => {
            Becomes::Runs { limits: limits.as_deref().map(in_words).unwrap_or_default() }
        }
        Decision::Hold { groups, ground, .. } => {
            Becomes::Held { groups, rule: ground.rule, reason: ground.reason }
        }
        Decision::Refuse { ground, retry, .. } => {
            let (rule, reason, hint) = (ground.rule, ground.reason, ground.hint);
            Becomes::Refused { rule, reason, hint, retry }
        }
    }
}

fn in_words(limits: &Limits) -> Vec<String> {
    let limit = |kind: LimitKind| limits.get(kind).map(|limit| format!("{} {kind}", limit.most));
    LimitKind::ALL.into_iter().filter_map(limit).collect()
}

/// The columns of mask rules that this principal is not shown.
fn masked(policy: &SessionPolicy, database: &str, connection: &ConnectionServices) -> Vec<Masked> {
    let hidden = connection.sensitive.iter().filter_map(|rule| {
        let mut path = rule.column.splitn(3, '.');
        let [schema, table, column] = [path.next()?, path.next()?, path.next()?];
        if is_closed(&answers(policy, database, [schema, table])) {
            return None;
        }
        let labels: BTreeSet<String> = rule.label.iter().cloned().collect();
        let path = [database, schema, table, column];
        match policy.reveal(path, true, &labels, Some(rule.mask.clone())) {
            Reveal::Show => None,
            Reveal::Mask { strategy, rule: by } => {
                Some(Masked { column: rule.column.clone(), how: how(&strategy), rule: by })
            }
        }
    });
    hidden.collect()
}

/// What takes the place of a value.
pub(crate) const fn how(strategy: &Strategy) -> &'static str {
    match strategy {
        Strategy::Redact => "a placeholder stands for each value",
        Strategy::Partial => "part of each value is shown",
        Strategy::Null => "NULL stands for each value",
        Strategy::Hash => "a pseudonym stands for each value; equal values have equal ones",
        Strategy::Constant(_) => "one constant stands for all values",
        Strategy::ShiftDays(_) => "dates are moved by a number of days that stays the same",
    }
}
