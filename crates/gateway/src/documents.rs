//! Documents: connections, policies, and who vouches for callers, that are changed while the gateway runs. What they are, how they are
//! checked, and how a change of them comes into force: recorded, kept, and then gone by, all or none.
//!
//! What the configuration file names is the file's: no document changes it, or has its name. Documents hold
//! no secrets, and name no groups whose people administer: that is said in the file alone. Who is in these
//! groups is said by providers and groups, which are documents only where the file lets them be.

pub(crate) mod files;
pub(crate) mod fixtures;
mod identity;
mod kind;

use crate::config::Config;
use crate::fleet;
use crate::generation::{Generation, Made, Rules, governed};
use crate::live::Owner;
use crate::moment::now;
use crate::services::{Services, stopped};
use crate::vouching::{self, Owed};
use anyhow::Context as _;
use fixtures::Tested;
pub(crate) use kind::{Kind, Wrong};
use portcullis_core::id::SessionId;
use portcullis_core::journal::{Durability, Entry, Event, Journal as _, JournalError};
use portcullis_core::principal::By;
use portcullis_core::time::Timestamp;
use portcullis_store::{
    DocumentChange, DocumentChanged, DocumentError, DocumentRow, DocumentStore, Documents,
    MAX_DOCUMENTS,
};
use portcullis_targets::Reference;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tracing::{error, info, warn};

/// How often the store is asked whether documents have changed, beside being told.
const LOOK: Duration = Duration::from_secs(1);
/// How long it may take to check a change.
const CHECKING: Duration = Duration::from_secs(30);
/// How often the store is asked what has become of a change.
const ASKED: u8 = 5;
/// Longest text of a document, in bytes.
const MOST_TEXT: usize = 64 * 1024;
/// Longest text of all of them together.
const MOST_TEXTS: usize = 4 * 1024 * 1024;

/// A secret of the gateway as a client of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientSecret {
    /// The issuer, word for word.
    pub(crate) issuer: String,
    /// `env:NAME` or `file:PATH` (relative to this file), word for word.
    pub(crate) secret: Reference,
}

/// What documents may do: connections and policies that are changed while the gateway runs, by
/// `portcullis apply` and the API.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DocumentSettings {
    /// Where secrets may be that documents name: passwords of connections, and keys for SAML. Beside `sealed:`, which is for one connection anyway:
    /// `env:NAME`, `file:PATH` (relative to this file) and `vault:MOUNT/PATH#FIELD`, word for word. Whoever
    /// may change a document could send these anywhere, so nothing that is not listed is opened for one.
    pub(crate) credentials: Vec<Reference>,
    /// Where the secrets of the gateway as a client of providers in documents may be, and of which issuer each
    /// is the client's: it is sent to no other.
    pub(crate) client_secrets: Vec<ClientSecret>,
    /// Where connections in documents may lead, beside where those of this file do: `HOST:PORT`, word for
    /// word. A credential goes to whoever answers there.
    pub(crate) targets: Vec<String>,
    /// Files that decide whom to believe, and that documents may name: those with certificates of targets
    /// (`sslrootcert`, beside `system`), metadata and certificates of SAML providers. Absolute paths, word
    /// for word.
    pub(crate) certificates: Vec<String>,
    /// Documents may say who vouches for callers, and who is in which group: providers, trust rules and
    /// groups. Whoever may change documents can then become anybody, by a provider of their own; without
    /// this, such documents are refused.
    pub(crate) identity: bool,
    /// A directory with `connections/NAME.toml`, `policies/NAME.cedar` and, where there are any,
    /// `tests`, `providers`, `saml`, `workloads` and `groups`, each with `NAME.toml`. Where there is one,
    /// it has all documents there are: what is changed in it is in force a moment later, and the API changes
    /// nothing. It and its files are the gateway's own or root's, and nobody else's to write. Relative
    /// to this file.
    pub(crate) directory: Option<PathBuf>,
    /// Where relative paths begin.
    #[serde(skip)]
    pub(crate) base: PathBuf,
}

/// A document as somebody brings it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    /// What it is about.
    pub(crate) kind: Kind,
    /// Its name: 1 to 50 small letters, digits, `-` and `_`, with a letter or digit first.
    pub(crate) name: String,
    /// What it says: of a connection, what stands under `[connections.NAME]` in the configuration file
    /// (TOML); of a policy, its rules (Cedar); of tests, the cases (TOML); of a provider, a trust rule or a
    /// group, what stands in the file under `[[identity.providers]]`, `[[identity.saml]]`,
    /// `[[identity.workloads]]` or `[[groups]]`, without `name` (TOML). At most 64 KiB.
    pub(crate) text: String,
}

/// What is to become of the documents.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DocumentsWanted")]
pub(crate) struct Wanted {
    /// These are made, or changed to this.
    pub(crate) documents: Vec<Document>,
    /// All others are removed.
    #[serde(default)]
    pub(crate) prune: bool,
    /// The revision of all documents this rests on: where they have changed since, nothing is done. To
    /// apply, it has to be said.
    #[serde(default)]
    pub(crate) revision: Option<u64>,
}

/// What becomes of one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "DocumentPlanned")]
pub(crate) struct Planned {
    kind: Kind,
    name: String,
    /// `create`, `change` or `remove`.
    action: &'static str,
    /// Its text as it is; `None` where there is none.
    before: Option<String>,
    /// Its text then; `None` where it is removed.
    after: Option<String>,
}

/// A change of the documents, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "DocumentsPlan")]
pub(crate) struct Plan {
    /// The revision of all documents it rests on.
    revision: u64,
    /// What becomes of which; empty where they are as wanted.
    pub(crate) changes: Vec<Planned>,
    /// What works, and is hardly meant.
    warnings: Vec<String>,
    /// The tests of policies, as the change leaves them: none of them fails.
    tests: Vec<Tested>,
}

/// A change of the documents that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "DocumentsApplied")]
pub(crate) struct Applied {
    /// The revision of all documents that has come of it.
    revision: u64,
    /// What has become of which.
    pub(crate) changes: Vec<Planned>,
    /// What works, and is hardly meant.
    warnings: Vec<String>,
    /// The numbers of its entries in this gateway's journal, in the order of the changes.
    entries: Vec<u64>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotChanged {
    /// What is wrong with what is wanted: where, and what.
    #[error("{0}")]
    Wrong(String),
    /// It rests on what is not so any more.
    #[error(transparent)]
    Store(#[from] DocumentError),
    /// Another change is being checked.
    #[error("another change of documents is being made: try again in a while")]
    Busy,
    /// It took too long to check.
    #[error("checking it took longer than {} s, so it was given up: make it smaller", CHECKING.as_secs())]
    TooSlow,
    /// They come from a directory.
    #[error(
        "the documents of this gateway are those of its directory ([documents] directory): change them there"
    )]
    InDirectory,
    /// It cannot be recorded.
    #[error(transparent)]
    Unrecorded(#[from] JournalError),
    /// It may have been changed: the store was lost when it was to say so.
    #[error(
        "the store was lost before it said whether the change was kept: look what there is \
         (`portcullis get`) before you apply it again"
    )]
    Unknown,
}

impl From<Wrong> for NotChanged {
    fn from(wrong: Wrong) -> Self {
        Self::Wrong(wrong.to_string())
    }
}

/// The documents of a gateway.
pub(crate) struct DocumentDesk {
    pub(crate) store: DocumentStore,
    /// What is not believed any more, and stands in the store as good.
    pub(crate) owed: Owed,
    /// What the file says, and no document.
    base: Arc<Config>,
    /// Held by whoever makes or takes up a change.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Why this gateway does not go by what is kept, where it does not.
    trouble: Mutex<Option<String>>,
    /// Why it does not go by what is in its directory, where it does not.
    directory: Mutex<Option<String>>,
}

/// A change that was checked, and what the gateway will go by.
pub(crate) struct Checked {
    plan: Plan,
    made: Box<Made>,
    _turn: tokio::sync::OwnedMutexGuard<()>,
}

impl Checked {
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What requests would be judged by.
    pub(crate) fn to_try(&self) -> Rules {
        self.made.to_try()
    }
}

impl DocumentDesk {
    pub(crate) fn new(store: DocumentStore, base: Config) -> Self {
        let (turn, trouble, directory) = (Arc::default(), Mutex::default(), Mutex::default());
        let owed = Owed::default();
        Self { store, owed, base: Arc::new(base), turn, trouble, directory }
    }

    /// What the gateway goes by in this generation: what the file said at the start, with the connections
    /// of documents, and with who vouches for callers.
    pub(crate) fn in_force(&self, generation: &Generation) -> Config {
        let connections = generation.connections.iter();
        let connections =
            connections.map(|(name, connection)| (name.clone(), connection.settings.clone()));
        let (identity, groups) = generation.vouching.settings();
        let (identity, groups) = (identity.clone(), groups.clone());
        Config { connections: connections.collect(), identity, groups, ..Config::clone(&self.base) }
    }

    /// Where the rules are from that hold for everything: packs, files and documents.
    pub(crate) fn policies(&self, documents: &[DocumentRow]) -> Vec<String> {
        let policy = &self.base.policy;
        let packs = policy.packs.iter().map(|name| format!("pack {name}"));
        let files = policy.files.iter().map(|file| file.display().to_string());
        let documents = documents.iter().filter(|row| row.kind == Kind::Policy.word());
        let documents = documents.map(|row| format!("policy.{}", row.name));
        packs.chain(files).chain(documents).collect()
    }

    /// Whether people may change documents here.
    pub(crate) fn may_be_changed(&self) -> Result<(), NotChanged> {
        match self.base.documents.directory {
            Some(_) => Err(NotChanged::InDirectory),
            None => Ok(()),
        }
    }

    /// Why this gateway does not go by the documents there are, where it does not.
    pub(crate) fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        trouble.or_else(|| self.directory.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn directory_is_in_trouble(&self, why: Option<String>) {
        *self.directory.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// The same of what is kept alone.
    pub(crate) fn lags(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_in_trouble(&self, why: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Checks a change as a whole, as it would be in force.
    pub(crate) async fn check(
        &self,
        services: &Services,
        wanted: Wanted,
    ) -> Result<Checked, NotChanged> {
        let turn = self.turn.clone();
        let turn = tokio::time::timeout(LOOK, turn.lock_owned()).await;
        let turn = turn.map_err(|_| NotChanged::Busy)?;
        let now = self.store.all().await?;
        if wanted.revision.is_some_and(|revision| revision != now.revision) {
            return Err(DocumentError::Changed.into());
        }
        let (then, changes) = planned(&now, wanted)?;
        let config = with_documents(&self.base, &then)?;
        let revision = now.revision.saturating_add(1);
        let before = services.now();
        // What is checked holds the turn, also where nobody waits for it any more.
        let made = tokio::task::spawn_blocking(move || {
            let made = Made::of(config, revision, Some(&before)).map(|made| {
                let tests = fixtures::run(&made.config().policy.tests, &made.to_try());
                (Box::new(made), tests)
            });
            (made, turn)
        });
        let made = tokio::time::timeout(CHECKING, made).await;
        let made = made.map_err(|_| NotChanged::TooSlow)?;
        let (made, turn) = made.map_err(|_| NotChanged::TooSlow)?;
        let (made, tests) = made.map_err(|error| NotChanged::Wrong(format!("{error:#}")))?;
        if let Some(failure) = fixtures::failure(&tests) {
            return Err(NotChanged::Wrong(failure));
        }
        let mut warnings = made.warnings();
        warnings.extend(fixtures::warnings(&tests));
        let plan = Plan { revision: now.revision, changes, warnings, tests };
        Ok(Checked { plan, made, _turn: turn })
    }

    /// Makes a change that was checked: recorded, kept, gone by. Only then are providers asked that are new
    /// in it: a check sends nothing to where a document says.
    pub(crate) async fn make(
        &self,
        services: &Services,
        who: &By,
        checked: Checked,
    ) -> Result<Applied, NotChanged> {
        let Checked { plan, made, _turn: turn } = checked;
        let Plan { revision: on, changes, mut warnings, .. } = plan;
        if changes.is_empty() {
            return Ok(Applied { revision: on, changes, warnings, entries: Vec::new() });
        }
        let generation = made.finish(services.store()).await;
        let generation = generation.map_err(|error| NotChanged::Wrong(format!("{error:#}")))?;
        let set = generation.revision;
        let entries = self.keep(services, who, (on, set), &changes).await?;
        let (before, after) = (services.now().vouching.clone(), generation.vouching.clone());
        go_by(services, generation).await;
        drop(turn);
        warnings.extend(after.unreachable(&before).await);
        Ok(Applied { revision: set, changes, warnings, entries })
    }

    /// Records a change and keeps it; the numbers of its entries.
    async fn keep(
        &self,
        services: &Services,
        who: &By,
        (on, set): (u64, u64),
        changes: &[Planned],
    ) -> Result<Vec<u64>, NotChanged> {
        let mut entries = Vec::new();
        let kept = async {
            for change in changes {
                let event = Event::DocumentChanged {
                    set,
                    kind: change.kind.word().to_owned(),
                    name: change.name.clone(),
                    before: change.before.clone(),
                    after: change.after.clone(),
                    by: who.clone(),
                };
                let entry = Entry::outside(now(), event);
                let receipt = services.ledger.append(entry, Durability::Durable).await?;
                entries.push(receipt.sequence());
            }
            let rows = changes.iter().map(|change| DocumentChange {
                kind: change.kind.word().to_owned(),
                name: change.name.clone(),
                text: change.after.clone(),
            });
            let rows: Vec<_> = rows.collect();
            Ok(self.store.change(on, &rows, (&who.subject, now())).await?)
        };
        let mut kept: Result<u64, NotChanged> = kept.await;
        if matches!(kept, Err(NotChanged::Store(DocumentError::Unavailable))) {
            kept = self.fate(set, changes).await;
        }
        match kept {
            Ok(_) => Ok(entries),
            // Nothing is said of what nobody knows: where it is in force, the next entry tells.
            Err(NotChanged::Unknown) => Err(NotChanged::Unknown),
            Err(error) => {
                let why = error.to_string();
                let event = Event::DocumentsKept { set, by: who.clone(), why };
                let entry = Entry::outside(now(), event);
                // Whoever asked is told in any case.
                let _ = services.ledger.append(entry, Durability::Durable).await;
                Err(error)
            }
        }
    }

    /// What has become of a change when the store was lost as it was to be kept: COMMIT may have come there.
    async fn fate(&self, set: u64, changes: &[Planned]) -> Result<u64, NotChanged> {
        for _ in 0..ASKED {
            tokio::time::sleep(LOOK).await;
            let Some(change) = changes.first() else { break };
            let (revision, history) = tokio::join!(
                self.store.revision(),
                self.store.history(change.kind.word(), &change.name)
            );
            let (Ok(revision), Ok(history)) = (revision, history) else { continue };
            if revision < set {
                return Err(DocumentError::Unavailable.into());
            }
            let by_it = |one: &DocumentChanged| one.revision == set && one.text == change.after;
            let found = history.iter().any(by_it);
            return if found { Ok(set) } else { Err(DocumentError::Changed.into()) };
        }
        Err(NotChanged::Unknown)
    }

    /// Takes up what another gateway has changed.
    async fn take_up(&self, services: &Services) -> anyhow::Result<()> {
        if self.store.revision().await? == services.now().revision && self.lags().is_none() {
            return Ok(());
        }
        // From now on, whatever keeps it from being taken up.
        services.governing.falls_behind(true);
        let turn = self.turn.clone().lock_owned().await;
        let documents = self.store.all().await?;
        let before = services.now();
        if documents.revision == before.revision {
            self.is_in_trouble(None);
            return Ok(());
        }
        let documents = gone_by(documents);
        let config = with_documents(&self.base, &documents)?;
        let made = tokio::task::spawn_blocking(move || {
            (Made::of(config, documents.revision, Some(&before)), turn)
        });
        let (made, _turn) = made.await?;
        let generation = made?.finish(services.store()).await?;
        go_by(services, generation).await;
        self.is_in_trouble(None);
        Ok(())
    }
}

/// Takes up what other gateways change, until this one stops. Where something cannot be taken up, that is
/// told, and soon nothing is judged any more: what it forbids would be permitted by what was.
pub(crate) async fn keep_up(services: Arc<Services>, stopping: watch::Receiver<bool>) {
    let mut stop = std::pin::pin!(stopped(stopping));
    let mut changes = services.documents.store.changes();
    let mut asked = vouching::owe_of_before(&services).await;
    loop {
        tokio::select! {
            () = &mut stop => return,
            changed = changes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK) => {}
        }
        if !asked {
            asked = vouching::owe_of_before(&services).await;
        }
        vouching::settle(&services).await;
        if let Err(error) = services.documents.take_up(&services).await {
            let why = format!("{error:#}");
            // What the store does not say is told by the store.
            let lost = matches!(error.downcast_ref(), Some(DocumentError::Unavailable));
            if !lost && services.documents.lags().as_ref() != Some(&why) {
                error!(
                    error = why,
                    "the documents there are cannot be gone by: no session goes on by what was"
                );
                services.documents.is_in_trouble(Some(why));
            }
            if !lost {
                services.governing.falls_behind(true);
            }
        } else {
            services.governing.falls_behind(false);
        }
    }
}

/// What the changes that come from the directory are by.
const DIRECTORY: &str = "portcullis:directory";

/// What is told where documents are not those of the directory any more.
const DIFFERS: &str = "the directory of documents: what is in force was changed elsewhere, and is not what \
    is here: let all gateways of this store watch the same, or one of them alone (what is changed here \
    next is taken up again, all of it)";

/// What was last found in the directory, and at which revision of what is kept.
type Found = (Result<Vec<Document>, String>, u64);

/// Takes up what is in the directory of documents, until the gateway stops. What is broken leaves what
/// was, and is told.
pub(crate) async fn watch_directory(services: Arc<Services>, stopping: watch::Receiver<bool>) {
    let Some(directory) = services.documents.base.documents.directory.clone() else { return };
    let mut stop = std::pin::pin!(stopped(stopping));
    let (mut before, mut done): (Option<Found>, Option<Found>) = (None, None);
    loop {
        let path = directory.clone();
        let read =
            tokio::task::spawn_blocking(move || files::read(&path, files::Trust::Owner)).await;
        let read = read.map_err(anyhow::Error::from).and_then(|read| read);
        let read = read.map_err(|error| format!("{error:#}"));
        if let Ok(revision) = services.documents.store.revision().await {
            let found = Some((read, revision));
            // What is being written is not taken up before it is found the same twice.
            if found == before && found != done {
                // What was changed elsewhere since is not rolled back: that would go on for ever where
                // another gateway watches another directory.
                let elsewhere = match (&found, &done) {
                    (Some((own, on)), Some((before, then))) => own == before && on != then,
                    _ => false,
                };
                let tried = Box::pin(take_directory(&services, found.as_ref(), elsewhere)).await;
                done = tried.then(|| found.clone()).flatten();
            }
            before = found;
        }
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(LOOK / 2) => {}
        }
    }
}

/// False where it is to be tried again. `elsewhere`: the directory is as it was, and what is kept is not.
async fn take_directory(services: &Services, found: Option<&Found>, elsewhere: bool) -> bool {
    let Some((found, revision)) = found else { return true };
    let desk = &services.documents;
    let made = match found {
        Err(why) => Err(NotChanged::Wrong(why.clone())),
        Ok(documents) => {
            let documents = documents.clone();
            let wanted = Wanted { documents, prune: true, revision: Some(*revision) };
            match desk.check(services, wanted).await {
                Ok(checked) if elsewhere && !checked.plan.changes.is_empty() => {
                    desk.directory_is_in_trouble(Some(DIFFERS.to_owned()));
                    warn!("{DIFFERS}");
                    return true;
                }
                Ok(checked) => desk.make(services, &By::no_principal(DIRECTORY), checked).await,
                Err(error) => Err(error),
            }
        }
    };
    let why = match made {
        Ok(Applied { warnings, .. }) => {
            for warning in warnings {
                warn!(warning, "of the directory of documents");
            }
            desk.directory_is_in_trouble(None);
            return true;
        }
        Err(NotChanged::Store(_) | NotChanged::Busy | NotChanged::Unknown) => return false,
        Err(error) => format!("the directory of documents: {error}"),
    };
    error!(error = why, "what was is in force");
    let event = Event::DocumentsKept {
        set: revision.saturating_add(1),
        by: By::no_principal(DIRECTORY),
        why: why.clone(),
    };
    // It stays as it was whether or not that could be recorded.
    let _ = services.ledger.append(Entry::outside(now(), event), Durability::Durable).await;
    desk.directory_is_in_trouble(Some(why));
    true
}

/// From now on this generation is gone by. Sessions whose connection is gone, or another one, end; all
/// others go on by the new one with their next request.
async fn go_by(services: &Services, generation: Generation) {
    let event = governed(generation.revision, &generation.policies);
    info!(documents = generation.revision, policy = generation.policies.version(), "new rules");
    services.grants.go_by(generation.rules());
    vouching::owe(services, &services.now(), &generation);
    let before = services.govern(generation);
    if let Err(error) =
        services.ledger.append(Entry::outside(now(), event), Durability::Durable).await
    {
        warn!(%error, "that other rules are in force was not recorded");
    }
    let after = services.now();
    services.house.door.tokens_of(&services.documents.base, &after.vouching.providers());
    vouching::end_what_rests(services, &before, &after).await;
    let other = |name: &String| !after.leads_where(name, &before);
    let gone: BTreeSet<String> =
        before.connections.keys().filter(|name| other(name)).cloned().collect();
    let on_those = |_: SessionId, owner: &Owner| gone.contains(&owner.standing.connection.name);
    let by = ("the gateway", &By::no_principal("portcullis"));
    if !gone.is_empty() {
        fleet::end(services, on_those, by, "its connection was changed or removed");
    }
}

/// What the documents will be, and what changes for that.
fn planned(now: &Documents, wanted: Wanted) -> Result<(Documents, Vec<Planned>), NotChanged> {
    let mut then: BTreeMap<(Kind, String), String> = BTreeMap::new();
    for Document { kind, name, text } in wanted.documents {
        kind.check_name(&name)?;
        if text.len() > MOST_TEXT {
            let why = format!("it is longer than {MOST_TEXT} bytes");
            return Err(kind.wrong(&name, None, why).into());
        }
        if then.insert((kind, name.clone()), text).is_some() {
            return Err(kind.wrong(&name, None, "it is there twice").into());
        }
    }
    let mut before = BTreeMap::new();
    for row in &now.rows {
        before.insert((kind_of(row)?, row.name.clone()), row.text.clone());
    }
    let mut changes = Vec::new();
    for ((kind, name), text) in &then {
        let was = before.get(&(*kind, name.clone()));
        if was == Some(text) {
            continue;
        }
        changes.push(Planned {
            kind: *kind,
            name: name.clone(),
            action: if was.is_some() { "change" } else { "create" },
            before: was.cloned(),
            after: Some(text.clone()),
        });
    }
    for ((kind, name), text) in before {
        if then.contains_key(&(kind, name.clone())) {
            continue;
        }
        if wanted.prune {
            let (action, before) = ("remove", Some(text));
            changes.push(Planned { kind, name, action, before, after: None });
        } else {
            then.insert((kind, name), text);
        }
    }
    if then.len() > MAX_DOCUMENTS || then.values().map(String::len).sum::<usize>() > MOST_TEXTS {
        let why = format!(
            "there may be {MAX_DOCUMENTS} documents, of {MOST_TEXTS} bytes together, and no more"
        );
        return Err(NotChanged::Wrong(why));
    }
    let rows = then.into_iter().map(|((kind, name), text)| DocumentRow {
        kind: kind.word().to_owned(),
        name,
        text,
        revision: 0,
        // For what is planned it does not matter when.
        changed: Timestamp::from_micros(0),
        changed_by: String::new(),
    });
    Ok((Documents { revision: now.revision, rows: rows.collect() }, changes))
}

fn kind_of(row: &DocumentRow) -> Result<Kind, NotChanged> {
    Kind::of_word(&row.kind).ok_or_else(|| {
        NotChanged::Wrong(format!(
            "{}/{}: this version of the gateway knows no such kind",
            row.kind, row.name
        ))
    })
}

/// The configuration with documents: what a gateway goes by.
///
/// # Errors
/// [`NotChanged::Wrong`] names the document, the line and the key.
pub(crate) fn with_documents(
    base: &Config,
    documents: &Documents,
) -> Result<Box<Config>, NotChanged> {
    let mut config = Box::new(base.clone());
    for row in &documents.rows {
        let kind = kind_of(row)?;
        kind.check_name(&row.name)?;
        kind.take(&mut config, base, &row.name, &row.text)?;
    }
    let fault = config.secrets.fault(&config);
    let fault = fault.or_else(|| config.identity.check_saml(config.dev_provider.as_ref()).err());
    match fault {
        Some(fault) => Err(NotChanged::Wrong(fault)),
        None => Ok(config),
    }
}

/// What is gone by of the documents there are. Tests are not: they are read where a change is checked, and one that
/// another version of the gateway has taken keeps nobody from starting or from taking up a change.
fn gone_by(documents: Documents) -> Documents {
    let Documents { revision, mut rows } = documents;
    rows.retain(|row| Kind::of_word(&row.kind) != Some(Kind::Test));
    Documents { revision, rows }
}

/// The configuration file with the documents that are kept now, whether or not this gateway goes by them yet.
///
/// # Errors
/// Where the store does not answer, or a document cannot be gone by.
pub(crate) async fn with_what_is_kept(services: &Services) -> anyhow::Result<Box<Config>> {
    let desk = &services.documents;
    let documents = gone_by(desk.store.all().await?);
    Ok(with_documents(&desk.base, &documents)?)
}

/// The documents a gateway starts with. One that cannot be gone by keeps it from starting: what it forbids
/// would be permitted without it.
pub(crate) async fn at_start(
    base: &Config,
    store: &DocumentStore,
) -> anyhow::Result<(Box<Config>, u64)> {
    let documents = gone_by(store.all().await?);
    let config = with_documents(base, &documents).context(
        "a document in the store cannot be gone by: put the configuration file back as it was, or start \
         the version of the gateway that took the document, and change the document there",
    )?;
    Ok((config, documents.revision))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Config {
        let text = "[documents]\ncredentials = [\"file:app.password\"]\n[connections.own]\n\
            environment = \"test\"\ngroups = []\n\
            target = { host = \"127.0.0.1\", database = \"d\", user = \"u\" }\n";
        toml::from_str(text).unwrap()
    }

    fn wanted(documents: &[(Kind, &str, &str)], prune: bool) -> Wanted {
        let document = |(kind, name, text): &(Kind, &str, &str)| Document {
            kind: *kind,
            name: (*name).to_owned(),
            text: (*text).to_owned(),
        };
        Wanted { documents: documents.iter().map(document).collect(), prune, revision: None }
    }

    fn wrong(kind: Kind, name: &str, text: &str) -> String {
        let planned = planned(&Documents::default(), wanted(&[(kind, name, text)], false));
        let found = planned.and_then(|(then, _)| with_documents(&base(), &then));
        found.err().map(|error| error.to_string()).unwrap_or_default()
    }

    const GOOD: &str = "environment = \"test\"\ngroups = [\"agents\"]\n[target]\n\
        host = \"127.0.0.1\"\ndatabase = \"d\"\nuser = \"u\"\n";

    #[test]
    fn what_is_wrong_names_file_line_and_key() {
        assert_eq!(wrong(Kind::Connection, "shop", GOOD), "");
        let check = |text: String, expect: &str| {
            let found = wrong(Kind::Connection, "shop", &text);
            assert!(
                found.starts_with("connections/shop.toml") && found.contains(expect),
                "{found}"
            );
        };
        check(format!("{GOOD}usr = \"x\"\n"), ":7: unknown field `usr`");
        check(format!("enviroment = 1\n{GOOD}"), "did you mean `environment`?");
        check(format!("catalog_max_age_seconds = 0\n{GOOD}"), ": catalog_max_age_seconds must be");
        check(format!("sensitive = [{{ column = \"a.b\" }}]\n{GOOD}"), ": sensitive: `a.b` is not");
        check(format!("detectors = [\"x\"]\n{GOOD}"), ": detectors: there is no detector");
        let own = wrong(Kind::Connection, "own", GOOD);
        assert!(own.contains("is the configuration file's"), "{own}");
    }

    #[test]
    fn a_document_holds_no_secret_and_opens_none_that_is_not_listed() {
        let moved = |host: &str| GOOD.replace("127.0.0.1", host);
        for elsewhere in [moved("evil.example"), moved("/var/run/postgresql"), moved("localhost")] {
            let found = wrong(Kind::Connection, "shop", &elsewhere);
            assert!(found.contains("documents.targets"), "{found}");
        }
        let port = wrong(Kind::Connection, "shop", &format!("{GOOD}port = 5433\n"));
        assert!(port.contains("`127.0.0.1:5433`"), "{port}");
        for line in [
            "sslrootcert = \"/dev/zero\"",
            "password = \"hunter2\"",
            "password_env = \"HOME\"",
            "password_file = \"/etc/shadow\"",
            "password_from = \"env:HOME\"",
            "password_from = \"file:other\"",
            "sslrootcert = \"relative.pem\"",
            "roles = [{ user = \"x\", password = \"hunter2\" }]",
            "roles = [{ user = \"x\", password_from = \"vault:a/b#c\" }]",
        ] {
            let found = wrong(Kind::Connection, "shop", &format!("{GOOD}{line}\n"));
            let told = found.starts_with("connections/shop.toml: target.")
                || found.starts_with("connections/shop.toml:7: this looks like a secret");
            assert!(told, "{line}: {found}");
            assert!(!found.contains("hunter2"), "{found}");
        }
        let listed = format!("{GOOD}password_from = \"file:app.password\"\n");
        assert_eq!(wrong(Kind::Connection, "shop", &listed), "");
        let key = "// -----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIF5Yq2uYc1pVqk3ZqzZq3w4w3w4w3w4w3w4w3w4w3w4w\n-----END PRIVATE KEY-----\n";
        let found = wrong(Kind::Policy, "p", key);
        assert!(found.contains("looks like a secret"), "{found}");
    }

    #[test]
    fn names_are_plain() {
        for name in ["a", "a-1_b", "0", &"x".repeat(50)] {
            assert_eq!(wrong(Kind::Policy, name, "// nothing"), "", "{name}");
        }
        for name in ["", "A", "a/b", "../a", "a.b", "-a", "ä", "a b", "a\u{202e}b", &"x".repeat(51)]
        {
            assert!(wrong(Kind::Policy, name, "").contains("a name has"), "{name:?}");
        }
        let long = "x".repeat(MOST_TEXT + 1);
        assert!(wrong(Kind::Policy, "a", &long).contains("is longer than"), "it is taken");
    }

    #[test]
    fn a_plan_says_what_becomes_of_each() {
        let row = |name: &str, text: &str| DocumentRow {
            kind: "policy".to_owned(),
            name: name.to_owned(),
            text: text.to_owned(),
            revision: 1,
            changed: now(),
            changed_by: String::new(),
        };
        let now =
            Documents { revision: 7, rows: vec![row("a", "1"), row("b", "2"), row("c", "3")] };
        let want = [(Kind::Policy, "a", "1"), (Kind::Policy, "b", "x"), (Kind::Policy, "d", "4")];
        let told = |prune| {
            let (then, changes) = planned(&now, wanted(&want, prune)).unwrap();
            let changes = changes.iter().map(|c| format!("{} {}", c.action, c.name));
            (then.rows.len(), changes.collect::<Vec<_>>())
        };
        assert_eq!(told(false), (4, vec!["change b".to_owned(), "create d".to_owned()]));
        let all = ["change b", "create d", "remove c"].map(str::to_owned).to_vec();
        assert_eq!(told(true), (3, all));
        let twice = [(Kind::Policy, "a", "1"), (Kind::Policy, "a", "2")];
        assert!(planned(&now, wanted(&twice, false)).is_err());
    }
}
