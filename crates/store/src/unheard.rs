//! Whose word does not count any more: what is open on the strength of decisions of people whom their
//! issuer does not vouch for any longer.

use crate::db::{Row, by_dialect, query};
use crate::desk::ReviewDesk;
use crate::grants::{GrantError, GrantRow, GrantStore};
use crate::peers::Topic;
use crate::rows::{Unreadable, bad, json};
use portcullis_core::id::{PatternId, ReviewId, SessionId};
use portcullis_core::review::{DeskError, Withdrawal};
use portcullis_core::time::Timestamp;
use std::collections::BTreeSet;

/// What was open, and is not any more.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Unheard {
    /// Reviews that waited for more people, or to be used.
    pub reviews: Vec<ReviewId>,
    /// Patterns, with where each was given and for which session.
    pub patterns: Vec<(PatternId, ReviewId, SessionId)>,
}

/// What was decided by somebody of one of the issuers in `$1`; how those are read is said by dialect.
macro_rules! decided {
    ($start:literal, $decision:literal, $of:literal, $end:literal) => {
        by_dialect(
            decided!(@ $start, $decision, $of, "SELECT value FROM json_each($1)", $end),
            decided!(@ $start, $decision, $of, "SELECT json_array_elements_text($1::json)", $end),
        )
    };
    (@ $start:literal, $decision:literal, $of:literal, $issuers:literal, $end:literal) => {
        concat!(
            $start,
            " AND EXISTS (SELECT 1 FROM ",
            $decision,
            " d WHERE d.",
            $of,
            " AND d.issuer IN (",
            $issuers,
            "))",
            $end
        )
    };
}

impl ReviewDesk {
    /// The issuers of all on whose word a review or a pattern stands that is open.
    ///
    /// # Errors
    /// [`DeskError::Unavailable`].
    pub async fn heard(&self) -> Result<BTreeSet<String>, DeskError> {
        let heard = query(
            "SELECT DISTINCT d.issuer FROM review_decision d JOIN review r ON r.id = d.review
             WHERE r.status IN ('pending', 'approved')
                OR EXISTS (SELECT 1 FROM pattern p WHERE p.review = r.id AND p.ended IS NULL)",
        );
        let rows = heard.all(self.store()).await.map_err(Unreadable::from)?;
        Ok(issuers(&rows)?)
    }

    /// Takes back what is open on the word of anybody of these issuers: reviews, whoever else has approved
    /// them, and patterns.
    ///
    /// # Errors
    /// [`DeskError::Unavailable`]: it may still be good.
    pub async fn unhear(
        &self,
        issuers: &BTreeSet<String>,
        at: Timestamp,
    ) -> Result<Unheard, DeskError> {
        let why = serde_json::to_value(Withdrawal::Unvouched).map_err(|e| bad("withdrawal", e))?;
        let mut tx = self.write(&[Topic::Reviews]).await?;
        let reviews = decided!(
            "UPDATE review SET status = 'withdrawn', ended = $2, withdrawal = $3
             WHERE status IN ('pending', 'approved')",
            "review_decision",
            "review = review.id",
            " RETURNING id"
        );
        let reviews = reviews.bind(json(issuers)?).bind(at.as_micros());
        let reviews = reviews.bind(why.as_str()).all(&mut tx).await.map_err(Unreadable::from)?;
        let patterns = decided!(
            "UPDATE pattern SET ended = $2, ending = 'revoked' WHERE ended IS NULL",
            "review_decision",
            "review = pattern.review",
            " RETURNING id, review, session"
        );
        let patterns = patterns.bind(json(issuers)?);
        let patterns =
            patterns.bind(at.as_micros()).all(&mut tx).await.map_err(Unreadable::from)?;
        let unheard = Unheard {
            reviews: reviews.iter().map(|row| id(row, "id")).collect::<Result<_, Unreadable>>()?,
            patterns: patterns
                .iter()
                .map(|row| Ok((id(row, "id")?, id(row, "review")?, id(row, "session")?)))
                .collect::<Result<_, Unreadable>>()?,
        };
        tx.commit().await.map_err(Unreadable::from)?;
        unheard.reviews.iter().for_each(|review| self.is_over(*review));
        Ok(unheard)
    }
}

impl GrantStore {
    /// The issuers of all who have approved a grant that is open.
    ///
    /// # Errors
    /// [`GrantError::Unavailable`].
    pub async fn heard(&self) -> Result<BTreeSet<String>, GrantError> {
        let heard = query(
            "SELECT DISTINCT d.issuer FROM access_decision d
             JOIN access_grant g ON g.id = d.access_grant WHERE g.status IN ('pending', 'active')",
        );
        Ok(issuers(&heard.all(self.store()).await?)?)
    }

    /// Grants that are open and that anybody of these issuers has approved.
    ///
    /// # Errors
    /// [`GrantError::Unavailable`].
    pub async fn approved_by(
        &self,
        issuers: &BTreeSet<String>,
        at: Timestamp,
    ) -> Result<Vec<GrantRow>, GrantError> {
        let open = decided!(
            "SELECT * FROM access_grant WHERE status IN ('pending', 'active')",
            "access_decision",
            "access_grant = access_grant.id",
            ""
        );
        self.these(open.bind(json(issuers)?), at).await
    }
}

fn issuers(rows: &[Row]) -> Result<BTreeSet<String>, Unreadable> {
    rows.iter().map(|row| Ok(row.try_get::<String>("issuer")?)).collect()
}

fn id<T: std::str::FromStr<Err: std::fmt::Display>>(
    row: &Row,
    column: &'static str,
) -> Result<T, Unreadable> {
    row.try_get::<String>(column)?.parse().map_err(|e| bad(column, e))
}
