//! What the walk over a text stops at: literals that a detector's finds have in them, and single
//! bytes. Each leads to code that looks around it, no further than a bounded reach.

use super::automaton::{Automaton, State};
use super::kind::Kind;
use super::{provider, secret};

/// What a literal leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    /// `://`, also with the slashes escaped.
    Scheme,
    /// An at sign, escaped.
    Sign,
    /// `eyJ`.
    Jwt,
    /// `-----BEGIN `.
    PrivateKey,
    /// The four letters of an AWS key id.
    AwsId,
    /// A word with an AWS secret key behind it.
    Aws,
    /// The prefix of a key, by its place in the list.
    Provider(usize),
    /// What is in the middle of a key.
    Middle(provider::Middle),
    /// A word with a secret behind it.
    Word,
    /// `key`, which takes another word before it.
    Key,
    /// A word with a date behind it.
    Birth,
    /// The beginning of a stored password.
    Hash,
}

impl Anchor {
    /// The kinds it may lead to, as bits.
    const fn kinds(self) -> u64 {
        match self {
            Self::Scheme => Kind::UrlPassword.bit(),
            Self::Sign => Kind::Email.bit(),
            Self::Jwt => Kind::Jwt.bit(),
            Self::PrivateKey => Kind::PrivateKey.bit(),
            // A secret key stands behind its id as often as behind a word.
            Self::AwsId => Kind::AwsAccessKey.bit() | Kind::AwsSecretKey.bit(),
            Self::Aws => Kind::AwsSecretKey.bit(),
            Self::Provider(_) | Self::Middle(_) => Kind::ApiKey.bit(),
            Self::Word => {
                Kind::Secret.bit() | Kind::ConnectionPassword.bit() | Kind::AwsSecretKey.bit()
            }
            Self::Key => Kind::Secret.bit() | Kind::ConnectionPassword.bit(),
            Self::Birth => Kind::DateOfBirth.bit(),
            Self::Hash => Kind::PasswordHash.bit(),
        }
    }
}

/// Literals other than those that [`provider`] and [`secret`] list.
const LITERALS: &[(Anchor, &[&str])] = &[
    (Anchor::Scheme, &["://", ":\\/\\/", ":\\//", ":/\\/"]),
    (Anchor::Sign, &["%40", "\\u0040"]),
    (Anchor::Jwt, &["eyJ"]),
    (Anchor::PrivateKey, &["-----BEGIN "]),
    (Anchor::AwsId, &["AKIA", "ASIA", "ABIA", "ACCA"]),
    (Anchor::Aws, &["aws"]),
    (Anchor::Key, &["key"]),
    (Anchor::Birth, &["birth", "dob", "geburt"]),
];

/// Single bytes, and the kinds they may lead to.
const BYTES: &[(u8, &[Kind])] = &[
    (b'@', &[Kind::Email]),
    (b'+', &[Kind::Phone]),
    (b'(', &[Kind::Phone]),
    (b'.', &[Kind::ApiKey]),
    (b':', &[Kind::IpAddress]),
];

/// What digits may lead to.
fn is_of_digits(kind: Kind) -> bool {
    Kind::NATIONAL.contains(&kind)
        || matches!(
            kind,
            Kind::Card | Kind::Iban | Kind::Phone | Kind::Mrz | Kind::ApiKey | Kind::IpAddress
        )
}

/// A literal as it is written, and what it leads to.
type Entry = (&'static str, Anchor);

/// The automaton of a set of detectors, and what its literals mean.
pub(super) struct Anchors {
    automaton: Automaton,
    literals: Vec<Entry>,
}

impl Anchors {
    pub(super) fn of(kinds: u64) -> Self {
        let fixed = LITERALS.iter().flat_map(|(anchor, all)| all.iter().map(|l| (*l, *anchor)));
        let hashes = secret::HASHES.iter().map(|literal| (*literal, Anchor::Hash));
        let words = secret::WORDS.iter().map(|word| (*word, Anchor::Word));
        let keys = provider::prefixes().map(|(n, prefix)| (prefix, Anchor::Provider(n)));
        let middles = provider::MIDDLES.iter().map(|(l, middle)| (*l, Anchor::Middle(*middle)));
        let all = fixed.chain(hashes).chain(words).chain(keys).chain(middles);
        let literals: Vec<Entry> = all.filter(|(_, anchor)| anchor.kinds() & kinds != 0).collect();
        let on = |of: &Kind| of.bit() & kinds != 0;
        let mut bytes: Vec<u8> =
            BYTES.iter().filter(|(_, of)| of.iter().any(on)).map(|(b, _)| *b).collect();
        if Kind::ALL.iter().any(|kind| on(kind) && is_of_digits(*kind)) {
            bytes.extend(b'0'..=b'9');
        }
        let lower: Vec<_> = literals.iter().map(|(l, _)| l.to_ascii_lowercase()).collect();
        let lower: Vec<_> = lower.iter().map(String::as_bytes).collect();
        Self { automaton: Automaton::new(&lower, &bytes), literals }
    }

    pub(super) fn walk(&self, state: State, text: &[u8]) -> (State, usize) {
        self.automaton.walk(state, text)
    }

    /// The literals that end in this state, the longest first.
    pub(super) fn ends(&self, state: State) -> impl Iterator<Item = Entry> {
        let numbers = self.automaton.ends(state).iter();
        numbers.filter_map(|number| self.literals.get(usize::from(*number)).copied())
    }
}
