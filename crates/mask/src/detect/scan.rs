//! One pass over one text: from anchor to anchor, with what each finds around it.

use super::anchor::{Anchor, Anchors};
use super::automaton::State;
use super::kind::{Hit, Kind};
use super::national::{Ask, Told};
use super::text::{before, byte, is_escape_letter, is_word, run, run_within};
use super::{birth, card, email, iban, ip, mrz, national, phone, provider, secret, ssn, token};
use std::ops::Range;

/// One pass over one text.
pub(super) struct Scan<'t> {
    ask: Ask,
    text: &'t [u8],
    hits: Vec<Hit>,
    /// What is a secret by the word before it, and may be something with a name as well.
    weak: Vec<Hit>,
    /// The end of the hit before: nothing left of it is looked at again.
    floor: usize,
    /// The end of the last password: what stands before it is no local part.
    password_end: usize,
    /// The end of the last run of digits that was looked at.
    digits_end: usize,
    memory: token::Memory,
}

impl<'t> Scan<'t> {
    pub(super) fn new(ask: Ask, text: &'t [u8]) -> Self {
        Self {
            ask,
            text,
            hits: Vec::new(),
            weak: Vec::new(),
            floor: 0,
            password_end: 0,
            digits_end: 0,
            memory: token::Memory::default(),
        }
    }

    pub(super) fn run(mut self, anchors: &Anchors) -> Vec<Hit> {
        let (mut at, mut state) = (0, State::START);
        while let Some(rest) = self.text.get(at..) {
            let (next, taken) = anchors.walk(state, rest);
            (at, state) = (at + taken, next);
            if !state.stops() {
                break;
            }
            // No literal starts with a digit.
            if state.is_start()
                && let Some(end) = self.dull_digits(at - 1)
            {
                at = end;
            } else if let Some(hit) = self.look(anchors, state, at - 1) {
                at = at.max(hit.range.end);
                state = State::START;
                if hit.kind == Kind::UrlPassword {
                    self.password_end = at;
                }
                push(&mut self.hits, hit);
                self.floor = at;
                self.digits_end = self.digits_end.min(at);
            } else if state.is_start() {
                at = at.max(self.digits_end);
            }
        }
        settle(&mut self.hits);
        with_weak(self.hits, self.weak)
    }

    const fn has(&self, kind: Kind) -> bool {
        self.ask.kinds & kind.bit() != 0
    }

    /// What stands around the byte at `at`, where the walk stopped.
    #[inline(never)]
    fn look(&mut self, anchors: &Anchors, state: State, at: usize) -> Option<Hit> {
        let found = match byte(self.text, at)? {
            b'0'..=b'9' if at >= self.digits_end => self.digits(at),
            b'@' => self.email(at..at + 1),
            b'+' => self.international(at),
            b'(' => self.bracketed(at),
            b'.' => self.middle(provider::find_discord(self.text, at, self.password_end)),
            b':' => self.ipv6(at),
            _ => None,
        };
        if found.is_some() || state.is_start() {
            return found;
        }
        let mut decided = || {
            anchors.ends(state).find_map(|(literal, anchor)| {
                let start = (at + 1).checked_sub(literal.len())?;
                if start < self.floor { None } else { self.decide(anchor, literal, start..at + 1) }
            })
        };
        decided()
    }

    fn decide(&mut self, anchor: Anchor, literal: &str, at: Range<usize>) -> Option<Hit> {
        let (text, floor, start) = (self.text, self.floor, at.start);
        let in_case = || text.get(at.clone()) == Some(literal.as_bytes());
        let (kind, range) = match anchor {
            Anchor::Scheme => (Kind::UrlPassword, token::find_url_password(text, at, floor)),
            Anchor::Sign => return self.email(at),
            Anchor::Jwt if in_case() => {
                (Kind::Jwt, token::find_jwt(text, start, floor, &mut self.memory))
            }
            Anchor::PrivateKey if in_case() => {
                (Kind::PrivateKey, token::find_private_key(text, at, &mut self.memory))
            }
            Anchor::AwsId if in_case() => return self.aws_id(start),
            Anchor::Provider(n) if in_case() => {
                (Kind::ApiKey, provider::find(text, start, floor, n))
            }
            Anchor::Middle(middle) if in_case() => {
                return self.middle(provider::find_around(text, at, self.password_end, middle));
            }
            Anchor::Hash if in_case() => (Kind::PasswordHash, secret::find_hash(text, at)),
            Anchor::Birth => (Kind::DateOfBirth, birth::find(text, start, at.end)),
            Anchor::Aws => {
                self.aws_secret(at.end);
                return None;
            }
            Anchor::Word => {
                self.word(at);
                return None;
            }
            Anchor::Key => {
                let start = secret::start_of_key(text, start, floor)?;
                self.word(start..at.end);
                return None;
            }
            _ => return None,
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

    /// What has its anchor in its middle.
    fn middle(&mut self, range: Option<Range<usize>>) -> Option<Hit> {
        range.map(|range| self.swallow(Kind::ApiKey, range))
    }

    fn international(&self, at: usize) -> Option<Hit> {
        if !matches!(byte(self.text, at + 1), Some(b'1'..=b'9')) {
            return None;
        }
        let range = phone::find_international(self.text, at, self.floor)?;
        Some(Hit { kind: Kind::Phone, range })
    }

    fn bracketed(&self, at: usize) -> Option<Hit> {
        if !self.has(Kind::Phone) || byte(self.text, at + 4) != Some(b')') {
            return None;
        }
        let range = phone::find_north_american(self.text, at, self.floor)?;
        Some(Hit { kind: Kind::Phone, range })
    }

    /// The end of the run of digits that starts at `start`, where its length and the bytes beside
    /// it are those of no number that is looked for: most runs, told at the least cost.
    #[inline(never)]
    fn dull_digits(&self, start: usize) -> Option<usize> {
        let text = self.text;
        let mut end = start;
        while let Some(b'0'..=b'9') = text.get(end) {
            end += 1;
        }
        let length = end - start;
        let next = byte(text, end).unwrap_or_default();
        let left = before(text, start, self.floor).unwrap_or_default();
        let followed = match length {
            2 => next == b'.',
            1 | 3 | 4 => matches!(next, b' ' | b'.' | b'-' | b'('),
            5 => false,
            0 | 7 => return None,
            8..=10 if next == b':' => return None,
            _ => true,
        };
        if !followed && !left.is_ascii_alphabetic() {
            return Some(end);
        }
        let second = if start > 1 { before(text, start - 1, self.floor) } else { None };
        let second = second.unwrap_or_default();
        let dull = match left {
            b'_' => true,
            b'.' if second.is_ascii_digit() => true,
            // An account number; the letter of an escape.
            _ if left.is_ascii_alphabetic() => {
                second != b'\\' && !(second.is_ascii_alphabetic() && length > 1)
            }
            b'0'..=b'9' => false,
            _ if length <= 3 && next == b'.' && self.has(Kind::IpAddress) => false,
            _ => !may_be_number(text, start, length),
        };
        dull.then_some(end)
    }

    /// What has to do with the run of digits that starts at `start`.
    fn digits(&mut self, start: usize) -> Option<Hit> {
        let length = run(self.text, start, |b| b.is_ascii_digit());
        self.digits_end = start + length;
        let left = before(self.text, start, self.floor);
        if let Some(left) = left.filter(|b| b.is_ascii_alphabetic() || *b == b'-')
            && let Some(hit) = self.lettered(start, length, left)
        {
            return Some(hit);
        }
        if length == 7 && self.has(Kind::Mrz) {
            let lines = mrz::find(self.text, start, self.password_end);
            if let Some(range) = lines {
                return Some(self.swallow(Kind::Mrz, range));
            }
        }
        // All others stand free of what is before them; but for a bot's number, behind `_`.
        let joined = left.is_some_and(is_word)
            && !is_escape_letter(self.text, start.saturating_sub(1), self.floor);
        if matches!(length, 8..=10) && (!joined || left == Some(b'_')) && self.has(Kind::ApiKey) {
            let range = provider::find_telegram(self.text, start, length, self.floor);
            if let Some(range) = range {
                return Some(Hit { kind: Kind::ApiKey, range });
            }
        }
        if joined { None } else { self.free_digits(start, length) }
    }

    /// What starts with letters before its digits.
    fn lettered(&self, start: usize, length: usize, left: u8) -> Option<Hit> {
        let (text, floor) = (self.text, self.floor);
        if length == 7 && self.has(Kind::EsDni) {
            let range = national::find_nie(text, start, floor);
            if let Some(range) = range {
                return Some(Hit { kind: Kind::EsDni, range });
            }
        }
        if !left.is_ascii_alphabetic() || length < 2 || start < floor + 2 {
            return None;
        }
        let letter = |at: Option<usize>| {
            at.and_then(|at| byte(text, at)).is_some_and(|b| b.is_ascii_alphabetic())
        };
        if !letter(Some(start - 2)) {
            return None;
        }
        if length == 2
            && letter(start.checked_sub(6))
            && letter(Some(start + 2))
            && self.has(Kind::ItCf)
        {
            let range = national::find_cf(text, start, floor);
            if let Some(range) = range {
                return Some(Hit { kind: Kind::ItCf, range });
            }
        }
        let range = if self.has(Kind::Iban) { iban::find(text, start - 2, floor) } else { None };
        range.map(|range| Hit { kind: Kind::Iban, range })
    }

    fn free_digits(&self, start: usize, length: usize) -> Option<Hit> {
        let text = self.text;
        if length <= 3 && self.has(Kind::IpAddress) && byte(text, start + length) == Some(b'.') {
            let range = ip::find_v4(text, start, self.floor);
            if let Some(range) = range {
                return Some(Hit { kind: Kind::IpAddress, range });
            }
        }
        if may_be_number(text, start, length) { self.number(start, length) } else { None }
    }

    fn number(&self, start: usize, length: usize) -> Option<Hit> {
        let (text, floor) = (self.text, self.floor);
        let of = |kind: Kind, fits: bool, find: fn(&[u8], usize, usize) -> Option<Range<usize>>| {
            let range = if fits && self.has(kind) { find(text, start, floor) } else { None };
            range.map(|range| Hit { kind, range })
        };
        // Cards of thirteen digits are long gone: a word that says otherwise counts first.
        let told = self.ask.told != Told::Nothing || length == 13;
        let national = || national::find(text, start, length, floor, self.ask);
        if told && let Some(hit) = national() {
            return Some(hit);
        }
        of(Kind::Card, matches!(length, 4 | 6 | 13..), card::find)
            .or_else(|| self.ssn(start, length))
            .or_else(national)
            .or_else(|| of(Kind::Phone, matches!(length, 1 | 3), phone::find_north_american))
    }

    fn ssn(&self, start: usize, length: usize) -> Option<Hit> {
        if !matches!(length, 3 | 9) || !self.has(Kind::UsSsn) {
            return None;
        }
        let told = matches!(self.ask.told, Told::National | Told::Kind(Kind::UsSsn));
        let range = ssn::find(self.text, start, self.floor, told)?;
        Some(Hit { kind: Kind::UsSsn, range })
    }

    fn ipv6(&mut self, colon: usize) -> Option<Hit> {
        let start = ip::start_of_v6(self.text, colon, self.floor);
        let range = ip::find_v6(self.text, start, self.floor)?;
        Some(self.swallow(Kind::IpAddress, range))
    }

    /// The local part stands left of the sign, where a number may have been found already
    /// (`4111111111111111@example.com`): that hit then grows to the whole address.
    fn email(&mut self, sign: Range<usize>) -> Option<Hit> {
        byte(self.text, sign.end).filter(|b| b.is_ascii_alphanumeric() || *b >= 0x80)?;
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

/// True where a run of digits is as long, and is followed by what, as numbers are that some
/// detector knows: one of nine and more digits, or groups.
fn may_be_number(text: &[u8], start: usize, length: usize) -> bool {
    let end = start + length;
    let next = byte(text, end).unwrap_or_default();
    // The next group, and what stands behind it.
    let group = || {
        let group = run_within(text, end + 1, 5, |b| b.is_ascii_digit());
        (group, byte(text, end + 1 + group).unwrap_or_default())
    };
    let separates = |b: u8| matches!(b, b' ' | b'.' | b'-');
    match length {
        // A trunk prefix; France's number with spaces.
        1 if byte(text, start) == Some(b'1') && next == b'(' => true,
        1 if separates(next) && matches!(byte(text, start), Some(b'1' | b'2')) => {
            byte(text, end + 1) == Some(b'(')
                || matches!(group(), (2 | 3, behind) if separates(behind))
        }
        2 => next == b'.' && matches!(group(), (2 | 3, b'.')),
        3 => separates(next) && matches!(group(), (2 | 3, behind) if separates(behind)),
        4 => match next {
            b' ' | b'-' => matches!(group(), (4, b' ' | b'-') | (5.., _)),
            b'.' => matches!(group(), (2, b'.')),
            _ => false,
        },
        6 => match next {
            b'A'..=b'F' | b'U'..=b'Y' => true,
            b' ' => matches!(group(), (4, b' ') | (5.., _)),
            b'-' | b'+' => group().0 >= 3,
            _ => false,
        },
        8 => match next {
            b'A'..=b'Z' => true,
            b'-' => byte(text, end + 1).is_some_and(|b| b.is_ascii_uppercase()) || group().0 == 4,
            b'+' => group().0 == 4,
            _ => false,
        },
        _ => length >= 9,
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
