//! Limits that rules set on what they permit: how many rows, how long, how often. Part of a
//! permit's obligations; what a session has used up already comes with each request's moment.

use std::fmt;
use std::sync::Arc;

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// Rows that the answer to one request has.
    Rows,
    /// Rows that one request changes, by triggers and cascades too.
    Changes,
    /// Milliseconds that one request runs.
    Milliseconds,
    /// Rows that a session's answers have, all together.
    SessionRows,
    /// Rows that a session changes, all together.
    SessionChanges,
    /// Requests of a session.
    SessionRequests,
    /// Requests of a principal on a connection within a second.
    PerSecond,
    /// Likewise within a minute.
    PerMinute,
    /// Likewise within an hour.
    PerHour,
    /// Rows that people have approved: as many as it changed when it was rehearsed, or as a decision in a
    /// chat is good for.
    Rehearsed,
}

impl LimitKind {
    /// All of them, in order.
    pub const ALL: [Self; 10] = [
        Self::Rows,
        Self::Changes,
        Self::Milliseconds,
        Self::SessionRows,
        Self::SessionChanges,
        Self::SessionRequests,
        Self::PerSecond,
        Self::PerMinute,
        Self::PerHour,
        Self::Rehearsed,
    ];
}

/// The most a rule lets pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// How many.
    pub most: u64,
    /// The `@id` of the rule that says so.
    pub rule: Arc<str>,
}

/// The limits on one request: of each kind the tightest that a rule sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits([Option<Limit>; LimitKind::ALL.len()]);

impl Limits {
    /// The limit of a kind, if there is one.
    #[must_use]
    pub fn get(&self, kind: LimitKind) -> Option<&Limit> {
        self.0.get(kind as usize)?.as_ref()
    }

    /// Adds a limit; of two of a kind the tighter one counts.
    pub fn tighten(&mut self, kind: LimitKind, limit: &Limit) {
        if let Some(place) = self.0.get_mut(kind as usize)
            && place.as_ref().is_none_or(|old| limit.most < old.most)
        {
            *place = Some(limit.clone());
        }
    }

    /// Adds all of `more`.
    pub fn tighten_all(&mut self, more: &Self) {
        for kind in LimitKind::ALL {
            if let Some(limit) = more.get(kind) {
                self.tighten(kind, limit);
            }
        }
    }

    /// True where there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// The limit that a request would be beyond, where so much is used up already.
    #[must_use]
    pub fn used_up(&self, used: &Used) -> Option<(LimitKind, &Limit)> {
        let counts = [
            (LimitKind::SessionRows, used.rows),
            (LimitKind::SessionChanges, used.changes),
            (LimitKind::SessionRequests, used.requests),
            (LimitKind::PerSecond, used.last_second),
            (LimitKind::PerMinute, used.last_minute),
            (LimitKind::PerHour, used.last_hour),
        ];
        let limits = counts.into_iter().filter_map(|(kind, n)| Some((kind, self.get(kind)?, n)));
        limits
            .into_iter()
            .find(|(_, limit, n)| *n >= limit.most)
            .map(|(kind, limit, _)| (kind, limit))
    }
}

/// What was used up before a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Rows of the session's answers.
    pub rows: u64,
    /// Rows the session has changed.
    pub changes: u64,
    /// Requests of the session.
    pub requests: u64,
    /// Requests of the principal on the connection within the last second.
    pub last_second: u64,
    /// Likewise within the last minute.
    pub last_minute: u64,
    /// Likewise within the last hour.
    pub last_hour: u64,
}

/// A limit in words.
impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rows => "rows in one answer",
            Self::Changes => "rows changed by one request",
            Self::Milliseconds => "milliseconds for one request",
            Self::SessionRows => "rows in a session's answers",
            Self::SessionChanges => "rows changed by a session",
            Self::SessionRequests => "requests of a session",
            Self::PerSecond => "requests in a second",
            Self::PerMinute => "requests in a minute",
            Self::PerHour => "requests in an hour",
            Self::Rehearsed => "rows changed that people have approved",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_limits_the_tighter_counts() {
        let limit = |most, rule: &str| Limit { most, rule: rule.into() };
        let mut limits = Limits::default();
        assert!(limits.is_empty());
        limits.tighten(LimitKind::Rows, &limit(10, "a"));
        limits.tighten(LimitKind::Rows, &limit(20, "b"));
        let mut other = Limits::default();
        other.tighten(LimitKind::Rows, &limit(5, "c"));
        other.tighten(LimitKind::PerMinute, &limit(3, "d"));
        limits.tighten_all(&other);
        assert_eq!(limits.get(LimitKind::Rows), Some(&limit(5, "c")));
        assert_eq!(limits.get(LimitKind::Changes), None);
        let used = |last_minute| Used { rows: 100, last_minute, ..Used::default() };
        assert_eq!(limits.used_up(&used(2)), None);
        assert_eq!(limits.used_up(&used(3)), Some((LimitKind::PerMinute, &limit(3, "d"))));
    }
}
