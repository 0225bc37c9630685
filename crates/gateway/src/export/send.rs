//! One message to one receiver, and what it says to that.

use super::deliver::Sent;
use super::settings::{Export, Kind};
use super::{logs, traces};
use crate::moment::now;
use crate::outbound::{busy_until, caller, seconds, signature};
use portcullis_core::digest::Digester;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

/// How long an attempt may take, with everything that is sent.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is read of an answer.
const ANSWER: usize = 16 * 1024;

/// Why a message was not taken.
#[derive(Debug, Default)]
pub(super) struct NotTaken {
    pub(super) why: String,
    /// It is about what is in the message: another one may be taken.
    pub(super) for_content: bool,
    /// How long the server asks to wait.
    pub(super) after: Option<Duration>,
}

impl NotTaken {
    fn once(why: impl Into<String>) -> Self {
        Self { why: why.into(), ..Self::default() }
    }
}

/// What sends.
pub(super) struct Sender {
    settings: Export,
    journal: String,
    client: Client,
}

impl Sender {
    pub(super) fn new(settings: &Export, journal: &str) -> reqwest::Result<Self> {
        let client = caller(settings.url.as_deref().unwrap_or_default(), PATIENCE)?;
        Ok(Self { settings: settings.clone(), journal: journal.to_owned(), client })
    }

    /// One attempt. How many entries of it the receiver said that it has thrown away.
    pub(super) async fn send(&self, all: &[Sent]) -> Result<u64, NotTaken> {
        let lines: Vec<&str> = all.iter().map(|sent| sent.written.line.as_str()).collect();
        match self.settings.kind {
            Kind::Webhook => self.webhook(all, &lines).await.map(|()| 0),
            Kind::Otlp => self.otlp(all, &lines).await,
            Kind::File => self.file(&lines).await.map(|()| 0),
        }
    }

    async fn webhook(&self, all: &[Sent], lines: &[&str]) -> Result<(), NotTaken> {
        let (Some(first), Some(last)) = (all.first(), all.last()) else { return Ok(()) };
        let at = now();
        let name = Value::from(self.settings.name.as_str());
        let format = if self.settings.written() == super::Format::Jsonl { "jsonl" } else { "ocsf" };
        let journal = Value::from(self.journal.as_str());
        let body = format!(
            "{{\"type\":\"audit.entries\",\"timestamp\":\"{at}\",\"data\":{{\"export\":{name},\"journal\":{journal},\
             \"format\":\"{format}\",\"first\":{},\"last\":{},\"entries\":[{}]}}}}",
            first.sequence,
            last.sequence,
            lines.join(","),
        );
        // The same entries are the same message, however often they are sent.
        let mut digester = Digester::new("portcullis/export/1");
        for part in std::iter::once(self.settings.name.as_str()).chain(lines.iter().copied()) {
            digester.add(part.as_bytes());
        }
        let id = format!("exp_{}", digester.finish());
        let key = self.settings.secret().map_err(NotTaken::once)?;
        let request = self
            .client
            .post(self.settings.url.as_deref().unwrap_or_default())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", seconds(at).to_string())
            .header("webhook-signature", signature(&key, &id, at, &body))
            .body(body);
        self.call(request).await.map(drop)
    }

    /// OTLP over HTTP in JSON: logs, then the spans that have ended.
    async fn otlp(&self, all: &[Sent], lines: &[&str]) -> Result<u64, NotTaken> {
        let spans: Vec<&str> =
            all.iter().flat_map(|sent| &sent.written.spans).map(String::as_str).collect();
        let mut lost = self.part("logs", logs(&self.journal, lines)).await?;
        if !spans.is_empty() {
            lost += self.part("traces", traces(&self.journal, &spans)).await?;
        }
        Ok(lost)
    }

    async fn part(&self, what: &str, body: String) -> Result<u64, NotTaken> {
        let base = self.settings.url.as_deref().unwrap_or_default().trim_end_matches('/');
        let request = self
            .client
            .post(format!("{base}/v1/{what}"))
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        let mut answer = self.call(request).await?;
        // What a partial success has not taken is not to be sent again (OTLP, "Partial Success").
        let mut body = Vec::new();
        while let Ok(Some(piece)) = answer.chunk().await {
            body.extend_from_slice(&piece);
            if body.len() > ANSWER {
                return Ok(0);
            }
        }
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        let partial = said.get("partialSuccess");
        let rejected = ["rejectedLogRecords", "rejectedSpans"].map(|key| {
            let count = partial.and_then(|partial| partial.get(key));
            count.and_then(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok()))
        });
        Ok(rejected.into_iter().flatten().sum())
    }

    async fn call(&self, request: reqwest::RequestBuilder) -> Result<Response, NotTaken> {
        let request = match self.settings.authorization().map_err(NotTaken::once)? {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        };
        // Its words stay out: they name the URL, whose path may be a secret.
        let sent = request.send().await.map_err(|error| {
            NotTaken::once(match error {
                error if error.is_timeout() => format!("no answer within {} s", PATIENCE.as_secs()),
                error if error.is_connect() => "the server cannot be reached".to_owned(),
                _ => "the exchange with the server failed".to_owned(),
            })
        })?;
        let status = sent.status();
        if status.is_success() {
            return Ok(sent);
        }
        let for_content = [
            StatusCode::BAD_REQUEST,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNPROCESSABLE_ENTITY,
        ]
        .contains(&status);
        let after = busy_until(&sent, now());
        let why = format!("the server answered {}", status.as_u16());
        Err(NotTaken { why, for_content, after })
    }

    async fn file(&self, lines: &[&str]) -> Result<(), NotTaken> {
        let path = self.settings.path.clone().unwrap_or_default();
        let text: String = lines.iter().flat_map(|line| [*line, "\n"]).collect();
        let done = tokio::task::spawn_blocking(move || append(&path, &text)).await;
        let done = done.map_err(|error| NotTaken::once(error.to_string()))?;
        done.map_err(|error| NotTaken::once(format!("the file cannot be written: {error}")))
    }
}

/// Adds lines to a file, and syncs it. What a crash has cut off gets its line feed first.
fn append(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.read(true).append(true).create(true).mode(0o600).open(path)?;
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_off_spoils_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.jsonl");
        append(&path, "one\n").unwrap();
        std::fs::write(&path, "one\ntw").unwrap();
        append(&path, "two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntw\ntwo\n");
    }
}
