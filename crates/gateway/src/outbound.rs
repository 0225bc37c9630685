//! What the gateway sends to servers that its configuration names: where it may go, how it is signed (Standard
//! Webhooks 1.0), and how long a busy one is given. Beside the life of a request.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_core::time::Timestamp;
use portcullis_identity::http_client;
use reqwest::{StatusCode, Url};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long an attempt may take, where nothing much is sent.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How a secret begins, and how long the rest is, decoded, in bytes.
const SECRET: (&str, std::ops::RangeInclusive<usize>) = ("whsec_", 24..=64);

/// The key of a secret as Standard Webhooks writes it.
pub(crate) fn signing_key(text: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let (prefix, length) = SECRET;
    let key = text.trim().strip_prefix(prefix).and_then(|rest| STANDARD.decode(rest).ok());
    key.filter(|key| length.contains(&key.len())).map(Zeroizing::new).ok_or_else(|| {
        "the secret must be `whsec_` and 24 to 64 random bytes in base64: printf 'whsec_%s' \
         \"$(openssl rand -base64 32)\""
            .to_owned()
    })
}

/// Whether what is sent there can be read by nobody on the way, and its address holds no secret.
pub(crate) fn is_safe(url: &Url) -> bool {
    is_secure(url) && url.username().is_empty() && url.password().is_none()
}

pub(crate) fn is_secure(url: &Url) -> bool {
    url.scheme() == "https" || url.scheme() == "http" && is_loopback(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    address.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// What calls the server at `url`, and goes nowhere else.
pub(crate) fn caller(url: &str, patience: Duration) -> reqwest::Result<reqwest::Client> {
    let plain = Url::parse(url).is_ok_and(|url| url.scheme() == "http");
    let client = http_client()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .timeout(patience)
        .connect_timeout(patience.min(PATIENCE))
        .pool_max_idle_per_host(1);
    // Nothing on loopback is a proxy's business, and plain HTTP needs no certificates.
    let client = if plain { client.no_proxy().tls_certs_only([]) } else { client.https_only(true) };
    client.build()
}

/// How long a server that is busy asks to wait (RFC 6585, section 4, and RFC 9110, section 15.6.4).
pub(crate) fn busy_until(answer: &reqwest::Response, at: Timestamp) -> Option<Duration> {
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

pub(crate) const fn seconds(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(1_000_000)
}

/// `v1,` and HMAC-SHA256 over id, time and body, in base64.
pub(crate) fn signature(key: &[u8], id: &str, at: Timestamp, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let tag = hmac::sign(&key, format!("{id}.{}.{body}", seconds(at)).as_bytes());
    format!("v1,{}", STANDARD.encode(tag.as_ref()))
}

/// The text of a secret, from a file or the environment; `names` are the settings that say which.
pub(crate) fn secret_text(
    names: (&str, &str),
    file: Option<&Path>,
    variable: Option<&str>,
) -> Result<Zeroizing<String>, String> {
    let text = match (file, variable) {
        (Some(file), _) => std::fs::read_to_string(file)
            .map_err(|error| format!("{} {}: {error}", names.0, file.display()))?,
        (None, Some(name)) => std::env::var(name)
            .map_err(|_| format!("{}: {name} is not set, or is not UTF-8", names.1))?,
        (None, None) => return Err(format!("there is neither {} nor {}", names.0, names.1)),
    };
    Ok(Zeroizing::new(text))
}

/// That every user of the machine may read a secret, or change it.
pub(crate) fn open_to_others(file: &Path) -> Option<String> {
    let mode = std::fs::metadata(file).ok()?.permissions().mode();
    (mode & 0o007 != 0).then(|| {
        format!("{}: every user of this machine has access to it: chmod 600 it", file.display())
    })
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
}
