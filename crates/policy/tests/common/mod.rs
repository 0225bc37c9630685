//! Callers, operations and policies the tests of this crate share.
#![allow(dead_code, reason = "each test file uses its own part")]

use portcullis_core::effect::{Certainty, Effect, Extent, Object, ObjectKind, Operation, Verb};
use portcullis_core::principal::{Principal, PrincipalKind};
use portcullis_core::protocol::ProtocolKind;
use portcullis_core::time::Timestamp;
use portcullis_core::verdict::{Approvals, Circumstances, ConnectionFacts, Standing};
use portcullis_policy::{Decision, Policies, SessionPolicy};
use std::sync::Arc;

pub(crate) fn caller(kind: PrincipalKind, subject: &str, groups: &[&str]) -> Principal {
    Principal {
        kind,
        subject: subject.to_owned(),
        name: subject.to_owned(),
        issuer: "https://idp.example.com".to_owned(),
        acting_for: (kind != PrincipalKind::Person).then(|| "alice".to_owned()),
        acting_for_issuer: None,
        email: None,
        groups: groups.iter().map(|g| (*g).to_owned()).collect(),
        token_id: None,
        expires: Timestamp::from_micros(0),
    }
}

pub(crate) fn standing(principal: Principal) -> Standing {
    let connection = ConnectionFacts {
        name: "orders-db".to_owned(),
        environment: "production".to_owned(),
        protocol: ProtocolKind::Postgres,
        database: "shop".to_owned(),
        role: "app".to_owned(),
    };
    Standing { principal, connection }
}

pub(crate) fn agent() -> Standing {
    standing(caller(PrincipalKind::Agent, "claude", &["agents"]))
}

pub(crate) fn load(texts: &[&str]) -> Arc<Policies> {
    let files: Vec<_> =
        texts.iter().enumerate().map(|(i, t)| (format!("{i}.cedar"), (*t).to_owned())).collect();
    Arc::new(Policies::load(&files).unwrap_or_else(|e| panic!("{e}")))
}

pub(crate) fn session(texts: &[&str], standing: &Standing) -> SessionPolicy {
    load(texts).for_session(standing, &["agents".to_owned(), "people".to_owned()])
}

pub(crate) fn effect(verb: Verb, kind: ObjectKind, path: &[&str], extent: Extent) -> Effect {
    Effect::resolved(verb, Object::new(kind, path.iter().copied()), extent)
}

/// An effect on a table of `public`.
pub(crate) fn on(verb: Verb, table: &str, extent: Extent) -> Effect {
    effect(verb, ObjectKind::Relation, &["shop", "public", table], extent)
}

pub(crate) fn assumed(effect: Effect) -> Effect {
    Effect { certainty: Certainty::Assumed, ..effect }
}

pub(crate) fn operation(kinds: &[&str], effects: impl IntoIterator<Item = Effect>) -> Operation {
    Operation {
        kinds: kinds.iter().map(|k| Box::from(*k)).collect(),
        effects: effects.into_iter().collect(),
        lineages: [].into_iter().collect(),
    }
}

pub(crate) fn decide(
    session: &SessionPolicy,
    operation: &Operation,
    approvals: &[&str],
) -> Decision {
    let approvals: Approvals = approvals.iter().map(|g| (*g).to_owned()).collect();
    session.decide(operation, &Circumstances::default(), &approvals)
}

/// A decision as one word.
pub(crate) fn word(decision: &Decision) -> String {
    match decision {
        Decision::Allow { .. } => "allow".to_owned(),
        Decision::Hold { groups, ground, .. } => {
            format!(
                "hold({}):{}",
                groups.iter().cloned().collect::<Vec<_>>().join("+"),
                ground.rule
            )
        }
        Decision::Refuse { ground, .. } => format!("refuse:{}", ground.rule),
    }
}
