//! The byte stream to a target, below the link.

use bytes::BytesMut;
use portcullis_core::link::Transport;
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
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

    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.shutdown().await,
            Stream::Unix(stream) => stream.shutdown().await,
            Stream::Tls(stream) => stream.shutdown().await,
        }
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
    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes).await,
            Stream::Unix(stream) => stream.write_all(bytes).await,
            Stream::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Tcp(stream) => read_some(stream, buffer, &mut self.room).await,
            Stream::Unix(stream) => read_some(stream, buffer, &mut self.room).await,
            Stream::Tls(stream) => read_some(stream.as_mut(), buffer, &mut self.room).await,
        }
    }
}

/// Reads what is there. The room made for it follows the traffic: it doubles while reads fill it,
/// and goes back as soon as nothing is waiting, so that an idle session holds little.
async fn read_some<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
    room: &mut usize,
) -> io::Result<usize> {
    // Under a quarter of the room is not worth a system call.
    if buffer.capacity() - buffer.len() < *room / 4 {
        buffer.reserve(*room);
    }
    let spare = buffer.capacity() - buffer.len();
    let ready = poll_fn(|cx| {
        let read = pin!(stream.read_buf(buffer));
        Poll::Ready(read.poll(cx))
    });
    let count = match ready.await {
        Poll::Ready(result) => result?,
        Poll::Pending => {
            if buffer.is_empty() && *room > QUIET {
                *buffer = BytesMut::with_capacity(QUIET);
            }
            *room = QUIET;
            return stream.read_buf(buffer).await;
        }
    };
    if count >= spare && *room < BUSY {
        *room *= 2;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

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
