//! A gateway process in front of a real PostgreSQL server with the shop in it.

use crate::raw::RawClient;
use anyhow::{Context as _, bail};
use portcullis_sandbox::postgres::{Options, Postgres};
use portcullis_sandbox::process::{Running, free_port};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The superuser's password at the server.
pub const SUPERUSER_PASSWORD: &str = "superuser-of-the-arena";
/// The password of the role the gateway uses.
pub const APP_PASSWORD: &str = "app-secret-of-the-arena";
/// What the gateway logs, unless asked otherwise.
const LOG: &str = "trace,h2=info,hyper=info";
/// Where the system keeps files in memory.
const MEMORY: &str = "/dev/shm";
/// The shop, as SQL for `psql` with `app_password` set.
pub const SHOP: &str = include_str!("../../gateway/src/demo/shop.sql");

/// Who there is, unless a test says otherwise.
const CALLERS: &str = r#"people = [
  { name = "ana", groups = ["developers"] },
  { name = "bo", groups = ["developers", "dba"] },
  { name = "mia", groups = ["developers", "dba"] },
  { name = "lea", groups = ["leads"] },
  { name = "max", groups = ["admins"] },
]
agents = [
  { name = "claude", acting_for = "ana", groups = ["agents"] },
  { name = "deckard", acting_for = "bo", groups = ["agents", "dba"] },
  { name = "hal", groups = ["agents"] },
]"#;

/// A server and a gateway.
pub struct Arena {
    directory: TempDir,
    /// The server.
    pub server: Postgres,
    gateway: Option<Running>,
    log: &'static str,
    /// Where PostgreSQL clients connect to the gateway.
    pub postgres: SocketAddr,
    /// The gateway's API.
    pub http: SocketAddr,
}

/// An arena several tests share. It lives while any of them holds it, so that server and gateway
/// end with the last one; a static arena would outlive the tests.
pub struct Shared(Mutex<Weak<Arena>>);

impl Shared {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(Weak::new()))
    }

    /// The arena that is held by somebody, or a new one.
    pub fn get(&self, start: impl FnOnce() -> Arena) -> Arc<Arena> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let arena = Arc::new(start());
            *shared = Arc::downgrade(&arena);
            arena
        })
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self::new()
    }
}

/// What differs between arenas.
pub struct Setup {
    /// `[policy]` and whatever else stands on top level.
    pub policy: String,
    /// Lines of `[connections.shop]`, the sensitive columns for instance.
    pub connection: String,
    /// Lines of `[dev_provider]`, for instance how long its tokens live.
    pub provider: String,
    /// Who the development provider knows.
    pub callers: &'static str,
    /// Further lines of its `target`.
    pub target: &'static str,
    /// The role the gateway uses at the target: `shop_app`, or `owner`, which may do anything.
    pub role: &'static str,
    /// Further tables at the end of the configuration. `{port}` in it is the server's.
    pub more: String,
    /// Further databases, each with a connection of its name that is like the shop's.
    pub databases: &'static [&'static str],
    /// Further tables of the shop. Where there are some, further databases are copies of it.
    pub definitions: &'static str,
    /// The port the gateway finds the server at, where it is not the server's own: something in
    /// between listens.
    pub between: Option<u16>,
    /// Further settings of the server.
    pub settings: &'static [&'static str],
    /// What the gateway logs.
    pub log: &'static str,
    /// Keeps everything in memory, where the system has a place for that: for long suites that are
    /// not about what is safe on a disk.
    pub in_memory: bool,
}

impl Setup {
    /// Everything allowed and nothing masked: the gateway must not be noticed.
    #[must_use]
    pub fn allow_all() -> Self {
        Self {
            policy: "[policy]\npacks = [\"allow-all\"]\n".to_owned(),
            connection: "detectors = []\n".to_owned(),
            provider: String::new(),
            callers: CALLERS,
            role: "owner",
            more: String::new(),
            databases: &[],
            definitions: "",
            between: None,
            settings: &[],
            log: LOG,
            in_memory: false,
            target: "",
        }
    }

    /// The default pack, with the shop's sensitive columns.
    #[must_use]
    pub fn agent_safe() -> Self {
        Self {
            policy: "[policy]\npacks = [\"agent-safe\"]\n".to_owned(),
            connection: r#"sensitive = [
  { column = "public.customers.email", label = "email", mask = "partial" },
  { column = "public.customers.card_number", label = "card", mask = "partial" },
  { column = "public.payments.iban", label = "iban", mask = "redact" },
]
"#
            .to_owned(),
            provider: String::new(),
            callers: CALLERS,
            role: "owner",
            more: String::new(),
            databases: &[],
            definitions: "",
            between: None,
            settings: &[],
            log: LOG,
            in_memory: false,
            target: "",
        }
    }
}

/// The gateway's binary, built beside the test.
#[must_use]
pub fn binary() -> PathBuf {
    let mut path = std::env::current_exe().unwrap_or_default();
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    path.join("portcullis")
}

/// A temporary directory, in memory where that is wanted and the system has a place for it.
pub fn directory(in_memory: bool) -> anyhow::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("portcullis-arena-");
    Ok(match in_memory && Path::new(MEMORY).is_dir() {
        true => builder.tempdir_in(MEMORY)?,
        false => builder.tempdir()?,
    })
}

/// A server with the shop in it, and superusers `owner` and `raw`, who needs no password.
pub fn shop(directory: &Path, more: &[&str]) -> anyhow::Result<Postgres> {
    let settings = ["log_statement = all", "max_connections = 200"];
    let options = Options {
        settings: settings.iter().chain(more).map(|&s| s.to_owned()).collect(),
        hba: vec!["host all raw all trust".to_owned(), "host all all all scram-sha-256".to_owned()],
    };
    let server = Postgres::start(directory, SUPERUSER_PASSWORD, &options)?;
    server.sql("postgres", "CREATE DATABASE shop")?;
    server.sql("shop", &format!("\\set app_password {APP_PASSWORD}\n{SHOP}"))?;
    server.sql(
        "shop",
        &format!(
            "CREATE ROLE owner SUPERUSER LOGIN PASSWORD '{APP_PASSWORD}';
             CREATE ROLE raw SUPERUSER LOGIN;"
        ),
    )?;
    Ok(server)
}

/// Writes a file that nobody else can read.
pub fn private_file(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text)?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o600))?)
}

/// All files below a directory.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files.extend(files_below(&entry.path())),
            _ => files.push(entry.path()),
        }
    }
    files
}

/// The files below a directory with what is in them: of those that are compressed what was compressed, too.
#[must_use]
pub fn contents_below(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut contents = Vec::new();
    for file in files_below(directory) {
        let Ok(bytes) = fs::read(&file) else { continue };
        if let Ok(unpacked) = zstd::decode_all(&*bytes) {
            contents.push((file.clone(), unpacked));
        }
        contents.push((file, bytes));
    }
    contents
}

impl Arena {
    /// Starts server and gateway.
    pub fn start(setup: &Setup) -> anyhow::Result<Self> {
        Self::start_with(setup, &[])
    }

    /// The same, with further files beside the configuration, by name.
    pub fn start_with(setup: &Setup, files: &[(&str, &str)]) -> anyhow::Result<Self> {
        let directory = directory(setup.in_memory)?;
        let server = shop(directory.path(), setup.settings)?;
        server.sql("shop", setup.definitions)?;
        let template = if setup.definitions.is_empty() { "template1" } else { "shop" };
        for name in setup.databases {
            server.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template}"))?;
        }
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (postgres, http) = (local(free_port()?), local(free_port()?));
        let provider = local(free_port()?);
        private_file(&directory.path().join("app.password"), APP_PASSWORD)?;
        let config = format!(
            r#"data_dir = "data"
{policy}
[listen.postgres]
address = "{postgres}"
[listen.http]
address = "{http}"
[dev_provider]
listen = "{provider}"
{callers}
{dev}
{connections}
{more}"#,
            more = setup.more.replace("{port}", &server.port().to_string()),
            callers = setup.callers,
            dev = setup.provider,
            policy = setup.policy,
            connections = connections(setup, setup.between.unwrap_or_else(|| server.port())),
        );
        fs::write(directory.path().join("portcullis.toml"), config)?;
        for (name, text) in files {
            fs::write(directory.path().join(name), text)?;
        }
        let log = setup.log;
        let mut arena = Self { directory, server, gateway: None, log, postgres, http };
        arena.start_gateway()?;
        Ok(arena)
    }

    /// Starts the gateway (again).
    pub fn start_gateway(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.log_file())?;
        let mut command = Command::new(binary());
        command.arg("--config").arg(self.config()).arg("serve");
        command.env("PORTCULLIS_LOG", self.log).stdout(log.try_clone()?).stderr(log);
        let mut gateway = Running::start(&mut command, "TERM")
            .with_context(|| format!("{}: build it first", binary().display()))?;
        let deadline = Instant::now() + Duration::from_secs(20);
        // The API comes second.
        while [self.postgres, self.http].iter().any(|at| TcpStream::connect(at).is_err()) {
            if !gateway.is_running() || Instant::now() > deadline {
                bail!("the gateway did not start:\n{}", fs::read_to_string(self.log_file())?);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.gateway = Some(gateway);
        Ok(())
    }

    /// Kills the gateway without a warning.
    pub fn kill_gateway(&mut self) -> anyhow::Result<()> {
        if let Some(mut gateway) = self.gateway.take() {
            gateway.child().kill()?;
            gateway.child().wait()?;
        }
        Ok(())
    }

    /// Asks the gateway to stop, and waits for it.
    pub fn stop_gateway(&mut self) {
        self.gateway = None;
    }

    /// The gateway's process id.
    #[must_use]
    pub fn gateway_pid(&self) -> Option<u32> {
        self.gateway.as_ref().map(Running::pid)
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.directory.path().join("portcullis.toml")
    }

    /// The gateway's log, by default at trace level.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.directory.path().join("gateway.log")
    }

    /// Journal, recordings and reviews.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The file in which the recording of a session that is over is kept.
    ///
    /// # Panics
    /// Where it is not there within ten seconds.
    #[must_use]
    pub fn kept_recording(&self, session: &str) -> PathBuf {
        let directory = self.data().join("recordings");
        let forms = [".jsonl.zst", ".jsonl.zst.age"];
        let running = directory.join(format!("{session}.jsonl"));
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let kept = forms.iter().map(|form| directory.join(format!("{session}{form}")));
            if let Some(kept) = kept.into_iter().find(|kept| kept.exists() && !running.exists()) {
                return kept;
            }
            assert!(Instant::now() < deadline, "the recording of {session} is not kept");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The temporary directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Runs the `portcullis` command line on this arena's configuration.
    pub fn portcullis(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        Ok(Command::new(binary()).arg("--config").arg(self.config()).args(arguments).output()?)
    }

    /// A token of the development provider.
    pub fn token(&self, name: &str) -> anyhow::Result<String> {
        let output = self.portcullis(&["token", "--as", name])?;
        if !output.status.success() {
            bail!("no token: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// A session of this caller's through the gateway.
    pub fn client(&self, name: &str) -> anyhow::Result<RawClient> {
        RawClient::log_in(self.postgres, name, "shop", &self.token(name)?)
    }

    /// libpq's environment for a connection to the server itself.
    #[must_use]
    pub fn direct(&self) -> Vec<(&'static str, String)> {
        environment("127.0.0.1", self.server.port(), "owner", APP_PASSWORD, "disable")
    }

    /// libpq's environment for a connection through the gateway, over TLS.
    pub fn through(&self, name: &str) -> anyhow::Result<Vec<(&'static str, String)>> {
        Ok(environment("127.0.0.1", self.postgres.port(), name, &self.token(name)?, "require"))
    }

    /// `psql` with one command, through the gateway.
    pub fn psql(&self, name: &str, sql: &str) -> anyhow::Result<Output> {
        let mut command = Command::new(self.server.program_directory().join("psql"));
        command.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        Ok(command.envs(self.through(name)?).output()?)
    }

    /// What is true at the server, asked past the gateway.
    pub fn truth(&self, sql: &str) -> anyhow::Result<String> {
        Ok(self.server.sql("shop", sql)?.trim().to_owned())
    }
}

/// The shop's connection, and one like it for every other database.
fn connections(setup: &Setup, port: u16) -> String {
    let names = ["shop"].into_iter().chain(setup.databases.iter().copied());
    let tables = names.map(|name| {
        format!(
            r#"[connections.{name}]
environment = "test"
groups = ["agents", "developers"]
{connection}
[connections.{name}.target]
host = "127.0.0.1"
port = {port}
database = "{name}"
user = "{role}"
password_file = "app.password"
{target}"#,
            target = setup.target,
            connection = setup.connection,
            role = setup.role,
        )
    });
    tables.collect()
}

fn environment(
    host: &str,
    port: u16,
    user: &str,
    password: &str,
    sslmode: &str,
) -> Vec<(&'static str, String)> {
    vec![
        ("PGHOST", host.to_owned()),
        ("PGPORT", port.to_string()),
        ("PGUSER", user.to_owned()),
        ("PGPASSWORD", password.to_owned()),
        ("PGDATABASE", "shop".to_owned()),
        ("PGSSLMODE", sslmode.to_owned()),
        ("PGCLIENTENCODING", "UTF8".to_owned()),
    ]
}
