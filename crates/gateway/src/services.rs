//! Wiring: everything the sessions of one gateway share, and its start and stop.

use crate::api;
use crate::api::slack::SlackDesk;
use crate::checks::Checks;
use crate::config::{Config, Connection, Reads, nearest};
use crate::credentials::Credentials;
use crate::descriptors;
use crate::disk::Disk;
use crate::documents::{self, DocumentDesk};
use crate::export::{Export, Exporter, Exports};
use crate::fleet;
use crate::freezes::FreezeDesk;
use crate::generation::{Generation, Governing, Made, governed};
use crate::grants::GrantDesk;
use crate::http;
use crate::lanes::Lanes;
use crate::live::Sessions;
use crate::login;
use crate::manifest::House;
use crate::metrics::{self, Metrics, MetricsListener};
use crate::moment::now;
use crate::notify::{self, Notifier};
use crate::passkeys::{self, PasskeyDesk};
use crate::readiness::{self, StoreWatch};
use crate::recordings::Archive;
use crate::retention::{self, Removing, Retention};
use crate::room::{Budget, Places};
use crate::secrets;
use crate::settings::Settings;
use crate::sign_in::{PublicUrl, SamlDesk, SignInDesk};
use crate::vouching::Vouching;
use anyhow::{Context as _, bail};
use portcullis_core::gate::GateSettings;
use portcullis_core::journal::{Durability, Entry, Event, Journal as _};
use portcullis_core::principal::PrincipalKind;
use portcullis_core::time::Timestamp;
use portcullis_frontends::{Listener, ListenerSettings, ServerTls, TlsSettings};
use portcullis_identity::saml::SamlProvider;
use portcullis_identity::{DevProvider, DevSecret, GroupsFrom, Provider, http_client};
use portcullis_ledger::{Ledger, LedgerSettings};
use portcullis_mask::{Detectors, PseudonymKey};
use portcullis_policy::{NamedObject, Policies, pack};
use portcullis_store::{
    AssertionStore, BrowserSessionStore, CredentialStore, DocumentStore, FreezeStore, GrantStore,
    NotificationStore, PasskeyStore, ReviewDesk, ReviewSettings, SecretStore, Store,
};
use portcullis_targets::{CancelHandle, Dialer};
use std::collections::HashMap;
use std::fs;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

/// How long sessions may take to end when the gateway stops.
const STOP_PATIENCE: Duration = Duration::from_secs(3);
/// The file that lets whoever runs the gateway mint development tokens.
const DEV_SECRET: &str = "dev-provider.secret";
/// The name of the development provider among the providers.
const DEV_PROVIDER: &str = "development";

/// What the sessions of a gateway share.
pub(crate) struct Services {
    pub(crate) credentials: Credentials,
    pub(crate) sign_in: SignInDesk,
    pub(crate) passkeys: PasskeyDesk,
    /// What requests and log-ins go by, as it is now.
    pub(crate) governing: Arc<Governing>,
    /// How that is changed.
    pub(crate) documents: DocumentDesk,
    store: Store,
    pub(crate) ledger: Ledger,
    pub(crate) desk: ReviewDesk,
    /// What people were told of what waits for them.
    pub(crate) notifications: NotificationStore,
    /// Where people decide in Slack.
    pub(crate) slack: SlackDesk,
    pub(crate) cancels: Cancels,
    /// The sessions there are now.
    pub(crate) sessions: Sessions,
    /// What everybody is told of the gateway.
    pub(crate) house: House,
    /// What it was asked to look at.
    pub(crate) checks: Checks,
    /// What its file said when it started.
    pub(crate) settings: Settings,
    /// What agents are kept from.
    pub(crate) freezes: Arc<FreezeDesk>,
    /// Access that people grant for a time.
    pub(crate) grants: Arc<GrantDesk>,
    /// The groups whose people administer.
    pub(crate) administrators: Vec<String>,
    /// The groups whose people see every record.
    pub(crate) auditors: Vec<String>,
    /// What is recorded of sessions, to be searched and read.
    pub(crate) archive: Arc<Archive>,
    /// How long a request waits while its session is paused.
    pub(crate) paused_request: Duration,
    pub(crate) gate: GateSettings,
    pub(crate) sample_rows: usize,
    pub(crate) budget: Arc<Budget>,
    pub(crate) places: Arc<Places>,
    /// The disk that the record is on.
    pub(crate) disk: Arc<Disk>,
    /// What is known of the store.
    pub(crate) store_watch: StoreWatch,
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// Who is sent the record, and how far that is.
    pub(crate) exports: Exports,
    /// What removes what is not kept.
    pub(crate) removing: Removing,
    /// Turns true when the gateway stops.
    pub(crate) stopping: watch::Receiver<bool>,
}

impl Services {
    /// What is gone by now.
    pub(crate) fn now(&self) -> Arc<Generation> {
        self.governing.now()
    }

    /// From now on this is gone by; what was until now is given.
    pub(crate) fn govern(&self, generation: Generation) -> Arc<Generation> {
        self.governing.replace(generation)
    }

    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }
}

/// Sessions by the key their clients cancel with.
#[derive(Default)]
pub(crate) struct Cancels {
    sessions: Mutex<HashMap<(u32, Vec<u8>), Cancel>>,
}

/// How one session is cancelled: at the desk where it is held, at the target where it runs.
#[derive(Clone)]
pub(crate) struct Cancel {
    pub(crate) asked: CancelCount,
    pub(crate) target: CancelHandle,
}

/// Counts the CancelRequests for one session. What asks whether there was one compares counts, so
/// that none is lost while the session is busy with something else than waiting for it.
#[derive(Clone, Default)]
pub(crate) struct CancelCount(Arc<watch::Sender<u64>>);

impl CancelCount {
    /// One more.
    fn add(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The session's own view of the count.
    pub(crate) fn watch(&self) -> CancelWatch {
        CancelWatch(self.0.subscribe())
    }
}

/// Whether a session was cancelled since it was last asked to forget it.
pub(crate) struct CancelWatch(watch::Receiver<u64>);

impl CancelWatch {
    /// What was cancelled so far is over: from here on a cancel means what comes next.
    pub(crate) fn forget(&mut self) {
        self.0.mark_unchanged();
    }

    /// True where a cancel came since [`CancelWatch::forget`].
    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.has_changed().unwrap_or(false)
    }

    /// Resolves at once where a cancel came since [`CancelWatch::forget`], else when one comes.
    /// Cancel-safe, and what it saw stays seen by [`CancelWatch::is_cancelled`].
    pub(crate) async fn cancelled(&self) {
        let mut watch = self.0.clone();
        if watch.changed().await.is_err() {
            // Nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }
}

impl Cancels {
    fn sessions(&self) -> std::sync::MutexGuard<'_, HashMap<(u32, Vec<u8>), Cancel>> {
        // The map is whole after every operation on it.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a session under its key; false where the key is taken.
    pub(crate) fn enter(&self, process: u32, key: &[u8], cancel: Cancel) -> bool {
        use std::collections::hash_map::Entry;
        match self.sessions().entry((process, key.to_vec())) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(cancel);
                true
            }
        }
    }

    /// Forgets a session.
    pub(crate) fn leave(&self, process: u32, key: &[u8]) {
        self.sessions().remove(&(process, key.to_vec()));
    }

    /// Cancels what the session with this key is doing. A wrong key does nothing and says nothing,
    /// as with the server itself.
    pub(crate) async fn cancel(&self, process: u32, key: &[u8]) {
        let found = self.sessions().get(&(process, key.to_vec())).cloned();
        let Some(cancel) = found else { return };
        cancel.asked.add();
        if let Err(error) = cancel.target.cancel().await {
            warn!(%error, "a CancelRequest could not be passed on");
        }
    }
}

/// A running gateway.
pub(crate) struct Gateway {
    pub(crate) postgres_address: SocketAddr,
    pub(crate) http_address: SocketAddr,
    pub(crate) dev_address: Option<SocketAddr>,
    services: Arc<Services>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Gateway {
    /// Starts everything a configuration names, and returns once clients can connect.
    pub(crate) async fn start(mut config: Config) -> anyhow::Result<Self> {
        private_directory(&config.data_dir)?;
        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let development = match &config.dev_provider {
            Some(settings) => {
                let (provider, address, secret) =
                    start_development(settings, &mut tasks, stopping.clone()).await?;
                config.identity.development = Some(provider);
                Some((address, secret))
            }
            None => None,
        };
        let services = Arc::new(Box::pin(build(&config, stopping.clone())).await?);
        // Not before the store is this gateway's: another one's secret stands there else.
        let dev_address = match development {
            Some((address, secret)) => {
                secret.write_to(&config.data_dir.join(DEV_SECRET))?;
                Some(address)
            }
            None => None,
        };
        let (listener, own_certificate) = listen(&config)?;
        let postgres_address = listener.address();
        services.house.door.listens_at(postgres_address);
        if let Some(der) = own_certificate {
            services.house.door.shows(&der);
        }
        tasks.spawn(login::accept(listener, Lanes::start()?, services.clone()));
        let api_listener = TcpListener::bind(config.listen.http.address)
            .await
            .with_context(|| format!("listen.http.address {}", config.listen.http.address))?;
        let http_address = api_listener.local_addr()?;
        services.sign_in.listens_at(http_address);
        tasks.spawn(services.freezes.clone().keep_reading(stopping.clone()));
        tasks.spawn(services.grants.clone().keep(stopping.clone()));
        tasks.spawn(documents::keep_up(services.clone(), stopping.clone()));
        tasks.spawn(documents::watch_directory(services.clone(), stopping.clone()));
        tasks.spawn(services.archive.clone().prepare());
        tasks.spawn(fleet::end_revoked(services.clone(), stopping.clone()));
        tasks.spawn(fleet::end_overdue(services.clone(), stopping.clone()));
        let known = config.notify.channels().map(|channel| channel.name().to_owned()).collect();
        tasks.spawn(notify::forsake(services.clone(), known, stopping.clone()));
        for channel in config.notify.channels() {
            let told = Notifier::new(services.clone(), channel)?;
            tasks.spawn(told.keep_telling(stopping.clone()));
        }
        for settings in &config.export {
            let sends = Exporter::new(services.clone(), settings.clone(), &config.data_dir)?;
            tasks.spawn(sends.keep_sending(stopping.clone()));
        }
        tasks.spawn(retention::keep_removing(services.clone(), config.clone(), stopping.clone()));
        tasks.spawn(passkeys::record_removals(services.clone(), stopping.clone()));
        tasks.spawn(look_after(services.clone(), config.review.keep.0, stopping.clone()));
        tasks.spawn(services.disk.clone().keep_looking(stopping.clone()));
        tasks.spawn(readiness::keep_looking(services.clone(), stopping.clone()));
        if let Some(settings) = &config.listen.metrics {
            let serves = metrics::serve(settings, services.clone(), stopping.clone()).await?;
            tasks.spawn(serves);
        }
        let proxies = config.listen.http.proxies;
        tasks.spawn(http::serve(api_listener, api::router(services.clone()), proxies, stopping));
        info!(%postgres_address, %http_address, "ready");
        Ok(Self { postgres_address, http_address, dev_address, services, stop, tasks })
    }

    /// Ends sessions and closes the record.
    pub(crate) async fn stop(mut self) {
        let _ = self.stop.send(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_PATIENCE, all).await.is_err() {
            self.tasks.shutdown().await;
        }
        if let Err(error) = self.services.ledger.close() {
            warn!(%error, "the journal was not closed cleanly");
        }
    }
}

/// Reviews that have ended are looked for this often.
const FORGETTING: Duration = Duration::from_secs(60 * 60);

/// Forgets reviews and credentials that ended longer ago than `keep`, and changes the key of
/// credentials where it is old, now and then, until the gateway stops.
async fn look_after(services: Arc<Services>, keep: Duration, stopping: watch::Receiver<bool>) {
    let mut stop = std::pin::pin!(stopped(stopping));
    let kept = u64::try_from(keep.as_micros()).unwrap_or(u64::MAX);
    loop {
        let before = Timestamp::from_micros(now().as_micros().saturating_sub_unsigned(kept));
        services.credentials.rotate(now()).await;
        services.sign_in.look_after(before, now()).await;
        services.grants.forget_ended(before).await;
        if let Err(error) = services.credentials.store.forget_expired(before).await {
            warn!(%error, "credentials that ended long ago are still there");
        }
        match services.desk.forget_ended(before).await {
            Ok(0) => {}
            Ok(count) => info!(count, "forgot reviews that ended long ago"),
            Err(error) => warn!(%error, "reviews that ended long ago are still there"),
        }
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(FORGETTING) => {}
        }
    }
}

/// Resolves when the gateway stops.
pub(crate) async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means the sender is gone, which is a stop as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// `portcullis serve`: until SIGINT or SIGTERM.
pub(crate) async fn serve(config: Config) -> anyhow::Result<()> {
    let gateway = Gateway::start(config).await?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    info!("stopping");
    gateway.stop().await;
    Ok(())
}

/// Logging to standard error, at the level of `PORTCULLIS_LOG` (default `info`).
pub(crate) fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("PORTCULLIS_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // A second call (tests, demo) keeps the first subscriber.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_writer(std::io::stderr)
        .try_init();
}

/// Checks everything a configuration names short of listening and dialing.
pub(crate) fn check(config: &Config) -> anyhow::Result<Vec<String>> {
    let policies = load_policies(&policy_files(config)?)?;
    let mut warnings: Vec<String> = policies.warnings().iter().map(ToString::to_string).collect();
    warnings.extend(unknown_objects(config, &policies));
    let dialer = dialer(config)?;
    warnings.extend(dialer.warnings().iter().map(ToString::to_string));
    dialer.check_credentials()?;
    for (name, connection) in &config.connections {
        detectors(name, connection)?;
    }
    if let Some(tls) = tls_files(config) {
        ServerTls::load(&tls).context("listen.postgres")?;
    }
    Vouching::of((&config.identity, &config.groups), None)?;
    warnings.extend(doubts(config));
    warnings.extend(nameless(config, policies.stepping_up()));
    Ok(warnings)
}

/// Passkeys are for a name, and browsers come to this gateway by an address: nobody can approve what takes one.
/// `rules` are those that ask for it.
pub(crate) fn nameless<'r>(
    config: &Config,
    rules: impl Iterator<Item = &'r str>,
) -> Option<String> {
    let public =
        config.listen.http.public_url.as_deref().and_then(|url| PublicUrl::parse(url).ok());
    if public.is_some_and(|public| public.is_named()) {
        return None;
    }
    let rules = rules.map(|id| format!("rule \"{id}\" (@step_up)"));
    let connections = config.connections.iter().filter(|(_, connection)| connection.steps_up());
    let connections = connections.map(|(name, _)| format!("connections.{name} (step_up)"));
    let asking: Vec<String> = rules.chain(connections).collect();
    (!asking.is_empty()).then(|| {
        format!(
            "listen.http.public_url: approving by {} takes a passkey, and browsers have passkeys for names \
             alone: set it to the name people open the console by, such as https://portcullis.example, or \
             http://localhost:{} on this machine",
            asking.join(", "),
            config.listen.http.address.port(),
        )
    })
}

/// Providers whose browsers' tokens are bearer tokens too.
fn bearers(config: &Config) -> impl Iterator<Item = String> + '_ {
    config.identity.providers.iter().filter_map(|provider| {
        let client = provider.sign_in.as_ref()?;
        let secret = client.client_secret_file.is_some() || client.client_secret_env.is_some();
        let taken = secret && provider.audiences.contains(&client.client_id);
        taken.then(|| {
            format!(
                "identity.providers \"{}\": `sign_in.client_id` is one of `audiences`, so whoever gets hold \
                 of a token that a browser signed in with is that person, also after it has signed out: \
                 use another audience for bearer tokens",
                provider.name
            )
        })
    })
}

/// That all who come by a proxy are one address.
fn crowded(config: &Config) -> Option<String> {
    let http = &config.listen.http;
    let public = http.public_url.as_deref().and_then(|url| PublicUrl::parse(url).ok())?;
    let behind = http.proxies == 0 && public.origin.starts_with("https:");
    behind.then(|| {
        "listen.http.proxies: not set, so everybody behind the proxy of public_url is one address, in the \
         record and where requests to sign in are counted: set it to 1 where the proxy sets \
         X-Forwarded-For"
            .to_owned()
    })
}

/// What works, and is hardly what was meant.
fn doubts(config: &Config) -> Vec<String> {
    let mut doubts = Vec::new();
    let address = config.listen.postgres.address;
    if !address.ip().is_loopback() && tls_files(config).is_none() {
        doubts.push(format!(
            "listen.postgres: {address} is not loopback, and the certificate is one made here, \
             which no client can verify: set tls_certificate and tls_key"
        ));
    }
    let people = |p: &Provider| p.kind_claim.is_some() || p.default_kind == PrincipalKind::Person;
    let has_people = config.identity.providers.iter().any(people)
        || config.identity.saml.iter().any(SamlProvider::has_people);
    if config.dev_provider.is_none() && !has_people {
        doubts.push(
            "identity.providers: none of them has people, so nobody can approve anything: set \
             kind_claim, or default_kind = \"person\""
                .to_owned(),
        );
    }
    if config.administration.groups.is_empty() {
        doubts.push(
            "administration.groups: empty, so nobody can end sessions of others, or freeze agents"
                .to_owned(),
        );
    }
    doubts.extend(bearers(config));
    doubts.extend(config.recording.doubts());
    doubts.extend(crowded(config));
    doubts.extend(config.secrets.doubts(config));
    doubts.extend(config.store.doubts(&config.data_dir));
    doubts.extend(config.notify.doubts());
    doubts.extend(config.export.iter().flat_map(Export::doubts));
    let known = |name: &str| config.connections.contains_key(name);
    doubts.extend(Retention::doubts(&config.retention, known));
    doubts.extend(config.listen.metrics.as_ref().and_then(MetricsListener::doubts));
    for provider in config.identity.saml.iter().filter(|provider| !provider.has_people()) {
        doubts.push(format!(
            "identity.saml: \"{}\" has no people, so nobody can sign in: set kind_attribute, or \
             default_kind = \"person\"",
            provider.name
        ));
    }
    clients(config, people, &mut doubts);
    for rule in config.identity.rules() {
        let lent = |group| config.connections.values().any(|c| c.lend_groups.contains(group));
        let mut wanted = rule.lend_groups.iter().flatten();
        if rule.lend_groups.is_some() && !wanted.any(lent) {
            doubts.push(format!(
                "identity.workloads: \"{}\" may act for people, and no connection lends it a group: \
                 set connections.*.lend_groups",
                rule.name
            ));
        }
    }
    doubts
}

/// Doubts about the gateway as a client of providers.
fn clients(config: &Config, people: impl Fn(&Provider) -> bool, doubts: &mut Vec<String>) {
    for provider in &config.identity.providers {
        let Some(client) = &provider.sign_in else { continue };
        let name = &provider.name;
        if let Err(why) = client.secret() {
            doubts.push(format!("identity.providers: \"{name}\": sign_in: {why}"));
        }
        if !people(provider) {
            doubts.push(format!(
                "identity.providers: \"{name}\" has sign_in and no people, so nobody can sign in: \
                 set kind_claim, or default_kind = \"person\""
            ));
        }
        if provider.groups_from == GroupsFrom::Userinfo && provider.terminal_client().is_some() {
            doubts.push(format!(
                "identity.providers: \"{name}\" has groups at userinfo, where those of browsers are \
                 found; tokens of `portcullis login` have the groups they carry, or none"
            ));
        }
    }
}

/// Objects that policies name and this gateway has not. Files may be shared with gateways that have them,
/// and a forbid on what is misspelt permits what it was written against.
pub(crate) fn unknown_objects(config: &Config, policies: &Policies) -> Vec<String> {
    let connections: Vec<&str> = config.connections.keys().map(String::as_str).collect();
    let unknown = |mut object: NamedObject| {
        let first = object.path.first()?;
        let (what, known) = match object.path.get(1) {
            _ if object.kind == "Environment" => {
                let all = config.connections.values().map(|c| c.environment.as_str());
                (("environment", first), all.collect())
            }
            _ if !connections.contains(&first.as_str()) => {
                (("connection", first), connections.clone())
            }
            Some(database) => {
                let own = config.connections.get(first).map(|c| c.target.database.as_str());
                (("database at that target", database), own.into_iter().collect())
            }
            None => return None,
        };
        let (word, name) = what;
        if known.contains(&name.as_str()) {
            return None;
        }
        let meant = nearest(name, known.iter().copied());
        let meant = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
        object.place.message = format!(
            "{}::\"{}\": there is no {word} `{name}` here, so it applies to nothing{meant}",
            object.kind,
            object.path.join("/")
        );
        Some(object.place.to_string())
    };
    let mut all: Vec<String> = policies.objects().filter_map(unknown).collect();
    all.dedup();
    all
}

fn tls_files(config: &Config) -> Option<TlsSettings> {
    let listen = &config.listen.postgres;
    let files = listen.tls_certificate.clone().zip(listen.tls_key.clone());
    files.map(|(certificate, key)| TlsSettings { certificate, key })
}

/// A token of the development provider, by the secret only whoever runs the gateway can read.
pub(crate) async fn development_token(config: &Config, name: &str) -> anyhow::Result<String> {
    let Some(provider) = &config.dev_provider else {
        bail!(
            "there is no [dev_provider] in the configuration: take a token from your own provider"
        );
    };
    let file = config.data_dir.join(DEV_SECRET);
    let secret = fs::read_to_string(&file)
        .with_context(|| format!("{}: is the gateway running?", file.display()))?;
    let url = format!("http://{}/token", provider.listen);
    let form = [
        ("grant_type", "urn:portcullis:params:oauth:grant-type:dev"),
        ("name", name),
        ("dev_secret", secret.trim()),
    ];
    let response = http_client().build()?.post(&url).form(&form).send().await?;
    let success = response.status().is_success();
    let body: serde_json::Value = response.json().await?;
    let text = |key: &str| body.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
    match text("access_token") {
        Some(token) if success => Ok(token),
        _ => bail!(
            "the development provider refused: {}",
            text("error_description").or_else(|| text("error")).unwrap_or_default()
        ),
    }
}

async fn start_development(
    settings: &portcullis_identity::DevProviderSettings,
    tasks: &mut JoinSet<()>,
    stopping: watch::Receiver<bool>,
) -> anyhow::Result<(Provider, SocketAddr, DevSecret)> {
    let secret = DevSecret::generate()?;
    let provider = DevProvider::bind(settings.clone(), secret.clone()).await?;
    let address = provider.address()?;
    let trusted = provider.issuer().as_provider(DEV_PROVIDER);
    warn!(%address, "the development provider vouches for callers: not for production");
    tasks.spawn(async move {
        if let Err(error) = provider.serve(now, stopped(stopping)).await {
            warn!(%error, "the development provider has stopped");
        }
    });
    Ok((trusted, address, secret))
}

/// Warns of what works, and may not be meant.
fn tell_doubts(config: &Config, made: &Made) {
    for warning in made.warnings() {
        warn!(%warning, "policy and targets");
    }
    for warning in doubts(config) {
        warn!(%warning, "configuration");
    }
}

async fn build(config: &Config, stopping: watch::Receiver<bool>) -> anyhow::Result<Services> {
    // What is wrong with the file is told before anything is touched.
    load_policies(&policy_files(config)?)?;
    dialer(config)?;
    // First: where another gateway has it, nothing is written to the journal.
    let store = fleet::open(config).await?;
    let kept = DocumentStore::new(store.clone());
    let documents = DocumentDesk::new(kept.clone(), config.clone());
    let (whole, revision) = documents::at_start(config, &kept).await?;
    let secrets = secrets::open(&whole, SecretStore::new(store.clone())).await?;
    let metrics = Metrics::new()?;
    let ledger = open_ledger(config, &metrics).await?;
    let made = Made::of(whole.clone(), revision, None)?.with_secrets(secrets);
    tell_doubts(&whole, &made);
    let started = Event::Started {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        policy: made.policies().version().to_owned(),
    };
    for event in [started, governed(revision, made.policies())] {
        ledger.append(Entry::outside(now(), event), Durability::Durable).await?;
    }
    let generation = made.finish(&store).await?;
    let freezes = Arc::new(FreezeDesk::open(FreezeStore::new(store.clone())).await);
    let sessions = Sessions::default();
    let grants = GrantStore::new(store.clone());
    let grants = GrantDesk::new(grants, generation.rules(), sessions.clone(), ledger.clone());
    let grants = Arc::new(grants);
    let credentials = CredentialStore::new(store.clone());
    let credentials =
        Credentials::open(&config.data_dir, credentials, config.credentials.clone(), now())?;
    credentials.rotate(now()).await;
    let sign_in = sign_in(config, &store)?;
    let house = House::of(config, &generation.vouching.providers());
    let passkeys =
        PasskeyDesk { store: PasskeyStore::new(store.clone()), settings: config.passkeys.clone() };
    let desk = ReviewDesk::new(store.clone(), ReviewSettings { ttl: config.review.expires.0 }, now);
    let budget = Arc::new(Budget::new((config.limits.buffered_mib as usize) << 20));
    let most = config.limits.sessions_per_principal as usize;
    Ok(Services {
        credentials,
        sign_in,
        passkeys,
        governing: Arc::new(Governing::new(generation)),
        documents,
        notifications: NotificationStore::new(store.clone()),
        store,
        ledger,
        desk,
        slack: SlackDesk::new(config.notify.slack.iter())?,
        cancels: Cancels::default(),
        sessions,
        freezes,
        grants,
        house,
        checks: Checks::default(),
        settings: Settings::of(&config.file),
        administrators: config.administration.groups.clone(),
        auditors: config.audit.groups.clone(),
        archive: Arc::new(Archive::new(&config.data_dir, config.recording.keys()?)),
        paused_request: config.administration.paused_request.0,
        gate: gate(config),
        sample_rows: config.recording.sample_rows,
        places: Arc::new(Places::new(most, budget.clone())),
        budget,
        disk: Arc::new(Disk::of(&config.data_dir, &config.journal)),
        store_watch: StoreWatch::new(),
        metrics,
        exports: Exports::of(&config.export),
        removing: Removing::default(),
        stopping,
    })
}

/// The journal, with a clock beside its storage.
async fn open_ledger(config: &Config, metrics: &Metrics) -> anyhow::Result<Ledger> {
    let (directory, timed) = (config.data_dir.clone(), metrics.timer());
    let recipients = config.recording.sealed_to();
    let settings = LedgerSettings { recipients, ..LedgerSettings::default() };
    let open = move || Ledger::open_on(&directory, settings, |files| timed.of(files));
    Ok(tokio::task::spawn_blocking(open).await??)
}

fn gate(config: &Config) -> GateSettings {
    GateSettings {
        strict_reads: config.journal.reads == Reads::Durable,
        hold_in_transaction: config.review.hold_in_transaction,
    }
}

fn sign_in(config: &Config, store: &Store) -> anyhow::Result<SignInDesk> {
    let public = config.listen.http.public_url.as_deref().map(PublicUrl::parse).transpose();
    let public = public.map_err(anyhow::Error::msg).context("listen.http.public_url")?;
    let saml = SamlDesk::new(AssertionStore::new(store.clone()));
    let store = BrowserSessionStore::new(store.clone());
    Ok(SignInDesk::new(saml, store, config.sign_in.clone(), public))
}

/// The listener, and its certificate (in DER) where that is one the gateway has made itself.
fn listen(config: &Config) -> anyhow::Result<(Listener, Option<Vec<u8>>)> {
    let tls = tls_files(config);
    let generated = match tls {
        Some(_) => None,
        None => Some(ServerTls::generated(&config.data_dir.join("tls"), &[])?),
    };
    let own = generated.as_ref().map(|tls| tls.leaf().to_vec());
    let seconds = config.limits.login.0.as_secs();
    let settings = ListenerSettings {
        listen: config.listen.postgres.address,
        tls,
        login_timeout_seconds: u16::try_from(seconds).unwrap_or(u16::MAX),
        max_unauthenticated: config.limits.unauthenticated,
        max_unauthenticated_per_address: config.limits.unauthenticated_per_address,
        max_connections: descriptors::for_clients(config.limits.connections),
    };
    Ok((Listener::bind(&settings, generated).context("listen.postgres")?, own))
}

pub(crate) fn dialer(config: &Config) -> anyhow::Result<Dialer> {
    let targets = config.connections.iter().map(|(name, c)| (name.clone(), c.target.clone()));
    Ok(Dialer::new(targets.collect())?)
}

pub(crate) fn detectors(name: &str, connection: &Connection) -> anyhow::Result<Detectors> {
    match &connection.detectors {
        None => Ok(Detectors::standard()),
        Some(names) => Detectors::named(names.iter().map(String::as_str))
            .with_context(|| format!("connections.{name}.detectors")),
    }
}

/// The texts of the packs and files of policies, with where each is from; documents are not among them.
pub(crate) fn policy_files(config: &Config) -> anyhow::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for name in &config.policy.packs {
        let text = pack(name).with_context(|| {
            format!("policy.packs: there is no pack `{name}` (there are: {})", known_packs())
        })?;
        files.push((format!("pack {name}"), text.to_owned()));
    }
    for path in &config.policy.files {
        for file in cedar_files(path)? {
            let text = fs::read_to_string(&file)
                .with_context(|| format!("policy.files: {}", file.display()))?;
            files.push((file.display().to_string(), text));
        }
    }
    Ok(files)
}

pub(crate) fn load_policies(files: &[(String, String)]) -> anyhow::Result<Policies> {
    if files.is_empty() {
        bail!("policy: no packs and no files, so nothing could ever run");
    }
    Ok(Policies::load(files)?)
}

fn known_packs() -> String {
    portcullis_policy::PACKS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// A file itself, or the `*.cedar` files of a directory in order of their names.
fn cedar_files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files: Vec<PathBuf> = fs::read_dir(path)
        .with_context(|| format!("policy.files: {}", path.display()))?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|e| e == "cedar"));
    files.sort();
    if files.is_empty() {
        bail!("policy.files: {} holds no *.cedar file", path.display());
    }
    Ok(files)
}

pub(crate) fn private_directory(path: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("data_dir {}", path.display()))
}

/// The key from which those of connections come: the same value of one gets the same pseudonym for as
/// long as it is kept.
pub(crate) fn pseudonym_key(directory: &Path) -> anyhow::Result<PseudonymKey> {
    let file = directory.join("keys").join("pseudonym");
    let context = || format!("{}", file.display());
    if let Ok(bytes) = fs::read(&file) {
        let bytes: [u8; 32] = bytes
            .try_into()
            .map_err(|_| anyhow::anyhow!("is not 32 bytes long"))
            .with_context(context)?;
        return Ok(PseudonymKey::new(&bytes));
    }
    let bytes = crate::moment::random::<32>();
    let mut options = fs::OpenOptions::new();
    let mut out =
        options.write(true).create_new(true).mode(0o600).open(&file).with_context(context)?;
    out.write_all(&bytes).and_then(|()| out.sync_all()).with_context(context)?;
    Ok(PseudonymKey::new(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn a_cancel_is_seen_whenever_it_came_and_until_it_is_forgotten() {
        let count = CancelCount::default();
        let mut watch = count.watch();
        let is_told = |watch: &CancelWatch| {
            let told = pin!(watch.cancelled()).poll(&mut Context::from_waker(Waker::noop()));
            assert_eq!(told == Poll::Ready(()), watch.is_cancelled());
            told == Poll::Ready(())
        };
        assert!(!is_told(&watch), "nobody has asked");
        count.add();
        count.add();
        assert!(is_told(&watch), "nobody was waiting when it came");
        assert!(is_told(&watch), "to be told does not use it up");
        watch.forget();
        assert!(!is_told(&watch), "it was meant for what is over");
        count.add();
        assert!(is_told(&watch));
    }
}
