//! The manifest: what the page for agents says is what the gateway does, for each of its lines.

use portcullis_testkit::arena::{Arena, Setup};
use portcullis_testkit::raw::{Message, RawClient};
use portcullis_testkit::web::{Answer, http};
use serde_json::Value;
use std::process::Command;

const RULES: &str = r#"
@id("wages-are-closed") @reason("wages | are *not* for agents")
forbid (principal, action, resource in Schema::"shop/shop/hr");
@id("scratch-is-free")
permit (principal, action in [Action::"truncate", Action::"insert"],
        resource == Relation::"shop/shop/public/scratch");
@id("scratch-is-short") @max_rows("7")
permit (principal, action == Action::"read", resource == Relation::"shop/shop/public/scratch");
@id("inbox-reviewed") @review("dba") @reason("others read it")
forbid (principal, action == Action::"insert", resource == Relation::"shop/shop/public/inbox")
unless { context.approvals.contains("dba") };
@id("ordinary-inserts")
permit (principal, action == Action::"insert", resource is Relation);
"#;

const TABLES: &str = "
CREATE TABLE plain (id int, v int);
CREATE TABLE scratch (id int, v int);
CREATE TABLE inbox (id int, v int);
CREATE SCHEMA hr;
CREATE TABLE hr.wages (id int, v int);";

/// A statement of each kind that the page speaks of.
const STATEMENTS: [(&str, &str); 10] = [
    ("SELECT", "SELECT v FROM TABLE WHERE id = 1"),
    ("INSERT", "INSERT INTO TABLE VALUES (1, 1)"),
    ("UPDATE with WHERE", "UPDATE TABLE SET v = 2 WHERE id = 1"),
    ("UPDATE of all rows", "UPDATE TABLE SET v = 2"),
    ("DELETE with WHERE", "DELETE FROM TABLE WHERE id = 1"),
    ("DELETE of all rows", "DELETE FROM TABLE"),
    ("TRUNCATE", "TRUNCATE TABLE"),
    ("CREATE TABLE, ALTER TABLE", "ALTER TABLE TABLE ADD COLUMN w int"),
    ("DROP TABLE", "DROP TABLE TABLE"),
    ("GRANT, REVOKE", "GRANT SELECT ON TABLE TO PUBLIC"),
];

fn start(packs: &str) -> Arena {
    let mut setup = Setup::agent_safe();
    setup.policy = format!("[policy]\npacks = [{packs}]\nfiles = [\"own.cedar\"]\n");
    setup.definitions = TABLES;
    let own = "{ column = \"hr.wages.v\", mask = \"null\" },\n]";
    setup.connection = setup.connection.replace("\n]", &format!("\n  {own}"));
    setup.more = r#"[connections.closed]
environment = "demo"
groups = ["nobody-is-in-it"]
target = { host = "127.0.0.1", port = {port}, database = "shop", user = "shop_app", password_file = "app.password" }
[administration]
groups = ["dba"]
"#
    .to_owned();
    Arena::start_with(&setup, &[("own.cedar", RULES)]).unwrap()
}

#[test]
fn a_connection_that_takes_a_grant_says_how_to_ask_for_one() {
    let mut setup = Setup::agent_safe();
    setup.connection += "access = { approvers = \"dba\", longest = \"1h\" }\n";
    let arena = Arena::start(&setup).unwrap();
    let page = get(&arena, "/agent.md", Some(&arena.token("claude").unwrap())).body;
    let asked = "    portcullis request --connection shop --for 30m --reason \"why you need it\"";
    assert!(page.lines().any(|line| line == asked), "{page}");
    // What it says is what the door says.
    let token = arena.token("claude").unwrap();
    let refused = RawClient::log_in(arena.postgres, "claude", "shop", &token).err().unwrap();
    assert!(format!("{refused:#}").contains(asked.trim()), "{refused:#}");
    // Whoever may not even ask hears nothing of it.
    let mut closed = Setup::agent_safe();
    closed.connection += "access = { approvers = \"dba\", agents = false }\n";
    let arena = Arena::start(&closed).unwrap();
    assert_eq!(manifest(&arena, "claude")["connections"], Value::Array(Vec::new()));
    assert_eq!(manifest(&arena, "ana")["connections"][0]["name"], "shop");
    let page = get(&arena, "/agent.md", Some(&arena.token("claude").unwrap())).body;
    assert!(page.contains("No connection lets you in"), "{page}");
}

fn get(arena: &Arena, path: &str, token: Option<&str>) -> Answer {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<(&str, &str)> =
        bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
    http(arena.http, &format!("GET {path}"), &headers, "").unwrap()
}

fn manifest(arena: &Arena, name: &str) -> Value {
    let answer = get(arena, "/api/v1/manifest", Some(&arena.token(name).unwrap()));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

/// What becomes of a statement inside a transaction, where nothing waits: `runs`, or held or refused, and
/// by which rule.
fn becomes(client: &mut RawClient, sql: &str) -> (&'static str, String) {
    client.query("BEGIN").unwrap();
    let seen: Vec<String> = client.query(sql).unwrap().iter().map(Message::shown).collect();
    client.query("ROLLBACK").unwrap();
    let Some(error) = seen.iter().find(|line| line.starts_with('E')) else {
        return ("runs", String::new());
    };
    assert!(error.contains("portcullis: "), "{sql}: {error}");
    let rule = error.split('"').nth(1).unwrap_or_default().to_owned();
    (if error.contains("review rev_") { "held" } else { "refused" }, rule)
}

/// Every line of the manifest is what happens.
fn is_true(client: &mut RawClient, table: &str, answers: &Value) -> usize {
    let answers = answers.as_array().unwrap();
    for answer in answers {
        let request = answer["request"].as_str().unwrap();
        let (_, sql) = STATEMENTS.iter().find(|(known, _)| *known == request).unwrap();
        let sql = match *sql {
            "TRUNCATE TABLE" => format!("TRUNCATE {table}"),
            "ALTER TABLE TABLE ADD COLUMN w int" => format!("ALTER TABLE {table} ADD COLUMN w int"),
            "DROP TABLE TABLE" => format!("DROP TABLE {table}"),
            other => other.replace("TABLE", table),
        };
        let (seen, rule) = becomes(client, &sql);
        assert_eq!(answer["answer"], seen, "{sql}: {answer}");
        if seen != "runs" {
            assert_eq!(answer["rule"], rule.as_str(), "{sql}: {answer}");
        }
    }
    answers.len()
}

#[test]
fn each_line_is_what_happens() {
    for (packs, runs) in [
        ("\"agent-safe\"", vec!["SELECT"]),
        ("\"read-only\"", vec!["SELECT"]),
        ("\"allow-all\"", STATEMENTS.iter().map(|(request, _)| *request).collect()),
    ] {
        let arena = start(packs);
        let manifest = manifest(&arena, "claude");
        let shop = manifest["connections"].as_array().unwrap();
        let shop = shop.iter().find(|one| one["name"] == "shop").unwrap();
        let mut client = arena.client("claude").unwrap();
        assert_eq!(is_true(&mut client, "public.plain", &shop["answers"]), STATEMENTS.len());
        let answers = shop["answers"].as_array().unwrap();
        for request in runs {
            let found = answers.iter().find(|answer| answer["request"] == request).unwrap();
            assert_eq!(found["answer"], "runs", "{packs}: {found}");
        }
        let mut told = 0;
        for named in shop["named"].as_array().unwrap() {
            told += is_true(&mut client, named["object"].as_str().unwrap(), &named["answers"]);
        }
        assert!(told >= 1, "{packs}: {shop}");
        assert!(!shop.to_string().contains("wages"), "{packs}: {shop}");
        let held = shop["named"].to_string().contains("inbox-reviewed");
        assert_eq!(held, packs == "\"allow-all\"", "{packs}: {shop}");
        // What is masked for the one is not for the other.
        let masked = shop["masked"].as_array().unwrap();
        let masks = packs != "\"allow-all\"";
        assert_eq!(
            masked.iter().any(|m| m["column"] == "public.customers.email"),
            masks,
            "{packs}"
        );
    }
}

#[test]
fn nothing_is_said_of_what_does_not_let_one_in() {
    let arena = start("\"agent-safe\"");
    let names = |name: &str| -> Vec<String> {
        let manifest = manifest(&arena, name);
        let all = manifest["connections"].as_array().unwrap().clone();
        all.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("claude"), ["shop"]);
    assert_eq!(names("ana"), ["shop"]);
    let token = arena.token("claude").unwrap();
    for path in ["/agent.md", "/api/v1/manifest"] {
        assert_eq!(get(&arena, path, None).status, 401, "{path}");
        assert_eq!(get(&arena, path, Some("eyJ.no.token")).status, 401, "{path}");
        let answer = get(&arena, path, Some(&token));
        assert_eq!(answer.status, 200, "{}", answer.body);
        for secret in ["closed", "wages", "app.password", token.as_str()] {
            assert!(!answer.body.contains(secret), "{path} tells {secret}: {}", answer.body);
        }
        assert_eq!(answer.headers("cache-control").next(), Some("no-store"));
    }
    let page = get(&arena, "/agent.md", Some(&token)).body;
    assert!(page.contains("## Connection `shop`"), "{page}");
}

#[test]
fn a_freeze_is_told_to_those_whom_it_stops() {
    let arena = start("\"agent-safe\"");
    let froze = ["freeze", "--as", "bo", "--writes", "--for", "5m", "--reason", "a *drill*"];
    assert!(arena.portcullis(&froze).unwrap().status.success());
    let page = |name: &str| get(&arena, "/agent.md", Some(&arena.token(name).unwrap())).body;
    assert!(page("claude").contains("**Frozen now**: writes by agents"), "{}", page("claude"));
    assert!(page("claude").contains("a \\*drill\\*"), "{}", page("claude"));
    assert!(!page("ana").contains("Frozen"), "{}", page("ana"));
}

/// What the page says to type is typed, and nothing else is known.
#[test]
fn a_task_is_done_with_the_page_alone() {
    let arena = start("\"agent-safe\"");
    arena.server.sql("shop", "INSERT INTO plain VALUES (1, 41), (2, 42)").unwrap();
    let told = arena.portcullis(&["explain", "--for-agent", "--as", "claude"]).unwrap();
    let page = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success(), "{page}{}", String::from_utf8_lossy(&told.stderr));
    let typed: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let [export, psql] = typed.as_slice() else { panic!("{page}") };
    let token = arena.token("claude").unwrap();
    let run = |sql: &str| {
        let script = format!("{export}\n{psql} -XAtc '{sql}'");
        let programs = arena.server.program_directory().display();
        let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).env("PORTCULLIS_TOKEN", &token).env("PATH", path);
        let output = shell.output().unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text.into_owned())
    };
    assert_eq!(run("SELECT v FROM plain WHERE id = 2"), (true, "42\n".to_owned()));
    let (done, said) = run("TRUNCATE plain");
    assert!(!done && page.contains("**TRUNCATE**: refused (`no-destruction`"), "{page}");
    assert!(said.contains("no-destruction"), "{said}");
    let json = arena.portcullis(&["--json", "explain", "--for-agent", "--as", "claude"]).unwrap();
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["you"]["name"], "claude");
    assert_eq!(json["you"]["acting_for"], "ana");
}

/// A gateway that others reach by a name has made its certificate itself: what the page says to type checks it.
#[test]
fn a_certificate_of_the_gateways_own_is_pinned_by_what_the_page_says() {
    let mut arena = start("\"agent-safe\"");
    arena.server.sql("shop", "INSERT INTO plain VALUES (2, 42)").unwrap();
    let page = |arena: &Arena| get(arena, "/agent.md", Some(&arena.token("claude").unwrap())).body;
    // On this very machine nobody is in between.
    assert!(!page(&arena).contains("CERTIFICATE") && page(&arena).contains("sslmode=require"));
    arena.stop_gateway();
    // Of the addresses of this machine it is one that the certificate does not name.
    let (file, port) = (arena.config(), arena.postgres.port());
    let text = std::fs::read_to_string(&file).unwrap();
    let there = format!("address = \"127.0.0.2:{port}\"\npublic_host = \"127.0.0.2\"");
    let text = text.replacen(&format!("address = \"127.0.0.1:{port}\""), &there, 1);
    std::fs::write(&file, text).unwrap();
    arena.postgres.set_ip([127, 0, 0, 2].into());
    arena.start_gateway().unwrap();
    let page = page(&arena);
    let typed: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let script = typed.join("\n") + " -XAtc 'SELECT v FROM plain WHERE id = 2'";
    let directory = arena.data().join("client");
    std::fs::create_dir(&directory).unwrap();
    let run = |script: &str| {
        let programs = arena.server.program_directory().display();
        let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).env("PATH", path).current_dir(&directory);
        shell.env("PORTCULLIS_TOKEN", arena.token("claude").unwrap()).env("HOME", &directory);
        let output = shell.output().unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text.into_owned())
    };
    assert_eq!(run(&script), (true, "42\n".to_owned()), "{page}");
    // It is the certificate that decides: another one is not taken, nor is this one without it.
    let (taken, said) = run(&script.replace("verify-ca", "verify-full"));
    assert!(!taken && said.contains("127.0.0.2"), "{said}");
    let (taken, said) = run(&script.replace("export PGSSLROOTCERT", "export NOTHING"));
    assert!(!taken && said.contains("root certificate"), "{said}");
    let manifest = manifest(&arena, "claude");
    assert!(manifest["gateway"]["certificate"].as_str().unwrap().starts_with("-----BEGIN CERT"));
}
