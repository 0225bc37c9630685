//! `/api/v1/reviews/{id}/context`: what happened around a held request, for whoever may see its review.
//! What the session has done so far, why its caller says it is here, and how others like it were decided.

use super::problem::Path;
use super::{Problem, may_see, principal, unavailable, visible_review};
use crate::live::SoFar;
use crate::services::Services;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::get;
use axum::{Json, Router};
use portcullis_core::id::{CredentialId, ReviewId};
use portcullis_core::principal::Principal;
use portcullis_core::review::Ask;
use portcullis_core::time::Timestamp;
use portcullis_store::{Filter, ReviewMessage, ReviewRow};
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// Its route.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new().route("/api/v1/reviews/{id}/context", get(context))
}

/// What stands around a review. Texts in it are a caller's.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Context {
    /// Absent where the session is over, or another gateway has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<SoFar>,
    /// What the caller said its credential is for: claimed, and verified by nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<String>,
    /// How others like it were decided.
    similar: Similar,
    /// What was asked about it and answered, in order.
    messages: Vec<ReviewMessage>,
}

/// Reviews of the same caller and connection with the same text, or the same but for values that may
/// vary: among the newest that the store lists and whoever asks may see.
#[derive(Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
struct Similar {
    /// How many were approved.
    approved: u32,
    /// How many were rejected.
    rejected: u32,
    /// Neither: nobody decided, or it was taken back.
    undecided: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Said>,
}

/// The newest decision among them.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "LastDecision")]
struct Said {
    review: ReviewId,
    approved: bool,
    name: String,
    reason: String,
    at: Timestamp,
}

async fn context(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
) -> Result<Json<Context>, Problem> {
    let principal = principal(&services, &headers).await?;
    let row = visible_review(&services, &principal, &id).await?;
    let connection = Some(row.ask.standing.connection.name.clone());
    let filter = Filter { connection, viewer: Some(principal.clone()), ..Filter::default() };
    let mut others = services.desk.list(&filter).await.map_err(unavailable)?;
    others.retain(|other| other.id != row.id && may_see(&principal, other));
    Ok(Json(Context {
        session: services.sessions.so_far(row.ask.session),
        purpose: purpose(&services, &row.ask.standing.principal).await,
        similar: similar(&row.ask, &others),
        messages: services.desk.messages(row.id, 0).await.map_err(unavailable)?,
    }))
}

/// What the credential is for that a caller logged in with, where it is one of the gateway's own.
pub(super) async fn purpose(services: &Services, caller: &Principal) -> Option<String> {
    let id: CredentialId = caller.token_id.as_deref()?.parse().ok()?;
    // Without an answer there is nothing to show: it is a claim, and decides nothing.
    let row = services.credentials.store.find(id).await.ok().flatten()?;
    let same = (&row.principal.issuer, &row.principal.subject, &row.principal.token_id)
        == (&caller.issuer, &caller.subject, &caller.token_id);
    same.then_some(row.purpose)
}

/// How reviews of requests like this one were decided. `others` are newest first.
fn similar(ask: &Ask, others: &[ReviewRow]) -> Similar {
    let mut similar = Similar::default();
    for other in others.iter().filter(|other| is_like(ask, &other.ask)) {
        let Some(said) = other.decisions.last() else {
            similar.undecided += u32::from(!other.status.is_open());
            continue;
        };
        match said.approved {
            true => similar.approved += 1,
            false => similar.rejected += 1,
        }
        similar.last.get_or_insert_with(|| Said {
            review: other.id,
            approved: said.approved,
            name: said.name.clone(),
            reason: said.reason.clone(),
            at: said.at,
        });
    }
    similar
}

fn is_like(ask: &Ask, other: &Ask) -> bool {
    let (one, two) = (&ask.standing, &other.standing);
    let shape = |ask: &Ask| ask.pattern.as_ref().map(|pattern| pattern.shown.clone());
    let alike = match (shape(ask), shape(other)) {
        (Some(one), Some(two)) => one == two,
        _ => ask.shown == other.shown,
    };
    alike
        && ask.operation == other.operation
        && one.connection == two.connection
        && one.principal.is_same(&two.principal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn review(id: &str, caller: &str, shape: Option<&str>, text: &str, said: &[bool]) -> ReviewRow {
        let said: Vec<Value> = said
            .iter()
            .map(|approved| {
                json!({ "approved": approved, "issuer": "i", "subject": "bo", "name": "bo",
                    "groups": ["dba"], "reason": "", "at": 5 })
            })
            .collect();
        let pattern = shape.map(|shown| json!({ "digest": "00".repeat(32), "shown": shown }));
        serde_json::from_value(json!({
            "id": id, "status": if said.is_empty() { "expired" } else { "used" },
            "expires": 9, "ended": 9, "withdrawal": null, "repeats": 0, "decisions": said,
            "waiting_for": [],
            "ask": {
                "session": "ses_00000000000g1", "request": "req_00000000000g1",
                "digest": "00".repeat(32), "operation": "DELETE", "groups": ["dba"], "at": 1,
                "pattern": pattern,
                "ground": { "rule": "r", "reason": "x", "hint": null, "what": "DELETE" },
                "shown": { "statements": [text], "parameters": [[]] },
                "standing": {
                    "principal": { "kind": "agent", "subject": caller, "name": caller,
                        "issuer": "i", "acting_for": null, "groups": [], "token_id": null,
                        "expires": 0 },
                    "connection": { "name": "shop", "environment": "test", "protocol": "postgres",
                        "database": "shop", "role": "app" },
                },
            },
        }))
        .unwrap()
    }

    #[test]
    fn what_is_alike_is_counted_and_the_newest_decision_told() {
        let shape = Some("DELETE FROM t WHERE id = ‹any number›");
        let one = review("rev_00000000000g1", "claude", shape, "… = 1", &[]);
        let others = [
            review("rev_00000000000g2", "claude", shape, "… = 2", &[]),
            review("rev_00000000000g3", "claude", shape, "… = 3", &[true, false]),
            review("rev_00000000000g4", "claude", shape, "… = 4", &[true]),
            review("rev_00000000000g5", "other", shape, "… = 1", &[true]),
            review("rev_00000000000g6", "claude", Some("else"), "… = 1", &[true]),
            review("rev_00000000000g7", "claude", None, "… = 1", &[true]),
        ];
        let told = similar(&one.ask, &others);
        assert_eq!((told.approved, told.rejected, told.undecided), (2, 1, 1));
        let last = told.last.unwrap();
        assert_eq!((last.review, last.approved), (others[1].id, false));
        let nothing = review("rev_00000000000g8", "nobody", None, "SELECT", &[]);
        assert_eq!(similar(&nothing.ask, &others), Similar::default());
    }
}
