//! `portcullis audit …`: checks the record offline.

use super::page;
pub(crate) use changes::Verified;
mod changes;
mod passkeys;

use crate::config::Config;
use anyhow::Context as _;
use clap::Subcommand;
use portcullis_ledger::verify::{Finding, Report, VerifyOptions, is_open, verify};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Check the record.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Verify the journal and name the first bad entry.
    Verify {
        /// A signed head kept elsewhere, which the journal must still contain.
        #[arg(long, value_name = "FILE")]
        head: Option<PathBuf>,
        /// The journal's public key kept elsewhere, instead of the one beside the journal.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
}

/// Runs one command on the record below `data_dir`.
pub(crate) fn run(command: &Audit, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let Audit::Verify { head, key } = command;
    let read =
        |path: &PathBuf| std::fs::read_to_string(path).with_context(|| path.display().to_string());
    let options = VerifyOptions {
        public_key: key.as_ref().map(read).transpose()?.map(|text| text.trim().to_owned()),
        expected_head: head.as_ref().map(read).transpose()?,
        live: false,
    };
    let all = verified_with(&config.data_dir, options)
        .and_then(|report| passkeys::verified(&config.data_dir).map(|proofs| (report, proofs)));
    match all {
        Ok((report, proofs)) if json => {
            say!("{}", page::json(&WithProofs { report, passkeys: proofs })?);
        }
        Ok((report, proofs)) => {
            say!("{}", shown(&report.to_string()));
            if proofs > 0 {
                say!(
                    "passkeys: {proofs} signatures of people, each right and of what is beside it"
                );
            }
        }
        Err(finding) => {
            if json {
                say!("{}", page::json(&finding)?);
            } else {
                say!("{}", shown(&finding.to_string()));
            }
            return Ok(ExitCode::from(1));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What was verified.
#[derive(serde::Serialize)]
struct WithProofs {
    #[serde(flatten)]
    report: Report,
    /// Signatures of people by passkey, all of them right.
    passkeys: u64,
}

/// Names of files and what is found in them are anybody's who can write there.
fn shown(text: &str) -> String {
    page::message("", text, page::width(page::UNCUT))
}

/// Verifies with the key beside the journal.
pub(crate) fn verified(directory: &Path) -> Result<Report, Finding> {
    let options = VerifyOptions { public_key: None, expected_head: None, live: false };
    verified_with(directory, options)
}

/// Verifies as is right for a ledger that is being written, or for one that is not; again, where a
/// gateway started or stopped meanwhile.
fn verified_with(directory: &Path, mut options: VerifyOptions) -> Result<Report, Finding> {
    options.live = is_open(directory);
    for _ in 0..3 {
        let result = verify(directory, &options);
        let live = is_open(directory);
        if live == options.live {
            return result;
        }
        options.live = live;
    }
    verify(directory, &options)
}
