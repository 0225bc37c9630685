//! `portcullis session …`: reads the record, without a running gateway.

use super::page;
use crate::config::Config;
use crate::sealing::keys_in;
use clap::Subcommand;
use portcullis_core::id::SessionId;
use portcullis_ledger::played::Wholeness;
use portcullis_ledger::read::{self, SessionState, SessionSummary, TimelineItem};
use portcullis_ledger::render::{RenderOptions, render_timeline};
use portcullis_ledger::visible;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
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
        #[command(flatten)]
        opening: Opening,
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
        #[command(flatten)]
        opening: Opening,
    },
}

/// What sealed recordings open with.
#[derive(Debug, clap::Args)]
pub(crate) struct Opening {
    /// File with the secret key of a recipient, as `age-keygen` writes it; recording.identity_file otherwise.
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

impl Opening {
    /// What happened in a session, with what was answered as far as it opens; else it says so.
    fn timeline(&self, id: SessionId, config: &Config) -> anyhow::Result<Vec<TimelineItem>> {
        let keys = match &self.identity {
            Some(file) => keys_in(file)?.into(),
            None => config.recording.keys()?,
        };
        let (timeline, ends) = read::timeline(&config.data_dir, id, &keys)?;
        match ends {
            Wholeness::Sealed => eprintln!(
                "the answers are sealed: --identity FILE, with the key of a recipient, shows them"
            ),
            Wholeness::Cut => eprintln!(
                "the recording is cut, or was changed: `portcullis audit verify` says what is wrong"
            ),
            Wholeness::Whole | Wholeness::Absent => {}
        }
        Ok(timeline)
    }
}

/// Runs one command on the record below `data_dir`.
pub(crate) fn run(command: &Session, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let directory = &config.data_dir;
    let mut out = io::stdout().lock();
    match command {
        Session::List => {
            let sessions = read::sessions(directory)?;
            if json {
                writeln!(out, "{}", page::json(&sessions)?)?;
            } else {
                for session in &sessions {
                    writeln!(out, "{}", listed(session, page::width(page::UNCUT)))?;
                }
            }
        }
        Session::Show { id, opening } => {
            let timeline = opening.timeline(*id, config)?;
            if json {
                writeln!(out, "{}", page::json(&timeline)?)?;
            } else {
                render_timeline(&timeline, &mut out, render_options())?;
            }
        }
        Session::Replay { id, speed, idle, opening } => {
            let timeline = opening.timeline(*id, config)?;
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

/// One session in a list: what the gateway counted, then the names, which may be anybody's.
fn listed(session: &SessionSummary, width: usize) -> String {
    let state = match &session.state {
        SessionState::Open => "open",
        SessionState::Closed(_) => "closed",
        SessionState::Refused(_) => "refused",
    };
    let before = format!(
        "{}  {}  {state:7}  {} requests, {} refused, {} held, {} rows, {} values masked  ",
        session.session,
        visible::rfc3339(session.opened),
        session.requests,
        session.refused,
        session.held,
        session.rows,
        session.masked
    );
    page::behind(&before, &format!("{} on {}", session.who(), session.connection), width)
}

pub(super) fn render_options() -> RenderOptions {
    let color = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    RenderOptions { color, width: page::width(page::UNCUT) }
}
