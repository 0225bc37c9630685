//! Files sealed to public keys, in the format of [age](https://age-encryption.org/v1): what is written for
//! an auditor opens with that auditor's own tool, and with nothing that stands on this machine. Beside the
//! life of a request: under recordings that are kept.
//!
//! Only what recordings need of the format is here: recipients of type X25519, one after another, and binary
//! files. Passphrases, SSH keys, plugins and armour are not. (The crate `age` would be the choice, but it and
//! the SSH library do not build side by side.)
//!
//! *Architecture invariant:* no cryptography of its own. X25519, HKDF, HMAC and ChaCha20-Poly1305 come from
//! the provider that all else uses.

mod header;
mod keys;
mod stream;

pub use header::OpenError;
pub use keys::{Identity, KeyError, Recipient, identities};
pub use stream::{Opener, Sealer};

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

/// Bytes of the key that a header wraps, and of the nonce before the payload.
const SHORT: usize = 16;

struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-SHA-256 (RFC 5869), of 32 bytes. `None` where the provider fails.
fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    let prk = Salt::new(HKDF_SHA256, salt).extract(secret);
    prk.expand(&[info], Bytes(32)).ok()?.fill(&mut *key).ok()?;
    Some(key)
}
