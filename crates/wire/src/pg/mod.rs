//! PostgreSQL frontend/backend protocol 3 (PostgreSQL manual, chapter "Frontend/Backend Protocol").

pub mod answer;
#[cfg(test)]
mod answer_tests;
pub mod backend;
mod body;
pub mod bound;
mod call;
pub mod chore;
pub mod conversation;
pub mod copy_in;
mod copy_out;
pub mod estimate;
pub mod frames;
pub mod message;
pub mod names;
pub mod opening;
pub mod protocol;
pub mod rehearsal;
mod report;
mod rewrite;
mod rows;
pub mod sample;
pub mod script;
pub mod server;
mod track;
pub mod unit;
