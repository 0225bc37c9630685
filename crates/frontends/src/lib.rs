//! Listeners, TLS and client-side handshakes: the near side of the life of a request.
//!
//! A [`Listener`] takes sockets in within limits, [`Incoming::negotiate`] agrees on encryption and
//! hands over the first bytes of the start-up packet unread, and a [`ClientStream`] carries the
//! session: bytes in, [`Masked`](portcullis_core::masked::Masked) values out.
//!
//! *Architecture invariant:* this crate has no way to the crate that holds target credentials, and
//! a client's socket takes nothing but masked values. `tests/edges.rs` holds the first.

mod fatal;
mod listener;
mod negotiate;
mod stream;
mod tls;

pub use listener::{Incoming, ListenError, Listener, ListenerSettings, neighbourhood};
pub use negotiate::{AcceptError, Accepted, Opening};
pub use stream::{ClientReader, ClientStream, ClientWriter};
pub use tls::{ServerTls, TlsError, TlsSettings};
