//! Who vouches for callers, and who may do what: from the configuration, with what was found when the
//! providers were asked last. For administrators. No secret is in it.

use super::live::administrator;
use super::{Problem, unavailable};
use crate::checks::Examined;
use crate::config::Config;
use crate::doctor::Finding;
use crate::groups::GroupSettings;
use crate::moment::now;
use crate::services::Services;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::get;
use axum::{Json, Router};
use portcullis_core::principal::{Principal, PrincipalKind};
use portcullis_core::time::Timestamp;
use portcullis_identity::dev_provider::DevPerson;
use portcullis_store::Page;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Browser sessions that are looked at for who is in a group.
const MOST_SIGNED_IN: u32 = 200;
/// People of a group that are told by name.
const MOST_KNOWN: usize = 20;

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
    /// The groups whose people approve held requests or access, and who is known to be in them.
    reviewers: Vec<Reviewers>,
    /// When the providers were asked last.
    checked: Option<Timestamp>,
}

/// A group whose people approve something.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "IdentityReviewers")]
struct Reviewers {
    group: String,
    /// The rules that hold requests until it approves (`@review`), by their `@id`.
    rules: BTreeSet<String>,
    /// The connections to which it approves access.
    connections: BTreeSet<String>,
    /// How many people are known to be in it.
    count: usize,
    /// The first of them.
    known: Vec<KnownPerson>,
    /// Whether others may be in it: a provider may tell so of whoever signs in. Where not, and where nobody is
    /// known, nobody approves.
    others: bool,
}

/// Somebody who is known: by a group that is said here, by the development provider, or because they are signed in
/// in a browser.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[schemars(rename = "IdentityKnownPerson")]
struct KnownPerson {
    issuer: String,
    subject: String,
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
    let first = Page { limit: MOST_SIGNED_IN, after: None };
    let signed_in = services.sign_in.store.list(None, now(), &first).await.map_err(unavailable)?;
    let signed_in = signed_in.rows.into_iter().map(|session| Principal::from(session.person));
    Ok(Json(identity(&services, signed_in.collect())))
}

/// People whose groups are known, before those are added that are said here.
fn people(services: &Services, config: &Config) -> Vec<Principal> {
    let person = |issuer: &str, subject: &str, groups: BTreeSet<String>| Principal {
        kind: PrincipalKind::Person,
        subject: subject.to_owned(),
        name: subject.to_owned(),
        issuer: issuer.to_owned(),
        acting_for: None,
        acting_for_issuer: None,
        email: None,
        groups,
        token_id: None,
        expires: now(),
    };
    let said = config.groups.iter().flat_map(|group| &group.members);
    let said = said.map(|member| person(&member.issuer, &member.subject, BTreeSet::new()));
    let development = config.dev_provider.as_ref().zip(services.house.door.development());
    let development = development.into_iter().flat_map(|(one, issuer)| {
        let groups = |of: &DevPerson| of.groups.iter().cloned().collect();
        let all = one.people.iter().map(|of| person(&issuer, &of.name, groups(of)));
        all.collect::<Vec<_>>()
    });
    said.chain(development).collect()
}

/// The groups whose people approve: by which rules, and to which connections, with those of `known` who are in
/// them.
fn reviewers<'r>(
    rules: impl Iterator<Item = (&'r str, &'r str)>,
    approvers: &BTreeMap<String, BTreeSet<String>>,
    known: &[Principal],
    others: bool,
) -> Vec<Reviewers> {
    let mut by_group: BTreeMap<&str, BTreeSet<String>> =
        approvers.keys().map(|group| (group.as_str(), BTreeSet::new())).collect();
    for (group, rule) in rules {
        by_group.entry(group).or_default().insert(rule.to_owned());
    }
    let reviewers = by_group.into_iter().map(|(group, rules)| {
        let is_in = |who: &&Principal| who.groups.contains(group);
        let known = known
            .iter()
            .filter(is_in)
            .map(|who| KnownPerson { issuer: who.issuer.clone(), subject: who.subject.clone() });
        let known: BTreeSet<KnownPerson> = known.collect();
        Reviewers {
            group: group.to_owned(),
            rules,
            connections: approvers.get(group).cloned().unwrap_or_default(),
            count: known.len(),
            known: known.into_iter().take(MOST_KNOWN).collect(),
            others,
        }
    });
    reviewers.collect()
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

fn identity(services: &Services, signed_in: Vec<Principal>) -> Identity {
    let generation = services.now();
    let config = services.documents.in_force(&generation);
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
    let known = people(services, &config).into_iter().chain(signed_in);
    let known: Vec<_> = known.map(|who| generation.vouching.join(who)).collect();
    let rules = generation.policies.loaded();
    let rules = rules.filter_map(|rule| rule.review.map(|group| (group, rule.id)));
    let others = !config.identity.providers.is_empty() || !config.identity.saml.is_empty();
    let reviewers = reviewers(rules, &approvers, &known, others);
    Identity {
        reviewers,
        providers: providers(services, &config, examined.as_deref()),
        workloads: workloads.collect(),
        groups: config.groups.clone(),
        administrators: services.administrators.clone(),
        auditors: services.auditors.clone(),
        approvers,
        checked: examined.map(|examined| examined.at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_approves_is_told_with_who_is_known_to_be_in_it() {
        let person = |issuer: &str, subject: &str, groups: &[&str]| Principal {
            kind: PrincipalKind::Person,
            subject: subject.to_owned(),
            name: subject.to_owned(),
            issuer: issuer.to_owned(),
            acting_for: None,
            acting_for_issuer: None,
            email: None,
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            token_id: None,
            expires: Timestamp::from_micros(0),
        };
        // One who is signed in twice is one person; another issuer's is another.
        let known = [
            person("https://a", "ana", &["dba"]),
            person("https://a", "ana", &["dba", "leads"]),
            person("https://b", "ana", &["dba"]),
            person("https://a", "bo", &["staff"]),
        ];
        let rules = [("dba", "deletes"), ("dba", "updates"), ("nobody", "drops")];
        let set = |of: &[&str]| of.iter().map(|one| (*one).to_owned()).collect();
        let approvers = BTreeMap::from([("leads".to_owned(), set(&["vault"]))]);
        let told = reviewers(rules.into_iter(), &approvers, &known, false);
        let short = told
            .iter()
            .map(|one| (one.group.as_str(), one.rules.len(), one.connections.len(), one.count));
        let short: Vec<_> = short.collect();
        assert_eq!(short, [("dba", 2, 0, 2), ("leads", 0, 1, 1), ("nobody", 1, 0, 0)]);
    }
}
