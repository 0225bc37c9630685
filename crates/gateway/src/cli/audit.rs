//! `portcullis audit …`: checks the record offline.

use super::page;
pub(crate) use changes::Verified;
mod changes;
mod export;
mod passkeys;

use crate::config::Config;
use anyhow::Context as _;
use clap::Subcommand;
use portcullis_ledger::verify::{Finding, Report, VerifyOptions, verify_as_it_is};
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
    /// Prove that one entry is in the log, to somebody who is shown no other.
    ///
    /// Prints a proof (C2SP tlog-proof) that holds the entry's text, the path to the root of the tree, and
    /// the signed head: `portcullis-verify --proof FILE --key FILE` checks it, and needs nothing else.
    Prove {
        /// The entry's number: `seq` in the journal.
        #[arg(value_name = "ENTRY")]
        entry: u64,
    },
    /// Copy the log as tiles (C2SP tlog-tiles), as programs for transparency logs read it.
    ///
    /// Can be repeated into the same directory: only what is new is written. Of an entry it holds the hash,
    /// and nothing of what the entry says.
    Tiles {
        /// The directory to copy to.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Write the record for another system: JSON lines, OCSF 1.9 events, or OTLP.
    ///
    /// Reads the journal's files, while a gateway runs or not. Each entry is checked by its hash and by the
    /// chain. What is missing or cannot be read has a line of its own in its place, and the exit code is 1
    /// then.
    Export(export::Export),
}

/// Runs one command on the record below `data_dir`.
pub(crate) fn run(command: &Audit, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let (head, key) = match command {
        Audit::Verify { head, key } => (head, key),
        Audit::Prove { entry } => {
            let proof = portcullis_ledger::proof::inclusion(&config.data_dir, *entry)?;
            if json {
                say!("{}", page::json(&serde_json::json!({ "proof": proof }))?);
            } else {
                say!("{}", proof.trim_end());
            }
            return Ok(ExitCode::SUCCESS);
        }
        Audit::Tiles { to } => return tiles(&config.data_dir, to, json),
        Audit::Export(export) => return export::run(export, &config.data_dir),
    };
    let read =
        |path: &PathBuf| std::fs::read_to_string(path).with_context(|| path.display().to_string());
    let options = VerifyOptions {
        public_key: key.as_ref().map(read).transpose()?.map(|text| text.trim().to_owned()),
        expected_head: head.as_ref().map(read).transpose()?,
        live: false,
    };
    let all = verify_as_it_is(&config.data_dir, options)
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

fn tiles(directory: &Path, to: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let copied = portcullis_ledger::tiles::copy(directory, to)?;
    if json {
        say!("{}", page::json(&copied)?);
    } else {
        let (entries, written) = (copied.entries, copied.written);
        say!("{}: {entries} entries, {written} files written", shown(&to.display().to_string()));
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
    verify_as_it_is(directory, VerifyOptions::default())
}
