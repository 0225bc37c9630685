//! How to connect: what is typed or pasted into a client, by what the configuration says of the way. A
//! command is given where it works as it stands, and none where it would give a token to whoever stands in
//! between.

use crate::config::Config;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_core::principal::Principal;
use portcullis_identity::{Provider, has_invisible};
use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{OnceLock, PoisonError, RwLock};

/// The name or address by which clients find the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub(crate) struct PublicHost(String);

impl TryFrom<String> for PublicHost {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_name = text.len() <= 253
            && text.split('.').all(|label| {
                let inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
                !label.is_empty() && !label.starts_with('-') && label.chars().all(inner)
            });
        if is_name || text.parse::<IpAddr>().is_ok() {
            return Ok(Self(text));
        }
        Err(format!("`{text}` is neither a host name nor an address: leave out scheme and port"))
    }
}

/// Where clients connect, and where their tokens come from.
#[derive(Debug)]
pub(crate) struct Door {
    configured: SocketAddr,
    /// Where the listener is, once there is one: the system may choose the port.
    bound: OnceLock<SocketAddr>,
    public_host: Option<PublicHost>,
    /// Clients can check its certificate: it is not one that was made here.
    verifiable: bool,
    /// The one that was made here, in PEM, once there is a listener.
    own: OnceLock<String>,
    tokens: RwLock<BTreeMap<String, Tokens>>,
}

/// Where people have tokens of one issuer from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tokens {
    /// Whoever runs the gateway takes them, on its machine: what is written before `token`.
    Development(String),
    /// `portcullis login`, with the name of the provider.
    Terminal(String),
    /// They bring their own.
    Brought,
}

/// How a person has a token at a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ManifestTerminal")]
pub(crate) struct Terminal {
    /// Run once, before anything else.
    login: Option<String>,
    /// What prints the token; without it, it is in `PORTCULLIS_TOKEN` by the person's own doing.
    token: Option<String>,
    /// What it is as the value of a variable, in a shell.
    #[serde(skip)]
    value: String,
}

/// How to connect to one connection.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ManifestConnect")]
pub(crate) struct Connect {
    host: String,
    port: u16,
    /// The connection's name.
    database: String,
    user: String,
    sslmode: &'static str,
    /// A command for a POSIX shell, with the token as the password.
    psql: String,
    /// For clients that take a URI of libpq's; the password is the token.
    uri: String,
    /// For clients that take one of JDBC's.
    jdbc: String,
    /// The command to ask for access, where the connection takes a grant.
    ask: Option<String>,
}

impl Door {
    /// `providers` are all there are, with the one for development.
    pub(crate) fn of(config: &Config, providers: &[Provider]) -> Self {
        let listen = &config.listen.postgres;
        let door = Self {
            configured: listen.address,
            bound: OnceLock::new(),
            public_host: listen.public_host.clone(),
            verifiable: listen.tls_certificate.is_some(),
            own: OnceLock::new(),
            tokens: RwLock::default(),
        };
        door.tokens_of(config, providers);
        door
    }

    /// From now on these are all providers there are, with the one for development.
    pub(crate) fn tokens_of(&self, config: &Config, providers: &[Provider]) {
        let development = config.identity.development.as_ref();
        let tokens = providers.iter().map(|provider| {
            let tokens = match provider.terminal_client() {
                _ if development.is_some_and(|one| one.issuer == provider.issuer) => {
                    Tokens::Development(program(&config.file))
                }
                Some(_) => Tokens::Terminal(provider.name.clone()),
                None => Tokens::Brought,
            };
            (provider.issuer.clone(), tokens)
        });
        // It is replaced as a whole.
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = tokens.collect();
    }

    fn tokens(&self) -> BTreeMap<String, Tokens> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The issuer of the development provider, where there is one.
    pub(crate) fn development(&self) -> Option<String> {
        let is_one = |tokens: &Tokens| matches!(tokens, Tokens::Development(_));
        let mut all = self.tokens().into_iter();
        all.find(|(_, tokens)| is_one(tokens)).map(|(issuer, _)| issuer)
    }

    /// Where the listener is.
    pub(crate) fn listens_at(&self, address: SocketAddr) {
        // Once: a gateway has one listener for PostgreSQL.
        let _ = self.bound.set(address);
    }

    /// The listener shows this certificate, in DER, which was made here.
    pub(crate) fn shows(&self, der: &[u8]) {
        // Once, as above.
        let _ = self.own.set(pem(der));
    }

    /// The certificate that was made here, in PEM, where clients have to check one: it names no host they
    /// could use, so they pin it.
    pub(super) fn to_pin(&self) -> Option<&str> {
        self.own.get().filter(|_| self.sslmode() == "verify-full").map(String::as_str)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.bound.get().copied().unwrap_or(self.configured)
    }

    /// The name or address clients have to use, where it is known.
    pub(super) fn host(&self) -> Option<String> {
        let ip = self.address().ip();
        match &self.public_host {
            Some(PublicHost(host)) => Some(host.clone()),
            None => (!ip.is_unspecified()).then(|| ip.to_string()),
        }
    }

    /// What clients have to ask of TLS. On this machine nobody is in between; elsewhere whoever is would
    /// be given the token.
    pub(super) fn sslmode(&self) -> &'static str {
        let here = self.public_host.is_none() && self.address().ip().is_loopback();
        if here { "require" } else { "verify-full" }
    }

    /// Why nobody can be told how to connect.
    pub(super) fn trouble(&self) -> Option<&'static str> {
        if self.host().is_none() {
            return Some(
                "it is not known by which name clients find this gateway: an administrator sets \
                 listen.postgres.public_host",
            );
        }
        (self.sslmode() == "verify-full" && !self.verifiable).then_some(
            "the gateway's certificate is one it has made itself, which no client can check: an \
             administrator sets listen.postgres.tls_certificate and tls_key",
        )
    }

    /// How this principal has a token at a terminal; none where its provider gives tokens to browsers
    /// alone.
    pub(super) fn terminal(
        &self,
        principal: &Principal,
        gateway: Option<&str>,
    ) -> Option<Terminal> {
        let brought = Terminal { login: None, token: None, value: "$PORTCULLIS_TOKEN".to_owned() };
        if !principal.is_person_alone() {
            return Some(brought);
        }
        let tokens = self.tokens();
        let (login, token) = match (tokens.get(&principal.issuer)?, gateway) {
            (Tokens::Development(program), _) => {
                (None, format!("{program} token --as {}", shell(&principal.name)))
            }
            (Tokens::Terminal(provider), Some(gateway)) => {
                let gateway = shell(gateway);
                let provider = match tokens.len() {
                    0 | 1 => String::new(),
                    _ => format!(" --provider {}", shell(provider)),
                };
                let login = format!("portcullis login --gateway {gateway}{provider}");
                (Some(login), format!("portcullis token --gateway {gateway}"))
            }
            (Tokens::Terminal(_), None) | (Tokens::Brought, _) => return Some(brought),
        };
        let value = format!("$({token})");
        Some(Terminal { login, token: Some(token), value })
    }

    /// How this principal connects; `grant` is the command to ask for access with, as everybody is told it.
    pub(super) fn connect(
        &self,
        principal: &Principal,
        terminal: &Terminal,
        (connection, grant): (&str, Option<&str>),
    ) -> Option<Connect> {
        let user = principal.name.as_str();
        // What a shell or a client would read otherwise than it is shown is not to be pasted.
        if self.trouble().is_some() || has_invisible(connection) || has_invisible(user) {
            return None;
        }
        let (host, port, sslmode) = (self.host()?, self.address().port(), self.sslmode());
        let at = match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        let conninfo = conninfo((&host, port), connection, user, sslmode);
        let url = |scheme: &str, user: Option<&str>, query: &[(&str, &str)]| {
            let mut url = Url::parse(&format!("{scheme}://{at}")).ok()?;
            url.path_segments_mut().ok()?.push(connection);
            user.map_or(Ok(()), |user| url.set_username(user)).ok()?;
            url.query_pairs_mut().extend_pairs(query);
            Some(url.to_string())
        };
        Some(Connect {
            psql: format!("PGPASSWORD=\"{}\" psql {conninfo}", terminal.value),
            uri: url("postgresql", Some(user), &[("sslmode", sslmode)])?,
            // What comes before the scheme is no part of a URL's syntax.
            jdbc: format!(
                "jdbc:{}",
                url("postgresql", None, &[("user", user), ("sslmode", sslmode)])?
            ),
            ask: grant.map(|grant| self.ask(principal, grant)),
            database: connection.to_owned(),
            user: user.to_owned(),
            host,
            port,
            sslmode,
        })
    }

    fn ask(&self, principal: &Principal, grant: &str) -> String {
        let tokens = self.tokens();
        match (tokens.get(&principal.issuer), grant.strip_prefix("portcullis request ")) {
            (Some(Tokens::Development(program)), Some(rest)) if principal.is_person_alone() => {
                format!("{program} request --as {} {rest}", shell(&principal.name))
            }
            _ => grant.to_owned(),
        }
    }
}

/// A certificate as a text (RFC 7468, 3).
fn pem(der: &[u8]) -> String {
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for (at, c) in STANDARD.encode(der).chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            text.push('\n');
        }
        text.push(c);
    }
    text + "\n-----END CERTIFICATE-----\n"
}

/// The program and its configuration, for whoever is on this machine.
fn program(file: &Path) -> String {
    let exe = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("portcullis"));
    let is_this = |at: PathBuf| at.join("portcullis") == exe;
    let on_path = std::env::var_os("PATH").is_some_and(|p| std::env::split_paths(&p).any(is_this));
    let exe = if on_path { "portcullis".into() } else { shell(&exe.to_string_lossy()) };
    format!("{exe} --config {}", shell(&file.to_string_lossy()))
}

/// A connection string (libpq, 34.1.1.1) as one word of a POSIX shell.
pub(super) fn conninfo(
    (host, port): (&str, u16),
    database: &str,
    user: &str,
    sslmode: &str,
) -> String {
    let (host, database, user) = (value(host), value(database), value(user));
    let text = format!("host={host} port={port} dbname={database} user={user} sslmode={sslmode}");
    // With nothing in it that a shell looks at, it reads better so.
    let plain = |c: char| c.is_ascii_alphanumeric() || " =_.@:-".contains(c);
    if text.chars().all(plain) { format!("\"{text}\"") } else { shell(&text) }
}

/// A value of a connection string.
fn value(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.@:-".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
    }
}

/// One word of a POSIX shell (2.2.2, single quotes).
fn shell(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.@:/+-".contains(c);
    match !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn door(listen: &str) -> Door {
        let config: Config = toml::from_str(&format!("[listen.postgres]\n{listen}")).unwrap();
        Door::of(&config, &[])
    }

    #[test]
    fn a_shell_and_libpq_read_what_was_meant() {
        for name in ["bo", "Ana Ray", "o'neil", "a\\b", "$(id)`x`\"", "-c", "é"] {
            let script = format!("printf %s {}", shell(name));
            let read = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(read.stdout).unwrap(), name, "{script}");
            let script = format!("printf %s {}", conninfo(("h", 1), name, name, "require"));
            let read = Command::new("sh").args(["-c", &script]).output().unwrap();
            let value = value(name);
            let expect = format!("host=h port=1 dbname={value} user={value} sslmode=require");
            assert_eq!(String::from_utf8(read.stdout).unwrap(), expect, "{script}");
        }
        assert_eq!(value("o'n\\"), r"'o\'n\\'");
        assert_eq!(
            conninfo(("127.0.0.1", 6432), "shop", "bo", "require"),
            "\"host=127.0.0.1 port=6432 dbname=shop user=bo sslmode=require\""
        );
    }

    #[test]
    fn nothing_is_told_that_would_give_a_token_to_somebody_else() {
        let check = |listen: &str, host: Option<&str>, mode: &str, trouble: &str| {
            let door = door(listen);
            assert_eq!(door.host().as_deref(), host, "{listen}");
            assert_eq!(door.sslmode(), mode, "{listen}");
            let told = door.trouble().unwrap_or_default();
            assert!(told.contains(trouble) && told.is_empty() == trouble.is_empty(), "{told}");
        };
        check("", Some("127.0.0.1"), "require", "");
        check("address = \"0.0.0.0:1\"", None, "verify-full", "public_host");
        check("address = \"192.0.2.1:1\"", Some("192.0.2.1"), "verify-full", "tls_certificate");
        let named = "address = \"0.0.0.0:1\"\npublic_host = \"db.example\"";
        check(named, Some("db.example"), "verify-full", "tls_certificate");
        let files = format!("{named}\ntls_certificate = \"c\"\ntls_key = \"k\"");
        check(&files, Some("db.example"), "verify-full", "");
        // Behind a name on loopback there is somebody in between as well.
        check("public_host = \"db.example\"", Some("db.example"), "verify-full", "made itself");
    }

    #[test]
    fn the_port_is_the_one_that_is_listened_at() {
        let door = door("address = \"127.0.0.1:0\"");
        door.listens_at(SocketAddr::from(([127, 0, 0, 1], 4711)));
        assert_eq!(door.address().port(), 4711);
    }

    #[test]
    fn a_public_host_is_a_name_or_an_address() {
        for good in ["gateway.example", "10.0.0.1", "::1", "db_1"] {
            assert!(PublicHost::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for wrong in ["", "a b", "https://x", "x:5432", "-x", "a..b", "$(id)", "x\n"] {
            assert!(PublicHost::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
