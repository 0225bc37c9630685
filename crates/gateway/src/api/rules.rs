//! `/api/v1/rules`: every rule in force, with its text, by the file it stands in: for administrators.

use super::Problem;
use super::live::administrator;
use crate::services::Services;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::get;
use axum::{Json, Router};
use portcullis_policy::LoadedRule;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// Its route.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new().route("/api/v1/rules", get(show))
}

/// The rules in force.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RulesInForce {
    /// The revision of all documents.
    revision: u64,
    /// The digest of all rules, as the record names it.
    policy: String,
    /// In the order in which rules are asked.
    files: Vec<RuleFile>,
}

/// A file of rules.
#[derive(Debug, Serialize, JsonSchema)]
struct RuleFile {
    /// `pack:NAME` of a pack, `policies/NAME.cedar` of a document, else a path at the gateway.
    file: String,
    /// It comes with the gateway.
    of_pack: bool,
    rules: Vec<RuleInForce>,
}

/// A rule.
#[derive(Debug, Serialize, JsonSchema)]
struct RuleInForce {
    /// Its `@id`.
    id: String,
    /// `permit` or `forbid`.
    effect: &'static str,
    reason: String,
    hint: Option<String>,
    /// The group whose approval lifts it.
    review: Option<String>,
    /// The line it begins on, from 1.
    line: usize,
    /// As it is written, annotations included.
    text: String,
}

async fn show(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
) -> Result<Json<RulesInForce>, Problem> {
    administrator(&services, &headers, "look at the rules").await?;
    let generation = services.now();
    let mut files: Vec<RuleFile> = Vec::new();
    for rule in generation.policies.loaded() {
        let LoadedRule { id, forbids, reason, hint, review, file, line, of_pack, text } = rule;
        if files.last().is_none_or(|last| last.file != file) {
            files.push(RuleFile { file: file.to_owned(), of_pack, rules: Vec::new() });
        }
        let rule = RuleInForce {
            id: id.to_owned(),
            effect: if forbids { "forbid" } else { "permit" },
            reason: reason.to_owned(),
            hint: hint.map(str::to_owned),
            review: review.map(str::to_owned),
            line,
            text,
        };
        if let Some(last) = files.last_mut() {
            last.rules.push(rule);
        }
    }
    let policy = generation.policies.version().to_owned();
    Ok(Json(RulesInForce { revision: generation.revision, policy, files }))
}
