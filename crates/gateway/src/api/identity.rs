//! Who vouches for callers, and who may do what: from the configuration, with what was found when the
//! providers were asked last. For administrators. No secret is in it.

use super::Problem;
use super::live::administrator;
use crate::checks::Examined;
use crate::config::Config;
use crate::doctor::Finding;
use crate::groups::GroupSettings;
use crate::services::Services;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::get;
use axum::{Json, Router};
use portcullis_core::principal::PrincipalKind;
use portcullis_core::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Its route.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new().route("/api/v1/identity", get(show))
}

/// Who vouches for callers, and who may do what.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "IdentityShown")]
pub(super) struct Identity {
    providers: Vec<ProviderShown>,
    workloads: Vec<Workload>,
    /// Groups of people that are said here, beside those that providers tell of.
    groups: Vec<GroupSettings>,
    /// The groups whose people administer.
    administrators: Vec<String>,
    /// The groups whose people see every record.
    auditors: Vec<String>,
    /// The groups whose people approve access, and on which connections.
    approvers: BTreeMap<String, BTreeSet<String>>,
    /// When the providers were asked last.
    checked: Option<Timestamp>,
}

/// What vouches for callers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "IdentityProviderShown")]
struct ProviderShown {
    name: String,
    /// `oidc`, `saml` or `development`.
    kind: &'static str,
    issuer: String,
    /// What somebody is of whom the provider does not say it.
    default_kind: Option<PrincipalKind>,
    /// Whether its people sign in in a browser.
    signs_in: bool,
    /// As which clients the gateway and terminals are registered there.
    clients: Vec<String>,
    /// For whom its tokens have to be.
    audiences: Vec<String>,
    /// What was found when it was asked last.
    findings: Vec<Finding>,
}

/// Which tokens stand for which workload.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "IdentityWorkload")]
struct Workload {
    name: String,
    platform: String,
    issuer: String,
    /// Claims that must have these values, as they are written.
    pins: BTreeMap<String, String>,
    groups: BTreeSet<String>,
    /// The groups of a person that it may have when it acts for one.
    lend_groups: Option<BTreeSet<String>>,
}

async fn show(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
) -> Result<Json<Identity>, Problem> {
    administrator(&services, &headers, "look at who vouches for callers").await?;
    Ok(Json(identity(&services)))
}

/// As the configuration writes it.
fn written(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(value) => value.to_string(),
        Err(_) => String::new(),
    }
}

/// Those of the configuration, and the one for development.
fn providers(
    services: &Services,
    config: &Config,
    examined: Option<&Examined>,
) -> Vec<ProviderShown> {
    let findings = |name: &str| {
        let about = |finding: &&Finding| {
            finding.check == "providers" && finding.about.as_deref() == Some(name)
        };
        let all = examined.iter().flat_map(|examined| &examined.findings);
        all.filter(about).cloned().collect()
    };
    let oidc = config.identity.providers.iter().map(|one| {
        let client = one.sign_in.as_ref().map(|sign_in| sign_in.client_id.clone());
        let terminal = one.terminal_client().map(str::to_owned);
        let clients: BTreeSet<String> = client.into_iter().chain(terminal).collect();
        ProviderShown {
            name: one.name.clone(),
            kind: "oidc",
            issuer: one.issuer.clone(),
            default_kind: Some(one.default_kind),
            signs_in: one.sign_in.is_some(),
            clients: clients.into_iter().collect(),
            audiences: one.audiences.clone(),
            findings: findings(&one.name),
        }
    });
    let saml = config.identity.saml.iter().map(|one| ProviderShown {
        name: one.name.clone(),
        kind: "saml",
        issuer: one.entity_id.clone(),
        default_kind: Some(one.default_kind),
        signs_in: true,
        clients: one.own_entity_id.iter().cloned().collect(),
        audiences: Vec::new(),
        findings: findings(&one.name),
    });
    let development = config.dev_provider.as_ref().zip(services.house.door.development());
    let development = development.map(|(one, issuer)| ProviderShown {
        name: "development".to_owned(),
        kind: "development",
        issuer,
        default_kind: None,
        signs_in: false,
        clients: Vec::new(),
        audiences: vec![one.audience.clone()],
        findings: Vec::new(),
    });
    oidc.chain(saml).chain(development).collect()
}

fn identity(services: &Services) -> Identity {
    let config = services.documents.in_force(&services.now());
    let (_, examined) = services.checks.health.stands();
    let rules = config.identity.rules();
    let workloads = rules.iter().map(|rule| Workload {
        name: rule.name.clone(),
        platform: written(&rule.kind),
        issuer: rule.issuer.clone(),
        pins: rule.pins.iter().map(|(claim, pins)| (written(claim), written(pins))).collect(),
        groups: rule.groups.clone(),
        lend_groups: rule.lend_groups.clone(),
    });
    let mut approvers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, connection) in &config.connections {
        let access = connection.access.iter();
        for group in access.flat_map(|a| std::iter::once(&a.approvers).chain(&a.escalate_to)) {
            approvers.entry(group.clone()).or_default().insert(name.clone());
        }
    }
    Identity {
        providers: providers(services, &config, examined.as_deref()),
        workloads: workloads.collect(),
        groups: config.groups.clone(),
        administrators: services.administrators.clone(),
        auditors: services.auditors.clone(),
        approvers,
        checked: examined.map(|examined| examined.at),
    }
}
