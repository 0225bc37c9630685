//! The codes by which the gateway knows its own lines again. On the life of a request: computed just
//! before a line is written.
//!
//! A hash chain alone can be continued by anybody. What a signed head covers is proven by the
//! signature; what was written since is proven by these codes: HMAC-SHA-256 (RFC 2104) under keys
//! derived from the signing key, cut to 128 bits (RFC 2104, section 5). Who can write the files, but
//! cannot read the key, cannot add a line that recovery takes for the gateway's.
//!
//! An entry's code is computed over the hash of what it covers, so that the line is hashed once for
//! its code and for the chain.
//!
//! The verifier computes them with code of its own ([`mod@crate::verify`]).

use crate::chain::{Hash, hex, push_hex, sha256};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use portcullis_core::id::SessionId;
use std::fmt;

/// Bytes of a code.
pub(crate) const CODE: usize = 16;
/// What stands between the rest of a line's JSON object and its code.
const BEFORE: &[u8] = b",\"mac\":\"";
const AFTER: &[u8] = b"\"}";
/// Bytes a code adds to a line.
pub(crate) const ADDED: usize = BEFORE.len() + CODE * 2 + 1;

/// The code of one line.
pub(crate) type Code = [u8; CODE];

/// The keys of the codes.
pub(crate) struct Macs {
    journal: hmac::Key,
    recording: hmac::Key,
}

impl fmt::Debug for Macs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Macs")
    }
}

impl Macs {
    /// The keys that belong to a signing key's seed.
    pub(crate) fn derive(seed: &[u8]) -> Self {
        let seed = hmac::Key::new(hmac::HMAC_SHA256, seed);
        let key = |use_of: &str| {
            let derived = hmac::sign(&seed, use_of.as_bytes());
            hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())
        };
        Self {
            journal: key("portcullis/journal-mac/1"),
            recording: key("portcullis/recording-mac/1"),
        }
    }

    /// Ends the line of a journal entry with its code and the closing brace; `covered` is the hash of
    /// the line so far.
    pub(crate) fn close_entry(&self, covered: &Hash, line: &mut Vec<u8>) {
        close(&cut(&hmac::sign(&self.journal, covered)), line);
    }

    /// Whether an entry's code is this journal's.
    pub(crate) fn knows_entry(&self, text: &[u8]) -> bool {
        split(text).is_some_and(|(covered, written)| {
            same(&cut(&hmac::sign(&self.journal, &sha256(covered))), written)
        })
    }

    /// Where the codes of a session's recording begin.
    pub(crate) fn begin_recording(&self, session: SessionId) -> Code {
        cut(&hmac::sign(&self.recording, session.to_string().as_bytes()))
    }

    /// Puts the code of a recorded line, a JSON object, into it, and gives the code.
    pub(crate) fn close_line(&self, previous: &Code, line: &mut Vec<u8>) -> Code {
        line.pop();
        let code = self.of_line(previous, line);
        close(&code, line);
        code
    }

    /// The code of the next line of a recording, if it is the gateway's.
    pub(crate) fn follow_line(&self, previous: &Code, line: &[u8]) -> Option<Code> {
        let (covered, written) = split(line)?;
        let code = self.of_line(previous, covered);
        same(&code, written).then_some(code)
    }

    fn of_line(&self, previous: &Code, covered: &[u8]) -> Code {
        let mut context = hmac::Context::with_key(&self.recording);
        context.update(previous);
        context.update(covered);
        cut(&context.sign())
    }
}

fn close(code: &Code, line: &mut Vec<u8>) {
    line.extend_from_slice(BEFORE);
    push_hex(code, line);
    line.extend_from_slice(AFTER);
}

/// What a line's code covers, and the code as it is written.
pub(crate) fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = line.strip_suffix(AFTER)?;
    let (rest, written) = rest.split_at_checked(rest.len().checked_sub(CODE * 2)?)?;
    Some((rest.strip_suffix(BEFORE)?, written))
}

fn same(code: &Code, written: &[u8]) -> bool {
    verify_slices_are_equal(hex(code).as_bytes(), written).is_ok()
}

fn cut(tag: &hmac::Tag) -> Code {
    let mut code = [0; CODE];
    // A tag of HMAC-SHA-256 always has 32 bytes.
    for (to, from) in code.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_known_by_its_key_its_line_and_its_place() {
        let (macs, other) = (Macs::derive(&[7; 32]), Macs::derive(&[8; 32]));
        let mut entry = b"{\"seq\":0".to_vec();
        macs.close_entry(&sha256(&entry), &mut entry);
        assert!(macs.knows_entry(&entry));
        assert!(!other.knows_entry(&entry));
        assert!(!macs.knows_entry(&entry.replace_first(b'0', b'1')));
        assert!(!macs.knows_entry(b"{\"seq\":0}"));

        let begin = macs.begin_recording(SessionId::from_bits(1));
        let (mut one, mut two) = (b"{\"a\":1}".to_vec(), b"{\"b\":2}".to_vec());
        let first = macs.close_line(&begin, &mut one);
        let second = macs.close_line(&first, &mut two);
        assert_eq!(macs.follow_line(&begin, &one), Some(first));
        assert_eq!(macs.follow_line(&first, &two), Some(second));
        assert_eq!(macs.follow_line(&begin, &two), None, "not in another place");
        let elsewhere = macs.begin_recording(SessionId::from_bits(2));
        assert_eq!(macs.follow_line(&elsewhere, &one), None, "nor of another session");
        assert!(!macs.knows_entry(&one), "nor as an entry");
    }

    trait ReplaceFirst {
        fn replace_first(&self, from: u8, to: u8) -> Vec<u8>;
    }

    impl ReplaceFirst for [u8] {
        fn replace_first(&self, from: u8, to: u8) -> Vec<u8> {
            let mut out = self.to_vec();
            if let Some(byte) = out.iter_mut().find(|b| **b == from) {
                *byte = to;
            }
            out
        }
    }
}
