//! `portcullis session …`: reads the record, without a running gateway.

use crate::config::Config;
use clap::Subcommand;
use portcullis_core::id::SessionId;
use portcullis_ledger::read;
use portcullis_ledger::render::{RenderOptions, render_timeline};
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

/// Look at recorded sessions.
#[derive(Debug, Subcommand)]
pub(crate) enum Session {
    /// The sessions in the record.
    List,
    /// One session as a timeline: who, statement, verdict, rows, duration, masked sample.
    Show {
        /// The session's id.
        id: SessionId,
    },
    /// The same, at the pace it happened.
    Replay {
        /// The session's id.
        id: SessionId,
        /// How many times faster.
        #[arg(long, default_value_t = 1.0)]
        speed: f64,
        /// No pause is longer than this many seconds.
        #[arg(long, default_value_t = 2.0)]
        idle: f64,
    },
}

/// Runs one command on the record below `data_dir`.
pub(crate) fn run(command: &Session, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let directory = &config.data_dir;
    let mut out = io::stdout().lock();
    match command {
        Session::List => {
            let sessions = read::sessions(directory)?;
            if json {
                writeln!(out, "{}", serde_json::to_string_pretty(&sessions)?)?;
            } else {
                for session in &sessions {
                    writeln!(out, "{session}")?;
                }
            }
        }
        Session::Show { id } => {
            let timeline = read::timeline(directory, *id)?;
            if json {
                writeln!(out, "{}", serde_json::to_string_pretty(&timeline)?)?;
            } else {
                render_timeline(&timeline, &mut out, render_options())?;
            }
        }
        Session::Replay { id, speed, idle } => {
            let timeline = read::timeline(directory, *id)?;
            let mut before = Duration::ZERO;
            for item in &timeline {
                let pause = item.offset.saturating_sub(before).as_secs_f64() / speed.max(0.001);
                before = item.offset;
                std::thread::sleep(Duration::from_secs_f64(pause.clamp(0.0, idle.max(0.0))));
                render_timeline(std::slice::from_ref(item), &mut out, render_options())?;
                out.flush()?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What is not for a terminal is not cut to its width, so that it can be searched.
const UNCUT: usize = 10_000;

fn render_options() -> RenderOptions {
    let terminal = terminal_size::terminal_size_of(io::stdout());
    let color = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    RenderOptions { color, width: terminal.map_or(UNCUT, |(width, _)| width.0.into()) }
}
