//! The byte stream to a target, below the link.

use bytes::BytesMut;
use portcullis_core::link::Transport;
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

/// Room made for a read on a quiet connection, in bytes.
const QUIET: usize = 16 * 1024;
/// Room made for a read while the target sends faster than that, in bytes.
const BUSY: usize = 256 * 1024;

/// A socket to a PostgreSQL server: plain, local or encrypted.
pub struct PgTransport {
    stream: Stream,
    room: usize,
}

pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl PgTransport {
    pub(crate) const fn new(stream: Stream) -> Self {
        Self { stream, room: QUIET }
    }

    /// Writes all of `bytes` and flushes them, for log-ins, where the peers take turns.
    pub(crate) async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = poll_fn(|cx| self.poll_write(cx, bytes)).await?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = bytes.get(count..).unwrap_or_default();
        }
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Reads what is there, for log-ins. Cancel-safe.
    pub(crate) async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, buffer)).await
    }

    fn writer(&mut self) -> &mut (dyn AsyncWrite + Send + Unpin) {
        match &mut self.stream {
            Stream::Tcp(stream) => stream,
            Stream::Unix(stream) => stream,
            Stream::Tls(stream) => stream.as_mut(),
        }
    }

    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        self.writer().shutdown().await
    }
}

impl std::fmt::Debug for PgTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.stream {
            Stream::Tcp(_) => "PgTransport(tcp)",
            Stream::Unix(_) => "PgTransport(unix)",
            Stream::Tls(_) => "PgTransport(tls)",
        })
    }
}

impl Transport for PgTransport {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self.writer()).poll_write(cx, bytes)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.writer()).poll_flush(cx)
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        let room = &mut self.room;
        // Before room is made: a target that says nothing, as it does most of the time, needs none.
        let ready = match &self.stream {
            Stream::Tcp(stream) => stream.poll_read_ready(cx)?,
            Stream::Unix(stream) => stream.poll_read_ready(cx)?,
            Stream::Tls(_) => Poll::Ready(()),
        };
        if ready.is_pending() {
            rest(buffer, room, 0);
            return Poll::Pending;
        }
        match &mut self.stream {
            Stream::Tcp(stream) => poll_read_some(stream, cx, buffer, room),
            Stream::Unix(stream) => poll_read_some(stream, cx, buffer, room),
            Stream::Tls(stream) => poll_read_some(stream.as_mut(), cx, buffer, room),
        }
    }
}

/// Reads what is there. The room made for it follows the traffic: it doubles while reads fill it,
/// and goes back as soon as nothing is waiting, so that an idle session holds little.
fn poll_read_some<S: AsyncRead + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    buffer: &mut BytesMut,
    room: &mut usize,
) -> Poll<io::Result<usize>> {
    // Under a quarter of the room is not worth a system call.
    if buffer.capacity() - buffer.len() < *room / 4 {
        buffer.reserve(*room);
    }
    let spare = buffer.capacity() - buffer.len();
    // The future holds nothing of its own: dropped before it is ready, it has read nothing.
    let read = pin!(stream.read_buf(buffer)).poll(cx);
    if read.is_pending() {
        rest(buffer, room, QUIET);
    }
    let count = ready!(read)?;
    if count >= spare && *room < BUSY {
        *room *= 2;
    }
    Poll::Ready(Ok(count))
}

/// Nothing more comes for now: of an empty buffer at most `keep` bytes are kept.
fn rest(buffer: &mut BytesMut, room: &mut usize, keep: usize) {
    if buffer.is_empty() && buffer.capacity() > keep {
        *buffer = BytesMut::with_capacity(keep);
    }
    *room = QUIET;
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_some<S: AsyncRead + Unpin>(
        stream: &mut S,
        buffer: &mut BytesMut,
        room: &mut usize,
    ) -> io::Result<usize> {
        poll_fn(|cx| poll_read_some(stream, cx, buffer, room)).await
    }

    #[tokio::test]
    async fn room_grows_under_load_and_goes_back_when_idle() {
        let (mut near, mut far) = tokio::io::duplex(1 << 20);
        far.write_all(&vec![7; 1 << 20]).await.unwrap();
        let (mut buffer, mut room, mut largest) = (BytesMut::new(), QUIET, 0);
        let mut total = 0;
        while total < 1 << 20 {
            total += read_some(&mut near, &mut buffer, &mut room).await.unwrap();
            largest = largest.max(room);
            buffer.clear();
        }
        assert_eq!(largest, BUSY);
        let idle = tokio::time::timeout(
            std::time::Duration::from_millis(20),
            read_some(&mut near, &mut buffer, &mut room),
        );
        assert!(idle.await.is_err());
        assert_eq!((room, buffer.capacity()), (QUIET, QUIET));
        far.write_all(b"x").await.unwrap();
        assert_eq!(read_some(&mut near, &mut buffer, &mut room).await.unwrap(), 1);
        assert_eq!(&buffer[..], b"x", "a dropped read has lost nothing");
        drop(far);
        assert_eq!(read_some(&mut near, &mut buffer, &mut room).await.unwrap(), 0);
    }
}
