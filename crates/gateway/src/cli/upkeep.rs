//! What whoever looks after a gateway does to it, past its API.

use super::{backup, doctor, evidence, passkeys, retention, secret};
use crate::config::Config;
use clap::Subcommand;
use std::path::Path;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum Upkeep {
    /// Sealed passwords of targets, and the master key that opens them.
    Secret(secret::Secret),
    /// Look at everything the gateway needs, and say what is wrong and what to do. Changes nothing.
    /// Exit code 0: all is well; 1: warnings; 2: failures.
    Doctor,
    /// Copy the store to a file, while the gateway runs or not.
    Backup(backup::Backup),
    /// Put the store of a backup in place, while the gateway does not run.
    Restore(backup::Restore),
    /// Passkeys of people, past the gateway's API.
    Passkeys(passkeys::Passkeys),
    /// Write a signed evidence pack for an auditor: a part of the record with what proves it, and a report.
    ///
    /// Reads the journal's files, while a gateway runs or not. `portcullis-verify --evidence` checks it, anywhere.
    Evidence(evidence::Evidence),
    /// For how long what is recorded is kept.
    Retention(retention::Retention),
}

pub(super) async fn run(command: Upkeep, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        Upkeep::Secret(command) => secret::run(command, &Config::load(config)?, json).await,
        Upkeep::Passkeys(command) => passkeys::run(command, &Config::load(config)?, json).await,
        Upkeep::Evidence(wanted) => evidence::run(wanted, &Config::load(config)?, json).await,
        Upkeep::Retention(command) => retention::run(command, &Config::load(config)?, json).await,
        Upkeep::Doctor => doctor::run(config, json).await,
        Upkeep::Backup(options) => backup::back_up(options, &Config::load(config)?, json).await,
        Upkeep::Restore(options) => backup::restore(options, &Config::load(config)?, json).await,
    }
}
