//! What auditors ask for, clause by clause, and which entries of the record answer it.
//!
//! The words are ours: they say what the record shows, and quote no standard.

use clap::ValueEnum;
use portcullis_core::journal::{Entry, Event};
use serde::Serialize;

/// A standard that the record answers a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Control {
    /// PCI DSS 4.0.1, requirement 10.2.
    #[value(name = "pci-10.2")]
    Pci,
    /// SOC 2, Trust Services Criteria CC6.
    #[value(name = "soc2-cc6")]
    Soc2,
    /// ISO/IEC 27001:2022, Annex A 8.15.
    #[value(name = "iso-a8.15")]
    Iso,
    /// HIPAA Security Rule, 45 CFR 164.312.
    #[value(name = "hipaa")]
    Hipaa,
    /// Regulation (EU) 2024/1689, Article 12.
    #[value(name = "eu-ai-act-12")]
    AiAct,
}

/// What kind of thing an entry tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// That a session began or ended.
    Session,
    /// What was sent to a target, and what became of it.
    Access,
    /// What was masked in an answer.
    Masking,
    /// What makes, changes or removes objects of a target.
    Objects,
    /// What was refused.
    Refusal,
    /// What people asked, decided, gave and took back.
    Decision,
    /// What administrators did.
    Administration,
    /// What identifies callers: credentials, passkeys, sign-ins.
    Identity,
    /// Who looked at the record.
    Watching,
    /// What became of the record itself.
    Record,
}

fn kinds(event: &Event) -> Vec<Kind> {
    match event {
        Event::SessionOpened { .. } | Event::SessionClosed { .. } => vec![Kind::Session],
        Event::Intent { operation, .. } => intent(operation),
        Event::Rehearsed { operation, .. } => intent(operation),
        Event::Outcome { masked, .. } if *masked > 0 => vec![Kind::Access, Kind::Masking],
        Event::Outcome { .. } => vec![Kind::Access],
        Event::LoginRefused { .. }
        | Event::Refused { .. }
        | Event::ExchangeRefused { .. }
        | Event::SignInRefused { .. }
        | Event::DecisionRefused { .. }
        | Event::AccessRefused { .. }
        | Event::AdministrationRefused { .. }
        | Event::PasskeyRefused { .. }
        | Event::ChatRefused { .. } => vec![Kind::Refusal],
        Event::Held { .. }
        | Event::Withdrawn { .. }
        | Event::Decided { .. }
        | Event::PatternRevoked { .. }
        | Event::ReviewMessage { .. }
        | Event::AccessRequested { .. }
        | Event::AccessEscalated { .. }
        | Event::AccessDecided { .. }
        | Event::AccessBegun { .. }
        | Event::AccessEnded { .. } => vec![Kind::Decision],
        Event::DocumentChanged { .. }
        | Event::DocumentsKept { .. }
        | Event::Governed { .. }
        | Event::Frozen { .. }
        | Event::Thawed { .. }
        | Event::SessionKilled { .. }
        | Event::SessionPaused { .. }
        | Event::SessionResumed { .. } => vec![Kind::Administration],
        Event::CredentialIssued { .. }
        | Event::CredentialRevoked { .. }
        | Event::SignedIn { .. }
        | Event::SignedOut { .. }
        | Event::PasskeyRegistered { .. }
        | Event::PasskeyRemoved { .. } => vec![Kind::Identity],
        Event::Watched { .. } => vec![Kind::Watching],
        Event::Started { .. }
        | Event::Unproven { .. }
        | Event::ContentsRemoved { .. }
        | Event::RecordingRemoved { .. } => vec![Kind::Record],
    }
}

/// The gateway's own words for what a request does: verbs behind the statement.
fn intent(operation: &str) -> Vec<Kind> {
    let effects = operation.split_once(" · ").map_or("", |(_, effects)| effects);
    let mut verbs = effects.split(", ").filter_map(|effect| effect.split(' ').next());
    let objects = verbs.any(|verb| matches!(verb, "create" | "drop" | "alter" | "grant"));
    if objects { vec![Kind::Access, Kind::Objects] } else { vec![Kind::Access] }
}

/// One thing that is asked.
struct Asked {
    control: Control,
    clause: &'static str,
    /// What the record shows of it.
    shows: &'static str,
    kinds: &'static [Kind],
}

const fn asked(
    control: Control,
    clause: &'static str,
    shows: &'static str,
    kinds: &'static [Kind],
) -> Asked {
    Asked { control, clause, shows, kinds }
}

static ASKED: [Asked; 27] = [
    asked(
        Control::Pci,
        "10.2.1.1",
        "every access of an individual to data: statement, objects, verdict, outcome",
        &[Kind::Access],
    ),
    asked(
        Control::Pci,
        "10.2.1.2",
        "what administrators of the gateway did: rules, documents, freezes, ended sessions",
        &[Kind::Administration],
    ),
    asked(
        Control::Pci,
        "10.2.1.3",
        "who was shown the record, and which part of it",
        &[Kind::Watching],
    ),
    asked(
        Control::Pci,
        "10.2.1.4",
        "attempts that were refused: log-ins, requests, decisions, administration",
        &[Kind::Refusal],
    ),
    asked(
        Control::Pci,
        "10.2.1.5",
        "credentials, passkeys, sign-ins, and rights that were given for a time",
        &[Kind::Identity, Kind::Decision],
    ),
    asked(
        Control::Pci,
        "10.2.1.6",
        "when recording started, what of the record is unproven, and what retention removed",
        &[Kind::Record],
    ),
    asked(
        Control::Pci,
        "10.2.1.7",
        "objects that were created, changed or dropped",
        &[Kind::Objects],
    ),
    asked(
        Control::Pci,
        "10.2.2",
        "of each session: who, from where, when, to what, as which role",
        &[Kind::Session],
    ),
    asked(
        Control::Soc2,
        "CC6.1",
        "access goes through verified sessions and is judged request by request",
        &[Kind::Session, Kind::Refusal],
    ),
    asked(
        Control::Soc2,
        "CC6.2",
        "who was given access, by whose decision, and when it ended",
        &[Kind::Identity, Kind::Decision],
    ),
    asked(
        Control::Soc2,
        "CC6.3",
        "changes of rules, roles and groups, and who made them",
        &[Kind::Administration],
    ),
    asked(Control::Soc2, "CC6.6", "attempts from outside that were refused", &[Kind::Refusal]),
    asked(
        Control::Soc2,
        "CC6.7",
        "answers in which sensitive values were masked",
        &[Kind::Masking],
    ),
    asked(
        Control::Iso,
        "8.15 a",
        "who did what and when: sessions with user, address, target",
        &[Kind::Session],
    ),
    asked(
        Control::Iso,
        "8.15 b",
        "access to data that was permitted, and access that was refused",
        &[Kind::Access, Kind::Refusal],
    ),
    asked(Control::Iso, "8.15 c", "changes of configuration and rules", &[Kind::Administration]),
    asked(
        Control::Iso,
        "8.15 d",
        "use of privileges: approvals, and access that was given for a time",
        &[Kind::Decision],
    ),
    asked(
        Control::Iso,
        "8.15 e",
        "protection of logs: starts, who looked, what was removed and by which rule",
        &[Kind::Record, Kind::Watching],
    ),
    asked(
        Control::Hipaa,
        "164.312(a)(1)",
        "access is given to persons and programs that have the right to it, and refused to others",
        &[Kind::Session, Kind::Refusal, Kind::Decision],
    ),
    asked(
        Control::Hipaa,
        "164.312(b)",
        "activity in systems with health information is recorded and can be examined",
        &[Kind::Access, Kind::Watching],
    ),
    asked(
        Control::Hipaa,
        "164.312(c)(1)",
        "what changed data or its structure, and on whose approval",
        &[Kind::Objects, Kind::Decision],
    ),
    asked(
        Control::Hipaa,
        "164.312(d)",
        "how those who seek access are verified",
        &[Kind::Identity, Kind::Session],
    ),
    asked(
        Control::AiAct,
        "12(1)",
        "what agents did is recorded automatically, over the whole time the gateway runs",
        &[Kind::Session, Kind::Access, Kind::Record],
    ),
    asked(
        Control::AiAct,
        "12(2)(a)",
        "situations that may be a risk: what was refused, held, or stopped",
        &[Kind::Refusal, Kind::Decision, Kind::Administration],
    ),
    asked(
        Control::AiAct,
        "12(2)(b)",
        "what became of what agents did: for monitoring after they are in use",
        &[Kind::Access],
    ),
    asked(Control::AiAct, "12(2)(c)", "who watched agents at work", &[Kind::Watching]),
    asked(
        Control::AiAct,
        "12(3)",
        "for each use: begin and end, what it was matched against, and the people who verified it",
        &[Kind::Session, Kind::Decision],
    ),
];

/// What the record has to say to one clause.
#[derive(Debug, Serialize)]
pub(crate) struct Answered {
    control: String,
    pub(crate) clause: &'static str,
    pub(crate) shows: &'static str,
    /// How many entries.
    pub(crate) count: u64,
    /// Their numbers: the first of them, where there are very many.
    pub(crate) entries: Vec<u64>,
}

/// Numbers that are listed of one clause.
const LISTED: usize = 10_000;

/// The answers to some controls; to all where none is named.
pub(crate) struct Answers(Vec<(&'static Asked, Answered)>);

impl Answers {
    pub(crate) fn to(controls: &[Control]) -> Self {
        let wanted = |asked: &&Asked| controls.is_empty() || controls.contains(&asked.control);
        let answer = |asked: &'static Asked| {
            let name = asked.control.to_possible_value().map(|v| v.get_name().to_owned());
            let control = name.unwrap_or_default();
            let (clause, shows) = (asked.clause, asked.shows);
            (asked, Answered { control, clause, shows, count: 0, entries: Vec::new() })
        };
        Self(ASKED.iter().filter(wanted).map(answer).collect())
    }

    pub(crate) fn take(&mut self, sequence: u64, entry: &Entry) {
        let kinds = kinds(&entry.event);
        for (asked, answered) in &mut self.0 {
            if asked.kinds.iter().any(|kind| kinds.contains(kind)) {
                answered.count += 1;
                if answered.entries.len() < LISTED {
                    answered.entries.push(sequence);
                }
            }
        }
    }

    /// All of them, with the name of each one's control.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Answered)> {
        self.0.iter().map(|(_, answered)| (answered.control.as_str(), answered))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_clause_is_there_once_and_every_control_has_some() {
        let all: BTreeSet<_> = ASKED.iter().map(|a| (a.control, a.clause)).collect();
        assert_eq!(all.len(), ASKED.len());
        for control in Control::value_variants() {
            assert!(all.iter().any(|(of, _)| of == control), "{control:?}");
            assert!(Answers::to(&[*control]).all().count() < ASKED.len());
        }
        assert_eq!(Answers::to(&[]).all().count(), ASKED.len());
    }

    #[test]
    fn what_makes_objects_is_told_by_the_gateways_verbs() {
        assert_eq!(intent("CREATE TABLE · create shop.public.t"), [Kind::Access, Kind::Objects]);
        assert_eq!(intent("SELECT · read shop.public.drop"), [Kind::Access]);
        assert_eq!(intent("ALTER · read a, alter b"), [Kind::Access, Kind::Objects]);
    }
}
