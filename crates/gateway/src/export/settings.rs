//! `[[export]]`: who is sent the record, in which form.

use crate::outbound::{is_safe, open_to_others, secret_text, signing_key};
use clap::ValueEnum;
use reqwest::Url;
use reqwest::header::HeaderValue;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// How what is told is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// The journal's own lines, each with its hash.
    Jsonl,
    /// Events of OCSF 1.9.
    Ocsf,
    /// OpenTelemetry: log records, and spans of sessions and requests.
    Otlp,
}

/// What a receiver is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A server that is sent messages signed as Standard Webhooks has it.
    Webhook,
    /// An OpenTelemetry collector, by OTLP over HTTP.
    Otlp,
    /// A file that lines are added to.
    File,
}

/// Where a receiver without a cursor begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum From {
    /// With the first entry of the journal.
    #[default]
    Start,
    /// With what happens from then on.
    Now,
}

/// A receiver of the record. What it has not taken is kept in the journal, and sent again.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Export {
    /// What the gateway calls it: small letters, digits, `-` and `_`. How far it has come is kept by this
    /// name, in `data_dir`.
    pub(crate) name: String,
    /// `"webhook"`, `"otlp"` or `"file"`.
    pub(crate) kind: Kind,
    /// `"ocsf"` or `"jsonl"`, for webhooks and files; `"ocsf"` by default.
    #[serde(default)]
    pub(crate) format: Option<Format>,
    /// Where it is sent by POST: https, or http to an address of loopback. Of a collector without `/v1/logs`
    /// and `/v1/traces`. No redirect is followed; https goes by the proxy that the environment names.
    #[serde(default)]
    pub(crate) url: Option<String>,
    /// The file lines are added to. Relative to this file.
    #[serde(default)]
    pub(crate) path: Option<PathBuf>,
    /// File with the secret that messages to a webhook are signed with, as for `notify.webhooks`. Read for
    /// every message. Relative to this file.
    #[serde(default)]
    pub(crate) secret_file: Option<PathBuf>,
    /// Environment variable of the gateway with that secret.
    #[serde(default)]
    pub(crate) secret_env: Option<String>,
    /// File with the value of the header `Authorization`, where the server wants one. Read for every message.
    /// Relative to this file.
    #[serde(default)]
    pub(crate) authorization_file: Option<PathBuf>,
    /// Environment variable of the gateway with that value.
    #[serde(default)]
    pub(crate) authorization_env: Option<String>,
    /// How many entries a message has at most, 1 to 5000; 500 by default. One has some 4 MiB at most.
    #[serde(default = "most")]
    pub(crate) batch: u16,
    /// Only what happened on these connections, and what belongs to none; empty: all.
    #[serde(default)]
    pub(crate) connections: BTreeSet<String>,
    /// Only these events, by their words in the journal (`"refused"`, `"held"`); empty: all.
    #[serde(default)]
    pub(crate) events: BTreeSet<String>,
    /// `"start"` or `"now"`: where a receiver begins that was sent nothing yet; `"start"` by default.
    #[serde(default)]
    pub(crate) from: From,
}

const fn most() -> u16 {
    500
}

impl Export {
    /// Files that are named relative to the configuration.
    pub(crate) fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let secrets = self.secret_file.iter_mut().chain(&mut self.authorization_file);
        secrets.chain(&mut self.path)
    }

    /// How it is written.
    pub(crate) fn written(&self) -> Format {
        match self.kind {
            Kind::Otlp => Format::Otlp,
            Kind::Webhook | Kind::File => self.format.unwrap_or(Format::Ocsf),
        }
    }

    /// What is wrong with the receivers of a configuration.
    pub(crate) fn check_all(all: &[Self]) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for one in all {
            one.check().map_err(|why| format!("export: \"{}\": {why}", one.name))?;
            if !names.insert(&one.name) {
                return Err(format!("export: \"{}\": there is another one of this name", one.name));
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if self.name.is_empty() || self.name.len() > 64 || !self.name.bytes().all(plain) {
            return Err("name must be 1 to 64 of a-z, 0-9, - and _".to_owned());
        }
        if !(1..=5000).contains(&self.batch) {
            return Err("batch must be 1 to 5000".to_owned());
        }
        if self.kind == Kind::Otlp && self.format.is_some_and(|format| format != Format::Otlp)
            || self.kind != Kind::Otlp && self.format == Some(Format::Otlp)
        {
            return Err("format is jsonl or ocsf, for kind webhook and file alone".to_owned());
        }
        if let Some(word) = self.events.iter().find(|word| !super::ocsf::is_event(word)) {
            return Err(format!("events: there is no event `{word}` in the journal"));
        }
        let signs = (self.secret_file.is_some(), self.secret_env.is_some());
        let shows = (self.authorization_file.is_some(), self.authorization_env.is_some());
        if self.kind == Kind::File {
            return match (&self.path, &self.url, signs, shows) {
                (Some(_), None, (false, false), (false, false)) => Ok(()),
                _ => Err("a file has path, and neither url nor secrets".to_owned()),
            };
        }
        if self.path.is_some() {
            return Err("path is for kind file alone".to_owned());
        }
        let Some(url) = &self.url else { return Err("set url".to_owned()) };
        let url = Url::parse(url).map_err(|error| format!("url is no URL: {error}"))?;
        if !is_safe(&url) {
            return Err(
                "url must be https (http only to 127.0.0.1 or [::1]), with no password".to_owned()
            );
        }
        match (self.kind, signs) {
            (Kind::Webhook, (true, false) | (false, true)) | (Kind::Otlp, (false, false)) => {}
            (Kind::Webhook, _) => {
                return Err("set secret_file or secret_env: messages are signed".to_owned());
            }
            _ => return Err("what is sent to a collector is not signed: no secret".to_owned()),
        }
        if shows == (true, true) {
            return Err("set authorization_file or authorization_env, not both".to_owned());
        }
        Ok(())
    }

    /// The key that messages are signed with.
    pub(super) fn secret(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        let names = ("secret_file", "secret_env");
        signing_key(&secret_text(names, self.secret_file.as_deref(), self.secret_env.as_deref())?)
    }

    /// The header `Authorization`, where there is one.
    pub(super) fn authorization(&self) -> Result<Option<HeaderValue>, String> {
        let (file, variable) = (self.authorization_file.as_deref(), &self.authorization_env);
        if file.is_none() && variable.is_none() {
            return Ok(None);
        }
        let names = ("authorization_file", "authorization_env");
        let text = secret_text(names, file, variable.as_deref())?;
        let mut value = HeaderValue::from_str(text.trim())
            .map_err(|_| "authorization is no value of a header".to_owned())?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// What works not yet, or weakens.
    pub(crate) fn doubts(&self) -> Vec<String> {
        let files = [&self.secret_file, &self.authorization_file];
        let open = files.into_iter().filter_map(|file| open_to_others(file.as_deref()?));
        let unread = match self.kind {
            Kind::Webhook => self.secret().err(),
            Kind::Otlp | Kind::File => None,
        };
        let all = unread.into_iter().chain(self.authorization().err()).chain(open);
        all.map(|why| format!("export: \"{}\": {why}", self.name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_is_one_that_can_be_sent_to() {
        let check = |text: &str| {
            let one: Export = toml::from_str(&format!("name = \"siem\"\n{text}")).unwrap();
            one.check()
        };
        let webhook = "kind = \"webhook\"\nsecret_file = \"s\"\nurl = ";
        for good in [
            format!("{webhook}\"https://siem.example/in\""),
            format!("{webhook}\"http://127.0.0.1:8/in\"\nformat = \"jsonl\""),
            "kind = \"otlp\"\nurl = \"https://collector.example:4318\"".to_owned(),
            "kind = \"file\"\npath = \"x.jsonl\"".to_owned(),
        ] {
            assert_eq!(check(&good), Ok(()), "{good}");
        }
        for bad in [
            format!("{webhook}\"http://siem.example/in\""),
            format!("{webhook}\"https://u:p@siem.example/in\""),
            format!("{webhook}\"https://siem.example/in\"\nformat = \"otlp\""),
            format!("{webhook}\"https://siem.example/in\"\nbatch = 0"),
            format!("{webhook}\"https://siem.example/in\"\npath = \"x\""),
            "kind = \"webhook\"\nurl = \"https://siem.example/in\"".to_owned(),
            "kind = \"otlp\"\nurl = \"https://c.example\"\nsecret_env = \"X\"".to_owned(),
            "kind = \"file\"\npath = \"x\"\nurl = \"https://c.example\"".to_owned(),
            "kind = \"file\"".to_owned(),
            "kind = \"file\"\npath = \"x\"\nevents = [\"refuzed\"]".to_owned(),
        ] {
            assert!(check(&bad).is_err(), "{bad}");
        }
        let one = |name: &str| {
            toml::from_str::<Export>(&format!("name = \"{name}\"\nkind = \"file\"\npath = \"x\""))
        };
        for name in ["../x", "", "A", "a b"] {
            assert!(one(name).unwrap().check().is_err(), "{name}");
        }
        assert!(Export::check_all(&[one("a").unwrap(), one("a").unwrap()]).is_err());
    }
}
