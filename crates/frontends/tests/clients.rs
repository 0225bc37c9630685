//! Real clients, silent ones, greedy ones and ones in a hurry, at an open listener.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use bytes::BytesMut;
use portcullis_core::masked::Masked;
use portcullis_frontends::{AcceptError, Accepted, Listener, ListenerSettings, ServerTls};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const STARTUP: &[u8] = b"\0\0\0\x10\0\x03\0\0user\0a\0\0";
const SSL: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";
const GSS: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x30";

struct House {
    listener: Listener,
    tls: ServerTls,
    _home: tempfile::TempDir,
}

fn open(change: impl FnOnce(&mut ListenerSettings)) -> House {
    let home = tempfile::tempdir().unwrap();
    let tls = ServerTls::generated(home.path(), &[]).unwrap();
    let mut settings = ListenerSettings::at("127.0.0.1:0".parse().unwrap());
    change(&mut settings);
    let listener = Listener::bind(&settings, Some(tls.clone())).unwrap();
    House { listener, tls, _home: home }
}

impl House {
    fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    async fn next(&self) -> Result<Accepted, AcceptError> {
        self.listener.accept().await.unwrap().negotiate().await
    }

    /// A client's TLS, over a socket on which it has been agreed on.
    async fn encrypt(
        &self,
        tcp: TcpStream,
        alpn: &[&[u8]],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let certificate = CertificateDer::from_pem_file(self.tls.certificate()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await
    }
}

async fn rest_of(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes)).await.unwrap();
    bytes
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// As many sockets pairs as this process may open, at most `wanted`.
fn affordable(wanted: usize) -> usize {
    let text = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = text.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let limit: usize = line.split_whitespace().nth(3).unwrap().parse().unwrap_or(1 << 20);
    wanted.min((limit - 200) / 2)
}

#[tokio::test]
async fn silent_clients_are_closed_in_time() {
    let house = open(|settings| {
        settings.login_timeout_seconds = 1;
        settings.max_unauthenticated = u16::MAX;
        settings.max_unauthenticated_per_address = u16::MAX;
    });
    let (address, before, started) = (house.address(), resident(), Instant::now());
    tokio::spawn(async move {
        loop {
            let incoming = house.listener.accept().await.unwrap();
            tokio::spawn(async move {
                let met = incoming.negotiate().await;
                assert!(matches!(met, Err(AcceptError::Timeout)), "{met:?}");
            });
        }
    });
    let mut clients = Vec::new();
    for n in 0..affordable(1000) {
        let mut client = TcpStream::connect(address).await.unwrap();
        // Some say nothing, some stop in the middle of a packet, some in the middle of TLS.
        let words = [&b""[..], &STARTUP[..5], SSL, &b"\x16\x03\x01\x02\0\x01"[..]];
        client.write_all(words[n % words.len()]).await.unwrap();
        clients.push(client);
    }
    let grown = resident().saturating_sub(before);
    for client in &mut clients {
        let told = rest_of(client).await;
        assert!(told.is_empty() || told == b"S", "{told:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(grown < 64 << 20, "{grown} bytes for {} silent clients", clients.len());
}

#[tokio::test]
async fn those_there_is_no_room_for_are_told_at_once() {
    let house = open(|settings| {
        settings.max_unauthenticated = 1;
        settings.max_connections = 2;
    });
    let next = async || {
        let client = TcpStream::connect(house.address()).await.unwrap();
        (client, timeout(Duration::from_millis(300), house.listener.accept()).await)
    };
    let (mut first, incoming) = next().await;
    first.write_all(STARTUP).await.unwrap();
    let mut accepted = incoming.unwrap().unwrap().negotiate().await.unwrap();
    let (mut second, none) = next().await;
    assert!(none.is_err(), "one is logging in already");
    let told = rest_of(&mut second).await;
    let told = String::from_utf8_lossy(&told);
    assert!(told.starts_with('E') && told.contains("C53400\0"), "{told}");
    accepted.stream.logged_in();
    assert_eq!(accepted.stream.deadline(), None);
    let (mut third, incoming) = next().await;
    third.write_all(STARTUP).await.unwrap();
    let mut also = incoming.unwrap().unwrap().negotiate().await.unwrap();
    also.stream.logged_in();
    let (mut fourth, none) = next().await;
    assert!(none.is_err(), "there are two connections");
    assert!(rest_of(&mut fourth).await.starts_with(b"E"));
    drop(accepted);
    assert!(next().await.1.is_ok(), "a place is given back");
}

#[tokio::test]
async fn one_peer_does_not_shut_the_others_out() {
    let house = open(|settings| {
        settings.max_unauthenticated = 8;
        settings.max_unauthenticated_per_address = 2;
    });
    let next = async |from: &str| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        let client = socket.connect(house.address()).await.unwrap();
        (client, timeout(Duration::from_millis(300), house.listener.accept()).await)
    };
    let mut kept = Vec::new();
    for _ in 0..2 {
        kept.push(next("127.0.0.1").await);
    }
    assert!(kept.iter().all(|(_, incoming)| incoming.is_ok()));
    for _ in 0..10 {
        let (mut client, none) = next("127.0.0.1").await;
        assert!(none.is_err());
        let told = rest_of(&mut client).await;
        let told = String::from_utf8_lossy(&told);
        assert!(told.contains("C53400\0") && told.contains("of your address"), "{told}");
    }
    let (mut other, incoming) = next("127.0.0.2").await;
    other.write_all(STARTUP).await.unwrap();
    assert!(incoming.unwrap().unwrap().negotiate().await.is_ok());
    // Whoever logs in or leaves makes room.
    let (mut client, incoming) = kept.pop().unwrap();
    client.write_all(STARTUP).await.unwrap();
    let mut accepted = incoming.unwrap().unwrap().negotiate().await.unwrap();
    accepted.stream.logged_in();
    kept.push(next("127.0.0.1").await);
    assert!(kept[1].1.is_ok(), "one has logged in");
    kept.clear();
    assert!(next("127.0.0.1").await.1.is_ok(), "two have left");
}

#[tokio::test]
async fn tls_by_request_and_from_the_first_byte() {
    let house = open(|_| {});
    for (direct, alpn, fine) in [
        (false, &[][..], true),
        (false, &[&b"postgresql"[..]], true),
        (false, &[&b"http/1.1"[..]], false),
        (true, &[&b"postgresql"[..]], true),
        (true, &[], false),
        (true, &[&b"http/1.1"[..]], false),
    ] {
        let client = async {
            let mut tcp = TcpStream::connect(house.address()).await.unwrap();
            if !direct {
                for request in [GSS, SSL] {
                    tcp.write_all(request).await.unwrap();
                    let answer = tcp.read_u8().await.unwrap();
                    assert_eq!(answer, if request == SSL { b'S' } else { b'N' });
                }
            }
            let mut tls = house.encrypt(tcp, alpn).await.ok()?;
            tls.write_all(STARTUP).await.ok()?;
            let mut answer = [0; 3];
            tls.read_exact(&mut answer).await.ok()?;
            Some(answer)
        };
        let server = async {
            let mut accepted = house.next().await.ok()?;
            assert!(accepted.encrypted);
            assert_eq!(accepted.server_name.as_deref(), Some("localhost"));
            assert_eq!(accepted.start, STARTUP);
            let answer = Masked::authored_assertion(b"yes");
            accepted.stream.write(&answer).await.unwrap();
            accepted.stream.flush().await.unwrap();
            Some(accepted)
        };
        let (client, server) = tokio::join!(client, server);
        assert_eq!(client.is_some(), fine, "{direct} {alpn:?}");
        assert_eq!(server.is_some(), fine, "{direct} {alpn:?}");
        assert!(client.is_none_or(|answer| &answer == b"yes"));
    }
}

#[tokio::test]
async fn a_second_request_for_encryption_inside_tls_is_refused() {
    let house = open(|_| {});
    let client = async {
        let mut tcp = TcpStream::connect(house.address()).await.unwrap();
        tcp.write_all(SSL).await.unwrap();
        tcp.read_u8().await.unwrap();
        let mut tls = house.encrypt(tcp, &[]).await.unwrap();
        tls.write_all(SSL).await.unwrap();
        let mut told = Vec::new();
        let _ = tls.read_to_end(&mut told).await;
        told
    };
    let (told, met) = tokio::join!(client, house.next());
    assert!(matches!(met, Err(AcceptError::Protocol(_))), "{met:?}");
    assert!(String::from_utf8_lossy(&told).contains("C08P01"), "told inside TLS: {told:?}");
}

async fn pair(house: &House) -> (TcpStream, Accepted) {
    let mut client = TcpStream::connect(house.address()).await.unwrap();
    client.write_all(STARTUP).await.unwrap();
    let accepted = house.next().await.unwrap();
    (client, accepted)
}

#[tokio::test]
async fn before_log_in_time_and_bytes_are_counted() {
    let house = open(|settings| settings.login_timeout_seconds = 1);
    let (mut client, mut accepted) = pair(&house).await;
    let talking = tokio::spawn(async move {
        let _ = client.write_all(&vec![b'x'; 300 << 10]).await;
        client
    });
    let mut buffer = BytesMut::new();
    let error = loop {
        match accepted.stream.read(&mut buffer).await {
            Ok(count) => assert!(count > 0),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    assert!(buffer.len() < 256 << 10);
    drop((accepted, talking));
    let (_client, mut accepted) = pair(&house).await;
    let error = accepted.stream.read(&mut buffer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let (mut client, mut accepted) = pair(&house).await;
    accepted.stream.logged_in();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    client.write_all(b"later").await.unwrap();
    buffer.clear();
    assert_eq!(accepted.stream.read(&mut buffer).await.unwrap(), 5);
    drop(client);
    assert_eq!(accepted.stream.read(&mut buffer).await.unwrap(), 0, "gone");
}

#[tokio::test]
async fn everything_written_arrives_in_order_while_reading() {
    let house = open(|_| {});
    let (client, mut accepted) = pair(&house).await;
    let sizes = [1, 100, 16_384, 16_385, 3, 1 << 20, 0, 20_000, 5];
    let (mut from, mut to) = client.into_split();
    let expect: Vec<u8> = (0u8..).zip(sizes).flat_map(|(n, size)| vec![n; size]).collect();
    let total = expect.len();
    let client = tokio::spawn(async move {
        to.write_all(b"meanwhile").await.unwrap();
        let mut got = vec![0; total];
        from.read_exact(&mut got).await.unwrap();
        got
    });
    let (reader, writer) = accepted.stream.halves();
    let mut buffer = BytesMut::new();
    let writing = async {
        for (n, size) in (0u8..).zip(sizes) {
            writer.write(&Masked::authored_assertion(vec![n; size])).await.unwrap();
        }
        // A flush given up on loses nothing.
        let _ = timeout(Duration::ZERO, writer.flush()).await;
        writer.flush().await.unwrap();
    };
    let (read, ()) = tokio::join!(reader.read(&mut buffer), writing);
    assert_eq!(&buffer[..read.unwrap()], b"meanwhile");
    assert!(client.await.unwrap() == expect);
}

#[tokio::test]
async fn psql_reaches_the_start_up_packet_through_tls() {
    let house = open(|_| {});
    let root = house.tls.certificate().to_str().unwrap().to_owned();
    for (mode, encrypted) in [("require", true), ("verify-full", true), ("disable", false)] {
        let conninfo = format!(
            "host=localhost hostaddr=127.0.0.1 port={} user=alice dbname=orders \
             sslmode={mode} sslrootcert={root} connect_timeout=10",
            house.address().port()
        );
        let mut psql = Command::new("psql");
        psql.args(["-X", "-c", "select 1", &conninfo]).stdin(Stdio::null());
        let psql = tokio::task::spawn_blocking(move || psql.output().unwrap());
        let mut accepted = house.next().await.unwrap();
        assert_eq!(accepted.encrypted, encrypted, "{mode}");
        while accepted.start.len() < accepted.start[3] as usize {
            assert!(accepted.stream.read(&mut accepted.start).await.unwrap() > 0);
        }
        let text = String::from_utf8_lossy(&accepted.start[8..]).into_owned();
        assert!(text.contains("user\0alice\0database\0orders\0"), "{text:?}");
        let fatal = b"E\0\0\0\x27SFATAL\0VFATAL\0C28000\0Mgo away please\0\0";
        accepted.stream.write(&Masked::authored_assertion(fatal)).await.unwrap();
        accepted.stream.flush().await.unwrap();
        drop(accepted);
        let output = psql.await.unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("FATAL:  go away please"), "{mode}: {told}");
    }
}
