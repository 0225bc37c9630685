//! People sign in with real providers (`oidc-provider` from npm, its interactions driven over plain HTTP):
//! in a browser by authorization code, at a terminal by device code and by a redirect to loopback; what
//! they can do then, how it ends; and known attacks, each refused with its own reason.

#[path = "../../../crates/identity/tests/it/provider.rs"]
mod provider;

use portcullis_testkit::arena::{Arena, Setup, binary};
use portcullis_testkit::raw::RawClient;
use portcullis_testkit::web::{Answer, Browser, http};
use provider::{Node, SECRET, installed, run};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Two providers, a gateway that trusts both, and what stands between them.
struct Stage {
    corp: (Node, String),
    other: (Node, String),
    arena: Arena,
}

fn provider_of(settings: &Value) -> (Node, String) {
    let (node, said) = run(&["people.mjs", &settings.to_string()]);
    (node, said["issuer"].as_str().unwrap().to_owned())
}

/// `None` where the providers are not installed.
fn start(id_token_seconds: u32, more: &str) -> Option<Stage> {
    if !installed() {
        return None;
    }
    let mut corp = provider_of(&json!({ "idTokenSeconds": id_token_seconds }));
    let mut other = provider_of(&json!({ "groupsAtUserinfo": true }));
    let client = "kind_claim = \"kind\"\naudiences = [\"portcullis\"]\n\
        [identity.providers.sign_in]\nclient_id = \"gateway\"\ncli_client_id = \"terminal\"\n\
        client_secret_file = \"client.secret\"\nscopes = [\"openid\"]\n";
    let mut setup = Setup::agent_safe();
    setup.more = format!(
        "[[identity.providers]]\nname = \"corp\"\nissuer = \"{}\"\n{client}\
         [[identity.providers]]\nname = \"other\"\nissuer = \"{}\"\ngroups_from = \"userinfo\"\n\
         {client}[administration]\ngroups = [\"admins\"]\n{more}",
        corp.1, other.1
    );
    let arena = Arena::start_with(&setup, &[("client.secret", SECRET)]).unwrap();
    let gateway = json!({ "gateway": format!("http://{}", arena.http) });
    corp.0.tell(&gateway);
    other.0.tell(&gateway);
    Some(Stage { corp, other, arena })
}

impl Stage {
    fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.arena.http)
    }

    fn origin(&self) -> String {
        self.at("")
    }

    fn cookie<'b>(&self, browser: &'b Browser) -> Option<&'b str> {
        browser.cookie(&self.arena.http.to_string(), "portcullis")
    }

    /// The address at which a browser comes back, with the answer in it.
    fn answered(&self, browser: &mut Browser, url: &str, name: &str) -> String {
        let callback = self.at("/auth/callback");
        let came = browser.go(url, name, |url| url.starts_with(&callback)).unwrap();
        came.unwrap_or_else(|answer| panic!("{} {}", answer.status, answer.body))
    }

    /// Where the gateway sends a browser that wants to sign in.
    fn sent(&self, browser: &mut Browser, provider: &str) -> String {
        let url = self.at(&format!("/auth/login?provider={provider}&return_to=/api/v1/me"));
        let answer = browser.get(&url).unwrap();
        assert_eq!(answer.status, 303, "{}", answer.body);
        answer.location().to_owned()
    }

    /// Somebody who has signed in.
    fn signed_in(&self, provider: &str, name: &str) -> Browser {
        let mut browser = Browser::default();
        let url = self.sent(&mut browser, provider);
        let back = self.answered(&mut browser, &url, name);
        let answer = browser.get(&back).unwrap();
        assert_eq!((answer.status, answer.location()), (303, "/api/v1/me"), "{}", answer.body);
        browser
    }

    fn me(&self, browser: &mut Browser) -> Answer {
        browser.send("GET", &self.at("/api/v1/me"), &[], "").unwrap()
    }

    /// What a page of this origin sends.
    fn ask(&self, browser: &mut Browser, request: &str, body: &str) -> Answer {
        let (method, path) = request.split_once(' ').unwrap();
        let origin = self.origin();
        let headers = [("X-Portcullis", "1"), ("Origin", origin.as_str())];
        browser.send(method, &self.at(path), &headers, body).unwrap()
    }

    fn events(&self, event: &str) -> Vec<Value> {
        let files = std::fs::read_dir(self.arena.data().join("journal")).unwrap();
        let texts = files.filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok());
        let text: String = texts.collect();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line.split('\t').next()?).ok());
        lines.map(|line| line["entry"].clone()).filter(|entry| entry["event"] == event).collect()
    }
}

fn refused(answer: &Answer, status: u16, why: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert!(answer.body.contains(why), "{}", answer.body);
}

#[test]
fn people_sign_in_in_a_browser() {
    let Some(stage) = start(3600, "") else { return };
    let nobody = http(stage.arena.http, "GET /api/v1/me", &[], "").unwrap();
    refused(&nobody, 401, "sign in at /auth/login");
    assert_eq!(nobody.headers("content-type").next(), Some("application/problem+json"));
    let offered = http(stage.arena.http, "GET /auth/providers", &[], "").unwrap().json();
    assert_eq!((&offered[0]["name"], &offered[1]["name"]), (&json!("corp"), &json!("other")));

    let mut bea = stage.signed_in("corp", "bea.dba");
    let me = stage.me(&mut bea).json();
    assert_eq!((&me["name"], &me["kind"]), (&json!("bea"), &json!("person")));
    assert_eq!((&me["groups"], &me["rights"]), (&json!(["dba"]), &json!(["reviewer"])));
    assert_eq!((&me["issuer"], &me["subject"]), (&json!(stage.corp.1), &json!("bea.dba")));
    // Groups from userinfo, and rights from groups.
    let mut ada = stage.signed_in("other", "ada.admins");
    let me = stage.me(&mut ada).json();
    assert_eq!(me["groups"], json!(["admins"]));
    assert_eq!(me["rights"], json!(["reviewer", "administrator"]));

    // The session does what a bearer token does.
    let token = stage.arena.token("claude").unwrap();
    let mut agent = RawClient::log_in(stage.arena.postgres, "claude", "shop", &token).unwrap();
    agent.ask("DELETE FROM orders WHERE id = 1").unwrap();
    let (review, _) = agent.held().unwrap();
    let seen = stage.ask(&mut bea, "GET /api/v1/reviews", "").json();
    assert_eq!(seen[0]["id"], json!(review.to_string()));
    let approve = format!("POST /api/v1/reviews/{review}/approve");
    let decided = stage.ask(&mut bea, &approve, "");
    assert_eq!(decided.status, 200, "{}", decided.body);
    let by = json!({ "subject": "bea.dba", "issuer": stage.corp.1 });
    assert_eq!(stage.events("decided")[0]["by"], by);
    drop(agent);

    // Listed and ended: by its person, by an administrator, by nobody else.
    let of = |browser: &mut Browser, query: &str| {
        stage.ask(browser, &format!("GET /api/v1/browser-sessions{query}"), "")
    };
    let (own, hers) = (of(&mut bea, "").json(), of(&mut ada, "").json());
    assert_eq!((own.as_array().unwrap().len(), hers.as_array().unwrap().len()), (1, 1));
    assert_eq!(of(&mut ada, "?all=true").json().as_array().unwrap().len(), 2);
    refused(&of(&mut bea, "?all=true"), 403, "administrators");
    let end = |id: &Value| format!("DELETE /api/v1/browser-sessions/{}", id.as_str().unwrap());
    refused(&stage.ask(&mut bea, &end(&hers[0]["id"]), ""), 404, "no such session for you");
    assert_eq!(stage.ask(&mut ada, &end(&own[0]["id"]), "").status, 200);
    refused(&stage.me(&mut bea), 401, "this session has ended");

    // Out: here and, by its page, at the provider.
    let secret = stage.cookie(&ada).unwrap().to_owned();
    let mut before = ada.clone();
    let out = stage.ask(&mut ada, "POST /auth/logout", "");
    assert_eq!((out.status, &out.json()["signed_out"]), (200, &json!(true)));
    let page = out.json()["end_session"].as_str().unwrap().to_owned();
    assert!(page.starts_with(&stage.other.1) && page.contains("id_token_hint="), "{page}");
    assert_eq!(ada.get(&page).unwrap().status, 200);
    assert_eq!(stage.cookie(&ada), None, "the cookie goes");
    refused(&stage.me(&mut before), 401, "this session has ended");
    let out: Vec<_> = stage.events("signed_out").iter().map(|e| e["why"].clone()).collect();
    assert_eq!(out, ["ended by an administrator", "signed out"]);
    assert_eq!(stage.events("signed_in").len(), 2);
    // Nothing that opens anything is kept or written.
    let hint = between(&page, "id_token_hint=");
    let signature = hint.rsplit('.').next().unwrap();
    for word in [secret.as_str(), SECRET, signature] {
        assert!(!contains(&stage.arena.data(), word), "{word}");
    }
    let log = std::fs::read_to_string(stage.arena.log_file()).unwrap();
    assert!(!log.contains(&secret) && !log.contains(SECRET) && !log.contains(signature));
}

fn contains(place: &Path, word: &str) -> bool {
    std::fs::read_dir(place).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return contains(&path, word);
        }
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(word.len()).any(|part| part == word.as_bytes())
    })
}

#[test]
fn attacks_on_a_sign_in_are_refused_each_for_its_reason() {
    let Some(stage) = start(3600, "") else { return };
    let mut victim = Browser::default();
    let url = stage.sent(&mut victim, "corp");
    let back = stage.answered(&mut victim, &url, "mallory");

    // An attacker's answer in a victim's browser, and one nobody has asked for.
    let mut elsewhere = Browser::default();
    refused(&elsewhere.get(&back).unwrap(), 400, "(`state`)");
    refused(&victim.get(&back).unwrap(), 400, "(`state`)");
    let query = "/auth/callback?code=x&state=y";
    refused(&victim.get(&stage.at(query)).unwrap(), 400, "(`state`)");
    refused(&victim.get(&stage.at("/auth/callback")).unwrap(), 400, "(`state`)");
    let twice = stage.at("/auth/callback?state=a&state=b");
    refused(&victim.get(&twice).unwrap(), 400, "says something twice");

    // A mix-up of two providers (RFC 9207).
    let again = |browser: &mut Browser| {
        let url = stage.sent(browser, "corp");
        stage.answered(browser, &url, "ana")
    };
    let escaped = |issuer: &str| issuer.replace(':', "%3A").replace('/', "%2F");
    let (corp, other) = (escaped(&stage.corp.1), escaped(&stage.other.1));
    let back = again(&mut victim);
    assert!(back.contains(&corp), "{back}");
    refused(&victim.get(&back.replace(&corp, &other)).unwrap(), 400, "another provider");
    let back = again(&mut victim);
    let without = back.replace(&format!("iss={corp}"), "x=");
    refused(&victim.get(&without).unwrap(), 400, "does not say which provider");

    // Another nonce than was asked with.
    let url = stage.sent(&mut victim, "corp");
    let nonce = between(&url, "nonce=");
    let back = stage.answered(&mut victim, &url.replace(&nonce, "of-another-sign-in"), "ana");
    refused(&victim.get(&back).unwrap(), 400, "(`nonce`)");

    // A code of another sign-in (PKCE), and one that was used.
    let stolen = between(&again(&mut Browser::default()), "code=");
    let back = again(&mut victim);
    let code = between(&back, "code=");
    refused(&victim.get(&back.replace(&code, &stolen)).unwrap(), 400, "does not accept the code");
    let back = again(&mut victim);
    let used = between(&back, "code=");
    assert_eq!(victim.get(&back).unwrap().status, 303);
    refused(&victim.get(&back).unwrap(), 400, "(`state`)");
    let back = again(&mut victim);
    let code = between(&back, "code=");
    refused(&victim.get(&back.replace(&code, &used)).unwrap(), 400, "does not accept the code");

    // A redirect URI that is not this gateway's never comes to an answer.
    let url = stage.sent(&mut victim, "corp");
    let ours = escaped(&stage.at("/auth/callback"));
    assert!(url.contains(&ours), "{url}");
    let theirs = url.replace(&ours, "https%3A%2F%2Fevil.example%2Fcallback");
    refused(&victim.get(&theirs).unwrap(), 400, "invalid_redirect_uri");

    // A refusal at the provider.
    let url = stage.sent(&mut victim, "corp");
    let state = between(&url, "state=");
    let no = format!("/auth/callback?error=access_denied&state={state}&iss={corp}");
    refused(&victim.get(&stage.at(&no)).unwrap(), 403, "access_denied");

    // Elsewhere after it.
    for place in ["https://evil.example", "//evil.example", "/%5Cevil.example", "/%09/evil", "x"] {
        let url = stage.at(&format!("/auth/login?provider=corp&return_to={place}"));
        refused(&victim.get(&url).unwrap(), 400, "return_to must be a path");
    }
    let unknown = stage.at("/auth/login?provider=nobody");
    refused(&victim.get(&unknown).unwrap(), 404, "no such provider");
    refused(&victim.get(&stage.at("/auth/login")).unwrap(), 400, "say which");
    // By another name: sent to the one that cookie and redirect URI have.
    let port = stage.arena.http.port();
    let host = format!("localhost:{port}");
    let named = [("Host", host.as_str())];
    let sent = http(stage.arena.http, "GET /auth/login?provider=corp", &named, "").unwrap();
    assert_eq!(sent.location(), stage.at("/auth/login?sent=true&provider=corp"));
    let again = "GET /auth/login?sent=true&provider=corp";
    refused(&http(stage.arena.http, again, &named, "").unwrap(), 421, "has to pass on `Host`");
    let rebound = [("Host", "evil.example")];
    let no = http(stage.arena.http, "GET /auth/login?provider=corp", &rebound, "").unwrap();
    refused(&no, 403, "loopback names and that of public_url");

    // An agent has no session in a browser, whoever vouches for it.
    let mut robot = Browser::default();
    let url = stage.sent(&mut robot, "corp");
    let back = stage.answered(&mut robot, &url, "robot-x.dba.admins");
    refused(&robot.get(&back).unwrap(), 403, "only a person signs in");
    assert_eq!(stage.cookie(&robot), None);
    let event = &stage.events("sign_in_refused")[0];
    assert_eq!(
        (&event["principal"], &event["provider"]),
        (&json!("robot-x.dba.admins"), &json!("corp"))
    );
}

fn between(url: &str, name: &str) -> String {
    let (_, rest) = url.split_once(name).unwrap();
    rest.split('&').next().unwrap().to_owned()
}

/// Pages of other origins, and cookies that were fixed, stolen late or made up.
#[test]
fn a_cookie_speaks_for_its_person_on_pages_of_this_origin_alone() {
    let Some(stage) = start(3600, "") else { return };
    let mut bea = stage.signed_in("corp", "bea.dba.admins");
    let origin = stage.origin();
    let body = r#"{"scope":"writes","seconds":60,"reason":"x"}"#;
    let freeze = |headers: &[(&str, &str)]| {
        let mut browser = bea.clone();
        browser.send("POST", &stage.at("/api/v1/freezes"), headers, body).unwrap()
    };
    let (ours, from) = (("X-Portcullis", "1"), ("Origin", origin.as_str()));
    refused(&freeze(&[from]), 403, "X-Portcullis: 1");
    refused(&freeze(&[ours]), 403, "`Origin` or `Sec-Fetch-Site`");
    for headers in [
        [ours, ("Origin", "https://evil.example")].as_slice(),
        &[ours, ("Origin", "null")],
        &[ours, ("Origin", "http://127.0.0.1:1")],
        &[ours, from, ("Sec-Fetch-Site", "cross-site")],
        &[ours, ("Sec-Fetch-Site", "same-site")],
        &[ours, ("Sec-Fetch-Site", "none")],
    ] {
        refused(&freeze(headers), 403, "another origin");
    }
    // The header that handlers go by is not for callers to set.
    let secret = stage.cookie(&bea).unwrap().to_owned();
    let set = [("X-Portcullis-Admitted-Session", secret.as_str())];
    refused(&http(stage.arena.http, "GET /api/v1/me", &set, "").unwrap(), 401, "send your token");
    // Where it does fit, it is let in as far as the request is good.
    assert!(![401, 403].contains(&freeze(&[ours, from]).status));
    assert!(![401, 403].contains(&freeze(&[ours, ("Sec-Fetch-Site", "same-origin")]).status));

    // A cookie that was put there before does not become somebody's, and the old session ends.
    let authority = stage.arena.http.to_string();
    let before = secret;
    let url = stage.sent(&mut bea, "corp");
    let back = stage.answered(&mut bea, &url, "bea.dba.admins");
    assert_eq!(bea.get(&back).unwrap().status, 303);
    assert_ne!(stage.cookie(&bea), Some(before.as_str()));
    assert_eq!(stage.me(&mut bea).status, 200);
    let mut thief = Browser::default();
    thief.set_cookie(&authority, "portcullis", &before);
    refused(&stage.me(&mut thief), 401, "this session has ended");
    let made_up = "A".repeat(43);
    thief.set_cookie(&authority, "portcullis", &made_up);
    refused(&stage.me(&mut thief), 401, "not known here");
    thief.set_cookie(&authority, "portcullis", "' OR 1=1 --");
    refused(&stage.me(&mut thief), 401, "not known here");
    // As it is set.
    let mut fresh = Browser::default();
    let url = stage.sent(&mut fresh, "corp");
    let back = stage.answered(&mut fresh, &url, "ana");
    let answer = fresh.get(&back).unwrap();
    let cookie = answer.headers("set-cookie").find(|c| c.starts_with("portcullis=")).unwrap();
    assert!(cookie.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax"), "{cookie}");
    assert_eq!(answer.headers("cache-control").next(), Some("no-store"));
}

/// The provider is asked again when its word runs out; when it says no, that is the end.
#[test]
fn a_session_lasts_no_longer_than_its_providers_word() {
    let Some(mut stage) = start(3, "") else { return };
    let mut leaver = stage.signed_in("corp", "lea.dba");
    let mut idle = stage.signed_in("corp", "ida");
    for _ in 0..3 {
        std::thread::sleep(Duration::from_secs(3));
        let me = stage.me(&mut leaver);
        assert_eq!(me.status, 200, "{}", me.body);
    }
    // Many at once use one refresh token once.
    std::thread::sleep(Duration::from_millis(3_100));
    let all: Vec<u16> = std::thread::scope(|scope| {
        let ask = || scope.spawn(|| stage.me(&mut leaver.clone()).status);
        let asking: Vec<_> = (0..8).map(|_| ask()).collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(all, [200; 8]);
    stage.corp.0.tell(&json!({ "gone": "lea.dba" }));
    std::thread::sleep(Duration::from_millis(3_100));
    refused(&stage.me(&mut leaver), 401, "your provider has ended this session");
    refused(&stage.me(&mut leaver), 401, "this session has ended");
    // Refresh tokens are in memory: what the gateway cannot ask again about is over.
    assert_eq!(stage.me(&mut idle).status, 200);
    stage.arena.stop_gateway();
    stage.arena.start_gateway().unwrap();
    std::thread::sleep(Duration::from_millis(3_100));
    refused(&stage.me(&mut idle), 401, "word for you has run out");
}

#[test]
fn sessions_end_unused_and_too_many_requests_are_refused() {
    let limits = "[sign_in]\nidle = \"2s\"\nabsolute = \"5s\"\nper_minute_and_address = 40\n";
    let Some(mut stage) = start(3600, limits) else { return };
    let began = Instant::now();
    let (mut used, mut unused) = (stage.signed_in("corp", "ana"), stage.signed_in("corp", "bo"));
    while began.elapsed() < Duration::from_secs(4) {
        assert_eq!(stage.me(&mut used).status, 200, "after {:?}", began.elapsed());
        std::thread::sleep(Duration::from_millis(400));
    }
    refused(&stage.me(&mut unused), 401, "not used for too long");
    std::thread::sleep(Duration::from_secs(2));
    refused(&stage.me(&mut used), 401, "this session has ended");
    let ask = || http(stage.arena.http, "GET /auth/providers", &[], "").unwrap();
    let no = (0..45).map(|_| ask()).find(|answer| answer.status != 200).expect("no end");
    refused(&no, 429, "too many requests to sign in");
    assert_eq!(no.headers("retry-after").next(), Some("60"));
    // Who is signed in goes on.
    assert_eq!(http(stage.arena.http, "GET /healthz", &[], "").unwrap().status, 200);
    // What somebody says of its address counts for nothing, but where a proxy of ours says it.
    let from = |address: &str| {
        let told = [("X-Forwarded-For", address)];
        http(stage.arena.http, "GET /auth/providers", &told, "").unwrap().status
    };
    assert_eq!(from("192.0.2.9"), 429);
    let config = std::fs::read_to_string(stage.arena.config()).unwrap();
    let behind = config.replacen("[listen.http]\n", "[listen.http]\nproxies = 1\n", 1);
    std::fs::write(stage.arena.config(), behind).unwrap();
    stage.arena.stop_gateway();
    stage.arena.start_gateway().unwrap();
    let from = |address: &str| {
        let told = [("X-Forwarded-For", address)];
        http(stage.arena.http, "GET /auth/providers", &told, "").unwrap().status
    };
    assert!((0..45).any(|n| from(&format!("198.51.100.{n}, 192.0.2.1")) == 429), "one address");
    assert_eq!(from("192.0.2.1, 192.0.2.2"), 200, "another one");
    // In the record as well.
    let mut ana = Browser::default();
    let url = stage.sent(&mut ana, "corp");
    let back = stage.answered(&mut ana, &url, "ana");
    let told = [("X-Forwarded-For", "192.0.2.3")];
    assert_eq!(ana.send("GET", &back, &told, "").unwrap().status, 303);
    assert_eq!(stage.events("signed_in").last().unwrap()["peer"], "192.0.2.3:0");
}

/// `portcullis` as somebody whose home is this directory, and who has no configuration.
fn portcullis(stage: &Stage, home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).current_dir(home);
    for name in ["BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "PORTCULLIS_TOKEN", "PORTCULLIS_CONFIG"] {
        command.env_remove(name);
    }
    command.env("HOME", home).env("XDG_CONFIG_HOME", "").env("PORTCULLIS_API", stage.origin());
    command
}

fn done(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The first line of what a command says that is an address of this kind.
fn address(child: &mut Child, contains: &str) -> String {
    let stderr = child.stderr.take().unwrap();
    let mut lines = BufReader::new(stderr).lines();
    let found = lines.by_ref().map(|line| line.unwrap()).find(|line| line.contains(contains));
    std::thread::spawn(move || lines.for_each(drop));
    found.unwrap().trim().to_owned()
}

#[test]
fn a_terminal_signs_in_by_device_code_and_psql_runs() {
    let Some(stage) = start(3600, "") else { return };
    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| portcullis(&stage, home.path(), arguments);
    let no = run(&["whoami"]).output().unwrap();
    assert!(said(&no).contains("portcullis login --gateway"), "{}", said(&no));
    let no = run(&["login"]).output().unwrap();
    assert!(said(&no).contains("--provider corp, other"), "{}", said(&no));

    let mut login = run(&["login", "--provider", "corp", "--device"]);
    let mut login = login.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let url = address(&mut login, "user_code=");
    let page = Browser::default().go(&url, "dana.developers", |_| false).unwrap().unwrap_err();
    assert_eq!(page.status, 200, "{}", page.body);
    let mut out = String::new();
    login.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert!(login.wait().unwrap().success(), "{out}");
    assert!(out.contains("dana (person, dana.developers at"), "{out}");
    assert!(out.contains("groups: developers"), "{out}");

    // Kept for its owner alone; every command uses it, and psql as a password.
    use std::os::unix::fs::PermissionsExt as _;
    let place = home.path().join(".config/portcullis");
    for (path, mode) in [(place.clone(), 0o700), (place.join("tokens.json"), 0o600)] {
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
    }
    assert!(done(run(&["whoami"])).starts_with("dana (person"));
    let me: Value = serde_json::from_str(&done(run(&["--json", "whoami"]))).unwrap();
    assert_eq!(me["groups"], json!(["developers"]));
    done(run(&["sessions"]));
    done(run(&["review", "list"]));
    let password = done(run(&["token"]));
    assert_eq!(password.lines().count(), 1);
    let mut psql = Command::new(stage.arena.server.program_directory().join("psql"));
    psql.args(["-X", "-A", "-t", "-c", "SELECT count(*) > 0 FROM orders"]);
    psql.env("PGHOST", "127.0.0.1").env("PGPORT", stage.arena.postgres.port().to_string());
    psql.env("PGUSER", "dana").env("PGPASSWORD", password.trim()).env("PGDATABASE", "shop");
    psql.env("PGSSLMODE", "require");
    assert_eq!(done(psql).trim(), "t");
    let opened = &stage.events("session_opened")[0]["standing"]["principal"];
    assert_eq!((&opened["kind"], &opened["name"]), (&json!("person"), &json!("dana")));

    // An agent is an agent at a terminal too: it has a token, and no session in a browser.
    let mut login = run(&["login", "--provider", "corp", "--device"]);
    let mut login = login.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let url = address(&mut login, "user_code=");
    Browser::default().go(&url, "robot-7.agents", |_| false).unwrap().unwrap_err();
    assert!(login.wait().unwrap().success());
    assert!(done(run(&["whoami"])).contains("rights: none"));
    let token = done(run(&["token"]));
    let bearer = format!("Bearer {}", token.trim());
    let headers = [("Authorization", bearer.as_str())];
    let no = http(stage.arena.http, "GET /api/v1/browser-sessions", &headers, "").unwrap();
    refused(&no, 403, "an agent's or a workload's token never can");
    let no = http(stage.arena.http, "GET /auth/callback", &headers, "").unwrap();
    refused(&no, 400, "(`state`)");
    assert!(no.headers("set-cookie").next().is_none());

    done(run(&["logout"]));
    let no = run(&["whoami"]).output().unwrap();
    assert_eq!(no.status.code(), Some(2));
    let no = run(&["logout"]).output().unwrap();
    assert!(said(&no).contains("you are not signed in"), "{}", said(&no));
}

#[test]
fn a_terminal_signs_in_by_a_browser_and_refreshes() {
    let Some(stage) = start(130, "") else { return };
    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| portcullis(&stage, home.path(), arguments);
    let mut login = run(&["login", "--provider", "corp"]);
    // A browser that does nothing by itself.
    login.env("BROWSER", "true").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut login = login.spawn().unwrap();
    let url = address(&mut login, "code_challenge=");
    assert!(url.contains("redirect_uri=http%3A%2F%2F127.0.0.1%3A"), "{url}");
    let mut browser = Browser::default();
    let came = browser.go(&url, "eve.developers", |url| url.contains("/callback?")).unwrap();
    let back = came.unwrap();
    // What somebody else makes a browser ask there ends nothing.
    let (place, _) = back.split_once('?').unwrap();
    for query in ["code=x&state=y", "error=access_denied", "state=a&state=b"] {
        assert_eq!(browser.get(&format!("{place}?{query}")).unwrap().status, 404, "{query}");
    }
    let page = browser.get(&back).unwrap();
    assert!(page.body.contains("You can close this window"), "{}", page.body);
    assert!(login.wait().unwrap().success());
    // Less than half of its life, or a minute, is left: another one.
    let first = done(run(&["token"]));
    let file = home.path().join(".config/portcullis/tokens.json");
    let mut kept: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let entry = &mut kept["gateways"][stage.origin()];
    entry["since"] = (entry["since"].as_i64().unwrap() - 400_000_000).into();
    std::fs::write(&file, kept.to_string()).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let second = done(run(&["token"]));
    assert_ne!(first, second);
    assert_eq!(done(run(&["token"])), second, "once is enough");
    assert!(done(run(&["whoami"])).starts_with("eve (person"));
    // The token is for its gateway and goes to no other.
    let no = run(&["whoami", "--api", "http://127.0.0.1:9"]).output().unwrap();
    assert!(said(&no).contains("portcullis login --gateway http://127.0.0.1:9"), "{}", said(&no));
    let no = run(&["login", "--gateway", "http://portcullis.example"]).output().unwrap();
    assert!(said(&no).contains("must be https"), "{}", said(&no));
}

#[test]
fn what_was_believed_by_other_settings_is_not_believed_after_a_restart() {
    let Some(mut stage) = start(3_600, "") else { return };
    let own = "urn:ietf:params:oauth:grant-type:token-exchange";
    let token = stage.arena.token("claude").unwrap();
    let asked = format!(
        "grant_type={own}&subject_token={token}&audience=shop&purpose=a+test\
         &subject_token_type=urn:ietf:params:oauth:token-type:jwt"
    );
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let given = http(stage.arena.http, "POST /api/v1/token", &form, &asked).unwrap();
    let own = given.json()["access_token"].as_str().unwrap().to_owned();
    let (mut bea, mut kim) =
        (stage.signed_in("corp", "bea.dba"), stage.signed_in("other", "kim.dba"));
    let restart = |stage: &mut Stage, edit: &dyn Fn(&str) -> String| {
        stage.arena.stop_gateway();
        let config = stage.arena.config();
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, edit(&text)).unwrap();
        stage.arena.start_gateway().unwrap();
    };
    let log_in =
        |stage: &Stage| RawClient::log_in(stage.arena.postgres, "claude", "shop", &own).is_ok();
    restart(&mut stage, &str::to_owned);
    assert_eq!((stage.me(&mut bea).status, stage.me(&mut kim).status), (200, 200));
    assert!(log_in(&stage), "nothing has changed");
    // One of two providers, by a setting that takes nothing from this person; and nothing of the other.
    restart(&mut stage, &|text| {
        text.replacen("name = \"corp\"\n", "name = \"corp\"\nleeway_seconds = 5\n", 1)
    });
    refused(&stage.me(&mut bea), 401, "was changed or removed since");
    assert_eq!(stage.me(&mut kim).status, 200);
    assert!(log_in(&stage));
    // The one for development vouched for the credential: for another audience than it would now.
    restart(&mut stage, &|text| {
        text.replacen("[dev_provider]\n", "[dev_provider]\naudience = \"another\"\n", 1)
    });
    assert!(!log_in(&stage));
}

/// A gateway that documents may tell who callers are, and a provider it does not know yet.
fn start_without() -> Option<Stage> {
    if !installed() {
        return None;
    }
    let mut corp = provider_of(&json!({ "idTokenSeconds": 3600 }));
    let other = provider_of(&json!({}));
    let mut setup = Setup::agent_safe();
    setup.more = format!(
        "[administration]\ngroups = [\"admins\"]\n[documents]\nidentity = true\n\
         client_secrets = [{{ issuer = \"{}\", secret = \"file:client.secret\" }}]\n",
        corp.1
    );
    let arena = Arena::start_with(&setup, &[("client.secret", SECRET)]).unwrap();
    corp.0.tell(&json!({ "gateway": format!("http://{}", arena.http) }));
    Some(Stage { corp, other, arena })
}

/// Applies these documents, and no others, as an administrator.
fn apply(stage: &Stage, documents: &[(&str, &str)]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    for (file, text) in documents {
        let file = directory.path().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let path = directory.path().to_str().unwrap();
    stage.arena.portcullis(&["apply", "--as", "max", "--yes", "--prune", "-f", path]).unwrap()
}

#[test]
fn a_provider_that_is_applied_lets_people_in_and_ends_their_sessions_when_it_goes() {
    let Some(stage) = start_without() else { return };
    let names = || {
        let offered = http(stage.arena.http, "GET /auth/providers", &[], "").unwrap().json();
        offered.as_array().unwrap().iter().map(|p| p["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(), Vec::<Value>::new());
    let provider = corp(&stage);
    let group = format!(
        "includes = [\"dba\"]\nmembers = [{{ issuer = \"{}\", subject = \"eve.none\" }}]\n",
        stage.corp.1
    );
    let all = [("providers/corp.toml", provider.as_str()), ("groups/leads.toml", group.as_str())];
    let applied = apply(&stage, &all);
    assert!(applied.status.success(), "{}", said(&applied));
    assert_eq!(names(), ["corp"]);

    // People sign in by it, with nothing started anew, and are in the groups that are said here.
    let mut bea = stage.signed_in("corp", "bea.dba");
    let groups = |browser: &mut Browser| stage.me(browser).json()["groups"].clone();
    assert_eq!(groups(&mut bea), json!(["dba", "leads"]));
    let mut eve = stage.signed_in("corp", "eve.none");
    assert!(groups(&mut eve).as_array().unwrap().contains(&json!("leads")), "{}", groups(&mut eve));
    // What a group gives is taken back under a session that goes on.
    assert!(apply(&stage, &all[..1]).status.success());
    assert_eq!(groups(&mut bea), json!(["dba"]));

    // A terminal of theirs, with a session on the wire.
    let home = tempfile::tempdir().unwrap();
    let mut login = portcullis(&stage, home.path(), &["login", "--device"]);
    let mut login = login.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let url = address(&mut login, "user_code=");
    Browser::default().go(&url, "dana.developers", |_| false).unwrap().unwrap_err();
    assert!(login.wait().unwrap().success());
    let token = done(portcullis(&stage, home.path(), &["token"]));
    let log_in = || RawClient::log_in(stage.arena.postgres, "dana", "shop", token.trim());
    let mut wire = log_in().unwrap();
    assert!(wire.query("SELECT 1").is_ok());

    // One of that issuer at another place than its own is warned of, and lets nobody in.
    let moved = provider.replace("issuer = ", "jwks_uri = \"http://127.0.0.1:1/keys\"\nissuer = ");
    let warned = apply(&stage, &[("providers/corp.toml", &moved)]);
    assert!(warned.status.success(), "{}", said(&warned));
    assert!(said(&warned).contains("can be asked"), "{}", said(&warned));
    let ended = |browser: &mut Browser| refused(&stage.me(browser), 401, "ended");
    ended(&mut bea);
    ended(&mut eve);
    let mut heard = Vec::new();
    while let Ok(Some(message)) = wire.receive() {
        heard.push(message.shown());
    }
    assert!(heard.concat().contains("who vouches for you"), "{heard:?}");
    assert!(log_in().is_err());

    // Back, and gone.
    assert!(apply(&stage, &[("providers/corp.toml", &provider)]).status.success());
    let mut bea = stage.signed_in("corp", "bea.dba");
    let mut wire = log_in().unwrap();
    let gone = apply(&stage, &[]);
    assert!(gone.status.success(), "{}", said(&gone));
    refused(&stage.me(&mut bea), 401, "ended");
    assert!(log_in().is_err());
    while let Ok(Some(_)) = wire.receive() {}
    assert_eq!(names(), Vec::<Value>::new());
    // Each that has ended is in the journal, as soon as whoever found it has noted it.
    let ended = |e: &&Value| e["why"] == "who vouched for its person was changed or removed";
    let until = Instant::now() + Duration::from_secs(5);
    while stage.events("signed_out").iter().filter(ended).count() != 3 {
        assert!(Instant::now() < until, "{:?}", stage.events("signed_out"));
        std::thread::sleep(Duration::from_millis(50));
    }
    let changed = stage.events("document_changed");
    let shown: Vec<_> = changed.iter().map(|e| (&e["kind"], e["after"].is_null())).collect();
    assert_eq!(shown.first(), Some(&(&json!("provider"), false)), "{shown:?}");
    assert_eq!(shown.last(), Some(&(&json!("provider"), true)), "{shown:?}");
}

/// The provider that a stage's documents may bring.
fn corp(stage: &Stage) -> String {
    format!(
        "issuer = \"{}\"\naudiences = [\"portcullis\"]\nkind_claim = \"kind\"\n[sign_in]\n\
         client_id = \"gateway\"\ncli_client_id = \"terminal\"\n\
         client_secret_file = \"client.secret\"\nscopes = [\"openid\"]\n",
        stage.corp.1
    )
}

#[test]
fn what_people_approved_goes_with_who_vouched_for_them() {
    let Some(stage) = start_without() else { return };
    stage.arena.server.sql("shop", "DELETE FROM payments").unwrap();
    assert!(apply(&stage, &[("providers/corp.toml", &corp(&stage))]).status.success());
    let mut bea = stage.signed_in("corp", "bea.dba");
    let mut agent = stage.arena.client("claude").unwrap();
    let approve = |bea: &mut Browser, review: &str, body: &str| {
        stage.ask(bea, &format!("POST /api/v1/reviews/{review}/approve"), body)
    };
    let deletes = |agent: &mut RawClient, id: u32| {
        agent.ask(&format!("DELETE FROM orders WHERE id = {id}")).unwrap();
    };
    let ran = |agent: &mut RawClient| {
        let answer: Vec<String> =
            agent.until(b'Z').unwrap().iter().map(|message| message.shown()).collect();
        answer.iter().any(|line| line.starts_with("C DELETE 1"))
    };
    deletes(&mut agent, 50);
    let (review, _) = agent.held().unwrap();
    let answer = approve(&mut bea, &review, r#"{"pattern":{"seconds":600,"count":9}}"#);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(ran(&mut agent));
    deletes(&mut agent, 51);
    assert!(ran(&mut agent), "by the pattern");

    assert!(apply(&stage, &[]).status.success());
    let until = Instant::now() + Duration::from_secs(5);
    while stage.events("pattern_revoked").is_empty() {
        assert!(Instant::now() < until, "the pattern stands on nobody's word");
        std::thread::sleep(Duration::from_millis(50));
    }
    deletes(&mut agent, 52);
    let (review, _) = agent.held().expect("people are asked again");
    // Others decide as before.
    let output = stage.arena.portcullis(&["review", "--as", "bo", "approve", &review]).unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(ran(&mut agent));
}
