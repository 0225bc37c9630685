//! Mask plans, detectors and redactors.
//!
//! On the life of a request this crate stands between the target's answer and everything that
//! leaves the gateway: a codec takes an answer apart, asks a [`core::mask::Redactor`] what to do
//! with each column, and puts back what it says. Two layers decide, and both fail closed:
//!
//! * **By origin** ([`redactor`]): where a column of the answer comes from, by the catalog numbers
//!   the target gives and by the lineage of the statement, against what a [`core::mask::Reveal`]
//!   says the caller may see.
//! * **By content** ([`detect`]): validated detectors over every text that leaves, for what no
//!   rule named. It is a second net: an answer that was encoded, reversed or cut up by the caller's
//!   own expression is caught by origin or not at all.
//!
//! [`core::mask::Redactor`]: portcullis_core::mask::Redactor
//! [`core::mask::Reveal`]: portcullis_core::mask::Reveal

pub mod detect;
pub mod pseudonym;
pub mod redactor;
pub mod reveal;
pub mod strategy;
pub mod types;
pub mod written;

mod forms;
mod labelled;
mod moment;
mod number;
mod splice;

pub use detect::{Detectors, Hit, Kind, has_placeholder, label_of};
pub use forms::{fits, is_checked_domain};
pub use pseudonym::PseudonymKey;
pub use redactor::StatementRedactor;
pub use reveal::ShowAll;
pub use written::Recognizer;
