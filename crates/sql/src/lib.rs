//! Statements to facts: what a statement would do, to what, and where its answer comes from.
//!
//! Stands between the codec (which knows where a statement's text starts and ends) and the gate
//! (which judges effects). It reads no socket and no clock: the catalog it resolves names against
//! is an argument. Call it on threads with [`parse::REQUIRED_STACK`].

pub mod catalog;
pub mod facts;
pub mod known;
pub mod parse;
pub mod pattern;
pub mod shape;
pub mod statement;

pub use facts::analyse;
pub use known::Known;
pub use parse::{Limits, REQUIRED_STACK, parse};
