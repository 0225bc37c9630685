//! Journal, hash chain, signed heads, recordings, replay and the offline verifier.
//!
//! On the life of a request this crate stands twice: [`Ledger`] records the intent before anything
//! is forwarded and the outcome after, and [`Recorder`] keeps the masked answers. Beside that path
//! are [`mod@read`] (what happened, for people) and [`verify`] (whether the record can be trusted), a
//! crate of its own.
//!
//! The files are specified in `FORMAT.md`, precisely enough to write another verifier from it.
//!
//! *Architecture invariant:* the verifier has no code of this crate, and nothing here ever
//! changes what was acknowledged; only [`mod@retention`] removes it, as rules say and after the journal did, and keeps
//! its hash.

pub mod cast;
mod chain;
mod error;
pub mod evidence;
mod head;
pub mod hunt;
mod journal;
pub mod keep;
mod layout;
mod levels;
mod lines;
mod mac;
mod merkle;
pub mod played;
pub mod proof;
mod queue;
pub mod read;
mod recording;
mod recover;
mod removed;
pub mod render;
pub mod retention;
mod segments;
pub mod storage;
mod sync;
pub mod tail;
mod tapes;
pub mod tiles;
#[cfg(test)]
mod vector;
pub mod visible;
mod writer;

pub use portcullis_verify::verify;

pub use error::LedgerError;
pub use journal::{Ledger, LedgerSettings, Recovery};
pub use keep::Kept;
pub use recording::{AnswerSample, RecordError, RecordedEvent, Recorder, SampleValue};
