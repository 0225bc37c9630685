//! PostgreSQL frontend/backend protocol 3 (PostgreSQL manual, chapter "Frontend/Backend Protocol").

pub mod script;
