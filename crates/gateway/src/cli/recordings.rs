//! `portcullis recordings`, `watch`, `pause`, `resume`: a client of the gateway's own API.

use super::access::{Access, Client, number, span, text, time};
use super::page;
use super::session::render_options;
use crate::config::Config;
use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use portcullis_core::id::SessionId;
use portcullis_core::time::Timestamp;
use portcullis_ledger::read::{Moment, TimelineItem};
use portcullis_ledger::render::render_timeline;
use portcullis_ledger::visible;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Longest line of events that is taken.
const MAX_EVENT: usize = 64 << 20;

/// Recorded sessions.
#[derive(Debug, Args)]
pub(super) struct Recordings {
    #[command(flatten)]
    access: Access,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Those that are looked for, newest first.
    List(Box<List>),
    /// One as a timeline: who, statement, verdict, rows, duration, masked sample.
    Show {
        /// The session's id.
        id: SessionId,
        /// From the entry of this number on.
        #[arg(long, value_name = "NUMBER")]
        from: Option<u64>,
    },
    /// Download the file of a recording.
    File {
        /// The session's id.
        id: SessionId,
        /// Where to: a file that is not there yet.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
}

/// Which sessions.
#[derive(Debug, Args)]
struct List {
    /// Of this principal, or of whoever acts for it: by name or subject.
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
    /// Of this agent or workload.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Of this person, and of agents that act for it.
    #[arg(long, value_name = "NAME")]
    person: Option<String>,
    /// On this connection.
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// In which a request is about an object with this in its name.
    #[arg(long, value_name = "NAME")]
    object: Option<String>,
    /// In which something was permitted, refused or held.
    #[arg(long)]
    verdict: Option<Verdict>,
    /// In which this stands in a statement or a bound value.
    #[arg(long)]
    text: Option<String>,
    /// That were there then or later: as `2026-11-22T08:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    from: Option<Timestamp>,
    /// That were there then or earlier.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    to: Option<Timestamp>,
    /// At most so many.
    #[arg(long, default_value_t = 100)]
    most: usize,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Verdict {
    Permitted,
    Refused,
    Held,
}

/// Watch a session as it happens.
#[derive(Debug, Args)]
pub(super) struct Watch {
    #[command(flatten)]
    access: Access,
    /// The session's id.
    id: SessionId,
    /// From the entry of this number on, instead of some before now.
    #[arg(long, value_name = "NUMBER")]
    from: Option<u64>,
}

/// Keep a session from sending anything more.
#[derive(Debug, Args)]
pub(super) struct Pause {
    #[command(flatten)]
    access: Access,
    /// The session's id.
    id: SessionId,
    /// For how long: at most an hour.
    #[arg(long = "for", value_name = "TIME", value_parser = span, default_value = "15m")]
    time: Duration,
    /// Why; the caller reads it.
    #[arg(long)]
    reason: String,
}

/// Let a paused session go on.
#[derive(Debug, Args)]
pub(super) struct Resume {
    #[command(flatten)]
    access: Access,
    /// The session's id.
    id: SessionId,
}

fn instant(text: &str) -> Result<Timestamp, String> {
    let at: jiff::Timestamp =
        text.parse().map_err(|_| format!("`{text}` is no time, such as 2026-11-22T08:00:00Z"))?;
    Ok(Timestamp::from_micros(at.as_microsecond()))
}

/// Asks for recorded sessions.
pub(super) async fn run(
    recordings: Recordings,
    config: &Config,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let client = recordings.access.client(config).await?;
    match recordings.command {
        Command::List(list) => listed(&client, &list, json).await,
        Command::Show { id, from } => show(&client, id, from, json).await,
        Command::File { id, to } => file(&client, id, &to).await,
    }
}

async fn listed(client: &Client, list: &List, json: bool) -> anyhow::Result<ExitCode> {
    let verdict = list.verdict.and_then(|verdict| verdict.to_possible_value());
    let verdict = verdict.map(|verdict| verdict.get_name().to_owned());
    let micros = |at: Option<Timestamp>| at.map(|at| at.as_micros().to_string());
    let mut query = reqwest::Url::parse("http://localhost/")?;
    for (name, value) in [
        ("principal", list.principal.clone()),
        ("agent", list.agent.clone()),
        ("person", list.person.clone()),
        ("connection", list.connection.clone()),
        ("object", list.object.clone()),
        ("verdict", verdict),
        ("text", list.text.clone()),
        ("from", micros(list.from)),
        ("to", micros(list.to)),
        ("limit", Some(list.most.clamp(1, 500).to_string())),
    ] {
        if let Some(value) = value {
            query.query_pairs_mut().append_pair(name, &value);
        }
    }
    let mut rows = Vec::new();
    let mut path = Some(format!("/api/v1/recordings?{}", query.query().unwrap_or_default()));
    while let Some(at) = path.filter(|_| rows.len() < list.most) {
        let (found, next) = client.get_page(&at).await?;
        rows.extend(found.as_array().cloned().unwrap_or_default());
        path = next;
    }
    rows.truncate(list.most);
    if json {
        say!("{}", page::json(&rows)?);
        return Ok(ExitCode::SUCCESS);
    }
    if rows.is_empty() {
        say!("no recorded session that you may see is such");
    }
    for row in &rows {
        say!("{}", line(row, page::width(page::PAGE)));
    }
    Ok(ExitCode::SUCCESS)
}

/// One recorded session: what the gateway counted, then the names, which may be anybody's.
fn line(row: &Value, width: usize) -> String {
    let live = row.pointer("/live").and_then(Value::as_bool).unwrap_or_default();
    let found = row.pointer("/found").and_then(Value::as_u64);
    let unsearched = row.pointer("/unsearched").and_then(Value::as_u64);
    let before = format!(
        "{}  {}  {}  {} permitted, {} refused, {} held, {} rows, {} values masked{}{}  ",
        visible::escape(text(row, "/id")),
        time(row, "/opened"),
        if live { "live" } else { "over" },
        number(row, "/permitted"),
        number(row, "/refused"),
        number(row, "/held"),
        number(row, "/rows"),
        number(row, "/masked"),
        found.map(|entry| format!(", found in entry {entry}")).unwrap_or_default(),
        unsearched
            .map(|entry| format!(
                ", not searched from entry {entry} on (it is too much, or cannot be read)"
            ))
            .unwrap_or_default(),
    );
    let about = format!("{} on {}", text(row, "/who"), text(row, "/connection"));
    page::behind(&before, &about, width)
}

async fn show(
    client: &Client,
    id: SessionId,
    from: Option<u64>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let mut path = Some(format!("/api/v1/recordings/{id}/timeline?from={}", from.unwrap_or(0)));
    let mut all = Vec::new();
    while let Some(at) = path {
        let (moments, next) = client.get_page(&at).await?;
        let moments = moments.as_array().cloned().unwrap_or_default();
        if json {
            all.extend(moments);
        } else {
            let items: Vec<TimelineItem> =
                moments.into_iter().map(item).collect::<Result<_, _>>()?;
            render_timeline(&items, &mut io::stdout().lock(), render_options())?;
        }
        path = next;
    }
    if json {
        say!("{}", page::json(&all)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// A moment as the record on this machine has it.
fn item(moment: Value) -> anyhow::Result<TimelineItem> {
    let Value::Object(mut moment) = moment else { anyhow::bail!("a moment is no object") };
    let number = |name: &str| moment.get(name).and_then(Value::as_i64).unwrap_or_default();
    let (at, offset) = (Timestamp::from_micros(number("at")), number("offset").unsigned_abs());
    let entry = moment.get("entry").and_then(Value::as_u64);
    let request = moment.remove("request").map(serde_json::from_value).transpose()?;
    let what = moment.remove("what").unwrap_or_default();
    let unknown = "this program does not know what the gateway tells: is it of the same version?";
    let moment = match entry {
        Some(sequence) => {
            let event = Box::new(serde_json::from_value(what).context(unknown)?);
            Moment::Entry { sequence, event }
        }
        None => Moment::Recorded(serde_json::from_value(what).context(unknown)?),
    };
    Ok(TimelineItem { at, offset: Duration::from_micros(offset), request, moment })
}

async fn file(client: &Client, id: SessionId, to: &PathBuf) -> anyhow::Result<ExitCode> {
    let mut answer = client.follow(&format!("/api/v1/recordings/{id}/file")).await?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    let mut file = file.with_context(|| to.display().to_string())?;
    while let Some(piece) = answer.chunk().await.context("the answer breaks off")? {
        file.write_all(&piece).with_context(|| to.display().to_string())?;
    }
    file.sync_all().with_context(|| to.display().to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// Watches a session.
pub(super) async fn watch(watch: Watch, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let client = watch.access.client(config).await?;
    let from = watch.from.map(|from| format!("?from={from}")).unwrap_or_default();
    let mut answer = client.follow(&format!("/api/v1/sessions/{}/watch{from}", watch.id)).await?;
    let mut heard: Vec<u8> = Vec::new();
    while let Some(piece) = answer.chunk().await.context("the gateway has stopped telling")? {
        heard.extend_from_slice(&piece);
        anyhow::ensure!(heard.len() <= MAX_EVENT, "an event is too long");
        while let Some(end) = heard.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = heard.drain(..end + 2).collect();
            if told(&String::from_utf8_lossy(&event), json)? {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
    anyhow::bail!("the gateway has stopped telling: you may no longer watch, or it stops")
}

/// Prints an event; true for the last.
fn told(event: &str, json: bool) -> anyhow::Result<bool> {
    let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
    if field("event:").is_some_and(|kind| kind.trim() == "ended") {
        return Ok(true);
    }
    let Some(data) = field("data:") else { return Ok(false) };
    let moment: Value = serde_json::from_str(data.trim_start())?;
    if json {
        say!("{moment}");
    } else {
        let mut out = io::stdout().lock();
        render_timeline(&[item(moment)?], &mut out, render_options())?;
        out.flush()?;
    }
    Ok(false)
}

/// Pauses a session.
pub(super) async fn pause(pause: Pause, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let body = json!({ "seconds": pause.time.as_secs(), "reason": pause.reason });
    let client = pause.access.client(config).await?;
    let standing = client.post(&format!("/api/v1/sessions/{}/pause", pause.id), &body).await?;
    if standing.pointer("/recorded").and_then(Value::as_bool) == Some(false) {
        eprintln!("portcullis: the journal takes nothing, so this is not in the record");
    }
    if json {
        say!("{}", page::json(&standing)?);
    } else {
        say!("{} is paused until {}", pause.id, time(&standing, "/session/paused/until"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Lets a session go on.
pub(super) async fn resume(
    resume: Resume,
    config: &Config,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let client = resume.access.client(config).await?;
    let path = format!("/api/v1/sessions/{}/resume", resume.id);
    let standing = client.post(&path, &json!({})).await?;
    if json {
        say!("{}", page::json(&standing)?);
    } else {
        say!("{} goes on", resume.id);
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However a terminal of this width cuts the lines, no text of others begins one.
    #[test]
    fn no_text_reaches_the_left_margin() {
        for width in [24, 40, 80] {
            for wide in 0..2 * width {
                let spoof = format!("x{}ses_SPOOF  1970", "\u{a0}".repeat(wide));
                let row = json!({ "id": "ses_1", "who": spoof, "connection": spoof, "opened": 0 });
                for line in line(&row, width).lines().filter(|line| !line.starts_with("ses_1  ")) {
                    assert!(line.starts_with("             │"), "{line}");
                }
            }
        }
    }
}
