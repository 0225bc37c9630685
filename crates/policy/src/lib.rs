//! Cedar schema, packs and the judge: may it run, may it run unreviewed, may it be seen.
//!
//! [`Policies`] are loaded once from files; each session gets its [`SessionPolicy`], which answers
//! for every request with a [`Decision`] and for every column with a [`Reveal`].
//!
//! *Architecture invariant:* no I/O and no clock here, and no fact given to Cedar holds a literal
//! of a request: policy decides on what a request does, never on the text it is written in.

mod cache;
mod facts;
mod load;
mod objects;
mod packs;
mod session;
mod words;

pub use facts::{GrantFacts, SCHEMA};
pub use load::{LoadedRule, Policies, PolicyError, Problem};
pub use objects::NamedObject;
pub use packs::{PACKS, pack};
pub use session::{
    Decision, ExplainedEffect, Hidden, MatchedRule, Reveal, SessionPolicy, both_rehearse,
};
