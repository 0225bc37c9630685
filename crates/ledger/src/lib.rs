//! Journal, hash chain, signed heads, recordings, replay and the offline verifier.
//!
//! On the life of a request this crate stands twice: [`Ledger`] records the intent before anything
//! is forwarded and the outcome after, and [`Recorder`] keeps the masked answers. Beside that path
//! are [`mod@read`] (what happened, for people) and [`mod@verify`] (whether the record can be trusted).
//!
//! The files are specified in `FORMAT.md`, precisely enough to write another verifier from it.
//!
//! *Architecture invariant:* the verifier shares no code with the writer, and nothing here ever
//! rewrites a byte that was acknowledged.

mod chain;
mod error;
mod head;
mod journal;
mod layout;
mod mac;
mod plain;
mod queue;
pub mod read;
mod recording;
mod recover;
pub mod render;
mod segments;
pub mod storage;
mod sync;
pub mod tail;
mod tapes;
#[cfg(test)]
mod vector;
pub mod verify;
pub mod visible;
mod writer;

pub use error::LedgerError;
pub use journal::{Ledger, LedgerSettings, Recovery};
pub use recording::{AnswerSample, RecordError, RecordedEvent, Recorder, SampleValue};
