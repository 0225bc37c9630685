//! Putting replacements into a value without copying it before there is one.

use std::ops::Range;

/// An input, and as much of it as was needed so far in an output.
pub(crate) struct Splice<'i, 'o> {
    input: &'i [u8],
    copied: usize,
    out: &'o mut Vec<u8>,
    start: usize,
}

impl<'i, 'o> Splice<'i, 'o> {
    /// Nothing is written before the first [`Self::replace`].
    pub(crate) const fn new(input: &'i [u8], out: &'o mut Vec<u8>) -> Self {
        let start = out.len();
        Self { input, copied: 0, out, start }
    }

    /// Puts `parts` where `range` of the input stood. Ranges come in order.
    pub(crate) fn replace(&mut self, range: Range<usize>, parts: &[&[u8]]) {
        self.out.extend_from_slice(self.input.get(self.copied..range.start).unwrap_or_default());
        for part in parts {
            self.out.extend_from_slice(part);
        }
        self.copied = range.end;
    }

    /// Writes the rest. `None` where nothing was replaced and so nothing written; else what was
    /// written.
    pub(crate) fn finish(self) -> Option<&'o mut [u8]> {
        if self.copied == 0 {
            return None;
        }
        self.out.extend_from_slice(self.input.get(self.copied..).unwrap_or_default());
        self.out.get_mut(self.start..)
    }

    /// Takes back what was written.
    pub(crate) fn abandon(self) {
        self.out.truncate(self.start);
    }
}
