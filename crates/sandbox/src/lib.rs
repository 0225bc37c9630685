//! Real servers in temporary directories, for the demo and for tests.
//!
//! Everything listens on loopback, runs as an unprivileged user, and is ended by the process id it
//! was started with.

pub mod postgres;
pub mod process;
