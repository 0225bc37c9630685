//! `portcullis apply`, `get`, `history`: documents, as a client of the gateway's own API.

use super::access::{Access, Client, NotDone, number, span, text, time};
use super::page;
use crate::config::Config;
use crate::documents::files::{Trust, read};
use anyhow::bail;
use clap::Args;
use portcullis_ledger::visible;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Lines around a change that are shown with it.
const AROUND: usize = 2;

/// Change connections, policies and who vouches for callers in a running gateway, all or none: shows what
/// would change, then does it.
#[derive(Debug, Args)]
pub(super) struct Apply {
    #[command(flatten)]
    access: Access,
    /// A directory with `policies/NAME.cedar`, and NAME.toml in `connections`, `tests`, `providers`, `saml`,
    /// `workloads` and `groups`; or one such file.
    #[arg(short, long = "file", value_name = "PATH", required = true)]
    files: Vec<PathBuf>,
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: say which verdicts of what was recorded in this time would be others (`7d`).
    #[arg(long, value_name = "TIME", value_parser = back, requires = "dry_run")]
    against: Option<std::time::Duration>,
    /// Remove the documents that are not there.
    #[arg(long)]
    prune: bool,
    /// Do it without asking.
    #[arg(long)]
    yes: bool,
}

/// The documents a gateway goes by, or what one says.
#[derive(Debug, Args)]
pub(super) struct Get {
    #[command(flatten)]
    access: Access,
    /// `connection`, `policy`, `test`, `provider`, `saml`, `workload`, `group`, or one of them:
    /// `policy/NAME`. All by default.
    #[arg(value_name = "KIND[/NAME]")]
    which: Option<String>,
}

/// What became of a document: its changes, the newest first.
#[derive(Debug, Args)]
pub(super) struct History {
    #[command(flatten)]
    access: Access,
    /// Which.
    #[arg(value_name = "KIND/NAME")]
    which: String,
}

/// Applies.
pub(super) async fn apply(apply: Apply, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let mut documents = Vec::new();
    for path in &apply.files {
        documents.extend(read(path, Trust::Caller)?);
    }
    let client = apply.access.client(config).await?;
    let mut wanted = json!({ "documents": documents, "prune": apply.prune });
    let plan = client.post("/api/v1/documents/plan", &wanted).await?;
    let changes = plan.pointer("/changes").and_then(Value::as_array);
    let nothing = changes.is_none_or(Vec::is_empty);
    if !json || !apply.dry_run {
        show(&plan, json)?;
    }
    if let Some(against) = apply.against {
        let told = super::rejudged::run(&client, &wanted, against).await?;
        if json {
            say!("{}", page::json(&json!({ "plan": plan, "rejudged": told }))?);
        } else {
            super::rejudged::show(&told)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if apply.dry_run || nothing {
        if json {
            say!("{}", page::json(&plan)?);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if !apply.yes && !agreed()? {
        return Err(NotDone("nothing was changed".to_owned()).into());
    }
    if let Some(wanted) = wanted.as_object_mut() {
        let revision = plan.pointer("/revision").cloned().unwrap_or_default();
        wanted.insert("revision".to_owned(), revision);
    }
    let applied = client.post("/api/v1/documents/apply", &wanted).await?;
    if json {
        say!("{}", page::json(&applied)?);
        return Ok(ExitCode::SUCCESS);
    }
    let entries = applied.pointer("/entries").and_then(Value::as_array);
    let entries: Vec<String> = entries.into_iter().flatten().map(Value::to_string).collect();
    let revision = number(&applied, "/revision");
    say!("documents {revision} are in force; journal entries {}", entries.join(", "));
    let before = warnings(&plan).collect::<Vec<_>>();
    for warning in warnings(&applied).filter(|warning| !before.contains(warning)) {
        say!("warning: {}", visible::escape(warning));
    }
    Ok(ExitCode::SUCCESS)
}

/// How far back: days as well, which other lengths of time are too short for.
pub(super) fn back(text: &str) -> Result<std::time::Duration, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    let days = days.map(|days| std::time::Duration::from_secs(u64::from(days) * 86_400));
    days.map_or_else(|| span(text), Ok)
}

/// Asks whoever is at the terminal.
fn agreed() -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("nobody can be asked here: say --yes to do it, or --dry-run to look");
    }
    eprint!("portcullis: do it? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "yes"))
}

/// Shows a plan: to standard error where a machine reads the rest.
fn show(plan: &Value, json: bool) -> anyhow::Result<()> {
    let shown = shown(plan);
    if json {
        eprint!("{shown}");
    } else {
        say!("{}", shown.trim_end());
    }
    Ok(())
}

fn warnings(of: &Value) -> impl Iterator<Item = &str> {
    let all = of.pointer("/warnings").and_then(Value::as_array).into_iter().flatten();
    all.map(|warning| warning.as_str().unwrap_or_default())
}

/// A plan for people: what becomes of each document, line by line.
fn shown(plan: &Value) -> String {
    let mut out = String::new();
    let empty = Vec::new();
    let changes = plan.pointer("/changes").and_then(Value::as_array).unwrap_or(&empty);
    for change in changes {
        let name = format!("{}/{}", text(change, "/kind"), text(change, "/name"));
        let _ = writeln!(
            out,
            "{} {}",
            visible::escape(text(change, "/action")),
            visible::escape(&name)
        );
        for line in compared(text(change, "/before"), text(change, "/after")) {
            let _ = writeln!(out, "    {line}");
        }
    }
    for warning in warnings(plan) {
        let _ = writeln!(out, "warning: {}", visible::escape(warning));
    }
    let tests = plan.pointer("/tests").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if !tests.is_empty() {
        let passed = tests.iter().filter(|test| text(test, "/result") == "passed").count();
        let _ = writeln!(out, "tests: {passed} passed, {} not run", tests.len() - passed);
    }
    if changes.is_empty() {
        out.push_str("nothing to change\n");
    }
    out
}

/// Two texts by their lines: what they begin and end with alike is left out, but for a few.
fn compared(before: &str, after: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let alike = |a: &mut dyn Iterator<Item = (&&str, &&str)>| a.take_while(|(a, b)| a == b).count();
    let start = alike(&mut old.iter().zip(&new));
    let most = old.len().min(new.len()) - start;
    let end = alike(&mut old.iter().rev().zip(new.iter().rev())).min(most);
    let marked = |mark: char, lines: &[&str]| -> Vec<String> {
        lines.iter().map(|line| format!("{mark} {}", visible::escape(line))).collect()
    };
    let part = |lines: &[&str], from: usize, to: usize, mark| {
        marked(mark, lines.get(from..to).unwrap_or_default())
    };
    let (old_end, new_end) = (old.len() - end, new.len() - end);
    let mut all = part(&old, start.saturating_sub(AROUND), start, ' ');
    all.extend(part(&old, start, old_end, '-'));
    all.extend(part(&new, start, new_end, '+'));
    all.extend(part(&new, new_end, new.len().min(new_end + AROUND), ' '));
    all
}

/// The id of a document that somebody names.
fn id(which: &str) -> anyhow::Result<String> {
    match which.split_once('/') {
        Some((kind, name)) if !name.contains(['/', '?', '#', '%']) => Ok(format!("{kind}.{name}")),
        _ => bail!("`{which}` names no document: write KIND/NAME, such as policy/deletes"),
    }
}

/// Shows documents.
pub(super) async fn get(get: Get, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let client = get.access.client(config).await?;
    if let Some(which) = get.which.as_deref().filter(|which| which.contains('/')) {
        let found = client.get(&format!("/api/v1/documents/{}", id(which)?)).await?;
        match json {
            true => say!("{}", page::json(&found)?),
            // It is what `apply` reads.
            false => text(&found, "/text").lines().try_for_each(|line| {
                say!("{}", visible::escape(line));
                anyhow::Ok(())
            })?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    list(&client, get.which.as_deref(), json).await
}

async fn list(client: &Client, kind: Option<&str>, json: bool) -> anyhow::Result<ExitCode> {
    let found = client.get("/api/v1/documents").await?;
    if json {
        say!("{}", page::json(&found)?);
        return Ok(ExitCode::SUCCESS);
    }
    let (revision, in_force) = (number(&found, "/revision"), number(&found, "/in_force"));
    say!("documents {revision}, of which {in_force} are gone by");
    if !text(&found, "/trouble").is_empty() {
        say!(
            "{}",
            page::behind("not gone by: ", text(&found, "/trouble"), page::width(page::PAGE))
        );
    }
    let all = found.pointer("/documents").and_then(Value::as_array);
    for row in all.into_iter().flatten() {
        if kind.is_some_and(|kind| kind != text(row, "/kind")) {
            continue;
        }
        let before = format!(
            "{}/{}  {}  {}  ",
            visible::escape(text(row, "/kind")),
            visible::escape(text(row, "/name")),
            number(row, "/revision"),
            time(row, "/changed"),
        );
        let by = format!("by {}", text(row, "/changed_by"));
        say!("{}", page::behind(&before, &by, page::width(page::PAGE)));
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows the changes of a document.
pub(super) async fn history(
    history: History,
    config: &Config,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let client = history.access.client(config).await?;
    let found = client.get(&format!("/api/v1/documents/{}/history", id(&history.which)?)).await?;
    if json {
        say!("{}", page::json(&found)?);
        return Ok(ExitCode::SUCCESS);
    }
    let all = found.as_array().map(Vec::as_slice).unwrap_or_default();
    for (at, change) in all.iter().enumerate() {
        let (before, after) =
            (all.get(at + 1).map_or("", |older| text(older, "/text")), text(change, "/text"));
        let is_there = change.pointer("/text").is_some_and(Value::is_string);
        let head = format!(
            "documents {}  {}  {}  ",
            number(change, "/revision"),
            time(change, "/changed"),
            if is_there { "changed" } else { "removed" },
        );
        let by = format!("by {}", text(change, "/changed_by"));
        say!("{}", page::behind(&head, &by, page::width(page::PAGE)));
        for line in compared(before, after) {
            say!("    {line}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_shown_by_its_lines() {
        assert_eq!(compared("", "a\nb"), ["+ a", "+ b"]);
        assert_eq!(compared("a\nb", ""), ["- a", "- b"]);
        assert_eq!(
            compared("1\n2\n3\n4\n5\n6", "1\n2\n3\nx\n5\n6"),
            ["  2", "  3", "- 4", "+ x", "  5", "  6"]
        );
        assert_eq!(compared("a", "a\na"), ["  a", "+ a"]);
        let shown = compared("", "\u{202e}x").concat();
        assert!(!shown.contains('\u{202e}'), "it turns the line around: {shown}");
    }
}
