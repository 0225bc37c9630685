//! `portcullis.toml`: read once at start, every key documented, every mistake named with its line.

use crate::access::AccessSettings;
use crate::documents::{DocumentSettings, fixtures::Fixtures};
use crate::export::Export;
use crate::fleet::StoreSettings;
use crate::groups::{GroupSettings, Groups};
use crate::manifest::PublicHost;
use crate::metrics::MetricsListener;
use crate::notify::Notify;
use crate::passkeys::PasskeySettings;
use crate::retention::Retention;
use crate::sealing::Recording;
use crate::secrets::SecretSettings;
use crate::sign_in::PublicUrl;
use jiff::SignedDuration;
use portcullis_core::mask::Strategy;
use portcullis_core::passkey::StepUp;
use portcullis_identity::own::LONGEST;
use portcullis_identity::saml::SamlProvider;
use portcullis_identity::{DevProviderSettings, Provider, TrustRule, check_rules};
use portcullis_ledger::retention::Hold;
use portcullis_targets::Target;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

/// The whole configuration of a gateway.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where journal, recordings, reviews and generated keys are kept. Relative to this file.
    #[serde(default = "defaults::data_dir")]
    pub(crate) data_dir: PathBuf,
    /// Where reviews, labels, freezes, credentials, browser sessions and sealed secrets are kept.
    #[serde(default)]
    pub(crate) store: StoreSettings,
    /// Where clients connect.
    #[serde(default)]
    pub(crate) listen: Listen,
    /// Who vouches for callers.
    #[serde(default)]
    pub(crate) identity: Identity,
    /// Groups of people, beside those that providers tell of.
    #[serde(default)]
    pub(crate) groups: Vec<GroupSettings>,
    /// The built-in OpenID Connect provider, for development only: it listens on loopback or not
    /// at all.
    #[serde(default)]
    pub(crate) dev_provider: Option<DevProviderSettings>,
    /// Who may end sessions and freeze agents.
    #[serde(default)]
    pub(crate) administration: Administration,
    /// Who may see the record of every session.
    #[serde(default)]
    pub(crate) audit: Audit,
    /// The sessions of people who sign in in a browser, by `identity.providers.sign_in`.
    #[serde(default)]
    pub(crate) sign_in: SignInSettings,
    /// The passkeys people approve with.
    #[serde(default)]
    pub(crate) passkeys: PasskeySettings,
    /// The credentials the gateway issues.
    #[serde(default)]
    pub(crate) credentials: CredentialSettings,
    /// Where the credentials of targets come from.
    #[serde(default)]
    pub(crate) secrets: SecretSettings,
    /// Connections and policies that are changed while the gateway runs.
    #[serde(default)]
    pub(crate) documents: DocumentSettings,
    /// What may run.
    #[serde(default)]
    pub(crate) policy: Policy,
    /// Holding for a human.
    #[serde(default)]
    pub(crate) review: Review,
    /// Who is told that somebody waits for people.
    #[serde(default)]
    pub(crate) notify: Notify,
    /// Who is sent the record, entry by entry.
    #[serde(default)]
    pub(crate) export: Vec<Export>,
    /// For how long what is recorded is kept; without any, for ever.
    #[serde(default)]
    pub(crate) retention: Vec<Retention>,
    /// What is kept whatever those say: documents.
    #[serde(skip)]
    pub(crate) holds: BTreeMap<String, Hold>,
    /// The record of intents and outcomes.
    #[serde(default)]
    pub(crate) journal: Journal,
    /// The record of answers.
    #[serde(default)]
    pub(crate) recording: Recording,
    /// Bounds on everything a caller can make the gateway keep.
    #[serde(default)]
    pub(crate) limits: Limits,
    /// The targets, by the name callers use as their database name.
    #[serde(default)]
    pub(crate) connections: BTreeMap<String, Connection>,
    /// The file it was read from.
    #[serde(skip)]
    pub(crate) file: PathBuf,
    /// It was read from a file: false for commands that found none.
    #[serde(skip)]
    pub(crate) is_there: bool,
}

/// Where clients connect.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Listen {
    /// PostgreSQL clients.
    pub(crate) postgres: PostgresListener,
    /// The API for reviews and health.
    pub(crate) http: HttpListener,
    /// Metrics for Prometheus; without it they are read nowhere.
    pub(crate) metrics: Option<MetricsListener>,
}

/// The PostgreSQL listener.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PostgresListener {
    /// Address and port. Off loopback, TLS is required of every client.
    pub(crate) address: SocketAddr,
    /// The name or address by which clients find the listener, which the certificate has to name: what people
    /// and agents are told to connect to. Without it, it is the one in `address`.
    pub(crate) public_host: Option<PublicHost>,
    /// PEM file with the certificate chain. Without one, a self-signed certificate is generated
    /// below `data_dir`, for development.
    pub(crate) tls_certificate: Option<PathBuf>,
    /// PEM file with the certificate's private key.
    pub(crate) tls_key: Option<PathBuf>,
}

impl Default for PostgresListener {
    fn default() -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 6432));
        Self { address, public_host: None, tls_certificate: None, tls_key: None }
    }
}

/// The HTTP listener. It speaks plain HTTP, so it stays on loopback; put a TLS proxy before it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HttpListener {
    /// Address and port, on loopback.
    pub(crate) address: SocketAddr,
    /// Where browsers find the gateway when a TLS proxy stands before it, such as
    /// `"https://portcullis.example"`: scheme and host alone. The proxy has to pass on `Host`. Without
    /// it browsers use the address.
    pub(crate) public_url: Option<String>,
    /// How many proxies of yours a call goes through, one after the other; 8 at most. Each has to add the
    /// address it was connected from to `X-Forwarded-For`, and the outermost one's is where the call is from:
    /// in the record, and where requests to sign in are counted. With `0` the header is not looked at.
    pub(crate) proxies: u8,
}

impl Default for HttpListener {
    fn default() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 6480)), public_url: None, proxies: 0 }
    }
}

/// Who vouches for callers.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Identity {
    /// OpenID Connect providers. The development provider, if there is one, is added to them.
    pub(crate) providers: Vec<Provider>,
    /// Trust rules: which tokens of clusters, CI services and SPIFFE trust domains stand for which
    /// workload.
    #[schemars(with = "Vec<TrustRule>")]
    pub(crate) workloads: Vec<Spanned<TrustRule>>,
    /// SAML 2.0 identity providers, at which people sign in with a browser.
    pub(crate) saml: Vec<SamlProvider>,
    /// The development provider, as it runs.
    #[serde(skip)]
    pub(crate) development: Option<Provider>,
}

impl Identity {
    /// The trust rules, without where they stand in the file.
    pub(crate) fn rules(&self) -> Vec<TrustRule> {
        self.workloads.iter().map(|rule| rule.get_ref().clone()).collect()
    }

    /// The providers by OpenID Connect, with the one for development.
    pub(crate) fn all_providers(&self) -> Vec<Provider> {
        self.providers.iter().chain(&self.development).cloned().collect()
    }

    /// Whether it says the same, wherever that stands.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.all_providers() == other.all_providers()
            && self.rules() == other.rules()
            && self.saml == other.saml
    }
}

/// The sessions of people who sign in in a browser.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SignInSettings {
    /// How long one may go unused; `"1h"` by default.
    pub(crate) idle: Span,
    /// How long one may last at most; `"12h"` by default, `"720h"` at most.
    pub(crate) absolute: Span,
    /// How many requests to sign in one address (one /64 where it is IPv6) may make within a minute.
    /// Behind a proxy all people have its address.
    pub(crate) per_minute_and_address: u32,
    /// How many all together may make within a minute.
    pub(crate) per_minute: u32,
}

impl Default for SignInSettings {
    fn default() -> Self {
        Self {
            idle: Span(Duration::from_secs(60 * 60)),
            absolute: Span(Duration::from_secs(12 * 60 * 60)),
            per_minute_and_address: 120,
            per_minute: 1_200,
        }
    }
}

/// The credentials the gateway issues: short-lived, for one connection, revocable.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CredentialSettings {
    /// How long one lives unless its caller asks for another time; `"15m"` by default.
    pub(crate) lifetime: Span,
    /// How long one may live at most, `"12h"` by default; more cannot be set. None outlives a token
    /// it is made from.
    pub(crate) max_lifetime: Span,
    /// How old the key that signs them becomes; `"720h"` by default. The one before it is known for
    /// as long as something it has signed may be good.
    pub(crate) rotate: Span,
    /// How many requests for them one address (one /64 where it is IPv6) may make within a minute.
    /// Behind a proxy all callers have its address.
    pub(crate) per_minute_and_address: u32,
    /// How many each caller whose token is part of a request may make within a minute.
    pub(crate) per_minute_and_caller: u32,
}

impl Default for CredentialSettings {
    fn default() -> Self {
        Self {
            lifetime: Span(Duration::from_secs(15 * 60)),
            max_lifetime: Span(LONGEST),
            rotate: Span(Duration::from_secs(30 * 24 * 60 * 60)),
            per_minute_and_address: 300,
            per_minute_and_caller: 30,
        }
    }
}

/// Who may end anybody's session, keep agents from writing or from everything for a time, and see all
/// sessions there are.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Administration {
    /// The groups whose people may; empty: nobody. Of agents, workloads and whoever acts for somebody
    /// none ever may, whatever groups they are in.
    pub(crate) groups: Vec<String>,
    /// How long a request waits while an administrator has paused its session, before it is refused;
    /// `"5m"` by default.
    pub(crate) paused_request: Span,
}

const fn five_minutes() -> Span {
    Span(Duration::from_secs(5 * 60))
}

impl Default for Administration {
    fn default() -> Self {
        Self { groups: Vec::new(), paused_request: five_minutes() }
    }
}

/// Who may see the record of every session, and search and watch it, beside the administrators. Others
/// see that of their own sessions, and of those that act for them. Whoever sees something is recorded.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Audit {
    /// The groups whose people may. Of agents, workloads and whoever acts for somebody none ever may.
    pub(crate) groups: Vec<String>,
}

/// What may run.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Policy {
    /// Packs shipped in the binary: `agent-safe`, `read-only`, `allow-all`.
    pub(crate) packs: Vec<String>,
    /// Cedar files, or directories of `*.cedar` files. Relative to this file.
    pub(crate) files: Vec<PathBuf>,
    /// Those of documents: where they are from, and their texts.
    #[serde(skip)]
    pub(crate) documents: Vec<(String, String)>,
    /// The tests of documents, by name.
    #[serde(skip)]
    pub(crate) tests: std::collections::BTreeMap<String, Fixtures>,
}

impl Default for Policy {
    fn default() -> Self {
        let (files, documents, tests) = Default::default();
        Self { packs: vec!["agent-safe".to_owned()], files, documents, tests }
    }
}

/// Holding for a human.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Review {
    /// How long a review may wait, and an approval may be used; `"15m"` by default.
    pub(crate) expires: Span,
    /// Hold inside the caller's open transaction, locks and all, instead of refusing there.
    pub(crate) hold_in_transaction: bool,
    /// How long a review is kept once it has ended; `"720h"` by default. It holds statements as they were
    /// sent; what stays is the journal, with detectors applied.
    pub(crate) keep: Span,
}

impl Default for Review {
    fn default() -> Self {
        Self {
            expires: Span(Duration::from_secs(15 * 60)),
            hold_in_transaction: false,
            keep: Span(Duration::from_secs(30 * 24 * 60 * 60)),
        }
    }
}

/// When the record of a request that changes nothing must be safe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reads {
    /// Handed to the operating system before the request leaves, synced within 10 ms.
    #[default]
    Written,
    /// Synced before the request leaves.
    Durable,
}

/// The record of intents and outcomes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Journal {
    /// How safe the record of a pure read must be; `"written"` by default. Everything else is always synced first.
    pub(crate) reads: Reads,
    /// With fewer free MiB than that on the disk of `data_dir`, health and metrics say that somebody should make
    /// room.
    pub(crate) disk_low_mib: u32,
    /// With fewer free MiB than that no session and no request begins: what room is left is for the ends of those
    /// that have begun, so that the journal does not fail for want of it. `0` keeps nothing, and everything runs
    /// until the journal has failed.
    pub(crate) disk_reserve_mib: u32,
}

impl Default for Journal {
    fn default() -> Self {
        Self { reads: Reads::default(), disk_low_mib: 2048, disk_reserve_mib: 128 }
    }
}

/// Bounds on everything a caller can make the gateway keep.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Clients connected at once; fewer where the system does not let the gateway have four open files for
    /// each (`ulimit -Hn`), which is said at start.
    pub(crate) connections: u32,
    /// Clients connected and not logged in yet.
    pub(crate) unauthenticated: u16,
    /// Of those, clients of one address (of one /64 where it is IPv6), so that nobody can shut the
    /// others out.
    pub(crate) unauthenticated_per_address: u16,
    /// Sessions of one principal at once.
    pub(crate) sessions_per_principal: u32,
    /// MiB of requests that all sessions together may make the gateway keep while they come in, are
    /// held or run, and of statements prepared; one principal's at most half of it. Requests below
    /// 64 KiB are not counted.
    pub(crate) buffered_mib: u32,
    /// How long a log-in may take; `"10s"` by default.
    pub(crate) login: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            unauthenticated: 512,
            unauthenticated_per_address: 128,
            sessions_per_principal: 200,
            buffered_mib: 512,
            login: Span(Duration::from_secs(10)),
        }
    }
}

/// One target.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Connection {
    /// The environment policies speak of (`production`, `staging`).
    pub(crate) environment: String,
    /// The groups whose members may connect, by the rule `connect-if-admitted` of `agent-safe` and
    /// `read-only`. Empty: nobody, under these. `allow-all`, and permits of your own for `connect`,
    /// do not ask.
    pub(crate) groups: Vec<String>,
    /// The groups of a person that an agent has when it acts for that person by token exchange, of
    /// those the person is in. Empty: nobody acts for anybody by exchange here.
    #[serde(default)]
    pub(crate) lend_groups: BTreeSet<String>,
    /// Access that people grant for a time; without it, whoever policy lets in is in.
    #[serde(default)]
    pub(crate) access: Option<AccessSettings>,
    /// What people have to show beside a token to approve anything on this connection: `"passkey"` asks
    /// for a user-verified passkey for every decision. Without it the rules that hold say so
    /// (`@step_up`).
    #[serde(default)]
    pub(crate) step_up: Option<StepUp>,
    /// Where it is, and how the gateway logs in there.
    pub(crate) target: Target,
    /// The columns only some may see.
    #[serde(default)]
    pub(crate) sensitive: Vec<SensitiveColumn>,
    /// Content detectors that look at every text that leaves, by the names of detectors and groups
    /// (below); without it those that are on by default. An empty list turns them off.
    #[serde(default)]
    pub(crate) detectors: Option<Vec<String>>,
    /// How old, in seconds (1 to 3600), what the gateway knows of the target's definitions may be
    /// when a request is judged. Definitions changed through the gateway are known at once; this
    /// is about those changed past it.
    #[serde(default = "defaults::catalog_max_age_seconds")]
    pub(crate) catalog_max_age_seconds: u16,
    /// What of it no session outlives, in a document; empty for those of the file.
    #[serde(skip)]
    pub(crate) fixed: String,
}

impl Connection {
    /// What its access takes from the connection itself, where it does not say it.
    pub(crate) fn inherit(&mut self) {
        if let Some(access) = &mut self.access {
            access.step_up = access.step_up.or(self.step_up);
        }
    }

    /// Whether the connection itself has people show more than a token.
    pub(crate) fn steps_up(&self) -> bool {
        self.step_up.or(self.access.as_ref().and_then(|access| access.step_up)).is_some()
    }

    /// Why it makes no sense, if so; begins with the key.
    pub(crate) fn fault(&self) -> Option<String> {
        if let Some(fault) = self.access.as_ref().and_then(AccessSettings::fault) {
            return Some(format!("access: {fault}"));
        }
        if !(1..=3600).contains(&self.catalog_max_age_seconds) {
            return Some("catalog_max_age_seconds must be 1 to 3600".to_owned());
        }
        let is_one =
            |column: &str| column.split('.').count() == 3 && !column.split('.').any(str::is_empty);
        let wrong = self.sensitive.iter().find(|rule| !is_one(&rule.column))?;
        Some(format!("sensitive: `{}` is not schema.table.column", wrong.column))
    }

    /// `catalog_max_age_seconds` as a span of time.
    pub(crate) fn catalog_max_age(&self) -> Duration {
        Duration::from_secs(self.catalog_max_age_seconds.into())
    }
}

/// A column that only some may see.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SensitiveColumn {
    /// `schema.table.column`; `*` stands for any one name.
    pub(crate) column: String,
    /// What it holds, for policies (`email`, `card`).
    #[serde(default)]
    pub(crate) label: Option<String>,
    /// How it is masked where the policy says `by-label`: `"redact"`, `"partial"`, `"null"`,
    /// `"hash"`, `{ constant = "…" }` (every value becomes this one, or NULL where it is no value of
    /// the column's type) or `{ shift_days = 30 }` (dates and timestamps move by one keyed number
    /// of days, at most so many either way).
    #[serde(default = "defaults::mask")]
    #[schemars(with = "String")]
    pub(crate) mask: Strategy,
    /// Do not refuse sessions where no such column exists.
    #[serde(default)]
    pub(crate) optional: bool,
}

mod defaults {
    use portcullis_core::mask::Strategy;
    use std::path::PathBuf;

    pub(super) fn data_dir() -> PathBuf {
        PathBuf::from("portcullis-data")
    }

    pub(super) const fn catalog_max_age_seconds() -> u16 {
        15
    }

    pub(super) const fn mask() -> Strategy {
        Strategy::Redact
    }
}

/// A span of time, written `"90s"`, `"15m"`, `"1h 30m"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub(crate) struct Span(pub(crate) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let span: SignedDuration = text.parse().map_err(|_| {
            serde::de::Error::custom(format!(
                "`{text}` is no span of time (try \"15m\" or \"90s\")"
            ))
        })?;
        let span = Duration::try_from(span)
            .map_err(|_| serde::de::Error::custom(format!("`{text}` is negative")))?;
        Ok(Self(span))
    }
}

/// What is wrong with a configuration, with file and line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ConfigError {
    file: PathBuf,
    line: Option<usize>,
    message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads and checks a configuration file; relative paths in it become relative to it.
    ///
    /// # Errors
    /// [`ConfigError`] naming file and line, and for a misspelt key the nearest known one.
    pub(crate) fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|e| ConfigError {
            file: file.to_owned(),
            line: None,
            message: format!("cannot be read: {e}"),
        })?;
        let mut config = Self::parse(&text, file)?;
        let base = file.parent().map(Path::to_owned).unwrap_or_default();
        for path in config.paths_mut() {
            *path = base.join(&*path);
        }
        config.secrets.resolve(&base);
        config.store.resolve(&base);
        if let Some(metrics) = &mut config.listen.metrics {
            metrics.resolve(&base);
        }
        config.documents.base.clone_from(&base);
        if let Some(directory) = &mut config.documents.directory {
            *directory = base.join(&*directory);
        }
        for connection in config.connections.values_mut() {
            connection.target.resolve_passwords(&base);
            if let Some(root) = &mut connection.target.sslrootcert
                && root != "system"
            {
                *root = base.join(&*root).to_string_lossy().into_owned();
            }
        }
        config.check(file)?;
        config.file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        config.is_there = true;
        Ok(config)
    }

    /// For commands that ask a gateway, which may be elsewhere: where there is no such file, all is as
    /// it is by default.
    ///
    /// # Errors
    /// As [`Config::load`], for a file that is there.
    pub(crate) fn of_client(file: &Path) -> Result<Self, ConfigError> {
        if file.exists() { Self::load(file) } else { Self::parse("", file) }
    }

    fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|error| ConfigError {
            file: file.to_owned(),
            line: error.span().map(|s| line_of(text, s.start)),
            message: with_nearest(error.message()),
        })?;
        for connection in config.connections.values_mut() {
            connection.inherit();
        }
        let identity = &config.identity;
        check_rules(&identity.providers, &identity.rules()).map_err(|(place, error)| {
            let rule = identity.workloads.get(place);
            ConfigError {
                file: file.to_owned(),
                line: rule.map(|rule| line_of(text, rule.span().start)),
                message: error.to_string(),
            }
        })?;
        Ok(config)
    }

    fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        let mut paths = vec![&mut self.data_dir];
        paths.extend(self.policy.files.iter_mut());
        paths.extend(self.recording.identity_file.iter_mut());
        paths.extend(self.listen.postgres.tls_certificate.iter_mut());
        paths.extend(self.listen.postgres.tls_key.iter_mut());
        let clients = self.identity.providers.iter_mut().filter_map(|p| p.sign_in.as_mut());
        paths.extend(clients.filter_map(|client| client.client_secret_file.as_mut()));
        paths.extend(self.notify.files_mut());
        paths.extend(self.export.iter_mut().flat_map(Export::files_mut));
        paths.extend(self.identity.saml.iter_mut().flat_map(SamlProvider::files_mut));
        paths
    }

    fn check(&self, file: &Path) -> Result<(), ConfigError> {
        let wrong = |message: String| ConfigError { file: file.to_owned(), line: None, message };
        if !self.listen.http.address.ip().is_loopback() {
            return Err(wrong(format!(
                "listen.http.address is {}, but the API speaks plain HTTP and stays on loopback",
                self.listen.http.address
            )));
        }
        if self.listen.postgres.tls_certificate.is_some() != self.listen.postgres.tls_key.is_some()
        {
            return Err(wrong(
                "listen.postgres needs both tls_certificate and tls_key, or neither".to_owned(),
            ));
        }
        if let Some(metrics) = &self.listen.metrics {
            metrics.check().map_err(wrong)?;
        }
        if self.journal.disk_reserve_mib > self.journal.disk_low_mib {
            return Err(wrong(format!(
                "journal.disk_reserve_mib is {}, more than disk_low_mib, {}: nobody would hear of it before \
                 nothing runs",
                self.journal.disk_reserve_mib, self.journal.disk_low_mib
            )));
        }
        self.store.check().map_err(wrong)?;
        self.notify.check().map_err(wrong)?;
        Export::check_all(&self.export).map_err(wrong)?;
        Retention::check_all(&self.retention).map_err(wrong)?;
        let Identity { providers, workloads, saml, development: _ } = &self.identity;
        let nobody = providers.is_empty() && workloads.is_empty() && saml.is_empty();
        if nobody && self.dev_provider.is_none() {
            return Err(wrong(
                "nobody vouches for callers: add [[identity.providers]], [[identity.saml]], \
                 [[identity.workloads]] or [dev_provider]"
                    .to_owned(),
            ));
        }
        if let Some(message) = self.secrets.fault(self) {
            return Err(wrong(message));
        }
        let (usual, most) = (self.credentials.lifetime.0, self.credentials.max_lifetime.0);
        if !(Duration::from_secs(60) <= usual && usual <= most && most <= LONGEST) {
            return Err(wrong(
                "credentials.lifetime must be a minute at least and max_lifetime at most, and \
                 that 12 hours at most"
                    .to_owned(),
            ));
        }
        self.check_sign_in().map_err(wrong)?;
        for (name, connection) in &self.connections {
            if let Some(fault) = connection.fault() {
                return Err(wrong(format!("connections.{name}.{fault}")));
            }
        }
        Ok(())
    }
}

impl Config {
    fn check_sign_in(&self) -> Result<(), String> {
        if let Some(url) = &self.listen.http.public_url {
            PublicUrl::parse(url).map_err(|why| format!("listen.http.public_url: {why}"))?;
        }
        if self.listen.http.proxies > 8 {
            return Err(
                "listen.http.proxies: 8 at most: how many does a call go through?".to_owned()
            );
        }
        let (idle, absolute) = (self.sign_in.idle.0, self.sign_in.absolute.0);
        let longest = Duration::from_secs(30 * 24 * 60 * 60);
        if !(Duration::from_secs(1) <= idle && idle <= absolute && absolute <= longest) {
            return Err(
                "sign_in.idle must be a second at least and absolute at most, and that 720 hours at \
                 most"
                    .to_owned(),
            );
        }
        for provider in &self.identity.providers {
            provider.validate().map_err(|error| error.to_string())?;
        }
        self.check_groups()?;
        self.identity.check_saml(self.dev_provider.as_ref())
    }

    fn check_groups(&self) -> Result<(), String> {
        if let Some((name, fault)) =
            self.groups.iter().find_map(|group| Some((&group.name, group.fault()?)))
        {
            return Err(format!("groups: \"{name}\": {fault}"));
        }
        Groups::of(&self.groups).map(drop)
    }
}

impl Identity {
    /// One name and one issuer are one provider's: else one person could be two, or two one.
    pub(crate) fn check_saml(
        &self,
        development: Option<&DevProviderSettings>,
    ) -> Result<(), String> {
        let development = development.map(|settings| format!("http://{}", settings.listen));
        for provider in &self.saml {
            provider.validate().map_err(|error| error.to_string())?;
            let SamlProvider { name, entity_id, .. } = provider;
            let others = self.providers.iter().map(|other| (&other.name, &other.issuer));
            let rules =
                self.workloads.iter().map(|rule| (&rule.get_ref().name, &rule.get_ref().issuer));
            let taken = others.chain(rules).any(|(n, issuer)| n == name || issuer == entity_id);
            let taken = taken || development.as_ref() == Some(entity_id);
            if taken || name == "development" {
                return Err(format!(
                    "identity.saml: \"{name}\": name and entity_id must be no other provider's, nor a \
                     workload rule's"
                ));
            }
        }
        Ok(())
    }
}

pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}

/// Adds the nearest known key to serde's "unknown field `x`, expected one of `a`, `b`".
pub(crate) fn with_nearest(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let (Some(key), true) = (quoted.next(), message.starts_with("unknown")) else {
        return message.to_owned();
    };
    match nearest(key, quoted) {
        Some(known) => format!("{message}; did you mean `{known}`?"),
        None => message.to_owned(),
    }
}

/// The known word that was most likely meant, if any is near.
pub(crate) fn nearest<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let all = known.map(|known| (strsim::damerau_levenshtein(word, known), known));
    all.min().filter(|(distance, _)| *distance <= 3).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        match Config::parse(text, Path::new("portcullis.toml")) {
            Ok(_) => panic!("accepted"),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn a_misspelt_key_names_file_line_and_nearest_key() {
        let message = error("data_dir = \"x\"\n[journal]\nread = \"durable\"\n");
        assert!(message.starts_with("portcullis.toml:3: "), "{message}");
        assert!(message.ends_with("did you mean `reads`?"), "{message}");
    }

    #[test]
    fn somebody_hears_of_a_disk_before_nothing_runs() {
        let check = |text: &str| {
            let config = Config::parse(text, Path::new("x")).unwrap_or_else(|e| panic!("{e}"));
            config.check(Path::new("x")).unwrap_err().to_string()
        };
        let message = check("[journal]\ndisk_low_mib = 100\ndisk_reserve_mib = 101\n");
        assert!(message.contains("journal.disk_reserve_mib is 101"), "{message}");
        let message = check("[journal]\ndisk_low_mib = 100\ndisk_reserve_mib = 100\n");
        assert!(message.contains("nobody vouches"), "{message}");
        let message = check("[listen.metrics]\naddress = \"10.0.0.1:9464\"\n");
        assert!(message.contains("listen.metrics.token_from"), "{message}");
    }

    #[test]
    fn a_saml_provider_is_nobody_else() {
        let config = |more: &str| {
            let text = format!(
                "[[identity.providers]]\nname = \"corp\"\nissuer = \"https://login.example\"\n\
                 audiences = [\"p\"]\n[[identity.saml]]\nmetadata_file = \"idp.xml\"\n{more}"
            );
            let config = Config::parse(&text, Path::new("x")).unwrap_or_else(|e| panic!("{e}"));
            config.identity.check_saml(config.dev_provider.as_ref()).err().unwrap_or_default()
        };
        assert_eq!(config("name = \"saml\"\nentity_id = \"https://idp.example\""), "");
        for taken in [
            "name = \"corp\"\nentity_id = \"https://idp.example\"",
            "name = \"saml\"\nentity_id = \"https://login.example\"",
            "name = \"development\"\nentity_id = \"https://idp.example\"",
        ] {
            assert!(config(taken).contains("no other provider's"), "{taken}");
        }
        let development = |issuer: &str| {
            let saml = format!("name = \"saml\"\nentity_id = \"{issuer}\"");
            config(&format!("{saml}\n[dev_provider]\nlisten = \"127.0.0.1:6481\""))
        };
        assert!(development("http://127.0.0.1:6481").contains("no other provider's"));
        assert_eq!(development("http://127.0.0.1:6482"), "");
        let own = config("name = \"saml\"\nentity_id = \"urn:portcullis:gateway\"");
        assert!(own.contains("`entity_id`"), "{own}");
        let half = "name = \"saml\"\nentity_id = \"https://idp.example\"\nkey_file = \"k\"";
        assert!(config(half).contains("needs certificate_file"), "{half}");
    }

    const CI: &str = "[[identity.workloads]]\nname = \"ci\"\nkind = \"github-actions\"\n\
        issuer = \"https://token.actions.githubusercontent.com\"\naudiences = [\"portcullis\"]\n";

    #[test]
    fn a_trust_rule_that_does_not_say_whose_names_its_line_and_what_to_add() {
        let check = |text: &str, line: usize, what: &str| {
            let message = error(text);
            assert!(message.starts_with(&format!("portcullis.toml:{line}: ")), "{message}");
            assert!(message.contains(what), "{message}");
        };
        let good = format!("{CI}pins = {{ repository_id = \"7\", ref = \"refs/heads/main\" }}\n");
        assert!(Config::parse(&good, Path::new("x")).is_ok());
        let rule = "workload rule \"ci\": `pins`: they do not say whose tokens these are: add";
        check(&format!("{CI}pins = {{}}\n"), 1, &format!("{rule} repository_id = \"NUMBER\""));
        let half = format!("# a\n\n{CI}pins = {{ repository_id = \"7\" }}\n");
        check(&half, 3, "add ref = \"refs/heads/BRANCH\"");
        check(CI, 1, "missing field `pins`");
        check(&format!("{CI}pins = {{ repository_id = 7.5 }}\n"), 6, "a pin is a text");
        let wild = good.replace("refs/heads/main", "refs/heads/*");
        check(&wild, 1, "there are no wildcards");
        let second = format!("{good}\n{}", good.replace("\"ci\"", "\"cd\""));
        check(&second, 8, "one token could match this rule and \"ci\"");
        let shared = format!(
            "[[identity.providers]]\nname = \"gh\"\naudiences = [\"p\"]\n\
             issuer = \"https://token.actions.githubusercontent.com\"\n{good}"
        );
        check(&shared, 5, "provider \"gh\" has the same");
    }

    #[test]
    fn a_wrong_value_names_its_line() {
        let message = error("[review]\nexpires = \"soon\"\n");
        assert!(message.starts_with("portcullis.toml:2: `soon` is no span"), "{message}");
    }

    #[test]
    fn strategies_have_values() {
        let mask = |text: &str| {
            let rule = format!("column = \"a.b.c\"\nmask = {text}\n");
            toml::from_str::<SensitiveColumn>(&rule).map(|rule| rule.mask)
        };
        assert_eq!(mask("\"hash\""), Ok(Strategy::Hash));
        assert_eq!(mask("{ constant = \"n/a\" }"), Ok(Strategy::Constant("n/a".into())));
        assert_eq!(mask("\"constant:a:b\""), Ok(Strategy::Constant("a:b".into())));
        assert_eq!(mask("{ shift_days = 30 }"), Ok(Strategy::ShiftDays(30)));
        for (text, why) in [
            ("\"blur\"", "mask: `blur` is no strategy"),
            ("{ shift_days = 0 }", "mask: shift_days is 1 to 3650, not 0"),
            ("{ shift = 3 }", "mask: `shift` is no strategy with a value"),
            ("{ constant = \"a\", shift_days = 1 }", "mask: a column has one strategy"),
        ] {
            let message = mask(text).unwrap_err().message().to_owned();
            assert!(message.contains(why), "{message}");
        }
        let message = error(
            "[connections.a]\nenvironment = \"x\"\ngroups = []\n\
             target = { host = \"h\", database = \"d\", user = \"u\", password = \"p\" }\n\
             sensitive = [\n  { column = \"a.b.c\", mask = \"blur\" },\n]\n",
        );
        assert!(message.starts_with("portcullis.toml:6: mask: `blur`"), "{message}");
    }

    #[test]
    fn spans_are_read_as_people_write_them() {
        let config: Review = toml::from_str("expires = \"1h 30m\"").unwrap();
        assert_eq!(config.expires.0, Duration::from_secs(5400));
    }
}
