//! A cursor over the body of one backend message. Every read is bounded by the body; what does
//! not fit is malformed. Used wherever an answer is decoded, before it is masked.

use portcullis_core::mask::MaskFailure;

/// The failure for a message that breaks the protocol.
pub(super) fn malformed(what: impl Into<String>) -> MaskFailure {
    MaskFailure::Malformed(what.into())
}

/// What is left of a message's body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Body<'a> {
    rest: &'a [u8],
    /// Which message, for the failure's text.
    name: &'static str,
}

impl<'a> Body<'a> {
    pub(super) const fn new(name: &'static str, rest: &'a [u8]) -> Self {
        Self { rest, name }
    }

    pub(super) fn short(&self) -> MaskFailure {
        malformed(format!("{} ends too early", self.name))
    }

    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8], MaskFailure> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or_else(|| self.short())?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MaskFailure> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| self.short())?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, MaskFailure> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(super) fn i16(&mut self) -> Result<i16, MaskFailure> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    /// A count: a 16-bit number that may not be negative.
    pub(super) fn count(&mut self) -> Result<usize, MaskFailure> {
        let n = self.i16()?;
        usize::try_from(n).map_err(|_| malformed(format!("{} counts {n} entries", self.name)))
    }

    pub(super) fn i32(&mut self) -> Result<i32, MaskFailure> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, MaskFailure> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// Bytes up to a zero byte, which is taken too.
    pub(super) fn cstr(&mut self) -> Result<&'a [u8], MaskFailure> {
        let end = self.rest.iter().position(|b| *b == 0).ok_or_else(|| self.short())?;
        let text = self.take(end)?;
        self.u8()?;
        Ok(text)
    }

    /// A zero-terminated text.
    pub(super) fn text(&mut self) -> Result<&'a str, MaskFailure> {
        let name = self.name;
        std::str::from_utf8(self.cstr()?).map_err(|_| malformed(format!("{name} is not UTF-8")))
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), MaskFailure> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(malformed(format!("{} has {} bytes too many", self.name, self.rest.len())))
    }
}
