//! E-mail addresses (RFC 5321 §4.1.2 dot-strings, with the international letters of RFC 6531).
//!
//! Not seen: quoted local parts, address literals (`a@[192.0.2.1]`), hosts without a dot, and
//! local parts with other punctuation than `. _ % + - '`.

use super::text::{before, byte, char_at, char_before, is_escape_letter, run};
use std::ops::Range;

/// How far left of the at sign a local part is followed. RFC 5321 §4.5.3.1.1 allows 64 octets;
/// mailing list return paths are longer.
const LOCAL_REACH: usize = 320;
const DOMAIN_REACH: usize = 255;

/// Last labels that make it a file, a package or a unit and not a host. None is a delegated
/// top-level domain.
const NOT_TOP_LEVEL: &[&[u8]] = &[
    b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp", b"bmp", b"ico", b"tiff", b"js", b"jsx",
    b"ts", b"tsx", b"mjs", b"cjs", b"css", b"scss", b"html", b"htm", b"json", b"yaml", b"yml",
    b"toml", b"xml", b"csv", b"txt", b"log", b"lock", b"gz", b"tgz", b"tar", b"bz2", b"xz", b"pdf",
    b"exe", b"dll", b"class", b"jar", b"whl", b"deb", b"rpm", b"service", b"socket", b"timer",
    b"mount", b"slice", b"scope", b"swap", b"device", b"conf", b"cfg", b"ini", b"sql", b"bak",
];

/// Top-level domains that end a host where a file's ending follows (`jane@example.com.json`).
const BEFORE_FILE: &[&[u8]] =
    &[b"com", b"org", b"net", b"edu", b"gov", b"info", b"example", b"test"];

/// Schemes whose user information names an account of a service and not a mailbox.
const SERVICE_SCHEMES: &[&[u8]] = &[
    b"postgres",
    b"postgresql",
    b"mysql",
    b"mariadb",
    b"redis",
    b"rediss",
    b"mongodb",
    b"mongodb+srv",
    b"amqp",
    b"amqps",
    b"ssh",
    b"git",
    b"git+ssh",
    b"svn+ssh",
    b"sftp",
    b"ftp",
    b"rsync",
    b"jdbc",
    b"ldap",
    b"ldaps",
];

/// The address around the at sign (`@`, `%40` or `\u0040`) that stands at `sign`.
pub(super) fn find(text: &[u8], sign: Range<usize>, floor: usize) -> Option<Range<usize>> {
    let end = domain_end(text, sign.end)?;
    let start = local_start(text, sign.start, end, floor);
    let local = text.get(start..sign.start)?;
    if local.is_empty() {
        return None;
    }
    let is_login = matches!(local, b"git" | b"hg" | b"svn") && byte(text, end) == Some(b':');
    if is_login || is_version(text, sign.end) || follows_service_scheme(text, start, floor) {
        return None;
    }
    Some(start..end)
}

/// Letters of every script (RFC 6531), digits, and the punctuation people use.
fn is_local(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-') || is_foreign(c)
}

fn is_foreign(c: char) -> bool {
    !c.is_ascii() && c.is_alphanumeric()
}

fn local_start(text: &[u8], sign: usize, end: usize, floor: usize) -> usize {
    let limit = sign.saturating_sub(LOCAL_REACH).max(floor);
    let mut start = sign;
    while let Some((c, length)) = char_before(text, start, limit) {
        // O'Brien's apostrophe, unless the address is what is quoted.
        let apostrophe = c == '\''
            && byte(text, end) != Some(b'\'')
            && before(text, start - 1, limit).is_some_and(|b| b.is_ascii_alphabetic());
        if !is_local(c) && !apostrophe {
            break;
        }
        start -= length;
    }
    // What belongs to a JSON escape is not part of the name: `\n` and `\u003c`.
    if is_escape_letter(text, start, floor) {
        start += 1;
    } else if before(text, start, floor) == Some(b'\\')
        && byte(text, start) == Some(b'u')
        && run(text, start + 1, |b| b.is_ascii_hexdigit()) >= 4
        && start + 5 <= sign
    {
        start += 5;
    }
    let skipped = run(text, start, |b| matches!(b, b'.' | b'-' | b'+'));
    (start + skipped).min(sign)
}

/// The end of the longest prefix of the host at `at` that ends in a plausible top-level domain.
fn domain_end(text: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    while let Some((c, length)) = char_at(text, end) {
        let of_host = c.is_ascii_alphanumeric() || matches!(c, '.' | '-') || is_foreign(c);
        if !of_host || end + length - at > DOMAIN_REACH {
            break;
        }
        end += length;
    }
    let host = text.get(at..end)?;
    let (mut best, mut label, mut file) = (None, 0, false);
    for (i, part) in host.split(|b| *b == b'.').enumerate() {
        if part.is_empty() || part.starts_with(b"-") {
            break;
        }
        if i > 0
            && let Some(length) = top_level(part, byte(text, at + label + part.len()))
        {
            let known = |known: &&[u8]| part.eq_ignore_ascii_case(known);
            file = NOT_TOP_LEVEL.iter().any(known);
            let certain = length == 2 || BEFORE_FILE.iter().any(known);
            best = if file { best } else { Some((at + label + length, certain)) };
        }
        if part.ends_with(b"-") {
            break;
        }
        label += part.len() + 1;
    }
    best.filter(|(_, certain)| *certain || !file).map(|(end, _)| end)
}

/// The length of the top-level domain that `label` starts with.
fn top_level(label: &[u8], next: Option<u8>) -> Option<usize> {
    if label.len() >= 8 && label.get(..4).is_some_and(|p| p.eq_ignore_ascii_case(b"xn--")) {
        return Some(label.len());
    }
    let letters = run(label, 0, |b| b.is_ascii_alphabetic() || b >= 0x80);
    let follows = byte(label, letters).or(next);
    let plausible = (2..=63).contains(&letters) && !follows.is_some_and(|b| b.is_ascii_digit());
    plausible.then_some(letters)
}

/// `package@1.2.3-rc.one`, `action@v4.1.x`: a version and not a host.
fn is_version(text: &[u8], at: usize) -> bool {
    let at = at + run(text, at, |b| matches!(b, b'v' | b'V')).min(1);
    let major = run(text, at, |b| b.is_ascii_digit());
    let minor = run(text, at + major + 1, |b| b.is_ascii_digit());
    let after = byte(text, at + major + 1 + minor);
    major > 0 && byte(text, at + major) == Some(b'.') && minor > 0 && matches!(after, Some(b'.'))
}

fn follows_service_scheme(text: &[u8], start: usize, floor: usize) -> bool {
    let head = text.get(start.saturating_sub(24).max(floor)..start).unwrap_or_default();
    let Some(head) = head.strip_suffix(b"://").or_else(|| head.strip_suffix(b":\\/\\/")) else {
        return false;
    };
    let scheme = head
        .iter()
        .rposition(|b| !b.is_ascii_alphanumeric() && *b != b'+')
        .map_or(head, |i| head.get(i + 1..).unwrap_or_default());
    SERVICE_SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known))
}
