//! Rewrites a burst of messages while copying what stays in as few runs as there are changes, and
//! not at all where nothing changes. Between what a link read and what a client is sent.

use super::body::malformed;
use super::frames::{Frame, Frames, HEADER};
use bytes::{BufMut as _, Bytes, BytesMut};
use portcullis_core::mask::MaskFailure;

/// The failure for a rewritten message that no longer fits its length field.
fn too_long() -> MaskFailure {
    MaskFailure::TooLarge("a rewritten message does not fit a length field".to_owned())
}

/// Appends a whole message.
pub(super) fn put_message(out: &mut BytesMut, tag: u8, body: &[u8]) -> Result<(), MaskFailure> {
    let length = i32::try_from(body.len() + 4).map_err(|_| too_long())?;
    out.reserve(HEADER + body.len());
    out.put_u8(tag);
    out.put_i32(length);
    out.put_slice(body);
    Ok(())
}

/// A burst on its way out.
#[derive(Debug)]
pub(super) struct Rewrite {
    source: Bytes,
    /// What has been written; `None` as long as the source can go out as it is.
    written: Option<BytesMut>,
    /// Up to where the source has been copied or left out.
    copied: usize,
}

/// A message in the middle of being changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    /// Where its header stands in what has been written.
    header: usize,
    /// Its length so far, as it will be written.
    length: usize,
}

impl Rewrite {
    pub(super) const fn new(source: Bytes) -> Self {
        Self { source, written: None, copied: 0 }
    }

    /// Copies what stays, up to `at`.
    fn catch_up(&mut self, at: usize) -> &mut BytesMut {
        let size = self.source.len();
        let written = self.written.get_or_insert_with(|| BytesMut::with_capacity(size + 64));
        written.extend_from_slice(self.source.get(self.copied..at).unwrap_or_default());
        self.copied = self.copied.max(at);
        written
    }

    /// Leaves a message out; what is appended to the result stands in its place.
    pub(super) fn leave_out(&mut self, frame: &Frame<'_>) -> &mut BytesMut {
        self.catch_up(frame.start);
        self.copied = frame.end();
        self.written.get_or_insert_with(BytesMut::new)
    }

    /// Puts a message with another body in the place of one.
    pub(super) fn replace(&mut self, frame: &Frame<'_>, body: &[u8]) -> Result<(), MaskFailure> {
        put_message(self.leave_out(frame), frame.tag, body)
    }

    /// What has been written, for messages put in a place that [`Self::leave_out`] made.
    pub(super) fn written(&mut self) -> &mut BytesMut {
        self.written.get_or_insert_with(BytesMut::new)
    }

    /// Puts a length-prefixed value (`None`: NULL) in the place of the one whose length field
    /// starts at offset `at` of the message's body and which is `size` bytes long.
    pub(super) fn put_value(
        &mut self,
        frame: &Frame<'_>,
        open: Option<Open>,
        (at, size): (usize, usize),
        value: Option<&[u8]>,
    ) -> Result<Open, MaskFailure> {
        let place = frame.start + HEADER + at;
        let written = self.catch_up(place);
        let mut open = open.unwrap_or_else(|| Open {
            header: written.len() - (place - frame.start),
            length: frame.body.len() + 4,
        });
        open.length -= size;
        match value {
            None => written.put_i32(-1),
            Some(value) => {
                written.put_i32(i32::try_from(value.len()).map_err(|_| too_long())?);
                written.extend_from_slice(value);
                open.length += value.len();
            }
        }
        self.copied = place + 4 + size;
        Ok(open)
    }

    /// Ends the changes to a message: copies its rest and corrects its length.
    pub(super) fn close(&mut self, frame: &Frame<'_>, open: Open) -> Result<&[u8], MaskFailure> {
        let length = i32::try_from(open.length).map_err(|_| too_long())?;
        let written = self.catch_up(frame.end());
        let field = written.get_mut(open.header + 1..open.header + HEADER);
        field
            .ok_or_else(|| malformed("a message lost its header"))?
            .copy_from_slice(&length.to_be_bytes());
        Ok(written.get(open.header + HEADER..).unwrap_or_default())
    }

    /// The burst as it goes out: the same buffer where nothing has changed.
    pub(super) fn finish(mut self) -> Frames {
        if self.written.is_some() {
            self.catch_up(self.source.len());
        }
        Frames::from_whole(self.written.map_or(self.source, BytesMut::freeze))
    }
}
