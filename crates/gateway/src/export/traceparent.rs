//! What a client says of the trace it is in (W3C Trace Context): at log-in by the setting
//! `portcullis.traceparent`, in a statement by a comment as sqlcommenter writes it. Nobody has verified it, so
//! it becomes a link and an attribute of what is told, and never a parent.

use portcullis_core::digest::Digester;
use std::fmt::Write as _;

/// The setting by which a client says it at log-in.
pub(super) const SETTING: &str = "portcullis.traceparent=";
/// Longest statement that is looked at for a comment, in bytes.
const LONGEST: usize = 1 << 20;

/// A `traceparent`, version 00.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TraceParent {
    pub(super) trace: String,
    pub(super) span: String,
    pub(super) flags: u8,
}

impl TraceParent {
    /// Reads one; `None` for what is none. Digits are small letters, and an id is not all zeros (Trace
    /// Context, section 3.2.2).
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |text: &str, digits: usize| {
            text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let id = |text: &str, digits| hex(text, digits) && text.bytes().any(|b| b != b'0');
        // A later version may say more behind the flags; of this one there is nothing.
        let is_whole = version == "00" && parts.next().is_none();
        if !is_whole || !id(trace, 32) || !id(span, 16) || !hex(flags, 2) {
            return None;
        }
        let flags = u8::from_str_radix(flags, 16).ok()?;
        Some(Self { trace: trace.to_owned(), span: span.to_owned(), flags })
    }

    /// That of a comment of a statement: `/*…,traceparent='00-…'*/`. Comments are those that the server's own
    /// lexer finds, so nothing inside a literal counts; of several the last one does, as sqlcommenter
    /// appends.
    pub(super) fn of_statement(text: &str) -> Option<Self> {
        if text.len() > LONGEST || !text.contains("traceparent") {
            return None;
        }
        let comments = portcullis_sql::parse::comments(text)?;
        comments.into_iter().rev().find_map(Self::of_comment)
    }

    fn of_comment(comment: &str) -> Option<Self> {
        let inner = comment.strip_prefix("/*")?.strip_suffix("*/")?;
        let value = inner.split(',').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            (key.trim() == "traceparent").then(|| value.trim())
        })?;
        Self::parse(value.strip_prefix('\'')?.strip_suffix('\'')?)
    }

    /// As it came.
    pub(super) fn text(&self) -> String {
        format!("00-{}-{}-{:02x}", self.trace, self.span, self.flags)
    }
}

/// The id of a trace or span of the gateway's own: `bytes` bytes of a digest, in hexadecimal digits. The same
/// for the same parts, so that what is sent twice is the same twice.
pub(super) fn id(bytes: usize, parts: &[&str]) -> String {
    let mut digester = Digester::new("portcullis/trace/1");
    for part in parts {
        digester = digester.part(part.as_bytes());
    }
    let digest = digester.finish();
    digest.as_bytes().iter().take(bytes).fold(String::new(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_what_the_standard_says() {
        assert_eq!(TraceParent::parse(GOOD).unwrap().text(), GOOD);
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_comments_of_a_statement_count() {
        let found = |text: &str| TraceParent::of_statement(text).map(|one| one.text());
        let comment = format!("/*application='a%20b',traceparent='{GOOD}'*/");
        assert_eq!(found(&format!("SELECT 1 {comment}")).as_deref(), Some(GOOD));
        assert_eq!(found(&format!("{comment} SELECT 1")).as_deref(), Some(GOOD));
        for none in [
            format!("SELECT '{}'", comment.replace('\'', "''")),
            format!("SELECT $x${comment}$x$"),
            format!("SELECT \"{comment}\""),
            format!("SELECT 1 -- {comment}"),
            format!("SELECT 1 /* {GOOD} traceparent */"),
            format!("SELECT 1 /*traceparent={GOOD}*/"),
            format!("SELECT 1 {comment} '"),
        ] {
            assert_eq!(found(&none), None, "{none}");
        }
        let other = GOOD.replace("4bf9", "aaaa");
        let two = format!("/*traceparent='{other}'*/ SELECT 1 {comment}");
        assert_eq!(found(&two).as_deref(), Some(GOOD));
    }

    #[test]
    fn ids_have_their_length_and_stay() {
        assert_eq!(id(16, &["a", "b"]).len(), 32);
        assert_eq!(id(8, &["a"]), id(8, &["a"]));
        assert_ne!(id(8, &["ab", "c"]), id(8, &["a", "bc"]));
    }
}
