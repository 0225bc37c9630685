//! A gateway with callers of every role, and something of each kind that its routes are about.

use crate::provider::{Node, SECRET, installed, run};
use crate::routes::Route;
use portcullis_testkit::arena::{Arena, Setup};
use portcullis_testkit::authenticator::Authenticator;
use portcullis_testkit::raw::RawClient;
use portcullis_testkit::web::{Answer, Browser, form, http};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const RULES: &str = r#"
@id("signed-off") @review("dba") @reason("a DBA signs it off")
forbid (principal, action == Action::"delete", resource is Relation)
unless { context.approvals.contains("dba") };
"#;

/// Agents and a workload have all the groups there are: it is not for want of them that they get nothing.
const CALLERS: &str = r#"people = [
  { name = "ana", groups = ["developers"] },
  { name = "bo", groups = ["developers", "dba"] },
  { name = "cy", groups = ["developers"] },
  { name = "ada", groups = ["admins"] },
  { name = "max", groups = ["developers", "dba", "admins"] },
]
agents = [
  { name = "claude", acting_for = "ana", groups = ["agents", "dba", "admins"] },
  { name = "deckard", acting_for = "bo", groups = ["agents", "dba", "admins"] },
  { name = "roy", groups = ["agents", "dba", "admins"] },
]
workloads = [{ name = "cron", groups = ["agents", "dba", "admins"] }]"#;

/// How somebody comes.
pub(crate) enum Way {
    /// With this header, or none.
    Token(Option<String>),
    /// With the cookie of a browser, and these headers.
    Cookie(Browser, Vec<(&'static str, String)>),
}

/// Somebody who calls.
pub(crate) struct Caller {
    pub(crate) role: &'static str,
    pub(crate) way: Way,
}

/// What a route is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Review,
    Pattern,
    Session,
    /// A session that nobody ends.
    Running,
    /// One that is paused.
    Paused,
    /// What is recorded of a session.
    Recording,
    Freeze,
    Grant,
    Credential,
    BrowserSession,
    Passkey,
    Document,
    /// Nothing that could be there before.
    Nothing,
}

/// What a route is about, by its path.
pub(crate) fn kind(route: &Route) -> Kind {
    let below = route.path.strip_prefix("/api/v1/").unwrap_or_default();
    match (below.split('/').next().unwrap_or_default(), route.method) {
        ("reviews" | "events", _) => Kind::Review,
        ("patterns", _) => Kind::Pattern,
        ("sessions", _) if below.ends_with("/watch") || below.ends_with("/pause") => Kind::Running,
        ("sessions", _) if below.ends_with("/resume") => Kind::Paused,
        ("sessions", _) => Kind::Session,
        ("recordings", _) => Kind::Recording,
        ("freezes", "GET" | "DELETE") => Kind::Freeze,
        ("grants", method) if (method, route.path) != ("POST", "/api/v1/grants") => Kind::Grant,
        ("credentials", _) if below != "credentials/keys" => Kind::Credential,
        ("browser-sessions", _) => Kind::BrowserSession,
        ("passkeys", "GET" | "DELETE") => Kind::Passkey,
        ("documents", "GET" | "DELETE" | "PUT") => Kind::Document,
        _ => Kind::Nothing,
    }
}

/// A body that the route takes.
pub(crate) fn body(route: &Route) -> &'static str {
    match (route.method, route.path) {
        (_, "/api/v1/reviews/{id}/reject" | "/api/v1/grants/{id}/reject") => r#"{"reason":"no"}"#,
        (_, "/api/v1/reviews/{id}/messages") => r#"{"text":"why now?"}"#,
        (_, "/api/v1/grants/{id}/end") => r#"{"reason":"over"}"#,
        ("POST", "/api/v1/grants") => r#"{"connection":"vault","seconds":600,"reason":"to look"}"#,
        (_, "/api/v1/sessions/{id}/pause") => r#"{"seconds":600,"reason":"look"}"#,
        (_, "/api/v1/sessions/{id}/kill") => r#"{"reason":"over"}"#,
        (_, "/api/v1/sessions/kill") => r#"{"connection":"spare","reason":"over"}"#,
        ("POST", "/api/v1/freezes") => {
            r#"{"scope":"writes","connection":"spare","seconds":60,"reason":"still"}"#
        }
        ("POST", "/auth/saml/finish") => "ticket=x",
        (_, "/api/v1/documents/rejudge") => r#"{"documents":[],"seconds":60}"#,
        (_, "/api/v1/explain") => r#"{"connection":"shop","statement":"SELECT 1"}"#,
        (_, "/api/v1/documents/plan") => r#"{"documents":[],"prune":true}"#,
        // The row before has made one, so that is where they are.
        (_, "/api/v1/documents/apply") => r#"{"documents":[],"revision":1}"#,
        ("PUT", _) => r#"{"text":"// nothing, again"}"#,
        ("POST", _) => "{}",
        _ => "",
    }
}

pub(crate) struct Stage {
    _corp: Node,
    pub(crate) arena: Arena,
    /// Sessions that hold what there is.
    clients: Vec<RawClient>,
    /// What is deleted next.
    next: u32,
}

/// `None` where the provider is not installed.
pub(crate) fn start() -> Option<Stage> {
    if !installed() {
        return None;
    }
    let (mut corp, said) = run(&["people.mjs", "{}"]);
    let issuer = said["issuer"].as_str().unwrap();
    let mut setup = Setup::allow_all();
    setup.policy = "[policy]\npacks = [\"allow-all\"]\nfiles = [\"api.cedar\"]\n".to_owned();
    setup.callers = CALLERS;
    setup.databases = &["spare"];
    setup.more = format!(
        "[[identity.providers]]\nname = \"corp\"\nissuer = \"{issuer}\"\nkind_claim = \"kind\"\n\
         audiences = [\"portcullis\"]\n[identity.providers.sign_in]\nclient_id = \"gateway\"\n\
         client_secret_file = \"client.secret\"\nscopes = [\"openid\"]\n\
         [administration]\ngroups = [\"admins\"]\n\
         [sign_in]\nper_minute_and_address = 10000\nper_minute = 10000\n\
         [connections.vault]\nenvironment = \"test\"\ngroups = [\"agents\", \"developers\"]\n\
         access = {{ approvers = \"dba\", quorum = 1, longest = \"1h\" }}\n\
         target = {{ host = \"127.0.0.1\", port = {{port}}, database = \"shop\", user = \"owner\", \
         password_file = \"app.password\" }}\n"
    );
    let files = [("client.secret", SECRET), ("api.cedar", RULES)];
    let arena = Arena::start_with(&setup, &files).unwrap();
    arena.server.sql("shop", "DROP TABLE IF EXISTS payments, order_items CASCADE").unwrap();
    corp.tell(&json!({ "gateway": format!("http://{}", arena.http) }));
    Some(Stage { _corp: corp, arena, clients: Vec::new(), next: 0 })
}

impl Stage {
    pub(crate) fn bearer(&self, name: &str) -> String {
        format!("Bearer {}", self.arena.token(name).unwrap())
    }

    fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.arena.http)
    }

    /// Somebody whose provider has just asked who it is: a first passkey wants that.
    pub(crate) fn signed_in(&self, name: &str) -> Browser {
        let mut browser = Browser::default();
        let callback = self.at("/auth/callback");
        let came = browser
            .go(&self.at("/auth/login?anew=true"), name, |url| url.starts_with(&callback))
            .unwrap();
        let back = came.unwrap_or_else(|answer| panic!("{} {}", answer.status, answer.body));
        assert_eq!(browser.get(&back).unwrap().status, 303);
        browser
    }

    /// Asks as somebody of the development provider, and must be answered well.
    pub(crate) fn asks(&self, name: &str, request: &str, body: &str) -> Value {
        let headers =
            [("Authorization", self.bearer(name)), ("Content-Type", "application/json".to_owned())];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let answer = http(self.arena.http, request, &headers, body).unwrap();
        assert!(answer.status < 300, "{request} as {name}: {} {}", answer.status, answer.body);
        answer.json()
    }

    /// A credential of the gateway's own: claude's for ana.
    fn credential(&self) -> Value {
        let kind = "urn:ietf:params:oauth:token-type:access_token";
        let asked = form(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", &self.arena.token("claude").unwrap()),
            ("subject_token_type", kind),
            ("audience", "shop"),
            ("purpose", "the grid"),
        ]);
        let kind = [("Content-Type", "application/x-www-form-urlencoded")];
        let answer = http(self.arena.http, "POST /api/v1/token", &kind, &asked).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// Everybody who calls, with fewer rights first.
    pub(crate) fn callers(&self) -> Vec<Caller> {
        let token = |role, name| Caller { role, way: Way::Token(Some(self.bearer(name))) };
        let own = self.credential()["access_token"].as_str().unwrap().to_owned();
        // What an administrator's token says, under the signature of another.
        let (ada, cy) = (self.bearer("ada"), self.bearer("cy"));
        let (said, _) = ada.rsplit_once('.').unwrap();
        let forged = format!("{said}.{}", cy.rsplit_once('.').unwrap().1);
        let ours = ("X-Portcullis", "1".to_owned());
        let page = || vec![ours.clone(), ("Origin", self.at(""))];
        let everything = self.signed_in("max.dba.admins");
        let mut unknown = Browser::default();
        unknown.set_cookie(&self.arena.http.to_string(), "portcullis", &"A".repeat(43));
        let cookie = |role, browser, headers| Caller { role, way: Way::Cookie(browser, headers) };
        let elsewhere = vec![ours.clone(), ("Origin", "https://elsewhere.example".to_owned())];
        vec![
            Caller { role: "nobody", way: Way::Token(None) },
            Caller { role: "forged token", way: Way::Token(Some(forged)) },
            Caller { role: "credential", way: Way::Token(Some(format!("Bearer {own}"))) },
            token("workload", "cron"),
            token("agent for nobody", "roy"),
            token("other agent", "deckard"),
            token("agent", "claude"),
            token("other person", "cy"),
            cookie("unknown cookie", unknown, page()),
            cookie("all rights, no header", everything.clone(), vec![("Origin", self.at(""))]),
            cookie("all rights, other origin", everything, elsewhere),
            token("person", "ana"),
            token("reviewer", "bo"),
            token("administrator", "ada"),
            cookie("owner by cookie", self.signed_in("pia"), page()),
            cookie("reviewer by cookie", self.signed_in("rex.dba"), page()),
            cookie("administrator by cookie", self.signed_in("mia.admins"), page()),
        ]
    }

    /// What this caller is answered.
    pub(crate) fn ask(&self, caller: &Caller, method: &str, path: &str, body: &str) -> Answer {
        if (method, path) == ("POST", "/api/v1/passkeys") {
            return self.registers(caller);
        }
        self.send(caller, method, path, body)
    }

    /// What this caller is answered who registers a passkey, made for what it was asked where it was asked.
    fn registers(&self, caller: &Caller) -> Answer {
        let asked = self.send(caller, "POST", "/api/v1/passkeys/challenge", "").json();
        let challenge = asked["challenge"].as_str().unwrap_or("AAAA");
        let origin = format!("http://localhost:{}", self.arena.http.port());
        let made = Authenticator::new(&origin, "localhost").unwrap().make(challenge);
        let body = json!({ "name": "grid", "made": made }).to_string();
        self.send(caller, "POST", "/api/v1/passkeys", &body)
    }

    fn send(&self, caller: &Caller, method: &str, path: &str, body: &str) -> Answer {
        let kind = match body.starts_with('{') {
            true => "application/json",
            false => "application/x-www-form-urlencoded",
        };
        let sent = |mut headers: Vec<(&str, &str)>, cookie: Option<&Browser>| {
            headers.push(("Content-Type", kind));
            if path.starts_with("/api/v1/documents/") && method != "GET" {
                headers.push(("If-Match", "*"));
            }
            if path == "/api/v1/events" {
                return self.listen(path, "event: freezes", &headers, cookie);
            }
            if path.ends_with("/watch") {
                return self.listen(path, "event: item", &headers, cookie);
            }
            match cookie {
                Some(browser) => {
                    browser.clone().send(method, &self.at(path), &headers, body).unwrap()
                }
                None => http(self.arena.http, &format!("{method} {path}"), &headers, body).unwrap(),
            }
        };
        match &caller.way {
            Way::Token(None) => sent(vec![], None),
            Way::Token(Some(token)) => sent(vec![("Authorization", token)], None),
            Way::Cookie(browser, headers) => sent(
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect(),
                Some(browser),
            ),
        }
    }

    /// The beginning of the events of this caller, up to one of a kind.
    fn listen(
        &self,
        path: &str,
        until: &str,
        headers: &[(&str, &str)],
        browser: Option<&Browser>,
    ) -> Answer {
        let mut stream = TcpStream::connect(self.arena.http).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n", self.arena.http);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let at = self.arena.http.to_string();
        if let Some(cookie) = browser.and_then(|browser| browser.cookie(&at, "portcullis")) {
            head.push_str(&format!("Cookie: portcullis={cookie}\r\n"));
        }
        write!(stream, "{head}\r\n").unwrap();
        let (mut heard, mut piece) = (Vec::new(), [0; 16384]);
        loop {
            let count = stream.read(&mut piece).unwrap();
            heard.extend_from_slice(&piece[..count]);
            let text = String::from_utf8_lossy(&heard);
            let status: Option<u16> = text.split(' ').nth(1).and_then(|word| word.parse().ok());
            let told = text.contains(until);
            if count == 0
                || told
                || status.is_some_and(|status| status != 200) && text.contains("\r\n\r\n")
            {
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                let (head, body) = (head.to_owned(), body.to_owned());
                return Answer { status: status.unwrap(), head, body };
            }
        }
    }

    /// Something of this kind, by its id: claude's who acts for ana, or a browser session of pia's.
    pub(crate) fn make(&mut self, kind: Kind) -> String {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        match kind {
            Kind::Review => {
                self.next += 1;
                let mut client = self.arena.client("claude").unwrap();
                client.ask(&format!("DELETE FROM orders WHERE id = {}", self.next)).unwrap();
                let (review, _) = client.held().unwrap();
                self.clients.push(client);
                review
            }
            Kind::Pattern => {
                let review = self.make(Kind::Review);
                let terms = r#"{"pattern":{"seconds":600,"count":3}}"#;
                self.asks("bo", &format!("POST /api/v1/reviews/{review}/approve"), terms);
                let patterns = self.asks("bo", "GET /api/v1/patterns", "");
                let mut all = patterns.as_array().unwrap().iter();
                text(&all.find(|pattern| pattern["review"] == json!(review)).unwrap()["id"])
            }
            Kind::Session => {
                let token = self.arena.token("claude").unwrap();
                let client = RawClient::log_in(self.arena.postgres, "claude", "spare", &token);
                self.clients.push(client.unwrap());
                let sessions = self.asks("ada", "GET /api/v1/sessions", "");
                let mut all = sessions.as_array().unwrap().iter();
                text(&all.find(|s| s["connection"]["name"] == "spare").unwrap()["id"])
            }
            Kind::Running => self.make(Kind::Session),
            Kind::Paused => {
                let session = self.make(Kind::Session);
                let body = r#"{"seconds":600,"reason":"look"}"#;
                self.asks("ada", &format!("POST /api/v1/sessions/{session}/pause"), body);
                session
            }
            Kind::Recording => self.recording(),
            Kind::Freeze => {
                let body = r#"{"scope":"writes","connection":"spare","seconds":600,"reason":"x"}"#;
                text(&self.asks("ada", "POST /api/v1/freezes", body)["id"])
            }
            Kind::Grant => {
                self.next += 1;
                let wanted = json!({
                    "connection": "vault", "seconds": 600, "reason": format!("look {}", self.next),
                });
                text(&self.asks("claude", "POST /api/v1/grants", &wanted.to_string())["id"])
            }
            Kind::Credential => text(&self.credential()["credential"]["id"]),
            Kind::BrowserSession => {
                let mut browser = self.signed_in("pia");
                text(&browser.get(&self.at("/api/v1/me")).unwrap().json()["session"])
            }
            Kind::Passkey => {
                let all = self.asks("ada", "GET /api/v1/passkeys?all=true", "");
                for one in all.as_array().unwrap() {
                    let id = one["id"].as_str().unwrap();
                    self.asks("ada", &format!("DELETE /api/v1/passkeys/{id}"), "");
                }
                let pia = self.signed_in("pia");
                let ours = [("X-Portcullis", "1".to_owned()), ("Origin", self.at(""))];
                let way = Way::Cookie(pia, ours.to_vec());
                let owner = Caller { role: "owner by cookie", way };
                let made = self.ask(&owner, "POST", "/api/v1/passkeys", "{}");
                assert_eq!(made.status, 201, "{}", made.body);
                text(&made.json()["id"])
            }
            Kind::Document => {
                self.next += 1;
                let id = format!("policy.g{}", self.next);
                let body = r#"{"text":"// nothing"}"#;
                self.asks("ada", &format!("PUT /api/v1/documents/{id}"), body);
                id
            }
            Kind::Nothing => String::new(),
        }
    }

    /// A session of claude's with an answer in its recording.
    fn recording(&mut self) -> String {
        let mut client = self.arena.client("claude").unwrap();
        client.query("SELECT 'recorded'").unwrap();
        let all = self.asks("claude", "GET /api/v1/recordings?text=recorded&limit=1", "");
        let id = all[0]["id"].as_str().unwrap().to_owned();
        self.clients.push(client);
        // It is written behind the answer.
        let file = self.arena.data().join(format!("recordings/{id}.jsonl"));
        let deadline = Instant::now() + Duration::from_secs(10);
        while !file.exists() {
            assert!(Instant::now() < deadline, "nothing is recorded of {id}");
            std::thread::sleep(Duration::from_millis(20));
        }
        id
    }

    /// How it stands with something, for those who may see it: what no refusal changes.
    pub(crate) fn state(&self, kind: Kind, id: &str) -> Value {
        let of = |name: &str, path: &str| {
            let all = self.asks(name, &format!("GET /api/v1/{path}"), "");
            all.as_array().unwrap().iter().find(|one| one["id"] == *id).cloned().unwrap_or_default()
        };
        let found = match kind {
            Kind::Review => self.asks("bo", &format!("GET /api/v1/reviews/{id}"), ""),
            Kind::Pattern => of("bo", "patterns?all=true"),
            Kind::Session | Kind::Running | Kind::Paused => of("ada", "sessions"),
            Kind::Freeze => of("ada", "freezes?all=true"),
            Kind::Grant => self.asks("ada", &format!("GET /api/v1/grants/{id}"), ""),
            Kind::Credential => of("ana", "credentials?all=true"),
            Kind::BrowserSession => of("ada", "browser-sessions?all=true"),
            Kind::Passkey => of("ada", "passkeys?all=true"),
            Kind::Document => {
                let all = self.asks("ada", "GET /api/v1/documents", "");
                let mut all = all["documents"].as_array().unwrap().iter();
                all.find(|one| one["id"] == *id).cloned().unwrap_or_default()
            }
            Kind::Recording | Kind::Nothing => return Value::Null,
        };
        assert_eq!(found["id"], *id, "{kind:?} is not there: {found}");
        let said = [
            "status",
            "decisions",
            "ended",
            "ended_by",
            "revoked",
            "revoked_by",
            "thawed",
            "lifted",
            "until",
            "left",
            "revision",
            "paused",
        ];
        said.iter().map(|name| found[name].clone()).collect()
    }

    /// Waits until a session that was ended is gone.
    pub(crate) fn settle(&self, kind: Kind, id: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while kind == Kind::Session
            && self
                .asks("ada", "GET /api/v1/sessions", "")
                .as_array()
                .unwrap()
                .iter()
                .any(|s| s["id"] == *id)
        {
            assert!(Instant::now() < deadline, "{id} has not ended");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
