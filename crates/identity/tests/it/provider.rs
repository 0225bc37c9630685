//! An OpenID provider that shares nothing with this code: `oidc-provider` from npm. Also part of the
//! end-to-end suite of workloads.
//!
//! Runs where its packages are installed; `PORTCULLIS_SLOW=1` installs them first.

use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The secret of its client `job`.
pub(crate) const SECRET: &str = "a-secret-for-this-test-only";

/// The provider's process; it ends with its standard input.
pub(crate) struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn folder() -> PathBuf {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let root = above.find(|path| path.join("Cargo.lock").exists()).unwrap();
    root.join("crates/identity/tests/oidc-provider")
}

/// True where the provider can be started; says loudly why it is not.
pub(crate) fn installed() -> bool {
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

pub(crate) fn start() -> (Node, Value) {
    let mut child = Command::new("node")
        .arg("provider.mjs")
        .current_dir(folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    let node = Node(child);
    BufReader::new(stdout).read_line(&mut line).unwrap();
    (node, serde_json::from_str(&line).unwrap())
}
