//! What a client sends before it has a session: encryption requests, cancel requests, the startup
//! packet and the password. First station on the life of a request; nobody is known yet, so every
//! length is checked before anything is kept.

use bytes::{Buf as _, Bytes, BytesMut};
use std::fmt;
use zeroize::{Zeroize as _, Zeroizing};

/// The longest startup packet, in bytes without its length field: `MAX_STARTUP_PACKET_LENGTH` of
/// the server.
pub const MAX_STARTUP: usize = 10_000;
/// The longest password message, in bytes without its header. Tokens are long; passwords are not.
pub const MAX_PASSWORD: usize = 64 * 1024;
/// The newest minor version of protocol 3 that is spoken here.
pub const NEWEST_MINOR: u16 = 2;

/// The shortest and longest secret key of a cancel request (manual, "Message Formats").
const CANCEL_KEY: std::ops::RangeInclusive<usize> = 4..=256;
const CANCEL_CODE: u32 = 80_877_102;
const TLS_CODE: u32 = 80_877_103;
const GSS_CODE: u32 = 80_877_104;

/// The first thing a client says on a connection (or again after an encryption request).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// `SSLRequest`.
    Tls,
    /// `GSSENCRequest`.
    Gss,
    /// `CancelRequest`: cancel what another session runs.
    Cancel(CancelKey),
    /// `StartupMessage`.
    Startup(Startup),
}

/// What names a session to cancel. The key is a secret and does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct CancelKey {
    /// The process id the session was given.
    pub pid: u32,
    /// Its secret key, 4 to 256 bytes.
    pub key: Bytes,
}

impl fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelKey").field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// A startup packet of protocol 3, with a user and without replication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    /// The minor protocol version asked for; it may be newer than [`NEWEST_MINOR`].
    pub minor: u16,
    /// Session parameters in the order sent, no name twice.
    pub parameters: Vec<(String, String)>,
    /// Names of protocol options (`_pq_.…`), none of which is supported.
    pub unsupported: Vec<String>,
}

impl Startup {
    /// The value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The user asked for; never empty.
    #[must_use]
    pub fn user(&self) -> &str {
        self.get("user").unwrap_or_default()
    }

    /// The database asked for, which defaults to the user.
    #[must_use]
    pub fn database(&self) -> &str {
        self.get("database").filter(|name| !name.is_empty()).unwrap_or_else(|| self.user())
    }

    /// True where the answer has to begin with `NegotiateProtocolVersion`: a newer minor version or
    /// protocol options were asked for.
    #[must_use]
    pub fn needs_negotiation(&self) -> bool {
        self.minor > NEWEST_MINOR || !self.unsupported.is_empty()
    }

    /// The minor version the session will speak.
    #[must_use]
    pub fn spoken_minor(&self) -> u16 {
        self.minor.min(NEWEST_MINOR)
    }
}

/// The client opened the conversation wrongly; it is told and the connection is closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpeningError {
    /// A length no packet of this kind has. Nothing was kept of it.
    #[error("invalid length of {what}: {length} bytes")]
    Length {
        /// Which packet.
        what: &'static str,
        /// The length its header states, its own four bytes included.
        length: u32,
    },
    /// Another major version than 3.
    #[error("unsupported frontend protocol {major}.{minor}: the gateway speaks 3.0 to 3.2")]
    Version {
        /// The major version asked for.
        major: u16,
        /// The minor version asked for.
        minor: u16,
    },
    /// Not laid out as the manual says.
    #[error("invalid startup packet layout: {0}")]
    Layout(&'static str),
    /// A parameter that appears twice could be read in two ways.
    #[error("startup parameter \"{0}\" is given twice")]
    Duplicate(String),
    /// A replication connection, which cannot be judged.
    #[error("replication connections are not supported by the gateway")]
    Replication,
    /// Something other than a password message where one was due.
    #[error("expected a password message, got message type 0x{0:02x}")]
    NotPassword(u8),
}

/// Takes one opening packet off the front of `buffer`; `None` where it is not whole yet.
///
/// # Errors
/// [`OpeningError`], from the first eight bytes on.
pub fn read_opening(buffer: &mut BytesMut) -> Result<Option<Opening>, OpeningError> {
    let Some((length, rest)) = buffer.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length);
    let size = length as usize;
    if !(8..=MAX_STARTUP + 4).contains(&size) {
        return Err(OpeningError::Length { what: "startup packet", length });
    }
    let Some(code) = rest.first_chunk::<4>() else { return Ok(None) };
    let code = u32::from_be_bytes(*code);
    let fits = match code {
        TLS_CODE | GSS_CODE => size == 8,
        CANCEL_CODE => CANCEL_KEY.contains(&size.saturating_sub(12)),
        _ => true,
    };
    if !fits {
        let what = if code == CANCEL_CODE { "cancel request" } else { "encryption request" };
        return Err(OpeningError::Length { what, length });
    }
    let [major_high, major_low, minor_high, minor_low] = code.to_be_bytes();
    let major = u16::from_be_bytes([major_high, major_low]);
    let minor = u16::from_be_bytes([minor_high, minor_low]);
    if !matches!(code, TLS_CODE | GSS_CODE | CANCEL_CODE) && major != 3 {
        return Err(OpeningError::Version { major, minor });
    }
    if buffer.len() < size {
        return Ok(None);
    }
    let mut body = buffer.split_to(size);
    body.advance(8);
    Ok(Some(match code {
        TLS_CODE => Opening::Tls,
        GSS_CODE => Opening::Gss,
        // Its length was checked above, so the process id is there.
        CANCEL_CODE => Opening::Cancel(CancelKey { pid: body.get_u32(), key: body.freeze() }),
        _ => Opening::Startup(read_startup(minor, &body)?),
    }))
}

/// Reads the name-value list of a startup packet.
fn read_startup(minor: u16, mut body: &[u8]) -> Result<Startup, OpeningError> {
    let mut startup = Startup { minor, parameters: Vec::new(), unsupported: Vec::new() };
    loop {
        let name = read_string(&mut body)?;
        if name.is_empty() {
            break;
        }
        let value = read_string(&mut body)?;
        if startup.get(&name).is_some() || startup.unsupported.contains(&name) {
            return Err(OpeningError::Duplicate(name));
        }
        if name.starts_with("_pq_.") {
            startup.unsupported.push(name);
        } else {
            startup.parameters.push((name, value));
        }
    }
    if !body.is_empty() {
        return Err(OpeningError::Layout("bytes after the terminator"));
    }
    if startup.user().is_empty() {
        return Err(OpeningError::Layout("no user name"));
    }
    let replicates = |value: &str| {
        !["false", "off", "no", "0"].iter().any(|word| value.eq_ignore_ascii_case(word))
    };
    if startup.get("replication").is_some_and(replicates) {
        return Err(OpeningError::Replication);
    }
    Ok(startup)
}

fn read_string(body: &mut &[u8]) -> Result<String, OpeningError> {
    let mut halves = body.splitn(2, |b| *b == 0);
    let (Some(text), Some(rest)) = (halves.next(), halves.next()) else {
        return Err(OpeningError::Layout("a name or value is not terminated"));
    };
    *body = rest;
    let text = std::str::from_utf8(text).ok();
    text.map(str::to_owned).ok_or(OpeningError::Layout("a name or value is not valid UTF-8"))
}

/// A password or token. It does not print itself and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// The bytes, for the one place that verifies them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Takes one `PasswordMessage` off the front of `buffer`, wiping it there; `None` where it is not
/// whole yet.
///
/// # Errors
/// [`OpeningError`], from the first five bytes on.
pub fn read_password(buffer: &mut BytesMut) -> Result<Option<Password>, OpeningError> {
    match buffer.first() {
        None => return Ok(None),
        Some(b'p') => {}
        Some(kind) => return Err(OpeningError::NotPassword(*kind)),
    }
    let Some(length) = buffer.get(1..5).and_then(|b| b.first_chunk::<4>()) else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length);
    let size = length as usize;
    if !(5..=MAX_PASSWORD + 4).contains(&size) {
        return Err(OpeningError::Length { what: "password message", length });
    }
    if buffer.len() < size + 1 {
        return Ok(None);
    }
    let mut frame = buffer.split_to(size + 1);
    let body = frame.get(5..).unwrap_or_default();
    // A zero byte inside would be read as the end by one reader and not by another.
    let password = match body.split_last() {
        Some((0, text)) if !text.contains(&0) => Some(Password(Zeroizing::new(text.to_vec()))),
        _ => None,
    };
    frame.as_mut().zeroize();
    password.map(Some).ok_or(OpeningError::Layout("the password is not terminated exactly once"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(code: u32, body: &[u8]) -> BytesMut {
        let mut bytes = BytesMut::new();
        bytes.extend_from_slice(&(body.len() as u32 + 8).to_be_bytes());
        bytes.extend_from_slice(&code.to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    fn startup(body: &[u8]) -> Result<Startup, OpeningError> {
        match read_opening(&mut packet(3 << 16, body))? {
            Some(Opening::Startup(startup)) => Ok(startup),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn requests_before_the_session() {
        assert_eq!(read_opening(&mut packet(TLS_CODE, b"")), Ok(Some(Opening::Tls)));
        assert_eq!(read_opening(&mut packet(GSS_CODE, b"")), Ok(Some(Opening::Gss)));
        let cancel = read_opening(&mut packet(CANCEL_CODE, b"\0\0\0\x07keykey"));
        let expected = CancelKey { pid: 7, key: Bytes::from_static(b"keykey") };
        assert_eq!(cancel, Ok(Some(Opening::Cancel(expected.clone()))));
        assert!(!format!("{expected:?}").contains("keykey"));
        let long = [0u8; 4 + 257];
        assert!(read_opening(&mut packet(CANCEL_CODE, &long)).is_err());
        assert!(read_opening(&mut packet(CANCEL_CODE, &long[..260])).is_ok());
        assert!(read_opening(&mut packet(CANCEL_CODE, &long[..7])).is_err());
        assert!(read_opening(&mut packet(TLS_CODE, b"x")).is_err());
    }

    #[test]
    fn what_follows_an_opening_stays_in_the_buffer() {
        let mut buffer = packet(TLS_CODE, b"");
        buffer.extend_from_slice(b"smuggled");
        assert_eq!(read_opening(&mut buffer), Ok(Some(Opening::Tls)));
        assert_eq!(&buffer[..], b"smuggled");
    }

    #[test]
    fn parameters() {
        let ok = startup(b"user\0ada\0application_name\0psql\0_pq_.x\x001\0\0").unwrap();
        assert_eq!((ok.user(), ok.database()), ("ada", "ada"));
        assert_eq!(ok.get("application_name"), Some("psql"));
        assert_eq!(ok.unsupported, ["_pq_.x"]);
        assert!(ok.needs_negotiation());
        let shop = startup(b"user\0ada\0database\0shop\0replication\0off\0\0").unwrap();
        assert_eq!(shop.database(), "shop");
        assert!(!shop.needs_negotiation());
    }

    #[test]
    fn broken_startup_packets_are_named() {
        let check = |body: &[u8], expect: OpeningError| assert_eq!(startup(body), Err(expect));
        check(b"", OpeningError::Layout("a name or value is not terminated"));
        check(b"user\0ada", OpeningError::Layout("a name or value is not terminated"));
        check(b"user\0ada\0", OpeningError::Layout("a name or value is not terminated"));
        check(b"\0", OpeningError::Layout("no user name"));
        check(b"user\0\0\0", OpeningError::Layout("no user name"));
        check(b"user\0a\0\0x", OpeningError::Layout("bytes after the terminator"));
        check(b"user\0\xff\0\0", OpeningError::Layout("a name or value is not valid UTF-8"));
        check(b"user\0a\0user\0b\0\0", OpeningError::Duplicate("user".into()));
        check(b"user\0a\0replication\0database\0\0", OpeningError::Replication);
        check(b"user\0a\0replication\0TRUE\0\0", OpeningError::Replication);
    }

    #[test]
    fn versions() {
        let version = |code| read_opening(&mut packet(code, b"user\0a\0\0"));
        assert_eq!(version(2 << 16), Err(OpeningError::Version { major: 2, minor: 0 }));
        assert_eq!(version(4 << 16), Err(OpeningError::Version { major: 4, minor: 0 }));
        let Ok(Some(Opening::Startup(newest))) = version(3 << 16 | 9999) else { panic!() };
        assert!(newest.needs_negotiation());
        assert_eq!(newest.spoken_minor(), 2);
        let Ok(Some(Opening::Startup(known))) = version(3 << 16 | 2) else { panic!() };
        assert!(!known.needs_negotiation());
    }

    #[test]
    fn absurd_lengths_are_refused_at_once() {
        for length in [0u32, 7, MAX_STARTUP as u32 + 5, 0x7fff_ffff, u32::MAX] {
            let mut buffer = BytesMut::from(&length.to_be_bytes()[..]);
            let error = OpeningError::Length { what: "startup packet", length };
            assert_eq!(read_opening(&mut buffer), Err(error));
        }
        let mut password = BytesMut::from(&b"p\x7f\xff\xff\xff"[..]);
        assert!(read_password(&mut password).is_err());
    }

    #[test]
    fn passwords() {
        let mut buffer = BytesMut::from(&b"p\0\0\0\x0atoken\0Q"[..]);
        let password = read_password(&mut buffer).unwrap().unwrap();
        assert_eq!(password.expose(), b"token");
        assert_eq!(format!("{password:?}"), "Password(…)");
        assert_eq!(&buffer[..], b"Q");
        let check = |bytes: &[u8], expect| {
            assert_eq!(read_password(&mut BytesMut::from(bytes)).is_err(), expect);
        };
        check(b"p\0\0\0\x0a", false);
        check(b"Q\0\0\0\x0a", true);
        check(b"p\0\0\0\x09token", true);
        check(b"p\0\0\0\x0ato\0en\0", true);
        check(b"p\0\0\0\x04", true);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_opening(&mut BytesMut::from(&bytes[..]));
            let _ = read_password(&mut BytesMut::from(&bytes[..]));
            let _ = startup(&bytes);
        }

        #[test]
        fn one_byte_at_a_time_reads_the_same(
            parameters in proptest::collection::btree_map("[a-z]{1,9}", "[ -~]{0,9}", 0..5)
        ) {
            let mut body = b"user\0ada\0".to_vec();
            for (name, value) in parameters.iter().filter(|(n, _)| *n != "user") {
                body.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
            }
            body.push(0);
            let whole = packet(3 << 16, &body);
            let mut fed = BytesMut::new();
            let mut got = Ok(None);
            for byte in &whole {
                prop_assert_eq!(&got, &Ok(None));
                fed.extend_from_slice(&[*byte]);
                got = read_opening(&mut fed);
            }
            prop_assert_eq!(got, read_opening(&mut whole.clone()));
        }
    }
}
