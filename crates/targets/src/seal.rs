//! Sealed secrets: what the store keeps of a credential, and how it is opened.
//!
//! Every value is encrypted under a data key of its own, which is used once; the data key is
//! encrypted ("wrapped") under the master key, under two of them while the master key is changed.
//! Both are ChaCha20-Poly1305 (RFC 8439). A data key encrypts one value, so its nonce says nothing;
//! wraps have random ones, of which a master key may make 2³² (NIST SP 800-38D §8.3 has the sum
//! for nonces of 96 bits) where a busy gateway makes a few each year.
//!
//! *Architecture invariant:* name, connection and purpose are part of what is authenticated, so a
//! sealed value that is put under another name, or asked for by another connection, does not open.

use crate::reference::SecretName;
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use zeroize::Zeroizing;

/// The first byte of every sealed value: how it is made.
const FORMAT: u8 = 1;
/// Bytes of a key.
const KEY: usize = 32;
/// What the names of master keys are made for.
const NAMING: &[u8] = b"portcullis master key, its id";

/// A secret as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Its name.
    pub name: SecretName,
    /// The only connection that may use it.
    pub connection: String,
    /// What it is for.
    pub purpose: String,
    /// The encrypted value.
    pub value: Vec<u8>,
    /// Its data key, wrapped: once for every master key that opens it.
    pub wraps: Vec<Wrap>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, connection, wraps, .. } = self;
        write!(f, "Sealed({name} of {connection}, {} wraps)", wraps.len())
    }
}

/// A data key, wrapped.
#[derive(Clone, PartialEq, Eq)]
pub struct Wrap {
    /// The id of the master key that opens it.
    pub master: String,
    /// The encrypted data key.
    pub key: Vec<u8>,
}

/// A sealed secret that does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It was sealed under other master keys.
    #[error(
        "the sealed secret `{name}` needs the master key {needed}, and the one at hand is {have}: \
         give the gateway the right key ([secrets.master_key]), or set the secret again with \
         `portcullis secret set {name}`"
    )]
    OtherKey {
        /// Its name.
        name: SecretName,
        /// The ids of the keys that open it.
        needed: String,
        /// The id of the key at hand.
        have: String,
    },
    /// It is not what was sealed, or not where.
    #[error(
        "the sealed secret `{name}` is not what was sealed under this name for this connection: it \
         was changed or moved in the store; set it again with `portcullis secret set {name}`"
    )]
    Changed {
        /// Its name.
        name: SecretName,
    },
    /// It belongs to another connection.
    #[error(
        "the sealed secret `{name}` belongs to connection `{bound}`: give `{asks}` one of its own \
         with `portcullis secret set NAME --connection {asks}`"
    )]
    OtherConnection {
        /// Its name.
        name: SecretName,
        /// The connection it belongs to.
        bound: String,
        /// The connection that asks for it.
        asks: String,
    },
    /// The operating system gives no random numbers, or the library does not encrypt.
    #[error("the secret cannot be sealed: no random numbers can be had")]
    Randomness,
}

/// The key that opens all others.
pub struct MasterKey {
    id: String,
    key: Zeroizing<[u8; KEY]>,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

impl MasterKey {
    fn new(key: Zeroizing<[u8; KEY]>) -> Self {
        let naming = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()), NAMING);
        let id: String = naming.as_ref().iter().take(8).map(|b| format!("{b:02x}")).collect();
        Self { id: format!("mk_{id}"), key }
    }

    /// A new one.
    ///
    /// # Errors
    /// [`SealError::Randomness`].
    pub fn generate() -> Result<Self, SealError> {
        Ok(Self::new(random()?))
    }

    /// Reads one: 32 bytes in base64, as [`MasterKey::to_text`] and `openssl rand -base64 32` give
    /// them. `None` where it is something else.
    #[must_use]
    pub fn from_text(text: &[u8]) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim_ascii()).ok()?);
        let mut key = Zeroizing::new([0u8; KEY]);
        if bytes.len() != KEY {
            return None;
        }
        key.copy_from_slice(&bytes);
        Some(Self::new(key))
    }

    /// The key itself, as it is kept in a file.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let text = Zeroizing::new(STANDARD.encode(self.key.as_slice()));
        Zeroizing::new(format!("{}\n", *text))
    }

    /// Its name, which tells nothing of it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals a value under a name, for one connection and purpose.
    ///
    /// # Errors
    /// [`SealError::Randomness`].
    pub(crate) fn seal(
        &self,
        name: &SecretName,
        connection: &str,
        purpose: &str,
        value: &[u8],
    ) -> Result<Sealed, SealError> {
        let data: Zeroizing<[u8; KEY]> = random()?;
        let about = about(name, connection, purpose);
        let mut kept = vec![FORMAT];
        kept.extend(encrypt(&data, &about, value)?);
        let wrap = self.wrap(&data, &about)?;
        let (connection, purpose) = (connection.to_owned(), purpose.to_owned());
        Ok(Sealed { name: name.clone(), connection, purpose, value: kept, wraps: vec![wrap] })
    }

    /// The same data key under another master key as well.
    ///
    /// # Errors
    /// [`SealError`]: this key does not open it.
    pub fn rewrap(&self, sealed: &Sealed, other: &Self) -> Result<Wrap, SealError> {
        let data = self.data_key(sealed)?;
        other.wrap(&data, &about(&sealed.name, &sealed.connection, &sealed.purpose))
    }

    /// Whether this key opens a secret.
    ///
    /// # Errors
    /// [`SealError`]: it does not.
    pub fn check(&self, sealed: &Sealed) -> Result<(), SealError> {
        self.open(sealed).map(drop)
    }

    pub(crate) fn open(&self, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let data = self.data_key(sealed)?;
        let about = about(&sealed.name, &sealed.connection, &sealed.purpose);
        let changed = || SealError::Changed { name: sealed.name.clone() };
        match sealed.value.split_first() {
            Some((&FORMAT, kept)) => decrypt(&data, &about, kept).ok_or_else(changed),
            _ => Err(changed()),
        }
    }

    fn data_key(&self, sealed: &Sealed) -> Result<Zeroizing<[u8; KEY]>, SealError> {
        let name = &sealed.name;
        let Some(wrap) = sealed.wraps.iter().find(|wrap| wrap.master == self.id) else {
            let needed: Vec<&str> = sealed.wraps.iter().map(|wrap| wrap.master.as_str()).collect();
            let (needed, have) = (needed.join(" or "), self.id.clone());
            return Err(SealError::OtherKey { name: name.clone(), needed, have });
        };
        let about = about(name, &sealed.connection, &sealed.purpose);
        let bytes = decrypt(&self.key, &self.around(&about), &wrap.key)
            .filter(|bytes| bytes.len() == KEY)
            .ok_or_else(|| SealError::Changed { name: name.clone() })?;
        let mut data = Zeroizing::new([0u8; KEY]);
        data.copy_from_slice(&bytes);
        Ok(data)
    }

    fn wrap(&self, data: &[u8; KEY], about: &[u8]) -> Result<Wrap, SealError> {
        let key = encrypt(&self.key, &self.around(about), data)?;
        Ok(Wrap { master: self.id.clone(), key })
    }

    /// What a wrap is bound to: that it is one, under which key, and the secret.
    fn around(&self, about: &[u8]) -> Vec<u8> {
        framed(&[b"portcullis wrapped key v1", self.id.as_bytes(), about])
    }
}

/// What a value is bound to.
fn about(name: &SecretName, connection: &str, purpose: &str) -> Vec<u8> {
    let name = name.as_str().as_bytes();
    framed(&[b"portcullis sealed value v1", name, connection.as_bytes(), purpose.as_bytes()])
}

/// The parts one after the other, each behind its length, so that no two lists are alike.
fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let mut all = Vec::new();
    for part in parts {
        all.extend((part.len() as u64).to_be_bytes());
        all.extend(*part);
    }
    all
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, SealError> {
    let mut bytes = Zeroizing::new([0u8; N]);
    rand::fill(bytes.as_mut_slice()).map_err(|_| SealError::Randomness)?;
    Ok(bytes)
}

fn cipher(key: &[u8; KEY]) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, key).ok().map(LessSafeKey::new)
}

/// The nonce, the encrypted text and its tag, one after the other.
fn encrypt(key: &[u8; KEY], about: &[u8], text: &[u8]) -> Result<Vec<u8>, SealError> {
    let nonce: Zeroizing<[u8; NONCE_LEN]> = random()?;
    let key = cipher(key).ok_or(SealError::Randomness)?;
    // Room for everything: growing would leave the text behind where it was.
    let mut kept = Vec::with_capacity(NONCE_LEN + text.len() + CHACHA20_POLY1305.tag_len());
    kept.extend(nonce.as_slice());
    kept.extend(text);
    let Some(inside) = kept.get_mut(NONCE_LEN..) else { return Err(SealError::Randomness) };
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(about), inside);
    kept.extend(tag.map_err(|_| SealError::Randomness)?.as_ref());
    Ok(kept)
}

fn decrypt(key: &[u8; KEY], about: &[u8], kept: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, text) = kept.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut text = Zeroizing::new(text.to_vec());
    let length = cipher(key)?.open_in_place(nonce, Aad::from(about), &mut text).ok()?.len();
    text.truncate(length);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SecretName {
        text.parse().unwrap()
    }

    fn sealed(master: &MasterKey) -> Sealed {
        master.seal(&name("shop"), "shop", "target password", b"hunter2").unwrap()
    }

    #[test]
    fn what_is_sealed_opens_where_it_was_sealed_for_and_nowhere_else() {
        let master = MasterKey::generate().unwrap();
        let whole = sealed(&master);
        assert_eq!(master.open(&whole).unwrap().as_slice(), b"hunter2");
        let changed = Err(SealError::Changed { name: name("shop") });
        let refused = |change: &dyn Fn(&mut Sealed)| {
            let mut other = whole.clone();
            change(&mut other);
            assert!(master.check(&other).is_err(), "{other:?}");
        };
        refused(&|s| s.name = name("shop2"));
        refused(&|s| s.connection = "other".into());
        refused(&|s| s.purpose = "other".into());
        refused(&|s| s.value.clear());
        refused(&|s| s.value[0] = 2);
        refused(&|s| s.value = sealed(&master).value);
        refused(&|s| s.wraps[0].key = sealed(&master).wraps[0].key.clone());
        for at in 0..whole.value.len() {
            refused(&|s| s.value[at] ^= 1);
        }
        for at in 0..whole.wraps[0].key.len() {
            refused(&|s| s.wraps[0].key[at] ^= 1);
        }
        let mut cut = whole.clone();
        cut.value.truncate(20);
        assert_eq!(master.check(&cut), changed);
        // The same text twice is not the same twice.
        assert_ne!(sealed(&master).value, whole.value);
        assert!(!whole.value.windows(7).any(|w| w == b"hunter2"));
    }

    #[test]
    fn another_master_key_is_told_by_name() {
        let (old, new) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
        let mut secret = sealed(&old);
        let error = new.check(&secret).unwrap_err();
        assert!(error.to_string().contains(old.id()) && error.to_string().contains(new.id()));
        // Under both, either opens it; then the old one may go.
        secret.wraps.push(old.rewrap(&secret, &new).unwrap());
        assert!(old.check(&secret).is_ok() && new.check(&secret).is_ok());
        secret.wraps.remove(0);
        assert!(old.check(&secret).is_err() && new.check(&secret).is_ok());
        // A wrap under the name of another key is none.
        secret.wraps[0].master = old.id().to_owned();
        assert!(matches!(old.check(&secret), Err(SealError::Changed { .. })));
    }

    #[test]
    fn a_master_key_is_read_back_and_says_nothing() {
        let key = MasterKey::generate().unwrap();
        let text = key.to_text();
        let again = MasterKey::from_text(text.as_bytes()).unwrap();
        assert_eq!(again.id(), key.id());
        assert_eq!(format!("{key:?}"), format!("MasterKey({})", key.id()));
        for wrong in ["", "short", "AAAA", &"A".repeat(44), &"ff".repeat(32)] {
            assert!(MasterKey::from_text(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }
}
