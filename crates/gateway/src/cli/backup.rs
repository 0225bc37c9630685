//! `portcullis backup` and `portcullis restore`.

use super::page;
use crate::backup;
use crate::config::Config;
use crate::fleet::FILE;
use crate::moment::now;
use crate::services::private_directory;
use anyhow::bail;
use clap::Args;
use portcullis_store::{Settled, settle_server};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Copy the store to a file.
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The file to write: a tar file for its owner alone.
    file: PathBuf,
    /// Replace the file if it is there.
    #[arg(long)]
    force: bool,
}

/// Put the store of a backup in place.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// A file that `portcullis backup` wrote.
    #[arg(required_unless_present = "settle", conflicts_with = "settle")]
    file: Option<PathBuf>,
    /// For a store in PostgreSQL, after `pg_restore`: take back what may have been used or taken back
    /// since it was dumped.
    #[arg(long, conflicts_with = "force")]
    settle: bool,
    /// Restore over a data_dir that is not empty: its store is put aside, the rest stays.
    #[arg(long)]
    force: bool,
}

/// What to do where it is a server that has the store.
const IN_POSTGRES: &str = "store.url names a store in PostgreSQL, which its own tools copy: `pg_dump \
--format=custom --file=FILE` while gateways run; and to put it back, with all gateways stopped, \
`pg_restore --clean --if-exists --exit-on-error` and then `portcullis restore --settle`. Journal, \
recordings and keys are below each gateway's data_dir";

pub(super) async fn back_up(
    options: Backup,
    config: &Config,
    json: bool,
) -> anyhow::Result<ExitCode> {
    if config.store.url.is_some() {
        bail!("{}", page::message("", IN_POSTGRES, page::width(page::UNCUT)));
    }
    let store = config.data_dir.join(FILE);
    let manifest = backup::make(&store, &options.file, options.force).await?;
    if json {
        say!("{}", page::json(&manifest)?);
        return Ok(ExitCode::SUCCESS);
    }
    let keys: Vec<&str> = manifest.master_keys.iter().map(String::as_str).collect();
    let mut text = format!("{} holds the store as it is now", options.file.display());
    if manifest.secrets > 0 {
        text.push_str(&format!(
            "; {} sealed secrets need the master key {}, which is not in it",
            manifest.secrets,
            keys.join(" or ")
        ));
    }
    text.push_str("\nnot in it: journal, recordings and keys below data_dir");
    say!("{}", page::message("", &text, page::width(page::UNCUT)));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn restore(
    options: Restore,
    config: &Config,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let Some(file) = &options.file else { return settle(config, json).await };
    if config.store.url.is_some() {
        bail!("{}", page::message("", IN_POSTGRES, page::width(page::UNCUT)));
    }
    private_directory(&config.data_dir)?;
    let store = config.data_dir.join(FILE);
    let done = backup::restore(file, &store, options.force).await?;
    if json {
        let Settled { reviews, credentials, grants } = done.settled;
        let done = json!({ "manifest": done.manifest, "reviews_lapsed": reviews,
            "credentials_revoked": credentials, "grants_ended": grants, "put_aside": done.kept });
        say!("{}", page::json(&done)?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!("the store is as it was at {}", done.manifest.made);
    text.push('\n');
    text.push_str(&taken_back(done.settled));
    if let Some(kept) = &done.kept {
        text.push_str(&format!("\nwhat was there is in {}", kept.display()));
    }
    if done.manifest.secrets > 0 {
        let keys: Vec<&str> = done.manifest.master_keys.iter().map(String::as_str).collect();
        text.push_str(&format!(
            "\n{} sealed secrets need the master key {}: portcullis secret check",
            done.manifest.secrets,
            keys.join(" or ")
        ));
    }
    say!("{}", page::message("", &text, page::width(page::UNCUT)));
    Ok(ExitCode::SUCCESS)
}

fn taken_back(settled: Settled) -> String {
    let Settled { reviews, credentials, grants } = settled;
    format!(
        "{reviews} open reviews lapsed, {credentials} credentials are revoked and {grants} grants are \
         over: they may have been used, or taken back, since\nfreezes and labels made since are not in it: freeze again what has \
         to be, before the gateway starts"
    )
}

/// What `restore` does to a SQLite store, done to one that `pg_restore` has put back.
async fn settle(config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let Some(postgres) = config.store.postgres(&config.data_dir).await? else {
        bail!("--settle is for a store in PostgreSQL, and store.url is missing: name the backup");
    };
    let settled = settle_server(&postgres, now).await?;
    if json {
        let Settled { reviews, credentials, grants } = settled;
        let done = json!({ "reviews_lapsed": reviews, "credentials_revoked": credentials,
            "grants_ended": grants });
        say!("{}", page::json(&done)?);
    } else {
        say!("{}", page::message("", &taken_back(settled), page::width(page::UNCUT)));
    }
    Ok(ExitCode::SUCCESS)
}
