//! A real PostgreSQL server in a temporary directory, stopped when dropped.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub struct Server {
    home: tempfile::TempDir,
    owner: Option<(u32, u32)>,
    pub port: u16,
}

/// A certificate authority, and a server certificate by it.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Its signatures use SHA-384: a log-in bound with any other digest is refused.
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
        Self { issuer }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for `names` and its key.
    pub fn issue(&self, names: &[&str], until: i32) -> (rcgen::Certificate, KeyPair) {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

const HBA: &str = "\
local all postgres          trust
local all all               scram-sha-256
host  all trusted all       trust
host  all hashed  all       md5
host  all clear   all       password
hostnossl all tlsonly all   reject
host  all all     all       scram-sha-256
";

const SETTINGS: &str = "\
ssl = on
ssl_cert_file = 'server.crt'
ssl_key_file = 'server.key'
listen_addresses = '127.0.0.1'
fsync = off
shared_buffers = 16MB
log_connections = on
";

const ROLES: &str = "\
create role app login password 'pencil';
create role unicode login password U&'I\\00ADX\\2168';
create role tlsonly login password 'pencil';
create role trusted login;
create role clear login password 'clear as glass';
create role odd login password 'pencil';
alter role odd set standard_conforming_strings = off;
alter role odd set client_encoding = 'SJIS';
create role hashed login password 'old ways';
create database shop;
create database bytes encoding 'SQL_ASCII' locale 'C' template template0;
";

impl Server {
    pub fn start(authority: &Authority) -> Self {
        let home = tempfile::tempdir().unwrap();
        let server = Self { home, owner: postgres_user(), port: free_port() };
        server.own(server.home.path());
        let data = server.data();
        let data_text = data.to_str().unwrap();
        let arguments = ["-D", data_text, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8"];
        server.run("initdb", &[&arguments[..], &["--locale=C.UTF-8"]].concat());
        let (certificate, key) = authority.issue(&["localhost"], 2090);
        server.write("server.crt", &certificate.pem());
        server.write("server.key", &key.serialize_pem());
        server.write("pg_hba.conf", HBA);
        let sockets = server.home.path().display();
        let tail = format!("port = {}\nunix_socket_directories = '{sockets}'\n", server.port);
        server.write("postgresql.auto.conf", &format!("{SETTINGS}{tail}"));
        let log = data.join("log.txt");
        server.run("pg_ctl", &["-D", data_text, "-w", "-l", log.to_str().unwrap(), "start"]);
        for statement in ROLES.split_terminator(";\n") {
            server.psql(statement);
        }
        server
    }

    pub fn sockets(&self) -> &str {
        self.home.path().to_str().unwrap()
    }

    /// The server's own certificate.
    pub fn certificate(&self) -> String {
        std::fs::read_to_string(self.data().join("server.crt")).unwrap()
    }

    /// Runs a statement as superuser.
    fn psql(&self, statement: &str) {
        let port = self.port.to_string();
        // The weak digest is for the one role that is to have it.
        let weak = statement.contains("hashed");
        let before = if weak { "set password_encryption = md5" } else { "select 1" };
        let common = ["-qX", "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-h", self.sockets()];
        self.run("psql", &[&common[..], &["-p", &port, "-c", before, "-c", statement]].concat());
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn own(&self, path: &Path) {
        if let Some((user, group)) = self.owner {
            chown(path, Some(user), Some(group)).unwrap();
        }
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.data().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        self.own(&path);
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(find(program));
        command.args(arguments).current_dir("/").env("PGTZ", "UTC");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        let status = command.status().unwrap();
        assert!(status.success(), "{program} {arguments:?}: {status}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.data();
        self.run("pg_ctl", &["-D", data.to_str().unwrap(), "-m", "immediate", "-w", "stop"]);
    }
}

/// PostgreSQL's own programs, from where Debian puts them or from `PATH`.
fn find(program: &str) -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin").join(program))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| PathBuf::from(program))
}

/// Numbers of the user `postgres` where these tests run as root, which servers refuse.
fn postgres_user() -> Option<(u32, u32)> {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let root = status.lines().any(|l| l.starts_with("Uid:\t0\t"));
    let line = passwd.lines().find(|l| l.starts_with("postgres:")).filter(|_| root)?;
    let mut numbers = line.split(':').skip(2).map(|n| n.parse().unwrap());
    Some((numbers.next()?, numbers.next()?))
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
