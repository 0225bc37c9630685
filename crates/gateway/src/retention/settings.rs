//! `[[retention]]` and holds, as they are written.

use portcullis_core::id::SessionId;
use portcullis_core::time::Timestamp;
use portcullis_ledger::retention::{Hold, Rule, Rules};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::Duration;
use toml::value::Datetime;

const DAY: u64 = 24 * 60 * 60;

/// How long something is kept, written `"90d"`, `"7y"` (of 365 days), `"36h"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(with = "String")]
pub(crate) struct Term(Duration);

impl<'de> Deserialize<'de> for Term {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        term(&text).map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "`{text}` is no time to keep something (try \"90d\", \"7y\" or \"36h\")"
            ))
        })
    }
}

fn term(text: &str) -> Option<Duration> {
    let counted = |unit: char, days: u64| {
        let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
        count.checked_mul(days * DAY).map(Duration::from_secs)
    };
    let other = || Duration::try_from(text.parse::<jiff::SignedDuration>().ok()?).ok();
    let term = counted('d', 1).or_else(|| counted('y', 365)).or_else(other)?;
    // What a journal's times can tell.
    (!term.is_zero() && term.as_secs() < 1000 * 365 * DAY).then_some(term)
}

/// For how long what is recorded of sessions on some connections is kept, counted from when they ended. What has
/// no time is kept for ever. What is removed of the journal leaves its hash, so that the record still verifies.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retention {
    /// What the record calls the rule: small letters, digits, `-` and `_`.
    name: String,
    /// The connections it is for; none: those that no other rule names.
    #[serde(default)]
    connections: BTreeSet<String>,
    /// How long recorded answers are kept; as long as `sessions` by default.
    #[serde(default)]
    recordings: Option<Term>,
    /// How long statements that only read are kept, with their outcomes; as long as `requests` by default.
    #[serde(default)]
    reads: Option<Term>,
    /// How long all other statements are kept, refused and held ones among them; as long as `sessions` by default.
    #[serde(default)]
    requests: Option<Term>,
    /// How long it is kept that there was the session, from where and by whom.
    #[serde(default)]
    sessions: Option<Term>,
    /// How long entries of no session are kept: decisions, sign-ins, changes of documents. Only in the rule
    /// without connections; for ever by default.
    #[serde(default)]
    events: Option<Term>,
}

impl Retention {
    /// What is wrong with the rules of a configuration.
    pub(crate) fn check_all(all: &[Self]) -> Result<(), String> {
        let (mut names, mut named, mut rest) = (BTreeSet::new(), BTreeSet::new(), false);
        for one in all {
            let wrong = |why: String| format!("retention: \"{}\": {why}", one.name);
            one.check().map_err(wrong)?;
            if !names.insert(&one.name) {
                return Err(wrong("there is another rule of this name".to_owned()));
            }
            if one.connections.is_empty() && std::mem::replace(&mut rest, true) {
                return Err(wrong("there is another rule without connections".to_owned()));
            }
            if let Some(twice) = one.connections.iter().find(|name| !named.insert(*name)) {
                return Err(wrong(format!("another rule names the connection `{twice}` too")));
            }
        }
        let Some(events) = all.iter().find_map(|one| one.events) else { return Ok(()) };
        match all.iter().find(|one| one.requests().is_none_or(|requests| requests > events)) {
            Some(longer) => Err(format!(
                "retention: events are kept shorter than requests by \"{}\": who approved a request would be \
                 gone while the request is there",
                longer.name
            )),
            None => Ok(()),
        }
    }

    fn check(&self) -> Result<(), String> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if self.name.is_empty() || self.name.len() > 64 || !self.name.bytes().all(plain) {
            return Err("name must be 1 to 64 of a-z, 0-9, - and _".to_owned());
        }
        if self.terms().flatten().next().is_none() {
            return Err("it says of nothing how long it is kept".to_owned());
        }
        if self.events.is_some() && !self.connections.is_empty() {
            return Err("events belong to no connection: put it into the rule without".to_owned());
        }
        let longer = |a: Option<Term>, b: Option<Term>| a.zip(b).is_some_and(|(a, b)| a > b);
        for (what, is) in [
            ("recordings are kept longer than sessions", longer(self.recordings, self.sessions)),
            ("reads are kept longer than requests", longer(self.reads, self.requests())),
            ("requests are kept longer than sessions", longer(self.requests, self.sessions)),
        ] {
            if is {
                return Err(format!("{what}: nobody would know what they belong to"));
            }
        }
        Ok(())
    }

    fn requests(&self) -> Option<Term> {
        self.requests.or(self.sessions)
    }

    fn terms(&self) -> impl Iterator<Item = Option<Term>> {
        [self.recordings, self.reads, self.requests, self.sessions, self.events].into_iter()
    }

    /// What works, and may not be meant; `known` are the connections there are.
    pub(crate) fn doubts<'a>(
        all: &'a [Self],
        known: impl Fn(&str) -> bool + 'a,
    ) -> impl Iterator<Item = String> + 'a {
        all.iter().flat_map(move |one| {
            let unknown = one.connections.iter().filter(|name| !known(name)).map(|name| {
                format!("retention: \"{}\": there is no connection `{name}` now", one.name)
            });
            let short = one.terms().flatten().any(|term| term.0 < Duration::from_secs(DAY));
            let short = short.then(|| {
                format!("retention: \"{}\": something is kept for less than a day", one.name)
            });
            unknown.collect::<Vec<_>>().into_iter().chain(short)
        })
    }
}

/// As the ledger goes by them.
pub(crate) fn rules(all: &[Retention]) -> Rules {
    let time = |term: Option<Term>| term.map(|term| term.0);
    let rule = |one: &Retention| Rule {
        name: one.name.clone(),
        connections: one.connections.clone(),
        recordings: time(one.recordings),
        reads: time(one.reads),
        requests: time(one.requests),
        sessions: time(one.sessions),
    };
    Rules {
        rules: all.iter().map(rule).collect(),
        events: all.iter().find_map(|one| time(one.events)),
    }
}

/// The shortest time that something is kept.
pub(super) fn shortest(all: &[Retention]) -> Option<Duration> {
    all.iter().flat_map(Retention::terms).flatten().map(|term| term.0).min()
}

/// A document that holds what is recorded against the rules of retention: of the sessions it lists, and of those for
/// which everything else that it says holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HoldDocument {
    /// Why: a case, an order.
    reason: String,
    #[serde(default)]
    sessions: BTreeSet<SessionId>,
    #[serde(default)]
    connections: BTreeSet<String>,
    #[serde(default)]
    principals: BTreeSet<String>,
    #[serde(default)]
    since: Option<Datetime>,
    #[serde(default)]
    until: Option<Datetime>,
}

impl HoldDocument {
    /// What it holds.
    ///
    /// # Errors
    /// What it lacks.
    pub(crate) fn hold(self, name: &str) -> Result<Hold, String> {
        if self.reason.trim().is_empty() {
            return Err("reason: say why, in words: it is what an auditor reads".to_owned());
        }
        let Self { sessions, connections, principals, since, until, .. } = self;
        let at = |key: &str, at: Datetime| {
            let at: jiff::Timestamp = at.to_string().parse().map_err(|_| {
                format!("{key}: `{at}` is no moment: give time and zone, as 2026-03-01T00:00:00Z")
            })?;
            Ok::<_, String>(Timestamp::from_micros(at.as_microsecond()))
        };
        let since = since.map(|since| at("since", since)).transpose()?;
        let until = until.map(|until| at("until", until)).transpose()?;
        if since.zip(until).is_some_and(|(since, until)| since > until) {
            return Err("since is after until: it would hold nothing".to_owned());
        }
        let name = name.to_owned();
        Ok(Hold { name, sessions, connections, principals, since, until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> String {
        #[derive(Deserialize)]
        struct File {
            retention: Vec<Retention>,
        }
        match toml::from_str::<File>(text) {
            Ok(file) => Retention::check_all(&file.retention).err().unwrap_or_default(),
            Err(error) => error.message().to_owned(),
        }
    }

    #[test]
    fn rules_that_contradict_each_other_are_refused() {
        let rest = "[[retention]]\nname = \"rest\"\n";
        for (more, wanted) in [
            (
                "recordings = \"30d\"\nreads = \"90d\"\nrequests = \"400d\"\nsessions = \"7y\"\nevents = \"7y\"",
                "",
            ),
            ("", "says of nothing"),
            ("reads = \"1d\"\nrequests = \"12h\"", "reads are kept longer"),
            ("reads = \"2d\"\nsessions = \"1d\"", "reads are kept longer"),
            ("requests = \"2d\"\nsessions = \"1d\"", "requests are kept longer"),
            ("recordings = \"2d\"\nsessions = \"1d\"", "recordings are kept longer"),
            ("requests = \"2d\"\nevents = \"1d\"", "who approved"),
            ("recordings = \"2d\"\nevents = \"1d\"", "who approved"),
            ("reads = \"0d\"", "no time to keep"),
            ("reads = \"-1d\"", "no time to keep"),
            ("reads = \"99999999999y\"", "no time to keep"),
            (
                "connections = [\"a\"]\nsessions = \"1d\"\nevents = \"1d\"",
                "belong to no connection",
            ),
            (
                "sessions = \"1d\"\n[[retention]]\nname = \"b\"\nsessions = \"1d\"",
                "another rule without",
            ),
            (
                "sessions = \"1d\"\n[[retention]]\nname = \"rest\"\nconnections = [\"a\"]\nsessions = \"1d\"",
                "of this name",
            ),
        ] {
            let found = check(&format!("{rest}{more}\n"));
            assert_eq!(wanted.is_empty(), found.is_empty(), "{more}: {found}");
            assert!(found.contains(wanted), "{more}: {found}");
        }
        let twice = "[[retention]]\nname = \"a\"\nconnections = [\"x\"]\nreads = \"1d\"\n\
                     [[retention]]\nname = \"b\"\nconnections = [\"x\"]\nreads = \"1d\"\n";
        assert!(check(twice).contains("names the connection `x` too"));
    }
}
