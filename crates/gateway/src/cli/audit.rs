//! `portcullis audit …`: checks the record offline.

use crate::config::Config;
use clap::Subcommand;
use portcullis_ledger::verify;
use std::path::PathBuf;
use std::process::ExitCode;

/// Check the record.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Verify the journal and name the first bad entry.
    Verify {
        /// A signed head kept elsewhere, which the journal must still contain.
        #[arg(long, value_name = "FILE")]
        head: Option<PathBuf>,
    },
}

/// Runs one command on the record below `data_dir`.
pub(crate) fn run(command: &Audit, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let Audit::Verify { head } = command;
    let options = verify::Options::with_head_file(head.as_deref())?;
    match verify::verify(&config.data_dir, &options) {
        Ok(report) if json => println!("{}", serde_json::to_string_pretty(&report)?),
        Ok(report) => println!("{report}"),
        Err(finding) => {
            if json {
                println!("{}", serde_json::to_string_pretty(&finding)?);
            } else {
                println!("{finding}");
            }
            return Ok(ExitCode::from(1));
        }
    }
    Ok(ExitCode::SUCCESS)
}
