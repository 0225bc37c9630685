//! The owner of a target's socket. A caller's bytes get through it in one way: inside a permit.
//!
//! *Architecture invariant:* a link is no `AsyncWrite`, lends out no transport, and has four ways
//! to send: a [`Permit`], data that continues a permitted request, a chore of the gateway's own
//! closed set, and a [`RehearsalPermit`]. From a rehearsal on it takes no chore that would keep what
//! was changed, and no request that ends transactions, until the rehearsal is undone or is kept under
//! a permit for the same request.
//!
//! It writes and reads at the same time: a target may answer before it has read everything, and
//! stop reading until its answers are taken.

use crate::effect::{Certainty, ObjectKind, Verb};
use crate::gate::Admission;
use crate::mask::MaskFailure;
use crate::masked::Raw;
use crate::permit::{InFlight, Permit, RehearsalPermit, Rehearsing};
use crate::protocol::{Chore as _, Ending, Protocol, Request as _};
use bytes::BytesMut;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

/// A byte stream to a target, made by a dialer. Polled, so that a link can write and read at the
/// same time.
pub trait Transport: Send {
    /// Writes some of `bytes`, which are not empty: at least one of them.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Gets what was written on its way.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Reads what is there, at least one byte, appending to `buffer`; 0 at the end of the stream.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut BytesMut)
    -> Poll<io::Result<usize>>;
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
    /// A chore was given up before its end, so that nobody knows what an answer belongs to.
    #[error("the link to the target was given up in the middle of a chore")]
    Abandoned,
    /// Changes that were rehearsed would be kept without a permit for them.
    #[error("what was rehearsed is neither undone nor permitted yet")]
    Rehearsing,
}

/// What a link has got done.
#[derive(Debug)]
pub enum Progress<A> {
    /// Everything that was to be sent has been sent.
    Sent,
    /// The target has answered.
    Answer(Raw<A>),
}

/// What waits to be written.
enum Unsent<P: Protocol> {
    Request(P::Request),
    Feed(P::Feed),
    Chore(Vec<u8>),
}

impl<P: Protocol> Unsent<P> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Request(request) => request.wire_bytes(),
            Self::Feed(feed) => feed.as_ref(),
            Self::Chore(bytes) => bytes,
        }
    }
}

/// The only owner of the socket to a target.
pub struct Link<P: Protocol, T: Transport> {
    transport: T,
    buffer: BytesMut,
    unsent: VecDeque<Unsent<P>>,
    /// Bytes of the first of them that are written.
    written: usize,
    flushed: bool,
    /// Writing has failed; what the target said before that is still read.
    failed: Option<io::Error>,
    /// True within [`Link::run`].
    busy: bool,
    /// True from a rehearsal on until it is undone or kept.
    rehearsing: bool,
    /// What the target has answered to a rehearsal, to be read under the permit that keeps it.
    answered: VecDeque<P::Answer>,
}

impl<P: Protocol, T: Transport> Link<P, T> {
    /// A link over a transport that has been dialed and authenticated for `admission`, which is
    /// used up.
    pub fn new(admission: Admission<P>, transport: T) -> Self {
        drop(admission);
        Self {
            transport,
            buffer: BytesMut::new(),
            unsent: VecDeque::new(),
            written: 0,
            flushed: true,
            failed: None,
            busy: false,
            rehearsing: false,
            answered: VecDeque::new(),
        }
    }

    /// Takes a permitted request, spending the permit. It is written while answers are awaited
    /// ([`Link::receive`], [`Link::progress`]).
    ///
    /// # Errors
    /// [`LinkError::Abandoned`]; [`LinkError::Rehearsing`] where it could keep what is rehearsed.
    pub fn send(&mut self, permit: Permit<P>) -> Result<InFlight<P>, LinkError> {
        self.ready_for_more()?;
        if self.rehearsing && !only_looks(permit.request()) {
            return Err(LinkError::Rehearsing);
        }
        let (request, flight) = permit.depart();
        self.unsent.push_back(Unsent::Request(request));
        Ok(flight)
    }

    /// Takes a request that is run for show, within a transaction of the gateway's own.
    ///
    /// # Errors
    /// [`LinkError::Abandoned`]; [`LinkError::Rehearsing`] where another one is under way.
    pub fn rehearse(&mut self, permit: RehearsalPermit<P>) -> Result<Rehearsing<P>, LinkError> {
        self.ready_for_more()?;
        if std::mem::replace(&mut self.rehearsing, true) {
            return Err(LinkError::Rehearsing);
        }
        let (request, rehearsing) = permit.depart();
        self.unsent.push_back(Unsent::Request(request));
        Ok(rehearsing)
    }

    /// Lets a rehearsal count as the request that is permitted now, spending the permit: what it
    /// changed may be kept, and its answer is read once more, in order, under this permit.
    ///
    /// # Errors
    /// [`LinkError::Rehearsing`] where it was another request.
    pub fn keep(
        &mut self,
        rehearsed: Rehearsing<P>,
        permit: Permit<P>,
    ) -> Result<InFlight<P>, LinkError> {
        self.ready_for_more()?;
        let answers = rehearsed.answers_to(permit.request()).filter(|_| self.rehearsing);
        self.answered = answers.ok_or(LinkError::Rehearsing)?.into();
        self.rehearsing = false;
        Ok(permit.depart().1)
    }

    /// Takes data that continues a request in flight (rows copied in), if that request takes it.
    /// It is written as for [`Link::send`].
    ///
    /// # Errors
    /// [`LinkError::Unasked`] where it does not.
    pub fn feed(&mut self, flight: &InFlight<P>, feed: P::Feed) -> Result<(), LinkError> {
        self.ready_for_more()?;
        if !P::takes_feed(&flight.masker, &feed) {
            return Err(LinkError::Unasked);
        }
        self.unsent.push_back(Unsent::Feed(feed));
        Ok(())
    }

    /// True where nothing waits to be written.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.unsent.is_empty() && self.flushed
    }

    /// Writes what waits and reads the next answer. Cancel-safe.
    ///
    /// # Errors
    /// [`LinkError`] where the target is gone or breaks its protocol.
    pub async fn receive(&mut self) -> Result<Raw<P::Answer>, LinkError> {
        self.ready_for_more()?;
        poll_fn(|cx| self.poll_answer(cx)).await
    }

    /// As [`Link::receive`], but comes back as well once everything that waited is written.
    /// Cancel-safe.
    ///
    /// # Errors
    /// As [`Link::receive`].
    pub async fn progress(&mut self) -> Result<Progress<P::Answer>, LinkError> {
        self.ready_for_more()?;
        poll_fn(|cx| {
            if !self.is_sent() && self.poll_send(cx).is_ready() {
                return Poll::Ready(Ok(Progress::Sent));
            }
            self.poll_answer(cx).map_ok(Progress::Answer)
        })
        .await
    }

    /// Runs one of the gateway's own chores to its end. Only between requests. Dropped before it
    /// is ready, it leaves a link that does nothing any more.
    ///
    /// # Errors
    /// [`LinkError`] as for [`Link::receive`].
    pub async fn run(
        &mut self,
        mut chore: P::Chore,
    ) -> Result<<P::Chore as crate::protocol::Chore>::Outcome, LinkError> {
        self.ready_for_more()?;
        let ending = chore.ending();
        if self.rehearsing && ending == Ending::Keeps {
            return Err(LinkError::Rehearsing);
        }
        self.busy = true;
        self.unsent.push_back(Unsent::Chore(chore.wire_bytes()));
        loop {
            let answer = poll_fn(|cx| self.poll_answer(cx)).await?.open();
            if let Some(outcome) = chore.absorb(answer)? {
                self.busy = false;
                self.rehearsing &= ending != Ending::Undoes;
                return Ok(outcome);
            }
        }
    }

    fn ready_for_more(&self) -> Result<(), LinkError> {
        if self.busy { Err(LinkError::Abandoned) } else { Ok(()) }
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Raw<P::Answer>, LinkError>> {
        if let Some(answer) = self.answered.pop_front() {
            return Poll::Ready(Ok(Raw::new(answer)));
        }
        // Ready or not: what the target says is read meanwhile.
        let _ = self.poll_send(cx);
        loop {
            if let Some(answer) = P::split(&mut self.buffer)? {
                return Poll::Ready(Ok(Raw::new(answer)));
            }
            match ready!(self.transport.poll_read(cx, &mut self.buffer)) {
                Ok(0) => {
                    let error = self.failed.take().map_or(LinkError::Closed, LinkError::Io);
                    return Poll::Ready(Err(error));
                }
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(self.failed.take().unwrap_or(error).into())),
            }
        }
    }

    /// Writes what waits, as far as the target takes it. Once that has failed nothing waits any
    /// more, and reading tells why.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_sent() {
            return Poll::Ready(());
        }
        if let Err(error) = ready!(self.poll_write_all(cx)) {
            self.failed.get_or_insert(error);
            self.unsent.clear();
            self.flushed = true;
        }
        Poll::Ready(())
    }

    fn poll_write_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(first) = self.unsent.front() {
            match first.bytes().get(self.written..) {
                None | Some([]) => {
                    self.unsent.pop_front();
                    self.written = 0;
                }
                Some(rest) => {
                    let count = ready!(self.transport.poll_write(cx, rest))?;
                    if count == 0 {
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    self.written += count;
                    self.flushed = false;
                }
            }
        }
        ready!(self.transport.poll_flush(cx))?;
        self.flushed = true;
        Poll::Ready(Ok(()))
    }
}

/// True for a request that reads, and neither changes anything nor ends a transaction.
fn only_looks<R: crate::protocol::Request>(request: &R) -> bool {
    request.operation().effects.iter().all(|effect| match effect.verb {
        Verb::Read => effect.certainty != Certainty::Unreadable,
        Verb::Control => effect.object.kind == ObjectKind::Session,
        _ => false,
    })
}
