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

mod birth;
mod card;
mod email;
mod iban;
mod ip;
mod kind;
mod label;
mod mrz;
mod national;
mod phone;
mod provider;
mod secret;
mod ssn;
mod text;
mod token;
mod traits;

pub(crate) use card::is_whole as is_card;
pub use kind::{Hit, Kind, UnknownDetector, has_placeholder};
pub use label::label_of;

use national::{Ask, Told};
use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use regex_automata::{Input, PatternID};
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// What a pattern leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anchor {
    Scheme,
    AtSign,
    Iban,
    Plus,
    Mrz,
    Telegram,
    Number,
    Lettered,
    Birth,
    Jwt,
    PrivateKey,
    AwsId,
    AwsWord,
    Provider,
    Middle,
    Word,
    Hash,
    Ipv4,
    Ipv6,
}

impl Anchor {
    /// Where two start at the same place, the first counts.
    const ALL: [Self; 19] = [
        Self::Scheme,
        Self::AtSign,
        Self::Plus,
        Self::Mrz,
        Self::Telegram,
        Self::Middle,
        Self::Ipv4,
        Self::Ipv6,
        Self::Lettered,
        Self::Number,
        Self::Provider,
        Self::AwsId,
        Self::Iban,
        Self::Birth,
        Self::Jwt,
        Self::PrivateKey,
        Self::AwsWord,
        Self::Word,
        Self::Hash,
    ];

    /// The pattern that finds candidates. Each is bounded, so that going on right behind the
    /// start of one that fails keeps the whole linear.
    fn pattern(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Scheme => r"[A-Za-z0-9]:(?:\\?/){2}",
            Self::AtSign => r"(?:@|%40|\\u0040)[A-Za-z0-9\x80-\xff]",
            Self::Iban => r"[A-Za-z]{2}[0-9]{2}[ \-]?[A-Za-z0-9]{4}[ \-]?[A-Za-z0-9]{3}",
            Self::Plus => r"\+[1-9]",
            Self::Mrz => r"[0-9]{7}[MFX<][0-9]{7}",
            Self::Telegram => r"[0-9]{8,10}:AA[A-Za-z0-9_\-]{4}",
            Self::Number => NUMBER,
            Self::Lettered => concat!(
                r"[XYZ]-?[0-9]{7}-?[A-Z]",
                // The six letters before it would keep the automaton busy in any text.
                r"|[0-9]{2}[A-EHLMPR-Ta-ehlmpr-t][0-9]{2}[A-Za-z][0-9]{3}[A-Za-z]",
            ),
            Self::Birth => r"(?i:birth|dob|geburt)",
            Self::Jwt => r"eyJ[A-Za-z0-9_\-]{8}",
            Self::PrivateKey => r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----",
            Self::AwsId => r"A(?:KIA|SIA|BIA|CCA)[A-Z2-7]{16}",
            Self::AwsWord => r"(?i:aws)",
            Self::Provider => return Cow::Owned(provider::prefixes()),
            Self::Middle => provider::MIDDLES,
            Self::Word => secret::WORDS,
            Self::Hash => secret::HASHES,
            Self::Ipv4 => r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}",
            Self::Ipv6 => r"[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:",
        })
    }

    fn kinds(self) -> u64 {
        let all = |kinds: &[Kind]| kinds.iter().fold(0, |bits, kind| bits | kind.bit());
        match self {
            Self::Scheme => Kind::UrlPassword.bit(),
            Self::AtSign => Kind::Email.bit(),
            Self::Iban => Kind::Iban.bit(),
            Self::Plus => Kind::Phone.bit(),
            Self::Mrz => Kind::Mrz.bit(),
            Self::Number => all(Kind::NATIONAL) | all(&[Kind::Card, Kind::Phone]),
            Self::Lettered => all(&[Kind::EsDni, Kind::ItCf]),
            Self::Birth => Kind::DateOfBirth.bit(),
            Self::Jwt => Kind::Jwt.bit(),
            Self::PrivateKey => Kind::PrivateKey.bit(),
            // A secret key stands behind its id as often as behind a word.
            Self::AwsId => all(&[Kind::AwsAccessKey, Kind::AwsSecretKey]),
            Self::AwsWord => Kind::AwsSecretKey.bit(),
            Self::Provider | Self::Middle | Self::Telegram => Kind::ApiKey.bit(),
            Self::Word => all(&[Kind::Secret, Kind::ConnectionPassword, Kind::AwsSecretKey]),
            Self::Hash => Kind::PasswordHash.bit(),
            Self::Ipv4 | Self::Ipv6 => Kind::IpAddress.bit(),
        }
    }
}

/// Nine digits and more, and numbers in groups: cards, US, North American telephones; Spain,
/// Belgium, Brazil, India, the Netherlands, France, Sweden, Finland, South Africa.
const NUMBER: &str = concat!(
    r"[0-9]{9}|[0-9]{4}[ \-](?:[0-9]{4}[ \-][0-9]{4}|[0-9]{6}[ \-][0-9]{4})",
    r"|[0-9]{6}[ \-][0-9]{13}|[0-9]{3}[ \-][0-9]{2}[ \-][0-9]{4}",
    r"|(?:1[ .\-]?)?(?:\([0-9]{3}\)[ .\-]?|[0-9]{3}[ .\-])[0-9]{3}[ .\-][0-9]{4}",
    r"|[0-9]{8}-?[A-Z]|[0-9]{2}\.[0-9]{3}\.[0-9]{3}-?[A-Z]|[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}",
    r"|[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}|[0-9]{4}\.[0-9]{2}\.[0-9]{3}|[0-9]{3} [0-9]{3} [0-9]{3}",
    r"|[12] [0-9]{2} [0-9]{2} [0-9][0-9AB] [0-9]{3}|[12][0-9]{4}2[AB][0-9]{8}",
    r"|(?:[0-9]{2})?[0-9]{6}[\-+][0-9]{4}|[0-9]{6}[+\-A-FU-Y][0-9]{3}[0-9A-Y]",
    r"|[0-9]{6} [0-9]{4} [0-9]{3}",
);

/// A set of detectors, ready to run. Shared by all sessions; no lock is held while it works.
pub struct Detectors {
    kinds: u64,
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

    /// Those that are on where nothing is configured.
    #[must_use]
    pub fn standard() -> Self {
        Self::of(&Kind::chosen("default"))
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

    /// The detectors of these names, and of the groups of these names.
    ///
    /// # Errors
    /// [`UnknownDetector`] for the first name that none has.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownDetector> {
        let mut kinds = Vec::new();
        for name in names {
            let chosen = Kind::chosen(name);
            if chosen.is_empty() {
                return Err(UnknownDetector { name: name.to_owned() });
            }
            kinds.extend(chosen);
        }
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
        self.kinds != 0 && traits::Traits::of(text).may_match(self.kinds)
    }

    /// Everything that is found in `text`, leftmost first, none overlapping another. Allocates
    /// only where something is found.
    #[must_use]
    pub fn scan(&self, text: &[u8]) -> Vec<Hit> {
        self.scan_told(text, Told::Nothing)
    }

    /// As [`Self::scan`], for a text of a column that is known to hold something.
    pub(crate) fn scan_told(&self, text: &[u8], told: Told) -> Vec<Hit> {
        match &self.engine {
            Some(engine) if self.may_match(text) => {
                Scan::new(Ask { kinds: self.kinds, told }, text).run(engine)
            }
            _ => Vec::new(),
        }
    }

    /// Appends `text` to `out` with a placeholder for each hit, and says true; or appends nothing
    /// and says false where nothing is found. What was written has no hit in it any more.
    pub fn redact(&self, text: &[u8], out: &mut Vec<u8>) -> bool {
        self.rewrite(text, out, write_placeholders)
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
fn compile(patterns: &[Cow<'_, str>]) -> Regex {
    Regex::builder()
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .configure(
            Regex::config()
                .utf8_empty(false)
                .nfa_size_limit(Some(4 << 20))
                .hybrid_cache_capacity(2 << 20),
        )
        .build_many(patterns)
        .expect("constant patterns compile")
}

fn write_placeholders(text: &[u8], hits: &[Hit], out: &mut Vec<u8>) {
    let mut at = 0;
    for hit in hits {
        out.extend_from_slice(text.get(at..hit.range.start).unwrap_or_default());
        out.extend_from_slice(hit.kind.placeholder().as_bytes());
        at = hit.range.end;
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
}

/// One pass over one text.
struct Scan<'t> {
    ask: Ask,
    text: &'t [u8],
    hits: Vec<Hit>,
    /// What is a secret by the word before it, and may be something with a name as well.
    weak: Vec<Hit>,
    /// The end of the hit before: nothing left of it is looked at again.
    floor: usize,
    /// The end of the last password: what stands before it is no local part.
    password_end: usize,
    memory: token::Memory,
}

impl<'t> Scan<'t> {
    fn new(ask: Ask, text: &'t [u8]) -> Self {
        Self {
            ask,
            text,
            hits: Vec::new(),
            weak: Vec::new(),
            floor: 0,
            password_end: 0,
            memory: token::Memory::default(),
        }
    }

    fn run(mut self, engine: &Engine) -> Vec<Hit> {
        let mut at = 0;
        while at < self.text.len() {
            let Some(found) = engine.regex.search(&Input::new(self.text).range(at..)) else {
                break;
            };
            let candidate = found.range();
            at = match self.decide(engine.anchor(found.pattern()), candidate.clone()) {
                Some(hit) => {
                    let end = hit.range.end.max(candidate.start + 1);
                    if hit.kind == Kind::UrlPassword {
                        self.password_end = end;
                    }
                    push(&mut self.hits, hit);
                    self.floor = end;
                    end
                }
                None => self.after_miss(candidate.start),
            };
        }
        settle(&mut self.hits);
        with_weak(self.hits, self.weak)
    }

    /// Nothing starts inside a run of digits: the search goes on behind it.
    fn after_miss(&self, start: usize) -> usize {
        start + text::run(self.text, start, |b| b.is_ascii_digit()).max(1)
    }

    const fn has(&self, kind: Kind) -> bool {
        self.ask.kinds & kind.bit() != 0
    }

    fn decide(&mut self, anchor: Option<Anchor>, candidate: Range<usize>) -> Option<Hit> {
        let (text, floor, start) = (self.text, self.floor, candidate.start);
        let (kind, range) = match anchor? {
            Anchor::Scheme => {
                (Kind::UrlPassword, token::find_url_password(text, start + 1..candidate.end, floor))
            }
            Anchor::AtSign => return self.email(candidate),
            Anchor::Iban => (Kind::Iban, iban::find(text, start, floor)),
            Anchor::Plus => (Kind::Phone, phone::find_international(text, start, floor)),
            Anchor::Mrz => match mrz::find(text, start, self.password_end) {
                Some(range) => return Some(self.swallow(Kind::Mrz, range)),
                None => return self.number(start),
            },
            Anchor::Telegram => match provider::find_telegram(text, start, floor) {
                None => return self.number(start),
                range => (Kind::ApiKey, range),
            },
            Anchor::Number => return self.number(start),
            Anchor::Lettered => return national::find_lettered(text, start, floor, self.ask),
            Anchor::Birth => (Kind::DateOfBirth, birth::find(text, start, candidate.end)),
            Anchor::Jwt => (Kind::Jwt, token::find_jwt(text, start, floor, &mut self.memory)),
            Anchor::PrivateKey => (
                Kind::PrivateKey,
                token::find_private_key(text, start, candidate.end, &mut self.memory),
            ),
            Anchor::AwsId => return self.aws_id(start),
            Anchor::AwsWord => {
                self.aws_secret(candidate.end);
                return None;
            }
            Anchor::Provider => (Kind::ApiKey, provider::find(text, start, floor)),
            Anchor::Middle => {
                let range = provider::find_around(text, candidate, self.password_end)?;
                return Some(self.swallow(Kind::ApiKey, range));
            }
            Anchor::Word => {
                self.word(candidate);
                return None;
            }
            Anchor::Hash => (Kind::PasswordHash, secret::find_hash(text, start)),
            Anchor::Ipv4 => match ip::find_v4(text, start, floor) {
                None => return self.number(start),
                range => (Kind::IpAddress, range),
            },
            Anchor::Ipv6 => (Kind::IpAddress, ip::find_v6(text, start, floor)),
        };
        range.filter(|_| self.has(kind)).map(|range| Hit { kind, range })
    }

    fn aws_id(&mut self, start: usize) -> Option<Hit> {
        let id = token::find_aws_id(self.text, start, self.floor)?;
        self.aws_secret(id.end);
        self.has(Kind::AwsAccessKey).then_some(Hit { kind: Kind::AwsAccessKey, range: id })
    }

    /// The secret stands somewhere behind the word that announces it, and other hits may stand
    /// between: it is noted, and the search goes on where it was.
    fn aws_secret(&mut self, from: usize) {
        if self.has(Kind::AwsSecretKey)
            && let Some(range) = token::find_aws_secret(self.text, from)
        {
            push(&mut self.hits, Hit { kind: Kind::AwsSecretKey, range });
        }
    }

    /// What a word announces is noted too: it may turn out to be a key of a known provider.
    fn word(&mut self, word: Range<usize>) {
        let secret = b"secret";
        if self.text.get(word.clone()).is_some_and(|w| w.eq_ignore_ascii_case(secret)) {
            self.aws_secret(word.end);
        }
        let Some(found) = secret::find(self.text, word) else { return };
        let kind = match found {
            secret::Labelled { connection: true, .. } if self.has(Kind::ConnectionPassword) => {
                Kind::ConnectionPassword
            }
            secret::Labelled { random: true, .. } if self.has(Kind::Secret) => Kind::Secret,
            _ => return,
        };
        push(&mut self.weak, Hit { kind, range: found.value });
    }

    fn number(&self, start: usize) -> Option<Hit> {
        let (text, floor) = (self.text, self.floor);
        let of = |kind: Kind, find: fn(&[u8], usize, usize) -> Option<Range<usize>>| {
            let range = if self.has(kind) { find(text, start, floor) } else { None };
            range.map(|range| Hit { kind, range })
        };
        // Identifiers carry more structure than a card, or a word says what they are.
        national::find(text, start, floor, self.ask)
            .or_else(|| of(Kind::Card, card::find))
            .or_else(|| self.ssn(start))
            .or_else(|| of(Kind::Phone, phone::find_north_american))
    }

    fn ssn(&self, start: usize) -> Option<Hit> {
        let told = matches!(self.ask.told, Told::National | Told::Kind(Kind::UsSsn));
        let range = if self.has(Kind::UsSsn) {
            ssn::find(self.text, start, self.floor, told)
        } else {
            None
        };
        range.map(|range| Hit { kind: Kind::UsSsn, range })
    }

    /// The local part stands left of the sign, where a number may have been found already
    /// (`4111111111111111@example.com`): that hit then grows to the whole address.
    fn email(&mut self, candidate: Range<usize>) -> Option<Hit> {
        let sign = candidate.start..candidate.end - 1;
        let range = email::find(self.text, sign, self.password_end)?;
        Some(self.swallow(Kind::Email, range))
    }

    /// A hit that starts left of its candidate takes those with it that it overlaps.
    fn swallow(&mut self, kind: Kind, mut range: Range<usize>) -> Hit {
        let overlaps = |last: &mut Hit, with: &Range<usize>| {
            last.range.end > with.start && last.range.start < with.end
        };
        while let Some(last) = self.hits.pop_if(|last| overlaps(last, &range)) {
            range.start = range.start.min(last.range.start);
            range.end = range.end.max(last.range.end);
        }
        Hit { kind, range }
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

/// Adds what is a secret by its word alone. What has a name of its own keeps it where it is all of
/// the secret; where it is a part, the whole goes as a secret.
fn with_weak(mut hits: Vec<Hit>, mut weak: Vec<Hit>) -> Vec<Hit> {
    if weak.is_empty() {
        return hits;
    }
    settle(&mut weak);
    let strong = hits.len();
    for hit in weak {
        // Hits are in order and apart: those that overlap stand together.
        let known = hits.get(..strong).unwrap_or_default();
        let from = known.partition_point(|known| known.range.end <= hit.range.start);
        let within = |known: &&Hit| known.range.start < hit.range.end;
        let mut overlapping = known.iter().skip(from).take_while(within);
        let covered = overlapping
            .any(|known| known.range.start <= hit.range.start && known.range.end >= hit.range.end);
        if !covered {
            hits.push(hit);
        }
    }
    if hits.len() > strong {
        hits.sort_by_key(|hit| (hit.range.start, std::cmp::Reverse(hit.range.end)));
        settle(&mut hits);
    }
    hits
}

impl Engine {
    fn anchor(&self, pattern: PatternID) -> Option<Anchor> {
        self.anchors.get(pattern.as_usize()).copied()
    }
}

#[cfg(test)]
mod tests;
