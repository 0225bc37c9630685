//! `/api/v1/documents`: connections, policies and their tests, changed while the gateway runs. For
//! administrators alone, which are people: a type an agent's token cannot become.
//!
//! A document is changed by who has seen it: what there is takes an `If-Match` (RFC 9110 §13.1.1), and what
//! there is not none. Whatever is changed rests on one revision of all documents, which the store compares
//! in the transaction that changes them.

use super::live::administrator;
use super::problem::{Body, Path, parsed};
use super::{Problem, tag, unavailable};
use crate::documents::{Applied, Document, Kind, NotChanged, Plan, Wanted};
use crate::services::Services;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use portcullis_core::principal::{Administrator, By};
use portcullis_core::time::Timestamp;
use portcullis_store::{DocumentChanged, DocumentError, DocumentRow, Documents};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Its routes.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new()
        .route("/api/v1/documents", get(list))
        .route("/api/v1/documents/plan", post(plan))
        .route("/api/v1/documents/apply", post(apply))
        .route("/api/v1/documents/{id}", get(show).put(put).delete(remove))
        .route("/api/v1/documents/{id}/history", get(history))
}

/// What they are called where an attempt is recorded.
const WHAT: &str = "look at documents, or change them";

/// The documents there are.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Listed {
    /// The revision of all of them: what a change rests on.
    revision: u64,
    /// The revision this gateway goes by: less for a moment after a change at another gateway, or
    /// where it cannot go by what there is.
    in_force: u64,
    /// Why it does not go by what there is, where it does not.
    trouble: Option<String>,
    /// All of them, at most 500, without their texts.
    documents: Vec<Row>,
}

/// A document, but for what it says.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DocumentRow")]
struct Row {
    /// `KIND.NAME`.
    id: String,
    kind: String,
    name: String,
    /// The revision of all documents by which it is as it is.
    revision: u64,
    changed: Timestamp,
    /// By whom: a subject.
    changed_by: String,
}

/// A document.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DocumentShown")]
pub(super) struct Shown {
    #[serde(flatten)]
    row: Row,
    /// What it says.
    text: String,
}

/// What a document is to say.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DocumentText")]
pub(super) struct Text {
    /// As in `apply`.
    text: String,
}

impl From<DocumentRow> for Row {
    fn from(row: DocumentRow) -> Self {
        let DocumentRow { kind, name, revision, changed, changed_by, text: _ } = row;
        Self { id: format!("{kind}.{name}"), kind, name, revision, changed, changed_by }
    }
}

async fn list(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
) -> Result<Json<Listed>, Problem> {
    administrator(&services, &headers, WHAT).await?;
    let Documents { revision, rows } = all(&services).await?;
    let documents = rows.into_iter().map(Row::from).collect();
    let (in_force, trouble) = (services.now().revision, services.documents.trouble());
    Ok(Json(Listed { revision, in_force, trouble, documents }))
}

async fn all(services: &Services) -> Result<Documents, Problem> {
    services.documents.store.all().await.map_err(unavailable)
}

fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is no such document: an id is KIND.NAME")
}

/// The kind and name of an id.
fn named(id: &str) -> Result<(Kind, String), Problem> {
    let (kind, name) = Kind::of_id(id).ok_or_else(unknown)?;
    Ok((kind, name.to_owned()))
}

fn find(all: &Documents, kind: Kind, name: &str) -> Option<Shown> {
    let row = all.rows.iter().find(|row| row.kind == kind.word() && row.name == name)?.clone();
    Some(Shown { text: row.text.clone(), row: row.into() })
}

async fn show(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    administrator(&services, &headers, WHAT).await?;
    let (kind, name) = named(&id)?;
    let shown = find(&all(&services).await?, kind, &name).ok_or_else(unknown)?;
    tag::tagged(&headers, &shown)
}

async fn history(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
) -> Result<Json<Vec<DocumentChanged>>, Problem> {
    administrator(&services, &headers, WHAT).await?;
    let (kind, name) = named(&id)?;
    let found = services.documents.store.history(kind.word(), &name).await.map_err(unavailable)?;
    if found.is_empty() {
        return Err(unknown());
    }
    Ok(Json(found))
}

async fn plan(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Plan>, Problem> {
    administrator(&services, &headers, WHAT).await?;
    let wanted: Wanted = parsed(&body)?;
    let checked = services.documents.check(&services, wanted).await.map_err(refused)?;
    Ok(Json(checked.plan().clone()))
}

async fn apply(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Applied>, Problem> {
    administrator(&services, &headers, WHAT).await?;
    let wanted: Wanted = parsed(&body)?;
    if wanted.revision.is_none() {
        let why = "say the revision it rests on, as the plan has it: `revision`";
        return Err(super::problem::unprocessable(why));
    }
    made(&services, &headers, wanted).await.map(Json)
}

/// Checks a change, asks once more whether the caller may make it, and makes it.
async fn made(
    services: &Services,
    headers: &HeaderMap,
    wanted: Wanted,
) -> Result<Applied, Problem> {
    services.documents.may_be_changed().map_err(refused)?;
    let checked = services.documents.check(services, wanted).await.map_err(refused)?;
    // Checking takes a while, in which a right may end.
    let by: Administrator = administrator(services, headers, WHAT).await?;
    services.documents.make(services, &By::from(by.principal()), checked).await.map_err(refused)
}

async fn put(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Applied>, Problem> {
    administrator(&services, &headers, WHAT).await?;
    let (kind, name) = named(&id)?;
    let Text { text } = parsed(&body)?;
    let all = all(&services).await?;
    seen(&headers, find(&all, kind, &name).as_ref())?;
    let documents = vec![Document { kind, name, text }];
    let wanted = Wanted { documents, prune: false, revision: Some(all.revision) };
    made(&services, &headers, wanted).await.map(Json)
}

async fn remove(
    State(services): State<Arc<Services>>,
    Path(id): Path,
    headers: HeaderMap,
) -> Result<Json<Applied>, Problem> {
    administrator(&services, &headers, WHAT).await?;
    let (kind, name) = named(&id)?;
    let all = all(&services).await?;
    let found = find(&all, kind, &name).ok_or_else(unknown)?;
    seen(&headers, Some(&found))?;
    let others = all.rows.iter().filter_map(|row| {
        let (of, other) = (Kind::of_word(&row.kind)?, row.name.clone());
        let document = Document { kind: of, name: other, text: row.text.clone() };
        ((of, &row.name) != (kind, &name)).then_some(document)
    });
    let wanted = Wanted { documents: others.collect(), prune: true, revision: Some(all.revision) };
    made(&services, &headers, wanted).await.map(Json)
}

/// Whoever changes what there is has to have seen it.
fn seen(headers: &HeaderMap, found: Option<&Shown>) -> Result<(), Problem> {
    let said = headers.contains_key(header::IF_MATCH);
    match found {
        Some(_) if !said => Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "there is such a document: say which version of it you have seen (If-Match, with its ETag)",
        )),
        Some(found) => tag::unchanged(headers, found),
        None if said => {
            let why = "there is no such document any more (If-Match)";
            Err(Problem::new(StatusCode::PRECONDITION_FAILED, why))
        }
        None => Ok(()),
    }
}

pub(super) fn refused(error: NotChanged) -> Problem {
    let status = match &error {
        NotChanged::Wrong(_) | NotChanged::TooSlow => StatusCode::UNPROCESSABLE_ENTITY,
        NotChanged::InDirectory => StatusCode::CONFLICT,
        NotChanged::Store(DocumentError::Changed) => StatusCode::PRECONDITION_FAILED,
        NotChanged::Store(DocumentError::Unavailable | DocumentError::Damaged)
        | NotChanged::Busy
        | NotChanged::Unknown
        | NotChanged::Unrecorded(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    Problem::new(status, error.to_string())
}
