//! Completions for shells: commands and options as the command line has them. Names of connections and
//! sessions are not in them, which only a gateway knows.

use clap::Args;
use clap_complete::Shell;
use std::io::Write as _;
use std::process::ExitCode;

/// Which shell.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell that is to complete.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints the script of a shell.
pub(super) fn run(
    Completions { shell }: &Completions,
    mut command: clap::Command,
) -> anyhow::Result<ExitCode> {
    // All of it, and then out: the generator itself panics where nobody reads on.
    let mut script = Vec::new();
    clap_complete::generate(*shell, &mut command, "portcullis", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
