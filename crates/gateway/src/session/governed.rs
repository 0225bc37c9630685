//! How a running session goes on by other rules: with its next request, and before what was held runs.

use super::refusing::own_refusal;
use super::{End, Session};
use crate::generation::governed;
use crate::login::{judge_of, rate_of};
use portcullis_core::effect::Operation;
use portcullis_core::journal::{Entry, Journal as _};
use portcullis_core::refusal::{Refusal, Retry, rule};
use std::time::Duration;

/// How long after it was judged a request may still be sent by rules that are not in force any more.
const BY_OLD_RULES: Duration = Duration::from_secs(1);

impl Session {
    /// Goes by the rules of now. A session whose connection is gone, or whom they would not let in, ends;
    /// and every session, where this gateway cannot go by them.
    pub(super) fn take_up(&mut self) -> Result<(), End> {
        if self.governed.is_behind() {
            return Err(End::Behind);
        }
        let Some(generation) = self.governed.newer() else { return Ok(()) };
        let standing = self.gate.standing().clone();
        let name = &standing.connection.name;
        let connection = self.governed.connection(&generation, name).ok_or(End::Reconfigured)?;
        let grant = self.governed.grant.as_deref().cloned();
        let judge = judge_of(&generation, &connection, &standing, grant);
        if let Some(catalog) = self.analyst.catalog() {
            judge.use_catalog(catalog);
            if judge.lacks_a_column() {
                return Err(End::Uncovered);
            }
        }
        let moment = self.moments.next();
        let unasked = self.gate.go_on_by(judge.clone(), moment);
        self.unasked = unasked.map_err(End::NotLetIn)?;
        self.rate = rate_of(&judge, &connection, &standing.principal);
        self.judge = judge;
        self.governed.judged_by = connection.judged_by;
        // What was refused may be let through now.
        self.refused.clear();
        let event = governed(generation.revision, &generation.policies);
        let entry = Entry { at: moment.at, session: Some(self.id), request: None, event };
        Ok(self.gate.journal().note(entry)?)
    }

    /// Why a permitted request is not sent after all, where it was judged by rules that were in force
    /// some time ago.
    pub(super) fn judged_too_long_ago(&mut self, operation: &Operation) -> Option<Refusal> {
        if !self.governed.is_outdated(BY_OLD_RULES) && !self.governed.is_behind() {
            return None;
        }
        let why =
            "the gateway's rules were changed after it was judged, and before it could take effect";
        let refusal = own_refusal(
            self.moments.next().decision,
            operation,
            rule::CURRENT_RULES,
            (why.to_owned(), "send it again: it is judged by the rules there are now"),
        );
        Some(Refusal { retry: Retry::Later, ..refusal })
    }
}
