//! `portcullis passkeys …`: on the machine of a gateway, on its store. In the console nobody removes their own
//! passkeys, so that a stolen session cannot; whoever has the store may, and where there is one administrator
//! there is no other way.

use super::page;
use crate::config::Config;
use crate::fleet;
use crate::moment::now;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use portcullis_core::id::PasskeyId;
use portcullis_ledger::visible;
use portcullis_store::PasskeyStore;
use serde_json::json;
use std::process::ExitCode;

/// Passkeys of people, past the gateway's API.
#[derive(Debug, Args)]
pub(super) struct Passkeys {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Remove a person's passkeys, on the machine of a gateway, whether it runs or not. They approve nothing
    /// from then on; the next one the person registers is a first one. It goes into the record of a gateway
    /// that runs, within a minute, or of the next that starts.
    Remove {
        /// Whose: the subject that the person's provider gives.
        #[arg(long, value_name = "SUBJECT")]
        of: String,
        /// At which issuer, where several have somebody of that subject.
        #[arg(long, value_name = "URL")]
        issuer: Option<String>,
        /// One of them; without it, all.
        #[arg(long, value_name = "ID")]
        only: Option<PasskeyId>,
    },
}

/// Runs one command on the store.
pub(super) async fn run(
    Passkeys { command }: Passkeys,
    config: &Config,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let Command::Remove { of, issuer, only } = command;
    let store = fleet::open_beside(config).await?;
    let whose = (of.as_str(), issuer.as_deref());
    let removed = PasskeyStore::new(store.clone()).remove_of(whose, only, &by(), now()).await;
    store.close().await;
    let removed = removed.with_context(|| format!("passkeys of {}", visible::escape(&of)))?;
    if json {
        say!("{}", page::json(&json!(removed))?);
        return Ok(ExitCode::SUCCESS);
    }
    for row in &removed {
        let about = format!("{} of {} at {}", row.name, row.subject, row.issuer);
        let before = format!("{} is removed  ", row.id);
        say!("{}", page::behind(&before, &about, page::width(page::PAGE)));
    }
    Ok(ExitCode::SUCCESS)
}

/// Who does it, as far as that can be told: it proves nothing.
fn by() -> String {
    let name = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_default();
    let name: String = name.chars().filter(|c| c.is_ascii_graphic()).take(60).collect();
    match name.as_str() {
        "" => "somebody with the gateway's store, at a terminal".to_owned(),
        name => format!("somebody with the gateway's store, at a terminal ({name})"),
    }
}
