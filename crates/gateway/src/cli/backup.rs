//! `portcullis backup` and `portcullis restore`.

use super::page;
use crate::backup;
use crate::config::Config;
use crate::services::private_directory;
use clap::Args;
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
    file: PathBuf,
    /// Restore over a data_dir that is not empty: its store is put aside, the rest stays.
    #[arg(long)]
    force: bool,
}

pub(super) async fn back_up(
    options: Backup,
    config: &Config,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let store = config.data_dir.join("portcullis.db");
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
    private_directory(&config.data_dir)?;
    let store = config.data_dir.join("portcullis.db");
    let done = backup::restore(&options.file, &store, options.force).await?;
    let (reviews, credentials) = (done.settled.reviews, done.settled.credentials);
    if json {
        let done = json!({ "manifest": done.manifest, "reviews_lapsed": reviews,
            "credentials_revoked": credentials, "put_aside": done.kept });
        say!("{}", page::json(&done)?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!("the store is as it was at {}", done.manifest.made);
    text.push_str(&format!(
        "\n{reviews} open reviews lapsed and {credentials} credentials are revoked: they may have been \
         used, or taken back, since\nfreezes and labels made since are not in it: freeze again what has \
         to be, before the gateway starts"
    ));
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
