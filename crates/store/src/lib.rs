//! Control-plane state over SQLite
