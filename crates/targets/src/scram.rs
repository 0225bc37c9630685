//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the client's side (RFC 5802, RFC 7677; PostgreSQL manual,
//! "SASL Authentication").
//!
//! The slow part, PBKDF2, is done once for a password, salt and iteration count: its results are
//! kept in a [`KeyCache`], so that a log-in costs microseconds afterwards.

use crate::credential::Credential;
use crate::error::DialError;
use aws_lc_rs::{constant_time, digest, hmac, pbkdf2, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// The most iterations a target may ask for: a third of a second of one core.
const MOST_ITERATIONS: u32 = 600_000;
/// The fewest (RFC 7677 §4) from a target that has not proved who it is: fewer make the proof we
/// send cheap to guess passwords from.
const FEWEST_ITERATIONS: u32 = 4096;
/// The longest salt and nonce taken, in bytes.
const LONGEST: usize = 512;
/// How many derived keys are kept.
const MOST_KEYS: usize = 512;

type Hash = Zeroizing<[u8; 32]>;

/// What a log-in says about the channel it runs over (RFC 5802 §6).
#[derive(Debug, Clone)]
pub(crate) enum Binding {
    /// The channel has no name we could bind to: `n`.
    None,
    /// We could bind, and the target does not offer it: `y`. A target that did offer it sees that
    /// somebody cut its offer out.
    NotOffered,
    /// `tls-server-end-point`.
    EndPoint(Vec<u8>),
}

impl Binding {
    const fn header(&self) -> &'static str {
        match self {
            Self::None => "n,,",
            Self::NotOffered => "y,,",
            Self::EndPoint(_) => "p=tls-server-end-point,,",
        }
    }

    /// The mechanism it goes with.
    pub(crate) const fn mechanism(&self) -> &'static str {
        match self {
            Self::None | Self::NotOffered => "SCRAM-SHA-256",
            Self::EndPoint(_) => "SCRAM-SHA-256-PLUS",
        }
    }

    fn encoded(&self) -> String {
        let mut bytes = self.header().as_bytes().to_vec();
        if let Self::EndPoint(data) = self {
            bytes.extend(data);
        }
        STANDARD.encode(bytes)
    }
}

/// Keys derived from a password (RFC 5802 §3). They stand for the password at this target.
struct Keys {
    client: Hash,
    stored: Hash,
    server: Hash,
}

/// Awaiting the server's first message.
pub(crate) struct ClientFirst {
    binding: Binding,
    nonce: String,
}

/// Awaiting the server's proof that it knows the password.
#[must_use = "without the server's proof nobody has been authenticated"]
pub(crate) struct ClientFinal {
    expected: Hash,
}

/// The server's first message, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct ServerFirst<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: NonZeroU32,
}

impl ClientFirst {
    /// Begins with a fresh nonce.
    pub(crate) fn begin(binding: Binding) -> Result<Self, DialError> {
        let mut bytes = [0u8; 18];
        rand::fill(&mut bytes).map_err(|_| DialError::Scram("no random numbers"))?;
        Ok(Self { binding, nonce: STANDARD.encode(bytes) })
    }

    /// `client-first-message`. The user is named in the start-up message; PostgreSQL ignores `n=`.
    pub(crate) fn message(&self) -> String {
        format!("{}n=,r={}", self.binding.header(), self.nonce)
    }

    /// Takes the server's first message to `client-final-message`.
    pub(crate) async fn answer(
        self,
        server_first: &[u8],
        credential: &Credential,
        cache: &KeyCache,
        trusted: bool,
    ) -> Result<(String, ClientFinal), DialError> {
        let text = std::str::from_utf8(server_first)
            .map_err(|_| DialError::Scram("its first message is not UTF-8"))?;
        let first = parse_server_first(text)?;
        let fresh = first.nonce.strip_prefix(&self.nonce);
        if fresh.is_none_or(str::is_empty) {
            return Err(DialError::Scram("it did not add to our nonce"));
        }
        if first.iterations.get() > MOST_ITERATIONS {
            return Err(DialError::Scram("it asks for more than 600000 iterations"));
        }
        if first.iterations.get() < FEWEST_ITERATIONS && !trusted {
            return Err(DialError::Scram(
                "it asks for fewer than 4096 iterations without having proved who it is",
            ));
        }
        let keys = cache.keys(credential, &first.salt, first.iterations).await?;
        let unproved = format!("c={},r={}", self.binding.encoded(), first.nonce);
        let signed = format!("n=,r={},{text},{unproved}", self.nonce);
        let mut proof = mac(keys.stored.as_slice(), signed.as_bytes());
        proof.iter_mut().zip(keys.client.iter()).for_each(|(a, b)| *a ^= b);
        let expected = mac(keys.server.as_slice(), signed.as_bytes());
        let message = format!("{unproved},p={}", STANDARD.encode(proof.as_slice()));
        Ok((message, ClientFinal { expected }))
    }
}

impl ClientFinal {
    /// Checks the server's proof.
    pub(crate) fn finish(self, server_final: &[u8]) -> Result<(), DialError> {
        let Some(verifier) = server_final.strip_prefix(b"v=") else {
            return Err(DialError::Scram("it sent no proof that it knows the password"));
        };
        let verifier = STANDARD
            .decode(verifier)
            .map_err(|_| DialError::Scram("its proof is not valid base64"))?;
        constant_time::verify_slices_are_equal(&verifier, self.expected.as_slice())
            .map_err(|_| DialError::Scram("it does not know the password: its proof is wrong"))
    }
}

fn parse_server_first(text: &str) -> Result<ServerFirst<'_>, DialError> {
    let malformed = || DialError::Scram("its first message is malformed");
    let mut fields = text.split(',');
    let mut field = |prefix| fields.next().and_then(|f| f.strip_prefix(prefix));
    let nonce = field("r=").ok_or_else(malformed)?;
    let salt = field("s=").ok_or_else(malformed)?;
    let count = field("i=").ok_or_else(malformed)?;
    let printable = nonce.bytes().all(|b| b.is_ascii_graphic());
    let digits = count.bytes().all(|b| b.is_ascii_digit());
    if fields.next().is_some() || !printable || !digits {
        return Err(malformed());
    }
    if nonce.len() > LONGEST || salt.len() > LONGEST {
        return Err(DialError::Scram("its salt or nonce is too long"));
    }
    let salt = STANDARD.decode(salt).map_err(|_| malformed())?;
    let iterations = count.parse().map_err(|_| malformed())?;
    if salt.is_empty() {
        return Err(malformed());
    }
    Ok(ServerFirst { nonce, salt, iterations })
}

fn mac(key: &[u8], data: &[u8]) -> Hash {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
    sized(tag.as_ref())
}

fn sized(bytes: &[u8]) -> Hash {
    let mut out = Zeroizing::new([0u8; 32]);
    out.iter_mut().zip(bytes).for_each(|(a, b)| *a = *b);
    out
}

/// SASLprep (RFC 4013); like the server, a password that cannot be prepared is taken as it is.
fn prepared(password: &[u8]) -> Zeroizing<Vec<u8>> {
    let text = std::str::from_utf8(password).ok();
    let prepared = text.and_then(|text| stringprep::saslprep(text).ok());
    match prepared {
        Some(text) => Zeroizing::new(text.into_owned().into_bytes()),
        None => Zeroizing::new(password.to_vec()),
    }
}

fn derive(password: &[u8], salt: &[u8], iterations: NonZeroU32) -> Keys {
    let mut salted = Zeroizing::new([0u8; 32]);
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(algorithm, iterations, salt, &prepared(password), salted.as_mut_slice());
    let client = mac(salted.as_slice(), b"Client Key");
    let stored = sized(digest::digest(&digest::SHA256, client.as_slice()).as_ref());
    let server = mac(salted.as_slice(), b"Server Key");
    Keys { client, stored, server }
}

/// Derived keys, by a name that does not tell the password: a MAC under a key of this process.
pub(crate) struct KeyCache {
    naming: hmac::Key,
    keys: Mutex<HashMap<[u8; 32], Arc<Keys>>>,
}

impl KeyCache {
    pub(crate) fn new() -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut secret = Zeroizing::new([0u8; 32]);
        rand::fill(secret.as_mut_slice())?;
        let naming = hmac::Key::new(hmac::HMAC_SHA256, secret.as_slice());
        Ok(Self { naming, keys: Mutex::default() })
    }

    async fn keys(
        &self,
        credential: &Credential,
        salt: &[u8],
        iterations: NonZeroU32,
    ) -> Result<Arc<Keys>, DialError> {
        let name = self.name(credential, salt, iterations);
        let known = self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        if let Some(keys) = known {
            return Ok(keys);
        }
        let (password, salt) = (Zeroizing::new(credential.reveal().to_vec()), salt.to_vec());
        let deriving = tokio::task::spawn_blocking(move || derive(&password, &salt, iterations));
        let keys = deriving.await.map_err(|_| DialError::Scram("key derivation failed"))?;
        let keys = Arc::new(keys);
        let mut kept = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEYS {
            // Any one: only a target that changes its salt at every log-in comes here.
            let victim = kept.keys().next().copied();
            victim.map(|victim| kept.remove(&victim));
        }
        kept.insert(name, keys.clone());
        Ok(keys)
    }

    fn name(&self, credential: &Credential, salt: &[u8], iterations: NonZeroU32) -> [u8; 32] {
        let mut naming = hmac::Context::with_key(&self.naming);
        for part in [credential.reveal(), salt] {
            naming.update(&(part.len() as u64).to_be_bytes());
            naming.update(part);
        }
        naming.update(&iterations.get().to_be_bytes());
        *sized(naming.sign().as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::CredentialSource;
    use proptest::prelude::*;

    fn credential(text: &str) -> Credential {
        let password = serde_json::from_value(text.into()).unwrap();
        CredentialSource::Inline(&password).open().unwrap().unwrap()
    }

    /// The example of RFC 7677 §3, with the user name PostgreSQL leaves out put back.
    #[test]
    fn keys_are_those_of_the_rfc() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let keys = derive(b"pencil", &salt, NonZeroU32::new(4096).unwrap());
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let signed = format!(
            "n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
             c=biws,r={nonce}"
        );
        let mut proof = mac(keys.stored.as_slice(), signed.as_bytes());
        proof.iter_mut().zip(keys.client.iter()).for_each(|(a, b)| *a ^= b);
        let encoded = STANDARD.encode(proof.as_slice());
        assert_eq!(encoded, "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let server = STANDARD.encode(mac(keys.server.as_slice(), signed.as_bytes()).as_slice());
        assert_eq!(server, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    async fn answer(nonce: &str, rest: &str, trusted: bool) -> Result<ClientFinal, DialError> {
        let first = ClientFirst { binding: Binding::None, nonce: "abc".to_owned() };
        let cache = KeyCache::new().unwrap();
        let message = format!("r={nonce},{rest}");
        first
            .answer(message.as_bytes(), &credential("x"), &cache, trusted)
            .await
            .map(|(_, last)| last)
    }

    #[tokio::test]
    async fn hostile_first_messages_are_refused() {
        assert!(answer("abcd", "s=AAAA,i=4096", false).await.is_ok());
        for (nonce, rest) in [
            ("abc", "s=AAAA,i=4096"),
            ("xabc", "s=AAAA,i=4096"),
            ("abcd", "s=,i=4096"),
            ("abcd", "s=!,i=4096"),
            ("abcd", "s=AAAA,i=0"),
            ("abcd", "s=AAAA,i=-4096"),
            ("abcd", "s=AAAA,i=+4096"),
            ("abcd", "s=AAAA,i=4095"),
            ("abcd", "s=AAAA,i=600001"),
            ("abcd", "s=AAAA,i=2147483648"),
            ("abcd", "s=AAAA,i=99999999999999999999"),
            ("abcd", "s=AAAA,i=4096,m=x"),
            ("abcd", "i=4096,s=AAAA"),
            ("abcd\0", "s=AAAA,i=4096"),
        ] {
            let got = answer(nonce, rest, false).await;
            assert!(matches!(got, Err(DialError::Scram(_))), "{nonce} {rest}");
        }
        assert!(answer("abcd", "s=AAAA,i=1", true).await.is_ok(), "who is verified may ask for it");
    }

    #[tokio::test]
    async fn only_the_right_proof_ends_it() {
        for proof in ["", "v=", "v=AAAA", "e=other-error", "v=!!", "V=AAAA"] {
            let last = answer("abcd", "s=AAAA,i=4096", false).await.unwrap();
            assert!(last.finish(proof.as_bytes()).is_err(), "{proof}");
        }
        let last = answer("abcd", "s=AAAA,i=4096", false).await.unwrap();
        let right = format!("v={}", STANDARD.encode(last.expected.as_slice()));
        assert!(last.finish(right.as_bytes()).is_ok());
    }

    #[tokio::test]
    async fn keys_are_kept_apart_and_bounded() {
        let cache = KeyCache::new().unwrap();
        let one = NonZeroU32::MIN;
        let first = cache.keys(&credential("a"), b"s", one).await.unwrap();
        let again = cache.keys(&credential("a"), b"s", one).await.unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        for (password, salt) in [("b", &b"s"[..]), ("a", b"t"), ("as", b"")] {
            let other = cache.keys(&credential(password), salt, one).await.unwrap();
            assert!(!Arc::ptr_eq(&first, &other));
        }
        for n in 0..MOST_KEYS as u32 + 10 {
            cache.keys(&credential("a"), &n.to_be_bytes(), one).await.unwrap();
        }
        assert_eq!(cache.keys.lock().unwrap().len(), MOST_KEYS);
    }

    #[test]
    fn passwords_are_prepared_as_the_server_does() {
        assert_eq!(&prepared("I\u{ad}X".as_bytes())[..], b"IX");
        assert_eq!(&prepared("\u{2168}".as_bytes())[..], b"IX");
        assert_eq!(&prepared(&[0xff, b'x'])[..], [0xff, b'x']);
        assert_eq!(&prepared(b"tab\there")[..], b"tab\there", "prohibited: taken as it is");
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC{0,80}") {
            let _ = parse_server_first(&text);
        }
    }
}
