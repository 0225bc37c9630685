//! A client's socket: bytes in, masked values out.
//!
//! *Architecture invariant:* the only bytes a client's socket takes are those of a
//! [`Masked`] value. Until the client is logged in, its time and its bytes are counted here, so
//! that no handshake has to remember to.

use crate::listener::Slot;
use bytes::BytesMut;
use portcullis_core::masked::Masked;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf, ReadHalf, WriteHalf,
};
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant, timeout, timeout_at};
use tokio_rustls::server::TlsStream;

/// The most a client may say before it is logged in, in bytes: a start-up packet, and a token that
/// carries a good many groups.
const MOST_BEFORE_LOGIN: usize = 128 * 1024;
/// Room made for a read of a quiet client, in bytes.
const QUIET: usize = 4 * 1024;
/// Room made for a read of a client that has filled it, in bytes.
const BUSY: usize = 64 * 1024;
/// Small messages are gathered up to here before they are written, in bytes.
const GATHERED: usize = 16 * 1024;

/// How long a client that is logged in may take nothing of what is written to it.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

pub(crate) enum ClientIo {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A client's connection. It counts among those that are logging in until
/// [`ClientStream::logged_in`], and among all until it is dropped.
#[derive(Debug)]
pub struct ClientStream {
    reader: ClientReader,
    writer: ClientWriter,
    slot: Slot,
}

/// The half that reads.
#[derive(Debug)]
pub struct ClientReader {
    io: ReadHalf<ClientIo>,
    /// Until when, and how many bytes more, before log-in.
    probation: Option<(Instant, usize)>,
    filled: bool,
}

/// The half that writes: masked values alone.
#[derive(Debug)]
pub struct ClientWriter {
    io: WriteHalf<ClientIo>,
    probation: Option<Instant>,
    patience: Duration,
    gathered: BytesMut,
    /// True where a message was written in part: nothing can be said after that.
    torn: bool,
}

impl ClientStream {
    pub(crate) fn new(io: ClientIo, slot: Slot, deadline: Instant) -> Self {
        let (read, write) = tokio::io::split(io);
        let probation = Some((deadline, MOST_BEFORE_LOGIN));
        Self {
            reader: ClientReader { io: read, probation, filled: false },
            writer: ClientWriter {
                io: write,
                probation: Some(deadline),
                patience: PATIENCE,
                gathered: BytesMut::new(),
                torn: false,
            },
            slot,
        }
    }

    /// The client has logged in: its time and bytes are its own from here on.
    pub fn logged_in(&mut self) {
        self.reader.probation = None;
        self.writer.probation = None;
        self.slot.logged_in();
    }

    /// When the client has to be logged in; `None` once it is.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.writer.probation
    }

    /// Both halves, for a task that reads while it writes.
    pub const fn halves(&mut self) -> (&mut ClientReader, &mut ClientWriter) {
        (&mut self.reader, &mut self.writer)
    }

    /// Closes the connection and throws away what is still on its way to the client (a reset, RFC 9293
    /// §3.10.5): for one that is to have nothing more.
    pub fn abort(self) {
        let io = self.reader.io.unsplit(self.writer.io);
        let tcp = match &io {
            ClientIo::Plain(tcp) => tcp,
            ClientIo::Tls(tls) => tls.get_ref().0,
        };
        // Where it cannot be set, the client has gone.
        let _ = tcp.set_zero_linger();
    }

    /// As [`ClientReader::read`].
    ///
    /// # Errors
    /// As [`ClientReader::read`].
    pub async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        self.reader.read(buffer).await
    }

    /// As [`ClientWriter::write`].
    ///
    /// # Errors
    /// As [`ClientWriter::write`].
    pub async fn write<T: AsRef<[u8]>>(&mut self, message: &Masked<T>) -> io::Result<()> {
        self.writer.write(message).await
    }

    /// As [`ClientWriter::flush`].
    ///
    /// # Errors
    /// As [`ClientWriter::flush`].
    pub async fn flush(&mut self) -> io::Result<()> {
        self.writer.flush().await
    }

    /// As [`ClientWriter::close`].
    ///
    /// # Errors
    /// As [`ClientWriter::close`].
    pub async fn close(&mut self) -> io::Result<()> {
        self.writer.close().await
    }
}

async fn in_time<T>(
    deadline: Option<Instant>,
    action: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let Some(deadline) = deadline else { return action.await };
    match timeout_at(deadline, action).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the client did not log in in time")),
    }
}

impl ClientReader {
    /// Reads what is there, at least one byte, appending to `buffer`; 0 once the client is gone.
    /// Cancel-safe: dropped before it is ready, it has read nothing.
    ///
    /// # Errors
    /// The socket has failed; or the client is not logged in, and has used up its time
    /// ([`io::ErrorKind::TimedOut`]) or its bytes ([`io::ErrorKind::QuotaExceeded`]).
    pub async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        if let Some((_, 0)) = self.probation {
            let text = "the client says too much before it is logged in";
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, text));
        }
        if buffer.is_empty() && buffer.capacity() > QUIET && !self.filled {
            *buffer = BytesMut::with_capacity(QUIET);
        }
        if buffer.capacity() - buffer.len() < QUIET / 4 {
            buffer.reserve(if self.filled { BUSY } else { QUIET });
        }
        let spare = buffer.capacity() - buffer.len();
        let deadline = self.probation.map(|(deadline, _)| deadline);
        let count = match in_time(deadline, self.io.read_buf(buffer)).await {
            // TLS without a farewell. Whole messages alone are acted on, so nothing is cut short.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            other => other?,
        };
        self.filled = count >= spare;
        if let Some((_, left)) = &mut self.probation {
            *left = left.saturating_sub(count);
        }
        Ok(count)
    }
}

impl ClientWriter {
    /// Writes a message. Small ones are gathered: [`ClientWriter::flush`] sends them.
    ///
    /// A write of a message over 16 KiB that is dropped in the middle, or fails there, leaves a
    /// writer that takes nothing any more.
    ///
    /// # Errors
    /// The client is gone, takes nothing for a minute ([`io::ErrorKind::TimedOut`]), or is not
    /// logged in and out of time.
    pub async fn write<T: AsRef<[u8]>>(&mut self, message: &Masked<T>) -> io::Result<()> {
        let bytes = message.get().as_ref();
        if self.gathered.len() + bytes.len() > GATHERED {
            self.send_gathered().await?;
        }
        if bytes.len() > GATHERED {
            return self.send(bytes).await;
        }
        self.gathered.extend_from_slice(bytes);
        Ok(())
    }

    /// Sends everything that was written. Cancel-safe: what a dropped flush has not sent, the next
    /// one sends.
    ///
    /// # Errors
    /// As [`ClientWriter::write`].
    pub async fn flush(&mut self) -> io::Result<()> {
        self.send_gathered().await?;
        patiently(self.probation, self.patience, self.io.flush()).await
    }

    /// Sends everything that was written and says that nothing more will come.
    ///
    /// # Errors
    /// As [`ClientWriter::write`].
    pub async fn close(&mut self) -> io::Result<()> {
        self.flush().await?;
        patiently(self.probation, self.patience, self.io.shutdown()).await
    }

    async fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.is_whole()?;
        self.torn = true;
        while !bytes.is_empty() {
            let sent = patiently(self.probation, self.patience, self.io.write(bytes)).await?;
            if sent == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = bytes.get(sent..).unwrap_or_default();
        }
        self.torn = false;
        Ok(())
    }

    async fn send_gathered(&mut self) -> io::Result<()> {
        self.is_whole()?;
        while !self.gathered.is_empty() {
            let writing = self.io.write_buf(&mut self.gathered);
            if patiently(self.probation, self.patience, writing).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    fn is_whole(&self) -> io::Result<()> {
        if self.torn {
            return Err(io::Error::other("a message to the client was cut off"));
        }
        Ok(())
    }
}

/// One step of writing: within what is left of the time for log-in, or a client's patience.
async fn patiently<T>(
    probation: Option<Instant>,
    patience: Duration,
    action: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    if probation.is_some() {
        return in_time(probation, action).await;
    }
    match timeout(patience, action).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")),
    }
}

impl std::fmt::Debug for ClientIo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "ClientIo(plain)",
            Self::Tls(_) => "ClientIo(tls)",
        })
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_read(cx, buffer),
            Self::Tls(io) => Pin::new(io).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write(cx, bytes),
            Self::Tls(io) => Pin::new(io).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_flush(cx),
            Self::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Self::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::{Listener, ListenerSettings};

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up_and_told_nothing_more() {
        let settings = ListenerSettings::at("127.0.0.1:0".parse().unwrap());
        let listener = Listener::bind(&settings, None).unwrap();
        let mut client = TcpStream::connect(listener.address()).await.unwrap();
        let incoming = listener.accept().await.unwrap();
        client.write_all(b"\0\0\0\x10\0\x03\0\0user\0a\0\0").await.unwrap();
        let mut stream = incoming.negotiate().await.unwrap().stream;
        stream.logged_in();
        stream.writer.patience = Duration::from_millis(200);
        let long = Masked::authored_assertion(vec![b'x'; 64 << 20]);
        let error = stream.write(&long).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        stream.write(&Masked::authored_assertion("one word more")).await.unwrap();
        assert!(stream.flush().await.is_err(), "in the middle of another message");
        drop(client);
    }
}
