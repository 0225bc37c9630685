//! What is not to be kept any longer goes from a running gateway's disk, what is held stays, and the record verifies.

use portcullis_testkit::arena::{Arena, Setup, contents_below};
use portcullis_testkit::web::http;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use std::time::{Duration, Instant};

const RULES: &str = "[administration]\ngroups = [\"admins\"]\n[audit]\ngroups = [\"admins\"]\n\
    [recording]\nsample_rows = 5\n\
    [[retention]]\nname = \"short\"\nrecordings = \"2s\"\nreads = \"4s\"\nrequests = \"4s\"\nsessions = \"8s\"\n\
    [[retention]]\nname = \"long\"\nconnections = [\"elsewhere\"]\nsessions = \"7y\"\n";
const SOON: Duration = Duration::from_secs(40);

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn run(arena: &Arena, arguments: &[&str]) -> String {
    let output = arena.portcullis(arguments).unwrap();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", said(&output));
    said(&output)
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Whether a text stands in any file of the record.
fn is_kept(arena: &Arena, text: &str) -> bool {
    let below = [arena.data().join("journal"), arena.data().join("recordings")];
    let all = below.iter().flat_map(|directory| contents_below(directory));
    all.into_iter().any(|(_, bytes)| bytes.windows(text.len()).any(|w| w == text.as_bytes()))
}

fn recordings(arena: &Arena) -> usize {
    fs::read_dir(arena.data().join("recordings")).unwrap().count()
}

/// A document, or with no text none.
fn hold(arena: &Arena, text: Option<&str>) {
    let directory = arena.directory().join("documents");
    for directory in [directory.clone(), directory.join("holds")] {
        fs::create_dir_all(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let file = directory.join("holds/case-7.toml");
    match text {
        Some(text) => fs::write(&file, text).unwrap(),
        None => fs::remove_file(&file).unwrap(),
    }
    let directory = directory.to_str().unwrap();
    run(arena, &["apply", "--as", "max", "--yes", "--prune", "-f", directory]);
}

fn listed(arena: &Arena) -> Vec<String> {
    let token = format!("Bearer {}", arena.token("max").unwrap());
    let headers = [("Authorization", token.as_str())];
    let answer = http(arena.http, "GET /api/v1/recordings", &headers, "").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let found: Value = serde_json::from_str(&answer.body).unwrap();
    let all = found.as_array().unwrap();
    all.iter().map(|one| one["who"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_due_goes_and_what_is_held_stays_until_it_is_not() {
    let setup = Setup { more: RULES.to_owned(), ..Setup::agent_safe() };
    let mut arena = Arena::start(&setup).unwrap();
    let wrong = arena.directory().join("documents/holds");
    fs::create_dir_all(&wrong).unwrap();
    fs::set_permissions(wrong.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&wrong, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(wrong.join("case-7.toml"), "principals = [\"hal\"]\n").unwrap();
    let directory = wrong.parent().unwrap().to_str().unwrap().to_owned();
    let refused = arena.portcullis(&["apply", "--as", "max", "--yes", "-f", &directory]).unwrap();
    assert!(
        said(&refused).contains("holds/case-7.toml") && said(&refused).contains("reason"),
        "{}",
        said(&refused)
    );
    hold(&arena, Some("reason = \"case 7\"\nprincipals = [\"hal\"]\n"));

    arena
        .psql("claude", "SELECT 'of-claude' AS mark, id FROM customers ORDER BY id LIMIT 2")
        .unwrap();
    arena.psql("hal", "SELECT 'of-hal' AS mark, id FROM customers ORDER BY id LIMIT 2").unwrap();
    assert!(is_kept(&arena, "of-claude") && is_kept(&arena, "of-hal"));
    assert_eq!(listed(&arena).len(), 2);
    until("the recording is still there", || recordings(&arena) == 1);
    until("what was said is still there", || !is_kept(&arena, "of-claude"));
    assert!(is_kept(&arena, "of-hal"));
    let good = run(&arena, &["audit", "verify"]);
    assert!(good.contains("removed by the rules of retention: what "), "{good}");
    until("the session is still listed", || listed(&arena).len() == 1);
    assert!(listed(&arena)[0].contains("hal"), "{:?}", listed(&arena));
    // It warns that so little time is hardly meant.
    let health = said(&arena.portcullis(&["health", "--as", "max", "--json"]).unwrap());
    assert!(health.contains("something is kept for less than a day"), "{health}");
    assert!(health.contains("kept by the hold case-7"), "{health}");
    let plan = run(&arena, &["retention", "plan"]);
    assert!(plan.contains("held: 1 sessions") && plan.contains("case-7"), "{plan}");
    // An auditor finds in the record what was removed, and by which rule.
    let told: Vec<Value> = entries(&arena);
    let removed = |event: &str| told.iter().filter(|e| e["event"] == event).count();
    assert!(removed("contents_removed") >= 1 && removed("recording_removed") == 1);
    assert!(told.iter().any(|e| e["why"][0]["rule"] == "short"));

    // Killed at any time, it goes on.
    arena.kill_gateway().unwrap();
    arena.start_gateway().unwrap();
    assert!(is_kept(&arena, "of-hal"));
    hold(&arena, None);
    until("the held recording is still there", || recordings(&arena) == 0);
    until("what was held is still there", || !is_kept(&arena, "of-hal"));
    arena.psql("claude", "SELECT 'later' AS mark").unwrap();
    arena.stop_gateway();
    let good = run(&arena, &["audit", "verify"]);
    assert!(good.contains("good: ") && good.contains("2 recordings"), "{good}");
}

fn entries(arena: &Arena) -> Vec<Value> {
    let text = run(arena, &["audit", "export", "--format", "jsonl"]);
    text.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|line| line.get("entry").cloned())
        .collect()
}
