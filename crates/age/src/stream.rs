//! The payload of a file: pieces of 64 KiB, each sealed with its number and whether it is the last, so that
//! none can be left out, moved or cut off unseen.

use crate::header::{self, OpenError};
use crate::keys::{Identity, Recipient};
use crate::{SHORT, derive};
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use std::io::{self, BufRead, Read, Write};
use zeroize::Zeroizing;

/// Bytes of a piece.
const PIECE: usize = 64 * 1024;
/// Bytes of its code.
const TAG: usize = 16;

/// The key of a payload, and which piece is next.
struct Pieces {
    key: LessSafeKey,
    next: u64,
}

impl Pieces {
    fn new(key: &[u8; SHORT], nonce: &[u8]) -> Option<Self> {
        let key = derive(key, nonce, b"payload")?;
        let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &*key).ok()?);
        Some(Self { key, next: 0 })
    }

    /// The nonce of the next piece: its number in eleven bytes, and whether it is the last.
    fn nonce(&mut self, last: bool) -> Option<Nonce> {
        let mut nonce = [0; NONCE_LEN];
        nonce.get_mut(3..11)?.copy_from_slice(&self.next.to_be_bytes());
        *nonce.last_mut()? = u8::from(last);
        self.next = self.next.checked_add(1)?;
        Some(Nonce::assume_unique_for_key(nonce))
    }
}

fn failed() -> io::Error {
    io::Error::other("the cryptographic provider failed")
}

/// Seals what is written to it.
#[must_use = "what is not finished cannot be opened to its end"]
pub struct Sealer<W> {
    to: W,
    pieces: Pieces,
    piece: Vec<u8>,
}

impl<W: Write> Sealer<W> {
    /// Begins a file that these recipients, each alone, can open.
    ///
    /// # Errors
    /// Those of writing; `InvalidInput` without any recipient.
    pub fn new(mut to: W, recipients: &[Recipient]) -> io::Result<Self> {
        if recipients.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "there are no recipients"));
        }
        let (mut key, mut nonce) = (Zeroizing::new([0; SHORT]), [0; SHORT]);
        rand::fill(&mut *key).map_err(|_| failed())?;
        rand::fill(&mut nonce).map_err(|_| failed())?;
        to.write_all(header::write(&key, recipients).ok_or_else(failed)?.as_bytes())?;
        to.write_all(&nonce)?;
        let pieces = Pieces::new(&key, &nonce).ok_or_else(failed)?;
        Ok(Self { to, pieces, piece: Vec::with_capacity(PIECE + TAG) })
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(mut self) -> io::Result<W> {
        self.put(true)?;
        Ok(self.to)
    }

    fn put(&mut self, last: bool) -> io::Result<()> {
        let nonce = self.pieces.nonce(last).ok_or_else(failed)?;
        let sealed = self.pieces.key.seal_in_place_append_tag(nonce, Aad::empty(), &mut self.piece);
        sealed.map_err(|_| failed())?;
        self.to.write_all(&self.piece)?;
        self.piece.clear();
        Ok(())
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full piece is only put once it is known not to be the last.
        if self.piece.len() == PIECE && !bytes.is_empty() {
            self.put(false)?;
        }
        let taken = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Opens what was sealed. Reading ends with an error where the file is cut or was changed.
pub struct Opener<R> {
    from: R,
    pieces: Pieces,
    piece: Zeroizing<Vec<u8>>,
    /// How much of the piece was read.
    at: usize,
    over: bool,
}

impl<R: BufRead> Opener<R> {
    /// Opens a file with the first of these keys that can.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn new(mut from: R, identities: &[Identity]) -> Result<Self, OpenError> {
        let key = header::read(&mut from, identities)?;
        let mut nonce = [0; SHORT];
        from.read_exact(&mut nonce)?;
        let pieces = Pieces::new(&key, &nonce).ok_or_else(failed)?;
        let piece = Zeroizing::new(Vec::with_capacity(PIECE + TAG));
        Ok(Self { from, pieces, piece, at: 0, over: false })
    }

    fn take(&mut self) -> io::Result<()> {
        let bad = |why| io::Error::new(io::ErrorKind::InvalidData, why);
        self.piece.clear();
        self.at = 0;
        let limit = (PIECE + TAG) as u64;
        (&mut self.from).take(limit).read_to_end(&mut self.piece)?;
        let last = self.from.fill_buf()?.is_empty();
        let empty = self.piece.len() <= TAG && self.pieces.next > 0;
        let nonce = self.pieces.nonce(last).ok_or_else(failed)?;
        let opened = self.pieces.key.open_in_place(nonce, Aad::empty(), &mut self.piece);
        let length =
            opened.map_err(|_| bad("it is cut, or was changed after it was sealed"))?.len();
        if empty {
            return Err(bad("its last piece is empty"));
        }
        self.piece.truncate(length);
        self.over = last;
        Ok(())
    }
}

impl<R: BufRead> Read for Opener<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() && !self.over {
            self.take()?;
        }
        let left = self.piece.get(self.at..).unwrap_or_default();
        let count = left.len().min(into.len());
        if let (Some(to), Some(left)) = (into.get_mut(..count), left.get(..count)) {
            to.copy_from_slice(left);
        }
        self.at += count;
        Ok(count)
    }
}
