//! The walls between the crates, as a committed list: a new edge is the rarest change, and is seen
//! in review.
//!
//! Client-facing code cannot name a target's credential, because it has no way to the crate that
//! holds it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

type Edges = BTreeMap<String, BTreeSet<String>>;

/// The platform this is built for: packages of others need not have been downloaded.
fn platform() -> String {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(rustc).arg("-vV").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

/// Normal dependencies of every package: those of the workspace, and all of them.
fn edges() -> (Edges, Edges) {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform"])
        .arg(platform())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let names: BTreeMap<String, String> =
        list(&metadata["packages"]).iter().map(|p| (text(&p["id"]), text(&p["name"]))).collect();
    let ours: BTreeSet<String> =
        list(&metadata["workspace_members"]).iter().map(|id| names[&text(id)].clone()).collect();
    let mut all = Edges::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let normal = |dependency: &Value| {
            list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null())
        };
        let to = list(&node["deps"]);
        let to = to.iter().filter(|d| normal(d)).map(|d| names[&text(&d["pkg"])].clone());
        all.entry(names[&text(&node["id"])].clone()).or_default().extend(to);
    }
    let inside = all
        .iter()
        .filter(|(from, _)| ours.contains(*from))
        .map(|(from, to)| (from.clone(), to.intersection(&ours).cloned().collect::<BTreeSet<_>>()));
    (inside.collect(), all)
}

/// Everything that can be reached.
fn reach(edges: &Edges, from: &str) -> BTreeSet<String> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(name) = next.pop() {
        for to in edges.get(&name).into_iter().flatten() {
            if seen.insert(to.clone()) {
                next.push(to.clone());
            }
        }
    }
    seen
}

#[test]
fn the_edges_between_crates_are_the_committed_ones() {
    let (inside, _) = edges();
    let mut list = String::new();
    for (from, to) in &inside {
        for to in to {
            let short = |name: &str| name.trim_start_matches("portcullis-").to_owned();
            list.push_str(&format!("{} -> {}\n", short(from), short(to)));
        }
    }
    let committed = include_str!("edges.txt");
    assert!(
        list == committed,
        "the edges between crates have changed. If that is meant, say why in the commit and \
         write this to crates/frontends/tests/edges.txt:\n\n{list}"
    );
}

#[test]
fn the_walls_stand() {
    let (inside, all) = edges();
    let way = |from: &str, to: &str| {
        reach(&inside, &format!("portcullis-{from}")).contains(&format!("portcullis-{to}"))
    };
    for (from, to) in [
        ("frontends", "targets"),
        ("targets", "frontends"),
        ("targets", "identity"),
        ("identity", "targets"),
        ("ledger", "wire"),
    ] {
        assert!(!way(from, to), "{from} must have no way to {to}");
    }
    for from in inside.keys() {
        let to_binary = reach(&inside, from).iter().any(|to| to == "portcullis");
        assert!(!to_binary, "{from} must not depend on the binary");
        let core = from == "portcullis-core";
        assert!(!core || inside[from].is_empty(), "core depends on no other crate of ours");
    }
    assert!(inside["portcullis-verify"].is_empty(), "the verifier has nothing of the gateway");
    assert!(!reach(&all, "portcullis-verify").contains("aws-lc-rs"), "nor its cryptography");
    assert!(inside.contains_key("portcullis"), "the binary is called so");
    assert!(inside.contains_key("portcullis-core") && inside.contains_key("portcullis-targets"));
    // No runtime and no socket below the I/O shell.
    for from in ["core", "sql", "wire", "mask", "policy"] {
        let found = reach(&all, &format!("portcullis-{from}"));
        assert!(!found.contains("tokio"), "{from} must do without tokio");
    }
    assert!(reach(&all, "portcullis-targets").contains("tokio"), "the test sees other crates");
}
