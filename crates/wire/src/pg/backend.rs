//! What a target says while it is being logged in to, decoded for the dialer: before any session
//! of a caller is attached to the link.
//!
//! Manual, "Start-up" and "SASL Authentication".

use super::answer::{read_parameter, read_ready};
use super::body::{Body, malformed};
use super::report;
use bytes::Bytes;
use portcullis_core::mask::MaskFailure;

pub use super::frames::{MAX_LOGIN_MESSAGE, read_backend};

/// How many options a target may say it does not know.
const MAX_OPTIONS: usize = 64;

/// How many mechanisms a target may offer.
const MAX_MECHANISMS: usize = 32;

/// A message of the start-up phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackendMessage {
    /// What the target asks for, or that it is content.
    Authentication(Authentication),
    /// A setting.
    Parameter {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// What a cancel request has to carry.
    BackendKey {
        /// The server process.
        process: i32,
        /// The secret key, four bytes before protocol 3.2, up to 256 from then on.
        key: Bytes,
    },
    /// The log-in is done; the transaction status.
    Ready(u8),
    /// The log-in failed.
    Error(ErrorFields),
    /// A notice.
    Notice(ErrorFields),
    /// The target speaks an older minor version, or does not know an option.
    Negotiate {
        /// The newest minor version of protocol 3 it speaks.
        newest_minor: u16,
        /// Options it does not know.
        unsupported: Vec<String>,
    },
}

/// What a target asks for.
#[derive(Clone, PartialEq, Eq)]
pub enum Authentication {
    /// Nothing more.
    Ok,
    /// The password as it is.
    Cleartext,
    /// The password hashed with this salt.
    Md5 {
        /// The salt.
        salt: [u8; 4],
    },
    /// One of these SASL mechanisms.
    Sasl {
        /// Their names, the target's favourite first.
        mechanisms: Vec<String>,
    },
    /// A SASL challenge.
    SaslContinue(Bytes),
    /// The outcome of SASL, to be verified.
    SaslFinal(Bytes),
    /// A method the gateway does not speak (GSSAPI, SSPI, Kerberos, SCM credentials…).
    Unsupported(u32),
}

/// Challenges stay out of logs.
impl std::fmt::Debug for Authentication {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ok => f.write_str("Ok"),
            Self::Cleartext => f.write_str("Cleartext"),
            Self::Md5 { .. } => f.write_str("Md5"),
            Self::Sasl { mechanisms } => write!(f, "Sasl({mechanisms:?})"),
            Self::SaslContinue(_) => f.write_str("SaslContinue"),
            Self::SaslFinal(_) => f.write_str("SaslFinal"),
            Self::Unsupported(code) => write!(f, "Unsupported({code})"),
        }
    }
}

/// The fields of an error that a dialer acts on. Texts are the target's: not for a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorFields {
    /// The severity, not localised where the target says so.
    pub severity: String,
    /// The SQLSTATE.
    pub code: String,
    /// The primary message.
    pub message: String,
}

/// Reads what can be read of an error; what cannot stays empty.
#[must_use]
pub fn error_fields(body: &[u8]) -> ErrorFields {
    let mut read = ErrorFields::default();
    let Ok(fields) = report::read_fields(body) else { return read };
    for (kind, text) in fields {
        let text = || String::from_utf8_lossy(text).into_owned();
        match kind {
            b'V' => read.severity = text(),
            b'S' if read.severity.is_empty() => read.severity = text(),
            b'C' => read.code = text(),
            b'M' => read.message = text(),
            _ => {}
        }
    }
    read
}

impl BackendMessage {
    /// Decodes a message that [`read_backend`] has taken.
    ///
    /// # Errors
    /// [`MaskFailure::Malformed`] for what has no place in the start-up phase.
    pub fn parse(tag: u8, bytes: &Bytes) -> Result<Self, MaskFailure> {
        match tag {
            b'R' => authentication(bytes).map(Self::Authentication),
            b'S' => {
                let (name, value) = read_parameter(bytes)?;
                Ok(Self::Parameter { name: name.to_owned(), value: value.to_owned() })
            }
            b'K' => {
                let mut body = Body::new("BackendKeyData", bytes);
                let process = body.i32()?;
                match body.rest().len() {
                    4..=256 => Ok(Self::BackendKey { process, key: tail(bytes, &body) }),
                    other => Err(malformed(format!("a cancel key of {other} bytes"))),
                }
            }
            b'Z' => read_ready(bytes).map(Self::Ready),
            b'E' => report::read_fields(bytes).map(|_| Self::Error(error_fields(bytes))),
            b'N' => report::read_fields(bytes).map(|_| Self::Notice(error_fields(bytes))),
            b'v' => negotiate(bytes),
            other => Err(malformed(format!("a message of type 0x{other:02x} while logging in"))),
        }
    }
}

fn tail(bytes: &Bytes, body: &Body<'_>) -> Bytes {
    bytes.slice(bytes.len() - body.rest().len()..)
}

fn authentication(bytes: &Bytes) -> Result<Authentication, MaskFailure> {
    let mut body = Body::new("Authentication", bytes);
    Ok(match body.u32()? {
        0 => {
            body.end()?;
            Authentication::Ok
        }
        3 => {
            body.end()?;
            Authentication::Cleartext
        }
        5 => {
            let salt = body.u32()?.to_be_bytes();
            body.end()?;
            Authentication::Md5 { salt }
        }
        10 => {
            let mut mechanisms = Vec::new();
            loop {
                match body.text()? {
                    "" => break,
                    _ if mechanisms.len() >= MAX_MECHANISMS => {
                        return Err(malformed("too many SASL mechanisms"));
                    }
                    name => mechanisms.push(name.to_owned()),
                }
            }
            body.end()?;
            Authentication::Sasl { mechanisms }
        }
        11 => Authentication::SaslContinue(tail(bytes, &body)),
        12 => Authentication::SaslFinal(tail(bytes, &body)),
        other => Authentication::Unsupported(other),
    })
}

fn negotiate(bytes: &Bytes) -> Result<BackendMessage, MaskFailure> {
    let mut body = Body::new("NegotiateProtocolVersion", bytes);
    let version = body.u32()?;
    // The server sends the whole version; some others send the minor number alone.
    let newest_minor = match (version >> 16, version & 0xffff) {
        (0 | 3, minor) => u16::try_from(minor).unwrap_or(0),
        _ => return Err(malformed("NegotiateProtocolVersion is not about protocol 3")),
    };
    let count = usize::try_from(body.u32()?).unwrap_or(usize::MAX);
    if count > MAX_OPTIONS {
        return Err(malformed("NegotiateProtocolVersion has too many options"));
    }
    let mut unsupported = Vec::with_capacity(count);
    for _ in 0..count {
        unsupported.push(body.text()?.to_owned());
    }
    body.end()?;
    Ok(BackendMessage::Negotiate { newest_minor, unsupported })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::server;
    use bytes::BytesMut;
    use proptest::prelude::*;

    fn check(build: impl FnOnce(&mut BytesMut), expect: BackendMessage) {
        let mut buffer = BytesMut::new();
        build(&mut buffer);
        let (tag, body) = read_backend(&mut buffer).unwrap().unwrap();
        assert_eq!(BackendMessage::parse(tag, &body), Ok(expect));
    }

    #[test]
    fn what_a_server_says_is_read_back() {
        use Authentication as A;
        use BackendMessage as M;
        check(server::authentication_ok, M::Authentication(A::Ok));
        check(server::authentication_cleartext, M::Authentication(A::Cleartext));
        let mechanisms = vec!["SCRAM-SHA-256-PLUS".to_owned(), "SCRAM-SHA-256".to_owned()];
        check(
            |o| server::authentication_sasl(o, &["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]),
            M::Authentication(A::Sasl { mechanisms }),
        );
        check(
            |o| server::parameter_status(o, "TimeZone", "UTC"),
            M::Parameter { name: "TimeZone".to_owned(), value: "UTC".to_owned() },
        );
        let key = Bytes::from_static(&[9; 32]);
        check(|o| server::backend_key_data(o, 1, &[9; 32]), M::BackendKey { process: 1, key });
        check(|o| server::ready(o, b'I'), M::Ready(b'I'));
        check(
            |o| server::negotiate_protocol_version(o, 0, &["_pq_.a"]),
            M::Negotiate { newest_minor: 0, unsupported: vec!["_pq_.a".to_owned()] },
        );
        check(
            |o| server::error(o, &server::WireError::new("28P01", "no").fatal()),
            M::Error(ErrorFields {
                severity: "FATAL".to_owned(),
                code: "28P01".to_owned(),
                message: "no".to_owned(),
            }),
        );
    }

    #[test]
    fn what_has_no_place_in_a_log_in_is_refused() {
        let refused: [(u8, &'static [u8]); 9] = [
            (b'D', b"\0\0"),
            (b'Z', b"X"),
            (b'K', b"\0\0\0\x01abc"),
            (b'R', b"\0\0"),
            (b'R', b"\0\0\0\0extra"),
            (b'R', b"\0\0\0\x0aSCRAM"),
            (b'v', b"\0\x02\0\0\0\0\0\0"),
            (b'v', b"\0\x03\0\0\xff\xff\xff\xff"),
            (b'S', b"client_encoding\0LATIN1\0"),
        ];
        for (tag, body) in refused {
            let parsed = BackendMessage::parse(tag, &Bytes::from_static(body));
            assert!(parsed.is_err(), "{} {parsed:?}", char::from(tag));
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(tag: u8, body in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = BackendMessage::parse(tag, &Bytes::from(body));
        }
    }
}
