//! Sans-io codecs, a folder per protocol: bytes to requests held for the gate, answers to masked
//! bytes. No runtime, no socket, no clock: the same code replays recordings and is fuzzed.

pub mod pg;
