//! The whole against real clients and real servers.
