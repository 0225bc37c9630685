//! What the console's pages for administrators show, at a terminal: connections, health, identity, settings.

use super::access::{Access, number, text, time};
use super::{doctor, page};
use crate::config::Config;
use crate::settings::Settings;
use anyhow::bail;
use clap::Args;
use portcullis_ledger::visible;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How often it is asked whether a look has ended.
const AGAIN: Duration = Duration::from_millis(500);
/// How long a look is waited for; the gateway itself gives up before.
const PATIENCE: Duration = Duration::from_secs(330);

/// The connections there are for you, and for administrators how each stands.
#[derive(Debug, Args)]
pub(super) struct Connections {
    #[command(flatten)]
    access: Access,
}

/// How everything stands that a running gateway needs: as `doctor` does, looked at by the gateway.
#[derive(Debug, Args)]
pub(super) struct Health {
    #[command(flatten)]
    access: Access,
    /// What was found the last time, without looking again.
    #[arg(long)]
    last: bool,
}

/// The rules in force, of packs too.
#[derive(Debug, Args)]
pub(super) struct Rules {
    #[command(flatten)]
    access: Access,
    /// The whole text of this one, by its `@id`.
    #[arg(value_name = "ID")]
    id: Option<String>,
}

/// Who vouches for callers, and who may do what.
#[derive(Debug, Args)]
pub(super) struct Identity {
    #[command(flatten)]
    access: Access,
}

fn rows<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Texts of a list, in one.
fn words(value: &Value, pointer: &str) -> String {
    let all: Vec<&str> = rows(value, pointer).iter().filter_map(Value::as_str).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

pub(super) async fn connections(
    command: Connections,
    config: &Config,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let found = command.access.client(config).await?.get("/api/v1/connections").await?;
    if json {
        say!("{}", page::json(&found)?);
        return Ok(ExitCode::SUCCESS);
    }
    let all = rows(&found, "");
    if all.is_empty() {
        say!("no connection lets you in");
    }
    for one in all {
        let mut told = page::Page::new(page::width(page::PAGE));
        told.fact("connection", text(one, "/name"));
        let (environment, database) = (text(one, "/environment"), text(one, "/database"));
        told.fact("which is", &format!("{environment}, database {database}"));
        told.fact("sessions", &number(one, "/sessions").to_string());
        if let Some(inside) = one.get("inside") {
            let (host, port) = (text(inside, "/host"), number(inside, "/port"));
            told.fact("leads to", &format!("{host}:{port} as {}", words(inside, "/roles")));
            told.fact("lets in", &words(inside, "/groups"));
            told.fact("named by", &words(inside, "/named_by"));
            let asked = match number(inside, "/checked") {
                0 => "never".to_owned(),
                _ => time(inside, "/checked"),
            };
            told.fact("asked", &asked);
            for finding in rows(inside, "/findings") {
                told.fact(text(finding, "/status"), text(finding, "/found"));
            }
        }
        say!("{}\n", told.finish());
    }
    Ok(ExitCode::SUCCESS)
}

/// 0 nothing is wrong, 1 something weakens or will end, 2 something does not work.
pub(super) async fn health(
    command: Health,
    config: &Config,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let client = command.access.client(config).await?;
    let mut found = match command.last {
        true => client.get("/api/v1/health").await?,
        false => client.post("/api/v1/health", &json!({})).await?,
    };
    let until = Instant::now() + PATIENCE;
    while !command.last && found.get("running").is_some_and(|since| !since.is_null()) {
        if Instant::now() > until {
            anyhow::bail!("the gateway has not ended to look: see its log");
        }
        tokio::time::sleep(AGAIN).await;
        found = client.get("/api/v1/health").await?;
    }
    let status = text(&found, "/last/status").to_owned();
    if json {
        say!("{}", page::json(&found)?);
    } else if status.is_empty() {
        say!("nobody has looked since the gateway was started");
    } else {
        for one in rows(&found, "/last/findings") {
            let at = |pointer| Some(text(one, pointer)).filter(|text| !text.is_empty());
            let (status, check) = (text(one, "/status"), text(one, "/check"));
            doctor::told((status, check), text(one, "/found"), at("/means"), at("/next"))?;
        }
        say!("looked at {}", time(&found, "/last/at"));
    }
    Ok(match status.as_str() {
        "warning" => ExitCode::from(1),
        "failure" => ExitCode::from(2),
        _ => ExitCode::SUCCESS,
    })
}

pub(super) async fn identity(
    command: Identity,
    config: &Config,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let found = command.access.client(config).await?.get("/api/v1/identity").await?;
    if json {
        say!("{}", page::json(&found)?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut told = page::Page::new(page::width(page::PAGE));
    for one in rows(&found, "/providers") {
        let (name, issuer) = (text(one, "/name"), text(one, "/issuer"));
        told.fact(text(one, "/kind"), &format!("{name}: {issuer}"));
        for finding in rows(one, "/findings") {
            told.fact(text(finding, "/status"), text(finding, "/found"));
        }
    }
    for one in rows(&found, "/workloads") {
        let (name, platform) = (text(one, "/name"), text(one, "/platform"));
        told.fact("workload", &format!("{name}: {platform} at {}", text(one, "/issuer")));
    }
    told.fact("administer", &words(&found, "/administrators"));
    told.fact("see records", &words(&found, "/auditors"));
    for one in rows(&found, "/reviewers") {
        told.fact("approve", &approve(one));
    }
    say!("{}", told.finish());
    Ok(ExitCode::SUCCESS)
}

/// Which group approves what, and who is known to be in it.
fn approve(one: &Value) -> String {
    let mut what = Vec::new();
    if !rows(one, "/rules").is_empty() {
        what.push(format!("held requests ({})", words(one, "/rules")));
    }
    if !rows(one, "/connections").is_empty() {
        what.push(format!("access to {}", words(one, "/connections")));
    }
    let others = one.pointer("/others") == Some(&Value::Bool(true));
    let known = rows(one, "/known");
    let left = number(one, "/count").saturating_sub(known.len() as u64);
    let names = named(known);
    let who = match (known.is_empty(), others) {
        (true, true) => "nobody is known to be in it; providers may tell of people".to_owned(),
        (true, false) => "NOBODY is in it: what waits for it expires".to_owned(),
        (false, _) if left > 0 => format!("{names} and {left} more are in it"),
        (false, _) => format!("in it: {names}"),
    };
    format!("{}: {}; {who}", text(one, "/group"), what.join(", "))
}

/// People, by whoever vouches for them: a subject is somebody else at another issuer.
fn named(known: &[Value]) -> String {
    let mut by_issuer: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for who in known {
        let subject = text(who, "/subject");
        // One name does not look like two.
        let quoted = if subject.contains([',', ';', '(']) {
            format!("{subject:?}")
        } else {
            subject.to_owned()
        };
        by_issuer.entry(text(who, "/issuer")).or_default().push(quoted);
    }
    let groups =
        by_issuer.into_iter().map(|(issuer, names)| format!("{} ({issuer})", names.join(", ")));
    groups.collect::<Vec<_>>().join("; ")
}

pub(super) async fn rules(command: Rules, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let found = command.access.client(config).await?.get("/api/v1/rules").await?;
    let all = || {
        let files = rows(&found, "/files").iter();
        files.flat_map(|file| rows(file, "/rules").iter().map(move |rule| (file, rule)))
    };
    if let Some(id) = &command.id {
        let Some((file, rule)) = all().find(|(_, rule)| text(rule, "/id") == id) else {
            bail!("no rule in force has the id `{id}`: `portcullis rules` lists them all");
        };
        if json {
            say!("{}", page::json(rule)?);
        } else {
            say!("// {}:{}", visible::escape(text(file, "/file")), number(rule, "/line"));
            text(rule, "/text").lines().try_for_each(|line| {
                say!("{}", visible::escape(line));
                anyhow::Ok(())
            })?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if json {
        say!("{}", page::json(&found)?);
        return Ok(ExitCode::SUCCESS);
    }
    for (file, rule) in all() {
        let why = match text(rule, "/reason") {
            "" => String::new(),
            reason => format!("  {reason}"),
        };
        let (effect, id) = (text(rule, "/effect"), text(rule, "/id"));
        let place = format!("{}:{}", text(file, "/file"), number(rule, "/line"));
        say!("{effect:<6} {}", visible::escape(&format!("{id}  ({place}){why}")));
    }
    Ok(ExitCode::SUCCESS)
}

/// `portcullis config show`: of the file, with no gateway.
pub(super) fn settings(config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let found = Settings::of(&config.file);
    if json {
        say!("{}", page::json(&found)?);
        return Ok(ExitCode::SUCCESS);
    }
    for one in &found.settings {
        let from = one.line.map(|line| format!("line {line}")).unwrap_or_else(|| "default".into());
        let before = format!("{from:<9} {} = ", one.key);
        say!("{}", page::behind(&before, &one.value, page::width(page::UNCUT)));
    }
    Ok(ExitCode::SUCCESS)
}
