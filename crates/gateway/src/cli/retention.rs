//! What the rules of retention would remove now, without removing it and without a gateway.

use super::page;
use crate::config::Config;
use crate::documents::at_start;
use crate::fleet;
use crate::retention;
use anyhow::Context as _;
use clap::{Parser, Subcommand};
use portcullis_ledger::retention::Due;
use portcullis_ledger::visible::escape;
use portcullis_store::DocumentStore;
use std::process::ExitCode;

#[derive(Debug, Parser)]
pub(super) struct Retention {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What is due to be removed now, what legal holds keep, and what waits. Removes nothing.
    Plan,
}

/// Runs one command on the record below `data_dir`.
pub(super) async fn run(
    Retention { command }: Retention,
    config: &Config,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let Command::Plan = command;
    // Holds are documents.
    let store = fleet::open_beside(config).await?;
    let whole = at_start(config, &DocumentStore::new(store.clone())).await;
    store.close().await;
    let (whole, _) = whole.context("the holds are not known")?;
    let due = tokio::task::spawn_blocking(move || retention::plan(&whole)).await??;
    if json {
        say!("{}", page::json(&due)?);
    } else {
        tell(config, &due)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(config: &Config, due: &Due) -> anyhow::Result<()> {
    if config.retention.is_empty() {
        say!("everything is kept for ever: there is no [[retention]]");
        return Ok(());
    }
    let recordings = &due.recordings;
    let bytes: u64 = recordings.iter().map(|one| one.bytes).sum();
    say!("due now: {} recordings ({} KiB)", recordings.len(), bytes.div_ceil(1024));
    for one in recordings.iter().take(SHOWN) {
        say!("  {}  by {}", one.session, escape(&one.rule));
    }
    if recordings.len() > SHOWN {
        say!("  and {} more: see --json", recordings.len() - SHOWN);
    }
    let entries: u64 = due.entries.iter().flat_map(|one| one.why.values()).sum();
    let bytes: u64 = due.entries.iter().map(|one| one.bytes).sum();
    say!("         what {entries} entries say ({} KiB)", bytes.div_ceil(1024));
    for one in &due.entries {
        for (rule, count) in &one.why {
            say!("  segment {}  {count} by {}", one.segment, escape(rule));
        }
    }
    if due.open > 0 {
        say!("soon: {} entries, once another segment is begun", due.open);
    }
    if due.waiting > 0 {
        say!("waiting: {} entries, until every receiver of [[export]] has them", due.waiting);
    }
    for (hold, count) in &due.held {
        say!("held: {count} sessions and events by {}", escape(hold));
    }
    Ok(())
}

/// Recordings that are listed.
const SHOWN: usize = 20;
