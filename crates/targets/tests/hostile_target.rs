//! Targets that cheat: each ends in its own clear error, in bounded memory and time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unimplemented,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_targets::DialError;
use std::sync::Arc;
use std::time::Duration;
use support::server::Authority;
use support::{dial_as, dialer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

const PLAIN: &str = "sslmode = \"disable\"";
const OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";
const READY: &[u8] = b"Z\0\0\0\x05I";

fn parameter(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![b'S'];
    bytes.extend((name.len() as u32 + value.len() as u32 + 6).to_be_bytes());
    for text in [name, value] {
        bytes.extend(text.as_bytes());
        bytes.push(0);
    }
    bytes
}

fn auth(number: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![b'R'];
    bytes.extend((data.len() as u32 + 8).to_be_bytes());
    bytes.extend(number.to_be_bytes());
    bytes.extend(data);
    bytes
}

fn usual_parameters() -> Vec<u8> {
    let pairs = [
        ("server_encoding", "UTF8"),
        ("client_encoding", "UTF8"),
        ("standard_conforming_strings", "on"),
    ];
    pairs.iter().flat_map(|(name, value)| parameter(name, value)).collect()
}

/// Dials a target that does what `play` does.
async fn against<F, R>(more: &str, play: F) -> Result<(), DialError>
where
    F: FnOnce(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        play(stream).await;
    });
    let settings = format!(
        "host = \"localhost\"\nport = {port}\ndatabase = \"shop\"\nuser = \"app\"\n\
         password = \"pencil\"\nconnect_timeout_seconds = 3\n{more}"
    );
    let dialer = dialer(&settings);
    let dialed = tokio::time::timeout(Duration::from_secs(8), dial_as(&dialer, "app"));
    let result = dialed.await.expect("bounded in time").map(drop);
    target.abort();
    result
}

async fn read(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    let count = stream.read(&mut bytes).await.unwrap();
    bytes.truncate(count);
    bytes
}

/// Dials a target that reads the start-up message, says `bytes` and waits.
async fn told(bytes: Vec<u8>) -> Result<(), DialError> {
    against(PLAIN, |mut stream| async move {
        read(&mut stream).await;
        let _ = stream.write_all(&bytes).await;
        read(&mut stream).await;
    })
    .await
}

fn check(got: Result<(), DialError>, part: &str) {
    let text = got.expect_err("let in").to_string();
    assert!(text.contains(part), "`{text}` lacks `{part}`");
    assert!(text.len() < 1000 && !text.contains(char::is_control), "{text}");
}

#[tokio::test]
async fn an_honest_target_is_let_through_by_these_fakes() {
    let trusting = [OK, &usual_parameters(), READY].concat();
    told(trusting).await.unwrap();
}

#[tokio::test]
async fn messages_out_of_bounds() {
    check(told(b"R\x7f\xff\xff\xff".to_vec()).await, "longer than 64 KiB");
    check(told(b"R\xff\xff\xff\xff".to_vec()).await, "longer than 64 KiB");
    check(told(b"R\0\0\0\x03".to_vec()).await, "shorter");
    check(told(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()).await, "longer than 64 KiB");
    check(told(b"R\0\0\0\x04".to_vec()).await, "without a number");
    check(told(auth(5, b"abc")).await, "salt");
    check(told(auth(9, b"")).await, "request 9");
    check(told(READY.to_vec()).await, "in place of an authentication request");
    check(told([OK, OK].concat()).await, "unexpected message");
    check(told([OK, &usual_parameters(), READY, b"x"].concat()).await, "after ReadyForQuery");
    check(told([OK, READY].concat()).await, "not reported");
    check(told([OK, b"Z\0\0\0\x05?"].concat()).await, "unexpected message");
    check(told([OK, b"K\0\0\0\x09\0\0\0\0\0"].concat()).await, "cancel key");
    check(told([OK, b"S\0\0\0\x07a\0b"].concat()).await, "malformed ParameterStatus");
    check(told([OK, b"S\0\0\0\x0aa\0b\0c\0"].concat()).await, "malformed ParameterStatus");
}

#[tokio::test]
async fn talk_without_end() {
    let many: Vec<u8> = (0..1000).flat_map(|n| parameter(&format!("p{n}"), "x")).collect();
    check(told([OK, &many].concat()).await, "more parameters");
    let same = parameter("p", &"x".repeat(60_000)).repeat(10);
    check(told([OK, &same].concat()).await, "without end");
    let notices = b"N\0\0\0\x06S\0".repeat(100_000);
    check(told([OK, &notices].concat()).await, "without end");
}

#[tokio::test]
async fn error_texts_are_tamed() {
    let text = format!("MPwned\x1b]0;\x07\r\n{}\0", "y".repeat(5000));
    let mut bytes = vec![b'E'];
    bytes.extend((text.len() as u32 + 16).to_be_bytes());
    bytes.extend(b"SFATAL\0");
    bytes.extend(text.as_bytes());
    bytes.extend(b"\0\0\0\0\0");
    check(told(bytes).await, "refused the log-in");
}

#[tokio::test]
async fn silence_and_hanging_up() {
    let silent = |mut stream: TcpStream| async move {
        read(&mut stream).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    };
    check(against(PLAIN, silent).await, "time ran out while logging in");
    check(against("sslmode = \"require\"", silent).await, "time ran out while agreeing on TLS");
    let dribble = |mut stream: TcpStream| async move {
        read(&mut stream).await;
        loop {
            let _ = stream.write_all(b"N\0\0\0\x04").await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    check(against(PLAIN, dribble).await, "time ran out while logging in");
    check(against(PLAIN, |s| async move { drop(s) }).await, "failed while logging in");
}

#[tokio::test]
async fn plain_text_put_before_or_in_place_of_tls() {
    for (answer, part) in [
        (&b"SR\0\0\0\x08\0\0\0\0"[..], "unencrypted data after SSLRequest"),
        (b"SS", "unencrypted data after SSLRequest"),
        (b"N", "does not offer TLS"),
        (b"NR", "unencrypted data after SSLRequest"),
        (b"ESFATAL\0", "an error in answer to SSLRequest"),
        (b"X", "an unknown answer"),
        (b"", "failed while agreeing on TLS"),
    ] {
        let play = move |mut stream: TcpStream| async move {
            read(&mut stream).await;
            stream.write_all(answer).await.unwrap();
            if !answer.is_empty() {
                read(&mut stream).await;
            }
        };
        check(against("sslmode = \"require\"", play).await, part);
    }
    let plain = |mut stream: TcpStream| async move {
        read(&mut stream).await;
        stream.write_all(b"N").await.unwrap();
        read(&mut stream).await;
        stream.write_all(&[OK, &usual_parameters(), READY].concat()).await.unwrap();
        read(&mut stream).await;
    };
    against("sslmode = \"prefer\"", plain).await.unwrap();
    check(against("sslmode = \"verify-full\"", plain).await, "does not offer TLS");
}

#[tokio::test]
async fn certificates_that_do_not_hold() {
    let authority = Authority::new();
    let files = tempfile::tempdir().unwrap();
    let ca = files.path().join("ca.pem");
    for (name, until, pinned, expect) in [
        ("localhost", 2090, false, None),
        ("localhost", 2001, false, Some("expired")),
        ("other.example", 2090, false, Some("not valid for name")),
        ("localhost", 2090, true, None),
        ("localhost", 2001, true, Some("Expired")),
        ("other.example", 2090, true, Some("not valid for name")),
    ] {
        let (certificate, key) = authority.issue(&[name], until);
        let trusted = if pinned { certificate.pem() } else { authority.pem() };
        std::fs::write(&ca, trusted).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let play = |mut stream: TcpStream| async move {
            read(&mut stream).await;
            stream.write_all(b"S").await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(&[OK, &usual_parameters(), READY].concat()).await;
            let _ = stream.read(&mut [0; 4096]).await;
        };
        let more = format!("sslmode = \"verify-full\"\nsslrootcert = \"{}\"", ca.display());
        match (against(&more, play).await, expect) {
            (Ok(()), None) => {}
            (got, Some(part)) => check(got, part),
            (got, None) => panic!("{got:?}"),
        }
    }
}

/// A target that speaks SCRAM up to a point: `first` and `last` replace what should be said.
async fn scram(first: &'static str, last: &[u8]) -> Result<(), DialError> {
    let last = last.to_vec();
    against(PLAIN, move |mut stream| async move {
        read(&mut stream).await;
        let _ = stream.write_all(&auth(10, b"SCRAM-SHA-256\0\0")).await;
        let message = read(&mut stream).await;
        let text = String::from_utf8_lossy(&message).into_owned();
        let nonce = text.rsplit("r=").next().unwrap();
        let _ = stream.write_all(&auth(11, first.replace('@', nonce).as_bytes())).await;
        read(&mut stream).await;
        let _ = stream.write_all(&[&last, OK, &usual_parameters(), READY].concat()).await;
        read(&mut stream).await;
    })
    .await
}

#[tokio::test]
async fn scram_without_proof() {
    let fine = "r=@more,s=c2FsdA==,i=4096";
    check(scram(fine, b"").await, "without proving");
    let wrong = format!("v={}", STANDARD.encode([0; 32]));
    check(scram(fine, &auth(12, wrong.as_bytes())).await, "proof is wrong");
    check(scram(fine, &auth(12, b"v=")).await, "proof is wrong");
    check(scram(fine, &auth(12, b"e=no")).await, "no proof");
    check(scram(fine, &auth(11, b"r=x")).await, "without proving");
    check(scram("r=@,s=c2FsdA==,i=4096", b"").await, "nonce");
    check(scram("r=other,s=c2FsdA==,i=4096", b"").await, "nonce");
    check(scram("r=@more,s=c2FsdA==,i=2147483648", b"").await, "600000");
    check(scram("r=@more,s=c2FsdA==,i=4294967296", b"").await, "malformed");
    check(scram("r=@more", b"").await, "malformed");
    check(told(auth(10, b"SCRAM-SHA-1\0\0")).await, "no mechanism");
    check(told(auth(10, b"SCRAM-SHA-256-PLUS\0\0")).await, "no mechanism");
    check(told([&auth(10, b"SCRAM-SHA-256\0\0")[..], OK].concat()).await, "skipped");
}

#[tokio::test]
async fn passwords_are_not_given_away() {
    for (request, more) in [
        (auth(3, b""), "methods = [\"scram-sha-256\"]"),
        (auth(5, b"salt"), "methods = [\"scram-sha-256\"]"),
        (OK.to_vec(), "methods = [\"scram-sha-256\"]"),
    ] {
        let (said, heard) = tokio::sync::oneshot::channel();
        let play = |mut stream: TcpStream| async move {
            read(&mut stream).await;
            stream.write_all(&request).await.unwrap();
            said.send(read(&mut stream).await).unwrap();
        };
        check(against(&format!("{PLAIN}\n{more}"), play).await, "not allowed here");
        assert_eq!(heard.await.unwrap_or_default(), b"", "nothing was sent in answer");
    }
}
