//! One webhook: where it is, what it is signed with, and how it is sent (Standard Webhooks 1.0).

use super::NotTaken;
use crate::outbound::{
    PATIENCE, busy_until, caller, is_secure, open_to_others, seconds, secret_text, signature,
    signing_key,
};
use anyhow::Context as _;
use portcullis_core::time::Timestamp;
use reqwest::{StatusCode, Url};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// A server that is told.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {
    /// What the gateway calls it, in its record and to administrators.
    pub(crate) name: String,
    /// Where messages are sent, by POST: https, or http to an address of loopback. No redirect is
    /// followed; https goes by the proxy that the environment names.
    pub(crate) url: String,
    /// File with the secret that messages are signed with: `whsec_` and 24 to 64 random bytes in base64
    /// (`printf 'whsec_%s' "$(openssl rand -base64 32)"`). Read for every message, so it can be changed.
    /// Relative to this file.
    #[serde(default)]
    pub(crate) secret_file: Option<PathBuf>,
    /// Environment variable of the gateway with the secret.
    #[serde(default)]
    pub(crate) secret_env: Option<String>,
    /// Only of what asks one of these groups, held requests and requests for access; empty: of all.
    #[serde(default)]
    pub(crate) groups: BTreeSet<String>,
}

impl Webhook {
    /// What is wrong with it.
    pub(super) fn check(&self) -> Result<(), String> {
        let url = Url::parse(&self.url).map_err(|e| format!("url is no URL: {e}"))?;
        if !is_secure(&url) {
            return Err("url must be https (http only to 127.0.0.1 or [::1])".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("url must have no password: messages are signed instead".to_owned());
        }
        match (&self.secret_file, &self.secret_env) {
            (None, None) => Err("set secret_file or secret_env: messages are signed".to_owned()),
            (Some(_), Some(_)) => Err("set secret_file or secret_env, not both".to_owned()),
            _ => Ok(()),
        }
    }

    /// The key that messages are signed with.
    pub(super) fn secret(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        let names = ("secret_file", "secret_env");
        let text = secret_text(names, self.secret_file.as_deref(), self.secret_env.as_deref())?;
        signing_key(&text)
    }

    /// What works not yet, or weakens.
    pub(super) fn doubts(&self) -> Vec<String> {
        let open = self.secret_file.as_deref().and_then(open_to_others);
        self.secret().err().into_iter().chain(open).collect()
    }
}

/// What sends to one server.
pub(super) struct Client(reqwest::Client);

impl Client {
    pub(super) fn new(webhook: &Webhook) -> anyhow::Result<Self> {
        let client = caller(&webhook.url, PATIENCE);
        Ok(Self(client.with_context(|| format!("notify.webhooks: \"{}\"", webhook.name))?))
    }

    /// One attempt. A message has been taken where the server answers 2xx, whatever it says.
    pub(super) async fn send(
        &self,
        webhook: &Webhook,
        id: &str,
        body: &str,
        at: Timestamp,
    ) -> Result<(), NotTaken> {
        let failed = NotTaken::once;
        let signature = signature(&webhook.secret().map_err(failed)?, id, at, body);
        let request = self
            .0
            .post(&webhook.url)
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds(at).to_string())
            .header("webhook-signature", signature)
            .body(body.to_owned());
        // Its words stay out: they name the URL, whose path may be a secret.
        let sent = request.send().await.map_err(|error| {
            failed(match error {
                error if error.is_timeout() => format!("no answer within {} s", PATIENCE.as_secs()),
                error if error.is_connect() => "the server cannot be reached".to_owned(),
                _ => "the exchange with the server failed".to_owned(),
            })
        })?;
        let status = sent.status();
        if status.is_success() {
            return Ok(());
        }
        // 410: whoever is there wants nothing more.
        let for_good = status == StatusCode::GONE;
        let after = busy_until(&sent, at);
        Err(NotTaken { why: format!("the server answered {}", status.as_u16()), for_good, after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(url: &str) -> Webhook {
        Webhook {
            name: "oncall".to_owned(),
            url: url.to_owned(),
            secret_file: Some("x".into()),
            secret_env: None,
            groups: BTreeSet::new(),
        }
    }

    #[test]
    fn messages_go_over_https_or_to_loopback() {
        for good in ["https://hooks.example/a?b=c", "http://127.0.0.1:9/x", "HTTP://[::1]/x"] {
            assert_eq!(webhook(good).check(), Ok(()), "{good}");
        }
        for bad in [
            "http://hooks.example/",
            "http://localhost/x",
            "ftp://hooks.example/",
            "https://u:p@hooks.example/",
            "x",
            "",
        ] {
            assert!(webhook(bad).check().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_is_what_the_standard_says() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        let mut one = webhook("https://hooks.example/");
        one.secret_file = Some(file.clone());
        for (text, good) in [
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", true),
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", false),
            ("whsec_c2hvcnQ=", false),
            ("whsec_###", false),
            ("", false),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(one.secret().is_ok(), good, "{text}");
        }
        one.secret_file = None;
        assert!(one.check().is_err());
    }
}
