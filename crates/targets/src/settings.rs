//! How a target is reached and who the gateway is there: the settings of a connection.
//!
//! The words are libpq's (PostgreSQL manual, "SSL Support" and "Parameter Key Words"); where they
//! are weak, weakness has to be written out and is told at start.

use crate::credential::{CredentialSource, Password};
use crate::reference::Reference;
use rustls_pki_types::ServerName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A target: where it is, how it proves itself, and the roles the gateway may take there.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Host name or address; a path that begins with `/` is the directory of a Unix socket.
    pub host: String,
    /// TCP port, or the number in the Unix socket's name.
    #[serde(default = "default_port")]
    pub port: u16,
    /// Database at the target.
    pub database: String,
    /// The role the gateway takes at the target unless another one is asked for and allowed.
    pub user: String,
    /// Password of `user`, in clear text. For development: prefer `password_from`.
    #[serde(default)]
    pub password: Option<Password>,
    /// Environment variable that holds the password of `user`.
    #[serde(default)]
    pub password_env: Option<String>,
    /// File that holds the password of `user`, and that nobody else can read; read at every log-in,
    /// so it can be rotated.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Where the password of `user` is: `env:NAME`, `file:PATH`, `sealed:NAME` (in the gateway's
    /// store, see `portcullis secret set`) or `vault:MOUNT/PATH#FIELD`. Opened at every log-in.
    #[serde(default)]
    pub password_from: Option<Reference>,
    /// Further roles the gateway may take at the target.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// How the target proves itself. Default: `verify-full`; on loopback `prefer`.
    #[serde(default)]
    pub sslmode: Option<SslMode>,
    /// Certificates that may vouch for the target: a PEM file, or `system` for those of the
    /// operating system. Default: `system`.
    #[serde(default)]
    pub sslrootcert: Option<String>,
    /// Ways to log in that the target may ask for. Default: `scram-sha-256`; `md5` over TLS;
    /// `password` over TLS with a verified certificate; on loopback all of them and `trust`.
    #[serde(default)]
    pub methods: Option<Vec<AuthMethod>>,
    /// Seconds until a target that has not let us in counts as down (1 to 300).
    #[serde(default = "default_timeout")]
    pub connect_timeout_seconds: u16,
    /// What `application_name` is at the target: `session` (`portcullis:` and the session's id, so
    /// that the target's own log leads to the record) or `client` (what the client calls itself).
    /// Default: `session`.
    #[serde(default)]
    pub application_name: ApplicationName,
    /// Ask the operating system to find out about peers that are gone (`SO_KEEPALIVE`).
    #[serde(default = "yes")]
    pub tcp_keepalive: bool,
}

/// A further role at a target, with its own credential.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Its name at the target.
    pub user: String,
    /// Its password, in clear text. For development: prefer `password_from`.
    #[serde(default)]
    pub password: Option<Password>,
    /// Environment variable that holds its password.
    #[serde(default)]
    pub password_env: Option<String>,
    /// File that holds its password, and that nobody else can read; read at every log-in, so it can
    /// be rotated.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Where its password is: `env:NAME`, `file:PATH`, `sealed:NAME` (in the gateway's store, see
    /// `portcullis secret set`) or `vault:MOUNT/PATH#FIELD`. Opened at every log-in.
    #[serde(default)]
    pub password_from: Option<Reference>,
}

const fn default_port() -> u16 {
    5432
}

const fn default_timeout() -> u16 {
    10
}

const fn yes() -> bool {
    true
}

/// Whose name a session has in the target's own records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApplicationName {
    /// The gateway's: `portcullis:` and the session's id.
    #[default]
    Session,
    /// The client's own.
    Client,
}

/// How a target proves itself, in libpq's words. `allow` is not among them: it prefers plain text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// Never TLS.
    Disable,
    /// TLS if the target offers it, without looking at its certificate. A target that offers it
    /// and then fails is not asked again in plain text: stricter than libpq.
    Prefer,
    /// TLS, without looking at the certificate (with `sslrootcert`: as `verify-ca`, like libpq).
    Require,
    /// TLS, and a certificate that leads to `sslrootcert`.
    VerifyCa,
    /// TLS, and a certificate that leads to `sslrootcert` and names the host.
    VerifyFull,
}

impl SslMode {
    const WORDS: [(&'static str, Self); 5] = [
        ("disable", Self::Disable),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS.iter().find(|(_, mode)| mode == self).map_or("", |(word, _)| word);
        f.write_str(word)
    }
}

impl<'de> Deserialize<'de> for SslMode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "allow" {
            return Err(serde::de::Error::custom(
                "sslmode `allow` is not supported, because it prefers plain text: \
                 write `prefer`, or better `verify-full`",
            ));
        }
        let found = Self::WORDS.iter().find(|(word, _)| *word == text);
        found.map(|(_, mode)| *mode).ok_or_else(|| {
            serde::de::Error::unknown_variant(
                &text,
                &["disable", "prefer", "require", "verify-ca", "verify-full"],
            )
        })
    }
}

impl JsonSchema for SslMode {
    fn schema_name() -> Cow<'static, str> {
        "SslMode".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let words = Self::WORDS.map(|(word, _)| word);
        schemars::json_schema!({ "type": "string", "enum": words })
    }
}

/// A way to log in at a target (PostgreSQL manual, "Authentication Methods").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuthMethod {
    /// SCRAM-SHA-256, and SCRAM-SHA-256-PLUS with channel binding where both sides can.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// A salted MD5 digest. Weak: who overhears it can guess at leisure.
    Md5,
    /// The password itself. Sent over verified TLS or on loopback alone, whatever is written here.
    Password,
    /// No proof at all.
    Trust,
}

/// Something in the settings that works and weakens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The connection.
    pub connection: String,
    /// What is weak, and what would be better.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection `{}`: {}", self.connection, self.text)
    }
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value that cannot be, and why.
    #[error("connection `{connection}`: {text}")]
    Invalid {
        /// The connection.
        connection: String,
        /// What is wrong with it, and what to do.
        text: String,
    },
    /// The operating system gives no random numbers.
    #[error("no random numbers can be had")]
    Randomness,
}

/// What a role has in the settings.
fn source<'a>(
    password: Option<&'a Password>,
    env: Option<&'a str>,
    file: Option<&'a Path>,
    from: Option<&'a Reference>,
) -> Result<CredentialSource<'a>, &'static str> {
    match (password, env, file, from) {
        (None, None, None, None) => Ok(CredentialSource::None),
        (Some(password), None, None, None) => Ok(CredentialSource::Inline(password)),
        (None, Some(name), None, None) => Ok(CredentialSource::Environment(name)),
        (None, None, Some(path), None) => Ok(CredentialSource::File(path)),
        (None, None, None, Some(reference)) => Ok(reference.into()),
        _ => Err("give one of `password`, `password_env`, `password_file` and `password_from`"),
    }
}

impl Target {
    /// The names of the roles the gateway may take, the default first.
    pub fn role_names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.user.as_str()).chain(self.roles.iter().map(|role| role.user.as_str()))
    }

    /// Where the credential of a role is; `None` where there is no such role.
    pub(crate) fn source_of(
        &self,
        user: &str,
    ) -> Option<Result<CredentialSource<'_>, &'static str>> {
        if user == self.user {
            let (env, file) = (self.password_env.as_deref(), self.password_file.as_deref());
            return Some(source(self.password.as_ref(), env, file, self.password_from.as_ref()));
        }
        let role = self.roles.iter().find(|role| role.user == user)?;
        let (env, file) = (role.password_env.as_deref(), role.password_file.as_deref());
        Some(source(role.password.as_ref(), env, file, role.password_from.as_ref()))
    }

    /// The references of its roles, by role.
    pub fn references(&self) -> impl Iterator<Item = (&str, &Reference)> {
        let own = self.password_from.as_ref().map(|from| (self.user.as_str(), from));
        let roles = self.roles.iter();
        own.into_iter()
            .chain(roles.filter_map(|r| Some((r.user.as_str(), r.password_from.as_ref()?))))
    }

    /// Makes relative paths of password files ones below `base`.
    pub fn resolve_passwords(&mut self, base: &Path) {
        let files = self.roles.iter_mut().filter_map(|role| role.password_file.as_mut());
        for path in self.password_file.iter_mut().chain(files) {
            *path = base.join(&*path);
        }
        let references = self.roles.iter_mut().filter_map(|role| role.password_from.as_mut());
        for reference in self.password_from.iter_mut().chain(references) {
            reference.resolve(base);
        }
    }

    /// True where `host` is the directory of a Unix socket.
    pub(crate) fn is_unix(&self) -> bool {
        self.host.starts_with('/')
    }

    /// True where nothing between gateway and target leaves this machine. Resolved addresses are
    /// held to it when the socket is opened.
    pub(crate) fn is_local(&self) -> bool {
        self.is_unix()
            || self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
    }

    /// The mode in force.
    pub(crate) fn mode(&self) -> SslMode {
        let default = if self.is_local() { SslMode::Prefer } else { SslMode::VerifyFull };
        self.sslmode.unwrap_or(default)
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.connect_timeout_seconds))
    }

    /// The name the target's certificate has to carry.
    pub(crate) fn server_name(&self) -> Option<ServerName<'static>> {
        ServerName::try_from(self.host.clone()).ok()
    }

    fn fault(&self) -> Option<String> {
        let names = [("host", &self.host), ("database", &self.database), ("user", &self.user)];
        let roles = self.roles.iter().map(|role| ("roles.user", &role.user));
        for (key, value) in names.into_iter().chain(roles) {
            if value.is_empty() || value.len() > 255 || value.chars().any(char::is_control) {
                return Some(format!("`{key}` must have 1 to 255 bytes and no control characters"));
            }
        }
        for user in self.role_names() {
            if self.role_names().filter(|other| *other == user).count() > 1 {
                return Some(format!("role `{user}` is listed twice"));
            }
            if let Some(Err(text)) = self.source_of(user) {
                return Some(format!("role `{user}`: {text}"));
            }
        }
        if !(1..=300).contains(&self.connect_timeout_seconds) {
            return Some("`connect_timeout_seconds` must be 1 to 300".to_owned());
        }
        if self.methods.as_ref().is_some_and(Vec::is_empty) {
            return Some("`methods` is empty: no target could let us in".to_owned());
        }
        self.fault_in_tls()
    }

    fn fault_in_tls(&self) -> Option<String> {
        if self.is_unix() {
            return None;
        }
        let mode = self.mode();
        if self.server_name().is_none() && mode != SslMode::Disable {
            return Some("`host` is neither a DNS name, an address nor a path".to_owned());
        }
        // libpq: "weak sslmode may not be used with sslrootcert=system", because anybody can have
        // a certificate for some name from a public authority.
        let system = self.sslrootcert.as_deref().is_none_or(|root| root == "system");
        if system && mode == SslMode::VerifyCa {
            return Some(
                "sslmode `verify-ca` needs `sslrootcert = \"/path/to/ca.pem\"`: with the system's \
                 authorities anybody can have a certificate, so write `verify-full`"
                    .to_owned(),
            );
        }
        if self.sslrootcert.as_deref() == Some("system") && mode != SslMode::VerifyFull {
            return Some("`sslrootcert = \"system\"` needs sslmode `verify-full`".to_owned());
        }
        None
    }

    /// Checks the settings and says what in them is weak.
    pub(crate) fn review(&self, connection: &str) -> Result<Vec<Warning>, SettingsError> {
        if let Some(text) = self.fault() {
            return Err(SettingsError::Invalid { connection: connection.to_owned(), text });
        }
        let mut texts = Vec::new();
        if !self.is_local() {
            let host = &self.host;
            match self.mode() {
                SslMode::Disable => texts.push(format!(
                    "sslmode `disable`: everything to and from {host} travels unencrypted"
                )),
                SslMode::Prefer => texts.push(format!(
                    "sslmode `prefer`: whoever is between here and {host} can switch encryption \
                     off and read everything; write `verify-full`"
                )),
                SslMode::Require if self.sslrootcert.is_none() => texts.push(format!(
                    "sslmode `require` does not look at the certificate, so anybody between here \
                     and {host} can pose as it; write `verify-full`"
                )),
                SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {}
            }
            let listed = |method| self.methods.as_ref().is_some_and(|m| m.contains(&method));
            if listed(AuthMethod::Trust) {
                texts
                    .push("method `trust`: the target is let off from proving anything".to_owned());
            }
            if listed(AuthMethod::Md5) && matches!(self.mode(), SslMode::Disable | SslMode::Prefer)
            {
                texts.push("method `md5` without TLS: who overhears it can guess".to_owned());
            }
        }
        let inline = self.password.is_some() || self.roles.iter().any(|r| r.password.is_some());
        if inline {
            texts.push(
                "`password` is written in the settings, where whoever reads them has it; write \
                 `password_from = \"sealed:NAME\"`, or a file, environment variable or Vault's path"
                    .to_owned(),
            );
        }
        let connection = connection.to_owned();
        Ok(texts.into_iter().map(|text| Warning { connection: connection.clone(), text }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Target, toml::de::Error> {
        toml::from_str(&format!("database = \"shop\"\nuser = \"app\"\n{text}"))
    }

    fn check(text: &str, expect: Result<usize, &str>) {
        match (parse(text).unwrap().review("shop"), expect) {
            (Ok(warnings), Ok(count)) => assert_eq!(warnings.len(), count, "{text}: {warnings:?}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (got, _) => panic!("{text}: {got:?}"),
        }
    }

    #[test]
    fn weakness_has_to_be_written_out() {
        check("host = \"db.internal\"", Ok(0));
        assert_eq!(parse("host = \"db.internal\"").unwrap().mode(), SslMode::VerifyFull);
        for host in ["localhost", "127.0.0.1", "::1", "::ffff:127.0.0.1", "/run/postgresql"] {
            let target = parse(&format!("host = \"{host}\"")).unwrap();
            assert_eq!(target.mode(), SslMode::Prefer, "{host}");
            assert!(target.is_local());
        }
        check("host = \"db.internal\"\nsslmode = \"disable\"", Ok(1));
        check("host = \"db.internal\"\nsslmode = \"prefer\"", Ok(1));
        check("host = \"db.internal\"\nsslmode = \"prefer\"\nmethods = [\"md5\"]", Ok(2));
        check("host = \"db.internal\"\nsslmode = \"require\"", Ok(1));
        check("host = \"db.internal\"\nsslmode = \"require\"\nsslrootcert = \"/ca.pem\"", Ok(0));
        check("host = \"localhost\"\nsslmode = \"disable\"", Ok(0));
        check("host = \"localhost\"\npassword = \"x\"", Ok(1));
        check("host = \"db.internal\"\nmethods = [\"trust\"]", Ok(1));
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_way_out() {
        check("host = \"\"", Err("`host`"));
        check("host = \"db\"\nsslmode = \"verify-ca\"", Err("needs `sslrootcert"));
        check("host = \"db\"\nsslmode = \"require\"\nsslrootcert = \"system\"", Err("verify-full"));
        check("host = \"db\"\npassword = \"x\"\npassword_env = \"Y\"", Err("give one of"));
        let two = "host = \"db\"\npassword_file = \"x\"\npassword_from = \"sealed:y\"";
        check(two, Err("give one of"));
        check("host = \"db\"\npassword_from = \"sealed:y\"", Ok(0));
        check("host = \"db\"\nroles = [{ user = \"app\" }]", Err("twice"));
        check("host = \"db\"\nconnect_timeout_seconds = 0", Err("1 to 300"));
        check("host = \"db\"\nmethods = []", Err("empty"));
        check("host = \"no such host\"", Err("neither"));
        let error = parse("host = \"db\"\nsslmode = \"allow\"").unwrap_err().to_string();
        assert!(error.contains("not supported"), "{error}");
        assert!(parse("host = \"db\"\nsslmode = \"verify_full\"").is_err());
        assert!(parse("host = \"db\"\npasword = \"x\"").is_err());
    }

    #[test]
    fn a_schema_can_be_made_and_debug_hides_passwords() {
        let schema = schemars::schema_for!(Target);
        let text = serde_json::to_string(&schema).unwrap();
        assert!(text.contains("verify-full") && text.contains("scram-sha-256"), "{text}");
        let target = parse("host = \"db\"\npassword = \"hunter2\"").unwrap();
        assert!(!format!("{target:?}").contains("hunter2"));
        let number = parse("host = \"db\"\npassword = 4711").unwrap_err();
        assert!(!number.message().contains("4711"), "{number}");
    }
}
