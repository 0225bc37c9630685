//! The console in a browser: `tests/console/console.mjs` says what is tried there.

use portcullis_testkit::arena::{Arena, Setup};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long the browser may take; a few seconds are usual.
const PATIENCE: Duration = Duration::from_secs(240);

const RULES: &str = r#"
@id("signed-off") @review("dba") @reason("a DBA signs it off")
forbid (principal, action == Action::"delete", resource is Relation)
unless { context.approvals.contains("dba") };
@id("rehearsed") @review("dba") @rehearse("30s") @reason("a DBA looks at what it does")
forbid (principal, action == Action::"update", resource is Relation)
when { resource.name == "reviewed" } unless { context.approvals.contains("dba") };
"#;

const TABLES: &str = r#"
CREATE TABLE reviewed AS SELECT n AS id, 0 AS v FROM generate_series(1, 9) n;
ALTER TABLE reviewed ADD PRIMARY KEY (id);
CREATE TABLE signed AS SELECT n AS id FROM generate_series(1, 99) n;
CREATE TABLE "<img src=x onerror=alert(1)>" (note text);
DROP TABLE IF EXISTS payments, order_items CASCADE;
ANALYZE;"#;

fn arena() -> Arena {
    let mut setup = Setup::allow_all();
    setup.policy = "[policy]\npacks = [\"allow-all\"]\nfiles = [\"console.cedar\"]\n".to_owned();
    setup.more = "[administration]\ngroups = [\"dba\"]\n".to_owned();
    let arena = Arena::start_with(&setup, &[("console.cedar", RULES)]).unwrap();
    arena.server.sql("shop", TABLES).unwrap();
    let made = arena.portcullis(&[
        "credential",
        "--as",
        "bo",
        "create",
        "--connection",
        "shop",
        "--purpose",
        "for the <console> test",
    ]);
    let made = made.unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    arena
}

/// The first of these programs that is there.
fn program(names: &[&str]) -> String {
    let path = std::env::var("PATH").unwrap();
    let all = names.iter().flat_map(|name| path.split(':').map(move |at| format!("{at}/{name}")));
    all.into_iter()
        .find(|file| Path::new(file).is_file())
        .unwrap_or_else(|| panic!("none of {names:?} is installed: `./dev test` does"))
}

#[test]
fn people_see_what_waits_and_decide_it_in_a_browser() {
    let arena = arena();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../console");
    assert!(scripts.join("node_modules").is_dir(), "run by `./dev test`, which installs it");
    let token = |name| arena.token(name).unwrap();
    let tokens = ["ana", "bo", "claude", "deckard"].map(|name| (name, token(name)));
    let tokens = serde_json::to_string(&HashMap::from(tokens)).unwrap();
    let mut command = Command::new("node");
    command.arg("console.mjs").current_dir(&scripts).envs(arena.through("claude").unwrap());
    command
        .env("URL", format!("http://{}", arena.http))
        .env("TOKENS", tokens)
        .env("PSQL", arena.server.program_directory().join("psql"))
        .env("CHROMIUM", program(&["chromium", "chromium-browser", "google-chrome"]));
    if std::env::var_os("PORTCULLIS_BLESS").is_some() {
        let pictures = scripts.join("../../docs/images");
        fs::create_dir_all(&pictures).unwrap();
        command.env("SHOTS", pictures);
    }
    let log = arena.directory().join("browser.log");
    let out = fs::File::create(&log).unwrap();
    command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
    let mut browser = command.spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = browser.try_wait().unwrap() {
            break Some(status);
        }
        if Instant::now() > deadline {
            browser.kill().unwrap();
            browser.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let said = fs::read_to_string(&log).unwrap();
    println!("{said}");
    assert!(status.is_some_and(|status| status.success()), "{status:?}:\n{said}");
}
