//! Recorded sessions: who finds and reads them, what is recorded of that, and what is shown where a record is
//! damaged or cannot be written; sessions that are watched; and sessions that are paused.

use portcullis_testkit::arena::{Arena, Setup, binary};
use portcullis_testkit::browser;
use portcullis_testkit::raw::{Message, RawClient, extended, message};
use portcullis_testkit::web::{Answer, http};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::FileExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const RULES: &str = r#"
@id("signed-off") @review("dba") @reason("a DBA signs it off")
forbid (principal, action == Action::"delete", resource is Relation)
when { resource.name == "signed" } unless { context.approvals.contains("dba") };
@id("closed") @reason("nobody reads it")
forbid (principal, action, resource is Relation) when { resource.name == "closed" };
"#;

const TABLES: &str = "
CREATE TABLE signed AS SELECT n AS id FROM generate_series(1, 9) n;
CREATE TABLE closed (id int);
CREATE TABLE notes (id int, note text);";

/// Text that would do something, were it shown as it is.
const HOSTILE: &str = "\u{202e}<script>alert(1)</script>\u{1b}[2J\u{200b}";

fn setup() -> Setup {
    let mut setup = Setup::allow_all();
    setup.policy = "[policy]\npacks = [\"allow-all\"]\nfiles = [\"own.cedar\"]\n".to_owned();
    setup.more = "[administration]\ngroups = [\"leads\"]\npaused_request = \"3s\"\n\
                  [audit]\ngroups = [\"admins\"]\n"
        .to_owned();
    setup
}

fn start(setup: &Setup) -> Arena {
    let arena = Arena::start_with(setup, &[("own.cedar", RULES)]).unwrap();
    arena.server.sql("shop", TABLES).unwrap();
    arena
}

fn ask(arena: &Arena, who: &str, request: &str, body: &Value) -> Answer {
    let token = format!("Bearer {}", arena.token(who).unwrap());
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
    http(arena.http, request, &headers, &body).unwrap()
}

fn get(arena: &Arena, who: &str, path: &str) -> Answer {
    ask(arena, who, &format!("GET /api/v1{path}"), &Value::Null)
}

fn rows(arena: &Arena, who: &str, path: &str) -> Vec<Value> {
    let answer = get(arena, who, path);
    assert_eq!(answer.status, 200, "{path} as {who}: {}", answer.body);
    answer.json().as_array().unwrap().clone()
}

fn ids(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["id"].as_str().unwrap()).collect()
}

/// The entries of the journal that have this event.
fn journal(arena: &Arena, event: &str) -> Vec<Value> {
    let files = std::fs::read_dir(arena.data().join("journal")).unwrap();
    let text: String =
        files.filter_map(|e| std::fs::read_to_string(e.unwrap().path()).ok()).collect();
    let lines = text.lines().filter_map(|line| line.split('\t').next());
    let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let entries = lines.filter_map(|mut line| line.get_mut("entry").map(Value::take));
    entries.filter(|entry| entry["event"] == event).collect()
}

/// The live session of this caller's.
fn live(arena: &Arena, name: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let sessions = rows(arena, "lea", "/sessions");
        let own = sessions.iter().find(|s| s["principal"]["name"] == name);
        if let Some(session) = own.filter(|s| s["state"] != "log-in") {
            return session["id"].as_str().unwrap().to_owned();
        }
        assert!(Instant::now() < deadline, "{name} is not there: {sessions:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A session of claude's that is over, with something of each kind; its id.
fn story(arena: &Arena) -> String {
    let mut client = arena.client("claude").unwrap();
    let id = live(arena, "claude");
    let bound = [Some(format!("bound {HOSTILE}"))];
    let insert = extended(b"INSERT INTO notes VALUES (1, $1)", &bound, false);
    client.send(&[insert, message(b'S', b"")].concat()).unwrap();
    client.until(b'Z').unwrap();
    client.query("SELECT * FROM closed").unwrap();
    client.query(&format!("SELECT note AS \"x{HOSTILE}\" FROM notes")).unwrap();
    client.ask("DELETE FROM signed WHERE id = 3").unwrap();
    let (review, _) = client.held().unwrap();
    let answer = ask(arena, "bo", &format!("POST /api/v1/reviews/{review}/approve"), &Value::Null);
    assert_eq!(answer.status, 200, "{}", answer.body);
    client.until(b'Z').unwrap();
    drop(client);
    while rows(arena, "lea", "/sessions").iter().any(|s| s["id"] == *id) {
        std::thread::sleep(Duration::from_millis(20));
    }
    id
}

fn whole(arena: &Arena, who: &str, id: &str) -> Vec<Value> {
    rows(arena, who, &format!("/recordings/{id}/timeline?limit=500"))
}

#[test]
fn a_record_is_found_and_read_by_those_it_is_for_and_that_is_recorded() {
    let arena = start(&setup());
    let id = story(&arena);
    let mut others = arena.client("deckard").unwrap();
    others.query("SELECT 'something else'").unwrap();
    let other = live(&arena, "deckard");

    // Who may see claude's, who acts for ana.
    let nothing = "ses_0000000000001";
    for (who, sees) in [
        ("claude", true),
        ("ana", true),
        ("lea", true),
        ("max", true),
        ("bo", false),
        ("mia", false),
        ("deckard", false),
        ("hal", false),
    ] {
        let found = rows(&arena, who, "/recordings");
        assert_eq!(ids(&found).contains(&id.as_str()), sees, "{who}: {found:#?}");
        for text in ["closed", "bound"] {
            let found = rows(&arena, who, &format!("/recordings?text={text}"));
            assert_eq!(ids(&found).contains(&id.as_str()), sees, "{who}: {found:#?}");
        }
        for path in ["", "/timeline", "/file"] {
            let before = journal(&arena, "watched").len();
            let (theirs, none) = (
                get(&arena, who, &format!("/recordings/{id}{path}")),
                get(&arena, who, &format!("/recordings/{nothing}{path}")),
            );
            assert_eq!(none.status, 404, "{}", none.body);
            let told = theirs.status == 200;
            assert_eq!(told, sees, "{who} {path}: {} {}", theirs.status, theirs.body);
            if !sees {
                assert_eq!(theirs.body, none.body, "{who} {path}: it can be told apart");
            }
            let watched = journal(&arena, "watched");
            let new = usize::from(sees && !path.is_empty());
            assert_eq!(watched.len() - before, new, "{who} {path}: {watched:#?}");
            if let Some(last) = watched.last().filter(|_| new == 1) {
                assert_eq!(last["recording"], *id);
                assert_eq!(last["by"]["name"], who);
                assert_eq!(last["how"], if path == "/file" { "file" } else { "timeline" });
                assert!(last["session"].is_null(), "it is in no timeline: {last:#}");
            }
        }
    }
    // Agents see one another's as little as people do.
    assert_eq!(get(&arena, "claude", &format!("/recordings/{other}")).status, 404);
    assert_eq!(ids(&rows(&arena, "deckard", "/recordings")), [other.as_str()]);
    assert_eq!(ids(&rows(&arena, "bo", "/recordings")), [other.as_str()]);

    // People are told who looked, agents are not.
    let shown = get(&arena, "ana", &format!("/recordings/{id}")).json();
    let watched = shown["watched"].as_array().unwrap();
    assert!(watched.iter().any(|w| w["who"] == "max" && w["how"] == "file"), "{watched:#?}");
    let shown = get(&arena, "claude", &format!("/recordings/{id}")).json();
    assert!(shown["watched"].is_null() && !shown.to_string().contains("max"), "{shown:#}");

    filters(&arena, &id, &other);
    timeline(&arena, &id);
    file(&arena, &id);
    index(arena, &id);
}

fn filters(arena: &Arena, id: &str, other: &str) {
    let (own, others) = (vec![id], vec![other]);
    let both = vec![other, id];
    let moment = |id: &str, name: &str| {
        let shown = get(arena, "max", &format!("/recordings/{id}")).json();
        shown[name].as_i64().unwrap_or_else(|| panic!("{name}: {shown:#}"))
    };
    let (closed, opened) = (moment(id, "closed"), moment(other, "opened"));
    for (query, expected) in [
        (String::new(), both.clone()),
        ("principal=claude".to_owned(), own.clone()),
        ("principal=ana".to_owned(), own.clone()),
        ("agent=deckard".to_owned(), others.clone()),
        ("agent=ana".to_owned(), vec![]),
        ("person=ana".to_owned(), own.clone()),
        ("person=claude".to_owned(), vec![]),
        ("connection=shop".to_owned(), both),
        ("connection=sho".to_owned(), vec![]),
        ("verdict=refused".to_owned(), own.clone()),
        ("verdict=held".to_owned(), own.clone()),
        ("verdict=held&agent=deckard".to_owned(), vec![]),
        ("object=public.signed".to_owned(), own.clone()),
        ("object=%25".to_owned(), vec![]),
        ("text=SOMETHING%20else".to_owned(), others.clone()),
        ("text=alert(1)".to_owned(), own.clone()),
        ("text=%E2%80%AE%3Cscript".to_owned(), own.clone()),
        (format!("from={}", closed + 1), others),
        (format!("to={}", opened - 1), own),
        ("principal=%27%20OR%201=1--".to_owned(), vec![]),
    ] {
        let found = rows(arena, "max", &format!("/recordings?{query}"));
        assert_eq!(ids(&found), expected, "{query}: {found:#?}");
    }
    for wrong in ["text=", "verdict=maybe", "from=x", "limit=0", "cursor=x"] {
        let answer = get(arena, "max", &format!("/recordings?{wrong}"));
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.body);
    }
    // What was found can be gone to.
    let found = rows(arena, "max", "/recordings?text=closed");
    let entry = found[0]["found"].as_u64().unwrap();
    let from = rows(arena, "max", &format!("/recordings/{id}/timeline?from={entry}&limit=1"));
    assert_eq!(from[0]["entry"], entry);
    assert_eq!(from[0]["what"]["shown"]["statements"][0], "SELECT * FROM closed");
    // Searching in texts is recorded, with what was looked for.
    let searches = journal(arena, "watched");
    let said = |text: &str| searches.iter().any(|w| w["how"] == "search" && w["searched"] == text);
    assert!(said("text: closed") && said("object: public.signed"), "{searches:#?}");
    // Page by page it is the same.
    let first = get(arena, "max", "/recordings?limit=1&connection=shop");
    let link = first.headers("link").next().unwrap().to_owned();
    assert!(link.contains("connection=shop&limit=1&cursor="), "{link}");
    let path = link.split(['<', '>']).nth(1).unwrap().strip_prefix("/api/v1").unwrap();
    let second = get(arena, "max", path);
    assert_eq!(ids(second.json().as_array().unwrap()), [id]);
    assert!(second.headers("link").next().is_none());
}

fn timeline(arena: &Arena, id: &str) {
    let all = whole(arena, "max", id);
    let events: Vec<&str> = all.iter().map(|m| m["what"]["event"].as_str().unwrap()).collect();
    for expected in ["session_opened", "intent", "refused", "answer", "outcome", "held", "decided"]
    {
        assert!(events.contains(&expected), "{expected}: {events:?}");
    }
    assert_eq!(events.last(), Some(&"session_closed"), "{events:?}");
    let text = serde_json::to_string(&all).unwrap();
    assert!(text.contains("bound \u{202e}<script>") && text.contains("INSERT INTO notes"));
    let held = all.iter().find(|m| m["what"]["event"] == "held").unwrap();
    assert_eq!(held["what"]["ground"]["rule"], "signed-off");
    let decided = all.iter().find(|m| m["what"]["event"] == "decided").unwrap();
    assert_eq!(decided["what"]["review"], held["what"]["ticket"]["review"]);
    assert!(decided["what"]["by"]["subject"].as_str().unwrap().contains("bo"), "{decided:#}");
    // Pages of any size are the same moments.
    for limit in [1, 2, 3, 7] {
        let mut pages = Vec::new();
        let mut path = Some(format!("/recordings/{id}/timeline?limit={limit}"));
        while let Some(at) = path {
            let answer = get(arena, "max", &at);
            pages.extend(answer.json().as_array().unwrap().clone());
            let link = answer.headers("link").next().map(str::to_owned);
            let next = link.as_deref().and_then(|link| link.split(['<', '>']).nth(1));
            path = next.map(|next| next.strip_prefix("/api/v1").unwrap().to_owned());
        }
        assert_eq!(pages, all, "by {limit}");
    }
    // The command line shows it without obeying it, and has all of it as JSON.
    let shown = arena.portcullis(&["recordings", "--as", "max", "show", id]).unwrap();
    let page = String::from_utf8(shown.stdout).unwrap();
    assert!(page.contains("SELECT * FROM closed"), "{page}");
    assert!(!page.contains('\u{202e}') && !page.contains('\u{1b}'), "{page}");
    let json = arena.portcullis(&["--json", "recordings", "--as", "max", "show", id]).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&json.stdout).unwrap(), Value::Array(all));
    let listed =
        arena.portcullis(&["recordings", "--as", "max", "list", "--text", "closed"]).unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.starts_with(id) && listed.contains(", found in entry "), "{listed}");
}

fn file(arena: &Arena, id: &str) {
    let path = arena.kept_recording(id);
    let kept = std::fs::read(&path).unwrap();
    let answer = get(arena, "max", &format!("/recordings/{id}/file"));
    let length = answer.headers("content-length").next().unwrap();
    assert_eq!(length, kept.len().to_string());
    let named = answer.headers("content-disposition").next().unwrap();
    assert!(named.ends_with(&format!("\"{id}.jsonl.zst\"")), "{named}");
    let closed = journal(arena, "session_closed");
    let closed = closed.iter().find(|entry| entry["session"] == *id).unwrap();
    let digest = answer.headers("portcullis-digest").next().unwrap().to_owned();
    assert_eq!(closed["recording"], *digest);
    let to = arena.directory().join("taken.jsonl");
    let to = to.to_str().unwrap();
    let taken = arena.portcullis(&["recordings", "--as", "max", "file", id, "--to", to]).unwrap();
    assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    assert_eq!(std::fs::read(to).unwrap(), kept);
    // What is cut off in the middle is shown as far as it goes, and that is said.
    let text = zstd::decode_all(&*kept).unwrap();
    let cut = zstd::encode_all(&text[..text.len() - 40], 0).unwrap();
    std::fs::write(&path, cut).unwrap();
    let answer = get(arena, "max", &format!("/recordings/{id}/timeline"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.headers("portcullis-recording").next(), Some("cut"));
    assert!(answer.body.contains("session_closed"));
    let answer = get(arena, "max", &format!("/recordings/{id}/file"));
    assert_ne!(answer.headers("portcullis-digest").next(), Some(digest.as_str()));
    std::fs::write(&path, &kept).unwrap();
}

/// An index that is gone, is none, or says something else is made again from the journal.
fn index(mut arena: Arena, id: &str) {
    let expected = whole(&arena, "max", id);
    let file = arena.data().join("recordings.sqlite");
    for what in ["gone", "garbage", "of another journal", "edited"] {
        arena.stop_gateway();
        let remove = || {
            for ending in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(format!("{}{ending}", file.display()));
            }
        };
        match what {
            "gone" => remove(),
            "garbage" => {
                remove();
                std::fs::write(&file, "this is no database, however long it is").unwrap();
            }
            "of another journal" => sqlite(&file, "UPDATE place SET last = last + 1"),
            _ => sqlite(&file, "UPDATE entry SET start = start + 1"),
        }
        arena.start_gateway().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = get(&arena, "max", &format!("/recordings/{id}/timeline?limit=500"));
            if answer.status == 200 {
                assert_eq!(answer.json(), Value::Array(expected.clone()), "{what}");
                break;
            }
            assert_eq!(answer.status, 503, "{what}: {}", answer.body);
            assert!(Instant::now() < deadline, "{what}: {}", answer.body);
        }
    }
}

/// What is passed over in a journal that is broken while the gateway runs is told where people look, and what
/// stands behind it is found.
#[test]
fn a_broken_journal_is_told_where_people_look() {
    let arena = start(&setup());
    let first = story(&arena);
    let health = |command: &str| {
        let arguments = ["--json", command, "--as", "lea"];
        let count = if command == "doctor" { 2 } else { 4 };
        let out = arena.portcullis(&arguments[..count]).unwrap();
        let said: Value = serde_json::from_slice(&out.stdout).unwrap();
        let findings = said.pointer("/last/findings").or_else(|| said.pointer("/findings"));
        let findings = findings.unwrap().as_array().unwrap().clone();
        let found = findings.into_iter().filter(|one| one["check"] == "recordings");
        (out.status.code(), found.collect::<Vec<_>>())
    };
    for command in ["health", "doctor"] {
        let (_, found) = health(command);
        assert_eq!((found.len(), &found[0]["status"]), (1, &json!("ok")), "{found:#?}");
    }
    // A line that was edited, and one that is longer than any may be.
    let path = arena.data().join("journal/00000000000000000000.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let at = text.lines().position(|line| line.contains("bound ")).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let offset = text.find("bound ").unwrap() as u64;
    file.write_all_at(b"BOUND ", offset).unwrap();
    let mut end = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    let read = text.lines().count();
    end.write_all(&[b"x".repeat(17 << 20), b"\n".to_vec()].concat()).unwrap();
    let second = story(&arena);
    let found = rows(&arena, "max", "/recordings");
    assert!(ids(&found).contains(&second.as_str()), "{found:#?}");
    // What was edited is met when it is read.
    let timeline = format!("/recordings/{first}/timeline?limit=500");
    assert_eq!(get(&arena, "max", &timeline).status, 503);
    let deadline = Instant::now() + Duration::from_secs(20);
    for command in ["health", "doctor"] {
        let (code, found) = loop {
            let (code, found) = health(command);
            let says = found[0]["found"].as_str().unwrap();
            if says.contains("2 lines") || Instant::now() > deadline {
                break (code, found);
            }
        };
        assert_eq!((code, found.len()), (Some(2), 1), "{command}: {found:#?}");
        let says = found[0]["found"].as_str().unwrap();
        assert_eq!(found[0]["status"], "failure");
        assert!(says.starts_with("journal/00000000000000000000.jsonl: 2 lines"), "{says}");
        assert!(says.contains("1 entry is missing"), "{says}");
        assert!(says.contains(&format!("where entry {at} has to be")), "{says}, {at} of {read}");
        assert!(found[0]["next"].as_str().unwrap().contains("portcullis audit verify"));
    }
    let found = rows(&arena, "max", "/recordings");
    assert!(ids(&found).contains(&first.as_str()) && ids(&found).contains(&second.as_str()));
}

/// What a program says that must end well, given some bytes.
fn piped(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{program}: {e}: run ./dev test"));
    let (mut to, input) = (child.stdin.take().unwrap(), input.to_vec());
    let writing = std::thread::spawn(move || to.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A recording that is sealed to an auditor opens with `age` and `zstd`, and with the auditor's key in this
/// program; the gateway, without it, shows what the journal has, and says that the answers are sealed.
#[test]
fn a_sealed_recording_opens_for_its_recipients_with_their_own_tools() {
    let made = piped("age-keygen", &[], b"");
    let text = String::from_utf8(made).unwrap();
    let key = text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).unwrap();
    let public = text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    let mut setup = setup();
    setup.more.push_str(&format!("[recording]\nrecipients = [\"{public}\"]\n"));
    let mut arena = start(&setup);
    let id = story(&arena);
    let path = arena.kept_recording(&id);
    assert!(path.to_str().unwrap().ends_with(".jsonl.zst.age"), "{path:?}");
    let answers = |timeline: &[Value]| timeline.iter().filter(|one| one["entry"].is_null()).count();
    let sealed = format!("/recordings/{id}/timeline?limit=500");
    let shown = get(&arena, "max", &sealed);
    assert_eq!(shown.headers("portcullis-recording").next(), Some("sealed"), "{}", shown.head);
    assert_eq!(answers(&rows(&arena, "max", &sealed)), 0);

    let identity = arena.directory().join("auditor.key");
    std::fs::write(&identity, key).unwrap();
    let identity = identity.to_str().unwrap();
    // With the tools of others.
    let opened =
        piped("age", &["--decrypt", "--identity", identity], &std::fs::read(&path).unwrap());
    let lines = String::from_utf8(piped("zstd", &["--decompress", "--stdout"], &opened)).unwrap();
    let events: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events[0]["recording"], "portcullis-recording/2");
    assert!(events.iter().any(|event| event["event"] == "answer"), "{lines}");
    // With this one.
    let without = arena.portcullis(&["--json", "session", "show", &id]).unwrap();
    assert!(String::from_utf8_lossy(&without.stderr).contains("sealed"), "{without:?}");
    let with =
        arena.portcullis(&["--json", "session", "show", &id, "--identity", identity]).unwrap();
    let recorded = |said: &[u8]| String::from_utf8_lossy(said).matches("\"recorded\"").count();
    assert_eq!((recorded(&without.stdout), recorded(&with.stdout)), (0, events.len() - 1));
    let report = arena.portcullis(&["audit", "verify"]).unwrap();
    assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stdout));

    // A gateway that has a key as well shows what was sealed before, and what is sealed now while it runs.
    arena.stop_gateway();
    let config = std::fs::read_to_string(arena.config()).unwrap();
    let own = config.replace("[recording]\n", "[recording]\nidentity_file = \"auditor.key\"\n");
    std::fs::write(arena.config(), own).unwrap();
    arena.start_gateway().unwrap();
    assert_eq!(answers(&rows(&arena, "max", &sealed)), events.len() - 1);
    let mut client = arena.client("claude").unwrap();
    let running = live(&arena, "claude");
    client.query("SELECT 'while it runs'").unwrap();
    let shows = || get(&arena, "max", &format!("/recordings/{running}/timeline")).body;
    let deadline = Instant::now() + Duration::from_secs(10);
    while !shows().contains("answer") {
        assert!(Instant::now() < deadline, "{}", shows());
        std::thread::sleep(Duration::from_millis(20));
    }
    let lines = arena.data().join(format!("recordings/{running}.jsonl"));
    let lines = std::fs::read_to_string(lines).unwrap();
    assert!(lines.contains("\"sealed\"") && !lines.contains("while it runs"), "{lines}");
    drop(client);
    let _ = arena.kept_recording(&running);
}

/// A session plays in asciinema's own player, and what was refused or held can be jumped to.
#[test]
fn a_session_plays_in_a_player_of_terminal_recordings() {
    let arena = start(&setup());
    let id = story(&arena);
    let cast = arena.directory().join("session.cast");
    let to = cast.to_str().unwrap();
    let written = arena.portcullis(&["session", "cast", &id, "--to", to]).unwrap();
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let again = arena.portcullis(&["session", "cast", &id, "--to", to]).unwrap();
    assert!(!again.status.success(), "nothing is written over");
    let text = std::fs::read_to_string(&cast).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["version"], 3);
    // Of what callers wrote no sequence is left that a terminal would act on: what there is are the colours.
    let said: String = lines.iter().skip(1).filter_map(|line| line[2].as_str()).collect();
    let acts = said.split('\u{1b}').skip(1).filter(|rest| {
        let rest = rest.strip_prefix('[').unwrap_or("no");
        !rest.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with('m')
    });
    assert_eq!(acts.count(), 0, "{said:?}");
    assert!(!said.contains('\u{202e}') && said.contains("U+202E"), "{said:?}");
    let played = browser::run(&arena, "cast.mjs", &[("CAST", to.to_owned())]).unwrap();
    let played: Value = serde_json::from_str(played.lines().last().unwrap()).unwrap();
    let markers: Vec<&str> =
        played["markers"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    let kinds: Vec<&str> = markers.iter().filter_map(|one| one.split(',').next()).collect();
    assert_eq!(kinds, ["refused", "held", "decided"], "{played:#}");
    let text = played["text"].as_str().unwrap();
    assert!(text.contains("DELETE FROM signed"), "{played:#}");
}

/// A gateway that verifies its record stops when it is told to, however long the record is.
#[test]
fn a_gateway_that_verifies_its_record_stops_at_once() {
    let mut arena = start(&setup());
    let id = story(&arena);
    // Minutes of reading, and nothing on the disk.
    let path = arena.kept_recording(&id);
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(1 << 38).unwrap();
    let answer = ask(&arena, "lea", "POST /api/v1/audit", &json!({}));
    assert_eq!(answer.status, 202, "{}", answer.body);
    std::thread::sleep(Duration::from_millis(500));
    let stands = get(&arena, "lea", "/audit").json();
    assert!(stands["running"].is_i64() && stands["last"].is_null(), "{stands:#}");
    let (pid, begun) = (arena.gateway_pid().unwrap(), Instant::now());
    arena.stop_gateway();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "gateway {pid} took {took:?}");
    let log = std::fs::read_to_string(arena.log_file()).unwrap();
    assert!(log.contains("stopping"), "{log}");
}

/// Changes a database of a gateway that is stopped.
fn sqlite(file: &std::path::Path, sql: &str) {
    let script = "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); \
                  c.commit(); c.close()";
    let done = Command::new("python3").args(["-c", script]).arg(file).arg(sql).status().unwrap();
    assert!(done.success(), "{sql}");
}

/// Where it cannot be recorded who reads, nobody reads.
#[test]
fn on_a_full_disk_nothing_is_shown() {
    let mut arena = start(&setup());
    let id = story(&arena);
    assert_eq!(get(&arena, "max", &format!("/recordings/{id}/timeline")).status, 200);
    arena.stop_gateway();
    let script = "trap '' XFSZ; exec \"$0\" --config \"$1\" serve";
    let mut gateway = Command::new("sh");
    gateway.args(["-c", script]).arg(binary()).arg(arena.config());
    gateway.stdout(Stdio::null()).stderr(Stdio::null());
    let mut gateway = Running(gateway.spawn().unwrap());
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(arena.http).is_err() {
        assert!(Instant::now() < deadline, "it does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Everything is asked for once, so that nothing but the journal has to be written.
    assert_eq!(get(&arena, "max", &format!("/recordings/{id}/timeline")).status, 200);
    assert_eq!(get(&arena, "max", "/recordings").status, 200);
    let tokens = ["max", "claude"].map(|name| arena.token(name).unwrap());
    let pid = gateway.0.id().to_string();
    let limited = Command::new("prlimit").args(["--pid", &pid, "--fsize=1"]).status().unwrap();
    assert!(limited.success());
    for token in &tokens {
        for path in ["timeline", "file"] {
            let token = format!("Bearer {token}");
            let request = format!("GET /api/v1/recordings/{id}/{path}");
            let headers = [("Authorization", token.as_str())];
            let answer = http(arena.http, &request, &headers, "").unwrap();
            assert_eq!(answer.status, 503, "{path}: {}", answer.body);
            assert!(!answer.body.contains("notes"), "{path}: {}", answer.body);
            assert!(answer.body.contains("cannot be"), "{path}: {}", answer.body);
        }
    }
    gateway.0.kill().unwrap();
    gateway.0.wait().unwrap();
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Somebody who watches.
struct Watcher {
    stream: TcpStream,
    heard: String,
}

impl Watcher {
    fn begin(arena: &Arena, token: &str, id: &str) -> Self {
        let mut stream = TcpStream::connect(arena.http).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        write!(
            stream,
            "GET /api/v1/sessions/{id}/watch HTTP/1.1\r\nHost: {}\r\n\
             Connection: close\r\nAuthorization: Bearer {token}\r\n\r\n",
            arena.http
        )
        .unwrap();
        Self { stream, heard: String::new() }
    }

    /// Whether this is heard in time.
    fn hears(&mut self, what: &str, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut piece = [0; 65536];
        while !self.heard.contains(what) {
            match self.stream.read(&mut piece) {
                Ok(0) => {
                    self.heard.push_str("\nEND");
                    return self.heard.contains(what);
                }
                Ok(count) => self.heard.push_str(&String::from_utf8_lossy(&piece[..count])),
                Err(_) if Instant::now() > deadline => return false,
                Err(_) => {}
            }
        }
        true
    }
}

const SOON: Duration = Duration::from_secs(8);

#[test]
fn a_session_is_watched_as_it_happens_by_those_it_is_for() {
    let mut setup = setup();
    setup.provider = "token_ttl_seconds = 12\n".to_owned();
    let arena = start(&setup);
    // They expire before the session does.
    let tokens = ["max", "ana", "claude"].map(|who| arena.token(who).unwrap());
    std::thread::sleep(Duration::from_secs(6));
    let mut client = arena.client("claude").unwrap();
    let id = live(&arena, "claude");
    client.query("SELECT 'before'").unwrap();
    for who in ["bo", "mia", "deckard", "hal"] {
        let answer = get(&arena, who, &format!("/sessions/{id}/watch"));
        let none = get(&arena, who, "/sessions/ses_0000000000001/watch");
        assert_eq!((answer.status, &answer.body), (404, &none.body), "{who}");
    }
    assert!(journal(&arena, "watched").is_empty());
    let mut watchers = tokens.map(|token| Watcher::begin(&arena, &token, &id));
    for watcher in &mut watchers {
        assert!(watcher.hears("SELECT 'before'", SOON), "{}", watcher.heard);
    }
    let started = Instant::now();
    client.query(&format!("SELECT '{HOSTILE}' AS during")).unwrap();
    for watcher in &mut watchers {
        assert!(watcher.hears("AS during", SOON), "{}", watcher.heard);
        assert!(watcher.hears("\"event\":\"answer\"", SOON), "{}", watcher.heard);
        assert!(!watcher.heard.contains('\u{1b}'), "{}", watcher.heard);
    }
    println!("all have seen it after {:?}", started.elapsed());
    // Nobody who is watched is told so.
    let own = get(&arena, "claude", "/sessions");
    assert!(!own.body.contains("watch"), "{}", own.body);
    let watched = journal(&arena, "watched");
    assert_eq!(watched.iter().filter(|w| w["how"] == "live").count(), 3, "{watched:#?}");
    // Whose right is over is cut off, and the session goes on.
    let expired = Instant::now();
    assert!(watchers[0].hears("\nEND", Duration::from_secs(20)), "{}", watchers[0].heard);
    println!("cut off after {:?}", expired.elapsed());
    let answered = client.query("SELECT 'still there'").unwrap();
    assert!(text(&answered).contains("still there"), "{}", text(&answered));
    assert!(!watchers[0].heard.contains("event: ended"), "{}", watchers[0].heard);
    let deadline = Instant::now() + SOON;
    while journal(&arena, "watched").iter().filter(|w| w["how"] == "live_ended").count() < 3 {
        assert!(Instant::now() < deadline, "{:#?}", journal(&arena, "watched"));
        std::thread::sleep(Duration::from_millis(100));
    }
    // A session that ends while it is watched; also on the command line.
    drop(client);
    let mut client = arena.client("claude").unwrap();
    let id = loop {
        let found = live(&arena, "claude");
        if found != id {
            break found;
        }
    };
    let mut watcher = Watcher::begin(&arena, &arena.token("max").unwrap(), &id);
    let child = Command::new(binary())
        .args(["--config", arena.config().to_str().unwrap(), "watch", "--as", "max", &id])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(watcher.hears("session_opened", SOON), "{}", watcher.heard);
    std::thread::sleep(Duration::from_millis(500));
    client.query("SELECT 'the last'").unwrap();
    drop(client);
    assert!(watcher.hears("event: ended", SOON), "{}", watcher.heard);
    assert!(watcher.heard.contains("session_closed"), "{}", watcher.heard);
    let said = child.wait_with_output().unwrap();
    assert!(said.status.success());
    assert!(String::from_utf8(said.stdout).unwrap().contains("SELECT 'the last'"));
}

fn pause(arena: &Arena, id: &str, seconds: u32) {
    let body = json!({ "seconds": seconds, "reason": "look <first>" });
    let answer = ask(arena, "lea", &format!("POST /api/v1/sessions/{id}/pause"), &body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["recorded"], true);
}

fn resume(arena: &Arena, id: &str) {
    let answer = ask(arena, "lea", &format!("POST /api/v1/sessions/{id}/resume"), &json!({}));
    assert_eq!(answer.status, 200, "{}", answer.body);
}

fn state(arena: &Arena, id: &str, state: &str) {
    let deadline = Instant::now() + SOON;
    loop {
        let sessions = rows(arena, "lea", "/sessions");
        let own = sessions.iter().find(|s| s["id"] == id).unwrap();
        if own["state"] == state {
            return;
        }
        assert!(Instant::now() < deadline, "{own:#}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn text(seen: &[Message]) -> String {
    seen.iter().map(Message::shown).collect::<Vec<_>>().join("\n")
}

/// What the target knows of the notes, in any session's eyes.
fn notes(arena: &Arena) -> String {
    arena.truth("SELECT count(*) FROM notes").unwrap()
}

#[test]
fn nothing_is_sent_while_a_session_is_paused() {
    let arena = start(&setup());
    let mut client = arena.client("claude").unwrap();
    let id = live(&arena, "claude");
    for who in ["claude", "ana", "bo", "max", "hal"] {
        let body = json!({ "seconds": 60, "reason": "no" });
        let answer = ask(&arena, who, &format!("POST /api/v1/sessions/{id}/pause"), &body);
        assert_eq!(answer.status, 403, "{who}: {}", answer.body);
        let answer = ask(&arena, who, &format!("POST /api/v1/sessions/{id}/resume"), &json!({}));
        assert_eq!(answer.status, 403, "{who}: {}", answer.body);
    }
    // The next request waits, is told why, and runs once the session goes on.
    pause(&arena, &id, 60);
    client.ask("INSERT INTO notes VALUES (1, 'waits')").unwrap();
    let notice = client.receive().unwrap().unwrap().shown();
    assert!(notice.starts_with('N') && notice.contains("look <first>"), "{notice}");
    assert!(notice.contains("lea (administrator) has paused this session"), "{notice}");
    state(&arena, &id, "paused");
    assert_eq!(notes(&arena), "0");
    resume(&arena, &id);
    assert!(text(&client.until(b'Z').unwrap()).contains("INSERT 0 1"));
    // One that waits longer than is configured is refused, and nothing of it runs.
    pause(&arena, &id, 60);
    client.ask("INSERT INTO notes VALUES (2, 'too long')").unwrap();
    let seen = text(&client.until(b'Z').unwrap());
    assert!(seen.contains("session-paused") && seen.contains("look <first>"), "{seen}");
    assert_eq!(notes(&arena), "1");
    // It is taken back, byte by byte or not: a client that is gone is gone.
    resume(&arena, &id);
    // Pauses end by themselves.
    pause(&arena, &id, 1);
    client.ask("INSERT INTO notes VALUES (3, 'a second')").unwrap();
    assert!(text(&client.until(b'Z').unwrap()).contains("INSERT 0 1"));
    let deadline = Instant::now() + SOON;
    while !journal(&arena, "session_resumed").iter().any(|e| e["by"].is_null()) {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(50));
    }
    let answer = ask(&arena, "lea", &format!("POST /api/v1/sessions/{id}/resume"), &json!({}));
    assert_eq!(answer.status, 409, "{}", answer.body);
    assert_eq!(journal(&arena, "session_paused").len(), 3);
    in_a_transaction(&arena, &mut client, &id);
    byte_by_byte(&arena, &mut client, &id);
    copying(&arena, &mut client, &id);
    held(&arena, &mut client, &id);
    ended(&arena, client, &id);
}

fn in_a_transaction(arena: &Arena, client: &mut RawClient, id: &str) {
    arena.server.sql("shop", "TRUNCATE notes").unwrap();
    client.query("BEGIN").unwrap();
    client.query("INSERT INTO notes VALUES (1, 'in it')").unwrap();
    pause(arena, id, 60);
    client.ask("COMMIT").unwrap();
    state(arena, id, "paused");
    assert_eq!(notes(arena), "0", "nothing is committed");
    resume(arena, id);
    let seen = text(&client.until(b'Z').unwrap());
    assert!(seen.contains("COMMIT"), "{seen}");
    assert_eq!(notes(arena), "1");
    // Refused in a transaction, it is undone as after any other error.
    client.query("BEGIN").unwrap();
    client.query("INSERT INTO notes VALUES (2, 'in it')").unwrap();
    pause(arena, id, 60);
    let seen = text(&client.query("COMMIT").unwrap());
    assert!(seen.contains("session-paused") && seen.ends_with("Z E"), "{seen}");
    resume(arena, id);
    client.query("ROLLBACK").unwrap();
    assert_eq!(notes(arena), "1");
}

/// A request that has come in part before the pause, and in part while it is.
fn byte_by_byte(arena: &Arena, client: &mut RawClient, id: &str) {
    let bytes = portcullis_testkit::raw::query("INSERT INTO notes VALUES (9, 'bytes')");
    let (first, rest) = bytes.split_at(9);
    client.send(first).unwrap();
    pause(arena, id, 60);
    for byte in rest {
        client.send(&[*byte]).unwrap();
    }
    state(arena, id, "paused");
    assert_eq!(notes(arena), "1");
    resume(arena, id);
    assert!(text(&client.until(b'Z').unwrap()).contains("INSERT 0 1"));
    assert_eq!(notes(arena), "2");
}

fn copying(arena: &Arena, client: &mut RawClient, id: &str) {
    arena.server.sql("shop", "TRUNCATE notes").unwrap();
    client.ask("COPY notes FROM STDIN").unwrap();
    client.until(b'G').unwrap();
    client.send(&message(b'd', b"1\tone\n")).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    pause(arena, id, 60);
    client.send(&[message(b'd', b"2\ttwo\n"), message(b'c', b"")].concat()).unwrap();
    state(arena, id, "paused");
    assert_eq!(notes(arena), "0", "the copy is not over");
    resume(arena, id);
    let seen = text(&client.until(b'Z').unwrap());
    assert!(seen.contains("COPY 2"), "{seen}");
    // One that has to wait too long fails as a whole.
    client.ask("COPY notes FROM STDIN").unwrap();
    client.until(b'G').unwrap();
    pause(arena, id, 60);
    client.send(&[message(b'd', b"3\tthree\n"), message(b'c', b"")].concat()).unwrap();
    let seen = text(&client.until(b'Z').unwrap());
    assert!(seen.contains("has paused this session"), "{seen}");
    resume(arena, id);
    assert_eq!(notes(arena), "2");
}

/// What is approved while the session is paused waits for its end.
fn held(arena: &Arena, client: &mut RawClient, id: &str) {
    client.ask("DELETE FROM signed WHERE id = 5").unwrap();
    let (review, _) = client.held().unwrap();
    pause(arena, id, 60);
    let answer = ask(arena, "bo", &format!("POST /api/v1/reviews/{review}/approve"), &Value::Null);
    assert_eq!(answer.status, 200, "{}", answer.body);
    std::thread::sleep(Duration::from_secs(1));
    let left = "SELECT count(*) FROM signed WHERE id = 5";
    assert_eq!(arena.truth(left).unwrap(), "1");
    resume(arena, id);
    let seen = text(&client.until(b'Z').unwrap());
    assert!(seen.contains("DELETE 1"), "{seen}");
    assert_eq!(arena.truth(left).unwrap(), "0");
}

/// A paused session is ended like any other, and so is one whose client leaves.
fn ended(arena: &Arena, mut client: RawClient, id: &str) {
    pause(arena, id, 60);
    client.ask("INSERT INTO notes VALUES (7, 'never')").unwrap();
    state(arena, id, "paused");
    let body = json!({ "reason": "enough" });
    let answer = ask(arena, "lea", &format!("POST /api/v1/sessions/{id}/kill"), &body);
    assert_eq!(answer.json()["sessions"][0]["over"], true, "{}", answer.body);
    let mut client = arena.client("claude").unwrap();
    let id = live(arena, "claude");
    let paused = arena
        .portcullis(&["pause", "--as", "lea", &id, "--for", "1m", "--reason", "again"])
        .unwrap();
    assert!(paused.status.success(), "{}", String::from_utf8_lossy(&paused.stderr));
    client.ask("INSERT INTO notes VALUES (8, 'never')").unwrap();
    state(arena, &id, "paused");
    drop(client);
    let deadline = Instant::now() + SOON;
    while rows(arena, "lea", "/sessions").iter().any(|s| s["id"] == id) {
        assert!(Instant::now() < deadline, "it waits for nobody");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(notes(arena), "2");
    let answer = ask(arena, "lea", &format!("POST /api/v1/sessions/{id}/resume"), &json!({}));
    assert_eq!(answer.status, 404, "{}", answer.body);
}
