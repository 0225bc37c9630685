//! The keys of recipients, in text and in use.

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::rand;
use bech32::{Bech32, Hrp};
use std::fmt;
use std::str::FromStr;
use zeroize::{Zeroize as _, Zeroizing};

/// What a recipient begins with.
const RECIPIENT: Hrp = Hrp::parse_unchecked("age");
/// What an identity begins with, in capitals.
const IDENTITY: Hrp = Hrp::parse_unchecked("age-secret-key-");

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is a secret where a public key belongs.
    #[error(
        "this is a secret key (`AGE-SECRET-KEY-1…`): only the public one, `age1…`, belongs here"
    )]
    Secret,
    /// Another kind of recipient.
    #[error(
        "recipients of this kind cannot be used: an X25519 one has 62 characters and begins `age1`, as `age-keygen` makes it"
    )]
    Kind,
    /// No recipient.
    #[error(
        "`{0}` is no public key of age: it has 62 characters and begins `age1`, as `age-keygen` makes it"
    )]
    Recipient(String),
    /// No identity. The text is a secret, and not repeated.
    #[error("this is no secret key of age: it begins `AGE-SECRET-KEY-1`, as `age-keygen` makes it")]
    Identity,
    /// A file of identities that has none.
    #[error(
        "there is no secret key in it: a line that begins `AGE-SECRET-KEY-1`, as `age-keygen` makes it"
    )]
    None,
}

/// A public key, `age1…`: who can open what is sealed to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Recipient([u8; 32]);

/// A secret key, `AGE-SECRET-KEY-1…`.
pub struct Identity {
    secret: Zeroizing<[u8; 32]>,
    recipient: Recipient,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.recipient.to_string()).finish()
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = bech32::encode::<Bech32>(RECIPIENT, &self.0).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

impl FromStr for Recipient {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
            return Err(KeyError::Secret);
        }
        if ["age1pq1", "age1tag1", "age1tagpq1", "ssh-"].iter().any(|kind| text.starts_with(kind)) {
            return Err(KeyError::Kind);
        }
        let wrong = || KeyError::Recipient(text.to_owned());
        let point = point(text, RECIPIENT).ok_or_else(wrong)?;
        // A point with which no secret can be agreed on would seal to nobody, or to everybody.
        let own = Identity::generate().ok_or_else(wrong)?;
        own.agree(&point).ok_or_else(wrong)?;
        Ok(Self(*point))
    }
}

fn point(text: &str, kind: Hrp) -> Option<Zeroizing<[u8; 32]>> {
    let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32>(text).ok()?;
    if checked.hrp() != kind {
        return None;
    }
    let mut bytes: Vec<u8> = checked.byte_iter().collect();
    let point = bytes.as_slice().try_into().ok().map(Zeroizing::new);
    bytes.zeroize();
    point
}

impl FromStr for Identity {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let secret = point(text, IDENTITY).ok_or(KeyError::Identity)?;
        Self::of(secret).ok_or(KeyError::Identity)
    }
}

impl Identity {
    /// A new one; `None` where there are no random numbers.
    #[must_use]
    pub fn generate() -> Option<Self> {
        let mut secret = Zeroizing::new([0; 32]);
        rand::fill(&mut *secret).ok()?;
        Self::of(secret)
    }

    fn of(secret: Zeroizing<[u8; 32]>) -> Option<Self> {
        let key = PrivateKey::from_private_key(&X25519, &*secret).ok()?;
        let public = key.compute_public_key().ok()?;
        let recipient = Recipient(public.as_ref().try_into().ok()?);
        Some(Self { secret, recipient })
    }

    /// The public key of it.
    #[must_use]
    pub const fn recipient(&self) -> Recipient {
        self.recipient
    }

    /// As `age-keygen` writes it.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let text = bech32::encode_upper::<Bech32>(IDENTITY, &*self.secret).unwrap_or_default();
        Zeroizing::new(text)
    }

    /// What it and a public key have in common.
    pub(crate) fn agree(&self, with: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        let key = PrivateKey::from_private_key(&X25519, &*self.secret).ok()?;
        let with = UnparsedPublicKey::new(&X25519, with);
        agree(&key, with, (), |shared| {
            let shared: [u8; 32] = shared.try_into().map_err(|_| ())?;
            // Points of small order lead here: anybody would know the secret (RFC 7748, section 6.1).
            if shared.iter().fold(0, |all, byte| all | byte) == 0 {
                Err(())
            } else {
                Ok(Zeroizing::new(shared))
            }
        })
        .ok()
    }
}

impl Recipient {
    pub(crate) const fn point(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The identities in the text of a file as `age-keygen` writes it: one a line, with comments.
///
/// # Errors
/// [`KeyError`], where a line is something else, or there is none.
pub fn identities(text: &str) -> Result<Vec<Identity>, KeyError> {
    let lines = text.lines().map(str::trim);
    let keys = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys = keys.map(str::parse).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() { Err(KeyError::None) } else { Ok(keys) }
}
