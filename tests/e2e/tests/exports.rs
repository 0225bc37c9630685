//! The record reaches other systems whole: whatever a receiver answers, however long it is away, and wherever
//! the gateway is killed. What arrives is compared with the journal, entry by entry.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_sandbox::process::{Running, free_port};
use portcullis_testkit::arena::{Arena, Setup};
use portcullis_testkit::web::http;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const KEY: [u8; 32] = [9; 32];
/// What stands in the path of the receiver's address, as secrets do.
const PLACE: &str = "in-7f3a91c2";
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OTHER: &str = "00-aaaa2f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

/// What a receiver does with a message.
#[derive(Debug, Clone, Copy)]
enum Does {
    Answers(u16),
    /// Answers 503, and asks for so many seconds.
    Asks(u64),
    /// Takes the message, and sends what is no HTTP.
    Garbage,
    /// Reads a little, and hangs up.
    HangsUp,
    /// Takes the message, and never answers that it has.
    Forgets,
    /// Sends the caller to another place.
    Redirects,
    /// Answers 204 after a while.
    Dawdles(u64),
    /// Answers 400 without a body that ends.
    Endless,
    /// Takes the message, and kills the gateway before it can hear of it.
    Kills(u32),
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Does>,
    /// Texts it will not have.
    poison: Option<&'static str>,
    /// Paths, ids and bodies of what it has taken.
    taken: Vec<(String, String, String)>,
    calls: usize,
}

/// A server that is sent the record.
struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    up: Arc<AtomicBool>,
}

impl Receiver {
    fn new() -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
        let receiver =
            Self { address, state: Arc::default(), up: Arc::new(AtomicBool::new(false)) };
        receiver.start();
        receiver
    }

    fn start(&self) {
        let listener = TcpListener::bind(self.address).unwrap();
        listener.set_nonblocking(true).unwrap();
        self.up.store(true, Ordering::SeqCst);
        let (up, state) = (self.up.clone(), self.state.clone());
        std::thread::spawn(move || {
            while up.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        stream.set_nonblocking(false).unwrap();
                        let state = state.clone();
                        std::thread::spawn(move || serve(stream, &state));
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        });
    }

    /// From now on nobody is there.
    fn stop(&self) {
        self.up.store(false, Ordering::SeqCst);
        let start = Instant::now();
        while TcpStream::connect(self.address).is_ok() {
            assert!(start.elapsed() < Duration::from_secs(10), "it is still there");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn script(&self, script: &[Does]) {
        self.state.lock().unwrap().script = script.to_vec().into();
    }

    fn taken(&self) -> Vec<(String, String, String)> {
        self.state.lock().unwrap().taken.clone()
    }

    /// Lines of the entries it was sent, in order, with those that came twice.
    fn entries(&self) -> Vec<Value> {
        let bodies = self.taken().into_iter().map(|(_, _, body)| body);
        bodies
            .flat_map(|body| {
                let body: Value = serde_json::from_str(&body).unwrap();
                assert_eq!(body["type"], "audit.entries");
                body["data"]["entries"].as_array().unwrap().clone()
            })
            .collect()
    }
}

fn head(reader: &mut impl std::io::BufRead) -> Option<(String, BTreeMap<String, String>)> {
    let (mut first, mut headers) = (String::new(), BTreeMap::new());
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? <= 2 {
            return Some((first, headers));
        }
        let (name, value) = line.trim_end().split_once(": ")?;
        headers.insert(name.to_lowercase(), value.to_owned());
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut reader = BufReader::new(stream);
    let Some((first, headers)) = head(&mut reader) else { return };
    let path = first.split(' ').nth(1).unwrap().to_owned();
    assert!(first.starts_with("POST "), "{first}");
    let does = {
        let mut state = state.lock().unwrap();
        state.calls += 1;
        state.script.pop_front().unwrap_or(Does::Answers(204))
    };
    if matches!(does, Does::HangsUp) {
        return;
    }
    let length = headers["content-length"].parse().unwrap();
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let body = String::from_utf8(body).unwrap();
    let id = headers.get("webhook-id").cloned().unwrap_or_default();
    if !path.starts_with("/v1/") {
        assert_eq!(path, format!("/{PLACE}"), "nobody is sent elsewhere");
        check(&id, &headers["webhook-timestamp"], &headers["webhook-signature"], &body);
    }
    let refused = state.lock().unwrap().poison.is_some_and(|poison| body.contains(poison));
    let does = if refused { Does::Answers(400) } else { does };
    if !matches!(
        does,
        Does::Answers(300..) | Does::Asks(_) | Does::Redirects | Does::Endless | Does::Garbage
    ) {
        state.lock().unwrap().taken.push((path, id, body));
    }
    let stream = reader.get_mut();
    let _ = match does {
        Does::Answers(status) => answer(stream, status, ""),
        Does::Asks(seconds) => answer(stream, 503, &format!("Retry-After: {seconds}\r\n")),
        Does::Redirects => answer(stream, 307, "Location: /elsewhere\r\n"),
        Does::Dawdles(millis) => {
            std::thread::sleep(Duration::from_millis(millis));
            answer(stream, 204, "")
        }
        Does::Garbage => stream.write_all(b"\x00\x01 nothing of HTTP \xff\r\n\r\n"),
        Does::HangsUp | Does::Forgets => Ok(()),
        Does::Endless => {
            let _ = stream.write_all(b"HTTP/1.1 429 No\r\nRetry-After: 1\r\n\r\n");
            stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
            while stream.write_all(&[b'x'; 65536]).is_ok() {}
            Ok(())
        }
        Does::Kills(pid) => {
            let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
            assert!(killed.unwrap().success());
            Ok(())
        }
    };
}

fn answer(stream: &mut TcpStream, status: u16, more: &str) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status} Said\r\n{more}Connection: close\r\nContent-Length: 0\r\n\r\n")
}

/// What a receiver checks: the signature over id, time and body, and that the time is now.
fn check(id: &str, at: &str, signature: &str, body: &str) {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &KEY);
    let tag = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
    hmac::verify(&key, format!("{id}.{at}.{body}").as_bytes(), &tag).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(at.parse().unwrap()) < 60, "{at}");
}

fn webhook(name: &str, receiver: &Receiver, more: &str) -> String {
    format!(
        "[[export]]\nname = \"{name}\"\nkind = \"webhook\"\nurl = \"http://{}/{PLACE}\"\n\
         secret_file = \"export.secret\"\n{more}\n",
        receiver.address
    )
}

fn start(setup: Setup, more: &str) -> Arena {
    let mut setup = setup;
    setup.more += more;
    let secret = format!("whsec_{}\n", STANDARD.encode(KEY));
    Arena::start_with(&setup, &[("export.secret", &secret)]).unwrap()
}

/// The journal's lines, as an export has them.
fn journal(arena: &Arena) -> Vec<Value> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(arena.data().join("journal")).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "jsonl"));
    files.sort();
    let mut all = Vec::new();
    for file in files {
        // One line more may be on its way.
        let text = fs::read_to_string(file).unwrap();
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            let (text, hash) = line.split_once('\t').unwrap();
            let mut entry: Value = serde_json::from_str(text).unwrap();
            entry["hash"] = hash.into();
            all.push(entry);
        }
    }
    all
}

/// Waits until a receiver has all that the journal has, entry by entry; gives how many came twice.
fn has_all(receiver: &Receiver, arena: &Arena) -> usize {
    let start = Instant::now();
    loop {
        let (journal, came) = (journal(arena), receiver.entries());
        let mut known: BTreeMap<u64, Value> = BTreeMap::new();
        for entry in &came {
            let number = entry["seq"].as_u64().unwrap();
            // In order: nothing new comes before what is before it.
            assert!(number <= known.len() as u64, "{number} came before {}", known.len());
            let before = known.insert(number, entry.clone());
            assert!(before.is_none_or(|before| before == *entry), "{entry}");
        }
        if known.len() == journal.len() {
            assert_eq!(known.into_values().collect::<Vec<_>>(), journal);
            return came.len() - journal.len();
        }
        let late = start.elapsed() > Duration::from_secs(120);
        assert!(!late, "{} of {}", known.len(), journal.len());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn work(arena: &Arena, statements: usize) {
    let mut client = arena.client("claude").unwrap();
    for n in 0..statements {
        client.query(&format!("SELECT count(*) FROM orders WHERE id > {n}")).unwrap();
    }
}

fn log(arena: &Arena) -> String {
    String::from_utf8_lossy(&fs::read(arena.log_file()).unwrap()).into_owned()
}

/// A series of the gateway's metrics.
fn metric(at: SocketAddr, series: &str) -> Option<f64> {
    let answer = http(at, "GET /metrics", &[], "").unwrap();
    let line = answer.body.lines().find(|line| line.starts_with(series))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn nothing_is_lost_whatever_a_receiver_does_and_however_long_it_is_away() {
    let receiver = Receiver::new();
    receiver.script(&[
        Does::Answers(500),
        Does::HangsUp,
        Does::Answers(204),
        Does::Garbage,
        Does::Redirects,
        Does::Answers(404),
        Does::Asks(1),
        Does::Dawdles(700),
        Does::Forgets,
        Does::Endless,
        Does::Answers(401),
    ]);
    let metrics = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
    let more = webhook("siem", &receiver, "format = \"jsonl\"\nbatch = 5");
    let more = format!("{more}[listen.metrics]\naddress = \"{metrics}\"\n");
    let mut arena = start(Setup::allow_all(), &more);
    work(&arena, 20);
    let twice = has_all(&receiver, &arena);
    assert!(twice > 0, "what was taken and not heard of is sent again");
    assert!(receiver.state.lock().unwrap().script.is_empty());

    // Nobody is there, and the data path does not notice.
    receiver.stop();
    let began = Instant::now();
    work(&arena, 40);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let lag = "portcullis_export_lag_entries{receiver=\"siem\"}";
    until("it is behind", || metric(metrics, lag).is_some_and(|lag| lag > 40.0));
    let failed = "portcullis_export_failed_attempts{receiver=\"siem\"}";
    until("it has failed", || metric(metrics, failed).is_some_and(|failed| failed > 0.0));
    let seconds = "portcullis_export_lag_seconds{receiver=\"siem\"}";
    until("it is late", || metric(metrics, seconds).is_some_and(|seconds| seconds >= 1.0));
    // Killed, started and stopped meanwhile.
    arena.kill_gateway().unwrap();
    arena.start_gateway().unwrap();
    work(&arena, 5);
    arena.stop_gateway();
    arena.start_gateway().unwrap();
    receiver.start();
    has_all(&receiver, &arena);
    until("it has caught up", || metric(metrics, lag) == Some(0.0));
    assert_eq!(metric(metrics, failed), Some(0.0));
    assert_eq!(metric(metrics, seconds), Some(0.0));

    // What came twice whole is one message.
    let taken = receiver.taken();
    for (_, id, body) in &taken {
        let entries =
            |body: &str| serde_json::from_str::<Value>(body).unwrap()["data"]["entries"].clone();
        let same = taken.iter().filter(|(_, other, _)| other == id);
        assert!(same.into_iter().all(|(_, _, other)| entries(other) == entries(body)));
    }
    // No secret is in the log, nor in what the settings show.
    let log = log(&arena);
    assert!(!log.contains(&STANDARD.encode(KEY)), "the secret");
    let own = log.lines().filter(|line| line.contains("portcullis::export"));
    assert!(own.clone().count() > 0 && own.into_iter().all(|line| !line.contains(PLACE)));
    let verified = arena.portcullis(&["audit", "verify"]).unwrap();
    assert!(verified.status.success(), "{verified:?}");
}

#[test]
fn killed_when_a_message_is_taken_and_not_noted() {
    let receiver = Receiver::new();
    let mut arena =
        start(Setup::allow_all(), &webhook("siem", &receiver, "format = \"jsonl\"\nbatch = 7"));
    let mut twice = 0;
    for _ in 0..4 {
        has_all(&receiver, &arena);
        receiver.script(&[Does::Kills(arena.gateway_pid().unwrap())]);
        let token = arena.token("claude").unwrap();
        // Until it is gone.
        let shop =
            portcullis_testkit::raw::RawClient::log_in(arena.postgres, "claude", "shop", &token);
        if let Ok(mut client) = shop {
            while client.query("SELECT count(*) FROM orders").is_ok_and(|all| !all.is_empty()) {}
        }
        arena.kill_gateway().unwrap();
        arena.start_gateway().unwrap();
        work(&arena, 3);
        twice = has_all(&receiver, &arena);
    }
    assert!(twice > 0, "what was taken before the kill is sent again");
}

#[test]
fn an_entry_that_no_receiver_takes_stops_no_other() {
    let receiver = Receiver::new();
    receiver.state.lock().unwrap().poison = Some("poisonous_column");
    let metrics = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
    let more = webhook("siem", &receiver, "format = \"jsonl\"\nbatch = 50");
    let arena =
        start(Setup::allow_all(), &format!("{more}[listen.metrics]\naddress = \"{metrics}\"\n"));
    work(&arena, 3);
    let mut client = arena.client("claude").unwrap();
    client.query("SELECT 1 AS poisonous_column").unwrap();
    client.query("SELECT count(*) FROM orders").unwrap();
    drop(client);
    until("all is told", || {
        let known: BTreeSet<u64> =
            receiver.entries().iter().map(|entry| entry["seq"].as_u64().unwrap()).collect();
        known.len() == journal(&arena).len()
    });
    let withheld: Vec<Value> =
        receiver.entries().into_iter().filter(|one| !one["withheld"].is_null()).collect();
    assert_eq!(withheld.len(), 1, "{withheld:?}");
    let number = withheld[0]["seq"].as_u64().unwrap();
    let entry = &journal(&arena)[usize::try_from(number).unwrap()];
    assert_eq!(withheld[0]["hash"], entry["hash"]);
    assert!(entry.to_string().contains("poisonous_column"), "{entry}");
    let series = "portcullis_export_withheld_entries{receiver=\"siem\"}";
    assert_eq!(metric(metrics, series), Some(1.0));
}

#[test]
fn a_receiver_is_sent_what_it_asks_for_and_files_get_lines() {
    let (refusals, now) = (Receiver::new(), Receiver::new());
    let more = format!(
        "{}{}[[export]]\nname = \"lines\"\nkind = \"file\"\npath = \"lines.jsonl\"\n",
        webhook("refusals", &refusals, "events = [\"refused\"]\nconnections = [\"shop\"]"),
        webhook("elsewhere", &now, "connections = [\"other\"]\nformat = \"jsonl\""),
    );
    let arena = start(Setup::agent_safe(), &more);
    let mut client = arena.client("claude").unwrap();
    client.query("DROP TABLE orders").unwrap();
    client.query("SELECT count(*) FROM orders").unwrap();
    drop(client);
    until("the refusal is told", || !refusals.entries().is_empty());
    let told = refusals.entries();
    assert_eq!((told.len(), &told[0]["class_uid"]), (1, &6005.into()), "{told:?}");
    assert_eq!(
        (&told[0]["action"], &told[0]["ai_agent"]["name"]),
        (&"Denied".into(), &"claude".into())
    );
    // The file has all of it, as OCSF: a chain.
    let path = arena.directory().join("lines.jsonl");
    let lines = || -> Vec<Value> {
        let text = fs::read_to_string(&path).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    until("the file has all", || lines().len() == journal(&arena).len());
    for (event, entry) in lines().iter().zip(journal(&arena)) {
        assert_eq!(event["raw_data_hash"]["value"], entry["hash"]);
        assert_eq!(event["metadata"]["sequence"], entry["seq"]);
    }
    for pair in lines().windows(2) {
        let [one, next] = pair else { continue };
        let before = &next["attestation_list"][0]["prev_event"]["fingerprint"];
        assert_eq!(&one["attestation_list"][0]["fingerprint"], before);
    }
    assert!(now.entries().iter().all(|entry| entry["entry"]["session"].is_null()));
}

#[test]
fn a_collector_has_logs_and_traces_and_a_claimed_trace_is_a_link() {
    let receiver = Receiver::new();
    receiver.script(&[Does::Answers(503), Does::Answers(200), Does::Answers(500)]);
    let more = format!(
        "[[export]]\nname = \"collector\"\nkind = \"otlp\"\nurl = \"http://{}\"\n",
        receiver.address
    );
    let arena = start(Setup::agent_safe(), &more);
    let psql = Command::new(arena.server.program_directory().join("psql"))
        .args(["-X", "-c", &format!("SELECT 1 /*traceparent='{TRACE}'*/"), "-c", "SELECT 2"])
        .args(["-c", &format!("SELECT '/*traceparent=''{TRACE}''*/'"), "-c", "DROP TABLE orders"])
        .envs(arena.through("claude").unwrap())
        .env("PGOPTIONS", format!("-c portcullis.traceparent={OTHER}"))
        .output()
        .unwrap();
    let spans = || -> Vec<Value> {
        let all = receiver.taken().into_iter().filter(|(path, ..)| path == "/v1/traces");
        all.flat_map(|(_, _, body)| {
            let body: Value = serde_json::from_str(&body).unwrap();
            body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
        })
        .collect()
    };
    until("the session is a span", || spans().iter().any(|span| span["name"] == "session shop"));
    let spans = spans();
    let link = |span: &Value| span["links"][0]["traceId"].as_str().unwrap_or_default().to_owned();
    let session = spans.iter().find(|span| span["name"] == "session shop").unwrap();
    assert_eq!(link(session), OTHER[3..35], "{psql:?}\n{session:#}");
    let requests: Vec<&Value> =
        spans.iter().filter(|span| span["parentSpanId"] == session["spanId"]).collect();
    let linked = |to: &str| requests.iter().filter(|span| link(span) == to[3..35]).count();
    // By the comment; and by the session, where a literal is no comment.
    assert!(linked(TRACE) >= 1 && linked(OTHER) >= 3, "{requests:#?}");
    let one = requests.iter().find(|span| link(span) == TRACE[3..35]).unwrap();
    assert!(one.to_string().contains("SELECT 1 /*traceparent="), "{one}");
    let bodies: Vec<Value> = receiver
        .taken()
        .into_iter()
        .map(|(path, _, body)| serde_json::json!({ "path": path, "body": body }))
        .collect();
    published(&bodies);
}

/// What OTLP's own definitions say of the messages (PyPI, opentelemetry-proto).
fn published(bodies: &[Value]) {
    let tools = PathBuf::from(std::env::var_os("PORTCULLIS_TOOLS").unwrap_or_default());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/python/otlp.py");
    let mut python = Command::new(tools.join("venv/bin/python"))
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text = serde_json::to_string(bodies).unwrap();
    python.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("logs ") && said.contains(" spans "), "{said}");
}

/// A real OpenTelemetry Collector, and what it prints of all it is sent.
struct Collector {
    address: SocketAddr,
    directory: tempfile::TempDir,
    program: PathBuf,
}

impl Collector {
    /// None where it could not be built.
    fn new() -> Option<Self> {
        let tools = PathBuf::from(std::env::var_os("PORTCULLIS_TOOLS").unwrap_or_default());
        let program = tools.join("otelcol");
        if !program.is_file() {
            return None;
        }
        let address = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
        let directory = tempfile::tempdir().unwrap();
        let config = format!(
            "receivers: {{ otlp: {{ protocols: {{ http: {{ endpoint: \"{address}\" }} }} }} }}\n\
             exporters: {{ debug: {{ verbosity: detailed }} }}\n\
             service:\n  telemetry: {{ metrics: {{ level: none }} }}\n  pipelines:\n    \
             logs: {{ receivers: [otlp], exporters: [debug] }}\n    \
             traces: {{ receivers: [otlp], exporters: [debug] }}\n"
        );
        fs::write(directory.path().join("config.yaml"), config).unwrap();
        Some(Self { address, directory, program })
    }

    fn start(&self) -> Running {
        let log = self.directory.path().join("log");
        let log = fs::File::options().create(true).append(true).open(log).unwrap();
        let config = format!("file:{}", self.directory.path().join("config.yaml").display());
        let mut command = Command::new(&self.program);
        command.args(["--config", &config]).stdout(log.try_clone().unwrap()).stderr(log);
        Running::start(&mut command, "TERM").unwrap()
    }

    fn printed(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// The numbers of the entries it was sent.
    fn entries(&self) -> BTreeSet<u64> {
        let printed = self.printed();
        let numbers = printed.lines().filter_map(|line| {
            let (_, number) = line.split_once("portcullis.entry: Int(")?;
            number.strip_suffix(')')?.parse().ok()
        });
        numbers.collect()
    }
}

#[test]
fn a_real_collector_reads_it_and_misses_nothing_while_it_is_away() {
    let Some(collector) = Collector::new() else {
        eprintln!("there is no collector (./dev test builds it): NOTHING WAS SENT TO A REAL ONE");
        return;
    };
    let more = format!(
        "[[export]]\nname = \"collector\"\nkind = \"otlp\"\nurl = \"http://{}/\"\nbatch = 10\n",
        collector.address
    );
    let arena = start(Setup::agent_safe(), &more);
    let all = || (0..journal(&arena).len() as u64).collect::<BTreeSet<_>>();
    work(&arena, 5);
    let running = collector.start();
    until("it has all that came before it", || collector.entries() == all());
    drop(running);
    let mut client = arena.client("claude").unwrap();
    client.query(&format!("SELECT 1 /*traceparent='{TRACE}'*/")).unwrap();
    client.query("DROP TABLE orders").unwrap();
    drop(client);
    work(&arena, 5);
    let _running = collector.start();
    until("it has all that happened meanwhile", || collector.entries() == all());
    let printed = collector.printed();
    for part in [
        "EventName: portcullis.refused",
        "Name           : session shop",
        "SpanLink #0",
        &TRACE[3..35],
        "db.query.text: Str(SELECT 1 /*traceparent=",
        "portcullis.verdict: Str(refused)",
    ] {
        assert!(printed.contains(part), "{part}:\n{printed}");
    }
}

fn export(arena: &Arena, arguments: &[&str]) -> (Option<i32>, Vec<Value>, String) {
    let output = arena.portcullis(&[&["audit", "export"], arguments].concat()).unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code(), lines, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_record_is_exported_from_its_files_and_what_is_wrong_is_told() {
    let mut arena = start(Setup::allow_all(), "");
    work(&arena, 5);
    arena.stop_gateway();
    let whole = journal(&arena);
    let (code, lines, said) = export(&arena, &["--format", "jsonl"]);
    assert_eq!((code, &lines), (Some(0), &whole), "{said}");
    let (_, some, _) = export(&arena, &["--format", "jsonl", "--from", "3", "--until", "6"]);
    assert_eq!(some, whole[3..7]);
    let (_, none, _) = export(&arena, &["--format", "jsonl", "--from", "2999-01-01T00:00:00Z"]);
    assert_eq!(none.len(), 0);
    let (code, events, _) = export(&arena, &["--format", "ocsf", "--from", "4"]);
    assert_eq!((code, events.len()), (Some(0), whole.len() - 4));
    assert_eq!(events[0]["metadata"]["version"], "1.9.0");
    let (code, messages, _) = export(&arena, &["--format", "otlp"]);
    let logs = messages.iter().filter(|one| !one["resourceLogs"].is_null()).count();
    assert_eq!((code, logs), (Some(0), whole.len()));
    // A file is not written over.
    let to = arena.directory().join("out.jsonl");
    let to = to.to_str().unwrap();
    assert_eq!(export(&arena, &["--format", "ocsf", "--to", to]).0, Some(0));
    let (code, _, said) = export(&arena, &["--format", "ocsf", "--to", to]);
    assert!(code != Some(0) && said.contains("is there already"), "{said}");
    // An entry that somebody has edited, and one that is gone.
    let file = arena.data().join("journal/00000000000000000000.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines[5] = lines[5].replacen("\"at\":1", "\"at\":2", 1);
    fs::write(&file, lines.join("\n") + "\n").unwrap();
    let (code, told, said) = export(&arena, &["--format", "jsonl"]);
    assert!(code == Some(1) && said.contains("before entry 6"), "{said}");
    assert_eq!(
        (&told[5]["seq"], &told[5]["gap"]["missing"]),
        (&6.into(), &1.into()),
        "{}",
        told[5]
    );
    assert_eq!(told[6], whole[6]);
    assert_eq!(told.len(), whole.len());
    // What stands at the end and belongs elsewhere.
    fs::write(&file, text.clone() + text.lines().next().unwrap() + "\n").unwrap();
    let (code, told, said) = export(&arena, &["--format", "jsonl"]);
    assert!(code == Some(1) && said.contains("1 lines at the end"), "{said}");
    assert_eq!(told.len(), whole.len() + 1);
}
