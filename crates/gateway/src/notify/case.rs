//! What people are told of: a held request, or a request for access, as it stands in the store. What a
//! message may say of either is said here; how it looks is its sender's.
//!
//! *Architecture invariant:* nothing of it is the text of a request, a literal, a bound value, a row, or what
//! a caller claims: names of objects, rules and callers alone, and the words of the verdict.

use super::shown;
use crate::grants::told;
use portcullis_core::principal::Principal;
use portcullis_core::time::Timestamp;
use portcullis_store::{GrantRow, GrantStatus, NotificationRow, ReviewRow, Status};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What people are waited for by.
pub(super) enum Case {
    Review(Box<ReviewRow>),
    Access(Box<GrantRow>),
}

/// How a name or sentence of others is shown.
type Show = fn(&str) -> String;

impl Case {
    /// Whether people are still waited for.
    pub(super) const fn waits(&self) -> bool {
        match self {
            Self::Review(row) => matches!(row.status, Status::Pending),
            Self::Access(row) => matches!(row.status, GrantStatus::Pending),
        }
    }

    /// Who asks.
    pub(super) const fn caller(&self) -> &Principal {
        match self {
            Self::Review(row) => &row.ask.standing.principal,
            Self::Access(row) => &row.ask.principal,
        }
    }

    /// From when on people of one of these groups are asked, of no groups whoever is; `None` where they
    /// never are.
    pub(super) fn asks(&self, groups: &BTreeSet<String>) -> Option<Timestamp> {
        let (asked, at) = match self {
            Self::Review(row) => (row.ask.groups.clone(), row.ask.at),
            Self::Access(row) => ([row.ask.approvers.group.clone()].into(), row.ask.at),
        };
        if groups.is_empty() || !groups.is_disjoint(&asked) {
            return Some(at);
        }
        let Self::Access(row) = self else { return None };
        let second = row.ask.approvers.escalation.as_ref();
        second.filter(|second| groups.contains(&second.to)).map(|second| second.due(at))
    }

    fn status(&self) -> &'static str {
        match self {
            Self::Review(row) => row.status.as_str(),
            Self::Access(row) => row.status.as_str(),
        }
    }

    fn digest(&self) -> String {
        match self {
            Self::Review(row) => row.ask.digest.short(),
            Self::Access(row) => row.ask.digest().short(),
        }
    }

    fn connection(&self) -> &str {
        match self {
            Self::Review(row) => &row.ask.standing.connection.name,
            Self::Access(row) => &row.ask.connection,
        }
    }

    /// Whoever asks, and for whom.
    fn chain(&self, show: Show) -> String {
        let caller = self.caller();
        let acting = caller.acting_for.as_deref();
        let acting = acting.map(|person| format!(" for {}", show(person))).unwrap_or_default();
        format!("{}{acting}", show(&caller.name))
    }

    /// What is asked for, where, in a line; the same for all messages of it.
    pub(super) fn title(&self, show: Show) -> String {
        let name = show(self.connection());
        match self {
            Self::Review(row) => {
                format!("[{name}] held for review: {}", show(&row.ask.ground.what))
            }
            Self::Access(row) => {
                let time = told(row.ask.length());
                format!("[{name}] access is asked for: {time} as {}", show(&row.ask.role))
            }
        }
    }

    /// That somebody waits for people; or that it is over, how, and by whom.
    pub(super) fn state(&self, waits: bool, show: Show) -> String {
        if waits {
            return format!("{} waits for people", self.chain(show));
        }
        let (decisions, decided) = match self {
            Self::Review(row) => (
                &row.decisions,
                matches!(row.status, Status::Approved | Status::Used | Status::Rejected),
            ),
            Self::Access(row) => {
                (&row.decisions, matches!(row.status, GrantStatus::Active | GrantStatus::Rejected))
            }
        };
        let by = decisions.last().filter(|_| decided);
        let by = by.map(|last| format!(" by {}", show(&last.name))).unwrap_or_default();
        format!("It is over: {}{by}", self.status())
    }

    /// What else is to be known of it, by name.
    pub(super) fn facts(&self, show: Show) -> Vec<(&'static str, String)> {
        let caller = self.caller();
        let acting = caller.acting_for.as_deref();
        let acting = acting.map(|person| format!(" for {}", show(person))).unwrap_or_default();
        let who = format!("{}{acting} ({})", show(&caller.subject), show(&caller.issuer));
        let place = |name: &str, environment: &str, database: &str, role: &str| {
            let (name, environment) = (show(name), show(environment));
            format!("{name} ({environment}), database {}, as {}", show(database), show(role))
        };
        match self {
            Self::Review(row) => {
                let (ask, at) = (&row.ask, &row.ask.standing.connection);
                let groups: Vec<_> = ask.groups.iter().map(|group| show(group)).collect();
                vec![
                    ("does", show(&ask.ground.what)),
                    ("where", place(&at.name, &at.environment, &at.database, &at.role)),
                    ("who", who),
                    ("rule", format!("{}: {}", show(&ask.ground.rule), show(&ask.ground.reason))),
                    ("asks", groups.join(", ")),
                    ("asked", ask.at.to_string()),
                    ("expires", row.expires.to_string()),
                    ("digest", self.digest()),
                ]
            }
            Self::Access(row) => {
                let ask = &row.ask;
                let asks = &ask.approvers;
                let people =
                    if asks.quorum > 1 { format!("{} of ", asks.quorum) } else { String::new() };
                let mut facts = vec![
                    ("where", place(&ask.connection, &ask.environment, &ask.database, &ask.role)),
                    ("for", format!("{} from the approval", told(ask.length()))),
                    ("who", who),
                    ("asks", format!("{people}{}", show(&asks.group))),
                    ("asked", ask.at.to_string()),
                    ("expires", ask.lapses.to_string()),
                    ("digest", self.digest()),
                ];
                if let Some(second) = &asks.escalation {
                    let later = format!("{} from {}", show(&second.to), second.due(ask.at));
                    facts.insert(4, ("and", later));
                }
                facts
            }
        }
    }

    /// Where it is decided, below `origin`.
    pub(super) fn url(&self, origin: &str) -> String {
        match self {
            Self::Review(row) => format!("{origin}/reviews/{}", row.id),
            Self::Access(row) => format!("{origin}/access#{}", row.id),
        }
    }

    /// What shows it where there is no console.
    pub(super) fn command(&self) -> String {
        match self {
            Self::Review(row) => format!("portcullis review show {}", row.id),
            Self::Access(row) => format!("portcullis grants show {}", row.id),
        }
    }

    /// What programs are sent.
    pub(super) fn message(&self, row: &NotificationRow, origin: Option<&str>) -> Value {
        let caller = self.caller();
        let mut data = match self {
            Self::Review(review) => of_review(review),
            Self::Access(grant) => of_access(grant),
        };
        let shared = json!({
            "digest": self.digest(),
            "status": self.status(),
            "caller": {
                "name": shown(&caller.name),
                "kind": caller.kind,
                "subject": shown(&caller.subject),
                "issuer": caller.issuer,
                "acting_for": caller.acting_for.as_deref().map(shown),
            },
            "url": origin.map(|origin| self.url(origin)),
        });
        if let (Value::Object(data), Value::Object(shared)) = (&mut data, shared) {
            data.extend(shared);
        }
        json!({ "type": row.event.word(), "timestamp": row.made.to_string(), "data": data })
    }
}

fn of_review(review: &ReviewRow) -> Value {
    let (ask, connection) = (&review.ask, &review.ask.standing.connection);
    json!({
        "review": review.id,
        "does": shown(&ask.ground.what),
        "connection": connection.name,
        "environment": connection.environment,
        "database": connection.database,
        "rule": ask.ground.rule,
        "reason": shown(&ask.ground.reason),
        "groups": ask.groups,
        "waiting_for": review.waiting_for,
        "asked": ask.at.to_string(),
        "expires": review.expires.to_string(),
    })
}

fn of_access(grant: &GrantRow) -> Value {
    let ask = &grant.ask;
    let second = ask.approvers.escalation.as_ref();
    json!({
        "grant": grant.id,
        "connection": ask.connection,
        "environment": ask.environment,
        "database": ask.database,
        "role": shown(&ask.role),
        "seconds": ask.seconds,
        "groups": [&ask.approvers.group],
        "quorum": ask.approvers.quorum,
        "escalates": second.map(|second| json!({
            "to": second.to,
            "at": second.due(ask.at).to_string(),
        })),
        "waiting_for": grant.waiting_for,
        "asked": ask.at.to_string(),
        "expires": ask.lapses.to_string(),
    })
}
