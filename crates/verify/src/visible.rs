//! Hostile text made harmless: what callers and targets wrote, shown without being obeyed.
//! Beside the life of a request: wherever a person reads the record in a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Text with every character that a terminal might obey or hide written out as `⟨U+202E⟩`:
/// control characters, bidirectional controls, zero-width and other default-ignorable characters
/// (Unicode Standard Annex #44), line separators and private-use characters. Line feeds too: use
/// [`lines`] to keep them. `⟨` itself is written out, so nothing can imitate an escape.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            let _ = write!(out, "\u{27e8}U+{:04X}\u{27e9}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// JSON text with every such character in its strings as a JSON escape (RFC 8259, section 7), so
/// that it means the same and a terminal obeys nothing in it. White space between values stays.
#[must_use]
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c < '\u{7f}' || !is_hidden(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

/// The lines of a text, each escaped and cut into pieces of at most `width` columns, so that no
/// line can reach the left margin on its own. Tabs become four spaces.
#[must_use]
pub fn lines(text: &str, width: usize) -> Vec<String> {
    let mut out = Vec::new();
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line).replace('\t', "    ");
        wrap(&escape(&line), width, &mut out);
    }
    out
}

/// One escaped line, line feeds and tabs included, cut into pieces of at most `width` columns.
#[must_use]
pub fn line(text: &str, width: usize) -> Vec<String> {
    let mut out = Vec::new();
    wrap(&escape(text), width, &mut out);
    out
}

fn wrap(escaped: &str, width: usize, out: &mut Vec<String>) {
    let width = width.max(8);
    let (mut piece, mut used) = (String::new(), 0);
    for c in escaped.chars() {
        let columns = columns(c);
        if used + columns > width {
            out.push(std::mem::take(&mut piece));
            used = 0;
        }
        piece.push(c);
        used += columns;
    }
    out.push(piece);
}

/// One escaped line of at most `width` columns; what is cut off is counted.
#[must_use]
pub fn clipped(text: &str, width: usize) -> String {
    let escaped = escape(text);
    if self::width(&escaped) <= width {
        return escaped.into_owned();
    }
    let (mut out, mut used, mut kept) = (String::new(), 0, 0);
    for c in escaped.chars() {
        if used + columns(c) > width.saturating_sub(8).max(1) {
            break;
        }
        out.push(c);
        used += columns(c);
        kept += 1;
    }
    let _ = write!(out, "…(+{})", escaped.chars().count() - kept);
    out
}

/// How many columns a terminal gives to a text that has been escaped.
#[must_use]
pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// Columns of one character. Only what is narrow in every terminal counts one: wide characters and
/// emoji are scattered over the other blocks (UAX #11), and one that counts too little would let a
/// line run over the terminal's edge to the left margin. A line is at worst cut early.
const fn columns(c: char) -> usize {
    match c as u32 {
        0x00..=0x10FF | 0x1E00..=0x2319 | 0x2500..=0x259F | 0x27E8..=0x27E9 | 0xFF61..=0xFFDC => 1,
        _ => 2,
    }
}

/// Control, default-ignorable, bidirectional, separator, private-use and unassignable characters,
/// and the escape's own opening bracket.
const fn is_hidden(c: char) -> bool {
    matches!(
        c as u32,
        0x00..=0x1F
            | 0x7F..=0x9F
            | 0xAD
            | 0x034F
            | 0x061C
            | 0x115F..=0x1160
            | 0x17B4..=0x17B5
            | 0x180B..=0x180F
            | 0x200B..=0x200F
            | 0x2028..=0x202E
            | 0x2060..=0x206F
            | 0x27E8
            | 0x2800
            | 0x3164
            | 0xE000..=0xF8FF
            | 0xFE00..=0xFE0F
            | 0xFEFF
            | 0xFFA0
            | 0xFFF0..=0xFFFB
            | 0xFFFE..=0xFFFF
            | 0x1BCA0..=0x1BCA3
            | 0x1D173..=0x1D17A
            | 0xE0000..=0x10FFFF
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        assert_eq!(escape(text), expect);
    }

    #[test]
    fn what_a_terminal_would_obey_or_hide_is_written_out() {
        check("plain é 漢 🙂", "plain é 漢 🙂");
        check("\u{1b}[2J", "⟨U+001B⟩[2J");
        check("a\u{202e}b\u{2066}", "a⟨U+202E⟩b⟨U+2066⟩");
        check("x\u{200b}\u{200d}\u{feff}", "x⟨U+200B⟩⟨U+200D⟩⟨U+FEFF⟩");
        check("\u{9b}31m\u{7f}\r\n", "⟨U+009B⟩31m⟨U+007F⟩⟨U+000D⟩⟨U+000A⟩");
        check("\u{e0041}\u{2028}", "⟨U+E0041⟩⟨U+2028⟩");
        check("⟨U+202E⟩", "⟨U+27E8⟩U+202E⟩");
    }

    #[test]
    fn no_piece_of_a_text_is_wider_than_asked() {
        assert_eq!(lines("abcdefghij\nk\r\n", 8), ["abcdefgh", "ij", "k", ""]);
        assert_eq!(lines("漢漢漢漢漢", 8), ["漢漢漢漢", "漢"]);
        // Wide outside the blocks of East Asian scripts: counted too little, they would run over.
        assert_eq!(width("⌚✅☔⚡\u{1f004}\u{1b000}\u{a960}"), 14);
        assert_eq!(clipped("abcdefghijklmnop", 12), "abcd…(+12)");
    }

    proptest! {
        #[test]
        fn escaped_text_holds_nothing_hidden(text in ".*") {
            let shown = escape(&text);
            let hidden = shown.chars().any(|c| c != '⟨' && is_hidden(c));
            prop_assert!(!hidden);
            for line in lines(&text, 20) {
                prop_assert!(width(&line) <= 20);
            }
        }
    }
}
