//! Transcripts of what drivers send, and of what an attacker sends.

use super::*;
use crate::pg::unit::Unbound;
use portcullis_core::effect::{Certainty, Effect, Extent, Object, ObjectKind, Verb};
use portcullis_core::mask::{CopyFormat, Lineage};
use portcullis_core::protocol::Request as _;
use portcullis_sql::statement::{
    Analysis, Copy, CopyIn, GoesBy, NameChange, Statement, TransactionChange, Unreadable,
};
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

/// A small language: the first word says what it does, the second to what.
#[derive(Default)]
struct Toy {
    epoch: AtomicU64,
}

fn verb(word: &str) -> Option<Verb> {
    Some(match word {
        "select" => Verb::Read,
        "insert" => Verb::Insert,
        "delete" => Verb::Delete,
        "drop" => Verb::Drop,
        "do" | "call" => Verb::Execute,
        _ => return None,
    })
}

impl Toy {
    fn statement(&self, text: &str) -> Result<Statement, Unreadable> {
        let syntax = || Unreadable::Syntax { message: format!("no: {text}"), at: Some(0) };
        let words: Vec<&str> = text.split_whitespace().collect();
        let word = |n: usize| words.get(n).copied().ok_or_else(syntax);
        let name = |n: usize| word(n).map(Box::from);
        let not_all = |name: &_| *name != Box::<str>::from("all");
        let rest = |from: usize| self.statement(&words[from..].join(" ")).map(Arc::new);
        let mut s = Statement {
            kind: word(0)?.into(),
            effects: [].into_iter().collect(),
            lineage: None,
            names: NameChange::None,
            transaction: TransactionChange::None,
            written: Arc::default(),
            copy: None,
            unspoken: None,
            respeaks: matches!(words[0], "do" | "call"),
            rereads: words.contains(&"body"),
            goes_by: (words.first() == Some(&"delete") && words.contains(&"current"))
                .then_some(GoesBy::CursorRow),
            disturbs: words[0] == "define",
        };
        s.names = match word(0)? {
            "prepare" => NameChange::Prepare { name: name(1)?, inner: rest(3)? },
            "execute" => NameChange::Execute { name: name(1)? },
            "fetch" => NameChange::Fetch { name: name(1)? },
            "declare" => {
                let from = words.iter().position(|w| *w == "for").ok_or_else(syntax)?;
                NameChange::Declare { name: name(1)?, inner: rest(from + 1)? }
            }
            "deallocate" => NameChange::Deallocate { name: name(1).ok().filter(not_all) },
            "close" => NameChange::CloseCursor { name: name(1).ok().filter(not_all) },
            "discard" => NameChange::DiscardAll,
            _ => NameChange::None,
        };
        s.transaction = match (word(0)?, words.len()) {
            ("begin", _) => TransactionChange::Begin,
            ("commit", _) => TransactionChange::Commit,
            ("rollback", 1) => TransactionChange::Rollback,
            ("savepoint" | "rollback", _) => TransactionChange::Savepoint,
            _ => TransactionChange::None,
        };
        let steers = s.names != NameChange::None || s.transaction != TransactionChange::None;
        if words[0] == "copy" {
            s.copy = Some(match word(1)? {
                "in" => Copy::In(CopyIn { format: CopyFormat::TEXT, columns: Arc::default() }),
                _ => Copy::Out(CopyFormat::TEXT),
            });
            s.effects.push(effect(Verb::Insert, "t"));
        } else if words[0] == "set" {
            let object = Object::new(ObjectKind::Setting, [word(1)?]);
            s.effects.push(Effect::resolved(Verb::Control, object, Extent::One));
        } else if let Some(verb) = verb(words[0]) {
            s.effects.push(effect(verb, word(1)?));
            if verb == Verb::Read {
                let relations = vec![self.epoch() as u32, word(1)?.len() as u32];
                s.lineage = Some(Arc::new(Lineage { relations, ..Lineage::default() }));
            }
        } else if !steers && !s.disturbs {
            return Err(syntax());
        }
        Ok(s)
    }
}

impl Analyst for Toy {
    fn analyse(&self, text: &str) -> Result<Arc<Analysis>, Unreadable> {
        let texts = text.split(';').filter(|text| !text.trim().is_empty());
        let from = |part: &str| part.as_ptr().addr() - text.as_ptr().addr();
        let places = texts.clone().map(|t| from(t)..from(t) + t.len()).collect();
        let statements = texts.map(|text| self.statement(text)).collect::<Result<_, _>>()?;
        Ok(Arc::new(Analysis { statements, places }))
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }
}

fn effect(verb: Verb, name: &str) -> Effect {
    Effect::resolved(verb, Object::new(ObjectKind::Relation, [name]), Extent::Some)
}

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

pub(super) fn query(text: &str) -> Vec<u8> {
    frame(b'Q', format!("{text}\0").as_bytes())
}
pub(super) fn parse(name: &str, text: &str) -> Vec<u8> {
    frame(b'P', format!("{name}\0{text}\0\0\0").as_bytes())
}
fn bind_with(portal: &str, statement: &str, value: &str) -> Vec<u8> {
    let mut body = format!("{portal}\0{statement}\0\0\0\0\x01").into_bytes();
    body.extend_from_slice(&(value.len() as u32).to_be_bytes());
    body.extend_from_slice(value.as_bytes());
    body.extend_from_slice(&[0, 0]);
    frame(b'B', &body)
}
pub(super) fn bind(portal: &str, statement: &str) -> Vec<u8> {
    frame(b'B', format!("{portal}\0{statement}\0\0\0\0\0\0\0").as_bytes())
}
pub(super) fn describe(kind: char, name: &str) -> Vec<u8> {
    frame(b'D', format!("{kind}{name}\0").as_bytes())
}
pub(super) fn execute(portal: &str, rows: u8) -> Vec<u8> {
    frame(b'E', &[portal.as_bytes(), &[0, 0, 0, 0, rows]].concat())
}
pub(super) fn close(kind: char, name: &str) -> Vec<u8> {
    frame(b'C', format!("{kind}{name}\0").as_bytes())
}
pub(super) fn sync() -> Vec<u8> {
    frame(b'S', b"")
}
pub(super) fn flush() -> Vec<u8> {
    frame(b'H', b"")
}

/// A client and a driver that permits everything, with the target's answers made by hand.
pub(super) struct Session {
    pub(super) conversation: Conversation,
    pub(super) buffer: BytesMut,
    toy: Arc<Toy>,
}

impl Session {
    pub(super) fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let toy = Arc::new(Toy::default());
        let conversation = Conversation::new(toy.clone(), limits);
        Self { conversation, buffer: BytesMut::new(), toy }
    }

    fn turn(&mut self, messages: &[Vec<u8>]) -> Option<Turn> {
        self.buffer.extend_from_slice(&messages.concat());
        self.conversation.next(&mut self.buffer).unwrap()
    }

    fn unit(&mut self, messages: &[Vec<u8>]) -> Unit {
        match self.turn(messages) {
            Some(Turn::Unit(unit)) => *unit,
            other => panic!("{other:?}"),
        }
    }

    fn why(&mut self, messages: &[Vec<u8>]) -> Why {
        match self.turn(messages) {
            Some(Turn::Unformed(unformed)) => {
                self.conversation.refused(unformed.shape);
                unformed.why
            }
            other => panic!("{other:?}"),
        }
    }

    /// The target answers every step with success.
    fn answer(&mut self, unit: &Unit, status: u8) {
        for (n, step) in unit.script().steps.iter().enumerate() {
            match step {
                Step::Execute { part } => self.settle(Confirmation::Part(*part, "OK".into())),
                Step::Query { first_part, parts } => {
                    for part in *first_part..first_part + parts {
                        self.settle(Confirmation::Part(part, "OK".into()));
                    }
                    self.settle(Confirmation::Ready(status));
                }
                Step::Sync => self.settle(Confirmation::Ready(status)),
                Step::Flush => {}
                _ => self.settle(Confirmation::Step(n)),
            }
        }
    }

    fn settle(&mut self, confirmation: Confirmation) {
        self.conversation.settle(&[confirmation]);
    }

    fn run(&mut self, messages: &[Vec<u8>], status: u8) -> Unit {
        let unit = self.unit(messages);
        self.answer(&unit, status);
        assert!(!self.conversation.in_flight());
        unit
    }

    /// The target fails at a step, after `parts` parts.
    fn fail(&mut self, messages: &[Vec<u8>], step: usize, parts: usize, status: u8) -> Unit {
        let unit = self.unit(messages);
        (0..parts).for_each(|part| self.settle(Confirmation::Part(part, "OK".into())));
        self.settle(Confirmation::Failed(step));
        if self.conversation.in_flight() {
            self.settle(Confirmation::Ready(status));
        }
        unit
    }
}

fn verbs(unit: &Unit) -> Vec<Verb> {
    unit.operation().effects.iter().map(|e| e.verb).collect()
}

fn kinds(unit: &Unit) -> Vec<&str> {
    unit.operation().kinds.iter().map(|kind| &**kind).collect()
}

fn wire(unit: &Unit) -> String {
    let mut rest = unit.wire_bytes();
    let mut kinds = String::new();
    while let Some(kind) = rest.first() {
        kinds.push(char::from(*kind));
        let length = u32::from_be_bytes(rest[1..5].try_into().unwrap());
        rest = &rest[length as usize + 1..];
    }
    kinds
}

fn unreadable(unit: &Unit) -> bool {
    unit.operation().effects.iter().any(|e| e.certainty == Certainty::Unreadable)
}

fn parts_match(unit: &Unit) {
    assert_eq!(unit.script().parts.len(), unit.operation().lineages.len());
}

// What drivers send.

#[test]
fn libpq_simple_query() {
    let mut s = Session::new();
    let unit = s.run(&[query("begin; delete t; select u")], b'T');
    assert_eq!(unit.wire_bytes(), query("begin; delete t; select u"));
    assert_eq!(kinds(&unit), ["begin", "delete", "select"]);
    assert_eq!(verbs(&unit), [Verb::Delete, Verb::Read]);
    assert_eq!(unit.script().steps, [Step::Query { first_part: 0, parts: 3 }]);
    assert_eq!(unit.shown().statements, ["begin; delete t; select u"]);
    parts_match(&unit);
    assert_eq!(s.conversation.transaction_status(), b'T');
    let empty = s.run(&[query(" ")], b'T');
    assert_eq!((kinds(&empty), verbs(&empty)), (vec!["empty"], vec![Verb::Control]));
    assert!(empty.script().parts.is_empty());
}

#[test]
fn libpq_exec_params() {
    let mut s = Session::new();
    let messages =
        [parse("", "select t"), bind_with("", "", "7"), describe('P', ""), execute("", 0), sync()];
    let unit = s.run(&messages, b'I');
    // Its own Describe governs the Execute, so that nothing is put in.
    assert_eq!(unit.wire_bytes(), messages.concat());
    assert_eq!(unit.script().steps[2], Step::DescribePortal { part: Some(0), injected: false });
    assert_eq!(verbs(&unit), [Verb::Read]);
    assert_eq!(unit.shown().parameters, [[Some("7".to_owned())]]);
    parts_match(&unit);
}

/// Which descriptions govern a part: the step, and whether it was put in.
fn governing(unit: &Unit) -> Vec<(usize, usize, bool)> {
    let steps = unit.script().steps.iter().enumerate();
    let governing = steps.filter_map(|(n, step)| match step {
        Step::DescribePortal { part: Some(part), injected } => Some((n, *part, *injected)),
        _ => None,
    });
    governing.collect()
}

#[test]
fn a_description_governs_what_is_executed_right_behind_it() {
    let mut s = Session::new();
    let messages = [
        [parse("s", "select t"), bind("p", "s"), bind("q", "s")].concat(),
        [describe('P', "p"), describe('P', "q"), execute("q", 0), execute("p", 0)].concat(),
        [describe('P', "p"), execute("q", 0), describe('P', "p"), describe('S', "s")].concat(),
        [execute("p", 0), sync()].concat(),
    ];
    let unit = s.run(&messages, b'T');
    assert_eq!(wire(&unit), "PBBDDEDEDDEDDDES");
    let expect = [(4, 0, false), (6, 1, true), (9, 2, true), (13, 3, true)];
    assert_eq!(governing(&unit), expect);
    parts_match(&unit);
}

/// A name may be another portal by the time it is executed, whatever ended the one described, and
/// so may the cursor that a described `FETCH` reads.
#[test]
fn a_description_does_not_outlive_its_portal() {
    let ends = ["close p", "commit", "rollback", "rollback to s", "close all", "discard all"];
    for end in ends {
        let mut s = Session::new();
        s.run(&[query("begin")], b'T');
        s.run(&[query("savepoint s")], b'T');
        let messages = [
            [parse("", "select t"), bind("p", ""), describe('P', "p")].concat(),
            [parse("", end), bind("", ""), execute("", 0)].concat(),
            [parse("", "declare p for select u"), bind("", ""), execute("", 0)].concat(),
            [execute("p", 0), sync()].concat(),
        ];
        let unit = s.run(&messages, b'T');
        assert_eq!(governing(&unit), [(5, 0, true), (9, 1, true), (11, 2, true)], "{end}");
    }
    let mut s = Session::new();
    s.run(&[query("begin")], b'T');
    s.run(&[query("declare c for select t")], b'T');
    let messages = [
        [parse("", "fetch c"), bind("p", ""), describe('P', "p")].concat(),
        [parse("", "close c"), bind("", ""), execute("", 0)].concat(),
        [parse("", "declare c for select u"), bind("", ""), execute("", 0)].concat(),
        [execute("p", 0), sync()].concat(),
    ];
    let unit = s.run(&messages, b'T');
    assert_eq!(governing(&unit), [(5, 0, true), (9, 1, true), (11, 2, true)]);
}

#[test]
fn psycopg_pipeline() {
    let mut s = Session::new();
    let first = [
        parse("_pg3_0", "insert t"),
        bind_with("", "_pg3_0", "1"),
        describe('P', ""),
        execute("", 0),
        bind_with("", "_pg3_0", "2"),
        describe('P', ""),
        execute("", 0),
        flush(),
    ];
    let unit = s.run(&first, b'I');
    assert_eq!(unit.wire_bytes(), first.concat());
    assert_eq!(verbs(&unit), [Verb::Insert]);
    assert_eq!(unit.shown().parameters.concat(), [Some("1".to_owned()), Some("2".to_owned())]);
    parts_match(&unit);
    assert!(s.conversation.pipeline_open());
    assert!(s.turn(&[flush()]).is_none());
    let unit = s.run(&[sync()], b'I');
    assert_eq!((kinds(&unit), verbs(&unit)), (vec!["sync"], vec![Verb::Control]));
    assert!(unit.operation().changes_nothing());
    assert!(!s.conversation.pipeline_open());
}

#[test]
fn asyncpg_parse_describe_flush_then_bind_execute_sync() {
    let mut s = Session::new();
    let prepare = [parse("__asyncpg_stmt_1__", "delete t"), describe('S', "__asyncpg_stmt_1__")];
    let unit = s.run(&[prepare[0].clone(), prepare[1].clone(), flush()], b'I');
    assert!(unit.prepares_only());
    assert_eq!((kinds(&unit), verbs(&unit)), (vec!["prepare"], vec![Verb::Read]));
    parts_match(&unit);
    let unit = s.run(&[bind_with("", "__asyncpg_stmt_1__", "9"), execute("", 0), sync()], b'I');
    assert!(!unit.prepares_only());
    assert_eq!(verbs(&unit), [Verb::Delete]);
    assert_eq!(wire(&unit), "BDES");
    assert_eq!(unit.script().steps[1], Step::DescribePortal { part: Some(0), injected: true });
    assert_eq!(unit.shown().statements, ["delete t"]);
}

#[test]
fn tokio_postgres_names_do_not_change_the_digest() {
    let digest = |name: &str, value: &str| {
        let mut s = Session::new();
        s.run(&[parse(name, "delete t"), describe('S', name), sync()], b'I');
        s.run(&[bind_with("", name, value), execute("", 0), sync()], b'I').digest()
    };
    assert_eq!(digest("s0", "1"), digest("s7", "1"));
    assert_ne!(digest("s0", "1"), digest("s0", "2"));
    let mut s = Session::new();
    let whole =
        s.run(&[parse("", "delete t"), bind_with("p", "", "1"), execute("p", 0), sync()], b'I');
    assert_eq!(whole.digest(), digest("s0", "1"));
    let other =
        s.run(&[parse("", "delete u"), bind_with("", "", "1"), execute("", 0), sync()], b'I');
    assert_ne!(whole.digest(), other.digest());
    let prepared = s.run(&[parse("", "delete t"), sync()], b'I');
    assert_ne!(whole.digest(), prepared.digest());
}

#[test]
fn pgjdbc_fetch_size() {
    let mut s = Session::new();
    s.run(&[query("begin")], b'T');
    let first = [parse("S_1", "select t"), bind("C_1", "S_1"), describe('P', "C_1")];
    let unit = s.unit(&[first.concat(), execute("C_1", 5), sync()]);
    assert_eq!(verbs(&unit), [Verb::Read]);
    s.settle(Confirmation::Step(2));
    s.settle(Confirmation::Suspended(0));
    s.settle(Confirmation::Ready(b'T'));
    let unit = s.run(&[execute("C_1", 5), sync()], b'T');
    assert_eq!((kinds(&unit), verbs(&unit)), (vec!["fetch"], vec![Verb::Control]));
    assert_eq!(wire(&unit), "DES");
    assert_eq!(unit.operation().lineages[0].relations, [0, 1]);
    // It has been read to its end; once more is a new execution.
    let unit = s.run(&[execute("C_1", 5), sync()], b'T');
    assert_eq!(verbs(&unit), [Verb::Read]);
    let unit = s.run(&[close('P', "C_1"), sync()], b'T');
    assert_eq!(kinds(&unit), ["sync"]);
    assert!(matches!(s.why(&[execute("C_1", 5), sync()]), Why::UnknownPortal { .. }));
}

#[test]
fn statements_only_parsed_beside_executed_ones() {
    let mut s = Session::new();
    let unit = s.run(
        &[parse("a", "delete t"), parse("", "select u"), bind("", ""), execute("", 0), sync()],
        b'I',
    );
    assert_eq!(verbs(&unit), [Verb::Read, Verb::Read]);
    assert_eq!(kinds(&unit), ["select", "prepare"]);
    let unit = s.run(&[parse("b", "drop t"), sync()], b'I');
    assert_eq!(verbs(&unit), [Verb::Drop]);
    let unit = s.run(&[query("prepare x as delete t")], b'I');
    assert_eq!(verbs(&unit), [Verb::Read]);
}

#[test]
fn sql_level_names() {
    let mut s = Session::new();
    s.run(&[query("prepare x as delete t")], b'I');
    let unit = s.run(&[query("execute x")], b'I');
    assert_eq!((kinds(&unit), verbs(&unit)), (vec!["execute", "delete"], vec![Verb::Delete]));
    let unit = s.run(&[bind("", "x"), execute("", 0), sync()], b'I');
    assert_eq!(verbs(&unit), [Verb::Delete]);
    s.run(&[query("begin; declare c for select abc")], b'T');
    let unit = s.run(&[query("fetch c")], b'T');
    assert_eq!(unit.operation().lineages[0].relations, [0, 3]);
    let unit = s.run(&[execute("c", 0), sync()], b'T');
    assert_eq!(verbs(&unit), [Verb::Read]);
    assert!(unreadable(&s.run(&[query("execute nobody")], b'T')));
    assert!(unreadable(&s.run(&[query("fetch nobody")], b'T')));
    s.run(&[query("deallocate all; close all")], b'T');
    assert!(unreadable(&s.run(&[query("execute x")], b'T')));
    assert!(unreadable(&s.run(&[query("fetch c")], b'T')));
}

#[test]
fn what_is_said_of_a_repeat_behind_a_name_is_in_the_digest() {
    let digest = |inner: &str| {
        let mut s = Session::new();
        s.run(&[query(&format!("prepare x as {inner}"))], b'I');
        s.run(&[query("execute x")], b'I').digest()
    };
    assert_ne!(digest("delete t"), digest("select t"));
}

#[test]
fn all_that_runs_is_shown_wherever_in_its_text_it_stood() {
    let mut s = Session::new();
    s.run(&[query("select t; prepare x as delete t; prepare y as drop u")], b'I');
    let shown = |unit: &Unit| unit.shown().statements;
    let mixed =
        [parse("", "insert v"), bind("", ""), execute("", 0), bind("", "y"), execute("", 0)];
    let unit = s.run(&[mixed.concat(), sync()], b'I');
    assert_eq!(shown(&unit), ["insert v", "prepare y as drop u"]);
    let unit = s.run(&[bind("", "x"), execute("", 0), sync()], b'I');
    assert_eq!(shown(&unit), ["prepare x as delete t"]);
    // Behind names in a text of several statements as well.
    let unit = s.run(&[query("select t; execute x")], b'I');
    assert_eq!(shown(&unit), ["select t; execute x", "prepare x as delete t"]);
    s.run(&[query("begin; declare c for select abc")], b'T');
    let unit = s.run(&[execute("c", 0), sync()], b'T');
    assert_eq!(shown(&unit), ["declare c for select abc"]);
    let unit = s.run(&[query("select t; fetch c")], b'T');
    assert_eq!(shown(&unit), ["select t; fetch c", "declare c for select abc"]);
}

#[test]
fn which_statement_of_a_text_a_name_stands_for_is_in_the_digest() {
    const TEXT: &str =
        "prepare a as drop u; prepare guard as select t; deallocate a; prepare a as delete t";
    let mut whole = Session::new();
    whole.run(&[query(TEXT)], b'I');
    let mut stopped = Session::new();
    stopped.run(&[query("prepare guard as select t")], b'I');
    stopped.fail(&[query(TEXT)], 0, 1, b'I');
    for call in [vec![query("execute a")], vec![bind("", "a"), execute("", 0), sync()]] {
        let (one, other) = (whole.run(&call, b'I'), stopped.run(&call, b'I'));
        assert_ne!(one.digest(), other.digest());
        assert_eq!(one.shown().statements.last().unwrap(), "prepare a as delete t");
        assert_eq!(other.shown().statements.last().unwrap(), "prepare a as drop u");
    }
}

#[test]
fn types_behind_a_name_are_shown_and_in_the_digest() {
    let typed = |oid: u32| {
        let body = [&b"s\0delete t\0\0\x01"[..], &oid.to_be_bytes()].concat();
        let mut s = Session::new();
        s.run(&[frame(b'P', &body), bind("p", "s"), sync()], b'T');
        s
    };
    let (mut integer, mut text) = (typed(23), typed(25));
    for call in ["execute s", "fetch p"] {
        let (one, other) = (integer.run(&[query(call)], b'T'), text.run(&[query(call)], b'T'));
        assert_ne!(one.digest(), other.digest(), "{call}");
    }
    let shown = |s: &mut Session| s.run(&[query("execute s")], b'T').shown().statements;
    assert_eq!(shown(&mut integer), ["execute s", "delete t\n-- $1 is read as integer"]);
    assert_eq!(shown(&mut text), ["execute s", "delete t\n-- $1 is read as text"]);
}

/// Whether a statement prepared before `between` may have been read otherwise than it would be now.
fn is_misread(text: &str, between: &[&str]) -> bool {
    let mut s = Session::new();
    s.run(&[parse("s", text), sync()], b'I');
    let status = |text: &str| if text == "begin" { b'T' } else { b'I' };
    for text in between {
        s.run(&[query(text)], status(text));
    }
    let unit = s.run(&[bind("", "s"), execute("", 0), sync()], b'I');
    let told = unit.unbound() == Some(Unbound::Misread);
    let unit = s.run(&[query("execute s")], b'I');
    // Behind code of users it is not known any more, by its name in a text.
    assert_eq!(unreadable(&unit) || unit.unbound() == Some(Unbound::Misread), told, "by both ways");
    s.run(&[close('S', "s"), parse("s", text), sync()], b'I');
    assert_eq!(s.run(&[query("execute s")], b'I').unbound(), None, "prepared again");
    told
}

#[test]
fn what_was_prepared_under_other_settings_is_told() {
    for between in [
        &["set datestyle"][..],
        &["call f"],
        &["do x"],
        &["begin", "set datestyle; rollback"],
        &["begin", "set datestyle", "commit"],
    ] {
        // After a block of code the name itself is in doubt.
        if between != ["do x"] {
            assert!(is_misread("delete t '1'", between), "{between:?}");
        }
        assert!(!is_misread("delete t $1", &["set datestyle"]), "no literal in it");
    }
    for harmless in ["select t", "set search_path", "set app.tenant", "set lock_timeout"] {
        assert!(!is_misread("delete t '1'", &[harmless]), "{harmless}");
    }
    // A rollback takes back what was set when it was prepared.
    let mut s = Session::new();
    s.run(&[query("begin")], b'T');
    s.run(&[query("set datestyle; prepare s as delete t '1'")], b'T');
    assert_eq!(s.run(&[query("execute s")], b'T').unbound(), None);
    s.run(&[query("rollback")], b'I');
    assert_eq!(s.run(&[query("execute s")], b'I').unbound(), Some(Unbound::Misread));
}

#[test]
fn what_was_bound_under_other_settings_is_told() {
    let unbound = |between: &str| {
        let mut s = Session::new();
        s.run(&[query("begin")], b'T');
        s.run(&[parse("", "delete t $1"), bind("p", ""), bind("q", ""), sync()], b'T');
        s.run(&[query(between)], b'T');
        let fetched = s.run(&[query("fetch q")], b'T').unbound();
        assert_eq!(s.run(&[execute("p", 0), sync()], b'T').unbound(), fetched);
        fetched
    };
    assert_eq!(unbound("set datestyle"), Some(Unbound::Misread));
    assert_eq!(unbound("set search_path"), Some(Unbound::Misread));
    assert_eq!(unbound("select t"), None);
    // In one pipeline.
    let mut s = Session::new();
    s.run(&[parse("set", "set datestyle"), sync()], b'I');
    let set = [bind("", "set"), execute("", 0)].concat();
    let unit = s.unit(&[parse("", "delete t '1'"), set, bind("", ""), execute("", 0), sync()]);
    assert_eq!(unit.unbound(), Some(Unbound::Misread));
    s.conversation.refused(unit.shape());
    assert_eq!(s.run(&[query("prepare d as delete t '1'")], b'I').unbound(), None);
}

#[test]
fn the_row_of_a_cursor_is_told_behind_names_too() {
    let mut s = Session::new();
    let row = Unbound::GoesBy(GoesBy::CursorRow);
    assert_eq!(s.run(&[query("prepare s as delete t current")], b'I').unbound(), None);
    assert_eq!(s.run(&[query("select t; execute s")], b'I').unbound(), Some(row));
    assert_eq!(s.run(&[query("delete t current")], b'I').unbound(), Some(row));
    assert!(row.told(false).is_some() && row.told(true).is_some());
    let last = Unbound::GoesBy(GoesBy::LastValue);
    assert!(last.told(false).is_none() && last.told(true).is_some());
}

#[test]
fn names_are_looked_up_through_names() {
    let mut s = Session::new();
    s.run(&[query("prepare x as delete t")], b'I');
    s.run(&[parse("y", "execute x"), sync()], b'I');
    let unit = s.run(&[query("execute y")], b'I');
    assert_eq!(verbs(&unit), [Verb::Delete]);
    s.run(&[parse("z", "deallocate x"), sync()], b'I');
    s.run(&[query("execute z")], b'I');
    assert!(unreadable(&s.run(&[query("execute y")], b'I')));
    // A name that stands for itself.
    s.run(&[parse("loop", "execute loop"), sync()], b'I');
    assert!(unreadable(&s.run(&[query("execute loop")], b'I')));
}

// What cannot be judged.

#[test]
fn what_cannot_be_read_is_refused_in_its_shape() {
    let mut s = Session::new();
    let check = |s: &mut Session, messages: &[Vec<u8>], shape| match s.turn(messages) {
        Some(Turn::Unformed(unformed)) => {
            assert_eq!(unformed.shape, shape);
            s.conversation.refused(shape);
            unformed.why
        }
        other => panic!("{other:?}"),
    };
    let why = check(&mut s, &[query("gibberish")], Shape::Simple);
    assert_eq!(why, Why::Syntax { message: "no: gibberish".into(), at: Some(0) });
    assert_eq!(check(&mut s, &[frame(b'Q', b"\xff\0")], Shape::Simple), Why::Encoding);
    assert_eq!(check(&mut s, &[frame(b'F', b"\0\0\0\x01")], Shape::Sync), Why::FunctionCall);
    let two = check(&mut s, &[parse("", "select t; select u"), sync()], Shape::Sync);
    assert!(matches!(two, Why::Syntax { .. }));
    let why = check(&mut s, &[parse("a", "x"), bind("", "a"), flush()], Shape::Flush);
    assert!(matches!(why, Why::Syntax { .. }));
    // Dropped as the server drops it, and answered once.
    assert!(s.turn(&[bind("", "a"), execute("", 0), query("drop t"), flush()]).is_none());
    assert!(matches!(s.turn(&[sync()]), Some(Turn::SkippedSync)));
    s.run(&[query("select t")], b'I');
    let missing = check(&mut s, &[bind("", "nobody"), execute("", 0), sync()], Shape::Sync);
    assert_eq!(missing, Why::UnknownStatement { name: "nobody".into() });
}

#[test]
fn a_refusal_takes_names_back() {
    let mut s = Session::new();
    s.run(&[parse("a", "select t"), sync()], b'I');
    let unit = s.unit(&[close('S', "a"), parse("a", "delete t"), bind("p", "a"), flush()]);
    s.conversation.refused(unit.shape());
    assert!(matches!(s.turn(&[sync()]), Some(Turn::SkippedSync)));
    let unit = s.run(&[bind("", "a"), execute("", 0), sync()], b'I');
    assert_eq!(verbs(&unit), [Verb::Read]);
    assert!(matches!(s.why(&[execute("p", 0), sync()]), Why::UnknownPortal { .. }));
}

#[test]
fn limits() {
    let limits =
        Limits { max_unit_messages: 3, max_unit_bytes: 200, max_names: 2, ..Limits::default() };
    let mut s = Session::with(limits);
    let many = vec![parse("", "select t"); 4];
    assert!(matches!(s.why(&[many.concat(), sync()]), Why::Limit { limit: 3, .. }));
    let long = format!("select {}", "t".repeat(300));
    assert!(matches!(s.why(&[parse("", &long), sync()]), Why::Limit { limit: 200, .. }));
    s.run(&[parse("a", "select t"), parse("b", "select t"), sync()], b'I');
    assert!(matches!(s.why(&[parse("c", "select t"), sync()]), Why::Limit { limit: 2, .. }));
    s.run(&[close('S', "a"), parse("c", "select t"), sync()], b'I');
    assert!(s.conversation.names().statement(b"c").is_ok());
    let kept = Limits { max_kept_bytes: 100, ..Limits::default() };
    let mut s = Session::with(kept);
    let text = format!("select {}", "t".repeat(50));
    s.run(&[parse("a", &text), sync()], b'I');
    assert!(matches!(s.why(&[parse("b", &text), sync()]), Why::Limit { limit: 100, .. }));
}

/// Only so much of a message comes at a time; the most the conversation leaves in the buffer.
fn trickle(s: &mut Session, bytes: &[u8]) -> (Vec<Turn>, usize) {
    let (mut turns, mut most) = (Vec::new(), 0);
    for piece in bytes.chunks(1000) {
        s.buffer.extend_from_slice(piece);
        while let Some(turn) = s.conversation.next(&mut s.buffer).unwrap() {
            if let Turn::Unformed(unformed) = &turn {
                s.conversation.refused(unformed.shape);
            }
            turns.push(turn);
        }
        most = most.max(s.buffer.len() + s.conversation.kept_bytes());
    }
    (turns, most)
}

#[test]
fn a_text_over_the_limit_is_refused_and_not_kept() {
    let is_refused = |turn: &Turn, shape| match turn {
        Turn::Unformed(u) => {
            assert!(matches!(u.why, Why::TooLarge { what: "statement text", .. }), "{u:?}");
            assert_eq!(u.shape, shape);
        }
        other => panic!("{other:?}"),
    };
    let long = format!("select {}", "t".repeat(3_000_000));
    let mut s = Session::new();
    let (turns, most) = trickle(&mut s, &[query(&long), query("select t")].concat());
    assert!(most < 10_000, "{most} bytes were kept");
    assert_eq!(turns.len(), 2);
    is_refused(&turns[0], Shape::Simple);
    assert!(matches!(&turns[1], Turn::Unit(_)), "the next one is not concerned");

    let mut s = Session::new();
    let messages = [parse("", &long), bind("", ""), execute("", 0), sync(), query("select t")];
    let (turns, most) = trickle(&mut s, &messages.concat());
    assert!(most < 10_000 && turns.len() == 2, "{most} bytes were kept");
    is_refused(&turns[0], Shape::Sync);

    // What is dropped up to the Sync, and copy data that nobody asked for, is not kept either.
    let mut s = Session::new();
    assert!(matches!(s.why(&[parse("", "nonsense"), flush()]), Why::Syntax { .. }));
    let large = bind_with("", "", &"x".repeat(3_000_000));
    let stray = frame(b'd', &[0; 3_000_000]);
    let (turns, most) = trickle(&mut s, &[large, stray.clone(), sync(), stray].concat());
    assert!(most < 10_000, "{most} bytes were kept");
    assert!(matches!(turns[..], [Turn::SkippedSync]), "{turns:?}");
    let (turns, most) = trickle(&mut s, &flush().repeat(100_000));
    assert!(turns.is_empty() && most < 10_000);
}

#[test]
fn a_request_there_is_no_room_for_is_let_go() {
    let no_room = || Why::Limit { what: "room", limit: 1 };
    let mut s = Session::new();
    let value = "x".repeat(100_000);
    s.buffer.extend_from_slice(&[parse("", "select t"), bind_with("", "", &value)].concat());
    let large = bind_with("", "", &value);
    s.buffer.extend_from_slice(&large[..50_000]);
    assert!(s.conversation.next(&mut s.buffer).unwrap().is_none());
    assert!(s.conversation.kept_bytes() > 200_000);
    assert!(s.conversation.give_up(&s.buffer, no_room()));
    assert!(!s.conversation.give_up(&s.buffer, no_room()), "once is enough");
    assert!(s.conversation.next(&mut s.buffer).unwrap().is_none());
    assert!(s.conversation.kept_bytes() == 0 && s.buffer.is_empty());
    s.buffer.extend_from_slice(&large[50_000..]);
    assert_eq!(s.why(&[execute("", 0), sync()]), no_room());
    s.run(&[query("select t")], b'I');

    // A Query alone, half of it there; and nothing at all.
    let text = query(&format!("select {}", "t".repeat(1000)));
    s.buffer.extend_from_slice(&text[..500]);
    assert!(s.conversation.give_up(&s.buffer, no_room()));
    assert!(s.turn(&[]).is_none());
    assert_eq!(s.why(&[text[500..].to_vec()]), no_room());
    assert!(!s.conversation.give_up(&s.buffer, no_room()));
    s.run(&[query("select t")], b'I');
}

#[test]
fn protocol_violations_end_the_connection() {
    let check = |bytes: &[u8]| {
        let mut s = Session::new();
        s.buffer.extend_from_slice(bytes);
        assert!(s.conversation.next(&mut s.buffer).is_err());
    };
    check(b"p\0\0\0\x05\0");
    check(b"z");
    check(b"Q\xff\xff\xff\xff");
    check(&frame(b'Q', b"select t"));
}

// Desynchronisation.

#[test]
fn a_failed_parse_does_not_replace() {
    let mut s = Session::new();
    s.run(&[parse("x", "select t"), sync()], b'I');
    // Judged as the delete it would be, but the server refuses the second x and skips the rest.
    let unit = s.fail(&[parse("x", "delete t"), bind("", "x"), execute("", 0), sync()], 0, 0, b'I');
    assert_eq!(verbs(&unit), [Verb::Delete]);
    let unit = s.run(&[bind("", "x"), execute("", 0), sync()], b'I');
    assert_eq!(verbs(&unit), [Verb::Read]);
}

#[test]
fn a_failed_replacement_in_the_other_order() {
    let mut s = Session::new();
    s.run(&[parse("x", "delete t"), sync()], b'I');
    s.fail(&[parse("x", "select t"), sync()], 0, 0, b'I');
    let unit = s.run(&[bind("", "x"), execute("", 0), sync()], b'I');
    assert_eq!(verbs(&unit), [Verb::Delete]);
}

#[test]
fn a_parse_skipped_after_an_error_never_was() {
    let mut s = Session::new();
    s.run(&[parse("x", "delete t"), sync()], b'I');
    // Bind fails; Close and Parse behind it are skipped.
    let messages =
        [parse("y", "select t"), bind("p", "y"), close('S', "x"), parse("x", "select t"), sync()];
    s.fail(&messages, 1, 0, b'I');
    assert_eq!(verbs(&s.run(&[bind("", "x"), execute("", 0), sync()], b'I')), [Verb::Delete]);
    assert_eq!(verbs(&s.run(&[bind("", "y"), execute("", 0), sync()], b'I')), [Verb::Read]);
}

#[test]
fn a_parse_in_an_aborted_pipeline_segment_is_not_seen() {
    let mut s = Session::new();
    s.run(&[parse("x", "delete t"), sync()], b'I');
    s.fail(&[parse("", "select t"), bind("", ""), execute("", 0), flush()], 3, 0, b'I');
    // The server skips all of this up to Sync.
    assert!(s.turn(&[close('S', "x"), parse("x", "select t"), flush(), query("drop t")]).is_none());
    let unit = s.run(&[sync()], b'I');
    assert_eq!(kinds(&unit), ["sync"]);
    assert_eq!(verbs(&s.run(&[bind("", "x"), execute("", 0), sync()], b'I')), [Verb::Delete]);
}

#[test]
fn prepare_over_a_protocol_name() {
    let mut s = Session::new();
    s.run(&[parse("x", "delete t"), sync()], b'I');
    s.fail(&[query("prepare x as select t; select u")], 0, 0, b'I');
    assert_eq!(verbs(&s.run(&[bind("", "x"), execute("", 0), sync()], b'I')), [Verb::Delete]);
    // Deallocated, but of the PREPARE that failed after it nothing can be known.
    s.fail(&[query("deallocate x; prepare x as select t; select u")], 0, 1, b'I');
    assert!(s.conversation.names().statement(b"x").is_err());
    assert!(unreadable(&s.run(&[query("execute x")], b'I')));
}

#[test]
fn a_deallocate_or_discard_that_fails_leaves_names_ambiguous() {
    for text in ["deallocate x", "discard all", "deallocate all"] {
        let mut s = Session::new();
        s.run(&[parse("x", "select t"), sync()], b'I');
        s.fail(&[query(text)], 0, 0, b'I');
        let why = s.why(&[bind("", "x"), execute("", 0), sync()]);
        assert_eq!(why, Why::Ambiguous { name: "x".into() });
        assert!(unreadable(&s.run(&[query("execute x")], b'I')));
        s.run(&[close('S', "x"), parse("x", "delete t"), sync()], b'I');
        assert_eq!(verbs(&s.run(&[bind("", "x"), execute("", 0), sync()], b'I')), [Verb::Delete]);
    }
}

#[test]
fn portals_end_with_their_transaction() {
    for end in ["commit", "rollback", "commit; begin"] {
        let mut s = Session::new();
        s.run(&[query("begin; declare c for select t")], b'T');
        s.run(&[query("declare h with hold for select t")], b'T');
        s.run(&[parse("", "select t"), bind("p", ""), sync()], b'T');
        let status = if end.contains(';') { b'T' } else { b'I' };
        s.run(&[query(end)], status);
        assert!(matches!(s.why(&[execute("p", 0), sync()]), Why::UnknownPortal { .. }));
        assert!(unreadable(&s.run(&[query("fetch c")], status)));
        assert_eq!(unreadable(&s.run(&[query("fetch h")], status)), end == "rollback");
    }
}

#[test]
fn portals_of_an_implicit_transaction_end_at_sync() {
    let mut s = Session::new();
    s.run(&[parse("", "select t"), bind("p", ""), flush()], b'I');
    s.run(&[execute("p", 1), sync()], b'I');
    assert!(matches!(s.why(&[execute("p", 1), sync()]), Why::UnknownPortal { .. }));
}

#[test]
fn a_held_cursor_of_a_failed_transaction_is_gone() {
    let mut s = Session::new();
    s.fail(&[query("declare h with hold for select t; select u")], 0, 1, b'I');
    assert!(unreadable(&s.run(&[query("fetch h")], b'I')));
}

#[test]
fn rollback_to_a_savepoint_ends_what_came_after_it() {
    let mut s = Session::new();
    s.run(&[query("begin; declare a for select t")], b'T');
    s.run(&[query("savepoint s")], b'T');
    s.run(&[query("declare b for select t")], b'T');
    s.run(&[query("rollback to s")], b'T');
    assert!(!unreadable(&s.run(&[query("fetch a")], b'T')));
    assert!(unreadable(&s.run(&[query("fetch b")], b'T')));
}

#[test]
fn a_commit_runs_only_cursors_of_its_own_transaction() {
    for (before, within, tells) in [("define f", "select t", false), ("select t", "define f", true)]
    {
        let mut s = Session::new();
        s.run(&[query(before)], b'I');
        s.run(&[query("begin; savepoint s")], b'T');
        s.run(&[query("declare c with hold for select t")], b'T');
        s.run(&[query(within)], b'T');
        s.run(&[query("rollback to s")], b'T');
        let unit = s.run(&[query("commit")], b'I');
        assert_eq!(unit.operation().effects.contains(&Effect::behind_definitions()), tells);
    }
}

#[test]
fn suspension_belongs_to_the_portal_and_not_to_its_name() {
    let mut s = Session::new();
    s.run(&[query("begin")], b'T');
    s.run(&[parse("d", "delete t"), parse("r", "select t"), sync()], b'T');
    let unit = s.unit(&[bind("", "r"), execute("", 1), bind("", "d"), sync()]);
    s.settle(Confirmation::Suspended(0));
    let bound_again = unit.script().steps.len() - 2;
    s.settle(Confirmation::Step(bound_again));
    s.settle(Confirmation::Ready(b'T'));
    assert_eq!(verbs(&s.run(&[execute("", 0), sync()], b'T')), [Verb::Delete]);
}

#[test]
fn the_unnamed_statement_is_dropped_by_a_query_and_by_a_failed_parse() {
    let mut s = Session::new();
    s.run(&[parse("", "select t"), sync()], b'I');
    s.fail(&[query("select u")], 0, 0, b'I');
    let missing = Why::UnknownStatement { name: String::new() };
    assert_eq!(s.why(&[bind("", ""), execute("", 0), sync()]), missing);
    s.run(&[parse("", "select t"), sync()], b'I');
    s.fail(&[parse("", "delete t"), sync()], 0, 0, b'I');
    assert!(matches!(s.why(&[bind("", ""), sync()]), Why::Ambiguous { .. }));
    // What we refuse never reaches the server, and is not taken for what was there before.
    for refused in [vec![query("gibberish")], vec![parse("", "gibberish"), sync()]] {
        s.run(&[parse("", "delete t"), sync()], b'I');
        s.why(&refused);
        assert_eq!(s.why(&[bind("", ""), execute("", 0), sync()]), missing);
    }
    for refused in [vec![query("select u")], vec![parse("", "select u"), sync()]] {
        s.run(&[parse("", "delete t"), sync()], b'I');
        let unit = s.unit(&refused);
        s.conversation.refused(unit.shape());
        assert_eq!(s.why(&[bind("", ""), execute("", 0), sync()]), missing);
    }
    // It stays where what was refused does not name another.
    s.run(&[parse("", "delete t"), sync()], b'I');
    let unit = s.unit(&[bind("", ""), execute("", 0), sync()]);
    s.conversation.refused(unit.shape());
    s.why(&[parse("x", "gibberish"), sync()]);
    assert_eq!(verbs(&s.run(&[bind("", ""), execute("", 0), sync()], b'I')), [Verb::Delete]);
    // And where it ran, and was undone.
    s.run(&[parse("", "delete t"), bind("", ""), execute("", 0), sync()], b'I');
    s.conversation.refused(Shape::Sync);
    assert_eq!(verbs(&s.run(&[bind("", ""), execute("", 0), sync()], b'I')), [Verb::Delete]);
}

#[test]
fn names_the_server_would_cut_are_refused() {
    let long = |end: &str| format!("{}{end}", "n".repeat(63));
    let mut s = Session::new();
    assert_eq!(s.why(&[parse(&long("1"), "select t"), sync()]), Why::LongName);
    assert_eq!(s.why(&[close('S', &long("2")), sync()]), Why::LongName);
    assert_eq!(s.why(&[bind(&long("1"), ""), sync()]), Why::LongName);
    s.run(&[parse(&long(""), "select t"), sync()], b'I');
    assert_eq!(s.why(&[bind("", &long("3")), sync()]), Why::LongName);
    // SQL names are cut as the server cuts them, and touch what they touch there.
    s.run(&[query(&format!("deallocate {}", long("4")))], b'I');
    assert!(s.conversation.names().statement(long("").as_bytes()).is_err());
}

#[test]
fn a_block_of_code_leaves_no_name_known() {
    let mut s = Session::new();
    s.run(&[parse("x", "select t"), sync()], b'I');
    s.run(&[query("prepare y as select t")], b'I');
    s.run(&[query("do block")], b'I');
    assert!(unreadable(&s.run(&[query("execute y")], b'I')));
    assert_eq!(untold(&s.run(&[bind("", "x"), execute("", 0), sync()], b'I')), [true]);
    s.run(&[query("begin; declare h with hold for select t; commit")], b'I');
    assert!(!unreadable(&s.run(&[query("fetch h")], b'I')));
    s.run(&[query("call f")], b'I');
    assert!(unreadable(&s.run(&[query("fetch h")], b'I')));
}

#[test]
fn the_target_tells_what_a_block_of_code_has_left() {
    let mut s = Session::new();
    for name in ["a", "b", "c", "d", "e"] {
        s.run(&[parse(name, "select t"), sync()], b'I');
    }
    s.run(&[query("prepare f as select t")], b'I');
    assert!(!s.conversation.doubts_names(b""));
    s.run(&[query("do block")], b'I');
    assert!(s.conversation.doubts_names(b""));
    // Said by the client since, so not to be taken back.
    s.run(&[close('S', "d"), sync()], b'I');
    let there = [("a", "select t"), ("b", "select u"), ("d", "select t"), ("f", "select t")];
    s.conversation.settle_prepared(there.into_iter());
    assert!(!s.conversation.doubts_names(b""));
    s.run(&[bind("", "a"), execute("", 0), sync()], b'I');
    for name in ["b", "c", "e", "f"] {
        assert!(matches!(s.why(&[bind("", name), sync()]), Why::Ambiguous { .. }), "{name}");
    }
    assert!(matches!(s.why(&[bind("", "d"), sync()]), Why::UnknownStatement { .. }));
}

#[test]
fn facts_are_read_again_when_the_catalog_has_changed() {
    let mut s = Session::new();
    s.run(&[parse("x", "select t"), sync()], b'I');
    s.run(&[query("prepare y as select t")], b'I');
    s.toy.epoch.store(5, Ordering::Relaxed);
    let unit = s.run(&[bind("", "x"), execute("", 0), sync()], b'I');
    assert_eq!(unit.operation().lineages[0].relations, [5, 1]);
    let unit = s.run(&[query("execute y")], b'I');
    assert_eq!(unit.operation().lineages[0].relations, [5, 1]);
}

#[test]
fn a_unit_that_came_in_while_the_catalog_changed_is_made_of_one_piece() {
    let mut s = Session::new();
    assert!(s.turn(&[parse("", "select t"), bind("", ""), execute("", 0)]).is_none());
    s.toy.epoch.store(5, Ordering::Relaxed);
    let unit = s.unit(&[sync()]);
    assert_eq!(unit.operation().lineages[0].relations, [0, 1], "read before the change");
    assert!(s.conversation.outdated());
    let Turn::Unit(anew) = s.conversation.reconsider(unit.clone()).unwrap() else { panic!() };
    assert!(!s.conversation.outdated());
    assert_eq!(anew.operation().lineages[0].relations, [5, 1]);
    assert_eq!((anew.wire_bytes(), anew.digest()), (unit.wire_bytes(), unit.digest()));
    s.answer(&anew, b'I');
    assert!(!s.conversation.in_flight());
}

#[test]
fn a_query_behind_messages_without_sync_is_a_unit_of_its_own() {
    let mut s = Session::new();
    let unit =
        s.run(&[parse("", "select t"), bind("", ""), execute("", 0), query("delete t")], b'I');
    assert_eq!(wire(&unit), "PBDEH");
    assert_eq!(verbs(&unit), [Verb::Read]);
    assert!(s.conversation.pipeline_open());
    assert_eq!(verbs(&s.run(&[], b'I')), [Verb::Delete]);
    assert!(!s.conversation.pipeline_open());
}

// COPY.

fn feed(turn: Option<Turn>) -> (FeedKind, Vec<u8>) {
    match turn {
        Some(Turn::Feed(feed)) => (feed.kind(), feed.as_ref().to_vec()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn copy_in_by_simple_query() {
    let mut s = Session::new();
    let unit = s.unit(&[query("copy in")]);
    assert!(unit.script().parts[0].copy_in);
    let data = [frame(b'd', b"1\n"), frame(b'd', b"2\n")].concat();
    assert!(s.turn(std::slice::from_ref(&data)).is_none());
    s.conversation.copying(true);
    assert_eq!(feed(s.turn(&[])), (FeedKind::Data, data));
    assert_eq!(feed(s.turn(&[frame(b'c', b"")])), (FeedKind::Done, frame(b'c', b"")));
    // What comes next waits for the answer, also where the driver says again that it copies.
    s.conversation.copying(true);
    assert!(s.turn(&[query("select t")]).is_none());
    s.answer(&unit, b'I');
    s.run(&[], b'I');
}

#[test]
fn copy_in_by_the_extended_protocol() {
    let mut s = Session::new();
    let messages = [parse("", "copy in"), bind("", ""), describe('P', ""), execute("", 0)];
    // libpq sends a Sync, which the server ignores in copy-in mode, and another after CopyDone.
    let unit = s.unit(&[messages.concat(), sync()]);
    assert_eq!((wire(&unit).as_str(), unit.shape()), ("PBDEH", Shape::Sync));
    s.conversation.copying(true);
    let done = [frame(b'c', b""), flush()].concat();
    assert_eq!(feed(s.turn(&[flush(), sync(), frame(b'c', b"")])), (FeedKind::Done, done));
    s.answer(&unit, b'I');
    let unit = s.run(&[sync()], b'I');
    assert_eq!(kinds(&unit), ["sync"]);
}

#[test]
fn a_copy_that_never_starts_gets_its_sync() {
    let mut s = Session::new();
    let messages = [parse("", "copy in"), bind("", ""), execute("", 0), sync()];
    s.fail(&messages, 3, 0, b'I');
    assert_eq!(wire(&s.run(&[], b'I')), "S");
    assert!(s.turn(&[]).is_none());
}

#[test]
fn a_copy_that_fails_drops_data_up_to_the_sync() {
    let mut s = Session::new();
    s.unit(&[parse("", "copy in"), bind("", ""), execute("", 0), sync()]);
    s.conversation.copying(true);
    assert_eq!(feed(s.turn(&[frame(b'd', b"x")])).0, FeedKind::Data);
    s.settle(Confirmation::Failed(3));
    s.conversation.copying(false);
    assert!(s.turn(&[frame(b'd', b"y"), frame(b'c', b"")]).is_none());
    assert_eq!(wire(&s.run(&[sync()], b'I')), "S");
    s.run(&[query("select t")], b'I');
}

#[test]
fn nothing_unjudged_travels_as_copy_data() {
    let mut s = Session::new();
    s.unit(&[query("copy in")]);
    s.conversation.copying(true);
    s.buffer.extend_from_slice(&query("drop t"));
    assert_eq!(s.conversation.next(&mut s.buffer).unwrap_err(), ProtocolError::DuringCopy(b'Q'));
    let mut s = Session::new();
    let why = s.why(&[parse("", "copy in"), bind("", ""), execute("", 0), bind("", ""), sync()]);
    assert_eq!(why, Why::CopyNotLast);
}

#[test]
fn copy_messages_outside_copy_mode_are_dropped() {
    let mut s = Session::new();
    let stray = [frame(b'd', b"x"), frame(b'c', b""), frame(b'f', b"why\0")].concat();
    let unit = s.run(&[stray.clone(), parse("", "select t"), stray, sync()], b'I');
    assert_eq!(wire(&unit), "PS");
}

#[test]
fn copy_data_sent_without_waiting() {
    let mut s = Session::new();
    let messages = [parse("", "copy in"), bind("", ""), execute("", 0)];
    let unit = s.unit(&[messages.concat(), frame(b'd', b"1\n"), frame(b'c', b""), sync()]);
    assert_eq!(wire(&unit), "PBDEH");
    s.conversation.copying(true);
    assert_eq!(feed(s.turn(&[])).0, FeedKind::Data);
    assert_eq!(feed(s.turn(&[])).0, FeedKind::Done);
    s.answer(&unit, b'I');
    assert_eq!(kinds(&s.run(&[], b'I')), ["sync"]);
}

// Properties.

fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let text = prop::sample::select(vec![
        "select t",
        "delete t",
        "prepare a as delete t",
        "execute a",
        "begin",
        "commit",
        "rollback",
        "savepoint s",
        "rollback to s",
        "discard all",
        "do x",
        "declare c for select t",
        "fetch c",
        "copy in",
        "junk",
        "",
        "select t; delete u",
        "deallocate a",
    ]);
    let name = prop::sample::select(vec!["", "a", "b", "c"]);
    prop_oneof![
        text.clone().prop_map(query),
        (name.clone(), text).prop_map(|(name, text)| parse(name, text)),
        (name.clone(), name.clone()).prop_map(|(portal, statement)| bind(portal, statement)),
        (prop::sample::select(vec!['S', 'P']), name.clone())
            .prop_map(|(k, name)| describe(k, name)),
        (prop::sample::select(vec!['S', 'P']), name.clone()).prop_map(|(k, name)| close(k, name)),
        (name, 0u8..2).prop_map(|(name, rows)| execute(name, rows)),
        prop::sample::select(vec![sync(), sync(), flush(), frame(b'd', b"x"), frame(b'c', b"")]),
    ]
}

/// Behind what may change how texts are read, until the target has said how.
#[test]
fn a_text_that_could_be_read_in_two_ways_waits_for_the_answer() {
    let unnamed = |text: &str| [parse("", text), bind("", ""), execute("", 0)].concat();
    let odd =
        ["select '\\'", "select é", "select \"é\"", "select /*'*/é'", "select $é$", "select body"];
    for text in odd {
        let mut s = Session::new();
        assert_eq!(s.why(&[unnamed("do x"), unnamed(text), sync()]), Why::Respoken, "{text}");
        // Nothing was sent, so nothing was changed.
        s.run(&[unnamed(text), sync()], b'I');
        s.run(&[unnamed("do x"), sync()], b'I');
        s.run(&[unnamed(text), sync()], b'I');
        s.run(&[query("do x")], b'T');
        s.run(&[unnamed(text), sync()], b'T');
    }
    // A Flush asks for no report.
    for text in odd {
        let mut s = Session::new();
        s.run(&[unnamed("do x"), flush()], b'I');
        assert_eq!(s.why(&[unnamed(text), flush()]), Why::Respoken, "{text}");
        let mut s = Session::new();
        s.run(&[unnamed("do x"), flush()], b'I');
        assert_eq!(s.why(&[query(text)]), Why::Respoken, "{text}");
        let mut s = Session::new();
        s.run(&[unnamed("do x"), flush()], b'I');
        s.run(&[sync()], b'I');
        s.run(&[unnamed(text), flush()], b'I');
    }
    for text in ["select 'é'", "select 'é', 'it''s ü', $1", "select t"] {
        let mut s = Session::new();
        s.run(&[unnamed("do x"), unnamed(text), sync()], b'I');
    }
    // A text of several statements is read before any of them runs; functions are read when called.
    let mut s = Session::new();
    s.run(&[query("do x; select '\\'")], b'I');
    assert_eq!(s.why(&[query("do x; select body")]), Why::Respoken);
    // What is prepared was read.
    s.run(&[parse("a", "select '\\'"), sync()], b'I');
    s.run(&[unnamed("do x"), bind("", "a"), execute("", 0), sync()], b'I');
}

/// Runs a stream against a target that fails as `fates` says; what came of it, in words.
fn play(stream: &[u8], step: usize, fates: &[u8]) -> Vec<String> {
    let mut s = Session::new();
    let mut heard = Vec::new();
    let mut fates = fates.iter().copied().cycle();
    for chunk in stream.chunks(step.max(1)) {
        s.buffer.extend_from_slice(chunk);
        while let Some(turn) = s.conversation.next(&mut s.buffer).unwrap() {
            match turn {
                Turn::Unit(unit) => {
                    parts_match(&unit);
                    assert!(!unit.operation().effects.is_empty());
                    heard.push(format!(
                        "{:?} {} {}",
                        unit.wire_bytes(),
                        unit.operation(),
                        unit.digest()
                    ));
                    let fate = fates.next().unwrap_or(0);
                    let at = usize::from(fate) % (unit.script().steps.len() * 2);
                    match fate {
                        0..20 => s.conversation.refused(unit.shape()),
                        _ if at < unit.script().steps.len() => {
                            s.settle(Confirmation::Failed(at));
                            if s.conversation.in_flight() {
                                s.settle(Confirmation::Ready(b'E'));
                            }
                        }
                        _ => s.answer(&unit, if fate % 2 == 0 { b'I' } else { b'T' }),
                    }
                    assert!(!s.conversation.in_flight());
                }
                Turn::Unformed(unformed) => {
                    heard.push(unformed.why.to_string());
                    s.conversation.refused(unformed.shape);
                }
                Turn::SkippedSync => heard.push("skipped".to_owned()),
                Turn::Feed(_) => panic!("nothing copies"),
                Turn::Terminate => return heard,
            }
        }
    }
    heard
}

proptest! {
    #[test]
    fn one_byte_at_a_time_reads_the_same(
        messages in prop::collection::vec(any_message(), 0..24),
        fates in prop::collection::vec(any::<u8>(), 1..8),
        step in 2usize..40,
    ) {
        let stream = messages.concat();
        let whole = play(&stream, stream.len(), &fates);
        prop_assert_eq!(&play(&stream, 1, &fates), &whole);
        prop_assert_eq!(&play(&stream, step, &fates), &whole);
    }

    #[test]
    fn garbage_never_panics_and_keeps_no_more_than_it_was_given(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        messages in prop::collection::vec(any_message(), 0..4),
    ) {
        let mut s = Session::with(Limits { max_message: 1000, ..Limits::default() });
        s.buffer.extend_from_slice(&messages.concat());
        s.buffer.extend_from_slice(&bytes);
        let given = s.buffer.len();
        while let Ok(Some(turn)) = s.conversation.next(&mut s.buffer) {
            match turn {
                Turn::Unit(unit) => {
                    // A Describe for each Execute, and a Flush at the end.
                    prop_assert!(unit.wire_bytes().len() <= given * 4 + 5);
                    s.conversation.refused(unit.shape());
                }
                Turn::Unformed(unformed) => s.conversation.refused(unformed.shape),
                _ => {}
            }
        }
    }
}

#[test]
fn what_is_prepared_before_a_text_that_cannot_be_read_is_prepared() {
    let mut session = Session::new();
    let whole = [parse("a", "select a"), describe('S', "a"), parse("b", "bad sql")];
    let first = session.unit(&[whole.concat(), sync()]);
    assert_eq!(first.shape(), Shape::Flush);
    session.answer(&first, b'I');
    assert!(session.conversation.names().statement(b"a").is_ok());
    let Some(Turn::Unformed(unformed)) = session.turn(&[]) else { panic!("not refused") };
    assert_eq!(unformed.shape, Shape::Sync);
    assert!(unformed.shown.statements.iter().any(|text| text.contains("bad")), "{unformed:?}");
    session.conversation.refused(Shape::Sync);
    assert!(session.conversation.names().statement(b"b").is_err());
    // Only a text that cannot be read ends what came before it.
    let why = session.why(&[parse("c", "select c"), execute("nowhere", 0), sync()]);
    assert!(matches!(why, Why::UnknownPortal { .. }), "{why:?}");
    assert!(session.conversation.names().statement(b"c").is_err());
    session.run(&[parse("b", "select b"), sync()], b'I');
    assert!(session.conversation.names().statement(b"b").is_ok());
}

/// Whether the answers to a unit may come from anywhere, by part.
pub(super) fn untold(unit: &Unit) -> Vec<bool> {
    unit.operation().lineages.iter().map(|lineage| lineage.unresolved).collect()
}

#[test]
fn code_of_users_leaves_no_sql_name_known() {
    let mut s = Session::new();
    s.run(&[query("prepare y as select t")], b'I');
    assert!(!unreadable(&s.run(&[query("execute y")], b'I')));
    s.run(&[query("call f")], b'I');
    assert!(unreadable(&s.run(&[query("execute y")], b'I')));
    // Nor does code that waits for the end of its transaction.
    s.run(&[query("deallocate y")], b'I');
    s.run(&[query("call f; prepare y as select t")], b'I');
    assert!(unreadable(&s.run(&[query("execute y")], b'I')));
    s.run(&[query("deallocate y")], b'I');
    s.run(&[query("begin; call f; commit; prepare y as select t")], b'I');
    assert!(unreadable(&s.run(&[query("execute y")], b'I')));
    // What claims to be immutable runs when it is planned.
    s.run(&[query("deallocate y")], b'I');
    s.run(&[query("prepare y as select t")], b'I');
    s.run(&[parse("", "call f"), bind("p", ""), sync()], b'I');
    assert!(unreadable(&s.run(&[query("execute y")], b'I')));
}

#[test]
fn code_of_users_that_is_refused_leaves_names_known() {
    let mut s = Session::new();
    s.run(&[query("prepare y as select t")], b'I');
    for refused in ["call f", "do block"] {
        let unit = s.unit(&[query(refused)]);
        s.conversation.refused(unit.shape());
        s.run(&[query("select t")], b'I');
        assert!(!unreadable(&s.run(&[query("execute y")], b'I')), "{refused}");
    }
    // What ran before it in the transaction may run once more at its end.
    s.run(&[query("begin; call f; prepare z as select t")], b'T');
    let unit = s.unit(&[query("call f")]);
    s.conversation.refused(unit.shape());
    assert!(!unreadable(&s.run(&[query("execute z")], b'T')));
    s.run(&[query("commit")], b'I');
    assert!(unreadable(&s.run(&[query("execute z")], b'I')));
}

#[test]
fn rows_of_cursors_behind_code_of_users_come_from_anywhere() {
    let mut s = Session::new();
    s.run(&[query("begin; declare c for select t")], b'T');
    s.run(&[parse("", "select t"), bind("p", ""), execute("p", 1), sync()], b'T');
    assert_eq!(untold(&s.run(&[query("fetch c")], b'T')), [false]);
    s.run(&[query("call f")], b'T');
    let fetched = s.run(&[query("fetch c")], b'T');
    assert!(untold(&fetched) == [true] && !unreadable(&fetched));
    assert_eq!(untold(&s.run(&[execute("p", 1), sync()], b'T')), [true]);
    // What is made since is known, and no cursor is closed while it runs.
    s.run(&[query("close c; declare c for select t; declare d for call f")], b'T');
    assert!(untold(&s.run(&[query("fetch d; fetch d; fetch c")], b'T'))[2]);
    s.run(&[query("close c; declare c for select t")], b'T');
    assert_eq!(untold(&s.run(&[query("fetch c")], b'T')), [false]);
}

#[test]
fn statements_of_the_protocol_go_on_behind_code_of_users() {
    let mut s = Session::new();
    s.run(&[parse("x", "select t"), parse("y", "call f"), sync()], b'I');
    let both = [bind("", "x"), execute("", 0), bind("", "y"), execute("", 0)];
    let again = [bind("", "x"), execute("", 0), bind("", "y"), execute("", 0), sync()];
    let unit = s.run(&[&both[..], &again[..]].concat(), b'I');
    assert_eq!(untold(&unit), [false, false, true, true]);
    // It is asked about where one of them comes, and once.
    let asks = |s: &Session, coming: &[Vec<u8>]| s.conversation.doubts_names(&coming.concat());
    assert!(!asks(&s, &[parse("", "select t"), bind("", ""), execute("", 0), sync()]));
    assert!(!asks(&s, &[parse("z", "select t"), bind("", "z"), execute("", 0), sync()]));
    assert!(!asks(&s, &[query("select t")]));
    assert!(asks(&s, &[query("execute x")]));
    assert!(asks(&s, &[parse("", "select t")]), "more may come");
    assert!(asks(&s, &[describe('S', "x"), sync()]));
    assert!(asks(&s, &[bind("", "x"), execute("", 0), sync()]));
    s.conversation.settle_prepared([("x", "select t"), ("y", "call f")].into_iter());
    assert!(!asks(&s, &[bind("", "x"), execute("", 0), sync()]));
    assert_eq!(untold(&s.run(&[bind("", "x"), execute("", 0), sync()], b'I')), [false]);
}
