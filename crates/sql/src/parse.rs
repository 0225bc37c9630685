//! The one parser entry point: a statement text becomes the server's own syntax tree, or is
//! refused. Stands before everything else that looks at a text.

use crate::statement::Unreadable;
use pg_query::protobuf::{KeywordKind, ParseResult, ScanToken, Token};

/// Stack in bytes that a thread needs to call into this crate.
///
/// The server's grammar, the decoding of its tree and dropping it again are recursive, with guards
/// of their own that count on this much; on less, a deep but legal text ends the process.
pub const REQUIRED_STACK: usize = 16 << 20;

/// The version of PostgreSQL whose grammar it is.
pub const GRAMMAR: u32 = 18;

/// How large a text may be and still be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of text.
    pub text: usize,
    /// What the tokens of the text weigh, in units of about a kilobyte of tree: a name 4, a constant
    /// 2, a parameter 1.
    pub tokens: usize,
    /// Statements in one text.
    pub statements: usize,
    /// Levels of nesting in one statement.
    pub depth: usize,
    /// Nodes visited and columns carried while one text is analysed.
    pub work: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { text: 1 << 20, tokens: 340_000, statements: 4_096, depth: 1_000, work: 1_000_000 }
    }
}

/// The comments between `/*` and `*/` of a text, as the server's own lexer finds them; `None` where it cannot
/// read the text.
#[must_use]
pub fn comments(text: &str) -> Option<Vec<&str>> {
    let tokens = std::panic::catch_unwind(|| pg_query::scan(text)).ok()?.ok()?.tokens;
    let found = tokens.iter().filter(|token| token.token == Token::CComment as i32);
    let text_of = |token: &ScanToken| {
        text.get(usize::try_from(token.start).ok()?..usize::try_from(token.end).ok()?)
    };
    found.map(text_of).collect()
}

/// Parses a text into trees. Call it on a thread with [`REQUIRED_STACK`].
///
/// # Errors
/// [`Unreadable`]: nothing in the text may run.
pub fn parse(text: &str, limits: &Limits) -> Result<ParseResult, Unreadable> {
    check_text(text, limits)?;
    let syntax = |message: String| {
        let at = position(text, &message);
        Unreadable::Syntax { message, at }
    };
    // The crate's own post-processing of the tree may panic on shapes it does not expect: such a
    // text is one we cannot read.
    let parsed = std::panic::catch_unwind(|| pg_query::parse(text, 0))
        .map_err(|_| syntax("the parser failed on this text".into()))?
        .map_err(|error| match error {
            pg_query::Error::Parse(message) => syntax(message),
            other => syntax(other.to_string()),
        })?
        .protobuf;
    if parsed.stmts.len() > limits.statements {
        return Err(Unreadable::TooLarge {
            what: "number of statements",
            limit: limits.statements,
        });
    }
    Ok(parsed)
}

/// Texts longer than this, in bytes, are not searched for where an error is.
const SEARCHED: usize = 16 << 10;

/// So many places are tried.
const TRIED: usize = 16;

/// True for a text that means the same whatever `standard_conforming_strings` and `client_encoding`
/// are: no backslash is in it, and letters beyond ASCII are in plain literals alone. (In any encoding
/// of clients ASCII is ASCII, and no quote is part of a longer letter; PostgreSQL
/// `src/backend/parser/scan.l`, `src/common/wchar.c`.)
#[must_use]
pub fn reads_alike(text: &str) -> bool {
    if text.contains('\\') {
        return false;
    }
    let quotes = |pair: &[u8]| match pair {
        [b'$', next] => !next.is_ascii_digit(),
        [b'"', _] => true,
        pair => matches!(pair, b"--" | b"/*"),
    };
    let outside = |text: &str| text.split('\'').step_by(2).all(str::is_ascii);
    text.is_ascii() || !text.as_bytes().windows(2).any(quotes) && outside(text)
}

/// Where in the text, in bytes from 0, the error is: the parser's message ends with the token at
/// which it stopped, and it stops there too where the text ends with that token.
fn position(text: &str, message: &str) -> Option<usize> {
    if text.len() > SEARCHED {
        return None;
    }
    if message.ends_with("at end of input") {
        return Some(text.len());
    }
    let (_, near) = message.split_once(" at or near \"")?;
    let token = near.strip_suffix('"')?;
    let fails_at = |at: &usize| {
        let head = text.get(..at + token.len());
        let error = head.map(|head| std::panic::catch_unwind(|| pg_query::parse(head, 0)));
        matches!(error, Some(Ok(Err(pg_query::Error::Parse(said)))) if said == message)
    };
    let whole = |at: &usize| {
        let (before, after) = (text.get(..*at), text.get(at + token.len()..));
        let joined = |a: Option<char>, b: Option<char>| match (a, b) {
            (Some(a), Some(b)) => kind(a) != Kind::Other && kind(a) == kind(b),
            _ => false,
        };
        !joined(before.and_then(|t| t.chars().last()), token.chars().next())
            && !joined(token.chars().last(), after.and_then(|t| t.chars().next()))
    };
    text.match_indices(token).map(|(at, _)| at).filter(whole).take(TRIED).find(fails_at)
}

/// The characters operators are made of (PostgreSQL manual, "Operators" in "Lexical Structure").
const OPERATORS: &str = "~!@#^&|`?+-*/%<>=";

/// Characters of one kind, one after the other, are one token.
#[derive(PartialEq, Eq)]
enum Kind {
    Word,
    Operator,
    Other,
}

fn kind(c: char) -> Kind {
    match c {
        '_' | '$' => Kind::Word,
        c if c.is_alphanumeric() => Kind::Word,
        c if OPERATORS.contains(c) => Kind::Operator,
        _ => Kind::Other,
    }
}

/// Text from bytes off the wire.
///
/// # Errors
/// [`Unreadable::Encoding`] where the bytes are not UTF-8 or hold a zero byte.
pub fn text(bytes: &[u8]) -> Result<&str, Unreadable> {
    let text = std::str::from_utf8(bytes).map_err(|_| Unreadable::Encoding)?;
    if text.contains('\0') { Err(Unreadable::Encoding) } else { Ok(text) }
}

fn check_text(text: &str, limits: &Limits) -> Result<(), Unreadable> {
    if text.len() > limits.text {
        return Err(Unreadable::TooLarge { what: "statement text", limit: limits.text });
    }
    if text.contains('\0') {
        return Err(Unreadable::Encoding);
    }
    if text.len() > SCANNED && operator_work(text) > MAX_OPERATOR_WORK {
        return Err(Unreadable::TooLarge {
            what: "number of operator characters in a row (put long texts into parameters)",
            limit: SCANNED,
        });
    }
    check_tokens(text, limits)
}

/// The most that one byte of a text can weigh: a `*`.
const HEAVIEST: usize = 4;

/// Weighs tokens, before they become nodes. Where the lexer fails, the parser does as well.
fn check_tokens(text: &str, limits: &Limits) -> Result<(), Unreadable> {
    // Of a text without tokens the lexer gives no list that could be looked at.
    let blank = |c| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c');
    if text.len() * HEAVIEST <= limits.tokens || text.chars().all(blank) {
        return Ok(());
    }
    let Ok(tokens) = pg_query::scan_tokens(text) else { return Ok(()) };
    let mut cast = false;
    let weights = tokens.iter().map(|token| {
        let after_cast = std::mem::replace(&mut cast, token.token == Token::Typecast as i32);
        if after_cast { weight(token).min(TYPE) } else { weight(token) }
    });
    if weights.sum::<usize>() > limits.tokens {
        return Err(Unreadable::TooLarge {
            what: "number of names and values in one text (put values into parameters, or send it \
                   in pieces)",
            limit: limits.tokens,
        });
    }
    Ok(())
}

/// What the name of a type weighs that something is cast to.
const TYPE: usize = 2;

/// About how many kilobytes of tree a token makes, where the text has as many of its kind as fit in:
/// a column with what it stands in takes 4, a constant 1.4, a parameter less than 1.
fn weight(token: &ScanToken) -> usize {
    const OPEN: i32 = b'(' as i32;
    const INDEX: i32 = b'[' as i32;
    const STAR: i32 = b'*' as i32;
    match token.token {
        STAR => return HEAVIEST,
        OPEN | INDEX => return 2,
        _ => {}
    }
    if token.keyword_kind == KeywordKind::ReservedKeyword as i32 {
        return 2;
    }
    if token.keyword_kind != KeywordKind::NoKeyword as i32 {
        return 4;
    }
    match Token::try_from(token.token) {
        Ok(Token::Ident | Token::Uident) => 4,
        Ok(
            Token::Iconst
            | Token::Fconst
            | Token::Sconst
            | Token::Usconst
            | Token::Bconst
            | Token::Xconst,
        ) => 2,
        Ok(Token::Param) => 1,
        _ => 0,
    }
}

/// Shorter texts cannot have too much of it.
const SCANNED: usize = 8 << 10;

/// Steps of the lexer, at most, for characters that it looks at again and again.
const MAX_OPERATOR_WORK: usize = 1 << 26;

/// The server's lexer takes all operator characters in a row, then gives back what is not part of
/// the operator (or comment) that they begin with, so that it may need the square of their number.
/// Without looking at what is a string: there are never so many in one that is not made for this.
fn operator_work(text: &str) -> usize {
    let runs = text.as_bytes().split(|b| !OPERATORS.as_bytes().contains(b));
    runs.map(|run| run.len().saturating_mul(run.len())).fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_of_the_version_that_callers_are_told() {
        let version = parse("SELECT 1", &Limits::default()).unwrap().version;
        assert_eq!(version / 10_000, i32::try_from(GRAMMAR).unwrap());
    }

    #[test]
    fn the_lexer_is_not_made_to_work_for_nothing() {
        let limits = Limits::default();
        let comments = "/*".repeat(60_000) + &"*/".repeat(60_000);
        let spread = format!("/*{}", "*//*".repeat(60_000));
        for text in [comments, spread, format!("select {}1", "+".repeat(200_000))] {
            assert!(
                matches!(parse(&text, &limits), Err(Unreadable::TooLarge { .. })),
                "{text:.20}"
            );
        }
        let stars = format!("select *{} from t", ",*".repeat(90_000));
        assert!(matches!(parse(&stars, &limits), Err(Unreadable::TooLarge { limit: 340_000, .. })));
        let most: String = (1..=65_535).map(|n| format!("(${n}::text), ")).collect();
        assert!(parse(&format!("values {most}(1)"), &limits).is_ok());
        assert!(parse(&format!("select '{}'", "{},*".repeat(250_000)), &limits).is_ok());
        assert!(parse(&"select 42; ".repeat(4_096), &limits).is_ok());
        assert!(parse(&" \n\t\r\x0b\x0c".repeat(100_000), &limits).is_ok());
        let rules = format!("select '{}'", format!("{}\n", "-".repeat(200)).repeat(1_000));
        assert!(parse(&rules, &limits).is_ok());
        let list = format!("select 1 where 1 in ({}2)", "1, ".repeat(30_000));
        assert!(parse(&list, &limits).is_ok());
    }

    #[test]
    fn errors_have_their_place() {
        let place = |sql: &str| match parse(sql, &Limits::default()) {
            Err(Unreadable::Syntax { at, .. }) => at,
            other => panic!("{sql}: {other:?}"),
        };
        assert_eq!(place("SELEC 1"), Some(0));
        assert_eq!(place("SELECT 1; SELECT 'FRM' FRM FROM FRM x y"), Some(38));
        assert_eq!(place("SELECT é FRM x y"), Some(14));
        assert_eq!(place("SELECT 1; SELEC 1"), Some(10));
        assert_eq!(place("SELECT (1"), Some(9));
        assert_eq!(place("SELECT 'open"), Some(7));
        assert_eq!(place("SELECT 1 FROM a WHERE x = = 1 = 2"), Some(26));
        assert_eq!(place("SELECT /* open"), Some(7));
    }

    #[test]
    fn bytes_that_are_no_text() {
        assert_eq!(text(b"SELECT '\xff'"), Err(Unreadable::Encoding));
        assert_eq!(text(b"SELECT 1\0; DROP TABLE x"), Err(Unreadable::Encoding));
        assert_eq!(text("SELECT 'é'".as_bytes()), Ok("SELECT 'é'"));
    }
}
