//! Deciding in Slack: what a channel is shown, who decides there, and everything that is refused. Slack is a
//! stand-in on loopback; what it sends is signed by Slack's own library, and what it is sent is read by it.
//! People sign in at a real provider.

#[path = "../../../crates/identity/tests/it/provider.rs"]
mod provider;

use portcullis_testkit::arena::{Arena, Setup};
use portcullis_testkit::raw::RawClient;
use portcullis_testkit::web::{Answer, Browser, form, http};
use provider::{Node, SECRET, installed, run};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const RULES: &str = r#"
@id("looked-at") @review("dba") @reason("a DBA looks at it")
forbid (principal, action == Action::"update", resource is Relation)
unless { context.approvals.contains("dba") };
@id("signed-off") @review("dba") @step_up("passkey") @reason("a DBA signs it off with a passkey")
forbid (principal, action == Action::"delete", resource is Relation)
unless { context.approvals.contains("dba") };
@id("twice") @review("dba") @reason("it is gone then")
forbid (principal, action == Action::"truncate", resource is Relation)
unless { context.approvals.contains("dba") };
"#;

/// claude acts for one who could decide, if it were not for that.
const CALLERS: &str = r#"people = [
  { name = "bo", groups = ["developers", "dba"] },
  { name = "ana.dba", groups = ["developers"] },
]
agents = [{ name = "claude", acting_for = "ana.dba", groups = ["agents"] }]"#;

const SIGNING: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const TEAM: &str = "T0TEAM";
const CHANNEL: &str = "C0DBA";
const PATIENCE: Duration = Duration::from_secs(60);

/// What Slack was called with: the method, and the body.
type Calls = Arc<Mutex<Vec<(String, Value)>>>;

/// Stands in for Slack.
struct Slack {
    address: SocketAddr,
    calls: Calls,
}

impl Slack {
    /// `refuse` are answered to the first calls of `chat.postMessage`, in place of what it does.
    fn start(refuse: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, calls) = (listener.local_addr().unwrap(), Calls::default());
        let (kept, mut refuse) = (calls.clone(), refuse.to_vec().into_iter());
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
                assert_eq!(header("authorization"), "Bearer xoxb-the-bot");
                let method = lines[0].strip_prefix("POST /api/").unwrap();
                let method = method.split(' ').next().unwrap().to_owned();
                let body: Value = serde_json::from_slice(&body).unwrap();
                let refused = (method == "chat.postMessage").then(|| refuse.next()).flatten();
                let (head, said) = match refused {
                    Some("429") => ("429 Busy\r\nRetry-After: 1", json!({ "ok": false })),
                    Some(error) => ("200 OK", json!({ "ok": false, "error": error })),
                    None => {
                        ("200 OK", json!({ "ok": true, "channel": CHANNEL, "ts": "17.000100" }))
                    }
                };
                kept.lock().unwrap().push((method, body));
                let said = said.to_string();
                let close = format!("Connection: close\r\nContent-Length: {}\r\n\r\n", said.len());
                let _ = write!(reader.get_mut(), "HTTP/1.1 {head}\r\n{close}{said}");
            }
        });
        Self { address, calls }
    }

    fn of(&self, method: &str) -> Vec<Value> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|(known, _)| known == method).map(|(_, body)| body.clone()).collect()
    }

    /// Waits for that many calls of a method, and gives the last.
    fn called(&self, method: &str, count: usize) -> Value {
        let start = Instant::now();
        loop {
            let all = self.of(method);
            if all.len() >= count {
                return all[count - 1].clone();
            }
            let calls = self.calls.lock().unwrap().clone();
            assert!(start.elapsed() < PATIENCE, "{method}: {} of {count}: {calls:?}", all.len());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Slack's own library; `None` where it is not installed.
fn library() -> Option<(PathBuf, PathBuf)> {
    let installed = std::env::var_os("PORTCULLIS_TOOLS").map(PathBuf::from);
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let root = above.find(|path| path.join("Cargo.lock").exists()).unwrap();
    let wanted = installed.is_some();
    let python = installed.unwrap_or_else(|| root.join(".dev")).join("slack/bin/python");
    if !python.exists() {
        let why = "no test of deciding in Slack: slack_sdk is not installed";
        assert!(!wanted, "{why}: `./dev test` does");
        eprintln!("\n*** SKIPPED: {why} ***\n");
        return None;
    }
    Some((python, root.join("tests/e2e/clients/slack/slack.py")))
}

fn asked(arguments: &[&str], input: &str) -> String {
    let (python, script) = library().unwrap();
    let mut child = Command::new(python)
        .arg(script)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {input}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

struct Stage {
    _corp: Node,
    arena: Arena,
    slack: Slack,
}

fn start(refuse: &[&'static str], more: &str) -> Option<Stage> {
    start_on(refuse, more, "")
}

/// `connection` is what stands in that besides.
fn start_on(refuse: &[&'static str], more: &str, connection: &str) -> Option<Stage> {
    library()?;
    if !installed() {
        return None;
    }
    let slack = Slack::start(refuse);
    let (mut corp, said) = run(&["people.mjs", "{}"]);
    let issuer = said["issuer"].as_str().unwrap();
    let mut setup = Setup::allow_all();
    setup.policy = "[policy]\npacks = [\"allow-all\"]\nfiles = [\"slack.cedar\"]\n".to_owned();
    setup.callers = CALLERS;
    // With the usual detectors.
    setup.connection = connection.to_owned();
    setup.more = format!(
        "[[identity.providers]]\nname = \"corp\"\nissuer = \"{issuer}\"\nkind_claim = \"kind\"\n\
         audiences = [\"portcullis\"]\n[identity.providers.sign_in]\nclient_id = \"gateway\"\n\
         client_secret_file = \"client.secret\"\nscopes = [\"openid\"]\n\
         [administration]\ngroups = [\"dba\"]\n\
         [[notify.slack]]\nname = \"dba\"\nteam = \"{TEAM}\"\nchannel = \"{CHANNEL}\"\n\
         api = \"http://{}/api\"\ntoken_file = \"bot.token\"\n{more}",
        slack.address
    );
    if more.is_empty() {
        setup.more += "signing_secret_file = \"signing.secret\"\n";
        for (user, subject) in
            [("U0REX", "rex.dba"), ("U0ANA", "ana.dba"), ("U0PIA", "pia"), ("U0ZOE", "zoe.dba")]
        {
            setup.more += &format!(
                "[[notify.slack.people]]\nuser = \"{user}\"\nissuer = \"{issuer}\"\n\
                 subject = \"{subject}\"\n"
            );
        }
    }
    let files = [
        ("client.secret", SECRET),
        ("slack.cedar", RULES),
        ("bot.token", "xoxb-the-bot\n"),
        ("signing.secret", "8f742231b10e8888abcd99yyyzzz85a5\n"),
    ];
    let arena = Arena::start_with(&setup, &files).unwrap();
    arena.server.sql("shop", "ANALYZE").unwrap();
    corp.tell(&json!({ "gateway": format!("http://{}", arena.http) }));
    Some(Stage { _corp: corp, arena, slack })
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A click on a button, as Slack sends it: no two are the same.
fn click(action: &str, value: &str, user: &str) -> Value {
    static CLICKS: AtomicU32 = AtomicU32::new(100_000);
    let at = format!("1548426417.{}", CLICKS.fetch_add(1, Ordering::Relaxed));
    json!({
        "type": "block_actions",
        "team": { "id": TEAM, "domain": "acme" },
        "user": { "id": user, "username": "x", "team_id": TEAM },
        "api_app_id": "A1", "token": "old", "container": { "type": "message" },
        "channel": { "id": CHANNEL, "name": "dba" },
        "trigger_id": "13345224609.738474920.8088930838d88f008e0",
        "response_url": "https://evil.example/response",
        "actions": [{ "type": "button", "action_id": action, "block_id": "decide",
            "value": value, "action_ts": at }],
    })
}

impl Stage {
    fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.arena.http)
    }

    fn signed_in(&self, name: &str) -> Browser {
        let mut browser = Browser::default();
        let callback = self.at("/auth/callback");
        let came =
            browser.go(&self.at("/auth/login"), name, |url| url.starts_with(&callback)).unwrap();
        let back = came.unwrap_or_else(|answer| panic!("{} {}", answer.status, answer.body));
        assert_eq!(browser.get(&back).unwrap().status, 303);
        browser
    }

    fn held(&self, sql: &str) -> (RawClient, String) {
        let mut client = self.arena.client("claude").unwrap();
        client.ask(sql).unwrap();
        let (review, _) = client.held().unwrap();
        (client, review)
    }

    fn send(&self, body: &str, at: u64, signature: &str) -> Answer {
        let at = at.to_string();
        let headers = [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("X-Slack-Request-Timestamp", at.as_str()),
            ("X-Slack-Signature", signature),
        ];
        http(self.arena.http, "POST /api/v1/slack/interactions", &headers, body).unwrap()
    }

    /// Sends as Slack does.
    fn sends(&self, payload: &Value) -> Answer {
        let (body, at) = (form(&[("payload", &payload.to_string())]), seconds());
        self.send(&body, at, &asked(&["sign", SIGNING, &at.to_string()], &body))
    }

    fn entries(&self, event: &str) -> Vec<Value> {
        let files = fs::read_dir(self.arena.data().join("journal")).unwrap();
        let texts = files.filter_map(|file| fs::read_to_string(file.unwrap().path()).ok());
        let text: String = texts.collect();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line.split('\t').next()?).ok());
        lines.map(|line| line["entry"].clone()).filter(|entry| entry["event"] == event).collect()
    }

    /// Waits until that many refusals are recorded, and gives the last.
    fn recorded(&self, event: &str, count: usize) -> Value {
        let start = Instant::now();
        loop {
            let all = self.entries(event);
            if all.len() >= count {
                return all[count - 1].clone();
            }
            assert!(start.elapsed() < PATIENCE, "{event}: {} of {count}: {all:?}", all.len());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn review(&self, review: &str) -> Value {
        let output = self.arena.portcullis(&["review", "--as", "bo", "show", review, "--json"]);
        serde_json::from_slice(&output.unwrap().stdout).unwrap()
    }
}

fn value_of(message: &Value, action: &str) -> String {
    let blocks = message["blocks"].as_array().unwrap();
    let actions = blocks.iter().find(|block| block["type"] == "actions");
    let elements = actions.unwrap_or_else(|| panic!("no buttons: {message}"))["elements"].clone();
    let mut elements = elements.as_array().unwrap().clone().into_iter();
    let button = elements.find(|element| element["action_id"] == action).unwrap();
    button["value"].as_str().unwrap().to_owned()
}

fn finished(client: &mut RawClient, tag: &str) {
    let messages = client.until(b'Z').unwrap();
    let said: Vec<String> = messages.iter().map(|message| message.shown()).collect();
    assert!(said.iter().any(|line| line.contains(tag)), "{said:?}");
}

#[test]
fn who_is_signed_in_decides_in_the_channel() {
    let Some(stage) = start(&["429"], "") else { return };
    let _rex = stage.signed_in("rex.dba");
    let sql = "UPDATE orders SET status = '<!channel> *seen*' WHERE id = 1";
    let (mut client, review) = stage.held(sql);
    // The first attempt was too much for it.
    let message = stage.slack.called("chat.postMessage", 2);
    assert_eq!(message["channel"], CHANNEL);
    assert_eq!(asked(&["blocks"], &message.to_string()), "[\"rich_text\", \"actions\"]");
    let shown = message["blocks"][0].to_string();
    assert!(shown.contains(sql), "{shown}");
    assert!(shown.contains(&stage.at(&format!("/reviews/{review}"))), "{shown}");
    assert!(shown.contains("claude for ana.dba") && shown.contains("looked-at"), "{shown}");
    assert!(!message["text"].as_str().unwrap().contains(['<', '*']), "{message}");
    let value = value_of(&message, "approve");
    let answer = stage.sends(&click("approve", &value, "U0REX"));
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    finished(&mut client, "UPDATE 1");
    let over = stage.slack.called("chat.update", 1);
    assert_eq!((&over["channel"], &over["ts"]), (&CHANNEL.into(), &"17.000100".into()));
    assert_eq!(asked(&["blocks"], &over.to_string()), "[\"rich_text\"]");
    assert!(!over.to_string().contains("*seen*"), "{over}");
    let decided = stage.recorded("decided", 1);
    assert_eq!(
        (&decided["by"]["subject"], &decided["decision"]),
        (&"rex.dba".into(), &"approved".into())
    );
    assert_eq!(decided["via"], "slack:T0TEAM/U0REX");
    assert_eq!(stage.entries("chat_refused").len(), 0);
    // A second click comes too late, and its user is told so.
    assert_eq!(stage.sends(&click("approve", &value, "U0REX")).status, 200);
    let told = stage.slack.called("chat.postEphemeral", 1);
    assert_eq!((&told["user"], &told["channel"]), (&"U0REX".into(), &CHANNEL.into()));
    assert!(told.to_string().contains("Nothing was decided"), "{told}");
}

#[test]
fn who_rejects_is_asked_why() {
    let Some(stage) = start(&[], "") else { return };
    let _rex = stage.signed_in("rex.dba");
    let (mut client, review) = stage.held("UPDATE orders SET status = 'x' WHERE id = 2");
    let value = value_of(&stage.slack.called("chat.postMessage", 1), "reject");
    assert_eq!(stage.sends(&click("reject", &value, "U0REX")).status, 200);
    let opened = stage.slack.called("views.open", 1);
    assert_eq!(opened["trigger_id"], "13345224609.738474920.8088930838d88f008e0");
    let about = opened["view"]["private_metadata"].clone();
    assert_eq!(stage.review(&review)["status"], "pending");
    let submit = |user: &str, reason: &str| {
        json!({
            "type": "view_submission",
            "team": { "id": TEAM }, "user": { "id": user, "team_id": TEAM },
            "view": { "callback_id": "reject", "private_metadata": about, "state": { "values":
                { "reason": { "reason": { "type": "plain_text_input", "value": reason } } } } },
        })
    };
    // Who may not is told so in the form.
    let answer = stage.sends(&submit("U0PIA", "no"));
    assert_eq!(answer.json()["response_action"], "errors", "{}", answer.body);
    let answer = stage.sends(&submit("U0REX", " "));
    assert!(answer.body.contains("say why"), "{}", answer.body);
    assert_eq!(stage.review(&review)["status"], "pending");
    assert_eq!(stage.sends(&submit("U0REX", "not on a Friday")).body, "");
    finished(&mut client, "not on a Friday");
    assert_eq!(stage.recorded("decided", 1)["decision"], "rejected");
}

/// Clicks on one review that decide nothing.
struct Refusals<'s> {
    stage: &'s Stage,
    review: String,
    count: usize,
    /// A click of rex's.
    good: Value,
}

impl Refusals<'_> {
    fn body(&self) -> String {
        form(&[("payload", &self.good.to_string())])
    }

    fn change(&self, pointer: &str, to: &str) -> Value {
        let mut other = self.good.clone();
        *other.pointer_mut(pointer).unwrap() = to.into();
        other
    }

    /// It was answered so, and is recorded with its reason.
    fn refused(&mut self, answer: &Answer, status: u16, event: &str, why: &str) {
        assert_eq!(answer.status, status, "{why}: {}", answer.body);
        self.count += 1;
        let stage = self.stage;
        let all = || stage.entries("chat_refused").len() + stage.entries("decision_refused").len();
        let start = Instant::now();
        while all() < self.count && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(all(), self.count, "{why}");
        let last = stage.entries(event).pop().unwrap();
        assert!(last["why"].as_str().unwrap().contains(why), "{why}: {last}");
        assert_eq!(stage.review(&self.review)["status"], "pending", "{why}");
    }
}

fn sign(at: u64, body: &str) -> String {
    asked(&["sign", SIGNING, &at.to_string()], body)
}

fn forged(click: &mut Refusals<'_>) {
    let (stage, body, now) = (click.stage, click.body(), seconds());
    let other = asked(&["sign", "another-secret-of-another-app", &now.to_string()], &body);
    click.refused(&stage.send(&body, now, &other), 403, "chat_refused", "not that of an app");
    let theirs = sign(now, &body.replace("U0REX", "U0ANA"));
    click.refused(&stage.send(&body, now, &theirs), 403, "chat_refused", "not that of an app");
    click.refused(&stage.send(&body, now, "v1=00"), 403, "chat_refused", "cannot be read");
    let bare = http(stage.arena.http, "POST /api/v1/slack/interactions", &[], &body).unwrap();
    click.refused(&bare, 403, "chat_refused", "not signed by Slack");
    for at in [now - 400, now + 400] {
        let answer = stage.send(&body, at, &sign(at, &body));
        click.refused(&answer, 403, "chat_refused", "more than 5 minutes off");
    }
}

fn of_others(click: &mut Refusals<'_>, digest: &str) {
    for (pointer, to, status, event, why) in [
        ("/team/id", "T0OTHER", 403, "chat_refused", "another workspace"),
        ("/user/team_id", "T0OTHER", 403, "chat_refused", "another workspace"),
        ("/channel/id", "C0OTHER", 403, "chat_refused", "a channel that is told nothing"),
        ("/actions/0/value", "x", 403, "chat_refused", "about no review"),
        ("/user/id", "U0EVE", 200, "chat_refused", "nobody the gateway knows"),
        ("/user/id", "U0ZOE", 200, "chat_refused", "sign in at the console"),
        ("/user/id", "U0ANA", 200, "decision_refused", "on your behalf"),
        ("/user/id", "U0PIA", 200, "chat_refused", "no such review for you"),
        ("/actions/0/value", digest, 200, "chat_refused", "not about what was shown"),
    ] {
        let answer = click.stage.sends(&click.change(pointer, to));
        click.refused(&answer, status, event, why);
    }
}

#[test]
fn what_nobody_may_decide_is_refused_each_for_its_reason() {
    let Some(stage) = start(&[], "") else { return };
    let mut rex = stage.signed_in("rex.dba");
    let _others = ["ana.dba", "pia"].map(|name| stage.signed_in(name));
    let (_client, review) = stage.held("UPDATE orders SET status = 'x' WHERE id = 3");
    let value = value_of(&stage.slack.called("chat.postMessage", 1), "approve");
    let good = click("approve", &value, "U0REX");
    let mut click = Refusals { stage: &stage, review, count: 0, good };
    forged(&mut click);
    let (id, digest) = value.split_once(':').unwrap();
    let digest: String = digest.chars().rev().collect();
    of_others(&mut click, &format!("{id}:{digest}"));
    // Who has signed out.
    let origin = stage.at("");
    let headers = [("X-Portcullis", "1"), ("Origin", origin.as_str())];
    let out = rex.send("POST", &stage.at("/auth/logout"), &headers, "").unwrap();
    assert!(out.status < 400, "{} {}", out.status, out.body);
    let (body, at) = (click.body(), seconds());
    let signature = sign(at, &body);
    let answer = stage.send(&body, at, &signature);
    click.refused(&answer, 200, "chat_refused", "sign in at the console");
    // That again, when it would be good.
    let _rex = stage.signed_in("rex.dba");
    let answer = stage.send(&body, at, &signature);
    click.refused(&answer, 403, "chat_refused", "it is a replay");
    assert_eq!(stage.entries("decided").len(), 0);
    let log = fs::read_to_string(stage.arena.log_file()).unwrap();
    assert!(!log.contains(SIGNING) && !log.contains("the-bot"));
}

#[test]
fn what_is_long_or_heavy_is_decided_on_its_page() {
    let Some(stage) = start(&[], "") else { return };
    let _rex = stage.signed_in("rex.dba");
    let long = format!("UPDATE orders SET status = '{}' WHERE id = 4", "x".repeat(3_000));
    let mut clients = Vec::new();
    for (at, sql) in [
        long.as_str(),
        "UPDATE orders SET status = 'everybody'",
        "TRUNCATE orders, order_items, payments",
        "DELETE FROM orders WHERE id = 5",
        "UPDATE orders SET status = '4111 1111 1111 1111' WHERE id = 4",
    ]
    .into_iter()
    .enumerate()
    {
        let (client, review) = stage.held(sql);
        clients.push(client);
        let message = stage.slack.called("chat.postMessage", at + 1);
        assert_eq!(asked(&["blocks"], &message.to_string()), "[\"rich_text\"]", "{sql}");
        let text = message.to_string();
        assert!(text.contains(&format!("/reviews/{review}")), "{text}");
        assert!(!text.contains("xxx") && !text.contains("everybody"), "{text}");
        // A button that was made up decides nothing either.
        let digest = stage.review(&review)["ask"]["digest"].as_str().unwrap().to_owned();
        let value = format!("{review}:{digest}");
        assert_eq!(stage.sends(&click("approve", &value, "U0REX")).status, 200);
        let told = stage.slack.called("chat.postEphemeral", at + 1);
        assert!(told.to_string().contains("Nothing was decided"), "{told}");
        assert_eq!(stage.review(&review)["status"], "pending", "{sql}");
    }
}

#[test]
fn without_a_signing_secret_a_channel_is_only_told() {
    let Some(stage) = start(&["not_in_channel"], "groups = [\"dba\"]\n") else { return };
    let (_client, _) = stage.held("UPDATE orders SET status = 'told' WHERE id = 6");
    let message = stage.slack.called("chat.postMessage", 2);
    assert_eq!(asked(&["blocks"], &message.to_string()), "[\"rich_text\"]");
    assert!(!message.to_string().contains("'told'"), "{message}");
    let answer = stage.sends(&click("approve", "x", "U0REX"));
    assert_eq!(answer.status, 404, "{}", answer.body);
}

#[test]
fn access_is_told_in_a_channel_and_given_on_its_page() {
    let Some(stage) = start_on(&[], "", "access = { approvers = \"dba\" }\n") else { return };
    let bearer = format!("Bearer {}", stage.arena.token("claude").unwrap());
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let wanted = json!({ "connection": "shop", "seconds": 600, "reason": "<!here> INC-7" });
    let answer =
        http(stage.arena.http, "POST /api/v1/grants", &headers, &wanted.to_string()).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
    let grant = answer.json()["id"].as_str().unwrap().to_owned();
    let message = stage.slack.called("chat.postMessage", 1);
    // People decide in this channel, and not on this.
    assert_eq!(asked(&["blocks"], &message.to_string()), "[\"rich_text\"]");
    let shown = message.to_string();
    assert!(shown.contains(&stage.at(&format!("/access#{grant}"))), "{shown}");
    assert!(shown.contains("claude for ana.dba") && shown.contains("10m"), "{shown}");
    assert!(!shown.contains("INC-7"), "{shown}");
    // Nor by a button that somebody makes.
    let _rex = stage.signed_in("rex.dba");
    let value = format!("{grant}:{}", "0".repeat(64));
    assert_eq!(stage.sends(&click("approve", &value, "U0REX")).status, 403);
    stage.recorded("chat_refused", 1);
    let bo = ["grants", "--as", "bo", "reject", &grant, "--reason", "not now"];
    assert!(stage.arena.portcullis(&bo).unwrap().status.success());
    let over = stage.slack.called("chat.update", 1);
    assert_eq!(over["ts"], "17.000100");
    assert!(over.to_string().contains("rejected by bo"), "{over}");
}
