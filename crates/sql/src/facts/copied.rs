//! The options of `COPY` that say how rows are written (PostgreSQL `ProcessCopyOptions`, 13 to 18), so
//! that rows on their way can be taken apart. Part of the analysis of a statement.

use super::names::{option, option_text};
use pg_query::protobuf::Node;
use portcullis_core::mask::{CopyFormat, NullString};

/// The format of copied rows.
pub(super) fn copy_format(options: &[Node], direction: Direction) -> CopyFormat {
    let format = RowOptions::read(options).and_then(|options| options.format(direction));
    format.unwrap_or(CopyFormat::Untold)
}

/// Where copied rows go. How NULL is written says nothing about where fields that come in end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    In,
    Out,
}

/// The options that say how rows are written (`ProcessCopyOptions`).
#[derive(Default)]
struct RowOptions {
    rows: Rows,
    delimiter: Option<u8>,
    quote: Option<u8>,
    escape: Option<u8>,
    null: Option<String>,
    header: bool,
}

impl RowOptions {
    /// `None` where one of them is not known, or not one that the server takes.
    fn read(options: &[Node]) -> Option<Self> {
        let mut all = Self::default();
        for node in options {
            let option = option(node)?;
            let text = option_text(option);
            let single = || match text.as_deref().map(str::as_bytes) {
                Some([one]) => Some(*one),
                _ => None,
            };
            match option.defname.as_str() {
                "delimiter" => all.delimiter = Some(single()?),
                "quote" => all.quote = Some(single()?),
                "escape" => all.escape = Some(single()?),
                "null" => all.null = Some(text?),
                "format" => {
                    all.rows = match text.as_deref() {
                        Some("csv") => Rows::Csv,
                        Some("text") => Rows::Text,
                        Some("binary") => Rows::Binary,
                        _ => return None,
                    };
                }
                "encoding" => {
                    let utf8 = text?.to_ascii_lowercase().replace(['-', '_'], "");
                    matches!(&*utf8, "utf8" | "unicode").then_some(())?;
                }
                // A first line that is not data must be known for certain, and so must one that is.
                "header" => {
                    let word = text.map(|t| t.to_ascii_lowercase());
                    all.header = match (&option.arg, word.as_deref()) {
                        (None, _) | (_, Some("true" | "on" | "1" | "match")) => true,
                        (_, Some("false" | "off" | "0")) => false,
                        _ => return None,
                    };
                }
                "force_quote" | "force_not_null" | "force_null" | "freeze" | "default"
                | "on_error" | "log_verbosity" | "reject_limit" => {}
                _ => return None,
            }
        }
        Some(all)
    }

    /// `None` where rows in it cannot be taken apart for certain: the server writes what stands for
    /// NULL as it is, and lets quotes be ends of lines. What it refuses is not told either.
    fn format(self, direction: Direction) -> Option<CopyFormat> {
        let Self { rows, delimiter, quote, escape, null, header } = self;
        let ends_line = |byte: u8| matches!(byte, b'\r' | b'\n');
        let null = |default| match &null {
            Some(null) if direction == Direction::Out => NullString::new(null),
            _ => Some(default),
        };
        // Of rows that come in, nothing rests on it.
        let told = |null: NullString, special: &[u8]| {
            direction == Direction::In
                || !null.as_bytes().iter().any(|b| ends_line(*b) || special.contains(b))
        };
        match rows {
            Rows::Binary => Some(CopyFormat::Binary),
            Rows::Text => {
                let (delimiter, null) = (delimiter.unwrap_or(b'\t'), null(NullString::TEXT)?);
                let letter = delimiter.is_ascii_lowercase() || delimiter.is_ascii_digit();
                let refused = letter || matches!(delimiter, b'.' | b'\\') || ends_line(delimiter);
                let clear = told(null, &[delimiter, b'\\'])
                    || null == NullString::TEXT && told(null, &[delimiter]);
                (clear && !refused).then_some(CopyFormat::Text { delimiter, header, null })
            }
            Rows::Csv => {
                let (delimiter, null) = (delimiter.unwrap_or(b','), null(NullString::EMPTY)?);
                let quote = quote.unwrap_or(b'"');
                let escape = escape.unwrap_or(quote);
                let refused = delimiter == quote || ends_line(delimiter);
                let clear =
                    told(null, &[delimiter, quote]) && !ends_line(quote) && !ends_line(escape);
                let format = CopyFormat::Csv { delimiter, quote, escape, header, null };
                (clear && !refused).then_some(format)
            }
        }
    }
}

/// The formats of copied rows, without their options.
#[derive(Default)]
enum Rows {
    #[default]
    Text,
    Csv,
    Binary,
}
