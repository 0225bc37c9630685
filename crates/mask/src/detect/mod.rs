//! Content detectors: what looks like a secret or a personal identifier *and checks out*.
//!
//! They are the second layer on the way of an answer to the client and to the recording, over
//! values, error texts and statement texts. A text none of them could match is told apart by one pass
//! over its bytes. In all others, one automaton over literals and single bytes finds where to look;
//! code of our own then decides, with check digits, issuer ranges, country lengths and what stands
//! around, none of it further away than a fixed reach.
//!
//! Time is linear in the text, memory is constant beside the hits, and nothing is allocated where
//! nothing is found.
//!
//! Not seen, and not claimed: text that was encoded (base64, URL encoding beyond `%40`, JSON
//! escapes beyond `\u0040` and what may stand before a value), reversed, cut up or spelt out.

mod anchor;
mod automaton;
mod birth;
mod card;
mod email;
mod iban;
mod ip;
mod kind;
mod label;
mod mrz;
mod national;
mod phone;
mod provider;
mod scan;
mod secret;
mod ssn;
mod text;
mod token;
mod traits;

pub(crate) use card::is_whole as is_card;
pub use kind::{Hit, Kind, UnknownDetector, has_placeholder};
pub use label::label_of;

use anchor::Anchors;
use national::{Ask, Told};
use scan::Scan;
use std::fmt;

/// A set of detectors, ready to run. Shared by all sessions; no lock is held while it works.
pub struct Detectors {
    kinds: u64,
    anchors: Option<Anchors>,
}

impl Detectors {
    /// Every detector.
    #[must_use]
    pub fn all() -> Self {
        Self::of(Kind::ALL)
    }

    /// Those that are on where nothing is configured.
    #[must_use]
    pub fn standard() -> Self {
        Self::of(&Kind::chosen("default"))
    }

    /// No detector: content is not looked at.
    #[must_use]
    pub fn none() -> Self {
        Self::of(&[])
    }

    /// The detectors of these kinds.
    #[must_use]
    pub fn of(kinds: &[Kind]) -> Self {
        let kinds = kinds.iter().fold(0, |bits, kind| bits | kind.bit());
        let anchors = (kinds != 0).then(|| Anchors::of(kinds));
        Self { kinds, anchors }
    }

    /// The detectors of these names, and of the groups of these names.
    ///
    /// # Errors
    /// [`UnknownDetector`] for the first name that none has.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownDetector> {
        let mut kinds = Vec::new();
        for name in names {
            let chosen = Kind::chosen(name);
            if chosen.is_empty() {
                return Err(UnknownDetector { name: name.to_owned() });
            }
            kinds.extend(chosen);
        }
        Ok(Self::of(&kinds))
    }

    /// True where there is no detector at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.kinds == 0
    }

    /// True where the detector of this kind is among them.
    #[must_use]
    pub const fn has(&self, kind: Kind) -> bool {
        self.kinds & kind.bit() != 0
    }

    /// False where no part of `text` can be a hit. Costs one pass over the bytes.
    #[must_use]
    pub fn may_match(&self, text: &[u8]) -> bool {
        self.kinds != 0 && traits::Traits::of(text).may_match(self.kinds)
    }

    /// Everything that is found in `text`, leftmost first, none overlapping another. Allocates
    /// only where something is found.
    #[must_use]
    pub fn scan(&self, text: &[u8]) -> Vec<Hit> {
        self.scan_told(text, Told::Nothing)
    }

    /// As [`Self::scan`], for a text of a column that is known to hold something.
    pub(crate) fn scan_told(&self, text: &[u8], told: Told) -> Vec<Hit> {
        match &self.anchors {
            Some(anchors) if self.may_match(text) => {
                Scan::new(Ask { kinds: self.kinds, told }, text).run(anchors)
            }
            _ => Vec::new(),
        }
    }

    /// Appends `text` to `out` with a placeholder for each hit, and says true; or appends nothing
    /// and says false where nothing is found. What was written has no hit in it any more.
    pub fn redact(&self, text: &[u8], out: &mut Vec<u8>) -> bool {
        self.rewrite(text, out, write_placeholders)
    }

    /// As [`Self::redact`], with another way to write a text without its hits. Taking one hit out
    /// can make its neighbour stand free: what was written is looked at again.
    pub(crate) fn rewrite(
        &self,
        text: &[u8],
        out: &mut Vec<u8>,
        write: impl Fn(&[u8], &[Hit], &mut Vec<u8>),
    ) -> bool {
        const PASSES: usize = 4;
        let mut hits = self.scan(text);
        if hits.is_empty() {
            return false;
        }
        let start = out.len();
        write(text, &hits, out);
        for _ in 0..PASSES {
            hits = self.scan(out.get(start..).unwrap_or_default());
            if hits.is_empty() {
                return true;
            }
            let again = out.split_off(start);
            write(&again, &hits, out);
        }
        if !self.scan(out.get(start..).unwrap_or_default()).is_empty() {
            out.truncate(start);
            let whole =
                Hit { kind: hits.first().map_or(Kind::Email, |h| h.kind), range: 0..text.len() };
            write(text, &[whole], out);
        }
        true
    }
}

impl fmt::Debug for Detectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Kind::ALL.iter().filter(|kind| self.has(**kind))).finish()
    }
}

fn write_placeholders(text: &[u8], hits: &[Hit], out: &mut Vec<u8>) {
    let mut at = 0;
    for hit in hits {
        out.extend_from_slice(text.get(at..hit.range.start).unwrap_or_default());
        out.extend_from_slice(hit.kind.placeholder().as_bytes());
        at = hit.range.end;
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
}

#[cfg(test)]
mod tests;
