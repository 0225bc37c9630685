//! The words of Portcullis and the four invariants, held by types.
//!
//! Everything a request meets on its way is named here: the [`principal`] who asks, the
//! [`effect`]s it would have, the [`verdict`] a judge gives, the [`review`] a person decides, the
//! [`journal`] that records it, the [`gate`] that turns all of that into a [`permit::Permit`], the
//! [`link::Link`] that accepts nothing else, and the [`masked`] values that are all a client or a
//! recording ever sees.
//!
//! *Architecture invariant:* no clock, no socket, no runtime and no global lives in this crate.
//! Time is an argument, storage and people are traits.

pub mod access;
pub mod basis;
pub mod built_in;
pub mod digest;
pub mod effect;
pub mod fate;
pub mod freeze;
pub mod gate;
pub mod id;
pub mod journal;
pub mod limits;
pub mod link;
pub mod mask;
pub mod masked;
pub mod passkey;
pub mod pattern;
pub mod permit;
pub mod principal;
pub mod protocol;
pub mod refusal;
pub mod rehearsal;
pub mod review;
pub mod time;
pub mod verdict;
