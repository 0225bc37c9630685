//! Trust rules: which tokens of a platform (a cluster, a CI service, a SPIFFE trust domain) stand for
//! which workload. Signatures, keys, times and audiences are checked as for any provider; a rule
//! adds *pins*, without which every tenant of the platform would be let in.
//!
//! | kind | what has to be pinned, because it says whose a token is |
//! | --- | --- |
//! | `kubernetes` | namespace and service account, or `sub` |
//! | `github-actions` | the repository's number (or its name and its owner's number), and `ref` or `environment` |
//! | `gitlab` | the project's number (or its path and its namespace's number), branch or tag, and that it is protected |
//! | `spiffe` | `sub`, whole SPIFFE ids |
//! | `oidc` | `sub` |
//!
//! Numbers, because names can be given up and taken by somebody else. There are no wildcards: a pin
//! is a value or a list of them, so no pin can span the part that says whose a token is.

use super::claims::ClaimPath;
use super::error::IdentityError;
use super::settings::{
    Pinned, Provider, SettingsError, SignatureAlgorithm, default_leeway, default_max_lifetime,
};
use super::spiffe;
use crate::text::is_presentable;
use portcullis_core::principal::PrincipalKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

type Claims = Map<String, Value>;

/// How settings errors call a rule.
pub(super) const WHOSE: &str = "workload rule";

/// Audiences that every pod has a token for: those of the cluster's own API.
const OF_THE_CLUSTER: [&str; 5] = [
    "https://kubernetes.default.svc",
    "https://kubernetes.default.svc.cluster.local",
    "kubernetes.default.svc",
    "kubernetes",
    "api",
];

/// A platform whose tokens stand for workloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WorkloadKind {
    /// Projected service account tokens of a cluster.
    Kubernetes,
    /// Job tokens of GitHub Actions.
    GithubActions,
    /// Job tokens (`id_tokens`) of GitLab.
    Gitlab,
    /// JWT-SVIDs of a SPIFFE trust domain.
    Spiffe,
    /// Any other issuer of signed JWTs.
    Oidc,
}

/// What the workload of a rule is to policies. A person is not to be had this way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkloadPrincipal {
    /// A program with a fixed job.
    #[default]
    Workload,
    /// Software that decides by itself what to ask next.
    Agent,
}

/// A trust rule: whose tokens of a platform are accepted, and who they then are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustRule {
    /// The name of the workload: its user name in PostgreSQL, in messages and in the record.
    pub name: String,
    /// The platform.
    pub kind: WorkloadKind,
    /// The issuer URL, compared byte for byte with `iss`. `https`, or `http` on loopback. Several
    /// rules may share one; a provider and a rule may not.
    pub issuer: String,
    /// Accepted audiences: a token's `aud` must contain one of them. The gateway's own, never one
    /// that tokens for something else carry.
    pub audiences: Vec<String>,
    /// Claims that must have exactly this value, or one of these. What has to be among them depends
    /// on `kind`. There are no wildcards.
    #[schemars(with = "BTreeMap<String, Pins>")]
    pub pins: BTreeMap<ClaimPath, Pins>,
    /// What it is to policies: `workload` or `agent`.
    #[serde(default)]
    pub principal: WorkloadPrincipal,
    /// Its groups. Nothing of the token adds to them.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// The groups of a person that it may have when it acts for one by token exchange, where the
    /// connection lends them too. Without it, it acts for nobody.
    #[serde(default)]
    pub lend_groups: Option<BTreeSet<String>>,
    /// Accepted signature algorithms. Asymmetric ones only; the default is all that are supported.
    #[serde(default = "SignatureAlgorithm::all")]
    pub algorithms: Vec<SignatureAlgorithm>,
    /// How far `nbf` and `iat` may lie in the future, in seconds; at most 300.
    #[serde(default = "default_leeway")]
    #[schemars(range(max = 300))]
    pub leeway_seconds: u64,
    /// The longest life of an accepted token, in seconds.
    #[serde(default = "default_max_lifetime")]
    #[schemars(range(min = 60))]
    pub max_lifetime_seconds: u64,
    /// The address of the key set, for issuers without a discovery document.
    #[serde(default)]
    pub jwks_uri: Option<String>,
}

/// The values a pinned claim may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a pin is a text, a whole number, true or false, or a list of these")]
pub enum Pins {
    /// This one.
    One(Pinned),
    /// Any of these.
    Any(Vec<Pinned>),
}

impl Pins {
    fn values(&self) -> &[Pinned] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Any(values) => values,
        }
    }

    /// Holds one claim against them.
    fn check(&self, path: &ClaimPath, claims: &Claims) -> Result<(), IdentityError> {
        let claim = || path.to_string();
        match path.find(claims) {
            None => Err(IdentityError::PinAbsent { claim: claim() }),
            Some(Value::Array(_) | Value::Object(_) | Value::Null) => {
                Err(IdentityError::PinNotOne { claim: claim() })
            }
            Some(value) if self.values().iter().any(|pinned| pinned.is(value)) => Ok(()),
            Some(value) if self.values().iter().all(|pinned| !pinned.is_kind_of(value)) => {
                Err(IdentityError::PinNotOne { claim: claim() })
            }
            Some(_) => Err(IdentityError::Pin { claim: claim() }),
        }
    }

    fn is_apart_from(&self, other: &Self) -> bool {
        !self.values().iter().any(|value| other.values().contains(value))
    }
}

impl TrustRule {
    /// The rule as a provider: for the checks both have.
    pub(crate) fn provider(&self) -> Provider {
        let first = self.audiences.first().cloned().unwrap_or_default();
        Provider {
            audiences: self.audiences.clone(),
            algorithms: self.algorithms.clone(),
            leeway_seconds: self.leeway_seconds,
            max_lifetime_seconds: self.max_lifetime_seconds,
            jwks_uri: self.jwks_uri.clone(),
            ..Provider::new(&self.name, &self.issuer, first)
        }
    }

    pub(crate) const fn principal_kind(&self) -> PrincipalKind {
        match self.principal {
            WorkloadPrincipal::Workload => PrincipalKind::Workload,
            WorkloadPrincipal::Agent => PrincipalKind::Agent,
        }
    }

    fn wrong(&self, key: &'static str, problem: impl Into<String>) -> SettingsError {
        SettingsError { whose: WHOSE, provider: self.name.clone(), key, problem: problem.into() }
    }

    /// Checks what the types cannot; most of all that its pins say whose tokens it accepts.
    ///
    /// # Errors
    /// [`SettingsError`] names the rule, the key, and what to add.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let as_provider = self.provider().validate();
        as_provider.map_err(|error| SettingsError { whose: WHOSE, ..error })?;
        let all = self.groups.iter().chain(self.lend_groups.iter().flatten());
        if all.into_iter().any(|group| !is_presentable(group)) {
            return Err(self.wrong("groups", "each must be 1 to 255 visible characters"));
        }
        self.check_values()?;
        self.check_subject().map_err(|add| {
            let problem = format!("they do not say whose tokens these are: add {add}");
            self.wrong("pins", problem)
        })?;
        self.check_platform()
    }

    /// Every pin can be met, and means what it looks like.
    fn check_values(&self) -> Result<(), SettingsError> {
        let mut seen: Vec<&ClaimPath> = Vec::new();
        for (path, pins) in &self.pins {
            if seen.iter().any(|other| other.names() == path.names()) {
                return Err(self.wrong("pins", format!("`{path}` is pinned twice")));
            }
            seen.push(path);
            if pins.values().is_empty() {
                return Err(self.wrong("pins", format!("`{path}` has no value it could have")));
            }
            for pinned in pins.values() {
                let Pinned::Text(text) = pinned else { continue };
                if !is_presentable(text) {
                    let problem = format!("`{path}` must be 1 to 255 visible characters");
                    return Err(self.wrong("pins", problem));
                }
                if text.contains('*') {
                    let problem = format!(
                        "`{path}` is `{text}`, and there are no wildcards: list the values that \
                         are meant, as in {path} = [\"…\", \"…\"]"
                    );
                    return Err(self.wrong("pins", problem));
                }
            }
        }
        Ok(())
    }

    fn pins_on(&self, names: &[&str]) -> Option<&Pins> {
        self.pins.iter().find(|(path, _)| path.names() == names).map(|(_, pins)| pins)
    }

    fn has(&self, name: &str) -> bool {
        self.pins_on(&[name]).is_some()
    }

    /// Whether the pins say whose a token is; else what to add, as one would write it.
    fn check_subject(&self) -> Result<(), &'static str> {
        let good = |good: bool, add| if good { Ok(()) } else { Err(add) };
        match self.kind {
            WorkloadKind::Kubernetes => {
                let account = self.pins_on(&["kubernetes.io", "namespace"]).is_some()
                    && self.pins_on(&["kubernetes.io", "serviceaccount", "name"]).is_some();
                good(
                    account || self.has("sub"),
                    "\"/kubernetes.io/namespace\" = \"NAMESPACE\" and \
                     \"/kubernetes.io/serviceaccount/name\" = \"ACCOUNT\", or \
                     sub = \"system:serviceaccount:NAMESPACE:ACCOUNT\"",
                )
            }
            WorkloadKind::GithubActions => {
                let named = self.has("repository") && self.has("repository_owner_id");
                good(
                    self.has("repository_id") || named,
                    "repository_id = \"NUMBER\" (or repository = \"OWNER/NAME\" with \
                     repository_owner_id = \"NUMBER\": a name alone can be taken by others)",
                )?;
                good(
                    self.has("ref") || self.has("environment"),
                    "ref = \"refs/heads/BRANCH\" or environment = \"NAME\": without it any branch, \
                     and whoever can push one, is let in",
                )
            }
            WorkloadKind::Gitlab => {
                let named = self.has("project_path") && self.has("namespace_id");
                good(
                    self.has("project_id") || named,
                    "project_id = \"NUMBER\" (or project_path = \"GROUP/NAME\" with \
                     namespace_id = \"NUMBER\": a path alone can be taken by others)",
                )?;
                good(
                    self.has("ref_path") || self.has("ref") && self.has("ref_type"),
                    "ref_path = \"refs/heads/BRANCH\", or ref = \"BRANCH\" with \
                     ref_type = \"branch\": a tag may have the name of a branch",
                )?;
                good(
                    self.has("ref_protected"),
                    "ref_protected = \"true\": what is not protected anybody who can push may change",
                )
            }
            WorkloadKind::Spiffe => {
                good(self.has("sub"), "sub = \"spiffe://TRUST-DOMAIN/PATH\", a whole SPIFFE id")
            }
            WorkloadKind::Oidc => good(self.has("sub"), "sub = \"SUBJECT\""),
        }
    }

    /// What would make a rule of this kind mean something else than it says.
    fn check_platform(&self) -> Result<(), SettingsError> {
        let texts = |name: &str| {
            let pins = self.pins_on(&[name]).map(Pins::values).unwrap_or_default();
            pins.iter().map(|pinned| if let Pinned::Text(text) = pinned { text } else { "" })
        };
        match self.kind {
            WorkloadKind::Kubernetes => {
                let of_all = |aud: &&String| {
                    **aud == self.issuer || OF_THE_CLUSTER.contains(&aud.trim_end_matches('/'))
                };
                match self.audiences.iter().find(of_all) {
                    Some(aud) => Err(self.wrong(
                        "audiences",
                        format!(
                            "\"{aud}\" is the cluster's own: every pod has a token for it. Use one \
                             of this gateway's, and ask for it in `serviceAccountToken.audience`"
                        ),
                    )),
                    None => Ok(()),
                }
            }
            WorkloadKind::GithubActions => {
                let branch =
                    |name: &str| name.starts_with("refs/heads/") || name.starts_with("refs/tags/");
                match texts("ref").find(|name| !branch(name)) {
                    Some(_) => Err(self.wrong(
                        "pins",
                        "`ref` must be whole: refs/heads/BRANCH or refs/tags/TAG (what a pull \
                         request brings, refs/pull/…, is its author's)",
                    )),
                    None => Ok(()),
                }
            }
            WorkloadKind::Gitlab => match texts("ref_protected").find(|text| *text != "true") {
                Some(_) => Err(self.wrong(
                    "pins",
                    "`ref_protected` must be the text \"true\", as GitLab writes it",
                )),
                None => Ok(()),
            },
            WorkloadKind::Spiffe => {
                let wrong = |text: &str| spiffe::trust_domain(text).err();
                match texts("sub").find_map(wrong) {
                    Some(why) => Err(self.wrong("pins", format!("`sub` is no SPIFFE id: {why}"))),
                    None => Ok(()),
                }
            }
            WorkloadKind::Oidc => Ok(()),
        }
    }

    /// What stands between two rules: that a token may match both, or that what they share differs.
    fn conflict(&self, earlier: &Self) -> Result<(), SettingsError> {
        if self.name == earlier.name {
            return Err(self.wrong("name", "is used twice"));
        }
        if self.issuer != earlier.issuer {
            return Ok(());
        }
        let other = &earlier.name;
        if self.kind != earlier.kind || self.jwks_uri != earlier.jwks_uri {
            let problem = format!("\"{other}\" has it with another `kind` or `jwks_uri`");
            return Err(self.wrong("issuer", problem));
        }
        let apart = |(path, pins): (&ClaimPath, &Pins)| {
            let names: Vec<&str> = path.names().iter().map(String::as_str).collect();
            earlier.pins_on(&names).is_some_and(|others| pins.is_apart_from(others))
        };
        if !self.pins.iter().any(apart) {
            let problem = format!(
                "one token could match this rule and \"{other}\": pin, in both, one claim to values \
                 that differ"
            );
            return Err(self.wrong("pins", problem));
        }
        let telling = self.telling();
        let within = self.has("environment");
        let tells = |(path, _): &(&ClaimPath, &Pins)| {
            let name = path.names().join("/");
            telling.contains(&&*name) && (name != "ref" || !within)
        };
        if self.shape() != earlier.shape() || self.pins.iter().filter(tells).any(apart) {
            return Ok(());
        }
        let problem = format!(
            "workloads of this rule and of \"{other}\" would be known by the same subject, and what one is \
             granted would be the other's: pin, in both, one of {} to values that differ",
            telling.join(", ")
        );
        Err(self.wrong("pins", problem))
    }

    /// What a subject says of where a token is from, besides whose it is: rules of which one does and the
    /// other does not have no subject in common.
    fn shape(&self) -> [bool; 2] {
        [self.has("environment"), self.workflow().is_some()]
    }

    /// The claim that says which file a job is run by, where that is pinned.
    fn workflow(&self) -> Option<&'static str> {
        let claim = match self.kind {
            WorkloadKind::GithubActions => "job_workflow_ref",
            WorkloadKind::Gitlab => "ci_config_ref_uri",
            WorkloadKind::Kubernetes | WorkloadKind::Spiffe | WorkloadKind::Oidc => return None,
        };
        self.has(claim).then_some(claim)
    }

    /// The claims that a subject is made of, or that go with those.
    const fn telling(&self) -> &'static [&'static str] {
        match self.kind {
            WorkloadKind::GithubActions => &[
                "repository_id",
                "repository",
                "repository_owner_id",
                "environment",
                "ref",
                "job_workflow_ref",
            ],
            WorkloadKind::Gitlab => &[
                "project_id",
                "project_path",
                "namespace_id",
                "ref",
                "ref_type",
                "ref_path",
                "ci_config_ref_uri",
            ],
            WorkloadKind::Kubernetes => {
                &["kubernetes.io/namespace", "kubernetes.io/serviceaccount/name", "sub"]
            }
            WorkloadKind::Spiffe | WorkloadKind::Oidc => &["sub"],
        }
    }

    /// Who a token of this rule stands for, where its claims meet every pin.
    pub(crate) fn subject(&self, claims: &Claims) -> Result<String, IdentityError> {
        self.check_form(claims)?;
        self.check_pins(claims)?;
        let claim = |name: &str| match claims.get(name) {
            None => Err(IdentityError::MissingClaim(name.to_owned())),
            Some(Value::String(text)) if is_presentable(text) => Ok(text.as_str()),
            Some(_) => Err(IdentityError::InvalidClaim(name.to_owned())),
        };
        let subject = match self.kind {
            // At both, what `sub` is made of can be chosen by whoever owns the repository.
            WorkloadKind::GithubActions => {
                let within = if self.has("environment") { "environment" } else { "ref" };
                format!("repository_id:{}:{within}:{}", claim("repository_id")?, claim(within)?)
            }
            WorkloadKind::Gitlab => {
                let (kind, name) = (claim("ref_type")?, claim("ref")?);
                format!("project_id:{}:{kind}:{name}", claim("project_id")?)
            }
            WorkloadKind::Kubernetes | WorkloadKind::Spiffe | WorkloadKind::Oidc => {
                claim("sub")?.to_owned()
            }
        };
        let subject = match self.workflow() {
            Some(name) => format!("{subject}:{name}:{}", claim(name)?),
            None => subject,
        };
        if is_presentable(&subject) {
            Ok(subject)
        } else {
            Err(IdentityError::InvalidClaim("sub".into()))
        }
    }

    pub(crate) fn check_pins(&self, claims: &Claims) -> Result<(), IdentityError> {
        self.pins.iter().try_for_each(|(path, pins)| pins.check(path, claims))
    }

    /// What tokens of the platform look like, whatever is pinned.
    fn check_form(&self, claims: &Claims) -> Result<(), IdentityError> {
        // Whom a workload acts for is nothing it can say of itself: that takes an exchange.
        if claims.contains_key("act") {
            return Err(IdentityError::InvalidClaim("act".into()));
        }
        match self.kind {
            WorkloadKind::Kubernetes => kubernetes_form(claims),
            WorkloadKind::GithubActions => {
                self.not_by_anybody(claims, "event_name", |event| event.starts_with("pull_request"))
            }
            WorkloadKind::Gitlab => self.not_by_anybody(claims, "pipeline_source", |source| {
                matches!(source, "merge_request_event" | "external_pull_request_event")
            }),
            WorkloadKind::Spiffe => {
                let id = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
                spiffe::trust_domain(id).map(drop).map_err(IdentityError::SpiffeId)
            }
            WorkloadKind::Oidc => Ok(()),
        }
    }

    /// A run that a pull or merge request has started may be of anybody's making, and at GitHub its
    /// `ref` may still be that of the branch it is for (`pull_request_target`).
    fn not_by_anybody(
        &self,
        claims: &Claims,
        claim: &'static str,
        foreign: impl Fn(&str) -> bool,
    ) -> Result<(), IdentityError> {
        let event = claims.get(claim).and_then(Value::as_str).unwrap_or_default();
        if foreign(event) && !self.has(claim) {
            return Err(IdentityError::ForeignRun { pin: claim });
        }
        Ok(())
    }
}

/// A service account token that is bound to an audience and ends: `kubernetes.io` says who, and
/// `sub` says the same. Those of secrets, which never end, have flat claims and no `exp`.
fn kubernetes_form(claims: &Claims) -> Result<(), IdentityError> {
    let flat = |name: &String| name.starts_with("kubernetes.io/serviceaccount/");
    if claims.keys().any(flat) || !claims.contains_key("exp") || !claims.contains_key("aud") {
        return Err(IdentityError::LegacyServiceAccount);
    }
    let about = claims.get("kubernetes.io").and_then(Value::as_object);
    let about = about.ok_or_else(|| IdentityError::MissingClaim("kubernetes.io".into()))?;
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let namespace = text(about.get("namespace"));
    let account = text(about.get("serviceaccount").and_then(|account| account.get("name")));
    let (Some(namespace), Some(account)) = (namespace, account) else {
        return Err(IdentityError::InvalidClaim("kubernetes.io".into()));
    };
    let expect = format!("system:serviceaccount:{namespace}:{account}");
    if claims.get("sub").and_then(Value::as_str) != Some(&expect) {
        return Err(IdentityError::SubjectsDiffer);
    }
    Ok(())
}

/// Checks rules by themselves and against one another and the providers.
///
/// # Errors
/// Which rule (by its place in the list), and what is wrong with it.
pub fn check_rules(
    providers: &[Provider],
    rules: &[TrustRule],
) -> Result<(), (usize, SettingsError)> {
    for (place, rule) in rules.iter().enumerate() {
        let at = |error: SettingsError| (place, error);
        rule.validate().map_err(at)?;
        if let Some(provider) = providers.iter().find(|p| p.issuer == rule.issuer) {
            let problem = format!(
                "provider \"{}\" has the same: each of its tokens could be read in two ways",
                provider.name
            );
            return Err(at(rule.wrong("issuer", problem)));
        }
        if providers.iter().any(|provider| provider.name == rule.name) {
            return Err(at(rule.wrong("name", "is that of a provider")));
        }
        for earlier in rules.iter().take(place) {
            rule.conflict(earlier).map_err(at)?;
        }
    }
    Ok(())
}
