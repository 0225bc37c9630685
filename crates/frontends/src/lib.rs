//! Listeners, TLS and client-side handshakes
