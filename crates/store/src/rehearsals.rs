//! Rehearsals of held requests: who may hold one, and what people read of it. Kept with its review.

use crate::db::{Row, query};
use crate::desk::ReviewDesk;
use crate::peers::Topic;
use crate::rows::{Status, Stored, Unreadable, bad, json, stored};
use portcullis_core::rehearsal::{Rehearsal, Stage};
use portcullis_core::review::{Claim, Ticket};
use portcullis_core::time::Timestamp;

impl ReviewDesk {
    /// Claims the rehearsal of a review. One whose time is over without a word (its session has
    /// ended, or the gateway) may be claimed again.
    pub(crate) async fn claim_rehearsal(
        &self,
        ticket: &Ticket,
        until: Timestamp,
    ) -> Result<Claim, Unreadable> {
        let running = json(&Rehearsal::running(until))?;
        let id = ticket.review.to_string();
        let now = self.now();
        // INVARIANT: looked at and written under one hold of the write lock, so that of any number of
        // claims for one review, or by one caller on one connection, one is granted at a time.
        let mut tx = self.write(&[Topic::Reviews]).await?;
        let row = query("SELECT * FROM review WHERE id = $1").bind(&id).optional(&mut tx).await?;
        let Some(found) = row.as_ref().map(stored).transpose()? else { return Ok(Claim::Taken) };
        let held = |r: &Rehearsal| {
            matches!(r.stage, Stage::Running | Stage::Open) && r.until.is_none_or(|at| at > now)
        };
        let over = |r: &Rehearsal| matches!(r.stage, Stage::Running | Stage::Open) && !held(r);
        let pending = found.status == Status::Pending;
        if !pending || !found.rehearsal.as_ref().is_none_or(over) {
            return Ok(Claim::Taken);
        }
        let Stored { ask, .. } = &found;
        let others = query(
            "SELECT rehearsal FROM review
             WHERE id <> $1 AND issuer = $2 AND subject = $3 AND connection = $4
               AND status IN ('pending', 'approved') AND rehearsal IS NOT NULL",
        )
        .bind(&id)
        .bind(&ask.standing.principal.issuer)
        .bind(&ask.standing.principal.subject)
        .bind(&ask.standing.connection.name)
        .all(&mut tx)
        .await?;
        let others = others.iter().map(rehearsed).collect::<Result<Vec<_>, _>>()?;
        if others.iter().any(held) {
            // What can be claimed waits for another review of the same caller.
            return Ok(Claim::Busy);
        }
        let claim = query("UPDATE review SET rehearsal = $2 WHERE id = $1");
        claim.bind(&id).bind(&running).execute(&mut tx).await?;
        tx.commit().await?;
        Ok(Claim::Granted)
    }

    /// Keeps what has become of a rehearsal.
    pub(crate) async fn keep_rehearsal(
        &self,
        ticket: &Ticket,
        rehearsal: &Rehearsal,
    ) -> Result<(), Unreadable> {
        // What was not tried takes nothing of what another session has tried and people have seen.
        let update = match rehearsal.stage {
            Stage::Untried => {
                "UPDATE review SET rehearsal = $3 WHERE id = $1 AND digest = $2 AND rehearsal IS NULL"
            }
            _ => "UPDATE review SET rehearsal = $3 WHERE id = $1 AND digest = $2",
        };
        let update = query(update)
            .bind(ticket.review.to_string())
            .bind(ticket.digest.to_string())
            .bind(json(rehearsal)?);
        self.store().change(&[Topic::Reviews], update).await?;
        Ok(())
    }
}

fn rehearsed(row: &Row) -> Result<Rehearsal, Unreadable> {
    let text: String = row.try_get("rehearsal")?;
    serde_json::from_str(&text).map_err(|e| bad("review.rehearsal", e))
}
