//! Tables made of masked columns: their labels are kept before the transaction that makes them can be
//! committed. Between the answer to a permitted request and its COMMIT.

use super::bounded::Bounds;
use super::{End, Session};
use crate::labels::{Maker, Making, Unkept};
use portcullis_core::effect::{Operation, Verb};
use portcullis_core::refusal::rule;
use portcullis_store::LabelMaker;
use portcullis_wire::pg::server::WireError;
use std::sync::Arc;

/// The SQLSTATE of what would let masked values go where they are not masked.
pub(super) const REFUSED: &str = "42501";
const RULE: &str = rule::MASKED_STAYS_MASKED;

impl Session {
    /// Why the tables that a request makes could not be found again, if so.
    pub(super) fn unkeepable(&self, bounds: &Bounds, operation: &Operation) -> Option<String> {
        let columns = bounds.makings.iter().map(Making::most).sum();
        if let Err(full) = self.labels.room(&self.maker().principal, columns) {
            return Some(full.to_string());
        }
        if operation.lineages.len() > 1 {
            let why = "the same request does more than that: send that apart from it";
            return Some(why.to_owned());
        }
        let alters = |verb| matches!(verb, Verb::Alter | Verb::Drop);
        let mut effects = operation.effects.iter();
        effects.any(|e| alters(e.verb)).then(|| {
            "the same request changes or drops definitions: send that apart from it".to_owned()
        })
    }

    /// Whose the tables are that it makes.
    fn maker(&self) -> Maker {
        let principal = &self.gate.standing().principal;
        let (issuer, subject) =
            (principal.issuer.as_str().into(), principal.subject.as_str().into());
        Maker { session: self.id, principal: Arc::new(LabelMaker { issuer, subject }) }
    }

    /// Keeps the labels of the tables that a request has made. An error where they could not be: then
    /// the tables must not stay.
    pub(super) async fn keep_labels(&mut self, bounds: &Bounds) -> Result<Option<WireError>, End> {
        if bounds.makings.is_empty() {
            return Ok(None);
        }
        let Some(definitions) = self.definitions(true, false).await? else {
            return Ok(Some(error("the definitions cannot be read in this transaction")));
        };
        let database = &self.gate.standing().connection.database;
        let now = definitions.catalog(database);
        let now = now.map_err(|e| super::definitions::unreadable_catalog(&e.to_string()))?;
        let Some(before) = &bounds.before else {
            return Ok(Some(error(&Unkept::NotFound.to_string())));
        };
        // Locks let others change what was not locked yet when the request was judged. Rows of a
        // table that became a child are read with those of its parent.
        let read = bounds.makes.iter().flat_map(|op| &op.lineages).flat_map(|l| &l.relations);
        let same = |oid: &u32| match (before.relation(*oid), now.relation(*oid)) {
            (Some(before), Some(now)) => {
                now.is_defined_like(before) && now.children == before.children
            }
            (before, now) => before.is_none() && now.is_none(),
        };
        if !read.into_iter().all(same) {
            return Ok(Some(error("definitions that it depends on were changed meanwhile")));
        }
        let by = self.maker();
        for making in &bounds.makings {
            match self.labels.keep(&by, making, (before, &now)).await {
                Ok(true) => self.inside.go_alone(),
                Ok(false) => self.makes_labelled = true,
                Err(why) => return Ok(Some(error(&why.to_string()))),
            }
        }
        Ok(None)
    }
}

/// What the client is told where a table cannot be made because its labels cannot be kept.
pub(super) fn error(why: &str) -> WireError {
    let message = format!(
        "portcullis: policy \"{RULE}\" lets a table be made of masked columns where these stay masked, \
         and that cannot be made sure of: {why}; nothing has been made"
    );
    WireError { rule: Some(RULE.to_owned()), ..WireError::new(REFUSED, message) }
}
