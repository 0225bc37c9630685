//! `portcullis demo`: everything in one process and one temporary directory, in front of a real
//! PostgreSQL server.

mod stage;
mod tour;

use clap::Args;
use stage::Stage;
use std::process::ExitCode;
use tokio::runtime::Runtime;

/// How the demo runs.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Run a scripted agent through it, narrated, and exit 0 only if every step did what it must.
    #[arg(long)]
    tour: bool,
    /// Keep the temporary directory.
    #[arg(long)]
    keep: bool,
}

/// Runs the demo until it is interrupted, or the tour to its end.
pub(crate) fn run(options: &Options, runtime: Runtime) -> anyhow::Result<ExitCode> {
    let stage = Stage::set(&runtime, options.keep)?;
    let code = if options.tour {
        tour::run(&stage, &runtime)
    } else {
        print!("{}", stage.table());
        runtime.block_on(async { tokio::signal::ctrl_c().await })?;
        Ok(ExitCode::SUCCESS)
    };
    stage.strike(&runtime);
    code
}
