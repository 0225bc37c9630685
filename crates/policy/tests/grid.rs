//! Authorization as a committed grid: packs × callers × operations, compared with `grid.txt`.
//!
//! `PORTCULLIS_BLESS=1 cargo test -p portcullis-policy --test grid` writes the file anew; the diff
//! is then what a reviewer reads.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use common::*;
use portcullis_core::effect::{Certainty, Effect, Extent, ObjectKind as Kind, Operation, Verb};
use portcullis_core::mask::Strategy;
use portcullis_core::principal::PrincipalKind;
use portcullis_core::verdict::Standing;
use portcullis_policy::{PACKS, Reveal, pack};
use std::collections::BTreeSet;
use std::fmt::Write as _;

fn callers() -> Vec<(&'static str, Standing, &'static [&'static str])> {
    use PrincipalKind::{Agent, Person, Workload};
    let of = |kind, subject, groups: &[&str]| standing(caller(kind, subject, groups));
    vec![
        ("agent", of(Agent, "claude", &["agents"]), &[]),
        ("agent+dba", of(Agent, "claude", &["agents"]), &["dba"]),
        ("person", of(Person, "alice", &["people"]), &[]),
        ("pii-reader", of(Person, "rita", &["people", "pii-readers"]), &[]),
        ("stranger", of(Workload, "ci", &["others"]), &["security"]),
    ]
}

fn reads() -> Vec<(&'static str, Operation)> {
    let one = |name, kind: &str, effect: Effect| (name, operation(&[kind], [effect]));
    let catalog =
        |name| effect(Verb::Read, Kind::Relation, &["shop", "pg_catalog", name], Extent::All);
    let read = |kind, path: &[&str]| effect(Verb::Read, kind, path, Extent::One);
    vec![
        one(
            "connect",
            "connect",
            effect(Verb::Connect, Kind::Connection, &["orders-db"], Extent::One),
        ),
        one(
            "connect elsewhere",
            "connect",
            effect(Verb::Connect, Kind::Connection, &["hr-db"], Extent::One),
        ),
        one("select", "select", on(Verb::Read, "orders", Extent::Some)),
        one("select pg_class", "select", catalog("pg_class")),
        one("select pg_stats", "select", catalog("pg_stats")),
        one("select pg_authid", "select", catalog("pg_authid")),
        one("own table pg_stats", "select", on(Verb::Read, "pg_stats", Extent::All)),
        one("select unknown table", "select", assumed(read(Kind::Relation, &["nope"]))),
        one("show setting", "show", read(Kind::Setting, &["work_mem"])),
        one("show setting of an application", "show", read(Kind::Setting, &["app.secret"])),
        one("pg_read_file", "select", read(Kind::File, &["/etc/passwd"])),
        one("lo_get", "select", read(Kind::LargeObject, &["4711"])),
        ("unreadable", Operation::unreadable()),
        one("execute unknown name", "execute", unknown_name()),
    ]
}

fn unknown_name() -> Effect {
    let mut effect = effect(Verb::Unknown, Kind::Session, &["nowhere"], Extent::Unknown);
    effect.certainty = Certainty::Unreadable;
    effect
}

fn changes() -> Vec<(&'static str, Operation)> {
    let one = |name, kind: &str, effect: Effect| (name, operation(&[kind], [effect]));
    let some = Extent::Some;
    vec![
        one("insert", "insert", on(Verb::Insert, "orders", some)),
        one("update where", "update", on(Verb::Update, "orders", some)),
        one("update all", "update", on(Verb::Update, "orders", Extent::All)),
        one("delete where", "delete", on(Verb::Delete, "orders", some)),
        one("delete all", "delete", on(Verb::Delete, "orders", Extent::All)),
        one(
            "nextval",
            "select",
            effect(Verb::Update, Kind::Sequence, &["shop", "public", "s"], Extent::One),
        ),
        one(
            "update pg_proc",
            "update",
            effect(Verb::Update, Kind::Relation, &["shop", "pg_catalog", "pg_proc"], some),
        ),
        one("truncate", "truncate table", on(Verb::Truncate, "orders", Extent::All)),
        one("drop table", "drop table", on(Verb::Drop, "orders", Extent::All)),
        one("create table", "create table", on(Verb::Create, "x", Extent::One)),
        one("alter table", "alter table", on(Verb::Alter, "orders", Extent::One)),
        one("grant", "grant", on(Verb::Grant, "orders", Extent::One)),
        one(
            "call",
            "call",
            effect(Verb::Execute, Kind::Routine, &["shop", "public", "f"], Extent::Unknown),
        ),
        one("copy from stdin", "copy", on(Verb::TransferIn, "orders", Extent::Unknown)),
        one(
            "copy to program",
            "copy",
            effect(Verb::TransferOut, Kind::Program, &["sh"], Extent::One),
        ),
        one("dblink", "select", effect(Verb::Forward, Kind::Host, &["evil"], Extent::One)),
        (
            "select and delete",
            operation(
                &["select", "delete"],
                [on(Verb::Read, "orders", some), on(Verb::Delete, "orders", some)],
            ),
        ),
        (
            "delete and drop",
            operation(
                &["delete", "drop table"],
                [on(Verb::Delete, "orders", some), on(Verb::Drop, "orders", some)],
            ),
        ),
    ]
}

fn controls() -> Vec<(&'static str, Operation)> {
    let control = |kind, path: &[&str]| effect(Verb::Control, kind, path, Extent::One);
    let one = |name, kind: &str, effect: Effect| (name, operation(&[kind], [effect]));
    let temporary = || effect(Verb::Drop, Kind::Schema, &["shop", "pg_temp"], Extent::All);
    let channel = control(Kind::Channel, &["jobs"]);
    vec![
        one("commit prepared", "commit prepared", control(Kind::Transaction, &["prepared", "x"])),
        one(
            "set session characteristics",
            "set",
            control(Kind::Setting, &["session characteristics"]),
        ),
        one("reset all", "reset", effect(Verb::Control, Kind::Setting, &[], Extent::All)),
        one("set_config of what is computed", "select", assumed(control(Kind::Setting, &["?"]))),
        one("unlisten *", "unlisten", control(Kind::Channel, &[])),
        (
            "reset of a pool (asyncpg)",
            operation(
                &["select", "close cursor", "unlisten", "reset"],
                [
                    assumed(control(Kind::Lock, &["shop", "?"])),
                    control(Kind::Session, &[]),
                    control(Kind::Channel, &[]),
                    effect(Verb::Control, Kind::Setting, &[], Extent::All),
                ],
            ),
        ),
        one("begin", "begin", control(Kind::Transaction, &[])),
        one(
            "prepare transaction",
            "prepare transaction",
            control(Kind::Transaction, &["prepared", "x"]),
        ),
        one("prepare", "prepare", control(Kind::Session, &[])),
        one("set statement_timeout", "set", control(Kind::Setting, &["statement_timeout"])),
        one("set search_path", "set", control(Kind::Setting, &["search_path"])),
        one("set enable_seqscan", "set", control(Kind::Setting, &["enable_seqscan"])),
        one("set geqo", "set", control(Kind::Setting, &["geqo"])),
        one("set seq_page_cost", "set", control(Kind::Setting, &["seq_page_cost"])),
        one("set work_mem", "set", control(Kind::Setting, &["work_mem"])),
        one("set backslash_quote", "set", control(Kind::Setting, &["backslash_quote"])),
        one(
            "set standard_conforming_strings",
            "set",
            control(Kind::Setting, &["standard_conforming_strings"]),
        ),
        one(
            "set session_replication_role",
            "set",
            control(Kind::Setting, &["session_replication_role"]),
        ),
        one("set app.user", "set", control(Kind::Setting, &["app.user"])),
        one("set role", "set", control(Kind::Role, &["postgres"])),
        one("reset role", "reset", control(Kind::Role, &[])),
        one("discard temp", "discard temp", temporary()),
        ("discard temp, drop schema", operation(&["discard temp", "drop schema"], [temporary()])),
        one("select for update", "select", control(Kind::Lock, &["shop", "public", "orders"])),
        one("lock table", "lock table", control(Kind::Lock, &["shop", "public", "orders"])),
        one("listen", "listen", channel.clone()),
        one("notify", "notify", channel.clone()),
        one("pg_notify", "select", channel.clone()),
        ("listen and notify", operation(&["listen", "notify"], [channel])),
        one("pg_reload_conf", "select", control(Kind::Connection, &["shop"])),
        one("pg_terminate_backend", "select", control(Kind::Backend, &["42"])),
    ]
}

fn columns() -> [(&'static str, bool, Option<&'static str>); 3] {
    [
        ("reveal plain column", false, None),
        ("reveal sensitive column", true, None),
        ("reveal secret of the server", true, Some("server-secret")),
    ]
}

/// The decisions of a pack, one line for each operation, one column for each caller.
fn section(text: &str) -> String {
    let policies = load(&[text]);
    let admitted = ["agents".to_owned(), "people".to_owned()];
    let sessions: Vec<_> = callers()
        .into_iter()
        .map(|(name, standing, approvals)| {
            (name, policies.for_session(&standing, &admitted), approvals)
        })
        .collect();
    let mut out = String::new();
    let mut line = |name: &str, cells: Vec<String>| {
        let same = cells.windows(2).all(|pair| pair[0] == pair[1]);
        if same && let Some(all) = cells.first() {
            writeln!(out, "  {name:34} everybody: {all}").unwrap();
            return;
        }
        writeln!(out, "  {name}").unwrap();
        for ((caller, ..), cell) in sessions.iter().zip(cells) {
            writeln!(out, "    {caller:32} {cell}").unwrap();
        }
    };
    for (name, operation) in [reads(), changes(), controls()].concat() {
        let cells = sessions.iter().map(|(_, s, given)| word(&decide(s, &operation, given)));
        line(name, cells.collect());
    }
    for (name, sensitive, label) in columns() {
        let labels: BTreeSet<String> = label.map(str::to_owned).into_iter().collect();
        let cells = sessions.iter().map(|(_, s, _)| {
            let path = ["shop", "public", "customers", "email"];
            match s.reveal(path, sensitive, &labels, Some(Strategy::Partial)) {
                Reveal::Show => "show".to_owned(),
                Reveal::Mask { strategy, rule } => format!("{strategy:?}:{rule}").to_lowercase(),
            }
        });
        line(name, cells.collect());
    }
    out
}

#[test]
fn the_packs_decide_as_committed() {
    let mut found = String::new();
    for (name, text) in PACKS {
        writeln!(found, "{name}\n{}", section(text)).unwrap();
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/grid.txt");
    if std::env::var_os("PORTCULLIS_BLESS").is_some() {
        std::fs::write(path, &found).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap();
    for (i, (found, committed)) in found.lines().zip(committed.lines()).enumerate() {
        assert_eq!(found, committed, "line {}", i + 1);
    }
    assert_eq!(found.len(), committed.len());
}

/// A grid that stays the same without a rule does not test that rule.
#[test]
fn every_rule_of_agent_safe_is_seen_in_the_grid() {
    let text = pack("agent-safe").unwrap();
    let whole = section(text);
    let set: cedar_policy::PolicySet = text.parse().unwrap();
    let texts: Vec<String> = set.policies().map(|p| p.to_cedar().unwrap()).collect();
    for (i, dropped) in set.policies().enumerate() {
        let rest: Vec<_> = texts.iter().enumerate().filter(|(j, _)| *j != i).collect();
        let rest: String = rest.into_iter().map(|(_, text)| format!("{text}\n")).collect();
        let id = dropped.annotation("id").unwrap();
        assert_ne!(section(&rest), whole, "without {id} nothing changes");
    }
}
