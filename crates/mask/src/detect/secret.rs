//! Secrets by what stands before them: a word (`password`, `token`, `api_key`), something that
//! gives it a value (`=`, `:`, quotes), and a value that looks random; passwords in connection
//! strings, however they look; and stored passwords, which name their scheme.
//!
//! Not seen: pass phrases of words, values on the line after their word, and random values without
//! any word.

use super::text::{before, byte, distinct, in_placeholder, run, run_within};
use super::token::is_stand_in;
use std::ops::Range;

/// Words that announce a secret.
pub(super) const WORDS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "token",
    "credential",
    "bearer",
];

/// What makes a `key` one, together or with one separator between.
const BEFORE_KEY: &[&[u8]] = &[
    b"api",
    b"access",
    b"account",
    b"auth",
    b"encryption",
    b"signing",
    b"private",
    b"master",
    b"webhook",
    b"shared",
    b"service",
];

/// The start of the word that ends in the `key` at `key`.
pub(super) fn start_of_key(text: &[u8], key: usize, floor: usize) -> Option<usize> {
    let separated = matches!(before(text, key, floor)?, b'_' | b'-' | b' ');
    let end = key - usize::from(separated);
    let head = text.get(floor.max(end.saturating_sub(10))..end)?;
    let ends = |word: &&&[u8]| {
        head.len()
            .checked_sub(word.len())
            .and_then(|at| head.get(at..))
            .is_some_and(|tail| tail.eq_ignore_ascii_case(word))
    };
    BEFORE_KEY.iter().find(ends).map(|word| end - word.len())
}

/// How long a value may be, and the rest of the word before it.
const MAX_VALUE: usize = 512;
const MAX_TAIL: usize = 32;

/// Parts of a name that say: not the secret itself.
const ABOUT: &[&[u8]] = &[
    b"id",
    b"ids",
    b"sha",
    b"sha1",
    b"sha256",
    b"md5",
    b"name",
    b"names",
    b"type",
    b"url",
    b"uri",
    b"count",
    b"len",
    b"length",
    b"exp",
    b"expires",
    b"expiry",
    b"expiration",
    b"ttl",
    b"file",
    b"path",
    b"version",
    b"arn",
    b"ref",
    b"policy",
    b"at",
    b"date",
    b"time",
    b"limit",
    b"usage",
    b"scope",
    b"fingerprint",
    b"hint",
    b"format",
    b"status",
    b"manager",
    b"algorithm",
    b"alg",
    b"address",
    b"symbol",
    b"mint",
    b"contract",
    b"kind",
    b"index",
    b"digest",
    b"checksum",
];

/// Parts of a name before the word that say: nothing secret.
const BENIGN: &[&[u8]] = &[
    b"page",
    b"next",
    b"nextpage",
    b"prev",
    b"previous",
    b"continuation",
    b"sync",
    b"cursor",
    b"cancel",
    b"cancellation",
    b"idempotency",
    b"request",
    b"public",
    b"partition",
    b"sort",
    b"resume",
    b"pagination",
    b"client_request",
    b"erc20",
    b"erc721",
    b"nft",
];

/// What a word says, and where its value stands.
pub(super) struct Labelled {
    /// A value of its own.
    pub(super) value: Range<usize>,
    /// True where it is part of a connection string.
    pub(super) connection: bool,
    /// True where the value looks random.
    pub(super) random: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Password,
    Token,
    Key,
}

/// The value that the word at `word` announces.
pub(super) fn find(text: &[u8], word: Range<usize>) -> Option<Labelled> {
    if in_placeholder(text, word.start) {
        return None;
    }
    let family = match text.get(word.start)?.to_ascii_lowercase() {
        b'p' if byte(text, word.start + 1).is_some_and(|b| b.eq_ignore_ascii_case(&b'r')) => {
            Family::Key
        }
        b'p' => Family::Password,
        b't' | b'b' => Family::Token,
        _ => Family::Key,
    };
    let tail = run_within(text, word.end, MAX_TAIL, is_name);
    let name_end = word.end + tail;
    let head = text
        .get(word.start.saturating_sub(MAX_TAIL)..word.start)?
        .iter()
        .rev()
        .take_while(|b| is_name(**b))
        .count();
    let name_start = word.start - head;
    let link = link(text, name_start, word.start, name_end)?;
    if names(text.get(word.end..name_end)?, ABOUT)
        || names(text.get(name_start..word.start)?, BENIGN)
    {
        return None;
    }
    let connects = family == Family::Password || is_account_key(text.get(word)?);
    let long = value(text, &link, connects && link.assigned)?;
    let bytes = text.get(long.clone())?;
    let connection = connects
        && link.assigned
        && !is_stand_in(bytes)
        && !is_reference(bytes)
        && !is_nothing(bytes)
        && in_connection(text, name_start, &long);
    let value = if connection { long } else { value(text, &link, false)? };
    let bytes = text.get(value.clone())?;
    if is_stand_in(bytes) || is_reference(bytes) {
        return None;
    }
    if link.spoken && !bytes.iter().any(u8::is_ascii_digit) {
        return None;
    }
    let random = match family {
        Family::Password => is_password(bytes) || is_random(bytes),
        Family::Token => is_random(bytes) && !is_uuid(bytes),
        Family::Key => is_random(bytes),
    };
    Some(Labelled { value, connection, random })
}

/// True where the whole value of a column that says so is a secret.
pub(crate) fn is_secret(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    value.len() <= MAX_VALUE
        && !is_stand_in(value)
        && !is_reference(value)
        && (is_password(value) || is_random(value))
}

const fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')
}

/// True where a part of a name (`_` or `-` between, or a capital) is one of `words`.
fn names(name: &[u8], words: &[&[u8]]) -> bool {
    let known = |part: &[u8]| {
        words.iter().any(|word| part.len() == word.len() && part.eq_ignore_ascii_case(word))
    };
    if name.is_empty() {
        return false;
    }
    name.split(|b| matches!(b, b'_' | b'-')).any(|part| {
        let mut start = 0;
        let humps = part.iter().enumerate().skip(1).any(|(i, b)| {
            let hump = b.is_ascii_uppercase() && known(part.get(start..i).unwrap_or_default());
            if b.is_ascii_uppercase() {
                start = i;
            }
            hump
        });
        humps || known(part) || start > 0 && known(part.get(start..).unwrap_or_default())
    })
}

/// What stands between a word and its value.
struct Link {
    value: usize,
    quote: Option<u8>,
    /// By an equals sign.
    assigned: bool,
    /// By a space alone.
    spoken: bool,
}

fn link(text: &[u8], name: usize, word: usize, end: usize) -> Option<Link> {
    let blank = |at: usize| run_within(text, at, 8, |b| matches!(b, b' ' | b'\t'));
    let slashes = |at: usize| run_within(text, at, 3, |b| b == b'\\');
    let is_quote = |at: usize| byte(text, at).filter(|b| matches!(b, b'"' | b'\'' | b'`'));
    // The quote that closes the name, in JSON and its like.
    let closed = end + slashes(end);
    let closed = if is_quote(closed).is_some() { closed + 1 } else { end };
    let mut at = closed + blank(closed);
    let sign = text.get(at..at + 3).or_else(|| text.get(at..)).unwrap_or_default();
    let (length, assigned) = match sign {
        [b'=', b'>', ..] | [b':', b'=', ..] => (2, false),
        [b'=', b'=', ..] => (2, false),
        [b'=', ..] => (1, true),
        [b':', ..] => (1, false),
        [b'>', ..] if before(text, name, 0) == Some(b'<') => (1, false),
        _ => (0, false),
    };
    at += length;
    let spaced = blank(at);
    at += spaced;
    let escaped = at + slashes(at);
    let quote = is_quote(escaped);
    // Options (`--token x`), `Bearer x`, `PASSWORD 'x'`.
    let option = text.get(name..name + 2) == Some(b"--");
    let bearer = text.get(word).is_some_and(|b| b.eq_ignore_ascii_case(&b'b'));
    let spoken = end == closed && (option || bearer || quote == Some(b'\'')) && at > end;
    if length == 0 && !spoken {
        return None;
    }
    let value = if quote.is_some() { escaped + 1 } else { at };
    Some(Link { value, quote, assigned, spoken: length == 0 })
}

/// Where the value of a word ends. In a connection string, a comma or bracket may be part of it.
fn value(text: &[u8], link: &Link, connection: bool) -> Option<Range<usize>> {
    let (at, quote) = (link.value, link.quote);
    let rest = text.get(at..text.len().min(at + MAX_VALUE + 1))?;
    let ends = |b: &u8| match b {
        b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\' | b'\n' | b'\r' | b'\t' | 0 => true,
        b' ' | b';' | b'|' => true,
        b'&' => link.assigned,
        b',' | b')' | b'}' | b']' => !connection,
        _ => false,
    };
    let length = match quote {
        // Its own quote closes it; a quote of another sort is part of it.
        Some(quote) => rest.iter().position(|b| *b == quote || matches!(b, b'\n' | b'\r' | b'\\')),
        None => rest.iter().position(ends),
    };
    let mut length = length.unwrap_or(rest.len());
    if quote.is_none() {
        let closes = |b: &u8| matches!(b, b',' | b')' | b'}' | b']' | b'.' | b':');
        length -= rest.get(..length)?.iter().rev().take_while(|b| closes(b)).count();
    }
    (1..=MAX_VALUE).contains(&length).then_some(at..at + length)
}

/// A variable, a call, a path or an address: where the secret is, and not the secret.
fn is_reference(value: &[u8]) -> bool {
    let dollar = value.strip_prefix(b"$").is_some_and(|rest| {
        rest.first().is_some_and(|b| b.is_ascii_digit() || matches!(b, b'{' | b'('))
            || rest.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
    });
    let opens = value.first().is_some_and(|b| matches!(b, b'/' | b'(' | b'<' | b'{' | b'?'));
    let called = value.iter().position(|b| *b == b'(').is_some_and(|open| {
        value.get(..open).unwrap_or_default().iter().all(|b| is_name(*b) || *b == b'.') && open > 2
    });
    let path = [&b"./"[..], b"../", b"~/", b"%(", b"%{", b"arn:", b"env.", b"process.env"]
        .into_iter()
        .any(|start| value.starts_with(start));
    dollar || opens || called || path || value.windows(3).any(|w| w == b"://")
}

/// What a message says of a password, and what says that there is none.
const STATUS: &[&[u8]] = &[
    b"null",
    b"none",
    b"nil",
    b"undefined",
    b"empty",
    b"blank",
    b"true",
    b"false",
    b"yes",
    b"no",
    b"on",
    b"off",
    b"ok",
    b"set",
    b"unset",
    b"reset",
    b"changed",
    b"unchanged",
    b"updated",
    b"expired",
    b"expiring",
    b"valid",
    b"invalid",
    b"correct",
    b"incorrect",
    b"wrong",
    b"failed",
    b"failure",
    b"success",
    b"accepted",
    b"rejected",
    b"denied",
    b"missing",
    b"required",
    b"optional",
    b"prompt",
    b"unknown",
    b"hidden",
    b"masked",
    b"filtered",
    b"removed",
    b"redacted",
    b"enabled",
    b"disabled",
    b"locked",
    b"weak",
    b"strong",
    b"too_short",
];

fn is_nothing(value: &[u8]) -> bool {
    STATUS.iter().any(|word| value.len() == word.len() && value.eq_ignore_ascii_case(word))
        || value.iter().all(|b| matches!(b, b'*' | b'.' | b'-' | b'?' | b':'))
}

/// A password that somebody was made to choose well: eight characters of three sorts, a digit
/// among them.
fn is_password(value: &[u8]) -> bool {
    let has = |class: fn(&u8) -> bool| value.iter().any(class);
    let symbol =
        |b: &u8| b.is_ascii_punctuation() && !matches!(b, b'.' | b'_' | b'-' | b':' | b'/' | b',');
    let sorts = [
        has(u8::is_ascii_lowercase),
        has(u8::is_ascii_uppercase),
        has(u8::is_ascii_digit),
        has(symbol),
    ];
    (8..=128).contains(&value.len())
        && has(u8::is_ascii_digit)
        && sorts.into_iter().filter(|sort| *sort).count() >= 3
        && distinct(value) >= 6
        && !value.iter().any(|b| b.is_ascii_whitespace() || matches!(b, b'/' | b'(' | b'[' | b'{'))
        && !is_dated(value)
}

/// A date, a time or a version, which have three sorts of characters too (`2024-05-01T12:00:00Z`).
fn is_dated(value: &[u8]) -> bool {
    run(value, 0, |b| b.is_ascii_digit()) >= 4 && matches!(byte(value, 4), Some(b'-' | b'/'))
}

const LEAST_RANDOM: usize = 16;

/// Letters and digits that change sorts as often as random ones do, and hardly repeat.
fn is_random(value: &[u8]) -> bool {
    let of_key = |b: &u8| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'+' | b'/' | b'=' | b'_' | b'-' | b'.' | b'~' | b'!' | b'%')
    };
    if value.len() < LEAST_RANDOM || !value.iter().all(of_key) {
        return false;
    }
    let sort = |b: u8| match b {
        b'0'..=b'9' => 1,
        b'A'..=b'Z' => 2,
        b'a'..=b'z' => 3,
        _ => 0,
    };
    let (mut digits, mut cases) = (0usize, 0usize);
    for pair in value.windows(2) {
        let [a, b] = pair else { continue };
        match (sort(*a), sort(*b)) {
            (0, _) | (_, 0) => {}
            (1, 2 | 3) | (2 | 3, 1) => digits += 1,
            (2, 3) | (3, 2) => cases += 1,
            _ => {}
        }
    }
    let least = u32::try_from((value.len() / 3).clamp(8, 12)).unwrap_or(8);
    let changes = digits >= 3 && (digits + cases) * 6 >= value.len();
    let cased = cases * 5 >= value.len() * 2;
    distinct(value) >= least && (changes || cased)
}

fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value.iter().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// `AccountKey` and `SharedAccessKey` of Azure's connection strings.
fn is_account_key(word: &[u8]) -> bool {
    [&b"accountkey"[..], b"accesskey"].into_iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// How far around a password the rest of its connection string is looked for.
const CONNECTION_REACH: usize = 160;

/// True where another part of a connection string stands near.
fn in_connection(text: &[u8], name: usize, value: &Range<usize>) -> bool {
    let near = |range: Range<usize>| {
        let window = text.get(range).unwrap_or_default();
        let line = window.iter().position(|b| *b == b'\n').unwrap_or(window.len());
        let parts = window.get(..line).unwrap_or_default();
        parts
            .iter()
            .enumerate()
            .any(|(i, b)| *b == b'=' && is_part(parts.get(..i).unwrap_or_default()))
    };
    let from = name.saturating_sub(CONNECTION_REACH);
    let head = text.get(from..name).unwrap_or_default();
    let from = head.iter().rposition(|b| *b == b'\n').map_or(from, |i| from + i + 1);
    near(from..name)
        || near(value.end..text.len().min(value.end + CONNECTION_REACH))
        || text.get(from..name).is_some_and(|head| {
            head.windows(5).any(|w| w.ends_with(b":") && w.eq_ignore_ascii_case(b"jdbc:"))
        })
}

/// True where `text` ends with the name of a part of a connection string.
fn is_part(text: &[u8]) -> bool {
    const PARTS: &[&[u8]] = &[
        b"host",
        b"hostaddr",
        b"server",
        b"data source",
        b"user id",
        b"userid",
        b"uid",
        b"user",
        b"username",
        b"dbname",
        b"database",
        b"initial catalog",
        b"accountname",
        b"endpoint",
        b"driver",
        b"sharedaccesskeyname",
        b"dsn",
        b"service_name",
    ];
    let text = text.trim_ascii_end();
    let last = text.last().map(u8::to_ascii_lowercase);
    PARTS.iter().filter(|part| part.last().copied() == last).any(|part| {
        text.len().checked_sub(part.len()).is_some_and(|at| {
            text.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(part))
                && before(text, at, 0).is_none_or(|b| !is_name(b))
        })
    })
}

/// Beginnings of stored passwords, as they are written.
pub(super) const HASHES: &[&str] = &[
    "$2$",
    "$2a$",
    "$2b$",
    "$2x$",
    "$2y$",
    "$argon2id$",
    "$argon2i$",
    "$argon2d$",
    "$1$",
    "$5$",
    "$6$",
    "$7$",
    "$y$",
    "$scrypt$",
    "SCRAM-SHA-1$",
    "SCRAM-SHA-256$",
    "pbkdf2_sha1$",
    "pbkdf2_sha256$",
    "pbkdf2_sha512$",
];

/// How long a stored password may be, with all that stands before it.
const MAX_HASH: usize = 256;

/// The stored password whose beginning stands at `at`, with its scheme, parameters and salt.
pub(super) fn find_hash(text: &[u8], at: Range<usize>) -> Option<Range<usize>> {
    let start = at.start;
    let counted = matches!(text.get(start..start + 2)?, b"$2" | b"SC" | b"pb");
    if counted && !byte(text, at.end)?.is_ascii_digit() {
        return None;
    }
    let of_hash = |b: u8| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'$' | b'.' | b'/' | b'+' | b'=' | b',' | b':' | b'-' | b'_')
    };
    let length = run_within(text, start, MAX_HASH, of_hash);
    let mut hash = text.get(start..start + length)?;
    let bcrypt = hash.starts_with(b"$2");
    if bcrypt {
        hash = hash.get(..hash.len().min(60))?;
    } else {
        // Behind the last dollar stands the hash; commas are of parameters, a colon of SCRAM.
        let body = hash.iter().rposition(|b| *b == b'$')? + 1;
        let two = hash.starts_with(b"SCRAM");
        let of_body = |b: u8| {
            b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/' | b'+' | b'=') || two && b == b':'
        };
        let mut end = body + run(hash, body, of_body);
        end -= usize::from(end > 0 && matches!(byte(hash, end - 1), Some(b'.' | b':')));
        hash = hash.get(..end)?;
    }
    let last = hash.rsplit(|b| *b == b'$').next()?;
    let long = if bcrypt { hash.len() >= 59 } else { last.len() >= 20 };
    let mixed = hash.iter().any(u8::is_ascii_uppercase) && hash.iter().any(u8::is_ascii_digit);
    let digits = hash.len() >= 43 || hash.starts_with(b"$1$");
    (long && mixed && digits && distinct(last) >= 10).then_some(start..start + hash.len())
}
