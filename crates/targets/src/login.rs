//! Logging in at a PostgreSQL server: lock-step, bounded, and over before a link exists.
//!
//! The target is not believed: every message is bounded, out-of-order messages end the log-in, a
//! password goes only where the settings and the channel allow, and success counts only once what
//! was asked for has been proved.

use crate::connect::Security;
use crate::credential::Credential;
use crate::error::{DialError, Step, tame};
use crate::scram::{Binding, ClientFirst, KeyCache};
use crate::settings::AuthMethod;
use crate::transport::PgTransport;
use bytes::{Buf as _, Bytes, BytesMut};
use zeroize::Zeroizing;

/// The longest message taken from a target that is logging us in, in bytes.
const LONGEST_MESSAGE: usize = 64 * 1024;
/// The most taken from it altogether, in bytes.
const MOST_BYTES: usize = 256 * 1024;
/// The most parameters taken from it. A server reports about fifteen.
const MOST_PARAMETERS: usize = 128;

/// Who logs in, and what may be done for it.
pub(crate) struct Terms<'a> {
    pub(crate) user: &'a str,
    pub(crate) credential: Option<&'a Credential>,
    pub(crate) methods: Option<&'a [AuthMethod]>,
    pub(crate) security: &'a Security,
    pub(crate) cache: &'a KeyCache,
}

/// What a server says once it has let us in.
#[derive(Debug, Default)]
pub(crate) struct Welcome {
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) process_id: u32,
    /// Its cancel key: four bytes in protocol 3.0.
    pub(crate) key: Option<Zeroizing<[u8; 4]>>,
    pub(crate) transaction_status: u8,
}

/// Logs in over an open socket.
pub(crate) async fn log_in(
    transport: &mut PgTransport,
    startup: &[u8],
    terms: &Terms<'_>,
) -> Result<Welcome, DialError> {
    let mut wire = Wire { transport, buffer: BytesMut::new(), taken: 0 };
    wire.send(startup).await?;
    authenticate(&mut wire, terms).await?;
    let welcome = read_welcome(&mut wire).await?;
    if !wire.buffer.is_empty() {
        return Err(DialError::Protocol("data after ReadyForQuery that nobody asked for"));
    }
    check_session(&welcome)?;
    Ok(welcome)
}

/// The values of a row.
pub(crate) type Asked = Vec<Option<String>>;

/// Asks a query of the gateway's own over a link that nobody has yet; its first row.
pub(crate) async fn ask(transport: &mut PgTransport, query: &str) -> Result<Asked, DialError> {
    let mut wire = Wire { transport, buffer: BytesMut::new(), taken: 0 };
    let length = u32::try_from(4 + query.len() + 1).map_err(|_| DialError::Protocol("a query"))?;
    let mut message = vec![b'Q'];
    message.extend(length.to_be_bytes());
    message.extend(query.as_bytes());
    message.push(0);
    wire.send(&message).await?;
    let mut row = None;
    loop {
        match wire.next().await? {
            (b'D', body) => {
                let values = values(&body);
                row.get_or_insert(values.ok_or(DialError::Protocol("a row that is none"))?);
            }
            (b'Z', _) => return row.ok_or(DialError::Protocol("an answer without a row")),
            // Its shape, its end, and what it tells unasked.
            (b'T' | b'C' | b'S' | b'A', _) => {}
            _ => return Err(DialError::Protocol("an answer that nobody asked for")),
        }
    }
}

/// The values of a `DataRow`, fit to be shown.
fn values(body: &[u8]) -> Option<Asked> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let mut values = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = i32::from_be_bytes(*length);
        let (value, after) = match usize::try_from(length) {
            Ok(length) => {
                let (value, after) = after.split_at_checked(length)?;
                (Some(tame(value, 500)), after)
            }
            Err(_) => (None, after),
        };
        values.push(value);
        rest = after;
    }
    Some(values)
}

/// The target's messages, framed.
struct Wire<'a> {
    transport: &'a mut PgTransport,
    buffer: BytesMut,
    taken: usize,
}

impl Wire<'_> {
    async fn send(&mut self, bytes: &[u8]) -> Result<(), DialError> {
        let sent = self.transport.write_all(bytes).await;
        sent.map_err(|error| DialError::Io { doing: Step::LoggingIn, error })
    }

    /// Sends a message of the password family: type `p`.
    async fn send_response(&mut self, parts: &[&[u8]]) -> Result<(), DialError> {
        let length = 4 + parts.iter().map(|part| part.len()).sum::<usize>();
        let length = u32::try_from(length).map_err(|_| DialError::Protocol("a long answer"))?;
        let mut message = Zeroizing::new(Vec::with_capacity(1 + length as usize));
        message.push(b'p');
        message.extend(length.to_be_bytes());
        parts.iter().for_each(|part| message.extend(*part));
        self.send(&message).await
    }

    /// The next message that is not a notice: its type and body. An error ends the log-in.
    async fn next(&mut self) -> Result<(u8, Bytes), DialError> {
        loop {
            let (kind, body) = self.message().await?;
            match kind {
                b'N' => {}
                b'E' => return Err(refusal(&body)),
                _ => return Ok((kind, body)),
            }
        }
    }

    async fn message(&mut self) -> Result<(u8, Bytes), DialError> {
        loop {
            if let Some((kind, length)) = header(&self.buffer)?
                && self.buffer.len() > length
            {
                self.taken += 1 + length;
                if self.taken > MOST_BYTES {
                    return Err(DialError::Protocol("it talks without end"));
                }
                let mut message = self.buffer.split_to(1 + length);
                message.advance(5);
                return Ok((kind, message.freeze()));
            }
            let read = self.transport.read(&mut self.buffer).await;
            let failed = |error| DialError::Io { doing: Step::LoggingIn, error };
            if read.map_err(failed)? == 0 {
                return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

/// Type and length of the message at the front, once they are there.
fn header(buffer: &[u8]) -> Result<Option<(u8, usize)>, DialError> {
    let Some([kind, a, b, c, d]) = buffer.first_chunk() else { return Ok(None) };
    let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
    if length < 4 {
        return Err(DialError::Protocol("a message shorter than its own length field"));
    }
    if length > LONGEST_MESSAGE {
        return Err(DialError::Protocol("a message longer than 64 KiB"));
    }
    Ok(Some((*kind, length)))
}

/// `ErrorResponse`: its SQLSTATE and message.
fn refusal(body: &[u8]) -> DialError {
    let field = |wanted: u8| {
        let mut fields = body.split(|b| *b == 0);
        fields.find_map(|f| f.split_first().filter(|(kind, _)| **kind == wanted)).map(|f| f.1)
    };
    let code = tame(field(b'C').unwrap_or(b"?????"), 5);
    DialError::Refused { code, message: tame(field(b'M').unwrap_or_default(), 400) }
}

/// An authentication request (PostgreSQL manual, "Message Formats"): its number and data.
fn authentication(kind: u8, body: &Bytes) -> Result<(i32, Bytes), DialError> {
    if kind != b'R' {
        return Err(DialError::Protocol("something else in place of an authentication request"));
    }
    let Some(number) = body.first_chunk() else {
        return Err(DialError::Protocol("an authentication request without a number"));
    };
    Ok((i32::from_be_bytes(*number), body.slice(4..)))
}

async fn authenticate(wire: &mut Wire<'_>, terms: &Terms<'_>) -> Result<(), DialError> {
    let (kind, body) = wire.next().await?;
    let (number, data) = authentication(kind, &body)?;
    match number {
        0 => return terms.allow(AuthMethod::Trust),
        3 => {
            terms.allow(AuthMethod::Password)?;
            wire.send_response(&[terms.password()?.reveal(), b"\0"]).await?;
        }
        5 => {
            terms.allow(AuthMethod::Md5)?;
            let salt = data.as_ref().try_into();
            let salt = salt.map_err(|_| DialError::Protocol("an md5 salt that is not 4 bytes"))?;
            let user = terms.user.as_bytes();
            let password = terms.password()?.reveal();
            let digest = postgres_protocol::authentication::md5_hash(user, password, salt);
            wire.send_response(&[digest.as_bytes(), b"\0"]).await?;
        }
        10 => {
            terms.allow(AuthMethod::ScramSha256)?;
            authenticate_scram(wire, terms, &data).await?;
        }
        other => return Err(DialError::UnknownMethod(other)),
    }
    match authentication_step(wire).await? {
        (0, _) => Ok(()),
        _ => Err(DialError::Protocol("a second authentication request")),
    }
}

async fn authentication_step(wire: &mut Wire<'_>) -> Result<(i32, Bytes), DialError> {
    let (kind, body) = wire.next().await?;
    authentication(kind, &body)
}

async fn authenticate_scram(
    wire: &mut Wire<'_>,
    terms: &Terms<'_>,
    offer: &[u8],
) -> Result<(), DialError> {
    let binding = choose_binding(offer, terms.security)?;
    let credential = terms.password()?;
    let mechanism = binding.mechanism();
    let first = ClientFirst::begin(binding)?;
    let message = first.message();
    let length = u32::try_from(message.len()).unwrap_or_default().to_be_bytes();
    wire.send_response(&[mechanism.as_bytes(), b"\0", &length, message.as_bytes()]).await?;
    let (11, server_first) = authentication_step(wire).await? else {
        return Err(DialError::Scram("it skipped the exchange"));
    };
    let trusted = terms.security.local || terms.security.verified;
    let (message, last) = first.answer(&server_first, credential, terms.cache, trusted).await?;
    wire.send_response(&[message.as_bytes()]).await?;
    let (12, server_final) = authentication_step(wire).await? else {
        return Err(DialError::Scram("it let us in without proving that it knows the password"));
    };
    last.finish(&server_final)
}

/// Picks the mechanism as libpq does with `channel_binding=prefer`.
fn choose_binding(offer: &[u8], security: &Security) -> Result<Binding, DialError> {
    let offered = |name: &[u8]| offer.split(|b| *b == 0).any(|mechanism| mechanism == name);
    match &security.binding {
        Some(hash) if security.encrypted && offered(b"SCRAM-SHA-256-PLUS") => {
            Ok(Binding::EndPoint(hash.clone()))
        }
        _ if !offered(b"SCRAM-SHA-256") => {
            Err(DialError::Scram("it offers no mechanism the gateway speaks"))
        }
        Some(_) if security.encrypted => Ok(Binding::NotOffered),
        _ => Ok(Binding::None),
    }
}

impl<'a> Terms<'a> {
    fn password(&self) -> Result<&'a Credential, DialError> {
        self.credential.ok_or(DialError::NoCredential)
    }

    /// Whether the target may ask for this.
    fn allow(&self, method: AuthMethod) -> Result<(), DialError> {
        let Security { local, encrypted, verified, .. } = *self.security;
        let refuse = |why| Err(DialError::Method { method, why });
        if method == AuthMethod::Password && !local && !verified {
            return refuse("a password goes only over TLS with a verified certificate");
        }
        if let Some(listed) = self.methods {
            return match listed.contains(&method) {
                true => Ok(()),
                false => refuse("`methods` does not list it"),
            };
        }
        match method {
            AuthMethod::ScramSha256 | AuthMethod::Password => Ok(()),
            AuthMethod::Md5 if local || encrypted => Ok(()),
            AuthMethod::Md5 => refuse("off loopback it needs TLS, or to be listed in `methods`"),
            AuthMethod::Trust if local => Ok(()),
            AuthMethod::Trust => {
                refuse("the target let us in without proof; list it in `methods` to accept that")
            }
        }
    }
}

async fn read_welcome(wire: &mut Wire<'_>) -> Result<Welcome, DialError> {
    let mut welcome = Welcome::default();
    loop {
        let (kind, body) = wire.next().await?;
        match (kind, body.as_ref()) {
            (b'S', pair) => {
                let (name, value) = parse_parameter(pair)?;
                welcome.parameters.retain(|(known, _)| *known != name);
                welcome.parameters.push((name, value));
                if welcome.parameters.len() > MOST_PARAMETERS {
                    return Err(DialError::Protocol("more parameters than any server has"));
                }
            }
            (b'K', [a, b, c, d, key @ ..]) if welcome.key.is_none() => {
                let key = key.try_into();
                let key = key.map_err(|_| DialError::Protocol("a cancel key of another length"))?;
                welcome.process_id = u32::from_be_bytes([*a, *b, *c, *d]);
                welcome.key = Some(Zeroizing::new(key));
            }
            (b'Z', [status @ (b'I' | b'T' | b'E')]) => {
                welcome.transaction_status = *status;
                return Ok(welcome);
            }
            _ => return Err(DialError::Protocol("an unexpected message before ReadyForQuery")),
        }
    }
}

/// `ParameterStatus`: two strings, each ended by a zero byte, and nothing else.
fn parse_parameter(body: &[u8]) -> Result<(String, String), DialError> {
    let malformed = || DialError::Protocol("a malformed ParameterStatus");
    let mut parts = body.split(|b| *b == 0);
    let (name, value) = (parts.next(), parts.next());
    let end = (parts.next(), parts.next());
    let (Some(name), Some(value), (Some([]), None)) = (name, value, end) else {
        return Err(malformed());
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| malformed());
    Ok((text(name)?, text(value)?))
}

/// The settings that decide how the server reads a text have to be the ones our parser assumes.
/// What a server does not report, it does not have.
fn check_session(welcome: &Welcome) -> Result<(), DialError> {
    for (parameter, expected) in [
        ("server_encoding", "UTF8"),
        ("client_encoding", "UTF8"),
        ("standard_conforming_strings", "on"),
    ] {
        let reported = welcome.parameters.iter().find(|(name, _)| name == parameter);
        let value = reported.map_or("(not reported)", |(_, value)| value);
        if value != expected {
            let value = tame(value.as_bytes(), 64);
            return Err(DialError::Session { parameter, value, expected });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn security(local: bool, encrypted: bool, verified: bool) -> Security {
        let binding = encrypted.then(|| vec![1; 32]);
        Security { local, encrypted, verified, binding, certificate_ends: None }
    }

    #[test]
    fn who_may_ask_for_what() {
        use AuthMethod::{Md5, Password, ScramSha256, Trust};
        let cache = KeyCache::new().unwrap();
        let check = |security: Security, methods: Option<&[AuthMethod]>, expect: &[AuthMethod]| {
            let terms =
                Terms { user: "u", credential: None, methods, security: &security, cache: &cache };
            for method in [ScramSha256, Md5, Password, Trust] {
                let allowed = terms.allow(method).is_ok();
                assert_eq!(
                    allowed,
                    expect.contains(&method),
                    "{security:?} {methods:?} {method:?}"
                );
            }
        };
        let all: &[AuthMethod] = &[ScramSha256, Md5, Password, Trust];
        check(security(true, false, false), None, all);
        check(security(false, false, false), None, &[ScramSha256]);
        check(security(false, true, false), None, &[ScramSha256, Md5]);
        check(security(false, true, true), None, &[ScramSha256, Md5, Password]);
        check(security(false, false, false), Some(all), &[ScramSha256, Md5, Trust]);
        check(security(false, true, false), Some(all), &[ScramSha256, Md5, Trust]);
        check(security(false, true, true), Some(all), all);
        check(security(true, true, true), Some(&[ScramSha256]), &[ScramSha256]);
    }

    #[test]
    fn channel_binding_is_taken_where_offered_and_its_absence_is_said() {
        let both = b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
        let header = |offer: &[u8], security| {
            choose_binding(offer, &security).map(|b| ClientFirst::begin(b).unwrap().message())
        };
        let start =
            |text: Result<String, DialError>| text.unwrap().split('n').next().unwrap().len();
        assert!(header(both, security(false, true, true)).unwrap().starts_with("p=tls-server-end"));
        assert!(header(&both[19..], security(false, true, true)).unwrap().starts_with("y,,n="));
        assert_eq!(start(header(both, security(false, false, false))), 0);
        let unhashed = Security { binding: None, ..security(false, true, true) };
        assert_eq!(start(header(both, unhashed)), 0);
        assert!(header(b"SCRAM-SHA-256-PLUS\0\0", security(false, false, false)).is_err());
        assert!(header(b"SCRAM-SHA-1\0\0", security(false, true, true)).is_err());
    }

    #[test]
    fn a_parameter_is_two_strings_and_nothing_else() {
        assert_eq!(parse_parameter(b"a\0b\0").unwrap(), ("a".to_owned(), "b".to_owned()));
        assert_eq!(parse_parameter(b"a\0\0").unwrap(), ("a".to_owned(), String::new()));
        for bad in [&b""[..], b"a", b"a\0", b"a\0b", b"a\0b\0c", b"a\0b\0\0", b"a\xff\0b\0"] {
            assert!(parse_parameter(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn decoders_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = header(&bytes);
            let _ = parse_parameter(&bytes);
            let _ = choose_binding(&bytes, &security(false, true, true));
            let DialError::Refused { code, message } = refusal(&bytes) else {
                return Err(TestCaseError::fail("another error"));
            };
            prop_assert!(![code, message].concat().contains(char::is_control));
        }
    }
}
