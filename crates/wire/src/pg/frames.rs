//! Framing of what a target sends: whole backend messages in one contiguous buffer, as a link
//! reads them and before (or after) they are masked.
//!
//! PostgreSQL manual, "Message Formats": a type byte, then a 32-bit length that counts itself.

use super::body::malformed;
use bytes::{Bytes, BytesMut};
use portcullis_core::mask::MaskFailure;

/// The largest backend message accepted, in bytes with its header: 64 MiB. A target that sends a
/// larger row ends the session, because a row is masked as a whole.
pub const MAX_MESSAGE: usize = 64 * 1024 * 1024;

/// The largest backend message accepted while logging in to a target: 64 KiB.
pub const MAX_LOGIN_MESSAGE: usize = 64 * 1024;

/// Header of a message: type byte and length.
pub(super) const HEADER: usize = 5;

/// How much room is made at once for a message that is not whole yet. Less than it claims, so that
/// a claim alone costs nothing.
const READ_AHEAD: usize = 128 * 1024;

/// One or more whole backend messages, in one contiguous buffer.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Frames(Bytes);

/// One message in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its type byte.
    pub tag: u8,
    /// What follows the length.
    pub body: &'a [u8],
    /// Where its type byte stands in the buffer.
    pub start: usize,
}

impl Frame<'_> {
    /// Where the next message starts.
    #[must_use]
    pub const fn end(&self) -> usize {
        self.start + HEADER + self.body.len()
    }
}

/// The size of the first message in `bytes`, header included; `None` where the header is not
/// whole.
fn first_size(bytes: &[u8], limit: usize) -> Result<Option<usize>, MaskFailure> {
    let Some(&[tag, a, b, c, d]) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
    let claimed = u32::from_be_bytes([a, b, c, d]);
    if claimed < 4 {
        return Err(malformed(format!("a message of type 0x{tag:02x} claims length {claimed}")));
    }
    match usize::try_from(claimed).ok().and_then(|n| n.checked_add(1)) {
        Some(size) if size <= limit => Ok(Some(size)),
        // By how much is not told: it depends on what is masked.
        _ => Err(MaskFailure::TooLarge(format!(
            "a message of type 0x{tag:02x} is over the limit of {limit} bytes"
        ))),
    }
}

/// Takes every whole message off the front of `buffer`, without copying; `None` where there is
/// not one whole message yet.
///
/// # Errors
/// [`MaskFailure`] where a length is impossible or over [`MAX_MESSAGE`].
pub fn split(buffer: &mut BytesMut) -> Result<Option<Frames>, MaskFailure> {
    let mut whole = 0;
    let missing = loop {
        let rest = buffer.get(whole..).unwrap_or_default();
        match first_size(rest, MAX_MESSAGE) {
            Ok(Some(size)) if size <= rest.len() => whole += size,
            Ok(Some(size)) => break size - rest.len(),
            Ok(None) => break 0,
            // What came before the broken message is whole: it is handed out first, so that how
            // reads happen to be cut changes nothing.
            Err(_) if whole > 0 => break 0,
            Err(failure) => return Err(failure),
        }
    };
    if whole == 0 {
        buffer.reserve(missing.min(READ_AHEAD));
        return Ok(None);
    }
    Ok(Some(Frames(buffer.split_to(whole).freeze())))
}

/// Takes one message off the front of `buffer`, for the log-in, where each decides what comes
/// next: its type byte and its body.
///
/// # Errors
/// [`MaskFailure`] where its length is impossible or over [`MAX_LOGIN_MESSAGE`].
pub fn read_backend(buffer: &mut BytesMut) -> Result<Option<(u8, Bytes)>, MaskFailure> {
    match first_size(buffer, MAX_LOGIN_MESSAGE)? {
        Some(size) if size <= buffer.len() => {
            let frame = buffer.split_to(size).freeze();
            Ok(frame.first().map(|tag| (*tag, frame.slice(HEADER..))))
        }
        _ => Ok(None),
    }
}

impl Frames {
    /// Frames the gateway wrote, or rewrote, itself: they are whole by construction.
    pub(super) const fn from_whole(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The bytes for the wire.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The bytes for the wire, by move.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// True where nothing is left to be sent.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The messages, in order.
    #[must_use]
    pub fn iter(&self) -> FrameIter<'_> {
        FrameIter { bytes: &self.0, at: 0 }
    }
}

impl From<BytesMut> for Frames {
    /// What [`super::server`] has written.
    fn from(written: BytesMut) -> Self {
        Self(written.freeze())
    }
}

/// Rows are data of the target: `Debug` shows sizes alone.
impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frames({} bytes)", self.0.len())
    }
}

impl AsRef<[u8]> for Frames {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl<'a> IntoIterator for &'a Frames {
    type Item = Frame<'a>;
    type IntoIter = FrameIter<'a>;

    fn into_iter(self) -> FrameIter<'a> {
        self.iter()
    }
}

/// Walks over [`Frames`].
#[derive(Debug, Clone)]
pub struct FrameIter<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for FrameIter<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let rest = self.bytes.get(self.at..)?;
        let size = first_size(rest, usize::MAX).ok()??;
        let frame = Frame { tag: *rest.first()?, body: rest.get(HEADER..size)?, start: self.at };
        self.at += size;
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        out.extend((body.len() as u32 + 4).to_be_bytes());
        out.extend(body);
        out
    }

    #[test]
    fn whole_frames_are_taken_without_a_copy_and_the_rest_is_left() {
        let mut buffer = BytesMut::from(&[message(b'1', b""), message(b'Z', b"I")].concat()[..]);
        buffer.extend_from_slice(b"D\0\0");
        let at = buffer.as_ptr();
        let frames = split(&mut buffer).unwrap().unwrap();
        assert_eq!(frames.bytes().as_ptr(), at);
        let tags: Vec<_> = frames.iter().map(|f| (f.tag, f.body, f.start)).collect();
        assert_eq!(tags, [(b'1', &b""[..], 0), (b'Z', &b"I"[..], 5)]);
        assert_eq!(&buffer[..], b"D\0\0");
        assert_eq!(split(&mut buffer), Ok(None));
    }

    #[test]
    fn impossible_lengths_are_refused_before_anything_is_allocated() {
        for claimed in [0u32, 3, u32::MAX, 0x8000_0000, MAX_MESSAGE as u32] {
            let mut buffer = BytesMut::from(&[b'D'][..]);
            buffer.extend_from_slice(&claimed.to_be_bytes());
            assert!(split(&mut buffer).is_err(), "{claimed}");
        }
        let mut buffer = BytesMut::from(&b"D"[..]);
        buffer.extend_from_slice(&(MAX_MESSAGE as u32 - 1).to_be_bytes());
        assert_eq!(split(&mut buffer), Ok(None));
        assert!(buffer.capacity() <= 2 * READ_AHEAD, "{}", buffer.capacity());
        let mut buffer = BytesMut::from(&b"R"[..]);
        buffer.extend_from_slice(&(MAX_LOGIN_MESSAGE as u32).to_be_bytes());
        assert!(read_backend(&mut buffer).is_err());
    }

    #[test]
    fn a_log_in_message_is_taken_alone() {
        let mut buffer =
            BytesMut::from(&[message(b'R', &[0; 4]), message(b'Z', b"I")].concat()[..]);
        assert_eq!(read_backend(&mut buffer), Ok(Some((b'R', Bytes::from_static(&[0; 4])))));
        assert_eq!(read_backend(&mut buffer), Ok(Some((b'Z', Bytes::from_static(b"I")))));
        assert_eq!(read_backend(&mut buffer), Ok(None));
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            messages in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 0..8),
            cut in 1usize..20,
        ) {
            let bytes: Vec<u8> = messages.iter().flat_map(|(t, b)| message(*t, b)).collect();
            let (mut buffer, mut seen) = (BytesMut::new(), Vec::new());
            for piece in bytes.chunks(cut) {
                buffer.extend_from_slice(piece);
                while let Some(frames) = split(&mut buffer).unwrap() {
                    seen.extend(frames.iter().map(|f| (f.tag, f.body.to_vec())));
                }
            }
            prop_assert_eq!(seen, messages);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = split(&mut buffer) {}
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = read_backend(&mut buffer) {}
        }
    }
}
