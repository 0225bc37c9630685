//! The configuration as it is gone by, key by key, with where each value is from: for `portcullis config show`
//! and for administrators. No value that could be a secret is in it. Beside the life of a request.
//!
//! *Architecture invariant:* what is not known to be harmless is not shown. References (`…_file`, `…_env`,
//! `…_from`) name where a secret is, and are shown; what stands where a secret may stand is not.

use crate::config::{Config, line_of};
use portcullis_core::digest::{Digest, Digester};
use reqwest::Url;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What takes the place of a value that is not shown.
const HIDDEN: &str = "(not shown)";
/// Words in the names of keys whose values may be secrets.
const SECRET: [&str; 5] = ["password", "secret", "token", "key", "credential"];
/// Endings of keys whose values say where a secret is.
const REFERENCES: [&str; 5] = ["_file", "_files", "_env", "_from", "_seconds"];
/// Beginnings of values that say where a secret is.
const PLACES: [&str; 4] = ["env:", "file:", "sealed:", "vault:"];
/// Keys that have nothing to do with secrets, and tables that hold no secret themselves.
const HARMLESS: [&str; 3] = ["tls_key", "master_key", "token_ttl_seconds"];
/// Keys whose values may be anything, a secret among it.
const ANYTHING: [&str; 2] = ["parameters", "command"];

/// The configuration file, as it was read.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Settings {
    /// The file.
    pub(crate) file: PathBuf,
    /// Every key that is set, or has a default.
    pub(crate) settings: Vec<Setting>,
    /// What the file held.
    #[serde(skip)]
    pub(crate) digest: Option<Digest>,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Setting {
    /// Its path (`listen.postgres.address`).
    pub(crate) key: String,
    /// Its value, as TOML writes it.
    pub(crate) value: String,
    /// The line of the file; without one it is the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
}

impl Settings {
    /// Those of a file. What cannot be read has none: who starts or shows it has read it before.
    pub(crate) fn of(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        Self { file: file.to_owned(), settings: read(&text), digest: digest(file) }
    }

    /// Whether the file says something else by now.
    pub(crate) fn has_changed(&self) -> bool {
        digest(&self.file) != self.digest
    }
}

fn digest(file: &Path) -> Option<Digest> {
    let bytes = std::fs::read(file).ok()?;
    Some(Digester::new("portcullis/settings/1").part(&bytes).finish())
}

fn read(text: &str) -> Vec<Setting> {
    let mut all = Vec::new();
    if let Ok(table) = DeTable::parse(text) {
        written(text, "", table.get_ref(), &mut all);
    }
    let set: BTreeSet<String> = all.iter().map(|one| one.key.clone()).collect();
    let schema = schemars::schema_for!(Config).to_value();
    defaults(&schema, &schema, "", &mut |key, value| {
        // A list of tables is set where one of them is.
        let below = [format!("{key}."), format!("{key}[")];
        let is_set = set.iter().any(|known| {
            *known == key || below.iter().any(|below| known.starts_with(below.as_str()))
        });
        if !is_set {
            all.push(Setting { value: shown(&key, value), key, line: None });
        }
    });
    all.sort_by(|a, b| a.key.cmp(&b.key));
    all
}

/// What the file says, below a key.
fn written(text: &str, above: &str, table: &DeTable<'_>, all: &mut Vec<Setting>) {
    for (name, value) in table {
        let name = name.get_ref();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let name = match name.chars().all(plain) && !name.is_empty() {
            true => name.to_string(),
            false => Value::from(name.as_ref()).to_string(),
        };
        let key = if above.is_empty() { name } else { format!("{above}.{name}") };
        one(text, key, value, all);
    }
}

fn one(text: &str, key: String, value: &Spanned<DeValue<'_>>, all: &mut Vec<Setting>) {
    match value.get_ref() {
        DeValue::Table(table) if !table.is_empty() => written(text, &key, table, all),
        DeValue::Array(list) if list.iter().any(|one| one.get_ref().is_table()) => {
            for (place, value) in list.iter().enumerate() {
                one(text, format!("{key}[{place}]"), value, all);
            }
        }
        value_of => {
            let line = Some(line_of(text, value.span().start));
            let value = shown(&key, &plain(value_of));
            all.push(Setting { key, value, line });
        }
    }
}

/// A value without its place.
fn plain(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Boolean(flag) => Value::from(*flag),
        DeValue::Integer(number) => Value::from(number.to_string().parse::<i64>().ok()),
        DeValue::Float(number) => Value::from(number.to_string()),
        DeValue::Datetime(at) => Value::from(at.to_string()),
        DeValue::Array(list) => list.iter().map(|one| plain(one.get_ref())).collect(),
        DeValue::Table(table) => {
            let all = table.iter();
            Value::Object(all.map(|(k, v)| (k.get_ref().to_string(), plain(v.get_ref()))).collect())
        }
    }
}

/// The defaults of keys, but for those of lists and of tables that have names of their own.
fn defaults(root: &Value, schema: &Value, above: &str, told: &mut impl FnMut(String, &Value)) {
    let Some(properties) = schema.pointer("/properties").and_then(Value::as_object) else { return };
    for (name, of) in properties {
        let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        let reference = of.pointer("/$ref").and_then(Value::as_str);
        let target = reference.and_then(|at| root.pointer(at.trim_start_matches('#')));
        match (target.filter(|target| target.pointer("/properties").is_some()), of.get("default")) {
            (Some(target), _) => defaults(root, target, &key, told),
            (None, Some(value)) if !value.is_null() => told(key, value),
            _ => {}
        }
    }
}

/// A value as it may be seen.
fn shown(key: &str, value: &Value) -> String {
    let names = || key.split('.').map(|name| name.split('[').next().unwrap_or(name));
    let last = names().next_back().unwrap_or_default();
    let is_below = |name: &str| name.contains("password") || ["secret", "token"].contains(&name);
    if names().any(|name| ANYTHING.contains(&name) || name != last && is_below(name))
        || may_be_secret(last, value)
    {
        return HIDDEN.to_owned();
    }
    // Whoever knows the path of a webhook can post to it.
    if let ("url", Some(text), true) = (last, value.as_str(), names().any(|name| name == "notify"))
    {
        let origin = Url::parse(text).map(|url| url.origin().ascii_serialization());
        return Value::from(format!("{} {HIDDEN}", origin.unwrap_or_default())).to_string();
    }
    harmless(value).to_string()
}

fn may_be_secret(name: &str, value: &Value) -> bool {
    let named = SECRET.iter().any(|word| name.contains(word));
    let refers = |text: &str| PLACES.iter().any(|place| text.starts_with(place));
    let is_reference = match value {
        Value::String(text) => refers(text),
        Value::Array(list) => list.iter().all(|one| one.as_str().is_some_and(refers)),
        Value::Bool(_) => true,
        _ => false,
    };
    let ends = REFERENCES.iter().any(|ending| name.ends_with(ending));
    named && !ends && !is_reference && !HARMLESS.contains(&name)
}

/// The same with nothing in it that leads somewhere by being known: of a URL with a user or a query, or that
/// is not of this machine, user, password and query are left out.
fn harmless(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::from(without_secrets(text)),
        Value::Array(list) => list.iter().map(harmless).collect(),
        Value::Object(all) => {
            let one = |(name, value): (&String, &Value)| {
                let hide = may_be_secret(name, value) || ANYTHING.contains(&name.as_str());
                (name.clone(), if hide { Value::from(HIDDEN) } else { harmless(value) })
            };
            Value::Object(all.iter().map(one).collect())
        }
        other => other.clone(),
    }
}

fn without_secrets(text: &str) -> String {
    if !text.contains("://") {
        return text.to_owned();
    }
    let Ok(mut url) = Url::parse(text) else { return HIDDEN.to_owned() };
    if url.query().is_none() && url.password().is_none() && url.fragment().is_none() {
        return text.to_owned();
    }
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_password(None);
    format!("{url} {HIDDEN}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, key: &str) -> (String, Option<usize>) {
        let found = read(text).into_iter().find(|one| one.key == key);
        found.map(|one| (one.value, one.line)).unwrap_or_default()
    }

    #[test]
    fn each_key_says_where_it_is_from() {
        let text = "data_dir = \"d\"\n[listen.http]\naddress = \"127.0.0.1:1\"\n[[identity.providers]]\n\
            name = \"corp\"\n[connections.\"a b\"]\ngroups = [\"x\"]\n[connections.\"a b\".target]\n\
            host = \"h\"\n";
        assert_eq!(value(text, "data_dir"), ("\"d\"".to_owned(), Some(1)));
        assert_eq!(value(text, "listen.http.address"), ("\"127.0.0.1:1\"".to_owned(), Some(3)));
        assert_eq!(value(text, "identity.providers[0].name"), ("\"corp\"".to_owned(), Some(5)));
        assert_eq!(value(text, "connections.\"a b\".target.host"), ("\"h\"".to_owned(), Some(9)));
        assert_eq!(value(text, "listen.postgres.address"), ("\"127.0.0.1:6432\"".to_owned(), None));
        assert_eq!(value("", "limits.connections"), ("4096".to_owned(), None));
        assert!(read(text).iter().filter(|one| one.key.starts_with("identity.prov")).count() == 1);
    }

    #[test]
    fn no_secret_is_shown_whatever_it_is_called_or_stands_in() {
        let text = r#"
[store]
url = "postgres://u:hunter2@h/d"
password_from = "env:STORE"
[[notify.webhooks]]
url = "https://hooks.example/x?sig=hunter2"
secret_file = "hook.secret"
[notify.new]
signing_secret = "hunter2"
bot_token = "hunter2"
[dev_provider]
agents = [{ name = "claude", secret = "hunter2" }]
[secrets.master_key]
command = ["kms", "hunter2"]
[secrets.vault]
token = "hunter2"
[connections.a]
target = { host = "h", password = "hunter2", roles = [{ user = "u", password = "hunter2" }] }
[connections.b.target]
password = { odd = "hunter2" }
[identity.providers]
parameters = { client_secret = "hunter2" }
"#;
        let all = read(text);
        let told = format!("{all:?}");
        assert!(!told.contains("hunter2"), "{told}");
        assert!(all.iter().filter(|one| one.value.contains(HIDDEN)).count() >= 8, "{told}");
        assert_eq!(value(text, "store.password_from").0, "\"env:STORE\"");
        assert_eq!(value(text, "notify.webhooks[0].secret_file").0, "\"hook.secret\"");
        let hook = value(text, "notify.webhooks[0].url").0;
        assert!(hook.contains("https://hooks.example ") && !hook.contains("/x"), "{hook}");
    }
}
