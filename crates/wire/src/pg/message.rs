//! Framing and decoding of frontend messages (PostgreSQL manual, "Message Formats"). Stands where
//! a client's bytes become messages, before anything is known of what they mean.

use bytes::{Buf as _, Bytes, BytesMut};

/// What one session may make the gateway keep. Everything is checked before it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest single message, in bytes with its header. Default 64 MiB.
    pub max_message: usize,
    /// The longest statement text, in bytes. A `Query` or `Parse` that is longer is refused when its
    /// header is there, and skipped without being kept. Default 1 MiB, which is as much as is
    /// analysed.
    pub max_text: usize,
    /// The longest unit (all messages judged together), in bytes. Default 64 MiB.
    pub max_unit_bytes: usize,
    /// The most messages in a unit. Default 65,536.
    pub max_unit_messages: usize,
    /// The most prepared statements, and the most portals and cursors, of a session. Default
    /// 10,000 of each.
    pub max_names: usize,
    /// The most bytes of statement texts and bound parameters kept behind names. Default 64 MiB
    /// for statements and as much for portals.
    pub max_kept_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message: 64 << 20,
            max_text: portcullis_sql::Limits::default().text,
            max_unit_bytes: 64 << 20,
            max_unit_messages: 65_536,
            max_names: 10_000,
            max_kept_bytes: 64 << 20,
        }
    }
}

/// The most a message that carries no text or data may have, in bytes (`PQ_SMALL_MESSAGE_LIMIT` of
/// the server).
const SMALL_MESSAGE: usize = 10_000;

/// What a `Query` or `Parse` may have beside its text: header, name and end.
const TEXT_SLACK: usize = 1024;
/// What a `Parse` may have beside that: the numbers of as many parameter types as it can count.
const PARAMETER_TYPES: usize = 4 * u16::MAX as usize;

impl Limits {
    /// True for a message of this type and size whose statement text is over the limit.
    #[must_use]
    pub const fn is_overlong(&self, kind: u8, size: usize) -> bool {
        match kind {
            b'Q' => size > self.max_text + TEXT_SLACK,
            b'P' => size > self.max_text + TEXT_SLACK + PARAMETER_TYPES,
            _ => false,
        }
    }
}

/// The client broke the protocol: it is told with a FATAL error (SQLSTATE 08P01) and the connection
/// is closed. The texts are those of the server where it has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A message type no client sends here.
    #[error("invalid frontend message type {0}")]
    Type(u8),
    /// A message that has no place in copy-in mode. The server closes the connection here as well.
    #[error("unexpected message type 0x{0:02X} during COPY from stdin")]
    DuringCopy(u8),
    /// A length field below 4.
    #[error("invalid message length {length} in a message of type \"{}\"", char::from(*.kind))]
    Length {
        /// The message's type.
        kind: u8,
        /// Its length field.
        length: u32,
    },
    /// Longer than a message of this type may be.
    #[error(
        "a message of type \"{}\" has {length} bytes, and the limit is {limit}",
        char::from(*.kind)
    )]
    TooLong {
        /// The message's type.
        kind: u8,
        /// Its length field.
        length: u32,
        /// The limit.
        limit: usize,
    },
    /// A field reaches beyond the end of its message, or bytes are left after the last field.
    #[error("invalid message format in {message}: {what}")]
    Format {
        /// The message's name.
        message: &'static str,
        /// What is wrong.
        what: &'static str,
    },
}

/// One whole message, exactly as the client sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its type byte.
    pub kind: u8,
    /// All its bytes, header included.
    pub bytes: Bytes,
}

/// Which of its two kinds of names a `Describe` or `Close` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A prepared statement.
    Statement,
    /// A portal.
    Portal,
}

/// A message of a client, decoded. Names and texts are without their terminating zero byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frontend {
    /// `Query`.
    Query(Bytes),
    /// `Parse`.
    Parse {
        /// The statement's name; empty for the unnamed one.
        name: Bytes,
        /// Its text.
        text: Bytes,
        /// The parameter types given, as object ids; 0 leaves a type to the server.
        types: Vec<u32>,
    },
    /// `Bind`.
    Bind {
        /// The portal's name; empty for the unnamed one.
        portal: Bytes,
        /// The statement's name.
        statement: Bytes,
        /// Everything after the names, checked: see [`crate::pg::bound`].
        values: Bytes,
    },
    /// `Describe`.
    Describe(Target, Bytes),
    /// `Execute`.
    Execute {
        /// The portal.
        portal: Bytes,
        /// How many rows at most; 0 for all.
        rows: u32,
    },
    /// `Close`.
    Close(Target, Bytes),
    /// `Flush`.
    Flush,
    /// `Sync`.
    Sync,
    /// `CopyData`.
    CopyData,
    /// `CopyDone`.
    CopyDone,
    /// `CopyFail`.
    CopyFail,
    /// `Terminate`.
    Terminate,
    /// `FunctionCall`: its fields, not looked into.
    FunctionCall(Bytes),
}

/// The type and the length, header included, of the message at the front of `bytes`; `None` where
/// the header is not whole yet.
///
/// # Errors
/// [`ProtocolError`] where no such message may come, before anything of its body is awaited.
pub fn peek(bytes: &[u8], limits: &Limits) -> Result<Option<(u8, usize)>, ProtocolError> {
    let Some(kind) = bytes.first().copied() else { return Ok(None) };
    let limit = match kind {
        b'Q' | b'P' | b'B' | b'F' | b'd' => limits.max_message,
        b'D' | b'E' | b'C' | b'H' | b'S' | b'X' | b'c' | b'f' => {
            limits.max_message.min(SMALL_MESSAGE)
        }
        _ => return Err(ProtocolError::Type(kind)),
    };
    let Some(length) = bytes.get(1..5).and_then(|b| b.first_chunk::<4>()) else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length);
    if length < 4 {
        return Err(ProtocolError::Length { kind, length });
    }
    let size = (length as usize).saturating_add(1);
    if size > limit {
        return Err(ProtocolError::TooLong { kind, length, limit });
    }
    Ok(Some((kind, size)))
}

/// Takes one whole message off the front of `buffer`; `None` where there is none yet.
///
/// # Errors
/// [`ProtocolError`] as for [`peek`].
pub fn take(buffer: &mut BytesMut, limits: &Limits) -> Result<Option<Frame>, ProtocolError> {
    match peek(buffer, limits)? {
        Some((kind, size)) if buffer.len() >= size => {
            Ok(Some(Frame { kind, bytes: buffer.split_to(size).freeze() }))
        }
        _ => Ok(None),
    }
}

/// Decodes a message.
///
/// # Errors
/// [`ProtocolError`] where a field reaches beyond the message, a text is not terminated, or bytes
/// are left over.
pub fn decode(frame: &Frame) -> Result<Frontend, ProtocolError> {
    let mut body = frame.bytes.clone();
    body.advance(5.min(body.len()));
    let fields = |message| Fields { body, message };
    match frame.kind {
        b'Q' => fields("Query").only(|f| Ok(Frontend::Query(f.string()?))),
        b'P' => fields("Parse").only(|f| {
            let (name, text) = (f.string()?, f.string()?);
            let types = f.counted(4)?;
            let types =
                types.chunks_exact(4).map(|t| t.iter().fold(0, |n, b| n << 8 | u32::from(*b)));
            Ok(Frontend::Parse { name, text, types: types.collect() })
        }),
        b'B' => fields("Bind").only(|f| {
            let (portal, statement) = (f.string()?, f.string()?);
            let values = f.body.clone();
            f.counted(2)?;
            for _ in 0..f.count()? {
                f.value()?;
            }
            f.counted(2)?;
            Ok(Frontend::Bind { portal, statement, values })
        }),
        b'D' => fields("Describe").only(|f| Ok(Frontend::Describe(f.target()?, f.string()?))),
        b'C' => fields("Close").only(|f| Ok(Frontend::Close(f.target()?, f.string()?))),
        b'E' => fields("Execute").only(|f| {
            let portal = f.string()?;
            let rows = f.take(4)?.get_u32();
            // The server takes a negative count for "all" (PortalRun: FETCH_ALL where <= 0).
            Ok(Frontend::Execute { portal, rows: if rows > i32::MAX as u32 { 0 } else { rows } })
        }),
        b'H' => fields("Flush").only(|_| Ok(Frontend::Flush)),
        b'S' => fields("Sync").only(|_| Ok(Frontend::Sync)),
        b'c' => fields("CopyDone").only(|_| Ok(Frontend::CopyDone)),
        b'f' => fields("CopyFail").only(|f| f.string().map(|_| Frontend::CopyFail)),
        // The server reads nothing after these headers either.
        b'X' => Ok(Frontend::Terminate),
        b'd' => Ok(Frontend::CopyData),
        b'F' => {
            fields("FunctionCall").only(|f| Ok(Frontend::FunctionCall(std::mem::take(&mut f.body))))
        }
        kind => Err(ProtocolError::Type(kind)),
    }
}

/// The fields of one message, taken from the front.
struct Fields {
    body: Bytes,
    message: &'static str,
}

impl Fields {
    /// Reads all fields with `read`; nothing may be left.
    fn only(
        mut self,
        read: impl FnOnce(&mut Self) -> Result<Frontend, ProtocolError>,
    ) -> Result<Frontend, ProtocolError> {
        let message = read(&mut self)?;
        if self.body.is_empty() {
            Ok(message)
        } else {
            Err(self.wrong("bytes after the last field"))
        }
    }

    const fn wrong(&self, what: &'static str) -> ProtocolError {
        ProtocolError::Format { message: self.message, what }
    }

    fn take(&mut self, size: usize) -> Result<Bytes, ProtocolError> {
        if self.body.len() < size {
            return Err(self.wrong("a field reaches beyond the message"));
        }
        Ok(self.body.split_to(size))
    }

    fn string(&mut self) -> Result<Bytes, ProtocolError> {
        let end = self.body.iter().position(|b| *b == 0);
        let end = end.ok_or_else(|| self.wrong("a string is not terminated"))?;
        let text = self.body.split_to(end);
        self.body.advance(1);
        Ok(text)
    }

    /// A count of 16 bits, which the server reads unsigned.
    fn count(&mut self) -> Result<usize, ProtocolError> {
        Ok(self.take(2)?.get_u16().into())
    }

    /// A counted list of fields of `size` bytes each.
    fn counted(&mut self, size: usize) -> Result<Bytes, ProtocolError> {
        let count = self.count()?;
        self.take(count * size)
    }

    /// A parameter value: a length of 32 bits, -1 for NULL, and that many bytes.
    fn value(&mut self) -> Result<(), ProtocolError> {
        let length = self.take(4)?.get_i32();
        match usize::try_from(length) {
            Ok(size) => self.take(size).map(drop),
            Err(_) if length == -1 => Ok(()),
            Err(_) => Err(self.wrong("a parameter has a negative length")),
        }
    }

    fn target(&mut self) -> Result<Target, ProtocolError> {
        match self.take(1)?.first() {
            Some(b'S') => Ok(Target::Statement),
            Some(b'P') => Ok(Target::Portal),
            _ => Err(self.wrong("neither statement nor portal")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, body: &[u8]) -> Frame {
        let mut bytes = vec![kind];
        bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        bytes.extend_from_slice(body);
        Frame { kind, bytes: bytes.into() }
    }

    fn text(bytes: &'static str) -> Bytes {
        Bytes::from_static(bytes.as_bytes())
    }

    #[test]
    fn messages() {
        let check = |kind, body: &[u8], expect| assert_eq!(decode(&frame(kind, body)), Ok(expect));
        check(b'Q', b"select 1\0", Frontend::Query(text("select 1")));
        let parse =
            Frontend::Parse { name: text("s"), text: text("t"), types: vec![23, 0x0102_0304] };
        check(b'P', b"s\0t\0\0\x02\0\0\0\x17\x01\x02\x03\x04", parse);
        let values = Bytes::from_static(b"\0\0\0\x02\xff\xff\xff\xff\0\0\0\x01x\0\0");
        let bind =
            Frontend::Bind { portal: text(""), statement: text("s"), values: values.clone() };
        check(b'B', &[b"\0s\0", &values[..]].concat(), bind);
        check(b'D', b"Sx\0", Frontend::Describe(Target::Statement, text("x")));
        check(b'C', b"P\0", Frontend::Close(Target::Portal, text("")));
        check(b'E', b"p\0\0\0\0\x05", Frontend::Execute { portal: text("p"), rows: 5 });
        check(b'E', b"p\0\xff\xff\xff\xff", Frontend::Execute { portal: text("p"), rows: 0 });
        check(b'S', b"", Frontend::Sync);
    }

    #[test]
    fn no_field_beyond_the_message_and_no_byte_left() {
        let check = |kind, body: &[u8]| {
            let got = decode(&frame(kind, body));
            assert!(matches!(got, Err(ProtocolError::Format { .. })), "{got:?}");
        };
        check(b'Q', b"select 1");
        check(b'Q', b"select 1\0; drop table t\0");
        check(b'P', b"s\0t\0");
        check(b'P', b"s\0t\0\0\x02\0\0\0\x17");
        check(b'P', b"s\0t\0\0\0x");
        check(b'B', b"\0s\0\0\0\0\x01\x7f\xff\xff\xff\0\0");
        check(b'B', b"\0s\0\0\0\0\x01\xff\xff\xff\xfe\0\0");
        check(b'B', b"\0s\0\xff\xff\0\0\0\0");
        check(b'D', b"Xx\0");
        check(b'E', b"p\0\0\0\0");
        check(b'S', b"x");
    }

    #[test]
    fn a_text_over_the_limit_is_known_by_its_header() {
        let limits = Limits::default();
        let check = |kind, size, expect| assert_eq!(limits.is_overlong(kind, size), expect);
        check(b'Q', limits.max_text + 6, false);
        check(b'Q', limits.max_text + 2000, true);
        check(b'P', limits.max_text + 4 * 65_535 + 80, false);
        check(b'P', limits.max_text + 300_000, true);
        check(b'B', 60 << 20, false);
    }

    #[test]
    fn lengths_are_refused_before_the_body_arrives() {
        let limits = Limits::default();
        let check = |bytes: &[u8], expect| assert_eq!(peek(bytes, &limits), expect);
        check(b"Q", Ok(None));
        check(b"Q\0\0\0\x04", Ok(Some((b'Q', 5))));
        let long = ProtocolError::TooLong { kind: b'Q', length: 0x7fff_ffff, limit: 64 << 20 };
        check(b"Q\x7f\xff\xff\xff", Err(long));
        let small = ProtocolError::TooLong { kind: b'S', length: 0x10_000, limit: 10_000 };
        check(b"S\0\x01\0\0", Err(small));
        check(b"Q\0\0\0\x03", Err(ProtocolError::Length { kind: b'Q', length: 3 }));
        check(b"p", Err(ProtocolError::Type(b'p')));
        check(b"z", Err(ProtocolError::Type(b'z')));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(
            kind in prop::sample::select(b"QPBDECHSXdcfFpz".to_vec()),
            body in proptest::collection::vec(any::<u8>(), 0..64),
            raw in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let _ = decode(&frame(kind, &body));
            let _ = decode(&Frame { kind, bytes: raw.clone().into() });
            let _ = take(&mut BytesMut::from(&raw[..]), &Limits::default());
        }
    }
}
