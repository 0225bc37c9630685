//! Tokens and keys: JSON web tokens, PEM private keys, AWS keys, and passwords in URLs.

use super::text::{
    before, byte, distinct, find as find_bytes, in_placeholder, is_word,
    left_clear_of_alphanumerics, run, run_within,
};
use std::ops::Range;

const fn is_base64url(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')
}

const fn is_base64(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')
}

/// What is remembered between candidates of one text, so that no part of it is read again and
/// again: a text of nothing but beginnings stays linear.
#[derive(Default)]
pub(super) struct Memory {
    /// The run of base64url letters looked at last: its end, and how many headers it had.
    run: (usize, u32),
    end: Ahead,
    body: Ahead,
}

/// A search that only moves forward.
#[derive(Default)]
struct Ahead {
    searched: bool,
    found: Option<(usize, usize)>,
}

impl Ahead {
    fn from(
        &mut self,
        at: usize,
        search: impl FnOnce(usize) -> Option<(usize, usize)>,
    ) -> Option<(usize, usize)> {
        let stale = self.found.is_some_and(|(start, _)| start < at);
        if !self.searched || stale {
            self.found = search(at);
            self.searched = true;
        }
        self.found
    }
}

/// The longest header that is decoded, in base64url characters.
const MAX_HEADER: usize = 8192;
/// How many candidates of one run are decoded: headers do not stand inside one another.
const MAX_HEADERS_PER_RUN: u32 = 4;

/// The JSON web token (RFC 7515 §7.1, RFC 7516 §7.1) that starts at `start`: three to five parts,
/// the first a JSON object with an `alg`.
pub(super) fn find_jwt(
    text: &[u8],
    start: usize,
    floor: usize,
    memory: &mut Memory,
) -> Option<Range<usize>> {
    if !left_clear_of_alphanumerics(text, start, floor) {
        return None;
    }
    if start >= memory.run.0 {
        memory.run = (start + run(text, start, is_base64url), 0);
    }
    let header_end = memory.run.0;
    if byte(text, header_end) != Some(b'.') || memory.run.1 >= MAX_HEADERS_PER_RUN {
        return None;
    }
    memory.run.1 += 1;
    if header_end - start > MAX_HEADER || !is_jose_header(text.get(start..header_end)?) {
        return None;
    }
    let payload = run(text, header_end + 1, is_base64url);
    let payload_end = header_end + 1 + payload;
    if byte(text, payload_end) != Some(b'.') {
        return None;
    }
    let mut end = payload_end + 1 + run(text, payload_end + 1, is_base64url);
    if payload == 0 && end == payload_end + 1 {
        return None;
    }
    // An encrypted token has five parts.
    for _ in 0..2 {
        let more = run(text, end + 1, is_base64url);
        if byte(text, end) != Some(b'.') || more == 0 {
            break;
        }
        end += 1 + more;
    }
    Some(start..end)
}

/// True where base64url text decodes to what starts and ends as a JSON object and names `"alg"`.
fn is_jose_header(encoded: &[u8]) -> bool {
    const NAME: u64 = u64::from_be_bytes(*b"\0\0\0\"alg\"");
    let (mut bits, mut count, mut window, mut named, mut last) = (0u32, 0, 0u64, false, 0);
    for b in encoded {
        let value = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'-' => 62,
            _ => 63,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            let decoded = (bits >> count & 0xff) as u8;
            if decoded < b' ' && !matches!(decoded, b'\t' | b'\n' | b'\r') {
                return false;
            }
            window = (window << 8 | u64::from(decoded)) & 0xff_ffff_ffff;
            named |= window == NAME;
            if !decoded.is_ascii_whitespace() {
                last = decoded;
            }
        }
    }
    named && last == b'}'
}

/// How far behind the first line the key itself may start: headers such as `DEK-Info` stand
/// between.
const PEM_HEADERS: usize = 256;
/// The shortest run of base64 that is key material and not prose.
const PEM_BODY: usize = 24;

/// The PEM private key (RFC 7468) whose first line begins at `begin`: through its last line, or to
/// the end of the text where that is missing. A mention of the first line alone is none.
pub(super) fn find_private_key(
    text: &[u8],
    begin: Range<usize>,
    memory: &mut Memory,
) -> Option<Range<usize>> {
    const LABEL: usize = 64;
    let start = begin.start;
    let label = run_within(text, begin.end, LABEL, |b| {
        b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' '
    });
    let line = begin.end + label;
    let name = text.get(begin.end..line)?;
    let name = name.strip_suffix(b" BLOCK").unwrap_or(name);
    if !name.ends_with(b"PRIVATE KEY") || !text.get(line..)?.starts_with(b"-----") {
        return None;
    }
    let line = line + 5;
    let (body, _) = memory.body.from(line, |at| base64_run(text, at))?;
    if body - line > PEM_HEADERS {
        return None;
    }
    let end = memory.end.from(line, |at| last_line(text, at));
    match end {
        Some((last, _)) if last < body => None,
        Some((_, end)) => Some(start..end),
        None => Some(start..text.len()),
    }
}

fn base64_run(text: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    while at < text.len() {
        let length = run(text, at, is_base64);
        if length >= PEM_BODY {
            return Some((at, at + length));
        }
        at += length + 1;
    }
    None
}

fn last_line(text: &[u8], from: usize) -> Option<(usize, usize)> {
    const LAST: &[u8] = b"-----END ";
    let mut from = from;
    loop {
        let at = find_bytes(text, from, LAST)?;
        let label = at + LAST.len();
        let length =
            run(text, label, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ');
        let name = text.get(label..label + length)?;
        if find_bytes(name, 0, b"PRIVATE KEY").is_some() {
            let end = label + length;
            return Some((at, end + run(text, end, |b| b == b'-').min(5)));
        }
        from = label;
    }
}

/// The AWS access key id at `start`: a kind of four letters and sixteen of base32
/// (IAM identifiers, unique ID prefixes).
pub(super) fn find_aws_id(text: &[u8], start: usize, floor: usize) -> Option<Range<usize>> {
    let end = start + 20;
    let fits = |b: &u8| matches!(b, b'A'..=b'Z' | b'2'..=b'7');
    if !text.get(start + 4..end)?.iter().all(fits) {
        return None;
    }
    let clear = left_clear_of_alphanumerics(text, start, floor)
        && !byte(text, end).is_some_and(|b| b.is_ascii_alphanumeric());
    clear.then_some(start..end)
}

/// How far behind a word (`secret`, `aws`) or a key id the secret key may start.
const SECRET_REACH: usize = 64;
const SECRET_LENGTH: usize = 40;

/// The AWS secret access key near behind `from`: forty characters of base64 that look random.
pub(super) fn find_aws_secret(text: &[u8], from: usize) -> Option<Range<usize>> {
    if in_placeholder(text, from) {
        return None;
    }
    let mut at = from;
    while at <= from + SECRET_REACH && at < text.len() {
        let length = run(text, at, is_base64);
        let candidate = text.get(at..at + length)?;
        if length == SECRET_LENGTH && is_random(candidate) && byte(text, at + length) != Some(b'=')
        {
            return Some(at..at + length);
        }
        at += length + 1;
    }
    None
}

/// Upper and lower case and digits, and many different ones: no path, no hexadecimal hash.
fn is_random(candidate: &[u8]) -> bool {
    candidate.iter().any(u8::is_ascii_uppercase)
        && candidate.iter().any(u8::is_ascii_lowercase)
        && candidate.iter().any(u8::is_ascii_digit)
        && distinct(candidate) >= 18
}

/// The password in `scheme://user:password@host` (RFC 3986 §3.2.1), whose `://` is `mark`. Only
/// the password is the hit: the rest is what makes the text useful.
pub(super) fn find_url_password(
    text: &[u8],
    mark: Range<usize>,
    floor: usize,
) -> Option<Range<usize>> {
    const REACH: usize = 512;
    if !before(text, mark.start, floor).is_some_and(is_word) {
        return None;
    }
    let authority = text.get(mark.end..text.len().min(mark.end + REACH))?;
    let stops =
        |b: &u8| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\');
    let word = authority
        .iter()
        .position(stops)
        .map_or(authority, |i| authority.get(..i).unwrap_or(authority));
    let colon = word.iter().position(|b| matches!(b, b':' | b'@' | b'/' | b'?' | b'#' | b'['))?;
    if word.get(colon) != Some(&b':') {
        return None;
    }
    let rest = word.get(colon + 1..)?;
    // A password with `/`, `?` or `#` in it should have been encoded; what is no port is taken
    // for one that was not.
    let port = run(rest, 0, |b| b.is_ascii_digit());
    let path = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#'));
    if port > 0 && byte(rest, port) == Some(b';') {
        // A JDBC address with properties behind it.
        return None;
    }
    let limit = match path {
        Some(at) if at == port && (port > 0 || rest.starts_with(b"/")) => at,
        Some(at) if rest.get(..at).is_some_and(|rest| rest.contains(&b'@')) => at,
        _ => rest.len(),
    };
    let rest = rest.get(..limit)?;
    // Behind a comma stands the next host, or the next element of an array.
    let comma = rest.iter().position(|b| *b == b',').unwrap_or(rest.len());
    let at = |part: &[u8]| part.iter().rposition(|b| *b == b'@');
    let length = rest.get(..comma).and_then(at).or_else(|| at(rest))?;
    let password = rest.get(..length)?;
    let start = mark.end + colon + 1;
    (start >= floor && !is_stand_in(password)).then_some(start..start + length)
}

/// What stands where a password was taken out or will be put in.
pub(super) fn is_stand_in(password: &[u8]) -> bool {
    let repeats = |b: u8| password.iter().all(|c| *c == b);
    let wrapped = |open: &[u8], close: u8| {
        password.starts_with(open)
            && password.iter().position(|b| *b == close) == password.len().checked_sub(1)
    };
    password.is_empty()
        || [b'*', b'x', b'X', b'.'].into_iter().any(repeats)
        || wrapped(b"${", b'}')
        || wrapped(b"{", b'}')
        || wrapped(b"$(", b')')
        || wrapped(b"[masked", b']')
        // Its last bracket may have been taken for one that closes a list.
        || password.starts_with(b"[masked") && !password.contains(&b']')
        || password == b"%s"
        || password.eq_ignore_ascii_case(b"redacted")
}
