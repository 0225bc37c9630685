//! `portcullis evidence`: a signed pack for an auditor, from the record below `data_dir`.

use super::page;
use crate::config::Config;
use crate::evidence::{Control, Wanted, make};
use anyhow::bail;
use clap::Parser;
use portcullis_core::time::Timestamp;
use portcullis_ledger::visible::escape;
use std::path::PathBuf;
use std::process::ExitCode;

/// Which part of the record, and for whom.
#[derive(Debug, Parser)]
pub(super) struct Evidence {
    /// From when on, with zone (2026-03-01T00:00:00Z).
    #[arg(long, value_name = "TIME")]
    from: jiff::Timestamp,
    /// Until when.
    #[arg(long, value_name = "TIME")]
    to: jiff::Timestamp,
    /// The clauses to answer; all there are, where none is named. Can be given several times.
    #[arg(long, value_enum, value_name = "CONTROL")]
    control: Vec<Control>,
    /// With the recorded answers of sessions that ended then, sealed as they are.
    #[arg(long)]
    recordings: bool,
    /// The directory to write, which must not exist yet.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
}

pub(super) async fn run(
    evidence: Evidence,
    config: &Config,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let Evidence { from, to, control, recordings, output } = evidence;
    if from > to {
        bail!("--from is after --to");
    }
    let at = |at: jiff::Timestamp| Timestamp::from_micros(at.as_microsecond());
    let wanted = Wanted { from: at(from), to: at(to), controls: control, recordings };
    let made = make(wanted, config, &output).await?;
    if json {
        say!("{}", page::json(&made)?);
        return Ok(ExitCode::SUCCESS);
    }
    let place = output.display().to_string();
    let place = escape(&place);
    say!(
        "{place}: entries {} to {}, {} of before, {} recordings; {} files",
        made.first,
        made.end.saturating_sub(1),
        made.context,
        made.recordings,
        made.files
    );
    say!("begin with {place}/report.md");
    say!(
        "check: portcullis-verify --evidence {place} --key FILE, with the key that you keep elsewhere:"
    );
    say!("{}", escape(&made.key));
    Ok(ExitCode::SUCCESS)
}
