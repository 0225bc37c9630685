//! The owner of a target's socket. A caller's bytes get through it in one way: inside a permit.
//!
//! *Architecture invariant:* a link is no `AsyncWrite`, lends out no transport, and has three ways
//! to send: a [`Permit`], data that continues a permitted request, and a chore of the gateway's
//! own closed set.

use crate::gate::Admission;
use crate::mask::MaskFailure;
use crate::masked::Raw;
use crate::permit::{InFlight, Permit};
use crate::protocol::{Chore as _, Protocol, Request as _};
use bytes::BytesMut;
use std::future::Future;
use std::io;
use std::marker::PhantomData;

/// A byte stream to a target, made by a dialer.
pub trait Transport: Send {
    /// Writes all of `bytes` and flushes them.
    fn write_all(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<()>> + Send;

    /// Reads what is there, at least one byte, appending to `buffer`; 0 at the end of the stream.
    /// Cancel-safe: dropped before it is ready, it has read nothing.
    fn read(&mut self, buffer: &mut BytesMut) -> impl Future<Output = io::Result<usize>> + Send;
}

/// What can go wrong between gateway and target.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The socket failed.
    #[error("the connection to the target failed: {0}")]
    Io(#[from] io::Error),
    /// The target closed the connection.
    #[error("the target closed the connection")]
    Closed,
    /// What it sent cannot be passed on.
    #[error(transparent)]
    Answer(#[from] MaskFailure),
    /// Data was offered that no request in flight takes.
    #[error("no request in flight takes this data")]
    Unasked,
}

/// The only owner of the socket to a target.
pub struct Link<P: Protocol, T: Transport> {
    transport: T,
    buffer: BytesMut,
    protocol: PhantomData<fn() -> P>,
}

impl<P: Protocol, T: Transport> Link<P, T> {
    /// A link over a transport that has been dialed and authenticated for `admission`, which is
    /// used up.
    pub fn new(admission: Admission<P>, transport: T) -> Self {
        drop(admission);
        Self { transport, buffer: BytesMut::with_capacity(16 * 1024), protocol: PhantomData }
    }

    /// Sends a permitted request, spending the permit.
    ///
    /// # Errors
    /// [`LinkError::Io`]; whether the target has seen the request is then unknown.
    pub async fn send(&mut self, permit: Permit<P>) -> Result<InFlight<P>, LinkError> {
        let (request, flight) = permit.depart();
        self.transport.write_all(request.wire_bytes()).await?;
        Ok(flight)
    }

    /// Sends data that continues a request in flight (rows copied in), if that request takes it.
    ///
    /// # Errors
    /// [`LinkError::Unasked`] where it does not.
    pub async fn feed(&mut self, flight: &InFlight<P>, feed: &P::Feed) -> Result<(), LinkError> {
        if !P::takes_feed(&flight.masker, feed) {
            return Err(LinkError::Unasked);
        }
        Ok(self.transport.write_all(feed.as_ref()).await?)
    }

    /// Reads the next answer. Cancel-safe.
    ///
    /// # Errors
    /// [`LinkError`] where the target is gone or breaks its protocol.
    pub async fn receive(&mut self) -> Result<Raw<P::Answer>, LinkError> {
        loop {
            if let Some(answer) = P::split(&mut self.buffer)? {
                return Ok(Raw::new(answer));
            }
            if self.transport.read(&mut self.buffer).await? == 0 {
                return Err(LinkError::Closed);
            }
        }
    }

    /// Runs one of the gateway's own chores to its end. Only between requests.
    ///
    /// # Errors
    /// [`LinkError`] as for [`Link::receive`].
    pub async fn run(
        &mut self,
        mut chore: P::Chore,
    ) -> Result<<P::Chore as crate::protocol::Chore>::Outcome, LinkError> {
        self.transport.write_all(&chore.wire_bytes()).await?;
        loop {
            let answer = self.receive().await?.open();
            if let Some(outcome) = chore.absorb(answer)? {
                return Ok(outcome);
            }
        }
    }
}
