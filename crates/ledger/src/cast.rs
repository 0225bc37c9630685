//! A timeline as a recording of a terminal, in [asciicast v3](https://docs.asciinema.org/manual/asciicast/v3/): it
//! plays in whatever plays those, with what was not just let through as markers to jump to. Beside the life of a
//! request: afterwards.

use crate::read::{Moment, TimelineItem};
use crate::render::{RenderOptions, render_item};
use portcullis_core::id::SessionId;
use portcullis_core::journal::Event;
use portcullis_core::time::Timestamp;
use serde_json::json;
use std::io::{self, Write};
use std::time::Duration;

/// The size of the terminal that is played.
const TERMINAL: (usize, usize) = (120, 40);
/// Longer pauses are not played, in seconds.
const IDLE: f64 = 2.0;

/// Writes a timeline as asciicast v3, in colour.
///
/// # Errors
/// Those of `out`.
pub fn write_cast(
    session: SessionId,
    begin: Timestamp,
    items: &[TimelineItem],
    out: &mut impl Write,
) -> io::Result<()> {
    let (cols, rows) = TERMINAL;
    let header = json!({
        "version": 3,
        "term": { "cols": cols, "rows": rows },
        "timestamp": begin.as_micros().div_euclid(1_000_000),
        "idle_time_limit": IDLE,
        "title": format!("Portcullis session {session}"),
    });
    writeln!(out, "{header}")?;
    let (options, mut before) = (RenderOptions { color: true, width: cols }, Duration::ZERO);
    for item in items {
        // Of what happened at one time, or is told a little late, only the first has a pause before it.
        let pause = item.offset.saturating_sub(before);
        before = before.max(item.offset);
        let interval = pause.as_micros() as f64 / 1e6;
        let mut text = Vec::new();
        render_item(item, &mut text, options)?;
        let text = String::from_utf8_lossy(&text).replace('\n', "\r\n");
        if let Some(label) = marker(item) {
            writeln!(out, "{}", json!([interval, "m", label]))?;
            writeln!(out, "{}", json!([0.0, "o", text]))?;
        } else {
            writeln!(out, "{}", json!([interval, "o", text]))?;
        }
    }
    writeln!(out, "{}", json!([0.0, "x", "0"]))
}

/// What somebody who watches may want to jump to.
fn marker(item: &TimelineItem) -> Option<String> {
    let Moment::Entry { sequence, event } = &item.moment else { return None };
    let what = match &**event {
        Event::Refused { .. } => "refused",
        Event::Held { .. } => "held",
        Event::Decided { .. } => "decided",
        Event::SessionKilled { .. } => "ended by somebody",
        Event::SessionPaused { .. } => "paused",
        _ => return None,
    };
    Some(format!("{what}, entry {sequence}"))
}
