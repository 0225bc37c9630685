//! Rehearsals of held requests: who may hold one, and what people read of it. Kept with its review.

use crate::desk::ReviewDesk;
use crate::rows::{Status, Unreadable, json, stored};
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
        let mut tx = self.write().await?;
        // INVARIANT: one statement under the write lock, so that of any number of claims for one
        // review, or by one caller on one connection, one is granted at a time.
        let claimed = sqlx::query(
            "UPDATE review SET rehearsal = ?2
             WHERE id = ?1 AND status = 'pending'
               AND (rehearsal IS NULL
                    OR json_extract(rehearsal, '$.stage') IN ('running', 'open')
                       AND json_extract(rehearsal, '$.until') <= ?3)
               AND NOT EXISTS (
                    SELECT 1 FROM review o
                    WHERE o.id <> review.id AND o.issuer = review.issuer
                      AND o.subject = review.subject AND o.connection = review.connection
                      AND o.status IN ('pending', 'approved')
                      AND json_extract(o.rehearsal, '$.stage') IN ('running', 'open')
                      AND json_extract(o.rehearsal, '$.until') > ?3)",
        )
        .bind(&id)
        .bind(&running)
        .bind(now.as_micros())
        .execute(&mut *tx)
        .await?;
        let row = sqlx::query("SELECT * FROM review WHERE id = ?1").bind(&id);
        let row = row.fetch_optional(&mut *tx).await?;
        let found = row.as_ref().map(stored).transpose()?;
        tx.commit().await?;
        if claimed.rows_affected() == 1 {
            self.changed();
            return Ok(Claim::Granted);
        }
        // What can be claimed and was not waits for another review of the same caller.
        let free = found.is_some_and(|found| {
            let rehearsal = found.rehearsal.as_ref();
            found.status == Status::Pending && rehearsal.is_none_or(|r| r.clone().by(now) != *r)
        });
        Ok(if free { Claim::Busy } else { Claim::Taken })
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
                "UPDATE review SET rehearsal = ?3 WHERE id = ?1 AND digest = ?2 AND rehearsal IS NULL"
            }
            _ => "UPDATE review SET rehearsal = ?3 WHERE id = ?1 AND digest = ?2",
        };
        sqlx::query(update)
            .bind(ticket.review.to_string())
            .bind(ticket.digest.to_string())
            .bind(json(rehearsal)?)
            .execute(self.pool())
            .await?;
        self.changed();
        Ok(())
    }
}
