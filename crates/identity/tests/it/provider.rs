//! An OpenID provider that shares nothing with this code: `oidc-provider` from npm. Also part of the
//! end-to-end suites of workloads and of signing in.
//!
//! Runs where its packages are installed; `PORTCULLIS_SLOW=1` installs them first.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

/// The secret of its client `job`.
pub(crate) const SECRET: &str = "a-secret-for-this-test-only";

/// How long a provider may take to say that it is there.
const START: Duration = Duration::from_secs(30);

/// The provider's process; it ends with its standard input.
pub(crate) struct Node {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Node {
    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Tells it something, and waits until it has heard.
    #[allow(dead_code, reason = "not every suite that has this talks to it")]
    pub(crate) fn tell(&mut self, what: &Value) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{what}").unwrap();
        self.hear();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn folder() -> PathBuf {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let root = above.find(|path| path.join("Cargo.lock").exists()).unwrap();
    root.join("crates/identity/tests/oidc-provider")
}

/// True where the provider can be started; says loudly why it is not. Installed once, however many tests
/// of one suite ask at the same time.
pub(crate) fn installed() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *INSTALLED.get_or_init(install)
}

fn install() -> bool {
    let skip = |why: &str| {
        eprintln!("\n*** SKIPPED: no test against an independent OpenID provider: {why} ***\n");
        false
    };
    let node = Command::new("node").arg("--version").stdout(Stdio::null()).status();
    if !node.is_ok_and(|status| status.success()) {
        return skip("node is not installed");
    }
    if folder().join("node_modules/oidc-provider").exists() {
        return true;
    }
    if std::env::var_os("PORTCULLIS_SLOW").is_none_or(|slow| slow != "1") {
        return skip("its packages are not installed; PORTCULLIS_SLOW=1 installs them");
    }
    let npm = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"];
    let done = Command::new("npm").args(npm).current_dir(folder()).status().unwrap();
    assert!(done.success(), "npm ci failed");
    true
}

#[allow(dead_code, reason = "the suite of signing in runs another program")]
pub(crate) fn start() -> (Node, Value) {
    run(&["provider.mjs"])
}

/// One of its programs, and what it says first.
pub(crate) fn run(arguments: &[&str]) -> (Node, Value) {
    let mut node = Command::new("node");
    node.args(arguments).current_dir(folder());
    started(node)
}

/// A provider's process, and what it says first. Once in some thousand times Node stands still while it starts
/// (its main thread waits for a lock of its own): that one is ended, and another one begun.
pub(crate) fn started(mut command: Command) -> (Node, Value) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    for _ in 0..3 {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = stdout.read_line(&mut line).map(|_| line);
            let _ = tell.send((stdout, read));
        });
        if let Ok((stdout, line)) = told.recv_timeout(START) {
            let said = serde_json::from_str(&line.unwrap()).unwrap();
            return (Node { child, stdout }, said);
        }
        eprintln!("{command:?} says nothing within {} s: once more", START.as_secs());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    panic!("{command:?} never said anything");
}
