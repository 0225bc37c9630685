//! The header of a file: for each recipient the file's key, wrapped to it, and a code over them all.

use crate::keys::{Identity, Recipient};
use crate::{SHORT, derive};
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use std::io::{self, BufRead, Read as _};
use zeroize::Zeroizing;

const VERSION: &str = "age-encryption.org/v1";
const INFO: &[u8] = b"age-encryption.org/v1/X25519";
/// Characters on a full line of a stanza's body.
const COLUMNS: usize = 64;
/// Bytes of a header, at most: of a few hundred recipients.
const MOST: u64 = 256 * 1024;

/// The key of one file.
pub(crate) type FileKey = Zeroizing<[u8; SHORT]>;

/// Why a file does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is no file of age, or none whose header can be read.
    #[error("it is no file of age: {0}")]
    Header(&'static str),
    /// It is sealed to others.
    #[error("none of these keys opens it: it is sealed to other recipients")]
    NotForUs,
    /// It opens, but whoever wrote the header did not know its key.
    #[error("its header was changed after it was sealed")]
    Forged,
}

fn aead(key: &[u8]) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, key).ok().map(LessSafeKey::new)
}

fn once() -> Nonce {
    // The key is used for this one wrapping only.
    Nonce::assume_unique_for_key([0; 12])
}

/// The key with which a file's key is wrapped: of what is shared, the ephemeral and the recipient's point.
fn wrapping(shared: &[u8; 32], share: &[u8; 32], recipient: &[u8; 32]) -> Option<LessSafeKey> {
    let key = derive(shared, &[&share[..], &recipient[..]].concat(), INFO)?;
    aead(&*key)
}

fn stanza(key: &FileKey, recipient: &Recipient) -> Option<String> {
    let ephemeral = Identity::generate()?;
    let share = *ephemeral.recipient().point();
    let shared = ephemeral.agree(recipient.point())?;
    let mut body = Zeroizing::new(key.to_vec());
    let wrap = wrapping(&shared, &share, recipient.point())?;
    wrap.seal_in_place_append_tag(once(), Aad::empty(), &mut *body).ok()?;
    // 32 bytes are 43 characters: one short line, which ends the stanza.
    Some(format!("-> X25519 {}\n{}\n", BASE64.encode(share), BASE64.encode(&*body)))
}

fn code_of(key: &FileKey, header: &[u8]) -> Option<[u8; 32]> {
    let key = derive(&**key, b"", b"header")?;
    let code = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*key), header);
    code.as_ref().try_into().ok()
}

/// The header that wraps a key to recipients. `None` where the provider fails.
pub(crate) fn write(key: &FileKey, recipients: &[Recipient]) -> Option<String> {
    let mut text = format!("{VERSION}\n");
    for recipient in recipients {
        text.push_str(&stanza(key, recipient)?);
    }
    text.push_str("---");
    let code = code_of(key, text.as_bytes())?;
    Some(format!("{text} {}\n", BASE64.encode(code)))
}

/// A stanza of a header: its arguments and its body.
struct Stanza {
    arguments: Vec<String>,
    body: Vec<u8>,
}

impl Stanza {
    /// The file's key, if it is wrapped here to this identity.
    fn unwrap(&self, identity: &Identity) -> Option<FileKey> {
        let [kind, share] = self.arguments.as_slice() else { return None };
        if kind != "X25519" || self.body.len() != SHORT + CHACHA20_POLY1305.tag_len() {
            return None;
        }
        let share: [u8; 32] = BASE64.decode(share).ok()?.try_into().ok()?;
        let shared = identity.agree(&share)?;
        let wrap = wrapping(&shared, &share, identity.recipient().point())?;
        let mut body = Zeroizing::new(self.body.clone());
        let key: &[u8] = wrap.open_in_place(once(), Aad::empty(), &mut body).ok()?;
        key.try_into().ok().map(Zeroizing::new)
    }
}

/// Reads a header up to the payload, and finds the file's key.
pub(crate) fn read(from: &mut impl BufRead, identities: &[Identity]) -> Result<FileKey, OpenError> {
    let mut lines = HeaderLines { from: from.take(MOST), text: Vec::new() };
    if lines.next()? != VERSION {
        return Err(OpenError::Header("its first line is another"));
    }
    let mut found = None;
    loop {
        let line = lines.next()?;
        if let Some(code) = line.strip_prefix("--- ") {
            let key: FileKey = found.ok_or(OpenError::NotForUs)?;
            let covered = lines.text.len() - code.len() - 2;
            let covered = lines.text.get(..covered).unwrap_or_default();
            let expected = code_of(&key, covered).ok_or(OpenError::Forged)?;
            let code = BASE64.decode(code).map_err(|_| OpenError::Header("its code is none"))?;
            constant_time::verify_slices_are_equal(&code, &expected)
                .map_err(|_| OpenError::Forged)?;
            return Ok(key);
        }
        let Some(arguments) = line.strip_prefix("-> ") else {
            return Err(OpenError::Header("a line of its header is out of place"));
        };
        let arguments = arguments.split(' ').map(str::to_owned).collect();
        let stanza = Stanza { arguments, body: lines.body()? };
        if found.is_none() {
            found = identities.iter().find_map(|identity| stanza.unwrap(identity));
        }
    }
}

/// The lines of a header, and all of it so far.
struct HeaderLines<R> {
    from: io::Take<R>,
    text: Vec<u8>,
}

impl<R: BufRead> HeaderLines<R> {
    fn next(&mut self) -> Result<String, OpenError> {
        let begin = self.text.len();
        self.from.read_until(b'\n', &mut self.text)?;
        let line = self.text.get(begin..).and_then(|line| line.strip_suffix(b"\n"));
        let line = line.ok_or(OpenError::Header("its header does not end"))?;
        let line = std::str::from_utf8(line).map_err(|_| OpenError::Header("it is not text"))?;
        Ok(line.to_owned())
    }

    /// The body of a stanza: full lines, and one that is not.
    fn body(&mut self) -> Result<Vec<u8>, OpenError> {
        let mut text = String::new();
        loop {
            let line = self.next()?;
            text.push_str(&line);
            if line.len() > COLUMNS {
                return Err(OpenError::Header("a line of its header is too long"));
            }
            if line.len() < COLUMNS {
                let body = BASE64.decode(text);
                return body.map_err(|_| OpenError::Header("a stanza of its header is not base64"));
            }
        }
    }
}
