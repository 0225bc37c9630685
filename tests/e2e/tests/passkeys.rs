//! Approving with a passkey, over plain HTTP, by a software authenticator: registering one, a statement that is
//! held until a passkey has signed exactly it, everything else that is refused, a grant, and what an auditor
//! finds afterwards.

#[path = "../../../crates/identity/tests/it/provider.rs"]
mod provider;

use portcullis_testkit::arena::{Arena, Setup};
use portcullis_testkit::authenticator::Authenticator;
use portcullis_testkit::browser;
use portcullis_testkit::raw::RawClient;
use portcullis_testkit::web::{Answer, Browser, http};
use provider::{Node, SECRET, installed, run};
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

const RULES: &str = r#"
@id("signed-off") @review("dba") @step_up("passkey") @reason("a DBA signs it off with a passkey")
forbid (principal, action == Action::"delete", resource is Relation)
unless { context.approvals.contains("dba") };
@id("looked-at") @review("dba") @reason("a DBA looks at it")
forbid (principal, action == Action::"update", resource is Relation)
unless { context.approvals.contains("dba") };
"#;

struct Stage {
    _corp: Node,
    arena: Arena,
}

/// `None` where the provider is not installed.
fn start() -> Option<Stage> {
    if !installed() {
        return None;
    }
    let (mut corp, said) = run(&["people.mjs", "{}"]);
    let issuer = said["issuer"].as_str().unwrap();
    let mut setup = Setup::allow_all();
    setup.policy = "[policy]\npacks = [\"allow-all\"]\nfiles = [\"passkeys.cedar\"]\n".to_owned();
    setup.more = format!(
        "[[identity.providers]]\nname = \"corp\"\nissuer = \"{issuer}\"\nkind_claim = \"kind\"\n\
         audiences = [\"portcullis\"]\n[identity.providers.sign_in]\nclient_id = \"gateway\"\n\
         client_secret_file = \"client.secret\"\nscopes = [\"openid\"]\n\
         [administration]\ngroups = [\"admins\"]\n\
         [connections.vault]\nenvironment = \"production\"\ngroups = [\"agents\"]\n\
         step_up = \"passkey\"\naccess = {{ approvers = \"dba\", longest = \"1h\" }}\n\
         target = {{ host = \"127.0.0.1\", port = {{port}}, database = \"shop\", user = \"owner\", \
         password_file = \"app.password\" }}\n"
    );
    let files = [("client.secret", SECRET), ("passkeys.cedar", RULES)];
    let arena = Arena::start_with(&setup, &files).unwrap();
    arena.server.sql("shop", "DROP TABLE IF EXISTS payments, order_items CASCADE").unwrap();
    corp.tell(&json!({ "gateway": format!("http://{}", arena.http) }));
    Some(Stage { _corp: corp, arena })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value}"))
}

fn refused(answer: &Answer, status: u16, why: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert!(answer.body.contains(why), "{why}: {}", answer.body);
}

impl Stage {
    fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.arena.http)
    }

    /// Somebody whose provider has just asked who it is.
    fn signed_in(&self, name: &str) -> Browser {
        self.signed_in_by("/auth/login?anew=true", name)
    }

    fn signed_in_by(&self, path: &str, name: &str) -> Browser {
        let mut browser = Browser::default();
        self.sign_in(&mut browser, path, name);
        browser
    }

    fn sign_in(&self, browser: &mut Browser, path: &str, name: &str) {
        let callback = self.at("/auth/callback");
        let came = browser.go(&self.at(path), name, |url| url.starts_with(&callback)).unwrap();
        let back = came.unwrap_or_else(|answer| panic!("{} {}", answer.status, answer.body));
        assert_eq!(browser.get(&back).unwrap().status, 303);
    }

    fn ask(&self, browser: &mut Browser, request: &str, body: &Value) -> Answer {
        let (method, path) = request.split_once(' ').unwrap();
        let origin = self.at("");
        let headers = [
            ("X-Portcullis", "1"),
            ("Origin", origin.as_str()),
            ("Content-Type", "application/json"),
        ];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let url = self.at(&format!("/api/v1{path}"));
        browser.send(method, &url, &headers, &body).unwrap()
    }

    fn done(&self, browser: &mut Browser, request: &str, body: &Value) -> Value {
        let answer = self.ask(browser, request, body);
        assert!(answer.status < 300, "{request}: {} {}", answer.status, answer.body);
        answer.json()
    }

    fn authenticator(&self) -> Authenticator {
        let origin = format!("http://localhost:{}", self.arena.http.port());
        Authenticator::new(&origin, "localhost").unwrap()
    }

    /// A passkey, registered by one that is there where there is one.
    fn registered(&self, browser: &mut Browser, by: Option<&Authenticator>) -> Authenticator {
        let new = self.authenticator();
        let asked = self.done(browser, "POST /passkeys/challenge", &Value::Null);
        let by = by.map(|by| by.sign(text(&asked["by"]["challenge"])).unwrap());
        let made = new.make(text(&asked["challenge"]));
        let body = json!({ "name": "laptop", "made": made, "by": by });
        self.done(browser, "POST /passkeys", &body);
        new
    }

    /// A request of claude's that is held, and its review.
    fn held(&self, sql: &str) -> (RawClient, String) {
        let mut client = self.arena.client("claude").unwrap();
        client.ask(sql).unwrap();
        let (review, _) = client.held().unwrap();
        (client, review)
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

    fn rows(&self, sql: &str) -> String {
        self.arena.truth(sql).unwrap()
    }
}

fn finished(client: &mut RawClient, tag: &str) {
    let messages = client.until(b'Z').unwrap();
    let said: Vec<String> = messages.iter().map(|message| message.shown()).collect();
    assert!(said.iter().any(|line| line.contains(tag)), "{said:?}");
}

#[test]
fn people_register_passkeys_and_nobody_else_does() {
    let Some(stage) = start() else { return };
    let mut rex = stage.signed_in("rex.dba");
    let first = stage.registered(&mut rex, None);
    // A second takes the first, signed for this.
    let asked = stage.done(&mut rex, "POST /passkeys/challenge", &Value::Null);
    assert_eq!(asked["exclude"].as_array().unwrap().len(), 1);
    let new = stage.authenticator();
    let add = |made: &Value, by: Option<Value>| json!({ "name": "phone", "made": made, "by": by });
    let made = new.make(text(&asked["challenge"]));
    refused(&stage.ask(&mut rex, "POST /passkeys", &add(&made, None)), 403, "takes a passkey");
    let by_new = new.sign(text(&asked["by"]["challenge"])).unwrap();
    refused(
        &stage.ask(&mut rex, "POST /passkeys", &add(&made, Some(by_new))),
        403,
        "none of your passkeys",
    );
    let second = stage.registered(&mut rex, Some(&first));
    // Another page's, without verification, another challenge.
    for (change, why) in [
        ((|a| a.flags = 1) as fn(&mut Authenticator), "did not verify"),
        (|a| a.origin = "https://evil.example".to_owned(), "another origin"),
        (|a| a.rp_id = "evil.example".to_owned(), "another name"),
        (|a| a.cross_origin = true, "another site"),
    ] {
        let mut bad = stage.authenticator();
        change(&mut bad);
        let asked = stage.done(&mut rex, "POST /passkeys/challenge", &Value::Null);
        let by = second.sign(text(&asked["by"]["challenge"])).unwrap();
        let body = add(&bad.make(text(&asked["challenge"])), Some(by));
        refused(&stage.ask(&mut rex, "POST /passkeys", &body), 403, why);
    }
    // A name that cannot be seen; and a credential that somebody has.
    let mut pia = stage.signed_in("pia");
    let asked = stage.done(&mut pia, "POST /passkeys/challenge", &Value::Null);
    let body = json!({ "name": "a\u{202e}b", "made": first.make(text(&asked["challenge"])) });
    refused(&stage.ask(&mut pia, "POST /passkeys", &body), 422, "1 to 60 characters");
    let body = json!({ "name": "mine", "made": first.make(text(&asked["challenge"])) });
    refused(&stage.ask(&mut pia, "POST /passkeys", &body), 409, "registered already");
    // No token registers one: neither an agent's nor a person's.
    for (name, why) in [("claude", "only people"), ("bo", "registered in a browser")] {
        let token = format!("Bearer {}", stage.arena.token(name).unwrap());
        let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
        for path in ["/api/v1/passkeys/challenge", "/api/v1/passkeys"] {
            let answer = http(stage.arena.http, &format!("POST {path}"), &headers, "{}").unwrap();
            refused(&answer, 403, why);
        }
    }
    // They are removed by an administrator, and not by whoever has one's session; others see none.
    let all = stage.done(&mut rex, "GET /passkeys", &Value::Null);
    assert_eq!(all.as_array().unwrap().len(), 2, "{all}");
    assert!(!all.to_string().contains("public_key"), "{all}");
    let [one, other] = [0, 1].map(|n| format!("DELETE /passkeys/{}", text(&all[n]["id"])));
    refused(&stage.ask(&mut pia, &one, &Value::Null), 404, "no such passkey");
    refused(&stage.ask(&mut rex, &one, &Value::Null), 403, "by another administrator");
    let mut mia = stage.signed_in("mia.admins");
    stage.done(&mut mia, &one, &Value::Null);
    stage.done(&mut mia, &other, &Value::Null);
    assert_eq!(stage.done(&mut rex, "GET /passkeys", &Value::Null), json!([]));
    let removed = stage.entries("passkey_removed");
    assert_eq!(removed.len(), 2, "{removed:?}");
    assert!(removed.iter().all(|one| one["by"]["subject"] == "mia.admins"), "{removed:?}");
    assert_eq!(stage.entries("passkey_registered").len(), 2);
    assert!(stage.entries("passkey_refused").len() >= 7);
    // The first again, by the rule for first ones: that sign-in has vouched for one.
    let again = stage.ask(&mut rex, "POST /passkeys/challenge", &Value::Null);
    refused(&again, 403, "/auth/login?anew=true");
    let mut rex = stage.signed_in("rex.dba");
    stage.registered(&mut rex, None);
}

/// Whoever has a cookie of a session registers no first passkey: that takes who can sign in.
#[test]
fn a_first_passkey_takes_a_sign_in_that_was_asked_for_it() {
    let Some(stage) = start() else { return };
    let mut rex = stage.signed_in_by("/auth/login", "rex.dba");
    let ask = |browser: &mut Browser| stage.ask(browser, "POST /passkeys/challenge", &Value::Null);
    refused(&ask(&mut rex), 403, "your first passkey takes a sign-in");
    let made = stage.authenticator().make(&"A".repeat(43));
    let body = json!({ "name": "x", "made": made });
    assert!(stage.ask(&mut rex, "POST /passkeys", &body).status >= 400);
    // What a provider was not made to ask anew is no such sign-in: somebody took that out on the way.
    std::thread::sleep(Duration::from_secs(12));
    let stripped = rex.get(&stage.at("/auth/login?anew=true")).unwrap();
    let stripped = stripped.location().replace("&prompt=login&max_age=0", "&max_age=999");
    let callback = stage.at("/auth/callback");
    let back = rex.go(&stripped, "rex.dba", |url| url.starts_with(&callback)).unwrap();
    let back = back.unwrap_or_else(|answer| panic!("{} {}", answer.status, answer.body));
    let answer = rex.get(&back).unwrap();
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(answer.body.contains("an earlier sign-in (`auth_time`"), "{}", answer.body);
    refused(&ask(&mut rex), 403, "your first passkey takes a sign-in");
    // The real one, by the provider that session has.
    stage.sign_in(&mut rex, "/auth/login?anew=true", "rex.dba");
    stage.registered(&mut rex, None);
}

#[test]
fn a_held_statement_runs_once_a_passkey_has_signed_it() {
    let Some(stage) = start() else { return };
    let mut rex = stage.signed_in("rex.dba");
    let mut zoe = stage.signed_in("zoe.dba");
    let (mut key, zoes) = (stage.registered(&mut rex, None), stage.registered(&mut zoe, None));
    let (mut client, review) = stage.held("DELETE FROM orders WHERE id = 1");
    let (_other, another) = stage.held("DELETE FROM orders WHERE id = 2");
    let approve = format!("POST /reviews/{review}/approve");
    let challenge = format!("POST /reviews/{review}/challenge");
    let shown = stage.done(&mut rex, &format!("GET /reviews/{review}"), &Value::Null);
    assert_eq!(shown["ask"]["step_up"], "passkey");
    // No passkey: by cookie, by token, on the command line.
    let none = stage.ask(&mut rex, &approve, &Value::Null);
    refused(&none, 403, "takes a passkey");
    refused(&none, 403, &format!("/reviews/{review}"));
    let token = format!("Bearer {}", stage.arena.token("bo").unwrap());
    let bare = http(
        stage.arena.http,
        &format!("POST /api/v1/reviews/{review}/approve"),
        &[("Authorization", &token)],
        "",
    );
    refused(&bare.unwrap(), 403, "takes a passkey");
    // What is signed with one thing wrong.
    let asked = |browser: &mut Browser, of: &Value| {
        stage.done(browser, &challenge, of)["challenge"].as_str().unwrap().to_owned()
    };
    let say = |signed: Value| json!({ "passkey": signed });
    let nothing = json!({});
    for (change, why) in [
        ((|a| a.flags = 1) as fn(&mut Authenticator), "did not verify"),
        (|a| a.flags = 4, "nobody was present"),
        (|a| a.origin = "http://localhost:1".to_owned(), "another origin"),
        (|a| a.rp_id = "127.0.0.1".to_owned(), "another name"),
        (|a| a.kind = Some("webauthn.create"), "another ceremony"),
        (|a| a.cross_origin = true, "another site"),
    ] {
        let good = (key.origin.clone(), key.rp_id.clone());
        change(&mut key);
        let signed = key.sign(&asked(&mut rex, &nothing)).unwrap();
        refused(&stage.ask(&mut rex, &approve, &say(signed)), 403, why);
        (key.origin, key.rp_id) = good;
        (key.flags, key.kind, key.cross_origin) = (5, None, false);
    }
    // Another review's, a pattern's, somebody else's, one's own by another's passkey, of nothing asked,
    // of a registration.
    let of_other =
        stage.done(&mut rex, &format!("POST /reviews/{another}/challenge"), &Value::Null);
    let signed = key.sign(text(&of_other["challenge"])).unwrap();
    refused(&stage.ask(&mut rex, &approve, &say(signed)), 409, "not what there is to decide");
    let pattern = json!({ "pattern": { "seconds": 60, "count": 2 } });
    let of_pattern = key.sign(&asked(&mut rex, &pattern)).unwrap();
    refused(&stage.ask(&mut rex, &approve, &say(of_pattern.clone())), 409, "not what there is");
    let longer = json!({ "pattern": { "seconds": 61, "count": 2 }, "passkey": of_pattern });
    refused(&stage.ask(&mut rex, &approve, &longer), 409, "not what there is");
    let of_zoe = zoes.sign(&asked(&mut zoe, &nothing)).unwrap();
    refused(&stage.ask(&mut rex, &approve, &say(of_zoe)), 409, "not what there is");
    let by_zoe = zoes.sign(&asked(&mut rex, &nothing)).unwrap();
    refused(&stage.ask(&mut rex, &approve, &say(by_zoe)), 403, "none of your passkeys");
    let made_up = key.sign(&"A".repeat(43)).unwrap();
    refused(&stage.ask(&mut rex, &approve, &say(made_up)), 409, "not what there is");
    let registering = stage.done(&mut rex, "POST /passkeys/challenge", &Value::Null);
    let of_registration = key.sign(text(&registering["by"]["challenge"])).unwrap();
    refused(&stage.ask(&mut rex, &approve, &say(of_registration)), 409, "not what there is");
    let mut elsewhere = stage.signed_in("rex.dba");
    let in_another_browser = key.sign(&asked(&mut elsewhere, &nothing)).unwrap();
    refused(&stage.ask(&mut rex, &approve, &say(in_another_browser)), 409, "not what there is");
    let mut edited = key.sign(&asked(&mut rex, &nothing)).unwrap();
    edited["signature"] = of_other["challenge"].clone();
    refused(&stage.ask(&mut rex, &approve, &say(edited)), 403, "signature is not right");
    let row = stage.done(&mut rex, &format!("GET /reviews/{review}"), &Value::Null);
    assert_eq!((&row["status"], &row["decisions"]), (&json!("pending"), &json!([])), "{row}");
    assert_eq!(stage.rows("SELECT count(*) FROM orders WHERE id = 1"), "1");
    assert!(stage.entries("decided").is_empty());
    assert!(stage.entries("decision_refused").len() >= 16);
    // The right one, once.
    key.sign_count = 5;
    let right = key.sign(&asked(&mut rex, &nothing)).unwrap();
    let row = stage.done(&mut rex, &approve, &say(right.clone()));
    assert_ne!(row["status"], "pending");
    finished(&mut client, "DELETE 1");
    assert_eq!(stage.rows("SELECT count(*) FROM orders WHERE id = 1"), "0");
    refused(&stage.ask(&mut rex, &approve, &say(right)), 409, "");
    // A counter that has not gone up is a copy.
    let (mut next, third) = stage.held("DELETE FROM orders WHERE id = 3");
    let (approve, challenge) =
        (format!("POST /reviews/{third}/approve"), format!("POST /reviews/{third}/challenge"));
    let again = stage.done(&mut rex, &challenge, &Value::Null);
    let copied = key.sign(text(&again["challenge"])).unwrap();
    refused(&stage.ask(&mut rex, &approve, &say(copied)), 403, "counter has not gone up");
    key.sign_count = 6;
    let again = stage.done(&mut rex, &challenge, &pattern);
    let mut of_pattern = pattern.clone();
    of_pattern["passkey"] = key.sign(text(&again["challenge"])).unwrap();
    stage.done(&mut rex, &approve, &of_pattern);
    finished(&mut next, "DELETE 1");
    // Rejecting takes none, and neither does what another rule holds.
    let reject = format!("POST /reviews/{another}/reject");
    stage.done(&mut zoe, &reject, &json!({ "reason": "not this one" }));
    let (mut plain, review) = stage.held("UPDATE orders SET status = 'x' WHERE id = 4");
    stage.done(&mut zoe, &format!("POST /reviews/{review}/approve"), &Value::Null);
    finished(&mut plain, "UPDATE 1");
    audited(&stage, 2);
}

/// What an auditor finds: all signatures right; and a journal in which one was written otherwise, by whoever
/// has its keys, is told apart.
fn audited(stage: &Stage, proofs: u64) {
    let verify = || stage.arena.portcullis(&["audit", "verify", "--json"]).unwrap();
    let output = verify();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(report["passkeys"], proofs, "{report}");
    let decided = stage.entries("decided");
    let proven = decided.iter().filter(|entry| entry["passkey"]["signature"].is_string()).count();
    assert_eq!(proven as u64, proofs);
}

#[test]
fn access_is_granted_with_a_passkey_where_its_connection_asks_for_one() {
    let Some(stage) = start() else { return };
    let mut rex = stage.signed_in("rex.dba");
    let key = stage.registered(&mut rex, None);
    let token = format!("Bearer {}", stage.arena.token("claude").unwrap());
    let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
    let body = json!({ "connection": "vault", "seconds": 60, "reason": "to look" }).to_string();
    let asked = http(stage.arena.http, "POST /api/v1/grants", &headers, &body).unwrap().json();
    assert_eq!(asked["ask"]["approvers"]["step_up"], "passkey", "{asked}");
    let grant = text(&asked["id"]);
    let approve = format!("POST /grants/{grant}/approve");
    refused(&stage.ask(&mut rex, &approve, &Value::Null), 403, "takes a passkey");
    let challenge = format!("POST /grants/{grant}/challenge");
    let of = stage.done(&mut rex, &challenge, &Value::Null);
    let mut bad = key.sign(text(&of["challenge"])).unwrap();
    bad["authenticator_data"] = bad["client_data"].clone();
    assert!(stage.ask(&mut rex, &approve, &json!({ "passkey": bad })).status >= 400);
    let signed = key.sign(text(&of["challenge"])).unwrap();
    let row = stage.done(&mut rex, &approve, &json!({ "passkey": signed }));
    assert_eq!(row["status"], "active", "{row}");
    let decided = stage.entries("access_decided");
    assert_eq!(decided.len(), 1);
    assert!(decided[0]["passkey"]["signature"].is_string(), "{decided:?}");
    let output = stage.arena.portcullis(&["audit", "verify"]).unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains("passkeys: 1 signatures"), "{said}");
}

/// `tests/console/passkeys.mjs` says what is tried.
#[test]
fn a_real_browser_approves_with_a_passkey() {
    let Some(stage) = start() else { return };
    let rex = stage.signed_in("rex.dba");
    let cookie = rex.cookie(&stage.arena.http.to_string(), "portcullis").unwrap();
    let at = format!("http://localhost:{}", stage.arena.http.port());
    let more = [("URL", at), ("COOKIE", cookie.to_owned())];
    browser::run(&stage.arena, "passkeys.mjs", &more).unwrap();
    audited(&stage, 1);
}

/// A terminal says where it is done, and waits for it.
#[test]
fn a_terminal_sends_to_the_page_and_waits() {
    let Some(stage) = start() else { return };
    let (mut client, review) = stage.held("DELETE FROM orders WHERE id = 21");
    let run = |more: &[&str]| {
        let token = stage.arena.token("bo").unwrap();
        let arguments = ["review", "--token", &token, "approve", &review];
        stage.arena.portcullis(&[&arguments[..], more].concat()).unwrap()
    };
    let sent = run(&["--no-wait"]);
    let said = String::from_utf8(sent.stderr).unwrap();
    let page = format!("http://localhost:{}/reviews/{review}", stage.arena.http.port());
    assert_eq!(sent.status.code(), Some(1), "{said}");
    assert!(said.contains(&page), "{said}");
    let mut rex = stage.signed_in("rex.dba");
    let key = stage.registered(&mut rex, None);
    std::thread::scope(|threads| {
        let waits = threads.spawn(|| run(&["--json"]));
        std::thread::sleep(std::time::Duration::from_millis(1500));
        assert!(!waits.is_finished());
        let of = stage.done(&mut rex, &format!("POST /reviews/{review}/challenge"), &Value::Null);
        let signed = json!({ "passkey": key.sign(text(&of["challenge"])).unwrap() });
        stage.done(&mut rex, &format!("POST /reviews/{review}/approve"), &signed);
        let waited = waits.join().unwrap();
        let row: Value = serde_json::from_slice(&waited.stdout).unwrap_or_default();
        assert!(waited.status.success(), "{}", String::from_utf8_lossy(&waited.stderr));
        assert_eq!(row["id"], json!(review), "{row}");
    });
    finished(&mut client, "DELETE 1");
    // Access alike.
    let token = format!("Bearer {}", stage.arena.token("claude").unwrap());
    let headers = [("Content-Type", "application/json"), ("Authorization", token.as_str())];
    let body = json!({ "connection": "vault", "seconds": 600, "reason": "x" }).to_string();
    let asked = http(stage.arena.http, "POST /api/v1/grants", &headers, &body).unwrap().json();
    let grant = text(&asked["id"]);
    let run = |more: &[&str]| {
        let token = stage.arena.token("bo").unwrap();
        let arguments = ["grants", "--token", &token, "approve", grant];
        stage.arena.portcullis(&[&arguments[..], more].concat()).unwrap()
    };
    let sent = run(&["--no-wait"]);
    let said = String::from_utf8(sent.stderr).unwrap();
    let page = format!("http://localhost:{}/access", stage.arena.http.port());
    assert_eq!(sent.status.code(), Some(1), "{said}");
    assert!(said.contains(&page), "{said}");
    std::thread::scope(|threads| {
        let waits = threads.spawn(|| run(&["--json"]));
        std::thread::sleep(Duration::from_millis(1500));
        assert!(!waits.is_finished());
        let of = stage.done(&mut rex, &format!("POST /grants/{grant}/challenge"), &Value::Null);
        let signed = json!({ "passkey": key.sign(text(&of["challenge"])).unwrap() });
        stage.done(&mut rex, &format!("POST /grants/{grant}/approve"), &signed);
        let waited = waits.join().unwrap();
        assert!(waited.status.success(), "{}", String::from_utf8_lossy(&waited.stderr));
        let row: Value = serde_json::from_slice(&waited.stdout).unwrap_or_default();
        assert_eq!(row["id"], json!(grant), "{row}");
    });
}

/// Where there is no other administrator, whoever has the gateway's machine removes passkeys, and the record has it.
#[test]
fn whoever_has_the_store_removes_passkeys_past_the_gateway() {
    let Some(mut stage) = start() else { return };
    let mut mia = stage.signed_in("mia.admins");
    stage.registered(&mut mia, None);
    let run = |stage: &Stage, more: &[&str]| {
        let output =
            stage.arena.portcullis(&[&["passkeys", "remove", "--of"], more].concat()).unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let (code, said) = run(&stage, &["nobody"]);
    assert!(code == Some(2) && said.contains("there is no such passkey"), "{said}");
    let (code, said) = run(&stage, &["mia.admins", "--issuer", "https://elsewhere.example"]);
    assert!(code == Some(2) && said.contains("there is no such passkey"), "{said}");
    let (code, said) = run(&stage, &["mia.admins"]);
    assert!(
        code == Some(0) && said.contains("is removed") && said.contains("mia.admins"),
        "{said}"
    );
    assert_eq!(stage.done(&mut mia, "GET /passkeys", &Value::Null), json!([]));
    // A gateway that starts has it in its record, and once.
    stage.arena.stop_gateway();
    stage.arena.start_gateway().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while stage.entries("passkey_removed").is_empty() {
        assert!(Instant::now() < until, "the removal is not in the record");
        std::thread::sleep(Duration::from_millis(100));
    }
    stage.arena.stop_gateway();
    stage.arena.start_gateway().unwrap();
    stage.arena.stop_gateway();
    let removed = stage.entries("passkey_removed");
    assert_eq!(removed.len(), 1, "{removed:?}");
    assert_eq!(removed[0]["of"], "mia.admins");
    assert!(text(&removed[0]["by"]["subject"]).contains("with the gateway's store"), "{removed:?}");
}

/// Browsers have no passkeys at an address.
#[test]
fn a_gateway_without_a_name_says_that_nobody_can_approve_with_a_passkey() {
    let Some(stage) = start() else { return };
    let told = stage.arena.portcullis(&["config", "check"]).unwrap();
    let told = String::from_utf8(told.stderr).unwrap();
    for part in ["listen.http.public_url: approving by", "rule \"signed-off\"", "connections.vault"]
    {
        assert!(told.contains(part), "{told}");
    }
    assert!(!told.contains("looked-at"), "{told}");
    let log = fs::read_to_string(stage.arena.log_file()).unwrap();
    assert!(log.contains("listen.http.public_url: approving by"));
    let file = stage.arena.config();
    let text = fs::read_to_string(&file).unwrap();
    let named =
        text.replacen("[listen.http]\n", "[listen.http]\npublic_url = \"http://localhost:1\"\n", 1);
    fs::write(&file, named).unwrap();
    let told = stage.arena.portcullis(&["config", "check"]).unwrap();
    assert!(!String::from_utf8(told.stderr).unwrap().contains("approving by"));
}
