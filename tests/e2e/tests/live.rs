//! Sessions there are now: who sees them, who ends them, what is left then; and what is frozen.

use portcullis_testkit::arena::{APP_PASSWORD, Arena, Setup};
use portcullis_testkit::between::{Between, Fault};
use portcullis_testkit::raw::{Message, RawClient, message};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// What a session has at most between being ended and being over: two seconds, and what a machine that
/// does a lot else takes on top.
const SOON: Duration = Duration::from_secs(8);

const RULES: &str = r#"
@id("reviewed") @review("dba") @rehearse("30s") @reason("a DBA signs it off")
forbid (principal, action in [Action::"update", Action::"delete"], resource is Relation)
when { resource.name == "reviewed" } unless { context.approvals.contains("dba") };
@id("signed-off") @review("dba") @reason("a DBA signs it off")
forbid (principal, action == Action::"delete", resource is Relation)
when { resource.name == "signed" } unless { context.approvals.contains("dba") };
@id("few-changes") @max_changes("3")
permit (principal, action == Action::"insert", resource is Relation)
when { resource.name == "counted" };
"#;

const TABLES: &str = "
CREATE TABLE reviewed AS SELECT n AS id, 0 AS v FROM generate_series(1, 9) n;
CREATE TABLE signed AS SELECT n AS id FROM generate_series(1, 99) n;
CREATE TABLE counted (id int);
CREATE TABLE notes (id int, note text);";

fn setup() -> Setup {
    let mut setup = Setup::allow_all();
    setup.policy = "[policy]\npacks = [\"allow-all\"]\nfiles = [\"live.cedar\"]\n\
                    [review]\nexpires = \"5m\"\n"
        .to_owned();
    setup.more = "[administration]\ngroups = [\"dba\"]\n".to_owned();
    setup
}

fn start(setup: &Setup) -> Arena {
    let arena = Arena::start_with(setup, &[("live.cedar", RULES)]).unwrap();
    arena.server.sql("shop", TABLES).unwrap();
    arena
}

/// Tokens of everybody, by name.
struct Callers<'a> {
    arena: &'a Arena,
    tokens: Vec<(&'static str, String)>,
}

impl<'a> Callers<'a> {
    fn of(arena: &'a Arena) -> Self {
        let names = ["ana", "bo", "claude", "deckard"];
        let tokens = names.map(|name| (name, arena.token(name).unwrap()));
        Self { arena, tokens: tokens.into() }
    }

    /// What the API answers this caller; `nobody` has no token.
    fn ask(&self, who: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let token = self.tokens.iter().find(|(name, _)| *name == who).map(|(_, token)| token);
        let authorization =
            token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             {authorization}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut socket = TcpStream::connect(self.arena.http).unwrap();
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        if status >= 400 {
            assert!(head.to_lowercase().contains("application/problem+json"), "{head}");
        }
        (status, serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {body}")))
    }

    fn sessions(&self, who: &str) -> Vec<Value> {
        let (status, sessions) = self.ask(who, "GET", "/sessions", &Value::Null);
        assert_eq!(status, 200, "{sessions}");
        sessions.as_array().unwrap().clone()
    }

    /// The one session of this caller's that does this, once there is one.
    fn doing(&self, who: &str, state: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let sessions = self.sessions("bo");
            let mut found =
                sessions.iter().filter(|s| s["principal"]["name"] == who && s["state"] == state);
            if let Some(session) = found.next() {
                assert!(found.next().is_none(), "{sessions:#?}");
                return session.clone();
            }
            assert!(Instant::now() < deadline, "nobody is {state}: {sessions:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends a session as bo, who administers, and says when it was asked for.
    fn kill(&self, session: &Value) -> Instant {
        let asked = Instant::now();
        let path = format!("/sessions/{}/kill", session["id"].as_str().unwrap());
        let (status, ended) = self.ask("bo", "POST", &path, &json!({ "reason": REASON }));
        assert_eq!((status, &ended["recorded"]), (200, &Value::Bool(true)), "{ended}");
        let over = ended["sessions"][0]["over"].as_bool();
        println!("{} ended in {:?}, over: {over:?}", session["state"], asked.elapsed());
        asked
    }

    fn freeze(&self, scope: &str, connection: Option<&str>, seconds: u64) -> String {
        let body = json!({
            "scope": scope, "connection": connection, "seconds": seconds, "reason": "a bad deploy",
        });
        let (status, made) = self.ask("bo", "POST", "/freezes", &body);
        assert_eq!(status, 201, "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    fn thaw(&self, id: &str) {
        let (status, row) = self.ask("bo", "DELETE", &format!("/freezes/{id}"), &Value::Null);
        assert_eq!(status, 200, "{row}");
    }
}

const REASON: &str = "it runs amok";

/// What comes up to the end of the stream, or its reset.
fn to_the_end(client: &mut RawClient) -> Vec<Message> {
    let mut seen = Vec::new();
    while let Ok(Some(message)) = client.receive() {
        seen.push(message);
    }
    seen
}

/// That the session is over for its client, who was told why where it listens, and for the server, and
/// for the gateway.
fn is_over(callers: &Callers<'_>, session: &Value, client: &mut RawClient, asked: Instant) {
    let state = session["state"].as_str().unwrap();
    let seen = to_the_end(client);
    let took = asked.elapsed();
    assert!(took < SOON, "{state}: its client waited {took:?}");
    let last = seen.last().map(Message::shown).unwrap_or_default();
    let told = last.starts_with('E') && last.contains("C=28000") && last.contains(REASON);
    assert!(told || state == "streams", "{state}: the last message is {last}");
    gone(callers, session);
    println!("{state}: over for its client after {took:?}");
}

/// That nothing of the session is left at the server and in the list.
fn gone(callers: &Callers<'_>, session: &Value) {
    let id = session["id"].as_str().unwrap();
    let query =
        format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'portcullis:{id}'");
    let deadline = Instant::now() + SOON;
    while callers.arena.truth(&query).unwrap() != "0"
        || callers.sessions("bo").iter().any(|s| s["id"] == *id)
    {
        assert!(Instant::now() < deadline, "{session:#}: it is still there");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The entries of the journal so far.
fn journal(arena: &Arena) -> Vec<Value> {
    let files = std::fs::read_dir(arena.data().join("journal")).unwrap();
    let text: String =
        files.filter_map(|e| std::fs::read_to_string(e.unwrap().path()).ok()).collect();
    // Behind each entry stands its code.
    let entries = text.lines().filter_map(|line| line.split('\t').next());
    let lines = entries.filter_map(|e| serde_json::from_str::<Value>(e).ok());
    lines.filter_map(|line| entry_in(&line)).collect()
}

/// The entry in a line, which has more around it.
fn entry_in(line: &Value) -> Option<Value> {
    let fields = line.as_object()?;
    if line["event"].is_string() {
        return Some(line.clone());
    }
    fields.values().find_map(entry_in)
}

/// That the journal has the end of a session, by whom and why, before its closing.
fn recorded(arena: &Arena, session: &Value) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let entries = journal(arena);
        let own = entries.iter().filter(|e| e["session"] == session["id"]);
        let events: Vec<&str> = own.clone().filter_map(|e| e["event"].as_str()).collect();
        let place = |name: &str| events.iter().position(|event| *event == name);
        if let (Some(killed), Some(closed)) = (place("session_killed"), place("session_closed")) {
            assert!(killed < closed, "{events:?}");
            let of = |name: &str| own.clone().find(|e| e["event"] == name).unwrap();
            assert_eq!(of("session_killed")["reason"], REASON);
            let reason = of("session_closed")["reason"].as_str().unwrap();
            assert!(reason.contains("bo") && reason.contains(REASON), "{reason}");
            return;
        }
        assert!(Instant::now() < deadline, "{events:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_session_is_ended_whatever_it_does() {
    let mut setup = setup();
    setup.connection += "catalog_max_age_seconds = 1\n";
    let arena = start(&setup);
    let callers = Callers::of(&arena);

    // Idle, and idle in a transaction, which is undone.
    let mut client = arena.client("claude").unwrap();
    let session = callers.doing("claude", "idle");
    let asked = callers.kill(&session);
    is_over(&callers, &session, &mut client, asked);
    recorded(&arena, &session);

    let mut client = arena.client("claude").unwrap();
    client.query("BEGIN").unwrap();
    client.query("INSERT INTO notes VALUES (1, 'kept by nobody')").unwrap();
    let session = callers.doing("claude", "idle-in-transaction");
    assert_eq!(session["verdicts"]["permitted"], 2, "{session:#}");
    let asked = callers.kill(&session);
    is_over(&callers, &session, &mut client, asked);
    assert_eq!(arena.truth("SELECT count(*) FROM notes").unwrap(), "0");

    long_statements(&callers);
    stubborn_code(&callers);
    streams(&callers);
    copies(&callers);
    held(&callers);
    chores(&callers);
    psql_is_told(&callers);
}

fn long_statements(callers: &Callers<'_>) {
    for script in [
        // Simple, and by the extended protocol.
        portcullis_testkit::raw::query("SELECT pg_sleep(600)"),
        [
            portcullis_testkit::raw::extended(b"SELECT pg_sleep(600)", &[], false),
            message(b'S', b""),
        ]
        .concat(),
    ] {
        let mut client = callers.arena.client("claude").unwrap();
        client.send(&script).unwrap();
        let session = callers.doing("claude", "running");
        let asked = callers.kill(&session);
        is_over(callers, &session, &mut client, asked);
        recorded(callers.arena, &session);
    }
}

/// Code that swallows cancels: the target itself sees that nobody waits for it any more.
fn stubborn_code(callers: &Callers<'_>) {
    let arena = callers.arena;
    let version: u32 = arena.truth("SHOW server_version_num").unwrap().parse().unwrap();
    if version < 140_000 {
        return;
    }
    let mut client = arena.client("claude").unwrap();
    client
        .ask(
            "DO $$ BEGIN FOR i IN 1..40 LOOP BEGIN PERFORM pg_sleep(0.25); \
             EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; \
             INSERT INTO notes VALUES (7, 'after all'); END $$",
        )
        .unwrap();
    let session = callers.doing("claude", "running");
    let asked = callers.kill(&session);
    is_over(callers, &session, &mut client, asked);
    let works = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO $$ BEGIN%'";
    while arena.truth(works).unwrap() != "0" {
        assert!(asked.elapsed() < Duration::from_secs(8), "it goes on for nobody");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(arena.truth("SELECT count(*) FROM notes").unwrap(), "0");
}

/// Rows for a client that does not read them.
fn streams(callers: &Callers<'_>) {
    for query in [
        "SELECT repeat('x', 1000), generate_series(1, 100000000)",
        "COPY (SELECT repeat('x', 1000), generate_series(1, 100000000)) TO STDOUT",
    ] {
        let mut client = callers.arena.client("claude").unwrap();
        client.ask(query).unwrap();
        let mut session = callers.doing("claude", "running");
        // Until every buffer on the way is full.
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite'";
        let deadline = Instant::now() + Duration::from_secs(15);
        while callers.arena.truth(waits).unwrap() != "1" {
            assert!(Instant::now() < deadline, "the server does not wait for the client");
            std::thread::sleep(Duration::from_millis(50));
        }
        let asked = callers.kill(&session);
        gone(callers, &session);
        session["state"] = json!("streams");
        is_over(callers, &session, &mut client, asked);
        recorded(callers.arena, &session);
    }
}

/// In the middle of rows that are copied in, none of which stays.
fn copies(callers: &Callers<'_>) {
    let mut client = callers.arena.client("claude").unwrap();
    client.ask("COPY notes FROM STDIN").unwrap();
    client.until(b'G').unwrap();
    client.send(&message(b'd', b"1\tone\n2\ttwo\n")).unwrap();
    let session = callers.doing("claude", "running");
    let asked = callers.kill(&session);
    is_over(callers, &session, &mut client, asked);
    assert_eq!(callers.arena.truth("SELECT count(*) FROM notes").unwrap(), "0");
}

/// Waiting for people, and being run for show meanwhile.
fn held(callers: &Callers<'_>) {
    let arena = callers.arena;
    let mut client = arena.client("claude").unwrap();
    client.ask("DELETE FROM signed WHERE id = 1").unwrap();
    let (review, _) = client.held().unwrap();
    let session = callers.doing("claude", "held");
    assert_eq!(session["verdicts"]["held"], 1, "{session:#}");
    assert_eq!(session["last"]["text"], "DELETE FROM signed WHERE id = 1");
    let asked = callers.kill(&session);
    is_over(callers, &session, &mut client, asked);
    status(callers, &review, "withdrawn");
    let (code, _) = callers.ask("bo", "POST", &format!("/reviews/{review}/approve"), &json!({}));
    assert_eq!(code, 409, "a withdrawn review was approved");

    // It waits for a lock that somebody else has.
    let mut locker = locker(arena, "UPDATE reviewed SET v = 1 WHERE id = 1");
    let mut client = arena.client("claude").unwrap();
    client.ask("UPDATE reviewed SET v = 2 WHERE id = 1").unwrap();
    let (review, _) = client.held().unwrap();
    let session = callers.doing("claude", "rehearsing");
    let asked = callers.kill(&session);
    is_over(callers, &session, &mut client, asked);
    status(callers, &review, "withdrawn");
    locker.query("ROLLBACK").unwrap();

    // Its transaction is open, with its locks, while people look at it.
    let mut client = arena.client("claude").unwrap();
    client.ask("UPDATE reviewed SET v = 3 WHERE id = 1").unwrap();
    let (review, _) = client.held().unwrap();
    let deadline = Instant::now() + Duration::from_secs(15);
    let shown = || callers.ask("bo", "GET", &format!("/reviews/{review}"), &Value::Null).1;
    while shown()["rehearsal"]["stage"] != "open" {
        assert!(Instant::now() < deadline, "{:#}", shown());
        std::thread::sleep(Duration::from_millis(50));
    }
    let session = callers.doing("claude", "held");
    let asked = callers.kill(&session);
    is_over(callers, &session, &mut client, asked);
    status(callers, &review, "withdrawn");
    assert_eq!(arena.truth("SELECT v FROM reviewed WHERE id = 1").unwrap(), "0");
}

/// A session past the gateway, in a transaction that has run this.
fn locker(arena: &Arena, sql: &str) -> RawClient {
    let server = (Ipv4Addr::LOCALHOST, arena.server.port()).into();
    let mut locker = RawClient::log_in(server, "owner", "shop", APP_PASSWORD).unwrap();
    locker.query("BEGIN").unwrap();
    let answer = locker.query(sql).unwrap();
    assert!(answer.iter().all(|m| m.tag != b'E'), "{answer:?}");
    locker
}

fn status(callers: &Callers<'_>, review: &str, expect: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let (_, row) = callers.ask("bo", "GET", &format!("/reviews/{review}"), &Value::Null);
        if row["status"] == expect {
            return;
        }
        assert!(Instant::now() < deadline, "not {expect}: {row:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The gateway reads definitions, and the server does not give them.
fn chores(callers: &Callers<'_>) {
    let mut client = callers.arena.client("claude").unwrap();
    client.query("SELECT 1").unwrap();
    let mut locker =
        locker(callers.arena, "LOCK TABLE pg_catalog.pg_rewrite IN ACCESS EXCLUSIVE MODE");
    // What is known is too old by then.
    std::thread::sleep(Duration::from_millis(1500));
    client.ask("SELECT 1").unwrap();
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    let deadline = Instant::now() + Duration::from_secs(15);
    while locker.query(waits).unwrap()[1].shown() != "D \"1\"" {
        assert!(Instant::now() < deadline, "nobody waits for the lock");
        std::thread::sleep(Duration::from_millis(50));
    }
    let session = callers.doing("claude", "running");
    let asked = callers.kill(&session);
    let seen = to_the_end(&mut client);
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    assert!(seen.last().unwrap().shown().contains("C=28000"), "{seen:?}");
    locker.query("ROLLBACK").unwrap();
    gone(callers, &session);
}

/// A client that people use, and the commands.
fn psql_is_told(callers: &Callers<'_>) {
    let arena = callers.arena;
    std::thread::scope(|scope| {
        let psql = scope.spawn(|| arena.psql("claude", "SELECT pg_sleep(60)").unwrap());
        let session = callers.doing("claude", "running");
        let listed = arena.portcullis(&["sessions", "--as", "bo"]).unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        assert!(listed.contains(session["id"].as_str().unwrap()), "{listed}");
        assert!(listed.contains("claude for ana on shop"), "{listed}");
        assert_eq!(session["last"]["text"], "SELECT pg_sleep(60)");
        let kill = |arguments: &[&str]| {
            let output = arena.portcullis(&[&["kill", "--as"], arguments].concat()).unwrap();
            let told = [output.stdout, output.stderr].concat();
            (output.status.code().unwrap(), String::from_utf8(told).unwrap())
        };
        let (code, told) = kill(&["bo", "--agent", "clod", "--reason", REASON]);
        assert!(code == 1 && told.contains("no session"), "{code}: {told}");
        let (code, told) = kill(&["claude", "--agent", "claude", "--reason", REASON]);
        assert!(code == 1 && told.contains("only a person"), "{code}: {told}");
        assert_eq!(kill(&["bo", "--agent", "claude"]).0, 2, "a reason is asked for");
        assert_eq!(kill(&["bo", "--reason", REASON]).0, 2, "and whose");
        let asked = Instant::now();
        let (code, told) = kill(&["ana", "--agent", "claude", "--reason", REASON]);
        assert!(code == 0 && told.contains("over"), "{code}: {told}");
        let output = psql.join().unwrap();
        assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("FATAL") && told.contains(REASON), "{told}");
        assert!(!output.status.success());
        gone(callers, &session);
    });
}

/// A target that never answers, while a session is being opened to it.
#[test]
fn a_session_is_ended_in_its_log_in() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut setup = setup();
    setup.between = Some(silent.local_addr().unwrap().port());
    let arena = start(&setup);
    let callers = Callers::of(&arena);
    let token = arena.token("claude").unwrap();
    let mut client = RawClient::connect(arena.postgres).unwrap();
    let parameters = [("user", "claude"), ("database", "shop")];
    client.send(&portcullis_testkit::raw::startup(0, &parameters)).unwrap();
    client.until(b'R').unwrap();
    client.send(&message(b'p', &[token.as_bytes(), b"\0"].concat())).unwrap();
    let session = callers.doing("claude", "log-in");
    let asked = callers.kill(&session);
    is_over(&callers, &session, &mut client, asked);
    recorded(&arena, &session);
}

/// The gateway's own COMMIT is sent, and its answer does not come: a session that is ended then says
/// that nobody knows.
#[test]
fn a_session_is_ended_while_its_commit_is_awaited() {
    let between = Between::start().unwrap();
    let mut setup = setup();
    setup.between = Some(between.port);
    let arena = start(&setup);
    between.connect_to(arena.server.port());
    let callers = Callers::of(&arena);
    let mut client = arena.client("claude").unwrap();
    between.let_happen(Fault::HoldAnswer);
    client.ask("INSERT INTO counted VALUES (1)").unwrap();
    let session = callers.doing("claude", "running");
    let deadline = Instant::now() + Duration::from_secs(15);
    while !between.has_happened() {
        assert!(Instant::now() < deadline, "no COMMIT was sent");
        std::thread::sleep(Duration::from_millis(20));
    }
    let asked = callers.kill(&session);
    let seen = to_the_end(&mut client);
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    let last = seen.last().unwrap().shown();
    assert!(last.contains("C=08007") && last.contains(REASON), "{last}");
    recorded(&arena, &session);
    let outcomes: Vec<Value> =
        journal(&arena).into_iter().filter(|e| e["event"] == "outcome").collect();
    assert_eq!(outcomes.last().unwrap()["status"], "unknown", "{outcomes:#?}");
}

/// Every route and every caller: what it answers, and whose sessions are there after it.
#[test]
fn everybody_sees_and_ends_what_is_theirs() {
    let arena = start(&setup());
    let callers = Callers::of(&arena);
    let names = ["ana", "bo", "claude", "deckard"];
    let _open: Vec<RawClient> = names.map(|name| arena.client(name).unwrap()).into();
    let of = |who: &str| -> Vec<String> {
        let sessions = callers.sessions(who);
        let names = sessions.iter().map(|s| s["principal"]["name"].as_str().unwrap().to_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    // Claude acts for Ana, Deckard for Bo, and Bo is in the group of administrators; so is Deckard.
    assert_eq!(of("bo"), names);
    assert_eq!(of("ana"), ["ana", "claude"]);
    assert_eq!(of("claude"), ["claude"]);
    assert_eq!(of("deckard"), ["deckard"]);

    let id = |name: &str| callers.doing(name, "idle")["id"].as_str().unwrap().to_owned();
    let kill = |name: &str| format!("/sessions/{}/kill", id(name));
    let why = json!({ "reason": REASON });
    let agent = |name: &str| json!({ "agent": name, "reason": REASON });
    let shop = json!({ "connection": "shop", "reason": REASON });
    let freeze = json!({ "scope": "writes", "seconds": 60, "reason": REASON });
    let frozen = callers.freeze("writes", Some("shop"), 600);
    let thaw = format!("/freezes/{frozen}");
    let null = Value::Null;
    // route, body, and what nobody, claude, deckard and ana are answered.
    let table: [(&str, String, &Value, [u16; 4]); 13] = [
        ("GET", "/sessions".into(), &null, [401, 200, 200, 200]),
        ("POST", kill("bo"), &why, [401, 403, 403, 404]),
        ("POST", kill("deckard"), &why, [401, 403, 403, 404]),
        ("POST", kill("claude"), &why, [401, 403, 403, 0]),
        ("POST", "/sessions/ses_0000000000000/kill".into(), &why, [401, 403, 403, 404]),
        ("POST", "/sessions/nonsense/kill".into(), &why, [401, 403, 403, 404]),
        ("POST", kill("ana"), &json!({ "reason": " " }), [401, 403, 403, 422]),
        ("POST", kill("ana"), &json!({}), [401, 403, 403, 422]),
        ("POST", "/sessions/kill".into(), &why, [401, 403, 403, 422]),
        ("POST", "/sessions/kill".into(), &agent("deckard"), [401, 403, 403, 200]),
        ("GET", "/freezes".into(), &null, [401, 200, 200, 200]),
        ("POST", "/freezes".into(), &freeze, [401, 403, 403, 403]),
        ("DELETE", thaw.clone(), &null, [401, 403, 403, 403]),
    ];
    for (method, path, body, expect) in &table {
        for (who, expect) in ["nobody", "claude", "deckard", "ana"].iter().zip(expect) {
            if *expect == 0 {
                continue;
            }
            let (status, answer) = callers.ask(who, method, path, body);
            assert_eq!(status, *expect, "{who}: {method} {path}: {answer}");
        }
        assert_eq!(of("bo"), names, "{method} {path}");
    }
    let refused = journal(&arena);
    let refused = refused.iter().filter(|e| e["event"] == "administration_refused").count();
    // And what Ana tried with sessions of others.
    assert_eq!(refused, 11 * 2 + 2 + 2, "what may not be is in the record");
    assert_eq!(callers.ask("bo", "GET", "/freezes", &null).1.as_array().unwrap().len(), 1);

    // Ana ends her agent's session, and what is hers on a connection; Bo what is left.
    assert_eq!(callers.ask("ana", "POST", &kill("claude"), &why).0, 200);
    let (status, ended) = callers.ask("ana", "POST", "/sessions/kill", &shop);
    assert_eq!((status, ended["sessions"].as_array().unwrap().len()), (200, 1), "{ended}");
    assert_eq!(of("bo"), ["bo", "deckard"]);
    let (status, ended) = callers.ask("bo", "POST", "/sessions/kill", &shop);
    assert_eq!((status, ended["sessions"].as_array().unwrap().len()), (200, 2), "{ended}");
    assert!(callers.sessions("bo").is_empty());
    callers.thaw(&frozen);
    assert_eq!(callers.ask("bo", "DELETE", &thaw, &null).0, 404, "it is thawed already");

    for (body, about) in [
        (json!({ "scope": "writes", "seconds": 31 * 86_400, "reason": "x" }), "30 days"),
        (json!({ "scope": "writes", "seconds": 0, "reason": "x" }), "30 days"),
        (json!({ "scope": "writes", "reason": "x" }), "seconds"),
        (json!({ "scope": "writes", "seconds": 60, "reason": "" }), "say why"),
        (json!({ "scope": "reads", "seconds": 60, "reason": "x" }), "reads"),
        (json!({ "scope": "writes", "seconds": 60, "reason": "x", "connection": "no" }), "`no`"),
    ] {
        let (status, answer) = callers.ask("bo", "POST", "/freezes", &body);
        assert_eq!(status, 422, "{body}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(about), "{answer}");
    }
}

/// The error of an answer; empty where there is none.
fn error(answer: &[Message]) -> String {
    answer.iter().find(|m| m.tag == b'E').map(Message::shown).unwrap_or_default()
}

fn is_frozen(answer: &[Message]) {
    let told = error(answer);
    for part in ["C=42501", "a freeze refused", "a bad deploy", "frozen by bo until 20", "later"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn what_is_frozen_stays_so_until_its_end() {
    let mut setup = setup();
    setup.databases = &["other"];
    let mut arena = start(&setup);
    let agent = arena.client("claude").unwrap();
    frozen_writes(&Callers::of(&arena), agent);
    held_before(&Callers::of(&arena));
    everything(&Callers::of(&arena));
    by_command(&arena);

    // It survives the gateway, and ends by itself.
    let callers = Callers::of(&arena);
    let until = Instant::now() + Duration::from_secs(20);
    callers.freeze("writes", None, 20);
    arena.kill_gateway().unwrap();
    arena.start_gateway().unwrap();
    let mut agent = arena.client("claude").unwrap();
    // An identical request that was refused is answered later and later.
    let mut number = 100;
    let mut insert = || {
        number += 1;
        agent.query(&format!("INSERT INTO notes VALUES ({number}, 'after a restart')")).unwrap()
    };
    let answer = insert();
    if Instant::now() < until {
        is_frozen(&answer);
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while !error(&insert()).is_empty() {
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(Instant::now() >= until, "it has ended too soon");
}

fn frozen_writes(callers: &Callers<'_>, mut agent: RawClient) {
    let arena = callers.arena;
    agent.query("PREPARE add (int) AS INSERT INTO notes VALUES ($1, 'prepared')").unwrap();
    agent.query("PREPARE look AS SELECT 1").unwrap();
    let mut open = arena.client("claude").unwrap();
    open.query("BEGIN").unwrap();
    open.query("DECLARE c CURSOR FOR SELECT id FROM signed").unwrap();
    open.query("INSERT INTO notes VALUES (2, 'not kept yet')").unwrap();
    let mut reads = arena.client("claude").unwrap();
    reads.query("BEGIN").unwrap();
    reads.query("DECLARE c CURSOR FOR SELECT id FROM signed").unwrap();
    let mut copy = arena.client("claude").unwrap();
    copy.ask("COPY notes FROM STDIN").unwrap();
    copy.until(b'G').unwrap();
    copy.send(&message(b'd', b"3\tbefore\n")).unwrap();
    let mut elsewhere =
        RawClient::log_in(arena.postgres, "claude", "other", &arena.token("claude").unwrap())
            .unwrap();

    let frozen = callers.freeze("writes", Some("shop"), 600);
    // From the moment it is answered: what is written, in whatever words.
    for sql in [
        "INSERT INTO notes VALUES (4, 'x')",
        "EXECUTE add(5)",
        "SELECT nextval('customers_id_seq')",
        "CREATE TABLE t (i int)",
        "DO $$ BEGIN END $$",
        "LOCK TABLE notes",
        "SELECT 1; DELETE FROM notes",
        "EXPLAIN ANALYZE DELETE FROM notes",
    ] {
        is_frozen(&agent.query(sql).unwrap());
    }
    let extended = portcullis_testkit::raw::extended(b"INSERT INTO notes VALUES (6)", &[], false);
    agent.send(&[extended, message(b'S', b"")].concat()).unwrap();
    is_frozen(&agent.until(b'Z').unwrap());
    // What only reads goes on.
    for sql in
        ["SELECT count(*) FROM notes", "EXECUTE look", "SET TIME ZONE 'UTC'", "SHOW TimeZone"]
    {
        assert_eq!(error(&agent.query(sql).unwrap()), "", "{sql}");
    }
    assert_eq!(error(&reads.query("FETCH 2 FROM c").unwrap()), "");
    assert_eq!(error(&reads.query("COMMIT").unwrap()), "");
    // What was written before is not kept by the COMMIT that comes after.
    let answer = open.query("COMMIT").unwrap();
    is_frozen(&answer);
    assert!(error(&answer).contains("send ROLLBACK"), "{}", error(&answer));
    assert_eq!(error(&open.query("ROLLBACK").unwrap()), "");
    // Nor are rows that were copied in before.
    copy.send(&message(b'd', b"7\tafter\n")).unwrap();
    copy.send(&message(b'c', b"")).unwrap();
    is_frozen(&copy.until(b'Z').unwrap());
    assert_eq!(arena.truth("SELECT count(*) FROM notes").unwrap(), "0");
    // People, and other connections, are not meant.
    let mut person = arena.client("ana").unwrap();
    assert_eq!(error(&person.query("INSERT INTO notes VALUES (8, 'ana')").unwrap()), "");
    assert_eq!(error(&elsewhere.query("CREATE TABLE t (i int)").unwrap()), "");
    callers.thaw(&frozen);
    assert_eq!(error(&agent.query("EXECUTE add(5)").unwrap()), "");
    assert_eq!(arena.truth("SELECT count(*) FROM notes").unwrap(), "2");
}

/// What was held before the freeze and is approved in it does not run, and runs when it is thawed.
fn held_before(callers: &Callers<'_>) {
    let arena = callers.arena;
    let mut agent = arena.client("claude").unwrap();
    agent.ask("DELETE FROM signed WHERE id = 1").unwrap();
    let (review, _) = agent.held().unwrap();
    // A pattern that others like it may follow by.
    let mut other = arena.client("claude").unwrap();
    other.ask("DELETE FROM signed WHERE id = 2").unwrap();
    let (pattern, _) = other.held().unwrap();
    let approve = |review: &str, body: Value| {
        let path = format!("/reviews/{review}/approve");
        let (status, row) = callers.ask("bo", "POST", &path, &body);
        assert_eq!(status, 200, "{row}");
    };
    approve(&pattern, json!({ "pattern": { "seconds": 600, "count": 9 } }));
    assert_eq!(error(&other.until(b'Z').unwrap()), "");
    assert_eq!(error(&other.query("DELETE FROM signed WHERE id = 3").unwrap()), "", "it follows");

    let frozen = callers.freeze("writes", None, 600);
    is_frozen(&other.query("DELETE FROM signed WHERE id = 4").unwrap());
    approve(&review, json!({}));
    let answer = agent.until(b'Z').unwrap();
    is_frozen(&answer);
    assert_eq!(arena.truth("SELECT count(*) FROM signed").unwrap(), "97");
    status(callers, &review, "approved");
    callers.thaw(&frozen);
    // Nobody is asked again.
    assert_eq!(error(&agent.query("DELETE FROM signed WHERE id = 1").unwrap()), "");
    assert_eq!(error(&other.query("DELETE FROM signed WHERE id = 4").unwrap()), "");
    assert_eq!(arena.truth("SELECT count(*) FROM signed").unwrap(), "95");
    status(callers, &review, "used");
}

/// Where everything is frozen, agents do not come in, and those that are in do nothing.
fn everything(callers: &Callers<'_>) {
    let arena = callers.arena;
    let mut agent = arena.client("claude").unwrap();
    let mut person = arena.client("ana").unwrap();
    let frozen = callers.freeze("everything", None, 600);
    is_frozen(&agent.query("SELECT 1").unwrap());
    let refused = arena.client("deckard").unwrap_err().to_string();
    assert!(refused.contains("a bad deploy") && refused.contains("C=42501"), "{refused}");
    assert_eq!(error(&person.query("SELECT 1").unwrap()), "");
    drop(arena.client("bo").unwrap());
    callers.thaw(&frozen);
    assert_eq!(error(&agent.query("SELECT 1").unwrap()), "");
    drop(arena.client("deckard").unwrap());
}

fn by_command(arena: &Arena) {
    let run = |arguments: &[&str]| {
        let output = arena.portcullis(arguments).unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(told).unwrap())
    };
    let freeze = ["freeze", "--as", "bo", "--writes", "--for", "2h", "--reason", "a bad deploy"];
    let (code, told) = run(&freeze);
    assert!(code == 0 && told.contains("writes"), "{code}: {told}");
    let id: String = told.chars().take_while(|c| !c.is_whitespace()).collect();
    assert!(id.starts_with("frz_"), "{told}");
    let (code, told) = run(&["freezes", "--as", "claude"]);
    assert!(code == 0 && told.contains(&id) && told.contains("a bad deploy"), "{code}: {told}");
    let (code, told) = run(&["freeze", "--as", "ana", "--writes", "--for", "2h", "--reason", "x"]);
    assert!(code == 1 && told.contains("none of the groups"), "{code}: {told}");
    for wrong in [
        &["freeze", "--as", "bo", "--for", "2h", "--reason", "x"][..],
        &["freeze", "--as", "bo", "--writes", "--everything", "--for", "2h", "--reason", "x"],
        &["freeze", "--as", "bo", "--writes", "--reason", "x"],
        &["thaw", "--as", "bo", "nonsense"],
    ] {
        assert_eq!(run(wrong).0, 2, "{wrong:?}");
    }
    let (code, told) = run(&["thaw", "--as", "bo", &id]);
    assert!(code == 0 && told.contains("thawed"), "{code}: {told}");
    assert_eq!(run(&["thaw", "--as", "bo", &id]).0, 1, "it is thawed already");
    let (_, all) = run(&["freezes", "--as", "bo", "--all", "--json"]);
    let all: Value = serde_json::from_str(&all).unwrap();
    let row = all.as_array().unwrap().iter().find(|row| row["id"] == *id).unwrap().clone();
    assert_eq!((&row["good"], &row["thawed_by"]), (&json!(false), &json!("bo")), "{row}");
    let events = journal(arena);
    let of = |name: &str| {
        events.iter().filter(|e| e["event"] == name && e.to_string().contains(&id)).count()
    };
    assert_eq!((of("frozen"), of("thawed")), (1, 1));
    for entry in events.iter().filter(|e| e["event"] == "frozen" || e["event"] == "thawed") {
        let issuer = entry["by"]["issuer"].as_str();
        assert!(issuer.is_some_and(|issuer| issuer.starts_with("http")), "{entry}");
    }
}

/// Where nobody can tell what is frozen, agents do nothing, and people go on.
#[test]
fn a_store_that_cannot_be_read_freezes() {
    let mut arena = start(&setup());
    let callers = Callers::of(&arena);
    callers.freeze("writes", None, 600);
    let mut agent = arena.client("claude").unwrap();
    let spoil = |sql: &str| {
        let script = format!(
            "import sqlite3; c = sqlite3.connect({:?}); c.execute({sql:?}); c.commit()",
            arena.data().join("portcullis.db")
        );
        let done = std::process::Command::new("python3").args(["-c", &script]).status().unwrap();
        assert!(done.success());
    };
    let unknown = |answer: &[Message]| {
        let told = error(answer);
        told.contains("C=58000") && told.contains("cannot be read what is frozen")
    };
    // While it runs, within the seconds after which it is read again.
    spoil("UPDATE freeze SET id = 'x'");
    let deadline = Instant::now() + Duration::from_secs(30);
    while !unknown(&agent.query("SELECT 1").unwrap()) {
        assert!(Instant::now() < deadline, "what cannot be read is taken for nothing");
        std::thread::sleep(Duration::from_millis(200));
    }
    let mut person = arena.client("ana").unwrap();
    assert_eq!(error(&person.query("INSERT INTO notes VALUES (1, 'ana')").unwrap()), "");
    let (status, answer) = callers.ask("bo", "GET", "/freezes", &Value::Null);
    assert_eq!(status, 503, "{answer}");
    // And from the start.
    arena.kill_gateway().unwrap();
    arena.start_gateway().unwrap();
    let refused = arena.client("claude").unwrap_err().to_string();
    assert!(refused.contains("C=58000"), "{refused}");
    drop(arena.client("ana").unwrap());
}
