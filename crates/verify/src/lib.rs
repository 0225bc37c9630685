//! The offline verifier of Portcullis' record. Beside the life of a request: on an export, anywhere, with
//! nothing but the files and a public key.
//!
//! *Architecture invariant:* nothing of the gateway is in here, and nothing here writes a record: the
//! gateway may use this crate, never the other way round. It is written from `crates/ledger/FORMAT.md`
//! alone, and hashes and checks signatures with other libraries than the gateway, so that one mistake
//! cannot hide in both.

pub mod evidence;
mod levels;
pub mod plain;
pub mod proof;
mod removed;
mod tree;
pub mod verify;
pub mod visible;
