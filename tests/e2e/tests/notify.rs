//! People are told that somebody waits for them: signed, once, again where it was not taken, and with
//! nothing in it that is for the review's page alone.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_testkit::arena::{Arena, Setup};
use portcullis_testkit::raw::RawClient;
use portcullis_testkit::web::http;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const KEY: [u8; 32] = [7; 32];
/// What nobody is to be told by a message.
const LITERAL: &str = "kept-between-us";

/// A message that came in.
#[derive(Debug, Clone)]
struct Message {
    id: String,
    body: Value,
    text: String,
}

/// A server that is told. Its answers are the statuses it is given, in order, and 204 after them; all of
/// them name another place to go to.
struct Receiver {
    address: SocketAddr,
    came: Arc<Mutex<Vec<Message>>>,
}

impl Receiver {
    fn start(answers: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, came) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let (kept, mut answers) = (Arc::clone(&came), answers.to_vec().into_iter());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let mut lines = Vec::new();
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) <= 2 {
                        break;
                    }
                    lines.push(line.trim_end().to_owned());
                }
                let header = |name: &str| {
                    let pairs = lines.iter().filter_map(|line| line.split_once(": "));
                    let mut found = pairs.filter(|(known, _)| known.eq_ignore_ascii_case(name));
                    found.next().map(|(_, value)| value.to_owned()).unwrap_or_default()
                };
                let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
                reader.read_exact(&mut body).unwrap();
                let text = String::from_utf8(body).unwrap();
                check(
                    &header("webhook-id"),
                    &header("webhook-timestamp"),
                    &header("webhook-signature"),
                    &text,
                );
                let body = serde_json::from_str(&text).unwrap();
                kept.lock().unwrap().push(Message { id: header("webhook-id"), body, text });
                let status = answers.next().unwrap_or(204);
                let close = "Location: /elsewhere\r\nRetry-After: 20\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
                assert!(lines[0].starts_with("POST /told "), "{}", lines[0]);
                let _ = write!(reader.get_mut(), "HTTP/1.1 {status} Said\r\n{close}");
            }
        });
        Self { address, came }
    }

    /// Waits for this many messages.
    fn messages(&self, count: usize) -> Vec<Message> {
        let start = Instant::now();
        loop {
            let came = self.came.lock().unwrap().clone();
            if came.len() >= count {
                return came;
            }
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "{} of {count}: {came:?}",
                came.len()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// What a receiver checks: the signature over id, time and body, and that the time is now.
fn check(id: &str, at: &str, signature: &str, body: &str) {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &KEY);
    let tag = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
    hmac::verify(&key, format!("{id}.{at}.{body}").as_bytes(), &tag).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(at.parse().unwrap()) < 60, "{at}");
}

fn setup(webhooks: &[(&str, SocketAddr, &str)]) -> (Setup, String) {
    let mut setup = Setup::agent_safe();
    setup.policy = format!("{}[review]\nexpires = \"5m\"\n", setup.policy);
    setup.more = "[administration]\ngroups = [\"dba\"]\n".to_owned();
    for (name, address, more) in webhooks {
        setup.more += &format!(
            "[[notify.webhooks]]\nname = \"{name}\"\nurl = \"http://{address}/told\"\n\
             secret_file = \"webhook.secret\"\n{more}\n"
        );
    }
    (setup, format!("whsec_{}\n", STANDARD.encode(KEY)))
}

fn start(webhooks: &[(&str, SocketAddr, &str)]) -> Arena {
    let (setup, secret) = setup(webhooks);
    Arena::start_with(&setup, &[("webhook.secret", &secret)]).unwrap()
}

fn held(arena: &Arena) -> (RawClient, String) {
    let mut client = arena.client("claude").unwrap();
    client.ask(&format!("DELETE FROM orders WHERE status = '{LITERAL}'")).unwrap();
    let (review, _) = client.held().unwrap();
    (client, review)
}

fn decide(arena: &Arena, review: &str) {
    let output = arena.portcullis(&["review", "--as", "bo", "approve", review]).unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn notifications(arena: &Arena, name: &str) -> (u16, Value) {
    let bearer = format!("Bearer {}", arena.token(name).unwrap());
    let answer =
        http(arena.http, "GET /api/v1/notifications", &[("Authorization", &bearer)], "").unwrap();
    (answer.status, answer.json())
}

/// Waits until a channel's notifications stand so.
fn states(arena: &Arena, channel: &str, expect: &[(&str, &str)]) -> Value {
    let start = Instant::now();
    loop {
        let (status, rows) = notifications(arena, "bo");
        assert_eq!(status, 200, "{rows}");
        let rows: Vec<Value> = rows.as_array().unwrap().clone();
        let mut own: Vec<&Value> = rows.iter().filter(|row| row["channel"] == channel).collect();
        own.sort_by_key(|row| row["made"].as_i64());
        let seen: Vec<(&str, &str)> = own
            .iter()
            .map(|row| (row["event"].as_str().unwrap(), row["state"].as_str().unwrap()))
            .collect();
        if seen == expect {
            return Value::from(own.into_iter().cloned().collect::<Vec<_>>());
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{seen:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn people_are_told_once_and_nothing_that_is_for_the_page_alone() {
    let (receiver, others) = (Receiver::start(&[]), Receiver::start(&[]));
    let arena = start(&[
        ("oncall", receiver.address, "groups = [\"dba\"]"),
        ("finance", others.address, "groups = [\"finance\"]"),
    ]);
    let (mut client, review) = held(&arena);
    let told = receiver.messages(1).remove(0);
    let data = &told.body["data"];
    assert_eq!(told.body["type"], "review.waiting");
    assert_eq!(
        (&data["review"], &data["status"]),
        (&Value::from(review.as_str()), &"pending".into())
    );
    assert_eq!(
        (&data["connection"], &data["rule"]),
        (&"shop".into(), &"writes-need-review".into())
    );
    assert_eq!(
        (&data["caller"]["name"], &data["caller"]["acting_for"]),
        (&"claude".into(), &"ana".into())
    );
    assert_eq!(data["url"], format!("http://{}/reviews/{review}", arena.http));
    assert!(data["does"].as_str().unwrap().contains("public.orders"), "{data}");
    // The same request again asks nobody again, so nobody is told again.
    let (mut second, same) = held(&arena);
    assert_eq!(same, review);
    decide(&arena, &review);
    client.until(b'Z').unwrap();
    let told = receiver.messages(2);
    assert_eq!(told[1].body["type"], "review.ended");
    assert_eq!(told[1].body["data"]["review"], review);
    assert_ne!(told[0].id, told[1].id);
    states(&arena, "oncall", &[("review.waiting", "delivered"), ("review.ended", "delivered")]);
    // Two looks later.
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(receiver.came.lock().unwrap().len(), 2, "{told:?}");
    assert!(!told.iter().any(|one| one.text.contains(LITERAL)), "{told:?}");
    assert_eq!(others.came.lock().unwrap().len(), 0, "it is nothing of theirs");
    let _ = second.socket().shutdown(std::net::Shutdown::Both);
    let _ = second.until(b'Z');
    // Who was told what is for administrators.
    assert_eq!(notifications(&arena, "claude").0, 403);
    assert_eq!(notifications(&arena, "ana").0, 403);
    let listed = arena.portcullis(&["notifications", "--as", "bo"]).unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains(&review) && listed.contains("delivered"), "{listed}");
}

/// Objects whose names are literals of the request, and names that somebody chose.
/// What whoever asks claims: for the page alone.
const CLAIM: &str = "INC-7 of carol@example.org";

/// Claude asks for access; the id of the request.
fn asks(arena: &Arena, reason: &str) -> String {
    let bearer = format!("Bearer {}", arena.token("claude").unwrap());
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let wanted = json!({ "connection": "shop", "seconds": 600, "reason": reason }).to_string();
    let answer = http(arena.http, "POST /api/v1/grants", &headers, &wanted).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn grants(arena: &Arena, arguments: &[&str]) {
    let output = arena.portcullis(&[&["grants", "--as", "bo"], arguments].concat()).unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn requests_for_access_are_told_to_whom_they_ask_when_they_ask_them() {
    let (receiver, seconds) = (Receiver::start(&[500]), Receiver::start(&[]));
    let others = Receiver::start(&[]);
    let (mut setup, secret) = setup(&[
        ("oncall", receiver.address, "groups = [\"dba\"]"),
        ("leads", seconds.address, "groups = [\"leads\"]"),
        ("finance", others.address, "groups = [\"finance\"]"),
    ]);
    setup.connection += "access = { approvers = \"dba\", escalate_to = \"leads\", \
                         escalate_after = \"20s\", wait = \"5m\" }\n";
    let arena = Arena::start_with(&setup, &[("webhook.secret", &secret)]).unwrap();
    // Decided before the second group is asked: that one is told nothing.
    let first = asks(&arena, CLAIM);
    let told = receiver.messages(1).remove(0);
    let data = &told.body["data"];
    assert_eq!(told.body["type"], "access_request.waiting");
    assert_eq!((&data["grant"], &data["status"]), (&first.as_str().into(), &"pending".into()));
    assert_eq!((&data["connection"], &data["seconds"]), (&"shop".into(), &600.into()));
    assert_eq!((&data["groups"], &data["escalates"]["to"]), (&json!(["dba"]), &"leads".into()));
    assert_eq!(data["caller"]["acting_for"], "ana");
    assert_eq!(data["url"], format!("http://{}/access#{first}", arena.http));
    assert_eq!(receiver.messages(2)[1].id, told.id, "it was not taken, and is sent again");
    grants(&arena, &["approve", &first]);
    let over = receiver.messages(3).remove(2);
    assert_eq!(over.body["type"], "access_request.ended");
    assert_eq!(over.body["data"]["status"], "active");
    assert_eq!(over.body["data"]["grant"], first);
    grants(&arena, &["end", &first, "--reason", "done"]);
    // Not decided: the second group is told when it is asked, and both that it is over.
    let second = asks(&arena, "INC-8");
    let told = seconds.messages(1).remove(0);
    assert_eq!(told.body["data"]["grant"], second);
    assert_eq!(told.body["data"]["waiting_for"], json!(["dba", "leads"]));
    assert_eq!(receiver.messages(4)[3].body["data"]["waiting_for"], json!(["dba"]));
    let reject = ["reject", &second, "--reason", "not now"];
    grants(&arena, &reject);
    assert_eq!(receiver.messages(5)[4].body["data"]["status"], "rejected");
    assert_eq!(seconds.messages(2)[1].body["data"]["status"], "rejected");
    let both = [("access_request.waiting", "delivered"), ("access_request.ended", "delivered")];
    states(&arena, "oncall", &[both, both].concat());
    let rows = states(&arena, "leads", &both);
    assert_eq!((&rows[0]["grant"], &rows[0]["review"]), (&second.into(), &Value::Null));
    states(&arena, "finance", &[]);
    let listed = arena.portcullis(&["notifications", "--as", "bo"]).unwrap();
    assert!(String::from_utf8(listed.stdout).unwrap().contains(&first), "of which request");
    let came = [receiver.messages(5), seconds.messages(2)].concat();
    assert!(came.iter().all(|one| !one.text.contains("INC-") && !one.text.contains("carol")));
    assert!(others.came.lock().unwrap().is_empty());
}

#[test]
fn no_literal_and_nothing_invisible_is_told() {
    const RULES: &str = r#"
@id("asked") @review("dba") @reason("somebody hears it")
forbid (principal, action == Action::"control", resource is Channel)
unless { context.approvals.contains("dba") };
@id("asked-too") @review("dba") @reason("it is chosen")
forbid (principal, action == Action::"delete", resource is Relation)
unless { context.approvals.contains("dba") };
"#;
    let receiver = Receiver::start(&[]);
    let (mut setup, secret) = setup(&[("oncall", receiver.address, "")]);
    setup.policy = "[policy]\npacks = [\"allow-all\"]\nfiles = [\"own.cedar\"]\n".to_owned();
    setup.definitions = "CREATE TABLE \"a\u{202e}\n<https://evil|ok>\" (id int)";
    let files = [("webhook.secret", secret.as_str()), ("own.cedar", RULES)];
    let arena = Arena::start_with(&setup, &files).unwrap();
    let mut clients = Vec::new();
    for (place, sql) in [
        format!("SELECT pg_notify('{LITERAL}', '{LITERAL}')"),
        "DELETE FROM \"a\u{202e}\n<https://evil|ok>\" WHERE id = 1".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = arena.client("claude").unwrap();
        client.ask(&sql).unwrap();
        client.held().unwrap();
        clients.push(client);
        let told = receiver.messages(place + 1).remove(place);
        assert!(!told.text.contains(LITERAL), "{}", told.text);
        let does = told.body["data"]["does"].as_str().unwrap();
        assert!(!does.is_empty() && !does.contains(['\u{202e}', '\n']), "{does}");
    }
}

#[test]
fn one_caller_does_not_flood_people() {
    let receiver = Receiver::start(&[]);
    let arena = start(&[("oncall", receiver.address, "")]);
    let mut clients = Vec::new();
    for id in 0..22 {
        let mut client = arena.client("claude").unwrap();
        client.ask(&format!("DELETE FROM orders WHERE id = {id}")).unwrap();
        client.held().unwrap();
        clients.push(client);
    }
    let mut other = arena.client("deckard").unwrap();
    other.ask("DELETE FROM orders WHERE id = 100").unwrap();
    other.held().unwrap();
    let told = receiver.messages(21);
    let of = |name: &str| told.iter().filter(|m| m.body["data"]["caller"]["name"] == name).count();
    assert_eq!((of("claude"), of("deckard")), (20, 1));
    let rows = notifications(&arena, "bo").1;
    let kept: Vec<_> =
        rows.as_array().unwrap().iter().filter(|row| row["state"] == "failed").collect();
    assert_eq!(kept.len(), 2, "{rows}");
    assert!(kept.iter().all(|row| row["error"].as_str().unwrap().contains("too many")), "{rows}");
}

#[test]
fn what_was_not_taken_is_told_again_as_the_same_message() {
    let receiver = Receiver::start(&[500, 302]);
    let arena = start(&[("oncall", receiver.address, "")]);
    let (_client, review) = held(&arena);
    let told = receiver.messages(1);
    let rows = states(&arena, "oncall", &[("review.waiting", "due")]);
    assert_eq!(rows[0]["review"], review);
    assert_eq!(rows[0]["error"], "the server answered 500");
    let told = [told, receiver.messages(3)].concat();
    assert!(told.iter().all(|one| one.id == told[0].id && one.text == told[0].text), "{told:?}");
    let rows = states(&arena, "oncall", &[("review.waiting", "delivered")]);
    assert_eq!((&rows[0]["attempts"], &rows[0]["error"]), (&3.into(), &Value::Null));
}

#[test]
fn whoever_wants_nothing_more_is_asked_no_more_and_holds_go_on() {
    let receiver = Receiver::start(&[410]);
    // Nobody listens at the other.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let arena = start(&[("leaving", receiver.address, ""), ("nowhere", gone, "")]);
    let (mut client, review) = held(&arena);
    receiver.messages(1);
    states(&arena, "leaving", &[("review.waiting", "failed")]);
    let rows = states(&arena, "nowhere", &[("review.waiting", "due")]);
    decide(&arena, &review);
    client.until(b'Z').unwrap();
    // That it waited no longer needs to be told, nor to those who never heard of it that it is over.
    states(&arena, "nowhere", &[("review.waiting", "failed")]);
    assert!(rows[0]["attempts"].as_u64().unwrap() <= 2, "{rows}");
    // Two looks later.
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(receiver.came.lock().unwrap().len(), 1, "it wanted nothing more");
}

#[test]
fn a_restart_tells_what_was_left_and_nothing_twice() {
    let receiver = Receiver::start(&[204, 500]);
    let mut arena = start(&[("oncall", receiver.address, "")]);
    let (client, first) = held(&arena);
    receiver.messages(1);
    states(&arena, "oncall", &[("review.waiting", "delivered")]);
    arena.kill_gateway().unwrap();
    drop(client);
    arena.start_gateway().unwrap();
    // The review outlives the gateway, and is told of as over when it is.
    let rejected = arena
        .portcullis(&[
            "review",
            "--as",
            "bo",
            "reject",
            &first,
            "--reason",
            "the gateway has stopped",
        ])
        .unwrap();
    assert!(rejected.status.success(), "{rejected:?}");
    let told = receiver.messages(3);
    let kinds: Vec<&str> = told.iter().map(|one| one.body["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["review.waiting", "review.ended", "review.ended"]);
    assert_eq!(told[1].id, told[2].id);
    assert_eq!(told[2].body["data"]["status"], "rejected");
    states(&arena, "oncall", &[("review.waiting", "delivered"), ("review.ended", "delivered")]);
}

#[test]
fn a_webhook_that_cannot_be_signed_or_sent_safely_is_refused_at_load() {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    let arena = start(&[("oncall", nowhere, "")]);
    let config = std::fs::read_to_string(arena.config()).unwrap();
    let check = |text: String| {
        std::fs::write(arena.config(), text).unwrap();
        let output = arena.portcullis(&["config", "check"]).unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let said = check(config.replace("http://127.0.0.1:9/told", "http://hooks.example/told"));
    assert!(said.contains("notify.webhooks: \"oncall\": url must be https"), "{said}");
    let said = check(config.replace("secret_file = \"webhook.secret\"", ""));
    assert!(said.contains("set secret_file or secret_env"), "{said}");
    let said = check(config.replace("webhook.secret", "missing.secret"));
    assert!(said.contains("warning") && said.contains("missing.secret"), "{said}");
}

/// A real mail server (aiosmtpd), and what it has taken.
struct Mail {
    child: std::process::Child,
    port: u16,
    folder: tempfile::TempDir,
    came: Arc<Mutex<Vec<Value>>>,
}

impl Drop for Mail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Mail {
    /// `name` is the one its certificate is made out to; `None` where the server is not installed.
    fn start(mode: &str, name: &str) -> Option<Self> {
        let installed = std::env::var_os("PORTCULLIS_TOOLS").map(PathBuf::from);
        let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let root = above.find(|path| path.join("Cargo.lock").exists()).unwrap();
        let wanted = installed.is_some();
        let python = installed.unwrap_or_else(|| root.join(".dev")).join("smtp/bin/python");
        if !python.exists() {
            let why = "no test against a mail server: it is not installed";
            assert!(!wanted, "{why}: `./dev test` does");
            eprintln!("\n*** SKIPPED: {why} ***\n");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-nodes", "-days", "2", "-subj", "/CN=mail", "-addext"])
            .arg(format!("subjectAltName={name}"))
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
            .arg(file("key.pem"))
            .arg("-out")
            .arg(file("mail.pem"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let mut child = Command::new(python)
            .arg(root.join("tests/e2e/clients/smtp/server.py"))
            .args([mode.as_ref(), file("mail.pem").as_os_str(), file("key.pem").as_os_str()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let port = u16::try_from(ready["port"].as_u64().unwrap()).unwrap();
        let came = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&came);
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                kept.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Some(Self { child, port, folder, came })
    }

    fn arena(&self, tls: &str, password: &str, more: &str) -> Arena {
        self.start_on(tls, password, more, |_| {})
    }

    fn start_on(
        &self,
        tls: &str,
        password: &str,
        more: &str,
        change: impl FnOnce(&mut Setup),
    ) -> Arena {
        let (mut setup, _) = setup(&[]);
        change(&mut setup);
        setup.more += &format!(
            "[[notify.email]]\nname = \"mail\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"{tls}\"\n\
             from = \"Portcullis <portcullis@example.org>\"\n\
             to = [\"Déa Á <dba@example.org>\", \"ops@example.org\"]\n{more}",
            self.port
        );
        let authority = std::fs::read_to_string(self.folder.path().join("mail.pem")).unwrap();
        let files = [("mail.password", password), ("mail.pem", &authority)];
        Arena::start_with(&setup, &files).unwrap()
    }

    fn messages(&self, count: usize) -> Vec<Value> {
        let start = Instant::now();
        loop {
            let came = self.came.lock().unwrap().clone();
            if came.len() >= count {
                return came;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{} of {count}", came.len());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

const LOGIN: &str = "user = \"gateway\"\npassword_file = \"mail.password\"\n";
const CERTIFIED: &str = "certificate = \"mail.pem\"\n";
const OWN: &str = "IP:127.0.0.1";

/// The value of a header, unfolded.
fn header(message: &Value, name: &str) -> String {
    let text = message["text"].as_str().unwrap().replace("\r\n ", " ");
    let head = text.split("\r\n\r\n").next().unwrap();
    let mut values = head.lines().filter_map(|line| line.strip_prefix(&format!("{name}: ")));
    let value = values.next().unwrap_or_default().to_owned();
    assert_eq!(values.next(), None, "{name} is there twice: {text}");
    value
}

#[test]
fn people_are_told_by_mail_in_one_thread() {
    for (mode, tls) in [("starttls", "starttls"), ("implicit", "implicit")] {
        let Some(mail) = Mail::start(mode, OWN) else { return };
        let arena = mail.arena(tls, "let me in\n", &format!("{LOGIN}{CERTIFIED}"));
        let (mut client, review) = held(&arena);
        // Each by itself, and the same.
        let mut both = mail.messages(2);
        let (other, told) = (both.remove(1), both.remove(0));
        assert_eq!(told["authenticated"], true, "{told}");
        assert_eq!(told["to"], json!(["dba@example.org"]));
        assert_eq!(other["to"], json!(["ops@example.org"]));
        assert_eq!(header(&told, "Message-ID"), header(&other, "Message-ID"));
        assert_eq!(told["sender"], "portcullis@example.org");
        let text = told["text"].as_str().unwrap();
        assert!(text.contains(&format!("http://{}/reviews/{review}", arena.http)), "{text}");
        assert!(text.contains("public.orders") && text.contains("writes-need-review"), "{text}");
        decide(&arena, &review);
        client.until(b'Z').unwrap();
        let mut all = mail.messages(4);
        let both = [all.remove(0), all.remove(1)];
        assert_eq!(header(&both[0], "Auto-Submitted"), "auto-generated");
        assert_eq!(header(&both[1], "References"), header(&both[0], "Message-ID"));
        assert_eq!(header(&both[1], "In-Reply-To"), header(&both[0], "Message-ID"));
        assert_ne!(header(&both[1], "Message-ID"), header(&both[0], "Message-ID"));
        let subject = header(&both[0], "Subject");
        assert_eq!(header(&both[1], "Subject"), format!("Re: {subject}"));
        states(&arena, "mail", &[("review.waiting", "delivered"), ("review.ended", "delivered")]);
        assert!(both.iter().all(|one| !one["text"].as_str().unwrap().contains(LITERAL)));
    }
}

#[test]
fn requests_for_access_are_told_by_mail() {
    let Some(mail) = Mail::start("starttls", OWN) else { return };
    let arena = mail.start_on("starttls", "let me in\n", &format!("{LOGIN}{CERTIFIED}"), |setup| {
        setup.connection += "access = { approvers = \"dba\", quorum = 2 }\n";
    });
    let grant = asks(&arena, CLAIM);
    let told = mail.messages(2).remove(0);
    let text = told["text"].as_str().unwrap();
    assert_eq!(header(&told, "Subject"), "[shop] access is asked for: 10m as owner");
    assert!(text.contains(&format!("http://{}/access#{grant}", arena.http)), "{text}");
    assert!(text.contains("2 of dba") && text.contains("claude for ana"), "{text}");
    assert!(!text.contains("INC-7") && !text.contains("carol"), "{text}");
    // One has approved, and nobody else does: it is not over by that one.
    grants(&arena, &["approve", &grant]);
    let bearer = format!("Bearer {}", arena.token("claude").unwrap());
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let path = format!("POST /api/v1/grants/{grant}/end");
    assert_eq!(http(arena.http, &path, &headers, "{}").unwrap().status, 200);
    let over = mail.messages(4).remove(2);
    assert_eq!(header(&over, "References"), header(&told, "Message-ID"));
    let text = over["text"].as_str().unwrap();
    assert!(text.contains("It is over: withdrawn.\r\n"), "{text}");
}

#[test]
fn no_mail_goes_where_it_could_be_read_or_to_whom_it_is_not_for() {
    let cases = [
        ("starttls", "DNS:other.example", "let me in", "TLS with the mail server failed"),
        ("bare", OWN, "let me in", "does not offer what is set"),
        ("starttls", OWN, "wrong", "answered 535 to the log-in"),
    ];
    for (mode, name, password, why) in cases {
        let Some(mail) = Mail::start(mode, name) else { return };
        let arena = mail.arena("starttls", password, &format!("{LOGIN}{CERTIFIED}"));
        let (_client, _) = held(&arena);
        let start = Instant::now();
        loop {
            let rows = states(&arena, "mail", &[("review.waiting", "due")]);
            if rows[0]["error"].as_str().is_some_and(|error| error.contains(why)) {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{why}: {rows}");
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(mail.came.lock().unwrap().len(), 0, "{why}");
    }
    // The authorities of the system do not vouch for it.
    let Some(mail) = Mail::start("starttls", OWN) else { return };
    let arena = mail.arena("starttls", "let me in", LOGIN);
    let (_client, _) = held(&arena);
    states(&arena, "mail", &[("review.waiting", "due")]);
    std::thread::sleep(Duration::from_secs(6));
    let rows = states(&arena, "mail", &[("review.waiting", "due")]);
    assert!(rows[0]["error"].as_str().unwrap().contains("TLS"), "{rows}");
    assert_eq!(mail.came.lock().unwrap().len(), 0);
}

#[test]
fn mail_is_sent_again_where_it_may_be_taken_later_and_has_no_headers_of_others() {
    let Some(mail) = Mail::start("none", OWN) else { return };
    std::fs::write(mail.folder.path().join("refuse"), "451 later\n").unwrap();
    let (mut setup, _) = setup(&[]);
    setup.policy = "[policy]\npacks = [\"allow-all\"]\nfiles = [\"own.cedar\"]\n".to_owned();
    setup.definitions =
        "CREATE TABLE \"a\r\nBcc: <evil@example.org>\r\n\r\n\u{202e}https://evil\" (id int)".into();
    setup.more += &format!(
        "[[notify.email]]\nname = \"mail\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\n\
         from = \"portcullis@example.org\"\nto = [\"dba@example.org\"]\n",
        mail.port
    );
    let rules = "@id(\"asked\") @review(\"dba\") @reason(\"it is chosen\")\n\
                 forbid (principal, action == Action::\"delete\", resource is Relation)\n\
                 unless { context.approvals.contains(\"dba\") };\n";
    let arena = Arena::start_with(&setup, &[("own.cedar", rules)]).unwrap();
    let mut client = arena.client("claude").unwrap();
    let table = "\"a\r\nBcc: <evil@example.org>\r\n\r\n\u{202e}https://evil\"";
    client.ask(&format!("DELETE FROM {table} WHERE id = 1")).unwrap();
    client.held().unwrap();
    let told = mail.messages(1).remove(0);
    assert_eq!(told["to"], json!(["dba@example.org"]));
    assert_eq!(
        (header(&told, "Bcc"), header(&told, "To")),
        (String::new(), "dba@example.org".into())
    );
    assert!(!told["text"].as_str().unwrap().contains("https://evil"), "{told}");
    let rows = states(&arena, "mail", &[("review.waiting", "delivered")]);
    assert_eq!(rows[0]["attempts"], 2, "{rows}");
}

#[test]
fn a_mailing_that_cannot_be_safe_is_refused_at_load() {
    let Some(mail) = Mail::start("none", OWN) else { return };
    let arena = mail.arena("none", "let me in", LOGIN);
    let config = std::fs::read_to_string(arena.config()).unwrap();
    for (from, to, why) in [
        ("host = \"127.0.0.1\"", "host = \"mail.example\"", "tls = \"none\" is only for"),
        ("user = \"gateway\"", "", "a password wants a user"),
        ("password_file = \"mail.password\"", "", "user wants password_file"),
        ("\"ops@example.org\"", "\"ops\\r\\nBcc: x@example.org\"", "is no address"),
        ("name = \"mail\"", "name = \"\"", "name must be"),
    ] {
        std::fs::write(arena.config(), config.replace(from, to)).unwrap();
        let output = arena.portcullis(&["config", "check"]).unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(why), "{why}: {said}");
    }
}

/// A server that is asked too often says when it may be asked again.
#[test]
fn a_busy_server_is_given_the_time_it_asks_for() {
    let receiver = Receiver::start(&[429]);
    let arena = start(&[("oncall", receiver.address, "")]);
    let (_client, _) = held(&arena);
    receiver.messages(1);
    let rows = states(&arena, "oncall", &[("review.waiting", "due")]);
    assert_eq!(rows[0]["error"], "the server answered 429");
    // The receiver asks for 20 seconds; without it the next attempt would come after 5.
    std::thread::sleep(Duration::from_secs(10));
    assert_eq!(receiver.came.lock().unwrap().len(), 1);
    receiver.messages(2);
}
