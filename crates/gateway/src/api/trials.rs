//! `/api/v1/explain` and `/api/v1/documents/rejudge`: what would be said to a request and why, and what a
//! change of documents would have made of what is recorded. Nothing is sent to a target for either.
//!
//! Everybody is told about itself. About others, and by rules with where they stand, administrators alone;
//! about what is recorded, whoever may see the recording, which is recorded as every look at it.

use super::live::administrator;
use super::problem::{Body, parsed, unprocessable};
use super::recordings::{Viewer, seat, unread};
use super::{Problem, page, principal};
use crate::documents::fixtures::Who;
use crate::documents::{Document, Wanted};
use crate::generation::Rules;
use crate::manifest::is_told;
use crate::moment::now;
use crate::rejudge::{Compared, NOT_THE_SAME, Recorded, Rejudged, recorded, rejudged};
use crate::services::Services;
use crate::trial::{EffectTold, Said, Texts, Trial, Untried, Word};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use portcullis_core::id::SessionId;
use portcullis_core::journal::Watching;
use portcullis_core::principal::{Administrator, Principal};
use portcullis_core::protocol::Shown;
use portcullis_core::time::Timestamp;
use portcullis_core::verdict::Circumstances;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How far back records are judged again, in seconds: 31 days.
const MOST_SECONDS: u64 = 31 * 24 * 3600;
/// Records are judged again for so many callers at once.
static SEATS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(2));
/// How long an explanation may take.
const EXPLAINING: Duration = Duration::from_secs(10);

/// Its routes.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new()
        .route("/api/v1/explain", post(explain))
        .route("/api/v1/documents/rejudge", post(rejudge))
}

/// What is to be explained: a statement on a connection, or a recorded request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ExplainWanted")]
pub(super) struct ExplainWanted {
    /// On which connection.
    #[serde(default)]
    connection: Option<String>,
    /// What would be sent.
    #[serde(default)]
    statement: Option<String>,
    /// Inside a transaction that the caller has opened.
    #[serde(default)]
    in_transaction: bool,
    /// Who would ask; the caller itself where nobody is named. For administrators.
    #[serde(default)]
    principal: Option<Who>,
    /// A recorded session,
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    session: Option<SessionId>,
    /// and the number of the entry in which something was said to a request.
    #[serde(default)]
    entry: Option<u64>,
}

/// Why something is said to a request, by the rules in force.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Explained")]
pub(super) struct Explained {
    who: String,
    connection: String,
    /// What was explained. A caller's text.
    statements: Vec<String>,
    /// What the request would do, in words; absent where it cannot be read.
    operation: Option<String>,
    /// What would be said to it.
    answer: Said,
    /// Each effect, with each rule that matches it. Where rules stand is told to administrators.
    effects: Vec<EffectTold>,
    /// How it could become another answer.
    change: Vec<String>,
    /// What this does not say.
    beside: Vec<&'static str>,
    /// For how many seconds the catalog is known by which names were looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    catalog_seconds: Option<u64>,
    /// What was said then, of a recorded request.
    recorded: Option<Word>,
}

/// What an explanation leaves out.
const BESIDE: &[&str] = &[
    "freezes, pauses, grants, session budgets and rates are looked at when a request comes, and not here",
    "it is judged as the first request of a session: prepared names, temporary tables and settings of one \
     are not known",
];

/// What is explained, and to whom.
struct Question {
    principal: Principal,
    connection: String,
    shown: Shown,
    in_transaction: bool,
    /// What was said to it, and what it did in words.
    recorded: Option<(Word, String)>,
    /// It is told where rules stand, and which connections there are.
    of_administrator: bool,
}

async fn explain(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Explained>, Problem> {
    let caller = principal(&services, &headers).await?;
    let wanted: ExplainWanted = parsed(&body)?;
    let seat = seat(&caller)?;
    let of_administrator = Administrator::new(caller.clone(), &services.administrators).is_ok();
    let question = match (wanted.session, wanted.entry, wanted.connection, wanted.statement) {
        (Some(session), Some(entry), None, None) if wanted.principal.is_none() => {
            of_record(&services, &headers, (session, entry)).await?
        }
        (None, None, Some(connection), Some(statement)) => {
            let principal = match wanted.principal {
                Some(who) => {
                    administrator(&services, &headers, "explain what is said to others").await?;
                    who.principal()
                }
                None => caller,
            };
            let shown = Shown { statements: vec![statement], ..Shown::default() };
            let in_transaction = wanted.in_transaction;
            Question {
                principal,
                connection,
                shown,
                in_transaction,
                recorded: None,
                of_administrator,
            }
        }
        _ => {
            let why = "say a `connection` and a `statement`, or a recorded `session` and the number of \
                       its `entry`";
            return Err(unprocessable(why));
        }
    };
    let question = Question { of_administrator, ..question };
    let generation = services.now();
    let name = &question.connection;
    let found = generation.connections.get_key_value(name);
    // Neither is there more to learn here than the manifest tells.
    if !of_administrator
        && !found.is_some_and(|(name, one)| {
            is_told(&services, &generation, &question.principal, (name, one))
        })
    {
        return Err(no_connection());
    }
    let rules = generation.to_try();
    // Its seat is taken for as long as the thread is, also where nobody waits for it any more.
    let told = tokio::task::spawn_blocking(move || {
        let told = told(&rules, question);
        drop(seat);
        told
    });
    let told = tokio::time::timeout(EXPLAINING, told).await;
    let too_slow = || unprocessable("it takes too long to explain: make the statement simpler");
    let told = told.map_err(|_| too_slow())?.map_err(|_| too_slow())?;
    told.map(Json)
}

/// A recorded request, where the caller may see it; that it looks is recorded.
async fn of_record(
    services: &Services,
    headers: &HeaderMap,
    (session, entry): (SessionId, u64),
) -> Result<Question, Problem> {
    let viewer = Viewer::asking(services, headers).await?;
    let head = viewer.session(services, &session.to_string()).await?;
    let span = (Some(entry), Some(entry));
    viewer.watches(services, Watching::Timeline, Some(session), span, None).await?;
    let found = recorded(&services.archive, &head, entry).await.map_err(unread)?;
    let (standing, Recorded { shown, operation, word }) = found.ok_or_else(|| {
        let why = "there is no entry of that number in it that says something to a request";
        Problem::new(StatusCode::NOT_FOUND, why)
    })?;
    if shown.elided || shown.statements.is_empty() {
        return Err(unprocessable("its text is not kept whole, so it cannot be judged again"));
    }
    Ok(Question {
        principal: standing.principal,
        connection: standing.connection.name,
        shown,
        in_transaction: false,
        recorded: Some((word, operation)),
        of_administrator: false,
    })
}

fn no_connection() -> Problem {
    let why =
        "there is no such connection for you (portcullis explain --for-agent says which there are)";
    Problem::new(StatusCode::NOT_FOUND, why)
}

fn told(rules: &Rules, question: Question) -> Result<Explained, Problem> {
    let Question { principal, connection, shown, in_transaction, recorded, of_administrator } =
        question;
    let trial = Trial::of(rules, &principal, &connection).map_err(|_| no_connection())?;
    let around = Circumstances { in_transaction, ..Circumstances::default() };
    let refused = trial.turned_away();
    if refused.is_some() && !of_administrator {
        return Err(no_connection());
    }
    let (answer, operation) = match refused {
        Some(said) => (said, None),
        None => {
            let texts = Texts { statements: &shown.statements, parameters: &shown.parameters };
            let tried = trial.request(texts, &around).map_err(|error| match &error {
                Untried::UnreadCatalog(_) => Problem::new(StatusCode::CONFLICT, error.to_string()),
                _ => unprocessable(&error.to_string()),
            })?;
            (tried.said, tried.operation)
        }
    };
    let (recorded, did) = recorded.unzip();
    if let (Some(did), Some(does)) = (&did, &operation)
        && *did != does.to_string()
    {
        return Err(unprocessable(NOT_THE_SAME));
    }
    let effects = operation.iter().flat_map(|operation| trial.explain(operation, &around));
    let mut effects: Vec<EffectTold> = effects.map(EffectTold::from).collect();
    let change = change(&answer, &effects, of_administrator);
    if !of_administrator {
        effects.iter_mut().for_each(EffectTold::without_places);
    }
    Ok(Explained {
        who: principal.to_string(),
        connection,
        statements: shown.statements,
        operation: operation.map(|operation| operation.to_string()),
        answer,
        effects,
        change,
        beside: BESIDE.to_vec(),
        catalog_seconds: trial.age.map(|age| age.as_secs()),
        recorded,
    })
}

/// How it could become another answer.
fn change(answer: &Said, effects: &[EffectTold], of_administrator: bool) -> Vec<String> {
    let mut all = Vec::new();
    match answer.verdict {
        Word::Allow => {
            all.push("it runs: a `forbid` that matches one of its effects would keep it".to_owned())
        }
        Word::Hold => {
            let groups: Vec<&str> = answer.groups.iter().map(String::as_str).collect();
            all.push(format!("it runs once approved by: {}", groups.join(", ")));
        }
        Word::Refuse => {
            all.extend(answer.hint.clone());
            let rule = answer.rules.first().map_or("", String::as_str);
            if rule == portcullis_core::refusal::rule::DEFAULT_DENY {
                all.push(format!(
                    "no rule permits {}: a `permit` for that effect would",
                    answer.what
                ));
            }
        }
    }
    if of_administrator {
        let forbids = effects.iter().flat_map(EffectTold::forbids);
        let told = forbids.map(|(id, file, line)| {
            format!("`{id}` ({file}:{line}) forbids it: narrow its `when`, or add an `unless`")
        });
        let told: std::collections::BTreeSet<String> = told.collect();
        all.extend(told);
    }
    all
}

/// A change of documents that is tried on what is recorded.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RejudgeWanted")]
pub(super) struct RejudgeWanted {
    /// These are made, or changed to this.
    documents: Vec<Document>,
    /// All others are removed.
    #[serde(default)]
    prune: bool,
    /// How far back: 1 second to 31 days.
    #[schemars(range(min = 1, max = 2_678_400))]
    seconds: u64,
    /// Where to go on, as the part before has it.
    #[serde(default)]
    cursor: Option<String>,
}

async fn rejudge(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Rejudged>, Problem> {
    administrator(&services, &headers, "judge what is recorded again").await?;
    let RejudgeWanted { documents, prune, seconds, cursor } = parsed(&body)?;
    if !(1..=MOST_SECONDS).contains(&seconds) {
        return Err(unprocessable(&format!("seconds must be 1 to {MOST_SECONDS} (31 days)")));
    }
    let after = cursor.as_deref().map(|cursor| {
        page::read(cursor)
            .ok_or_else(|| unprocessable("cursor is none that a part before has given"))
    });
    let after = after.transpose()?;
    let viewer = Viewer::asking(&services, &headers).await?;
    let _seat = seat(&viewer.principal)?;
    let _turn = SEATS.try_acquire().map_err(|_| {
        let why = "records are being judged again for others: wait until that is done";
        Problem::new(StatusCode::TOO_MANY_REQUESTS, why)
    })?;
    let wanted = Wanted { documents, prune, revision: None };
    let checked = services.documents.check(&services, wanted).await;
    let then = checked.map_err(super::documents::refused)?.to_try();
    // What comes of it has statements in it.
    let said = format!("documents tried on the last {seconds} s");
    viewer.watches(&services, Watching::Search, None, (None, None), Some(said)).await?;
    let back = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
    let since = Timestamp::from_micros(now().as_micros().saturating_sub(back));
    let compared = Arc::new(Compared { now: services.now().to_try(), then, since });
    let found = rejudged(&services.archive, compared, after).await.map_err(unread)?;
    let (mut told, next) = found;
    told.cursor = next.as_ref().map(page::written);
    Ok(Json(told))
}
