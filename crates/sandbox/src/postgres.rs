//! A real PostgreSQL server in a temporary directory.

use crate::process::{Running, User, free_port};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What kept a server from starting.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The programs are not installed.
    #[error(
        "no PostgreSQL server found (looked for initdb and postgres in {PROGRAMS} where it is \
         set, else in /usr/lib/postgresql/*/bin and on PATH); install it, for instance: \
         apt-get install postgresql"
    )]
    NotInstalled,
    /// There is a server, and nothing to ask it with.
    #[error(
        "no psql found (looked beside the server, in /usr/lib/postgresql/*/bin and on PATH); \
         install it, for instance: apt-get install postgresql-client"
    )]
    NoClients,
    /// A step failed.
    #[error("{step}: {message}")]
    Failed {
        /// What was tried.
        step: &'static str,
        /// What came of it.
        message: String,
    },
    /// The operating system refused something.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Names the directory with `initdb` and `postgres`, where it is not to be looked for.
pub const PROGRAMS: &str = "PORTCULLIS_PG_BIN";

/// How a server is set up.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Lines for `postgresql.conf`.
    pub settings: Vec<String>,
    /// Lines for `pg_hba.conf`; by default every role logs in by SCRAM-SHA-256.
    pub hba: Vec<String>,
}

/// A running server, ended when dropped.
#[derive(Debug)]
pub struct Postgres {
    running: Running,
    clients: PathBuf,
    port: u16,
    directory: PathBuf,
    password: String,
}

impl Postgres {
    /// Finds the directory with `initdb` and `postgres`: the one that [`PROGRAMS`] names, else the
    /// newest version.
    #[must_use]
    pub fn programs() -> Option<PathBuf> {
        if let Some(named) = std::env::var_os(PROGRAMS) {
            let named = PathBuf::from(named);
            return has(&named, &["initdb", "postgres"]).then_some(named);
        }
        directories().find(|d| has(d, &["initdb", "postgres"]))
    }

    /// Finds the directory with `psql`, which need not be of the server's version.
    fn clients(programs: &Path) -> Option<PathBuf> {
        let first = std::iter::once(programs.to_owned());
        first.chain(directories()).find(|d| has(d, &["psql", "pg_isready"]))
    }

    /// Creates a cluster below `directory` (which must exist) and starts it on a free loopback
    /// port. The superuser is `postgres`, with `password`.
    ///
    /// # Errors
    /// [`ServerError`] naming the step and what the program said.
    pub fn start(directory: &Path, password: &str, options: &Options) -> Result<Self, ServerError> {
        let programs = Self::programs().ok_or(ServerError::NotInstalled)?;
        let clients = Self::clients(&programs).ok_or(ServerError::NoClients)?;
        let user = User::unprivileged()?;
        if user.is_some() {
            // The other user must be able to pass through, not to look around.
            fs::set_permissions(directory, fs::Permissions::from_mode(0o711))?;
        }
        let directory = directory.join("postgres");
        fs::create_dir_all(&directory)?;
        User::own(user, &directory)?;
        initialise(&programs, user, &directory, password)?;
        configure(&directory, options)?;
        let port = free_port()?;
        let log = File::create(directory.join("server.log"))?;
        let mut command = User::command(user, &programs.join("postgres"));
        command
            .arg("-D")
            .arg(directory.join("data"))
            .args(["-c", &format!("port={port}"), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", &format!("unix_socket_directories={}", directory.display())])
            .stdout(log.try_clone()?)
            .stderr(log)
            .current_dir(&directory);
        let running = Running::start(&mut command, "INT")?;
        let password = password.to_owned();
        let mut server = Self { running, clients, port, directory, password };
        server.await_ready()?;
        Ok(server)
    }

    fn await_ready(&mut self) -> Result<(), ServerError> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let ready = Command::new(self.clients.join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                .status()?;
            if ready.success() {
                return Ok(());
            }
            if !self.running.is_running() || Instant::now() > deadline {
                let log = fs::read_to_string(self.directory.join("server.log"))?;
                return Err(ServerError::Failed { step: "start of PostgreSQL", message: log });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The loopback port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The major version, as the cluster says; 0 where that cannot be read.
    #[must_use]
    pub fn version(&self) -> u32 {
        let text = fs::read_to_string(self.directory.join("data").join("PG_VERSION"));
        text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    /// The server's process.
    pub const fn process(&mut self) -> &mut Running {
        &mut self.running
    }

    /// Has all processes of the server stand still (`SIGSTOP`) until what this gives is dropped.
    ///
    /// # Errors
    /// Where `kill` cannot be run, or `/proc` not be read.
    pub fn stand_still(&self) -> io::Result<StandingStill<'_>> {
        let still = StandingStill(self);
        self.signal_all("STOP")?;
        Ok(still)
    }

    fn signal_all(&self, signal: &str) -> io::Result<()> {
        let own = self.running.pid();
        // The first makes no others while it stands still.
        self.running.signal(signal)?;
        for entry in fs::read_dir("/proc")?.flatten() {
            let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
            // What stands in brackets is a name, which may hold anything (proc_pid_stat(5)).
            let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
            let parent = behind.split_whitespace().nth(1).and_then(|pid| pid.parse().ok());
            if parent == Some(own) {
                let mut kill = Command::new("kill");
                kill.arg(format!("-{signal}")).arg(entry.file_name()).status()?;
            }
        }
        Ok(())
    }

    /// The directory with `psql`, `pgbench` and the rest.
    #[must_use]
    pub fn program_directory(&self) -> &Path {
        &self.clients
    }

    /// The directory of the cluster, its socket and its log.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Runs SQL as the superuser, and gives what `psql` printed (unaligned, tuples only).
    ///
    /// # Errors
    /// [`ServerError::Failed`] with what `psql` said.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String, ServerError> {
        let mut child = Command::new(self.clients.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"])
            .args(["-p", &self.port.to_string(), "-U", "postgres", "-d", database, "-f", "-"])
            .env("PGPASSWORD", &self.password)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            io::Write::write_all(&mut stdin, sql.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(ServerError::Failed { step: "psql", message });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// A server that stands still, which goes on when this is dropped.
#[derive(Debug)]
pub struct StandingStill<'a>(&'a Postgres);

impl Drop for StandingStill<'_> {
    fn drop(&mut self) {
        // Whoever asks it next finds out where it does not.
        let _ = self.0.signal_all("CONT");
    }
}

/// Where programs of PostgreSQL may be, the newest version first.
fn directories() -> impl Iterator<Item = PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    found.sort();
    found.reverse();
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.extend(std::env::split_paths(&path));
    found.into_iter()
}

fn has(directory: &Path, programs: &[&str]) -> bool {
    programs.iter().all(|program| directory.join(program).exists())
}

fn initialise(
    programs: &Path,
    user: Option<User>,
    directory: &Path,
    password: &str,
) -> Result<(), ServerError> {
    let password_file = directory.join("password");
    fs::write(&password_file, password)?;
    User::own(user, &password_file)?;
    let output = User::command(user, &programs.join("initdb"))
        .arg("-D")
        .arg(directory.join("data"))
        .args(["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"])
        .arg("--no-sync")
        .arg(format!("--pwfile={}", password_file.display()))
        .current_dir(directory)
        .output()?;
    fs::remove_file(&password_file)?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(ServerError::Failed { step: "initdb", message });
    }
    Ok(())
}

fn configure(directory: &Path, options: &Options) -> Result<(), ServerError> {
    let data = directory.join("data");
    if !options.settings.is_empty() {
        let file = data.join("postgresql.conf");
        let mut text = fs::read_to_string(&file)?;
        for line in &options.settings {
            text.push('\n');
            text.push_str(line);
        }
        text.push('\n');
        fs::write(&file, text)?;
    }
    if !options.hba.is_empty() {
        fs::write(data.join("pg_hba.conf"), options.hba.join("\n") + "\n")?;
    }
    Ok(())
}
