//! `portcullis sessions`, `kill`, `freeze`, `thaw`, `freezes`: a client of the gateway's own API.

use super::access::{Access, NotDone, number, span, text, time};
use super::page;
use crate::config::Config;
use clap::{ArgGroup, Args};
use portcullis_core::id::{FreezeId, SessionId};
use portcullis_ledger::visible;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

/// The sessions there are now.
#[derive(Debug, Args)]
pub(super) struct Sessions {
    #[command(flatten)]
    access: Access,
}

/// End sessions, whatever they do.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true)
    .args(["session", "agent", "connection"]))]
pub(super) struct Kill {
    #[command(flatten)]
    access: Access,
    /// This one.
    #[arg(long, value_name = "ID", conflicts_with_all = ["agent", "connection"])]
    session: Option<SessionId>,
    /// All of agents and workloads with this name or subject.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// All on this connection.
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// Why; the caller reads it.
    #[arg(long)]
    reason: String,
}

/// Keep agents from writing, or from everything, for a time.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("scope").required(true).args(["writes", "everything"]))]
pub(super) struct Freeze {
    #[command(flatten)]
    access: Access,
    /// What changes something, and keeping what was changed; reads go on.
    #[arg(long)]
    writes: bool,
    /// Everything, log-ins too.
    #[arg(long)]
    everything: bool,
    /// On this connection alone.
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// For how long: at most 30 days.
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    time: Duration,
    /// Why; agents read it.
    #[arg(long)]
    reason: String,
}

/// Take a freeze back.
#[derive(Debug, Args)]
pub(super) struct Thaw {
    #[command(flatten)]
    access: Access,
    /// The freeze's id.
    id: FreezeId,
}

/// What is frozen.
#[derive(Debug, Args)]
pub(super) struct Freezes {
    #[command(flatten)]
    access: Access,
    /// Those that are over as well.
    #[arg(long)]
    all: bool,
}

/// Lists the sessions.
pub(super) async fn sessions(
    sessions: Sessions,
    config: &Config,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let found = sessions.access.client(config).await?.get("/api/v1/sessions").await?;
    if json {
        say!("{}", page::json(&found)?);
        return Ok(ExitCode::SUCCESS);
    }
    let found = list(&found);
    if found.is_empty() {
        say!("there are no sessions");
    }
    for session in found {
        say!("{}", listed(session, page::width(page::PAGE)));
    }
    Ok(ExitCode::SUCCESS)
}

/// Ends sessions.
pub(super) async fn kill(kill: Kill, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let client = kill.access.client(config).await?;
    let (path, body) = match kill.session {
        Some(id) => (format!("/api/v1/sessions/{id}/kill"), json!({ "reason": kill.reason })),
        None => {
            let (agent, connection) = (&kill.agent, &kill.connection);
            let body = json!({ "agent": agent, "connection": connection, "reason": kill.reason });
            ("/api/v1/sessions/kill".to_owned(), body)
        }
    };
    let ended = client.post(&path, &body).await?;
    if json {
        say!("{}", page::json(&ended)?);
    }
    if ended.pointer("/recorded").and_then(Value::as_bool) == Some(false) {
        eprintln!("portcullis: the journal takes nothing, so this is not in the record");
    }
    let sessions = ended.get("sessions").map(list).unwrap_or_default();
    if sessions.is_empty() {
        return Err(NotDone("no session of yours, or that you may end, is meant".to_owned()).into());
    }
    for session in sessions.iter().filter(|_| !json) {
        let over = session.pointer("/over").and_then(Value::as_bool).unwrap_or_default();
        let before = format!(
            "{}  {}  ",
            visible::escape(text(session, "/id")),
            if over { "over" } else { "about to be over" }
        );
        say!("{}", page::behind(&before, &whose(session), page::width(page::PAGE)));
    }
    Ok(ExitCode::SUCCESS)
}

/// Freezes.
pub(super) async fn freeze(
    freeze: Freeze,
    config: &Config,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let body = json!({
        "scope": if freeze.everything { "everything" } else { "writes" },
        "connection": freeze.connection,
        "seconds": freeze.time.as_secs(),
        "reason": freeze.reason,
    });
    let made = freeze.access.client(config).await?.post("/api/v1/freezes", &body).await?;
    if json {
        say!("{}", page::json(&made)?);
        return Ok(ExitCode::SUCCESS);
    }
    say!("{}", frozen(&made, page::width(page::PAGE)));
    Ok(ExitCode::SUCCESS)
}

/// Thaws.
pub(super) async fn thaw(thaw: Thaw, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let path = format!("/api/v1/freezes/{}", thaw.id);
    let row = thaw.access.client(config).await?.delete(&path).await?;
    if json {
        say!("{}", page::json(&row)?);
    } else {
        say!("{} is thawed", visible::escape(text(&row, "/id")));
    }
    Ok(ExitCode::SUCCESS)
}

/// Lists the freezes.
pub(super) async fn freezes(
    freezes: Freezes,
    config: &Config,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let path = if freezes.all { "/api/v1/freezes?all=true" } else { "/api/v1/freezes" };
    let rows = freezes.access.client(config).await?.get(path).await?;
    if json {
        say!("{}", page::json(&rows)?);
        return Ok(ExitCode::SUCCESS);
    }
    let rows = list(&rows);
    if rows.is_empty() {
        say!("nothing is frozen");
    }
    for row in rows {
        say!("{}", frozen(row, page::width(page::PAGE)));
    }
    Ok(ExitCode::SUCCESS)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Whose session it is, and where it leads.
fn whose(session: &Value) -> String {
    format!("{} on {}", text(session, "/who"), text(session, "/connection/name"))
}

/// One session in a list: what the gateway counted, then names and texts, which may be anybody's.
fn listed(session: &Value, width: usize) -> String {
    let before = format!(
        "{}  {}  {}  {} permitted, {} refused, {} held, {} values masked  ",
        visible::escape(text(session, "/id")),
        time(session, "/since"),
        visible::escape(text(session, "/state")),
        number(session, "/verdicts/permitted"),
        number(session, "/verdicts/refused"),
        number(session, "/verdicts/held"),
        number(session, "/verdicts/masked"),
    );
    let last = match session.pointer("/last") {
        Some(last) => format!(": {} {}", text(last, "/verdict"), text(last, "/text")),
        None => String::new(),
    };
    let about = format!("{} from {}{last}", whose(session), text(session, "/peer"));
    page::behind(&before, &about, width)
}

/// One freeze: what the gateway keeps of it, then the words of whoever made it.
fn frozen(row: &Value, width: usize) -> String {
    let good = row.pointer("/good").and_then(Value::as_bool).unwrap_or_default();
    let before = format!(
        "{}  {:5} {}  until {}  ",
        visible::escape(text(row, "/id")),
        if good { "good" } else { "ended" },
        visible::escape(text(row, "/scope")),
        time(row, "/until"),
    );
    let on = match text(row, "/connection") {
        "" => "everywhere".to_owned(),
        connection => format!("on {connection}"),
    };
    page::behind(
        &before,
        &format!("{on}, by {}: {}", text(row, "/by"), text(row, "/reason")),
        width,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However a terminal of this width cuts the lines, no text of others begins one.
    #[test]
    fn no_text_reaches_the_left_margin() {
        for width in [24, 40, 80] {
            for filler in [" ", "\u{a0}", "漢", "\n", "\u{85}"] {
                for wide in 0..2 * width {
                    let spoof = format!("x{}frz_SPOOF  good", filler.repeat(wide));
                    let session = json!({
                        "id": "ses_1", "who": spoof, "connection": {"name": spoof},
                        "peer": "127.0.0.1:1", "since": 0, "state": "held",
                        "last": {"verdict": "held", "text": spoof},
                    });
                    let row = json!({
                        "id": "frz_1", "good": true, "scope": "writes", "connection": spoof,
                        "by": spoof, "reason": spoof, "until": 0,
                    });
                    for page in [listed(&session, width), frozen(&row, width)] {
                        let own = |line: &&str| {
                            !line.starts_with("ses_1  1970") && !line.starts_with("frz_1  good ")
                        };
                        for line in page.lines().filter(own) {
                            assert!(line.starts_with("             │"), "{line}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn sessions_and_freezes_are_told_on_a_line() {
        let session = json!({
            "id": "ses_1", "who": "claude for ana", "connection": {"name": "shop"},
            "peer": "127.0.0.1:1", "since": 0, "state": "held",
            "verdicts": {"permitted": 3, "refused": 2, "held": 1, "masked": 9},
            "last": {"verdict": "held", "text": "DELETE FROM t"},
        });
        assert_eq!(
            listed(&session, 200),
            "ses_1  1970-01-01T00:00:00Z  held  3 permitted, 2 refused, 1 held, 9 values masked  \
             claude for ana on shop from 127.0.0.1:1: held DELETE FROM t"
        );
        let row = json!({
            "id": "frz_1", "good": true, "scope": "writes", "by": "bo", "reason": "a bad deploy",
            "until": 0,
        });
        assert_eq!(
            frozen(&row, 200),
            "frz_1  good  writes  until 1970-01-01T00:00:00Z  everywhere, by bo: a bad deploy"
        );
    }
}
