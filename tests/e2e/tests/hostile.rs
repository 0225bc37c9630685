//! Clients that send garbage or nothing, tokens that are none, targets that are down or lie: a
//! clear error or a clean close, and bounded memory.

use portcullis_testkit::arena::{Arena, Setup};
use portcullis_testkit::raw::{Message, RawClient, message, query, startup};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
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
    setup.policy.push_str("[limits]\nlogin = \"2s\"\nunauthenticated_per_address = 512\n");
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
    assert!(seen.iter().any(|m| m.shown().contains("C=54000")), "{:?}", seen[0].shown());
    // As much as a message may have: refused by its header, not kept, and the session goes on.
    let before = memory(arena);
    let mut worst = 0;
    client.send(&[&[b'Q'][..], &(60u32 << 20).to_be_bytes()].concat()).unwrap();
    for _ in 0..60 {
        client.send(&vec![b'x'; (1 << 20) - if worst == 0 { 4 } else { 0 }]).unwrap();
        worst = worst.max(memory(arena));
    }
    let seen = client.until(b'Z').unwrap();
    assert!(seen[0].shown().contains("C=54000") && seen.len() == 2, "{:?}", seen[0].shown());
    assert!(worst < before + 16 * 1024, "{worst} KiB after {before}");
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
    client.ask(sql).unwrap();
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
    // They are judged as statements are, and the target's word about them is passed on.
    let path = ("options", "-c search_path=pg_catalog,public");
    let mut client = log_in(&[path, ("client_min_messages", "error")]).unwrap();
    for sql in ["SELECT 1", "RESET ALL"] {
        client.query(sql).unwrap();
        let shown = client.query("SHOW search_path").unwrap();
        assert!(shown.iter().any(|m| m.shown() == "D \"pg_catalog,public\""), "{sql}: {shown:?}");
    }
    for (extra, told) in [
        (
            ("row_security", "off"),
            "policy \"no-identity-change\" refused SET of setting row_security",
        ),
        (("options", "-c SESSION-replication_Role=replica"), "no-identity-change"),
        (("no_such_setting", "x"), "refused SET of setting no_such_setting"),
        (("work_mem", "much"), "invalid value for parameter \"work_mem\""),
    ] {
        let error = log_in(&[extra]).err().unwrap();
        assert!(error.contains("FATAL") && error.contains(told), "{extra:?}: {error}");
    }
    let mut grep = std::process::Command::new("grep");
    grep.args(["-rqF", "search_path=pg_catalog,public"]).arg(arena.data().join("journal"));
    assert!(grep.status().unwrap().success(), "it is not in the record");
}

/// Statements with 10 KB each, all before one Sync: 4,000 are more than sockets hold, both ways, and
/// are taken in pieces.
fn large_unit(statements: usize) -> Vec<u8> {
    let value = [b'v'; 10_000];
    let bind = [b"\0\0\0\0\0\x01\0\0\x27\x10", &value[..], b"\0\0"].concat();
    let one = [message(b'B', &bind), message(b'E', b"\0\0\0\0\0")].concat();
    let mut unit = message(b'P', b"\0SELECT $1::text\0\0\0");
    (0..statements).for_each(|_| unit.extend_from_slice(&one));
    unit.extend_from_slice(&message(b'S', b""));
    unit
}

/// Writes without waiting for anybody to read, as drivers with large pipelines do: a server answers
/// before it has read everything.
fn send_aside(client: &RawClient, bytes: &[u8]) {
    let (mut writer, bytes) = (client.socket().try_clone().unwrap(), bytes.to_vec());
    // It fails where the session ends before it was read.
    thread::spawn(move || writer.write_all(&bytes));
}

/// Sessions of the gateway at the target.
fn sessions(arena: &Arena) -> String {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'portcullis:%'";
    arena.truth(sql).unwrap()
}

fn until(what: &str, most: Duration, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < most, "{what}: not after {most:?}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// A server answers while it is still being written to, and reads no further until its answers are
/// taken: neither side waits for the other for ever.
#[test]
fn a_unit_larger_than_the_sockets_is_answered_and_a_stalled_one_ends() {
    let mut setup = Setup::agent_safe();
    setup.provider = "token_ttl_seconds = 40\n".to_owned();
    let arena = Arena::start(&setup).unwrap();
    let token = arena.token("claude").unwrap();
    let log_in = || RawClient::log_in(arena.postgres, "claude", "shop", &token).unwrap();
    let unit = large_unit(4_000);
    let mut client = log_in();
    send_aside(&client, &unit);
    let seen = client.until(b'Z').unwrap();
    let count = |tag| seen.iter().filter(|m| m.tag == tag).count();
    assert_eq!((count(b'2'), count(b'D'), count(b'C'), count(b'E')), (4_000, 4_000, 4_000, 0));
    assert!(seen.iter().filter(|m| m.tag == b'D').all(|m| m.body.len() == 10_006));
    assert_eq!(client.query("SELECT 1").unwrap().last().unwrap().body, b"I");
    drop(client);

    // A client that hangs up in the middle takes the target's session with it.
    let client = log_in();
    send_aside(&client, &unit);
    thread::sleep(Duration::from_millis(500));
    client.socket().shutdown(std::net::Shutdown::Both).unwrap();
    drop(client);
    until("a client hung up", Duration::from_secs(8), || sessions(&arena) == "0");
    drop(arena);

    // One that takes nothing is there no longer than its token.
    setup.provider = "token_ttl_seconds = 6\n".to_owned();
    let arena = Arena::start(&setup).unwrap();
    let token = arena.token("claude").unwrap();
    let log_in = || RawClient::log_in(arena.postgres, "claude", "shop", &token).unwrap();
    let (reads_nothing, mut asks_much) = (log_in(), log_in());
    send_aside(&reads_nothing, &unit);
    let rows = "SELECT repeat('x', 1000) FROM generate_series(1, 300000)";
    asks_much.send(&message(b'Q', &[rows.as_bytes(), b"\0"].concat())).unwrap();
    thread::sleep(Duration::from_secs(1));
    assert_eq!(sessions(&arena), "2", "both are stalled");
    until("the token has expired", Duration::from_secs(12), || sessions(&arena) == "0");
    drop((reads_nothing, asks_much));
}

/// As many statements as are taken as one unit.
const WHOLE: usize = 380;

/// What a pretended server does once a unit begins to come.
#[derive(Clone, Copy, PartialEq)]
enum Pretence {
    /// Answers all of it, and reads the rest afterwards.
    AnswersFirst,
    /// Answers all of it, and reads nothing more.
    AnswersOnly,
    /// Reads a little and says nothing.
    Silent,
}

/// Just enough of a server to be logged in to.
fn pretend(mut socket: TcpStream, pretence: Pretence) -> std::io::Result<()> {
    let ready = message(b'Z', b"I");
    let mut header = [0; 4];
    socket.read_exact(&mut header)?;
    socket.read_exact(&mut vec![0; u32::from_be_bytes(header) as usize - 4])?;
    let mut welcome = message(b'R', &[0; 4]);
    for setting in
        ["server_encoding\0UTF8", "client_encoding\0UTF8", "standard_conforming_strings\0on"]
    {
        welcome.extend_from_slice(&message(b'S', &[setting.as_bytes(), b"\0"].concat()));
    }
    welcome.extend_from_slice(&message(b'K', &[0, 0, 0, 7, 1, 2, 3, 4]));
    welcome.extend_from_slice(&ready);
    socket.write_all(&welcome)?;
    let (mut version, mut asked) = (false, false);
    loop {
        let mut kind = [0; 5];
        socket.read_exact(&mut kind)?;
        let length = u32::from_be_bytes([kind[1], kind[2], kind[3], kind[4]]) as usize - 4;
        // What the gateway asks for itself begins with closing its own portal.
        if !asked && kind[0] != b'C' {
            break;
        }
        let mut body = vec![0; length];
        socket.read_exact(&mut body)?;
        asked = kind[0] != b'S';
        if asked {
            let is_about = |what: &[u8]| body.windows(what.len()).any(|w| w == what);
            version |= kind[0] == b'P' && is_about(b"server_version_num");
            continue;
        }
        // One query of a catalog asks for the version and about credentials, the others have no rows here.
        let column = [b"c\0".as_slice(), &[0; 18]].concat();
        let mut answer = match std::mem::take(&mut version) {
            true => [
                message(b'T', &[b"\0\x03", &column[..], &column[..], &column[..]].concat()),
                message(b'D', b"\0\x03\0\0\0\x06150000\0\0\0\x01f\0\0\0\x01f"),
            ]
            .concat(),
            false => message(b'T', b"\0\0"),
        };
        answer.extend_from_slice(&message(b'C', b"SELECT 0\0"));
        answer.extend_from_slice(&ready);
        socket.write_all(&answer)?;
    }
    if pretence == Pretence::Silent {
        thread::sleep(Duration::from_secs(60));
        return Ok(());
    }
    let column = [b"text\0".as_slice(), &[0; 6], &25u32.to_be_bytes(), &[255; 6], &[0; 2]].concat();
    let one = [
        message(b'2', b""),
        message(b'T', &[b"\0\x01", &column[..]].concat()),
        message(b'C', b"SELECT 0\0"),
    ];
    socket.write_all(&[message(b'1', b""), one.concat().repeat(WHOLE), ready.clone()].concat())?;
    if pretence == Pretence::AnswersOnly {
        thread::sleep(Duration::from_secs(60));
        return Ok(());
    }
    thread::sleep(Duration::from_secs(1));
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut rest = vec![0; 1 << 20];
    let mut read = 0;
    while let Ok(count @ 1..) = socket.read(&mut rest) {
        read += count;
        if read > WHOLE * 10_000 && rest[..count].ends_with(b"S\0\0\0\x04") {
            socket
                .write_all(&message(b'N', b"SNOTICE\0VNOTICE\0C00000\0Mall of it was read\0\0"))?;
        }
    }
    Ok(())
}

#[test]
fn a_target_that_answers_before_it_reads_holds_nobody() {
    let mut setup = Setup::agent_safe();
    setup.provider = "token_ttl_seconds = 12\n".to_owned();
    let mut connections = Vec::new();
    for (name, pretence) in [
        ("first", Pretence::AnswersFirst),
        ("only", Pretence::AnswersOnly),
        ("silent", Pretence::Silent),
    ] {
        let target = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = target.local_addr().unwrap().port();
        connections.push(format!(
            "[connections.{name}]\nenvironment = \"test\"\ngroups = [\"agents\"]\n\
             catalog_max_age_seconds = 3600\n\
             [connections.{name}.target]\nhost = \"127.0.0.1\"\nport = {port}\n\
             database = \"x\"\nuser = \"x\"\npassword = \"x\"\n\
             sslmode = \"disable\"\n"
        ));
        thread::spawn(move || {
            for socket in target.incoming().flatten() {
                thread::spawn(move || pretend(socket, pretence));
            }
        });
    }
    setup.more = connections.concat();
    let arena = Arena::start(&setup).unwrap();
    let token = arena.token("claude").unwrap();
    let started = Instant::now();
    let log_in = |name: &str| RawClient::log_in(arena.postgres, "claude", name, &token).unwrap();
    let (mut first, mut only, mut silent) = (log_in("first"), log_in("only"), log_in("silent"));
    for client in [&mut first, &mut only, &mut silent] {
        client.socket().set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        send_aside(client, &large_unit(WHOLE));
    }
    for client in [&mut first, &mut only] {
        let seen = client.until(b'Z').unwrap();
        assert_eq!(seen.iter().filter(|m| m.tag == b'C').count(), WHOLE);
        assert_eq!(seen.last().unwrap().tag, b'Z');
    }
    let notice = first.until(b'N').unwrap();
    assert!(notice[0].shown().contains("all of it was read"), "{notice:?}");
    // Nothing more goes to a target that does not read, and all ends with the token at the latest.
    only.send(&message(b'Q', b"SELECT 1\0")).unwrap();
    for client in [&mut only, &mut silent] {
        let last = client.until(b'E').unwrap();
        assert!(last[0].shown().contains("28000"), "{last:?}");
        assert_eq!(client.receive().unwrap(), None);
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

/// Many sessions together take no more memory than they may, and those who keep little are served
/// all the while; one principal has so many sessions and no more.
#[test]
fn what_sessions_may_take_together_is_bounded() {
    let mut setup = Setup::agent_safe();
    setup.policy.push_str("[limits]\nbuffered_mib = 8\nsessions_per_principal = 6\n");
    let arena = Arena::start(&setup).unwrap();
    let token = arena.token("claude").unwrap();
    let log_in = || RawClient::log_in(arena.postgres, "claude", "shop", &token);
    let before = memory(&arena);
    let mut clients: Vec<RawClient> = (0..6).map(|_| log_in().unwrap()).collect();
    let refused = log_in().map(drop).unwrap_err().to_string();
    assert!(refused.contains("53400") && refused.contains("sessions-per-principal"), "{refused}");
    let other = arena.token("deckard").unwrap();
    assert!(RawClient::log_in(arena.postgres, "deckard", "shop", &other).is_ok());

    // Five of them send 40 MB each without an end, the sixth asks something.
    let value = vec![b'v'; 1 << 20];
    let size = (value.len() as u32).to_be_bytes();
    let bind = [b"\0\0\0\0\0\x01", &size[..], &value, b"\0\0"].concat();
    let bind = message(b'B', &bind);
    let mut small = clients.pop().unwrap();
    for client in &mut clients {
        client.send(&message(b'P', b"\0SELECT $1::text\0\0\0")).unwrap();
        (0..40).for_each(|_| client.send(&bind).unwrap());
    }
    assert_eq!(small.query("SELECT 1").unwrap().last().unwrap().body, b"I");
    let after = memory(&arena);
    // The allocator keeps some of what was given back; without a bound it is half a gigabyte.
    assert!(after < before + 112 * 1024, "{after} KiB after {before}");
    for client in &mut clients {
        client.send(&message(b'S', b"")).unwrap();
        let seen = client.until(b'Z').unwrap();
        assert!(seen[0].shown().contains("C=53200"), "{:.300}", seen[0].shown());
        assert_eq!(client.query("SELECT 1").unwrap().last().unwrap().body, b"I");
    }
    // Room is given back: alone, it fits.
    let one = [message(b'P', b"\0SELECT $1::text\0\0\0"), bind, message(b'E', b"\0\0\0\0\0")];
    clients[0].send(&[one.concat(), message(b'S', b"")].concat()).unwrap();
    let seen = clients[0].until(b'Z').unwrap();
    assert!(seen.iter().any(|m| m.tag == b'D'), "{:.300}", seen[0].shown());

    // Whoever leaves makes room for a session.
    drop(small);
    until("a session has ended", Duration::from_secs(5), || log_in().is_ok());
}

/// What a session that ends leaves running is called off, and what was sent before leaving runs.
#[test]
fn the_end_of_a_session_is_the_end_of_its_requests() {
    let mut setup = Setup::allow_all();
    setup.provider = "token_ttl_seconds = 8\n".to_owned();
    let arena = Arena::start(&setup).unwrap();
    let token = arena.token("claude").unwrap();
    let log_in = || RawClient::log_in(arena.postgres, "claude", "shop", &token).unwrap();
    let mut sleeper = log_in();
    sleeper.send(&query("SELECT pg_sleep(60)")).unwrap();
    let bye = message(b'X', b"");
    let add = query("UPDATE orders SET total = total + 1 WHERE id = 1");
    let before: f64 =
        arena.truth("SELECT total FROM orders WHERE id = 1").unwrap().parse().unwrap();
    for _ in 0..10 {
        let mut client = log_in();
        client.send(&[add.clone(), add.clone(), bye.clone()].concat()).unwrap();
        client.socket().shutdown(std::net::Shutdown::Write).unwrap();
        while let Ok(Some(_)) = client.receive() {}
        let mut client = log_in();
        client.send(&[add.clone(), bye.clone()].concat()).unwrap();
    }
    let farewell = sleeper.until(b'E').unwrap();
    assert!(farewell[0].shown().contains("28000"), "{:?}", farewell[0].shown());
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%' AND state = 'active'";
    let deadline = Instant::now() + Duration::from_secs(5);
    while arena.truth(running).unwrap() != "0" {
        assert!(Instant::now() < deadline, "it still runs after its caller's token has expired");
        std::thread::sleep(Duration::from_millis(50));
    }
    let after: f64 = arena.truth("SELECT total FROM orders WHERE id = 1").unwrap().parse().unwrap();
    assert!((after - before - 30.0).abs() < 0.001, "{before} became {after}");
}

/// The server tells an error in a pipeline at once, without being asked to flush, and a client may
/// wait for that before it sends its `Sync`.
#[test]
fn a_pipeline_without_an_end_is_answered_where_the_server_would() {
    let arena = Arena::start(&Setup::allow_all()).unwrap();
    let token = arena.token("claude").unwrap();
    let run = |sql: &str| {
        let parse = message(b'P', &[b"\0", sql.as_bytes(), b"\0\0\0"].concat());
        [parse, message(b'B', b"\0\0\0\0\0\0\0\0"), message(b'E', b"\0\0\0\0\0")].concat()
    };
    let bytes = [run("SELECT 1"), run("SELECT 1 / 0"), run("SELECT 2")].concat();
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, arena.server.port()));
    let direct = RawClient::log_in(server, "raw", "shop", "").unwrap();
    let through = RawClient::log_in(arena.postgres, "claude", "shop", &token).unwrap();
    let [direct, through] = [direct, through].map(|mut client| {
        client.send(&bytes).unwrap();
        let mut seen = client.until(b'E').unwrap();
        client.send(&message(b'S', b"")).unwrap();
        seen.extend(client.until(b'Z').unwrap());
        assert_eq!(client.query("SELECT 3").unwrap().last().unwrap().body, b"I");
        seen.iter().map(|m| m.shown()).collect::<Vec<_>>()
    });
    assert!(through.iter().any(|m| m.contains("22012")), "{through:?}");
    assert_eq!(through, direct);
}

/// What the target says when it ends a session is said once.
#[test]
fn the_end_of_a_session_at_the_target_is_told_once() {
    let arena = Arena::start(&Setup::allow_all()).unwrap();
    let token = arena.token("claude").unwrap();
    let log_in = || RawClient::log_in(arena.postgres, "claude", "shop", &token).unwrap();
    for runs in [false, true] {
        let mut client = log_in();
        let theirs = "FROM pg_stat_activity WHERE usename = 'owner'";
        assert_eq!(arena.truth(&format!("SELECT count(*) {theirs}")).unwrap(), "1");
        if runs {
            client.send(&message(b'Q', b"SELECT pg_sleep(60)\0")).unwrap();
            let active =
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%'";
            until("it runs", Duration::from_secs(5), || arena.truth(active).unwrap() == "1");
        }
        arena.truth(&format!("SELECT pg_terminate_backend(pid) {theirs}")).unwrap();
        let mut told = Vec::new();
        while let Ok(Some(message)) = client.receive() {
            told.push(message.shown());
        }
        told.retain(|m| m.starts_with('E'));
        assert!(told.len() == 1 && told[0].contains("57P01"), "{told:?}");
    }
}
