//! A real PostgreSQL server in a temporary directory.

use crate::common::Rows;
use portcullis_sql::catalog::QUERIES;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A server of its own in a temporary directory, ended when dropped.
pub(crate) struct Server {
    binaries: PathBuf,
    clients: PathBuf,
    directory: PathBuf,
    user: Option<(u32, u32)>,
}

impl Server {
    /// That of `PORTCULLIS_PG_BIN`, else the newest that Debian's packages have installed.
    pub(crate) fn start() -> Self {
        let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let directories = installed.map(|e| e.path().join("bin")).filter(|p| p.is_dir());
        let Some(clients) = directories.max() else {
            panic!("no PostgreSQL in /usr/lib/postgresql: `./dev test` installs it");
        };
        let named = std::env::var_os("PORTCULLIS_PG_BIN").map(PathBuf::from);
        let binaries = named.unwrap_or_else(|| clients.clone());
        let directory = std::env::temp_dir().join(format!("portcullis-sql-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let user = owner(&directory);
        let server = Self { binaries, clients, directory, user };
        let data = server.directory.join("data");
        let data = data.to_str().unwrap();
        server.run("initdb", &["-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "-N"]);
        let socket = server.directory.to_str().unwrap();
        let options = format!("-k {socket} -c listen_addresses='' -c fsync=off");
        let log = server.directory.join("log");
        server.run(
            "pg_ctl",
            &["-D", data, "-w", "-l", log.to_str().unwrap(), "-o", &options, "start"],
        );
        server
    }

    fn command(&self, program: &str) -> Command {
        let place = if program == "psql" { &self.clients } else { &self.binaries };
        let mut command = Command::new(place.join(program));
        command.current_dir(&self.directory).stdin(Stdio::null());
        command.env("LC_ALL", "C.UTF-8");
        if let Some((uid, gid)) = self.user {
            use std::os::unix::process::CommandExt as _;
            command.uid(uid).gid(gid);
        }
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        // The server keeps what it inherits open: it must not be a pipe of the test.
        let status = self.command(program).args(arguments).stdout(Stdio::null()).status().unwrap();
        assert!(status.success(), "{program} failed");
    }

    pub(crate) fn psql(&self, database: &str, sql: &str) -> String {
        let socket = self.directory.to_str().unwrap();
        let output = self
            .command("psql")
            .args(["-X", "-q", "-A", "-t", "-F", "\x1f", "-R", "\x1e", "-P", "null=\x1d"])
            .args(["-v", "ON_ERROR_STOP=1", "-h", socket, "-U", "postgres", "-d", database])
            .args(["-c", sql])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn rows(&self, database: &str) -> Rows {
        let value = |field: &str| (field != "\x1d").then(|| field.to_owned());
        let row = |line: &str| line.split('\x1f').map(value).collect();
        QUERIES
            .iter()
            .map(|query| {
                let text = self.psql(database, query);
                let text = text.strip_suffix('\n').unwrap_or(&text);
                text.split('\x1e').filter(|line| !line.is_empty()).map(row).collect()
            })
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.directory.join("data");
        let _ = self
            .command("pg_ctl")
            .args(["-D", data.to_str().unwrap(), "-m", "immediate", "stop"])
            .stdout(Stdio::null())
            .status();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The server refuses to run as root: then it runs as `postgres`, who owns the directory.
fn owner(directory: &Path) -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    if std::fs::metadata(directory).unwrap().uid() != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|l| l.starts_with("postgres:")).unwrap();
    let fields: Vec<&str> = line.split(':').collect();
    let (uid, gid) = (fields[2].parse().unwrap(), fields[3].parse().unwrap());
    std::os::unix::fs::chown(directory, Some(uid), Some(gid)).unwrap();
    Some((uid, gid))
}

impl Server {
    /// A connection by the socket, driven on its own thread's runtime.
    pub(crate) async fn connect(&self, database: &str) -> tokio_postgres::Client {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.directory).user("postgres").dbname(database);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}
