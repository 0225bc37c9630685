//! Something between gateway and server that loses the COMMIT of the gateway's own transactions, or
//! what the server says to it.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

/// How the gateway's own statement is named, and what it says.
const STATEMENT: &[u8] = b"\x7fportcullis: chore\0";
const COMMIT: &[u8] = b"\x7fportcullis: chore\0COMMIT\0";

/// What becomes of the next COMMIT of the gateway's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing special.
    None,
    /// The server hears it; the connection ends before the gateway hears of it.
    LoseAnswer,
    /// The connection ends before the server hears it.
    LoseCommit,
    /// The server hears it, and what it says comes to nobody; the connection stays.
    HoldAnswer,
    /// The server hears ROLLBACK in its place.
    RollBack,
}

const FAULTS: [Fault; 5] =
    [Fault::None, Fault::LoseAnswer, Fault::LoseCommit, Fault::HoldAnswer, Fault::RollBack];

#[derive(Default)]
struct Shared {
    server: OnceLock<u16>,
    next: AtomicU8,
    /// Whether it has come to pass.
    happened: AtomicBool,
}

/// The place in between.
pub struct Between {
    /// Where it listens, on loopback.
    pub port: u16,
    shared: Arc<Shared>,
}

impl Between {
    /// Listens; nothing passes before it is told where the server is.
    pub fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared::default());
        let of = Arc::clone(&shared);
        thread::spawn(move || {
            for gateway in listener.incoming() {
                let (Ok(gateway), Some(port)) = (gateway, of.server.get()) else { return };
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, *port)) else { return };
                if connect(&of, gateway, server).is_err() {
                    return;
                }
            }
        });
        Ok(Self { port, shared })
    }

    /// Where the server listens.
    pub fn connect_to(&self, server: u16) {
        let _ = self.shared.server.set(server);
    }

    /// Lets this happen to the next COMMIT.
    pub fn let_happen(&self, fault: Fault) {
        self.shared.happened.store(false, Ordering::SeqCst);
        let place = FAULTS.iter().position(|f| *f == fault).unwrap_or(0);
        self.shared.next.store(u8::try_from(place).unwrap_or(0), Ordering::SeqCst);
    }

    /// Whether it has.
    #[must_use]
    pub fn has_happened(&self) -> bool {
        self.shared.happened.load(Ordering::SeqCst)
    }
}

fn connect(shared: &Arc<Shared>, gateway: TcpStream, server: TcpStream) -> std::io::Result<()> {
    gateway.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_gateway, to_gateway) = (gateway.try_clone()?, gateway);
    let (from_server, to_server) = (server.try_clone()?, server);
    let mute = Arc::new(OnceLock::new());
    let (all, muted) = (Arc::clone(shared), Arc::clone(&mute));
    thread::spawn(move || {
        let _ = forth(&all, from_gateway, &to_server, &muted);
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let all = Arc::clone(shared);
    thread::spawn(move || {
        let _ = back(&all, from_server, &to_gateway, &mute);
        let _ = to_gateway.shutdown(Shutdown::Both);
    });
    Ok(())
}

/// From the gateway to the server.
fn forth(
    shared: &Shared,
    mut gateway: TcpStream,
    mut server: &TcpStream,
    mute: &OnceLock<Fault>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = gateway.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        let mut bytes = buffer[..count].to_vec();
        let place = bytes.windows(COMMIT.len()).position(|w| w == COMMIT);
        let fault = match place {
            Some(_) => FAULTS[usize::from(shared.next.swap(0, Ordering::SeqCst))],
            None => Fault::None,
        };
        match (fault, place) {
            (Fault::LoseCommit, _) => {
                shared.happened.store(true, Ordering::SeqCst);
                return Ok(());
            }
            (Fault::RollBack, Some(place)) => {
                // Its length stands before the name, and the new text is two bytes longer.
                bytes[place - 1] += 2;
                let text = place + STATEMENT.len();
                bytes.splice(text..text + b"COMMIT".len(), *b"ROLLBACK");
                shared.happened.store(true, Ordering::SeqCst);
            }
            (Fault::LoseAnswer | Fault::HoldAnswer, _) => {
                let _ = mute.set(fault);
            }
            _ => {}
        }
        server.write_all(&bytes)?;
    }
}

/// From the server to the gateway.
fn back(
    shared: &Shared,
    mut server: TcpStream,
    mut gateway: &TcpStream,
    mute: &OnceLock<Fault>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = server.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        match mute.get() {
            None => gateway.write_all(&buffer[..count])?,
            Some(fault) => {
                shared.happened.store(true, Ordering::SeqCst);
                if *fault == Fault::LoseAnswer {
                    return Ok(());
                }
            }
        }
    }
}
