//! The connections there are: to people those that let them in, to administrators all of them, with where
//! they lead and how that stands. Agents have their manifest.

use super::events::Listeners;
use super::live::Caller;
use super::{Problem, principal, unavailable};
use crate::checks::leads_to;
use crate::doctor::Finding;
use crate::generation::{ConnectionServices, Generation};
use crate::manifest::{how, is_told};
use crate::services::Services;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use portcullis_core::freeze::Freeze;
use portcullis_core::protocol::ProtocolKind;
use portcullis_core::time::Timestamp;
use portcullis_store::DocumentRow;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

/// How many lists each caller, and all callers, may have worked out at once: policy is asked of each
/// connection.
static ASKING: LazyLock<Listeners> = LazyLock::new(|| Listeners::new(4, 16));

/// Its route.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new().route("/api/v1/connections", get(list))
}

/// A connection.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ConnectionShown {
    name: String,
    protocol: ProtocolKind,
    environment: String,
    database: String,
    /// The sessions on it now that the caller may see.
    sessions: usize,
    /// Freezes in the way of agents there; none where nobody knows what is frozen.
    frozen: Option<Vec<Freeze>>,
    /// It takes a grant that people give for a time.
    takes_grant: bool,
    /// What only administrators see.
    #[serde(skip_serializing_if = "Option::is_none")]
    inside: Option<Inside>,
}

/// Where a connection leads, and what governs it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ConnectionInside")]
struct Inside {
    host: String,
    port: u16,
    /// How the target proves itself; without it, as it is by default.
    sslmode: Option<String>,
    /// The roles that may be taken there, the usual one first.
    roles: Vec<String>,
    /// Whose members are let in.
    groups: BTreeSet<String>,
    lend_groups: BTreeSet<String>,
    /// Who approves access, where it takes a grant.
    access: Option<Approving>,
    masks: Vec<Hidden>,
    /// Detectors that look at every text; without, the usual ones.
    detectors: Option<Vec<String>>,
    /// Its document (`connection.NAME`), where it is not in the configuration file.
    document: Option<String>,
    /// Packs, files and documents whose rules hold for everything.
    policies: Vec<String>,
    /// Rules that name it, or its environment: where they stand.
    named_by: Vec<String>,
    /// When it was looked last whether this target answers; a look at everything takes a while, and may give up
    /// before it.
    checked: Option<Timestamp>,
    /// What was found then.
    findings: Vec<Finding>,
}

/// Who approves access.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ConnectionApproving")]
struct Approving {
    group: String,
    /// How many of its people have to.
    quorum: u8,
}

/// A column that is masked for some.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ConnectionMask")]
struct Hidden {
    column: String,
    label: Option<String>,
    how: &'static str,
}

async fn list(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
) -> Result<Json<Vec<ConnectionShown>>, Problem> {
    let principal = principal(&services, &headers).await?;
    if !principal.is_person_alone() {
        let why = "only people see this list: GET /api/v1/manifest has what you may reach";
        return Err(Problem::new(StatusCode::FORBIDDEN, why));
    }
    let seat = ASKING.enter(&principal).ok_or_else(|| {
        let why = "too many lists of connections are being made: wait until what you have asked for is here";
        Problem::new(StatusCode::TOO_MANY_REQUESTS, why)
    })?;
    let caller = Caller::of(&services, principal);
    let documents = match &caller {
        Caller::Administrator(_) => services.documents.store.all().await.map_err(unavailable)?.rows,
        Caller::Other(_) => Vec::new(),
    };
    // Where the caller hangs up, it is worked out to its end all the same.
    let listed = move || {
        let _seat = seat;
        listed(&services, &caller, &documents)
    };
    tokio::task::spawn_blocking(listed).await.map(Json).map_err(unavailable)
}

/// Asks the policy about each.
fn listed(services: &Services, caller: &Caller, documents: &[DocumentRow]) -> Vec<ConnectionShown> {
    let generation = services.now();
    let freezes = services.freezes.view().in_force().freezes.ok();
    let now = crate::moment::now();
    let administers = matches!(caller, Caller::Administrator(_));
    let mut all: Vec<_> = generation.connections.iter().collect();
    all.retain(|(name, connection)| {
        administers || is_told(services, &generation, caller.principal(), (name, connection))
    });
    all.sort_by_key(|(name, _)| *name);
    let shown = all.into_iter().map(|(name, connection)| {
        let is_there = |freeze: &&Freeze| {
            now < freeze.until && freeze.connection.as_ref().is_none_or(|on| on == name)
        };
        let sessions = services
            .sessions
            .list(|owner| owner.standing.connection.name == *name && caller.may_see(owner));
        ConnectionShown {
            name: name.clone(),
            protocol: ProtocolKind::Postgres,
            environment: connection.settings.environment.clone(),
            database: connection.settings.target.database.clone(),
            sessions: sessions.len(),
            frozen: freezes.as_ref().map(|all| all.iter().filter(is_there).cloned().collect()),
            takes_grant: connection.settings.access.is_some(),
            inside: administers
                .then(|| inside(services, (&generation, documents), name, connection)),
        }
    });
    shown.collect()
}

fn inside(
    services: &Services,
    (generation, documents): (&Generation, &[DocumentRow]),
    name: &str,
    connection: &ConnectionServices,
) -> Inside {
    let settings = &connection.settings;
    let target = &settings.target;
    let (checked, findings) = services.checks.connections.of(name, &leads_to(settings));
    let mut named_by: Vec<String> = generation
        .policies
        .objects()
        .filter(|object| {
            let wanted = match &*object.kind {
                "Environment" => &settings.environment,
                "Connection" => name,
                // What is in it begins with its database.
                _ => &target.database,
            };
            object.path.first().is_some_and(|first| first == wanted)
        })
        .map(|object| {
            let rule = object.place.policy.map(|id| format!(", {id}")).unwrap_or_default();
            format!("{}:{}{rule}", object.place.file, object.place.line)
        })
        .collect();
    named_by.sort();
    named_by.dedup();
    Inside {
        host: target.host.clone(),
        port: target.port,
        sslmode: target.sslmode.map(|mode| format!("{mode:?}")),
        roles: target.role_names().map(str::to_owned).collect(),
        groups: settings.groups.iter().cloned().collect(),
        lend_groups: settings.lend_groups.clone(),
        access: settings
            .access
            .as_ref()
            .map(|access| Approving { group: access.approvers.clone(), quorum: access.quorum }),
        masks: settings
            .sensitive
            .iter()
            .map(|one| Hidden {
                column: one.column.clone(),
                label: one.label.clone(),
                how: how(&one.mask),
            })
            .collect(),
        detectors: settings.detectors.clone(),
        document: documents
            .iter()
            .find(|row| row.kind == "connection" && row.name == name)
            .map(|row| format!("connection.{}", row.name)),
        policies: services.documents.policies(documents),
        named_by,
        checked,
        findings,
    }
}
