//! Keys of providers: by prefix, alphabet and length, and by check sum where the format has a
//! published one (GitHub and npm: CRC-32 in base 62; age: Bech32). Providers publish these so that
//! leaked keys can be found.

use super::text::{
    byte, distinct, find as find_bytes, keyword_before, left_clear_of_alphanumerics, run,
    run_within,
};
use std::ops::Range;

/// What the characters behind a prefix may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    Hex,
    HexDashed,
    Alphanumeric,
    Base64Url,
    Dotted,
    Base64,
}

use Body::{Alphanumeric, Base64, Base64Url, Dotted, Hex, HexDashed};

impl Body {
    const fn holds(self, b: u8) -> bool {
        match self {
            Self::Hex => b.is_ascii_hexdigit(),
            Self::HexDashed => b.is_ascii_hexdigit() || b == b'-',
            Self::Alphanumeric => b.is_ascii_alphanumeric(),
            Self::Base64Url => is_base64url(b),
            Self::Dotted => is_base64url(b) || b == b'.',
            Self::Base64 => is_base64url(b) || matches!(b, b'+' | b'/' | b'='),
        }
    }
}

const fn is_base64url(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')
}

/// A prefix, what follows, and at least how much of it. The first that fits counts.
type Key = (&'static str, Body, usize);

/// Of these the length is exact: a longer run is something else.
const EXACT: &[&str] = &["AIza", "SK", "dapi", "key-", "shpat_", "shpss_", "shpca_", "shppa_"];

const KEYS: &[Key] = &[
    // GitHub and npm: the last six characters are a check sum.
    ("ghp_", Alphanumeric, 36),
    ("gho_", Alphanumeric, 36),
    ("ghu_", Alphanumeric, 36),
    ("ghs_", Alphanumeric, 36),
    ("ghr_", Alphanumeric, 36),
    ("npm_", Alphanumeric, 36),
    ("github_pat_", Base64Url, 50),
    // GitLab.
    ("glpat-", Dotted, 20),
    ("gldt-", Dotted, 20),
    ("glrt-", Dotted, 20),
    ("glcbt-", Dotted, 20),
    ("glptt-", Dotted, 40),
    ("glft-", Dotted, 20),
    ("glimt-", Dotted, 20),
    ("glagent-", Dotted, 50),
    ("glsoat-", Dotted, 20),
    ("gloas-", Dotted, 60),
    // Stripe.
    ("sk_live_", Alphanumeric, 16),
    ("sk_test_", Alphanumeric, 16),
    ("rk_live_", Alphanumeric, 16),
    ("rk_test_", Alphanumeric, 16),
    ("whsec_", Base64, 24),
    // Slack.
    ("xoxb-", Base64Url, 20),
    ("xoxp-", Base64Url, 20),
    ("xoxa-", Base64Url, 20),
    ("xoxr-", Base64Url, 20),
    ("xoxs-", Base64Url, 20),
    ("xoxe-", Base64Url, 20),
    ("xoxe.", Dotted, 20),
    ("xapp-", Base64Url, 20),
    // Google.
    ("AIza", Base64Url, 35),
    ("GOCSPX-", Base64Url, 28),
    ("ya29.", Base64Url, 20),
    // Models.
    ("sk-ant-", Base64Url, 24),
    ("sk-proj-", Base64Url, 24),
    ("sk-svcacct-", Base64Url, 24),
    ("sk-admin-", Base64Url, 24),
    ("sk-or-v1-", Alphanumeric, 32),
    ("sk-", Alphanumeric, 40),
    ("hf_", Alphanumeric, 34),
    ("api_org_", Alphanumeric, 34),
    ("gsk_", Alphanumeric, 40),
    ("xai-", Alphanumeric, 70),
    ("pplx-", Alphanumeric, 40),
    ("r8_", Alphanumeric, 37),
    // Packages and images.
    ("pypi-AgE", Base64Url, 50),
    ("rubygems_", Hex, 48),
    ("dckr_pat_", Base64Url, 24),
    ("dckr_oat_", Base64Url, 24),
    // Clouds and platforms.
    ("dop_v1_", Hex, 64),
    ("doo_v1_", Hex, 64),
    ("dor_v1_", Hex, 64),
    ("v1.0-", HexDashed, 171),
    ("dapi", Hex, 32),
    ("HRKU-", Base64Url, 36),
    ("pul-", Hex, 40),
    ("sbp_", Hex, 40),
    ("pscale_tkn_", Dotted, 32),
    ("pscale_pw_", Dotted, 32),
    ("tskey-", Base64Url, 20),
    ("hvs.", Base64Url, 24),
    ("hvb.", Base64Url, 90),
    ("hvr.", Base64Url, 90),
    ("dp.pt.", Alphanumeric, 40),
    ("dp.ct.", Alphanumeric, 40),
    ("dp.sa.", Alphanumeric, 40),
    ("dp.scim.", Alphanumeric, 40),
    ("dp.audit.", Alphanumeric, 40),
    ("dp.st.", Dotted, 40),
    ("AGE-SECRET-KEY-1", Alphanumeric, 58),
    // Messages, shops, work.
    ("SG.", Dotted, 60),
    ("SK", Hex, 32),
    ("key-", Hex, 32),
    ("xkeysib-", Base64Url, 81),
    ("shpat_", Hex, 32),
    ("shpss_", Hex, 32),
    ("shpca_", Hex, 32),
    ("shppa_", Hex, 32),
    ("sq0atp-", Base64Url, 22),
    ("sq0csp-", Base64Url, 43),
    ("lin_api_", Alphanumeric, 32),
    ("lin_oauth_", Alphanumeric, 32),
    ("ATATT3", Base64, 100),
    ("ntn_", Alphanumeric, 40),
    ("figd_", Base64Url, 40),
    ("pat-na1-", HexDashed, 36),
    ("pat-eu1-", HexDashed, 36),
    ("PMAK-", HexDashed, 59),
    ("NRAK-", Alphanumeric, 27),
    ("glsa_", Base64Url, 41),
    ("glc_", Base64, 60),
    ("sntrys_", Base64, 60),
    ("sntryu_", Hex, 64),
    ("ops_eyJ", Base64, 100),
];

/// The prefixes of keys, each with its place in the list.
pub(super) fn prefixes() -> impl Iterator<Item = (usize, &'static str)> {
    KEYS.iter().enumerate().map(|(n, (prefix, ..))| (n, *prefix))
}

/// The key whose prefix, the one at this place in the list, stands at `start`.
pub(super) fn find(text: &[u8], start: usize, floor: usize, n: usize) -> Option<Range<usize>> {
    let (prefix, body, least) = KEYS.get(n)?;
    if !left_clear_of_alphanumerics(text, start, floor) {
        return None;
    }
    let from = start + prefix.len();
    let length = run_within(text, from, MAX_LOOK, |b| body.holds(b));
    let secret = text.get(from..from + length)?;
    let fits = length >= *least
        && (length == *least || !EXACT.contains(prefix))
        && is_mixed(*body, secret)
        && proves(prefix, secret)
        && (*prefix != "key-" || keyword_before(text, start, floor, 64, &[b"mailgun"]));
    let end = from + length;
    fits.then(|| start..end + run(text, end, |b| body.holds(b)))
}

/// How much of a key is looked at before it counts. What counts is taken whole.
const MAX_LOOK: usize = 256;

/// A placeholder in a manual repeats itself or is words.
fn is_mixed(body: Body, secret: &[u8]) -> bool {
    let digits = secret.iter().filter(|b| b.is_ascii_digit()).count();
    let cases =
        secret.iter().any(u8::is_ascii_uppercase) && secret.iter().any(u8::is_ascii_lowercase);
    let mixed = if matches!(body, Hex | HexDashed) { digits >= 4 } else { digits > 0 || cases };
    mixed && distinct(secret) >= 8
}

/// The check sum, where the format of this prefix and length has one.
fn proves(prefix: &str, secret: &[u8]) -> bool {
    match (prefix, secret.len()) {
        ("ghp_" | "gho_" | "ghu_" | "ghs_" | "ghr_" | "npm_", 36) => crc_base62(secret),
        ("AGE-SECRET-KEY-1", length) => length == 58 && bech32(b"age-secret-key-", secret),
        _ => true,
    }
}

/// Thirty characters, and their CRC-32 as six of base 62 (GitHub, "Behind GitHub's new
/// authentication token formats", 2021).
fn crc_base62(secret: &[u8]) -> bool {
    let (Some(body), Some(sum)) = (secret.get(..30), secret.get(30..)) else { return false };
    let crc = !body.iter().fold(u32::MAX, |crc, b| {
        (0..8)
            .fold(crc ^ u32::from(*b), |crc, _| crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    });
    let value = |b: u8| match b {
        b'0'..=b'9' => b - b'0',
        b'A'..=b'Z' => b - b'A' + 10,
        _ => b - b'a' + 36,
    };
    sum.iter().fold(0u64, |n, b| n * 62 + u64::from(value(*b))) == u64::from(crc)
}

/// The check sum of Bech32 (BIP 173) over data behind this human-readable part.
fn bech32(part: &[u8], data: &[u8]) -> bool {
    const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let step = |sum: u32, value: u32| {
        let folded = GENERATOR.iter().enumerate().filter(|(i, _)| sum >> (25 + i) & 1 == 1);
        folded.fold((sum & 0x1ff_ffff) << 5 ^ value, |sum, (_, g)| sum ^ g)
    };
    let head = part.iter().map(|b| u32::from(b >> 5));
    let tail = part.iter().map(|b| u32::from(b & 31));
    let sum = head.chain([0]).chain(tail).fold(1, step);
    let letter = |b: &u8| LETTERS.iter().position(|l| *l == b.to_ascii_lowercase());
    let sum = data.iter().try_fold(sum, |sum, b| {
        letter(b).and_then(|v| u32::try_from(v).ok()).map(|v| step(sum, v))
    });
    sum == Some(1)
}

/// What identifies a key in its middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Middle {
    /// Azure client secrets.
    Azure,
    /// Mailchimp.
    Mailchimp,
    /// Terraform.
    Atlas,
    /// The path of a webhook.
    Slack,
    /// The path of a webhook.
    DiscordPath,
}

/// Literals that such keys have in their middle, as they are written.
pub(super) const MIDDLES: &[(&str, Middle)] = &[
    ("Q~", Middle::Azure),
    ("-us", Middle::Mailchimp),
    (".atlasv1.", Middle::Atlas),
    ("hooks.slack.com", Middle::Slack),
    ("discord.com", Middle::DiscordPath),
    ("discordapp.com", Middle::DiscordPath),
];

/// The key around the literal at `at`.
pub(super) fn find_around(
    text: &[u8],
    at: Range<usize>,
    floor: usize,
    middle: Middle,
) -> Option<Range<usize>> {
    match middle {
        Middle::Azure => {
            let first = at.start.checked_sub(1)?;
            let class = |b: u8| is_base64url(b) || matches!(b, b'~' | b'.');
            let left = left_run(text, first, floor, 3, class)?;
            let length = run_within(text, at.end, 40, class);
            let random = distinct(text.get(left..at.end + length)?) >= 12;
            let fits = byte(text, first)?.is_ascii_digit() && matches!(length, 31..=34);
            (fits && random).then_some(left..at.end + length)
        }
        Middle::Mailchimp => {
            let number = run_within(text, at.end, 3, |b| b.is_ascii_digit());
            let end = at.end + number;
            let closed = byte(text, end).is_none_or(|b| !is_base64url(b));
            if !matches!(number, 1 | 2) || !closed {
                return None;
            }
            let left = left_run(text, at.start, floor, 32, |b| b.is_ascii_hexdigit())?;
            (distinct(text.get(left..at.start)?) >= 8).then_some(left..end)
        }
        Middle::Atlas => {
            let left = left_run(text, at.start, floor, 14, |b| b.is_ascii_alphanumeric())?;
            let length = run_within(text, at.end, MAX_LOOK, is_base64url);
            (length >= 60).then_some(left..at.end + length)
        }
        Middle::Slack => webhook(text, at.end, &[b"services"]),
        Middle::DiscordPath => webhook(text, at.end, &[b"api", b"webhooks"]),
    }
}

/// The start of exactly `length` characters of a class before `at`.
fn left_run(
    text: &[u8],
    at: usize,
    floor: usize,
    length: usize,
    class: impl Fn(u8) -> bool,
) -> Option<usize> {
    let start = at.checked_sub(length).filter(|start| *start >= floor)?;
    let all = text.get(start..at)?.iter().all(|b| class(*b));
    let clear = start == floor || !class(byte(text, start - 1)?);
    (all && clear).then_some(start)
}

/// A bot's token at Discord, around its first dot: its number in base64, a time, a code.
pub(super) fn find_discord(text: &[u8], dot: usize, floor: usize) -> Option<Range<usize>> {
    if byte(text, dot + 7) != Some(b'.')
        || !text.get(dot + 1..dot + 7)?.iter().all(|b| is_base64url(*b))
    {
        return None;
    }
    let left = text
        .get(floor.max(dot.saturating_sub(30))..dot)?
        .iter()
        .rev()
        .take_while(|b| b.is_ascii_alphanumeric())
        .count();
    let id = text.get(dot - left..dot)?;
    let end = dot + 8 + run_within(text, dot + 8, 40, is_base64url);
    let fits =
        matches!(left, 23..=28) && matches!(end - dot - 8, 27..=38) && is_number_in_base64(id);
    fits.then_some(dot - left..end)
}

/// True where base64 decodes to decimal digits alone.
fn is_number_in_base64(id: &[u8]) -> bool {
    let (mut bits, mut count) = (0u32, 0);
    id.iter().all(|b| {
        let value = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            _ => return false,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        count += 6;
        if count < 8 {
            return true;
        }
        count -= 8;
        u8::try_from(bits >> count & 0xff).is_ok_and(|b| b.is_ascii_digit())
    })
}

/// What follows a webhook's host and the beginning of its path: numbers and a key. Slashes may be
/// escaped.
fn webhook(text: &[u8], host: usize, parts: &[&[u8]]) -> Option<Range<usize>> {
    let slash = |at: usize| {
        let at = at + usize::from(byte(text, at) == Some(b'\\'));
        (byte(text, at) == Some(b'/')).then_some(at + 1)
    };
    let part =
        |at: usize, part: &&[u8]| text.get(at..)?.starts_with(part).then_some(at + part.len());
    let at = parts.iter().try_fold(host, |at, name| part(slash(at)?, name))?;
    let at = slash(at)?;
    let length = run_within(text, at, MAX_LOOK, |b| is_base64url(b) || matches!(b, b'/' | b'\\'));
    let path = text.get(at..at + length)?;
    let key = path.rsplit(|b| *b == b'/').next()?;
    let parts = find_bytes(path, 0, b"/").is_some();
    (parts && key.len() >= 20 && distinct(key) >= 8).then_some(at..at + length)
}

/// The bot token of Telegram whose number starts at `start`: number, colon, `AA` and 33 more.
pub(super) fn find_telegram(
    text: &[u8],
    start: usize,
    digits: usize,
    floor: usize,
) -> Option<Range<usize>> {
    let colon = start + digits;
    if !text.get(colon..)?.starts_with(b":AA") {
        return None;
    }
    let length = run_within(text, colon + 1, 36, is_base64url);
    let clear = left_clear_of_alphanumerics(text, start, floor);
    let random = distinct(text.get(colon + 1..colon + 1 + length)?) >= 12;
    (clear && length == 35 && random).then_some(start..colon + 1 + length)
}
