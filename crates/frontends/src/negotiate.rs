//! Agreeing on encryption with a client, up to the first bytes of its start-up packet.
//!
//! PostgreSQL manual, "SSL Session Encryption" and "GSSAPI Session Encryption"; PostgreSQL 17 adds
//! TLS from the first byte on (`sslnegotiation=direct`).

use crate::fatal;
use crate::listener::Incoming;
use crate::stream::{ClientIo, ClientStream};
use crate::tls::ALPN;
use bytes::BytesMut;
use portcullis_core::masked::Masked;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

/// The longest start-up packet a server takes (`MAX_STARTUP_PACKET_LENGTH`), in bytes.
const LONGEST_STARTUP: usize = 10_000;
/// How long a client that gets no session is listened to, so that it can read why.
const FAREWELL: Duration = Duration::from_millis(500);
/// The first byte of a TLS handshake record (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 0x16;

const SSL_REQUEST: u32 = 80_877_103;
const GSSENC_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;

/// A client with which encryption is agreed on.
#[derive(Debug)]
pub struct Accepted {
    /// The socket.
    pub stream: ClientStream,
    /// What has been read of the first packet: its length and code, and perhaps more.
    pub start: BytesMut,
    /// What the first packet is.
    pub opening: Opening,
    /// The client's address.
    pub peer: SocketAddr,
    /// True inside TLS. Off loopback it is always true, but for a cancel request.
    pub encrypted: bool,
    /// The host name the client asked for in TLS (SNI).
    pub server_name: Option<String>,
}

/// What a first packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// A start-up packet (of whatever version), or what claims to be one.
    Startup,
    /// A cancel request. It is taken without TLS too: libpq before version 17 sends it in no other
    /// way. It can do no more than its key allows.
    Cancel,
}

/// A client with which nothing could be agreed on. It has been told, where it can be.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// It went away before it said anything: a health check, most likely.
    #[error("the client went away without a word")]
    Silent,
    /// It took too long.
    #[error("the client did not log in in time")]
    Timeout,
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The handshake failed.
    #[error("TLS with the client failed: {0}")]
    Tls(io::Error),
    /// What it sent is no PostgreSQL start-up.
    #[error("the client does not speak the PostgreSQL protocol: {0}")]
    Protocol(&'static str),
    /// It wants plain text from another machine.
    #[error("the client asked for a session without TLS")]
    PlainText,
}

/// True for addresses of this machine.
fn is_loopback(peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback()
}

pub(crate) async fn negotiate(incoming: Incoming) -> Result<Accepted, AcceptError> {
    let deadline = incoming.deadline;
    let opened = timeout_at(deadline, open(incoming)).await;
    let (mut accepted, fault) = match opened.map_err(|_| AcceptError::Timeout)?? {
        (accepted, None) => return Ok(accepted),
        (accepted, Some(fault)) => (accepted, fault),
    };
    // The client is told within what is left of its time, and of ours.
    let told = timeout_at(deadline, timeout(FAREWELL, farewell(&mut accepted, &fault))).await;
    let _ = told;
    Err(fault)
}

/// Opens the stream; with a fault where the client is to be told that it gets no session.
async fn open(incoming: Incoming) -> Result<(Accepted, Option<AcceptError>), AcceptError> {
    let Incoming { tcp, peer, tls, slot, deadline } = incoming;
    // The socket was taken in on another runtime than the one that runs this.
    let mut tcp = TcpStream::from_std(tcp.into_std()?)?;
    let mut start = BytesMut::with_capacity(1024);
    let mut fault = None;
    let wants_tls = match agree(&mut tcp, tls.is_some(), &mut start).await {
        Ok(wants) => wants,
        Err(error @ AcceptError::Protocol(_)) => {
            fault = Some(error);
            Wants::Plain
        }
        Err(error) => return Err(error),
    };
    let (mut io, server_name) = match (wants_tls, tls) {
        (Wants::Tls { direct }, Some(tls)) => {
            let accepting = TlsAcceptor::from(tls.config).accept(tcp);
            let stream = accepting.await.map_err(AcceptError::Tls)?;
            let (_, connection) = stream.get_ref();
            // Without it, bytes meant for another protocol could be brought here (ALPACA).
            if direct && connection.alpn_protocol() != Some(ALPN) {
                return Err(AcceptError::Protocol("direct TLS without ALPN `postgresql`"));
            }
            let server_name = connection.server_name().map(str::to_owned);
            (ClientIo::Tls(Box::new(stream)), server_name)
        }
        _ => (ClientIo::Plain(tcp), None),
    };
    let encrypted = matches!(io, ClientIo::Tls(_));
    if encrypted {
        fill(&mut io, &mut start).await?;
    }
    let opening = match first_packet(&start) {
        Some((CANCEL_REQUEST, _)) => Opening::Cancel,
        _ => Opening::Startup,
    };
    let fault = fault.or_else(|| find_fault(&start, opening, encrypted, peer));
    let stream = ClientStream::new(io, slot, deadline);
    Ok((Accepted { stream, start, opening, peer, encrypted, server_name }, fault))
}

/// What a client wants to speak.
enum Wants {
    Plain,
    Tls { direct: bool },
}

/// Answers requests for encryption until the client begins to speak in earnest.
async fn agree(tcp: &mut TcpStream, tls: bool, start: &mut BytesMut) -> Result<Wants, AcceptError> {
    let mut first = [0];
    if tcp.peek(&mut first).await? == 0 {
        return Err(AcceptError::Silent);
    }
    if first == [TLS_HANDSHAKE] {
        let none = || AcceptError::Tls(io::Error::other("this listener has no certificate"));
        return if tls { Ok(Wants::Tls { direct: true }) } else { Err(none()) };
    }
    let (mut ssl_asked, mut gss_asked) = (false, false);
    loop {
        fill(tcp, start).await?;
        match first_packet(start) {
            Some((SSL_REQUEST, 8)) if !ssl_asked => {
                // What came with the request came in plain text, and would be taken for what came
                // inside TLS (CVE-2021-23214).
                if start.len() > 8 {
                    return Err(AcceptError::Protocol("unencrypted data after SSLRequest"));
                }
                start.clear();
                if tls {
                    tcp.write_all(b"S").await?;
                    return Ok(Wants::Tls { direct: false });
                }
                ssl_asked = true;
            }
            Some((GSSENC_REQUEST, 8)) if !gss_asked => {
                if start.len() > 8 {
                    return Err(AcceptError::Protocol("unencrypted data after GSSENCRequest"));
                }
                start.clear();
                gss_asked = true;
            }
            _ => return Ok(Wants::Plain),
        }
        tcp.write_all(b"N").await?;
    }
}

/// Reads until length and code of a packet are there.
async fn fill<S: tokio::io::AsyncRead + Unpin>(
    stream: &mut S,
    start: &mut BytesMut,
) -> Result<(), AcceptError> {
    while start.len() < 8 {
        if stream.read_buf(start).await? == 0 {
            let silent = start.is_empty();
            let half = AcceptError::Protocol("it hung up in the middle of its first packet");
            return Err(if silent { AcceptError::Silent } else { half });
        }
    }
    Ok(())
}

/// Code and length of the first packet.
fn first_packet(start: &[u8]) -> Option<(u32, usize)> {
    let [a, b, c, d, e, f, g, h] = *start.first_chunk()?;
    Some((u32::from_be_bytes([e, f, g, h]), u32::from_be_bytes([a, b, c, d]) as usize))
}

/// Why this first packet leads to no session, if it does not.
fn find_fault(
    start: &[u8],
    opening: Opening,
    encrypted: bool,
    peer: SocketAddr,
) -> Option<AcceptError> {
    match first_packet(start) {
        Some((_, length)) if !(8..=LONGEST_STARTUP).contains(&length) => {
            Some(AcceptError::Protocol("the length of its first packet cannot be"))
        }
        Some((SSL_REQUEST | GSSENC_REQUEST, _)) => {
            Some(AcceptError::Protocol("a second request for encryption"))
        }
        Some(_) if encrypted || opening == Opening::Cancel || is_loopback(peer) => None,
        Some(_) => Some(AcceptError::PlainText),
        None => Some(AcceptError::Protocol("no first packet")),
    }
}

/// Tells the client why it gets no session, and hears it out for a moment: closing a socket with
/// bytes unread would take the message back.
async fn farewell(accepted: &mut Accepted, fault: &AcceptError) -> io::Result<()> {
    let (code, text) = match fault {
        AcceptError::PlainText => (
            fatal::NOT_THIS_WAY,
            "this gateway takes sessions from other machines inside TLS alone; \
             connect with sslmode=require or stricter",
        ),
        _ => (fatal::PROTOCOL, "this is not a PostgreSQL start-up packet"),
    };
    let message = Masked::authored_assertion(fatal::message(code, text));
    accepted.stream.write(&message).await?;
    accepted.stream.close().await?;
    let mut rest = BytesMut::new();
    while accepted.stream.read(&mut rest).await? > 0 {
        rest.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::{Listener, ListenerSettings};
    use crate::tls::ServerTls;

    const STARTUP: &[u8] = b"\0\0\0\x10\0\x03\0\0user\0a\0\0";
    const CANCEL: &[u8] = b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02";
    const SSL: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";

    /// What becomes of a client at `peer` that says `bytes`, and what it is told.
    async fn meet(peer: &str, tls: bool, bytes: &[u8]) -> (Result<Accepted, AcceptError>, String) {
        let home = tempfile::tempdir().unwrap();
        let tls = tls.then(|| ServerTls::generated(home.path(), &[]).unwrap());
        let settings = ListenerSettings::at("127.0.0.1:0".parse().unwrap());
        let listener = Listener::bind(&settings, tls).unwrap();
        let mut client = TcpStream::connect(listener.address()).await.unwrap();
        let mut incoming = listener.accept().await.unwrap();
        incoming.peer = peer.parse().unwrap();
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let mut told = Vec::new();
        let met = incoming.negotiate().await;
        if let Ok(accepted) = met {
            return (Ok(accepted), String::new());
        }
        // A socket closed with a handshake unread is reset; what was told before that counts.
        let _ = client.read_to_end(&mut told).await;
        (met, String::from_utf8_lossy(&told).into_owned())
    }

    #[tokio::test]
    async fn plain_text_is_for_loopback_alone() {
        for peer in ["127.0.0.1:9", "127.8.8.8:9", "[::1]:9", "[::ffff:127.0.0.1]:9"] {
            let (met, _) = meet(peer, true, STARTUP).await;
            let accepted = met.unwrap();
            assert_eq!((accepted.encrypted, &accepted.start[..]), (false, STARTUP));
            assert_eq!(accepted.opening, Opening::Startup);
        }
        for peer in ["192.0.2.7:9", "[2001:db8::1]:9", "[::ffff:192.0.2.7]:9", "0.0.0.0:9"] {
            for tls in [true, false] {
                let (met, told) = meet(peer, tls, STARTUP).await;
                assert!(matches!(met, Err(AcceptError::PlainText)), "{peer}: {met:?}");
                assert!(told.contains("C28000\0") && told.contains("sslmode=require"), "{told}");
            }
            let (met, _) = meet(peer, true, CANCEL).await;
            let accepted = met.unwrap();
            assert_eq!((accepted.opening, &accepted.start[..]), (Opening::Cancel, CANCEL));
        }
    }

    #[tokio::test]
    async fn what_is_no_start_up_packet_is_told_so() {
        let two_gigabytes = b"\x7f\xff\xff\xff\0\x03\0\0";
        let smuggled = [SSL, STARTUP].concat();
        for bytes in [
            &two_gigabytes[..],
            b"GET / HTTP/1.1\r\n\r\n",
            b"\0\0\0\x07\0\x03\0\0",
            b"\0\0\0\x00\0\x03\0\0",
            &smuggled,
            b"\0\0\0\x09\x04\xd2\x16\x2f\0",
            b"\0\0\0\x08\x04\xd2\x16\x30\0\0\0\x08\x04\xd2\x16\x30",
        ] {
            let (met, told) = meet("127.0.0.1:9", true, bytes).await;
            assert!(matches!(met, Err(AcceptError::Protocol(_))), "{bytes:?}: {met:?}");
            assert!(told.starts_with('E') && told.contains("C08P01\0"), "{bytes:?}: {told}");
        }
        let (met, told) = meet("127.0.0.1:9", true, b"\0\0\0").await;
        assert!(matches!(met, Err(AcceptError::Protocol(_))) && told.starts_with('E'));
        let (met, told) = meet("127.0.0.1:9", true, b"").await;
        assert!(matches!(met, Err(AcceptError::Silent)) && told.is_empty());
        let (met, _) = meet("127.0.0.1:9", false, b"\x16\x03\x01\x02\0\x01").await;
        assert!(matches!(met, Err(AcceptError::Tls(_))));
        let (met, _) = meet("127.0.0.1:9", true, b"\x16\x03\x01\xff\xff\xff").await;
        assert!(matches!(met, Err(AcceptError::Tls(_))));
    }

    proptest::proptest! {
        #[test]
        fn no_first_packet_brings_plain_text_in(bytes: [u8; 8]) {
            let peer = "192.0.2.7:9".parse().unwrap();
            let opening = match first_packet(&bytes) {
                Some((CANCEL_REQUEST, _)) => Opening::Cancel,
                _ => Opening::Startup,
            };
            let fault = find_fault(&bytes, opening, false, peer);
            proptest::prop_assert!(fault.is_some() || opening == Opening::Cancel);
        }
    }
}
