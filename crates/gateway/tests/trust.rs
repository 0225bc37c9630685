//! The trusts that types cannot hold have names to search for; this lists who makes them. A new
//! place is a change to this list, and says why in its review.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const TRUSTED: &[(&str, &[&str])] = &[
    // The gateway wrote this itself: no byte of a target is in it.
    (
        "authored_assertion(",
        &[
            "crates/core/src/masked.rs",
            "crates/frontends/src/negotiate.rs",
            "crates/gateway/src/login.rs",
            "crates/gateway/src/session.rs",
        ],
    ),
    // The journal made this receipt.
    (
        "issued_by_journal_assertion",
        &["crates/core/src/journal.rs", "crates/ledger/src/journal.rs"],
    ),
    // Who is entitled to be on a connection: by its configuration, or by a grant that stands in the store.
    (
        "open_by_configuration_assertion(",
        &["crates/core/src/access.rs", "crates/gateway/src/grants.rs"],
    ),
    ("given_by_desk_assertion(", &["crates/core/src/access.rs", "crates/gateway/src/grants.rs"]),
    // A passkey has signed this, its user verified.
    (
        "checked_by_identity_assertion(",
        &["crates/core/src/passkey.rs", "crates/identity/src/passkey/mod.rs"],
    ),
    // The only opener of what a target sent, and the only maker of permits.
    (".open()", &["crates/core/src/link.rs", "crates/core/src/permit.rs"]),
    ("Permit::issue(", &["crates/core/src/gate.rs"]),
];

fn sources(directory: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path.display().to_string());
        }
    }
}

#[test]
fn every_trust_is_made_where_the_list_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let mut files = Vec::new();
    for krate in fs::read_dir(root.join("crates")).unwrap() {
        sources(&krate.unwrap().path().join("src"), &mut files);
    }
    assert!(files.len() > 80);
    for (trust, expected) in TRUSTED {
        let mut found = BTreeSet::new();
        for file in &files {
            // Tests make doubles of everything.
            if file.ends_with("tests.rs") || file.contains("/tests/") || file.contains("_tests") {
                continue;
            }
            let text = fs::read_to_string(file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let in_core_only = *trust == ".open()";
            if code.contains(trust) && (!in_core_only || file.contains("/core/")) {
                found.insert(file.strip_prefix(root.to_str().unwrap()).unwrap()[1..].to_owned());
            }
        }
        let expected: BTreeSet<String> = expected.iter().map(|f| (*f).to_owned()).collect();
        assert_eq!(found, expected, "places that use `{trust}`");
    }
}
