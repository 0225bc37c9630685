//! How the command line shows texts that others wrote: a caller, a target, an identity provider, a
//! gateway elsewhere. No such text reaches the left margin, whatever it holds and however long it
//! is, so none can pass for a field of the page.

use portcullis_ledger::visible;
use serde::Serialize;
use std::fmt::Write as _;
use std::io;

/// Columns of the labels, with the space after them.
const MARGIN: usize = 13;
/// What is not for a terminal is not cut to its width, so that it can be searched.
pub(crate) const UNCUT: usize = 10_000;
/// The width of a page that may come to any terminal, by a pager or a paste.
pub(crate) const PAGE: usize = 80;

/// Columns of the terminal that is written to, by way of a pager too; else `otherwise`.
pub(crate) fn width(otherwise: usize) -> usize {
    terminal_size::terminal_size_of(io::stdout())
        .or_else(|| terminal_size::terminal_size_of(io::stderr()))
        .map_or(otherwise, |(width, _)| width.0.into())
}

/// JSON for machines, pretty, with every character that a terminal might obey or hide as an escape.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(visible::json(&serde_json::to_string_pretty(value)?))
}

/// Text behind `before`, which the gateway made; what does not fit goes on below it, behind a bar.
pub(crate) fn behind(before: &str, text: &str, width: usize) -> String {
    let mut page = Page::new(width);
    let room = width.saturating_sub(visible::width(before));
    // With little room left on the line, the text begins on the next one.
    if visible::width(&visible::escape(text)) <= room {
        return format!("{before}{}", visible::escape(text));
    }
    page.out.push_str(before.trim_end());
    page.out.push('\n');
    for piece in visible::line(text, page.room()) {
        page.row("", "│ ", &piece);
    }
    page.finish()
}

/// A message with its lines behind `before`; where one is wider than the terminal, it goes on behind
/// a bar.
pub(crate) fn message(before: &str, text: &str, width: usize) -> String {
    let indent = " ".repeat(visible::width(before));
    let room = width.saturating_sub(indent.len() + 4).max(8);
    let (mut out, mut left) = (String::new(), before);
    for line in text.split('\n') {
        for (i, piece) in visible::line(line, room).iter().enumerate() {
            let bar = if i == 0 { "" } else { "  │ " };
            let _ = writeln!(out, "{left}{bar}{piece}");
            left = &indent;
        }
    }
    out.truncate(out.trim_end_matches('\n').len());
    out
}

/// A page of labelled rows.
pub(crate) struct Page {
    out: String,
    width: usize,
}

impl Page {
    pub(crate) const fn new(width: usize) -> Self {
        Self { out: String::new(), width }
    }

    fn room(&self) -> usize {
        self.width.saturating_sub(MARGIN + 2).max(8)
    }

    fn row(&mut self, label: &str, bar: &str, piece: &str) {
        let row = format!("{label:12} {bar}{piece}");
        self.out.push_str(row.trim_end());
        self.out.push('\n');
    }

    /// Something the gateway found out. Names in it may be anybody's.
    pub(crate) fn fact(&mut self, label: &str, value: &str) {
        for (i, piece) in visible::line(value, self.room()).iter().enumerate() {
            let (label, bar) = if i == 0 { (label, "") } else { ("", "│ ") };
            self.row(label, bar, piece);
        }
    }

    /// A text of a caller, whole, with its own lines.
    pub(crate) fn text(&mut self, label: &str, text: &str) {
        self.pieces(label, &visible::lines(text, self.room()));
    }

    /// A value of a caller, as one text without lines.
    pub(crate) fn value(&mut self, label: &str, text: &str) {
        self.pieces(label, &visible::line(text, self.room()));
    }

    fn pieces(&mut self, label: &str, pieces: &[String]) {
        for (i, piece) in pieces.iter().enumerate() {
            self.row(if i == 0 { label } else { "" }, "│ ", piece);
        }
    }

    /// The page, without its last line feed.
    pub(crate) fn finish(mut self) -> String {
        self.out.truncate(self.out.trim_end_matches('\n').len());
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_wider_than_the_terminal_goes_on_behind_a_bar() {
        let text = format!("no file {}good: 20 entries\nnext\u{1b}[2J", " ".repeat(50));
        let said = message("", &text, 40);
        for line in said.lines() {
            assert!(visible::width(line) <= 40, "{line}");
            assert!(!line.starts_with("good"), "{said}");
        }
        assert!(said.ends_with("\nnext⟨U+001B⟩[2J"), "{said}");
        assert_eq!(message("portcullis: ", "a\nb", 80), "portcullis: a\n            b");
    }
}
