//! Which texts of a token may become part of a principal: what people will compare by eye on a
//! reviewer's page must be what it looks like. Used on the first station of a request's life.

use std::fmt::{self, Write as _};

/// Longest subject, name, group or id, in characters (OpenID Connect Core 1.0 §2, `sub`).
pub(crate) const MAX_CHARS: usize = 255;

/// True for a text of 1 to 255 characters without control characters, bidirectional controls,
/// zero-width or other invisible characters (Unicode TR 36).
#[must_use]
pub fn is_presentable(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_CHARS * 4
        && text.chars().count() <= MAX_CHARS
        && !has_invisible(text)
        && text.trim() == text
}

/// True where a text has control, bidirectional, zero-width or other invisible characters (Unicode TR 36).
#[must_use]
pub fn has_invisible(text: &str) -> bool {
    text.chars().any(is_invisible)
}

/// A text inside an element or a quoted attribute, of HTML or XML.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c => f.write_char(c),
        })
    }
}

fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_cannot_be_a_name() {
        let check = |text: &str, expect: bool| assert_eq!(is_presentable(text), expect, "{text:?}");
        check("alice@corp.example", true);
        check("repo:org/app:ref:refs/heads/größe", true);
        check("Zoë Müller", true);
        check("", false);
        check(" alice", false);
        check("alice\n", false);
        check("al\u{200b}ice", false);
        check("\u{202e}ecila", false);
        check("a\0b", false);
        check(&"x".repeat(255), true);
        check(&"x".repeat(256), false);
        check(&"ü".repeat(255), true);
    }
}
