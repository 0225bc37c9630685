//! Between gateway and server: bytes pass unchanged, and what the server is about to hear is written
//! down first, with how many intents of its session are in the journal's files by then.

use crate::journal::{Journal, Session};
use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

/// The code of a request for TLS, which the server declines, and of one to cancel.
const SSL: u32 = 80_877_103;
const CANCEL: u32 = 80_877_102;
/// What names of the gateway's own statements and portals begin with.
const OWN: &[u8] = b"\x7fportcullis: ";
const ESTIMATE: &[u8] = b"\x7fportcullis: estimate\0";

/// A message on its way to the server.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) tag: u8,
    pub(crate) body: Vec<u8>,
    /// Intents of its session on file when it came.
    pub(crate) recorded: usize,
    pub(crate) whose: Whose,
}

/// On whose behalf something is said to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    Caller,
    /// The gateway's question about a statement of the caller's.
    Estimate,
    /// The gateway's own.
    Chore,
}

/// One connection to the server.
#[derive(Debug, Default, Clone)]
pub(crate) struct Wire {
    /// The gateway's name for its session.
    pub(crate) session: String,
    pub(crate) heard: Vec<Heard>,
    /// The transaction status the server told last.
    pub(crate) status: u8,
}

#[derive(Default)]
struct Shared {
    target: OnceLock<u16>,
    journal: Mutex<Journal>,
    wires: Mutex<Vec<Arc<Mutex<Wire>>>>,
    /// By the server's process.
    by_process: Mutex<HashMap<u32, Arc<Mutex<Wire>>>>,
}

pub(crate) struct Tap {
    port: u16,
    shared: Arc<Shared>,
}

impl Tap {
    /// Listens; nothing passes before it is told where the server is.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let of = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Some(port)) = (client, of.target.get()) else { return };
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, *port)) else { return };
                connect(&of, client, server);
            }
        });
        Self { port, shared }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn connect_to(&self, server: u16, journal: PathBuf) {
        *self.shared.journal.lock().unwrap() = Journal::of(journal);
        self.shared.target.set(server).unwrap();
    }

    /// What went over the connection to this process of the server.
    pub(crate) fn wire(&self, process: u32) -> Wire {
        let wires = self.shared.by_process.lock().unwrap();
        wires.get(&process).map(|wire| wire.lock().unwrap().clone()).unwrap_or_default()
    }

    /// What the journal says of a session by now.
    pub(crate) fn recorded(&self, session: &str) -> Session {
        let mut journal = self.shared.journal.lock().unwrap();
        journal.poll();
        journal.session(session)
    }
}

fn connect(shared: &Arc<Shared>, client: TcpStream, server: TcpStream) {
    for socket in [&client, &server] {
        socket.set_nodelay(true).unwrap();
    }
    let wire = Arc::new(Mutex::new(Wire::default()));
    shared.wires.lock().unwrap().push(Arc::clone(&wire));
    let (to, from) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let (all, mine) = (Arc::clone(shared), Arc::clone(&wire));
    std::thread::spawn(move || {
        let mut ear = Ear { begun: false, bytes: Vec::new() };
        pass(from, to, |bytes| ear.hear(bytes, &mine, &all));
    });
    let all = Arc::clone(shared);
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // The answer to the request for TLS is one byte.
        let mut declined = false;
        pass(server, client, |new| {
            bytes.extend_from_slice(new);
            if !declined && bytes.first() == Some(&b'N') && bytes.len() == 1 {
                declined = true;
                bytes.clear();
            }
            while let Some((tag, body)) = frame(&mut bytes) {
                match (tag, body.as_slice()) {
                    (b'Z', [status]) => wire.lock().unwrap().status = *status,
                    (b'K', [a, b, c, d, ..]) => {
                        let process = u32::from_be_bytes([*a, *b, *c, *d]);
                        all.by_process.lock().unwrap().insert(process, Arc::clone(&wire));
                    }
                    _ => {}
                }
            }
        });
    });
}

/// Passes bytes on after they were looked at, until either side ends.
fn pass(mut from: TcpStream, mut to: TcpStream, mut look: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        look(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // Either may be gone already.
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// Takes a whole message off the front.
fn frame(bytes: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let length = u32::from_be_bytes(bytes.get(1..5)?.try_into().ok()?) as usize;
    let body = bytes.get(5..length + 1)?.to_vec();
    let tag = bytes[0];
    bytes.drain(..length + 1);
    Some((tag, body))
}

/// What listens to the gateway.
struct Ear {
    /// True once the start-up message has come.
    begun: bool,
    bytes: Vec<u8>,
}

impl Ear {
    fn hear(&mut self, new: &[u8], wire: &Mutex<Wire>, shared: &Shared) {
        self.bytes.extend_from_slice(new);
        while !self.begun {
            let Some(head) = self.bytes.get(..8) else { return };
            let number = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().unwrap());
            let (length, code) = (number(0) as usize, number(4));
            let Some(body) = self.bytes.get(8..length) else { return };
            if code == CANCEL {
                return;
            }
            if code != SSL {
                wire.lock().unwrap().session = session_name(body);
                self.begun = true;
            }
            self.bytes.drain(..length);
        }
        let mut recorded = None;
        while let Some((tag, body)) = frame(&mut self.bytes) {
            let mut wire = wire.lock().unwrap();
            let recorded = *recorded.get_or_insert_with(|| {
                let mut journal = shared.journal.lock().unwrap();
                journal.poll();
                journal.intents(&wire.session)
            });
            let whose = whose(tag, &body);
            wire.heard.push(Heard { tag, body, recorded, whose });
        }
    }
}

/// The gateway tells the server its session's name as the name of the application.
fn session_name(startup: &[u8]) -> String {
    let mut words = startup.split(|b| *b == 0).map(String::from_utf8_lossy);
    words.find(|word| word == "application_name");
    words
        .next()
        .and_then(|name| Some(name.strip_prefix("portcullis:")?.to_owned()))
        .unwrap_or_default()
}

fn whose(tag: u8, body: &[u8]) -> Whose {
    let named = match tag {
        b'D' | b'C' => body.get(1..).unwrap_or_default(),
        _ => body,
    };
    match tag {
        // These hold nothing of the caller's.
        b'p' | b'S' | b'H' | b'X' => Whose::Chore,
        b'P' | b'B' | b'E' | b'D' | b'C' if named.starts_with(ESTIMATE) => Whose::Estimate,
        b'P' | b'B' | b'E' | b'D' | b'C' if named.starts_with(OWN) => Whose::Chore,
        _ => Whose::Caller,
    }
}
