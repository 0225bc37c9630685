//! One mailing: through which server (SMTP, RFC 5321), from whom, to whom, and what a message looks like.
//!
//! It says what webhooks are sent, and nothing more. Names of others are shown as text: in headers they
//! are encoded (RFC 2047), in the body nothing in them is obeyed or followed.

use super::case::Case;
use super::{NotTaken, shown};
use crate::outbound::{open_to_others, secret_text};
use anyhow::Context as _;
use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use portcullis_store::NotificationRow;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};
use zeroize::Zeroizing;

/// How long an attempt may take: less than a gateway has for it.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most people one mailing is for.
const MOST: usize = 50;

/// How the connection to a mail server is encrypted. Its certificate is always verified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MailTls {
    /// TLS after STARTTLS (RFC 3207). A server that does not offer it is sent nothing.
    #[default]
    Starttls,
    /// TLS from the first byte (RFC 8314).
    Implicit,
    /// Not at all: to addresses of loopback alone.
    None,
}

/// People who are told by e-mail.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Email {
    /// What the gateway calls it, in its record and to administrators.
    pub(crate) name: String,
    /// The mail server: a name or an address, as in its certificate.
    pub(crate) host: String,
    /// Its port. Default: 587 with `starttls`, 465 with `implicit`, 25 with `none`.
    #[serde(default)]
    pub(crate) port: Option<u16>,
    /// How the connection is encrypted: `starttls`, `implicit`, or `none`, to addresses of loopback.
    #[serde(default)]
    pub(crate) tls: MailTls,
    /// File with the certificate authorities of the server, in PEM, in place of the system's. Read when
    /// the gateway starts. Relative to this file.
    #[serde(default)]
    pub(crate) certificate: Option<PathBuf>,
    /// Whom the gateway logs in as (RFC 4954); without it, it does not log in.
    #[serde(default)]
    pub(crate) user: Option<String>,
    /// File with the password. Read for every message, so it can be changed. Relative to this file.
    #[serde(default)]
    pub(crate) password_file: Option<PathBuf>,
    /// Environment variable of the gateway with the password.
    #[serde(default)]
    pub(crate) password_env: Option<String>,
    /// The address messages come from: `Portcullis <portcullis@example.org>`.
    pub(crate) from: String,
    /// To whom they go; all of them see each other.
    pub(crate) to: Vec<String>,
    /// Only of what asks one of these groups, held requests and requests for access; empty: of all.
    #[serde(default)]
    pub(crate) groups: BTreeSet<String>,
}

impl Email {
    /// What is wrong with it.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.host.is_empty() || self.host.contains(|c: char| c.is_whitespace() || c == '/') {
            return Err("host must be the name or address of a mail server".to_owned());
        }
        let loopback = self.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        if self.tls == MailTls::None && !loopback {
            return Err("tls = \"none\" is only for 127.0.0.1 or ::1: use \"starttls\" or \
                        \"implicit\""
                .to_owned());
        }
        if self.tls == MailTls::None && self.certificate.is_some() {
            return Err("certificate is of no use with tls = \"none\": remove it".to_owned());
        }
        match (&self.user, &self.password_file, &self.password_env) {
            (None, None, None) | (Some(_), Some(_), None) | (Some(_), None, Some(_)) => {}
            (_, Some(_), Some(_)) => {
                return Err("set password_file or password_env, not both".to_owned());
            }
            (Some(_), None, None) => return Err("user wants password_file or password_env".into()),
            (None, ..) => return Err("a password wants a user: set user".to_owned()),
        }
        mailbox("from", &self.from)?;
        if self.to.is_empty() || self.to.len() > MOST {
            return Err(format!("to must have 1 to {MOST} addresses"));
        }
        self.to.iter().try_for_each(|to| mailbox("to", to).map(drop))
    }

    fn password(&self) -> Result<Option<Zeroizing<String>>, String> {
        if self.user.is_none() {
            return Ok(None);
        }
        let names = ("password_file", "password_env");
        let text = secret_text(names, self.password_file.as_deref(), self.password_env.as_deref())?;
        let text = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
        if text.is_empty() {
            return Err("the password is empty".to_owned());
        }
        Ok(Some(text))
    }

    /// What works not yet, or weakens.
    pub(super) fn doubts(&self) -> Vec<String> {
        let mut doubts: Vec<String> = self.password().err().into_iter().collect();
        doubts.extend(self.password_file.as_deref().and_then(open_to_others));
        doubts.extend(self.encryption().err());
        doubts
    }

    fn encryption(&self) -> Result<Tls, String> {
        if self.tls == MailTls::None {
            return Ok(Tls::None);
        }
        let mut parameters = TlsParameters::builder(self.host.clone());
        if let Some(file) = &self.certificate {
            let wrong = |why: String| format!("certificate {}: {why}", file.display());
            let text = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
            let read = Certificate::from_pem(&text).map_err(|error| wrong(error.to_string()))?;
            parameters =
                parameters.certificate_store(CertificateStore::None).add_root_certificate(read);
        }
        let parameters = parameters.build().map_err(|error| format!("tls: {error}"))?;
        Ok(if self.tls == MailTls::Implicit {
            Tls::Wrapper(parameters)
        } else {
            Tls::Required(parameters)
        })
    }

    const fn port(&self) -> u16 {
        match (self.port, self.tls) {
            (Some(port), _) => port,
            (None, MailTls::Starttls) => 587,
            (None, MailTls::Implicit) => 465,
            (None, MailTls::None) => 25,
        }
    }

    /// The message. What waits has one thread: what ends it refers to what began it (RFC 5322,
    /// section 3.6.4), and no vacation answers (RFC 3834, section 5).
    fn message(
        &self,
        case: &Case,
        row: &NotificationRow,
        origin: Option<&str>,
    ) -> Result<Message, String> {
        let from = mailbox("from", &self.from)?;
        let domain = from.email.domain().to_owned();
        let began = format!("<{}.waiting@{domain}>", row.about);
        let mut message = Message::builder()
            .from(from)
            .subject(subject(case, row.event.waits()))
            .date(UNIX_EPOCH + Duration::from_micros(row.made.as_micros().unsigned_abs()))
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        for to in &self.to {
            message = message.to(mailbox("to", to)?);
        }
        message = match row.event.waits() {
            true => message.message_id(Some(began)),
            false => message
                .message_id(Some(format!("<{}.ended@{domain}>", row.about)))
                .in_reply_to(began.clone())
                .references(began),
        };
        message
            .header(ContentType::TEXT_PLAIN)
            .body(body(case, row.event.waits(), origin))
            .map_err(|error| error.to_string())
    }
}

fn mailbox(key: &str, text: &str) -> Result<Mailbox, String> {
    text.parse().map_err(|error| format!("{key}: {text:?} is no address: {error}"))
}

/// A name or sentence of others, with nothing that mail programs make a link to a page of (by a scheme or
/// `www.`), and no encoded word (RFC 2047), which they would decode.
fn inert(text: &str) -> String {
    let text = shown(text).replace("://", "[:]//").replace("=?", "= ?");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.to_ascii_lowercase().find("www.") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        out.push_str("[.]");
        rest = after.strip_prefix('.').unwrap_or(after);
    }
    out.push_str(rest);
    out.replace("mailto:", "mailto[:]")
}

/// The same for all messages of what waits but for `Re:`.
fn subject(case: &Case, waits: bool) -> String {
    format!("{}{}", if waits { "" } else { "Re: " }, case.title(inert))
}

fn body(case: &Case, waits: bool, origin: Option<&str>) -> String {
    let mut text = format!("{}.\n\n", case.state(waits, inert));
    for (name, value) in case.facts(inert) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<9}{value}");
    }
    let _ = match origin {
        Some(origin) => writeln!(text, "\nLook and decide there: {}", case.url(origin)),
        None => writeln!(text, "\nLook and decide: {}", case.command()),
    };
    text
}

/// What sends through one server.
pub(super) struct Mailer {
    tls: Tls,
}

impl Mailer {
    pub(super) fn new(email: &Email) -> anyhow::Result<Self> {
        let tls = email.encryption().map_err(anyhow::Error::msg);
        Ok(Self { tls: tls.with_context(|| format!("notify.email: \"{}\"", email.name))? })
    }

    /// One attempt, over a connection of its own. A message has been taken where the server has answered
    /// its data with 250. Gives what is to be known though it was: addresses that were refused for good.
    pub(super) async fn send(
        &self,
        email: &Email,
        (case, row): (&Case, &NotificationRow),
        origin: Option<&str>,
    ) -> Result<Option<String>, NotTaken> {
        let message = email.message(case, row, origin).map_err(NotTaken::once)?;
        let hello = email.from.parse::<Mailbox>().map(|from| from.email.domain().to_owned());
        let hello = hello.unwrap_or_else(|_| "localhost".to_owned());
        let mut transport =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(email.host.as_str())
                .port(email.port())
                .tls(self.tls.clone())
                .hello_name(ClientId::Domain(hello))
                .timeout(Some(PATIENCE));
        if let (Some(user), Some(password)) =
            (&email.user, email.password().map_err(NotTaken::once)?)
        {
            transport = transport.credentials(Credentials::new(user.clone(), password.to_string()));
        }
        let (transport, bytes) = (transport.build(), message.formatted());
        let (mut taken, mut without) = (0, Vec::new());
        // To each by itself: an address that is refused keeps nobody else from being told.
        for to in &Self::envelopes(email)? {
            let sent = tokio::time::timeout(PATIENCE, transport.send_raw(to, &bytes)).await;
            let late = || NotTaken::once(format!("no answer within {} s", PATIENCE.as_secs()));
            match sent.map_err(|_| late())?.map_err(|error| refused(&error)) {
                Ok(_) => taken += 1,
                Err(why) if why.for_good => without.push(why),
                Err(why) => return Err(why),
            }
        }
        let count = without.len();
        match without.into_iter().next() {
            None => Ok(None),
            Some(why) if taken == 0 => Err(why),
            Some(why) => Ok(Some(format!("not taken for {count} of its addresses: {why}"))),
        }
    }

    /// One for each address.
    fn envelopes(email: &Email) -> Result<Vec<Envelope>, NotTaken> {
        let address = |key: &str, text: &str| mailbox(key, text).map(|found| found.email);
        let envelope = |to: &String| {
            let (from, to) = (address("from", &email.from)?, address("to", to)?);
            Envelope::new(Some(from), vec![to]).map_err(|error| error.to_string())
        };
        let all = email.to.iter().map(envelope).collect::<Result<_, _>>();
        all.map_err(NotTaken::once)
    }
}

/// Whether a certificate was refused, or something else about TLS: it comes as data that is none.
fn is_tls(error: &lettre::transport::smtp::Error) -> bool {
    let first: &(dyn std::error::Error + 'static) = error;
    let mut all = std::iter::successors(Some(first), |error| error.source());
    let is_data = |error: &std::io::Error| error.kind() == std::io::ErrorKind::InvalidData;
    error.is_tls() || all.any(|error| error.downcast_ref().is_some_and(is_data))
}

/// Without the server's words, which may be anything.
fn refused(error: &lettre::transport::smtp::Error) -> NotTaken {
    let Some(code) = error.status() else {
        return NotTaken::once(
            match error {
                error if is_tls(error) => "TLS with the mail server failed: certificate or name",
                error if error.is_timeout() => "the mail server did not answer in time",
                error if error.is_client() => {
                    "the mail server does not offer what is set (STARTTLS, or a way to log in)"
                }
                _ => "the mail server cannot be reached, or the exchange with it failed",
            }
            .to_owned(),
        );
    };
    let code = u16::from(code);
    // RFC 4954, section 6: 530, 534, 535 and 538 are about logging in, which is set right here.
    let login = (530..540).contains(&code);
    let why = if login {
        format!("the mail server answered {code} to the log-in: look at user and password")
    } else {
        format!("the mail server answered {code}")
    };
    NotTaken { why, for_good: error.is_permanent() && !login, after: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_link_and_no_encoded_word_comes_of_a_name() {
        for (name, told) in [
            ("https://evil.example", "https[:]//evil.example"),
            ("see WWW.evil.example and www.x", "see WWW[.]evil.example and www[.]x"),
            ("x =?utf-8?B?aHR0cHM6Ly9ldmls?= y", "x = ?utf-8?B?aHR0cHM6Ly9ldmls?= y"),
            ("==??q?", "== ??q?"),
            ("mailto:a@b", "mailto[:]a@b"),
            ("public.orders", "public.orders"),
        ] {
            assert_eq!(inert(name), told);
        }
        assert!(!inert("a\r\nBcc: x").contains(['\r', '\n']));
    }
}
