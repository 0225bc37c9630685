//! The API asked at random, by its own document: `schemathesis` from PyPI, as somebody who may do everything.
//! No answer may be an error of the server, and each must be as the document has it.

use crate::routes::ROUTES;
use crate::stage::{kind, start};
use std::fmt::Write as _;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long all of it may take; half a minute is usual.
const PATIENCE: Duration = Duration::from_secs(180);

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,unsupported_method,\
    allow_header_conformance,ignored_auth";

/// The program, where `./dev` has put it.
fn schemathesis() -> Option<PathBuf> {
    let tools = std::env::var_os("PORTCULLIS_TOOLS")?;
    let program = PathBuf::from(tools).join("schemathesis/bin/schemathesis");
    program.is_file().then_some(program)
}

#[test]
fn no_request_is_an_error_of_the_server() {
    let Some(program) = schemathesis() else {
        assert!(std::env::var_os("PORTCULLIS_REQUIRE_ALL").is_none(), "`./dev test` installs it");
        eprintln!("\n*** SKIPPED: schemathesis is not installed: `./dev test` does ***\n");
        return;
    };
    let Some(mut stage) = start() else { return };
    // What is asked about is there.
    let mut things = String::new();
    for route in ROUTES.iter().filter(|route| route.path.contains("{id}")) {
        let id = stage.make(kind(route));
        let name = format!("{} {}", route.method, route.path);
        writeln!(
            things,
            "[[operations]]\ninclude-name = \"{name}\"\nparameters = {{ id = \"{id}\" }}"
        )
        .unwrap();
    }
    std::fs::write(stage.arena.directory().join("schemathesis.toml"), things).unwrap();
    let log = stage.arena.directory().join("schemathesis.log");
    let out = File::create(&log).unwrap();
    let mut command = Command::new(program);
    command
        .arg("run")
        .arg(format!("http://{}/api/v1/openapi.json", stage.arena.http))
        .args(["--header", &format!("Authorization: {}", stage.bearer("max"))])
        .args(["--checks", CHECKS, "--phases", "coverage,fuzzing", "--max-examples", "30"])
        .args(["--seed", "1", "--continue-on-failure", "--no-color", "--request-timeout", "10"])
        // It goes on for as long as its caller listens.
        .args(["--exclude-path", "/api/v1/events"])
        .args(["--exclude-path", "/api/v1/sessions/{id}/watch"])
        // It leads to another server.
        .args(["--exclude-path", "/auth/login"])
        .current_dir(stage.arena.directory())
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(out);
    let began = Instant::now();
    let mut child = command.spawn().unwrap();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let said = std::fs::read_to_string(&log).unwrap();
    println!("{:?}\n{said}", began.elapsed());
    assert!(status.is_some_and(|status| status.success()), "{status:?}:\n{said}");
}
