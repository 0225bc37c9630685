//! Recorded lines that only their recipients can read, while a session runs: each is sealed before it leaves
//! the session's task. On the life of a request: after the answer was masked, before it is queued.
//!
//! The key is made for one session, sealed to the recipients in the recording's first line, and else only in
//! memory: so what a crash leaves behind is as closed as what is kept. The codes of the lines are over what is
//! written, so that the gateway proves them without reading them.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use portcullis_age::{Identity, Opener, Recipient, Sealer};
use portcullis_core::id::SessionId;
use serde::Deserialize;
use std::io::{self, Read as _, Write as _};
use zeroize::Zeroizing;

/// The key of one running recording.
pub(crate) struct LineKey {
    key: LessSafeKey,
    secret: Zeroizing<[u8; 32]>,
    session: SessionId,
}

/// A sealed line, without its code.
#[derive(Deserialize)]
struct Closed {
    sealed: String,
}

fn failed() -> io::Error {
    io::Error::other("the cryptographic provider failed")
}

impl LineKey {
    pub(crate) fn generate(session: SessionId) -> io::Result<Self> {
        let mut secret = Zeroizing::new([0; 32]);
        rand::fill(&mut *secret).map_err(|_| failed())?;
        Self::of(session, secret)
    }

    fn of(session: SessionId, secret: Zeroizing<[u8; 32]>) -> io::Result<Self> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &*secret).map_err(|_| failed())?;
        Ok(Self { key: LessSafeKey::new(key), secret, session })
    }

    /// The key as the first line has it: a file of age in base64.
    pub(crate) fn wrap(&self, recipients: &[Recipient]) -> io::Result<String> {
        let mut sealer = Sealer::new(Vec::new(), recipients)?;
        sealer.write_all(&*self.secret)?;
        Ok(BASE64.encode(sealer.finish()?))
    }

    /// The key in a first line; `None` where none of these opens it.
    pub(crate) fn unwrap(session: SessionId, text: &str, with: &[Identity]) -> Option<Self> {
        let sealed = BASE64.decode(text).ok()?;
        let mut secret = Zeroizing::new(Vec::with_capacity(64));
        Opener::new(&*sealed, with).ok()?.take(64).read_to_end(&mut secret).ok()?;
        let secret = Zeroizing::new(secret.as_slice().try_into().ok()?);
        Self::of(session, secret).ok()
    }

    /// Of each line its own: they are numbered from 1, and the key is no other session's.
    fn nonce(number: u64) -> Option<Nonce> {
        let mut nonce = [0; NONCE_LEN];
        nonce.get_mut(4..)?.copy_from_slice(&number.to_be_bytes());
        Some(Nonce::assume_unique_for_key(nonce))
    }

    /// Bytes of the line of a sealed event with so many.
    pub(crate) const fn length(json: usize) -> usize {
        (json + 16).div_ceil(3) * 4 + "{\"sealed\":\"\"}".len()
    }

    /// Seals the event with this number, and leaves the line without its code.
    pub(crate) fn seal(&self, number: u64, json: &mut Vec<u8>) -> io::Result<()> {
        let nonce = Self::nonce(number).ok_or_else(failed)?;
        let about = Aad::from(self.session.to_string());
        self.key.seal_in_place_append_tag(nonce, about, json).map_err(|_| failed())?;
        let line = format!("{{\"sealed\":\"{}\"}}", BASE64.encode(&*json));
        json.clear();
        json.extend_from_slice(line.as_bytes());
        Ok(())
    }

    /// The event of the line with this number; `None` where it is not that.
    pub(crate) fn open(&self, number: u64, line: &[u8]) -> Option<Vec<u8>> {
        let closed: Closed = serde_json::from_slice(line).ok()?;
        let mut json = BASE64.decode(closed.sealed).ok()?;
        let about = Aad::from(self.session.to_string());
        let length = self.key.open_in_place(Self::nonce(number)?, about, &mut json).ok()?.len();
        json.truncate(length);
        Some(json)
    }
}
