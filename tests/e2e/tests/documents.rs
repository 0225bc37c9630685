//! Connections and policies that are changed while the gateway runs: what becomes of sessions and of held
//! requests, of broken changes, of two at once, of a directory that is watched, and of a restart.

use portcullis_testkit::arena::{Arena, Setup, files_below};
use portcullis_testkit::raw::{Message, RawClient};
use portcullis_testkit::web::{Answer, http};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

/// By when what was changed has to be in force, with what a busy machine takes on top.
const SOON: Duration = Duration::from_secs(15);

const CLOSED: &str = "@id(\"closed\") @reason(\"orders are closed\")\n\
    forbid (principal, action == Action::\"read\", resource is Relation)\n\
    when { resource.name == \"orders\" };\n";
const NO_DELETES: &str = "@id(\"no-deletes\") @reason(\"nothing is deleted today\")\n\
    forbid (principal, action == Action::\"delete\", resource is Relation);\n";
const ORDERS: &str = "SELECT count(*) FROM orders";
const EMAIL: &str = "SELECT email FROM customers ORDER BY id LIMIT 1";

fn arena(more: &str) -> Arena {
    let mut setup = Setup::agent_safe();
    setup.more = format!(
        "[administration]\ngroups = [\"admins\"]\n\
         [documents]\ncredentials = [\"file:app.password\"]\n{more}"
    );
    Arena::start(&setup).unwrap()
}

/// A connection to the shop, as a document.
fn connection(arena: &Arena, environment: &str, sensitive: &str) -> String {
    format!(
        "environment = \"{environment}\"\ngroups = [\"agents\"]\ndetectors = []\n\
         sensitive = [{sensitive}]\n[target]\nhost = \"127.0.0.1\"\nport = {}\ndatabase = \"shop\"\n\
         user = \"owner\"\npassword_from = \"file:app.password\"\n",
        arena.server.port()
    )
}

const MASKED: &str =
    "{ column = \"public.customers.email\", label = \"email\", mask = \"redact\" }";

fn write(directory: &Path, file: &str, text: &str) {
    let file = directory.join(file);
    let parent = file.parent().unwrap();
    fs::create_dir_all(parent).unwrap();
    fs::set_permissions(parent, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn apply_as(arena: &Arena, who: &str, more: &[&str]) -> (Option<i32>, String) {
    let directory = documents(arena);
    let all = ["apply", "--as", who, "-f", directory.to_str().unwrap()];
    let output = arena.portcullis(&[&all, more].concat()).unwrap();
    (output.status.code(), said(&output))
}

fn documents(arena: &Arena) -> PathBuf {
    arena.directory().join("documents")
}

fn apply(arena: &Arena, more: &[&str]) -> String {
    let (code, text) = apply_as(arena, "max", &[&["--yes"], more].concat());
    assert_eq!(code, Some(0), "{text}");
    text
}

fn told(messages: &[Message]) -> String {
    messages.iter().map(Message::shown).collect::<Vec<_>>().join("\n")
}

fn ask(client: &mut RawClient, sql: &str) -> String {
    told(&client.query(sql).unwrap())
}

fn to_the_end(client: &mut RawClient) -> String {
    let mut heard = Vec::new();
    while let Ok(Some(message)) = client.receive() {
        heard.push(message);
    }
    told(&heard)
}

fn client(arena: &Arena, connection: &str) -> RawClient {
    let token = arena.token("claude").unwrap();
    RawClient::log_in(arena.postgres, "claude", connection, &token).unwrap()
}

fn call(arena: &Arena, who: &str, request: &str, more: &[(&str, &str)], body: &Value) -> Answer {
    let token = format!("Bearer {}", arena.token(who).unwrap());
    let mut headers = vec![("Authorization", token.as_str()), ("Content-Type", "application/json")];
    headers.extend(more);
    let body = if body.is_null() { String::new() } else { body.to_string() };
    http(arena.http, request, &headers, &body).unwrap()
}

fn journal(arena: &Arena) -> String {
    let files = files_below(&arena.data().join("journal"));
    files
        .iter()
        .map(|file| String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned())
        .collect()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_is_applied_is_gone_by_in_running_sessions_and_after_a_restart() {
    let mut arena = arena("");
    let mut running = arena.client("claude").unwrap();
    assert!(!ask(&mut running, ORDERS).contains("closed"));
    write(&documents(&arena), "policies/closed.cedar", CLOSED);
    // A look changes nothing.
    let (code, plan) = apply_as(&arena, "max", &["--dry-run"]);
    assert_eq!(code, Some(0), "{plan}");
    assert!(plan.contains("create policy/closed") && plan.contains("+ @id(\"closed\")"), "{plan}");
    assert!(!ask(&mut running, ORDERS).contains("closed"));
    // Nor does anybody who may not, or is not asked.
    for who in ["ana", "claude"] {
        let (code, text) = apply_as(&arena, who, &["--yes"]);
        assert!(code == Some(1) && text.contains("administ"), "{who}: {text}");
    }
    let (code, text) = apply_as(&arena, "max", &[]);
    assert!(code == Some(2) && text.contains("--yes"), "{text}");
    let done = apply(&arena, &[]);
    assert!(done.contains("documents 1 are in force; journal entries "), "{done}");
    let refused = ask(&mut running, ORDERS);
    assert!(refused.contains("42501") && refused.contains("orders are closed"), "{refused}");
    assert!(ask(&mut running, "SELECT 1").contains("1"), "it goes on");
    // In an open transaction as well.
    let mut inside = client(&arena, "shop");
    ask(&mut inside, "BEGIN");
    assert!(ask(&mut inside, ORDERS).contains("orders are closed"));
    assert!(apply(&arena, &[]).contains("nothing to change"));
    let journal = journal(&arena);
    let entry = journal.lines().find(|line| line.contains("document_changed")).unwrap();
    assert!(entry.contains("orders are closed") && entry.contains("\"set\":1"), "{entry}");
    assert!(entry.contains("\"by\":{\"subject\":\"max\",\"issuer\":\"http"), "{entry}");
    assert!(journal.lines().any(|l| l.contains("\"governed\"") && l.contains("\"session\"")));
    arena.stop_gateway();
    arena.start_gateway().unwrap();
    assert!(ask(&mut client(&arena, "shop"), ORDERS).contains("orders are closed"));
    let get = arena.portcullis(&["get", "--as", "max", "policy/closed"]).unwrap();
    assert!(said(&get).contains("orders are closed"), "{}", said(&get));
    // And it can be taken back.
    fs::remove_file(documents(&arena).join("policies/closed.cedar")).unwrap();
    assert!(apply(&arena, &[]).contains("nothing to change"), "without --prune it stays");
    let mut running = client(&arena, "shop");
    assert!(apply(&arena, &["--prune"]).contains("remove policy/closed"));
    assert!(!ask(&mut running, ORDERS).contains("closed"));
    let history = arena.portcullis(&["history", "--as", "max", "policy/closed"]).unwrap();
    let history = said(&history);
    assert!(history.contains("documents 2") && history.contains("removed"), "{history}");
}

#[test]
fn a_broken_change_changes_nothing_and_says_where() {
    let arena = arena("");
    let directory = documents(&arena);
    write(&directory, "policies/closed.cedar", CLOSED);
    apply(&arena, &[]);
    let mut running = arena.client("claude").unwrap();
    let good = connection(&arena, "test", "");
    let broken = [
        (
            "policies/closed.cedar",
            "forbid (principal, action, resource) wen { true };",
            "policies/closed.cedar:1",
        ),
        (
            "policies/closed.cedar",
            "@id(\"x\") @reason(\"x\")\nforbid (principal, action == Action::\"reed\", resource);\n",
            "policies/closed.cedar",
        ),
        (
            "connections/more.toml",
            &format!("{good}usr = \"x\"\n"),
            "connections/more.toml:11: unknown field `usr`",
        ),
        ("connections/shop.toml", &good, "is the configuration file's"),
        (
            "connections/more.toml",
            &good.replace("password_from = \"file:app.password\"", "password = \"hunter2\""),
            "target.password",
        ),
        (
            "connections/more.toml",
            &good.replace("file:app.password", "file:data/keys/pseudonym"),
            "documents.credentials",
        ),
        ("connections/Ü.toml", &good, "a name has"),
    ];
    for (at, (file, text, expect)) in broken.into_iter().enumerate() {
        // What is good beside it is not done either.
        write(&directory, "policies/also.cedar", NO_DELETES);
        write(&directory, file, text);
        let (code, said) = apply_as(&arena, "max", &["--yes"]);
        assert!(
            matches!(code, Some(1 | 2)) && said.replace("\n", " ").contains(expect),
            "{file}: {said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
        // The same again and again would be answered slowly.
        let asked = format!("{ORDERS} WHERE id > {at}");
        assert!(ask(&mut running, &asked).contains("orders are closed"), "{file}");
        fs::remove_file(directory.join(file)).unwrap();
        write(&directory, "policies/closed.cedar", CLOSED);
    }
    let listed = call(&arena, "max", "GET /api/v1/documents", &[], &Value::Null).json();
    assert_eq!(
        (&listed["revision"], listed["documents"].as_array().unwrap().len()),
        (&json!(1), 1)
    );
    assert!(!journal(&arena).contains("hunter2"));
    // A whole directory is one call; what is far too large is not read.
    let many = |count: usize, bytes: usize| {
        let text = format!("// {}\n", "x".repeat(bytes));
        let one = |n| json!({ "kind": "policy", "name": format!("p{n}"), "text": text });
        json!({ "documents": (0..count).map(one).collect::<Vec<_>>() })
    };
    for (body, status) in
        [(many(10, 40 << 10), 200), (many(1, 200 << 10), 422), (many(23, 48 << 10), 413)]
    {
        let answer = call(&arena, "max", "POST /api/v1/documents/plan", &[], &body);
        assert_eq!(answer.status, status, "{}", &answer.body[..answer.body.len().min(300)]);
    }
    let elsewhere = call(&arena, "max", "POST /api/v1/explain", &[], &many(4, 48 << 10));
    assert_eq!(elsewhere.status, 413, "{}", elsewhere.body);
}

#[test]
fn a_connection_comes_is_masked_moves_and_goes() {
    let arena = arena("");
    let directory = documents(&arena);
    write(&directory, "connections/more.toml", &connection(&arena, "test", ""));
    apply(&arena, &[]);
    let mut running = client(&arena, "more");
    let plain = ask(&mut running, EMAIL);
    assert!(plain.contains('@'), "{plain}");
    // The next answer of a session that has been there is masked, also of what it has prepared.
    ask(&mut running, &format!("PREPARE p AS {EMAIL}"));
    write(&directory, "connections/more.toml", &connection(&arena, "test", MASKED));
    apply(&arena, &[]);
    for asked in [EMAIL, "EXECUTE p"] {
        let masked = ask(&mut running, asked);
        assert!(!masked.contains('@') && masked.contains("[masked"), "{asked}: {masked}");
    }
    // Whom it does not let in any more does not stay.
    let closed = connection(&arena, "test", MASKED).replace("\"agents\"", "\"nobody\"");
    write(&directory, "connections/more.toml", &closed);
    apply(&arena, &[]);
    running.ask("SELECT 1").unwrap();
    let heard = to_the_end(&mut running);
    assert!(heard.contains("42501") && !heard.contains("T ?column?"), "{heard}");
    write(&directory, "connections/more.toml", &connection(&arena, "test", MASKED));
    apply(&arena, &[]);
    // One that is another place from then on ends the sessions there are, told why.
    let other = connection(&arena, "production", MASKED);
    write(&directory, "connections/more.toml", &other);
    let clients = [client(&arena, "more"), client(&arena, "more")];
    apply(&arena, &[]);
    for mut client in clients {
        let heard = to_the_end(&mut client);
        assert!(heard.contains("28000") && heard.contains("changed or removed"), "{heard}");
    }
    assert!(ask(&mut client(&arena, "more"), "SELECT 1").contains('1'));
    fs::remove_file(directory.join("connections/more.toml")).unwrap();
    apply(&arena, &["--prune"]);
    let token = arena.token("claude").unwrap();
    assert!(RawClient::log_in(arena.postgres, "claude", "more", &token).is_err());
}

#[test]
fn an_approval_is_for_the_rules_it_was_given_under() {
    let arena = arena("");
    arena.server.sql("shop", "DELETE FROM payments").unwrap();
    let directory = documents(&arena);
    let orders = || arena.truth("SELECT count(*) FROM orders").unwrap();
    let before = orders();
    let mut agent = arena.client("claude").unwrap();
    agent.ask("DELETE FROM orders WHERE id = 1").unwrap();
    let (first, _) = agent.held().unwrap();
    // Something has changed, whatever it is: people are asked again, and are told why.
    write(&directory, "policies/closed.cedar", CLOSED);
    apply(&arena, &[]);
    let approve = |review: &str| {
        let done = arena.portcullis(&["review", "--as", "bo", "approve", review]).unwrap();
        assert!(done.status.success(), "{}", said(&done));
    };
    approve(&first);
    let (second, notice) = agent.held().unwrap();
    assert_ne!(first, second);
    assert!(notice.contains("policy or mask rules changed"), "{notice}");
    assert_eq!(orders(), before);
    // What may not run at all any more does not.
    write(&directory, "policies/deletes.cedar", NO_DELETES);
    apply(&arena, &[]);
    approve(&second);
    let refused = told(&agent.until(b'Z').unwrap());
    assert!(refused.contains("nothing is deleted today"), "{refused}");
    assert_eq!(orders(), before);
}

#[test]
fn of_two_who_change_at_once_the_second_is_told() {
    let arena = arena("");
    let body = |text: &str| json!({ "documents": [{ "kind": "policy", "name": "a", "text": text }], "revision": 0 });
    let first = call(&arena, "max", "POST /api/v1/documents/apply", &[], &body(CLOSED));
    assert_eq!(first.status, 200, "{}", first.body);
    let second = call(&arena, "max", "POST /api/v1/documents/apply", &[], &body(NO_DELETES));
    assert_eq!(second.status, 412, "{}", second.body);
    // One document: what there is is changed by who has seen it.
    let of = "/api/v1/documents/policy.a";
    let text = json!({ "text": NO_DELETES });
    assert_eq!(call(&arena, "max", &format!("PUT {of}"), &[], &text).status, 428);
    let stale = [("If-Match", "\"stale\"")];
    assert_eq!(call(&arena, "max", &format!("PUT {of}"), &stale, &text).status, 412);
    let shown = call(&arena, "max", &format!("GET {of}"), &[], &Value::Null);
    let tag = shown.headers("etag").next().unwrap().to_owned();
    let put = call(&arena, "max", &format!("PUT {of}"), &[("If-Match", &tag)], &text);
    assert_eq!(put.status, 200, "{}", put.body);
    let again = call(&arena, "max", &format!("DELETE {of}"), &[("If-Match", &tag)], &Value::Null);
    assert_eq!(again.status, 412, "it has changed: {}", again.body);
    let shown = call(&arena, "max", &format!("GET {of}"), &[], &Value::Null);
    let tag = shown.headers("etag").next().unwrap().to_owned();
    let gone = call(&arena, "max", &format!("DELETE {of}"), &[("If-Match", &tag)], &Value::Null);
    assert_eq!(gone.status, 200, "{}", gone.body);
    assert_eq!(call(&arena, "max", &format!("GET {of}"), &[], &Value::Null).status, 404);
    let all = call(&arena, "max", "GET /api/v1/documents", &[], &Value::Null).json();
    assert_eq!((&all["revision"], &all["in_force"]), (&json!(3), &json!(3)));
}

#[test]
fn a_directory_is_watched_and_what_is_broken_in_it_leaves_what_was() {
    let arena = arena("directory = \"documents\"\n");
    let directory = documents(&arena);
    let mut running = arena.client("claude").unwrap();
    write(&directory, "policies/closed.cedar", CLOSED);
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    let trouble = || {
        let all = call(&arena, "max", "GET /api/v1/documents", &[], &Value::Null).json();
        all["trouble"].as_str().unwrap_or_default().to_owned()
    };
    until("a part that is missing is told", || trouble().contains("connections: it is not there"));
    fs::create_dir(directory.join("connections")).unwrap();
    fs::set_permissions(directory.join("connections"), fs::Permissions::from_mode(0o755)).unwrap();
    until("it is taken up", || ask(&mut running, ORDERS).contains("orders are closed"));
    until("nothing is wrong", || trouble().is_empty());
    write(&directory, "policies/closed.cedar", "forbid (principal, ");
    until("it is told", || trouble().contains("policies/closed.cedar:1"));
    assert!(ask(&mut running, ORDERS).contains("orders are closed"));
    assert!(journal(&arena).lines().any(|l| l.contains("documents_kept")));
    // What anybody may write is not taken.
    write(&directory, "policies/closed.cedar", NO_DELETES);
    fs::set_permissions(directory.join("policies"), fs::Permissions::from_mode(0o777)).unwrap();
    until("it is refused", || trouble().contains("others may write it"));
    assert!(ask(&mut running, ORDERS).contains("orders are closed"));
    // The API changes nothing here.
    let (code, text) = apply_as(&arena, "max", &["--yes"]);
    assert!(code == Some(1) && text.contains("directory"), "{text}");
    fs::set_permissions(directory.join("policies"), fs::Permissions::from_mode(0o755)).unwrap();
    until("it is taken up", || !ask(&mut running, ORDERS).contains("closed"));
    fs::remove_file(directory.join("policies/closed.cedar")).unwrap();
    let documents = || {
        let all = call(&arena, "max", "GET /api/v1/documents", &[], &Value::Null).json();
        all["documents"].as_array().unwrap().len()
    };
    until("it is removed", || documents() == 0);
}
