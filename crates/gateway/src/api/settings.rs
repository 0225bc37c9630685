//! The configuration that is gone by, without secrets: for administrators.

use super::Problem;
use super::live::administrator;
use crate::services::Services;
use crate::settings::Settings;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::get;
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// Its route.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new().route("/api/v1/settings", get(show))
}

/// What the gateway goes by.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Effective {
    version: &'static str,
    /// For which processor and system it was built, and how.
    build: String,
    /// The revision of all documents it goes by.
    revision: u64,
    /// The digest of all rules.
    policy: String,
    /// The file says something else by now, which the next start goes by.
    changed: bool,
    #[serde(flatten)]
    settings: Settings,
}

async fn show(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
) -> Result<Json<Effective>, Problem> {
    administrator(&services, &headers, "look at the settings").await?;
    let generation = services.now();
    let how = if cfg!(debug_assertions) { "with debug assertions" } else { "for release" };
    Ok(Json(Effective {
        version: env!("CARGO_PKG_VERSION"),
        build: format!("{} {}, {how}", std::env::consts::ARCH, std::env::consts::OS),
        revision: generation.revision,
        policy: generation.policies.version().to_owned(),
        changed: services.settings.has_changed(),
        settings: services.settings.clone(),
    }))
}
