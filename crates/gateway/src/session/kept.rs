//! Tables made of masked columns: their labels are kept before the transaction that makes them can be
//! committed. Between the answer to a permitted request and its COMMIT.

use super::bounded::Bounds;
use super::{End, Session};
use crate::labels::{Making, Unkept};
use portcullis_core::effect::{Operation, Verb};
use portcullis_wire::pg::server::WireError;

/// The SQLSTATE of what would let masked values go where they are not masked.
const REFUSED: &str = "42501";
const RULE: &str = "masked-stays-masked";

impl Session {
    /// Why the tables that a request makes could not be found again, if so.
    pub(super) fn unkeepable(
        &self,
        bounds: &Bounds,
        operation: &Operation,
    ) -> Option<&'static str> {
        let columns = bounds.makings.iter().map(Making::most).sum();
        if !self.labels.has_room(self.id, columns) {
            return Some(
                "there are as many labelled columns as the gateway keeps: drop tables made from \
                 masked columns",
            );
        }
        if operation.lineages.len() > 1 {
            return Some("the same request does more than that: send that apart from it");
        }
        let alters = |verb| matches!(verb, Verb::Alter | Verb::Drop);
        let mut effects = operation.effects.iter();
        effects
            .any(|e| alters(e.verb))
            .then_some("the same request changes or drops definitions: send that apart from it")
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
        let now = now.map_err(|e| super::unreadable_catalog(&e.to_string()))?;
        let Some(before) = &bounds.before else {
            return Ok(Some(error(&Unkept::NotFound.to_string())));
        };
        // Locks let others change what was not locked yet when the request was judged.
        let read = bounds.makes.iter().flat_map(|op| &op.lineages).flat_map(|l| &l.relations);
        let same = |oid: &u32| match (before.relation(*oid), now.relation(*oid)) {
            (Some(before), Some(now)) => now.is_defined_like(before),
            (before, now) => before.is_none() && now.is_none(),
        };
        if !read.into_iter().all(same) {
            return Ok(Some(error("definitions that it depends on were changed meanwhile")));
        }
        for making in &bounds.makings {
            match self.labels.keep(self.id, making, (before, &now)).await {
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
