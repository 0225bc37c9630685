//! What a session's judge answers: holds, approvals, mixtures, failures, columns.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use common::*;
use portcullis_core::access::{AccessAsk, Approvers, Tenure};
use portcullis_core::effect::{Extent, Object, ObjectKind, Operation, Verb};
use portcullis_core::id::GrantId;
use portcullis_core::mask::Strategy;
use portcullis_core::refusal::{RefusalClass, Retry};
use portcullis_core::verdict::{Approvals, Circumstances};
use portcullis_policy::{Decision, GrantFacts, Hidden, Reveal, pack};
use std::collections::BTreeSet;

const PERMIT: &str = r#"@id("all") permit (principal, action, resource);"#;
const DBA: &str = r#"
@id("dba-signs") @review("dba") @reason("a DBA signs off") @hint("wait")
forbid (principal in Group::"agents", action in Action::"write", resource in Environment::"production")
unless { context.approvals.contains("dba") };"#;
const SECURITY: &str = r#"
@id("security-signs") @review("security")
forbid (principal, action == Action::"delete", resource in Schema::"orders-db/shop/hr")
unless { context.approvals.contains("security") };"#;
const NEVER: &str = r#"
@id("never") @reason("not at all") @hint("ask first") @retry("after-change")
forbid (principal, action == Action::"drop", resource);"#;

fn salaries(verb: Verb) -> Operation {
    let path = &["shop", "hr", "salaries"];
    operation(&[verb.as_str()], [effect(verb, ObjectKind::Relation, path, Extent::Some)])
}

fn check(texts: &[&str], operation: &Operation, approvals: &[&str], expect: &str) {
    let decision = decide(&session(texts, &agent()), operation, approvals);
    assert_eq!(word(&decision), expect, "{operation} {approvals:?}");
}

#[test]
fn a_hold_asks_for_every_group_that_must_approve() {
    let all = &[PERMIT, DBA, SECURITY, NEVER];
    check(all, &salaries(Verb::Read), &[], "allow");
    check(all, &salaries(Verb::Insert), &[], "hold(dba):dba-signs");
    check(all, &salaries(Verb::Insert), &["dba"], "allow");
    check(all, &salaries(Verb::Insert), &["security"], "hold(dba):dba-signs");
    check(all, &salaries(Verb::Delete), &[], "hold(dba+security):dba-signs");
    check(all, &salaries(Verb::Delete), &["dba"], "hold(security):security-signs");
    check(all, &salaries(Verb::Delete), &["dba", "security"], "allow");
}

#[test]
fn one_refused_effect_refuses_all_and_one_held_holds_all() {
    let all = &[PERMIT, DBA, SECURITY, NEVER];
    let orders = |verb| on(verb, "orders", Extent::Some);
    let hr = salaries(Verb::Delete).effects[0].clone();
    let both = operation(&["insert", "delete"], [orders(Verb::Insert), hr.clone()]);
    check(all, &both, &[], "hold(dba+security):dba-signs");
    check(all, &both, &["dba", "security"], "allow");
    let with_drop = operation(&["x"], [orders(Verb::Read), hr, orders(Verb::Drop)]);
    check(all, &with_drop, &[], "refuse:never");
    check(all, &with_drop, &["dba", "security"], "refuse:never");
}

#[test]
fn what_is_told_comes_from_the_deciding_rule() {
    let session = session(&[PERMIT, DBA, NEVER], &agent());
    let drop = operation(&["drop table"], [on(Verb::Drop, "orders", Extent::All)]);
    let Decision::Refuse { class, retry, ground } = decide(&session, &drop, &[]) else { panic!() };
    assert_eq!((class, retry), (RefusalClass::Policy, Retry::AfterChange));
    assert_eq!(ground.rule, "never");
    assert_eq!(ground.reason, "not at all");
    assert_eq!(ground.hint.as_deref(), Some("ask first"));
    assert_eq!(ground.what, "DROP on public.orders");
    let Decision::Allow { rules, .. } = decide(&session, &salaries(Verb::Read), &[]) else {
        panic!()
    };
    assert_eq!(*rules, ["all".to_owned()]);
}

#[test]
fn what_is_held_may_be_rehearsed_where_every_rule_says_so() {
    let rule = |id: &str, group: &str, verb: &str, time: &str| {
        format!(
            "@id(\"{id}\") @review(\"{group}\") {time} forbid (principal, action == Action::\"{verb}\", \
             resource) unless {{ context.approvals.contains(\"{group}\") }};"
        )
    };
    let one = rule("one", "dba", "delete", "@rehearse(\"20s\")");
    let time = |rules: &[&str], effects: &[Verb]| {
        let session = session(&[&[PERMIT], rules].concat(), &agent());
        let effects = effects.iter().map(|verb| on(*verb, "orders", Extent::Some));
        let Decision::Hold { rehearse, .. } = decide(&session, &operation(&["x"], effects), &[])
        else {
            panic!("not held")
        };
        rehearse.map(|time| time.as_secs())
    };
    let (delete, both) = ([Verb::Delete], [Verb::Delete, Verb::Update]);
    assert_eq!(time(&[&one], &delete), Some(20));
    let same = rule("same", "security", "delete", "@rehearse(\"5s\")");
    assert_eq!(time(&[&one, &same], &delete), Some(5));
    let silent = rule("silent", "security", "delete", "");
    assert_eq!(time(&[&one, &silent], &delete), None);
    let other = rule("other", "dba", "update", "@rehearse(\"10s\")");
    assert_eq!(time(&[&one, &other], &both), Some(10));
    let other = rule("other", "dba", "update", "");
    assert_eq!(time(&[&one, &other], &both), None);
    // A pack that holds it says nothing of it; changed, it is a file like any other.
    let pack = portcullis_policy::pack("agent-safe").unwrap();
    let drops = rule("drops", "dba", "insert", "@rehearse(\"20s\")");
    let hold = |pack: &str, rules: &[&str]| {
        let session = session(&[&[pack], rules].concat(), &agent());
        let insert = operation(&["insert"], [on(Verb::Insert, "orders", Extent::One)]);
        match decide(&session, &insert, &[]) {
            Decision::Hold { rehearse, .. } => rehearse,
            other => panic!("not held: {other:?}"),
        }
    };
    assert_eq!(hold(pack, &[]), None);
    assert_eq!(hold(pack, &[&drops]).map(|time| time.as_secs()), Some(20));
    assert_eq!(hold(&format!("{pack}\n"), &[&drops]), None);
}

#[test]
fn one_rule_that_asks_for_a_passkey_is_enough() {
    let rule = |id: &str, verb: &str, more: &str| {
        format!(
            "@id(\"{id}\") @review(\"dba\") {more} forbid (principal, action == Action::\"{verb}\", \
             resource) unless {{ context.approvals.contains(\"dba\") }};"
        )
    };
    let shows = |rules: &[&str], effects: &[Verb]| {
        let session = session(&[&[PERMIT], rules].concat(), &agent());
        let effects = effects.iter().map(|verb| on(*verb, "orders", Extent::Some));
        match decide(&session, &operation(&["x"], effects), &[]) {
            Decision::Hold { step_up, .. } => step_up,
            other => panic!("not held: {other:?}"),
        }
    };
    let passkey = Some(portcullis_core::passkey::StepUp::Passkey);
    let (with, without) =
        (rule("with", "delete", "@step_up(\"passkey\")"), rule("without", "delete", ""));
    assert_eq!(shows(&[&with], &[Verb::Delete]), passkey);
    assert_eq!(shows(&[&without], &[Verb::Delete]), None);
    assert_eq!(shows(&[&without, &with], &[Verb::Delete]), passkey);
    let other = rule("other", "update", "");
    assert_eq!(shows(&[&with, &other], &[Verb::Update, Verb::Delete]), passkey);
    assert_eq!(shows(&[&with, &other], &[Verb::Update]), None);
}

#[test]
fn without_a_permit_the_answer_is_no() {
    let read = salaries(Verb::Read);
    check(&[], &read, &[], "refuse:default-deny");
    check(&[NEVER], &read, &[], "refuse:default-deny");
    // Nobody is asked for an approval that would change nothing.
    check(&[DBA], &salaries(Verb::Insert), &[], "refuse:default-deny");
    check(&[PERMIT], &operation(&["x"], []), &[], "refuse:default-deny");
}

#[test]
fn a_review_that_cannot_lift_its_rule_is_no_hold() {
    let stuck = r#"@id("stuck") @review("dba") forbid (principal, action == Action::"insert", resource)
        unless { context.approvals.contains("dba") && context.approvals.contains("nobody") };"#;
    check(&[PERMIT, stuck], &salaries(Verb::Insert), &[], "refuse:stuck");
}

#[test]
fn a_forbid_without_a_review_holds_nothing_even_where_an_approval_would_lift_it() {
    let silent = r#"@id("silent") forbid (principal, action == Action::"insert", resource)
        unless { context.approvals.contains("dba") };"#;
    check(&[PERMIT, DBA, silent], &salaries(Verb::Insert), &[], "refuse:silent");
    check(&[PERMIT, DBA, silent], &salaries(Verb::Insert), &["dba"], "allow");
}

#[test]
fn a_rule_that_raises_an_error_refuses() {
    // Cedar alone skips an erring forbid, and allows. Overflow is the one error left that strict
    // validation does not see.
    let broken = r#"@id("broken") forbid (principal, action == Action::"delete", resource)
        when { 9223372036854775807 + 1 > 0 };"#;
    let session = session(&[PERMIT, broken], &agent());
    let Decision::Refuse { class, ground, .. } = decide(&session, &salaries(Verb::Delete), &[])
    else {
        panic!("an erring forbid was skipped")
    };
    assert_eq!((class, &*ground.rule), (RefusalClass::Unavailable, "policy-error"));
    assert!(ground.reason.contains("broken"), "{}", ground.reason);
    assert_eq!(word(&decide(&session, &salaries(Verb::Read), &[])), "allow");
    let broken = r#"@id("b") forbid (principal, action == Action::"reveal", resource)
        when { 9223372036854775807 + 1 > 0 };"#;
    let session = common::session(&[PERMIT, broken], &agent());
    let seen =
        session.reveal(["d", "s", "r", "c"], false, &BTreeSet::new(), Some(Strategy::Partial));
    let rule = "policy-error".to_owned();
    assert_eq!(seen, Reveal::Mask { strategy: Strategy::Redact, rule });
}

#[test]
fn the_class_tells_what_kind_of_no_it_is() {
    let class = |operation: &Operation| match decide(&session(&[], &agent()), operation, &[]) {
        Decision::Refuse { class, .. } => class,
        other => panic!("{other:?}"),
    };
    assert_eq!(class(&Operation::unreadable()), RefusalClass::Unreadable);
    let nope = effect(Verb::Read, ObjectKind::Relation, &["nope"], Extent::All);
    assert_eq!(class(&operation(&["select"], [nope])), RefusalClass::Unresolved);
    assert_eq!(class(&salaries(Verb::Read)), RefusalClass::Policy);
    let many = (0..10_001).map(|i| on(Verb::Read, &i.to_string(), Extent::All));
    assert_eq!(class(&operation(&["select"], many)), RefusalClass::Limit);
}

#[test]
fn a_grant_reaches_the_rules_with_its_age_and_only_where_there_is_one() {
    let own = agent();
    let at = portcullis_core::time::Timestamp::from_micros(0);
    let ask = AccessAsk {
        connection: own.connection.name.clone(),
        environment: own.connection.environment.clone(),
        host: "db".to_owned(),
        port: 5432,
        database: own.connection.database.clone(),
        role: own.connection.role.clone(),
        principal: own.principal.clone(),
        seconds: 90,
        reason: "INC-7: it's \"stuck\"".to_owned(),
        approvers: Approvers {
            group: "dba".to_owned(),
            quorum: 1,
            escalation: None,
            step_up: None,
        },
        at,
        lapses: at,
    };
    let tenure = Tenure::given_by_desk_assertion(GrantId::from_bits(1), ask, (at, at));
    let check = |when: &str, grant: bool, minutes: Option<u32>, expect: &str| {
        let rule = format!(
            "@id(\"r\") permit (principal, action in Action::\"run\", resource) when {{ {when} }};"
        );
        let session = session(&[&rule], &own).with_grant(grant.then(|| GrantFacts::of(&tenure)));
        let circumstances = Circumstances { granted_minutes: minutes, ..Circumstances::default() };
        let found = session.decide(&salaries(Verb::Read), &circumstances, &Approvals::new());
        assert_eq!(word(&found), expect, "{when} {minutes:?}");
    };
    let no = "refuse:default-deny";
    check("context has grant", true, Some(3), "allow");
    check("context has grant", false, None, no);
    check("context has grant && context.grant.minutes == 3", true, Some(3), "allow");
    check("context has grant && context.grant.minutes == 3", true, Some(4), no);
    check("context has grant && context.grant.length == 2", true, Some(0), "allow");
    check("context has grant && context.grant.reason like \"INC-*\"", true, Some(0), "allow");
    check("context has grant && context.grant.id == \"grt_0000000000001\"", true, Some(0), "allow");
    // Half of it is nothing to decide by.
    check("!(context has grant)", false, Some(0), "refuse:policy-error");
    check("!(context has grant)", true, None, "refuse:policy-error");
    // One session's verdicts are those of the minute.
    let rule = "@id(\"r\") permit (principal, action in Action::\"run\", resource) \
                when { context has grant && context.grant.minutes < 5 };";
    let session = session(&[rule], &own).with_grant(Some(GrantFacts::of(&tenure)));
    for (minutes, expect) in [(4, "allow"), (5, no), (4, "allow")] {
        let circumstances =
            Circumstances { granted_minutes: Some(minutes), ..Circumstances::default() };
        let found = session.decide(&salaries(Verb::Read), &circumstances, &Approvals::new());
        assert_eq!(word(&found), expect, "{minutes}");
    }
}

#[test]
fn facts_of_the_session_reach_the_rules() {
    let rule = |when: &str| {
        format!(
            "@id(\"r\") permit (principal, action in Action::\"run\", resource) when {{ {when} }};"
        )
    };
    let check = |when: &str, expect: bool| {
        let session = session(&[&rule(when)], &agent());
        let circumstances = Circumstances { in_transaction: true, ..Circumstances::default() };
        let found = session.decide(&salaries(Verb::Read), &circumstances, &Approvals::new());
        assert_eq!(matches!(found, Decision::Allow { .. }), expect, "{when}");
    };
    check("context.in_transaction", true);
    check("context.protocol == \"postgres\"", true);
    check("context.kind == \"read\" && context.kinds == [\"read\"]", true);
    check("context.extent == \"some\" && context.certainty == \"resolved\"", true);
    check("resource.path == \"shop/hr/salaries\" && resource.name == \"salaries\"", true);
    check("resource is Relation && resource.schema == \"hr\"", true);
    check("resource in Schema::\"orders-db/shop/hr\"", true);
    check("resource in Database::\"orders-db/shop\"", true);
    check("resource in Connection::\"orders-db\"", true);
    check("resource in Connection::\"orders\"", false);
    check("principal in Group::\"agents\" && principal is Agent", true);
    check("principal.name == \"claude\" && principal.issuer == \"https://idp.example.com\"", true);
    check(
        "principal is Agent && principal has acting_for && principal.acting_for == \"alice\"",
        true,
    );
    check(
        "principal is Agent && principal has acting_for_issuer && principal.acting_for_issuer == \"https://idp.example.com\"",
        true,
    );
    check("principal == Agent::\"claude\"", true);
    check("principal == Person::\"claude\"", false);
}

#[test]
fn a_request_of_several_kinds_has_no_kind() {
    let listen = r#"@id("r") permit (principal, action == Action::"control", resource is Channel)
        when { context.kind == "listen" };"#;
    let channel = effect(Verb::Control, ObjectKind::Channel, &["c"], Extent::One);
    check(&[listen], &operation(&["listen"], [channel.clone()]), &[], "allow");
    check(&[listen], &operation(&["listen", "listen"], [channel.clone()]), &[], "allow");
    let mixed = operation(&["listen", "notify"], [channel]);
    check(&[listen], &mixed, &[], "refuse:default-deny");
}

#[test]
fn of_several_masks_the_one_that_shows_least_decides() {
    let mask = |id: &str, by: &str| {
        format!(
            "@id(\"{id}\") @mask(\"{by}\") forbid (principal, action == Action::\"reveal\", resource) when {{ resource.labels.contains(\"{id}\") }};"
        )
    };
    let rules = ["partial", "hash", "redact", "null", "by-label"].map(|by| mask(by, by));
    let mut texts: Vec<&str> = rules.iter().map(String::as_str).collect();
    texts.push(PERMIT);
    let session = session(&texts, &agent());
    let check = |labels: &[&str], own, expect: Option<(Strategy, &str)>| {
        let labels = labels.iter().map(|l| (*l).to_owned()).collect();
        let found = session.reveal(["shop", "public", "c", "email"], false, &labels, own);
        let expect = match expect {
            None => Reveal::Show,
            Some((strategy, rule)) => Reveal::Mask { strategy, rule: rule.to_owned() },
        };
        assert_eq!(found, expect, "{labels:?}");
    };
    check(&[], Some(Strategy::Hash), None);
    check(&["partial"], None, Some((Strategy::Partial, "partial")));
    check(&["partial", "hash"], None, Some((Strategy::Hash, "hash")));
    check(&["redact", "hash"], None, Some((Strategy::Redact, "redact")));
    check(&["null", "redact"], None, Some((Strategy::Null, "null")));
    check(&["by-label"], Some(Strategy::Hash), Some((Strategy::Hash, "by-label")));
    check(&["by-label"], None, Some((Strategy::Redact, "by-label")));
    let without_permit = common::session(&[], &agent());
    let found = without_permit.reveal(
        ["d", "s", "r", "c"],
        false,
        &BTreeSet::new(),
        Some(Strategy::Partial),
    );
    assert_eq!(found, Reveal::Mask { strategy: Strategy::Redact, rule: "default-deny".to_owned() });
}

#[test]
fn rules_on_other_places_and_people_are_left_out_and_those_on_this_one_are_not() {
    let forbid = |scope: &str| format!("@id(\"f\") forbid ({scope});");
    let check = |scope: &str, expect: &str| {
        common_check(&[PERMIT, &forbid(scope)], expect, scope);
    };
    fn common_check(texts: &[&str], expect: &str, scope: &str) {
        let decision = decide(&session(texts, &agent()), &salaries(Verb::Delete), &[]);
        assert_eq!(word(&decision), expect, "{scope}");
    }
    check("principal in Group::\"agents\", action, resource", "refuse:f");
    check("principal is Agent in Group::\"agents\", action, resource", "refuse:f");
    check("principal is Person, action, resource", "allow");
    check("principal == Agent::\"claude\", action, resource", "refuse:f");
    check("principal == Agent::\"other\", action, resource", "allow");
    check("principal in Group::\"people\", action, resource", "allow");
    check("principal, action in Action::\"destroy\", resource", "refuse:f");
    check("principal, action in Action::\"write\", resource", "refuse:f");
    check("principal, action in Action::\"run\", resource", "refuse:f");
    check("principal, action in [Action::\"define\", Action::\"read\"], resource", "allow");
    check("principal, action, resource in Environment::\"production\"", "refuse:f");
    check("principal, action, resource in Environment::\"staging\"", "allow");
    check("principal, action, resource in Connection::\"orders-db\"", "refuse:f");
    check("principal, action, resource in Connection::\"orders-db2\"", "allow");
    check("principal, action, resource in Schema::\"orders-db/shop/hr\"", "refuse:f");
    check("principal, action, resource in Schema::\"orders-db/shop/public\"", "allow");
    check("principal, action, resource == Relation::\"orders-db/shop/hr/salaries\"", "refuse:f");
    check("principal, action, resource is Relation", "refuse:f");
    check("principal, action, resource is Relation in Database::\"orders-db/shop\"", "refuse:f");
    check("principal, action, resource is Sequence", "allow");
}

#[test]
fn a_remembered_verdict_is_the_same_verdict() {
    let session = session(&[PERMIT, DBA, NEVER], &agent());
    for _ in 0..2 {
        assert_eq!(word(&decide(&session, &salaries(Verb::Insert), &[])), "hold(dba):dba-signs");
        assert_eq!(word(&decide(&session, &salaries(Verb::Insert), &["dba"])), "allow");
        assert_eq!(word(&decide(&session, &salaries(Verb::Read), &[])), "allow");
        let mut drop = salaries(Verb::Read);
        drop.effects[0].verb = Verb::Drop;
        assert_eq!(word(&decide(&session, &drop, &[])), "refuse:never");
        drop.effects[0].object = Object::new(ObjectKind::Unknown, []);
        assert_eq!(word(&decide(&session, &drop, &[])), "refuse:never");
    }
}

/// Prints what a decision costs; the budgets are in the benchmarks, not in tests.
#[test]
fn cost_of_a_decision() {
    let text = portcullis_policy::pack("agent-safe").unwrap();
    let session = session(&[text], &agent());
    let read = |i: usize| operation(&["select"], [on(Verb::Read, &format!("t{i}"), Extent::Some)]);
    let rounds = 900;
    let time = |what: &str, name: fn(usize) -> usize| {
        let operations: Vec<_> = (0..rounds).map(|i| read(name(i))).collect();
        let start = std::time::Instant::now();
        for operation in &operations {
            assert_eq!(word(&decide(&session, operation, &[])), "allow");
        }
        println!("{what}: {:?} per decision", start.elapsed() / 900);
    };
    time("new shapes", |i| i + 1);
    time("known shape", |_| 1);
}

#[test]
fn a_masked_column_decides_only_where_a_rule_permits_it() {
    let check = |texts: &[&str], labels: &[&str], approvals: &[&str], expect: &str| {
        let session = session(texts, &agent());
        let columns = [Hidden {
            path: ["shop", "public", "customers", "email"],
            labels: labels.iter().map(|l| (*l).to_owned()).collect(),
        }];
        let approvals: Approvals = approvals.iter().map(|g| (*g).to_owned()).collect();
        let read = operation(&["select"], [on(Verb::Read, "customers", Extent::Some)]);
        let decision = session.infer(&columns, &read, &Circumstances::default(), &approvals);
        assert_eq!(word(&decision), expect, "{texts:?} {labels:?} {approvals:?}");
    };
    let by_label = r#"@id("by-label") permit (principal, action == Action::"infer", resource)
        when { resource.labels.contains("email") };"#;
    let run = r#"@id("run") permit (principal, action in Action::"run", resource);"#;
    let signed = r#"@id("signed") @review("dba") forbid (principal, action == Action::"infer", resource)
        unless { context.approvals.contains("dba") };"#;
    check(&[by_label], &["email"], &[], "allow");
    check(&[by_label], &[], &[], "refuse:masked-conditions");
    check(&[run], &["email"], &[], "refuse:masked-conditions");
    check(&[PERMIT, signed], &[], &[], "hold(dba):signed");
    check(&[PERMIT, signed], &[], &["dba"], "allow");
    check(&[signed], &[], &[], "refuse:masked-conditions");
    check(&[pack("agent-safe").unwrap()], &["email"], &["dba"], "refuse:masked-conditions");
    check(&[pack("read-only").unwrap()], &["email"], &[], "refuse:masked-conditions");
}
