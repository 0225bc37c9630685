//! Taking sockets in, within limits: nobody who has not logged in can use up the gateway.

use crate::fatal;
use crate::negotiate::{AcceptError, Accepted, negotiate};
use crate::tls::{ServerTls, TlsError, TlsSettings};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// The rest between two tries where the operating system has no more sockets to give.
const REST: Duration = Duration::from_millis(50);
/// Connections the operating system keeps waiting for us.
const BACKLOG: u32 = 1024;

/// Where PostgreSQL clients connect to, and how many of them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerSettings {
    /// Address and port.
    pub listen: SocketAddr,
    /// Certificate and key. Without them a self-signed pair for development is made and kept.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// Seconds from connecting until a client has to be logged in (1 to 600).
    #[serde(default = "default_login_timeout")]
    pub login_timeout_seconds: u16,
    /// Connections that may be logging in at once; further ones are closed.
    #[serde(default = "default_max_unauthenticated")]
    pub max_unauthenticated: u16,
    /// Of those, connections of one address (of one /64 where it is IPv6), so that one peer cannot
    /// shut the others out.
    #[serde(default = "default_max_unauthenticated_per_address")]
    pub max_unauthenticated_per_address: u16,
    /// Connections altogether; further ones are closed.
    #[serde(default = "default_max_connections")]
    pub max_connections: u32,
}

const fn default_login_timeout() -> u16 {
    10
}

const fn default_max_unauthenticated() -> u16 {
    512
}

const fn default_max_unauthenticated_per_address() -> u16 {
    128
}

const fn default_max_connections() -> u32 {
    10_000
}

impl ListenerSettings {
    /// Settings with every default, for an address.
    #[must_use]
    pub const fn at(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            login_timeout_seconds: default_login_timeout(),
            max_unauthenticated: default_max_unauthenticated(),
            max_unauthenticated_per_address: default_max_unauthenticated_per_address(),
            max_connections: default_max_connections(),
        }
    }
}

/// A listener that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be had.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// A limit that cannot be.
    #[error("{0}")]
    Limit(&'static str),
    /// The certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// An open listener for PostgreSQL clients.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    tls: Option<ServerTls>,
    login_timeout: Duration,
    unauthenticated: Arc<Semaphore>,
    doors: Arc<Doors>,
    all: Arc<Semaphore>,
}

/// How many of each address are logging in.
#[derive(Debug)]
struct Doors {
    most: u16,
    waiting: Mutex<HashMap<IpAddr, u16>>,
}

impl Doors {
    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, u16>> {
        // The map is whole after every operation on it.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: &Arc<Self>, peer: SocketAddr) -> Option<AtDoor> {
        let address = neighbourhood(peer);
        let mut waiting = self.waiting();
        let count = waiting.entry(address).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(AtDoor { doors: Arc::clone(self), address })
    }
}

/// The address that stands for all that one peer can have: of IPv6, a /64 is handed out whole.
#[must_use]
pub fn neighbourhood(peer: SocketAddr) -> IpAddr {
    match peer.ip().to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// One that is logging in, until dropped.
#[derive(Debug)]
struct AtDoor {
    doors: Arc<Doors>,
    address: IpAddr,
}

impl Drop for AtDoor {
    fn drop(&mut self) {
        let mut waiting = self.doors.waiting();
        if let Some(count) = waiting.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                waiting.remove(&self.address);
            }
        }
    }
}

/// A connection's place among those that count. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    unauthenticated: Option<(OwnedSemaphorePermit, AtDoor)>,
    _all: OwnedSemaphorePermit,
}

impl Slot {
    /// Makes room for another one to log in.
    pub(crate) fn logged_in(&mut self) {
        self.unauthenticated = None;
    }
}

/// A socket taken in. Nothing has been read from it.
#[derive(Debug)]
pub struct Incoming {
    pub(crate) tcp: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) tls: Option<ServerTls>,
    pub(crate) slot: Slot,
    pub(crate) deadline: Instant,
}

impl Incoming {
    /// The client's address.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Agrees on encryption, up to the first bytes of the start-up packet. To be run in the
    /// connection's own task: from here on the socket is polled by the runtime of that task, which
    /// may be another than the listener's.
    ///
    /// # Errors
    /// [`AcceptError`], for the log: the client has been told what it can be told.
    pub async fn negotiate(self) -> Result<Accepted, AcceptError> {
        Box::pin(negotiate(self)).await
    }
}

impl Listener {
    /// Opens a listener. `tls` is what it proves itself with where the settings name no
    /// certificate; without any, it takes clients on loopback alone.
    ///
    /// # Errors
    /// [`ListenError`] says what cannot be had.
    pub fn bind(settings: &ListenerSettings, tls: Option<ServerTls>) -> Result<Self, ListenError> {
        if !(1..=600).contains(&settings.login_timeout_seconds) {
            return Err(ListenError::Limit("`login_timeout_seconds` must be 1 to 600"));
        }
        if settings.max_unauthenticated == 0
            || settings.max_unauthenticated_per_address == 0
            || settings.max_connections == 0
        {
            return Err(ListenError::Limit("no limit on connections may be 0"));
        }
        let tls = match &settings.tls {
            Some(files) => Some(ServerTls::load(files)?),
            None => tls,
        };
        let failed = |error| ListenError::Bind { address: settings.listen, error };
        let tcp = listen(settings.listen).map_err(failed)?;
        let address = tcp.local_addr().map_err(failed)?;
        let places = usize::try_from(settings.max_connections).unwrap_or(Semaphore::MAX_PERMITS);
        Ok(Self {
            tcp,
            address,
            tls,
            login_timeout: Duration::from_secs(u64::from(settings.login_timeout_seconds)),
            unauthenticated: Arc::new(Semaphore::new(usize::from(settings.max_unauthenticated))),
            doors: Arc::new(Doors {
                most: settings.max_unauthenticated_per_address,
                waiting: Mutex::default(),
            }),
            all: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
        })
    }

    /// Where it listens: with the port the system chose, if it was asked to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next socket there is room for. Those there is no room for are closed with a word, at
    /// once and without a task of their own. Cancel-safe.
    ///
    /// # Errors
    /// The listening socket has failed for good.
    pub async fn accept(&self) -> io::Result<Incoming> {
        loop {
            let (tcp, peer) = match self.tcp.accept().await {
                Ok(accepted) => accepted,
                Err(error) if is_passing(&error) => continue,
                Err(error) if is_exhaustion(&error) => {
                    tracing::warn!(%error, "no sockets left; connections wait");
                    tokio::time::sleep(REST).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let deadline = Instant::now() + self.login_timeout;
            match self.slot(peer) {
                Ok(slot) => {
                    let _ = tcp.set_nodelay(true);
                    let tls = self.tls.clone();
                    return Ok(Incoming { tcp, peer, tls, slot, deadline });
                }
                Err(why) => {
                    tracing::debug!(%peer, why, "connection closed");
                    turn_away(&tcp, why);
                }
            }
        }
    }

    fn slot(&self, peer: SocketAddr) -> Result<Slot, &'static str> {
        let all = self.all.clone().try_acquire_owned();
        let all = all.map_err(|_| "the gateway has as many connections as it may; try later")?;
        let unauthenticated = self.unauthenticated.clone().try_acquire_owned();
        let unauthenticated = unauthenticated
            .map_err(|_| "too many connections are logging in at this moment; try later")?;
        let at_door = self.doors.enter(peer);
        let at_door = at_door.ok_or(
            "too many connections of your address are logging in at this moment; try later",
        )?;
        Ok(Slot { unauthenticated: Some((unauthenticated, at_door)), _all: all })
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit it: a client that is gone without a word is found out.
    socket.set_keepalive(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The client was gone before it was taken in, or the network stumbled.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// `EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`: others have to close sockets first.
fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(24 | 23 | 105 | 12))
}

/// Closes a socket with a word, as far as that goes without waiting.
fn turn_away(tcp: &TcpStream, why: &str) {
    // What is left unread at closing time would turn the word into a reset.
    let _ = tcp.try_read(&mut [0; 1024]);
    let _ = tcp.try_write(&fatal::message(fatal::LIMIT, why));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_peer_is_one_peer_whatever_its_address_looks_like() {
        let check = |one: &str, other: &str, same| {
            let of = |peer: &str| neighbourhood(SocketAddr::new(peer.parse().unwrap(), 9));
            assert_eq!(of(one) == of(other), same, "{one} {other}");
        };
        check("192.0.2.7", "192.0.2.8", false);
        check("192.0.2.7", "::ffff:192.0.2.7", true);
        check("::ffff:192.0.2.7", "::ffff:192.0.2.8", false);
        check("2001:db8::1", "2001:db8::ffff:1", true);
        check("2001:db8::1", "2001:db8:0:1::1", false);
    }
}
