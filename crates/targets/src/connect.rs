//! Opening the socket to a target: name, socket, TLS. Nothing about who we are is said here.

use crate::error::{DialError, Step};
use crate::settings::Target;
use crate::tls::{TlsPlan, end_point, ends};
use crate::transport::{PgTransport, Stream};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};

/// `SSLRequest`: length 8, code 80877103.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Where a socket leads.
#[derive(Debug, Clone)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// How far the other side of a socket can be believed before it has proved anything.
#[derive(Debug, Clone)]
pub(crate) struct Security {
    /// Nothing leaves this machine.
    pub(crate) local: bool,
    /// TLS is on.
    pub(crate) encrypted: bool,
    /// TLS is on and the certificate was checked.
    pub(crate) verified: bool,
    /// What a log-in is bound to: `tls-server-end-point`, where it is defined.
    pub(crate) binding: Option<Vec<u8>>,
    /// When the certificate runs out, in seconds since 1970.
    pub(crate) certificate_ends: Option<i64>,
}

/// An open socket.
pub(crate) struct Opened {
    pub(crate) transport: PgTransport,
    pub(crate) security: Security,
    pub(crate) address: Address,
}

/// Opens a socket to the target, and TLS on it as its plan says.
pub(crate) async fn open(
    target: &Target,
    plan: Option<&TlsPlan>,
    deadline: Instant,
) -> Result<Opened, DialError> {
    if target.is_unix() {
        let path = PathBuf::from(format!("{}/.s.PGSQL.{}", target.host, target.port));
        return open_at(Address::Unix(path), plan, target.tcp_keepalive, deadline).await;
    }
    let mut addresses = resolve(target, deadline).await?;
    let mut left = addresses.len();
    loop {
        let Some(address) = addresses.pop() else {
            let why = "it has no address".to_owned();
            return Err(DialError::Resolve { host: target.host.clone(), why });
        };
        // A dead address may not use up the time of the others.
        let now = Instant::now();
        let share = deadline.saturating_duration_since(now) / u32::try_from(left).unwrap_or(1);
        match connect_tcp(address, target.tcp_keepalive, now + share).await {
            Ok(stream) => {
                let mut opened = secure(stream, address, plan, deadline).await?;
                // A name that happens to lead here today may lead elsewhere tomorrow.
                opened.security.local &= target.is_local();
                return Ok(opened);
            }
            Err(error) if left == 1 => return Err(error),
            Err(_) => left -= 1,
        }
    }
}

/// Opens a further socket to an address that a target was found at.
pub(crate) async fn open_at(
    address: Address,
    plan: Option<&TlsPlan>,
    keepalive: bool,
    deadline: Instant,
) -> Result<Opened, DialError> {
    match address {
        Address::Tcp(address) => {
            let stream = connect_tcp(address, keepalive, deadline).await?;
            secure(stream, address, plan, deadline).await
        }
        Address::Unix(path) => {
            let connecting = timeout_at(deadline, UnixStream::connect(&path)).await;
            let stream = connecting
                .map_err(|_| DialError::Timeout(Step::Connecting))?
                .map_err(|error| DialError::Io { doing: Step::Connecting, error })?;
            let security = Security {
                local: true,
                encrypted: false,
                verified: false,
                binding: None,
                certificate_ends: None,
            };
            let transport = PgTransport::new(Stream::Unix(stream));
            Ok(Opened { transport, security, address: Address::Unix(path) })
        }
    }
}

/// The target's addresses, the one to be tried first at the end.
async fn resolve(target: &Target, deadline: Instant) -> Result<Vec<SocketAddr>, DialError> {
    let host = target.host.as_str();
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, target.port)]);
    }
    let unresolved = |why: String| DialError::Resolve { host: host.to_owned(), why };
    let found = timeout_at(deadline, tokio::net::lookup_host((host, target.port))).await;
    let found = found
        .map_err(|_| DialError::Timeout(Step::Resolving))?
        .map_err(|e| unresolved(e.to_string()))?;
    // What is let off lightly for being local has to be local.
    let local = target.is_local();
    let mut addresses: Vec<SocketAddr> =
        found.filter(|a| !local || is_loopback(a.ip())).take(16).collect();
    if addresses.is_empty() {
        return Err(unresolved("it has no address".to_owned()));
    }
    addresses.reverse();
    Ok(addresses)
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

async fn connect_tcp(
    address: SocketAddr,
    keepalive: bool,
    deadline: Instant,
) -> Result<TcpStream, DialError> {
    let connect = async {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_nodelay(true)?;
        socket.set_keepalive(keepalive)?;
        socket.connect(address).await
    };
    timeout_at(deadline, connect)
        .await
        .map_err(|_| DialError::Timeout(Step::Connecting))?
        .map_err(|error| DialError::Io { doing: Step::Connecting, error })
}

async fn secure(
    mut stream: TcpStream,
    address: SocketAddr,
    plan: Option<&TlsPlan>,
    deadline: Instant,
) -> Result<Opened, DialError> {
    let mut security = Security {
        local: is_loopback(address.ip()),
        encrypted: false,
        verified: false,
        binding: None,
        certificate_ends: None,
    };
    let agreed = timeout_at(deadline, agree_on_tls(&mut stream, plan)).await;
    let stream = match agreed.map_err(|_| DialError::Timeout(Step::Securing))?? {
        None => Stream::Tcp(stream),
        Some(plan) => {
            let connector = tokio_rustls::TlsConnector::from(plan.config.clone());
            let handshake = connector.connect(plan.name.clone(), stream);
            let stream = timeout_at(deadline, handshake)
                .await
                .map_err(|_| DialError::Timeout(Step::Securing))?
                .map_err(|error| DialError::Tls(error.to_string()))?;
            let (_, connection) = stream.get_ref();
            let certificate = connection.peer_certificates().and_then(<[_]>::first);
            security.encrypted = true;
            security.verified = plan.verified;
            security.binding = certificate.and_then(end_point);
            security.certificate_ends = certificate.and_then(ends);
            Stream::Tls(Box::new(stream))
        }
    };
    let transport = PgTransport::new(stream);
    Ok(Opened { transport, security, address: Address::Tcp(address) })
}

/// Asks for TLS (PostgreSQL manual, "SSL Session Encryption"); `None` where it is not used.
async fn agree_on_tls<'a>(
    stream: &mut TcpStream,
    plan: Option<&'a TlsPlan>,
) -> Result<Option<&'a TlsPlan>, DialError> {
    let Some(plan) = plan else { return Ok(None) };
    let failed = |error| DialError::Io { doing: Step::Securing, error };
    stream.write_all(&SSL_REQUEST).await.map_err(failed)?;
    // More room than the one byte of the answer, to see what was put behind it in plain text and
    // would be taken for encrypted (CVE-2021-23222). A server says nothing before our handshake.
    let mut answer = [0u8; 64];
    let count = stream.read(&mut answer).await.map_err(failed)?;
    match answer.get(..count).unwrap_or_default() {
        [] => Err(failed(io::ErrorKind::UnexpectedEof.into())),
        [b'S'] => Ok(Some(plan)),
        [b'N'] if plan.optional => Ok(None),
        [b'N'] => Err(DialError::NoTls),
        // An error text is not shown: nobody has vouched for it (CVE-2024-10977).
        [b'E', ..] => Err(DialError::Protocol("an error in answer to SSLRequest")),
        [b'S' | b'N', ..] => Err(DialError::Protocol("unencrypted data after SSLRequest")),
        _ => Err(DialError::Protocol("an unknown answer to SSLRequest")),
    }
}
