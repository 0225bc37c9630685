//! The part of CBOR (RFC 8949) that authenticators write: definite lengths, each number in its shortest
//! form (CTAP2 canonical CBOR). Anything else is no message of theirs.

/// Bytes that are not read yet.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

/// What was read is nothing an authenticator writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// How deep maps and lists may lie in each other: CTAP2 has four.
const DEPTH: u8 = 4;

/// One item whose inside is not looked at further, or one that is a value by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item<'a> {
    Int(i64),
    Bytes(&'a [u8]),
    Text(&'a str),
    Other,
}

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn head(&mut self) -> Result<(u8, u64), Malformed> {
        let &[first] = self.take(1)? else { return Err(Malformed) };
        let (major, short) = (first >> 5, first & 31);
        let long = match short {
            0..=23 => return Ok((major, short.into())),
            24..=27 => 1_usize << (short - 24),
            _ => return Err(Malformed),
        };
        let value =
            self.take(long)?.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        // INVARIANT: the shortest form, so that no two texts are one value.
        let least = [24, 1 << 8, 1 << 16, 1 << 32].get(usize::from(short - 24)).copied();
        if least.is_some_and(|least| value >= least) { Ok((major, value)) } else { Err(Malformed) }
    }

    /// How many pairs the map has that begins here.
    pub(super) fn map(&mut self) -> Result<u64, Malformed> {
        match self.head()? {
            (5, count) => Ok(count),
            _ => Err(Malformed),
        }
    }

    /// The next item, whole.
    pub(super) fn item(&mut self) -> Result<Item<'a>, Malformed> {
        self.item_in(DEPTH)
    }

    fn item_in(&mut self, depth: u8) -> Result<Item<'a>, Malformed> {
        let (major, value) = self.head()?;
        let length = || usize::try_from(value).map_err(|_| Malformed);
        let number = || i64::try_from(value).map_err(|_| Malformed);
        match major {
            0 => Ok(Item::Int(number()?)),
            1 => Ok(Item::Int(-1 - number()?)),
            2 => Ok(Item::Bytes(self.take(length()?)?)),
            3 => {
                let text = std::str::from_utf8(self.take(length()?)?).map_err(|_| Malformed)?;
                Ok(Item::Text(text))
            }
            4 | 5 => {
                let depth = depth.checked_sub(1).ok_or(Malformed)?;
                for _ in 0..value.checked_mul(u64::from(major - 3)).ok_or(Malformed)? {
                    self.item_in(depth)?;
                }
                Ok(Item::Other)
            }
            7 if (20..=22).contains(&value) => Ok(Item::Other),
            _ => Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_form_and_no_other() {
        let read = |bytes: &[u8]| {
            let mut reader = Reader(bytes);
            let item = reader.item().map(|item| format!("{item:?}"));
            item.ok().filter(|_| reader.0.is_empty())
        };
        assert_eq!(read(&[0x26]).as_deref(), Some("Int(-7)"));
        assert_eq!(read(&[0x39, 0x01, 0x00]).as_deref(), Some("Int(-257)"));
        assert_eq!(read(&[0x42, 1, 2]).as_deref(), Some("Bytes([1, 2])"));
        assert_eq!(read(&[0x61, b'a']).as_deref(), Some("Text(\"a\")"));
        assert_eq!(read(&[0xa1, 0x01, 0x82, 0xf5, 0xf6]).as_deref(), Some("Other"));
        for bad in [
            &[][..],
            &[0x18, 23],
            &[0x19, 0, 255],
            &[0x42, 1],
            &[0x5f, 0xff],
            &[0x61, 0xff],
            &[0xa1, 1],
            &[0xf9, 0, 0],
            &[0xc0, 0],
            &[0x9b, 255, 255, 255, 255, 255, 255, 255, 255],
            &[0xbb, 255, 255, 255, 255, 255, 255, 255, 255],
            &[0x81, 0x81, 0x81, 0x81, 0x81, 0],
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
