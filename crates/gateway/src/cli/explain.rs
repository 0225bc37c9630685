//! `portcullis explain`: what the caller may reach, in the gateway's own words, and why something is said to
//! a request.

use super::access::{Access, number, text};
use super::page;
use crate::config::Config;
use anyhow::bail;
use clap::Args;
use portcullis_ledger::visible;
use serde_json::{Value, json};
use std::process::ExitCode;

/// What you may reach through the gateway; or why something is said to a request, by which rules, and how
/// that could change. Nothing is sent to a target.
#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    access: Access,
    /// As a page of Markdown that an agent can work by: the gateway's `/agent.md` for this caller.
    #[arg(long)]
    for_agent: bool,
    /// The connection a statement would be sent to.
    #[arg(long, value_name = "NAME", requires = "statement")]
    connection: Option<String>,
    /// For administrators: who would ask, as KIND:NAME (`agent:claude`). You, by default.
    #[arg(long, value_name = "KIND:NAME", requires = "statement")]
    principal: Option<String>,
    /// A group of that principal. May be given several times.
    #[arg(long, value_name = "GROUP", requires = "principal")]
    group: Vec<String>,
    /// In a transaction that is open.
    #[arg(long, requires = "statement")]
    in_transaction: bool,
    /// A recorded session.
    #[arg(long, value_name = "ID", requires = "entry", conflicts_with = "statement")]
    session: Option<String>,
    /// The number of the entry there in which something was said to a request.
    #[arg(long, value_name = "NUMBER", requires = "session")]
    entry: Option<u64>,
    /// The statement.
    #[arg(value_name = "STATEMENT", requires = "connection")]
    statement: Option<String>,
}

pub(super) async fn run(explain: Explain, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let Some(wanted) = wanted(&explain)? else {
        let client = explain.access.client(config).await?;
        if json {
            say!("{}", page::json(&client.get("/api/v1/manifest").await?)?);
        } else {
            say!("{}", client.page("/agent.md").await?.trim_end());
        }
        return Ok(ExitCode::SUCCESS);
    };
    let client = explain.access.client(config).await?;
    let told = client.post("/api/v1/explain", &wanted).await?;
    if json {
        say!("{}", page::json(&told)?);
    } else {
        lines(&told).iter().try_for_each(|line| {
            say!("{}", visible::escape(line));
            anyhow::Ok(())
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is asked; `None` for the page.
fn wanted(explain: &Explain) -> anyhow::Result<Option<Value>> {
    if let (Some(session), Some(entry)) = (&explain.session, explain.entry) {
        return Ok(Some(json!({ "session": session, "entry": entry })));
    }
    let (Some(connection), Some(statement)) = (&explain.connection, &explain.statement) else {
        if explain.for_agent {
            return Ok(None);
        }
        bail!(
            "say what to explain: --connection NAME STATEMENT, --session ID --entry NUMBER, or --for-agent"
        );
    };
    let mut wanted = json!({
        "connection": connection,
        "statement": statement,
        "in_transaction": explain.in_transaction,
    });
    if let Some(principal) = &explain.principal {
        let Some((kind, name)) = principal.split_once(':') else {
            bail!("--principal is KIND:NAME, such as agent:claude");
        };
        let who = json!({ "kind": kind, "name": name, "groups": explain.group });
        if let Some(wanted) = wanted.as_object_mut() {
            wanted.insert("principal".to_owned(), who);
        }
    }
    Ok(Some(wanted))
}

/// An explanation for people.
fn lines(told: &Value) -> Vec<String> {
    let all = |value: &Value, at: &str| -> Vec<Value> {
        value.pointer(at).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let mut out = vec![format!("{} on {}", text(told, "/who"), text(told, "/connection"))];
    if !text(told, "/operation").is_empty() {
        out.push(format!("does     {}", text(told, "/operation")));
    }
    let rules: Vec<String> =
        all(told, "/answer/rules").iter().filter_map(|r| r.as_str().map(str::to_owned)).collect();
    out.push(format!("answer   {} by {}", text(told, "/answer/verdict"), rules.join(", ")));
    if !text(told, "/answer/reason").is_empty() {
        out.push(format!("because  {}", text(told, "/answer/reason")));
    }
    if !text(told, "/recorded").is_empty() {
        out.push(format!("then     {}", text(told, "/recorded")));
    }
    let masked = all(told, "/answer/masked");
    out.extend(masked.iter().filter_map(Value::as_str).map(|what| format!("masked   {what}")));
    let detectors = all(told, "/answer/detectors");
    if !detectors.is_empty() {
        let names: Vec<&str> = detectors.iter().filter_map(Value::as_str).collect();
        out.push(format!("masked   any column: what looks like {}", names.join(", ")));
    }
    for effect in all(told, "/effects") {
        out.push(format!("effect   {}", text(&effect, "/what")));
        for rule in all(&effect, "/rules") {
            let place = match text(&rule, "/file") {
                "" => String::new(),
                file => format!("  {file}:{}", number(&rule, "/line")),
            };
            out.push(format!("         {} {}{place}", text(&rule, "/effect"), text(&rule, "/id")));
        }
    }
    for (title, at) in [("change   ", "/change"), ("beside   ", "/beside")] {
        out.extend(
            all(told, at).iter().filter_map(Value::as_str).map(|line| format!("{title}{line}")),
        );
    }
    out
}
