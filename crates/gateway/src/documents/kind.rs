//! The kinds of documents, and how each becomes part of what a gateway goes by.

use super::fixtures::Fixtures;
use super::identity;
use crate::config::{Config, Connection, line_of, with_nearest};
use crate::retention::HoldDocument;
use portcullis_mask::Detectors;
use portcullis_targets::{Reference, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest name.
const MOST_NAME: usize = 50;
/// What of a connection may change under its sessions: they are judged and masked by it anew.
const JUDGED_BY: [&str; 3] = ["groups", "sensitive", "detectors"];

/// What a document is about.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "DocumentKind")]
pub(crate) enum Kind {
    /// A target, with what is masked of it.
    Connection,
    /// Rules, beside those of the configuration file.
    Policy,
    /// Tests of policies: what is to be said to whom. A change by which one of them fails is not made.
    Test,
    /// A provider by OpenID Connect.
    Provider,
    /// A provider by SAML.
    Saml,
    /// A trust rule: which tokens stand for which workload.
    Workload,
    /// A group of people.
    Group,
    /// A legal hold: what of the record is kept whatever the rules of retention say.
    Hold,
}

/// The detectors of what no document holds.
const SECRETS: [&str; 9] = [
    "jwt",
    "private-key",
    "aws-access-key",
    "aws-secret-key",
    "api-key",
    "url-password",
    "connection-password",
    "password-hash",
    "secret",
];

/// What is wrong with a document: which, where, and what.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", self.place())]
pub(crate) struct Wrong {
    file: String,
    line: Option<usize>,
    what: String,
}

impl Wrong {
    fn place(&self) -> String {
        self.line.map_or_else(|| self.file.clone(), |line| format!("{}:{line}", self.file))
    }
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Connection,
        Self::Policy,
        Self::Test,
        Self::Provider,
        Self::Saml,
        Self::Workload,
        Self::Group,
        Self::Hold,
    ];

    /// The word for one of them.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Policy => "policy",
            Self::Test => "test",
            Self::Provider => "provider",
            Self::Saml => "saml",
            Self::Workload => "workload",
            Self::Group => "group",
            Self::Hold => "hold",
        }
    }

    /// The directory their files are in.
    pub(crate) const fn directory(self) -> &'static str {
        match self {
            Self::Connection => "connections",
            Self::Policy => "policies",
            Self::Test => "tests",
            Self::Provider => "providers",
            Self::Saml => "saml",
            Self::Workload => "workloads",
            Self::Group => "groups",
            Self::Hold => "holds",
        }
    }

    /// How the names of their files end.
    pub(crate) const fn extension(self) -> &'static str {
        match self {
            Self::Policy => "cedar",
            _ => "toml",
        }
    }

    /// The directories there may be, for whoever has put something elsewhere.
    pub(crate) fn directories() -> String {
        let all: Vec<String> =
            Self::ALL.iter().map(|kind| format!("`{}/`", kind.directory())).collect();
        all.join(", ")
    }

    /// Whether a watched directory has to have it, be it empty: without the rules in it more would be
    /// permitted. What the others say gives rights, so that without them less would be.
    pub(crate) const fn is_needed(self) -> bool {
        matches!(self, Self::Connection | Self::Policy)
    }

    /// The kind and name of an id, `KIND.NAME`.
    pub(crate) fn of_id(id: &str) -> Option<(Self, &str)> {
        let (word, name) = id.split_once('.')?;
        Some((Self::of_word(word)?, name))
    }

    /// The kind of that word.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// What is called wrong with one of them.
    pub(crate) fn wrong(self, name: &str, line: Option<usize>, what: impl Into<String>) -> Wrong {
        let (directory, extension) = (self.directory(), self.extension());
        // It may be anybody's text.
        let name = portcullis_ledger::visible::escape(name);
        Wrong { file: format!("{directory}/{name}.{extension}"), line, what: what.into() }
    }

    /// Whether it is a name.
    pub(crate) fn check_name(self, name: &str) -> Result<(), Wrong> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let first = name.bytes().next().is_some_and(plain);
        let rest = name.bytes().all(|b| plain(b) || b == b'-' || b == b'_');
        if first && rest && name.len() <= MOST_NAME {
            return Ok(());
        }
        let what = format!(
            "a name has 1 to {MOST_NAME} small letters, digits, `-` and `_`, with a letter or digit first"
        );
        Err(self.wrong(&name.chars().take(MOST_NAME).collect::<String>(), None, what))
    }

    /// Takes one into a configuration.
    pub(super) fn take(
        self,
        config: &mut Config,
        base: &Config,
        name: &str,
        text: &str,
    ) -> Result<(), Wrong> {
        if let Some((line, what)) = secret_in(text) {
            let what = format!(
                "this looks like a secret ({what}): name where it is (`password_from`), not what it is"
            );
            return Err(self.wrong(name, Some(line), what));
        }
        match self {
            Self::Provider | Self::Saml | Self::Workload | Self::Group => {
                identity::take(self, config, base, (name, text))
            }
            Self::Test => {
                let tests = Fixtures::read(text);
                let tests = tests.map_err(|(line, what)| self.wrong(name, line, what))?;
                config.policy.tests.insert(name.to_owned(), tests);
                Ok(())
            }
            Self::Hold => {
                let wrong = |line, what: String| self.wrong(name, line, what);
                let read: HoldDocument = toml::from_str(text).map_err(|error| {
                    let line = error.span().map(|span| line_of(text, span.start));
                    wrong(line, with_nearest(error.message()))
                })?;
                let hold = read.hold(name).map_err(|what| wrong(None, what))?;
                config.holds.insert(name.to_owned(), hold);
                Ok(())
            }
            Self::Policy => {
                let file = format!("{}/{name}.{}", self.directory(), self.extension());
                config.policy.documents.push((file, text.to_owned()));
                Ok(())
            }
            Self::Connection => {
                let wrong = |line, what: String| self.wrong(name, line, what);
                if base.connections.contains_key(name) {
                    let what = "this connection is the configuration file's: change it there, and \
                                restart the gateway, or take it out there first";
                    return Err(wrong(None, what.to_owned()));
                }
                let mut connection: Connection = toml::from_str(text).map_err(|error| {
                    let line = error.span().map(|span| line_of(text, span.start));
                    wrong(line, with_nearest(error.message()))
                })?;
                connection.inherit();
                let fault = connection.fault().or_else(|| credentials(&connection.target, base));
                let fault = fault.or_else(|| place(&connection.target, base));
                let fault = fault.or_else(|| {
                    let names = connection.detectors.as_ref()?;
                    let found = Detectors::named(names.iter().map(String::as_str));
                    found.err().map(|error| format!("detectors: {error}"))
                });
                if let Some(fault) = fault {
                    return Err(wrong(None, fault));
                }
                connection.fixed =
                    fixed(text).ok_or_else(|| wrong(None, "it is no TOML".into()))?;
                connection.target.resolve_passwords(&base.documents.base);
                config.connections.insert(name.to_owned(), connection);
                Ok(())
            }
        }
    }
}

/// What of a connection no session outlives, always written alike.
fn fixed(text: &str) -> Option<String> {
    let mut table: toml::Table = toml::from_str(text).ok()?;
    for name in JUDGED_BY {
        table.remove(name);
    }
    toml::to_string(&table).ok()
}

/// What a document says of credentials that no document may.
fn credentials(target: &Target, base: &Config) -> Option<String> {
    let roles = target.roles.iter().map(|role| {
        (
            "roles.",
            role.password.is_some(),
            role.password_env.is_some(),
            role.password_file.is_some(),
        )
    });
    let own = (
        "",
        target.password.is_some(),
        target.password_env.is_some(),
        target.password_file.is_some(),
    );
    for (at, clear, env, file) in std::iter::once(own).chain(roles) {
        for (key, is_there) in [("password", clear), ("password_env", env), ("password_file", file)]
        {
            if is_there {
                return Some(format!(
                    "target.{at}{key}: a document holds no secret, and names one by `password_from` alone"
                ));
            }
        }
    }
    for (role, reference) in target.references() {
        // A sealed one is for one connection, and goes where `place` lets it.
        let sealed = matches!(reference, Reference::Sealed(_));
        if !sealed && !base.documents.credentials.contains(reference) {
            return Some(format!(
                "target.password_from: role {role}: `{reference}` is not listed in documents.credentials of \
                 the configuration file, so no document may name it; or seal it (`portcullis secret set`)"
            ));
        }
    }
    None
}

/// Where a document leads that no document may, or by whose word it would.
fn place(target: &Target, base: &Config) -> Option<String> {
    let at = |target: &Target| format!("{}:{}", target.host, target.port);
    let (wanted, settings) = (at(target), &base.documents);
    let own = base.connections.values().any(|own| at(&own.target) == wanted);
    if !own && !settings.targets.contains(&wanted) {
        return Some(format!(
            "target.host: `{wanted}` is not listed in documents.targets of the configuration file, and no \
             connection of that file leads there, so no document may: its credential would go there"
        ));
    }
    let root = target.sslrootcert.as_deref().filter(|root| *root != "system");
    root.filter(|root| !settings.certificates.iter().any(|listed| listed == root)).map(|root| {
        format!(
            "target.sslrootcert: in a document it is `system`, or a file that is listed in \
             documents.certificates of the configuration file, which `{root}` is not"
        )
    })
}

/// The line of what looks like a secret, and what it looks like.
fn secret_in(text: &str) -> Option<(usize, &'static str)> {
    let secrets = Detectors::named(SECRETS).ok()?;
    let hit = secrets.scan(text.as_bytes()).into_iter().next()?;
    Some((line_of(text, hit.range.start), hit.kind.name()))
}
