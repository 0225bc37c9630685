//! Content detectors: what looks like a secret or a personal identifier *and checks out*.
//!
//! They are the second layer on the way of an answer to the client and to the recording, over
//! values, error texts and statement texts. One automaton over all patterns finds candidates; code
//! of our own then decides, with check digits, issuer ranges, country lengths and what stands
//! around. A text none of them could match is told apart by one pass over its bytes.
//!
//! Time is linear in the text, memory is constant beside the hits, and nothing is allocated where
//! nothing is found.
//!
//! Not seen, and not claimed: text that was encoded (base64, URL encoding beyond `%40`, JSON
//! escapes beyond `\u0040` and what may stand before a value), reversed, cut up or spelt out.

mod card;
mod email;
mod iban;
mod phone;
mod ssn;
mod text;
mod token;

pub(crate) use card::is_whole as is_card;

use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use regex_automata::{Input, PatternID};
use std::fmt;
use std::ops::Range;

/// What a detector looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An e-mail address.
    Email,
    /// A payment card number.
    Card,
    /// An international bank account number.
    Iban,
    /// A US social security number.
    UsSsn,
    /// A telephone number.
    Phone,
    /// A JSON web token.
    Jwt,
    /// A private key in PEM.
    PrivateKey,
    /// An AWS access key id.
    AwsAccessKey,
    /// An AWS secret access key.
    AwsSecretKey,
    /// A key of another provider, by its prefix.
    ApiKey,
    /// The password in a URL.
    UrlPassword,
}

impl Kind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Email,
        Self::Card,
        Self::Iban,
        Self::UsSsn,
        Self::Phone,
        Self::Jwt,
        Self::PrivateKey,
        Self::AwsAccessKey,
        Self::AwsSecretKey,
        Self::ApiKey,
        Self::UrlPassword,
    ];

    /// The word used in configuration and in placeholders.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::UsSsn => "us-ssn",
            Self::Phone => "phone",
            Self::Jwt => "jwt",
            Self::PrivateKey => "private-key",
            Self::AwsAccessKey => "aws-access-key",
            Self::AwsSecretKey => "aws-secret-key",
            Self::ApiKey => "api-key",
            Self::UrlPassword => "url-password",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// What is put in its place: plain ASCII that needs no quoting in JSON, XML, CSV and
    /// PostgreSQL's arrays and rows, and that no detector takes for anything.
    #[must_use]
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::Email => "[masked:email]",
            Self::Card => "[masked:card]",
            Self::Iban => "[masked:iban]",
            Self::UsSsn => "[masked:us-ssn]",
            Self::Phone => "[masked:phone]",
            Self::Jwt => "[masked:jwt]",
            Self::PrivateKey => "[masked:private-key]",
            Self::AwsAccessKey => "[masked:aws-access-key]",
            Self::AwsSecretKey => "[masked:aws-secret-key]",
            Self::ApiKey => "[masked:api-key]",
            Self::UrlPassword => "[masked:url-password]",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A name that no detector has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no detector \"{name}\"; there are {known}", known = known_names())]
pub struct UnknownDetector {
    /// What was asked for.
    pub name: String,
}

fn known_names() -> String {
    Kind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

/// One find: what it is and where it stands, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub range: Range<usize>,
}

/// What a pattern leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anchor {
    Scheme,
    AtSign,
    Iban,
    Plus,
    Number,
    Jwt,
    PrivateKey,
    AwsId,
    AwsWord,
    Provider,
}

impl Anchor {
    const ALL: [Self; 10] = [
        Self::Scheme,
        Self::AtSign,
        Self::Iban,
        Self::Plus,
        Self::Number,
        Self::Jwt,
        Self::PrivateKey,
        Self::AwsId,
        Self::AwsWord,
        Self::Provider,
    ];

    /// The pattern that finds candidates. Each is bounded, so that going on right behind the
    /// start of one that fails keeps the whole linear.
    const fn pattern(self) -> &'static str {
        match self {
            Self::Scheme => r"[A-Za-z0-9]:(?:\\?/){2}",
            Self::AtSign => r"(?:@|%40|\\u0040)[A-Za-z0-9\x80-\xff]",
            Self::Iban => r"[A-Za-z]{2}[0-9]{2}[ \-]?[A-Za-z0-9]{4}[ \-]?[A-Za-z0-9]{3}",
            Self::Plus => r"\+[1-9]",
            Self::Number => concat!(
                r"[0-9]{9}|[0-9]{4}[ \-](?:[0-9]{4}[ \-][0-9]{4}[ \-][0-9]|[0-9]{6}[ \-][0-9]{4})",
                r"|[0-9]{6}[ \-][0-9]{13}|[0-9]{3}[ \-][0-9]{2}[ \-][0-9]{4}",
                r"|(?:1[ .\-]?)?(?:\([0-9]{3}\)[ .\-]?|[0-9]{3}[ .\-])[0-9]{3}[ .\-][0-9]{4}",
            ),
            Self::Jwt => r"eyJ[A-Za-z0-9_\-]{8}",
            Self::PrivateKey => r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----",
            Self::AwsId => r"A(?:KIA|SIA|BIA|CCA)[A-Z2-7]{16}",
            Self::AwsWord => r"(?i:secret|aws)",
            Self::Provider => concat!(
                r"(?:gh[opurs]_|github_pat_|[rs]k_(?:live|test)_|xox[abeprs]-|xapp-|AIza|sk-|glpat-",
                r"|npm_|pypi-AgE|SG\.|hf_|dop_v1_|shp(?:at|ca|ss)_|dckr_pat_|hvs\.|ya29\.|whsec_",
                r"|gsk_|lin_api_)[A-Za-z0-9]{3}",
            ),
        }
    }

    const fn kinds(self) -> u16 {
        match self {
            Self::Scheme => Kind::UrlPassword.bit(),
            Self::AtSign => Kind::Email.bit(),
            Self::Iban => Kind::Iban.bit(),
            Self::Plus => Kind::Phone.bit(),
            Self::Number => Kind::Card.bit() | Kind::UsSsn.bit() | Kind::Phone.bit(),
            Self::Jwt => Kind::Jwt.bit(),
            Self::PrivateKey => Kind::PrivateKey.bit(),
            // A secret key stands behind its id as often as behind a word.
            Self::AwsId => Kind::AwsAccessKey.bit() | Kind::AwsSecretKey.bit(),
            Self::AwsWord => Kind::AwsSecretKey.bit(),
            Self::Provider => Kind::ApiKey.bit(),
        }
    }
}

/// A set of detectors, ready to run. Shared by all sessions; no lock is held while it works.
pub struct Detectors {
    kinds: u16,
    engine: Option<Engine>,
}

struct Engine {
    regex: Regex,
    anchors: Vec<Anchor>,
}

impl Detectors {
    /// Every detector.
    #[must_use]
    pub fn all() -> Self {
        Self::of(Kind::ALL)
    }

    /// No detector: content is not looked at.
    #[must_use]
    pub fn none() -> Self {
        Self::of(&[])
    }

    /// The detectors of these kinds.
    #[must_use]
    pub fn of(kinds: &[Kind]) -> Self {
        let kinds = kinds.iter().fold(0, |bits, kind| bits | kind.bit());
        let anchors: Vec<_> =
            Anchor::ALL.into_iter().filter(|anchor| anchor.kinds() & kinds != 0).collect();
        let engine = (!anchors.is_empty()).then(|| {
            let patterns: Vec<_> = anchors.iter().map(|anchor| anchor.pattern()).collect();
            Engine { regex: compile(&patterns), anchors }
        });
        Self { kinds, engine }
    }

    /// The detectors of these names.
    ///
    /// # Errors
    /// [`UnknownDetector`] for the first name that none has.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownDetector> {
        let kinds = names
            .into_iter()
            .map(|name| Kind::from_name(name).ok_or_else(|| UnknownDetector { name: name.into() }))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self::of(&kinds))
    }

    /// True where there is no detector at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.kinds == 0
    }

    /// True where the detector of this kind is among them.
    #[must_use]
    pub const fn has(&self, kind: Kind) -> bool {
        self.kinds & kind.bit() != 0
    }

    /// False where no part of `text` can be a hit. Costs one pass over the bytes.
    #[must_use]
    pub fn may_match(&self, text: &[u8]) -> bool {
        self.kinds != 0 && Traits::of(text).may_match()
    }

    /// Everything that is found in `text`, leftmost first, none overlapping another. Allocates
    /// only where something is found.
    #[must_use]
    pub fn scan(&self, text: &[u8]) -> Vec<Hit> {
        let mut hits = Vec::new();
        if let Some(engine) = &self.engine
            && self.may_match(text)
        {
            Scan::new(self.kinds, text).run(engine, &mut hits);
        }
        hits
    }

    /// Appends `text` to `out` with a placeholder for each hit, and says true; or appends nothing
    /// and says false where nothing is found. What was written has no hit in it any more.
    pub fn redact(&self, text: &[u8], out: &mut Vec<u8>) -> bool {
        self.rewrite(text, out, |text, hits, out| {
            let mut at = 0;
            for hit in hits {
                out.extend_from_slice(text.get(at..hit.range.start).unwrap_or_default());
                out.extend_from_slice(hit.kind.placeholder().as_bytes());
                at = hit.range.end;
            }
            out.extend_from_slice(text.get(at..).unwrap_or_default());
        })
    }

    /// As [`Self::redact`], with another way to write a text without its hits. Taking one hit out
    /// can make its neighbour stand free: what was written is looked at again.
    pub(crate) fn rewrite(
        &self,
        text: &[u8],
        out: &mut Vec<u8>,
        write: impl Fn(&[u8], &[Hit], &mut Vec<u8>),
    ) -> bool {
        const PASSES: usize = 4;
        let mut hits = self.scan(text);
        if hits.is_empty() {
            return false;
        }
        let start = out.len();
        write(text, &hits, out);
        for _ in 0..PASSES {
            hits = self.scan(out.get(start..).unwrap_or_default());
            if hits.is_empty() {
                return true;
            }
            let again = out.split_off(start);
            write(&again, &hits, out);
        }
        if !self.scan(out.get(start..).unwrap_or_default()).is_empty() {
            out.truncate(start);
            let whole =
                Hit { kind: hits.first().map_or(Kind::Email, |h| h.kind), range: 0..text.len() };
            write(text, &[whole], out);
        }
        true
    }
}

impl fmt::Debug for Detectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Kind::ALL.iter().filter(|kind| self.has(**kind))).finish()
    }
}

#[expect(clippy::expect_used, reason = "the patterns are constants, and a test compiles each set")]
fn compile(patterns: &[&str]) -> Regex {
    Regex::builder()
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .configure(
            Regex::config()
                .utf8_empty(false)
                .nfa_size_limit(Some(1 << 20))
                .hybrid_cache_capacity(1 << 20),
        )
        .build_many(patterns)
        .expect("constant patterns compile")
}

/// One pass over one text.
struct Scan<'t> {
    kinds: u16,
    text: &'t [u8],
    /// The end of the hit before: nothing left of it is looked at again.
    floor: usize,
    /// The end of the last password: what stands before it is no local part.
    password_end: usize,
    memory: token::Memory,
}

impl<'t> Scan<'t> {
    fn new(kinds: u16, text: &'t [u8]) -> Self {
        Self { kinds, text, floor: 0, password_end: 0, memory: token::Memory::default() }
    }

    fn run(mut self, engine: &Engine, hits: &mut Vec<Hit>) {
        let mut at = 0;
        while at < self.text.len() {
            let Some(found) = engine.regex.search(&Input::new(self.text).range(at..)) else {
                break;
            };
            let candidate = found.range();
            at = match self.decide(engine.anchor(found.pattern()), candidate.clone(), hits) {
                Some(hit) => {
                    let end = hit.range.end.max(candidate.start + 1);
                    if hit.kind == Kind::UrlPassword {
                        self.password_end = end;
                    }
                    push(hits, hit);
                    self.floor = end;
                    end
                }
                None => self.after_miss(candidate.start),
            };
        }
        settle(hits);
    }

    /// Nothing starts inside a run of digits: the search goes on behind it.
    fn after_miss(&self, start: usize) -> usize {
        start + text::run(self.text, start, |b| b.is_ascii_digit()).max(1)
    }

    fn has(&self, kind: Kind) -> bool {
        self.kinds & kind.bit() != 0
    }

    fn decide(
        &mut self,
        anchor: Option<Anchor>,
        candidate: Range<usize>,
        hits: &mut Vec<Hit>,
    ) -> Option<Hit> {
        let (text, floor, start) = (self.text, self.floor, candidate.start);
        let (kind, range) = match anchor? {
            Anchor::Scheme => {
                (Kind::UrlPassword, token::find_url_password(text, start + 1..candidate.end, floor))
            }
            Anchor::AtSign => return self.email(candidate, hits),
            Anchor::Iban => (Kind::Iban, iban::find(text, start, floor)),
            Anchor::Plus => (Kind::Phone, phone::find_international(text, start, floor)),
            Anchor::Number => return self.number(start),
            Anchor::Jwt => (Kind::Jwt, token::find_jwt(text, start, floor, &mut self.memory)),
            Anchor::PrivateKey => (
                Kind::PrivateKey,
                token::find_private_key(text, start, candidate.end, &mut self.memory),
            ),
            Anchor::AwsId => {
                let id = token::find_aws_id(text, start, floor)?;
                self.aws_secret(id.end, hits);
                if !self.has(Kind::AwsAccessKey) {
                    return None;
                }
                (Kind::AwsAccessKey, Some(id))
            }
            Anchor::AwsWord => {
                self.aws_secret(candidate.end, hits);
                return None;
            }
            Anchor::Provider => (Kind::ApiKey, token::find_provider_key(text, start, floor)),
        };
        range.map(|range| Hit { kind, range })
    }

    /// The secret stands somewhere behind the word that announces it, and other hits may stand
    /// between: it is noted, and the search goes on where it was.
    fn aws_secret(&self, from: usize, hits: &mut Vec<Hit>) {
        if self.has(Kind::AwsSecretKey)
            && let Some(range) = token::find_aws_secret(self.text, from)
        {
            push(hits, Hit { kind: Kind::AwsSecretKey, range });
        }
    }

    fn number(&self, start: usize) -> Option<Hit> {
        let (text, floor) = (self.text, self.floor);
        let of = |kind: Kind, find: fn(&[u8], usize, usize) -> Option<Range<usize>>| {
            let range = if self.has(kind) { find(text, start, floor) } else { None };
            range.map(|range| Hit { kind, range })
        };
        of(Kind::Card, card::find)
            .or_else(|| of(Kind::UsSsn, ssn::find))
            .or_else(|| of(Kind::Phone, phone::find_north_american))
    }

    /// The local part stands left of the sign, where a number may have been found already
    /// (`4111111111111111@example.com`): that hit then grows to the whole address.
    fn email(&self, candidate: Range<usize>, hits: &mut Vec<Hit>) -> Option<Hit> {
        let sign = candidate.start..candidate.end - 1;
        let mut range = email::find(self.text, sign, self.password_end)?;
        let overlaps = |last: &mut Hit, with: &Range<usize>| {
            last.range.end > with.start && last.range.start < with.end
        };
        while let Some(last) = hits.pop_if(|last| overlaps(last, &range)) {
            range.start = range.start.min(last.range.start);
            range.end = range.end.max(last.range.end);
        }
        Some(Hit { kind: Kind::Email, range })
    }
}

/// Two words may announce the same secret.
fn push(hits: &mut Vec<Hit>, hit: Hit) {
    if hits.last() != Some(&hit) {
        hits.push(hit);
    }
}

/// Puts hits in order and joins those that overlap.
fn settle(hits: &mut Vec<Hit>) {
    if hits.windows(2).all(|w| matches!(w, [a, b] if a.range.end <= b.range.start)) {
        return;
    }
    hits.sort_by_key(|hit| (hit.range.start, hit.range.end));
    hits.dedup_by(|next, kept| {
        let overlap = next.range.start < kept.range.end;
        if overlap {
            kept.range.end = kept.range.end.max(next.range.end);
        }
        overlap
    });
}

impl Engine {
    fn anchor(&self, pattern: PatternID) -> Option<Anchor> {
        self.anchors.get(pattern.as_usize()).copied()
    }
}

/// What bytes a text has in it, as far as a detector needs them.
struct Traits {
    seen: u8,
    digits: usize,
    length: usize,
}

const AT: u8 = 1;
const ESCAPE: u8 = 1 << 1;
const JOINER: u8 = 1 << 2;
const DOT: u8 = 1 << 3;
const UPPER: u8 = 1 << 4;
const UPPER_A_OR_J: u8 = 1 << 5;
const DIGIT: u8 = 1 << 6;
const PLUS: u8 = 1 << 7;

const TRAITS: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut i = 0;
    while i < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "the loop ends at 255")]
        let traits = match i as u8 {
            b'@' => AT,
            b'\\' | b'%' => ESCAPE,
            b'-' | b'_' => JOINER,
            b'.' => DOT,
            b'+' => PLUS,
            b'0'..=b'9' => DIGIT,
            b'A' | b'J' => UPPER | UPPER_A_OR_J,
            b'A'..=b'Z' => UPPER,
            _ => 0,
        };
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            table[i] = traits;
        }
        i += 1;
    }
    table
};

impl Traits {
    fn of(text: &[u8]) -> Self {
        let (mut seen, mut digits) = (0, 0);
        for b in text {
            let traits = TRAITS.get(usize::from(*b)).copied().unwrap_or_default();
            seen |= traits;
            digits += usize::from(traits & DIGIT != 0);
        }
        Self { seen, digits, length: text.len() }
    }

    /// Each condition names the least that a detector's hit has in it, so that a text with a hit
    /// in it always meets one.
    const fn may_match(&self) -> bool {
        let (seen, digits, length) = (self.seen, self.digits, self.length);
        // An address, a password in a URL.
        seen & AT != 0
            // A card, an SSN or a number with separators; an international number.
            || digits >= 9
            || digits >= 8 && seen & PLUS != 0
            // An address with its sign escaped.
            || digits >= 2 && seen & ESCAPE != 0
            // An IBAN has 15 characters, of which 2 check digits and the bank's number are digits.
            || digits >= 4 && length >= 15
            // A token starts with `eyJ`, a key id or a key with `A`.
            || length >= 20 && seen & UPPER_A_OR_J != 0
            // A key with a prefix, a PEM line.
            || length >= 20 && seen & JOINER != 0
            || length >= 20 && seen & DOT != 0 && seen & UPPER != 0
            || length >= 24 && seen & DOT != 0 && digits > 0
            // A secret key and the word before it.
            || length >= 43 && seen & UPPER != 0 && digits > 0
    }
}

#[cfg(test)]
mod tests;
