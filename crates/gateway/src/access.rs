//! `[connections.NAME.access]`: who may ask for access to a connection for a time, who grants it, and for how
//! long at most.

use crate::config::Span;
use portcullis_core::access::{Approvers, Escalation};
use portcullis_core::passkey::StepUp;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// The longest time that can be configured for a grant: a week.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The longest time a request can wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The most people that can be asked for.
const MOST_PEOPLE: u8 = 9;

/// Access that people grant for a time. Where a connection has this, nobody is on it without a grant,
/// whatever policy says; policy decides beside it, and sees the grant (`context.grant`).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessSettings {
    /// The group whose people approve requests.
    pub(crate) approvers: String,
    /// How many different people have to approve each; 1 to 9.
    #[serde(default = "one")]
    pub(crate) quorum: u8,
    /// The groups whose members may ask; by default those of the connection (`groups`).
    #[serde(default)]
    pub(crate) requesters: Option<BTreeSet<String>>,
    /// Whether agents, workloads and whoever acts for somebody may ask. Where they may not, they are not
    /// on this connection at all: a grant is for whoever asked.
    #[serde(default = "yes")]
    pub(crate) agents: bool,
    /// How long a grant may last at most, from its last approval; `"4h"` by default, `"168h"` at most.
    #[serde(default = "four_hours")]
    pub(crate) longest: Span,
    /// How long a request waits for people; `"1h"` by default, `"720h"` at most.
    #[serde(default = "an_hour")]
    pub(crate) wait: Span,
    /// A group whose people may approve as well, once a request has waited for `escalate_after`.
    #[serde(default)]
    pub(crate) escalate_to: Option<String>,
    /// After how long `escalate_to` is asked; `"10m"` by default.
    #[serde(default)]
    pub(crate) escalate_after: Option<Span>,
    /// What people have to show beside a token to approve: `"passkey"`. Without it what `step_up` of the
    /// connection says.
    #[serde(default)]
    pub(crate) step_up: Option<StepUp>,
}

const fn one() -> u8 {
    1
}

const fn yes() -> bool {
    true
}

const fn four_hours() -> Span {
    Span(Duration::from_secs(4 * 60 * 60))
}

const fn an_hour() -> Span {
    Span(Duration::from_secs(60 * 60))
}

impl AccessSettings {
    /// Who decides.
    pub(crate) fn approvers(&self) -> Approvers {
        let after = self.escalate_after.map_or(Duration::from_secs(600), |after| after.0);
        let after_seconds = u32::try_from(after.as_secs()).unwrap_or(u32::MAX);
        let to = self.escalate_to.clone();
        Approvers {
            group: self.approvers.clone(),
            quorum: self.quorum,
            escalation: to.map(|to| Escalation { to, after_seconds }),
            step_up: self.step_up,
        }
    }

    /// What is wrong with it, if anything is.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let within = |span: Span, most| Duration::from_secs(1) <= span.0 && span.0 <= most;
        if self.approvers.trim().is_empty() {
            return Some("approvers is empty, so nobody could approve anything: name a group");
        }
        if !(1..=MOST_PEOPLE).contains(&self.quorum) {
            return Some("quorum must be 1 to 9");
        }
        if !within(self.longest, LONGEST) {
            return Some("longest must be a second at least, and 168h at most");
        }
        if !within(self.wait, LONGEST_WAIT) {
            return Some("wait must be a second at least, and 720h at most");
        }
        if self.requesters.as_ref().is_some_and(BTreeSet::is_empty) {
            return Some("requesters is empty, so nobody could ask: leave it out, or name groups");
        }
        match (&self.escalate_to, self.escalate_after) {
            (None, Some(_)) => Some("escalate_after is set, and escalate_to is not"),
            (Some(to), _) if to.trim().is_empty() => Some("escalate_to is empty: name a group"),
            (Some(to), _) if *to == self.approvers => {
                Some("escalate_to is the group that is asked already")
            }
            (Some(_), Some(after)) if !within(after, self.wait.0) => {
                Some("escalate_after must be a second at least, and less than wait")
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(more: &str) -> AccessSettings {
        toml::from_str(&format!("approvers = \"dba\"\n{more}")).unwrap()
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        assert_eq!(settings("").fault(), None);
        let all = "quorum = 2\nlongest = \"1h\"\nwait = \"30m\"\nescalate_to = \"leads\"\n\
                   escalate_after = \"5m\"\nrequesters = [\"agents\"]\nagents = false\n";
        assert_eq!(settings(all).fault(), None);
        for (more, what) in [
            ("quorum = 0", "quorum"),
            ("quorum = 10", "quorum"),
            ("longest = \"0s\"", "longest"),
            ("longest = \"169h\"", "longest"),
            ("wait = \"721h\"", "wait"),
            ("requesters = []", "requesters"),
            ("escalate_after = \"5m\"", "escalate_to is not"),
            ("escalate_to = \"dba\"", "asked already"),
            ("escalate_to = \" \"", "name a group"),
            ("wait = \"5m\"\nescalate_to = \"x\"\nescalate_after = \"6m\"", "less than wait"),
        ] {
            let fault = settings(more).fault();
            assert!(fault.is_some_and(|fault| fault.contains(what)), "{more}: {fault:?}");
        }
        assert!(settings("").approvers().escalation.is_none());
        let late = settings("escalate_to = \"leads\"").approvers().escalation.unwrap();
        assert_eq!((late.to.as_str(), late.after_seconds), ("leads", 600));
    }
}
