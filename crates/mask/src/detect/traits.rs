//! The test before the search: what bytes a text has in it, told in one pass, and whether any
//! detector that is on could find something in such a text.

use super::kind::Kind;

/// What bytes a text has in it, as far as a detector needs them.
pub(super) struct Traits {
    seen: u16,
    digits: usize,
    length: usize,
}

const AT: u16 = 1;
const ESCAPE: u16 = 1 << 1;
const JOINER: u16 = 1 << 2;
const DOT: u16 = 1 << 3;
const UPPER: u16 = 1 << 4;
const UPPER_A_OR_J: u16 = 1 << 5;
const DIGIT: u16 = 1 << 6;
const PLUS: u16 = 1 << 7;
const EQUALS: u16 = 1 << 8;
const SIGN: u16 = 1 << 9;

const TRAITS: [u16; 256] = {
    let mut table = [0u16; 256];
    let mut i = 0;
    while i < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "the loop ends at 255")]
        let traits = match i as u8 {
            b'@' => AT,
            b'\\' | b'%' => ESCAPE,
            b'-' | b'_' | b'~' | b'$' => JOINER,
            b'=' => EQUALS | SIGN,
            b':' | b'>' | b'\'' => SIGN,
            b'.' => DOT,
            b'+' => PLUS,
            b'0'..=b'9' => DIGIT,
            b'A' | b'J' => UPPER | UPPER_A_OR_J,
            b'A'..=b'Z' => UPPER,
            _ => 0,
        };
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            table[i] = traits;
        }
        i += 1;
    }
    table
};

impl Traits {
    pub(super) fn of(text: &[u8]) -> Self {
        let (mut seen, mut digits) = (0, 0);
        for b in text {
            let traits = TRAITS.get(usize::from(*b)).copied().unwrap_or_default();
            seen |= traits;
            digits += usize::from(traits & DIGIT != 0);
        }
        Self { seen, digits, length: text.len() }
    }

    /// Each condition names the least that a detector's hit has in it, so that a text with a hit
    /// in it always meets one.
    pub(super) const fn may_match(&self, kinds: u64) -> bool {
        let (seen, digits, length) = (self.seen, self.digits, self.length);
        // An address, a password in a URL.
        seen & AT != 0
            // A card, an SSN or a number with separators; an international number.
            || digits >= 9
            || digits >= 8 && seen & PLUS != 0
            // An address with its sign escaped.
            || digits >= 2 && seen & ESCAPE != 0
            // An IBAN has 15 characters, of which 2 check digits and the bank's number are digits.
            // An Italian code has as many.
            || digits >= 4 && length >= 15
            // A Spanish number and its letter.
            || digits >= 7 && seen & UPPER != 0
            // A date and the word before it.
            || digits >= 5 && length >= 10
            // A bot's number.
            || digits >= 8 && seen & SIGN != 0
            // A token starts with `eyJ`, a key id or a key with `A`.
            || length >= 20 && seen & UPPER_A_OR_J != 0
            // A key with a prefix, a PEM line, a stored password.
            || length >= 20 && seen & JOINER != 0
            || length >= 20 && seen & DOT != 0 && seen & UPPER != 0
            || length >= 24 && seen & DOT != 0 && digits > 0
            // A secret key and the word before it.
            || length >= 43 && seen & UPPER != 0 && digits > 0
            || kinds & WORDED != 0 && self.may_be_worded()
            || kinds & Kind::IpAddress.bit() != 0
                && (digits >= 4 && seen & DOT != 0 || digits > 0 && seen & SIGN != 0)
    }

    /// A word, what gives it a value, and the value.
    const fn may_be_worded(&self) -> bool {
        let (seen, digits, length) = (self.seen, self.digits, self.length);
        let varied = digits > 0 || seen & UPPER != 0;
        length >= 12 && varied && seen & SIGN != 0
            || length >= 12 && digits > 0 && seen & JOINER != 0
            || length >= 23 && digits > 0
            || length >= 9 && seen & EQUALS != 0
    }
}

const WORDED: u64 = Kind::Secret.bit() | Kind::ConnectionPassword.bit();
