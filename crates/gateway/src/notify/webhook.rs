//! One webhook: where it is, what it is signed with, and how it is sent (Standard Webhooks 1.0).

use super::{NotTaken, open_to_others, secret_text};
use anyhow::Context as _;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_core::time::Timestamp;
use portcullis_identity::http_client;
use reqwest::{StatusCode, Url};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long an attempt may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How a secret begins, and how long the rest is, decoded, in bytes.
const SECRET: (&str, std::ops::RangeInclusive<usize>) = ("whsec_", 24..=64);

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
        let (prefix, length) = SECRET;
        let key = text.trim().strip_prefix(prefix).and_then(|rest| STANDARD.decode(rest).ok());
        key.filter(|key| length.contains(&key.len())).map(Zeroizing::new).ok_or_else(|| {
            "the secret must be `whsec_` and 24 to 64 random bytes in base64: printf 'whsec_%s' \
             \"$(openssl rand -base64 32)\""
                .to_owned()
        })
    }

    /// What works not yet, or weakens.
    pub(super) fn doubts(&self) -> Vec<String> {
        let open = self.secret_file.as_deref().and_then(open_to_others);
        self.secret().err().into_iter().chain(open).collect()
    }
}

/// Whether what is sent there can be read by nobody on the way, and its address holds no secret.
pub(super) fn is_safe(url: &Url) -> bool {
    is_secure(url) && url.username().is_empty() && url.password().is_none()
}

fn is_secure(url: &Url) -> bool {
    url.scheme() == "https" || url.scheme() == "http" && is_loopback(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    address.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// What sends to one server.
pub(super) struct Client(reqwest::Client);

impl Client {
    pub(super) fn new(webhook: &Webhook) -> anyhow::Result<Self> {
        let client = caller(&webhook.url);
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

/// What calls the server at `url`, and goes nowhere else.
pub(super) fn caller(url: &str) -> reqwest::Result<reqwest::Client> {
    let plain = Url::parse(url).is_ok_and(|url| url.scheme() == "http");
    let client = http_client()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .timeout(PATIENCE)
        .connect_timeout(PATIENCE)
        .pool_max_idle_per_host(1);
    // Nothing on loopback is a proxy's business, and plain HTTP needs no certificates.
    let client = if plain { client.no_proxy().tls_certs_only([]) } else { client.https_only(true) };
    client.build()
}

/// How long a server that is busy asks to wait (RFC 6585, section 4, and RFC 9110, section 15.6.4).
pub(super) fn busy_until(answer: &reqwest::Response, at: Timestamp) -> Option<Duration> {
    let busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
    let after = answer.headers().get("retry-after");
    let after = after.filter(|_| busy.contains(&answer.status()));
    after.and_then(|after| retry_after(after.to_str().ok()?, at))
}

/// How long `Retry-After` asks to wait: seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(value: &str, at: Timestamp) -> Option<Duration> {
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        return value.parse().ok().map(Duration::from_secs);
    }
    let until = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Timestamp::from_micros(until.as_microsecond()).since(at))
}

const fn seconds(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(1_000_000)
}

/// `v1,` and HMAC-SHA256 over id, time and body, in base64.
fn signature(key: &[u8], id: &str, at: Timestamp, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let tag = hmac::sign(&key, format!("{id}.{}.{body}", seconds(at)).as_bytes());
    format!("v1,{}", STANDARD.encode(tag.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks libraries.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let at = Timestamp::from_micros(1_614_265_330_000_000);
        let body = r#"{"test": 2432232314}"#;
        let signed = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_server_says_when_to_come_again() {
        let at = Timestamp::from_micros(784_111_777_000_000);
        for (value, seconds) in [
            ("120", Some(120)),
            ("0", Some(0)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("99999999999999999999999", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(value, at), seconds.map(Duration::from_secs), "{value}");
        }
    }

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
