//! PostgreSQL frontend/backend protocol 3 (PostgreSQL manual, chapter "Frontend/Backend Protocol").

pub mod bound;
pub mod conversation;
pub mod message;
pub mod names;
pub mod opening;
pub mod script;
pub mod unit;
