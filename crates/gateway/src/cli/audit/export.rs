//! `portcullis audit export`: the record for other systems, from the journal's files.

use crate::export::{Bounds, Chain, Format, Source, What, Writer, logs, traces};
use anyhow::{Context as _, bail};
use portcullis_core::time::Timestamp;
use portcullis_ledger::tail;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// How often it is looked for what is new.
const LOOK: Duration = Duration::from_millis(500);
/// What is read at once.
const BOUNDS: Bounds = Bounds { pieces: 1000, bytes: 4 * 1024 * 1024, before: u64::MAX };

/// What is exported.
#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// How it is written. `otlp` writes one message of OTLP/JSON a line, as the collector's file receiver
    /// reads it.
    #[arg(long, value_enum)]
    format: Format,
    /// The first entry, by its number (`seq`) or by a time (RFC 3339).
    #[arg(long, value_name = "ENTRY|TIME")]
    from: Option<Place>,
    /// The last entry, likewise.
    #[arg(long, value_name = "ENTRY|TIME", conflicts_with = "follow")]
    until: Option<Place>,
    /// Go on with what happens from now on.
    #[arg(long)]
    follow: bool,
    /// The file to write, which must not exist yet; `-` is standard output.
    #[arg(long, value_name = "FILE", default_value = "-")]
    to: PathBuf,
}

/// A place in the journal.
#[derive(Debug, Clone, Copy)]
enum Place {
    Entry(u64),
    Time(Timestamp),
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(number) = text.parse() {
            return Ok(Self::Entry(number));
        }
        let at: jiff::Timestamp = text.parse().map_err(|_| {
            "neither the number of an entry nor a time (2026-01-31T12:00:00Z)".to_owned()
        })?;
        Ok(Self::Time(Timestamp::from_micros(at.as_microsecond())))
    }
}

impl Place {
    /// Whether an entry is before it.
    fn is_behind(self, sequence: u64, at: Timestamp) -> bool {
        match self {
            Self::Entry(number) => sequence < number,
            Self::Time(time) => at < time,
        }
    }

    /// Whether an entry is behind it.
    fn is_before(self, sequence: u64, at: Timestamp) -> bool {
        match self {
            Self::Entry(number) => sequence > number,
            Self::Time(time) => at > time,
        }
    }
}

/// What is being written.
struct Run<'a> {
    export: &'a Export,
    journal: String,
    writer: Writer,
    out: Box<dyn Write>,
    /// It has come to the first entry.
    begun: bool,
    over: bool,
    failed: Option<io::Error>,
    /// What was wrong first, and how often anything was.
    wrong: Option<(String, u64)>,
}

/// Runs the command on the record below `directory`.
pub(super) fn run(export: &Export, directory: &Path) -> anyhow::Result<ExitCode> {
    let journal = tail::name(directory)?;
    let from = match export.from {
        None => "0".to_owned(),
        Some(Place::Entry(number)) => number.to_string(),
        Some(Place::Time(at)) => at.to_string(),
    };
    let chain = Chain::new(format!("{journal}/audit-export/{from}"));
    let writer = Writer::new(export.format, journal.clone(), chain);
    let out = output(&export.to)?;
    let (begun, over, failed, wrong) = (false, false, None, None);
    let mut run = Run { export, journal, writer, out, begun, over, failed, wrong };
    let mut source = Source::new(directory);
    loop {
        let before = source.position().sequence;
        source.read(BOUNDS, |piece, _| {
            run.take(&piece);
            !run.over
        })?;
        if let Some(error) = run.failed.take() {
            // Nobody reads on.
            if error.kind() == io::ErrorKind::BrokenPipe {
                return Ok(ExitCode::SUCCESS);
            }
            return Err(error).with_context(|| export.to.display().to_string());
        }
        if run.over {
            break;
        }
        if source.position().sequence == before {
            run.out.flush()?;
            if !export.follow {
                if let Some(piece) = source.astray() {
                    run.begun = true;
                    run.take(&piece);
                }
                break;
            }
            std::thread::sleep(LOOK);
        }
    }
    run.out.flush()?;
    if let Some((first, count)) = run.wrong {
        eprintln!(
            "{first}{}: it is marked in what was written; run `portcullis audit verify`",
            if count > 1 { format!(", and {} more", count - 1) } else { String::new() }
        );
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
}

fn output(to: &Path) -> anyhow::Result<Box<dyn Write>> {
    if to == Path::new("-") {
        return Ok(Box::new(BufWriter::new(io::stdout())));
    }
    let mut options = OpenOptions::new();
    match options.write(true).create_new(true).mode(0o600).open(to) {
        Ok(file) => Ok(Box::new(BufWriter::new(file))),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{} is there already: nothing is written over", to.display())
        }
        Err(error) => Err(error).with_context(|| to.display().to_string()),
    }
}

impl Run<'_> {
    fn take(&mut self, piece: &crate::export::Piece) {
        let (sequence, at) = (piece.sequence, piece.at());
        self.begun = self.begun || self.export.from.is_none_or(|one| !one.is_behind(sequence, at));
        // Times of entries are not quite in order: nothing is left out behind the first, and one that is later
        // ends nothing.
        let late = self.export.until.is_some_and(|one| one.is_before(sequence, at));
        self.over = late && matches!(self.export.until, Some(Place::Entry(_)));
        if !self.begun || late {
            return;
        }
        if let What::Gap { why, removed: false, .. } = &piece.what {
            let first = self.wrong.take().map_or((why.clone(), 0), |wrong| wrong);
            self.wrong = Some((first.0, first.1 + 1));
        }
        let written = self.writer.write(piece);
        let mut lines = vec![match self.export.format {
            Format::Jsonl | Format::Ocsf => written.line,
            Format::Otlp => logs(&self.journal, &[&written.line]),
        }];
        if !written.spans.is_empty() {
            let spans: Vec<&str> = written.spans.iter().map(String::as_str).collect();
            lines.push(traces(&self.journal, &spans));
        }
        for line in lines {
            if let Err(error) = writeln!(self.out, "{line}") {
                self.failed = Some(error);
                self.over = true;
                return;
            }
        }
    }
}
