//! Clients that send garbage or nothing, tokens that are none, targets that are down or lie: a
//! clear error or a clean close, and bounded memory.

use portcullis_testkit::arena::{Arena, Setup};
use portcullis_testkit::raw::{Message, RawClient, message, startup};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Resident memory of the gateway, in KiB.
fn memory(arena: &Arena) -> u64 {
    let pid = arena.gateway_pid().unwrap();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// What comes back before the socket is closed, within ten seconds.
fn answer_to(arena: &Arena, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(arena.postgres).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // The other side may close before all is written.
    let _ = socket.write_all(bytes);
    let mut answer = Vec::new();
    match socket.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(e) => panic!("the connection was not closed: {e}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn refused(arena: &Arena, user: &str, database: &str, token: &str) -> String {
    RawClient::log_in(arena.postgres, user, database, token).map(drop).unwrap_err().to_string()
}

#[test]
fn hostile_clients_and_targets() {
    let liar = TcpListener::bind("127.0.0.1:0").unwrap();
    let lies = liar.local_addr().unwrap().port();
    thread::spawn(move || {
        for (n, socket) in liar.incoming().enumerate() {
            let Ok(mut socket) = socket else { return };
            let mut buffer = [0; 512];
            let _ = socket.read(&mut buffer);
            let _ = match n % 4 {
                0 => socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n"),
                1 => socket.write_all(&[b'N', b'R', 0x7f, 0xff, 0xff, 0xff]),
                2 => socket.write_all(b"S\x16\x03\x01garbage"),
                _ => Ok(()),
            };
        }
    });
    let mut setup = Setup::agent_safe();
    setup.policy.push_str("[limits]\nlogin = \"2s\"\n");
    setup.more = format!(
        "[connections.liar]\nenvironment = \"test\"\ngroups = [\"agents\"]\n\
         [connections.liar.target]\nhost = \"127.0.0.1\"\nport = {lies}\ndatabase = \"x\"\n\
         user = \"x\"\npassword = \"x\"\nconnect_timeout_seconds = 2\n"
    );
    let mut arena = Arena::start(&setup).unwrap();
    let token = arena.token("claude").unwrap();
    let good = |arena: &Arena| {
        let mut client = RawClient::log_in(arena.postgres, "claude", "shop", &token).unwrap();
        assert_eq!(client.query("SELECT 1").unwrap().last().unwrap().body, b"I");
        client
    };
    drop(good(&arena));
    let before = memory(&arena);

    // What is no start-up packet.
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\x7f\xff\xff\xff\x00\x03\x00\x00",
        b"\x80\x00\x00\x00\x00\x03\x00\x00",
        b"\x00\x00\x00\x08\x00\x02\x00\x00",
        b"\x00\x00\x00\x05\x00",
        b"\x00\x00\x00\x00",
        &[0xff; 4096],
    ] {
        let answer = answer_to(&arena, garbage);
        assert!(answer.is_empty() || answer.starts_with('E'), "{answer}");
    }
    // Half a message, then silence: closed when the time for log-in is over.
    let started = Instant::now();
    let half = startup(0, &[("user", "claude"), ("database", "shop")]);
    answer_to(&arena, &half[..half.len() / 2]);
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());

    // Hundreds that never speak: all closed in time, in bounded memory; others are served.
    let silent: Vec<TcpStream> =
        (0..400).map(|_| TcpStream::connect(arena.postgres).unwrap()).collect();
    drop(good(&arena));
    assert!(memory(&arena) < before + 40 * 1024, "{} KiB after {before}", memory(&arena));
    for mut socket in silent {
        socket.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
        let mut rest = Vec::new();
        // Closed or reset, but not left open.
        if let Err(e) = socket.read_to_end(&mut rest) {
            assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset);
        }
    }

    bad_log_ins(&arena, &token);
    reuse_after_refusal(&arena, &token);
    big_messages(&arena, &token);
    slow_reader(&arena, &token);
    assert!(memory(&arena) < before + 120 * 1024, "{} KiB after {before}", memory(&arena));

    // A target that lies, in four ways.
    for _ in 0..4 {
        let said = refused(&arena, "claude", "liar", &token);
        assert!(said.contains("58000") && said.contains("portcullis: "), "{said}");
    }
    // A target that is down.
    drop(good(&arena));
    arena.server.process().stop(Duration::from_secs(5));
    let started = Instant::now();
    let said = refused(&arena, "claude", "shop", &token);
    assert!(said.contains("58000") && said.contains("cannot be reached"), "{said}");
    assert!(started.elapsed() < Duration::from_secs(12));
    let journal = fs::read_dir(arena.data().join("journal")).unwrap();
    let text: String = journal.filter_map(|e| fs::read_to_string(e.unwrap().path()).ok()).collect();
    for event in ["login_refused", "session_opened", "session_closed"] {
        assert!(text.contains(event), "{event} is not in the journal");
    }
}

fn bad_log_ins(arena: &Arena, token: &str) {
    let mut forged = token.to_owned();
    let last = forged.pop().unwrap();
    forged.push(if last == 'A' { 'B' } else { 'A' });
    let none = token.split('.').nth(1).unwrap();
    let unsigned = format!("eyJhbGciOiJub25lIn0.{none}.");
    for bad in ["", "x", "a.b.c", &forged, &unsigned, &"x".repeat(60_000)] {
        let said = refused(arena, "claude", "shop", bad);
        assert!(said.contains("28000") && said.contains("log-in refused"), "{said:.300}");
        assert!(bad.len() < 6 || !said.contains(bad), "the token was echoed");
    }
    let said = refused(arena, "claude", "nowhere", token);
    assert!(said.contains("28000") && said.contains("no such connection"), "{said}");
    let said = refused(arena, "postgres", "shop", token);
    assert!(said.contains("28000") && said.contains("use your own name"), "{said}");
}

fn big_messages(arena: &Arena, token: &str) {
    let mut client = RawClient::log_in(arena.postgres, "claude", "shop", token).unwrap();
    // Its length alone is refused, before anything of it is kept.
    client.send(&[b'Q', 0x7f, 0xff, 0xff, 0xff]).unwrap();
    let seen = client.until(b'Z').unwrap_or_default();
    let error = seen.iter().find(|m| m.tag == b'E').map(Message::shown).unwrap();
    assert!(error.contains("08P01") && error.contains("limit"), "{error}");
    let mut client = RawClient::log_in(arena.postgres, "claude", "shop", token).unwrap();
    let long = format!("SELECT '{}'", "x".repeat(1 << 20));
    let seen = client.query(&long).unwrap();
    assert!(seen.iter().any(|m| m.tag == b'E' && m.shown().contains("limit")), "too long a text");
    for depth in [1000, 50_000] {
        let deep = format!("SELECT {}1{}", "(".repeat(depth), ")".repeat(depth));
        client.query(&deep).unwrap();
        let deep = format!("SELECT 1{}", "+1".repeat(depth));
        client.query(&deep).unwrap();
        let deep = format!("SELECT {}1", "-(".repeat(depth));
        client.query(&deep).unwrap();
    }
    assert_eq!(client.query("SELECT 1").unwrap().last().unwrap().body, b"I");
}

fn slow_reader(arena: &Arena, token: &str) {
    let before = memory(arena);
    let mut client = RawClient::log_in(arena.postgres, "claude", "shop", token).unwrap();
    let sql = "SELECT repeat('x', 1000), n FROM generate_series(1, 300000) AS n";
    client.send(&message(b'Q', &[sql.as_bytes(), b"\0"].concat())).unwrap();
    thread::sleep(Duration::from_secs(2));
    let after = memory(arena);
    assert!(
        after < before + 64 * 1024,
        "{after} KiB after {before} for a client that does not read"
    );
}

/// Messages that no client sends where they are: an error and an end, or nothing, but no hang and
/// nothing run.
fn reuse_after_refusal(arena: &Arena, token: &str) {
    let parts: [(&str, Vec<u8>); 12] = [
        ("an unknown type", message(b'z', b"")),
        ("a password again", message(b'p', b"x\0")),
        ("a length below four", vec![b'Q', 0, 0, 0, 3]),
        ("a negative length", vec![b'Q', 0xff, 0xff, 0xff, 0xff]),
        ("a query without an end", message(b'Q', b"SELECT 1")),
        ("a query with more behind its end", message(b'Q', b"SELECT 1\0SELECT 2\0")),
        ("not UTF-8", message(b'Q', b"SELECT '\xff\xfe'\0")),
        ("a Bind that counts too many", message(b'B', b"\0\0\0\0\x7f\xff")),
        ("a Bind with a negative length", message(b'B', b"\0\0\0\0\0\x01\x80\0\0\0\0\0")),
        ("a Parse that counts too many", message(b'P', b"\0SELECT 1\0\x7f\xff")),
        ("a Describe of nothing known", message(b'D', b"X\0")),
        ("a start-up in the middle", startup(0, &[("user", "claude")])),
    ];
    for (what, bytes) in parts {
        let mut client = RawClient::log_in(arena.postgres, "claude", "shop", token).unwrap();
        client.socket().set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        client.send(&bytes).unwrap();
        // The connection may be closed already.
        let _ = client.send(&message(b'S', b""));
        let seen = loop {
            match client.receive() {
                Ok(Some(message)) if message.tag == b'E' => break message.shown(),
                Ok(Some(message)) => assert!(message.tag != b'D', "{what} was answered with rows"),
                Ok(None) => break "closed".to_owned(),
                Err(error) => {
                    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
                    assert_eq!(kind, Some(std::io::ErrorKind::ConnectionReset), "{what}: {error}");
                    break "reset".to_owned();
                }
            }
        };
        assert!(!seen.contains("C=XX000"), "{what}: {seen}");
    }
}

/// Start-up parameters are the caller's words: none of them gets the session other rights, another
/// database, or a setting that changes how text is read.
#[test]
fn start_up_parameters_change_nothing_that_matters() {
    let arena = Arena::start(&Setup::agent_safe()).unwrap();
    let token = arena.token("claude").unwrap();
    let log_in = |extra: &[(&str, &str)]| -> Result<RawClient, String> {
        let mut client = RawClient::connect(arena.postgres).unwrap();
        let parameters = [&[("user", "claude"), ("database", "shop")], extra].concat();
        client.send(&startup(0, &parameters)).unwrap();
        loop {
            let Some(next) = client.receive().unwrap() else { return Err("closed".to_owned()) };
            match next.tag {
                b'R' if next.body == [0, 0, 0, 3] => {
                    client.send(&message(b'p', &[token.as_bytes(), b"\0"].concat())).unwrap();
                }
                b'E' => return Err(next.shown()),
                b'Z' => return Ok(client),
                _ => {}
            }
        }
    };
    for extra in [
        ("options", "-c session_replication_role=replica"),
        ("options", "-c standard_conforming_strings=off"),
        ("options", "-crole=postgres"),
        ("options", "--session_authorization=postgres"),
        ("role", "postgres"),
        ("session_authorization", "postgres"),
        ("session_replication_role", "replica"),
        ("standard_conforming_strings", "off"),
        ("client_encoding", "SJIS"),
        ("replication", "database"),
        ("replication", "true"),
        ("search_path", "pg_temp, public"),
        ("row_security", "off"),
        ("allow_system_table_mods", "on"),
        ("local_preload_libraries", "x"),
        ("no_such_setting", "x"),
        ("_pq_.unknown", "x"),
    ] {
        let Ok(mut client) = log_in(&[extra]) else { continue };
        for (setting, safe) in [
            ("session_replication_role", "origin"),
            ("standard_conforming_strings", "on"),
            ("client_encoding", "UTF8"),
            ("row_security", "on"),
            ("allow_system_table_mods", "off"),
            ("local_preload_libraries", ""),
        ] {
            let sql = format!("SELECT current_setting('{setting}')");
            let seen: Vec<String> =
                client.query(&sql).unwrap().iter().map(Message::shown).collect();
            let row = seen.iter().find(|line| line.starts_with("D ")).unwrap();
            assert_eq!(row, &format!("D \"{safe}\""), "{extra:?} changed {setting}");
        }
        let seen: Vec<String> = client
            .query("SELECT current_user, session_user")
            .unwrap()
            .iter()
            .map(Message::shown)
            .collect();
        assert!(seen.iter().any(|line| line == "D \"owner\" \"owner\""), "{extra:?}: {seen:?}");
        let refused = client.query("IDENTIFY_SYSTEM").unwrap();
        assert!(refused.iter().any(|m| m.tag == b'E'), "{extra:?} opened a replication session");
    }
    assert!(log_in(&[("application_name", "mine"), ("timezone", "Asia/Tokyo")]).is_ok());
}
