//! A PostgreSQL client with no manners: it sends what it is told, in pieces of any size, and shows
//! every message that comes back.

use anyhow::{Context as _, bail, ensure};
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One message of the server: its tag and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The first byte.
    pub tag: u8,
    /// What follows the length.
    pub body: Vec<u8>,
}

/// A raw connection.
#[derive(Debug)]
pub struct RawClient {
    socket: TcpStream,
    /// The largest piece written at once, for up to 65,536 pieces; 0 for all.
    pub piece: usize,
    /// What BackendKeyData said: process id and key.
    pub cancel_key: Option<(u32, Vec<u8>)>,
}

/// One frontend message.
#[must_use]
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    out.extend_from_slice(body);
    out
}

/// A simple query.
#[must_use]
pub fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &[sql.as_bytes(), b"\0"].concat())
}

/// A start-up message of protocol 3.`minor`.
#[must_use]
pub fn startup(minor: u16, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = (3u32 << 16 | u32::from(minor)).to_be_bytes().to_vec();
    for (name, value) in parameters {
        for text in [name, value] {
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
    }
    body.push(0);
    let mut out = (body.len() as u32 + 4).to_be_bytes().to_vec();
    out.extend_from_slice(&body);
    out
}

impl RawClient {
    /// Connects, and waits at most thirty seconds for anything.
    pub fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, piece: 0, cancel_key: None })
    }

    /// Connects and logs in, with a password where one is asked for: in cleartext or by SCRAM.
    pub fn log_in(
        address: SocketAddr,
        user: &str,
        database: &str,
        password: &str,
    ) -> anyhow::Result<Self> {
        Self::log_in_with(address, &[("user", user), ("database", database)], password)
    }

    /// The same, with these parameters in the startup message.
    pub fn log_in_with(
        address: SocketAddr,
        parameters: &[(&str, &str)],
        password: &str,
    ) -> anyhow::Result<Self> {
        Ok(Self::log_in_speaking(0, address, parameters, password)?.0)
    }

    /// The same in protocol 3.`minor`, or in the older one that the other side negotiates: which one.
    pub fn log_in_speaking(
        mut minor: u16,
        address: SocketAddr,
        parameters: &[(&str, &str)],
        password: &str,
    ) -> anyhow::Result<(Self, u16)> {
        let mut client = Self::connect(address)?;
        client.send(&startup(minor, parameters))?;
        let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        loop {
            let message = client.receive()?.context("closed during log-in")?;
            match (message.tag, message.body.as_slice()) {
                (b'R', [0, 0, 0, 3]) => {
                    client.send(&self::message(b'p', &[password.as_bytes(), b"\0"].concat()))?;
                }
                (b'R', [0, 0, 0, 10, ..]) => {
                    let first = scram.message();
                    let length = (first.len() as u32).to_be_bytes();
                    let name = SCRAM_SHA_256.as_bytes();
                    client.send(&self::message(b'p', &[name, b"\0", &length, first].concat()))?;
                }
                (b'R', [0, 0, 0, 11, challenge @ ..]) => {
                    scram.update(challenge)?;
                    client.send(&self::message(b'p', scram.message()))?;
                }
                (b'R', [0, 0, 0, 12, signature @ ..]) => scram.finish(signature)?,
                (b'K', [a, b, c, d, key @ ..]) => {
                    let process = u32::from_be_bytes([*a, *b, *c, *d]);
                    client.cancel_key = Some((process, key.to_vec()));
                }
                (b'v', [_, _, high, low, ..]) => minor = u16::from_be_bytes([*high, *low]),
                (b'Z', _) => return Ok((client, minor)),
                (b'E', body) => bail!("log-in refused: {}", fields(body)),
                (b'R', [0, 0, 0, 0]) | (b'S' | b'N', _) => {}
                (tag, _) => bail!("unexpected message {} during log-in", char::from(tag)),
            }
        }
    }

    /// Sends bytes, in pieces of `piece`.
    pub fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        if self.piece == 0 {
            return Ok(self.socket.write_all(bytes)?);
        }
        for piece in bytes.chunks(self.piece.max(bytes.len() >> 16)) {
            self.socket.write_all(piece)?;
        }
        Ok(())
    }

    /// The next message; `None` at the end of the stream.
    pub fn receive(&mut self) -> anyhow::Result<Option<Message>> {
        let mut header = [0; 5];
        match self.socket.read(&mut header[..1])? {
            0 => return Ok(None),
            _ => self.socket.read_exact(&mut header[1..])?,
        }
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
        ensure!((4..1 << 28).contains(&length), "a message of {length} bytes");
        let mut body = vec![0; length as usize - 4];
        self.socket.read_exact(&mut body)?;
        Ok(Some(Message { tag: header[0], body }))
    }

    /// Messages up to and including the first with this tag, or the end of the stream.
    pub fn until(&mut self, tag: u8) -> anyhow::Result<Vec<Message>> {
        let mut seen = Vec::new();
        while let Some(message) = self.receive()? {
            let last = message.tag == tag;
            seen.push(message);
            if last {
                break;
            }
        }
        Ok(seen)
    }

    /// Sends a simple query and waits for nothing.
    pub fn ask(&mut self, sql: &str) -> anyhow::Result<()> {
        self.send(&query(sql))
    }

    /// Reads notices up to the one that says under which review the request is held: its id, and
    /// what the notice says.
    pub fn held(&mut self) -> anyhow::Result<(String, String)> {
        loop {
            let message = self.receive()?.context("the stream ended")?;
            let notice = message.shown();
            ensure!(message.tag == b'N', "not held: {notice}");
            if let Some((_, rest)) = notice.split_once("review rev_") {
                let id = rest.chars().take_while(|c| c.is_ascii_alphanumeric());
                return Ok((format!("rev_{}", id.collect::<String>()), notice));
            }
        }
    }

    /// A simple query, and what comes back up to ReadyForQuery.
    pub fn query(&mut self, sql: &str) -> anyhow::Result<Vec<Message>> {
        self.ask(sql)?;
        self.until(b'Z')
    }

    /// The socket itself.
    #[must_use]
    pub const fn socket(&self) -> &TcpStream {
        &self.socket
    }
}

/// A text with bytes written as `\\xNN`.
pub fn unescaped(text: &str) -> anyhow::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut parts = text.split("\\x");
    out.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        out.push(u8::from_str_radix(&part[..2], 16)?);
        out.extend_from_slice(&part.as_bytes()[2..]);
    }
    Ok(out)
}

/// Parse, Bind, Describe and Execute of the unnamed statement.
#[must_use]
pub fn extended(sql: &[u8], bound: &[Option<String>], binary: bool) -> Vec<u8> {
    let mut body = [b"\0".as_slice(), &0u16.to_be_bytes()].concat();
    body.extend_from_slice(&(bound.len() as u16).to_be_bytes());
    for value in bound {
        let length = value.as_ref().map_or(-1, |v| v.len() as i32);
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(value.as_deref().unwrap_or_default().as_bytes());
    }
    body.extend_from_slice(if binary { &[0, 1, 0, 1] } else { &[0, 0] });
    [
        message(b'P', &[b"\0", sql, b"\0\0\0"].concat()),
        message(b'B', &[b"\0".as_slice(), &body].concat()),
        message(b'D', b"P\0"),
        message(b'E', b"\0\0\0\0\0"),
    ]
    .concat()
}

/// The fields of an error or notice that a transcript keeps, readable: not the file, line and
/// routine of the server's source.
#[must_use]
pub fn fields(body: &[u8]) -> String {
    body.split(|b| *b == 0)
        .filter(|field| !field.is_empty() && !b"FLRV".contains(&field[0]))
        .map(|field| format!("{}={}", char::from(field[0]), String::from_utf8_lossy(&field[1..])))
        .collect::<Vec<_>>()
        .join(" ")
}

impl Message {
    /// One line of a transcript.
    #[must_use]
    pub fn shown(&self) -> String {
        let text = match self.tag {
            b'E' | b'N' => fields(&self.body),
            b'Z' => String::from_utf8_lossy(&self.body).into_owned(),
            b'D' => row(&self.body),
            b'T' => description(&self.body),
            // The process that notified differs from run to run.
            b'A' => self.body.get(4..).unwrap_or_default().escape_ascii().to_string(),
            _ => self.body.escape_ascii().to_string(),
        };
        format!("{} {text}", char::from(self.tag)).trim_end().to_owned()
    }
}

/// The column values of a DataRow.
#[must_use]
pub fn values(body: &[u8]) -> Vec<Option<Vec<u8>>> {
    let mut rest = body.get(2..).unwrap_or_default();
    let mut values = Vec::new();
    while rest.len() >= 4 {
        let length = i32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]);
        rest = &rest[4..];
        let Ok(length) = usize::try_from(length) else {
            values.push(None);
            continue;
        };
        values.push(Some(rest[..length].to_vec()));
        rest = &rest[length..];
    }
    values
}

fn row(body: &[u8]) -> String {
    let shown = values(body).into_iter().map(|value| match value {
        None => "NULL".to_owned(),
        Some(value) => format!("\"{}\"", value.escape_ascii()),
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// Names, types and formats of a RowDescription; table numbers differ between databases.
fn description(body: &[u8]) -> String {
    let mut rest = body.get(2..).unwrap_or_default();
    let mut shown = Vec::new();
    while let Some(end) = rest.iter().position(|b| *b == 0) {
        let name = String::from_utf8_lossy(&rest[..end]).into_owned();
        let fixed = &rest[end + 1..end + 19];
        let kind = u32::from_be_bytes([fixed[6], fixed[7], fixed[8], fixed[9]]);
        shown.push(format!("{name}:{kind}:{}", fixed[17]));
        rest = &rest[end + 19..];
    }
    shown.join(" ")
}
