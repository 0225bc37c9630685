//! How much a held request may touch: asked of the target's planner before people are asked, within
//! a transaction that can change nothing and is rolled back.

use super::{End, Session};
use portcullis_core::basis::Estimate;
use portcullis_core::effect::{ObjectKind, Verb};
use portcullis_core::journal::Status;
use portcullis_core::link::LinkError;
use portcullis_core::permit::Permit;
use portcullis_core::protocol::Request as _;
use portcullis_wire::pg::chore::{Chore, ChoreOutcome};
use portcullis_wire::pg::estimate;
use portcullis_wire::pg::protocol::Postgres;
use portcullis_wire::pg::server;
use portcullis_wire::pg::unit::Unit;
use std::time::Instant;

impl Session {
    /// About how many rows a request touches, or why that is not known.
    pub(super) async fn estimate(&mut self, unit: &Unit) -> Result<Estimate, End> {
        let none = |why: &str| Ok(Estimate::None { why: why.to_owned() });
        if self.conversation.transaction_status() != b'I' {
            return none("inside a transaction none is asked for");
        }
        let Some((table, of)) = self.changed_table(unit) else {
            return none("it changes no table's rows");
        };
        let asks = match estimate::request(unit, self.analyst.clone()) {
            Ok(asks) => asks,
            Err(why) => return none(why),
        };
        let moment = self.moments.next();
        let Some(permit) = self.gate.look::<Postgres>(asks, moment).await else {
            return none("policy does not let the caller ask for its plan");
        };
        if !self.commands(estimate::BEFORE).await? {
            self.commands(estimate::AFTER).await?;
            return none("the target did not take a transaction for it");
        }
        let rows = self.planned(permit).await?;
        if !self.commands(estimate::AFTER).await? {
            return Err(End::Target(LinkError::Abandoned));
        }
        match rows {
            Some(rows) => Ok(Estimate::Rows { rows, of, table }),
            None => none("the target gave no plan"),
        }
    }

    /// The table whose rows change, and how many it has, where that was ever counted.
    fn changed_table(&self, unit: &Unit) -> Option<(String, Option<u64>)> {
        let changes = [Verb::Insert, Verb::Update, Verb::Delete];
        let effects = unit.operation().effects.iter();
        let mut changed =
            effects.filter(|e| changes.contains(&e.verb) && e.object.kind == ObjectKind::Relation);
        let [_, schema, name] = changed.next()?.object.path.as_slice() else { return None };
        let catalog = self.analyst.catalog()?;
        let found = catalog.relations_named(Some(schema), name);
        let rows = found.first().and_then(|relation| u64::try_from(relation.rows).ok());
        Some((format!("{schema}.{name}"), rows))
    }

    /// Runs fixed commands; false where one of them failed.
    async fn commands(&mut self, commands: &'static [&'static str]) -> Result<bool, End> {
        let (done, unasked) = match self.chore(Chore::read_catalog(commands)).await? {
            ChoreOutcome::Catalog { unasked, .. } => (true, unasked),
            ChoreOutcome::Settled { unasked, .. } | ChoreOutcome::Failed { unasked, .. } => {
                (false, unasked)
            }
        };
        self.pass_on(unasked).await?;
        Ok(done)
    }

    /// Sends the request for a plan and reads the one number out of its answer.
    async fn planned(&mut self, permit: Permit<Postgres>) -> Result<Option<u64>, End> {
        let (request, started) = (permit.id(), Instant::now());
        let mut flight = self.link.send(permit)?;
        while !(flight.masker().finished() && self.link.is_sent()) {
            let raw = tokio::select! {
                biased;
                raw = self.link.receive() => raw?,
                end = self.lease.ended() => return Err(end),
            };
            // Nothing of it is passed on.
            let _ = flight.mask(raw)?;
        }
        // But what the target says of its settings meanwhile.
        for (name, value) in flight.masker_mut().parameter_changes() {
            self.author(|out| server::parameter_status(out, &name, &value)).await?;
        }
        let failed = flight.masker().error_code().is_some();
        let rows = flight.masker().planned_rows();
        let status = if failed { Status::Failed } else { Status::Done };
        self.outcome(request, Some(&mut flight), status, started)?;
        Ok(rows)
    }
}
