//! Answers to "may this caller see that column?" that need no policy.

use portcullis_core::mask::{ColumnRef, Reveal, Strategy};

/// Hides nothing: for policies without mask rules. With [`crate::Detectors::none`] every answer
/// goes out as it came, byte for byte.
#[derive(Debug, Clone, Copy, Default)]
pub struct ShowAll;

impl Reveal for ShowAll {
    fn hidden(&self, _column: ColumnRef) -> Option<Strategy> {
        None
    }

    fn relation_hides(&self, _relation: u32) -> bool {
        false
    }

    fn hides_anything(&self) -> bool {
        false
    }

    fn hides_of_server(&self) -> bool {
        false
    }

    fn is_stored(&self, _column: ColumnRef) -> bool {
        true
    }
}
