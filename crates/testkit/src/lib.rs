//! For tests: a gateway in front of a real server, a raw client that speaks bytes, wire scripts.

#![allow(
    clippy::indexing_slicing,
    clippy::expect_used,
    missing_docs,
    reason = "it runs in tests alone, where a panic is how one fails"
)]

pub mod arena;
pub mod authenticator;
pub mod between;
pub mod browser;
pub mod corpus;
pub mod leaks;
pub mod place;
pub mod raw;
pub mod script;
pub mod traps;
pub mod web;
