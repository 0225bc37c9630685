//! What is refused at load, and how the message helps.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod common;

use common::load;
use portcullis_policy::{PACKS, Policies, pack};

fn check(text: &str, expect: &str) {
    let files = [("a.cedar".to_owned(), text.to_owned())];
    let error = Policies::load(&files).expect_err(text).to_string();
    assert!(error.contains(expect), "{error}\n  should say: {expect}");
}

#[test]
fn packs_load_without_a_warning() {
    for (name, text) in PACKS {
        let policies = load(&[text]);
        assert_eq!(policies.warnings(), [], "{name}");
        assert_eq!(pack(name), Some(*text));
    }
    assert_eq!(pack("no-such-pack"), None);
}

#[test]
fn every_policy_has_an_id_of_its_own() {
    check("\npermit (principal, action, resource);", "a.cedar:2: every policy needs an @id");
    check("@id(\"\") permit (principal, action, resource);", "every policy needs an @id");
    check("@id(\"a b\") permit (principal, action, resource);", "an @id has at most 64");
    for own in portcullis_core::refusal::rule::ALL {
        let text = format!("@id(\"{own}\") permit (principal, action, resource);");
        check(&text, "the gateway itself uses");
    }
    let two = "@id(\"a\") permit (principal, action, resource);\n// b\n@id(\"a\") forbid (principal, action, resource);";
    check(two, "a.cedar:3: policy \"a\": this @id is taken by a.cedar:1");
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let one = "@id(\"a\") permit (principal, action, resource);";
    let error = Policies::load(&[file("x.cedar", one), file("y.cedar", one)]).unwrap_err();
    assert_eq!(error.to_string(), "y.cedar:1: policy \"a\": this @id is taken by x.cedar:1");
    let other = "@id(\"b\") permit (principal, action, resource);";
    let error = Policies::load(&[file("x.cedar", one), file("x.cedar", other)]).unwrap_err();
    assert_eq!(error.to_string(), "x.cedar: two policy files go by this name");
}

/// A forbid on what cannot be would permit what it was written against.
#[test]
fn objects_are_named_by_their_whole_path() {
    let on = |what: &str| format!("@id(\"a\") forbid (principal, action, resource in {what});");
    for (what, wanted) in [
        (
            "Schema::\"orders/hr\"",
            "a schema is its path, connection/database/schema, which has 3 parts, not 2",
        ),
        ("Database::\"orders\"", "has 2 parts, not 1"),
        ("Connection::\"orders/shop\"", "has 1 part, not 2"),
    ] {
        check(&on(what), wanted);
    }
    let condition = "@id(\"a\") forbid (principal, action, resource) when \
        { resource in Relation::\"orders/public/payments\" };";
    check(condition, "Relation::\"orders/public/payments\" names nothing");
    let names = load(&[
        &on("Schema::\"c%2Fd/db/s\""),
        "@id(\"b\") permit (principal, action, resource in Environment::\"test\");",
    ]);
    let named: Vec<_> =
        names.objects().map(|o| (o.kind, o.path.join("|"), o.place.policy)).collect();
    let of =
        |kind: &str, path: &str, id: &str| (kind.to_owned(), path.to_owned(), Some(id.to_owned()));
    assert_eq!(named, [of("Schema", "c/d|db|s", "a"), of("Environment", "test", "b")]);
}

#[test]
fn annotations_are_known_and_stand_where_they_mean_something() {
    let rest = "forbid (principal, action == Action::\"read\", resource);";
    check(
        &format!("@id(\"a\") @resaon(\"x\") {rest}"),
        "no annotation @resaon; did you mean @reason?",
    );
    check(&format!("@id(\"a\") @severity(\"x\") {rest}"), "there are @id, @reason");
    check(&format!("@id(\"a\") @retry(\"soon\") {rest}"), "@retry is one of");
    check(&format!("@id(\"a\") @mask(\"null\") {rest}"), "@mask belongs on a forbid with action");
    check(&format!("@id(\"a\") @reason(\"{}\") {rest}", "x".repeat(401)), "at most 400 bytes");
    check(&format!("@id(\"a\") @review(\"dba\") {rest}"), "context.approvals.contains(\"dba\")");
    let wrong = "forbid (principal, action == Action::\"read\", resource) unless { context.approvals.contains(\"sec\") };";
    check(&format!("@id(\"a\") @review(\"dba\") {wrong}"), "context.approvals.contains(\"dba\")");
    check(&format!("@id(\"a\") @rehearse(\"20s\") {rest}"), "it needs a @review");
    check(&format!("@id(\"a\") @step_up(\"passkey\") {rest}"), "it needs a @review");
    let held = "forbid (principal, action == Action::\"delete\", resource) unless { context.approvals.contains(\"dba\") };";
    for value in ["20", "1s", "6m", "", "s", "20 s"] {
        let text = format!("@id(\"a\") @review(\"dba\") @rehearse(\"{value}\") {held}");
        check(&text, "from 2 seconds to 5 minutes, as \"20s\"");
    }
    load(&[&format!("@id(\"a\") @review(\"dba\") @rehearse(\"20s\") {held}")]);
    load(&[&format!("@id(\"a\") @review(\"dba\") @step_up(\"passkey\") {held}")]);
    check(
        &format!("@id(\"a\") @review(\"dba\") @step_up(\"totp\") {held}"),
        "@step_up is \"passkey\"",
    );
    let infers = held.replace("\"delete\"", "\"infer\"");
    check(&format!("@id(\"a\") @review(\"dba\") @rehearse(\"20s\") {infers}"), "with `infer`");
    for annotation in [
        "@review(\"dba\")",
        "@step_up(\"passkey\")",
        "@rehearse(\"20s\")",
        "@mask(\"null\")",
        "@retry(\"never\")",
    ] {
        let text = format!("@id(\"a\") {annotation} permit (principal, action, resource);");
        check(&text, "only a forbid has one");
    }
    let reveal = "forbid (principal, action == Action::\"reveal\", resource);";
    check(
        &format!("@id(\"a\") @mask(\"blur\") {reveal}"),
        "@mask: `blur` is no strategy; it is one of",
    );
    check(&format!("@id(\"a\") @mask(\"shift_days:x\") {reveal}"), "`x` is no number of days");
    load(&[&format!("@id(\"a\") @mask(\"constant:n/a\") {reveal}")]);
    load(&[&format!("@id(\"a\") @mask(\"shift_days:30\") {reveal}")]);
    check(&format!("@id(\"a\") @review(\"dba\") {reveal}"), "`reveal` is not one");
    load(&[&format!("@id(\"a\") @mask(\"by-label\") {reveal}")]);
}

#[test]
fn what_strict_validation_refuses_is_not_loaded() {
    let policy = |when: &str| {
        format!(
            "@id(\"ok\") permit (principal, action, resource);\n\n@id(\"a\") forbid (principal, action in Action::\"run\", resource)\nwhen {{ {when} }};"
        )
    };
    check(&policy("context.aproval"), "a.cedar:4: policy \"a\": attribute `aproval` in context");
    check(&policy("resource.sensitive"), "a.cedar:4: policy \"a\"");
    check(&policy("context.extent == 1"), "a.cedar:4: policy \"a\"");
    check(&policy("principal in Group::\"a\" && resource is Tabel"), "Tabel");
    check(&policy("resource is Relation && resource is Column"), "policy is impossible");
    check("@id(\"a\") forbid (principal, action == Action::\"raed\", resource);", "raed");
    check(
        "@id(\"a\") forbid (principal, action == Action::\"reveal\", resource is Relation);",
        "a.cedar:1",
    );
    check(
        "@id(\"a\") forbid (principal, action == Action::\"read\", resource) when { context.kind == \"x\u{202e}\" };",
        "BIDI control",
    );
}

#[test]
fn syntax_errors_name_their_line() {
    check("@id(\"a\") permit (principal, action, resource);\n\nforbid principal;", "a.cedar:3: ");
    check("@id(\"a\")\npermit (principal == ?principal, action, resource);", "template");
    check(&format!("//{}", " ".repeat(2 << 20)), "over 1048576 bytes");
}

#[test]
fn everything_wrong_is_told_at_once() {
    let text = "permit (principal, action, resource);\n@id(\"a\") @nope permit (principal, action, resource);";
    let error = Policies::load(&[("a.cedar".to_owned(), text.to_owned())]).unwrap_err();
    assert_eq!(error.problems.len(), 2, "{error}");
}

#[test]
fn the_version_depends_on_names_and_texts() {
    let version = |name: &str, text: &str| {
        Policies::load(&[(name.to_owned(), text.to_owned())]).unwrap().version().to_owned()
    };
    let text = "@id(\"a\") permit (principal, action, resource);";
    assert_eq!(version("a", text).len(), 12);
    assert_eq!(version("a", text), version("a", text));
    assert_ne!(version("a", text), version("b", text));
    assert_ne!(version("a", text), version("a", &format!("{text} ")));
}

#[test]
fn limits_stand_on_permits_and_are_numbers() {
    let permit = "permit (principal, action == Action::\"read\", resource);";
    let reveal = "permit (principal, action == Action::\"reveal\", resource);";
    let forbid = "forbid (principal, action == Action::\"read\", resource);";
    for (key, value) in
        [("max_rows", "10"), ("timeout", "30s"), ("timeout", "5m"), ("rate", "1/hour")]
    {
        load(&[&format!("@id(\"a\") @{key}(\"{value}\") {permit}")]);
    }
    check(&format!("@id(\"a\") @max_rows(\"1\") {forbid}"), "only a permit has one");
    check(&format!("@id(\"a\") @max_rows(\"1\") {reveal}"), "@max_rows limits requests");
    for value in ["0", "", "-1", "1e3", " 1", "many", "99999999999999999999999"] {
        check(&format!("@id(\"a\") @max_changes(\"{value}\") {permit}"), "a whole number from 1");
    }
    for value in ["30", "30 s", "s", "25h", "1441m", "0s"] {
        check(&format!("@id(\"a\") @timeout(\"{value}\") {permit}"), "as \"500ms\", \"30s\"");
    }
    for value in ["60", "60/day", "/minute", "x/minute"] {
        check(&format!("@id(\"a\") @rate(\"{value}\") {permit}"), "as \"60/minute\"");
    }
    check(&format!("@id(\"a\") @max_row(\"1\") {permit}"), "did you mean @max_rows?");
}
