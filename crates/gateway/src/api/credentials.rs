//! `/api/v1/credentials`: one's own credentials and those of one's agents, listed and revoked; and the
//! keys they are signed with.

use super::page::{Paged, Wanted};
use super::problem::Path;
use super::{Problem, principal, tag, unavailable};
use crate::live::Owner;
use crate::moment::now;
use crate::services::Services;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use portcullis_core::id::CredentialId;
use portcullis_core::journal::{Durability, Entry, Event, Journal as _};
use portcullis_core::principal::{By, Principal};
use portcullis_store::CredentialRow;
use std::sync::Arc;

/// Bytes of a form: two tokens of the largest size there is, and the rest.
const MAX_FORM: usize = 64 * 1024;

/// The routes of credentials.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new()
        .route("/api/v1/token", post(super::token::exchange).layer(DefaultBodyLimit::max(MAX_FORM)))
        .route("/api/v1/credentials", get(list))
        .route("/api/v1/credentials/keys", get(keys))
        .route("/api/v1/credentials/{id}", delete(revoke))
}

async fn list(
    State(services): State<Arc<Services>>,
    mut wanted: Wanted,
    headers: HeaderMap,
) -> Result<Paged<CredentialRow>, Problem> {
    let caller = principal(&services, &headers).await?;
    let store = &services.credentials.store;
    loop {
        let found =
            store.list(&caller, wanted.all, now(), &wanted.page).await.map_err(unavailable)?;
        if let Some(paged) = wanted.paged(found, |row| row.is_of(&caller)) {
            return Ok(paged);
        }
    }
}

/// The public keys (RFC 7517), for whoever wants to look at a credential.
async fn keys(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    tag::tagged(&headers, &services.credentials.key_set(now()))
}

/// Takes a credential back, and ends its sessions. Whoever logs in with it may, and whom it acts for:
/// it only takes leave away. The record comes second, so that nothing waits for it.
async fn revoke(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
) -> Result<Json<CredentialRow>, Problem> {
    let caller = principal(&services, &headers).await?;
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "there is no such credential for you");
    let id: CredentialId = id.parse().map_err(|_| unknown())?;
    let find = async || services.credentials.store.find(id).await.map_err(unavailable);
    let mine = |row: &CredentialRow| row.is_of(&caller);
    let row = find().await?.filter(mine).ok_or_else(unknown)?;
    let revoked = services.credentials.store.revoke(id, &caller.subject, now()).await;
    // They end whatever the store says to it, and where it was revoked before as well.
    end_sessions(&services, &row, &caller);
    if !revoked.map_err(unavailable)? {
        return Err(Problem::new(StatusCode::CONFLICT, "this credential has ended already"));
    }
    let (by, connection) = (By::from(&caller), row.connection);
    let event = Event::CredentialRevoked { credential: id, by, connection };
    let entry = Entry::outside(now(), event);
    services.ledger.append(entry, Durability::Durable).await.map_err(unavailable)?;
    find().await?.map(Json).ok_or_else(unknown)
}

/// Ends the sessions that were opened with a credential, which is revoked in the store by now. What
/// logs in with it meanwhile asks the store again once it could have been found here.
fn end_sessions(services: &Services, row: &CredentialRow, by: &Principal) {
    let opened_with = |_, owner: &Owner| {
        let (who, whose) = (&owner.standing.principal, &row.principal);
        who.token_id == whose.token_id
            && (&who.issuer, &who.subject) == (&whose.issuer, &whose.subject)
            && owner.standing.connection.name == row.connection
    };
    crate::fleet::end(
        services,
        opened_with,
        (&by.name, &By::from(by)),
        "your credential was revoked",
    );
}
