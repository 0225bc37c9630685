//! `portcullis session …`: reads the record, without a running gateway.

use super::page;
use crate::config::Config;
use crate::recordings::{FoundEntry, Sought};
use crate::sealing::keys_in;
use anyhow::Context as _;
use clap::Subcommand;
use portcullis_core::id::SessionId;
use portcullis_core::journal::Event;
use portcullis_core::time::Timestamp;
use portcullis_ledger::cast::write_cast;
use portcullis_ledger::played::Wholeness;
use portcullis_ledger::read::{self, Moment, SessionState, SessionSummary, TimelineItem};
use portcullis_ledger::render::{RenderOptions, render_timeline};
use portcullis_ledger::visible;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
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
    /// A session as asciicast v3, which plays in asciinema and its player: with markers where something was not
    /// just let through.
    Cast {
        /// The session's id.
        id: SessionId,
        /// The file to write, which must not be there yet; standard output otherwise.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        #[command(flatten)]
        opening: Opening,
    },
    /// Requests in whose statements or bound values a text occurs, whatever its case, in the order they came.
    Search {
        /// The text; without it, `--object` alone is looked for.
        #[arg(required_unless_present = "object")]
        text: Option<String>,
        /// An object the requests name, such as public.orders, as the gateway has read them.
        #[arg(long)]
        object: Option<String>,
        /// Only requests with this verdict.
        #[arg(long)]
        verdict: Option<Verdict>,
        /// How many at most, the newest.
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
    },
    /// The same as `show`, at the pace it happened. On a terminal, Enter jumps to the next request that was not
    /// just let through.
    Replay {
        /// The session's id.
        id: SessionId,
        /// How many times faster.
        #[arg(long, default_value_t = 1.0)]
        speed: f64,
        /// No pause is longer than this many seconds.
        #[arg(long, default_value_t = 2.0)]
        idle: f64,
        /// Begin with this entry, by its number in the journal.
        #[arg(long)]
        from: Option<u64>,
        #[command(flatten)]
        opening: Opening,
    },
}

/// What was said to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Verdict {
    /// It was let through.
    Permitted,
    /// It was refused.
    Refused,
    /// It waited for people.
    Held,
}

impl Verdict {
    const fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Intent { .. } => Some(Self::Permitted),
            Event::Refused { .. } => Some(Self::Refused),
            Event::Held { .. } => Some(Self::Held),
            _ => None,
        }
    }
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
        Session::Cast { id, to, opening } => {
            let timeline = opening.timeline(*id, config)?;
            match to {
                None => cast(*id, &timeline, &mut out)?,
                Some(to) => {
                    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
                    let file = file.with_context(|| to.display().to_string())?;
                    cast(*id, &timeline, &mut io::BufWriter::new(file))?;
                }
            }
        }
        Session::Search { text, object, verdict, limit } => {
            let sought = Sought { text: text.clone(), object: object.clone() };
            let found = sought.all(directory, *limit, |event| {
                verdict.is_none_or(|verdict| Verdict::of(event) == Some(verdict))
            })?;
            if json {
                writeln!(out, "{}", page::json(&found)?)?;
            } else {
                for one in &found {
                    writeln!(out, "{}", found_on(one, page::width(page::UNCUT)))?;
                }
            }
            if found.len() == *limit {
                eprintln!("the newest {limit}: --limit N shows more");
            }
        }
        Session::Replay { id, speed, idle, from, opening } => {
            let timeline = opening.timeline(*id, config)?;
            replay(&timeline, *from, (*speed, *idle), &mut out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn cast(id: SessionId, timeline: &[TimelineItem], out: &mut impl io::Write) -> io::Result<()> {
    let begin = timeline.first().map(|item| item.at).unwrap_or(Timestamp::from_micros(0));
    write_cast(id, begin, timeline, out)?;
    out.flush()
}

/// Prints what happened at its pace, some times faster and with no pause longer than so many seconds.
fn replay(
    timeline: &[TimelineItem],
    from: Option<u64>,
    (speed, idle): (f64, f64),
    out: &mut impl io::Write,
) -> anyhow::Result<()> {
    let numbered = |item: &TimelineItem| match &item.moment {
        Moment::Entry { sequence, .. } => Some(*sequence),
        Moment::Recorded(_) => None,
    };
    let first = timeline.iter().position(|item| numbered(item) >= Some(from.unwrap_or(0)));
    let first = first.with_context(|| format!("nothing happened in it from entry {from:?} on"))?;
    let timeline = timeline.get(first..).unwrap_or_default();
    let mut before = timeline.first().map(|item| item.offset).unwrap_or_default();
    let (mut jumping, pressed) = (false, pressed());
    for item in timeline {
        let pause = item.offset.saturating_sub(before).as_secs_f64() / speed.max(0.001);
        before = item.offset;
        let pause = Duration::from_secs_f64(pause.clamp(0.0, idle.max(0.0)));
        jumping = jumping || wait(&pressed, pause);
        if let Moment::Entry { event, .. } = &item.moment
            && matches!(Verdict::of(event), Some(Verdict::Refused | Verdict::Held))
        {
            jumping = false;
        }
        render_timeline(std::slice::from_ref(item), out, render_options())?;
        out.flush()?;
    }
    Ok(())
}

/// What says each time that Enter was pressed, where there is somebody to press it.
fn pressed() -> Option<mpsc::Receiver<()>> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return None;
    }
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        while io::stdin().read_line(&mut line).is_ok_and(|read| read > 0) && sender.send(()).is_ok()
        {
            line.clear();
        }
    });
    Some(receiver)
}

/// Waits; true where Enter was pressed meanwhile.
fn wait(pressed: &Option<mpsc::Receiver<()>>, pause: Duration) -> bool {
    match pressed.as_ref().map(|pressed| pressed.recv_timeout(pause)) {
        Some(Ok(())) => true,
        Some(Err(mpsc::RecvTimeoutError::Timeout)) => false,
        // Nobody presses anything.
        Some(Err(mpsc::RecvTimeoutError::Disconnected)) | None => {
            std::thread::sleep(pause);
            false
        }
    }
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

/// One request that was found: when, in which session and which entry, what became of it, and the statement.
fn found_on(FoundEntry { entry, what }: &FoundEntry, width: usize) -> String {
    let (verdict, said) = match &what.event {
        Event::Intent { shown, .. } => ("permitted", shown),
        Event::Refused { shown, .. } => ("refused", shown),
        Event::Held { shown, .. } => ("held", shown),
        _ => return String::new(),
    };
    let session = what.session.map(|id| id.to_string()).unwrap_or_default();
    let before = format!("{session}  {entry:>9}  {}  {verdict:9}  ", visible::rfc3339(what.at));
    page::behind(&before, &said.statements.join("; "), width)
}

pub(super) fn render_options() -> RenderOptions {
    let color = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    RenderOptions { color, width: page::width(page::UNCUT) }
}
