//! Two gateways on one store in PostgreSQL: what is held, decided, frozen, revoked and labelled at one
//! counts at the other, and a store that is lost lets nothing through.

use portcullis_sandbox::postgres::{Options, Postgres};
use portcullis_sandbox::process::{Running, free_port};
use portcullis_testkit::arena::{Arena, SUPERUSER_PASSWORD, Setup, binary, private_file};
use portcullis_testkit::raw::{Message, RawClient};
use portcullis_testkit::web::http;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What freezes and revocations may take to reach every gateway.
const SOON: Duration = Duration::from_secs(2);

/// Gateway A is the arena's, and B one beside it, with the same connections.
struct Fleet {
    a: Arena,
    store: Postgres,
    b: Running,
    b_postgres: SocketAddr,
    b_http: SocketAddr,
    b_config: PathBuf,
    _directory: TempDir,
}

impl Fleet {
    fn start() -> Self {
        let directory = portcullis_testkit::arena::directory(true).unwrap();
        let store =
            Postgres::start(directory.path(), SUPERUSER_PASSWORD, &Options::default()).unwrap();
        let role = format!("CREATE ROLE gateways LOGIN PASSWORD '{SUPERUSER_PASSWORD}'");
        store.sql("postgres", &role).unwrap();
        store.sql("postgres", "CREATE DATABASE portcullis OWNER gateways").unwrap();
        let password = directory.path().join("store.password");
        private_file(&password, SUPERUSER_PASSWORD).unwrap();
        let mut setup = Setup::agent_safe();
        setup.in_memory = true;
        setup.policy = "[policy]\npacks = []\nfiles = [\"fleet.cedar\"]\n\
                        [review]\nexpires = \"5m\"\n"
            .to_owned();
        setup.more = format!(
            "[connections.guarded]\nenvironment = \"test\"\ngroups = []\n\
             access = {{ approvers = \"dba\", requesters = [\"agents\"] }}\n\
             target = {{ host = \"127.0.0.1\", port = {{port}}, database = \"shop\", user = \"raw\" }}\n\
             [documents]\nidentity = true\n\
             [administration]\ngroups = [\"dba\"]\n[store]\n\
             url = \"postgres://gateways@127.0.0.1:{}/portcullis?sslmode=disable\"\n\
             password_from = \"file:{}\"\n",
            store.port(),
            password.display()
        );
        let a = Arena::start_with(&setup, &[("fleet.cedar", POLICY)]).unwrap();
        a.server.sql("shop", "DELETE FROM payments").unwrap();
        let (b_config, b_postgres, b_http) = beside(&a);
        let b = serve(&a, &b_config, [b_postgres, b_http]);
        Self { a, store, b, b_postgres, b_http, b_config, _directory: directory }
    }

    /// `portcullis` at B, whose callers A's provider vouches for.
    fn at_b(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(binary());
        told(&command.arg("--config").arg(&self.b_config).args(arguments).output().unwrap())
    }

    fn at_a(&self, arguments: &[&str]) -> (bool, String) {
        told(&self.a.portcullis(arguments).unwrap())
    }

    fn token(&self, name: &str) -> String {
        self.a.token(name).unwrap()
    }

    fn client_at_b(&self, name: &str) -> RawClient {
        RawClient::log_in(self.b_postgres, name, "shop", &self.token(name)).unwrap()
    }

    fn orders(&self) -> String {
        self.a.truth("SELECT count(*) FROM orders").unwrap()
    }
}

/// Anything, but that agents' deletes are held, and what is sensitive is masked.
const POLICY: &str = r#"
@id("everything") permit (principal, action, resource);
@id("hidden") @mask("by-label") @reason("sensitive")
forbid (principal, action == Action::"reveal", resource) when { resource.sensitive };
@id("held") @review("dba") @reason("deletes are signed off by a DBA")
forbid (principal in Group::"agents", action == Action::"delete", resource)
unless { context.approvals.contains("dba") };
"#;

/// A configuration like A's, elsewhere. It takes the word of A's provider.
fn beside(a: &Arena) -> (PathBuf, SocketAddr, SocketAddr) {
    let local = || SocketAddr::from((Ipv4Addr::LOCALHOST, free_port().unwrap()));
    let (postgres, http) = (local(), local());
    let text = fs::read_to_string(a.config()).unwrap();
    let (head, rest) = text.split_once("[dev_provider]").unwrap();
    let (development, tail) = rest.split_once("[connections.shop]").unwrap();
    let listen = development.lines().find_map(|line| line.strip_prefix("listen = \"")).unwrap();
    let provider = format!(
        "[[identity.providers]]\nname = \"development\"\nissuer = \"http://{}\"\n\
         audiences = [\"portcullis\"]\nalgorithms = [\"ES256\"]\nkind_claim = \"kind\"\n",
        listen.trim_end_matches('"')
    );
    let own = format!(
        "[connections.own_of_b]\nenvironment = \"test\"\ngroups = []\ntarget = {{ host = \"127.0.0.1\", \
         port = {}, database = \"shop\", user = \"raw\" }}\n",
        a.server.port()
    );
    let text = format!("{head}{provider}[connections.shop]{tail}\n{own}")
        .replace("data_dir = \"data\"", "data_dir = \"data-b\"")
        .replace(&a.postgres.to_string(), &postgres.to_string())
        .replace(&a.http.to_string(), &http.to_string());
    let file = a.directory().join("b.toml");
    fs::write(&file, text).unwrap();
    (file, postgres, http)
}

fn serve(a: &Arena, config: &PathBuf, addresses: [SocketAddr; 2]) -> Running {
    let log = a.directory().join("b.log");
    let log = File::options().create(true).append(true).open(log).unwrap();
    let mut command = Command::new(binary());
    command.arg("--config").arg(config).arg("serve").env("PORTCULLIS_LOG", "info");
    command.stdout(log.try_clone().unwrap()).stderr(log);
    let mut b = Running::start(&mut command, "TERM").unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while addresses.iter().any(|at| TcpStream::connect(at).is_err()) {
        let log = || fs::read_to_string(a.directory().join("b.log")).unwrap();
        assert!(b.is_running() && Instant::now() < deadline, "{}", log());
        std::thread::sleep(Duration::from_millis(20));
    }
    b
}

fn told(output: &Output) -> (bool, String) {
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text.into_owned())
}

fn rest(client: &mut RawClient) -> Vec<String> {
    client.until(b'Z').unwrap().iter().map(Message::shown).collect()
}

/// What a statement is answered, in one text.
fn answer(client: &mut RawClient, sql: &str) -> String {
    client.query(sql).unwrap().iter().map(|m| m.shown() + "\n").collect()
}

/// Waits until something holds; it has to within [`SOON`].
fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < SOON, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn two_gateways_share_what_people_decide() {
    let mut fleet = Fleet::start();
    held_here_approved_there(&fleet);
    decided_at_both_at_once(&fleet);
    frozen_there_refused_here(&fleet);
    issued_here_good_there_until_it_is_revoked(&fleet);
    granted_here_good_there_until_it_is_ended(&fleet);
    made_here_masked_there(&fleet);
    made_by_one_that_was_away(&fleet);
    frozen_while_others_are_told(&fleet);
    signed_in_elsewhere(&fleet);
    applied_here_gone_by_there(&fleet);
    in_a_group_by_what_was_applied_elsewhere(&fleet);
    vouched_for_by_what_was_applied_elsewhere(&fleet);
    commands_say_what_to_do(&fleet);
    a_lost_store_refuses_and_comes_back(&fleet);
    a_store_that_stands_still_refuses_and_comes_back(&fleet);
    killed_while_it_waits(&mut fleet);
}

fn held_here_approved_there(fleet: &Fleet) {
    let before: u32 = fleet.orders().parse().unwrap();
    let mut agent = fleet.a.client("claude").unwrap();
    agent.ask("DELETE FROM orders WHERE id = 101").unwrap();
    let (review, _) = agent.held().unwrap();
    let bo = fleet.token("bo");
    let (listed, text) = fleet.at_b(&["review", "--token", &bo, "list"]);
    assert!(listed && text.contains(&review), "{text}");
    let (approved, text) = fleet.at_b(&["review", "--token", &bo, "approve", &review]);
    assert!(approved, "{text}");
    let decided = Instant::now();
    let answered = rest(&mut agent);
    assert!(decided.elapsed() < SOON, "it was heard late");
    assert!(answered.iter().any(|line| line.starts_with("C DELETE 1")), "{answered:?}");
    assert!(!fleet.at_b(&["review", "--token", &bo, "approve", &review]).0, "it is used");
    let after: u32 = fleet.orders().parse().unwrap();
    assert_eq!(after + 1, before);
}

/// Documents that are applied at one are gone by at the other; where the other cannot go by one, its sessions
/// end and it lets nobody in until it can, because what it had may permit what is forbidden now.
fn applied_here_gone_by_there(fleet: &Fleet) {
    let directory = fleet.a.directory().join("applied");
    let write = |file: &str, text: &str| {
        let file = directory.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    };
    let bo = fleet.token("bo");
    let apply = || {
        let path = directory.to_str().unwrap();
        let (done, text) = fleet.at_a(&["apply", "--token", &bo, "--yes", "--prune", "-f", path]);
        assert!(done, "{text}");
    };
    let closed = "@id(\"closed\") @reason(\"orders are closed\")\n\
        forbid (principal, action == Action::\"read\", resource is Relation)\n\
        when { resource.name == \"orders\" };\n";
    write("policies/closed.cedar", closed);
    let mut there = fleet.client_at_b("claude");
    let orders = "SELECT count(*) FROM orders";
    assert!(answer(&mut there, orders).contains("C SELECT"));
    apply();
    soon("it is not refused there", || answer(&mut there, orders).contains("orders are closed"));
    let ready = || http(fleet.b_http, "GET /readyz", &[], "").unwrap().status;
    assert_eq!(ready(), 200);
    // At B that connection is its file's.
    let port = fleet.a.server.port();
    let own = format!(
        "environment = \"test\"\ngroups = []\n[target]\nhost = \"127.0.0.1\"\nport = {port}\n\
         database = \"shop\"\nuser = \"raw\"\n"
    );
    write("connections/own_of_b.toml", &own);
    fs::write(directory.join("policies/closed.cedar"), closed.replace("orders", "payments"))
        .unwrap();
    apply();
    soon("it is not told", || ready() == 503);
    let began = Instant::now();
    loop {
        there.ask("SELECT count(*) FROM payments").unwrap();
        let mut told = String::new();
        while let Ok(Some(message)) = there.receive() {
            told += &(message.shown() + "\n");
            if message.tag == b'Z' {
                break;
            }
        }
        if told.contains("cannot take up the rules") {
            break;
        }
        // For as long as it may be at work on taking it up.
        assert!(began.elapsed() < 4 * SOON, "it goes on: {told}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let refused =
        RawClient::log_in(fleet.b_postgres, "claude", "shop", &fleet.token("claude")).err();
    let refused = refused.map(|error| format!("{error:#}")).unwrap_or_default();
    assert!(refused.contains("cannot take up the rules"), "{refused}");
    fs::remove_dir_all(directory.join("connections")).unwrap();
    fs::remove_file(directory.join("policies/closed.cedar")).unwrap();
    apply();
    soon("it goes on", || ready() == 200);
    let mut there = fleet.client_at_b("claude");
    assert!(answer(&mut there, "SELECT count(*) FROM orders x").contains("C SELECT"));
}

/// A yes at one and a no at the other, at the same time: one of them is told that it came too late, or
/// the no counts; never are both carried out.
fn decided_at_both_at_once(fleet: &Fleet) {
    let bo = fleet.token("bo");
    for order in 104..108 {
        let mut agent = fleet.a.client("claude").unwrap();
        agent.ask(&format!("DELETE FROM orders WHERE id = {order}")).unwrap();
        let (review, _) = agent.held().unwrap();
        let no = ["review", "--token", &bo, "reject", &review, "--reason", "not now"];
        let (yes, no) = std::thread::scope(|scope| {
            let no = scope.spawn(|| fleet.at_b(&no));
            let yes = fleet.at_a(&["review", "--token", &bo, "approve", &review]);
            (yes, no.join().unwrap())
        });
        let answered = rest(&mut agent).join("\n");
        let ran = answered.contains("C DELETE 1");
        let left = format!("SELECT count(*) FROM orders WHERE id = {order}");
        assert_eq!(fleet.a.truth(&left).unwrap(), if ran { "0" } else { "1" });
        assert!(!(ran && no.0), "it ran, and was rejected: {yes:?} {no:?} {answered}");
        assert!(ran || no.0, "{yes:?} {no:?} {answered}");
    }
}

fn frozen_there_refused_here(fleet: &Fleet) {
    let mut agent = fleet.a.client("claude").unwrap();
    assert!(answer(&mut agent, "SELECT 1").contains("C SELECT"));
    let bo = fleet.token("bo");
    let freeze = ["freeze", "--token", &bo, "--everything", "--for", "1h", "--reason", "a test"];
    let (frozen, text) = fleet.at_b(&[&freeze[..], &["--json"]].concat());
    assert!(frozen, "{text}");
    soon("frozen at B, and not at A", || answer(&mut agent, "SELECT 1").contains("a test"));
    let freezes = fleet.at_a(&["freezes", "--token", &bo, "--json"]).1;
    let json: Value = serde_json::from_str(&freezes).unwrap();
    let id = json[0]["id"].as_str().unwrap().to_owned();
    let (thawed, text) = fleet.at_a(&["thaw", "--token", &bo, &id]);
    assert!(thawed, "{text}");
    soon("thawed at A, and not at B", || {
        let token = fleet.token("claude");
        let Ok(mut agent) = RawClient::log_in(fleet.b_postgres, "claude", "shop", &token) else {
            return false;
        };
        answer(&mut agent, "SELECT 1").contains("C SELECT")
    });
}

fn issued_here_good_there_until_it_is_revoked(fleet: &Fleet) {
    let token = fleet.token("claude");
    let create = ["create", "--connection", "shop", "--purpose", "a test"];
    for revoked_at_b in [false, true] {
        let (made, credential) =
            fleet.at_a(&[&["credential", "--token", &token], &create[..]].concat());
        assert!(made, "{credential}");
        let credential = credential.lines().next().unwrap();
        let mut at_a = RawClient::log_in(fleet.a.postgres, "claude", "shop", credential).unwrap();
        let mut at_b = RawClient::log_in(fleet.b_postgres, "claude", "shop", credential).unwrap();
        assert!(answer(&mut at_b, "SELECT 1").contains("C SELECT"));
        let listed = fleet.at_b(&["credential", "--token", &token, "list", "--json"]).1;
        let json: Value = serde_json::from_str(&listed).unwrap();
        let id = json[0]["id"].as_str().unwrap().to_owned();
        let revoke = ["credential", "--token", &token, "revoke", &id];
        let (revoked, text) = if revoked_at_b { fleet.at_b(&revoke) } else { fleet.at_a(&revoke) };
        assert!(revoked, "{text}");
        let began = Instant::now();
        for client in [&mut at_a, &mut at_b] {
            // It is told, and then it is over.
            while let Ok(Some(_)) = client.receive() {}
        }
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        assert!(RawClient::log_in(fleet.b_postgres, "claude", "shop", credential).is_err());
    }
}

/// What the API of a gateway answers this caller.
fn api(at: SocketAddr, token: &str, request: &str, body: &Value) -> Value {
    let token = format!("Bearer {token}");
    let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (method, path) = request.split_once(' ').unwrap();
    let answer = http(at, &format!("{method} /api/v1{path}"), &headers, &body).unwrap();
    assert!(answer.status < 300, "{request}: {} {}", answer.status, answer.body);
    answer.json()
}

fn asked(at: SocketAddr, token: &str, seconds: u64) -> String {
    let body = json!({ "connection": "guarded", "seconds": seconds, "reason": "a test" });
    api(at, token, "POST /grants", &body)["id"].as_str().unwrap().to_owned()
}

fn over_soon(clients: &mut [&mut RawClient]) {
    let began = Instant::now();
    for client in clients {
        // It is told, and then it is over.
        while let Ok(Some(_)) = client.receive() {}
    }
    assert!(began.elapsed() < 2 * SOON, "{:?}", began.elapsed());
}

fn granted_here_good_there_until_it_is_ended(fleet: &Fleet) {
    let (bo, claude) = (fleet.token("bo"), fleet.token("claude"));
    let log_in = |at| RawClient::log_in(at, "claude", "guarded", &claude);
    assert!(log_in(fleet.a.postgres).is_err() && log_in(fleet.b_postgres).is_err());
    // Ended by people at one; and, another, by its own time.
    for seconds in [600, 3] {
        let grant = asked(fleet.a.http, &claude, seconds);
        api(fleet.b_http, &bo, &format!("POST /grants/{grant}/approve"), &json!({}));
        let mut here = log_in(fleet.a.postgres).unwrap();
        let mut there = log_in(fleet.b_postgres).unwrap();
        for client in [&mut here, &mut there] {
            assert!(answer(client, "SELECT count(*) FROM orders").contains("C SELECT"));
        }
        if seconds == 600 {
            api(fleet.a.http, &bo, &format!("POST /grants/{grant}/end"), &json!({}));
        } else {
            std::thread::sleep(Duration::from_secs(2));
        }
        over_soon(&mut [&mut here, &mut there]);
        let refused = log_in(fleet.b_postgres).err().map(|error| format!("{error:#}"));
        assert!(refused.is_some_and(|why| why.contains("no access")), "{grant}");
    }
}

/// Who vouches for callers is a document too: they come in at the other gateway, and where it is removed their
/// sessions and what was issued to them end there as well.
fn vouched_for_by_what_was_applied_elsewhere(fleet: &Fleet) {
    // Another provider, that of an arena neither gateway knows.
    let other = Arena::start(&Setup::allow_all()).unwrap();
    let text = fs::read_to_string(other.config()).unwrap();
    let (_, development) = text.split_once("[dev_provider]").unwrap();
    let listen = development.lines().find_map(|line| line.strip_prefix("listen = \"")).unwrap();
    let issuer = format!("issuer = \"http://{}\naudiences = [\"portcullis\"]\n", listen.trim());
    let provider = format!("{issuer}algorithms = [\"ES256\"]\nkind_claim = \"kind\"\n");
    let rule = format!("{issuer}kind = \"oidc\"\npins = {{ sub = \"hal\" }}\n");
    let bo = fleet.token("bo");
    let directory = fleet.a.directory().join("vouched");
    let path = directory.to_str().unwrap();
    let apply = ["apply", "--token", &bo, "--yes", "--prune", "-f", path];
    for (file, text, user) in
        [("providers/other.toml", provider, "claude"), ("workloads/night.toml", rule, "night")]
    {
        let token = other.token(if user == "claude" { "claude" } else { "hal" }).unwrap();
        let log_in = |password: &str| RawClient::log_in(fleet.b_postgres, user, "shop", password);
        assert!(log_in(&token).is_err(), "{file}");
        let file = directory.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        let (done, said) = fleet.at_a(&apply);
        assert!(done, "{said}");
        soon("nobody vouches for it there", || log_in(&token).is_ok());
        let create = ["create", "--connection", "shop", "--purpose", "a test"];
        let (made, own) = fleet.at_b(&[&["credential", "--token", &token], &create[..]].concat());
        assert!(made, "{own}");
        let own = own.lines().next().unwrap();
        let (mut direct, mut by_credential) = (log_in(&token).unwrap(), log_in(own).unwrap());
        assert!(RawClient::log_in(fleet.a.postgres, user, "shop", own).is_ok());
        fs::remove_file(file).unwrap();
        let (done, said) = fleet.at_a(&apply);
        assert!(done, "{said}");
        over_soon(&mut [&mut direct, &mut by_credential]);
        let refused = |at| {
            let log_in = |password: &str| RawClient::log_in(at, user, "shop", password);
            log_in(&token).is_err() && log_in(own).is_err()
        };
        assert!(refused(fleet.b_postgres) && refused(fleet.a.postgres), "{user}");
    }
}

/// Who is in which group is a document too: it counts at the other gateway, and what it gave is taken back.
fn in_a_group_by_what_was_applied_elsewhere(fleet: &Fleet) {
    let (bo, lea) = (fleet.token("bo"), fleet.token("lea"));
    let groups = || api(fleet.b_http, &lea, "GET /me", &Value::Null)["groups"].clone();
    let is_in = || groups().as_array().unwrap().contains(&json!("night-watch"));
    assert!(!is_in());
    let me = api(fleet.a.http, &lea, "GET /me", &Value::Null);
    let group = format!("members = [{{ issuer = {}, subject = {} }}]", me["issuer"], me["subject"]);
    let directory = fleet.a.directory().join("grouped");
    let file = directory.join("groups/night-watch.toml");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, group).unwrap();
    let path = directory.to_str().unwrap();
    let apply = ["apply", "--token", &bo, "--yes", "--prune", "-f", path];
    let (done, text) = fleet.at_a(&apply);
    assert!(done, "{text}");
    soon("it is in no such group there", is_in);
    fs::remove_file(file).unwrap();
    let (done, text) = fleet.at_a(&apply);
    assert!(done, "{text}");
    soon("it is in the group still", || !is_in());
}

fn made_here_masked_there(fleet: &Fleet) {
    let (mut here, mut there) = (fleet.a.client("ana").unwrap(), fleet.client_at_b("ana"));
    let secret = fleet.a.truth("SELECT email FROM customers ORDER BY id LIMIT 1").unwrap();
    // What was plain, and what is known of it at B.
    let made = answer(&mut here, "CREATE TABLE shelf AS SELECT id, city AS what FROM customers");
    assert!(made.contains("C SELECT"), "{made}");
    let seen = answer(&mut there, "SELECT what FROM shelf");
    assert!(seen.contains("C SELECT"), "{seen}");
    // Another one of that name, made of what is masked.
    assert!(answer(&mut here, "DROP TABLE shelf").contains("C DROP"));
    let made = answer(&mut here, "CREATE TABLE shelf AS SELECT id, email AS what FROM customers");
    assert!(made.contains("C SELECT"), "{made}");
    let seen = answer(&mut there, "SELECT what FROM shelf ORDER BY id");
    assert!(seen.contains("C SELECT") && !seen.contains(&secret), "{seen}");
    let seen = answer(&mut here, "SELECT what FROM shelf ORDER BY id");
    assert!(seen.contains("C SELECT") && !seen.contains(&secret), "{seen}");
    let found = fleet.a.truth("SELECT count(*) FROM shelf WHERE what LIKE '%@%'").unwrap();
    assert_ne!(found, "0", "there was something to mask");
}

/// B stands still in the middle of a transaction that makes a table of masked columns, for so long that A
/// forgets it, and all it was at. What it commits after that is known at A all the same.
fn made_by_one_that_was_away(fleet: &Fleet) {
    let (mut here, mut there) = (fleet.a.client("ana").unwrap(), fleet.client_at_b("ana"));
    let store = |sql: &str| fleet.store.sql("portcullis", sql).unwrap().trim().to_owned();
    let secret = fleet.a.truth("SELECT email FROM customers ORDER BY id LIMIT 1").unwrap();
    assert!(answer(&mut here, "CREATE TABLE rack (what text)").contains("C CREATE"));
    let seen = answer(&mut here, "SELECT what FROM rack");
    assert!(seen.contains("C SELECT"), "{seen}");
    // What is committed with it takes its time.
    let slow = "CREATE TABLE slow (x int); GRANT ALL ON slow TO PUBLIC;
        CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql
            AS $$BEGIN PERFORM pg_sleep(2); RETURN NULL; END$$;
        CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION take_time()";
    fleet.a.server.sql("shop", slow).unwrap();
    let begun = [
        "BEGIN",
        "INSERT INTO slow VALUES (1)",
        "DROP TABLE rack",
        "CREATE TABLE rack AS SELECT id, email AS what FROM customers",
    ];
    for sql in begun {
        let told = answer(&mut there, sql);
        assert!(!told.contains("E "), "{sql}: {told}");
    }
    fleet.b.signal("STOP").unwrap();
    let began = Instant::now();
    while store("SELECT count(*) FROM gateway") != "1" {
        assert!(began.elapsed() < Duration::from_secs(40), "nobody forgets it");
        std::thread::sleep(Duration::from_millis(200));
    }
    store("DELETE FROM definition_change");
    fleet.b.signal("CONT").unwrap();
    there.ask("COMMIT").unwrap();
    soon("it commits what others do not know of", || {
        store("SELECT count(*) FROM definition_change") != "0"
    });
    let there_yet =
        "SELECT count(*) FROM pg_attribute WHERE attrelid = 'rack'::regclass AND attnum = 2";
    assert_eq!(fleet.a.truth(there_yet).unwrap(), "0", "they were told after it");
    let committed = rest(&mut there).join("\n");
    assert!(committed.contains("C COMMIT"), "{committed}");
    let seen = answer(&mut here, "SELECT what FROM rack ORDER BY id");
    assert!(seen.contains("C SELECT") && !seen.contains(&secret), "{seen}");
    assert_ne!(store("SELECT count(*) FROM label WHERE server <> ''"), "0");
    soon("it does not come back", || store("SELECT count(*) FROM gateway") == "2");
}

/// It takes long to tell others of a change of definitions, and meanwhile it is frozen.
fn frozen_while_others_are_told(fleet: &Fleet) {
    let mut agent = fleet.a.client("claude").unwrap();
    let bo = fleet.token("bo");
    std::thread::scope(|scope| {
        // The turn of those who change definitions is somebody else's.
        let hold = format!("SELECT pg_advisory_lock({}), pg_sleep(3)", 0x706f_7274_6375_6c6d_i64);
        scope.spawn(move || fleet.store.sql("portcullis", &hold).unwrap());
        std::thread::sleep(Duration::from_millis(500));
        agent.ask("CREATE TABLE too_late (x int)").unwrap();
        std::thread::sleep(Duration::from_millis(300));
        let freeze =
            ["freeze", "--token", &bo, "--writes", "--for", "1h", "--reason", "a test", "--json"];
        let (frozen, text) = fleet.at_a(&freeze);
        assert!(frozen, "{text}");
        let answered = rest(&mut agent).join("\n");
        assert!(answered.contains("a test"), "{answered}");
        assert_eq!(fleet.a.truth("SELECT to_regclass('too_late') IS NULL").unwrap(), "t");
        let listed = fleet.at_a(&["freezes", "--token", &bo, "--json"]).1;
        let json: Value = serde_json::from_str(&listed).unwrap();
        let id = json[0]["id"].as_str().unwrap();
        assert!(fleet.at_a(&["thaw", "--token", &bo, id]).0);
    });
    soon("thawed, and not made", || {
        answer(&mut agent, "CREATE TABLE in_time (x int)").contains("C CREATE")
    });
    // What nobody else can see is nobody else's business.
    let told = || fleet.store.sql("portcullis", "SELECT sum(changes) FROM definition").unwrap();
    let before = told();
    assert!(answer(&mut agent, "CREATE TEMP TABLE own (x int)").contains("C CREATE"));
    assert_eq!(told(), before);
    assert!(answer(&mut agent, "DROP TABLE in_time").contains("C DROP"));
    assert_ne!(told(), before);
}

/// A browser that begins at one gateway and comes back at the other is told what is wrong.
fn signed_in_elsewhere(fleet: &Fleet) {
    let mut stream = TcpStream::connect(fleet.b_http).unwrap();
    let host = fleet.b_http;
    let request = format!(
        "GET /auth/callback?code=x&state=of-another HTTP/1.1\r\nHost: {host}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert!(said.contains("started at another gateway"), "{said}");
}

fn commands_say_what_to_do(fleet: &Fleet) {
    let file = fleet.a.directory().join("backup.tar");
    let file = file.to_str().unwrap();
    for command in ["backup", "restore"] {
        let (done, text) = fleet.at_b(&[command, file]);
        assert!(!done && text.contains("pg_dump") && text.contains("--settle"), "{text}");
    }
    let (done, text) = fleet.at_b(&["restore", "--settle"]);
    assert!(!done && text.contains("2 gateways"), "{text}");
    let (_, text) = fleet.at_b(&["doctor"]);
    assert!(text.contains("schema step") && text.contains("2 gateways are there"), "{text}");
    let (listed, text) = fleet.at_b(&["secret", "list"]);
    assert!(listed, "{text}");
}

fn a_lost_store_refuses_and_comes_back(fleet: &Fleet) {
    let mut agents = [fleet.a.client("claude").unwrap(), fleet.client_at_b("claude")];
    let sql = |text: &str| fleet.store.sql("postgres", text).unwrap();
    sql("ALTER DATABASE portcullis ALLOW_CONNECTIONS false");
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'portcullis'");
    for agent in &mut agents {
        soon("nothing was refused", || answer(agent, "SELECT 1").contains("42501"));
        let refused = answer(agent, "DELETE FROM orders WHERE id = 102");
        assert!(refused.contains("E ") && !refused.contains("C DELETE"), "{refused}");
    }
    for at in [fleet.a.http, fleet.b_http] {
        soon("it is not told", || is_ready(at) == Err("store: ".to_owned()));
    }
    let (_, text) = fleet.at_b(&["doctor"]);
    assert!(text.contains("failure  store") && text.contains("closed"), "{text}");
    sql("ALTER DATABASE portcullis ALLOW_CONNECTIONS true");
    for agent in &mut agents {
        soon("it did not come back", || answer(agent, "SELECT 1").contains("C SELECT"));
    }
    for at in [fleet.a.http, fleet.b_http] {
        soon("it is told still", || is_ready(at).is_ok());
    }
}

/// Whether a gateway says that it takes requests; else what is said of the store.
fn is_ready(at: SocketAddr) -> Result<(), String> {
    let answer = http(at, "GET /readyz", &[], "").unwrap();
    match answer.status {
        200 => Ok(()),
        status => {
            assert_eq!(status, 503, "{}", answer.body);
            Err(answer.body.lines().find_map(|line| line.get(..7)).unwrap_or_default().to_owned())
        }
    }
}

/// Nobody is told that it is gone: it answers no more, and takes connections all the same.
fn a_store_that_stands_still_refuses_and_comes_back(fleet: &Fleet) {
    let mut agents = [fleet.a.client("claude").unwrap(), fleet.client_at_b("claude")];
    let still = fleet.store.stand_still().unwrap();
    let began = Instant::now();
    for agent in &mut agents {
        let refused = answer(agent, "DELETE FROM orders WHERE id = 102");
        assert!(refused.contains("E ") && !refused.contains("C DELETE"), "{refused}");
        assert!(answer(agent, "SELECT 1").contains("42501"));
    }
    assert!(began.elapsed() < 2 * SOON, "{:?}", began.elapsed());
    soon("it is not told", || is_ready(fleet.b_http) == Err("store: ".to_owned()));
    drop(still);
    for agent in &mut agents {
        soon("it did not come back", || answer(agent, "SELECT 1").contains("C SELECT"));
    }
    assert_eq!(fleet.a.truth("SELECT count(*) FROM orders WHERE id = 102").unwrap(), "1");
}

/// A gateway is gone while people are still to decide: the approval is good for one run, at whichever
/// gateway the same request of the same caller comes again.
fn killed_while_it_waits(fleet: &mut Fleet) {
    let (bo, claude) = (fleet.token("bo"), fleet.token("claude"));
    let statement = "DELETE FROM orders WHERE id = 103";
    let at_b = || RawClient::log_in(fleet.b_postgres, "claude", "shop", &claude).unwrap();
    let mut agent = fleet.a.client("claude").unwrap();
    agent.ask(statement).unwrap();
    let (review, _) = agent.held().unwrap();
    drop(at_b());
    let grant = asked(fleet.a.http, &claude, 600);
    let there = "SELECT count(*) FROM orders WHERE id = 103";
    fleet.a.kill_gateway().unwrap();
    // It waits on: nobody has taken it back.
    let (listed, text) = fleet.at_b(&["review", "--token", &bo, "list"]);
    assert!(listed && text.contains(&review), "{text}");
    let (approved, text) = fleet.at_b(&["review", "--token", &bo, "approve", &review]);
    assert!(approved, "{text}");
    assert_eq!(fleet.a.truth(there).unwrap(), "1", "nobody was there to run it");
    // So does who asked for access there.
    api(fleet.b_http, &bo, &format!("POST /grants/{grant}/approve"), &json!({}));
    let mut guarded = RawClient::log_in(fleet.b_postgres, "claude", "guarded", &claude).unwrap();
    assert!(answer(&mut guarded, "SELECT 1").contains("C SELECT"));
    // The same caller asks again at the other one, and again: the approval is used once.
    let at_b = || RawClient::log_in(fleet.b_postgres, "claude", "shop", &claude).unwrap();
    let (mut one, mut two) = (at_b(), at_b());
    let answered = answer(&mut one, statement);
    assert!(answered.contains("C DELETE 1"), "{answered}");
    assert_eq!(fleet.a.truth(there).unwrap(), "0");
    two.ask(statement).unwrap();
    let (another, _) = two.held().unwrap();
    assert_ne!(another, review, "an approval was used twice");
    // The one that was gone is back, and finds what waits at the other.
    fleet.a.start_gateway().unwrap();
    let mut agent = fleet.a.client("claude").unwrap();
    agent.ask(statement).unwrap();
    assert_eq!(agent.held().unwrap().0, another, "the same request asks once");
    assert!(fleet.b.is_running() && TcpStream::connect(fleet.b_http).is_ok());
}
